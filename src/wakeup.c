/* gst-mmap: wake-ups through an eventfd, asked for through a shared word
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A sleeper is used by the one thread that waits; a waker under the lock of the side that publishes or releases.
 *
 * The eventfd stays with the side that writes it. Were it shared, its flags were, too: who makes it blocking and full stops the
 * other side in write(2), under its lock. The other side gets an epoll descriptor that watches it, edge-triggered: it can
 * wait for the next write, and nothing else, and nothing need be read.
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

gboolean
mmap_sleeper_check_fd (int fd)
{
  struct epoll_event event;

  return epoll_wait (fd, &event, 1, 0) >= 0 || errno == EINTR;
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

gboolean
mmap_sleeper_add_fd (const MmapSleeper * sleeper, int fd, guint32 tag)
{
  struct epoll_event event = {.events = EPOLLIN,.data = {.u32 = tag} };

  return epoll_ctl (sleeper->fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void
mmap_sleeper_remove_fd (const MmapSleeper * sleeper, int fd)
{
  epoll_ctl (sleeper->fd, EPOLL_CTL_DEL, fd, NULL);
}

guint32
mmap_sleeper_sleep (const MmapSleeper * sleeper)
{
  struct epoll_event events[4];
  int i, n = epoll_wait (sleeper->fd, events, G_N_ELEMENTS (events), -1);
  guint32 tags = 0;

  for (i = 0; i < n; i++)
    tags |= events[i].data.u32;
  return tags;
}

void
mmap_sleeper_finish (MmapSleeper * sleeper, gboolean signalled)
{
  struct epoll_event event;

  if (!sleeper->word)
    return;
  sleeper->count++;
  mmap_store_relaxed (sleeper->word, sleeper->count);
  /* Takes the edge. A wake-up that comes late ends the next sleep early. */
  if (signalled)
    while (epoll_wait (sleeper->fd, &event, 1, 0) < 0 && errno == EINTR);
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

gboolean
mmap_waker_wake (MmapWaker * waker, int wake_fd)
{
  /* What was published is visible before the word is looked at. Pairs with the fence in mmap_sleeper_prepare(). */
  mmap_fence_full ();
  if (!mmap_waker_is_due (waker))
    return FALSE;
  mmap_wake_fd_signal (wake_fd);
  return TRUE;
}
