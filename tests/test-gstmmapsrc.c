/* gst-mmap: tests of mmapsrc
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "leak-check.h"
#include "pipe.h"
#include "protocol.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL "video/x-raw,format=I420,width=64,height=48,framerate=50/1"

/* A buffer is the application's for as long as it likes. */
static void
test_buffers_outlive_everything (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc num-buffers=5 pattern=snow ! "
      "video/x-raw,width=320,height=240 ! mmapsink socket-path=%s sync=false",
      path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false", path);
  g_autoptr (GPtrArray) held = NULL;
  g_autoptr (GPtrArray) hashes = g_ptr_array_new_with_free_func (g_free);
  GstCaps *caps;
  guint i;

  consumer->hold = TRUE;
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  caps = gst_caps_from_string (pipe_get_frame (consumer, 0)->caps);
  for (i = 0; i < 5; i++)
    g_ptr_array_add (hashes, g_strdup (pipe_get_frame (consumer, i)->pixels));
  held = g_ptr_array_ref (consumer->held);
  pipe_free (consumer);
  pipe_free (producer);

  g_assert_cmpuint (held->len, ==, 5);
  for (i = 0; i < held->len; i++) {
    g_autofree char *hash = pipe_hash (g_ptr_array_index (held, i), caps);

    g_assert_cmpstr (hash, ==, g_ptr_array_index (hashes, i));
  }
  gst_caps_unref (caps);
}

static void
overwrite_with (const char *file, guint8 byte)
{
  int fd = open (file, O_RDWR | O_CLOEXEC);
  struct stat st;
  void *memory;

  g_assert_cmpint (fstat (fd, &st), ==, 0);
  memory = mmap (NULL, st.st_size, PROT_WRITE, MAP_SHARED, fd, 0);
  g_assert_true (memory != MAP_FAILED);
  close (fd);
  memset ((guint8 *) memory + sizeof (MmapRegionHeader), byte,
      st.st_size - sizeof (MmapRegionHeader));
  munmap (memory, st.st_size);
}

static void
overwrite (const char *file)
{
  overwrite_with (file, 0x55);
}

/* Nobody can change what was copied out. */
static void
test_untrusted (void)
{
  g_autofree char *path = pipe_socket_path ();
  g_autofree char *file = leak_check_path ("untrusted");
  Pipe *producer = pipe_new ("videotestsrc num-buffers=5 pattern=snow ! " SMALL
      " ! mmapsink socket-path=%s file=%s sync=false name=sink", path, file);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s name=src untrusted=true ! "
      "fakesink name=out sync=false", path);
  GstCaps *caps;
  guint i;

  consumer->hold = TRUE;
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 5);
  overwrite (file);
  g_assert_cmpuint (pipe_get_stat (consumer, "src", "copied"), ==, 5);
  g_assert_cmpuint (pipe_get_stat (consumer, "src", "held"), ==, 0);
  caps = gst_caps_from_string (pipe_get_frame (consumer, 0)->caps);
  for (i = 0; i < 5; i++) {
    const PipeFrame *frame = pipe_get_frame (consumer, i);
    g_autofree char *hash = pipe_hash (g_ptr_array_index (consumer->held, i),
        caps);

    g_assert_false (frame->is_fd);
    g_assert_cmpstr (hash, ==, frame->pixels);
  }
  gst_caps_unref (caps);
  pipe_free (consumer);
  pipe_free (producer);
}

/* Writes all over the frames until it is told to stop. */
typedef struct
{
  char *file;
  GThread *thread;
  gint stop;
} Scribbler;

static gpointer
scribble (gpointer data)
{
  Scribbler *self = data;

  while (!g_atomic_int_get (&self->stop))
    overwrite_with (self->file, g_random_int ());
  return NULL;
}

static void
scribbler_start (Scribbler * self, char *file)
{
  self->file = file;
  self->stop = FALSE;
  self->thread = g_thread_new ("scribbler", scribble, self);
}

static void
scribbler_stop (Scribbler * self)
{
  g_atomic_int_set (&self->stop, TRUE);
  g_thread_join (self->thread);
}

/* How many of the frames that are held are not what they were when they came. */
static guint
count_changed (Pipe * consumer)
{
  GstCaps *caps = gst_caps_from_string (pipe_get_frame (consumer, 0)->caps);
  guint i, n = 0;

  g_mutex_lock (&consumer->lock);
  for (i = 0; i < consumer->held->len; i++) {
    const PipeFrame *frame = g_ptr_array_index (consumer->frames, i);
    g_autofree char *hash = pipe_hash (g_ptr_array_index (consumer->held, i),
        caps);

    n += strcmp (hash, frame->pixels) != 0;
  }
  g_mutex_unlock (&consumer->lock);
  gst_caps_unref (caps);
  return n;
}

/* While somebody writes there at any instant: what was handed out stays as it is. So that this says something, it is also seen that it
 * changes where it may. */
static void
check_held (gboolean untrusted, guint frames)
{
  g_autofree char *path = pipe_socket_path ();
  g_autofree char *file = leak_check_path ("scribbled");
  Pipe *producer = pipe_new ("videotestsrc is-live=true ! video/x-raw,"
      "framerate=200/1,width=64,height=64 ! mmapsink socket-path=%s file=%s",
      path, file);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s name=src untrusted=%s ! "
      "fakesink name=out sync=false", path, untrusted ? "true" : "false");
  Scribbler scribbler;

  consumer->hold = TRUE;
  pipe_play (producer);
  pipe_play (consumer);
  /* Caps and segment were taken. */
  pipe_wait_frames (consumer, 1);
  scribbler_start (&scribbler, file);
  pipe_wait_frames (consumer, frames);
  while (!untrusted && count_changed (consumer) == 0)
    g_usleep (1000);
  scribbler_stop (&scribbler);
  if (untrusted)
    g_assert_cmpuint (count_changed (consumer), ==, 0);
  pipe_free (consumer);
  pipe_free (producer);
}

static void
test_untrusted_scribbled (void)
{
  check_held (TRUE, 100);
  check_held (FALSE, 2);
}

/* A consumer that keeps more than the region can spare copies, and nobody stalls. */
static void
test_hoarder_copies (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc num-buffers=200 ! " SMALL " ! "
      "mmapsink name=sink socket-path=%s sync=false", path);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", path);

  consumer->hold = TRUE;
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  g_assert_cmpuint (consumer->held->len, ==, 200);
  g_assert_cmpuint (pipe_get_stat (consumer, "src", "copied"), >, 150);
  g_assert_cmpuint (pipe_get_stat (consumer, "src", "held"), >, 4);
  g_ptr_array_set_size (consumer->held, 0);
  g_assert_cmpuint (pipe_get_stat (consumer, "src", "held"), ==, 0);
  pipe_free (consumer);
  pipe_free (producer);
}

/* Out of each wait, at once: for a producer, for its region, for a frame. */
static void
test_stops_from_any_wait (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("appsrc ! mmapsink name=sink socket-path=%s",
      path);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink async=false", path);

  pipe_set_state (consumer, GST_STATE_PLAYING);
  pipe_set_state (consumer, GST_STATE_NULL);

  /* No caps: no region. */
  pipe_play (producer);
  pipe_set_state (consumer, GST_STATE_PLAYING);
  pipe_set_state (consumer, GST_STATE_PAUSED);
  pipe_set_state (consumer, GST_STATE_NULL);
  pipe_free (producer);

  producer = pipe_new ("videotestsrc num-buffers=1 ! " SMALL " ! identity "
      "eos-after=100 ! mmapsink name=sink socket-path=%s", path);
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_uint (producer, "sink", "num-clients", 1);
  pipe_set_state (consumer, GST_STATE_READY);
  pipe_wait_uint (producer, "sink", "num-clients", 0);
  pipe_free (consumer);
  pipe_free (producer);
}

static void
test_not_live (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc num-buffers=20 "
      "timestamp-offset=5000000000 ! " SMALL " ! "
      "mmapsink socket-path=%s sync=false", path);
  Pipe *consumer = pipe_new ("mmapsrc is-live=false socket-path=%s ! "
      "fakesink name=out sync=false", path);
  guint i;

  pipe_play (producer);
  /* Takes part in preroll. */
  pipe_set_state (consumer, GST_STATE_PAUSED);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  g_assert_cmpuint (consumer->frames->len, ==, 20);
  for (i = 0; i < 20; i++) {
    g_assert_cmpuint (pipe_get_frame (consumer, i)->pts, ==,
        5 * GST_SECOND + i * 20 * GST_MSECOND);
    g_assert_cmpuint (pipe_get_frame (consumer, i)->running_time, ==,
        5 * GST_SECOND + i * 20 * GST_MSECOND);
  }
  pipe_free (consumer);
  pipe_free (producer);
}

/* The same instant in both pipelines, whatever their base times: frame times plus base time agree. */
static void
test_live_running_time (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc num-buffers=30 ! " SMALL " ! "
      "mmapsink name=sink socket-path=%s", path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=true", path);
  GstClockTime producer_base, consumer_base;
  gint64 offset;
  guint i;

  pipe_play (consumer);
  pipe_set_state (producer, GST_STATE_PLAYING);
  pipe_wait_eos (consumer);
  producer_base = gst_element_get_base_time (producer->pipeline);
  consumer_base = gst_element_get_base_time (consumer->pipeline);
  g_assert_cmpuint (producer_base, !=, consumer_base);
  g_object_get (pipe_get (producer, "sink"), "ts-offset", &offset, NULL);
  g_assert_cmpuint (consumer->frames->len, ==, 30);
  /* The last ones, since a stall may have moved the first. */
  for (i = 25; i < 30; i++) {
    PipeFrame *frame = pipe_get_frame (consumer, i);

    g_assert_cmpuint (frame->pts, ==, i * 20 * GST_MSECOND);
    g_assert_cmpint (frame->running_time + consumer_base, ==,
        frame->pts + producer_base + offset);
  }
  pipe_free (consumer);
  pipe_free (producer);
}

/* In a child: a producer that is killed. */
static pid_t
fork_producer (const char *path)
{
  g_autofree char *description =
      g_strdup_printf ("videotestsrc ! %s ! mmapsink socket-path=%s", SMALL,
      path);
  g_autofree char **words = g_strsplit (description, " ", -1);
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_auto (GStrv) environment = g_environ_setenv (g_get_environ (),
      "GST_PLUGIN_PATH", g_getenv ("MMAP_TEST_PLUGIN_DIR"), TRUE);
  GPid pid;
  guint i;

  g_ptr_array_add (argv, (gpointer) "gst-launch-1.0");
  g_ptr_array_add (argv, (gpointer) "-q");
  for (i = 0; words[i]; i++)
    g_ptr_array_add (argv, words[i]);
  g_ptr_array_add (argv, NULL);
  g_assert_true (g_spawn_async (NULL, (char **) argv->pdata, environment,
          G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid,
          NULL));
  for (i = 0; words[i]; i++)
    g_free (words[i]);
  return pid;
}

static void
kill_producer (pid_t pid)
{
  int status;

  g_assert_cmpint (kill (pid, SIGKILL), ==, 0);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSIGNALED (status));
}

static void
test_producer_is_killed_and_replaced (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", path);
  g_autofree char *hash = NULL;
  GstCaps *caps;
  guint round;

  consumer->hold = TRUE;
  pipe_play (consumer);
  for (round = 0; round < 3; round++) {
    guint before = consumer->frames->len;
    pid_t pid = fork_producer (path);

    pipe_wait_frames (consumer, before + 5);
    kill_producer (pid);
    /* What the dead one sent is still there. */
    caps = gst_caps_from_string (pipe_get_frame (consumer, before)->caps);
    hash = pipe_hash (g_ptr_array_index (consumer->held, before), caps);
    g_assert_cmpstr (hash, ==, pipe_get_frame (consumer, before)->pixels);
    gst_caps_unref (caps);
    g_clear_pointer (&hash, g_free);
  }
  pipe_free (consumer);
  /* The last one could not remove its socket. */
  g_assert_cmpint (unlink (path), ==, 0);
}

static guint
count_mapped_regions (void)
{
  g_autofree char *maps = NULL;
  const char *at;
  guint n = 0;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));
  for (at = maps; (at = strstr (at, "/memfd:gst-mmap ")); at++)
    n++;
  return n;
}

static void
set_hold (Pipe * pipe, gboolean hold)
{
  g_mutex_lock (&pipe->lock);
  pipe->hold = hold;
  if (!hold)
    g_ptr_array_set_size (pipe->held, 0);
  g_mutex_unlock (&pipe->lock);
}

/* Buffers that lie ready to be used again don't keep the memory of a producer that has gone. */
static void
test_dead_regions_are_unmapped (void)
{
  gint64 end = g_get_monotonic_time () + GST_TIME_AS_USECONDS (PIPE_TIMEOUT);
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false enable-last-sample=false", path);
  guint round, n;

  pipe_play (consumer);
  for (round = 0; round < 3; round++) {
    guint before = consumer->frames->len;
    pid_t pid = fork_producer (path);

    set_hold (consumer, TRUE);
    pipe_wait_frames (consumer, before + 5);
    set_hold (consumer, FALSE);
    kill_producer (pid);
  }
  while ((n = count_mapped_regions ()) > 0) {
    if (g_get_monotonic_time () > end)
      g_error ("%u regions of dead producers are still mapped", n);
    g_usleep (1000);
  }
  pipe_free (consumer);
  g_assert_cmpint (unlink (path), ==, 0);
}

/* Both sides through all states, in any order, a hundred times. */
static void
test_states_at_any_moment (void)
{
  static const GstState states[] = { GST_STATE_PLAYING, GST_STATE_PAUSED,
    GST_STATE_READY, GST_STATE_NULL
  };
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! video/x-raw,width=320,height=240 "
      "! queue max-size-buffers=2 ! mmapsink socket-path=%s sync=false", path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! queue "
      "max-size-buffers=2 ! fakesink name=out sync=false", path);
  guint i, before;

  for (i = 0; i < 100; i++) {
    Pipe *pipe = g_test_rand_bit ()? producer : consumer;

    gst_element_set_state (pipe->pipeline,
        states[g_test_rand_int_range (0, G_N_ELEMENTS (states))]);
    g_usleep (g_test_rand_int_range (0, 5000));
  }
  /* And they still work. */
  pipe_play (consumer);
  pipe_play (producer);
  g_mutex_lock (&consumer->lock);
  before = consumer->frames->len;
  g_mutex_unlock (&consumer->lock);
  pipe_wait_frames (consumer, before + 50);
  pipe_set_state (consumer, GST_STATE_NULL);
  pipe_set_state (producer, GST_STATE_NULL);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  pipe_free (consumer);
  pipe_free (producer);
}

/* A seek upstream of mmapsink, while it waits and while it plays. */
static void
test_flushing_seek (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc num-buffers=100000 ! " SMALL
      " ! mmapsink name=sink socket-path=%s sync=false", path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false", path);
  guint i;

  pipe_set_state (producer, GST_STATE_PLAYING);
  for (i = 0; i < 20; i++) {
    if (i == 5)
      pipe_play (consumer);
    g_assert_true (gst_element_seek_simple (producer->pipeline,
            GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, i * GST_SECOND));
  }
  pipe_wait_frames (consumer, 100);
  pipe_free (producer);
  pipe_free (consumer);
}

/* A sanitizer's own memory comes in new pages all the time: what it would count isn't ours. */
#if defined (__SANITIZE_ADDRESS__) || defined (__SANITIZE_THREAD__)
#define SANITIZED
#endif

#ifndef SANITIZED
static glong
page_faults (void)
{
  struct rusage usage;

  g_assert_cmpint (getrusage (RUSAGE_SELF, &usage), ==, 0);
  return usage.ru_minflt + usage.ru_majflt;
}

static guint
count_maps (void)
{
  g_autofree char *maps = NULL;
  guint n = 0;
  char *line;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));
  for (line = maps; (line = strchr (line, '\n')); line++)
    n++;
  return n;
}

/* No frame costs a page fault or a mapping: a thousand of them at 1080p cost less than one frame's pages (760). */
static void
test_no_page_faults (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc pattern=black ! video/x-raw,"
      "format=I420,width=1920,height=1080 ! mmapsink name=sink sync=false "
      "socket-path=%s", path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=fake "
      "sync=false", path);
  guint64 frames;
  glong before;
  guint maps;

  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_uint (producer, "sink", "num-clients", 1);
  while (pipe_get_stat (producer, "sink", "frames") < 300)
    g_usleep (1000);
  frames = pipe_get_stat (producer, "sink", "frames");
  maps = count_maps ();
  before = page_faults ();
  while (pipe_get_stat (producer, "sink", "frames") < frames + 1000)
    g_usleep (1000);
  g_assert_cmpint (page_faults () - before, <, 760);
  g_assert_cmpuint (count_maps (), <, maps + 20);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "copied"), ==, 0);
  pipe_free (consumer);
  pipe_free (producer);
}

#endif

static void
assert_error (const char *description, gint code, const char *text)
{
  Pipe *pipe = pipe_new ("%s", description);
  g_autoptr (GError) error = NULL;

  gst_element_set_state (pipe->pipeline, GST_STATE_PLAYING);
  error = pipe_wait_error (pipe);
  g_assert_error (error, GST_RESOURCE_ERROR, code);
  if (!strstr (error->message, text))
    g_error ("'%s' doesn't say '%s'", error->message, text);
  pipe_free (pipe);
}

static void
test_errors (void)
{
  g_autofree char *name = g_strnfill (200, 'x');
  g_autofree char *path = g_strdup_printf ("mmapsrc socket-path=/tmp/%s ! "
      "fakesink", name);

  assert_error ("mmapsrc socket-path=/nonexistent/cam0 ! fakesink",
      GST_RESOURCE_ERROR_NOT_FOUND, "/nonexistent");
  assert_error ("mmapsrc socket-path=/etc/passwd ! fakesink",
      GST_RESOURCE_ERROR_SETTINGS, "/etc/passwd");
  assert_error (path, GST_RESOURCE_ERROR_SETTINGS, "bytes");
  assert_error ("mmapsrc socket-path=@ ! fakesink",
      GST_RESOURCE_ERROR_SETTINGS, "empty");
}

static void
test_caps_not_accepted (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! " SMALL " ! mmapsink "
      "socket-path=%s name=sink", path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! audio/x-raw ! fakesink",
      path);
  g_autoptr (GError) error = NULL;

  pipe_play (producer);
  pipe_play (consumer);
  error = pipe_wait_error (consumer);
  g_assert_error (error, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION);
  /* Both caps. */
  g_assert_nonnull (strstr (error->message, "audio/x-raw"));
  g_assert_nonnull (strstr (error->message, "video/x-raw"));
  pipe_free (consumer);
  pipe_wait_uint (producer, "sink", "num-clients", 0);
  pipe_free (producer);
}

/* No caps at all, and a segment in bytes. */
static void
test_bytes_without_caps (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("filesrc location=/etc/services blocksize=1000 ! "
      "mmapsink socket-path=%s sync=false", path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false", path);
  Pipe *reference = pipe_new ("filesrc location=/etc/services blocksize=1000 ! "
      "fakesink name=out sync=false");

  pipe_play (reference);
  pipe_wait_eos (reference);
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  pipe_assert_same (reference, consumer);
  pipe_free (consumer);
  pipe_free (producer);
  pipe_free (reference);
}

static void
add_tests (void)
{
  leak_check_add_test ("/mmapsrc/buffers-outlive-everything",
      test_buffers_outlive_everything);
  leak_check_add_test ("/mmapsrc/untrusted", test_untrusted);
  leak_check_add_test ("/mmapsrc/untrusted-scribbled",
      test_untrusted_scribbled);
  leak_check_add_test ("/mmapsrc/hoarder-copies", test_hoarder_copies);
  leak_check_add_test ("/mmapsrc/stops-from-any-wait",
      test_stops_from_any_wait);
  leak_check_add_test ("/mmapsrc/not-live", test_not_live);
  leak_check_add_test ("/mmapsrc/live-running-time", test_live_running_time);
  leak_check_add_test ("/mmapsrc/producer-is-killed-and-replaced",
      test_producer_is_killed_and_replaced);
  leak_check_add_test ("/mmapsrc/dead-regions-are-unmapped",
      test_dead_regions_are_unmapped);
  leak_check_add_test ("/mmapsrc/states-at-any-moment",
      test_states_at_any_moment);
  leak_check_add_test ("/mmapsrc/flushing-seek", test_flushing_seek);
#ifndef SANITIZED
  leak_check_add_test ("/mmapsrc/no-page-faults", test_no_page_faults);
#endif
  leak_check_add_test ("/mmapsrc/errors", test_errors);
  leak_check_add_test ("/mmapsrc/caps-not-accepted", test_caps_not_accepted);
  leak_check_add_test ("/mmapsrc/bytes-without-caps", test_bytes_without_caps);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
