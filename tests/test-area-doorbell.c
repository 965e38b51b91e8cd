/* gst-mmap: tests of links through an ivshmem server's memory, whose sides ring each other
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "areas.h"
#include "bells.h"
#include "leak-check.h"
#include "peers.h"

#include <sys/wait.h>
#include <unistd.h>

#define SIZE (16 << 20)
#define FRAME 4096
#define N_FRAMES 20

static MmapProducer *
start_producer (const char *path)
{
  g_autofree char *file = g_strconcat ("ivshmem-doorbell:", path, NULL);

  return make_area_producer (file, 0, NULL, 4 * FRAME);
}

static MmapConsumer *
new_consumer (const char *path)
{
  g_autofree char *file = g_strconcat ("ivshmem-doorbell:", path, NULL);
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new_in_area (file, "default", &error);

  g_assert_no_error (error);
  return consumer;
}

static guint64
get_waits (MmapConsumer * consumer)
{
  MmapConsumerStats stats;

  mmap_consumer_get_stats (consumer, &stats);
  return stats.waits;
}

typedef struct
{
  MmapConsumer *consumer;
  guint64 frames;
} Counter;

static gpointer
count_frames (gpointer data)
{
  Counter *counter = data;
  MmapItem item;
  guint64 n;

  next_item (counter->consumer, &item, MMAP_NEXT_CONNECTED);
  for (n = 1; n <= N_FRAMES; n++) {
    next_item (counter->consumer, &item, MMAP_NEXT_FRAME);
    check_frame (&item, n);
    /* Late: the producer has no other block. */
    g_usleep (5000);
    release_item (&item);
    __atomic_store_n (&counter->frames, n, __ATOMIC_RELEASE);
  }
  next_item (counter->consumer, &item, MMAP_NEXT_CANCELLED);
  return NULL;
}

/* Until the consumer has had @n frames, and sleeps, or is about to. */
static void
wait_for_sleep (Counter * counter, guint64 n)
{
  guint64 waits;

  while (__atomic_load_n (&counter->frames, __ATOMIC_ACQUIRE) < n)
    g_usleep (1000);
  waits = get_waits (counter->consumer);
  while (get_waits (counter->consumer) <= waits)
    g_usleep (1000);
}

static void
counter_start (Counter * counter, GThread ** thread, const char *path)
{
  counter->consumer = new_consumer (path);
  *thread = g_thread_new ("consumer", count_frames, counter);
}

static void
counter_end (Counter * counter, GThread * thread)
{
  mmap_consumer_set_cancelled (counter->consumer, TRUE);
  g_thread_join (thread);
  mmap_consumer_free (counter->consumer);
}

static void
test_frames (void)
{
  Counter counter = { 0 };
  MmapProducerStats stats;
  MmapProducer *producer;
  BellServer server;
  GThread *thread;
  guint64 n;

  bell_server_start (&server, SIZE, 2);
  counter_start (&counter, &thread, server.path);
  producer = start_producer (server.path);
  wait_for_links (producer, 1);
  for (n = 1; n <= N_FRAMES; n++) {
    if (n % 2)
      wait_for_sleep (&counter, n - 1);
    publish_frame (producer, n, FRAME);
  }
  check_all_free (producer);
  mmap_producer_get_stats (producer, &stats);
  g_assert_cmpuint (stats.wakeups, >=, N_FRAMES / 4);
  counter_end (&counter, thread);
  end_producer (producer);
  bell_server_end (&server);
}

/* Who has nothing to do sleeps, and looks only now and then whether a ring was lost. */
static void
test_idle (void)
{
  Counter counter = { 0 };
  MmapProducer *producer;
  BellServer server;
  GThread *thread;
  guint64 waits;

  bell_server_start (&server, SIZE, 2);
  producer = start_producer (server.path);
  counter_start (&counter, &thread, server.path);
  wait_for_links (producer, 1);
  publish_frame (producer, 1, FRAME);
  wait_for_sleep (&counter, 1);
  waits = get_waits (counter.consumer);
  g_usleep (G_USEC_PER_SEC);
  g_assert_cmpuint (get_waits (counter.consumer) - waits, <, 100);
  for (guint64 n = 2; n <= N_FRAMES; n++)
    publish_frame (producer, n, FRAME);
  check_all_free (producer);
  counter_end (&counter, thread);
  end_producer (producer);
  bell_server_end (&server);
}

/* Another process, which dies: its doorbell is nobody's from then on. */
static void
test_killed (void)
{
  Counter counter = { 0 };
  MmapProducer *producer;
  BellServer server;
  GThread *thread;
  guint64 n;
  pid_t child;

  /* While there is no other thread. */
  child = fork ();
  if (child == 0) {
    g_autofree char *path = leak_check_path ("bell");
    MmapConsumer *consumer = new_consumer (path);
    MmapItem item;

    next_item (consumer, &item, MMAP_NEXT_CONNECTED);
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    _exit (0);
  }
  bell_server_start (&server, SIZE, 2);
  producer = start_producer (server.path);
  wait_for_links (producer, 1);
  publish_frame (producer, 99, FRAME);
  g_assert_cmpint (waitpid (child, NULL, 0), ==, child);
  wait_for_links (producer, 0);
  counter_start (&counter, &thread, server.path);
  wait_for_links (producer, 1);
  for (n = 1; n <= N_FRAMES; n++)
    publish_frame (producer, n, FRAME);
  check_all_free (producer);
  counter_end (&counter, thread);
  end_producer (producer);
  bell_server_end (&server);
}

static void
test_no_server (void)
{
  static const MmapMode own = MMAP_MODE_OWN;
  g_autofree char *path = leak_check_path ("nobody");
  g_autofree char *file = g_strconcat ("ivshmem-doorbell:", path, NULL);
  MmapUsers *users = mmap_users_new (NULL, NULL);
  GError *error = NULL;

  g_assert_null (mmap_producer_new_in_area (file, "default", 0, &own, users,
          MMAP_TOKEN_DEFAULT_BYTES, &error));
  check_error (&error, MMAP_ERROR_NOT_FOUND, "Nobody listens");
  mmap_users_free (users);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/area-doorbell/frames", test_frames);
  leak_check_add_test ("/area-doorbell/idle", test_idle);
  leak_check_add_test ("/area-doorbell/killed", test_killed);
  leak_check_add_test ("/area-doorbell/no-server", test_no_server);
  return g_test_run ();
}
