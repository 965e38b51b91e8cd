/* gst-mmap: buffers as descriptors, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by both elements from their streaming threads.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapframe.h"

/* Flags that mean something in another process: all of GstBufferFlags, GstVideoBufferFlags and the like, but not those
 * that say how this process came by the memory. */
#define FLAGS_MASK (~(guint64) (GST_BUFFER_FLAG_TAG_MEMORY \
    | GST_BUFFER_FLAG_SYNC_AFTER | (GST_MINI_OBJECT_FLAG_LAST - 1)))

void
gst_mmap_frame_describe (GstBuffer * buffer, MmapDescriptor * frame)
{
  GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);
  guint i;

  memset (frame, 0, sizeof *frame);
  frame->flags = GST_BUFFER_FLAGS (buffer) & FLAGS_MASK & G_MAXUINT32;
  frame->pts = GST_BUFFER_PTS (buffer);
  frame->dts = GST_BUFFER_DTS (buffer);
  frame->duration = GST_BUFFER_DURATION (buffer);
  frame->frame_offset = GST_BUFFER_OFFSET (buffer);
  frame->frame_offset_end = GST_BUFFER_OFFSET_END (buffer);
  frame->anchor = MMAP_TIME_NONE;
  if (!meta)
    return;

  frame->n_planes = meta->n_planes;
  frame->video_format = meta->format;
  frame->video_flags = meta->flags;
  frame->width = meta->width;
  frame->height = meta->height;
  for (i = 0; i < meta->n_planes; i++) {
    frame->plane_offset[i] = meta->offset[i];
    frame->plane_stride[i] = meta->stride[i];
  }
  frame->padding[0] = meta->alignment.padding_top;
  frame->padding[1] = meta->alignment.padding_bottom;
  frame->padding[2] = meta->alignment.padding_left;
  frame->padding[3] = meta->alignment.padding_right;
}

void
gst_mmap_frame_restore (const MmapDescriptor * frame, GstBuffer * buffer)
{
  GST_BUFFER_FLAG_SET (buffer, frame->flags & FLAGS_MASK);
  GST_BUFFER_PTS (buffer) = frame->pts;
  GST_BUFFER_DTS (buffer) = frame->dts;
  GST_BUFFER_DURATION (buffer) = frame->duration;
  GST_BUFFER_OFFSET (buffer) = frame->frame_offset;
  GST_BUFFER_OFFSET_END (buffer) = frame->frame_offset_end;
}

/* Rows of plane @plane; exact for every format whose first component in a plane covers it. */
static guint
plane_rows (const GstVideoFormatInfo * format, guint plane, guint height)
{
  gint components[GST_VIDEO_MAX_COMPONENTS];

  gst_video_format_info_component (format, plane, components);
  return GST_VIDEO_FORMAT_INFO_SCALE_HEIGHT (format, components[0], height);
}

static gboolean
plane_fits (const MmapDescriptor * frame, const GstVideoFormatInfo * format,
    guint plane)
{
  guint64 offset = frame->plane_offset[plane];
  gint stride = frame->plane_stride[plane];
  guint64 rows;

  if (offset >= frame->size)
    return FALSE;
  /* The stride of a tiled format counts tiles: what it spans is checked by whoever reads tiles. */
  if (GST_VIDEO_FORMAT_INFO_IS_TILED (format))
    return TRUE;
  rows = plane_rows (format, plane, frame->height);
  return stride > 0
      && (rows == 0 || (rows - 1) * (guint64) stride < frame->size - offset);
}

gboolean
gst_mmap_frame_restore_video (const MmapDescriptor * frame, GstBuffer * buffer)
{
  const GstVideoFormatInfo *format;
  gsize offset[GST_VIDEO_MAX_PLANES] = { 0 };
  gint stride[GST_VIDEO_MAX_PLANES] = { 0 };
  GstVideoAlignment align;
  GstVideoMeta *meta;
  guint i;

  if (frame->n_planes == 0)
    return TRUE;
  format = gst_video_format_get_info (frame->video_format);
  if (!format || GST_VIDEO_FORMAT_INFO_N_PLANES (format) != frame->n_planes)
    return FALSE;
  for (i = 0; i < frame->n_planes; i++) {
    if (!plane_fits (frame, format, i))
      return FALSE;
    offset[i] = frame->plane_offset[i];
    stride[i] = frame->plane_stride[i];
  }

  meta = gst_buffer_add_video_meta_full (buffer, frame->video_flags,
      frame->video_format, frame->width, frame->height, frame->n_planes,
      offset, stride);
  gst_video_alignment_reset (&align);
  align.padding_top = frame->padding[0];
  align.padding_bottom = frame->padding[1];
  align.padding_left = frame->padding[2];
  align.padding_right = frame->padding[3];
  /* Refuses one that contradicts the strides: then it is not set. */
  gst_video_meta_set_alignment (meta, align);
  return TRUE;
}

gboolean
gst_mmap_frame_has_default_layout (const MmapDescriptor * frame,
    const GstVideoInfo * info)
{
  guint i;

  for (i = 0; i < frame->n_planes; i++)
    if (frame->plane_offset[i] != info->offset[i]
        || frame->plane_stride[i] != info->stride[i])
      return FALSE;
  return TRUE;
}
