/* gst-mmap: the memory that an ivshmem server hands out
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called when the server starts and ends. Nothing is ever written here: who maps the memory says what lies in it.
 */
#include "ivshmem-memory.h"

#include "error.h"
#include "lock.h"
#include "path.h"
#include "region-private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

gboolean
mmap_ivshmem_check_size (guint64 size, GError ** error)
{
  guint64 above = MMAP_IVSHMEM_MIN_BYTES;

  if (size >= MMAP_IVSHMEM_MIN_BYTES && size <= MMAP_REGION_MAX_BYTES
      && (size & (size - 1)) == 0)
    return TRUE;
  while (above < size && above < MMAP_REGION_MAX_BYTES)
    above *= 2;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
      "size is %" G_GUINT64_FORMAT ", but a PCI device shows its memory in a "
      "BAR, whose size is a power of two: expected one from %u to %"
      G_GUINT64_FORMAT ", such as %" G_GUINT64_FORMAT, size,
      MMAP_IVSHMEM_MIN_BYTES, MMAP_REGION_MAX_BYTES, above);
  return FALSE;
}

static gboolean
make_memfd (MmapIvshmemMemory * memory, GError ** error)
{
  guint64 at_once = memory->size;

  memory->fd = memfd_create ("gst-mmap-ivshmem",
      MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory->fd < 0) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "Can't make a memfd: %s", g_strerror (errno));
    return FALSE;
  }
  if (!mmap_region_reserve (memory->fd, memory->size, &at_once,
          "The memory of the server", error))
    return FALSE;
  /* Each peer has the descriptor: none may take away what others have mapped. */
  if (fcntl (memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW
          | F_SEAL_SEAL) == 0)
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_FAILED, "Can't seal a memfd: %s",
      g_strerror (errno));
  return FALSE;
}

/* Of the file that is there. */
static gboolean
take_size (MmapIvshmemMemory * memory, GError ** error)
{
  struct stat st;
  guint64 there;

  if (fstat (memory->fd, &st) < 0 || !S_ISREG (st.st_mode)
      || (st.st_uid != geteuid () && geteuid () != 0)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_EXISTS,
        "%s is no regular file of user %u: choose another path, or remove it",
        memory->path, (guint) geteuid ());
    return FALSE;
  }
  there = st.st_size;
  if (memory->size != 0 && memory->size != there) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
        "size is %" G_GUINT64_FORMAT ", but %s is there already and has %"
        G_GUINT64_FORMAT " bytes: remove it, or leave out the size",
        memory->size, memory->path, there);
    return FALSE;
  }
  memory->size = there;
  return mmap_ivshmem_check_size (there, error);
}

/* As regular files go: to open a device or a FIFO may have effects. */
static gboolean
open_file (MmapIvshmemMemory * memory, GError ** error)
{
  struct stat st;

  if (lstat (memory->path, &st) == 0 && !S_ISREG (st.st_mode)
      && !S_ISLNK (st.st_mode)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_EXISTS,
        "%s is no regular file: choose another path", memory->path);
    return FALSE;
  }
  memory->fd = open (memory->path,
      O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (memory->fd >= 0)
    return TRUE;
  if (errno == ENOENT && memory->size != 0) {
    memory->fd = open (memory->path,
        O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    memory->made = memory->fd >= 0;
  }
  if (memory->fd >= 0)
    return TRUE;
  if (errno == ENOENT && memory->size == 0
      && g_file_test (memory->path, G_FILE_TEST_EXISTS) == FALSE)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
        "size is missing: there is no %s yet whose size could be taken",
        memory->path);
  else
    mmap_region_set_path_error (error, errno, memory->path);
  return FALSE;
}

/* A hole without room behind it would be a SIGBUS of whoever writes there. */
static gboolean
fill_holes (const MmapIvshmemMemory * memory, GError ** error)
{
  int result;

  do {
    result = posix_fallocate (memory->fd, 0, memory->size);
  } while (result == EINTR);
  if (result == 0)
    return TRUE;
  g_set_error (error, MMAP_ERROR,
      result == ENOSPC ? MMAP_ERROR_NO_SPACE : MMAP_ERROR_FAILED,
      "%s: can't reserve %" G_GUINT64_FORMAT " bytes: %s", memory->path,
      memory->size, g_strerror (result));
  return FALSE;
}

static gboolean
make_file (MmapIvshmemMemory * memory, const MmapMode * mode, GError ** error)
{
  guint64 at_once = memory->size;

  if (!mmap_path_check (memory->path, error) || !open_file (memory, error))
    return FALSE;
  if (!memory->made)
    return take_size (memory, error) && fill_holes (memory, error);
  return mmap_region_reserve (memory->fd, memory->size, &at_once, memory->path,
      error)
      && mmap_mode_apply (mode, memory->fd, 0666, memory->path, error);
}

gboolean
mmap_ivshmem_memory_init (MmapIvshmemMemory * memory, const char *path,
    guint64 size, const MmapMode * mode, GError ** error)
{
  gboolean ok;

  *memory = (MmapIvshmemMemory) {
  .fd = -1,.size = size,.path = g_strdup (path)};
  ok = (path && size == 0) || mmap_ivshmem_check_size (size, error);
  if (ok)
    ok = path ? make_file (memory, mode, error) : make_memfd (memory, error);
  if (!ok)
    mmap_ivshmem_memory_clear (memory);
  return ok;
}

void
mmap_ivshmem_memory_clear (MmapIvshmemMemory * memory)
{
  struct stat st;

  if (memory->made && fstat (memory->fd, &st) == 0
      && mmap_lock_names_file (memory->path, &st))
    unlink (memory->path);
  if (memory->fd >= 0)
    close (memory->fd);
  g_clear_pointer (&memory->path, g_free);
  *memory = (MmapIvshmemMemory) {
  .fd = -1};
}
