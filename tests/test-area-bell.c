/* gst-mmap: tests of links through a file whose sides are on one kernel: they wait for words, and wake each other
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "areas.h"
#include "futex.h"
#include "leak-check.h"
#include "peers.h"

#include <sys/mman.h>
#include <unistd.h>

#define SIZE (16 << 20)
#define FRAME 4096
#define N_FRAMES 20

/* Nobody is woken, and with WORDS_ONLY nobody is who waits already. */
static enum
{
  LOUD,
  SILENT,
  WORDS_ONLY
} manner;

void __real_mmap_futex_wake (guint32 * word, guint32 * count);
void __wrap_mmap_futex_wake (guint32 * word, guint32 * count);

void
__wrap_mmap_futex_wake (guint32 * word, guint32 * count)
{
  gint how = g_atomic_int_get ((gint *) & manner);

  if (how == LOUD)
    __real_mmap_futex_wake (word, count);
  else if (how == WORDS_ONLY)
    __atomic_store_n (word, ++*count, __ATOMIC_RELAXED);
}

static MmapConsumer *
new_consumer (const char *file)
{
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
  GThread *thread;
  MmapNextResult end;
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
    g_usleep (2000);
    release_item (&item);
    __atomic_store_n (&counter->frames, n, __ATOMIC_RELEASE);
  }
  next_item (counter->consumer, &item, counter->end);
  return NULL;
}

/* Until the consumer has had @n frames, and sleeps, or is about to. */
static void
wait_for_sleep (Counter * counter, guint64 n)
{
  while (__atomic_load_n (&counter->frames, __ATOMIC_ACQUIRE) < n)
    g_usleep (1000);
  /* It looks for 20 us before. */
  g_usleep (5000);
}

static void
counter_start (Counter * counter, const char *file)
{
  counter->consumer = new_consumer (file);
  counter->end = MMAP_NEXT_CANCELLED;
  counter->thread = g_thread_new ("consumer", count_frames, counter);
}

static void
counter_end (Counter * counter)
{
  mmap_consumer_set_cancelled (counter->consumer, TRUE);
  g_thread_join (counter->thread);
  mmap_consumer_free (counter->consumer);
}

static void
send_frames (MmapProducer * producer, Counter * counter)
{
  guint64 n;

  for (n = 1; n <= N_FRAMES; n++) {
    if (n % 2)
      wait_for_sleep (counter, n - 1);
    publish_frame (producer, n, FRAME);
  }
  check_all_free (producer);
}

static void
test_frames (void)
{
  g_autofree char *file = leak_check_path ("area");
  Counter counter = { 0 };
  MmapConsumerStats consumed;
  MmapProducerStats produced;
  MmapProducer *producer;

  counter_start (&counter, file);
  producer = make_area_producer (file, SIZE, NULL, 4 * FRAME);
  wait_for_links (producer, 1);
  send_frames (producer, &counter);
  mmap_producer_get_stats (producer, &produced);
  g_assert_cmpuint (produced.wakeups, >=, N_FRAMES / 4);
  mmap_consumer_get_stats (counter.consumer, &consumed);
  g_assert_cmpuint (consumed.wakeups, >=, 1);
  counter_end (&counter);
  end_producer (producer);
}

/* Who has nothing to do sleeps, and still hears at once of the end. */
static void
test_idle (void)
{
  g_autofree char *file = leak_check_path ("area");
  Counter counter = { 0 };
  MmapProducer *producer;
  guint64 waits;

  counter_start (&counter, file);
  counter.end = MMAP_NEXT_DISCONNECTED;
  producer = make_area_producer (file, SIZE, NULL, 4 * FRAME);
  wait_for_links (producer, 1);
  send_frames (producer, &counter);
  wait_for_sleep (&counter, N_FRAMES);
  waits = get_waits (counter.consumer);
  g_usleep (G_USEC_PER_SEC);
  g_assert_cmpuint (get_waits (counter.consumer) - waits, <, 10);
  end_producer (producer);
  g_thread_join (counter.thread);
  mmap_consumer_free (counter.consumer);
}

/* One that doesn't wake who says that it sleeps is looked at. */
static void
run_silent (gint how)
{
  g_autofree char *file = leak_check_path ("area");
  Counter counter = { 0 };
  MmapProducer *producer;
  guint64 waits;

  counter_start (&counter, file);
  producer = make_area_producer (file, SIZE, NULL, 4 * FRAME);
  wait_for_links (producer, 1);
  g_atomic_int_set ((gint *) & manner, how);
  send_frames (producer, &counter);
  wait_for_sleep (&counter, N_FRAMES);
  waits = get_waits (counter.consumer);
  while (get_waits (counter.consumer) - waits < 100)
    g_usleep (1000);
  g_atomic_int_set ((gint *) & manner, LOUD);
  counter_end (&counter);
  end_producer (producer);
}

static void
test_silent (void)
{
  run_silent (SILENT);
}

static void
test_words_only (void)
{
  run_silent (WORDS_ONLY);
}

/* --- the words themselves: without a wake-up they take a minute, which is more than the test has --- */

#define LONG_US (60 * G_USEC_PER_SEC)

typedef struct
{
  guint32 *shared;
  guint32 own;
  gint waits;                   /* atomic */
} Words;

static gpointer
wait_for_words (gpointer data)
{
  Words *words = data;
  MmapFutex own = { &words->own, 0 }, other = { words->shared, 0 };

  g_atomic_int_set (&words->waits, TRUE);
  g_assert_true (mmap_futex_wait (&own, &other, 1, LONG_US));
  return NULL;
}

static void
run_words (gboolean wake_own, gboolean late)
{
  Words words = { 0 };
  guint32 count = 0;
  GThread *thread;

  words.shared = mmap (NULL, 4096, PROT_READ | PROT_WRITE,
      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  g_assert_true (mmap_futex_is_usable (words.shared));
  thread = g_thread_new ("words", wait_for_words, &words);
  while (!g_atomic_int_get (&words.waits))
    g_usleep (100);
  if (late)
    g_usleep (20000);
  if (wake_own)
    mmap_futex_wake_own (&words.own);
  else
    mmap_futex_wake (words.shared, &count);
  g_thread_join (thread);
  munmap (words.shared, 4096);
}

static void
test_words (void)
{
  MmapFutex own = { &(guint32) {7}, 7 };
  guint i;

  for (i = 0; i < 4; i++)
    run_words (i & 1, i & 2);
  g_assert_false (mmap_futex_wait (&own, NULL, 0, 1000));
  own.seen = 6;
  g_assert_true (mmap_futex_wait (&own, NULL, 0, LONG_US));
}

/* Memory that the kernel can't wait for. */
static void
test_unusable (void)
{
  MmapFutex own = { &(guint32) {7}, 7 }, gone;
  guint32 *word = mmap (NULL, 4096, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS,
      -1, 0);

  munmap (word, 4096);
  g_assert_false (mmap_futex_is_usable (word));
  gone.word = word;
  gone.seen = 0;
  g_assert_true (mmap_futex_wait (&own, &gone, 1, LONG_US));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/area-bell/words", test_words);
  leak_check_add_test ("/area-bell/unusable", test_unusable);
  leak_check_add_test ("/area-bell/frames", test_frames);
  leak_check_add_test ("/area-bell/idle", test_idle);
  leak_check_add_test ("/area-bell/silent", test_silent);
  leak_check_add_test ("/area-bell/words-only", test_words_only);
  return g_test_run ();
}
