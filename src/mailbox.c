/* gst-mmap: a stream of bytes through shared memory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by the threads of relays. What travels here are the messages of the handshake, and those of a link that is up.
 */
#include "mailbox.h"

#include "atomics.h"

#include <string.h>

gssize
mmap_byte_ring_push (MmapByteRing * ring, const guint8 * data, gsize n)
{
  /* Acquire: the popper has read what is written over next. Pairs with the release in mmap_byte_ring_pop(). */
  guint64 used = ring->own - mmap_load_acquire (ring->tail);
  gsize at = ring->own & (ring->size - 1), first;

  if (used > ring->size)
    return -1;
  n = MIN (n, ring->size - used);
  first = MIN (n, ring->size - at);
  memcpy (ring->bytes + at, data, first);
  memcpy (ring->bytes, data + first, n - first);
  ring->own += n;
  /* Release: the bytes are there. Pairs with the acquire in mmap_byte_ring_pop(). */
  if (n > 0)
    mmap_store_release (ring->head, ring->own);
  return n;
}

gssize
mmap_byte_ring_pop (MmapByteRing * ring, guint8 * data, gsize n)
{
  guint64 there = mmap_load_acquire (ring->head) - ring->own;
  gsize at = ring->own & (ring->size - 1), first;

  if (there > ring->size)
    return -1;
  n = MIN (n, there);
  first = MIN (n, ring->size - at);
  memcpy (data, ring->bytes + at, first);
  memcpy (data + first, ring->bytes, n - first);
  ring->own += n;
  if (n > 0)
    mmap_store_release (ring->tail, ring->own);
  return n;
}

void
mmap_mailbox_init_down (MmapLinkSlot * slot, MmapByteRing * ring)
{
  ring->head = &slot->mailbox.down_head;
  ring->tail = &slot->mailbox.down_tail;
  ring->bytes = slot->mailbox.down_bytes;
  ring->size = MMAP_MAILBOX_DOWN_BYTES;
  ring->own = 0;
}

void
mmap_mailbox_init_up (MmapLinkSlot * slot, MmapByteRing * ring)
{
  ring->head = &slot->link.upstream_head;
  ring->tail = &slot->link.upstream_tail;
  ring->bytes = slot->link.upstream_bytes;
  ring->size = MMAP_UPSTREAM_RING_BYTES;
  ring->own = 0;
}
