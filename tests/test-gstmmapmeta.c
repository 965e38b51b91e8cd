/* gst-mmap: tests of metas as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * G_DEBUG=fatal-warnings ends the program if something is handed on that GStreamer takes for a bug of its caller.
 */
#include "gstmmapmeta.h"
#include "leak-check.h"
#include "metas.h"
#include "pipe.h"

#include <gst/audio/audio.h>
#include <gst/video/video.h>
#include <string.h>

static guint n_lost;
static char *last_lost;

static void
on_lost (GstMeta * meta, gpointer user_data)
{
  n_lost++;
  g_free (last_lost);
  last_lost = g_strdup (g_type_name (meta->info->type));
}

/* Returns: (transfer full): as they lie in a region; NULL if there are none */
static GBytes *
describe (GstBuffer * buffer)
{
  GVariant *metas;
  GBytes *bytes;
  gpointer data;

  n_lost = 0;
  g_clear_pointer (&last_lost, g_free);
  metas = gst_mmap_metas_describe (buffer, on_lost, NULL);
  if (!metas)
    return NULL;
  data = g_malloc (g_variant_get_size (metas));
  g_variant_store (metas, data);
  bytes = g_bytes_new_take (data, g_variant_get_size (metas));
  g_variant_unref (metas);
  return bytes;
}

/* FALSE if they are no metas. */
static gboolean
restore (gconstpointer data, gsize size, GstBuffer * buffer, const char *caps)
{
  GVariant *metas = gst_mmap_metas_parse (data, size);
  GstCaps *of_buffer;

  if (!metas)
    return FALSE;
  of_buffer = caps ? gst_caps_from_string (caps) : NULL;
  gst_mmap_metas_restore (metas, buffer, of_buffer);
  gst_clear_caps (&of_buffer);
  g_variant_unref (metas);
  return TRUE;
}

static void
test_round_trip (void)
{
  guint i;

  for (i = 0; i < n_meta_cases; i++) {
    const MetaCase *meta = &meta_cases[i];
    GstBuffer *buffer = meta_case_buffer (meta);
    GstBuffer *back = meta_case_buffer (meta);
    GBytes *bytes;

    g_test_message ("%s", meta->name);
    g_assert_false (gst_mmap_metas_are_there (buffer));
    meta->add (buffer);
    g_assert_true (gst_mmap_metas_are_there (buffer));
    bytes = describe (buffer);
    g_assert_nonnull (bytes);
    g_assert_cmpuint (n_lost, ==, 0);
    gst_buffer_unref (buffer);
    g_assert_true (restore (g_bytes_get_data (bytes, NULL),
            g_bytes_get_size (bytes), back, meta->caps));
    meta->check (back);
    g_bytes_unref (bytes);
    gst_buffer_unref (back);
  }
}

/* All at once, in their order. */
static GstBuffer *
buffer_with_all (const char *caps)
{
  GstBuffer *buffer = NULL;
  guint i;

  for (i = 0; i < n_meta_cases; i++) {
    if (strcmp (meta_cases[i].caps, caps) != 0)
      continue;
    if (!buffer)
      buffer = meta_case_buffer (&meta_cases[i]);
    meta_cases[i].add (buffer);
  }
  return buffer;
}

static void
test_order (void)
{
  GstBuffer *buffer = buffer_with_all (META_VIDEO_CAPS);
  GstBuffer *back = meta_case_buffer (&meta_cases[0]);
  GBytes *bytes = describe (buffer), *again;

  g_assert_true (restore (g_bytes_get_data (bytes, NULL),
          g_bytes_get_size (bytes), back, META_VIDEO_CAPS));
  again = describe (back);
  g_assert_true (g_bytes_equal (bytes, again));
  g_bytes_unref (bytes);
  g_bytes_unref (again);
  gst_buffer_unref (buffer);
  gst_buffer_unref (back);
}

/* --- what can't cross --- */

static void
assert_lost (GstBuffer * buffer, const char *name)
{
  g_assert_null (describe (buffer));
  g_assert_cmpuint (n_lost, ==, name ? 1 : 0);
  g_assert_cmpstr (last_lost, ==, name);
  gst_buffer_unref (buffer);
}

static void
test_lost (void)
{
  GstBuffer *buffer = gst_buffer_new (), *parent = gst_buffer_new ();
  GstBuffer *pixels = gst_buffer_new_allocate (NULL, 16, NULL);
  GstVideoOverlayRectangle *rectangle;
  GstVideoOverlayComposition *composition;
  GstStructure *deep;
  guint i;

  gst_buffer_add_video_meta (pixels, 0, GST_VIDEO_FORMAT_BGRA, 2, 2);
  rectangle = gst_video_overlay_rectangle_new_raw (pixels, 0, 0, 2, 2, 0);
  composition = gst_video_overlay_composition_new (rectangle);
  gst_buffer_add_video_overlay_composition_meta (buffer, composition);
  gst_video_overlay_composition_unref (composition);
  gst_video_overlay_rectangle_unref (rectangle);
  gst_buffer_unref (pixels);
  assert_lost (buffer, "GstVideoOverlayCompositionMeta");

  /* Nothing that a consumer could miss. */
  buffer = gst_buffer_new ();
  gst_buffer_add_parent_buffer_meta (buffer, parent);
  gst_buffer_unref (parent);
  assert_lost (buffer, NULL);

  buffer = gst_buffer_new ();
  meta_add_custom (buffer, "test-lost-meta", gst_structure_new ("x", "a",
          G_TYPE_POINTER, &buffer, NULL));
  assert_lost (buffer, "test-lost-meta");
  buffer = gst_buffer_new ();
  gst_buffer_add_protection_meta (buffer, gst_structure_new ("x", "a",
          GST_TYPE_ELEMENT, NULL, NULL));
  assert_lost (buffer, "GstProtectionMeta");

  /* Deeper than anybody would read. */
  deep = gst_structure_new_empty ("x");
  for (i = 0; i < 100; i++) {
    GstStructure *outer = gst_structure_new ("x", "s", GST_TYPE_STRUCTURE, deep,
        NULL);

    gst_structure_free (deep);
    deep = outer;
  }
  buffer = gst_buffer_new ();
  gst_buffer_add_protection_meta (buffer, deep);
  assert_lost (buffer, "GstProtectionMeta");
}

/* --- what a peer may send --- */

/* Whether the metas that @text describes, as GVariant writes it, are added. -1: they are no metas. */
static gint
try_text (const char *text, const char *caps)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL,
      strcmp (caps, META_VIDEO_CAPS) == 0 ? 64 * 48 : 1024, NULL);
  GError *error = NULL;
  GVariant *metas = g_variant_parse (NULL, text, NULL, NULL, &error);
  gint result = -1;

  g_assert_no_error (error);
  if (restore (g_variant_get_data (metas), g_variant_get_size (metas), buffer,
          caps))
    result = meta_has_any (buffer);
  g_variant_unref (metas);
  gst_buffer_unref (buffer);
  return result;
}

static void
check_texts (const char *const *texts, const char *caps, gint expected)
{
  for (; *texts; texts++) {
    g_test_message ("%s", *texts);
    g_assert_cmpint (try_text (*texts, caps), ==, expected);
  }
}

#define U4 "uint32 1, uint32 2, uint32 3, uint32 4"

static void
test_good_texts (void)
{
  static const char *const video[] = {
    "[('GstVideoCropMeta', <(uint32 0, uint32 0, uint32 64, uint32 48)>)]",
    "[('GstVideoRegionOfInterestMeta', <(@ms nothing, 1, 2, " U4
        ", @a(sa(ssv)) [])>)]",
    "[('GstProtectionMeta', <('x', [('a', 'gint', <5>)])>)]",
    "[('GstCustomMeta', <('unheard-of', ['tag'], [('a', 'gint', <5>)])>)]",
    "[('GstCustomMeta', <('a-bc', @as [], [('a', 'GstFormat', <3>)])>)]",
    NULL
  };
  static const char *const audio[] = {
    "[('GstAudioMeta', <('S16LE', 48000, 2, true, [0, 1], uint64 256, "
        "[uint64 512, uint64 0])>)]",
    "[('GstAudioMeta', <('S16LE', 48000, 2, true, @ai [], uint64 1, "
        "[uint64 1022, uint64 1020])>)]",
    NULL
  };

  check_texts (video, META_VIDEO_CAPS, TRUE);
  check_texts (audio, META_AUDIO_CAPS, TRUE);
}

#define ROI(rest) "[('GstVideoRegionOfInterestMeta', <(@ms 'a', 1, 2, " rest \
  ")>)]"
#define TC(rest) "[('GstVideoTimeCodeMeta', <(" rest ")>)]"
#define INFO(fields) "[('GstProtectionMeta', <('x', [" fields "])>)]"
#define NAMED(name) "[('GstProtectionMeta', <('" name "', @a(ssv) [])>)]"
#define CUSTOM(name) "[('GstCustomMeta', <('" name \
  "', @as [], @a(ssv) [])>)]"
#define AUDIO(rest) "[('GstAudioMeta', <(" rest ")>)]"

/* Values that make no sense: the frame goes on without. */
static void
test_left_out (void)
{
  static const char *const video[] = {
    "[('GstVideoCropMeta', <(uint32 1, uint32 0, uint32 64, uint32 48)>)]",
    "[('GstVideoCropMeta', <(uint32 0, uint32 1, uint32 64, uint32 48)>)]",
    "[('GstVideoCropMeta', <(uint32 0, uint32 0, uint32 65, uint32 48)>)]",
    "[('GstVideoCropMeta', <(uint32 0, uint32 0, uint32 0, uint32 48)>)]",
    "[('GstVideoCropMeta', <(uint32 4294967295, uint32 0, uint32 1, "
        "uint32 48)>)]",
    ROI ("uint32 65, uint32 0, uint32 1, uint32 1, @a(sa(ssv)) []"),
    ROI ("uint32 0, uint32 4294967295, uint32 1, uint32 1, @a(sa(ssv)) []"),
    ROI (U4 ", [('', @a(ssv) [])]"),
    "[('GstVideoAFDMeta', <(byte 2, uint32 0, uint32 8)>)]",
    "[('GstVideoAFDMeta', <(byte 0, uint32 3, uint32 8)>)]",
    "[('GstVideoAFDMeta', <(byte 0, uint32 0, uint32 0)>)]",
    "[('GstVideoAFDMeta', <(byte 0, uint32 1, uint32 6)>)]",
    "[('GstVideoAFDMeta', <(byte 0, uint32 1, uint32 4294967295)>)]",
    "[('GstVideoBarMeta', <(byte 2, true, uint32 1, uint32 1)>)]",
    "[('GstVideoCaptionMeta', <(uint32 0, b'abc')>)]",
    "[('GstVideoCaptionMeta', <(uint32 5, b'abc')>)]",
    "[('GstVideoCaptionMeta', <(uint32 1, @ay [])>)]",
    "[('GstVideoSEIUserDataUnregisteredMeta', <(b'0123456789abcd', b'x')>)]",
    "[('GstVideoSEIUserDataUnregisteredMeta', <(b'0123456789abcdef', b'x')>)]",
    "[('GstVideoSEIUserDataUnregisteredMeta', <(b'0123456789abcde', @ay [])>)]",
    TC ("uint32 25, uint32 0, uint32 0, " U4 ", uint32 0, @ms nothing"),
    TC ("uint32 25, uint32 1, uint32 4, " U4 ", uint32 0, @ms nothing"),
    TC ("uint32 25, uint32 1, uint32 1, " U4 ", uint32 0, @ms nothing"),
    TC ("uint32 25, uint32 1, uint32 0, uint32 24, uint32 0, uint32 0, "
        "uint32 0, uint32 0, @ms nothing"),
    TC ("uint32 4294967295, uint32 1, uint32 0, " U4 ", uint32 0, @ms nothing"),
    TC ("uint32 25, uint32 1, uint32 0, " U4 ", uint32 0, @ms '2026-99-99'"),
    TC ("uint32 25, uint32 1, uint32 0, " U4 ", uint32 3, @ms nothing"),
    "[('GstVideoAffineTransformationMeta', <[1.0]>)]",
    "[('GstReferenceTimestampMeta', <(@a(sa(ssv)) [], uint64 1, uint64 1)>)]",
    "[('GstReferenceTimestampMeta', <([('a', @a(ssv) [])], "
        "uint64 18446744073709551615, uint64 1)>)]",
    NAMED (""), NAMED ("1"), NAMED ("a b"), NAMED ("taglist"),
    NAMED ("video/x-raw-rgb"), NAMED ("a,b"),
    INFO ("('', 'gint', <1>)"), INFO ("('a', 'gint', <'1'>)"),
    INFO ("('a', 'gint', <uint32 1>)"), INFO ("('a', 'GObject', <1>)"),
    INFO ("('a', 'GstElement', <1>)"), INFO ("('a', 'gpointer', <1>)"),
    INFO ("('a', 'void', <1>)"), INFO ("('a', 'GEnum', <1>)"),
    INFO ("('a', 'GFlags', <uint32 1>)"), INFO ("('a', '', <1>)"),
    INFO ("('a', 'GstFormat', <1000>)"), INFO ("('a', 'GstFormat', <'x'>)"),
    INFO ("('a', 'GstSegmentFlags', <uint32 4294967295>)"),
    INFO ("('a', 'GstFraction', <(1, 0)>)"),
    INFO ("('a', 'GstFraction', <(1, -2147483648)>)"),
    INFO ("('a', 'GstFraction', <(-2147483648, 1)>)"),
    INFO ("('a', 'GDate', <uint32 0>)"),
    INFO ("('a', 'GDate', <uint32 4294967295>)"),
    INFO ("('a', 'GDateTime', <'tomorrow'>)"),
    INFO ("('a', 'GstDateTime', <''>)"),
    INFO ("('a', 'GstValueArray', <[('gint', <1>), ('guint', <uint32 1>)]>)"),
    INFO ("('a', 'GstValueList', <[('gint', <'x'>)]>)"),
    INFO ("('a', 'GstStructure', <('video/x-raw-x', @a(ssv) [])>)"),
    INFO ("('a', 'GstCaps', <[('', @a(ssv) [])]>)"),
    CUSTOM (""), CUSTOM ("ab"), CUSTOM ("1abc"), CUSTOM ("a/bc"),
    CUSTOM ("GstSomethingNew"), CUSTOM ("gint"), CUSTOM ("taglist"),
    CUSTOM ("GstVideoCropMeta"), CUSTOM ("GstBuffer"),
    "[('GstMeta', <b'anything'>)]", "[('SomethingNew', <5>)]",
    NULL
  };
  static const char *const audio[] = {
    /* Of other positions, or another rate, than the caps. */
    "[('GstAudioMeta', <('S16LE', 48000, 2, true, [-3, -3], uint64 0, "
        "[uint64 0, uint64 0])>)]",
    "[('GstAudioMeta', <('S16LE', 44100, 2, true, [0, 1], uint64 0, "
        "[uint64 0, uint64 0])>)]",
    AUDIO ("'S16', 48000, 2, true, [0, 1], uint64 1, [uint64 0, uint64 2]"),
    AUDIO ("'', 48000, 2, true, [0, 1], uint64 1, [uint64 0, uint64 2]"),
    AUDIO ("'S16LE', 0, 2, true, [0, 1], uint64 1, [uint64 0, uint64 2]"),
    AUDIO ("'S16LE', 48000, 0, true, [0, 1], uint64 1, @at []"),
    AUDIO ("'S16LE', 48000, 1, true, [0], uint64 1, [uint64 0]"),
    AUDIO ("'S16LE', 48000, -1, true, [0], uint64 1, [uint64 0]"),
    AUDIO ("'S16LE', 48000, 2, false, [0, 1], uint64 1, @at []"),
    AUDIO ("'S16LE', 48000, 2, true, [0], uint64 1, [uint64 0, uint64 2]"),
    AUDIO ("'S16LE', 48000, 2, true, [0, 0], uint64 1, [uint64 0, uint64 2]"),
    AUDIO ("'S16LE', 48000, 2, true, [1, 0], uint64 1, [uint64 0, uint64 2]"),
    AUDIO ("'S16LE', 48000, 2, true, [0, 99], uint64 1, [uint64 0, uint64 2]"),
    AUDIO ("'S16LE', 48000, 2, true, [0, -4], uint64 1, [uint64 0, uint64 2]"),
    AUDIO ("'S16LE', 48000, 2, true, [0, 1], uint64 1, [uint64 0]"),
    AUDIO ("'S16LE', 48000, 2, true, [0, 1], uint64 1, [uint64 0, uint64 1]"),
    AUDIO ("'S16LE', 48000, 2, true, [0, 1], uint64 1, "
        "[uint64 0, uint64 1023]"),
    AUDIO ("'S16LE', 48000, 2, true, [0, 1], uint64 1, "
        "[uint64 18446744073709551615, uint64 2]"),
    AUDIO ("'S16LE', 48000, 2, true, [0, 1], uint64 257, "
        "[uint64 0, uint64 514]"),
    AUDIO ("'S16LE', 48000, 2, true, [0, 1], uint64 9223372036854775808, "
        "[uint64 0, uint64 2]"),
    "[('GstAudioClippingMeta', <(77, uint64 1, uint64 1)>)]",
    "[('GstAudioLevelMeta', <(byte 128, true)>)]",
    "[('GstAudioDownmixMeta', <(@ai [], @ai [], @ad [])>)]",
    "[('GstAudioDownmixMeta', <([0, 1], [0, 1], [1.0, 1.0, 1.0])>)]",
    "[('GstAudioDownmixMeta', <([0, 0], [0, 1], [1.0, 1.0, 1.0, 1.0])>)]",
    "[('GstAudioDownmixMeta', <([0], [0], [1e300])>)]",
    NULL
  };

  check_texts (video, META_VIDEO_CAPS, FALSE);
  check_texts (audio, META_AUDIO_CAPS, FALSE);
}

/* Types that no producer sends. */
static void
test_malformed (void)
{
  static const char *const texts[] = {
    "[('GstVideoCropMeta', <(1, 2, 3, 4)>)]",
    "[('GstVideoCropMeta', <'x'>)]",
    "[('Unknown', <5>), ('GstVideoBarMeta', <5>)]",
    "[('GstCustomMeta', <('abc', [('a', 'gint', <5>)])>)]",
    "[('GstMeta', <5>)]",
    NULL
  };
  GVariantBuilder builder;
  GVariant *many;
  guint i;

  check_texts (texts, META_VIDEO_CAPS, -1);
  g_assert_null (gst_mmap_metas_parse ("x", 1));
  g_assert_null (gst_mmap_metas_parse ("\0\0\0\0\0\0\0\0\377", 9));

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sv)"));
  for (i = 0; i < 5000; i++)
    g_variant_builder_add (&builder, "(sv)", "x", g_variant_new_byte (1));
  many = g_variant_ref_sink (g_variant_builder_end (&builder));
  g_assert_null (gst_mmap_metas_parse (g_variant_get_data (many),
          g_variant_get_size (many)));
  g_variant_unref (many);
}

/* Brackets without end, for a parser that calls itself. */
static void
test_deep (void)
{
  guint depth;

  for (depth = 1; depth < 60; depth++) {
    GVariant *value = g_variant_new_int32 (1), *metas;
    GstBuffer *buffer = gst_buffer_new ();
    const char *type = "gint";
    gboolean parsed;
    guint i;

    for (i = 0; i < depth; i++) {
      value = g_variant_new_array (NULL, (GVariant *[]) {
          g_variant_new ("(sv)", type, value)}
          , 1);
      type = "GstValueArray";
    }
    value = g_variant_new_array (NULL, (GVariant *[]) {
        g_variant_new ("(ssv)", "a", type, value)}
        , 1);
    metas = g_variant_ref_sink (g_variant_new_parsed ("[('GstProtectionMeta', "
            "<('x', %@a(ssv))>)]", value));
    parsed = restore (g_variant_get_data (metas), g_variant_get_size (metas),
        buffer, NULL);
    g_assert_cmpint (meta_has_any (buffer), ==, depth <= 16);
    g_assert_true (parsed || depth > 16);
    g_variant_unref (metas);
    gst_buffer_unref (buffer);
  }
}

/* A region that goes over the edge: what is in the picture. */
static void
test_region_over_the_edge (void)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 64 * 48, NULL), *back;
  GstVideoRegionOfInterestMeta *region;
  gboolean of_caps;
  GBytes *bytes;

  gst_buffer_add_video_region_of_interest_meta (buffer, "x", 60, 40, 10,
      G_MAXUINT);
  bytes = describe (buffer);
  for (of_caps = FALSE; of_caps <= TRUE; of_caps++) {
    back = gst_buffer_new_allocate (NULL, 64 * 48, NULL);
    if (!of_caps)
      gst_buffer_add_video_meta (back, 0, GST_VIDEO_FORMAT_GRAY8, 64, 48);
    g_assert_true (restore (g_bytes_get_data (bytes, NULL),
            g_bytes_get_size (bytes), back, of_caps ? META_VIDEO_CAPS : NULL));
    region = gst_buffer_get_video_region_of_interest_meta_id (back, 0);
    g_assert_nonnull (region);
    g_assert_cmpuint (region->x, ==, 60);
    g_assert_cmpuint (region->w, ==, 4);
    g_assert_cmpuint (region->h, ==, 8);
    gst_buffer_unref (back);
  }
  g_bytes_unref (bytes);
  gst_buffer_unref (buffer);
}

/* A custom meta that only the producer knew has its tags here, too. */
static void
test_registers_custom (void)
{
  static const char *text = "[('GstCustomMeta', <('test-from-afar', "
      "['video', 'size'], [('a', 'gint', <5>)])>)]";
  const GstMetaInfo *info;

  g_assert_null (gst_meta_get_info ("test-from-afar"));
  g_assert_cmpint (try_text (text, META_VIDEO_CAPS), ==, TRUE);
  g_assert_cmpint (try_text (text, META_VIDEO_CAPS), ==, TRUE);
  info = gst_meta_get_info ("test-from-afar");
  g_assert_nonnull (info);
  g_assert_true (gst_meta_info_is_custom (info));
  g_assert_true (gst_meta_api_type_has_tag (info->api,
          g_quark_from_string ("size")));
  g_assert_false (gst_meta_api_type_has_tag (info->api,
          g_quark_from_string ("memory")));
}

/* Names stay in a process for ever: a peer can't make it keep any number. */
static void
test_new_names (void)
{
  guint i, accepted = 0;
  gint last = TRUE;

  for (i = 0; i < 200; i++) {
    g_autofree char *text = g_strdup_printf ("[('GstCustomMeta', <('custom-%u',"
        " @as [], @a(ssv) [])>)]", i);

    accepted += try_text (text, META_VIDEO_CAPS);
  }
  g_assert_cmpuint (accepted, >, 10);
  g_assert_cmpuint (accepted, <, 100);

  for (i = 0; i < 20000 && last; i++) {
    g_autofree char *text =
        g_strdup_printf (INFO ("('new-%u', 'gint', <1>)"), i);

    last = try_text (text, META_VIDEO_CAPS);
  }
  g_assert_cmpuint (i, >, 1000);
  g_assert_cmpuint (i, <, 20000);
  /* What was known stays known. */
  g_assert_cmpint (try_text (INFO ("('new-1', 'gint', <1>)"), META_VIDEO_CAPS),
      ==, TRUE);
}

/* What came of bytes that were changed is sound, if anything: it can be described, and dropped. */
static gboolean
check_bytes (const guint8 * data, gsize size, const char *caps)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL,
      strcmp (caps, META_VIDEO_CAPS) == 0 ? 64 * 48 : 1024, NULL);
  gboolean parsed = restore (data, size, buffer, caps);
  GBytes *bytes = parsed ? describe (buffer) : NULL;

  if (bytes)
    g_bytes_unref (bytes);
  gst_buffer_unref (buffer);
  return parsed;
}

static void
mutate (const char *caps, guint n, GRand * rand)
{
  GstBuffer *buffer = buffer_with_all (caps);
  GBytes *bytes = describe (buffer);
  gsize size = g_bytes_get_size (bytes);
  guint i, j, parsed = 0;

  for (i = 0; i < n; i++) {
    g_autofree guint8 *copy = g_memdup2 (g_bytes_get_data (bytes, NULL), size);
    guint changes = g_rand_int_range (rand, 1, 4);

    for (j = 0; j < changes; j++) {
      guint8 *byte = copy + g_rand_int_range (rand, 0, size);

      switch (g_rand_int_range (rand, 0, 3)) {
        case 0:
          *byte = g_rand_int (rand);
          break;
        case 1:
          *byte ^= 1 << g_rand_int_range (rand, 0, 8);
          break;
        default:
          *byte = g_rand_boolean (rand) ? 0xff : 0;
          break;
      }
    }
    parsed += check_bytes (copy, size, caps);
  }
  g_test_message ("%u of %u were metas", parsed, n);
  g_assert_cmpuint (parsed, >, n / 100);
  g_assert_cmpuint (parsed, <, n);
  g_bytes_unref (bytes);
  gst_buffer_unref (buffer);
}

static void
test_mutations (void)
{
  guint32 seed = g_test_rand_int ();
  GRand *rand = g_rand_new_with_seed (seed);

  g_test_message ("seed %u", seed);
  mutate (META_VIDEO_CAPS, pipe_rounds (10000), rand);
  mutate (META_AUDIO_CAPS, pipe_rounds (10000), rand);
  g_rand_free (rand);
}

static void
test_truncated (void)
{
  const char *caps[] = { META_VIDEO_CAPS, META_AUDIO_CAPS };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (caps); i++) {
    GstBuffer *buffer = buffer_with_all (caps[i]);
    GBytes *bytes = describe (buffer);
    gsize size;

    for (size = 0; size < g_bytes_get_size (bytes); size++) {
      /* Behind its last byte is none that could be read unnoticed. */
      g_autofree guint8 *copy =
          g_memdup2 (g_bytes_get_data (bytes, NULL), MAX (size, 1));

      check_bytes (copy, size, caps[i]);
    }
    g_bytes_unref (bytes);
    gst_buffer_unref (buffer);
  }
}

static void
add_tests (void)
{
  leak_check_add_test ("/meta/round-trip", test_round_trip);
  leak_check_add_test ("/meta/order", test_order);
  leak_check_add_test ("/meta/lost", test_lost);
  leak_check_add_test ("/meta/good-texts", test_good_texts);
  leak_check_add_test ("/meta/left-out", test_left_out);
  leak_check_add_test ("/meta/malformed", test_malformed);
  leak_check_add_test ("/meta/deep", test_deep);
  leak_check_add_test ("/meta/region-over-the-edge", test_region_over_the_edge);
  leak_check_add_test ("/meta/registers-custom", test_registers_custom);
  leak_check_add_test ("/meta/truncated", test_truncated);
  leak_check_add_test ("/meta/mutations", test_mutations);
  leak_check_add_test ("/meta/new-names", test_new_names);
}

int
main (int argc, char **argv)
{
  int status = pipe_test_main (argc, argv, add_tests);

  g_free (last_lost);
  return status;
}
