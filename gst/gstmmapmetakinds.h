/* gst-mmap: the metas that cross, each as a value
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Insides of gstmmapmeta.c. docs/protocol.md has the same names and types.
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * GstMmapMetaKind:
 * @name: on the wire; GStreamer's own
 * @type: of the value, as GVariant has it
 * @get_api: its GType
 * @describe: Returns: (transfer floating) (nullable): %NULL if it has something that means nothing in another process
 * @restore: adds it to the buffer, whose memory, flags and GstVideoMeta are there. @value: of a peer's, of @type. @caps: (nullable): of
 *     the buffer. FALSE if its values make no sense, or none for this buffer: then it is left out.
 */
typedef struct
{
  const char *name;
  const char *type;
  GType (*get_api) (void);
  GVariant *(*describe) (GstMeta * meta);
  gboolean (*restore) (GVariant * value, GstBuffer * buffer, GstCaps * caps);
} GstMmapMetaKind;

/* Each ends with one without a name. */
extern const GstMmapMetaKind gst_mmap_core_metas[];
extern const GstMmapMetaKind gst_mmap_video_metas[];
extern const GstMmapMetaKind gst_mmap_audio_metas[];

/* Any that gst_meta_register_custom() made. */
extern const GstMmapMetaKind gst_mmap_custom_meta;

G_END_DECLS
