/* gst-mmap: the producer: messages on links that are up, and what callers are told of
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What arrives is queued under the lock and told to the callbacks from the service thread, without it, in order. That thread also reads the
 * sockets, one message of each link in turn: no more is queued than that, and who says more than the callbacks can hear finds its
 * socket full.
 */
#include "producer-private.h"

#include "atomics.h"
#include "capabilities.h"

#include <math.h>

/* How long a consumer that is to be refused has to read its last frames; then to give them back, though most sinks keep one for ever; and
 * how often it is looked whether it is done. Chosen, untuned. */
#define DRAIN_TIMEOUT_US (5 * G_USEC_PER_SEC)
#define HOLD_TIMEOUT_US (G_USEC_PER_SEC / 5)
#define DRAIN_INTERVAL_MS 5

static void
report_free (gpointer data)
{
  MmapReport *report = data;

  g_clear_error (&report->refusal);
  g_clear_pointer (&report->body, g_variant_unref);
  g_free (report->media);
  g_free (report);
}

static void
report_call (MmapProducer * producer, MmapReport * report)
{
  const MmapProducerCallbacks *callbacks = &producer->callbacks;
  gpointer data = producer->user_data;

  if (report->refusal) {
    if (callbacks->refused)
      callbacks->refused (report->refusal, data);
  } else if (report->body) {
    if (callbacks->message)
      callbacks->message (report->link_id, report->kind, report->body, data);
  } else if (report->left) {
    if (callbacks->left)
      callbacks->left (report->link_id, data);
  } else if (callbacks->accepts) {
    callbacks->accepts (report->link_id, report->media, report->answered, data);
  }
}

static gboolean
report_all (gpointer data)
{
  MmapProducer *producer = data;
  MmapReport *report;
  gboolean changed;
  guint n_up;

  g_mutex_lock (&producer->lock);
  producer->report_pending = FALSE;
  while ((report = g_queue_pop_head (&producer->reports))) {
    g_mutex_unlock (&producer->lock);
    report_call (producer, report);
    report_free (report);
    g_mutex_lock (&producer->lock);
  }
  n_up = mmap_producer_get_n_links (producer);
  changed = n_up != producer->reported_n_up;
  producer->reported_n_up = n_up;
  g_mutex_unlock (&producer->lock);
  if (changed && producer->callbacks.links)
    producer->callbacks.links (n_up, producer->user_data);
  return G_SOURCE_REMOVE;
}

void
mmap_producer_report_locked (MmapProducer * producer)
{
  GSource *source;

  if (producer->report_pending || producer->closed)
    return;
  producer->report_pending = TRUE;
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, report_all, producer, NULL);
  g_source_attach (source, producer->context);
  g_source_unref (source);
}

static MmapReport *
report_new_locked (MmapProducer * producer, guint32 link_id)
{
  MmapReport *report = g_new0 (MmapReport, 1);

  report->link_id = link_id;
  g_queue_push_tail (&producer->reports, report);
  mmap_producer_report_locked (producer);
  return report;
}

void
mmap_producer_report_refusal_locked (MmapProducer * producer,
    const GError * reason)
{
  report_new_locked (producer, 0)->refusal = g_error_copy (reason);
}

void
mmap_producer_report_media_locked (MmapProducerLink * link, const char *media)
{
  MmapReport *report = report_new_locked (link->producer, link->id);

  report->media = g_strdup (media);
  report->answered = link->state >= LINK_ANSWERED;
}

void
mmap_producer_report_left_locked (MmapProducerLink * link)
{
  report_new_locked (link->producer, link->id)->left = TRUE;
}

void
mmap_producer_clear_reports (MmapProducer * producer)
{
  g_queue_clear_full (&producer->reports, report_free);
}

gboolean
mmap_producer_report_media_of_locked (MmapProducerLink * link,
    const MmapMessage * message, GError ** error)
{
  g_autoptr (GVariant) value =
      g_variant_lookup_value (message->body, "media", NULL);

  if (value && !g_variant_is_of_type (value, G_VARIANT_TYPE_STRING)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "The consumer's media is of type %s, not a string",
        g_variant_get_type_string (value));
    return FALSE;
  }
  mmap_producer_report_media_locked (link,
      value ? g_variant_get_string (value, NULL) : NULL);
  return TRUE;
}

gboolean
mmap_producer_link_handle_late_locked (MmapProducerLink * link,
    const MmapMessage * message, GError ** error)
{
  MmapReport *report;

  if (link->state == LINK_UP || link->state == LINK_ANSWERED) {
    switch (message->kind) {
      case MMAP_MESSAGE_WISHES:
        return mmap_producer_report_media_of_locked (link, message, error);
      case MMAP_MESSAGE_EVENT:
      case MMAP_MESSAGE_QUERY:
      case MMAP_MESSAGE_NEEDS:
        report = report_new_locked (link->producer, link->id);
        report->kind = message->kind;
        report->body = g_variant_ref (message->body);
        return TRUE;
      default:
        break;
    }
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The consumer sent a message of kind %d out of turn", message->kind);
  return FALSE;
}

MmapProducerLink *
mmap_producer_find_link_locked (MmapProducer * producer, guint32 link_id)
{
  guint i;

  for (i = 0; i < MMAP_MAX_LINKS; i++)
    if (producer->links[i] && producer->links[i]->id == link_id
        && producer->links[i]->state != LINK_LEAVING)
      return producer->links[i];
  return NULL;
}

static gboolean
link_send_locked (MmapProducerLink * link, MmapMessageKind kind,
    GVariant * body)
{
  g_autoptr (GError) error = NULL;

  if (mmap_message_send (link->socket, kind, body, NULL, 0, &error))
    return TRUE;
  mmap_producer_link_end_locked (link, error);
  return FALSE;
}

gboolean
mmap_producer_send (MmapProducer * producer, guint32 link_id,
    MmapMessageKind kind, GVariant * body)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (body);
  MmapProducerLink *link;
  gboolean sent = TRUE;
  guint64 rest;

  if (g_variant_get_size (owned) > MMAP_CAPABILITIES_MAX_BYTES)
    return FALSE;
  g_mutex_lock (&producer->lock);
  rest = producer->up;
  if (link_id != 0) {
    link = mmap_producer_find_link_locked (producer, link_id);
    sent = link && link->state == LINK_UP
        && link_send_locked (link, kind, owned);
  } else {
    while ((link = mmap_producer_next_up_locked (producer, &rest)))
      sent = link_send_locked (link, kind, owned) && sent;
  }
  mmap_producer_unlock (producer);
  return sent;
}

static void
set_bit (guint64 * set, const MmapProducerLink * link, gboolean value)
{
  mmap_store_relaxed (set, value ? *set | link_bit (link) :
      *set & ~link_bit (link));
}

void
mmap_producer_link_set_state_locked (MmapProducerLink * link, LinkState state,
    gboolean ready)
{
  MmapProducer *producer = link->producer;

  link->state = state;
  set_bit (&producer->up, link, state == LINK_UP);
  set_bit (&producer->ready, link, state == LINK_UP && ready);
  set_bit (&producer->leaving, link, state == LINK_LEAVING);
  set_bit (&producer->waiting, link, state == LINK_ANSWERED
      || (state == LINK_UP && !ready && !link->refusal));
}

void
mmap_producer_link_admit_locked (MmapProducerLink * link)
{
  MmapProducer *producer = link->producer;
  gboolean first = link->state == LINK_ANSWERED;
  g_autoptr (GError) error = NULL;
  GVariantBuilder body;

  mmap_producer_link_set_state_locked (link, LINK_UP, TRUE);
  if (!mmap_producer_push_kept_locked (link)) {
    error = g_error_new (MMAP_ERROR, MMAP_ERROR_LIMIT,
        "The consumer (process %u) does not read its events", link->pid);
    mmap_producer_link_end_locked (link, error);
    return;
  }
  if (!first)
    link->number += producer->stats.frames - link->suspended_at;
  if (first) {
    producer->stats.links++;
    g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
    if (!link_send_locked (link, MMAP_MESSAGE_ACCEPT,
            g_variant_builder_end (&body)))
      return;
  }
  mmap_producer_touch_locked (producer);
  mmap_producer_report_locked (producer);
}

void
mmap_producer_admit (MmapProducer * producer, guint32 link_id)
{
  MmapProducerLink *link;

  g_mutex_lock (&producer->lock);
  link = mmap_producer_find_link_locked (producer, link_id);
  if (link && (producer->waiting & link_bit (link)))
    mmap_producer_link_admit_locked (link);
  mmap_producer_unlock (producer);
}

void
mmap_producer_suspend (MmapProducer * producer, guint32 link_id)
{
  MmapProducerLink *link;

  g_mutex_lock (&producer->lock);
  link = mmap_producer_find_link_locked (producer, link_id);
  if (link && (producer->ready & link_bit (link))) {
    link->suspended_at = producer->stats.frames;
    mmap_producer_link_set_state_locked (link, LINK_UP, FALSE);
    mmap_producer_touch_locked (producer);
  }
  mmap_producer_unlock (producer);
}

void
mmap_producer_refuse (MmapProducer * producer, guint32 link_id,
    const GError * reason)
{
  MmapProducerLink *link;

  g_mutex_lock (&producer->lock);
  link = mmap_producer_find_link_locked (producer, link_id);
  if (link)
    mmap_producer_link_end_locked (link, reason);
  mmap_producer_unlock (producer);
}

static gboolean
refuse_if_drained (gpointer data)
{
  MmapProducerLink *link = data;
  MmapProducer *producer = link->producer;
  gint64 now = g_get_monotonic_time ();

  g_mutex_lock (&producer->lock);
  mmap_producer_collect_locked (producer);
  if (link->state == LINK_UP && mmap_ring_is_read (&link->link->frames)
      && mmap_ring_is_read (&link->link->events))
    link->refuse_by = MIN (link->refuse_by, now + HOLD_TIMEOUT_US);
  if (link->state == LINK_UP && (link->held == 0 || now >= link->refuse_by))
    mmap_producer_link_end_locked (link, link->refusal);
  mmap_producer_unlock (producer);
  return G_SOURCE_CONTINUE;
}

void
mmap_producer_refuse_later (MmapProducer * producer, guint32 link_id,
    const GError * reason)
{
  MmapProducerLink *link;

  g_mutex_lock (&producer->lock);
  mmap_producer_collect_locked (producer);
  link = mmap_producer_find_link_locked (producer, link_id);
  if (link && link->held == 0) {
    mmap_producer_link_end_locked (link, reason);
  } else if (link && !link->refusal) {
    link->refusal = g_error_copy (reason);
    link->refuse_by = g_get_monotonic_time () + DRAIN_TIMEOUT_US;
    mmap_producer_link_set_state_locked (link, LINK_UP, FALSE);
    mmap_producer_link_set_timeout_locked (link, DRAIN_INTERVAL_MS,
        refuse_if_drained);
    mmap_producer_touch_locked (producer);
  }
  mmap_producer_unlock (producer);
}

/* TRUE if the consumer has written another one, and it makes sense. */
static gboolean
link_read_qos_locked (MmapProducerLink * link)
{
  const MmapQos *shared = &link->link->area->qos;
  guint64 serial = mmap_load_acquire (&shared->serial);
  MmapQos qos;

  if (serial == link->qos.serial || serial % 2 != 0)
    return FALSE;
  qos.serial = serial;
  qos.type = mmap_load_relaxed (&shared->type);
  __atomic_load (&shared->proportion, &qos.proportion, __ATOMIC_RELAXED);
  qos.diff = mmap_load_relaxed (&shared->diff);
  qos.timestamp = mmap_load_relaxed (&shared->timestamp);
  mmap_fence_acquire ();
  /* It was being written: the next one will do. */
  if (mmap_load_relaxed (&shared->serial) != serial)
    return FALSE;
  if (!isfinite (qos.proportion) || qos.proportion < 0)
    qos.proportion = 0;
  link->qos = qos;
  return TRUE;
}

gboolean
mmap_producer_take_qos (MmapProducer * producer, MmapQos * qos)
{
  MmapProducerLink *link, *slowest = NULL;
  gboolean news = FALSE;
  guint64 rest;

  g_mutex_lock (&producer->lock);
  rest = producer->ready;
  while ((link = mmap_producer_next_up_locked (producer, &rest))) {
    news = link_read_qos_locked (link) || news;
    if (link->qos.serial != 0 && (!slowest
            || link->qos.proportion > slowest->qos.proportion))
      slowest = link;
  }
  if (news && slowest)
    *qos = slowest->qos;
  g_mutex_unlock (&producer->lock);
  return news && slowest;
}
