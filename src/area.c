/* gst-mmap: a file or BAR that several channels share
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Opened by a producer when it starts, by a consumer each time it looks for one, and by the tool. What can't be done to a BAR (reading it
 * with read(2), locks, reserving memory, cutting it short) is known here alone.
 */
#include "area-private.h"

#include "atomics.h"
#include "error.h"
#include "ivshmem.h"
#include "lock.h"
#include "path.h"
#include "region-private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* While somebody else makes or removes a file of the same name; chosen, untuned. */
#define RETRY_US 1000
#define MAX_RETRIES 1000

/* --- how it is cut --- */

void
mmap_area_cut (guint64 size, guint64 * slice_bytes, guint * slice_count)
{
  *slice_bytes = MMAP_AREA_MIN_SLICE_BYTES;
  while (size / *slice_bytes > MMAP_AREA_MAX_SLICES)
    *slice_bytes *= 2;
  *slice_count = size / *slice_bytes;
}

static guint64
area_magic (void)
{
  guint64 magic;

  memcpy (&magic, MMAP_AREA_MAGIC, sizeof magic);
  return magic;
}

/* What the first page has to say. */
static void
area_describe (const MmapArea * area, MmapAreaHeader * header)
{
  memset (header, 0, sizeof *header);
  header->magic = area_magic ();
  header->version = MMAP_PROTOCOL_VERSION;
  header->byte_order = MMAP_BYTE_ORDER;
  header->size = area->size;
  header->slice_bytes = area->slice_bytes;
  header->slice_count = area->slice_count;
  header->channel_count = MMAP_AREA_CHANNELS;
  header->flags = area->flags;
}

/* The words that say something, by atomics: other sides may write them at the same time. */
static void
area_read_header (const MmapArea * area, MmapAreaHeader * header)
{
  const MmapAreaHeader *shared = &area->start->header;

  /* Acquire: what comes with the magic was written before it. Pairs with the release in area_write_header(). */
  header->magic = mmap_load_acquire (&shared->magic);
  header->version = mmap_load_relaxed (&shared->version);
  header->byte_order = mmap_load_relaxed (&shared->byte_order);
  header->size = mmap_load_relaxed (&shared->size);
  header->slice_bytes = mmap_load_relaxed (&shared->slice_bytes);
  header->slice_count = mmap_load_relaxed (&shared->slice_count);
  header->channel_count = mmap_load_relaxed (&shared->channel_count);
  header->flags = mmap_load_relaxed (&shared->flags);
}

static void
area_write_header (MmapArea * area)
{
  MmapAreaHeader *shared = &area->start->header;
  MmapAreaHeader header;

  area_describe (area, &header);
  mmap_store_relaxed (&shared->version, header.version);
  mmap_store_relaxed (&shared->byte_order, header.byte_order);
  mmap_store_relaxed (&shared->size, header.size);
  mmap_store_relaxed (&shared->slice_bytes, header.slice_bytes);
  mmap_store_relaxed (&shared->slice_count, header.slice_count);
  mmap_store_relaxed (&shared->channel_count, header.channel_count);
  /* Not where it is the same: a producer that made the file may be about to say so. */
  if (mmap_load_relaxed (&shared->flags) != header.flags && header.flags)
    mmap_store_relaxed (&shared->flags, header.flags);
  mmap_store_release (&shared->magic, header.magic);
}

gboolean
mmap_area_check (const MmapArea * area, GError ** error)
{
  MmapAreaHeader header;

  area_read_header (area, &header);
  if (header.magic == 0)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND,
        "%s is not formatted yet: no producer has used it", area->path);
  else if (header.magic != area_magic ())
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_A_REGION,
        "%s is no area of gst-mmap: it begins with 0x%016" G_GINT64_MODIFIER
        "x, expected \"" MMAP_AREA_MAGIC "\" or zeros: if nothing in it is "
        "needed, run gst-mmap format %s", area->path,
        GUINT64_TO_BE (header.magic), area->path);
  else if (header.byte_order != MMAP_BYTE_ORDER
      || header.version != MMAP_PROTOCOL_VERSION)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_VERSION,
        "%s was formatted with protocol version %u (byte order 0x%08x), this "
        "side speaks version %u (0x%08x): install the same version of gst-mmap "
        "on both", area->path, header.version, header.byte_order,
        MMAP_PROTOCOL_VERSION, MMAP_BYTE_ORDER);
  else if (header.size != area->size)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
        "%s was formatted with %" G_GUINT64_FORMAT " bytes, but has %"
        G_GSIZE_FORMAT " here: the two sides must see all of the same memory "
        "(a VM's device and the file behind it must be of one size)",
        area->path, header.size, area->size);
  else if (header.slice_bytes != area->slice_bytes
      || header.slice_count != area->slice_count
      || header.channel_count != MMAP_AREA_CHANNELS)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LAYOUT,
        "%s is cut into %u slices of %" G_GUINT64_FORMAT " bytes and %u "
        "channels, expected %u of %" G_GUINT64_FORMAT " and %u", area->path,
        header.slice_count, header.slice_bytes, header.channel_count,
        area->slice_count, area->slice_bytes, MMAP_AREA_CHANNELS);
  else
    return TRUE;
  return FALSE;
}

/* Whether the first pages hold zeros, or what another side has written so far that formats the area now. */
static gboolean
area_is_blank (const MmapArea * area)
{
  const guint64 *words = (const guint64 *) area->start;
  MmapAreaHeader want, seen;
  gsize i;

  area_describe (area, &want);
  area_read_header (area, &seen);
  if ((seen.magic != 0 && seen.magic != want.magic)
      || (seen.version != 0 && seen.version != want.version)
      || (seen.byte_order != 0 && seen.byte_order != want.byte_order)
      || (seen.size != 0 && seen.size != want.size)
      || (seen.slice_bytes != 0 && seen.slice_bytes != want.slice_bytes)
      || (seen.slice_count != 0 && seen.slice_count != want.slice_count)
      || (seen.channel_count != 0 && seen.channel_count != want.channel_count))
    return FALSE;
  for (i = MMAP_CACHE_LINE_BYTES / 8; i < sizeof (MmapAreaStart) / 8; i++)
    /* Acquire: if it is formatted by now, the rest is in use already; who wrote the word had seen the magic. */
    if (mmap_load_acquire (&words[i]) != 0)
      return mmap_load_acquire (&area->start->header.magic) == want.magic;
  return TRUE;
}

/* Any number of sides may do this at once: all write the same. */
static gboolean
area_format (MmapArea * area, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  if (mmap_area_check (area, &cause))
    return TRUE;
  if (g_error_matches (cause, MMAP_ERROR, MMAP_ERROR_NOT_FOUND)) {
    g_clear_error (&cause);
    if (area_is_blank (area)) {
      area_write_header (area);
      return TRUE;
    }
    g_set_error (&cause, MMAP_ERROR, MMAP_ERROR_NOT_A_REGION,
        "%s is no area of gst-mmap, and not empty: expected \""
        MMAP_AREA_MAGIC "\" or zeros in its first %" G_GSIZE_FORMAT
        " bytes: if nothing in it is needed, run gst-mmap format %s",
        area->path, sizeof (MmapAreaStart), area->path);
  }
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

gboolean
mmap_area_restore (MmapArea * area)
{
  if (mmap_area_check (area, NULL))
    return FALSE;
  area_write_header (area);
  return TRUE;
}

/* --- opening --- */

char *
mmap_area_resolve (const char *file, GError ** error)
{
  char *path = mmap_area_resolve_doorbell (file);

  if (path)
    return path;
  if (mmap_ivshmem_is_name (file))
    return mmap_ivshmem_find (file, error);
  return g_canonicalize_filename (file, NULL);
}

static gboolean
check_file (const char *path, const struct stat *st, const MmapUsers * trusted,
    GError ** error)
{
  /* Nobody has this number: only "any" is everybody. */
  gboolean any = mmap_users_have (trusted, G_MAXUINT32 - 1);

  if (!S_ISREG (st->st_mode))
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "file %s is %s, expected a regular file", path,
        S_ISDIR (st->st_mode) ? "a directory" : "no regular file");
  else if (!mmap_users_have (trusted, st->st_uid))
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_UNSAFE_PATH,
        "file %s belongs to user %u, who isn't trusted: if this is right, name "
        "that user in allowed-uids, with all others who are", path,
        (guint) st->st_uid);
  /* What has no name, as a memfd, nobody else can open. */
  else if ((st->st_mode & S_IWOTH) && st->st_nlink > 0 && !any)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_UNSAFE_PATH,
        "file %s has mode %04o: anybody could change what is in it: run chmod "
        "o-w on it, or set allowed-uids=any", path,
        (guint) st->st_mode & 07777);
  else
    return TRUE;
  return FALSE;
}

static gboolean
check_size (const char *path, guint64 size, GError ** error)
{
  if (size < MMAP_AREA_MIN_BYTES)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOO_SMALL,
        "%s has %" G_GUINT64_FORMAT " bytes, which is too small for an area: "
        "expected at least %" G_GUINT64_FORMAT, path, size,
        MMAP_AREA_MIN_BYTES);
  else if (size > MMAP_REGION_MAX_BYTES)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
        "%s has %" G_GUINT64_FORMAT " bytes, expected at most %"
        G_GUINT64_FORMAT, path, size, MMAP_REGION_MAX_BYTES);
  else
    return TRUE;
  return FALSE;
}

MmapArea *
mmap_area_map (int fd, const char *path, guint64 offset, guint64 size,
    GError ** error)
{
  MmapArea *area;
  void *base;

  if (!check_size (path, size, error)) {
    close (fd);
    return NULL;
  }
  base = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
  if (base == MAP_FAILED) {
    g_set_error (error, MMAP_ERROR,
        errno == ENOMEM ? MMAP_ERROR_NO_RESOURCES : MMAP_ERROR_FILE,
        "%s can't be mapped, %" G_GUINT64_FORMAT " bytes: %s", path,
        size, g_strerror (errno));
    close (fd);
    return NULL;
  }
  area = g_new0 (MmapArea, 1);
  area->ref_count = 1;
  area->fd = fd;
  area->size = size;
  area->base = base;
  area->start = base;
  area->path = g_strdup (path);
  area->map_offset = offset;
  mmap_area_cut (area->size, &area->slice_bytes, &area->slice_count);
  area->guard = mmap_guard_new (base, area->size, TRUE);
  if (!area->guard) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "This process has more than %d files mapped already, or can't handle "
        "SIGBUS", MMAP_MAX_GUARDS);
    g_clear_pointer (&area, mmap_area_unref);
  }
  return area;
}

gboolean
mmap_area_is_made (const struct stat *st, guint32 flags)
{
  return (flags & MMAP_AREA_MADE) && (st->st_mode & S_ISVTX);
}

/* What is no area may hold anything there. */
static void
area_read_flags (MmapArea * area, const struct stat *st)
{
  guint32 flags = mmap_load_relaxed (&area->start->header.flags);

  area->flags = mmap_area_is_made (st, flags) ? MMAP_AREA_MADE : 0;
}

/* Takes @fd, on failure, too. */
static MmapArea *
area_map (int fd, const char *path, const struct stat *st, GError ** error)
{
  MmapArea *area = mmap_area_map (fd, path, 0, st->st_size, error);
  struct statfs fs;

  if (!area)
    return NULL;
  area->device = st->st_dev;
  area->inode = st->st_ino;
  area->is_file = fstatfs (fd, &fs) < 0 || fs.f_type != SYSFS_MAGIC;
  return area;
}

/* Whether @path is /proc/self/fd/N: a descriptor that this process has inherited, of a memfd as a rule, which has no other path. */
static gboolean
is_own_descriptor (const char *path, int *fd)
{
  guint64 number;

  if (!g_str_has_prefix (path, "/proc/self/fd/")
      || !g_ascii_string_to_unsigned (path + strlen ("/proc/self/fd/"), 10, 0,
          G_MAXINT, &number, NULL))
    return FALSE;
  *fd = number;
  return TRUE;
}

/* Opened anew, by the link that it is there: locks are not shared with who has inherited it, too. */
static int
open_own_descriptor (const char *path, int own, const MmapUsers * trusted,
    struct stat *st, GError ** error)
{
  int fd;

  if (fstat (own, st) < 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "%s can't be used: %s: this process has to inherit it", path,
        g_strerror (errno));
    return -1;
  }
  if (!check_file (path, st, trusted, error))
    return -1;
  fd = open (path, O_RDWR | O_CLOEXEC);
  if (fd < 0)
    mmap_region_set_path_error (error, errno, path);
  return fd;
}

/* Returns: a descriptor; -1 without an error: there is nothing */
static int
open_file (const char *path, const MmapUsers * trusted, struct stat *st,
    GError ** error)
{
  int fd;

  if (is_own_descriptor (path, &fd))
    return open_own_descriptor (path, fd, trusted, st, error);
  if (!mmap_path_check (path, error))
    return -1;
  /* First without opening: to open a device may have effects. */
  if (fstatat (AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno != ENOENT)
      mmap_region_set_path_error (error, errno, path);
    return -1;
  }
  if (S_ISLNK (st->st_mode)) {
    mmap_region_set_path_error (error, ELOOP, path);
    return -1;
  }
  if (!check_file (path, st, trusted, error))
    return -1;
  fd = open (path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || fstat (fd, st) < 0) {
    if (errno != ENOENT)
      mmap_region_set_path_error (error, errno, path);
  } else if (check_file (path, st, trusted, error)) {
    return fd;
  }
  if (fd >= 0)
    close (fd);
  return -1;
}

MmapArea *
mmap_area_open_unformatted (const char *path, const MmapUsers * trusted,
    GError ** error)
{
  g_autoptr (GError) cause = NULL;
  g_autofree char *directory = g_path_get_dirname (path);
  struct stat st;
  int fd = open_file (path, trusted, &st, &cause);

  if (cause) {
    g_propagate_error (error, g_steal_pointer (&cause));
    return NULL;
  }
  if (fd < 0 && !g_file_test (directory, G_FILE_TEST_IS_DIR)) {
    mmap_region_set_path_error (error, ENOENT, path);
    return NULL;
  }
  /* An empty one is being made. */
  if (fd < 0 || st.st_size == 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND, "%s is not there",
        path);
    if (fd >= 0)
      close (fd);
    return NULL;
  }
  return area_map (fd, path, &st, error);
}

MmapArea *
mmap_area_open_existing (const char *path, const MmapUsers * trusted,
    GError ** error)
{
  MmapArea *area = mmap_area_open_unformatted (path, trusted, error);
  struct stat st;

  if (area && !mmap_area_check (area, error))
    g_clear_pointer (&area, mmap_area_unref);
  if (area && fstat (area->fd, &st) == 0)
    area_read_flags (area, &st);
  return area;
}

/* --- making --- */

/* Locks it, sizes it, and gives it to whom @mode says. */
static gboolean
prepare_file (int fd, const char *path, guint64 size, const MmapMode * mode,
    struct stat *st, GError ** error)
{
  /* See mmap_area_is_made(). */
  guint bits = (mode->bits & MMAP_MODE_SOCKET) | S_ISVTX;

  if (!mmap_region_check_limit (size, path, error))
    return FALSE;
  if (fchmod (fd, 0600 | S_ISVTX) < 0 || flock (fd, LOCK_SH | LOCK_NB) < 0
      || ftruncate (fd, size) < 0 || fstat (fd, st) < 0) {
    mmap_region_set_path_error (error, errno, path);
    return FALSE;
  }
  if (!mmap_mode_is_shared (mode))
    return TRUE;
  if (!mmap_mode_apply (mode, fd, MMAP_MODE_SOCKET, path, error))
    return FALSE;
  if (fchmod (fd, bits) == 0)
    return TRUE;
  mmap_region_set_path_error (error, errno, path);
  return FALSE;
}

/* Takes @fd. */
static MmapArea *
make_area (int fd, const char *path, guint64 size, const MmapMode * mode,
    GError ** error)
{
  MmapArea *area;
  struct stat st;

  if (!prepare_file (fd, path, size, mode, &st, error)) {
    close (fd);
    return NULL;
  }
  area = area_map (fd, path, &st, error);
  if (area)
    area->flags = MMAP_AREA_MADE;
  if (!area || (mmap_area_reserve (area, 0, sizeof (MmapAreaStart), error)
          && area_format (area, error)))
    return area;
  mmap_area_unref (area);
  return NULL;
}

/* It is locked before others can see it, and nothing is left of what can't be finished. %NULL without an error: somebody was quicker. */
static MmapArea *
make_file (const char *path, guint64 size, const MmapMode * mode,
    GError ** error)
{
  g_autofree char *directory = g_path_get_dirname (path);
  char self[64];
  gboolean named = FALSE;
  MmapArea *area;
  int fd;

  if (!check_size (path, size, error))
    return NULL;
  fd = open (directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
    named = TRUE;
    fd = open (path, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
  }
  if (fd < 0) {
    if (errno != EEXIST)
      mmap_region_set_path_error (error, errno, path);
    return NULL;
  }
  area = make_area (fd, path, size, mode, error);
  if (!area && named)
    unlink (path);
  if (!area || named)
    return area;
  g_snprintf (self, sizeof self, "/proc/self/fd/%d", fd);
  if (linkat (AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
    return area;
  if (errno != EEXIST)
    mmap_region_set_path_error (error, errno, path);
  mmap_area_unref (area);
  return NULL;
}

/* Of an unused one that a producer made for another size than is asked for now. */
static gboolean
remove_other_size (MmapArea * area, guint64 size)
{
  struct stat st = {.st_dev = area->device,.st_ino = area->inode };

  return size != 0 && size != area->size && area->is_file
      && (area->flags & MMAP_AREA_MADE)
      && flock (area->fd, LOCK_EX | LOCK_NB) == 0
      && mmap_lock_names_file (area->path, &st) && unlink (area->path) == 0;
}

/* Of @fd, which is open on @path. FALSE without an error: it is to be tried again. */
static gboolean
lock_area (int fd, const char *path, const struct stat *st, GError ** error)
{
  int own;

  if (flock (fd, LOCK_SH | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_FAILED,
          "%s: can't be locked: %s", path, g_strerror (errno));
    return FALSE;
  }
  /* Who removes it has the whole lock. */
  return st->st_size > 0 && (is_own_descriptor (path, &own)
      || mmap_lock_names_file (path, st));
}

static gboolean
is_bar (int fd)
{
  struct statfs fs;

  return fstatfs (fd, &fs) == 0 && fs.f_type == SYSFS_MAGIC;
}

/* One attempt. %NULL without an error: something has changed meanwhile. */
static MmapArea *
try_open (const char *path, guint64 size, const MmapMode * mode,
    const MmapUsers * trusted, GError ** error)
{
  g_autoptr (GError) cause = NULL;
  MmapArea *area;
  struct stat st;
  int fd = open_file (path, trusted, &st, &cause);

  if (fd < 0 && !cause)
    return make_file (path, size ? size : MMAP_AREA_DEFAULT_BYTES, mode, error);
  if (cause || (!is_bar (fd) && !lock_area (fd, path, &st, &cause))) {
    if (fd >= 0)
      close (fd);
    if (cause)
      g_propagate_error (error, g_steal_pointer (&cause));
    return NULL;
  }
  area = area_map (fd, path, &st, error);
  if (!area)
    return NULL;
  if (mmap_area_check (area, NULL))
    area_read_flags (area, &st);
  if (remove_other_size (area, size)) {
    mmap_area_unref (area);
    return NULL;
  }
  /* It may have been asked for in vain, and nobody is to wait for us meanwhile. */
  if (area->is_file)
    flock (fd, LOCK_SH);
  if (mmap_area_reserve (area, 0, sizeof (MmapAreaStart), error)
      && area_format (area, error))
    return area;
  mmap_area_unref (area);
  return NULL;
}

MmapArea *
mmap_area_open (const char *path, guint64 size, const MmapMode * mode,
    const MmapUsers * trusted, GError ** error)
{
  g_autoptr (GError) cause = NULL;
  MmapArea *area = NULL;
  guint i;

  if (mmap_area_has_doorbell (path)) {
    area = mmap_area_open_doorbell (path, error);
    if (area && !area_format (area, error))
      g_clear_pointer (&area, mmap_area_unref);
    return area;
  }
  for (i = 0; i < MAX_RETRIES && !area && !cause; i++) {
    if (i > 1)
      g_usleep (RETRY_US);
    area = try_open (path, size, mode, trusted, &cause);
  }
  if (cause)
    g_propagate_error (error, g_steal_pointer (&cause));
  else if (!area)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
        "%s is empty, or other processes make and remove it all the time: "
        "remove it, or choose another path", path);
  return area;
}

MmapArea *
mmap_area_ref (MmapArea * area)
{
  g_atomic_int_inc (&area->ref_count);
  return area;
}

void
mmap_area_unref (MmapArea * area)
{
  if (!g_atomic_int_dec_and_test (&area->ref_count))
    return;
  mmap_guard_free (area->guard);
  munmap (area->base, area->size);
  mmap_doorbell_free (area->doorbell);
  close (area->fd);
  g_free (area->path);
  g_free (area);
}

gboolean
mmap_area_reserve (MmapArea * area, guint64 offset, guint64 bytes,
    GError ** error)
{
  struct stat st;

  if (!area->is_file)
    return TRUE;
  /* To reserve would make it longer again, and what is gone would read as zeros, with nobody told. */
  if (fstat (area->fd, &st) == 0 && (guint64) st.st_size < area->size) {
    mmap_region_set_truncated_error (error, area->path);
    return FALSE;
  }
  return mmap_region_reserve_part (area->fd, offset, bytes, area->path, error);
}

void
mmap_area_remove_if_unused (MmapArea * area)
{
  struct stat st = {.st_dev = area->device,.st_ino = area->inode };

  if (area->is_file && (area->flags & MMAP_AREA_MADE)
      && flock (area->fd, LOCK_EX | LOCK_NB) == 0
      && mmap_lock_names_file (area->path, &st) && unlink (area->path) < 0)
    g_warning ("%s: can't be removed: %s", area->path, g_strerror (errno));
}
