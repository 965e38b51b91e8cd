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
 * @wake_fd: consumer: eventfd that wakes the producer, owned; producer: -1, it has one for all its links
 * @peer_fd: epoll descriptor on it, to be sent to the other side; -1 once that was done; owned
 * @sleep_fd: epoll descriptor from the other side, through which it wakes this one; -1 until it has come; owned
 * @area: the mapping; both sides write, each its own lines
 *
 * One side's view of a link. Not thread-safe by itself: see ring.h and wakeup.h.
 */
typedef struct
{
  int fd;
  int wake_fd;
  int peer_fd;
  int sleep_fd;
  MmapLinkArea *area;
  MmapRing frames;
  MmapRing events;
  MmapRing releases;
  MmapSleeper sleeper;
  MmapWaker waker;
} MmapLink;

/* Producer: makes a link in a memfd, sealed against shrinking and growing, and what wakes the consumer.
 * @wake_fd: the producer's, from mmap_wake_fd_new()
 * Returns: (transfer full): or %NULL with MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
MmapLink *mmap_link_new (guint64 session, guint32 link_id, int wake_fd,
    GError ** error);

/* Consumer: maps the link that a producer offers.
 * @fd, @sleep_fd: (transfer full): closed on failure, too
 * Returns: (transfer full): or %NULL with MMAP_ERROR_MESSAGE (a descriptor is -1: it was not sent; or @sleep_fd is no epoll descriptor), MMAP_ERROR_SEALS, MMAP_ERROR_SIZE, MMAP_ERROR_NOT_A_REGION, MMAP_ERROR_VERSION,
 *     MMAP_ERROR_SESSION (the header names another than @session), MMAP_ERROR_LAYOUT, MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
MmapLink *mmap_link_open (int fd, int sleep_fd, guint64 session,
    GError ** error);

/* Takes what the other side has sent to wake this one.
 * @fd: (transfer full)
 * FALSE with MMAP_ERROR_MESSAGE if it is -1 or no epoll descriptor. */
gboolean mmap_link_take_sleep_fd (MmapLink * link, int fd, GError ** error);

/* Closes the descriptor that was to be sent to the other side, and was. */
void mmap_link_close_peer_fd (MmapLink * link);

void mmap_link_free (MmapLink * link);

G_END_DECLS
