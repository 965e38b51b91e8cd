/* gst-mmap: element that publishes a stream to other processes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/base/gstbasesink.h>

G_BEGIN_DECLS

#define GST_TYPE_MMAP_SINK (gst_mmap_sink_get_type ())
G_DECLARE_FINAL_TYPE (GstMmapSink, gst_mmap_sink, GST, MMAP_SINK, GstBaseSink)
GST_ELEMENT_REGISTER_DECLARE (mmapsink);

G_END_DECLS
