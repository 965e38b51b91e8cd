/* gst-mmap: wake-ups that are asked for through a shared word
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Who is awake costs the other side one load, no system call. A sleeper raises its word, looks at the rings once
 * more, then sleeps; a waker writes the rings, then looks at the word: one of the two sees the other.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Where nobody can be woken, each side sleeps a while and looks again: a little longer each time, up to an interval. Chosen: the first steps are
 * what a timer can do; at the default a frame is a millisecond late at most. */
#define MMAP_POLL_MIN_NS (G_GINT64_CONSTANT (50000))
#define MMAP_POLL_MAX_NS (G_GINT64_CONSTANT (1000000000))
#define MMAP_POLL_DEFAULT_NS (G_GINT64_CONSTANT (1000000))

/* @nap_us: the last sleep; 0: there was news since
 * @interval_ns: the longest
 * Returns: how long to sleep next, microseconds; to be kept in @nap_us */
gint64 mmap_poll_get_nap (gint64 nap_us, gint64 interval_ns);

/**
 * MmapSleeper:
 * @word: (nullable): %NULL: the other side doesn't wake this one. shared: written by this side; odd: asleep, or about to be
 * @cpu: (nullable): shared: written by this side: the processor on which it goes to sleep, counted from 1; for sides of one kernel
 * @count: private copy of @word
 */
typedef struct
{
  guint32 *word;
  guint32 *cpu;
  guint32 count;
} MmapSleeper;

/**
 * MmapWaker:
 * @word: shared: the other side's sleep word
 * @cpu: (nullable): shared: the other side's processor; a hint: it may be anything
 * @woken: the value of @word for which it was woken: it is woken once per sleep
 * @wakeups: how often it was woken
 */
typedef struct
{
  guint32 *word;
  guint32 *cpu;
  guint32 woken;
  guint64 wakeups;
} MmapWaker;

/* Says that this side is about to sleep. The caller looks at what it waits for once more after this, then sleeps. */
void mmap_sleeper_prepare (MmapSleeper * sleeper);

/* Says that this side is awake. */
void mmap_sleeper_finish (MmapSleeper * sleeper);

/* Whether the other side sleeps and was not woken yet: then it is to be woken now. Call it after publishing and mmap_fence_full(). */
gboolean mmap_waker_is_due (MmapWaker * waker);

/* Whether the other side fell asleep on the processor that this thread is on: then it can't run before this one lets go of it, unless the
 * kernel moves one of the two. Not a system call. */
gboolean mmap_waker_shares_cpu (const MmapWaker * waker);

/* --- threads of one process --- */

/* Returns: an eventfd; -1 with errno set */
int mmap_wake_fd_new (void);

/* Returns: an epoll descriptor that becomes readable with each signal of @wake_fd, once; -1 with errno set */
int mmap_wake_fd_watch (int wake_fd);

/* Makes @wake_fd readable. */
void mmap_wake_fd_signal (int wake_fd);

G_END_DECLS
