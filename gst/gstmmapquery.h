/* gst-mmap: queries as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Writes what @query asks, but its type, to @dict; docs/protocol.md lists the keys. FALSE if queries of its type don't cross. */
gboolean gst_mmap_query_to_dict (GstQuery * query, GVariantDict * dict);

/* Returns: (transfer full) (nullable): the query that @dict, an a{sv} from another process, asks; %NULL if it makes no sense */
GstQuery *gst_mmap_query_from_variant (guint32 type, GVariant * dict);

/* Writes the answer in @query to @dict. */
void gst_mmap_query_answer_to_dict (GstQuery * query, GVariantDict * dict);

/* Writes the answer that @dict, an a{sv} from another process, gives into @query. FALSE if it makes no sense. */
gboolean gst_mmap_query_set_answer (GstQuery * query, GVariant * dict);

G_END_DECLS
