/* gst-mmap: makes CLOCK_MONOTONIC of a process run faster or slower than the kernel's: to be preloaded
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * By MMAP_TEST_SKEW millionths, from where it stands when it is first asked. What waits until an instant of the kernel's clock wakes as much
 * too early or too late.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL

__attribute__((visibility ("default")))
     int clock_gettime (clockid_t id, struct timespec *time)
{
  static long long began;
  const char *skew = getenv ("MMAP_TEST_SKEW");
  long long now, first = 0;

  if (syscall (SYS_clock_gettime, id, time) < 0)
    return -1;
  if (id != CLOCK_MONOTONIC || !skew)
    return 0;
  now = time->tv_sec * NS_PER_S + time->tv_nsec;
  __atomic_compare_exchange_n (&began, &first, now, 0, __ATOMIC_RELAXED,
      __ATOMIC_RELAXED);
  now += (now - (first ? first : now)) / 1000 * atoi (skew) / 1000;
  time->tv_sec = now / NS_PER_S;
  time->tv_nsec = now % NS_PER_S;
  return 0;
}
