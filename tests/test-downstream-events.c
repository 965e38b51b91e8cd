/* gst-mmap: tests of events that go from mmapsink to mmapsrc
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the test pushes into a mmapsink is compared with what comes out of a mmapsrc.
 */
#include "harness.h"
#include "leak-check.h"
#include "pipe.h"
#include "traffic.h"

#include <gst/base/gstbasesink.h>
#include <gst/base/gstbasesrc.h>
#include <gst/video/video.h>
#include <string.h>

static GstEvent *
make_custom (GstEventType type, const char *name, gint number)
{
  return gst_event_new_custom (type, gst_structure_new (name, "number",
          G_TYPE_INT, number, NULL));
}

static GstEvent *
make_tag (GstTagScope scope, const char *title)
{
  GstTagList *tags = gst_tag_list_new (GST_TAG_TITLE, title, NULL);

  gst_tag_list_set_scope (tags, scope);
  return gst_event_new_tag (tags);
}

static GstEvent *
make_toc (const char *uid)
{
  GstToc *toc = gst_toc_new (GST_TOC_SCOPE_CURRENT);
  GstTocEntry *entry = gst_toc_entry_new (GST_TOC_ENTRY_TYPE_CHAPTER, uid);
  GstEvent *event;

  gst_toc_entry_set_start_stop_times (entry, 5, 6);
  gst_toc_append_entry (toc, entry);
  event = gst_event_new_toc (toc, FALSE);
  gst_toc_unref (toc);
  return event;
}

static GstEvent *
make_collection (void)
{
  GstStreamCollection *collection = gst_stream_collection_new ("up");
  GstEvent *event;

  gst_stream_collection_add_stream (collection, gst_stream_new ("up/1", NULL,
          GST_STREAM_TYPE_AUDIO, GST_STREAM_FLAG_NONE));
  event = gst_event_new_stream_collection (collection);
  gst_object_unref (collection);
  return event;
}

static GstEvent *
make_protection (void)
{
  GstBuffer *data = gst_buffer_new_memdup ("key", 3);
  GstEvent *event = gst_event_new_protection ("system", data, "origin");

  gst_buffer_unref (data);
  return event;
}

static GstEvent *
make_segment (guint64 start, guint64 base)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = start;
  segment.base = base;
  return gst_event_new_segment (&segment);
}

/* Every type there is, between frames. */
static void
push_all (Harness * producer)
{
  harness_push_frame (producer, 0);
  harness_push_event (producer, make_tag (GST_TAG_SCOPE_STREAM, "stream"));
  harness_push_event (producer, make_tag (GST_TAG_SCOPE_GLOBAL, "global"));
  harness_push_frame (producer, 1);
  harness_push_event (producer, make_collection ());
  harness_push_event (producer, make_toc ("one"));
  harness_push_event (producer, make_protection ());
  harness_push_event (producer, gst_event_new_gap (2 * GST_SECOND, 1));
  harness_push_event (producer, make_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
          "x-serialised", 1));
  harness_push_event (producer, make_custom (GST_EVENT_CUSTOM_BOTH, "x-both",
          2));
  harness_push_frame (producer, 2);
  harness_push_event (producer,
      make_custom (GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, "x-one", 3));
  harness_push_event (producer,
      make_custom (GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, "x-two", 4));
  harness_push_event (producer,
      make_custom (GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, "x-one", 5));
  harness_push_event (producer, make_segment (GST_SECOND, 3 * GST_SECOND));
  harness_push_event (producer,
      gst_video_event_new_downstream_force_key_unit (GST_SECOND, GST_SECOND,
          3 * GST_SECOND, TRUE, 7));
  harness_push_frame (producer, 3);
  harness_push_event (producer,
      gst_event_new_segment_done (GST_FORMAT_TIME, 4 * GST_SECOND));
}

static void
test_in_order (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, NULL);
  Traffic *before = traffic_new (producer->sink, "sink");
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s is-live=false ! fakesink "
      "name=out sync=false", path);
  Traffic *after = traffic_new (pipe_get (consumer, "out"), "sink");

  harness_start (producer, HARNESS_CAPS);
  pipe_play (consumer);
  push_all (producer);
  harness_push_event (producer, gst_event_new_stream_group_done (9));
  harness_push_event (producer, gst_event_new_eos ());
  pipe_wait_eos (consumer);
  traffic_assert_same (before, after);
  pipe_free (consumer);
  harness_free (producer);
  traffic_free (before);
  traffic_free (after);
}

/* A second one is told what the first has heard that still holds, once, before its first frame. */
static void
test_late_consumer (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, NULL);
  GstPad *pad = GST_BASE_SINK_PAD (producer->sink);
  g_autofree char *expected = NULL, *heard = NULL;
  Pipe *consumers[2];
  Traffic *after;
  guint i;

  for (i = 0; i < 2; i++)
    consumers[i] = pipe_new ("mmapsrc socket-path=%s is-live=false ! fakesink "
        "name=out sync=false", path);
  after = traffic_new (pipe_get (consumers[1], "out"), "sink");
  harness_start (producer, HARNESS_CAPS);
  pipe_play (consumers[0]);
  push_all (producer);
  pipe_wait_frames (consumers[0], 4);

  pipe_play (consumers[1]);
  harness_wait_clients (producer, 2);
  harness_push_frame (producer, 4);
  pipe_wait_frames (consumers[1], 1);
  g_assert_cmpuint (pipe_get_frame (consumers[1], 0)->offset, ==, 4);
  expected = traffic_sticky (pad);
  heard = traffic_before_frames (after);
  if (strcmp (expected, heard) != 0)
    g_error ("expected:\n%sbut there was:\n%s", expected, heard);
  /* The last one of its name, and nothing that held for a moment. */
  g_assert_nonnull (strstr (heard, "x-one, number=(int)5"));
  g_assert_null (strstr (heard, "x-serialised"));
  for (i = 0; i < 2; i++)
    pipe_free (consumers[i]);
  harness_free (producer);
  traffic_free (after);
}

static GstPadProbeReturn
relink (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstPad *peer = gst_pad_get_peer (pad);

  g_assert_true (gst_pad_unlink (pad, peer));
  g_assert_cmpint (gst_pad_link (pad, data), ==, GST_PAD_LINK_OK);
  gst_object_unref (peer);
  return GST_PAD_PROBE_REMOVE;
}

/* Another element is linked while frames flow: it hears the same, not what the base class made up. */
static void
test_relink (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, NULL);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s is-live=false ! "
      "fakesink name=out sync=false fakesink name=other async=false sync=false",
      path);
  Traffic *after = traffic_new (pipe_get (consumer, "other"), "sink");
  Traffic *first = traffic_new (pipe_get (consumer, "out"), "sink");
  g_autofree char *expected = NULL, *heard = NULL;
  guint i;

  harness_start (producer, HARNESS_CAPS);
  pipe_play (consumer);
  push_all (producer);
  /* mmapsrc stops to listen to its own events when some frames have passed. */
  for (i = 4; i < 10; i++)
    harness_push_frame (producer, i);
  traffic_wait (first, GST_EVENT_UNKNOWN, 10);
  gst_pad_add_probe (GST_BASE_SRC_PAD (pipe_get (consumer, "src")),
      GST_PAD_PROBE_TYPE_IDLE, relink, after->pad, NULL);
  /* A frame may be on its way. */
  harness_push_frame (producer, 10);
  harness_push_frame (producer, 11);
  traffic_wait (after, GST_EVENT_UNKNOWN, 1);
  expected = traffic_sticky (GST_BASE_SINK_PAD (producer->sink));
  heard = traffic_before_frames (after);
  g_assert_cmpstr (expected, ==, heard);
  pipe_free (consumer);
  harness_free (producer);
  traffic_free (first);
  traffic_free (after);
}

/* Out of band: at once, although the consumer takes no frames. */
static void
test_out_of_band (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, NULL);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s is-live=false ! fakesink "
      "name=out sync=false", path);
  Traffic *after = traffic_new (pipe_get (consumer, "out"), "sink");

  harness_start (producer, HARNESS_CAPS);
  gst_element_set_state (consumer->pipeline, GST_STATE_PAUSED);
  harness_push_frame (producer, 0);
  pipe_set_state (consumer, GST_STATE_PAUSED);
  harness_push_frame (producer, 1);
  harness_push_event (producer, make_custom (GST_EVENT_CUSTOM_DOWNSTREAM_OOB,
          "x-oob", 1));
  harness_push_event (producer, make_custom (GST_EVENT_CUSTOM_BOTH_OOB,
          "x-both", 2));
  harness_push_event (producer, gst_event_new_instant_rate_change (2.0, 0));
  traffic_wait (after, GST_EVENT_CUSTOM_DOWNSTREAM_OOB, 1);
  traffic_wait (after, GST_EVENT_CUSTOM_BOTH_OOB, 1);
  traffic_wait (after, GST_EVENT_INSTANT_RATE_CHANGE, 1);
  g_assert_cmpuint (traffic_count (after, GST_EVENT_UNKNOWN), ==, 1);
  pipe_free (consumer);
  harness_free (producer);
  traffic_free (after);
}

/* Queries that upstream makes in order with the frames: mmapsink answers them itself, at once, whatever consumers hold. */
static void
test_serialised_queries (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, NULL);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s is-live=false ! fakesink "
      "name=out sync=false", path);
  GstQuery *drain = gst_query_new_drain ();
  GstQuery *custom = gst_query_new_custom (GST_QUERY_CUSTOM,
      gst_structure_new_empty ("x-question"));

  harness_start (producer, HARNESS_CAPS);
  gst_element_set_state (consumer->pipeline, GST_STATE_PAUSED);
  harness_push_frame (producer, 0);
  harness_push_frame (producer, 1);
  g_assert_true (gst_pad_peer_query (producer->harness->srcpad, drain));
  g_assert_false (gst_pad_peer_query (producer->harness->srcpad, custom));
  gst_query_unref (drain);
  gst_query_unref (custom);
  pipe_free (consumer);
  harness_free (producer);
}

/* An event that carries a message for the application is for that of the producer. */
static void
test_message (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, NULL);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s is-live=false ! fakesink "
      "name=out sync=false", path);
  Traffic *after = traffic_new (pipe_get (consumer, "out"), "sink");
  GstMessage *message = gst_message_new_application (NULL,
      gst_structure_new_empty ("x-message")), *posted;
  GstBus *bus = gst_bus_new ();

  gst_element_set_bus (producer->sink, bus);
  harness_start (producer, HARNESS_CAPS);
  pipe_play (consumer);
  harness_push_frame (producer, 0);
  harness_push_event (producer, gst_event_new_sink_message ("x", message));
  harness_push_frame (producer, 1);
  pipe_wait_frames (consumer, 2);
  posted = gst_bus_pop_filtered (bus, GST_MESSAGE_APPLICATION);
  g_assert_true (posted == message);
  g_assert_cmpuint (traffic_count (after, GST_EVENT_SINK_MESSAGE), ==, 0);
  gst_message_unref (posted);
  gst_message_unref (message);
  gst_element_set_bus (producer->sink, NULL);
  gst_object_unref (bus);
  pipe_free (consumer);
  harness_free (producer);
  traffic_free (after);
}

static void
add_tests (void)
{
  leak_check_add_test ("/downstream/in-order", test_in_order);
  leak_check_add_test ("/downstream/late-consumer", test_late_consumer);
  leak_check_add_test ("/downstream/relink", test_relink);
  leak_check_add_test ("/downstream/out-of-band", test_out_of_band);
  leak_check_add_test ("/downstream/serialised-queries",
      test_serialised_queries);
  leak_check_add_test ("/downstream/message", test_message);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
