/* gst-mmap: files that are locked by their owner
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <sys/stat.h>

G_BEGIN_DECLS

typedef enum
{
  MMAP_LOCK_TAKEN,
  MMAP_LOCK_BUSY,               /* somebody else has it */
  MMAP_LOCK_FAILED              /* errno says why: a file system without locks */
} MmapLockResult;

/* Takes the lock of the file that @fd is open on (flock(2), exclusive), until the last copy of @fd is closed. Who only looks whether a
 * file has an owner, or removes it, holds its lock for a moment: that is waited for.
 * @read_pid: reads out of the file which process says that it is the owner; 0: not known
 * @pid: (out): the last that it answered, if the lock is busy */
MmapLockResult mmap_lock_take (int fd, guint32 (*read_pid) (int fd), guint32 * pid);

/* Returns: (transfer full): who has a lock, for messages, such as "pid 4242" */
char *mmap_lock_describe_owner (guint32 pid);

/* Whether the path, which is not followed if it is a link, names the file that fstat(2) said @file of. */
gboolean mmap_lock_names_file (const char *path, const struct stat *file);

G_END_DECLS
