/* gst-mmap: the benchmark's sink element
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "benchsrc.h"
#include "measure.h"

#include <gst/base/gstbasesink.h>

G_BEGIN_DECLS

#define BENCH_TYPE_SINK (bench_sink_get_type ())
G_DECLARE_FINAL_TYPE (BenchSink, bench_sink, BENCH, SINK, GstBaseSink)

/* Once, before it runs.
 * @touch_all: read every byte of each frame
 * @first: called once, from the streaming thread, with the first frame
 * @done: the same, when the window is over */
void bench_sink_configure (BenchSink * self, gboolean touch_all,
    BenchDoneFunc first, BenchDoneFunc done, gpointer user_data);

/* Returns: CLOCK_MONOTONIC of the first frame, nanoseconds */
gint64 bench_sink_get_first_ns (BenchSink * self);

/* What was measured, after the window; without braces. */
void bench_sink_to_json (BenchSink * self, GString * json);

G_END_DECLS
