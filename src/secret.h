/* gst-mmap: a secret that both sides of a link prove to know
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#define MMAP_SECRET_MIN_BYTES 16        /* 128 bits, if they are random: can't be guessed, not even by who has a proof to try on */
#define MMAP_SECRET_MAX_BYTES 4096      /* chosen: more than any secret has */
#define MMAP_SECRET_NONCE_BYTES 32      /* never drawn twice */
#define MMAP_SECRET_PROOF_BYTES 32      /* crypto_generichash_BYTES */

/* What is wiped of the stack below who has had to do with a token: more than a hash uses, and registers that are saved there. Chosen. */
#define MMAP_SECRET_STACK_BYTES 16384

/* Environment variable: the token of all who were given none. */
#define MMAP_SECRET_VARIABLE "GST_MMAP_ACCESS_TOKEN"

/**
 * MmapSecret:
 *
 * A key that was made of an access token, which itself is not kept. It lies in memory of libsodium's that is not swapped, is in no core dump, and
 * is wiped at the end. Reference-counted; any thread.
 */
typedef struct _MmapSecret MmapSecret;

/* Who proves. */
typedef enum
{
  MMAP_SECRET_CONSUMER = 1,
  MMAP_SECRET_PRODUCER = 2
} MmapSecretRole;

/**
 * MmapSecretExchange:
 * @session: the producer's
 *
 * What both sides have said before they prove anything: no proof is good for another exchange. Nothing in it is secret.
 */
typedef struct
{
  guint8 consumer_nonce[MMAP_SECRET_NONCE_BYTES];
  guint8 producer_nonce[MMAP_SECRET_NONCE_BYTES];
  guint64 session;
} MmapSecretExchange;

/**
 * MmapSecretProof:
 * @pid: of who made it, in its own PID namespace
 * @pid_namespace: inode of that namespace; 0: unknown
 */
typedef struct
{
  guint32 pid;
  guint64 pid_namespace;
  guint8 proof[MMAP_SECRET_PROOF_BYTES];
} MmapSecretProof;

/* @token: @n_bytes bytes, 16 to 4096
 * @name: what the user calls it, for the error: "access-token"
 * Returns: (transfer full): or %NULL with MMAP_ERROR_SETTING (too short or too long), or MMAP_ERROR_NO_SPACE */
MmapSecret *mmap_secret_new (gconstpointer token, gsize n_bytes,
    const char *name, GError ** error);

/* Reads the token from a file: all of it but for one line feed at its end. The file must be a regular one, of this process's user or
 * root, with no rights for others.
 * Returns: (transfer full): or %NULL with MMAP_ERROR_SETTING, which names the path, or MMAP_ERROR_NO_SPACE */
MmapSecret *mmap_secret_new_from_file (const char *path, GError ** error);

/* Takes the token from MMAP_SECRET_VARIABLE.
 * Returns: (transfer full): or %NULL, without an error if the variable is not set */
MmapSecret *mmap_secret_new_from_environment (GError ** error);

MmapSecret *mmap_secret_ref (MmapSecret * secret);

/* @secret: (nullable) */
void mmap_secret_unref (MmapSecret * secret);

/* Draws @nonce, MMAP_SECRET_NONCE_BYTES of it. FALSE with MMAP_ERROR_FAILED if the system has no random bytes. */
gboolean mmap_secret_draw_nonce (guint8 * nonce, GError ** error);

/* Proves, as @role, that this process knows the token. */
void mmap_secret_prove (const MmapSecret * secret,
    const MmapSecretExchange * exchange, MmapSecretRole role,
    MmapSecretProof * proof);

/* Of a connection from another machine. */
#define MMAP_SECRET_NO_PID G_MAXUINT32

/* Whether the other side, which is @role, knows the token, and is the process at the other end of the connection, as far as that can be known.
 * @peer_pid: of that process, as the kernel says; MMAP_SECRET_NO_PID: it can't say
 * FALSE with MMAP_ERROR_ACCESS_TOKEN. The time that it takes depends on nothing that is secret. */
gboolean mmap_secret_verify (const MmapSecret * secret,
    const MmapSecretExchange * exchange, MmapSecretRole role,
    const MmapSecretProof * proof, guint32 peer_pid, GError ** error);

/* As the messages carry them.
 * Returns: (transfer floating) */
GVariant *mmap_secret_bytes_to_variant (gconstpointer bytes, gsize n_bytes);
GVariant *mmap_secret_proof_to_variant (const MmapSecretProof * proof);

/* Copies the @n_bytes bytes of the value @key of @body to @bytes. FALSE with MMAP_ERROR_MESSAGE: there is none, or it is no such array. */
gboolean mmap_secret_lookup_bytes (GVariant * body, const char *key,
    guint8 * bytes, gsize n_bytes, GError ** error);
gboolean mmap_secret_proof_init_variant (MmapSecretProof * proof,
    GVariant * body, GError ** error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MmapSecret, mmap_secret_unref)
G_END_DECLS
