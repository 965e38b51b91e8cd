/* gst-mmap: events as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "protocol.h"

#include <gst/gst.h>

G_BEGIN_DECLS

void gst_mmap_segment_to_wire (const GstSegment * segment, MmapSegment * wire);

/* FALSE if @data is no segment: wrong size, unknown format, a rate of 0, backwards without an end */
gboolean gst_mmap_segment_from_wire (gconstpointer data, gsize size,
    GstSegment * segment);

/* Returns: (transfer full) (nullable): the caps of @size characters at @data; %NULL if they are malformed or not fixed */
GstCaps *gst_mmap_caps_from_wire (gconstpointer data, gsize size);

/* The same, but any that a pad may accept.
 * @string: (nullable): %NULL stands for ANY */
GstCaps *gst_mmap_caps_from_string (const char *string);

/* Whether the parser of GStreamer might call itself too often for the stack. */
gboolean gst_mmap_string_is_deep (const char *string);

/* Writes what @event says, but type and sequence number, to @dict; docs/protocol.md lists the keys.
 * @shift: ns, added to running times
 * FALSE if it can't cross: another type than those, or nothing of it can be written */
gboolean gst_mmap_event_to_dict (GstEvent * event, GstClockTimeDiff shift,
    GVariantDict * dict);

/* Returns: (transfer full) (nullable): the event of type @type and sequence number @seqnum (0: a new one) that @dict, an a{sv} from another
 *     process, says; %NULL if it makes no sense */
GstEvent *gst_mmap_event_from_variant (guint32 type, guint32 seqnum,
    GstClockTimeDiff shift, GVariant * dict);

/* Returns: (transfer full) (nullable): a copy of the @size bytes at @data as a{sv}; %NULL if they are none in normal form */
GVariant *gst_mmap_dict_from_wire (gconstpointer data, gsize size);

/* Returns: (transfer full): as a string, without the fields that can't be written as one: these are logged */
char *gst_mmap_structure_to_string (const GstStructure * structure);

/* Returns: (transfer full) (nullable): %NULL if it is malformed */
GstStructure *gst_mmap_structure_from_string (const char *string);

G_END_DECLS
