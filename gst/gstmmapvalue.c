/* gst-mmap: what is in the fields of a structure, as GVariant, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from gstmmapstructure.c, on whatever thread that is called.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapstructure.h"
#include "gstmmapvalue.h"

#include <string.h>

typedef struct
{
  const char *name;             /* of the GType */
  const char *type;             /* of the GVariant */
  GVariant *(*describe) (const GValue * value, guint depth);
    gboolean (*restore) (GVariant * variant, GValue * value, guint depth);
} ValueKind;

/* --- values of one word --- */

static GVariant *
describe_scalar (const GValue * value, guint depth)
{
  switch (G_VALUE_TYPE (value)) {
    case G_TYPE_BOOLEAN:
      return g_variant_new_boolean (g_value_get_boolean (value));
    case G_TYPE_UCHAR:
      return g_variant_new_byte (g_value_get_uchar (value));
    case G_TYPE_INT:
      return g_variant_new_int32 (g_value_get_int (value));
    case G_TYPE_UINT:
      return g_variant_new_uint32 (g_value_get_uint (value));
    case G_TYPE_LONG:
      return g_variant_new_int64 (g_value_get_long (value));
    case G_TYPE_ULONG:
      return g_variant_new_uint64 (g_value_get_ulong (value));
    case G_TYPE_INT64:
      return g_variant_new_int64 (g_value_get_int64 (value));
    case G_TYPE_UINT64:
      return g_variant_new_uint64 (g_value_get_uint64 (value));
    case G_TYPE_FLOAT:
      return g_variant_new_double (g_value_get_float (value));
    case G_TYPE_DOUBLE:
      return g_variant_new_double (g_value_get_double (value));
    default:
      return NULL;
  }
}

static gboolean
restore_scalar (GVariant * variant, GValue * value, guint depth)
{
  switch (G_VALUE_TYPE (value)) {
    case G_TYPE_BOOLEAN:
      g_value_set_boolean (value, g_variant_get_boolean (variant));
      return TRUE;
    case G_TYPE_UCHAR:
      g_value_set_uchar (value, g_variant_get_byte (variant));
      return TRUE;
    case G_TYPE_INT:
      g_value_set_int (value, g_variant_get_int32 (variant));
      return TRUE;
    case G_TYPE_UINT:
      g_value_set_uint (value, g_variant_get_uint32 (variant));
      return TRUE;
    case G_TYPE_LONG:
      g_value_set_long (value, g_variant_get_int64 (variant));
      return TRUE;
    case G_TYPE_ULONG:
      g_value_set_ulong (value, g_variant_get_uint64 (variant));
      return TRUE;
    case G_TYPE_INT64:
      g_value_set_int64 (value, g_variant_get_int64 (variant));
      return TRUE;
    case G_TYPE_UINT64:
      g_value_set_uint64 (value, g_variant_get_uint64 (variant));
      return TRUE;
    case G_TYPE_FLOAT:
      g_value_set_float (value, g_variant_get_double (variant));
      return TRUE;
    case G_TYPE_DOUBLE:
      g_value_set_double (value, g_variant_get_double (variant));
      return TRUE;
    default:
      return FALSE;
  }
}

/* --- other values --- */

static GVariant *
describe_bitmask (const GValue * value, guint depth)
{
  return g_variant_new_uint64 (gst_value_get_bitmask (value));
}

static gboolean
restore_bitmask (GVariant * variant, GValue * value, guint depth)
{
  gst_value_set_bitmask (value, g_variant_get_uint64 (variant));
  return TRUE;
}

static GVariant *
describe_string (const GValue * value, guint depth)
{
  const char *string = g_value_get_string (value);

  if (string && !g_utf8_validate (string, -1, NULL))
    return NULL;
  return g_variant_new ("ms", string);
}

static gboolean
restore_string (GVariant * variant, GValue * value, guint depth)
{
  char *string;

  g_variant_get (variant, "ms", &string);
  g_value_take_string (value, string);
  return TRUE;
}

static GVariant *
describe_fraction (const GValue * value, guint depth)
{
  return g_variant_new ("(ii)", gst_value_get_fraction_numerator (value),
      gst_value_get_fraction_denominator (value));
}

static gboolean
restore_fraction (GVariant * variant, GValue * value, guint depth)
{
  gint numerator, denominator;

  g_variant_get (variant, "(ii)", &numerator, &denominator);
  if (denominator <= 0 || numerator == G_MININT)
    return FALSE;
  gst_value_set_fraction (value, numerator, denominator);
  return TRUE;
}

static GVariant *
describe_date (const GValue * value, guint depth)
{
  const GDate *date = g_value_get_boxed (value);

  return date && g_date_valid (date) ?
      g_variant_new_uint32 (g_date_get_julian (date)) : NULL;
}

static gboolean
restore_date (GVariant * variant, GValue * value, guint depth)
{
  guint32 julian = g_variant_get_uint32 (variant);

  /* The last day whose year GDate can say. */
  if (julian == 0 || julian > 365 * G_MAXUINT16)
    return FALSE;
  g_value_take_boxed (value, g_date_new_julian (julian));
  return TRUE;
}

GVariant *
gst_mmap_date_time_to_variant (GDateTime * date_time)
{
  return g_variant_new_take_string (g_date_time_format_iso8601 (date_time));
}

GDateTime *
gst_mmap_date_time_from_variant (GVariant * text)
{
  return g_date_time_new_from_iso8601 (g_variant_get_string (text, NULL), NULL);
}

static GVariant *
describe_g_date_time (const GValue * value, guint depth)
{
  GDateTime *date_time = g_value_get_boxed (value);

  return date_time ? gst_mmap_date_time_to_variant (date_time) : NULL;
}

static gboolean
restore_g_date_time (GVariant * variant, GValue * value, guint depth)
{
  GDateTime *date_time = gst_mmap_date_time_from_variant (variant);

  g_value_take_boxed (value, date_time);
  return date_time != NULL;
}

/* One that has no time, or only the year, doesn't cross. */
static GVariant *
describe_gst_date_time (const GValue * value, guint depth)
{
  GstDateTime *date_time = g_value_get_boxed (value);
  g_autoptr (GDateTime) whole = NULL;

  if (date_time && gst_date_time_has_second (date_time))
    whole = gst_date_time_to_g_date_time (date_time);
  return whole ? gst_mmap_date_time_to_variant (whole) : NULL;
}

static gboolean
restore_gst_date_time (GVariant * variant, GValue * value, guint depth)
{
  GDateTime *date_time = gst_mmap_date_time_from_variant (variant);

  if (!date_time)
    return FALSE;
  g_value_take_boxed (value, gst_date_time_new_from_g_date_time (date_time));
  return TRUE;
}

static GVariant *
describe_buffer (const GValue * value, guint depth)
{
  GstBuffer *buffer = gst_value_get_buffer (value);
  GVariant *variant;
  GstMapInfo map;

  if (!buffer || !gst_buffer_map (buffer, &map, GST_MAP_READ))
    return NULL;
  variant = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, map.data, map.size,
      1);
  gst_buffer_unmap (buffer, &map);
  return variant;
}

/* NULL if there is no memory, or nothing to be copied: how much is the other side's word. */
static gpointer
copy_bytes (gconstpointer data, gsize size)
{
  gpointer copy = g_try_malloc (size);

  if (copy)
    memcpy (copy, data, size);
  return copy;
}

static gboolean
restore_buffer (GVariant * variant, GValue * value, guint depth)
{
  gsize size;
  gconstpointer data = g_variant_get_fixed_array (variant, &size, 1);
  gpointer copy = copy_bytes (data, size);

  if (size > 0 && !copy)
    return FALSE;
  gst_value_take_buffer (value, copy ? gst_buffer_new_wrapped (copy, size) :
      gst_buffer_new ());
  return TRUE;
}

static GVariant *
describe_bytes (const GValue * value, guint depth)
{
  GBytes *bytes = g_value_get_boxed (value);

  return bytes ? g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes,
      TRUE) : NULL;
}

static gboolean
restore_bytes (GVariant * variant, GValue * value, guint depth)
{
  gsize size;
  gconstpointer data = g_variant_get_fixed_array (variant, &size, 1);
  gpointer copy = copy_bytes (data, size);

  if (size > 0 && !copy)
    return FALSE;
  /* Not g_variant_get_data_as_bytes(): it would keep all that was sent. */
  g_value_take_boxed (value, g_bytes_new_take (copy, size));
  return TRUE;
}

static GVariant *
describe_structure (const GValue * value, guint depth)
{
  const GstStructure *structure = gst_value_get_structure (value);

  return structure ? gst_mmap_structure_to_variant_at (structure,
      depth + 1) : NULL;
}

static gboolean
restore_structure (GVariant * variant, GValue * value, guint depth)
{
  GstStructure *structure =
      gst_mmap_structure_from_variant_at (variant, depth + 1);

  g_value_take_boxed (value, structure);
  return structure != NULL;
}

static GVariant *
describe_caps (const GValue * value, guint depth)
{
  const GstCaps *caps = gst_value_get_caps (value);

  return caps ? gst_mmap_caps_to_variant_at ((GstCaps *) caps,
      depth + 1) : NULL;
}

static gboolean
restore_caps (GVariant * variant, GValue * value, guint depth)
{
  GstCaps *caps = gst_mmap_caps_from_variant_at (variant, depth + 1);

  g_value_take_boxed (value, caps);
  return caps != NULL;
}

/* --- arrays and lists --- */

static const GValue *
get_element (const GValue * value, guint i)
{
  return GST_VALUE_HOLDS_ARRAY (value) ? gst_value_array_get_value (value, i) :
      gst_value_list_get_value (value, i);
}

static GVariant *
describe_elements (const GValue * value, guint depth)
{
  guint n = GST_VALUE_HOLDS_ARRAY (value) ? gst_value_array_get_size (value) :
      gst_value_list_get_size (value);
  GVariantBuilder builder;
  guint i;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sv)"));
  for (i = 0; i < n; i++) {
    const char *name;
    GVariant *element =
        gst_mmap_value_to_variant (get_element (value, i), &name,
        depth + 1);

    if (!element) {
      g_variant_builder_clear (&builder);
      return NULL;
    }
    g_variant_builder_add (&builder, "(sv)", name, element);
  }
  return g_variant_builder_end (&builder);
}

static gboolean
restore_elements (GVariant * variant, GValue * value, guint depth)
{
  g_autofree char *first = NULL;
  const char *name;
  GVariantIter iter;
  GVariant *element;
  gboolean good = TRUE;

  g_variant_iter_init (&iter, variant);
  while (good && g_variant_iter_next (&iter, "(&sv)", &name, &element)) {
    GValue made = G_VALUE_INIT;

    if (!first)
      first = g_strdup (name);
    /* GStreamer wants them to be of one type. */
    good = strcmp (first, name) == 0
        && gst_mmap_value_from_variant (name, element, &made, depth + 1);
    if (good && GST_VALUE_HOLDS_ARRAY (value))
      gst_value_array_append_and_take_value (value, &made);
    else if (good)
      gst_value_list_append_and_take_value (value, &made);
    g_variant_unref (element);
  }
  return good;
}

/* --- all values --- */

#define KIND(gtype, type, name) { gtype, type, describe_##name, restore_##name }

static const ValueKind kinds[] = {
  KIND ("gboolean", "b", scalar),
  KIND ("guchar", "y", scalar),
  KIND ("gint", "i", scalar),
  KIND ("guint", "u", scalar),
  KIND ("glong", "x", scalar),
  KIND ("gulong", "t", scalar),
  KIND ("gint64", "x", scalar),
  KIND ("guint64", "t", scalar),
  KIND ("gfloat", "d", scalar),
  KIND ("gdouble", "d", scalar),
  KIND ("gchararray", "ms", string),
  KIND ("GstBitmask", "t", bitmask),
  KIND ("GstFraction", "(ii)", fraction),
  KIND ("GDate", "u", date),
  KIND ("GDateTime", "s", g_date_time),
  KIND ("GstDateTime", "s", gst_date_time),
  KIND ("GstBuffer", "ay", buffer),
  KIND ("GBytes", "ay", bytes),
  KIND ("GstStructure", GST_MMAP_STRUCTURE_TYPE, structure),
  KIND ("GstCaps", GST_MMAP_CAPS_TYPE, caps),
  KIND ("GstValueArray", "a(sv)", elements),
  KIND ("GstValueList", "a(sv)", elements),
};

static const ValueKind *
find_kind (const char *name)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (strcmp (kinds[i].name, name) == 0)
      return &kinds[i];
  return NULL;
}

static GType
find_type (const char *name)
{
  /* Types of GLib's that it registers when they are first asked for. */
  g_type_ensure (G_TYPE_DATE_TIME);
  g_type_ensure (G_TYPE_BYTES);
  return g_type_from_name (name);
}

GVariant *
gst_mmap_value_to_variant (const GValue * value, const char **name, guint depth)
{
  const ValueKind *kind;

  *name = G_VALUE_TYPE_NAME (value);
  if (G_VALUE_HOLDS_ENUM (value))
    return g_variant_new_int32 (g_value_get_enum (value));
  if (G_VALUE_HOLDS_FLAGS (value))
    return g_variant_new_uint32 (g_value_get_flags (value));
  kind = depth > GST_MMAP_MAX_DEPTH ? NULL : find_kind (*name);
  return kind ? kind->describe (value, depth) : NULL;
}

static gboolean
enum_from_variant (GVariant * variant, GType type, GValue * value)
{
  GEnumClass *klass = g_type_class_ref (type);
  gint number = g_variant_get_int32 (variant);
  gboolean known = g_enum_get_value (klass, number) != NULL;

  if (known) {
    g_value_init (value, type);
    g_value_set_enum (value, number);
  }
  g_type_class_unref (klass);
  return known;
}

static gboolean
flags_from_variant (GVariant * variant, GType type, GValue * value)
{
  GFlagsClass *klass = g_type_class_ref (type);
  guint32 flags = g_variant_get_uint32 (variant);
  gboolean known = (flags & ~klass->mask) == 0;

  if (known) {
    g_value_init (value, type);
    g_value_set_flags (value, flags);
  }
  g_type_class_unref (klass);
  return known;
}

gboolean
gst_mmap_value_from_variant (const char *name, GVariant * variant,
    GValue * value, guint depth)
{
  const ValueKind *kind = find_kind (name);
  GType type = find_type (name);

  if (depth > GST_MMAP_MAX_DEPTH || type == 0)
    return FALSE;
  if (kind) {
    if (!g_variant_is_of_type (variant, G_VARIANT_TYPE (kind->type)))
      return FALSE;
    g_value_init (value, type);
    if (kind->restore (variant, value, depth))
      return TRUE;
    g_value_unset (value);
    return FALSE;
  }
  if (!G_TYPE_IS_VALUE (type) || G_TYPE_IS_VALUE_ABSTRACT (type))
    return FALSE;
  if (G_TYPE_IS_ENUM (type))
    return g_variant_is_of_type (variant, G_VARIANT_TYPE_INT32)
        && enum_from_variant (variant, type, value);
  return G_TYPE_IS_FLAGS (type)
      && g_variant_is_of_type (variant, G_VARIANT_TYPE_UINT32)
      && flags_from_variant (variant, type, value);
}
