/* gst-mmap: a clock that follows another machine's
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * GstClock's own regression over the last readings gives the speed. It is the other side's word: so it is limited to what a kernel does,
 * and whatever else it says is a jump.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapclock.h"

#define PPM (G_GINT64_CONSTANT (1000000))

/* Of two readings a second: 16 s. As many as GstClock takes by default. */
#define WINDOW 32

/* With less exact ones the clock would be a worse one than this machine's. */
#define MAX_ERROR_NS (5 * GST_MSECOND)

/* Of what one clock is ahead of another: 73 years, so that no sum of two overflows. */
#define MAX_OFFSET_NS (G_MAXINT64 >> 2)

/* What is not explained by the error of a reading and the speed of the clocks is a jump if it is more than this. */
#define JUMP_NS (GST_MSECOND)

struct _GstMmapClock
{
  GstSystemClock parent;

  gboolean known;
  gint64 origin;
  gint64 at;                    /* of the last reading */
};

G_DEFINE_TYPE (GstMmapClock, gst_mmap_clock, GST_TYPE_SYSTEM_CLOCK);

/* What it says at @at. */
static gint64
get_time (GstMmapClock * self, gint64 at)
{
  GstClockTime internal, external, numerator, denominator;

  gst_clock_get_calibration (GST_CLOCK (self), &internal, &external,
      &numerator, &denominator);
  return gst_clock_adjust_with_calibration (GST_CLOCK (self), at, internal,
      external, numerator, denominator);
}

/* From the instant of @reading on, at the speed that it had: nothing that was measured before counts. */
static void
begin (GstMmapClock * self, const MmapClockReading * reading)
{
  gint64 time = get_time (self, reading->at);
  GstClockTime internal, external, numerator, denominator;
  gdouble r_squared;

  gst_clock_get_calibration (GST_CLOCK (self), &internal, &external,
      &numerator, &denominator);
  gst_clock_set_calibration (GST_CLOCK (self), reading->at, time, numerator,
      denominator);
  self->origin = time - reading->at - reading->offset;
  self->known = TRUE;
  /* Which empties the window. */
  g_object_set (self, "window-size", WINDOW, NULL);
  gst_clock_add_observation_unapplied (GST_CLOCK (self), reading->at, time,
      &r_squared, &internal, &external, &numerator, &denominator);
}

static gboolean
is_fast_as_a_clock (GstClockTime numerator, GstClockTime denominator)
{
  gdouble rate = (gdouble) numerator / denominator;

  return ABS (rate - 1) * PPM <= MMAP_CLOCK_MAX_DRIFT_PPM;
}

gboolean
gst_mmap_clock_follow (GstMmapClock * self, const MmapClockReading * reading)
{
  gint64 away, explained, time;
  GstClockTime internal, external, numerator, denominator;
  gdouble r_squared;

  if (reading->error > (gint64) MAX_ERROR_NS
      || reading->offset > MAX_OFFSET_NS || reading->offset < -MAX_OFFSET_NS
      || (self->known && reading->at <= self->at))
    return FALSE;
  time = reading->at + reading->offset + self->origin;
  away = ABS (time - get_time (self, reading->at));
  /* One may be as much too fast as the other is too slow. */
  explained = reading->error + JUMP_NS
      + (reading->at - self->at) / PPM * 2 * MMAP_CLOCK_MAX_DRIFT_PPM;
  self->at = reading->at;
  if (!self->known || away > explained) {
    begin (self, reading);
    return TRUE;
  }
  if (gst_clock_add_observation_unapplied (GST_CLOCK (self), reading->at, time,
          &r_squared, &internal, &external, &numerator, &denominator)
      && denominator > 0 && is_fast_as_a_clock (numerator, denominator))
    gst_clock_set_calibration (GST_CLOCK (self), internal, external, numerator,
        denominator);
  return FALSE;
}

gboolean
gst_mmap_clock_get_origin (GstMmapClock * self, gint64 * origin)
{
  *origin = self->origin;
  return self->known;
}

GstMmapClock *
gst_mmap_clock_new (void)
{
  GstMmapClock *self = g_object_new (GST_TYPE_MMAP_CLOCK, "name", "mmapclock",
      "clock-type", GST_CLOCK_TYPE_MONOTONIC, "window-size", WINDOW, NULL);

  return g_object_ref_sink (self);
}

static void
gst_mmap_clock_init (GstMmapClock * self)
{
}

static void
gst_mmap_clock_class_init (GstMmapClockClass * klass)
{
}
