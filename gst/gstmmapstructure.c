/* gst-mmap: structures and caps as GVariant, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from the streaming threads of both elements. GStreamer's own form, a string, is not for strangers: its parser takes some
 * strings for bugs of its caller, and calls itself for each bracket.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapstructure.h"
#include "gstmmapvalue.h"

#include <string.h>

/* Fields of a structure, which are found one by one. Chosen. */
#define MAX_FIELDS 1024
#define MAX_NAME_BYTES 255
/* Names that nobody in this process knew; chosen: far above what a stream uses, and about a MiB. */
#define MAX_NEW_NAMES 8192

gboolean
gst_mmap_name_to_quark (const char *name, GQuark * quark)
{
  static gint n_new;
  gsize length = strlen (name);

  if (length == 0 || length > MAX_NAME_BYTES)
    return FALSE;
  *quark = g_quark_try_string (name);
  if (*quark == 0) {
    if (g_atomic_int_add (&n_new, 1) >= MAX_NEW_NAMES) {
      g_atomic_int_add (&n_new, -1);
      return FALSE;
    }
    *quark = g_quark_from_string (name);
  }
  return TRUE;
}

/* --- structures --- */

typedef struct
{
  GVariantBuilder builder;
  guint depth;
  guint n_fields;
} Describing;

static gboolean
describe_field (GQuark field, const GValue * value, gpointer data)
{
  Describing *describing = data;
  const char *name = g_quark_to_string (field), *type;
  GVariant *variant;

  if (++describing->n_fields > MAX_FIELDS || strlen (name) > MAX_NAME_BYTES
      || *name == '\0' || !g_utf8_validate (name, -1, NULL))
    return FALSE;
  variant = gst_mmap_value_to_variant (value, &type, describing->depth);
  if (!variant)
    return FALSE;
  g_variant_builder_add (&describing->builder, "(ssv)", name, type, variant);
  return TRUE;
}

static GVariant *
fields_to_variant (const GstStructure * structure, guint depth)
{
  Describing describing = {.depth = depth };

  g_variant_builder_init (&describing.builder,
      G_VARIANT_TYPE (GST_MMAP_FIELDS_TYPE));
  if (!gst_structure_foreach (structure, describe_field, &describing)) {
    g_variant_builder_clear (&describing.builder);
    return NULL;
  }
  return g_variant_builder_end (&describing.builder);
}

GVariant *
gst_mmap_structure_fields_to_variant (const GstStructure * structure)
{
  return fields_to_variant (structure, 0);
}

/* What GStreamer accepts without complaint. */
static gboolean
is_structure_name (const char *name)
{
  const char *rest = name + 1;

  if (!g_ascii_isalpha (*name))
    return FALSE;
  while (g_ascii_isalnum (*rest) || (*rest && strchr ("/-_.:+", *rest)))
    rest++;
  return *rest == '\0' && rest - name <= MAX_NAME_BYTES
      && strcmp (name, "taglist") != 0
      && !g_str_has_prefix (name, "video/x-raw-");
}

GVariant *
gst_mmap_structure_to_variant_at (const GstStructure * structure, guint depth)
{
  const char *name = gst_structure_get_name (structure);
  GVariant *fields = NULL;

  if (depth <= GST_MMAP_MAX_DEPTH && is_structure_name (name))
    fields = fields_to_variant (structure, depth);
  return fields ? g_variant_new ("(s@" GST_MMAP_FIELDS_TYPE ")", name,
      fields) : NULL;
}

GVariant *
gst_mmap_structure_to_variant (const GstStructure * structure)
{
  return gst_mmap_structure_to_variant_at (structure, 0);
}

static gboolean
set_fields (GstStructure * structure, GVariant * fields, guint depth)
{
  const char *name, *type;
  GVariantIter iter;
  GVariant *variant;
  gboolean good = g_variant_n_children (fields) <= MAX_FIELDS;

  g_variant_iter_init (&iter, fields);
  while (good && g_variant_iter_next (&iter, "(&s&sv)", &name, &type, &variant)) {
    GValue value = G_VALUE_INIT;
    GQuark quark;

    good = gst_mmap_name_to_quark (name, &quark)
        && gst_mmap_value_from_variant (type, variant, &value, depth);
    if (good)
      gst_structure_id_take_value (structure, quark, &value);
    g_variant_unref (variant);
  }
  return good;
}

gboolean
gst_mmap_structure_set_fields (GstStructure * structure, GVariant * fields)
{
  return set_fields (structure, fields, 0);
}

GstStructure *
gst_mmap_structure_from_variant_at (GVariant * variant, guint depth)
{
  g_autoptr (GVariant) fields = NULL;
  GstStructure *structure;
  const char *name;
  GQuark quark;

  g_variant_get (variant, "(&s@" GST_MMAP_FIELDS_TYPE ")", &name, &fields);
  if (depth > GST_MMAP_MAX_DEPTH || !is_structure_name (name)
      || !gst_mmap_name_to_quark (name, &quark))
    return NULL;
  structure = gst_structure_new_id_empty (quark);
  if (!set_fields (structure, fields, depth))
    g_clear_pointer (&structure, gst_structure_free);
  return structure;
}

GstStructure *
gst_mmap_structure_from_variant (GVariant * variant)
{
  return gst_mmap_structure_from_variant_at (variant, 0);
}

/* --- caps --- */

static gboolean
has_features (GstCaps * caps, guint i)
{
  GstCapsFeatures *features = gst_caps_get_features (caps, i);

  return features && !gst_caps_features_is_equal (features,
      GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY);
}

GVariant *
gst_mmap_caps_to_variant_at (GstCaps * caps, guint depth)
{
  GVariantBuilder builder;
  guint i;

  if (gst_caps_is_any (caps))
    return NULL;
  g_variant_builder_init (&builder, G_VARIANT_TYPE (GST_MMAP_CAPS_TYPE));
  for (i = 0; i < gst_caps_get_size (caps); i++) {
    GVariant *structure = has_features (caps, i) ? NULL :
        gst_mmap_structure_to_variant_at (gst_caps_get_structure (caps, i),
        depth);

    if (!structure) {
      g_variant_builder_clear (&builder);
      return NULL;
    }
    g_variant_builder_add_value (&builder, structure);
  }
  return g_variant_builder_end (&builder);
}

GVariant *
gst_mmap_caps_to_variant (GstCaps * caps)
{
  return gst_mmap_caps_to_variant_at (caps, 0);
}

GstCaps *
gst_mmap_caps_from_variant_at (GVariant * variant, guint depth)
{
  GstCaps *caps = gst_caps_new_empty ();
  GVariantIter iter;
  GVariant *child;

  g_variant_iter_init (&iter, variant);
  while (caps && (child = g_variant_iter_next_value (&iter))) {
    GstStructure *structure = gst_mmap_structure_from_variant_at (child, depth);

    if (structure)
      gst_caps_append_structure (caps, structure);
    else
      gst_clear_caps (&caps);
    g_variant_unref (child);
  }
  return caps;
}

GstCaps *
gst_mmap_caps_from_variant (GVariant * variant)
{
  return gst_mmap_caps_from_variant_at (variant, 0);
}
