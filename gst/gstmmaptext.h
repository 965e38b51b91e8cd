/* gst-mmap: what GStreamer writes as strings
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Returns: (transfer full) (nullable): the caps of @size characters at @data; %NULL if they are malformed or not fixed */
GstCaps *gst_mmap_caps_from_wire (gconstpointer data, gsize size);

/* The same, but any that a pad may accept.
 * @string: (nullable): %NULL stands for ANY */
GstCaps *gst_mmap_caps_from_string (const char *string);

/* For a sentence: what @caps, which @stream (fixed) doesn't fit, say; where that is long, as what videoconvert accepts, only what of it differs:
 * other values of the stream's fields, else the media types.
 * Returns: (transfer full) */
char *gst_mmap_caps_describe (const GstCaps * caps, const GstCaps * stream);

/* Whether the parser of GStreamer might call itself too often for the stack. */
gboolean gst_mmap_string_is_deep (const char *string);

/* Returns: (transfer full): as a string, without the fields that can't be written as one: these are logged */
char *gst_mmap_structure_to_string (const GstStructure * structure);

/* Returns: (transfer full) (nullable): %NULL if it is malformed */
GstStructure *gst_mmap_structure_from_string (const char *string);

/* As gst_tag_list_new_from_string(), which believes what it is told: tags that this process doesn't know, or with values of another type,
 * are left out.
 * Returns: (transfer full) (nullable): %NULL if it is malformed */
GstTagList *gst_mmap_tags_from_string (const char *string);

G_END_DECLS
