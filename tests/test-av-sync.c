/* gst-mmap: tests of audio and video that cross side by side
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One producer's pipeline has two sinks. What was captured at one instant must be rendered at one instant, whatever became of the
 * consumers meanwhile.
 */
#include "leak-check.h"
#include "pipe.h"

/* One frame of the video. */
#define LIP_SYNC (40 * GST_MSECOND)

#define VIDEO "videotestsrc ! video/x-raw,format=I420,width=64,height=48,framerate=25/1"
#define SMALL "video/x-raw,format=I420,width=64,height=48,framerate=50/1"
#define AUDIO "audiotestsrc samplesperbuffer=960 ! " \
    "audio/x-raw,format=S16LE,rate=48000,channels=2"

typedef struct
{
  char *video_path;
  char *audio_path;
  Pipe *producer;
  Pipe *listener;
} Scene;

static void
scene_init (Scene * scene)
{
  scene->video_path = pipe_socket_path ();
  scene->audio_path = pipe_socket_path ();
  scene->producer = pipe_new (VIDEO " ! mmapsink name=video socket-path=%s "
      AUDIO " ! mmapsink name=audio socket-path=%s", scene->video_path,
      scene->audio_path);
  scene->listener = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out",
      scene->audio_path);
}

static void
scene_clear (Scene * scene)
{
  pipe_free (scene->producer);
  pipe_free (scene->listener);
  g_free (scene->video_path);
  g_free (scene->audio_path);
}

/* When, on the machine's clock, the time stamp 0 is rendered, as the last frame has it. */
static GstClockTimeDiff
get_origin (Pipe * pipe)
{
  GstClockTime base_time = gst_element_get_base_time (pipe->pipeline);
  PipeFrame *last;

  g_mutex_lock (&pipe->lock);
  last = g_ptr_array_index (pipe->frames, pipe->frames->len - 1);
  g_mutex_unlock (&pipe->lock);
  return base_time + last->running_time - last->pts;
}

static void
wait_for_more (Pipe * pipe, guint n)
{
  guint now;

  g_mutex_lock (&pipe->lock);
  now = pipe->frames->len;
  g_mutex_unlock (&pipe->lock);
  pipe_wait_frames (pipe, now + n);
}

/* The viewer goes away, and another comes, while the listener stays: the streams have to wait for each other. */
static void
test_viewer_away (void)
{
  GstClockTimeDiff error;
  Scene scene;
  guint i;

  scene_init (&scene);
  pipe_play (scene.producer);
  pipe_play (scene.listener);
  for (i = 0; i < 3; i++) {
    Pipe *viewer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out",
        scene.video_path);

    pipe_play (viewer);
    pipe_wait_frames (viewer, 5);
    wait_for_more (scene.listener, 5);
    error = get_origin (viewer) - get_origin (scene.listener);
    g_test_message ("visit %u: video %" GST_STIME_FORMAT " after audio", i,
        GST_STIME_ARGS (error));
    g_assert_cmpint (ABS (error), <, LIP_SYNC);
    pipe_free (viewer);
    pipe_wait_uint (scene.producer, "video", "num-clients", 0);
    g_usleep (300000);
  }
  scene_clear (&scene);
}

/* Both streams pause together: nothing is late afterwards. */
static void
test_paused (void)
{
  Scene scene;
  Pipe *viewer;
  guint i;

  scene_init (&scene);
  viewer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out",
      scene.video_path);
  pipe_play (scene.producer);
  pipe_play (scene.listener);
  pipe_play (viewer);
  for (i = 0; i < 3; i++) {
    pipe_wait_frames (viewer, 5 * (i + 1));
    wait_for_more (scene.listener, 5);
    g_assert_cmpint (ABS (get_origin (viewer) - get_origin (scene.listener)), <,
        LIP_SYNC);
    pipe_set_state (scene.producer, GST_STATE_PAUSED);
    g_usleep (300000);
    pipe_play (scene.producer);
  }
  pipe_free (viewer);
  scene_clear (&scene);
}

/* One consumer's pipeline has both. */
static void
test_one_consumer (void)
{
  Scene scene;
  Pipe *viewer;
  guint i;

  scene_init (&scene);
  viewer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out sync=true "
      "mmapsrc socket-path=%s ! fakesink name=other sync=true",
      scene.video_path, scene.audio_path);
  pipe_play (scene.producer);
  pipe_play (scene.listener);
  pipe_play (viewer);
  for (i = 0; i < 2; i++) {
    pipe_wait_frames (viewer, 5 * (i + 1));
    wait_for_more (scene.listener, 5);
    g_assert_cmpint (ABS (get_origin (viewer) - get_origin (scene.listener)), <,
        LIP_SYNC);
    /* What it doesn't take, the producer can't send. */
    pipe_set_state (viewer, GST_STATE_PAUSED);
    g_usleep (300000);
    pipe_play (viewer);
  }
  pipe_free (viewer);
  scene_clear (&scene);
}

/* What the way takes is measured, and part of the latency. */
static void
test_transfer (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc is-live=true ! " SMALL " ! "
      "mmapsink socket-path=%s", path);
  Pipe *viewer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out", path);
  GstQuery *query = gst_query_new_latency ();
  GstClockTime transfer, min;
  gboolean live;

  pipe_play (producer);
  pipe_play (viewer);
  pipe_wait_frames (viewer, 20);
  transfer = pipe_get_stat (viewer, "src", "transfer");
  g_test_message ("transfer %" GST_TIME_FORMAT, GST_TIME_ARGS (transfer));
  /* It takes time, but not a frame's. */
  g_assert_cmpuint (transfer, >, 0);
  g_assert_cmpuint (transfer, <=, 21 * GST_MSECOND);
  g_assert_cmpuint (transfer % GST_MSECOND, ==, 0);
  g_assert_true (gst_element_query (pipe_get (viewer, "src"), query));
  gst_query_parse_latency (query, &live, &min, NULL);
  g_assert_true (live);
  /* The producer's: a frame of its live source, and what its sink may take. */
  g_assert_cmpuint (min, >=, transfer + 20 * GST_MSECOND);
  gst_query_unref (query);
  pipe_free (viewer);
  pipe_free (producer);
}

static void
add_tests (void)
{
  leak_check_add_test ("/av-sync/viewer-away", test_viewer_away);
  leak_check_add_test ("/av-sync/paused", test_paused);
  leak_check_add_test ("/av-sync/one-consumer", test_one_consumer);
  leak_check_add_test ("/av-sync/transfer", test_transfer);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
