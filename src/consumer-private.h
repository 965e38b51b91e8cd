/* gst-mmap: insides of the consumer, shared by its files
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * consumer.c: a link that is up. consumer-handshake.c: until then, and offers of new regions. consumer-populate.c: pages of a region.
 */
#pragma once

#include "consumer.h"
#include "link.h"
#include "message.h"

G_BEGIN_DECLS

struct _MmapConsumerLink
{
  gint ref_count;               /* atomic */
  guint64 held;                 /* atomic: frames handed out and not given back */
  guint64 held_bytes;           /* atomic */
  guint64 max_held;             /* atomic: bytes */
  GMutex lock;                  /* release ring and its wake-up: frames are released by any thread */
  gboolean ended;
  MmapLink *link;
};

/* What ends a sleep besides the producer: tags for mmap_sleeper_add_fd(). */
#define SLEEP_SOCKET 1u
#define SLEEP_CANCEL 2u

/* Makes the pages of a region present. */
typedef struct _MmapPopulator MmapPopulator;

typedef enum
{
  CONSUMER_SEARCHING,           /* nobody was found yet */
  CONSUMER_GREETED,             /* said HELLO, waits for OFFER and ACCEPT */
  CONSUMER_UP
} MmapConsumerState;

struct _MmapConsumer
{
  char *address;
  int cancel_fd;                /* eventfd, readable while cancelled */
  gint cancelled;               /* atomic */

  /* the thread that calls next() alone */
  MmapConsumerState state;
  GSocket *socket;
  gboolean hung_up;
  MmapSpin spin;
  MmapRegion *region;
  MmapPopulator *populator;     /* of the region */
  gint64 looked_us;             /* when it was last looked whether there may be one; 0: not yet */
  GQueue next_regions;          /* MmapRegion, accepted, not yet named by a descriptor */
  guint64 sequence;

  /* under the lock where another thread may look */
  GMutex lock;
  MmapConsumerLink *link;
  char *media;
  guint64 session;
  char *offer_file;
  guint64 offer_size;
  char *offer_media;
  MmapConsumerStats stats;      /* atomic; wakeups: of earlier links */
};

/* Looks for a producer and speaks the handshake, as far as it gets without being cancelled: MMAP_NEXT_CONNECTED,
 * MMAP_NEXT_CANCELLED or MMAP_NEXT_ERROR. */
MmapNextResult mmap_consumer_connect (MmapConsumer * consumer, GError ** error);

/* Handles the messages that are in the socket; sets hung_up at its end. FALSE if the link has to end. */
gboolean mmap_consumer_receive (MmapConsumer * consumer, GError ** error);

/* With each frame: starts to make the region's pages present, once, if it is time and all its memory is reserved. */
void mmap_consumer_populate (MmapConsumer * consumer);

/* Before the region is replaced. */
void mmap_consumer_end_populator (MmapConsumer * consumer);

/* Back to the start. */
void mmap_consumer_disconnect (MmapConsumer * consumer);

G_END_DECLS
