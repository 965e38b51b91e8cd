/* gst-mmap: the producer: frames, releases
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from whoever publishes, and by each thread that collects releases. Which link holds what is private memory: a
 * release that was never owed ends the link that sent it.
 */
#include "producer-private.h"

#include "atomics.h"

#include <sched.h>
#include <string.h>

/* Releases are taken back when so many frames are out, or something is lacking; chosen: half of the least that a region is made for. */
#define COLLECT_FROM 4

/* Who shares its processor with a consumer leaves it to it if it did not wake one there for so long. Chosen: the two switches that this
 * takes are a few microseconds; at full speed a consumer that is let in for each frame costs more than half of the frames. */
#define YIELD_INTERVAL_US 100

static MmapPublication *
publication_at (MmapProducer * producer, guint32 index)
{
  return &g_array_index (producer->publications, MmapPublication, index);
}

static guint32
publication_get_index (const MmapPublication * publication)
{
  return (guint32) publication->id - 1;
}

static void
list_prepend (guint32 * first, MmapPublication * publication)
{
  publication->next = *first;
  *first = publication_get_index (publication) + 1;
}

/* Of a list that is not empty. */
static MmapPublication *
list_take (MmapProducer * producer, guint32 * first)
{
  MmapPublication *publication = publication_at (producer, *first - 1);

  *first = publication->next;
  return publication;
}

MmapPublication *
mmap_publication_new_locked (MmapProducer * producer, gboolean is_frame,
    GDestroyNotify notify, gpointer data)
{
  MmapPublication *publication;
  guint32 index;

  if (producer->free_publications) {
    publication = list_take (producer, &producer->free_publications);
    index = publication_get_index (publication);
  } else {
    index = producer->publications->len;
    g_array_set_size (producer->publications, index + 1);
    publication = publication_at (producer, index);
  }
  /* A new generation: the id of an earlier publication is not this one's. */
  publication->id = ((publication->id >> 32) + 1) << 32 | ((guint64) index + 1);
  publication->holders = 0;
  publication->is_frame = is_frame;
  publication->notify = notify;
  publication->data = data;
  if (is_frame)
    producer->n_held++;
  return publication;
}

static void
publication_free_locked (MmapProducer * producer, MmapPublication * publication)
{
  if (publication->is_frame)
    producer->n_held--;
  publication->is_frame = FALSE;
  list_prepend (publication->notify ? &producer->given_back :
      &producer->free_publications, publication);
}

void
mmap_producer_unlock (MmapProducer * producer)
{
  while (producer->given_back) {
    struct
    {
      GDestroyNotify notify;
      gpointer data;
    } due[COLLECT_FROM];
    guint n, i;

    for (n = 0; n < G_N_ELEMENTS (due) && producer->given_back; n++) {
      MmapPublication *publication =
          list_take (producer, &producer->given_back);

      due[n].notify = publication->notify;
      due[n].data = publication->data;
      list_prepend (&producer->free_publications, publication);
    }
    g_mutex_unlock (&producer->lock);
    for (i = 0; i < n; i++)
      due[i].notify (due[i].data);
    g_mutex_lock (&producer->lock);
  }
  g_mutex_unlock (&producer->lock);
}

/* The publication that @id names, if @link holds it. */
static MmapPublication *
publication_find_locked (MmapProducerLink * link, guint64 id)
{
  GArray *publications = link->producer->publications;
  guint64 index = (id & G_MAXUINT32) - 1;       /* of 0: beyond any length */
  MmapPublication *publication;

  if (index >= publications->len)
    return NULL;
  publication = publication_at (link->producer, index);
  if (publication->id != id
      || !(publication->holders & (G_GUINT64_CONSTANT (1) << link->slot)))
    return NULL;
  return publication;
}

void
mmap_publication_settle_locked (MmapProducer * producer,
    MmapPublication * publication)
{
  if (publication && publication->holders == 0)
    publication_free_locked (producer, publication);
}

static void
publication_drop_locked (MmapProducerLink * link, MmapPublication * publication)
{
  publication->holders &= ~(G_GUINT64_CONSTANT (1) << link->slot);
  link->held--;
  if (publication->is_frame)
    link->held_frames--;
  mmap_publication_settle_locked (link->producer, publication);
}

void
mmap_producer_drop_held_locked (MmapProducerLink * link)
{
  GArray *publications = link->producer->publications;
  guint i;

  for (i = 0; i < publications->len && link->held > 0; i++) {
    MmapPublication *publication = publication_at (link->producer, i);

    if (publication->holders & (G_GUINT64_CONSTANT (1) << link->slot))
      publication_drop_locked (link, publication);
  }
}

void
mmap_producer_link_drop_locked (MmapProducerLink * link, guint64 id)
{
  MmapPublication *publication = publication_find_locked (link, id);

  if (publication)
    publication_drop_locked (link, publication);
}

gboolean
mmap_producer_link_holds_locked (MmapProducerLink * link, guint64 id)
{
  return publication_find_locked (link, id) != NULL;
}

void
mmap_producer_link_end_broken_locked (MmapProducerLink * link, const char *what)
{
  g_autoptr (GError) error = g_error_new (MMAP_ERROR, MMAP_ERROR_RING,
      "The consumer (process %u) broke the protocol: %s", link->pid, what);

  mmap_producer_link_close_locked (link, error);
}

/* What is there now shows who is wrong: who gave back twice, or what was taken back, or what it has made up. */
static void
link_end_false_release_locked (MmapProducerLink * link, guint64 id)
{
  GArray *publications = link->producer->publications;
  guint64 index = id & G_MAXUINT32;
  g_autofree char *what = NULL, *there = NULL;

  if (index == 0 || index > publications->len) {
    there = g_strdup_printf ("there are %u", publications->len);
  } else {
    const MmapPublication *publication =
        &g_array_index (publications, MmapPublication, index - 1);

    there = g_strdup_printf ("that is %s of generation %" G_GUINT64_FORMAT
        " now, links that hold it: %d",
        publication->is_frame ? "a frame" : "no frame", publication->id >> 32,
        __builtin_popcountll (publication->holders));
  }
  what = g_strdup_printf ("it gave back number %" G_GUINT64_FORMAT
      " of generation %" G_GUINT64_FORMAT ", which it did not hold (%s; it "
      "holds %u, frames among them: %u)", index, id >> 32, there, link->held,
      link->held_frames);
  mmap_producer_link_end_broken_locked (link, what);
}

gboolean
mmap_producer_link_collect_locked (MmapProducerLink * link)
{
  MmapRing *releases = &link->link->releases;
  MmapRingResult result = MMAP_RING_OK;
  gboolean collected = FALSE;

  while (result == MMAP_RING_OK) {
    MmapPublication *publication;
    guint64 id;

    result = mmap_ring_peek (releases, &id);
    if (result != MMAP_RING_OK)
      break;
    /* Nobody else may move this ring's tail. */
    if (mmap_ring_pop (releases) != MMAP_RING_OK)
      result = MMAP_RING_BROKEN;
    if (result != MMAP_RING_OK)
      break;
    publication = publication_find_locked (link, id);
    if (!publication) {
      link_end_false_release_locked (link, id);
      return TRUE;
    }
    publication_drop_locked (link, publication);
    collected = TRUE;
  }
  if (result == MMAP_RING_BROKEN) {
    mmap_producer_link_end_broken_locked (link,
        "impossible indices in its release ring");
    return TRUE;
  }
  if (collected && link->state == LINK_LEAVING)
    mmap_producer_link_settle_locked (link);
  return collected;
}

gboolean
mmap_producer_collect_locked (MmapProducer * producer)
{
  guint64 rest = mmap_producer_get_holders_locked (producer);
  MmapProducerLink *link;
  gboolean collected = FALSE;

  while ((link = mmap_producer_next_holder_locked (producer, &rest)))
    if (link->held > 0 && mmap_producer_link_collect_locked (link))
      collected = TRUE;
  if (collected)
    mmap_producer_touch_locked (producer);
  return collected;
}

MmapRingResult
mmap_producer_link_has_room_locked (MmapProducerLink * link, gboolean frame)
{
  guint limit = frame ? LINK_MAX_HELD_FRAMES : MMAP_RELEASE_RING_SLOTS;
  MmapRingResult room = frame ? mmap_ring_has_room (&link->link->frames) :
      mmap_ring_has_room_for (&link->link->events, 1 + FLUSH_SLOTS);

  if (room == MMAP_RING_BROKEN)
    mmap_producer_link_end_broken_locked (link, "impossible indices in a ring");
  if (room == MMAP_RING_OK && (link->held >= limit
          || (frame && mmap_producer_link_is_full_locked (link))))
    room = MMAP_RING_WAIT;
  return room;
}

gboolean
mmap_producer_links_have_room_locked (MmapProducer * producer, guint64 links,
    gboolean frame)
{
  guint64 rest = links;
  MmapProducerLink *link;
  gboolean room = TRUE;

  while ((link = mmap_producer_next_up_locked (producer, &rest)))
    if (mmap_producer_link_has_room_locked (link, frame) == MMAP_RING_WAIT)
      room = FALSE;
  return room;
}

void
mmap_producer_link_push_locked (MmapProducerLink * link,
    MmapDescriptor * descriptor, MmapPublication * publication, gboolean frame)
{
  MmapRing *ring = frame ? &link->link->frames : &link->link->events;

  descriptor->sequence = ++link->sequence;
  descriptor->id = 0;
  if (publication) {
    descriptor->id = publication->id;
    publication->holders |= G_GUINT64_CONSTANT (1) << link->slot;
    link->held++;
  }
  if (frame) {
    link->held_frames++;
    link->frames++;
    link->frame_ids[ring->own % MMAP_FRAME_RING_SLOTS] = descriptor->id;
    descriptor->number = mmap_producer_link_count_frame_locked (link);
  } else {
    link->event_ids[ring->own % MMAP_EVENT_RING_SLOTS] = descriptor->id;
  }
  mmap_ring_push (ring, descriptor);
  mmap_producer_link_update_entry_locked (link);
}

gboolean
mmap_producer_wake_locked (MmapProducer * producer, guint64 links)
{
  guint64 rest = links;
  MmapProducerLink *link;
  gboolean rung = FALSE, near = FALSE;

  /* What was published is visible before the sleep words are looked at. Pairs with the fence in mmap_sleeper_prepare(). */
  mmap_fence_full ();
  while ((link = mmap_producer_next_up_locked (producer, &rest))) {
    if (!mmap_waker_is_due (&link->link->waker))
      continue;
    near = near || mmap_waker_shares_cpu (&link->link->waker);
    rung = mmap_link_ring (link->link) || rung;
  }
  if (rung) {
    producer->stats.wakeups++;
    g_atomic_int_set (&producer->near, near);
  }
  return near;
}

static void
count_frame_locked (MmapProducer * producer, guint64 size)
{
  MmapRegionHeader *header = producer->arena->region->header;

  producer->stats.frames++;
  producer->stats.bytes += size;
  if (producer->ready == 0)
    producer->stats.unsent++;
  mmap_store_relaxed (&header->frames, producer->stats.frames);
  mmap_store_relaxed (&header->bytes, producer->stats.bytes);
}

void
mmap_producer_announce (MmapProducer * producer)
{
  /* It would run instead of this thread, and find nothing. */
  if (g_atomic_int_get (&producer->near))
    return;
  g_mutex_lock (&producer->lock);
  mmap_producer_wake_locked (producer, producer->ready);
  g_mutex_unlock (&producer->lock);
}

/* Makes room, if there seems to be none, by taking back what was released: those are notified without the lock. */
static void
make_room_locked (MmapProducer * producer, guint64 size)
{
  if (mmap_producer_links_have_room_locked (producer, producer->ready, TRUE)
      && mmap_producer_has_room_locked (producer, size))
    return;
  mmap_producer_collect_locked (producer);
  mmap_producer_unlock (producer);
  g_mutex_lock (&producer->lock);
}

/* Notes that some were woken that fell asleep on this thread's processor. Returns: whether to leave it to them now */
static gboolean
note_near_locked (MmapProducer * producer)
{
  gint64 now = g_get_monotonic_time ();
  gboolean yield = now - producer->near_us >= YIELD_INTERVAL_US;

  producer->near_us = now;
  return yield;
}

/* Room for it is there on each of @links. Returns: whether this thread is to yield its processor */
static gboolean
publish_locked (MmapProducer * producer, const MmapDescriptor * frame,
    guint64 links, GDestroyNotify notify, gpointer data)
{
  MmapDescriptor descriptor = *frame;
  MmapArena *arena = producer->arena;
  guint64 rest = producer->ready;
  MmapPublication *publication;
  MmapProducerLink *link;
  guint32 hints;
  gboolean yield;

  descriptor.kind = 0;
  descriptor.region_id = arena->region->region_id;
  arena->largest_frame = MAX (arena->largest_frame,
      descriptor.size + descriptor.metas_size);
  hints = mmap_producer_has_room_locked (producer,
      arena->largest_frame) ? 0 : MMAP_HINT_LAST_ROOM;
  if (descriptor.size + descriptor.metas_size < arena->largest_frame)
    hints |= MMAP_HINT_SMALLER;
  publication = mmap_publication_new_locked (producer, TRUE, notify, data);
  while ((link = mmap_producer_next_up_locked (producer, &rest))) {
    if (!(links & link_bit (link))) {
      mmap_producer_link_count_drop_locked (link);
      continue;
    }
    descriptor.hints = hints;
    if (link->lends || (producer->max_buffers > 0
            && link->held_frames + 1 >= producer->max_buffers))
      descriptor.hints |= MMAP_HINT_LAST_ROOM;
    mmap_producer_link_push_locked (link, &descriptor, publication, TRUE);
    if (link->lends)
      link->lent = descriptor.id;
    link->lends = FALSE;
  }
  yield = mmap_producer_wake_locked (producer, links)
      && note_near_locked (producer);
  count_frame_locked (producer, descriptor.size);
  mmap_publication_settle_locked (producer, publication);
  /* Now that consumers are awake, several at once: one by one would cost more. */
  if (producer->n_held >= COLLECT_FROM)
    mmap_producer_collect_locked (producer);
  return yield;
}

MmapPublishResult
mmap_producer_publish (MmapProducer * producer, const MmapDescriptor * frame,
    MmapBlock * block, GDestroyNotify notify, gpointer data)
{
  MmapPublishResult result = MMAP_PUBLISH_FULL;
  gboolean current, yield = FALSE;

  g_mutex_lock (&producer->lock);
  current = producer->arena && (!block || block->arena == producer->arena);
  if (current && !producer->closed) {
    guint64 size = frame->size + frame->metas_size;

    make_room_locked (producer, size);
    /* The caller learns of the end from its next wait. */
    if (!producer->closed && !mmap_alarm_is_rung (producer->alarm)
        && (producer->leaky != MMAP_LEAKY_NONE
            || mmap_producer_links_have_room_locked (producer,
                producer->ready, TRUE))) {
      yield = publish_locked (producer, frame,
          producer->leaky == MMAP_LEAKY_NONE ? producer->ready :
          mmap_producer_fit_locked (producer, size), notify, data);
      result = MMAP_PUBLISH_OK;
    }
  }
  current = current || producer->closed;
  mmap_producer_unlock (producer);
  /* What this thread has to do next can wait, the frame can't. */
  if (yield)
    sched_yield ();
  g_return_val_if_fail (current, result);
  return result;
}
