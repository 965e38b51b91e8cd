/* gst-mmap: mmapsink: frames, and the region that they lie in
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * On the streaming thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsink-private.h"

#include "blocks.h"
#include "copy.h"
#include "gstmmapallocator.h"
#include "gstmmapframe.h"
#include "gstmmapmeta.h"
#include "gstmmappool.h"
#include "gstmmapsizes.h"

#define GST_CAT_DEFAULT gst_mmap_sink_debug

/* Of a region, what is reserved first, at least: less than that takes no time that could be seen. Chosen, untuned. */
#define FIRST_BYTES (1024 * 1024)
/* Longer waits for consumers than this move the rest of a stream that is not live; chosen: less can't be seen. */
#define STALL_MIN_NS (20 * GST_MSECOND)

GstFlowReturn
gst_mmap_sink_wait (GstMmapSink * self, guint64 serial)
{
  self->waited = TRUE;
  switch (mmap_producer_wait (self->producer, &self->cancel, serial,
          gst_mmap_sink_get_patience (self))) {
    case MMAP_WAIT_CANCELLED:
      /* PAUSED: goes on where it left off when it plays again. Or the end. */
      return gst_base_sink_wait_preroll (GST_BASE_SINK (self));
    case MMAP_WAIT_CLOSED:
      return GST_FLOW_FLUSHING;
    case MMAP_WAIT_FAILED:
      return GST_FLOW_ERROR;
    default:
      return GST_FLOW_OK;
  }
}

guint64
gst_mmap_sink_get_anchor (GstMmapSink * self)
{
  GstClockTime anchor = gst_mmap_anchor_get (&self->anchor,
      GST_ELEMENT (self));

  return GST_CLOCK_TIME_IS_VALID (anchor) ?
      anchor + gst_base_sink_get_ts_offset (GST_BASE_SINK (self)) :
      MMAP_TIME_NONE;
}

/* How late @buffer is now, in a stream that waited for consumers and is not live itself. */
static GstClockTime
gst_mmap_sink_get_lateness (GstMmapSink * self, GstBuffer * buffer)
{
  GstBaseSink *sink = GST_BASE_SINK (self);
  GstElement *element = GST_ELEMENT (self);
  GstClockTime due = gst_segment_to_running_time (&sink->segment,
      GST_FORMAT_TIME, GST_BUFFER_PTS (buffer));
  GstClockTime now = gst_element_get_current_running_time (element);

  if (!GST_CLOCK_TIME_IS_VALID (due) || !GST_CLOCK_TIME_IS_VALID (now)
      || gst_mmap_sink_is_fed_live (self))
    return 0;
  due += gst_base_sink_get_latency (sink)
      + gst_base_sink_get_render_delay (sink);
  due += gst_base_sink_get_ts_offset (sink);
  return now > due ? now - due : 0;
}

/* Before @buffer is stamped: if the stream stood still, for lack of a consumer or because one was slow or paused, and is not live,
 * it goes on where it was, at its own speed, not in a hurry to catch up with the clock. So do the pipeline's other streams. */
static void
gst_mmap_sink_make_up (GstMmapSink * self, GstBuffer * buffer)
{
  GstBaseSink *sink = GST_BASE_SINK (self);
  GstClockTime late;

  if (gst_mmap_allocator_take_waited (self->allocator))
    self->waited = TRUE;
  gst_mmap_sink_apply_stall (self);
  if (!self->waited)
    return;
  self->waited = FALSE;
  if (!gst_base_sink_get_sync (sink)
      || sink->segment.format != GST_FORMAT_TIME)
    return;
  late = gst_mmap_sink_get_lateness (self, buffer);
  if (late < STALL_MIN_NS)
    return;
  GST_DEBUG_OBJECT (self, "stood still for %" GST_TIME_FORMAT,
      GST_TIME_ARGS (late));
  gst_mmap_stall_add (self->pipeline_stall, self->stall, late);
  gst_mmap_sink_apply_stall (self);
}

/* @frame: bytes of a frame (0: unknown). Memory for one comes at once, for more of them meanwhile. */
static gboolean
gst_mmap_sink_set_region (GstMmapSink * self, guint64 size, guint64 frame)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (MmapRegion) region = NULL;

  GST_INFO_OBJECT (self, "a region of %" G_GUINT64_FORMAT " bytes", size);
  if (!mmap_producer_set_region (self->producer, size, MAX (frame,
              FIRST_BYTES), self->media, &error)) {
    gst_mmap_post_error (GST_ELEMENT (self), error);
    return FALSE;
  }
  region = mmap_producer_dup_region (self->producer);
  gst_mmap_sink_take_allocator (self,
      gst_mmap_allocator_new (region, self->producer));
  g_object_notify (G_OBJECT (self), "capabilities");
  return TRUE;
}

static guint64
gst_mmap_sink_get_metas_size (GstMmapSink * self)
{
  return self->metas ? g_variant_get_size (self->metas) : 0;
}

static void
gst_mmap_sink_post_too_small (GstMmapSink * self, guint64 frame,
    guint64 capacity)
{
  guint64 size = mmap_producer_size_for (gst_mmap_sizes_least (frame));

  GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
      ("A frame%s has %" G_GUINT64_FORMAT " bytes, but a region of size=%"
          G_GUINT64_FORMAT " has room for %" G_GUINT64_FORMAT ": set size to %"
          G_GUINT64_FORMAT " or more, or to 0 to have it chosen.",
          self->metas ? " with its metadata" : "", frame, self->size, capacity,
          size), ("reason: too-small"));
}

/* @wanted: bytes of blocks, where there is room for them. */
static gboolean
gst_mmap_sink_replace_region (GstMmapSink * self, guint64 wanted, guint64 frame)
{
  guint64 capacity;

  if (!gst_mmap_sink_set_region (self, mmap_producer_size_for (wanted), frame))
    return FALSE;
  capacity = mmap_producer_get_capacity (self->producer);
  if (capacity >= frame)
    return TRUE;
  gst_mmap_sink_post_too_small (self, frame, capacity);
  return FALSE;
}

/* Makes sure that there is a region in which frames of @frame bytes (0: unknown) fit. FALSE: an error was posted. */
static gboolean
gst_mmap_sink_ensure_region (GstMmapSink * self, GstCaps * caps, guint64 frame)
{
  guint64 capacity = mmap_producer_get_capacity (self->producer);
  guint64 least, wanted = gst_mmap_sizes_region (caps, frame,
      self->min_buffers, &least);

  if (self->size > 0) {
    if (capacity == 0 && !gst_mmap_sink_set_region (self, self->size,
            MAX (frame, gst_mmap_sizes_frame (caps))))
      return FALSE;
    capacity = mmap_producer_get_capacity (self->producer);
    if (capacity >= frame)
      return TRUE;
    gst_mmap_sink_post_too_small (self, frame, capacity);
    return FALSE;
  }
  /* In a file that others share, a region may be smaller than was asked for: it will do as long as a frame fits. */
  if (capacity > 0
      && capacity >= (gst_mmap_sink_is_in_area (self) ? frame : least))
    return TRUE;
  return gst_mmap_sink_replace_region (self, wanted, frame);
}

gboolean
gst_mmap_sink_ensure_region_for_caps (GstMmapSink * self, GstCaps * caps)
{
  guint64 frame = gst_mmap_sizes_frame (caps), least;

  if (self->size > 0)
    return gst_mmap_sink_ensure_region (self, caps, 0);
  if (!mmap_producer_is_cramped (self->producer, frame)
      || gst_mmap_sink_is_in_area (self))
    return gst_mmap_sink_ensure_region (self, caps, frame);
  return gst_mmap_sink_replace_region (self, gst_mmap_sizes_region (caps, frame,
          self->min_buffers, &least), frame);
}

/* With wait-for-connection, waits for a consumer, unless one waits for another frame than this, with other caps. */
static GstFlowReturn
gst_mmap_sink_wait_for_link (GstMmapSink * self)
{
  GstFlowReturn flow = GST_FLOW_OK;
  gboolean told = FALSE;

  while (flow == GST_FLOW_OK && self->wait_for_connection
      && mmap_producer_get_n_ready (self->producer) == 0
      && !gst_mmap_consumers_have_unfit (self->consumers)) {
    guint64 serial = mmap_producer_collect (self->producer);

    if (mmap_producer_get_n_ready (self->producer) == 0
        && !gst_mmap_consumers_have_unfit (self->consumers)) {
      if (!told)
        GST_INFO_OBJECT (self, "waiting for a consumer");
      told = TRUE;
      flow = gst_mmap_sink_wait (self, serial);
    }
  }
  return flow;
}

/* The block of @buffer, if it can be published as it is; @offset: of its bytes in the region. */
static MmapBlock *
gst_mmap_sink_peek_block (GstMmapSink * self, GstBuffer * buffer,
    guint64 * offset)
{
  GstMemory *memory;
  MmapBlock *block;

  /* Whoever looks first pays: a frame in the chain is looked at three times, and stays what it is. */
  if (self->placed && self->placed == buffer
      && self->placed_block->region ==
      gst_mmap_allocator_get_region (self->allocator)) {
    *offset = self->placed_offset;
    return self->placed_block;
  }
  if (gst_buffer_n_memory (buffer) != 1)
    return NULL;
  memory = gst_buffer_peek_memory (buffer, 0);
  block = gst_mmap_memory_get_position (memory, offset);
  /* Only this thread replaces the region. */
  if (!block || !self->allocator
      || block->region != gst_mmap_allocator_get_region (self->allocator))
    return NULL;
  return block;
}

/* FALSE: an error was posted. */
static gboolean
gst_mmap_sink_copy_memories (GstMmapSink * self, GstBuffer * buffer,
    guint8 * to)
{
  guint n = gst_buffer_n_memory (buffer), i;

  for (i = 0; i < n; i++) {
    GstMemory *memory = gst_buffer_peek_memory (buffer, i);
    GstMapInfo map;

    if (!gst_memory_map (memory, &map, GST_MAP_READ)) {
      GST_ELEMENT_ERROR (self, RESOURCE, READ,
          ("The memory of a frame can't be read, so that it can't be sent."),
          ("can't map memory %u of %u of %" GST_PTR_FORMAT, i, n, buffer));
      return FALSE;
    }
    mmap_copy (to, map.data, map.size);
    to += map.size;
    gst_memory_unmap (memory, &map);
  }
  return TRUE;
}

/* Waits for room; NULL and GST_FLOW_OK: for this frame there is none, and it is not waited for. */
static GstFlowReturn
gst_mmap_sink_alloc (GstMmapSink * self, gsize size, MmapAllocUse use,
    MmapBlock ** block)
{
  GstFlowReturn flow = GST_FLOW_OK;

  *block = mmap_producer_alloc (self->producer, size, 1, use);
  while (flow == GST_FLOW_OK && !*block) {
    guint64 serial = mmap_producer_collect (self->producer);

    *block = mmap_producer_alloc (self->producer, size, 1, use);
    if (*block || (mmap_producer_is_leaky (self->producer)
            && mmap_producer_reclaim (self->producer)))
      continue;
    if (mmap_producer_is_leaky (self->producer)
        && !mmap_producer_expects_room (self->producer, serial))
      break;
    flow = gst_mmap_sink_wait (self, serial);
  }
  return flow;
}

/* A block with a copy of @buffer's bytes; NULL: see gst_mmap_sink_alloc(). */
static GstFlowReturn
gst_mmap_sink_copy (GstMmapSink * self, GstBuffer * buffer, gsize size,
    MmapBlock ** block)
{
  GstFlowReturn flow = gst_mmap_sink_alloc (self, size, MMAP_ALLOC_COPY, block);

  if (flow != GST_FLOW_OK || !*block)
    return flow;
  if (!gst_mmap_sink_copy_memories (self, buffer, mmap_block_get_data (*block))) {
    mmap_block_unref (*block);
    return GST_FLOW_ERROR;
  }
  __atomic_fetch_add (&self->copied, 1, __ATOMIC_RELAXED);
  return GST_FLOW_OK;
}

/* A block with the metadata of the frame; %NULL if it has none, or see gst_mmap_sink_alloc(). */
static GstFlowReturn
gst_mmap_sink_place_metas (GstMmapSink * self, MmapBlock ** block)
{
  gsize size = gst_mmap_sink_get_metas_size (self);
  GstFlowReturn flow = GST_FLOW_OK;

  *block = NULL;
  if (size == 0)
    return GST_FLOW_OK;
  flow = gst_mmap_sink_alloc (self, size, MMAP_ALLOC_METAS, block);
  if (flow == GST_FLOW_OK && *block)
    g_variant_store (self->metas, mmap_block_get_data (*block));
  return flow;
}

/* What a frame with metadata keeps. */
typedef struct
{
  MmapBlock *metas;
  GDestroyNotify notify;
  gpointer data;
} Parcel;

static void
parcel_free (gpointer data)
{
  Parcel *parcel = data;

  mmap_block_unref (parcel->metas);
  parcel->notify (parcel->data);
  g_free (parcel);
}

/* @metas: (transfer full) (nullable) */
static GstFlowReturn
gst_mmap_sink_publish (GstMmapSink * self, MmapDescriptor * frame,
    MmapBlock * block, MmapBlock * metas, GDestroyNotify notify, gpointer data)
{
  GstFlowReturn flow = GST_FLOW_OK;
  guint64 serial = 0;
  gboolean waits = FALSE;

  if (metas) {
    Parcel *parcel = g_new (Parcel, 1);

    parcel->metas = metas;
    parcel->notify = notify;
    parcel->data = data;
    notify = parcel_free;
    data = parcel;
    frame->metas_offset = metas->offset;
    frame->metas_size = gst_mmap_sink_get_metas_size (self);
  }
  while (flow == GST_FLOW_OK) {
    if (mmap_producer_publish (self->producer, frame, block, notify,
            data) == MMAP_PUBLISH_OK)
      return GST_FLOW_OK;
    /* Once more with the number in hand: what happens after it ends the wait. */
    if (waits)
      flow = gst_mmap_sink_wait (self, serial);
    /* It may have been changed meanwhile. */
    gst_mmap_sink_apply_policy (self);
    serial = mmap_producer_collect (self->producer);
    waits = TRUE;
  }
  notify (data);
  return flow;
}

/* A frame is sent next: neither copied nor waited for. */
static void
gst_mmap_sink_announce (GstMmapSink * self)
{
  if (!self->announced)
    mmap_producer_announce (self->producer);
  self->announced = TRUE;
}

/* A frame can't be sent: there is no room for it, and consumers aren't waited for, or @flow says why. */
static GstFlowReturn
gst_mmap_sink_give_up (GstMmapSink * self, GstFlowReturn flow)
{
  if (flow == GST_FLOW_OK) {
    GST_DEBUG_OBJECT (self, "no room for this frame");
    mmap_producer_skip (self->producer);
  }
  return flow;
}

static GstFlowReturn
gst_mmap_sink_send (GstMmapSink * self, GstBuffer * buffer)
{
  gsize size = gst_buffer_get_size (buffer);
  guint64 offset = 0;
  MmapBlock *block = gst_mmap_sink_peek_block (self, buffer, &offset);
  gboolean copy = size > 0 && !block;
  MmapBlock *metas;
  MmapDescriptor frame;
  GstFlowReturn flow;

  if (copy) {
    GST_LOG_OBJECT (self, "copying %" GST_PTR_FORMAT, buffer);
    flow = gst_mmap_sink_copy (self, buffer, size, &block);
    if (flow != GST_FLOW_OK || !block)
      return gst_mmap_sink_give_up (self, flow);
  }
  flow = gst_mmap_sink_place_metas (self, &metas);
  if (flow != GST_FLOW_OK || (self->metas && !metas)) {
    if (copy)
      mmap_block_unref (block);
    return gst_mmap_sink_give_up (self, flow);
  }

  gst_mmap_sink_announce (self);
  self->announced = FALSE;
  gst_mmap_frame_describe (buffer, &frame);
  frame.anchor = gst_mmap_sink_get_anchor (self);
  frame.latency = gst_base_sink_get_latency (GST_BASE_SINK (self));
  frame.size = size;
  if (copy) {
    frame.offset = block->offset;
    return gst_mmap_sink_publish (self, &frame, block, metas,
        (GDestroyNotify) mmap_block_unref, block);
  }
  if (block) {
    frame.offset = offset;
    gst_mmap_pool_hand_over (buffer);
  }
  return gst_mmap_sink_publish (self, &frame, block, metas,
      (GDestroyNotify) gst_buffer_unref, gst_buffer_ref (buffer));
}

/* A consumer gets frames without them. Once for each type, as it would be said of every frame. */
static void
warn_of_lost_meta (GstMeta * meta, gpointer user_data)
{
  GstMmapSink *self = user_data;

  if (!g_hash_table_add (self->lost, GSIZE_TO_POINTER (meta->info->type)))
    return;
  GST_ELEMENT_WARNING (self, STREAM, NOT_IMPLEMENTED,
      ("Metadata of a frame can't go to other processes: %s.",
          g_type_name (meta->info->type)), ("reason: metadata"));
}

/* The metadata of the frame that is sent next. Blocks for upstream leave room for the largest so far: or none might ever be free. */
static void
gst_mmap_sink_describe_metas (GstMmapSink * self, GstBuffer * buffer)
{
  guint64 size;

  g_clear_pointer (&self->metas, g_variant_unref);
  if (!gst_mmap_metas_are_there (buffer))
    return;
  self->metas = gst_mmap_metas_describe (buffer, warn_of_lost_meta, self);
  size = gst_mmap_sink_get_metas_size (self);
  if (size <= self->left)
    return;
  self->left = size;
  mmap_producer_leave_metas (self->producer, size);
}

/* Bytes of blocks that @buffer needs. */
static guint64
gst_mmap_sink_get_need (GstMmapSink * self, GstBuffer * buffer)
{
  guint64 size = gst_buffer_get_size (buffer);

  if (!self->metas)
    return size;
  /* Each is a whole number of them. */
  return size + gst_mmap_sink_get_metas_size (self) + 2 *
      MMAP_BLOCK_ALIGN_BYTES;
}

/* Makes sure that @buffer fits into the region, which an encoded frame may not. */
static gboolean
gst_mmap_sink_make_room (GstMmapSink * self, GstBuffer * buffer)
{
  GstPad *pad = GST_BASE_SINK_PAD (self);
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  GstAllocator *before = self->allocator;

  if (!gst_mmap_sink_ensure_region (self, caps, gst_mmap_sink_get_need (self,
              buffer)))
    return FALSE;
  /* Upstream allocates from the old region: let it ask again. */
  if (before && self->allocator != before)
    gst_pad_push_event (pad, gst_event_new_reconfigure ());
  return TRUE;
}

GstFlowReturn
gst_mmap_sink_prepare (GstBaseSink * sink, GstBuffer * buffer)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  guint64 offset;

  gst_mmap_sink_describe_metas (self, buffer);
  return !mmap_producer_has_failed (self->producer)
      && ((!self->metas && gst_mmap_sink_peek_block (self, buffer, &offset))
      || gst_mmap_sink_make_room (self, buffer)) ? GST_FLOW_OK : GST_FLOW_ERROR;
}

GstFlowReturn
gst_mmap_sink_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstMmapSink *self = GST_MMAP_SINK (parent);
  GstFlowReturn flow;

  /* What was announced may have been dropped. */
  self->announced = FALSE;
  self->placed = NULL;
  self->placed_block = gst_mmap_sink_peek_block (self, buffer,
      &self->placed_offset);
  if (self->placed_block)
    self->placed = buffer;
  if (self->placed && !gst_base_sink_get_sync (GST_BASE_SINK (self)))
    gst_mmap_sink_announce (self);
  flow = self->base_chain (pad, parent, buffer);
  self->placed = NULL;
  return flow;
}

GstFlowReturn
gst_mmap_sink_render (GstBaseSink * sink, GstBuffer * buffer)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  GstFlowReturn flow;

  gst_mmap_sink_apply_policy (self);
  flow = gst_mmap_sink_wait_for_link (self);
  if (flow == GST_FLOW_OK)
    flow = gst_mmap_sink_tell_rate (self);
  if (flow != GST_FLOW_OK)
    return flow;
  gst_mmap_sink_make_up (self, buffer);
  flow = gst_mmap_sink_send (self, buffer);
  if (flow == GST_FLOW_OK) {
    gst_mmap_sink_report_drops (self, buffer);
    gst_mmap_consumers_have_unfit (self->consumers);
    gst_mmap_consumers_published (self->consumers,
        !GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT));
  }
  return flow;
}
