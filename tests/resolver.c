/* gst-mmap: a name server that a test plays
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "resolver.h"

#include <gio/gio.h>

typedef GResolver Silent;
typedef GResolverClass SilentClass;

GType silent_get_type (void);

G_DEFINE_TYPE (Silent, silent, G_TYPE_RESOLVER);

static gint n_asked;            /* atomic */

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
  g_autoptr (GTask) task = g_task_new (resolver, cancellable, callback, data);
  GSource *source;

  if (g_strcmp0 (name, "here.test") == 0) {
    g_task_return_pointer (task, g_list_append (NULL,
            g_inet_address_new_from_string ("127.0.0.1")), free_addresses);
    return;
  }
  if (g_strcmp0 (name, "unknown.test") == 0) {
    g_task_return_new_error (task, G_RESOLVER_ERROR,
        G_RESOLVER_ERROR_NOT_FOUND, "nobody has that name");
    return;
  }
  source = g_cancellable_source_new (cancellable);
  g_task_attach_source (task, source, G_SOURCE_FUNC (give_up));
  g_source_unref (source);
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

void
resolver_play (void)
{
  g_autoptr (GResolver) resolver = NULL;

  /* GLib keeps it. */
  g_type_ensure (G_TYPE_TASK);
  resolver = g_object_new (silent_get_type (), NULL);
  g_resolver_set_default (resolver);
}

guint
resolver_get_n_asked (void)
{
  return g_atomic_int_get (&n_asked);
}
