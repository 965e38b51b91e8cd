/* gst-mmap: element that receives a stream from another process
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/base/gstpushsrc.h>

G_BEGIN_DECLS

#define GST_TYPE_MMAP_SRC (gst_mmap_src_get_type ())
G_DECLARE_FINAL_TYPE (GstMmapSrc, gst_mmap_src, GST, MMAP_SRC, GstPushSrc)
GST_ELEMENT_REGISTER_DECLARE (mmapsrc);

G_END_DECLS
