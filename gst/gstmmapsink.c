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
 * Here is its life, and its properties; the rest is in gstmmapsink-caps.c (negotiation, memory), -event.c, -frame.c, and -leaky.c (slow
 * consumers).
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
#include "token.h"

#include <gio/gunixfdlist.h>
#include <unistd.h>

GST_DEBUG_CATEGORY (gst_mmap_sink_debug);
#define GST_CAT_DEFAULT gst_mmap_sink_debug

#define DEFAULT_SIZE 0
#define DEFAULT_MODE 0600
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
  PROP_MODE,
  PROP_GROUP,
  PROP_ALLOWED_UIDS,
  PROP_ACCESS_TOKEN,
  PROP_ACCESS_TOKEN_FILE,
  PROP_WAIT_FOR_CONNECTION,
  PROP_SPIN_TIME,
  PROP_FORWARD_EVENTS,
  PROP_LEAKY_TYPE,
  PROP_MAX_BUFFERS,
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

/* By the properties. */
static MmapProducer *
gst_mmap_sink_new_producer_locked (GstMmapSink * self, GError ** error)
{
  gboolean carried = self->signalling == GST_MMAP_SIGNALLING_APPLICATION;
  g_autoptr (MmapSecret) secret = NULL;
  MmapProducer *producer;
  MmapMode mode;
  MmapUsers *users;

  if (!mmap_mode_init (&mode, self->mode, self->group, error)
      || !gst_mmap_token_load (&self->token, carried, &secret, error))
    return NULL;
  users = gst_mmap_start_users (self->allowed_uids, carried, error);
  if (!users)
    return NULL;
  producer = mmap_producer_new_shared (carried ? MMAP_ADDRESS_NONE :
      self->socket_path, self->file, &mode, self->token_bytes, error);
  if (!producer) {
    mmap_users_free (users);
    return NULL;
  }
  mmap_producer_set_allowed (producer, users);
  mmap_producer_set_secret (producer, g_steal_pointer (&secret));
  return producer;
}

/* Others who are let through the door, and turned away behind it. */
static void
gst_mmap_sink_warn_of_mode (GstMmapSink * self)
{
  g_autoptr (GError) error = NULL;

  GST_OBJECT_LOCK (self);
  if (self->mode != DEFAULT_MODE && (!self->allowed_uids
          || self->allowed_uids[0] == '\0')
      && self->signalling == GST_MMAP_SIGNALLING_SOCKET)
    error = g_error_new (MMAP_ERROR, MMAP_ERROR_SETTING,
        "mode=%#o lets others reach the socket, but allowed-uids lets only user "
        "%u and root connect: name the others there, or set it to any",
        self->mode, (guint) geteuid ());
  GST_OBJECT_UNLOCK (self);
  if (error)
    gst_mmap_post_warning (GST_ELEMENT (self), error);
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
  self->pipeline_stall = gst_mmap_stall_join (GST_ELEMENT (self));
  self->stall = 0;
  self->waited = FALSE;
  self->pad_flushing = FALSE;
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
  GValue consumers = G_VALUE_INIT;

  g_value_init (&consumers, GST_TYPE_ARRAY);
  if (producer) {
    mmap_producer_get_stats (producer, &counts);
    gst_mmap_sink_describe_links (producer, &consumers);
  }
  g_clear_pointer (&producer, mmap_producer_unref);
  failures = failures_to_structure (counts.failures);
  gst_structure_set_name (stats, "application/x-mmap-sink-stats");
  gst_structure_set (stats,
      "frames", G_TYPE_UINT64, counts.frames,
      "bytes", G_TYPE_UINT64, counts.bytes,
      "copied", G_TYPE_UINT64,
      __atomic_load_n (&self->copied, __ATOMIC_RELAXED),
      "unsent", G_TYPE_UINT64, counts.unsent,
      "link-drops", G_TYPE_UINT64, counts.dropped,
      "wake-ups", G_TYPE_UINT64, counts.wakeups,
      "waits", G_TYPE_UINT64, counts.waits,
      "links", G_TYPE_UINT64, counts.links,
      "handshake-failures", GST_TYPE_STRUCTURE, failures, NULL);
  gst_structure_take_value (stats, "consumers", &consumers);
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
    case PROP_MODE:
      g_value_set_uint (value, self->mode);
      break;
    case PROP_GROUP:
      g_value_set_string (value, self->group);
      break;
    case PROP_ALLOWED_UIDS:
      g_value_set_string (value, self->allowed_uids);
      break;
    case PROP_ACCESS_TOKEN_FILE:
      g_value_set_string (value, self->token.file);
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
    case PROP_LEAKY_TYPE:
      g_value_set_enum (value, self->leaky_type);
      break;
    case PROP_MAX_BUFFERS:
      g_value_set_uint (value, self->max_buffers);
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

/* For the next consumer, if it has started. */
static void
gst_mmap_sink_set_allowed_uids (GstMmapSink * self, const char *text)
{
  MmapUsers *users = NULL;
  gboolean started;

  GST_OBJECT_LOCK (self);
  started = self->consumers != NULL;
  GST_OBJECT_UNLOCK (self);
  if (started && !(users = gst_mmap_new_users (GST_ELEMENT (self), text)))
    return;

  GST_OBJECT_LOCK (self);
  g_free (self->allowed_uids);
  self->allowed_uids = g_strdup (text);
  if (self->producer && users)
    mmap_producer_set_allowed (self->producer, g_steal_pointer (&users));
  GST_OBJECT_UNLOCK (self);
  mmap_users_free (users);
}

static void
gst_mmap_sink_set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GstMmapSink *self = GST_MMAP_SINK (object);

  if (id == PROP_ALLOWED_UIDS) {
    gst_mmap_sink_set_allowed_uids (self, g_value_get_string (value));
    return;
  }
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
    case PROP_MODE:
      self->mode = g_value_get_uint (value);
      break;
    case PROP_GROUP:
      g_free (self->group);
      self->group = g_value_dup_string (value);
      break;
    case PROP_ACCESS_TOKEN:
      gst_mmap_token_set (&self->token, g_value_get_string (value));
      break;
    case PROP_ACCESS_TOKEN_FILE:
      gst_mmap_token_set_file (&self->token, g_value_get_string (value));
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
    case PROP_LEAKY_TYPE:
      self->leaky_type = g_value_get_enum (value);
      gst_mmap_sink_forget_policy (self);
      /* A frame may be waiting. */
      if (self->producer)
        mmap_producer_poke (self->producer);
      break;
    case PROP_MAX_BUFFERS:
      self->max_buffers = g_value_get_uint (value);
      if (self->producer)
        mmap_producer_set_max_buffers (self->producer, self->max_buffers);
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
  g_free (self->group);
  g_free (self->allowed_uids);
  gst_mmap_token_clear (&self->token);
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
   * GstMmapSink:mode:
   *
   * Permission bits of the socket, 0600 to 0666, whatever the umask: others connect if they may write. Where the region is a file, who
   * may read the socket may read that. All others than the owner must be in #GstMmapSink:allowed-uids, too.
   */
  properties[PROP_MODE] = g_param_spec_uint ("mode", "Mode",
      "Permission bits of the socket, 0600 to 0666, and, for reading, of the "
      "file (384 = 0600, the user alone)", 0, G_MAXUINT, DEFAULT_MODE, null);
  /**
   * GstMmapSink:group:
   *
   * Name or number of the group that socket and file are given to, for #GstMmapSink:mode.
   */
  properties[PROP_GROUP] = g_param_spec_string ("group", "Group",
      "Group of the socket and the file, a name or a number (NULL = as the "
      "system chooses)", NULL, null);
  /**
   * GstMmapSink:allowed-uids:
   *
   * Users whose processes may connect: names or numbers, separated by commas, or any. By default the user that this process runs as, and
   * root. The kernel says who it is, before anything is given out. A change is for consumers that connect from then on.
   */
  properties[PROP_ALLOWED_UIDS] = g_param_spec_string ("allowed-uids",
      "Allowed users", "Users who may connect: names or numbers, separated by "
      "commas, or any (NULL = the user of this process, and root)", NULL,
      playing);
  /**
   * GstMmapSink:access-token:
   *
   * A secret that this element and consumers prove to each other before anything is offered; without one on both sides there is no link.
   * Can't be read. On a command line everybody sees it: better is #GstMmapSink:access-token-file.
   */
  properties[PROP_ACCESS_TOKEN] = gst_mmap_token_spec_new (null);
  /**
   * GstMmapSink:access-token-file:
   *
   * Path of a file that holds the access token: of this process's user or root, with no rights for others. A line feed at its end doesn't
   * count. Only read if there is no #GstMmapSink:access-token.
   */
  properties[PROP_ACCESS_TOKEN_FILE] = gst_mmap_token_file_spec_new (null);
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
   * GstMmapSink:leaky-type:
   *
   * What happens to frames for a consumer that is slow: see #GstMmapLeakyType. Each has a limit of its own; but for none, it delays nobody
   * but itself. What was dropped is counted for each in stats, and told in QoS messages, at most one a second for each.
   */
  properties[PROP_LEAKY_TYPE] = g_param_spec_enum ("leaky-type", "Leaky type",
      "What happens to frames for a consumer that is slow",
      GST_TYPE_MMAP_LEAKY_TYPE, GST_MMAP_LEAKY_AUTO, playing);
  /**
   * GstMmapSink:max-buffers:
   *
   * How many frames each consumer may hold, read or unread, before it counts as slow. A small number keeps what it shows fresh.
   */
  properties[PROP_MAX_BUFFERS] = g_param_spec_uint ("max-buffers",
      "Max buffers",
      "Frames that each consumer may hold, read or unread (0 = as "
      "many as the region has room for)", 0, G_MAXUINT, 0, playing);
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
   * Those of GstBaseSink, and frames and bytes published, frames copied, frames unsent for lack of a consumer, dropped for slow
   * consumers, wake-ups of consumers, waits for consumers, links that came up, handshake-failures: a structure with a count for each
   * reason, and consumers: an array with a structure for each that is there.
   * Notified at EOS and when the element stops.
   */
  properties[PROP_STATS] = g_param_spec_boxed ("stats", "Statistics",
      "Counts since start: frames, bytes, copied, dropped, unsent, "
      "link-drops, wake-ups, waits, links, handshake-failures (by reason), "
      "consumers", GST_TYPE_STRUCTURE, readable);
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
  self->mode = DEFAULT_MODE;
  self->token_bytes = MMAP_TOKEN_DEFAULT_BYTES;
  self->wait_for_connection = DEFAULT_WAIT_FOR_CONNECTION;
  self->spin_time = MMAP_SPIN_ADAPTIVE;
  self->forward = GST_MMAP_FORWARD_ALL;
  self->base_chain = GST_PAD_CHAINFUNC (GST_BASE_SINK_PAD (self));
  gst_pad_set_chain_function (GST_BASE_SINK_PAD (self), gst_mmap_sink_chain);
  /* A last sample would keep a block of the region. */
  gst_base_sink_set_last_sample_enabled (GST_BASE_SINK (self), FALSE);
}
