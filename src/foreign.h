/* gst-mmap: descriptors and connections of others, which may block whoever closes them
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Closes a descriptor that somebody else has made. Never blocks: what may, is closed in another thread.
 * @fd: (transfer full); -1: nothing */
void mmap_foreign_close (int fd);

/* Ends a connection of a Unix socket, for both sides, and closes it: what was sent to it and not received may hold descriptors. Never blocks.
 * @socket: (transfer none) (nullable): its descriptor is closed, now or in another thread; nobody uses it after this */
void mmap_foreign_close_socket (GSocket * socket);

/* The same of one of which others may have a copy: the connection ends with the last of them.
 * @socket: as above */
void mmap_foreign_leave_socket (GSocket * socket);

/* As mmap_foreign_close_socket(), of a descriptor.
 * @fd: (transfer full) */
void mmap_foreign_close_socket_fd (int fd);

/* The same of a listener, and of all connections that were not accepted.
 * @listener: (transfer none) (nullable) */
void mmap_foreign_close_listener (GSocket * listener);

/* Whether what is to be received next carries descriptors. They are not received. */
gboolean mmap_foreign_has_descriptors (int fd);

/* Nobody can send descriptors to this socket, or to those that are accepted from it (Linux 6.16; elsewhere they can). */
void mmap_foreign_refuse_descriptors (int fd);

G_END_DECLS
