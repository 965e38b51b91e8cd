/* gst-mmap: segments as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsegment.h"

#include <math.h>
#include <string.h>

/* Segment flags that have a meaning in another pipeline; chosen: all that GStreamer 1.22 defines. */
#define SEGMENT_FLAGS (GST_SEGMENT_FLAG_RESET | GST_SEGMENT_FLAG_TRICKMODE \
    | GST_SEGMENT_FLAG_SEGMENT | GST_SEGMENT_FLAG_TRICKMODE_KEY_UNITS \
    | GST_SEGMENT_FLAG_TRICKMODE_FORWARD_PREDICTED \
    | GST_SEGMENT_FLAG_TRICKMODE_NO_AUDIO)

void
gst_mmap_segment_to_wire (const GstSegment * segment, MmapSegment * wire)
{
  wire->flags = segment->flags;
  wire->format = segment->format;
  wire->rate = segment->rate;
  wire->applied_rate = segment->applied_rate;
  wire->base = segment->base;
  wire->offset = segment->offset;
  wire->start = segment->start;
  wire->stop = segment->stop;
  wire->time = segment->time;
  wire->position = segment->position;
  wire->duration = segment->duration;
}

/* What GStreamer takes for granted, and complains of as a bug of its caller. */
static gboolean
makes_sense (const MmapSegment * wire)
{
  guint64 stop = wire->stop;

  if (!gst_format_get_details (wire->format) || wire->rate == 0.0
      || wire->applied_rate == 0.0 || !isfinite (wire->rate)
      || !isfinite (wire->applied_rate))
    return FALSE;
  /* Backwards begins at the end: there must be one. */
  if (stop == MMAP_TIME_NONE && wire->duration != MMAP_TIME_NONE)
    stop = wire->start + wire->duration;
  return wire->rate > 0.0 || (stop != MMAP_TIME_NONE && stop >= wire->offset);
}

gboolean
gst_mmap_segment_from_wire (gconstpointer data, gsize size,
    GstSegment * segment)
{
  MmapSegment wire;

  if (size != sizeof wire)
    return FALSE;
  memcpy (&wire, data, sizeof wire);
  if (!makes_sense (&wire))
    return FALSE;

  gst_segment_init (segment, wire.format);
  segment->flags = wire.flags & SEGMENT_FLAGS;
  segment->rate = wire.rate;
  segment->applied_rate = wire.applied_rate;
  segment->base = wire.base;
  segment->offset = wire.offset;
  segment->start = wire.start;
  segment->stop = wire.stop;
  segment->time = wire.time;
  segment->position = wire.position;
  segment->duration = wire.duration;
  return TRUE;
}
