/* gst-mmap: what is in the fields of a structure, as GVariant, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Values hold structures and caps, which hold values: @depth is in how many structures, caps, arrays and lists
 * one lies.
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Structures in structures; chosen: a GVariant may be nested 128 deep, of which each takes four. */
#define GST_MMAP_MAX_DEPTH 16

/* @name: (out): of its type
 * Returns: (transfer floating) (nullable): %NULL if it means nothing in another process, or is of none of the known types */
GVariant *gst_mmap_value_to_variant (const GValue * value, const char **name,
    guint depth);

/* @name: of the type that it has to be of
 * @variant: of a peer's
 * @value: is initialized here. FALSE if it can't be made here: then it is not. */
gboolean gst_mmap_value_from_variant (const char *name, GVariant * variant,
    GValue * value, guint depth);

/* An instant, as ISO 8601. @text: of a peer's */
GVariant *gst_mmap_date_time_to_variant (GDateTime * date_time);
GDateTime *gst_mmap_date_time_from_variant (GVariant * text);

/* gstmmapstructure.c: as those without @depth. */
GVariant *gst_mmap_structure_to_variant_at (const GstStructure * structure,
    guint depth);
GstStructure *gst_mmap_structure_from_variant_at (GVariant * variant,
    guint depth);
GVariant *gst_mmap_caps_to_variant_at (GstCaps * caps, guint depth);
GstCaps *gst_mmap_caps_from_variant_at (GVariant * variant, guint depth);

G_END_DECLS
