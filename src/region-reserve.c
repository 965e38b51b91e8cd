/* gst-mmap: memory that is there before it is written
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reserves the memory of a new region, or says how much there is. Called by
 * those who make regions; holds no state, so any thread may call it.
 */
#include "region-private.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Reserved piece by piece: tmpfs undoes a whole fallocate(2) when a signal
 * arrives, and a process with a profiling timer would never get through a
 * large one. Chosen: a few milliseconds each. */
#define PIECE_BYTES (G_GUINT64_CONSTANT (16) << 20)

#define MIB (1024.0 * 1024.0)

static void
set_no_space (GError ** error, guint64 size, const char *name, guint64 there,
    const char *where)
{
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_NO_SPACE,
      "%s needs %" G_GUINT64_FORMAT " bytes (%.1f MiB), but %s has only %"
      G_GUINT64_FORMAT " (%.1f MiB): make the region smaller, or the memory "
      "larger", name, size, size / MIB, where, there, there / MIB);
}

/* Bytes of memory and swap that can be had, or G_MAXUINT64 if nobody knows. */
static guint64
available_memory (void)
{
  FILE *file = fopen ("/proc/meminfo", "re");
  char line[128];
  guint64 kib, available = 0, swap = 0;
  gboolean known = FALSE;

  if (file == NULL)
    return G_MAXUINT64;
  while (fgets (line, sizeof (line), file) != NULL) {
    if (sscanf (line, "MemAvailable: %" G_GUINT64_FORMAT, &kib) == 1) {
      available = kib * 1024;
      known = TRUE;
    } else if (sscanf (line, "SwapFree: %" G_GUINT64_FORMAT, &kib) == 1) {
      swap = kib * 1024;
    }
  }
  fclose (file);
  return known ? available + swap : G_MAXUINT64;
}

gboolean
mmap_region_check_limit (guint64 size, const char *name, GError ** error)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY
      || size <= limit.rlim_cur)
    return TRUE;
  set_no_space (error, size, name, limit.rlim_cur,
      "a file of this process (ulimit -f)");
  return FALSE;
}

/* Asks before it takes: where memory has no limit of its own, as a memfd,
 * reserving more than there is would not fail but have processes killed. */
static gboolean
check_space (int fd, guint64 size, const char *name, GError ** error)
{
  struct statvfs vfs;
  struct statfs fs;
  guint64 there;

  if (!mmap_region_check_limit (size, name, error))
    return FALSE;
  if (fstatfs (fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
    return TRUE;
  if (fstatvfs (fd, &vfs) == 0 && vfs.f_blocks > 0) {
    there = (guint64) vfs.f_bavail * vfs.f_frsize;
    if (size > there) {
      set_no_space (error, size, name, there, "the file system (tmpfs)");
      return FALSE;
    }
  }
  there = available_memory ();
  if (size > there) {
    set_no_space (error, size, name, there, "the machine's memory");
    return FALSE;
  }
  return TRUE;
}

int
mmap_region_reserve_piece (int fd, guint64 offset, guint64 size)
{
  int result;

  do {
    result = fallocate (fd, 0, offset, size) < 0 ? errno : 0;
  } while (result == EINTR);
  return result;
}

/* The file system can't: the C library writes zeros. */
static int
write_piece (int fd, guint64 offset, guint64 size)
{
  int result;

  do {
    result = posix_fallocate (fd, offset, size);
  } while (result == EINTR);
  return result;
}

static void
set_reserve_error (GError ** error, int fd, guint64 size, const char *name,
    guint64 reserved, int result)
{
  struct statvfs vfs;

  switch (result) {
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EFBIG:
      if (fstatvfs (fd, &vfs) < 0)
        memset (&vfs, 0, sizeof (vfs));
      /* What was reserved on the way is still part of the file. */
      set_no_space (error, size, name,
          (guint64) vfs.f_bavail * vfs.f_frsize + reserved, "its file system");
      break;
    default:
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_FAILED,
          "%s: can't reserve %" G_GUINT64_FORMAT " bytes: %s", name, size,
          g_strerror (result));
      break;
  }
}

gboolean
mmap_region_reserve (int fd, guint64 size, guint64 * at_once,
    const char *name, GError ** error)
{
  guint64 offset = 0, piece;
  int result = 0;

  if (!check_space (fd, size, name, error))
    return FALSE;
  if (ftruncate (fd, size) < 0)
    result = errno;
  while (result == 0 && offset < *at_once) {
    piece = MIN (PIECE_BYTES, *at_once - offset);
    result = mmap_region_reserve_piece (fd, offset, piece);
    /* Once sealed, it can't be written; and zeros must not fall upon frames. */
    if (result == EOPNOTSUPP) {
      *at_once = size;
      result = write_piece (fd, offset, piece);
    }
    if (result == 0)
      offset += piece;
  }
  if (result == 0)
    return TRUE;
  set_reserve_error (error, fd, size, name, offset, result);
  return FALSE;
}

gboolean
mmap_region_reserve_part (int fd, guint64 offset, guint64 bytes,
    const char *name, GError ** error)
{
  guint64 done = 0;
  int result = 0;

  while (result == 0 && done < bytes) {
    guint64 piece = MIN (PIECE_BYTES, bytes - done);

    result = mmap_region_reserve_piece (fd, offset + done, piece);
    if (result == 0)
      done += piece;
  }
  if (result == 0 || result == EOPNOTSUPP)
    return TRUE;
  set_reserve_error (error, fd, bytes, name, done, result);
  return FALSE;
}

gboolean
mmap_region_reserve_more (MmapRegion * region, guint64 bytes, GError ** error)
{
  guint64 left = region->size - region->reserved;
  guint64 page = sysconf (_SC_PAGESIZE);
  struct stat st;
  guint64 end;
  int result;

  bytes = bytes < left ? (bytes + page - 1) / page * page : left;
  end = mmap_region_round_to_huge (region, region->reserved + bytes);
  bytes = end - region->reserved;
  if (bytes == 0)
    return TRUE;
  /* To reserve would make it longer again, and frames that are gone would read as zeros, with nobody told. */
  if (region->path != NULL && fstat (region->fd, &st) == 0
      && (guint64) st.st_size < region->area_offset + region->size) {
    mmap_region_set_truncated_error (error, region->path);
    return FALSE;
  }
  mmap_region_make_huge (region, region->reserved, end);
  result =
      mmap_region_reserve_piece (region->fd,
      region->area_offset + region->reserved, bytes);
  /* It was there already, or will be when it is written. */
  if (result == EOPNOTSUPP && region->window != NULL)
    result = 0;
  if (result != 0) {
    set_reserve_error (error, region->fd, region->size,
        mmap_region_get_name (region), region->reserved, result);
    return FALSE;
  }
  mmap_region_populate (region, region->reserved, bytes);
  region->reserved += bytes;
  return TRUE;
}
