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

/* Returns: (transfer full): an active pool, whose buffers are made by gst_mmap_item_pool_wrap(). It lives at least as long as they. */
GstBufferPool *gst_mmap_item_pool_new (void);

/* @item: a frame with bytes
 * Returns: (transfer full): a buffer whose memory is the payload, read-only; the frame is given back with it. It may have the
 *     GstVideoMeta of an earlier frame. */
GstBuffer *gst_mmap_item_pool_wrap (GstBufferPool * pool, const MmapItem * item);

G_END_DECLS
