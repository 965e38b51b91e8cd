/* gst-mmap: tests of opening regions, and of memfd regions
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. The files of regions are in test-region-file.c.
 */
#include "error.h"
#include "leak-check.h"
#include "region.h"
#include "system-faults.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE 65536
#define SESSION G_GUINT64_CONSTANT (0x1122334455667788)

static MmapRegion *
make_memfd (void)
{
  GError *error = NULL;
  MmapRegion *region = mmap_region_new_memfd (SIZE, SESSION, 3, &error);

  g_assert_no_error (error);
  return region;
}

/* Takes a pointer, as the order of evaluation of arguments is open. */
static void
assert_refused (MmapRegion * region, GError ** error, MmapError code,
    const char *reason)
{
  g_assert_null (region);
  g_assert_error (*error, MMAP_ERROR, (gint) code);
  if (strstr ((*error)->message, reason) == NULL)
    g_error ("\"%s\" doesn't say \"%s\"", (*error)->message, reason);
  g_clear_error (error);
}

static void
test_memfd (void)
{
  MmapRegion *region = make_memfd ();
  MmapRegion *opened;
  GError *error = NULL;
  int fd;

  g_assert_cmpuint (region->size, ==, SIZE);
  g_assert_true (region->writable);
  g_assert_null (region->path);
  g_assert_cmpuint (region->blocks_offset, ==, sizeof (MmapRegionHeader));
  g_assert_cmpmem (region->header->magic, 8, MMAP_REGION_MAGIC, 8);
  g_assert_cmpuint (region->header->producer_pid, ==, getpid ());
  g_assert_cmpuint (region->header->producer_uid, ==, getuid ());
  g_assert_cmpuint (region->header->started_us, >, 0);
  g_assert_cmpint (fcntl (region->fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);

  fd = fcntl (region->fd, F_DUPFD_CLOEXEC, 0);
  opened = mmap_region_open_fd (fd, SIZE, &error);
  g_assert_no_error (error);
  g_assert_cmpint (opened->fd, ==, fd);
  g_assert_cmpuint (opened->size, ==, SIZE);
  g_assert_cmpuint (opened->session, ==, SESSION);
  g_assert_cmpuint (opened->region_id, ==, 3);
  g_assert_cmpuint (opened->blocks_offset, ==, sizeof (MmapRegionHeader));
  g_assert_false (opened->writable);

  /* The owner goes on writing, the other side sees it. */
  mmap_region_populate (region, 0, region->size);
  mmap_region_populate (opened, 0, opened->size);
  region->base[SIZE - 1] = 42;
  g_assert_cmpuint (opened->base[SIZE - 1], ==, 42);

  /* Frames outlive what made them. */
  mmap_region_ref (opened);
  mmap_region_unref (opened);
  mmap_region_unlink (region);
  mmap_region_unref (region);
  g_assert_cmpuint (opened->base[SIZE - 1], ==, 42);
  mmap_region_unref (opened);
}

static void
test_memfd_seals (void)
{
  MmapRegion *region = make_memfd ();

  g_assert_cmpint (ftruncate (region->fd, SIZE - 4096), ==, -1);
  g_assert_cmpint (errno, ==, EPERM);
  g_assert_cmpint (ftruncate (region->fd, SIZE + 4096), ==, -1);
  g_assert_cmpint (errno, ==, EPERM);
  g_assert_cmpint (pwrite (region->fd, "x", 1, 8192), ==, -1);
  g_assert_cmpint (errno, ==, EPERM);
  g_assert_true (mmap (NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
          region->fd, 0) == MAP_FAILED);
  g_assert_cmpint (errno, ==, EPERM);
  g_assert_cmpint (fcntl (region->fd, F_ADD_SEALS, F_SEAL_WRITE), ==, -1);
  g_assert_cmpint (errno, ==, EPERM);
  mmap_region_unref (region);
}

/* All memory is there, not only promised. */
static void
test_memfd_reserved (void)
{
  GError *error = NULL;
  MmapRegion *region = mmap_region_new_memfd (40 << 20, 1, 1, &error);
  struct stat st;

  g_assert_no_error (error);
  g_assert_cmpint (fstat (region->fd, &st), ==, 0);
  g_assert_cmpint (st.st_blocks * 512, >=, 40 << 20);
  mmap_region_unref (region);
}

static gint64
get_allocated (const MmapRegion * region)
{
  struct stat st;

  g_assert_cmpint (fstat (region->fd, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, region->size);
  return st.st_blocks * 512;
}

/* Piece by piece, behind the seals. Without huge pages, to which pieces would be rounded: see test-region-huge.c. */
static void
in_pieces (gconstpointer data)
{
  GError *error = NULL;
  MmapRegion *region, *opened;
  guint64 pieces = 0;

  fail_system_call (SYS_madvise, 2, 25, EINVAL);
  region = mmap_region_begin_memfd (40 << 20, 100000, 1, 1, TRUE, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (region->size, ==, 40 << 20);
  g_assert_cmpuint (region->reserved, ==, 102400);
  g_assert_cmpint (get_allocated (region), ==, 102400);
  opened = mmap_region_open_fd (fcntl (region->fd, F_DUPFD_CLOEXEC, 0),
      40 << 20, &error);
  g_assert_no_error (error);
  g_assert_true (mmap_region_may_read (opened, 102400));
  g_assert_false (mmap_region_may_read (opened, 102401));
  while (region->reserved < region->size) {
    g_assert_true (mmap_region_reserve_more (region, 3 << 20, &error));
    pieces++;
    g_assert_cmpuint (region->reserved, ==,
        MIN (region->size, 102400 + pieces * (3 << 20)));
    g_assert_cmpint (get_allocated (region), ==, region->reserved);
    g_assert_true (mmap_region_may_read (opened, region->reserved));
  }
  g_assert_true (mmap_region_reserve_more (region, 1, &error));
  g_assert_cmpuint (region->reserved, ==, region->size);
  mmap_region_unref (opened);
  mmap_region_unref (region);

  /* The header and a page, at least; and no more than all. */
  region = mmap_region_begin_memfd (SIZE, 0, 1, 1, TRUE, &error);
  g_assert_cmpuint (region->reserved, ==, MMAP_REGION_MIN_BYTES);
  mmap_region_unref (region);
  region = mmap_region_begin_memfd (SIZE, SIZE + 1, 1, 1, TRUE, &error);
  g_assert_cmpuint (region->reserved, ==, SIZE);
  mmap_region_unref (region);
  /* What is not there is refused at the start all the same. */
  region =
      mmap_region_begin_memfd (MMAP_REGION_MAX_BYTES, 0, 1, 1, TRUE, &error);
  assert_refused (region, &error, MMAP_ERROR_NO_SPACE, "1099511627776");
}

static void
test_memfd_in_pieces (void)
{
  run_in_child (in_pieces, NULL);
}

static void
test_sizes (void)
{
  GError *error = NULL;
  MmapRegion *region;

  region = mmap_region_new_memfd (0, 1, 1, &error);
  assert_refused (region, &error, MMAP_ERROR_TOO_SMALL, "12288");
  region = mmap_region_new_memfd (MMAP_REGION_MIN_BYTES - 1, 1, 1, &error);
  assert_refused (region, &error, MMAP_ERROR_TOO_SMALL, "12287");
  region = mmap_region_new_memfd (MMAP_REGION_MIN_BYTES, 1, 1, &error);
  g_assert_no_error (error);
  mmap_region_unref (region);
  region = mmap_region_new_memfd (MMAP_REGION_MIN_BYTES + 1, 1, 1, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (region->size % sysconf (_SC_PAGESIZE), ==, 0);
  g_assert_cmpuint (region->header->size, ==, region->size);
  mmap_region_unref (region);

  region = mmap_region_new_memfd (MMAP_REGION_MAX_BYTES + 1, 1, 1, &error);
  assert_refused (region, &error, MMAP_ERROR_NO_SPACE, "1099511627777");
  region = mmap_region_new_memfd (G_MAXUINT64, 1, 1, &error);
  assert_refused (region, &error, MMAP_ERROR_NO_SPACE, "too large");
  /* More than the machine has is refused before it is taken. */
  region = mmap_region_new_memfd (MMAP_REGION_MAX_BYTES, 1, 1, &error);
  assert_refused (region, &error, MMAP_ERROR_NO_SPACE, "1099511627776");
}

static void
no_memfd (gconstpointer data)
{
  GError *error = NULL;

  fail_system_call (SYS_memfd_create, 0, 0, ENOSYS);
  assert_refused (mmap_region_new_memfd (SIZE, 1, 1, &error), &error,
      MMAP_ERROR_FAILED, "memfd");
}

static void
no_seals (gconstpointer data)
{
  GError *error = NULL;

  fail_system_call (SYS_fcntl, 1, F_ADD_SEALS, EINVAL);
  assert_refused (mmap_region_new_memfd (SIZE, 1, 1, &error), &error,
      MMAP_ERROR_FAILED, "5.1");
}

static void
no_room (gconstpointer data)
{
  GError *error = NULL;

  fail_system_call (SYS_fallocate, 0, 0, ENOSPC);
  assert_refused (mmap_region_new_memfd (SIZE, 1, 1, &error), &error,
      MMAP_ERROR_NO_SPACE, "65");
}

static void
no_fallocate (gconstpointer data)
{
  GError *error = NULL;
  MmapRegion *region;
  struct stat st;

  fail_system_call (SYS_fallocate, 0, 0, EOPNOTSUPP);
  /* Written, at once: behind the seals that is impossible. */
  region = mmap_region_begin_memfd (SIZE, 0, 1, 1, TRUE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (region->reserved, ==, SIZE);
  g_assert_cmpint (fstat (region->fd, &st), ==, 0);
  g_assert_cmpint (st.st_blocks * 512, >=, SIZE);
  mmap_region_unref (region);
}

/* What is reserved is there for others to see, even if it can't be populated. */
static void
no_populate (gconstpointer data)
{
  GError *error = NULL;
  MmapRegion *region, *opened;

  fail_system_call (SYS_madvise, 2, 22, EPERM);
  region = mmap_region_begin_memfd (SIZE, 0, 1, 1, TRUE, &error);
  g_assert_no_error (error);
  g_assert_true (mmap_region_reserve_more (region, SIZE, &error));
  opened = mmap_region_open_fd (dup (region->fd), SIZE, &error);
  g_assert_no_error (error);
  g_assert_true (mmap_region_may_read (opened, SIZE));
  mmap_region_populate (opened, 0, SIZE);
  mmap_region_unref (opened);
  mmap_region_unref (region);
}

/* The first piece can be had, the second can't. */
static void
no_room_later (gconstpointer data)
{
  GError *error = NULL;
  MmapRegion *region;

  fail_system_call (SYS_fallocate, 2, 32768, ENOSPC);
  region = mmap_region_begin_memfd (SIZE, 32768, 1, 1, TRUE, &error);
  g_assert_no_error (error);
  g_assert_false (mmap_region_reserve_more (region, 4096, &error));
  g_assert_error (error, MMAP_ERROR, MMAP_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (error->message, "A memfd region needs 65536"));
  g_error_free (error);
  g_assert_cmpuint (region->reserved, ==, 32768);
  mmap_region_unref (region);
}

static void
broken_fallocate (gconstpointer data)
{
  GError *error = NULL;

  fail_system_call (SYS_fallocate, 0, 0, EIO);
  assert_refused (mmap_region_new_memfd (SIZE, 1, 1, &error), &error,
      MMAP_ERROR_FAILED, "reserve");
}

static void
no_mapping (gconstpointer data)
{
  GError *error = NULL;

  fail_system_call (SYS_mmap, 3, MAP_SHARED, ENOMEM);
  assert_refused (mmap_region_new_memfd (SIZE, 1, 1, &error), &error,
      MMAP_ERROR_NO_SPACE, "map");
}

static void
test_system_refuses (void)
{
  run_in_child (no_memfd, NULL);
  run_in_child (no_seals, NULL);
  run_in_child (no_room, NULL);
  run_in_child (no_room_later, NULL);
  run_in_child (no_populate, NULL);
  run_in_child (no_fallocate, NULL);
  run_in_child (broken_fallocate, NULL);
  run_in_child (no_mapping, NULL);
}

/* Not instrumented: the sanitizer's shadow memory has page faults of its
 * own. */
static glong count_faults (const MmapRegion * region)
    __attribute__((no_sanitize_address, no_sanitize_thread));

static glong
count_faults (const MmapRegion * region)
{
  struct rusage before, after;
  guint64 offset;

  getrusage (RUSAGE_SELF, &before);
  for (offset = 0; offset < region->size; offset += MMAP_PAGE_BYTES)
    (void) *(volatile guint8 *) (region->base + offset);
  getrusage (RUSAGE_SELF, &after);
  return after.ru_minflt - before.ru_minflt;
}

static void
populate (gconstpointer old_kernel)
{
  GError *error = NULL;
  MmapRegion *region = mmap_region_new_memfd (8 << 20, 1, 1, &error);
  MmapRegion *opened;
  guint i;

  g_assert_no_error (error);
  for (i = 8192; i < region->size; i += 1000)
    region->base[i] = i;
  if (old_kernel)
    fail_system_call (SYS_madvise, 2, 22, EINVAL);
  opened = mmap_region_open_fd (dup (region->fd), 0, &error);
  g_assert_no_error (error);
  mmap_region_populate (region, 0, region->size);
  mmap_region_populate (opened, 0, opened->size);
  /* 2048 pages: without populate, at least one fault per 16. */
  g_assert_cmpint (count_faults (opened), <, 64);
  g_assert_cmpint (count_faults (region), <, 64);
  for (i = 8192; i < region->size; i += 1000)
    g_assert_cmpuint (opened->base[i], ==, i & 0xff);
  mmap_region_unref (opened);
  mmap_region_unref (region);
}

static void
test_populate (void)
{
  run_in_child (populate, NULL);
  run_in_child (populate, "old kernel");
}

static void
test_contains (void)
{
  MmapRegion *region = make_memfd ();

  g_assert_true (mmap_region_contains (region, 8192, 0));
  g_assert_true (mmap_region_contains (region, 8192, SIZE - 8192));
  g_assert_true (mmap_region_contains (region, SIZE, 0));
  g_assert_true (mmap_region_contains (region, SIZE - 1, 1));
  g_assert_false (mmap_region_contains (region, 8191, 1));
  g_assert_false (mmap_region_contains (region, 0, 0));
  g_assert_false (mmap_region_contains (region, 8192, SIZE - 8191));
  g_assert_false (mmap_region_contains (region, SIZE, 1));
  g_assert_false (mmap_region_contains (region, SIZE + 1, 0));
  g_assert_false (mmap_region_contains (region, SIZE - 1, G_MAXUINT64));
  g_assert_false (mmap_region_contains (region, G_MAXUINT64, 1));
  g_assert_false (mmap_region_contains (region, G_MAXUINT64 - 7, 16));
  mmap_region_unref (region);
}

/* The descriptor is refused and closed, perhaps in another thread. */
static void
refuse_fd (int fd, guint64 expected_size, MmapError code, const char *reason)
{
  GError *error = NULL;
  MmapRegion *region = mmap_region_open_fd (fd, expected_size, &error);

  assert_refused (region, &error, code, reason);
  while (fcntl (fd, F_GETFD) >= 0)
    g_usleep (1000);
}

static int
header_memfd (const MmapRegionHeader * header, guint64 size, int seals)
{
  int fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  g_assert_cmpint (fd, >=, 0);
  if (size >= sizeof (*header))
    g_assert_cmpint (pwrite (fd, header, sizeof (*header), 0), ==,
        sizeof (*header));
  /* Reserved, unless it is one that no machine has. */
  g_assert_cmpint (ftruncate (fd, size), ==, 0);
  if (size > 0 && size <= 16 * SIZE)
    g_assert_cmpint (posix_fallocate (fd, 0, size), ==, 0);
  g_assert_cmpint (fcntl (fd, F_ADD_SEALS, seals), ==, 0);
  return fd;
}

static void
init_header (MmapRegionHeader * header)
{
  memset (header, 0, sizeof (*header));
  memcpy (header->magic, MMAP_REGION_MAGIC, 8);
  header->version = MMAP_PROTOCOL_VERSION;
  header->byte_order = MMAP_BYTE_ORDER;
  header->session = SESSION;
  header->size = SIZE;
  header->region_id = 1;
  header->header_bytes = sizeof (*header);
  header->blocks_offset = sizeof (*header);
}

static void
refuse_header (const MmapRegionHeader * header, MmapError code,
    const char *reason)
{
  refuse_fd (header_memfd (header, SIZE, F_SEAL_SHRINK), 0, code, reason);
}

static void
test_open_fd_refused (void)
{
  MmapRegionHeader header;
  char *path = leak_check_path ("plain");
  int fds[2];

  init_header (&header);
  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  refuse_fd (fds[0], 0, MMAP_ERROR_FILE, "no regular file");
  close (fds[1]);
  refuse_fd (open ("/dev/null", O_RDONLY | O_CLOEXEC), 0, MMAP_ERROR_FILE,
      "no regular file");
  refuse_fd (-1, 0, MMAP_ERROR_FILE, "no regular file");

  /* What can be shrunk is not mapped. */
  refuse_fd (header_memfd (&header, SIZE, F_SEAL_GROW | F_SEAL_WRITE), SIZE,
      MMAP_ERROR_SEALS, "F_SEAL_SHRINK");
  g_assert_true (g_file_set_contents (path, (char *) &header,
          sizeof (header), NULL));
  refuse_fd (open (path, O_RDONLY | O_CLOEXEC), 0, MMAP_ERROR_SEALS,
      "F_SEAL_SHRINK");
  unlink (path);
  g_free (path);
  refuse_fd (open ("/proc/self/exe", O_RDONLY | O_CLOEXEC), 0, MMAP_ERROR_FILE,
      "no regular file in memory");
}

static void
test_sizes_differ (void)
{
  MmapRegionHeader header;

  init_header (&header);
  refuse_fd (header_memfd (&header, SIZE, F_SEAL_SHRINK), SIZE + 4096,
      MMAP_ERROR_SIZE, "69632");
  refuse_fd (header_memfd (&header, SIZE, F_SEAL_SHRINK), 1, MMAP_ERROR_SIZE,
      "65536");
  /* Cut short, and longer, than its header says */
  refuse_fd (header_memfd (&header, SIZE - 4096, F_SEAL_SHRINK), 0,
      MMAP_ERROR_SIZE, "61440");
  refuse_fd (header_memfd (&header, SIZE + 4096, F_SEAL_SHRINK), 0,
      MMAP_ERROR_SIZE, "69632");
  /* Shorter than a header: the offer is asked first. */
  refuse_fd (header_memfd (&header, 100, F_SEAL_SHRINK), SIZE,
      MMAP_ERROR_SIZE, "100");
  refuse_fd (header_memfd (&header, 8191, F_SEAL_SHRINK), 0,
      MMAP_ERROR_NOT_A_REGION, "8191");
  refuse_fd (header_memfd (&header, 0, F_SEAL_SHRINK), 0,
      MMAP_ERROR_NOT_A_REGION, "0 bytes");
  header.size = MMAP_REGION_MAX_BYTES + 4096;
  refuse_fd (header_memfd (&header, header.size, F_SEAL_SHRINK), 0,
      MMAP_ERROR_SIZE, "1099511627776");
  header.size = SIZE + 1;
  refuse_fd (header_memfd (&header, header.size, F_SEAL_SHRINK), 0,
      MMAP_ERROR_LAYOUT, "multiple");
}

static void
test_kinds (void)
{
  MmapRegionHeader header;

  init_header (&header);
  header.magic[7] = 'q';
  refuse_header (&header, MMAP_ERROR_NOT_A_REGION, MMAP_REGION_MAGIC);
  memcpy (header.magic, MMAP_LINK_MAGIC, 8);
  refuse_header (&header, MMAP_ERROR_NOT_A_REGION, "no region");
  memset (&header, 0, sizeof (header));
  refuse_header (&header, MMAP_ERROR_NOT_A_REGION, "no region");

  init_header (&header);
  header.version = 2;
  refuse_header (&header, MMAP_ERROR_VERSION, "version 2");
  refuse_header (&header, MMAP_ERROR_VERSION, "version 1");
  init_header (&header);
  header.byte_order = GUINT32_SWAP_LE_BE (MMAP_BYTE_ORDER);
  header.version = GUINT32_SWAP_LE_BE (1);
  refuse_header (&header, MMAP_ERROR_VERSION, "byte order");
}

/* A memfd that is said to be large, but is mostly a hole, or was reserved without being written: that would be paid for by whoever reads
 * it. */
static void
test_holes (void)
{
  MmapRegionHeader header;
  GError *error = NULL;
  MmapRegion *region;
  struct stat st;
  int fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  init_header (&header);
  g_assert_cmpint (ftruncate (fd, SIZE), ==, 0);
  g_assert_cmpint (pwrite (fd, &header, sizeof header, 0), ==, sizeof header);
  g_assert_cmpint (fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK), ==, 0);
  region = mmap_region_open_fd (fd, SIZE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (region->reserved, ==, 0);
  g_assert_true (mmap_region_may_read (region, 8192));
  g_assert_cmpuint (region->reserved, ==, 8192);
  g_assert_false (mmap_region_may_read (region, 8193));
  g_assert_false (mmap_region_may_read (region, SIZE));
  g_assert_cmpint (fallocate (fd, 0, 8192, 8192), ==, 0);
  g_assert_false (mmap_region_may_read (region, 8193));
  /* Behind a hole, and then in it. */
  g_assert_cmpint (pwrite (fd, "x", 1, 16384), ==, 1);
  g_assert_false (mmap_region_may_read (region, 16385));
  g_assert_cmpint (pwrite (fd, "x", 1, 8192), ==, 1);
  g_assert_true (mmap_region_may_read (region, 12288));
  g_assert_cmpint (pwrite (fd, "x", 1, 12288), ==, 1);
  g_assert_true (mmap_region_may_read (region, 20480));
  g_assert_false (mmap_region_may_read (region, 20481));
  /* To look costs nothing. */
  g_assert_cmpint (fstat (fd, &st), ==, 0);
  g_assert_cmpint (st.st_blocks * 512, ==, 20480);
  mmap_region_unref (region);
}

/* Of a file, all may be read; but what is not there is not populated. */
static void
test_holes_in_file (void)
{
  char *path = leak_check_path ("region");
  GError *error = NULL;
  MmapRegion *region = mmap_region_begin_file (path, SIZE, 16384, 1, 1, &error);
  MmapRegion *opened;

  g_assert_no_error (error);
  opened = mmap_region_open_path (path, SIZE, &error);
  g_assert_no_error (error);
  g_assert_true (mmap_region_may_read (opened, SIZE));
  g_assert_cmpuint (opened->reserved, ==, 16384);
  g_assert_true (mmap_region_reserve_more (region, SIZE, &error));
  g_assert_true (mmap_region_may_read (opened, SIZE));
  g_assert_cmpuint (opened->reserved, ==, SIZE);
  mmap_region_unref (opened);
  mmap_region_unlink (region);
  mmap_region_unref (region);
  g_free (path);
}

/* Nobody can say which huge pages are reserved. */
static void
test_huge_pages (void)
{
  int fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);

  if (fd < 0)
    return;
  g_assert_cmpint (ftruncate (fd, 64 << 20), ==, 0);
  g_assert_cmpint (fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK), ==, 0);
  refuse_fd (fd, 0, MMAP_ERROR_FILE, "ordinary pages");
}

static void
test_layouts (void)
{
  static const guint64 bad_blocks[] = { 0, 64, 8128, 8193, 8200, SIZE,
    SIZE + 64, G_MAXUINT64 - 63, G_MAXUINT64
  };
  static const guint32 bad_headers[] = { 0, 64, 4096, 8191, 8256, G_MAXUINT32 };
  MmapRegionHeader header;
  GError *error = NULL;
  MmapRegion *region;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bad_blocks); i++) {
    init_header (&header);
    header.blocks_offset = bad_blocks[i];
    refuse_header (&header, MMAP_ERROR_LAYOUT, "blocks");
  }
  for (i = 0; i < G_N_ELEMENTS (bad_headers); i++) {
    init_header (&header);
    header.header_bytes = bad_headers[i];
    refuse_header (&header, MMAP_ERROR_LAYOUT, "header");
  }
  init_header (&header);
  header.blocks_offset = SIZE - 64;
  region = mmap_region_open_fd (header_memfd (&header, SIZE, F_SEAL_SHRINK),
      0, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (region->blocks_offset, ==, SIZE - 64);
  mmap_region_unref (region);
}

#define LINK ((guint32) sizeof (MmapLinkArea))

static void
test_links (void)
{
  static const struct
  {
    guint64 offset;
    guint32 bytes, count;
  } bad[] = {
    {0, LINK, 1},
    {0, 0, 1},
    {0, LINK, 0},
    {8192, LINK, 0},
    {8192, 0, 2},
    {8192, LINK - 64, 2},
    {8192, LINK + 64, 1},
    {8192, LINK, 3},
    {8192, LINK, 65},
    {8192, LINK, G_MAXUINT32},
    {8192 + 64, LINK, 2},
    {8193, LINK, 1},
    {64, LINK, 1},
    {8192 + 2 * LINK, LINK, 1},
    {G_MAXUINT64 - 63, LINK, 1},
    {8192, G_MAXUINT32, G_MAXUINT32},
  };
  const guint64 size = 8192 + 2 * LINK + 4096;
  MmapRegionHeader header;
  GError *error = NULL;
  MmapRegion *region;
  guint i;

  init_header (&header);
  header.size = size;
  header.blocks_offset = 8192 + 2 * LINK;
  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    header.links_offset = bad[i].offset;
    header.link_bytes = bad[i].bytes;
    header.link_count = bad[i].count;
    refuse_fd (header_memfd (&header, size, F_SEAL_SHRINK), 0,
        MMAP_ERROR_LAYOUT, "links");
  }
  header.links_offset = 8192;
  header.link_bytes = LINK;
  header.link_count = 2;
  region = mmap_region_open_fd (header_memfd (&header, size, F_SEAL_SHRINK),
      size, &error);
  g_assert_no_error (error);
  mmap_region_unref (region);
}

static void
open_without_mapping (gconstpointer data)
{
  MmapRegionHeader header;

  init_header (&header);
  fail_system_call (SYS_mmap, 3, MAP_SHARED, ENOMEM);
  refuse_header (&header, MMAP_ERROR_NO_RESOURCES, "mapped");
}

static void
open_without_reading (gconstpointer data)
{
  MmapRegionHeader header;

  init_header (&header);
  fail_system_call (SYS_pread64, 0, 0, EIO);
  refuse_header (&header, MMAP_ERROR_FILE, "read");
}

static void
test_open_system_refuses (void)
{
  run_in_child (open_without_mapping, NULL);
  run_in_child (open_without_reading, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/region/memfd", test_memfd);
  leak_check_add_test ("/region/memfd/seals", test_memfd_seals);
  leak_check_add_test ("/region/memfd/reserved", test_memfd_reserved);
  leak_check_add_test ("/region/memfd/in-pieces", test_memfd_in_pieces);
  leak_check_add_test ("/region/sizes", test_sizes);
  leak_check_add_test ("/region/system-refuses", test_system_refuses);
  leak_check_add_test ("/region/populate", test_populate);
  leak_check_add_test ("/region/contains", test_contains);
  leak_check_add_test ("/region/open/fd-refused", test_open_fd_refused);
  leak_check_add_test ("/region/open/sizes-differ", test_sizes_differ);
  leak_check_add_test ("/region/open/kinds", test_kinds);
  leak_check_add_test ("/region/open/layouts", test_layouts);
  leak_check_add_test ("/region/open/holes", test_holes);
  leak_check_add_test ("/region/open/holes-in-file", test_holes_in_file);
  leak_check_add_test ("/region/open/huge-pages", test_huge_pages);
  leak_check_add_test ("/region/open/links", test_links);
  leak_check_add_test ("/region/open/system-refuses", test_open_system_refuses);
  return g_test_run ();
}
