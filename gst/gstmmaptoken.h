/* gst-mmap: what an element was told of its access token
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "secret.h"

#include <glib-object.h>

G_BEGIN_DECLS

/**
 * GstMmapToken:
 *
 * The values of the properties access-token and access-token-file: of the former not the token, but the key that was made of it, or why it
 * is no token. Zeros at first; whoever has it locks it.
 */
typedef struct
{
  MmapSecret *secret;           /* nullable */
  GError *error;                /* nullable */
  gchar *file;                  /* nullable */
} GstMmapToken;

/* @text: (nullable): %NULL: none */
void gst_mmap_token_set (GstMmapToken * token, const char *text);

/* @path: (nullable): %NULL: none. Read when the element starts. */
void gst_mmap_token_set_file (GstMmapToken * token, const char *path);

/* What the element is to prove: access-token, else what is in access-token-file, else in the environment.
 * @carried: the application speaks the handshake: then there must be no property
 * @secret: (out) (transfer full): %NULL: nothing
 * FALSE with MMAP_ERROR_SETTING or MMAP_ERROR_NO_SPACE. */
gboolean gst_mmap_token_load (const GstMmapToken * token, gboolean carried,
    MmapSecret ** secret, GError ** error);

void gst_mmap_token_clear (GstMmapToken * token);

/* Returns: (transfer floating): the property access-token, which can't be read */
GParamSpec *gst_mmap_token_spec_new (GParamFlags flags);

/* Returns: (transfer floating): the property access-token-file */
GParamSpec *gst_mmap_token_file_spec_new (GParamFlags flags);

G_END_DECLS
