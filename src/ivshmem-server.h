/* gst-mmap: a server for QEMU's ivshmem-doorbell devices, and for processes that speak their protocol
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "ivshmem-memory.h"
#include "users.h"

G_BEGIN_DECLS

/* Peers at once: chosen, far more guests than a machine has. Fewer where the process may not have so many descriptors. */
#define MMAP_IVSHMEM_MAX_PEERS 256
/* As many as QEMU's device has at most by default (MSI-X would allow 2048). */
#define MMAP_IVSHMEM_MAX_VECTORS 32

/**
 * MmapIvshmemSettings:
 * @socket_path: where peers connect
 * @mode: of the socket, and of a file that is made
 * @users: (nullable): who may connect; %NULL: the user of this process, and root. To live as long as the server
 * @file: (nullable): that holds the memory; %NULL: a memfd
 * @size: bytes, a power of two; 0: those of the file
 * @n_vectors: interrupts of each peer, 1 to #MMAP_IVSHMEM_MAX_VECTORS
 * @report: (nullable): hears of each peer that comes or goes, and of each that is refused, in one line
 */
typedef struct
{
  const char *socket_path;
  MmapMode mode;
  const MmapUsers *users;
  const char *file;
  guint64 size;
  guint n_vectors;
  void (*report) (const char *line, gpointer data);
  gpointer report_data;
} MmapIvshmemSettings;

/**
 * MmapIvshmemServer:
 *
 * Hands memory, and descriptors for interrupts, to any number of peers (docs/specs/ivshmem-spec of QEMU, version 0). One thread.
 */
typedef struct _MmapIvshmemServer MmapIvshmemServer;

/* Listens. Returns: (transfer full): or %NULL with MMAP_ERROR_SETTING, or an error of mmap_listener_new_stream() or
 * mmap_ivshmem_memory_init() */
MmapIvshmemServer *mmap_ivshmem_server_new (const MmapIvshmemSettings *
    settings, GError ** error);

/* Bytes of the memory. */
guint64 mmap_ivshmem_server_get_size (const MmapIvshmemServer * server);

/* Serves until @stop_fd is readable. FALSE with MMAP_ERROR_FAILED if it can't go on. */
gboolean mmap_ivshmem_server_run (MmapIvshmemServer * server, int stop_fd,
    GError ** error);

/* Hangs up on all, and removes the socket and the file that it has made. Peers that are connected keep memory and interrupts.
 * @server: (nullable) */
void mmap_ivshmem_server_free (MmapIvshmemServer * server);

G_END_DECLS
