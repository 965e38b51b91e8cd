/* gst-mmap: what a side advertises in the handshake
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "token.h"

G_BEGIN_DECLS

#define MMAP_CAPABILITIES_MAX_BYTES 65536       /* serialised; chosen: caps strings are a few KiB */

/**
 * MmapCapabilities:
 * @protocol: protocol version
 * @session: of the producer; 0 in an answer that doesn't know it
 * @region_id: the region that is offered or answered
 * @file: (nullable): path of the region; %NULL in an answer, "memfd" if the region comes as a descriptor
 * @size: bytes of the region
 * @token: the token and @token.n_bytes (`token_bytes`)
 * @token_index: where the token lies: bytes from the region's start in an offer, from the link's start in an answer
 * @region_offset: in an offer of a window of an area: where it begins, bytes from the area's start; else 0
 * @link_offset: the same of the link
 * @boot_id: in an offer through TCP or vsock: of the kernel, if the consumer has said the same; else 0
 * @max_held: limit: bytes of frames that the consumer may hold at once before it should copy; 0 in an answer: no wish
 * @media: (nullable): media caps, opaque to this library
 *
 * The capabilities of one side: an offer or an answer.
 */
typedef struct
{
  guint32 protocol;
  guint64 session;
  guint32 region_id;
  char *file;
  guint64 size;
  MmapToken token;
  guint64 token_index;
  guint64 region_offset;
  guint64 link_offset;
  guint64 boot_id;
  guint64 max_held;
  char *media;
} MmapCapabilities;

void mmap_capabilities_init (MmapCapabilities * capabilities);

/* Wipes the token, frees the strings. */
void mmap_capabilities_clear (MmapCapabilities * capabilities);

/* Returns: (transfer floating): a variant a{sv} with the keys protocol u, session t, region-id u, file s, size t,
 * token s (0x...), token-index t, token-bytes u, max-held t, media s; region-offset t,
 * link-offset t and boot-id t if they are not 0 */
GVariant *mmap_capabilities_to_variant (const MmapCapabilities * capabilities);

/* Reads an a{sv} that another process sent: types, ranges, duplicate and missing keys are checked, unknown keys ignored.
 * On failure @capabilities is cleared; FALSE with MMAP_ERROR_VERSION, MMAP_ERROR_SIZE (0 or above 1 TiB),
 * MMAP_ERROR_TOKEN_BYTES, MMAP_ERROR_TOKEN, MMAP_ERROR_TOKEN_INDEX (token past the end of `size` in an offer) or
 * MMAP_ERROR_MESSAGE (which key, what was expected). */
gboolean mmap_capabilities_init_variant (MmapCapabilities * capabilities,
    GVariant * variant, GError ** error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (MmapCapabilities, mmap_capabilities_clear)
G_END_DECLS
