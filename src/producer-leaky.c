/* gst-mmap: the producer: frames for slow consumers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from whoever publishes, or needs a block. A leaky producer waits for nobody: what has no room on a link is dropped for that link
 * alone, and what a slow one has not read makes room for others.
 */
#include "producer-private.h"

#include "atomics.h"

/* While the region has no room for so many frames more, links share it; chosen: one that is made, one that waits for its time, one to copy. */
#define SPARE_FRAMES 3
/* What each link may hold even then: one that is read, and the next. */
#define LEAST_SHARE 2
/* A link that leaves no room for so long is ended; chosen: a stop of a debugger is longer, one of a busy machine shorter. */
#define SHORT_TIMEOUT_US (5 * G_TIME_SPAN_SECOND)
/* Then it has been told, and has so long to give back what it holds; chosen, untuned. */
#define GRACE_US G_TIME_SPAN_SECOND
/* Who looks less often than that has stood still meanwhile, and that is no time for a consumer; chosen: twice as long as anybody waits. */
#define LOOK_INTERVAL_US (2 * G_TIME_SPAN_SECOND)
/* How often it is told of each link that frames were dropped for it; chosen: as often as somebody could look. */
#define TELL_INTERVAL_US G_TIME_SPAN_SECOND

void
mmap_producer_set_leaky (MmapProducer * producer, MmapLeaky leaky)
{
  g_mutex_lock (&producer->lock);
  if (producer->leaky != leaky) {
    mmap_store_relaxed (&producer->leaky, leaky);
    /* Who waits for a consumer need not any more. */
    mmap_producer_touch_locked (producer);
  }
  g_mutex_unlock (&producer->lock);
}

gboolean
mmap_producer_is_leaky (MmapProducer * producer)
{
  return mmap_load_relaxed (&producer->leaky) != MMAP_LEAKY_NONE;
}

void
mmap_producer_set_max_buffers (MmapProducer * producer, guint max_buffers)
{
  g_mutex_lock (&producer->lock);
  producer->max_buffers = max_buffers;
  mmap_producer_touch_locked (producer);
  g_mutex_unlock (&producer->lock);
}

gboolean
mmap_producer_link_is_full_locked (MmapProducerLink * link)
{
  guint limit = link->producer->max_buffers;

  return limit > 0 && link->held_frames >= limit;
}

void
mmap_producer_link_count_drop_locked (MmapProducerLink * link)
{
  MmapProducer *producer = link->producer;

  mmap_producer_link_count_frame_locked (link);
  link->dropped++;
  producer->stats.dropped++;
  mmap_store_relaxed (&producer->dropping,
      producer->dropping | link_bit (link));
  mmap_producer_link_update_entry_locked (link);
}

/* FALSE: it has read all, or the link was ended. */
static gboolean
link_take_back_locked (MmapProducerLink * link)
{
  MmapProducer *producer = link->producer;
  guint64 index;

  switch (mmap_ring_take_back (&link->link->frames, &index)) {
    case MMAP_RING_OK:
      break;
    case MMAP_RING_BROKEN:
      mmap_producer_link_end_broken_locked (link,
          "impossible indices in a ring");
      return FALSE;
    default:
      return FALSE;
  }
  /* It has its number already. */
  link->number--;
  link->frames--;
  mmap_producer_link_count_drop_locked (link);
  mmap_producer_link_drop_locked (link,
      link->frame_ids[index % MMAP_FRAME_RING_SLOTS]);
  mmap_producer_touch_locked (producer);
  return TRUE;
}

/* The frames that each link may hold, because the region has no room for more; G_MAXUINT: it has. */
static guint
get_share_locked (MmapProducer * producer, guint64 size)
{
  MmapArena *arena = producer->arena;
  guint64 left = mmap_arena_get_free_bytes (arena)
      + arena->unreserved;
  guint n = __builtin_popcountll (producer->ready);

  if (size == 0 || left >= SPARE_FRAMES * size)
    return G_MAXUINT;
  return MAX (LEAST_SHARE, arena->capacity / size / (n + 1));
}

/* Who keeps its share may give one back only for another: it gets one at a time beyond that, to be copied, and given back at once. */
static gboolean
may_lend_locked (MmapProducerLink * link)
{
  return mmap_producer_link_has_room_locked (link, TRUE) == MMAP_RING_OK
      && mmap_ring_get_unread (&link->link->frames) == 0
      && !mmap_producer_link_holds_locked (link, link->lent);
}

guint64
mmap_producer_fit_locked (MmapProducer * producer, guint64 size)
{
  guint share = get_share_locked (producer, size);
  guint64 rest = producer->ready, fit = 0;
  MmapProducerLink *link;

  /* Nobody loses a frame for one that it has given back. */
  if (share != G_MAXUINT)
    mmap_producer_collect_locked (producer);
  while ((link = mmap_producer_next_up_locked (producer, &rest))) {
    guint64 bit = link_bit (link);
    gboolean taken = FALSE;
    MmapRingResult room;

    do {
      room = mmap_producer_link_has_room_locked (link, TRUE);
      /* One for one: the rest of what it has more than its share may be read meanwhile. */
      if (room == MMAP_RING_OK && !taken && link->held_frames >= share)
        room = MMAP_RING_WAIT;
    } while (room == MMAP_RING_WAIT
        && producer->leaky == MMAP_LEAKY_DOWNSTREAM
        && (taken = link_take_back_locked (link)));
    /* It may have been ended. */
    if (room == MMAP_RING_WAIT && (producer->ready & bit)
        && may_lend_locked (link)) {
      link->lends = TRUE;
      room = MMAP_RING_OK;
    }
    if (room == MMAP_RING_OK)
      fit |= bit;
  }
  return fit & producer->ready;
}

/* Of those that are up: the one that has most frames unread. */
static MmapProducerLink *
find_slowest_locked (MmapProducer * producer, guint * most)
{
  MmapProducerLink *link, *slowest = NULL;
  guint64 rest = producer->up;

  *most = 0;
  while ((link = mmap_producer_next_up_locked (producer, &rest))) {
    guint n = mmap_ring_get_unread (&link->link->frames);

    if (n > *most) {
      *most = n;
      slowest = link;
    }
  }
  return slowest;
}

/* Who holds most; of those that hold the same, one that is leaving: nobody is served by it. */
static MmapProducerLink *
find_greediest_locked (MmapProducer * producer)
{
  MmapProducerLink *link, *greediest = NULL;
  guint64 rest = producer->leaky == MMAP_LEAKY_NONE ? producer->leaving :
      mmap_producer_get_holders_locked (producer);
  guint most = 0;

  while ((link = mmap_producer_next_holder_locked (producer, &rest))) {
    gboolean leaving = link->state == LINK_LEAVING;
    guint n = leaving ? link->held : link->held_frames;

    if (n > most || (n == most && leaving)) {
      most = n;
      greediest = link;
    }
  }
  return greediest;
}

/* Who is leaving, or was refused and has not gone, is not waited for any longer. */
static void
link_end_greedy_locked (MmapProducerLink * link)
{
  g_autoptr (GError) error = NULL;

  if (link->state == LINK_UP && link->held_frames < LEAST_SHARE)
    return;
  error = g_error_new (MMAP_ERROR, MMAP_ERROR_LIMIT,
      "The consumer (process %u) holds %u frames, and gave none back while "
      "there was no room for others", link->pid, link->held_frames);
  if (link->state == LINK_UP) {
    link->producer->short_since =
        g_get_monotonic_time () - SHORT_TIMEOUT_US + GRACE_US;
    mmap_producer_link_end_locked (link, error);
  } else {
    mmap_producer_link_close_locked (link, link->left ? error : NULL);
  }
}

void
mmap_producer_note_shortage_locked (MmapProducer * producer)
{
  gint64 now = g_get_monotonic_time ();
  MmapProducerLink *link;

  if (producer->short_since == 0
      || now - producer->short_looked > LOOK_INTERVAL_US)
    producer->short_since = now;
  producer->short_looked = now;
  if (now - producer->short_since < SHORT_TIMEOUT_US)
    return;
  producer->short_since = 0;
  link = find_greediest_locked (producer);
  if (link)
    link_end_greedy_locked (link);
}

gboolean
mmap_producer_reclaim (MmapProducer * producer)
{
  MmapProducerLink *link;
  gboolean again;
  guint unread;

  g_mutex_lock (&producer->lock);
  again = mmap_producer_collect_locked (producer);
  if (!again && producer->leaky == MMAP_LEAKY_DOWNSTREAM) {
    link = find_slowest_locked (producer, &unread);
    /* The newest is left: it is about to be read. */
    again = link && unread > 1 && link_take_back_locked (link);
  }
  if (again)
    producer->short_since = 0;
  else
    mmap_producer_note_shortage_locked (producer);
  mmap_producer_unlock (producer);
  return again;
}

void
mmap_producer_skip (MmapProducer * producer)
{
  MmapProducerLink *link;
  guint64 rest;

  g_mutex_lock (&producer->lock);
  rest = producer->ready;
  while ((link = mmap_producer_next_up_locked (producer, &rest)))
    mmap_producer_link_count_drop_locked (link);
  g_mutex_unlock (&producer->lock);
}

static void
link_get_stats_locked (const MmapProducerLink * link, MmapLinkStats * stats)
{
  stats->link_id = link->id;
  stats->pid = link->pid;
  stats->uid = link->uid;
  stats->frames = link->frames;
  stats->dropped = link->dropped;
  stats->held = link->held_frames;
  stats->leaving = link->state == LINK_LEAVING;
}

gboolean
mmap_producer_take_drops (MmapProducer * producer, MmapLinkStats * stats)
{
  MmapProducerLink *link;
  guint64 rest;
  gint64 now;

  if (mmap_load_relaxed (&producer->dropping) == 0)
    return FALSE;
  now = g_get_monotonic_time ();
  g_mutex_lock (&producer->lock);
  rest = producer->dropping;
  while ((link = mmap_producer_next_up_locked (producer, &rest)))
    if (now - link->told_at >= TELL_INTERVAL_US)
      break;
  if (link) {
    link->told_at = now;
    mmap_store_relaxed (&producer->dropping,
        producer->dropping & ~link_bit (link));
    link_get_stats_locked (link, stats);
  }
  g_mutex_unlock (&producer->lock);
  return link != NULL;
}

guint
mmap_producer_get_links (MmapProducer * producer,
    MmapLinkStats stats[MMAP_MAX_LINKS])
{
  MmapProducerLink *link;
  guint64 rest;
  guint n = 0;

  g_mutex_lock (&producer->lock);
  rest = mmap_producer_get_holders_locked (producer);
  while ((link = mmap_producer_next_holder_locked (producer, &rest)))
    link_get_stats_locked (link, &stats[n++]);
  g_mutex_unlock (&producer->lock);
  return n;
}
