/* gst-mmap: a ring of fixed-size slots between two processes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MmapRing:
 * @head: shared: slots pushed; written by the pusher alone
 * @tail: shared: slots popped; written by the popper (and, in a frame ring, by a pusher that takes the oldest back)
 * @slots: shared: @n_slots slots of @slot_bytes bytes, both fixed by the protocol
 * @own: private: the index that this side writes, never read back from shared memory
 * @seen: private: the other side's index when it was last read and checked
 *
 * One side's view of a ring with one pusher and one popper. Indices count up for ever and are compared by unsigned
 * difference only. The other side may write anything anywhere: each of its words is read once, then checked.
 */
typedef struct
{
  guint64 *head;
  guint64 *tail;
  guint64 *slots;
  guint32 n_slots;
  guint32 slot_words;
  guint64 own;
  guint64 seen;
} MmapRing;

/**
 * MmapRingResult:
 * @MMAP_RING_OK: done
 * @MMAP_RING_WAIT: nothing done: the ring is full (push) or empty (peek), or the slot was taken back (pop)
 * @MMAP_RING_BROKEN: nothing done: the other side wrote an index that can't be; its link ends
 */
typedef enum
{
  MMAP_RING_OK,
  MMAP_RING_WAIT,
  MMAP_RING_BROKEN
} MmapRingResult;

/* @n_slots is a power of two; @slot_bytes a multiple of 8. The shared words are taken as zero. */
void mmap_ring_init (MmapRing * ring, guint64 * head, guint64 * tail,
    void *slots, guint32 n_slots, gsize slot_bytes);

/* Pusher: copies @slot in. */
MmapRingResult mmap_ring_push (MmapRing * ring, const void *slot);

/* Pusher: whether a push would succeed. */
MmapRingResult mmap_ring_has_room (MmapRing * ring);

/* Pusher: whether @n pushes would. */
MmapRingResult mmap_ring_has_room_for (MmapRing * ring, guint32 n);

/* Pusher: takes back the oldest slot that was not popped; @index: which one it was, counted from 0. MMAP_RING_WAIT: all were. */
MmapRingResult mmap_ring_take_back (MmapRing * ring, guint64 * index);

/* Pusher: slots that were not popped yet; a hint. */
guint32 mmap_ring_get_unread (const MmapRing * ring);

/* Pusher: whether all that was pushed has been popped; a hint. */
gboolean mmap_ring_is_read (const MmapRing * ring);

/* Popper: copies the oldest slot to @slot and leaves it in the ring. */
MmapRingResult mmap_ring_peek (MmapRing * ring, void *slot);

/* Popper: whether the pusher has moved on since the last peek; a hint. */
gboolean mmap_ring_has_new (const MmapRing * ring);

/* Popper: removes the slot that the last peek copied. In a frame ring it may have been taken back in between: then
 * MMAP_RING_WAIT, and what peek copied is void. */
MmapRingResult mmap_ring_pop (MmapRing * ring);

/* Popper: whether the slot that the last peek copied was the oldest one when it was read. If not, it was taken back, and perhaps a later one was
 * read in its place: then MMAP_RING_WAIT, and what peek copied is void. */
MmapRingResult mmap_ring_check (MmapRing * ring);

G_END_DECLS
