/* gst-mmap: who listens at a socket
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called when a producer starts and stops, and by the tool. One thread.
 *
 * A socket's file can't be locked itself, and whether somebody listens on it says nothing about a producer that is between bind(2) and
 * listen(2). So its owner has the file beside it locked, from before it makes the socket until after it has removed it. Who finds that
 * file unlocked takes it over as it is: at no instant is there a socket without one. Who has got the lock looks whether the path still
 * names the file, since only who has the lock removes it.
 */
#include "socket-lock.h"

#include "error.h"
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not to be taken for a region, which begins with gst-mmap. */
#define RECORD_TITLE "socket of gst-mmap"
/* The sticky bit keeps it from what cleans up in /tmp and in XDG_RUNTIME_DIR (XDG Base Directory Specification). */
#define LOCK_MODE (S_ISVTX | 0600)
/* Chosen, untuned: others may come and go at the path between two looks at it. */
#define MAX_ATTEMPTS 16

static gboolean
parse_number (const char *line, const char *name, guint base, guint64 most,
    guint64 * value)
{
  const char *text = NULL;

  if (line && g_str_has_prefix (line, name))
    text = line + strlen (name);
  return text && g_ascii_string_to_unsigned (text, base, 0, most, value, NULL);
}

gboolean
mmap_socket_record_read (int fd, MmapSocketRecord * record)
{
  char text[MMAP_SOCKET_RECORD_MAX_BYTES + 1];
  gssize n = pread (fd, text, sizeof text - 1, 0);
  g_auto (GStrv) lines = NULL;
  guint64 pid, uid;

  memset (record, 0, sizeof *record);
  if (n <= 0)
    return n == 0;
  text[n] = '\0';
  lines = g_strsplit (text, "\n", -1);
  if (g_strv_length (lines) != 6 || lines[5][0] != '\0'
      || strcmp (lines[0], RECORD_TITLE) != 0
      || !parse_number (lines[1], "pid ", 10, G_MAXUINT32, &pid)
      || !parse_number (lines[2], "uid ", 10, G_MAXUINT32, &uid)
      || !parse_number (lines[3], "session ", 16, G_MAXUINT64, &record->session)
      || !g_str_has_prefix (lines[4], "address "))
    return FALSE;
  record->pid = pid;
  record->uid = uid;
  record->address = g_strcompress (lines[4] + strlen ("address "));
  return TRUE;
}

void
mmap_socket_record_clear (MmapSocketRecord * record)
{
  g_clear_pointer (&record->address, g_free);
}

static guint32
read_pid (int fd)
{
  MmapSocketRecord record;
  guint32 pid = mmap_socket_record_read (fd, &record) ? record.pid : 0;

  mmap_socket_record_clear (&record);
  return pid;
}

/* FALSE: see errno. What an earlier record was longer is still behind this one. */
static gboolean
write_record (const MmapSocketLock * lock, guint64 session)
{
  g_autofree char *address = g_strescape (lock->address, NULL);
  g_autofree char *text = g_strdup_printf (RECORD_TITLE "\npid %u\nuid %u\n"
      "session %016" G_GINT64_MODIFIER "x\naddress %s\n", (guint) getpid (),
      (guint) geteuid (), session, address);
  gssize n = pwrite (lock->fd, text, strlen (text), 0);

  if (n >= 0 && n < (gssize) strlen (text))
    errno = ENOSPC;
  return n == (gssize) strlen (text);
}

/* Whoever is killed here leaves an empty file, which is nobody's: a record with the rest of a longer one behind it would be taken for another
 * program's. */
static gboolean
replace_record (const MmapSocketLock * lock)
{
  int errnum;

  if (ftruncate (lock->fd, 0) < 0)
    return FALSE;
  if (write_record (lock, 0))
    return TRUE;
  errnum = errno;
  /* A part of it is none. */
  (void) !ftruncate (lock->fd, 0);
  errno = errnum;
  return FALSE;
}

static gboolean
set_exists (GError ** error, const MmapSocketLock * lock, const char *what)
{
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_EXISTS,
      "%s, which would say who listens at %s, is %s: it was left alone; choose "
      "another socket-path, or remove it", lock->path, lock->address, what);
  return FALSE;
}

/* From errno. */
static gboolean
set_failed (GError ** error, const MmapSocketLock * lock)
{
  g_autofree char *directory = g_path_get_dirname (lock->path);
  int errnum = errno;
  struct stat st;

  if (errnum == ENOENT || errnum == ENOTDIR)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NO_DIRECTORY,
        "Can't listen on the socket %s: the directory %s does not exist: "
        "create it, or choose another socket-path", lock->address, directory);
  else if (errnum == EACCES && lstat (lock->path, &st) == 0
      && st.st_uid != geteuid ())
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
        "The socket %s is in use by user %u, to whom %s belongs: choose "
        "another socket-path", lock->address, (guint) st.st_uid, lock->path);
  else if (errnum == EACCES || errnum == EPERM || errnum == EROFS)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_PERMISSION,
        "Can't listen on the socket %s: user %u has no permission to make %s: "
        "check who owns it and %s, or choose another socket-path",
        lock->address, (guint) geteuid (), lock->path, directory);
  else if (errnum == ENOSPC || errnum == EDQUOT)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NO_SPACE,
        "There is no room for %s: free some, or choose another socket-path",
        lock->path);
  else
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errnum),
        "Can't listen on the socket %s: %s: %s", lock->address, lock->path,
        g_strerror (errnum));
  return FALSE;
}

static gboolean
set_in_use (GError ** error, const MmapSocketLock * lock, guint32 pid)
{
  g_autofree char *owner = mmap_lock_describe_owner (pid);

  g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
      "The socket %s is in use by another process, %s: stop it, or choose "
      "another socket-path", lock->address, owner);
  return FALSE;
}

/* Takes over what @lock->fd is open on. @gone: somebody removed it in the meantime */
static gboolean
take_file (MmapSocketLock * lock, gboolean * gone, GError ** error)
{
  MmapSocketRecord record;
  struct stat st;
  guint32 pid;

  if (fstat (lock->fd, &st) < 0)
    return set_failed (error, lock);
  if (!S_ISREG (st.st_mode))
    return set_exists (error, lock, "no regular file");
  switch (mmap_lock_take (lock->fd, read_pid, &pid)) {
    case MMAP_LOCK_TAKEN:
      break;
    case MMAP_LOCK_BUSY:
      return set_in_use (error, lock, pid);
    default:
      return set_failed (error, lock);
  }
  *gone = !mmap_lock_names_file (lock->path, &st);
  if (*gone)
    return FALSE;
  if (!mmap_socket_record_read (lock->fd, &record))
    return set_exists (error, lock, "another program's");
  mmap_socket_record_clear (&record);
  /* A second name may be somebody's who wants it written to. */
  if (st.st_nlink != 1)
    return set_exists (error, lock, "a file of several names");
  if (st.st_uid != geteuid ())
    return set_exists (error, lock, "another user's");
  /* Whatever the umask. */
  if (fchmod (lock->fd, LOCK_MODE) < 0 || !replace_record (lock))
    return set_failed (error, lock);
  lock->device = st.st_dev;
  lock->inode = st.st_ino;
  return TRUE;
}

static gboolean
open_file (MmapSocketLock * lock, GError ** error)
{
  struct stat st;

  /* First without opening: to open a device may have effects. */
  if (lstat (lock->path, &st) == 0 && !S_ISREG (st.st_mode))
    return set_exists (error, lock, "no regular file");
  lock->fd = open (lock->path,
      O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  return lock->fd >= 0 || set_failed (error, lock);
}

static void
lock_clear (MmapSocketLock * lock)
{
  if (lock->fd >= 0)
    close (lock->fd);
  lock->fd = -1;
  g_clear_pointer (&lock->path, g_free);
  g_clear_pointer (&lock->address, g_free);
}

static gboolean
make_memfd (MmapSocketLock * lock, GError ** error)
{
  lock->fd = memfd_create (MMAP_SOCKET_MEMFD_NAME, MFD_CLOEXEC);
  if (lock->fd >= 0 && write_record (lock, 0))
    return TRUE;
  g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
      "Can't make a memfd that says who listens: %s", g_strerror (errno));
  lock_clear (lock);
  return FALSE;
}

gboolean
mmap_socket_lock_take (MmapSocketLock * lock, const char *address,
    GError ** error)
{
  gint attempt;

  lock->fd = -1;
  lock->path = NULL;
  lock->address = g_strdup (address);
  if (address[0] == '@')
    return make_memfd (lock, error);

  lock->path = g_strconcat (address, MMAP_SOCKET_LOCK_SUFFIX, NULL);
  for (attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    gboolean gone = FALSE;

    if (open_file (lock, error) && take_file (lock, &gone, error))
      return TRUE;
    if (!gone) {
      lock_clear (lock);
      return FALSE;
    }
    close (lock->fd);
    lock->fd = -1;
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
      "%s: other processes came and went %d times in the meantime: choose "
      "another socket-path", address, MAX_ATTEMPTS);
  lock_clear (lock);
  return FALSE;
}

void
mmap_socket_lock_set_session (MmapSocketLock * lock, guint64 session)
{
  /* Of the same length as before: needs no room. */
  if (!write_record (lock, session))
    g_debug ("%s: %s", lock->address, g_strerror (errno));
}

void
mmap_socket_lock_drop (MmapSocketLock * lock)
{
  struct stat file = {.st_dev = lock->device,.st_ino = lock->inode };

  if (lock->path && lock->fd >= 0 && mmap_lock_names_file (lock->path, &file))
    unlink (lock->path);
  lock_clear (lock);
}
