/* gst-mmap: what GStreamer writes as strings
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Caps, structures, tags. Its parsers believe what they are told: what comes from the other side is looked at before, or after.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmaptext.h"

#include <string.h>

GST_DEBUG_CATEGORY_STATIC (gst_mmap_text_debug);
#define GST_CAT_DEFAULT gst_mmap_text_category ()

static GstDebugCategory *
gst_mmap_text_category (void)
{
  static gsize once = 0;

  if (g_once_init_enter (&once)) {
    GST_DEBUG_CATEGORY_INIT (gst_mmap_text_debug, "mmaptext", 0,
        "strings between processes");
    g_once_init_leave (&once, 1);
  }
  return gst_mmap_text_debug;
}

/* Opening brackets in caps; chosen: far above any caps of a stream, and a twentieth of what the stack of a thread (8 MiB)
 * was measured to take. */
#define MAX_BRACKETS 1000

/* Longer caps are no part of a sentence; chosen: two lines of a terminal. */
#define MAX_CAPS_CHARS 160

/* Leaves the fields of @structure whose values are none of @other's. */
static gboolean
keep_if_other (GQuark field, GValue * value, gpointer user_data)
{
  const GValue *same = gst_structure_id_get_value (user_data, field);

  return same && !gst_value_intersect (NULL, value, same);
}

/* Returns: (transfer full) (nullable): what keeps @stream from fitting into caps of its media type, if fields say that */
static GstCaps *
get_difference (const GstCaps * caps, const GstStructure * stream)
{
  guint i;

  for (i = 0; i < gst_caps_get_size (caps); i++) {
    const GstStructure *structure = gst_caps_get_structure (caps, i);
    GstStructure *other;

    if (!gst_structure_has_name (structure, gst_structure_get_name (stream)))
      continue;
    other = gst_structure_copy (structure);
    gst_structure_filter_and_map_in_place (other, keep_if_other,
        (gpointer) stream);
    if (gst_structure_n_fields (other) > 0)
      return gst_caps_new_full (other, NULL);
    gst_structure_free (other);
  }
  return NULL;
}

/* Returns: (transfer full): each media type with its features, once */
static GstCaps *
get_media_types (const GstCaps * caps)
{
  GstCaps *types = gst_caps_new_empty ();
  guint i;

  for (i = 0; i < gst_caps_get_size (caps); i++) {
    GstCapsFeatures *features = gst_caps_get_features (caps, i);
    GstCaps *type = gst_caps_new_empty_simple (gst_structure_get_name
        (gst_caps_get_structure (caps, i)));

    gst_caps_set_features_simple (type, gst_caps_features_copy (features));
    types = gst_caps_merge (types, type);
  }
  return types;
}

char *
gst_mmap_caps_describe (const GstCaps * caps, const GstCaps * stream)
{
  g_autofree char *text = gst_caps_to_string (caps);
  g_autoptr (GstCaps) shorter = NULL;

  if (strlen (text) <= MAX_CAPS_CHARS)
    return g_steal_pointer (&text);
  shorter = get_difference (caps, gst_caps_get_structure (stream, 0));
  if (!shorter)
    shorter = get_media_types (caps);
  return gst_caps_to_string (shorter);
}

/* Each of these may make the parser of GStreamer call itself. */
gboolean
gst_mmap_string_is_deep (const char *string)
{
  guint n = 0;

  for (; *string && n <= MAX_BRACKETS; string++)
    if (*string == '{' || *string == '[' || *string == '<')
      n++;
  return n > MAX_BRACKETS;
}

GstCaps *
gst_mmap_caps_from_string (const char *string)
{
  if (!string)
    return gst_caps_new_any ();
  return gst_mmap_string_is_deep (string) ? NULL :
      gst_caps_from_string (string);
}

GstCaps *
gst_mmap_caps_from_wire (gconstpointer data, gsize size)
{
  g_autofree char *string = NULL;
  GstCaps *caps;

  /* A NUL inside is refused, too. */
  if (size == 0 || !g_utf8_validate_len (data, size, NULL))
    return NULL;
  /* As long as the other side likes. */
  string = g_try_malloc (size + 1);
  if (!string)
    return NULL;
  memcpy (string, data, size);
  string[size] = '\0';
  caps = gst_mmap_caps_from_string (string);
  /* ANY, EMPTY, ranges: no stream has such caps. */
  if (caps && !gst_caps_is_fixed (caps))
    gst_clear_caps (&caps);
  return caps;
}

static gboolean
drop_unwritable (GQuark field, GValue * value, gpointer data)
{
  g_autofree gchar *string = gst_value_serialize (value);

  if (!string)
    GST_WARNING ("%s: field %s of type %s can't cross", (const char *) data,
        g_quark_to_string (field), G_VALUE_TYPE_NAME (value));
  return string != NULL;
}

char *
gst_mmap_structure_to_string (const GstStructure * structure)
{
  g_autoptr (GstStructure) copy = gst_structure_copy (structure);

  gst_structure_filter_and_map_in_place (copy, drop_unwritable,
      (gpointer) gst_structure_get_name (structure));
  return gst_structure_to_string (copy);
}

GstStructure *
gst_mmap_structure_from_string (const char *string)
{
  return gst_mmap_string_is_deep (string) ? NULL :
      gst_structure_from_string (string, NULL);
}

/* Whether this process knows the tag, and each of its values has the type that goes with it. */
static gboolean
tag_makes_sense (GQuark field, GValue * value, gpointer data)
{
  const char *tag = g_quark_to_string (field);
  gboolean sound = gst_tag_exists (tag);
  guint i;

  if (sound && GST_VALUE_HOLDS_LIST (value)) {
    sound = gst_tag_is_fixed (tag) == FALSE;
    for (i = 0; sound && i < gst_value_list_get_size (value); i++)
      sound = G_VALUE_HOLDS (gst_value_list_get_value (value, i),
          gst_tag_get_type (tag));
  } else if (sound) {
    sound = G_VALUE_HOLDS (value, gst_tag_get_type (tag));
  }
  if (!sound)
    GST_INFO ("tag %s of type %s is dropped", tag, G_VALUE_TYPE_NAME (value));
  return sound;
}

GstTagList *
gst_mmap_tags_from_string (const char *string)
{
  g_autoptr (GstStructure) tags = gst_mmap_structure_from_string (string);
  g_autofree gchar *sound = NULL;

  if (!tags || !gst_structure_has_name (tags, "taglist"))
    return NULL;
  gst_structure_filter_and_map_in_place (tags, tag_makes_sense, NULL);
  sound = gst_structure_to_string (tags);
  return gst_tag_list_new_from_string (sound);
}
