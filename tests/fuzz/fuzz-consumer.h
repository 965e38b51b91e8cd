/* gst-mmap: what the targets of the consumer share: a hostile producer
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "fuzz-core.h"

G_BEGIN_DECLS

#define FUZZ_REGION_BYTES (sizeof (MmapRegionHeader) + 32768)
#define FUZZ_MAX_HELD 8
#define FUZZ_SESSION G_GUINT64_CONSTANT (0x1234567890abcdef)

typedef struct
{
  MmapConsumer *consumer;
  int fd;                       /* the producer's end of the socket; -1: there is none */
  MmapRegion *region;           /* the last that was offered */
  guint32 region_id;
  MmapLink *link;
  guint64 sequence;
  MmapItem held[FUZZ_MAX_HELD]; /* link NULL: none */
  gboolean up;                  /* what next() said last */
} FuzzConsumer;

void fuzz_consumer_init (FuzzConsumer * self);
void fuzz_consumer_clear (FuzzConsumer * self);

/* A region, with an offer of it that is right. Returns: (transfer full) */
GVariant *fuzz_consumer_make_offer (FuzzConsumer * self);

/* The right descriptors of an offer. Returns: how many */
guint fuzz_consumer_get_fds (FuzzConsumer * self, gboolean first, int fds[2]);

/* A socket of which the consumer gets the other end. Returns: that end */
int fuzz_consumer_new_socket (FuzzConsumer * self);

/* Connects as to a socket that was listened on. */
void fuzz_consumer_connect (FuzzConsumer * self);

/* Looks for items until there is none, @n times at most. */
void fuzz_consumer_read (FuzzConsumer * self, FuzzInput * input, guint n);

/* Gives back what it holds. */
void fuzz_consumer_release (FuzzConsumer * self, guint i);

G_END_DECLS
