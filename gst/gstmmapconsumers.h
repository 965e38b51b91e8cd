/* gst-mmap: what a sink has to do with its consumers, besides frames
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gstmmapneeds.h"
#include "producer.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * GstMmapForward:
 * @GST_MMAP_FORWARD_SEEK: seeks, steps, selections of streams and of entries of a table of contents
 * @GST_MMAP_FORWARD_QOS: quality of service
 * @GST_MMAP_FORWARD_NAVIGATION: mouse and keyboard
 * @GST_MMAP_FORWARD_FORCE_KEY_UNIT: requests for a keyframe
 * @GST_MMAP_FORWARD_RECONFIGURE: other caps, for a consumer that doesn't accept the present ones
 * @GST_MMAP_FORWARD_LATENCY: the latency of a consumer's pipeline
 * @GST_MMAP_FORWARD_CUSTOM: custom events
 * @GST_MMAP_FORWARD_QUERY: queries: position, duration, seeking, segment, convert, custom
 *
 * What consumers say that is handed on to the elements before the sink.
 */
typedef enum
{
  GST_MMAP_FORWARD_SEEK = 1 << 0,
  GST_MMAP_FORWARD_QOS = 1 << 1,
  GST_MMAP_FORWARD_NAVIGATION = 1 << 2,
  GST_MMAP_FORWARD_FORCE_KEY_UNIT = 1 << 3,
  GST_MMAP_FORWARD_RECONFIGURE = 1 << 4,
  GST_MMAP_FORWARD_LATENCY = 1 << 5,
  GST_MMAP_FORWARD_CUSTOM = 1 << 6,
  GST_MMAP_FORWARD_QUERY = 1 << 7,
} GstMmapForward;

#define GST_MMAP_FORWARD_ALL ((GstMmapForward) 0xff)

#define GST_TYPE_MMAP_FORWARD (gst_mmap_forward_get_type ())
GType gst_mmap_forward_get_type (void);

/**
 * GstMmapConsumers:
 *
 * Negotiates caps between all consumers and upstream, and hands on what consumers say. Any thread.
 */
typedef struct _GstMmapConsumers GstMmapConsumers;

/* @pad: the sink's
 * Returns: (transfer full) */
GstMmapConsumers *gst_mmap_consumers_new (GstPad * pad,
    MmapProducer * producer);

/* After mmap_producer_close(), so that nothing is told any more. */
void gst_mmap_consumers_free (GstMmapConsumers * self);

void gst_mmap_consumers_set_forward (GstMmapConsumers * self,
    GstMmapForward forward);

/* What MmapProducerCallbacks say. */
void gst_mmap_consumers_accepts (GstMmapConsumers * self, guint32 link_id,
    const char *media, gboolean answered);
void gst_mmap_consumers_left (GstMmapConsumers * self, guint32 link_id);
void gst_mmap_consumers_message (GstMmapConsumers * self, guint32 link_id,
    MmapMessageKind kind, GVariant * body);

/* @filter: (nullable)
 * Returns: (transfer full): what all consumers accept; ANY if there is none. Of @filter, something is left in any case. */
GstCaps *gst_mmap_consumers_get_caps (GstMmapConsumers * self,
    GstCaps * filter);

/* What all consumers need of the memory that is proposed to upstream now. If that changes, upstream is asked to reconfigure. */
void gst_mmap_consumers_propose (GstMmapConsumers * self,
    GstMmapNeeds * needs);

/* Around the caps event, on the streaming thread: consumers that don't accept @caps don't get it, others are admitted after it. */
void gst_mmap_consumers_begin_caps (GstMmapConsumers * self, GstCaps * caps);
void gst_mmap_consumers_end_caps (GstMmapConsumers * self);

/* Returns: whether a consumer waits for other caps: frames need not wait for it. One that has waited for too long is refused. */
gboolean gst_mmap_consumers_have_unfit (GstMmapConsumers * self);

/* A frame was published: hands on what consumers say of its quality of service, and expects requests for a keyframe again after one.
 * On the streaming thread. */
void gst_mmap_consumers_published (GstMmapConsumers * self,
    gboolean key_unit);

G_END_DECLS
