/* gst-mmap: what this machine can do at most, measured in every round of the benchmark
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Prints one JSON object: the round trip between two processes that sleep on a futex, and the speed of memcpy from heap
 * memory into shared memory for frames of 3 MB (1080p I420) and 32 MB (4K BGRx).
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUND_TRIPS 1000
#define SMALL_BYTES (1920 * 1080 * 3 / 2)
#define LARGE_BYTES (3840 * 2160 * 4)
#define COPY_BYTES (128 << 20)  /* of each size; chosen: some 30 ms */
/* As the pools: what is written next was not written just before. */
#define N_FRAMES 4

static int64_t
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C (1000000000) + now.tv_nsec;
}

static void
die (const char *what)
{
  fprintf (stderr, "bench-floor: %s: %s\n", what, strerror (errno));
  exit (1);
}

static void *
shared_memory (size_t bytes)
{
  void *memory = mmap (NULL, bytes, PROT_READ | PROT_WRITE,
      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

  if (memory == MAP_FAILED)
    die ("mmap");
  return memory;
}

static void
set_and_wake (_Atomic uint32_t * word, uint32_t value)
{
  atomic_store (word, value);
  syscall (SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void
wait_for (_Atomic uint32_t * word, uint32_t value)
{
  uint32_t seen;

  while ((seen = atomic_load (word)) != value)
    syscall (SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static double
futex_round_trip_us (void)
{
  _Atomic uint32_t *there = shared_memory (4096);
  _Atomic uint32_t *back = there + 32;
  int64_t begin;
  uint32_t i;
  pid_t child = fork ();

  if (child < 0)
    die ("fork");
  if (child == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    for (i = 1; i <= ROUND_TRIPS; i++) {
      wait_for (there, i);
      set_and_wake (back, i);
    }
    _exit (0);
  }
  begin = now_ns ();
  for (i = 1; i <= ROUND_TRIPS; i++) {
    set_and_wake (there, i);
    wait_for (back, i);
  }
  begin = now_ns () - begin;
  waitpid (child, NULL, 0);
  return begin / 1e3 / ROUND_TRIPS;
}

static double
memcpy_gb_per_s (size_t frame)
{
  char *from = malloc (frame), *to = shared_memory (N_FRAMES * frame);
  int i, n = COPY_BYTES / frame;
  int64_t begin;

  if (!from)
    die ("malloc");
  memset (from, 1, frame);
  memset (to, 1, N_FRAMES * frame);
  begin = now_ns ();
  for (i = 0; i < n; i++)
    memcpy (to + i % N_FRAMES * frame, from, frame);
  begin = now_ns () - begin;
  free (from);
  munmap (to, N_FRAMES * frame);
  return (double) n *frame / begin;
}

int
main (void)
{
  double futex_us = futex_round_trip_us ();
  double small = memcpy_gb_per_s (SMALL_BYTES);
  double large = memcpy_gb_per_s (LARGE_BYTES);

  printf ("{\"futex_round_trip_us\": %.2f, \"memcpy_3mb_gb_per_s\": %.2f, "
      "\"memcpy_32mb_gb_per_s\": %.2f}\n", futex_us, small, large);
  return 0;
}
