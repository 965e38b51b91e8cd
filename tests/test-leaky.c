/* gst-mmap: tests of the elements with slow consumers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. What the core does with their frames is tested in test-producer-leaky.c.
 */
#include "harness.h"
#include "leak-check.h"
#include "pipe.h"

/* What came through the gate. */
typedef struct
{
  guint64 offset;
  guint flags;
  guint64 missed;               /* as the meta says; 0: there is none */
} Passed;

/* A consumer whose sink takes frames while it is open. */
typedef struct
{
  Pipe *pipe;
  GMutex lock;
  GCond cond;
  gboolean open;
  gboolean waits;
  GArray *passed;
} Gated;

static GstPadProbeReturn
pass_gate (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "mmap-missed");
  Gated *gated = data;
  Passed passed = { GST_BUFFER_OFFSET (buffer), GST_BUFFER_FLAGS (buffer), 0 };

  if (meta)
    g_assert_true (gst_structure_get_uint64 (gst_custom_meta_get_structure
            (meta), "frames", &passed.missed));
  g_mutex_lock (&gated->lock);
  gated->waits = TRUE;
  g_cond_broadcast (&gated->cond);
  while (!gated->open)
    g_cond_wait (&gated->cond, &gated->lock);
  gated->waits = FALSE;
  g_array_append_val (gated->passed, passed);
  g_cond_broadcast (&gated->cond);
  g_mutex_unlock (&gated->lock);
  return GST_PAD_PROBE_OK;
}

static Gated *
gated_new (const char *path, gboolean is_live)
{
  Gated *gated = g_new0 (Gated, 1);
  GstElement *out;
  GstPad *pad;

  gated->pipe = pipe_new ("mmapsrc name=src socket-path=%s is-live=%d ! "
      "fakesink name=out sync=false async=false", path, is_live);
  gated->passed = g_array_new (FALSE, FALSE, sizeof (Passed));
  g_mutex_init (&gated->lock);
  g_cond_init (&gated->cond);
  out = pipe_get (gated->pipe, "out");
  pad = gst_element_get_static_pad (out, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, pass_gate, gated, NULL);
  gst_object_unref (pad);
  pipe_play (gated->pipe);
  return gated;
}

static void
gated_set_open (Gated * gated, gboolean open)
{
  g_mutex_lock (&gated->lock);
  gated->open = open;
  g_cond_broadcast (&gated->cond);
  g_mutex_unlock (&gated->lock);
}

/* Until a frame is at the gate. */
static void
gated_wait_held_up (Gated * gated)
{
  g_mutex_lock (&gated->lock);
  while (!gated->waits)
    g_cond_wait (&gated->cond, &gated->lock);
  g_mutex_unlock (&gated->lock);
}

/* Until frame @offset has passed. */
static void
gated_wait_frame (Gated * gated, guint64 offset)
{
  g_mutex_lock (&gated->lock);
  while (gated->passed->len == 0 || g_array_index (gated->passed, Passed,
          gated->passed->len - 1).offset != offset)
    g_cond_wait (&gated->cond, &gated->lock);
  g_mutex_unlock (&gated->lock);
}

static Passed
gated_get (Gated * gated, guint i)
{
  g_assert_cmpuint (i, <, gated->passed->len);
  return g_array_index (gated->passed, Passed, i);
}

static void
gated_free (Gated * gated)
{
  gated_set_open (gated, TRUE);
  pipe_free (gated->pipe);
  g_array_unref (gated->passed);
  g_mutex_clear (&gated->lock);
  g_cond_clear (&gated->cond);
  g_free (gated);
}

static guint64
get_stat (GstElement * element, const char *field)
{
  GstStructure *stats;
  guint64 value;

  g_object_get (element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint64 (stats, field, &value));
  gst_structure_free (stats);
  return value;
}

/* The next QoS message says @dropped. Returns: (transfer full) */
static GstMessage *
wait_qos (GstBus * bus, guint64 processed, guint64 dropped)
{
  GstMessage *message = gst_bus_timed_pop_filtered (bus, PIPE_TIMEOUT,
      GST_MESSAGE_QOS);
  guint64 seen_processed, seen_dropped;
  GstFormat format;

  g_assert_nonnull (message);
  gst_message_parse_qos_stats (message, &format, &seen_processed,
      &seen_dropped);
  g_assert_cmpint (format, ==, GST_FORMAT_BUFFERS);
  g_assert_cmpuint (seen_processed, ==, processed);
  g_assert_cmpuint (seen_dropped, ==, dropped);
  return message;
}

/* What the sink's statistics say of the consumer that lost @dropped frames. */
static void
check_consumers (GstElement * sink, guint n, guint64 dropped)
{
  GstStructure *stats;
  const GValue *consumers;
  gboolean found = FALSE;
  guint i;

  g_object_get (sink, "stats", &stats, NULL);
  consumers = gst_structure_get_value (stats, "consumers");
  g_assert_cmpuint (gst_value_array_get_size (consumers), ==, n);
  for (i = 0; i < n; i++) {
    const GstStructure *one = g_value_get_boxed (gst_value_array_get_value
        (consumers, i));
    guint pid = 0;
    guint64 lost = G_MAXUINT64;

    g_assert_true (gst_structure_get_uint (one, "pid", &pid));
    g_assert_cmpuint (pid, ==, getpid ());
    g_assert_true (gst_structure_get_uint64 (one, "dropped", &lost));
    if (lost != 0) {
      g_assert_cmpuint (lost, ==, dropped);
      g_assert_false (found);
      found = TRUE;
    }
  }
  g_assert_true (found);
  gst_structure_free (stats);
}

/* A live stream waits for nobody: who is slow has the newest frames when it comes back, and knows what it has missed. */
static void
test_live (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *harness = harness_new (path, "max-buffers", 3, NULL);
  Pipe *fast = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false async=false", path);
  GstBus *bus = gst_bus_new (), *slow_bus;
  GstMessage *message;
  Gated *slow;
  guint pid, i;

  gst_element_set_bus (harness->sink, bus);
  gst_harness_set_live (harness->harness, TRUE);
  harness_start (harness, HARNESS_CAPS);
  slow = gated_new (path, TRUE);
  slow_bus = gst_element_get_bus (slow->pipe->pipeline);
  pipe_play (fast);
  harness_wait_clients (harness, 2);
  harness_push_frame (harness, 0);
  gated_wait_held_up (slow);
  for (i = 1; i < 50; i++) {
    harness_push_frame (harness, i);
    pipe_wait_frames (fast, i + 1);
  }
  for (i = 0; i < 50; i++)
    g_assert_cmpuint (pipe_get_frame (fast, i)->offset, ==, i);
  g_assert_cmpuint (get_stat (harness->sink, "waits"), ==, 0);
  g_assert_cmpuint (get_stat (harness->sink, "link-drops"), ==, 47);
  check_consumers (harness->sink, 2, 47);

  gated_set_open (slow, TRUE);
  gated_wait_frame (slow, 49);
  harness_push_frame (harness, 50);
  gated_wait_frame (slow, 50);
  g_assert_cmpuint (slow->passed->len, ==, 4);
  g_assert_cmpuint (gated_get (slow, 0).offset, ==, 0);
  g_assert_cmpuint (gated_get (slow, 0).missed, ==, 0);
  g_assert_cmpuint (gated_get (slow, 1).offset, ==, 48);
  g_assert_cmpuint (gated_get (slow, 1).missed, ==, 47);
  g_assert_true (gated_get (slow, 1).flags & GST_BUFFER_FLAG_DISCONT);
  for (i = 2; i < 4; i++) {
    g_assert_cmpuint (gated_get (slow, i).offset, ==, 47 + i);
    g_assert_cmpuint (gated_get (slow, i).missed, ==, 0);
    g_assert_false (gated_get (slow, i).flags & GST_BUFFER_FLAG_DISCONT);
  }
  g_assert_cmpuint (pipe_get_stat (slow->pipe, "src", "missed"), ==, 47);
  gst_message_unref (wait_qos (slow_bus, 2, 47));
  message = wait_qos (bus, 3, 1);
  g_assert_true (gst_structure_get_uint (gst_message_get_structure (message),
          "pid", &pid));
  g_assert_cmpuint (pid, ==, getpid ());
  gst_message_unref (message);
  gst_object_unref (slow_bus);
  gated_free (slow);
  pipe_free (fast);
  /* Messages refer to the sink, which refers to the bus. */
  gst_element_set_bus (harness->sink, NULL);
  harness_free (harness);
  gst_object_unref (bus);
}

static gpointer
push_five (gpointer data)
{
  guint i;

  for (i = 0; i < 5; i++)
    harness_push_frame (data, i);
  return NULL;
}

/* Any other stream waits; until leaky-type is changed. */
static void
test_not_live (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *harness = harness_new (path, "max-buffers", 2, NULL);
  GThread *thread;
  Gated *slow;

  harness_start (harness, HARNESS_CAPS);
  slow = gated_new (path, TRUE);
  harness_wait_clients (harness, 1);
  thread = g_thread_new ("push", push_five, harness);
  gated_wait_held_up (slow);
  while (get_stat (harness->sink, "waits") == 0)
    g_usleep (1000);
  g_assert_cmpuint (get_stat (harness->sink, "frames"), ==, 2);
  g_assert_cmpuint (get_stat (harness->sink, "link-drops"), ==, 0);
  gst_util_set_object_arg (G_OBJECT (harness->sink), "leaky-type", "upstream");
  g_thread_join (thread);
  g_assert_cmpuint (get_stat (harness->sink, "link-drops"), ==, 3);
  gated_set_open (slow, TRUE);
  gated_wait_frame (slow, 1);
  harness_push_frame (harness, 5);
  gated_wait_frame (slow, 5);
  g_assert_cmpuint (gated_get (slow, 2).missed, ==, 3);
  gated_free (slow);
  harness_free (harness);
}

/* What refers to a frame that is missing is of no use. */
static void
test_key_unit (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *harness = harness_new (path, "max-buffers", 1, NULL);
  GstEvent *event;
  Gated *slow;
  guint i;

  gst_util_set_object_arg (G_OBJECT (harness->sink), "leaky-type",
      "downstream");
  harness_start (harness, "video/x-h264");
  slow = gated_new (path, TRUE);
  harness_wait_clients (harness, 1);
  harness_try_push_frame (harness, 0, 0);
  gated_wait_held_up (slow);
  for (i = 1; i < 6; i++)
    harness_try_push_frame (harness, i, GST_BUFFER_FLAG_DELTA_UNIT);
  gated_set_open (slow, TRUE);
  /* It gives the first one back, and gets the next only then. */
  gated_wait_frame (slow, 0);
  while (pipe_get_stat (slow->pipe, "src", "held") > 0)
    g_usleep (1000);
  harness_try_push_frame (harness, 6, GST_BUFFER_FLAG_DELTA_UNIT);
  event = harness_pull_upstream (harness, GST_EVENT_CUSTOM_UPSTREAM);
  g_assert_true (gst_event_has_name (event, "GstForceKeyUnit"));
  gst_event_unref (event);
  harness_try_push_frame (harness, 7, 0);
  gated_wait_frame (slow, 7);
  g_assert_cmpuint (slow->passed->len, ==, 2);
  g_assert_true (gated_get (slow, 1).flags & GST_BUFFER_FLAG_DISCONT);
  /* The first one is copied, as it is all that this side may hold; if it was given back in time, frame 5 was there. */
  g_assert_cmpuint (gated_get (slow, 1).missed, >=, 4);
  g_assert_cmpuint (gated_get (slow, 1).missed, <=, 5);
  gated_free (slow);
  harness_free (harness);
}

/* Many come and go at any moment; one sees all frames the whole time. */
static void
test_many (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc is-live=true ! video/x-raw,"
      "width=64,height=48,framerate=100/1 ! mmapsink name=sink "
      "socket-path=%s", path);
  Pipe *steady =
      pipe_new ("mmapsrc name=src socket-path=%s ! fakesink name=out "
      "sync=false", path);
  Pipe *pipes[32];
  guint n = G_N_ELEMENTS (pipes), rounds = pipe_rounds (4), i, j, seen = 0;

  pipe_play (steady);
  pipe_play (producer);
  for (i = 0; i < n; i++) {
    pipes[i] = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
        "sync=false async=false", path);
    pipe_play (pipes[i]);
  }
  pipe_wait_uint (producer, "sink", "num-clients", n + 1);
  for (j = 0; j < rounds; j++) {
    for (i = j % 2; i < n; i += 2) {
      pipe_wait_frames (pipes[i], 1);
      pipe_free (pipes[i]);
      pipes[i] = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
          "sync=false async=false", path);
      pipe_play (pipes[i]);
    }
  }
  for (i = 0; i < n; i++) {
    pipe_wait_frames (pipes[i], 3);
    pipe_free (pipes[i]);
  }
  pipe_wait_uint (producer, "sink", "num-clients", 1);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "copied"), ==, 0);
  pipe_wait_frames (steady, pipe_get_stat (producer, "sink", "frames")
      - pipe_get_stat (producer, "sink", "unsent")
      - pipe_get_stat (steady, "src", "missed"));
  for (i = 1; i < steady->frames->len; i++)
    seen += pipe_get_frame (steady, i)->offset
        - pipe_get_frame (steady, i - 1)->offset - 1;
  g_test_message ("%u frames, %u missed", steady->frames->len, seen);
  pipe_free (steady);
  pipe_free (producer);
}

/* Who takes the running times of a stream that doesn't wait, as they are, is warned, once. */
static void
test_live_for_not_live (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *harness = harness_new (path, "max-buffers", 3, NULL);
  GError *error = NULL;
  GstMessage *message;
  Gated *slow;
  GstBus *bus;
  guint i, n = 0;

  gst_harness_set_live (harness->harness, TRUE);
  harness_start (harness, HARNESS_CAPS);
  slow = gated_new (path, FALSE);
  bus = gst_element_get_bus (slow->pipe->pipeline);
  harness_wait_clients (harness, 1);
  for (i = 0; i < 2; i++) {
    guint end = n + 10;

    harness_push_frame (harness, n++);
    gated_wait_held_up (slow);
    while (n < end)
      harness_push_frame (harness, n++);
    gated_set_open (slow, TRUE);
    gated_wait_frame (slow, n - 1);
    gated_set_open (slow, FALSE);
  }
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);
  g_assert_nonnull (message);
  gst_message_parse_warning (message, &error, NULL);
  g_assert_error (error, GST_CORE_ERROR, GST_CORE_ERROR_CLOCK);
  g_assert_nonnull (strstr (error->message, "is-live=true"));
  g_error_free (error);
  gst_message_unref (message);
  g_assert_null (gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING));
  g_assert_cmpuint (get_stat (pipe_get (slow->pipe, "src"), "missed"), >, 8);
  gst_object_unref (bus);
  gated_free (slow);
  harness_free (harness);
}

static void
add_tests (void)
{
  leak_check_add_test ("/leaky/live", test_live);
  leak_check_add_test ("/leaky/not-live", test_not_live);
  leak_check_add_test ("/leaky/live-for-not-live", test_live_for_not_live);
  leak_check_add_test ("/leaky/key-unit", test_key_unit);
  leak_check_add_test ("/leaky/many", test_many);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
