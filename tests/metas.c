/* gst-mmap: one meta of each kind, for tests
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every field has a value of its own, so that none can take another's place.
 */
#include "metas.h"

#include <gst/audio/audio.h>
#include <gst/video/gstvideoaffinetransformationmeta.h>
#include <gst/video/video-sei.h>
#include <gst/video/video.h>
#include <string.h>

static void
append_string (GValue * list, const char *string)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_STRING);
  g_value_set_string (&value, string);
  gst_value_list_append_and_take_value (list, &value);
}

/* An array of two arrays, one of them empty, and a list. */
static void
set_elements (GstStructure * structure)
{
  GValue outer = G_VALUE_INIT, inner = G_VALUE_INIT, value = G_VALUE_INIT;
  GValue list = G_VALUE_INIT;

  g_value_init (&outer, GST_TYPE_ARRAY);
  g_value_init (&inner, GST_TYPE_ARRAY);
  g_value_init (&value, G_TYPE_DOUBLE);
  g_value_set_double (&value, 0.5);
  gst_value_array_append_value (&inner, &value);
  g_value_set_double (&value, -1.5);
  gst_value_array_append_value (&inner, &value);
  gst_value_array_append_and_take_value (&outer, &inner);
  g_value_init (&inner, GST_TYPE_ARRAY);
  gst_value_array_append_and_take_value (&outer, &inner);
  gst_structure_take_value (structure, "array", &outer);

  g_value_init (&list, GST_TYPE_LIST);
  append_string (&list, "a");
  append_string (&list, "b");
  gst_structure_take_value (structure, "list", &list);
}

static void
set_bytes (GstStructure * structure)
{
  GstBuffer *buffer = gst_buffer_new_memdup ("\0key", 4);
  GBytes *bytes = g_bytes_new ("a\0b", 3);

  gst_structure_set (structure, "buffer", GST_TYPE_BUFFER, buffer, "bytes",
      G_TYPE_BYTES, bytes, NULL);
  gst_buffer_unref (buffer);
  g_bytes_unref (bytes);
}

static void
set_dates (GstStructure * structure)
{
  GDateTime *moment = g_date_time_new_utc (2026, 2, 28, 23, 59, 58.125);
  GstDateTime *gst_moment = gst_date_time_new (2.0f, 2025, 12, 31, 1, 2, 3.0);
  GDate *date = g_date_new_dmy (29, G_DATE_FEBRUARY, 2024);

  gst_structure_set (structure, "date-time", G_TYPE_DATE_TIME, moment,
      "gst-date-time", GST_TYPE_DATE_TIME, gst_moment, NULL);
  gst_structure_set (structure, "date", G_TYPE_DATE, date, NULL);
  g_date_free (date);
  g_date_time_unref (moment);
  gst_date_time_unref (gst_moment);
}

GstStructure *
meta_structure (const char *name)
{
  GstStructure *inner = gst_structure_new ("inner/x-y", "a", G_TYPE_INT, 1,
      "empty", G_TYPE_STRING, "", NULL);
  GstCaps *caps = gst_caps_from_string ("audio/x-raw, rate=(int)8000; "
      "video/x-h264");
  GstStructure *structure = gst_structure_new (name,
      "boolean", G_TYPE_BOOLEAN, TRUE, "uchar", G_TYPE_UCHAR, 200,
      "int", G_TYPE_INT, G_MININT, "uint", G_TYPE_UINT, G_MAXUINT,
      "long", G_TYPE_LONG, G_MINLONG, "ulong", G_TYPE_ULONG, G_MAXULONG,
      "int64", G_TYPE_INT64, G_MININT64, "uint64", G_TYPE_UINT64, G_MAXUINT64,
      "float", G_TYPE_FLOAT, 0.1f, "double", G_TYPE_DOUBLE, 1e-300,
      "string", G_TYPE_STRING, "\"h\303\244\", ;=(int)[1]\n",
      "null", G_TYPE_STRING, NULL, "bitmask", GST_TYPE_BITMASK,
      G_GUINT64_CONSTANT (1) << 63, "fraction", GST_TYPE_FRACTION, -30000,
      1001, "enum", GST_TYPE_FORMAT, GST_FORMAT_PERCENT, "flags",
      GST_TYPE_SEGMENT_FLAGS, GST_SEGMENT_FLAG_TRICKMODE,
      "structure", GST_TYPE_STRUCTURE, inner, "caps", GST_TYPE_CAPS, caps,
      NULL);

  set_bytes (structure);
  set_dates (structure);
  set_elements (structure);
  gst_structure_free (inner);
  gst_caps_unref (caps);
  return structure;
}

static gboolean
set_field (GQuark field, const GValue * value, gpointer structure)
{
  gst_structure_id_set_value (structure, field, value);
  return TRUE;
}

void
meta_add_custom (GstBuffer * buffer, const char *name, GstStructure * structure)
{
  static const char *tags[] = { "orientation", NULL };
  GstCustomMeta *meta;

  if (!gst_meta_get_info (name))
    g_assert_nonnull (gst_meta_register_custom (name, tags, NULL, NULL, NULL));
  meta = gst_buffer_add_custom_meta (buffer, name);
  gst_structure_foreach (structure, set_field,
      gst_custom_meta_get_structure (meta));
  gst_structure_free (structure);
}

GstStructure *
meta_get_custom (GstBuffer * buffer, const char *name)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, name);

  return meta ? gst_custom_meta_get_structure (meta) : NULL;
}

gboolean
meta_has_any (GstBuffer * buffer)
{
  gpointer state = NULL;
  GstMeta *meta;

  while ((meta = gst_buffer_iterate_meta (buffer, &state)))
    if (meta->info->api != GST_VIDEO_META_API_TYPE)
      return TRUE;
  return FALSE;
}

/* --- video --- */

static void
add_crop (GstBuffer * buffer)
{
  GstVideoCropMeta *crop = gst_buffer_add_video_crop_meta (buffer);

  crop->x = 4;
  crop->y = 3;
  crop->width = 60;
  crop->height = 40;
}

static void
check_crop (GstBuffer * buffer)
{
  GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta (buffer);

  g_assert_nonnull (crop);
  g_assert_cmpuint (crop->x, ==, 4);
  g_assert_cmpuint (crop->y, ==, 3);
  g_assert_cmpuint (crop->width, ==, 60);
  g_assert_cmpuint (crop->height, ==, 40);
}

static void
add_regions (GstBuffer * buffer)
{
  GstVideoRegionOfInterestMeta *region =
      gst_buffer_add_video_region_of_interest_meta (buffer, "face", 1, 2, 3, 4);

  region->id = 7;
  region = gst_buffer_add_video_region_of_interest_meta (buffer, "eye", 5, 6, 7,
      8);
  region->id = 8;
  region->parent_id = 7;
  gst_video_region_of_interest_meta_add_param (region, meta_structure ("one"));
  gst_video_region_of_interest_meta_add_param (region,
      gst_structure_new ("roi/two", "delta-qp", G_TYPE_INT, -5, NULL));
}

static void
check_regions (GstBuffer * buffer)
{
  GstVideoRegionOfInterestMeta *region =
      gst_buffer_get_video_region_of_interest_meta_id (buffer, 7);
  g_autoptr (GstStructure) one = meta_structure ("one");
  gint qp;

  g_assert_nonnull (region);
  g_assert_cmpstr (g_quark_to_string (region->roi_type), ==, "face");
  g_assert_cmpuint (region->w, ==, 3);
  g_assert_null (region->params);
  region = gst_buffer_get_video_region_of_interest_meta_id (buffer, 8);
  g_assert_nonnull (region);
  g_assert_cmpstr (g_quark_to_string (region->roi_type), ==, "eye");
  g_assert_cmpint (region->parent_id, ==, 7);
  g_assert_cmpuint (region->x, ==, 5);
  g_assert_cmpuint (region->y, ==, 6);
  g_assert_cmpuint (region->w, ==, 7);
  g_assert_cmpuint (region->h, ==, 8);
  g_assert_cmpuint (g_list_length (region->params), ==, 2);
  g_assert_true (gst_structure_is_equal (region->params->data, one));
  g_assert_true (gst_structure_get_int (region->params->next->data, "delta-qp",
          &qp));
  g_assert_cmpint (qp, ==, -5);
}

static void
add_afd (GstBuffer * buffer)
{
  gst_buffer_add_video_afd_meta (buffer, 1, GST_VIDEO_AFD_SPEC_ATSC_A53,
      GST_VIDEO_AFD_14_9_TOP_ALIGNED);
}

static void
check_afd (GstBuffer * buffer)
{
  GstVideoAFDMeta *afd = gst_buffer_get_video_afd_meta (buffer);

  g_assert_nonnull (afd);
  g_assert_cmpuint (afd->field, ==, 1);
  g_assert_cmpint (afd->spec, ==, GST_VIDEO_AFD_SPEC_ATSC_A53);
  g_assert_cmpint (afd->afd, ==, GST_VIDEO_AFD_14_9_TOP_ALIGNED);
}

static void
add_bar (GstBuffer * buffer)
{
  gst_buffer_add_video_bar_meta (buffer, 1, TRUE, 11, 22);
}

static void
check_bar (GstBuffer * buffer)
{
  GstVideoBarMeta *bar = gst_buffer_get_video_bar_meta (buffer);

  g_assert_nonnull (bar);
  g_assert_cmpuint (bar->field, ==, 1);
  g_assert_true (bar->is_letterbox);
  g_assert_cmpuint (bar->bar_data1, ==, 11);
  g_assert_cmpuint (bar->bar_data2, ==, 22);
}

static void
add_sei (GstBuffer * buffer)
{
  gst_buffer_add_video_sei_user_data_unregistered_meta (buffer,
      (guint8 *) "0123456789abcdef", (guint8 *) "x264\0\377", 6);
}

static void
check_sei (GstBuffer * buffer)
{
  GstVideoSEIUserDataUnregisteredMeta *sei =
      gst_buffer_get_video_sei_user_data_unregistered_meta (buffer);

  g_assert_nonnull (sei);
  g_assert_cmpmem (sei->uuid, sizeof sei->uuid, "0123456789abcdef", 16);
  g_assert_cmpmem (sei->data, sei->size, "x264\0\377", 6);
}

static void
add_caption (GstBuffer * buffer)
{
  gst_buffer_add_video_caption_meta (buffer, GST_VIDEO_CAPTION_TYPE_CEA708_RAW,
      (const guint8 *) "\0\377x", 3);
}

static void
check_caption (GstBuffer * buffer)
{
  GstVideoCaptionMeta *caption = gst_buffer_get_video_caption_meta (buffer);

  g_assert_nonnull (caption);
  g_assert_cmpint (caption->caption_type, ==,
      GST_VIDEO_CAPTION_TYPE_CEA708_RAW);
  g_assert_cmpmem (caption->data, caption->size, "\0\377x", 3);
}

static void
add_time_code (GstBuffer * buffer)
{
  g_autoptr (GDateTime) jam = g_date_time_new_utc (2026, 1, 2, 3, 4, 5.5);

  gst_buffer_add_video_time_code_meta_full (buffer, 30000, 1001, jam,
      GST_VIDEO_TIME_CODE_FLAGS_DROP_FRAME |
      GST_VIDEO_TIME_CODE_FLAGS_INTERLACED, 1, 2, 3, 4, 2);
}

static void
check_time_code (GstBuffer * buffer)
{
  GstVideoTimeCodeMeta *meta = gst_buffer_get_video_time_code_meta (buffer);
  g_autoptr (GDateTime) jam = g_date_time_new_utc (2026, 1, 2, 3, 4, 5.5);
  GstVideoTimeCode *tc;

  g_assert_nonnull (meta);
  tc = &meta->tc;
  g_assert_cmpuint (tc->config.fps_n, ==, 30000);
  g_assert_cmpuint (tc->config.fps_d, ==, 1001);
  g_assert_cmphex (tc->config.flags, ==, GST_VIDEO_TIME_CODE_FLAGS_DROP_FRAME
      | GST_VIDEO_TIME_CODE_FLAGS_INTERLACED);
  g_assert_true (g_date_time_equal (tc->config.latest_daily_jam, jam));
  g_assert_cmpuint (tc->hours, ==, 1);
  g_assert_cmpuint (tc->minutes, ==, 2);
  g_assert_cmpuint (tc->seconds, ==, 3);
  g_assert_cmpuint (tc->frames, ==, 4);
  g_assert_cmpuint (tc->field_count, ==, 2);
}

static void
add_short_time_code (GstBuffer * buffer)
{
  gst_buffer_add_video_time_code_meta_full (buffer, 25, 1, NULL, 0, 23, 59, 58,
      24, 0);
}

static void
check_short_time_code (GstBuffer * buffer)
{
  GstVideoTimeCodeMeta *meta = gst_buffer_get_video_time_code_meta (buffer);

  g_assert_nonnull (meta);
  g_assert_null (meta->tc.config.latest_daily_jam);
  g_assert_cmpuint (meta->tc.frames, ==, 24);
}

static void
add_affine (GstBuffer * buffer)
{
  GstVideoAffineTransformationMeta *affine =
      gst_buffer_add_video_affine_transformation_meta (buffer);
  guint i;

  for (i = 0; i < 16; i++)
    affine->matrix[i] = 0.1f * i;
}

static void
check_affine (GstBuffer * buffer)
{
  GstVideoAffineTransformationMeta *affine =
      gst_buffer_get_video_affine_transformation_meta (buffer);
  guint i;

  g_assert_nonnull (affine);
  for (i = 0; i < 16; i++)
    g_assert_cmpfloat (affine->matrix[i], ==, 0.1f * i);
}

/* --- audio --- */

static void
add_audio (GstBuffer * buffer)
{
  GstCaps *caps = gst_caps_from_string (META_AUDIO_CAPS);
  gsize offsets[] = { 512, 64 };
  GstAudioInfo info;

  g_assert_true (gst_audio_info_from_caps (&info, caps));
  g_assert_nonnull (gst_buffer_add_audio_meta (buffer, &info, 200, offsets));
  gst_caps_unref (caps);
}

static void
check_audio (GstBuffer * buffer)
{
  GstAudioMeta *audio = gst_buffer_get_audio_meta (buffer);

  g_assert_nonnull (audio);
  g_assert_cmpint (GST_AUDIO_INFO_FORMAT (&audio->info), ==,
      GST_AUDIO_FORMAT_S16LE);
  g_assert_cmpint (GST_AUDIO_INFO_RATE (&audio->info), ==, 48000);
  g_assert_cmpint (GST_AUDIO_INFO_CHANNELS (&audio->info), ==, 2);
  g_assert_cmpint (GST_AUDIO_INFO_LAYOUT (&audio->info), ==,
      GST_AUDIO_LAYOUT_NON_INTERLEAVED);
  g_assert_cmpint (GST_AUDIO_INFO_POSITION (&audio->info, 1), ==,
      GST_AUDIO_CHANNEL_POSITION_FRONT_RIGHT);
  g_assert_cmpuint (audio->samples, ==, 200);
  g_assert_cmpuint (audio->offsets[0], ==, 512);
  g_assert_cmpuint (audio->offsets[1], ==, 64);
}

static void
add_clipping (GstBuffer * buffer)
{
  gst_buffer_add_audio_clipping_meta (buffer, GST_FORMAT_DEFAULT, 5, 6);
}

static void
check_clipping (GstBuffer * buffer)
{
  GstAudioClippingMeta *clipping = gst_buffer_get_audio_clipping_meta (buffer);

  g_assert_nonnull (clipping);
  g_assert_cmpint (clipping->format, ==, GST_FORMAT_DEFAULT);
  g_assert_cmpuint (clipping->start, ==, 5);
  g_assert_cmpuint (clipping->end, ==, 6);
}

static void
add_level (GstBuffer * buffer)
{
  gst_buffer_add_audio_level_meta (buffer, 127, TRUE);
}

static void
check_level (GstBuffer * buffer)
{
  GstAudioLevelMeta *level = gst_buffer_get_audio_level_meta (buffer);

  g_assert_nonnull (level);
  g_assert_cmpuint (level->level, ==, 127);
  g_assert_true (level->voice_activity);
}

static const GstAudioChannelPosition stereo[] = {
  GST_AUDIO_CHANNEL_POSITION_FRONT_LEFT, GST_AUDIO_CHANNEL_POSITION_FRONT_RIGHT
};

static const GstAudioChannelPosition front[] = {
  GST_AUDIO_CHANNEL_POSITION_FRONT_LEFT, GST_AUDIO_CHANNEL_POSITION_FRONT_RIGHT,
  GST_AUDIO_CHANNEL_POSITION_FRONT_CENTER
};

static void
add_downmix (GstBuffer * buffer)
{
  const gfloat left[] = { 1.0f, 0.0f, 0.7f }, right[] = {
    0.0f, 0.5f, 0.25f
  };
  const gfloat *rows[] = { left, right };

  gst_buffer_add_audio_downmix_meta (buffer, front, 3, stereo, 2, rows);
}

static void
check_downmix (GstBuffer * buffer)
{
  GstAudioDownmixMeta *downmix =
      gst_buffer_get_audio_downmix_meta_for_channels (buffer, stereo, 2);

  g_assert_nonnull (downmix);
  g_assert_cmpint (downmix->from_channels, ==, 3);
  g_assert_cmpint (downmix->from_position[2], ==, front[2]);
  g_assert_cmpfloat (downmix->matrix[0][2], ==, 0.7f);
  g_assert_cmpfloat (downmix->matrix[1][1], ==, 0.5f);
}

/* --- the others --- */

static void
add_reference (GstBuffer * buffer)
{
  GstCaps *ntp = gst_caps_new_empty_simple ("timestamp/x-ntp");
  GstCaps *ptp = gst_caps_from_string ("timestamp/x-ptp, version=IEEE1588-2008,"
      " domain=(int)3");

  gst_buffer_add_reference_timestamp_meta (buffer, ntp, 5, GST_CLOCK_TIME_NONE);
  gst_buffer_add_reference_timestamp_meta (buffer, ptp, G_MAXUINT64 - 1, 7);
  gst_caps_unref (ntp);
  gst_caps_unref (ptp);
}

static void
check_reference (GstBuffer * buffer)
{
  GstCaps *ntp = gst_caps_new_empty_simple ("timestamp/x-ntp");
  GstCaps *ptp = gst_caps_from_string ("timestamp/x-ptp, version=IEEE1588-2008,"
      " domain=(int)3");
  GstReferenceTimestampMeta *meta;

  meta = gst_buffer_get_reference_timestamp_meta (buffer, ntp);
  g_assert_nonnull (meta);
  g_assert_cmpuint (meta->timestamp, ==, 5);
  g_assert_cmpuint (meta->duration, ==, GST_CLOCK_TIME_NONE);
  meta = gst_buffer_get_reference_timestamp_meta (buffer, ptp);
  g_assert_nonnull (meta);
  g_assert_cmpuint (meta->timestamp, ==, G_MAXUINT64 - 1);
  g_assert_cmpuint (meta->duration, ==, 7);
  gst_caps_unref (ntp);
  gst_caps_unref (ptp);
}

static void
add_protection (GstBuffer * buffer)
{
  gst_buffer_add_protection_meta (buffer,
      meta_structure ("application/x-cenc"));
}

static void
check_protection (GstBuffer * buffer)
{
  GstProtectionMeta *meta = gst_buffer_get_protection_meta (buffer);
  g_autoptr (GstStructure) expected = meta_structure ("application/x-cenc");

  g_assert_nonnull (meta);
  g_assert_true (gst_structure_is_equal (meta->info, expected));
}

static void
add_custom (GstBuffer * buffer)
{
  meta_add_custom (buffer, "test-custom-meta",
      meta_structure ("test-custom-meta"));
}

static void
check_custom (GstBuffer * buffer)
{
  GstStructure *structure = meta_get_custom (buffer, "test-custom-meta");
  g_autoptr (GstStructure) expected = meta_structure ("test-custom-meta");

  g_assert_nonnull (structure);
  g_assert_true (gst_structure_is_equal (structure, expected));
}

const MetaCase meta_cases[] = {
  {"crop", META_VIDEO_CAPS, add_crop, check_crop},
  {"region-of-interest", META_VIDEO_CAPS, add_regions, check_regions},
  {"afd", META_VIDEO_CAPS, add_afd, check_afd},
  {"bar", META_VIDEO_CAPS, add_bar, check_bar},
  {"caption", META_VIDEO_CAPS, add_caption, check_caption},
  {"sei", META_VIDEO_CAPS, add_sei, check_sei},
  {"time-code", META_VIDEO_CAPS, add_time_code, check_time_code},
  {"short-time-code", META_VIDEO_CAPS, add_short_time_code,
      check_short_time_code},
  {"affine", META_VIDEO_CAPS, add_affine, check_affine},
  {"audio", META_AUDIO_CAPS, add_audio, check_audio},
  {"audio-clipping", META_AUDIO_CAPS, add_clipping, check_clipping},
  {"audio-level", META_AUDIO_CAPS, add_level, check_level},
  {"audio-downmix", META_AUDIO_CAPS, add_downmix, check_downmix},
  {"reference-timestamp", META_VIDEO_CAPS, add_reference, check_reference},
  {"protection", META_VIDEO_CAPS, add_protection, check_protection},
  {"custom", META_VIDEO_CAPS, add_custom, check_custom},
};

const guint n_meta_cases = G_N_ELEMENTS (meta_cases);

GstBuffer *
meta_case_buffer (const MetaCase * meta)
{
  gsize size = strcmp (meta->caps, META_VIDEO_CAPS) == 0 ? 64 * 48 : 1024;
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);

  gst_buffer_memset (buffer, 0, 0x5a, size);
  return buffer;
}
