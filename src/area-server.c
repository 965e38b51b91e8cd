/* gst-mmap: a producer's side of signalling in an area
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * All of this runs on the server's own thread, which is never on the way of a frame. It looks at the slots now and then: soon after the last
 * message, seldom otherwise.
 */
#include "area-server.h"

#include "area-clock.h"
#include "atomics.h"
#include "error.h"
#include "mailbox.h"
#include "relay-bell.h"
#include "relay.h"
#include "remote.h"
#include "token.h"
#include "wakeup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Who has claimed a slot says who it is at once; who was told that a link has ended leaves. Both may die instead. */
#define GRACE_US MMAP_AREA_DEAD_US

typedef enum
{
  SLOT_FREE,
  SLOT_CLAIMED,                 /* its consumer has yet to say who it is */
  SLOT_SERVED,
  SLOT_ENDING                   /* waits until both sides have let go */
} SlotState;

typedef struct
{
  SlotState state;
  MmapLinkSlot *shared;
  guint64 consumer;             /* its number */
  MmapAreaPeer peer;
  MmapRelayPeer relay_peer;
  MmapPulse pulse;
  gint64 since_us;              /* when the state began */
  gboolean gone;                /* the consumer has left, died, or lost the slot */
  MmapAreaClockAnswers clock;
  MmapRelay relay;
  MmapByteRing down;
  MmapByteRing up;
  int stream;                   /* through which its messages go, not through the mailbox; -1 */
  gboolean stream_ended;        /* by the consumer */
  gint near;                    /* atomic: see mmap_area_server_set_near() */
} Slot;

struct _MmapAreaServer
{
  MmapChannel *channel;
  MmapAreaServerCallbacks callbacks;
  gpointer data;
  int wake_fd;
  int listener;                 /* atomic; -1: none */
  int waiting;                  /* through which somebody comes, for whom there is no slot yet; -1 */
  gint64 accept_us;             /* not before: there was a lack of descriptors */
  MmapRelayBell bell;
  GThread *thread;
  gint stop;                    /* atomic */
  Slot slots[MMAP_MAX_LINKS];
  guint n_slots;
  guint64 n_freed;
  gint64 beat_us;               /* when the next one is due */
  gint64 spun_us;               /* when a consumer's clock was last waited for */
  gboolean lost;
};

static gssize
slot_push (gpointer data, const guint8 * bytes, gsize n)
{
  return mmap_byte_ring_push (&((Slot *) data)->down, bytes, n);
}

static gssize
slot_pop (gpointer data, guint8 * bytes, gsize n)
{
  return mmap_byte_ring_pop (&((Slot *) data)->up, bytes, n);
}

static const MmapRelayWay slot_way = { slot_push, slot_pop };

static gssize
stream_push (gpointer data, const guint8 * bytes, gsize n)
{
  Slot *slot = data;

  return mmap_remote_push (slot->stream, bytes, n, &slot->stream_ended);
}

static gssize
stream_pop (gpointer data, guint8 * bytes, gsize n)
{
  Slot *slot = data;

  return mmap_remote_pop (slot->stream, bytes, n, &slot->stream_ended);
}

static const MmapRelayWay stream_way = { stream_push, stream_pop };

static void
slot_close_stream (Slot * slot)
{
  if (slot->stream >= 0)
    close (slot->stream);
  slot->stream = -1;
}

static void
slot_set_state (Slot * slot, SlotState state, gint64 now_us)
{
  slot->state = state;
  slot->since_us = now_us;
}

/* --- a slot begins --- */

static void
slot_read_peer (Slot * slot)
{
  MmapMailbox *mailbox = &slot->shared->mailbox;

  slot->peer.pid = mmap_load_relaxed (&mailbox->pid);
  slot->peer.uid = mmap_load_relaxed (&mailbox->uid);
  slot->peer.boot_id = mmap_load_relaxed (&mailbox->boot_id);
  slot->peer.pid_namespace = mmap_load_relaxed (&mailbox->pid_namespace);
  slot->peer.doorbell = mmap_load_relaxed (&mailbox->doorbell);
}

static void
slot_free (MmapAreaServer * server, Slot * slot)
{
  MmapMailbox *mailbox = &slot->shared->mailbox;

  mmap_store_relaxed (&mailbox->served, 0);
  mmap_store_relaxed (&mailbox->freed, ++server->n_freed);
  mmap_store_release (&mailbox->claim, 0);
  slot_close_stream (slot);
  slot_set_state (slot, SLOT_FREE, 0);
}

static void
slot_serve (MmapAreaServer * server, Slot * slot, gint64 now_us)
{
  MmapMailbox *mailbox = &slot->shared->mailbox;
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocket) socket = NULL;

  memset (&slot->peer, 0, sizeof slot->peer);
  if (slot->stream < 0)
    slot_read_peer (slot);
  mmap_relay_peer_init (&slot->relay_peer, &slot->peer,
      &mailbox->consumer_bell);
  memset (&slot->pulse, 0, sizeof slot->pulse);
  slot->gone = FALSE;
  mmap_store_relaxed (&mailbox->down_head, 0);
  mmap_store_relaxed (&mailbox->down_tail, 0);
  mmap_mailbox_init_down (slot->shared, &slot->down);
  mmap_mailbox_init_up (slot->shared, &slot->up);
  slot->stream_ended = FALSE;
  g_atomic_int_set (&slot->near, FALSE);
  socket = mmap_relay_init (&slot->relay, slot->stream < 0 ? &slot_way :
      &stream_way, slot, &error);
  /* This clears the rest of the slot. */
  if (!socket || !server->callbacks.accept (slot - server->slots, socket,
          slot->stream < 0 ? &slot->peer : NULL, server->data, &error)) {
    server->callbacks.broken (error, server->data);
    mmap_relay_clear (&slot->relay);
    slot_free (server, slot);
    return;
  }
  slot_set_state (slot, SLOT_SERVED, now_us);
  /* Release: all of the slot is as it has to be. Pairs with the acquire in look_at_producer(). */
  mmap_store_release (&mailbox->served, slot->consumer);
  mmap_relay_bell_ring (&server->bell, &slot->relay_peer);
}

static void
slot_run_claimed (MmapAreaServer * server, Slot * slot, gint64 now_us)
{
  MmapMailbox *mailbox = &slot->shared->mailbox;

  if (mmap_load_acquire (&mailbox->claim) != slot->consumer)
    slot_set_state (slot, SLOT_FREE, now_us);
  else if (mmap_load_acquire (&mailbox->consumer) == slot->consumer)
    slot_serve (server, slot, now_us);
  else if (now_us - slot->since_us > GRACE_US)
    slot_free (server, slot);
}

/* --- a slot that is served --- */

/* What became of the consumer, if it isn't there any more; %NULL */
static const char *
slot_look_at_consumer (Slot * slot, gint64 now_us, gboolean * overwritten)
{
  MmapMailbox *mailbox = &slot->shared->mailbox;

  *overwritten = mmap_load_relaxed (&mailbox->claim) != slot->consumer
      || mmap_load_relaxed (&mailbox->served) != slot->consumer;
  if (*overwritten)
    return "its words in the area were overwritten";
  if (slot->stream >= 0)
    return slot->stream_ended ? "it has left" : NULL;
  if (mmap_load_acquire (&mailbox->left) == slot->consumer)
    return "it has left";
  if (mmap_area_peer_is_gone (&slot->peer))
    return "its process has ended";
  if (mmap_pulse_is_dead (&slot->pulse,
          mmap_load_relaxed (&mailbox->heartbeat), now_us))
    return "its heartbeat has stopped";
  return NULL;
}

static void
slot_break (MmapAreaServer * server, Slot * slot, const char *what)
{
  g_autoptr (GError) error = g_error_new (MMAP_ERROR, MMAP_ERROR_RING,
      "The link of consumer pid %u has ended: %s", slot->peer.pid, what);

  server->callbacks.broken (error, server->data);
}

/* Consumers measure a few times a second: one that asks without end is answered when we look, but not waited for. */
#define SPIN_INTERVAL_US 20000

static void
slot_tell_time (MmapAreaServer * server, Slot * slot, gint64 now_us)
{
  MmapMailbox *mailbox = &slot->shared->mailbox;

  if (!mmap_area_clock_answer (&slot->clock, mailbox)
      || now_us - server->spun_us < SPIN_INTERVAL_US)
    return;
  server->spun_us = now_us;
  mmap_area_clock_answer_more (&slot->clock, mailbox);
}

static gboolean
slot_run_served (MmapAreaServer * server, Slot * slot, gint64 now_us)
{
  gboolean overwritten;
  const char *end = slot_look_at_consumer (slot, now_us, &overwritten);
  MmapRelayResult result = end ? MMAP_RELAY_IDLE :
      mmap_relay_run (&slot->relay);

  if (g_atomic_int_get (&slot->near))
    slot->relay_peer.near = TRUE;
  if (result == MMAP_RELAY_BROKEN) {
    end = "its mailbox holds what can't be";
    overwritten = TRUE;
  }
  if (overwritten)
    slot_break (server, slot, end);
  if (end) {
    /* What it said before it left. */
    if (!overwritten)
      mmap_relay_drain (&slot->relay);
    slot->gone = TRUE;
    mmap_relay_end_stream (&slot->relay);
  }
  if (!end)
    slot_tell_time (server, slot, now_us);
  if (end || mmap_relay_is_flushed (&slot->relay)) {
    /* It reads what was said last, and closes. */
    if (slot->stream >= 0)
      shutdown (slot->stream, SHUT_WR);
    mmap_store_release (&slot->shared->mailbox.served, 0);
    slot_set_state (slot, SLOT_ENDING, now_us);
  }
  if (result == MMAP_RELAY_MOVED || slot->state == SLOT_ENDING)
    mmap_relay_bell_ring (&server->bell, &slot->relay_peer);
  return result == MMAP_RELAY_MOVED;
}

static void
slot_run_ending (MmapAreaServer * server, Slot * slot, gint64 now_us)
{
  MmapMailbox *mailbox = &slot->shared->mailbox;

  /* Until the socket is closed. */
  mmap_relay_run (&slot->relay);
  if ((slot->stream >= 0 ? slot->stream_ended :
          mmap_load_acquire (&mailbox->left) == slot->consumer)
      || mmap_load_relaxed (&mailbox->claim) != slot->consumer
      || now_us - slot->since_us > GRACE_US)
    slot->gone = TRUE;
  if (slot->gone)
    mmap_relay_discard (&slot->relay);
  if (!slot->gone || !slot->relay.local_ended)
    return;
  mmap_relay_clear (&slot->relay);
  slot_free (server, slot);
}

/* Returns: whether anything was moved */
static gboolean
slot_run (MmapAreaServer * server, Slot * slot, gint64 now_us)
{
  switch (slot->state) {
    case SLOT_FREE:
      slot->consumer = mmap_load_acquire (&slot->shared->mailbox.claim);
      if (slot->consumer == 0)
        return FALSE;
      slot_set_state (slot, SLOT_CLAIMED, now_us);
      slot_run_claimed (server, slot, now_us);
      return TRUE;
    case SLOT_CLAIMED:
      slot_run_claimed (server, slot, now_us);
      return TRUE;
    case SLOT_SERVED:
      return slot_run_served (server, slot, now_us);
    default:
      slot_run_ending (server, slot, now_us);
      return TRUE;
  }
}

/* --- consumers that come through a socket --- */

/* A slot that no consumer has claimed in the area; %NULL with an error */
static Slot *
server_take_slot (MmapAreaServer * server, GError ** error)
{
  guint64 id;
  guint i;

  if (!mmap_random_id (&id, error))
    return NULL;

  for (i = 0; i < server->n_slots; i++) {
    Slot *slot = &server->slots[i];
    guint64 expected = 0;

    if (slot->state == SLOT_FREE
        && mmap_swap_release (&slot->shared->mailbox.claim, &expected, id)) {
      slot->consumer = id;
      return slot;
    }
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
      "All %u links of the channel are taken: a larger file or device has more",
      server->n_slots);
  return NULL;
}

/* Says why through a relay of its own, as far as that goes at once. */
static void
server_refuse (MmapAreaServer * server, int stream, const GError * error)
{
  Slot nobody = {.stream = stream };
  g_autoptr (GSocket) socket = mmap_relay_init (&nobody.relay, &stream_way,
      &nobody, NULL);

  if (socket) {
    mmap_message_send_refusal (socket, error);
    mmap_relay_run (&nobody.relay);
  }
  mmap_relay_clear (&nobody.relay);
  close (stream);
  server->callbacks.broken (error, server->data);
}

/* FALSE: nobody is there. */
static gboolean
server_greet (MmapAreaServer * server, gint64 now_us)
{
  g_autoptr (GError) error = NULL;
  int listener = g_atomic_int_get (&server->listener);

  if (server->waiting >= 0)
    return TRUE;
  if (listener < 0 || now_us < server->accept_us)
    return FALSE;
  server->waiting = mmap_remote_accept (listener, &error);
  if (server->waiting < 0
      && !g_error_matches (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND))
    server->accept_us = now_us + MMAP_AREA_BEAT_US;
  return server->waiting >= 0;
}

static guint
server_count_free (const MmapAreaServer * server)
{
  guint i, n = 0;

  for (i = 0; i < server->n_slots; i++)
    if (server->slots[i].state == SLOT_FREE
        && mmap_load_relaxed (&server->slots[i].shared->mailbox.claim) == 0)
      n++;
  return n;
}

/* Who says nothing keeps nobody out: the last slot is not for those who come through a socket, either, while others of them are idle.
 * @later: (out): there will be a slot soon */
static void
server_make_room (MmapAreaServer * server, gint64 now_us, gboolean * later)
{
  gint idle;
  guint i;

  *later = FALSE;
  if (server_count_free (server) > 1)
    return;
  idle = server->callbacks.end_idle (later, server->data);
  for (i = 0; i < server->n_slots; i++)
    *later = *later || server->slots[i].state == SLOT_ENDING;
  if (idle < 0)
    return;
  slot_set_state (&server->slots[idle], SLOT_ENDING, now_us);
  server->slots[idle].gone = TRUE;
  slot_run_ending (server, &server->slots[idle], now_us);
}

/* Returns: whether somebody came */
static gboolean
server_accept (MmapAreaServer * server, gint64 now_us)
{
  g_autoptr (GError) error = NULL;
  gboolean later;
  Slot *slot;

  if (!server_greet (server, now_us))
    return FALSE;
  server_make_room (server, now_us, &later);
  slot = server_take_slot (server, &error);
  if (!slot && later)
    return FALSE;
  if (slot) {
    slot->stream = server->waiting;
    slot_serve (server, slot, now_us);
  } else {
    server_refuse (server, server->waiting, error);
  }
  server->waiting = -1;
  return TRUE;
}

/* --- the thread --- */

/* Consumers that came through the area, and found nobody to tell them: the producer can count them, not who they were. */
static void
server_count_refused (MmapAreaServer * server)
{
  guint n = mmap_channel_take_refused (server->channel);
  g_autoptr (GError) error = NULL;

  if (n == 0)
    return;
  error = g_error_new (MMAP_ERROR, MMAP_ERROR_LIMIT,
      "All %u links of the channel were taken when another consumer came",
      server->n_slots);
  while (n-- > 0)
    server->callbacks.broken (error, server->data);
}

static void
server_beat (MmapAreaServer * server, gint64 now_us)
{
  g_autoptr (GError) error = NULL;
  gboolean damaged;

  if (now_us < server->beat_us)
    return;
  server->beat_us = now_us + MMAP_AREA_BEAT_US;
  if (server->lost)
    return;
  if (mmap_channel_beat (server->channel, &damaged, &error)) {
    server_count_refused (server);
    return;
  }
  server->lost = TRUE;
  server->callbacks.lost (error, server->data);
}

static gboolean
server_run_slots (MmapAreaServer * server, gint64 now_us)
{
  gboolean moved = !server->lost && server_accept (server, now_us);
  guint i;

  for (i = 0; i < server->n_slots && !server->lost; i++)
    moved = slot_run (server, &server->slots[i], now_us) || moved;
  return moved;
}

static void
server_sleep (MmapAreaServer * server, gint64 interval_us)
{
  struct pollfd fds[2 + 2 * MMAP_MAX_LINKS + MMAP_RELAY_BELL_FDS] =
      { {server->wake_fd, POLLIN, 0}, {-1, POLLIN, 0} };
  struct pollfd *bells = &fds[2 + 2 * server->n_slots];
  gint64 left = MIN (interval_us, server->beat_us - g_get_monotonic_time ());
  struct timespec timeout = { 0, CLAMP (left, 0, MMAP_AREA_BEAT_US) * 1000 };
  guint i;

  /* A server that has lost its channel does nothing more, so that what is readable stays so. */
  if (g_get_monotonic_time () >= server->accept_us && server->waiting < 0
      && !server->lost)
    fds[1].fd = g_atomic_int_get (&server->listener);
  for (i = 0; i < server->n_slots; i++) {
    struct pollfd *pair = &fds[2 + 2 * i];
    Slot *slot = &server->slots[i];

    pair[0].fd = pair[1].fd = -1;
    if (slot->state != SLOT_SERVED || server->lost)
      continue;
    mmap_relay_get_pollfd (&slot->relay, &pair[0]);
    pair[1].events = mmap_relay_get_stream_events (&slot->relay);
    if (pair[1].events)
      pair[1].fd = slot->stream;
  }
  mmap_relay_bell_get_pollfds (&server->bell, bells);
  if (ppoll (fds, 2 + 2 * server->n_slots + MMAP_RELAY_BELL_FDS, &timeout,
          NULL) > 0)
    mmap_relay_bell_take (&server->bell, bells);
}

/* The sockets are closed: what was said last is still to go. */
static void
server_end_slots (MmapAreaServer * server)
{
  guint i;

  for (i = 0; i < server->n_slots; i++) {
    Slot *slot = &server->slots[i];

    if (slot->state == SLOT_SERVED)
      mmap_relay_run (&slot->relay);
    if (slot->state == SLOT_SERVED || slot->state == SLOT_ENDING)
      mmap_relay_clear (&slot->relay);
    slot_close_stream (slot);
    if (!server->lost) {
      mmap_store_release (&slot->shared->mailbox.served, 0);
      if (slot->state == SLOT_SERVED)
        mmap_relay_bell_ring (&server->bell, &slot->relay_peer);
    }
  }
}

/* Who comes from elsewhere to a slot that is free waits for a heartbeat. */
static gboolean
server_hears_all (const MmapAreaServer * server)
{
  guint i;

  for (i = 0; i < server->n_slots; i++) {
    const Slot *slot = &server->slots[i];

    if (slot->state != SLOT_FREE
        && !mmap_relay_bell_hears (&server->bell, &slot->relay_peer))
      return FALSE;
  }
  return TRUE;
}

static void
server_init_bell (MmapAreaServer * server)
{
  guint32 *words[MMAP_MAX_LINKS];
  guint i;

  for (i = 0; i < server->n_slots; i++)
    words[i] = &server->slots[i].shared->mailbox.producer_bell;
  mmap_relay_bell_init (&server->bell,
      mmap_channel_get_area (server->channel), words, server->n_slots);
}

static gpointer
server_thread (gpointer data)
{
  MmapAreaServer *server = data;
  MmapRelayPace pace = { 0 };

  while (!g_atomic_int_get (&server->stop)) {
    gint64 now_us = g_get_monotonic_time ();

    server_beat (server, now_us);
    server_sleep (server, mmap_relay_pace (&pace, server_run_slots (server,
                now_us), server_hears_all (server), now_us));
  }
  server_end_slots (server);
  mmap_channel_end (server->channel);
  return NULL;
}

MmapAreaServer *
mmap_area_server_new (MmapChannel * channel, int listener,
    const MmapAreaServerCallbacks * callbacks, gpointer data, GError ** error)
{
  MmapAreaServer *server = g_new0 (MmapAreaServer, 1);
  g_autoptr (GError) cause = NULL;
  guint i;

  server->channel = mmap_channel_ref (channel);
  server->callbacks = *callbacks;
  server->data = data;
  server->listener = listener;
  server->waiting = -1;
  server->n_slots = mmap_channel_get_link_count (channel);
  for (i = 0; i < server->n_slots; i++) {
    server->slots[i].shared = mmap_channel_get_slot (channel, i);
    server->slots[i].relay.fd = server->slots[i].stream = -1;
  }
  server_init_bell (server);
  server->wake_fd = mmap_wake_fd_new ();
  if (server->wake_fd < 0)
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "eventfd: %s", g_strerror (errno));
  else
    server->thread = g_thread_try_new ("mmap-area", server_thread, server,
        &cause);
  if (server->thread)
    return server;
  if (cause)
    g_set_error (error, MMAP_ERROR, mmap_error_from_glib (cause),
        "Can't start a thread to serve an area: %s", cause->message);
  mmap_area_server_free (server);
  return NULL;
}

void
mmap_area_server_listen (MmapAreaServer * server, int listener)
{
  g_atomic_int_set (&server->listener, listener);
}

void
mmap_area_server_set_near (MmapAreaServer * server, guint slot)
{
  g_atomic_int_set (&server->slots[slot].near, TRUE);
}

void
mmap_area_server_free (MmapAreaServer * server)
{
  g_atomic_int_set (&server->stop, TRUE);
  if (server->thread) {
    mmap_wake_fd_signal (server->wake_fd);
    g_thread_join (server->thread);
  }
  mmap_relay_bell_clear (&server->bell);
  if (server->wake_fd >= 0)
    close (server->wake_fd);
  if (server->listener >= 0)
    close (server->listener);
  if (server->waiting >= 0)
    close (server->waiting);
  mmap_channel_unref (server->channel);
  g_free (server);
}
