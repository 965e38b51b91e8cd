/* gst-mmap: which users may be at the other end
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MmapUsers:
 *
 * A set of users. Doesn't change, so any thread may ask.
 */
typedef struct _MmapUsers MmapUsers;

/* @text: (nullable): names or numbers, separated by commas; "any": everybody; %NULL or nothing: the user of this process, and root
 * Returns: (transfer full): or %NULL with MMAP_ERROR_SETTING, which names what is no user */
MmapUsers *mmap_users_new (const char *text, GError ** error);

/* @users: (nullable) */
void mmap_users_free (MmapUsers * users);

/* Whether @uid, as the system shows it to this process, is one of @users. A user whom this process's user namespace doesn't know is
 * only one of "any". */
gboolean mmap_users_have (const MmapUsers * users, guint32 uid);

/* TRUE if all the system says of a user is that this process's user namespace doesn't know it: @uid stands for any number of them. */
gboolean mmap_users_is_unknown (guint32 uid);

/**
 * MmapPeer:
 * @pid: as this process's namespace has it, 0 if it doesn't
 * @uid: its effective user, when it connected or began to listen
 *
 * Who is at the other end of a Unix socket, by the kernel's word (SO_PEERCRED).
 */
typedef struct
{
  guint32 pid;
  guint32 uid;
} MmapPeer;

/* FALSE with MMAP_ERROR_USER if the kernel doesn't say. */
gboolean mmap_peer_init (MmapPeer * peer, int socket_fd, GError ** error);

G_END_DECLS
