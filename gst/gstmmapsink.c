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
 * Here is its life; the rest is in gstmmapsink-caps.c (negotiation, memory), -event.c, -frame.c, -leaky.c (slow consumers), and
 * -properties.c.
 *
 * Virtual methods run on the streaming thread, but for unlock, queries, flushes and state changes. The core's service thread calls
 * links_changed(), refused(), accepts(), left() and message(), another one failed().
 *
 * Since: 0.1
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsink-private.h"

#include "address.h"
#include "gstmmapallocator.h"
#include "gstmmapuri.h"

#include <gio/gunixfdlist.h>
#include <unistd.h>

GST_DEBUG_CATEGORY (gst_mmap_sink_debug);
#define GST_CAT_DEFAULT gst_mmap_sink_debug

enum
{
  SIGNAL_CREATE_OFFER,
  SIGNAL_ACCEPT_ANSWER,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

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

MmapProducer *
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
  g_object_notify (G_OBJECT (self), "num-clients");
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

gboolean
gst_mmap_sink_is_in_area (GstMmapSink * self)
{
  return self->file && !self->socket_path
      && self->signalling == GST_MMAP_SIGNALLING_SOCKET;
}

/* By the properties. */
static MmapProducer *
gst_mmap_sink_new_producer_locked (GstMmapSink * self, GError ** error)
{
  gboolean carried = self->signalling == GST_MMAP_SIGNALLING_APPLICATION;
  g_autoptr (MmapSecret) secret = NULL;
  MmapProducer *producer;
  MmapMode mode;
  MmapUsers *users;

  if (!gst_mmap_check_channel (self->channel, gst_mmap_sink_is_in_area (self),
          error)
      || !gst_mmap_check_address (self->address,
          gst_mmap_sink_is_in_area (self), error))
    return NULL;
  if (!mmap_mode_init (&mode, self->mode, self->group, error)
      || !gst_mmap_token_load (&self->token, carried, &secret, error))
    return NULL;
  users = gst_mmap_start_users (self->allowed_uids, carried, error);
  if (!users)
    return NULL;
  if (gst_mmap_sink_is_in_area (self))
    producer = mmap_producer_new_in_area (self->file, self->channel ?
        self->channel : "", self->size, &mode, users, self->token_bytes, error);
  else
    producer = mmap_producer_new_shared (carried ? MMAP_ADDRESS_NONE :
        self->socket_path, self->file, &mode, self->token_bytes, error);
  if (producer && self->address && !mmap_producer_listen_remote (producer,
          self->address, self->allow_remote, error)) {
    mmap_producer_close (producer);
    g_clear_pointer (&producer, mmap_producer_unref);
  }
  if (producer && !mmap_producer_set_allow_dmabuf (producer,
          self->allow_dmabuf, error)) {
    mmap_producer_close (producer);
    g_clear_pointer (&producer, mmap_producer_unref);
  }
  if (!producer) {
    mmap_users_free (users);
    return NULL;
  }
  mmap_producer_set_allowed (producer, users);
  mmap_producer_set_secret (producer, g_steal_pointer (&secret));
  mmap_producer_set_poll_interval (producer, self->poll_interval);
  mmap_producer_set_shrinkable (producer, self->size == 0);
  return producer;
}

/* Others who are let through the door, and turned away behind it. */
static void
gst_mmap_sink_warn_of_mode (GstMmapSink * self)
{
  g_autoptr (GError) error = NULL;

  GST_OBJECT_LOCK (self);
  if (self->mode != GST_MMAP_SINK_DEFAULT_MODE && (!self->allowed_uids
          || self->allowed_uids[0] == '\0')
      && self->signalling == GST_MMAP_SIGNALLING_SOCKET
      && !gst_mmap_sink_is_in_area (self))
    error = g_error_new (MMAP_ERROR, MMAP_ERROR_SETTING,
        "mode=%#o lets others reach the socket, but allowed-uids lets only user "
        "%u and root connect: name the others there, or set it to any",
        self->mode, (guint) geteuid ());
  GST_OBJECT_UNLOCK (self);
  if (error)
    gst_mmap_post_warning (GST_ELEMENT (self), error);
}

/* A thread that asks for memory has the lock of the stream. */
static void
gst_mmap_sink_set_started (GstMmapSink * self, gboolean started)
{
  GstPad *pad = GST_BASE_SINK_PAD (self);

  GST_PAD_STREAM_LOCK (pad);
  self->started = started;
  GST_PAD_STREAM_UNLOCK (pad);
}

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
  producer = gst_mmap_sink_new_producer_locked (self, &error);
  GST_OBJECT_UNLOCK (self);
  if (!producer) {
    gst_mmap_post_error (GST_ELEMENT (self), error);
    return FALSE;
  }

  gst_mmap_sink_warn_of_mode (self);
  memset (self->warned, 0, sizeof self->warned);
  self->lost = g_hash_table_new (NULL, NULL);
  self->left = 0;
  self->cancel.cancelled = FALSE;
  self->n_unlocks = 0;
  self->pipeline_stall = gst_mmap_stall_join (GST_ELEMENT (self));
  self->stall = 0;
  self->waited = FALSE;
  self->pad_flushing = FALSE;
  gst_mmap_sink_forget_rate (self);
  self->copied = 0;
  GST_OBJECT_LOCK (self);
  old = self->producer;
  self->producer = producer;
  mmap_producer_set_spin_time (producer, self->spin_time);
  mmap_producer_set_max_buffers (producer, self->max_buffers);
  gst_mmap_sink_forget_policy (self);
  self->consumers = gst_mmap_consumers_new (GST_BASE_SINK_PAD (self), producer);
  gst_mmap_consumers_set_forward (self->consumers, self->forward);
  GST_OBJECT_UNLOCK (self);
  g_clear_pointer (&old, mmap_producer_unref);

  mmap_producer_set_callbacks (producer, &callbacks, self);
  if (mmap_producer_start (producer, &error)) {
    gst_mmap_sink_set_started (self, TRUE);
    return TRUE;
  }
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

void
gst_mmap_sink_set_flag (GstMmapSink * self, gboolean * flag, gboolean value)
{
  GST_OBJECT_LOCK (self);
  *flag = value;
  GST_OBJECT_UNLOCK (self);
  gst_mmap_sink_update_flushing (self);
}

void
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

void
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

  gst_mmap_sink_set_started (self, FALSE);
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
  g_object_notify (G_OBJECT (self), "stats");
  return TRUE;
}

/* A flush and a change of the state may both be under way. */
static gboolean
gst_mmap_sink_add_unlock (GstMmapSink * self, gint n)
{
  GST_OBJECT_LOCK (self);
  self->n_unlocks += n;
  if (self->producer)
    mmap_producer_set_cancelled (self->producer, &self->cancel,
        self->n_unlocks > 0);
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

static gboolean
gst_mmap_sink_unlock (GstBaseSink * sink)
{
  return gst_mmap_sink_add_unlock (GST_MMAP_SINK (sink), 1);
}

static gboolean
gst_mmap_sink_unlock_stop (GstBaseSink * sink)
{
  return gst_mmap_sink_add_unlock (GST_MMAP_SINK (sink), -1);
}

/* A frame may be in render() in PAUSED already: the base class lets the streaming thread go to PLAYING before the application does. There it
 * waits for consumers, with the lock that the base class wants here. */
static GstStateChangeReturn
gst_mmap_sink_play (GstMmapSink * self)
{
  GstBaseSink *sink = GST_BASE_SINK (self);
  GstStateChangeReturn ret;

  gst_mmap_sink_add_unlock (self, 1);
  ret = GST_ELEMENT_CLASS (parent_class)->change_state (GST_ELEMENT (self),
      GST_STATE_CHANGE_PAUSED_TO_PLAYING);
  /* It may have been told to wait for this. Not before we have the lock: it would begin to wait for consumers with it, and who stops the
   * pipeline waits for us. */
  GST_BASE_SINK_PREROLL_LOCK (sink);
  gst_mmap_sink_add_unlock (self, -1);
  GST_BASE_SINK_PREROLL_SIGNAL (sink);
  GST_BASE_SINK_PREROLL_UNLOCK (sink);
  return ret;
}

static GstStateChangeReturn
gst_mmap_sink_change_state (GstElement * element, GstStateChange transition)
{
  GstMmapSink *self = GST_MMAP_SINK (element);
  GstElementClass *parent = GST_ELEMENT_CLASS (parent_class);

  switch (transition) {
    case GST_STATE_CHANGE_PAUSED_TO_PLAYING:
      gst_mmap_sink_set_flag (self, &self->playing, TRUE);
      return gst_mmap_sink_play (self);
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

static void
gst_mmap_sink_finalize (GObject * object)
{
  GstMmapSink *self = GST_MMAP_SINK (object);

  g_clear_pointer (&self->producer, mmap_producer_unref);
  gst_mmap_sink_clear_properties (self);
  G_OBJECT_CLASS (parent_class)->finalize (object);
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

  object_class->finalize = gst_mmap_sink_finalize;
  gst_mmap_sink_install_properties (object_class);
  gst_mmap_sink_install_signals (object_class);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_set_static_metadata (element_class,
      "Shared memory sink", "Sink",
      "Publishes a stream to other processes in shared memory, without copies",
      "the gst-mmap authors");

  element_class->change_state = gst_mmap_sink_change_state;
  element_class->send_event = gst_mmap_sink_element_event;
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
  gst_mmap_sink_init_properties (self);
  self->base_chain = GST_PAD_CHAINFUNC (GST_BASE_SINK_PAD (self));
  gst_pad_set_chain_function (GST_BASE_SINK_PAD (self), gst_mmap_sink_chain);
  /* A last sample would keep a block of the region. */
  gst_base_sink_set_last_sample_enabled (GST_BASE_SINK (self), FALSE);
}
