/* gst-mmap: tests of the capabilities
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Random cases print the seed that `--seed` repeats.
 */
#include "capabilities.h"
#include "error.h"
#include "leak-check.h"
#include "protocol.h"

#include <string.h>

#define TOKEN "0x102030405060708090a0b0c0d0e0f10"

static const char offer_text[] =
    "{'protocol': <uint32 1>, 'session': <uint64 7>, 'region-id': <uint32 1>, "
    "'file': <'/dev/shm/cam0'>, 'size': <uint64 65536>, 'token': <'" TOKEN
    "'>, " "'token-index': <uint64 8200>, 'token-bytes': <uint32 16>, "
    "'max-held': <uint64 4>, 'media': <'video/x-raw'>}";
static const char answer_text[] =
    "{'protocol': <uint32 1>, 'region-id': <uint32 1>, 'token': <'" TOKEN "'>, "
    "'token-index': <uint64 100>, 'token-bytes': <uint32 16>}";

/* @text with each @from in it replaced by @to, as a variant. */
static GVariant *
parse (const char *text, const char *from, const char *to)
{
  GVariant *variant;
  GError *error = NULL;
  GString *string = g_string_new (text);

  if (from != NULL)
    g_assert_cmpuint (g_string_replace (string, from, to, 0), ==, 1);
  variant = g_variant_parse (G_VARIANT_TYPE_VARDICT, string->str, NULL, NULL,
      &error);
  g_assert_no_error (error);
  g_string_free (string, TRUE);
  return variant;
}

static void
assert_clear (const MmapCapabilities * capabilities)
{
  guint i;

  for (i = 0; i < sizeof (*capabilities); i++)
    g_assert_cmpuint (((const guint8 *) capabilities)[i], ==, 0);
}

/* The variant is refused with @code, for a reason that contains @reason. */
static void
refuse (GVariant * variant, MmapError code, const char *reason)
{
  MmapCapabilities capabilities;
  GError *error = NULL;

  memset (&capabilities, 0x55, sizeof (capabilities));
  g_assert_false (mmap_capabilities_init_variant (&capabilities, variant,
          &error));
  g_assert_error (error, MMAP_ERROR, (gint) code);
  if (strstr (error->message, reason) == NULL)
    g_error ("\"%s\" doesn't say \"%s\"", error->message, reason);
  g_error_free (error);
  assert_clear (&capabilities);
  /* Also where nobody wants to know why. */
  g_assert_false (mmap_capabilities_init_variant (&capabilities, variant,
          NULL));
  g_variant_unref (variant);
}

static void
accept (GVariant * variant, MmapCapabilities * capabilities)
{
  GError *error = NULL;

  mmap_capabilities_init_variant (capabilities, variant, &error);
  g_assert_no_error (error);
  g_variant_unref (variant);
}

static void
test_offer (void)
{
  MmapCapabilities one, two;
  GVariant *variant;

  accept (parse (offer_text, NULL, NULL), &one);
  g_assert_cmpuint (one.protocol, ==, 1);
  g_assert_cmpuint (one.session, ==, 7);
  g_assert_cmpuint (one.region_id, ==, 1);
  g_assert_cmpstr (one.file, ==, "/dev/shm/cam0");
  g_assert_cmpuint (one.size, ==, 65536);
  g_assert_cmpuint (one.token.n_bytes, ==, 16);
  g_assert_cmpuint (one.token.bytes[0], ==, 0x10);
  g_assert_cmpuint (one.token.bytes[15], ==, 0x01);
  g_assert_cmpuint (one.token_index, ==, 8200);
  g_assert_cmpuint (one.max_held, ==, 4);
  g_assert_cmpstr (one.media, ==, "video/x-raw");
  g_assert_cmpuint (one.boot_id, ==, 0);

  variant = g_variant_ref_sink (mmap_capabilities_to_variant (&one));
  g_assert_true (g_variant_is_of_type (variant, G_VARIANT_TYPE_VARDICT));
  accept (variant, &two);
  g_assert_cmpstr (two.file, ==, one.file);
  g_assert_cmpstr (two.media, ==, one.media);
  g_assert_cmpmem (&two.token, sizeof (two.token), &one.token,
      sizeof (one.token));
  g_assert_cmpuint (two.session, ==, one.session);
  g_assert_cmpuint (two.region_id, ==, one.region_id);
  g_assert_cmpuint (two.size, ==, one.size);
  g_assert_cmpuint (two.token_index, ==, one.token_index);
  g_assert_cmpuint (two.max_held, ==, one.max_held);

  mmap_capabilities_clear (&one);
  assert_clear (&one);
  mmap_capabilities_clear (&two);
}

/* Of an offer of memory in an area. */
static void
test_in_area (void)
{
  MmapCapabilities one, two;

  accept (parse (offer_text, "'media'", "'region-offset': <uint64 65536>, "
          "'link-offset': <uint64 131072>, 'boot-id': <uint64 0x123456789>, "
          "'media'"), &one);
  accept (g_variant_ref_sink (mmap_capabilities_to_variant (&one)), &two);
  g_assert_cmpuint (two.region_offset, ==, 65536);
  g_assert_cmpuint (two.link_offset, ==, 131072);
  g_assert_cmpuint (two.boot_id, ==, G_GUINT64_CONSTANT (0x123456789));
  mmap_capabilities_clear (&one);
  mmap_capabilities_clear (&two);
}

static void
test_answer (void)
{
  MmapCapabilities one, two;

  accept (parse (answer_text, NULL, NULL), &one);
  g_assert_cmpuint (one.session, ==, 0);
  g_assert_null (one.file);
  g_assert_cmpuint (one.size, ==, 0);
  g_assert_null (one.media);
  g_assert_cmpuint (one.max_held, ==, 0);
  g_assert_cmpuint (one.token_index, ==, 100);
  accept (g_variant_ref_sink (mmap_capabilities_to_variant (&one)), &two);
  g_assert_null (two.file);
  g_assert_cmpuint (two.size, ==, 0);
  mmap_capabilities_clear (&one);
  mmap_capabilities_clear (&two);
}

static void
test_init (void)
{
  MmapCapabilities capabilities;

  memset (&capabilities, 0x55, sizeof (capabilities));
  mmap_capabilities_init (&capabilities);
  g_assert_cmpuint (capabilities.protocol, ==, MMAP_PROTOCOL_VERSION);
  capabilities.protocol = 0;
  assert_clear (&capabilities);
}

static void
test_missing_keys (void)
{
  static const struct
  {
    const char *name;
    gboolean in_offer, in_answer;
  } keys[] = {
    {"protocol", TRUE, TRUE},
    {"session", TRUE, FALSE},
    {"region-id", TRUE, TRUE},
    {"size", TRUE, FALSE},
    {"token", TRUE, TRUE},
    {"token-index", TRUE, TRUE},
    {"token-bytes", TRUE, TRUE},
    {"max-held", FALSE, FALSE},
    {"media", FALSE, FALSE},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (keys); i++) {
    char *from = g_strdup_printf ("'%s'", keys[i].name);

    /* Under another name it isn't there. */
    if (keys[i].in_offer) {
      refuse (parse (offer_text, from, "'x'"), MMAP_ERROR_MESSAGE,
          keys[i].name);
    } else {
      MmapCapabilities capabilities;

      accept (parse (offer_text, from, "'x'"), &capabilities);
      mmap_capabilities_clear (&capabilities);
    }
    if (keys[i].in_answer)
      refuse (parse (answer_text, from, "'x'"), MMAP_ERROR_MESSAGE,
          keys[i].name);
    g_free (from);
  }
  refuse (parse ("{}", NULL, NULL), MMAP_ERROR_MESSAGE, "protocol");
}

static void
test_types (void)
{
  static const struct
  {
    const char *from, *to, *name;
  } bad[] = {
    {"<uint32 1>, 'session'", "<1>, 'session'", "protocol"},
    {"<uint32 1>, 'session'", "<'1'>, 'session'", "protocol"},
    {"<uint64 7>", "<uint32 7>", "session"},
    {"<uint32 1>, 'file'", "<uint64 1>, 'file'", "region-id"},
    {"<'/dev/shm/cam0'>", "<uint32 1>", "file"},
    {"<'/dev/shm/cam0'>", "<b'/dev/shm/cam0'>", "file"},
    {"<'/dev/shm/cam0'>", "<<'/dev/shm/cam0'>>", "file"},
    {"<uint64 65536>", "<int64 65536>", "size"},
    {"<'" TOKEN "'>", "<uint64 1>", "token"},
    {"<uint64 8200>", "<'8200'>", "token-index"},
    {"<uint32 16>", "<-1>", "token-bytes"},
    {"<uint64 4>", "<4.0>", "max-held"},
    {"<'video/x-raw'>", "<['video/x-raw']>", "media"},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bad); i++)
    refuse (parse (offer_text, bad[i].from, bad[i].to), MMAP_ERROR_MESSAGE,
        bad[i].name);
  refuse (g_variant_ref_sink (g_variant_new_string ("offer")),
      MMAP_ERROR_MESSAGE, "a{sv}");
  refuse (g_variant_ref_sink (g_variant_new_parsed ("{'protocol': uint32 1}")),
      MMAP_ERROR_MESSAGE, "a{sv}");
}

static void
test_values (void)
{
  static const struct
  {
    const char *from, *to;
    MmapError code;
    const char *reason;
  } bad[] = {
    {"<uint32 1>, 's", "<uint32 0>, 's", MMAP_ERROR_VERSION, "version 0"},
    {"<uint32 1>, 's", "<uint32 2>, 's", MMAP_ERROR_VERSION,
        "version 2, this side version 1"},
    {"/dev/shm/cam0", "", MMAP_ERROR_MESSAGE, "file"},
    {"cam0", "\\u001b[31m", MMAP_ERROR_MESSAGE, "control characters"},
    {"cam0", "\\u009b31m", MMAP_ERROR_MESSAGE, "control characters"},
    {"65536", "0", MMAP_ERROR_SIZE, "size is 0"},
    {"65536", "1099511627777", MMAP_ERROR_SIZE, "1099511627776"},
    {"65536", "18446744073709551615", MMAP_ERROR_SIZE, "size"},
    {"65536", "8215", MMAP_ERROR_TOKEN_INDEX, "8200"},
    {"65536", "15", MMAP_ERROR_TOKEN_INDEX, "token_index"},
    {"8200", "65521", MMAP_ERROR_TOKEN_INDEX, "65521"},
    {"8200", "18446744073709551615", MMAP_ERROR_TOKEN_INDEX, "token_index"},
    {"8200", "18446744073709551600", MMAP_ERROR_TOKEN_INDEX, "token_index"},
    {"<uint32 16>", "<uint32 0>", MMAP_ERROR_TOKEN_BYTES, "token_bytes is 0"},
    {"<uint32 16>", "<uint32 15>", MMAP_ERROR_TOKEN_BYTES, "15"},
    {"<uint32 16>", "<uint32 1025>", MMAP_ERROR_TOKEN_BYTES, "1025"},
    {"<uint32 16>", "<uint32 4294967295>", MMAP_ERROR_TOKEN_BYTES,
        "token_bytes"},
    {TOKEN, "", MMAP_ERROR_TOKEN, "token"},
    {TOKEN, "0x", MMAP_ERROR_TOKEN, "token"},
    {TOKEN, "12", MMAP_ERROR_TOKEN, "token"},
    {TOKEN, "0x1g", MMAP_ERROR_TOKEN, "token"},
    {TOKEN, "0x111111111111111111111111111111111", MMAP_ERROR_TOKEN,
        "33 digits"},
  };
  MmapCapabilities capabilities;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bad); i++)
    refuse (parse (offer_text, bad[i].from, bad[i].to), bad[i].code,
        bad[i].reason);
  /* The last ones that are right. */
  accept (parse (offer_text, "8200", "65520"), &capabilities);
  mmap_capabilities_clear (&capabilities);
  accept (parse (offer_text, "65536", "1099511627776"), &capabilities);
  mmap_capabilities_clear (&capabilities);
  accept (parse (offer_text, "65536", "8216"), &capabilities);
  mmap_capabilities_clear (&capabilities);
  accept (parse (offer_text, "<uint32 16>", "<uint32 1024>"), &capabilities);
  mmap_capabilities_clear (&capabilities);

  /* In an answer, too, as far as it can be known. */
  refuse (parse (answer_text, "100", "18446744073709551600"),
      MMAP_ERROR_TOKEN_INDEX, "token_index");
  refuse (parse (answer_text, "'protocol'", "'size': <uint64 0>, 'protocol'"),
      MMAP_ERROR_SIZE, "size");
}

/* Another version is named even if nothing else is as expected. */
static void
test_version_first (void)
{
  refuse (parse ("{'protocol': <uint32 3>, 'file': <4>}", NULL, NULL),
      MMAP_ERROR_VERSION, "version 3");
}

static void
test_duplicate_and_unknown (void)
{
  MmapCapabilities capabilities;

  refuse (parse (offer_text, "'session'",
          "'size': <uint64 65536>, 'session'"), MMAP_ERROR_MESSAGE, "twice");
  refuse (parse (offer_text, "'session'", "'media': <5>, 'session'"),
      MMAP_ERROR_MESSAGE, "media");
  accept (parse (offer_text, "'session'", "'later': <5>, 'later': <'x'>, "
          "'Size': <@av []>, 'session'"), &capabilities);
  g_assert_cmpuint (capabilities.size, ==, 65536);
  mmap_capabilities_clear (&capabilities);
}

static GVariant *
from_bytes (const guint8 * data, gsize size)
{
  GBytes *bytes = g_bytes_new (data, size);
  GVariant *variant = g_variant_ref_sink (g_variant_new_from_bytes
      (G_VARIANT_TYPE_VARDICT, bytes, FALSE));

  g_bytes_unref (bytes);
  return variant;
}

static void
test_not_normal (void)
{
  GVariant *variant = parse (offer_text, NULL, NULL);
  gsize size = g_variant_get_size (variant);
  guint8 *data = g_memdup2 (g_variant_get_data (variant), size);
  guint8 *path = memmem (data, size, "/dev", 4);

  refuse (from_bytes (data, size - 1), MMAP_ERROR_MESSAGE, "normal form");
  refuse (from_bytes (data, 1), MMAP_ERROR_MESSAGE, "normal form");
  /* No UTF-8 */
  g_assert_nonnull (path);
  *path = 0xff;
  refuse (from_bytes (data, size), MMAP_ERROR_MESSAGE, "normal form");
  /* A string with a zero in it */
  *path = 0;
  refuse (from_bytes (data, size), MMAP_ERROR_MESSAGE, "normal form");
  g_free (data);
  g_variant_unref (variant);
}

static void
test_too_large (void)
{
  char *media = g_strnfill (MMAP_CAPABILITIES_MAX_BYTES, 'x');
  char *some = g_strnfill (MMAP_CAPABILITIES_MAX_BYTES - 1024, 'x');
  MmapCapabilities capabilities;

  refuse (parse (offer_text, "video/x-raw", media), MMAP_ERROR_MESSAGE,
      "65536");
  accept (parse (offer_text, "video/x-raw", some), &capabilities);
  g_assert_cmpstr (capabilities.media, ==, some);
  mmap_capabilities_clear (&capabilities);
  g_free (media);
  g_free (some);
}

/* Whatever is accepted is right in all its parts. */
static void
check_accepted (const MmapCapabilities * c)
{
  g_assert_cmpuint (c->protocol, ==, MMAP_PROTOCOL_VERSION);
  g_assert_cmpuint (c->token.n_bytes, >=, MMAP_TOKEN_MIN_BYTES);
  g_assert_cmpuint (c->token.n_bytes, <=, MMAP_TOKEN_MAX_BYTES);
  g_assert_cmpuint (c->size, <=, MMAP_REGION_MAX_BYTES);
  if (c->media != NULL)
    g_assert_true (g_utf8_validate (c->media, -1, NULL));
  if (c->file != NULL) {
    g_assert_true (g_utf8_validate (c->file, -1, NULL));
    g_assert_cmpuint (c->token_index, <, c->size);
    g_assert_cmpuint (c->token_index + c->token.n_bytes, <=, c->size);
  }
}

static void
test_random (void)
{
  GVariant *original = parse (offer_text, NULL, NULL);
  gsize size = g_variant_get_size (original);
  guint8 *data = g_malloc (size);
  guint accepted = 0, refused = 0, step;

  for (step = 0; step < 100000; step++) {
    MmapCapabilities capabilities;
    GVariant *variant;
    GError *error = NULL;
    gint changes = g_test_rand_int_range (1, 6);

    memcpy (data, g_variant_get_data (original), size);
    while (changes-- > 0)
      data[g_test_rand_int_range (0, size)] =
          g_test_rand_bit ()? g_test_rand_int () : g_test_rand_int_range (0, 3);
    variant = from_bytes (data, step % 4 ? size
        : (gsize) g_test_rand_int_range (0, size + 1));
    if (mmap_capabilities_init_variant (&capabilities, variant, &error)) {
      accepted++;
      check_accepted (&capabilities);
      mmap_capabilities_clear (&capabilities);
    } else {
      refused++;
      g_assert_true (error->domain == MMAP_ERROR);
      g_error_free (error);
      assert_clear (&capabilities);
    }
    g_variant_unref (variant);
  }
  g_test_message ("%u accepted, %u refused", accepted, refused);
  g_assert_cmpuint (accepted, >, 1000);
  g_assert_cmpuint (refused, >, 1000);
  g_free (data);
  g_variant_unref (original);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/capabilities/offer", test_offer);
  leak_check_add_test ("/capabilities/in-area", test_in_area);
  leak_check_add_test ("/capabilities/answer", test_answer);
  leak_check_add_test ("/capabilities/init", test_init);
  leak_check_add_test ("/capabilities/missing-keys", test_missing_keys);
  leak_check_add_test ("/capabilities/types", test_types);
  leak_check_add_test ("/capabilities/values", test_values);
  leak_check_add_test ("/capabilities/version-first", test_version_first);
  leak_check_add_test ("/capabilities/duplicate-and-unknown",
      test_duplicate_and_unknown);
  leak_check_add_test ("/capabilities/not-normal", test_not_normal);
  leak_check_add_test ("/capabilities/too-large", test_too_large);
  leak_check_add_test ("/capabilities/random", test_random);
  return g_test_run ();
}
