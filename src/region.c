/* gst-mmap: the shared memory that holds frames
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Opens the region that another process made, believing nothing, and keeps
 * the mappings of both sides. Called by the consumer and the tool; references
 * are dropped from any thread, as frames end where they end.
 */
#include "region-private.h"
#include "error.h"
#include "path.h"

#include "atomics.h"
#include "foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22   /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

G_STATIC_ASSERT (sizeof (MMAP_REGION_MAGIC) - 1 ==
    sizeof (((MmapRegionHeader *) NULL)->magic));

static gboolean
check_links (const MmapRegionHeader * header, GError ** error)
{
  guint64 links_end;

  if (header->links_offset == 0 && header->link_bytes == 0
      && header->link_count == 0)
    return TRUE;
  /* Two 32-bit words: their product can't overflow. */
  links_end = (guint64) header->link_bytes * header->link_count;
  if (header->link_bytes != sizeof (MmapLinkArea) || header->link_count == 0
      || header->link_count > MMAP_MAX_LINKS
      || header->links_offset < header->header_bytes
      || header->links_offset % MMAP_CACHE_LINE_BYTES != 0
      || header->links_offset > header->blocks_offset
      || links_end > header->blocks_offset - header->links_offset) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LAYOUT,
        "The region's header has %u links of %u bytes at %" G_GUINT64_FORMAT
        ", expected 1 to %u links of %" G_GSIZE_FORMAT " bytes between %u and "
        "%" G_GUINT64_FORMAT, header->link_count, header->link_bytes,
        header->links_offset, MMAP_MAX_LINKS, sizeof (MmapLinkArea),
        header->header_bytes, header->blocks_offset);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_kind (const MmapRegionHeader * header, GError ** error)
{
  if (memcmp (header->magic, MMAP_REGION_MAGIC, sizeof (header->magic)) != 0) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_NOT_A_REGION,
        "The memory is no region: expected it to begin with "
        MMAP_REGION_MAGIC);
    return FALSE;
  }
  if (header->byte_order != MMAP_BYTE_ORDER) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_VERSION,
        "The region's byte order reads 0x%08x, expected 0x%08x: both sides "
        "must run on machines of the same byte order", header->byte_order,
        MMAP_BYTE_ORDER);
    return FALSE;
  }
  if (header->version != MMAP_PROTOCOL_VERSION) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_VERSION,
        "The region was made with protocol version %u, this side speaks "
        "version %u: install the same version of gst-mmap on both",
        header->version, MMAP_PROTOCOL_VERSION);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_header (const MmapRegionHeader * header, guint64 file_size,
    GError ** error)
{
  if (!check_kind (header, error))
    return FALSE;
  if (header->size != file_size) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
        "The region's header says size %" G_GUINT64_FORMAT ", but the memory "
        "has %" G_GUINT64_FORMAT " bytes", header->size, file_size);
    return FALSE;
  }
  if (header->header_bytes != sizeof (MmapRegionHeader)
      || file_size % MMAP_PAGE_BYTES != 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LAYOUT,
        "The region has a header of %u bytes and a size of %" G_GUINT64_FORMAT
        ", expected %" G_GSIZE_FORMAT " bytes and a multiple of %u",
        header->header_bytes, file_size, sizeof (MmapRegionHeader),
        MMAP_PAGE_BYTES);
    return FALSE;
  }
  if (header->blocks_offset < header->header_bytes
      || header->blocks_offset % MMAP_CACHE_LINE_BYTES != 0
      || header->blocks_offset >= file_size) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LAYOUT,
        "The region's blocks begin at %" G_GUINT64_FORMAT ", expected a "
        "multiple of %u from %u to below %" G_GUINT64_FORMAT,
        header->blocks_offset, MMAP_CACHE_LINE_BYTES, header->header_bytes,
        file_size);
    return FALSE;
  }
  return check_links (header, error);
}

static gboolean
check_file_size (guint64 file_size, guint64 expected_size, GError ** error)
{
  if (expected_size != 0 && file_size != expected_size) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
        "size is %" G_GUINT64_FORMAT " in the offer, but the memory has %"
        G_GUINT64_FORMAT " bytes", expected_size, file_size);
    return FALSE;
  }
  if (file_size < sizeof (MmapRegionHeader)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_A_REGION,
        "The memory is no region: it has %" G_GUINT64_FORMAT " bytes, "
        "expected at least %" G_GSIZE_FORMAT, file_size,
        (gsize) MMAP_REGION_MIN_BYTES);
    return FALSE;
  }
  if (file_size > MMAP_REGION_MAX_BYTES) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
        "The memory has %" G_GUINT64_FORMAT " bytes, expected at most %"
        G_GUINT64_FORMAT, file_size, MMAP_REGION_MAX_BYTES);
    return FALSE;
  }
  return TRUE;
}

/* By read(2) and not from the mapping: where the file is cut short in the
 * meantime, this fails and no signal is raised. */
static gboolean
read_start (int fd, MmapRegionHeader * header, gsize size, GError ** error)
{
  gssize n;

  memset (header, 0, sizeof (*header));
  do {
    n = pread (fd, header, size, 0);
  } while (n < 0 && errno == EINTR);
  if (n == (gssize) size)
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
      "The region's header can't be read: %s",
      n < 0 ? g_strerror (errno) : "the file was cut short");
  return FALSE;
}

/* Reads the first @header_bytes bytes of the header, once, and checks them. */
static gboolean
read_checked (int fd, guint64 expected_size, MmapRegionHeader * header,
    gsize header_bytes, guint64 * size, GError ** error)
{
  struct stat st;

  if (fstat (fd, &st) < 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "file can't be looked at: %s", g_strerror (errno));
    return FALSE;
  }
  if (!S_ISREG (st.st_mode)) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "file is no regular file, expected a file or a memfd");
    return FALSE;
  }
  *size = st.st_size;
  return check_file_size (*size, expected_size, error)
      && read_start (fd, header, header_bytes, error)
      && check_header (header, *size, error);
}

gboolean
mmap_region_read_header (int fd, MmapRegionHeader * header, GError ** error)
{
  guint64 size;

  return read_checked (fd, 0, header, sizeof (*header), &size, error);
}

gboolean
mmap_region_guard (MmapRegion * region, GError ** error)
{
  region->guard = mmap_guard_new (region->base, region->size, region->writable);
  if (region->guard)
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
      "This process has more than %d files of regions mapped already, or can't "
      "handle SIGBUS", MMAP_MAX_GUARDS);
  return FALSE;
}

void
mmap_region_set_alarm (MmapRegion * region, MmapAlarm * alarm)
{
  if (region->guard)
    mmap_guard_set_alarm (region->guard, alarm);
}

gboolean
mmap_region_is_broken (const MmapRegion * region)
{
  return mmap_guard_is_broken (region->guard);
}

void
mmap_region_set_truncated_error (GError ** error, const char *path)
{
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_TRUNCATED,
      "The file %s was truncated by another process while in use, or can't be "
      "read any more: frames in it are lost. See to it that nobody else may "
      "write it, or use a memfd", path ? path : "of a region");
}

/* Checks and maps. @sealed: nobody can make it smaller. Takes @fd on success only. */
static MmapRegion *
map_existing (int fd, guint64 expected_size, gboolean writable,
    gboolean sealed, GError ** error)
{
  MmapRegionHeader header;      /* only line 0 is read */
  MmapRegion *region;
  guint64 size;
  void *base;

  if (!read_checked (fd, expected_size, &header, MMAP_CACHE_LINE_BYTES, &size,
          error))
    return NULL;
  base = mmap_region_map (fd, 0, size, writable);
  if (base == MAP_FAILED) {
    g_set_error (error, MMAP_ERROR,
        errno == ENOMEM ? MMAP_ERROR_NO_RESOURCES : MMAP_ERROR_FILE,
        "file can't be mapped, %" G_GUINT64_FORMAT " bytes: %s", size,
        g_strerror (errno));
    return NULL;
  }
  region = g_new0 (MmapRegion, 1);
  region->ref_count = 1;
  region->fd = fd;
  region->size = size;
  region->blocks_offset = header.blocks_offset;
  region->session = header.session;
  region->region_id = header.region_id;
  region->writable = writable;
  region->base = base;
  region->header = base;
  if (!sealed && !mmap_region_guard (region, error)) {
    /* It is the caller's. */
    region->fd = -1;
    mmap_region_unref (region);
    return NULL;
  }
  return region;
}

MmapRegion *
mmap_region_open_fd (int fd, guint64 expected_size, GError ** error)
{
  MmapRegion *region = NULL;
  struct stat st;
  struct statfs fs;
  /* First: it never blocks. Files other than memfds have no seals to ask for: the call fails, or answers that nothing is sealed but the seals. */
  int seals = fcntl (fd, F_GET_SEALS);

  if (seals < 0 || fstat (fd, &st) < 0 || !S_ISREG (st.st_mode)) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "The descriptor is no regular file in memory, expected a memfd");
  } else {
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
      g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_SEALS,
          "The descriptor's memory can be shrunk by the other side, expected "
          "a memfd with F_SEAL_SHRINK");
    else if (fstatfs (fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
      /* Of huge pages, for one, nobody can say which are reserved. */
      g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_FILE,
          "The descriptor's memory is not tmpfs, expected a memfd of ordinary "
          "pages");
    else
      region = map_existing (fd, expected_size, FALSE, TRUE, error);
  }
  if (region == NULL)
    mmap_foreign_close (fd);
  else
    region->is_foreign = TRUE;
  return region;
}

static int
open_regular (const char *path, int flags, GError ** error)
{
  const char *what = NULL;
  struct stat st;
  int fd;

  if (!mmap_path_check (path, error))
    return -1;
  /* First without opening: to open a device may have effects. */
  if (fstatat (AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0
      && !S_ISREG (st.st_mode))
    what = S_ISDIR (st.st_mode) ? "a directory" : S_ISLNK (st.st_mode) ?
        "a symbolic link, which is not followed" : "no regular file";
  if (what != NULL) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "file %s is %s, expected a regular file", path, what);
    return -1;
  }
  /* O_NONBLOCK: should a FIFO have taken its place, this doesn't wait. */
  fd = open (path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    g_set_error (error, MMAP_ERROR,
        mmap_error_from_errno (errno) == MMAP_ERROR_NO_RESOURCES ?
        MMAP_ERROR_NO_RESOURCES : MMAP_ERROR_FILE,
        "file %s can't be opened by user %u: %s", path, geteuid (),
        g_strerror (errno));
  return fd;
}

static MmapRegion *
open_path (const char *path, guint64 expected_size, gboolean writable,
    GError ** error)
{
  MmapRegion *region;
  int fd = open_regular (path, writable ? O_RDWR : O_RDONLY, error);

  if (fd < 0)
    return NULL;
  region = map_existing (fd, expected_size, writable, FALSE, error);
  if (region == NULL) {
    g_prefix_error (error, "%s: ", path);
    close (fd);
    return NULL;
  }
  region->path = g_strdup (path);
  return region;
}

MmapRegion *
mmap_region_open_file_fd (int fd, const char *path, guint64 expected_size,
    GError ** error)
{
  MmapRegion *region = map_existing (fd, expected_size, FALSE, FALSE, error);

  if (region == NULL) {
    mmap_foreign_close (fd);
    return NULL;
  }
  region->path = g_strdup (path);
  region->is_foreign = TRUE;
  return region;
}

gboolean
mmap_region_check_owner (const MmapRegion * region, guint32 uid,
    GError ** error)
{
  struct stat st;

  if (!region->path)
    return TRUE;
  if (fstat (region->fd, &st) < 0)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE, "file %s: %s",
        region->path, g_strerror (errno));
  else if (st.st_uid != uid && st.st_uid != geteuid () && st.st_uid != 0)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_UNSAFE_PATH,
        "file %s belongs to user %u, but the producer is run by user %u: who "
        "owns a file can change and truncate it", region->path,
        (guint) st.st_uid, uid);
  else if (st.st_mode & 0022)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_UNSAFE_PATH,
        "file %s has mode %04o: others could change frames: expected a file that "
        "only its owner may write, as after chmod go-w", region->path,
        (guint) st.st_mode & 07777);
  else if (st.st_nlink > 1)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_UNSAFE_PATH,
        "file %s has %u names, expected one", region->path,
        (guint) st.st_nlink);
  else
    return TRUE;
  return FALSE;
}

int
mmap_region_dup_read_only (const MmapRegion * region)
{
  char self[64];

  g_snprintf (self, sizeof self, "/proc/self/fd/%d", region->fd);
  return open (self, O_RDONLY | O_CLOEXEC);
}

MmapRegion *
mmap_region_open_path (const char *path, guint64 expected_size, GError ** error)
{
  return open_path (path, expected_size, FALSE, error);
}

MmapRegion *
mmap_region_open_path_writable (const char *path, guint64 expected_size,
    GError ** error)
{
  return open_path (path, expected_size, TRUE, error);
}

MmapRegion *
mmap_region_open_window (MmapArea * area, guint64 offset, guint64 size,
    GError ** error)
{
  MmapRegionHeader header;
  MmapRegion *region;

  if (offset < area->slice_bytes || offset % area->slice_bytes != 0
      || offset > area->size || size > area->size - offset) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
        "The offer's region of %" G_GUINT64_FORMAT " bytes at %"
        G_GUINT64_FORMAT " is not in %s, which has %" G_GSIZE_FORMAT
        " bytes here", size, offset, area->path, area->size);
    return NULL;
  }
  if (!check_file_size (size, size, error))
    return NULL;
  /* A BAR can't be read in another way; once, as others may change it. */
  mmap_copy_once (&header, area->base + offset, MMAP_CACHE_LINE_BYTES);
  if (!check_header (&header, size, error))
    return NULL;
  region = mmap_region_map_window (area, offset, size, FALSE, error);
  if (!region)
    return NULL;
  region->blocks_offset = header.blocks_offset;
  region->session = header.session;
  region->region_id = header.region_id;
  return region;
}

MmapRegion *
mmap_region_map_window (MmapArea * area, guint64 offset, guint64 size,
    gboolean writable, GError ** error)
{
  int fd = fcntl (area->fd, F_DUPFD_CLOEXEC, 0);
  MmapRegion *region;
  void *base = MAP_FAILED;

  if (fd >= 0)
    base = mmap_region_map (fd, area->map_offset + offset, size, writable);
  if (base == MAP_FAILED) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "%s can't be mapped, %" G_GUINT64_FORMAT " bytes at %"
        G_GUINT64_FORMAT ": %s", area->path, size, offset, g_strerror (errno));
    if (fd >= 0)
      close (fd);
    return NULL;
  }
  region = g_new0 (MmapRegion, 1);
  region->ref_count = 1;
  region->fd = fd;
  region->size = size;
  region->writable = writable;
  region->base = base;
  region->header = base;
  region->path = g_strdup (area->path);
  region->area_offset = offset;
  /* An opener may read all of a file; nobody looks for holes in one that is not its own. */
  region->reserved = size;
  if (!mmap_region_guard (region, error))
    g_clear_pointer (&region, mmap_region_unref);
  return region;
}

MmapRegion *
mmap_region_ref (MmapRegion * region)
{
  g_atomic_int_inc (&region->ref_count);
  return region;
}

void
mmap_region_unref (MmapRegion * region)
{
  if (!g_atomic_int_dec_and_test (&region->ref_count))
    return;
  mmap_guard_free (region->guard);
  munmap (region->base, region->size);
  g_clear_pointer (&region->window, mmap_window_free);
  if (region->is_foreign)
    mmap_foreign_close (region->fd);
  else if (region->fd >= 0)
    close (region->fd);
  g_free (region->path);
  g_free (region);
}

gboolean
mmap_region_may_read (MmapRegion * region, guint64 end)
{
  if (end > region->reserved && region->reserved < region->size) {
    /* Where there are no holes, this is the end. Memory that was reserved but never written is a hole, too. */
    off_t hole = lseek (region->fd, region->reserved, SEEK_HOLE);

    if (hole > 0)
      region->reserved = CLAMP ((guint64) hole, region->reserved, region->size);
  }
  return region->path != NULL || end <= region->reserved;
}

void
mmap_region_populate (MmapRegion * region, guint64 offset, guint64 size)
{
  int advice = region->writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  gsize page = sysconf (_SC_PAGESIZE);
  guint64 end = offset + size;
  int result;

  do {
    result = madvise (region->base + offset, size, advice);
  } while (result < 0 && errno == EINTR);
  /* For an opener, other failures are none: page faults do it later. What the owner leaves out would be a hole. */
  if (result == 0 || (errno != EINVAL && !region->writable))
    return;
  /* Linux before 5.14. Only reads, on both sides: to write bytes back that
   * others may be changing would undo their change. */
  for (; offset < end; offset += page)
    (void) *(volatile guint8 *) (region->base + offset);
}
