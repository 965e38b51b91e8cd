/* gst-mmap: tests of the elements' access token
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`, with GStreamer's leaks tracer. What the two sides say to each other is in test-secret-link.c.
 */
#include "leak-check.h"
#include "pipe.h"
#include "secret.h"

#include <glib/gstdio.h>
#include <gmodule.h>
#include <string.h>

#define TOKEN "correct-horse-battery-staple"
#define OTHER_TOKEN "wrong-horse-battery-staple"
#define CAPS "video/x-raw,format=GRAY8,width=64,height=48"
#define N_FRAMES 5

/* What an element is told. Each may be %NULL: not told. */
typedef struct
{
  const char *token;
  const char *file;             /* what it is to hold */
  const char *environment;
} Told;

static char *path;
static const char *variable;    /* atomic: the value of MMAP_SECRET_VARIABLE; NULL: not set */

const gchar *__real_g_getenv (const gchar * name);
/* Exported, as libraries call what is wrapped, too. */
G_MODULE_EXPORT const gchar *__wrap_g_getenv (const gchar * name);

/* The environment itself can't be changed while there are threads. */
const gchar *
__wrap_g_getenv (const gchar * name)
{
  return g_str_equal (name, MMAP_SECRET_VARIABLE) ?
      g_atomic_pointer_get (&variable) : __real_g_getenv (name);
}

GSource *__real_g_timeout_source_new (guint interval);
G_MODULE_EXPORT GSource *__wrap_g_timeout_source_new (guint interval);

/* The time that a refusal waits. */
GSource *
__wrap_g_timeout_source_new (guint interval)
{
  return __real_g_timeout_source_new (interval == 1000 ? 1 : interval);
}

/* Not in the text of the pipeline, which GStreamer logs. @number: a file of its own */
static void
tell (GstElement * element, const Told * told, guint number)
{
  g_autofree char *name = g_strdup_printf ("token-%u", number);
  g_autofree char *file = leak_check_path (name);

  if (told->token)
    g_object_set (element, "access-token", told->token, NULL);
  if (told->file) {
    g_assert_true (g_file_set_contents (file, told->file, -1, NULL));
    g_assert_cmpint (g_chmod (file, 0600), ==, 0);
    g_object_set (element, "access-token-file", file, NULL);
  }
  g_atomic_pointer_set (&variable, (gpointer) told->environment);
}

static void
forget (void)
{
  guint i;

  g_atomic_pointer_set (&variable, NULL);
  for (i = 0; i < 2; i++) {
    g_autofree char *name = g_strdup_printf ("token-%u", i);
    g_autofree char *file = leak_check_path (name);

    g_unlink (file);
  }
}

static Pipe *
make_sink (const Told * told)
{
  Pipe *pipe = pipe_new ("videotestsrc num-buffers=%d ! " CAPS " ! mmapsink "
      "name=mmap sync=false socket-path=%s", N_FRAMES, path);

  tell (pipe_get (pipe, "mmap"), told, 0);
  pipe_play (pipe);
  return pipe;
}

static Pipe *
make_src (const Told * told)
{
  Pipe *pipe = pipe_new ("mmapsrc name=mmap socket-path=%s ! fakesink name=out "
      "async=false", path);

  tell (pipe_get (pipe, "mmap"), told, 1);
  pipe_play (pipe);
  return pipe;
}

/* Waits for an error or a warning that says @words. */
static void
expect_message (Pipe * pipe, GstMessageType type, gint code, const char *reason,
    const char *words)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipe->pipeline);
  g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (bus,
      PIPE_TIMEOUT, type);
  g_autofree char *debug = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (message);
  if (type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, &debug);
  else
    gst_message_parse_warning (message, &error, &debug);
  g_assert_error (error, GST_RESOURCE_ERROR, code);
  if (!strstr (error->message, words))
    g_error ("\"%s\" doesn't say \"%s\"", error->message, words);
  g_assert_true (g_str_has_suffix (debug, reason));
}

static guint64
count_refused (Pipe * sink)
{
  g_autoptr (GstStructure) stats = NULL, failures = NULL;
  guint64 n = 0;

  g_object_get (pipe_get (sink, "mmap"), "stats", &stats, NULL);
  gst_structure_get (stats, "handshake-failures", GST_TYPE_STRUCTURE, &failures,
      NULL);
  gst_structure_get_uint64 (failures, "access-token", &n);
  return n;
}

static void
check_agree (const Told * sink_told, const Told * src_told)
{
  Pipe *sink = make_sink (sink_told);
  Pipe *src = make_src (src_told);

  pipe_wait_frames (src, N_FRAMES);
  pipe_wait_eos (src);
  g_assert_cmpuint (count_refused (sink), ==, 0);
  pipe_free (src);
  pipe_free (sink);
  forget ();
}

/* The consumer has an error, the producer a warning; it goes on. */
static void
check_differ (const Told * sink_told, const Told * src_told)
{
  Pipe *sink = make_sink (sink_told);
  Pipe *src = make_src (src_told);

  expect_message (src, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED,
      "reason: access-token", "give both sides the same access-token");
  expect_message (sink, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR_NOT_AUTHORIZED,
      "reason: access-token", "give both sides the same access-token");
  g_assert_cmpuint (count_refused (sink), ==, 1);
  g_assert_cmpuint (src->frames->len, ==, 0);
  pipe_free (src);
  src = make_src (sink_told);
  pipe_wait_frames (src, N_FRAMES);
  pipe_free (src);
  pipe_free (sink);
  forget ();
}

static const Told none = { NULL, NULL, NULL };
static const Told property = { TOKEN, NULL, NULL };
static const Told other = { OTHER_TOKEN, NULL, NULL };
static const Told file = { NULL, TOKEN "\n", NULL };
static const Told environment = { NULL, NULL, TOKEN };

static void
test_same (void)
{
  check_agree (&none, &none);
  check_agree (&property, &property);
  check_agree (&property, &file);
  check_agree (&file, &environment);
  check_agree (&environment, &property);
}

static void
test_other (void)
{
  check_differ (&property, &other);
  check_differ (&file, &other);
}

static void
test_missing (void)
{
  check_differ (&property, &none);
  check_differ (&none, &property);
}

/* The property, then the file, then the environment. */
static void
test_precedence (void)
{
  static const Told first = { TOKEN, OTHER_TOKEN, OTHER_TOKEN };
  static const Told second = { NULL, TOKEN, OTHER_TOKEN };
  /* What isn't used isn't looked at, either. */
  static const Told bad = { TOKEN, "x", "" };

  check_agree (&first, &property);
  check_agree (&property, &first);
  check_agree (&second, &property);
  check_agree (&property, &second);
  check_agree (&bad, &property);
}

/* @element: mmapsink or mmapsrc */
static Pipe *
make_one (const char *element)
{
  return g_str_equal (element, "mmapsink") ?
      pipe_new ("fakesrc ! mmapsink name=mmap socket-path=%s", path) :
      pipe_new ("mmapsrc name=mmap socket-path=%s ! fakesink", path);
}

static void
check_bad_setting (const char *element, const Told * told, const char *words)
{
  Pipe *pipe = make_one (element);

  tell (pipe_get (pipe, "mmap"), told, 0);
  g_assert_cmpint (gst_element_set_state (pipe->pipeline, GST_STATE_PLAYING),
      ==, GST_STATE_CHANGE_FAILURE);
  expect_message (pipe, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
      "reason: setting", words);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  pipe_free (pipe);
  forget ();
}

static void
test_bad_setting (void)
{
  static const char *const elements[] = { "mmapsink", "mmapsrc" };
  static const Told shorter = { "secret", TOKEN, TOKEN };
  static const Told empty = { "", TOKEN, TOKEN };
  static const Told empty_file = { NULL, "", TOKEN };
  static const Told empty_environment = { NULL, NULL, "" };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (elements); i++) {
    check_bad_setting (elements[i], &shorter, "access-token has 6 bytes");
    check_bad_setting (elements[i], &empty, "access-token has 0 bytes");
    check_bad_setting (elements[i], &empty_file, "has 0 bytes");
    check_bad_setting (elements[i], &empty_environment,
        "variable GST_MMAP_ACCESS_TOKEN has 0 bytes");
  }
}

static void
check_bad_path (const char *element, const char *name, const char *words)
{
  Pipe *pipe = make_one (element);

  g_object_set (pipe_get (pipe, "mmap"), "access-token-file", name, NULL);
  g_assert_cmpint (gst_element_set_state (pipe->pipeline, GST_STATE_PLAYING),
      ==, GST_STATE_CHANGE_FAILURE);
  expect_message (pipe, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
      "reason: setting", words);
  pipe_free (pipe);
}

static void
test_bad_file (void)
{
  static const char *const elements[] = { "mmapsink", "mmapsrc" };
  g_autofree char *open = leak_check_path ("token-0");
  guint i;

  g_assert_true (g_file_set_contents (open, TOKEN, -1, NULL));
  g_assert_cmpint (g_chmod (open, 0644), ==, 0);
  for (i = 0; i < G_N_ELEMENTS (elements); i++) {
    check_bad_path (elements[i], open, "has mode 0644");
    check_bad_path (elements[i], "/nonexistent", "No such file");
    check_bad_path (elements[i], "/", "no regular file");
  }
  g_unlink (open);
}

/* What was set may be taken back, and set again for the next start. */
static void
test_set_again (void)
{
  Pipe *sink = make_sink (&other);
  GstElement *element = pipe_get (sink, "mmap");
  g_autofree char *name = NULL;
  Pipe *src;

  pipe_set_state (sink, GST_STATE_NULL);
  g_object_set (element, "access-token", NULL, NULL);
  pipe_play (sink);
  src = make_src (&none);
  pipe_wait_frames (src, N_FRAMES);
  pipe_free (src);

  pipe_set_state (sink, GST_STATE_NULL);
  g_object_set (element, "access-token", "short", NULL);
  g_object_set (element, "access-token", TOKEN, NULL);
  /* A start doesn't use it up. */
  pipe_set_state (sink, GST_STATE_READY);
  pipe_set_state (sink, GST_STATE_NULL);
  pipe_play (sink);
  src = make_src (&file);
  pipe_wait_frames (src, N_FRAMES);
  g_object_get (pipe_get (src, "mmap"), "access-token-file", &name, NULL);
  g_assert_nonnull (strstr (name, "token-1"));
  pipe_free (src);
  pipe_free (sink);
  forget ();
}

static void
check_application (const char *element, const Told * told)
{
  Pipe *pipe = make_one (element);

  gst_util_set_object_arg (G_OBJECT (pipe_get (pipe, "mmap")), "signalling",
      "application");
  tell (pipe_get (pipe, "mmap"), told, 0);
  g_assert_cmpint (gst_element_set_state (pipe->pipeline, GST_STATE_PAUSED),
      ==, GST_STATE_CHANGE_FAILURE);
  expect_message (pipe, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
      "reason: setting", "signalling=application");
  pipe_free (pipe);
  forget ();
}

/* Who believes that it is asked for is told that it isn't. The environment is for all elements of a process. */
static void
test_application (void)
{
  Pipe *pipe;

  check_application ("mmapsink", &property);
  check_application ("mmapsink", &file);
  check_application ("mmapsrc", &property);
  check_application ("mmapsrc", &file);
  pipe = pipe_new ("fakesrc ! mmapsink name=mmap signalling=application");
  tell (pipe_get (pipe, "mmap"), &environment, 0);
  pipe_set_state (pipe, GST_STATE_READY);
  pipe_free (pipe);
  forget ();
}

/* --- that it is nowhere to be seen --- */

static GMutex log_lock;
static GString *seen;           /* logs, messages, dot files */

static void
see (const char *text)
{
  g_mutex_lock (&log_lock);
  if (text && seen)
    g_string_append_printf (seen, "%s\n", text);
  g_mutex_unlock (&log_lock);
}

static void
log_line (GstDebugCategory * category, GstDebugLevel level, const gchar * file,
    const gchar * function, gint line, GObject * object,
    GstDebugMessage * message, gpointer data)
{
  see (gst_debug_message_get (message));
}

static void
see_dot (Pipe * pipe)
{
  g_autofree char *dot = gst_debug_bin_to_dot_data (GST_BIN (pipe->pipeline),
      GST_DEBUG_GRAPH_SHOW_VERBOSE);

  g_assert_nonnull (strstr (dot, "GstMmap"));
  see (dot);
}

static void
see_messages (Pipe * pipe)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipe->pipeline);
  GstMessage *message;

  while ((message = gst_bus_pop (bus))) {
    const GstStructure *structure = gst_message_get_structure (message);
    g_autofree char *text = structure ? gst_structure_to_string (structure) :
        NULL;

    see (text);
    gst_message_unref (message);
  }
}

/* What gst-launch-1.0 -v prints is in messages. */
static void
watch (Pipe * pipe)
{
  gst_element_add_property_deep_notify_watch (pipe->pipeline, NULL, TRUE);
}

static void
test_secrecy (void)
{
  Pipe *sink, *src, *refused;

  gst_debug_remove_log_function (gst_debug_log_default);
  gst_debug_add_log_function (log_line, NULL, NULL);
  seen = g_string_new (NULL);
  gst_debug_set_threshold_from_string ("*:LOG", TRUE);

  sink = make_sink (&none);
  watch (sink);
  pipe_set_state (sink, GST_STATE_NULL);
  tell (pipe_get (sink, "mmap"), &property, 0);
  pipe_play (sink);
  refused = make_src (&other);
  watch (refused);
  g_clear_error (&(GError *) {
      pipe_wait_error (refused)});
  src = make_src (&file);
  pipe_wait_frames (src, N_FRAMES);
  see_dot (sink);
  see_dot (src);
  see_dot (refused);
  see_messages (sink);
  see_messages (src);
  see_messages (refused);
  pipe_free (refused);
  pipe_free (src);
  pipe_free (sink);
  forget ();

  gst_debug_set_threshold_from_string ("GST_TRACER:7", TRUE);
  gst_debug_remove_log_function (log_line);
  gst_debug_add_log_function (gst_debug_log_default, NULL, NULL);
  g_mutex_lock (&log_lock);
  /* It has seen something. */
  g_assert_nonnull (strstr (seen->str, "access-token-file"));
  g_assert_nonnull (strstr (seen->str, "give both sides"));
  g_assert_null (strstr (seen->str, "horse"));
  g_string_free (g_steal_pointer (&seen), TRUE);
  g_mutex_unlock (&log_lock);
}

static void
count_notify (GObject * object, GParamSpec * spec, guint * n)
{
  (*n)++;
}

static void
check_unreadable (const char *name)
{
  GstElement *element = gst_element_factory_make (name, NULL);
  GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (element),
      "access-token");
  guint n = 0;

  g_assert_cmpint (spec->flags & G_PARAM_READWRITE, ==, G_PARAM_WRITABLE);
  /* Who is told that it has changed, asks for it. */
  g_signal_connect (element, "notify::access-token", G_CALLBACK (count_notify),
      &n);
  g_object_set (element, "access-token", TOKEN, NULL);
  g_assert_cmpuint (n, ==, 0);
  gst_object_unref (element);
}

static void
test_unreadable (void)
{
  check_unreadable ("mmapsink");
  check_unreadable ("mmapsrc");
}

/* Whoever wrote the URI is not the one to say it; and URIs are logged, and shown. */
static void
test_uri (void)
{
  static const char *const uris[] = {
    "mmap:///tmp/x?access-token=" TOKEN,
    "mmap:///tmp/x?access-token-file=/tmp/" TOKEN
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (uris); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (gst_element_make_from_uri (GST_URI_SRC, uris[i], NULL,
            &error));
    g_assert_error (error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI);
    g_assert_nonnull (strstr (error->message, "set the element's property"));
    g_assert_null (strstr (error->message, "horse"));
  }
}

static void
add_tests (void)
{
  path = pipe_socket_path ();
  leak_check_add_test ("/gstmmaptoken/same", test_same);
  leak_check_add_test ("/gstmmaptoken/other", test_other);
  leak_check_add_test ("/gstmmaptoken/missing", test_missing);
  leak_check_add_test ("/gstmmaptoken/precedence", test_precedence);
  leak_check_add_test ("/gstmmaptoken/bad-setting", test_bad_setting);
  leak_check_add_test ("/gstmmaptoken/bad-file", test_bad_file);
  leak_check_add_test ("/gstmmaptoken/set-again", test_set_again);
  leak_check_add_test ("/gstmmaptoken/application", test_application);
  leak_check_add_test ("/gstmmaptoken/secrecy", test_secrecy);
  leak_check_add_test ("/gstmmaptoken/unreadable", test_unreadable);
  leak_check_add_test ("/gstmmaptoken/uri", test_uri);
}

int
main (int argc, char **argv)
{
  int result = pipe_test_main (argc, argv, add_tests);

  g_free (path);
  return result;
}
