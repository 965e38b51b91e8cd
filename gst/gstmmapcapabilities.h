/* gst-mmap: capabilities as caps
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* How the two sides find each other. */
typedef enum
{
  GST_MMAP_SIGNALLING_SOCKET,   /* a Unix socket of the producer's */
  GST_MMAP_SIGNALLING_APPLICATION       /* the application carries offer and answer */
} GstMmapSignalling;

#define GST_TYPE_MMAP_SIGNALLING (gst_mmap_signalling_get_type ())
GType gst_mmap_signalling_get_type (void);

/* @capabilities: an a{sv} of the core
 * Returns: (transfer full): application/x-mmap with the same fields; media is of type GstCaps */
GstCaps *gst_mmap_capabilities_to_caps (GVariant * capabilities);

/* Returns: (transfer full): the a{sv} that @caps, from an application, stand for; or %NULL with MMAP_ERROR_MESSAGE. The core checks the
 *     values. */
GVariant *gst_mmap_capabilities_from_caps (GstCaps * caps, GError ** error);

/* Whether @capabilities are among those that @accept allows: application/x-mmap, whose fields are values, ranges or lists. Numbers of all
 * types compare.
 * @accept: (nullable): anything
 * FALSE with the error of the field that clashes */
gboolean gst_mmap_capabilities_check (GstCaps * accept,
    GVariant * capabilities, GError ** error);

/* Returns: (transfer full): the fields of an offer as application/x-mmap caps. The token is not among them: it was used and wiped. */
GstCaps *gst_mmap_capabilities_summarise (const char *file, guint64 size,
    guint token_bytes, const char *media);

G_END_DECLS
