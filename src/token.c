/* gst-mmap: random tokens that prove that two processes see the same memory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Draws, stores, compares and prints tokens. Called by both sides of the
 * handshake and by the tool; holds no state, so any thread may call it.
 */
#include "token.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Where getrandom(2) is forbidden. */
static gboolean
read_random (guint8 * bytes, gsize n_bytes)
{
  int fd = open ("/dev/urandom", O_RDONLY | O_CLOEXEC);
  gsize done = 0;
  gssize n = 1;

  if (fd < 0)
    return FALSE;
  while (done < n_bytes && (n > 0 || (n < 0 && errno == EINTR))) {
    n = read (fd, bytes + done, n_bytes - done);
    done += MAX (n, 0);
  }
  close (fd);
  return done == n_bytes;
}

static gboolean
fill_random (guint8 * bytes, gsize n_bytes)
{
  gsize done = 0;

  /* getrandom(2) may be interrupted, and gives at most 256 bytes in one piece
   * when it is. */
  while (done < n_bytes) {
    gssize n = getrandom (bytes + done, n_bytes - done, 0);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return read_random (bytes + done, n_bytes - done);
    done += n;
  }
  return TRUE;
}

/* Not randombytes_buf(), which ends the process if the system has none. */
gboolean
mmap_random_fill (guint8 * bytes, gsize n_bytes, GError ** error)
{
  if (fill_random (bytes, n_bytes))
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_FAILED,
      "The system has no random bytes: %s", g_strerror (errno));
  return FALSE;
}

static gboolean
check_n_bytes (guint n_bytes, GError ** error)
{
  if (n_bytes >= MMAP_TOKEN_MIN_BYTES && n_bytes <= MMAP_TOKEN_MAX_BYTES)
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN_BYTES,
      "token_bytes is %u, expected %u to %u", n_bytes, MMAP_TOKEN_MIN_BYTES,
      MMAP_TOKEN_MAX_BYTES);
  return FALSE;
}

gboolean
mmap_token_init_random (MmapToken * token, guint n_bytes, GError ** error)
{
  memset (token, 0, sizeof (*token));
  if (!check_n_bytes (n_bytes, error))
    return FALSE;
  if (!mmap_random_fill (token->bytes, n_bytes, error)) {
    mmap_token_wipe (token);
    return FALSE;
  }
  token->n_bytes = n_bytes;
  return TRUE;
}

void
mmap_token_write (const MmapToken * token, guint8 * memory)
{
  memcpy (memory, token->bytes, token->n_bytes);
}

gboolean
mmap_token_check (const MmapToken * token, const guint8 * memory)
{
  return token->n_bytes > 0
      && sodium_memcmp (token->bytes, memory, token->n_bytes) == 0;
}

char *
mmap_token_to_string (const MmapToken * token)
{
  static const char digits[] = "0123456789abcdef";
  guint n_digits = 2 * token->n_bytes;
  char *string, *p;

  /* Skips leading zeros, but the number 0 keeps one digit. */
  while (n_digits > 1) {
    guint8 byte = token->bytes[(n_digits - 1) / 2];

    if ((n_digits % 2 == 0 ? byte >> 4 : byte & 15) != 0)
      break;
    n_digits--;
  }
  p = string = g_malloc (2 + MAX (n_digits, 1) + 1);
  *p++ = '0';
  *p++ = 'x';
  if (n_digits == 0)
    *p++ = '0';
  for (; n_digits > 0; n_digits--) {
    guint8 byte = token->bytes[(n_digits - 1) / 2];

    *p++ = digits[n_digits % 2 == 0 ? byte >> 4 : byte & 15];
  }
  *p = '\0';
  return string;
}

gboolean
mmap_token_init_string (MmapToken * token, const char *string,
    guint n_bytes, GError ** error)
{
  gsize n_digits, i;

  memset (token, 0, sizeof (*token));
  if (!check_n_bytes (n_bytes, error))
    return FALSE;
  if (string == NULL || !g_str_has_prefix (string, "0x")
      || string[2] == '\0') {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_TOKEN,
        "token is malformed, expected 0x and hexadecimal digits");
    return FALSE;
  }
  string += 2;
  n_digits = strlen (string);
  if (n_digits > 2 * (gsize) n_bytes) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN,
        "token has %" G_GSIZE_FORMAT " digits, expected at most %u, as "
        "token_bytes is %u", n_digits, 2 * n_bytes, n_bytes);
    return FALSE;
  }
  for (i = 0; i < n_digits; i++) {
    gint digit = g_ascii_xdigit_value (string[n_digits - 1 - i]);

    if (digit < 0) {
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN,
          "token is malformed, expected 0x and hexadecimal digits only: digit "
          "%" G_GSIZE_FORMAT " is none", n_digits - i);
      mmap_token_wipe (token);
      return FALSE;
    }
    token->bytes[i / 2] |= digit << (4 * (i % 2));
  }
  token->n_bytes = n_bytes;
  return TRUE;
}

void
mmap_token_wipe (MmapToken * token)
{
  sodium_memzero (token, sizeof (*token));
}

gboolean
mmap_random_id (guint64 * id, GError ** error)
{
  *id = 0;
  while (*id == 0)
    if (!mmap_random_fill ((guint8 *) id, sizeof *id, error))
      return FALSE;
  return TRUE;
}

guint64
mmap_random_below (guint64 limit)
{
  g_autoptr (GError) error = NULL;
  guint64 number, reject_below;

  g_return_val_if_fail (limit > 0, 0);

  /* 2^64 modulo limit: numbers below it are drawn again, so that each result
   * is equally likely. */
  reject_below = -limit % limit;
  do {
    if (!mmap_random_fill ((guint8 *) & number, sizeof (number), &error))
      g_error ("%s", error->message);
  } while (number < reject_below);
  return number % limit;
}
