/* gst-mmap: where a producer can be reached from another machine: TCP, vsock
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An address is "tcp:HOST:PORT", where HOST is a name, an IPv4 address, or an IPv6 address in brackets; or "vsock:CID:PORT", where CID is a
 * number, "local", "host" or, to listen, "any". Only messages go that way: frames lie in a file or device that both sides name.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* FALSE with MMAP_ERROR_ADDRESS. Names are not looked up. */
gboolean mmap_remote_check (const char *address, GError ** error);

/* Whether the host of an address that was checked has to be looked up, which may take long. */
gboolean mmap_remote_has_name (const char *address);

/* Listens at @address.
 * @allow_remote: whether a TCP address may be one that other machines reach
 * @cancel_fd: ends the look for a name when it becomes readable; -1: none
 * Returns: a stream socket, non-blocking; -1 with MMAP_ERROR_NOT_FOUND (it was cancelled), MMAP_ERROR_ADDRESS, MMAP_ERROR_SETTING (@allow_remote is needed), MMAP_ERROR_IN_USE,
 * MMAP_ERROR_PERMISSION, MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
int mmap_remote_listen (const char *address, gboolean allow_remote,
    int cancel_fd, GError ** error);

/* Returns: the next connection, a stream socket, non-blocking; -1 with MMAP_ERROR_NOT_FOUND (none there now), MMAP_ERROR_NO_RESOURCES or
 * MMAP_ERROR_FAILED */
int mmap_remote_accept (int listener, GError ** error);

/* Connects to @address.
 * @cancel_fd: ends this when it becomes readable
 * Returns: as mmap_remote_accept(); -1 with MMAP_ERROR_NOT_FOUND (nobody listens there yet, or it was cancelled), or an error of
 * mmap_remote_listen() */
int mmap_remote_connect (const char *address, gboolean allow_remote,
    int cancel_fd, GError ** error);

/* What moves bytes of a stream socket, as MmapRelayWay has it. @ended: (out): set to %TRUE once the other side has closed it */
gssize mmap_remote_push (int fd, const guint8 * bytes, gsize n,
    gboolean * ended);
gssize mmap_remote_pop (int fd, guint8 * bytes, gsize n, gboolean * ended);

G_END_DECLS
