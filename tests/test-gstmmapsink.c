/* gst-mmap: tests of mmapsink
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "leak-check.h"
#include "pipe.h"
#include "slow-memory.h"

#include <gst/allocators/allocators.h>
#include <gst/base/gstbasesink.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void
assert_gone (const char *path)
{
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

/* @description plays in a producer, and must reach a consumer as it reaches a sink of its own process. */
static void
check_stream (const char *description, gboolean zero_copy)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *reference = pipe_new ("%s ! fakesink name=out sync=false", description);
  Pipe *producer = pipe_new ("%s ! mmapsink name=sink sync=false "
      "socket-path=%s", description, path);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", path);

  pipe_play (reference);
  pipe_wait_eos (reference);
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  pipe_wait_eos (producer);

  g_assert_cmpuint (reference->frames->len, >, 0);
  pipe_assert_same (reference, consumer);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "frames"), ==,
      reference->frames->len);
  if (zero_copy) {
    g_assert_cmpuint (pipe_get_stat (producer, "sink", "copied"), ==, 0);
    g_assert_true (pipe_get_frame (consumer, 0)->is_fd);
    g_assert_true (pipe_get_frame (consumer, 0)->is_read_only);
  }
  pipe_free (producer);
  pipe_free (consumer);
  pipe_free (reference);
  assert_gone (path);
}

static void
test_raw_video (void)
{
  static const char *formats[] = { "I420", "NV12", "P010_10LE", "YUY2", "RGBA",
    "BGRx", "GRAY8"
  };
  static const struct
  {
    guint width, height;
  } sizes[] = { {16, 16}, {333, 77}, {640, 480} };
  guint f, s;

  for (f = 0; f < G_N_ELEMENTS (formats); f++)
    for (s = 0; s < G_N_ELEMENTS (sizes); s++) {
      g_autofree char *description =
          g_strdup_printf ("videotestsrc num-buffers=40 pattern=snow ! "
          "video/x-raw,format=%s,width=%u,height=%u", formats[f],
          sizes[s].width, sizes[s].height);

      g_test_message ("%s", description);
      check_stream (description, TRUE);
    }
}

static void
test_huge_video (void)
{
  check_stream ("videotestsrc num-buffers=8 pattern=smpte ! "
      "video/x-raw,format=NV12,width=7680,height=4320", TRUE);
}

static void
test_audio (void)
{
  check_stream ("audiotestsrc num-buffers=200 ! "
      "audio/x-raw,format=S16LE,channels=2", FALSE);
  check_stream ("audiotestsrc num-buffers=200 samplesperbuffer=333 ! "
      "audio/x-raw,format=F32LE,channels=1", FALSE);
}

static void
test_encoded (void)
{
  check_stream ("videotestsrc num-buffers=60 pattern=ball ! "
      "video/x-raw,width=320,height=240 ! x264enc key-int-max=10 ! h264parse",
      FALSE);
  check_stream ("videotestsrc num-buffers=60 pattern=ball ! "
      "video/x-raw,width=320,height=240 ! vp8enc deadline=1", FALSE);
}

/* Whatever comes: nothing at all, a byte, several memories. */
static void
push_odd_buffers (GstHarness * harness, GChecksum * sent)
{
  static const gsize sizes[] = { 0, 1, 4095, 4096, 4097, 1000000 };
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    GstBuffer *buffer = gst_buffer_new ();

    /* In up to four pieces. */
    for (j = 0; j < 4; j++) {
      gsize size = sizes[i] * (j + 1) / 4 - sizes[i] * j / 4;
      guint8 *data;

      if (size == 0)
        continue;
      data = g_malloc (size);
      memset (data, 'a' + i + j, size);
      g_checksum_update (sent, data, size);
      gst_buffer_append_memory (buffer, gst_memory_new_wrapped (0, data, size,
              0, size, data, g_free));
    }
    GST_BUFFER_PTS (buffer) = i;
    g_assert_cmpint (gst_harness_push (harness, buffer), ==, GST_FLOW_OK);
  }
}

static void
test_odd_buffers (void)
{
  g_autofree char *path = pipe_socket_path ();
  GstElement *sink = gst_element_factory_make ("mmapsink", NULL);
  g_autoptr (GChecksum) sent = g_checksum_new (G_CHECKSUM_SHA256);
  g_autoptr (GChecksum) got = g_checksum_new (G_CHECKSUM_SHA256);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false", path);
  GstHarness *harness;
  guint i;

  g_object_set (sink, "socket-path", path, "sync", FALSE, NULL);
  harness = gst_harness_new_with_element (sink, "sink", NULL);
  /* Else frames are dropped for a consumer that is slow. */
  gst_harness_set_live (harness, FALSE);
  gst_harness_set_src_caps_str (harness, "application/octet-stream");
  consumer->hold = TRUE;
  pipe_play (consumer);
  push_odd_buffers (harness, sent);
  gst_harness_push_event (harness, gst_event_new_eos ());
  pipe_wait_eos (consumer);

  g_assert_cmpuint (consumer->held->len, ==, 6);
  for (i = 0; i < consumer->held->len; i++) {
    GstBuffer *buffer = g_ptr_array_index (consumer->held, i);
    GstMapInfo map;

    g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, i);
    g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
    g_checksum_update (got, map.data, map.size);
    gst_buffer_unmap (buffer, &map);
  }
  g_assert_cmpstr (g_checksum_get_string (sent), ==,
      g_checksum_get_string (got));
  gst_harness_teardown (harness);
  gst_object_unref (sink);
  pipe_free (consumer);
}

static GstMemory *
plane_new (gsize size, guint seed)
{
  guint8 *data = g_malloc (size);
  gsize i;

  for (i = 0; i < size; i++)
    data[i] = seed + i * 7 / 3 + i / 4096;
  return gst_memory_new_wrapped (0, data, size, 0, size, data, g_free);
}

/* Each plane in a memory of its own, of which one is copied past the caches: odd sizes, so that none begins at a line. */
static void
test_planes (void)
{
  g_autofree char *path = pipe_socket_path ();
  GstElement *sink = gst_element_factory_make ("mmapsink", NULL);
  GstCaps *caps = gst_caps_from_string ("video/x-raw,format=Y42B,width=3844,"
      "height=2161,framerate=30/1");
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false", path);
  GstBuffer *buffer = gst_buffer_new (), *whole;
  g_autofree char *hash = NULL;
  GstHarness *harness;
  GstVideoInfo info;
  guint i;

  g_assert_true (gst_video_info_from_caps (&info, caps));
  for (i = 0; i < 3; i++)
    gst_buffer_append_memory (buffer,
        plane_new (GST_VIDEO_INFO_PLANE_STRIDE (&info, i) * 2161, i * 50 + 1));
  g_assert_cmpuint (gst_buffer_get_size (buffer), ==,
      GST_VIDEO_INFO_SIZE (&info));
  /* Mapped as a whole, a buffer of ours alone would keep the one memory that its three are merged into. */
  whole = gst_buffer_ref (buffer);
  hash = pipe_hash (whole, caps);
  gst_buffer_unref (whole);
  g_assert_cmpuint (gst_buffer_n_memory (buffer), ==, 3);

  g_object_set (sink, "socket-path", path, "sync", FALSE, NULL);
  harness = gst_harness_new_with_element (sink, "sink", NULL);
  /* Else frames are dropped for a consumer that is slow. */
  gst_harness_set_live (harness, FALSE);
  gst_harness_set_src_caps (harness, caps);
  pipe_play (consumer);
  for (i = 0; i < 3; i++)
    g_assert_cmpint (gst_harness_push (harness, gst_buffer_ref (buffer)), ==,
        GST_FLOW_OK);
  pipe_wait_frames (consumer, 3);
  for (i = 0; i < 3; i++)
    g_assert_cmpstr (pipe_get_frame (consumer, i)->pixels, ==, hash);
  gst_buffer_unref (buffer);
  gst_harness_teardown (harness);
  gst_object_unref (sink);
  pipe_free (consumer);
}

/* One memory of a frame can't be mapped: an error, not a frame without it. */
static void
test_unreadable_memory (void)
{
  g_autofree char *path = pipe_socket_path ();
  GstElement *sink = gst_element_factory_make ("mmapsink", NULL);
  GstBuffer *buffer = gst_buffer_new ();
  GstMemory *memory = plane_new (1000, 1);
  GstBus *bus = gst_bus_new ();
  g_autoptr (GError) error = NULL;
  GstMessage *message;
  GstHarness *harness;
  GstMapInfo map;

  g_object_set (sink, "socket-path", path, "sync", FALSE,
      "wait-for-connection", FALSE, NULL);
  harness = gst_harness_new_with_element (sink, "sink", NULL);
  /* Else frames are dropped for a consumer that is slow. */
  gst_harness_set_live (harness, FALSE);
  gst_element_set_bus (sink, bus);
  gst_harness_set_src_caps_str (harness, "application/octet-stream");
  gst_buffer_append_memory (buffer, plane_new (1000, 0));
  gst_buffer_append_memory (buffer, memory);
  /* Who writes it keeps others from reading it. */
  g_assert_true (gst_memory_map (memory, &map, GST_MAP_WRITE));
  g_assert_cmpint (gst_harness_push (harness, gst_buffer_ref (buffer)), ==,
      GST_FLOW_ERROR);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ);
  gst_message_unref (message);

  /* Its block is free again. */
  gst_memory_unmap (memory, &map);
  g_assert_cmpint (gst_harness_push (harness, buffer), ==, GST_FLOW_OK);
  gst_element_set_bus (sink, NULL);
  gst_object_unref (bus);
  gst_harness_teardown (harness);
  gst_object_unref (sink);
}

/* A frame larger than the region of other frames, and than any default. */
static void
test_frame_of_300_mb (void)
{
  g_autofree char *path = pipe_socket_path ();
  gsize size = 300 * 1000 * 1000;
  Pipe *producer = pipe_new ("fakesrc num-buffers=3 sizetype=fixed "
      "sizemax=%" G_GSIZE_FORMAT " filltype=pattern ! "
      "mmapsink name=sink socket-path=%s sync=false", size, path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false", path);
  g_autofree guint8 *expected = g_malloc (size);
  g_autofree char *hash = NULL;
  gsize i;

  for (i = 0; i < size; i++)
    expected[i] = i;
  hash = g_compute_checksum_for_data (G_CHECKSUM_SHA256, expected, size);
  pipe_play (consumer);
  pipe_play (producer);
  pipe_wait_eos (consumer);
  g_assert_cmpuint (consumer->frames->len, ==, 3);
  g_assert_cmpstr (pipe_get_frame (consumer, 2)->pixels, ==, hash);
  pipe_free (producer);
  pipe_free (consumer);
}

/* Upstream's own strides and offsets arrive as they are. */
static void
test_padded_strides (void)
{
  g_autofree char *path = pipe_socket_path ();
  GstElement *sink = gst_element_factory_make ("mmapsink", NULL);
  GstCaps *caps = gst_caps_from_string ("video/x-raw,format=I420,width=100,"
      "height=50,framerate=30/1");
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false", path);
  gsize offset[4] = { 64, 64 + 160 * 60, 64 + 160 * 60 + 96 * 30, 0 };
  gint stride[4] = { 160, 96, 96, 0 };
  gsize size = offset[2] + 96 * 30;
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);
  g_autofree char *hash = NULL;
  GstHarness *harness;
  GstVideoMeta *meta;
  GstMapInfo map;
  gsize i;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (i = 0; i < map.size; i++)
    map.data[i] = i * 7 / 3;
  gst_buffer_unmap (buffer, &map);
  gst_buffer_add_video_meta_full (buffer, 0, GST_VIDEO_FORMAT_I420, 100, 50, 3,
      offset, stride);
  hash = pipe_hash (buffer, caps);

  g_object_set (sink, "socket-path", path, "sync", FALSE, NULL);
  harness = gst_harness_new_with_element (sink, "sink", NULL);
  /* Else frames are dropped for a consumer that is slow. */
  gst_harness_set_live (harness, FALSE);
  gst_harness_set_src_caps (harness, gst_caps_ref (caps));
  consumer->hold = TRUE;
  pipe_play (consumer);
  g_assert_cmpint (gst_harness_push (harness, buffer), ==, GST_FLOW_OK);
  pipe_wait_frames (consumer, 1);
  g_assert_cmpstr (pipe_get_frame (consumer, 0)->pixels, ==, hash);
  meta = gst_buffer_get_video_meta (g_ptr_array_index (consumer->held, 0));
  /* fakesink doesn't ask for GstVideoMeta: what it got has the layout of the caps. */
  g_assert_true (!meta || meta->stride[0] == 100);
  gst_caps_unref (caps);
  gst_harness_teardown (harness);
  gst_object_unref (sink);
  pipe_free (consumer);
}

/* Upstream asks for an alignment: the pool gives it, and nothing is copied. */
static void
test_pool_alignment (void)
{
  g_autofree char *path = pipe_socket_path ();
  GstElement *sink = gst_element_factory_make ("mmapsink", NULL);
  GstCaps *caps = gst_caps_from_string ("video/x-raw,format=NV12,width=321,"
      "height=201,framerate=30/1");
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false", path);
  GstVideoAlignment align = { 16, 8, 32, 4, {63, 63, 63, 63} };
  GstBufferPool *pool = NULL;
  GstStructure *config, *stats;
  GstHarness *harness;
  GstQuery *query;
  GstVideoMeta *meta;
  GstBuffer *buffer;
  guint64 copied;
  guint size, i;

  g_object_set (sink, "socket-path", path, "sync", FALSE, NULL);
  harness = gst_harness_new_with_element (sink, "sink", NULL);
  /* Else frames are dropped for a consumer that is slow. */
  gst_harness_set_live (harness, FALSE);
  gst_harness_set_src_caps (harness, gst_caps_ref (caps));
  query = gst_query_new_allocation (caps, TRUE);
  g_assert_true (gst_pad_peer_query (harness->srcpad, query));
  g_assert_true (gst_query_find_allocation_meta (query,
          GST_VIDEO_META_API_TYPE, NULL));
  gst_query_parse_nth_allocation_pool (query, 0, &pool, &size, NULL, NULL);
  g_assert_nonnull (pool);
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, size, 2, 0);
  gst_buffer_pool_config_add_option (config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  gst_buffer_pool_config_add_option (config,
      GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
  gst_buffer_pool_config_set_video_alignment (config, &align);
  g_assert_true (gst_buffer_pool_set_config (pool, config));
  g_assert_true (gst_buffer_pool_set_active (pool, TRUE));

  pipe_play (consumer);
  for (i = 0; i < 50; i++) {
    g_assert_cmpint (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL), ==,
        GST_FLOW_OK);
    meta = gst_buffer_get_video_meta (buffer);
    g_assert_nonnull (meta);
    g_assert_cmpint (meta->stride[0] % 64, ==, 0);
    g_assert_cmpint (meta->stride[0], >=, 321 + 32 + 4);
    g_assert_cmpuint (meta->offset[0], >=, 16 * meta->stride[0] + 32);
    gst_buffer_memset (buffer, 0, i, -1);
    g_assert_cmpint (gst_harness_push (harness, buffer), ==, GST_FLOW_OK);
  }
  pipe_wait_frames (consumer, 50);
  g_object_get (sink, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint64 (stats, "copied", &copied));
  g_assert_cmpuint (copied, ==, 0);
  gst_structure_free (stats);
  gst_buffer_pool_set_active (pool, FALSE);
  gst_object_unref (pool);
  gst_query_unref (query);
  gst_caps_unref (caps);
  gst_harness_teardown (harness);
  gst_object_unref (sink);
  pipe_free (consumer);
}

/* The region is replaced by a larger one while frames of the old one are still held. */
static void
test_caps_change (void)
{
  g_autofree char *path = pipe_socket_path ();
  const char *description = "videotestsrc num-buffers=3 pattern=snow ! "
      "video/x-raw,width=64,height=48,format=I420 ! c.  "
      "videotestsrc num-buffers=3 pattern=snow ! "
      "video/x-raw,width=1920,height=1080,format=RGBA ! c. "
      "videotestsrc num-buffers=3 pattern=snow ! "
      "video/x-raw,width=320,height=200,format=NV12 ! c. concat name=c";
  Pipe *reference = pipe_new ("%s ! fakesink name=out sync=false", description);
  Pipe *producer = pipe_new ("%s ! mmapsink name=sink sync=false "
      "socket-path=%s", description, path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! "
      "fakesink name=out sync=false", path);
  guint i;

  pipe_play (reference);
  pipe_wait_eos (reference);
  consumer->hold = TRUE;
  pipe_play (consumer);
  pipe_play (producer);
  pipe_wait_eos (consumer);
  pipe_assert_same (reference, consumer);
  pipe_free (producer);
  /* Long after the producer has gone: every byte is still there. */
  for (i = 0; i < consumer->held->len; i++) {
    PipeFrame *frame = pipe_get_frame (consumer, i);
    GstCaps *caps = gst_caps_from_string (frame->caps);
    g_autofree char *hash =
        pipe_hash (g_ptr_array_index (consumer->held, i), caps);

    g_assert_cmpstr (hash, ==, frame->pixels);
    gst_caps_unref (caps);
  }
  pipe_free (consumer);
  pipe_free (reference);
}

static void
assert_start_fails (Pipe * pipe, GQuark domain, gint code, const char *text)
{
  g_autoptr (GError) error = NULL;

  gst_element_set_state (pipe->pipeline, GST_STATE_PLAYING);
  error = pipe_wait_error (pipe);
  g_assert_error (error, domain, code);
  if (!strstr (error->message, text))
    g_error ("'%s' doesn't say '%s'", error->message, text);
  pipe_free (pipe);
}

#define SOURCE "videotestsrc num-buffers=5 ! " \
  "video/x-raw,format=I420,width=640,height=480 ! "

static void
test_start_errors (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *first = pipe_new (SOURCE "mmapsink socket-path=%s", path);

  pipe_play (first);
  assert_start_fails (pipe_new (SOURCE "mmapsink socket-path=%s", path),
      GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY, "in use");
  pipe_free (first);
  assert_gone (path);

  assert_start_fails (pipe_new (SOURCE
          "mmapsink socket-path=/nonexistent/cam0"), GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_NOT_FOUND, "/nonexistent");
  assert_start_fails (pipe_new (SOURCE "mmapsink socket-path=%s "
          "file=/nonexistent/region", path), GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_NOT_FOUND, "/nonexistent");
  assert_start_fails (pipe_new (SOURCE "mmapsink socket-path=%s size=100000",
          path), GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
      "460800");
  assert_start_fails (pipe_new (SOURCE "mmapsink socket-path=%s size=100000",
          path), GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
      "size=100000");
  assert_start_fails (pipe_new (SOURCE "mmapsink socket-path=%s size=5", path),
      GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT, "5");
  assert_start_fails (pipe_new (SOURCE "mmapsink socket-path=%s "
          "file=/etc/passwd", path), GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_SETTINGS, "/etc/passwd");
  assert_gone (path);
}

/* The first frame does not fit: the state change fails, and NULL is reached from READY. Nothing of the stream stays. */
static void
test_failed_preroll (void)
{
  g_autofree char *path = pipe_socket_path ();
  GstElement *sink = gst_element_factory_make ("mmapsink", NULL);
  GstHarness *harness;

  g_object_set (sink, "socket-path", path, "size", (guint64) 100000, NULL);
  harness = gst_harness_new_with_element (sink, "sink", NULL);
  /* Else frames are dropped for a consumer that is slow. */
  gst_harness_set_live (harness, FALSE);
  /* The harness plays, and without async state changes. */
  gst_element_set_state (sink, GST_STATE_NULL);
  g_object_set (sink, "async", TRUE, NULL);
  gst_element_set_state (sink, GST_STATE_PAUSED);
  gst_harness_set_src_caps_str (harness, "video/x-raw, format=I420, "
      "width=640, height=480, framerate=30/1");
  g_assert_cmpint (gst_harness_push (harness,
          gst_buffer_new_allocate (NULL, 460800, NULL)), ==, GST_FLOW_ERROR);
  g_assert_cmpint (gst_element_get_state (sink, NULL, NULL, 0), ==,
      GST_STATE_CHANGE_FAILURE);
  gst_harness_teardown (harness);
  gst_object_unref (sink);
  assert_gone (path);
}

static void
test_file_region (void)
{
  g_autofree char *path = pipe_socket_path ();
  g_autofree char *file = leak_check_path ("region");
  Pipe *producer = pipe_new (SOURCE "mmapsink name=sink sync=false "
      "socket-path=%s file=%s size=8000000", path, file);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", path);
  g_autoptr (GstCaps) caps = NULL;
  GstStructure *structure;
  struct stat st;
  guint token_bytes, offered_bytes;
  guint64 size;

  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  g_assert_cmpuint (consumer->frames->len, ==, 5);
  g_assert_cmpint (stat (file, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0600);
  g_object_get (pipe_get (consumer, "src"), "capabilities", &caps, NULL);
  structure = gst_caps_get_structure (caps, 0);
  g_assert_true (gst_structure_has_name (structure, "application/x-mmap"));
  g_assert_cmpstr (gst_structure_get_string (structure, "file"), ==, file);
  g_assert_true (gst_structure_get_uint64 (structure, "size", &size));
  g_assert_cmpuint (size, ==, st.st_size);
  g_assert_true (gst_structure_get_uint (structure, "token-bytes",
          &token_bytes));
  g_clear_pointer (&caps, gst_caps_unref);
  g_object_get (pipe_get (producer, "sink"), "capabilities", &caps, NULL);
  structure = gst_caps_get_structure (caps, 0);
  g_assert_cmpstr (gst_structure_get_string (structure, "file"), ==, file);
  g_assert_true (gst_structure_get_uint (structure, "token-bytes",
          &offered_bytes));
  g_assert_cmpuint (token_bytes, ==, offered_bytes);
  pipe_free (producer);
  pipe_free (consumer);
  assert_gone (path);
  assert_gone (file);
}

#define LARGE_SOURCE(n) "videotestsrc num-buffers=" #n " pattern=snow ! " \
  "video/x-raw,format=I420,width=1920,height=1080 ! "

/* While there is memory for one frame only, that is enough for the consumer to have it. The others wait for memory, and come without
 * a copy. */
static void
test_first_frame_before_all (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *reference = pipe_new (LARGE_SOURCE (40) "fakesink name=out sync=false");
  Pipe *producer = pipe_new (LARGE_SOURCE (40)
      "mmapsink name=sink sync=false socket-path=%s", path);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", path);

  pipe_play (reference);
  pipe_wait_eos (reference);
  slow_memory_set (MEMORY_COMES_ONCE);
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 1);
  slow_memory_set (MEMORY_IS_SLOW);
  pipe_wait_eos (consumer);
  pipe_assert_same (reference, consumer);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "copied"), ==, 0);
  slow_memory_set (MEMORY_COMES);
  pipe_free (producer);
  pipe_free (consumer);
  pipe_free (reference);
}

/* In PAUSED, too: upstream goes on to fill a queue. */
static void
test_waits_for_memory_in_paused (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (LARGE_SOURCE (10) "queue name=queue "
      "max-size-bytes=0 ! mmapsink name=sink sync=false socket-path=%s", path);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", path);
  guint level = 0;

  slow_memory_set (MEMORY_IS_SLOW);
  pipe_set_state (producer, GST_STATE_PAUSED);
  while (level < 9) {
    g_usleep (1000);
    g_object_get (pipe_get (producer, "queue"), "current-level-buffers", &level,
        NULL);
  }
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "copied"), ==, 0);
  slow_memory_set (MEMORY_COMES);
  pipe_free (producer);
  pipe_free (consumer);
}

/* In any state it can be stopped while it waits for memory. */
static void
test_stops_while_reserving (void)
{
  g_autofree char *path = pipe_socket_path ();
  guint i;

  slow_memory_set (MEMORY_IS_SLOW);
  for (i = 0; i < 12; i++) {
    Pipe *producer = pipe_new (LARGE_SOURCE (100) "queue ! "
        "mmapsink name=sink sync=false wait-for-connection=false "
        "socket-path=%s", path);

    if (i % 3 == 0)
      pipe_set_state (producer, GST_STATE_PAUSED);
    else if (i % 3 == 1)
      pipe_set_state (producer, GST_STATE_PLAYING);
    else
      pipe_play (producer);
    pipe_free (producer);
    assert_gone (path);
  }
  slow_memory_set (MEMORY_COMES);
}

/* Memory that does not come later is an error as if it had not come at first, and nobody waits for it. */
static void
test_memory_fails (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (LARGE_SOURCE (1000)
      "mmapsink name=sink sync=false socket-path=%s", path);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", path);
  g_autoptr (GError) error = NULL;

  slow_memory_set (MEMORY_COMES_ONCE);
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 1);
  slow_memory_set (MEMORY_FAILS);
  /* The first message says what is wrong. */
  error = pipe_wait_error (producer);
  g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
  g_assert_cmpstr (error->message, ==, "No memory comes any more.");
  /* Then the stream ends with a message of the source's. */
  g_clear_error (&error);
  error = pipe_wait_error (producer);
  g_assert_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED);
  slow_memory_set (MEMORY_COMES);
  pipe_free (producer);
  pipe_free (consumer);
}

static void
test_does_not_wait (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (SOURCE "mmapsink name=sink sync=false "
      "socket-path=%s wait-for-connection=false", path);

  pipe_play (producer);
  pipe_wait_eos (producer);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "frames"), ==, 5);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "unsent"), ==, 5);
  pipe_free (producer);
}

/* The end is kept for who comes late, and no frame before is made up. */
static void
test_late_consumer_gets_eos (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (SOURCE "mmapsink name=sink sync=false "
      "socket-path=%s wait-for-connection=false", path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! "
      "fakesink name=out sync=false", path);

  pipe_play (producer);
  pipe_wait_eos (producer);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  g_assert_cmpuint (consumer->frames->len, ==, 0);
  pipe_free (consumer);
  pipe_free (producer);
}

static void
test_ten_consumers_in_turn (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! video/x-raw,width=64,height=48 ! "
      "mmapsink name=sink sync=false socket-path=%s", path);
  guint i;

  pipe_play (producer);
  for (i = 0; i < 10; i++) {
    Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! "
        "fakesink name=out sync=false", path);

    pipe_play (consumer);
    pipe_wait_frames (consumer, 30);
    pipe_wait_uint (producer, "sink", "num-clients", 1);
    pipe_free (consumer);
    pipe_wait_uint (producer, "sink", "num-clients", 0);
  }
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "links"), ==, 10);
  pipe_free (producer);
}

/* A non-live stream that had to wait for its consumer goes on at its own speed, not in a hurry. */
static void
test_wait_moves_stream (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc num-buffers=10 ! "
      "video/x-raw,width=64,height=48,framerate=50/1 ! "
      "mmapsink name=sink socket-path=%s", path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! "
      "fakesink name=out sync=true", path);
  gint64 offset;
  guint i;

  pipe_play (producer);
  /* Its clock runs. */
  pipe_set_state (producer, GST_STATE_PLAYING);
  g_usleep (300000);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  g_object_get (pipe_get (producer, "sink"), "ts-offset", &offset, NULL);
  g_assert_cmpint (offset, >=, 250 * GST_MSECOND);
  /* Each frame is in the consumer's future or present, at the same distance as in the producer. */
  for (i = 1; i < 10; i++)
    g_assert_cmpint (GST_CLOCK_DIFF (pipe_get_frame (consumer,
                i - 1)->running_time, pipe_get_frame (consumer,
                i)->running_time), ==, 20 * GST_MSECOND);
  pipe_free (consumer);
  pipe_free (producer);
}

/* A frame that waits for a consumer goes on when it need not wait any more. */
static void
test_stops_waiting_for_connection (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new (SOURCE "mmapsink name=sink sync=false "
      "socket-path=%s", path);

  pipe_set_state (producer, GST_STATE_PLAYING);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "frames"), ==, 0);
  g_object_set (pipe_get (producer, "sink"), "wait-for-connection", FALSE,
      NULL);
  pipe_wait_eos (producer);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "unsent"), ==, 5);
  pipe_free (producer);
}

/* One frame is written once, whatever the number of consumers, and each gets every one. */
static void
test_several_consumers (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc num-buffers=300 pattern=snow ! "
      "video/x-raw,width=64,height=48,format=RGB ! tee name=t ! queue ! "
      "fakesink name=out sync=false t. ! queue ! "
      "mmapsink name=sink sync=false socket-path=%s", path);
  Pipe *consumers[8];
  guint i;

  pipe_set_state (producer, GST_STATE_PAUSED);
  for (i = 0; i < G_N_ELEMENTS (consumers); i++) {
    consumers[i] = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
        "sync=false", path);
    pipe_play (consumers[i]);
  }
  pipe_wait_uint (producer, "sink", "num-clients", 8);
  pipe_play (producer);
  /* Its other branch may be slower than the consumers. */
  pipe_wait_eos (producer);
  for (i = 0; i < G_N_ELEMENTS (consumers); i++) {
    pipe_wait_eos (consumers[i]);
    pipe_assert_same (producer, consumers[i]);
    pipe_free (consumers[i]);
  }
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "frames"), ==, 300);
  pipe_free (producer);
}

/* However long both sides look before they sleep, the frames are the same; and it can be changed as they flow. */
static void
test_spin_time (void)
{
  static const gint64 times[] = { -1, 0, 1000, 5000000 };
  const char *description = "videotestsrc num-buffers=60 pattern=snow ! "
      "video/x-raw,width=320,height=240,format=I420";
  Pipe *reference = pipe_new ("%s ! fakesink name=out sync=false", description);
  guint i;

  pipe_play (reference);
  pipe_wait_eos (reference);
  for (i = 0; i < G_N_ELEMENTS (times); i++) {
    g_autofree char *path = pipe_socket_path ();
    Pipe *producer =
        pipe_new ("%s ! mmapsink name=sink sync=false size=2000000 "
        "socket-path=%s spin-time=%" G_GINT64_FORMAT, description, path,
        times[i]);
    Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s spin-time=%"
        G_GINT64_FORMAT " ! fakesink name=out sync=false", path, times[i]);
    g_autoptr (GstElement) src =
        gst_bin_get_by_name (GST_BIN (consumer->pipeline), "src");
    gint64 time;

    pipe_set_state (producer, GST_STATE_PLAYING);
    pipe_play (consumer);
    g_object_get (src, "spin-time", &time, NULL);
    g_assert_cmpint (time, ==, times[i]);
    g_object_set (src, "spin-time", times[(i + 1) % G_N_ELEMENTS (times)],
        NULL);
    pipe_wait_eos (consumer);
    pipe_assert_same (reference, consumer);
    pipe_free (consumer);
    pipe_free (producer);
  }
  pipe_free (reference);
}

/* Upstream keeps the buffers of the old region's pool in a queue while the region grows. */
static void
test_growth_with_full_queue (void)
{
  g_autofree char *path = pipe_socket_path ();
  const char *description = "videotestsrc num-buffers=50 pattern=snow ! "
      "video/x-raw,width=320,height=240,format=I420 ! c.  "
      "videotestsrc num-buffers=50 pattern=snow ! "
      "video/x-raw,width=1280,height=720,format=RGBA ! c. concat name=c ! "
      "queue max-size-buffers=200 max-size-bytes=0 max-size-time=0";
  Pipe *reference = pipe_new ("%s ! fakesink name=out sync=false", description);
  Pipe *producer = pipe_new ("%s ! mmapsink name=sink sync=false "
      "socket-path=%s", description, path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! "
      "fakesink name=out sync=false", path);

  pipe_play (reference);
  pipe_wait_eos (reference);
  /* The queue fills up, until the pool is empty, before there is a consumer. */
  pipe_set_state (producer, GST_STATE_PLAYING);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  pipe_assert_same (reference, consumer);
  pipe_free (consumer);
  pipe_free (producer);
  pipe_free (reference);
}

typedef struct
{
  Pipe *pipe;
  guint64 parity;               /* of the offsets of buffers that are kept */
  GPtrArray *kept;
} Keeper;

static GstPadProbeReturn
keep_buffer (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  Keeper *keeper = data;

  if (GST_BUFFER_OFFSET (buffer) % 2 == keeper->parity)
    g_ptr_array_add (keeper->kept, gst_buffer_ref (buffer));
  return GST_PAD_PROBE_OK;
}

static void
keeper_init (Keeper * keeper, const char *path, guint64 parity)
{
  g_autoptr (GstPad) pad = NULL;

  keeper->pipe = pipe_new ("mmapsrc socket-path=%s ! "
      "fakesink name=out sync=false", path);
  keeper->parity = parity;
  keeper->kept = g_ptr_array_new_with_free_func ((GDestroyNotify)
      gst_buffer_unref);
  pad = gst_element_get_static_pad (pipe_get (keeper->pipe, "out"), "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, keep_buffer, keeper, NULL);
  pipe_play (keeper->pipe);
}

static void
keeper_clear (Keeper * keeper)
{
  g_ptr_array_unref (keeper->kept);
  pipe_free (keeper->pipe);
}

/* Two consumers keep what there was, each its half, and could not know that larger frames come. These fit into the region, but not beside those. */
static void
check_growth_while_kept (const char *file)
{
  g_autofree char *path = pipe_socket_path ();
  const char *description = "videotestsrc num-buffers=100 pattern=snow ! "
      "video/x-raw,width=160,height=120,format=I420 ! c.  "
      "videotestsrc num-buffers=5 pattern=snow ! "
      "video/x-raw,width=320,height=240,format=I420 ! c. concat name=c";
  Pipe *reference = pipe_new ("%s ! fakesink name=out sync=false", description);
  Pipe *producer = pipe_new ("%s ! mmapsink name=sink sync=false "
      "leaky-type=none socket-path=%s %s", description, path, file);
  Keeper keepers[2];
  guint i;

  pipe_play (reference);
  pipe_wait_eos (reference);
  pipe_set_state (producer, GST_STATE_PAUSED);
  for (i = 0; i < G_N_ELEMENTS (keepers); i++)
    keeper_init (&keepers[i], path, i);
  pipe_wait_uint (producer, "sink", "num-clients", G_N_ELEMENTS (keepers));
  pipe_play (producer);
  for (i = 0; i < G_N_ELEMENTS (keepers); i++) {
    pipe_wait_eos (keepers[i].pipe);
    pipe_assert_same (reference, keepers[i].pipe);
    keeper_clear (&keepers[i]);
  }
  pipe_free (producer);
  pipe_free (reference);
}

static void
test_growth_while_kept (void)
{
  g_autofree char *path = leak_check_path ("growth");
  g_autofree char *file = g_strdup_printf ("file=%s", path);

  check_growth_while_kept ("");
  check_growth_while_kept (file);
}

/* A consumer that pauses holds the producer up, and misses nothing. */
static void
test_consumer_pauses (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc num-buffers=500 ! "
      "video/x-raw,width=64,height=48 ! "
      "mmapsink name=sink sync=false socket-path=%s", path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! "
      "fakesink name=out async=false sync=false", path);
  guint i;

  pipe_play (producer);
  for (i = 0; i < 10; i++) {
    pipe_set_state (consumer, GST_STATE_PLAYING);
    pipe_wait_frames (consumer, i * 20 + 1);
    pipe_set_state (consumer, GST_STATE_PAUSED);
  }
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  g_assert_cmpuint (consumer->frames->len, ==, 500);
  for (i = 0; i < 500; i++)
    g_assert_cmpuint (pipe_get_frame (consumer, i)->offset, ==, i);
  pipe_free (consumer);
  pipe_free (producer);
}

/* Upstream keeps all that the pool has, as a decoder keeps references, and the viewer keeps its last frame: there is always a block to
 * copy into. */
static void
test_everybody_keeps_frames (void)
{
  g_autofree char *path = pipe_socket_path ();
  GstElement *sink = gst_element_factory_make ("mmapsink", NULL);
  GstCaps *caps = gst_caps_from_string ("video/x-raw,format=I420,width=640,"
      "height=480,framerate=30/1");
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "enable-last-sample=true sync=false", path);
  g_autoptr (GPtrArray) kept =
      g_ptr_array_new_with_free_func ((GDestroyNotify) gst_buffer_unref);
  GstBufferPool *pool = NULL;
  GstBuffer *buffer = NULL;
  GstStructure *config;
  GstHarness *harness;
  GstQuery *query;
  guint size, i;

  g_object_set (sink, "socket-path", path, "sync", FALSE, "size",
      (guint64) 4000000, NULL);
  harness = gst_harness_new_with_element (sink, "sink", NULL);
  /* Else frames are dropped for a consumer that is slow. */
  gst_harness_set_live (harness, FALSE);
  gst_harness_set_src_caps (harness, gst_caps_ref (caps));
  query = gst_query_new_allocation (caps, TRUE);
  g_assert_true (gst_pad_peer_query (harness->srcpad, query));
  gst_query_parse_nth_allocation_pool (query, 0, &pool, &size, NULL, NULL);
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, size, 0, 0);
  g_assert_true (gst_buffer_pool_set_config (pool, config));
  g_assert_true (gst_buffer_pool_set_active (pool, TRUE));

  pipe_play (consumer);
  do {
    g_assert_cmpint (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL), ==,
        GST_FLOW_OK);
    g_ptr_array_add (kept, buffer);
  } while (gst_is_fd_memory (gst_buffer_peek_memory (buffer, 0)));
  g_assert_cmpuint (kept->len, >, 3);

  for (i = 0; i < 50; i++) {
    g_assert_cmpint (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL), ==,
        GST_FLOW_OK);
    gst_buffer_memset (buffer, 0, i, -1);
    g_assert_cmpint (gst_harness_push (harness, buffer), ==, GST_FLOW_OK);
    pipe_wait_frames (consumer, i + 1);
  }
  g_ptr_array_set_size (kept, 0);
  gst_buffer_pool_set_active (pool, FALSE);
  gst_object_unref (pool);
  gst_query_unref (query);
  gst_caps_unref (caps);
  gst_harness_teardown (harness);
  gst_object_unref (sink);
  pipe_free (consumer);
}

/* PAUSED is reached although the consumer, paused too, gives nothing back. */
static void
test_pauses_with_consumer (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! video/x-raw,width=64,height=48 ! "
      "mmapsink name=sink sync=false socket-path=%s", path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! "
      "fakesink name=out async=false sync=false", path);
  guint64 before, now;
  guint i;

  pipe_play (producer);
  pipe_play (consumer);
  for (i = 0; i < 5; i++) {
    pipe_wait_frames (consumer, 10 * (i + 1));
    pipe_set_state (consumer, GST_STATE_PAUSED);
    /* Until nothing moves any more. */
    do {
      before = pipe_get_stat (producer, "sink", "frames");
      g_usleep (20000);
      now = pipe_get_stat (producer, "sink", "frames");
    } while (now != before);
    pipe_set_state (producer, GST_STATE_PAUSED);
    pipe_set_state (producer, GST_STATE_PLAYING);
    pipe_play (consumer);
  }
  pipe_free (consumer);
  pipe_free (producer);
}

static void
test_garbage_on_the_socket (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! video/x-raw,width=64,height=48 ! "
      "mmapsink name=sink sync=false socket-path=%s", path);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! "
      "fakesink name=out sync=false", path);
  struct sockaddr_un address = { AF_UNIX, "" };
  g_autoptr (GstStructure) stats = NULL;
  GstStructure *failures = NULL;
  char answer[1000];
  guint64 count = 0;
  int fd;

  pipe_play (producer);
  pipe_set_state (producer, GST_STATE_PLAYING);
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &address, sizeof address),
      ==, 0);
  g_assert_cmpint (send (fd, "hello", 5, 0), ==, 5);
  /* The refusal, then the end. */
  g_assert_cmpint (recv (fd, answer, sizeof answer, 0), >, 0);
  g_assert_cmpint (recv (fd, answer, sizeof answer, 0), <=, 0);
  close (fd);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 10);
  g_object_get (pipe_get (producer, "sink"), "stats", &stats, NULL);
  gst_structure_get (stats, "handshake-failures", GST_TYPE_STRUCTURE, &failures,
      NULL);
  g_assert_true (gst_structure_get_uint64 (failures, "message", &count));
  g_assert_cmpuint (count, ==, 1);
  gst_structure_free (failures);
  pipe_free (consumer);
  pipe_free (producer);
}

static void
add_tests (void)
{
  leak_check_add_test ("/mmapsink/raw-video", test_raw_video);
  leak_check_add_test ("/mmapsink/huge-video", test_huge_video);
  leak_check_add_test ("/mmapsink/audio", test_audio);
  leak_check_add_test ("/mmapsink/encoded", test_encoded);
  leak_check_add_test ("/mmapsink/odd-buffers", test_odd_buffers);
  leak_check_add_test ("/mmapsink/planes", test_planes);
  leak_check_add_test ("/mmapsink/unreadable-memory", test_unreadable_memory);
  leak_check_add_test ("/mmapsink/frame-of-300-mb", test_frame_of_300_mb);
  leak_check_add_test ("/mmapsink/padded-strides", test_padded_strides);
  leak_check_add_test ("/mmapsink/pool-alignment", test_pool_alignment);
  leak_check_add_test ("/mmapsink/caps-change", test_caps_change);
  leak_check_add_test ("/mmapsink/start-errors", test_start_errors);
  leak_check_add_test ("/mmapsink/failed-preroll", test_failed_preroll);
  leak_check_add_test ("/mmapsink/file-region", test_file_region);
  leak_check_add_test ("/mmapsink/first-frame-before-all",
      test_first_frame_before_all);
  leak_check_add_test ("/mmapsink/waits-for-memory-in-paused",
      test_waits_for_memory_in_paused);
  leak_check_add_test ("/mmapsink/stops-while-reserving",
      test_stops_while_reserving);
  leak_check_add_test ("/mmapsink/memory-fails", test_memory_fails);
  leak_check_add_test ("/mmapsink/does-not-wait", test_does_not_wait);
  leak_check_add_test ("/mmapsink/late-consumer-gets-eos",
      test_late_consumer_gets_eos);
  leak_check_add_test ("/mmapsink/ten-consumers-in-turn",
      test_ten_consumers_in_turn);
  leak_check_add_test ("/mmapsink/wait-moves-stream", test_wait_moves_stream);
  leak_check_add_test ("/mmapsink/stops-waiting-for-connection",
      test_stops_waiting_for_connection);
  leak_check_add_test ("/mmapsink/several-consumers", test_several_consumers);
  leak_check_add_test ("/mmapsink/spin-time", test_spin_time);
  leak_check_add_test ("/mmapsink/growth-while-kept", test_growth_while_kept);
  leak_check_add_test ("/mmapsink/growth-with-full-queue",
      test_growth_with_full_queue);
  leak_check_add_test ("/mmapsink/consumer-pauses", test_consumer_pauses);
  leak_check_add_test ("/mmapsink/everybody-keeps-frames",
      test_everybody_keeps_frames);
  leak_check_add_test ("/mmapsink/pauses-with-consumer",
      test_pauses_with_consumer);
  leak_check_add_test ("/mmapsink/garbage-on-the-socket",
      test_garbage_on_the_socket);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
