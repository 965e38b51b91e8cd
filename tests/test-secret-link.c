/* gst-mmap: tests of the access token between a producer and its consumers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Both sides by the rules, and each beside one that breaks them. The time that a refusal waits is not waited for: the
 * timers are this program's.
 */
#include "secret.h"
#include "leak-check.h"
#include "peers.h"
#include "producer-private.h"

#include <gmodule.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define TOKEN "correct horse battery staple"
#define OTHER_TOKEN "correct horse battery stable"

/* Of src/producer-secret.c. */
#define DENY_DELAY_MS 1000
#define MAX_DENIED 4

static char *address;

/* --- timers --- */

static gint deny_ms;            /* atomic: what takes the place of the delay */
static gint n_delays;           /* atomic: refusals that were to wait */
static GSource *handshake;      /* atomic: the last time-out of a handshake */

/* @source: (transfer full) (nullable) */
static void
set_handshake (GSource * source)
{
  GSource *old = g_atomic_pointer_get (&handshake);

  g_atomic_pointer_set (&handshake, source);
  g_clear_pointer (&old, g_source_unref);
}

GSource *__real_g_timeout_source_new (guint interval);
/* Exported, as libraries call what is wrapped, too. */
G_MODULE_EXPORT GSource *__wrap_g_timeout_source_new (guint interval);

GSource *
__wrap_g_timeout_source_new (guint interval)
{
  GSource *source;

  if (interval == DENY_DELAY_MS) {
    g_atomic_int_inc (&n_delays);
    return __real_g_timeout_source_new (g_atomic_int_get (&deny_ms));
  }
  source = __real_g_timeout_source_new (interval);
  if (interval == HANDSHAKE_TIMEOUT_MS)
    set_handshake (g_source_ref (source));
  return source;
}

/* --- both sides --- */

static MmapSecret *
make_secret (const char *token)
{
  GError *error = NULL;
  MmapSecret *secret = token ? mmap_secret_new (token, strlen (token),
      "access-token", &error) : NULL;

  g_assert_no_error (error);
  return secret;
}

/* @capacity: 0: without a region */
static MmapProducer *
make_guarded (const char *where, const char *token, guint64 capacity)
{
  GError *error = NULL;
  MmapProducer *producer =
      mmap_producer_new (where, NULL, MMAP_TOKEN_DEFAULT_BYTES, &error);

  g_assert_no_error (error);
  mmap_producer_set_secret (producer, make_secret (token));
  g_assert_true (mmap_producer_start (producer, NULL));
  if (capacity > 0) {
    mmap_producer_set_region (producer, mmap_producer_size_for (capacity),
        G_MAXUINT64, "video/x-test", &error);
    g_assert_no_error (error);
  }
  return producer;
}

typedef struct
{
  MmapConsumer *consumer;
  GThread *thread;
  MmapNextResult next;
  guint64 frames;
  GError *error;
} Client;

/* Until there is an error, or @frames have come. */
static gpointer
consume (gpointer data)
{
  Client *client = data;
  guint64 wanted = client->frames;
  MmapItem item;

  client->frames = 0;
  do {
    client->next = mmap_consumer_next (client->consumer, &item, &client->error);
    if (client->next == MMAP_NEXT_FRAME) {
      check_frame (&item, item.descriptor.pts);
      client->frames++;
      release_item (&item);
    } else if (client->next == MMAP_NEXT_EVENT) {
      mmap_item_clear (&item);
    }
  } while (client->next != MMAP_NEXT_ERROR && client->frames < wanted);
  return NULL;
}

static void
client_begin (Client * client, const char *where, const char *token,
    guint64 frames)
{
  GError *error = NULL;

  memset (client, 0, sizeof *client);
  client->frames = frames;
  client->consumer = mmap_consumer_new (where, &error);
  g_assert_no_error (error);
  mmap_consumer_set_secret (client->consumer, make_secret (token));
  mmap_consumer_set_media (client->consumer, "video/x-secret");
  client->thread = g_thread_new ("client", consume, client);
}

/* @reason: (nullable): no error */
static void
client_end (Client * client, MmapError code, const char *reason)
{
  g_thread_join (client->thread);
  if (reason) {
    g_assert_cmpint (client->next, ==, MMAP_NEXT_ERROR);
    check_error (&client->error, code, reason);
    g_assert_cmpuint (client->frames, ==, 0);
  }
  g_assert_no_error (client->error);
  mmap_consumer_free (client->consumer);
}

/* A consumer that knows the token gets a frame, whatever the others do. */
static void
check_serves (MmapProducer * producer, const char *token)
{
  guint before = mmap_producer_get_n_links (producer);
  Client client;

  client_begin (&client, address, token, 3);
  wait_for_links (producer, before + 1);
  publish_frame (producer, 1, 1024);
  publish_frame (producer, 2, 1024);
  publish_frame (producer, 3, 1024);
  client_end (&client, 0, NULL);
  wait_for_links (producer, before);
  wait_for_held (producer, 0);
}

/* @n refusals for @code, and nothing else, were counted. */
static void
end_counted (MmapProducer * producer, MmapError code, guint64 n)
{
  MmapProducerStats stats;
  guint i;

  wait_for_failures (producer, code, n);
  mmap_producer_get_stats (producer, &stats);
  for (i = 0; i < MMAP_N_ERRORS; i++)
    g_assert_cmpuint (stats.failures[i], ==, i == code ? n : 0);
  end_producer (producer);
}

static void
test_right (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);

  check_serves (producer, TOKEN);
  check_serves (producer, TOKEN);
  g_assert_cmpint (g_atomic_int_get (&n_delays), ==, 0);
  end_counted (producer, MMAP_ERROR_ACCESS_TOKEN, 0);
}

/* Whoever comes first. */
static void
test_waits (void)
{
  MmapProducer *producer;
  Client client;

  client_begin (&client, address, TOKEN, 1);
  producer = make_guarded (address, TOKEN, 0);
  mmap_producer_set_region (producer, mmap_producer_size_for (MIB), G_MAXUINT64,
      NULL, NULL);
  wait_for_links (producer, 1);
  publish_frame (producer, 1, 1024);
  client_end (&client, 0, NULL);
  end_counted (producer, MMAP_ERROR_ACCESS_TOKEN, 0);
}

/* Another session is another proof; a region that is replaced isn't. */
static void
test_next_session (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  Client client;

  client_begin (&client, address, TOKEN, 3);
  wait_for_links (producer, 1);
  publish_frame (producer, 1, 1024);
  g_assert_true (mmap_producer_set_region (producer,
          mmap_producer_size_for (2 * MIB), G_MAXUINT64, NULL, NULL));
  publish_frame (producer, 2, 1024);
  wait_for_held (producer, 0);
  end_producer (producer);
  producer = make_guarded (address, TOKEN, MIB);
  wait_for_links (producer, 1);
  publish_frame (producer, 3, 1024);
  client_end (&client, 0, NULL);
  end_producer (producer);
}

typedef struct
{
  const char *path;
  const char *producer;         /* nullable */
  const char *consumer;         /* nullable */
  const char *reason;
} Mismatch;

static const Mismatch mismatches[] = {
  {"/secret-link/other", TOKEN, OTHER_TOKEN, "another one: give both"},
  {"/secret-link/consumer-without", TOKEN, NULL,
      "the consumer has none: give both"},
  {"/secret-link/producer-without", NULL, TOKEN,
      "the producer has none that it could prove: give both"},
};

/* The consumer is told why; the producer counts it, once and a while later, and serves others meanwhile. */
static void
test_mismatch (gconstpointer data)
{
  const Mismatch *mismatch = data;
  MmapProducer *producer = make_guarded (address, mismatch->producer, MIB);
  Client client;

  client_begin (&client, address, mismatch->consumer, 1);
  client_end (&client, MMAP_ERROR_ACCESS_TOKEN, mismatch->reason);
  wait_for_failures (producer, MMAP_ERROR_ACCESS_TOKEN, 1);
  g_assert_cmpint (g_atomic_int_get (&n_delays), ==, 1);
  check_serves (producer, mismatch->producer);
  end_counted (producer, MMAP_ERROR_ACCESS_TOKEN, 1);
}

/* What is carried by an application is that application's business. */
static void
test_carried (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  int fds[MMAP_MESSAGE_MAX_FDS];
  GVariant *offer, *answer;
  GError *error = NULL;
  Client client;
  guint n_fds;

  g_assert_true (mmap_producer_create_offer (producer, &offer, fds, &n_fds,
          &error));
  g_assert_no_error (error);
  client_begin (&client, MMAP_ADDRESS_NONE, OTHER_TOKEN, 1);
  answer = mmap_consumer_accept_offer (client.consumer, offer, fds, n_fds,
      &error);
  g_assert_no_error (error);
  g_assert_true (mmap_producer_accept_answer (producer, answer, &error));
  wait_for_links (producer, 1);
  publish_frame (producer, 1, 1024);
  client_end (&client, 0, NULL);
  g_variant_unref (offer);
  g_variant_unref (answer);
  end_counted (producer, MMAP_ERROR_ACCESS_TOKEN, 0);
}

/* --- consumers that break the rules --- */

typedef struct
{
  RawConsumer raw;
  MmapSecretExchange exchange;
} Intruder;

static GVariant *
make_hello (GVariant * nonce)
{
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "protocol",
      g_variant_new_uint32 (MMAP_PROTOCOL_VERSION));
  g_variant_builder_add (&body, "{sv}", "access-nonce", nonce);
  return g_variant_builder_end (&body);
}

static void
intruder_send_hello (Intruder * intruder)
{
  guint8 *nonce = intruder->exchange.consumer_nonce;

  mmap_secret_draw_nonce (nonce, NULL);
  raw_send_message (intruder->raw.socket, MMAP_MESSAGE_HELLO,
      make_hello (mmap_secret_bytes_to_variant (nonce,
              MMAP_SECRET_NONCE_BYTES)));
}

/* Nothing comes with it. */
static void
expect_bare (GSocket * socket, MmapMessageKind kind, MmapMessage * message)
{
  g_assert_true (raw_receive (socket, message));
  g_assert_cmpint (message->kind, ==, kind);
  g_assert_cmpuint (message->n_fds, ==, 0);
}

static void
take_challenge (GSocket * socket, MmapSecretExchange * exchange)
{
  MmapMessage message;
  GError *error = NULL;

  expect_bare (socket, MMAP_MESSAGE_CHALLENGE, &message);
  mmap_secret_lookup_bytes (message.body, "access-nonce",
      exchange->producer_nonce, MMAP_SECRET_NONCE_BYTES, &error);
  g_assert_no_error (error);
  g_assert_true (g_variant_lookup (message.body, "session", "t",
          &exchange->session));
  g_assert_cmpuint (g_variant_n_children (message.body), ==, 2);
  mmap_message_clear (&message);
}

/* Until it is to prove itself. */
static void
intruder_begin (Intruder * intruder)
{
  memset (intruder, 0, sizeof *intruder);
  raw_connect (&intruder->raw, address);
  intruder_send_hello (intruder);
  take_challenge (intruder->raw.socket, &intruder->exchange);
}

static void
make_proof (const MmapSecretExchange * exchange, MmapSecretRole role,
    const char *token, MmapSecretProof * proof)
{
  g_autoptr (MmapSecret) secret = make_secret (token);

  mmap_secret_prove (secret, exchange, role, proof);
}

static void
send_proof (GSocket * socket, const MmapSecretProof * proof)
{
  raw_send_message (socket, MMAP_MESSAGE_PROOF,
      mmap_secret_proof_to_variant (proof));
}

static void
intruder_send_proof (Intruder * intruder, MmapSecretRole role,
    const char *token)
{
  MmapSecretProof proof;

  make_proof (&intruder->exchange, role, token, &proof);
  send_proof (intruder->raw.socket, &proof);
}

/* The next message is the refusal: nothing was offered. */
static void
intruder_end (Intruder * intruder, MmapError code, const char *reason)
{
  MmapMessage message;
  GError *error = NULL;

  expect_bare (intruder->raw.socket, MMAP_MESSAGE_REFUSE, &message);
  mmap_message_get_refusal (&message, &error);
  check_error (&error, code, reason);
  mmap_message_clear (&message);
  g_assert_false (raw_receive (intruder->raw.socket, &message));
  raw_clear (&intruder->raw);
}

static void
check_intruder_denied (MmapProducer * producer, Intruder * intruder,
    const char *reason)
{
  intruder_end (intruder, MMAP_ERROR_ACCESS_TOKEN, reason);
  g_assert_cmpint (g_atomic_int_get (&n_delays), ==, 1);
  check_serves (producer, TOKEN);
  end_counted (producer, MMAP_ERROR_ACCESS_TOKEN, 1);
}

/* Follows the rules: what the others do wrong is what is refused. */
static void
test_raw_consumer (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  MmapSecretProof theirs;
  MmapMessage message;
  GError *error = NULL;
  Intruder intruder;

  intruder_begin (&intruder);
  intruder_send_proof (&intruder, MMAP_SECRET_CONSUMER, TOKEN);
  expect_bare (intruder.raw.socket, MMAP_MESSAGE_PROOF, &message);
  g_assert_true (mmap_secret_proof_init_variant (&theirs, message.body,
          &error));
  g_assert_true (mmap_secret_verify (secret, &intruder.exchange,
          MMAP_SECRET_PRODUCER, &theirs, getpid (), &error));
  g_assert_no_error (error);
  mmap_message_clear (&message);
  raw_send_hello (&intruder.raw, MMAP_PROTOCOL_VERSION);
  raw_take_offer (&intruder.raw);
  g_assert_cmpuint (intruder.raw.offer.session, ==, intruder.exchange.session);
  raw_clear (&intruder.raw);
  end_counted (producer, MMAP_ERROR_ACCESS_TOKEN, 0);
}

static void
test_wrong_proof (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  Intruder intruder;

  intruder_begin (&intruder);
  intruder_send_proof (&intruder, MMAP_SECRET_CONSUMER, OTHER_TOKEN);
  check_intruder_denied (producer, &intruder, "another one");
}

static void
test_wrong_role (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  Intruder intruder;

  intruder_begin (&intruder);
  intruder_send_proof (&intruder, MMAP_SECRET_PRODUCER, TOKEN);
  check_intruder_denied (producer, &intruder, "another one");
}

static void
test_wrong_session (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  Intruder intruder;

  intruder_begin (&intruder);
  intruder.exchange.session ^= 1;
  intruder_send_proof (&intruder, MMAP_SECRET_CONSUMER, TOKEN);
  check_intruder_denied (producer, &intruder, "another one");
}

/* One that was overheard: right, but of another connection. */
static void
test_replay (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  Intruder first, second;
  MmapSecretProof proof;
  MmapMessage message;

  intruder_begin (&first);
  make_proof (&first.exchange, MMAP_SECRET_CONSUMER, TOKEN, &proof);
  send_proof (first.raw.socket, &proof);
  expect_bare (first.raw.socket, MMAP_MESSAGE_PROOF, &message);
  mmap_message_clear (&message);
  raw_clear (&first.raw);

  /* With the nonce of that time, too. */
  memset (&second, 0, sizeof second);
  raw_connect (&second.raw, address);
  raw_send_message (second.raw.socket, MMAP_MESSAGE_HELLO,
      make_hello (mmap_secret_bytes_to_variant (first.exchange.consumer_nonce,
              MMAP_SECRET_NONCE_BYTES)));
  take_challenge (second.raw.socket, &second.exchange);
  g_assert_cmpuint (second.exchange.session, ==, first.exchange.session);
  g_assert_false (memcmp (second.exchange.producer_nonce,
          first.exchange.producer_nonce, MMAP_SECRET_NONCE_BYTES) == 0);
  send_proof (second.raw.socket, &proof);
  check_intruder_denied (producer, &second, "another one");
}

/* The proof of another process than the one at the other end. */
static void
test_wrong_process (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  MmapSecretProof proof = { 0 };
  Intruder intruder;
  int fds[2], status;
  pid_t pid;

  intruder_begin (&intruder);
  g_assert_cmpint (pipe (fds), ==, 0);
  pid = fork ();
  if (pid == 0) {
    mmap_secret_prove (secret, &intruder.exchange, MMAP_SECRET_CONSUMER,
        &proof);
    _exit (write (fds[1], &proof, sizeof proof) != sizeof proof);
  }
  g_assert_cmpint (read (fds[0], &proof, sizeof proof), ==, sizeof proof);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  close (fds[0]);
  close (fds[1]);
  g_assert_cmpuint (proof.pid, ==, pid);
  send_proof (intruder.raw.socket, &proof);
  check_intruder_denied (producer, &intruder, "who stands between");
}

static void
check_malformed (MmapMessageKind kind, GVariant * body, const char *reason)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  Intruder intruder;

  if (kind == MMAP_MESSAGE_HELLO) {
    memset (&intruder, 0, sizeof intruder);
    raw_connect (&intruder.raw, address);
  } else {
    intruder_begin (&intruder);
  }
  raw_send_message (intruder.raw.socket, kind, body);
  /* There is nothing to be guessed by that. */
  intruder_end (&intruder, MMAP_ERROR_MESSAGE, reason);
  check_serves (producer, TOKEN);
  end_counted (producer, MMAP_ERROR_MESSAGE, 1);
}

static GVariant *
make_nonce (gsize n)
{
  g_autofree guint8 *bytes = g_malloc0 (n + 1);

  return make_hello (mmap_secret_bytes_to_variant (bytes, n));
}

static void
test_malformed (void)
{
  static const guint8 bytes[33] = { 0 };
  MmapSecretProof none = { 0, };
  g_autoptr (GVariant) whole = NULL;
  GVariantDict cut;

  check_malformed (MMAP_MESSAGE_HELLO, make_nonce (0), "array of 32 bytes");
  check_malformed (MMAP_MESSAGE_HELLO, make_nonce (31), "array of 32 bytes");
  check_malformed (MMAP_MESSAGE_HELLO, make_nonce (33), "array of 32 bytes");
  check_malformed (MMAP_MESSAGE_HELLO, make_hello (g_variant_new_string ("x")),
      "array of 32 bytes");
  check_malformed (MMAP_MESSAGE_PROOF, NULL, "no proof");
  whole = g_variant_ref_sink (mmap_secret_proof_to_variant (&none));
  g_variant_dict_init (&cut, whole);
  g_variant_dict_insert_value (&cut, "proof",
      mmap_secret_bytes_to_variant (bytes, 31));
  check_malformed (MMAP_MESSAGE_PROOF, g_variant_dict_end (&cut),
      "array of 32 bytes");
  g_variant_dict_init (&cut, whole);
  g_variant_dict_insert_value (&cut, "proof",
      mmap_secret_bytes_to_variant (bytes, 33));
  check_malformed (MMAP_MESSAGE_PROOF, g_variant_dict_end (&cut),
      "array of 32 bytes");
}

/* What comes in the proof's place. */
static void
test_out_of_turn (void)
{
  check_malformed (MMAP_MESSAGE_HELLO, make_hello (g_variant_new_uint32 (1)),
      "array of 32 bytes");
  check_malformed (MMAP_MESSAGE_ANSWER, NULL, "before it was offered");
  check_malformed (MMAP_MESSAGE_WISHES, NULL, "out of turn");
  check_malformed (MMAP_MESSAGE_EVENT, NULL, "out of turn");
  check_malformed (MMAP_MESSAGE_CHALLENGE, NULL, "out of turn");
  check_malformed (MMAP_MESSAGE_ACCEPT, NULL, "out of turn");
}

/* A proof before the hello, and a hello in the place of the proof. */
static void
test_order (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  MmapSecretProof proof = { 0, };
  Intruder intruder;

  memset (&intruder, 0, sizeof intruder);
  raw_connect (&intruder.raw, address);
  send_proof (intruder.raw.socket, &proof);
  intruder_end (&intruder, MMAP_ERROR_MESSAGE, "out of turn");
  intruder_begin (&intruder);
  raw_send_hello (&intruder.raw, MMAP_PROTOCOL_VERSION);
  intruder_end (&intruder, MMAP_ERROR_MESSAGE, "out of turn");
  intruder_begin (&intruder);
  intruder_send_hello (&intruder);
  intruder_end (&intruder, MMAP_ERROR_MESSAGE, "out of turn");
  end_counted (producer, MMAP_ERROR_MESSAGE, 3);
}

/* A region that is made meanwhile is offered to neither of them. */
static void
test_new_region (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, 0);
  Intruder challenged, denied;
  MmapMessage message;

  g_atomic_int_set (&deny_ms, G_MAXINT);
  intruder_begin (&denied);
  intruder_send_proof (&denied, MMAP_SECRET_CONSUMER, OTHER_TOKEN);
  while (g_atomic_int_get (&n_delays) == 0)
    g_usleep (1000);
  g_atomic_int_set (&deny_ms, 1);
  intruder_begin (&challenged);
  g_assert_true (mmap_producer_set_region (producer,
          mmap_producer_size_for (MIB), G_MAXUINT64, NULL, NULL));
  intruder_send_proof (&challenged, MMAP_SECRET_CONSUMER, OTHER_TOKEN);
  intruder_end (&challenged, MMAP_ERROR_ACCESS_TOKEN, "another one");
  check_serves (producer, TOKEN);
  end_producer (producer);
  /* It was told nothing. */
  g_assert_false (raw_receive (denied.raw.socket, &message));
  raw_clear (&denied.raw);
}

/* Guesses: none is looked at before the last refusals have been told, wherever the others have gone meanwhile. */
static void
test_guesses (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  Intruder guessers[MAX_DENIED], next;
  MmapProducerStats stats;
  guint i;

  /* Time stands still. */
  g_atomic_int_set (&deny_ms, G_MAXINT);
  for (i = 0; i < MAX_DENIED; i++)
    intruder_begin (&guessers[i]);
  intruder_begin (&next);
  for (i = 0; i < MAX_DENIED; i++)
    intruder_send_proof (&guessers[i], MMAP_SECRET_CONSUMER, OTHER_TOKEN);
  while (g_atomic_int_get (&n_delays) < MAX_DENIED)
    g_usleep (1000);
  for (i = 0; i < MAX_DENIED; i++)
    raw_clear (&guessers[i].raw);

  /* Even the right one. */
  intruder_send_proof (&next, MMAP_SECRET_CONSUMER, TOKEN);
  intruder_end (&next, MMAP_ERROR_LIMIT, "wrong access tokens");
  /* Who has none learns nothing, and need not wait. */
  raw_connect (&next.raw, address);
  raw_send_hello (&next.raw, MMAP_PROTOCOL_VERSION);
  intruder_end (&next, MMAP_ERROR_ACCESS_TOKEN, "the consumer has none");
  mmap_producer_get_stats (producer, &stats);
  g_assert_cmpuint (stats.failures[MMAP_ERROR_ACCESS_TOKEN], ==, 1);
  end_producer (producer);
}

static void
check_denied_stay_locked (MmapProducer * producer)
{
  guint i, n = 0;
  gboolean later;

  for (i = 0; i < MMAP_MAX_LINKS; i++)
    if (producer->links[i] && producer->links[i]->state == LINK_DENIED) {
      /* The same for those who come through TCP. */
      producer->links[i]->is_remote = TRUE;
      n++;
    }
  g_assert_cmpuint (n, ==, MAX_DENIED);
  g_assert_cmpint (mmap_producer_end_idle_remote_locked (producer, &later),
      ==, -1);
  g_assert_true (later);
}

/* Nor do guesses make room for a crowd of those who say nothing, or for the next guess. */
static void
test_guesses_crowd (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  Intruder guessers[MAX_DENIED], next;
  GSocket *crowd[2 * MMAP_MAX_LINKS];
  guint i;

  g_atomic_int_set (&deny_ms, G_MAXINT);
  for (i = 0; i < MAX_DENIED; i++) {
    intruder_begin (&guessers[i]);
    intruder_send_proof (&guessers[i], MMAP_SECRET_CONSUMER, OTHER_TOKEN);
  }
  while (g_atomic_int_get (&n_delays) < MAX_DENIED)
    g_usleep (1000);
  for (i = 0; i < G_N_ELEMENTS (crowd); i++)
    while (!(crowd[i] = mmap_address_connect (address, NULL)))
      g_usleep (1000);

  intruder_begin (&next);
  intruder_send_proof (&next, MMAP_SECRET_CONSUMER, TOKEN);
  intruder_end (&next, MMAP_ERROR_LIMIT, "wrong access tokens");
  g_mutex_lock (&producer->lock);
  check_denied_stay_locked (producer);
  g_mutex_unlock (&producer->lock);
  end_producer (producer);
  for (i = 0; i < MAX_DENIED; i++)
    raw_clear (&guessers[i].raw);
  for (i = 0; i < G_N_ELEMENTS (crowd); i++)
    g_object_unref (crowd[i]);
}

/* When they have been told, others may try again. */
static void
test_guesses_end (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  Intruder guessers[2 * MAX_DENIED];
  guint i, k;

  for (k = 0; k < 2; k++) {
    for (i = 0; i < MAX_DENIED; i++)
      intruder_begin (&guessers[i]);
    for (i = 0; i < MAX_DENIED; i++) {
      intruder_send_proof (&guessers[i], MMAP_SECRET_CONSUMER, OTHER_TOKEN);
      intruder_end (&guessers[i], MMAP_ERROR_ACCESS_TOKEN, "another one");
    }
  }
  check_serves (producer, TOKEN);
  end_counted (producer, MMAP_ERROR_ACCESS_TOKEN, 2 * MAX_DENIED);
}

/* Others are served while refusals wait; those that are up don't notice. */
static void
test_others_meanwhile (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  MmapProducerStats stats;
  Intruder intruder;

  g_atomic_int_set (&deny_ms, G_MAXINT);
  intruder_begin (&intruder);
  intruder_send_proof (&intruder, MMAP_SECRET_CONSUMER, OTHER_TOKEN);
  while (g_atomic_int_get (&n_delays) == 0)
    g_usleep (1000);
  /* What it goes on to say is not heard. */
  intruder_send_proof (&intruder, MMAP_SECRET_CONSUMER, TOKEN);
  raw_send_hello (&intruder.raw, MMAP_PROTOCOL_VERSION);
  check_serves (producer, TOKEN);
  check_serves (producer, TOKEN);
  mmap_producer_get_stats (producer, &stats);
  g_assert_cmpuint (stats.failures[MMAP_ERROR_ACCESS_TOKEN], ==, 0);
  end_producer (producer);
  raw_clear (&intruder.raw);
}

/* It does not prove anything. */
static void
test_silent (void)
{
  MmapProducer *producer = make_guarded (address, TOKEN, MIB);
  Intruder intruder;

  intruder_begin (&intruder);
  g_source_set_ready_time (g_atomic_pointer_get (&handshake), 0);
  intruder_end (&intruder, MMAP_ERROR_TIMEOUT, "did not answer");
  end_counted (producer, MMAP_ERROR_TIMEOUT, 1);
}

/* --- producers that break the rules --- */

typedef struct
{
  RawProducer raw;
  MmapSecretExchange exchange;
  Client client;
} Impostor;

/* It has connected, and said hello: with a nonce, and without anything that is anybody else's business. */
static void
impostor_begin (Impostor * impostor, const char *token)
{
  MmapMessage message;
  GError *error = NULL;

  memset (impostor, 0, sizeof *impostor);
  raw_producer_init (&impostor->raw, address);
  client_begin (&impostor->client, address, token, 1);
  g_socket_condition_wait (impostor->raw.listener->socket, G_IO_IN, NULL,
      &error);
  g_assert_no_error (error);
  impostor->raw.socket = g_socket_accept (impostor->raw.listener->socket, NULL,
      &error);
  g_assert_no_error (error);
  g_socket_set_blocking (impostor->raw.socket, FALSE);
  expect_bare (impostor->raw.socket, MMAP_MESSAGE_HELLO, &message);
  if (token) {
    mmap_secret_lookup_bytes (message.body, "access-nonce",
        impostor->exchange.consumer_nonce, MMAP_SECRET_NONCE_BYTES, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (g_variant_n_children (message.body), ==, 2);
  }
  mmap_message_clear (&message);
}

static GVariant *
make_challenge (const guint8 * nonce, gsize n, GVariant * session)
{
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "access-nonce",
      mmap_secret_bytes_to_variant (nonce, n));
  if (session)
    g_variant_builder_add (&body, "{sv}", "session", session);
  return g_variant_builder_end (&body);
}

/* Challenges it, and takes its proof. */
static void
impostor_challenge (Impostor * impostor, MmapSecretProof * proof)
{
  MmapSecretExchange *exchange = &impostor->exchange;
  MmapMessage message;
  GError *error = NULL;

  exchange->session = RAW_SESSION;
  raw_send_message (impostor->raw.socket, MMAP_MESSAGE_CHALLENGE,
      make_challenge (exchange->producer_nonce, MMAP_SECRET_NONCE_BYTES,
          g_variant_new_uint64 (RAW_SESSION)));
  expect_bare (impostor->raw.socket, MMAP_MESSAGE_PROOF, &message);
  mmap_secret_proof_init_variant (proof, message.body, &error);
  g_assert_no_error (error);
  mmap_message_clear (&message);
}

static void
impostor_end (Impostor * impostor, MmapError code, const char *reason)
{
  MmapMessage message;
  GError *error = NULL;

  client_end (&impostor->client, code, reason);
  /* It has said nothing but this. */
  expect_bare (impostor->raw.socket, MMAP_MESSAGE_REFUSE, &message);
  mmap_message_get_refusal (&message, &error);
  check_error (&error, code, reason);
  mmap_message_clear (&message);
  g_assert_false (raw_receive (impostor->raw.socket, &message));
  raw_producer_clear (&impostor->raw);
}

/* Follows the rules: the consumer's media are told once it has proved itself. */
static void
test_raw_producer (void)
{
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  MmapSecretProof theirs, ours;
  const char *media = NULL;
  MmapMessage message;
  GError *error = NULL;
  Impostor impostor;

  impostor_begin (&impostor, TOKEN);
  impostor_challenge (&impostor, &theirs);
  g_assert_true (mmap_secret_verify (secret, &impostor.exchange,
          MMAP_SECRET_CONSUMER, &theirs, getpid (), &error));
  mmap_secret_prove (secret, &impostor.exchange, MMAP_SECRET_PRODUCER, &ours);
  send_proof (impostor.raw.socket, &ours);
  expect_bare (impostor.raw.socket, MMAP_MESSAGE_HELLO, &message);
  g_assert_true (g_variant_lookup (message.body, "media", "&s", &media));
  g_assert_cmpstr (media, ==, "video/x-secret");
  mmap_message_clear (&message);

  raw_producer_send_offer (&impostor.raw, NULL);
  g_assert_true (raw_receive (impostor.raw.socket, &message));
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_ANSWER);
  mmap_message_clear (&message);
  raw_producer_send (&impostor.raw, MMAP_MESSAGE_REFUSE);
  client_end (&impostor.client, MMAP_ERROR_FAILED, "no reason");
  raw_producer_clear (&impostor.raw);
}

/* As one would that is older than the access token, or has none. */
static void
test_offer_at_once (void)
{
  Impostor impostor;

  impostor_begin (&impostor, TOKEN);
  raw_producer_send_offer (&impostor.raw, NULL);
  impostor_end (&impostor, MMAP_ERROR_ACCESS_TOKEN, "has not proved");
}

static void
test_offer_for_proof (void)
{
  MmapSecretProof theirs;
  Impostor impostor;

  impostor_begin (&impostor, TOKEN);
  impostor_challenge (&impostor, &theirs);
  raw_producer_send_offer (&impostor.raw, NULL);
  impostor_end (&impostor, MMAP_ERROR_ACCESS_TOKEN, "has not proved");
}

/* Gives back what it was told: its own nonce, then its own proof. */
static void
test_reflection (void)
{
  MmapSecretProof theirs;
  Impostor impostor;

  impostor_begin (&impostor, TOKEN);
  memcpy (impostor.exchange.producer_nonce, impostor.exchange.consumer_nonce,
      MMAP_SECRET_NONCE_BYTES);
  impostor_challenge (&impostor, &theirs);
  send_proof (impostor.raw.socket, &theirs);
  impostor_end (&impostor, MMAP_ERROR_ACCESS_TOKEN, "another one");
}

/* The same by way of a second connection, whose consumer proves what the first asks for: it is not the one that is to prove it. */
static void
test_reflection_crossed (void)
{
  MmapSecretProof theirs, crossed;
  Impostor impostor;

  impostor_begin (&impostor, TOKEN);
  impostor_challenge (&impostor, &theirs);
  make_proof (&impostor.exchange, MMAP_SECRET_CONSUMER, TOKEN, &crossed);
  g_assert_cmpmem (crossed.proof, sizeof crossed.proof, theirs.proof,
      sizeof theirs.proof);
  send_proof (impostor.raw.socket, &crossed);
  impostor_end (&impostor, MMAP_ERROR_ACCESS_TOKEN, "another one");
}

static void
test_impostor_token (void)
{
  MmapSecretProof theirs, ours;
  Impostor impostor;

  impostor_begin (&impostor, TOKEN);
  impostor_challenge (&impostor, &theirs);
  make_proof (&impostor.exchange, MMAP_SECRET_PRODUCER, OTHER_TOKEN, &ours);
  send_proof (impostor.raw.socket, &ours);
  impostor_end (&impostor, MMAP_ERROR_ACCESS_TOKEN, "another one");
}

static void
test_impostor_replay (void)
{
  MmapSecretProof theirs, ours;
  Impostor impostor;

  impostor_begin (&impostor, TOKEN);
  impostor_challenge (&impostor, &theirs);
  make_proof (&impostor.exchange, MMAP_SECRET_PRODUCER, TOKEN, &ours);
  send_proof (impostor.raw.socket, &ours);
  raw_producer_send (&impostor.raw, MMAP_MESSAGE_REFUSE);
  client_end (&impostor.client, MMAP_ERROR_FAILED, "no reason");
  raw_producer_clear (&impostor.raw);

  impostor_begin (&impostor, TOKEN);
  impostor_challenge (&impostor, &theirs);
  send_proof (impostor.raw.socket, &ours);
  impostor_end (&impostor, MMAP_ERROR_ACCESS_TOKEN, "another one");
}

/* The proof is of one session, the offer of another. */
static void
test_offer_session (void)
{
  MmapSecretProof theirs, ours;
  MmapMessage message;
  Impostor impostor;

  impostor_begin (&impostor, TOKEN);
  impostor_challenge (&impostor, &theirs);
  make_proof (&impostor.exchange, MMAP_SECRET_PRODUCER, TOKEN, &ours);
  send_proof (impostor.raw.socket, &ours);
  expect_bare (impostor.raw.socket, MMAP_MESSAGE_HELLO, &message);
  mmap_message_clear (&message);
  impostor.raw.offer.session ^= 1;
  raw_producer_send_offer (&impostor.raw, NULL);
  impostor_end (&impostor, MMAP_ERROR_SESSION,
      "another session than the proof");
}

static void
check_impostor_says (const char *token, MmapMessageKind kind, GVariant * body,
    const char *reason)
{
  Impostor impostor;

  impostor_begin (&impostor, token);
  raw_send_message (impostor.raw.socket, kind, body);
  impostor_end (&impostor, MMAP_ERROR_MESSAGE, reason);
}

static void
test_impostor_malformed (void)
{
  static const guint8 nonce[33] = { 0 };
  MmapSecretProof proof = { 0, };

  check_impostor_says (TOKEN, MMAP_MESSAGE_CHALLENGE, NULL,
      "array of 32 bytes");
  check_impostor_says (TOKEN, MMAP_MESSAGE_CHALLENGE, make_challenge (nonce, 31,
          g_variant_new_uint64 (1)), "array of 32 bytes");
  check_impostor_says (TOKEN, MMAP_MESSAGE_CHALLENGE, make_challenge (nonce, 33,
          g_variant_new_uint64 (1)), "array of 32 bytes");
  check_impostor_says (TOKEN, MMAP_MESSAGE_CHALLENGE, make_challenge (nonce, 32,
          NULL), "session");
  check_impostor_says (TOKEN, MMAP_MESSAGE_CHALLENGE, make_challenge (nonce, 32,
          g_variant_new_string ("1")), "session");
  check_impostor_says (TOKEN, MMAP_MESSAGE_PROOF,
      mmap_secret_proof_to_variant (&proof), "out of turn");
  check_impostor_says (TOKEN, MMAP_MESSAGE_ACCEPT, NULL, "out of turn");
  check_impostor_says (TOKEN, MMAP_MESSAGE_EVENT, NULL, "out of turn");
  /* Who has no token is asked for nothing. */
  check_impostor_says (NULL, MMAP_MESSAGE_CHALLENGE, make_challenge (nonce, 32,
          g_variant_new_uint64 (1)), "out of turn");
  check_impostor_says (NULL, MMAP_MESSAGE_PROOF,
      mmap_secret_proof_to_variant (&proof), "out of turn");
}

static void
test_impostor_twice (void)
{
  MmapSecretProof theirs;
  Impostor impostor;

  impostor_begin (&impostor, TOKEN);
  impostor_challenge (&impostor, &theirs);
  /* Else it could choose what is proved. */
  raw_send_message (impostor.raw.socket, MMAP_MESSAGE_CHALLENGE,
      make_challenge (impostor.exchange.consumer_nonce, 32,
          g_variant_new_uint64 (1)));
  impostor_end (&impostor, MMAP_ERROR_MESSAGE, "out of turn");
}

/* --- somebody between the two --- */

/* FALSE: one of them has gone. */
static gboolean
pass_on (int from, int to)
{
  char data[65536];
  gssize n = recv (from, data, sizeof data, MSG_DONTWAIT);

  return n > 0 && send (to, data, n, MSG_NOSIGNAL) == n;
}

/* Has the consumer's address, and connects to the producer's: what one says it tells the other. */
static void
stand_between (const char *front, const char *back)
{
  GError *error = NULL;
  MmapListener *listener = mmap_listener_new (front, &error);
  GSocket *consumer, *producer;
  struct pollfd fds[2];

  g_socket_condition_wait (listener->socket, G_IO_IN, NULL, &error);
  consumer = g_socket_accept (listener->socket, NULL, &error);
  producer = mmap_address_connect (back, &error);
  if (error)
    _exit (1);
  fds[0] = (struct pollfd) { g_socket_get_fd (consumer), POLLIN, 0 };
  fds[1] = (struct pollfd) { g_socket_get_fd (producer), POLLIN, 0 };
  do {
    poll (fds, 2, -1);
  } while ((!fds[0].revents || pass_on (fds[0].fd, fds[1].fd))
      && (!fds[1].revents || pass_on (fds[1].fd, fds[0].fd)));
  mmap_listener_free (listener);
  _exit (0);
}

static void
test_between (void)
{
  g_autofree char *front = leak_check_path ("front");
  MmapProducer *producer;
  Client client;
  int status;
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0) {
    /* The parent makes it once this process exists. */
    while (!g_file_test (address, G_FILE_TEST_EXISTS))
      g_usleep (1000);
    stand_between (front, address);
  }
  producer = make_guarded (address, TOKEN, MIB);
  client_begin (&client, front, TOKEN, 1);
  client_end (&client, MMAP_ERROR_ACCESS_TOKEN, "who stands between");
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  end_counted (producer, MMAP_ERROR_ACCESS_TOKEN, 1);
}

/* --- */

static void
begin_timers (void)
{
  g_atomic_int_set (&deny_ms, 1);
  g_atomic_int_set (&n_delays, 0);
}

typedef struct
{
  GTestFunc function;
} Case;

static void
run_case (gconstpointer data)
{
  const Case *c = data;
  LeakCheck check;

  leak_check_begin (&check);
  begin_timers ();
  c->function ();
  set_handshake (NULL);
  leak_check_end (&check);
}

static void
run_mismatch (gconstpointer data)
{
  LeakCheck check;

  leak_check_begin (&check);
  begin_timers ();
  test_mismatch (data);
  set_handshake (NULL);
  leak_check_end (&check);
}

static void
add_test (const char *path, GTestFunc function)
{
  Case *c = g_new (Case, 1);

  c->function = function;
  g_test_add_data_func_full (path, c, run_case, g_free);
}

int
main (int argc, char **argv)
{
  int result;
  guint i;

  g_test_init (&argc, &argv, NULL);
  address = leak_check_path ("socket");
  add_test ("/secret-link/right", test_right);
  add_test ("/secret-link/waits", test_waits);
  add_test ("/secret-link/next-session", test_next_session);
  add_test ("/secret-link/carried", test_carried);
  add_test ("/secret-link/raw-consumer", test_raw_consumer);
  add_test ("/secret-link/wrong-proof", test_wrong_proof);
  add_test ("/secret-link/wrong-role", test_wrong_role);
  add_test ("/secret-link/wrong-session", test_wrong_session);
  add_test ("/secret-link/replay", test_replay);
  add_test ("/secret-link/wrong-process", test_wrong_process);
  add_test ("/secret-link/malformed", test_malformed);
  add_test ("/secret-link/out-of-turn", test_out_of_turn);
  add_test ("/secret-link/order", test_order);
  add_test ("/secret-link/new-region", test_new_region);
  add_test ("/secret-link/guesses", test_guesses);
  add_test ("/secret-link/guesses-crowd", test_guesses_crowd);
  add_test ("/secret-link/guesses-end", test_guesses_end);
  add_test ("/secret-link/others-meanwhile", test_others_meanwhile);
  add_test ("/secret-link/silent", test_silent);
  add_test ("/secret-link/raw-producer", test_raw_producer);
  add_test ("/secret-link/offer-at-once", test_offer_at_once);
  add_test ("/secret-link/offer-for-proof", test_offer_for_proof);
  add_test ("/secret-link/reflection", test_reflection);
  add_test ("/secret-link/reflection-crossed", test_reflection_crossed);
  add_test ("/secret-link/impostor-token", test_impostor_token);
  add_test ("/secret-link/impostor-replay", test_impostor_replay);
  add_test ("/secret-link/offer-session", test_offer_session);
  add_test ("/secret-link/impostor-malformed", test_impostor_malformed);
  add_test ("/secret-link/impostor-twice", test_impostor_twice);
  add_test ("/secret-link/between", test_between);
  for (i = 0; i < G_N_ELEMENTS (mismatches); i++)
    g_test_add_data_func (mismatches[i].path, &mismatches[i], run_mismatch);
  result = g_test_run ();
  g_free (address);
  return result;
}
