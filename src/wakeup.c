/* gst-mmap: wake-ups that are asked for through a shared word
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A sleeper is used by the one thread that waits; a waker under the lock of the side that publishes or releases.
 */
#include "wakeup.h"

#include "atomics.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int
mmap_wake_fd_new (void)
{
  return eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
}

int
mmap_wake_fd_watch (int wake_fd)
{
  struct epoll_event event = {.events = EPOLLIN | EPOLLET };
  int fd = epoll_create1 (EPOLL_CLOEXEC);

  if (fd >= 0 && epoll_ctl (fd, EPOLL_CTL_ADD, wake_fd, &event) < 0) {
    close (fd);
    return -1;
  }
  return fd;
}

void
mmap_wake_fd_signal (int wake_fd)
{
  guint64 one = 1;

  /* Nobody reads it: it counts up, and would be full after 2^64 signals. */
  while (write (wake_fd, &one, sizeof one) < 0 && errno == EINTR);
}

gint64
mmap_poll_get_nap (gint64 nap_us, gint64 interval_ns)
{
  gint64 next = MAX (2 * nap_us, MMAP_POLL_MIN_NS / 1000);

  return CLAMP (next, 1, MAX (interval_ns / 1000, 1));
}

/* Counted from 1; 0: not known. */
static guint32
get_cpu (void)
{
  return (guint32) (sched_getcpu () + 1);
}

void
mmap_sleeper_prepare (MmapSleeper * sleeper)
{
  if (!sleeper->word)
    return;
  if (sleeper->cpu)
    mmap_store_relaxed (sleeper->cpu, get_cpu ());
  sleeper->count++;
  mmap_store_relaxed (sleeper->word, sleeper->count);
  /* The word is visible before the rings are looked at again. Pairs with the fences before mmap_waker_is_due(). */
  mmap_fence_full ();
}

void
mmap_sleeper_finish (MmapSleeper * sleeper)
{
  if (!sleeper->word)
    return;
  sleeper->count++;
  mmap_store_relaxed (sleeper->word, sleeper->count);
}

gboolean
mmap_waker_is_due (MmapWaker * waker)
{
  guint32 count = mmap_load_relaxed (waker->word);

  if (!(count & 1) || count == waker->woken)
    return FALSE;
  waker->woken = count;
  waker->wakeups++;
  return TRUE;
}

gboolean
mmap_waker_shares_cpu (const MmapWaker * waker)
{
  guint32 cpu = waker->cpu ? mmap_load_relaxed (waker->cpu) : 0;

  return cpu != 0 && cpu == get_cpu ();
}
