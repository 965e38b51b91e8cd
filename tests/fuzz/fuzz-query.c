/* gst-mmap: fuzz target: queries, their answers and a consumer's needs, of another process
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz-gst.h"

#include "gstmmapevent.h"
#include "gstmmapneeds.h"
#include "gstmmapquery.h"

#include <string.h>

static const guint32 types[] = {
  GST_QUERY_POSITION, GST_QUERY_DURATION, GST_QUERY_SEEKING, GST_QUERY_SEGMENT,
  GST_QUERY_CONVERT, GST_QUERY_CUSTOM, GST_QUERY_CAPS, GST_QUERY_LATENCY
};

static const FuzzKey keys[] = {
  {"format", "u"}, {"to", "u"}, {"value", "x"}, {"end", "x"},
  {"seekable", "b"}, {"rate", "d"}, {"structure", "s"}, {"align", "t"},
  {"prefix", "t"}, {"padding", "t"}, {"video-padding", "(uuuu)"},
  {"stride-align", "(uuuu)"}, {"min-buffers", "u"}, {"crop", "b"},
  {"default-layout", "b"}, {NULL, NULL}
};

static const FuzzWords words = { fuzz_gst_strings, NULL };

/* Returns: (transfer full) (nullable) */
static GVariant *
take_dict (FuzzInput * input)
{
  g_autoptr (GByteArray) bytes =
      fuzz_serialise (input, fuzz_dict (input, "a{sv}", keys, &words));

  return gst_mmap_dict_from_wire (bytes->data, bytes->len);
}

static void
check_needs (GVariant * dict)
{
  g_autoptr (GVariant) written = NULL;
  GstMmapNeeds needs, again, sum;

  gst_mmap_needs_init_variant (&needs, dict);
  fuzz_assert ((needs.params.align & (needs.params.align + 1)) == 0);
  fuzz_assert (needs.params.align <= 4095 && needs.params.prefix <= 65536
      && needs.params.padding <= 65536 && needs.min_buffers <= 32);
  fuzz_assert (needs.video.padding_top <= 1024
      && needs.video.stride_align[0] <= 4095);
  written = g_variant_ref_sink (gst_mmap_needs_to_variant (&needs));
  gst_mmap_needs_init_variant (&again, written);
  fuzz_assert (gst_mmap_needs_include (&needs, &again)
      && gst_mmap_needs_include (&again, &needs));
  gst_mmap_needs_init (&sum);
  gst_mmap_needs_add (&sum, &needs);
  fuzz_assert (gst_mmap_needs_include (&sum, &needs));
}

static void
try_answer (GstQuery * query, GVariant * dict)
{
  g_autoptr (GVariant) written = NULL;
  GVariantDict answer;

  if (!gst_mmap_query_set_answer (query, dict))
    return;
  g_variant_dict_init (&answer, NULL);
  gst_mmap_query_answer_to_dict (query, &answer);
  written = g_variant_ref_sink (g_variant_dict_end (&answer));
}

void
fuzz_run (FuzzInput * input)
{
  guint32 type = types[fuzz_below (input, G_N_ELEMENTS (types))];
  g_autoptr (GVariant) question = take_dict (input);
  g_autoptr (GVariant) answer = take_dict (input);
  GVariantDict dict;
  GstQuery *query;

  if (!question || !answer)
    return;
  check_needs (question);
  query = gst_mmap_query_from_variant (type, question);
  if (!query)
    return;
  fuzz_assert (GST_QUERY_TYPE (query) == (GstQueryType) type);
  g_variant_dict_init (&dict, NULL);
  fuzz_assert (gst_mmap_query_to_dict (query, &dict));
  g_variant_dict_clear (&dict);
  try_answer (query, answer);
  gst_query_unref (query);
}
