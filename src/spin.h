/* gst-mmap: looking again and again for a moment, before sleeping
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * To sleep and to be woken costs both sides a system call, and a frame tens of microseconds. At full speed the other side is
 * ready much sooner than that. At 60 frames a second it is not, and looking for it would be wasted.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Spin for a moment as long as that was worth it lately. */
#define MMAP_SPIN_ADAPTIVE (-1)
/* Longer times make no sense: nobody would notice that the other side has died. */
#define MMAP_SPIN_MAX_NS (G_GINT64_CONSTANT (1000000000))

/**
 * MmapSpin:
 * @time_ns: atomic: how long to spin: MMAP_SPIN_ADAPTIVE, 0: never, or ns
 * @skip: times not to spin, because it was in vain
 * @failures: times in a row that it was in vain
 *
 * Of one thread that waits, but for @time_ns.
 */
typedef struct
{
  gint64 time_ns;
  guint skip;
  guint failures;
} MmapSpin;

/* TRUE if there is no need to wait any longer. Called often: it looks at a few words. */
typedef gboolean (*MmapSpinReady) (gpointer data);

/* @time_ns: MMAP_SPIN_ADAPTIVE, or 0 to MMAP_SPIN_MAX_NS */
void mmap_spin_set_time (MmapSpin * spin, gint64 time_ns);

/* Calls @ready until it is TRUE or the time, but at most @most_ns, is over. FALSE: sleep now. */
gboolean mmap_spin (MmapSpin * spin, gint64 most_ns, MmapSpinReady ready,
    gpointer data);

G_END_DECLS
