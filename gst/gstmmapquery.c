/* gst-mmap: queries as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The consumer's side writes questions and reads answers, the producer's side the other way round. Any thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapquery.h"

#include "gstmmaptext.h"

#include <math.h>

static gboolean
lookup_format (GVariant * dict, const char *key, GstFormat * format)
{
  guint32 value;

  if (!g_variant_lookup (dict, key, "u", &value)
      || !gst_format_get_details (value))
    return FALSE;
  *format = value;
  return TRUE;
}

static void
insert_structure (GVariantDict * dict, GstQuery * query)
{
  const GstStructure *structure = gst_query_get_structure (query);

  if (structure) {
    g_autofree char *string = gst_mmap_structure_to_string (structure);

    g_variant_dict_insert (dict, "structure", "s", string);
  }
}

gboolean
gst_mmap_query_to_dict (GstQuery * query, GVariantDict * dict)
{
  GstFormat format, to;
  gint64 value;

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_POSITION:
      gst_query_parse_position (query, &format, NULL);
      break;
    case GST_QUERY_DURATION:
      gst_query_parse_duration (query, &format, NULL);
      break;
    case GST_QUERY_SEEKING:
      gst_query_parse_seeking (query, &format, NULL, NULL, NULL);
      break;
    case GST_QUERY_SEGMENT:
      return TRUE;
    case GST_QUERY_CONVERT:
      gst_query_parse_convert (query, &format, &value, &to, NULL);
      g_variant_dict_insert (dict, "to", "u", to);
      g_variant_dict_insert (dict, "value", "x", value);
      break;
    case GST_QUERY_CUSTOM:
      insert_structure (dict, query);
      return TRUE;
    default:
      return FALSE;
  }
  g_variant_dict_insert (dict, "format", "u", format);
  return TRUE;
}

static GstQuery *
custom_from_dict (GVariant * dict)
{
  GstStructure *structure = NULL;
  const char *string;

  if (!g_variant_lookup (dict, "structure", "&s", &string))
    return NULL;
  structure = gst_mmap_structure_from_string (string);
  return structure ? gst_query_new_custom (GST_QUERY_CUSTOM, structure) : NULL;
}

GstQuery *
gst_mmap_query_from_variant (guint32 type, GVariant * dict)
{
  GstFormat format = GST_FORMAT_UNDEFINED, to;
  gboolean has_format = lookup_format (dict, "format", &format);
  gint64 value;

  switch (type) {
    case GST_QUERY_POSITION:
      return has_format ? gst_query_new_position (format) : NULL;
    case GST_QUERY_DURATION:
      return has_format ? gst_query_new_duration (format) : NULL;
    case GST_QUERY_SEEKING:
      return has_format ? gst_query_new_seeking (format) : NULL;
    case GST_QUERY_SEGMENT:
      return gst_query_new_segment (GST_FORMAT_UNDEFINED);
    case GST_QUERY_CONVERT:
      return has_format && lookup_format (dict, "to", &to)
          && g_variant_lookup (dict, "value", "x", &value) ?
          gst_query_new_convert (format, value, to) : NULL;
    case GST_QUERY_CUSTOM:
      return custom_from_dict (dict);
    default:
      return NULL;
  }
}

void
gst_mmap_query_answer_to_dict (GstQuery * query, GVariantDict * dict)
{
  GstFormat format;
  gint64 one = -1, two = -1;
  gboolean seekable;
  gdouble rate;

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_POSITION:
      gst_query_parse_position (query, &format, &one);
      break;
    case GST_QUERY_DURATION:
      gst_query_parse_duration (query, &format, &one);
      break;
    case GST_QUERY_SEEKING:
      gst_query_parse_seeking (query, &format, &seekable, &one, &two);
      g_variant_dict_insert (dict, "seekable", "b", seekable);
      break;
    case GST_QUERY_SEGMENT:
      gst_query_parse_segment (query, &rate, &format, &one, &two);
      g_variant_dict_insert (dict, "rate", "d", rate);
      break;
    case GST_QUERY_CONVERT:
      gst_query_parse_convert (query, NULL, NULL, &format, &one);
      break;
    default:
      insert_structure (dict, query);
      return;
  }
  g_variant_dict_insert (dict, "format", "u", format);
  g_variant_dict_insert (dict, "value", "x", one);
  g_variant_dict_insert (dict, "end", "x", two);
}

static gboolean
copy_field (GQuark field, const GValue * value, gpointer data)
{
  gst_structure_id_set_value (data, field, value);
  return TRUE;
}

static gboolean
set_custom_answer (GstQuery * query, GVariant * dict)
{
  g_autoptr (GstStructure) answer = NULL;
  GstStructure *structure = gst_query_writable_structure (query);
  const char *string;

  if (!g_variant_lookup (dict, "structure", "&s", &string) || !structure)
    return FALSE;
  answer = gst_mmap_structure_from_string (string);
  if (!answer)
    return FALSE;
  gst_structure_foreach (answer, copy_field, structure);
  return TRUE;
}

/* Whether an answer in @format is one to @query. */
static gboolean
was_asked_for (GstQuery * query, GstFormat format)
{
  GstFormat asked = format;

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_POSITION:
      gst_query_parse_position (query, &asked, NULL);
      break;
    case GST_QUERY_DURATION:
      gst_query_parse_duration (query, &asked, NULL);
      break;
    case GST_QUERY_SEEKING:
      gst_query_parse_seeking (query, &asked, NULL, NULL, NULL);
      break;
    case GST_QUERY_CONVERT:
      gst_query_parse_convert (query, NULL, NULL, &asked, NULL);
      break;
    default:
      break;
  }
  return format == asked;
}

gboolean
gst_mmap_query_set_answer (GstQuery * query, GVariant * dict)
{
  gboolean seekable = FALSE;
  GstFormat format;
  gint64 one, two;
  gdouble rate = 0;

  if (GST_QUERY_TYPE (query) == GST_QUERY_CUSTOM)
    return set_custom_answer (query, dict);
  if (!lookup_format (dict, "format", &format)
      || !g_variant_lookup (dict, "value", "x", &one)
      || !g_variant_lookup (dict, "end", "x", &two)
      || !was_asked_for (query, format))
    return FALSE;
  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_POSITION:
      gst_query_set_position (query, format, one);
      return TRUE;
    case GST_QUERY_DURATION:
      gst_query_set_duration (query, format, one);
      return TRUE;
    case GST_QUERY_SEEKING:
      g_variant_lookup (dict, "seekable", "b", &seekable);
      gst_query_set_seeking (query, format, seekable, one, two);
      return TRUE;
    case GST_QUERY_SEGMENT:
      if (!g_variant_lookup (dict, "rate", "d", &rate) || !isfinite (rate))
        return FALSE;
      gst_query_set_segment (query, rate, format, one, two);
      return TRUE;
    case GST_QUERY_CONVERT:{
      GstFormat from;
      gint64 value;

      gst_query_parse_convert (query, &from, &value, NULL, NULL);
      gst_query_set_convert (query, from, value, format, one);
      return TRUE;
    }
    default:
      return FALSE;
  }
}
