/* gst-mmap: the producer: blocks of its regions
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by whoever needs a block: a sink that copies, upstream threads that allocate, the service thread for tokens; and by any
 * thread that drops a block's last reference.
 */
#include "producer-private.h"

/* Bytes set aside for tokens and events; chosen: a token of a KiB for each of 64 links, and caps of a few KiB each. */
#define CONTROL_BYTES (256 * 1024)
/* In a small region, at most this part of it. */
#define CONTROL_PART 8
/* Metadata of up to this many bytes lies in there, too, as long as half of it stays free; chosen: captions, time codes, some regions of
 * interest. */
#define CONTROL_METAS_BYTES 4096

/* Blocks of a page or more start at a page, so that they can be handed to devices; chosen, untuned. */
#define PAGE_ALIGNED_FROM_BYTES (16 * MMAP_PAGE_BYTES)

MmapArena *
mmap_arena_new (MmapRegion * region)
{
  MmapArena *arena = g_new0 (MmapArena, 1);
  guint64 bytes = region->size - region->blocks_offset;
  guint64 control = MIN (CONTROL_BYTES, bytes / CONTROL_PART);

  control -= control % MMAP_PAGE_BYTES;
  if (control == 0)
    control = MMAP_BLOCK_ALIGN_BYTES * 8;
  arena->ref_count = 1;
  arena->region = region;
  arena->control_end = region->blocks_offset + control;
  /* Readers with wide loads go a few bytes past the end of a frame: not past the end of the mapping. */
  arena->capacity = bytes - control - MMAP_BLOCK_ALIGN_BYTES;
  arena->control = mmap_blocks_new (region->blocks_offset, control);
  arena->frames = mmap_blocks_new (arena->control_end, 0);
  arena->unreserved = arena->capacity;
  mmap_arena_extend_locked (arena);
  return arena;
}

void
mmap_arena_extend_locked (MmapArena * arena)
{
  guint64 end = arena->control_end + arena->capacity;
  guint64 there = end - arena->unreserved;
  guint64 fresh = MIN (arena->region->reserved, end) - there;

  mmap_blocks_extend (arena->frames, fresh);
  arena->unreserved -= fresh;
}

void
mmap_arena_unref_locked (MmapArena * arena)
{
  if (--arena->ref_count > 0)
    return;
  mmap_blocks_free (arena->control);
  mmap_blocks_free (arena->frames);
  mmap_region_unref (arena->region);
  g_free (arena);
}

guint64
mmap_producer_size_for (guint64 bytes)
{
  guint64 size = sizeof (MmapRegionHeader) + CONTROL_BYTES + bytes
      + MMAP_BLOCK_ALIGN_BYTES;

  return (size + MMAP_PAGE_BYTES - 1) / MMAP_PAGE_BYTES * MMAP_PAGE_BYTES;
}

static MmapBlock *
block_new_locked (MmapProducer * producer, guint64 offset, guint64 size)
{
  MmapBlock *block = g_new (MmapBlock, 1);

  block->ref_count = 1;
  block->producer = mmap_producer_ref (producer);
  block->arena = producer->arena;
  block->arena->ref_count++;
  block->region = producer->arena->region;
  block->offset = offset;
  block->size = size;
  return block;
}

static gboolean
arena_alloc (MmapArena * arena, guint64 size, guint64 align, guint64 * offset)
{
  return (size >= PAGE_ALIGNED_FROM_BYTES && align < MMAP_PAGE_BYTES
      && mmap_blocks_alloc (arena->frames, size, MMAP_PAGE_BYTES, offset))
      || mmap_blocks_alloc (arena->frames, size, align, offset);
}

/* Whether there is room, or will be without anybody giving a block back. */
static gboolean
arena_has_room (const MmapArena * arena, guint64 size, guint64 align)
{
  return mmap_blocks_has_room (arena->frames, size, align)
      || (arena->unreserved >= align && size <= arena->unreserved - align);
}

gboolean
mmap_producer_has_room_locked (MmapProducer * producer, guint64 size)
{
  return arena_has_room (producer->arena, size, MMAP_BLOCK_ALIGN_BYTES);
}

/* Takes room for @use, of which frames leave @spare bytes for metadata. */
static gboolean
arena_alloc_for (MmapArena * arena, guint64 size, guint64 align,
    MmapAllocUse use, guint64 spare, guint64 * offset)
{
  if (use == MMAP_ALLOC_METAS && size <= CONTROL_METAS_BYTES
      && mmap_blocks_get_free_bytes (arena->control) > size
      + (arena->control_end - arena->region->blocks_offset) / 2
      && mmap_blocks_alloc (arena->control, size, align, offset))
    return TRUE;
  if (use == MMAP_ALLOC_UPSTREAM
      && mmap_blocks_get_free_bytes (arena->frames) + arena->unreserved <
      size + spare + arena->capacity / 4)
    return FALSE;
  if (!arena_alloc (arena, size, align, offset))
    return FALSE;
  if (use == MMAP_ALLOC_COPY || use == MMAP_ALLOC_METAS
      || arena_has_room (arena, size + spare, align))
    return TRUE;
  mmap_blocks_release (arena->frames, *offset);
  return FALSE;
}

MmapBlock *
mmap_producer_alloc_locked (MmapProducer * producer, guint64 size,
    guint64 align, MmapAllocUse use)
{
  MmapArena *arena = producer->arena;
  guint64 offset;

  if (!arena || producer->closed)
    return NULL;
  if (arena_alloc_for (arena, size, align, use, producer->metas_bytes, &offset))
    return block_new_locked (producer, offset, size);
  mmap_producer_want_memory_locked (producer);
  return NULL;
}

MmapBlock *
mmap_producer_alloc_control_locked (MmapProducer * producer, guint64 size)
{
  guint64 offset;

  if (!producer->arena)
    return NULL;
  if (mmap_blocks_alloc (producer->arena->control, size,
          MMAP_BLOCK_ALIGN_BYTES, &offset))
    return block_new_locked (producer, offset, size);
  return mmap_producer_alloc_locked (producer, size, MMAP_BLOCK_ALIGN_BYTES,
      MMAP_ALLOC_COPY);
}

MmapBlock *
mmap_producer_alloc (MmapProducer * producer, guint64 size, guint64 align,
    MmapAllocUse use)
{
  MmapBlock *block;

  g_mutex_lock (&producer->lock);
  block = mmap_producer_alloc_locked (producer, size, align, use);
  g_mutex_unlock (&producer->lock);
  return block;
}

void
mmap_producer_leave_metas (MmapProducer * producer, guint64 bytes)
{
  g_mutex_lock (&producer->lock);
  producer->metas_bytes = MAX (producer->metas_bytes, bytes);
  g_mutex_unlock (&producer->lock);
}

MmapBlock *
mmap_block_ref (MmapBlock * block)
{
  g_atomic_int_inc (&block->ref_count);
  return block;
}

/* TRUE if it was the last reference: then the caller drops the producer's, without the lock. */
static gboolean
block_release_locked (MmapBlock * block)
{
  MmapArena *arena = block->arena;

  if (!g_atomic_int_dec_and_test (&block->ref_count))
    return FALSE;
  mmap_blocks_release (block->offset < arena->control_end ? arena->control :
      arena->frames, block->offset);
  mmap_arena_unref_locked (arena);
  mmap_producer_touch_locked (block->producer);
  return TRUE;
}

void
mmap_block_unref_locked (MmapBlock * block)
{
  MmapProducer *producer = block->producer;

  if (block_release_locked (block)) {
    g_free (block);
    /* Never the last one: the caller holds the lock of a living producer. */
    mmap_producer_unref (producer);
  }
}

void
mmap_block_unref (MmapBlock * block)
{
  MmapProducer *producer = block->producer;
  gboolean last;

  g_mutex_lock (&producer->lock);
  last = block_release_locked (block);
  g_mutex_unlock (&producer->lock);
  if (last) {
    g_free (block);
    mmap_producer_unref (producer);
  }
}
