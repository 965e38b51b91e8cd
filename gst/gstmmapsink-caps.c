/* gst-mmap: mmapsink: what it negotiates with upstream
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Caps that all consumers accept, memory that all can use. On the streaming thread, but for queries.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsink-private.h"

#include "gstmmapblockallocator.h"
#include "gstmmappool.h"
#include "gstmmapsizes.h"

#include <gst/video/video-overlay-composition.h>
#include <string.h>

#define GST_CAT_DEFAULT gst_mmap_sink_debug

gboolean
gst_mmap_sink_set_caps (GstBaseSink * sink, GstCaps * caps)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  MmapEvent wire =
      { MMAP_EVENT_CAPS, 0, gst_mmap_sink_order_of (GST_EVENT_CAPS) };
  GstFlowReturn flow;

  g_free (self->media);
  self->media = gst_caps_to_string (caps);
  wire.data = self->media;
  wire.size = strlen (self->media);
  if (!gst_mmap_sink_ensure_region_for_caps (self, caps))
    return FALSE;
  /* In order: after the last frame of the old caps, before the first of the new. */
  gst_mmap_consumers_begin_caps (self->consumers, caps);
  flow = gst_mmap_sink_push_wire (self, &wire, TRUE);
  gst_mmap_consumers_end_caps (self->consumers);
  return flow == GST_FLOW_OK;
}

/* Of the pads of an element. */
typedef struct
{
  gboolean any;
  gboolean fed;
} Feed;

static gboolean is_fed (GstPad * pad);

static void
look_at_feed (const GValue * item, gpointer data)
{
  Feed *feed = data;

  feed->any = TRUE;
  feed->fed = feed->fed || is_fed (g_value_get_object (item));
}

/* Whether the way upstream from @pad, a sink pad, ends at a source, and not where nothing is linked yet. */
static gboolean
is_fed (GstPad * pad)
{
  g_autoptr (GstPad) peer = gst_pad_get_peer (pad);
  GstIterator *pads = peer ? gst_pad_iterate_internal_links (peer) : NULL;
  Feed feed = { FALSE, FALSE };

  if (pads) {
    while (gst_iterator_foreach (pads, look_at_feed,
            &feed) == GST_ITERATOR_RESYNC) {
      gst_iterator_resync (pads);
      feed.any = FALSE;
    }
    gst_iterator_free (pads);
  }
  return peer && (feed.fed || !feed.any);
}

GstCaps *
gst_mmap_sink_get_caps (GstBaseSink * sink, GstCaps * filter)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  GstCaps *caps = NULL;

  /* Whether two elements can be linked is not for consumers to decide: they are asked for once there is a source. */
  if (!is_fed (GST_BASE_SINK_PAD (self)))
    return filter ? gst_caps_ref (filter) : gst_caps_new_any ();
  GST_OBJECT_LOCK (self);
  if (self->consumers)
    caps = gst_mmap_consumers_get_caps (self->consumers, filter);
  GST_OBJECT_UNLOCK (self);
  if (caps)
    return caps;
  return filter ? gst_caps_ref (filter) : gst_caps_new_any ();
}

/* An overlay beside the picture is a meta that can't cross: who draws it is to draw it into the picture. It would try at each
 * reconfiguration, and consumers that don't accept such caps would ask for another one. */
static gboolean
has_overlay (GstCaps * caps)
{
  guint i;

  for (i = 0; i < gst_caps_get_size (caps); i++)
    if (!gst_caps_features_is_any (gst_caps_get_features (caps, i))
        && gst_caps_features_contains (gst_caps_get_features (caps, i),
            GST_CAPS_FEATURE_META_GST_VIDEO_OVERLAY_COMPOSITION))
      return TRUE;
  return FALSE;
}

gboolean
gst_mmap_sink_query (GstBaseSink * sink, GstQuery * query)
{
  GstCaps *caps;

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_ACCEPT_CAPS:
      /* What upstream decides: a consumer that can't take it is not upstream's fault. */
      gst_query_parse_accept_caps (query, &caps);
      gst_query_set_accept_caps_result (query, !has_overlay (caps));
      return TRUE;
    case GST_QUERY_DRAIN:
      /* What consumers still hold doesn't keep upstream from making another pool. */
      return TRUE;
    default:
      return GST_MMAP_SINK_PARENT->query (sink, query);
  }
}

static gboolean
needs_video_alignment (const GstMmapNeeds * needs)
{
  GstVideoAlignment none;

  gst_video_alignment_reset (&none);
  return !needs->default_layout
      && memcmp (&none, &needs->video, sizeof none) != 0;
}

static gboolean
gst_mmap_sink_add_pool (GstMmapSink * self, GstQuery * query, GstCaps * caps,
    guint64 frame, GstMmapNeeds * needs)
{
  GstBufferPool *pool = gst_mmap_pool_new (self->allocator);
  GstStructure *config = gst_buffer_pool_get_config (pool);
  guint size;

  gst_buffer_pool_config_set_params (config, caps, frame, needs->min_buffers,
      0);
  gst_buffer_pool_config_set_allocator (config, NULL, &needs->params);
  if (needs_video_alignment (needs)) {
    gst_buffer_pool_config_add_option (config,
        GST_BUFFER_POOL_OPTION_VIDEO_META);
    gst_buffer_pool_config_add_option (config,
        GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
    gst_buffer_pool_config_set_video_alignment (config, &needs->video);
  }
  if (!gst_buffer_pool_set_config (pool, config)) {
    gst_object_unref (pool);
    return FALSE;
  }
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_get_params (config, NULL, &size, NULL, NULL);
  gst_structure_free (config);
  gst_query_add_allocation_pool (query, pool, size, needs->min_buffers, 0);
  gst_object_unref (pool);
  return TRUE;
}

/* For an upstream with memory of its own. */
static void
add_needs (GstQuery * query, const GstMmapNeeds * needs)
{
  const GstVideoAlignment *video = &needs->video;
  GstStructure *params = NULL;

  if (needs_video_alignment (needs))
    params = gst_structure_new ("video-meta",
        "padding-top", G_TYPE_UINT, video->padding_top,
        "padding-bottom", G_TYPE_UINT, video->padding_bottom,
        "padding-left", G_TYPE_UINT, video->padding_left,
        "padding-right", G_TYPE_UINT, video->padding_right,
        "stride-align0", G_TYPE_UINT, video->stride_align[0],
        "stride-align1", G_TYPE_UINT, video->stride_align[1],
        "stride-align2", G_TYPE_UINT, video->stride_align[2],
        "stride-align3", G_TYPE_UINT, video->stride_align[3], NULL);
  if (!needs->default_layout)
    gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, params);
  g_clear_pointer (&params, gst_structure_free);
  if (needs->crop)
    gst_query_add_allocation_meta (query, GST_VIDEO_CROP_META_API_TYPE, NULL);
  if (needs->params.align || needs->params.prefix || needs->params.padding)
    gst_query_add_allocation_param (query, NULL, &needs->params);
}

gboolean
gst_mmap_sink_propose_allocation (GstBaseSink * sink, GstQuery * query)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  GstMmapNeeds needs;
  gboolean need_pool;
  guint64 frame;
  GstCaps *caps;

  gst_query_parse_allocation (query, &caps, &need_pool);
  if (!caps || !self->started)
    return FALSE;
  gst_mmap_consumers_propose (self->consumers, &needs);
  self->min_buffers = needs.min_buffers;

  frame = gst_mmap_sizes_frame (caps);
  if (!gst_mmap_sink_ensure_region_for_caps (self, caps))
    return FALSE;
  if (frame == 0) {
    GstAllocator *allocator = gst_mmap_block_allocator_new (self->allocator);

    gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
    gst_query_add_allocation_param (query, allocator, &needs.params);
    gst_object_unref (allocator);
    return TRUE;
  }
  add_needs (query, &needs);
  if (need_pool && mmap_producer_get_capacity (self->producer) >=
      gst_mmap_sizes_pool (frame))
    return gst_mmap_sink_add_pool (self, query, caps, frame, &needs);
  return TRUE;
}
