/* gst-mmap: tests of the pool that mmapsink proposes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Producer and consumer are in this process.
 */
#include "gstmmappool.h"
#include "leak-check.h"
#include "peers.h"
#include "pipe.h"
#include "slow-memory.h"

#include <gst/video/video.h>
#include <string.h>
#include <unistd.h>

#define CAPACITY (4 * 1024 * 1024)
#define FRAME (64 * 1024)
/* A picture of FRAME bytes, of which the region holds 64. */
#define PICTURE "video/x-raw,format=GRAY8,width=256,height=256"

typedef struct
{
  char *address;
  MmapProducer *producer;
  MmapRegion *region;
  GstAllocator *allocator;
  GstBufferPool *pool;
  MmapConsumer *consumer;       /* NULL until fill_unread() */
} Fixture;

static void
fixture_init (Fixture * fixture)
{
  static guint count;

  fixture->address = g_strdup_printf ("@gst-mmap-test-pool-%u-%u",
      (guint) getpid (), count++);
  fixture->producer = make_producer (fixture->address, CAPACITY);
  fixture->region = mmap_producer_dup_region (fixture->producer);
  fixture->allocator =
      gst_mmap_allocator_new (fixture->region, fixture->producer);
  fixture->pool = gst_mmap_pool_new (fixture->allocator);
  fixture->consumer = NULL;
}

static void
fixture_clear (Fixture * fixture)
{
  g_clear_pointer (&fixture->consumer, mmap_consumer_free);
  gst_buffer_pool_set_active (fixture->pool, FALSE);
  gst_object_unref (fixture->pool);
  gst_object_unref (fixture->allocator);
  mmap_region_unref (fixture->region);
  end_producer (fixture->producer);
  g_free (fixture->address);
}

static gboolean
configure (GstBufferPool * pool, const char *caps_string, guint size,
    const GstVideoAlignment * align, const GstAllocationParams * params)
{
  GstCaps *caps = caps_string ? gst_caps_from_string (caps_string) : NULL;
  GstStructure *config = gst_buffer_pool_get_config (pool);
  gboolean configured;

  gst_buffer_pool_config_set_params (config, caps, size, 2, 0);
  gst_buffer_pool_config_add_option (config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  if (align) {
    gst_buffer_pool_config_add_option (config,
        GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
    gst_buffer_pool_config_set_video_alignment (config, align);
  }
  if (params)
    gst_buffer_pool_config_set_allocator (config, NULL, params);
  configured = gst_buffer_pool_set_config (pool, config);
  gst_clear_caps (&caps);
  return configured;
}

static void
start (Fixture * fixture)
{
  fixture_init (fixture);
  g_assert_true (configure (fixture->pool, PICTURE, FRAME, NULL, NULL));
  g_assert_true (gst_buffer_pool_set_active (fixture->pool, TRUE));
}

static GstBuffer *
acquire (Fixture * fixture)
{
  GstBuffer *buffer = NULL;

  g_assert_cmpint (gst_buffer_pool_acquire_buffer (fixture->pool, &buffer,
          NULL), ==, GST_FLOW_OK);
  g_assert_nonnull (buffer);
  g_assert_cmpuint (gst_buffer_n_memory (buffer), ==, 1);
  return buffer;
}

static MmapBlock *
block_of (GstBuffer * buffer)
{
  return gst_mmap_memory_get_block (gst_buffer_peek_memory (buffer, 0));
}

/* What a buffer of start() is when it comes. */
static void
check_fresh (Fixture * fixture, GstBuffer * buffer)
{
  GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);
  MmapBlock *block = block_of (buffer);
  GstMapInfo map;
  gsize offset;

  g_assert_nonnull (block);
  g_assert_true (block->region == fixture->region);
  g_assert_true (gst_buffer_is_writable (buffer));
  g_assert_true (gst_buffer_is_all_memory_writable (buffer));
  g_assert_cmpuint (gst_memory_get_sizes (gst_buffer_peek_memory (buffer, 0),
          &offset, NULL), ==, FRAME);
  g_assert_cmpuint (offset, ==, block->offset);
  g_assert_cmphex (GST_BUFFER_FLAGS (buffer), ==, 0);
  g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, GST_CLOCK_TIME_NONE);
  g_assert_nonnull (meta);
  g_assert_cmpuint (gst_buffer_get_n_meta (buffer,
          GST_VIDEO_META_API_TYPE), ==, 1);
  g_assert_cmpint (meta->format, ==, GST_VIDEO_FORMAT_GRAY8);
  g_assert_cmpuint (meta->width, ==, 256);
  g_assert_cmpuint (meta->height, ==, 256);
  g_assert_cmpint (meta->stride[0], ==, 256);
  g_assert_cmpuint (meta->offset[0], ==, 0);
  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_WRITE));
  g_assert_true (map.data == mmap_block_get_data (block));
  g_assert_cmpuint (map.size, ==, FRAME);
  gst_buffer_unmap (buffer, &map);
}

/* --- buffers --- */

static void
test_buffers (void)
{
  Fixture fixture;
  GstBuffer *buffer;

  start (&fixture);
  g_assert_true (gst_buffer_pool_has_option (fixture.pool,
          GST_BUFFER_POOL_OPTION_VIDEO_META));
  g_assert_true (gst_buffer_pool_has_option (fixture.pool,
          GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT));
  buffer = acquire (&fixture);
  check_fresh (&fixture, buffer);
  gst_buffer_unref (buffer);
  fixture_clear (&fixture);
}

static void
test_no_meta (void)
{
  Fixture fixture;
  GstStructure *config;
  GstCaps *caps = gst_caps_from_string (PICTURE);
  GstBuffer *buffer;

  fixture_init (&fixture);
  config = gst_buffer_pool_get_config (fixture.pool);
  gst_buffer_pool_config_set_params (config, caps, FRAME, 0, 0);
  g_assert_true (gst_buffer_pool_set_config (fixture.pool, config));
  g_assert_true (gst_buffer_pool_set_active (fixture.pool, TRUE));
  buffer = acquire (&fixture);
  g_assert_null (gst_buffer_get_video_meta (buffer));
  gst_buffer_unref (buffer);
  gst_caps_unref (caps);
  fixture_clear (&fixture);
}

static void
check_alignment (Fixture * fixture, GstVideoFormat format, guint width,
    guint height, const GstVideoAlignment * wanted)
{
  g_autofree char *string =
      g_strdup_printf ("video/x-raw,format=%s,width=%u,height=%u",
      gst_video_format_to_string (format), width, height);
  GstCaps *caps = gst_caps_from_string (string);
  GstVideoAlignment align = *wanted;
  GstVideoInfo info, aligned;
  GstVideoFrame frame;
  GstVideoMeta *meta;
  GstStructure *config;
  GstBuffer *buffer;
  guint size, i;

  g_test_message ("%s", string);
  g_assert_true (gst_video_info_from_caps (&info, caps));
  aligned = info;
  /* There are some that GStreamer can't compute, of GRAY10_LE32 and its like. */
  if (!gst_video_info_align (&aligned, &align)) {
    g_assert_false (configure (fixture->pool, string, info.size, wanted, NULL));
    gst_caps_unref (caps);
    return;
  }
  g_assert_true (configure (fixture->pool, string, info.size, wanted, NULL));
  config = gst_buffer_pool_get_config (fixture->pool);
  gst_buffer_pool_config_get_params (config, NULL, &size, NULL, NULL);
  g_assert_cmpuint (size, ==, aligned.size);
  gst_structure_free (config);

  g_assert_true (gst_buffer_pool_set_active (fixture->pool, TRUE));
  buffer = acquire (fixture);
  g_assert_nonnull (block_of (buffer));
  g_assert_cmpuint (gst_buffer_get_size (buffer), ==, aligned.size);
  meta = gst_buffer_get_video_meta (buffer);
  g_assert_cmpuint (meta->n_planes, ==, info.finfo->n_planes);
  for (i = 0; i < meta->n_planes; i++) {
    g_assert_cmpuint (meta->offset[i], ==, aligned.offset[i]);
    g_assert_cmpint (meta->stride[i], ==, aligned.stride[i]);
    if (!GST_VIDEO_FORMAT_INFO_HAS_PALETTE (info.finfo) || i == 0)
      g_assert_cmpint (meta->stride[i] & wanted->stride_align[i], ==, 0);
  }
  g_assert_cmpuint (meta->alignment.padding_top, ==, align.padding_top);
  g_assert_cmpuint (meta->alignment.padding_left, ==, align.padding_left);
  g_assert_true (gst_video_frame_map (&frame, &info, buffer, GST_MAP_WRITE));
  gst_video_frame_unmap (&frame);
  gst_buffer_unref (buffer);
  g_assert_true (gst_buffer_pool_set_active (fixture->pool, FALSE));
  gst_caps_unref (caps);
}

static void
test_alignment (void)
{
  static const GstVideoAlignment aligns[] = {
    {0, 0, 0, 0, {0, 0, 0, 0}},
    {0, 0, 0, 0, {63, 63, 63, 63}},
    {16, 8, 32, 4, {0, 0, 0, 0}},
    {16, 8, 32, 4, {127, 63, 63, 127}},
    {1, 3, 5, 7, {15, 15, 15, 15}},
  };
  static const struct
  {
    guint width, height;
  } sizes[] = { {1, 1}, {37, 21}, {333, 77} };
  Fixture fixture;
  guint format, a, s;

  fixture_init (&fixture);
  for (format = GST_VIDEO_FORMAT_I420; gst_video_format_to_string (format);
      format++) {
    const GstVideoFormatInfo *info = gst_video_format_get_info (format);

    for (s = 0; s < G_N_ELEMENTS (sizes); s++)
      for (a = 0; a < G_N_ELEMENTS (aligns); a++)
        /* The stride of a tiled format is no number of bytes. */
        if (a == 0 || !GST_VIDEO_FORMAT_INFO_IS_TILED (info))
          check_alignment (&fixture, format, sizes[s].width, sizes[s].height,
              &aligns[a]);
  }
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

/* Upstream may want more bytes than the caps have. */
static void
test_larger_size (void)
{
  Fixture fixture;
  GstBuffer *buffer;

  fixture_init (&fixture);
  g_assert_true (configure (fixture.pool, PICTURE, FRAME + 1000, NULL, NULL));
  g_assert_true (gst_buffer_pool_set_active (fixture.pool, TRUE));
  buffer = acquire (&fixture);
  g_assert_cmpuint (gst_buffer_get_size (buffer), ==, FRAME + 1000);
  gst_buffer_unref (buffer);
  fixture_clear (&fixture);
}

static void
test_params (void)
{
  static const gsize aligns[] = { 0, 15, 4095 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (aligns); i++) {
    GstAllocationParams params = { 0, aligns[i], 100, 200 };
    Fixture fixture;
    GstBuffer *buffer;
    MmapBlock *block;
    gsize offset, maxsize;
    guint j;

    fixture_init (&fixture);
    g_assert_true (configure (fixture.pool, PICTURE, FRAME, NULL, &params));
    g_assert_true (gst_buffer_pool_set_active (fixture.pool, TRUE));
    /* The second time it is a used one, of which upstream has taken a part. */
    for (j = 0; j < 2; j++) {
      buffer = acquire (&fixture);
      block = block_of (buffer);
      g_assert_cmpuint (gst_memory_get_sizes (gst_buffer_peek_memory (buffer,
                  0), &offset, &maxsize), ==, FRAME);
      g_assert_cmpuint (offset, ==, block->offset + 100);
      g_assert_cmpuint (maxsize - offset, >=, FRAME + 200);
      g_assert_cmpuint ((guintptr) mmap_block_get_data (block) & aligns[i], ==,
          0);
      gst_buffer_resize (buffer, -50, 60);
      gst_buffer_unref (buffer);
    }
    fixture_clear (&fixture);
  }
}

static void
test_refused (void)
{
  static const char *caps[] = { NULL, "audio/x-raw,format=S16LE,rate=48000,"
        "channels=2,layout=interleaved", "application/octet-stream",
    "video/x-h264", "video/x-raw", "video/x-raw,format=I420"
  };
  Fixture fixture;
  guint i;

  fixture_init (&fixture);
  for (i = 0; i < G_N_ELEMENTS (caps); i++) {
    g_assert_false (configure (fixture.pool, caps[i], FRAME, NULL, NULL));
    g_assert_false (gst_buffer_pool_set_active (fixture.pool, TRUE));
  }
  /* It is good for the next. */
  g_assert_true (configure (fixture.pool, PICTURE, FRAME, NULL, NULL));
  fixture_clear (&fixture);
}

/* --- reuse --- */

static void
test_reuse (void)
{
  GHashTable *offsets = g_hash_table_new (NULL, NULL);
  Fixture fixture;
  guint i;

  start (&fixture);
  for (i = 0; i < 1000; i++) {
    GstBuffer *one = acquire (&fixture);
    GstBuffer *two = acquire (&fixture);

    check_fresh (&fixture, one);
    check_fresh (&fixture, two);
    g_assert_true (block_of (one) != block_of (two));
    g_hash_table_add (offsets, GSIZE_TO_POINTER (block_of (one)->offset));
    g_hash_table_add (offsets, GSIZE_TO_POINTER (block_of (two)->offset));
    GST_BUFFER_PTS (one) = i;
    GST_BUFFER_FLAG_SET (one, GST_BUFFER_FLAG_DISCONT);
    gst_buffer_add_video_meta (two, 0, GST_VIDEO_FORMAT_GRAY8, 8, 8);
    gst_buffer_unref (one);
    gst_buffer_unref (two);
  }
  g_assert_cmpuint (g_hash_table_size (offsets), ==, 2);
  g_hash_table_unref (offsets);
  /* Nothing stays reserved by a pool that is not active. */
  gst_buffer_pool_set_active (fixture.pool, FALSE);
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

/* The memory of what a user has changed or keeps. */
static void
test_changed_is_not_reused (void)
{
  Fixture fixture;
  GstBuffer *buffer;
  GstMemory *kept;
  MmapBlock *block;

  start (&fixture);

  /* Kept by somebody. */
  buffer = acquire (&fixture);
  block = block_of (buffer);
  kept = gst_buffer_get_memory (buffer, 0);
  gst_buffer_unref (buffer);
  buffer = acquire (&fixture);
  g_assert_true (block_of (buffer) != block);
  check_fresh (&fixture, buffer);
  gst_memory_unref (kept);
  gst_buffer_unref (buffer);

  /* A part of it shared. */
  buffer = acquire (&fixture);
  block = block_of (buffer);
  kept = gst_memory_share (gst_buffer_peek_memory (buffer, 0), 10, 10);
  gst_buffer_unref (buffer);
  buffer = acquire (&fixture);
  g_assert_true (block_of (buffer) != block);
  check_fresh (&fixture, buffer);
  gst_memory_unref (kept);
  gst_buffer_unref (buffer);

  /* Other memory, more memory, no memory. */
  buffer = acquire (&fixture);
  gst_buffer_replace_all_memory (buffer, gst_allocator_alloc (NULL, FRAME,
          NULL));
  gst_buffer_unref (buffer);
  buffer = acquire (&fixture);
  check_fresh (&fixture, buffer);
  gst_buffer_append_memory (buffer, gst_allocator_alloc (NULL, 10, NULL));
  gst_buffer_unref (buffer);
  buffer = acquire (&fixture);
  check_fresh (&fixture, buffer);
  gst_buffer_remove_all_memory (buffer);
  gst_buffer_unref (buffer);
  buffer = acquire (&fixture);
  check_fresh (&fixture, buffer);

  /* As one does who has looked at its memory in a way that is not known. */
  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_TAG_MEMORY);
  gst_buffer_unref (buffer);
  buffer = acquire (&fixture);
  check_fresh (&fixture, buffer);
  gst_buffer_unref (buffer);

  gst_buffer_pool_set_active (fixture.pool, FALSE);
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

/* Whatever part of its block a user has left in a buffer, the next has all. */
static void
test_resized (void)
{
  Fixture fixture;
  GstBuffer *first;
  guint64 offset_of_first;
  guint i;

  start (&fixture);
  first = acquire (&fixture);
  offset_of_first = block_of (first)->offset;
  gst_buffer_unref (first);
  for (i = 0; i < 50; i++) {
    GstBuffer *buffer = acquire (&fixture);
    gsize offset = i * 1000;

    g_assert_cmpuint (block_of (buffer)->offset, ==, offset_of_first);
    check_fresh (&fixture, buffer);
    switch (i % 3) {
      case 0:
        gst_buffer_resize (buffer, offset, FRAME - offset);
        break;
      case 1:
        gst_buffer_set_size (buffer, offset);
        break;
      default:
        gst_memory_resize (gst_buffer_peek_memory (buffer, 0), offset, 1);
    }
    gst_buffer_unref (buffer);
  }
  gst_buffer_pool_set_active (fixture.pool, FALSE);
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

/* --- when there is none --- */

/* Nearly all blocks are in frames that the consumer has not read. */
static void
fill_unread (Fixture * fixture)
{
  GError *error = NULL;
  MmapItem item;
  guint i;

  fixture->consumer = mmap_consumer_new (fixture->address, &error);
  g_assert_no_error (error);
  next_item (fixture->consumer, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (fixture->producer, 1);
  for (i = 0; i < CAPACITY / FRAME - 1; i++)
    publish_frame (fixture->producer, i, FRAME);
}

static void
test_dont_wait (void)
{
  GstBufferPoolAcquireParams params = { 0, };
  Fixture fixture;
  GstBuffer *buffer = NULL;
  MmapItem item;
  guint i;

  params.flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT;
  start (&fixture);
  fill_unread (&fixture);
  for (i = 0; i < 3; i++)
    g_assert_cmpint (gst_buffer_pool_acquire_buffer (fixture.pool, &buffer,
            &params), ==, GST_FLOW_EOS);
  /* As soon as there is one, without a wait: */
  for (i = 0; i < 2; i++) {
    next_item (fixture.consumer, &item, MMAP_NEXT_FRAME);
    release_item (&item);
  }
  g_assert_cmpint (gst_buffer_pool_acquire_buffer (fixture.pool, &buffer,
          &params), ==, GST_FLOW_OK);
  check_fresh (&fixture, buffer);
  gst_buffer_unref (buffer);
  fixture_clear (&fixture);
}

typedef struct
{
  Fixture *fixture;
  GThread *thread;
  GstFlowReturn flow;
  GstBuffer *buffer;
} Waiter;

static gpointer
acquire_thread (gpointer data)
{
  Waiter *waiter = data;

  waiter->flow = gst_buffer_pool_acquire_buffer (waiter->fixture->pool,
      &waiter->buffer, NULL);
  return NULL;
}

/* Returns when it sleeps. */
static void
waiter_start (Waiter * waiter, Fixture * fixture)
{
  MmapProducerStats stats;

  fill_unread (fixture);
  waiter->fixture = fixture;
  waiter->buffer = NULL;
  waiter->thread = g_thread_new ("acquire", acquire_thread, waiter);
  do {
    g_usleep (1000);
    mmap_producer_get_stats (fixture->producer, &stats);
  } while (stats.waits == 0);
}

static void
test_waits_for_consumer (void)
{
  Fixture fixture;
  Waiter waiter;
  MmapItem item;
  guint i;

  start (&fixture);
  waiter_start (&waiter, &fixture);
  for (i = 0; i < 2; i++) {
    next_item (fixture.consumer, &item, MMAP_NEXT_FRAME);
    check_frame (&item, i);
    release_item (&item);
  }
  g_thread_join (waiter.thread);
  g_assert_cmpint (waiter.flow, ==, GST_FLOW_OK);
  check_fresh (&fixture, waiter.buffer);
  gst_buffer_unref (waiter.buffer);
  fixture_clear (&fixture);
}

static void
test_flushing_ends_a_wait (void)
{
  Fixture fixture;
  Waiter waiter;
  GstBuffer *buffer = NULL;

  start (&fixture);
  waiter_start (&waiter, &fixture);
  gst_buffer_pool_set_flushing (fixture.pool, TRUE);
  g_thread_join (waiter.thread);
  g_assert_cmpint (waiter.flow, ==, GST_FLOW_FLUSHING);
  g_assert_cmpint (gst_buffer_pool_acquire_buffer (fixture.pool, &buffer,
          NULL), ==, GST_FLOW_FLUSHING);
  mmap_producer_close (fixture.producer);
  gst_buffer_pool_set_flushing (fixture.pool, FALSE);
  gst_buffer_unref (acquire (&fixture));
  fixture_clear (&fixture);
}

static void
test_stopping_ends_a_wait (void)
{
  Fixture fixture;
  Waiter waiter;
  GstBuffer *buffer = NULL;

  start (&fixture);
  waiter_start (&waiter, &fixture);
  g_assert_true (gst_buffer_pool_set_active (fixture.pool, FALSE));
  g_thread_join (waiter.thread);
  g_assert_cmpint (waiter.flow, ==, GST_FLOW_FLUSHING);
  g_assert_cmpint (gst_buffer_pool_acquire_buffer (fixture.pool, &buffer,
          NULL), ==, GST_FLOW_FLUSHING);
  fixture_clear (&fixture);
}

static void
test_flushing_allocator_ends_a_wait (void)
{
  Fixture fixture;
  Waiter waiter;

  start (&fixture);
  waiter_start (&waiter, &fixture);
  gst_mmap_allocator_set_flushing (fixture.allocator, TRUE);
  g_thread_join (waiter.thread);
  g_assert_cmpint (waiter.flow, ==, GST_FLOW_OK);
  g_assert_null (block_of (waiter.buffer));
  gst_buffer_unref (waiter.buffer);
  fixture_clear (&fixture);
}

static void
test_closing_ends_a_wait (void)
{
  Fixture fixture;
  Waiter waiter;

  start (&fixture);
  waiter_start (&waiter, &fixture);
  mmap_producer_close (fixture.producer);
  g_thread_join (waiter.thread);
  g_assert_cmpint (waiter.flow, ==, GST_FLOW_OK);
  g_assert_null (block_of (waiter.buffer));
  gst_buffer_unref (waiter.buffer);
  fixture_clear (&fixture);
}

/* Memory that is still being reserved isn't lacking: it is only not there yet. */
static void
test_first_memory (void)
{
  GstBufferPoolAcquireParams params = { 0, };
  GstBuffer *buffer = NULL;
  GError *error = NULL;
  Fixture fixture;

  params.flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT;
  fixture_init (&fixture);
  gst_object_unref (fixture.pool);
  gst_object_unref (fixture.allocator);
  mmap_region_unref (fixture.region);
  slow_memory_set (MEMORY_IS_SLOW);
  mmap_producer_set_region (fixture.producer,
      mmap_producer_size_for (CAPACITY), FRAME, NULL, &error);
  g_assert_no_error (error);
  fixture.region = mmap_producer_dup_region (fixture.producer);
  fixture.allocator = gst_mmap_allocator_new (fixture.region, fixture.producer);
  fixture.pool = gst_mmap_pool_new (fixture.allocator);
  g_assert_true (configure (fixture.pool, PICTURE, FRAME, NULL, NULL));
  g_assert_true (gst_buffer_pool_set_active (fixture.pool, TRUE));
  g_assert_cmpint (gst_buffer_pool_acquire_buffer (fixture.pool, &buffer,
          &params), ==, GST_FLOW_OK);
  check_fresh (&fixture, buffer);
  gst_buffer_unref (buffer);
  slow_memory_set (MEMORY_COMES);
  fixture_clear (&fixture);
}

/* A pool of which upstream wants two buffers at once. */
static void
start_with_limit (Fixture * fixture)
{
  GstStructure *config;
  GstCaps *caps;

  fixture_init (fixture);
  config = gst_buffer_pool_get_config (fixture->pool);
  caps = gst_caps_from_string (PICTURE);
  gst_buffer_pool_config_set_params (config, caps, FRAME, 0, 2);
  gst_buffer_pool_config_add_option (config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  g_assert_true (gst_buffer_pool_set_config (fixture->pool, config));
  g_assert_true (gst_buffer_pool_set_active (fixture->pool, TRUE));
  gst_caps_unref (caps);
}

static void
test_limit (void)
{
  GstBufferPoolAcquireParams params = { 0, };
  GstBuffer *buffers[3], *none = NULL;
  Fixture fixture;
  Waiter waiter;
  guint i;

  params.flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT;
  start_with_limit (&fixture);
  buffers[0] = acquire (&fixture);
  buffers[1] = acquire (&fixture);
  for (i = 0; i < 2; i++)
    g_assert_cmpint (gst_buffer_pool_acquire_buffer (fixture.pool, &none,
            &params), ==, GST_FLOW_EOS);
  /* What consumers have doesn't count, however often it was published. */
  gst_mmap_pool_hand_over (buffers[0]);
  gst_mmap_pool_hand_over (buffers[0]);
  buffers[2] = acquire (&fixture);
  g_assert_cmpint (gst_buffer_pool_acquire_buffer (fixture.pool, &none,
          &params), ==, GST_FLOW_EOS);
  gst_buffer_unref (buffers[0]);
  g_assert_cmpint (gst_buffer_pool_acquire_buffer (fixture.pool, &none,
          &params), ==, GST_FLOW_EOS);

  waiter.fixture = &fixture;
  waiter.thread = g_thread_new ("acquire", acquire_thread, &waiter);
  g_usleep (10000);
  gst_buffer_unref (buffers[1]);
  g_thread_join (waiter.thread);
  g_assert_cmpint (waiter.flow, ==, GST_FLOW_OK);
  g_assert_true (block_of (waiter.buffer)->region == fixture.region);
  gst_buffer_unref (waiter.buffer);
  gst_buffer_unref (buffers[2]);
  /* One that was used again counts again. */
  for (i = 0; i < 2; i++)
    buffers[i] = acquire (&fixture);
  g_assert_cmpint (gst_buffer_pool_acquire_buffer (fixture.pool, &none,
          &params), ==, GST_FLOW_EOS);

  waiter.thread = g_thread_new ("acquire", acquire_thread, &waiter);
  g_usleep (10000);
  gst_buffer_pool_set_flushing (fixture.pool, TRUE);
  g_thread_join (waiter.thread);
  g_assert_cmpint (waiter.flow, ==, GST_FLOW_FLUSHING);
  gst_buffer_pool_set_flushing (fixture.pool, FALSE);
  for (i = 0; i < 2; i++)
    gst_buffer_unref (buffers[i]);
  gst_buffer_unref (acquire (&fixture));
  fixture_clear (&fixture);
}

static gint n_signals;          /* atomic */

/* Of the linker: what the pool calls. */
void __real_g_cond_signal (GCond * cond);
__attribute__((visibility ("default")))
     void
     __wrap_g_cond_signal (GCond * cond);

     void
     __wrap_g_cond_signal (GCond * cond)
{
  g_atomic_int_inc (&n_signals);
  __real_g_cond_signal (cond);
}

/* To signal is a system call, even if nobody waits: not for each frame. */
static void
test_no_signals (void)
{
  Fixture fixture;
  guint i;

  start_with_limit (&fixture);
  g_atomic_int_set (&n_signals, 0);
  for (i = 0; i < 10; i++) {
    GstBuffer *buffer = acquire (&fixture);

    if (i % 2)
      gst_mmap_pool_hand_over (buffer);
    gst_buffer_unref (buffer);
  }
  g_assert_cmpint (g_atomic_int_get (&n_signals), ==, 0);
  fixture_clear (&fixture);
}

/* Upstream itself has them all: nobody can give one back. */
static void
test_upstream_has_all (void)
{
  GstAllocationParams params = { 0, 63, 10, 20 };
  GPtrArray *kept =
      g_ptr_array_new_with_free_func ((GDestroyNotify) gst_buffer_unref);
  Fixture fixture;
  GstBuffer *buffer;
  guint n_blocks = 0, i;

  fixture_init (&fixture);
  g_assert_true (configure (fixture.pool, PICTURE, FRAME, NULL, &params));
  g_assert_true (gst_buffer_pool_set_active (fixture.pool, TRUE));
  for (i = 0; i < 100; i++) {
    GstMapInfo map;

    buffer = acquire (&fixture);
    if (block_of (buffer))
      n_blocks++;
    g_assert_cmpuint (gst_buffer_get_size (buffer), ==, FRAME);
    g_assert_nonnull (gst_buffer_get_video_meta (buffer));
    g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_WRITE));
    memset (map.data, i, map.size);
    gst_buffer_unmap (buffer, &map);
    g_ptr_array_add (kept, buffer);
  }
  /* Room for one is left, for the sink to copy into. */
  g_assert_cmpuint (n_blocks, >, 50);
  g_assert_cmpuint (n_blocks, <, CAPACITY / FRAME);
  for (i = 0; i < kept->len; i++) {
    guint8 last;

    gst_buffer_extract (g_ptr_array_index (kept, i), FRAME - 1, &last, 1);
    g_assert_cmpuint (last, ==, i);
  }
  g_ptr_array_unref (kept);
  /* System memory was not kept for later. */
  for (i = 0; i < n_blocks; i++) {
    buffer = acquire (&fixture);
    g_assert_nonnull (block_of (buffer));
    gst_buffer_unref (buffer);
  }
  fixture_clear (&fixture);
}

/* --- ends --- */

static void
test_outlives_producer (void)
{
  Fixture fixture;
  GstBuffer *held, *buffer;
  GstMapInfo map;

  start (&fixture);
  held = acquire (&fixture);
  mmap_producer_close (fixture.producer);
  buffer = acquire (&fixture);
  g_assert_null (block_of (buffer));
  gst_buffer_unref (buffer);
  /* The last one with a reference to anything. */
  fixture_clear (&fixture);
  g_assert_true (gst_buffer_map (held, &map, GST_MAP_WRITE));
  memset (map.data, 1, map.size);
  gst_buffer_unmap (held, &map);
  gst_buffer_unref (held);
}

/* A buffer that comes back to a stopped pool is not kept. */
static void
test_late_release (void)
{
  Fixture fixture;
  GstBuffer *buffer;

  start (&fixture);
  buffer = acquire (&fixture);
  gst_buffer_unref (acquire (&fixture));
  gst_buffer_pool_set_active (fixture.pool, FALSE);
  gst_buffer_unref (buffer);
  check_all_free (fixture.producer);
  /* Again, of another size. */
  g_assert_true (configure (fixture.pool,
          "video/x-raw,format=I420,width=320,height=240", 0, NULL, NULL));
  g_assert_true (gst_buffer_pool_set_active (fixture.pool, TRUE));
  buffer = acquire (&fixture);
  g_assert_cmpuint (gst_buffer_get_size (buffer), ==, 320 * 240 * 3 / 2);
  gst_buffer_unref (buffer);
  fixture_clear (&fixture);
}

#define N_THREADS 4

static gpointer
churn (gpointer data)
{
  Fixture *fixture = data;
  guint8 mark = g_random_int ();
  GstBuffer *kept[8] = { NULL };
  guint i;

  for (i = 0; i < 20000; i++) {
    GstBuffer **buffer = &kept[i % G_N_ELEMENTS (kept)];
    guint8 *data;

    if (*buffer) {
      data = mmap_block_get_data (block_of (*buffer));
      /* Nobody else has it. */
      g_assert_cmphex (data[0], ==, mark);
      g_assert_cmphex (data[FRAME - 1], ==, mark);
      gst_buffer_unref (*buffer);
    }
    *buffer = acquire (fixture);
    g_assert_nonnull (block_of (*buffer));
    data = mmap_block_get_data (block_of (*buffer));
    data[0] = data[FRAME - 1] = mark;
  }
  for (i = 0; i < G_N_ELEMENTS (kept); i++)
    gst_buffer_unref (kept[i]);
  return NULL;
}

static void
test_threads (void)
{
  GThread *threads[N_THREADS];
  Fixture fixture;
  guint i;

  start (&fixture);
  for (i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("churn", churn, &fixture);
  for (i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  gst_buffer_pool_set_active (fixture.pool, FALSE);
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

static void
add_tests (void)
{
  leak_check_add_test ("/pool/buffers", test_buffers);
  leak_check_add_test ("/pool/no-meta", test_no_meta);
  leak_check_add_test ("/pool/alignment", test_alignment);
  leak_check_add_test ("/pool/larger-size", test_larger_size);
  leak_check_add_test ("/pool/params", test_params);
  leak_check_add_test ("/pool/refused", test_refused);
  leak_check_add_test ("/pool/reuse", test_reuse);
  leak_check_add_test ("/pool/changed-is-not-reused",
      test_changed_is_not_reused);
  leak_check_add_test ("/pool/resized", test_resized);
  leak_check_add_test ("/pool/dont-wait", test_dont_wait);
  leak_check_add_test ("/pool/waits-for-consumer", test_waits_for_consumer);
  leak_check_add_test ("/pool/flushing-ends-a-wait", test_flushing_ends_a_wait);
  leak_check_add_test ("/pool/stopping-ends-a-wait", test_stopping_ends_a_wait);
  leak_check_add_test ("/pool/flushing-allocator-ends-a-wait",
      test_flushing_allocator_ends_a_wait);
  leak_check_add_test ("/pool/closing-ends-a-wait", test_closing_ends_a_wait);
  leak_check_add_test ("/pool/first-memory", test_first_memory);
  leak_check_add_test ("/pool/limit", test_limit);
  leak_check_add_test ("/pool/no-signals", test_no_signals);
  leak_check_add_test ("/pool/upstream-has-all", test_upstream_has_all);
  leak_check_add_test ("/pool/outlives-producer", test_outlives_producer);
  leak_check_add_test ("/pool/late-release", test_late_release);
  leak_check_add_test ("/pool/threads", test_threads);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
