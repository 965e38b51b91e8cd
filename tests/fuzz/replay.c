/* gst-mmap: runs a fuzz target without libFuzzer, as an ordinary test
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     fuzz-NAME CORPUS [FILE...]
 *
 * Every file of the directory, and each some times changed at random, from a seed that is printed (MMAP_FUZZ_SEED=...). With files: only
 * these, unchanged. The input that ends the program is written to ./replay-crash-NAME, which can be given as FILE.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of all files together; chosen: most of a second with the slowest target. */
#define MUTATIONS 400
#define MAX_CHANGES 8

static const GByteArray *current;
static char *crash_path;

static void
keep_crash (int number)
{
  int fd = open (crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

  if (!current || fd < 0 || write (fd, current->data, current->len) < 0)
    _exit (128 + number);
  signal (number, SIG_DFL);
  raise (number);
}

static void
run (const GByteArray * bytes)
{
  current = bytes;
  LLVMFuzzerTestOneInput (bytes->data, bytes->len);
  current = NULL;
}

static GByteArray *
load (const char *path)
{
  g_autoptr (GError) error = NULL;
  char *data;
  gsize size;

  if (!g_file_get_contents (path, &data, &size, &error)) {
    fprintf (stderr, "replay: %s\n", error->message);
    exit (2);
  }
  return g_byte_array_new_take ((guint8 *) data, size);
}

/* Bytes changed, taken out, put in, or the end of another input in place of its own. */
static GByteArray *
mutate (const GByteArray * bytes, const GByteArray * other, GRand * rand)
{
  GByteArray *changed = g_byte_array_new ();
  guint n = g_rand_int_range (rand, 1, MAX_CHANGES + 1);

  g_byte_array_append (changed, bytes->data, bytes->len);
  while (n-- > 0) {
    guint at = g_rand_int_range (rand, 0, changed->len + 1);
    guint8 byte = g_rand_int_range (rand, 0, 256);

    switch (g_rand_int_range (rand, 0, 5)) {
      case 0:
        g_byte_array_append (changed, &byte, 1);
        break;
      case 1:
        if (at < changed->len)
          g_byte_array_remove_index (changed, at);
        break;
      case 2:
        g_byte_array_set_size (changed, at);
        at = g_rand_int_range (rand, 0, other->len + 1);
        g_byte_array_append (changed, other->data + at, other->len - at);
        break;
      default:
        if (at < changed->len)
          changed->data[at] = byte;
        break;
    }
  }
  return changed;
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static GPtrArray *
load_corpus (const char *directory, GPtrArray * names)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (directory, 0, &error);
  GPtrArray *inputs =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_byte_array_unref);
  const char *name;
  guint i;

  if (!dir) {
    fprintf (stderr, "replay: %s\n", error->message);
    exit (2);
  }
  while ((name = g_dir_read_name (dir)))
    g_ptr_array_add (names, g_build_filename (directory, name, NULL));
  /* In the same order everywhere. */
  g_ptr_array_sort (names, compare_names);
  for (i = 0; i < names->len; i++)
    g_ptr_array_add (inputs, load (g_ptr_array_index (names, i)));
  return inputs;
}

static void
run_corpus (const char *directory)
{
  const char *seed_text = g_getenv ("MMAP_FUZZ_SEED");
  guint32 seed = seed_text ? strtoul (seed_text, NULL, 0) : 1;
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) inputs = load_corpus (directory, names);
  guint i, n;

  printf ("# MMAP_FUZZ_SEED=%u\n1..%u\n", seed, inputs->len);
  for (i = 0; i < inputs->len; i++) {
    const GByteArray *input = g_ptr_array_index (inputs, i);

    run (input);
    for (n = 0; n < MUTATIONS / inputs->len + 1; n++) {
      g_autoptr (GByteArray) changed = mutate (input,
          g_ptr_array_index (inputs, g_rand_int_range (rand, 0, inputs->len)),
          rand);

      run (changed);
    }
    printf ("ok %u - %s\n", i + 1, (char *) g_ptr_array_index (names, i));
    fflush (stdout);
  }
}

int
main (int argc, char **argv)
{
  static const int signals[] =
      { SIGABRT, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
  g_autofree char *name = g_path_get_basename (argv[0]);
  int i;

  if (argc < 2) {
    fprintf (stderr, "usage: %s CORPUS [FILE...]\n", name);
    return 2;
  }
  crash_path = g_strconcat ("replay-crash-", name, NULL);
  for (i = 0; i < (int) G_N_ELEMENTS (signals); i++)
    signal (signals[i], keep_crash);
  LLVMFuzzerInitialize (&argc, &argv);
  if (argc == 2)
    run_corpus (argv[1]);
  for (i = 2; i < argc; i++) {
    g_autoptr (GByteArray) input = load (argv[i]);

    run (input);
  }
  g_free (crash_path);
  return 0;
}
