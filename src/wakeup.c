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
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

gboolean
mmap_waker_make_fds (int *wake_fd, int *sleep_fd)
{
  struct epoll_event event = {.events = EPOLLIN | EPOLLET };

  *wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  *sleep_fd = epoll_create1 (EPOLL_CLOEXEC);
  return *wake_fd >= 0 && *sleep_fd >= 0
      && epoll_ctl (*sleep_fd, EPOLL_CTL_ADD, *wake_fd, &event) == 0;
}

gboolean
mmap_sleeper_check_fd (int fd)
{
  struct epoll_event event;

  return epoll_wait (fd, &event, 1, 0) >= 0 || errno == EINTR;
}

void
mmap_sleeper_prepare (MmapSleeper * sleeper)
{
  sleeper->count++;
  mmap_store_relaxed (sleeper->word, sleeper->count);
  /* The word is visible before the rings are looked at again. Pairs with the fence in mmap_waker_wake(). */
  mmap_fence_full ();
}

gboolean
mmap_sleeper_add_fd (const MmapSleeper * sleeper, int fd, guint32 tag)
{
  struct epoll_event event = {.events = EPOLLIN,.data.u32 = tag };

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

  sleeper->count++;
  mmap_store_relaxed (sleeper->word, sleeper->count);
  /* Takes the edge. A wake-up that comes late ends the next sleep early. */
  if (signalled)
    while (epoll_wait (sleeper->fd, &event, 1, 0) < 0 && errno == EINTR);
}

gboolean
mmap_waker_wake (MmapWaker * waker)
{
  guint64 one = 1;
  guint32 count;

  /* What was published is visible before the word is looked at. Pairs with the fence in mmap_sleeper_prepare(). */
  mmap_fence_full ();
  count = mmap_load_relaxed (waker->word);
  if (!(count & 1) || count == waker->woken)
    return FALSE;

  waker->woken = count;
  waker->wakeups++;
  /* Nobody reads it: it counts up, and would be full after 2^64 wake-ups. */
  while (write (waker->fd, &one, sizeof one) < 0 && errno == EINTR);
  return TRUE;
}
