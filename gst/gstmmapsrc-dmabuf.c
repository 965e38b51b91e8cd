/* gst-mmap: mmapsrc: whether frames are handed out as dma-bufs
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * On the streaming thread. Decided with each caps; from then on until the next ones frames are dma-bufs, or the caps are sent again without
 * them.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsrc-private.h"

#include "error.h"

#define GST_CAT_DEFAULT gst_mmap_src_debug

/* Once: it is the same for each stream. */
static void
tell_no_dmabuf (GstMmapSrc * self, GError * error)
{
  g_prefix_error (&error,
      "io-mode=dmabuf can't be had: frames are handed out as with mmap. ");
  GST_INFO_OBJECT (self, "%s", error->message);
  if (!self->told_no_dmabuf)
    gst_mmap_post_warning (GST_ELEMENT (self), error);
  self->told_no_dmabuf = TRUE;
  g_error_free (error);
}

static gboolean
downstream_takes (GstMmapSrc * self, GstCaps * caps)
{
  GstCaps *taken = gst_pad_peer_query_caps (GST_BASE_SRC_PAD (self), caps);
  gboolean takes = gst_caps_is_subset (caps, taken);

  gst_caps_unref (taken);
  return takes;
}

/* Returns: (transfer full): of @region; or %NULL with what stands against it */
static GstMmapDmabuf *
new_dmabuf (GstMmapSrc * self, MmapRegion * region, GError ** error)
{
  if (__atomic_load_n (&self->untrusted, __ATOMIC_RELAXED)) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "untrusted=true copies each frame: dma-bufs are the producer's memory");
    return NULL;
  }
  return gst_mmap_dmabuf_new (region, error);
}

gboolean
gst_mmap_src_push_caps_as_dmabuf (GstMmapSrc * self, MmapRegion * region,
    GstCaps ** caps)
{
  g_autoptr (GstCaps) made = NULL;
  GError *error = NULL;

  g_clear_pointer (&self->dmabuf, gst_mmap_dmabuf_free);
  if (self->io_mode != GST_MMAP_IO_MODE_DMABUF
      || GST_VIDEO_INFO_FORMAT (&self->info) == GST_VIDEO_FORMAT_UNKNOWN)
    return FALSE;
  made = gst_mmap_dmabuf_caps (*caps);
  self->dmabuf = new_dmabuf (self, region, &error);
  if (self->dmabuf && downstream_takes (self, made)
      && gst_mmap_src_push_caps (self, made)) {
    gst_caps_replace (caps, made);
    return TRUE;
  }
  if (GST_PAD_IS_FLUSHING (GST_BASE_SRC_PAD (self))) {
    g_clear_error (&error);
    return FALSE;
  }
  if (!error)
    g_set_error_literal (&error, MMAP_ERROR, MMAP_ERROR_NOT_NEGOTIATED,
        "Downstream takes no video/x-raw(memory:DMABuf)");
  g_clear_pointer (&self->dmabuf, gst_mmap_dmabuf_free);
  tell_no_dmabuf (self, error);
  return FALSE;
}

/* @error: (transfer full): why. Returns: whether downstream takes the same in mapped memory */
static gboolean
leave_dmabuf (GstMmapSrc * self, GError * error)
{
  GstCaps *caps = gst_pad_get_current_caps (GST_BASE_SRC_PAD (self));
  gboolean pushed;

  g_clear_pointer (&self->dmabuf, gst_mmap_dmabuf_free);
  tell_no_dmabuf (self, error);
  caps = gst_caps_make_writable (caps);
  gst_caps_set_features (caps, 0, NULL);
  pushed = gst_mmap_src_push_caps (self, caps);
  gst_caps_unref (caps);
  return pushed;
}

/* Frames may lie in another region by now, and settings have changed. */
static gboolean
keep_dmabuf (GstMmapSrc * self, const MmapItem * item, GError ** error)
{
  const MmapDescriptor *frame = &item->descriptor;
  gboolean same = gst_mmap_dmabuf_is_of (self->dmabuf, item->region)
      && !__atomic_load_n (&self->untrusted, __ATOMIC_RELAXED);

  if (!same) {
    gst_mmap_dmabuf_free (self->dmabuf);
    self->dmabuf = new_dmabuf (self, item->region, error);
  }
  if (!self->dmabuf)
    return FALSE;
  if (item->should_copy)
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "Downstream holds so many frames that the producer runs out of memory: "
        "give mmapsink a larger size, or downstream shorter queues");
  else if (frame->n_planes > 0 && !self->downstream_has_video_meta
      && !gst_mmap_frame_has_default_layout (frame, &self->info))
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_NOT_NEGOTIATED,
        "Downstream doesn't know GstVideoMeta, and the planes don't lie as the "
        "caps alone say");
  else
    return TRUE;
  return FALSE;
}

gboolean
gst_mmap_src_wrap_as_dmabuf (GstMmapSrc * self, const MmapItem * item,
    GstMemory ** memory)
{
  GError *error = NULL;

  *memory = NULL;
  if (!self->dmabuf || item->descriptor.size == 0)
    return TRUE;
  if (keep_dmabuf (self, item, &error))
    *memory = gst_mmap_dmabuf_wrap_item (self->dmabuf, item, &error);
  return *memory || leave_dmabuf (self, error);
}
