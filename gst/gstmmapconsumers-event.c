/* gst-mmap: what a sink's consumers say
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The core's service thread hears it. It goes upstream from a thread of its own, one thing after the other: a seek may take long, and the
 * service thread is needed meanwhile. Seeks without a flush, which wait for the frames before them, have another thread: a consumer that is
 * paused must not delay what the others say.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapconsumers-private.h"

#include "gstmmapevent.h"
#include "gstmmapquery.h"

#include <gst/video/video.h>

GST_DEBUG_CATEGORY_EXTERN (gst_mmap_sink_debug);
#define GST_CAT_DEFAULT gst_mmap_sink_debug

/* Another request for a keyframe is taken for the same one until there was a keyframe, but no longer than this; chosen, untuned. */
#define KEY_UNIT_TIMEOUT_US (G_USEC_PER_SEC)

/* How often the lock of the pipeline's state is looked at, and for how long; chosen: nobody sees it, and who has it has it for a moment, or
 * waits itself for what a consumer asked for. */
#define STATE_LOCK_INTERVAL_US 500
#define STATE_LOCK_TIMEOUT_US (G_USEC_PER_SEC)

/* More that is not yet handed on is not taken; chosen: far more than a user can do in a second. */
#define MAX_JOBS 256

/* What a consumer said. */
typedef struct
{
  guint32 link_id;
  MmapMessageKind kind;
  GVariant *body;
  gint n_flushing_seeks;        /* before it */
} Job;

gboolean
gst_mmap_consumers_forward (GstMmapConsumers * self, GstMmapForward what)
{
  return (g_atomic_int_get (&self->forward) & what) != 0;
}

static GstMmapForward
forward_of (GstEvent * event)
{
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_SEEK:
    case GST_EVENT_STEP:
    case GST_EVENT_TOC_SELECT:
    case GST_EVENT_SELECT_STREAMS:
      return GST_MMAP_FORWARD_SEEK;
    case GST_EVENT_NAVIGATION:
      return GST_MMAP_FORWARD_NAVIGATION;
    case GST_EVENT_LATENCY:
      return GST_MMAP_FORWARD_LATENCY;
    case GST_EVENT_CUSTOM_UPSTREAM:
    case GST_EVENT_CUSTOM_BOTH:
    case GST_EVENT_CUSTOM_BOTH_OOB:
      return gst_video_event_is_force_key_unit (event) ?
          GST_MMAP_FORWARD_FORCE_KEY_UNIT : GST_MMAP_FORWARD_CUSTOM;
    default:
      return 0;
  }
}

/* Whether the same was asked for a moment ago, by another consumer or this one. */
static gboolean
is_merged (GstMmapConsumers * self, GstEvent * event)
{
  gint64 now = g_get_monotonic_time ();
  GstClockTime running_time;
  gboolean merged;

  if (!gst_video_event_is_force_key_unit (event)
      || !gst_video_event_parse_upstream_force_key_unit (event, &running_time,
          NULL, NULL) || GST_CLOCK_TIME_IS_VALID (running_time))
    return FALSE;
  g_mutex_lock (&self->lock);
  merged = g_atomic_int_get (&self->key_unit_pending)
      && now - self->key_unit_asked < KEY_UNIT_TIMEOUT_US;
  if (!merged)
    self->key_unit_asked = now;
  g_atomic_int_set (&self->key_unit_pending, TRUE);
  g_mutex_unlock (&self->lock);
  return merged;
}

/* Returns: (transfer full) (nullable): the pipeline */
static GstElement *
get_toplevel (GstMmapConsumers * self)
{
  GstObject *top = gst_object_ref (GST_OBJECT (self->pad)), *parent;

  while ((parent = gst_object_get_parent (top))) {
    gst_object_unref (top);
    top = parent;
  }
  if (GST_IS_ELEMENT (top))
    return GST_ELEMENT (top);
  gst_object_unref (top);
  return NULL;
}

/* As an application's seek does it: no change of the pipeline's state comes between, which would wait for the streaming thread, and that
 * for the lock. FALSE: who has it is stopping us, or waits for us itself. */
static gboolean
lock_state (GstMmapConsumers * self, GstElement * pipeline)
{
  gint64 end = g_get_monotonic_time () + STATE_LOCK_TIMEOUT_US;

  while (!GST_STATE_TRYLOCK (pipeline)) {
    if (g_atomic_int_get (&self->closed) || g_get_monotonic_time () > end)
      return FALSE;
    g_usleep (STATE_LOCK_INTERVAL_US);
  }
  return TRUE;
}

/* Somebody may change only the sink's own state, too. @event: (transfer full) */
static gboolean
push_seek (GstMmapConsumers * self, GstEvent * event)
{
  GstElement *pipeline = get_toplevel (self);
  GstElement *sink = gst_pad_get_parent_element (self->pad);
  gboolean locked = pipeline && lock_state (self, pipeline);
  gboolean sink_locked = sink && lock_state (self, sink);
  gboolean handled = FALSE;

  if (g_atomic_int_get (&self->closed))
    gst_event_unref (event);
  else
    handled = gst_pad_push_event (self->pad, event);
  if (sink_locked)
    GST_STATE_UNLOCK (sink);
  if (locked)
    GST_STATE_UNLOCK (pipeline);
  gst_clear_object (&sink);
  gst_clear_object (&pipeline);
  return handled;
}

static gboolean
is_flushing_seek (GstEvent * event)
{
  GstSeekFlags flags;

  if (GST_EVENT_TYPE (event) != GST_EVENT_SEEK)
    return FALSE;
  gst_event_parse_seek (event, NULL, NULL, &flags, NULL, NULL, NULL, NULL);
  return (flags & GST_SEEK_FLAG_FLUSH) != 0;
}

static gboolean
hand_on_event (GstMmapConsumers * self, GVariant * body)
{
  guint32 type = 0, seqnum = 0;
  GstEvent *event;

  g_variant_lookup (body, "type", "u", &type);
  g_variant_lookup (body, "seqnum", "u", &seqnum);
  event = gst_mmap_event_from_variant (type, seqnum, 0, body);
  if (!event) {
    GST_WARNING_OBJECT (self->pad, "an event of type %u makes no sense", type);
    return FALSE;
  }
  GST_DEBUG_OBJECT (self->pad, "from a consumer: %" GST_PTR_FORMAT, event);
  if (!gst_mmap_consumers_forward (self, forward_of (event))) {
    gst_event_unref (event);
    return FALSE;
  }
  if (is_merged (self, event)) {
    gst_event_unref (event);
    return TRUE;
  }
  return is_flushing_seek (event) ? push_seek (self, event) :
      gst_pad_push_event (self->pad, event);
}

static gboolean
hand_on_query (GstMmapConsumers * self, GVariant * body, GVariantDict * result)
{
  gboolean answered;
  guint32 type = 0;
  GstQuery *query;

  g_variant_lookup (body, "type", "u", &type);
  query = gst_mmap_consumers_forward (self, GST_MMAP_FORWARD_QUERY) ?
      gst_mmap_query_from_variant (type, body) : NULL;
  if (!query)
    return FALSE;
  answered = gst_pad_peer_query (self->pad, query);
  if (answered)
    gst_mmap_query_answer_to_dict (query, result);
  gst_query_unref (query);
  return answered;
}

/* Tells the consumer, if it wants to know. @result: what else there is to say */
static void
send_result (GstMmapConsumers * self, const Job * job, gboolean handled,
    GVariantDict * result)
{
  guint32 id;

  if (g_variant_lookup (job->body, "id", "u", &id)) {
    g_variant_dict_insert (result, "id", "u", id);
    g_variant_dict_insert (result, "handled", "b", handled);
    mmap_producer_send (self->producer, job->link_id, MMAP_MESSAGE_RESULT,
        g_variant_dict_end (result));
  } else {
    g_variant_dict_clear (result);
  }
}

void
gst_mmap_consumers_do_job (gpointer data, gpointer user_data)
{
  GstMmapConsumers *self = user_data;
  Job *job = data;
  GVariantDict result;
  gboolean handled;

  g_variant_dict_init (&result, NULL);
  if (job->kind == MMAP_MESSAGE_EVENT)
    handled = hand_on_event (self, job->body);
  else
    handled = hand_on_query (self, job->body, &result);
  send_result (self, job, handled, &result);
  g_variant_unref (job->body);
  g_free (job);
}

static gboolean
is_playing (GstMmapConsumers * self)
{
  g_autoptr (GstElement) sink = gst_pad_get_parent_element (self->pad);

  /* On its way to PAUSED it is not there before it has a frame. */
  return sink && GST_STATE (sink) == GST_STATE_PLAYING
      && GST_STATE_PENDING (sink) == GST_STATE_VOID_PENDING;
}

void
gst_mmap_consumers_do_seek (gpointer data, gpointer user_data)
{
  GstMmapConsumers *self = user_data;
  Job *job = data;
  gboolean early = !is_playing (self);
  gboolean handled = gst_mmap_consumers_forward (self, GST_MMAP_FORWARD_SEEK);
  GVariantDict result;

  g_variant_dict_init (&result, NULL);
  if (early)
    send_result (self, job, handled, &result);
  if (!g_atomic_int_get (&self->closed)
      && g_atomic_int_get (&self->n_flushing_seeks) == job->n_flushing_seeks)
    handled = hand_on_event (self, job->body);
  if (!early)
    send_result (self, job, handled, &result);
  g_variant_unref (job->body);
  g_free (job);
  gst_mmap_consumers_unref (self);
}

/* The thread that does what a consumer says. */
static GThreadPool *
find_pool (GstMmapConsumers * self, MmapMessageKind kind, GVariant * body)
{
  guint32 type = 0, flags = 0;

  if (kind != MMAP_MESSAGE_EVENT
      || !g_variant_lookup (body, "type", "u", &type) || type != GST_EVENT_SEEK
      || !g_variant_lookup (body, "flags", "u", &flags))
    return self->worker;
  if (flags & GST_SEEK_FLAG_FLUSH)
    g_atomic_int_inc (&self->n_flushing_seeks);
  return flags & (GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_INSTANT_RATE_CHANGE) ?
      self->worker : self->seeker;
}

void
gst_mmap_consumers_message (GstMmapConsumers * self, guint32 link_id,
    MmapMessageKind kind, GVariant * body)
{
  g_autoptr (GError) error = NULL;
  GThreadPool *pool = find_pool (self, kind, body);
  Job *job;

  if (kind == MMAP_MESSAGE_NEEDS) {
    gst_mmap_consumers_hear_needs (self, link_id, body);
    return;
  }
  if (g_thread_pool_unprocessed (pool) >= MAX_JOBS) {
    GST_WARNING_OBJECT (self->pad, "consumers say too much: dropped");
    return;
  }
  job = g_new (Job, 1);
  job->link_id = link_id;
  job->kind = kind;
  job->body = g_variant_ref (body);
  job->n_flushing_seeks = g_atomic_int_get (&self->n_flushing_seeks);
  if (pool == self->seeker)
    g_atomic_int_inc (&self->ref_count);
  /* It is kept, and done when there is a thread again. */
  if (!g_thread_pool_push (pool, job, &error))
    GST_WARNING_OBJECT (self->pad, "%s", error->message);
}

void
gst_mmap_consumers_published (GstMmapConsumers * self, gboolean key_unit)
{
  MmapQos qos;

  if (key_unit && g_atomic_int_get (&self->key_unit_pending))
    g_atomic_int_set (&self->key_unit_pending, FALSE);
  if (!mmap_producer_take_qos (self->producer, &qos)
      || !gst_mmap_consumers_forward (self, GST_MMAP_FORWARD_QOS)
      || qos.type > GST_QOS_TYPE_THROTTLE)
    return;
  /* GStreamer takes a difference that goes before the start for a bug of its caller. */
  if (qos.diff < 0 && 0 - (guint64) qos.diff > qos.timestamp)
    qos.diff = -(gint64) qos.timestamp;
  gst_pad_push_event (self->pad, gst_event_new_qos (qos.type, qos.proportion,
          qos.diff, qos.timestamp));
}
