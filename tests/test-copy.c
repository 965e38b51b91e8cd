/* gst-mmap: tests of copying a frame into the region
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`.
 */
#include "copy.h"
#include "leak-check.h"

#include <string.h>
#include <sys/mman.h>

#define N_ALIGNMENTS 64
#define SMALL_BYTES 300
/* What is copied page beside page, and what in one line. */
#define GROUP_BYTES (4 * 4096)
#define LINE_BYTES 64
/* On both sides of a copy, and a multiple of every alignment. */
#define GUARD_BYTES 128
#define GUARD 0xa5

typedef void (*Copy) (void *to, const void *from, gsize size);

typedef struct
{
  guint8 *from, *to;            /* at a multiple of 64 */
  gsize size;
  guint8 *memory;
} Areas;

static void
areas_init (Areas * areas, gsize size)
{
  gsize each = (GUARD_BYTES + N_ALIGNMENTS + size + GUARD_BYTES) / 64 * 64 + 64;
  gsize i;

  areas->size = each;
  areas->memory = g_malloc (2 * each + 64);
  areas->from = (guint8 *) (((guintptr) areas->memory + 63) / 64 * 64);
  areas->to = areas->from + each;
  /* No byte is as one nearby, at a distance that an error may have. */
  for (i = 0; i < each; i++)
    areas->from[i] = i * 7 + i / 251 + i / 4096 * 3;
  memset (areas->to, GUARD, each);
}

static void
areas_clear (Areas * areas)
{
  g_free (areas->memory);
}

static gboolean
is_guard (const guint8 * bytes, gsize size)
{
  gsize i;

  for (i = 0; i < size; i++)
    if (bytes[i] != GUARD)
      return FALSE;
  return TRUE;
}

/* It is what memcpy makes, and the guards are as they were. */
static void
check (Areas * areas, Copy copy, gsize to_at, gsize from_at, gsize size)
{
  guint8 *to = areas->to + GUARD_BYTES + to_at;
  const guint8 *from = areas->from + from_at;

  copy (to, from, size);
  if (memcmp (to, from, size) != 0)
    g_error ("%" G_GSIZE_FORMAT " bytes to %" G_GSIZE_FORMAT " from %"
        G_GSIZE_FORMAT " are not the same", size, to_at, from_at);
  if (!is_guard (to - GUARD_BYTES, GUARD_BYTES)
      || !is_guard (to + size, GUARD_BYTES))
    g_error ("%" G_GSIZE_FORMAT " bytes to %" G_GSIZE_FORMAT " from %"
        G_GSIZE_FORMAT " go beyond", size, to_at, from_at);
  memset (to, GUARD, size);
}

/* Heads, lines and tails of every length, before there is a page. */
static void
test_alignments (void)
{
  gsize to, from, size;
  Areas areas;

  areas_init (&areas, SMALL_BYTES);
  for (to = 0; to < N_ALIGNMENTS; to++)
    for (from = 0; from < N_ALIGNMENTS; from++)
      for (size = 0; size <= SMALL_BYTES; size++)
        check (&areas, mmap_copy_stream, to, from, size);
  areas_clear (&areas);
}

/* One by one with a @step of 1; a larger one leaves some out. */
static void
check_around (Copy copy, gsize around, gsize step)
{
  static const gsize froms[] = { 0, 1, 15, 16, 33, 63 };
  gsize to, size;
  Areas areas;
  guint i;

  areas_init (&areas, around + LINE_BYTES + 1);
  for (to = 0; to < N_ALIGNMENTS; to += step)
    for (i = 0; i < G_N_ELEMENTS (froms); i++)
      for (size = around - LINE_BYTES - 1; size <= around + LINE_BYTES + 1;
          size += step)
        check (&areas, copy, to, froms[i], size);
  areas_clear (&areas);
}

static void
test_pages (void)
{
  check_around (mmap_copy_stream, GROUP_BYTES, 1);
  check_around (mmap_copy_stream, 3 * GROUP_BYTES + 4096, 13);
}

static void
test_threshold (void)
{
  Areas areas;
  gsize size;

  areas_init (&areas, MMAP_COPY_STREAM_BYTES + 1);
  for (size = MMAP_COPY_STREAM_BYTES - 1; size <= MMAP_COPY_STREAM_BYTES + 1;
      size++) {
    check (&areas, mmap_copy, 0, 0, size);
    check (&areas, mmap_copy, 0, 17, size);
    check (&areas, mmap_copy, 63, 1, size);
  }
  for (size = 0; size <= SMALL_BYTES; size++)
    check (&areas, mmap_copy, size % N_ALIGNMENTS, size / 7, size);
  areas_clear (&areas);
}

/* @size bytes, whole pages, between two pages that can't be touched. */
static guint8 *
map_island (gsize size)
{
  guint8 *base = mmap (NULL, size + 2 * 4096, PROT_NONE,
      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  g_assert_true (base != MAP_FAILED);
  g_assert_cmpint (mprotect (base + 4096, size, PROT_READ | PROT_WRITE), ==, 0);
  return base + 4096;
}

static void
unmap_island (guint8 * island, gsize size)
{
  g_assert_cmpint (munmap (island - 4096, size + 2 * 4096), ==, 0);
}

/* A byte that is read or written too far ends the program. */
static void
test_reaches_no_further (void)
{
  const gsize bytes = 2 * GROUP_BYTES;
  guint8 *from = map_island (bytes), *to = map_island (bytes);
  gsize size;

  memset (from, 7, bytes);
  for (size = 0; size <= bytes; size += size < SMALL_BYTES ? 1 : 61) {
    mmap_copy_stream (to, from, size);
    mmap_copy_stream (to + bytes - size, from + bytes - size, size);
    mmap_copy_stream (to, from + bytes - size, size);
    mmap_copy_stream (to + bytes - size, from, size);
  }
  mmap_copy_stream (to, from, bytes);
  g_assert_cmpmem (to, bytes, from, bytes);
  unmap_island (from, bytes);
  unmap_island (to, bytes);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/copy/alignments", test_alignments);
  leak_check_add_test ("/copy/pages", test_pages);
  leak_check_add_test ("/copy/threshold", test_threshold);
  leak_check_add_test ("/copy/reaches-no-further", test_reaches_no_further);
  return g_test_run ();
}
