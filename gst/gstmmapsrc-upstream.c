/* gst-mmap: mmapsrc: what the producer is told
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Events and queries that come from downstream, on any thread; what downstream accepts and needs, on the consumer's own or the
 * streaming thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsrc-private.h"

#include "gstmmapevent.h"
#include "gstmmapquery.h"

#define GST_CAT_DEFAULT gst_mmap_src_debug

/* How long an answer of the producer's pipeline is waited for; chosen: a seek may have to read a file. */
#define QUERY_TIMEOUT_US (G_USEC_PER_SEC / 2)
#define EVENT_TIMEOUT_US (10 * G_USEC_PER_SEC)

void
gst_mmap_src_tell_wishes (gpointer user_data)
{
  GstMmapSrc *self = user_data;
  MmapConsumer *consumer = gst_mmap_src_dup_consumer (self);
  g_autofree gchar *media = NULL;
  GstCaps *caps;

  if (!consumer)
    return;
  g_mutex_lock (&self->wishes_lock);
  caps = gst_pad_peer_query_caps (GST_BASE_SRC_PAD (self), NULL);
  /* The producer's frames are what dma-bufs are made of. */
  if (self->io_mode == GST_MMAP_IO_MODE_DMABUF) {
    GstCaps *taken = caps;

    caps = gst_mmap_dmabuf_widen_caps (taken);
    gst_caps_unref (taken);
  }
  GST_DEBUG_OBJECT (self, "downstream accepts %" GST_PTR_FORMAT, caps);
  if (!gst_caps_is_any (caps))
    media = gst_caps_to_string (caps);
  gst_caps_unref (caps);
  mmap_consumer_set_media (consumer, media);
  g_mutex_unlock (&self->wishes_lock);
  mmap_consumer_unref (consumer);
}

/* Asks the producer's pipeline. */
static gboolean
gst_mmap_src_ask_producer (GstMmapSrc * self, GstQuery * query)
{
  MmapConsumer *consumer = gst_mmap_src_dup_consumer (self);
  g_autoptr (GVariant) result = NULL;
  gboolean handled = FALSE;
  GVariantDict body;

  g_variant_dict_init (&body, NULL);
  if (consumer && gst_mmap_query_to_dict (query, &body)) {
    g_variant_dict_insert (&body, "type", "u",
        (guint32) GST_QUERY_TYPE (query));
    result =
        mmap_consumer_call (consumer, MMAP_MESSAGE_QUERY, &body,
        QUERY_TIMEOUT_US);
  } else {
    g_variant_dict_clear (&body);
  }
  g_clear_pointer (&consumer, mmap_consumer_unref);
  if (result)
    g_variant_lookup (result, "handled", "b", &handled);
  return handled && gst_mmap_query_set_answer (query, result);
}

gboolean
gst_mmap_src_query (GstBaseSrc * src, GstQuery * query)
{
  GstMmapSrc *self = GST_MMAP_SRC (src);

  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY) {
    guint64 latency;

    GST_OBJECT_LOCK (self);
    latency = self->latency + self->transfer;
    GST_OBJECT_UNLOCK (self);
    gst_query_set_latency (query, gst_base_src_is_live (src), latency,
        GST_CLOCK_TIME_NONE);
    return TRUE;
  }
  return gst_mmap_src_ask_producer (self, query)
      || GST_MMAP_SRC_PARENT->query (src, query);
}

static void
gst_mmap_src_send_qos (GstMmapSrc * self, MmapConsumer * consumer,
    GstEvent * event)
{
  GstClockTimeDiff diff, shift = gst_mmap_src_read_shift (self);
  GstClockTime timestamp;
  gdouble proportion;
  GstQOSType type;
  MmapQos qos = { 0, };

  gst_event_parse_qos (event, &type, &proportion, &diff, &timestamp);
  /* Before the producer's running time 0: nothing that it knows. */
  if (shift > 0 && timestamp < (GstClockTime) shift)
    return;
  qos.type = type;
  qos.proportion = proportion;
  qos.diff = diff;
  qos.timestamp = gst_mmap_src_get_upstream_time (self,
      GST_CLOCK_TIME_IS_VALID (timestamp) ? timestamp - shift : timestamp);
  mmap_consumer_send_qos (consumer, &qos);
}

/* Pushes what came while this thread, which may have locks of the pipeline, waited. What comes meanwhile is left to it as well, so that it keeps
 * its order. */
static void
gst_mmap_src_end_seek (GstMmapSrc * self)
{
  GstEvent *event;

  g_mutex_lock (&self->flush_lock);
  while ((event = g_queue_pop_head (&self->left_to_seek))) {
    g_mutex_unlock (&self->flush_lock);
    gst_mmap_src_push_out_of_band (self, event);
    g_mutex_lock (&self->flush_lock);
    self->n_left--;
    g_cond_broadcast (&self->flush_cond);
  }
  g_atomic_int_add (&self->n_seeks, -1);
  g_mutex_unlock (&self->flush_lock);
}

/* Whether this thread is the one that takes frames, as of an element downstream that seeks as it gets one. */
static gboolean
gst_mmap_src_is_streaming_thread (GstMmapSrc * self)
{
  GstPad *pad = GST_BASE_SRC_PAD (self);
  gboolean is;

  GST_OBJECT_LOCK (pad);
  is = GST_PAD_TASK (pad) && GST_PAD_TASK (pad)->thread == g_thread_self ();
  GST_OBJECT_UNLOCK (pad);
  return is;
}

/* Without a flush a seek has to wait for the frames before it, which nobody takes as long as this pipeline doesn't play, or this thread waits. */
static gboolean
gst_mmap_src_seeks_later (GstMmapSrc * self, GstEvent * event)
{
  gboolean playing;
  GstSeekFlags flags;

  gst_event_parse_seek (event, NULL, NULL, &flags, NULL, NULL, NULL, NULL);
  GST_OBJECT_LOCK (self);
  playing = GST_STATE (self) == GST_STATE_PLAYING;
  GST_OBJECT_UNLOCK (self);
  return (!playing || gst_mmap_src_is_streaming_thread (self))
      && !(flags & GST_SEEK_FLAG_FLUSH)
      && !(flags & GST_SEEK_FLAG_INSTANT_RATE_CHANGE);
}

gboolean
gst_mmap_src_send_upstream (GstMmapSrc * self, MmapConsumer * consumer,
    GstEvent * event)
{
  g_autoptr (GVariant) result = NULL;
  gboolean handled = FALSE;
  GVariantDict body;

  g_variant_dict_init (&body, NULL);
  if (!gst_mmap_event_to_dict (event, -gst_mmap_src_read_shift (self), &body)) {
    g_variant_dict_clear (&body);
    return FALSE;
  }
  g_variant_dict_insert (&body, "type", "u", (guint32) GST_EVENT_TYPE (event));
  g_variant_dict_insert (&body, "seqnum", "u", gst_event_get_seqnum (event));
  /* Only of a seek somebody wants to know: others come often, and from threads that have other things to do. */
  if (GST_EVENT_TYPE (event) != GST_EVENT_SEEK
      || gst_mmap_src_seeks_later (self, event))
    return mmap_consumer_send (consumer, MMAP_MESSAGE_EVENT,
        g_variant_dict_end (&body));
  g_atomic_int_inc (&self->n_seeks);
  result = mmap_consumer_call (consumer, MMAP_MESSAGE_EVENT, &body,
      EVENT_TIMEOUT_US);
  gst_mmap_src_end_seek (self);
  if (result)
    g_variant_lookup (result, "handled", "b", &handled);
  return handled;
}

gboolean
gst_mmap_src_event (GstBaseSrc * src, GstEvent * event)
{
  GstMmapSrc *self = GST_MMAP_SRC (src);
  MmapConsumer *consumer = gst_mmap_src_dup_consumer (self);
  gboolean handled = FALSE;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_RECONFIGURE:
      /* Downstream may hold locks: the question comes later. */
      if (consumer)
        mmap_consumer_ask (consumer);
      handled = GST_MMAP_SRC_PARENT->event (src, event);
      break;
    case GST_EVENT_QOS:
      if (consumer)
        gst_mmap_src_send_qos (self, consumer, event);
      handled = TRUE;
      break;
    case GST_EVENT_SEEK:
    case GST_EVENT_STEP:
    case GST_EVENT_NAVIGATION:
    case GST_EVENT_LATENCY:
    case GST_EVENT_TOC_SELECT:
    case GST_EVENT_SELECT_STREAMS:
    case GST_EVENT_CUSTOM_UPSTREAM:
    case GST_EVENT_CUSTOM_BOTH:
    case GST_EVENT_CUSTOM_BOTH_OOB:
      if (consumer)
        handled = gst_mmap_src_send_upstream (self, consumer, event);
      break;
    default:
      handled = GST_MMAP_SRC_PARENT->event (src, event);
      break;
  }
  g_clear_pointer (&consumer, mmap_consumer_unref);
  return handled;
}

gboolean
gst_mmap_src_send_event (GstElement * element, GstEvent * event)
{
  GstMmapSrc *self = GST_MMAP_SRC (element);
  gboolean handled;

  if (!GST_EVENT_IS_UPSTREAM (event) || GST_EVENT_IS_DOWNSTREAM (event)) {
    gst_mmap_src_watch_events (self);
    return GST_ELEMENT_CLASS (GST_MMAP_SRC_PARENT)->send_event (element, event);
  }
  /* The base class would seek by itself, or do nothing: the producer is to hear of it. The flush that it answers with needs the lock which
   * the caller has taken. */
  GST_STATE_UNLOCK (element);
  handled = gst_pad_send_event (GST_BASE_SRC_PAD (self), event);
  GST_STATE_LOCK (element);
  return handled;
}

/* Tells the producer what downstream needs, if it was not told yet. */
static void
gst_mmap_src_send_needs (GstMmapSrc * self, const GstMmapNeeds * needs)
{
  if (gst_mmap_needs_include (&self->needs, needs)
      && gst_mmap_needs_include (needs, &self->needs)
      && needs->crop == self->needs.crop)
    return;
  self->needs = *needs;
  mmap_consumer_send (self->consumer, MMAP_MESSAGE_NEEDS,
      gst_mmap_needs_to_variant (needs));
}

void
gst_mmap_src_note_allocation (GstMmapSrc * self, GstQuery * query)
{
  GstMmapNeeds needs;

  self->downstream_has_video_meta =
      gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
  gst_mmap_needs_init_query (&needs, query);
  gst_mmap_src_send_needs (self, &needs);
}

void
gst_mmap_src_ask_for_default_layout (GstMmapSrc * self)
{
  GstMmapNeeds needs = self->needs;

  needs.default_layout = TRUE;
  gst_mmap_src_send_needs (self, &needs);
}

gboolean
gst_mmap_src_decide_allocation (GstBaseSrc * src, GstQuery * query)
{
  GstMmapSrc *self = GST_MMAP_SRC (src);

  gst_mmap_src_note_allocation (self, query);
  while (gst_query_get_n_allocation_pools (query) > 0)
    gst_query_remove_nth_allocation_pool (query, 0);
  return TRUE;
}
