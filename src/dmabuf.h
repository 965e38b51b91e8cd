/* gst-mmap: blocks of a region as dma-bufs
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "region.h"

G_BEGIN_DECLS

/* Where the kernel makes dma-bufs of memfds. */
#define MMAP_UDMABUF_DEVICE "/dev/udmabuf"

/* Whether the kernel can make dma-bufs of a region: it lies in a memfd, which isn't sealed against writing.
 * Returns: (transfer full): a descriptor of MMAP_UDMABUF_DEVICE; or -1 with MMAP_ERROR_FILE (it is no memfd), MMAP_ERROR_SEALS (its producer
 *     doesn't allow it), MMAP_ERROR_NOT_FOUND (the kernel can't), MMAP_ERROR_PERMISSION or MMAP_ERROR_NO_RESOURCES */
int mmap_dmabuf_open (const MmapRegion * region, GError ** error);

/* Makes a dma-buf of the pages that the @size bytes at @offset of @region begin and end in.
 * @device: of mmap_dmabuf_open()
 * @offset: where a page begins
 * Returns: (transfer full): a descriptor; or -1 with MMAP_ERROR_LAYOUT (that is no page, or not in the region), MMAP_ERROR_LIMIT (more than
 *     the kernel allows), MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
int mmap_dmabuf_new (int device, const MmapRegion * region, guint64 offset,
    guint64 size, GError ** error);

G_END_DECLS
