/* gst-mmap: descriptions of streams as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Id, type, flags, caps and tags; the last two as strings, empty if there are none. */
#define GST_MMAP_STREAM_TYPE G_VARIANT_TYPE ("(suuss)")

/* Returns: (transfer floating): of GST_MMAP_STREAM_TYPE */
GVariant *gst_mmap_stream_to_variant (GstStream * stream);

/* @value: of GST_MMAP_STREAM_TYPE, from another process
 * Returns: (transfer full) (nullable): %NULL if it makes no sense */
GstStream *gst_mmap_stream_from_variant (GVariant * value);

/* Writes the keys of a stream-collection: see docs/protocol.md. */
void gst_mmap_streams_to_dict (GstStreamCollection * collection,
    GVariantDict * dict);

/* Returns: (transfer full) (nullable): %NULL if @dict, an a{sv} from another process, makes no sense */
GstStreamCollection *gst_mmap_streams_from_dict (GVariant * dict);

G_END_DECLS
