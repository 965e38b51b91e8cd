/* gst-mmap: tests of seeks and flushes across the boundary
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The consumer's pipeline is handled as if the source were in it.
 */
#include "harness.h"
#include "leak-check.h"
#include "pipe.h"
#include "traffic.h"

#include <gst/base/gstbasesink.h>

#define SOURCE "videotestsrc name=test num-buffers=%u ! " \
    "video/x-raw,format=I420,width=64,height=48,framerate=50/1 ! "
#define FRAME_NS (20 * GST_MSECOND)

typedef struct
{
  char *path;
  Pipe *producer, *consumer;
  Traffic *before, *after;
} Pair;

/* A producer with @n frames, and a consumer, which is PAUSED. */
static void
pair_init_with (Pair * pair, guint n, gboolean sync, gboolean is_live)
{
  pair->path = pipe_socket_path ();
  pair->producer = pipe_new (SOURCE "mmapsink name=sink sync=false "
      "socket-path=%s", n, pair->path);
  pair->consumer = pipe_new ("mmapsrc name=src socket-path=%s is-live=%d ! "
      "fakesink name=out sync=%d", pair->path, is_live, sync);
  pair->before = traffic_new (pipe_get (pair->producer, "sink"), "sink");
  pair->after = traffic_new (pipe_get (pair->consumer, "out"), "sink");
  pipe_play (pair->producer);
  pipe_set_state (pair->consumer, GST_STATE_PAUSED);
}

/* The consumer takes part in preroll. */
static void
pair_init (Pair * pair, guint n, gboolean sync)
{
  pair_init_with (pair, n, sync, FALSE);
}

static void
pair_clear (Pair * pair)
{
  pipe_free (pair->consumer);
  pipe_free (pair->producer);
  traffic_free (pair->before);
  traffic_free (pair->after);
  g_free (pair->path);
}

/* Returns: the sequence number */
static guint32
seek (Pair * pair, gdouble rate, GstSeekFlags flags, GstClockTime start,
    GstClockTime stop)
{
  GstEvent *event = gst_event_new_seek (rate, GST_FORMAT_TIME, flags,
      GST_SEEK_TYPE_SET, start, GST_SEEK_TYPE_SET, stop);
  guint32 seqnum = gst_event_get_seqnum (event);

  g_assert_true (gst_element_send_event (pair->consumer->pipeline, event));
  return seqnum;
}

static void
wait_state (Pipe * pipe)
{
  g_assert_cmpint (gst_element_get_state (pipe->pipeline, NULL, NULL,
          PIPE_TIMEOUT), ==, GST_STATE_CHANGE_SUCCESS);
}

static GstClockTime
last_pts (Pair * pair)
{
  GstClockTime pts = GST_CLOCK_TIME_NONE;
  GstSample *sample;

  g_object_get (pipe_get (pair->consumer, "out"), "last-sample", &sample, NULL);
  if (sample) {
    pts = GST_BUFFER_PTS (gst_sample_get_buffer (sample));
    gst_sample_unref (sample);
  }
  return pts;
}

/* Returns: (nullable) */
static TrafficItem *
find_item_after (Traffic * traffic, guint at, GstEventType type)
{
  TrafficItem *found = NULL;
  guint i;

  g_mutex_lock (&traffic->lock);
  for (i = at; i < traffic->items->len && !found; i++) {
    TrafficItem *item = g_ptr_array_index (traffic->items, i);

    if (item->type == type)
      found = item;
  }
  g_mutex_unlock (&traffic->lock);
  return found;
}

static TrafficItem *
item_after (Traffic * traffic, guint at, GstEventType type)
{
  TrafficItem *found = find_item_after (traffic, at, type);

  g_assert_nonnull (found);
  return found;
}

/* The time of the first frame after the @n th segment, ns */
static GstClockTime
wait_first_pts (Traffic * traffic, guint n)
{
  gint64 deadline = g_get_monotonic_time () + PIPE_TIMEOUT / GST_USECOND;
  TrafficItem *item;
  guint at;

  traffic_wait (traffic, GST_EVENT_SEGMENT, n);
  at = traffic_find (traffic, GST_EVENT_SEGMENT, n);
  while (!(item = find_item_after (traffic, at, GST_EVENT_UNKNOWN))) {
    g_assert_cmpint (g_get_monotonic_time (), <, deadline);
    g_usleep (1000);
  }
  return item->pts;
}

/* The new frame is shown in PAUSED. */
static void
test_paused (void)
{
  Pair pair;
  guint i;

  pair_init (&pair, 1000, TRUE);
  g_assert_cmpuint (last_pts (&pair), ==, 0);
  for (i = 1; i < 10; i++) {
    guint32 seqnum = seek (&pair, 1.0, GST_SEEK_FLAG_FLUSH
        | GST_SEEK_FLAG_ACCURATE, i * GST_SECOND, -1);
    guint stop;

    wait_state (pair.consumer);
    g_assert_cmpuint (last_pts (&pair), ==, i * GST_SECOND);
    stop = traffic_find (pair.after, GST_EVENT_FLUSH_STOP, i);
    g_assert_cmpuint (item_after (pair.after, traffic_find (pair.after,
                GST_EVENT_FLUSH_START, i), GST_EVENT_FLUSH_START)->seqnum, ==,
        seqnum);
    g_assert_cmpuint (item_after (pair.after, stop,
            GST_EVENT_FLUSH_STOP)->seqnum, ==, seqnum);
    g_assert_cmpuint (item_after (pair.after, stop, GST_EVENT_SEGMENT)->seqnum,
        ==, seqnum);
    g_assert_cmpuint (item_after (pair.after, stop, GST_EVENT_UNKNOWN)->pts,
        ==, i * GST_SECOND);
  }
  pair_clear (&pair);
}

/* Whatever was on its way before the flush doesn't come after it. */
static void
test_playing (void)
{
  Pair pair;
  guint i;

  pair_init (&pair, 100000, FALSE);
  pipe_play (pair.consumer);
  wait_state (pair.consumer);
  for (i = 1; i < 30; i++) {
    guint stop;

    pipe_wait_frames (pair.consumer, i * 3);
    seek (&pair, 1.0, GST_SEEK_FLAG_FLUSH, i * GST_SECOND, -1);
    traffic_wait (pair.after, GST_EVENT_SEGMENT, i + 1);
    wait_state (pair.consumer);
    stop = traffic_find (pair.after, GST_EVENT_FLUSH_STOP, i);
    g_assert_cmpuint (item_after (pair.after, stop, GST_EVENT_UNKNOWN)->pts,
        ==, i * GST_SECOND);
  }
  pair_clear (&pair);
}

/* The flush of a live pipeline makes its sink ask for the lock of the pipeline's state, which who seeks has. */
static void
test_live (void)
{
  Pair pair;
  guint i;

  pair_init_with (&pair, 100000, TRUE, TRUE);
  pipe_play (pair.consumer);
  for (i = 1; i < 10; i++) {
    pipe_wait_frames (pair.consumer, i * 3);
    seek (&pair, 1.0, GST_SEEK_FLAG_FLUSH, i * GST_SECOND, -1);
    g_assert_cmpuint (wait_first_pts (pair.after, i + 1), ==, i * GST_SECOND);
  }
  pair_clear (&pair);
}

typedef struct
{
  guint n_frames, n_seeks;
  GstSeekFlags flags;
} Seeker;

/* At each fifth frame. Without a flush the streaming thread is waited for, which is this one. */
static GstPadProbeReturn
seek_from_streaming_thread (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  Seeker *seeker = data;

  if (++seeker->n_frames % 5 != 0 || seeker->n_frames > 5 * seeker->n_seeks)
    return GST_PAD_PROBE_OK;
  g_assert_true (gst_pad_push_event (pad, gst_event_new_seek (1.0,
              GST_FORMAT_TIME, seeker->flags, GST_SEEK_TYPE_SET,
              seeker->n_frames * GST_SECOND, GST_SEEK_TYPE_NONE, -1)));
  return GST_PAD_PROBE_OK;
}

static void
check_from_streaming_thread (Seeker seeker)
{
  GstPad *pad;
  Pair pair;
  guint i;

  pair_init (&pair, 100000, FALSE);
  pad = gst_element_get_static_pad (pipe_get (pair.consumer, "out"), "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER,
      seek_from_streaming_thread, &seeker, NULL);
  pipe_play (pair.consumer);
  for (i = 1; i <= seeker.n_seeks; i++)
    g_assert_cmpuint (wait_first_pts (pair.after, i + 1), ==,
        i * 5 * GST_SECOND);
  gst_object_unref (pad);
  pair_clear (&pair);
}

/* The flush needs the lock of the stream, which who seeks has. */
static void
test_from_streaming_thread (void)
{
  check_from_streaming_thread ((Seeker) {
      .n_seeks = 8,.flags = GST_SEEK_FLAG_FLUSH});
  check_from_streaming_thread ((Seeker) {
      .n_seeks = 1});
}

/* EOS has the sequence number of the seek, and a seek after it plays again. */
static void
test_after_eos (void)
{
  Pair pair;
  guint i;

  pair_init (&pair, 100000, FALSE);
  pipe_play (pair.consumer);
  for (i = 1; i < 10; i++) {
    guint32 seqnum = seek (&pair, 1.0, GST_SEEK_FLAG_FLUSH, 0, GST_SECOND / 2);
    guint stop;

    pipe_wait_eos (pair.consumer);
    g_assert_cmpuint (traffic_wait (pair.after, GST_EVENT_EOS, i)->seqnum, ==,
        seqnum);
    stop = traffic_find (pair.after, GST_EVENT_FLUSH_STOP, i);
    g_assert_cmpuint (pair.after->items->len - stop, >, 25);
  }
  pair_clear (&pair);
}

/* Instead of EOS a segment ends; the next begins without a flush. */
static void
test_segments (void)
{
  GstBus *bus;
  Pair pair;
  guint i;

  pair_init (&pair, 1000, FALSE);
  bus = gst_element_get_bus (pair.consumer->pipeline);
  seek (&pair, 1.0, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT, 0,
      GST_SECOND / 5);
  pipe_play (pair.consumer);
  for (i = 1; i < 10; i++) {
    GstMessage *message = gst_bus_timed_pop_filtered (bus, PIPE_TIMEOUT,
        GST_MESSAGE_SEGMENT_DONE | GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    gint64 position;

    g_assert_nonnull (message);
    g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_SEGMENT_DONE);
    gst_message_parse_segment_done (message, NULL, &position);
    g_assert_cmpint (position, ==, GST_SECOND / 5);
    gst_message_unref (message);
    seek (&pair, 1.0, GST_SEEK_FLAG_SEGMENT, 0, GST_SECOND / 5);
  }
  g_assert_cmpuint (traffic_count (pair.after, GST_EVENT_FLUSH_START), ==, 1);
  g_assert_cmpuint (traffic_count (pair.after, GST_EVENT_UNKNOWN), >=, 90);
  gst_object_unref (bus);
  pair_clear (&pair);
}

static void
test_reverse (void)
{
  guint n, i;
  Pair pair;

  pair_init (&pair, 1000, FALSE);
  seek (&pair, -1.0, GST_SEEK_FLAG_FLUSH, 0, GST_SECOND);
  wait_state (pair.consumer);
  g_ptr_array_set_size (pair.consumer->frames, 0);
  pipe_play (pair.consumer);
  pipe_wait_eos (pair.consumer);
  n = pair.consumer->frames->len;
  g_assert_cmpuint (n, >=, 49);
  for (i = 0; i < n; i++) {
    PipeFrame *frame = pipe_get_frame (pair.consumer, i);

    g_assert_cmpuint (frame->pts, ==, GST_SECOND - (i + 1) * FRAME_NS);
    if (i > 0)
      g_assert_cmpuint (frame->running_time, ==,
          pipe_get_frame (pair.consumer, i - 1)->running_time + FRAME_NS);
  }
  pair_clear (&pair);
}

/* At any moment, in any state; without a flush only when it plays: that has to wait for the frames before it. */
static void
test_stress (void)
{
  static const GstSeekFlags flags[] = { GST_SEEK_FLAG_FLUSH,
    GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT, GST_SEEK_FLAG_FLUSH
        | GST_SEEK_FLAG_TRICKMODE, 0
  };
  guint32 seqnum;
  Pair pair;
  guint i;

  pair_init (&pair, 100000, FALSE);
  for (i = 0; i < 100; i++) {
    gboolean playing = i % 10 < 5;
    GstSeekFlags flag = flags[g_test_rand_int_range (0, playing ? 4 : 3)];

    if (i % 10 == 0)
      pipe_play (pair.consumer);
    else if (i % 10 == 5)
      gst_element_set_state (pair.consumer->pipeline, GST_STATE_PAUSED);
    if (!(flag & GST_SEEK_FLAG_FLUSH))
      wait_state (pair.consumer);
    seek (&pair, i % 7 == 6 ? -1.0 : 1.0, flag, 0, GST_SECOND + i * FRAME_NS);
    g_usleep (g_test_rand_int_range (0, 3000));
  }
  pipe_play (pair.consumer);
  seqnum = seek (&pair, 1.0, GST_SEEK_FLAG_FLUSH, 0, GST_SECOND);
  for (i = 1; traffic_wait (pair.after, GST_EVENT_EOS, i)->seqnum != seqnum;)
    i++;
  wait_state (pair.consumer);
  pair_clear (&pair);
}

/* The consumer's pipeline answers as if the source were in it. */
static void
test_position (void)
{
  gint64 position = -1, duration = -1;
  GstQuery *query;
  gboolean live;
  Pair pair;

  pair_init (&pair, 500, TRUE);
  g_assert_true (gst_element_query_duration (pair.consumer->pipeline,
          GST_FORMAT_TIME, &duration));
  g_assert_cmpint (duration, ==, 10 * GST_SECOND);
  seek (&pair, 1.0, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE,
      3 * GST_SECOND, -1);
  wait_state (pair.consumer);
  g_assert_true (gst_element_query_position (pair.consumer->pipeline,
          GST_FORMAT_TIME, &position));
  g_assert_cmpint (position, ==, 3 * GST_SECOND);
  query = gst_query_new_latency ();
  g_assert_true (gst_pad_peer_query (pair.after->pad, query));
  gst_query_parse_latency (query, &live, NULL, NULL);
  g_assert_false (live);
  gst_query_unref (query);
  pair_clear (&pair);
}

/* The application of the producer seeks: both of its consumers follow. */
static void
test_producer_seeks (void)
{
  Pipe *other;
  Traffic *traffic;
  Pair pair;
  guint i;

  pair_init (&pair, 100000, FALSE);
  other = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out sync=false",
      pair.path);
  traffic = traffic_new (pipe_get (other, "out"), "sink");
  pipe_play (other);
  pipe_play (pair.consumer);
  pipe_wait_frames (other, 1);
  for (i = 1; i < 10; i++) {
    GstEvent *event = gst_event_new_seek (1.0, GST_FORMAT_TIME,
        GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, i * GST_SECOND,
        GST_SEEK_TYPE_NONE, -1);
    guint32 seqnum = gst_event_get_seqnum (event);

    g_assert_true (gst_element_send_event (pair.producer->pipeline, event));
    g_assert_cmpuint (traffic_wait (traffic, GST_EVENT_FLUSH_STOP, i)->seqnum,
        ==, seqnum);
    g_assert_cmpuint (traffic_wait (pair.after, GST_EVENT_FLUSH_STOP,
            i)->seqnum, ==, seqnum);
    g_assert_cmpuint (traffic_wait (traffic, GST_EVENT_SEGMENT, i + 1)->seqnum,
        ==, seqnum);
    wait_state (other);
    wait_state (pair.consumer);
  }
  pipe_free (other);
  traffic_free (traffic);
  pair_clear (&pair);
}

/* As an element that changes its rate without a flush would, before the seek returns. */
static GstPadProbeReturn
change_rate (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);
  GstPad *sink;

  if (GST_EVENT_TYPE (event) != GST_EVENT_SEEK)
    return GST_PAD_PROBE_OK;
  sink = gst_pad_get_peer (pad);
  event = gst_event_new_instant_rate_change (2.0, 0);
  g_assert_true (gst_pad_send_event (sink, event));
  gst_object_unref (sink);
  return GST_PAD_PROBE_OK;
}

/* The pipeline takes part, although who seeks has the lock of its state. */
static void
test_instant_rate_change (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, NULL);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s is-live=false ! fakesink "
      "name=out sync=false", path);
  Traffic *after = traffic_new (pipe_get (consumer, "out"), "sink");
  Traffic *upstream = traffic_new_upstream (pipe_get (consumer, "out"), "sink");
  guint i;

  harness_start (producer, HARNESS_CAPS);
  pipe_play (consumer);
  harness_push_frame (producer, 0);
  pipe_wait_frames (consumer, 1);
  wait_state (consumer);
  gst_pad_add_probe (producer->harness->srcpad,
      GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, change_rate, NULL, NULL);
  for (i = 1; i < 5; i++) {
    g_assert_true (gst_element_seek (consumer->pipeline, 2.0, GST_FORMAT_TIME,
            GST_SEEK_FLAG_INSTANT_RATE_CHANGE, GST_SEEK_TYPE_NONE, 0,
            GST_SEEK_TYPE_NONE, 0));
    traffic_wait (after, GST_EVENT_INSTANT_RATE_CHANGE, i);
    traffic_wait (upstream, GST_EVENT_INSTANT_RATE_SYNC_TIME, i);
  }
  pipe_free (consumer);
  traffic_free (after);
  traffic_free (upstream);
  harness_free (producer);
}

/* Asks the sinks of a playing producer to go on at @multiplier times the rate. */
static void
change_rate_of (Pipe * producer, gdouble multiplier)
{
  GstPad *pad = GST_BASE_SINK_PAD (pipe_get (producer, "sink"));

  g_assert_true (gst_pad_send_event (pad,
          gst_event_new_instant_rate_change (multiplier, 0)));
}

/* Waits for a segment of rate @rate, and frames in it; returns the number of one. */
static guint
wait_rate (Pipe * pipe, Traffic * traffic, gdouble rate)
{
  gint64 deadline = g_get_monotonic_time () + PIPE_TIMEOUT / GST_USECOND;
  gdouble there = 0.0;
  guint n;

  while (there != rate) {
    GstEvent *event = gst_pad_get_sticky_event (traffic->pad,
        GST_EVENT_SEGMENT, 0);
    const GstSegment *segment;

    if (event) {
      gst_event_parse_segment (event, &segment);
      there = segment->rate;
      gst_event_unref (event);
    }
    g_assert_cmpint (g_get_monotonic_time (), <, deadline);
    g_usleep (1000);
  }
  g_mutex_lock (&pipe->lock);
  n = pipe->frames->len;
  g_mutex_unlock (&pipe->lock);
  /* The clock's distance may have been another one for the first. */
  pipe_wait_frames (pipe, n + 3);
  return n + 2;
}

/* Frame @i comes when the producer's sink shows it. */
static void
assert_shown_together (Pipe * producer, Pipe * consumer, guint i)
{
  GstBaseSink *sink = GST_BASE_SINK (pipe_get (producer, "sink"));
  PipeFrame *frame = pipe_get_frame (consumer, i);
  GstClockTime there, here;

  GST_BASE_SINK_PREROLL_LOCK (sink);
  there = gst_segment_to_running_time (&sink->segment, GST_FORMAT_TIME,
      frame->pts);
  GST_BASE_SINK_PREROLL_UNLOCK (sink);
  /* It may have waited for the first consumer. */
  there += gst_element_get_base_time (producer->pipeline) +
      gst_base_sink_get_ts_offset (sink);
  here = frame->running_time + gst_element_get_base_time (consumer->pipeline);
  g_assert_cmpint (ABS (GST_CLOCK_DIFF (there, here)), <, 2 * GST_MSECOND);
}

/* Who comes after the rate was changed without a flush, or has flushed since, plays as the others do. */
static void
test_instant_rate_late (void)
{
  g_autofree char *path = pipe_socket_path ();
  /* So large that nobody who is slow is waited for. */
  Pipe *producer = pipe_new (SOURCE "mmapsink name=sink socket-path=%s "
      "leaky-type=downstream size=16000000", 100000, path), *consumers[2];
  Traffic *traffic[2];
  GstElement *src;
  guint i;

  for (i = 0; i < 2; i++) {
    consumers[i] = pipe_new ("mmapsrc name=src socket-path=%s ! fakesink "
        "name=out sync=false", path);
    traffic[i] = traffic_new (pipe_get (consumers[i], "out"), "sink");
  }
  src = pipe_get (consumers[0], "src");
  pipe_play (producer);
  pipe_play (consumers[0]);
  pipe_wait_frames (consumers[0], 10);
  change_rate_of (producer, 2.0);
  traffic_wait (traffic[0], GST_EVENT_INSTANT_RATE_CHANGE, 1);
  pipe_wait_frames (consumers[0], 30);

  pipe_play (consumers[1]);
  assert_shown_together (producer, consumers[1], wait_rate (consumers[1],
          traffic[1], 2.0));
  change_rate_of (producer, 0.5);
  assert_shown_together (producer, consumers[1], wait_rate (consumers[1],
          traffic[1], 0.5));
  /* The first hears it as an event, until its sink is flushed and forgets it. */
  traffic_wait (traffic[0], GST_EVENT_INSTANT_RATE_CHANGE, 2);
  g_assert_cmpuint (traffic_count (traffic[0], GST_EVENT_SEGMENT), ==, 1);
  g_assert_true (gst_element_send_event (src, gst_event_new_flush_start ()));
  g_assert_true (gst_element_send_event (src, gst_event_new_flush_stop (TRUE)));
  wait_state (consumers[0]);
  assert_shown_together (producer, consumers[0], wait_rate (consumers[0],
          traffic[0], 0.5));
  g_assert_cmpuint (traffic_count (traffic[1], GST_EVENT_INSTANT_RATE_CHANGE),
      ==, 0);

  /* A seek with a flush ends it, for all. */
  g_assert_true (gst_element_seek_simple (producer->pipeline, GST_FORMAT_TIME,
          GST_SEEK_FLAG_FLUSH, GST_SECOND));
  for (i = 0; i < 2; i++) {
    wait_rate (consumers[i], traffic[i], 1.0);
    wait_state (consumers[i]);
  }
  wait_state (producer);
  for (i = 0; i < 2; i++)
    assert_shown_together (producer, consumers[i], wait_rate (consumers[i],
            traffic[i], 1.0));
  change_rate_of (producer, 4.0);
  traffic_wait (traffic[0], GST_EVENT_INSTANT_RATE_CHANGE, 3);
  traffic_wait (traffic[1], GST_EVENT_INSTANT_RATE_CHANGE, 1);
  for (i = 0; i < 2; i++) {
    pipe_free (consumers[i]);
    traffic_free (traffic[i]);
  }
  pipe_free (producer);
}

/* Who asks to seek without a flush doesn't wait for frames that nobody takes: it is done once both play. */
static void
test_without_flush (void)
{
  GstElement *pipeline;
  guint32 seqnum;
  gint64 duration;
  Pair pair;
  guint i;

  pair_init (&pair, 100000, FALSE);
  pipeline = pair.consumer->pipeline;
  for (i = 0; i < 4; i++) {
    gboolean consumer_paused = i % 2 == 0;
    GstEvent *event = gst_event_new_seek (1.0, GST_FORMAT_TIME, 0,
        GST_SEEK_TYPE_SET, (i + 1) * GST_SECOND, GST_SEEK_TYPE_NONE,
        -1);

    pipe_set_state (consumer_paused ? pair.consumer : pair.producer,
        GST_STATE_PAUSED);
    seqnum = gst_event_get_seqnum (event);
    g_assert_true (gst_element_send_event (pipeline, event));
    /* Others are heard meanwhile. */
    g_assert_true (gst_element_query_duration (pipeline, GST_FORMAT_TIME,
            &duration));
    pipe_set_state (pair.producer, GST_STATE_PLAYING);
    pipe_set_state (pair.consumer, GST_STATE_PLAYING);
    while (traffic_wait (pair.after, GST_EVENT_SEGMENT, i + 2)->seqnum !=
        seqnum);
  }
  g_assert_cmpuint (traffic_count (pair.after, GST_EVENT_FLUSH_START), ==, 0);
  pair_clear (&pair);
}

/* A live source that is paused lets nobody seek without a flush: nor may who asked for it keep the producer from stopping. */
static void
test_stops_while_paused (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc is-live=true ! video/x-raw,"
      "width=64,height=48,framerate=50/1 ! mmapsink name=sink socket-path=%s",
      path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s on-disconnect=wait ! "
      "fakesink name=out", path);
  Traffic *before = traffic_new_upstream (pipe_get (producer, "sink"), "sink");

  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 3);
  gst_element_set_state (producer->pipeline, GST_STATE_PAUSED);
  g_assert_true (gst_element_seek_simple (consumer->pipeline, GST_FORMAT_TIME,
          0, 0));
  traffic_wait (before, GST_EVENT_SEEK, 1);
  pipe_free (producer);
  pipe_free (consumer);
  traffic_free (before);
}

/* What an application sends to the element itself is as what comes from downstream. */
static void
test_to_element (void)
{
  GstElement *src;
  guint32 seqnum;
  GstEvent *event;
  Pair pair;
  guint i;

  pair_init (&pair, 100000, FALSE);
  src = pipe_get (pair.consumer, "src");
  for (i = 1; i < 10; i++) {
    event = gst_event_new_seek (1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
        GST_SEEK_TYPE_SET, i * GST_SECOND, GST_SEEK_TYPE_NONE, -1);
    seqnum = gst_event_get_seqnum (event);
    g_assert_true (gst_element_send_event (src, event));
    g_assert_cmpuint (traffic_wait (pair.before, GST_EVENT_SEGMENT,
            i + 1)->seqnum, ==, seqnum);
    wait_state (pair.consumer);
    g_assert_cmpuint (traffic_wait (pair.after, GST_EVENT_SEGMENT,
            i + 1)->seqnum, ==, seqnum);
    g_assert_cmpuint (item_after (pair.after, traffic_find (pair.after,
                GST_EVENT_SEGMENT, i + 1), GST_EVENT_UNKNOWN)->pts, ==,
        i * GST_SECOND);
    if (i == 5)
      pipe_play (pair.consumer);
  }
  pipe_set_state (pair.consumer, GST_STATE_READY);
  g_assert_false (gst_element_seek_simple (src, GST_FORMAT_TIME,
          GST_SEEK_FLAG_FLUSH, 0));
  pair_clear (&pair);
}

static void
add_tests (void)
{
  leak_check_add_test ("/seeks/paused", test_paused);
  leak_check_add_test ("/seeks/playing", test_playing);
  leak_check_add_test ("/seeks/live", test_live);
  leak_check_add_test ("/seeks/from-streaming-thread",
      test_from_streaming_thread);
  leak_check_add_test ("/seeks/after-eos", test_after_eos);
  leak_check_add_test ("/seeks/segments", test_segments);
  leak_check_add_test ("/seeks/reverse", test_reverse);
  leak_check_add_test ("/seeks/stress", test_stress);
  leak_check_add_test ("/seeks/without-flush", test_without_flush);
  leak_check_add_test ("/seeks/stops-while-paused", test_stops_while_paused);
  leak_check_add_test ("/seeks/to-element", test_to_element);
  leak_check_add_test ("/seeks/position", test_position);
  leak_check_add_test ("/seeks/producer-seeks", test_producer_seeks);
  leak_check_add_test ("/seeks/instant-rate-change", test_instant_rate_change);
  leak_check_add_test ("/seeks/instant-rate-late", test_instant_rate_late);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
