/* gst-mmap: where a producer can be reached: Unix sockets
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "mode.h"
#include "socket-lock.h"

#include <gio/gio.h>

G_BEGIN_DECLS

/* Instead of an address, compared by its pointer: no socket is to be made or looked for. */
#define MMAP_ADDRESS_NONE mmap_address_none
extern const char mmap_address_none[];

/**
 * MmapListener:
 * @socket: listening, non-blocking
 * @address: as given, or the default that was chosen
 * @lock: from before the socket file was made until after it was removed
 *
 * A socket that this process listens on, and the file that it made for it.
 */
typedef struct
{
  GSocket *socket;
  char *address;
  MmapSocketLock lock;
  guint64 device;               /* identity of the socket file, to remove only that; 0: abstract */
  guint64 inode;
} MmapListener;

/* An address is the path of a Unix socket, or "@name" for the abstract namespace.
 *
 * Returns: (transfer full): the address that is used if none is given: "gst-mmap/default" in $XDG_RUNTIME_DIR or, without
 * that, "/tmp/gst-mmap-UID/default". @create makes the directory, with mode 0700. %NULL with MMAP_ERROR_PERMISSION if the
 * directory is somebody else's or open to others, or MMAP_ERROR_NO_DIRECTORY or MMAP_ERROR_FAILED. */
char *mmap_address_get_default (gboolean create, GError ** error);

/* Listens at @address (%NULL: the default) on a SOCK_SEQPACKET socket of mode 0600. The file @address.lock is locked as long as this
 * process listens. A socket file on which nobody listens is replaced, if that lock is free.
 * Returns: (transfer full): or %NULL with MMAP_ERROR_ADDRESS (too long, empty), MMAP_ERROR_NO_DIRECTORY,
 * MMAP_ERROR_PERMISSION, MMAP_ERROR_IN_USE (somebody listens there, or is about to: names the process), MMAP_ERROR_EXISTS (a
 * file that is no socket, or no lock of ours), MMAP_ERROR_UNSAFE_PATH (others could put another socket there, or have),
 * MMAP_ERROR_NO_SPACE or MMAP_ERROR_FAILED */
MmapListener *mmap_listener_new (const char *address, GError ** error);

/* The same for others, too: the socket has mode 0600 until it gets @mode. Or %NULL with MMAP_ERROR_SETTING, too: it makes no sense there. */
MmapListener *mmap_listener_new_shared (const char *address,
    const MmapMode * mode, GError ** error);

/* The same with a SOCK_STREAM socket, for a protocol that isn't ours. */
MmapListener *mmap_listener_new_stream (const char *address,
    const MmapMode * mode, GError ** error);

/* Closes the socket and removes its file, if it is still the one that was made, and its lock. */
void mmap_listener_free (MmapListener * listener);

/* Connects to a producer at @address, without blocking.
 * Returns: (transfer full): or %NULL with MMAP_ERROR_NOT_FOUND (nobody listens there yet: try again later),
 * MMAP_ERROR_ADDRESS, MMAP_ERROR_NO_DIRECTORY, MMAP_ERROR_PERMISSION, MMAP_ERROR_EXISTS (a file that is no socket of ours, or a link),
 * MMAP_ERROR_UNSAFE_PATH or MMAP_ERROR_FAILED */
GSocket *mmap_address_connect (const char *address, GError ** error);

/* The same to a SOCK_STREAM socket. */
GSocket *mmap_address_connect_stream (const char *address, GError ** error);

G_END_DECLS
