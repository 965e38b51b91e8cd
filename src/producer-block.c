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
mmap_arena_new (MmapRegion * region, gboolean own_pages)
{
  MmapArena *arena = g_new0 (MmapArena, 1);
  guint64 bytes = region->size - region->blocks_offset;
  guint64 control = MIN (CONTROL_BYTES, bytes / CONTROL_PART);

  control -= control % MMAP_PAGE_BYTES;
  if (control == 0)
    control = own_pages ? MMAP_PAGE_BYTES : MMAP_BLOCK_ALIGN_BYTES * 8;
  arena->ref_count = 1;
  arena->region = region;
  arena->control_end = region->blocks_offset + control;
  /* Readers with wide loads go a few bytes past the end of a frame: not past the end of the mapping. */
  arena->capacity = bytes - MIN (bytes, control + MMAP_BLOCK_ALIGN_BYTES);
  if (own_pages)
    arena->capacity -= arena->capacity % MMAP_PAGE_BYTES;
  arena->own_pages = own_pages;
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

guint64
mmap_arena_get_free_bytes (const MmapArena * arena)
{
  return mmap_blocks_get_free_bytes (arena->frames) + arena->spare_bytes;
}

/* --- spares: in the steady state all frames have one size --- */

/* FALSE: it is to be released. */
static gboolean
arena_keep_spare (MmapArena * arena, MmapBlock * block)
{
  if (block->offset < arena->control_end || arena->n_spares == MAX_SPARE_BLOCKS)
    return FALSE;
  arena->spares[arena->n_spares++] = block;
  arena->spare_bytes += block->size;
  return TRUE;
}

/* The newest, whose bytes the caches are most likely to have, if it fits; otherwise %NULL. */
static MmapBlock *
arena_take_spare (MmapArena * arena, guint64 size, guint64 align)
{
  MmapBlock *block;

  if (arena->n_spares == 0)
    return NULL;
  block = arena->spares[arena->n_spares - 1];
  if (block->size != size || (block->offset & (align - 1)) != 0)
    return NULL;
  arena->n_spares--;
  arena->spare_bytes -= size;
  return block;
}

/* TRUE if there were any: what they had is one piece with its neighbours again. */
static gboolean
arena_release_spares (MmapArena * arena)
{
  guint n = arena->n_spares;

  while (arena->n_spares > 0) {
    MmapBlock *block = arena->spares[--arena->n_spares];

    mmap_blocks_release (arena->frames, block->offset);
    g_free (block);
  }
  arena->spare_bytes = 0;
  return n > 0;
}

void
mmap_arena_unref_locked (MmapArena * arena)
{
  if (--arena->ref_count > 0)
    return;
  arena_release_spares (arena);
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

/* Somebody has it. */
static MmapBlock *
block_init_locked (MmapBlock * block, MmapProducer * producer)
{
  block->ref_count = 1;
  block->producer = mmap_producer_ref (producer);
  block->arena = producer->arena;
  block->arena->ref_count++;
  return block;
}

static MmapBlock *
block_new_locked (MmapProducer * producer, guint64 offset, guint64 size)
{
  MmapBlock *block = g_new (MmapBlock, 1);

  block->region = producer->arena->region;
  block->offset = offset;
  block->size = size;
  return block_init_locked (block, producer);
}

static gboolean
arena_alloc_frame (MmapArena * arena, guint64 size, guint64 align,
    guint64 * offset)
{
  return (size >= PAGE_ALIGNED_FROM_BYTES && align < MMAP_PAGE_BYTES
      && mmap_blocks_alloc (arena->frames, size, MMAP_PAGE_BYTES, offset))
      || mmap_blocks_alloc (arena->frames, size, align, offset);
}

/* What a frame, or something that isn't metadata, takes. */
static void
arena_round (const MmapArena * arena, guint64 * size, guint64 * align)
{
  if (!arena->own_pages)
    return;
  *size = (MAX (*size, 1) + MMAP_PAGE_BYTES - 1) / MMAP_PAGE_BYTES
      * MMAP_PAGE_BYTES;
  *align = MAX (*align, MMAP_PAGE_BYTES);
}

static gboolean
arena_alloc (MmapArena * arena, guint64 size, guint64 align, guint64 * offset)
{
  return arena_alloc_frame (arena, size, align, offset)
      || (arena_release_spares (arena)
      && arena_alloc_frame (arena, size, align, offset));
}

/* Whether there is room, or will be without anybody giving a block back. */
static gboolean
arena_has_room (MmapArena * arena, guint64 size, guint64 align)
{
  const MmapBlock *spare =
      arena->n_spares > 0 ? arena->spares[arena->n_spares - 1] : NULL;

  /* In the steady state there is one, and it takes no search. */
  if (spare && spare->size >= size && (spare->offset & (align - 1)) == 0)
    return TRUE;
  return mmap_blocks_has_room (arena->frames, size, align)
      || (arena->unreserved >= align && size <= arena->unreserved - align)
      || (arena_release_spares (arena)
      && mmap_blocks_has_room (arena->frames, size, align));
}

/* Whether frames may be taken by somebody who asks for more than one at a time. @spare: bytes that they leave for metadata */
static gboolean
arena_is_scarce (const MmapArena * arena, guint64 size, guint64 spare)
{
  return mmap_arena_get_free_bytes (arena) + arena->unreserved <
      size + spare + arena->capacity / 4;
}

/* %NULL: there is none that fits, or it must stay. */
static MmapBlock *
arena_reuse_for (MmapArena * arena, guint64 size, guint64 align,
    MmapAllocUse use, guint64 spare)
{
  MmapBlock *block;

  if (use == MMAP_ALLOC_METAS
      || (use == MMAP_ALLOC_UPSTREAM && arena_is_scarce (arena, size, spare)))
    return NULL;
  block = arena_take_spare (arena, size, align);
  if (!block || use == MMAP_ALLOC_COPY
      || arena_has_room (arena, size + spare, align))
    return block;
  arena_keep_spare (arena, block);
  return NULL;
}

gboolean
mmap_producer_has_room_locked (MmapProducer * producer, guint64 size)
{
  guint64 align = MMAP_BLOCK_ALIGN_BYTES;

  arena_round (producer->arena, &size, &align);
  return arena_has_room (producer->arena, size, align);
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
  if (use == MMAP_ALLOC_UPSTREAM && arena_is_scarce (arena, size, spare))
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
  MmapBlock *block;
  guint64 offset;

  if (!arena || producer->closed)
    return NULL;
  if (use != MMAP_ALLOC_METAS)
    arena_round (arena, &size, &align);
  block = arena_reuse_for (arena, size, align, use, producer->metas_bytes);
  if (block)
    block = block_init_locked (block, producer);
  else if (arena_alloc_for (arena, size, align, use, producer->metas_bytes,
          &offset))
    block = block_new_locked (producer, offset, size);
  if (block) {
    /* There is room for a frame: metadata is smaller. */
    if (use != MMAP_ALLOC_METAS)
      producer->short_since = 0;
    return block;
  }
  mmap_producer_want_memory_locked (producer);
  /* A leaky producer asks in mmap_producer_reclaim(). Upstream has other memory. */
  if (use != MMAP_ALLOC_UPSTREAM && producer->leaky == MMAP_LEAKY_NONE
      && producer->leaving)
    mmap_producer_note_shortage_locked (producer);
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
  MmapProducer *producer = block->producer;
  MmapArena *arena = block->arena;

  if (!g_atomic_int_dec_and_test (&block->ref_count))
    return FALSE;
  if (arena != producer->arena || !arena_keep_spare (arena, block)) {
    mmap_blocks_release (block->offset < arena->control_end ? arena->control :
        arena->frames, block->offset);
    g_free (block);
  }
  mmap_arena_unref_locked (arena);
  mmap_producer_touch_locked (producer);
  return TRUE;
}

void
mmap_block_unref_locked (MmapBlock * block)
{
  MmapProducer *producer = block->producer;

  /* Never the producer's last one: the caller holds the lock of a living one. */
  if (block_release_locked (block))
    mmap_producer_unref (producer);
}

void
mmap_block_unref (MmapBlock * block)
{
  MmapProducer *producer = block->producer;
  gboolean last;

  g_mutex_lock (&producer->lock);
  last = block_release_locked (block);
  g_mutex_unlock (&producer->lock);
  if (last)
    mmap_producer_unref (producer);
}
