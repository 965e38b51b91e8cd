/* gst-mmap: tables of contents as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Returns: (transfer floating): (usav), see docs/protocol.md */
GVariant *gst_mmap_toc_to_variant (GstToc * toc);

/* Returns: (transfer full) (nullable): %NULL if @value, from another process, makes no sense */
GstToc *gst_mmap_toc_from_variant (GVariant * value);

G_END_DECLS
