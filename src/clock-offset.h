/* gst-mmap: how far another machine's clock is from this one's
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How much faster or slower than this side's the other clock may run: that of a kernel may be slewed by so much (adjtimex(2)). */
#define MMAP_CLOCK_MAX_DRIFT_PPM 500

/* What frames are placed by changes only when it is wrong by this much: each change is a new segment. Chosen: far below what is seen or heard. */
#define MMAP_CLOCK_TOLERANCE_NS (G_GINT64_CONSTANT (1000000))

/**
 * MmapClockOffset:
 * @low, @high: the offset lies between these, ns: the other clock minus this one
 * @at: when that was so, ns of this clock
 * @known: something was measured
 * @applied: what is to be used, ns: within #MMAP_CLOCK_TOLERANCE_NS, and the error, of what was measured
 * @steps: how often one of the two clocks jumped
 *
 * An interval that holds the true offset, as long as nobody lies: each exchange of time stamps gives one, and what all of them have in
 * common is kept; it grows with time, as clocks drift. Zeros at first. Not thread-safe.
 */
typedef struct
{
  gint64 low;
  gint64 high;
  gint64 at;
  gboolean known;
  gint64 applied;
  guint64 steps;
} MmapClockOffset;

/**
 * MmapClockReading:
 * @number: which measurement this is, from 1 on; 0: there was none
 * @at: when it was, ns of this clock
 * @offset: by how much the other clock was ahead of this one then, ns
 * @error: by how much that may be wrong, ns
 */
typedef struct
{
  guint64 number;
  gint64 at;
  gint64 offset;
  gint64 error;
} MmapClockReading;

/* One exchange: this side asked at @sent, the other answered at @answered of its clock, this side saw that at @received. All in ns.
 * Returns: FALSE if this can't be: it is ignored */
gboolean mmap_clock_offset_add (MmapClockOffset * offset, gint64 sent,
    gint64 answered, gint64 received);

/* Returns: by how much the middle of the interval may be wrong at @now, ns; G_MAXINT64: nothing was measured */
gint64 mmap_clock_offset_get_error (const MmapClockOffset * offset,
    gint64 now);

/* Returns: the middle of the interval, ns; 0: nothing was measured */
gint64 mmap_clock_offset_get (const MmapClockOffset * offset);

/* After some exchanges: makes @applied what was measured, if it is too far off. @same: both sides say that they are on one kernel: then no
 * measurable offset is none.
 * Returns: whether it changed */
gboolean mmap_clock_offset_apply (MmapClockOffset * offset, gboolean same,
    gint64 now);

/* Returns: CLOCK_MONOTONIC, ns */
gint64 mmap_clock_now (void);

G_END_DECLS
