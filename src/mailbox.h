/* gst-mmap: a stream of bytes through shared memory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "area-protocol.h"

G_BEGIN_DECLS

/**
 * MmapByteRing:
 * @head: shared: bytes pushed; written by the pusher alone
 * @tail: shared: bytes popped; written by the popper alone
 * @bytes: shared: @size of them, a power of two
 * @own: private: the index that this side writes, never read back from shared memory
 *
 * One side's view of one way. Indices count up for ever. The other side may write anything anywhere: each of its words is read once, then
 * checked.
 */
typedef struct
{
  guint64 *head;
  guint64 *tail;
  guint8 *bytes;
  guint32 size;
  guint64 own;
} MmapByteRing;

/* Pusher: copies as many of the @n bytes at @data in as there is room for.
 * Returns: how many; -1: the other side wrote an index that can't be */
gssize mmap_byte_ring_push (MmapByteRing * ring, const guint8 * data,
    gsize n);

/* Popper: copies at most @n bytes to @data.
 * Returns: how many; -1: the other side wrote an index that can't be */
gssize mmap_byte_ring_pop (MmapByteRing * ring, guint8 * data, gsize n);

/* The two ways of a link slot, as they begin when it is served. */
void mmap_mailbox_init_down (MmapLinkSlot * slot, MmapByteRing * ring);
void mmap_mailbox_init_up (MmapLinkSlot * slot, MmapByteRing * ring);

G_END_DECLS
