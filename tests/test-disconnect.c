/* gst-mmap: tests of mmapsrc when its producer goes, comes back, is stopped, or was never there; and of mmapsink likewise
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The side that goes is a process of its own, a gst-launch-1.0; the other is here. More of both sides as processes: launch-Disconnects.
 */
#include "child.h"
#include "harness.h"
#include "leak-check.h"
#include "pipe.h"
#include "traffic.h"

#include <gio/gunixfdlist.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define VIDEO "video/x-raw,format=GRAY8,width=64,height=48,framerate=200/1"
#define OTHER_VIDEO "video/x-raw,format=I420,width=32,height=24,framerate=200/1"

/* Long enough for whoever is running to do something that can be seen. No test fails because it is too short. */
#define MOMENT_US (100 * G_TIME_SPAN_MILLISECOND)

static Child *
live_producer (const char *path, const char *caps)
{
  return child_new ("videotestsrc is-live=true ! %s ! mmapsink socket-path=%s",
      caps, path);
}

static Pipe *
consumer_new (const char *path, const char *options)
{
  return pipe_new ("mmapsrc name=src socket-path=%s %s ! "
      "fakesink name=out sync=false async=false", path, options);
}

static guint
count_frames (Pipe * pipe)
{
  guint n;

  g_mutex_lock (&pipe->lock);
  n = pipe->frames->len;
  g_mutex_unlock (&pipe->lock);
  return n;
}

static guint
wait_more_frames (Pipe * pipe, guint n)
{
  guint before = count_frames (pipe);

  pipe_wait_frames (pipe, before + n);
  return before;
}

static GstMessage *
pop_message (Pipe * pipe, GstMessageType types, GstClockTime timeout)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipe->pipeline);

  return gst_bus_timed_pop_filtered (bus, timeout, types);
}

/* The next element message is @name; nothing else ends or fails before it. Returns: (transfer full) */
static GstStructure *
wait_element (Pipe * pipe, const char *name)
{
  g_autoptr (GstMessage) message = pop_message (pipe,
      GST_MESSAGE_ELEMENT | GST_MESSAGE_ERROR | GST_MESSAGE_EOS, PIPE_TIMEOUT);

  if (!message)
    g_error ("waited in vain for %s", name);
  g_assert_cmpstr (GST_MESSAGE_TYPE_NAME (message), ==, "element");
  g_assert_cmpstr (gst_structure_get_name (gst_message_get_structure (message)),
      ==, name);
  return gst_structure_copy (gst_message_get_structure (message));
}

static void
expect_element (Pipe * pipe, const char *name)
{
  gst_structure_free (wait_element (pipe, name));
}

static void
expect_disconnected (Pipe * pipe, const char *action)
{
  g_autoptr (GstStructure) structure = wait_element (pipe, "mmap-disconnected");

  g_assert_cmpstr (gst_structure_get_string (structure, "action"), ==, action);
  g_assert_cmpstr (gst_structure_get_string (structure, "reason"), ==,
      "closed");
}

/* Neither messages of the element nor an end. */
static void
expect_silence (Pipe * pipe)
{
  g_autoptr (GstMessage) message = pop_message (pipe,
      GST_MESSAGE_ELEMENT | GST_MESSAGE_ERROR | GST_MESSAGE_EOS, 0);

  if (message)
    g_error ("unexpected: %s", GST_MESSAGE_TYPE_NAME (message));
}

static void
expect_error (Pipe * pipe, GstResourceError code, const char *words,
    const char *reason)
{
  g_autoptr (GstMessage) message = pop_message (pipe, GST_MESSAGE_ERROR,
      PIPE_TIMEOUT);
  g_autoptr (GError) error = NULL;
  g_autofree gchar *debug = NULL;

  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, &debug);
  g_assert_error (error, GST_RESOURCE_ERROR, (gint) code);
  if (!strstr (error->message, words))
    g_error ("'%s' doesn't say '%s'", error->message, words);
  if (!g_str_has_suffix (debug, reason))
    g_error ("'%s' doesn't end with '%s'", debug, reason);
}

/* --- on-disconnect --- */

/* However the producer ends, the consumer goes on with the next one: other caps, a discontinuity, no frame of the one before. */
static void
test_wait (void)
{
  static const int signals[] = { SIGKILL, SIGSEGV, SIGTERM, SIGINT };
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path, "");
  Traffic *traffic = traffic_new (pipe_get (consumer, "src"), "src");
  g_autoptr (GstStructure) connected = NULL, before = NULL;
  guint64 session, session_before;
  guint i;

  consumer->hold = TRUE;
  pipe_play (consumer);
  for (i = 0; i < G_N_ELEMENTS (signals); i++) {
    guint first = count_frames (consumer);
    Child *producer = live_producer (path, i % 2 ? OTHER_VIDEO : VIDEO);
    GstBuffer *buffer;

    connected = wait_element (consumer, "mmap-connected");
    g_assert_cmpstr (gst_structure_get_string (connected, "socket-path"), ==,
        path);
    g_assert_true (gst_structure_has_field_typed (connected, "waited",
            G_TYPE_UINT64));
    g_assert_true (gst_structure_get_uint64 (connected, "session", &session));
    if (before) {
      gst_structure_get_uint64 (before, "session", &session_before);
      g_assert_cmpuint (session, !=, session_before);
    }
    pipe_wait_frames (consumer, first + 5);
    g_assert_cmpuint (traffic_count (traffic, GST_EVENT_STREAM_START), ==,
        i + 1);
    g_assert_cmpuint (traffic_count (traffic, GST_EVENT_CAPS), ==, i + 1);
    child_end (producer, signals[i]);
    expect_disconnected (consumer, "wait");
    /* Nothing comes any more. */
    g_assert_nonnull (strstr (pipe_get_frame (consumer, first)->caps,
            i % 2 ? "I420" : "GRAY8"));
    g_assert_cmpuint (pipe_get_frame (consumer, first)->size, ==,
        i % 2 ? 32 * 24 * 3 / 2 : 64 * 48);
    buffer = g_ptr_array_index (consumer->held, first);
    g_assert_true (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT));
    buffer = g_ptr_array_index (consumer->held, first + 1);
    g_assert_false (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT));
    g_clear_pointer (&before, gst_structure_free);
    before = g_steal_pointer (&connected);
  }
  expect_silence (consumer);
  g_assert_cmpuint (pipe_get_stat (consumer, "src", "links"), ==, i);
  traffic_free (traffic);
  pipe_free (consumer);
}

/* What each session begins with. */
static void
test_new_session (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path, "");
  Traffic *traffic = traffic_new (pipe_get (consumer, "src"), "src");
  guint i;

  pipe_play (consumer);
  for (i = 0; i < 2; i++) {
    Child *producer = child_new ("videotestsrc is-live=true ! %s ! %s "
        "mmapsink socket-path=%s", VIDEO, i == 0 ?
        "taginject tags=title=first !" : "", path);

    wait_more_frames (consumer, 3);
    child_end (producer, SIGKILL);
    expect_element (consumer, "mmap-connected");
    expect_disconnected (consumer, "wait");
    g_assert_cmpuint (traffic_find (traffic, GST_EVENT_STREAM_START, i + 1), <,
        traffic_find (traffic, GST_EVENT_CAPS, i + 1));
    g_assert_cmpuint (traffic_find (traffic, GST_EVENT_CAPS, i + 1), <,
        traffic_find (traffic, GST_EVENT_SEGMENT, i + 1));
  }
  /* Not of the session before. */
  g_assert_cmpuint (traffic_count (traffic, GST_EVENT_TAG), ==, 1);
  traffic_free (traffic);
  pipe_free (consumer);
}

/* Frames of a live stream have the running times of the instants at which they were made, in each session. */
static void
test_new_session_time (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path, "");
  GstClockTime last = 0;
  guint i, first;

  pipe_play (consumer);
  for (i = 0; i < 2; i++) {
    GstClockTime before =
        gst_element_get_current_running_time (consumer->pipeline);
    Child *producer = live_producer (path, VIDEO);

    first = wait_more_frames (consumer, 3);
    g_assert_cmpuint (pipe_get_frame (consumer, first)->running_time, >,
        MAX (before, last));
    g_assert_cmpuint (pipe_get_frame (consumer, first)->running_time, <,
        gst_element_get_current_running_time (consumer->pipeline));
    child_end (producer, SIGKILL);
    expect_element (consumer, "mmap-connected");
    expect_disconnected (consumer, "wait");
    last = pipe_get_frame (consumer, count_frames (consumer) - 1)->running_time;
  }
  pipe_free (consumer);
}

static void
check_ends (const char *options, const char *action, int signal)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path, options);
  Child *producer;

  pipe_play (consumer);
  /* Who starts first waits in any case. */
  g_usleep (MOMENT_US);
  expect_silence (consumer);
  producer = live_producer (path, VIDEO);
  pipe_wait_frames (consumer, 3);
  child_end (producer, signal);
  expect_element (consumer, "mmap-connected");
  expect_disconnected (consumer, action);
  if (strcmp (action, "eos") == 0)
    pipe_wait_eos (consumer);
  else
    expect_error (consumer, GST_RESOURCE_ERROR_READ, path, "reason: closed");
  pipe_free (consumer);
}

static void
test_eos (void)
{
  check_ends ("on-disconnect=eos", "eos", SIGKILL);
  check_ends ("is-live=false", "eos", SIGINT);
}

static void
test_error (void)
{
  check_ends ("on-disconnect=error", "error", SIGKILL);
}

/* One that isn't live has the producer's own running times; those of the next session come after them, so that nothing goes back. */
static void
test_not_live_waits (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path, "is-live=false on-disconnect=wait");
  guint i, n = 0;

  pipe_play (consumer);
  for (i = 0; i < 3; i++) {
    GstClockTime last = 0;
    Child *producer;

    /* The second comes sooner than its predecessor's frames would have been shown, the third after that. */
    producer = i == 1 ? live_producer (path, VIDEO) :
        child_new ("videotestsrc ! " VIDEO " ! mmapsink sync=false "
        "socket-path=%s", path);
    expect_element (consumer, "mmap-connected");
    wait_more_frames (consumer, 200);
    child_end (producer, SIGKILL);
    expect_disconnected (consumer, "wait");
    if (i == 0)
      g_assert_cmpuint (pipe_get_frame (consumer, 0)->running_time, ==,
          pipe_get_frame (consumer, 0)->pts);
    if (n > 0)
      last = pipe_get_frame (consumer, n - 1)->running_time;
    for (; n < count_frames (consumer); n++) {
      PipeFrame *frame = pipe_get_frame (consumer, n);

      g_assert_cmpuint (frame->running_time, >=, last);
      last = frame->running_time + frame->duration;
    }
  }
  pipe_free (consumer);
}

/* A producer that ends its stream doesn't disconnect. */
static void
test_end_of_stream (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path, "on-disconnect=error");
  Child *producer;

  pipe_play (consumer);
  producer = child_new ("videotestsrc num-buffers=5 ! %s ! mmapsink "
      "socket-path=%s", VIDEO, path);
  expect_element (consumer, "mmap-connected");
  pipe_wait_eos (consumer);
  g_assert_cmpuint (count_frames (consumer), ==, 5);
  child_finish (producer);
  expect_silence (consumer);
  pipe_free (consumer);
}

/* --- what was sent is handed on --- */

#define FRAME_BYTES 16
#define N_FRAMES 20

static GstPadProbeReturn
stay (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  return GST_PAD_PROBE_OK;
}

/* A consumer that is held up when it gets the first frame, until the probe is removed. */
static gulong
hold_up (Pipe * pipe)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (pipe_get (pipe, "src"),
      "src");

  return gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BLOCK |
      GST_PAD_PROBE_TYPE_BUFFER, stay, NULL, NULL);
}

static void
let_go (Pipe * pipe, gulong probe)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (pipe_get (pipe, "src"),
      "src");

  gst_pad_remove_probe (pad, probe);
}

/* Whether frame @number was the last that came. */
static gboolean
has_arrived (Pipe * pipe, guint8 number)
{
  guint8 last = 0;

  g_mutex_lock (&pipe->lock);
  if (pipe->held->len > 0)
    gst_buffer_extract (g_ptr_array_index (pipe->held, pipe->held->len - 1), 0,
        &last, 1);
  g_mutex_unlock (&pipe->lock);
  return last == number;
}

/* The producer is killed while one consumer is far behind: it gets every frame, in its order, before the end. */
static void
check_handed_on (const char *options, const char *action)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *fast = consumer_new (path, "");
  Pipe *slow = consumer_new (path, options);
  gulong probe = hold_up (slow);
  guint8 frame[FRAME_BYTES];
  Child *producer;
  guint i;

  fast->hold = slow->hold = TRUE;
  pipe_play (fast);
  pipe_play (slow);
  producer = child_new_with_input ("fdsrc fd=0 blocksize=%d ! "
      "mmapsink socket-path=%s sync=false", FRAME_BYTES, path);
  for (i = 0; i < N_FRAMES; i++) {
    memset (frame, i, sizeof frame);
    child_write (producer, frame, sizeof frame);
    /* Then both get all that follow. */
    if (i == 0) {
      expect_element (fast, "mmap-connected");
      expect_element (slow, "mmap-connected");
    }
  }
  while (!has_arrived (fast, N_FRAMES - 1))
    g_usleep (1000);
  child_end (producer, SIGKILL);
  expect_disconnected (fast, "wait");
  expect_silence (slow);
  g_assert_cmpuint (count_frames (slow), ==, 0);
  let_go (slow, probe);
  expect_disconnected (slow, action);
  if (strcmp (action, "eos") == 0)
    pipe_wait_eos (slow);
  /* The first goes out as soon as one of them is there. */
  g_assert_cmpuint (count_frames (slow), >=, N_FRAMES - 1);
  for (i = 0; i < slow->held->len; i++) {
    GstBuffer *buffer = g_ptr_array_index (slow->held, i);

    memset (frame, i + N_FRAMES - slow->held->len, sizeof frame);
    g_assert_cmpint (gst_buffer_memcmp (buffer, 0, frame, sizeof frame), ==, 0);
  }
  pipe_free (slow);
  pipe_free (fast);
}

static void
test_handed_on (void)
{
  check_handed_on ("on-disconnect=eos", "eos");
  check_handed_on ("", "wait");
}

/* A producer that waits for room is killed, and the consumer goes on. */
static void
test_killed_blocked (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path, "is-live=false");
  gulong probe = hold_up (consumer);
  g_autofree guint8 *frame = g_malloc0 (4096);
  guint i, n = 0;
  Child *producer;

  consumer->hold = TRUE;
  pipe_play (consumer);
  producer = child_new_with_input ("fdsrc fd=0 blocksize=4096 ! "
      "application/x-test ! mmapsink socket-path=%s sync=false size=300000",
      path);
  child_write (producer, frame, 4096);
  expect_element (consumer, "mmap-connected");
  do {
    n++;
    memset (frame, n, 4096);
  } while (child_try_write (producer, frame, 4096, MOMENT_US));
  child_end (producer, SIGKILL);
  let_go (consumer, probe);
  expect_disconnected (consumer, "eos");
  pipe_wait_eos (consumer);
  g_assert_cmpuint (consumer->held->len, >, 3);
  g_assert_cmpuint (consumer->held->len, <, n);
  for (i = 0; i < consumer->held->len; i++) {
    memset (frame, i, 4096);
    g_assert_cmpint (gst_buffer_memcmp (g_ptr_array_index (consumer->held, i),
            0, frame, 4096), ==, 0);
  }
  pipe_free (consumer);
}

/* Killed before it has a stream, while a consumer that isn't live prerolls. The next one may be another kind of stream. */
static void
test_killed_in_handshake (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s is-live=false "
      "on-disconnect=error ! fakesink name=out sync=false", path);
  GstState state;
  Child *producer;
  guint i;

  g_assert_cmpint (gst_element_set_state (consumer->pipeline, GST_STATE_PAUSED),
      ==, GST_STATE_CHANGE_ASYNC);
  for (i = 0; i < 2; i++) {
    producer = child_new_with_input ("fdsrc fd=0 ! mmapsink socket-path=%s",
        path);
    child_wait_text (producer, "accepts");
    if (i == 1)
      kill (producer->pid, SIGSTOP);
    child_end (producer, SIGKILL);
  }
  expect_silence (consumer);
  g_assert_cmpint (gst_element_get_state (consumer->pipeline, &state, NULL, 0),
      ==, GST_STATE_CHANGE_ASYNC);
  producer = live_producer (path, VIDEO);
  pipe_set_state (consumer, GST_STATE_PAUSED);
  expect_element (consumer, "mmap-connected");
  /* And in PAUSED, with a frame in hand. */
  child_end (producer, SIGKILL);
  g_usleep (MOMENT_US);
  expect_silence (consumer);
  pipe_play (consumer);
  expect_disconnected (consumer, "error");
  expect_error (consumer, GST_RESOURCE_ERROR_READ, path, "reason: closed");
  pipe_free (consumer);
}

/* --- stopped, not dead --- */

static void
check_producer_stopped (const char *options)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path, options);
  Child *producer = live_producer (path, VIDEO);
  guint before;

  child_wait_socket (producer, path);
  pipe_play (consumer);
  expect_element (consumer, "mmap-connected");
  pipe_wait_frames (consumer, 3);
  child_stop (producer);
  g_usleep (MOMENT_US);
  before = count_frames (consumer);
  g_usleep (MOMENT_US);
  g_assert_cmpuint (count_frames (consumer), ==, before);
  expect_silence (consumer);
  child_continue (producer);
  pipe_wait_frames (consumer, before + 3);
  expect_silence (consumer);
  g_assert_cmpuint (pipe_get_stat (consumer, "src", "links"), ==, 1);
  child_stop (producer);
  child_end (producer, SIGKILL);
  expect_disconnected (consumer, strstr (options, "error") ? "error" :
      strstr (options, "eos") ? "eos" : "wait");
  pipe_free (consumer);
}

/* A producer that stands still is waited for, whatever happens with one that has gone, and however short the wait for that is. */
static void
test_producer_stopped (void)
{
  check_producer_stopped ("on-disconnect=error reconnect-timeout=0");
  check_producer_stopped ("on-disconnect=eos");
  check_producer_stopped ("");
}

/* Found, but asleep: the link comes up when it wakes. */
static void
test_producer_stopped_in_handshake (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path, "");
  Child *producer = live_producer (path, VIDEO);

  child_wait_socket (producer, path);
  child_stop (producer);
  pipe_play (consumer);
  g_usleep (MOMENT_US);
  expect_silence (consumer);
  child_continue (producer);
  expect_element (consumer, "mmap-connected");
  pipe_wait_frames (consumer, 3);
  child_end (producer, SIGKILL);
  pipe_free (consumer);
}

static void
wait_stat (Pipe * pipe, const char *field, guint64 more)
{
  guint64 goal = pipe_get_stat (pipe, "sink", field) + more;

  while (pipe_get_stat (pipe, "sink", field) < goal)
    g_usleep (1000);
}

/* A consumer that stands still loses nothing when it goes on; and nobody hangs when it is killed, which the producer waits for. */
static void
test_consumer_stopped (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! " VIDEO " ! mmapsink name=sink "
      "socket-path=%s sync=false", path);
  Child *consumer = child_new ("mmapsrc socket-path=%s ! fakesink sync=false",
      path);
  guint64 frames;

  pipe_play (producer);
  pipe_wait_uint (producer, "sink", "num-clients", 1);
  wait_stat (producer, "frames", 10);
  child_stop (consumer);
  do {
    frames = pipe_get_stat (producer, "sink", "frames");
    g_usleep (MOMENT_US);
  } while (pipe_get_stat (producer, "sink", "frames") != frames);
  pipe_wait_uint (producer, "sink", "num-clients", 1);
  child_continue (consumer);
  wait_stat (producer, "frames", 1000);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "links"), ==, 1);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "unsent"), ==, 0);

  child_stop (consumer);
  do {
    frames = pipe_get_stat (producer, "sink", "frames");
    g_usleep (MOMENT_US);
  } while (pipe_get_stat (producer, "sink", "frames") != frames);
  child_end (consumer, SIGKILL);
  pipe_wait_uint (producer, "sink", "num-clients", 0);
  consumer = child_new ("mmapsrc socket-path=%s ! fakesink sync=false", path);
  wait_stat (producer, "frames", 10);
  child_end (consumer, SIGSEGV);
  pipe_wait_uint (producer, "sink", "num-clients", 0);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "links"), ==, 2);
  pipe_free (producer);
}

/* With a leaky-type nobody waits for one that stands still; when it goes on, it is served again, through the same link. */
static void
check_consumer_stopped_leaky (const char *leaky_type)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! " VIDEO " ! mmapsink name=sink "
      "socket-path=%s sync=false max-buffers=3 leaky-type=%s", path,
      leaky_type);
  Child *consumer = child_new ("mmapsrc socket-path=%s ! fakesink sync=false",
      path);
  guint64 drops;

  pipe_play (producer);
  pipe_wait_uint (producer, "sink", "num-clients", 1);
  wait_stat (producer, "frames", 10);
  child_stop (consumer);
  drops = pipe_get_stat (producer, "sink", "link-drops");
  wait_stat (producer, "frames", 1000);
  /* It holds three, and may have been about to read others. */
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "link-drops"), >=,
      drops + 900);
  pipe_wait_uint (producer, "sink", "num-clients", 1);
  child_continue (consumer);
  /* Of many frames in turn none is dropped only if it takes them. */
  do {
    drops = pipe_get_stat (producer, "sink", "link-drops");
    wait_stat (producer, "frames", 1);
  } while (pipe_get_stat (producer, "sink", "link-drops") != drops);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "links"), ==, 1);
  child_stop (consumer);
  child_end (consumer, SIGKILL);
  pipe_wait_uint (producer, "sink", "num-clients", 0);
  pipe_free (producer);
}

static void
test_consumer_stopped_leaky (void)
{
  check_consumer_stopped_leaky ("upstream");
  check_consumer_stopped_leaky ("downstream");
}

/* What a sink in this process may be sent: what the child accepts, once it has said HELLO. */
static void
wait_accepts (Harness * producer, gboolean anything)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (producer->sink, "sink");
  gboolean any;

  do {
    g_autoptr (GstCaps) caps = gst_pad_query_caps (pad, NULL);

    any = gst_caps_is_any (caps);
    g_usleep (1000);
  } while (any != anything);
}

static guint64
get_timeouts (Harness * producer)
{
  g_autoptr (GstStructure) stats = NULL, failures = NULL;
  guint64 n = 0;

  g_object_get (producer->sink, "stats", &stats, NULL);
  gst_structure_get (stats, "handshake-failures", GST_TYPE_STRUCTURE, &failures,
      NULL);
  gst_structure_get_uint64 (failures, "timeout", &n);
  return n;
}

/* Killed, then stopped, between HELLO and answer, so long that it is refused: it asks again when it goes on, and fails not. */
static void
test_consumer_in_handshake (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, "wait-for-connection", FALSE, NULL);
  Child *consumer = NULL;
  guint i;

  for (i = 0; i < 2; i++) {
    consumer = child_new ("mmapsrc socket-path=%s ! " HARNESS_CAPS
        " ! fakesink sync=false", path);
    wait_accepts (producer, FALSE);
    if (i == 0) {
      child_end (consumer, SIGKILL);
      wait_accepts (producer, TRUE);
    }
  }
  child_stop (consumer);
  harness_start (producer, HARNESS_CAPS);
  harness_push_frame (producer, 0);
  while (get_timeouts (producer) == 0)
    g_usleep (1000);
  child_continue (consumer);
  harness_wait_clients (producer, 1);
  harness_push_frame (producer, 1);
  child_end (consumer, SIGKILL);
  harness_wait_clients (producer, 0);
  harness_push_frame (producer, 2);
  harness_free (producer);
}

/* --- reconnect-timeout --- */

static void
test_timeout (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path, "reconnect-timeout=100000000");
  Child *producer;

  pipe_play (consumer);
  expect_error (consumer, GST_RESOURCE_ERROR_NOT_FOUND, path,
      "reason: not-found");
  pipe_free (consumer);

  /* Not at all, but who is there is found. */
  producer = live_producer (path, VIDEO);
  child_wait_socket (producer, path);
  consumer = consumer_new (path, "reconnect-timeout=0");
  pipe_play (consumer);
  pipe_wait_frames (consumer, 3);
  child_end (producer, SIGKILL);
  expect_element (consumer, "mmap-connected");
  expect_disconnected (consumer, "wait");
  expect_error (consumer, GST_RESOURCE_ERROR_NOT_FOUND, "No other producer",
      "reason: not-found");
  pipe_free (consumer);

  /* It can be changed while somebody waits. */
  consumer = consumer_new (path, "");
  pipe_play (consumer);
  g_usleep (MOMENT_US);
  expect_silence (consumer);
  g_object_set (pipe_get (consumer, "src"), "reconnect-timeout",
      (gint64) 0, NULL);
  expect_error (consumer, GST_RESOURCE_ERROR_NOT_FOUND, path,
      "reason: not-found");
  pipe_free (consumer);
  unlink (path);
}

/* --- signalling=application --- */

static void
carry (Harness * harness, Pipe * consumer)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GstElement *src = pipe_get (consumer, "src");
  GstCaps *offer = NULL, *answer = NULL;
  gboolean accepted = FALSE;

  g_signal_emit_by_name (harness->sink, "create-offer", fds, &offer);
  g_assert_nonnull (offer);
  g_signal_emit_by_name (src, "accept-offer", offer, fds, &answer);
  g_assert_nonnull (answer);
  g_signal_emit_by_name (harness->sink, "accept-answer", answer, &accepted);
  g_assert_true (accepted);
  gst_caps_unref (offer);
  gst_caps_unref (answer);
}

static Harness *
application_producer (void)
{
  Harness *harness = harness_new (NULL, "signalling", 1, "wait-for-connection",
      FALSE, NULL);

  harness_start (harness, HARNESS_CAPS);
  harness_push_frame (harness, 0);
  return harness;
}

static void
check_application (const char *options, const char *action)
{
  Pipe *consumer = pipe_new ("mmapsrc name=src signalling=application %s ! "
      "fakesink name=out sync=false async=false", options);
  Harness *producer = application_producer ();
  GstStructure *structure;

  pipe_play (consumer);
  carry (producer, consumer);
  structure = wait_element (consumer, "mmap-connected");
  g_assert_false (gst_structure_has_field (structure, "socket-path"));
  gst_structure_free (structure);
  harness_push_frame (producer, 1);
  pipe_wait_frames (consumer, 1);
  harness_free (producer);
  expect_disconnected (consumer, action);
  if (strcmp (action, "eos") == 0) {
    pipe_wait_eos (consumer);
  } else if (strcmp (action, "error") == 0) {
    expect_error (consumer, GST_RESOURCE_ERROR_READ, "application's channel",
        "reason: closed");
  } else {
    /* The message says that the next offer may come. */
    producer = application_producer ();
    carry (producer, consumer);
    expect_element (consumer, "mmap-connected");
    harness_push_frame (producer, 2);
    pipe_wait_frames (consumer, 2);
    harness_free (producer);
    expect_disconnected (consumer, "wait");
    g_object_set (pipe_get (consumer, "src"), "reconnect-timeout",
        (gint64) 0, NULL);
    expect_error (consumer, GST_RESOURCE_ERROR_NOT_FOUND, "No other offer",
        "reason: not-found");
  }
  pipe_free (consumer);
}

static void
test_application (void)
{
  check_application ("", "wait");
  check_application ("on-disconnect=eos", "eos");
  check_application ("on-disconnect=error", "error");
}

static void
add_tests (void)
{
  child_init ();
  leak_check_add_test ("/disconnect/wait", test_wait);
  leak_check_add_test ("/disconnect/new-session", test_new_session);
  leak_check_add_test ("/disconnect/new-session-time", test_new_session_time);
  leak_check_add_test ("/disconnect/eos", test_eos);
  leak_check_add_test ("/disconnect/error", test_error);
  leak_check_add_test ("/disconnect/not-live-waits", test_not_live_waits);
  leak_check_add_test ("/disconnect/end-of-stream", test_end_of_stream);
  leak_check_add_test ("/disconnect/handed-on", test_handed_on);
  leak_check_add_test ("/disconnect/killed-blocked", test_killed_blocked);
  leak_check_add_test ("/disconnect/killed-in-handshake",
      test_killed_in_handshake);
  leak_check_add_test ("/disconnect/producer-stopped", test_producer_stopped);
  leak_check_add_test ("/disconnect/producer-stopped-in-handshake",
      test_producer_stopped_in_handshake);
  leak_check_add_test ("/disconnect/consumer-stopped", test_consumer_stopped);
  leak_check_add_test ("/disconnect/consumer-stopped-leaky",
      test_consumer_stopped_leaky);
  leak_check_add_test ("/disconnect/consumer-in-handshake",
      test_consumer_in_handshake);
  leak_check_add_test ("/disconnect/timeout", test_timeout);
  leak_check_add_test ("/disconnect/application", test_application);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
