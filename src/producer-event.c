/* gst-mmap: the producer: serialised events
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * They travel in a ring of their own, in order with the frames. Those that later consumers need are kept. Called from whoever
 * publishes, and from the service thread when a link comes up.
 */
#include "producer-private.h"

#include "atomics.h"

#include <string.h>

/* What a leaky producer waits for a consumer to read its events; chosen: far more than one that reads takes. */
#define FULL_TIMEOUT_US (100 * G_TIME_SPAN_MILLISECOND)

static void
kept_free_locked (MmapKept * kept)
{
  g_clear_pointer (&kept->block, mmap_block_unref_locked);
  g_bytes_unref (kept->data);
  g_free (kept->name);
  g_free (kept);
}

/* Puts the payload of an event into the current region. FALSE if there is no room now; %TRUE with no block for no payload. */
static gboolean
payload_place_locked (MmapProducer * producer, GBytes * data,
    MmapBlock ** block)
{
  gsize size = g_bytes_get_size (data);

  *block = NULL;
  if (size == 0)
    return TRUE;
  *block = mmap_producer_alloc_control_locked (producer, size);
  if (!*block)
    return FALSE;
  memcpy (mmap_block_get_data (*block), g_bytes_get_data (data, NULL), size);
  return TRUE;
}

gboolean
mmap_producer_move_kept_locked (MmapProducer * producer)
{
  MmapBlock *blocks[MAX_KEPT_EVENTS] = { NULL };
  GPtrArray *kept = producer->kept;
  gboolean placed = TRUE;
  guint i;

  for (i = 0; i < kept->len && placed; i++) {
    MmapKept *event = g_ptr_array_index (kept, i);

    placed = payload_place_locked (producer, event->data, &blocks[i]);
  }
  for (i = 0; i < kept->len; i++) {
    MmapKept *event = g_ptr_array_index (kept, i);
    MmapBlock **old = placed ? &event->block : &blocks[i];

    g_clear_pointer (old, mmap_block_unref_locked);
    if (placed)
      event->block = blocks[i];
  }
  return placed;
}

/* The descriptor of an event, and a publication of its block, if it has one, for links to hold. */
static MmapPublication *
event_describe_locked (MmapProducer * producer, const MmapKept * event,
    MmapDescriptor * descriptor)
{
  memset (descriptor, 0, sizeof *descriptor);
  descriptor->kind = event->kind;
  descriptor->flags = event->seqnum;
  descriptor->pts = descriptor->dts = descriptor->duration = MMAP_TIME_NONE;
  descriptor->anchor = event->anchor ? event->anchor : MMAP_TIME_NONE;
  descriptor->latency = event->latency;
  if (producer->arena)
    descriptor->region_id = producer->arena->region->region_id;
  if (!event->block)
    return NULL;
  descriptor->offset = event->block->offset;
  descriptor->size = g_bytes_get_size (event->data);
  return mmap_publication_new_locked (producer, FALSE,
      (GDestroyNotify) mmap_block_unref, mmap_block_ref (event->block));
}

static void
event_push_locked (MmapProducer * producer, const MmapKept * event,
    guint64 links)
{
  guint64 rest = links;
  MmapPublication *publication;
  MmapDescriptor descriptor;
  MmapProducerLink *link;

  publication = event_describe_locked (producer, event, &descriptor);
  while ((link = mmap_producer_next_up_locked (producer, &rest)))
    mmap_producer_link_push_locked (link, &descriptor, publication, FALSE);
  mmap_producer_wake_locked (producer, links);
  mmap_publication_settle_locked (producer, publication);
  producer->stats.events++;
  mmap_store_relaxed (&producer->arena->region->header->events,
      producer->stats.events);
}

/* Where in the list an event belongs; @same: it takes the place of the one that is there. */
static guint
kept_find_locked (MmapProducer * producer, const MmapKept * event,
    gboolean * same)
{
  GPtrArray *kept = producer->kept;
  guint i;

  *same = FALSE;
  for (i = 0; i < kept->len; i++) {
    const MmapKept *other = g_ptr_array_index (kept, i);

    if (other->order > event->order)
      break;
    *same = other->order == event->order && other->kind == event->kind
        && g_strcmp0 (other->name, event->name) == 0;
    if (*same)
      break;
  }
  return i;
}

/* FALSE if it could not be kept, or its payload could never be placed. */
static gboolean
event_is_possible_locked (MmapProducer * producer, const MmapKept * event)
{
  gboolean same;

  if (producer->arena && g_bytes_get_size (event->data) >
      producer->arena->capacity)
    return FALSE;
  if (event->order == 0)
    return TRUE;
  kept_find_locked (producer, event, &same);
  return same || producer->kept->len < MAX_KEPT_EVENTS;
}

/* Keeps @event (transfer full), or frees it. */
static void
event_keep_locked (MmapProducer * producer, MmapKept * event)
{
  GPtrArray *kept = producer->kept;
  gboolean same;
  guint i;

  if (event->order == 0) {
    kept_free_locked (event);
    return;
  }
  i = kept_find_locked (producer, event, &same);
  if (same) {
    kept_free_locked (g_ptr_array_index (kept, i));
    g_ptr_array_index (kept, i) = event;
  } else {
    g_ptr_array_insert (kept, i, event);
  }
}

static void
link_end_unread_locked (MmapProducerLink * link)
{
  g_autoptr (GError) error = g_error_new (MMAP_ERROR, MMAP_ERROR_LIMIT,
      "The consumer (process %u) does not read its events", link->pid);

  mmap_producer_link_end_locked (link, error);
}

/* A leaky producer does not wait: the links that get the event. One that has no room for what can't be dropped is given a moment, @wait:
 * many may have come at once; then it is ended. */
static guint64
fit_event_locked (MmapProducer * producer, gboolean droppable, gboolean * wait)
{
  guint64 rest = producer->ready, fit = 0;
  gint64 now = g_get_monotonic_time ();
  MmapProducerLink *link;

  *wait = FALSE;
  while ((link = mmap_producer_next_up_locked (producer, &rest))) {
    MmapRingResult room = mmap_producer_link_has_room_locked (link, FALSE);

    if (room == MMAP_RING_OK) {
      fit |= link_bit (link);
      link->full_since = 0;
    } else if (room == MMAP_RING_WAIT && !droppable) {
      if (link->full_since == 0)
        link->full_since = now;
      if (now - link->full_since < FULL_TIMEOUT_US)
        *wait = TRUE;
      else
        link_end_unread_locked (link);
    }
  }
  return fit;
}

/* A leaky producer that has no room for an event's payload: whoever has most events unread makes some. */
static void
make_room_for_event_locked (MmapProducer * producer)
{
  guint64 rest = mmap_producer_get_holders_locked (producer);
  MmapProducerLink *link, *slowest = NULL;

  while ((link = mmap_producer_next_holder_locked (producer, &rest)))
    if (link->held - link->held_frames > (slowest ? slowest->held
            - slowest->held_frames : 0))
      slowest = link;
  if (slowest && slowest->state == LINK_LEAVING)
    mmap_producer_link_close_locked (slowest, NULL);
  else if (slowest)
    link_end_unread_locked (slowest);
}

static MmapPublishResult
push_event_locked (MmapProducer * producer, MmapKept * event,
    gboolean droppable)
{
  gboolean leaky = producer->leaky != MMAP_LEAKY_NONE;
  guint64 links = producer->ready;
  gboolean wait = FALSE;

  if (!event_is_possible_locked (producer, event))
    return MMAP_PUBLISH_TOO_LARGE;
  /* Before there is a region there are no links: set_region() places what was kept. */
  if (!producer->arena) {
    event_keep_locked (producer, event);
    return MMAP_PUBLISH_OK;
  }
  mmap_producer_collect_locked (producer);
  if (leaky)
    links = fit_event_locked (producer, droppable, &wait);
  else
    wait = !mmap_producer_links_have_room_locked (producer, links, FALSE);
  if (wait || mmap_alarm_is_rung (producer->alarm))
    return MMAP_PUBLISH_FULL;
  if (!payload_place_locked (producer, event->data, &event->block)) {
    if (leaky)
      make_room_for_event_locked (producer);
    return MMAP_PUBLISH_FULL;
  }
  event_push_locked (producer, event, links);
  event_keep_locked (producer, event);
  return MMAP_PUBLISH_OK;
}

MmapPublishResult
mmap_producer_push_event (MmapProducer * producer, const MmapEvent * event)
{
  MmapPublishResult result = MMAP_PUBLISH_FULL;
  MmapKept *fresh = g_new0 (MmapKept, 1);

  fresh->kind = event->kind;
  fresh->seqnum = event->seqnum;
  fresh->order = event->order;
  fresh->anchor = event->anchor;
  fresh->latency = event->latency;
  fresh->name = g_strdup (event->name);
  fresh->data = g_bytes_new (event->data, event->size);

  g_mutex_lock (&producer->lock);
  if (!producer->closed)
    result = push_event_locked (producer, fresh, event->droppable);
  if (result != MMAP_PUBLISH_OK)
    kept_free_locked (fresh);
  mmap_producer_unlock (producer);
  return result;
}

void
mmap_producer_forget_event (MmapProducer * producer, guint32 kind)
{
  GPtrArray *kept = producer->kept;
  guint i;

  g_mutex_lock (&producer->lock);
  for (i = kept->len; i > 0; i--) {
    MmapKept *event = g_ptr_array_index (kept, i - 1);

    if (event->kind == kind) {
      g_ptr_array_remove_index (kept, i - 1);
      kept_free_locked (event);
    }
  }
  mmap_producer_unlock (producer);
}

void
mmap_producer_forget_events_locked (MmapProducer * producer)
{
  guint i;

  for (i = 0; i < producer->kept->len; i++)
    kept_free_locked (g_ptr_array_index (producer->kept, i));
  g_ptr_array_set_size (producer->kept, 0);
}

/* Not if it is as it was: another consumer may be reading it. */
static void
kept_restore (const MmapKept * kept)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (kept->data, &size);

  if (kept->block && size > 0
      && memcmp (mmap_block_get_data (kept->block), data, size) != 0)
    memcpy (mmap_block_get_data (kept->block), data, size);
}

gboolean
mmap_producer_push_kept_locked (MmapProducerLink * link)
{
  MmapProducer *producer = link->producer;
  guint i;

  for (i = 0; i < producer->kept->len; i++) {
    MmapKept *kept = g_ptr_array_index (producer->kept, i);
    MmapPublication *publication;
    MmapDescriptor descriptor;

    if (mmap_ring_has_room (&link->link->events) != MMAP_RING_OK
        || link->held >= MMAP_RELEASE_RING_SLOTS)
      return FALSE;
    /* Others can overwrite an area. */
    if (mmap_link_is_in_area (link->link))
      kept_restore (kept);
    publication = event_describe_locked (producer, kept, &descriptor);
    mmap_producer_link_push_locked (link, &descriptor, publication, FALSE);
    mmap_publication_settle_locked (producer, publication);
  }
  mmap_producer_wake_locked (producer, link_bit (link));
  return TRUE;
}

static gboolean
link_push_flush_locked (MmapProducerLink * link, guint64 number,
    GVariant * message, GError ** error)
{
  MmapDescriptor descriptor;
  MmapKept event = {.kind = MMAP_EVENT_FLUSH };

  if (mmap_ring_has_room (&link->link->events) != MMAP_RING_OK) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "The consumer (process %u) does not read its events", link->pid);
    return FALSE;
  }
  event_describe_locked (link->producer, &event, &descriptor);
  descriptor.frame_offset = number;
  mmap_producer_link_push_locked (link, &descriptor, NULL, FALSE);
  return mmap_message_send (link->socket, MMAP_MESSAGE_EVENT, message, NULL, 0,
      error);
}

void
mmap_producer_push_flush (MmapProducer * producer, guint64 number,
    GVariant * message)
{
  g_autoptr (GVariant) body = g_variant_ref_sink (message);
  MmapProducerLink *link;
  guint64 rest;

  g_mutex_lock (&producer->lock);
  rest = producer->up;
  while ((link = mmap_producer_next_up_locked (producer, &rest))) {
    g_autoptr (GError) error = NULL;

    if (!link_push_flush_locked (link, number, body, &error))
      mmap_producer_link_end_locked (link, error);
  }
  mmap_producer_wake_locked (producer, producer->up);
  mmap_producer_unlock (producer);
}
