/* gst-mmap: capabilities as caps
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any thread; holds no state.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapcapabilities.h"

#include "error.h"
#include "gstmmaptext.h"

#define NAME "application/x-mmap"

static const struct
{
  const char *name;
  const char *variant_type;
  MmapError error;              /* if it clashes */
} fields[] = {
  {"protocol", "u", MMAP_ERROR_VERSION},
  {"session", "t", MMAP_ERROR_SESSION},
  {"region-id", "u", MMAP_ERROR_SESSION},
  {"link-id", "u", MMAP_ERROR_SESSION},
  {"file", "s", MMAP_ERROR_FILE},
  {"size", "t", MMAP_ERROR_SIZE},
  {"token", "s", MMAP_ERROR_TOKEN},
  {"token-index", "t", MMAP_ERROR_TOKEN_INDEX},
  {"token-bytes", "u", MMAP_ERROR_TOKEN_BYTES},
  {"max-held", "t", MMAP_ERROR_LIMIT},
  {"media", "s", MMAP_ERROR_NOT_NEGOTIATED},
};

GType
gst_mmap_signalling_get_type (void)
{
  static const GEnumValue values[] = {
    {GST_MMAP_SIGNALLING_SOCKET, "Unix socket", "socket"},
    {GST_MMAP_SIGNALLING_APPLICATION,
        "The application carries offer and answer", "application"},
    {0, NULL, NULL}
  };
  static gsize type = 0;

  if (g_once_init_enter (&type)) {
    GType made = g_enum_register_static ("GstMmapSignalling", values);

    g_once_init_leave (&type, made);
  }
  return type;
}

static void
set_media (GstStructure * structure, const char *media)
{
  GstCaps *caps = gst_mmap_caps_from_string (media);

  if (caps)
    gst_structure_set (structure, "media", GST_TYPE_CAPS, caps, NULL);
  gst_clear_caps (&caps);
}

GstCaps *
gst_mmap_capabilities_to_caps (GVariant * capabilities)
{
  GstStructure *structure = gst_structure_new_empty (NAME);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (fields); i++) {
    const char *name = fields[i].name;
    g_autoptr (GVariant) value = g_variant_lookup_value (capabilities, name,
        G_VARIANT_TYPE (fields[i].variant_type));

    if (!value)
      continue;
    if (g_str_equal (name, "media"))
      set_media (structure, g_variant_get_string (value, NULL));
    else if (fields[i].variant_type[0] == 's')
      gst_structure_set (structure, name, G_TYPE_STRING,
          g_variant_get_string (value, NULL), NULL);
    else if (fields[i].variant_type[0] == 'u')
      gst_structure_set (structure, name, G_TYPE_UINT,
          g_variant_get_uint32 (value), NULL);
    else
      gst_structure_set (structure, name, G_TYPE_UINT64,
          g_variant_get_uint64 (value), NULL);
  }
  return gst_caps_new_full (structure, NULL);
}

/* A number of any type, as caps that were typed by hand have them. */
static gboolean
get_number (const GValue * value, guint64 * number)
{
  GValue as_int64 = G_VALUE_INIT;
  gboolean found = FALSE;

  if (G_VALUE_HOLDS_UINT64 (value)) {
    *number = g_value_get_uint64 (value);
    return TRUE;
  }
  g_value_init (&as_int64, G_TYPE_INT64);
  if ((G_VALUE_HOLDS_INT (value) || G_VALUE_HOLDS_UINT (value)
          || G_VALUE_HOLDS_INT64 (value))
      && g_value_transform (value, &as_int64)
      && g_value_get_int64 (&as_int64) >= 0) {
    *number = g_value_get_int64 (&as_int64);
    found = TRUE;
  }
  g_value_unset (&as_int64);
  return found;
}

/* FALSE: the value is of a wrong type. */
static gboolean
insert_field (GVariantDict * dict, const char *name, const char *type,
    const GValue * value)
{
  guint64 number;

  if (g_str_equal (name, "media") && GST_VALUE_HOLDS_CAPS (value)) {
    g_autofree gchar *media = gst_caps_to_string (gst_value_get_caps (value));

    g_variant_dict_insert (dict, name, "s", media);
    return TRUE;
  }
  if (type[0] == 's') {
    if (!G_VALUE_HOLDS_STRING (value) || !g_value_get_string (value))
      return FALSE;
    g_variant_dict_insert (dict, name, "s", g_value_get_string (value));
    return TRUE;
  }
  if (!get_number (value, &number) || (type[0] == 'u' && number > G_MAXUINT32))
    return FALSE;
  if (type[0] == 'u')
    g_variant_dict_insert (dict, name, "u", (guint32) number);
  else
    g_variant_dict_insert (dict, name, "t", number);
  return TRUE;
}

GVariant *
gst_mmap_capabilities_from_caps (GstCaps * caps, GError ** error)
{
  const GstStructure *structure;
  GVariantDict dict;
  guint i;

  if (!caps || gst_caps_is_any (caps) || gst_caps_get_size (caps) != 1
      || !gst_structure_has_name (gst_caps_get_structure (caps, 0), NAME)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "Expected one structure of " NAME " as capabilities");
    return NULL;
  }
  structure = gst_caps_get_structure (caps, 0);
  g_variant_dict_init (&dict, NULL);
  for (i = 0; i < G_N_ELEMENTS (fields); i++) {
    const GValue *value = gst_structure_get_value (structure, fields[i].name);

    if (value && !insert_field (&dict, fields[i].name, fields[i].variant_type,
            value)) {
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
          "The capabilities' field %s is of type %s, expected %s",
          fields[i].name, G_VALUE_TYPE_NAME (value),
          fields[i].variant_type[0] == 's' ? "a string" : "a number");
      g_variant_dict_clear (&dict);
      return NULL;
    }
  }
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* --- restrictions --- */

static gboolean allows (const GValue * allowed, const GValue * value);

static gboolean
list_allows (const GValue * list, const GValue * value)
{
  guint i;

  for (i = 0; i < gst_value_list_get_size (list); i++)
    if (allows (gst_value_list_get_value (list, i), value))
      return TRUE;
  return FALSE;
}

static gboolean
range_allows (const GValue * range, guint64 number)
{
  gint64 min, max, step;

  if (GST_VALUE_HOLDS_INT_RANGE (range)) {
    min = gst_value_get_int_range_min (range);
    max = gst_value_get_int_range_max (range);
    step = gst_value_get_int_range_step (range);
  } else {
    min = gst_value_get_int64_range_min (range);
    max = gst_value_get_int64_range_max (range);
    step = gst_value_get_int64_range_step (range);
  }
  return number <= G_MAXINT64 && (gint64) number >= min
      && (gint64) number <= max && (step <= 1 || number % step == 0);
}

/* Caps that were typed by hand may be a string. */
static gboolean
media_allows (const GValue * allowed, const GstCaps * media)
{
  GstCaps *caps = NULL;
  gboolean can;

  if (GST_VALUE_HOLDS_CAPS (allowed))
    caps = gst_caps_ref ((GstCaps *) gst_value_get_caps (allowed));
  else if (G_VALUE_HOLDS_STRING (allowed) && g_value_get_string (allowed))
    caps = gst_mmap_caps_from_string (g_value_get_string (allowed));
  can = caps && gst_caps_can_intersect (caps, media);
  gst_clear_caps (&caps);
  return can;
}

/* GstCaps' own rules, but GStreamer has no ranges of the types that capabilities have. */
static gboolean
allows (const GValue * allowed, const GValue * value)
{
  guint64 number, other;

  if (GST_VALUE_HOLDS_LIST (allowed))
    return list_allows (allowed, value);
  if (GST_VALUE_HOLDS_CAPS (value))
    return media_allows (allowed, gst_value_get_caps (value));
  if (!get_number (value, &number))
    return gst_value_intersect (NULL, allowed, value);
  if (GST_VALUE_HOLDS_INT_RANGE (allowed)
      || GST_VALUE_HOLDS_INT64_RANGE (allowed))
    return range_allows (allowed, number);
  return get_number (allowed, &other) && other == number;
}

/* Returns: which of the fields in @structure clashes first; -1: none */
static gint
find_clash (const GstStructure * allowed, const GstStructure * structure)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (fields); i++) {
    const GValue *value = gst_structure_get_value (structure, fields[i].name);
    const GValue *limit = gst_structure_get_value (allowed, fields[i].name);

    /* What is not said can't clash. */
    if (value && limit && !allows (limit, value))
      return i;
  }
  return -1;
}

static void
set_clash (GError ** error, const GstStructure * allowed,
    const GstStructure * structure, gint i)
{
  const char *name = fields[i].name;
  gboolean secret = g_str_equal (name, "token");
  g_autofree gchar *value =
      gst_value_serialize (gst_structure_get_value (structure, name));
  g_autofree gchar *limit =
      gst_value_serialize (gst_structure_get_value (allowed, name));

  g_set_error (error, MMAP_ERROR, fields[i].error,
      "The other side's %s is %s, but accept-capabilities allows %s", name,
      secret ? "secret" : value, secret ? "another" : limit);
}

/* What is mistyped would restrict nothing, in silence. */
static gboolean
is_restriction (const GstStructure * allowed, GError ** error)
{
  gint n = gst_structure_n_fields (allowed), i;
  guint k;

  if (!gst_structure_has_name (allowed, NAME)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "accept-capabilities has %s, expected " NAME,
        gst_structure_get_name (allowed));
    return FALSE;
  }
  for (i = 0; i < n; i++) {
    const char *name = gst_structure_nth_field_name (allowed, i);

    for (k = 0; k < G_N_ELEMENTS (fields); k++)
      if (g_str_equal (name, fields[k].name))
        break;
    if (k == G_N_ELEMENTS (fields)) {
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
          "accept-capabilities has a field %s, which no capabilities have: "
          "there are file, size, token-bytes, media and others", name);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
gst_mmap_capabilities_check (GstCaps * accept, GVariant * capabilities,
    GError ** error)
{
  GstCaps *caps;
  gint clash = -1;
  guint i;

  if (!accept || gst_caps_is_any (accept))
    return TRUE;
  if (gst_caps_is_empty (accept)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "accept-capabilities is EMPTY: it allows nothing");
    return FALSE;
  }
  caps = gst_mmap_capabilities_to_caps (capabilities);
  for (i = 0; i < gst_caps_get_size (accept); i++) {
    const GstStructure *allowed = gst_caps_get_structure (accept, i);

    if (!is_restriction (allowed, error)) {
      gst_caps_unref (caps);
      return FALSE;
    }
    clash = find_clash (allowed, gst_caps_get_structure (caps, 0));
    if (clash < 0)
      break;
  }
  if (clash >= 0)
    set_clash (error, gst_caps_get_structure (accept, i - 1),
        gst_caps_get_structure (caps, 0), clash);
  gst_caps_unref (caps);
  return clash < 0;
}

GstCaps *
gst_mmap_capabilities_summarise (const char *file, guint64 size,
    guint token_bytes, const char *media)
{
  GstCaps *caps = gst_caps_new_simple ("application/x-mmap",
      "file", G_TYPE_STRING, file, "size", G_TYPE_UINT64, size, NULL);

  if (token_bytes > 0)
    gst_caps_set_simple (caps, "token-bytes", G_TYPE_UINT, token_bytes, NULL);
  if (media) {
    GstCaps *media_caps = gst_mmap_caps_from_string (media);

    if (media_caps) {
      gst_caps_set_simple (caps, "media", GST_TYPE_CAPS, media_caps, NULL);
      gst_caps_unref (media_caps);
    }
  }
  return caps;
}
