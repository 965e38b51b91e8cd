/* gst-mmap: how far the producer's clock is from the consumer's, measured in a link slot
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "area-protocol.h"
#include "clock-offset.h"

G_BEGIN_DECLS

/**
 * MmapAreaClock:
 *
 * The consumer's side: asks the producer now and then what time it is there. Run by one thread; the results are for any.
 */
typedef struct
{
  MmapMailbox *mailbox;
  gboolean near;
  MmapClockOffset offset;
  guint64 asked;
  gint64 asked_ns;              /* -1: no question is open */
  gint64 next_us;
  guint n_rounds;
  /* atomics, for other threads */
  gboolean wanted;              /* a frame was placed since it was measured last */
  guint64 number;               /* that of the last reading */
  gint64 applied;

  GMutex lock;
  MmapClockReading reading;     /* under the lock */
} MmapAreaClock;

/* @clock: zeros. @near: both sides say that they are on one kernel, which is not proof of one clock: there are time namespaces, and guests that were
 * restored from one snapshot */
void mmap_area_clock_init (MmapAreaClock * clock, MmapMailbox * mailbox,
    gboolean near);

/* Does what is to be done now: takes a millisecond at most.
 * Returns: in how many microseconds it is to be called again, at the latest */
gint64 mmap_area_clock_run (MmapAreaClock * clock, gint64 now_us);

/* Any thread, these. What is to be subtracted from the producer's times, ns; 0 until something is known. To be asked for each time: a clock that
 * nobody asks for isn't measured. */
gint64 mmap_area_clock_use (MmapAreaClock * clock);
gboolean mmap_area_clock_is_known (const MmapAreaClock * clock);

/* What was measured last, unless it is what @reading holds: then nothing changes, and that takes no lock.
 * @reading: (inout): zeros at first
 * Returns: whether there is something new */
gboolean mmap_area_clock_read (MmapAreaClock * clock,
    MmapClockReading * reading);

/* The same, as of now: what was measured may have changed since then.
 * @error: (out): ns; G_MAXUINT64: nothing is known */
void mmap_area_clock_get (MmapAreaClock * clock, gint64 * offset,
    guint64 * error);

/**
 * MmapAreaClockAnswers:
 *
 * The producer's side. Zeros at first.
 */
typedef struct
{
  guint64 answered;
} MmapAreaClockAnswers;

/* Returns: whether there was a question */
gboolean mmap_area_clock_answer (MmapAreaClockAnswers * answers,
    MmapMailbox * mailbox);

/* After that: waits, a millisecond at most, for the quick questions that follow it. */
void mmap_area_clock_answer_more (MmapAreaClockAnswers * answers,
    MmapMailbox * mailbox);

G_END_DECLS
