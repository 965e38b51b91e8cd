/* gst-mmap: tests of addresses of other machines, with a name server that this test plays
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "remote.h"

#include "error.h"
#include "leak-check.h"
#include "peers.h"
#include "resolver.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define NOWHERE "tcp:nowhere.test:5000"

static gpointer
connect_to_nowhere (gpointer cancel_fd)
{
  GError *error = NULL;

  g_assert_cmpint (mmap_remote_connect (NOWHERE, TRUE, *(int *) cancel_fd,
          &error), ==, -1);
  check_error (&error, MMAP_ERROR_NOT_FOUND, "can't be found");
  return NULL;
}

static gpointer
listen_nowhere (gpointer cancel_fd)
{
  GError *error = NULL;

  g_assert_cmpint (mmap_remote_listen (NOWHERE, TRUE, *(int *) cancel_fd,
          &error), ==, -1);
  check_error (&error, MMAP_ERROR_NOT_FOUND, "can't be found");
  return NULL;
}

static void
run_cancelled (GThreadFunc look)
{
  int cancel_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  guint before = resolver_get_n_asked ();
  GThread *thread = g_thread_new ("look", look, &cancel_fd);

  while (resolver_get_n_asked () == before)
    g_usleep (1000);
  g_assert_cmpint (eventfd_write (cancel_fd, 1), ==, 0);
  g_thread_join (thread);
  /* Nor one that comes when it was stopped already. */
  look (&cancel_fd);
  close (cancel_fd);
}

/* A name server that doesn't answer keeps nobody who stops. */
static void
test_cancelled (void)
{
  run_cancelled (connect_to_nowhere);
  run_cancelled (listen_nowhere);
}

static void
test_name (void)
{
  g_autofree char *address = g_strdup_printf ("tcp:here.test:%u",
      find_tcp_port ());
  GError *error = NULL;
  int listener = mmap_remote_listen (address, FALSE, -1, &error), fd;

  g_assert_no_error (error);
  fd = mmap_remote_connect (address, FALSE, -1, &error);
  g_assert_no_error (error);
  close (fd);
  close (listener);
}

static void
test_has_name (void)
{
  g_assert_true (mmap_remote_has_name ("tcp:localhost:5000"));
  g_assert_true (mmap_remote_has_name (NOWHERE));
  g_assert_false (mmap_remote_has_name ("tcp:127.0.0.1:5000"));
  g_assert_false (mmap_remote_has_name ("tcp:[::1]:5000"));
  g_assert_false (mmap_remote_has_name ("vsock:local:5000"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  resolver_play ();
  leak_check_add_test ("/remote/cancelled", test_cancelled);
  leak_check_add_test ("/remote/name", test_name);
  leak_check_add_test ("/remote/has-name", test_has_name);
  return g_test_run ();
}
