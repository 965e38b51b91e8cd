/* gst-mmap: pipelines for the tests of the elements
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Records are made on the streaming threads and read by the test.
 */
#include "pipe.h"

#include "gstmmapsink.h"
#include "gstmmapsrc.h"
#include "socket-lock.h"

#include <gst/allocators/allocators.h>
#include <gst/video/video.h>
#include <string.h>
#include <unistd.h>

/* Without what a new link adds. */
#define FLAGS_THAT_DIFFER (GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_TAG_MEMORY)

static void
frame_free (gpointer data)
{
  PipeFrame *frame = data;

  g_free (frame->caps);
  g_free (frame->pixels);
  g_free (frame);
}

static void
hash_plane (GChecksum * checksum, GstVideoFrame * frame, guint plane)
{
  gint components[GST_VIDEO_MAX_COMPONENTS];
  const guint8 *row = GST_VIDEO_FRAME_PLANE_DATA (frame, plane);
  gint rows, bytes, i;

  gst_video_format_info_component (frame->info.finfo, plane, components);
  rows = GST_VIDEO_FRAME_COMP_HEIGHT (frame, components[0]);
  bytes = GST_VIDEO_FRAME_COMP_WIDTH (frame, components[0])
      * GST_VIDEO_FRAME_COMP_PSTRIDE (frame, components[0]);
  for (i = 0; i < rows; i++)
    g_checksum_update (checksum,
        row + (gsize) i * GST_VIDEO_FRAME_PLANE_STRIDE (frame, plane), bytes);
}

char *
pipe_hash (GstBuffer * buffer, GstCaps * caps)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  GstVideoInfo info;
  GstVideoFrame frame;
  GstMapInfo map;
  guint i;

  if (caps && gst_video_info_from_caps (&info, caps)
      && gst_video_frame_map (&frame, &info, buffer, GST_MAP_READ)) {
    for (i = 0; i < GST_VIDEO_FRAME_N_PLANES (&frame); i++)
      hash_plane (checksum, &frame, i);
    gst_video_frame_unmap (&frame);
  } else {
    g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
    g_checksum_update (checksum, map.data, map.size);
    gst_buffer_unmap (buffer, &map);
  }
  return g_strdup (g_checksum_get_string (checksum));
}

static void
on_handoff (GstElement * out, GstBuffer * buffer, GstPad * pad, gpointer data)
{
  Pipe *pipe = data;
  PipeFrame *frame = g_new0 (PipeFrame, 1);
  GstCaps *caps = gst_pad_get_current_caps (pad);
  GstEvent *event = gst_pad_get_sticky_event (pad, GST_EVENT_SEGMENT, 0);
  const GstSegment *segment;

  frame->pts = GST_BUFFER_PTS (buffer);
  frame->dts = GST_BUFFER_DTS (buffer);
  frame->duration = GST_BUFFER_DURATION (buffer);
  frame->offset = GST_BUFFER_OFFSET (buffer);
  frame->offset_end = GST_BUFFER_OFFSET_END (buffer);
  frame->flags = GST_BUFFER_FLAGS (buffer) & ~FLAGS_THAT_DIFFER;
  frame->size = gst_buffer_get_size (buffer);
  frame->running_time = GST_CLOCK_TIME_NONE;
  if (event) {
    gst_event_parse_segment (event, &segment);
    frame->format = segment->format;
    if (segment->format == GST_FORMAT_TIME)
      frame->running_time = gst_segment_to_running_time (segment,
          GST_FORMAT_TIME, frame->pts);
    gst_event_unref (event);
  }
  if (gst_buffer_n_memory (buffer) == 1) {
    GstMemory *memory = gst_buffer_peek_memory (buffer, 0);

    frame->is_fd = gst_is_fd_memory (memory);
    frame->is_read_only = GST_MEMORY_IS_READONLY (memory);
  }
  frame->caps = caps ? gst_caps_to_string (caps) : g_strdup ("none");
  frame->pixels = pipe_hash (buffer, caps);
  gst_clear_caps (&caps);

  g_mutex_lock (&pipe->lock);
  g_ptr_array_add (pipe->frames, frame);
  if (pipe->hold)
    g_ptr_array_add (pipe->held, gst_buffer_ref (buffer));
  g_cond_broadcast (&pipe->cond);
  g_mutex_unlock (&pipe->lock);
}

Pipe *
pipe_new (const char *format, ...)
{
  Pipe *pipe = g_new0 (Pipe, 1);
  g_autoptr (GError) error = NULL;
  g_autofree char *description = NULL;
  GstElement *out;
  va_list args;

  va_start (args, format);
  description = g_strdup_vprintf (format, args);
  va_end (args);
  pipe->pipeline = gst_parse_launch (description, &error);
  g_assert_no_error (error);
  g_mutex_init (&pipe->lock);
  g_cond_init (&pipe->cond);
  pipe->frames = g_ptr_array_new_with_free_func (frame_free);
  pipe->held =
      g_ptr_array_new_with_free_func ((GDestroyNotify) gst_buffer_unref);
  out = gst_bin_get_by_name (GST_BIN (pipe->pipeline), "out");
  if (out) {
    g_object_set (out, "signal-handoffs", TRUE, NULL);
    g_signal_connect (out, "handoff", G_CALLBACK (on_handoff), pipe);
    gst_object_unref (out);
  }
  return pipe;
}

void
pipe_free (Pipe * pipe)
{
  gst_element_set_state (pipe->pipeline, GST_STATE_NULL);
  gst_object_unref (pipe->pipeline);
  g_ptr_array_unref (pipe->frames);
  g_ptr_array_unref (pipe->held);
  g_mutex_clear (&pipe->lock);
  g_cond_clear (&pipe->cond);
  g_free (pipe);
}

void
pipe_play (Pipe * pipe)
{
  g_assert_cmpint (gst_element_set_state (pipe->pipeline, GST_STATE_PLAYING),
      !=, GST_STATE_CHANGE_FAILURE);
}

void
pipe_set_state (Pipe * pipe, GstState state)
{
  g_assert_cmpint (gst_element_set_state (pipe->pipeline, state), !=,
      GST_STATE_CHANGE_FAILURE);
  g_assert_cmpint (gst_element_get_state (pipe->pipeline, NULL, NULL,
          PIPE_TIMEOUT), !=, GST_STATE_CHANGE_ASYNC);
}

static GstMessage *
wait_message (Pipe * pipe, GstMessageType types)
{
  GstBus *bus = gst_element_get_bus (pipe->pipeline);
  GstMessage *message = gst_bus_timed_pop_filtered (bus, PIPE_TIMEOUT, types);

  gst_object_unref (bus);
  if (!message)
    g_error ("waited in vain for a message of type %s",
        gst_message_type_get_name (types));
  return message;
}

void
pipe_wait_eos (Pipe * pipe)
{
  GstMessage *message =
      wait_message (pipe, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    GError *error = NULL;
    gchar *debug = NULL;

    gst_message_parse_error (message, &error, &debug);
    g_error ("%s: %s (%s)", GST_MESSAGE_SRC_NAME (message), error->message,
        debug);
  }
  gst_message_unref (message);
}

GError *
pipe_wait_error (Pipe * pipe)
{
  GstMessage *message = wait_message (pipe, GST_MESSAGE_ERROR);
  GError *error = NULL;

  gst_message_parse_error (message, &error, NULL);
  gst_message_unref (message);
  return error;
}

void
pipe_wait_frames (Pipe * pipe, guint n)
{
  gint64 end = g_get_monotonic_time () + GST_TIME_AS_USECONDS (PIPE_TIMEOUT);

  g_mutex_lock (&pipe->lock);
  while (pipe->frames->len < n)
    if (!g_cond_wait_until (&pipe->cond, &pipe->lock, end))
      g_error ("waited in vain for frame %u, have %u", n, pipe->frames->len);
  g_mutex_unlock (&pipe->lock);
}

PipeFrame *
pipe_get_frame (Pipe * pipe, guint i)
{
  PipeFrame *frame;

  g_mutex_lock (&pipe->lock);
  g_assert_cmpuint (i, <, pipe->frames->len);
  frame = g_ptr_array_index (pipe->frames, i);
  g_mutex_unlock (&pipe->lock);
  return frame;
}

GstElement *
pipe_get (Pipe * pipe, const char *name)
{
  GstElement *element = gst_bin_get_by_name (GST_BIN (pipe->pipeline), name);

  g_assert_nonnull (element);
  /* The pipeline keeps it. */
  gst_object_unref (element);
  return element;
}

guint64
pipe_get_stat (Pipe * pipe, const char *name, const char *field)
{
  g_autoptr (GstStructure) stats = NULL;
  guint64 value;

  g_object_get (pipe_get (pipe, name), "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint64 (stats, field, &value));
  return value;
}

static void
on_notify (GObject * object, GParamSpec * pspec, gpointer data)
{
  Pipe *pipe = data;

  g_mutex_lock (&pipe->lock);
  g_cond_broadcast (&pipe->cond);
  g_mutex_unlock (&pipe->lock);
}

void
pipe_wait_uint (Pipe * pipe, const char *name, const char *property,
    guint value)
{
  gint64 end = g_get_monotonic_time () + GST_TIME_AS_USECONDS (PIPE_TIMEOUT);
  g_autofree char *signal = g_strdup_printf ("notify::%s", property);
  GstElement *element = pipe_get (pipe, name);
  gulong handler =
      g_signal_connect (element, signal, G_CALLBACK (on_notify), pipe);
  guint now;

  g_mutex_lock (&pipe->lock);
  for (;;) {
    g_object_get (element, property, &now, NULL);
    if (now == value)
      break;
    if (!g_cond_wait_until (&pipe->cond, &pipe->lock, end))
      g_error ("waited in vain for %s = %u, it is %u", property, value, now);
  }
  g_mutex_unlock (&pipe->lock);
  g_signal_handler_disconnect (element, handler);
}

void
pipe_assert_same (Pipe * one, Pipe * two)
{
  guint i;

  g_assert_cmpuint (one->frames->len, ==, two->frames->len);
  for (i = 0; i < one->frames->len; i++) {
    PipeFrame *a = pipe_get_frame (one, i);
    PipeFrame *b = pipe_get_frame (two, i);

    g_assert_cmpstr (a->pixels, ==, b->pixels);
    g_assert_cmpstr (a->caps, ==, b->caps);
    g_assert_cmpint (a->format, ==, b->format);
    g_assert_cmpuint (a->pts, ==, b->pts);
    g_assert_cmpuint (a->dts, ==, b->dts);
    g_assert_cmpuint (a->duration, ==, b->duration);
    g_assert_cmpuint (a->offset, ==, b->offset);
    g_assert_cmpuint (a->offset_end, ==, b->offset_end);
    g_assert_cmphex (a->flags, ==, b->flags);
  }
}

static gint n_socket_paths;

static char *
socket_path (gint i)
{
  return g_strdup_printf ("%s/gst-mmap-test-%d-%d", g_get_tmp_dir (),
      (int) getpid (), i);
}

char *
pipe_socket_path (void)
{
  return socket_path (g_atomic_int_add (&n_socket_paths, 1));
}

/* What killed producers have left. */
static void
remove_sockets (void)
{
  gint i;

  for (i = 0; i < n_socket_paths; i++) {
    g_autofree char *path = socket_path (i);
    g_autofree char *lock = g_strconcat (path, MMAP_SOCKET_LOCK_SUFFIX, NULL);

    unlink (path);
    unlink (lock);
  }
}

guint
pipe_rounds (guint n)
{
  return n / leak_check_get_times ();
}

/* What GStreamer and GLib make once and keep is there before the first leak check. */
static void
warm_up (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *pipe = pipe_new ("videotestsrc num-buffers=2 ! "
      "mmapsink async=false socket-path=%s "
      "mmapsrc socket-path=%s ! fakesink async=false", path, path);

  /* Threads of GLib's pool end when they have nothing to do. */
  g_thread_pool_set_max_unused_threads (0);
  pipe_play (pipe);
  pipe_wait_eos (pipe);
  pipe_free (pipe);
}

int
pipe_test_main (int argc, char **argv, void (*add_tests) (void))
{
  int status;

  g_test_init (&argc, &argv, NULL);
  gst_init (NULL, NULL);
  /* The test program contains the plugin's objects: a second copy of them, loaded from a file, would be other types. */
  g_assert_true (GST_ELEMENT_REGISTER (mmapsink, NULL));
  g_assert_true (GST_ELEMENT_REGISTER (mmapsrc, NULL));
  warm_up ();
  add_tests ();
  status = g_test_run ();
  remove_sockets ();
  /* With GST_TRACERS=leaks and G_DEBUG=fatal-warnings an object that is left aborts the program here. */
  gst_deinit ();
  return status;
}
