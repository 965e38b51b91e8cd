/* gst-mmap: making regions
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The owner's side of a region: a sealed memfd, or a file with a lock. Called
 * by the producer and the tool; holds no state, so any thread may call it.
 *
 * A file region is made without a name and gets its name last, when it is
 * locked, has its header, and its first part is reserved: nobody ever sees a
 * region that isn't one yet, and a process that dies on the way leaves nothing
 * behind. Whoever removes a stale
 * file holds its lock, and a name is given only if there is none: of several
 * processes that start at once, one gets the path.
 */
#include "region-private.h"
#include "error.h"
#include "lock.h"
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010      /* Linux 5.1 */
#endif

/* Chosen, untuned: others may take the path between two looks at it. */
#define MAX_ATTEMPTS 16

static const char memfd_name[] = "A memfd region";

/* From the start of a region, to who made it. */
#define OWNER_BYTES (2 * MMAP_CACHE_LINE_BYTES)
/* Of a file that has a name, until it has a header: so that one whose owner was
 * killed is known for what it is. */
#define NEW_MODE (S_ISVTX | 0600)

static gboolean
prepare_size (guint64 * size, guint64 * at_once, GError ** error)
{
  guint64 page = sysconf (_SC_PAGESIZE);

  if (*size < MMAP_REGION_MIN_BYTES) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOO_SMALL,
        "A region of %" G_GUINT64_FORMAT " bytes is too small: the smallest "
        "has %" G_GSIZE_FORMAT " bytes", *size, (gsize) MMAP_REGION_MIN_BYTES);
    return FALSE;
  }
  if (*size > MMAP_REGION_MAX_BYTES) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NO_SPACE,
        "A region of %" G_GUINT64_FORMAT " bytes is too large: the largest "
        "has %" G_GUINT64_FORMAT " bytes", *size, MMAP_REGION_MAX_BYTES);
    return FALSE;
  }
  *size = (*size + page - 1) / page * page;
  *at_once = CLAMP (*at_once, MMAP_REGION_MIN_BYTES, *size);
  *at_once = (*at_once + page - 1) / page * page;
  return TRUE;
}

static void
write_header (MmapRegionHeader * header, guint64 size, guint64 session,
    guint32 region_id)
{
  header->version = MMAP_PROTOCOL_VERSION;
  header->byte_order = MMAP_BYTE_ORDER;
  header->session = session;
  header->size = size;
  header->region_id = region_id;
  header->header_bytes = sizeof (MmapRegionHeader);
  header->blocks_offset = sizeof (MmapRegionHeader);
  header->producer_pid = getpid ();
  header->producer_uid = getuid ();
  header->started_us = g_get_real_time ();
  /* Last: without the magic nobody takes the file for a region. */
  __atomic_thread_fence (__ATOMIC_RELEASE);
  memcpy (header->magic, MMAP_REGION_MAGIC, sizeof (header->magic));
}

/* What is there at once: a huge page takes hardly longer, and the first frame may have room in it. */
static void
populate_first (MmapRegion * region)
{
  guint64 end = mmap_region_round_to_huge (region, 1);

  if (end > 1 && region->reserved <= end) {
    mmap_region_make_huge (region, 0, end);
    region->reserved = MAX (region->reserved, region->huge_bytes);
  }
  mmap_region_populate (region, 0, region->reserved);
}

/* Maps the zeroed memory and writes its header. @path: (nullable): of a file. Takes @fd on success only. */
static MmapRegion *
map_new (int fd, guint64 size, guint64 at_once, guint64 session,
    guint32 region_id, const char *path, GError ** error)
{
  MmapRegion *region;
  void *base = mmap_region_map (fd, 0, size, TRUE);

  if (base == MAP_FAILED) {
    g_set_error (error, MMAP_ERROR,
        errno == ENOMEM ? MMAP_ERROR_NO_SPACE : MMAP_ERROR_FAILED,
        "%s: can't map %" G_GUINT64_FORMAT " bytes: %s", path ? path :
        memfd_name, size, g_strerror (errno));
    return NULL;
  }
  region = g_new0 (MmapRegion, 1);
  region->ref_count = 1;
  region->fd = fd;
  region->size = size;
  region->blocks_offset = sizeof (MmapRegionHeader);
  region->session = session;
  region->region_id = region_id;
  region->writable = TRUE;
  region->base = base;
  region->header = base;
  region->reserved = at_once;
  if (path != NULL && !mmap_region_guard (region, error)) {
    region->fd = -1;
    mmap_region_unref (region);
    return NULL;
  }
  write_header (base, size, session, region_id);
  populate_first (region);
  return region;
}

void
mmap_region_restore (MmapRegion * region)
{
  MmapRegionHeader *header = region->header;

  if (memcmp (header->magic, MMAP_REGION_MAGIC, sizeof header->magic) == 0
      && header->version == MMAP_PROTOCOL_VERSION
      && header->byte_order == MMAP_BYTE_ORDER
      && header->session == region->session && header->size == region->size
      && header->region_id == region->region_id
      && header->header_bytes == sizeof *header
      && header->blocks_offset == region->blocks_offset
      && header->links_offset == 0 && header->link_bytes == 0
      && header->link_count == 0)
    return;
  memset (header, 0, sizeof *header);
  write_header (header, region->size, region->session, region->region_id);
}

MmapRegion *
mmap_region_begin_window (MmapWindow * window, guint64 at_once,
    guint64 session, guint32 region_id, GError ** error)
{
  MmapArea *area = mmap_channel_get_area (window->channel);
  guint64 size = window->size;
  MmapRegion *region = NULL;

  if (prepare_size (&size, &at_once, error)) {
    /* All of a BAR is there. */
    if (!area->is_file)
      at_once = size;
    if (mmap_area_reserve (area, window->offset, at_once, error))
      region = mmap_region_map_window (area, window->offset, size, TRUE, error);
  }
  if (!region) {
    mmap_window_free (window);
    return NULL;
  }
  region->window = window;
  region->blocks_offset = sizeof (MmapRegionHeader);
  region->session = session;
  region->region_id = region_id;
  region->reserved = at_once;
  /* Others had it before. */
  memset (region->header, 0, sizeof (MmapRegionHeader));
  write_header (region->header, size, session, region_id);
  populate_first (region);
  return region;
}

const char *
mmap_region_get_name (const MmapRegion * region)
{
  return region->path ? region->path : memfd_name;
}

MmapRegion *
mmap_region_begin_memfd (guint64 size, guint64 at_once, guint64 session,
    guint32 region_id, gboolean seal_writes, GError ** error)
{
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL
      | (seal_writes ? F_SEAL_FUTURE_WRITE : 0);
  MmapRegion *region;
  int fd;

  if (!prepare_size (&size, &at_once, error))
    return NULL;
  fd = memfd_create ("gst-mmap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "Can't make a memfd: %s", g_strerror (errno));
    return NULL;
  }
  if (!mmap_region_reserve (fd, size, &at_once, memfd_name, error)
      || !(region = map_new (fd, size, at_once, session, region_id,
              NULL, error))) {
    close (fd);
    return NULL;
  }
  /* Our own mapping, made before, goes on writing. */
  if (fcntl (fd, F_ADD_SEALS, seals) < 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FAILED,
        "Can't seal a memfd: %s (Linux 5.1 or newer is needed)",
        g_strerror (errno));
    mmap_region_unref (region);
    return NULL;
  }
  return region;
}

MmapRegion *
mmap_region_new_memfd (guint64 size, guint64 session, guint32 region_id,
    GError ** error)
{
  return mmap_region_begin_memfd (size, G_MAXUINT64, session, region_id, TRUE,
      error);
}

void
mmap_region_set_path_error (GError ** error, int errnum, const char *path)
{
  char *directory = g_path_get_dirname (path);

  switch (errnum) {
    case ENOENT:
    case ENOTDIR:
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_NO_DIRECTORY,
          "%s can't be there, as there is no directory %s: create it, or choose "
          "another path", path, directory);
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_PERMISSION,
          "User %u has no access to %s: %s. Whoever made it can give it: mode, "
          "group and allowed-uids of mmapsink; or it is the rights of %s, or "
          "another path is to be chosen", geteuid (), path,
          g_strerror (errnum), directory);
      break;
    case ENOSPC:
    case EDQUOT:
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_NO_SPACE,
          "There is no room for another file in %s: %s", directory,
          g_strerror (errnum));
      break;
    case ELOOP:
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_EXISTS,
          "%s is a symbolic link, which is not followed: name the file itself",
          path);
      break;
    default:
      g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errnum), "%s: %s",
          path, g_strerror (errnum));
      break;
  }
  g_free (directory);
}

static void
set_exists (GError ** error, const char *path, const char *what)
{
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_EXISTS,
      "%s is %s; it is left as it is: choose another path, or remove it", path,
      what);
}

static guint32
read_pid (int fd)
{
  MmapRegionHeader header;

  if (pread (fd, &header, OWNER_BYTES, 0) == OWNER_BYTES
      && memcmp (header.magic, MMAP_REGION_MAGIC, sizeof (header.magic)) == 0)
    return header.producer_pid;
  return 0;
}

static gboolean
lock_file (int fd, const char *path, GError ** error)
{
  g_autofree char *owner = NULL;
  guint32 pid;

  switch (mmap_lock_take (fd, read_pid, &pid)) {
    case MMAP_LOCK_TAKEN:
      return TRUE;
    case MMAP_LOCK_BUSY:
      owner = mmap_lock_describe_owner (pid);
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
          "%s belongs to a live process, %s: choose another path, or end that "
          "process", path, owner);
      return FALSE;
    default:
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_FAILED,
          "%s: can't be locked: %s", path, g_strerror (errno));
      return FALSE;
  }
}

static gboolean
is_region (int fd)
{
  guint8 magic[sizeof (MMAP_REGION_MAGIC) - 1];
  struct stat st;

  if (pread (fd, magic, sizeof (magic), 0) == sizeof (magic)
      && memcmp (magic, MMAP_REGION_MAGIC, sizeof (magic)) == 0)
    return TRUE;
  return fstat (fd, &st) == 0 && st.st_size == 0 && (st.st_mode & S_ISVTX);
}

/* Removes the file that @fd is open on from @path if it is a region whose
 * owner is dead. TRUE if it makes sense to try again at @path. */
static gboolean
remove_stale (int fd, const char *path, GError ** error)
{
  struct stat st;

  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode)) {
    set_exists (error, path, "no regular file");
    return FALSE;
  }
  if (!lock_file (fd, path, error))
    return FALSE;
  if (!is_region (fd)) {
    set_exists (error, path, "a file that is no region");
    return FALSE;
  }
  if (st.st_uid != geteuid ()) {
    set_exists (error, path, "another user's region");
    return FALSE;
  }
  if (st.st_nlink > 1) {
    set_exists (error, path, "a region that has other names, too");
    return FALSE;
  }
  /* Another process may have replaced the file before we had the lock: then
   * the name is not ours to remove. While we have it, nobody who asks for the
   * lock removes it. */
  if (mmap_lock_names_file (path, &st) && unlink (path) < 0 && errno != ENOENT) {
    mmap_region_set_path_error (error, errno, path);
    return FALSE;
  }
  return TRUE;
}

/* Sees to it that nothing lies at @path. */
static gboolean
clear_path (const char *path, GError ** error)
{
  struct stat st;
  gboolean ok;
  int fd;

  /* First without opening: to open a device may have effects. */
  if (fstatat (AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT)
      return TRUE;
    mmap_region_set_path_error (error, errno, path);
    return FALSE;
  }
  if (!S_ISREG (st.st_mode)) {
    set_exists (error, path, S_ISDIR (st.st_mode) ? "a directory"
        : S_ISLNK (st.st_mode) ? "a symbolic link, which is not followed"
        : "no regular file");
    return FALSE;
  }
  fd = open (path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ENOENT)
      return TRUE;
    mmap_region_set_path_error (error, errno, path);
    return FALSE;
  }
  ok = remove_stale (fd, path, error);
  close (fd);
  return ok;
}

/* Opens a new file, without a name if the file system can do that. Sets
 * @named. -1 with errno. */
static int
open_new (const char *path, gboolean * named)
{
  char *directory = g_path_get_dirname (path);
  int fd = -1;

  *named = FALSE;
  /* Where the name is given through /proc later, it has to be there. */
  if (access ("/proc/self/fd", X_OK) == 0)
    fd = open (directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  else
    errno = EOPNOTSUPP;
  g_free (directory);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
    return fd;
  *named = TRUE;
  return open (path, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC,
      NEW_MODE);
}

static gboolean
give_name (int fd, const char *path)
{
  char self[64];

  g_snprintf (self, sizeof (self), "/proc/self/fd/%d", fd);
  return linkat (AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

/* Locks a new file. One that has its name from the start is seen by others:
 * before it is locked they may remove it, from then on it says whose it is. */
static gboolean
claim_file (int fd, const char *path, const struct stat *st, gboolean named,
    GError ** error)
{
  MmapRegionHeader header = { 0, };
  gssize n;

  if (!lock_file (fd, path, error))
    return FALSE;
  if (!named)
    return TRUE;
  if (!mmap_lock_names_file (path, st)) {
    set_exists (error, path, "in the way");
    return FALSE;
  }
  memcpy (header.magic, MMAP_REGION_MAGIC, sizeof (header.magic));
  header.producer_pid = getpid ();
  n = pwrite (fd, &header, OWNER_BYTES, 0);
  if (n != OWNER_BYTES) {
    mmap_region_set_path_error (error, n < 0 ? errno : ENOSPC, path);
    unlink (path);
  }
  return n == OWNER_BYTES;
}

/* One attempt. MMAP_ERROR_EXISTS means that somebody was quicker. */
static MmapRegion *
make_file (const char *path, guint64 size, guint64 at_once, guint64 session,
    guint32 region_id, GError ** error)
{
  MmapRegion *region = NULL;
  struct stat st;
  gboolean named;
  int fd = open_new (path, &named);

  if (fd < 0 || fstat (fd, &st) < 0) {
    if (errno == EEXIST)
      set_exists (error, path, "in the way");
    else
      mmap_region_set_path_error (error, errno, path);
    if (fd >= 0)
      close (fd);
    return NULL;
  }
  if (!claim_file (fd, path, &st, named, error)) {
    close (fd);
    return NULL;
  }
  /* Exactly this mode, whatever the umask. */
  if (fchmod (fd, 0600) < 0)
    mmap_region_set_path_error (error, errno, path);
  else if (mmap_region_reserve (fd, size, &at_once, path, error))
    region = map_new (fd, size, at_once, session, region_id, path, error);

  if (region != NULL && !named && !give_name (fd, path)) {
    if (errno == EEXIST)
      set_exists (error, path, "in the way");
    else
      mmap_region_set_path_error (error, errno, path);
    mmap_region_unref (region);
    return NULL;
  }
  if (region == NULL) {
    if (named && mmap_lock_names_file (path, &st))
      unlink (path);
    close (fd);
    return NULL;
  }
  region->path = g_strdup (path);
  region->path_device = st.st_dev;
  region->path_inode = st.st_ino;
  return region;
}

MmapRegion *
mmap_region_begin_file (const char *path, guint64 size, guint64 at_once,
    guint64 session, guint32 region_id, GError ** error)
{
  gint attempt;

  if (!prepare_size (&size, &at_once, error) || !mmap_path_check (path, error))
    return NULL;
  for (attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    MmapRegion *region;
    GError *local = NULL;

    if (!clear_path (path, error))
      return NULL;
    region = make_file (path, size, at_once, session, region_id, &local);
    if (region != NULL)
      return region;
    if (!g_error_matches (local, MMAP_ERROR, MMAP_ERROR_EXISTS)) {
      g_propagate_error (error, local);
      return NULL;
    }
    g_error_free (local);
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
      "%s: other processes made and removed it %d times in the meantime: "
      "choose another path", path, MAX_ATTEMPTS);
  return NULL;
}

MmapRegion *
mmap_region_new_file (const char *path, guint64 size, guint64 session,
    guint32 region_id, GError ** error)
{
  return mmap_region_begin_file (path, size, G_MAXUINT64, session, region_id,
      error);
}

gboolean
mmap_region_lock (MmapRegion * region, GError ** error)
{
  return lock_file (region->fd, region->path, error);
}

void
mmap_region_unlink (MmapRegion * region)
{
  const struct stat st = {.st_dev = region->path_device,.st_ino =
        region->path_inode
  };

  if (region->path_inode == 0)
    return;
  if (mmap_lock_names_file (region->path, &st) && unlink (region->path) < 0)
    g_warning ("%s: can't be removed: %s", region->path, g_strerror (errno));
}
