/* gst-mmap: the memory, rings and wake-ups of one consumer's connection
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "area.h"
#include "futex.h"
#include "protocol.h"
#include "ring.h"
#include "wakeup.h"

G_BEGIN_DECLS

/**
 * MmapLink:
 * @fd: the memory's descriptor, owned
 * @area: the mapping; both sides write, each its own lines
 * @memory: (nullable): the area of files that it lies in, which keeps it mapped; then there is no descriptor
 * @doorbell: (nullable): this process's, of @memory, if the other side has one, too
 * @peer_doorbell: what rings the other side
 * @bell: both are on one kernel, and have no doorbells: what the other side changes to wake this one; its word is %NULL where this side can't
 *     wait for it, and looks at the rings now and then instead
 * @peer_bell: (nullable): what this side changes to wake the other, if both are on one kernel
 * @late: sleeps in turn that ended without being woken, though there was something
 *
 * One side's view of a link. Not thread-safe by itself: see ring.h and wakeup.h.
 */
typedef struct
{
  int fd;
  MmapLinkArea *area;
  MmapArea *memory;
  MmapDoorbell *doorbell;
  guint32 peer_doorbell;
  MmapFutex bell;
  guint32 *peer_bell;
  guint32 peer_bell_count;
  guint late;
  MmapRing frames;
  MmapRing events;
  MmapRing releases;
  MmapSleeper sleeper;
  MmapWaker waker;
} MmapLink;

/* Producer: makes a link in a memfd, sealed against shrinking and growing.
 * Returns: (transfer full): or %NULL with MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
MmapLink *mmap_link_new (guint64 session, guint32 link_id, GError ** error);

/* Consumer: maps the link that a producer offers.
 * @fd: (transfer full): closed on failure, too
 * Returns: (transfer full): or %NULL with MMAP_ERROR_MESSAGE (@fd is -1: it was not sent), MMAP_ERROR_SEALS, MMAP_ERROR_SIZE,
 *     MMAP_ERROR_NOT_A_REGION, MMAP_ERROR_VERSION, MMAP_ERROR_SESSION (the header names another than @session), MMAP_ERROR_LAYOUT,
 *     MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
MmapLink *mmap_link_open (int fd, guint64 session, GError ** error);

/* Producer: makes a link in a slot of its channel.
 * @peer: (nullable): what the consumer says of itself, if it has said that */
MmapLink *mmap_link_new_in_area (MmapArea * area, MmapLinkArea * link_area,
    guint64 session, guint32 link_id, const MmapAreaPeer * peer);

/* Producer: the consumer of such a link has said it now. Before the link is offered. */
void mmap_link_meet (MmapLink * link, const MmapAreaPeer * peer);

/* Consumer: opens the link at @offset bytes from the area's start.
 * @peer: what the producer says of itself
 * Returns: (transfer full): or %NULL with MMAP_ERROR_LAYOUT (there can be none), or an error of mmap_link_open() */
MmapLink *mmap_link_open_in_area (MmapArea * area, guint64 offset,
    guint64 session, const MmapAreaPeer * peer, GError ** error);

static inline gboolean
mmap_link_is_in_area (const MmapLink * link)
{
  return link->memory != NULL;
}

/* Wakes the other side, as far as there is a way to. Returns: whether there was */
gboolean mmap_link_ring (MmapLink * link);

/* How long a sleep for a bell may last; who rings falsely, or not at all, gains nothing by it. Chosen: an idle link costs nothing that could be seen. */
#define MMAP_BELL_WAIT_US G_USEC_PER_SEC

/* As mmap_sleeper_prepare(), of whatever wakes this side. */
void mmap_link_prepare_sleep (MmapLink * link);

/* Whether the bell was rung since then. */
gboolean mmap_link_was_rung (const MmapLink * link);

/* After a sleep for the bell: whether the other side wakes this one, as it should, shows. One that doesn't is looked at from then on.
 * @missed: the time has passed, and there was something of which this side wasn't told */
void mmap_link_note_sleep (MmapLink * link, gboolean missed);

/* Wakes the other side, if it sleeps and wasn't woken yet. Call it after publishing. Returns: whether it did */
gboolean mmap_link_wake (MmapLink * link);

void mmap_link_free (MmapLink * link);

G_END_DECLS
