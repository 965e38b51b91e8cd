/* gst-mmap: the elements' URIs
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The GstURIHandler of both elements. Applications call it, or playbin for them, from any thread. GUri does the parsing: GstUri
 * passes over encodings that are wrong.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapuri.h"

#include <gst/base/gstbasesrc.h>

#define SCHEME "mmap"
#define SOCKET_PATH "socket-path"

/* Whom to trust is not for whoever wrote the URI to say. */
static const char *const trust[] =
    { "access-token", "access-token-file", "allowed-uids", "group", "mode",
  NULL
};

/* Properties of GstObject and GstElement, such as "name" and "parent", belong to whoever puts the pipeline together. */
static gboolean
is_settable (const GParamSpec * pspec)
{
  return !g_strv_contains (trust, pspec->name)
      && pspec->owner_type != GST_TYPE_ELEMENT
      && g_type_is_a (pspec->owner_type, GST_TYPE_ELEMENT)
      && (pspec->flags & G_PARAM_WRITABLE)
      && !(pspec->flags & G_PARAM_CONSTRUCT_ONLY);
}

/* Returns: (transfer full): names of what may stand in the query, for a message */
static char *
list_settable (GObjectClass * klass)
{
  GString *names = g_string_new (NULL);
  guint n, i;
  g_autofree GParamSpec **pspecs = g_object_class_list_properties (klass, &n);

  for (i = 0; i < n; i++)
    if (is_settable (pspecs[i]) && !g_str_equal (pspecs[i]->name, SOCKET_PATH))
      g_string_append_printf (names, "%s%s", names->len > 0 ? ", " : "",
          pspecs[i]->name);
  return g_string_free (names, FALSE);
}

static GParamSpec *
find_property (GObject * object, const char *name, GError ** error)
{
  GObjectClass *klass = G_OBJECT_GET_CLASS (object);
  GParamSpec *pspec = g_object_class_find_property (klass, name);
  g_autofree char *names = NULL;

  if (pspec && is_settable (pspec))
    return pspec;
  if (pspec && g_strv_contains (trust, pspec->name)) {
    g_set_error (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        "A URI can't set %s, which says who may connect: set the element's "
        "property", name);
    return NULL;
  }
  names = list_settable (klass);
  g_set_error (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
      "%s has no property %s that a URI can set; it can set %s",
      G_OBJECT_TYPE_NAME (object), name, names);
  return NULL;
}

/* A string is taken as it is, with quotes that gst-launch-1.0 would take off. Nothing is no number, though GStreamer reads 0. */
static gboolean
deserialize (GValue * value, const char *text, GParamSpec * pspec)
{
  if (!G_VALUE_HOLDS_STRING (value))
    return text[0] != '\0'
        && gst_value_deserialize_with_pspec (value, text, pspec);
  g_value_set_string (value, text);
  return TRUE;
}

/* Returns: (transfer full): what a value of the property would be, for a message */
static char *
describe_type (const GParamSpec * pspec)
{
  GString *text = g_string_new (g_type_name (pspec->value_type));
  const GEnumClass *klass;
  guint i;

  if (!G_IS_PARAM_SPEC_ENUM (pspec))
    return g_string_free (text, FALSE);
  klass = G_PARAM_SPEC_ENUM (pspec)->enum_class;
  for (i = 0; i < klass->n_values; i++)
    g_string_append_printf (text, "%s %s", i == 0 ? ":" : ",",
        klass->values[i].value_nick);
  return g_string_free (text, FALSE);
}

/* Adds name=text to @settings, if that can be set. */
static gboolean
add_setting (GstStructure * settings, GObject * object, const char *name,
    const char *text, GError ** error)
{
  GParamSpec *pspec = find_property (object, name, error);
  g_auto (GValue) value = G_VALUE_INIT;

  if (!pspec)
    return FALSE;
  if (gst_structure_has_field (settings, pspec->name)) {
    g_set_error (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        g_str_equal (pspec->name, SOCKET_PATH) ?
        "%s=%s: the URI's path says that already" :
        "%s=%s: the URI says that twice", name, text);
    return FALSE;
  }
  g_value_init (&value, pspec->value_type);
  if (!deserialize (&value, text, pspec)) {
    g_autofree char *type = describe_type (pspec);

    g_set_error (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        "%s=%s: '%s' is no %s", name, text, text, type);
    return FALSE;
  }
  if (g_param_value_validate (pspec, &value)) {
    g_autofree char *nearest = gst_value_serialize (&value);

    g_set_error (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        "%s=%s is out of range: %s is the nearest that can be", name, text,
        nearest);
    return FALSE;
  }
  gst_structure_set_value (settings, pspec->name, &value);
  return TRUE;
}

static gboolean
parse_query (GstStructure * settings, GObject * object, const char *query,
    GError ** error)
{
  g_autoptr (GError) cause = NULL;
  GUriParamsIter iter;
  gchar *name, *text;
  gboolean done = TRUE;

  g_uri_params_iter_init (&iter, query, -1, "&", G_URI_PARAMS_NONE);
  while (done && g_uri_params_iter_next (&iter, &name, &text, &cause)) {
    done = add_setting (settings, object, name, text, error);
    g_free (name);
    g_free (text);
  }
  if (cause)
    g_set_error (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        "The URI's query %s can't be parsed: %s", query, cause->message);
  return done && !cause;
}

/* Checks what a URI may have that a socket has not. */
static gboolean
check_socket (const char *userinfo, const char *host, int port,
    const char *fragment, GError ** error)
{
  if ((host && host[0] != '\0') || userinfo || port != -1) {
    g_set_error (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        "The URI names a host, but memory is shared on this machine only: write "
        "mmap:///PATH, or mmap:@NAME for an abstract socket");
    return FALSE;
  }
  if (fragment) {
    g_set_error (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        "The URI has a fragment, #%s, which means nothing here: a # in a path "
        "is written %%23", fragment);
    return FALSE;
  }
  return TRUE;
}

/* Returns: (transfer full): the properties that @uri stands for, all of them good, or %NULL */
static GstStructure *
parse (GObject * object, const char *uri, GError ** error)
{
  g_autoptr (GstStructure) settings = gst_structure_new_empty (SCHEME);
  g_autofree char *userinfo = NULL, *host = NULL, *path = NULL;
  g_autofree char *query = NULL, *fragment = NULL;
  g_autoptr (GError) cause = NULL;
  int port;

  if (!g_uri_split (uri, G_URI_FLAGS_ENCODED_QUERY, NULL, &userinfo, &host,
          &port, &path, &query, &fragment, &cause)) {
    g_set_error (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI,
        "The URI %s can't be parsed: %s", uri, cause->message);
    return NULL;
  }
  if (!check_socket (userinfo, host, port, fragment, error))
    return NULL;
  gst_structure_set (settings, SOCKET_PATH, G_TYPE_STRING,
      path[0] != '\0' ? path : NULL, NULL);
  if (query && !parse_query (settings, object, query, error))
    return NULL;
  return g_steal_pointer (&settings);
}

/* --- the interface --- */

static GstURIType
get_uri_type (GType type)
{
  return g_type_is_a (type, GST_TYPE_BASE_SRC) ? GST_URI_SRC : GST_URI_SINK;
}

static const gchar *const *
get_protocols (GType type)
{
  static const gchar *const protocols[] = { SCHEME, NULL };

  return protocols;
}

/* Without properties: one can give it to an element of the other kind, which has others. */
static gchar *
get_uri (GstURIHandler * handler)
{
  g_autofree char *path = NULL, *escaped = NULL;

  g_object_get (handler, SOCKET_PATH, &path, NULL);
  if (!path)
    return g_strdup (SCHEME ":");
  if (path[0] == '\0')
    return NULL;
  escaped = g_uri_escape_string (path, G_URI_RESERVED_CHARS_ALLOWED_IN_PATH,
      FALSE);
  return g_strconcat (SCHEME ":", path[0] == '/' ? "//" : "", escaped, NULL);
}

/* Whether it is too late for another socket: GstBaseSrc starts on the way to PAUSED, GstBaseSink on the way to READY already. */
static gboolean
is_started (GstElement * element)
{
  GstState state;

  GST_OBJECT_LOCK (element);
  state = GST_STATE (element);
  GST_OBJECT_UNLOCK (element);
  return state > (GST_IS_BASE_SRC (element) ? GST_STATE_READY : GST_STATE_NULL);
}

static gboolean
set_field (GQuark name, const GValue * value, gpointer object)
{
  g_object_set_property (object, g_quark_to_string (name), value);
  return TRUE;
}

static gboolean
set_uri (GstURIHandler * handler, const gchar * uri, GError ** error)
{
  g_autoptr (GstStructure) settings = NULL;

  if (is_started (GST_ELEMENT (handler))) {
    g_set_error (error, GST_URI_ERROR, GST_URI_ERROR_BAD_STATE,
        "The URI can't be changed once the element has started: set it to %s "
        "first", GST_IS_BASE_SRC (handler) ? "READY" : "NULL");
    return FALSE;
  }
  settings = parse (G_OBJECT (handler), uri, error);
  if (!settings)
    return FALSE;
  return gst_structure_foreach (settings, set_field, handler);
}

void
gst_mmap_uri_handler_init (GstURIHandlerInterface * iface)
{
  iface->get_type = get_uri_type;
  iface->get_protocols = get_protocols;
  iface->get_uri = get_uri;
  iface->set_uri = set_uri;
}
