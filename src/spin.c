/* gst-mmap: looking again and again for a moment, before sleeping
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Adaptive spinning knows nothing of processors: if both sides share one, if the other is stopped, or if frames are far apart, then
 * it is in vain, and that is all that it need know.
 */
#include "spin.h"

#include "atomics.h"

#include <time.h>

/* About what it costs to sleep and to be woken; chosen: see docs/performance.md. */
#define ADAPTIVE_NS 20000
/* After 2^n failures in a row the next 2^n - 1 waits go without, at most these: what is lost is less than 0.1 us per wait. */
#define MAX_SKIP_BITS 8
/* Looks between two readings of the clock; chosen: the clock costs about as much as they. */
#define LOOKS 8

static gint64
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

static inline void
relax (void)
{
#if defined (__x86_64__) || defined (__i386__)
  __builtin_ia32_pause ();
#elif defined (__aarch64__)
  __asm__ volatile ("isb":::"memory");
#endif
}

void
mmap_spin_set_time (MmapSpin * spin, gint64 time_ns)
{
  mmap_store_relaxed (&spin->time_ns, time_ns);
}

static gboolean
look (gint64 time_ns, MmapSpinReady ready, gpointer data)
{
  gint64 end = now_ns () + time_ns;
  guint i;

  do {
    for (i = 0; i < LOOKS; i++) {
      if (ready (data))
        return TRUE;
      relax ();
    }
  } while (now_ns () < end);
  return FALSE;
}

static gboolean
look_if_worth (MmapSpin * spin, gint64 time_ns, MmapSpinReady ready,
    gpointer data)
{
  if (spin->skip > 0) {
    spin->skip--;
    return FALSE;
  }
  if (look (time_ns, ready, data)) {
    spin->failures = 0;
    return TRUE;
  }
  spin->failures = MIN (spin->failures + 1, MAX_SKIP_BITS);
  spin->skip = (1u << spin->failures) - 1;
  return FALSE;
}

gboolean
mmap_spin (MmapSpin * spin, gint64 most_ns, MmapSpinReady ready, gpointer data)
{
  gint64 time_ns = mmap_load_relaxed (&spin->time_ns);

  if (time_ns < 0)
    return look_if_worth (spin, MIN (ADAPTIVE_NS, most_ns), ready, data);
  time_ns = MIN (time_ns, most_ns);
  return time_ns > 0 && look (time_ns, ready, data);
}
