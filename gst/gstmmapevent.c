/* gst-mmap: events as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by both elements from their streaming threads. What comes from the other side is copied first, then checked.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapevent.h"

#include "gstmmapstreams.h"
#include "gstmmaptext.h"
#include "gstmmaptoc.h"

#include <gst/video/video.h>
#include <math.h>
#include <string.h>

GVariant *
gst_mmap_dict_from_wire (gconstpointer data, gsize size)
{
  gpointer copy = g_try_malloc (size);
  GVariant *dict;

  if (!copy && size > 0)
    return NULL;
  if (size > 0)
    memcpy (copy, data, size);
  dict = g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE_VARDICT,
          copy, size, FALSE, g_free, copy));
  if (!g_variant_is_normal_form (dict))
    g_clear_pointer (&dict, g_variant_unref);
  return dict;
}

/* --- structures --- */

static void
insert_structure (GVariantDict * dict, GstEvent * event)
{
  const GstStructure *structure = gst_event_get_structure (event);

  if (structure) {
    g_autofree char *string = gst_mmap_structure_to_string (structure);

    g_variant_dict_insert (dict, "structure", "s", string);
  }
}

/* FALSE: it is malformed. @structure: NULL if there is none */
static gboolean
lookup_structure (GVariant * dict, GstStructure ** structure)
{
  const char *string;

  *structure = NULL;
  if (!g_variant_lookup (dict, "structure", "&s", &string))
    return TRUE;
  *structure = gst_mmap_structure_from_string (string);
  return *structure != NULL;
}

/* --- times --- */

static GstClockTime
add_shift (GstClockTime time, GstClockTimeDiff shift)
{
  GstClockTime back = 0 - (guint64) shift;

  if (!GST_CLOCK_TIME_IS_VALID (time))
    return time;
  if (shift < 0)
    return time > back ? time - back : 0;
  return time + MIN ((GstClockTime) shift, GST_CLOCK_TIME_NONE - 1 - time);
}

static GstClockTime
lookup_time (GVariant * dict, const char *key, GstClockTimeDiff shift)
{
  GstClockTime time = GST_CLOCK_TIME_NONE;

  g_variant_lookup (dict, key, "t", &time);
  return add_shift (time, shift);
}

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

/* --- each type --- */

static void
stream_start_to_dict (GstEvent * event, GVariantDict * dict)
{
  const gchar *stream_id;
  GstStream *stream = NULL;
  GstStreamFlags flags;
  guint group_id;

  gst_event_parse_stream_start (event, &stream_id);
  gst_event_parse_stream_flags (event, &flags);
  g_variant_dict_insert (dict, "stream-id", "s", stream_id);
  g_variant_dict_insert (dict, "flags", "u", flags);
  if (gst_event_parse_group_id (event, &group_id))
    g_variant_dict_insert (dict, "group-id", "u", group_id);
  gst_event_parse_stream (event, &stream);
  if (stream)
    g_variant_dict_insert_value (dict, "stream",
        gst_mmap_stream_to_variant (stream));
  gst_clear_object (&stream);
}

static GstEvent *
stream_start_from_dict (GVariant * dict)
{
  g_autoptr (GVariant) described =
      g_variant_lookup_value (dict, "stream", GST_MMAP_STREAM_TYPE);
  const char *stream_id;
  GstStream *stream;
  guint32 value;
  GstEvent *event;

  if (!g_variant_lookup (dict, "stream-id", "&s", &stream_id))
    return NULL;
  event = gst_event_new_stream_start (stream_id);
  if (g_variant_lookup (dict, "flags", "u", &value))
    gst_event_set_stream_flags (event, value);
  if (g_variant_lookup (dict, "group-id", "u", &value)
      && value != GST_GROUP_ID_INVALID)
    gst_event_set_group_id (event, value);
  stream = described ? gst_mmap_stream_from_variant (described) : NULL;
  if (stream)
    gst_event_set_stream (event, stream);
  gst_clear_object (&stream);
  return event;
}

static void
stream_collection_to_dict (GstEvent * event, GVariantDict * dict)
{
  GstStreamCollection *collection;

  gst_event_parse_stream_collection (event, &collection);
  gst_mmap_streams_to_dict (collection, dict);
  gst_object_unref (collection);
}

static GstEvent *
stream_collection_from_dict (GVariant * dict)
{
  GstStreamCollection *collection = gst_mmap_streams_from_dict (dict);
  GstEvent *event;

  if (!collection)
    return NULL;
  event = gst_event_new_stream_collection (collection);
  gst_object_unref (collection);
  return event;
}

static void
tag_to_dict (GstEvent * event, GVariantDict * dict)
{
  g_autofree char *string = NULL;
  GstTagList *tags;

  gst_event_parse_tag (event, &tags);
  string = gst_tag_list_to_string (tags);
  g_variant_dict_insert (dict, "tags", "s", string);
  g_variant_dict_insert (dict, "scope", "u", gst_tag_list_get_scope (tags));
}

static GstEvent *
tag_from_dict (GVariant * dict)
{
  guint32 scope = GST_TAG_SCOPE_STREAM;
  const char *string;
  GstTagList *tags;

  if (!g_variant_lookup (dict, "tags", "&s", &string))
    return NULL;
  tags = gst_mmap_tags_from_string (string);
  if (!tags)
    return NULL;
  g_variant_lookup (dict, "scope", "u", &scope);
  gst_tag_list_set_scope (tags, scope == GST_TAG_SCOPE_GLOBAL ?
      GST_TAG_SCOPE_GLOBAL : GST_TAG_SCOPE_STREAM);
  return gst_event_new_tag (tags);
}

static void
toc_to_dict (GstEvent * event, GVariantDict * dict)
{
  gboolean updated;
  GstToc *toc;

  gst_event_parse_toc (event, &toc, &updated);
  g_variant_dict_insert (dict, "toc", "v", gst_mmap_toc_to_variant (toc));
  g_variant_dict_insert (dict, "updated", "b", updated);
  gst_toc_unref (toc);
}

static GstEvent *
toc_from_dict (GVariant * dict)
{
  g_autoptr (GVariant) value = NULL;
  gboolean updated = FALSE;
  GstEvent *event;
  GstToc *toc;

  if (!g_variant_lookup (dict, "toc", "v", &value))
    return NULL;
  toc = gst_mmap_toc_from_variant (value);
  if (!toc)
    return NULL;
  g_variant_lookup (dict, "updated", "b", &updated);
  event = gst_event_new_toc (toc, updated);
  gst_toc_unref (toc);
  return event;
}

static void
gap_to_dict (GstEvent * event, GVariantDict * dict)
{
  GstClockTime timestamp, duration;
  GstGapFlags flags;

  gst_event_parse_gap (event, &timestamp, &duration);
  gst_event_parse_gap_flags (event, &flags);
  g_variant_dict_insert (dict, "timestamp", "t", timestamp);
  g_variant_dict_insert (dict, "duration", "t", duration);
  g_variant_dict_insert (dict, "flags", "u", flags);
}

static GstEvent *
gap_from_dict (GVariant * dict)
{
  GstClockTime timestamp = lookup_time (dict, "timestamp", 0);
  guint32 flags = 0;
  GstEvent *event;

  if (!GST_CLOCK_TIME_IS_VALID (timestamp))
    return NULL;
  event = gst_event_new_gap (timestamp, lookup_time (dict, "duration", 0));
  g_variant_lookup (dict, "flags", "u", &flags);
  if (flags & GST_GAP_FLAG_MISSING_DATA)
    gst_event_set_gap_flags (event, GST_GAP_FLAG_MISSING_DATA);
  return event;
}

static void
segment_done_to_dict (GstEvent * event, GVariantDict * dict)
{
  GstFormat format;
  gint64 position;

  gst_event_parse_segment_done (event, &format, &position);
  g_variant_dict_insert (dict, "format", "u", format);
  g_variant_dict_insert (dict, "position", "x", position);
}

static GstEvent *
segment_done_from_dict (GVariant * dict)
{
  GstFormat format;
  gint64 position;

  if (!lookup_format (dict, "format", &format)
      || !g_variant_lookup (dict, "position", "x", &position))
    return NULL;
  return gst_event_new_segment_done (format, position);
}

static void
protection_to_dict (GstEvent * event, GVariantDict * dict)
{
  const gchar *system_id, *origin;
  GstBuffer *data;
  GstMapInfo map;

  gst_event_parse_protection (event, &system_id, &data, &origin);
  g_variant_dict_insert (dict, "system-id", "s", system_id);
  if (origin)
    g_variant_dict_insert (dict, "origin", "s", origin);
  if (gst_buffer_map (data, &map, GST_MAP_READ)) {
    g_variant_dict_insert_value (dict, "data",
        g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, map.data, map.size, 1));
    gst_buffer_unmap (data, &map);
  }
}

/* Whether it can be a part of the name of a structure. */
static gboolean
is_name (const char *string)
{
  while (g_ascii_isalnum (*string) || (*string && strchr ("/-_.:+", *string)))
    string++;
  return *string == '\0';
}

static GstEvent *
protection_from_dict (GVariant * dict)
{
  g_autoptr (GVariant) data =
      g_variant_lookup_value (dict, "data", G_VARIANT_TYPE_BYTESTRING);
  const char *system_id, *origin = NULL;
  gconstpointer bytes;
  GstBuffer *buffer;
  GstEvent *event;
  gsize n;

  if (!data || !g_variant_lookup (dict, "system-id", "&s", &system_id))
    return NULL;
  g_variant_lookup (dict, "origin", "&s", &origin);
  /* GStreamer names the event after both. */
  if (!is_name (system_id) || (origin && !is_name (origin)))
    return NULL;
  bytes = g_variant_get_fixed_array (data, &n, 1);
  buffer = n > 0 ? gst_buffer_new_memdup (bytes, n) : gst_buffer_new ();
  event = gst_event_new_protection (system_id, buffer, origin);
  gst_buffer_unref (buffer);
  return event;
}

static void
seek_to_dict (GstEvent * event, GVariantDict * dict)
{
  GstSeekType start_type, stop_type;
  GstClockTime interval;
  GstSeekFlags flags;
  GstFormat format;
  gint64 start, stop;
  gdouble rate;

  gst_event_parse_seek (event, &rate, &format, &flags, &start_type, &start,
      &stop_type, &stop);
  gst_event_parse_seek_trickmode_interval (event, &interval);
  g_variant_dict_insert (dict, "rate", "d", rate);
  g_variant_dict_insert (dict, "format", "u", format);
  g_variant_dict_insert (dict, "flags", "u", flags);
  g_variant_dict_insert (dict, "start-type", "u", start_type);
  g_variant_dict_insert (dict, "start", "x", start);
  g_variant_dict_insert (dict, "stop-type", "u", stop_type);
  g_variant_dict_insert (dict, "stop", "x", stop);
  g_variant_dict_insert (dict, "trickmode-interval", "t", interval);
}

/* It changes the rate, and nothing else. */
static gboolean
is_instant_rate_change (guint32 flags, guint32 start_type, guint32 stop_type)
{
  return start_type == GST_SEEK_TYPE_NONE && stop_type == GST_SEEK_TYPE_NONE
      && !(flags & GST_SEEK_FLAG_FLUSH);
}

/* What GStreamer warns about, and doesn't send. */
static gboolean
are_seek_flags_sound (guint32 flags, guint32 start_type, guint32 stop_type)
{
  if ((flags & GST_SEEK_FLAG_INSTANT_RATE_CHANGE)
      && !is_instant_rate_change (flags, start_type, stop_type))
    return FALSE;
  return !(flags & GST_SEEK_FLAG_SNAP_NEAREST)
      || (flags & GST_SEEK_FLAG_KEY_UNIT);
}

static GstEvent *
seek_from_dict (GVariant * dict)
{
  GstClockTime interval = lookup_time (dict, "trickmode-interval", 0);
  guint32 flags, start_type, stop_type;
  GstFormat format;
  gint64 start, stop;
  gdouble rate;
  GstEvent *event;

  if (!lookup_format (dict, "format", &format)
      || !g_variant_lookup (dict, "rate", "d", &rate)
      || !g_variant_lookup (dict, "flags", "u", &flags)
      || !g_variant_lookup (dict, "start-type", "u", &start_type)
      || !g_variant_lookup (dict, "start", "x", &start)
      || !g_variant_lookup (dict, "stop-type", "u", &stop_type)
      || !g_variant_lookup (dict, "stop", "x", &stop)
      || rate == 0.0 || !isfinite (rate) || start_type > GST_SEEK_TYPE_END
      || stop_type > GST_SEEK_TYPE_END
      || !are_seek_flags_sound (flags, start_type, stop_type))
    return NULL;
  event = gst_event_new_seek (rate, format, flags, start_type, start, stop_type,
      stop);
  if (GST_CLOCK_TIME_IS_VALID (interval))
    gst_event_set_seek_trickmode_interval (event, interval);
  return event;
}

static void
step_to_dict (GstEvent * event, GVariantDict * dict)
{
  gboolean flush, intermediate;
  GstFormat format;
  guint64 amount;
  gdouble rate;

  gst_event_parse_step (event, &format, &amount, &rate, &flush, &intermediate);
  g_variant_dict_insert (dict, "format", "u", format);
  g_variant_dict_insert (dict, "amount", "t", amount);
  g_variant_dict_insert (dict, "rate", "d", rate);
  g_variant_dict_insert (dict, "flush", "b", flush);
  g_variant_dict_insert (dict, "intermediate", "b", intermediate);
}

static GstEvent *
step_from_dict (GVariant * dict)
{
  gboolean flush, intermediate;
  GstFormat format;
  guint64 amount;
  gdouble rate;

  if (!lookup_format (dict, "format", &format)
      || !g_variant_lookup (dict, "amount", "t", &amount)
      || !g_variant_lookup (dict, "rate", "d", &rate)
      || !g_variant_lookup (dict, "flush", "b", &flush)
      || !g_variant_lookup (dict, "intermediate", "b", &intermediate)
      || !(rate > 0.0) || !isfinite (rate))
    return NULL;
  return gst_event_new_step (format, amount, rate, flush, intermediate);
}

static void
select_streams_to_dict (GstEvent * event, GVariantDict * dict)
{
  GVariantBuilder names;
  GList *streams, *l;

  gst_event_parse_select_streams (event, &streams);
  g_variant_builder_init (&names, G_VARIANT_TYPE_STRING_ARRAY);
  for (l = streams; l; l = l->next)
    g_variant_builder_add (&names, "s", l->data);
  g_variant_dict_insert_value (dict, "streams", g_variant_builder_end (&names));
  g_list_free_full (streams, g_free);
}

static GstEvent *
select_streams_from_dict (GVariant * dict)
{
  g_autofree const char **names = NULL;
  GList *streams = NULL;
  GstEvent *event;
  guint i;

  if (!g_variant_lookup (dict, "streams", "^a&s", &names) || !names[0])
    return NULL;
  for (i = 0; names[i]; i++)
    streams = g_list_append (streams, (gpointer) names[i]);
  event = gst_event_new_select_streams (streams);
  g_list_free (streams);
  return event;
}

/* --- force-key-unit: custom events with a meaning --- */

static void
force_key_unit_to_dict (GstEvent * event, GstClockTimeDiff shift,
    GVariantDict * dict)
{
  GstClockTime timestamp = GST_CLOCK_TIME_NONE;
  GstClockTime stream_time = GST_CLOCK_TIME_NONE;
  GstClockTime running_time = GST_CLOCK_TIME_NONE;
  gboolean all_headers = FALSE;
  guint count = 0;

  if (GST_EVENT_IS_DOWNSTREAM (event))
    gst_video_event_parse_downstream_force_key_unit (event, &timestamp,
        &stream_time, &running_time, &all_headers, &count);
  else
    gst_video_event_parse_upstream_force_key_unit (event, &running_time,
        &all_headers, &count);
  g_variant_dict_insert (dict, "timestamp", "t", timestamp);
  g_variant_dict_insert (dict, "stream-time", "t", stream_time);
  g_variant_dict_insert (dict, "running-time", "t", add_shift (running_time,
          shift));
  g_variant_dict_insert (dict, "all-headers", "b", all_headers);
  g_variant_dict_insert (dict, "count", "u", count);
}

static GstEvent *
force_key_unit_from_dict (guint32 type, GstClockTimeDiff shift, GVariant * dict)
{
  gboolean all_headers = FALSE;
  guint32 count = 0;

  g_variant_lookup (dict, "all-headers", "b", &all_headers);
  g_variant_lookup (dict, "count", "u", &count);
  if (type == GST_EVENT_CUSTOM_UPSTREAM)
    return gst_video_event_new_upstream_force_key_unit (lookup_time (dict,
            "running-time", shift), all_headers, count);
  return gst_video_event_new_downstream_force_key_unit (lookup_time (dict,
          "timestamp", 0), lookup_time (dict, "stream-time", 0),
      lookup_time (dict, "running-time", shift), all_headers, count);
}

/* --- all types --- */

static gboolean
is_custom (guint32 type)
{
  return type == GST_EVENT_CUSTOM_UPSTREAM
      || type == GST_EVENT_CUSTOM_DOWNSTREAM
      || type == GST_EVENT_CUSTOM_DOWNSTREAM_OOB
      || type == GST_EVENT_CUSTOM_DOWNSTREAM_STICKY
      || type == GST_EVENT_CUSTOM_BOTH || type == GST_EVENT_CUSTOM_BOTH_OOB;
}

/* Types that need no more than one or two values. */
static gboolean
simple_to_dict (GstEvent * event, GVariantDict * dict)
{
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:
      return TRUE;
    case GST_EVENT_FLUSH_STOP:{
      gboolean reset_time;

      gst_event_parse_flush_stop (event, &reset_time);
      g_variant_dict_insert (dict, "reset-time", "b", reset_time);
      return TRUE;
    }
    case GST_EVENT_STREAM_GROUP_DONE:{
      guint group_id;

      gst_event_parse_stream_group_done (event, &group_id);
      g_variant_dict_insert (dict, "group-id", "u", group_id);
      return TRUE;
    }
    case GST_EVENT_INSTANT_RATE_CHANGE:{
      GstSegmentFlags flags;
      gdouble multiplier;

      gst_event_parse_instant_rate_change (event, &multiplier, &flags);
      g_variant_dict_insert (dict, "multiplier", "d", multiplier);
      g_variant_dict_insert (dict, "flags", "u", flags);
      return TRUE;
    }
    case GST_EVENT_LATENCY:{
      GstClockTime latency;

      gst_event_parse_latency (event, &latency);
      g_variant_dict_insert (dict, "latency", "t", latency);
      return TRUE;
    }
    case GST_EVENT_TOC_SELECT:{
      g_autofree gchar *uid = NULL;

      gst_event_parse_toc_select (event, &uid);
      g_variant_dict_insert (dict, "uid", "s", uid);
      return TRUE;
    }
    default:
      return FALSE;
  }
}

static GstEvent *
simple_from_dict (guint32 type, GVariant * dict)
{
  gboolean reset_time = TRUE;
  GstClockTime time;
  const char *uid;
  guint32 value = 0;
  gdouble number = 0;

  switch (type) {
    case GST_EVENT_FLUSH_START:
      return gst_event_new_flush_start ();
    case GST_EVENT_FLUSH_STOP:
      g_variant_lookup (dict, "reset-time", "b", &reset_time);
      return gst_event_new_flush_stop (reset_time);
    case GST_EVENT_STREAM_GROUP_DONE:
      if (!g_variant_lookup (dict, "group-id", "u", &value)
          || value == GST_GROUP_ID_INVALID)
        return NULL;
      return gst_event_new_stream_group_done (value);
    case GST_EVENT_INSTANT_RATE_CHANGE:
      g_variant_lookup (dict, "multiplier", "d", &number);
      g_variant_lookup (dict, "flags", "u", &value);
      if (number == 0.0 || !isfinite (number))
        return NULL;
      return gst_event_new_instant_rate_change (number,
          value & GST_SEGMENT_INSTANT_FLAGS);
    case GST_EVENT_LATENCY:
      time = lookup_time (dict, "latency", 0);
      return GST_CLOCK_TIME_IS_VALID (time) ? gst_event_new_latency (time) :
          NULL;
    case GST_EVENT_TOC_SELECT:
      if (!g_variant_lookup (dict, "uid", "&s", &uid))
        return NULL;
      return gst_event_new_toc_select (uid);
    default:
      return NULL;
  }
}

static const struct
{
  GstEventType type;
  void (*to_dict) (GstEvent * event, GVariantDict * dict);
  GstEvent *(*from_dict) (GVariant * dict);
} kinds[] = {
  {GST_EVENT_STREAM_START, stream_start_to_dict, stream_start_from_dict},
  {GST_EVENT_STREAM_COLLECTION, stream_collection_to_dict,
      stream_collection_from_dict},
  {GST_EVENT_TAG, tag_to_dict, tag_from_dict},
  {GST_EVENT_TOC, toc_to_dict, toc_from_dict},
  {GST_EVENT_PROTECTION, protection_to_dict, protection_from_dict},
  {GST_EVENT_SEGMENT_DONE, segment_done_to_dict, segment_done_from_dict},
  {GST_EVENT_GAP, gap_to_dict, gap_from_dict},
  {GST_EVENT_SEEK, seek_to_dict, seek_from_dict},
  {GST_EVENT_STEP, step_to_dict, step_from_dict},
  {GST_EVENT_SELECT_STREAMS, select_streams_to_dict, select_streams_from_dict},
};

gboolean
gst_mmap_event_to_dict (GstEvent * event, GstClockTimeDiff shift,
    GVariantDict * dict)
{
  guint32 type = GST_EVENT_TYPE (event);
  guint i;

  if (gst_video_event_is_force_key_unit (event)) {
    g_variant_dict_insert (dict, "force-key-unit", "b", TRUE);
    force_key_unit_to_dict (event, shift, dict);
    return TRUE;
  }
  if (is_custom (type) || type == GST_EVENT_NAVIGATION) {
    insert_structure (dict, event);
    return TRUE;
  }
  for (i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (kinds[i].type == type) {
      kinds[i].to_dict (event, dict);
      return TRUE;
    }
  return simple_to_dict (event, dict);
}

static GstEvent *
custom_from_dict (guint32 type, GVariant * dict)
{
  GstStructure *structure;

  if (!lookup_structure (dict, &structure))
    return NULL;
  if (type == GST_EVENT_NAVIGATION)
    return structure ? gst_event_new_navigation (structure) : NULL;
  /* Pads keep it under its name. */
  if (type == GST_EVENT_CUSTOM_DOWNSTREAM_STICKY && !structure)
    return NULL;
  return gst_event_new_custom (type, structure);
}

static GstEvent *
event_from_dict (guint32 type, GstClockTimeDiff shift, GVariant * dict)
{
  gboolean force_key_unit = FALSE;
  guint i;

  g_variant_lookup (dict, "force-key-unit", "b", &force_key_unit);
  if (force_key_unit && (type == GST_EVENT_CUSTOM_UPSTREAM
          || type == GST_EVENT_CUSTOM_DOWNSTREAM))
    return force_key_unit_from_dict (type, shift, dict);
  if (is_custom (type) || type == GST_EVENT_NAVIGATION)
    return custom_from_dict (type, dict);
  for (i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (kinds[i].type == type)
      return kinds[i].from_dict (dict);
  return simple_from_dict (type, dict);
}

GstEvent *
gst_mmap_event_from_variant (guint32 type, guint32 seqnum,
    GstClockTimeDiff shift, GVariant * dict)
{
  GstEvent *event = event_from_dict (type, shift, dict);

  if (event && seqnum != GST_SEQNUM_INVALID)
    gst_event_set_seqnum (event, seqnum);
  return event;
}
