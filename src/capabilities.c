/* gst-mmap: what a side advertises in the handshake
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Writes capabilities as an a{sv} and reads those that another process sent,
 * believing nothing. Called by the producer's and the consumer's side of the
 * handshake; holds no state, so any thread may call it.
 */
#include "capabilities.h"
#include "error.h"
#include "protocol.h"

#include <string.h>

typedef enum
{
  KEY_PROTOCOL,
  KEY_SESSION,
  KEY_REGION_ID,
  KEY_FILE,
  KEY_SIZE,
  KEY_TOKEN,
  KEY_TOKEN_INDEX,
  KEY_TOKEN_BYTES,
  KEY_MAX_HELD,
  KEY_MEDIA,
  KEY_REGION_OFFSET,
  KEY_LINK_OFFSET,
  KEY_BOOT_ID,
  N_KEYS
} Key;

static const struct
{
  const char *name;
  const char *type;             /* as GVariant writes it */
  gboolean in_offer;            /* an offer must have it */
  gboolean in_answer;           /* an answer must have it */
} keys[N_KEYS] = {
  [KEY_PROTOCOL] = {"protocol", "u", TRUE, TRUE},
  [KEY_SESSION] = {"session", "t", TRUE, FALSE},
  [KEY_REGION_ID] = {"region-id", "u", TRUE, TRUE},
  [KEY_FILE] = {"file", "s", TRUE, FALSE},
  [KEY_SIZE] = {"size", "t", TRUE, FALSE},
  [KEY_TOKEN] = {"token", "s", TRUE, TRUE},
  [KEY_TOKEN_INDEX] = {"token-index", "t", TRUE, TRUE},
  [KEY_TOKEN_BYTES] = {"token-bytes", "u", TRUE, TRUE},
  [KEY_MAX_HELD] = {"max-held", "t", FALSE, FALSE},
  [KEY_MEDIA] = {"media", "s", FALSE, FALSE},
  [KEY_REGION_OFFSET] = {"region-offset", "t", FALSE, FALSE},
  [KEY_LINK_OFFSET] = {"link-offset", "t", FALSE, FALSE},
  [KEY_BOOT_ID] = {"boot-id", "t", FALSE, FALSE},
};

void
mmap_capabilities_init (MmapCapabilities * capabilities)
{
  memset (capabilities, 0, sizeof (*capabilities));
  capabilities->protocol = MMAP_PROTOCOL_VERSION;
}

void
mmap_capabilities_clear (MmapCapabilities * capabilities)
{
  g_clear_pointer (&capabilities->file, g_free);
  g_clear_pointer (&capabilities->media, g_free);
  mmap_token_wipe (&capabilities->token);
  memset (capabilities, 0, sizeof (*capabilities));
}

GVariant *
mmap_capabilities_to_variant (const MmapCapabilities * capabilities)
{
  GVariantBuilder builder;
  char *token = mmap_token_to_string (&capabilities->token);

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", keys[KEY_PROTOCOL].name,
      g_variant_new_uint32 (capabilities->protocol));
  g_variant_builder_add (&builder, "{sv}", keys[KEY_SESSION].name,
      g_variant_new_uint64 (capabilities->session));
  g_variant_builder_add (&builder, "{sv}", keys[KEY_REGION_ID].name,
      g_variant_new_uint32 (capabilities->region_id));
  if (capabilities->file != NULL)
    g_variant_builder_add (&builder, "{sv}", keys[KEY_FILE].name,
        g_variant_new_string (capabilities->file));
  if (capabilities->file != NULL || capabilities->size != 0)
    g_variant_builder_add (&builder, "{sv}", keys[KEY_SIZE].name,
        g_variant_new_uint64 (capabilities->size));
  g_variant_builder_add (&builder, "{sv}", keys[KEY_TOKEN].name,
      g_variant_new_string (token));
  g_variant_builder_add (&builder, "{sv}", keys[KEY_TOKEN_INDEX].name,
      g_variant_new_uint64 (capabilities->token_index));
  g_variant_builder_add (&builder, "{sv}", keys[KEY_TOKEN_BYTES].name,
      g_variant_new_uint32 (capabilities->token.n_bytes));
  g_variant_builder_add (&builder, "{sv}", keys[KEY_MAX_HELD].name,
      g_variant_new_uint64 (capabilities->max_held));
  if (capabilities->region_offset != 0)
    g_variant_builder_add (&builder, "{sv}", keys[KEY_REGION_OFFSET].name,
        g_variant_new_uint64 (capabilities->region_offset));
  if (capabilities->link_offset != 0)
    g_variant_builder_add (&builder, "{sv}", keys[KEY_LINK_OFFSET].name,
        g_variant_new_uint64 (capabilities->link_offset));
  if (capabilities->boot_id != 0)
    g_variant_builder_add (&builder, "{sv}", keys[KEY_BOOT_ID].name,
        g_variant_new_uint64 (capabilities->boot_id));
  if (capabilities->media != NULL)
    g_variant_builder_add (&builder, "{sv}", keys[KEY_MEDIA].name,
        g_variant_new_string (capabilities->media));

  explicit_bzero (token, strlen (token));
  g_free (token);
  return g_variant_builder_end (&builder);
}

/* A list from outside is searched by hand: g_variant_lookup() would take the
 * first of two equal keys in silence. */
static gboolean
collect_values (GVariant * variant, GVariant * values[N_KEYS], GError ** error)
{
  GVariantIter iter;
  const char *name;
  GVariant *value;

  g_variant_iter_init (&iter, variant);
  while (g_variant_iter_next (&iter, "{&sv}", &name, &value)) {
    guint key;

    for (key = 0; key < N_KEYS; key++) {
      if (g_str_equal (name, keys[key].name))
        break;
    }
    if (key == N_KEYS) {
      g_variant_unref (value);
      continue;
    }
    if (values[key] != NULL) {
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
          "Capabilities have the key %s twice, expected it once", name);
      g_variant_unref (value);
      return FALSE;
    }
    values[key] = value;
  }
  return TRUE;
}

/* It is shown to users, who may have a terminal. */
static gboolean
check_file (const char *file, GError ** error)
{
  const char *at = file;

  while (*at != '\0' && !g_unichar_iscntrl (g_utf8_get_char (at)))
    at = g_utf8_next_char (at);
  if (at > file && *at == '\0')
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "Capabilities have %s key file, expected a path or memfd",
      *file == '\0' ? "an empty" : "control characters in the");
  return FALSE;
}

/* The version comes first: the rest of another protocol may look different. */
static gboolean
check_keys (GVariant * values[N_KEYS], GError ** error)
{
  gboolean offer = values[KEY_FILE] != NULL;
  guint key;

  for (key = 0; key < N_KEYS; key++) {
    if (values[key] == NULL) {
      if (!(offer ? keys[key].in_offer : keys[key].in_answer))
        continue;
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
          "Capabilities lack the key %s, which %s must have", keys[key].name,
          offer ? "an offer" : "an answer");
      return FALSE;
    }
    if (!g_variant_is_of_type (values[key], G_VARIANT_TYPE (keys[key].type))) {
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
          "Capabilities have the key %s of type %.32s, expected type %s",
          keys[key].name, g_variant_get_type_string (values[key]),
          keys[key].type);
      return FALSE;
    }
    if (key == KEY_PROTOCOL
        && g_variant_get_uint32 (values[key]) != MMAP_PROTOCOL_VERSION) {
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_VERSION,
          "The other side speaks protocol version %u, this side version %u: "
          "install the same version of gst-mmap on both",
          g_variant_get_uint32 (values[key]), MMAP_PROTOCOL_VERSION);
      return FALSE;
    }
  }
  return !offer || check_file (g_variant_get_string (values[KEY_FILE], NULL),
      error);
}

static gboolean
read_size_and_token (MmapCapabilities * capabilities,
    GVariant * values[N_KEYS], GError ** error)
{
  guint64 limit = MMAP_REGION_MAX_BYTES;

  if (values[KEY_SIZE] != NULL) {
    capabilities->size = g_variant_get_uint64 (values[KEY_SIZE]);
    if (capabilities->size == 0 || capabilities->size > MMAP_REGION_MAX_BYTES) {
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE, "size is %"
          G_GUINT64_FORMAT ", expected 1 to %" G_GUINT64_FORMAT,
          capabilities->size, MMAP_REGION_MAX_BYTES);
      return FALSE;
    }
  }
  if (!mmap_token_init_string (&capabilities->token,
          g_variant_get_string (values[KEY_TOKEN], NULL),
          g_variant_get_uint32 (values[KEY_TOKEN_BYTES]), error))
    return FALSE;

  /* An answer's index counts from the link's start, whose size this object
   * doesn't know. */
  if (capabilities->file != NULL)
    limit = capabilities->size;
  capabilities->token_index = g_variant_get_uint64 (values[KEY_TOKEN_INDEX]);
  if (capabilities->token_index > limit
      || capabilities->token.n_bytes > limit - capabilities->token_index) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN_INDEX, "token_index is %"
        G_GUINT64_FORMAT ", expected that %u bytes of token from there end "
        "within %" G_GUINT64_FORMAT " bytes", capabilities->token_index,
        capabilities->token.n_bytes, limit);
    return FALSE;
  }
  return TRUE;
}

static gboolean
read_values (MmapCapabilities * capabilities, GVariant * values[N_KEYS],
    GError ** error)
{
  if (!check_keys (values, error))
    return FALSE;

  capabilities->protocol = g_variant_get_uint32 (values[KEY_PROTOCOL]);
  capabilities->region_id = g_variant_get_uint32 (values[KEY_REGION_ID]);
  if (values[KEY_SESSION] != NULL)
    capabilities->session = g_variant_get_uint64 (values[KEY_SESSION]);
  if (values[KEY_MAX_HELD] != NULL)
    capabilities->max_held = g_variant_get_uint64 (values[KEY_MAX_HELD]);
  if (values[KEY_REGION_OFFSET] != NULL)
    capabilities->region_offset =
        g_variant_get_uint64 (values[KEY_REGION_OFFSET]);
  if (values[KEY_LINK_OFFSET] != NULL)
    capabilities->link_offset = g_variant_get_uint64 (values[KEY_LINK_OFFSET]);
  if (values[KEY_BOOT_ID] != NULL)
    capabilities->boot_id = g_variant_get_uint64 (values[KEY_BOOT_ID]);
  if (values[KEY_FILE] != NULL)
    capabilities->file = g_variant_dup_string (values[KEY_FILE], NULL);
  if (values[KEY_MEDIA] != NULL)
    capabilities->media = g_variant_dup_string (values[KEY_MEDIA], NULL);
  return read_size_and_token (capabilities, values, error);
}

gboolean
mmap_capabilities_init_variant (MmapCapabilities * capabilities,
    GVariant * variant, GError ** error)
{
  GVariant *values[N_KEYS] = { NULL, };
  gboolean ok;
  guint key;

  mmap_capabilities_init (capabilities);
  if (!g_variant_is_of_type (variant, G_VARIANT_TYPE_VARDICT)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "Capabilities are of type %.32s, expected a{sv}",
        g_variant_get_type_string (variant));
    mmap_capabilities_clear (capabilities);
    return FALSE;
  }
  /* The size first: whether a variant is in normal form takes time to say. */
  if (g_variant_get_size (variant) > MMAP_CAPABILITIES_MAX_BYTES) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE, "Capabilities take %"
        G_GSIZE_FORMAT " bytes, expected at most %u",
        g_variant_get_size (variant), MMAP_CAPABILITIES_MAX_BYTES);
    mmap_capabilities_clear (capabilities);
    return FALSE;
  }
  /* From here on strings are valid UTF-8, and every value is as it was sent
   * rather than a default that GVariant puts in place of garbage. */
  if (!g_variant_is_normal_form (variant)) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "Capabilities can't be parsed, expected a GVariant in normal form");
    mmap_capabilities_clear (capabilities);
    return FALSE;
  }
  ok = collect_values (variant, values, error)
      && read_values (capabilities, values, error);
  for (key = 0; key < N_KEYS; key++)
    g_clear_pointer (&values[key], g_variant_unref);
  if (!ok)
    mmap_capabilities_clear (capabilities);
  return ok;
}
