/* gst-mmap: structures and caps as GVariant, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Name, and fields: name, GType as GLib names it, value. */
#define GST_MMAP_FIELDS_TYPE "a(ssv)"
#define GST_MMAP_STRUCTURE_TYPE "(s" GST_MMAP_FIELDS_TYPE ")"
#define GST_MMAP_CAPS_TYPE "a" GST_MMAP_STRUCTURE_TYPE

/* Returns: (transfer floating) (nullable): %NULL if @structure has a value that means nothing in another process, or none of the known
 * types */
GVariant *gst_mmap_structure_to_variant (const GstStructure * structure);
GVariant *gst_mmap_structure_fields_to_variant (const GstStructure * structure);

/* @variant: of GST_MMAP_STRUCTURE_TYPE, in normal form
 * Returns: (transfer full) (nullable): %NULL if it has a type or value that can't be made here */
GstStructure *gst_mmap_structure_from_variant (GVariant * variant);

/* Sets @fields, of GST_MMAP_FIELDS_TYPE, in @structure. FALSE as above. */
gboolean gst_mmap_structure_set_fields (GstStructure * structure,
    GVariant * fields);

/* The same for caps, of GST_MMAP_CAPS_TYPE. ANY, and caps with features, don't cross. */
GVariant *gst_mmap_caps_to_variant (GstCaps * caps);
GstCaps *gst_mmap_caps_from_variant (GVariant * variant);

/* The quark of a name that a peer gave, @quark; FALSE if the name is too long, or the last of many new ones: they stay for ever. */
gboolean gst_mmap_name_to_quark (const char *name, GQuark * quark);

G_END_DECLS
