/* gst-mmap: random tokens that prove that two processes see the same memory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define MMAP_TOKEN_MIN_BYTES 16         /* 128 bits: can't be guessed */
#define MMAP_TOKEN_MAX_BYTES 1024       /* fits the token area of a link, at any index */
#define MMAP_TOKEN_DEFAULT_BYTES 128    /* xpra's DEFAULT_TOKEN_BYTES */

/**
 * MmapToken:
 * @n_bytes: 16 to 1024
 * @bytes: the token as a number, least significant byte first, zero-padded to @n_bytes:
 *     the bytes that xpra's write_mmap_token() stores
 */
typedef struct
{
  guint n_bytes;
  guint8 bytes[MMAP_TOKEN_MAX_BYTES];
} MmapToken;

/* Draws a token of @n_bytes bytes from getrandom(2). FALSE with MMAP_ERROR_TOKEN_BYTES if @n_bytes is not in
 * 16 to 1024, or MMAP_ERROR_FAILED if the system has no random bytes. */
gboolean mmap_token_init_random (MmapToken * token, guint n_bytes,
    GError ** error);

/* Fills @bytes from getrandom(2). FALSE with MMAP_ERROR_FAILED if the system has no random bytes. */
gboolean mmap_random_fill (guint8 * bytes, gsize n_bytes, GError ** error);

/* Copies the token to @memory, which has room for its n_bytes. */
void mmap_token_write (const MmapToken * token, guint8 * memory);

/* TRUE if the n_bytes bytes at @memory are the token's. The time it takes depends on n_bytes alone. */
gboolean mmap_token_check (const MmapToken * token, const guint8 * memory);

/* Returns: (transfer full): "0x" and hexadecimal digits, most significant first, no leading zeros: what
 * Python's hex() gives for the number. The caller wipes it if it is still in use. */
char *mmap_token_to_string (const MmapToken * token);

/* Parses what mmap_token_to_string() writes: "0x" and 1 to 2 * @n_bytes hexadecimal digits of either case.
 * FALSE with MMAP_ERROR_TOKEN_BYTES if @n_bytes is not in 16 to 1024 or MMAP_ERROR_TOKEN if @string is malformed
 * or needs more than @n_bytes bytes. */
gboolean mmap_token_init_string (MmapToken * token, const char *string,
    guint n_bytes, GError ** error);

/* Overwrites the token in a way that the compiler keeps. */
void mmap_token_wipe (MmapToken * token);

/* Returns: a number in [0, @limit), drawn uniformly from getrandom(2); @limit is at least 1. For what only comes after a token or
 * an id: it ends the process if the system has no random bytes. */
guint64 mmap_random_below (guint64 limit);

/* Draws a number for whatever is to be told from all others of its kind.
 * @id: (out): not 0
 * Returns: FALSE with MMAP_ERROR_FAILED if the system has no random bytes */
gboolean mmap_random_id (guint64 * id, GError ** error);

G_END_DECLS
