/* gst-mmap: what wakes the threads that carry messages through an area
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "area.h"
#include "futex.h"

#include <poll.h>

G_BEGIN_DECLS

#define MMAP_RELAY_BELL_FDS 2

/**
 * MmapRelayBell:
 *
 * One for each relay. Who can't be woken looks again after a while. Not thread-safe.
 */
typedef struct
{
  MmapDoorbell *doorbell;       /* nullable: the area's */
  int doorbell_fd;              /* watches it; -1: none */
  guint32 **words;              /* @n_words of them: shared: others change them */
  guint n_words;
  guint32 own;                  /* atomic: ends the thread's sleep */
  gint stop;                    /* atomic */
  int words_fd;                 /* eventfd; -1: nobody waits for words */
  GThread *thread;
} MmapRelayBell;

/**
 * MmapRelayPeer:
 * @near: it is on this kernel
 * @word: what it waits for
 * @count: private copy of it
 */
typedef struct
{
  guint32 doorbell;
  gboolean near;
  guint32 *word;
  guint32 count;
} MmapRelayPeer;

/* As far as it can be done.
 * @words: (transfer none): @n of them, at most MMAP_FUTEX_MAX, in @area; copied
 * Call mmap_relay_bell_clear() before the area is unmapped. */
void mmap_relay_bell_init (MmapRelayBell * bell, MmapArea * area,
    guint32 ** words, guint n);
void mmap_relay_bell_clear (MmapRelayBell * bell);

/* @word: what the other side waits for */
void mmap_relay_peer_init (MmapRelayPeer * peer, const MmapAreaPeer * self_said,
    guint32 * word);

/* Whether the other side can wake this one. */
gboolean mmap_relay_bell_hears (const MmapRelayBell * bell,
    const MmapRelayPeer * peer);

/* Wakes it, if that can be done. */
void mmap_relay_bell_ring (const MmapRelayBell * bell, MmapRelayPeer * peer);

/* What is to be polled for, and what is to be done after that. */
void mmap_relay_bell_get_pollfds (const MmapRelayBell * bell,
    struct pollfd *fds);
void mmap_relay_bell_take (const MmapRelayBell * bell,
    const struct pollfd *fds);

G_END_DECLS
