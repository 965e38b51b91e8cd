/* gst-mmap: memory of a region as GstMemory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "consumer.h"
#include "producer.h"

#include <gst/allocators/allocators.h>

G_BEGIN_DECLS

#define GST_TYPE_MMAP_ALLOCATOR (gst_mmap_allocator_get_type ())
G_DECLARE_FINAL_TYPE (GstMmapAllocator, gst_mmap_allocator, GST,
    MMAP_ALLOCATOR, GstFdAllocator)

/**
 * gst_mmap_allocator_new:
 * @region: the region that all its memory lies in
 * @producer: (nullable): whose blocks are taken and wrapped; %NULL on a consumer's side
 *
 * Returns: (transfer full): an allocator whose memory is fd memory over the one mapping of @region: its offset is that in the
 *     region. It wraps; gst_allocator_alloc() is for gst_mmap_block_allocator_new().
 */
GstAllocator *gst_mmap_allocator_new (MmapRegion * region,
    MmapProducer * producer);

/* @block: (transfer full): of the allocator's region
 * Returns: (transfer full): @size writable bytes at its start; the block is freed with the memory */
GstMemory *gst_mmap_allocator_wrap_block (GstAllocator * allocator,
    MmapBlock * block, gsize size);

/* @item: a frame of the allocator's region
 * Returns: (transfer full): its payload, read-only; the frame is given back with the memory */
GstMemory *gst_mmap_allocator_wrap_item (GstAllocator * allocator,
    const MmapItem * item);

/* Gives back what @memory, made by one of the above and referred to by the caller alone, holds; nobody may look into it until it is
 * filled again. */
void gst_mmap_memory_clear (GstMemory * memory);

/* Fill memory that was cleared, as gst_mmap_allocator_wrap_block() and _item() make new one. */
void gst_mmap_memory_fill_block (GstMemory * memory, MmapBlock * block,
    gsize size);
void gst_mmap_memory_fill_item (GstMemory * memory, const MmapItem * item);

/* Returns: (transfer none) (nullable): the block that @memory is, or shares a part of; %NULL if it is other memory */
MmapBlock *gst_mmap_memory_get_block (GstMemory * memory);

/* Takes a block of the allocator's region, without waiting.
 * Returns: (transfer full) (nullable): %NULL if there is none now, or its producer has another region */
MmapBlock *gst_mmap_allocator_take_block (GstAllocator * allocator,
    gsize size, gsize align, MmapAllocUse use);

/* The same, but waits for consumers to give blocks back, as long as one is bound to, and for memory that is still being reserved.
 * Returns: (transfer full) (nullable): %NULL if that is in vain, or the allocator is flushing */
MmapBlock *gst_mmap_allocator_wait_block (GstAllocator * allocator,
    gsize size, gsize align, MmapAllocUse use);

/* Waits until the number that mmap_producer_collect() gave is not @serial any more. FALSE if that is in vain: nobody is bound to give
 * a block back, no memory is still being reserved, or the allocator is flushing. Any thread. */
gboolean gst_mmap_allocator_wait (GstAllocator * allocator, guint64 serial);

/* Ends all waits, and allows no more until it is unset: whoever allocates gets system memory at once, and learns from the sink's pad
 * that it is flushing, or that there is a new allocator. Any thread. */
void gst_mmap_allocator_set_flushing (GstAllocator * allocator,
    gboolean flushing);

/* While paused, waits go on only for memory of the region that is still being reserved: a consumer may be paused, too, and give nothing
 * back. Any thread. */
void gst_mmap_allocator_set_paused (GstAllocator * allocator, gboolean paused);

/* Returns: (transfer none) (nullable): the producer that it was made with */
MmapProducer *gst_mmap_allocator_get_producer (GstAllocator * allocator);

/* @offset: where in the region the bytes of @memory begin
 * Returns: (transfer none) (nullable): the block that @memory is, or shares a part of; %NULL if it is other memory, or its bytes go
 *     beyond the block */
MmapBlock *gst_mmap_memory_get_position (GstMemory * memory, guint64 * offset);

/* Returns: whether anybody has waited for consumers since the last call. Any thread. */
gboolean gst_mmap_allocator_take_waited (GstAllocator * allocator);

/* Returns: (transfer none): the region of the allocator's memory */
MmapRegion *gst_mmap_allocator_get_region (GstAllocator * allocator);

G_END_DECLS
