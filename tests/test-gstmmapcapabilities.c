/* gst-mmap: tests of capabilities as caps
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`, with GStreamer's leaks tracer.
 */
#include "capabilities.h"
#include "error.h"
#include "gstmmapcapabilities.h"
#include "leak-check.h"
#include "pipe.h"

#include <string.h>

#define TOKEN "0x0102030405060708090a0b0c0d0e0f10"
#define DIGITS "102030405060708090a0b0c0d0e0f10"

static const char offer_text[] = "{'protocol': <uint32 1>, "
    "'session': <uint64 18446744073709551615>, 'region-id': <uint32 3>, "
    "'link-id': <uint32 4294967295>, 'file': <'/dev/shm/cam 0, \"x\"'>, "
    "'size': <uint64 5000000000>, 'token': <'" TOKEN "'>, "
    "'token-index': <uint64 8200>, 'token-bytes': <uint32 16>, "
    "'max-held': <uint64 2500000000>, "
    "'media': <'video/x-raw, format=(string)I420, width=(int)640'>}";

static const char *const names[] = {
  "protocol", "session", "region-id", "link-id", "file", "size", "token",
  "token-index", "token-bytes", "max-held", "media"
};

/* With @from, if it is not %NULL, replaced by @to. */
static GVariant *
parse (const char *from, const char *to)
{
  GString *text = g_string_new (offer_text);
  GError *error = NULL;
  GVariant *variant;

  if (from)
    g_assert_cmpuint (g_string_replace (text, from, to, 0), ==, 1);
  variant = g_variant_parse (G_VARIANT_TYPE_VARDICT, text->str, NULL, NULL,
      &error);
  g_assert_no_error (error);
  g_string_free (text, TRUE);
  return variant;
}

static void
check_same (GVariant * one, GVariant * other)
{
  guint i;

  g_assert_cmpuint (g_variant_n_children (other), ==, G_N_ELEMENTS (names));
  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GVariant) a = g_variant_lookup_value (one, names[i], NULL);
    g_autoptr (GVariant) b = g_variant_lookup_value (other, names[i], NULL);

    g_assert_nonnull (a);
    g_assert_nonnull (b);
    g_assert_cmpvariant (a, b);
  }
}

/* --- To caps and back --- */

static void
test_to_caps (void)
{
  g_autoptr (GVariant) offer = parse (NULL, NULL);
  g_autoptr (GstCaps) caps = gst_mmap_capabilities_to_caps (offer);
  GstStructure *structure = gst_caps_get_structure (caps, 0);
  guint64 size, session;
  guint bytes, link_id;
  guint i;

  g_assert_true (gst_structure_has_name (structure, "application/x-mmap"));
  g_assert_cmpint (gst_structure_n_fields (structure), ==,
      G_N_ELEMENTS (names));
  for (i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_true (gst_structure_has_field (structure, names[i]));
  g_assert_cmpstr (gst_structure_get_string (structure, "file"), ==,
      "/dev/shm/cam 0, \"x\"");
  g_assert_true (gst_structure_get_uint64 (structure, "size", &size));
  g_assert_cmpuint (size, ==, G_GUINT64_CONSTANT (5000000000));
  g_assert_true (gst_structure_get_uint64 (structure, "session", &session));
  g_assert_cmpuint (session, ==, G_MAXUINT64);
  g_assert_true (gst_structure_get_uint (structure, "token-bytes", &bytes));
  g_assert_cmpuint (bytes, ==, 16);
  g_assert_true (gst_structure_get_uint (structure, "link-id", &link_id));
  g_assert_cmpuint (link_id, ==, G_MAXUINT32);
  g_assert_cmpstr (gst_structure_get_string (structure, "token"), ==, TOKEN);
  g_assert_true (gst_structure_has_field_typed (structure, "media",
          GST_TYPE_CAPS));
}

static void
test_from_caps (void)
{
  g_autoptr (GVariant) offer = parse (NULL, NULL), again = NULL;
  g_autoptr (GstCaps) caps = gst_mmap_capabilities_to_caps (offer);
  GError *error = NULL;

  again = gst_mmap_capabilities_from_caps (caps, &error);
  g_assert_no_error (error);
  check_same (offer, again);
}

/* As applications send them. */
static void
test_as_string (void)
{
  g_autoptr (GVariant) offer = parse (NULL, NULL), again = NULL;
  g_autoptr (GstCaps) caps = gst_mmap_capabilities_to_caps (offer);
  g_autofree gchar *text = gst_caps_to_string (caps);
  g_autoptr (GstCaps) copy = gst_caps_from_string (text);
  GError *error = NULL;

  g_assert_nonnull (copy);
  again = gst_mmap_capabilities_from_caps (copy, &error);
  g_assert_no_error (error);
  check_same (offer, again);
}

/* What isn't of the right type isn't there: the core never makes such. */
static void
test_to_caps_of_wrong_types (void)
{
  g_autoptr (GVariant) offer = parse ("<uint64 5000000000>", "<'large'>");
  g_autoptr (GstCaps) caps = gst_mmap_capabilities_to_caps (offer);
  g_autoptr (GVariant) no_caps = parse ("video/x-raw, ", "no caps ;;; ");
  g_autoptr (GstCaps) without = gst_mmap_capabilities_to_caps (no_caps);

  g_assert_false (gst_structure_has_field (gst_caps_get_structure (caps, 0),
          "size"));
  g_assert_false (gst_structure_has_field (gst_caps_get_structure (without, 0),
          "media"));
}

static void
test_any_media (void)
{
  static const char *const media[] = { "ANY", "EMPTY" };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (media); i++) {
    g_autoptr (GVariant) offer = parse ("video/x-raw, format=(string)I420, "
        "width=(int)640", media[i]);
    g_autoptr (GstCaps) caps = gst_mmap_capabilities_to_caps (offer);
    g_autoptr (GVariant) again = gst_mmap_capabilities_from_caps (caps, NULL);

    check_same (offer, again);
  }
}

static GVariant *
from_text (const char *text, GError ** error)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (text);

  g_assert_nonnull (caps);
  return gst_mmap_capabilities_from_caps (caps, error);
}

/* Typed by hand, numbers are ints. */
static void
test_numbers (void)
{
  GError *error = NULL;
  g_autoptr (GVariant) dict = from_text ("application/x-mmap, protocol=1, "
      "size=(gint64)5000000000, token-index=(uint)8200, token-bytes=(guint64)16,"
      " media=video/x-raw, other=(double)1.0", &error);
  guint32 protocol, bytes;
  guint64 size, index;
  const char *media;

  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_n_children (dict), ==, 5);
  g_assert_true (g_variant_lookup (dict, "protocol", "u", &protocol));
  g_assert_true (g_variant_lookup (dict, "size", "t", &size));
  g_assert_true (g_variant_lookup (dict, "token-index", "t", &index));
  g_assert_true (g_variant_lookup (dict, "token-bytes", "u", &bytes));
  g_assert_true (g_variant_lookup (dict, "media", "&s", &media));
  g_assert_cmpuint (protocol, ==, 1);
  g_assert_cmpuint (size, ==, G_GUINT64_CONSTANT (5000000000));
  g_assert_cmpuint (index, ==, 8200);
  g_assert_cmpuint (bytes, ==, 16);
  g_assert_cmpstr (media, ==, "video/x-raw");
}

static void
check_error (GError ** error, MmapError code, const char *words)
{
  g_auto (GStrv) each = g_strsplit (words, "|", 0);
  guint i;

  g_assert_error (*error, MMAP_ERROR, (gint) code);
  for (i = 0; each[i]; i++)
    if (!strstr ((*error)->message, each[i]))
      g_error ("\"%s\" doesn't say \"%s\"", (*error)->message, each[i]);
  g_assert_null (strstr ((*error)->message, DIGITS));
  g_clear_error (error);
}

static void
test_wrong_types (void)
{
  static const char *const values[] = {
    "(int)-1", "(gint64)-1", "(double)1.0", "(boolean)true", "(fraction)1/2",
    "[1, 2]", "{ (int)1, (int)2 }"
  };
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    gboolean text = g_str_equal (names[i], "file")
        || g_str_equal (names[i], "token") || g_str_equal (names[i], "media");

    for (j = 0; j < G_N_ELEMENTS (values) + 1; j++) {
      const char *value = j < G_N_ELEMENTS (values) ? values[j] :
          text ? "(int)5" : "(string)5";
      g_autofree char *caps = g_strdup_printf ("application/x-mmap, %s=%s",
          names[i], value);
      GError *error = NULL;

      g_assert_null (from_text (caps, &error));
      check_error (&error, MMAP_ERROR_MESSAGE, names[i]);
    }
  }
}

static void
test_too_large (void)
{
  static const char *const words[] = {
    "protocol", "region-id", "link-id", "token-bytes"
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (words); i++) {
    g_autofree char *caps = g_strdup_printf ("application/x-mmap, "
        "%s=(guint64)4294967296", words[i]);
    GError *error = NULL;

    g_assert_null (from_text (caps, &error));
    check_error (&error, MMAP_ERROR_MESSAGE, words[i]);
  }
}

static void
test_no_capabilities (void)
{
  static const char *const texts[] = {
    "ANY", "EMPTY", "video/x-raw", "application/x-mmap2",
    "application/x-mmap; application/x-mmap",
  };
  GError *error = NULL;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_assert_null (from_text (texts[i], &error));
    check_error (&error, MMAP_ERROR_MESSAGE, "application/x-mmap");
  }
  g_assert_null (gst_mmap_capabilities_from_caps (NULL, &error));
  check_error (&error, MMAP_ERROR_MESSAGE, "application/x-mmap");
}

/* A string that is not there is none. */
static void
test_null_string (void)
{
  g_autoptr (GstCaps) caps = gst_caps_new_simple ("application/x-mmap",
      "token", G_TYPE_STRING, NULL, NULL);
  GError *error = NULL;

  g_assert_null (gst_mmap_capabilities_from_caps (caps, &error));
  check_error (&error, MMAP_ERROR_MESSAGE, "token");
}

/* --- Restrictions --- */

static void
test_accepted (void)
{
  static const char *const accept[] = {
    "ANY",
    "application/x-mmap",
    "application/x-mmap, size=(guint64)5000000000",
    "application/x-mmap, size=(gint64)5000000000",
    "application/x-mmap, size=(gint64)[1, 8000000000]",
    "application/x-mmap, size=(gint64)[0, 9223372036854775807]",
    "application/x-mmap, size=(gint64)[1000, 8000000000, 1000]",
    "application/x-mmap, size={ (gint64)1, (guint64)5000000000 }",
    "application/x-mmap, size={ (gint64)1, (gint64)[4000000000, 6000000000] }",
    "application/x-mmap, token-bytes=16",
    "application/x-mmap, token-bytes=(uint)16",
    "application/x-mmap, token-bytes=[16, 32]",
    "application/x-mmap, token-bytes=[-5, 16]",
    "application/x-mmap, token-bytes=[0, 1024, 16]",
    "application/x-mmap, token-bytes={ 32, [10, 20], 64 }",
    "application/x-mmap, file=(string)\"/dev/shm/cam 0, \\\"x\\\"\"",
    "application/x-mmap, file={ memfd, (string)\"/dev/shm/cam 0, \\\"x\\\"\" }",
    "application/x-mmap, session=(guint64)18446744073709551615",
    ("application/x-mmap, token=(string)" TOKEN),
    "application/x-mmap, media=(GstCaps)video/x-raw",
    "application/x-mmap, media=video/x-raw",
    "application/x-mmap, media=\"video/x-raw, width=[1, 1000]\"",
    "application/x-mmap, media=(GstCaps)\"audio/x-raw; video/x-raw\"",
    "application/x-mmap, media={ audio/x-raw, video/x-raw }",
    "application/x-mmap, media=(GstCaps)ANY",
    "application/x-mmap, token-bytes=8; application/x-mmap, token-bytes=16",
    "application/x-mmap, size=[1,10]; application/x-mmap",
  };
  g_autoptr (GVariant) offer = parse (NULL, NULL);
  GError *error = NULL;
  guint i;

  g_assert_true (gst_mmap_capabilities_check (NULL, offer, &error));
  for (i = 0; i < G_N_ELEMENTS (accept); i++) {
    g_autoptr (GstCaps) caps = gst_caps_from_string (accept[i]);

    g_assert_nonnull (caps);
    if (!gst_mmap_capabilities_check (caps, offer, &error))
      g_error ("%s: %s", accept[i], error->message);
    g_assert_no_error (error);
  }
}

static const struct
{
  const char *accept;
  MmapError code;
  const char *words;
} clashes[] = {
  {"EMPTY", MMAP_ERROR_MESSAGE, "EMPTY"},
  {"video/x-raw", MMAP_ERROR_MESSAGE, "video/x-raw|application/x-mmap"},
  {"application/x-mmap, size=1; video/x-raw", MMAP_ERROR_MESSAGE,
      "video/x-raw|application/x-mmap"},
  {"application/x-mmap, token_bytes=[1,2]", MMAP_ERROR_MESSAGE,
      "token_bytes|token-bytes"},
  {"application/x-mmap, protocol=2", MMAP_ERROR_VERSION, "protocol is 1|2"},
  {"application/x-mmap, session=(guint64)5", MMAP_ERROR_SESSION,
      "session is 18446744073709551615|5"},
  {"application/x-mmap, region-id=[4,9]", MMAP_ERROR_SESSION,
      "region-id is 3|[ 4, 9 ]"},
  {"application/x-mmap, link-id=1", MMAP_ERROR_SESSION, "link-id|1"},
  {"application/x-mmap, file=memfd", MMAP_ERROR_FILE,
      "file is|/dev/shm/cam|memfd"},
  {"application/x-mmap, file={ memfd, /dev/shm/x }", MMAP_ERROR_FILE,
      "file|memfd"},
  {"application/x-mmap, file=5", MMAP_ERROR_FILE, "file|5"},
  {"application/x-mmap, size=(gint64)[1, 4999999999]", MMAP_ERROR_SIZE,
      "size is 5000000000|[ 1, 4999999999 ]"},
  {"application/x-mmap, size=(gint64)[5000000001, 6000000000]",
      MMAP_ERROR_SIZE, "size is 5000000000"},
  {"application/x-mmap, size=[1, 1073741824]", MMAP_ERROR_SIZE,
      "size is 5000000000|[ 1, 1073741824 ]"},
  /* A number that isn't cut off to 32 bits: 5000000000 is 705032704 more than 2^32. */
  {"application/x-mmap, size=705032704", MMAP_ERROR_SIZE, "size"},
  {"application/x-mmap, size=(gint64)[3, 9000000000, 3]", MMAP_ERROR_SIZE,
      "size is 5000000000"},
  {"application/x-mmap, size=(guint64)4999999999", MMAP_ERROR_SIZE, "size"},
  {"application/x-mmap, size=large", MMAP_ERROR_SIZE, "size|large"},
  {"application/x-mmap, size=(double)5000000000", MMAP_ERROR_SIZE, "size"},
  {"application/x-mmap, token-index=(guint64)1", MMAP_ERROR_TOKEN_INDEX,
      "token-index is 8200|1"},
  {"application/x-mmap, token-bytes=[32,512]", MMAP_ERROR_TOKEN_BYTES,
      "token-bytes is 16|[ 32, 512 ]"},
  {"application/x-mmap, token-bytes=[1, 15]", MMAP_ERROR_TOKEN_BYTES,
      "token-bytes is 16|[ 1, 15 ]"},
  {"application/x-mmap, token-bytes=[3, 300, 3]", MMAP_ERROR_TOKEN_BYTES,
      "token-bytes is 16"},
  {"application/x-mmap, token-bytes=[-20, -16]", MMAP_ERROR_TOKEN_BYTES,
      "token-bytes is 16"},
  {"application/x-mmap, token-bytes=-16", MMAP_ERROR_TOKEN_BYTES, "-16"},
  {"application/x-mmap, token-bytes={ 32, 64 }", MMAP_ERROR_TOKEN_BYTES,
      "token-bytes is 16|32|64"},
  {"application/x-mmap, max-held=0", MMAP_ERROR_LIMIT,
      "max-held is 2500000000|0"},
  {"application/x-mmap, media=(GstCaps)audio/x-raw", MMAP_ERROR_NOT_NEGOTIATED,
      "media is|video/x-raw|audio/x-raw"},
  {"application/x-mmap, media=audio/x-raw", MMAP_ERROR_NOT_NEGOTIATED,
      "media is|video/x-raw|audio/x-raw"},
  {"application/x-mmap, media=(GstCaps)\"video/x-raw, width=[1, 639]\"",
      MMAP_ERROR_NOT_NEGOTIATED, "media is|640|639"},
  {"application/x-mmap, media=(GstCaps)EMPTY", MMAP_ERROR_NOT_NEGOTIATED,
      "media is"},
  {"application/x-mmap, media=5", MMAP_ERROR_NOT_NEGOTIATED, "media is"},
  /* The token itself is said of neither side. */
  {"application/x-mmap, token=(string)0x" DIGITS "11", MMAP_ERROR_TOKEN,
      "token is secret"},
  /* The last of several. */
  {"application/x-mmap, size=1; application/x-mmap, token-bytes=17",
      MMAP_ERROR_TOKEN_BYTES, "token-bytes is 16|17"},
};

static void
test_clashes (void)
{
  g_autoptr (GVariant) offer = parse (NULL, NULL);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (clashes); i++) {
    g_autoptr (GstCaps) caps = gst_caps_from_string (clashes[i].accept);
    GError *error = NULL;

    g_test_message ("%s", clashes[i].accept);
    g_assert_nonnull (caps);
    g_assert_false (gst_mmap_capabilities_check (caps, offer, &error));
    check_error (&error, clashes[i].code, clashes[i].words);
  }
}

/* An answer says less; what is not said can't clash. */
static void
test_not_said (void)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string ("application/x-mmap, "
      "size=[1,2], file=memfd, media=(GstCaps)audio/x-raw, token-bytes=[16,32]");
  g_autoptr (GVariant) answer = g_variant_ref_sink (g_variant_new_parsed
      ("{'token-bytes': <uint32 16>}"));
  GError *error = NULL;

  gst_mmap_capabilities_check (caps, answer, &error);
  g_assert_no_error (error);
}

/* --- What the elements show --- */

static void
test_summary (void)
{
  const char *media = "video/x-raw, format=(string)I420, width=(int)640";
  g_autoptr (GstCaps) caps = gst_mmap_capabilities_summarise ("/dev/shm/cam0",
      G_GUINT64_CONSTANT (5000000000), 128, media);
  GstStructure *structure = gst_caps_get_structure (caps, 0);
  g_autoptr (GstCaps) expected = gst_caps_from_string (media);
  GstCaps *media_caps = NULL;
  guint token_bytes;
  guint64 size;

  g_assert_cmpuint (gst_caps_get_size (caps), ==, 1);
  g_assert_true (gst_structure_has_name (structure, "application/x-mmap"));
  g_assert_cmpstr (gst_structure_get_string (structure, "file"), ==,
      "/dev/shm/cam0");
  g_assert_true (gst_structure_get_uint64 (structure, "size", &size));
  g_assert_cmpuint (size, ==, G_GUINT64_CONSTANT (5000000000));
  g_assert_true (gst_structure_get_uint (structure, "token-bytes",
          &token_bytes));
  g_assert_cmpuint (token_bytes, ==, 128);
  g_assert_true (gst_structure_get (structure, "media", GST_TYPE_CAPS,
          &media_caps, NULL));
  g_assert_true (gst_caps_is_equal (media_caps, expected));
  gst_caps_unref (media_caps);
  g_assert_cmpint (gst_structure_n_fields (structure), ==, 4);
}

static void
test_short_summary (void)
{
  static const char *media[] = { NULL, "no caps at all ;;;", "" };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (media); i++) {
    g_autoptr (GstCaps) caps =
        gst_mmap_capabilities_summarise ("memfd", 0, 0, media[i]);
    GstStructure *structure = gst_caps_get_structure (caps, 0);

    g_assert_false (gst_structure_has_field (structure, "token-bytes"));
    if (i < 2)
      g_assert_false (gst_structure_has_field (structure, "media"));
    g_assert_cmpstr (gst_structure_get_string (structure, "file"), ==, "memfd");
  }
}

static void
add_tests (void)
{
  leak_check_add_test ("/capabilities/to-caps", test_to_caps);
  leak_check_add_test ("/capabilities/from-caps", test_from_caps);
  leak_check_add_test ("/capabilities/as-string", test_as_string);
  leak_check_add_test ("/capabilities/to-caps-of-wrong-types",
      test_to_caps_of_wrong_types);
  leak_check_add_test ("/capabilities/any-media", test_any_media);
  leak_check_add_test ("/capabilities/numbers", test_numbers);
  leak_check_add_test ("/capabilities/wrong-types", test_wrong_types);
  leak_check_add_test ("/capabilities/too-large", test_too_large);
  leak_check_add_test ("/capabilities/no-capabilities", test_no_capabilities);
  leak_check_add_test ("/capabilities/null-string", test_null_string);
  leak_check_add_test ("/capabilities/accepted", test_accepted);
  leak_check_add_test ("/capabilities/clashes", test_clashes);
  leak_check_add_test ("/capabilities/not-said", test_not_said);
  leak_check_add_test ("/capabilities/summary", test_summary);
  leak_check_add_test ("/capabilities/short-summary", test_short_summary);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
