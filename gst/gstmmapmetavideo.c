/* gst-mmap: metas of video
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from the streaming threads of both elements.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapmetakinds.h"

#include "gstmmapstructure.h"
#include "gstmmapvalue.h"

#include <gst/video/gstvideoaffinetransformationmeta.h>
#include <gst/video/video-sei.h>
#include <gst/video/video.h>
#include <math.h>

/* Of a picture whose size nobody says, such as an encoded one; chosen: as of those that gstmmapframe.c accepts. */
#define MAX_SIDE_PIXELS (1 << 24)

#define MATRIX_ELEMENTS 16

/* Elements take for granted that what they are to cut out is there. */
static void
get_picture (GstBuffer * buffer, GstCaps * caps, guint * width, guint * height)
{
  GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);
  GstVideoInfo info;

  *width = *height = MAX_SIDE_PIXELS;
  if (meta) {
    *width = meta->width;
    *height = meta->height;
  } else if (caps && gst_structure_has_name (gst_caps_get_structure (caps, 0),
          "video/x-raw") && gst_video_info_from_caps (&info, caps)) {
    *width = GST_VIDEO_INFO_WIDTH (&info);
    *height = GST_VIDEO_INFO_HEIGHT (&info);
  }
}

static GVariant *
describe_crop (GstMeta * meta)
{
  GstVideoCropMeta *crop = (GstVideoCropMeta *) meta;

  return g_variant_new ("(uuuu)", crop->x, crop->y, crop->width, crop->height);
}

static gboolean
restore_crop (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  guint x, y, width, height, picture_width, picture_height;
  GstVideoCropMeta *crop;

  g_variant_get (value, "(uuuu)", &x, &y, &width, &height);
  get_picture (buffer, caps, &picture_width, &picture_height);
  if (width == 0 || width > picture_width || x > picture_width - width
      || height == 0 || height > picture_height || y > picture_height - height)
    return FALSE;
  crop = gst_buffer_add_video_crop_meta (buffer);
  crop->x = x;
  crop->y = y;
  crop->width = width;
  crop->height = height;
  return TRUE;
}

static GVariant *
describe_region (GstMeta * meta)
{
  GstVideoRegionOfInterestMeta *region = (GstVideoRegionOfInterestMeta *) meta;
  const char *type = g_quark_to_string (region->roi_type);
  GVariantBuilder params;
  GList *item;

  if (type && !g_utf8_validate (type, -1, NULL))
    return NULL;
  g_variant_builder_init (&params, G_VARIANT_TYPE (GST_MMAP_CAPS_TYPE));
  for (item = region->params; item; item = item->next) {
    GVariant *param = gst_mmap_structure_to_variant (item->data);

    if (!param) {
      g_variant_builder_clear (&params);
      return NULL;
    }
    g_variant_builder_add_value (&params, param);
  }
  return g_variant_new ("(msiiuuuu" GST_MMAP_CAPS_TYPE ")", type, region->id,
      region->parent_id, region->x, region->y, region->w, region->h, &params);
}

static gboolean
restore_params (GVariant * params, GstVideoRegionOfInterestMeta * region)
{
  GVariantIter iter;
  GVariant *param;
  gboolean good = TRUE;

  g_variant_iter_init (&iter, params);
  while (good && (param = g_variant_iter_next_value (&iter))) {
    GstStructure *structure = gst_mmap_structure_from_variant (param);

    good = structure != NULL;
    if (good)
      region->params = g_list_prepend (region->params, structure);
    g_variant_unref (param);
  }
  region->params = g_list_reverse (region->params);
  return good;
}

/* Detectors draw regions over the edge, and others take it for granted that they are in the picture: the part that is there. */
static gboolean
restore_region (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  guint x, y, w, h, width, height;
  GstVideoRegionOfInterestMeta *region;
  g_autoptr (GVariant) params = NULL;
  const char *type;
  gint id, parent_id;
  GQuark quark = 0;

  g_variant_get (value, "(m&siiuuuu@" GST_MMAP_CAPS_TYPE ")", &type, &id,
      &parent_id, &x, &y, &w, &h, &params);
  get_picture (buffer, caps, &width, &height);
  if (x > width || y > height
      || (type && !gst_mmap_name_to_quark (type, &quark)))
    return FALSE;
  region = gst_buffer_add_video_region_of_interest_meta_id (buffer, quark, x, y,
      MIN (w, width - x), MIN (h, height - y));
  region->id = id;
  region->parent_id = parent_id;
  if (restore_params (params, region))
    return TRUE;
  gst_buffer_remove_meta (buffer, &region->meta);
  return FALSE;
}

static GVariant *
describe_afd (GstMeta * meta)
{
  GstVideoAFDMeta *afd = (GstVideoAFDMeta *) meta;

  return g_variant_new ("(yuu)", afd->field, afd->spec, afd->afd);
}

static gboolean
restore_afd (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  guint spec, afd;
  guint8 field;

  g_variant_get (value, "(yuu)", &field, &spec, &afd);
  /* Those that GstVideoAFDValue has, and DVB has no "unavailable". */
  if (field > 1 || spec > GST_VIDEO_AFD_SPEC_SMPTE_ST2016_1 || afd > 15
      || afd == 1 || (afd >= 5 && afd <= 7) || afd == 12
      || (afd == 0 && spec == GST_VIDEO_AFD_SPEC_DVB_ETSI))
    return FALSE;
  return gst_buffer_add_video_afd_meta (buffer, field, spec, afd) != NULL;
}

static GVariant *
describe_bar (GstMeta * meta)
{
  GstVideoBarMeta *bar = (GstVideoBarMeta *) meta;

  return g_variant_new ("(ybuu)", bar->field, bar->is_letterbox,
      bar->bar_data1, bar->bar_data2);
}

static gboolean
restore_bar (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  gboolean is_letterbox;
  guint data1, data2;
  guint8 field;

  g_variant_get (value, "(ybuu)", &field, &is_letterbox, &data1, &data2);
  return field <= 1 && gst_buffer_add_video_bar_meta (buffer, field,
      is_letterbox, data1, data2) != NULL;
}

static GVariant *
describe_caption (GstMeta * meta)
{
  GstVideoCaptionMeta *caption = (GstVideoCaptionMeta *) meta;

  return g_variant_new ("(u@ay)", caption->caption_type,
      g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, caption->data,
          caption->size, 1));
}

static gboolean
restore_caption (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  g_autoptr (GVariant) bytes = NULL;
  const guint8 *data;
  guint32 type;
  gsize size;

  g_variant_get (value, "(u@ay)", &type, &bytes);
  data = g_variant_get_fixed_array (bytes, &size, 1);
  if (type < GST_VIDEO_CAPTION_TYPE_CEA608_RAW
      || type > GST_VIDEO_CAPTION_TYPE_CEA708_CDP || size == 0)
    return FALSE;
  return gst_buffer_add_video_caption_meta (buffer, type, data, size) != NULL;
}

static GVariant *
describe_time_code (GstMeta * meta)
{
  GstVideoTimeCode *tc = &((GstVideoTimeCodeMeta *) meta)->tc;
  GDateTime *jam = tc->config.latest_daily_jam;

  return g_variant_new ("(uuuuuuuu@ms)", tc->config.fps_n, tc->config.fps_d,
      (guint32) tc->config.flags, tc->hours, tc->minutes, tc->seconds,
      tc->frames, tc->field_count, g_variant_new_maybe (G_VARIANT_TYPE_STRING,
          jam ? gst_mmap_date_time_to_variant (jam) : NULL));
}

static gboolean
restore_time_code (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  g_autoptr (GVariant) jam_text = NULL;
  g_autoptr (GDateTime) jam = NULL;
  GstVideoTimeCode tc;
  guint32 flags;
  gboolean good;

  memset (&tc, 0, sizeof tc);
  g_variant_get (value, "(uuuuuuuums)", &tc.config.fps_n, &tc.config.fps_d,
      &flags, &tc.hours, &tc.minutes, &tc.seconds, &tc.frames,
      &tc.field_count, NULL);
  g_variant_get_child (value, 8, "m@s", &jam_text);
  if (jam_text)
    jam = gst_mmap_date_time_from_variant (jam_text);
  if ((jam_text && !jam) || tc.config.fps_n > G_MAXINT || tc.config.fps_d == 0
      || tc.config.fps_d > G_MAXINT || tc.field_count > 2
      || (flags & ~(guint32) (GST_VIDEO_TIME_CODE_FLAGS_DROP_FRAME
              | GST_VIDEO_TIME_CODE_FLAGS_INTERLACED)))
    return FALSE;
  tc.config.flags = flags;
  tc.config.latest_daily_jam = jam;
  good = gst_video_time_code_is_valid (&tc)
      && gst_buffer_add_video_time_code_meta (buffer, &tc);
  return good;
}

static GVariant *
describe_affine (GstMeta * meta)
{
  GstVideoAffineTransformationMeta *affine =
      (GstVideoAffineTransformationMeta *) meta;
  gdouble matrix[MATRIX_ELEMENTS];
  guint i;

  for (i = 0; i < MATRIX_ELEMENTS; i++)
    matrix[i] = affine->matrix[i];
  return g_variant_new_fixed_array (G_VARIANT_TYPE_DOUBLE, matrix,
      MATRIX_ELEMENTS, sizeof matrix[0]);
}

static gboolean
restore_affine (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  GstVideoAffineTransformationMeta *affine;
  const gdouble *matrix;
  gsize n, i;

  matrix = g_variant_get_fixed_array (value, &n, sizeof *matrix);
  if (n != MATRIX_ELEMENTS)
    return FALSE;
  for (i = 0; i < n; i++)
    if (!isfinite ((gfloat) matrix[i]))
      return FALSE;
  affine = gst_buffer_add_video_affine_transformation_meta (buffer);
  for (i = 0; i < n; i++)
    affine->matrix[i] = matrix[i];
  return TRUE;
}

#define SEI_UUID_BYTES 16

static GVariant *
describe_sei (GstMeta * meta)
{
  GstVideoSEIUserDataUnregisteredMeta *sei =
      (GstVideoSEIUserDataUnregisteredMeta *) meta;

  return g_variant_new ("(@ay@ay)",
      g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, sei->uuid,
          SEI_UUID_BYTES, 1),
      g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, sei->data, sei->size, 1));
}

static gboolean
restore_sei (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  g_autoptr (GVariant) uuid = NULL, bytes = NULL;
  gsize uuid_size, size;
  const guint8 *id, *data;

  g_variant_get (value, "(@ay@ay)", &uuid, &bytes);
  id = g_variant_get_fixed_array (uuid, &uuid_size, 1);
  data = g_variant_get_fixed_array (bytes, &size, 1);
  /* GStreamer copies both. */
  return uuid_size == SEI_UUID_BYTES && size > 0
      && gst_buffer_add_video_sei_user_data_unregistered_meta (buffer,
      (guint8 *) id, (guint8 *) data, size) != NULL;
}

const GstMmapMetaKind gst_mmap_video_metas[] = {
  {"GstVideoCropMeta", "(uuuu)", gst_video_crop_meta_api_get_type,
      describe_crop, restore_crop},
  {"GstVideoRegionOfInterestMeta", "(msiiuuuu" GST_MMAP_CAPS_TYPE ")",
        gst_video_region_of_interest_meta_api_get_type, describe_region,
      restore_region},
  {"GstVideoAFDMeta", "(yuu)", gst_video_afd_meta_api_get_type, describe_afd,
      restore_afd},
  {"GstVideoBarMeta", "(ybuu)", gst_video_bar_meta_api_get_type, describe_bar,
      restore_bar},
  {"GstVideoCaptionMeta", "(uay)", gst_video_caption_meta_api_get_type,
      describe_caption, restore_caption},
  {"GstVideoTimeCodeMeta", "(uuuuuuuums)",
        gst_video_time_code_meta_api_get_type, describe_time_code,
      restore_time_code},
  {"GstVideoAffineTransformationMeta", "ad",
        gst_video_affine_transformation_meta_api_get_type, describe_affine,
      restore_affine},
  {"GstVideoSEIUserDataUnregisteredMeta", "(ayay)",
        gst_video_sei_user_data_unregistered_meta_api_get_type, describe_sei,
      restore_sei},
  {NULL}
};
