/* gst-mmap: properties of mmapsrc
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What can be set and read, and what the statistics are made of. Any thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsrc-private.h"

#include "area-channel.h"
#include "wakeup.h"

#define GST_CAT_DEFAULT gst_mmap_src_debug

#define DEFAULT_IS_LIVE TRUE
#define DEFAULT_PROVIDE_CLOCK FALSE
#define DEFAULT_ON_DISCONNECT GST_MMAP_ON_DISCONNECT_AUTO
#define DEFAULT_RECONNECT_TIMEOUT (-1)

enum
{
  PROP_0,
  PROP_SOCKET_PATH,
  PROP_FILE,
  PROP_CHANNEL,
  PROP_ADDRESS,
  PROP_ALLOW_REMOTE,
  PROP_SIGNALLING,
  PROP_ACCEPT_CAPABILITIES,
  PROP_ALLOWED_UIDS,
  PROP_ACCESS_TOKEN,
  PROP_ACCESS_TOKEN_FILE,
  PROP_IS_LIVE,
  PROP_PROVIDE_CLOCK,
  PROP_SPIN_TIME,
  PROP_POLL_INTERVAL,
  PROP_UNTRUSTED,
  PROP_IO_MODE,
  PROP_ON_DISCONNECT,
  PROP_RECONNECT_TIMEOUT,
  PROP_CAPABILITIES,
  PROP_STATS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

static GstCaps *
gst_mmap_src_get_capabilities_locked (GstMmapSrc * self)
{
  g_autofree char *file = NULL, *media = NULL;
  guint64 size, session;

  if (!self->consumer || !mmap_consumer_get_offer (self->consumer, &file,
          &size, &session, &media))
    return NULL;
  return gst_mmap_capabilities_summarise (file, size,
      mmap_consumer_get_token_bytes (self->consumer), media);
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
      "links", G_TYPE_UINT64, counts.links,
      "clock-offset", G_TYPE_INT64, counts.clock_offset,
      "clock-error", G_TYPE_UINT64, counts.clock_error, NULL);
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
    case PROP_POLL_INTERVAL:
      g_value_set_uint64 (value, self->poll_interval);
      break;
    case PROP_UNTRUSTED:
      g_value_set_boolean (value,
          __atomic_load_n (&self->untrusted, __ATOMIC_RELAXED));
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
    case PROP_PROVIDE_CLOCK:
      g_value_set_boolean (value,
          GST_OBJECT_FLAG_IS_SET (self, GST_ELEMENT_FLAG_PROVIDE_CLOCK));
      break;
    case PROP_SPIN_TIME:
      g_value_set_int64 (value, self->spin_time);
      break;
    case PROP_IO_MODE:
      g_value_set_enum (value, self->io_mode);
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
    case PROP_FILE:
      GST_OBJECT_LOCK (self);
      g_free (self->file);
      self->file = g_value_dup_string (value);
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_CHANNEL:
      GST_OBJECT_LOCK (self);
      g_free (self->channel);
      self->channel = g_value_dup_string (value);
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_ADDRESS:
      GST_OBJECT_LOCK (self);
      g_free (self->address);
      self->address = g_value_dup_string (value);
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_ALLOW_REMOTE:
      GST_OBJECT_LOCK (self);
      self->allow_remote = g_value_get_boolean (value);
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_POLL_INTERVAL:
      GST_OBJECT_LOCK (self);
      self->poll_interval = g_value_get_uint64 (value);
      if (self->consumer)
        mmap_consumer_set_poll_interval (self->consumer, self->poll_interval);
      GST_OBJECT_UNLOCK (self);
      break;
    case PROP_UNTRUSTED:
      __atomic_store_n (&self->untrusted, g_value_get_boolean (value),
          __ATOMIC_RELAXED);
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
    case PROP_IO_MODE:
      self->io_mode = g_value_get_enum (value);
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
    case PROP_PROVIDE_CLOCK:
      GST_OBJECT_LOCK (self);
      if (g_value_get_boolean (value))
        GST_OBJECT_FLAG_SET (self, GST_ELEMENT_FLAG_PROVIDE_CLOCK);
      else
        GST_OBJECT_FLAG_UNSET (self, GST_ELEMENT_FLAG_PROVIDE_CLOCK);
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

void
gst_mmap_src_install_properties (GObjectClass * klass)
{
  GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | GST_PARAM_MUTABLE_READY;
  GParamFlags playing = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | GST_PARAM_MUTABLE_PLAYING;
  GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  klass->get_property = gst_mmap_src_get_property;
  klass->set_property = gst_mmap_src_set_property;

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
   * GstMmapSrc:file:
   *
   * The file that a mmapsink without a socket publishes in, or a VM's device: ivshmem, or ivshmem:0000:00:05.0. With a socket the producer
   * says where its file is.
   */
  properties[PROP_FILE] = g_param_spec_string ("file", "File",
      "File that frames lie in, such as /dev/shm/cam0, or ivshmem, without a "
      "socket (NULL = there is a socket)", NULL, ready);
  /**
   * GstMmapSrc:channel:
   *
   * With a #GstMmapSrc:file: the name of the stream.
   */
  properties[PROP_CHANNEL] = g_param_spec_string ("channel", "Channel",
      "Name of the stream in a file without a socket", MMAP_CHANNEL_DEFAULT,
      ready);
  /**
   * GstMmapSrc:address:
   *
   * With a #GstMmapSrc:file, which is what this side calls the memory that the producer uses: where that listens: tcp:HOST:PORT, or
   * vsock:CID:PORT.
   */
  properties[PROP_ADDRESS] = g_param_spec_string ("address", "Address",
      "Where a producer of another machine listens, besides file: "
      "tcp:HOST:PORT or vsock:CID:PORT (NULL = signalling in the file)", NULL,
      ready);
  /**
   * GstMmapSrc:allow-remote:
   *
   * Whether the #GstMmapSrc:address may be that of another machine. There is no encryption: an access token says who takes part.
   */
  properties[PROP_ALLOW_REMOTE] = g_param_spec_boolean ("allow-remote",
      "Allow remote", "Whether a TCP address may be that of another machine",
      FALSE, ready);
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
   * pipeline. One that isn't live takes part in preroll, and hands out the producer's running times as they are: for a producer that waits,
   * as one of a file does. If frames are missing there is a warning: a sink waits for the running times of those.
   */
  properties[PROP_IS_LIVE] = g_param_spec_boolean ("is-live", "Is live",
      "Act as a live source: running times are the instants of the producer's "
      "pipeline (false = the producer's running times as they are)",
      DEFAULT_IS_LIVE, ready);
  /**
   * GstMmapSrc:provide-clock:
   *
   * Whether the pipeline may take the producer's clock as its own. That of a producer on another machine is followed as it was measured, and
   * then nothing in the pipeline drifts against its frames; that of one on this machine is the system's. Only a live source provides one.
   */
  properties[PROP_PROVIDE_CLOCK] = g_param_spec_boolean ("provide-clock",
      "Provide clock",
      "Offer the pipeline a clock that follows the producer's, "
      "on whatever machine that is", DEFAULT_PROVIDE_CLOCK, ready);
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
   * GstMmapSrc:poll-interval:
   *
   * With a #GstMmapSrc:file: how long to sleep at most, in ns, before looking again whether there is a frame.
   */
  properties[PROP_POLL_INTERVAL] = g_param_spec_uint64 ("poll-interval",
      "Poll interval", "How long to sleep at most before looking again, in ns, "
      "in a file without a socket (1000000 = a millisecond)",
      MMAP_POLL_MIN_NS, MMAP_POLL_MAX_NS, MMAP_POLL_DEFAULT_NS, playing);
  /**
   * GstMmapSrc:untrusted:
   *
   * Whether to copy each frame before anybody sees it. Without that the producer can change it at any time, also between a parser's check
   * of a length and its use.
   */
  properties[PROP_UNTRUSTED] = g_param_spec_boolean ("untrusted", "Untrusted",
      "Copy each frame out of the shared memory, so that the producer can't "
      "change it any more", FALSE, playing);
  /**
   * GstMmapSrc:io-mode:
   *
   * How raw video is handed out. dmabuf: as dma-bufs (caps feature memory:DMABuf), where the kernel has /dev/udmabuf, the producer allows it,
   * and downstream takes such caps; else as mmap, with a warning.
   */
  properties[PROP_IO_MODE] = g_param_spec_enum ("io-mode", "I/O mode",
      "How raw video is handed out (dmabuf = as dma-bufs, where that can be "
      "done; auto = mmap)", GST_TYPE_MMAP_IO_MODE, GST_MMAP_IO_MODE_AUTO,
      ready);
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
      "with file, size and token-bytes (bytes), media", GST_TYPE_CAPS,
      readable);
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

void
gst_mmap_src_init_properties (GstMmapSrc * self)
{
  self->spin_time = MMAP_SPIN_ADAPTIVE;
  self->poll_interval = MMAP_POLL_DEFAULT_NS;
  self->channel = g_strdup (MMAP_CHANNEL_DEFAULT);
  self->on_disconnect = DEFAULT_ON_DISCONNECT;
  self->reconnect_timeout = DEFAULT_RECONNECT_TIMEOUT;
  gst_base_src_set_live (GST_BASE_SRC (self), DEFAULT_IS_LIVE);
}

void
gst_mmap_src_clear_properties (GstMmapSrc * self)
{
  gst_clear_caps (&self->accept);
  g_free (self->socket_path);
  g_free (self->file);
  g_free (self->channel);
  g_free (self->address);
  g_free (self->allowed_uids);
  gst_mmap_token_clear (&self->token);
}
