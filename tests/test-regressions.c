/* gst-mmap: tests of what was wrong once in other elements that cross processes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "harness.h"
#include "leak-check.h"
#include "pipe.h"

#include <string.h>

#define BYTES 1000

/* Bytes that count up from @first, with more before and after them. */
static GstMemory *
memory_inside (guint8 first, gsize size)
{
  guint8 *data = g_malloc (size + 200);
  gsize i;

  for (i = 0; i < size + 200; i++)
    data[i] = first + i - 100;
  return gst_memory_new_wrapped (0, data, size + 200, 100, size, data, g_free);
}

static void
push (Harness * harness, GstBuffer * buffer, guint number)
{
  GST_BUFFER_PTS (buffer) = number * GST_SECOND;
  g_assert_cmpint (gst_harness_push (harness->harness, buffer), ==,
      GST_FLOW_OK);
}

static void
assert_counts_up (GstBuffer * buffer, guint8 first)
{
  GstMapInfo map;
  gsize i;

  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
  g_assert_cmpuint (map.size, ==, BYTES);
  for (i = 0; i < map.size; i++)
    g_assert_cmpuint (map.data[i], ==, (guint8) (first + i));
  gst_buffer_unmap (buffer, &map);
}

/* Memory that doesn't begin where it was allocated: a part of other memory, a part of a part, in several pieces. */
static void
test_memory_offsets (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *harness = harness_new (path, NULL);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s is-live=false ! "
      "fakesink name=out sync=false", path);
  GstBuffer *buffer = gst_buffer_new ();
  GstMemory *memory;
  guint i;

  consumer->hold = TRUE;
  harness_start (harness, HARNESS_CAPS);
  pipe_play (consumer);

  gst_buffer_append_memory (buffer, memory_inside (1, BYTES));
  push (harness, buffer, 0);

  memory = memory_inside (2, BYTES + 50);
  buffer = gst_buffer_new ();
  gst_buffer_append_memory (buffer, gst_memory_share (memory, 25, BYTES));
  gst_memory_unref (memory);
  push (harness, buffer, 1);

  buffer = gst_buffer_new ();
  gst_buffer_append_memory (buffer, memory_inside (3, BYTES / 2));
  gst_buffer_append_memory (buffer, memory_inside ((guint8) (3 + BYTES / 2),
          BYTES + 7));
  gst_buffer_resize (buffer, 0, BYTES);
  push (harness, buffer, 2);

  pipe_wait_frames (consumer, 3);
  assert_counts_up (g_ptr_array_index (consumer->held, 0), 1);
  assert_counts_up (g_ptr_array_index (consumer->held, 1), 2 + 25);
  assert_counts_up (g_ptr_array_index (consumer->held, 2), 3);
  for (i = 0; i < 3; i++)
    g_assert_cmpuint (pipe_get_frame (consumer, i)->pts, ==, i * GST_SECOND);
  pipe_free (consumer);
  harness_free (harness);
}

/* Who comes later has the same running times. */
static void
test_segment_with_base (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *harness = harness_new (path, NULL);
  Pipe *first = pipe_new ("mmapsrc socket-path=%s is-live=false ! "
      "fakesink name=out sync=false", path);
  Pipe *second = pipe_new ("mmapsrc socket-path=%s is-live=false ! "
      "fakesink name=out sync=false", path);
  GstSegment segment;
  guint i;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.position = 2 * GST_SECOND;
  segment.base = 50 * GST_SECOND;
  segment.rate = 2.0;
  harness_start (harness, HARNESS_CAPS);
  harness_push_event (harness, gst_event_new_segment (&segment));
  pipe_play (first);
  harness_wait_clients (harness, 1);
  for (i = 2; i < 6; i++)
    harness_push_frame (harness, i);
  pipe_play (second);
  harness_wait_clients (harness, 2);
  for (i = 6; i < 10; i++)
    harness_push_frame (harness, i);
  pipe_wait_frames (first, 8);
  pipe_wait_frames (second, 4);
  for (i = 2; i < 10; i++)
    g_assert_cmpuint (pipe_get_frame (first, i - 2)->running_time, ==,
        50 * GST_SECOND + (i - 2) * GST_SECOND / 2);
  for (i = 6; i < 10; i++)
    g_assert_cmpuint (pipe_get_frame (second, i - 6)->running_time, ==,
        50 * GST_SECOND + (i - 2) * GST_SECOND / 2);
  pipe_free (first);
  pipe_free (second);
  harness_free (harness);
}

/* Ids are not forgotten, nor used twice, however many frames there were; a ring goes round more than once. */
static void
test_many_frames (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("fakesrc num-buffers=70000 sizetype=fixed "
      "sizemax=16 ! mmapsink sync=false socket-path=%s", path);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s is-live=false ! "
      "fakesink sync=false", path);

  pipe_play (consumer);
  pipe_play (producer);
  pipe_wait_eos (consumer);
  g_assert_cmpuint (pipe_get_stat (consumer, "src", "frames"), ==, 70000);
  pipe_free (producer);
  pipe_free (consumer);
}

/* A real encoder, which makes no second keyframe by itself: who joins gets one. */
static void
test_encoder (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc is-live=true ! video/x-raw,"
      "width=64,height=48,framerate=50/1 ! x264enc key-int-max=100000 "
      "tune=zerolatency ! h264parse config-interval=-1 ! "
      "mmapsink name=sink socket-path=%s", path);
  Pipe *first = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out", path);
  Pipe *second = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out", path);
  guint i, n_keys = 0;

  pipe_play (producer);
  pipe_play (first);
  pipe_wait_frames (first, 20);
  pipe_play (second);
  pipe_wait_frames (second, 10);
  g_assert_false (pipe_get_frame (second, 0)->flags &
      GST_BUFFER_FLAG_DELTA_UNIT);
  g_mutex_lock (&first->lock);
  for (i = 0; i < first->frames->len; i++) {
    PipeFrame *frame = g_ptr_array_index (first->frames, i);

    n_keys += !(frame->flags & GST_BUFFER_FLAG_DELTA_UNIT);
  }
  g_mutex_unlock (&first->lock);
  /* The stream's first, and the one that was asked for. */
  g_assert_cmpuint (n_keys, ==, 2);
  pipe_free (second);
  pipe_free (first);
  pipe_free (producer);
}

static void
add_tests (void)
{
  leak_check_add_test ("/regressions/memory-offsets", test_memory_offsets);
  leak_check_add_test ("/regressions/segment-with-base",
      test_segment_with_base);
  leak_check_add_test ("/regressions/many-frames", test_many_frames);
  leak_check_add_test ("/regressions/encoder", test_encoder);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
