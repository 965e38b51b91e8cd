/* gst-mmap: a mmapsink that a test feeds itself
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/check/gstharness.h>
#include <gst/gst.h>

G_BEGIN_DECLS

#define HARNESS_CAPS "application/x-test"

/* A GstHarness around a mmapsink with sync=false; what goes upstream can be pulled from it. */
typedef struct
{
  GstHarness *harness;
  GstElement *sink;
} Harness;

/* @first_property: a NULL-terminated list of more properties */
Harness *harness_new (const char *path, const char *first_property, ...);
/* Sends stream-start, @caps and a segment. */
void harness_start (Harness * harness, const char *caps);
void harness_free (Harness * harness);

/* Pushes an event. @event: (transfer full) */
void harness_push_event (Harness * harness, GstEvent * event);
/* Pushes a frame of a few bytes with offset @number, a second after the one of @number - 1. */
void harness_push_frame (Harness * harness, guint number);
GstFlowReturn harness_try_push_frame (Harness * harness, guint number,
    GstBufferFlags flags);
/* Waits until there are @n consumers. */
void harness_wait_clients (Harness * harness, guint n);
/* Waits for an event of type @type that went upstream, and drops those before. Returns: (transfer full) */
GstEvent *harness_pull_upstream (Harness * harness, GstEventType type);
/* Drops the events that have gone upstream. Returns: how many of them had type @type */
guint harness_count_upstream (Harness * harness, GstEventType type);

G_END_DECLS
