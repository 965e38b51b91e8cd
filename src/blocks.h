/* gst-mmap: the private allocator of blocks
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define MMAP_BLOCK_ALIGN_BYTES 64       /* a cache line, and enough for any vector load */

/**
 * MmapBlocks:
 *
 * Divides a range of bytes into blocks of any size. Its state is private memory of the producer and never lies in
 * the region. Not thread-safe: the producer calls it under its lock.
 *
 * Two-level segregated fit (Masmano et al., "TLSF: a new dynamic memory allocator for real-time systems", 2004):
 * constant time, neighbours merge at once, so that fragmentation doesn't grow over time.
 */
typedef struct _MmapBlocks MmapBlocks;

/* @offset: start of the range, bytes, a multiple of MMAP_BLOCK_ALIGN_BYTES
 * @size: bytes of the range; rounded down to MMAP_BLOCK_ALIGN_BYTES
 * Returns: (transfer full) */
MmapBlocks *mmap_blocks_new (guint64 offset, guint64 size);

/* Makes the range @size bytes longer at its end; rounded down as above. */
void mmap_blocks_extend (MmapBlocks * blocks, guint64 size);

/* Blocks that are still allocated are forgotten. */
void mmap_blocks_free (MmapBlocks * blocks);

/* Reserves @size bytes (0 is taken as 1) at a multiple of @align, a power of two; less than MMAP_BLOCK_ALIGN_BYTES is taken
 * as that. TRUE and sets @offset, or FALSE if no free extent is large enough. */
gboolean mmap_blocks_alloc (MmapBlocks * blocks, guint64 size, guint64 align,
    guint64 * offset);

/* TRUE if mmap_blocks_alloc() would find room. */
gboolean mmap_blocks_has_room (const MmapBlocks * blocks, guint64 size,
    guint64 align);

/* Gives the block at @offset back. @offset is one that mmap_blocks_alloc() gave; anything else is a bug of the caller
 * (g_return_if_fail). */
void mmap_blocks_release (MmapBlocks * blocks, guint64 offset);

/* Bytes not allocated, in all. */
guint64 mmap_blocks_get_free_bytes (const MmapBlocks * blocks);

/* Blocks allocated. */
guint mmap_blocks_get_count (const MmapBlocks * blocks);

G_END_DECLS
