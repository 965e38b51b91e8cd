/* gst-mmap: what a process of the fault suite leaves behind, also when it is killed
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* More producers than any consumer outlives: the controller lets all leave long before. */
#define RECORD_MAX_RUNS 1024

typedef enum
{
  RECORD_RUN,
  RECORD_HOLD,                  /* a producer: send nothing more, when the caps are those of the last frame */
  RECORD_DROP,                  /* a consumer: keep no frames */
  RECORD_AUDIT                  /* a producer that holds, without consumers: make your source stop, and count what is not free */
} RecordCommand;

typedef enum
{
  RECORD_STARTING,
  RECORD_PLAYING,
  RECORD_HELD,
  RECORD_DROPPED,
  RECORD_AUDITED,
  RECORD_ENDED,                 /* orderly */
  RECORD_FAILED                 /* of its own, and stderr says why */
} RecordState;

/* Frames of one link without a gap that was not announced. */
typedef struct
{
  guint64 producer;
  guint64 cycle;                /* times that the consumer was started anew inside of its process */
  guint64 first;
  guint64 last;
  guint64 missed;               /* numbers in between that did not come, as the element said before */
  guint64 reserved[3];
} RecordRun;

/**
 * Record:
 *
 * Lies in a file that the process and the controller have mapped: what is written is there whatever happens to the process. All is
 * written by the process but @command. faults.py knows these words by their places.
 */
typedef struct
{
  guint64 command;              /* RecordCommand; of the controller */
  guint64 state;                /* RecordState */
  guint64 number;               /* producer: of the last frame that it began to send */
  guint64 published;            /* producer: of the last frame that it has sent */
  guint64 frames;               /* consumer: that arrived */
  guint64 last_ns;              /* consumer: when the last arrived, CLOCK_MONOTONIC */
  guint64 torn;                 /* consumer: whose bytes were not as they should be, when they came or when they were given back */
  guint64 strange;              /* consumer: whose caps, offset or metadata were not theirs */
  guint64 links;                /* producer: consumers that are connected */
  guint64 cycle;                /* consumer */
  guint64 end_of_stream;        /* consumer: it came */
  guint64 leaked_blocks;        /* producer, audited: not free, bytes of them, ids not given back, links */
  guint64 leaked_publications;
  guint64 leaked_links;
  guint64 n_runs;
  guint64 reserved[17];
  RecordRun runs[RECORD_MAX_RUNS];
} Record;

G_STATIC_ASSERT (sizeof (RecordRun) == 64);
G_STATIC_ASSERT (G_STRUCT_OFFSET (Record, n_runs) == 14 * 8);
G_STATIC_ASSERT (G_STRUCT_OFFSET (Record, runs) == 256);

static inline guint64
record_get (const guint64 * word)
{
  return __atomic_load_n (word, __ATOMIC_ACQUIRE);
}

static inline void
record_set (guint64 * word, guint64 value)
{
  __atomic_store_n (word, value, __ATOMIC_RELEASE);
}

G_END_DECLS
