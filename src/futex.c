/* gst-mmap: sleeping on words, where both sides are on one kernel
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A waker counts its word up, then wakes who waits there; a sleeper has read the word before its last look, and the kernel lets nobody sleep
 * whose word is another by then. Several words at once, one of them of this process alone, are what futex_waitv(2) is for. Any thread.
 */
#include "futex.h"

#include "atomics.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Chosen: who tries again after that costs no processor that could be seen. */
#define FAILED_WAIT_US 1000

static gboolean
has_waitv (void)
{
  static gsize answer = 0;

  /* Without words it is an error that only a kernel has which knows it. */
  if (g_once_init_enter (&answer)) {
    gboolean has = syscall (SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0
        && errno == EINVAL;

    g_once_init_leave (&answer, 1 + has);
  }
  return answer == 2;
}

static gboolean
wake (guint32 * word, int operation)
{
  return syscall (SYS_futex, word, operation, G_MAXINT, NULL, NULL, 0) >= 0;
}

gboolean
mmap_futex_is_usable (guint32 * word)
{
  return has_waitv () && wake (word, FUTEX_WAKE);
}

void
mmap_futex_wake (guint32 * word, guint32 * count)
{
  /* Ordered after what was published by the fence before mmap_waker_is_due(), before the look for sleepers by the kernel. */
  mmap_store_relaxed (word, ++*count);
  wake (word, FUTEX_WAKE);
}

void
mmap_futex_wake_own (guint32 * word)
{
  __atomic_fetch_add (word, 1, __ATOMIC_RELEASE);
  wake (word, FUTEX_WAKE_PRIVATE);
}

gboolean
mmap_futex_wait (const MmapFutex * own, const MmapFutex * others, guint n,
    gint64 timeout_us)
{
  struct futex_waitv words[1 + MMAP_FUTEX_MAX] = {
    {own->seen, (guintptr) own->word, FUTEX_32 | FUTEX_PRIVATE_FLAG, 0}
  };
  struct timespec until;
  guint i;

  clock_gettime (CLOCK_MONOTONIC, &until);
  timeout_us += until.tv_nsec / 1000;
  until.tv_sec += timeout_us / G_USEC_PER_SEC;
  until.tv_nsec = timeout_us % G_USEC_PER_SEC * 1000;
  for (i = 0; i < n; i++)
    words[1 + i] = (struct futex_waitv) {
    others[i].seen, (guintptr) others[i].word, FUTEX_32, 0
    };
  if (syscall (SYS_futex_waitv, words, 1 + n, 0, &until, CLOCK_MONOTONIC) >= 0
      || errno == EAGAIN || errno == EINTR)
    return TRUE;
  if (errno == ETIMEDOUT)
    return FALSE;
  /* The memory has gone, or the kernel has none. */
  g_usleep (FAILED_WAIT_US);
  return TRUE;
}
