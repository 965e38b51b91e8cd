/* gst-mmap: tests of the producer while its memory is being reserved
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`.
 */
#include "leak-check.h"
#include "peers.h"
#include "slow-memory.h"

#include <string.h>
#include <sys/stat.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define FRAME (3 * MIB)

static char *address;

static void
set_region (MmapProducer * producer, guint64 bytes)
{
  GError *error = NULL;

  mmap_producer_set_region (producer, mmap_producer_size_for (bytes), FRAME,
      "video/x-test", &error);
  g_assert_no_error (error);
}

/* A producer whose memory for one frame is there, and for no more. */
static MmapProducer *
make_waiting_producer (guint64 bytes)
{
  MmapProducer *producer = make_producer (address, 0);

  slow_memory_set (MEMORY_COMES_ONCE);
  set_region (producer, bytes);
  slow_memory_wait_for_piece ();
  return producer;
}

static void
wait_until_reserved (MmapProducer * producer)
{
  MmapCancel cancel = { FALSE };
  guint64 serial = mmap_producer_collect (producer);

  while (mmap_producer_expects_room (producer, serial)) {
    g_assert_cmpint (mmap_producer_wait (producer, &cancel, serial, -1), ==,
        MMAP_WAIT_OK);
    serial = mmap_producer_collect (producer);
  }
}

static guint64
get_reserved_bytes (MmapProducer * producer)
{
  MmapRegion *region = mmap_producer_dup_region (producer);
  struct stat st;

  g_assert_cmpint (fstat (region->fd, &st), ==, 0);
  mmap_region_unref (region);
  return st.st_blocks * 512;
}

/* One frame goes through while there is memory for no other. */
static void
test_first_frame (void)
{
  MmapProducer *producer = make_waiting_producer (16 * FRAME);
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  guint64 serial = mmap_producer_collect (producer);
  MmapBlock *block;
  MmapItem item;
  guint i;

  g_assert_cmpuint (mmap_producer_get_capacity (producer), >=, 16 * FRAME);
  g_assert_cmpuint (get_reserved_bytes (producer), <, 2 * FRAME);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (producer, 1);
  publish_frame (producer, 1, FRAME);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, 1);
  /* Others will come: it may be kept. */
  g_assert_cmpuint (item.descriptor.hints, ==, 0);
  g_assert_false (item.should_copy);

  g_assert_null (mmap_producer_alloc (producer, FRAME, 64, MMAP_ALLOC_COPY));
  serial = mmap_producer_collect (producer);
  g_assert_true (mmap_producer_expects_room (producer, serial));
  slow_memory_set (MEMORY_COMES);
  for (i = 2; i < 100; i++) {
    MmapItem next;

    publish_frame (producer, i, FRAME);
    next_item (consumer, &next, MMAP_NEXT_FRAME);
    check_frame (&next, i);
    release_item (&next);
  }
  release_item (&item);
  wait_until_reserved (producer);
  /* What came in the meantime doesn't go unnoticed. */
  g_assert_true (mmap_producer_expects_room (producer, serial));
  wait_for_held (producer, 0);
  check_all_free (producer);
  block = mmap_producer_alloc (producer, mmap_producer_get_capacity (producer),
      64, MMAP_ALLOC_COPY);
  g_assert_nonnull (block);
  mmap_block_unref (block);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* Blocks for upstream leave room for one more: that it is still to come is enough. */
static void
test_uses (void)
{
  MmapProducer *producer = make_waiting_producer (4 * FRAME);
  MmapBlock *blocks[4];
  guint i;

  blocks[0] = mmap_producer_alloc (producer, FRAME, 64, MMAP_ALLOC_POOL);
  g_assert_nonnull (blocks[0]);
  mmap_block_unref (blocks[0]);
  blocks[0] = mmap_producer_alloc (producer, FRAME, 64, MMAP_ALLOC_UPSTREAM);
  g_assert_nonnull (blocks[0]);
  g_assert_null (mmap_producer_alloc (producer, FRAME, 64, MMAP_ALLOC_POOL));
  slow_memory_set (MEMORY_COMES);
  wait_until_reserved (producer);
  for (i = 1; i < 3; i++) {
    blocks[i] = mmap_producer_alloc (producer, FRAME, 64, MMAP_ALLOC_POOL);
    g_assert_nonnull (blocks[i]);
  }
  g_assert_null (mmap_producer_alloc (producer, FRAME, 64, MMAP_ALLOC_POOL));
  blocks[3] = mmap_producer_alloc (producer, FRAME, 64, MMAP_ALLOC_COPY);
  g_assert_nonnull (blocks[3]);
  for (i = 0; i < 4; i++)
    mmap_block_unref (blocks[i]);
  end_producer (producer);
}

/* Events that are kept are placed before the region is offered, whatever their size. */
static void
test_large_event (void)
{
  char *caps = g_strnfill (700000, 'x');
  MmapProducer *producer = make_producer (address, 0);
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  MmapItem item;

  slow_memory_set (MEMORY_WAITS);
  push_event (producer, MMAP_EVENT_CAPS, caps);
  mmap_producer_set_region (producer, mmap_producer_size_for (8 * MIB), 4096,
      NULL, &error);
  g_assert_no_error (error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  next_item (consumer, &item, MMAP_NEXT_EVENT);
  g_assert_cmpmem (item.data, item.descriptor.size, caps, strlen (caps));
  mmap_item_clear (&item);
  slow_memory_set (MEMORY_COMES);
  mmap_consumer_free (consumer);
  end_producer (producer);
  g_free (caps);
}

typedef struct
{
  gint n_failed;
  gboolean waiter_ended;
} Failures;

static void
failed (const GError * reason, gpointer data)
{
  Failures *failures = data;

  g_assert_error (reason, MMAP_ERROR, MMAP_ERROR_NO_SPACE);
  /* Reported first, so that what comes of it is not. */
  g_assert_false (g_atomic_int_get (&failures->waiter_ended));
  g_atomic_int_inc (&failures->n_failed);
}

typedef struct
{
  MmapProducer *producer;
  Failures *failures;
} Waiter;

static gpointer
wait_for_block (gpointer data)
{
  Waiter *waiter = data;
  MmapCancel cancel = { FALSE };
  MmapWaitResult result;

  do {
    guint64 serial = mmap_producer_collect (waiter->producer);

    g_assert_null (mmap_producer_alloc (waiter->producer, FRAME, 64,
            MMAP_ALLOC_COPY));
    result = mmap_producer_wait (waiter->producer, &cancel, serial, -1);
  } while (result == MMAP_WAIT_OK);
  g_atomic_int_set (&waiter->failures->waiter_ended, TRUE);
  return GINT_TO_POINTER (result);
}

/* Memory that doesn't come is reported, and who waits for it ends. */
static void
test_fails (void)
{
  MmapProducerCallbacks callbacks = {.failed = failed };
  GError *error = NULL;
  MmapProducer *producer =
      mmap_producer_new (address, NULL, MMAP_TOKEN_DEFAULT_BYTES, &error);
  Failures failures = { 0, };
  Waiter waiter = { producer, &failures };
  MmapCancel cancel = { FALSE };
  GThread *threads[3];
  MmapBlock *block;
  guint i;

  g_assert_no_error (error);
  mmap_producer_set_callbacks (producer, &callbacks, &failures);
  g_assert_true (mmap_producer_start (producer, NULL));
  slow_memory_set (MEMORY_COMES_ONCE);
  set_region (producer, 8 * FRAME);
  slow_memory_wait_for_piece ();
  block = mmap_producer_alloc (producer, FRAME, 64, MMAP_ALLOC_COPY);
  g_assert_nonnull (block);
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("waiter", wait_for_block, &waiter);
  g_assert_false (mmap_producer_has_failed (producer));
  slow_memory_set (MEMORY_FAILS);
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (threads[i])), ==,
        MMAP_WAIT_FAILED);
  g_assert_cmpint (failures.n_failed, ==, 1);
  g_assert_true (mmap_producer_has_failed (producer));
  g_assert_false (mmap_producer_expects_room (producer, 0));
  g_assert_cmpint (mmap_producer_wait (producer, &cancel,
          mmap_producer_collect (producer), -1), ==, MMAP_WAIT_FAILED);

  /* What was reserved is. */
  memset (mmap_block_get_data (block), 1, block->size);
  mmap_block_unref (block);
  block = mmap_producer_alloc (producer, FRAME, 64, MMAP_ALLOC_COPY);
  g_assert_nonnull (block);
  mmap_block_unref (block);
  end_producer (producer);
  g_assert_cmpint (failures.n_failed, ==, 1);
}

/* Ends with the piece that is under way. */
static void
test_close (void)
{
  MmapProducer *producer = make_producer (address, 0);
  guint before;

  slow_memory_set (MEMORY_IS_SLOW);
  before = slow_memory_get_pieces ();
  set_region (producer, 256 * MIB);
  publish_frame (producer, 1, FRAME);
  end_producer (producer);
  g_assert_cmpuint (slow_memory_get_pieces () - before, <, 100);
}

/* Regions that are replaced while they are being reserved, with a consumer. */
static void
test_replace (void)
{
  MmapProducer *producer = make_producer (address, 0);
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  guint before = slow_memory_get_pieces ();
  MmapItem old, item;
  guint i;

  slow_memory_set (MEMORY_IS_SLOW);
  set_region (producer, 256 * MIB);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (producer, 1);
  publish_frame (producer, 1, FRAME);
  next_item (consumer, &old, MMAP_NEXT_FRAME);
  for (i = 2; i < 8; i++) {
    set_region (producer, (256 + i) * MIB);
    publish_frame (producer, i, FRAME);
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    g_assert_cmpuint (item.region->region_id, ==, i);
    check_frame (&item, i);
    release_item (&item);
  }
  check_frame (&old, 1);
  release_item (&old);
  /* None was reserved to its end. */
  g_assert_cmpuint (slow_memory_get_pieces () - before, <, 200);
  slow_memory_set (MEMORY_COMES);
  wait_until_reserved (producer);
  g_assert_cmpuint (get_reserved_bytes (producer), >=, 263 * MIB);
  wait_for_held (producer, 0);
  check_all_free (producer);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* A larger region that can't be had: the one that there is goes on. */
static void
test_replace_fails (void)
{
  MmapProducer *producer = make_producer (address, 0);
  GError *error = NULL;

  slow_memory_set (MEMORY_IS_SLOW);
  set_region (producer, 8 * FRAME);
  g_assert_false (mmap_producer_set_region (producer, MMAP_REGION_MAX_BYTES,
          FRAME, NULL, &error));
  check_error (&error, MMAP_ERROR_NO_SPACE, "1099511627776");
  wait_until_reserved (producer);
  g_assert_cmpuint (get_reserved_bytes (producer), >=, 8 * FRAME);
  check_all_free (producer);
  end_producer (producer);
}

/* A file of which the first part is reserved has its name, and goes with its producer. */
static void
test_file (void)
{
  GError *error = NULL;
  char *path = leak_check_path ("region");
  MmapProducer *producer =
      mmap_producer_new (address, path, MMAP_TOKEN_DEFAULT_BYTES, &error);
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  MmapItem item;
  struct stat st;

  g_assert_no_error (error);
  g_assert_true (mmap_producer_start (producer, NULL));
  slow_memory_set (MEMORY_COMES_ONCE);
  set_region (producer, 16 * FRAME);
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpuint (st.st_size, >=, 16 * FRAME);
  g_assert_cmpuint (st.st_blocks * 512, <, 2 * FRAME);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (producer, 1);
  publish_frame (producer, 1, FRAME);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, 1);
  release_item (&item);
  slow_memory_set (MEMORY_COMES);
  wait_until_reserved (producer);
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpuint (st.st_blocks * 512, >=, 16 * FRAME);
  mmap_consumer_free (consumer);
  end_producer (producer);
  g_assert_cmpint (stat (path, &st), ==, -1);
  g_free (path);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  address = leak_check_path ("socket");
  leak_check_add_test ("/producer-reserve/first-frame", test_first_frame);
  leak_check_add_test ("/producer-reserve/uses", test_uses);
  leak_check_add_test ("/producer-reserve/large-event", test_large_event);
  leak_check_add_test ("/producer-reserve/fails", test_fails);
  leak_check_add_test ("/producer-reserve/close", test_close);
  leak_check_add_test ("/producer-reserve/replace", test_replace);
  leak_check_add_test ("/producer-reserve/replace-fails", test_replace_fails);
  leak_check_add_test ("/producer-reserve/file", test_file);
  result = g_test_run ();
  g_free (address);
  return result;
}
