/* gst-mmap: wake-ups through a pair of sockets, asked for through a shared word
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A sleeper is used by the one thread that waits; a waker under the lock of the side that publishes or releases.
 *
 * Sockets and no eventfd, because the two sides share an eventfd's flags: who makes it blocking and full stops the other
 * side in write(2), under its lock. Each side has an end of its own here, and says with each call that it doesn't wait and
 * wants no signal. Datagrams, because a stream's end would be readable for ever once the other side has closed its own.
 */
#include "wakeup.h"

#include "atomics.h"

#include <errno.h>
#include <sys/socket.h>

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
  guint8 byte;

  sleeper->count++;
  mmap_store_relaxed (sleeper->word, sleeper->count);
  /* Nothing to read is fine. A wake-up that comes late, or more than one, ends the next sleep early. */
  if (signalled)
    while (recv (sleeper->fd, &byte, sizeof byte, MSG_DONTWAIT) < 0
        && errno == EINTR);
}

gboolean
mmap_waker_wake (MmapWaker * waker)
{
  guint8 byte = 1;
  guint32 count;

  /* What was published is visible before the word is looked at. Pairs with the fence in mmap_sleeper_prepare(). */
  mmap_fence_full ();
  count = mmap_load_relaxed (waker->word);
  if (!(count & 1) || count == waker->woken)
    return FALSE;

  waker->woken = count;
  waker->wakeups++;
  /* EAGAIN: there is so much to read that the other side is being woken already. */
  while (send (waker->fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_NOSIGNAL) < 0
      && errno == EINTR);
  return TRUE;
}
