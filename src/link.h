/* gst-mmap: the memory, rings and wake-ups of one consumer's connection
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "protocol.h"
#include "ring.h"
#include "wakeup.h"

G_BEGIN_DECLS

/**
 * MmapLink:
 * @fd: the memory's descriptor, owned
 * @wake_fd: this side's end of the sockets that carry wake-ups, owned
 * @peer_fd: the consumer's end, on the producer's side until it was sent; else -1; owned
 * @area: the mapping; both sides write, each its own lines
 *
 * One side's view of a link. Not thread-safe by itself: see ring.h and wakeup.h.
 */
typedef struct
{
  int fd;
  int wake_fd;
  int peer_fd;
  MmapLinkArea *area;
  MmapRing frames;
  MmapRing events;
  MmapRing releases;
  MmapSleeper sleeper;
  MmapWaker waker;
} MmapLink;

/* Producer: makes a link in a memfd, sealed against shrinking and growing, and the sockets for wake-ups.
 * Returns: (transfer full): or %NULL with MMAP_ERROR_NO_SPACE or MMAP_ERROR_FAILED */
MmapLink *mmap_link_new (guint64 session, guint32 link_id, GError ** error);

/* Consumer: maps the link that a producer offers.
 * @fd, @wake_fd: (transfer full): closed on failure, too
 * Returns: (transfer full): or %NULL with MMAP_ERROR_MESSAGE (a descriptor is -1: it was not sent), MMAP_ERROR_SEALS, MMAP_ERROR_SIZE, MMAP_ERROR_NOT_A_REGION, MMAP_ERROR_VERSION,
 *     MMAP_ERROR_SESSION (the header names another than @session), MMAP_ERROR_LAYOUT or MMAP_ERROR_FAILED */
MmapLink *mmap_link_open (int fd, int wake_fd, guint64 session,
    GError ** error);

/* Producer: closes its copy of the consumer's end, which was sent. */
void mmap_link_close_peer_fd (MmapLink * link);

void mmap_link_free (MmapLink * link);

G_END_DECLS
