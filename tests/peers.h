/* gst-mmap: the other side of a link, played by a test
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "address.h"
#include "capabilities.h"
#include "consumer.h"
#include "link.h"
#include "message.h"
#include "producer.h"

G_BEGIN_DECLS

/* Fails the test unless @error is @code and says @reason; clears it. */
void check_error (GError ** error, MmapError code, const char *reason);

/* Returns: a TCP port of 127.0.0.1 that nobody listens at */
guint16 find_tcp_port (void);

/* Returns: how many descriptors this process has */
guint count_descriptors (void);

/* A TCP connection whose other end reads nothing: who closes @fd last waits until @peer is closed. */
typedef struct
{
  int fd;
  int peer;
} Lingering;

void lingering_init (Lingering * lingering);

/* Rings a bell all the time, in a thread. */
typedef struct
{
  guint32 *bell;
  gint stop;
  GThread *thread;
} Restless;

void restless_start (Restless * restless, guint32 * bell);
void restless_stop (Restless * restless);

/* --- A producer by its rules --- */

/* A started producer with a region that holds @capacity bytes of frames; 0: without a region. */
MmapProducer *make_producer (const char *address, guint64 capacity);
void end_producer (MmapProducer * producer);

/* Fills @size bytes, a multiple of 8, with what frame @number holds. */
void fill_frame (guint8 * data, gsize size, guint64 number);

/* Fails the test unless the item's bytes are those of frame @number. */
void check_frame (const MmapItem * item, guint64 number);

/* Allocates, fills and publishes frame @number, which is its PTS, too; waits as long as it takes. */
void publish_frame (MmapProducer * producer, guint64 number, gsize size);

/* As publish_frame(), but doesn't wait for room in a ring. */
MmapPublishResult try_publish_frame (MmapProducer * producer, guint64 number,
    gsize size);

/* One that is kept for later links, in the order of the kinds. Waits as long as it takes. */
void push_event (MmapProducer * producer, MmapEventKind kind,
    const char *payload);

/* These sleep in mmap_producer_wait() until it is so. */
void wait_for_links (MmapProducer * producer, guint n_links);
void wait_for_held (MmapProducer * producer, guint n_held);
void wait_for_failures (MmapProducer * producer, MmapError code, guint64 n);

/* Sleeps until all blocks of the region are free: whoever ends a link may still be giving them back. */
void check_all_free (MmapProducer * producer);

/* --- A consumer by its rules, in a thread of its own --- */

/**
 * Reader:
 *
 * Checks and counts what arrives, until reader_stop() or an error. With @hold, frames are kept.
 */
typedef struct
{
  MmapConsumer *consumer;
  GThread *thread;
  gboolean hold;
  GMutex lock;
  GCond cond;
  /* under the lock */
  guint64 frames;
  guint64 events;
  guint64 connected;
  guint64 disconnected;
  guint64 last;                 /* number of the last frame */
  GArray *held;                 /* MmapItem */
  GError *error;
} Reader;

void reader_start (Reader * reader, const char *address, gboolean hold);

/* Cancels, joins, releases what is held, frees. Fails the test if there was an error. */
void reader_stop (Reader * reader);

#define reader_wait(reader, condition) \
  G_STMT_START { \
    g_mutex_lock (&(reader)->lock); \
    while (!(condition)) \
      g_cond_wait (&(reader)->cond, &(reader)->lock); \
    g_mutex_unlock (&(reader)->lock); \
  } G_STMT_END

/* Next item; fails the test unless it is of kind @expected. */
void next_item (MmapConsumer * consumer, MmapItem * item,
    MmapNextResult expected);

/* Gives a frame back and clears it. */
void release_item (MmapItem * item);

/* --- A consumer that breaks the rules: a socket, and the memory that was offered --- */

typedef struct
{
  GSocket *socket;
  MmapCapabilities offer;
  MmapRegion *region;
  MmapLink *link;
} RawConsumer;

void raw_connect (RawConsumer * raw, const char *address);
void raw_send_hello (RawConsumer * raw, guint32 protocol);
void raw_take_offer (RawConsumer * raw);

/* Writes a token and fills in the right answer. */
void raw_make_answer (RawConsumer * raw, MmapCapabilities * answer);
void raw_send_answer (RawConsumer * raw, const MmapCapabilities * answer);

/* All of it, until ACCEPT. */
void raw_bring_up (RawConsumer * raw, const char *address);

/* Sleeps until a REFUSE comes; fails the test unless it is for @code and says @reason. */
void raw_expect_refusal (RawConsumer * raw, MmapError code, const char *reason);
void raw_clear (RawConsumer * raw);

/* Sleeps until a message comes. FALSE at the end. */
gboolean raw_receive (GSocket * socket, MmapMessage * message);

/* A message that must go through. @body: (nullable) (transfer floating): %NULL: an empty one */
void raw_send_message (GSocket * socket, MmapMessageKind kind,
    GVariant * body);

/* A body with one string. @value: (nullable): %NULL: an empty one */
GVariant *raw_body (const char *key, const char *value);

/* Sends @size bytes as they are. */
void raw_send_bytes (GSocket * socket, gconstpointer data, gsize size);

/* --- A producer that breaks the rules --- */

typedef struct
{
  MmapListener *listener;
  GSocket *socket;
  MmapRegion *region;
  MmapLink *link;
  MmapCapabilities offer;       /* right, until the test changes it */
  guint64 sequence;
} RawProducer;

#define RAW_SESSION G_GUINT64_CONSTANT (0x0123456789abcdef)
#define RAW_SIZE 65536

/* Listens, has a region and a link, and an offer of them. */
void raw_producer_init (RawProducer * raw, const char *address);

/* Takes the next consumer, and its HELLO. */
void raw_producer_greet (RawProducer * raw);

/* Sends @body, or the offer if it is NULL, with the descriptors of region and link. */
void raw_producer_send_offer (RawProducer * raw, GVariant * body);
void raw_producer_send_fds (RawProducer * raw, GVariant * body,
    const int *fds, guint n_fds);
void raw_producer_send (RawProducer * raw, MmapMessageKind kind);

/* From greeting to ACCEPT. */
void raw_producer_bring_up (RawProducer * raw);

/* A frame of 64 bytes that follows the rules. */
MmapDescriptor raw_producer_describe (RawProducer * raw);
void raw_producer_push (RawProducer * raw, MmapRing * ring,
    const MmapDescriptor * descriptor);
void raw_producer_clear (RawProducer * raw);

G_END_DECLS
