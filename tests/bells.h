/* gst-mmap: an ivshmem server in a thread, for tests
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "ivshmem-server.h"

G_BEGIN_DECLS

typedef struct
{
  char *path;
  MmapIvshmemServer *server;
  GThread *thread;
  int stop_fd;
} BellServer;

/* @size: bytes of its memory */
void bell_server_start (BellServer * server, guint64 size, guint n_vectors);
void bell_server_end (BellServer * server);

G_END_DECLS
