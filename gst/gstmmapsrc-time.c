/* gst-mmap: mmapsrc: when what the producer sends takes place here
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Time stamps and segments are handed on as they are, but for a shift of the segment, and that says it all. The streaming thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsrc-private.h"

#define GST_CAT_DEFAULT gst_mmap_src_debug

/* What is said to take time between the pipelines is rounded up to this, so that it is said once or twice, and is at most that: who comes
 * later than that has waited for something else. Chosen: a tenth of a frame, and what sinks allow for. */
#define TRANSFER_STEP_NS (GST_MSECOND)
#define TRANSFER_MAX_NS (20 * GST_MSECOND)

/* A difference between two clocks that has changed by less than this is taken for an inexact reading; chosen: can't be heard. */
#define ANCHOR_TOLERANCE_NS (GST_MSECOND)

/* A producer's latency is its own word: above this it is not believed, so that no sum of it goes round; chosen: a day. */
#define LATENCY_MAX_NS (24 * 3600 * GST_SECOND)

/* From which time on it matters that nothing came between the beginning of a segment and its first frame; chosen: longer than a stream takes to
 * begin, and quickly made up for by who fills gaps. */
#define LATE_NS (GST_SECOND)

/* Of the age of a pipeline, and of what a clock is ahead: 73 years, so that no difference of two overflows. */
#define MAX_ANCHOR_NS (G_MAXINT64 >> 2)

/* CLOCK_MONOTONIC of the producer when its running time is 0. It is its own word. */
static gint64
gst_mmap_src_get_peer_anchor (const MmapItem * item)
{
  return MIN (item->descriptor.anchor, MAX_ANCHOR_NS);
}

gint64
gst_mmap_src_get_anchor (const MmapItem * item)
{
  if (item->descriptor.anchor == MMAP_TIME_NONE)
    return GST_MMAP_NO_ANCHOR;
  return CLAMP (gst_mmap_src_get_peer_anchor (item) - item->clock_offset,
      -MAX_ANCHOR_NS, MAX_ANCHOR_NS);
}

/* In a pipeline whose clock follows the producer's: how much later the producer's running time 0 is than ours, as long as that is known. It
 * doesn't change as the clocks drift. */
static gboolean
gst_mmap_src_get_followed_shift (GstMmapSrc * self, const MmapItem * item,
    GstClockTimeDiff * shift)
{
  GstClockTime base_time = gst_element_get_base_time (GST_ELEMENT (self));
  gint64 origin;

  if (self->reading_link != self->link)
    memset (&self->reading, 0, sizeof self->reading);
  self->reading_link = self->link;
  if (mmap_consumer_read_clock (self->consumer, &self->reading)
      && gst_mmap_clock_follow (self->clock, &self->reading))
    GST_INFO_OBJECT (self, "the producer's clock is %" GST_STIME_FORMAT
        " ahead", GST_STIME_ARGS (self->reading.offset));
  if (self->reading.number == 0
      || !gst_mmap_clock_get_origin (self->clock, &origin))
    return FALSE;
  *shift = gst_mmap_src_get_peer_anchor (item) + origin
      - (gint64) MIN (base_time, MAX_ANCHOR_NS);
  return TRUE;
}

/* How much later the producer's running time 0 is than ours, ns. */
static GstClockTimeDiff
gst_mmap_src_get_shift (GstMmapSrc * self, const MmapItem * item)
{
  GstClockTimeDiff shift;
  GstClockTime anchor;

  if (!self->is_live)
    return gst_mmap_src_get_resumed_shift (self, item);
  anchor = gst_mmap_anchor_get (&self->anchor, GST_ELEMENT (self));
  if (self->anchor.clock == GST_CLOCK_CAST (self->clock)
      && item->descriptor.anchor != MMAP_TIME_NONE
      && GST_CLOCK_TIME_IS_VALID (anchor)
      && gst_mmap_src_get_followed_shift (self, item, &shift))
    return shift;
  if (item->descriptor.anchor == MMAP_TIME_NONE
      || !GST_CLOCK_TIME_IS_VALID (anchor))
    return self->shift;
  return gst_mmap_src_get_anchor (item) - (gint64) MIN (anchor, MAX_ANCHOR_NS);
}

/* The producer's segment, so that its running times are the same instants here. */
static void
gst_mmap_src_get_segment (GstMmapSrc * self, GstSegment * segment)
{
  gst_mmap_src_choose_segment (self, segment);
  if (segment->format == GST_FORMAT_TIME && self->shift != 0)
    gst_segment_offset_running_time (segment, GST_FORMAT_TIME, self->shift);
}

/* Who comes late, or back, would take the time since the segment's beginning for a gap to be filled, as videorate does: a day of frames at once.
 * Running times and stream times are the same in a segment that begins at the frame. FALSE: it is not late. */
static gboolean
gst_mmap_src_begin_segment (GstSegment * segment, GstClockTime position)
{
  guint64 running_time;
  gint sign;

  if (segment->format != GST_FORMAT_TIME || segment->rate < 0.0
      || segment->applied_rate < 0.0 || !GST_CLOCK_TIME_IS_VALID (position)
      || position < segment->start || position - segment->start < LATE_NS)
    return FALSE;
  sign = gst_segment_to_running_time_full (segment, GST_FORMAT_TIME, position,
      &running_time);
  if (sign == 0 || position > segment->stop)
    return FALSE;
  segment->time = gst_segment_to_stream_time (segment, GST_FORMAT_TIME,
      position);
  /* Below 0: it was made just before this pipeline began. */
  if (sign > 0)
    segment->base = running_time;
  segment->offset =
      sign > 0 ? 0 : segment->offset - (position - segment->start);
  segment->start = position;
  return TRUE;
}

static gboolean
gst_mmap_src_push_segment (GstMmapSrc * self, const GstSegment * from)
{
  GstBaseSrc *src = GST_BASE_SRC (self);
  GstSegment segment = *from;
  GstEvent *event;

  GST_DEBUG_OBJECT (self, "shift %" GST_STIME_FORMAT ", %" GST_SEGMENT_FORMAT,
      GST_STIME_ARGS (self->shift), &segment);
  if (segment.format != src->segment.format) {
    /* The base class lets the format be set only before it starts. */
    GST_OBJECT_LOCK (self);
    gst_segment_init (&src->segment, segment.format);
    GST_OBJECT_UNLOCK (self);
  }
  if (!gst_base_src_new_segment (src, &segment))
    return FALSE;
  /* Now, not with the next buffer: a gap or another event may come before it. */
  event = gst_event_new_segment (&segment);
  if (self->segment_seqnum != GST_SEQNUM_INVALID)
    gst_event_set_seqnum (event, self->segment_seqnum);
  gst_mmap_src_substitute (self, &self->segment_event, event);
  return gst_pad_push_event (GST_BASE_SRC_PAD (self), event);
}

gboolean
gst_mmap_src_can_tell_time (GstMmapSrc * self, const MmapItem * item)
{
  return (!self->is_live && !self->resume.again)
      || item->descriptor.anchor != MMAP_TIME_NONE;
}

void
gst_mmap_src_measure_transfer (GstMmapSrc * self, const MmapItem * item)
{
  GstClockTime running_time;
  GstClockTimeDiff late;

  if (!self->is_live || !self->have_segment
      || item->descriptor.anchor == MMAP_TIME_NONE
      || self->segment.format != GST_FORMAT_TIME)
    return;
  running_time = gst_segment_to_running_time (&self->played, GST_FORMAT_TIME,
      item->descriptor.pts);
  if (!GST_CLOCK_TIME_IS_VALID (running_time))
    return;
  /* Whatever the producer says: as numbers without a sign they go round. */
  late = gst_mmap_monotonic_now () - gst_mmap_src_get_anchor (item)
      - running_time - item->descriptor.latency;
  if (late <= (GstClockTimeDiff) self->transfer || late > TRANSFER_MAX_NS)
    return;
  GST_OBJECT_LOCK (self);
  self->transfer = (late / TRANSFER_STEP_NS + 1) * TRANSFER_STEP_NS;
  GST_OBJECT_UNLOCK (self);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_latency (GST_OBJECT (self)));
}

gboolean
gst_mmap_src_update_time (GstMmapSrc * self, const MmapItem * item,
    GstClockTime position)
{
  GstClockTimeDiff shift = gst_mmap_src_get_shift (self, item);
  guint64 latency = MIN (item->descriptor.latency, LATENCY_MAX_NS);
  gboolean changed, late;
  GstSegment segment;

  /* Somebody has flushed downstream, which forgets the segment. */
  if (g_atomic_int_get (&self->flushed)) {
    g_atomic_int_set (&self->flushed, FALSE);
    if (g_atomic_int_compare_and_exchange (&self->flushed_time, TRUE, FALSE))
      gst_mmap_src_take_rate (self);
    self->new_segment = TRUE;
  }
  /* Only this thread changes it. */
  if (self->latency != latency) {
    GST_OBJECT_LOCK (self);
    self->latency = latency;
    GST_OBJECT_UNLOCK (self);
    gst_element_post_message (GST_ELEMENT (self),
        gst_message_new_latency (GST_OBJECT (self)));
  }

  changed = self->new_segment
      || ABS (shift - self->shift) >= ANCHOR_TOLERANCE_NS;
  if (!self->have_segment || (!changed && (self->begun
              || !GST_CLOCK_TIME_IS_VALID (position))))
    return TRUE;
  if (changed) {
    GST_OBJECT_LOCK (self);
    self->shift = shift;
    GST_OBJECT_UNLOCK (self);
  }
  gst_mmap_src_get_segment (self, &segment);
  late = self->is_live && gst_mmap_src_begin_segment (&segment, position);
  if (changed || late)
    self->new_segment = !gst_mmap_src_push_segment (self, &segment);
  self->begun = GST_CLOCK_TIME_IS_VALID (position);
  return !self->new_segment;
}
