/* gst-mmap: tests of consumers that come, or come back, long after a live stream began
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "leak-check.h"
#include "pipe.h"

/* Older than any consumer gets here, younger than the machine, whose clock began with it. */
#define AGE PIPE_TIMEOUT
/* More than a segment may begin before its first frame. */
#define PAUSE_US (1500 * 1000)

/* Began a minute ago. */
static Pipe *
producer_new (const char *path)
{
  Pipe *producer = pipe_new ("videotestsrc is-live=true timestamp-offset=%"
      G_GUINT64_FORMAT " ! video/x-raw,width=64,height=48,framerate=50/1 ! "
      "mmapsink wait-for-connection=false socket-path=%s", AGE, path);
  GstClock *clock = gst_system_clock_obtain ();

  gst_pipeline_use_clock (GST_PIPELINE (producer->pipeline), clock);
  gst_element_set_start_time (producer->pipeline, GST_CLOCK_TIME_NONE);
  gst_element_set_base_time (producer->pipeline,
      gst_clock_get_time (clock) - AGE);
  gst_object_unref (clock);
  pipe_play (producer);
  return producer;
}

static GstSegment
get_segment (Pipe * pipe)
{
  GstPad *pad = gst_element_get_static_pad (pipe_get (pipe, "src"), "src");
  GstEvent *event = gst_pad_get_sticky_event (pad, GST_EVENT_SEGMENT, 0);
  GstSegment segment;

  g_assert_nonnull (event);
  gst_event_copy_segment (event, &segment);
  gst_event_unref (event);
  gst_object_unref (pad);
  return segment;
}

/* What @segment makes of @frame: the minute since the producer began is of the stream, and is not of this pipeline. */
static void
check_times (const GstSegment * segment, const PipeFrame * frame)
{
  guint64 running_time;
  gint sign = gst_segment_to_running_time_full (segment, GST_FORMAT_TIME,
      frame->pts, &running_time);

  g_assert_cmpuint (segment->start, <=, frame->pts);
  g_assert_cmpuint (frame->pts - segment->start, <, GST_SECOND);
  g_assert_cmpuint (gst_segment_to_stream_time (segment, GST_FORMAT_TIME,
          frame->pts), ==, frame->pts);
  g_assert_cmpint (sign, !=, 0);
  /* The first frame may be a bit older than this pipeline. */
  g_assert_cmpuint (running_time, <, sign > 0 ? PIPE_TIMEOUT : GST_SECOND);
}

/* Who fills gaps has none to fill, neither at first nor after a pause. */
static void
test_gaps (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = producer_new (path), *consumer;
  GstSegment segment;
  guint64 duplicates;
  guint n;

  consumer =
      pipe_new ("mmapsrc name=src socket-path=%s ! videorate name=rate ! "
      "video/x-raw,framerate=50/1 ! fakesink name=out sync=false", path);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 10);
  segment = get_segment (consumer);
  check_times (&segment, pipe_get_frame (consumer, 0));
  pipe_set_state (consumer, GST_STATE_PAUSED);
  g_usleep (PAUSE_US);
  g_mutex_lock (&consumer->lock);
  n = consumer->frames->len;
  g_mutex_unlock (&consumer->lock);
  pipe_play (consumer);
  pipe_wait_frames (consumer, n + 150);
  segment = get_segment (consumer);
  check_times (&segment, pipe_get_frame (consumer, n + 10));
  g_object_get (pipe_get (consumer, "rate"), "duplicate", &duplicates, NULL);
  /* Those of frames that a loaded machine was late with. A minute has 3000, the pause 75. */
  g_assert_cmpuint (duplicates, <, 50 * leak_check_get_times ());
  pipe_free (consumer);
  pipe_free (producer);
}

/* A stream that begins a bit later than its segment does so here, too. */
static void
test_from_beginning (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc num-buffers=5 timestamp-offset=%"
      G_GUINT64_FORMAT " ! video/x-raw,width=64,height=48,"
      "framerate=50/1 ! mmapsink socket-path=%s", GST_SECOND / 2, path);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", path);
  GstSegment segment;

  pipe_play (consumer);
  pipe_play (producer);
  pipe_wait_frames (consumer, 5);
  segment = get_segment (consumer);
  g_assert_cmpuint (segment.start, ==, 0);
  g_assert_cmpuint (pipe_get_frame (consumer, 0)->pts, ==, GST_SECOND / 2);
  pipe_wait_eos (consumer);
  pipe_free (consumer);
  pipe_free (producer);
}

static void
add_tests (void)
{
  leak_check_add_test ("/late/gaps", test_gaps);
  leak_check_add_test ("/late/from-beginning", test_from_beginning);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
