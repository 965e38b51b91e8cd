/* gst-mmap: segments as bytes, and back
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

G_END_DECLS
