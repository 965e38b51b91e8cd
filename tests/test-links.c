/* gst-mmap: tests of events when a side comes, goes, or doesn't listen
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The test is the streaming thread of the producer.
 */
#include "harness.h"
#include "leak-check.h"
#include "pipe.h"
#include "traffic.h"

#include <string.h>

static GstEvent *
make_custom (GstEventType type, const char *name, gint number)
{
  return gst_event_new_custom (type, gst_structure_new (name, "number",
          G_TYPE_INT, number, NULL));
}

static Pipe *
consumer_new (const char *path)
{
  return pipe_new ("mmapsrc name=src socket-path=%s is-live=false "
      "on-disconnect=wait ! fakesink " "name=out sync=false", path);
}

static void
push_flush (Harness * producer)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  harness_push_event (producer, gst_event_new_flush_start ());
  harness_push_event (producer, gst_event_new_flush_stop (TRUE));
  harness_push_event (producer, gst_event_new_segment (&segment));
}

/* What a second producer says is what holds; nothing of the first is left but what GStreamer keeps on its pads. */
static void
test_second_producer (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path);
  Traffic *after = traffic_new (pipe_get (consumer, "out"), "sink");
  guint i;

  pipe_play (consumer);
  for (i = 1; i < 4; i++) {
    Harness *producer = harness_new (path, NULL);
    g_autofree char *id = g_strdup_printf ("stream-%u", i);
    guint frame, start;

    harness_push_event (producer, gst_event_new_stream_start (id));
    harness_start (producer, HARNESS_CAPS);
    harness_push_event (producer,
        make_custom (GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, "x-sticky", i));
    harness_push_frame (producer, 10 * i);
    harness_push_frame (producer, 10 * i + 1);
    pipe_wait_frames (consumer, 2 * i);
    g_assert_cmpuint (pipe_get_frame (consumer, 2 * i - 2)->offset, ==, 10 * i);
    start = traffic_find (after, GST_EVENT_STREAM_START, i);
    frame = traffic_find (after, GST_EVENT_UNKNOWN, 2 * i - 1);
    g_assert_nonnull (strstr (((TrafficItem *) g_ptr_array_index (after->items,
                    start))->text, id));
    g_assert_cmpuint (start, <, traffic_find (after, GST_EVENT_SEGMENT, i));
    g_assert_cmpuint (traffic_find (after, GST_EVENT_SEGMENT, i), <, frame);
    g_assert_cmpuint (traffic_find (after, GST_EVENT_CUSTOM_DOWNSTREAM_STICKY,
            i), <, frame);
    g_assert_cmpuint (traffic_count (after, GST_EVENT_STREAM_START), ==, i);
    g_assert_cmpuint (traffic_count (after, GST_EVENT_SEGMENT), ==, i);
    harness_free (producer);
  }
  g_assert_cmpuint (traffic_count (after, GST_EVENT_EOS), ==, 0);
  pipe_free (consumer);
  traffic_free (after);
}

/* The consumer would wait for ever for the end of a flush whose producer has gone. */
static void
test_producer_goes_in_flush (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = consumer_new (path);
  Traffic *after = traffic_new (pipe_get (consumer, "out"), "sink");
  guint i;

  pipe_play (consumer);
  for (i = 1; i < 5; i++) {
    Harness *producer = harness_new (path, NULL);

    harness_start (producer, HARNESS_CAPS);
    harness_push_frame (producer, i);
    pipe_wait_frames (consumer, i);
    g_assert_cmpuint (pipe_get_frame (consumer, i - 1)->offset, ==, i);
    harness_push_event (producer, gst_event_new_flush_start ());
    traffic_wait (after, GST_EVENT_FLUSH_START, i);
    harness_free (producer);
    traffic_wait (after, GST_EVENT_FLUSH_STOP, i);
  }
  pipe_free (consumer);
  traffic_free (after);
}

static gpointer
flush_all_the_time (gpointer data)
{
  Harness *producer = data;
  guint i;

  for (i = 0; i < 300; i++) {
    push_flush (producer);
    g_usleep (500);
  }
  return NULL;
}

/* At whatever moment of the handshake a flush comes, frames arrive after it. */
static void
test_flush_while_link_comes_up (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, NULL);
  GThread *thread;
  guint i;

  harness_start (producer, HARNESS_CAPS);
  g_object_set (producer->sink, "wait-for-connection", FALSE, NULL);
  harness_push_frame (producer, 0);
  thread = g_thread_new ("flushes", flush_all_the_time, producer);
  for (i = 0; i < 20; i++) {
    Pipe *consumer = pipe_new ("mmapsrc socket-path=%s is-live=false ! "
        "fakesink name=out sync=false", path);

    pipe_play (consumer);
    g_usleep (g_test_rand_int_range (0, 10000));
    pipe_free (consumer);
  }
  for (i = 0; i < 3; i++) {
    Pipe *consumer = pipe_new ("mmapsrc socket-path=%s is-live=false ! "
        "fakesink name=out sync=false", path);

    pipe_play (consumer);
    if (thread)
      g_thread_join (g_steal_pointer (&thread));
    harness_wait_clients (producer, 1);
    harness_push_frame (producer, 77);
    pipe_wait_frames (consumer, 1);
    g_assert_cmpuint (pipe_get_frame (consumer, 0)->offset, ==, 77);
    pipe_free (consumer);
    harness_wait_clients (producer, 0);
  }
  harness_free (producer);
}

/* One consumer's error is its own. */
static void
test_consumer_fails (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc num-buffers=200 ! "
      "video/x-raw,width=64,height=48 ! mmapsink name=sink sync=false "
      "socket-path=%s", path);
  Pipe *good = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false", path);
  Pipe *bad = pipe_new ("mmapsrc socket-path=%s ! identity error-after=5 ! "
      "fakesink sync=false", path);
  g_autoptr (GError) error = NULL;

  pipe_set_state (producer, GST_STATE_PAUSED);
  pipe_play (good);
  pipe_play (bad);
  pipe_wait_uint (producer, "sink", "num-clients", 2);
  pipe_play (producer);
  error = pipe_wait_error (bad);
  /* It may hold frames that the producer needs. */
  pipe_free (bad);
  pipe_wait_eos (good);
  pipe_wait_eos (producer);
  g_assert_cmpuint (good->frames->len, ==, 200);
  pipe_free (good);
  pipe_free (producer);
}

/* Frames go on where they were, as far apart as before, and none is missing. */
static void
test_producer_pauses (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc num-buffers=40 ! video/x-raw,"
      "width=64,height=48,framerate=50/1 ! mmapsink name=sink socket-path=%s",
      path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=true", path);
  GstClockTimeDiff longest = 0;
  guint i;

  pipe_play (consumer);
  pipe_play (producer);
  pipe_wait_frames (consumer, 10);
  pipe_set_state (producer, GST_STATE_PAUSED);
  g_usleep (300000);
  pipe_set_state (producer, GST_STATE_PLAYING);
  pipe_wait_eos (consumer);
  g_assert_cmpuint (consumer->frames->len, ==, 40);
  for (i = 1; i < 40; i++) {
    PipeFrame *frame = pipe_get_frame (consumer, i);
    GstClockTimeDiff diff = GST_CLOCK_DIFF (pipe_get_frame (consumer,
            i - 1)->running_time, frame->running_time);

    g_assert_cmpuint (frame->offset, ==, i);
    g_assert_cmpint (diff, >=, 19 * GST_MSECOND);
    longest = MAX (longest, diff);
  }
  /* The clock of the consumer went on meanwhile. */
  g_assert_cmpint (longest, >=, 300 * GST_MSECOND);
  pipe_free (consumer);
  pipe_free (producer);
}

/* A gap is enough to be ready to play. */
static void
test_gap_prerolls (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, "wait-for-connection", FALSE, NULL);
  Pipe *consumer = consumer_new (path);

  harness_start (producer, HARNESS_CAPS);
  harness_push_frame (producer, 0);
  gst_element_set_state (consumer->pipeline, GST_STATE_PAUSED);
  harness_wait_clients (producer, 1);
  harness_push_event (producer, gst_event_new_gap (0, GST_SECOND));
  pipe_set_state (consumer, GST_STATE_PAUSED);
  g_assert_cmpuint (consumer->frames->len, ==, 0);
  pipe_free (consumer);
  harness_free (producer);
}

/* --- large ones, and many --- */

static GstEvent *
make_large_tag (gsize size)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);
  GstCaps *caps = gst_caps_new_empty_simple ("image/png");
  GstSample *sample;
  GstEvent *event;

  gst_buffer_memset (buffer, 0, 0xa5, size);
  sample = gst_sample_new (buffer, caps, NULL, NULL);
  event = gst_event_new_tag (gst_tag_list_new (GST_TAG_IMAGE, sample, NULL));
  gst_sample_unref (sample);
  gst_buffer_unref (buffer);
  gst_caps_unref (caps);
  return event;
}

static void
test_cover (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, NULL);
  Pipe *consumers[2] = { consumer_new (path), consumer_new (path) };
  Traffic *before = traffic_new (producer->sink, "sink");
  Traffic *after = traffic_new (pipe_get (consumers[0], "out"), "sink");
  Traffic *late = traffic_new (pipe_get (consumers[1], "out"), "sink");

  harness_start (producer, HARNESS_CAPS);
  pipe_play (consumers[0]);
  harness_push_frame (producer, 0);
  harness_push_event (producer, make_large_tag (200 * 1024));
  harness_push_frame (producer, 1);
  pipe_wait_frames (consumers[0], 2);
  traffic_assert_same (before, after);
  pipe_play (consumers[1]);
  harness_wait_clients (producer, 2);
  harness_push_frame (producer, 2);
  pipe_wait_frames (consumers[1], 1);
  g_assert_cmpuint (traffic_count (late, GST_EVENT_TAG), ==, 1);
  pipe_free (consumers[0]);
  pipe_free (consumers[1]);
  harness_free (producer);
  traffic_free (before);
  traffic_free (after);
  traffic_free (late);
}

/* Returns: how many warnings were posted */
static guint
count_warnings (GstBus * bus)
{
  GstMessage *message;
  guint n = 0;

  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING))) {
    gst_message_unref (message);
    n++;
  }
  return n;
}

/* Too large for the region, or too many to be kept: a warning, and the stream goes on. */
static void
test_too_much (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, "size", (guint64) 200000, NULL);
  Pipe *consumers[2] = { consumer_new (path), consumer_new (path) };
  Traffic *late = traffic_new (pipe_get (consumers[1], "out"), "sink");
  GstBus *bus = gst_bus_new ();
  guint kept, i;

  gst_element_set_bus (producer->sink, bus);
  harness_start (producer, HARNESS_CAPS);
  pipe_play (consumers[0]);
  harness_push_frame (producer, 0);
  harness_push_event (producer, make_large_tag (200 * 1024));
  g_assert_cmpuint (count_warnings (bus), ==, 1);
  for (i = 0; i < 100; i++) {
    g_autofree char *name = g_strdup_printf ("x-sticky-%u", i);

    harness_push_event (producer,
        make_custom (GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, name, i));
  }
  harness_push_frame (producer, 1);
  pipe_wait_frames (consumers[0], 2);
  pipe_play (consumers[1]);
  harness_wait_clients (producer, 2);
  harness_push_frame (producer, 2);
  pipe_wait_frames (consumers[1], 1);
  kept = traffic_count (late, GST_EVENT_CUSTOM_DOWNSTREAM_STICKY);
  g_assert_cmpuint (kept, >, 10);
  g_assert_cmpuint (kept + count_warnings (bus), ==, 100);
  pipe_free (consumers[0]);
  pipe_free (consumers[1]);
  gst_element_set_bus (producer->sink, NULL);
  gst_object_unref (bus);
  harness_free (producer);
  traffic_free (late);
}

static gpointer
push_many (gpointer data)
{
  Harness *producer = data;
  guint i;

  for (i = 0; i < 1000; i++)
    if (!gst_harness_push_event (producer->harness,
            make_custom (GST_EVENT_CUSTOM_DOWNSTREAM, "x-many", i)))
      break;
  return GUINT_TO_POINTER (i);
}

/* A consumer that is paused reads no events: then the producer waits, until it plays, or is flushed, or stops. */
static void
test_full_ring (void)
{
  g_autofree char *path = pipe_socket_path ();
  guint end;

  for (end = 0; end < 3; end++) {
    Harness *producer = harness_new (path, NULL);
    Pipe *consumer = consumer_new (path);
    Traffic *after = traffic_new (pipe_get (consumer, "out"), "sink");
    GThread *thread;
    guint n;

    harness_start (producer, HARNESS_CAPS);
    gst_element_set_state (consumer->pipeline, GST_STATE_PAUSED);
    harness_push_frame (producer, 0);
    pipe_set_state (consumer, GST_STATE_PAUSED);
    thread = g_thread_new ("pushes", push_many, producer);
    g_usleep (20000);
    if (end == 0)
      pipe_play (consumer);
    else if (end == 1)
      harness_push_event (producer, gst_event_new_flush_start ());
    else
      gst_element_set_state (producer->sink, GST_STATE_NULL);
    n = GPOINTER_TO_UINT (g_thread_join (thread));
    if (end == 0) {
      g_assert_cmpuint (n, ==, 1000);
      traffic_wait (after, GST_EVENT_CUSTOM_DOWNSTREAM, 1000);
    } else {
      g_assert_cmpuint (n, <, 1000);
    }
    /* And then it goes on. */
    if (end == 1) {
      harness_push_event (producer, gst_event_new_flush_stop (TRUE));
      harness_start (producer, HARNESS_CAPS ", n=(int)2");
      pipe_play (consumer);
      harness_push_frame (producer, 5);
      pipe_wait_frames (consumer, 1);
    }
    pipe_free (consumer);
    harness_free (producer);
    traffic_free (after);
  }
}

static void
add_tests (void)
{
  leak_check_add_test ("/links/second-producer", test_second_producer);
  leak_check_add_test ("/links/producer-goes-in-flush",
      test_producer_goes_in_flush);
  leak_check_add_test ("/links/flush-while-link-comes-up",
      test_flush_while_link_comes_up);
  leak_check_add_test ("/links/consumer-fails", test_consumer_fails);
  leak_check_add_test ("/links/producer-pauses", test_producer_pauses);
  leak_check_add_test ("/links/gap-prerolls", test_gap_prerolls);
  leak_check_add_test ("/links/cover", test_cover);
  leak_check_add_test ("/links/too-much", test_too_much);
  leak_check_add_test ("/links/full-ring", test_full_ring);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
