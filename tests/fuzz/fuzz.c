/* gst-mmap: what all fuzz targets share: one input, decisions
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz.h"

#include <dlfcn.h>
#include <gmodule.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A piece of a string: its first byte. */
#define PIECE_MORE 0x80         /* another one follows */
#define PIECE_KIND 0x70
#define PIECE_RAW 0x10
#define PIECE_REPEATED 0x20
#define PIECE_CHANGED 0x30
#define PIECE_CUT 0x40

/* As much as fits into a message, and more than anything allows. */
#define MAX_STRING_BYTES 65000
#define REPEAT_FULL_FROM 250

static int complaints;

/* --- one input --- */

static guint
count_entries (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  while (dir && g_dir_read_name (dir))
    n++;
  return n;
}

/* What is logged as a bug of ours ends the program, unless it is GStreamer that complains of a string. */
static void
judge (GLogLevelFlags level, const char *domain)
{
  if (!(level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL)) || complaints > 0)
    return;
  fprintf (stderr, "%s logged the message above\n", domain ? domain : "?");
  abort ();
}

static void
log_text (const char *domain, GLogLevelFlags level, const char *text,
    gpointer data)
{
  if (complaints == 0)
    g_log_default_handler (domain, level & ~G_LOG_FLAG_FATAL, text, data);
  judge (level, domain);
}

static GLogWriterOutput
log_fields (GLogLevelFlags level, const GLogField * fields, gsize n_fields,
    gpointer data)
{
  if (complaints == 0)
    g_log_writer_default (level & ~G_LOG_FLAG_FATAL, fields, n_fields, data);
  judge (level, NULL);
  return G_LOG_WRITER_HANDLED;
}

void
fuzz_allow_complaints (gboolean allow)
{
  complaints += allow ? 1 : -1;
}

/* Of a sanitizer, if there is one. */
void __lsan_disable (void) __attribute__((weak));
void __lsan_enable (void) __attribute__((weak));
void __lsan_ignore_object (const void *block) __attribute__((weak));

void
fuzz_allow_leaks (gboolean allow)
{
  if (allow && __lsan_disable)
    __lsan_disable ();
  else if (!allow && __lsan_enable)
    __lsan_enable ();
}

/* GLib's array of quarks is abandoned when it is full (after 2048, 4096, ...) and a larger one has taken its place: who looks into it takes no
 * lock. Such an array is allocated before the program starts, or by these two functions, which GStreamer, too, finds here. */
static gboolean started;

/* A sanitizer calls that for each allocation. */
void __sanitizer_malloc_hook (const volatile void *block, size_t size);

void
__sanitizer_malloc_hook (const volatile void *block, size_t size)
{
  if (!started && __lsan_ignore_object)
    __lsan_ignore_object ((const void *) block);
}

static GQuark
make_quark (const char *function, const gchar * string)
{
  GQuark (*make) (const gchar *) =
      (GQuark (*)(const gchar *)) dlsym (RTLD_NEXT, function);
  GQuark quark;

  fuzz_allow_leaks (TRUE);
  quark = make (string);
  fuzz_allow_leaks (FALSE);
  return quark;
}

G_MODULE_EXPORT GQuark
g_quark_from_string (const gchar * string)
{
  return make_quark ("g_quark_from_string", string);
}

#undef g_quark_from_static_string
G_MODULE_EXPORT GQuark
g_quark_from_static_string (const gchar * string)
{
  return make_quark ("g_quark_from_static_string", string);
}

/* ThreadSanitizer's own thread is there from the first that is started. Not GLib's: some targets run their threads themselves. */
static void *
do_nothing (void *data)
{
  return NULL;
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  pthread_t first;

  started = TRUE;
  fuzz_assert (pthread_create (&first, NULL, do_nothing, NULL) == 0
      && pthread_join (first, NULL) == 0);
  g_setenv ("GST_REGISTRY_DISABLE", "yes", TRUE);
  g_log_set_default_handler (log_text, NULL);
  g_log_set_writer_func (log_fields, NULL, NULL);
  fuzz_start ();
  return 0;
}

/* What may block whoever closes it is closed in threads. */
#define CLOSE_LIMIT_MS 10000

static gboolean
falls_to (const char *directory, guint n)
{
  const struct timespec pause = { 0, 1000000 };
  guint i;

  for (i = 0; i < CLOSE_LIMIT_MS && count_entries (directory) > n; i++)
    nanosleep (&pause, NULL);
  return i < CLOSE_LIMIT_MS;
}

int
LLVMFuzzerTestOneInput (const guint8 * data, gsize size)
{
  FuzzInput input = { data, size, FALSE };
  guint n_fds = count_entries ("/proc/self/fd");
  guint n_threads = count_entries ("/proc/self/task");

  fuzz_run (&input);
  fuzz_assert (falls_to ("/proc/self/fd", n_fds)
      && count_entries ("/proc/self/fd") == n_fds);
  fuzz_assert (falls_to ("/proc/self/task", n_threads));
  return 0;
}

void
fuzz_fail (const char *file, int line, const char *condition)
{
  fprintf (stderr, "%s:%d: not so: %s\n", file, line, condition);
  abort ();
}

/* --- decisions --- */

guint8
fuzz_byte (FuzzInput * input)
{
  if (input->size == 0)
    return 0;
  input->size--;
  return *input->data++;
}

guint
fuzz_below (FuzzInput * input, guint n)
{
  return n <= 1 ? 0 : fuzz_byte (input) % n;
}

gboolean
fuzz_one_in (FuzzInput * input, guint n)
{
  return fuzz_below (input, n) == n - 1;
}

static guint64
raw_word (FuzzInput * input)
{
  guint64 word = 0;
  guint i;

  for (i = 0; i < 8; i++)
    word |= (guint64) fuzz_byte (input) << (8 * i);
  return word;
}

guint64
fuzz_number (FuzzInput * input)
{
  static const guint64 limits[] = {
    64, 255, 256, 1023, 1024, 1025, 4095, 4096, 8192, 12288, 32768, 65535,
    65536, 73728, 131072, G_MAXINT16, G_MAXINT32, (guint64) G_MAXINT32 + 1,
    G_MAXUINT32 - 1, G_MAXUINT32, (guint64) G_MAXUINT32 + 1,
    G_GUINT64_CONSTANT (1) << 32 | 1, G_GUINT64_CONSTANT (1) << 40,
    G_MAXINT64, (guint64) G_MAXINT64 + 1, G_MAXUINT64 - 63, G_MAXUINT64 - 1,
    G_MAXUINT64
  };
  guint8 first = fuzz_byte (input);

  if (first < 128)
    return first;
  if (first < 192)
    return limits[first % G_N_ELEMENTS (limits)];
  if (first < 240)
    return limits[first % G_N_ELEMENTS (limits)] + (gint8) fuzz_byte (input);
  return raw_word (input);
}

gdouble
fuzz_double (FuzzInput * input)
{
  static const gdouble values[] = {
    0.0, 1.0, -1.0, 0.5, -0.0, 2.0, -2.0, 1e-300, 1e300, -1e300, 1e39, 1e-46,
    NAN, INFINITY, -INFINITY
  };
  guint8 first = fuzz_byte (input);
  guint64 word;
  gdouble number;

  if (first < 128)
    return values[first % G_N_ELEMENTS (values)];
  if (first < 240)
    return (gint8) fuzz_byte (input);
  word = raw_word (input);
  memcpy (&number, &word, sizeof number);
  return number;
}

const guint8 *
fuzz_bytes (FuzzInput * input, gsize n, gsize * taken)
{
  const guint8 *bytes = input->data;

  *taken = MIN (n, input->size);
  input->data += *taken;
  input->size -= *taken;
  return bytes;
}

static void
append_piece (GString * string, FuzzInput * input, guint8 kind,
    const char *const *words)
{
  const char *word;
  gsize start = string->len, n;
  guint8 times;

  if (kind == PIECE_RAW) {
    const guint8 *bytes = fuzz_bytes (input, fuzz_byte (input), &n);

    g_string_append_len (string, (const char *) bytes, n);
    return;
  }
  word = words[fuzz_below (input, g_strv_length ((char **) words))];
  g_string_append (string, word);
  n = string->len - start;
  if (kind == PIECE_CHANGED && n > 0) {
    start += fuzz_byte (input) % n;
    string->str[start] = fuzz_byte (input);
  } else if (kind == PIECE_CUT && n > 0) {
    g_string_truncate (string, start + fuzz_byte (input) % n);
  } else if (kind == PIECE_REPEATED) {
    times = fuzz_byte (input);
    for (n = times < REPEAT_FULL_FROM ? times : MAX_STRING_BYTES; n > 1
        && string->len < MAX_STRING_BYTES; n--)
      g_string_append (string, word);
  }
}

char *
fuzz_string (FuzzInput * input, const char *const *words)
{
  g_autoptr (GString) string = g_string_new (NULL);
  guint8 first;

  do {
    first = fuzz_byte (input);
    append_piece (string, input, first & PIECE_KIND, words);
  } while ((first & PIECE_MORE) && input->size > 0
      && string->len < MAX_STRING_BYTES);
  return g_utf8_make_valid (string->str, strlen (string->str));
}
