/* gst-mmap: are the atomic operations of a host and a guest on the memory that they share atomic to each other?
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * atomics FILE SIDE N: sides 0 and 1 run at the same time, and each adds one N times to one word, and N times to another by
 * compare-and-swap. Exits with 0 if nothing was lost. FILE begins with zeros; ivshmem will do.
 */
#include "ivshmem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT_US (60 * G_USEC_PER_SEC)

/* Each word on a cache line of its own. */
typedef struct
{
  guint64 word __attribute__((aligned (64)));
} Line;

typedef struct
{
  Line here[2];
  Line done[2];
  Line added;
  Line swapped;
} Shared;

static void
wait_for (const guint64 * word, const char *what)
{
  gint64 end = g_get_monotonic_time () + LIMIT_US;

  while (__atomic_load_n (word, __ATOMIC_SEQ_CST) == 0) {
    if (g_get_monotonic_time () > end) {
      fprintf (stderr, "atomics: the other side is not %s\n", what);
      exit (1);
    }
    g_usleep (100);
  }
}

static Shared *
map (const char *file)
{
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  struct stat st;
  void *base;
  int fd;

  path = mmap_ivshmem_is_name (file) ? mmap_ivshmem_find (file, &error)
      : g_strdup (file);
  if (!path) {
    fprintf (stderr, "atomics: %s\n", error->message);
    exit (1);
  }
  fd = open (path, O_RDWR | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &st) < 0
      || (base = mmap (NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
              fd, 0)) == MAP_FAILED) {
    perror (path);
    exit (1);
  }
  close (fd);
  printf ("%s has %lld bytes\n", path, (long long) st.st_size);
  return base;
}

int
main (int argc, char **argv)
{
  guint64 i, n, expected, added, swapped;
  Shared *shared;
  guint side;

  if (argc != 4) {
    fprintf (stderr, "atomics FILE SIDE N\n");
    return 2;
  }
  shared = map (argv[1]);
  side = argv[2][0] == '1';
  n = g_ascii_strtoull (argv[3], NULL, 10);
  __atomic_store_n (&shared->here[side].word, 1, __ATOMIC_SEQ_CST);
  wait_for (&shared->here[!side].word, "there");
  for (i = 0; i < n; i++) {
    guint64 seen = __atomic_load_n (&shared->swapped.word, __ATOMIC_SEQ_CST);

    __atomic_fetch_add (&shared->added.word, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_compare_exchange_n (&shared->swapped.word, &seen, seen + 1,
            0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  }
  __atomic_store_n (&shared->done[side].word, n, __ATOMIC_SEQ_CST);
  wait_for (&shared->done[!side].word, "done");
  expected = n + __atomic_load_n (&shared->done[!side].word, __ATOMIC_SEQ_CST);
  added = __atomic_load_n (&shared->added.word, __ATOMIC_SEQ_CST);
  swapped = __atomic_load_n (&shared->swapped.word, __ATOMIC_SEQ_CST);
  printf ("added %" G_GUINT64_FORMAT ", swapped %" G_GUINT64_FORMAT
      ", expected %" G_GUINT64_FORMAT "\n", added, swapped, expected);
  return added == expected && swapped == expected ? 0 : 1;
}
