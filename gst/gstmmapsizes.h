/* gst-mmap: how large a region is to be
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * All in bytes of blocks: a region of mmap_producer_size_for() holds them.
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Returns: bytes of one frame of @caps as they say: raw video; 0 if they don't */
guint64 gst_mmap_sizes_frame (GstCaps * caps);

/* @caps: (nullable)
 * @frame: bytes of a frame; 0: unknown
 * @min_buffers: how many video frames a consumer keeps; 0: unknown
 * @least: with less a region has to be replaced
 * Returns: for a new region */
guint64 gst_mmap_sizes_region (GstCaps * caps, guint64 frame,
    guint min_buffers, guint64 * least);

/* Returns: how many video frames a consumer can keep in any region of a chosen size */
guint gst_mmap_sizes_min_buffers (void);

/* Returns: what somebody who sets a size should make room for, with frames of @frame bytes */
guint64 gst_mmap_sizes_least (guint64 frame);

/* Returns: what a pool of frames of @frame bytes needs: with fewer of them there would be none to copy into, or for consumers to hold */
guint64 gst_mmap_sizes_pool (guint64 frame);

G_END_DECLS
