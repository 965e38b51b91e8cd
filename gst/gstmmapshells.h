/* gst-mmap: buffers without content, to be used again
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A pool that keeps buffers keeps blocks of the region, which are missing elsewhere. One that keeps none makes a buffer, a memory
 * and a GstVideoMeta for each frame: some ten small allocations, which cost most when frames are far apart and nothing is in the
 * caches. So pools keep the objects, and give back what they stand for.
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* As many as are in use at once, with a pool of this size; chosen: more are freed. */
#define GST_MMAP_MAX_SHELLS 32

/**
 * GstMmapShells:
 *
 * Buffers of one memory each, which holds nothing: see gst_mmap_memory_clear(). Any thread.
 */
typedef struct
{
  GMutex lock;
  GstAllocator *allocator;      /* of the memories; not owned, only compared; NULL: none is kept */
  GstBuffer *buffers[GST_MMAP_MAX_SHELLS];
  guint n_buffers;
} GstMmapShells;

void gst_mmap_shells_init (GstMmapShells * shells);
void gst_mmap_shells_clear (GstMmapShells * shells);

/* Forgets them all: they no longer look as the pool makes them. */
void gst_mmap_shells_drop (GstMmapShells * shells);

/* The same, and only those with a memory of @allocator (nullable: of none) are kept from now on: one of another would keep its region. */
void gst_mmap_shells_use (GstMmapShells * shells, GstAllocator * allocator);

/* Takes a buffer that comes back to its pool, if nobody else refers to its memory, and if that is still what the pool put in.
 * @buffer: (transfer full): gives back what it holds */
void gst_mmap_shells_put (GstMmapShells * shells, GstBuffer * buffer);

/* Returns: (transfer full) (nullable): a buffer whose one memory is to be filled; its metas are those with GST_META_FLAG_POOLED */
GstBuffer *gst_mmap_shells_take (GstMmapShells * shells);

G_END_DECLS
