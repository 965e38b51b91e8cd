/* gst-mmap: the pool that mmapsink proposes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gstmmapallocator.h"

G_BEGIN_DECLS

#define GST_TYPE_MMAP_POOL (gst_mmap_pool_get_type ())
G_DECLARE_FINAL_TYPE (GstMmapPool, gst_mmap_pool, GST, MMAP_POOL,
    GstBufferPool)

/**
 * gst_mmap_pool_new:
 * @allocator: with a producer; the buffers lie in its region
 *
 * A pool of raw video frames: GstVideoMeta, any alignment. Acquiring waits for consumers to give frames back; if none
 * is bound to, because upstream itself has the blocks or consumers hold them for long, it hands out system memory, which
 * the sink copies.
 *
 * Returns: (transfer full): a pool
 */
GstBufferPool *gst_mmap_pool_new (GstAllocator * allocator);

G_END_DECLS
