/* gst-mmap: the consumer: proofs that both sides know the access token
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by the handshake. A consumer that has a token takes nothing from a producer that has not proved it, and tells it nothing.
 */
#include "consumer-private.h"

#include "users.h"

void
mmap_consumer_set_secret (MmapConsumer * consumer, MmapSecret * secret)
{
  consumer->secret = secret;
}

gboolean
mmap_consumer_add_nonce (MmapConsumer * consumer, GVariantBuilder * hello,
    GError ** error)
{
  guint8 *nonce = consumer->exchange.consumer_nonce;

  if (!mmap_secret_draw_nonce (nonce, error))
    return FALSE;
  g_variant_builder_add (hello, "{sv}", "access-nonce",
      mmap_secret_bytes_to_variant (nonce, MMAP_SECRET_NONCE_BYTES));
  return TRUE;
}

/* The consumer proves first: a stranger who only connects to a producer has nothing to try its guesses on. */
static gboolean
handle_challenge (MmapConsumer * consumer, const MmapMessage * message,
    GError ** error)
{
  MmapSecretExchange *exchange = &consumer->exchange;
  MmapSecretProof proof;

  if (!mmap_secret_lookup_bytes (message->body, "access-nonce",
          exchange->producer_nonce, sizeof exchange->producer_nonce, error))
    return FALSE;
  if (!g_variant_lookup (message->body, "session", "t", &exchange->session)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "The producer's challenge doesn't say its session");
    return FALSE;
  }
  mmap_secret_prove (consumer->secret, exchange, MMAP_SECRET_CONSUMER, &proof);
  consumer->proof = CONSUMER_PROOF_SENT;
  return mmap_message_send (consumer->socket, MMAP_MESSAGE_PROOF,
      mmap_secret_proof_to_variant (&proof), NULL, 0, error);
}

static gboolean
handle_proof (MmapConsumer * consumer, const MmapMessage * message,
    GError ** error)
{
  MmapSecretProof proof;
  MmapPeer peer;

  /* In an area the socket is one of this process's own. */
  if (consumer->client) {
    peer = consumer->found;
    if (!consumer->channel)
      peer.pid = MMAP_SECRET_NO_PID;
  } else if (!mmap_peer_init (&peer, g_socket_get_fd (consumer->socket), error))
    return FALSE;
  if (!mmap_secret_proof_init_variant (&proof, message->body, error)
      || !mmap_secret_verify (consumer->secret, &consumer->exchange,
          MMAP_SECRET_PRODUCER, &proof, peer.pid, error))
    return FALSE;
  consumer->proof = CONSUMER_PROOF_DONE;
  return mmap_consumer_say_hello (consumer, consumer->socket, error);
}

gboolean
mmap_consumer_handle_proof (MmapConsumer * consumer,
    const MmapMessage * message, GError ** error)
{
  if (consumer->state == CONSUMER_GREETED
      && mmap_consumer_has_to_prove (consumer)) {
    if (message->kind == MMAP_MESSAGE_CHALLENGE
        && consumer->proof == CONSUMER_PROOF_NONE)
      return handle_challenge (consumer, message, error);
    if (message->kind == MMAP_MESSAGE_PROOF
        && consumer->proof == CONSUMER_PROOF_SENT)
      return handle_proof (consumer, message, error);
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The producer sent a message of kind %d out of turn", message->kind);
  return FALSE;
}

gboolean
mmap_consumer_has_to_prove (const MmapConsumer * consumer)
{
  /* Through an application's channel it is the application that knows whose offer it is. */
  return consumer->secret && !consumer->is_carried
      && consumer->proof != CONSUMER_PROOF_DONE;
}

gboolean
mmap_consumer_may_be_offered (const MmapConsumer * consumer, guint64 session,
    GError ** error)
{
  if (mmap_consumer_has_to_prove (consumer))
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_ACCESS_TOKEN,
        "The producer has not proved that it knows the access token: give both "
        "sides the same access-token, or none");
  else if (consumer->secret && !consumer->is_carried
      && session != consumer->exchange.session)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SESSION,
        "The offer is of another session than the proof of the access token");
  else
    return TRUE;
  return FALSE;
}
