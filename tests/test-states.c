/* gst-mmap: a walk over all states of both elements
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A producer and two consumers go from any state to any other, and their elements by themselves, too, while events cross in both directions
 * and links end. What is drawn depends on the seed that g_test_rand prints; when it happens, on the machine.
 */
#include "leak-check.h"
#include "pipe.h"
#include "producer.h"

#include <gst/base/gstbasesink.h>
#include <gst/base/gstbasesrc.h>
#include <gst/video/video.h>

#define N_CONSUMERS 2
#define STEPS 100

static const GstState states[] =
    { GST_STATE_NULL, GST_STATE_READY, GST_STATE_PAUSED, GST_STATE_PLAYING };

typedef struct
{
  Pipe *producer;
  Pipe *consumers[N_CONSUMERS];
  gint stop;                    /* atomic */
  gint n_events;                /* atomic: that somebody took */
} Walk;

static GstEvent *
make_custom (GstEventType type)
{
  return gst_event_new_custom (type, gst_structure_new_empty ("x-walk"));
}

/* What an element before the sink may say. Flushes and segments come with the seeks. */
static GstEvent *
make_downstream (guint what)
{
  switch (what % 3) {
    case 0:
      return make_custom (GST_EVENT_CUSTOM_DOWNSTREAM_OOB);
    case 1:
      return make_custom (GST_EVENT_CUSTOM_BOTH_OOB);
    default:
      return make_custom (GST_EVENT_CUSTOM_DOWNSTREAM);
  }
}

static GstEvent *
make_upstream (guint what)
{
  switch (what % 7) {
    case 0:
      return gst_event_new_seek (1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
          GST_SEEK_TYPE_SET, what % 20 * GST_SECOND, GST_SEEK_TYPE_NONE, -1);
    case 1:
      return gst_video_event_new_upstream_force_key_unit (GST_CLOCK_TIME_NONE,
          FALSE, 0);
    case 2:
      return gst_navigation_event_new_mouse_move (1, 2, 0);
    case 3:
      return gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 1.0, 1, GST_SECOND);
    case 4:
      return gst_event_new_reconfigure ();
    case 5:
      return gst_event_new_seek (1.0, GST_FORMAT_TIME, 0, GST_SEEK_TYPE_SET,
          what % 20 * GST_SECOND, GST_SEEK_TYPE_NONE, -1);
    default:
      return make_custom (GST_EVENT_CUSTOM_UPSTREAM);
  }
}

static void
say (Walk * walk, GstPad * pad, GstEvent * event)
{
  if (gst_pad_push_event (pad, event))
    g_atomic_int_inc (&walk->n_events);
  g_usleep (1000);
}

/* Serialised ones as the streaming thread, which has the lock. */
static gpointer
speak_downstream (gpointer data)
{
  Walk *walk = data;
  GstPad *pad = gst_element_get_static_pad (pipe_get (walk->producer, "before"),
      "src");
  guint i;

  for (i = 0; !g_atomic_int_get (&walk->stop); i++) {
    GstEvent *event = make_downstream (i);

    if (GST_EVENT_IS_SERIALIZED (event)) {
      GST_PAD_STREAM_LOCK (pad);
      say (walk, pad, event);
      GST_PAD_STREAM_UNLOCK (pad);
    } else {
      say (walk, pad, event);
    }
  }
  gst_object_unref (pad);
  return NULL;
}

static gpointer
speak_upstream (gpointer data)
{
  Walk *walk = data;
  GstPad *pads[N_CONSUMERS];
  guint i;

  for (i = 0; i < N_CONSUMERS; i++)
    pads[i] = gst_element_get_static_pad (pipe_get (walk->consumers[i], "out"),
        "sink");
  for (i = 0; !g_atomic_int_get (&walk->stop); i++)
    say (walk, pads[i % N_CONSUMERS], make_upstream (i / N_CONSUMERS));
  for (i = 0; i < N_CONSUMERS; i++)
    gst_object_unref (pads[i]);
  return NULL;
}

/* A pipeline to any state, or only what is ours in it, and back to that of the pipeline. No source can be stopped alone while what comes
 * after it is paused: its streaming thread may be there. */
static void
step (Pipe * pipe, const char *name, GstState least)
{
  GstState state = states[g_test_rand_int_range (0, G_N_ELEMENTS (states))];

  if (g_test_rand_int_range (0, 4) == 0) {
    gst_element_set_state (pipe_get (pipe, name), MAX (state, least));
    g_usleep (g_test_rand_int_range (0, 2000));
    gst_element_sync_state_with_parent (pipe_get (pipe, name));
  } else {
    gst_element_set_state (pipe->pipeline, state);
  }
  if (g_test_rand_bit ())
    g_usleep (g_test_rand_int_range (0, 10000));
}

static void
drain_bus (Pipe * pipe)
{
  GstBus *bus = gst_element_get_bus (pipe->pipeline);

  gst_bus_set_flushing (bus, TRUE);
  gst_bus_set_flushing (bus, FALSE);
  gst_object_unref (bus);
}

static void
walk_init (Walk * walk, const char *path, gboolean live)
{
  guint i;

  walk->stop = walk->n_events = 0;
  walk->producer = pipe_new ("videotestsrc is-live=%d ! video/x-raw,"
      "format=I420,width=64,height=48,framerate=100/1 ! identity name=before ! "
      "mmapsink name=sink async=%d socket-path=%s", live, !live, path);
  for (i = 0; i < N_CONSUMERS; i++)
    walk->consumers[i] = pipe_new ("mmapsrc name=src socket-path=%s "
        "is-live=%d on-disconnect=wait ! fakesink name=out sync=false "
        "async=%d", path, i == 0, i != 0);
}

/* At the end all of them play, and frames arrive. */
static void
walk_end (Walk * walk)
{
  guint i;

  gst_element_set_state (walk->producer->pipeline, GST_STATE_NULL);
  drain_bus (walk->producer);
  for (i = 0; i < N_CONSUMERS; i++) {
    gst_element_set_state (walk->consumers[i]->pipeline, GST_STATE_NULL);
    drain_bus (walk->consumers[i]);
    g_ptr_array_set_size (walk->consumers[i]->frames, 0);
  }
  pipe_play (walk->producer);
  for (i = 0; i < N_CONSUMERS; i++)
    pipe_play (walk->consumers[i]);
  for (i = 0; i < N_CONSUMERS; i++)
    pipe_wait_frames (walk->consumers[i], 5);
  for (i = 0; i < N_CONSUMERS; i++)
    pipe_free (walk->consumers[i]);
  pipe_free (walk->producer);
}

static void
check_walk (gboolean live)
{
  g_autofree char *path = pipe_socket_path ();
  GThread *down, *up;
  Walk walk;
  guint i;

  walk_init (&walk, path, live);
  down = g_thread_new ("downstream", speak_downstream, &walk);
  up = g_thread_new ("upstream", speak_upstream, &walk);
  for (i = 0; i < pipe_rounds (STEPS)
      || g_atomic_int_get (&walk.n_events) == 0; i++) {
    guint who = g_test_rand_int_range (0, N_CONSUMERS + 1);

    if (who == N_CONSUMERS)
      step (walk.producer, "sink", GST_STATE_NULL);
    else
      step (walk.consumers[who], "src", GST_STATE_PAUSED);
  }
  g_atomic_int_set (&walk.stop, TRUE);
  /* Who waits to be heard waits for somebody who listens. */
  gst_element_set_state (walk.producer->pipeline, GST_STATE_NULL);
  for (i = 0; i < N_CONSUMERS; i++)
    gst_element_set_state (walk.consumers[i]->pipeline, GST_STATE_NULL);
  g_thread_join (down);
  g_thread_join (up);
  g_test_message ("%d events were heard", walk.n_events);
  walk_end (&walk);
}

static void
test_walk (void)
{
  check_walk (FALSE);
}

static void
test_live_walk (void)
{
  check_walk (TRUE);
}

/* How long who allows a sink to wait is delayed then; 0: not at all. */
static gint delay_us;           /* atomic */

void __real_mmap_producer_set_cancelled (MmapProducer * producer,
    MmapCancel * cancel, gboolean cancelled);
void __wrap_mmap_producer_set_cancelled (MmapProducer * producer,
    MmapCancel * cancel, gboolean cancelled);

void
__wrap_mmap_producer_set_cancelled (MmapProducer * producer,
    MmapCancel * cancel, gboolean cancelled)
{
  __real_mmap_producer_set_cancelled (producer, cancel, cancelled);
  if (!cancelled)
    g_usleep (g_atomic_int_get (&delay_us));
}

/* The first frame is to be rendered while the pipeline goes to PLAYING, and begins to wait for consumers, of which there will be none. */
static void
test_stops_alone (void)
{
  g_autofree char *path = pipe_socket_path ();
  guint i;

  for (i = 0; i < 5; i++) {
    Pipe *pipe = pipe_new ("videotestsrc ! video/x-raw,width=16,height=16 ! "
        "mmapsink ts-offset=20000000 socket-path=%s", path);

    g_atomic_int_set (&delay_us, 100 * G_TIME_SPAN_MILLISECOND);
    pipe_set_state (pipe, GST_STATE_PLAYING);
    g_atomic_int_set (&delay_us, 0);
    pipe_free (pipe);
  }
}

static void
add_tests (void)
{
  leak_check_add_test ("/states/stops-alone", test_stops_alone);
  leak_check_add_test ("/states/walk", test_walk);
  leak_check_add_test ("/states/live-walk", test_live_walk);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
