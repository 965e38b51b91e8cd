/* gst-mmap: how long the sinks of a pipeline have stood still
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * GstMmapStall:
 *
 * The time, in ns, by which all sinks of a pipeline are late because one of them had to wait for its consumers. They share it, so that
 * audio and video stay together. Any thread.
 */
typedef struct _GstMmapStall GstMmapStall;

/* Returns: (transfer full): that of the pipeline that @element is in */
GstMmapStall *gst_mmap_stall_join (GstElement * element);

/* Once no element is left, it begins at 0 again. */
void gst_mmap_stall_leave (GstMmapStall * self);

GstClockTime gst_mmap_stall_get (GstMmapStall * self);

/* Adds @late to @known, what gst_mmap_stall_get() has said. Nothing happens if another element was faster. */
void gst_mmap_stall_add (GstMmapStall * self, GstClockTime known,
    GstClockTime late);

/* Running time begins at 0 again. */
void gst_mmap_stall_reset (GstMmapStall * self);

G_END_DECLS
