/* gst-mmap: an ivshmem server in a thread, for tests
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bells.h"

#include "leak-check.h"

#include <sys/eventfd.h>
#include <unistd.h>

static gpointer
run_server (gpointer data)
{
  BellServer *server = data;
  GError *error = NULL;

  mmap_ivshmem_server_run (server->server, server->stop_fd, &error);
  g_assert_no_error (error);
  return NULL;
}

void
bell_server_start (BellServer * server, guint64 size, guint n_vectors)
{
  MmapIvshmemSettings settings = {.mode = MMAP_MODE_OWN,.size = size,
    .n_vectors = n_vectors
  };
  GError *error = NULL;

  server->path = leak_check_path ("bell");
  settings.socket_path = server->path;
  server->server = mmap_ivshmem_server_new (&settings, &error);
  g_assert_no_error (error);
  server->stop_fd = eventfd (0, EFD_CLOEXEC);
  server->thread = g_thread_new ("server", run_server, server);
}

void
bell_server_end (BellServer * server)
{
  eventfd_write (server->stop_fd, 1);
  g_thread_join (server->thread);
  mmap_ivshmem_server_free (server->server);
  close (server->stop_fd);
  g_free (server->path);
}
