/* gst-mmap: mmapsrc: frames
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * On the streaming thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsrc-private.h"

#include "error.h"
#include "gstmmapitempool.h"
#include "gstmmapmeta.h"

#include <string.h>

#define GST_CAT_DEFAULT gst_mmap_src_debug

/* A buffer with the payload in memory of our own, so that the producer gets its block back at once. NULL if there is no memory: how much is
 * the producer's word. */
static GstBuffer *
gst_mmap_src_copy (GstMmapSrc * self, const MmapItem * item)
{
  gsize size = item->descriptor.size;
  gpointer copy = g_try_malloc (size);

  if (!copy)
    return NULL;
  memcpy (copy, item->data, size);
  mmap_consumer_link_release (item->link, item->descriptor.id, size);
  __atomic_fetch_add (&self->copied, 1, __ATOMIC_RELAXED);
  return gst_buffer_new_wrapped (copy, size);
}

/* A buffer with the payload; NULL if it must be copied, and there is no memory for that. */
static GstBuffer *
gst_mmap_src_wrap (GstMmapSrc * self, const MmapItem * item, GstMemory * dmabuf)
{
  gboolean untrusted = __atomic_load_n (&self->untrusted, __ATOMIC_RELAXED);
  GstBuffer *buffer = NULL;

  if (dmabuf) {
    buffer = gst_buffer_new ();
    gst_buffer_append_memory (buffer, dmabuf);
    return buffer;
  }
  if (item->descriptor.size == 0) {
    mmap_consumer_link_release (item->link, item->descriptor.id, 0);
    return gst_buffer_new ();
  }
  /* Or downstream holds so much that the producer may run out of blocks. */
  if (untrusted || item->should_copy)
    buffer = gst_mmap_src_copy (self, item);
  if (buffer)
    return buffer;
  if (untrusted) {
    mmap_consumer_link_release (item->link, item->descriptor.id,
        item->descriptor.size);
    return NULL;
  }
  gst_mmap_item_pool_fill (self->pool, self->next, item);
  return g_steal_pointer (&self->next);
}

/* Copies the picture into the layout that its caps stand for, for a downstream that doesn't know GstVideoMeta. */
static GstBuffer *
gst_mmap_src_copy_to_default_layout (GstMmapSrc * self, GstBuffer * buffer)
{
  GstBuffer *copy = gst_buffer_new_allocate (NULL,
      GST_VIDEO_INFO_SIZE (&self->info), NULL);
  GstVideoFrame from, to;
  gboolean done = FALSE;

  if (gst_video_frame_map (&from, &self->info, buffer, GST_MAP_READ)) {
    if (gst_video_frame_map (&to, &self->info, copy, GST_MAP_WRITE)) {
      done = gst_video_frame_copy (&to, &from);
      gst_video_frame_unmap (&to);
    }
    gst_video_frame_unmap (&from);
  }
  gst_buffer_copy_into (copy, buffer,
      GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
  gst_buffer_unref (buffer);
  gst_mmap_src_ask_for_default_layout (self);
  if (!done)
    gst_clear_buffer (&copy);
  else
    __atomic_fetch_add (&self->copied, 1, __ATOMIC_RELAXED);
  return copy;
}

static GstPadProbeReturn
restore_time_stamps (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstMmapSrc *self = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);

  GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DTS (buffer) = self->probe_dts;
  self->probe = 0;
  return GST_PAD_PROBE_REMOVE;
}

/* The base class makes up time stamps for a buffer that has none, between create() and the pad: what the producer sent
 * is put back there. */
static void
gst_mmap_src_keep_time_stamps (GstMmapSrc * self, GstBuffer * buffer)
{
  GstPad *pad = GST_BASE_SRC_PAD (self);

  /* One that was meant for a buffer which the base class dropped, because it was flushing. */
  if (self->probe)
    gst_pad_remove_probe (pad, self->probe);
  self->probe = 0;
  if (GST_BUFFER_PTS_IS_VALID (buffer))
    return;
  self->probe_dts = GST_BUFFER_DTS (buffer);
  self->probe = gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER,
      restore_time_stamps, self, NULL);
}

/* A layout that contradicts the caps would be a bug of the caller's in GStreamer's eyes. */
static gboolean
gst_mmap_src_fits_caps (GstMmapSrc * self, const MmapDescriptor * frame)
{
  const GstVideoInfo *info = &self->info;

  return frame->n_planes == 0
      || GST_VIDEO_INFO_FORMAT (info) == GST_VIDEO_FORMAT_UNKNOWN
      || (frame->video_format == (guint32) GST_VIDEO_INFO_FORMAT (info)
      && frame->width >= (guint) GST_VIDEO_INFO_WIDTH (info)
      && frame->height >= (guint) GST_VIDEO_INFO_FIELD_HEIGHT (info));
}

/* FALSE: an error was posted. Before the frame is given back: its metadata goes with it. */
static gboolean
gst_mmap_src_parse_metas (GstMmapSrc * self, const MmapItem * item,
    GVariant ** metas)
{
  *metas = NULL;
  if (!item->metas)
    return TRUE;
  *metas = gst_mmap_metas_parse (item->metas, item->descriptor.metas_size);
  if (*metas)
    return TRUE;
  if (gst_mmap_src_check_memory (self))
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("The producer sent a frame whose metadata can't be parsed."),
        ("%u bytes", item->descriptor.metas_size));
  return FALSE;
}

/* Last, when the frame lies where it will lie, copied or not. */
static void
gst_mmap_src_restore_metas (GstMmapSrc * self, GVariant * metas,
    GstBuffer * buffer)
{
  GstCaps *caps = gst_pad_get_current_caps (GST_BASE_SRC_PAD (self));

  gst_mmap_metas_restore (metas, buffer, caps);
  gst_clear_caps (&caps);
}

/* Frames are missing before this one, because this side was slow: downstream must know, and what refers to them is of no use. */
static void
gst_mmap_src_note_missed (GstMmapSrc * self, const MmapItem * item)
{
  if (item->missed == 0)
    return;
  GST_DEBUG_OBJECT (self, "%u frames were dropped for this consumer",
      item->missed);
  self->missed += item->missed;
  self->discont = TRUE;
  if (item->descriptor.flags & GST_BUFFER_FLAG_DELTA_UNIT) {
    self->wait_key_unit = TRUE;
    self->asked_key_unit = FALSE;
  }
}

/* A sink that has the running times of a producer which doesn't wait, as they are, waits for those that passed while it was paused or not yet
 * there; and as it waits, more frames are dropped. So it goes on for good. */
static void
gst_mmap_src_warn_of_missed (GstMmapSrc * self)
{
  if (self->is_live || self->told_of_missed)
    return;
  self->told_of_missed = TRUE;
  GST_ELEMENT_WARNING (self, CORE, CLOCK,
      ("Frames are missing: the producer doesn't wait, and this source isn't "
          "live. After a pause its frames may come late for good. Set "
          "is-live=true here, or leaky-type=none for mmapsink."),
      ("%" G_GUINT64_FORMAT " frames were dropped for this consumer",
          self->missed));
}

/* Downstream learns from @buffer how many frames are missing before it, the application from a message. */
static void
gst_mmap_src_tell_missed (GstMmapSrc * self, GstBuffer * buffer)
{
  GstCustomMeta *meta = gst_buffer_add_custom_meta (buffer,
      GST_MMAP_MISSED_META);
  GstSegment *segment = &self->segment;
  GstClockTime pts = GST_BUFFER_PTS (buffer);
  guint64 running_time = GST_CLOCK_TIME_NONE, stream_time = running_time;
  MmapConsumerStats stats;
  GstMessage *message;

  if (meta)
    gst_structure_set (gst_custom_meta_get_structure (meta), "frames",
        G_TYPE_UINT64, self->missed, NULL);
  gst_mmap_src_warn_of_missed (self);
  self->missed = 0;
  if (self->have_segment && segment->format == GST_FORMAT_TIME) {
    running_time = gst_segment_to_running_time (segment, GST_FORMAT_TIME, pts);
    stream_time = gst_segment_to_stream_time (segment, GST_FORMAT_TIME, pts);
  }
  mmap_consumer_get_stats (self->consumer, &stats);
  message = gst_message_new_qos (GST_OBJECT (self), self->is_live,
      running_time, stream_time, pts, GST_BUFFER_DURATION (buffer));
  gst_message_set_qos_stats (message, GST_FORMAT_BUFFERS, stats.frames,
      stats.missed);
  gst_element_post_message (GST_ELEMENT (self), message);
}

/* @dmabuf: (transfer full) (nullable): the frame */
static GstFlowReturn
gst_mmap_src_make_buffer (GstMmapSrc * self, const MmapItem * item,
    GstMemory * dmabuf, GVariant * metas, GstBuffer ** buffer)
{
  const MmapDescriptor *frame = &item->descriptor;
  GstBuffer *made = gst_mmap_src_wrap (self, item, dmabuf);

  if (!made) {
    GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
        ("There is no memory to copy a frame of %" G_GUINT64_FORMAT " bytes "
            "into.", frame->size), ("reason: %s",
            mmap_error_get_name (MMAP_ERROR_NO_RESOURCES)));
    return GST_FLOW_ERROR;
  }
  gst_mmap_frame_restore (frame, made);
  if (!gst_mmap_src_fits_caps (self, frame)
      || !gst_mmap_frame_restore_video (frame, made, &self->layout)) {
    gst_clear_buffer (&made);
  } else if (frame->n_planes > 0 && !self->downstream_has_video_meta
      && GST_VIDEO_INFO_FORMAT (&self->info) != GST_VIDEO_FORMAT_UNKNOWN
      && !gst_mmap_frame_has_default_layout (frame, &self->info)) {
    made = gst_mmap_src_copy_to_default_layout (self, made);
  }
  if (!made) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("The producer sent a frame whose planes fit neither its bytes nor its "
            "caps."),
        ("format %u, %ux%u, %u planes, %" G_GUINT64_FORMAT " bytes",
            frame->video_format, frame->width, frame->height, frame->n_planes,
            frame->size));
    return GST_FLOW_ERROR;
  }
  if (metas)
    gst_mmap_src_restore_metas (self, metas, made);
  if (self->discont)
    GST_BUFFER_FLAG_SET (made, GST_BUFFER_FLAG_DISCONT);
  self->discont = FALSE;
  if (self->missed > 0)
    gst_mmap_src_tell_missed (self, made);
  gst_mmap_src_keep_time_stamps (self, made);
  *buffer = made;
  return GST_FLOW_OK;
}

/* Asks for a keyframe, once, if the stream was entered between two. */
static gboolean
gst_mmap_src_needs_key_unit (GstMmapSrc * self, const MmapDescriptor * frame)
{
  GstEvent *event;

  if (!(frame->flags & GST_BUFFER_FLAG_DELTA_UNIT)) {
    self->wait_key_unit = FALSE;
    self->asked_key_unit = FALSE;
  } else if (self->wait_key_unit && !self->asked_key_unit) {
    self->asked_key_unit = TRUE;
    event = gst_video_event_new_upstream_force_key_unit (GST_CLOCK_TIME_NONE,
        TRUE, 0);
    gst_mmap_src_send_upstream (self, self->consumer, event);
    gst_event_unref (event);
  }
  return self->wait_key_unit;
}

/* What every mmapsink sends, but not everybody who says that it is one: nothing goes without a segment in GStreamer. */
static void
gst_mmap_src_ensure_segment (GstMmapSrc * self)
{
  GstSegment segment;

  if (self->have_segment)
    return;
  GST_WARNING_OBJECT (self, "there was no segment before the first frame");
  gst_segment_init (&segment, GST_FORMAT_TIME);
  self->segment_seqnum = GST_SEQNUM_INVALID;
  gst_mmap_src_set_segment (self, &segment);
}

GstFlowReturn
gst_mmap_src_handle_frame (GstMmapSrc * self, const MmapItem * item,
    GstBuffer ** buffer)
{
  g_autoptr (GVariant) metas = NULL;
  GstMemory *dmabuf;
  GstFlowReturn flow;

  if (!gst_mmap_src_is_before_flush (self))
    gst_mmap_src_note_missed (self, item);
  if (gst_mmap_src_is_before_flush (self)
      || gst_mmap_src_needs_key_unit (self, &item->descriptor)) {
    mmap_consumer_link_release (item->link, item->descriptor.id,
        item->descriptor.size);
    return GST_FLOW_OK;
  }
  if (!gst_mmap_src_parse_metas (self, item, &metas)) {
    mmap_consumer_link_release (item->link, item->descriptor.id,
        item->descriptor.size);
    return GST_FLOW_ERROR;
  }
  self->frame_link = self->link;
  gst_mmap_src_ensure_segment (self);
  gst_mmap_src_measure_transfer (self, item);
  flow = gst_mmap_src_ensure_stream_start (self);
  /* Of the frames that follow some may be shown before this one, but none is decoded before. */
  if (flow == GST_FLOW_OK && !gst_mmap_src_update_time (self, item,
          MIN (item->descriptor.pts, item->descriptor.dts)))
    flow = gst_mmap_src_flow_or_flushing (self, GST_FLOW_ERROR);
  if (flow != GST_FLOW_OK) {
    mmap_consumer_link_release (item->link, item->descriptor.id,
        item->descriptor.size);
    return flow;
  }
  gst_mmap_src_note_end (self, &item->descriptor);
  if (!gst_mmap_src_wrap_as_dmabuf (self, item, &dmabuf)) {
    mmap_consumer_link_release (item->link, item->descriptor.id,
        item->descriptor.size);
    return gst_mmap_src_flow_or_flushing (self, GST_FLOW_NOT_NEGOTIATED);
  }
  return gst_mmap_src_make_buffer (self, item, dmabuf, metas, buffer);
}
