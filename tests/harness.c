/* gst-mmap: a mmapsink that a test feeds itself
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from the test's thread, which is the streaming thread.
 */
#include "harness.h"

#include "pipe.h"

#define FRAME_BYTES 16

Harness *
harness_new (const char *path, const char *first_property, ...)
{
  Harness *harness = g_new0 (Harness, 1);
  va_list properties;

  harness->sink = gst_element_factory_make ("mmapsink", NULL);
  g_object_set (harness->sink, "socket-path", path, "sync", FALSE, NULL);
  va_start (properties, first_property);
  if (first_property)
    g_object_set_valist (G_OBJECT (harness->sink), first_property, properties);
  va_end (properties);
  harness->harness = gst_harness_new_with_element (harness->sink, "sink", NULL);
  /* Else frames are dropped for a consumer that is slow. */
  gst_harness_set_live (harness->harness, FALSE);
  return harness;
}

void
harness_start (Harness * harness, const char *caps)
{
  gst_harness_set_src_caps_str (harness->harness, caps);
}

void
harness_free (Harness * harness)
{
  gst_harness_teardown (harness->harness);
  gst_object_unref (harness->sink);
  g_free (harness);
}

void
harness_push_event (Harness * harness, GstEvent * event)
{
  g_assert_true (gst_harness_push_event (harness->harness, event));
}

GstFlowReturn
harness_try_push_frame (Harness * harness, guint number, GstBufferFlags flags)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, FRAME_BYTES, NULL);

  gst_buffer_memset (buffer, 0, number, FRAME_BYTES);
  GST_BUFFER_OFFSET (buffer) = number;
  GST_BUFFER_PTS (buffer) = number * GST_SECOND;
  GST_BUFFER_FLAG_SET (buffer, flags);
  return gst_harness_push (harness->harness, buffer);
}

void
harness_push_frame (Harness * harness, guint number)
{
  g_assert_cmpint (harness_try_push_frame (harness, number, 0), ==,
      GST_FLOW_OK);
}

void
harness_wait_clients (Harness * harness, guint n)
{
  gint64 end = g_get_monotonic_time () + GST_TIME_AS_USECONDS (PIPE_TIMEOUT);
  guint now = 0;

  while (g_object_get (harness->sink, "num-clients", &now, NULL), now != n) {
    if (g_get_monotonic_time () > end)
      g_error ("waited in vain for %u consumers, there are %u", n, now);
    g_usleep (500);
  }
}

GstEvent *
harness_pull_upstream (Harness * harness, GstEventType type)
{
  GstEvent *event;

  while ((event = gst_harness_pull_upstream_event (harness->harness))) {
    if (GST_EVENT_TYPE (event) == type)
      return event;
    gst_event_unref (event);
  }
  g_error ("waited in vain for %s", gst_event_type_get_name (type));
}

guint
harness_count_upstream (Harness * harness, GstEventType type)
{
  GstEvent *event;
  guint n = 0;

  while ((event = gst_harness_try_pull_upstream_event (harness->harness))) {
    if (GST_EVENT_TYPE (event) == type)
      n++;
    gst_event_unref (event);
  }
  return n;
}
