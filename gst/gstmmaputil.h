/* gst-mmap: what both elements have in common
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "error.h"
#include "users.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/* Posts @error as the element's error message: domain and code of GStreamer's, a sentence for the user. */
void gst_mmap_post_error (GstElement * element, const GError * error);

/* Posts @error as a warning: somebody was refused, the stream goes on. */
void gst_mmap_post_warning (GstElement * element, const GError * error);

/* What @text, a value of allowed-uids, stands for. %NULL if it was refused: a warning was posted, and what was allowed before stays so.
 * @text: (nullable) */
MmapUsers *gst_mmap_new_users (GstElement * element, const char *text);

/* The same when an element starts. @carried: handshakes go through a channel of the application's own, and are not for us to refuse.
 * Returns: (transfer full): or %NULL with MMAP_ERROR_SETTING */
MmapUsers *gst_mmap_start_users (const char *text, gboolean carried,
    GError ** error);

/* Whether the properties go together. @in_area: streams share a file, and there is no socket
 * FALSE with MMAP_ERROR_SETTING: @channel would be of no use. */
gboolean gst_mmap_check_channel (const char *channel, gboolean in_area,
    GError ** error);

/* The same of the property address. FALSE with MMAP_ERROR_SETTING, or MMAP_ERROR_ADDRESS if it can be none. */
gboolean gst_mmap_check_address (const char *address, gboolean in_area,
    GError ** error);

/**
 * GstMmapAnchor:
 *
 * What gst_mmap_anchor_get() remembers of an element's clock, so that it costs little per frame. Zeros at first.
 */
typedef struct
{
  GstClock *clock;
  gboolean monotonic;           /* it shows CLOCK_MONOTONIC, if it is not calibrated */
} GstMmapAnchor;

/* Returns: CLOCK_MONOTONIC in ns when the element's running time is 0; GST_CLOCK_TIME_NONE without a clock or base time */
GstClockTime gst_mmap_anchor_get (GstMmapAnchor * anchor,
    GstElement * element);

/* Forgets the clock. */
void gst_mmap_anchor_clear (GstMmapAnchor * anchor);

/* Returns: CLOCK_MONOTONIC, ns */
GstClockTime gst_mmap_monotonic_now (void);

G_END_DECLS
