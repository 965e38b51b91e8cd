/* gst-mmap: what a sink has to do with its consumers, besides frames
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which caps they accept, and what they need of memory: the core's service thread tells. The lock is never held while upstream or the core
 * is called with anything that may wait. What they say is in gstmmapconsumers-event.c.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapconsumers-private.h"

#include "blocks.h"
#include "gstmmapsizes.h"
#include "gstmmaptext.h"

GST_DEBUG_CATEGORY_EXTERN (gst_mmap_sink_debug);
#define GST_CAT_DEFAULT gst_mmap_sink_debug

/* A consumer whose wish upstream could satisfy, but doesn't, is refused after this; chosen, as the handshake's. */
#define UNFIT_TIMEOUT_US (4 * G_USEC_PER_SEC)
/* After another second: this process may have stood still until now, and upstream with it. */
#define LAST_LOOK_US G_USEC_PER_SEC
#define UNFIT_TIMEOUT_MS (UNFIT_TIMEOUT_US / 1000 + 1)

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

/* --- caps --- */

static void remind (GstMmapConsumers * self);

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
  g_autofree gchar *accepted = gst_mmap_caps_describe (wish, stream);
  g_autofree gchar *sent = gst_caps_to_string (stream);
  g_autoptr (GError) error = g_error_new (MMAP_ERROR,
      MMAP_ERROR_NOT_NEGOTIATED, "The producer's stream is %s, which the "
      "consumer's pipeline does not accept: convert on either side. It accepts %s",
      sent, accepted);

  GST_INFO ("link %u accepts %" GST_PTR_FORMAT ", and gets %" GST_PTR_FORMAT,
      link_id, wish, stream);
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
      wish->last_look = FALSE;
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
  if (ask)
    remind (self);
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
    possible = (!c.stream
        || gst_mmap_consumers_forward (self, GST_MMAP_FORWARD_RECONFIGURE))
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
void
gst_mmap_consumers_hear_needs (GstMmapConsumers * self, guint32 link_id,
    GVariant * body)
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
  if (ask && gst_mmap_consumers_forward (self, GST_MMAP_FORWARD_RECONFIGURE)) {
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

    if (wish->unfit_since == 0 || now - wish->unfit_since <= UNFIT_TIMEOUT_US)
      continue;
    if (!wish->last_look) {
      wish->last_look = TRUE;
      wish->unfit_since = now - UNFIT_TIMEOUT_US + LAST_LOOK_US;
    } else {
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

/* The time is over for those who asked first. On the service thread: there need not be frames. */
static gboolean
look_again (gpointer data)
{
  GstMmapConsumers *self = data;

  g_mutex_lock (&self->lock);
  self->reminded = FALSE;
  g_mutex_unlock (&self->lock);
  if (gst_mmap_consumers_have_unfit (self))
    remind (self);
  return G_SOURCE_REMOVE;
}

/* Looks later whether somebody has waited for too long. */
static void
remind (GstMmapConsumers * self)
{
  gint64 since = g_get_monotonic_time ();
  gboolean reminded;
  guint i;

  g_mutex_lock (&self->lock);
  reminded = self->reminded;
  self->reminded = TRUE;
  for (i = 0; i < self->wishes.wishes->len; i++) {
    GstMmapWish *wish = &g_array_index (self->wishes.wishes, GstMmapWish, i);

    if (wish->unfit_since != 0)
      since = MIN (since, wish->unfit_since);
  }
  g_mutex_unlock (&self->lock);
  if (!reminded)
    mmap_producer_call_later (self->producer, MAX (0, UNFIT_TIMEOUT_MS
            - (g_get_monotonic_time () - since) / 1000), look_again, self);
}

/* --- life --- */

void
gst_mmap_consumers_unref (GstMmapConsumers * self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  gst_mmap_wishes_clear (&self->wishes);
  gst_clear_caps (&self->caps);
  gst_object_unref (self->pad);
  mmap_producer_unref (self->producer);
  g_mutex_clear (&self->lock);
  g_free (self);
}

void
gst_mmap_consumers_set_forward (GstMmapConsumers * self, GstMmapForward forward)
{
  g_atomic_int_set (&self->forward, forward);
}

GstMmapConsumers *
gst_mmap_consumers_new (GstPad * pad, MmapProducer * producer)
{
  GstMmapConsumers *self = g_new0 (GstMmapConsumers, 1);

  self->ref_count = 1;
  self->pad = gst_object_ref (pad);
  self->producer = mmap_producer_ref (producer);
  self->forward = GST_MMAP_FORWARD_ALL;
  g_mutex_init (&self->lock);
  gst_mmap_wishes_init (&self->wishes);
  gst_mmap_needs_init (&self->proposed);
  /* Not exclusive: no thread before there is something to do. */
  self->worker =
      g_thread_pool_new (gst_mmap_consumers_do_job, self, 1, FALSE, NULL);
  self->seeker =
      g_thread_pool_new (gst_mmap_consumers_do_seek, self, 1, FALSE, NULL);
  return self;
}

void
gst_mmap_consumers_free (GstMmapConsumers * self)
{
  g_atomic_int_set (&self->closed, TRUE);
  g_thread_pool_free (self->worker, FALSE, TRUE);
  /* A source that is live and paused lets nobody seek without a flush until it stops, which it does after the sink. */
  g_thread_pool_free (self->seeker, FALSE, FALSE);
  gst_mmap_consumers_unref (self);
}
