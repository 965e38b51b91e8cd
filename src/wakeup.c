/* gst-mmap: wake-ups through an eventfd, asked for through a shared word
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A sleeper is used by the one thread that waits; a waker under the lock of the side that publishes or releases.
 */
#include "wakeup.h"

#include "atomics.h"

#include <errno.h>
#include <unistd.h>

void
mmap_sleeper_prepare (MmapSleeper * sleeper)
{
  sleeper->count++;
  mmap_store_relaxed (sleeper->word, sleeper->count);
  /* The word is visible before the rings are looked at again. Pairs with the fence in mmap_waker_wake(). */
  mmap_fence_full ();
}

void
mmap_sleeper_finish (MmapSleeper * sleeper, gboolean signalled)
{
  guint64 value;

  sleeper->count++;
  mmap_store_relaxed (sleeper->word, sleeper->count);
  /* Nothing to read is fine: the descriptor doesn't block. A wake-up that comes late ends the next sleep early. */
  if (signalled)
    while (read (sleeper->fd, &value, sizeof value) < 0 && errno == EINTR);
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
  /* EAGAIN: the counter is full, so the other side is being woken already. */
  while (write (waker->fd, &one, sizeof one) < 0 && errno == EINTR);
  return TRUE;
}
