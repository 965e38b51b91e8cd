/* gst-mmap: what a consumer needs of the memory that upstream draws into
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

G_BEGIN_DECLS

/**
 * GstMmapNeeds:
 * @params: align (a mask: a power of two less 1), prefix and padding in bytes
 * @video: pixels around the picture, and a mask for the strides of each plane
 * @min_buffers: how many frames downstream keeps
 * @crop: downstream knows GstVideoCropMeta
 * @default_layout: planes must lie as the caps alone say: downstream doesn't know GstVideoMeta
 *
 * What downstream of a mmapsrc has answered to an ALLOCATION query. A frame that meets it is used there without a copy.
 */
typedef struct
{
  GstAllocationParams params;
  GstVideoAlignment video;
  guint min_buffers;
  gboolean crop;
  gboolean default_layout;
} GstMmapNeeds;

void gst_mmap_needs_init (GstMmapNeeds * self);

/* Reads the answer to an ALLOCATION query; not default_layout. */
void gst_mmap_needs_init_query (GstMmapNeeds * self, GstQuery * query);

/* Returns: (transfer floating): an a{sv} for an MMAP_MESSAGE_NEEDS */
GVariant *gst_mmap_needs_to_variant (const GstMmapNeeds * self);

/* Reads what another process sent; what makes no sense, or is more than anybody needs, is left out. */
void gst_mmap_needs_init_variant (GstMmapNeeds * self, GVariant * dict);

/* Makes @self meet @other, too; crop is not looked at. */
void gst_mmap_needs_add (GstMmapNeeds * self, const GstMmapNeeds * other);

/* Whether whatever meets @self meets @other; crop is not looked at. */
gboolean gst_mmap_needs_include (const GstMmapNeeds * self,
    const GstMmapNeeds * other);

G_END_DECLS
