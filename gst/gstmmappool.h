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
 * @producer: whose current region the buffers lie in
 *
 * A pool of raw video frames: GstVideoMeta, any alignment. Acquiring waits for consumers to give frames back; if none
 * is bound to, because upstream itself has the blocks or consumers hold them for long, it hands out system memory, which
 * the sink copies.
 *
 * Returns: (transfer full): a pool
 */
GstBufferPool *gst_mmap_pool_new (MmapProducer * producer);

/* Makes acquiring fail with GST_FLOW_FLUSHING, or work again. Any thread. */
void gst_mmap_pool_set_sink_flushing (GstBufferPool * pool, gboolean flushing);

G_END_DECLS
