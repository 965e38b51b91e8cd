/* gst-mmap: a ring of fixed-size slots between two processes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by the producer under its lock, and by the consumer: frame and event ring from its streaming thread,
 * release ring under the link's lock.
 */
#include "ring.h"

#include "atomics.h"

/* Of a cache line, in words. */
#define LINE_WORDS 8

void
mmap_ring_init (MmapRing * ring, guint64 * head, guint64 * tail,
    void *slots, guint32 n_slots, gsize slot_bytes)
{
  g_assert (slot_bytes % sizeof (guint64) == 0);
  g_assert ((n_slots & (n_slots - 1)) == 0);

  ring->head = head;
  ring->tail = tail;
  ring->slots = slots;
  ring->n_slots = n_slots;
  ring->slot_words = slot_bytes / sizeof (guint64);
  ring->own = 0;
  ring->seen = 0;
}

static guint64 *
ring_slot (const MmapRing * ring, guint64 index)
{
  return ring->slots + (index & (ring->n_slots - 1)) * ring->slot_words;
}

/* Relaxed atomics, not memcpy: a popper may still read a slot for a frame that was taken back; it throws away what it read. Four at a
 * time: one at a time takes twice as many instructions. */
static void
ring_write (guint64 * to, const guint64 * words, guint n)
{
  for (; n >= 4; n -= 4, to += 4, words += 4) {
    mmap_store_relaxed (&to[0], words[0]);
    mmap_store_relaxed (&to[1], words[1]);
    mmap_store_relaxed (&to[2], words[2]);
    mmap_store_relaxed (&to[3], words[3]);
  }
  for (; n > 0; n--)
    mmap_store_relaxed (to++, *words++);
}

static void
ring_read (guint64 * words, const guint64 * from, guint n)
{
  for (; n >= 4; n -= 4, words += 4, from += 4) {
    words[0] = mmap_load_relaxed (&from[0]);
    words[1] = mmap_load_relaxed (&from[1]);
    words[2] = mmap_load_relaxed (&from[2]);
    words[3] = mmap_load_relaxed (&from[3]);
  }
  for (; n > 0; n--)
    *words++ = mmap_load_relaxed (from++);
}

MmapRingResult
mmap_ring_has_room_for (MmapRing * ring, guint32 n)
{
  guint64 tail;

  if (ring->own - ring->seen + n <= ring->n_slots)
    return MMAP_RING_OK;

  /* Acquire: the popper's reads of the slot that is written next come before. Pairs with the release in
   * mmap_ring_pop(). */
  tail = mmap_load_acquire (ring->tail);
  if (tail - ring->seen > ring->own - ring->seen)
    return MMAP_RING_BROKEN;
  ring->seen = tail;
  return ring->own - tail + n <= ring->n_slots ? MMAP_RING_OK : MMAP_RING_WAIT;
}

MmapRingResult
mmap_ring_has_room (MmapRing * ring)
{
  return mmap_ring_has_room_for (ring, 1);
}

/* The popper's processor has what it read last time round: the pusher's has to ask for that. */
static void
ring_prefetch_for_write (const MmapRing * ring)
{
  const guint64 *slot = ring_slot (ring, ring->own);
  guint32 i;

  for (i = 0; i < ring->slot_words; i += LINE_WORDS)
    mmap_prefetch_for_write (slot + i);
}

MmapRingResult
mmap_ring_push (MmapRing * ring, const void *slot)
{
  MmapRingResult result = mmap_ring_has_room (ring);

  if (result != MMAP_RING_OK)
    return result;

  ring_write (ring_slot (ring, ring->own), slot, ring->slot_words);
  ring->own++;
  /* Release: slot and block are written before. Pairs with the acquire in mmap_ring_peek(). */
  mmap_store_release (ring->head, ring->own);
  ring_prefetch_for_write (ring);
  return MMAP_RING_OK;
}

MmapRingResult
mmap_ring_take_back (MmapRing * ring, guint64 * index)
{
  guint64 tail = mmap_load_acquire (ring->tail);

  for (;;) {
    /* It never goes back, so that a popper can make this go round as often as the ring is long, no more. */
    if (tail - ring->seen > ring->own - ring->seen)
      return MMAP_RING_BROKEN;
    ring->seen = tail;
    if (tail == ring->own)
      return MMAP_RING_WAIT;
    *index = tail;
    /* Release: the head is seen by who sees this tail. Pairs with the fence in ring_taken_back(). */
    if (mmap_swap_release (ring->tail, &tail, tail + 1)) {
      ring->seen = *index + 1;
      /* Release: who reads what is pushed into this slot next sees the tail. Pairs with the fence in mmap_ring_check(). */
      mmap_fence_release ();
      return MMAP_RING_OK;
    }
    /* Acquire, as in mmap_ring_has_room_for(): the popper has read what it has popped. */
    tail = mmap_load_acquire (ring->tail);
  }
}

guint32
mmap_ring_get_unread (const MmapRing * ring)
{
  guint64 unread = ring->own - mmap_load_relaxed (ring->tail);

  return MIN (unread, ring->n_slots);
}

gboolean
mmap_ring_is_read (const MmapRing * ring)
{
  return mmap_load_relaxed (ring->tail) == ring->own;
}

/* The pusher has taken slots back: @tail was read, and is not where this side left it. */
static MmapRingResult
ring_taken_back (MmapRing * ring, guint64 tail)
{
  if (tail - ring->own > ring->seen - ring->own) {
    guint64 head;

    /* Acquire: the head is read after the tail, so that it is not less. Pairs with the swap in mmap_ring_take_back(). */
    mmap_fence_acquire ();
    /* Acquire: as in mmap_ring_peek(). */
    head = mmap_load_acquire (ring->head);
    if (tail - ring->own > head - ring->own)
      return MMAP_RING_BROKEN;
    /* Too far ahead: right only if more was taken back since, and pushed. Then what is read next is void, and mmap_ring_pop() finds out. */
    if (head - tail > ring->n_slots && mmap_load_relaxed (ring->tail) == tail)
      return MMAP_RING_BROKEN;
    ring->seen = head;
  }
  ring->own = tail;
  return MMAP_RING_WAIT;
}

MmapRingResult
mmap_ring_peek (MmapRing * ring, void *slot)
{
  if (ring->own == ring->seen) {
    /* Acquire: the slot and the block it describes are read after. Pairs with the release in mmap_ring_push(). */
    guint64 head = mmap_load_acquire (ring->head);

    if (head - ring->own > ring->n_slots) {
      /* Right only if slots were taken back meanwhile. */
      guint64 tail = mmap_load_relaxed (ring->tail);

      if (tail == ring->own || ring_taken_back (ring, tail) != MMAP_RING_WAIT)
        return MMAP_RING_BROKEN;
    } else {
      ring->seen = head;
    }
    if (ring->seen == ring->own)
      return MMAP_RING_WAIT;
  }

  ring_read (slot, ring_slot (ring, ring->own), ring->slot_words);
  return MMAP_RING_OK;
}

gboolean
mmap_ring_has_new (const MmapRing * ring)
{
  return mmap_load_relaxed (ring->head) != ring->seen;
}

MmapRingResult
mmap_ring_pop (MmapRing * ring)
{
  guint64 tail = ring->own;

  /* Release: the slot was read before. Pairs with the acquire in mmap_ring_has_room_for(). Compare-and-swap: the pusher of
   * a frame ring may have taken the slot back. */
  if (mmap_swap_release (ring->tail, &tail, tail + 1)) {
    ring->own++;
    return MMAP_RING_OK;
  }
  return ring_taken_back (ring, tail);
}

MmapRingResult
mmap_ring_check (MmapRing * ring)
{
  guint64 tail;

  /* Acquire: the slot was read before the tail is. Pairs with the release fence in mmap_ring_take_back(). */
  mmap_fence_acquire ();
  tail = mmap_load_relaxed (ring->tail);
  return tail == ring->own ? MMAP_RING_OK : ring_taken_back (ring, tail);
}
