/* gst-mmap: the metas of a buffer as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* TRUE if @buffer has metas besides GstVideoMeta, which is in the descriptor. Costs little. */
gboolean gst_mmap_metas_are_there (GstBuffer * buffer);

/* @meta: can't cross */
typedef void (*GstMmapMetaLostFunc) (GstMeta * meta, gpointer user_data);

/* Describes the metas of @buffer that mean something in another process, as an array in normal form, for g_variant_store().
 * @lost: called for each that would mean something, but can't cross
 * Returns: (transfer full) (nullable): %NULL if there are none */
GVariant *gst_mmap_metas_describe (GstBuffer * buffer, GstMmapMetaLostFunc lost,
    gpointer user_data);

/* @data: @size bytes of a peer's, copied before they are looked at
 * Returns: (transfer full) (nullable): %NULL if they are no metas */
GVariant *gst_mmap_metas_parse (gconstpointer data, gsize size);

/* Adds the metas that gst_mmap_metas_parse() gave, but those that make no sense for @buffer, as a crop that is not in its picture, and
 * those that are not known here: with a note in the log.
 * @buffer: has its memory and its GstVideoMeta
 * @caps: (nullable): its caps, fixed */
void gst_mmap_metas_restore (GVariant * metas, GstBuffer * buffer,
    GstCaps * caps);

G_END_DECLS
