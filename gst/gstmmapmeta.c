/* gst-mmap: the metas of a buffer as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from the streaming threads of both elements. What comes from the other side is copied first, then checked, in two steps:
 * a type that is wrong is no meta of any producer, and ends the stream. A value that makes no sense is left out, and the frame goes on:
 * elements of an honest producer's pipeline may have put it there, and one bad remark on a frame should not stop it.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapmeta.h"

#include "gstmmapmetakinds.h"

#include <gst/video/video.h>
#include <string.h>

GST_DEBUG_CATEGORY_STATIC (gst_mmap_meta_debug);
#define GST_CAT_DEFAULT gst_mmap_meta_debug

#define METAS_TYPE G_VARIANT_TYPE ("a(sv)")

/* Of one frame; chosen: far above what detectors find, and no more memory than a frame has. */
#define MAX_METAS 4096

/* Bytes of gst_meta_serialize(), from GStreamer 1.24 on. */
#define SERIALIZED_NAME "GstMeta"
#define SERIALIZED_TYPE "ay"

static void
ensure_debug_category (void)
{
  static gsize once;

  if (g_once_init_enter (&once)) {
    GST_DEBUG_CATEGORY_INIT (gst_mmap_meta_debug, "mmapmeta", 0,
        "metas that cross to other processes");
    g_once_init_leave (&once, 1);
  }
}

static const GstMmapMetaKind *const tables[] = {
  gst_mmap_core_metas, gst_mmap_video_metas, gst_mmap_audio_metas
};

static const GstMmapMetaKind *
find_by_api (GType api)
{
  const GstMmapMetaKind *kind;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (tables); i++)
    for (kind = tables[i]; kind->name; kind++)
      if (kind->get_api () == api)
        return kind;
  return NULL;
}

static const GstMmapMetaKind *
find_kind (GstMeta * meta)
{
  return gst_meta_info_is_custom (meta->info) ? &gst_mmap_custom_meta :
      find_by_api (meta->info->api);
}

static const GstMmapMetaKind *
find_by_name (const char *name)
{
  const GstMmapMetaKind *kind;
  guint i;

  if (strcmp (name, gst_mmap_custom_meta.name) == 0)
    return &gst_mmap_custom_meta;
  for (i = 0; i < G_N_ELEMENTS (tables); i++)
    for (kind = tables[i]; kind->name; kind++)
      if (strcmp (kind->name, name) == 0)
        return kind;
  return NULL;
}

/* --- what the GStreamer at hand knows more --- */

#if GST_CHECK_VERSION (1, 24, 0)
static GVariant *
describe_serialized (GstMeta * meta)
{
  GByteArray *bytes = g_byte_array_new ();
  GVariant *value = NULL;

  if (gst_meta_serialize_simple (meta, bytes))
    value = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes->data,
        bytes->len, 1);
  g_byte_array_unref (bytes);
  return value;
}

static gboolean
restore_serialized (GVariant * value, GstBuffer * buffer)
{
  guint32 consumed = 0;
  GstMeta *meta;
  gsize size;
  const guint8 *data = g_variant_get_fixed_array (value, &size, 1);

  meta = size > 0 ? gst_meta_deserialize (buffer, data, size, &consumed) : NULL;
  if (!meta)
    return FALSE;
  /* What is checked here, or says where bytes lie, comes on no other way. */
  if (meta->info->api != GST_VIDEO_META_API_TYPE && !find_kind (meta))
    return TRUE;
  gst_buffer_remove_meta (buffer, meta);
  return FALSE;
}
#else
static GVariant *
describe_serialized (GstMeta * meta)
{
  return NULL;
}

static gboolean
restore_serialized (GVariant * value, GstBuffer * buffer)
{
  return FALSE;
}
#endif

/* --- to bytes --- */

gboolean
gst_mmap_metas_are_there (GstBuffer * buffer)
{
  gpointer state = NULL;
  GstMeta *meta;

  while ((meta = gst_buffer_iterate_meta (buffer, &state)))
    if (meta->info->api != GST_VIDEO_META_API_TYPE)
      return TRUE;
  return FALSE;
}

/* It says where bytes lie in this process, or keeps them there: nothing that a consumer could miss. */
static gboolean
is_about_memory (GstMeta * meta)
{
  GType api = meta->info->api;

  return gst_meta_api_type_has_tag (api,
      g_quark_from_static_string ("memory")) || gst_meta_api_type_has_tag (api,
      g_quark_from_static_string ("memory-reference"));
}

/* Returns: (transfer floating) (nullable) */
static GVariant *
describe_one (GstMeta * meta)
{
  const GstMmapMetaKind *kind = find_kind (meta);
  const char *name = kind ? kind->name : SERIALIZED_NAME;
  GVariant *value = kind ? kind->describe (meta) : NULL;

  if (!kind && !is_about_memory (meta))
    value = describe_serialized (meta);
  return value ? g_variant_new ("(sv)", name, value) : NULL;
}

static void
lose_all (GstBuffer * buffer, GstMmapMetaLostFunc lost, gpointer user_data)
{
  gpointer state = NULL;
  GstMeta *meta;

  while ((meta = gst_buffer_iterate_meta (buffer, &state)))
    if (meta->info->api != GST_VIDEO_META_API_TYPE && (find_kind (meta)
            || !is_about_memory (meta)))
      lost (meta, user_data);
}

GVariant *
gst_mmap_metas_describe (GstBuffer * buffer, GstMmapMetaLostFunc lost,
    gpointer user_data)
{
  g_autoptr (GVariant) metas = NULL;
  GVariantBuilder builder;
  gpointer state = NULL;
  guint n = 0;
  GstMeta *meta;

  g_variant_builder_init (&builder, METAS_TYPE);
  while ((meta = gst_buffer_iterate_meta (buffer, &state))) {
    GVariant *value = NULL;

    if (meta->info->api == GST_VIDEO_META_API_TYPE)
      continue;
    if (n < MAX_METAS)
      value = describe_one (meta);
    if (value) {
      g_variant_builder_add_value (&builder, value);
      n++;
    } else if (find_kind (meta) || !is_about_memory (meta)) {
      lost (meta, user_data);
    }
  }
  metas = g_variant_ref_sink (g_variant_builder_end (&builder));
  if (n == 0)
    return NULL;
  /* A descriptor has 32 bits for it. */
  if (g_variant_get_size (metas) > G_MAXUINT32) {
    lose_all (buffer, lost, user_data);
    return NULL;
  }
  return g_steal_pointer (&metas);
}

/* --- from bytes --- */

/* Whether what is known has its type. Names that aren't are those of a newer producer. */
static gboolean
have_their_types (GVariant * metas)
{
  const char *name;
  GVariantIter iter;
  GVariant *value;
  gboolean good = TRUE;

  g_variant_iter_init (&iter, metas);
  while (good && g_variant_iter_next (&iter, "(&sv)", &name, &value)) {
    const GstMmapMetaKind *kind = find_by_name (name);
    const char *type = kind ? kind->type :
        strcmp (name, SERIALIZED_NAME) == 0 ? SERIALIZED_TYPE : "*";

    good = g_variant_is_of_type (value, G_VARIANT_TYPE (type));
    g_variant_unref (value);
  }
  return good;
}

GVariant *
gst_mmap_metas_parse (gconstpointer data, gsize size)
{
  gpointer copy = g_try_malloc (size);
  GVariant *metas;

  if (!copy)
    return NULL;
  memcpy (copy, data, size);
  metas = g_variant_ref_sink (g_variant_new_from_data (METAS_TYPE, copy, size,
          FALSE, g_free, copy));
  if (!g_variant_is_normal_form (metas)
      || g_variant_n_children (metas) > MAX_METAS || !have_their_types (metas))
    g_clear_pointer (&metas, g_variant_unref);
  return metas;
}

void
gst_mmap_metas_restore (GVariant * metas, GstBuffer * buffer, GstCaps * caps)
{
  const char *name;
  GVariantIter iter;
  GVariant *value;

  ensure_debug_category ();
  g_variant_iter_init (&iter, metas);
  while (g_variant_iter_next (&iter, "(&sv)", &name, &value)) {
    const GstMmapMetaKind *kind = find_by_name (name);
    gboolean restored = FALSE;

    if (kind)
      restored = kind->restore (value, buffer, caps);
    else if (strcmp (name, SERIALIZED_NAME) == 0)
      restored = restore_serialized (value, buffer);
    if (!restored)
      GST_INFO ("left out a %s of %" GST_PTR_FORMAT, name, buffer);
    g_variant_unref (value);
  }
}
