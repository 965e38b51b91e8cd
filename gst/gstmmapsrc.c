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
 * Here is its life, and its properties; the rest is in gstmmapsrc-event.c, -frame.c, -peer.c, and -upstream.c.
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

#define DEFAULT_IS_LIVE TRUE
#define DEFAULT_ON_DISCONNECT GST_MMAP_ON_DISCONNECT_AUTO
#define DEFAULT_RECONNECT_TIMEOUT (-1)

enum
{
  PROP_0,
  PROP_SOCKET_PATH,
  PROP_SIGNALLING,
  PROP_ACCEPT_CAPABILITIES,
  PROP_ALLOWED_UIDS,
  PROP_ACCESS_TOKEN,
  PROP_ACCESS_TOKEN_FILE,
  PROP_IS_LIVE,
  PROP_SPIN_TIME,
  PROP_ON_DISCONNECT,
  PROP_RECONNECT_TIMEOUT,
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

  if (!gst_mmap_token_load (&self->token, carried, &secret, error))
    return NULL;
  users = gst_mmap_start_users (self->allowed_uids, carried, error);
  if (!users)
    return NULL;
  consumer = mmap_consumer_new (carried ? MMAP_ADDRESS_NONE :
      self->socket_path, error);
  if (!consumer) {
    mmap_users_free (users);
    return NULL;
  }
  mmap_consumer_set_allowed (consumer, users);
  mmap_consumer_set_secret (consumer, g_steal_pointer (&secret));
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
  gst_video_info_init (&self->info);
  self->is_live = gst_base_src_is_live (src);
  self->alone_since = gst_mmap_monotonic_now ();
  gst_mmap_src_forget_resume (self);
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
  gst_mmap_src_substitute (self, &self->stream_start_event, NULL);
  gst_mmap_src_substitute (self, &self->segment_event, NULL);
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
        gst_mmap_post_error (GST_ELEMENT (self), error);
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
      "missed", G_TYPE_UINT64, counts.missed,
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
    case PROP_ALLOWED_UIDS:
      g_value_set_string (value, self->allowed_uids);
      break;
    case PROP_ACCESS_TOKEN_FILE:
      g_value_set_string (value, self->token.file);
      break;
    case PROP_SPIN_TIME:
      g_value_set_int64 (value, self->spin_time);
      break;
    case PROP_ON_DISCONNECT:
      g_value_set_enum (value, self->on_disconnect);
      break;
    case PROP_RECONNECT_TIMEOUT:
      g_value_set_int64 (value, self->reconnect_timeout);
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

/* For the next producer, if it has started. */
static void
gst_mmap_src_set_allowed_uids (GstMmapSrc * self, const char *text)
{
  MmapConsumer *consumer = gst_mmap_src_dup_consumer (self);
  MmapUsers *users = NULL;

  if (!consumer || (users = gst_mmap_new_users (GST_ELEMENT (self), text))) {
    GST_OBJECT_LOCK (self);
    g_free (self->allowed_uids);
    self->allowed_uids = g_strdup (text);
    GST_OBJECT_UNLOCK (self);
  }
  if (users)
    mmap_consumer_set_allowed (consumer, users);
  g_clear_pointer (&consumer, mmap_consumer_unref);
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
    case PROP_ALLOWED_UIDS:
      gst_mmap_src_set_allowed_uids (self, g_value_get_string (value));
      break;
    case PROP_ACCESS_TOKEN:
      GST_OBJECT_LOCK (self);
      gst_mmap_token_set (&self->token, g_value_get_string (value));
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_ACCESS_TOKEN_FILE:
      GST_OBJECT_LOCK (self);
      gst_mmap_token_set_file (&self->token, g_value_get_string (value));
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_SPIN_TIME:
      GST_OBJECT_LOCK (self);
      self->spin_time = g_value_get_int64 (value);
      if (self->consumer)
        mmap_consumer_set_spin_time (self->consumer, self->spin_time);
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_ON_DISCONNECT:
      GST_OBJECT_LOCK (self);
      self->on_disconnect = g_value_get_enum (value);
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_RECONNECT_TIMEOUT:
      GST_OBJECT_LOCK (self);
      self->reconnect_timeout = g_value_get_int64 (value);
      if (self->consumer)
        mmap_consumer_set_reconnect_timeout (self->consumer,
            self->reconnect_timeout);
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
  g_free (self->allowed_uids);
  gst_mmap_token_clear (&self->token);
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
   * GstMmapSrc:allowed-uids:
   *
   * Users whose producers are trusted: names or numbers, separated by commas, or any. By default the user that this process runs as, and
   * root. The kernel says who it is, before anything is believed. A change is for the next producer.
   */
  properties[PROP_ALLOWED_UIDS] = g_param_spec_string ("allowed-uids",
      "Allowed users", "Users whose producers are trusted: names or numbers, "
      "separated by commas, or any (NULL = the user of this process, and root)",
      NULL, playing);
  /**
   * GstMmapSrc:access-token:
   *
   * A secret that this element and the producer prove to each other before anything is offered; without one on both sides there is no link.
   * Can't be read. On a command line everybody sees it: better is #GstMmapSrc:access-token-file.
   */
  properties[PROP_ACCESS_TOKEN] = gst_mmap_token_spec_new (ready);
  /**
   * GstMmapSrc:access-token-file:
   *
   * Path of a file that holds the access token: of this process's user or root, with no rights for others. A line feed at its end doesn't
   * count. Only read if there is no #GstMmapSrc:access-token.
   */
  properties[PROP_ACCESS_TOKEN_FILE] = gst_mmap_token_file_spec_new (ready);
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
   * GstMmapSrc:on-disconnect:
   *
   * What follows when the producer has gone without an end of its stream, after all that it sent was handed on.
   */
  properties[PROP_ON_DISCONNECT] = g_param_spec_enum ("on-disconnect",
      "On disconnect", "What follows when the producer has gone without EOS "
      "(auto = wait for another one if live, else eos)",
      GST_TYPE_MMAP_ON_DISCONNECT, DEFAULT_ON_DISCONNECT, playing);
  /**
   * GstMmapSrc:reconnect-timeout:
   *
   * How long to wait for a producer, in ns, the first one and another one: then an error says so. 0: it is looked once. A pipeline
   * that is paused doesn't wait. One that was found has 5 s to come up with its stream, or as long as this.
   */
  properties[PROP_RECONNECT_TIMEOUT] = g_param_spec_int64 ("reconnect-timeout",
      "Reconnect timeout", "How long to wait for a producer, the first one "
      "and another one, in ns (-1 = for ever, 0 = not at all)",
      -1, G_MAXINT64, DEFAULT_RECONNECT_TIMEOUT, playing);
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
   * Frames and bytes received, frames copied, frames missed because this side was slow, frames held downstream, wake-ups of the producer, waits for it, links that came up.
   * Notified when the element stops.
   */
  properties[PROP_STATS] = g_param_spec_boxed ("stats", "Statistics",
      "Counts since start: frames, bytes, copied, missed, held, wake-ups, "
      "waits, links", GST_TYPE_STRUCTURE, readable);
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
  static const gchar *no_tags[] = { NULL };
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSrcClass *src_class = GST_BASE_SRC_CLASS (klass);

  object_class->get_property = gst_mmap_src_get_property;
  object_class->set_property = gst_mmap_src_set_property;
  object_class->finalize = gst_mmap_src_finalize;
  gst_mmap_src_install_properties (object_class);
  gst_mmap_src_install_signals (object_class);
  gst_meta_register_custom (GST_MMAP_MISSED_META, no_tags, NULL, NULL, NULL);

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
  self->on_disconnect = DEFAULT_ON_DISCONNECT;
  self->reconnect_timeout = DEFAULT_RECONNECT_TIMEOUT;
  g_mutex_init (&self->flush_lock);
  g_mutex_init (&self->wishes_lock);
  g_queue_init (&self->left_to_seek);
  g_cond_init (&self->flush_cond);
  gst_pad_add_probe (GST_BASE_SRC_PAD (self),
      GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_EVENT_FLUSH,
      gst_mmap_src_on_event, self, NULL);
  gst_base_src_set_live (src, DEFAULT_IS_LIVE);
  gst_base_src_set_format (src, GST_FORMAT_TIME);
  /* The producer says when it ends. */
  gst_base_src_set_automatic_eos (src, FALSE);
}
