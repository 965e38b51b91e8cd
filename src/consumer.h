/* gst-mmap: the consumer: receives frames from a producer
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "clock-offset.h"
#include "error.h"
#include "message.h"
#include "region.h"
#include "secret.h"
#include "spin.h"
#include "users.h"

G_BEGIN_DECLS

/**
 * MmapConsumer:
 *
 * Finds the producer, speaks the handshake, and hands out frames and events in their order: all in mmap_consumer_next(), called by one
 * thread at a time. Frames are released, messages sent, by any thread. A thread of its own takes what is not in order with the frames,
 * if there is a callback for that; it is never on the way of a frame.
 */
typedef struct _MmapConsumer MmapConsumer;

/**
 * MmapConsumerLink:
 *
 * What frames need to be given back through: outlives the connection as long as a frame refers to it. Any thread.
 */
typedef struct _MmapConsumerLink MmapConsumerLink;

/**
 * MmapItem:
 * @descriptor: a private copy, checked: blocks inside the region, at most 4 planes
 * @data: (nullable): the bytes; valid while @region is referenced, and theirs until they are released. The producer can't
 *     change them unless it breaks the rules.
 * @metas: (nullable): the metadata, as @data
 * @region: (nullable): referenced
 * @link: referenced
 * @missed: of a frame: how many came before it, since the last one of this link, that the producer dropped because this consumer was slow
 * @clock_offset: by how much the producer's CLOCK_MONOTONIC, which the descriptor's anchor is of, is ahead of this side's, ns
 * @should_copy: the producer may run out of blocks: a frame should be copied, and given back at once
 *
 * A frame or an event. The frame must be given back with mmap_consumer_link_release().
 */
typedef struct
{
  MmapDescriptor descriptor;
  const guint8 *data;
  const guint8 *metas;
  MmapRegion *region;
  MmapConsumerLink *link;
  guint32 missed;
  gint64 clock_offset;
  gboolean should_copy;
} MmapItem;

typedef enum
{
  MMAP_NEXT_FRAME,              /* the item is a frame */
  MMAP_NEXT_EVENT,              /* the item is an event, released already when the item is cleared */
  MMAP_NEXT_CONNECTED,          /* a link came up: what follows belongs to a new session. No item. */
  MMAP_NEXT_DISCONNECTED,       /* the producer has gone, and all that it sent was handed out. No item. */
  MMAP_NEXT_CANCELLED,          /* mmap_consumer_set_cancelled(). No item. */
  MMAP_NEXT_ERROR               /* the error says what; the link, if there was one, has ended. No item. */
} MmapNextResult;

typedef struct
{
  guint64 frames;               /* handed out */
  guint64 bytes;
  guint64 events;
  guint64 missed;               /* frames that the producer dropped for this consumer */
  guint64 links;                /* times that a link came up */
  guint64 waits;                /* times that next() slept */
  guint64 wakeups;              /* system calls made to wake the producer */
  guint64 held;                 /* frames handed out and not released, of the current link */
  gint64 clock_offset;          /* ns that the producer's CLOCK_MONOTONIC is ahead, of the current link; 0 if it has a socket */
  guint64 clock_error;          /* ns that this may be wrong by; 0 if it has a socket; G_MAXUINT64: not measured */
} MmapConsumerStats;

/**
 * MmapConsumerCallbacks:
 * @message: the producer sent an MMAP_MESSAGE_EVENT; @link counts the links of this consumer from 1, see mmap_consumer_get_link()
 * @closed: a link has ended, and all its messages were told; others that come on another link come after this
 * @asked: mmap_consumer_ask() was called: what took time or locks where it was called is done here
 *
 * @check: whether the capabilities in an offer, an a{sv} that is well-formed, are acceptable; with the consumer's lock for messages held, from
 *     any thread
 *
 * Called from the consumer's own thread, without locks held, if nothing else is said. Each may be %NULL.
 */
typedef struct
{
  void (*message) (guint64 link, GVariant * body, gpointer user_data);
  void (*closed) (guint64 link, gpointer user_data);
  void (*asked) (gpointer user_data);
  gboolean (*check) (GVariant * offer, gpointer user_data, GError ** error);
} MmapConsumerCallbacks;

/* @address: (nullable): see mmap_listener_new(); MMAP_ADDRESS_NONE: there is mmap_consumer_accept_offer()
 * Returns: (transfer full): or %NULL with MMAP_ERROR_NO_RESOURCES. Doesn't connect. */
MmapConsumer *mmap_consumer_new (const char *address, GError ** error);

/* The same for a producer in an area.
 * @file: of the area
 * @channel: name, see mmap_channel_check_name()
 * Returns: (transfer full): or %NULL with MMAP_ERROR_SETTING, too */
MmapConsumer *mmap_consumer_new_in_area (const char *file,
    const char *channel, GError ** error);

/* The same for a producer on another machine, or whose consumers come through TCP or vsock: see mmap_remote_connect().
 * @file: what this side calls the area that the producer uses */
MmapConsumer *mmap_consumer_new_remote (const char *address, const char *file,
    gboolean allow_remote, GError ** error);

/* How long to sleep at most before looking again, where the producer wakes nobody. Any thread. */
void mmap_consumer_set_poll_interval (MmapConsumer * consumer,
    gint64 interval_ns);

/* Whose producers are trusted, of those that are found from now on. Without this call: those of the user of this process, and root's. An
 * offer of mmap_consumer_accept_offer() is trusted as the channel that it came through. Any thread.
 * @users: (transfer full) */
void mmap_consumer_set_allowed (MmapConsumer * consumer, MmapUsers * users);

/* The producer has to prove that it knows the token, and the consumer proves it, too. Offers through somebody else's channel are not concerned.
 * Call before mmap_consumer_next(), once.
 * @secret: (transfer full) (nullable) */
void mmap_consumer_set_secret (MmapConsumer * consumer, MmapSecret * secret);

MmapConsumer *mmap_consumer_ref (MmapConsumer * consumer);
void mmap_consumer_unref (MmapConsumer * consumer);

/* mmap_consumer_stop(), then ends the link, and unref: what others still have a reference to does nothing any more. What was handed out stays
 * valid. */
void mmap_consumer_free (MmapConsumer * consumer);

/* Starts the consumer's own thread, before the first mmap_consumer_next(). FALSE with MMAP_ERROR_FAILED. */
gboolean mmap_consumer_start (MmapConsumer * consumer,
    const MmapConsumerCallbacks * callbacks, gpointer user_data,
    GError ** error);

/* Ends the consumer's own thread, and all waits for results; nobody may be in mmap_consumer_next(). Not from a callback. */
void mmap_consumer_stop (MmapConsumer * consumer);

/* What the consumer accepts, for the producer to hear: at once if there is a link, and with each handshake. @media: (nullable):
 * anything. Any thread. */
void mmap_consumer_set_media (MmapConsumer * consumer, const char *media);

/* Returns: which link it is that is up, or was last, counted from 1. For the thread that calls next(). */
guint64 mmap_consumer_get_link (MmapConsumer * consumer);

/* Makes the consumer's own thread call asked(). Any thread. */
void mmap_consumer_ask (MmapConsumer * consumer);

/* Sends an MMAP_MESSAGE_EVENT, _QUERY or _NEEDS. Any thread.
 * @body: (transfer floating)
 * FALSE if there is no link, or its producer does not read. */
gboolean mmap_consumer_send (MmapConsumer * consumer, MmapMessageKind kind,
    GVariant * body);

/* The same, with a key "id" of the consumer's own, and waits for the result. Any thread.
 * @timeout_us: how long at most, microseconds
 * Returns: (transfer full) (nullable): the body of the MMAP_MESSAGE_RESULT; %NULL if none came, or it was sent from the consumer's own
 *     thread, which can't wait for itself */
GVariant *mmap_consumer_call (MmapConsumer * consumer, MmapMessageKind kind,
    GVariantDict * body, gint64 timeout_us);

/* Writes a QoS event, for the producer to read when it publishes. @qos: serial is filled in. Any thread. */
void mmap_consumer_send_qos (MmapConsumer * consumer, const MmapQos * qos);

/* Waits for a producer, for a frame, for an event. @item is to be cleared after FRAME and EVENT.
 * Errors: those of mmap_address_connect(), but MMAP_ERROR_NOT_FOUND and MMAP_ERROR_TIMEOUT only when
 * mmap_consumer_set_reconnect_timeout() says so, and MMAP_ERROR_NO_DIRECTORY only as long as no link was up: a directory may go with its
 * producer; each of the checks of the handshake, by field; what the producer said as it refused, but that the consumer was too slow: then
 * it tries again; MMAP_ERROR_RING if it breaks the protocol; MMAP_ERROR_TRUNCATED. */
MmapNextResult mmap_consumer_next (MmapConsumer * consumer, MmapItem * item,
    GError ** error);

/* What was measured last of the clock of the producer whose link is up. Nothing is if both sides have one kernel and a socket.
 * @reading: (inout): what was known before; zeros at first, and with each link
 * Returns: whether there is something new. For the thread that calls mmap_consumer_next() */
gboolean mmap_consumer_read_clock (MmapConsumer * consumer,
    MmapClockReading * reading);

/* Whether what was handed out is what the producer wrote: for after it was read. FALSE with MMAP_ERROR_TRUNCATED: somebody has truncated the
 * file of a region, and zeros were read instead, here or by others who hold frames; mmap_consumer_next() is about to say so. For the
 * thread that calls that. */
gboolean mmap_consumer_check_memory (MmapConsumer * consumer,
    GError ** error);

/* Takes an offer of mmap_producer_create_offer() that came through somebody else's channel, while mmap_consumer_next() waits or will be called.
 * Any thread.
 * @fds: (transfer full): what came with it, in the same order
 * Returns: (transfer full): the answer; or %NULL with an error of the checks of the handshake, or MMAP_ERROR_IN_USE (there is a link already), MMAP_ERROR_CLOSED (the
 *     consumer was stopped) */
GVariant *mmap_consumer_accept_offer (MmapConsumer * consumer,
    GVariant * offer, const int *fds, guint n_fds, GError ** error);

/* How long mmap_consumer_next() looks for news before it sleeps: see mmap_spin_set_time(). Any thread. */
void mmap_consumer_set_spin_time (MmapConsumer * consumer, gint64 time_ns);

/* How long mmap_consumer_next() waits until a link is up, from the first call on and again after MMAP_NEXT_DISCONNECTED, before it ends with
 * MMAP_ERROR_NOT_FOUND (nobody came) or MMAP_ERROR_TIMEOUT (somebody did, who has 5 s in any case). Time between two calls doesn't count.
 * @timeout_ns: ns, from 0: one look; -1: for ever, as it is at first. Any thread. */
void mmap_consumer_set_reconnect_timeout (MmapConsumer * consumer,
    gint64 timeout_ns);

/* Makes mmap_consumer_next() return at once, now and until it is allowed again. Any thread. */
void mmap_consumer_set_cancelled (MmapConsumer * consumer, gboolean cancelled);

/* Drops the item's references. An event's block is given back; a frame's is not. */
void mmap_item_clear (MmapItem * item);

MmapConsumerLink *mmap_consumer_link_ref (MmapConsumerLink * link);
void mmap_consumer_link_unref (MmapConsumerLink * link);

/* Gives a frame back, once: @id and @size from its descriptor. Nothing more happens if the link has ended meanwhile. */
void mmap_consumer_link_release (MmapConsumerLink * link, guint64 id,
    guint64 size);

void mmap_consumer_get_stats (MmapConsumer * consumer,
    MmapConsumerStats * stats);

/* The fields of the offer that the current link accepted last, without its token. @file, @media: (transfer full). FALSE if there is no
 * link. Any thread. */
gboolean mmap_consumer_get_offer (MmapConsumer * consumer, char **file,
    guint64 * size, guint64 * session, char **media);

/* How long its token was, bytes; 0: there is no link. Any thread. */
guint mmap_consumer_get_token_bytes (MmapConsumer * consumer);

G_END_DECLS
