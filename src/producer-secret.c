/* gst-mmap: the producer: consumers prove that they know the access token
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Before a link is anything but a number and a socket: whoever does not prove it is told nothing but that, a while later. Runs on the service
 * thread, with the producer's lock.
 */
#include "producer-private.h"

/* How long a consumer that has proved nothing waits for its refusal, and keeps its slot, even if it hangs up; and how many of one user may
 * do so at once: together, how fast one can guess. Chosen, untuned: a few a second are no use, and leave most slots to others. */
#define DENY_DELAY_MS 1000
#define MAX_DENIED 4

void
mmap_producer_set_secret (MmapProducer * producer, MmapSecret * secret)
{
  producer->secret = secret;
}

static guint
count_denied_locked (MmapProducer * producer, guint32 uid)
{
  guint i, n = 0;

  for (i = 0; i < MMAP_MAX_LINKS; i++) {
    const MmapProducerLink *link = producer->links[i];

    if (link && link->state == LINK_DENIED && link->uid == uid)
      n++;
  }
  return n;
}

static gboolean
link_deny_now (gpointer data)
{
  MmapProducerLink *link = data;
  MmapProducer *producer = link->producer;

  g_mutex_lock (&producer->lock);
  if (link->state == LINK_DENIED)
    mmap_producer_link_end_locked (link, link->refusal);
  mmap_producer_unlock (producer);
  return G_SOURCE_REMOVE;
}

/* Refuses the link, later. FALSE: at once, as it has nothing to gain by that.
 * @reason: (transfer none) */
static gboolean
link_deny_locked (MmapProducerLink * link, const GError * reason)
{
  if (count_denied_locked (link->producer, link->uid) >= MAX_DENIED)
    return FALSE;
  link->state = LINK_DENIED;
  link->refusal = g_error_copy (reason);
  /* Nothing that it says is heard any more, nor that it hangs up. */
  g_source_destroy (link->source);
  g_source_destroy (link->timeout);
  g_source_unref (link->timeout);
  mmap_producer_link_set_timeout_locked (link, DENY_DELAY_MS, link_deny_now);
  return TRUE;
}

gboolean
mmap_producer_link_needs_proof (const MmapProducerLink * link,
    const MmapMessage * hello)
{
  g_autoptr (GVariant) nonce =
      g_variant_lookup_value (hello->body, "access-nonce", NULL);

  /* Who asks for a proof that we can't give is not to be answered with anything else. */
  return !link->proved && (link->producer->secret || nonce);
}

static gboolean
link_send_challenge_locked (MmapProducerLink * link, GError ** error)
{
  MmapSecretExchange *exchange = &link->exchange;
  GVariantBuilder body;

  if (!mmap_secret_draw_nonce (exchange->producer_nonce, error))
    return FALSE;
  exchange->session = link->producer->session;
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "access-nonce",
      mmap_secret_bytes_to_variant (exchange->producer_nonce,
          sizeof exchange->producer_nonce));
  g_variant_builder_add (&body, "{sv}", "session",
      g_variant_new_uint64 (exchange->session));
  link->state = LINK_CHALLENGED;
  return mmap_message_send (link->socket, MMAP_MESSAGE_CHALLENGE,
      g_variant_builder_end (&body), NULL, 0, error);
}

gboolean
mmap_producer_link_challenge_locked (MmapProducerLink * link,
    const MmapMessage * hello, GError ** error)
{
  g_autoptr (GError) cause = NULL;
  g_autoptr (GVariant) nonce =
      g_variant_lookup_value (hello->body, "access-nonce", NULL);

  if (!link->producer->secret)
    cause = g_error_new (MMAP_ERROR, MMAP_ERROR_ACCESS_TOKEN,
        "The consumer has an access token, and the producer has none that it "
        "could prove: give both sides the same access-token, or none");
  else if (!nonce)
    cause = g_error_new (MMAP_ERROR, MMAP_ERROR_ACCESS_TOKEN,
        "The producer asks for an access token, and the consumer has none: "
        "give both sides the same access-token");
  else
    return mmap_secret_lookup_bytes (hello->body, "access-nonce",
        link->exchange.consumer_nonce, MMAP_SECRET_NONCE_BYTES, error)
        && link_send_challenge_locked (link, error);

  if (link_deny_locked (link, cause))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

static gboolean
link_check_proof_locked (MmapProducerLink * link, const MmapMessage * message,
    GError ** error)
{
  MmapSecret *secret = link->producer->secret;
  MmapSecretProof theirs, ours;
  guint32 pid = link->is_remote ? MMAP_SECRET_NO_PID : link->pid;

  if (!mmap_secret_proof_init_variant (&theirs, message->body, error)
      || !mmap_secret_verify (secret, &link->exchange, MMAP_SECRET_CONSUMER,
          &theirs, pid, error))
    return FALSE;
  mmap_secret_prove (secret, &link->exchange, MMAP_SECRET_PRODUCER, &ours);
  link->proved = TRUE;
  /* Now it says hello again, as one does without a token. */
  link->state = LINK_GREETING;
  return mmap_message_send (link->socket, MMAP_MESSAGE_PROOF,
      mmap_secret_proof_to_variant (&ours), NULL, 0, error);
}

gboolean
mmap_producer_link_handle_proof_locked (MmapProducerLink * link,
    const MmapMessage * message, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  /* Not even looked at: or who connects often enough could guess as often. */
  if (count_denied_locked (link->producer, link->uid) >= MAX_DENIED) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "User %u has tried %d wrong access tokens within the last %d ms: try "
        "again later", link->uid, MAX_DENIED, DENY_DELAY_MS);
    return FALSE;
  }
  if (link_check_proof_locked (link, message, &cause))
    return TRUE;
  if (g_error_matches (cause, MMAP_ERROR, MMAP_ERROR_ACCESS_TOKEN)
      && link_deny_locked (link, cause))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}
