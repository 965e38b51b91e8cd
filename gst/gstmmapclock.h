/* gst-mmap: a clock that follows another machine's
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "clock-offset.h"

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_MMAP_CLOCK (gst_mmap_clock_get_type ())
G_DECLARE_FINAL_TYPE (GstMmapClock, gst_mmap_clock, GST, MMAP_CLOCK,
    GstSystemClock);

/**
 * GstMmapClock:
 *
 * The CLOCK_MONOTONIC of a producer on another machine, slaved to what was measured of it, but for where it begins: it goes on from what this
 * machine's says, and doesn't jump when the other one does, or is replaced by another machine's. Until something is known it is as fast as
 * this machine's. What was measured is taken from one thread at a time; the time can be read by any.
 */

/* Returns: (transfer full) */
GstMmapClock *gst_mmap_clock_new (void);

/* Takes what was measured. Readings that are too inexact to be of use are ignored: the clock goes on at the speed that it has.
 * Returns: whether the other clock has jumped, or is known now for the first time */
gboolean gst_mmap_clock_follow (GstMmapClock * self,
    const MmapClockReading * reading);

/* @origin: (out): what this clock says when the other one says 0, ns. FALSE: nothing is known of that. */
gboolean gst_mmap_clock_get_origin (GstMmapClock * self, gint64 * origin);

G_END_DECLS
