/* gst-mmap: tests of memory of a region as GstMemory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Producer and consumer are in this process.
 */
#include "copy.h"
#include "gstmmapblockallocator.h"
#include "leak-check.h"
#include "peers.h"
#include "pipe.h"

#include <string.h>
#include <unistd.h>

#define CAPACITY (4 * 1024 * 1024)
#define FRAME (64 * 1024)

typedef struct
{
  char *address;
  MmapProducer *producer;
  MmapRegion *region;
  GstAllocator *allocator;
  GstAllocator *blocks;         /* what mmapsink proposes */
  MmapConsumer *consumer;       /* NULL until connect_consumer() */
} Fixture;

static void
fixture_init (Fixture * fixture, guint64 capacity)
{
  static guint count;

  fixture->address = g_strdup_printf ("@gst-mmap-test-allocator-%u-%u",
      (guint) getpid (), count++);
  fixture->producer = make_producer (fixture->address, capacity);
  fixture->region = mmap_producer_dup_region (fixture->producer);
  fixture->allocator =
      gst_mmap_allocator_new (fixture->region, fixture->producer);
  fixture->blocks = gst_mmap_block_allocator_new (fixture->allocator);
  fixture->consumer = NULL;
}

static void
fixture_clear (Fixture * fixture)
{
  g_clear_pointer (&fixture->consumer, mmap_consumer_free);
  gst_object_unref (fixture->blocks);
  gst_object_unref (fixture->allocator);
  mmap_region_unref (fixture->region);
  end_producer (fixture->producer);
  g_free (fixture->address);
}

static void
connect_consumer (Fixture * fixture)
{
  GError *error = NULL;
  MmapItem item;

  fixture->consumer = mmap_consumer_new (fixture->address, &error);
  g_assert_no_error (error);
  next_item (fixture->consumer, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (fixture->producer, 1);
}

/* The consumer's copy of a frame that holds @number. */
static void
send_frame (Fixture * fixture, guint64 number, MmapItem * item)
{
  publish_frame (fixture->producer, number, FRAME);
  next_item (fixture->consumer, item, MMAP_NEXT_FRAME);
}

static guint8 *
address_of (GstMemory * memory)
{
  GstMapInfo map;
  guint8 *data;

  g_assert_true (gst_memory_map (memory, &map, GST_MAP_READ));
  data = map.data;
  g_assert_cmpuint (map.size, ==, gst_memory_get_sizes (memory, NULL, NULL));
  gst_memory_unmap (memory, &map);
  return data;
}

static MmapBlock *
take_block (Fixture * fixture, gsize size)
{
  MmapBlock *block = gst_mmap_allocator_take_block (fixture->allocator, size, 1,
      MMAP_ALLOC_COPY);

  g_assert_nonnull (block);
  return block;
}

/* --- wrapping --- */

static void
test_wrap_block (void)
{
  Fixture fixture;
  MmapBlock *block;
  GstMemory *memory;
  GstMapInfo map;
  gsize offset, maxsize;

  fixture_init (&fixture, CAPACITY);
  g_assert_true (gst_mmap_allocator_get_region (fixture.allocator) ==
      fixture.region);
  g_assert_true (gst_mmap_allocator_get_producer (fixture.allocator) ==
      fixture.producer);
  /* So that it doesn't lie at the start of all blocks. */
  mmap_block_unref (take_block (&fixture, 1000));
  block = take_block (&fixture, 5000);
  memory = gst_mmap_allocator_wrap_block (fixture.allocator, block, 5000);

  g_assert_true (gst_is_fd_memory (memory));
  g_assert_true (gst_memory_is_type (memory, "mmap"));
  g_assert_cmpint (gst_fd_memory_get_fd (memory), ==, fixture.region->fd);
  g_assert_cmpuint (gst_memory_get_sizes (memory, &offset, &maxsize), ==, 5000);
  g_assert_cmpuint (offset, ==, block->offset);
  g_assert_cmpuint (maxsize, ==, block->offset + block->size);
  g_assert_true (gst_mmap_memory_get_block (memory) == block);
  /* No mmap: it is the one mapping of the region. */
  g_assert_true (address_of (memory) == fixture.region->base + block->offset);
  g_assert_true (gst_memory_map (memory, &map, GST_MAP_WRITE));
  g_assert_true (map.data == fixture.region->base + block->offset);
  memset (map.data, 0x77, map.size);
  gst_memory_unmap (memory, &map);
  g_assert_cmphex (mmap_block_get_data (block)[4999], ==, 0x77);

  /* Grows to the end of its block, and no further. */
  gst_memory_resize (memory, 0, block->size);
  g_assert_true (address_of (memory) == mmap_block_get_data (block));
  gst_memory_unref (memory);
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

static void
test_grows_no_further (void)
{
  if (g_test_subprocess ()) {
    Fixture fixture;
    MmapBlock *block;

    fixture_init (&fixture, CAPACITY);
    block = take_block (&fixture, 5000);
    gst_memory_resize (gst_mmap_allocator_wrap_block (fixture.allocator, block,
            5000), 0, block->size + 1);
    return;
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr ("*CRITICAL*gst_memory_resize*");
}

/* The block is free when the last memory that shows a part of it is gone. */
static void
test_share (void)
{
  Fixture fixture;
  MmapBlock *block;
  GstMemory *memory, *share, *part;
  guint64 all;

  fixture_init (&fixture, CAPACITY);
  all = mmap_producer_get_capacity (fixture.producer);
  block = take_block (&fixture, FRAME);
  memory = gst_mmap_allocator_wrap_block (fixture.allocator, block, FRAME);
  fill_frame (mmap_block_get_data (block), FRAME, 7);
  share = gst_memory_share (memory, 1000, 5000);
  part = gst_memory_share (share, 24, 100);

  g_assert_true (gst_mmap_memory_get_block (share) == block);
  g_assert_true (gst_mmap_memory_get_block (part) == block);
  g_assert_true (address_of (share) == mmap_block_get_data (block) + 1000);
  g_assert_true (address_of (part) == mmap_block_get_data (block) + 1024);
  g_assert_cmpuint (gst_memory_get_sizes (part, NULL, NULL), ==, 100);

  gst_memory_unref (memory);
  gst_memory_unref (share);
  g_assert_null (mmap_producer_alloc (fixture.producer, all, 1,
          MMAP_ALLOC_COPY));
  g_assert_true (gst_mmap_memory_get_block (part) == block);
  gst_memory_unref (part);
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

static void
test_copy (void)
{
  Fixture fixture;
  MmapBlock *block;
  GstMemory *memory, *copy;

  fixture_init (&fixture, CAPACITY);
  block = take_block (&fixture, FRAME);
  memory = gst_mmap_allocator_wrap_block (fixture.allocator, block, FRAME);
  fill_frame (mmap_block_get_data (block), FRAME, 7);
  copy = gst_memory_copy (memory, 16, FRAME - 16);
  g_assert_true (gst_mmap_memory_get_block (copy) != block);
  g_assert_true (address_of (copy) != address_of (memory) + 16);
  g_assert_cmpmem (address_of (copy), FRAME - 16,
      mmap_block_get_data (block) + 16, FRAME - 16);
  gst_memory_unref (memory);
  gst_memory_unref (copy);
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

/* It goes past the caches. */
static void
test_copy_large (void)
{
  const gsize size = MMAP_COPY_STREAM_BYTES + 12345;
  Fixture fixture;
  MmapBlock *block;
  GstMemory *memory, *copy;

  fixture_init (&fixture, 4 * size);
  block = take_block (&fixture, size);
  memory = gst_mmap_allocator_wrap_block (fixture.allocator, block, size);
  fill_frame (mmap_block_get_data (block), size, 7);
  copy = gst_memory_copy (memory, 17, -1);
  g_assert_nonnull (gst_mmap_memory_get_block (copy));
  g_assert_cmpmem (address_of (copy), gst_memory_get_sizes (copy, NULL, NULL),
      mmap_block_get_data (block) + 17, size - 17);
  gst_memory_unref (memory);
  gst_memory_unref (copy);
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

/* Neither other memory nor that of consumers is a block. */
static void
test_no_block (void)
{
  Fixture fixture;
  GstAllocator *fd_allocator = gst_fd_allocator_new ();
  GstMemory *system = gst_allocator_alloc (NULL, 100, NULL);
  GstMemory *fd_memory;

  fixture_init (&fixture, CAPACITY);
  fd_memory = gst_fd_allocator_alloc (fd_allocator, fixture.region->fd, 4096,
      GST_FD_MEMORY_FLAG_DONT_CLOSE);
  g_assert_null (gst_mmap_memory_get_block (system));
  g_assert_null (gst_mmap_memory_get_block (fd_memory));
  gst_memory_unref (system);
  gst_memory_unref (fd_memory);
  gst_object_unref (fd_allocator);
  fixture_clear (&fixture);
}

/* --- alloc --- */

static void
check_alloc (Fixture * fixture, gsize size, gsize align, gsize prefix,
    gsize padding)
{
  GstAllocationParams params = { GST_MEMORY_FLAG_ZERO_PREFIXED
        | GST_MEMORY_FLAG_ZERO_PADDED, align - 1, prefix, padding
  };
  MmapBlock *dirty = take_block (fixture, size + prefix + padding + 8192);
  MmapBlock *small, *block;
  gsize offset, maxsize;
  guint64 position;
  GstMemory *memory;
  GstMapInfo map;
  gsize i;

  /* What was there before. */
  memset (mmap_block_get_data (dirty), 0xaa, dirty->size);
  mmap_block_unref (dirty);
  /* So that what follows is not aligned by chance. */
  small = take_block (fixture, 1);
  memory = gst_allocator_alloc (fixture->blocks, size, &params);
  block = gst_mmap_memory_get_block (memory);
  g_assert_nonnull (block);
  g_assert_cmpuint (gst_memory_get_sizes (memory, &offset, &maxsize), ==, size);
  g_assert_cmpuint (offset, ==, prefix);
  g_assert_cmpuint (maxsize - offset, >=, size + padding);
  g_assert_true (gst_mmap_memory_get_position (memory, &position));
  g_assert_cmpuint (position, ==, block->offset + prefix);
  g_assert_false (gst_is_fd_memory (memory));
  g_assert_cmpuint ((guintptr) mmap_block_get_data (block) % align, ==, 0);
  g_assert_true (address_of (memory) == mmap_block_get_data (block) + prefix);

  g_assert_true (gst_memory_map (memory, &map, GST_MAP_WRITE));
  memset (map.data, 0xbb, size);
  gst_memory_unmap (memory, &map);
  for (i = 0; i < prefix; i++)
    g_assert_cmphex (mmap_block_get_data (block)[i], ==, 0);
  for (i = 0; i < padding; i++)
    g_assert_cmphex (mmap_block_get_data (block)[prefix + size + i], ==, 0);
  gst_memory_unref (memory);
  mmap_block_unref (small);
}

static void
test_alloc (void)
{
  static const gsize sizes[] = { 1, 100, 4096, 70001, 1000000 };
  Fixture fixture;
  gsize align;
  guint i;

  fixture_init (&fixture, CAPACITY);
  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (align = 1; align <= 4096; align *= 2) {
      check_alloc (&fixture, sizes[i], align, 0, 0);
      check_alloc (&fixture, sizes[i], align, 100, 0);
      check_alloc (&fixture, sizes[i], align, 0, 33);
      check_alloc (&fixture, sizes[i], align, 4096, 4096);
    }
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

/* A pool of somebody else's makes the offset 0 before it uses a buffer again: that must be the start of the block. */
static void
test_foreign_pool (void)
{
  GstBufferPool *pool = gst_buffer_pool_new ();
  GstStructure *config = gst_buffer_pool_get_config (pool);
  Fixture fixture;
  guint i;

  fixture_init (&fixture, CAPACITY);
  gst_buffer_pool_config_set_params (config, NULL, FRAME, 1, 1);
  gst_buffer_pool_config_set_allocator (config, fixture.blocks, NULL);
  g_assert_true (gst_buffer_pool_set_config (pool, config));
  g_assert_true (gst_buffer_pool_set_active (pool, TRUE));
  for (i = 0; i < 5; i++) {
    GstBuffer *buffer = NULL;
    GstMemory *memory;
    guint64 position;

    g_assert_cmpint (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL), ==,
        GST_FLOW_OK);
    memory = gst_buffer_peek_memory (buffer, 0);
    g_assert_nonnull (gst_mmap_memory_get_block (memory));
    g_assert_true (gst_mmap_memory_get_position (memory, &position));
    gst_buffer_memset (buffer, 0, 0xee, FRAME);
    gst_buffer_unref (buffer);
  }
  g_assert_cmpmem (fixture.region->header->magic, 8, MMAP_REGION_MAGIC, 8);
  gst_buffer_pool_set_active (pool, FALSE);
  gst_object_unref (pool);
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

/* Upstream keeps all it gets: the rest is system memory, and comes at once. */
static void
test_scarce (void)
{
  Fixture fixture;
  GPtrArray *kept =
      g_ptr_array_new_with_free_func ((GDestroyNotify) gst_memory_unref);
  GstAllocationParams params = { 0, 63, 10, 20 };
  guint n_blocks = 0, i;

  fixture_init (&fixture, CAPACITY);
  for (i = 0; i < 200; i++) {
    GstMemory *memory = gst_allocator_alloc (fixture.blocks, FRAME, &params);

    g_assert_nonnull (memory);
    g_assert_cmpuint (gst_memory_get_sizes (memory, NULL, NULL), ==, FRAME);
    memset (address_of (memory), i, FRAME);
    if (gst_mmap_memory_get_block (memory))
      n_blocks++;
    g_ptr_array_add (kept, memory);
  }
  /* A quarter of the region is left for copies. */
  g_assert_cmpuint (n_blocks, >, 30);
  g_assert_cmpuint (n_blocks, <=, 48);
  mmap_block_unref (take_block (&fixture, CAPACITY / 5));
  for (i = 0; i < kept->len; i++) {
    guint8 *data = address_of (g_ptr_array_index (kept, i));

    g_assert_cmphex (data[0], ==, i & 0xff);
    g_assert_cmphex (data[FRAME - 1], ==, i & 0xff);
  }
  g_ptr_array_unref (kept);
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

/* As much as there is not, ever. */
static void
test_too_large (void)
{
  Fixture fixture;
  GstMemory *memory;

  fixture_init (&fixture, CAPACITY);
  memory = gst_allocator_alloc (fixture.blocks, CAPACITY * 2, NULL);
  g_assert_nonnull (memory);
  g_assert_null (gst_mmap_memory_get_block (memory));
  gst_memory_unref (memory);
  g_assert_null (gst_mmap_allocator_take_block (fixture.allocator,
          G_MAXUINT64 / 2, 1, MMAP_ALLOC_UPSTREAM));
  g_assert_null (gst_mmap_allocator_take_block (fixture.allocator, G_MAXUINT64,
          1, MMAP_ALLOC_UPSTREAM));
  g_assert_null (gst_mmap_allocator_take_block (fixture.allocator,
          G_MAXUINT64 / 2 + 1, 1, MMAP_ALLOC_POOL));
  fixture_clear (&fixture);
}

/* After the sink has made a larger region, and after it was stopped. */
static void
test_old_region (void)
{
  Fixture fixture;
  GError *error = NULL;
  GstMemory *memory;

  fixture_init (&fixture, CAPACITY);
  g_assert_true (mmap_producer_set_region (fixture.producer,
          mmap_producer_size_for (2 * CAPACITY), G_MAXUINT64, NULL, &error));
  g_assert_null (gst_mmap_allocator_take_block (fixture.allocator, 100, 1,
          MMAP_ALLOC_COPY));
  memory = gst_allocator_alloc (fixture.blocks, 100, NULL);
  g_assert_null (gst_mmap_memory_get_block (memory));
  gst_memory_unref (memory);
  mmap_producer_close (fixture.producer);
  memory = gst_allocator_alloc (fixture.blocks, 100, NULL);
  g_assert_null (gst_mmap_memory_get_block (memory));
  gst_memory_unref (memory);
  fixture_clear (&fixture);
}

static void
test_outlives_producer (void)
{
  Fixture fixture;
  GstMemory *memory;

  fixture_init (&fixture, CAPACITY);
  memory = gst_allocator_alloc (fixture.blocks, FRAME, NULL);
  g_assert_nonnull (gst_mmap_memory_get_block (memory));
  fill_frame (address_of (memory), FRAME, 3);
  fixture_clear (&fixture);
  memset (address_of (memory), 1, FRAME);
  gst_memory_unref (memory);
}

/* --- waiting --- */

static gpointer
alloc_thread (gpointer data)
{
  Fixture *fixture = data;

  return gst_allocator_alloc (fixture->blocks, CAPACITY / 2, NULL);
}

/* Nearly all blocks are in frames that the consumer has not read. */
static void
fill_unread (Fixture * fixture)
{
  guint i;

  connect_consumer (fixture);
  for (i = 0; i < CAPACITY / FRAME - 8; i++)
    publish_frame (fixture->producer, i, FRAME);
}

static void
wait_for_waits (MmapProducer * producer, guint64 n)
{
  MmapProducerStats stats;

  do {
    g_usleep (1000);
    mmap_producer_get_stats (producer, &stats);
  } while (stats.waits < n);
}

static void
test_flushing_ends_a_wait (void)
{
  Fixture fixture;
  GThread *thread;
  GstMemory *memory;

  fixture_init (&fixture, CAPACITY);
  fill_unread (&fixture);
  thread = g_thread_new ("alloc", alloc_thread, &fixture);
  wait_for_waits (fixture.producer, 1);
  gst_mmap_allocator_set_flushing (fixture.allocator, TRUE);
  memory = g_thread_join (thread);
  g_assert_null (gst_mmap_memory_get_block (memory));
  gst_memory_unref (memory);
  /* And no other begins. */
  memory = alloc_thread (&fixture);
  g_assert_null (gst_mmap_memory_get_block (memory));
  gst_memory_unref (memory);
  gst_mmap_allocator_set_flushing (fixture.allocator, FALSE);
  fixture_clear (&fixture);
}

/* The consumer reads and gives back: the waiting thread gets a block. */
static void
test_waits_for_consumer (void)
{
  Fixture fixture;
  GThread *thread;
  GstMemory *memory;
  guint i;

  fixture_init (&fixture, CAPACITY);
  fill_unread (&fixture);
  thread = g_thread_new ("alloc", alloc_thread, &fixture);
  wait_for_waits (fixture.producer, 1);
  for (i = 0; i < CAPACITY / FRAME - 8; i++) {
    MmapItem item;

    next_item (fixture.consumer, &item, MMAP_NEXT_FRAME);
    check_frame (&item, i);
    release_item (&item);
  }
  memory = g_thread_join (thread);
  g_assert_nonnull (gst_mmap_memory_get_block (memory));
  gst_memory_unref (memory);
  fixture_clear (&fixture);
}

/* The consumer has read all and keeps it: after a moment, once, there is system memory. */
static void
test_consumer_keeps (void)
{
  Fixture fixture;
  MmapItem items[CAPACITY / FRAME];
  GstMemory *memory;
  guint n = CAPACITY / FRAME - 8, i;

  fixture_init (&fixture, CAPACITY);
  connect_consumer (&fixture);
  for (i = 0; i < n; i++)
    send_frame (&fixture, i, &items[i]);
  for (i = 0; i < 3; i++) {
    memory = alloc_thread (&fixture);
    g_assert_null (gst_mmap_memory_get_block (memory));
    gst_memory_unref (memory);
  }
  for (i = 0; i < n; i++)
    release_item (&items[i]);
  memory = alloc_thread (&fixture);
  g_assert_nonnull (gst_mmap_memory_get_block (memory));
  gst_memory_unref (memory);
  fixture_clear (&fixture);
}

static void
test_close_ends_a_wait (void)
{
  Fixture fixture;
  GThread *thread;
  GstMemory *memory;

  fixture_init (&fixture, CAPACITY);
  fill_unread (&fixture);
  thread = g_thread_new ("alloc", alloc_thread, &fixture);
  wait_for_waits (fixture.producer, 1);
  mmap_producer_close (fixture.producer);
  memory = g_thread_join (thread);
  g_assert_null (gst_mmap_memory_get_block (memory));
  gst_memory_unref (memory);
  fixture_clear (&fixture);
}

/* --- the consumer's side --- */

static void
test_item_is_read_only (void)
{
  Fixture fixture;
  GstAllocator *allocator;
  MmapItem item;
  GstMemory *memory, *share;
  GstBuffer *buffer;
  GstMapInfo map;
  gsize offset, maxsize;

  fixture_init (&fixture, CAPACITY);
  connect_consumer (&fixture);
  send_frame (&fixture, 9, &item);
  allocator = gst_mmap_allocator_new (item.region, NULL);
  g_assert_null (gst_mmap_allocator_get_producer (allocator));
  memory = gst_mmap_allocator_wrap_item (allocator, &item);
  gst_object_unref (allocator);

  g_assert_true (GST_MEMORY_IS_READONLY (memory));
  g_assert_false (gst_memory_map (memory, &map, GST_MAP_WRITE));
  g_assert_false (gst_memory_map (memory, &map, GST_MAP_READWRITE));
  g_assert_true (address_of (memory) == item.data);
  g_assert_cmpint (gst_fd_memory_get_fd (memory), ==, item.region->fd);
  g_assert_cmpuint (gst_memory_get_sizes (memory, &offset, &maxsize), ==,
      FRAME);
  g_assert_cmpuint (offset, ==, item.descriptor.offset);
  g_assert_cmpuint (maxsize, ==, item.descriptor.offset + FRAME);
  g_assert_null (gst_mmap_memory_get_block (memory));
  share = gst_memory_share (memory, 100, 100);
  g_assert_true (GST_MEMORY_IS_READONLY (share));
  g_assert_false (gst_memory_map (share, &map, GST_MAP_WRITE));
  g_assert_true (address_of (share) == item.data + 100);
  gst_memory_unref (share);

  /* Who writes, writes into a copy. */
  buffer = gst_buffer_new ();
  gst_buffer_append_memory (buffer, gst_memory_ref (memory));
  buffer = gst_buffer_make_writable (buffer);
  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_WRITE));
  g_assert_true (map.data != item.data);
  g_assert_cmpmem (map.data, map.size, item.data, FRAME);
  memset (map.data, 0, map.size);
  gst_buffer_unmap (buffer, &map);
  check_frame (&item, 9);
  gst_buffer_unref (buffer);
  gst_memory_unref (memory);
  mmap_item_clear (&item);
  fixture_clear (&fixture);
}

/* The frame is given back when the last memory that shows a part of it is gone. */
static void
test_item_is_given_back (void)
{
  Fixture fixture;
  MmapItem item;
  GstMemory *memory, *share;
  GstAllocator *allocator;

  fixture_init (&fixture, CAPACITY);
  connect_consumer (&fixture);
  send_frame (&fixture, 9, &item);
  allocator = gst_mmap_allocator_new (item.region, NULL);
  memory = gst_mmap_allocator_wrap_item (allocator, &item);
  mmap_item_clear (&item);
  share = gst_memory_share (memory, 0, 8);
  gst_memory_unref (memory);
  mmap_producer_collect (fixture.producer);
  g_assert_cmpuint (mmap_producer_get_held (fixture.producer), ==, 1);
  gst_memory_unref (share);
  wait_for_held (fixture.producer, 0);
  gst_object_unref (allocator);
  fixture_clear (&fixture);
}

static void
test_item_outlives_everything (void)
{
  Fixture fixture;
  MmapItem item;
  GstMemory *memory;
  GstAllocator *allocator;
  g_autofree guint8 *expected = g_malloc (FRAME);

  fill_frame (expected, FRAME, 9);
  fixture_init (&fixture, CAPACITY);
  connect_consumer (&fixture);
  send_frame (&fixture, 9, &item);
  allocator = gst_mmap_allocator_new (item.region, NULL);
  memory = gst_mmap_allocator_wrap_item (allocator, &item);
  mmap_item_clear (&item);
  gst_object_unref (allocator);
  fixture_clear (&fixture);
  g_assert_cmpmem (address_of (memory), FRAME, expected, FRAME);
  gst_memory_unref (memory);
}

/* --- threads --- */

#define N_THREADS 4

static gpointer
churn (gpointer data)
{
  Fixture *fixture = data;
  guint8 mark = g_random_int ();
  GstMemory *kept[8] = { NULL };
  guint i, n_blocks = 0;

  for (i = 0; i < 20000; i++) {
    GstMemory **memory = &kept[i % G_N_ELEMENTS (kept)];
    gsize size = 64 + i * 7919 % 50000;

    if (*memory) {
      gsize old = gst_memory_get_sizes (*memory, NULL, NULL);
      guint8 *bytes = address_of (*memory);

      /* Nobody else has written there. */
      g_assert_cmphex (bytes[0], ==, (guint8) (mark + old));
      g_assert_cmphex (bytes[old - 1], ==, (guint8) (mark + old));
      gst_memory_unref (*memory);
    }
    *memory = gst_allocator_alloc (fixture->blocks, size, NULL);
    address_of (*memory)[0] = mark + size;
    address_of (*memory)[size - 1] = mark + size;
    if (gst_mmap_memory_get_block (*memory))
      n_blocks++;
  }
  for (i = 0; i < G_N_ELEMENTS (kept); i++)
    gst_memory_unref (kept[i]);
  return GUINT_TO_POINTER (n_blocks);
}

static void
test_threads (void)
{
  GThread *threads[N_THREADS];
  Fixture fixture;
  guint n_blocks = 0, i;

  fixture_init (&fixture, CAPACITY);
  for (i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("churn", churn, &fixture);
  for (i = 0; i < N_THREADS; i++)
    n_blocks += GPOINTER_TO_UINT (g_thread_join (threads[i]));
  g_assert_cmpuint (n_blocks, >, N_THREADS * 10000);
  check_all_free (fixture.producer);
  fixture_clear (&fixture);
}

static void
add_tests (void)
{
  leak_check_add_test ("/allocator/wrap-block", test_wrap_block);
  leak_check_add_test ("/allocator/grows-no-further", test_grows_no_further);
  leak_check_add_test ("/allocator/share", test_share);
  leak_check_add_test ("/allocator/copy", test_copy);
  leak_check_add_test ("/allocator/copy-large", test_copy_large);
  leak_check_add_test ("/allocator/no-block", test_no_block);
  leak_check_add_test ("/allocator/alloc", test_alloc);
  leak_check_add_test ("/allocator/foreign-pool", test_foreign_pool);
  leak_check_add_test ("/allocator/scarce", test_scarce);
  leak_check_add_test ("/allocator/too-large", test_too_large);
  leak_check_add_test ("/allocator/old-region", test_old_region);
  leak_check_add_test ("/allocator/outlives-producer", test_outlives_producer);
  leak_check_add_test ("/allocator/flushing-ends-a-wait",
      test_flushing_ends_a_wait);
  leak_check_add_test ("/allocator/waits-for-consumer",
      test_waits_for_consumer);
  leak_check_add_test ("/allocator/consumer-keeps", test_consumer_keeps);
  leak_check_add_test ("/allocator/close-ends-a-wait", test_close_ends_a_wait);
  leak_check_add_test ("/allocator/item-is-read-only", test_item_is_read_only);
  leak_check_add_test ("/allocator/item-is-given-back",
      test_item_is_given_back);
  leak_check_add_test ("/allocator/item-outlives-everything",
      test_item_outlives_everything);
  leak_check_add_test ("/allocator/threads", test_threads);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
