/* gst-mmap: the consumer: receives frames from a producer
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "error.h"
#include "region.h"
#include "spin.h"

G_BEGIN_DECLS

/**
 * MmapConsumer:
 *
 * Finds the producer, speaks the handshake, and hands out frames and events in their order. It has no thread of its own:
 * all happens in mmap_consumer_next(), called by one thread at a time. Frames are released by any thread.
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
 * @descriptor: a private copy, checked: block inside the region, at most 4 planes
 * @data: (nullable): the bytes; valid while @region is referenced, and theirs until they are released. The producer can't
 *     change them unless it breaks the rules.
 * @region: (nullable): referenced
 * @link: referenced
 * @should_copy: the producer may run out of blocks: a frame should be copied, and given back at once
 *
 * A frame or an event. The frame must be given back with mmap_consumer_link_release().
 */
typedef struct
{
  MmapDescriptor descriptor;
  const guint8 *data;
  MmapRegion *region;
  MmapConsumerLink *link;
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
  guint64 links;                /* times that a link came up */
  guint64 waits;                /* times that next() slept */
  guint64 wakeups;              /* system calls made to wake the producer */
  guint64 held;                 /* frames handed out and not released, of the current link */
} MmapConsumerStats;

/* @address: (nullable): see mmap_listener_new()
 * Returns: (transfer full): or %NULL with MMAP_ERROR_FAILED. Doesn't connect. */
MmapConsumer *mmap_consumer_new (const char *address, GError ** error);

/* Ends the link. What was handed out stays valid. */
void mmap_consumer_free (MmapConsumer * consumer);

/* What the next answers say the consumer accepts; (nullable). */
void mmap_consumer_set_media (MmapConsumer * consumer, const char *media);

/* Waits for a producer, for a frame, for an event. @item is to be cleared after FRAME and EVENT.
 * Errors: those of mmap_address_connect() but MMAP_ERROR_NOT_FOUND; each of the checks of the handshake, by field; what the
 * producer said as it refused; MMAP_ERROR_RING if it breaks the protocol. */
MmapNextResult mmap_consumer_next (MmapConsumer * consumer, MmapItem * item,
    GError ** error);

/* How long mmap_consumer_next() looks for news before it sleeps: see mmap_spin_set_time(). Any thread. */
void mmap_consumer_set_spin_time (MmapConsumer * consumer, gint64 time_ns);

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

G_END_DECLS
