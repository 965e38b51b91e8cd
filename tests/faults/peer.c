/* gst-mmap: a producer's or consumer's process of the fault suite
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * SIGTERM ends it in order, SIGUSR1 makes its pipeline start anew, SIGUSR2 sends EOS and then ends it. An error message is one
 * too many: it ends with status 1.
 */
#include "peer.h"

#include "fate.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* How often the main thread looks for a command. */
#define LOOK_MS 5

static Peer peer;

static GOptionEntry entries[] = {
  {"record", 0, 0, G_OPTION_ARG_FILENAME, &peer.record_path,
      "the file shared with the controller", "PATH"},
  {"pipeline", 0, 0, G_OPTION_ARG_STRING, &peer.description,
      "with an element \"link\"", "DESCRIPTION"},
  {"role", 0, 0, G_OPTION_ARG_STRING, &peer.role, "producer or consumer",
      "ROLE"},
  {"fate", 0, 0, G_OPTION_ARG_STRING, &peer.fate, "see fate.h", "FATE"},
  {"errors", 0, 0, G_OPTION_ARG_FILENAME, &peer.errors_path, "for stderr",
      "PATH"},
  {"seed", 0, 0, G_OPTION_ARG_INT64, &peer.seed, "of all payloads", "N"},
  {"number", 0, 0, G_OPTION_ARG_INT64, &peer.number, "of this producer", "N"},
  {"pause", 0, 0, G_OPTION_ARG_INT64, &peer.pause_us, "with each frame",
      "MICROSECONDS"},
  {"caps", 0, 0, G_OPTION_ARG_STRING, &peer.caps,
      "for the element \"caps\", several with ; in between", "CAPS"},
  {"caps-period", 0, 0, G_OPTION_ARG_INT64, &peer.caps_period,
      "frames from change to change, on average", "N"},
  {"metas-period", 0, 0, G_OPTION_ARG_INT64, &peer.metas_period,
      "every so many frames have metadata", "N"},
  {"hold", 0, 0, G_OPTION_ARG_INT64, &peer.hold, "frames that it keeps", "N"},
  {"keeps", 0, 0, G_OPTION_ARG_NONE, &peer.keeps,
      "those also after it has started anew", NULL},
  {NULL}
};

static gboolean
quit (gpointer data)
{
  g_main_loop_quit (peer.loop);
  return G_SOURCE_REMOVE;
}

void
peer_fail (Peer * failed, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  vfprintf (stderr, format, args);
  fputc ('\n', stderr);
  va_end (args);
  failed->status = 1;
  g_main_context_invoke (NULL, quit, NULL);
}

GstCaps *
peer_get_metas_name (void)
{
  static GstStaticCaps name = GST_STATIC_CAPS ("timestamp/x-faults");

  return gst_static_caps_get (&name);
}

static gboolean
on_message (GstBus * bus, GstMessage * message, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:
      gst_message_parse_error (message, &error, &debug);
      peer_fail (&peer, "%s: %s (%s)", GST_MESSAGE_SRC_NAME (message),
          error->message, debug);
      break;
    case GST_MESSAGE_EOS:
      record_set (&peer.record->end_of_stream, TRUE);
      g_main_loop_quit (peer.loop);
      break;
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

static void
start (void)
{
  /* An error message says why it failed. */
  gst_element_set_state (peer.pipeline, GST_STATE_PLAYING);
}

static void
stop (void)
{
  gst_element_set_state (peer.pipeline, GST_STATE_NULL);
}

/* A consumer keeps what it has kept: that is to stay as it is. */
static gboolean
on_cycle (gpointer data)
{
  stop ();
  consumer_start_anew (&peer);
  start ();
  return G_SOURCE_CONTINUE;
}

static gboolean
on_end_of_stream (gpointer data)
{
  g_atomic_int_set (&peer.ends, TRUE);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_look (gpointer data)
{
  if (g_str_equal (peer.role, "producer"))
    producer_look (&peer);
  else
    consumer_look (&peer);
  return G_SOURCE_CONTINUE;
}

static gboolean
map_record (void)
{
  int fd = open (peer.record_path, O_RDWR | O_CLOEXEC);

  if (fd < 0)
    return FALSE;
  peer.record = mmap (NULL, sizeof (Record), PROT_READ | PROT_WRITE,
      MAP_SHARED, fd, 0);
  close (fd);
  return peer.record != MAP_FAILED;
}

static gboolean
parse (char ***argv, Fate * fate)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (g_option_context_parse_strv (context, argv, &error)
      && peer.record_path && peer.description && peer.role
      && (!peer.fate || fate_parse (peer.fate, fate)))
    return TRUE;
  fprintf (stderr, "faults-peer: %s\n",
      error ? error->message : "options are missing, or the fate is none");
  return FALSE;
}

static gboolean
build (void)
{
  g_autoptr (GError) error = NULL;

  peer.pipeline = gst_parse_launch_full (peer.description, NULL,
      GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (!peer.pipeline) {
    fprintf (stderr, "faults-peer: %s\n", error->message);
    return FALSE;
  }
  peer.link = gst_bin_get_by_name (GST_BIN (peer.pipeline), "link");
  g_assert_nonnull (peer.link);
  if (g_str_equal (peer.role, "producer"))
    producer_init (&peer);
  else
    consumer_init (&peer);
  return TRUE;
}

int
peer_run (char ***argv)
{
  Fate fate = { 0 };
  GstBus *bus;

  if (!parse (argv, &fate))
    return 2;
  if (peer.errors_path && !freopen (peer.errors_path, "w", stderr))
    return 2;
  setvbuf (stderr, NULL, _IONBF, 0);
  if (!map_record () || !build ())
    return 2;

  /* GLib keeps threads for a while that have nothing to do. */
  g_thread_pool_set_max_unused_threads (0);
  peer.loop = g_main_loop_new (NULL, FALSE);
  bus = gst_element_get_bus (peer.pipeline);
  gst_bus_add_watch (bus, on_message, NULL);
  g_unix_signal_add (SIGTERM, quit, NULL);
  g_unix_signal_add (SIGUSR1, on_cycle, NULL);
  g_unix_signal_add (SIGUSR2, on_end_of_stream, NULL);
  g_timeout_add (LOOK_MS, on_look, NULL);
  record_set (&peer.record->state, RECORD_PLAYING);
  fate_arm (&fate);
  start ();
  g_main_loop_run (peer.loop);

  stop ();
  gst_bus_remove_watch (bus);
  gst_object_unref (bus);
  gst_object_unref (peer.link);
  gst_object_unref (peer.pipeline);
  if (g_str_equal (peer.role, "consumer"))
    consumer_end (&peer);
  g_main_loop_unref (peer.loop);
  record_set (&peer.record->state,
      peer.status == 0 ? RECORD_ENDED : RECORD_FAILED);
  return peer.status;
}
