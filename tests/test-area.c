/* gst-mmap: tests of areas: how they are cut, made, formatted, checked and removed
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "area-private.h"
#include "error.h"
#include "leak-check.h"
#include "peers.h"
#include "region.h"
#include "system-faults.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (G_GUINT64_CONSTANT (4) << 20)
#define GIB (G_GUINT64_CONSTANT (1) << 30)

static MmapUsers *users;

static MmapArea *
open_area (const char *path, guint64 size, GError ** error)
{
  static const MmapMode own = MMAP_MODE_OWN;

  return mmap_area_open (path, size, &own, users, error);
}

static MmapArea *
must_open (const char *path, guint64 size)
{
  GError *error = NULL;
  MmapArea *area = open_area (path, size, &error);

  g_assert_no_error (error);
  return area;
}

/* As a VM's memory: it was there before. */
static char *
make_file (const char *name, guint64 size)
{
  char *path = leak_check_path (name);
  int fd = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (ftruncate (fd, size), ==, 0);
  close (fd);
  return path;
}

static void
remove_file (char *path)
{
  g_assert_cmpint (unlink (path), ==, 0);
  g_free (path);
}

static void
check_refused (const char *path, MmapError code, const char *reason)
{
  GError *error = NULL;

  g_assert_null (open_area (path, 0, &error));
  check_error (&error, code, reason);
}

/* --- cutting --- */

static void
check_cut (guint64 size)
{
  guint64 bytes;
  guint count;

  mmap_area_cut (size, &bytes, &count);
  g_assert_cmpuint (bytes & (bytes - 1), ==, 0);
  g_assert_cmpuint (bytes, >=, MMAP_AREA_MIN_SLICE_BYTES);
  g_assert_cmpuint (count, <=, MMAP_AREA_MAX_SLICES);
  /* Whole slices, and less than one is left. */
  g_assert_cmpuint (count * bytes, <=, size);
  g_assert_cmpuint (size - count * bytes, <, bytes);
  /* As small as they may be. */
  g_assert_true (bytes == MMAP_AREA_MIN_SLICE_BYTES
      || size / (bytes / 2) > MMAP_AREA_MAX_SLICES);
}

static void
test_cut (void)
{
  guint64 size;
  gint off;

  for (size = MMAP_AREA_MIN_BYTES; size <= MMAP_REGION_MAX_BYTES; size *= 2)
    for (off = -4097; off <= 4097; off++)
      check_cut (size + off);
  for (size = MMAP_AREA_MIN_BYTES; size <= MMAP_REGION_MAX_BYTES;
      size += size / 7)
    check_cut (size);
}

/* --- sizes --- */

static void
test_sizes (void)
{
  static const guint64 sizes[] = { MMAP_AREA_MIN_BYTES,
    MMAP_AREA_MIN_BYTES + 1, 3 * 1000 * 1000, 5 * MMAP_AREA_MIN_BYTES + 4095
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    char *path = make_file ("area-sizes", sizes[i]);
    MmapArea *area = must_open (path, 0);

    g_assert_cmpuint (area->size, ==, sizes[i]);
    g_assert_true (mmap_area_check (area, NULL));
    g_assert_cmpuint (area->start->header.size, ==, sizes[i]);
    /* To its last byte. */
    area->base[sizes[i] - 1] = 1;
    mmap_area_unref (area);
    remove_file (path);
  }
}

static void
test_sizes_refused (void)
{
  char *path = make_file ("area-small", MMAP_AREA_MIN_BYTES - 1);

  check_refused (path, MMAP_ERROR_TOO_SMALL, "1048575 bytes");
  g_assert_cmpint (truncate (path, MMAP_REGION_MAX_BYTES + 1), ==, 0);
  check_refused (path, MMAP_ERROR_SIZE, "at most");
  remove_file (path);
}

/* Holes: nothing of it is there but what is used. */
static void
test_large (void)
{
  guint64 sizes[] = { 4 * GIB, 5 * GIB + 4096, 32 * GIB };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    char *path = make_file ("area-large", sizes[i]);
    MmapArea *area = must_open (path, 0);
    struct stat st;

    g_assert_cmpuint (area->size, ==, sizes[i]);
    g_assert_cmpuint (area->slice_count * area->slice_bytes, >, 3 * GIB);
    /* In the last slice, beyond what 32 bits can say. */
    g_assert_true (mmap_area_reserve (area,
            (area->slice_count - 1) * area->slice_bytes, 4096, NULL));
    area->base[(area->slice_count - 1) * area->slice_bytes + 4095] = 7;
    g_assert_cmpint (stat (path, &st), ==, 0);
    g_assert_cmpuint (st.st_blocks * 512, <, 1 << 20);
    mmap_area_unref (area);
    remove_file (path);
  }
}

/* --- formatting --- */

static void
test_formatted_once (void)
{
  g_autofree char *path = make_file ("area-format", SIZE);
  MmapArea *first = must_open (path, 0), *second;
  MmapAreaStart *before = g_memdup2 (first->start, sizeof *before);

  first->start->owners[5] = before->owners[5] = 17;
  second = must_open (path, 0);
  g_assert_cmpmem (second->start, sizeof *before, before, sizeof *before);
  g_assert_false (mmap_area_restore (second));
  mmap_area_unref (first);
  mmap_area_unref (second);
  g_free (before);
  g_assert_cmpint (unlink (path), ==, 0);
}

/* One that formatted it died in between, at each word; others, too, may be about to write theirs. */
static void
test_formatted_by_halves (void)
{
  char *path = make_file ("area-halves", SIZE);
  MmapArea *area = must_open (path, 0);
  MmapAreaHeader whole = area->start->header;
  gsize done;

  for (done = sizeof whole.magic; done <= 64; done += 4) {
    MmapArea *other;

    memset (area->start, 0, sizeof *area->start);
    memcpy ((guint8 *) area->start + 8, (guint8 *) & whole + 8, done - 8);
    g_assert_false (mmap_area_check (area, NULL));
    other = must_open (path, 0);
    g_assert_cmpmem (&area->start->header, sizeof whole, &whole, sizeof whole);
    mmap_area_unref (other);
  }
  mmap_area_unref (area);
  remove_file (path);
}

/* What is not ours is left as it is. */
static void
check_left_alone (MmapArea * area, MmapError code, const char *reason)
{
  MmapAreaStart *before = g_memdup2 (area->start, sizeof *before);

  check_refused (area->path, code, reason);
  g_assert_cmpmem (area->start, sizeof *before, before, sizeof *before);
  memset (area->start, 0, sizeof *area->start);
  g_free (before);
}

static void
test_not_ours (void)
{
  char *path = make_file ("area-foreign", SIZE);
  MmapArea *area = must_open (path, 0);
  MmapAreaHeader good = area->start->header;
  guint i;

  /* Any word behind what is written when it is formatted. */
  memset (area->start, 0, sizeof *area->start);
  for (i = 64; i < sizeof *area->start; i += 997) {
    ((guint8 *) area->start)[i] = 1;
    check_left_alone (area, MMAP_ERROR_NOT_A_REGION, "gst-mmap format");
  }
  memcpy (area->start, "\x7f" "ELF", 4);
  check_left_alone (area, MMAP_ERROR_NOT_A_REGION, "0x7f454c46");
  /* Begun, by somebody who sees another size. */
  area->start->header.size = SIZE + 4096;
  check_left_alone (area, MMAP_ERROR_NOT_A_REGION, "not empty");
  area->start->header = good;
  area->start->header.size = SIZE / 2;
  check_left_alone (area, MMAP_ERROR_SIZE, "2097152");
  area->start->header = good;
  area->start->header.version++;
  check_left_alone (area, MMAP_ERROR_VERSION, "version");
  area->start->header = good;
  area->start->header.slice_bytes /= 2;
  check_left_alone (area, MMAP_ERROR_LAYOUT, "slices");
  area->start->header = good;
  area->start->header.channel_count = 17;
  check_left_alone (area, MMAP_ERROR_LAYOUT, "17");
  mmap_area_unref (area);
  remove_file (path);
}

/* A consumer makes nothing, and says what it waits for. */
static void
test_existing (void)
{
  char *path = leak_check_path ("area-existing");
  GError *error = NULL;
  MmapArea *area;

  g_assert_null (mmap_area_open_existing (path, users, &error));
  check_error (&error, MMAP_ERROR_NOT_FOUND, "is not there");
  g_free (path);
  path = make_file ("area-existing", 0);
  g_assert_null (mmap_area_open_existing (path, users, &error));
  check_error (&error, MMAP_ERROR_NOT_FOUND, "is not there");
  g_assert_cmpint (truncate (path, SIZE), ==, 0);
  g_assert_null (mmap_area_open_existing (path, users, &error));
  check_error (&error, MMAP_ERROR_NOT_FOUND, "not formatted yet");
  mmap_area_unref (must_open (path, 0));
  area = mmap_area_open_existing (path, users, &error);
  g_assert_no_error (error);
  mmap_area_unref (area);
  remove_file (path);
}

/* Each word of the header, whatever was written there. */
static void
test_restored (void)
{
  g_autofree char *path = leak_check_path ("area-restored");
  MmapArea *area = must_open (path, SIZE);
  MmapAreaHeader good = area->start->header;
  guint i;

  for (i = 0; i < 40; i += 4) {
    ((guint32 *) & area->start->header)[i / 4] ^= 0x55aa55aa;
    g_assert_true (mmap_area_restore (area));
    g_assert_cmpmem (&area->start->header, 44, &good, 44);
    g_assert_false (mmap_area_restore (area));
  }
  memset (area->start, 0xff, sizeof *area->start);
  g_assert_true (mmap_area_restore (area));
  g_assert_cmpmem (&area->start->header, 44, &good, 44);
  mmap_area_remove_if_unused (area);
  mmap_area_unref (area);
}

/* --- several processes --- */

/* Returns: what main () would */
static int
open_at (const char *path, gint64 at_us)
{
  g_autoptr (GError) error = NULL;
  MmapArea *area;

  while (g_get_monotonic_time () < at_us);
  area = open_area (path, 0, &error);
  if (!area || !mmap_area_check (area, &error)) {
    g_printerr ("%s\n", error->message);
    return 1;
  }
  /* Others may look at it already. */
  area->start->owners[1 + getpid () % 8] = getpid ();
  mmap_area_unref (area);
  return 0;
}

/* A file that is there, or isn't. */
static void
open_in_many (const char *path)
{
  gint64 at_us = g_get_monotonic_time () + 20000;
  pid_t children[4];
  int status;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (children); i++) {
    children[i] = fork ();
    if (children[i] == 0)
      _exit (open_at (path, at_us));
  }
  for (i = 0; i < G_N_ELEMENTS (children); i++) {
    g_assert_cmpint (waitpid (children[i], &status, 0), ==, children[i]);
    g_assert_cmpint (status, ==, 0);
  }
}

static void
test_at_once (void)
{
  guint round;

  for (round = 0; round < 10; round++) {
    char *path = make_file ("area-at-once", SIZE);

    open_in_many (path);
    remove_file (path);
    path = leak_check_path ("area-at-once");
    open_in_many (path);
    remove_file (path);
  }
}

/* --- removing --- */

static void
test_removed (void)
{
  g_autofree char *path = leak_check_path ("area-removed");
  MmapArea *area = must_open (path, SIZE), *other;

  other = must_open (path, 0);
  mmap_area_remove_if_unused (area);
  mmap_area_unref (area);
  g_assert_cmpint (access (path, F_OK), ==, 0);
  mmap_area_remove_if_unused (other);
  mmap_area_unref (other);
  g_assert_cmpint (access (path, F_OK), ==, -1);
}

/* Of another size, that nobody uses: it is made anew, unless it was there before. */
static void
test_other_size (void)
{
  g_autofree char *path = leak_check_path ("area-other");
  MmapArea *area = must_open (path, SIZE), *other;

  other = must_open (path, 2 * SIZE);
  g_assert_cmpuint (other->size, ==, SIZE);
  mmap_area_unref (area);
  mmap_area_unref (other);
  area = must_open (path, 2 * SIZE);
  g_assert_cmpuint (area->size, ==, 2 * SIZE);
  mmap_area_remove_if_unused (area);
  mmap_area_unref (area);
  g_free (make_file ("area-other", SIZE));
  area = must_open (path, 2 * SIZE);
  g_assert_cmpuint (area->size, ==, SIZE);
  mmap_area_unref (area);
  g_assert_cmpint (unlink (path), ==, 0);
}

/* A guest writes into its device that a producer has made the file behind it. */
static void
test_memory_of_vm (void)
{
  g_autofree char *path = make_file ("area-vm", SIZE);
  MmapArea *area = must_open (path, 0);

  area->start->header.flags = MMAP_AREA_MADE;
  mmap_area_unref (area);
  area = must_open (path, 2 * SIZE);
  g_assert_cmpuint (area->size, ==, SIZE);
  mmap_area_remove_if_unused (area);
  mmap_area_unref (area);
  area = mmap_area_open_existing (path, users, NULL);
  mmap_area_remove_if_unused (area);
  mmap_area_unref (area);
  g_assert_cmpint (unlink (path), ==, 0);
}

/* --- where an offer says that a region is --- */

static void
check_no_region (MmapArea * area, guint64 offset, guint64 size, MmapError code)
{
  GError *error = NULL;

  g_assert_null (mmap_region_open_window (area, offset, size, &error));
  check_error (&error, code, "");
}

/* A page that can't be read follows the mapping, as a guard: whoever reads there ends. */
static void
test_windows_refused (void)
{
  char *path = make_file ("area-windows", SIZE);
  MmapArea *area = must_open (path, 0);
  guint64 slice = area->slice_bytes;

  check_no_region (area, 0, slice, MMAP_ERROR_SIZE);
  check_no_region (area, slice + 4096, slice, MMAP_ERROR_SIZE);
  check_no_region (area, slice, SIZE, MMAP_ERROR_SIZE);
  check_no_region (area, SIZE, slice, MMAP_ERROR_SIZE);
  check_no_region (area, SIZE, 0, MMAP_ERROR_NOT_A_REGION);
  check_no_region (area, SIZE - slice, 4096, MMAP_ERROR_NOT_A_REGION);
  check_no_region (area, G_MAXUINT64 - slice + 1, slice, MMAP_ERROR_SIZE);
  check_no_region (area, slice, G_MAXUINT64, MMAP_ERROR_SIZE);
  check_no_region (area, slice, slice, MMAP_ERROR_NOT_A_REGION);
  mmap_area_unref (area);
  remove_file (path);
}

static void
limit_file_size (gconstpointer path)
{
  const struct rlimit limit = { SIZE - 4096, SIZE - 4096 };
  GError *error = NULL;

  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  g_assert_null (open_area (path, SIZE, &error));
  check_error (&error, MMAP_ERROR_NO_SPACE, "ulimit");
}

/* Not the end of the process. */
static void
test_limit (void)
{
  g_autofree char *path = leak_check_path ("area-limit");

  run_in_child (limit_file_size, path);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

/* --- what isn't believed in --- */

static void
test_not_believed (void)
{
  char *path = make_file ("area-users", SIZE), *link;
  GError *error = NULL;

  if (geteuid () == 0) {
    g_assert_cmpint (chown (path, 12345, -1), ==, 0);
    check_refused (path, MMAP_ERROR_UNSAFE_PATH, "user 12345");
    g_assert_null (mmap_area_open_existing (path, users, &error));
    check_error (&error, MMAP_ERROR_UNSAFE_PATH, "user 12345");
    g_assert_cmpint (chown (path, 0, -1), ==, 0);
  }
  g_assert_cmpint (chmod (path, 0606), ==, 0);
  check_refused (path, MMAP_ERROR_UNSAFE_PATH, "0606");
  g_assert_cmpint (chmod (path, 0600), ==, 0);
  link = leak_check_path ("area-link");
  g_assert_cmpint (symlink (path, link), ==, 0);
  g_assert_null (open_area (link, 0, &error));
  g_clear_error (&error);
  remove_file (link);
  check_refused ("/dev/shm", MMAP_ERROR_FILE, "a directory");
  check_refused ("/dev/zero", MMAP_ERROR_FILE, "no regular file");
  remove_file (path);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  users = mmap_users_new (NULL, NULL);
  leak_check_add_test ("/area/cut", test_cut);
  leak_check_add_test ("/area/sizes", test_sizes);
  leak_check_add_test ("/area/sizes-refused", test_sizes_refused);
  leak_check_add_test ("/area/large", test_large);
  leak_check_add_test ("/area/formatted-once", test_formatted_once);
  leak_check_add_test ("/area/formatted-by-halves", test_formatted_by_halves);
  leak_check_add_test ("/area/not-ours", test_not_ours);
  leak_check_add_test ("/area/existing", test_existing);
  leak_check_add_test ("/area/restored", test_restored);
  leak_check_add_test ("/area/at-once", test_at_once);
  leak_check_add_test ("/area/removed", test_removed);
  leak_check_add_test ("/area/other-size", test_other_size);
  leak_check_add_test ("/area/memory-of-vm", test_memory_of_vm);
  leak_check_add_test ("/area/windows-refused", test_windows_refused);
  leak_check_add_test ("/area/limit", test_limit);
  leak_check_add_test ("/area/not-believed", test_not_believed);
  result = g_test_run ();
  mmap_users_free (users);
  return result;
}
