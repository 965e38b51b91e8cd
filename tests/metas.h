/* gst-mmap: one meta of each kind, for tests
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Adds to a buffer that has a picture of 64x48, or 1024 bytes of planar audio; checks that a buffer has what was added. */
typedef struct
{
  const char *name;
  const char *caps;
  void (*add) (GstBuffer * buffer);
  void (*check) (GstBuffer * buffer);
} MetaCase;

extern const MetaCase meta_cases[];
extern const guint n_meta_cases;

#define META_VIDEO_CAPS "video/x-raw, format=GRAY8, width=64, height=48, framerate=30/1"
#define META_AUDIO_CAPS "audio/x-raw, format=S16LE, rate=48000, channels=2, channel-mask=(bitmask)0x3, layout=non-interleaved"

/* Returns: (transfer full): a buffer that fits meta_cases[i].caps */
GstBuffer *meta_case_buffer (const MetaCase * meta);

/* A structure with a value of each type that crosses. */
GstStructure *meta_structure (const char *name);

/* Adds a custom meta that this process registers, if need be, with @structure's fields. @structure: (transfer full) */
void meta_add_custom (GstBuffer * buffer, const char *name,
    GstStructure * structure);

/* Returns: (transfer none): NULL if there is none */
GstStructure *meta_get_custom (GstBuffer * buffer, const char *name);

/* TRUE if it has a meta besides GstVideoMeta. */
gboolean meta_has_any (GstBuffer * buffer);

G_END_DECLS
