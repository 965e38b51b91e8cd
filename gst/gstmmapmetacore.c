/* gst-mmap: metas of GStreamer's core, and those that applications make
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from the streaming threads of both elements.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapmetakinds.h"

#include "gstmmapstructure.h"

#include <string.h>

/* Custom metas that a peer may make known to this process; chosen: they stay for ever. */
#define MAX_REGISTERED 64
#define MAX_CUSTOM_NAME_BYTES 100
#define MAX_TAGS 16

static GVariant *
describe_reference (GstMeta * meta)
{
  GstReferenceTimestampMeta *reference = (GstReferenceTimestampMeta *) meta;
  GVariant *caps = gst_mmap_caps_to_variant (reference->reference);

  return caps ? g_variant_new ("(@" GST_MMAP_CAPS_TYPE "tt)", caps,
      reference->timestamp, reference->duration) : NULL;
}

static gboolean
restore_reference (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  g_autoptr (GVariant) clock_value = NULL;
  g_autoptr (GstCaps) clock = NULL;
  guint64 timestamp, duration;

  g_variant_get (value, "(@" GST_MMAP_CAPS_TYPE "tt)", &clock_value,
      &timestamp, &duration);
  clock = gst_mmap_caps_from_variant (clock_value);
  if (!clock || gst_caps_is_empty (clock)
      || timestamp == GST_CLOCK_TIME_NONE)
    return FALSE;
  return gst_buffer_add_reference_timestamp_meta (buffer, clock, timestamp,
      duration) != NULL;
}

static GVariant *
describe_protection (GstMeta * meta)
{
  GstProtectionMeta *protection = (GstProtectionMeta *) meta;

  return protection->info ? gst_mmap_structure_to_variant (protection->info) :
      NULL;
}

static gboolean
restore_protection (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  GstStructure *info = gst_mmap_structure_from_variant (value);

  return info && gst_buffer_add_protection_meta (buffer, info);
}

const GstMmapMetaKind gst_mmap_core_metas[] = {
  {"GstReferenceTimestampMeta", "(" GST_MMAP_CAPS_TYPE "tt)",
        gst_reference_timestamp_meta_api_get_type, describe_reference,
      restore_reference},
  {"GstProtectionMeta", GST_MMAP_STRUCTURE_TYPE,
        gst_protection_meta_api_get_type, describe_protection,
      restore_protection},
  {NULL}
};

/* --- custom metas --- */

static GVariant *
describe_custom (GstMeta * meta)
{
  static const char *const none[] = { NULL };
  const char *const *tags = gst_meta_api_type_get_tags (meta->info->api);
  GVariant *fields =
      gst_mmap_structure_fields_to_variant (gst_custom_meta_get_structure (
          (GstCustomMeta *) meta));

  return fields ? g_variant_new ("(s^as@" GST_MMAP_FIELDS_TYPE ")",
      g_type_name (meta->info->type), tags ? tags : none, fields) : NULL;
}

/* A GType, and a GstStructure, can have this name; and none that a library of GStreamer's will register later. */
static gboolean
is_custom_name (const char *name)
{
  const char *rest = name;

  while (g_ascii_isalnum (*rest) || (*rest && strchr ("-_+", *rest)))
    rest++;
  return *rest == '\0' && g_ascii_isalpha (*name) && rest - name >= 3
      && rest - name <= MAX_CUSTOM_NAME_BYTES
      && strcmp (name, "taglist") != 0 && !g_str_has_prefix (name, "Gst");
}

static gboolean
is_unused (const char *name)
{
  g_autofree char *api = g_strdup_printf ("%s-api", name);

  return g_type_from_name (name) == 0 && g_type_from_name (api) == 0;
}

static const GstMetaInfo *
register_custom (const char *name, const char **tags)
{
  static GMutex lock;
  static guint n_registered;
  const GstMetaInfo *info;
  gboolean good = is_custom_name (name)
      && g_strv_length ((char **) tags) <= MAX_TAGS;
  GQuark quark;
  guint i;

  for (i = 0; good && tags[i]; i++)
    good = gst_mmap_name_to_quark (tags[i], &quark);
  if (!good)
    return NULL;
  g_mutex_lock (&lock);
  info = gst_meta_get_info (name);
  if (!info && is_unused (name) && n_registered < MAX_REGISTERED) {
    info = gst_meta_register_custom (name, tags, NULL, NULL, NULL);
    n_registered++;
  }
  g_mutex_unlock (&lock);
  return info;
}

static gboolean
restore_custom (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  g_autoptr (GVariant) fields = NULL;
  g_autofree const char **tags = NULL;
  const GstMetaInfo *info;
  GstCustomMeta *custom;
  const char *name;

  g_variant_get (value, "(&s^a&s@" GST_MMAP_FIELDS_TYPE ")", &name, &tags,
      &fields);
  info = gst_meta_get_info (name);
  if (!info)
    info = register_custom (name, tags);
  if (!info || !gst_meta_info_is_custom (info))
    return FALSE;
  custom = gst_buffer_add_custom_meta (buffer, name);
  if (gst_mmap_structure_set_fields (gst_custom_meta_get_structure (custom),
          fields))
    return TRUE;
  gst_buffer_remove_meta (buffer, (GstMeta *) custom);
  return FALSE;
}

const GstMmapMetaKind gst_mmap_custom_meta = {
  "GstCustomMeta", "(sas" GST_MMAP_FIELDS_TYPE ")", NULL, describe_custom,
  restore_custom
};
