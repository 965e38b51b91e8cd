/* gst-mmap: files that are locked by their owner
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A region's file, and the file beside a socket, are locked by the process that made them for as long as it lives. Called when a
 * producer starts, and by the tool; any thread.
 *
 * flock(2) belongs to the open file: it ends with the process, however that ends, and other descriptors, also this process's own ones,
 * don't have it. A forked child has the open file, too: as long as it lives and doesn't execute another program, the lock stays. Such a
 * child has the socket and the memory as well, and nobody can tell from outside that it doesn't use them: the path counts as in use.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

/* If the file names a process that lives, it is probably the owner: look again a few times only. If it doesn't, somebody looks at the
 * file, removes it or has just taken it. Chosen, untuned. */
#define LIVE_WAIT_US (10 * 1000)
#define WAIT_US (250 * 1000)
#define RETRY_US 1000

static gboolean
is_seen (guint32 pid)
{
  return pid > 0 && pid <= G_MAXINT && (kill (pid, 0) == 0 || errno == EPERM);
}

MmapLockResult
mmap_lock_take (int fd, guint32 (*read_pid) (int fd), guint32 * pid)
{
  gint64 waited;

  for (waited = 0; flock (fd, LOCK_EX | LOCK_NB) < 0; waited += RETRY_US) {
    if (errno == EINTR)
      continue;
    if (errno != EWOULDBLOCK)
      return MMAP_LOCK_FAILED;
    *pid = read_pid (fd);
    if (waited >= (is_seen (*pid) ? LIVE_WAIT_US : WAIT_US))
      return MMAP_LOCK_BUSY;
    g_usleep (RETRY_US);
  }
  return MMAP_LOCK_TAKEN;
}

char *
mmap_lock_describe_owner (guint32 pid)
{
  if (pid == 0)
    return g_strdup ("whose pid is not known");
  if (is_seen (pid))
    return g_strdup_printf ("pid %u", pid);
  return g_strdup_printf ("pid %u, which can't be seen from here (it runs in "
      "another container, or it has ended and a process that it forked lives "
      "on)", pid);
}

gboolean
mmap_lock_names_file (const char *path, const struct stat *file)
{
  struct stat st;

  return fstatat (AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0
      && st.st_dev == file->st_dev && st.st_ino == file->st_ino;
}
