/* gst-mmap: what passes a pad, for the tests of the elements
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * TrafficItem:
 * @type: of an event; GST_EVENT_UNKNOWN of a buffer
 * @text: what the event says; of a buffer: "frame OFFSET"
 *
 * What is remembered of an event or a buffer.
 */
typedef struct
{
  GstEventType type;
  guint32 seqnum;
  gchar *text;
  GstClockTime pts;             /* of a buffer */
} TrafficItem;

/* Records what passes a pad. */
typedef struct
{
  GstPad *pad;
  gulong probe;
  GMutex lock;
  GCond cond;
  GPtrArray *items;             /* (element-type TrafficItem) under the lock */
} Traffic;

/* Downstream: events, flushes and buffers that pass pad @pad of @element. */
Traffic *traffic_new (GstElement * element, const char *pad);
/* Events that go upstream through it. */
Traffic *traffic_new_upstream (GstElement * element, const char *pad);
void traffic_free (Traffic * traffic);

/* Waits until @n events of type @type, or buffers, have passed. Returns: the last of these, valid as long as @traffic */
TrafficItem *traffic_wait (Traffic * traffic, GstEventType type, guint n);
guint traffic_count (Traffic * traffic, GstEventType type);
guint traffic_count_text (Traffic * traffic, const char *text);
/* Waits until an event passes whose text contains @text. */
void traffic_wait_text (Traffic * traffic, const char *text);
/* The position of the @n-th item (from 1) of type @type, from 0; fails the test if there is none. */
guint traffic_find (Traffic * traffic, GstEventType type, guint n);

/* Serialised events and buffers are the same in both, in the same order. */
void traffic_assert_same (Traffic * one, Traffic * two);

/* Returns: (transfer full): what passed before the first buffer, a line each; @traffic may be still going on */
char *traffic_before_frames (Traffic * traffic);
/* Returns: (transfer full): the sticky events of @pad, a line each */
char *traffic_sticky (GstPad * pad);

G_END_DECLS
