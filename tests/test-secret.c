/* gst-mmap: tests of access tokens and the proofs that one knows them
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`, as root: it makes files of another user. What is said over a socket is in test-secret-link.c.
 */
#include "secret.h"
#include "error.h"
#include "leak-check.h"
#include "peers.h"
#include "system-faults.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TOKEN "correct horse battery staple"
#define SESSION G_GUINT64_CONSTANT (0x0123456789abcdef)

/* --- proofs --- */

static MmapSecret *
make_secret (const char *token)
{
  GError *error = NULL;
  MmapSecret *secret = mmap_secret_new (token, strlen (token), "access-token",
      &error);

  g_assert_no_error (error);
  return secret;
}

static void
make_exchange (MmapSecretExchange * exchange)
{
  guint i;

  for (i = 0; i < MMAP_SECRET_NONCE_BYTES; i++) {
    exchange->consumer_nonce[i] = i;
    exchange->producer_nonce[i] = 100 + i;
  }
  exchange->session = SESSION;
}

static void
check_verified (const MmapSecret * secret, const MmapSecretExchange * exchange,
    MmapSecretRole role, const MmapSecretProof * proof)
{
  GError *error = NULL;

  g_assert_true (mmap_secret_verify (secret, exchange, role, proof, getpid (),
          &error));
  g_assert_no_error (error);
}

static void
check_refused (const MmapSecret * secret, const MmapSecretExchange * exchange,
    MmapSecretRole role, const MmapSecretProof * proof)
{
  GError *error = NULL;

  g_assert_false (mmap_secret_verify (secret, exchange, role, proof, getpid (),
          &error));
  check_error (&error, MMAP_ERROR_ACCESS_TOKEN, "another one");
}

/* What docs/protocol.md says, by Python's hashlib:
 *   key = blake2b(TOKEN, digest_size=32, key=b"gst-mmap access-token 1").digest()
 *   blake2b(b"gst-mmap proof 1" + pack("<IIQQ", role, 4711, 4026531836, SESSION) + bytes(range(32)) + bytes(range(100, 132)),
 *           digest_size=32, key=key)
 */
static void
test_vectors (void)
{
  static const char *const expected[] = {
    "bfcec7e02e4359544e5c4b3d852adac40776f2898e409f70b6bb44fed0264514",
    "8547b2005d1f4ac9a2f9e725ee34122a94477d324d8f2ce46672b2215ce4cab3",
  };
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  MmapSecretExchange exchange;
  guint role;

  make_exchange (&exchange);
  for (role = MMAP_SECRET_CONSUMER; role <= MMAP_SECRET_PRODUCER; role++) {
    MmapSecretProof proof = { 4711, 4026531836, {0}
    };
    GError *error = NULL;
    gsize n;

    g_assert_cmpint (sodium_hex2bin (proof.proof, sizeof proof.proof,
            expected[role - 1], 64, NULL, &n, NULL), ==, 0);
    g_assert_cmpuint (n, ==, 32);
    g_assert_true (mmap_secret_verify (secret, &exchange, role, &proof, 4711,
            &error));
    g_assert_no_error (error);
  }
}

static void
test_proof (void)
{
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  g_autoptr (MmapSecret) same = make_secret (TOKEN);
  g_autoptr (MmapSecret) other = make_secret (TOKEN "!");
  MmapSecretExchange exchange;
  guint role;

  make_exchange (&exchange);
  for (role = MMAP_SECRET_CONSUMER; role <= MMAP_SECRET_PRODUCER; role++) {
    MmapSecretProof proof;

    mmap_secret_prove (secret, &exchange, role, &proof);
    check_verified (same, &exchange, role, &proof);
    check_refused (other, &exchange, role, &proof);
    /* A reflection. */
    check_refused (secret, &exchange, 3 - role, &proof);
  }
}

/* Each bit of what is proved, and of the proof. */
static void
test_bits (void)
{
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  MmapSecretExchange exchange;
  MmapSecretProof proof;
  guint i;

  make_exchange (&exchange);
  mmap_secret_prove (secret, &exchange, MMAP_SECRET_PRODUCER, &proof);
  for (i = 0; i < 8 * sizeof exchange; i++) {
    MmapSecretExchange changed = exchange;

    ((guint8 *) & changed)[i / 8] ^= 1 << (i % 8);
    check_refused (secret, &changed, MMAP_SECRET_PRODUCER, &proof);
  }
  for (i = 0; i < 8 * sizeof proof.proof; i++) {
    MmapSecretProof changed = proof;

    changed.proof[i / 8] ^= 1 << (i % 8);
    check_refused (secret, &exchange, MMAP_SECRET_PRODUCER, &changed);
  }
  for (i = 0; i < 32; i++) {
    MmapSecretProof changed = proof;

    changed.pid ^= 1u << i;
    check_refused (secret, &exchange, MMAP_SECRET_PRODUCER, &changed);
  }
  for (i = 0; i < 64; i++) {
    MmapSecretProof changed = proof;

    changed.pid_namespace ^= G_GUINT64_CONSTANT (1) << i;
    check_refused (secret, &exchange, MMAP_SECRET_PRODUCER, &changed);
  }
  check_verified (secret, &exchange, MMAP_SECRET_PRODUCER, &proof);
}

/* Two nonces that change places: the same bytes, another exchange. */
static void
test_swapped (void)
{
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  MmapSecretExchange exchange, swapped;
  MmapSecretProof proof;

  make_exchange (&exchange);
  swapped.session = exchange.session;
  memcpy (swapped.consumer_nonce, exchange.producer_nonce, 32);
  memcpy (swapped.producer_nonce, exchange.consumer_nonce, 32);
  mmap_secret_prove (secret, &exchange, MMAP_SECRET_CONSUMER, &proof);
  check_refused (secret, &swapped, MMAP_SECRET_CONSUMER, &proof);
  check_refused (secret, &swapped, MMAP_SECRET_PRODUCER, &proof);
}

/* A right proof, by another process than the one at the other end. */
static void
test_passed_on (void)
{
  static const guint roles[] = { MMAP_SECRET_CONSUMER, MMAP_SECRET_PRODUCER };
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  MmapSecretExchange exchange;
  GError *error = NULL;
  guint i;

  make_exchange (&exchange);
  for (i = 0; i < G_N_ELEMENTS (roles); i++) {
    MmapSecretProof proof;

    mmap_secret_prove (secret, &exchange, roles[i], &proof);
    g_assert_cmpuint (proof.pid_namespace, !=, 0);
    g_assert_false (mmap_secret_verify (secret, &exchange, roles[i], &proof,
            getpid () + 1, &error));
    check_error (&error, MMAP_ERROR_ACCESS_TOKEN, "who stands between");
    g_assert_false (mmap_secret_verify (secret, &exchange, roles[i], &proof, 0,
            &error));
    check_error (&error, MMAP_ERROR_ACCESS_TOKEN, "who stands between");
  }
}

/* Of another namespace the kernel tells another pid. The proof is by Python's hashlib, see test_vectors(). */
static void
test_namespaces (void)
{
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  MmapSecretProof proof = { 4711, 1, {0} };
  MmapSecretExchange exchange;
  GError *error = NULL;

  make_exchange (&exchange);
  sodium_hex2bin (proof.proof, sizeof proof.proof,
      "f48b9d3729c42d9b8dff0995ee7f0c9b2174e9b22c01b218ad58a3315ebb1f87", 64,
      NULL, NULL, NULL);
  g_assert_true (mmap_secret_verify (secret, &exchange, MMAP_SECRET_CONSUMER,
          &proof, 0, &error));
  g_assert_no_error (error);
}

static void
test_nonces (void)
{
  guint8 nonces[2][MMAP_SECRET_NONCE_BYTES] = { {0}, {0} };
  GError *error = NULL;

  g_assert_true (mmap_secret_draw_nonce (nonces[0], &error));
  g_assert_true (mmap_secret_draw_nonce (nonces[1], &error));
  g_assert_no_error (error);
  g_assert_false (memcmp (nonces[0], nonces[1], sizeof nonces[0]) == 0);
  /* 2^-64: a half that is not filled. */
  g_assert_false (memcmp (nonces[0] + 24, nonces[1] + 24, 8) == 0);
}

static void
no_random_bytes (gconstpointer data)
{
  guint8 nonce[MMAP_SECRET_NONCE_BYTES];
  GError *error = NULL;

  fail_system_call (SYS_getrandom, 0, 0, ENOSYS);
  fail_system_call (SYS_openat, 0, 0, EMFILE);
  g_assert_false (mmap_secret_draw_nonce (nonce, &error));
  check_error (&error, MMAP_ERROR_FAILED, "random");
}

static void
test_no_random_bytes (void)
{
  run_in_child (no_random_bytes, NULL);
}

/* --- messages --- */

/* As it arrives. */
static GVariant *
make_body (const char *key, GVariant * value)
{
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  g_autoptr (GVariant) plain = NULL;
  MmapSecretExchange exchange;
  MmapSecretProof proof;
  GVariantDict dict;

  make_exchange (&exchange);
  mmap_secret_prove (secret, &exchange, MMAP_SECRET_CONSUMER, &proof);
  plain = g_variant_ref_sink (mmap_secret_proof_to_variant (&proof));
  g_variant_dict_init (&dict, plain);
  if (value)
    g_variant_dict_insert_value (&dict, key, value);
  else if (key)
    g_variant_dict_remove (&dict, key);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static void
test_message (void)
{
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  g_autoptr (GVariant) body = make_body (NULL, NULL);
  MmapSecretExchange exchange;
  MmapSecretProof proof;
  GError *error = NULL;

  make_exchange (&exchange);
  g_assert_true (mmap_secret_proof_init_variant (&proof, body, &error));
  g_assert_no_error (error);
  check_verified (secret, &exchange, MMAP_SECRET_CONSUMER, &proof);
}

static void
check_malformed (const char *key, GVariant * value, const char *reason)
{
  g_autoptr (GVariant) body = make_body (key, value);
  MmapSecretProof proof;
  GError *error = NULL;

  g_assert_false (mmap_secret_proof_init_variant (&proof, body, &error));
  check_error (&error, MMAP_ERROR_MESSAGE, reason);
}

static void
test_malformed (void)
{
  static const guint8 bytes[64] = { 0 };
  static const gsize sizes[] = { 0, 1, 31, 33, 64 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    check_malformed ("proof", mmap_secret_bytes_to_variant (bytes, sizes[i]),
        "array of 32 bytes");
  check_malformed ("proof", NULL, "no proof");
  check_malformed ("proof", g_variant_new_string
      ("0123456789abcdef0123456789abcde"), "array of 32 bytes");
  check_malformed ("proof", g_variant_new_fixed_array (G_VARIANT_TYPE_UINT32,
          bytes, 8, 4), "array of 32 bytes");
  check_malformed ("pid", NULL, "whose");
  check_malformed ("pid", g_variant_new_uint64 (1), "whose");
  check_malformed ("pid-namespace", NULL, "whose");
  check_malformed ("pid-namespace", g_variant_new_string ("1"), "whose");
}

/* --- tokens --- */

static void
check_length (gsize n, gboolean right)
{
  g_autofree guint8 *token = g_malloc0 (n + 1);
  GError *error = NULL;
  g_autoptr (MmapSecret) secret = mmap_secret_new (token, n, "access-token",
      &error);

  if (right) {
    g_assert_no_error (error);
    g_assert_nonnull (secret);
    return;
  }
  g_assert_null (secret);
  check_error (&error, MMAP_ERROR_SETTING,
      "expected 16 to 4096 that nobody can guess");
}

static void
test_length (void)
{
  check_length (0, FALSE);
  check_length (1, FALSE);
  check_length (15, FALSE);
  check_length (16, TRUE);
  check_length (4096, TRUE);
  check_length (4097, FALSE);
  check_length (1 << 20, FALSE);
}

static void
no_memory (gconstpointer data)
{
  struct rlimit limit = { 0, 0 };
  g_autoptr (MmapSecret) secret = make_secret (TOKEN);
  GError *error = NULL;

  g_clear_pointer (&secret, mmap_secret_unref);
  g_assert_cmpint (setrlimit (RLIMIT_AS, &limit), ==, 0);
  g_assert_null (mmap_secret_new (TOKEN, strlen (TOKEN), "access-token",
          &error));
  check_error (&error, MMAP_ERROR_NO_SPACE, "no memory");
}

static void
test_no_memory (void)
{
  run_in_child (no_memory, NULL);
}

/* Returns: (transfer full): its path. @n: -1: a string */
static char *
write_file (const char *text, gssize n, mode_t mode)
{
  char *path = leak_check_path ("token");
  GError *error = NULL;

  g_file_set_contents (path, text, n, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_chmod (path, mode), ==, 0);
  return path;
}

static gboolean
same_key (MmapSecret * one, MmapSecret * two)
{
  MmapSecretExchange exchange;
  MmapSecretProof proof;

  make_exchange (&exchange);
  mmap_secret_prove (one, &exchange, MMAP_SECRET_CONSUMER, &proof);
  return mmap_secret_verify (two, &exchange, MMAP_SECRET_CONSUMER, &proof,
      getpid (), NULL);
}

static void
check_file (const char *text, gssize n, const char *token)
{
  g_autofree char *path = write_file (text, n, 0600);
  g_autoptr (MmapSecret) expected = token ? make_secret (token) : NULL;
  GError *error = NULL;
  g_autoptr (MmapSecret) secret = mmap_secret_new_from_file (path, &error);

  g_unlink (path);
  if (token) {
    g_assert_no_error (error);
    g_assert_true (same_key (secret, expected));
    return;
  }
  g_assert_null (secret);
  g_assert_error (error, MMAP_ERROR, MMAP_ERROR_SETTING);
  g_assert_nonnull (strstr (error->message, path));
  check_error (&error, MMAP_ERROR_SETTING, "16 to 4096");
}

static void
test_file (void)
{
  g_autofree char *longest = g_strnfill (MMAP_SECRET_MAX_BYTES, 'x');
  g_autofree char *with_newline = g_strconcat (longest, "\n", NULL);
  g_autofree char *too_long = g_strconcat (longest, "x", NULL);
  g_autofree char *far_too_long = g_strnfill (1 << 20, 'x');

  check_file (TOKEN, -1, TOKEN);
  check_file (TOKEN "\n", -1, TOKEN);
  /* One, and only at the end. */
  check_file (TOKEN "\n\n", -1, TOKEN "\n");
  check_file ("\n" TOKEN "\n", -1, "\n" TOKEN);
  check_file (TOKEN " ", -1, TOKEN " ");
  check_file (longest, -1, longest);
  check_file (with_newline, -1, longest);
  check_file ("", -1, NULL);
  check_file ("\n", -1, NULL);
  check_file ("secret\n", -1, NULL);
  check_file (too_long, -1, NULL);
  check_file (far_too_long, -1, NULL);
}

/* All of its bytes, whatever they are. */
static void
test_file_binary (void)
{
  static const char one[] = "0123456789abcdef\0one", two[] =
      "0123456789abcdef\0two";
  g_autofree char *path = write_file (one, sizeof one, 0600);
  GError *error = NULL;
  g_autoptr (MmapSecret) first = mmap_secret_new_from_file (path, &error);
  g_autoptr (MmapSecret) second = NULL;

  g_free (write_file (two, sizeof two, 0600));
  second = mmap_secret_new_from_file (path, &error);
  g_assert_no_error (error);
  g_assert_false (same_key (first, second));
  g_unlink (path);
}

static void
check_bad_file (const char *path, const char *reason)
{
  GError *error = NULL;

  g_assert_null (mmap_secret_new_from_file (path, &error));
  g_assert_nonnull (strstr (error->message, path));
  check_error (&error, MMAP_ERROR_SETTING, reason);
}

static void
test_file_mode (void)
{
  static const mode_t bad[] =
      { 0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666 };
  static const mode_t good[] = { 0600, 0400, 0700 };
  g_autofree char *path = NULL;
  GError *error = NULL;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_free (path);
    path = write_file (TOKEN, -1, bad[i]);
    check_bad_file (path, "chmod 600");
  }
  for (i = 0; i < G_N_ELEMENTS (good); i++) {
    g_autoptr (MmapSecret) secret = NULL;

    g_assert_cmpint (g_chmod (path, good[i]), ==, 0);
    secret = mmap_secret_new_from_file (path, &error);
    g_assert_no_error (error);
  }
  g_unlink (path);
}

static void
test_file_owner (void)
{
  g_autofree char *path = write_file (TOKEN, -1, 0600);

  g_assert_cmpint (chown (path, 4711, -1), ==, 0);
  check_bad_file (path, "belongs to user 4711");
  g_unlink (path);
}

/* A link may lead there: what counts is the file. A link to a bad one is no better. */
static void
test_file_link (void)
{
  g_autofree char *path = write_file (TOKEN, -1, 0600);
  g_autofree char *link = leak_check_path ("link");
  g_autoptr (MmapSecret) secret = NULL;
  GError *error = NULL;

  g_assert_cmpint (symlink (path, link), ==, 0);
  secret = mmap_secret_new_from_file (link, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_chmod (path, 0644), ==, 0);
  check_bad_file (link, "chmod 600");
  g_unlink (path);
  check_bad_file (link, "No such file");
  g_unlink (link);
}

static void
test_no_file (void)
{
  g_autofree char *path = leak_check_path ("token");

  check_bad_file (path, "No such file");
  check_bad_file ("", "No such file");
  check_bad_file ("/", "no regular file");
  check_bad_file ("/dev/zero", "no regular file");
  /* Nobody writes: it must not wait. */
  g_assert_cmpint (mkfifo (path, 0600), ==, 0);
  check_bad_file (path, "no regular file");
  g_unlink (path);
}

static void
read_fails (gconstpointer data)
{
  fail_system_call (SYS_read, 0, 0, EIO);
  check_bad_file (data, "Input/output error");
}

static void
test_file_read (void)
{
  g_autofree char *path = write_file (TOKEN, -1, 0600);

  run_in_child (read_fails, path);
  g_unlink (path);
}

/* --- what stays in memory --- */

#define MASK 0x5a

/* Whether @n bytes of the stack or the heap are those of @masked, each changed by MASK, so that they are not what is found. */
__attribute__((noinline, no_sanitize ("address", "thread", "undefined")))
     static gboolean memory_holds (const guint8 * masked, gsize n)
{
  g_autofree char *maps = NULL;
  g_auto (GStrv) lines = NULL;
  gboolean found = FALSE;
  guint i;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));
  lines = g_strsplit (maps, "\n", -1);
  for (i = 0; lines[i] && !found; i++) {
    guintptr start, end;
    const guint8 *p;

    if (!strstr (lines[i], "[stack]") && !strstr (lines[i], "[heap]"))
      continue;
    g_assert_cmpint (sscanf (lines[i], "%lx-%lx", &start, &end), ==, 2);
    for (p = (const guint8 *) start; p + n <= (const guint8 *) end; p++) {
      gsize k;

      for (k = 0; k < n && (p[k] ^ MASK) == masked[k]; k++);
      if (k == n) {
        found = TRUE;
        break;
      }
    }
  }
  return found;
}

/* Forked: what other tests have left in memory is of no interest, and no sanitizer is asked about what lies between objects. */
static void
key_stays_alone (gconstpointer data)
{
  g_autofree char *path = leak_check_path ("token");
  guint8 masked[32], byte;
  MmapSecret *secret;
  GError *error = NULL;
  int fd = open (path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  /* Not where AddressSanitizer would put it. */
  volatile guint8 *kept = g_alloca (sizeof masked);
  gsize i;

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (mmap_secret_draw_nonce (masked, NULL));
  for (i = 0; i < sizeof masked; i++) {
    byte = masked[i] ^ MASK;
    g_assert_cmpint (write (fd, &byte, 1), ==, 1);
  }
  close (fd);
  secret = mmap_secret_new_from_file (path, &error);
  g_assert_no_error (error);
  g_unlink (path);
  g_assert_false (memory_holds (masked, sizeof masked));

  /* It would be found. */
  for (i = 0; i < sizeof masked; i++)
    kept[i] = masked[i] ^ MASK;
  g_assert_true (memory_holds (masked, sizeof masked));
  sodium_memzero ((guint8 *) kept, sizeof masked);
  mmap_secret_unref (secret);
}

static void
test_wiped (void)
{
  run_in_child (key_stays_alone, NULL);
}

/* --- the environment --- */

static void
check_variable (const char *value, MmapError code, const char *reason)
{
  g_autoptr (MmapSecret) secret = NULL;
  GError *error = NULL;

  if (value)
    g_setenv (MMAP_SECRET_VARIABLE, value, TRUE);
  else
    g_unsetenv (MMAP_SECRET_VARIABLE);
  secret = mmap_secret_new_from_environment (&error);
  g_unsetenv (MMAP_SECRET_VARIABLE);
  if (!reason) {
    g_assert_no_error (error);
    g_assert_true ((secret != NULL) == (value != NULL));
    return;
  }
  g_assert_null (secret);
  g_assert_nonnull (strstr (error->message, MMAP_SECRET_VARIABLE));
  check_error (&error, code, reason);
}

static void
test_environment (void)
{
  check_variable (NULL, 0, NULL);
  check_variable (TOKEN, 0, NULL);
  /* It was meant to hold something: no token is not what was asked for. */
  check_variable ("", MMAP_ERROR_SETTING, "has 0 bytes");
  check_variable ("secret", MMAP_ERROR_SETTING, "has 6 bytes");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/secret/vectors", test_vectors);
  leak_check_add_test ("/secret/proof", test_proof);
  leak_check_add_test ("/secret/bits", test_bits);
  leak_check_add_test ("/secret/swapped", test_swapped);
  leak_check_add_test ("/secret/passed-on", test_passed_on);
  leak_check_add_test ("/secret/namespaces", test_namespaces);
  leak_check_add_test ("/secret/nonces", test_nonces);
  leak_check_add_test ("/secret/no-random-bytes", test_no_random_bytes);
  leak_check_add_test ("/secret/message", test_message);
  leak_check_add_test ("/secret/malformed", test_malformed);
  leak_check_add_test ("/secret/length", test_length);
  leak_check_add_test ("/secret/no-memory", test_no_memory);
  leak_check_add_test ("/secret/file", test_file);
  leak_check_add_test ("/secret/file-binary", test_file_binary);
  leak_check_add_test ("/secret/file-mode", test_file_mode);
  leak_check_add_test ("/secret/file-owner", test_file_owner);
  leak_check_add_test ("/secret/file-link", test_file_link);
  leak_check_add_test ("/secret/no-file", test_no_file);
  leak_check_add_test ("/secret/file-read", test_file_read);
  leak_check_add_test ("/secret/wiped", test_wiped);
  leak_check_add_test ("/secret/environment", test_environment);
  return g_test_run ();
}
