/* gst-mmap: how far another machine's clock is from this one's
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Pure arithmetic. Called by the thread that exchanges the time stamps.
 *
 * The answer was given between the question and its arrival: so the offset is at least answered - received, and at most answered - sent.
 * No average and no assumption on how long each way took is needed: the exchanges that were quick decide.
 */
#include "clock-offset.h"

#include <time.h>

/* Of any clock, ns: 146 years, so that no difference of two offsets overflows. */
#define MAX_TIME_NS (G_MAXINT64 / 2)

static gint64
drift_in (gint64 ns)
{
  return (ns / 1000000 + 1) * MMAP_CLOCK_MAX_DRIFT_PPM;
}

static gboolean
is_time (gint64 ns)
{
  return ns >= 0 && ns <= MAX_TIME_NS;
}

gboolean
mmap_clock_offset_add (MmapClockOffset * offset, gint64 sent,
    gint64 answered, gint64 received)
{
  gint64 low, high, drift;

  if (!is_time (sent) || !is_time (answered) || !is_time (received)
      || received < sent || (offset->known && received < offset->at))
    return FALSE;
  /* It was so at some instant between the two. */
  drift = drift_in (received - sent);
  low = answered - received - drift;
  high = answered - sent + drift;
  if (offset->known) {
    drift = drift_in (received - offset->at);
    if (offset->low - drift <= high && offset->high + drift >= low) {
      low = MAX (low, offset->low - drift);
      high = MIN (high, offset->high + drift);
    } else {
      /* Nothing in common: one of the machines was suspended, or its clock set. */
      offset->steps++;
    }
  }
  offset->low = low;
  offset->high = high;
  offset->at = received;
  offset->known = TRUE;
  return TRUE;
}

gint64
mmap_clock_offset_get_error (const MmapClockOffset * offset, gint64 now)
{
  if (!offset->known)
    return G_MAXINT64;
  return (offset->high - offset->low + 1) / 2
      + drift_in (MAX (now - offset->at, 0));
}

gint64
mmap_clock_offset_get (const MmapClockOffset * offset)
{
  return offset->low + (offset->high - offset->low) / 2;
}

gboolean
mmap_clock_offset_apply (MmapClockOffset * offset, gboolean same, gint64 now)
{
  gint64 middle = mmap_clock_offset_get (offset);
  gint64 error = mmap_clock_offset_get_error (offset, now);
  gint64 away = ABS (middle - offset->applied);

  if (!offset->known)
    return FALSE;
  if (same && offset->low <= 0 && offset->high >= 0)
    middle = 0;
  else if (away <= MMAP_CLOCK_TOLERANCE_NS || away <= error)
    return FALSE;
  if (middle == offset->applied)
    return FALSE;
  offset->applied = middle;
  return TRUE;
}

gint64
mmap_clock_now (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}
