/* gst-mmap: fuzz target: the proof of an access token, as either side hears it
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The input's first byte says who is hostile: up to four consumers, or the producer. Who has not proved that it knows the token is offered nothing, and
 * its offers are not taken.
 */
#include "fuzz-consumer.h"
#include "fuzz-producer.h"

#include "consumer-private.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_STEPS 50

/* The right one, and another one. */
static MmapSecret *right, *wrong;

static const FuzzKey keys[] = {
  {"protocol", "u"}, {"access-nonce", "ay"}, {"session", "t"},
  {"proof", "ay"}, {"pid", "u"}, {"pid-namespace", "t"}, {"media", "s"},
  {NULL, NULL}
};

void
fuzz_start (void)
{
  static const char token[] = "0123456789abcdef";

  right = mmap_secret_new (token, 16, "token", NULL);
  wrong = mmap_secret_new ("0123456789abcdeF", 16, "token", NULL);
  fuzz_assert (right && wrong);
}

static GVariant *
edit (FuzzInput * input, GVariant * floating)
{
  return fuzz_edit_dict (input, g_variant_ref_sink (floating), keys,
      &fuzz_message_words);
}

/* With a nonce, a session and a protocol, if they are not 0. */
static GVariant *
make_greeting (guint32 protocol, guint64 session, const guint8 * nonce)
{
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  if (protocol)
    g_variant_builder_add (&body, "{sv}", "protocol",
        g_variant_new_uint32 (protocol));
  if (session)
    g_variant_builder_add (&body, "{sv}", "session",
        g_variant_new_uint64 (session));
  if (nonce)
    g_variant_builder_add (&body, "{sv}", "access-nonce",
        mmap_secret_bytes_to_variant (nonce, MMAP_SECRET_NONCE_BYTES));
  return g_variant_builder_end (&body);
}

/* Returns: whether it is the right one, as far as the input didn't change it on the way */
static gboolean
send_proof (FuzzInput * input, int fd, const MmapSecretExchange * exchange,
    MmapSecretRole role)
{
  guint8 choice = fuzz_byte (input);
  MmapSecret *secret = choice < 192 ? right : wrong;
  MmapSecretProof proof;

  mmap_secret_prove (secret, exchange, role, &proof);
  if (choice >= 240)
    proof.pid++;
  fuzz_send (input, fd, MMAP_MESSAGE_PROOF, edit (input,
          mmap_secret_proof_to_variant (&proof)), NULL, 0);
  return secret == right;
}

/* --- a producer, and consumers that have to prove it --- */

typedef struct
{
  FuzzProducer producer;
  gboolean proved[FUZZ_MAX_PEERS];      /* with the right token */
} Guarded;

static void
say_hello (FuzzInput * input, FuzzPeer * peer)
{
  gboolean plain = fuzz_one_in (input, 2);

  memset (peer->exchange.consumer_nonce, fuzz_byte (input),
      MMAP_SECRET_NONCE_BYTES);
  fuzz_send (input, peer->fd, MMAP_MESSAGE_HELLO, edit (input,
          make_greeting (MMAP_PROTOCOL_VERSION, 0,
              plain ? NULL : peer->exchange.consumer_nonce)), NULL, 0);
}

static void
answer (FuzzInput * input, FuzzPeer * peer)
{
  GVariant *body = fuzz_peer_make_answer (peer);

  if (body)
    fuzz_send (input, peer->fd, MMAP_MESSAGE_ANSWER, body, NULL, 0);
}

static void
producer_step (Guarded * self, FuzzInput * input)
{
  guint i = fuzz_below (input, FUZZ_MAX_PEERS);
  FuzzPeer *peer = &self->producer.peers[i];
  guint choice = fuzz_below (input, 9);

  if (peer->fd < 0 && choice < 7)
    choice = 0;
  switch (choice) {
    case 0:
      fuzz_peer_connect (&self->producer, peer, FALSE);
      self->proved[i] = FALSE;
      break;
    case 1:
      say_hello (input, peer);
      break;
    case 2:
    case 3:
      fuzz_peer_receive (peer);
      if (send_proof (input, peer->fd, &peer->exchange, MMAP_SECRET_CONSUMER))
        self->proved[i] = TRUE;
      break;
    case 4:
      fuzz_peer_receive (peer);
      answer (input, peer);
      break;
    case 5:
      fuzz_send (input, peer->fd, fuzz_below (input, 16), edit (input,
              make_greeting (0, 1, NULL)), NULL, 0);
      break;
    case 6:
      if (fuzz_one_in (input, 2))
        fuzz_peer_close (peer);
      else
        shutdown (peer->fd, SHUT_WR);
      break;
    default:
      fuzz_producer_act (&self->producer, input);
      break;
  }
}

static void
run_producer (FuzzInput * input)
{
  Guarded self = { 0 };
  guint i, j;

  fuzz_producer_init (&self.producer);
  mmap_producer_set_secret (self.producer.producer, mmap_secret_ref (right));
  for (i = 0; i < MAX_STEPS && input->size > 0; i++) {
    producer_step (&self, input);
    fuzz_producer_serve (&self.producer);
    for (j = 0; j < FUZZ_MAX_PEERS; j++)
      fuzz_assert (self.proved[j] || !self.producer.peers[j].has_offer);
  }
  fuzz_producer_clear (&self.producer);
}

/* --- a consumer, and a producer that has to prove it --- */

typedef struct
{
  FuzzConsumer consumer;
  MmapSecretExchange exchange;
  gboolean proved;              /* with the right token */
} Guard;

static void
hear (Guard * self)
{
  g_autoptr (GSocket) socket =
      g_socket_new_from_fd (dup (self->consumer.fd), NULL);
  gboolean more = TRUE;

  while (more) {
    g_auto (MmapMessage) message = { 0 };
    MmapSecretProof proof;

    more = mmap_message_receive (socket, TRUE, &message, NULL);
    if (more && message.kind == MMAP_MESSAGE_HELLO)
      mmap_secret_lookup_bytes (message.body, "access-nonce",
          self->exchange.consumer_nonce, MMAP_SECRET_NONCE_BYTES, NULL);
    if (more && message.kind == MMAP_MESSAGE_PROOF)
      fuzz_assert (mmap_secret_proof_init_variant (&proof, message.body, NULL));
  }
}

/* As search() does, to somebody who listens. */
static void
find_producer (Guard * self)
{
  MmapConsumer *consumer = self->consumer.consumer;

  if (consumer->socket)
    return;
  self->proved = FALSE;
  fuzz_consumer_connect (&self->consumer);
  fuzz_assert (mmap_peer_init (&consumer->found,
          g_socket_get_fd (consumer->socket), NULL));
  consumer->proof = CONSUMER_PROOF_NONE;
  fuzz_assert (mmap_consumer_say_hello (consumer, consumer->socket, NULL));
  consumer->state = CONSUMER_GREETED;
}

static void
send_challenge (Guard * self, FuzzInput * input)
{
  MmapSecretExchange *exchange = &self->exchange;

  memset (exchange->producer_nonce, fuzz_byte (input), MMAP_SECRET_NONCE_BYTES);
  exchange->session = FUZZ_SESSION + fuzz_one_in (input, 16);
  fuzz_send (input, self->consumer.fd, MMAP_MESSAGE_CHALLENGE, edit (input,
          make_greeting (0, exchange->session, exchange->producer_nonce)),
      NULL, 0);
}

static void
send_offer (Guard * self, FuzzInput * input)
{
  GVariant *offer = fuzz_consumer_make_offer (&self->consumer);
  int fds[2];
  guint n = fuzz_consumer_get_fds (&self->consumer, !self->consumer.up, fds);

  fuzz_send (input, self->consumer.fd, MMAP_MESSAGE_OFFER, offer, fds, n);
}

static void
consumer_step (Guard * self, FuzzInput * input)
{
  int fd = self->consumer.fd;
  guint choice = fuzz_below (input, 8);

  switch (fd < 0 || !self->consumer.consumer->socket ? 0 : choice) {
    case 0:
      find_producer (self);
      break;
    case 1:
      send_challenge (self, input);
      break;
    case 2:
      hear (self);
      if (send_proof (input, fd, &self->exchange, MMAP_SECRET_PRODUCER))
        self->proved = TRUE;
      break;
    case 3:
      send_offer (self, input);
      break;
    case 4:
      fuzz_send (input, fd, MMAP_MESSAGE_ACCEPT, fuzz_body (input), NULL, 0);
      break;
    case 5:
      fuzz_send (input, fd, fuzz_below (input, 16), edit (input,
              make_greeting (0, 1, NULL)), NULL, 0);
      break;
    case 6:
      if (fuzz_one_in (input, 4))
        shutdown (fd, SHUT_WR);
      break;
    default:
      break;
  }
  if (!fuzz_one_in (input, 4))
    fuzz_consumer_read (&self->consumer, input, 4);
  fuzz_assert (self->proved || !self->consumer.consumer->region);
}

static void
run_consumer (FuzzInput * input)
{
  Guard self = { 0 };
  guint i;

  fuzz_consumer_init (&self.consumer);
  self.consumer.consumer->is_carried = FALSE;
  g_free (self.consumer.consumer->address);
  self.consumer.consumer->address = g_strdup ("@gst-mmap-fuzz-nobody");
  mmap_consumer_set_secret (self.consumer.consumer, mmap_secret_ref (right));
  for (i = 0; i < MAX_STEPS && input->size > 0; i++)
    consumer_step (&self, input);
  fuzz_consumer_read (&self.consumer, input, 8);
  fuzz_consumer_clear (&self.consumer);
}

void
fuzz_run (FuzzInput * input)
{
  if (fuzz_byte (input) & 1)
    run_consumer (input);
  else
    run_producer (input);
}
