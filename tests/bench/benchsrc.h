/* gst-mmap: the benchmark's source element
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "measure.h"

#include <gst/base/gstpushsrc.h>

G_BEGIN_DECLS

#define BENCH_TYPE_SRC (bench_src_get_type ())
G_DECLARE_FINAL_TYPE (BenchSrc, bench_src, BENCH, SRC, GstPushSrc)

/**
 * BenchSrcConfig:
 * @caps: (transfer none): of raw video
 * @fps: 0: as fast as downstream takes them
 * @n_buffers: frames of the pool
 * @heap: take frames from memory of the source's own, whatever downstream proposes
 * @spin: wait for the time of a frame awake: a source that never leaves its processor, as who asks for spin-time has
 * @touch_all: write every byte of each frame; otherwise the header alone
 * @warm_up_ns: from bench_src_go() to the window, at least
 * @window_ns: length of the window
 */
typedef struct
{
  GstCaps *caps;
  gdouble fps;
  guint n_buffers;
  gboolean heap;
  gboolean spin;
  gboolean touch_all;
  gint64 warm_up_ns;
  gint64 window_ns;
} BenchSrcConfig;

/* Called once, from the streaming thread. */
typedef void (*BenchDoneFunc) (gpointer user_data);

/* Once, before it runs. @begun: the window begins; @done: it is over */
void bench_src_configure (BenchSrc * self, const BenchSrcConfig * config,
    BenchDoneFunc begun, BenchDoneFunc done, gpointer user_data);

/* Every consumer has seen a frame: the warm-up begins. */
void bench_src_go (BenchSrc * self);

/* What was measured, after the window; without braces. */
void bench_src_to_json (BenchSrc * self, GString * json);

G_END_DECLS
