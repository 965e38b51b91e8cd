/* gst-mmap: insides of the consumer, shared by its files
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * consumer.c: a link that is up. consumer-handshake.c: until then. consumer-offer.c: offers of regions. consumer-service.c: the thread for what is not
 * in order with the frames, and what is sent to the producer. consumer-populate.c: pages of a region. consumer-patience.c: how long it
 * waits for a producer. consumer-area.c: producers in an area.
 */
#pragma once

#include "area-client.h"
#include "consumer.h"
#include "link.h"
#include "users.h"

G_BEGIN_DECLS

struct _MmapConsumerLink
{
  gint ref_count;               /* atomic */
  guint64 held;                 /* atomic: frames handed out and not given back */
  guint64 held_bytes;           /* atomic */
  guint64 max_held;             /* atomic: bytes */
  GMutex lock;                  /* release ring and its wake-up: frames are released by any thread */
  gboolean ended;
  GSocket *socket;              /* of a link that has been left: closed with the last reference */
  MmapAreaClient *client;       /* the same, in an area */
  guint64 qos_serial;
  gboolean answered;            /* its first offer */
  gboolean is_carried;          /* as the consumer */
  MmapLink *link;
};

/* Makes the pages of a region present. */
typedef struct _MmapPopulator MmapPopulator;

typedef struct
{
  guint64 link;
  MmapMessageKind kind;
  GVariant *body;               /* NULL: the link has ended */
} MmapInboxItem;

typedef enum
{
  CONSUMER_SEARCHING,           /* nobody was found yet */
  CONSUMER_GREETED,             /* said HELLO, waits for OFFER and ACCEPT */
  CONSUMER_UP
} MmapConsumerState;

/* Of the access token. */
typedef enum
{
  CONSUMER_PROOF_NONE,          /* waits for CHALLENGE */
  CONSUMER_PROOF_SENT,          /* waits for the producer's */
  CONSUMER_PROOF_DONE
} MmapConsumerProof;

struct _MmapConsumer
{
  gint ref_count;               /* atomic */
  char *address;
  gboolean is_carried;          /* offers come through mmap_consumer_accept_offer() */
  char *area_file;              /* nullable: there is a socket */
  char *area_path;              /* of what that names; NULL until it was looked for */
  MmapArea *belled;             /* that area, if it has doorbells; NULL until it was joined */
  char *channel;                /* of the area; NULL: the producer is at address */
  gboolean allow_remote;        /* beyond this machine */
  gint64 poll_interval;         /* atomic: ns */
  MmapSecret *secret;           /* nullable: nothing is to be proved */
  int cancel_fd;                /* eventfd, readable while cancelled */
  gint cancelled;               /* atomic */
  guint32 *word;                /* atomic, of g_atomic_rc_box_new0(): counts up when something else than the producer ends a sleep */
  gint64 reconnect_timeout;     /* atomic: ns; -1: none */
  MmapAlarm *alarm;             /* of all regions in files; another one, under the receive lock, once it was told that it has rung */

  /* the thread that calls next() alone; of these, under the receive lock: socket, hung_up, failure, region while it is NULL, next_regions */
  MmapConsumerState state;
  MmapConsumerProof proof;
  MmapSecretExchange exchange;
  GSocket *socket;
  MmapAreaClient *client;       /* at the other end of the socket, in an area */
  gint64 nap_us;                /* see mmap_poll_get_nap() */
  guint32 seen;                 /* of word */
  gint64 clock_by;              /* monotonic microseconds: until then frames wait for the producer's clock to be known; 0: not yet */
  MmapPeer found;               /* the producer, if it was found through a socket */
  gboolean hung_up;
  GError *failure;              /* that the other thread met */
  MmapSpin spin;
  MmapRegion *region;
  MmapPopulator *populator;     /* of the region */
  gint64 looked_us;             /* when it was last looked whether there may be one; 0: not yet */
  GQueue next_regions;          /* MmapRegion, accepted, not yet named by a descriptor */
  gint64 denied_us;             /* when it was first not allowed to connect; 0: it wasn't, last time */
  guint64 sequence;
  guint vain;                   /* sleeps in turn that ended with nothing new */
  guint32 number;               /* of the last frame, as its descriptor counts */
  gint64 lacking;               /* monotonic microseconds: since when there was no link, for a lack of resources or an error; 0: not so */
  gint64 wait_began;            /* monotonic microseconds, as if there had been no pause */
  gint64 waited_us;             /* before the pause */
  gint64 greeted;               /* monotonic microseconds: when a producer was found, or looked at again after a pause */

  /* Both threads read the socket. */
  GMutex receive_lock;

  /* the other thread, see consumer-service.c */
  MmapConsumerCallbacks callbacks;
  gpointer user_data;
  GThread *thread;
  int service_fd;               /* eventfd: wakes it */
  gint listens;                 /* atomic: it runs, so that what comes through the socket changes the word */

  /* under the lock where another thread may look */
  GMutex lock;
  GCond cond;                   /* a result has come, or nobody waits for one any more */
  gboolean stopped;
  gboolean asked;
  GSocket *peer;                /* the socket, once the link is up */
  guint64 link_serial;          /* which link it is, or was: counts up when one comes up */
  GQueue inbox;                 /* MmapInboxItem: messages for the callback */
  GHashTable *calls;            /* id -> GVariant, or NULL until the result has come */
  guint32 last_call;
  MmapConsumerLink *link;
  MmapUsers *allowed;           /* whose producers are trusted */
  char *media;
  guint media_serial;           /* counts its changes */
  guint told_serial;            /* of the last one that the producer was told of, in its first offer's answer or later */
  guint64 session;
  char *offer_file;
  guint64 offer_size;
  guint offer_token_bytes;
  char *offer_media;
  MmapConsumerStats stats;      /* atomic; wakeups: of earlier links */
};

/* Looks for a producer and speaks the handshake, as far as it gets without being cancelled: MMAP_NEXT_CONNECTED,
 * MMAP_NEXT_CANCELLED or MMAP_NEXT_ERROR. */
MmapNextResult mmap_consumer_connect (MmapConsumer * consumer, GError ** error);

/* A look for a producer begins, or goes on after mmap_consumer_pause_wait(); ends without a link, but will go on; waited_us = 0: is over. */
void mmap_consumer_begin_wait (MmapConsumer * consumer);
void mmap_consumer_pause_wait (MmapConsumer * consumer);

/* A producer was found. */
void mmap_consumer_note_greeting (MmapConsumer * consumer);

/* Returns: how long the consumer may still wait for a link, microseconds; G_MAXINT64: for ever */
gint64 mmap_consumer_get_wait_left (MmapConsumer * consumer);

/* MMAP_ERROR_NOT_FOUND: nobody came; MMAP_ERROR_TIMEOUT: somebody did, but there is no link. */
void mmap_consumer_give_up (MmapConsumer * consumer, GError ** error);

/* After the handshake, or the search, has failed with @cause: whether that was for lack of resources, and it is to be tried again. Then the
 * producer was told, and some time has passed. */
gboolean mmap_consumer_try_again (MmapConsumer * consumer,
    const GError * cause);

/* Sleeps on descriptors of this process's own: until @fd (-1: none) is readable, or @timeout_us have passed. FALSE if cancelled. */
gboolean mmap_consumer_wait_for (MmapConsumer * consumer, int fd,
    gint64 timeout_us);

/* Handles the messages that are in the socket; sets hung_up at its end. FALSE if the link has to end. */
gboolean mmap_consumer_receive (MmapConsumer * consumer, GError ** error);

/* The same from the other thread, if @peer is still the socket. An error is kept for the thread that calls next(), which is woken.
 * FALSE: nothing more will come. */
gboolean mmap_consumer_receive_for_peer (MmapConsumer * consumer,
    GSocket * peer);

/* Says what there is to be said to a producer, before and after it has proved that it knows the access token. */
gboolean mmap_consumer_say_hello (MmapConsumer * consumer, GSocket * socket,
    GError ** error);

/* consumer-offer.c: maps what an offer says, and answers it. */
gboolean mmap_consumer_handle_offer (MmapConsumer * consumer,
    MmapMessage * message, GError ** error);

/* consumer-area.c */

/* One look for the channel. Returns: (transfer full) (nullable): a socket; %NULL with an error of mmap_area_client_new() */
GSocket *mmap_consumer_search_area (MmapConsumer * consumer, GError ** error);

/* Adds on which kernel this is to a HELLO that goes through TCP or vsock. */
void mmap_consumer_add_kernel (const MmapConsumer * consumer,
    GVariantBuilder * hello);

/* Whether somebody who has overwritten the area may have caused @error: then the producer mends it, or says the same again. */
gboolean mmap_consumer_may_mend (const MmapConsumer * consumer,
    const GError * error);

/* Sleeps until @fd is readable, or for a while. Returns: whether it is */
gboolean mmap_consumer_nap (MmapConsumer * consumer, int fd);

/* Lets go of the slot, if there is one. Close the socket before. */
void mmap_consumer_leave_area (MmapConsumer * consumer);

/* Whether what comes out of the rings can't be placed yet. Waits a little if so. */
gboolean mmap_consumer_awaits_clock (MmapConsumer * consumer);

/* Fills in what is known of the producer's clock. */
void mmap_consumer_get_clock_locked (MmapConsumer * consumer,
    MmapConsumerStats * stats);

/* Sleeps until the producer rings, or something else is to be seen to. */
void mmap_consumer_wait_for_ring (MmapConsumer * consumer);

/* The same of a producer on this kernel, which rings the link's bell, while something else changes the word for what comes through the socket.
 * Returns: whether there may be something there */
gboolean mmap_consumer_wait_for_bell (MmapConsumer * consumer);

/* consumer-secret.c */

/* Whether nothing is to be told to the producer, or taken from it, but proofs. */
gboolean mmap_consumer_has_to_prove (const MmapConsumer * consumer);

/* Adds a new nonce to a HELLO. */
gboolean mmap_consumer_add_nonce (MmapConsumer * consumer,
    GVariantBuilder * hello, GError ** error);

/* Handles an MMAP_MESSAGE_CHALLENGE or _PROOF. */
gboolean mmap_consumer_handle_proof (MmapConsumer * consumer,
    const MmapMessage * message, GError ** error);

/* Whether an offer of this session may be taken. */
gboolean mmap_consumer_may_be_offered (const MmapConsumer * consumer,
    guint64 session, GError ** error);

/* The link is up: messages may be sent. */
void mmap_consumer_open_peer (MmapConsumer * consumer);

/* The link has ended: waits for results are in vain. @peer: (nullable): only if it is still this one */
void mmap_consumer_close_peer (MmapConsumer * consumer, GSocket * peer);

/* Takes an MMAP_MESSAGE_EVENT or _RESULT of the link that is up. FALSE with MMAP_ERROR_LIMIT: too many wait to be told. */
gboolean mmap_consumer_take_message (MmapConsumer * consumer,
    const MmapMessage * message, GError ** error);

/* With each frame: starts to make the region's pages present, once, if it is time and all its memory is reserved. */
void mmap_consumer_populate (MmapConsumer * consumer);

/* Before the region is replaced. */
void mmap_consumer_end_populator (MmapConsumer * consumer);

/* Back to the start. */
void mmap_consumer_disconnect (MmapConsumer * consumer);

/* Only drops link, region and socket. With the receive lock held; any thread, before a link was up. */
void mmap_consumer_drop_link_locked (MmapConsumer * consumer);

G_END_DECLS
