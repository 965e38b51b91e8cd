/* gst-mmap: a gst-launch-1.0 that a test starts, stops and kills
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "child.h"

#include "address.h"
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define INTERVAL_US 2000

void
child_init (void)
{
  struct rlimit none = { 0, 0 };

  g_assert_cmpint (setrlimit (RLIMIT_CORE, &none), ==, 0);
  /* A child that has gone doesn't read what is written for it. */
  signal (SIGPIPE, SIG_IGN);
}

/* In the child: a test that fails leaves nobody behind. */
static void
end_with_parent (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

static Child *
child_start (const char *description, gboolean has_input)
{
  g_auto (GStrv) words = g_strsplit (description, " ", -1);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  char **environment = g_environ_setenv (g_get_environ (), "GST_PLUGIN_PATH",
      g_getenv ("MMAP_TEST_PLUGIN_DIR"), TRUE);
  g_auto (GStrv) argv = NULL;
  Child *child = g_new0 (Child, 1);
  GError *error = NULL;
  guint i;

  /* Its own handler for SIGSEGV would keep it alive. */
  g_strv_builder_add_many (builder, "gst-launch-1.0", "-q", "--no-fault", NULL);
  for (i = 0; words[i]; i++)
    if (words[i][0] != '\0')
      g_strv_builder_add (builder, words[i]);
  argv = g_strv_builder_end (builder);
  environment = g_environ_unsetenv (environment, "GST_TRACERS");
  environment = g_environ_unsetenv (environment, "GST_DEBUG");
  if (has_input) {
    environment = g_environ_setenv (environment, "GST_DEBUG", "mmapsink:5",
        TRUE);
    environment = g_environ_setenv (environment, "GST_DEBUG_NO_COLOR", "1",
        TRUE);
  }
  child->input = child->log = -1;
  child->text = g_string_new (NULL);
  g_spawn_async_with_pipes (NULL, argv, environment, G_SPAWN_SEARCH_PATH |
      G_SPAWN_DO_NOT_REAP_CHILD, end_with_parent, NULL, &child->pid,
      has_input ? &child->input : NULL, NULL, has_input ? &child->log : NULL,
      &error);
  g_assert_no_error (error);
  g_strfreev (environment);
  if (has_input) {
    fcntl (child->input, F_SETFL, O_NONBLOCK);
    fcntl (child->log, F_SETFL, O_NONBLOCK);
    /* It is to stand still soon after the producer does. */
    fcntl (child->input, F_SETPIPE_SZ, 4096);
  }
  return child;
}

Child *
child_new (const char *format, ...)
{
  g_autofree char *description = NULL;
  va_list args;

  va_start (args, format);
  description = g_strdup_vprintf (format, args);
  va_end (args);
  return child_start (description, FALSE);
}

Child *
child_new_with_input (const char *format, ...)
{
  g_autofree char *description = NULL;
  va_list args;

  va_start (args, format);
  description = g_strdup_vprintf (format, args);
  va_end (args);
  return child_start (description, TRUE);
}

static void
child_read (Child * child)
{
  char bytes[4096];
  gssize n;

  while (child->log >= 0 && (n = read (child->log, bytes, sizeof bytes)) > 0)
    g_string_append_len (child->text, bytes, n);
}

gboolean
child_try_write (Child * child, gconstpointer data, gsize size,
    gint64 timeout_us)
{
  const guint8 *rest = data;

  while (size > 0) {
    struct pollfd fd = { child->input, POLLOUT, 0 };
    gssize n = write (child->input, rest, size);

    /* It never waits for us. */
    child_read (child);
    if (n > 0) {
      rest += n;
      size -= n;
    } else {
      g_assert_cmpint (errno, ==, EAGAIN);
      if (poll (&fd, 1, timeout_us / 1000) == 0)
        return FALSE;
    }
  }
  return TRUE;
}

void
child_write (Child * child, gconstpointer data, gsize size)
{
  g_assert_true (child_try_write (child, data, size, PIPE_TIMEOUT / 1000));
}

static void
child_wait_more (Child * child, const char *what, gint64 end)
{
  child_read (child);
  if (g_get_monotonic_time () > end)
    g_error ("waited in vain for %s of process %d", what, (int) child->pid);
  g_usleep (INTERVAL_US);
}

static gint64
wait_end (void)
{
  return g_get_monotonic_time () + GST_TIME_AS_USECONDS (PIPE_TIMEOUT);
}

void
child_wait_text (Child * child, const char *text)
{
  gint64 end = wait_end ();

  while (!strstr (child->text->str, text))
    child_wait_more (child, text, end);
}

void
child_wait_socket (Child * child, const char *path)
{
  g_autoptr (GSocket) socket = NULL;
  gint64 end = wait_end ();

  while (!socket) {
    socket = mmap_address_connect (path, NULL);
    child_wait_more (child, path, end);
  }
}

void
child_stop (Child * child)
{
  int status;

  g_assert_cmpint (kill (child->pid, SIGSTOP), ==, 0);
  g_assert_cmpint (waitpid (child->pid, &status, WUNTRACED), ==, child->pid);
  g_assert_true (WIFSTOPPED (status));
}

void
child_continue (Child * child)
{
  g_assert_cmpint (kill (child->pid, SIGCONT), ==, 0);
}

/* Returns: its status */
static int
child_reap (Child * child)
{
  gint64 end = wait_end ();
  int status;

  while (waitpid (child->pid, &status, WNOHANG) == 0)
    child_wait_more (child, "the end", end);
  if (child->input >= 0)
    close (child->input);
  if (child->log >= 0)
    close (child->log);
  g_string_free (child->text, TRUE);
  g_free (child);
  return status;
}

void
child_end (Child * child, int signal)
{
  int status;

  g_assert_cmpint (kill (child->pid, signal), ==, 0);
  status = child_reap (child);
  /* It handles SIGINT, and a sanitizer SIGSEGV. */
  if (WIFSIGNALED (status))
    g_assert_cmpint (WTERMSIG (status), ==, signal);
  else
    g_assert_true (signal == SIGINT || signal == SIGSEGV);
}

void
child_finish (Child * child)
{
  int status = child_reap (child);

  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}
