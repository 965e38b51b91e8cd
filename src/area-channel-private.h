/* gst-mmap: insides of a producer's channel, shared by its files
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * area-channel.c: its entry. area-window.c: its windows.
 */
#pragma once

#include "area-channel.h"

G_BEGIN_DECLS

struct _MmapChannel
{
  gint ref_count;               /* atomic */
  MmapArea *area;
  guint64 id;                   /* of the owner, in the entry and of each slice */
  guint64 heir_of;              /* who had the entry before, and may have left slices; 0: nobody */
  guint64 session;
  guint entry;
  guint64 name[MMAP_AREA_NAME_BYTES / 8];
  MmapAreaPeer self;
  guint64 beats;
  MmapPulse pulses[MMAP_AREA_CHANNELS]; /* of all entries; the thread that beats */
  guint64 owners[MMAP_AREA_CHANNELS];   /* whose heartbeat it was */
  guint32 refused;              /* as it was seen last */
  gint64 robbed_us;             /* since when slices are another's; 0: not so */

  GMutex lock;
  GPtrArray *windows;           /* MmapWindow, not owned */
  gboolean ended;
  gboolean bequeaths;           /* what it has stays for its heir */
  gboolean claimed;             /* its own thread beats from now on */
  MmapWindow *links;            /* until it has ended; kept by the thread that beats */
  guint link_count;
};

/* Says that it lives while it is being claimed: nobody calls mmap_channel_beat() before that is done. */
void mmap_channel_beat_unclaimed (MmapChannel * channel);

/* Looks at all heartbeats. */
void mmap_channel_observe (MmapChannel * channel, gint64 now_us);

/* Whether @id owns an entry whose heartbeat was seen to beat. */
gboolean mmap_channel_is_alive (const MmapChannel * channel, guint64 id);

/* Writes @channel's number back where its slices have lost it. FALSE with MMAP_ERROR_IN_USE. */
gboolean mmap_channel_keep_windows (MmapChannel * channel, gint64 now_us,
    gboolean * damaged, GError ** error);

/* Frees all slices of @id. */
void mmap_area_free_slices (MmapArea * area, guint64 id);

/* Frees all slices of owners that are in no entry, nor were there before. */
void mmap_area_free_orphans (MmapArea * area);

G_END_DECLS
