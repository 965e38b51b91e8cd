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
 * the sink copies. So there is always one to be had, and no min_buffers have to be kept ready. Of max_buffers, if that is set, those that
 * were published don't count: how many consumers hold is the sink's to limit.
 *
 * Returns: (transfer full): a pool
 */
GstBufferPool *gst_mmap_pool_new (GstAllocator * allocator);

/* @buffer, if it is of such a pool, is about to be published: it doesn't count among max_buffers any more. */
void gst_mmap_pool_hand_over (GstBuffer * buffer);

G_END_DECLS
