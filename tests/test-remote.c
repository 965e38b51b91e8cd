/* gst-mmap: tests of addresses of other machines, with a name server that this test plays
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "remote.h"

#include "error.h"
#include "leak-check.h"
#include "peers.h"

#include <errno.h>
#include <gio/gio.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- a resolver that knows one name, and never answers for others --- */

typedef GResolver Silent;
typedef GResolverClass SilentClass;

GType silent_get_type (void);

G_DEFINE_TYPE (Silent, silent, G_TYPE_RESOLVER);

static gint n_asked;

static void
free_addresses (gpointer addresses)
{
  g_resolver_free_addresses (addresses);
}

static gboolean
give_up (GCancellable * cancellable, gpointer task)
{
  g_task_return_error_if_cancelled (task);
  return G_SOURCE_REMOVE;
}

static void
silent_lookup (GResolver * resolver, const char *name,
    GCancellable * cancellable, GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = g_task_new (resolver, cancellable, callback, data);
  GSource *source;

  if (g_strcmp0 (name, "here.test") == 0) {
    g_task_return_pointer (task, g_list_append (NULL,
            g_inet_address_new_from_string ("127.0.0.1")), free_addresses);
    g_object_unref (task);
    return;
  }
  source = g_cancellable_source_new (cancellable);
  g_task_attach_source (task, source, G_SOURCE_FUNC (give_up));
  g_source_unref (source);
  g_object_unref (task);
  g_atomic_int_inc (&n_asked);
}

static GList *
silent_finish (GResolver * resolver, GAsyncResult * result, GError ** error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
silent_class_init (SilentClass * klass)
{
  G_RESOLVER_CLASS (klass)->lookup_by_name_async = silent_lookup;
  G_RESOLVER_CLASS (klass)->lookup_by_name_finish = silent_finish;
}

static void
silent_init (Silent * self)
{
}

/* --- */

static gpointer
connect_to_nowhere (gpointer cancel_fd)
{
  GError *error = NULL;

  g_assert_cmpint (mmap_remote_connect ("tcp:nowhere.test:5000", TRUE,
          *(int *) cancel_fd, &error), ==, -1);
  check_error (&error, MMAP_ERROR_NOT_FOUND, "can't be found");
  return NULL;
}

/* A name server that doesn't answer keeps nobody who stops. */
static void
test_cancelled (void)
{
  int cancel_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  GThread *thread;

  g_atomic_int_set (&n_asked, 0);
  thread = g_thread_new ("connect", connect_to_nowhere, &cancel_fd);
  while (g_atomic_int_get (&n_asked) == 0)
    g_usleep (1000);
  g_assert_cmpint (eventfd_write (cancel_fd, 1), ==, 0);
  g_thread_join (thread);
  /* Nor one that comes when it was stopped already. */
  connect_to_nowhere (&cancel_fd);
  close (cancel_fd);
}

static void
test_name (void)
{
  GError *error = NULL;
  int listener = mmap_remote_listen ("tcp:here.test:47474", FALSE, &error), fd;

  g_assert_no_error (error);
  fd = mmap_remote_connect ("tcp:here.test:47474", FALSE, -1, &error);
  g_assert_no_error (error);
  close (fd);
  close (listener);
}

int
main (int argc, char **argv)
{
  g_autoptr (GResolver) resolver = NULL;

  g_test_init (&argc, &argv, NULL);
  /* GLib keeps it. */
  g_type_ensure (G_TYPE_TASK);
  resolver = g_object_new (silent_get_type (), NULL);
  g_resolver_set_default (resolver);
  leak_check_add_test ("/remote/cancelled", test_cancelled);
  leak_check_add_test ("/remote/name", test_name);
  return g_test_run ();
}
