/* gst-mmap: insides of mmapsink, shared by its files
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * gstmmapsink.c: life. gstmmapsink-caps.c: what it negotiates with upstream. gstmmapsink-event.c: events.
 * gstmmapsink-frame.c: frames, and the region that they lie in. gstmmapsink-leaky.c: slow consumers. gstmmapsink-properties.c: properties.
 */
#pragma once

#include "gstmmapsink.h"

#include "gstmmapconsumers.h"
#include "gstmmapcapabilities.h"
#include "gstmmapstall.h"
#include "gstmmaptoken.h"
#include "gstmmaputil.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (gst_mmap_sink_debug);

/**
 * GstMmapLeakyType:
 * @GST_MMAP_LEAKY_AUTO: downstream if upstream is live, else none
 * @GST_MMAP_LEAKY_NONE: all wait for a slow consumer
 * @GST_MMAP_LEAKY_UPSTREAM: a slow consumer does not get new frames
 * @GST_MMAP_LEAKY_DOWNSTREAM: a slow consumer loses the oldest frames that it has not read
 *
 * What happens to frames for a consumer that has no room for them.
 */
typedef enum
{
  GST_MMAP_LEAKY_AUTO,
  GST_MMAP_LEAKY_NONE,
  GST_MMAP_LEAKY_UPSTREAM,
  GST_MMAP_LEAKY_DOWNSTREAM
} GstMmapLeakyType;

#define GST_TYPE_MMAP_LEAKY_TYPE (gst_mmap_leaky_type_get_type ())
GType gst_mmap_leaky_type_get_type (void);

struct _GstMmapSink
{
  GstBaseSink parent;

  /* properties, under the object lock */
  gchar *socket_path;
  GstMmapSignalling signalling;
  gchar *file;
  gchar *channel;
  gchar *address;
  gboolean allow_remote;
  gboolean allow_dmabuf;
  guint64 poll_interval;
  guint64 size;
  guint token_bytes;
  guint mode;
  gchar *group;
  gchar *allowed_uids;
  GstMmapToken token;
  gboolean wait_for_connection;
  gint64 spin_time;
  GstMmapForward forward;
  GstMmapLeakyType leaky_type;
  guint max_buffers;
  guint num_clients;

  /* Asked for with the producer's lock held, for which others wait with the object lock. Nothing else is locked with it. */
  GMutex accept_lock;
  GstCaps *accept;

  /* Set in start(), kept after stop() for its statistics. Under the object lock where other threads look. */
  MmapProducer *producer;
  GstMmapConsumers *consumers;  /* between start() and stop() */
  guint64 n_flushes;            /* object lock */
  GstAllocator *allocator;      /* of the current region; object lock */
  gboolean pad_flushing;        /* object lock */
  gboolean playing;             /* object lock */
  gint n_unlocks;               /* object lock: see gst_mmap_sink_add_unlock() */

  gint rate_seqnum;             /* atomic: of what has changed the rate of the base class's segment; GST_SEQNUM_INVALID: nothing */
  gint rate_untold;             /* atomic: consumers that come are to hear of it */

  gint policy_known;            /* atomic: what leaky-type says of this stream was applied */

  /* streaming thread */
  gboolean started;             /* a query for memory comes even when the pad is not active */
  guint min_buffers;            /* that consumers keep */
  MmapCancel cancel;            /* set by unlock() */
  MmapCancel never;             /* for waits in events: they look at the pad */
  gchar *media;
  gboolean waited;              /* for a consumer, since the last frame */
  GstMmapStall *pipeline_stall; /* between start() and stop() */
  GstClockTime stall;           /* what of it was added to ts-offset: see gst_mmap_sink_make_up() */
  GstMmapAnchor anchor;
  GstPadChainFunction base_chain;
  gboolean announced;           /* the frame that is sent next */
  GstBuffer *placed;            /* not owned: the frame that is in the chain, if it lies in placed_block; NULL: look */
  MmapBlock *placed_block;
  guint64 placed_offset;
  GVariant *metas;              /* of the frame that was prepared last; NULL: none */
  guint64 left;                 /* see gst_mmap_sink_describe_metas() */
  GHashTable *lost;             /* types of metas that were warned of */
  guint64 copied;               /* atomic */
  gboolean warned[MMAP_N_ERRORS];       /* service thread */
};

/* The base class. */
#define GST_MMAP_SINK_PARENT GST_BASE_SINK_CLASS (g_type_class_peek \
    (GST_TYPE_BASE_SINK))

/* gstmmapsink-caps.c */

gboolean gst_mmap_sink_set_caps (GstBaseSink * sink, GstCaps * caps);
GstCaps *gst_mmap_sink_get_caps (GstBaseSink * sink, GstCaps * filter);
gboolean gst_mmap_sink_query (GstBaseSink * sink, GstQuery * query);
gboolean gst_mmap_sink_propose_allocation (GstBaseSink * sink,
    GstQuery * query);

/* gstmmapsink-event.c */

GstFlowReturn gst_mmap_sink_push_wire (GstMmapSink * self,
    const MmapEvent * wire, gboolean in_event);

/* Later consumers get the sticky events in the order in which GStreamer wants them. */
guint32 gst_mmap_sink_order_of (GstEventType type);

gboolean gst_mmap_sink_event (GstBaseSink * sink, GstEvent * event);

/* What an application, or the pipeline, sends to the element itself. */
gboolean gst_mmap_sink_element_event (GstElement * element, GstEvent * event);

/* Before a frame, in render(): tells consumers what the base class makes of the segment, if that is new. */
GstFlowReturn gst_mmap_sink_tell_rate (GstMmapSink * self);

/* Nothing has changed the rate. */
void gst_mmap_sink_forget_rate (GstMmapSink * self);

/* The end, or a gap, goes to consumers once it was waited for; the end before the application hears of it and ends the pipeline. */
GstFlowReturn gst_mmap_sink_wait_event (GstBaseSink * sink, GstEvent * event);

/* gstmmapsink.c */

/* Several streams share the file, and no socket is needed. */
gboolean gst_mmap_sink_is_in_area (GstMmapSink * self);

/* gstmmapsink-frame.c */

/* Waits until the number that mmap_producer_collect() gave is not @serial any more. In render() and preroll(). */
GstFlowReturn gst_mmap_sink_wait (GstMmapSink * self, guint64 serial);

/* The machine's monotonic clock at running time 0; MMAP_TIME_NONE if it is not known. */
guint64 gst_mmap_sink_get_anchor (GstMmapSink * self);

/* Makes sure that there is a region, before there is a frame: whether it fits into a region of a fixed size is asked when it comes. */
gboolean gst_mmap_sink_ensure_region_for_caps (GstMmapSink * self,
    GstCaps * caps);

/* Before it waits for its time: what can't be sent is an error in PAUSED already. */
GstFlowReturn gst_mmap_sink_prepare (GstBaseSink * sink, GstBuffer * buffer);

/* Before the base class has it: one that is neither waited for nor copied is sent at once. */
GstFlowReturn gst_mmap_sink_chain (GstPad * pad, GstObject * parent,
    GstBuffer * buffer);

GstFlowReturn gst_mmap_sink_render (GstBaseSink * sink, GstBuffer * buffer);

/* gstmmapsink-leaky.c */

/* Whether upstream is live. */
gboolean gst_mmap_sink_is_fed_live (GstMmapSink * self);

/* Another stream, or another leaky-type: the next gst_mmap_sink_apply_policy() looks again. Any thread. */
void gst_mmap_sink_forget_policy (GstMmapSink * self);

/* Tells the producer what happens to frames for slow consumers, if that may have changed. */
void gst_mmap_sink_apply_policy (GstMmapSink * self);

/* How long to wait before trying again, although nothing has happened, in microseconds; -1: for ever. */
gint64 gst_mmap_sink_get_patience (GstMmapSink * self);

/* Posts a QoS message for each consumer that lost frames, at most one a second; @buffer was the last. */
void gst_mmap_sink_report_drops (GstMmapSink * self, GstBuffer * buffer);

/* Appends a structure for each consumer to @list, a GstValueArray. Any thread. */
void gst_mmap_sink_describe_links (MmapProducer * producer, GValue * list);

/* gstmmapsink-properties.c */

#define GST_MMAP_SINK_DEFAULT_MODE 0600

void gst_mmap_sink_install_properties (GObjectClass * klass);
void gst_mmap_sink_init_properties (GstMmapSink * self);
void gst_mmap_sink_clear_properties (GstMmapSink * self);

/* gstmmapsink.c */

/* Returns: (transfer full) (nullable) */
MmapProducer *gst_mmap_sink_dup_producer (GstMmapSink * self);

void gst_mmap_sink_set_flag (GstMmapSink * self, gboolean * flag,
    gboolean value);

/* @allocator: (transfer full) (nullable) */
void gst_mmap_sink_take_allocator (GstMmapSink * self,
    GstAllocator * allocator);

/* Lets the rest of the stream come as much later as the pipeline has stood still. */
void gst_mmap_sink_apply_stall (GstMmapSink * self);

G_END_DECLS
