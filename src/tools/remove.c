/* gst-mmap: removing what a dead owner has left
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by 'clean'. One thread.
 *
 * What was found is looked at once more when its lock is taken: then no producer that is just starting can have it, and none takes it
 * until it is gone. Names are removed in the directory that was opened, whatever becomes of the path.
 */
#include "find.h"
#include "lock.h"
#include "socket-lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What is to be removed: @name, and for a socket also its lock, in @directory. @fd: open on the file that is locked */
typedef struct
{
  int directory;
  char *name;
  char *lock_name;              /* of the file that is locked; the same as @name for a region */
  int fd;
  struct stat st;
} Leftover;

static guint32
no_pid (int fd)
{
  return 0;
}

/* From errno */
static char *
fail (gboolean * failed)
{
  *failed = TRUE;
  return g_strdup_printf ("it can't be removed: %s", g_strerror (errno));
}

static gboolean
names_it (const Leftover * leftover)
{
  struct stat st;

  return fstatat (leftover->directory, leftover->lock_name, &st,
      AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == leftover->st.st_ino
      && st.st_dev == leftover->st.st_dev;
}

/* Takes the lock. NULL if it is there and still is what it was */
static char *
leftover_take (Leftover * leftover, gboolean * failed)
{
  guint32 pid;

  leftover->fd = tool_open_regular (leftover->directory, leftover->lock_name,
      &leftover->st);
  if (leftover->fd < 0)
    return errno == ENOENT ? g_strdup ("it has gone") : fail (failed);
  switch (mmap_lock_take (leftover->fd, no_pid, &pid)) {
    case MMAP_LOCK_TAKEN:
      break;
    case MMAP_LOCK_BUSY:
      return g_strdup ("it has a live owner now");
    default:
      return fail (failed);
  }
  if (!names_it (leftover))
    return g_strdup ("another one has taken its place");
  return NULL;
}

/* Whether somebody may listen at a socket. */
static gboolean
is_alive (const Leftover * leftover)
{
  struct sockaddr_un un = { AF_UNIX, "" };
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  gboolean refused = FALSE;
  gsize n;

  n = g_snprintf (un.sun_path, sizeof un.sun_path, "/proc/self/fd/%d/%s",
      leftover->directory, leftover->name);
  if (fd >= 0 && n < sizeof un.sun_path)
    refused = connect (fd, (struct sockaddr *) &un, sizeof un) < 0
        && errno == ECONNREFUSED;
  if (fd >= 0)
    close (fd);
  return !refused;
}

/* The socket of a lock that has been taken, if there is one. NULL: it is gone */
static char *
remove_socket (const Leftover * leftover, gboolean * failed)
{
  struct stat st;

  if (fstatat (leftover->directory, leftover->name, &st,
          AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
    return NULL;
  if (!S_ISSOCK (st.st_mode))
    return g_strdup ("it is no socket any more");
  if (st.st_uid != leftover->st.st_uid)
    return g_strdup ("it and its lock belong to two users");
  if (is_alive (leftover))
    return g_strdup ("somebody listens there who doesn't have its lock");
  if (unlinkat (leftover->directory, leftover->name, 0) < 0 && errno != ENOENT)
    return fail (failed);
  return NULL;
}

static gboolean
is_ours (const Leftover * leftover, ToolKind kind)
{
  MmapSocketRecord record;
  gboolean ours, made;

  if (kind == TOOL_FILE)
    return tool_is_region (leftover->fd);
  if (kind == TOOL_AREA)
    return tool_is_area (leftover->fd, &made) && made;
  ours = mmap_socket_record_read (leftover->fd, &record);
  mmap_socket_record_clear (&record);
  return ours;
}

static char *
leftover_remove (Leftover * leftover, ToolKind kind, gboolean * failed)
{
  char *why = leftover_take (leftover, failed);

  if (why != NULL)
    return why;
  if (!is_ours (leftover, kind))
    return g_strdup ("it is something else now");
  if (kind == TOOL_SOCKET)
    why = remove_socket (leftover, failed);
  if (why == NULL && unlinkat (leftover->directory, leftover->lock_name, 0) < 0
      && errno != ENOENT)
    why = fail (failed);
  return why;
}

char *
tool_remove (const ToolFound * found, gboolean * failed)
{
  g_autofree char *directory = g_path_get_dirname (found->path);
  Leftover leftover = {
    open (directory, O_PATH | O_DIRECTORY | O_CLOEXEC),
    g_path_get_basename (found->path), NULL, -1
  };
  char *why;

  leftover.lock_name = g_strconcat (leftover.name,
      found->kind == TOOL_SOCKET ? MMAP_SOCKET_LOCK_SUFFIX : "", NULL);
  *failed = FALSE;
  why = leftover.directory >= 0 ? leftover_remove (&leftover, found->kind,
      failed) : fail (failed);
  if (leftover.fd >= 0)
    close (leftover.fd);
  if (leftover.directory >= 0)
    close (leftover.directory);
  g_free (leftover.name);
  g_free (leftover.lock_name);
  return why;
}
