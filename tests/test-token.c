/* gst-mmap: tests of the tokens
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`.
 */
#include "error.h"
#include "leak-check.h"
#include "system-faults.h"
#include "token.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

static void
test_error_names (void)
{
  GHashTable *names = g_hash_table_new (g_str_hash, g_str_equal);
  guint code;

  for (code = 0; code < MMAP_N_ERRORS; code++) {
    const char *name = mmap_error_get_name (code);

    g_assert_nonnull (name);
    g_assert_true (g_hash_table_add (names, (gpointer) name));
  }
  g_assert_cmpstr (mmap_error_get_name (MMAP_ERROR_FAILED), ==, "failed");
  g_assert_cmpstr (mmap_error_get_name (MMAP_ERROR_TOKEN_INDEX), ==,
      "token-index");
  g_assert_cmpstr (mmap_error_get_name (MMAP_ERROR_LIMIT), ==, "limit");
  g_assert_cmpstr (mmap_error_get_name (MMAP_N_ERRORS), ==, "unknown");
  g_assert_cmpstr (mmap_error_get_name (-1), ==, "unknown");
  g_hash_table_unref (names);
}

static void
test_random (void)
{
  static const guint sizes[] = { 16, 17, 128, 255, 256, 257, 1023, 1024 };
  MmapToken one, two;
  GError *error = NULL;
  guint i, k, zeros;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_assert_true (mmap_token_init_random (&one, sizes[i], &error));
    g_assert_no_error (error);
    g_assert_true (mmap_token_init_random (&two, sizes[i], NULL));
    g_assert_cmpuint (one.n_bytes, ==, sizes[i]);
    /* 2^-128 at most that two are equal; and no tail is left unfilled. */
    g_assert_false (mmap_token_check (&one, two.bytes));
    for (zeros = 0, k = 0; k < sizes[i]; k++)
      zeros += one.bytes[k] == 0;
    g_assert_cmpuint (zeros, <, 8 + sizes[i] / 16);
    for (k = sizes[i]; k < MMAP_TOKEN_MAX_BYTES; k++)
      g_assert_cmpuint (one.bytes[k], ==, 0);
  }
}

static void
test_n_bytes (void)
{
  static const guint bad[] = { 0, 1, 15, 1025, G_MAXUINT / 2 + 8, G_MAXUINT };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    MmapToken token;
    GError *error = NULL;

    g_assert_false (mmap_token_init_random (&token, bad[i], &error));
    g_assert_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN_BYTES);
    g_assert_nonnull (strstr (error->message, "16 to 1024"));
    g_assert_cmpuint (token.n_bytes, ==, 0);
    g_clear_error (&error);
    g_assert_false (mmap_token_init_string (&token, "0x1", bad[i], &error));
    g_assert_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN_BYTES);
    g_clear_error (&error);
  }
}

static void
no_random_bytes (gconstpointer data)
{
  MmapToken token;
  GError *error = NULL;
  guint64 id;

  /* There is another way, while it is open. */
  fail_system_call (SYS_getrandom, 0, 0, ENOSYS);
  g_assert_true (mmap_token_init_random (&token, 16, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (token.n_bytes, ==, 16);
  mmap_random_below (1000);
  g_assert_true (mmap_random_id (&id, &error));
  g_assert_cmpuint (id, !=, 0);
  fail_system_call (SYS_openat, 0, 0, EMFILE);
  g_assert_false (mmap_token_init_random (&token, 16, &error));
  g_assert_error (error, MMAP_ERROR, MMAP_ERROR_FAILED);
  g_assert_cmpuint (token.n_bytes, ==, 0);
  g_clear_error (&error);
  g_assert_false (mmap_random_id (&id, &error));
  g_assert_error (error, MMAP_ERROR, MMAP_ERROR_FAILED);
  g_error_free (error);
}

static void
test_no_random_bytes (void)
{
  run_in_child (no_random_bytes, NULL);
}

/* The bytes are those that xpra's write_mmap_token() stores. */
static void
test_bytes (void)
{
  static const guint8 expected[18] = { 0x23, 0x01, 0xef, 0xcd, 0xab, };
  guint8 memory[20];
  MmapToken token;

  memset (memory, 0x55, sizeof (memory));
  g_assert_true (mmap_token_init_string (&token, "0xabcdef0123", 18, NULL));
  mmap_token_write (&token, memory + 1);
  g_assert_cmpmem (memory + 1, 18, expected, 18);
  g_assert_cmpuint (memory[0], ==, 0x55);
  g_assert_cmpuint (memory[19], ==, 0x55);
  g_assert_true (mmap_token_check (&token, memory + 1));
}

static void
test_check (void)
{
  MmapToken token, none;
  guint8 memory[MMAP_TOKEN_MAX_BYTES + 1];
  guint i;

  g_assert_true (mmap_token_init_random (&token, MMAP_TOKEN_MAX_BYTES, NULL));
  mmap_token_write (&token, memory);
  memory[MMAP_TOKEN_MAX_BYTES] = 1;
  g_assert_true (mmap_token_check (&token, memory));
  for (i = 0; i < 8 * MMAP_TOKEN_MAX_BYTES; i++) {
    memory[i / 8] ^= 1 << (i % 8);
    g_assert_false (mmap_token_check (&token, memory));
    memory[i / 8] ^= 1 << (i % 8);
  }
  /* Differences don't cancel. */
  memory[0] ^= 0x40;
  memory[100] ^= 0x40;
  g_assert_false (mmap_token_check (&token, memory));

  /* A token that was wiped, or never drawn, proves nothing. */
  memset (&none, 0, sizeof (none));
  g_assert_false (mmap_token_check (&none, memory));
}

static void
test_string (void)
{
  static const struct
  {
    const char *string;
    const char *canonical;
  } good[] = {
    {"0x0", "0x0"},
    {"0x00000000000000000000000000000000", "0x0"},
    {"0x1", "0x1"},
    {"0x10", "0x10"},
    {"0x0F", "0xf"},
    {"0xDeadBeef", "0xdeadbeef"},
    {"0xffffffffffffffffffffffffffffffff",
        "0xffffffffffffffffffffffffffffffff"},
    {"0x0fffffffffffffffffffffffffffffff",
        "0xfffffffffffffffffffffffffffffff"},
  };
  MmapToken token;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (good); i++) {
    GError *error = NULL;
    char *string;

    mmap_token_init_string (&token, good[i].string, 16, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (token.n_bytes, ==, 16);
    string = mmap_token_to_string (&token);
    g_assert_cmpstr (string, ==, good[i].canonical);
    g_free (string);
  }
  for (i = 16; i <= MMAP_TOKEN_MAX_BYTES; i += 7) {
    MmapToken copy;
    char *string;

    mmap_token_init_random (&token, i, NULL);
    string = mmap_token_to_string (&token);
    g_assert_true (mmap_token_init_string (&copy, string, i, NULL));
    g_assert_true (mmap_token_check (&copy, token.bytes));
    g_free (string);
  }
}

static void
test_bad_strings (void)
{
  static const char *const bad[] = {
    NULL, "", "0", "0x", "0X1", "1", "x1", "abc", " 0x1", "0x 1", "0x1 ",
    "0x-1", "-0x1", "0x1g", "0xg1", "0x1\n", "0x1\xc3\xa9",
    /* 33 digits in 16 bytes, even if they begin with 0 */
    "0x000000000000000000000000000000000",
    "0x100000000000000000000000000000000",
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    MmapToken token;
    GError *error = NULL;
    guint k;

    memset (&token, 0x55, sizeof (token));
    g_assert_false (mmap_token_init_string (&token, bad[i], 16, &error));
    g_assert_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN);
    g_assert_true (g_str_has_prefix (error->message, "token "));
    g_error_free (error);
    for (k = 0; k < sizeof (token); k++)
      g_assert_cmpuint (((guint8 *) & token)[k], ==, 0);
  }
}

static void
test_wipe (void)
{
  MmapToken token;
  guint i;

  mmap_token_init_random (&token, MMAP_TOKEN_MAX_BYTES, NULL);
  mmap_token_wipe (&token);
  for (i = 0; i < sizeof (token); i++)
    g_assert_cmpuint (((guint8 *) & token)[i], ==, 0);
}

static void
test_random_below (void)
{
  const guint64 third = G_GUINT64_CONSTANT (1) << 62;
  guint seen[5] = { 0, };
  guint first = 0;
  guint i;

  for (i = 0; i < 1000; i++) {
    g_assert_cmpuint (mmap_random_below (1), ==, 0);
    seen[mmap_random_below (5)]++;
  }
  for (i = 0; i < 5; i++)
    g_assert_cmpuint (seen[i], >, 100);
  /* A plain modulo would make the first third twice as likely: 1500 of 3000.
   * Uniform are 1000, with a deviation of 26. */
  for (i = 0; i < 3000; i++) {
    guint64 number = mmap_random_below (3 * third);

    g_assert_cmpuint (number, <, 3 * third);
    first += number < third;
  }
  g_assert_cmpuint (first, >, 750);
  g_assert_cmpuint (first, <, 1250);
  g_assert_cmpuint (mmap_random_below (G_MAXUINT64), <, G_MAXUINT64);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/error/names", test_error_names);
  leak_check_add_test ("/token/random", test_random);
  leak_check_add_test ("/token/n-bytes", test_n_bytes);
  leak_check_add_test ("/token/no-random-bytes", test_no_random_bytes);
  leak_check_add_test ("/token/bytes", test_bytes);
  leak_check_add_test ("/token/check", test_check);
  leak_check_add_test ("/token/string", test_string);
  leak_check_add_test ("/token/bad-strings", test_bad_strings);
  leak_check_add_test ("/token/wipe", test_wipe);
  leak_check_add_test ("/token/random-below", test_random_below);
  return g_test_run ();
}
