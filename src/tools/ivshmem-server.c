/* gst-mmap ivshmem-server: serve QEMU's ivshmem-doorbell devices
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reads the options and runs the server until a signal ends it. One thread.
 */
#include "tool.h"

#include "error.h"
#include "ivshmem-server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Two directions, or one and its clock: chosen. */
#define DEFAULT_VECTORS 2

typedef struct
{
  char *size;
  char *mode;
  char *group;
  char *allowed;
  char *file;
  int n_vectors;
  gboolean quiet;
} Options;

static void
options_clear (Options * options)
{
  g_free (options->size);
  g_free (options->mode);
  g_free (options->group);
  g_free (options->allowed);
  g_free (options->file);
}

static void
print_report (const char *line, gpointer data)
{
  g_printerr ("%s: %s\n", g_get_prgname (), line);
}

/* Octal, as chmod(1) takes it. */
static gboolean
parse_mode (const char *text, guint * bits)
{
  guint64 value = 0600;

  if (text && !g_ascii_string_to_unsigned (text, 8, 0, 07777, &value, NULL))
    return FALSE;
  *bits = value;
  return TRUE;
}

/* A descriptor that is readable when the process is to end; -1 with errno. */
static int
watch_signals (void)
{
  sigset_t signals;

  sigemptyset (&signals);
  sigaddset (&signals, SIGINT);
  sigaddset (&signals, SIGTERM);
  if (sigprocmask (SIG_BLOCK, &signals, NULL) < 0)
    return -1;
  return signalfd (-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static ToolStatus
serve (const MmapIvshmemSettings * settings)
{
  GError *error = NULL;
  int stop_fd = watch_signals ();
  MmapIvshmemServer *server = NULL;
  gboolean ok = FALSE;

  if (stop_fd < 0)
    g_set_error (&error, MMAP_ERROR, mmap_error_from_errno (errno),
        "Can't wait for signals: %s", g_strerror (errno));
  else
    server = mmap_ivshmem_server_new (settings, &error);
  if (server) {
    g_print ("serving %" G_GUINT64_FORMAT " bytes with %u vectors at %s\n",
        mmap_ivshmem_server_get_size (server), settings->n_vectors,
        settings->socket_path);
    fflush (stdout);
    ok = mmap_ivshmem_server_run (server, stop_fd, &error);
  }
  mmap_ivshmem_server_free (server);
  if (stop_fd >= 0)
    close (stop_fd);
  return ok ? TOOL_ACCEPTED : tool_refuse (error);
}

static ToolStatus
run (const Options * options, const char *socket_path)
{
  MmapIvshmemSettings settings = {
    .socket_path = socket_path,
    .file = options->file,
    .n_vectors = MAX (options->n_vectors, 0),
    .report = options->quiet ? NULL : print_report,
  };
  GError *error = NULL;
  MmapUsers *users;
  ToolStatus status;
  guint bits;

  if (!parse_mode (options->mode, &bits))
    return tool_usage ("--mode is '%s', expected an octal number such as 0660",
        options->mode);
  if (options->size && !tool_parse_size (options->size, &settings.size))
    return tool_usage ("--size is '%s', expected a number above 0, or one "
        "with K, M or G", options->size);
  if (!options->size && !options->file)
    return tool_usage ("--size is missing");
  if (!mmap_mode_init (&settings.mode, bits, options->group, &error))
    return tool_refuse (error);
  users = mmap_users_new (options->allowed, &error);
  if (!users)
    return tool_refuse (error);
  settings.users = users;
  status = serve (&settings);
  mmap_users_free (users);
  return status;
}

ToolStatus
tool_ivshmem_server (int argc, char **argv)
{
  Options values = {.n_vectors = DEFAULT_VECTORS };
  const GOptionEntry options[] = {
    {"size", 0, 0, G_OPTION_ARG_STRING, &values.size,
        "Bytes of the memory, a power of two; K, M and G are powers of 1024. "
          "May be left out if FILE is there", "N"},
    {"file", 0, 0, G_OPTION_ARG_FILENAME, &values.file,
        "Take the memory from this file, such as /dev/shm/vm0, for those "
          "who open it by its path (default: from a memfd)", "FILE"},
    {"vectors", 0, 0, G_OPTION_ARG_INT, &values.n_vectors,
        "Interrupts of each peer, 1 to 32 (default 2)", "N"},
    {"mode", 0, 0, G_OPTION_ARG_STRING, &values.mode,
          "Permissions of SOCKET, and of a FILE that is made (default 0600)",
        "MODE"},
    {"group", 0, 0, G_OPTION_ARG_STRING, &values.group,
        "Group of SOCKET, and of a FILE that is made", "GROUP"},
    {"allowed-uids", 0, 0, G_OPTION_ARG_STRING, &values.allowed,
        "Users who may connect: names or numbers, separated by commas, or any "
          "(default: one's own, and root)", "USERS"},
    {"quiet", 'q', 0, G_OPTION_ARG_NONE, &values.quiet,
        "Don't say who comes and goes", NULL},
    {NULL}
  };
  char *socket_path = NULL;
  ToolStatus status;

  if (!tool_parse (argc, argv, options, "SOCKET",
          "Serves QEMU's ivshmem-doorbell devices, and processes on the host: "
          "gives each of\nthem the same memory, and what it takes to interrupt "
          "the others. Ends on SIGTERM\nor SIGINT.", &socket_path))
    status = TOOL_USAGE;
  else if (!socket_path)
    status = tool_usage ("SOCKET is missing");
  else
    status = run (&values, socket_path);
  options_clear (&values);
  g_free (socket_path);
  return status;
}
