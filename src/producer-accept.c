/* gst-mmap: the producer: who connects
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Runs on the service thread, when the listening socket is readable. Who may not connect is told so, and nothing else. Nobody keeps others
 * out by connecting: a consumer that says nothing, or leaves an offer unanswered, makes room for the next.
 */
#include "producer-private.h"

#include "foreign.h"

#include <unistd.h>

/* How long to wait when the process has no descriptor left; chosen, untuned. */
#define ACCEPT_AGAIN_US 100000

/* Links of one user, other than this process's and root: as many as all other users together can still have. Chosen: room for 32
 * consumers of one user. */
#define MAX_LINKS_OF_USER (MMAP_MAX_LINKS / 2)

/* A consumer says HELLO as it connects, and answers an offer at once. One that hasn't answered after this goes if its place is needed, and
 * may try again; chosen, untuned. */
#define ANSWER_US G_USEC_PER_SEC

/* Before the consumer is told, or given, anything. */
static gboolean
check_user_locked (MmapProducer * producer, GSocket * socket, MmapPeer * peer,
    GError ** error)
{
  if (!mmap_peer_init (peer, g_socket_get_fd (socket), error))
    return FALSE;
  if (mmap_users_have (producer->allowed, peer->uid))
    return TRUE;
  if (mmap_users_is_unknown (peer->uid))
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_USER,
        "The consumer's user is none that the producer's user namespace knows "
        "(it reads as %u): only allowed-uids=any of mmapsink lets it in",
        peer->uid);
  else
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_USER,
        "The consumer is run by user %u, whom the producer doesn't allow: to "
        "let it in, name it in allowed-uids of mmapsink", peer->uid);
  return FALSE;
}

/* --- room for one more --- */

/* It is the consumer's turn, and has been for longer than a consumer needs that follows the rules; or it waits for the first region. */
static gboolean
is_idle_locked (MmapProducerLink * link)
{
  gint64 now = g_get_monotonic_time (), asked;

  /* Who is denied waits by our choice, not its own: that is what limits guesses. */
  if (link->carried || link->state == LINK_DENIED
      || g_socket_condition_check (link->socket, G_IO_IN))
    return FALSE;
  if (link->state < LINK_WAITING)
    return TRUE;
  /* It can't do anything: but so can who would take its place, and all of them would be kept out as long as there is no stream. */
  if (link->state == LINK_WAITING)
    return now - link->waiting_since > ANSWER_US;
  if (link->state != LINK_OFFERED)
    return FALSE;
  asked = g_source_get_ready_time (link->timeout)
      - HANDSHAKE_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;
  return now - asked > ANSWER_US;
}

/* @peer: (nullable): of this user
 * Returns: (transfer none) (nullable): the link that has been idle longest */
static MmapProducerLink *
find_idle_locked (MmapProducer * producer, const MmapPeer * peer,
    gboolean remote)
{
  MmapProducerLink *oldest = NULL;
  guint i;

  for (i = 0; i < MMAP_MAX_LINKS; i++) {
    MmapProducerLink *link = producer->links[i];

    if (link && (!peer || link->uid == peer->uid)
        && (!remote || link->is_remote)
        && (!oldest || link->id < oldest->id) && is_idle_locked (link))
      oldest = link;
  }
  return oldest;
}

/* It isn't told: to one that was only slow it is as if nobody had been there, and it tries again. */
static void
end_idle_link_locked (MmapProducerLink * link)
{
  MmapProducer *producer = link->producer;
  g_autoptr (GError) error = NULL;

  error = g_error_new (MMAP_ERROR, MMAP_ERROR_TIMEOUT,
      "The consumer said nothing, and its place was needed for another");
  producer->stats.failures[error->code]++;
  mmap_producer_report_refusal_locked (producer, error);
  mmap_producer_link_end_locked (link, NULL);
}

/* FALSE: none is idle. */
static gboolean
end_idle_locked (MmapProducer * producer, const MmapPeer * peer)
{
  MmapProducerLink *link = find_idle_locked (producer, peer, FALSE);

  if (link)
    end_idle_link_locked (link);
  return link != NULL;
}

gint
mmap_producer_end_idle_remote_locked (MmapProducer * producer, gboolean * later)
{
  MmapProducerLink *link = find_idle_locked (producer, NULL, TRUE);
  gint slot = -1;
  guint i;

  *later = FALSE;
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    if (producer->links[i] && producer->links[i]->is_remote
        && producer->links[i]->state <= LINK_OFFERED)
      *later = TRUE;
  if (link) {
    slot = link->area_slot;
    end_idle_link_locked (link);
  }
  return slot;
}

/* @n_in_handshake: (out): of them, that will soon be up, or gone, or may be ended for another */
static guint
count_links_locked (MmapProducer * producer, const MmapPeer * peer,
    guint * n_in_handshake)
{
  guint i, n = 0;

  *n_in_handshake = 0;
  for (i = 0; i < MMAP_MAX_LINKS; i++) {
    MmapProducerLink *link = producer->links[i];

    if (!link || (peer && (link->carried || link->uid != peer->uid)))
      continue;
    n++;
    if (!link->carried && link->state <= LINK_OFFERED)
      (*n_in_handshake)++;
  }
  return n;
}

/* @peer: (nullable): counts links of this user only
 * @later: (out): set if there will be room soon
 * FALSE: there is none. */
static gboolean
make_room_locked (MmapProducer * producer, const MmapPeer * peer, guint limit,
    gboolean * later)
{
  guint n_in_handshake;

  if (count_links_locked (producer, peer, &n_in_handshake) < limit
      || end_idle_locked (producer, peer))
    return TRUE;
  *later = n_in_handshake > 0;
  return FALSE;
}

/* @later: (out): set if it should try again soon */
static gboolean
check_room_locked (MmapProducer * producer, const MmapPeer * peer,
    gboolean * later, GError ** error)
{
  if (peer->uid != geteuid () && peer->uid != 0
      && !make_room_locked (producer, peer, MAX_LINKS_OF_USER, later)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "The producer serves %d consumers of user %u already: the limit for a "
        "user who is neither its own nor root", MAX_LINKS_OF_USER, peer->uid);
    return FALSE;
  }
  if (!make_room_locked (producer, NULL, MMAP_MAX_LINKS, later)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "The producer serves %d consumers already: its limit", MMAP_MAX_LINKS);
    return FALSE;
  }
  return TRUE;
}

/* The listener stays readable: don't spin until there are descriptors, or memory, again. */
static void
recover_from_accept (MmapProducer * producer, const GError * error)
{
  gboolean freed = FALSE;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    return;
  g_mutex_lock (&producer->lock);
  /* All: a link needs several. */
  while (end_idle_locked (producer, NULL))
    freed = TRUE;
  mmap_producer_unlock (producer);
  if (!freed)
    g_usleep (ACCEPT_AGAIN_US);
}

gboolean
mmap_producer_accept (GSocket * listener, GIOCondition condition, gpointer data)
{
  MmapProducer *producer = data;
  g_autoptr (GError) cause = NULL, error = NULL;
  g_autoptr (GSocket) socket = g_socket_accept (listener, NULL, &cause);
  gboolean later = FALSE;
  MmapPeer peer;

  if (!socket) {
    recover_from_accept (producer, cause);
    return G_SOURCE_CONTINUE;
  }

  g_mutex_lock (&producer->lock);
  if (!check_user_locked (producer, socket, &peer, &error)
      || !check_room_locked (producer, &peer, &later, &error)
      || !mmap_producer_link_new_locked (producer, socket, peer, &error)) {
    producer->stats.failures[error->code]++;
    if (!later)
      mmap_message_send_refusal (socket, error);
    mmap_foreign_close_socket (socket);
    mmap_producer_report_refusal_locked (producer, error);
    mmap_producer_touch_locked (producer);
  }
  mmap_producer_unlock (producer);
  return G_SOURCE_CONTINUE;
}
