/* gst-mmap: tests of the elements, with an application that carries the handshake
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`, with GStreamer's leaks tracer. The test is the application; whole processes are in test-launch.py.
 */
#include "leak-check.h"
#include "pipe.h"
#include "token.h"

#include <gio/gunixfdlist.h>
#include <string.h>

#define VIDEO "video/x-raw,format=GRAY8,width=64,height=48"
#define N_FRAMES 20

/* A sink that has its region, and waits. */
static Pipe *
make_sink (const char *options)
{
  Pipe *pipe = pipe_new ("videotestsrc num-buffers=%d horizontal-speed=1 ! "
      VIDEO " ! mmapsink name=sink sync=false signalling=application %s",
      N_FRAMES, options);

  pipe_set_state (pipe, GST_STATE_PAUSED);
  return pipe;
}

static Pipe *
make_src (const char *options)
{
  Pipe *pipe = pipe_new ("mmapsrc name=src signalling=application %s ! "
      "fakesink name=out async=false", options);

  pipe_play (pipe);
  return pipe;
}

static GstCaps *
create_offer (Pipe * sink, GUnixFDList * fds)
{
  GstCaps *offer = NULL;

  g_signal_emit_by_name (pipe_get (sink, "sink"), "create-offer", fds, &offer);
  return offer;
}

static GstCaps *
accept_offer (Pipe * src, GstCaps * offer, GUnixFDList * fds)
{
  GstCaps *answer = NULL;

  g_signal_emit_by_name (pipe_get (src, "src"), "accept-offer", offer, fds,
      &answer);
  return answer;
}

static gboolean
accept_answer (Pipe * sink, GstCaps * answer)
{
  gboolean right = FALSE;

  g_signal_emit_by_name (pipe_get (sink, "sink"), "accept-answer", answer,
      &right);
  return right;
}

/* As it travels. */
static GstCaps *
through_string (GstCaps * caps)
{
  g_autofree gchar *text = gst_caps_to_string (caps);

  gst_caps_unref (caps);
  return gst_caps_from_string (text);
}

static void
carry (Pipe * sink, Pipe * src)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GstCaps) offer = create_offer (sink, fds), answer = NULL;

  g_assert_nonnull (offer);
  g_assert_cmpint (g_unix_fd_list_get_length (fds), ==, 3);
  offer = through_string (offer);
  answer = accept_offer (src, offer, fds);
  g_assert_nonnull (answer);
  /* They were taken. */
  g_assert_cmpint (g_unix_fd_list_get_length (fds), ==, 0);
  answer = through_string (answer);
  g_assert_true (accept_answer (sink, answer));
}

static GstMessage *
pop (Pipe * pipe, GstMessageType type)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipe->pipeline);

  return gst_bus_pop_filtered (bus, type);
}

/* One warning, and no more. */
static void
check_warning (Pipe * pipe, const char *words)
{
  g_autoptr (GstMessage) message = pop (pipe, GST_MESSAGE_WARNING);
  g_autoptr (GError) warning = NULL;

  g_assert_nonnull (message);
  gst_message_parse_warning (message, &warning, NULL);
  if (!strstr (warning->message, words))
    g_error ("\"%s\" doesn't say \"%s\"", warning->message, words);
  g_assert_null (pop (pipe, GST_MESSAGE_WARNING));
}

static void
check_error (Pipe * pipe, const char *words)
{
  g_autoptr (GError) error = pipe_wait_error (pipe);

  if (!strstr (error->message, words))
    g_error ("\"%s\" doesn't say \"%s\"", error->message, words);
}

static guint64
get_failures (Pipe * sink, const char *name)
{
  g_autoptr (GstStructure) stats = NULL, failures = NULL;
  guint64 n = 0;

  g_object_get (pipe_get (sink, "sink"), "stats", &stats, NULL);
  g_assert_true (gst_structure_get (stats, "handshake-failures",
          GST_TYPE_STRUCTURE, &failures, NULL));
  gst_structure_get_uint64 (failures, name, &n);
  return n;
}

static void
check_frames (Pipe * src)
{
  Pipe *reference = pipe_new ("videotestsrc num-buffers=%d horizontal-speed=1 "
      "! " VIDEO " ! fakesink name=out", N_FRAMES);
  guint i;

  pipe_play (reference);
  pipe_wait_eos (reference);
  pipe_wait_eos (src);
  g_assert_cmpuint (src->frames->len, ==, N_FRAMES);
  for (i = 0; i < N_FRAMES; i++)
    g_assert_cmpstr (pipe_get_frame (src, i)->pixels, ==,
        pipe_get_frame (reference, i)->pixels);
  pipe_free (reference);
}

/* --- The right way --- */

static void
check_carried (const char *options)
{
  Pipe *sink = make_sink (options), *src = make_src ("");

  carry (sink, src);
  pipe_play (sink);
  check_frames (src);
  pipe_wait_eos (sink);
  pipe_free (src);
  pipe_free (sink);
}

static void
test_carried (void)
{
  g_autofree char *path = leak_check_path ("file");
  g_autofree char *file = g_strdup_printf ("file=%s size=1000000", path);

  check_carried ("");
  check_carried (file);
}

typedef struct
{
  Pipe *sink, *src;
} Pair;

static gpointer
carry_in_thread (gpointer data)
{
  Pair *pair = data;

  carry (pair->sink, pair->src);
  return NULL;
}

/* Any thread may emit the signals, and several at once. */
static void
test_threads (void)
{
  Pipe *sink = make_sink ("");
  GThread *threads[8];
  Pair pairs[8];
  guint i;

  for (i = 0; i < 8; i++) {
    pairs[i].sink = sink;
    pairs[i].src = make_src ("");
    threads[i] = g_thread_new ("application", carry_in_thread, &pairs[i]);
  }
  for (i = 0; i < 8; i++)
    g_thread_join (threads[i]);
  pipe_wait_uint (sink, "sink", "num-clients", 8);
  pipe_play (sink);
  for (i = 0; i < 8; i++) {
    check_frames (pairs[i].src);
    pipe_free (pairs[i].src);
  }
  pipe_free (sink);
}

/* The application goes on before there is a region. */
static void
test_notified (void)
{
  Pipe *sink = pipe_new ("videotestsrc is-live=true ! " VIDEO " ! "
      "mmapsink name=sink signalling=application");
  Pipe *src = make_src ("");
  g_autoptr (GstCaps) capabilities = NULL;
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GstElement *element = pipe_get (sink, "sink");

  pipe_set_state (sink, GST_STATE_READY);
  g_assert_null (create_offer (sink, fds));
  check_warning (sink, "no region");
  pipe_play (sink);
  while (!capabilities) {
    g_usleep (1000);
    g_object_get (element, "capabilities", &capabilities, NULL);
  }
  carry (sink, src);
  pipe_wait_frames (src, 5);
  pipe_free (src);
  pipe_free (sink);
}

/* --- Wrong states and arguments --- */

static void
test_not_started (void)
{
  Pipe *sink = pipe_new ("fakesrc num-buffers=1 ! mmapsink name=sink "
      "signalling=application");
  Pipe *src = pipe_new ("mmapsrc name=src signalling=application ! fakesink");
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GstCaps) caps = gst_caps_new_empty_simple ("application/x-mmap");

  g_assert_null (create_offer (sink, fds));
  check_warning (sink, "not started");
  g_assert_false (accept_answer (sink, caps));
  check_warning (sink, "not started");
  g_assert_null (accept_offer (src, caps, fds));
  check_warning (src, "not started");
  pipe_set_state (src, GST_STATE_READY);
  g_assert_null (accept_offer (src, caps, fds));
  check_warning (src, "not started");
  pipe_free (src);
  pipe_free (sink);
}

static void
test_stopped (void)
{
  Pipe *sink = make_sink (""), *src = make_src ("");
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GstCaps) offer = create_offer (sink, fds), answer = NULL;

  answer = accept_offer (src, offer, fds);
  g_assert_nonnull (answer);
  /* The bus is emptied on the way to NULL, and takes nothing in there. */
  pipe_set_state (sink, GST_STATE_NULL);
  pipe_set_state (src, GST_STATE_NULL);
  g_assert_false (accept_answer (sink, answer));
  g_assert_null (accept_offer (src, offer, fds));
  g_assert_null (create_offer (sink, fds));
  g_assert_cmpint (g_unix_fd_list_get_length (fds), ==, 0);
  pipe_free (src);
  pipe_free (sink);
}

static void
test_garbage (void)
{
  static const char *const texts[] = {
    "ANY", "EMPTY", "video/x-raw", "application/x-mmap",
    "application/x-mmap, protocol=(string)1",
    "application/x-mmap, protocol=(uint)2, link-id=(uint)1",
    "application/x-mmap, protocol=(uint)1, link-id=(uint)77",
    "application/x-mmap; application/x-mmap",
  };
  Pipe *sink = make_sink (""), *src = make_src ("");
  guint i;

  for (i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GstCaps) caps = gst_caps_from_string (texts[i]);
    g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();

    g_assert_cmpint (g_unix_fd_list_append (fds, 0, NULL), ==, 0);
    g_assert_null (accept_offer (src, caps, fds));
    check_warning (src, "");
    g_assert_false (accept_answer (sink, caps));
    check_warning (sink, "");
  }
  carry (sink, src);
  pipe_play (sink);
  check_frames (src);
  pipe_free (src);
  pipe_free (sink);
}

static void
test_null (void)
{
  Pipe *sink = make_sink (""), *src = make_src ("");
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GstCaps) offer = create_offer (sink, fds);

  g_assert_null (create_offer (sink, NULL));
  check_warning (sink, "no list");
  g_assert_false (accept_answer (sink, NULL));
  check_warning (sink, "application/x-mmap");
  g_assert_null (accept_offer (src, NULL, fds));
  check_warning (src, "application/x-mmap");
  g_assert_null (accept_offer (src, NULL, NULL));
  check_warning (src, "application/x-mmap");
  g_assert_null (accept_offer (src, offer, NULL));
  check_warning (src, "descriptors");
  pipe_free (src);
  pipe_free (sink);
}

/* It has a socket to look at. */
static void
test_socket_src (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *sink = make_sink ("");
  Pipe *src = pipe_new ("mmapsrc name=src socket-path=%s ! fakesink "
      "async=false", path);
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GstCaps) offer = create_offer (sink, fds);

  pipe_play (src);
  g_assert_null (accept_offer (src, offer, fds));
  check_warning (src, "socket");
  pipe_free (src);
  pipe_free (sink);
}

/* --- The other side goes --- */

typedef struct
{
  GMutex lock;
  GCond cond;
  guint with, without;          /* notifications, with a producer and without one */
} Notified;

static void
on_capabilities (GObject * src, GParamSpec * pspec, gpointer data)
{
  Notified *notified = data;
  g_autoptr (GstCaps) capabilities = NULL;

  g_object_get (src, "capabilities", &capabilities, NULL);
  g_mutex_lock (&notified->lock);
  if (capabilities)
    notified->with++;
  else
    notified->without++;
  g_cond_broadcast (&notified->cond);
  g_mutex_unlock (&notified->lock);
}

/* notify::capabilities says when the next may come. */
static void
test_next_producer (void)
{
  Notified notified = { 0 };
  Pipe *src = make_src ("");
  guint i;

  g_mutex_init (&notified.lock);
  g_cond_init (&notified.cond);
  g_signal_connect (pipe_get (src, "src"), "notify::capabilities",
      G_CALLBACK (on_capabilities), &notified);
  for (i = 1; i <= 5; i++) {
    Pipe *sink = pipe_new ("videotestsrc ! " VIDEO " ! mmapsink name=sink "
        "signalling=application");

    pipe_set_state (sink, GST_STATE_PAUSED);
    carry (sink, src);
    pipe_play (sink);
    pipe_wait_frames (src, 3 * i);
    pipe_free (sink);
    g_mutex_lock (&notified.lock);
    while (notified.without < i)
      g_cond_wait (&notified.cond, &notified.lock);
    g_assert_cmpuint (notified.with, ==, i);
    g_mutex_unlock (&notified.lock);
  }
  pipe_free (src);
  g_mutex_clear (&notified.lock);
  g_cond_clear (&notified.cond);
}

/* Offers that nobody takes. */
static void
test_dropped_offers (void)
{
  Pipe *sink = make_sink (""), *src = make_src ("");
  guint i;

  for (i = 0; i < 40; i++) {
    g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
    g_autoptr (GstCaps) offer = create_offer (sink, fds);

    g_assert_nonnull (offer);
  }
  carry (sink, src);
  pipe_play (sink);
  check_frames (src);
  pipe_free (src);
  pipe_free (sink);
}

/* --- accept-capabilities --- */

#define ACCEPT(fields) \
  "accept-capabilities=\"application/x-mmap, " fields "\""

static void
test_sink_refuses (void)
{
  Pipe *sink = make_sink (ACCEPT ("token-bytes=[16,64]"));
  Pipe *src = make_src (""), *other = make_src ("");
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GstCaps) offer = create_offer (sink, fds), answer = NULL;
  g_autoptr (GstCaps) accept = gst_caps_from_string ("application/x-mmap, "
      "token-bytes=[64, 128]");

  answer = accept_offer (src, offer, fds);
  g_assert_nonnull (answer);
  g_assert_false (accept_answer (sink, answer));
  check_error (src, "token-bytes is 128, but accept-capabilities allows "
      "[ 16, 64 ]");
  g_assert_cmpuint (get_failures (sink, "token-bytes"), ==, 1);
  /* It isn't reported from another thread, too. */
  g_usleep (20000);
  check_warning (sink, "token-bytes is 128, but accept-capabilities allows "
      "[ 16, 64 ]");
  /* The next one is judged by what is set then. */
  g_object_set (pipe_get (sink, "sink"), "accept-capabilities", accept, NULL);
  carry (sink, other);
  pipe_play (sink);
  check_frames (other);
  pipe_free (src);
  pipe_free (other);
  pipe_free (sink);
}

static void
test_src_refuses (void)
{
  Pipe *sink = make_sink ("file=/dev/shm/gst-mmap-test-application-channel");
  Pipe *src = make_src (ACCEPT ("file=memfd"));
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GstCaps) offer = create_offer (sink, fds);

  g_assert_null (accept_offer (src, offer, fds));
  check_warning (src, "accept-capabilities allows memfd");
  g_assert_cmpint (g_unix_fd_list_get_length (fds), ==, 0);
  g_object_set (pipe_get (src, "src"), "accept-capabilities", NULL, NULL);
  carry (sink, src);
  pipe_play (sink);
  check_frames (src);
  pipe_free (src);
  pipe_free (sink);
}

/* By the socket: the consumer's error and the producer's statistics name the field. */
static void
check_by_socket (const char *sink_options, const char *src_options,
    const char *words, const char *reason)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *sink = pipe_new ("videotestsrc ! " VIDEO " ! mmapsink name=sink "
      "socket-path=%s %s", path, sink_options);
  Pipe *src = pipe_new ("mmapsrc socket-path=%s %s ! fakesink async=false",
      path, src_options);

  pipe_play (sink);
  pipe_play (src);
  check_error (src, words);
  while (get_failures (sink, reason) == 0)
    g_usleep (1000);
  g_assert_cmpuint (get_failures (sink, reason), ==, 1);
  pipe_free (src);
  pipe_free (sink);
}

static void
test_by_socket (void)
{
  check_by_socket (ACCEPT ("token-bytes=[16,64]"), "",
      "token-bytes is 128, but accept-capabilities allows [ 16, 64 ]",
      "token-bytes");
  check_by_socket ("", ACCEPT ("token-bytes=[16,64]"),
      "token-bytes is 128, but accept-capabilities allows [ 16, 64 ]",
      "token-bytes");
  check_by_socket ("size=1000000", ACCEPT ("size=[1,999999]"),
      "but accept-capabilities allows [ 1, 999999 ]", "size");
  check_by_socket ("", ACCEPT ("media=(GstCaps)audio/x-raw"), "media is",
      "not-negotiated");
  check_by_socket ("", "accept-capabilities=video/x-raw",
      "accept-capabilities has video/x-raw", "message");
}

static void
test_accepted_by_socket (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *sink = pipe_new ("videotestsrc num-buffers=%d horizontal-speed=1 ! "
      VIDEO " ! mmapsink name=sink socket-path=%s sync=false token-bytes=32 "
      "size=1000000 " ACCEPT ("token-bytes=[32,512]"), N_FRAMES, path);
  Pipe *src = pipe_new ("mmapsrc socket-path=%s "
      ACCEPT ("size=[1,1073741824], token-bytes=[32,512], "
          "media=(GstCaps)video/x-raw") " ! fakesink name=out async=false",
      path);

  pipe_play (sink);
  pipe_play (src);
  check_frames (src);
  pipe_free (src);
  pipe_free (sink);
}

static gint done;               /* atomic */

static gpointer
query_caps (gpointer data)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (data, "sink");

  while (!g_atomic_int_get (&done)) {
    GstCaps *caps = gst_pad_query_caps (pad, NULL);

    gst_caps_unref (caps);
  }
  return NULL;
}

static gpointer
carry_often (gpointer sink)
{
  guint i;

  for (i = 0; i < 40; i++) {
    Pipe *src = make_src ("");

    carry (sink, src);
    pipe_free (src);
  }
  return NULL;
}

/* Caps queries hold the sink's locks while its producer asks for accept-capabilities, and hears what consumers accept. */
static void
test_queries_meanwhile (void)
{
  Pipe *sink = make_sink (ACCEPT ("token-bytes=128"));
  GThread *queries[2], *carriers[4];
  guint i;

  g_atomic_int_set (&done, FALSE);
  for (i = 0; i < 2; i++)
    queries[i] = g_thread_new ("queries", query_caps, pipe_get (sink, "sink"));
  for (i = 0; i < 4; i++)
    carriers[i] = g_thread_new ("application", carry_often, sink);
  for (i = 0; i < 4; i++)
    g_thread_join (carriers[i]);
  g_atomic_int_set (&done, TRUE);
  for (i = 0; i < 2; i++)
    g_thread_join (queries[i]);
  pipe_free (sink);
}

/* --- Tokens are nowhere to be read --- */

static GMutex log_lock;
static GString *logged;         /* NULL: not now */
static GPtrArray *tokens;       /* of strings */

char *__real_mmap_token_to_string (const MmapToken * token);
char *__wrap_mmap_token_to_string (const MmapToken * token);

/* Every token becomes a string once, for the capabilities that it is a part of. */
char *
__wrap_mmap_token_to_string (const MmapToken * token)
{
  char *string = __real_mmap_token_to_string (token);

  g_mutex_lock (&log_lock);
  if (tokens)
    g_ptr_array_add (tokens, g_strdup (string));
  g_mutex_unlock (&log_lock);
  return string;
}

static void
log_line (GstDebugCategory * category, GstDebugLevel level, const gchar * file,
    const gchar * function, gint line, GObject * object,
    GstDebugMessage * message, gpointer data)
{
  /* Before the lock: who is asked for a text may log, too. */
  const gchar *text = gst_debug_message_get (message);

  g_mutex_lock (&log_lock);
  if (logged)
    g_string_append_printf (logged, "%s\n", text);
  g_mutex_unlock (&log_lock);
}

static void
begin_log (void)
{
  gst_debug_remove_log_function (gst_debug_log_default);
  gst_debug_add_log_function (log_line, NULL, NULL);
  logged = g_string_new (NULL);
  tokens = g_ptr_array_new_with_free_func (g_free);
  gst_debug_set_threshold_from_string ("*:DEBUG", TRUE);
}

/* Neither is there any part of a token that could be of use. @others: what is not a log */
static void
end_log (guint least, GString * others)
{
  guint i, j;

  gst_debug_set_threshold_from_string ("GST_TRACER:7", TRUE);
  gst_debug_remove_log_function (log_line);
  gst_debug_add_log_function (gst_debug_log_default, NULL, NULL);
  g_mutex_lock (&log_lock);
  g_assert_cmpuint (tokens->len, >=, least);
  g_assert_cmpuint (logged->len, >, 10000);
  for (i = 0; i < tokens->len; i++) {
    const char *token = g_ptr_array_index (tokens, i);

    for (j = 2; j + 16 <= strlen (token); j += 16) {
      g_autofree char *part = g_strndup (token + j, 16);
      const char *found = strstr (logged->str, part);

      if (found)
        g_error ("A token is in the log: ... %.200s",
            MAX (logged->str, found - 100));
      g_assert_null (strstr (others->str, part));
    }
  }
  g_string_free (g_steal_pointer (&logged), TRUE);
  g_string_free (others, TRUE);
  g_clear_pointer (&tokens, g_ptr_array_unref);
  g_mutex_unlock (&log_lock);
}

static void
append_dot (GString * dots, Pipe * pipe)
{
  g_autofree char *dot = gst_debug_bin_to_dot_data (GST_BIN (pipe->pipeline),
      GST_DEBUG_GRAPH_SHOW_VERBOSE);

  g_assert_nonnull (strstr (dot, "GstMmap"));
  g_string_append (dots, dot);
}

static void
append_messages (GString * strings, Pipe * pipe)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipe->pipeline);
  GstMessage *message;

  while ((message = gst_bus_pop (bus))) {
    const GstStructure *structure = gst_message_get_structure (message);
    g_autofree char *text = structure ? gst_structure_to_string (structure) :
        NULL;

    g_string_append (strings, text ? text : "");
    gst_message_unref (message);
  }
}

static void
test_secret_application (void)
{
  GString *others = g_string_new (NULL);
  Pipe *sink, *src, *refusing;
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GstCaps) offer = NULL, garbled = NULL;

  begin_log ();
  sink = make_sink ("");
  src = make_src ("");
  refusing = make_src (ACCEPT ("token=(string)0x1234"));
  append_dot (others, sink);
  carry (sink, src);
  pipe_play (sink);
  pipe_wait_frames (src, 5);
  append_dot (others, sink);
  append_dot (others, src);

  /* What goes wrong is not said with the token. */
  offer = create_offer (sink, fds);
  g_assert_null (accept_offer (refusing, offer, fds));
  g_clear_object (&fds);
  gst_clear_caps (&offer);
  fds = g_unix_fd_list_new ();
  offer = create_offer (sink, fds);
  garbled = gst_caps_copy (offer);
  gst_caps_set_simple (garbled, "token-bytes", G_TYPE_UINT, 16, NULL);
  g_assert_null (accept_offer (refusing, garbled, fds));
  g_assert_false (accept_answer (sink, offer));
  append_messages (others, sink);
  append_messages (others, src);
  append_messages (others, refusing);
  pipe_free (refusing);
  pipe_free (src);
  pipe_free (sink);
  end_log (3, others);
}

static void
test_secret_socket (void)
{
  g_autofree char *path = pipe_socket_path ();
  GString *others = g_string_new (NULL);
  Pipe *sink, *src;

  begin_log ();
  sink = pipe_new ("videotestsrc ! " VIDEO " ! mmapsink name=sink "
      "socket-path=%s", path);
  src = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out async=false",
      path);
  pipe_play (sink);
  pipe_play (src);
  pipe_wait_frames (src, 5);
  append_dot (others, sink);
  append_dot (others, src);
  append_messages (others, sink);
  append_messages (others, src);
  pipe_free (src);
  pipe_free (sink);
  end_log (2, others);
}

static void
add_tests (void)
{
  leak_check_add_test ("/application-channel/carried", test_carried);
  leak_check_add_test ("/application-channel/threads", test_threads);
  leak_check_add_test ("/application-channel/notified", test_notified);
  leak_check_add_test ("/application-channel/not-started", test_not_started);
  leak_check_add_test ("/application-channel/stopped", test_stopped);
  leak_check_add_test ("/application-channel/garbage", test_garbage);
  leak_check_add_test ("/application-channel/null", test_null);
  leak_check_add_test ("/application-channel/socket-src", test_socket_src);
  leak_check_add_test ("/application-channel/next-producer",
      test_next_producer);
  leak_check_add_test ("/application-channel/dropped-offers",
      test_dropped_offers);
  leak_check_add_test ("/application-channel/sink-refuses", test_sink_refuses);
  leak_check_add_test ("/application-channel/src-refuses", test_src_refuses);
  leak_check_add_test ("/application-channel/by-socket", test_by_socket);
  leak_check_add_test ("/application-channel/accepted-by-socket",
      test_accepted_by_socket);
  leak_check_add_test ("/application-channel/queries-meanwhile",
      test_queries_meanwhile);
  leak_check_add_test ("/application-channel/secret-application",
      test_secret_application);
  leak_check_add_test ("/application-channel/secret-socket",
      test_secret_socket);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
