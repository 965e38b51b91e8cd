/* gst-mmap: element that receives a stream from another process
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
/**
 * SECTION:element-mmapsrc
 * @title: mmapsrc
 * @see_also: mmapsink
 *
 * Receives what a mmapsink in another process publishes: caps, time stamps, flags, and frames that lie read-only in memory that
 * both processes share. It waits for a mmapsink that isn't there yet, or not any more. A buffer may be kept for as long as one
 * likes, also after this element or the other process has gone.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 mmapsrc socket-path=/tmp/cam0 ! videoconvert ! autovideosink
 * ]|
 *
 * create() runs on the streaming thread, and is the only one that receives frames. The consumer's own thread calls message() and asked();
 * upstream events and queries come from anywhere.
 *
 * Since: 0.1
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsrc.h"

#include "address.h"
#include "gstmmapcapabilities.h"
#include "gstmmapevent.h"
#include "gstmmapframe.h"
#include "gstmmapitempool.h"
#include "gstmmapneeds.h"
#include "gstmmapmeta.h"
#include "gstmmapquery.h"
#include "gstmmapuri.h"
#include "gstmmaputil.h"

#include <gio/gunixfdlist.h>

GST_DEBUG_CATEGORY_STATIC (gst_mmap_src_debug);
#define GST_CAT_DEFAULT gst_mmap_src_debug

/* What is said to take time between the pipelines is rounded up to this, so that it is said once or twice, and is at most that: who comes
 * later than that has waited for something else. Chosen: a tenth of a frame, and what sinks allow for. */
#define TRANSFER_STEP_NS (GST_MSECOND)
#define TRANSFER_MAX_NS (20 * GST_MSECOND)

/* A difference between two clocks that has changed by less than this is taken for an inexact reading; chosen: can't be heard. */
#define ANCHOR_TOLERANCE_NS (GST_MSECOND)

/* How long an answer of the producer's pipeline is waited for; chosen: a seek may have to read a file. */
#define QUERY_TIMEOUT_US (G_USEC_PER_SEC / 2)
#define EVENT_TIMEOUT_US (10 * G_USEC_PER_SEC)
/* How long after the mark of a flush the message that tells of it may come; chosen: they were sent together. */
#define FLUSH_TIMEOUT_US (G_USEC_PER_SEC)

/* How often the lock of the pipeline's state is looked at; chosen: nobody sees it, and who has it has it for a moment. */
#define STATE_LOCK_INTERVAL_US 500

#define DEFAULT_IS_LIVE TRUE

enum
{
  PROP_0,
  PROP_SOCKET_PATH,
  PROP_SIGNALLING,
  PROP_ACCEPT_CAPABILITIES,
  PROP_IS_LIVE,
  PROP_SPIN_TIME,
  PROP_CAPABILITIES,
  PROP_STATS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

enum
{
  SIGNAL_ACCEPT_OFFER,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

/* See on_event(). */
typedef struct
{
  GstEvent *ours;               /* nullable: the last one that was sent */
  guint32 made_up;              /* sequence number of the base class's last one */
} Substitute;

struct _GstMmapSrc
{
  GstPushSrc parent;

  /* properties, under the object lock */
  gchar *socket_path;
  GstMmapSignalling signalling;
  GstCaps *accept;
  gint64 spin_time;
  MmapConsumer *consumer;       /* between start() and stop() */
  MmapConsumerStats past;       /* of the one before */

  /* streaming thread */
  GstBufferPool *pool;
  GstBuffer *next;              /* to be filled */
  gboolean is_live;             /* as it was at the start: it doesn't change after that */
  GstVideoInfo info;            /* of the caps; format UNKNOWN if they are not raw video */
  GstMmapLayout layout;         /* that was found to be sound */
  gboolean discont;
  GstSegment segment;           /* the producer's */
  gboolean have_segment;
  gboolean new_segment;
  GstClockTimeDiff shift;       /* that was applied to it; object lock where other threads look */
  guint32 segment_seqnum;
  guint32 eos_seqnum;
  gboolean have_stream_start;
  gint flushed;                 /* atomic: a flush has ended since the last segment */
  MmapItem kept;                /* see gst_mmap_src_take_next(); without a link: none */
  Substitute stream_start_event, segment_event; /* object lock */
  gboolean wait_key_unit;       /* the stream was entered in the middle */
  gboolean asked_key_unit;
  gboolean told_wishes;
  guint64 link;                 /* see mmap_consumer_get_link() */
  guint64 flush_seen;           /* the last mark of a flush in the link's ring */
  GstMmapAnchor anchor;

  gulong probe;                 /* see gst_mmap_src_keep_time_stamps() */
  GstClockTime probe_dts;
  gulong no_caps_probe;         /* see drop_query_without_caps() */

  GMutex flush_lock;
  GCond flush_cond;
  gboolean unlocked;            /* between unlock() and unlock_stop() */
  guint64 flush_link;           /* the link of the last flush that was heard of, and its number */
  guint64 flush_heard;
  gint flush_told;              /* atomic: the streaming thread is to look at these */

  gint n_seeks;                 /* atomic: threads that wait for the producer to seek; they end under the flush lock */
  GQueue left_to_seek;          /* (element-type GstEvent) flush lock: see gst_mmap_src_leave_to_seek() */
  gint stopping;                /* atomic */
  guint64 flushing_link;        /* the consumer's own thread: which has begun a flush that has not ended */
  GMutex wishes_lock;           /* from the question downstream until the answer is told */

  gboolean downstream_has_video_meta;
  GstMmapNeeds needs;           /* that the producer was told of */
  guint64 latency;              /* of the producing pipeline; object lock */
  guint64 transfer;             /* ns, how late frames arrive beyond that; object lock */
  guint64 copied;               /* atomic */
};

static GstStaticPadTemplate src_template =
GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS_ANY);

#define gst_mmap_src_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE (GstMmapSrc, gst_mmap_src, GST_TYPE_PUSH_SRC,
    G_IMPLEMENT_INTERFACE (GST_TYPE_URI_HANDLER, gst_mmap_uri_handler_init)
    GST_DEBUG_CATEGORY_INIT (gst_mmap_src_debug, "mmapsrc", 0,
        "receives a stream from another process"));
GST_ELEMENT_REGISTER_DEFINE (mmapsrc, "mmapsrc", GST_RANK_NONE,
    GST_TYPE_MMAP_SRC);

/* --- life --- */

/* The base class asks for an allocation before there are caps, which some elements don't expect. */
static GstPadProbeReturn
drop_query_without_caps (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstQuery *query = GST_PAD_PROBE_INFO_QUERY (info);
  GstCaps *caps;

  if (GST_QUERY_TYPE (query) != GST_QUERY_ALLOCATION)
    return GST_PAD_PROBE_OK;
  gst_query_parse_allocation (query, &caps, NULL);
  return caps ? GST_PAD_PROBE_OK : GST_PAD_PROBE_DROP;
}

static void
gst_mmap_src_remove_no_caps_probe (GstMmapSrc * self)
{
  if (self->no_caps_probe)
    gst_pad_remove_probe (GST_BASE_SRC_PAD (self), self->no_caps_probe);
  self->no_caps_probe = 0;
}

static gboolean gst_mmap_src_stop (GstBaseSrc * src);

/* Returns: (transfer full) (nullable) */
static MmapConsumer *
gst_mmap_src_dup_consumer (GstMmapSrc * self)
{
  MmapConsumer *consumer;

  GST_OBJECT_LOCK (self);
  consumer = self->consumer ? mmap_consumer_ref (self->consumer) : NULL;
  GST_OBJECT_UNLOCK (self);
  return consumer;
}

static GstClockTimeDiff
gst_mmap_src_read_shift (GstMmapSrc * self)
{
  GstClockTimeDiff shift;

  GST_OBJECT_LOCK (self);
  shift = self->shift;
  GST_OBJECT_UNLOCK (self);
  return shift;
}

/* --- the consumer's own thread --- */

/* Tells the producer what downstream accepts. Also on the streaming thread. */
static void
asked (gpointer user_data)
{
  GstMmapSrc *self = user_data;
  MmapConsumer *consumer = gst_mmap_src_dup_consumer (self);
  g_autofree gchar *media = NULL;
  GstCaps *caps;

  if (!consumer)
    return;
  g_mutex_lock (&self->wishes_lock);
  caps = gst_pad_peer_query_caps (GST_BASE_SRC_PAD (self), NULL);
  GST_DEBUG_OBJECT (self, "downstream accepts %" GST_PTR_FORMAT, caps);
  if (!gst_caps_is_any (caps))
    media = gst_caps_to_string (caps);
  gst_caps_unref (caps);
  mmap_consumer_set_media (consumer, media);
  g_mutex_unlock (&self->wishes_lock);
  mmap_consumer_unref (consumer);
}

/* Returns: (transfer full): the pipeline */
static GstElement *
gst_mmap_src_get_toplevel (GstMmapSrc * self)
{
  GstObject *top = gst_object_ref (GST_OBJECT (self)), *parent;

  while ((parent = gst_object_get_parent (top))) {
    gst_object_unref (top);
    top = parent;
  }
  return GST_ELEMENT (top);
}

/* As an application's seek does it: no change of the pipeline's state comes between. FALSE: who has the lock waits for us, as who seeks or
 * stops the element. */
static gboolean
gst_mmap_src_lock_state (GstMmapSrc * self, GstElement * pipeline)
{
  while (!GST_STATE_TRYLOCK (pipeline)) {
    if (g_atomic_int_get (&self->n_seeks)
        || g_atomic_int_get (&self->stopping))
      return FALSE;
    g_usleep (STATE_LOCK_INTERVAL_US);
  }
  return TRUE;
}

/* The same, and the lock of the element's own state: somebody may change only that. FALSE: whoever stops the element waits for us.
 * @locked: whether the pipeline's was taken: not from who seeks */
static gboolean
gst_mmap_src_lock_states (GstMmapSrc * self, GstElement * pipeline,
    gboolean * locked)
{
  while (!g_atomic_int_get (&self->stopping)) {
    *locked = gst_mmap_src_lock_state (self, pipeline);
    if (GST_STATE_TRYLOCK (self))
      return TRUE;
    if (*locked)
      GST_STATE_UNLOCK (pipeline);
    g_usleep (STATE_LOCK_INTERVAL_US);
  }
  return FALSE;
}

/* With the locks: a sink loses its state as it is flushed; if the pipeline is just about to go to PLAYING, it would never get there.
 * @event: (transfer full): the base class stops or starts the streaming thread */
static void
gst_mmap_src_flush (GstMmapSrc * self, GstEvent * event)
{
  GstElement *pipeline = gst_mmap_src_get_toplevel (self);
  gboolean locked;

  if (gst_mmap_src_lock_states (self, pipeline, &locked)) {
    gst_element_send_event (GST_ELEMENT (self), event);
    GST_STATE_UNLOCK (self);
    if (locked)
      GST_STATE_UNLOCK (pipeline);
  } else {
    gst_event_unref (event);
  }
  gst_object_unref (pipeline);
}

/* Leaves @event (transfer full) to a thread that waits for the result of a seek. FALSE: there is none. */
static gboolean
gst_mmap_src_leave_to_seek (GstMmapSrc * self, GstEvent * event)
{
  gboolean left;

  g_mutex_lock (&self->flush_lock);
  left = g_atomic_int_get (&self->n_seeks) > 0
      || g_atomic_int_get (&self->stopping);
  if (left)
    g_queue_push_tail (&self->left_to_seek, event);
  g_mutex_unlock (&self->flush_lock);
  return left;
}

/* A sink makes the pipeline take the lock of its state at once. @event: (transfer full) */
static void
gst_mmap_src_change_rate (GstMmapSrc * self, GstEvent * event)
{
  GstElement *pipeline = gst_mmap_src_get_toplevel (self);
  gboolean locked;

  while (!(locked = gst_mmap_src_lock_state (self, pipeline))
      && !gst_mmap_src_leave_to_seek (self, event));
  if (locked) {
    gst_pad_push_event (GST_BASE_SRC_PAD (self), event);
    GST_STATE_UNLOCK (pipeline);
  }
  gst_object_unref (pipeline);
}

/* @event: (transfer full) */
static void
gst_mmap_src_flush_start (GstMmapSrc * self, guint64 link, GstEvent * event)
{
  self->flushing_link = link;
  gst_mmap_src_flush (self, event);
}

/* The streaming thread starts again; then it drops what comes before the mark of this flush. @event: (transfer full) */
static void
gst_mmap_src_flush_stop (GstMmapSrc * self, guint64 link, guint64 number,
    GstEvent * event)
{
  g_mutex_lock (&self->flush_lock);
  self->flush_link = link;
  self->flush_heard = number;
  g_atomic_int_set (&self->flush_told, TRUE);
  g_cond_broadcast (&self->flush_cond);
  g_mutex_unlock (&self->flush_lock);
  /* It was flushing already when the link came up: downstream has got nothing that is to be dropped. */
  if (self->flushing_link != link) {
    gst_event_unref (event);
    return;
  }
  self->flushing_link = 0;
  gst_mmap_src_flush (self, event);
}

static void
message (guint64 link, GVariant * body, gpointer user_data)
{
  GstMmapSrc *self = user_data;
  guint32 type = 0, seqnum = 0;
  guint64 number = 0;
  GstEvent *event;

  g_variant_lookup (body, "type", "u", &type);
  g_variant_lookup (body, "seqnum", "u", &seqnum);
  g_variant_lookup (body, "flush", "t", &number);
  event = gst_mmap_event_from_variant (type, seqnum,
      gst_mmap_src_read_shift (self), body);
  if (!event || !GST_EVENT_IS_DOWNSTREAM (event)
      || (GST_EVENT_IS_SERIALIZED (event) && type != GST_EVENT_FLUSH_STOP)) {
    GST_WARNING_OBJECT (self, "an event of type %u makes no sense", type);
    g_clear_pointer (&event, gst_event_unref);
    return;
  }
  GST_DEBUG_OBJECT (self, "from the producer: %" GST_PTR_FORMAT, event);
  if (type == GST_EVENT_FLUSH_START)
    gst_mmap_src_flush_start (self, link, event);
  else if (type == GST_EVENT_FLUSH_STOP)
    gst_mmap_src_flush_stop (self, link, number, event);
  else if (type == GST_EVENT_INSTANT_RATE_CHANGE)
    gst_mmap_src_change_rate (self, event);
  else
    gst_pad_push_event (GST_BASE_SRC_PAD (self), event);
}

/* The streaming thread, which is to meet the next producer, would never start again. */
static void
closed (guint64 link, gpointer user_data)
{
  GstMmapSrc *self = user_data;

  if (self->flushing_link == link)
    gst_mmap_src_flush_stop (self, link, 0, gst_event_new_flush_stop (TRUE));
}

/* Any thread. */
static gboolean
check (GVariant * offer, gpointer user_data, GError ** error)
{
  GstMmapSrc *self = user_data;
  GstCaps *accept;
  gboolean right;

  GST_OBJECT_LOCK (self);
  accept = self->accept ? gst_caps_ref (self->accept) : NULL;
  GST_OBJECT_UNLOCK (self);
  right = gst_mmap_capabilities_check (accept, offer, error);
  gst_clear_caps (&accept);
  return right;
}

/* --- life, continued --- */

static void
substitute_set (GstMmapSrc * self, Substitute * substitute, GstEvent * ours)
{
  GST_OBJECT_LOCK (self);
  gst_event_replace (&substitute->ours, ours);
  GST_OBJECT_UNLOCK (self);
}

static GstPadProbeReturn
substitute_event (GstMmapSrc * self, Substitute * substitute,
    GstPadProbeInfo * info)
{
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);
  guint32 seqnum = gst_event_get_seqnum (event);
  gboolean is_ours, again;

  GST_OBJECT_LOCK (self);
  is_ours = substitute->ours
      && gst_event_get_seqnum (substitute->ours) == seqnum;
  again = substitute->ours && substitute->made_up == seqnum;
  if (!is_ours) {
    substitute->made_up = seqnum;
    GST_PAD_PROBE_INFO_DATA (info) =
        again ? gst_event_ref (substitute->ours) : NULL;
  }
  GST_OBJECT_UNLOCK (self);
  if (is_ours)
    return GST_PAD_PROBE_OK;
  gst_event_unref (event);
  return again ? GST_PAD_PROBE_OK : GST_PAD_PROBE_HANDLED;
}

/* What the base class makes up by itself is not what the producer has sent. A stream-start or segment of its own goes no further; the pad
 * keeps it, and sends it again when another element is linked: then ours takes its place. EOS gets its sequence number. */
static GstPadProbeReturn
on_event (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstMmapSrc *self = data;
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      return substitute_event (self, &self->stream_start_event, info);
    case GST_EVENT_SEGMENT:
      return substitute_event (self, &self->segment_event, info);
    case GST_EVENT_FLUSH_STOP:
      g_atomic_int_set (&self->flushed, TRUE);
      return GST_PAD_PROBE_OK;
    case GST_EVENT_EOS:
      if (self->eos_seqnum == GST_SEQNUM_INVALID)
        return GST_PAD_PROBE_OK;
      event = gst_event_make_writable (event);
      gst_event_set_seqnum (event, self->eos_seqnum);
      GST_PAD_PROBE_INFO_DATA (info) = event;
      return GST_PAD_PROBE_OK;
    default:
      return GST_PAD_PROBE_OK;
  }
}

static gboolean
gst_mmap_src_start (GstBaseSrc * src)
{
  static const MmapConsumerCallbacks callbacks =
      { message, closed, asked, check };
  GstMmapSrc *self = GST_MMAP_SRC (src);
  g_autoptr (GError) error = NULL;
  MmapConsumer *consumer;

  GST_OBJECT_LOCK (self);
  consumer = mmap_consumer_new (self->signalling == GST_MMAP_SIGNALLING_SOCKET ?
      self->socket_path : MMAP_ADDRESS_NONE, &error);
  GST_OBJECT_UNLOCK (self);
  if (!consumer) {
    gst_mmap_post_error (GST_ELEMENT (self), error);
    return FALSE;
  }
  GST_OBJECT_LOCK (self);
  self->consumer = consumer;
  mmap_consumer_set_spin_time (consumer, self->spin_time);
  self->latency = 0;
  self->transfer = 0;
  self->shift = 0;
  GST_OBJECT_UNLOCK (self);
  self->pool = gst_mmap_item_pool_new ();
  gst_video_info_init (&self->info);
  self->is_live = gst_base_src_is_live (src);
  self->have_segment = FALSE;
  self->discont = TRUE;
  self->copied = 0;
  self->have_stream_start = FALSE;
  self->eos_seqnum = GST_SEQNUM_INVALID;
  self->told_wishes = FALSE;
  self->unlocked = FALSE;
  self->flush_link = 0;
  self->flushing_link = 0;
  g_atomic_int_set (&self->stopping, FALSE);
  self->no_caps_probe = gst_pad_add_probe (GST_BASE_SRC_PAD (self),
      GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM, drop_query_without_caps, self, NULL);
  if (mmap_consumer_start (consumer, &callbacks, self, &error))
    return TRUE;
  gst_mmap_post_error (GST_ELEMENT (self), error);
  gst_mmap_src_stop (src);
  return FALSE;
}

static gboolean
gst_mmap_src_stop (GstBaseSrc * src)
{
  GstMmapSrc *self = GST_MMAP_SRC (src);
  MmapConsumer *consumer;

  g_atomic_int_set (&self->stopping, TRUE);
  GST_OBJECT_LOCK (self);
  consumer = g_steal_pointer (&self->consumer);
  mmap_consumer_get_stats (consumer, &self->past);
  GST_OBJECT_UNLOCK (self);
  mmap_item_clear (&self->kept);
  memset (&self->kept, 0, sizeof self->kept);
  mmap_consumer_free (consumer);
  g_queue_clear_full (&self->left_to_seek, (GDestroyNotify) gst_event_unref);
  substitute_set (self, &self->stream_start_event, NULL);
  substitute_set (self, &self->segment_event, NULL);
  gst_mmap_src_remove_no_caps_probe (self);
  gst_clear_buffer (&self->next);
  gst_clear_object (&self->pool);
  gst_mmap_anchor_clear (&self->anchor);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_STATS]);
  return TRUE;
}

static void
gst_mmap_src_set_unlocked (GstMmapSrc * self, gboolean unlocked)
{
  g_mutex_lock (&self->flush_lock);
  self->unlocked = unlocked;
  g_cond_broadcast (&self->flush_cond);
  g_mutex_unlock (&self->flush_lock);
  /* A flush event may come in READY. */
  if (self->consumer)
    mmap_consumer_set_cancelled (self->consumer, unlocked);
}

static gboolean
gst_mmap_src_unlock (GstBaseSrc * src)
{
  gst_mmap_src_set_unlocked (GST_MMAP_SRC (src), TRUE);
  return TRUE;
}

static gboolean
gst_mmap_src_unlock_stop (GstBaseSrc * src)
{
  gst_mmap_src_set_unlocked (GST_MMAP_SRC (src), FALSE);
  return TRUE;
}

/* --- time --- */

/* How much later the producer's running time 0 is than ours, ns. */
static GstClockTimeDiff
gst_mmap_src_get_shift (GstMmapSrc * self, const MmapDescriptor * frame)
{
  GstClockTime anchor;

  /* A source that isn't live hands out the producer's own running times. */
  if (!self->is_live)
    return 0;
  anchor = gst_mmap_anchor_get (&self->anchor, GST_ELEMENT (self));
  if (frame->anchor == MMAP_TIME_NONE || !GST_CLOCK_TIME_IS_VALID (anchor))
    return self->shift;
  /* Nobody's uptime is that long: the difference can't overflow. */
  return GST_CLOCK_DIFF (anchor & G_MAXINT64 >> 1,
      frame->anchor & G_MAXINT64 >> 1);
}

/* The producer's segment, so that its running times are the same instants here. */
static gboolean
gst_mmap_src_push_segment (GstMmapSrc * self)
{
  GstBaseSrc *src = GST_BASE_SRC (self);
  GstSegment segment = self->segment;
  GstEvent *event;

  if (segment.format == GST_FORMAT_TIME && self->shift != 0)
    gst_segment_offset_running_time (&segment, GST_FORMAT_TIME, self->shift);
  GST_DEBUG_OBJECT (self, "shift %" GST_STIME_FORMAT ", %" GST_SEGMENT_FORMAT,
      GST_STIME_ARGS (self->shift), &segment);
  if (segment.format != src->segment.format) {
    /* The base class lets the format be set only before it starts. */
    GST_OBJECT_LOCK (self);
    gst_segment_init (&src->segment, segment.format);
    GST_OBJECT_UNLOCK (self);
  }
  if (!gst_base_src_new_segment (src, &segment))
    return FALSE;
  /* Now, not with the next buffer: a gap or another event may come before it. */
  event = gst_event_new_segment (&segment);
  if (self->segment_seqnum != GST_SEQNUM_INVALID)
    gst_event_set_seqnum (event, self->segment_seqnum);
  substitute_set (self, &self->segment_event, event);
  return gst_pad_push_event (GST_BASE_SRC_PAD (self), event);
}

/* Whether it is known what the segment is in this pipeline. A kept event may be older than the producer's clock. */
static gboolean
gst_mmap_src_can_tell_time (GstMmapSrc * self, const MmapDescriptor * event)
{
  return !self->is_live || event->anchor != MMAP_TIME_NONE;
}

/* How much later than the producer's pipeline rendered it, with the latency that it says, a frame arrives here: measured, not guessed. */
static void
gst_mmap_src_measure_transfer (GstMmapSrc * self, const MmapDescriptor * frame)
{
  GstClockTime running_time, due, now;

  if (!self->is_live || !self->have_segment || frame->anchor == MMAP_TIME_NONE
      || self->segment.format != GST_FORMAT_TIME)
    return;
  running_time = gst_segment_to_running_time (&self->segment, GST_FORMAT_TIME,
      frame->pts);
  if (!GST_CLOCK_TIME_IS_VALID (running_time))
    return;
  due = frame->anchor + running_time + frame->latency;
  now = gst_mmap_monotonic_now ();
  if (now <= due + self->transfer || now - due > TRANSFER_MAX_NS)
    return;
  GST_OBJECT_LOCK (self);
  self->transfer = ((now - due) / TRANSFER_STEP_NS + 1) * TRANSFER_STEP_NS;
  GST_OBJECT_UNLOCK (self);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_latency (GST_OBJECT (self)));
}

static gboolean
gst_mmap_src_update_time (GstMmapSrc * self, const MmapDescriptor * frame)
{
  GstClockTimeDiff shift = gst_mmap_src_get_shift (self, frame);

  /* Somebody has flushed downstream, which forgets the segment. */
  if (g_atomic_int_get (&self->flushed)) {
    g_atomic_int_set (&self->flushed, FALSE);
    self->new_segment = TRUE;
  }
  /* Only this thread changes it. */
  if (self->latency != frame->latency) {
    GST_OBJECT_LOCK (self);
    self->latency = frame->latency;
    GST_OBJECT_UNLOCK (self);
    gst_element_post_message (GST_ELEMENT (self),
        gst_message_new_latency (GST_OBJECT (self)));
  }

  if (!self->have_segment || (!self->new_segment
          && ABS (shift - self->shift) < ANCHOR_TOLERANCE_NS))
    return TRUE;
  GST_OBJECT_LOCK (self);
  self->shift = shift;
  GST_OBJECT_UNLOCK (self);
  self->new_segment = !gst_mmap_src_push_segment (self);
  return !self->new_segment;
}

/* --- upstream --- */

/* Asks the producer's pipeline. */
static gboolean
gst_mmap_src_ask_producer (GstMmapSrc * self, GstQuery * query)
{
  MmapConsumer *consumer = gst_mmap_src_dup_consumer (self);
  g_autoptr (GVariant) result = NULL;
  gboolean handled = FALSE;
  GVariantDict body;

  g_variant_dict_init (&body, NULL);
  if (consumer && gst_mmap_query_to_dict (query, &body)) {
    g_variant_dict_insert (&body, "type", "u",
        (guint32) GST_QUERY_TYPE (query));
    result =
        mmap_consumer_call (consumer, MMAP_MESSAGE_QUERY, &body,
        QUERY_TIMEOUT_US);
  } else {
    g_variant_dict_clear (&body);
  }
  g_clear_pointer (&consumer, mmap_consumer_unref);
  if (result)
    g_variant_lookup (result, "handled", "b", &handled);
  return handled && gst_mmap_query_set_answer (query, result);
}

static gboolean
gst_mmap_src_query (GstBaseSrc * src, GstQuery * query)
{
  GstMmapSrc *self = GST_MMAP_SRC (src);

  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY) {
    guint64 latency;

    GST_OBJECT_LOCK (self);
    latency = self->latency + self->transfer;
    GST_OBJECT_UNLOCK (self);
    gst_query_set_latency (query, gst_base_src_is_live (src), latency,
        GST_CLOCK_TIME_NONE);
    return TRUE;
  }
  return gst_mmap_src_ask_producer (self, query)
      || GST_BASE_SRC_CLASS (parent_class)->query (src, query);
}

static void
gst_mmap_src_send_qos (GstMmapSrc * self, MmapConsumer * consumer,
    GstEvent * event)
{
  GstClockTimeDiff diff, shift = gst_mmap_src_read_shift (self);
  GstClockTime timestamp;
  gdouble proportion;
  GstQOSType type;
  MmapQos qos = { 0, };

  gst_event_parse_qos (event, &type, &proportion, &diff, &timestamp);
  /* Before the producer's running time 0: nothing that it knows. */
  if (shift > 0 && timestamp < (GstClockTime) shift)
    return;
  qos.type = type;
  qos.proportion = proportion;
  qos.diff = diff;
  qos.timestamp = GST_CLOCK_TIME_IS_VALID (timestamp) ? timestamp - shift :
      timestamp;
  mmap_consumer_send_qos (consumer, &qos);
}

/* Pushes what came while this thread, which has the lock of the state, waited. */
static void
gst_mmap_src_end_seek (GstMmapSrc * self)
{
  GQueue left = G_QUEUE_INIT;
  GstEvent *event;

  g_mutex_lock (&self->flush_lock);
  g_atomic_int_add (&self->n_seeks, -1);
  while ((event = g_queue_pop_head (&self->left_to_seek)))
    g_queue_push_tail (&left, event);
  g_mutex_unlock (&self->flush_lock);
  while ((event = g_queue_pop_head (&left)))
    gst_pad_push_event (GST_BASE_SRC_PAD (self), event);
}

/* Hands an event to the producer's pipeline, and waits for what becomes of it. */
static gboolean
gst_mmap_src_send_upstream (GstMmapSrc * self, MmapConsumer * consumer,
    GstEvent * event)
{
  g_autoptr (GVariant) result = NULL;
  gboolean handled = FALSE;
  GVariantDict body;

  g_variant_dict_init (&body, NULL);
  if (!gst_mmap_event_to_dict (event, -gst_mmap_src_read_shift (self), &body)) {
    g_variant_dict_clear (&body);
    return FALSE;
  }
  g_variant_dict_insert (&body, "type", "u", (guint32) GST_EVENT_TYPE (event));
  g_variant_dict_insert (&body, "seqnum", "u", gst_event_get_seqnum (event));
  /* Only of a seek somebody wants to know: others come often, and from threads that have other things to do. */
  if (GST_EVENT_TYPE (event) != GST_EVENT_SEEK)
    return mmap_consumer_send (consumer, MMAP_MESSAGE_EVENT,
        g_variant_dict_end (&body));
  g_atomic_int_inc (&self->n_seeks);
  result = mmap_consumer_call (consumer, MMAP_MESSAGE_EVENT, &body,
      EVENT_TIMEOUT_US);
  gst_mmap_src_end_seek (self);
  if (result)
    g_variant_lookup (result, "handled", "b", &handled);
  return handled;
}

static gboolean
gst_mmap_src_event (GstBaseSrc * src, GstEvent * event)
{
  GstMmapSrc *self = GST_MMAP_SRC (src);
  MmapConsumer *consumer = gst_mmap_src_dup_consumer (self);
  gboolean handled = FALSE;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_RECONFIGURE:
      /* Downstream may hold locks: the question comes later. */
      if (consumer)
        mmap_consumer_ask (consumer);
      handled = GST_BASE_SRC_CLASS (parent_class)->event (src, event);
      break;
    case GST_EVENT_QOS:
      if (consumer)
        gst_mmap_src_send_qos (self, consumer, event);
      handled = TRUE;
      break;
    case GST_EVENT_SEEK:
    case GST_EVENT_STEP:
    case GST_EVENT_NAVIGATION:
    case GST_EVENT_LATENCY:
    case GST_EVENT_TOC_SELECT:
    case GST_EVENT_SELECT_STREAMS:
    case GST_EVENT_CUSTOM_UPSTREAM:
    case GST_EVENT_CUSTOM_BOTH:
    case GST_EVENT_CUSTOM_BOTH_OOB:
      if (consumer)
        handled = gst_mmap_src_send_upstream (self, consumer, event);
      break;
    default:
      handled = GST_BASE_SRC_CLASS (parent_class)->event (src, event);
      break;
  }
  g_clear_pointer (&consumer, mmap_consumer_unref);
  return handled;
}

/* --- events --- */

/* Tells the producer what downstream needs, if it was not told yet. */
static void
gst_mmap_src_send_needs (GstMmapSrc * self, const GstMmapNeeds * needs)
{
  if (gst_mmap_needs_include (&self->needs, needs)
      && gst_mmap_needs_include (needs, &self->needs)
      && needs->crop == self->needs.crop)
    return;
  self->needs = *needs;
  mmap_consumer_send (self->consumer, MMAP_MESSAGE_NEEDS,
      gst_mmap_needs_to_variant (needs));
}

static void
gst_mmap_src_note_allocation (GstMmapSrc * self, GstQuery * query)
{
  GstMmapNeeds needs;

  self->downstream_has_video_meta =
      gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
  gst_mmap_needs_init_query (&needs, query);
  gst_mmap_src_send_needs (self, &needs);
}

/* A frame had to be copied because of where its planes lie. */
static void
gst_mmap_src_ask_for_default_layout (GstMmapSrc * self)
{
  GstMmapNeeds needs = self->needs;

  needs.default_layout = TRUE;
  gst_mmap_src_send_needs (self, &needs);
}

/* Buffers come from the producer: the base class needs no pool. */
static gboolean
gst_mmap_src_decide_allocation (GstBaseSrc * src, GstQuery * query)
{
  GstMmapSrc *self = GST_MMAP_SRC (src);

  gst_mmap_src_note_allocation (self, query);
  while (gst_query_get_n_allocation_pools (query) > 0)
    gst_query_remove_nth_allocation_pool (query, 0);
  return TRUE;
}

/* What it is that something could not be pushed. Nobody ends a flush meanwhile: this thread has the lock of the stream. */
static GstFlowReturn
gst_mmap_src_flow_or_flushing (GstMmapSrc * self, GstFlowReturn flow)
{
  return GST_PAD_IS_FLUSHING (GST_BASE_SRC_PAD (self)) ? GST_FLOW_FLUSHING :
      flow;
}

static GstFlowReturn
gst_mmap_src_set_caps (GstMmapSrc * self, const MmapItem * item)
{
  GstCaps *caps = gst_mmap_caps_from_wire (item->data, item->descriptor.size);
  GstQuery *query;

  if (!caps) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("The producer sent caps that can't be parsed."), (NULL));
    return GST_FLOW_ERROR;
  }
  GST_INFO_OBJECT (self, "caps %" GST_PTR_FORMAT, caps);
  if (!gst_video_info_from_caps (&self->info, caps))
    gst_video_info_init (&self->info);
  if (!gst_base_src_set_caps (GST_BASE_SRC (self), caps)) {
    gst_caps_unref (caps);
    return gst_mmap_src_flow_or_flushing (self, GST_FLOW_NOT_NEGOTIATED);
  }
  gst_mmap_src_remove_no_caps_probe (self);

  query = gst_query_new_allocation (caps, FALSE);
  if (!gst_pad_peer_query (GST_BASE_SRC_PAD (self), query))
    GST_DEBUG_OBJECT (self, "downstream did not answer an allocation query");
  gst_mmap_src_note_allocation (self, query);
  gst_query_unref (query);
  gst_caps_unref (caps);
  return GST_FLOW_OK;
}

/* @event: (transfer full) */
static GstFlowReturn
gst_mmap_src_push_stream_start (GstMmapSrc * self, GstEvent * event)
{
  self->eos_seqnum = GST_SEQNUM_INVALID;
  substitute_set (self, &self->stream_start_event, event);
  self->have_stream_start = gst_pad_push_event (GST_BASE_SRC_PAD (self), event);
  return self->have_stream_start ? GST_FLOW_OK :
      gst_mmap_src_flow_or_flushing (self, GST_FLOW_OK);
}

/* Nothing may come before it. */
static GstFlowReturn
gst_mmap_src_ensure_stream_start (GstMmapSrc * self)
{
  GstPad *pad = GST_BASE_SRC_PAD (self);
  g_autofree gchar *id = NULL;

  if (self->have_stream_start)
    return GST_FLOW_OK;
  id = gst_pad_create_stream_id (pad, GST_ELEMENT (self), NULL);
  return gst_mmap_src_push_stream_start (self, gst_event_new_stream_start (id));
}

/* Whether all that comes now is older than a flush that was heard of. */
static gboolean
gst_mmap_src_is_before_flush (GstMmapSrc * self)
{
  gboolean before;

  if (!g_atomic_int_get (&self->flush_told))
    return FALSE;
  g_mutex_lock (&self->flush_lock);
  before = self->flush_link == self->link
      && self->flush_seen < self->flush_heard;
  g_atomic_int_set (&self->flush_told, before);
  g_mutex_unlock (&self->flush_lock);
  return before;
}

/* The mark of a flush: what comes after it waits until the flush was heard of, or it would be flushed, too. */
static GstFlowReturn
gst_mmap_src_handle_flush (GstMmapSrc * self, guint64 number)
{
  gint64 deadline = g_get_monotonic_time () + FLUSH_TIMEOUT_US;
  GstFlowReturn flow;

  self->flush_seen = number;
  self->have_segment = FALSE;
  self->discont = TRUE;
  g_mutex_lock (&self->flush_lock);
  while (!self->unlocked && (self->flush_link != self->link
          || self->flush_heard < number)
      && g_cond_wait_until (&self->flush_cond, &self->flush_lock, deadline));
  flow = self->unlocked ? GST_FLOW_FLUSHING : GST_FLOW_OK;
  g_mutex_unlock (&self->flush_lock);
  return flow;
}

/* Who made the seek waits for such messages. @done: at the end of the segment */
static void
gst_mmap_src_post_segment (GstMmapSrc * self, gboolean done, GstFormat format,
    gint64 position, guint32 seqnum)
{
  GstObject *object = GST_OBJECT (self);
  GstMessage *message = done ?
      gst_message_new_segment_done (object, format, position) :
      gst_message_new_segment_start (object, format, position);

  if (seqnum != GST_SEQNUM_INVALID)
    gst_message_set_seqnum (message, seqnum);
  gst_element_post_message (GST_ELEMENT (self), message);
}

/* An event in the words of GStreamer. */
static GstFlowReturn
gst_mmap_src_handle_gst_event (GstMmapSrc * self, const MmapItem * item)
{
  g_autoptr (GVariant) dict =
      gst_mmap_dict_from_wire (item->data, item->descriptor.size);
  guint32 type = item->descriptor.kind;
  gboolean sticky = (type & GST_EVENT_TYPE_STICKY) != 0;
  GstFlowReturn flow = GST_FLOW_OK;
  GstEvent *event;
  GstFormat format;
  gint64 position;

  /* A flush drops all but what stays on the pads. */
  if (!sticky && gst_mmap_src_is_before_flush (self))
    return GST_FLOW_OK;
  event = dict ? gst_mmap_event_from_variant (type, item->descriptor.flags,
      gst_mmap_src_read_shift (self), dict) : NULL;
  if (!event || !GST_EVENT_IS_DOWNSTREAM (event)
      || !GST_EVENT_IS_SERIALIZED (event)) {
    /* Of a newer producer: what an older consumer can do without. */
    GST_WARNING_OBJECT (self, "an event of type %u makes no sense", type);
    g_clear_pointer (&event, gst_event_unref);
    return GST_FLOW_OK;
  }
  GST_DEBUG_OBJECT (self, "from the producer: %" GST_PTR_FORMAT, event);
  if (type == GST_EVENT_STREAM_START)
    return gst_mmap_src_push_stream_start (self, event);
  flow = gst_mmap_src_ensure_stream_start (self);
  if (flow == GST_FLOW_OK && (!sticky
          || gst_mmap_src_can_tell_time (self, &item->descriptor))
      && !gst_mmap_src_update_time (self, &item->descriptor))
    flow = gst_mmap_src_flow_or_flushing (self, GST_FLOW_ERROR);
  if (flow != GST_FLOW_OK) {
    gst_event_unref (event);
    return flow;
  }
  if (type == GST_EVENT_SEGMENT_DONE) {
    gst_event_parse_segment_done (event, &format, &position);
    gst_mmap_src_post_segment (self, TRUE, format, position,
        item->descriptor.flags);
  }
  if (!gst_pad_push_event (GST_BASE_SRC_PAD (self), event))
    return gst_mmap_src_flow_or_flushing (self, GST_FLOW_OK);
  return GST_FLOW_OK;
}

static GstFlowReturn
gst_mmap_src_handle_segment (GstMmapSrc * self, const MmapItem * item)
{
  if (!gst_mmap_segment_from_wire (item->data, item->descriptor.size,
          &self->segment)) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("The producer sent a segment that makes no sense."), (NULL));
    return GST_FLOW_ERROR;
  }
  if ((self->segment.flags & GST_SEGMENT_FLAG_SEGMENT)
      && !gst_mmap_src_is_before_flush (self))
    gst_mmap_src_post_segment (self, FALSE, self->segment.format,
        self->segment.position, item->descriptor.flags);
  self->segment_seqnum = item->descriptor.flags;
  self->have_segment = TRUE;
  self->new_segment = TRUE;
  return GST_FLOW_OK;
}

static GstFlowReturn
gst_mmap_src_handle_event (GstMmapSrc * self, const MmapItem * item)
{
  GstFlowReturn flow;

  switch (item->descriptor.kind) {
    case MMAP_EVENT_CAPS:
      flow = gst_mmap_src_ensure_stream_start (self);
      return flow == GST_FLOW_OK ? gst_mmap_src_set_caps (self, item) : flow;
    case MMAP_EVENT_SEGMENT:
      return gst_mmap_src_handle_segment (self, item);
    case MMAP_EVENT_EOS:
      if (gst_mmap_src_is_before_flush (self))
        return GST_FLOW_OK;
      GST_INFO_OBJECT (self, "end of stream");
      flow = gst_mmap_src_ensure_stream_start (self);
      self->eos_seqnum = item->descriptor.flags;
      return flow == GST_FLOW_OK ? GST_FLOW_EOS : flow;
    case MMAP_EVENT_FLUSH:
      return gst_mmap_src_handle_flush (self, item->descriptor.frame_offset);
    default:
      return gst_mmap_src_handle_gst_event (self, item);
  }
}

/* --- frames --- */

/* The payload in memory of our own, so that the producer gets its block back at once. */
static void
gst_mmap_src_append_copy (GstMmapSrc * self, const MmapItem * item,
    GstBuffer * buffer)
{
  gsize size = item->descriptor.size;
  GstMemory *memory = gst_allocator_alloc (NULL, size, NULL);
  GstMapInfo map;

  if (gst_memory_map (memory, &map, GST_MAP_WRITE)) {
    memcpy (map.data, item->data, size);
    gst_memory_unmap (memory, &map);
  }
  gst_buffer_append_memory (buffer, memory);
  mmap_consumer_link_release (item->link, item->descriptor.id, size);
  __atomic_fetch_add (&self->copied, 1, __ATOMIC_RELAXED);
}

/* A buffer with the payload. */
static GstBuffer *
gst_mmap_src_wrap (GstMmapSrc * self, const MmapItem * item)
{
  GstBuffer *buffer;

  if (item->descriptor.size > 0 && !item->should_copy) {
    gst_mmap_item_pool_fill (self->pool, self->next, item);
    return g_steal_pointer (&self->next);
  }
  buffer = gst_buffer_new ();
  if (item->descriptor.size == 0)
    mmap_consumer_link_release (item->link, item->descriptor.id, 0);
  else
    /* Downstream holds so much that the producer may run out of blocks. */
    gst_mmap_src_append_copy (self, item, buffer);
  return buffer;
}

/* Copies the picture into the layout that its caps stand for, for a downstream that doesn't know GstVideoMeta. */
static GstBuffer *
gst_mmap_src_copy_to_default_layout (GstMmapSrc * self, GstBuffer * buffer)
{
  GstBuffer *copy = gst_buffer_new_allocate (NULL,
      GST_VIDEO_INFO_SIZE (&self->info), NULL);
  GstVideoFrame from, to;
  gboolean done = FALSE;

  if (gst_video_frame_map (&from, &self->info, buffer, GST_MAP_READ)) {
    if (gst_video_frame_map (&to, &self->info, copy, GST_MAP_WRITE)) {
      done = gst_video_frame_copy (&to, &from);
      gst_video_frame_unmap (&to);
    }
    gst_video_frame_unmap (&from);
  }
  gst_buffer_copy_into (copy, buffer,
      GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
  gst_buffer_unref (buffer);
  gst_mmap_src_ask_for_default_layout (self);
  if (!done)
    gst_clear_buffer (&copy);
  else
    __atomic_fetch_add (&self->copied, 1, __ATOMIC_RELAXED);
  return copy;
}

static GstPadProbeReturn
restore_time_stamps (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstMmapSrc *self = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);

  GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DTS (buffer) = self->probe_dts;
  self->probe = 0;
  return GST_PAD_PROBE_REMOVE;
}

/* The base class makes up time stamps for a buffer that has none, between create() and the pad: what the producer sent
 * is put back there. */
static void
gst_mmap_src_keep_time_stamps (GstMmapSrc * self, GstBuffer * buffer)
{
  GstPad *pad = GST_BASE_SRC_PAD (self);

  /* One that was meant for a buffer which the base class dropped, because it was flushing. */
  if (self->probe)
    gst_pad_remove_probe (pad, self->probe);
  self->probe = 0;
  if (GST_BUFFER_PTS_IS_VALID (buffer))
    return;
  self->probe_dts = GST_BUFFER_DTS (buffer);
  self->probe = gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER,
      restore_time_stamps, self, NULL);
}

/* A layout that contradicts the caps would be a bug of the caller's in GStreamer's eyes. */
static gboolean
gst_mmap_src_fits_caps (GstMmapSrc * self, const MmapDescriptor * frame)
{
  const GstVideoInfo *info = &self->info;

  return frame->n_planes == 0
      || GST_VIDEO_INFO_FORMAT (info) == GST_VIDEO_FORMAT_UNKNOWN
      || (frame->video_format == (guint32) GST_VIDEO_INFO_FORMAT (info)
      && frame->width >= (guint) GST_VIDEO_INFO_WIDTH (info)
      && frame->height >= (guint) GST_VIDEO_INFO_FIELD_HEIGHT (info));
}

/* FALSE: an error was posted. Before the frame is given back: its metadata goes with it. */
static gboolean
gst_mmap_src_parse_metas (GstMmapSrc * self, const MmapItem * item,
    GVariant ** metas)
{
  *metas = NULL;
  if (!item->metas)
    return TRUE;
  *metas = gst_mmap_metas_parse (item->metas, item->descriptor.metas_size);
  if (*metas)
    return TRUE;
  GST_ELEMENT_ERROR (self, STREAM, FORMAT,
      ("The producer sent a frame whose metadata can't be parsed."),
      ("%u bytes", item->descriptor.metas_size));
  return FALSE;
}

/* Last, when the frame lies where it will lie, copied or not. */
static void
gst_mmap_src_restore_metas (GstMmapSrc * self, GVariant * metas,
    GstBuffer * buffer)
{
  GstCaps *caps = gst_pad_get_current_caps (GST_BASE_SRC_PAD (self));

  gst_mmap_metas_restore (metas, buffer, caps);
  gst_clear_caps (&caps);
}

static GstFlowReturn
gst_mmap_src_make_buffer (GstMmapSrc * self, const MmapItem * item,
    GVariant * metas, GstBuffer ** buffer)
{
  const MmapDescriptor *frame = &item->descriptor;
  GstBuffer *made = gst_mmap_src_wrap (self, item);

  gst_mmap_frame_restore (frame, made);
  if (!gst_mmap_src_fits_caps (self, frame)
      || !gst_mmap_frame_restore_video (frame, made, &self->layout)) {
    gst_clear_buffer (&made);
  } else if (frame->n_planes > 0 && !self->downstream_has_video_meta
      && GST_VIDEO_INFO_FORMAT (&self->info) != GST_VIDEO_FORMAT_UNKNOWN
      && !gst_mmap_frame_has_default_layout (frame, &self->info)) {
    made = gst_mmap_src_copy_to_default_layout (self, made);
  }
  if (!made) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("The producer sent a frame whose planes fit neither its bytes nor its "
            "caps."),
        ("format %u, %ux%u, %u planes, %" G_GUINT64_FORMAT " bytes",
            frame->video_format, frame->width, frame->height, frame->n_planes,
            frame->size));
    return GST_FLOW_ERROR;
  }
  if (metas)
    gst_mmap_src_restore_metas (self, metas, made);
  if (self->discont)
    GST_BUFFER_FLAG_SET (made, GST_BUFFER_FLAG_DISCONT);
  self->discont = FALSE;
  gst_mmap_src_keep_time_stamps (self, made);
  *buffer = made;
  return GST_FLOW_OK;
}

/* Asks for a keyframe, once, if the stream was entered between two. */
static gboolean
gst_mmap_src_needs_key_unit (GstMmapSrc * self, const MmapDescriptor * frame)
{
  GstEvent *event;

  if (!(frame->flags & GST_BUFFER_FLAG_DELTA_UNIT)) {
    self->wait_key_unit = FALSE;
    self->asked_key_unit = FALSE;
  } else if (self->wait_key_unit && !self->asked_key_unit) {
    self->asked_key_unit = TRUE;
    event = gst_video_event_new_upstream_force_key_unit (GST_CLOCK_TIME_NONE,
        TRUE, 0);
    gst_mmap_src_send_upstream (self, self->consumer, event);
    gst_event_unref (event);
  }
  return self->wait_key_unit;
}

static GstFlowReturn
gst_mmap_src_handle_frame (GstMmapSrc * self, const MmapItem * item,
    GstBuffer ** buffer)
{
  g_autoptr (GVariant) metas = NULL;

  if (gst_mmap_src_is_before_flush (self)
      || gst_mmap_src_needs_key_unit (self, &item->descriptor)) {
    mmap_consumer_link_release (item->link, item->descriptor.id,
        item->descriptor.size);
    return GST_FLOW_OK;
  }
  if (!gst_mmap_src_parse_metas (self, item, &metas)) {
    mmap_consumer_link_release (item->link, item->descriptor.id,
        item->descriptor.size);
    return GST_FLOW_ERROR;
  }
  gst_mmap_src_measure_transfer (self, &item->descriptor);
  gst_mmap_src_ensure_stream_start (self);
  if (!gst_mmap_src_update_time (self, &item->descriptor)) {
    mmap_consumer_link_release (item->link, item->descriptor.id,
        item->descriptor.size);
    return gst_mmap_src_flow_or_flushing (self, GST_FLOW_ERROR);
  }
  return gst_mmap_src_make_buffer (self, item, metas, buffer);
}

/* An event that stays on the pads could not be pushed because they were flushing: it comes again. */
static void
gst_mmap_src_keep_event (GstMmapSrc * self, MmapItem * item)
{
  guint32 kind = item->descriptor.kind;

  if (kind != MMAP_EVENT_CAPS && (kind < MMAP_EVENT_GST
          || !(kind & GST_EVENT_TYPE_STICKY)))
    return;
  self->kept = *item;
  memset (item, 0, sizeof *item);
}

static MmapNextResult
gst_mmap_src_take_next (GstMmapSrc * self, MmapItem * item, GError ** error)
{
  if (!self->kept.link)
    return mmap_consumer_next (self->consumer, item, error);
  *item = self->kept;
  memset (&self->kept, 0, sizeof self->kept);
  return MMAP_NEXT_EVENT;
}

static GstFlowReturn
gst_mmap_src_create (GstPushSrc * src, GstBuffer ** buffer)
{
  GstMmapSrc *self = GST_MMAP_SRC (src);
  GstFlowReturn flow = GST_FLOW_OK;

  *buffer = NULL;
  if (!self->told_wishes)
    asked (self);
  self->told_wishes = TRUE;
  while (flow == GST_FLOW_OK && !*buffer) {
    g_autoptr (GError) error = NULL;
    MmapItem item;

    /* Before it may have to wait, not when there is a frame. */
    if (!self->next)
      gst_buffer_pool_acquire_buffer (self->pool, &self->next, NULL);
    switch (gst_mmap_src_take_next (self, &item, &error)) {
      case MMAP_NEXT_FRAME:
        flow = gst_mmap_src_handle_frame (self, &item, buffer);
        break;
      case MMAP_NEXT_EVENT:
        flow = gst_mmap_src_handle_event (self, &item);
        if (flow == GST_FLOW_FLUSHING)
          gst_mmap_src_keep_event (self, &item);
        break;
      case MMAP_NEXT_CONNECTED:
        GST_INFO_OBJECT (self, "connected");
        self->discont = TRUE;
        self->have_segment = FALSE;
        self->link = mmap_consumer_get_link (self->consumer);
        self->flush_seen = 0;
        self->wait_key_unit = TRUE;
        gst_mmap_needs_init (&self->needs);
        self->asked_key_unit = FALSE;
        g_object_notify_by_pspec (G_OBJECT (self),
            properties[PROP_CAPABILITIES]);
        break;
      case MMAP_NEXT_DISCONNECTED:
        GST_INFO_OBJECT (self, "the producer has gone; waiting for another");
        g_object_notify_by_pspec (G_OBJECT (self),
            properties[PROP_CAPABILITIES]);
        break;
      case MMAP_NEXT_CANCELLED:
        flow = GST_FLOW_FLUSHING;
        break;
      case MMAP_NEXT_ERROR:
        gst_mmap_post_error (GST_ELEMENT (self), error);
        flow = GST_FLOW_ERROR;
        break;
    }
    mmap_item_clear (&item);
  }
  return flow;
}

/* --- the application's own channel --- */

static GstCaps *
gst_mmap_src_accept_offer (GstMmapSrc * self, GstCaps * caps, GUnixFDList * fds)
{
  MmapConsumer *consumer = gst_mmap_src_dup_consumer (self);
  g_autoptr (GVariant) offer = NULL, answer = NULL;
  g_autoptr (GError) error = NULL;
  GstCaps *answered = NULL;
  int *taken = NULL;
  gint n_fds = 0;

  offer = gst_mmap_capabilities_from_caps (caps, &error);
  if (!consumer && !error)
    error = g_error_new (MMAP_ERROR, MMAP_ERROR_CLOSED,
        "accept-offer: the element is not started");
  if (!error) {
    /* Before the answer says what is accepted. */
    asked (self);
    taken = fds ? g_unix_fd_list_steal_fds (fds, &n_fds) : NULL;
    answer = mmap_consumer_accept_offer (consumer, offer, taken, n_fds, &error);
  }
  if (error)
    gst_mmap_post_warning (GST_ELEMENT (self), error);
  else
    answered = gst_mmap_capabilities_to_caps (answer);
  g_free (taken);
  g_clear_pointer (&consumer, mmap_consumer_unref);
  return answered;
}

/* --- properties --- */

static GstCaps *
gst_mmap_src_get_capabilities_locked (GstMmapSrc * self)
{
  g_autofree char *file = NULL, *media = NULL;
  guint64 size, session;

  if (!self->consumer || !mmap_consumer_get_offer (self->consumer, &file,
          &size, &session, &media))
    return NULL;
  return gst_mmap_capabilities_summarise (file, size, 0, media);
}

static GstStructure *
gst_mmap_src_get_stats_locked (GstMmapSrc * self)
{
  MmapConsumerStats counts = self->past;

  if (self->consumer)
    mmap_consumer_get_stats (self->consumer, &counts);
  return gst_structure_new ("application/x-mmap-src-stats",
      "frames", G_TYPE_UINT64, counts.frames,
      "bytes", G_TYPE_UINT64, counts.bytes,
      "copied", G_TYPE_UINT64,
      __atomic_load_n (&self->copied, __ATOMIC_RELAXED),
      "held", G_TYPE_UINT64, counts.held,
      "transfer", G_TYPE_UINT64, self->transfer,
      "wake-ups", G_TYPE_UINT64, counts.wakeups,
      "waits", G_TYPE_UINT64, counts.waits,
      "links", G_TYPE_UINT64, counts.links, NULL);
}

static void
gst_mmap_src_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstMmapSrc *self = GST_MMAP_SRC (object);

  if (id == PROP_IS_LIVE) {
    g_value_set_boolean (value, gst_base_src_is_live (GST_BASE_SRC (self)));
    return;
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
      gst_value_set_caps (value, self->accept);
      break;
    case PROP_SPIN_TIME:
      g_value_set_int64 (value, self->spin_time);
      break;
    case PROP_CAPABILITIES:
      g_value_take_boxed (value, gst_mmap_src_get_capabilities_locked (self));
      break;
    case PROP_STATS:
      g_value_take_boxed (value, gst_mmap_src_get_stats_locked (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_mmap_src_set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GstMmapSrc *self = GST_MMAP_SRC (object);

  switch (id) {
    case PROP_SOCKET_PATH:
      GST_OBJECT_LOCK (self);
      g_free (self->socket_path);
      self->socket_path = g_value_dup_string (value);
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_SIGNALLING:
      GST_OBJECT_LOCK (self);
      self->signalling = g_value_get_enum (value);
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_ACCEPT_CAPABILITIES:
      GST_OBJECT_LOCK (self);
      gst_caps_replace (&self->accept, (GstCaps *) gst_value_get_caps (value));
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_SPIN_TIME:
      GST_OBJECT_LOCK (self);
      self->spin_time = g_value_get_int64 (value);
      if (self->consumer)
        mmap_consumer_set_spin_time (self->consumer, self->spin_time);
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_IS_LIVE:
      gst_base_src_set_live (GST_BASE_SRC (self), g_value_get_boolean (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
}

static void
gst_mmap_src_finalize (GObject * object)
{
  GstMmapSrc *self = GST_MMAP_SRC (object);

  gst_clear_caps (&self->accept);
  g_free (self->socket_path);
  g_mutex_clear (&self->flush_lock);
  g_mutex_clear (&self->wishes_lock);
  g_cond_clear (&self->flush_cond);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_mmap_src_install_properties (GObjectClass * klass)
{
  GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | GST_PARAM_MUTABLE_READY;
  GParamFlags playing = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | GST_PARAM_MUTABLE_PLAYING;
  GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  /**
   * GstMmapSrc:socket-path:
   *
   * Path of the Unix socket of a mmapsink, or "@name" for an abstract one. It need not exist yet.
   */
  properties[PROP_SOCKET_PATH] = g_param_spec_string ("socket-path",
      "Socket path", "Path of the producer's Unix socket, or @name for an "
      "abstract one (NULL = gst-mmap/default in XDG_RUNTIME_DIR, or "
      "/tmp/gst-mmap-UID/default)", NULL, ready);
  /**
   * GstMmapSrc:signalling:
   *
   * How this element finds a mmapsink. With application it waits for #GstMmapSrc::accept-offer.
   */
  properties[PROP_SIGNALLING] = g_param_spec_enum ("signalling", "Signalling",
      "How offers and answers travel", GST_TYPE_MMAP_SIGNALLING,
      GST_MMAP_SIGNALLING_SOCKET, ready);
  /**
   * GstMmapSrc:accept-capabilities:
   *
   * Restricts the offers that are taken, such as application/x-mmap, size=[1,1073741824], token-bytes=[32,512]. One that clashes is an
   * error, with the name of the field.
   */
  properties[PROP_ACCEPT_CAPABILITIES] = g_param_spec_boxed
      ("accept-capabilities", "Accept capabilities",
      "What an offer may say: application/x-mmap caps with values, ranges or "
      "lists (NULL = anything)", GST_TYPE_CAPS, playing);
  /**
   * GstMmapSrc:is-live:
   *
   * A live source produces only in PLAYING, and its frames have the running time of the instant that they had in the producer's
   * pipeline. One that isn't live takes part in preroll, and hands out the producer's running times as they are.
   */
  properties[PROP_IS_LIVE] = g_param_spec_boolean ("is-live", "Is live",
      "Act as a live source: running times are the instants of the producer's "
      "pipeline (false = the producer's running times as they are)",
      DEFAULT_IS_LIVE, ready);
  /**
   * GstMmapSrc:spin-time:
   *
   * How long to look for the next frame before sleeping, in ns. -1: for a few microseconds, as long as that pays, as it does at full
   * speed. With more than the time between two frames nothing ever sleeps: the least latency, at the price of a processor.
   */
  properties[PROP_SPIN_TIME] = g_param_spec_int64 ("spin-time", "Spin time",
      "How long to look for the next frame before sleeping, in ns (-1 = for a "
      "few microseconds as long as that pays, 0 = not at all)",
      MMAP_SPIN_ADAPTIVE, MMAP_SPIN_MAX_NS, MMAP_SPIN_ADAPTIVE, playing);
  /**
   * GstMmapSrc:capabilities:
   *
   * What was accepted last, as application/x-mmap caps with file, size and media; NULL without a producer. Notified when a link came up
   * and when it has ended: then the next offer may be accepted.
   */
  properties[PROP_CAPABILITIES] = g_param_spec_boxed ("capabilities",
      "Capabilities", "What the producer offered: application/x-mmap caps "
      "with file, size (bytes) and media", GST_TYPE_CAPS, readable);
  /**
   * GstMmapSrc:stats:
   *
   * Frames and bytes received, frames copied, frames held downstream, wake-ups of the producer, waits for it, links that came up.
   * Notified when the element stops.
   */
  properties[PROP_STATS] = g_param_spec_boxed ("stats", "Statistics",
      "Counts since start: frames, bytes, copied, held, wake-ups, waits, links",
      GST_TYPE_STRUCTURE, readable);
  g_object_class_install_properties (klass, N_PROPS, properties);
}

static void
gst_mmap_src_install_signals (GObjectClass * klass)
{
  /**
   * GstMmapSrc::accept-offer:
   * @object: the source
   * @offer: what #GstMmapSink::create-offer returned
   * @fds: the descriptors that it gave, in their order; they are taken out of the list
   *
   * Takes an offer that came through a channel of the application's own, whose answer is for #GstMmapSink::accept-answer there. The element
   * must be started (PAUSED), and have no link.
   *
   * Returns: (transfer full) (nullable): application/x-mmap caps; %NULL if an error was posted, as a warning
   */
  signals[SIGNAL_ACCEPT_OFFER] = g_signal_new_class_handler ("accept-offer",
      G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION,
      G_CALLBACK (gst_mmap_src_accept_offer), NULL, NULL, NULL, GST_TYPE_CAPS,
      2, GST_TYPE_CAPS, G_TYPE_UNIX_FD_LIST);
}

static void
gst_mmap_src_class_init (GstMmapSrcClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSrcClass *src_class = GST_BASE_SRC_CLASS (klass);

  object_class->get_property = gst_mmap_src_get_property;
  object_class->set_property = gst_mmap_src_set_property;
  object_class->finalize = gst_mmap_src_finalize;
  gst_mmap_src_install_properties (object_class);
  gst_mmap_src_install_signals (object_class);

  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class,
      "Shared memory source", "Source",
      "Receives a stream from another process in shared memory, without copies",
      "the gst-mmap authors");

  src_class->start = gst_mmap_src_start;
  src_class->stop = gst_mmap_src_stop;
  src_class->unlock = gst_mmap_src_unlock;
  src_class->unlock_stop = gst_mmap_src_unlock_stop;
  src_class->query = gst_mmap_src_query;
  src_class->event = gst_mmap_src_event;
  src_class->decide_allocation = gst_mmap_src_decide_allocation;
  GST_PUSH_SRC_CLASS (klass)->create = gst_mmap_src_create;
}

static void
gst_mmap_src_init (GstMmapSrc * self)
{
  GstBaseSrc *src = GST_BASE_SRC (self);

  self->spin_time = MMAP_SPIN_ADAPTIVE;
  g_mutex_init (&self->flush_lock);
  g_mutex_init (&self->wishes_lock);
  g_queue_init (&self->left_to_seek);
  g_cond_init (&self->flush_cond);
  gst_pad_add_probe (GST_BASE_SRC_PAD (self),
      GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_EVENT_FLUSH,
      on_event, self, NULL);
  gst_base_src_set_live (src, DEFAULT_IS_LIVE);
  gst_base_src_set_format (src, GST_FORMAT_TIME);
  /* The producer says when it ends. */
  gst_base_src_set_automatic_eos (src, FALSE);
}
