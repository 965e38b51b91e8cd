/* gst-mmap: tests of the elements' URIs
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gstmmapsrc-private.h"
#include "leak-check.h"
#include "pipe.h"

#include <string.h>

/* Returns: (transfer full) */
static GstElement *
make (const char *name)
{
  GstElement *element = gst_element_factory_make (name, NULL);

  g_assert_nonnull (element);
  return gst_object_ref_sink (element);
}

static void
set (GstElement * element, const char *uri)
{
  g_autoptr (GError) error = NULL;
  gboolean done =
      gst_uri_handler_set_uri (GST_URI_HANDLER (element), uri, &error);

  g_assert_no_error (error);
  g_assert_true (done);
}

static void
assert_socket_path (GstElement * element, const char *expected)
{
  g_autofree char *path = NULL;

  g_object_get (element, "socket-path", &path, NULL);
  g_assert_cmpstr (path, ==, expected);
}

static void
assert_uri (GstElement * element, const char *expected)
{
  g_autofree char *uri = gst_uri_handler_get_uri (GST_URI_HANDLER (element));

  g_assert_cmpstr (uri, ==, expected);
}

/* Every property that can be read and compared, as a string. */
static char *
describe (GstElement * element)
{
  GString *text = g_string_new (NULL);
  guint n, i;
  g_autofree GParamSpec **pspecs =
      g_object_class_list_properties (G_OBJECT_GET_CLASS (element), &n);

  for (i = 0; i < n; i++) {
    g_auto (GValue) value = G_VALUE_INIT;
    g_autofree char *contents = NULL;

    if (!(pspecs[i]->flags & G_PARAM_READABLE))
      continue;
    g_value_init (&value, pspecs[i]->value_type);
    g_object_get_property (G_OBJECT (element), pspecs[i]->name, &value);
    contents = g_strdup_value_contents (&value);
    g_string_append_printf (text, "%s=%s\n", pspecs[i]->name, contents);
  }
  return g_string_free (text, FALSE);
}

/* @uri is refused in words that have @words in them, separated by '|', and nothing is set. */
static void
refuse (GstElement * element, const char *uri, gint code, const char *words)
{
  g_auto (GStrv) list = g_strsplit (words, "|", -1);
  g_autoptr (GError) error = NULL;
  g_autofree char *before = describe (element), *after = NULL;
  guint i;

  if (gst_uri_handler_set_uri (GST_URI_HANDLER (element), uri, &error))
    g_error ("%s was taken", uri);
  g_assert_error (error, GST_URI_ERROR, code);
  for (i = 0; list[i]; i++)
    if (!strstr (error->message, list[i]))
      g_error ("'%s' doesn't say '%s'", error->message, list[i]);
  after = describe (element);
  g_assert_cmpstr (before, ==, after);
}

/* --- the socket --- */

static const struct
{
  const char *uri;
  const char *path;
  const char *canonical;        /* NULL: as @uri */
} sockets[] = {
  {"mmap:///tmp/cam0", "/tmp/cam0", NULL},
  {"mmap:/tmp/cam0", "/tmp/cam0", "mmap:///tmp/cam0"},
  {"MMAP:///tmp/Cam0", "/tmp/Cam0", "mmap:///tmp/Cam0"},
  {"mmap:///tmp/cam0?", "/tmp/cam0", "mmap:///tmp/cam0"},
  {"mmap:", NULL, NULL},
  {"mmap://", NULL, "mmap:"},
  {"mmap:?blocksize=1", NULL, "mmap:"},
  {"mmap://?blocksize=1", NULL, "mmap:"},
  {"mmap:@cam0", "@cam0", NULL},
  {"mmap:%40cam0", "@cam0", "mmap:@cam0"},
  {"mmap:@a/b", "@a/b", NULL},
  {"mmap:cam0", "cam0", NULL},
  {"mmap:./@cam0", "./@cam0", NULL},
  {"mmap:dir/cam:0", "dir/cam:0", NULL},
  {"mmap:////tmp//cam0", "//tmp//cam0", NULL},
  {"mmap:///tmp/a%20b", "/tmp/a b", NULL},
  {"mmap:///tmp/a b", "/tmp/a b", "mmap:///tmp/a%20b"},
  {"mmap:///tmp/c%C3%A4m", "/tmp/c\303\244m", NULL},
  {"mmap:///tmp/c\303\244m", "/tmp/c\303\244m", "mmap:///tmp/c%C3%A4m"},
  {"mmap:///a%3Fb%23c%25d%5Be", "/a?b#c%d[e", NULL},
  {"mmap:///tmp%2Fcam0", "/tmp/cam0", "mmap:///tmp/cam0"},
};

static void
check_sockets (const char *name)
{
  GstElement *element = make (name);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sockets); i++) {
    set (element, sockets[i].uri);
    assert_socket_path (element, sockets[i].path);
    assert_uri (element, sockets[i].canonical ? sockets[i].canonical :
        sockets[i].uri);
  }
  /* What it gives, it takes. */
  for (i = 0; i < G_N_ELEMENTS (sockets); i++) {
    g_autofree char *uri = NULL;

    g_object_set (element, "socket-path", sockets[i].path, NULL);
    uri = gst_uri_handler_get_uri (GST_URI_HANDLER (element));
    g_object_set (element, "socket-path", "/another", NULL);
    set (element, uri);
    assert_socket_path (element, sockets[i].path);
  }
  gst_object_unref (element);
}

static void
test_sockets (void)
{
  check_sockets ("mmapsrc");
  check_sockets ("mmapsink");
}

static void
test_no_socket (void)
{
  GstElement *src = make ("mmapsrc");

  assert_uri (src, "mmap:");
  g_object_set (src, "socket-path", "", NULL);
  assert_uri (src, NULL);
  gst_object_unref (src);
}

/* An element's own URI never has what only this kind of element has. */
static void
test_uri_fits_both (void)
{
  GstElement *sink = make ("mmapsink"), *src = make ("mmapsrc");
  g_autofree char *uri = NULL;

  set (sink, "mmap:@cam0?size=1000000&wait-for-connection=false");
  uri = gst_uri_handler_get_uri (GST_URI_HANDLER (sink));
  g_assert_cmpstr (uri, ==, "mmap:@cam0");
  set (src, uri);
  assert_socket_path (src, "@cam0");
  gst_object_unref (sink);
  gst_object_unref (src);
}

static void
test_no_sockets (void)
{
  static const struct
  {
    const char *uri;
    const char *words;
  } cases[] = {
    {"mmap://host/tmp/cam0", "host|this machine only|mmap:///"},
    {"mmap://localhost/tmp/cam0", "this machine only"},
    {"mmap://[::1]/tmp/cam0", "this machine only"},
    {"mmap://:80/tmp/cam0", "this machine only"},
    {"mmap://@/tmp/cam0", "this machine only"},
    {"mmap://tmp", "this machine only"},
    {"mmap://@cam0", "this machine only|mmap:@"},
    {"mmap:///tmp/cam#0", "fragment|#0|%23"},
    {"mmap:///tmp/%zz", "mmap:///tmp/%zz|%-encoding"},
    {"mmap:///tmp/%", "%-encoding"},
    {"mmap:///tmp/%4", "%-encoding"},
    {"mmap:///tmp/a%00b", "UTF-8"},
    {"mmap:///tmp/%FF", "UTF-8"},
    {"mmap:///tmp/\377", "UTF-8"},
    {"mmap://[/tmp", "mmap://[/tmp"},
    {"mmap://:port/tmp", "mmap://:port/tmp"},
  };
  GstElement *src = make ("mmapsrc");
  guint i;

  set (src, "mmap:@before");
  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    refuse (src, cases[i].uri, GST_URI_ERROR_BAD_URI, cases[i].words);
  assert_socket_path (src, "@before");
  gst_object_unref (src);
}

/* --- properties --- */

static void
test_src_properties (void)
{
  GstElement *src = make ("mmapsrc");
  gboolean is_live, do_timestamp;
  gint64 spin_time, timeout;
  gint num_buffers, on_disconnect;

  set (src, "mmap:?on-disconnect=eos&reconnect-timeout=5000000000");
  g_object_get (src, "on-disconnect", &on_disconnect, "reconnect-timeout",
      &timeout, NULL);
  g_assert_cmpint (on_disconnect, ==, GST_MMAP_ON_DISCONNECT_EOS);
  g_assert_cmpint (timeout, ==, 5 * GST_SECOND);
  set (src, "mmap:@cam0?is-live=false&spin-time=1000&num-buffers=7");
  g_object_get (src, "is-live", &is_live, "spin-time", &spin_time,
      "num-buffers", &num_buffers, "do-timestamp", &do_timestamp, NULL);
  g_assert_false (is_live);
  g_assert_cmpint (spin_time, ==, 1000);
  g_assert_cmpint (num_buffers, ==, 7);
  g_assert_false (do_timestamp);
  assert_socket_path (src, "@cam0");

  /* Others stay as they are. */
  set (src, "mmap:@cam1?do_timestamp=yes&spin-time=%2D1");
  g_object_get (src, "is-live", &is_live, "spin-time", &spin_time,
      "num-buffers", &num_buffers, "do-timestamp", &do_timestamp, NULL);
  g_assert_false (is_live);
  g_assert_cmpint (spin_time, ==, -1);
  g_assert_cmpint (num_buffers, ==, 7);
  g_assert_true (do_timestamp);
  assert_socket_path (src, "@cam1");
  gst_object_unref (src);
}

static void
test_sink_properties (void)
{
  GstElement *sink = make ("mmapsink");
  g_autofree char *file = NULL;
  gboolean sync, wait;
  guint64 size;
  guint token_bytes;

  set (sink, "mmap:///tmp/cam0?size=5000000000&file=/dev/shm/a%26b=%22c%22+d"
      "&token-bytes=16&sync=false&wait-for-connection=0");
  g_object_get (sink, "size", &size, "file", &file, "token-bytes",
      &token_bytes, "sync", &sync, "wait-for-connection", &wait, NULL);
  g_assert_cmpuint (size, ==, G_GUINT64_CONSTANT (5000000000));
  g_assert_cmpstr (file, ==, "/dev/shm/a&b=\"c\"+d");
  g_assert_cmpuint (token_bytes, ==, 16);
  g_assert_false (sync);
  g_assert_false (wait);
  assert_socket_path (sink, "/tmp/cam0");

  /* Quotes are part of a path. */
  set (sink, "mmap:?file=\"x\"");
  g_clear_pointer (&file, g_free);
  g_object_get (sink, "file", &file, NULL);
  g_assert_cmpstr (file, ==, "\"x\"");
  gst_object_unref (sink);
}

static void
test_bad_properties (void)
{
  static const struct
  {
    const char *query;
    const char *words;
  } cases[] = {
    {"sise=1", "GstMmapSink|sise|size, token-bytes|sync"},
    {"is-live=true", "GstMmapSink|is-live"},
    /* not the element's own business */
    {"name=a", "name"},
    {"parent=a", "parent"},
    {"num-clients=1", "num-clients"},
    {"stats=a", "stats"},
    {"capabilities=application/x-mmap", "capabilities"},
    {"last-sample=a", "last-sample"},
    {"size=", "size=|guint64"},
    {"size=big", "size=big|guint64"},
    {"size=64M", "size=64M"},
    {"size=1.5", "size=1.5"},
    {"size=-1", "size=-1|out of range|1099511627776"},
    {"size=1099511627777", "out of range|1099511627776"},
    {"token-bytes=15", "token-bytes=15|out of range|16"},
    {"token-bytes=1025", "token-bytes=1025|out of range|1024"},
    {"spin-time=-2", "spin-time=-2|out of range|-1"},
    {"wait-for-connection=", "wait-for-connection=|gboolean"},
    {"wait-for-connection=maybe", "wait-for-connection=maybe|gboolean"},
    {"size=1&size=2", "size=2|twice"},
    {"token-bytes=16&token_bytes=17", "token_bytes=17|twice"},
    {"socket-path=/tmp/other", "socket-path=/tmp/other|path|already"},
    {"allowed-uids=any", "allowed-uids|who may connect"},
    {"allowed_uids=any", "who may connect"},
    {"mode=0666", "mode|who may connect"},
    {"group=0", "group|who may connect"},
    {"size", "size|="},
    {"=1", "no property"},
    {"&", "&"},
    {"size=%zz", "%-encoding"},
    {"file=%00", "UTF-8"},
    {"file=%FF", "UTF-8"},
    {"file=\377", "UTF-8"},
  };
  GstElement *sink = make ("mmapsink"), *src = make ("mmapsrc");
  guint i;

  set (src, "mmap:@before");
  set (sink, "mmap:@before?size=12345678");
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    /* What is good stands before and after it. */
    g_autofree char *first = g_strdup_printf ("mmap:@after?%s", cases[i].query);
    g_autofree char *last = g_strdup_printf ("mmap:@after?sync=false&%s",
        cases[i].query);

    refuse (sink, first, GST_URI_ERROR_BAD_URI, cases[i].words);
    refuse (sink, last, GST_URI_ERROR_BAD_URI, cases[i].words);
  }
  refuse (sink, "mmap:@after?size=a&sync=false", GST_URI_ERROR_BAD_URI, "size");
  gst_object_unref (sink);
  refuse (src, "mmap:@after?on-disconnect=restart", GST_URI_ERROR_BAD_URI,
      "on-disconnect=restart|auto, wait, eos, error");
  refuse (src, "mmap:@after?on-disconnect=", GST_URI_ERROR_BAD_URI, "eos");
  refuse (src, "mmap:@after?reconnect-timeout=-2", GST_URI_ERROR_BAD_URI,
      "reconnect-timeout=-2|out of range|-1");
  refuse (src, "mmap:@after?reconnect-timeout=5s", GST_URI_ERROR_BAD_URI,
      "gint64");
  gst_object_unref (src);
}

/* --- states --- */

static void
test_src_states (void)
{
  g_autofree char *path = pipe_socket_path ();
  g_autofree char *uri = g_strdup_printf ("mmap://%s", path);
  GstElement *src = make ("mmapsrc");

  set (src, "mmap:@other");
  gst_element_set_state (src, GST_STATE_READY);
  set (src, uri);
  gst_element_set_state (src, GST_STATE_PAUSED);
  refuse (src, "mmap:@other", GST_URI_ERROR_BAD_STATE, "READY first");
  gst_element_set_state (src, GST_STATE_READY);
  set (src, "mmap:@other");
  gst_element_set_state (src, GST_STATE_NULL);
  gst_object_unref (src);
}

static void
test_sink_states (void)
{
  g_autofree char *path = pipe_socket_path ();
  g_autofree char *uri = g_strdup_printf ("mmap://%s", path);
  GstElement *sink = make ("mmapsink");

  set (sink, "mmap:@other");
  set (sink, uri);
  gst_element_set_state (sink, GST_STATE_READY);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  refuse (sink, "mmap:@other", GST_URI_ERROR_BAD_STATE, "NULL first");
  gst_element_set_state (sink, GST_STATE_PAUSED);
  refuse (sink, "mmap:@other", GST_URI_ERROR_BAD_STATE, "NULL first");
  gst_element_set_state (sink, GST_STATE_NULL);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  set (sink, "mmap:@other");
  gst_object_unref (sink);
}

/* One that could not start is given another URI, and starts. */
static void
test_another_uri_after_an_error (void)
{
  g_autofree char *path = pipe_socket_path ();
  g_autofree char *uri = g_strdup_printf ("mmap://%s", path);
  g_autofree char *bad = g_strdup_printf ("mmap://%s/missing/a", path);
  GstElement *sink = make ("mmapsink");

  g_object_set (sink, "async", FALSE, NULL);
  set (sink, bad);
  g_assert_cmpint (gst_element_set_state (sink, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_FAILURE);
  set (sink, uri);
  g_assert_cmpint (gst_element_set_state (sink, GST_STATE_PAUSED), ==,
      GST_STATE_CHANGE_SUCCESS);
  refuse (sink, bad, GST_URI_ERROR_BAD_STATE, "NULL first");
  gst_element_set_state (sink, GST_STATE_NULL);
  gst_object_unref (sink);
}

/* --- frames --- */

static void
check_made (GstURIType type, const char *uri, const char *factory)
{
  g_autoptr (GError) error = NULL;
  GstElement *element = gst_element_make_from_uri (type, uri, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (element);
  g_assert_cmpstr (GST_OBJECT_NAME (gst_element_get_factory (element)), ==,
      factory);
  gst_object_ref_sink (element);
  gst_object_unref (element);
}

static void
test_made_from_uri (void)
{
  check_made (GST_URI_SRC, "mmap:@cam0?is-live=false", "mmapsrc");
  check_made (GST_URI_SINK, "mmap:@cam0?size=64000000", "mmapsink");
}

/* playbin, with raw video and with encoded audio that it has to recognise. Without its own volume, which it leaks (1.22). */
static void
test_playbin (void)
{
  static const char *sources[] = {
    "videotestsrc num-buffers=5 ! video/x-raw,width=64,height=48",
    "audiotestsrc num-buffers=5 ! wavenc",
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sources); i++) {
    g_autofree char *path = pipe_socket_path ();
    Pipe *player = pipe_new ("playbin uri=mmap://%s flags=video+audio "
        "video-sink=\"fakesink name=out\" audio-sink=\"fakesink name=out\"",
        path);
    Pipe *sender = pipe_new ("%s ! mmapsink socket-path=%s", sources[i], path);

    pipe_play (player);
    pipe_play (sender);
    pipe_wait_eos (player);
    pipe_wait_eos (sender);
    pipe_free (player);
    pipe_free (sender);
  }
}

static void
add_tests (void)
{
  leak_check_add_test ("/uri/sockets", test_sockets);
  leak_check_add_test ("/uri/no-socket", test_no_socket);
  leak_check_add_test ("/uri/fits-both", test_uri_fits_both);
  leak_check_add_test ("/uri/no-sockets", test_no_sockets);
  leak_check_add_test ("/uri/src-properties", test_src_properties);
  leak_check_add_test ("/uri/sink-properties", test_sink_properties);
  leak_check_add_test ("/uri/bad-properties", test_bad_properties);
  leak_check_add_test ("/uri/src-states", test_src_states);
  leak_check_add_test ("/uri/sink-states", test_sink_states);
  leak_check_add_test ("/uri/another-after-an-error",
      test_another_uri_after_an_error);
  leak_check_add_test ("/uri/made-from-uri", test_made_from_uri);
  leak_check_add_test ("/uri/playbin", test_playbin);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
