/* gst-mmap: tests of what a consumer needs of the memory that the producer draws into
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A probe in the consumer's pipeline answers ALLOCATION queries, and another looks at the frames.
 */
#include "gstmmapneeds.h"
#include "leak-check.h"
#include "pipe.h"

#include <gst/allocators/allocators.h>

#define CAPS "video/x-raw,format=I420,width=100,height=50,framerate=100/1"

/* What downstream answers, and what it has seen; under the lock of the pipe. */
typedef struct
{
  Pipe *pipe;
  GstMmapNeeds needs;
  gboolean video_meta;
  guint n_met;                  /* frames that meet the needs, in the region */
} Downstream;

static GstPadProbeReturn
answer (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstQuery *query = GST_PAD_PROBE_INFO_QUERY (info);
  const Downstream *downstream = data;
  const GstVideoAlignment *video = &downstream->needs.video;

  if (GST_QUERY_TYPE (query) != GST_QUERY_ALLOCATION)
    return GST_PAD_PROBE_OK;
  if (downstream->video_meta) {
    GstStructure *params = gst_structure_new ("params",
        "padding-top", G_TYPE_UINT, video->padding_top,
        "padding-left", G_TYPE_UINT, video->padding_left,
        "stride-align0", G_TYPE_UINT, video->stride_align[0], NULL);

    gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, params);
    gst_structure_free (params);
  }
  gst_query_add_allocation_param (query, NULL, &downstream->needs.params);
  gst_query_add_allocation_pool (query, NULL, 0, downstream->needs.min_buffers,
      0);
  return GST_PAD_PROBE_HANDLED;
}

static gboolean
meets (GstBuffer * buffer, const Downstream * downstream)
{
  const GstVideoAlignment *video = &downstream->needs.video;
  GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);
  GstMapInfo map;
  gboolean right;

  if (!gst_is_fd_memory (gst_buffer_peek_memory (buffer, 0))
      || !gst_buffer_map (buffer, &map, GST_MAP_READ))
    return FALSE;
  right = ((guintptr) map.data & downstream->needs.params.align) == 0;
  gst_buffer_unmap (buffer, &map);
  if (!downstream->video_meta)
    return right && (!meta || (meta->stride[0] == 100 && meta->offset[0] == 0));
  return right && (video->padding_top == 0
      || (meta && meta->alignment.padding_top >= video->padding_top
          && meta->alignment.padding_left >= video->padding_left
          && ((guint) meta->stride[0] & video->stride_align[0]) == 0));
}

static GstPadProbeReturn
look (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  Downstream *downstream = data;
  gboolean met = meets (GST_PAD_PROBE_INFO_BUFFER (info), downstream);

  g_mutex_lock (&downstream->pipe->lock);
  downstream->n_met = met ? downstream->n_met + 1 : 0;
  g_cond_broadcast (&downstream->pipe->cond);
  g_mutex_unlock (&downstream->pipe->lock);
  return GST_PAD_PROBE_OK;
}

static void
downstream_init (Downstream * downstream, const char *path)
{
  GstPad *pad;

  downstream->pipe = pipe_new ("mmapsrc name=src socket-path=%s ! "
      "fakesink name=out", path);
  downstream->n_met = 0;
  pad = gst_element_get_static_pad (pipe_get (downstream->pipe, "out"), "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM, answer,
      downstream, NULL);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, look, downstream, NULL);
  gst_object_unref (pad);
}

static void
wait_until_met (Downstream * downstream, guint n)
{
  Pipe *pipe = downstream->pipe;
  gint64 end = g_get_monotonic_time () + GST_TIME_AS_USECONDS (PIPE_TIMEOUT);

  g_mutex_lock (&pipe->lock);
  while (downstream->n_met < n)
    if (!g_cond_wait_until (&pipe->cond, &pipe->lock, end))
      g_error ("waited in vain for frames that meet the needs");
  g_mutex_unlock (&pipe->lock);
}

/* Upstream draws into memory as downstream needs it, without a copy on either side. */
static void
check_needs (Downstream * downstream)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! " CAPS " ! mmapsink name=sink "
      "socket-path=%s", path);
  guint64 copied;

  downstream_init (downstream, path);
  pipe_play (producer);
  pipe_play (downstream->pipe);
  wait_until_met (downstream, 5);
  copied = pipe_get_stat (producer, "sink", "copied")
      + pipe_get_stat (downstream->pipe, "src", "copied");
  wait_until_met (downstream, 15);
  g_assert_cmpuint (pipe_get_stat (producer, "sink", "copied")
      + pipe_get_stat (downstream->pipe, "src", "copied"), ==, copied);
  pipe_free (downstream->pipe);
  pipe_free (producer);
}

static void
test_align (void)
{
  Downstream downstream = {.video_meta = TRUE };

  gst_mmap_needs_init (&downstream.needs);
  downstream.needs.params.align = 4095;
  check_needs (&downstream);
}

static void
test_padding (void)
{
  Downstream downstream = {.video_meta = TRUE };

  gst_mmap_needs_init (&downstream.needs);
  downstream.needs.video.padding_top = 8;
  downstream.needs.video.padding_left = 16;
  downstream.needs.video.stride_align[0] = 127;
  check_needs (&downstream);
}

/* More frames than a region of the usual size lets a consumer keep. */
static void
test_min_buffers (void)
{
  Downstream downstream = {.video_meta = TRUE };
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! video/x-raw,format=I420,"
      "width=2560,height=2560,framerate=100/1 ! mmapsink name=sink sync=false "
      "socket-path=%s", path);

  gst_mmap_needs_init (&downstream.needs);
  downstream.needs.min_buffers = 14;
  downstream_init (&downstream, path);
  downstream.pipe->hold = TRUE;
  pipe_play (producer);
  pipe_play (downstream.pipe);
  wait_until_met (&downstream, 14);
  pipe_free (downstream.pipe);
  pipe_free (producer);
}

/* With two consumers, both needs are met. */
static void
test_two (void)
{
  Downstream one = {.video_meta = TRUE }, two = {.video_meta = TRUE };
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! " CAPS " ! mmapsink name=sink "
      "socket-path=%s", path);

  gst_mmap_needs_init (&one.needs);
  gst_mmap_needs_init (&two.needs);
  one.needs.params.align = 2047;
  two.needs.video.padding_top = 4;
  downstream_init (&one, path);
  downstream_init (&two, path);
  pipe_play (producer);
  pipe_play (one.pipe);
  pipe_play (two.pipe);
  wait_until_met (&one, 5);
  wait_until_met (&two, 5);
  wait_until_met (&one, 15);
  pipe_free (one.pipe);
  pipe_free (two.pipe);
  pipe_free (producer);
}

/* A layout of the producer's own, and a downstream that knows none: copied once or twice, then upstream draws as the caps say. */
static void
test_default_layout (void)
{
  Downstream padded = {.video_meta = TRUE }, plain = {.video_meta = FALSE };
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! " CAPS " ! mmapsink name=sink "
      "socket-path=%s size=16000000", path);
  guint64 copied;

  gst_mmap_needs_init (&padded.needs);
  gst_mmap_needs_init (&plain.needs);
  padded.needs.video.padding_left = 32;
  padded.needs.video.padding_top = 2;
  downstream_init (&padded, path);
  downstream_init (&plain, path);
  pipe_play (producer);
  pipe_play (padded.pipe);
  wait_until_met (&padded, 3);
  pipe_play (plain.pipe);
  wait_until_met (&plain, 5);
  copied = pipe_get_stat (plain.pipe, "src", "copied");
  wait_until_met (&plain, 15);
  g_assert_cmpuint (copied, >, 0);
  g_assert_cmpuint (pipe_get_stat (plain.pipe, "src", "copied"), ==, copied);
  pipe_free (padded.pipe);
  pipe_free (plain.pipe);
  pipe_free (producer);
}

/* Whatever another process says, it is harmless. */
static void
test_hostile_needs (void)
{
  guint32 seed = g_test_rand_int ();
  GRand *rand = g_rand_new_with_seed (seed);
  guint i;

  g_test_message ("seed %u", seed);
  for (i = 0; i < 10000; i++) {
    guint64 any = (guint64) g_rand_int (rand) << 32 | g_rand_int (rand);
    g_autoptr (GVariant) dict = NULL;
    GVariantDict builder;
    GstMmapNeeds needs;

    any >>= g_rand_int_range (rand, 0, 64);
    g_variant_dict_init (&builder, NULL);
    g_variant_dict_insert (&builder, "align", "t", any);
    g_variant_dict_insert (&builder, "padding", "t", any);
    g_variant_dict_insert (&builder, "prefix", i % 2 ? "t" : "x", any);
    g_variant_dict_insert (&builder, "video-padding", "(uuuu)", (guint) any, 1,
        2, 3);
    g_variant_dict_insert (&builder, "stride-align", "(uuuu)", (guint) any, 1,
        2, 3);
    g_variant_dict_insert (&builder, "min-buffers", "u", (guint) any);
    dict = g_variant_ref_sink (g_variant_dict_end (&builder));
    gst_mmap_needs_init_variant (&needs, dict);
    g_assert_cmpuint (needs.params.align & (needs.params.align + 1), ==, 0);
    g_assert_cmpuint (needs.params.align, <=, 4095);
    g_assert_cmpuint (needs.params.padding, <=, 65536);
    g_assert_cmpuint (needs.video.padding_top, <=, 1024);
    g_assert_cmpuint (needs.video.stride_align[0], <=, 4095);
    g_assert_cmpuint (needs.video.stride_align[2], ==, 3);
    g_assert_cmpuint (needs.min_buffers, <=, 32);
  }
  g_rand_free (rand);
}

/* Upstream may still ask when only the sink was stopped. */
static void
test_stopped (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = pipe_new ("videotestsrc ! " CAPS " ! mmapsink name=sink "
      "socket-path=%s wait-for-connection=false", path);
  GstElement *sink = pipe_get (producer, "sink");
  GstPad *pad = gst_element_get_static_pad (sink, "sink");
  g_autoptr (GstCaps) caps = gst_caps_from_string (CAPS);
  GstQuery *query = gst_query_new_allocation (caps, TRUE);

  pipe_set_state (producer, GST_STATE_PLAYING);
  gst_element_set_locked_state (sink, TRUE);
  gst_element_set_state (sink, GST_STATE_NULL);
  g_assert_false (gst_pad_query (pad, query));
  gst_query_unref (query);
  gst_object_unref (pad);
  pipe_free (producer);
}

static void
add_tests (void)
{
  leak_check_add_test ("/allocation/align", test_align);
  leak_check_add_test ("/allocation/padding", test_padding);
  leak_check_add_test ("/allocation/min-buffers", test_min_buffers);
  leak_check_add_test ("/allocation/two", test_two);
  leak_check_add_test ("/allocation/default-layout", test_default_layout);
  leak_check_add_test ("/allocation/hostile-needs", test_hostile_needs);
  leak_check_add_test ("/allocation/stopped", test_stopped);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
