/* gst-mmap: who may reach the socket and the file of a producer
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MmapAccess:
 * @mode: permission bits of a socket, 0600 to 0666
 * @gid: -1: what the system gives to a new file
 *
 * What a producer's socket and file let others do. @mode 0600 with @gid -1: nothing.
 */
typedef struct
{
  guint mode;
  gint64 gid;
} MmapAccess;

/* For MmapAccess of the user alone. */
#define MMAP_ACCESS_OWN { 0600, -1 }

/* Who connects needs to write to a socket, and to read a region. */
#define MMAP_ACCESS_SOCKET 0666u
#define MMAP_ACCESS_REGION 0644u

/* @group: (nullable): name or number. FALSE with MMAP_ERROR_SETTING. */
gboolean mmap_access_init (MmapAccess * access, guint mode, const char *group,
    GError ** error);

/* Returns: whether it lets others do anything */
static inline gboolean
mmap_access_is_shared (const MmapAccess * access)
{
  return access->mode != 0600 || access->gid >= 0;
}

/* Whether a socket at @address can have it, and it would be of use there. @address: (nullable): the default
 * FALSE with MMAP_ERROR_SETTING, which says what to set instead. */
gboolean mmap_access_check_address (const MmapAccess * access,
    const char *address, GError ** error);

/* Gives a file group, and then exactly those bits of the mode that are in @mask, whatever the umask: nobody may do more with it on the way.
 * @fd: of it; O_PATH will do
 * @path: for messages
 * FALSE with MMAP_ERROR_PERMISSION or MMAP_ERROR_FAILED. */
gboolean mmap_access_apply (const MmapAccess * access, int fd, guint mask,
    const char *path, GError ** error);

G_END_DECLS
