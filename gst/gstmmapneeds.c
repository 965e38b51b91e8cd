/* gst-mmap: what a consumer needs of the memory that upstream draws into
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Holds no state.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapneeds.h"

#include <string.h>

/* A page less 1: each process has the region mapped at a page of its own, so that more can't be promised. */
#define MAX_ALIGN 4095
/* Whoever says more is not believed; chosen: more than any device needs, and little memory. */
#define MAX_BYTES 65536
#define MAX_PIXELS 1024
#define MAX_BUFFERS 32

void
gst_mmap_needs_init (GstMmapNeeds * self)
{
  memset (self, 0, sizeof *self);
  gst_allocation_params_init (&self->params);
  gst_video_alignment_reset (&self->video);
}

/* Of a pool that downstream has proposed. */
static void
add_pool (GstMmapNeeds * self, GstQuery * query)
{
  GstBufferPool *pool = NULL;
  GstStructure *config;

  gst_query_parse_nth_allocation_pool (query, 0, &pool, NULL,
      &self->min_buffers, NULL);
  if (!pool)
    return;
  config = gst_buffer_pool_get_config (pool);
  if (gst_buffer_pool_config_has_option (config,
          GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT))
    gst_buffer_pool_config_get_video_alignment (config, &self->video);
  gst_structure_free (config);
  gst_object_unref (pool);
}

/* Of GstVideoMeta, with parameters. */
static void
add_video_meta (GstMmapNeeds * self, const GstStructure * params)
{
  GstVideoAlignment *video = &self->video;

  gst_structure_get_uint (params, "padding-top", &video->padding_top);
  gst_structure_get_uint (params, "padding-bottom", &video->padding_bottom);
  gst_structure_get_uint (params, "padding-left", &video->padding_left);
  gst_structure_get_uint (params, "padding-right", &video->padding_right);
  gst_structure_get_uint (params, "stride-align0", &video->stride_align[0]);
  gst_structure_get_uint (params, "stride-align1", &video->stride_align[1]);
  gst_structure_get_uint (params, "stride-align2", &video->stride_align[2]);
  gst_structure_get_uint (params, "stride-align3", &video->stride_align[3]);
}

void
gst_mmap_needs_init_query (GstMmapNeeds * self, GstQuery * query)
{
  const GstStructure *params = NULL;
  guint i;

  gst_mmap_needs_init (self);
  if (gst_query_get_n_allocation_params (query) > 0)
    gst_query_parse_nth_allocation_param (query, 0, NULL, &self->params);
  if (gst_query_get_n_allocation_pools (query) > 0)
    add_pool (self, query);
  if (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, &i))
    gst_query_parse_nth_allocation_meta (query, i, &params);
  if (params)
    add_video_meta (self, params);
  self->crop = gst_query_find_allocation_meta (query,
      GST_VIDEO_CROP_META_API_TYPE, NULL);
}

GVariant *
gst_mmap_needs_to_variant (const GstMmapNeeds * self)
{
  const GstVideoAlignment *video = &self->video;
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "align", "t", (guint64) self->params.align);
  g_variant_dict_insert (&dict, "prefix", "t", (guint64) self->params.prefix);
  g_variant_dict_insert (&dict, "padding", "t", (guint64) self->params.padding);
  g_variant_dict_insert (&dict, "video-padding", "(uuuu)", video->padding_top,
      video->padding_bottom, video->padding_left, video->padding_right);
  g_variant_dict_insert (&dict, "stride-align", "(uuuu)",
      video->stride_align[0], video->stride_align[1], video->stride_align[2],
      video->stride_align[3]);
  g_variant_dict_insert (&dict, "min-buffers", "u", self->min_buffers);
  g_variant_dict_insert (&dict, "crop", "b", self->crop);
  g_variant_dict_insert (&dict, "default-layout", "b", self->default_layout);
  return g_variant_dict_end (&dict);
}

/* The next power of two, less 1. */
static guint
to_mask (guint64 align)
{
  guint mask = 0;

  if (align > MAX_ALIGN)
    return 0;
  while (mask < align)
    mask = mask << 1 | 1;
  return mask;
}

static gsize
lookup_bytes (GVariant * dict, const char *key)
{
  guint64 bytes = 0;

  g_variant_lookup (dict, key, "t", &bytes);
  return bytes <= MAX_BYTES ? bytes : 0;
}

void
gst_mmap_needs_init_variant (GstMmapNeeds * self, GVariant * dict)
{
  GstVideoAlignment *video = &self->video;
  guint32 a = 0, b = 0, c = 0, d = 0;
  guint64 align = 0;

  gst_mmap_needs_init (self);
  g_variant_lookup (dict, "align", "t", &align);
  self->params.align = to_mask (align);
  self->params.prefix = lookup_bytes (dict, "prefix");
  self->params.padding = lookup_bytes (dict, "padding");
  if (g_variant_lookup (dict, "video-padding", "(uuuu)", &a, &b, &c, &d)
      && MAX (MAX (a, b), MAX (c, d)) <= MAX_PIXELS) {
    video->padding_top = a;
    video->padding_bottom = b;
    video->padding_left = c;
    video->padding_right = d;
  }
  if (g_variant_lookup (dict, "stride-align", "(uuuu)", &a, &b, &c, &d)) {
    video->stride_align[0] = to_mask (a);
    video->stride_align[1] = to_mask (b);
    video->stride_align[2] = to_mask (c);
    video->stride_align[3] = to_mask (d);
  }
  g_variant_lookup (dict, "min-buffers", "u", &self->min_buffers);
  self->min_buffers = MIN (self->min_buffers, MAX_BUFFERS);
  g_variant_lookup (dict, "crop", "b", &self->crop);
  g_variant_lookup (dict, "default-layout", "b", &self->default_layout);
}

void
gst_mmap_needs_add (GstMmapNeeds * self, const GstMmapNeeds * other)
{
  GstVideoAlignment *a = &self->video;
  const GstVideoAlignment *b = &other->video;
  guint i;

  self->params.align |= other->params.align;
  self->params.prefix = MAX (self->params.prefix, other->params.prefix);
  self->params.padding = MAX (self->params.padding, other->params.padding);
  a->padding_top = MAX (a->padding_top, b->padding_top);
  a->padding_bottom = MAX (a->padding_bottom, b->padding_bottom);
  a->padding_left = MAX (a->padding_left, b->padding_left);
  a->padding_right = MAX (a->padding_right, b->padding_right);
  for (i = 0; i < GST_VIDEO_MAX_PLANES; i++)
    a->stride_align[i] |= b->stride_align[i];
  self->min_buffers = MAX (self->min_buffers, other->min_buffers);
  self->default_layout = self->default_layout || other->default_layout;
}

gboolean
gst_mmap_needs_include (const GstMmapNeeds * self, const GstMmapNeeds * other)
{
  GstMmapNeeds both = *self;

  gst_mmap_needs_add (&both, other);
  return both.params.align == self->params.align
      && both.params.prefix == self->params.prefix
      && both.params.padding == self->params.padding
      && memcmp (&both.video, &self->video, sizeof both.video) == 0
      && both.min_buffers == self->min_buffers
      && both.default_layout == self->default_layout;
}
