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

/* Pictures with a longer side are refused; chosen: far above any picture, and bytes of a row still fit into an int. */
#define MAX_SIDE_PIXELS (1 << 24)
/* The same of tiled formats: a stride has 15 bits for the number of tiles down, and the smallest are 4 pixels high. */
#define MAX_TILED_SIDE_PIXELS (1 << 16)

/* RGB8P: 256 colours of 4 bytes each. */
#define PALETTE_PLANE 1
#define PALETTE_BYTES (256 * 4)

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

/* The format that a producer names; NULL if it is not known here: gst_video_format_get_info() takes that for a bug of its
 * caller. */
static const GstVideoFormatInfo *
find_format (guint32 format)
{
  if (format == GST_VIDEO_FORMAT_UNKNOWN
      || !gst_video_format_to_string (format))
    return NULL;
  return gst_video_format_get_info (format);
}

/* Bytes of each row of a plane that elements read: whole pixels of all components that are in it; 0 if unknown. */
static guint64
row_bytes (const GstVideoFormatInfo * format, const gint * components,
    const MmapDescriptor * frame, guint plane)
{
  GstVideoInfo info;
  guint64 bytes = 0;
  guint i;

  for (i = 0; i < GST_VIDEO_MAX_COMPONENTS && components[i] >= 0; i++) {
    gint component = components[i];
    guint64 width =
        GST_VIDEO_FORMAT_INFO_SCALE_WIDTH (format, component, frame->width);

    bytes =
        MAX (bytes, width * GST_VIDEO_FORMAT_INFO_PSTRIDE (format, component));
  }
  /* Pixels of v210 and its like don't begin at bytes: elements read the default row, and copy all of a longer one. */
  if (bytes == 0 && gst_video_info_set_format (&info, frame->video_format,
          frame->width, 1))
    bytes = MAX (GST_VIDEO_INFO_PLANE_STRIDE (&info, plane),
        frame->plane_stride[plane]);
  return bytes;
}

/* The stride of a tiled format is its number of tiles, across and down. */
static gboolean
tiles_fit (const MmapDescriptor * frame, const GstVideoFormatInfo * format,
    guint plane, guint64 room)
{
  gint stride = frame->plane_stride[plane], least;
  guint64 across = GST_VIDEO_TILE_X_TILES (stride);
  guint64 down = GST_VIDEO_TILE_Y_TILES (stride);
  GstVideoInfo info;

  if (frame->width > MAX_TILED_SIDE_PIXELS
      || frame->height > MAX_TILED_SIDE_PIXELS
      || !gst_video_info_set_format (&info, frame->video_format, frame->width,
          frame->height))
    return FALSE;
  least = GST_VIDEO_INFO_PLANE_STRIDE (&info, plane);
  if (across < (guint) GST_VIDEO_TILE_X_TILES (least)
      || down < (guint) GST_VIDEO_TILE_Y_TILES (least))
    return FALSE;
  /* Pairs of tiles: with an odd number the last ones would lie behind the plane. */
  if (GST_VIDEO_FORMAT_INFO_TILE_MODE (format) ==
      GST_VIDEO_TILE_MODE_ZFLIPZ_2X2 && across % 2 != 0)
    return FALSE;
  return across * down * GST_VIDEO_FORMAT_INFO_TILE_SIZE (format,
      plane) <= room;
}

static gboolean
plane_fits (const MmapDescriptor * frame, const GstVideoFormatInfo * format,
    guint plane)
{
  guint64 offset = frame->plane_offset[plane];
  gint stride = frame->plane_stride[plane];
  gint components[GST_VIDEO_MAX_COMPONENTS];
  guint64 room, rows, bytes;

  if (offset > frame->size || stride <= 0)
    return FALSE;
  room = frame->size - offset;
  if (GST_VIDEO_FORMAT_INFO_IS_TILED (format))
    return tiles_fit (frame, format, plane, room);
  if (GST_VIDEO_FORMAT_INFO_HAS_PALETTE (format) && plane == PALETTE_PLANE)
    return room >= PALETTE_BYTES;

  gst_video_format_info_component (format, plane, components);
  rows = GST_VIDEO_FORMAT_INFO_SCALE_HEIGHT (format, components[0],
      frame->height);
  bytes = row_bytes (format, components, frame, plane);
  /* Less than 2^24 rows of less than 2^31 bytes: no overflow. */
  return bytes > 0 && bytes <= room
      && (rows - 1) * (guint64) stride <= room - bytes;
}

/* What the planes of @frame are checked by, and nothing else. */
static void
layout_of (const MmapDescriptor * frame, GstMmapLayout * layout)
{
  memset (layout, 0, sizeof *layout);
  layout->size = frame->size;
  layout->format = frame->video_format;
  layout->width = frame->width;
  layout->height = frame->height;
  layout->n_planes = frame->n_planes;
  memcpy (layout->offset, frame->plane_offset, sizeof layout->offset);
  memcpy (layout->stride, frame->plane_stride, sizeof layout->stride);
}

static gboolean
planes_fit (const MmapDescriptor * frame)
{
  const GstVideoFormatInfo *format = find_format (frame->video_format);
  guint i;

  if (!format || GST_VIDEO_FORMAT_INFO_N_PLANES (format) != frame->n_planes)
    return FALSE;
  if (frame->width == 0 || frame->width > MAX_SIDE_PIXELS || frame->height == 0
      || frame->height > MAX_SIDE_PIXELS)
    return FALSE;
  for (i = 0; i < frame->n_planes; i++)
    if (!plane_fits (frame, format, i))
      return FALSE;
  return TRUE;
}

static void
set_alignment (const MmapDescriptor * frame, GstVideoMeta * meta)
{
  GstVideoAlignment align;

  gst_video_alignment_reset (&align);
  align.padding_top = frame->padding[0];
  align.padding_bottom = frame->padding[1];
  align.padding_left = frame->padding[2];
  align.padding_right = frame->padding[3];
  /* Refuses one that contradicts the strides: then it is not set. */
  gst_video_meta_set_alignment (meta, align);
}

/* Gives @buffer the layout, in the meta that it has, if any, from an earlier frame. */
static void
set_video_meta (const MmapDescriptor * frame, GstBuffer * buffer)
{
  static const guint32 no_padding[4] = { 0 };
  GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);
  gsize offset[GST_VIDEO_MAX_PLANES] = { 0 };
  gint stride[GST_VIDEO_MAX_PLANES] = { 0 };
  guint i;

  for (i = 0; i < frame->n_planes; i++) {
    offset[i] = frame->plane_offset[i];
    stride[i] = frame->plane_stride[i];
  }
  if (!meta) {
    meta = gst_buffer_add_video_meta_full (buffer, frame->video_flags,
        frame->video_format, frame->width, frame->height, frame->n_planes,
        offset, stride);
    GST_META_FLAG_SET (meta, GST_META_FLAG_POOLED);
  } else {
    meta->flags = frame->video_flags;
    meta->format = frame->video_format;
    meta->id = 0;
    meta->width = frame->width;
    meta->height = frame->height;
    meta->n_planes = frame->n_planes;
    memcpy (meta->offset, offset, sizeof offset);
    memcpy (meta->stride, stride, sizeof stride);
    gst_video_alignment_reset (&meta->alignment);
  }
  if (memcmp (frame->padding, no_padding, sizeof no_padding) != 0)
    set_alignment (frame, meta);
}

static void
remove_video_meta (GstBuffer * buffer)
{
  GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);

  if (meta)
    gst_buffer_remove_meta (buffer, (GstMeta *) meta);
}

gboolean
gst_mmap_frame_restore_video (const MmapDescriptor * frame, GstBuffer * buffer,
    GstMmapLayout * known)
{
  GstMmapLayout layout;

  if (frame->n_planes == 0) {
    remove_video_meta (buffer);
    return TRUE;
  }
  layout_of (frame, &layout);
  if (memcmp (&layout, known, sizeof layout) != 0) {
    if (!planes_fit (frame))
      return FALSE;
    *known = layout;
  }
  set_video_meta (frame, buffer);
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
