/* gst-mmap: what wakes the threads that carry messages through an area
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A relay polls descriptors. A doorbell has one, which frames ring, too: it is watched for edges, so that nothing is taken from whoever waits
 * for those. On one kernel others change a word, for which a thread waits that does nothing else, and makes a descriptor readable.
 */
#include "relay-bell.h"

#include "atomics.h"
#include "wakeup.h"

#include <sys/epoll.h>
#include <unistd.h>

/* Who changes words without end wakes us so often. Chosen: as often as a relay looks while there are messages. */
#define PAUSE_US 1000
/* Nothing depends on it. */
#define LONG_US (60 * G_USEC_PER_SEC)

/* Returns: whether any was changed */
static gboolean
look (MmapRelayBell * bell, MmapFutex * words)
{
  gboolean news = FALSE;
  guint i;

  for (i = 0; i < bell->n_words; i++) {
    guint32 now = mmap_load_acquire (words[i].word);

    news = news || now != words[i].seen;
    words[i].seen = now;
  }
  return news;
}

static gpointer
wait_for_words (gpointer data)
{
  MmapRelayBell *bell = data;
  g_autofree MmapFutex *words = g_new0 (MmapFutex, bell->n_words);
  MmapFutex own = { &bell->own, 0 };
  guint i;

  for (i = 0; i < bell->n_words; i++)
    words[i].word = bell->words[i];
  while (!g_atomic_int_get (&bell->stop)) {
    if (look (bell, words))
      mmap_wake_fd_signal (bell->words_fd);
    else
      mmap_futex_wait (&own, words, bell->n_words, LONG_US);
    if (!g_atomic_int_get (&bell->stop))
      g_usleep (PAUSE_US);
  }
  return NULL;
}

static void
start_thread (MmapRelayBell * bell, guint32 ** words, guint n)
{
  if (n == 0 || !mmap_futex_is_usable (words[0]))
    return;
  bell->words_fd = mmap_wake_fd_new ();
  if (bell->words_fd < 0)
    return;
  bell->words = g_memdup2 (words, n * sizeof words[0]);
  bell->n_words = n;
  bell->thread = g_thread_try_new ("mmap-bell", wait_for_words, bell, NULL);
  if (bell->thread)
    return;
  close (bell->words_fd);
  bell->words_fd = -1;
}

void
mmap_relay_bell_init (MmapRelayBell * bell, MmapArea * area, guint32 ** words,
    guint n)
{
  *bell = (MmapRelayBell) {
  .doorbell = area->doorbell,.doorbell_fd = -1,.words_fd = -1};
  if (area->doorbell)
    bell->doorbell_fd =
        mmap_wake_fd_watch (mmap_doorbell_get_fd (area->doorbell));
  start_thread (bell, words, n);
}

void
mmap_relay_bell_clear (MmapRelayBell * bell)
{
  g_atomic_int_set (&bell->stop, TRUE);
  if (bell->thread) {
    mmap_futex_wake_own (&bell->own);
    g_thread_join (bell->thread);
    close (bell->words_fd);
  }
  bell->thread = NULL;
  if (bell->doorbell_fd >= 0)
    close (bell->doorbell_fd);
  bell->doorbell_fd = bell->words_fd = -1;
  g_clear_pointer (&bell->words, g_free);
}

void
mmap_relay_peer_init (MmapRelayPeer * peer, const MmapAreaPeer * self_said,
    guint32 * word)
{
  peer->doorbell = self_said->doorbell;
  peer->near = mmap_area_peer_is_near (self_said);
  peer->word = word;
  peer->count = mmap_load_relaxed (word);
}

static gboolean
has_doorbells (const MmapRelayBell * bell, const MmapRelayPeer * peer)
{
  return bell->doorbell_fd >= 0 && peer->doorbell != MMAP_DOORBELL_NONE;
}

gboolean
mmap_relay_bell_hears (const MmapRelayBell * bell, const MmapRelayPeer * peer)
{
  return has_doorbells (bell, peer) || (peer->near && bell->thread);
}

void
mmap_relay_bell_ring (const MmapRelayBell * bell, MmapRelayPeer * peer)
{
  if (has_doorbells (bell, peer))
    mmap_doorbell_ring (bell->doorbell, peer->doorbell);
  else if (peer->near)
    mmap_futex_wake (peer->word, &peer->count);
}

void
mmap_relay_bell_get_pollfds (const MmapRelayBell * bell, struct pollfd *fds)
{
  fds[0] = (struct pollfd) { bell->doorbell_fd, POLLIN, 0 };
  fds[1] = (struct pollfd) { bell->words_fd, POLLIN, 0 };
}

void
mmap_relay_bell_take (const MmapRelayBell * bell, const struct pollfd *fds)
{
  struct epoll_event event;
  guint64 count;

  if (fds[0].revents)
    epoll_wait (bell->doorbell_fd, &event, 1, 0);
  if (fds[1].revents && read (bell->words_fd, &count, sizeof count) < 0)
    return;
}
