/* gst-mmap: what the targets of the producer share: a producer without a thread, an honest consumer, hostile ones
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What belongs on the service thread is done between two decisions. Beside the hostile consumers there is an honest one: whatever they do,
 * it gets each frame, once, whole, in order; of a producer that drops some, it knows how many it missed.
 */
#pragma once

#include "fuzz-core.h"

#include "producer.h"
#include "secret.h"

G_BEGIN_DECLS

#define FUZZ_MAX_PEERS 4

/* A consumer that breaks the rules. */
typedef struct
{
  int fd;                       /* its end of the socket; -1: there is none */
  guint32 link_id;              /* of an offer through another channel; else 0 */
  MmapSecretExchange exchange;  /* what the producer's part of was received, if there is an access token */
  MmapCapabilities offer;       /* the last one */
  gboolean has_offer;
  MmapLink *link;               /* as it was offered, or NULL */
  guint64 id;                   /* of the descriptor it saw last */
} FuzzPeer;

typedef struct
{
  MmapProducer *producer;
  MmapConsumer *honest;
  guint32 honest_link;
  guint64 published;            /* numbers of frames, from 1, with those that were dropped */
  guint n_sent;                 /* frames that links hold, or held */
  gboolean may_drop;            /* it was leaky sometime */
  guint64 read;                 /* by the honest one */
  guint unused;                 /* regions in a row that nothing was in */
  guint n_notified;             /* frames that nobody holds any more */
  MmapItem held[4];             /* by the honest one; link NULL: none */
  FuzzPeer peers[FUZZ_MAX_PEERS];
} FuzzProducer;

void fuzz_producer_init (FuzzProducer * self);

/* What the service thread would do. */
void fuzz_producer_serve (FuzzProducer * self);

/* Something that the producer's own application does: frames, events, regions, admission. */
void fuzz_producer_act (FuzzProducer * self, FuzzInput * input);

/* The honest consumer reads what there is; ends the program if that is not what was published. */
void fuzz_producer_read (FuzzProducer * self);

/* Ends all peers, and sees that all blocks are free. */
void fuzz_producer_clear (FuzzProducer * self);

/* Connects as through the socket, or takes an offer through another channel. */
void fuzz_peer_connect (FuzzProducer * self, FuzzPeer * peer, gboolean carried);

/* Connects, and does all that a consumer has to: its link is up. */
void fuzz_peer_bring_up (FuzzProducer * self, FuzzPeer * peer);

/* Reads what the producer sent, and maps what it offers. */
void fuzz_peer_receive (FuzzPeer * peer);

/* Writes a token, and makes the answer. Returns: (transfer full) (nullable) */
GVariant *fuzz_peer_make_answer (FuzzPeer * peer);

void fuzz_peer_close (FuzzPeer * peer);

G_END_DECLS
