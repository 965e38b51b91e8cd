/* gst-mmap: descriptions of streams as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A part of events: which streams a producer has, and which of them this one is. Any thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapstreams.h"

#include "gstmmaptext.h"

/* What has a meaning in another pipeline; chosen: all that GStreamer 1.22 defines. */
#define STREAM_TYPES (GST_STREAM_TYPE_UNKNOWN | GST_STREAM_TYPE_AUDIO \
    | GST_STREAM_TYPE_VIDEO | GST_STREAM_TYPE_CONTAINER | GST_STREAM_TYPE_TEXT)
#define STREAM_FLAGS (GST_STREAM_FLAG_SPARSE | GST_STREAM_FLAG_SELECT \
    | GST_STREAM_FLAG_UNSELECT)

GVariant *
gst_mmap_stream_to_variant (GstStream * stream)
{
  GstCaps *caps = gst_stream_get_caps (stream);
  GstTagList *tags = gst_stream_get_tags (stream);
  g_autofree char *caps_string = caps ? gst_caps_to_string (caps) : NULL;
  g_autofree char *tags_string = tags ? gst_tag_list_to_string (tags) : NULL;

  gst_clear_caps (&caps);
  gst_clear_tag_list (&tags);
  return g_variant_new ("(suuss)", gst_stream_get_stream_id (stream),
      gst_stream_get_stream_type (stream), gst_stream_get_stream_flags (stream),
      caps_string ? caps_string : "", tags_string ? tags_string : "");
}

GstStream *
gst_mmap_stream_from_variant (GVariant * value)
{
  const char *id, *caps_string, *tags_string;
  GstTagList *tags = NULL;
  GstCaps *caps = NULL;
  guint32 type, flags;
  GstStream *stream;

  g_variant_get (value, "(&suu&s&s)", &id, &type, &flags, &caps_string,
      &tags_string);
  if (caps_string[0] != '\0') {
    caps = gst_mmap_caps_from_string (caps_string);
    if (!caps)
      return NULL;
  }
  stream = gst_stream_new (id, caps, type & STREAM_TYPES, flags & STREAM_FLAGS);
  if (tags_string[0] != '\0')
    tags = gst_mmap_tags_from_string (tags_string);
  if (tags)
    gst_stream_set_tags (stream, tags);
  gst_clear_tag_list (&tags);
  gst_clear_caps (&caps);
  return stream;
}

void
gst_mmap_streams_to_dict (GstStreamCollection * collection, GVariantDict * dict)
{
  const char *upstream_id = gst_stream_collection_get_upstream_id (collection);
  GVariantBuilder streams;
  guint i;

  g_variant_builder_init (&streams, G_VARIANT_TYPE ("a(suuss)"));
  for (i = 0; i < gst_stream_collection_get_size (collection); i++)
    g_variant_builder_add_value (&streams,
        gst_mmap_stream_to_variant (gst_stream_collection_get_stream
            (collection, i)));
  if (upstream_id)
    g_variant_dict_insert (dict, "upstream-id", "s", upstream_id);
  g_variant_dict_insert_value (dict, "streams",
      g_variant_builder_end (&streams));
}

GstStreamCollection *
gst_mmap_streams_from_dict (GVariant * dict)
{
  g_autoptr (GVariant) streams =
      g_variant_lookup_value (dict, "streams", G_VARIANT_TYPE ("a(suuss)"));
  GstStreamCollection *collection;
  const char *upstream_id = NULL;
  gsize i;

  if (!streams)
    return NULL;
  g_variant_lookup (dict, "upstream-id", "&s", &upstream_id);
  collection = gst_stream_collection_new (upstream_id);
  for (i = 0; i < g_variant_n_children (streams); i++) {
    g_autoptr (GVariant) value = g_variant_get_child_value (streams, i);
    GstStream *stream = gst_mmap_stream_from_variant (value);

    if (!stream) {
      gst_object_unref (collection);
      return NULL;
    }
    gst_stream_collection_add_stream (collection, stream);
  }
  return collection;
}
