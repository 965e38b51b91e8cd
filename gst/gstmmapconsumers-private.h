/* gst-mmap: insides of what a sink has to do with its consumers, shared by its files
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gstmmapconsumers.h"

#include "gstmmapwishes.h"

G_BEGIN_DECLS

struct _GstMmapConsumers
{
  gint ref_count;               /* atomic: of the sink, and of each seek without a flush */
  gint closed;                  /* atomic */
  GstPad *pad;
  MmapProducer *producer;
  GThreadPool *worker;
  GThreadPool *seeker;          /* for seeks without a flush */
  gint n_flushing_seeks;        /* atomic: that were heard of */
  gint forward;                 /* atomic: GstMmapForward */
  gint n_unfit;                 /* atomic: a hint for the streaming thread */
  gint key_unit_pending;        /* atomic: one was asked for, and there was none since */

  GMutex lock;
  GstMmapWishes wishes;
  GstCaps *caps;                /* of the stream; NULL: none yet */
  GstMmapNeeds proposed;        /* what upstream's memory meets */
  gboolean changing;            /* between begin_caps() and end_caps() */
  gboolean reminded;            /* the service thread will look for those who have waited for too long */
  gint64 key_unit_asked;        /* monotonic microseconds */
};

/* gstmmapconsumers.c */

void gst_mmap_consumers_hear_needs (GstMmapConsumers * self, guint32 link_id,
    GVariant * body);

void gst_mmap_consumers_unref (GstMmapConsumers * self);

/* gstmmapconsumers-event.c */

/* Whether forward-events lets @what go upstream. Any thread. */
gboolean gst_mmap_consumers_forward (GstMmapConsumers * self,
    GstMmapForward what);

/* Of the thread pools: hands on what a consumer said, @data. */
void gst_mmap_consumers_do_job (gpointer data, gpointer user_data);

/* The same for a seek without a flush: as long as this pipeline doesn't play, it waits, but not the consumer. A later one with a flush
 * does not wait for it. */
void gst_mmap_consumers_do_seek (gpointer data, gpointer user_data);

G_END_DECLS
