/* gst-mmap: tests of caps negotiation between a producer and its consumers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. All pipelines are of one process; each producer's upstream is watched for RECONFIGURE events.
 */
#include "gstmmapwishes.h"
#include "harness.h"
#include "leak-check.h"
#include "pipe.h"

#include <gst/check/gstharness.h>
#include <string.h>

#define WAIT_US (60 * G_USEC_PER_SEC)

#define ENDLESS G_MAXINT

/* Any raw video, of a size at which a conversion costs little. */
#define SOURCE "videotestsrc name=source pattern=ball num-buffers=%u ! " \
  "video/x-raw,width=64,height=48,framerate=100/1 ! "
#define CONVERTS SOURCE "videoconvert ! "
/* What isn't live plays at its own speed: frames come one by one. */
#define SINK "mmapsink name=sink socket-path=%s "
#define CONSUMER "mmapsrc name=src socket-path=%s ! " \
  "capsfilter name=filter caps=%s ! fakesink name=out sync=false async=false"
#define NV12 "video/x-raw,format=NV12"
#define I420 "video/x-raw,format=I420"
#define FIXED "capsfilter caps=" I420

/* --- GstMmapWishes --- */

static void
wish (GstMmapWishes * wishes, guint32 link_id, const char *caps)
{
  gst_mmap_wishes_set (wishes, link_id, gst_caps_from_string (caps))->counts =
      TRUE;
}

static void
assert_caps (GstCaps * caps, const char *expected)
{
  g_autofree char *string = gst_caps_to_string (caps);

  g_assert_cmpstr (string, ==, expected);
  gst_caps_unref (caps);
}

static void
test_wishes (void)
{
  g_autoptr (GstCaps) filter = gst_caps_from_string ("c/c; b/b; a/a");
  GstMmapWishes wishes;

  gst_mmap_wishes_init (&wishes);
  assert_caps (gst_mmap_wishes_intersect (&wishes, 0), "ANY");
  assert_caps (gst_mmap_wishes_offer (&wishes, NULL), "ANY");
  assert_caps (gst_mmap_wishes_offer (&wishes, filter), "c/c; b/b; a/a");
  g_assert_null (gst_mmap_wishes_find (&wishes, 1));
  gst_mmap_wishes_remove (&wishes, 1);

  /* What the oldest prefers comes first. */
  wish (&wishes, 1, "a/a; b/b; c/c");
  wish (&wishes, 2, "d/d; c/c; a/a");
  assert_caps (gst_mmap_wishes_intersect (&wishes, 0), "a/a; c/c");
  assert_caps (gst_mmap_wishes_offer (&wishes, NULL), "a/a; c/c");
  assert_caps (gst_mmap_wishes_offer (&wishes, filter), "c/c; a/a");

  /* One that does not count, but if it is asked for. */
  gst_mmap_wishes_set (&wishes, 3, gst_caps_from_string ("c/c"));
  assert_caps (gst_mmap_wishes_intersect (&wishes, 0), "a/a; c/c");
  assert_caps (gst_mmap_wishes_intersect (&wishes, 3), "c/c");
  assert_caps (gst_mmap_wishes_offer (&wishes, NULL), "a/a; c/c");

  /* Who can't agree with the older ones, or with upstream, is left out. */
  wish (&wishes, 3, "b/b");
  assert_caps (gst_mmap_wishes_intersect (&wishes, 0), "EMPTY");
  assert_caps (gst_mmap_wishes_offer (&wishes, NULL), "a/a; c/c");
  gst_mmap_wishes_remove (&wishes, 2);
  assert_caps (gst_mmap_wishes_offer (&wishes, filter), "b/b");
  gst_caps_take (&filter, gst_caps_from_string ("x/x"));
  assert_caps (gst_mmap_wishes_offer (&wishes, filter), "x/x");
  gst_mmap_wishes_clear (&wishes);
}

static void
test_wishes_said_again (void)
{
  GstMmapWishes wishes;

  gst_mmap_wishes_init (&wishes);
  g_assert_false (gst_mmap_wishes_has_unfit (&wishes));
  wish (&wishes, 1, "a/a");
  wish (&wishes, 2, "a/a");
  gst_mmap_wishes_find (&wishes, 2)->unfit_since = 5;
  g_assert_true (gst_mmap_wishes_has_unfit (&wishes));
  /* The same: what was decided stays. Another: it is undecided. */
  gst_mmap_wishes_set (&wishes, 2, gst_caps_from_string ("a/a"));
  g_assert_true (gst_mmap_wishes_find (&wishes, 2)->counts);
  g_assert_cmpint (gst_mmap_wishes_find (&wishes, 2)->unfit_since, ==, 5);
  gst_mmap_wishes_set (&wishes, 2, gst_caps_from_string ("a/a; b/b"));
  g_assert_false (gst_mmap_wishes_find (&wishes, 2)->counts);
  g_assert_false (gst_mmap_wishes_has_unfit (&wishes));
  g_assert_true (gst_mmap_wishes_find (&wishes, 1)->counts);
  gst_mmap_wishes_clear (&wishes);
}

/* --- pipelines --- */

static GstPadProbeReturn
count_reconfigure (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_RECONFIGURE)
    g_atomic_int_inc ((gint *) data);
  return GST_PAD_PROBE_OK;
}

/* Counts what mmapsink sends upstream. */
static void
watch (Pipe * producer, gint * reconfigures)
{
  GstPad *pad = gst_element_get_static_pad (pipe_get (producer, "sink"),
      "sink");

  *reconfigures = 0;
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, count_reconfigure,
      reconfigures, NULL);
  gst_object_unref (pad);
}

/* Waits until mmapsink asks for @caps, or for anything again: a consumer's wish is known. */
static void
wait_asks_for (Pipe * producer, const char *caps)
{
  gint64 end = g_get_monotonic_time () + WAIT_US;
  g_autoptr (GstPad) pad = gst_element_get_static_pad (pipe_get (producer,
          "sink"), "sink");
  g_autoptr (GstCaps) wanted = gst_caps_from_string (caps);
  g_autoptr (GstCaps) filter =
      gst_caps_from_string ("video/x-raw,format={YUY2,NV12,I420}");
  gboolean same;

  do {
    GstCaps *asked = gst_pad_query_caps (pad, filter);

    same = gst_caps_is_equal (asked, wanted);
    gst_caps_unref (asked);
    if (!same && g_get_monotonic_time () > end)
      g_error ("mmapsink does not ask for %s", caps);
    g_usleep (500);
  } while (!same);
}

static Pipe *
new_consumer (const char *path, const char *caps)
{
  return pipe_new (CONSUMER, path, caps);
}

/* Every frame from @first on, to the last of @n, none twice. */
static void
assert_complete (Pipe * consumer, guint first, guint n)
{
  guint i;

  g_assert_cmpuint (consumer->frames->len, ==, n - first);
  for (i = first; i < n; i++)
    g_assert_cmpuint (pipe_get_frame (consumer, i - first)->pts, ==,
        i * GST_SECOND / 100);
}

/* Of a producer with ENDLESS frames, as it takes what it takes until its consumers have done what they shall. Returns: the number of frames
 * that there were */
static guint
end (Pipe * producer)
{
  g_assert_true (gst_element_send_event (producer->pipeline,
          gst_event_new_eos ()));
  pipe_wait_eos (producer);
  return pipe_get_stat (producer, "sink", "frames");
}

static void
assert_format (Pipe * consumer, guint i, const char *format)
{
  g_autofree char *field = g_strdup_printf ("format=(string)%s", format);

  g_assert_nonnull (strstr (pipe_get_frame (consumer, i)->caps, field));
}

static void
assert_refused (Pipe * consumer, const char *sent, const char *accepted)
{
  g_autoptr (GError) error = pipe_wait_error (consumer);

  g_assert_error (error, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION);
  if (!strstr (error->message, sent) || !strstr (error->message, accepted))
    g_error ("\"%s\" doesn't name %s and %s", error->message, sent, accepted);
}

/* The consumer is there before there are caps: no frame of others is made. */
static void
test_consumer_first (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (CONVERTS SINK, 10, path);
  Pipe *consumer = new_consumer (path, NV12);
  gint reconfigures;

  watch (producer, &reconfigures);
  pipe_set_state (producer, GST_STATE_READY);
  pipe_play (consumer);
  wait_asks_for (producer, NV12);
  pipe_play (producer);
  pipe_wait_eos (consumer);
  pipe_wait_eos (producer);
  assert_complete (consumer, 0, 10);
  assert_format (consumer, 0, "NV12");
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "unsent"), ==, 0);
  g_assert_cmpint (reconfigures, ==, 0);
  pipe_free (consumer);
  pipe_free (producer);
}

/* The frame that waited for a consumer has caps which that does not accept. Upstream makes no other one of it: it is lost, but no more. */
static void
test_producer_first (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (CONVERTS SINK, 10, path);
  Pipe *consumer = new_consumer (path, NV12);
  gint reconfigures;

  watch (producer, &reconfigures);
  pipe_set_state (producer, GST_STATE_PLAYING);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  pipe_wait_eos (producer);
  assert_complete (consumer, 1, 10);
  assert_format (consumer, 0, "NV12");
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "unsent"), ==, 1);
  g_assert_cmpint (reconfigures, ==, 1);
  pipe_free (consumer);
  pipe_free (producer);
}

/* With a queue, what is in flight is what that holds. */
static void
test_in_flight (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (CONVERTS "queue max-size-buffers=3 ! " SINK, 20,
      path);
  Pipe *consumer = new_consumer (path, NV12);
  guint64 unsent;

  pipe_set_state (producer, GST_STATE_PLAYING);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  pipe_wait_eos (producer);
  unsent = pipe_get_stat (producer, "sink", "unsent");
  /* The one that is rendered, three in the queue, and the one that waits to get in. */
  g_assert_cmpuint (unsent, >=, 1);
  g_assert_cmpuint (unsent, <=, 5);
  assert_complete (consumer, unsent, 20);
  pipe_free (consumer);
  pipe_free (producer);
}

/* Nothing is asked of upstream if the caps fit. */
static void
test_fits (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (SOURCE FIXED " ! videoconvert ! " SINK, ENDLESS,
      path);
  Pipe *first = new_consumer (path, "video/x-raw");
  Pipe *second = new_consumer (path, NV12 ";" I420);
  gint reconfigures;
  guint n;

  watch (producer, &reconfigures);
  pipe_set_state (producer, GST_STATE_PLAYING);
  pipe_play (first);
  pipe_wait_uint (producer, "sink", "num-clients", 1);
  pipe_play (second);
  pipe_wait_frames (second, 3);
  n = end (producer);
  pipe_wait_eos (second);
  pipe_wait_eos (first);
  assert_complete (first, 0, n);
  assert_format (first, n - 1, "I420");
  assert_format (second, 0, "I420");
  g_assert_cmpint (reconfigures, ==, 0);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "unsent"), ==, 0);
  pipe_free (first);
  pipe_free (second);
  pipe_free (producer);
}

/* Whoever is first, and whatever is between: a consumer that wants what upstream can't is refused, and upstream goes on. */
static void
check_unsatisfied (const char *between, gboolean consumer_first)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (SOURCE FIXED " ! %s ! " SINK, 10, between, path);
  Pipe *consumer = new_consumer (path, NV12);
  Pipe *other = new_consumer (path, "video/x-raw");
  gint reconfigures;

  watch (producer, &reconfigures);
  if (consumer_first)
    pipe_play (consumer);
  pipe_play (producer);
  if (!consumer_first)
    pipe_wait_uint (producer, "sink", "num-clients", 0);
  pipe_play (consumer);
  assert_refused (consumer, "format=(string)I420", "format=(string)NV12");
  pipe_play (other);
  pipe_wait_eos (other);
  pipe_wait_eos (producer);
  assert_complete (other, 0, 10);
  g_assert_cmpint (reconfigures, ==, 0);
  g_assert_cmpuint (consumer->frames->len, ==, 0);
  pipe_free (consumer);
  pipe_free (other);
  pipe_free (producer);
}

static void
test_unsatisfied (void)
{
  check_unsatisfied ("identity", TRUE);
  check_unsatisfied ("identity", FALSE);
  check_unsatisfied ("queue", TRUE);
}

/* Upstream is linked when the consumer's wish is known already, as behind a decodebin. */
static void
check_late_link (const char *upstream, const char *between, const char *format)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (SOURCE "%s name=late  %s name=between ! " SINK,
      ENDLESS, upstream, between, path);
  Pipe *consumer = new_consumer (path, NV12);
  Pipe *other = new_consumer (path, "video/x-raw");
  gboolean fits = strcmp (format, "NV12") == 0;
  guint n;

  pipe_set_state (producer, GST_STATE_READY);
  pipe_play (consumer);
  /* Longer than it takes until the wish is known, which nobody can see: in vain at worst. */
  g_usleep (50000);
  g_assert_true (gst_element_link (pipe_get (producer, "late"),
          pipe_get (producer, "between")));
  pipe_play (producer);
  if (!fits)
    assert_refused (consumer, "format=(string)I420", "format=(string)NV12");
  else
    pipe_wait_frames (consumer, 1);
  pipe_play (other);
  pipe_wait_frames (other, 1);
  n = end (producer);
  if (fits)
    pipe_wait_eos (consumer);
  pipe_wait_eos (other);
  assert_format (other, 0, format);
  assert_complete (fits ? consumer : other, 0, n);
  pipe_free (consumer);
  pipe_free (other);
  pipe_free (producer);
}

static void
test_late_link (void)
{
  check_late_link (FIXED " ! identity", "queue", "I420");
  check_late_link (FIXED " ! identity", "identity", "I420");
  check_late_link (FIXED " ! identity", "videoscale", "I420");
  check_late_link (FIXED " ! identity", "videoconvert", "NV12");
  check_late_link (FIXED " ! videoconvert", "queue", "NV12");
}

/* What fits all of them, and who comes too late for that. */
static void
test_several (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (CONVERTS SINK "size=4000000", ENDLESS, path);
  Pipe *one = new_consumer (path, "\"video/x-raw,format={I420,NV12,RGBA}\"");
  Pipe *two = new_consumer (path, "\"video/x-raw,format={YUY2,NV12}\"");
  Pipe *three = new_consumer (path, "\"video/x-raw,format={RGBA,I420}\"");
  gint reconfigures;
  guint i, n;

  watch (producer, &reconfigures);
  pipe_set_state (producer, GST_STATE_READY);
  pipe_play (one);
  wait_asks_for (producer, "video/x-raw,format={I420,NV12}");
  pipe_play (producer);
  pipe_wait_frames (one, 2);
  pipe_play (two);
  pipe_wait_frames (two, 2);
  g_assert_cmpint (g_atomic_int_get (&reconfigures), ==, 1);
  pipe_play (three);
  assert_refused (three, "format=(string)NV12", "RGBA");
  n = end (producer);
  pipe_wait_eos (one);
  pipe_wait_eos (two);
  assert_complete (one, 0, n);
  assert_complete (two, n - two->frames->len, n);
  for (i = 0; i < two->frames->len; i++)
    assert_format (two, i, "NV12");
  assert_format (one, n - 1, "NV12");
  g_assert_cmpint (reconfigures, ==, 1);
  pipe_free (one);
  pipe_free (two);
  pipe_free (three);
  pipe_free (producer);
}

static void
set_filter (Pipe * consumer, const char *string)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (string);

  g_object_set (pipe_get (consumer, "filter"), "caps", caps, NULL);
}

/* Waits until frames of @format arrive after the first @n. Returns: how many there were before */
static guint
wait_format_after (Pipe * consumer, guint n, const char *format)
{
  g_autofree char *field = g_strdup_printf ("format=(string)%s", format);

  for (;; n++) {
    pipe_wait_frames (consumer, n + 1);
    if (strstr (pipe_get_frame (consumer, n)->caps, field))
      return n;
  }
}

/* Downstream's mind changes while it plays. */
static void
test_filter_changes (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (SOURCE FIXED " ! videoconvert ! " SINK, ENDLESS,
      path);
  Pipe *consumer = new_consumer (path, I420);
  Pipe *other = new_consumer (path, "video/x-raw");
  gint reconfigures;
  guint i, n, changed;

  watch (producer, &reconfigures);
  pipe_set_state (producer, GST_STATE_PLAYING);
  pipe_play (other);
  pipe_wait_frames (other, 1);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 3);
  g_assert_cmpint (g_atomic_int_get (&reconfigures), ==, 0);
  set_filter (consumer, NV12);
  changed = wait_format_after (consumer, 0, "NV12");
  g_assert_cmpuint (changed, >=, 3);
  /* To what fits as well: nobody need do anything. */
  set_filter (consumer, "video/x-raw");
  pipe_wait_frames (consumer, changed + 5);
  g_assert_cmpint (g_atomic_int_get (&reconfigures), ==, 1);
  /* To what the other does not mind, either. */
  set_filter (consumer, I420);
  wait_format_after (consumer, changed, "I420");
  n = end (producer);
  pipe_wait_eos (consumer);
  pipe_wait_eos (other);
  assert_format (consumer, consumer->frames->len - 1, "I420");
  g_assert_cmpint (reconfigures, ==, 2);
  assert_complete (other, 0, n);
  for (i = 0; i < changed; i++)
    assert_format (consumer, i, "I420");
  pipe_free (consumer);
  pipe_free (other);
  pipe_free (producer);
}

/* To what upstream can't. */
/* As an element that could send anything would. */
static GstPadProbeReturn
answer_any (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstQuery *query = GST_PAD_PROBE_INFO_QUERY (info);
  GstCaps *filter;

  if (GST_QUERY_TYPE (query) != GST_QUERY_CAPS)
    return GST_PAD_PROBE_OK;
  gst_query_parse_caps (query, &filter);
  gst_query_set_caps_result (query, filter);
  return GST_PAD_PROBE_HANDLED;
}

/* Upstream could, but doesn't: the time is over although no frame comes. */
static void
test_waits_in_vain (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = harness_new (path, NULL);
  Pipe *consumer = new_consumer (path, "x-test/b");
  Pipe *other = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false async=false", path);
  gulong probe = gst_pad_add_probe (producer->harness->srcpad,
      GST_PAD_PROBE_TYPE_QUERY_UPSTREAM, answer_any, NULL, NULL);

  harness_start (producer, "x-test/a");
  pipe_play (other);
  harness_push_frame (producer, 0);
  pipe_wait_frames (other, 1);
  pipe_play (consumer);
  gst_event_unref (harness_pull_upstream (producer, GST_EVENT_RECONFIGURE));
  assert_refused (consumer, "x-test/a", "x-test/b");
  harness_wait_clients (producer, 1);
  harness_push_frame (producer, 1);
  pipe_wait_frames (other, 2);
  gst_pad_remove_probe (producer->harness->srcpad, probe);
  pipe_free (consumer);
  pipe_free (other);
  harness_free (producer);
}

/* An element that draws over the picture draws into it: what it could send beside it can't cross. Nothing is negotiated again. */
static void
test_overlay (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (SOURCE "timeoverlay ! videoconvert ! " SINK, 20,
      path);
  Pipe *consumer = new_consumer (path, NV12);
  gint reconfigures;

  watch (producer, &reconfigures);
  pipe_set_state (producer, GST_STATE_READY);
  pipe_play (consumer);
  wait_asks_for (producer, NV12);
  pipe_play (producer);
  pipe_wait_eos (consumer);
  assert_complete (consumer, 0, 20);
  assert_format (consumer, 0, "NV12");
  g_assert_cmpint (reconfigures, ==, 0);
  pipe_free (consumer);
  pipe_free (producer);
}

static void
test_filter_changes_in_vain (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (SOURCE FIXED " ! " SINK, ENDLESS, path);
  Pipe *consumer = new_consumer (path, I420);
  Pipe *other = new_consumer (path, "video/x-raw");
  guint n;

  pipe_set_state (producer, GST_STATE_PLAYING);
  pipe_play (other);
  pipe_wait_frames (other, 1);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 3);
  set_filter (consumer, NV12);
  assert_refused (consumer, "format=(string)I420", "format=(string)NV12");
  n = end (producer);
  pipe_wait_eos (other);
  assert_complete (other, 0, n);
  pipe_free (consumer);
  pipe_free (other);
  pipe_free (producer);
}

/* The producer's own application wants other caps: that is not for a consumer to prevent. */
static void
test_upstream_changes (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (SOURCE "videoconvert ! capsfilter name=filter "
      "caps=" NV12 " ! " SINK, ENDLESS, path);
  Pipe *consumer = new_consumer (path, NV12);
  Pipe *other = new_consumer (path, "video/x-raw");
  guint n;

  pipe_set_state (producer, GST_STATE_PLAYING);
  pipe_play (other);
  pipe_wait_frames (other, 1);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 3);
  set_filter (producer, I420);
  assert_refused (consumer, "format=(string)I420", "format=(string)NV12");
  assert_format (consumer, consumer->frames->len - 1, "NV12");
  n = end (producer);
  pipe_wait_eos (other);
  assert_complete (other, 0, n);
  assert_format (other, n - 1, "I420");
  pipe_free (consumer);
  pipe_free (other);
  pipe_free (producer);
}

static void
test_without_reconfigure (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (SOURCE FIXED " ! videoconvert ! " SINK, 10, path);
  Pipe *consumer = new_consumer (path, NV12);
  Pipe *other = new_consumer (path, "video/x-raw");
  gint reconfigures;

  watch (producer, &reconfigures);
  gst_util_set_object_arg (G_OBJECT (pipe_get (producer, "sink")),
      "forward-events", "seek+qos+query");
  pipe_set_state (producer, GST_STATE_PLAYING);
  pipe_play (consumer);
  assert_refused (consumer, "format=(string)I420", "format=(string)NV12");
  pipe_play (other);
  pipe_wait_eos (other);
  assert_complete (other, 0, 10);
  g_assert_cmpint (reconfigures, ==, 0);
  pipe_free (consumer);
  pipe_free (other);
  pipe_free (producer);
}

/* Nobody is waited for: the frames before are nobody's. */
static void
test_does_not_wait (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (CONVERTS SINK "wait-for-connection=false",
      ENDLESS, path);
  Pipe *consumer = new_consumer (path, NV12);
  gint reconfigures;
  guint n, all;

  watch (producer, &reconfigures);
  pipe_play (producer);
  while (pipe_get_stat (producer, "sink", "unsent") < 3)
    g_usleep (1000);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 3);
  all = end (producer);
  pipe_wait_eos (consumer);
  n = consumer->frames->len;
  assert_complete (consumer, all - n, all);
  assert_format (consumer, 0, "NV12");
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "unsent"), ==, all - n);
  g_assert_cmpint (reconfigures, ==, 1);
  pipe_free (consumer);
  pipe_free (producer);
}

#define PART "videotestsrc num-buffers=5 pattern=ball ! video/x-raw," \
  "format=%s,width=%u,height=48,framerate=%u/1 ! c. "

/* Size, rate and format change between the right two frames; a consumer that accepts only one format gets all of that. */
static void
test_mid_stream (void)
{
  g_autofree char *path = pipe_socket_path ();
  g_autofree char *description = g_strdup_printf (PART PART PART PART
      "concat name=c", "I420", 64, 25, "I420", 128, 25, "I420", 128, 50,
      "NV12", 128, 50);
  Pipe *reference = pipe_new ("%s ! fakesink name=out sync=false",
      description);
  Pipe *producer = pipe_new ("%s ! mmapsink name=sink sync=false "
      "wait-for-connection=true socket-path=%s", description, path);
  Pipe *any = new_consumer (path, "video/x-raw");
  /* So slow that most of what it accepts lies unread when the rest comes. */
  Pipe *narrow = pipe_new ("mmapsrc socket-path=%s ! " I420 " ! "
      "identity sleep-time=10000 ! fakesink name=out sync=false async=false",
      path);
  guint i;

  pipe_play (reference);
  pipe_wait_eos (reference);
  pipe_set_state (producer, GST_STATE_READY);
  pipe_play (any);
  pipe_play (narrow);
  /* Both are known, and admitted with the first region. */
  wait_asks_for (producer, I420);
  pipe_play (producer);
  assert_refused (narrow, "format=(string)NV12", "format=(string)I420");
  pipe_wait_eos (any);
  g_assert_cmpuint (reference->frames->len, ==, 20);
  /* One of them may have come when frames were on their way to the other. */
  for (i = 0; i < any->frames->len; i++) {
    PipeFrame *seen = pipe_get_frame (any, any->frames->len - 1 - i);
    PipeFrame *sent = pipe_get_frame (reference, 19 - i);

    g_assert_cmpstr (seen->caps, ==, sent->caps);
    g_assert_cmpstr (seen->pixels, ==, sent->pixels);
  }
  g_assert_cmpuint (narrow->frames->len, <=, 15);
  for (i = 0; i < narrow->frames->len; i++) {
    PipeFrame *seen = pipe_get_frame (narrow, narrow->frames->len - 1 - i);
    PipeFrame *sent = pipe_get_frame (reference, 14 - i);

    g_assert_cmpstr (seen->caps, ==, sent->caps);
    g_assert_cmpstr (seen->pixels, ==, sent->pixels);
  }
  g_assert_cmpuint (MAX (any->frames->len, narrow->frames->len + 5), ==, 20);
  pipe_free (any);
  pipe_free (narrow);
  pipe_free (producer);
  pipe_free (reference);
}

/* A link is let in between two others: what it accepts is what upstream is asked for, in its order. */
static void
test_caps_query (void)
{
  g_autofree char *path = pipe_socket_path ();
  GstElement *sink = gst_element_factory_make ("mmapsink", NULL);
  Pipe *consumer = new_consumer (path,
      "\"video/x-raw,format=NV12;video/x-raw,format=I420\"");
  GstHarness *harness;
  GstCaps *caps;

  g_object_set (sink, "socket-path", path, "async", FALSE, NULL);
  harness = gst_harness_new_with_element (gst_object_ref_sink (sink), "sink",
      NULL);
  caps = gst_pad_peer_query_caps (harness->srcpad, NULL);
  assert_caps (caps, "ANY");
  pipe_play (consumer);
  do {
    caps = gst_pad_peer_query_caps (harness->srcpad, NULL);
    if (!gst_caps_is_any (caps))
      break;
    gst_caps_unref (caps);
    g_usleep (500);
  } while (TRUE);
  assert_caps (caps,
      "video/x-raw, format=(string)NV12; video/x-raw, format=(string)I420");
  /* Of what upstream can, something is left in any case. */
  caps = gst_caps_from_string ("audio/x-raw");
  assert_caps (gst_pad_peer_query_caps (harness->srcpad, caps), "audio/x-raw");
  gst_caps_unref (caps);
  pipe_free (consumer);
  do {
    gboolean any;

    caps = gst_pad_peer_query_caps (harness->srcpad, NULL);
    any = gst_caps_is_any (caps);
    gst_caps_unref (caps);
    if (any)
      break;
    g_usleep (500);
  } while (TRUE);
  gst_harness_teardown (harness);
  gst_object_unref (sink);
}

static void
add_tests (void)
{
  leak_check_add_test ("/negotiation/wishes", test_wishes);
  leak_check_add_test ("/negotiation/wishes-said-again",
      test_wishes_said_again);
  leak_check_add_test ("/negotiation/caps-query", test_caps_query);
  leak_check_add_test ("/negotiation/consumer-first", test_consumer_first);
  leak_check_add_test ("/negotiation/producer-first", test_producer_first);
  leak_check_add_test ("/negotiation/in-flight", test_in_flight);
  leak_check_add_test ("/negotiation/fits", test_fits);
  leak_check_add_test ("/negotiation/unsatisfied", test_unsatisfied);
  leak_check_add_test ("/negotiation/late-link", test_late_link);
  leak_check_add_test ("/negotiation/several", test_several);
  leak_check_add_test ("/negotiation/filter-changes", test_filter_changes);
  leak_check_add_test ("/negotiation/filter-changes-in-vain",
      test_filter_changes_in_vain);
  leak_check_add_test ("/negotiation/overlay", test_overlay);
  leak_check_add_test ("/negotiation/waits-in-vain", test_waits_in_vain);
  leak_check_add_test ("/negotiation/upstream-changes", test_upstream_changes);
  leak_check_add_test ("/negotiation/without-reconfigure",
      test_without_reconfigure);
  leak_check_add_test ("/negotiation/does-not-wait", test_does_not_wait);
  leak_check_add_test ("/negotiation/mid-stream", test_mid_stream);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
