/* gst-mmap: what passes a pad, for the tests of the elements
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Records are made on any thread that pushes, and read by the test.
 */
#include "traffic.h"

#include "pipe.h"

#include <string.h>

static void
item_free (gpointer data)
{
  TrafficItem *item = data;

  g_free (item->text);
  g_free (item);
}

static char *
toc_to_text (GstEvent * event)
{
  GString *text = g_string_new ("toc");
  gboolean updated;
  GstToc *toc;
  GList *l;

  gst_event_parse_toc (event, &toc, &updated);
  g_string_append_printf (text, " %d %d", gst_toc_get_scope (toc), updated);
  for (l = gst_toc_get_entries (toc); l; l = l->next) {
    gint64 start = 0, stop = 0;

    gst_toc_entry_get_start_stop_times (l->data, &start, &stop);
    g_string_append_printf (text, " %s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT,
        gst_toc_entry_get_uid (l->data), start, stop);
  }
  gst_toc_unref (toc);
  return g_string_free (text, FALSE);
}

static char *
protection_to_text (GstEvent * event)
{
  const gchar *system, *origin;
  GstBuffer *data;

  gst_event_parse_protection (event, &system, &data, &origin);
  return g_strdup_printf ("protection %s %s %" G_GSIZE_FORMAT, system, origin,
      gst_buffer_get_size (data));
}

static char *
collection_to_text (GstEvent * event)
{
  GstStreamCollection *collection;
  GString *text;
  guint i;

  gst_event_parse_stream_collection (event, &collection);
  text = g_string_new ("streams of ");
  g_string_append (text, gst_stream_collection_get_upstream_id (collection));
  for (i = 0; i < gst_stream_collection_get_size (collection); i++) {
    GstStream *stream = gst_stream_collection_get_stream (collection, i);

    g_string_append_printf (text, " %s %d", gst_stream_get_stream_id (stream),
        gst_stream_get_stream_type (stream));
  }
  gst_object_unref (collection);
  return g_string_free (text, FALSE);
}

static char *
event_to_text (GstEvent * event)
{
  const GstStructure *structure = gst_event_get_structure (event);

  if (GST_EVENT_TYPE (event) == GST_EVENT_TOC)
    return toc_to_text (event);
  if (GST_EVENT_TYPE (event) == GST_EVENT_PROTECTION)
    return protection_to_text (event);
  if (GST_EVENT_TYPE (event) == GST_EVENT_STREAM_COLLECTION)
    return collection_to_text (event);
  return structure ? gst_structure_to_string (structure) :
      g_strdup (GST_EVENT_TYPE_NAME (event));
}

static TrafficItem *
item_new (GstPadProbeInfo * info)
{
  TrafficItem *item = g_new0 (TrafficItem, 1);

  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_BUFFER) {
    GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);

    item->pts = GST_BUFFER_PTS (buffer);
    item->text = g_strdup_printf ("frame %" G_GUINT64_FORMAT,
        GST_BUFFER_OFFSET (buffer));
  } else {
    GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);

    item->type = GST_EVENT_TYPE (event);
    item->seqnum = gst_event_get_seqnum (event);
    item->text = event_to_text (event);
  }
  return item;
}

static GstPadProbeReturn
on_item (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  Traffic *traffic = data;

  g_mutex_lock (&traffic->lock);
  g_ptr_array_add (traffic->items, item_new (info));
  g_cond_broadcast (&traffic->cond);
  g_mutex_unlock (&traffic->lock);
  return GST_PAD_PROBE_OK;
}

static Traffic *
traffic_new_for (GstElement * element, const char *pad, GstPadProbeType types)
{
  Traffic *traffic = g_new0 (Traffic, 1);

  traffic->pad = gst_element_get_static_pad (element, pad);
  g_assert_nonnull (traffic->pad);
  g_mutex_init (&traffic->lock);
  g_cond_init (&traffic->cond);
  traffic->items = g_ptr_array_new_with_free_func (item_free);
  traffic->probe = gst_pad_add_probe (traffic->pad, types, on_item, traffic,
      NULL);
  return traffic;
}

Traffic *
traffic_new (GstElement * element, const char *pad)
{
  return traffic_new_for (element, pad, GST_PAD_PROBE_TYPE_BUFFER
      | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_EVENT_FLUSH);
}

Traffic *
traffic_new_upstream (GstElement * element, const char *pad)
{
  return traffic_new_for (element, pad, GST_PAD_PROBE_TYPE_EVENT_UPSTREAM);
}

void
traffic_free (Traffic * traffic)
{
  gst_pad_remove_probe (traffic->pad, traffic->probe);
  gst_object_unref (traffic->pad);
  g_ptr_array_unref (traffic->items);
  g_mutex_clear (&traffic->lock);
  g_cond_clear (&traffic->cond);
  g_free (traffic);
}

/* The @n-th item from 1 that has type @type or, if that is given, contains @text. */
static TrafficItem *
find_locked (Traffic * traffic, GstEventType type, const char *text, guint n,
    guint * at)
{
  guint i;

  for (i = 0; i < traffic->items->len; i++) {
    TrafficItem *item = g_ptr_array_index (traffic->items, i);

    if ((text ? strstr (item->text, text) != NULL : item->type == type)
        && --n == 0) {
      if (at)
        *at = i;
      return item;
    }
  }
  return NULL;
}

static TrafficItem *
wait_for (Traffic * traffic, GstEventType type, const char *text, guint n)
{
  gint64 end = g_get_monotonic_time () + GST_TIME_AS_USECONDS (PIPE_TIMEOUT);
  TrafficItem *item;

  g_mutex_lock (&traffic->lock);
  while (!(item = find_locked (traffic, type, text, n, NULL)))
    if (!g_cond_wait_until (&traffic->cond, &traffic->lock, end))
      g_error ("waited in vain for %u x %s", n, text ? text : type ?
          gst_event_type_get_name (type) : "a buffer");
  g_mutex_unlock (&traffic->lock);
  return item;
}

TrafficItem *
traffic_wait (Traffic * traffic, GstEventType type, guint n)
{
  return wait_for (traffic, type, NULL, n);
}

void
traffic_wait_text (Traffic * traffic, const char *text)
{
  wait_for (traffic, GST_EVENT_UNKNOWN, text, 1);
}

static guint
count (Traffic * traffic, GstEventType type, const char *text)
{
  guint n = 0;

  g_mutex_lock (&traffic->lock);
  while (find_locked (traffic, type, text, n + 1, NULL))
    n++;
  g_mutex_unlock (&traffic->lock);
  return n;
}

guint
traffic_count (Traffic * traffic, GstEventType type)
{
  return count (traffic, type, NULL);
}

guint
traffic_count_text (Traffic * traffic, const char *text)
{
  return count (traffic, GST_EVENT_UNKNOWN, text);
}

guint
traffic_find (Traffic * traffic, GstEventType type, guint n)
{
  guint at = 0;

  g_mutex_lock (&traffic->lock);
  g_assert_nonnull (find_locked (traffic, type, NULL, n, &at));
  g_mutex_unlock (&traffic->lock);
  return at;
}

/* The caps event is made anew on the other side: its sequence number is not that of the producer's. */
static char *
item_to_line (const TrafficItem * item)
{
  if (item->type == GST_EVENT_CAPS || item->type == GST_EVENT_UNKNOWN)
    return g_strdup_printf ("%s\n", item->text);
  return g_strdup_printf ("%u %s\n", item->seqnum, item->text);
}

/* @all: also what comes after the first buffer */
static char *
to_lines (Traffic * traffic, gboolean all)
{
  GString *lines = g_string_new ("");
  guint i;

  g_mutex_lock (&traffic->lock);
  for (i = 0; i < traffic->items->len; i++) {
    TrafficItem *item = g_ptr_array_index (traffic->items, i);
    gboolean buffer = item->type == GST_EVENT_UNKNOWN;

    if (buffer && !all)
      break;
    if (buffer || (item->type & GST_EVENT_TYPE_SERIALIZED)) {
      g_autofree char *line = item_to_line (item);

      g_string_append (lines, line);
    }
  }
  g_mutex_unlock (&traffic->lock);
  return g_string_free (lines, FALSE);
}

void
traffic_assert_same (Traffic * one, Traffic * two)
{
  g_autofree char *first = to_lines (one, TRUE);
  g_autofree char *second = to_lines (two, TRUE);

  if (strcmp (first, second) != 0)
    g_error ("expected:\n%sbut there was:\n%s", first, second);
}

char *
traffic_before_frames (Traffic * traffic)
{
  return to_lines (traffic, FALSE);
}

static gboolean
add_line (GstPad * pad, GstEvent ** event, gpointer data)
{
  TrafficItem item = { GST_EVENT_TYPE (*event), gst_event_get_seqnum (*event),
    event_to_text (*event), 0
  };
  g_autofree char *line = item_to_line (&item);

  if (item.type & GST_EVENT_TYPE_SERIALIZED)
    g_string_append (data, line);
  g_free (item.text);
  return TRUE;
}

char *
traffic_sticky (GstPad * pad)
{
  GString *lines = g_string_new ("");

  gst_pad_sticky_events_foreach (pad, add_line, lines);
  return g_string_free (lines, FALSE);
}
