/* gst-mmap: blocks of a region for whoever allocates
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gstmmapallocator.h"

G_BEGIN_DECLS

#define GST_TYPE_MMAP_BLOCK_ALLOCATOR (gst_mmap_block_allocator_get_type ())
G_DECLARE_FINAL_TYPE (GstMmapBlockAllocator, gst_mmap_block_allocator, GST,
    MMAP_BLOCK_ALLOCATOR, GstAllocator)

/**
 * gst_mmap_block_allocator_new:
 * @blocks: (type GstMmapAllocator): with a producer, from which blocks are taken
 *
 * What mmapsink proposes to elements that take an allocator but no pool: audio, encoded streams, pools of an
 * application. gst_allocator_alloc() waits for consumers to give blocks back, and gives system memory if none is bound
 * to.
 *
 * Its memory begins at 0, the start of its block. It is no fd memory: there the offset is that in the whole region, and a
 * pool of somebody else's, which makes the offset 0 before it uses a buffer again, would write over the region's start.
 *
 * Returns: (transfer full): an allocator
 */
GstAllocator *gst_mmap_block_allocator_new (GstAllocator * blocks);

/* Returns: (transfer none): the block of memory of this allocator that shares none */
MmapBlock *gst_mmap_block_memory_get_block (GstMemory * memory);

G_END_DECLS
