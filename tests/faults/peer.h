/* gst-mmap: a producer's or consumer's process of the fault suite
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * peer.c: life. producer.c, consumer.c: frames. fate.c: death.
 */
#pragma once

#include "record.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * Peer:
 *
 * Has a pipeline, in which the element "link" is the mmapsink or mmapsrc under test.
 */
typedef struct
{
  GMainLoop *loop;
  GstElement *pipeline;
  GstElement *link;
  Record *record;
  int status;                   /* of the process */
  gint ends;                    /* atomic: the producer's next frame shall be EOS */

  /* what the command line says */
  char *record_path;
  char *description;            /* of the pipeline */
  char *role;                   /* "producer" or "consumer" */
  char *fate;                   /* nullable */
  char *errors_path;            /* nullable: for stderr */
  guint64 seed;
  guint64 number;               /* producer: its own */
  guint64 pause_us;             /* producer: between frames; consumer: with each frame, at most */
  char *caps;                   /* producer, nullable: for the element "caps", several with ; in between */
  guint64 caps_period;          /* producer: frames from change to change, on average */
  guint64 metas_period;         /* every so many frames have metadata; 0: none */
  guint64 hold;                 /* consumer: frames that it keeps */
  gboolean keeps;               /* consumer: those also after it has started anew */
} Peer;

/* The process's whole life, from fork() on. @argv: its options, which are taken out. Returns: its status */
int peer_run (char ***argv);

/* It ends, and @what is why. From any thread. */
void peer_fail (Peer * peer, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* How many frames from one with metadata to the next; what it says follows from the number. Nothing if @peer->metas_period is 0. */
GstCaps *peer_get_metas_name (void);

void producer_init (Peer * peer);
/* Each few milliseconds, from the main thread. */
void producer_look (Peer * peer);

void consumer_init (Peer * peer);
void consumer_look (Peer * peer);
/* The pipeline has gone: what was kept of it is looked at once more, and given back. */
void consumer_end (Peer * peer);
/* It is there, and starts anew. */
void consumer_start_anew (Peer * peer);

G_END_DECLS
