/* gst-mmap: metas of audio
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

#include <gst/audio/audio.h>
#include <math.h>

/* GStreamer has positions for so many channels. */
#define MAX_POSITIONS 64
/* Chosen: far above any stream, and few enough to compare each with each. */
#define MAX_CHANNELS 1024
/* RFC 6464: -dBov. */
#define MAX_LEVEL 127

/* --- channel positions --- */

static GVariant *
describe_positions (const GstAudioChannelPosition * positions, guint n)
{
  gint32 numbers[MAX_POSITIONS];
  guint i;

  n = n > MAX_POSITIONS ? 0 : n;
  for (i = 0; i < n; i++)
    numbers[i] = positions[i];
  return g_variant_new_fixed_array (G_VARIANT_TYPE_INT32, numbers, n,
      sizeof numbers[0]);
}

/* Returns: how many; -1 if there can't be such. None of them is known of more than 64 channels. */
static gint
restore_positions (GVariant * value, GstAudioChannelPosition * positions)
{
  const gint32 *numbers;
  gsize n, i, n_none = 0;

  numbers = g_variant_get_fixed_array (value, &n, sizeof *numbers);
  if (n > MAX_POSITIONS)
    return -1;
  for (i = 0; i < n; i++) {
    if (numbers[i] < GST_AUDIO_CHANNEL_POSITION_NONE
        || numbers[i] >= MAX_POSITIONS)
      return -1;
    if (numbers[i] == GST_AUDIO_CHANNEL_POSITION_NONE)
      n_none++;
    positions[i] = numbers[i];
  }
  if (n > 0 && n_none != n
      && !gst_audio_check_valid_channel_positions (positions, n, FALSE))
    return -1;
  return n;
}

/* --- GstAudioMeta --- */

static GVariant *
describe_audio (GstMeta * meta)
{
  GstAudioMeta *audio = (GstAudioMeta *) meta;
  const GstAudioInfo *info = &audio->info;
  gboolean planar = GST_AUDIO_INFO_LAYOUT (info) ==
      GST_AUDIO_LAYOUT_NON_INTERLEAVED;
  guint n = GST_AUDIO_INFO_CHANNELS (info), i;
  GVariantBuilder offsets;

  if (!GST_AUDIO_INFO_IS_VALID (info))
    return NULL;
  g_variant_builder_init (&offsets, G_VARIANT_TYPE ("at"));
  for (i = 0; planar && i < n; i++)
    g_variant_builder_add (&offsets, "t", (guint64) audio->offsets[i]);
  return g_variant_new ("(siib@aitat)",
      gst_audio_format_to_string (GST_AUDIO_INFO_FORMAT (info)),
      GST_AUDIO_INFO_RATE (info), n, planar, describe_positions (info->position,
          n), (guint64) audio->samples, &offsets);
}

/* Channels lie in the buffer, and none in another. */
static gboolean
planes_fit (const guint64 * offsets, gsize n, guint64 bytes, gsize size)
{
  gsize i, j;

  for (i = 0; i < n; i++) {
    if (bytes > size || offsets[i] > size - bytes)
      return FALSE;
    for (j = 0; j < i; j++)
      if (offsets[i] < offsets[j] + bytes && offsets[j] < offsets[i] + bytes)
        return FALSE;
  }
  return TRUE;
}

/* Elements map a buffer by the caps' format, and take it for granted that the meta has the same. */
static gboolean
fits_caps (const GstAudioInfo * info, GstCaps * caps)
{
  GstAudioInfo expected;

  return caps && gst_structure_has_name (gst_caps_get_structure (caps, 0),
      "audio/x-raw") && gst_audio_info_from_caps (&expected, caps)
      && gst_audio_info_is_equal (info, &expected);
}

static gboolean
restore_info (GstAudioInfo * info, const char *name, gint rate, gint channels,
    gboolean planar, GVariant * positions_value)
{
  GstAudioChannelPosition positions[MAX_POSITIONS];
  GstAudioFormat format = gst_audio_format_from_string (name);
  gint n = restore_positions (positions_value, positions);

  if (format == GST_AUDIO_FORMAT_UNKNOWN || format == GST_AUDIO_FORMAT_ENCODED
      || rate <= 0 || channels <= 0 || channels > MAX_CHANNELS || n < 0
      || (n > 0 && n != channels))
    return FALSE;
  /* GStreamer knows one order only. */
  if (n > 0 && positions[0] != GST_AUDIO_CHANNEL_POSITION_NONE
      && !gst_audio_check_valid_channel_positions (positions, n, TRUE))
    return FALSE;
  gst_audio_info_init (info);
  gst_audio_info_set_format (info, format, rate, channels,
      n > 0 ? positions : NULL);
  info->layout = planar ? GST_AUDIO_LAYOUT_NON_INTERLEAVED :
      GST_AUDIO_LAYOUT_INTERLEAVED;
  return TRUE;
}

static gboolean
restore_audio (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  g_autoptr (GVariant) positions = NULL, offsets_value = NULL;
  gsize size = gst_buffer_get_size (buffer), n_offsets, i;
  gsize offsets[MAX_CHANNELS];
  const guint64 *numbers;
  gint rate, channels;
  GstAudioInfo info;
  gboolean planar;
  guint64 samples;
  const char *name;

  g_variant_get (value, "(&siib@ait@at)", &name, &rate, &channels, &planar,
      &positions, &samples, &offsets_value);
  if (!restore_info (&info, name, rate, channels, planar, positions)
      || !fits_caps (&info, caps)
      || samples > size / GST_AUDIO_INFO_BPF (&info))
    return FALSE;
  numbers = g_variant_get_fixed_array (offsets_value, &n_offsets,
      sizeof *numbers);
  if (n_offsets != (planar ? (gsize) channels : 0)
      || !planes_fit (numbers, n_offsets,
          samples * GST_AUDIO_INFO_BPS (&info), size))
    return FALSE;
  for (i = 0; i < n_offsets; i++)
    offsets[i] = numbers[i];
  return gst_buffer_add_audio_meta (buffer, &info, samples,
      planar ? offsets : NULL) != NULL;
}

/* --- the others --- */

static GVariant *
describe_clipping (GstMeta * meta)
{
  GstAudioClippingMeta *clipping = (GstAudioClippingMeta *) meta;

  return g_variant_new ("(itt)", clipping->format, clipping->start,
      clipping->end);
}

static gboolean
restore_clipping (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  guint64 start, end;
  gint format;

  g_variant_get (value, "(itt)", &format, &start, &end);
  /* Formats that somebody registered have other numbers in each process. */
  if (format != GST_FORMAT_DEFAULT && format != GST_FORMAT_BYTES
      && format != GST_FORMAT_TIME)
    return FALSE;
  return gst_buffer_add_audio_clipping_meta (buffer, format, start,
      end) != NULL;
}

static GVariant *
describe_level (GstMeta * meta)
{
  GstAudioLevelMeta *level = (GstAudioLevelMeta *) meta;

  return g_variant_new ("(yb)", level->level, level->voice_activity);
}

static gboolean
restore_level (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  gboolean voice_activity;
  guint8 level;

  g_variant_get (value, "(yb)", &level, &voice_activity);
  return level <= MAX_LEVEL && gst_buffer_add_audio_level_meta (buffer, level,
      voice_activity) != NULL;
}

static GVariant *
describe_downmix (GstMeta * meta)
{
  GstAudioDownmixMeta *downmix = (GstAudioDownmixMeta *) meta;
  GVariantBuilder matrix;
  gint to, from;

  if (downmix->from_channels > MAX_POSITIONS
      || downmix->to_channels > MAX_POSITIONS)
    return NULL;
  g_variant_builder_init (&matrix, G_VARIANT_TYPE ("ad"));
  for (to = 0; to < downmix->to_channels; to++)
    for (from = 0; from < downmix->from_channels; from++)
      g_variant_builder_add (&matrix, "d", (gdouble) downmix->matrix[to][from]);
  return g_variant_new ("(@ai@aiad)",
      describe_positions (downmix->from_position, downmix->from_channels),
      describe_positions (downmix->to_position, downmix->to_channels), &matrix);
}

static gboolean
restore_downmix (GVariant * value, GstBuffer * buffer, GstCaps * caps)
{
  g_autoptr (GVariant) from_value = NULL, to_value = NULL, matrix = NULL;
  GstAudioChannelPosition from[MAX_POSITIONS], to[MAX_POSITIONS];
  gfloat factors[MAX_POSITIONS * MAX_POSITIONS];
  const gfloat *rows[MAX_POSITIONS];
  const gdouble *numbers;
  gint n_from, n_to;
  gsize n, i;

  g_variant_get (value, "(@ai@ai@ad)", &from_value, &to_value, &matrix);
  n_from = restore_positions (from_value, from);
  n_to = restore_positions (to_value, to);
  numbers = g_variant_get_fixed_array (matrix, &n, sizeof *numbers);
  if (n_from <= 0 || n_to <= 0 || n != (gsize) n_from * n_to)
    return FALSE;
  for (i = 0; i < n; i++) {
    factors[i] = numbers[i];
    if (!isfinite (factors[i]))
      return FALSE;
  }
  for (i = 0; i < (gsize) n_to; i++)
    rows[i] = factors + i * n_from;
  return gst_buffer_add_audio_downmix_meta (buffer, from, n_from, to, n_to,
      rows) != NULL;
}

const GstMmapMetaKind gst_mmap_audio_metas[] = {
  {"GstAudioMeta", "(siibaitat)", gst_audio_meta_api_get_type, describe_audio,
      restore_audio},
  {"GstAudioClippingMeta", "(itt)", gst_audio_clipping_meta_api_get_type,
      describe_clipping, restore_clipping},
  {"GstAudioLevelMeta", "(yb)", gst_audio_level_meta_api_get_type,
      describe_level, restore_level},
  {"GstAudioDownmixMeta", "(aiaiad)", gst_audio_downmix_meta_api_get_type,
      describe_downmix, restore_downmix},
  {NULL}
};
