/* gst-mmap: a consumer's side of signalling in an area
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Made by the streaming thread, each time it looks for a producer; the rest runs on a thread of the client's own, which is never on the way
 * of a frame.
 */
#include "area-client.h"

#include "area-clock.h"
#include "atomics.h"
#include "error.h"
#include "futex.h"
#include "mailbox.h"
#include "relay-bell.h"
#include "relay.h"
#include "remote.h"
#include "token.h"
#include "wakeup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* For what the socket said last to go, while nobody reads it: then the other side is as good as gone. Chosen, untuned. */
#define FLUSH_US 100000

/* As often as somebody else may be quicker; chosen: who always is does not follow the rules. */
#define MAX_CLAIMS 1000

struct _MmapAreaClient
{
  MmapArea *area;
  guint entry;
  MmapChannelInfo producer;     /* as it was found */
  MmapLinkSlot *slot;
  gboolean again;               /* it has been refused before */
  guint64 id;
  guint64 beats;
  gint64 beat_us;               /* when the next one is due */
  MmapPulse pulse;              /* of the producer */
  gboolean served;              /* it has seen us */
  gboolean ended;               /* it has hung up, or gone */
  MmapAreaClock clock;
  gint64 clock_us;              /* until it is to be run again */
  gint has_clock;               /* atomic: it is known where the link is */
  guint32 *word;                /* atomic: see mmap_area_client_set_word(); %NULL */
  MmapRelay relay;
  MmapByteRing down;
  MmapByteRing up;
  MmapRelayBell bell;
  MmapRelayPeer peer;           /* the producer; of a client that has no slot once has_clock is set */
  int wake_fd;
  int stream;                   /* to the producer, instead of a slot; -1: none */
  GThread *thread;
  gint stop;                    /* atomic */
};

static gssize
client_push (gpointer data, const guint8 * bytes, gsize n)
{
  MmapAreaClient *client = data;

  return client->served && !client->ended ?
      mmap_byte_ring_push (&client->up, bytes, n) : 0;
}

static gssize
client_pop (gpointer data, guint8 * bytes, gsize n)
{
  MmapAreaClient *client = data;

  return client->served ? mmap_byte_ring_pop (&client->down, bytes, n) : 0;
}

static const MmapRelayWay client_way = { client_push, client_pop };

static gssize
remote_push (gpointer data, const guint8 * bytes, gsize n)
{
  MmapAreaClient *client = data;

  return mmap_remote_push (client->stream, bytes, n, &client->ended);
}

static gssize
remote_pop (gpointer data, guint8 * bytes, gsize n)
{
  MmapAreaClient *client = data;

  return mmap_remote_pop (client->stream, bytes, n, &client->ended);
}

static const MmapRelayWay remote_way = { remote_push, remote_pop };

/* --- looking for a slot --- */

static gboolean
find_channel (MmapAreaClient * client, const char *name, GError ** error)
{
  guint i;

  for (i = 0; i < MMAP_AREA_CHANNELS; i++) {
    mmap_channel_read (client->area, i, &client->producer);
    client->entry = i;
    if (client->producer.owner != 0 && client->producer.session != 0
        && strcmp (client->producer.name, name) == 0
        && !mmap_area_peer_is_gone (&client->producer.peer))
      return TRUE;
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND,
      "%s has no channel %s", client->area->path, name);
  return FALSE;
}

/* The slot that was free for longest: who had it last may not have noticed yet that it lost it.
 * Returns: (transfer none) (nullable): %NULL with an error */
static MmapLinkSlot *
find_slot (MmapAreaClient * client, GError ** error)
{
  MmapLinkSlot *best = NULL;
  guint64 best_freed = 0;
  guint i;

  if (!mmap_channel_info_get_slot (client->area, &client->producer, 0)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LAYOUT,
        "Channel %s of %s has %u link slots of %u bytes at %" G_GUINT64_FORMAT
        ", expected 1 to %d of %" G_GSIZE_FORMAT " within the area",
        client->producer.name, client->area->path, client->producer.link_count,
        client->producer.link_slot_bytes, client->producer.links_offset,
        MMAP_MAX_LINKS, sizeof (MmapLinkSlot));
    return NULL;
  }
  for (i = 0; i < client->producer.link_count; i++) {
    MmapLinkSlot *slot = mmap_channel_info_get_slot (client->area,
        &client->producer, i);
    guint64 freed = mmap_load_relaxed (&slot->mailbox.freed);

    if (mmap_load_acquire (&slot->mailbox.claim) != 0
        || mmap_load_relaxed (&slot->mailbox.served) != 0)
      continue;
    if (!best || freed < best_freed) {
      best = slot;
      best_freed = freed;
    }
  }
  if (best)
    return best;
  if (!client->again)
    mmap_channel_note_refused (client->area, client->entry);
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
      "All %u links of channel %s in %s are taken: a larger file has more",
      client->producer.link_count, client->producer.name, client->area->path);
  return NULL;
}

static void
introduce (MmapAreaClient * client)
{
  MmapMailbox *mailbox = &client->slot->mailbox;
  MmapAreaPeer self;

  mmap_area_peer_init_self (&self);
  self.doorbell = mmap_area_get_doorbell_address (client->area);
  mmap_store_relaxed (&mailbox->pid, self.pid);
  mmap_store_relaxed (&mailbox->uid, self.uid);
  mmap_store_relaxed (&mailbox->boot_id, self.boot_id);
  mmap_store_relaxed (&mailbox->pid_namespace, self.pid_namespace);
  mmap_store_relaxed (&mailbox->doorbell, self.doorbell);
  client->beats = mmap_load_relaxed (&mailbox->heartbeat);
  /* Release: the rest is there. Pairs with the acquire in slot_run_claimed(). */
  mmap_store_release (&mailbox->consumer, client->id);
}

/* FALSE with an error. */
static gboolean
claim_slot (MmapAreaClient * client, GError ** error)
{
  guint i;

  for (i = 0; i < MAX_CLAIMS; i++) {
    guint64 expected = 0;

    client->slot = find_slot (client, error);
    if (!client->slot)
      return FALSE;
    if (mmap_swap_release (&client->slot->mailbox.claim, &expected, client->id)) {
      introduce (client);
      return TRUE;
    }
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
      "No link of channel %s in %s can be had: others take and leave them all "
      "the time", client->producer.name, client->area->path);
  return FALSE;
}

/* --- the thread --- */

static void
beat (MmapAreaClient * client, gint64 now_us)
{
  if (now_us < client->beat_us)
    return;
  client->beat_us = now_us + MMAP_AREA_BEAT_US;
  mmap_store_relaxed (&client->slot->mailbox.heartbeat, ++client->beats);
}

/* Whether the producer is there, and the slot still ours. */
static gboolean
look_at_producer (MmapAreaClient * client, gint64 now_us)
{
  MmapMailbox *mailbox = &client->slot->mailbox;
  guint64 served = mmap_load_acquire (&mailbox->served);
  MmapChannelInfo now;

  if (mmap_load_relaxed (&mailbox->claim) != client->id)
    return FALSE;
  if (client->served && served != client->id)
    return FALSE;
  if (!client->served && served == client->id) {
    mmap_mailbox_init_down (client->slot, &client->down);
    mmap_mailbox_init_up (client->slot, &client->up);
    client->served = TRUE;
  }
  mmap_channel_read (client->area, client->entry, &now);
  return now.owner == client->producer.owner
      && now.session == client->producer.session
      && !mmap_area_peer_is_gone (&client->producer.peer)
      && !mmap_pulse_is_dead (&client->pulse, now.heartbeat, now_us);
}

/* Who waits for words doesn't see what becomes readable. */
static void
tell_of_news (MmapAreaClient * client)
{
  guint32 *word = mmap_load_acquire (&client->word);

  if (word)
    mmap_futex_wake_own (word);
}

/* Returns: whether anything was moved */
static gboolean
client_run (MmapAreaClient * client, gint64 now_us)
{
  /* Without a slot neither clock nor peer are there until another thread has set them. */
  gboolean has_clock = g_atomic_int_get (&client->has_clock);
  guint64 asked = has_clock ? client->clock.asked : 0;
  MmapRelayResult result;

  /* Until the socket is closed. */
  if (client->ended)
    return FALSE;
  if (client->slot) {
    beat (client, now_us);
    client->ended = !look_at_producer (client, now_us);
  }
  result = client->ended && client->served ?
      mmap_relay_drain (&client->relay) : mmap_relay_run (&client->relay);
  if (result == MMAP_RELAY_BROKEN)
    client->ended = TRUE;
  if (client->ended)
    mmap_relay_end_stream (&client->relay);
  if (client->ended || result == MMAP_RELAY_MOVED
      || mmap_guard_is_broken (client->area->guard))
    tell_of_news (client);
  client->clock_us = has_clock
      && (client->served || !client->slot) && !client->ended ?
      mmap_area_clock_run (&client->clock, now_us) : MMAP_AREA_BEAT_US;
  if (has_clock && (client->clock.asked != asked
          || (client->slot && result == MMAP_RELAY_MOVED)))
    mmap_relay_bell_ring (&client->bell, &client->peer);
  return result == MMAP_RELAY_MOVED;
}

static void
client_sleep (MmapAreaClient * client, gint64 interval_us)
{
  struct pollfd fds[3 + MMAP_RELAY_BELL_FDS] = { {client->wake_fd, POLLIN, 0} };
  struct timespec timeout = { 0, MIN (interval_us, MMAP_AREA_BEAT_US) * 1000 };

  mmap_relay_get_pollfd (&client->relay, &fds[1]);
  /* Nobody reads what the socket says after the end. */
  if (client->ended)
    fds[1].fd = -1;
  fds[2].events = mmap_relay_get_stream_events (&client->relay);
  fds[2].fd = client->ended || !fds[2].events ? -1 : client->stream;
  mmap_relay_bell_get_pollfds (&client->bell, &fds[3]);
  if (ppoll (fds, G_N_ELEMENTS (fds), &timeout, NULL) > 0)
    mmap_relay_bell_take (&client->bell, &fds[3]);
}

/* Until then the producer leaves the slot to us. */
static void
leave_slot (MmapAreaClient * client)
{
  MmapMailbox *mailbox = &client->slot->mailbox;
  guint64 id = client->id;

  if (mmap_load_relaxed (&mailbox->claim) != client->id)
    return;
  mmap_store_release (&mailbox->left, client->id);
  mmap_relay_bell_ring (&client->bell, &client->peer);
  /* The producer stands still, and has not seen us: others, or we again, may need the slot when it goes on. */
  if (!client->served && client->ended)
    mmap_swap_release (&mailbox->claim, &id, 0);
}

static gpointer
client_thread (gpointer data)
{
  MmapAreaClient *client = data;
  MmapRelayPace pace = { 0 };
  gint64 stopped_us = 0;

  for (;;) {
    gint64 now_us = g_get_monotonic_time (), interval_us;

    /* Of a stream poll(2) says when there is something. */
    interval_us = mmap_relay_pace (&pace, client_run (client, now_us),
        !client->slot || mmap_relay_bell_hears (&client->bell, &client->peer),
        now_us);
    if (g_atomic_int_get (&client->stop)) {
      if (stopped_us == 0)
        stopped_us = now_us;
      if (client->ended || (client->slot && !client->served)
          || mmap_relay_is_flushed (&client->relay)
          || now_us - stopped_us > FLUSH_US)
        break;
    }
    client_sleep (client, MIN (interval_us, client->clock_us));
  }
  if (client->slot)
    leave_slot (client);
  return NULL;
}

static void
client_init_bell (MmapAreaClient * client)
{
  MmapMailbox *mailbox = &client->slot->mailbox;
  guint32 *word = &mailbox->consumer_bell;

  mmap_relay_bell_init (&client->bell, client->area, &word, 1);
  mmap_relay_peer_init (&client->peer, &client->producer.peer,
      &mailbox->producer_bell);
  mmap_relay_bell_ring (&client->bell, &client->peer);
}

static gboolean
has_hung_up (int stream)
{
  struct pollfd fd = { stream, POLLRDHUP, 0 };

  return poll (&fd, 1, 0) > 0;
}

/* @channel: (nullable)
 * @stream: -1: it is to be looked for; (transfer full) */
static MmapAreaClient *
client_new (const char *path, MmapArea * kept, const char *channel,
    gboolean again, int stream, const MmapUsers * trusted, GSocket ** socket,
    GError ** error)
{
  MmapAreaClient *client = g_new0 (MmapAreaClient, 1);
  g_autoptr (GError) cause = NULL;

  *socket = NULL;
  client->relay.fd = client->wake_fd = -1;
  client->bell.doorbell_fd = client->bell.words_fd = -1;
  client->stream = stream;
  client->again = again;
  if (!mmap_random_id (&client->id, error))
    goto failed;
  client->area = kept ? mmap_area_ref (kept) :
      mmap_area_open_existing (path, trusted, error);
  if (!client->area || (kept && !mmap_area_check (kept, error))
      || (channel && !find_channel (client, channel, error)))
    goto failed;
  client->wake_fd = mmap_wake_fd_new ();
  if (client->wake_fd < 0) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "eventfd: %s", g_strerror (errno));
    goto failed;
  }
  *socket = mmap_relay_init (&client->relay, channel ? &client_way :
      &remote_way, client, error);
  if (!*socket || (channel && !claim_slot (client, error)))
    goto failed;
  if (channel) {
    mmap_area_clock_init (&client->clock, &client->slot->mailbox,
        mmap_area_peer_is_near (&client->producer.peer));
    client->has_clock = TRUE;
  }
  if (channel)
    client_init_bell (client);
  client->thread =
      g_thread_try_new ("mmap-area", client_thread, client, &cause);
  if (client->thread)
    return client;
  if (client->slot)
    leave_slot (client);
  g_set_error (error, MMAP_ERROR, mmap_error_from_glib (cause),
      "Can't start a thread for an area: %s", cause->message);

failed:
  /* Who ends hangs up first, and removes its file then. */
  if (stream >= 0 && has_hung_up (stream)) {
    g_clear_error (error);
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_CLOSED,
        "The producer has hung up");
  }
  g_clear_object (socket);
  mmap_area_client_free (client);
  return NULL;
}

MmapAreaClient *
mmap_area_client_new (const char *path, MmapArea * kept, const char *channel,
    gboolean again, const MmapUsers * trusted, GSocket ** socket,
    GError ** error)
{
  return client_new (path, kept, channel, again, -1, trusted, socket, error);
}

gboolean
mmap_area_client_has_lost_stream (const MmapAreaClient * client)
{
  return client->stream >= 0 && has_hung_up (client->stream);
}

MmapAreaClient *
mmap_area_client_new_remote (const char *path, MmapArea * kept, int stream,
    const MmapUsers * trusted, GSocket ** socket, GError ** error)
{
  return client_new (path, kept, NULL, FALSE, stream, trusted, socket, error);
}

void
mmap_area_client_free (MmapAreaClient * client)
{
  g_atomic_int_set (&client->stop, TRUE);
  if (client->thread) {
    mmap_wake_fd_signal (client->wake_fd);
    g_thread_join (client->thread);
  }
  mmap_relay_bell_clear (&client->bell);
  mmap_relay_clear (&client->relay);
  if (client->wake_fd >= 0)
    close (client->wake_fd);
  if (client->stream >= 0)
    close (client->stream);
  g_clear_pointer (&client->area, mmap_area_unref);
  g_clear_pointer (&client->word, g_atomic_rc_box_release);
  g_free (client);
}

MmapArea *
mmap_area_client_get_area (MmapAreaClient * client)
{
  return client->area;
}

guint32
mmap_area_client_get_producer_pid (MmapAreaClient * client)
{
  return client->producer.peer.pid;
}

MmapAreaClock *
mmap_area_client_get_clock (MmapAreaClient * client)
{
  return &client->clock;
}

const MmapAreaPeer *
mmap_area_client_get_producer (const MmapAreaClient * client)
{
  return &client->producer.peer;
}

void
mmap_area_client_set_word (MmapAreaClient * client, guint32 * word)
{
  mmap_store_release (&client->word, g_atomic_rc_box_acquire (word));
}

void
mmap_area_client_set_link (MmapAreaClient * client, guint64 offset,
    const MmapAreaPeer * producer)
{
  guint64 before = offsetof (MmapLinkSlot, link);
  MmapLinkSlot *slot;

  if (client->slot || offset < client->area->slice_bytes + before)
    return;
  slot = (MmapLinkSlot *) (client->area->base + offset - before);
  mmap_relay_peer_init (&client->peer, producer, &slot->mailbox.producer_bell);
  mmap_area_clock_init (&client->clock, &slot->mailbox, client->peer.near);
  g_atomic_int_set (&client->has_clock, TRUE);
}

guint64
mmap_area_client_get_link_offset (MmapAreaClient * client)
{
  return client->slot ?
      (guint8 *) & client->slot->link - client->area->base : 0;
}
