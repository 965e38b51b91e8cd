/* gst-mmap: what a sink has to do with its consumers, besides frames
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The core's service thread tells what consumers accept and say. What they say goes upstream from a thread of its own, one thing after
 * the other: a seek may take long, and the service thread is needed meanwhile. The lock is never held while upstream or the core is
 * called with anything that may wait.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapconsumers.h"

#include "blocks.h"
#include "gstmmapevent.h"
#include "gstmmapquery.h"
#include "gstmmapsizes.h"
#include "gstmmapwishes.h"

#include <gst/video/video.h>

GST_DEBUG_CATEGORY_EXTERN (gst_mmap_sink_debug);
#define GST_CAT_DEFAULT gst_mmap_sink_debug

/* A consumer whose wish upstream could satisfy, but doesn't, is refused after this; chosen, as the handshake's. */
#define UNFIT_TIMEOUT_US (5 * G_USEC_PER_SEC)

/* Another request for a keyframe is taken for the same one until there was a keyframe, but no longer than this; chosen, untuned. */
#define KEY_UNIT_TIMEOUT_US (G_USEC_PER_SEC)

/* More that is not yet handed on is not taken; chosen: far more than a user can do in a second. */
#define MAX_JOBS 256

struct _GstMmapConsumers
{
  GstPad *pad;
  MmapProducer *producer;
  GThreadPool *worker;
  gint forward;                 /* atomic: GstMmapForward */
  gint n_unfit;                 /* atomic: a hint for the streaming thread */
  gint key_unit_pending;        /* atomic: one was asked for, and there was none since */

  GMutex lock;
  GstMmapWishes wishes;
  GstCaps *caps;                /* of the stream; NULL: none yet */
  GstMmapNeeds proposed;        /* what upstream's memory meets */
  gboolean changing;            /* between begin_caps() and end_caps() */
  gint64 key_unit_asked;        /* monotonic microseconds */
};

/* What a consumer said. */
typedef struct
{
  guint32 link_id;
  MmapMessageKind kind;
  GVariant *body;
} Job;

GType
gst_mmap_forward_get_type (void)
{
  static const GFlagsValue values[] = {
    {GST_MMAP_FORWARD_SEEK, "Seeks, steps, selections", "seek"},
    {GST_MMAP_FORWARD_QOS, "Quality of service", "qos"},
    {GST_MMAP_FORWARD_NAVIGATION, "Mouse and keyboard", "navigation"},
    {GST_MMAP_FORWARD_FORCE_KEY_UNIT, "Requests for a keyframe",
        "force-key-unit"},
    {GST_MMAP_FORWARD_RECONFIGURE, "Wishes for other caps", "reconfigure"},
    {GST_MMAP_FORWARD_LATENCY, "Latency of a consumer's pipeline", "latency"},
    {GST_MMAP_FORWARD_CUSTOM, "Custom events", "custom"},
    {GST_MMAP_FORWARD_QUERY, "Queries", "query"},
    {0, NULL, NULL}
  };
  static gsize type = 0;

  if (g_once_init_enter (&type)) {
    GType made = g_flags_register_static ("GstMmapForward", values);

    g_once_init_leave (&type, made);
  }
  return type;
}

static gboolean
forwards (GstMmapConsumers * self, GstMmapForward what)
{
  return (g_atomic_int_get (&self->forward) & what) != 0;
}

/* --- caps --- */

/* Whether upstream could send any of @caps. */
static gboolean
upstream_can (GstMmapConsumers * self, GstCaps * caps)
{
  GstCaps *possible;
  gboolean can;

  if (gst_caps_is_empty (caps))
    return FALSE;
  possible = gst_pad_peer_query_caps (self->pad, caps);
  can = !gst_caps_is_empty (possible);
  gst_caps_unref (possible);
  return can;
}

static void
refuse (GstMmapConsumers * self, guint32 link_id, GstCaps * wish,
    GstCaps * stream)
{
  g_autofree gchar *accepted = gst_caps_to_string (wish);
  g_autofree gchar *sent = gst_caps_to_string (stream);
  g_autoptr (GError) error = g_error_new (MMAP_ERROR,
      MMAP_ERROR_NOT_NEGOTIATED, "The producer's stream is %s, which the "
      "consumer's pipeline does not accept: convert on either side. It accepts %s",
      sent, accepted);

  /* What it has got already, it accepts. */
  mmap_producer_refuse_later (self->producer, link_id, error);
}

static void
count_unfit_locked (GstMmapConsumers * self)
{
  g_atomic_int_set (&self->n_unfit,
      gst_mmap_wishes_has_unfit (&self->wishes) ? 1 : 0);
}

static gboolean
fits (GstCaps * stream, const GstMmapWish * wish)
{
  return stream && gst_caps_is_subset (stream, wish->caps);
}

/* What becomes of a wish that the stream's caps don't fit, or of one that comes before there are any. */
typedef struct
{
  guint32 link_id;
  GstCaps *wish;
  GstCaps *stream;              /* nullable */
  GstCaps *wanted;              /* what all would accept */
} Case;

static void
case_clear (Case * c)
{
  gst_clear_caps (&c->wish);
  gst_clear_caps (&c->stream);
  gst_clear_caps (&c->wanted);
}

/* FALSE: there is nothing to be decided, or it was decided. */
static gboolean
case_open (GstMmapConsumers * self, guint32 link_id, Case * c)
{
  gboolean open = FALSE;
  GstMmapWish *wish;

  g_mutex_lock (&self->lock);
  wish = gst_mmap_wishes_find (&self->wishes, link_id);
  if (wish && !self->changing) {
    if (fits (self->caps, wish)) {
      wish->counts = TRUE;
      wish->unfit_since = 0;
      mmap_producer_admit (self->producer, link_id);
    } else {
      open = wish->unfit_since == 0;
      c->link_id = link_id;
      c->wish = gst_caps_ref (wish->caps);
      c->stream = self->caps ? gst_caps_ref (self->caps) : NULL;
      c->wanted = gst_mmap_wishes_intersect (&self->wishes, link_id);
    }
    count_unfit_locked (self);
  }
  g_mutex_unlock (&self->lock);
  if (!open)
    case_clear (c);
  return open;
}

/* TRUE if upstream is to be asked for other caps. */
static gboolean
case_close (GstMmapConsumers * self, Case * c, gboolean possible)
{
  gboolean ask = FALSE, impossible = FALSE;
  GstMmapWish *wish;

  g_mutex_lock (&self->lock);
  wish = gst_mmap_wishes_find (&self->wishes, c->link_id);
  /* If anything has changed meanwhile, then whoever changed it decides. */
  if (wish && !self->changing && self->caps == c->stream
      && wish->caps == c->wish && wish->unfit_since == 0) {
    wish->counts = possible;
    /* Before there are caps it waits for them: they may fit after all, and it is to hear what they are. */
    impossible = !possible && wish->answered && self->caps;
    ask = possible && self->caps;
    if (ask) {
      wish->unfit_since = g_get_monotonic_time ();
      mmap_producer_suspend (self->producer, c->link_id);
    } else if (possible) {
      mmap_producer_admit (self->producer, c->link_id);
    } else if (impossible) {
      gst_mmap_wishes_remove (&self->wishes, c->link_id);
    }
    count_unfit_locked (self);
  }
  g_mutex_unlock (&self->lock);
  if (impossible)
    refuse (self, c->link_id, c->wish, c->stream);
  return ask;
}

/* Admits a consumer, asks upstream for caps that it accepts, or refuses it. */
static void
judge (GstMmapConsumers * self, guint32 link_id)
{
  Case c = { 0, };
  gboolean possible;

  if (!case_open (self, link_id, &c))
    return;
  if (gst_caps_is_empty (c.wish))
    possible = FALSE;
  else if (!c.stream && gst_caps_is_any (c.wish))
    possible = TRUE;
  else if (!gst_pad_is_linked (self->pad))
    possible = !c.stream;
  else
    possible = (!c.stream || forwards (self, GST_MMAP_FORWARD_RECONFIGURE))
        && upstream_can (self, c.wanted);
  if (case_close (self, &c, possible)) {
    GST_INFO_OBJECT (self->pad, "a consumer wants %" GST_PTR_FORMAT, c.wish);
    gst_pad_push_event (self->pad, gst_event_new_reconfigure ());
    /* A frame may be waiting for a consumer: this one won't take it. The next has other caps. */
    mmap_producer_poke (self->producer);
  }
  case_clear (&c);
}

void
gst_mmap_consumers_accepts (GstMmapConsumers * self, guint32 link_id,
    const char *media, gboolean answered)
{
  GstCaps *caps = gst_mmap_caps_from_string (media);

  if (!caps) {
    g_autoptr (GError) error = g_error_new_literal (MMAP_ERROR,
        MMAP_ERROR_MESSAGE, "The consumer's media caps can't be parsed");

    mmap_producer_refuse (self->producer, link_id, error);
    return;
  }
  GST_DEBUG_OBJECT (self->pad, "consumer %u accepts %" GST_PTR_FORMAT, link_id,
      caps);
  g_mutex_lock (&self->lock);
  gst_mmap_wishes_set (&self->wishes, link_id, caps)->answered = answered;
  g_mutex_unlock (&self->lock);
  judge (self, link_id);
}

void
gst_mmap_consumers_left (GstMmapConsumers * self, guint32 link_id)
{
  g_mutex_lock (&self->lock);
  gst_mmap_wishes_remove (&self->wishes, link_id);
  count_unfit_locked (self);
  g_mutex_unlock (&self->lock);
}

GstCaps *
gst_mmap_consumers_get_caps (GstMmapConsumers * self, GstCaps * filter)
{
  GstCaps *caps;

  g_mutex_lock (&self->lock);
  caps = gst_mmap_wishes_offer (&self->wishes, filter);
  g_mutex_unlock (&self->lock);
  return caps;
}

void
gst_mmap_consumers_propose (GstMmapConsumers * self, GstMmapNeeds * needs)
{
  g_mutex_lock (&self->lock);
  gst_mmap_wishes_sum_needs (&self->wishes, needs);
  self->proposed = *needs;
  /* What blocks meet in any case. */
  self->proposed.params.align |= MMAP_BLOCK_ALIGN_BYTES - 1;
  self->proposed.min_buffers = MAX (needs->min_buffers,
      gst_mmap_sizes_min_buffers ());
  g_mutex_unlock (&self->lock);
}

/* A consumer says what it needs: if that is more than what upstream draws into, upstream is to ask again. */
static void
hear_needs (GstMmapConsumers * self, guint32 link_id, GVariant * body)
{
  gboolean ask = FALSE;
  GstMmapNeeds needs;
  GstMmapWish *wish;

  gst_mmap_needs_init_variant (&needs, body);
  g_mutex_lock (&self->lock);
  wish = gst_mmap_wishes_find (&self->wishes, link_id);
  if (wish) {
    wish->needs = needs;
    ask = !gst_mmap_needs_include (&self->proposed, &needs);
  }
  g_mutex_unlock (&self->lock);
  if (ask && forwards (self, GST_MMAP_FORWARD_RECONFIGURE)) {
    GST_INFO_OBJECT (self->pad, "consumer %u needs other memory", link_id);
    gst_pad_push_event (self->pad, gst_event_new_reconfigure ());
  }
}

void
gst_mmap_consumers_begin_caps (GstMmapConsumers * self, GstCaps * caps)
{
  guint i;

  g_mutex_lock (&self->lock);
  self->changing = TRUE;
  gst_caps_replace (&self->caps, caps);
  for (i = 0; i < self->wishes.wishes->len; i++) {
    GstMmapWish *wish = &g_array_index (self->wishes.wishes, GstMmapWish, i);

    if (!fits (caps, wish))
      mmap_producer_suspend (self->producer, wish->link_id);
  }
  g_mutex_unlock (&self->lock);
}

void
gst_mmap_consumers_end_caps (GstMmapConsumers * self)
{
  g_autofree guint32 *ids = NULL;
  guint n, i;

  g_mutex_lock (&self->lock);
  self->changing = FALSE;
  n = self->wishes.wishes->len;
  ids = g_new (guint32, n);
  for (i = 0; i < n; i++)
    ids[i] = g_array_index (self->wishes.wishes, GstMmapWish, i).link_id;
  g_mutex_unlock (&self->lock);
  for (i = 0; i < n; i++)
    judge (self, ids[i]);
}

/* Returns: (transfer full) (nullable): one that upstream has let wait for too long; it is forgotten. @link_id: its link */
static GstCaps *
take_overdue (GstMmapConsumers * self, guint32 * link_id, GstCaps ** stream)
{
  gint64 now = g_get_monotonic_time ();
  GstCaps *caps = NULL;
  guint i;

  g_mutex_lock (&self->lock);
  for (i = 0; i < self->wishes.wishes->len && !caps; i++) {
    GstMmapWish *wish = &g_array_index (self->wishes.wishes, GstMmapWish, i);

    if (wish->unfit_since != 0 && now - wish->unfit_since > UNFIT_TIMEOUT_US) {
      caps = gst_caps_ref (wish->caps);
      *stream = self->caps ? gst_caps_ref (self->caps) : NULL;
      *link_id = wish->link_id;
    }
  }
  if (caps)
    gst_mmap_wishes_remove (&self->wishes, *link_id);
  count_unfit_locked (self);
  g_mutex_unlock (&self->lock);
  return caps;
}

gboolean
gst_mmap_consumers_have_unfit (GstMmapConsumers * self)
{
  GstCaps *caps, *stream = NULL;
  guint32 link_id = 0;

  if (!g_atomic_int_get (&self->n_unfit))
    return FALSE;
  while ((caps = take_overdue (self, &link_id, &stream))) {
    refuse (self, link_id, caps, stream);
    gst_caps_unref (caps);
    gst_clear_caps (&stream);
  }
  return g_atomic_int_get (&self->n_unfit);
}

/* --- events and queries --- */

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
  if (!forwards (self, forward_of (event))) {
    gst_event_unref (event);
    return FALSE;
  }
  if (is_merged (self, event)) {
    gst_event_unref (event);
    return TRUE;
  }
  return gst_pad_push_event (self->pad, event);
}

static gboolean
hand_on_query (GstMmapConsumers * self, GVariant * body, GVariantDict * result)
{
  gboolean answered;
  guint32 type = 0;
  GstQuery *query;

  g_variant_lookup (body, "type", "u", &type);
  query = forwards (self, GST_MMAP_FORWARD_QUERY) ?
      gst_mmap_query_from_variant (type, body) : NULL;
  if (!query)
    return FALSE;
  answered = gst_pad_peer_query (self->pad, query);
  if (answered)
    gst_mmap_query_answer_to_dict (query, result);
  gst_query_unref (query);
  return answered;
}

static void
do_job (gpointer data, gpointer user_data)
{
  GstMmapConsumers *self = user_data;
  Job *job = data;
  GVariantDict result;
  gboolean handled;
  guint32 id;

  g_variant_dict_init (&result, NULL);
  if (job->kind == MMAP_MESSAGE_EVENT)
    handled = hand_on_event (self, job->body);
  else
    handled = hand_on_query (self, job->body, &result);
  if (g_variant_lookup (job->body, "id", "u", &id)) {
    g_variant_dict_insert (&result, "id", "u", id);
    g_variant_dict_insert (&result, "handled", "b", handled);
    mmap_producer_send (self->producer, job->link_id, MMAP_MESSAGE_RESULT,
        g_variant_dict_end (&result));
  } else {
    g_variant_dict_clear (&result);
  }
  g_variant_unref (job->body);
  g_free (job);
}

void
gst_mmap_consumers_message (GstMmapConsumers * self, guint32 link_id,
    MmapMessageKind kind, GVariant * body)
{
  g_autoptr (GError) error = NULL;
  Job *job;

  if (kind == MMAP_MESSAGE_NEEDS) {
    hear_needs (self, link_id, body);
    return;
  }
  if (g_thread_pool_unprocessed (self->worker) >= MAX_JOBS) {
    GST_WARNING_OBJECT (self->pad, "consumers say too much: dropped");
    return;
  }
  job = g_new (Job, 1);
  job->link_id = link_id;
  job->kind = kind;
  job->body = g_variant_ref (body);
  /* It is kept, and done when there is a thread again. */
  if (!g_thread_pool_push (self->worker, job, &error))
    GST_WARNING_OBJECT (self->pad, "%s", error->message);
}

void
gst_mmap_consumers_published (GstMmapConsumers * self, gboolean key_unit)
{
  MmapQos qos;

  if (key_unit && g_atomic_int_get (&self->key_unit_pending))
    g_atomic_int_set (&self->key_unit_pending, FALSE);
  if (!mmap_producer_take_qos (self->producer, &qos)
      || !forwards (self, GST_MMAP_FORWARD_QOS)
      || qos.type > GST_QOS_TYPE_THROTTLE)
    return;
  /* GStreamer takes a difference that goes before the start for a bug of its caller. */
  if (qos.diff < 0 && 0 - (guint64) qos.diff > qos.timestamp)
    qos.diff = -(gint64) qos.timestamp;
  gst_pad_push_event (self->pad, gst_event_new_qos (qos.type, qos.proportion,
          qos.diff, qos.timestamp));
}

/* --- life --- */

void
gst_mmap_consumers_set_forward (GstMmapConsumers * self, GstMmapForward forward)
{
  g_atomic_int_set (&self->forward, forward);
}

GstMmapConsumers *
gst_mmap_consumers_new (GstPad * pad, MmapProducer * producer)
{
  GstMmapConsumers *self = g_new0 (GstMmapConsumers, 1);

  self->pad = gst_object_ref (pad);
  self->producer = mmap_producer_ref (producer);
  self->forward = GST_MMAP_FORWARD_ALL;
  g_mutex_init (&self->lock);
  gst_mmap_wishes_init (&self->wishes);
  gst_mmap_needs_init (&self->proposed);
  /* Not exclusive: no thread before there is something to do. */
  self->worker = g_thread_pool_new (do_job, self, 1, FALSE, NULL);
  return self;
}

void
gst_mmap_consumers_free (GstMmapConsumers * self)
{
  g_thread_pool_free (self->worker, FALSE, TRUE);
  gst_mmap_wishes_clear (&self->wishes);
  gst_clear_caps (&self->caps);
  gst_object_unref (self->pad);
  mmap_producer_unref (self->producer);
  g_mutex_clear (&self->lock);
  g_free (self);
}
