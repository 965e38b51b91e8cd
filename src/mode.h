/* gst-mmap: who may reach the socket and the file of a producer
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MmapMode:
 * @bits: permission bits of a socket, 0600 to 0666
 * @gid: -1: what the system gives to a new file
 *
 * What a producer's socket and file let others do. @bits 0600 with @gid -1: nothing.
 */
typedef struct
{
  guint bits;
  gint64 gid;
} MmapMode;

/* For MmapMode of the user alone. */
#define MMAP_MODE_OWN { 0600, -1 }

/* Who connects needs to write to a socket, and to read a region. */
#define MMAP_MODE_SOCKET 0666u
#define MMAP_MODE_REGION 0644u

/* @group: (nullable): name or number. FALSE with MMAP_ERROR_SETTING. */
gboolean mmap_mode_init (MmapMode * mode, guint bits, const char *group,
    GError ** error);

/* Returns: whether it lets others do anything */
static inline gboolean
mmap_mode_is_shared (const MmapMode * mode)
{
  return mode->bits != 0600 || mode->gid >= 0;
}

/* Whether a file without a socket, in which all write, can have it.
 * FALSE with MMAP_ERROR_SETTING, which says what to set instead. */
gboolean mmap_mode_check_area (const MmapMode * mode, GError ** error);

/* Whether a socket at @address can have it, and it would be of use there. @address: (nullable): the default
 * FALSE with MMAP_ERROR_SETTING, which says what to set instead. */
gboolean mmap_mode_check_address (const MmapMode * mode,
    const char *address, GError ** error);

/* Gives a file group, and then exactly those bits of the mode that are in @mask, whatever the umask: nobody may do more with it on the way.
 * @fd: of it; O_PATH will do
 * @path: for messages
 * FALSE with MMAP_ERROR_PERMISSION or MMAP_ERROR_FAILED. */
gboolean mmap_mode_apply (const MmapMode * mode, int fd, guint mask,
    const char *path, GError ** error);

G_END_DECLS
