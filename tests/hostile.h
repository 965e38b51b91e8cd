/* gst-mmap: a consumer, and a producer that breaks the rules, for tests
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "peers.h"

G_BEGIN_DECLS

typedef struct
{
  RawProducer raw;
  MmapConsumer *consumer;
  GThread *thread;
  MmapNextResult next;
  guint frames;
  GError *error;
} Hostile;

/* Starts both: the consumer takes what there is, up to the first error. The producer is the test's to play. */
void hostile_begin (Hostile * scene, const char *address);

/* The error reaches the caller, and, as a refusal, the producer. */
void hostile_end (Hostile * scene, MmapError code, const char *reason);

G_END_DECLS
