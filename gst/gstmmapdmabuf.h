/* gst-mmap: frames as dma-buf memory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "consumer.h"

#include <gst/gst.h>

G_BEGIN_DECLS

typedef enum
{
  GST_MMAP_IO_MODE_AUTO,
  GST_MMAP_IO_MODE_MMAP,
  GST_MMAP_IO_MODE_DMABUF
} GstMmapIoMode;

#define GST_TYPE_MMAP_IO_MODE (gst_mmap_io_mode_get_type ())
GType gst_mmap_io_mode_get_type (void);

/**
 * GstMmapDmabuf:
 *
 * The dma-bufs of one region's blocks. Used by the streaming thread; its memory by any.
 */
typedef struct _GstMmapDmabuf GstMmapDmabuf;

/* Returns: (transfer full): or %NULL with an error of mmap_dmabuf_open() */
GstMmapDmabuf *gst_mmap_dmabuf_new (MmapRegion * region, GError ** error);

/* Blocks that nobody has are closed, the others when they are given back. @self: (nullable) */
void gst_mmap_dmabuf_free (GstMmapDmabuf * self);

/* Whether that region is the one of @region */
gboolean gst_mmap_dmabuf_is_of (const GstMmapDmabuf * self,
    const MmapRegion * region);

/* A block that was seen before costs no system call.
 * @item: a frame of the region, not empty
 * Returns: (transfer full): dma-buf memory, read-only, with its bytes; the frame is given back with it. Or %NULL with an error of
 *     mmap_dmabuf_new(): the frame is the caller's still. */
GstMemory *gst_mmap_dmabuf_wrap_item (GstMmapDmabuf * self,
    const MmapItem * item, GError ** error);

/* Returns: (transfer full): fixed @caps of raw video, in dma-bufs */
GstCaps *gst_mmap_dmabuf_caps (GstCaps * caps);

/* Returns: (transfer full): @caps, in which raw video in dma-bufs can lie elsewhere as well */
GstCaps *gst_mmap_dmabuf_widen_caps (GstCaps * caps);

G_END_DECLS
