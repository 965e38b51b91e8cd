/* gst-mmap: tests of events and queries that go from mmapsrc to mmapsink
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the last element of a consumer's pipeline says is pulled out of the pad before a mmapsink.
 */
#include "harness.h"
#include "leak-check.h"
#include "pipe.h"
#include "traffic.h"

#include <gst/video/video.h>
#include <string.h>

#define ALL_FLAGS 0xff
#define FORWARD_SEEK (1 << 0)
#define FORWARD_QOS (1 << 1)
#define FORWARD_NAVIGATION (1 << 2)
#define FORWARD_KEY_UNIT (1 << 3)
#define FORWARD_LATENCY (1 << 5)
#define FORWARD_CUSTOM (1 << 6)
#define FORWARD_QUERY (1 << 7)

/* A consumer that has had frame 0. */
static Pipe *
join (Harness * producer, const char *path)
{
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s is-live=false ! fakesink "
      "name=out sync=false", path);
  guint n;

  g_object_get (producer->sink, "num-clients", &n, NULL);
  pipe_play (consumer);
  harness_wait_clients (producer, n + 1);
  harness_push_frame (producer, 0);
  pipe_wait_frames (consumer, 1);
  /* Of a seek without a flush it is told what came of it only then. */
  pipe_set_state (consumer, GST_STATE_PLAYING);
  return consumer;
}

/* As the element named "out" would. @event: (transfer full) */
static gboolean
say (Pipe * consumer, GstEvent * event)
{
  GstPad *pad = gst_element_get_static_pad (pipe_get (consumer, "out"), "sink");
  gboolean handled = gst_pad_push_event (pad, event);

  gst_object_unref (pad);
  return handled;
}

static gboolean
ask (Pipe * consumer, GstQuery * query)
{
  GstPad *pad = gst_element_get_static_pad (pipe_get (consumer, "out"), "sink");
  gboolean answered = gst_pad_peer_query (pad, query);

  gst_object_unref (pad);
  return answered;
}

static GstEvent *
make_selection (void)
{
  GList *streams = g_list_append (g_list_append (NULL, "one"), "two");
  GstEvent *event = gst_event_new_select_streams (streams);

  g_list_free (streams);
  return event;
}

static GstEvent *
make_custom (GstEventType type)
{
  return gst_event_new_custom (type, gst_structure_new ("x-test", "number",
          G_TYPE_INT, 7, NULL));
}

static GstEvent *
make_seek (GstSeekFlags flags)
{
  return gst_event_new_seek (1.0, GST_FORMAT_TIME, flags, GST_SEEK_TYPE_SET,
      GST_SECOND, GST_SEEK_TYPE_NONE, -1);
}

/* Every type there is, with the flag of forward-events that lets it pass. Returns: (transfer full); NULL: there are no more */
static GstEvent *
make_event (guint i, guint * flag)
{
  static const guint flags[] = { FORWARD_SEEK, FORWARD_SEEK, FORWARD_SEEK,
    FORWARD_SEEK, FORWARD_NAVIGATION, FORWARD_KEY_UNIT, FORWARD_LATENCY,
    FORWARD_CUSTOM, FORWARD_CUSTOM, FORWARD_CUSTOM
  };

  if (i >= G_N_ELEMENTS (flags))
    return NULL;
  *flag = flags[i];
  switch (i) {
    case 0:
      return make_seek (0);
    case 1:
      return gst_event_new_step (GST_FORMAT_BUFFERS, 3, 2.0, FALSE, FALSE);
    case 2:
      return gst_event_new_toc_select ("uid");
    case 3:
      return make_selection ();
    case 4:
      return gst_navigation_event_new_key_press ("a", 0);
    case 5:
      return gst_video_event_new_upstream_force_key_unit (GST_SECOND, TRUE, 3);
    case 6:
      return gst_event_new_latency (5);
    case 7:
      return make_custom (GST_EVENT_CUSTOM_UPSTREAM);
    case 8:
      return make_custom (GST_EVENT_CUSTOM_BOTH);
    default:
      return make_custom (GST_EVENT_CUSTOM_BOTH_OOB);
  }
}

static char *
to_text (GstEvent * event)
{
  return g_strdup_printf ("%u %s", gst_event_get_seqnum (event),
      gst_structure_get_name (gst_event_get_structure (event)));
}

static void
test_events (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, "wait-for-connection", FALSE, NULL);
  Pipe *consumer;
  GstEvent *event;
  guint i, flag;

  harness_start (producer, HARNESS_CAPS);
  consumer = join (producer, path);
  harness_count_upstream (producer, 0);
  for (i = 0; (event = make_event (i, &flag)); i++) {
    g_autoptr (GstEvent) kept = gst_event_ref (event);
    g_autofree char *expected = to_text (event);
    g_autofree char *there = NULL;
    GstEvent *arrived;

    g_assert_true (say (consumer, event));
    arrived = harness_pull_upstream (producer, GST_EVENT_TYPE (kept));
    there = to_text (arrived);
    g_assert_cmpstr (there, ==, expected);
    gst_event_unref (arrived);
  }
  pipe_free (consumer);
  harness_free (producer);
}

/* A producer may refuse any of them, and the others go on. */
static void
test_forward_events (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, "wait-for-connection", FALSE, NULL);
  Pipe *consumer;
  GstEvent *event;
  guint i, flag;

  harness_start (producer, HARNESS_CAPS);
  consumer = join (producer, path);
  for (i = 0; (event = make_event (i, &flag)); i++) {
    GstEventType type = GST_EVENT_TYPE (event);
    gboolean seek = type == GST_EVENT_SEEK;

    g_object_set (producer->sink, "forward-events", ALL_FLAGS & ~flag, NULL);
    harness_count_upstream (producer, 0);
    g_assert_true (say (consumer, event) == !seek);
    /* What is said later has arrived: so would have that. */
    say (consumer, flag == FORWARD_SEEK ? gst_event_new_latency (9) :
        make_seek (0));
    gst_event_unref (harness_pull_upstream (producer, flag == FORWARD_SEEK ?
            GST_EVENT_LATENCY : GST_EVENT_SEEK));
    g_assert_cmpuint (harness_count_upstream (producer, type), ==, 0);
  }
  pipe_free (consumer);
  harness_free (producer);
}

/* Seeks have a thread of their own: what came before them may be told after them. Returns: how many there are once there is one */
static guint
wait_for_upstream (Harness * producer, GstEventType type)
{
  guint n;

  while ((n = harness_count_upstream (producer, type)) == 0)
    g_usleep (1000);
  return n;
}

/* Two consumers that ask for a keyframe at once ask once; after one has come, it is another question. */
static void
test_key_units_are_merged (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, "wait-for-connection", FALSE, NULL);
  Pipe *consumers[2];
  guint i, round;

  harness_start (producer, HARNESS_CAPS);
  for (i = 0; i < 2; i++)
    consumers[i] = join (producer, path);
  for (round = 0; round < 3; round++) {
    harness_count_upstream (producer, 0);
    for (i = 0; i < 2; i++)
      g_assert_true (say (consumers[i],
              gst_video_event_new_upstream_force_key_unit (GST_CLOCK_TIME_NONE,
                  FALSE, 0)));
    /* Both have been heard. */
    for (i = 0; i < 2; i++)
      g_assert_true (say (consumers[i], make_seek (0)));
    g_assert_cmpuint (wait_for_upstream (producer,
            GST_EVENT_CUSTOM_UPSTREAM), ==, 1);
    harness_push_frame (producer, round + 1);
  }
  for (i = 0; i < 2; i++)
    pipe_free (consumers[i]);
  harness_free (producer);
}

/* Said in the running time of the consumer's pipeline, which started later, heard in that of the producer's. */
static void
test_key_unit_time (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc is-live=true ! video/x-raw,"
      "width=64,height=48,framerate=50/1 ! mmapsink name=sink socket-path=%s",
      path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out",
      path);
  Traffic *before = traffic_new_upstream (pipe_get (producer, "sink"), "sink");
  GstClockTime heard = GST_CLOCK_TIME_NONE, later;
  GstClockTimeDiff error;
  TrafficItem *item;
  char *field;

  pipe_play (producer);
  g_usleep (300000);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 3);
  later = gst_element_get_base_time (consumer->pipeline) -
      gst_element_get_base_time (producer->pipeline);
  g_assert_cmpuint (later, >=, 300 * GST_MSECOND);
  g_assert_true (say (consumer, gst_video_event_new_upstream_force_key_unit
          (7 * GST_SECOND, FALSE, 0)));
  item = traffic_wait (before, GST_EVENT_CUSTOM_UPSTREAM, 1);
  field = strstr (item->text, "running-time=(guint64)");
  g_assert_nonnull (field);
  heard =
      g_ascii_strtoull (field + strlen ("running-time=(guint64)"), NULL, 10);
  error = GST_CLOCK_DIFF (7 * GST_SECOND + later, heard);
  /* How exactly the two clocks are compared. */
  g_assert_cmpint (ABS (error), <, 5 * GST_MSECOND);
  pipe_free (consumer);
  pipe_free (producer);
  traffic_free (before);
}

static GstEvent *
make_qos (gdouble proportion, GstClockTimeDiff diff)
{
  return gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, proportion, diff,
      5 * GST_SECOND);
}

/* Of two, the slower one counts; it comes with the next frame. */
static void
test_qos (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, "wait-for-connection", FALSE, NULL);
  Pipe *consumers[2];
  GstClockTimeDiff diff;
  GstClockTime time;
  gdouble proportion;
  GstQOSType type;
  GstEvent *event;
  guint i;

  harness_start (producer, HARNESS_CAPS);
  for (i = 0; i < 2; i++)
    consumers[i] = join (producer, path);
  g_assert_true (say (consumers[0], make_qos (2.5, 7)));
  g_assert_true (say (consumers[1], make_qos (0.5, -3)));
  harness_count_upstream (producer, 0);
  harness_push_frame (producer, 1);
  event = harness_pull_upstream (producer, GST_EVENT_QOS);
  gst_event_parse_qos (event, &type, &proportion, &diff, &time);
  g_assert_cmpint (type, ==, GST_QOS_TYPE_UNDERFLOW);
  g_assert_cmpfloat (proportion, ==, 2.5);
  g_assert_cmpint (diff, ==, 7);
  g_assert_cmpuint (time, ==, 5 * GST_SECOND);
  gst_event_unref (event);
  /* Nothing new: nothing is said. */
  harness_push_frame (producer, 2);
  g_assert_cmpuint (harness_count_upstream (producer, GST_EVENT_QOS), ==, 0);
  /* The slow one has gone. */
  pipe_free (consumers[0]);
  harness_wait_clients (producer, 1);
  g_assert_true (say (consumers[1], make_qos (0.75, -3)));
  harness_push_frame (producer, 3);
  event = harness_pull_upstream (producer, GST_EVENT_QOS);
  gst_event_parse_qos (event, NULL, &proportion, NULL, NULL);
  g_assert_cmpfloat (proportion, ==, 0.75);
  gst_event_unref (event);
  g_object_set (producer->sink, "forward-events", ALL_FLAGS & ~FORWARD_QOS,
      NULL);
  g_assert_true (say (consumers[1], make_qos (0.25, -3)));
  harness_push_frame (producer, 4);
  g_assert_cmpuint (harness_count_upstream (producer, GST_EVENT_QOS), ==, 0);
  pipe_free (consumers[1]);
  harness_free (producer);
}

/* Who comes late waits for a keyframe, and asks for one, once. */
static void
test_late_consumer_waits_for_key_unit (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, NULL);
  Pipe *late = pipe_new ("mmapsrc socket-path=%s is-live=false ! fakesink "
      "name=out sync=false", path);
  Pipe *first = pipe_new ("mmapsrc socket-path=%s is-live=false ! fakesink "
      "name=out sync=false", path);
  guint i;

  harness_start (producer, HARNESS_CAPS);
  pipe_play (first);
  harness_push_frame (producer, 0);
  pipe_play (late);
  harness_wait_clients (producer, 2);
  harness_count_upstream (producer, 0);
  for (i = 1; i < 4; i++)
    g_assert_cmpint (harness_try_push_frame (producer, i,
            GST_BUFFER_FLAG_DELTA_UNIT), ==, GST_FLOW_OK);
  gst_event_unref (harness_pull_upstream (producer, GST_EVENT_CUSTOM_UPSTREAM));
  harness_push_frame (producer, 4);
  g_assert_cmpint (harness_try_push_frame (producer, 5,
          GST_BUFFER_FLAG_DELTA_UNIT), ==, GST_FLOW_OK);
  pipe_wait_frames (late, 2);
  pipe_wait_frames (first, 6);
  g_assert_cmpuint (pipe_get_frame (late, 0)->offset, ==, 4);
  g_assert_cmpuint (pipe_get_frame (late, 1)->offset, ==, 5);
  g_assert_cmpuint (harness_count_upstream (producer,
          GST_EVENT_CUSTOM_UPSTREAM), ==, 0);
  pipe_free (first);
  pipe_free (late);
  harness_free (producer);
}

/* --- queries --- */

/* As an element before the sink would. */
static GstPadProbeReturn
answer (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstQuery *query = GST_PAD_PROBE_INFO_QUERY (info);
  gint64 value;

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_POSITION:
      gst_query_set_position (query, GST_FORMAT_TIME, 11);
      return GST_PAD_PROBE_HANDLED;
    case GST_QUERY_DURATION:
      gst_query_set_duration (query, GST_FORMAT_TIME, 22);
      return GST_PAD_PROBE_HANDLED;
    case GST_QUERY_SEEKING:
      gst_query_set_seeking (query, GST_FORMAT_TIME, TRUE, 3, 33);
      return GST_PAD_PROBE_HANDLED;
    case GST_QUERY_SEGMENT:
      gst_query_set_segment (query, 2.0, GST_FORMAT_TIME, 4, 44);
      return GST_PAD_PROBE_HANDLED;
    case GST_QUERY_CONVERT:
      gst_query_parse_convert (query, NULL, &value, NULL, NULL);
      gst_query_set_convert (query, GST_FORMAT_BYTES, value, GST_FORMAT_TIME,
          value * 5);
      return GST_PAD_PROBE_HANDLED;
    case GST_QUERY_CUSTOM:
      gst_structure_set (gst_query_writable_structure (query), "answer",
          G_TYPE_INT, 66, NULL);
      return GST_PAD_PROBE_HANDLED;
    default:
      return GST_PAD_PROBE_OK;
  }
}

static void
assert_answers (Pipe * consumer)
{
  GstQuery *query = gst_query_new_position (GST_FORMAT_TIME);
  gboolean seekable;
  gint64 one, two;
  gdouble rate;
  gint number;

  g_assert_true (ask (consumer, query));
  gst_query_parse_position (query, NULL, &one);
  g_assert_cmpint (one, ==, 11);
  gst_query_unref (query);

  query = gst_query_new_duration (GST_FORMAT_TIME);
  g_assert_true (ask (consumer, query));
  gst_query_parse_duration (query, NULL, &one);
  g_assert_cmpint (one, ==, 22);
  gst_query_unref (query);

  query = gst_query_new_seeking (GST_FORMAT_TIME);
  g_assert_true (ask (consumer, query));
  gst_query_parse_seeking (query, NULL, &seekable, &one, &two);
  g_assert_true (seekable);
  g_assert_cmpint (one, ==, 3);
  g_assert_cmpint (two, ==, 33);
  gst_query_unref (query);

  query = gst_query_new_segment (GST_FORMAT_TIME);
  g_assert_true (ask (consumer, query));
  gst_query_parse_segment (query, &rate, NULL, &one, &two);
  g_assert_cmpfloat (rate, ==, 2.0);
  g_assert_cmpint (two, ==, 44);
  gst_query_unref (query);

  query = gst_query_new_convert (GST_FORMAT_BYTES, 11, GST_FORMAT_TIME);
  g_assert_true (ask (consumer, query));
  gst_query_parse_convert (query, NULL, NULL, NULL, &one);
  g_assert_cmpint (one, ==, 55);
  gst_query_unref (query);

  query = gst_query_new_custom (GST_QUERY_CUSTOM, gst_structure_new_empty
      ("x-question"));
  g_assert_true (ask (consumer, query));
  g_assert_true (gst_structure_get_int (gst_query_get_structure (query),
          "answer", &number));
  g_assert_cmpint (number, ==, 66);
  gst_query_unref (query);
}

static void
assert_no_answer (Pipe * consumer)
{
  GstQuery *query = gst_query_new_custom (GST_QUERY_CUSTOM,
      gst_structure_new_empty ("x-question"));

  g_assert_false (ask (consumer, query));
  gst_query_unref (query);
}

static void
test_queries (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, "wait-for-connection", FALSE, NULL);
  Pipe *consumer;
  gulong probe;

  harness_start (producer, HARNESS_CAPS);
  consumer = join (producer, path);
  probe = gst_pad_add_probe (producer->harness->srcpad,
      GST_PAD_PROBE_TYPE_QUERY_UPSTREAM, answer, NULL, NULL);
  assert_answers (consumer);
  /* In PAUSED, too: no frame is needed for it. */
  gst_element_set_state (consumer->pipeline, GST_STATE_PAUSED);
  assert_answers (consumer);
  pipe_play (consumer);
  g_object_set (producer->sink, "forward-events", ALL_FLAGS & ~FORWARD_QUERY,
      NULL);
  assert_no_answer (consumer);
  g_object_set (producer->sink, "forward-events", ALL_FLAGS, NULL);
  gst_pad_remove_probe (producer->harness->srcpad, probe);
  assert_no_answer (consumer);
  /* Nobody is there to ask. */
  harness_free (producer);
  assert_no_answer (consumer);
  pipe_free (consumer);
}

/* What makes nobody wait, even if there is no producer. */
static void
test_nobody_listens (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! fakesink "
      "name=out async=false", path);
  guint i, flag;
  GstEvent *event;

  pipe_set_state (consumer, GST_STATE_PLAYING);
  for (i = 0; (event = make_event (i, &flag)); i++)
    g_assert_false (say (consumer, event));
  assert_no_answer (consumer);
  pipe_free (consumer);
}

static void
add_tests (void)
{
  leak_check_add_test ("/upstream/events", test_events);
  leak_check_add_test ("/upstream/forward-events", test_forward_events);
  leak_check_add_test ("/upstream/key-units-are-merged",
      test_key_units_are_merged);
  leak_check_add_test ("/upstream/key-unit-time", test_key_unit_time);
  leak_check_add_test ("/upstream/qos", test_qos);
  leak_check_add_test ("/upstream/late-consumer-waits-for-key-unit",
      test_late_consumer_waits_for_key_unit);
  leak_check_add_test ("/upstream/queries", test_queries);
  leak_check_add_test ("/upstream/nobody-listens", test_nobody_listens);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
