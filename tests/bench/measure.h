/* gst-mmap: what the benchmark measures of a process
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Buckets per power of two: a value is known to 0.8 %. */
#define HISTOGRAM_BITS 7
/* Above 2^36 ns, 69 s, all values fall into the last bucket. */
#define HISTOGRAM_BUCKETS ((36 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

typedef struct
{
  guint32 counts[HISTOGRAM_BUCKETS];
  gint64 max_ns;
} Histogram;

/**
 * Snapshot:
 * @ns: CLOCK_MONOTONIC
 * @cpu_ns: user and system time of the process
 * @switches_voluntary: context switches because a thread waited
 * @switches_involuntary: context switches because another thread had to run
 * @ready_ns: how long this thread was ready to run, but another had its processor
 * @faults: page faults, with and without I/O
 * @syscalls: system calls since measure_count_syscalls(); -1: not counted
 */
typedef struct
{
  gint64 ns;
  gint64 cpu_ns;
  gint64 switches_voluntary;
  gint64 switches_involuntary;
  gint64 ready_ns;
  gint64 faults;
  gint64 syscalls;
} Snapshot;

/* Returns: CLOCK_MONOTONIC, nanoseconds: the same in all processes of a machine */
gint64 measure_now_ns (void);

/* Counts system calls of this thread and of those that it starts from now on, with the tracepoint raw_syscalls:sys_enter.
 * Slows each down a little. FALSE: not permitted here. */
gboolean measure_count_syscalls (void);

void measure_snapshot (Snapshot * snapshot);

void histogram_add (Histogram * histogram, gint64 ns);

/* {"max_ns": ..., "buckets": [[middle of the bucket in ns, count], ...]} without the empty ones */
void histogram_to_json (const Histogram * histogram, GString * json);

/* "wall_ns": ..., and the other differences of both snapshots, without braces. */
void measure_span_to_json (const Snapshot * begin, const Snapshot * end,
    GString * json);

/* Returns: resident memory of this process, bytes; 0 if that can't be read */
guint64 measure_rss (void);

/* "rss": ..., "pss": ..., "shared": ..., "pss_shmem": ..., bytes, from /proc/self/smaps_rollup, without braces. */
void measure_memory_to_json (GString * json);

G_END_DECLS
