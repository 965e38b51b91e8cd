/* gst-mmap: tests of queries as dictionaries, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * G_DEBUG=fatal-warnings ends the program if something is handed on that GStreamer takes for a bug of its caller.
 */
#include "gstmmapquery.h"
#include "leak-check.h"
#include "pipe.h"

#include <math.h>

/* Returns: (transfer full): what the other side is asked */
static GstQuery *
ask (GstQuery * query)
{
  g_autoptr (GVariant) dict = NULL;
  GVariantDict builder;
  GstQuery *asked;

  g_variant_dict_init (&builder, NULL);
  g_assert_true (gst_mmap_query_to_dict (query, &builder));
  dict = g_variant_ref_sink (g_variant_dict_end (&builder));
  asked = gst_mmap_query_from_variant (GST_QUERY_TYPE (query), dict);
  g_assert_nonnull (asked);
  g_assert_cmpint (GST_QUERY_TYPE (asked), ==, GST_QUERY_TYPE (query));
  return asked;
}

/* Returns: (transfer full) */
static GVariant *
answer_of (GstQuery * query)
{
  GVariantDict builder;

  g_variant_dict_init (&builder, NULL);
  gst_mmap_query_answer_to_dict (query, &builder);
  return g_variant_ref_sink (g_variant_dict_end (&builder));
}

/* @asked: (transfer full): answered */
static void
answer (GstQuery * asked, GstQuery * query)
{
  g_autoptr (GVariant) dict = answer_of (asked);

  g_assert_true (gst_mmap_query_set_answer (query, dict));
  gst_query_unref (asked);
}

static void
test_position (void)
{
  g_autoptr (GstQuery) query = gst_query_new_position (GST_FORMAT_BYTES);
  GstQuery *asked = ask (query);
  GstFormat format;
  gint64 value;

  gst_query_parse_position (asked, &format, NULL);
  g_assert_cmpint (format, ==, GST_FORMAT_BYTES);
  gst_query_set_position (asked, format, 5);
  answer (asked, query);
  gst_query_parse_position (query, &format, &value);
  g_assert_cmpint (format, ==, GST_FORMAT_BYTES);
  g_assert_cmpint (value, ==, 5);
}

static void
test_duration (void)
{
  g_autoptr (GstQuery) query = gst_query_new_duration (GST_FORMAT_TIME);
  GstQuery *asked = ask (query);
  gint64 value;

  gst_query_set_duration (asked, GST_FORMAT_TIME, G_MAXINT64);
  answer (asked, query);
  gst_query_parse_duration (query, NULL, &value);
  g_assert_cmpint (value, ==, G_MAXINT64);
}

static void
test_seeking (void)
{
  g_autoptr (GstQuery) query = gst_query_new_seeking (GST_FORMAT_TIME);
  GstQuery *asked = ask (query);
  gboolean seekable;
  GstFormat format;
  gint64 start, end;

  gst_query_set_seeking (asked, GST_FORMAT_TIME, TRUE, 3, -1);
  answer (asked, query);
  gst_query_parse_seeking (query, &format, &seekable, &start, &end);
  g_assert_cmpint (format, ==, GST_FORMAT_TIME);
  g_assert_true (seekable);
  g_assert_cmpint (start, ==, 3);
  g_assert_cmpint (end, ==, -1);
}

static void
test_segment (void)
{
  g_autoptr (GstQuery) query = gst_query_new_segment (GST_FORMAT_TIME);
  GstQuery *asked = ask (query);
  GstFormat format;
  gint64 start, end;
  gdouble rate;

  gst_query_set_segment (asked, -2.0, GST_FORMAT_TIME, 3, 4);
  answer (asked, query);
  gst_query_parse_segment (query, &rate, &format, &start, &end);
  g_assert_cmpfloat (rate, ==, -2.0);
  g_assert_cmpint (format, ==, GST_FORMAT_TIME);
  g_assert_cmpint (start, ==, 3);
  g_assert_cmpint (end, ==, 4);
}

static void
test_convert (void)
{
  g_autoptr (GstQuery) query =
      gst_query_new_convert (GST_FORMAT_BYTES, 7, GST_FORMAT_TIME);
  GstQuery *asked = ask (query);
  GstFormat from, to;
  gint64 value, result;

  gst_query_parse_convert (asked, &from, &value, &to, NULL);
  g_assert_cmpint (from, ==, GST_FORMAT_BYTES);
  g_assert_cmpint (to, ==, GST_FORMAT_TIME);
  g_assert_cmpint (value, ==, 7);
  gst_query_set_convert (asked, from, value, to, 9);
  answer (asked, query);
  gst_query_parse_convert (query, &from, &value, &to, &result);
  g_assert_cmpint (from, ==, GST_FORMAT_BYTES);
  g_assert_cmpint (value, ==, 7);
  g_assert_cmpint (to, ==, GST_FORMAT_TIME);
  g_assert_cmpint (result, ==, 9);
}

/* The fields of the answer are added to those of the question. */
static void
test_custom (void)
{
  g_autoptr (GstQuery) query = gst_query_new_custom (GST_QUERY_CUSTOM,
      gst_structure_new ("x-question", "one", G_TYPE_INT, 1, "keep",
          G_TYPE_STRING, "\303\244 {\"", NULL));
  GstQuery *asked = ask (query);
  const GstStructure *structure = gst_query_get_structure (asked);
  gint one, two;

  g_assert_true (gst_structure_is_equal (structure,
          gst_query_get_structure (query)));
  gst_structure_set (gst_query_writable_structure (asked), "one", G_TYPE_INT,
      11, "two", G_TYPE_INT, 2, NULL);
  answer (asked, query);
  structure = gst_query_get_structure (query);
  g_assert_true (gst_structure_get (structure, "one", G_TYPE_INT, &one, "two",
          G_TYPE_INT, &two, NULL));
  g_assert_cmpint (one, ==, 11);
  g_assert_cmpint (two, ==, 2);
  g_assert_cmpstr (gst_structure_get_string (structure, "keep"), ==,
      "\303\244 {\"");
}

/* Each is answered on this side. */
static void
test_what_stays (void)
{
  GstQuery *queries[] = {
    gst_query_new_latency (),
    gst_query_new_caps (NULL),
    gst_query_new_allocation (NULL, FALSE),
    gst_query_new_drain (),
    gst_query_new_scheduling (),
    gst_query_new_context ("context"),
    gst_query_new_uri (),
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (queries); i++) {
    GVariantDict dict;

    g_variant_dict_init (&dict, NULL);
    g_assert_false (gst_mmap_query_to_dict (queries[i], &dict));
    g_variant_dict_clear (&dict);
    gst_query_unref (queries[i]);
  }
}

/* --- what makes no sense --- */

/* @text: of a{sv} */
static GVariant *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  GVariant *dict = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL,
      &error);

  g_assert_no_error (error);
  return dict;
}

static void
test_refused_questions (void)
{
  static const struct
  {
    guint32 type;
    const char *text;
  } cases[] = {
    {0, "@a{sv} {}"},
    {G_MAXUINT32, "{'format': <uint32 3>}"},
    {GST_QUERY_ALLOCATION, "{'format': <uint32 3>}"},
    {GST_QUERY_POSITION, "@a{sv} {}"},
    {GST_QUERY_POSITION, "{'format': <int32 3>}"},
    {GST_QUERY_POSITION, "{'format': <uint32 99>}"},
    {GST_QUERY_DURATION, "{'format': <uint32 4294967295>}"},
    {GST_QUERY_SEEKING, "{'format': <'x'>}"},
    {GST_QUERY_CONVERT, "{'format': <uint32 3>}"},
    {GST_QUERY_CONVERT, "{'format': <uint32 3>, 'to': <uint32 2>}"},
    {GST_QUERY_CONVERT, "{'format': <uint32 3>, 'to': <uint32 99>, "
          "'value': <int64 1>}"},
    {GST_QUERY_CUSTOM, "@a{sv} {}"},
    {GST_QUERY_CUSTOM, "{'structure': <5>}"},
    {GST_QUERY_CUSTOM, "{'structure': <''>}"},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GVariant) dict = parse (cases[i].text);

    g_assert_null (gst_mmap_query_from_variant (cases[i].type, dict));
  }
}

static void
test_refused_answers (void)
{
  static const char *const texts[] = {
    "@a{sv} {}",
    "{'format': <uint32 3>, 'value': <int64 1>}",
    "{'format': <uint32 3>, 'value': <uint32 1>, 'end': <int64 1>}",
    "{'format': <uint32 99>, 'value': <int64 1>, 'end': <int64 1>}",
    /* Of another format than was asked for. */
    "{'format': <uint32 2>, 'value': <int64 1>, 'end': <int64 1>}",
  };
  GstQuery *queries[] = {
    gst_query_new_position (GST_FORMAT_TIME),
    gst_query_new_duration (GST_FORMAT_TIME),
    gst_query_new_seeking (GST_FORMAT_TIME),
    gst_query_new_convert (GST_FORMAT_BYTES, 7, GST_FORMAT_TIME),
    gst_query_new_custom (GST_QUERY_CUSTOM,
        gst_structure_new_empty ("x-question")),
    /* It has no rate. */
    gst_query_new_segment (GST_FORMAT_TIME),
  };
  guint q, i;

  for (q = 0; q < G_N_ELEMENTS (queries); q++) {
    for (i = 0; i < G_N_ELEMENTS (texts); i++) {
      g_autoptr (GVariant) dict = parse (texts[i]);

      g_assert_false (gst_mmap_query_set_answer (queries[q], dict));
    }
    gst_query_unref (queries[q]);
  }
}

static GVariant *
random_value (void)
{
  static const gint64 numbers[] = { 0, 1, 2, 3, 99, -1, G_MAXINT64,
    G_MININT64
  };
  static const gdouble reals[] = { 0, 1, -1, 1e300, NAN, INFINITY };
  gint64 number = numbers[g_test_rand_int_range (0, G_N_ELEMENTS (numbers))];

  switch (g_test_rand_int_range (0, 5)) {
    case 0:
      return g_variant_new_uint32 (number);
    case 1:
      return g_variant_new_boolean (number & 1);
    case 2:
      return g_variant_new_double (reals[g_test_rand_int_range (0,
                  G_N_ELEMENTS (reals))]);
    case 3:
      return g_variant_new_string (number & 1 ? "x-answer, a=(int)5" : "x y");
    default:
      return g_variant_new_int64 (number);
  }
}

static GVariant *
random_dict (void)
{
  static const char *const keys[] = { "format", "to", "value", "end", "rate",
    "seekable", "structure"
  };
  GVariantDict builder;
  guint i;

  g_variant_dict_init (&builder, NULL);
  for (i = 0; i < G_N_ELEMENTS (keys); i++)
    if (g_test_rand_int_range (0, 8) != 0)
      g_variant_dict_insert_value (&builder, keys[i], random_value ());
  /* Most of them would be refused for these. */
  if (g_test_rand_int_range (0, 4) != 0) {
    g_variant_dict_insert (&builder, "format", "u",
        (guint32) g_test_rand_int_range (1, 6));
    g_variant_dict_insert (&builder, "value", "x", (gint64) 5);
    g_variant_dict_insert (&builder, "end", "x", (gint64) - 1);
  }
  return g_variant_ref_sink (g_variant_dict_end (&builder));
}

/* Whatever is asked or answered: what is accepted can be handed on. */
static void
test_random (void)
{
  static const GstQueryType types[] = { GST_QUERY_POSITION,
    GST_QUERY_DURATION, GST_QUERY_SEEKING, GST_QUERY_SEGMENT,
    GST_QUERY_CONVERT, GST_QUERY_CUSTOM
  };
  guint n = pipe_rounds (50000), n_asked = 0, n_answered = 0, i;

  for (i = 0; i < n; i++) {
    g_autoptr (GVariant) question = random_dict ();
    g_autoptr (GVariant) reply = random_dict ();
    GstQuery *query =
        gst_mmap_query_from_variant (types[i % G_N_ELEMENTS (types)],
        question);

    if (!query)
      continue;
    n_asked++;
    if (gst_mmap_query_set_answer (query, reply)) {
      g_autoptr (GVariant) again = answer_of (query);

      g_assert_true (gst_mmap_query_set_answer (query, again));
      n_answered++;
    }
    gst_query_unref (query);
  }
  g_assert_cmpuint (n_asked, >, n / 10);
  g_assert_cmpuint (n_answered, >, n / 100);
}

static void
add_tests (void)
{
  leak_check_add_test ("/query/position", test_position);
  leak_check_add_test ("/query/duration", test_duration);
  leak_check_add_test ("/query/seeking", test_seeking);
  leak_check_add_test ("/query/segment", test_segment);
  leak_check_add_test ("/query/convert", test_convert);
  leak_check_add_test ("/query/custom", test_custom);
  leak_check_add_test ("/query/what-stays", test_what_stays);
  leak_check_add_test ("/query/refused-questions", test_refused_questions);
  leak_check_add_test ("/query/refused-answers", test_refused_answers);
  leak_check_add_test ("/query/random", test_random);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
