/* gst-mmap: buffers as descriptors, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "consumer.h"

#include <gst/gst.h>
#include <gst/video/video.h>

G_BEGIN_DECLS

/* Describes @buffer, all but the position of its bytes: flags, time stamps, offsets, video layout. */
void gst_mmap_frame_describe (GstBuffer * buffer, MmapDescriptor * frame);

/* Gives @buffer the flags, time stamps and offsets of @frame. */
void gst_mmap_frame_restore (const MmapDescriptor * frame, GstBuffer * buffer);

/**
 * GstMmapLayout:
 *
 * A video layout that was checked, so that the next frame with the same one need not be. Zeros at first.
 */
typedef struct
{
  guint64 size;                 /* bytes of the payload */
  guint32 format;
  guint32 width;
  guint32 height;
  guint32 n_planes;
  guint64 offset[GST_VIDEO_MAX_PLANES];
  gint32 stride[GST_VIDEO_MAX_PLANES];
} GstMmapLayout;

/* Gives @buffer the GstVideoMeta of @frame, or none. FALSE if its planes don't fit into the payload, or its format is not
 * known here.
 * @known: what was checked last time */
gboolean gst_mmap_frame_restore_video (const MmapDescriptor * frame,
    GstBuffer * buffer, GstMmapLayout * known);

/* TRUE if the planes lie as somebody without GstVideoMeta, who has only caps (@info), takes for granted */
gboolean gst_mmap_frame_has_default_layout (const MmapDescriptor * frame,
    const GstVideoInfo * info);

G_END_DECLS
