/* gst-mmap: tests of regions in huge pages
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Whether the kernel can is asked by a bare system call first, and said in the output: where it can, regions must have
 * them, on both sides; where it can't, they must do without.
 */
#include "error.h"
#include "leak-check.h"
#include "region.h"
#include "system-faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ADVICE_COLLAPSE 25
#define HUGE (G_GUINT64_CONSTANT (2) << 20)
/* Four huge pages, and a tail of less than one. */
#define SIZE (4 * HUGE + 72 * 4096)

static gboolean kernel_can;

static gboolean
ask_kernel (void)
{
  int fd = memfd_create ("gst-mmap-test", MFD_CLOEXEC);
  guint8 *room = mmap (NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
      -1, 0);
  guint8 *base = room + HUGE - (guintptr) room % HUGE;
  gboolean can;

  g_assert_true (room != MAP_FAILED);
  g_assert_cmpint (ftruncate (fd, HUGE), ==, 0);
  g_assert_true (mmap (base, HUGE, PROT_READ | PROT_WRITE,
          MAP_SHARED | MAP_FIXED, fd, 0) == base);
  base[0] = 1;
  can = syscall (SYS_madvise, base, HUGE, ADVICE_COLLAPSE) == 0;
  g_test_message ("madvise(MADV_COLLAPSE) of a memfd: %s",
      can ? "huge pages are tested" : g_strerror (errno));
  munmap (room, 2 * HUGE);
  close (fd);
  return can;
}

/* Bytes of this process's mapping at @base that are in huge pages: "ShmemPmdMapped:  8192 kB". */
static guint64
get_mapped_huge (const guint8 * base)
{
  char *text, **lines;
  guint64 kib = 0;
  guint i;
  gboolean ours = FALSE;

  g_assert_true (g_file_get_contents ("/proc/self/smaps", &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  for (i = 0; lines[i]; i++) {
    guint64 start, end, value;

    if (sscanf (lines[i], "%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x ",
            &start, &end) == 2)
      ours = start == (guintptr) base;
    else if (ours && (sscanf (lines[i], "ShmemPmdMapped: %" G_GUINT64_FORMAT,
                &value) == 1
            || sscanf (lines[i], "FilePmdMapped: %" G_GUINT64_FORMAT,
                &value) == 1))
      kib += value;
  }
  g_strfreev (lines);
  g_free (text);
  return kib * 1024;
}

static guint64
get_allocated (const MmapRegion * region)
{
  struct stat st;

  g_assert_cmpint (fstat (region->fd, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, region->size);
  return st.st_blocks * 512;
}

static void
reserve_all (MmapRegion * region)
{
  GError *error = NULL;

  while (region->reserved < region->size) {
    guint64 before = region->reserved;

    g_assert_true (mmap_region_reserve_more (region, 1 << 20, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (region->reserved, >, before);
    g_assert_cmpuint (get_allocated (region), ==, region->reserved);
  }
}

/* @opened: the other side's mapping of @region, of which all is reserved */
static void
check_both (MmapRegion * region, MmapRegion * opened, guint64 huge)
{
  guint64 i;

  g_assert_cmpuint (region->huge_bytes, ==, huge);
  g_assert_cmpuint (get_allocated (region), ==, SIZE);
  g_assert_true (mmap_region_may_read (opened, SIZE));
  mmap_region_populate (opened, 0, SIZE);
  g_assert_cmpuint (get_mapped_huge (region->base), ==, huge);
  g_assert_cmpuint (get_mapped_huge (opened->base), ==, huge);
  for (i = sizeof (MmapRegionHeader); i < SIZE; i += 512)
    g_assert_cmpuint (region->base[i], ==, 0);
  for (i = sizeof (MmapRegionHeader); i < SIZE; i += 1000)
    region->base[i] = i;
  for (i = sizeof (MmapRegionHeader); i < SIZE; i += 1000)
    g_assert_cmpuint (opened->base[i], ==, i & 0xff);
}

static void
check_memfd (guint64 huge)
{
  GError *error = NULL;
  MmapRegion *region =
      mmap_region_begin_memfd (SIZE, 20000, 1, 1, TRUE, &error);
  MmapRegion *opened;

  g_assert_no_error (error);
  /* The first, too, in which there is something already. */
  g_assert_cmpuint (region->reserved, ==, huge > 0 ? HUGE : 20480);
  g_assert_cmpuint (get_allocated (region), ==, region->reserved);
  opened = mmap_region_open_fd (dup (region->fd), SIZE, &error);
  g_assert_no_error (error);
  reserve_all (region);
  check_both (region, opened, huge);
  mmap_region_unref (opened);
  mmap_region_unref (region);
}

static void
test_memfd (void)
{
  check_memfd (kernel_can ? 4 * HUGE : 0);
}

static void
test_file (void)
{
  char *path = g_strdup_printf ("/dev/shm/gst-mmap-test-%d-huge", getpid ());
  GError *error = NULL;
  MmapRegion *region = mmap_region_begin_file (path, SIZE, 0, 1, 1, &error);
  MmapRegion *opened;

  g_assert_no_error (error);
  opened = mmap_region_open_path (path, SIZE, &error);
  g_assert_no_error (error);
  reserve_all (region);
  check_both (region, opened, kernel_can ? 4 * HUGE : 0);
  mmap_region_unlink (region);
  mmap_region_unref (opened);
  mmap_region_unref (region);
  g_free (path);
}

/* Too small for any, wherever the kernel put it: nothing is rounded. */
static void
test_small (void)
{
  MmapRegion *regions[4];
  GError *error = NULL;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (regions); i++) {
    MmapRegion *region =
        mmap_region_begin_memfd (HUGE - 4096, 0, 1, 1, TRUE, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (region->reserved, ==, MMAP_REGION_MIN_BYTES);
    g_assert_true (mmap_region_reserve_more (region, 4096, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (region->reserved, ==, MMAP_REGION_MIN_BYTES + 4096);
    reserve_all (region);
    g_assert_cmpuint (region->huge_bytes, ==, 0);
    regions[i] = region;
  }
  for (i = 0; i < G_N_ELEMENTS (regions); i++)
    mmap_region_unref (regions[i]);
}

/* --- kernels that can't, or not now --- */

static void
refuse_collapse (gconstpointer errnum)
{
  fail_system_call (SYS_madvise, 2, ADVICE_COLLAPSE, GPOINTER_TO_INT (errnum));
  check_memfd (0);
}

static void
test_refused (void)
{
  run_in_child (refuse_collapse, GINT_TO_POINTER (EINVAL));
  run_in_child (refuse_collapse, GINT_TO_POINTER (ENOMEM));
  run_in_child (refuse_collapse, GINT_TO_POINTER (EAGAIN));
}

/* A file system that has no room for another huge page has room for what the region has. */
static void
fill_tmpfs (gconstpointer data)
{
  char *path = g_build_filename (data, "region", NULL);
  GError *error = NULL;
  MmapRegion *region;

  if (!mount_small_tmpfs (data, SIZE))
    g_error ("Can't mount a tmpfs, as root");
  region = mmap_region_begin_file (path, SIZE, 0, 1, 1, &error);
  g_assert_no_error (error);
  reserve_all (region);
  g_assert_cmpuint (region->huge_bytes, ==, kernel_can ? 4 * HUGE : 0);
  /* No SIGBUS */
  memset (region->base + sizeof (MmapRegionHeader), 0xa5,
      SIZE - sizeof (MmapRegionHeader));
  mmap_region_unlink (region);
  mmap_region_unref (region);
  g_free (path);
}

/* What others have taken in the meantime is missed where it is needed, and is not a signal. */
static void
lose_room (gconstpointer data)
{
  char *path = g_build_filename (data, "region", NULL);
  char *other = g_build_filename (data, "other", NULL);
  GError *error = NULL;
  MmapRegion *region;
  guint64 before;
  int fd;

  if (!mount_small_tmpfs (data, SIZE))
    g_error ("Can't mount a tmpfs, as root");
  region = mmap_region_begin_file (path, SIZE, 0, 1, 1, &error);
  g_assert_no_error (error);
  before = region->reserved;
  fd = open (other, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  g_assert_cmpint (fallocate (fd, 0, 0, SIZE - before - HUGE / 2), ==, 0);
  g_assert_false (mmap_region_reserve_more (region, HUGE, &error));
  g_assert_error (error, MMAP_ERROR, MMAP_ERROR_NO_SPACE);
  g_clear_error (&error);
  g_assert_cmpuint (region->reserved, ==, before);
  close (fd);
  unlink (other);
  reserve_all (region);
  mmap_region_unlink (region);
  mmap_region_unref (region);
  g_free (path);
  g_free (other);
}

static void
test_tmpfs (void)
{
  char *directory = g_dir_make_tmp ("gst-mmap-test-XXXXXX", NULL);

  g_assert_nonnull (directory);
  run_in_child (fill_tmpfs, directory);
  run_in_child (lose_room, directory);
  rmdir (directory);
  g_free (directory);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  kernel_can = ask_kernel ();
  leak_check_add_test ("/region-huge/memfd", test_memfd);
  leak_check_add_test ("/region-huge/file", test_file);
  leak_check_add_test ("/region-huge/small", test_small);
  leak_check_add_test ("/region-huge/refused", test_refused);
  leak_check_add_test ("/region-huge/tmpfs", test_tmpfs);
  return g_test_run ();
}
