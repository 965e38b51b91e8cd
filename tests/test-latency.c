/* gst-mmap: tests of the latency that goes from a producer to its consumers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "leak-check.h"
#include "peers.h"
#include "pipe.h"

#include <gst/base/gstbasesink.h>

#define SMALL "video/x-raw,format=I420,width=64,height=48,framerate=50/1"

/* What an element of the producer adds. */
static GstPadProbeReturn
add_latency (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstQuery *query = GST_PAD_PROBE_INFO_QUERY (info);
  GstClockTime *added = data, min, max;
  gboolean live;

  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY
      || !(info->type & GST_PAD_PROBE_TYPE_PULL))
    return GST_PAD_PROBE_OK;
  gst_query_parse_latency (query, &live, &min, &max);
  gst_query_set_latency (query, live, min + *added, GST_CLOCK_TIME_NONE);
  return GST_PAD_PROBE_OK;
}

/* Returns: what mmapsrc answers */
static GstClockTime
ask_latency (Pipe * consumer)
{
  GstQuery *query = gst_query_new_latency ();
  GstClockTime min, max;
  gboolean live;

  g_assert_true (gst_element_query (pipe_get (consumer, "src"), query));
  gst_query_parse_latency (query, &live, &min, &max);
  g_assert_true (live);
  g_assert_cmpuint (max, ==, GST_CLOCK_TIME_NONE);
  gst_query_unref (query);
  return min;
}

static gboolean
was_told (Pipe * consumer)
{
  GstBus *bus = gst_element_get_bus (consumer->pipeline);
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_LATENCY);
  gboolean told = message != NULL;

  g_clear_pointer (&message, gst_message_unref);
  gst_object_unref (bus);
  return told;
}

/* The consumer's pipeline follows that of the producer, to more and to less, and each time is told that it has changed. */
static void
test_changes (void)
{
  static const GstClockTime steps[] =
      { 0, 100 * GST_MSECOND, 30 * GST_MSECOND, 2 * GST_SECOND, 0 };
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc is-live=true ! " SMALL " ! identity "
      "name=delay ! mmapsink name=sink socket-path=%s", path);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", path);
  GstPad *pad = gst_element_get_static_pad (pipe_get (producer, "delay"),
      "src");
  GstClockTime added = 0, latency, before = 0;
  guint i;

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_QUERY_UPSTREAM, add_latency,
      &added, NULL);
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 5);
  for (i = 0; i < G_N_ELEMENTS (steps); i++) {
    gint64 end = g_get_monotonic_time () + GST_TIME_AS_USECONDS (PIPE_TIMEOUT);

    added = steps[i];
    while (was_told (consumer));
    g_assert_true (gst_bin_recalculate_latency (GST_BIN (producer->pipeline)));
    latency = gst_base_sink_get_latency (GST_BASE_SINK (pipe_get (producer,
                "sink")));
    g_assert_cmpuint (latency, >=, added);
    if (latency != before && i > 0)
      while (!was_told (consumer))
        g_assert_cmpint (g_get_monotonic_time (), <, end);
    before = latency;
    /* The rest is what the way was measured to take. */
    while (ask_latency (consumer) != latency + pipe_get_stat (consumer, "src",
            "transfer")) {
      g_assert_cmpint (g_get_monotonic_time (), <, end);
      g_usleep (1000);
    }
  }
  gst_object_unref (pad);
  pipe_free (consumer);
  pipe_free (producer);
}

/* Before there is a producer nothing is known, and nothing is made up. */
static void
test_unknown (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out async=false", path);

  pipe_set_state (consumer, GST_STATE_PLAYING);
  g_assert_cmpuint (ask_latency (consumer), ==, 0);
  pipe_free (consumer);
}

/* A producer may say what it likes: a sum must not go round, nor be what GStreamer takes for unknown. */
static void
test_absurd (void)
{
  static const guint64 latencies[] = { G_MAXUINT64, G_MAXUINT64 - 1,
    G_MAXUINT64 - GST_MSECOND, G_MAXINT64, (guint64) G_MAXINT64 + 1
  };
  static const guint64 anchors[] = { 0, MMAP_TIME_NONE, G_MAXUINT64 - 1,
    G_MAXINT64
  };
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (latencies); i++)
    for (j = 0; j < G_N_ELEMENTS (anchors); j++) {
      g_autofree char *path = pipe_socket_path ();
      Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
          "fakesink name=out sync=false", path);
      MmapDescriptor descriptor;
      RawProducer raw;

      raw_producer_init (&raw, path);
      pipe_play (consumer);
      raw_producer_bring_up (&raw);
      descriptor = raw_producer_describe (&raw);
      descriptor.latency = latencies[i];
      descriptor.anchor = anchors[j];
      raw_producer_push (&raw, &raw.link->frames, &descriptor);
      pipe_wait_frames (consumer, 1);
      g_assert_cmpuint (ask_latency (consumer), <, G_MAXINT64 / 2);
      /* All sinks of the pipeline are told. */
      gst_bin_recalculate_latency (GST_BIN (consumer->pipeline));
      pipe_free (consumer);
      raw_producer_clear (&raw);
    }
}

static void
add_tests (void)
{
  leak_check_add_test ("/latency/changes", test_changes);
  leak_check_add_test ("/latency/unknown", test_unknown);
  leak_check_add_test ("/latency/absurd", test_absurd);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
