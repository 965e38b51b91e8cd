/* gst-mmap: channels of an area, and the windows that belong to them
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "area.h"

G_BEGIN_DECLS

#define MMAP_CHANNEL_DEFAULT "default"

/* FALSE with MMAP_ERROR_SETTING: @name is empty, longer than MMAP_AREA_NAME_BYTES allows, or no UTF-8. */
gboolean mmap_channel_check_name (const char *name, GError ** error);

/**
 * MmapChannelInfo:
 *
 * An entry as it was read, once, and not believed: @name ends with a zero, and nothing else was checked.
 */
typedef struct
{
  guint64 owner;                /* 0: the entry is free */
  guint64 session;              /* 0: not ready */
  guint64 links_offset;
  guint32 link_slot_bytes;
  guint32 link_count;
  MmapAreaPeer peer;
  guint64 heartbeat;
  guint64 before;
  char name[MMAP_AREA_NAME_BYTES];
} MmapChannelInfo;

/* @i: below MMAP_AREA_CHANNELS */
void mmap_channel_read (const MmapArea * area, guint i,
    MmapChannelInfo * info);

/* Returns: (transfer none) (nullable): the @slot th link slot of the channel, if all its slots lie where slots may */
MmapLinkSlot *mmap_channel_info_get_slot (const MmapArea * area,
    const MmapChannelInfo * info, guint slot);

/**
 * MmapChannel:
 *
 * A producer's channel: its entry, its link slots, and the windows of its regions. Reference-counted. Its own thread calls
 * mmap_channel_beat(); windows may be claimed and freed by any.
 */
typedef struct _MmapChannel MmapChannel;

/**
 * MmapWindow:
 * @offset, @size: bytes, in whole slices, of the area
 *
 * Slices of an area that belong to a channel until mmap_window_free().
 */
typedef struct
{
  MmapChannel *channel;
  guint first;
  guint n;
  guint64 offset;
  guint64 size;
} MmapWindow;

/* Claims the name @name, which nobody who lives may have. What a dead owner left is taken over; to find out may take a second or two, in
 * which this waits. @area: (transfer none)
 * Returns: (transfer full): or %NULL with MMAP_ERROR_IN_USE (names the process), MMAP_ERROR_LIMIT (all channels are taken),
 * MMAP_ERROR_NO_SPACE (no room for link slots) or MMAP_ERROR_SETTING */
MmapChannel *mmap_channel_claim (MmapArea * area, const char *name,
    guint64 session, GError ** error);

MmapChannel *mmap_channel_ref (MmapChannel * channel);
void mmap_channel_unref (MmapChannel * channel);

/* Somebody may still look at what lies in @channel's slices: they stay as they are when it ends, until its heir needs the room, or ends. */
void mmap_channel_bequeath (MmapChannel * channel);

/* Frees entry and slices: others may have them from now on. @channel is good for nothing else after this. */
void mmap_channel_end (MmapChannel * channel);

/* To be called each MMAP_AREA_BEAT_US. Says that its owner lives, and writes back what is not as it left it.
 * @damaged: (out): set to %TRUE if something was not
 * FALSE with MMAP_ERROR_IN_USE: while this process stood still, another one took the channel, or memory of it. */
gboolean mmap_channel_beat (MmapChannel * channel, gboolean * damaged,
    GError ** error);

/* By a consumer that finds no free link slot in entry @i. */
void mmap_channel_note_refused (MmapArea * area, guint i);

/* Returns: how many such there were since the last call, as far as that is to be believed. The thread that beats. */
guint mmap_channel_take_refused (MmapChannel * channel);

MmapArea *mmap_channel_get_area (MmapChannel * channel);
guint64 mmap_channel_get_id (const MmapChannel * channel);
const char *mmap_channel_get_name (const MmapChannel * channel);
guint mmap_channel_get_link_count (const MmapChannel * channel);
MmapLinkSlot *mmap_channel_get_slot (MmapChannel * channel, guint slot);

/* Claims slices for @bytes bytes, next to each other.
 * @at_least: if there is no room for @bytes, the longest run that has this many will do
 * Returns: (transfer full): or %NULL with MMAP_ERROR_NO_SPACE, which names both sizes */
MmapWindow *mmap_window_claim (MmapChannel * channel, guint64 bytes,
    guint64 at_least, GError ** error);

void mmap_window_free (MmapWindow * window);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MmapChannel, mmap_channel_unref)
G_END_DECLS
