/* gst-mmap: the producer: memory that comes while frames flow already
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A region is offered as soon as the memory of tokens and events is reserved. A thread reserves that of the first frame, meanwhile, and
 * then the rest, piece by piece, and ends; if there is no thread, the caller does all of it first. No block lies in a piece that is not reserved yet. Started and ended by whoever replaces the
 * region, or closes the producer.
 */
#include "producer-private.h"

#include "atomics.h"

/* At once: so the thread ends soon when it is told to, and others who need the lock of the memory map or of the file, for which it is
 * locked meanwhile, don't wait for long. Chosen: less than a millisecond. */
#define PIECE_BYTES (G_GUINT64_CONSTANT (1) << 20)
/* The same for the first frame, which nobody has yet: one of 1080p in one piece. */
#define FIRST_PIECE_BYTES (4 * PIECE_BYTES)

/* So long it leaves the processor to the first frame, unless somebody finds no room. Chosen: longer than a handshake takes. */
#define DELAY_US 100000

struct _MmapReserver
{
  MmapProducer *producer;       /* not owned: it ends its reserver */
  MmapArena *arena;
  guint64 first;                /* bytes of the region up to the end of its first frame */
  GThread *thread;
  GCond cond;                   /* wanted, or stop */
  gboolean wanted;
  gint stop;                    /* atomic */
};

/* Until memory is wanted. */
static void
reserver_wait (MmapReserver * reserver)
{
  MmapProducer *producer = reserver->producer;
  gint64 until = g_get_monotonic_time () + DELAY_US;

  g_mutex_lock (&producer->lock);
  while (!reserver->wanted && !g_atomic_int_get (&reserver->stop)
      && g_cond_wait_until (&reserver->cond, &producer->lock, until));
  g_mutex_unlock (&producer->lock);
}

static void
reserve_fail (MmapProducer * producer, MmapArena * arena, const GError * error)
{
  mmap_producer_fail (producer, error);
  g_mutex_lock (&producer->lock);
  arena->unreserved = 0;
  mmap_producer_unlock (producer);
}

/* What was reserved becomes blocks. */
static void
extend (MmapProducer * producer, MmapArena * arena, MmapReserver * reserver)
{
  g_mutex_lock (&producer->lock);
  mmap_arena_extend_locked (arena);
  /* Who still finds no room says so again. */
  if (reserver)
    reserver->wanted = FALSE;
  mmap_producer_touch_locked (producer);
  producer->extended = producer->serial;
  mmap_producer_unlock (producer);
}

/* Reserves the next @bytes. FALSE at the end, whatever it is. */
static gboolean
reserver_step (MmapReserver * reserver, guint64 bytes)
{
  MmapProducer *producer = reserver->producer;
  MmapRegion *region = reserver->arena->region;
  g_autoptr (GError) error = NULL;

  if (g_atomic_int_get (&reserver->stop))
    return FALSE;
  if (!mmap_region_reserve_more (region, bytes, &error)) {
    /* Nobody misses the memory of a region that goes. */
    if (!g_atomic_int_get (&reserver->stop))
      reserve_fail (producer, reserver->arena, error);
    return FALSE;
  }
  extend (producer, reserver->arena, reserver);
  return region->reserved < region->size;
}

static gpointer
reserver_run (gpointer data)
{
  MmapReserver *reserver = data;
  MmapRegion *region = reserver->arena->region;
  gboolean more = TRUE;

  while (more && region->reserved < reserver->first)
    more = reserver_step (reserver, MIN (FIRST_PIECE_BYTES,
            reserver->first - region->reserved));
  if (more)
    reserver_wait (reserver);
  while (more)
    more = reserver_step (reserver, PIECE_BYTES);
  return NULL;
}

MmapReserver *
mmap_producer_start_reserver_locked (MmapProducer * producer, guint64 first,
    gboolean * without_thread)
{
  MmapReserver *old = g_steal_pointer (&producer->reserver);
  MmapReserver *reserver;

  if (!producer->arena || producer->arena->unreserved == 0)
    return old;
  reserver = g_new0 (MmapReserver, 1);
  g_cond_init (&reserver->cond);
  reserver->producer = producer;
  reserver->arena = producer->arena;
  reserver->arena->ref_count++;
  reserver->first = MIN (first, reserver->arena->capacity)
      + reserver->arena->control_end + MMAP_BLOCK_ALIGN_BYTES;
  /* It doesn't look at the producer before it has the lock. */
  reserver->thread =
      g_thread_try_new ("mmap-reserve", reserver_run, reserver, NULL);
  if (reserver->thread) {
    producer->reserver = reserver;
  } else {
    *without_thread = TRUE;
    reserver->arena->ref_count--;
    g_cond_clear (&reserver->cond);
    g_free (reserver);
  }
  return old;
}

/* The arena of the current region, if some of it is to be reserved. A reference is the caller's. */
static MmapArena *
dup_unreserved_arena (MmapProducer * producer)
{
  MmapArena *arena;

  g_mutex_lock (&producer->lock);
  arena = producer->arena;
  if (arena && arena->unreserved > 0 && !producer->reserver)
    arena->ref_count++;
  else
    arena = NULL;
  g_mutex_unlock (&producer->lock);
  return arena;
}

static gboolean
is_current (MmapProducer * producer, const MmapArena * arena)
{
  gboolean current;

  g_mutex_lock (&producer->lock);
  current = producer->arena == arena;
  g_mutex_unlock (&producer->lock);
  return current;
}

void
mmap_producer_reserve_all (MmapProducer * producer)
{
  MmapArena *arena = dup_unreserved_arena (producer);
  g_autoptr (GError) error = NULL;

  if (!arena)
    return;
  /* Nobody misses the memory of a region that goes. */
  while (arena->region->reserved < arena->region->size
      && is_current (producer, arena)) {
    if (!mmap_region_reserve_more (arena->region, PIECE_BYTES, &error)) {
      reserve_fail (producer, arena, error);
      break;
    }
    extend (producer, arena, NULL);
  }
  g_mutex_lock (&producer->lock);
  mmap_arena_unref_locked (arena);
  mmap_producer_unlock (producer);
}

void
mmap_producer_want_memory_locked (MmapProducer * producer)
{
  if (!producer->reserver || producer->reserver->wanted)
    return;
  producer->reserver->wanted = TRUE;
  g_cond_signal (&producer->reserver->cond);
}

void
mmap_producer_end_reserver (MmapProducer * producer, MmapReserver * reserver)
{
  if (!reserver)
    return;
  g_mutex_lock (&producer->lock);
  g_atomic_int_set (&reserver->stop, TRUE);
  g_cond_signal (&reserver->cond);
  g_mutex_unlock (&producer->lock);
  g_thread_join (reserver->thread);
  g_cond_clear (&reserver->cond);
  g_mutex_lock (&producer->lock);
  mmap_arena_unref_locked (reserver->arena);
  mmap_producer_unlock (producer);
  g_free (reserver);
}

void
mmap_producer_stop_reserver (MmapProducer * producer)
{
  MmapReserver *reserver;

  g_mutex_lock (&producer->lock);
  reserver = g_steal_pointer (&producer->reserver);
  g_mutex_unlock (&producer->lock);
  mmap_producer_end_reserver (producer, reserver);
}

gboolean
mmap_producer_expects_room (MmapProducer * producer, guint64 serial)
{
  gboolean expects;

  g_mutex_lock (&producer->lock);
  expects = !producer->closed && !producer->failed
      && (producer->extended > serial
      || (producer->arena && producer->arena->unreserved > 0));
  g_mutex_unlock (&producer->lock);
  return expects;
}

gboolean
mmap_producer_has_failed (MmapProducer * producer)
{
  return mmap_load_relaxed (&producer->failed);
}
