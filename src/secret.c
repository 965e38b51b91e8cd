/* gst-mmap: a secret that both sides of a link prove to know
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The key and the proofs; docs/protocol.md says why they are as they are. secret-source.c reads tokens, producer-secret.c and consumer-secret.c
 * speak. Holds no state but the key, which never changes: any thread may call it.
 */
#include "secret.h"

#include "error.h"
#include "token.h"

#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes the key another one than what a token might be used for elsewhere. */
#define KEY_CONTEXT "gst-mmap access-token 1"

#define KEY_BYTES 32

#define STATEMENT_LABEL "gst-mmap proof 1"

struct _MmapSecret
{
  gint ref_count;               /* atomic */
  guint8 key[KEY_BYTES];
};

/* What a proof is a keyed hash of, little-endian. */
typedef struct
{
  gchar label[16];              /*   0 */
  guint32 role;                 /*  16 MmapSecretRole */
  guint32 pid;                  /*  20 */
  guint64 pid_namespace;        /*  24 */
  guint64 session;              /*  32 */
  guint8 consumer_nonce[MMAP_SECRET_NONCE_BYTES];       /*  40 */
  guint8 producer_nonce[MMAP_SECRET_NONCE_BYTES];       /*  72 */
} Statement;

G_STATIC_ASSERT (sizeof STATEMENT_LABEL - 1 == 16);
G_STATIC_ASSERT (offsetof (Statement, role) == 16);
G_STATIC_ASSERT (offsetof (Statement, pid) == 20);
G_STATIC_ASSERT (offsetof (Statement, pid_namespace) == 24);
G_STATIC_ASSERT (offsetof (Statement, session) == 32);
G_STATIC_ASSERT (offsetof (Statement, consumer_nonce) == 40);
G_STATIC_ASSERT (offsetof (Statement, producer_nonce) == 72);
G_STATIC_ASSERT (sizeof (Statement) == 104);
G_STATIC_ASSERT (sizeof KEY_CONTEXT - 1 >= crypto_generichash_KEYBYTES_MIN);
G_STATIC_ASSERT (sizeof KEY_CONTEXT - 1 <= crypto_generichash_KEYBYTES_MAX);
G_STATIC_ASSERT (KEY_BYTES == crypto_generichash_KEYBYTES);
G_STATIC_ASSERT (MMAP_SECRET_PROOF_BYTES == crypto_generichash_BYTES);

MmapSecret *
mmap_secret_new (gconstpointer token, gsize n_bytes, const char *name,
    GError ** error)
{
  MmapSecret *secret;

  if (n_bytes < MMAP_SECRET_MIN_BYTES || n_bytes > MMAP_SECRET_MAX_BYTES) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "%s has %s%" G_GSIZE_FORMAT " bytes, expected %d to %d that nobody can "
        "guess, such as those of: head -c 32 /dev/urandom | base64", name,
        n_bytes > MMAP_SECRET_MAX_BYTES ? "at least " : "", n_bytes,
        MMAP_SECRET_MIN_BYTES, MMAP_SECRET_MAX_BYTES);
    return NULL;
  }
  secret = sodium_init () < 0 ? NULL : sodium_malloc (sizeof *secret);
  if (!secret) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NO_SPACE,
        "There is no memory for the key of %s", name);
    return NULL;
  }
  secret->ref_count = 1;
  crypto_generichash (secret->key, sizeof secret->key, token, n_bytes,
      (const guint8 *) KEY_CONTEXT, sizeof KEY_CONTEXT - 1);
  /* The hash leaves words of the token on the stack. */
  sodium_stackzero (MMAP_SECRET_STACK_BYTES);
  return secret;
}

MmapSecret *
mmap_secret_ref (MmapSecret * secret)
{
  g_atomic_int_inc (&secret->ref_count);
  return secret;
}

void
mmap_secret_unref (MmapSecret * secret)
{
  /* sodium_free() wipes it. */
  if (secret && g_atomic_int_dec_and_test (&secret->ref_count))
    sodium_free (secret);
}

gboolean
mmap_secret_draw_nonce (guint8 * nonce, GError ** error)
{
  return mmap_random_fill (nonce, MMAP_SECRET_NONCE_BYTES, error);
}

/* Two processes that see the same number here see the same pids. */
static guint64
get_pid_namespace (void)
{
  struct stat status;

  return stat ("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

/* Fills in what @proof is to be, from what it says already. */
static void
hash_statement (const MmapSecret * secret, const MmapSecretExchange * exchange,
    MmapSecretRole role, const MmapSecretProof * proof,
    guint8 hash[MMAP_SECRET_PROOF_BYTES])
{
  Statement statement = { STATEMENT_LABEL, GUINT32_TO_LE (role),
    GUINT32_TO_LE (proof->pid), GUINT64_TO_LE (proof->pid_namespace),
    GUINT64_TO_LE (exchange->session)
  };

  memcpy (statement.consumer_nonce, exchange->consumer_nonce,
      sizeof statement.consumer_nonce);
  memcpy (statement.producer_nonce, exchange->producer_nonce,
      sizeof statement.producer_nonce);
  crypto_generichash (hash, MMAP_SECRET_PROOF_BYTES,
      (const guint8 *) &statement, sizeof statement, secret->key,
      sizeof secret->key);
}

void
mmap_secret_prove (const MmapSecret * secret,
    const MmapSecretExchange * exchange, MmapSecretRole role,
    MmapSecretProof * proof)
{
  proof->pid = getpid ();
  proof->pid_namespace = get_pid_namespace ();
  hash_statement (secret, exchange, role, proof, proof->proof);
}

gboolean
mmap_secret_verify (const MmapSecret * secret,
    const MmapSecretExchange * exchange, MmapSecretRole role,
    const MmapSecretProof * proof, guint32 peer_pid, GError ** error)
{
  const char *who = role == MMAP_SECRET_CONSUMER ? "consumer" : "producer";
  guint8 expected[MMAP_SECRET_PROOF_BYTES];
  gboolean right;

  hash_statement (secret, exchange, role, proof, expected);
  right = sodium_memcmp (expected, proof->proof, sizeof expected) == 0;
  /* Nobody else may have it: with another message it would be a proof. */
  sodium_memzero (expected, sizeof expected);
  if (!right) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_ACCESS_TOKEN,
        "The %s's access token is another one: give both sides the same "
        "access-token", who);
    return FALSE;
  }
  /* A proof that somebody in between passes on. Of another namespace the kernel tells another pid, or none. */
  if (peer_pid != MMAP_SECRET_NO_PID && proof->pid_namespace != 0
      && proof->pid_namespace == get_pid_namespace ()
      && proof->pid != peer_pid) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_ACCESS_TOKEN,
        "The proof of the access token is that of process %u, but process %u "
        "has sent it: who stands between the two sides?", proof->pid, peer_pid);
    return FALSE;
  }
  return TRUE;
}

/* --- messages --- */

GVariant *
mmap_secret_bytes_to_variant (gconstpointer bytes, gsize n_bytes)
{
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, n_bytes, 1);
}

gboolean
mmap_secret_lookup_bytes (GVariant * body, const char *key, guint8 * bytes,
    gsize n_bytes, GError ** error)
{
  g_autoptr (GVariant) value =
      g_variant_lookup_value (body, key, G_VARIANT_TYPE_BYTESTRING);
  gconstpointer data;
  gsize size = 0;

  data = value ? g_variant_get_fixed_array (value, &size, 1) : NULL;
  if (size != n_bytes) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "The other side sent no %s, or one that is no array of %"
        G_GSIZE_FORMAT " bytes", key, n_bytes);
    return FALSE;
  }
  memcpy (bytes, data, n_bytes);
  return TRUE;
}

GVariant *
mmap_secret_proof_to_variant (const MmapSecretProof * proof)
{
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "proof",
      mmap_secret_bytes_to_variant (proof->proof, sizeof proof->proof));
  g_variant_builder_add (&body, "{sv}", "pid",
      g_variant_new_uint32 (proof->pid));
  g_variant_builder_add (&body, "{sv}", "pid-namespace",
      g_variant_new_uint64 (proof->pid_namespace));
  return g_variant_builder_end (&body);
}

gboolean
mmap_secret_proof_init_variant (MmapSecretProof * proof, GVariant * body,
    GError ** error)
{
  memset (proof, 0, sizeof *proof);
  if (!mmap_secret_lookup_bytes (body, "proof", proof->proof,
          sizeof proof->proof, error))
    return FALSE;
  if (g_variant_lookup (body, "pid", "u", &proof->pid)
      && g_variant_lookup (body, "pid-namespace", "t", &proof->pid_namespace))
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The other side's proof doesn't say whose it is");
  return FALSE;
}
