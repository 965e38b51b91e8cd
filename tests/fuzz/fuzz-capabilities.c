/* gst-mmap: fuzz target: capabilities, an a{sv} of another process
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is accepted must be within its limits, and the same when it is written and read again.
 */
#include "fuzz-core.h"

#include <string.h>

void
fuzz_start (void)
{
}

static void
check_sound (const MmapCapabilities * c)
{
  guint64 limit = c->file ? c->size : MMAP_REGION_MAX_BYTES;

  fuzz_assert (c->protocol == MMAP_PROTOCOL_VERSION);
  fuzz_assert (c->token.n_bytes >= MMAP_TOKEN_MIN_BYTES);
  fuzz_assert (c->token.n_bytes <= MMAP_TOKEN_MAX_BYTES);
  fuzz_assert (c->size <= MMAP_REGION_MAX_BYTES);
  fuzz_assert (!c->file || (c->size > 0 && c->file[0] != '\0'));
  fuzz_assert (c->token_index <= limit
      && c->token.n_bytes <= limit - c->token_index);
  fuzz_assert (!c->file || g_utf8_validate (c->file, -1, NULL));
  fuzz_assert (!c->media || g_utf8_validate (c->media, -1, NULL));
}

static void
check_same (const MmapCapabilities * a, const MmapCapabilities * b)
{
  fuzz_assert (a->session == b->session && a->region_id == b->region_id
      && a->size == b->size && a->token_index == b->token_index
      && a->max_held == b->max_held);
  fuzz_assert (a->token.n_bytes == b->token.n_bytes
      && memcmp (a->token.bytes, b->token.bytes, a->token.n_bytes) == 0);
  fuzz_assert (g_strcmp0 (a->file, b->file) == 0);
  fuzz_assert (g_strcmp0 (a->media, b->media) == 0);
}

static void
try (GVariant * variant)
{
  g_auto (MmapCapabilities) read = { 0 }, again = { 0 };
  g_autoptr (GVariant) written = NULL;
  g_autoptr (GError) error = NULL;

  if (!mmap_capabilities_init_variant (&read, variant, &error)) {
    fuzz_assert (error && error->message[0]);
    return;
  }
  fuzz_assert (!error);
  check_sound (&read);
  written = g_variant_ref_sink (mmap_capabilities_to_variant (&read));
  /* What may be left out is written. */
  if (g_variant_get_size (written) > MMAP_CAPABILITIES_MAX_BYTES)
    return;
  fuzz_assert (mmap_capabilities_init_variant (&again, written, NULL));
  check_same (&read, &again);
}

static GVariant *
make_good (FuzzInput * input)
{
  g_auto (MmapCapabilities) good = { 0 };
  guint8 bytes = 16 + fuzz_below (input, 128);

  mmap_capabilities_init (&good);
  memset (good.token.bytes, fuzz_byte (input), bytes);
  good.token.n_bytes = bytes;
  good.region_id = 1;
  good.size = 65536;
  good.token_index = fuzz_number (input);
  if (fuzz_one_in (input, 2))
    good.file = g_strdup ("memfd");
  if (fuzz_one_in (input, 2))
    good.media = g_strdup ("video/x-raw");
  return g_variant_ref_sink (mmap_capabilities_to_variant (&good));
}

void
fuzz_run (FuzzInput * input)
{
  g_autoptr (GVariant) variant = NULL;
  g_autoptr (GByteArray) bytes = NULL;
  GVariant *dict;

  switch (fuzz_below (input, 4)) {
    case 0:
      dict = fuzz_body (input);
      break;
    case 1:
      bytes = g_byte_array_new ();
      g_byte_array_append (bytes, input->data, input->size);
      variant = fuzz_reparse (bytes, "a{sv}");
      try (variant);
      return;
    default:
      dict = fuzz_edit_dict (input, make_good (input), fuzz_message_keys,
          &fuzz_message_words);
      break;
  }
  bytes = fuzz_serialise (input, dict);
  variant = fuzz_reparse (bytes, "a{sv}");
  try (variant);
}
