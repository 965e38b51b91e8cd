/* gst-mmap: the producer: publishes frames to any number of links
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "mode.h"
#include "error.h"
#include "message.h"
#include "region.h"
#include "secret.h"
#include "spin.h"
#include "users.h"

G_BEGIN_DECLS

/**
 * MmapProducer:
 *
 * Owns the socket, the region and the links. A thread of its own accepts consumers, speaks the handshake and notices
 * when they leave; it is never on the way of a frame. All functions may be called from any thread.
 *
 * The loop of whoever needs something that only a consumer can give (a free block, room in a ring, a link):
 *
 *     for (;;) {
 *       guint64 serial = mmap_producer_collect (producer);
 *       if (try it)
 *         break;
 *       if (mmap_producer_wait (producer, &cancel, serial, -1) != MMAP_WAIT_OK)
 *         return;
 *     }
 */
typedef struct _MmapProducer MmapProducer;

/**
 * MmapBlock:
 * @region: the region that it lies in
 * @offset: bytes from the region's start
 * @size: bytes that may be written, at least what was asked for
 *
 * A reference-counted block. Its bytes are reserved until the last reference is dropped.
 */
typedef struct
{
  gint ref_count;
  MmapProducer *producer;
  struct _MmapArena *arena;
  MmapRegion *region;
  guint64 offset;
  guint64 size;
} MmapBlock;

/**
 * MmapCancel:
 * @cancelled: changed only by mmap_producer_set_cancelled()
 *
 * Belongs to a caller that waits; another thread can make it stop.
 */
typedef struct
{
  gboolean cancelled;
} MmapCancel;

typedef enum
{
  MMAP_WAIT_OK,                 /* something happened: try again */
  MMAP_WAIT_CANCELLED,          /* the caller's MmapCancel is set */
  MMAP_WAIT_TIMEOUT,            /* nothing happened in time */
  MMAP_WAIT_CLOSED,             /* mmap_producer_close() was called */
  MMAP_WAIT_FAILED              /* the region's memory did not come, or has gone: see MmapProducerCallbacks */
} MmapWaitResult;

typedef enum
{
  MMAP_PUBLISH_OK,              /* each link that is up has it, or it was dropped for it; none may be */
  MMAP_PUBLISH_FULL,            /* a link or the region has no room, or it was closed or has failed: wait, and try again */
  MMAP_PUBLISH_TOO_LARGE        /* an event that the region could never hold, or more kept ones than a link has room for */
} MmapPublishResult;

/* What happens to frames for a link that has no room, because its consumer is slow: the names are those of GStreamer's queue. */
typedef enum
{
  MMAP_LEAKY_NONE,              /* all wait for it */
  MMAP_LEAKY_UPSTREAM,          /* it doesn't get the new frame */
  MMAP_LEAKY_DOWNSTREAM         /* it loses the oldest one that it has not read */
} MmapLeaky;

/* Who a block is for: see mmap_producer_alloc(). */
typedef enum
{
  MMAP_ALLOC_UPSTREAM,          /* any size, may be held for long: leaves a quarter of the region free, and room for one more */
  MMAP_ALLOC_POOL,              /* one of many of the same size: leaves room for one more, to copy into */
  MMAP_ALLOC_COPY,              /* for a frame that is published at once: may be the last */
  MMAP_ALLOC_METAS              /* for the metadata of a frame: the same, and small ones lie where frames don't */
} MmapAllocUse;

/**
 * MmapProducerStats:
 *
 * Counts since the producer was made.
 */
typedef struct
{
  guint64 frames;               /* published */
  guint64 bytes;                /* published payload */
  guint64 events;               /* published */
  guint64 unsent;               /* published while no link was up */
  guint64 dropped;              /* for a link: a frame that two did not get counts twice */
  guint64 wakeups;              /* system calls made to wake a consumer */
  guint64 links;                /* links that came up */
  guint64 waits;                /* times that a caller slept in mmap_producer_wait() */
  guint64 huge_bytes;           /* of the region, in huge pages: not a count */
  guint64 failures[MMAP_N_ERRORS];      /* handshakes that failed and links that were ended, by reason */
} MmapProducerStats;

/**
 * MmapLinkStats:
 *
 * One link that is up, or leaving.
 */
typedef struct
{
  guint32 link_id;
  guint32 pid;                  /* of the consumer, as the kernel said */
  guint32 uid;
  guint64 frames;               /* that it got, or can read */
  guint64 dropped;              /* that it did not get, or that were taken back */
  guint32 held;                 /* frames that it has not given back, read or unread */
  gboolean leaving;             /* it gets nothing more: its consumer has left, or was refused, and still holds frames */
} MmapLinkStats;

/**
 * MmapProducerCallbacks:
 * @links: the number of links that are up has changed
 * @refused: a consumer was refused, or its link was ended for cause
 * @failed: called once, from another thread of the producer, when the rest of a region's memory can't be reserved: MMAP_ERROR_NO_SPACE
 *     or MMAP_ERROR_FAILED; or when somebody has truncated its file, MMAP_ERROR_TRUNCATED: then all links end; or
 *     when it can't listen where a name said, with an error of mmap_remote_listen(). After this, nothing is
 *     published, and each wait ends with MMAP_WAIT_FAILED.
 * @accepts: what a consumer accepts: @media is opaque to this library, and %NULL for anything. First when it says hello, again (@answered)
 *     when it has answered an offer, then whenever it changes. From the answer on the link waits for mmap_producer_admit(); before that
 *     it can't be refused in a way that it would understand. If this callback is
 *     %NULL all links are admitted.
 * @left: a link has ended, whether or not accepts() was told of it
 * @message: a consumer sent MMAP_MESSAGE_EVENT, _QUERY or _NEEDS
 * @check: whether the capabilities in an answer, an a{sv} that is well-formed, are acceptable; with the producer's lock held, from any thread
 *
 * Called from the service thread, without locks held, if nothing else is said. Each may be %NULL.
 */
typedef struct
{
  void (*links) (guint n_links, gpointer user_data);
  void (*refused) (const GError * reason, gpointer user_data);
  void (*failed) (const GError * reason, gpointer user_data);
  void (*accepts) (guint32 link_id, const char *media, gboolean answered,
      gpointer user_data);
  void (*left) (guint32 link_id, gpointer user_data);
  void (*message) (guint32 link_id, MmapMessageKind kind, GVariant * body,
      gpointer user_data);
  gboolean (*check) (GVariant * answer, gpointer user_data, GError ** error);
} MmapProducerCallbacks;

/**
 * MmapEvent:
 * @kind: an MmapEventKind; from MMAP_EVENT_GST on a GstEventType
 * @seqnum: GStreamer's sequence number, which crosses unchanged
 * @order: 0: for the links that are up. Else kept for later ones, too, which get the kept events in this order; an event of the same
 *     order, kind and name takes the place of an earlier one
 * @name: (nullable)
 * @data: (nullable): @size bytes, copied
 * @anchor, @latency: as in a frame's descriptor, for an event that stands for a frame; 0: unknown
 * @droppable: stands for a frame: a leaky producer doesn't wait for room for it either
 *
 * A serialised event.
 */
typedef struct
{
  guint32 kind;
  guint32 seqnum;
  guint32 order;
  const char *name;
  gconstpointer data;
  gsize size;
  guint64 anchor;
  guint64 latency;
  gboolean droppable;
} MmapEvent;

/* Starts to listen.
 * @address: (nullable): see mmap_listener_new(); MMAP_ADDRESS_NONE: doesn't listen, there is mmap_producer_create_offer()
 * @file: (nullable): path of the region; %NULL: a sealed memfd
 * @token_bytes: 16 to 1024
 * Returns: (transfer full): or %NULL with an error of mmap_listener_new() or MMAP_ERROR_TOKEN_BYTES */
MmapProducer *mmap_producer_new (const char *address, const char *file,
    guint token_bytes, GError ** error);

/* The same for other users, too. @mode: of the socket and, as far as that is for reading, of the file; what allowed-uids says goes on top.
 * Or %NULL with MMAP_ERROR_SETTING, too: it makes no sense there. */
MmapProducer *mmap_producer_new_shared (const char *address,
    const char *file, const MmapMode * mode, guint token_bytes,
    GError ** error);

/* Publishes in an area, without a socket.
 * @file: of the area: see mmap_area_open()
 * @channel: name, see mmap_channel_check_name()
 * @size: of a new file, bytes; 0: chosen
 * @mode: of a new file: who may write it may connect
 * @trusted: whose files are believed in
 * Returns: (transfer full): or %NULL with an error of mmap_area_open() or mmap_channel_claim(), or MMAP_ERROR_TOKEN_BYTES. May take some
 * seconds, if somebody else was there. */
MmapProducer *mmap_producer_new_in_area (const char *file,
    const char *channel, guint64 size, const MmapMode * mode,
    const MmapUsers * trusted, guint token_bytes, GError ** error);

/* In an area: consumers come through TCP or vsock, too: see mmap_remote_listen(). Call before mmap_producer_start().
 * A host that has a name is looked up from then on, in a thread: what comes of it is no error here, but one of the callback failed(). */
gboolean mmap_producer_listen_remote (MmapProducer * producer,
    const char *address, gboolean allow_remote, GError ** error);

/* In an area: whether a region may be made smaller than mmap_producer_set_region() asks for, if there is no room. Call before that. */
void mmap_producer_set_shrinkable (MmapProducer * producer,
    gboolean shrinkable);

/* Whether consumers may make dma-bufs of frames: then the region isn't sealed against writing, as the kernel wants it, so that a consumer can
 * change what others see; and each frame lies in pages of its own. Call before the first region. FALSE with MMAP_ERROR_SETTING: the region
 * is no memfd. */
gboolean mmap_producer_set_allow_dmabuf (MmapProducer * producer,
    gboolean allow, GError ** error);

/* How long to sleep at most before looking again, where consumers wake nobody. Any thread. */
void mmap_producer_set_poll_interval (MmapProducer * producer,
    gint64 interval_ns);

/* Call before mmap_producer_start(). */
void mmap_producer_set_callbacks (MmapProducer * producer,
    const MmapProducerCallbacks * callbacks, gpointer user_data);

/* Which users may connect, from now on; those who are there already stay. Without this call: the user of this process, and root. Offers of
 * mmap_producer_create_offer() are for whom the caller gives them to. Any thread.
 * @users: (transfer full) */
void mmap_producer_set_allowed (MmapProducer * producer, MmapUsers * users);

/* Who connects to the socket has to prove that it knows a token, before it is offered anything. What is offered through somebody else's
 * channel is not concerned. Call before mmap_producer_start(), once.
 * @secret: (transfer full) (nullable) */
void mmap_producer_set_secret (MmapProducer * producer, MmapSecret * secret);

/* Starts the service thread. FALSE with MMAP_ERROR_NO_RESOURCES. */
gboolean mmap_producer_start (MmapProducer * producer, GError ** error);

/* Ends all links, removes socket and file, ends the service thread; after this no callback runs and every wait ends.
 * Blocks that are still referenced stay valid memory. Not from a callback. */
void mmap_producer_close (MmapProducer * producer);

MmapProducer *mmap_producer_ref (MmapProducer * producer);
void mmap_producer_unref (MmapProducer * producer);

/* Makes a region of @size bytes, and offers it to all consumers, present and future; the earlier one lives until its last
 * block is free.
 * @first: bytes of blocks. Their memory is reserved by a thread as soon as the region is offered, the rest later: so nobody waits for
 *     more than the first frame needs. G_MAXUINT64: all is reserved before the region is offered.
 * @media: (nullable): media caps for the offer.
 * FALSE with an error of mmap_region_begin_memfd() or _begin_file(), or MMAP_ERROR_CLOSED: then the region is the same, but in a file it may have no
 *     name any more: who comes later gets its descriptor. */
gboolean mmap_producer_set_region (MmapProducer * producer, guint64 size,
    guint64 first, const char *media, GError ** error);

/* Returns: the largest block that the current region can hold when it is empty, and all reserved, bytes; 0 if there is none */
guint64 mmap_producer_get_capacity (MmapProducer * producer);

/* TRUE: no frame of @size bytes was in the region yet, and it has no room for one now. Consumers, which could not know that such a frame comes, may
 * keep what they have until they get another. */
gboolean mmap_producer_is_cramped (MmapProducer * producer, guint64 size);

/* Returns: bytes that a region needs so that its capacity is at least @bytes */
guint64 mmap_producer_size_for (guint64 bytes);

/* Returns: (transfer full) (nullable): a reference to the current region */
MmapRegion *mmap_producer_dup_region (MmapProducer * producer);

/* Returns: (transfer full): the address that is listened on */
char *mmap_producer_dup_address (MmapProducer * producer);

/* Takes a block of at least @size bytes at a multiple of @align (a power of two) from the current region, without waiting.
 * Returns: (transfer full) (nullable): %NULL if there is no room now */
MmapBlock *mmap_producer_alloc (MmapProducer * producer, guint64 size,
    guint64 align, MmapAllocUse use);

/* The blocks for upstream leave room for metadata of @bytes from now on, if they didn't already. */
void mmap_producer_leave_metas (MmapProducer * producer, guint64 bytes);

MmapBlock *mmap_block_ref (MmapBlock * block);
void mmap_block_unref (MmapBlock * block);
static inline guint8 *
mmap_block_get_data (MmapBlock * block)
{
  return block->region->base + block->offset;
}

/* Publishes a frame on every link.
 * @frame: what is in the block; sequence, id, kind and region_id are filled in. Its metadata lies in another block of the current
 *     region, if it has any.
 * @block: (nullable): the block, of the current region, that holds frame->offset, ->size; %NULL for a frame without bytes
 * @notify: called with @data once no link holds the frame, at the latest when all links have ended; from any thread, without locks
 *     held. Not called if MMAP_PUBLISH_FULL is returned. */
MmapPublishResult mmap_producer_publish (MmapProducer * producer,
    const MmapDescriptor * frame, MmapBlock * block, GDestroyNotify notify,
    gpointer data);

/* What happens to frames for slow consumers from now on. Begins as MMAP_LEAKY_NONE. If it is something else, publishing never waits for a
 * consumer: one that for 100 ms has no room for an event that must not be dropped loses its link. */
void mmap_producer_set_leaky (MmapProducer * producer, MmapLeaky leaky);
gboolean mmap_producer_is_leaky (MmapProducer * producer);

/* How many frames each link may hold from now on, read or unread; 0: as many as there is room for. */
void mmap_producer_set_max_buffers (MmapProducer * producer,
    guint max_buffers);

/* For who finds no room for a block and won't wait for consumers: takes back one frame that the slowest of them has not read, if others
 * wait behind it. A link that holds much and gives nothing back for 5 s of this is ended.
 * Returns: TRUE if it is worth trying again */
gboolean mmap_producer_reclaim (MmapProducer * producer);

/* Instead of mmap_producer_publish(): the frame was dropped for all links. */
void mmap_producer_skip (MmapProducer * producer);

/* Returns: whether frames were dropped for a link and not told of, at most once a second for each; @stats: of one that it is so with: call
 * again. */
gboolean mmap_producer_take_drops (MmapProducer * producer,
    MmapLinkStats * stats);

/* Returns: how many links are up; @stats: of each */
guint mmap_producer_get_links (MmapProducer * producer,
    MmapLinkStats stats[MMAP_MAX_LINKS]);

/* Wakes consumers that sleep, for a frame that is about to be published: the time that takes passes while the frame is made ready. */
void mmap_producer_announce (MmapProducer * producer);

/* Publishes a serialised event on every link. */
MmapPublishResult mmap_producer_push_event (MmapProducer * producer,
    const MmapEvent * event);

/* Forgets kept events of a kind: later links don't get them. */
void mmap_producer_forget_event (MmapProducer * producer, guint32 kind);

/* Ends a flush on every link: sends @message (transfer floating), an MMAP_MESSAGE_EVENT, and pushes an MMAP_EVENT_FLUSH with @number. A
 * link gets both or none; one that does not read its events is ended. */
void mmap_producer_push_flush (MmapProducer * producer, guint64 number,
    GVariant * message);

/* Sends a message to a link, or to all that are up (@link_id 0). A link that does not read its messages is ended.
 * @body: (transfer floating)
 * FALSE if there is no such link, or it was ended, or the message is longer than MMAP_CAPABILITIES_MAX_BYTES. */
gboolean mmap_producer_send (MmapProducer * producer, guint32 link_id,
    MmapMessageKind kind, GVariant * body);

/* Lets a link that has answered, or was suspended, have the kept events and all that is published from now on. */
void mmap_producer_admit (MmapProducer * producer, guint32 link_id);

/* Calls @function on the service thread, once, in @delay_ms milliseconds, unless the producer is closed before. Any thread. */
void mmap_producer_call_later (MmapProducer * producer, guint delay_ms,
    GSourceFunc function, gpointer data);

/* Publishes nothing on a link until it is admitted again. */
void mmap_producer_suspend (MmapProducer * producer, guint32 link_id);

/* Offers the current region to a consumer that hears of it through somebody else's channel.
 * @offer: (out) (transfer full): capabilities, and a key "link-id" u
 * @fds: (out): what goes with it, for the caller to close: the region, unless it can be found by its path alone, the link's memory, what
 *     wakes the consumer, and the socket over which all goes on
 * FALSE with MMAP_ERROR_NOT_FOUND (there is no region yet), MMAP_ERROR_CLOSED, MMAP_ERROR_LIMIT, MMAP_ERROR_NO_SPACE or MMAP_ERROR_FAILED:
 *     then there are no descriptors */
gboolean mmap_producer_create_offer (MmapProducer * producer,
    GVariant ** offer, int fds[MMAP_MESSAGE_MAX_FDS], guint * n_fds,
    GError ** error);

/* Takes the answer to such an offer. FALSE with MMAP_ERROR_NOT_FOUND (no such offer), or an error of the checks of the handshake. If the token
 * was right, the link has ended; else the offer stands until its time is over: the answer may have been somebody else's. */
gboolean mmap_producer_accept_answer (MmapProducer * producer,
    GVariant * answer, GError ** error);

/* Ends a link for cause. */
void mmap_producer_refuse (MmapProducer * producer, guint32 link_id,
    const GError * reason);

/* The same once it has given back all that was published on it, 200 ms after it has read the last of it, 5 s from now at the latest;
 * meanwhile nothing more is. */
void mmap_producer_refuse_later (MmapProducer * producer, guint32 link_id,
    const GError * reason);

/* Returns: whether a consumer has written a QoS event since the last call; @qos: that of the one that is latest in its work. Checked: finite,
 * at least 0. */
gboolean mmap_producer_take_qos (MmapProducer * producer, MmapQos * qos);

/* Takes back what consumers have released. Returns: a number that changes with everything that mmap_producer_wait()
 * waits for. */
guint64 mmap_producer_collect (MmapProducer * producer);

/* Sleeps until the number is not @serial any more, or @timeout_us microseconds have passed; -1: for ever. While a block is lacking that a
 * link which is leaving may hold, a second at most: try again, as after MMAP_WAIT_OK. */
MmapWaitResult mmap_producer_wait (MmapProducer * producer,
    MmapCancel * cancel, guint64 serial, gint64 timeout_us);

/* Ends, or allows again, the waits that use @cancel. */
void mmap_producer_set_cancelled (MmapProducer * producer,
    MmapCancel * cancel, gboolean cancelled);

/* How long mmap_producer_wait() looks for news before it sleeps: see mmap_spin_set_time(). */
void mmap_producer_set_spin_time (MmapProducer * producer, gint64 time_ns);

/* Makes every waiter try again, because something of the caller's own has changed. */
void mmap_producer_poke (MmapProducer * producer);

/* Returns: frames that consumers hold, read or unread; 0: waiting for one would be in vain */
guint mmap_producer_get_held (MmapProducer * producer);

/* TRUE if memory of the region is still being reserved, or some has come since mmap_producer_collect() gave @serial: who found no room
 * doesn't wait in vain. */
gboolean mmap_producer_expects_room (MmapProducer * producer, guint64 serial);

/* TRUE once the callback failed() was called. */
gboolean mmap_producer_has_failed (MmapProducer * producer);

/* TRUE if a consumer has not read all its frames, so that it is bound to give one back, or to copy it and give it back. */
gboolean mmap_producer_has_unread (MmapProducer * producer);

/* Returns: links that are up */
guint mmap_producer_get_n_links (MmapProducer * producer);

/* Returns: links that get what is published */
guint mmap_producer_get_n_ready (MmapProducer * producer);

/* Returns: links that wait to be admitted */
guint mmap_producer_get_n_waiting (MmapProducer * producer);

void mmap_producer_get_stats (MmapProducer * producer,
    MmapProducerStats * stats);

/* The session and the fields of the last offer, without a token. @file, @media: (transfer full). FALSE if nothing was offered. */
gboolean mmap_producer_get_offer (MmapProducer * producer, char **file,
    guint64 * size, guint64 * session, char **media);

G_END_DECLS
