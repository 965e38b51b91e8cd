/* gst-mmap: element that publishes a stream to other processes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
/**
 * SECTION:element-mmapsink
 * @title: mmapsink
 * @see_also: mmapsrc
 *
 * Publishes the buffers of its pipeline, of any caps, in a region of shared memory. Any number of mmapsrc in other
 * processes receive them, with caps, time stamps and flags. Frames that upstream renders into the pool that mmapsink
 * proposes are not copied.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=video.avi ! decodebin ! mmapsink socket-path=/tmp/cam0
 * gst-launch-1.0 mmapsrc socket-path=/tmp/cam0 ! videoconvert ! autovideosink
 * ]|
 *
 * Virtual methods run on the streaming thread, but for unlock, queries, flushes and state changes. The core's service thread calls
 * links_changed(), refused(), accepts(), left() and message(), another one failed().
 *
 * Since: 0.1
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsink.h"

#include "address.h"
#include "blocks.h"
#include "copy.h"
#include "gstmmapblockallocator.h"
#include "gstmmapcapabilities.h"
#include "gstmmapconsumers.h"
#include "gstmmapevent.h"
#include "gstmmapframe.h"
#include "gstmmapmeta.h"
#include "gstmmappool.h"
#include "gstmmapsizes.h"
#include "gstmmapstall.h"
#include "gstmmapuri.h"
#include "gstmmaputil.h"
#include "token.h"

#include <gio/gunixfdlist.h>
#include <unistd.h>

GST_DEBUG_CATEGORY (gst_mmap_sink_debug);
#define GST_CAT_DEFAULT gst_mmap_sink_debug

/* Of a region, what is reserved first, at least: less than that takes no time that could be seen. Chosen, untuned. */
#define FIRST_BYTES (1024 * 1024)
/* Longer waits for consumers than this move the rest of a stream that is not live; chosen: less can't be seen. */
#define STALL_MIN_NS (20 * GST_MSECOND)

#define DEFAULT_SIZE 0
#define DEFAULT_WAIT_FOR_CONNECTION TRUE

enum
{
  PROP_0,
  PROP_SOCKET_PATH,
  PROP_SIGNALLING,
  PROP_ACCEPT_CAPABILITIES,
  PROP_FILE,
  PROP_SIZE,
  PROP_TOKEN_BYTES,
  PROP_WAIT_FOR_CONNECTION,
  PROP_SPIN_TIME,
  PROP_FORWARD_EVENTS,
  PROP_NUM_CLIENTS,
  PROP_CAPABILITIES,
  PROP_STATS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

enum
{
  SIGNAL_CREATE_OFFER,
  SIGNAL_ACCEPT_ANSWER,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

struct _GstMmapSink
{
  GstBaseSink parent;

  /* properties, under the object lock */
  gchar *socket_path;
  GstMmapSignalling signalling;
  gchar *file;
  guint64 size;
  guint token_bytes;
  gboolean wait_for_connection;
  gint64 spin_time;
  GstMmapForward forward;
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

  /* streaming thread */
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
  GVariant *metas;              /* of the frame that was prepared last; NULL: none */
  guint64 left;                 /* see gst_mmap_sink_describe_metas() */
  GHashTable *lost;             /* types of metas that were warned of */
  guint64 copied;               /* atomic */
  gboolean warned[MMAP_N_ERRORS];       /* service thread */
};

static GstStaticPadTemplate sink_template =
GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS_ANY);

#define gst_mmap_sink_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE (GstMmapSink, gst_mmap_sink, GST_TYPE_BASE_SINK,
    G_IMPLEMENT_INTERFACE (GST_TYPE_URI_HANDLER, gst_mmap_uri_handler_init)
    GST_DEBUG_CATEGORY_INIT (gst_mmap_sink_debug, "mmapsink", 0,
        "publishes a stream to other processes"));
GST_ELEMENT_REGISTER_DEFINE (mmapsink, "mmapsink", GST_RANK_NONE,
    GST_TYPE_MMAP_SINK);

/* Returns: (transfer full) (nullable) */
static MmapProducer *
gst_mmap_sink_dup_producer (GstMmapSink * self)
{
  MmapProducer *producer;

  GST_OBJECT_LOCK (self);
  producer = self->producer ? mmap_producer_ref (self->producer) : NULL;
  GST_OBJECT_UNLOCK (self);
  return producer;
}

/* --- the service thread --- */

static void
links_changed (guint n_links, gpointer user_data)
{
  GstMmapSink *self = user_data;

  GST_INFO_OBJECT (self, "%u consumers", n_links);
  GST_OBJECT_LOCK (self);
  self->num_clients = n_links;
  GST_OBJECT_UNLOCK (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_NUM_CLIENTS]);
}

static void
refused (const GError * reason, gpointer user_data)
{
  GstMmapSink *self = user_data;

  GST_WARNING_OBJECT (self, "a consumer was refused: %s", reason->message);
  /* Once per reason: whoever connects must not be able to flood the bus. All are counted in the statistics. */
  if (self->warned[reason->code])
    return;
  self->warned[reason->code] = TRUE;
  gst_mmap_post_warning (GST_ELEMENT (self), reason);
}

static void
accepts (guint32 link_id, const char *media, gboolean answered,
    gpointer user_data)
{
  gst_mmap_consumers_accepts (GST_MMAP_SINK (user_data)->consumers, link_id,
      media, answered);
}

/* The producer's lock is held. */
static gboolean
check (GVariant * answer, gpointer user_data, GError ** error)
{
  GstMmapSink *self = user_data;
  GstCaps *accept;
  gboolean right;

  g_mutex_lock (&self->accept_lock);
  accept = self->accept ? gst_caps_ref (self->accept) : NULL;
  g_mutex_unlock (&self->accept_lock);
  right = gst_mmap_capabilities_check (accept, answer, error);
  gst_clear_caps (&accept);
  return right;
}

static void
left (guint32 link_id, gpointer user_data)
{
  gst_mmap_consumers_left (GST_MMAP_SINK (user_data)->consumers, link_id);
}

static void
message (guint32 link_id, MmapMessageKind kind, GVariant * body,
    gpointer user_data)
{
  gst_mmap_consumers_message (GST_MMAP_SINK (user_data)->consumers, link_id,
      kind, body);
}

/* A thread of the producer's that reserves memory. */
static void
failed (const GError * reason, gpointer user_data)
{
  gst_mmap_post_error (GST_ELEMENT (user_data), reason);
}

/* --- life --- */

static gboolean gst_mmap_sink_stop (GstBaseSink * sink);

static gboolean
gst_mmap_sink_start (GstBaseSink * sink)
{
  static const MmapProducerCallbacks callbacks = {
    links_changed, refused, failed, accepts, left, message, check
  };
  GstMmapSink *self = GST_MMAP_SINK (sink);
  g_autoptr (GError) error = NULL;
  MmapProducer *producer, *old;

  GST_OBJECT_LOCK (self);
  producer = mmap_producer_new (self->signalling == GST_MMAP_SIGNALLING_SOCKET ?
      self->socket_path : MMAP_ADDRESS_NONE, self->file, self->token_bytes,
      &error);
  GST_OBJECT_UNLOCK (self);
  if (!producer) {
    gst_mmap_post_error (GST_ELEMENT (self), error);
    return FALSE;
  }

  memset (self->warned, 0, sizeof self->warned);
  self->lost = g_hash_table_new (NULL, NULL);
  self->left = 0;
  self->cancel.cancelled = FALSE;
  self->pipeline_stall = gst_mmap_stall_join (GST_ELEMENT (self));
  self->stall = 0;
  self->waited = FALSE;
  self->pad_flushing = FALSE;
  self->copied = 0;
  GST_OBJECT_LOCK (self);
  old = self->producer;
  self->producer = producer;
  mmap_producer_set_spin_time (producer, self->spin_time);
  self->consumers = gst_mmap_consumers_new (GST_BASE_SINK_PAD (self), producer);
  gst_mmap_consumers_set_forward (self->consumers, self->forward);
  GST_OBJECT_UNLOCK (self);
  g_clear_pointer (&old, mmap_producer_unref);

  mmap_producer_set_callbacks (producer, &callbacks, self);
  if (mmap_producer_start (producer, &error))
    return TRUE;
  gst_mmap_post_error (GST_ELEMENT (self), error);
  gst_mmap_sink_stop (sink);
  return FALSE;
}

/* Upstream threads, which are not in our virtual methods, wait for consumers to give blocks back only while we play: in PAUSED there
 * may be none, and preroll must not hang. */
static void
gst_mmap_sink_update_flushing (GstMmapSink * self)
{
  GstAllocator *allocator;
  gboolean flushing, paused;

  GST_OBJECT_LOCK (self);
  allocator = self->allocator ? gst_object_ref (self->allocator) : NULL;
  flushing = self->pad_flushing;
  paused = !self->playing;
  GST_OBJECT_UNLOCK (self);
  if (allocator) {
    gst_mmap_allocator_set_paused (allocator, paused);
    gst_mmap_allocator_set_flushing (allocator, flushing);
    gst_object_unref (allocator);
  }
}

static void
gst_mmap_sink_set_flag (GstMmapSink * self, gboolean * flag, gboolean value)
{
  GST_OBJECT_LOCK (self);
  *flag = value;
  GST_OBJECT_UNLOCK (self);
  gst_mmap_sink_update_flushing (self);
}

/* @allocator: (transfer full) (nullable) */
static void
gst_mmap_sink_take_allocator (GstMmapSink * self, GstAllocator * allocator)
{
  GstAllocator *old;

  GST_OBJECT_LOCK (self);
  old = self->allocator;
  self->allocator = allocator;
  GST_OBJECT_UNLOCK (self);
  gst_mmap_sink_update_flushing (self);
  /* Nobody need wait for a block of a region that has been replaced. */
  if (old)
    gst_mmap_allocator_set_flushing (old, TRUE);
  gst_clear_object (&old);
}

/* Lets the rest of the stream come as much later as the pipeline has stood still. */
static void
gst_mmap_sink_apply_stall (GstMmapSink * self)
{
  GstBaseSink *sink = GST_BASE_SINK (self);
  GstClockTime total = gst_mmap_stall_get (self->pipeline_stall);

  if (total != self->stall)
    gst_base_sink_set_ts_offset (sink, gst_base_sink_get_ts_offset (sink)
        + GST_CLOCK_DIFF (self->stall, total));
  self->stall = total;
}

static gboolean
gst_mmap_sink_stop (GstBaseSink * sink)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  GstMmapConsumers *consumers;

  gst_mmap_sink_take_allocator (self, NULL);
  mmap_producer_close (self->producer);
  GST_OBJECT_LOCK (self);
  consumers = g_steal_pointer (&self->consumers);
  GST_OBJECT_UNLOCK (self);
  gst_mmap_consumers_free (consumers);
  g_clear_pointer (&self->media, g_free);
  g_clear_pointer (&self->metas, g_variant_unref);
  g_clear_pointer (&self->lost, g_hash_table_unref);
  gst_mmap_anchor_clear (&self->anchor);
  gst_base_sink_set_ts_offset (sink,
      gst_base_sink_get_ts_offset (sink) - self->stall);
  g_clear_pointer (&self->pipeline_stall, gst_mmap_stall_leave);
  links_changed (0, self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_STATS]);
  return TRUE;
}

static gboolean
gst_mmap_sink_unlock (GstBaseSink * sink)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);

  if (self->producer)
    mmap_producer_set_cancelled (self->producer, &self->cancel, TRUE);
  return TRUE;
}

static gboolean
gst_mmap_sink_unlock_stop (GstBaseSink * sink)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);

  if (self->producer)
    mmap_producer_set_cancelled (self->producer, &self->cancel, FALSE);
  return TRUE;
}

static GstStateChangeReturn
gst_mmap_sink_change_state (GstElement * element, GstStateChange transition)
{
  GstMmapSink *self = GST_MMAP_SINK (element);
  GstElementClass *parent = GST_ELEMENT_CLASS (parent_class);

  switch (transition) {
    case GST_STATE_CHANGE_PAUSED_TO_PLAYING:
      gst_mmap_sink_set_flag (self, &self->playing, TRUE);
      break;
    case GST_STATE_CHANGE_PLAYING_TO_PAUSED:
      gst_mmap_sink_set_flag (self, &self->playing, FALSE);
      break;
    case GST_STATE_CHANGE_READY_TO_NULL:
      /* A preroll that failed left the element in READY. The base class
       * forgets the stream only on its way from PAUSED: it would leak the caps. */
      if (GST_PAD_IS_ACTIVE (GST_BASE_SINK_PAD (self)))
        parent->change_state (element, GST_STATE_CHANGE_PAUSED_TO_READY);
      break;
    default:
      break;
  }
  return parent->change_state (element, transition);
}

/* --- waiting --- */

/* Waits until the number that mmap_producer_collect() gave is not @serial any more. In render() and preroll(). */
static GstFlowReturn
gst_mmap_sink_wait (GstMmapSink * self, guint64 serial)
{
  self->waited = TRUE;
  switch (mmap_producer_wait (self->producer, &self->cancel, serial, -1)) {
    case MMAP_WAIT_CANCELLED:
      /* PAUSED: goes on where it left off when it plays again. Or the end. */
      return gst_base_sink_wait_preroll (GST_BASE_SINK (self));
    case MMAP_WAIT_CLOSED:
      return GST_FLOW_FLUSHING;
    case MMAP_WAIT_FAILED:
      return GST_FLOW_ERROR;
    default:
      return GST_FLOW_OK;
  }
}

/* The same in the handler of a serialised event, which goes on in PAUSED and ends when the pad is flushed. The base class calls it with
 * its lock, which a change of state needs. */
static GstFlowReturn
gst_mmap_sink_wait_in_event (GstMmapSink * self, guint64 serial)
{
  GstPad *pad = GST_BASE_SINK_PAD (self);
  MmapWaitResult result = MMAP_WAIT_OK;

  GST_BASE_SINK_PREROLL_UNLOCK (self);
  if (!GST_PAD_IS_FLUSHING (pad))
    result = mmap_producer_wait (self->producer, &self->never, serial, -1);
  GST_BASE_SINK_PREROLL_LOCK (self);
  return result == MMAP_WAIT_OK && !GST_PAD_IS_FLUSHING (pad) ? GST_FLOW_OK :
      GST_FLOW_FLUSHING;
}

static GstFlowReturn
gst_mmap_sink_push_wire (GstMmapSink * self, const MmapEvent * wire,
    gboolean in_event)
{
  GstFlowReturn flow = GST_FLOW_OK;

  while (flow == GST_FLOW_OK) {
    guint64 serial = mmap_producer_collect (self->producer);
    MmapPublishResult result = mmap_producer_push_event (self->producer, wire);

    if (result == MMAP_PUBLISH_OK)
      break;
    if (result == MMAP_PUBLISH_TOO_LARGE) {
      GST_ELEMENT_WARNING (self, RESOURCE, NO_SPACE_LEFT,
          ("An event of %" G_GSIZE_FORMAT " bytes was not sent: the region is "
              "too small, or there are too many such events. Set size to more.",
              wire->size), ("%s", wire->name));
      break;
    }
    flow = in_event ? gst_mmap_sink_wait_in_event (self, serial) :
        gst_mmap_sink_wait (self, serial);
  }
  return flow;
}

/* The machine's monotonic clock at running time 0; MMAP_TIME_NONE if it is not known. */
static guint64
gst_mmap_sink_get_anchor (GstMmapSink * self)
{
  GstClockTime anchor = gst_mmap_anchor_get (&self->anchor,
      GST_ELEMENT (self));

  return GST_CLOCK_TIME_IS_VALID (anchor) ?
      anchor + gst_base_sink_get_ts_offset (GST_BASE_SINK (self)) :
      MMAP_TIME_NONE;
}

/* Later consumers get the sticky events in the order in which GStreamer wants them. */
static guint32
order_of (GstEventType type)
{
  return type >> GST_EVENT_NUM_SHIFT;
}

/* @event as the consumers see it; in their ring. */
static GstFlowReturn
gst_mmap_sink_push_event (GstMmapSink * self, GstEvent * event,
    gboolean in_event)
{
  GstEventType type = GST_EVENT_TYPE (event);
  const GstStructure *structure = gst_event_get_structure (event);
  g_autoptr (GVariant) dict = NULL, normal = NULL;
  GVariantDict builder;
  MmapEvent wire = { type, gst_event_get_seqnum (event), 0, NULL, NULL, 0 };

  g_variant_dict_init (&builder, NULL);
  if (!gst_mmap_event_to_dict (event, 0, &builder)) {
    GST_INFO_OBJECT (self, "stays here: %" GST_PTR_FORMAT, event);
    g_variant_dict_clear (&builder);
    return GST_FLOW_OK;
  }
  dict = g_variant_ref_sink (g_variant_dict_end (&builder));
  normal = g_variant_get_normal_form (dict);
  wire.data = g_variant_get_data (normal);
  wire.size = g_variant_get_size (normal);
  wire.anchor = gst_mmap_sink_get_anchor (self);
  wire.latency = gst_base_sink_get_latency (GST_BASE_SINK (self));
  if (GST_EVENT_IS_STICKY (event))
    wire.order = order_of (type);
  if (type & GST_EVENT_TYPE_STICKY_MULTI && structure)
    wire.name = gst_structure_get_name (structure);
  return gst_mmap_sink_push_wire (self, &wire, in_event);
}

static gboolean
gst_mmap_sink_is_fed_live (GstMmapSink * self)
{
  gboolean live = FALSE, upstream_live = FALSE;

  return gst_base_sink_query_latency (GST_BASE_SINK (self), &live,
      &upstream_live, NULL, NULL) && upstream_live;
}

/* How late @buffer is now, in a stream that waited for consumers and is not live itself. */
static GstClockTime
gst_mmap_sink_get_lateness (GstMmapSink * self, GstBuffer * buffer)
{
  GstBaseSink *sink = GST_BASE_SINK (self);
  GstElement *element = GST_ELEMENT (self);
  GstClockTime due = gst_segment_to_running_time (&sink->segment,
      GST_FORMAT_TIME, GST_BUFFER_PTS (buffer));
  GstClockTime now = gst_element_get_current_running_time (element);

  if (!GST_CLOCK_TIME_IS_VALID (due) || !GST_CLOCK_TIME_IS_VALID (now)
      || gst_mmap_sink_is_fed_live (self))
    return 0;
  due += gst_base_sink_get_latency (sink)
      + gst_base_sink_get_render_delay (sink);
  due += gst_base_sink_get_ts_offset (sink);
  return now > due ? now - due : 0;
}

/* Before @buffer is stamped: if the stream stood still, for lack of a consumer or because one was slow or paused, and is not live,
 * it goes on where it was, at its own speed, not in a hurry to catch up with the clock. So do the pipeline's other streams. */
static void
gst_mmap_sink_make_up (GstMmapSink * self, GstBuffer * buffer)
{
  GstBaseSink *sink = GST_BASE_SINK (self);
  GstClockTime late;

  if (gst_mmap_allocator_take_waited (self->allocator))
    self->waited = TRUE;
  gst_mmap_sink_apply_stall (self);
  if (!self->waited)
    return;
  self->waited = FALSE;
  if (!gst_base_sink_get_sync (sink)
      || sink->segment.format != GST_FORMAT_TIME)
    return;
  late = gst_mmap_sink_get_lateness (self, buffer);
  if (late < STALL_MIN_NS)
    return;
  GST_DEBUG_OBJECT (self, "stood still for %" GST_TIME_FORMAT,
      GST_TIME_ARGS (late));
  gst_mmap_stall_add (self->pipeline_stall, self->stall, late);
  gst_mmap_sink_apply_stall (self);
}

/* --- the region --- */

/* @frame: bytes of a frame (0: unknown). Memory for one comes at once, for more of them meanwhile. */
static gboolean
gst_mmap_sink_set_region (GstMmapSink * self, guint64 size, guint64 frame)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (MmapRegion) region = NULL;

  GST_INFO_OBJECT (self, "a region of %" G_GUINT64_FORMAT " bytes", size);
  if (!mmap_producer_set_region (self->producer, size, MAX (frame,
              FIRST_BYTES), self->media, &error)) {
    gst_mmap_post_error (GST_ELEMENT (self), error);
    return FALSE;
  }
  region = mmap_producer_dup_region (self->producer);
  gst_mmap_sink_take_allocator (self,
      gst_mmap_allocator_new (region, self->producer));
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CAPABILITIES]);
  return TRUE;
}

static guint64
gst_mmap_sink_get_metas_size (GstMmapSink * self)
{
  return self->metas ? g_variant_get_size (self->metas) : 0;
}

static void
gst_mmap_sink_post_too_small (GstMmapSink * self, guint64 frame,
    guint64 capacity)
{
  guint64 size = mmap_producer_size_for (gst_mmap_sizes_least (frame));

  GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
      ("A frame%s has %" G_GUINT64_FORMAT " bytes, but a region of size=%"
          G_GUINT64_FORMAT " has room for %" G_GUINT64_FORMAT ": set size to %"
          G_GUINT64_FORMAT " or more, or to 0 to have it chosen.",
          self->metas ? " with its metadata" : "", frame, self->size, capacity,
          size), ("reason: too-small"));
}

/* Makes sure that there is a region in which frames of @frame bytes (0: unknown) fit. FALSE: an error was posted. */
static gboolean
gst_mmap_sink_ensure_region (GstMmapSink * self, GstCaps * caps, guint64 frame)
{
  guint64 capacity = mmap_producer_get_capacity (self->producer);
  guint64 least, wanted = gst_mmap_sizes_region (caps, frame,
      self->min_buffers, &least);

  if (self->size > 0) {
    if (capacity == 0 && !gst_mmap_sink_set_region (self, self->size,
            MAX (frame, gst_mmap_sizes_frame (caps))))
      return FALSE;
    capacity = mmap_producer_get_capacity (self->producer);
    if (capacity >= frame)
      return TRUE;
    gst_mmap_sink_post_too_small (self, frame, capacity);
    return FALSE;
  }
  if (capacity > 0 && capacity >= least)
    return TRUE;
  return gst_mmap_sink_set_region (self, mmap_producer_size_for (wanted),
      frame);
}

/* The same before there is a frame: whether it fits into a region of a fixed size is asked when it comes. */
static gboolean
gst_mmap_sink_ensure_region_for_caps (GstMmapSink * self, GstCaps * caps)
{
  return gst_mmap_sink_ensure_region (self, caps,
      self->size > 0 ? 0 : gst_mmap_sizes_frame (caps));
}

static gboolean
gst_mmap_sink_set_caps (GstBaseSink * sink, GstCaps * caps)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  MmapEvent wire = { MMAP_EVENT_CAPS, 0, order_of (GST_EVENT_CAPS) };
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

static GstCaps *
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

static gboolean
gst_mmap_sink_query (GstBaseSink * sink, GstQuery * query)
{
  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_ACCEPT_CAPS:
      /* What upstream decides: a consumer that can't take it is not upstream's fault. */
      gst_query_set_accept_caps_result (query, TRUE);
      return TRUE;
    case GST_QUERY_DRAIN:
      /* What consumers still hold doesn't keep upstream from making another pool. */
      return TRUE;
    default:
      return GST_BASE_SINK_CLASS (parent_class)->query (sink, query);
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

static gboolean
gst_mmap_sink_propose_allocation (GstBaseSink * sink, GstQuery * query)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  GstMmapNeeds needs;
  gboolean need_pool;
  guint64 frame;
  GstCaps *caps;

  gst_query_parse_allocation (query, &caps, &need_pool);
  if (!caps || !self->producer)
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

/* --- frames and events --- */

/* With wait-for-connection, waits for a consumer, unless one waits for another frame than this, with other caps. */
static GstFlowReturn
gst_mmap_sink_wait_for_link (GstMmapSink * self)
{
  GstFlowReturn flow = GST_FLOW_OK;

  while (flow == GST_FLOW_OK && self->wait_for_connection
      && mmap_producer_get_n_ready (self->producer) == 0
      && !gst_mmap_consumers_have_unfit (self->consumers)) {
    guint64 serial = mmap_producer_collect (self->producer);

    if (mmap_producer_get_n_ready (self->producer) == 0
        && !gst_mmap_consumers_have_unfit (self->consumers))
      flow = gst_mmap_sink_wait (self, serial);
  }
  return flow;
}

/* The block of @buffer, if it can be published as it is; @offset: of its bytes in the region. */
static MmapBlock *
gst_mmap_sink_peek_block (GstMmapSink * self, GstBuffer * buffer,
    guint64 * offset)
{
  GstMemory *memory;
  MmapBlock *block;

  if (gst_buffer_n_memory (buffer) != 1)
    return NULL;
  memory = gst_buffer_peek_memory (buffer, 0);
  block = gst_mmap_memory_get_position (memory, offset);
  /* Only this thread replaces the region. */
  if (!block || !self->allocator
      || block->region != gst_mmap_allocator_get_region (self->allocator))
    return NULL;
  return block;
}

/* FALSE: an error was posted. */
static gboolean
gst_mmap_sink_copy_memories (GstMmapSink * self, GstBuffer * buffer,
    guint8 * to)
{
  guint n = gst_buffer_n_memory (buffer), i;

  for (i = 0; i < n; i++) {
    GstMemory *memory = gst_buffer_peek_memory (buffer, i);
    GstMapInfo map;

    if (!gst_memory_map (memory, &map, GST_MAP_READ)) {
      GST_ELEMENT_ERROR (self, RESOURCE, READ,
          ("The memory of a frame can't be read, so that it can't be sent."),
          ("can't map memory %u of %u of %" GST_PTR_FORMAT, i, n, buffer));
      return FALSE;
    }
    mmap_copy (to, map.data, map.size);
    to += map.size;
    gst_memory_unmap (memory, &map);
  }
  return TRUE;
}

/* Waits for room. */
static GstFlowReturn
gst_mmap_sink_alloc (GstMmapSink * self, gsize size, MmapAllocUse use,
    MmapBlock ** block)
{
  GstFlowReturn flow = GST_FLOW_OK;

  *block = mmap_producer_alloc (self->producer, size, 1, use);
  while (flow == GST_FLOW_OK && !*block) {
    guint64 serial = mmap_producer_collect (self->producer);

    *block = mmap_producer_alloc (self->producer, size, 1, use);
    if (!*block)
      flow = gst_mmap_sink_wait (self, serial);
  }
  return flow;
}

/* A block with a copy of @buffer's bytes. */
static GstFlowReturn
gst_mmap_sink_copy (GstMmapSink * self, GstBuffer * buffer, gsize size,
    MmapBlock ** block)
{
  GstFlowReturn flow = gst_mmap_sink_alloc (self, size, MMAP_ALLOC_COPY, block);

  if (flow != GST_FLOW_OK)
    return flow;
  if (!gst_mmap_sink_copy_memories (self, buffer, mmap_block_get_data (*block))) {
    mmap_block_unref (*block);
    return GST_FLOW_ERROR;
  }
  __atomic_fetch_add (&self->copied, 1, __ATOMIC_RELAXED);
  return GST_FLOW_OK;
}

/* A block with the metadata of the frame; %NULL if it has none. */
static GstFlowReturn
gst_mmap_sink_place_metas (GstMmapSink * self, MmapBlock ** block)
{
  gsize size = gst_mmap_sink_get_metas_size (self);
  GstFlowReturn flow = GST_FLOW_OK;

  *block = NULL;
  if (size == 0)
    return GST_FLOW_OK;
  flow = gst_mmap_sink_alloc (self, size, MMAP_ALLOC_METAS, block);
  if (flow == GST_FLOW_OK)
    g_variant_store (self->metas, mmap_block_get_data (*block));
  return flow;
}

/* What a frame with metadata keeps. */
typedef struct
{
  MmapBlock *metas;
  GDestroyNotify notify;
  gpointer data;
} Parcel;

static void
parcel_free (gpointer data)
{
  Parcel *parcel = data;

  mmap_block_unref (parcel->metas);
  parcel->notify (parcel->data);
  g_free (parcel);
}

/* @metas: (transfer full) (nullable) */
static GstFlowReturn
gst_mmap_sink_publish (GstMmapSink * self, MmapDescriptor * frame,
    MmapBlock * block, MmapBlock * metas, GDestroyNotify notify, gpointer data)
{
  GstFlowReturn flow = GST_FLOW_OK;
  guint64 serial = 0;
  gboolean waits = FALSE;

  if (metas) {
    Parcel *parcel = g_new (Parcel, 1);

    parcel->metas = metas;
    parcel->notify = notify;
    parcel->data = data;
    notify = parcel_free;
    data = parcel;
    frame->metas_offset = metas->offset;
    frame->metas_size = gst_mmap_sink_get_metas_size (self);
  }
  while (flow == GST_FLOW_OK) {
    if (mmap_producer_publish (self->producer, frame, block, notify,
            data) == MMAP_PUBLISH_OK)
      return GST_FLOW_OK;
    /* Once more with the number in hand: what happens after it ends the wait. */
    if (waits)
      flow = gst_mmap_sink_wait (self, serial);
    serial = mmap_producer_collect (self->producer);
    waits = TRUE;
  }
  notify (data);
  return flow;
}

/* A frame is sent next: neither copied nor waited for. */
static void
gst_mmap_sink_announce (GstMmapSink * self)
{
  if (!self->announced)
    mmap_producer_announce (self->producer);
  self->announced = TRUE;
}

static GstFlowReturn
gst_mmap_sink_send (GstMmapSink * self, GstBuffer * buffer)
{
  gsize size = gst_buffer_get_size (buffer);
  guint64 offset = 0;
  MmapBlock *block = gst_mmap_sink_peek_block (self, buffer, &offset);
  gboolean copy = size > 0 && !block;
  MmapBlock *metas;
  MmapDescriptor frame;
  GstFlowReturn flow;

  if (copy) {
    GST_LOG_OBJECT (self, "copying %" GST_PTR_FORMAT, buffer);
    flow = gst_mmap_sink_copy (self, buffer, size, &block);
    if (flow != GST_FLOW_OK)
      return flow;
  }
  flow = gst_mmap_sink_place_metas (self, &metas);
  if (flow != GST_FLOW_OK) {
    if (copy)
      mmap_block_unref (block);
    return flow;
  }

  gst_mmap_sink_announce (self);
  self->announced = FALSE;
  gst_mmap_frame_describe (buffer, &frame);
  frame.anchor = gst_mmap_sink_get_anchor (self);
  frame.latency = gst_base_sink_get_latency (GST_BASE_SINK (self));
  frame.size = size;
  if (copy) {
    frame.offset = block->offset;
    return gst_mmap_sink_publish (self, &frame, block, metas,
        (GDestroyNotify) mmap_block_unref, block);
  }
  if (block)
    frame.offset = offset;
  return gst_mmap_sink_publish (self, &frame, block, metas,
      (GDestroyNotify) gst_buffer_unref, gst_buffer_ref (buffer));
}

/* A consumer gets frames without them. Once for each type, as it would be said of every frame. */
static void
warn_of_lost_meta (GstMeta * meta, gpointer user_data)
{
  GstMmapSink *self = user_data;

  if (!g_hash_table_add (self->lost, GSIZE_TO_POINTER (meta->info->type)))
    return;
  GST_ELEMENT_WARNING (self, STREAM, NOT_IMPLEMENTED,
      ("Metadata of a frame can't go to other processes: %s.",
          g_type_name (meta->info->type)), ("reason: metadata"));
}

/* The metadata of the frame that is sent next. Blocks for upstream leave room for the largest so far: or none might ever be free. */
static void
gst_mmap_sink_describe_metas (GstMmapSink * self, GstBuffer * buffer)
{
  guint64 size;

  g_clear_pointer (&self->metas, g_variant_unref);
  if (!gst_mmap_metas_are_there (buffer))
    return;
  self->metas = gst_mmap_metas_describe (buffer, warn_of_lost_meta, self);
  size = gst_mmap_sink_get_metas_size (self);
  if (size <= self->left)
    return;
  self->left = size;
  mmap_producer_leave_metas (self->producer, size);
}

/* Bytes of blocks that @buffer needs. */
static guint64
gst_mmap_sink_get_need (GstMmapSink * self, GstBuffer * buffer)
{
  guint64 size = gst_buffer_get_size (buffer);

  if (!self->metas)
    return size;
  /* Each is a whole number of them. */
  return size + gst_mmap_sink_get_metas_size (self) + 2 *
      MMAP_BLOCK_ALIGN_BYTES;
}

/* Makes sure that @buffer fits into the region, which an encoded frame may not. */
static gboolean
gst_mmap_sink_make_room (GstMmapSink * self, GstBuffer * buffer)
{
  GstPad *pad = GST_BASE_SINK_PAD (self);
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  GstAllocator *before = self->allocator;

  if (!gst_mmap_sink_ensure_region (self, caps, gst_mmap_sink_get_need (self,
              buffer)))
    return FALSE;
  /* Upstream allocates from the old region: let it ask again. */
  if (before && self->allocator != before)
    gst_pad_push_event (pad, gst_event_new_reconfigure ());
  return TRUE;
}

/* Before it waits for its time: what can't be sent is an error in PAUSED already. */
static GstFlowReturn
gst_mmap_sink_prepare (GstBaseSink * sink, GstBuffer * buffer)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  guint64 offset;

  gst_mmap_sink_describe_metas (self, buffer);
  return !mmap_producer_has_failed (self->producer)
      && ((!self->metas && gst_mmap_sink_peek_block (self, buffer, &offset))
      || gst_mmap_sink_make_room (self, buffer)) ? GST_FLOW_OK : GST_FLOW_ERROR;
}

/* Before the base class has it: one that is neither waited for nor copied is sent at once. */
static GstFlowReturn
gst_mmap_sink_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstMmapSink *self = GST_MMAP_SINK (parent);
  guint64 offset;

  /* What was announced may have been dropped. */
  self->announced = FALSE;
  if (!gst_base_sink_get_sync (GST_BASE_SINK (self))
      && gst_mmap_sink_peek_block (self, buffer, &offset))
    gst_mmap_sink_announce (self);
  return self->base_chain (pad, parent, buffer);
}

static GstFlowReturn
gst_mmap_sink_render (GstBaseSink * sink, GstBuffer * buffer)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  GstFlowReturn flow;

  flow = gst_mmap_sink_wait_for_link (self);
  if (flow != GST_FLOW_OK)
    return flow;
  gst_mmap_sink_make_up (self, buffer);
  flow = gst_mmap_sink_send (self, buffer);
  if (flow == GST_FLOW_OK) {
    gst_mmap_consumers_have_unfit (self->consumers);
    gst_mmap_consumers_published (self->consumers,
        !GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT));
  }
  return flow;
}

/* --- events --- */

static GstFlowReturn
gst_mmap_sink_push_segment (GstMmapSink * self, GstEvent * event)
{
  MmapEvent wire = { MMAP_EVENT_SEGMENT, gst_event_get_seqnum (event),
    order_of (GST_EVENT_SEGMENT)
  };
  const GstSegment *segment;
  MmapSegment data;

  gst_event_parse_segment (event, &segment);
  gst_mmap_segment_to_wire (segment, &data);
  wire.data = &data;
  wire.size = sizeof data;
  return gst_mmap_sink_push_wire (self, &wire, TRUE);
}

static GVariantDict *
message_new (GstEvent * event, GVariantDict * dict)
{
  g_variant_dict_init (dict, NULL);
  gst_mmap_event_to_dict (event, 0, dict);
  g_variant_dict_insert (dict, "type", "u", (guint32) GST_EVENT_TYPE (event));
  g_variant_dict_insert (dict, "seqnum", "u", gst_event_get_seqnum (event));
  return dict;
}

/* What consumers are to hear at once, whatever they have not read yet. */
static void
gst_mmap_sink_send_event (GstMmapSink * self, GstEvent * event)
{
  GVariantDict dict;

  mmap_producer_send (self->producer, 0, MMAP_MESSAGE_EVENT,
      g_variant_dict_end (message_new (event, &dict)));
}

static void
gst_mmap_sink_flush_start (GstMmapSink * self, GstEvent * event)
{
  gst_mmap_sink_set_flag (self, &self->pad_flushing, TRUE);
  gst_mmap_sink_send_event (self, event);
}

static void
gst_mmap_sink_flush_stop (GstMmapSink * self, GstEvent * event)
{
  gboolean reset_time;
  GVariantDict dict;
  guint64 number;

  gst_mmap_sink_set_flag (self, &self->pad_flushing, FALSE);
  gst_event_parse_flush_stop (event, &reset_time);
  if (reset_time)
    gst_mmap_stall_reset (self->pipeline_stall);
  gst_mmap_sink_apply_stall (self);
  mmap_producer_forget_event (self->producer, MMAP_EVENT_EOS);
  mmap_producer_forget_event (self->producer, MMAP_EVENT_SEGMENT);
  mmap_producer_forget_event (self->producer, GST_EVENT_STREAM_GROUP_DONE);
  GST_OBJECT_LOCK (self);
  number = ++self->n_flushes;
  GST_OBJECT_UNLOCK (self);
  message_new (event, &dict);
  g_variant_dict_insert (&dict, "flush", "t", number);
  mmap_producer_push_flush (self->producer, number, g_variant_dict_end (&dict));
}

static void
gst_mmap_sink_stream_start (GstMmapSink * self)
{
  mmap_producer_forget_event (self->producer, MMAP_EVENT_EOS);
  mmap_producer_forget_event (self->producer, GST_EVENT_STREAM_GROUP_DONE);
}

/* FALSE: a serialised event could not be sent, because the pad is flushing. */
static gboolean
gst_mmap_sink_forward_event (GstMmapSink * self, GstEvent * event)
{
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
    case GST_EVENT_EOS:
    case GST_EVENT_GAP:
      /* See set_caps() and wait_event(). */
      return TRUE;
    case GST_EVENT_SEGMENT:
      return gst_mmap_sink_push_segment (self, event) == GST_FLOW_OK;
    case GST_EVENT_FLUSH_START:
      gst_mmap_sink_flush_start (self, event);
      return TRUE;
    case GST_EVENT_FLUSH_STOP:
      gst_mmap_sink_flush_stop (self, event);
      return TRUE;
    case GST_EVENT_STREAM_START:
      gst_mmap_sink_stream_start (self);
      break;
    default:
      break;
  }
  if (GST_EVENT_IS_SERIALIZED (event))
    return gst_mmap_sink_push_event (self, event, TRUE) == GST_FLOW_OK;
  gst_mmap_sink_send_event (self, event);
  return TRUE;
}

static gboolean
gst_mmap_sink_event (GstBaseSink * sink, GstEvent * event)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);

  if (!gst_mmap_sink_forward_event (self, event)) {
    gst_event_unref (event);
    return FALSE;
  }
  return GST_BASE_SINK_CLASS (parent_class)->event (sink, event);
}

/* The end, or a gap, goes to consumers once it was waited for; the end before the application hears of it and ends the pipeline. */
static GstFlowReturn
gst_mmap_sink_wait_event (GstBaseSink * sink, GstEvent * event)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  MmapEvent wire = { MMAP_EVENT_EOS, gst_event_get_seqnum (event),
    order_of (GST_EVENT_EOS)
  };
  GstFlowReturn flow =
      GST_BASE_SINK_CLASS (parent_class)->wait_event (sink, event);

  if (flow != GST_FLOW_OK)
    return flow;
  if (GST_EVENT_TYPE (event) == GST_EVENT_GAP)
    return gst_mmap_sink_push_event (self, event, FALSE);
  if (GST_EVENT_TYPE (event) != GST_EVENT_EOS)
    return flow;
  flow = gst_mmap_sink_push_wire (self, &wire, FALSE);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_STATS]);
  return flow;
}

/* --- the application's own channel --- */

static GstCaps *
gst_mmap_sink_create_offer (GstMmapSink * self, GUnixFDList * fds)
{
  MmapProducer *producer = gst_mmap_sink_dup_producer (self);
  int offered[MMAP_MESSAGE_MAX_FDS];
  g_autoptr (GVariant) offer = NULL;
  g_autoptr (GError) error = NULL;
  GstCaps *caps = NULL;
  guint n_fds = 0, i;

  if (!fds)
    error = g_error_new (MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "create-offer: there is no list for the descriptors");
  else if (!producer)
    error = g_error_new (MMAP_ERROR, MMAP_ERROR_CLOSED,
        "create-offer: the element is not started");
  else
    mmap_producer_create_offer (producer, &offer, offered, &n_fds, &error);
  for (i = 0; i < n_fds; i++) {
    if (!error)
      g_unix_fd_list_append (fds, offered[i], &error);
    close (offered[i]);
  }
  if (error)
    gst_mmap_post_warning (GST_ELEMENT (self), error);
  else
    caps = gst_mmap_capabilities_to_caps (offer);
  g_clear_pointer (&producer, mmap_producer_unref);
  return caps;
}

static gboolean
gst_mmap_sink_accept_answer (GstMmapSink * self, GstCaps * caps)
{
  MmapProducer *producer = gst_mmap_sink_dup_producer (self);
  g_autoptr (GVariant) answer = NULL;
  g_autoptr (GError) error = NULL;

  answer = gst_mmap_capabilities_from_caps (caps, &error);
  if (!producer && !error)
    error = g_error_new (MMAP_ERROR, MMAP_ERROR_CLOSED,
        "accept-answer: the element is not started");
  else if (!error)
    mmap_producer_accept_answer (producer, answer, &error);
  if (error)
    gst_mmap_post_warning (GST_ELEMENT (self), error);
  g_clear_pointer (&producer, mmap_producer_unref);
  return !error;
}

/* --- properties --- */

static GstCaps *
gst_mmap_sink_get_capabilities (GstMmapSink * self)
{
  MmapProducer *producer = gst_mmap_sink_dup_producer (self);
  g_autofree char *file = NULL, *media = NULL;
  guint64 size, session;
  GstCaps *caps = NULL;

  if (producer && mmap_producer_get_offer (producer, &file, &size, &session,
          &media))
    caps =
        gst_mmap_capabilities_summarise (file, size, self->token_bytes, media);
  g_clear_pointer (&producer, mmap_producer_unref);
  return caps;
}

static GstStructure *
failures_to_structure (const guint64 * failures)
{
  GstStructure *structure = gst_structure_new_empty ("handshake-failures");
  guint i;

  for (i = 0; i < MMAP_N_ERRORS; i++)
    if (failures[i] > 0)
      gst_structure_set (structure, mmap_error_get_name (i), G_TYPE_UINT64,
          failures[i], NULL);
  return structure;
}

static GstStructure *
gst_mmap_sink_get_stats (GstMmapSink * self)
{
  GstStructure *stats = gst_base_sink_get_stats (GST_BASE_SINK (self));
  MmapProducer *producer = gst_mmap_sink_dup_producer (self);
  MmapProducerStats counts = { 0 };
  g_autoptr (GstStructure) failures = NULL;

  if (producer)
    mmap_producer_get_stats (producer, &counts);
  g_clear_pointer (&producer, mmap_producer_unref);
  failures = failures_to_structure (counts.failures);
  gst_structure_set_name (stats, "application/x-mmap-sink-stats");
  gst_structure_set (stats,
      "frames", G_TYPE_UINT64, counts.frames,
      "bytes", G_TYPE_UINT64, counts.bytes,
      "copied", G_TYPE_UINT64,
      __atomic_load_n (&self->copied, __ATOMIC_RELAXED),
      "unsent", G_TYPE_UINT64, counts.unsent,
      "wake-ups", G_TYPE_UINT64, counts.wakeups,
      "waits", G_TYPE_UINT64, counts.waits,
      "links", G_TYPE_UINT64, counts.links,
      "handshake-failures", GST_TYPE_STRUCTURE, failures, NULL);
  return stats;
}

static void
gst_mmap_sink_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstMmapSink *self = GST_MMAP_SINK (object);

  switch (id) {
    case PROP_CAPABILITIES:
      g_value_take_boxed (value, gst_mmap_sink_get_capabilities (self));
      return;
    case PROP_STATS:
      g_value_take_boxed (value, gst_mmap_sink_get_stats (self));
      return;
    default:
      break;
  }

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_SOCKET_PATH:
      g_value_set_string (value, self->socket_path);
      break;
    case PROP_SIGNALLING:
      g_value_set_enum (value, self->signalling);
      break;
    case PROP_ACCEPT_CAPABILITIES:
      g_mutex_lock (&self->accept_lock);
      gst_value_set_caps (value, self->accept);
      g_mutex_unlock (&self->accept_lock);
      break;
    case PROP_FILE:
      g_value_set_string (value, self->file);
      break;
    case PROP_SIZE:
      g_value_set_uint64 (value, self->size);
      break;
    case PROP_TOKEN_BYTES:
      g_value_set_uint (value, self->token_bytes);
      break;
    case PROP_WAIT_FOR_CONNECTION:
      g_value_set_boolean (value, self->wait_for_connection);
      break;
    case PROP_SPIN_TIME:
      g_value_set_int64 (value, self->spin_time);
      break;
    case PROP_FORWARD_EVENTS:
      g_value_set_flags (value, self->forward);
      break;
    case PROP_NUM_CLIENTS:
      g_value_set_uint (value, self->num_clients);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_mmap_sink_set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GstMmapSink *self = GST_MMAP_SINK (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_SOCKET_PATH:
      g_free (self->socket_path);
      self->socket_path = g_value_dup_string (value);
      break;
    case PROP_SIGNALLING:
      self->signalling = g_value_get_enum (value);
      break;
    case PROP_ACCEPT_CAPABILITIES:
      g_mutex_lock (&self->accept_lock);
      gst_caps_replace (&self->accept, (GstCaps *) gst_value_get_caps (value));
      g_mutex_unlock (&self->accept_lock);
      break;
    case PROP_FILE:
      g_free (self->file);
      self->file = g_value_dup_string (value);
      break;
    case PROP_SIZE:
      self->size = g_value_get_uint64 (value);
      break;
    case PROP_TOKEN_BYTES:
      self->token_bytes = g_value_get_uint (value);
      break;
    case PROP_WAIT_FOR_CONNECTION:
      self->wait_for_connection = g_value_get_boolean (value);
      /* A frame may be waiting. */
      if (self->producer)
        mmap_producer_poke (self->producer);
      break;
    case PROP_SPIN_TIME:
      self->spin_time = g_value_get_int64 (value);
      if (self->producer)
        mmap_producer_set_spin_time (self->producer, self->spin_time);
      break;
    case PROP_FORWARD_EVENTS:
      self->forward = g_value_get_flags (value);
      if (self->consumers)
        gst_mmap_consumers_set_forward (self->consumers, self->forward);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_mmap_sink_finalize (GObject * object)
{
  GstMmapSink *self = GST_MMAP_SINK (object);

  g_clear_pointer (&self->producer, mmap_producer_unref);
  gst_clear_caps (&self->accept);
  g_mutex_clear (&self->accept_lock);
  g_free (self->socket_path);
  g_free (self->file);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_mmap_sink_install_properties (GObjectClass * klass)
{
  /* Read in start(), which GstBaseSink calls on the way to READY. */
  GParamFlags null = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;
  GParamFlags ready = null | GST_PARAM_MUTABLE_READY;
  GParamFlags playing = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | GST_PARAM_MUTABLE_PLAYING;
  GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  /**
   * GstMmapSink:socket-path:
   *
   * Path of the Unix socket that consumers connect to, or "@name" for an abstract one. A socket that a dead process left behind is
   * replaced; one that is in use is an error.
   */
  properties[PROP_SOCKET_PATH] = g_param_spec_string ("socket-path",
      "Socket path", "Path of the Unix socket for consumers, or @name for an "
      "abstract one (NULL = gst-mmap/default in XDG_RUNTIME_DIR, or "
      "/tmp/gst-mmap-UID/default)", NULL, null);
  /**
   * GstMmapSink:signalling:
   *
   * How consumers find this element. With application it makes no socket: #GstMmapSink::create-offer is for each consumer.
   */
  properties[PROP_SIGNALLING] = g_param_spec_enum ("signalling", "Signalling",
      "How offers and answers travel", GST_TYPE_MMAP_SIGNALLING,
      GST_MMAP_SIGNALLING_SOCKET, null);
  /**
   * GstMmapSink:accept-capabilities:
   *
   * Restricts the answers that are taken, such as application/x-mmap, token-bytes=[32,512]. A consumer whose answer clashes is refused,
   * with the name of the field.
   */
  properties[PROP_ACCEPT_CAPABILITIES] = g_param_spec_boxed
      ("accept-capabilities", "Accept capabilities",
      "What an answer may say: application/x-mmap caps with values, ranges or "
      "lists (NULL = anything)", GST_TYPE_CAPS, playing);
  /**
   * GstMmapSink:file:
   *
   * Path of the file that frames lie in, made with mode 0600 and removed at the end. By default they lie in a sealed memfd, which no
   * consumer can alter.
   */
  properties[PROP_FILE] = g_param_spec_string ("file", "File",
      "Path of the region's file, such as /dev/shm/cam0 (NULL = a sealed "
      "memfd, passed to consumers through the socket)", NULL, null);
  /**
   * GstMmapSink:size:
   *
   * Bytes of the region. With 0 it is sized by the caps and replaced by a larger one when needed. With any other value a frame that
   * does not fit is an error.
   */
  properties[PROP_SIZE] = g_param_spec_uint64 ("size", "Size",
      "Bytes of the region (0 = chosen from the caps: room for 8 to 24 video "
      "frames; grows when caps change)", 0, MMAP_REGION_MAX_BYTES,
      DEFAULT_SIZE, ready);
  /**
   * GstMmapSink:token-bytes:
   *
   * Bytes of the random tokens with which both sides prove that they see the same memory.
   */
  properties[PROP_TOKEN_BYTES] = g_param_spec_uint ("token-bytes",
      "Token bytes", "Bytes of the random token that proves that a consumer "
      "sees the same memory (128 = as many as xpra's)",
      MMAP_TOKEN_MIN_BYTES, MMAP_TOKEN_MAX_BYTES, MMAP_TOKEN_DEFAULT_BYTES,
      null);
  /**
   * GstMmapSink:wait-for-connection:
   *
   * Whether a frame waits as long as there is no consumer. If not, frames nobody receives are counted as unsent.
   */
  properties[PROP_WAIT_FOR_CONNECTION] =
      g_param_spec_boolean ("wait-for-connection", "Wait for connection",
      "Hold the stream as long as no consumer is connected (false = go on and "
      "count frames as unsent)", DEFAULT_WAIT_FOR_CONNECTION, playing);
  /**
   * GstMmapSink:spin-time:
   *
   * How long a frame that has to wait for a consumer to give memory back looks for it before it sleeps, in ns. -1: for a few
   * microseconds, as long as that pays. Longer times make the stream smoother, at the price of a processor.
   */
  properties[PROP_SPIN_TIME] = g_param_spec_int64 ("spin-time", "Spin time",
      "How long to look for free memory before sleeping, in ns (-1 = for a few "
      "microseconds as long as that pays, 0 = not at all)",
      MMAP_SPIN_ADAPTIVE, MMAP_SPIN_MAX_NS, MMAP_SPIN_ADAPTIVE, playing);
  /**
   * GstMmapSink:forward-events:
   *
   * What consumers say that is handed on to the elements before the sink: see #GstMmapForward.
   */
  properties[PROP_FORWARD_EVENTS] = g_param_spec_flags ("forward-events",
      "Forward events", "Upstream events and queries of consumers that are "
      "handed on to the producer's pipeline", GST_TYPE_MMAP_FORWARD,
      GST_MMAP_FORWARD_ALL, playing);
  /**
   * GstMmapSink:num-clients:
   *
   * Consumers that are connected now; notified.
   */
  properties[PROP_NUM_CLIENTS] = g_param_spec_uint ("num-clients",
      "Number of clients", "Consumers that are connected now", 0,
      MMAP_MAX_LINKS, 0, readable);
  /**
   * GstMmapSink:capabilities:
   *
   * What was offered last, as application/x-mmap caps with file, size, token-bytes and media; NULL before there is a region.
   */
  properties[PROP_CAPABILITIES] = g_param_spec_boxed ("capabilities",
      "Capabilities", "What is offered to consumers: application/x-mmap caps "
      "with file, size (bytes), token-bytes and media", GST_TYPE_CAPS,
      readable);
  /**
   * GstMmapSink:stats:
   *
   * Those of GstBaseSink, and frames and bytes published, frames copied, frames unsent for lack of a consumer, wake-ups of
   * consumers, waits for consumers, links that came up, and handshake-failures: a structure with a count for each reason.
   * Notified at EOS and when the element stops.
   */
  properties[PROP_STATS] = g_param_spec_boxed ("stats", "Statistics",
      "Counts since start: frames, bytes, copied, dropped, unsent, wake-ups, "
      "waits, links, handshake-failures (by reason)", GST_TYPE_STRUCTURE,
      readable);
  g_object_class_install_properties (klass, N_PROPS, properties);
}

static void
gst_mmap_sink_install_signals (GObjectClass * klass)
{
  GType type = G_TYPE_FROM_CLASS (klass);

  /**
   * GstMmapSink::create-offer:
   * @object: the sink
   * @fds: an empty GUnixFDList, which gets the descriptors that go with the offer, in their order
   *
   * Offers the region to one consumer, through a channel of the application's own: it hands caps and descriptors to
   * #GstMmapSrc::accept-offer there. Needs a region: notify::capabilities tells. An offer that is not answered within 30 s is void.
   *
   * Returns: (transfer full) (nullable): application/x-mmap caps; %NULL if an error was posted, as a warning
   */
  signals[SIGNAL_CREATE_OFFER] = g_signal_new_class_handler ("create-offer",
      type, G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION,
      G_CALLBACK (gst_mmap_sink_create_offer), NULL, NULL, NULL, GST_TYPE_CAPS,
      1, G_TYPE_UNIX_FD_LIST);
  /**
   * GstMmapSink::accept-answer:
   * @object: the sink
   * @answer: what #GstMmapSrc::accept-offer returned
   *
   * Checks an answer. If it is right, the link comes up.
   *
   * Returns: %FALSE if it was refused: an error was posted, as a warning
   */
  signals[SIGNAL_ACCEPT_ANSWER] = g_signal_new_class_handler ("accept-answer",
      type, G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION,
      G_CALLBACK (gst_mmap_sink_accept_answer), NULL, NULL, NULL,
      G_TYPE_BOOLEAN, 1, GST_TYPE_CAPS);
}

static void
gst_mmap_sink_class_init (GstMmapSinkClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSinkClass *sink_class = GST_BASE_SINK_CLASS (klass);

  object_class->get_property = gst_mmap_sink_get_property;
  object_class->set_property = gst_mmap_sink_set_property;
  object_class->finalize = gst_mmap_sink_finalize;
  gst_mmap_sink_install_properties (object_class);
  gst_mmap_sink_install_signals (object_class);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_set_static_metadata (element_class,
      "Shared memory sink", "Sink",
      "Publishes a stream to other processes in shared memory, without copies",
      "the gst-mmap authors");

  element_class->change_state = gst_mmap_sink_change_state;
  sink_class->start = gst_mmap_sink_start;
  sink_class->stop = gst_mmap_sink_stop;
  sink_class->unlock = gst_mmap_sink_unlock;
  sink_class->unlock_stop = gst_mmap_sink_unlock_stop;
  sink_class->get_caps = gst_mmap_sink_get_caps;
  sink_class->set_caps = gst_mmap_sink_set_caps;
  sink_class->query = gst_mmap_sink_query;
  sink_class->propose_allocation = gst_mmap_sink_propose_allocation;
  sink_class->event = gst_mmap_sink_event;
  sink_class->wait_event = gst_mmap_sink_wait_event;
  sink_class->prepare = gst_mmap_sink_prepare;
  sink_class->render = gst_mmap_sink_render;
}

static void
gst_mmap_sink_init (GstMmapSink * self)
{
  g_mutex_init (&self->accept_lock);
  self->size = DEFAULT_SIZE;
  self->token_bytes = MMAP_TOKEN_DEFAULT_BYTES;
  self->wait_for_connection = DEFAULT_WAIT_FOR_CONNECTION;
  self->spin_time = MMAP_SPIN_ADAPTIVE;
  self->forward = GST_MMAP_FORWARD_ALL;
  self->base_chain = GST_PAD_CHAINFUNC (GST_BASE_SINK_PAD (self));
  gst_pad_set_chain_function (GST_BASE_SINK_PAD (self), gst_mmap_sink_chain);
  /* A last sample would keep a block of the region. */
  gst_base_sink_set_last_sample_enabled (GST_BASE_SINK (self), FALSE);
}
