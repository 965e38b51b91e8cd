/* gst-mmap: the pool of the buffers that mmapsrc hands out
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "consumer.h"

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_MMAP_ITEM_POOL (gst_mmap_item_pool_get_type ())
G_DECLARE_FINAL_TYPE (GstMmapItemPool, gst_mmap_item_pool, GST, MMAP_ITEM_POOL,
    GstBufferPool)

/* Returns: (transfer full): an active pool, whose buffers are empty until gst_mmap_item_pool_fill() */
GstBufferPool *gst_mmap_item_pool_new (void);

/* @buffer: of the pool, not filled yet
 * @item: a frame with bytes: they become the buffer's memory, read-only; the frame is given back with it. The buffer may still have the
 *     GstVideoMeta of an earlier frame. */
void gst_mmap_item_pool_fill (GstBufferPool * pool, GstBuffer * buffer,
    const MmapItem * item);

/* The region of the last frame is not needed any more, but for buffers that are still there. On the thread that fills. */
void gst_mmap_item_pool_forget_region (GstBufferPool * pool);

G_END_DECLS
