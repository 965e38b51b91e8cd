/* gst-mmap: how large a region is to be
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Arithmetic; holds no state.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsizes.h"

#include "protocol.h"

#include <gst/video/video.h>

/* A region holds as many video frames as fit into this, but not fewer or more than below; chosen, untuned. */
#define VIDEO_BYTES (128 * 1024 * 1024)
#define VIDEO_MIN_FRAMES 8
#define VIDEO_MAX_FRAMES 24
/* Without a frame size to go by: audio, and anything else. A frame of more than a quarter makes it grow; chosen, untuned. */
#define AUDIO_BYTES (4 * 1024 * 1024)
#define OTHER_BYTES (16 * 1024 * 1024)
#define OTHER_MIN_FRAMES 4
/* A region for larger frames than this holds two of them. */
#define LARGE_FRAME_BYTES (64 * 1024 * 1024)
#define POOL_MIN_FRAMES 3

static gboolean
has_name (GstCaps * caps, const char *name)
{
  return caps && !gst_caps_is_empty (caps) && gst_caps_is_fixed (caps)
      && gst_structure_has_name (gst_caps_get_structure (caps, 0), name);
}

static guint64
round_up_page (guint64 bytes)
{
  return (bytes + MMAP_PAGE_BYTES - 1) / MMAP_PAGE_BYTES * MMAP_PAGE_BYTES;
}

guint64
gst_mmap_sizes_frame (GstCaps * caps)
{
  GstVideoInfo info;

  if (!has_name (caps, "video/x-raw")
      || !gst_video_info_from_caps (&info, caps))
    return 0;
  return GST_VIDEO_INFO_SIZE (&info);
}

guint64
gst_mmap_sizes_least (guint64 frame)
{
  return round_up_page (frame) * OTHER_MIN_FRAMES;
}

guint64
gst_mmap_sizes_pool (guint64 frame)
{
  return round_up_page (frame) * POOL_MIN_FRAMES;
}

guint
gst_mmap_sizes_min_buffers (void)
{
  return VIDEO_MIN_FRAMES / 2;
}

guint64
gst_mmap_sizes_region (GstCaps * caps, guint64 frame, guint min_buffers,
    guint64 * least)
{
  guint64 bytes = has_name (caps, "audio/x-raw") ? AUDIO_BYTES : OTHER_BYTES;
  guint64 page = round_up_page (frame);

  if (frame > 0 && gst_mmap_sizes_frame (caps) == frame) {
    /* A consumer that holds more than half copies. */
    guint64 kept = min_buffers > gst_mmap_sizes_min_buffers ()?
        page * min_buffers * 2 : 0;

    *least = MAX (gst_mmap_sizes_pool (frame), kept);
    return MAX (kept, page * CLAMP (VIDEO_BYTES / page, VIDEO_MIN_FRAMES,
            VIDEO_MAX_FRAMES));
  }
  if (frame > LARGE_FRAME_BYTES) {
    *least = page;
    return page * 2;
  }
  *least = gst_mmap_sizes_least (frame);
  return MAX (bytes, *least * 2);
}
