/* gst-mmap: insides of the producer, shared by its files
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * producer.c: life, region, statistics. producer-block.c: blocks. producer-wait.c: waiting for consumers.
 * producer-accept.c: who connects. producer-area.c: without a socket. producer-link.c: handshake, on the service thread. producer-secret.c: before it, the access token.
 * producer-message.c: messages on links that are up, and what callers are told of. producer-end.c: how links end.
 * producer-publish.c: frames, releases.
 * producer-leaky.c: frames for slow consumers. producer-event.c: events. producer-reserve.c: the memory of a region that is in use already.
 * Functions that end in _locked are called with the producer's lock held.
 */
#pragma once

#include "address.h"
#include "area-server.h"
#include "blocks.h"
#include "link.h"
#include "message.h"
#include "producer.h"
#include "users.h"

G_BEGIN_DECLS

/* A consumer that has not finished the handshake after this is refused; chosen, untuned. */
#define HANDSHAKE_TIMEOUT_MS 5000

/* Releases that a link's frames leave free in its release ring, for events. */
#define LINK_MAX_HELD_FRAMES (MMAP_RELEASE_RING_SLOTS - MMAP_EVENT_RING_SLOTS)

/* Slots of the event ring that only flushes use: they come when a consumer doesn't read, and can't wait. Chosen: each makes it read again. */
#define FLUSH_SLOTS 8

/* Events that are kept for later links: a new link's event ring has room for all of them. */
#define MAX_KEPT_EVENTS (MMAP_EVENT_RING_SLOTS - 1 - FLUSH_SLOTS)

/* Blocks that were given back and stay as they are, for the next frame of the same size; chosen: as many as a region has frames. */
#define MAX_SPARE_BLOCKS 24

/* A region and the allocators of its blocks. Lives as long as a block of it. Under the producer's lock. */
typedef struct _MmapArena
{
  gint ref_count;
  MmapRegion *region;
  MmapBlocks *control;          /* tokens and events: frames can't starve them */
  MmapBlocks *frames;
  guint64 control_end;          /* blocks below this offset belong to control */
  guint64 capacity;             /* bytes of frames */
  guint64 unreserved;           /* of them: their memory is still to come */
  MmapBlock *spares[MAX_SPARE_BLOCKS];  /* allocated from frames, but nobody's: they hold no reference */
  guint n_spares;
  guint64 spare_bytes;
  guint64 largest_frame;        /* bytes that one has needed so far */
  gboolean own_pages;           /* frames share no page with anything else */
} MmapArena;

/* Reserves what is left of a region. */
typedef struct _MmapReserver MmapReserver;

/* What is published and not yet given back by every link; or that of which somebody has to be told; or nothing. */
typedef struct
{
  guint64 id;                   /* on the wire: generation << 32 | index + 1 */
  guint64 holders;              /* a bit per link slot */
  guint32 next;                 /* in a list of those that nobody holds: index + 1; 0: the last */
  gboolean is_frame;
  GDestroyNotify notify;
  gpointer data;
} MmapPublication;

/* An event that is kept for links that come later. */
typedef struct
{
  guint32 kind;
  guint32 seqnum;
  guint32 order;
  char *name;                   /* nullable */
  guint64 anchor;
  guint64 latency;
  GBytes *data;
  MmapBlock *block;             /* in the current region; NULL if there is no payload */
} MmapKept;

typedef enum
{
  LINK_GREETING,                /* waits for HELLO */
  LINK_CHALLENGED,              /* waits for PROOF */
  LINK_DENIED,                  /* has proved nothing: waits to be refused */
  LINK_WAITING,                 /* for the first region */
  LINK_OFFERED,                 /* waits for ANSWER */
  LINK_ANSWERED,                /* waits for mmap_producer_admit() */
  LINK_UP,
  LINK_LEAVING,                 /* gets nothing more, but still holds something: see producer-end.c */
  LINK_ENDED
} LinkState;

/* What a callback is to be told. */
typedef struct
{
  guint32 link_id;
  GError *refusal;              /* refused() */
  GVariant *body;               /* message() */
  MmapMessageKind kind;
  char *media;                  /* accepts(); nullable */
  gboolean answered;
  gboolean left;                /* left() */
} MmapReport;

/* An offer's token stays in its region until it is answered. */
typedef struct
{
  guint32 region_id;
  MmapBlock *block;
  guint64 token_index;
} MmapPendingOffer;

typedef struct
{
  gint ref_count;               /* atomic: the sources on the service thread's context hold references */
  MmapProducer *producer;       /* not owned: the producer ends all its links */
  LinkState state;
  guint slot;
  guint32 id;
  guint32 pid;
  guint32 uid;
  GSocket *socket;
  GSource *source;
  GSource *timeout;             /* of the handshake, or of a refusal that waits */
  GError *refusal;              /* see mmap_producer_refuse_later(), and producer-secret.c */
  gint64 refuse_by;             /* monotonic, microseconds */
  gint64 waiting_since;         /* monotonic, microseconds: when it said HELLO */
  gboolean left;                /* it has said LEAVE */
  MmapLink *link;               /* NULL until the first offer */
  GQueue offers;                /* MmapPendingOffer, oldest first: not answered yet */
  guint32 offered_region_id;    /* of the newest offer */
  guint64 sequence;
  guint held;                   /* publications not given back */
  guint vain;                   /* sleeps in turn that it ended without giving anything back */
  guint held_frames;            /* frames among them */
  guint64 frames;               /* published on it, and not taken back */
  guint64 dropped;              /* not published on it, or taken back */
  gint64 full_since;            /* monotonic, microseconds: no room for an event; 0: not so */
  gint64 told_at;               /* monotonic, microseconds: when that was told of last */
  guint32 number;               /* of the last frame: see MmapDescriptor */
  gboolean lends;               /* the next frame is beyond its share */
  guint64 lent;                 /* the last that was; 0: none yet */
  guint64 suspended_at;         /* frames published by the producer until then */
  guint64 frame_ids[MMAP_FRAME_RING_SLOTS];     /* what is in each slot of its frame ring */
  guint64 event_ids[MMAP_EVENT_RING_SLOTS];     /* and of its event ring */
  gboolean is_remote;           /* it came through TCP or vsock */
  guint64 boot_id;              /* of such a link: that of both sides' kernel; 0: it isn't one, or unknown */
  guint area_slot;              /* of the area's server */
  gboolean carried;             /* its offer and answer go through somebody else's channel */
  gboolean greeted;             /* carried: its HELLO has come through the socket */
  gboolean verified;            /* its answer was right */
  char *media;                  /* of that answer; nullable */
  MmapSecretExchange exchange;  /* what is to be proved */
  gboolean proved;              /* it knows the access token */
  MmapQos qos;                  /* the last that was read; serial 0: none */
} MmapProducerLink;

static inline guint64
link_bit (const MmapProducerLink * link)
{
  return G_GUINT64_CONSTANT (1) << link->slot;
}

/* The number of another frame for @link: never 0, which says nothing. */
static inline guint32
mmap_producer_link_count_frame_locked (MmapProducerLink * link)
{
  if (++link->number == 0)
    link->number = 1;
  return link->number;
}

/* Of producer-area.c. */
typedef struct _MmapProducerLookup MmapProducerLookup;

struct _MmapProducer
{
  gint ref_count;               /* atomic */
  GMutex lock;
  GCond cond;
  guint64 serial;               /* atomic: see mmap_producer_wait() */
  gboolean led;                 /* a waiter watches what consumers do, for all */
  gboolean asleep;              /* it polls, or waits for words */
  MmapSpin spin;                /* the leader's */
  guint n_followers;            /* waiters on cond */
  int wake_fd;                  /* eventfd: wakes the leader */
  gboolean by_words;            /* the leader waits for words */
  guint32 word;                 /* atomic: the same, if it waits for words */
  gint near;                    /* atomic: whether one of those that were woken last slept on the processor of who woke them */
  gint64 near_us;               /* when a frame last woke one of these */
  gboolean closed;

  guint64 session;
  char *file;
  guint token_bytes;
  MmapSecret *secret;           /* nullable: nothing is to be proved */
  MmapListener *listener;
  MmapArea *area;               /* nullable: there is no listener then */
  MmapChannel *channel;         /* of the area */
  MmapAreaServer *server;       /* of the channel; once it has started */
  int remote_fd;                /* listens, until the server has it; -1 */
  MmapProducerLookup *lookup;   /* nullable: its address has a name that is looked up */
  gboolean shrinkable;          /* see mmap_producer_set_shrinkable() */
  gboolean allow_dmabuf;        /* see mmap_producer_set_allow_dmabuf() */
  gint64 poll_interval;         /* atomic: ns */
  guint doorbell_vain;          /* sleeps in turn that a ring ended without anything given back */
  gint64 nap_us;                /* the leader's: see producer-wait.c */
  MmapMode mode;              /* of socket and file */
  MmapUsers *allowed;           /* who may connect */
  MmapArena *arena;
  MmapReserver *reserver;       /* of the arena; NULL if all is reserved */
  guint64 extended;             /* serial at which memory came last */
  gboolean failing;             /* failed() is called, or was */
  gboolean failed;              /* atomic: the region's memory did not come, or has gone */
  MmapAlarm *alarm;             /* of all regions in files */
  guint32 last_region_id;
  MmapLeaky leaky;              /* atomic */
  guint max_buffers;            /* 0: no limit */
  gint64 short_since;           /* monotonic, microseconds: no room, and nothing to take back; 0: not so */
  gint64 short_looked;          /* the same: when that was seen last */
  guint64 metas_bytes;          /* see mmap_producer_leave_metas() */
  char *media;

  MmapProducerLink *links[MMAP_MAX_LINKS];
  guint64 up;                   /* atomic: a bit per slot of a link that is up */
  guint64 ready;                /* atomic: those of them that get frames: not suspended */
  guint64 dropping;             /* atomic: a bit per slot: see mmap_producer_take_drops() */
  guint64 waiting;              /* atomic: a bit per slot of a link that is suspended, or answered and not admitted yet */
  guint64 leaving;              /* a bit per slot of a link that gets nothing more, but holds something */
  guint32 last_link_id;

  GArray *publications;         /* MmapPublication */
  guint32 free_publications;    /* first of a list: index + 1 */
  guint32 given_back;           /* first of a list: notify is to be called without the lock */
  guint n_held;                 /* frames that are held */
  GPtrArray *kept;              /* MmapKept, in their order */
  MmapProducerStats stats;

  /* service thread */
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;
  GSource *accept_source;
  GSource *alarm_source;
  MmapProducerCallbacks callbacks;
  gpointer user_data;
  guint reported_n_up;
  GQueue reports;               /* MmapReport */
  gboolean report_pending;
};

/* Walks over links that are up: the next of those in @rest, which begins as producer->up or ->ready; %NULL at the end. Links may end on the
 * way. */
static inline MmapProducerLink *
mmap_producer_next_up_locked (MmapProducer * producer, guint64 * rest)
{
  guint slot;

  *rest &= producer->up;
  if (*rest == 0)
    return NULL;
  slot = __builtin_ctzll (*rest);
  *rest &= *rest - 1;
  return producer->links[slot];
}

/* The same over links that may hold something: @rest begins as what mmap_producer_get_holders_locked() returns. */
static inline MmapProducerLink *
mmap_producer_next_holder_locked (MmapProducer * producer, guint64 * rest)
{
  guint slot;

  *rest &= producer->up | producer->leaving;
  if (*rest == 0)
    return NULL;
  slot = __builtin_ctzll (*rest);
  *rest &= *rest - 1;
  return producer->links[slot];
}

static inline guint64
mmap_producer_get_holders_locked (const MmapProducer * producer)
{
  return producer->up | producer->leaving;
}

/* producer.c */

/* Unlocks, and calls what is to be called without the lock. */
void mmap_producer_unlock (MmapProducer * producer);


/* Nothing can be published any more, because of what became of the region's memory. Told once; without the lock. */
void mmap_producer_fail (MmapProducer * producer, const GError * reason);

/* producer-block.c */

MmapBlock *mmap_producer_alloc_locked (MmapProducer * producer,
    guint64 size, guint64 align, MmapAllocUse use);

/* Whether a block of @size bytes could be taken for a copy. */
gboolean mmap_producer_has_room_locked (MmapProducer * producer, guint64 size);

/* From the control part if it has room, else from the part for frames. */
MmapBlock *mmap_producer_alloc_control_locked (MmapProducer * producer,
    guint64 size);

void mmap_block_unref_locked (MmapBlock * block);

/* @region: (transfer full) */
/* @own_pages: each frame lies in pages of its own */
MmapArena *mmap_arena_new (MmapRegion * region, gboolean own_pages);

/* Returns: bytes of frames that nobody has, in pieces */
guint64 mmap_arena_get_free_bytes (const MmapArena * arena);

/* Makes blocks of what has been reserved since. */
void mmap_arena_extend_locked (MmapArena * arena);
void mmap_arena_unref_locked (MmapArena * arena);

/* producer-reserve.c */

/* Starts to reserve what is left of the current region, @first bytes at once.
 * @without_thread: (out): set to %TRUE if the system had no thread for it: mmap_producer_reserve_all() is to be called
 * Returns: (nullable): an earlier reserver, to be ended without the lock */
MmapReserver *mmap_producer_start_reserver_locked (MmapProducer * producer,
    guint64 first, gboolean * without_thread);

/* Reserves what is left of the current region, in this thread. Without the lock. */
void mmap_producer_reserve_all (MmapProducer * producer);

/* Somebody found no room. */
void mmap_producer_want_memory_locked (MmapProducer * producer);

/* Tells it to end, and waits until it has. @reserver: (nullable) */
void mmap_producer_end_reserver (MmapProducer * producer,
    MmapReserver * reserver);

/* The same for the current one. */
void mmap_producer_stop_reserver (MmapProducer * producer);

/* producer-wait.c */

/* Something that waiters wait for has happened. */
void mmap_producer_touch_locked (MmapProducer * producer);

/* producer-accept.c */

/* GSocketSourceFunc of the listening socket. */
/* Ends the link that has been idle longest of those that came through TCP or vsock.
 * @later: (out): whether one will soon be up, or gone, or may be ended then
 * Returns: its slot of the area's server; -1: none is idle */
gint mmap_producer_end_idle_remote_locked (MmapProducer * producer,
    gboolean * later);

gboolean mmap_producer_accept (GSocket * socket, GIOCondition condition,
    gpointer producer);

/* producer-area.c */

/* Opens the area and claims the channel. FALSE with an error: it is to be closed all the same. */
gboolean mmap_producer_open_area (MmapProducer * producer, const char *file,
    const char *channel, guint64 size, const MmapUsers * trusted,
    GError ** error);
gboolean mmap_producer_start_area (MmapProducer * producer, GError ** error);

/* Takes from its HELLO on which kernel a consumer is that has come through TCP or vsock. */
void mmap_producer_link_meet_locked (MmapProducerLink * link,
    const MmapMessage * hello);

/* After all links have ended; without the lock. */
void mmap_producer_close_area (MmapProducer * producer);

MmapRegion *mmap_producer_new_region_in_area (MmapProducer * producer,
    guint64 size, guint64 at_once, guint32 id, GError ** error);

/* producer-link.c */

/* Sends the current region to a link that has said HELLO. */
void mmap_producer_link_offer_locked (MmapProducerLink * link);

/* Calls @callback with the link, each @interval_ms, from the service thread, until the link ends. */
void mmap_producer_link_set_timeout_locked (MmapProducerLink * link,
    guint interval_ms, GSourceFunc callback);

MmapProducerLink *mmap_producer_link_ref (MmapProducerLink * link);
void mmap_producer_link_unref (MmapProducerLink * link);

/* @socket: non-blocking from now on
 * @peer: who is at its other end; zeros: it isn't known
 * Returns: (transfer none) (nullable): %NULL if there are too many */
MmapProducerLink *mmap_producer_link_new_locked (MmapProducer * producer,
    GSocket * socket, MmapPeer peer, GError ** error);

/* An offer under way is no offer any more. */
void mmap_producer_link_forget_offers_locked (MmapProducerLink * link);

/* Writes what tools see of a link. */
void mmap_producer_link_update_entry_locked (MmapProducerLink * link);

/* producer-end.c */

/* Ends a link for a cause. What the consumer has not read is taken back; what it holds stays as it is until it gives it back, or goes.
 * @reason: (nullable): counted and sent to the consumer; %NULL or MMAP_ERROR_CLOSED: there is nothing to tell */
void mmap_producer_link_end_locked (MmapProducerLink * link,
    const GError * reason);

/* Ends a link whose consumer has gone, or whose word is worth nothing: what it held is free. @reason: as above */
void mmap_producer_link_close_locked (MmapProducerLink * link,
    const GError * reason);

/* The consumer has said LEAVE. */
void mmap_producer_link_leave_locked (MmapProducerLink * link);

/* Handles a message of a link that is leaving. FALSE: it is out of turn. */
gboolean mmap_producer_link_handle_leaving_locked (MmapProducerLink * link,
    const MmapMessage * message, GError ** error);

/* A link that is leaving has given something back. It may end. */
void mmap_producer_link_settle_locked (MmapProducerLink * link);

/* producer-secret.c */

/* Whether a HELLO is to be answered with mmap_producer_link_challenge_locked(), and with nothing else. */
gboolean mmap_producer_link_needs_proof (const MmapProducerLink * link,
    const MmapMessage * hello);

/* FALSE: the link is to be ended at once. TRUE: it has been asked for its proof, or will be ended. */
gboolean mmap_producer_link_challenge_locked (MmapProducerLink * link,
    const MmapMessage * hello, GError ** error);

/* Handles an MMAP_MESSAGE_PROOF of a link that was challenged; the same. */
gboolean mmap_producer_link_handle_proof_locked (MmapProducerLink * link,
    const MmapMessage * message, GError ** error);

/* producer-publish.c */

/* TRUE if something was given back. */
gboolean mmap_producer_collect_locked (MmapProducer * producer);

/* The same of one link, which may end. */
gboolean mmap_producer_link_collect_locked (MmapProducerLink * link);

/* Whether a ring of @link takes one more. MMAP_RING_BROKEN: it was ended. */
MmapRingResult mmap_producer_link_has_room_locked (MmapProducerLink * link,
    gboolean frame);

/* The same of each in @links. */
gboolean mmap_producer_links_have_room_locked (MmapProducer * producer,
    guint64 links, gboolean frame);

/* Ends a link. @what: it did wrong */
void mmap_producer_link_end_broken_locked (MmapProducerLink * link,
    const char *what);

/* Drops the frame @id, if @link holds it. */
void mmap_producer_link_drop_locked (MmapProducerLink * link, guint64 id);

/* Whether @link has not given @id back. */
gboolean mmap_producer_link_holds_locked (MmapProducerLink * link, guint64 id);

/* Room was checked before. */
void mmap_producer_link_push_locked (MmapProducerLink * link,
    MmapDescriptor * descriptor, MmapPublication * publication, gboolean frame);

/* After publishing, or before: see mmap_producer_announce(). One system call for all in @links.
 * Returns: whether one of them fell asleep on this thread's processor */
gboolean mmap_producer_wake_locked (MmapProducer * producer, guint64 links);

MmapPublication *mmap_publication_new_locked (MmapProducer * producer,
    gboolean is_frame, GDestroyNotify notify, gpointer data);

/* Frees it if no link holds it. @publication: (nullable) */
void mmap_publication_settle_locked (MmapProducer * producer,
    MmapPublication * publication);

/* Drops what @link holds. */
void mmap_producer_drop_held_locked (MmapProducerLink * link);

/* producer-leaky.c */

/* The links that get a frame of @size bytes, all of which are ready, after room was made for it. */
guint64 mmap_producer_fit_locked (MmapProducer * producer, guint64 size);

/* @link does not get a frame. */
void mmap_producer_link_count_drop_locked (MmapProducerLink * link);

/* There is no room, and nothing that could be taken back: who holds most is ended, if that goes on. If it isn't leaky, only of those that
 * are leaving: the others are waited for. */
void mmap_producer_note_shortage_locked (MmapProducer * producer);

/* Whether it may hold no more than now. */
gboolean mmap_producer_link_is_full_locked (MmapProducerLink * link);

/* producer-event.c */

/* Pushes the kept events to a link. FALSE: it has not read its earlier ones, and there is no room. */
gboolean mmap_producer_push_kept_locked (MmapProducerLink * link);

void mmap_producer_forget_events_locked (MmapProducer * producer);

/* Puts the kept events into the current region. FALSE if it has no room for them. */
gboolean mmap_producer_move_kept_locked (MmapProducer * producer);

/* producer-message.c */

/* Calls what is to be called soon, from the service thread. */
void mmap_producer_report_locked (MmapProducer * producer);

/* The same with news. */
void mmap_producer_report_refusal_locked (MmapProducer * producer,
    const GError * reason);
void mmap_producer_report_media_locked (MmapProducerLink * link,
    const char *media);
void mmap_producer_report_left_locked (MmapProducerLink * link);

/* Returns: (nullable) */
MmapProducerLink *mmap_producer_find_link_locked (MmapProducer * producer,
    guint32 link_id);

/* Sets the state, and the bits that go with it. @ready: of a link that is up: it is not suspended */
void mmap_producer_link_set_state_locked (MmapProducerLink * link,
    LinkState state, gboolean ready);

void mmap_producer_link_admit_locked (MmapProducerLink * link);

void mmap_producer_clear_reports (MmapProducer * producer);

/* The same with what @message says of it. FALSE: it makes no sense. */
gboolean mmap_producer_report_media_of_locked (MmapProducerLink * link,
    const MmapMessage * message, GError ** error);

/* Handles a message of a link that has answered. FALSE: it was out of turn, or makes no sense. */
gboolean mmap_producer_link_handle_late_locked (MmapProducerLink * link,
    const MmapMessage * message, GError ** error);

G_END_DECLS
