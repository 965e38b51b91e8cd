/* gst-mmap: fuzz target: metas of another process
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is put on a buffer has to fit it, so that nobody who believes it reads beyond it; and can be written again.
 */
#include "fuzz-gst.h"

#include "gstmmapmeta.h"

#include <gst/audio/audio.h>
#include <gst/video/video.h>
#include <string.h>

#define WIDTH 64
#define HEIGHT 48

static const FuzzKey metas[] = {
  {"GstReferenceTimestampMeta", "(a(sa(ssv))tt)"},
  {"GstProtectionMeta", "(sa(ssv))"}, {"GstCustomMeta", "(sasa(ssv))"},
  {"GstVideoCropMeta", "(uuuu)"},
  {"GstVideoRegionOfInterestMeta", "(msiiuuuua(sa(ssv)))"},
  {"GstVideoAFDMeta", "(yuu)"}, {"GstVideoBarMeta", "(ybuu)"},
  {"GstVideoCaptionMeta", "(uay)"}, {"GstVideoTimeCodeMeta", "(uuuuuuuums)"},
  {"GstVideoAffineTransformationMeta", "ad"},
  {"GstAudioMeta", "(siibaitat)"}, {"GstAudioClippingMeta", "(itt)"},
  {"GstAudioLevelMeta", "(yb)"}, {"GstAudioDownmixMeta", "(aiaiad)"},
  {"GstMeta", "ay"}, {NULL, NULL}
};

/* Names of fields, structures, custom metas; few, as each is remembered. */
static const char *const strings[] = {
  "a", "b", "field", "application/x-cenc", "timestamp/x-ntp", "face",
  "FuzzMeta",
  "FuzzOther", "GstFuzzMeta", "taglist", "video/x-raw-rgb", "S16LE", "F64BE",
  "U8", "ENCODED", "2026-11-22T01:02:03Z", "9999-12-31T23:59:59.999+14", "",
  "x",
  "memory", "GstBuffer", "2026-W47-7T24:00:00Z", NULL
};

static const FuzzKey values[] = {
  {"gboolean", "b"}, {"guchar", "y"}, {"gint", "i"}, {"guint", "u"},
  {"glong", "x"}, {"gulong", "t"}, {"gint64", "x"}, {"guint64", "t"},
  {"gfloat", "d"}, {"gdouble", "d"}, {"gchararray", "ms"}, {"GstBitmask", "t"},
  {"GstFraction", "(ii)"}, {"GDate", "u"}, {"GDateTime", "s"},
  {"GstDateTime", "s"}, {"GstBuffer", "ay"}, {"GBytes", "ay"},
  {"GstStructure", "(sa(ssv))"}, {"GstCaps", "a(sa(ssv))"},
  {"GstValueArray", "a(sv)"}, {"GstValueList", "a(sv)"}, {"GstFormat", "i"},
  {"GstBufferFlags", "u"}, {"GstElement", "u"}, {"gpointer", "t"},
  {"GstIntRange", "(ii)"}, {"GType", "t"}, {"GEnum", "i"}, {"GFlags", "u"},
  {"GInterface", "u"}, {"void", "u"}, {"GstObject", "t"}, {NULL, NULL}
};

static const FuzzWords words = { strings, values };

static const char *const all_caps[] = {
  "video/x-raw, format=GRAY8, width=64, height=48, framerate=30/1",
  "audio/x-raw, format=S16LE, rate=48000, channels=2, "
      "channel-mask=(bitmask)0x3, layout=non-interleaved",
  "audio/x-raw, format=U8, rate=8000, channels=1, layout=interleaved",
  "video/x-h264", NULL
};

static GstBuffer *
make_buffer (FuzzInput * input, GstCaps ** caps)
{
  guint choice = fuzz_below (input, G_N_ELEMENTS (all_caps));
  gsize size = choice == 0 ? WIDTH * HEIGHT : 4 * fuzz_byte (input);
  GstBuffer *buffer = gst_buffer_new ();

  /* Of exactly that size: who reads past its end is seen. */
  if (size > 0) {
    gpointer data = g_malloc0 (size);

    gst_buffer_append_memory (buffer, gst_memory_new_wrapped (0, data, size, 0,
            size, data, g_free));
  }
  *caps = all_caps[choice] ? gst_caps_from_string (all_caps[choice]) : NULL;
  if (choice == 0 && fuzz_one_in (input, 2))
    gst_buffer_add_video_meta (buffer, 0, GST_VIDEO_FORMAT_GRAY8, WIDTH,
        HEIGHT);
  return buffer;
}

/* All that an element would read. */
static void
read_audio (GstBuffer * buffer, GstCaps * caps)
{
  GstAudioBuffer audio;
  GstAudioInfo info;
  gint plane;
  gsize i;

  if (!caps || !gst_structure_has_name (gst_caps_get_structure (caps, 0),
          "audio/x-raw"))
    return;
  fuzz_assert (gst_audio_info_from_caps (&info, caps));
  if (!gst_buffer_get_audio_meta (buffer)
      || !gst_audio_buffer_map (&audio, &info, buffer, GST_MAP_READ))
    return;
  for (plane = 0; plane < audio.n_planes; plane++)
    for (i = 0; i < GST_AUDIO_BUFFER_PLANE_SIZE (&audio); i++)
      (void) ((volatile guint8 *) audio.planes[plane])[i];
  gst_audio_buffer_unmap (&audio);
}

static void
check_meta (GstMeta * meta, gboolean video)
{
  if (meta->info->api == GST_VIDEO_CROP_META_API_TYPE) {
    GstVideoCropMeta *crop = (GstVideoCropMeta *) meta;

    fuzz_assert (crop->width > 0 && crop->height > 0);
    fuzz_assert (!video || ((guint64) crop->x + crop->width <= WIDTH
            && (guint64) crop->y + crop->height <= HEIGHT));
  } else if (meta->info->api == GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE) {
    GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *) meta;

    fuzz_assert (!video || ((guint64) roi->x + roi->w <= WIDTH
            && (guint64) roi->y + roi->h <= HEIGHT));
  } else if (meta->info->api == GST_VIDEO_TIME_CODE_META_API_TYPE) {
    GstVideoTimeCodeMeta *tc = (GstVideoTimeCodeMeta *) meta;

    fuzz_assert (gst_video_time_code_is_valid (&tc->tc));
    g_free (gst_video_time_code_to_string (&tc->tc));
    gst_video_time_code_nsec_since_daily_jam (&tc->tc);
  }
}

static void
on_lost (GstMeta * meta, gpointer user_data)
{
  /* What came from another process can go to the next. */
  fuzz_assert (FALSE);
}

static void
check_buffer (GstBuffer * buffer, GstCaps * caps)
{
  gboolean video = caps && gst_structure_has_name (gst_caps_get_structure (caps,
          0), "video/x-raw");
  g_autoptr (GVariant) again = NULL, parsed = NULL;
  g_autofree guint8 *data = NULL;
  gpointer state = NULL;
  GstBuffer *copy;
  GstMeta *meta;

  while ((meta = gst_buffer_iterate_meta (buffer, &state)))
    check_meta (meta, video);
  read_audio (buffer, caps);
  copy = gst_buffer_copy (buffer);
  gst_buffer_unref (copy);
  again = gst_mmap_metas_describe (buffer, on_lost, NULL);
  if (!again)
    return;
  data = g_malloc (g_variant_get_size (again));
  g_variant_store (again, data);
  parsed = gst_mmap_metas_parse (data, g_variant_get_size (again));
  fuzz_assert (parsed);
}

void
fuzz_run (FuzzInput * input)
{
  GstCaps *caps;
  GstBuffer *buffer = make_buffer (input, &caps);
  g_autoptr (GByteArray) bytes = NULL;
  g_autofree guint8 *exact = NULL;
  g_autoptr (GVariant) parsed = NULL;

  if (fuzz_one_in (input, 16)) {
    bytes = g_byte_array_new ();
    g_byte_array_append (bytes, input->data, input->size);
  } else {
    bytes = fuzz_serialise (input, fuzz_dict (input, "a(sv)", metas, &words));
  }
  exact = g_memdup2 (bytes->data, bytes->len);
  parsed = gst_mmap_metas_parse (exact, bytes->len);
  if (parsed) {
    gst_mmap_metas_restore (parsed, buffer, caps);
    check_buffer (buffer, caps);
  }
  gst_buffer_unref (buffer);
  gst_clear_caps (&caps);
}
