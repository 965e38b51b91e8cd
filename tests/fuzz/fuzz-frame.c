/* gst-mmap: fuzz target: the video layout in a descriptor, as an element downstream uses it
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The payload is memory of exactly the size that the descriptor says. A layout that is accepted can be mapped, and copied whole, without a
 * byte read beyond it.
 */
#include "fuzz-gst.h"

#include "gstmmapframe.h"

#include <string.h>

/* Larger pictures are checked, but not copied. */
#define MAX_COPY_BYTES (1 << 22)
#define N_FORMATS 125

static void
make_frame (FuzzInput * input, MmapDescriptor * frame)
{
  guint32 format = fuzz_below (input, N_FORMATS);
  guint width = 1 + fuzz_number (input) % 300;
  guint height = 1 + fuzz_number (input) % 300;
  GstVideoInfo info;
  guint i;

  memset (frame, 0, sizeof *frame);
  frame->video_format = format;
  frame->width = width;
  frame->height = height;
  frame->pts = fuzz_number (input);
  frame->flags = fuzz_number (input);
  if (format < 2 || !gst_video_format_to_string (format)
      || !gst_video_info_set_format (&info, format, width, height))
    return;
  frame->size = info.size;
  frame->n_planes = GST_VIDEO_INFO_N_PLANES (&info);
  for (i = 0; i < frame->n_planes; i++) {
    frame->plane_offset[i] = info.offset[i];
    frame->plane_stride[i] = info.stride[i];
  }
}

static void
edit_frame (FuzzInput * input, MmapDescriptor * frame)
{
  guint n = fuzz_below (input, 8), plane;

  while (n-- > 0) {
    plane = fuzz_below (input, 4);
    switch (fuzz_below (input, 10)) {
      case 0:
        frame->size += (gint8) fuzz_byte (input);
        break;
      case 1:
        frame->size = fuzz_number (input);
        break;
      case 2:
        frame->plane_offset[plane] = fuzz_number (input);
        break;
      case 3:
        frame->plane_stride[plane] = fuzz_number (input);
        break;
      case 4:
        frame->plane_stride[plane] =
            (guint32) frame->plane_stride[plane] + (gint8) fuzz_byte (input);
        break;
      case 5:
        frame->plane_offset[plane] += (gint8) fuzz_byte (input);
        break;
      case 6:
        frame->width = fuzz_number (input);
        break;
      case 7:
        frame->height = fuzz_number (input);
        break;
      case 8:
        frame->padding[plane] = fuzz_number (input);
        break;
      default:
        frame->n_planes = fuzz_below (input, 5);
        break;
    }
  }
}

static GstBuffer *
make_buffer (gsize size)
{
  GstBuffer *buffer = gst_buffer_new ();
  guint8 *data = g_malloc0 (size);

  gst_buffer_append_memory (buffer, gst_memory_new_wrapped (0, data, size, 0,
          size, data, g_free));
  return buffer;
}

static void
copy_picture (const GstVideoInfo * info, GstBuffer * buffer)
{
  GstBuffer *copy = make_buffer (info->size);
  GstVideoFrame from, to;

  if (gst_video_frame_map (&from, info, buffer, GST_MAP_READ)) {
    if (gst_video_frame_map (&to, info, copy, GST_MAP_WRITE)) {
      gst_video_frame_copy (&to, &from);
      gst_video_frame_unmap (&to);
    }
    gst_video_frame_unmap (&from);
  }
  gst_buffer_unref (copy);
}

static void
check_layout (const MmapDescriptor * frame, GstBuffer * buffer)
{
  MmapDescriptor again;
  GstVideoInfo info;

  gst_mmap_frame_describe (buffer, &again);
  fuzz_assert (again.n_planes == frame->n_planes
      && again.width == frame->width
      && again.video_format == frame->video_format);
  fuzz_assert (frame->width > 0 && frame->height > 0);
  /* As caps that it fits say it. */
  if (!gst_video_info_set_format (&info, frame->video_format, frame->width,
          frame->height) || info.size > MAX_COPY_BYTES)
    return;
  gst_mmap_frame_has_default_layout (frame, &info);
  copy_picture (&info, buffer);
}

void
fuzz_run (FuzzInput * input)
{
  GstMmapLayout known = { 0, };
  MmapDescriptor frame;
  GstBuffer *buffer;
  guint i;

  make_frame (input, &frame);
  /* The second may believe what was found out of the first. */
  for (i = 0; i < 2; i++) {
    edit_frame (input, &frame);
    if (frame.size > MAX_COPY_BYTES || frame.size == 0)
      return;
    buffer = make_buffer (frame.size);
    gst_mmap_frame_restore (&frame, buffer);
    if (gst_mmap_frame_restore_video (&frame, buffer, &known)
        && frame.n_planes > 0)
      check_layout (&frame, buffer);
    gst_buffer_unref (buffer);
  }
}
