/* gst-mmap: one process of the benchmark: a producer, a consumer, or both around a queue
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *   bench-pipe --role=producer SINK     benchsrc ! SINK
 *   bench-pipe --role=consumer SOURCE   SOURCE ! benchsink
 *   bench-pipe --role=both MIDDLE       benchsrc ! MIDDLE ! benchsink
 *
 * bench.py starts it, and talks to it in lines. It prints "first" and CLOCK_MONOTONIC in nanoseconds when the first frame
 * arrived, and "result" and a JSON object when the window is over. It reads "go", upon which the producer's warm-up
 * begins, and ends when its input does. When the window begins, a producer prints "window".
 */
#include "benchsink.h"
#include "benchsrc.h"

#include <glib-unix.h>
#include <gst/gst.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How often a consumer looks whether its producer is there, when its element can't wait by itself; chosen: little beside
 * the start of a process. */
#define RETRY_MS 1

static char *role, *caps_text = (char *) "video/x-raw,format=I420,width=1920,"
    "height=1080,framerate=60/1";
static char *touch = (char *) "header", *memory = (char *) "pool", *wait_path;
static double fps, warm_up_s = 1, window_s = 1;
static int n_buffers = 16;
static gboolean count_syscalls, spin;

static GOptionEntry entries[] = {
  {"role", 0, 0, G_OPTION_ARG_STRING, &role, "producer, consumer or both",
      "ROLE"},
  {"caps", 0, 0, G_OPTION_ARG_STRING, &caps_text, "of the frames", "CAPS"},
  {"fps", 0, 0, G_OPTION_ARG_DOUBLE, &fps, "frames per second; 0: full speed",
      "FPS"},
  {"touch", 0, 0, G_OPTION_ARG_STRING, &touch,
      "what is written and read of each frame: header or all", "WHAT"},
  {"memory", 0, 0, G_OPTION_ARG_STRING, &memory,
      "where frames come from: pool or heap", "WHERE"},
  {"buffers", 0, 0, G_OPTION_ARG_INT, &n_buffers, "frames of the pool", "N"},
  {"spin", 0, 0, G_OPTION_ARG_NONE, &spin,
      "the source waits awake for the time of a frame", NULL},
  {"warm-up", 0, 0, G_OPTION_ARG_DOUBLE, &warm_up_s, "before the window",
      "SECONDS"},
  {"window", 0, 0, G_OPTION_ARG_DOUBLE, &window_s, "that is measured",
      "SECONDS"},
  {"wait-for", 0, 0, G_OPTION_ARG_FILENAME, &wait_path,
        "a consumer starts when PATH is there, and again if that fails",
      "PATH"},
  {"syscalls", 0, 0, G_OPTION_ARG_NONE, &count_syscalls,
      "count system calls, if permitted", NULL},
  {NULL}
};

typedef struct
{
  GMainLoop *loop;
  GstElement *pipeline;
  BenchSrc *src;                /* nullable */
  BenchSink *sink;              /* nullable */
  gint first;                   /* atomic: a frame arrived */
  int status;
} Bench;

static void
post (Bench * bench, const char *name)
{
  gst_element_post_message (bench->pipeline,
      gst_message_new_application (GST_OBJECT (bench->pipeline),
          gst_structure_new_empty (name)));
}

static void
on_first (gpointer user_data)
{
  Bench *bench = user_data;

  g_atomic_int_set (&bench->first, TRUE);
  post (bench, "first");
}

static void
on_begun (gpointer user_data)
{
  post (user_data, "window");
}

static void
on_done (gpointer user_data)
{
  post (user_data, "done");
}

/* A source whose end comes after the sink's in the same process has nothing to report on its own. */
static void
on_src_done (gpointer user_data)
{
  Bench *bench = user_data;

  if (!bench->sink)
    post (bench, "done");
}

/* What the element under test counts itself. */
static void
append_stats (Bench * bench, GString * json)
{
  g_autoptr (GstIterator) elements =
      gst_bin_iterate_recurse (GST_BIN (bench->pipeline));
  GValue item = G_VALUE_INIT;

  while (gst_iterator_next (elements, &item) == GST_ITERATOR_OK) {
    GObject *element = g_value_get_object (&item);
    GParamSpec *pspec =
        g_object_class_find_property (G_OBJECT_GET_CLASS (element), "stats");
    GstStructure *stats = NULL;

    if (pspec && pspec->value_type == GST_TYPE_STRUCTURE && !BENCH_IS_SINK
        (element))
      g_object_get (element, "stats", &stats, NULL);
    if (stats) {
      g_autofree char *text = gst_structure_to_string (stats);
      g_autofree char *escaped = g_strescape (text, NULL);

      g_string_append_printf (json, ", \"stats\": \"%s\"", escaped);
      gst_structure_free (stats);
    }
    g_value_unset (&item);
  }
}

static void
print_result (Bench * bench)
{
  g_autoptr (GString) json = g_string_new ("{");

  if (bench->src) {
    g_string_append (json, "\"sent\": {");
    bench_src_to_json (bench->src, json);
    g_string_append (json, bench->sink ? "}, " : "}");
  }
  if (bench->sink) {
    g_string_append (json, "\"received\": {");
    bench_sink_to_json (bench->sink, json);
    g_string_append (json, "}");
  }
  g_string_append (json, ", \"memory\": {");
  measure_memory_to_json (json);
  g_string_append (json, "}");
  append_stats (bench, json);
  printf ("result %s}\n", json->str);
  fflush (stdout);
}

static gboolean
try_to_play (gpointer user_data)
{
  Bench *bench = user_data;

  if (wait_path && access (wait_path, F_OK) != 0)
    return G_SOURCE_CONTINUE;
  if (gst_element_set_state (bench->pipeline,
          GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE || !wait_path)
    return G_SOURCE_REMOVE;
  gst_element_set_state (bench->pipeline, GST_STATE_NULL);
  return G_SOURCE_CONTINUE;
}

static void
on_error (Bench * bench, GstMessage * message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;

  /* The socket was there before the producer listened. */
  if (wait_path && !g_atomic_int_get (&bench->first)) {
    gst_element_set_state (bench->pipeline, GST_STATE_NULL);
    g_timeout_add (RETRY_MS, try_to_play, bench);
    return;
  }
  gst_message_parse_error (message, &error, &debug);
  fprintf (stderr, "bench-pipe: %s: %s (%s)\n", GST_MESSAGE_SRC_NAME (message),
      error->message, debug ? debug : "");
  bench->status = 1;
  g_main_loop_quit (bench->loop);
}

static gboolean
on_message (GstBus * bus, GstMessage * message, gpointer user_data)
{
  Bench *bench = user_data;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:
      on_error (bench, message);
      break;
    case GST_MESSAGE_APPLICATION:
      if (gst_message_has_name (message, "done")) {
        print_result (bench);
      } else if (gst_message_has_name (message, "window")) {
        puts ("window");
        fflush (stdout);
      } else {
        printf ("first %" G_GINT64_FORMAT "\n",
            bench_sink_get_first_ns (bench->sink));
        fflush (stdout);
      }
      break;
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

static gboolean
on_input (int fd, GIOCondition condition, gpointer user_data)
{
  Bench *bench = user_data;
  char line[16];
  gssize n = read (fd, line, sizeof line);

  if (n <= 0) {
    g_main_loop_quit (bench->loop);
    return G_SOURCE_REMOVE;
  }
  if (bench->src)
    bench_src_go (bench->src);
  return G_SOURCE_CONTINUE;
}

/* The text of the whole pipeline: without a bin around the elements under test, whose ghost pads would cost time. */
static char *
describe (const char *middle)
{
  gboolean src = strcmp (role, "consumer") != 0;
  gboolean sink = strcmp (role, "producer") != 0;

  return g_strdup_printf ("%s%s%s", src ? "benchsrc name=benchsrc ! " : "",
      middle, sink ? " ! benchsink name=benchsink" : "");
}

static void
configure_src (Bench * bench)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (caps_text);
  BenchSrcConfig config = {
    .caps = caps,
    .fps = fps,
    .n_buffers = n_buffers,
    .heap = strcmp (memory, "heap") == 0,
    .spin = spin,
    .touch_all = strcmp (touch, "all") == 0,
    .warm_up_ns = warm_up_s * GST_SECOND,
    .window_ns = window_s * GST_SECOND,
  };

  bench_src_configure (bench->src, &config, on_begun, on_src_done, bench);
}

/* FALSE: it can't be made, and why was said. */
static gboolean
build (Bench * bench, const char *middle)
{
  g_autofree char *description = describe (middle);
  g_autoptr (GError) error = NULL;
  GstElement *element;

  gst_element_register (NULL, "benchsrc", GST_RANK_NONE, BENCH_TYPE_SRC);
  gst_element_register (NULL, "benchsink", GST_RANK_NONE, BENCH_TYPE_SINK);
  bench->pipeline = gst_parse_launch_full (description, NULL,
      GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (!bench->pipeline) {
    fprintf (stderr, "bench-pipe: %s\n", error->message);
    return FALSE;
  }
  /* The pipeline holds them. */
  element = gst_bin_get_by_name (GST_BIN (bench->pipeline), "benchsrc");
  if (element) {
    bench->src = BENCH_SRC (element);
    configure_src (bench);
    gst_object_unref (element);
  }
  element = gst_bin_get_by_name (GST_BIN (bench->pipeline), "benchsink");
  if (element) {
    bench->sink = BENCH_SINK (element);
    bench_sink_configure (bench->sink, strcmp (touch, "all") == 0, on_first,
        on_done, bench);
    gst_object_unref (element);
  }
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("DESCRIPTION");
  g_autoptr (GError) error = NULL;
  Bench bench = { 0 };
  GstBus *bus;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc != 2
      || !role || (strcmp (role, "producer") != 0
          && strcmp (role, "consumer") != 0 && strcmp (role, "both") != 0)) {
    fprintf (stderr, "bench-pipe: %s\n", error ? error->message :
        "wanted: --role=producer|consumer|both, and one description");
    return 2;
  }
  /* Before there is any other thread: they inherit the counter. */
  if (count_syscalls && !measure_count_syscalls ())
    fprintf (stderr, "bench-pipe: system calls can't be counted here\n");
  gst_init (NULL, NULL);

  if (!build (&bench, argv[1]))
    return 1;
  bench.loop = g_main_loop_new (NULL, FALSE);
  bus = gst_element_get_bus (bench.pipeline);
  gst_bus_add_watch (bus, on_message, &bench);
  g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP, on_input, &bench);
  if (try_to_play (&bench) == G_SOURCE_CONTINUE)
    g_timeout_add (RETRY_MS, try_to_play, &bench);
  g_main_loop_run (bench.loop);

  gst_element_set_state (bench.pipeline, GST_STATE_NULL);
  gst_bus_remove_watch (bus);
  gst_object_unref (bus);
  gst_object_unref (bench.pipeline);
  g_main_loop_unref (bench.loop);
  return bench.status;
}
