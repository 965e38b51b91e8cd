/* gst-mmap: sleeping on words, where both sides are on one kernel
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What the kernel waits for at once, less the word of this process's own. */
#define MMAP_FUTEX_MAX 127

/**
 * MmapFutex:
 * @word: shared: the waker's; changes with each wake-up
 * @seen: what it was, when it was read before the last look at what is waited for
 */
typedef struct
{
  guint32 *word;
  guint32 seen;
} MmapFutex;

/* Whether this process can wait for @word, and others wake it there: Linux 5.16 or later, and memory that the kernel knows for one from two
 * processes. That of a device isn't. */
gboolean mmap_futex_is_usable (guint32 * word);

/* Changes @word, which nobody else writes, and wakes all who wait for it, in any process: one system call.
 * @count: private copy of it */
void mmap_futex_wake (guint32 * word, guint32 * count);

/* The same of a word of this process's own, which any of its threads changes. */
void mmap_futex_wake_own (guint32 * word);

/* Sleeps until one of the words is not as it was seen: one system call. It may end early.
 * @own: of this process
 * @others: @n of them, at most MMAP_FUTEX_MAX
 * @timeout_us: at most
 * FALSE: all of the time has passed. */
gboolean mmap_futex_wait (const MmapFutex * own, const MmapFutex * others,
    guint n, gint64 timeout_us);

G_END_DECLS
