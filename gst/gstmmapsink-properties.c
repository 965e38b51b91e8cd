/* gst-mmap: properties of mmapsink
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What can be set and read, and what the statistics are made of. Any thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsink-private.h"

#include "area-channel.h"
#include "token.h"
#include "wakeup.h"

#define GST_CAT_DEFAULT gst_mmap_sink_debug

#define DEFAULT_SIZE 0
#define DEFAULT_WAIT_FOR_CONNECTION TRUE

enum
{
  PROP_0,
  PROP_SOCKET_PATH,
  PROP_SIGNALLING,
  PROP_ACCEPT_CAPABILITIES,
  PROP_FILE,
  PROP_CHANNEL,
  PROP_ADDRESS,
  PROP_ALLOW_REMOTE,
  PROP_ALLOW_DMABUF,
  PROP_SIZE,
  PROP_TOKEN_BYTES,
  PROP_MODE,
  PROP_GROUP,
  PROP_ALLOWED_UIDS,
  PROP_ACCESS_TOKEN,
  PROP_ACCESS_TOKEN_FILE,
  PROP_WAIT_FOR_CONNECTION,
  PROP_SPIN_TIME,
  PROP_POLL_INTERVAL,
  PROP_FORWARD_EVENTS,
  PROP_LEAKY_TYPE,
  PROP_MAX_BUFFERS,
  PROP_NUM_CLIENTS,
  PROP_CAPABILITIES,
  PROP_STATS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

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
      "huge-bytes", G_TYPE_UINT64, counts.huge_bytes,
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
    case PROP_CHANNEL:
      g_value_set_string (value, self->channel);
      break;
    case PROP_ADDRESS:
      g_value_set_string (value, self->address);
      break;
    case PROP_ALLOW_REMOTE:
      g_value_set_boolean (value, self->allow_remote);
      break;
    case PROP_ALLOW_DMABUF:
      g_value_set_boolean (value, self->allow_dmabuf);
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
    case PROP_POLL_INTERVAL:
      g_value_set_uint64 (value, self->poll_interval);
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
    case PROP_CHANNEL:
      g_free (self->channel);
      self->channel = g_value_dup_string (value);
      break;
    case PROP_ADDRESS:
      g_free (self->address);
      self->address = g_value_dup_string (value);
      break;
    case PROP_ALLOW_REMOTE:
      self->allow_remote = g_value_get_boolean (value);
      break;
    case PROP_ALLOW_DMABUF:
      self->allow_dmabuf = g_value_get_boolean (value);
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
    case PROP_POLL_INTERVAL:
      self->poll_interval = g_value_get_uint64 (value);
      if (self->producer)
        mmap_producer_set_poll_interval (self->producer, self->poll_interval);
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

void
gst_mmap_sink_install_properties (GObjectClass * klass)
{
  /* Read in start(), which GstBaseSink calls on the way to READY. */
  GParamFlags null = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;
  GParamFlags ready = null | GST_PARAM_MUTABLE_READY;
  GParamFlags playing = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | GST_PARAM_MUTABLE_PLAYING;
  GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  klass->get_property = gst_mmap_sink_get_property;
  klass->set_property = gst_mmap_sink_set_property;

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
   * GstMmapSink:channel:
   *
   * With a #GstMmapSink:file and no #GstMmapSink:socket-path: the name of this stream among those that the file holds. Two that live can't
   * have the same.
   */
  properties[PROP_CHANNEL] = g_param_spec_string ("channel", "Channel",
      "Name of this stream in a file without a socket", MMAP_CHANNEL_DEFAULT,
      null);
  /**
   * GstMmapSink:address:
   *
   * With a #GstMmapSink:file, which may be a VM's device: listens here, too: tcp:HOST:PORT, or vsock:CID:PORT, where the CID may be any. Only
   * the handshake and messages go that way; the consumer names the same memory as it sees it.
   */
  properties[PROP_ADDRESS] = g_param_spec_string ("address", "Address",
      "Where consumers of other machines come from, besides file: "
      "tcp:HOST:PORT or vsock:any:PORT (NULL = from nowhere)", NULL, null);
  /**
   * GstMmapSink:allow-remote:
   *
   * Whether the #GstMmapSink:address may be one that other machines can reach. There is no encryption: an access token says who takes part.
   */
  properties[PROP_ALLOW_REMOTE] = g_param_spec_boolean ("allow-remote",
      "Allow remote", "Whether a TCP address may be one that other machines "
      "reach", FALSE, null);
  /**
   * GstMmapSink:allow-dmabuf:
   *
   * Whether consumers may have frames as dma-bufs (io-mode of mmapsrc). The kernel makes them only of memory that consumers may write: then
   * each of them can change what the others see.
   */
  properties[PROP_ALLOW_DMABUF] = g_param_spec_boolean ("allow-dmabuf",
      "Allow dma-buf",
      "Whether consumers may have frames as dma-bufs; they can "
      "change them then", FALSE, null);
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
   * may read the socket may read that; a file without a socket has these bits itself. All others than the owner must be in #GstMmapSink:allowed-uids, too.
   */
  properties[PROP_MODE] = g_param_spec_uint ("mode", "Mode",
      "Permission bits of the socket, 0600 to 0666, and, for reading, of its "
      "file; of a file without a socket (384 = 0600, the user alone)", 0,
      G_MAXUINT, GST_MMAP_SINK_DEFAULT_MODE, null);
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
   * GstMmapSink:poll-interval:
   *
   * With a #GstMmapSink:file and no #GstMmapSink:socket-path: how long to sleep at most, in ns, before looking again whether a consumer
   * has given memory back.
   */
  properties[PROP_POLL_INTERVAL] = g_param_spec_uint64 ("poll-interval",
      "Poll interval", "How long to sleep at most before looking again, in ns, "
      "in a file without a socket (1000000 = a millisecond)",
      MMAP_POLL_MIN_NS, MMAP_POLL_MAX_NS, MMAP_POLL_DEFAULT_NS, playing);
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

void
gst_mmap_sink_init_properties (GstMmapSink * self)
{
  g_mutex_init (&self->accept_lock);
  self->size = DEFAULT_SIZE;
  self->mode = GST_MMAP_SINK_DEFAULT_MODE;
  self->token_bytes = MMAP_TOKEN_DEFAULT_BYTES;
  self->wait_for_connection = DEFAULT_WAIT_FOR_CONNECTION;
  self->spin_time = MMAP_SPIN_ADAPTIVE;
  self->poll_interval = MMAP_POLL_DEFAULT_NS;
  self->channel = g_strdup (MMAP_CHANNEL_DEFAULT);
  self->forward = GST_MMAP_FORWARD_ALL;
}

void
gst_mmap_sink_clear_properties (GstMmapSink * self)
{
  gst_clear_caps (&self->accept);
  g_mutex_clear (&self->accept_lock);
  g_free (self->socket_path);
  g_free (self->file);
  g_free (self->channel);
  g_free (self->address);
  g_free (self->group);
  g_free (self->allowed_uids);
  gst_mmap_token_clear (&self->token);
}
