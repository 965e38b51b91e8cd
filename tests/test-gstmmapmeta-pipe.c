/* gst-mmap: tests of metas that go from mmapsink to mmapsrc
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What bytes stand for which meta is in test-gstmmapmeta.c.
 */
#include "leak-check.h"
#include "metas.h"
#include "peers.h"
#include "pipe.h"

#include <gst/allocators/allocators.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include <string.h>

#define MB 1000000

/* A producer that is fed by hand, and a consumer that keeps what it gets. */
typedef struct
{
  char *path;
  GstElement *sink;
  GstHarness *harness;
  GstBus *bus;
  Pipe *consumer;
} Scene;

static void
scene_begin (Scene * scene, const char *caps, guint64 size)
{
  scene->path = pipe_socket_path ();
  scene->sink = gst_element_factory_make ("mmapsink", NULL);
  g_object_set (scene->sink, "socket-path", scene->path, "sync", FALSE, "size",
      size, NULL);
  scene->harness = gst_harness_new_with_element (scene->sink, "sink", NULL);
  /* Else frames are dropped for a consumer that is slow. */
  gst_harness_set_live (scene->harness, FALSE);
  scene->bus = gst_bus_new ();
  gst_element_set_bus (scene->sink, scene->bus);
  gst_harness_set_src_caps_str (scene->harness, caps);
  scene->consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", scene->path);
  scene->consumer->hold = TRUE;
  pipe_play (scene->consumer);
}

static void
scene_end (Scene * scene)
{
  gst_element_set_bus (scene->sink, NULL);
  gst_object_unref (scene->bus);
  gst_harness_teardown (scene->harness);
  gst_object_unref (scene->sink);
  pipe_free (scene->consumer);
  g_free (scene->path);
}

/* @buffer: (transfer full). Returns: (transfer none): what arrived */
static GstBuffer *
scene_send (Scene * scene, GstBuffer * buffer)
{
  GstBuffer *arrived;
  guint n;

  g_mutex_lock (&scene->consumer->lock);
  n = scene->consumer->held->len;
  g_mutex_unlock (&scene->consumer->lock);
  g_assert_cmpint (gst_harness_push (scene->harness, buffer), ==, GST_FLOW_OK);
  pipe_wait_frames (scene->consumer, n + 1);
  g_mutex_lock (&scene->consumer->lock);
  arrived = g_ptr_array_index (scene->consumer->held, n);
  g_mutex_unlock (&scene->consumer->lock);
  return arrived;
}

static guint64
sink_stat (GstElement * sink, const char *field)
{
  g_autoptr (GstStructure) stats = NULL;
  guint64 value;

  g_object_get (sink, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint64 (stats, field, &value));
  return value;
}

static void
test_each (void)
{
  guint i;

  for (i = 0; i < n_meta_cases; i++) {
    const MetaCase *meta = &meta_cases[i];
    GstBuffer *buffer = meta_case_buffer (meta), *arrived;
    Scene scene;

    g_test_message ("%s", meta->name);
    scene_begin (&scene, meta->caps, 0);
    meta->add (buffer);
    meta->check (scene_send (&scene, buffer));
    /* None is left over from the frame before. */
    arrived = scene_send (&scene, meta_case_buffer (meta));
    g_assert_false (meta_has_any (arrived));
    scene_end (&scene);
  }
}

/* --- in a pipeline --- */

typedef struct
{
  void (*add) (GstBuffer * buffer, guint i);
  guint n;
} Adding;

static GstPadProbeReturn
add_metas (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  Adding *adding = data;
  GstBuffer *buffer =
      gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER (info));

  adding->add (buffer, adding->n++);
  GST_PAD_PROBE_INFO_DATA (info) = buffer;
  return GST_PAD_PROBE_OK;
}

/* To what leaves the element named "source". */
static void
add_to_pipe (Pipe * pipe, Adding * adding)
{
  GstPad *pad = gst_element_get_static_pad (pipe_get (pipe, "source"), "src");

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, add_metas, adding, NULL);
  gst_object_unref (pad);
}

typedef struct
{
  void (*check) (GstBuffer * buffer, guint i);
  guint n;
} Checking;

static void
on_handoff (GstElement * out, GstBuffer * buffer, GstPad * pad, gpointer data)
{
  Checking *checking = data;

  checking->check (buffer, checking->n++);
}

static void
add_sparse (GstBuffer * buffer, guint i)
{
  GstCaps *caps = gst_caps_new_empty_simple ("timestamp/x-ntp");

  if (i % 3 == 0)
    gst_buffer_add_reference_timestamp_meta (buffer, caps, i, 1);
  gst_caps_unref (caps);
}

static void
check_sparse (GstBuffer * buffer, guint i)
{
  GstReferenceTimestampMeta *meta =
      gst_buffer_get_reference_timestamp_meta (buffer, NULL);

  g_assert_true ((meta != NULL) == (i % 3 == 0));
  g_assert_true (!meta || meta->timestamp == i);
}

/* @description: pushes into mmapsink, its properties included
 * @room: so much that nothing is copied */
static void
check_pipe (const char *description, void (*add) (GstBuffer *, guint),
    void (*check) (GstBuffer *, guint), guint n, gboolean room)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("%s socket-path=%s name=sink sync=false",
      description, path);
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", path);
  Checking checking = { check, 0 };
  Adding adding = { add, 0 };

  add_to_pipe (producer, &adding);
  g_signal_connect (pipe_get (consumer, "out"), "handoff",
      G_CALLBACK (on_handoff), &checking);
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  pipe_wait_eos (producer);
  g_assert_cmpuint (checking.n, ==, n);
  if (room) {
    g_assert_cmpuint (pipe_get_stat (producer, "sink", "copied"), ==, 0);
    g_assert_cmpuint (pipe_get_stat (consumer, "src", "copied"), ==, 0);
  }
  pipe_free (producer);
  pipe_free (consumer);
}

/* Buffers are used again on both sides: what one frame has doesn't stay. */
static void
test_sparse (void)
{
  check_pipe ("videotestsrc name=source num-buffers=300 ! "
      "video/x-raw,width=64,height=48 ! mmapsink", add_sparse, check_sparse,
      300, TRUE);
}

static GstStructure *
large_structure (guint i, gsize size)
{
  char *string = g_malloc (size + 1);
  GstStructure *structure;

  memset (string, 'a' + i % 20, size);
  string[size] = '\0';
  structure = gst_structure_new ("x", "i", G_TYPE_UINT, i, "s", G_TYPE_STRING,
      string, NULL);
  g_free (string);
  return structure;
}

static void
add_large (GstBuffer * buffer, guint i)
{
  meta_add_custom (buffer, "test-large-meta", large_structure (i, MB));
}

static void
check_large (GstBuffer * buffer, guint i)
{
  GstStructure *structure = meta_get_custom (buffer, "test-large-meta");
  g_autoptr (GstStructure) expected = large_structure (i, MB);

  g_assert_nonnull (structure);
  gst_structure_set_name (expected, "test-large-meta");
  g_assert_true (gst_structure_is_equal (structure, expected));
}

/* Far larger than the frame, and upstream keeps as many as it gets. */
static void
test_large_behind_queue (void)
{
  check_pipe ("videotestsrc name=source num-buffers=60 ! "
      "video/x-raw,width=320,height=240 ! queue max-size-buffers=0 "
      "max-size-bytes=0 max-size-time=0 ! mmapsink size=8000000", add_large,
      check_large, 60, FALSE);
}

/* The region is replaced by one that has room. */
static void
test_region_grows (void)
{
  guint64 before, after;
  GstCaps *offered;
  GstBuffer *buffer;
  Scene scene;
  guint i;

  scene_begin (&scene, "audio/x-raw, format=S16LE, rate=48000, channels=2, "
      "layout=interleaved, channel-mask=(bitmask)0x3", 0);
  scene_send (&scene, gst_buffer_new_allocate (NULL, 100, NULL));
  g_object_get (scene.sink, "capabilities", &offered, NULL);
  g_assert_true (gst_structure_get_uint64 (gst_caps_get_structure (offered, 0),
          "size", &before));
  gst_caps_unref (offered);
  for (i = 0; i < 20; i++) {
    buffer = gst_buffer_new_allocate (NULL, 100, NULL);
    meta_add_custom (buffer, "test-large-meta", large_structure (i, 5 * MB));
    buffer = scene_send (&scene, buffer);
    g_assert_cmpuint (strlen (gst_structure_get_string (meta_get_custom (buffer,
                    "test-large-meta"), "s")), ==, 5 * MB);
    g_ptr_array_set_size (scene.consumer->held, 0);
    g_mutex_lock (&scene.consumer->lock);
    g_ptr_array_set_size (scene.consumer->frames, 0);
    g_mutex_unlock (&scene.consumer->lock);
  }
  g_object_get (scene.sink, "capabilities", &offered, NULL);
  g_assert_true (gst_structure_get_uint64 (gst_caps_get_structure (offered, 0),
          "size", &after));
  gst_caps_unref (offered);
  g_assert_cmpuint (before, <, 20 * MB);
  g_assert_cmpuint (after, >, 20 * MB);
  scene_end (&scene);
}

static GError *
pop_message (Scene * scene, GstMessageType type)
{
  GstMessage *message = gst_bus_pop_filtered (scene->bus, type);
  GError *error = NULL;

  if (!message)
    return NULL;
  if (type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, NULL);
  else
    gst_message_parse_warning (message, &error, NULL);
  gst_message_unref (message);
  return error;
}

static void
test_region_too_small (void)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 100, NULL);
  g_autoptr (GError) error = NULL;
  Scene scene;

  scene_begin (&scene, "application/octet-stream", 500000);
  meta_add_custom (buffer, "test-large-meta", large_structure (0, MB));
  g_assert_cmpint (gst_harness_push (scene.harness, buffer), ==,
      GST_FLOW_ERROR);
  error = pop_message (&scene, GST_MESSAGE_ERROR);
  g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
  g_assert_nonnull (strstr (error->message, "metadata"));
  g_assert_nonnull (strstr (error->message, "size=500000"));
  scene_end (&scene);
}

/* A line for each type, not for each frame. */
static void
test_warns_once (void)
{
  GError *error;
  Scene scene;
  guint i;

  scene_begin (&scene, "application/octet-stream", 0);
  for (i = 0; i < 5; i++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, 100, NULL);

    if (i > 1)
      meta_add_custom (buffer, "test-lost-meta", gst_structure_new ("x", "a",
              G_TYPE_POINTER, &scene, NULL));
    meta_add_custom (buffer, "test-other-lost-meta", gst_structure_new ("x",
            "a", G_TYPE_POINTER, &scene, NULL));
    meta_add_custom (buffer, "test-custom-meta",
        gst_structure_new_empty ("test-custom-meta"));
    buffer = scene_send (&scene, buffer);
    g_assert_nonnull (meta_get_custom (buffer, "test-custom-meta"));
    g_assert_null (meta_get_custom (buffer, "test-lost-meta"));
  }
  error = pop_message (&scene, GST_MESSAGE_WARNING);
  g_assert_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_NOT_IMPLEMENTED);
  g_assert_nonnull (strstr (error->message, "test-other-lost-meta"));
  g_clear_error (&error);
  error = pop_message (&scene, GST_MESSAGE_WARNING);
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, " test-lost-meta"));
  g_clear_error (&error);
  g_assert_null (pop_message (&scene, GST_MESSAGE_WARNING));
  scene_end (&scene);
}

/* More than the producer can spare is kept: what is copied for that keeps its metas. */
static void
test_copied_when_held (void)
{
  GstBuffer *buffer;
  Scene scene;
  guint i;

  scene_begin (&scene, "application/octet-stream", 1000000);
  for (i = 0; i < 50; i++) {
    buffer = gst_buffer_new_allocate (NULL, 100000, NULL);
    add_sparse (buffer, i);
    check_sparse (scene_send (&scene, buffer), i);
  }
  g_assert_cmpuint (pipe_get_stat (scene.consumer, "src", "copied"), >, 20);
  scene_end (&scene);
}

/* Downstream doesn't know GstVideoMeta: the picture is copied, and what is said of it still holds. */
static void
test_copied_to_default_layout (void)
{
  gsize offset[4] = { 128, };
  gint stride[4] = { 160, };
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 128 + 160 * 60, NULL);
  GstVideoCropMeta *crop;
  Scene scene;
  guint i;

  scene_begin (&scene, META_VIDEO_CAPS, 0);
  gst_buffer_memset (buffer, 0, 1, -1);
  /* A picture that is larger than the caps say. */
  gst_buffer_add_video_meta_full (buffer, 0, GST_VIDEO_FORMAT_GRAY8, 100, 60, 1,
      offset, stride);
  for (i = 1; i < n_meta_cases; i++)
    if (strcmp (meta_cases[i].caps, META_VIDEO_CAPS) == 0
        && strcmp (meta_cases[i].name, "short-time-code") != 0)
      meta_cases[i].add (buffer);
  crop = gst_buffer_add_video_crop_meta (buffer);
  crop->x = 36;
  crop->y = 12;
  crop->width = 64;
  crop->height = 48;
  buffer = scene_send (&scene, buffer);
  g_assert_cmpuint (pipe_get_stat (scene.consumer, "src", "copied"), ==, 1);
  for (i = 1; i < n_meta_cases; i++)
    if (strcmp (meta_cases[i].caps, META_VIDEO_CAPS) == 0
        && strcmp (meta_cases[i].name, "short-time-code") != 0)
      meta_cases[i].check (buffer);
  /* There it would be outside. */
  g_assert_null (gst_buffer_get_video_crop_meta (buffer));
  g_assert_null (gst_buffer_get_video_meta (buffer));
  scene_end (&scene);
}

/* Upstream keeps all that the pool has, and the consumer its last frame: a copy finds room for its metas. */
static void
check_everybody_keeps (gsize size_of_metas)
{
  g_autoptr (GPtrArray) kept =
      g_ptr_array_new_with_free_func ((GDestroyNotify) gst_buffer_unref);
  GstCaps *caps = gst_caps_from_string ("video/x-raw,format=I420,width=640,"
      "height=480,framerate=30/1");
  GstBufferPool *pool = NULL;
  GstBuffer *buffer = NULL;
  GstStructure *config;
  GstQuery *query;
  Scene scene;
  guint size, i;

  scene_begin (&scene, "video/x-raw,format=I420,width=640,height=480,"
      "framerate=30/1", 4000000);
  buffer = gst_buffer_new_allocate (NULL, 460800, NULL);
  meta_add_custom (buffer, "test-large-meta",
      large_structure (0, size_of_metas));
  scene_send (&scene, buffer);
  query = gst_query_new_allocation (caps, TRUE);
  g_assert_true (gst_pad_peer_query (scene.harness->srcpad, query));
  gst_query_parse_nth_allocation_pool (query, 0, &pool, &size, NULL, NULL);
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, size, 0, 0);
  g_assert_true (gst_buffer_pool_set_config (pool, config));
  g_assert_true (gst_buffer_pool_set_active (pool, TRUE));
  do {
    g_assert_cmpint (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL), ==,
        GST_FLOW_OK);
    g_ptr_array_add (kept, buffer);
  } while (gst_is_fd_memory (gst_buffer_peek_memory (buffer, 0)));
  g_assert_cmpuint (kept->len, >, 2);

  for (i = 0; i < 30; i++) {
    buffer = gst_buffer_new_allocate (NULL, 460800, NULL);
    meta_add_custom (buffer, "test-large-meta",
        large_structure (i, size_of_metas));
    g_assert_nonnull (meta_get_custom (scene_send (&scene, buffer),
            "test-large-meta"));
  }
  g_ptr_array_set_size (kept, 0);
  gst_buffer_pool_set_active (pool, FALSE);
  gst_object_unref (pool);
  gst_query_unref (query);
  gst_caps_unref (caps);
  scene_end (&scene);
}

static void
test_everybody_keeps_frames (void)
{
  check_everybody_keeps (100);
  check_everybody_keeps (300000);
}

/* Frames that lie in the region already are not copied for their metas, and both blocks come back. */
static void
test_zero_copy (void)
{
  GstCaps *caps = gst_caps_from_string (META_VIDEO_CAPS);
  GstBufferPool *pool = NULL;
  GstStructure *config;
  GstBuffer *buffer;
  GstQuery *query;
  Scene scene;
  guint size, i, j;

  scene_begin (&scene, META_VIDEO_CAPS, 300000);
  query = gst_query_new_allocation (caps, TRUE);
  g_assert_true (gst_pad_peer_query (scene.harness->srcpad, query));
  gst_query_parse_nth_allocation_pool (query, 0, &pool, &size, NULL, NULL);
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, size, 0, 0);
  g_assert_true (gst_buffer_pool_set_config (pool, config));
  g_assert_true (gst_buffer_pool_set_active (pool, TRUE));
  for (i = 0; i < 300; i++) {
    g_assert_cmpint (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL), ==,
        GST_FLOW_OK);
    for (j = 0; j < n_meta_cases; j++)
      if (strcmp (meta_cases[j].caps, META_VIDEO_CAPS) == 0
          && strcmp (meta_cases[j].name, "short-time-code") != 0)
        meta_cases[j].add (buffer);
    buffer = scene_send (&scene, buffer);
    for (j = 0; j < n_meta_cases; j++)
      if (strcmp (meta_cases[j].caps, META_VIDEO_CAPS) == 0
          && strcmp (meta_cases[j].name, "short-time-code") != 0)
        meta_cases[j].check (buffer);
    /* The consumer keeps the last one only. */
    g_mutex_lock (&scene.consumer->lock);
    if (i > 0)
      gst_buffer_replace ((GstBuffer **)
          & g_ptr_array_index (scene.consumer->held, i - 1), NULL);
    g_mutex_unlock (&scene.consumer->lock);
  }
  g_assert_cmpuint (sink_stat (scene.sink, "copied"), ==, 0);
  for (i = 0; i < 299; i++)
    g_ptr_array_index (scene.consumer->held, i) = gst_buffer_new ();
  gst_buffer_pool_set_active (pool, FALSE);
  gst_object_unref (pool);
  gst_query_unref (query);
  gst_caps_unref (caps);
  scene_end (&scene);
}

/* --- a producer that breaks the rules --- */

static void
check_hostile (const char *bytes, gsize size)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out sync=false", path);
  g_autoptr (GError) error = NULL;
  MmapDescriptor descriptor;
  RawProducer raw;

  raw_producer_init (&raw, path);
  pipe_play (consumer);
  raw_producer_bring_up (&raw);
  descriptor = raw_producer_describe (&raw);
  descriptor.metas_offset = descriptor.offset;
  descriptor.metas_size = size;
  memcpy (raw.region->base + descriptor.metas_offset, bytes, size);
  raw_producer_push (&raw, &raw.link->frames, &descriptor);
  error = pipe_wait_error (consumer);
  g_assert_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "metadata"));
  pipe_set_state (consumer, GST_STATE_READY);
  g_assert_cmpuint (pipe_get_stat (consumer, "src", "held"), ==, 0);
  pipe_free (consumer);
  raw_producer_clear (&raw);
}

static void
test_hostile (void)
{
  GVariant *metas = g_variant_ref_sink (g_variant_new_parsed
      ("[('GstVideoCropMeta', <'x'>)]"));

  check_hostile ("x", 1);
  check_hostile (g_variant_get_data (metas), g_variant_get_size (metas));
  g_variant_unref (metas);
}

/* What is known of the brightness of a picture is in its caps, and changes with them. */
static void
test_hdr (void)
{
#define HDR "video/x-raw,format=P010_10LE,width=64,height=48," \
    "framerate=25/1,colorimetry=bt2100-pq," \
    "mastering-display-info=34000:16000:13250:34500:7500:3000:15635:16450:" \
    "10000000:1,content-light-level=(string)"
  static const char *const stages[] = { HDR "1000:400", HDR "4000:300" };
  guint i;
  Scene scene;

  scene_begin (&scene, stages[0], MB);
  for (i = 0; i < 2; i++) {
    g_autoptr (GstCaps) sent = gst_caps_from_string (stages[i]);
    g_autoptr (GstCaps) caps = NULL;
    GstVideoMasteringDisplayInfo display;
    GstVideoContentLightLevel light;

    gst_harness_set_src_caps_str (scene.harness, stages[i]);
    scene_send (&scene, gst_harness_create_buffer (scene.harness, 64 * 48 * 3));
    caps = gst_caps_from_string (pipe_get_frame (scene.consumer, i)->caps);
    g_assert_true (gst_caps_is_equal (caps, sent));
    g_assert_true (gst_video_mastering_display_info_from_caps (&display, caps));
    g_assert_true (gst_video_content_light_level_from_caps (&light, caps));
    g_assert_cmpuint (light.max_content_light_level, ==, i ? 4000 : 1000);
  }
  scene_end (&scene);
}

static void
add_tests (void)
{
  leak_check_add_test ("/meta-pipe/each", test_each);
  leak_check_add_test ("/meta-pipe/zero-copy", test_zero_copy);
  leak_check_add_test ("/meta-pipe/sparse", test_sparse);
  leak_check_add_test ("/meta-pipe/large-behind-queue",
      test_large_behind_queue);
  leak_check_add_test ("/meta-pipe/region-grows", test_region_grows);
  leak_check_add_test ("/meta-pipe/region-too-small", test_region_too_small);
  leak_check_add_test ("/meta-pipe/warns-once", test_warns_once);
  leak_check_add_test ("/meta-pipe/copied-when-held", test_copied_when_held);
  leak_check_add_test ("/meta-pipe/copied-to-default-layout",
      test_copied_to_default_layout);
  leak_check_add_test ("/meta-pipe/everybody-keeps-frames",
      test_everybody_keeps_frames);
  leak_check_add_test ("/meta-pipe/hdr", test_hdr);
  leak_check_add_test ("/meta-pipe/hostile", test_hostile);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
