/* gst-mmap: one peer of an ivshmem server
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What the protocol is called by both sides. */
#define MMAP_IVSHMEM_VERSION 0
/* In place of an id: the memory. */
#define MMAP_IVSHMEM_MEMORY -1

/**
 * MmapIvshmemPeer:
 * @fd: its socket, non-blocking; owned
 * @id: unlike that of all others
 * @eventfds: which others write to interrupt it, one for each vector; owned
 * @notices: what it is still to be told
 * @watched_for_room: for the server's own use
 *
 * Of the server's thread.
 */
typedef struct
{
  int fd;
  guint32 id;
  guint32 uid;
  guint n_vectors;
  int *eventfds;
  GQueue notices;
  gboolean watched_for_room;
} MmapIvshmemPeer;

/* Takes @fd on success. Returns: (transfer full): or %NULL with MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
MmapIvshmemPeer *mmap_ivshmem_peer_new (int fd, guint n_vectors,
    GError ** error);
void mmap_ivshmem_peer_free (MmapIvshmemPeer * peer);

/* Version, id, memory. @memory_fd: stays the caller's */
void mmap_ivshmem_peer_greet (MmapIvshmemPeer * peer, int memory_fd);

/* How to interrupt @other, or, of itself, by what it is interrupted. */
void mmap_ivshmem_peer_tell_of (MmapIvshmemPeer * peer,
    const MmapIvshmemPeer * other);

/* That @other isn't there any more: before it is freed. Who hasn't heard of it yet won't. */
void mmap_ivshmem_peer_tell_gone (MmapIvshmemPeer * peer,
    const MmapIvshmemPeer * other);

typedef enum
{
  MMAP_IVSHMEM_FLUSHED,
  MMAP_IVSHMEM_FULL,            /* there is more, when its socket has room */
  MMAP_IVSHMEM_AGAIN,           /* there is more, but too many descriptors are under way in the system, or there is no memory */
  MMAP_IVSHMEM_GONE
} MmapIvshmemFlush;

/* Sends as much as there is room for; waits for nothing. */
MmapIvshmemFlush mmap_ivshmem_peer_flush (MmapIvshmemPeer * peer);

G_END_DECLS
