/* gst-mmap: tests of a mmapsink whose address has a name, with a name server that this test plays
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "error.h"
#include "peers.h"
#include "pipe.h"
#include "resolver.h"

#include <string.h>

#define VIDEO "videotestsrc is-live=true ! video/x-raw,width=64,height=48 "

static Pipe *
make_sink (const char *file, const char *host, guint port)
{
  return pipe_new (VIDEO "! mmapsink name=sink file=%s address=tcp:%s:%u "
      "allow-remote=true wait-for-connection=false", file, host, port);
}

/* A name server that doesn't answer delays nothing: who comes through the file is served meanwhile. */
static void
test_silent (void)
{
  g_autofree char *file = leak_check_path ("names");
  guint before = resolver_get_n_asked (), i;

  for (i = 0; i < 3; i++) {
    Pipe *sink = make_sink (file, "nowhere.test", find_tcp_port ());
    Pipe *src;

    pipe_play (sink);
    if (i > 0) {
      src = pipe_new ("mmapsrc file=%s ! fakesink name=out", file);
      pipe_play (src);
      pipe_wait_frames (src, 3);
      pipe_free (src);
      while (resolver_get_n_asked () <= before)
        g_usleep (1000);
    }
    before = resolver_get_n_asked ();
    pipe_free (sink);
  }
}

static void
test_found (void)
{
  g_autofree char *file = leak_check_path ("names");
  guint port = find_tcp_port ();
  Pipe *sink = make_sink (file, "here.test", port);
  Pipe *src = pipe_new ("mmapsrc file=%s address=tcp:here.test:%u ! "
      "fakesink name=out", file, port);

  pipe_play (sink);
  pipe_play (src);
  pipe_wait_frames (src, 3);
  pipe_free (src);
  pipe_free (sink);
}

/* Whatever is known only later is an error of the stream. */
static void
expect_error (const char *host, guint port, const char *what)
{
  g_autofree char *file = leak_check_path ("names");
  Pipe *sink = make_sink (file, host, port);
  g_autoptr (GError) error = NULL;

  pipe_play (sink);
  error = pipe_wait_error (sink);
  if (!strstr (error->message, what))
    g_error ("\"%s\" doesn't say \"%s\"", error->message, what);
  pipe_free (sink);
}

static void
test_unknown (void)
{
  expect_error ("unknown.test", find_tcp_port (), "can't be found");
}

static void
test_in_use (void)
{
  g_autofree char *file = leak_check_path ("names-first");
  guint port = find_tcp_port ();
  Pipe *first = make_sink (file, "127.0.0.1", port);

  pipe_play (first);
  expect_error ("here.test", port, "Can't listen at");
  pipe_free (first);
}

/* What is known at once fails at once. */
static void
test_malformed (void)
{
  g_autofree char *file = leak_check_path ("names");
  Pipe *sink = make_sink (file, "here.test", 99999);

  g_assert_cmpint (gst_element_set_state (sink->pipeline, GST_STATE_READY), ==,
      GST_STATE_CHANGE_FAILURE);
  pipe_free (sink);
}

static void
add_tests (void)
{
  resolver_play ();
  leak_check_add_test ("/names/silent", test_silent);
  leak_check_add_test ("/names/found", test_found);
  leak_check_add_test ("/names/unknown", test_unknown);
  leak_check_add_test ("/names/in-use", test_in_use);
  leak_check_add_test ("/names/malformed", test_malformed);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
