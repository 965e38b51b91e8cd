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
 * both processes share. It waits for a mmapsink that isn't there yet; what follows when that has gone says
 * #GstMmapSrc:on-disconnect. A buffer may be kept for as long as one likes, also after this element or the other process has gone.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 mmapsrc socket-path=/tmp/cam0 ! videoconvert ! autovideosink
 * ]|
 *
 * Here is its life; gstmmapsrc-private.h says where the rest is.
 *
 * create() runs on the streaming thread, and is the only one that receives frames. The consumer's own thread calls
 * gst_mmap_src_message(), _closed() and _tell_wishes();
 * upstream events and queries come from anywhere.
 *
 * Since: 0.1
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsrc-private.h"

#include "address.h"
#include "gstmmapcapabilities.h"
#include "gstmmapitempool.h"
#include "gstmmapuri.h"

#include <gio/gunixfdlist.h>

GST_DEBUG_CATEGORY (gst_mmap_src_debug);
#define GST_CAT_DEFAULT gst_mmap_src_debug

enum
{
  SIGNAL_ACCEPT_OFFER,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

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

void
gst_mmap_src_remove_no_caps_probe (GstMmapSrc * self)
{
  if (self->no_caps_probe)
    gst_pad_remove_probe (GST_BASE_SRC_PAD (self), self->no_caps_probe);
  self->no_caps_probe = 0;
}

static gboolean gst_mmap_src_stop (GstBaseSrc * src);

MmapConsumer *
gst_mmap_src_dup_consumer (GstMmapSrc * self)
{
  MmapConsumer *consumer;

  GST_OBJECT_LOCK (self);
  consumer = self->consumer ? mmap_consumer_ref (self->consumer) : NULL;
  GST_OBJECT_UNLOCK (self);
  return consumer;
}

GstClockTimeDiff
gst_mmap_src_read_shift (GstMmapSrc * self)
{
  GstClockTimeDiff shift;

  GST_OBJECT_LOCK (self);
  shift = self->shift;
  GST_OBJECT_UNLOCK (self);
  return shift;
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

/* By the properties. */
static MmapConsumer *
gst_mmap_src_new_consumer_locked (GstMmapSrc * self, GError ** error)
{
  gboolean carried = self->signalling == GST_MMAP_SIGNALLING_APPLICATION;
  g_autoptr (MmapSecret) secret = NULL;
  MmapConsumer *consumer;
  MmapUsers *users;

  if (self->file && (self->socket_path || carried)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "file=%s can't be had with %s: there the producer says where its file "
        "is", self->file, carried ? "signalling=application" : "socket-path");
    return NULL;
  }
  if (!gst_mmap_check_channel (self->channel, self->file
          && !self->address, error)
      || !gst_mmap_check_address (self->address, self->file != NULL, error)
      || !gst_mmap_token_load (&self->token, carried, &secret, error))
    return NULL;
  users = gst_mmap_start_users (self->allowed_uids, carried, error);
  if (!users)
    return NULL;
  if (self->address)
    consumer = mmap_consumer_new_remote (self->address, self->file,
        self->allow_remote, error);
  else if (self->file)
    consumer = mmap_consumer_new_in_area (self->file, self->channel ?
        self->channel : "", error);
  else
    consumer = mmap_consumer_new (carried ? MMAP_ADDRESS_NONE :
        self->socket_path, error);
  if (!consumer) {
    mmap_users_free (users);
    return NULL;
  }
  mmap_consumer_set_allowed (consumer, users);
  mmap_consumer_set_secret (consumer, g_steal_pointer (&secret));
  mmap_consumer_set_poll_interval (consumer, self->poll_interval);
  return consumer;
}

static gboolean
gst_mmap_src_start (GstBaseSrc * src)
{
  static const MmapConsumerCallbacks callbacks =
      { gst_mmap_src_message, gst_mmap_src_closed, gst_mmap_src_tell_wishes,
    check
  };
  GstMmapSrc *self = GST_MMAP_SRC (src);
  g_autoptr (GError) error = NULL;
  MmapConsumer *consumer;

  GST_OBJECT_LOCK (self);
  consumer = gst_mmap_src_new_consumer_locked (self, &error);
  GST_OBJECT_UNLOCK (self);
  if (!consumer) {
    gst_mmap_post_error (GST_ELEMENT (self), error);
    return FALSE;
  }
  GST_OBJECT_LOCK (self);
  self->consumer = consumer;
  mmap_consumer_set_spin_time (consumer, self->spin_time);
  mmap_consumer_set_reconnect_timeout (consumer, self->reconnect_timeout);
  self->latency = 0;
  self->transfer = 0;
  self->shift = 0;
  GST_OBJECT_UNLOCK (self);
  self->pool = gst_mmap_item_pool_new ();
  self->told_no_dmabuf = FALSE;
  self->told_of_missed = FALSE;
  gst_video_info_init (&self->info);
  self->is_live = gst_base_src_is_live (src);
  gst_mmap_src_look_for_producer (self);
  gst_mmap_src_forget_resume (self);
  self->have_segment = FALSE;
  self->as_played = FALSE;
  self->frame_link = 0;
  gst_mmap_src_forget_rate (self);
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
  g_mutex_lock (&self->flush_lock);
  self->n_left -= g_queue_get_length (&self->left_to_seek);
  g_queue_clear_full (&self->left_to_seek, (GDestroyNotify) gst_event_unref);
  g_mutex_unlock (&self->flush_lock);
  gst_mmap_src_substitute (self, &self->stream_start_event, NULL);
  gst_mmap_src_substitute (self, &self->segment_event, NULL);
  gst_mmap_src_remove_no_caps_probe (self);
  gst_clear_buffer (&self->next);
  gst_clear_object (&self->pool);
  g_clear_pointer (&self->dmabuf, gst_mmap_dmabuf_free);
  gst_mmap_anchor_clear (&self->anchor);
  g_object_notify (G_OBJECT (self), "stats");
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
  /* The base class is going to seek, to flush, or to end. */
  gst_mmap_src_watch_events (GST_MMAP_SRC (src));
  gst_mmap_src_set_unlocked (GST_MMAP_SRC (src), TRUE);
  return TRUE;
}

static gboolean
gst_mmap_src_unlock_stop (GstBaseSrc * src)
{
  gst_mmap_src_set_unlocked (GST_MMAP_SRC (src), FALSE);
  return TRUE;
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

gboolean
gst_mmap_src_check_memory (GstMmapSrc * self)
{
  g_autoptr (GError) error = NULL;

  if (mmap_consumer_check_memory (self->consumer, &error))
    return TRUE;
  gst_mmap_post_error (GST_ELEMENT (self), error);
  return FALSE;
}

static GstFlowReturn
gst_mmap_src_create (GstPushSrc * src, GstBuffer ** buffer)
{
  GstMmapSrc *self = GST_MMAP_SRC (src);
  GstFlowReturn flow = GST_FLOW_OK;

  *buffer = NULL;
  if (!self->told_wishes)
    gst_mmap_src_tell_wishes (self);
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
        /* It may be the last. */
        gst_mmap_src_watch_events (self);
        flow = gst_mmap_src_handle_event (self, &item);
        if (flow == GST_FLOW_FLUSHING)
          gst_mmap_src_keep_event (self, &item);
        break;
      case MMAP_NEXT_CONNECTED:
        gst_mmap_src_connected (self);
        break;
      case MMAP_NEXT_DISCONNECTED:
        flow = gst_mmap_src_disconnected (self);
        break;
      case MMAP_NEXT_CANCELLED:
        flow = GST_FLOW_FLUSHING;
        break;
      case MMAP_NEXT_ERROR:
        gst_mmap_src_lost (self, error);
        flow = GST_FLOW_ERROR;
        break;
    }
    mmap_item_clear (&item);
    /* What was made of it may be zeros. */
    if (flow == GST_FLOW_OK && !gst_mmap_src_check_memory (self)) {
      gst_clear_buffer (buffer);
      flow = GST_FLOW_ERROR;
    }
  }
  if (*buffer)
    gst_mmap_src_note_watched_frame (self);
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
    gst_mmap_src_tell_wishes (self);
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

static GstClock *
gst_mmap_src_provide_clock (GstElement * element)
{
  GstMmapSrc *self = GST_MMAP_SRC (element);

  if (!GST_OBJECT_FLAG_IS_SET (self, GST_ELEMENT_FLAG_PROVIDE_CLOCK)
      || !gst_base_src_is_live (GST_BASE_SRC (self)))
    return NULL;
  return GST_CLOCK (gst_object_ref (self->clock));
}

static void
gst_mmap_src_finalize (GObject * object)
{
  GstMmapSrc *self = GST_MMAP_SRC (object);

  gst_mmap_src_clear_properties (self);
  gst_object_unref (self->clock);
  g_mutex_clear (&self->flush_lock);
  g_mutex_clear (&self->wishes_lock);
  g_cond_clear (&self->flush_cond);
  G_OBJECT_CLASS (parent_class)->finalize (object);
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
  static const gchar *no_tags[] = { NULL };
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSrcClass *src_class = GST_BASE_SRC_CLASS (klass);

  object_class->finalize = gst_mmap_src_finalize;
  gst_mmap_src_install_properties (object_class);
  gst_mmap_src_install_signals (object_class);
  gst_meta_register_custom (GST_MMAP_MISSED_META, no_tags, NULL, NULL, NULL);

  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class,
      "Shared memory source", "Source",
      "Receives a stream from another process in shared memory, without copies",
      "the gst-mmap authors");

  element_class->send_event = gst_mmap_src_send_event;
  element_class->provide_clock = gst_mmap_src_provide_clock;
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

  gst_mmap_src_init_properties (self);
  self->clock = gst_mmap_clock_new ();
  g_mutex_init (&self->flush_lock);
  g_mutex_init (&self->wishes_lock);
  g_queue_init (&self->left_to_seek);
  g_cond_init (&self->flush_cond);
  gst_mmap_src_watch_events (self);
  g_signal_connect_swapped (GST_BASE_SRC_PAD (self), "unlinked",
      G_CALLBACK (gst_mmap_src_watch_events), self);
  gst_base_src_set_format (src, GST_FORMAT_TIME);
  /* The producer says when it ends. */
  gst_base_src_set_automatic_eos (src, FALSE);
}
