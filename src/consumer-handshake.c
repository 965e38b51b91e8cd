/* gst-mmap: the consumer: handshake
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from mmap_consumer_next(): a producer is looked for, greeted, and listened to. What it offers is taken in consumer-offer.c.
 */
#include "consumer-private.h"

#include "address.h"
#include "atomics.h"
#include "foreign.h"

#include <poll.h>
#include <time.h>

/* How long to wait between two looks for a producer that isn't there yet: a part of the time since the first, so that two processes
 * that start together find each other at once; chosen, untuned. */
#define SEARCH_INTERVAL_MIN_US 100
#define SEARCH_INTERVAL_MAX_US 20000
#define SEARCH_INTERVAL_PART 8

/* A socket belongs to its user alone until it gets its mode and group: who may not connect looks again so long; chosen, untuned. */
#define DENIED_US 200000

/* How often it is looked, while a producer that was found is waited for, whether that has taken too long: how long that is may be changed
 * meanwhile. Chosen, untuned. */
#define PATIENCE_INTERVAL_US (G_USEC_PER_SEC / 2)

gboolean
mmap_consumer_wait_for (MmapConsumer * consumer, int fd, gint64 timeout_us)
{
  struct timespec timeout = { timeout_us / G_USEC_PER_SEC,
    timeout_us % G_USEC_PER_SEC * 1000
  };
  struct pollfd fds[2] = {
    {consumer->cancel_fd, POLLIN, 0},
    {fd, POLLIN, 0},
  };

  ppoll (fds, G_N_ELEMENTS (fds), &timeout, NULL);
  return !g_atomic_int_get (&consumer->cancelled);
}

/* Between two looks. */
static void
wait_to_search (MmapConsumer * consumer)
{
  gint64 searched = g_get_monotonic_time () - consumer->wait_began;
  gint64 interval = CLAMP (searched / SEARCH_INTERVAL_PART,
      SEARCH_INTERVAL_MIN_US, SEARCH_INTERVAL_MAX_US);

  mmap_consumer_wait_for (consumer, -1, MIN (interval,
          mmap_consumer_get_wait_left (consumer)));
}

gboolean
mmap_consumer_say_hello (MmapConsumer * consumer, GSocket * socket,
    GError ** error)
{
  g_auto (GVariantBuilder) body =
      G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);

  g_variant_builder_add (&body, "{sv}", "protocol",
      g_variant_new_uint32 (MMAP_PROTOCOL_VERSION));
  if (mmap_consumer_has_to_prove (consumer)) {
    if (!mmap_consumer_add_nonce (consumer, &body, error))
      return FALSE;
  } else {
    g_mutex_lock (&consumer->lock);
    if (consumer->media)
      g_variant_builder_add (&body, "{sv}", "media",
          g_variant_new_string (consumer->media));
    g_mutex_unlock (&consumer->lock);
    mmap_consumer_add_kernel (consumer, &body);
  }
  return mmap_message_send (socket, MMAP_MESSAGE_HELLO,
      g_variant_builder_end (&body), NULL, 0, error);
}

/* Whether mmap_consumer_accept_offer() was called. */
static gboolean
search_carried (MmapConsumer * consumer)
{
  g_mutex_lock (&consumer->receive_lock);
  if (consumer->socket)
    consumer->state = CONSUMER_GREETED;
  g_mutex_unlock (&consumer->receive_lock);
  return consumer->state == CONSUMER_GREETED;
}

/* The default directory is made by the producer. Another one may have been mistyped; not if there was a producer in it. */
static gboolean
is_nobody_there (MmapConsumer * consumer, const GError * error)
{
  return g_error_matches (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND)
      || (g_error_matches (error, MMAP_ERROR, MMAP_ERROR_NO_DIRECTORY)
      && ((!consumer->address && !consumer->area_file)
          || mmap_load_relaxed (&consumer->stats.links)));
}

/* Whether a producer may just be about to let us in. */
static gboolean
is_denied_yet (MmapConsumer * consumer, const GError * error)
{
  gint64 now = g_get_monotonic_time ();

  if (!g_error_matches (error, MMAP_ERROR, MMAP_ERROR_PERMISSION)) {
    consumer->denied_us = 0;
    return FALSE;
  }
  if (consumer->denied_us == 0)
    consumer->denied_us = now;
  return now < consumer->denied_us + DENIED_US;
}

/* Before anything that the producer says is believed, or it is told anything. */
static gboolean
check_user (MmapConsumer * consumer, GSocket * socket, const char *address,
    GError ** error)
{
  gboolean allowed;
  MmapPeer peer;

  if (!mmap_peer_init (&consumer->found, g_socket_get_fd (socket), error))
    return FALSE;
  peer = consumer->found;
  g_mutex_lock (&consumer->lock);
  allowed = mmap_users_have (consumer->allowed, peer.uid);
  g_mutex_unlock (&consumer->lock);
  if (allowed)
    return TRUE;
  if (mmap_users_is_unknown (peer.uid))
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_USER,
        "The producer at %s is run by a user that the consumer's user "
        "namespace doesn't know (it reads as %u): only allowed-uids=any of "
        "mmapsrc trusts it", address, peer.uid);
  else
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_USER,
        "The producer at %s is run by user %u, whom the consumer doesn't "
        "trust: if it should, name that user in allowed-uids of mmapsrc",
        address, peer.uid);
  return FALSE;
}

/* @found: (transfer full) (nullable): of a producer
 * @failure: (transfer full): why there is none
 * FALSE without an error: nobody there yet. */
static gboolean
greet (MmapConsumer * consumer, GSocket * found, GError * failure,
    GError ** error)
{
  g_autoptr (GSocket) socket = found;
  g_autoptr (GError) cause = failure;

  consumer->proof = CONSUMER_PROOF_NONE;
  /* A producer that has refused already doesn't hear it: what it said is still to be read. */
  if (socket && (mmap_consumer_say_hello (consumer, socket, &cause)
          || g_error_matches (cause, MMAP_ERROR, MMAP_ERROR_CLOSED))) {
    g_mutex_lock (&consumer->receive_lock);
    consumer->denied_us = 0;
    consumer->socket = g_steal_pointer (&socket);
    consumer->state = CONSUMER_GREETED;
    g_mutex_unlock (&consumer->receive_lock);
    return TRUE;
  }
  mmap_foreign_close_socket (socket);
  g_clear_object (&socket);
  mmap_consumer_leave_area (consumer);
  if (!is_denied_yet (consumer, cause) && !is_nobody_there (consumer, cause))
    g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

/* One look for a producer. FALSE without an error: nobody there yet. */
static gboolean
search (MmapConsumer * consumer, GError ** error)
{
  g_autoptr (GError) cause = NULL;
  g_autoptr (GSocket) socket = NULL;
  g_autofree char *address = NULL;

  if (consumer->is_carried)
    return search_carried (consumer);
  if (consumer->area_file) {
    socket = mmap_consumer_search_area (consumer, &cause);
    return greet (consumer, g_steal_pointer (&socket),
        g_steal_pointer (&cause), error);
  }
  address = consumer->address ? g_strdup (consumer->address) :
      mmap_address_get_default (FALSE, error);
  if (!address)
    return FALSE;
  socket = mmap_address_connect (address, &cause);
  if (socket && !check_user (consumer, socket, address, error)) {
    mmap_foreign_close_socket (socket);
    return FALSE;
  }
  return greet (consumer, g_steal_pointer (&socket), g_steal_pointer (&cause),
      error);
}

static gboolean
handle_message (MmapConsumer * consumer, MmapMessage * message, GError ** error)
{
  switch (message->kind) {
    case MMAP_MESSAGE_OFFER:
      return mmap_consumer_handle_offer (consumer, message, error);
    case MMAP_MESSAGE_ACCEPT:
      if (consumer->state == CONSUMER_GREETED && consumer->region) {
        consumer->state = CONSUMER_UP;
        mmap_consumer_open_peer (consumer);
        mmap_add_relaxed (&consumer->stats.links, 1);
        return TRUE;
      }
      break;
    case MMAP_MESSAGE_REFUSE:
      mmap_message_get_refusal (message, error);
      return FALSE;
    case MMAP_MESSAGE_CHALLENGE:
    case MMAP_MESSAGE_PROOF:
      return mmap_consumer_handle_proof (consumer, message, error);
    case MMAP_MESSAGE_EVENT:
    case MMAP_MESSAGE_RESULT:
      if (consumer->state == CONSUMER_UP)
        return mmap_consumer_take_message (consumer, message, error);
      break;
    default:
      break;
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The producer sent a message of kind %d out of turn", message->kind);
  return FALSE;
}

/* An offer that was taken back can't be right any more: its token is wiped, its file another one's. What the producer has said since, or that
 * it has gone, is the error then. */
static void
look_behind_locked (MmapConsumer * consumer, GError ** error)
{
  g_auto (MmapMessage) message = { 0 };
  g_autoptr (GError) newer = NULL;

  if (consumer->state != CONSUMER_GREETED || consumer->is_carried)
    return;
  if (mmap_message_receive (consumer->socket, TRUE, &message, &newer)
      && message.kind == MMAP_MESSAGE_REFUSE)
    mmap_message_get_refusal (&message, &newer);
  /* What comes through a stream may not be here yet. */
  if (consumer->client && mmap_area_client_has_lost_stream (consumer->client)
      && (!newer || g_error_matches (newer, MMAP_ERROR, MMAP_ERROR_NOT_FOUND))) {
    g_clear_error (&newer);
    g_set_error (&newer, MMAP_ERROR, MMAP_ERROR_CLOSED,
        "The producer has hung up");
  }
  if (!newer || g_error_matches (newer, MMAP_ERROR, MMAP_ERROR_NOT_FOUND))
    return;
  g_clear_error (error);
  g_propagate_error (error, g_steal_pointer (&newer));
}

static gboolean
receive_locked (MmapConsumer * consumer, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  if (consumer->failure) {
    g_propagate_error (error, g_steal_pointer (&consumer->failure));
    return FALSE;
  }
  for (;;) {
    g_auto (MmapMessage) message = { 0 };

    if (!mmap_message_receive (consumer->socket, TRUE, &message, &cause))
      break;
    if (!handle_message (consumer, &message, &cause)) {
      if (message.kind == MMAP_MESSAGE_OFFER)
        look_behind_locked (consumer, &cause);
      break;
    }
  }

  if (g_error_matches (cause, MMAP_ERROR, MMAP_ERROR_NOT_FOUND))
    return TRUE;
  if (g_error_matches (cause, MMAP_ERROR, MMAP_ERROR_CLOSED)) {
    g_atomic_int_set (&consumer->hung_up, TRUE);
    return TRUE;
  }
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

gboolean
mmap_consumer_receive (MmapConsumer * consumer, GError ** error)
{
  gboolean received;

  g_mutex_lock (&consumer->receive_lock);
  received = receive_locked (consumer, error);
  g_mutex_unlock (&consumer->receive_lock);
  return received;
}

gboolean
mmap_consumer_receive_for_peer (MmapConsumer * consumer, GSocket * peer)
{
  g_autoptr (GError) error = NULL;
  gboolean open = FALSE;

  g_mutex_lock (&consumer->receive_lock);
  if (consumer->socket == peer && !consumer->failure) {
    if (!receive_locked (consumer, &error)) {
      consumer->failure = g_steal_pointer (&error);
      /* The thread that calls next() may sleep on the socket: now it is readable for good, and next() looks. */
      g_socket_shutdown (peer, TRUE, FALSE, NULL);
    } else {
      open = !g_atomic_int_get (&consumer->hung_up);
    }
    mmap_futex_wake_own (consumer->word);
  }
  g_mutex_unlock (&consumer->receive_lock);
  return open;
}

/* While a producer is looked for: FALSE without an error: it is not to be waited for any longer. */
static gboolean
try_search (MmapConsumer * consumer, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  if (search (consumer, &cause)) {
    mmap_consumer_note_greeting (consumer);
    return TRUE;
  }
  if (cause) {
    g_propagate_error (error, g_steal_pointer (&cause));
    return FALSE;
  }
  /* What lacked was of one that isn't there any more. */
  consumer->lacking = 0;
  if (mmap_consumer_get_wait_left (consumer) == 0)
    return FALSE;
  wait_to_search (consumer);
  return TRUE;
}

/* The producer's end of the handshake. As try_search(). */
static gboolean
try_greet (MmapConsumer * consumer, GError ** error)
{
  g_autoptr (GError) cause = NULL;
  gint64 left = mmap_consumer_get_wait_left (consumer);

  if (!mmap_consumer_wait_for (consumer, g_socket_get_fd (consumer->socket),
          MIN (left, PATIENCE_INTERVAL_US)))
    return TRUE;
  if (!mmap_consumer_receive (consumer, &cause)) {
    /* This process was stopped for longer than a producer waits for an answer: it may ask again. */
    if (consumer->is_carried
        || !g_error_matches (cause, MMAP_ERROR, MMAP_ERROR_TIMEOUT)) {
      g_propagate_error (error, g_steal_pointer (&cause));
      return FALSE;
    }
    consumer->hung_up = TRUE;
  }
  /* A link that is up has frames to hand out, even if the producer has gone meanwhile. */
  if (consumer->state == CONSUMER_UP)
    return TRUE;
  left = mmap_consumer_get_wait_left (consumer);
  if (!consumer->hung_up)
    return left > 0;
  /* It went before the link was up: as if it had not been there. */
  mmap_consumer_disconnect (consumer);
  left = mmap_consumer_get_wait_left (consumer);
  mmap_consumer_wait_for (consumer, -1, MIN (left, SEARCH_INTERVAL_MAX_US));
  return left > 0;
}

MmapNextResult
mmap_consumer_connect (MmapConsumer * consumer, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  mmap_consumer_begin_wait (consumer);
  while (!g_atomic_int_get (&consumer->cancelled)) {
    gboolean more;

    /* Somebody may still have frames of an earlier link. */
    if (!mmap_consumer_check_memory (consumer, &cause))
      more = FALSE;
    else
      more = consumer->state == CONSUMER_SEARCHING ?
          try_search (consumer, &cause) : try_greet (consumer, &cause);

    if (cause && mmap_consumer_try_again (consumer, cause)) {
      g_clear_error (&cause);
      continue;
    }
    if (!more && !cause)
      mmap_consumer_give_up (consumer, &cause);
    if (consumer->state == CONSUMER_UP)
      consumer->lacking = 0;
    if (!more || consumer->state == CONSUMER_UP)
      consumer->waited_us = 0;
    if (!more) {
      g_propagate_error (error, g_steal_pointer (&cause));
      return MMAP_NEXT_ERROR;
    }
    if (consumer->state == CONSUMER_UP)
      return MMAP_NEXT_CONNECTED;
  }
  mmap_consumer_pause_wait (consumer);
  return MMAP_NEXT_CANCELLED;
}
