/* gst-mmap: mmapsrc: a change of the producer's rate without a flush
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A consumer that is there when it happens hands on the event, at once: sinks then change what they make of the segment. One that comes
 * later, or whose sinks were flushed and have forgotten it, gets the segment as the producer's sink makes it of its own, and from then on
 * each change so: the rate is in it, and the running times are those at which the producer shows the frames.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsrc-private.h"

#include "gstmmapsegment.h"

#define GST_CAT_DEFAULT gst_mmap_src_debug

/* How long after the mark in the ring the event may come; chosen: it was sent before. */
#define RATE_TIMEOUT_US (G_USEC_PER_SEC)

gboolean
gst_mmap_src_hear_rate (GstMmapSrc * self, guint64 link, gboolean again)
{
  gboolean hand_on;

  g_mutex_lock (&self->flush_lock);
  hand_on = self->rate_taken_link != link
      && (!again || self->rate_heard_link == link);
  if (hand_on)
    self->rate_heard_link = link;
  g_cond_broadcast (&self->flush_cond);
  g_mutex_unlock (&self->flush_lock);
  return hand_on;
}

void
gst_mmap_src_forget_rate (GstMmapSrc * self)
{
  g_mutex_lock (&self->flush_lock);
  self->rate_heard_link = self->rate_taken_link = 0;
  g_mutex_unlock (&self->flush_lock);
}

void
gst_mmap_src_take_rate (GstMmapSrc * self)
{
  g_mutex_lock (&self->flush_lock);
  if (self->rate_heard_link == self->link)
    self->rate_taken_link = self->link;
  g_mutex_unlock (&self->flush_lock);
}

/* Whether the segment is to have what has changed the rate: it does if that was not heard of. Who has had frames of this link before may be
 * just about to. */
static gboolean
gst_mmap_src_takes_rate (GstMmapSrc * self)
{
  gint64 deadline = g_get_monotonic_time ();
  gboolean takes;

  if (self->frame_link == self->link)
    deadline += RATE_TIMEOUT_US;
  g_mutex_lock (&self->flush_lock);
  while (self->rate_heard_link != self->link
      && self->rate_taken_link != self->link && !self->unlocked
      && g_cond_wait_until (&self->flush_cond, &self->flush_lock, deadline));
  if (self->rate_heard_link != self->link)
    self->rate_taken_link = self->link;
  takes = self->rate_taken_link == self->link;
  g_mutex_unlock (&self->flush_lock);
  return takes;
}

gboolean
gst_mmap_src_handle_rate (GstMmapSrc * self, const MmapItem * item)
{
  GstSegment played;

  /* Told of again after that. */
  if (gst_mmap_src_is_before_flush (self))
    return TRUE;
  if (!gst_mmap_segment_from_wire (item->data, item->descriptor.size, &played)
      || !self->have_segment || played.format != self->segment.format)
    return FALSE;
  GST_DEBUG_OBJECT (self, "the producer plays %" GST_SEGMENT_FORMAT, &played);
  GST_OBJECT_LOCK (self);
  self->played = played;
  GST_OBJECT_UNLOCK (self);
  if (gst_mmap_src_takes_rate (self))
    self->new_segment = TRUE;
  return TRUE;
}

void
gst_mmap_src_set_segment (GstMmapSrc * self, const GstSegment * segment)
{
  GST_OBJECT_LOCK (self);
  self->segment = self->played = *segment;
  GST_OBJECT_UNLOCK (self);
  self->have_segment = TRUE;
  self->new_segment = TRUE;
}

void
gst_mmap_src_choose_segment (GstMmapSrc * self, GstSegment * segment)
{
  gboolean as_played;

  g_mutex_lock (&self->flush_lock);
  as_played = self->rate_taken_link == self->link;
  g_mutex_unlock (&self->flush_lock);
  GST_OBJECT_LOCK (self);
  self->as_played = as_played;
  *segment = self->as_played ? self->played : self->segment;
  GST_OBJECT_UNLOCK (self);
}

GstClockTime
gst_mmap_src_get_upstream_time (GstMmapSrc * self, GstClockTime running_time)
{
  GstSegment played, segment;
  gboolean as_played;
  guint64 position;

  GST_OBJECT_LOCK (self);
  as_played = self->as_played;
  played = self->played;
  segment = self->segment;
  GST_OBJECT_UNLOCK (self);
  if (!as_played || !GST_CLOCK_TIME_IS_VALID (running_time)
      || segment.format != GST_FORMAT_TIME)
    return running_time;
  position = gst_segment_position_from_running_time (&played, GST_FORMAT_TIME,
      running_time);
  return gst_segment_to_running_time (&segment, GST_FORMAT_TIME, position);
}
