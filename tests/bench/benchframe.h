/* gst-mmap: what the benchmark's source writes into each frame, for its sink
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define BENCH_MAGIC G_GUINT64_CONSTANT (0x68636e65622d706d)

/**
 * BenchPhase:
 * @BENCH_WARM_UP: not measured
 * @BENCH_WINDOW: measured
 * @BENCH_OVER: sent slowly until the source is stopped, so that every sink learns that the window is over
 *
 * The source decides, and writes it into each frame: both sides measure over the same frames.
 */
typedef enum
{
  BENCH_WARM_UP,
  BENCH_WINDOW,
  BENCH_OVER
} BenchPhase;

/* At the start of each frame. */
typedef struct
{
  guint64 magic;
  guint64 sequence;
  gint64 sent_ns;               /* CLOCK_MONOTONIC, when the frame was complete */
  guint32 phase;                /* BenchPhase */
  guint32 reserved;
} BenchHeader;

G_STATIC_ASSERT (sizeof (BenchHeader) == 32);

G_END_DECLS
