/* gst-mmap: tests of the producer, with consumers that follow the rules
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Those that break the rules are in test-producer-hostile.c.
 */
#include "leak-check.h"
#include "peers.h"
#include "producer-private.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the event ring: what only flushes use. */
#define FLUSH_SLOTS 8

#define MIB (G_GUINT64_CONSTANT (1) << 20)

static char *address;

static void
test_new (void)
{
  GError *error = NULL;
  MmapProducer *producer;
  MmapProducerStats stats;
  MmapDescriptor frame = { 0, };
  MmapCancel cancel = { FALSE };
  guint64 size, session;
  char *file, *media, *used;

  g_assert_null (mmap_producer_new (address, NULL, MMAP_TOKEN_MIN_BYTES - 1,
          &error));
  check_error (&error, MMAP_ERROR_TOKEN_BYTES, "15");
  g_assert_null (mmap_producer_new (address, NULL, MMAP_TOKEN_MAX_BYTES + 1,
          &error));
  check_error (&error, MMAP_ERROR_TOKEN_BYTES, "1025");

  /* Never started: nothing waits for a thread. */
  producer = mmap_producer_new (address, NULL, MMAP_TOKEN_MIN_BYTES, &error);
  g_assert_no_error (error);
  used = mmap_producer_dup_address (producer);
  g_assert_cmpstr (used, ==, address);
  g_free (used);
  g_assert_false (mmap_producer_get_offer (producer, &file, &size, &session,
          &media));
  g_assert_cmpuint (mmap_producer_get_capacity (producer), ==, 0);
  g_assert_null (mmap_producer_dup_region (producer));
  g_assert_null (mmap_producer_alloc (producer, 1, 64, MMAP_ALLOC_COPY));
  mmap_producer_get_stats (producer, &stats);
  g_assert_cmpuint (stats.frames + stats.links + stats.waits, ==, 0);
  mmap_producer_close (producer);
  mmap_producer_close (producer);
  g_assert_null (mmap_producer_dup_address (producer));

  /* A thread that publishes meanwhile is told, and ends at its next wait. */
  g_assert_cmpint (mmap_producer_publish (producer, &frame, NULL, NULL, NULL),
      ==, MMAP_PUBLISH_FULL);
  g_assert_cmpint (mmap_producer_wait (producer, &cancel,
          mmap_producer_collect (producer), -1), ==, MMAP_WAIT_CLOSED);
  g_assert_false (mmap_producer_set_region (producer, MIB, G_MAXUINT64, NULL,
          &error));
  check_error (&error, MMAP_ERROR_CLOSED, "");
  mmap_producer_unref (producer);
}

static void
test_frames (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapProducerStats stats;
  Reader reader;
  guint64 i, bytes = 0;

  reader_start (&reader, address, FALSE);
  wait_for_links (producer, 1);
  for (i = 1; i <= 3000; i++) {
    gsize size = 8 * (i * 7919 % 4000);

    publish_frame (producer, i, size);
    bytes += size;
  }
  reader_wait (&reader, reader.frames == 3000);
  g_assert_cmpuint (reader.last, ==, 3000);
  wait_for_held (producer, 0);
  check_all_free (producer);

  mmap_producer_get_stats (producer, &stats);
  g_assert_cmpuint (stats.frames, ==, 3000);
  g_assert_cmpuint (stats.bytes, ==, bytes);
  g_assert_cmpuint (stats.links, ==, 1);
  g_assert_cmpuint (stats.unsent, ==, 0);
  reader_stop (&reader);
  wait_for_links (producer, 0);
  end_producer (producer);
}

static void
count (gpointer data)
{
  g_atomic_int_inc ((gint *) data);
}

static void
test_nobody_there (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapDescriptor frame = { 0, };
  MmapProducerStats stats;
  gint done = 0;
  guint i;

  for (i = 0; i < 5000; i++) {
    g_assert_cmpint (mmap_producer_publish (producer, &frame, NULL, count,
            &done), ==, MMAP_PUBLISH_OK);
    g_assert_cmpint (g_atomic_int_get (&done), ==, i + 1);
  }
  g_assert_cmpuint (mmap_producer_get_held (producer), ==, 0);
  mmap_producer_get_stats (producer, &stats);
  g_assert_cmpuint (stats.frames, ==, 5000);
  g_assert_cmpuint (stats.unsent, ==, 5000);
  g_assert_cmpuint (stats.wakeups, ==, 0);
  end_producer (producer);
}

static guint64
get_wakeups (MmapProducer * producer)
{
  MmapProducerStats stats;

  mmap_producer_get_stats (producer, &stats);
  return stats.wakeups;
}

/* What a consumer says of where it sleeps: on the producer's processor, on none that there is, nothing. */
enum
{ HERE, ELSEWHERE, UNSAID };

static void
sleep_somewhere (RawConsumer * raw, guint place)
{
  mmap_link_prepare_sleep (raw->link);
  if (place != HERE)
    raw->link->area->consumer_cpu = place == UNSAID ? 0 : G_MAXUINT32;
}

/* Times that this thread yielded its processor. */
static __thread guint n_yields;

int __real_sched_yield (void);
int __wrap_sched_yield (void);

int
__wrap_sched_yield (void)
{
  n_yields++;
  return __real_sched_yield ();
}

/* Who sleeps is woken once, by the announcement or by the frame. */
static void
test_announce (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  RawConsumer raw = { NULL };
  MmapSleeper *sleeper;

  mmap_producer_announce (producer);
  raw_bring_up (&raw, address);
  wait_for_links (producer, 1);
  sleeper = &raw.link->sleeper;
  mmap_producer_announce (producer);
  publish_frame (producer, 1, 4096);
  g_assert_cmpuint (get_wakeups (producer), ==, 0);

  sleep_somewhere (&raw, ELSEWHERE);
  mmap_producer_announce (producer);
  g_assert_cmpuint (get_wakeups (producer), ==, 1);
  g_assert_true (mmap_link_was_rung (raw.link));
  mmap_producer_announce (producer);
  publish_frame (producer, 2, 4096);
  g_assert_cmpuint (get_wakeups (producer), ==, 1);
  mmap_sleeper_finish (sleeper);

  /* It looked, there was nothing, it sleeps again. */
  sleep_somewhere (&raw, ELSEWHERE);
  publish_frame (producer, 3, 4096);
  g_assert_cmpuint (get_wakeups (producer), ==, 2);
  g_assert_true (mmap_link_was_rung (raw.link));
  mmap_sleeper_finish (sleeper);
  raw_clear (&raw);
  end_producer (producer);
}

/* This thread stays on the processor that it is on. */
static void
stay_on_processor (cpu_set_t * before)
{
  cpu_set_t only;

  CPU_ZERO (&only);
  CPU_SET (sched_getcpu (), &only);
  g_assert_cmpint (sched_getaffinity (0, sizeof *before, before), ==, 0);
  g_assert_cmpint (sched_setaffinity (0, sizeof only, &only), ==, 0);
}

/* Who fell asleep on the producer's processor would run instead of it, and find nothing: from the first time on that it is seen there, only the frame
 * wakes it. Where one of several is there, none is woken early, Who doesn't say where it sleeps is. */
static void
test_announce_on_one_processor (void)
{
  /* Where both sleep, and whether they are woken early. */
  static const struct
  {
    guint places[2];
    gboolean early;
  } steps[] = {
    {{HERE, HERE}, TRUE},
    {{HERE, HERE}, FALSE},
    {{UNSAID, HERE}, FALSE},
    {{UNSAID, ELSEWHERE}, FALSE},
    {{ELSEWHERE, ELSEWHERE}, TRUE},
    {{ELSEWHERE, UNSAID}, TRUE},
    {{ELSEWHERE, HERE}, TRUE},
    {{HERE, ELSEWHERE}, FALSE},
  };
  MmapProducer *producer = make_producer (address, MIB);
  RawConsumer raws[2] = { {NULL} };
  cpu_set_t before;
  guint i, j, n = 0;

  stay_on_processor (&before);
  for (i = 0; i < G_N_ELEMENTS (raws); i++)
    raw_bring_up (&raws[i], address);
  wait_for_links (producer, G_N_ELEMENTS (raws));
  for (i = 0; i < G_N_ELEMENTS (steps); i++) {
    gboolean early = steps[i].early;

    for (j = 0; j < G_N_ELEMENTS (raws); j++)
      sleep_somewhere (&raws[j], steps[i].places[j]);
    mmap_producer_announce (producer);
    n += early;
    g_assert_cmpuint (get_wakeups (producer), ==, n);
    publish_frame (producer, i + 1, 4096);
    n += !early;
    g_assert_cmpuint (get_wakeups (producer), ==, n);
    mmap_sleeper_finish (&raws[0].link->sleeper);
    mmap_sleeper_finish (&raws[1].link->sleeper);
  }
  g_assert_cmpint (sched_setaffinity (0, sizeof before, &before), ==, 0);
  for (i = 0; i < G_N_ELEMENTS (raws); i++)
    raw_clear (&raws[i]);
  end_producer (producer);
}

/* Sends a frame to one that sleeps there. Returns: how often the producer yielded its processor for it */
static guint
publish_to_sleeper (MmapProducer * producer, RawConsumer * raw, guint place,
    guint64 number)
{
  n_yields = 0;
  sleep_somewhere (raw, place);
  publish_frame (producer, number, 4096);
  mmap_sleeper_finish (&raw->link->sleeper);
  return n_yields;
}

/* The producer leaves its processor to a consumer that fell asleep on it, but not for each of many frames, and for nobody else. */
static void
test_yields_to_its_processor (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  RawConsumer raw = { NULL };
  cpu_set_t before;

  stay_on_processor (&before);
  raw_bring_up (&raw, address);
  wait_for_links (producer, 1);
  g_assert_cmpuint (publish_to_sleeper (producer, &raw, HERE, 1), ==, 1);
  producer->near_us = g_get_monotonic_time () + G_USEC_PER_SEC;
  g_assert_cmpuint (publish_to_sleeper (producer, &raw, HERE, 2), ==, 0);
  producer->near_us = 0;
  g_assert_cmpuint (publish_to_sleeper (producer, &raw, ELSEWHERE, 3), ==, 0);
  g_assert_cmpuint (publish_to_sleeper (producer, &raw, UNSAID, 4), ==, 0);
  g_assert_cmpuint (publish_to_sleeper (producer, &raw, HERE, 5), ==, 1);
  /* Awake, wherever it was. */
  producer->near_us = n_yields = 0;
  publish_frame (producer, 6, 4096);
  g_assert_cmpuint (n_yields, ==, 0);
  g_assert_cmpint (sched_setaffinity (0, sizeof before, &before), ==, 0);
  raw_clear (&raw);
  end_producer (producer);
}

/* However many sleep, a frame wakes them, and only them. */
static void
test_wakes_all (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  RawConsumer raws[3] = { {NULL} };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (raws); i++)
    raw_bring_up (&raws[i], address);
  wait_for_links (producer, G_N_ELEMENTS (raws));
  for (i = 0; i < 2; i++)
    mmap_link_prepare_sleep (raws[i].link);
  publish_frame (producer, 1, 4096);
  g_assert_cmpuint (get_wakeups (producer), ==, 1);
  for (i = 0; i < 2; i++) {
    g_assert_true (mmap_link_was_rung (raws[i].link));
    mmap_sleeper_finish (&raws[i].link->sleeper);
  }
  publish_frame (producer, 2, 4096);
  g_assert_cmpuint (get_wakeups (producer), ==, 1);
  for (i = 0; i < G_N_ELEMENTS (raws); i++)
    raw_clear (&raws[i]);
  end_producer (producer);
}

#define N_MIXED 40000

static gpointer
publish_mixed (gpointer data)
{
  MmapProducer *producer = data;
  GRand *random = g_rand_new_with_seed (42);
  guint64 i;
  char text[32];

  for (i = 1; i <= N_MIXED; i++) {
    if (g_rand_boolean (random)) {
      publish_frame (producer, i, 8);
    } else {
      g_snprintf (text, sizeof (text), "%" G_GUINT64_FORMAT, i);
      push_event (producer, MMAP_EVENT_CAPS, text);
    }
  }
  g_rand_free (random);
  return NULL;
}

/* Frames and events come in the order in which they were published, although they lie in two rings. */
static void
test_order (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  GThread *thread;
  MmapItem item;
  guint64 i;

  g_assert_no_error (error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  thread = g_thread_new ("publisher", publish_mixed, producer);
  for (i = 1; i <= N_MIXED; i++) {
    MmapNextResult next = mmap_consumer_next (consumer, &item, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (item.descriptor.sequence, ==, i);
    if (next == MMAP_NEXT_FRAME) {
      check_frame (&item, i);
      release_item (&item);
    } else {
      char *text = g_strndup ((const char *) item.data, item.descriptor.size);

      g_assert_cmpint (next, ==, MMAP_NEXT_EVENT);
      g_assert_cmpuint (g_ascii_strtoull (text, NULL, 10), ==, i);
      g_free (text);
      mmap_item_clear (&item);
    }
  }
  g_thread_join (thread);
  wait_for_held (producer, 0);
  mmap_consumer_free (consumer);
  wait_for_links (producer, 0);
  check_all_free (producer);
  end_producer (producer);
}

static void
check_event (MmapConsumer * consumer, MmapEventKind kind, const char *payload)
{
  MmapItem item;

  next_item (consumer, &item, MMAP_NEXT_EVENT);
  g_assert_cmpint (item.descriptor.kind, ==, kind);
  g_assert_cmpmem (item.data, item.descriptor.size, payload, strlen (payload));
  mmap_item_clear (&item);
}

static void
test_late_joiner (void)
{
  MmapProducer *producer = make_producer (address, 0);
  GError *error = NULL;
  MmapConsumer *consumer;
  MmapItem item;

  /* Kept before there is a region, replaced, and moved to another region. */
  push_event (producer, MMAP_EVENT_SEGMENT, "segment");
  push_event (producer, MMAP_EVENT_CAPS, "old caps");
  mmap_producer_set_region (producer, MIB, G_MAXUINT64, NULL, &error);
  g_assert_no_error (error);
  push_event (producer, MMAP_EVENT_CAPS, "caps");
  push_event (producer, MMAP_EVENT_EOS, "");
  mmap_producer_set_region (producer, 2 * MIB, G_MAXUINT64, NULL, &error);
  g_assert_no_error (error);

  consumer = mmap_consumer_new (address, &error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (producer, 1);
  publish_frame (producer, 1, 64);
  check_event (consumer, MMAP_EVENT_CAPS, "caps");
  check_event (consumer, MMAP_EVENT_SEGMENT, "segment");
  check_event (consumer, MMAP_EVENT_EOS, "");
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, 1);
  release_item (&item);
  mmap_consumer_free (consumer);
  wait_for_links (producer, 0);

  mmap_producer_forget_event (producer, MMAP_EVENT_EOS);
  consumer = mmap_consumer_new (address, &error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (producer, 1);
  publish_frame (producer, 2, 64);
  check_event (consumer, MMAP_EVENT_CAPS, "caps");
  check_event (consumer, MMAP_EVENT_SEGMENT, "segment");
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  release_item (&item);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

typedef struct
{
  MmapItem *items;
  guint first, step, n;
} Share;

static gpointer
release_share (gpointer data)
{
  Share *share = data;
  guint i;

  for (i = share->first; i < share->n; i += share->step)
    release_item (&share->items[i]);
  return NULL;
}

/* Out of order, from several threads, as queues and tees do. */
static void
test_release (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  GRand *random = g_rand_new_with_seed (7);
  MmapItem items[200], item;
  GThread *threads[4];
  Share shares[4];
  guint i, round;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  for (round = 0; round < 20; round++) {
    for (i = 0; i < G_N_ELEMENTS (items); i++)
      publish_frame (producer, i, 4096);
    g_assert_cmpuint (mmap_producer_get_held (producer), ==, 200);
    for (i = 0; i < G_N_ELEMENTS (items); i++) {
      next_item (consumer, &items[i], MMAP_NEXT_FRAME);
      check_frame (&items[i], i);
    }
    for (i = G_N_ELEMENTS (items) - 1; i > 0; i--) {
      guint other = g_rand_int_range (random, 0, i + 1);

      item = items[i];
      items[i] = items[other];
      items[other] = item;
    }
    for (i = 0; i < 4; i++) {
      shares[i] = (Share) {
      items, i, 4, G_N_ELEMENTS (items)};
      threads[i] = g_thread_new ("releaser", release_share, &shares[i]);
    }
    wait_for_held (producer, 0);
    for (i = 0; i < 4; i++)
      g_thread_join (threads[i]);
  }
  check_all_free (producer);
  g_rand_free (random);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

typedef struct
{
  MmapProducer *producer;
  MmapCancel cancel;
  guint64 serial;
  MmapWaitResult result;
} Waiter;

static gpointer
waiter_thread (gpointer data)
{
  Waiter *waiter = data;

  waiter->result = mmap_producer_wait (waiter->producer, &waiter->cancel,
      waiter->serial, -1);
  return NULL;
}

static void
wait_until_asleep (MmapProducer * producer, guint64 waits)
{
  MmapProducerStats stats;

  do {
    g_thread_yield ();
    mmap_producer_get_stats (producer, &stats);
  } while (stats.waits <= waits);
}

static void
test_full_ring (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  Waiter waiter = { producer, {FALSE}, 0, MMAP_WAIT_OK };
  MmapProducerStats stats;
  GThread *thread;
  MmapItem item;
  guint64 i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  for (i = 1; i <= MMAP_FRAME_RING_SLOTS; i++)
    g_assert_cmpint (try_publish_frame (producer, i, 8), ==, MMAP_PUBLISH_OK);
  g_assert_cmpint (try_publish_frame (producer, i, 8), ==, MMAP_PUBLISH_FULL);
  g_assert_true (mmap_producer_has_unread (producer));
  g_assert_cmpuint (mmap_producer_get_held (producer), ==,
      MMAP_FRAME_RING_SLOTS);

  /* Its end by time, by a poke, by cancelling, before and while it sleeps. */
  waiter.serial = mmap_producer_collect (producer);
  g_assert_cmpint (mmap_producer_wait (producer, &waiter.cancel, waiter.serial,
          1000), ==, MMAP_WAIT_TIMEOUT);
  g_assert_cmpint (mmap_producer_wait (producer, &waiter.cancel, waiter.serial,
          0), ==, MMAP_WAIT_TIMEOUT);
  mmap_producer_poke (producer);
  g_assert_cmpint (mmap_producer_wait (producer, &waiter.cancel, waiter.serial,
          -1), ==, MMAP_WAIT_OK);
  mmap_producer_set_cancelled (producer, &waiter.cancel, TRUE);
  waiter.serial = mmap_producer_collect (producer);
  g_assert_cmpint (mmap_producer_wait (producer, &waiter.cancel, waiter.serial,
          -1), ==, MMAP_WAIT_CANCELLED);
  mmap_producer_set_cancelled (producer, &waiter.cancel, FALSE);

  mmap_producer_get_stats (producer, &stats);
  waiter.serial = mmap_producer_collect (producer);
  thread = g_thread_new ("waiter", waiter_thread, &waiter);
  wait_until_asleep (producer, stats.waits);
  mmap_producer_set_cancelled (producer, &waiter.cancel, TRUE);
  g_thread_join (thread);
  g_assert_cmpint (waiter.result, ==, MMAP_WAIT_CANCELLED);
  mmap_producer_set_cancelled (producer, &waiter.cancel, FALSE);

  /* By a frame that comes back. */
  mmap_producer_get_stats (producer, &stats);
  waiter.serial = mmap_producer_collect (producer);
  thread = g_thread_new ("waiter", waiter_thread, &waiter);
  wait_until_asleep (producer, stats.waits);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  release_item (&item);
  g_thread_join (thread);
  g_assert_cmpint (waiter.result, ==, MMAP_WAIT_OK);
  g_assert_cmpint (try_publish_frame (producer, i, 8), ==, MMAP_PUBLISH_OK);

  /* By the consumer's end: there is nobody to wait for. */
  g_assert_cmpint (try_publish_frame (producer, ++i, 8), ==, MMAP_PUBLISH_FULL);
  mmap_consumer_free (consumer);
  publish_frame (producer, i, 8);
  g_assert_cmpuint (mmap_producer_get_held (producer), ==, 0);

  /* By close, once nothing else can end it. */
  check_all_free (producer);
  mmap_producer_get_stats (producer, &stats);
  waiter.serial = mmap_producer_collect (producer);
  thread = g_thread_new ("waiter", waiter_thread, &waiter);
  wait_until_asleep (producer, stats.waits);
  mmap_producer_close (producer);
  g_thread_join (thread);
  g_assert_cmpint (waiter.result, ==, MMAP_WAIT_CLOSED);
  mmap_producer_unref (producer);
}

/* One waiter polls for all: when it leaves, another takes its place. */
static void
test_waiters (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  Waiter waiters[8];
  GThread *threads[8];
  Reader reader;
  guint64 i;
  guint w, round;

  reader_start (&reader, address, FALSE);
  wait_for_links (producer, 1);
  for (round = 0; round < 50; round++) {
    guint64 serial = mmap_producer_collect (producer);

    for (w = 0; w < G_N_ELEMENTS (waiters); w++) {
      waiters[w] = (Waiter) {
        producer, {
        FALSE}
      , serial, MMAP_WAIT_TIMEOUT};
      threads[w] = g_thread_new ("waiter", waiter_thread, &waiters[w]);
    }
    for (w = 0; w < G_N_ELEMENTS (waiters) / 2; w++)
      mmap_producer_set_cancelled (producer, &waiters[w].cancel, TRUE);
    for (i = 0; i < 20; i++)
      publish_frame (producer, i, 4096);
    for (w = 0; w < G_N_ELEMENTS (waiters); w++) {
      g_thread_join (threads[w]);
      g_assert_cmpint (waiters[w].result, !=, MMAP_WAIT_TIMEOUT);
      g_assert_cmpint (waiters[w].result, !=, MMAP_WAIT_CLOSED);
    }
  }
  reader_stop (&reader);
  end_producer (producer);
}

/* A consumer that holds all it can: the producer waits for one to come back. */
static void
test_full_held (void)
{
  MmapEvent event = { MMAP_EVENT_CAPS, 0, 0, NULL, "caps", 4 };
  MmapProducer *producer = make_producer (address, MIB);
  MmapCancel cancel = { FALSE };
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  GArray *items = g_array_new (FALSE, FALSE, sizeof (MmapItem));
  MmapItem item;
  guint64 serial;
  guint i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  while (try_publish_frame (producer, items->len, 8) == MMAP_PUBLISH_OK) {
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    g_array_append_val (items, item);
  }
  /* Events have releases of their own left. */
  g_assert_cmpuint (items->len, ==,
      MMAP_RELEASE_RING_SLOTS - MMAP_EVENT_RING_SLOTS);
  for (i = 0; i < MMAP_EVENT_RING_SLOTS - FLUSH_SLOTS; i++)
    push_event (producer, MMAP_EVENT_CAPS, "caps");
  g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
      MMAP_PUBLISH_FULL);

  for (i = 0; i < MMAP_EVENT_RING_SLOTS - FLUSH_SLOTS; i++)
    check_event (consumer, MMAP_EVENT_CAPS, "caps");
  g_assert_cmpint (try_publish_frame (producer, 5, 8), ==, MMAP_PUBLISH_FULL);

  serial = mmap_producer_collect (producer);
  release_item (&g_array_index (items, MmapItem, 500));
  g_array_remove_index (items, 500);
  g_assert_cmpint (mmap_producer_wait (producer, &cancel, serial, -1), ==,
      MMAP_WAIT_OK);
  g_assert_cmpint (try_publish_frame (producer, 5, 8), ==, MMAP_PUBLISH_OK);
  g_assert_cmpint (try_publish_frame (producer, 6, 8), ==, MMAP_PUBLISH_FULL);

  for (i = 0; i < items->len; i++)
    release_item (&g_array_index (items, MmapItem, i));
  g_array_unref (items);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, 5);
  release_item (&item);
  wait_for_held (producer, 0);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

static void
test_full_region (void)
{
  MmapProducer *producer = make_producer (address, 65536);
  MmapCancel cancel = { FALSE };
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  MmapItem items[4], item;
  MmapBlock *block;
  guint64 serial, size = mmap_producer_get_capacity (producer) / 4;
  guint i;

  size -= size % 4096;
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  for (i = 0; i < 4; i++) {
    publish_frame (producer, i, size);
    next_item (consumer, &items[i], MMAP_NEXT_FRAME);
  }
  serial = mmap_producer_collect (producer);
  g_assert_null (mmap_producer_alloc (producer, size, 64, MMAP_ALLOC_COPY));
  release_item (&items[2]);
  g_assert_cmpint (mmap_producer_wait (producer, &cancel, serial, -1), ==,
      MMAP_WAIT_OK);
  block = mmap_producer_alloc (producer, size, 64, MMAP_ALLOC_COPY);
  g_assert_nonnull (block);
  /* A pool leaves room for one more, upstream for a quarter. */
  mmap_block_unref (mmap_block_ref (block));
  mmap_block_unref (block);
  g_assert_null (mmap_producer_alloc (producer, size, 64, MMAP_ALLOC_POOL));
  g_assert_null (mmap_producer_alloc (producer, size, 64, MMAP_ALLOC_UPSTREAM));

  /* Even a full region takes a new consumer. */
  publish_frame (producer, 4, size);
  {
    MmapConsumer *late = mmap_consumer_new (address, &error);

    next_item (late, &item, MMAP_NEXT_CONNECTED);
    mmap_consumer_free (late);
    wait_for_links (producer, 1);
  }
  release_item (&items[0]);
  release_item (&items[1]);
  release_item (&items[3]);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, 4);
  release_item (&item);
  wait_for_held (producer, 0);
  block = mmap_producer_alloc (producer, size, 64, MMAP_ALLOC_UPSTREAM);
  g_assert_nonnull (block);
  mmap_block_unref (block);
  check_all_free (producer);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* What was given back is taken again as it is by the next frame of that size, and is room like any other for all else. */
static void
test_spare_blocks (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  guint64 size = 65536, offset, align, bytes;
  MmapBlock *blocks[64], *block;
  guint i, n = 0;

  /* All memory is there, and there are no spares. */
  check_all_free (producer);
  bytes = mmap_arena_get_free_bytes (producer->arena);
  while ((block = mmap_producer_alloc (producer, size, 1, MMAP_ALLOC_COPY)))
    blocks[n++] = block;
  g_assert_cmpuint (n, >, 4);
  offset = blocks[1]->offset;
  g_assert_cmpuint (offset, ==, blocks[0]->offset + size);
  mmap_block_unref (blocks[0]);
  mmap_block_unref (blocks[1]);
  g_assert_cmpuint (producer->arena->n_spares, ==, 2);
  g_assert_cmpuint (mmap_arena_get_free_bytes (producer->arena), ==,
      bytes - (n - 2) * size);
  blocks[1] = mmap_producer_alloc (producer, size, 4096, MMAP_ALLOC_COPY);
  g_assert_cmpuint (mmap_arena_get_free_bytes (producer->arena), ==,
      bytes - (n - 1) * size);
  g_assert_cmpuint (blocks[1]->offset, ==, offset);
  mmap_block_unref (blocks[1]);
  /* Not one that lies where it must not. */
  align = 2 * (offset & -offset);
  block = mmap_producer_alloc (producer, size, align, MMAP_ALLOC_COPY);
  if (block) {
    g_assert_cmpuint (block->offset % align, ==, 0);
    mmap_block_unref (block);
  }
  g_assert_null (mmap_producer_alloc (producer, 2 * size + 1, 1,
          MMAP_ALLOC_COPY));
  block = mmap_producer_alloc (producer, 2 * size, 1, MMAP_ALLOC_COPY);
  g_assert_cmpuint (block->offset, ==, offset - size);
  mmap_block_unref (block);
  block = mmap_producer_alloc (producer, 100, 1, MMAP_ALLOC_METAS);
  g_assert_nonnull (block);
  mmap_block_unref (block);
  for (i = 2; i < n; i++)
    mmap_block_unref (blocks[i]);
  g_assert_cmpuint (mmap_arena_get_free_bytes (producer->arena), ==, bytes);
  check_all_free (producer);
  end_producer (producer);
}

/* Metadata lies in a block of its own, and is found by the consumer. */
static void
test_metas (void)
{
  GError *error = NULL;
  MmapProducer *producer = make_producer (address, MIB);
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  MmapBlock *block;
  MmapDescriptor frame = { 0, };
  MmapItem item;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  block = mmap_producer_alloc (producer, 100, 1, MMAP_ALLOC_METAS);
  memset (mmap_block_get_data (block), 9, 100);
  frame.metas_offset = block->offset;
  frame.metas_size = 100;
  g_assert_cmpint (mmap_producer_publish (producer, &frame, NULL,
          (GDestroyNotify) mmap_block_unref, block), ==, MMAP_PUBLISH_OK);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  g_assert_null (item.data);
  g_assert_cmpuint (item.descriptor.metas_size, ==, 100);
  g_assert_cmpint (item.metas[0], ==, 9);
  g_assert_cmpint (item.metas[99], ==, 9);
  release_item (&item);
  wait_for_held (producer, 0);
  check_all_free (producer);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* A region full of frames has room for small metadata, and tokens have what that leaves. */
static void
test_metas_in_full_region (void)
{
  GError *error = NULL;
  MmapProducer *producer = make_producer (address, MIB);
  guint64 size = mmap_producer_get_capacity (producer);
  MmapBlock *all = mmap_producer_alloc (producer, size, 64, MMAP_ALLOC_COPY);
  g_autoptr (GPtrArray) metas =
      g_ptr_array_new_with_free_func ((GDestroyNotify) mmap_block_unref);
  MmapConsumer *consumer;
  MmapBlock *block;
  MmapItem item;

  g_assert_nonnull (all);
  g_assert_null (mmap_producer_alloc (producer, 5000, 1, MMAP_ALLOC_METAS));
  while ((block = mmap_producer_alloc (producer, 1000, 1, MMAP_ALLOC_METAS)))
    g_ptr_array_add (metas, block);
  g_assert_cmpuint (metas->len, >, 20);
  consumer = mmap_consumer_new (address, &error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  mmap_consumer_free (consumer);

  mmap_block_unref (all);
  block = mmap_producer_alloc (producer, 5000, 1, MMAP_ALLOC_METAS);
  g_assert_nonnull (block);
  mmap_block_unref (block);
  g_ptr_array_set_size (metas, 0);
  check_all_free (producer);
  end_producer (producer);
}

/* Upstream leaves room for a copy, and the metadata that goes with it. */
static void
test_leave_metas (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  guint64 size = mmap_producer_get_capacity (producer) / 4;
  g_autoptr (GPtrArray) blocks =
      g_ptr_array_new_with_free_func ((GDestroyNotify) mmap_block_unref);
  MmapBlock *block;

  size -= size % 4096;
  mmap_producer_leave_metas (producer, size);
  mmap_producer_leave_metas (producer, 10);
  while ((block = mmap_producer_alloc (producer, size, 64, MMAP_ALLOC_POOL)))
    g_ptr_array_add (blocks, block);
  g_assert_cmpuint (blocks->len, ==, 2);
  block = mmap_producer_alloc (producer, size, 64, MMAP_ALLOC_COPY);
  g_assert_nonnull (block);
  g_ptr_array_add (blocks, block);
  block = mmap_producer_alloc (producer, size, 64, MMAP_ALLOC_METAS);
  g_assert_nonnull (block);
  g_ptr_array_add (blocks, block);
  g_ptr_array_set_size (blocks, 0);
  end_producer (producer);
}

static gboolean
is_current (MmapProducer * producer, const MmapBlock * block)
{
  g_autoptr (MmapRegion) region = mmap_producer_dup_region (producer);

  return block->region == region;
}

static void
test_set_region (void)
{
  MmapProducer *producer = make_producer (address, 65536);
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  MmapItem old[4], unread, item;
  MmapBlock *block;
  guint i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  push_event (producer, MMAP_EVENT_CAPS, "small");
  check_event (consumer, MMAP_EVENT_CAPS, "small");
  for (i = 0; i < 4; i++) {
    publish_frame (producer, i, 4096);
    next_item (consumer, &old[i], MMAP_NEXT_FRAME);
  }
  publish_frame (producer, 4, 4096);
  block = mmap_producer_alloc (producer, 64, 64, MMAP_ALLOC_COPY);
  g_assert_true (is_current (producer, block));

  mmap_producer_set_region (producer, mmap_producer_size_for (4 * MIB),
      G_MAXUINT64, "video/x-large", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (mmap_producer_get_capacity (producer), >=, 4 * MIB);
  /* Memory of the old region is there as long as somebody has it. */
  g_assert_false (is_current (producer, block));
  memset (mmap_block_get_data (block), 1, block->size);
  mmap_block_unref (block);

  push_event (producer, MMAP_EVENT_CAPS, "large");
  publish_frame (producer, 5, 2 * MIB);
  next_item (consumer, &unread, MMAP_NEXT_FRAME);
  check_frame (&unread, 4);
  check_event (consumer, MMAP_EVENT_CAPS, "large");
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  g_assert_cmpuint (item.region->region_id, ==, 2);
  check_frame (&item, 5);
  release_item (&item);
  for (i = 0; i < 50; i++) {
    publish_frame (producer, i, MIB);
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    release_item (&item);
  }
  for (i = 0; i < 4; i++) {
    g_assert_cmpuint (old[i].region->region_id, ==, 1);
    check_frame (&old[i], i);
    release_item (&old[i]);
  }
  check_frame (&unread, 4);
  release_item (&unread);
  wait_for_held (producer, 0);
  check_all_free (producer);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* More than one new region while the consumer looks elsewhere, with frames in some of them. */
static void
test_set_region_often (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  MmapItem item;
  guint i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  for (i = 1; i <= 10; i++) {
    mmap_producer_set_region (producer,
        mmap_producer_size_for (MIB + i * 4096), G_MAXUINT64, "video/x-test",
        &error);
    g_assert_no_error (error);
    if (i % 3 == 0)
      publish_frame (producer, i, 4096);
  }
  publish_frame (producer, i, 4096);
  for (i = 3; i <= 9; i += 3) {
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    g_assert_cmpuint (item.region->region_id, ==, i + 1);
    check_frame (&item, i);
    release_item (&item);
  }
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  g_assert_cmpuint (item.region->region_id, ==, 11);
  check_frame (&item, 11);
  release_item (&item);
  wait_for_held (producer, 0);
  g_assert_cmpuint (mmap_producer_get_n_links (producer), ==, 1);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

static void
check_region_refused (MmapProducer * producer, guint64 size, MmapError code)
{
  GError *error = NULL;

  g_assert_false (mmap_producer_set_region (producer, size, G_MAXUINT64, "no",
          &error));
  g_assert_error (error, MMAP_ERROR, (gint) code);
  g_error_free (error);
}

/* What can't be had changes nothing. */
static void
test_set_region_fails (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  GError *error = NULL;
  guint64 capacity = mmap_producer_get_capacity (producer);
  guint64 size, session;
  char *file, *media, *caps = g_strnfill (100000, 'x');
  MmapConsumer *consumer;
  MmapItem item;

  push_event (producer, MMAP_EVENT_CAPS, caps);
  check_region_refused (producer, 4096, MMAP_ERROR_TOO_SMALL);
  check_region_refused (producer, MMAP_REGION_MIN_BYTES, MMAP_ERROR_TOO_SMALL);
  check_region_refused (producer, MMAP_REGION_MAX_BYTES, MMAP_ERROR_NO_SPACE);
  g_assert_cmpuint (mmap_producer_get_capacity (producer), ==, capacity);
  g_assert_true (mmap_producer_get_offer (producer, &file, &size, &session,
          &media));
  g_assert_cmpstr (media, ==, "video/x-test");
  g_free (file);
  g_free (media);

  consumer = mmap_consumer_new (address, &error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  check_event (consumer, MMAP_EVENT_CAPS, caps);
  publish_frame (producer, 1, 64);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, 1);
  release_item (&item);
  mmap_consumer_free (consumer);
  g_free (caps);
  end_producer (producer);
}

static void
test_file (void)
{
  GError *error = NULL;
  char *path = leak_check_path ("region");
  MmapProducer *producer =
      mmap_producer_new (address, path, MMAP_TOKEN_MAX_BYTES, &error);
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  guint64 size, session;
  char *file, *media;
  MmapItem old, item;
  struct stat st;
  guint i;

  g_assert_no_error (error);
  g_assert_true (mmap_producer_start (producer, NULL));
  mmap_producer_set_region (producer, mmap_producer_size_for (MIB), G_MAXUINT64,
      "video/x-test", &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_lstat (path, &st), ==, 0);
  g_assert_cmpuint (st.st_mode, ==, S_IFREG | 0600);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_assert_true (mmap_consumer_get_offer (consumer, &file, &size, &session,
          &media));
  g_assert_cmpstr (file, ==, path);
  g_assert_cmpstr (media, ==, "video/x-test");
  g_assert_cmpuint (size, ==, st.st_size);
  g_free (file);
  g_free (media);
  publish_frame (producer, 1, 65536);
  next_item (consumer, &old, MMAP_NEXT_FRAME);
  check_frame (&old, 1);

  for (i = 2; i < 10; i++) {
    mmap_producer_set_region (producer,
        mmap_producer_size_for (MIB + i * 65536), G_MAXUINT64, "video/x-test",
        &error);
    g_assert_no_error (error);
    publish_frame (producer, i, 65536);
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    g_assert_cmpuint (item.region->region_id, ==, i);
    check_frame (&item, i);
    release_item (&item);
  }
  check_frame (&old, 1);
  release_item (&old);
  mmap_consumer_free (consumer);
  g_assert_cmpint (g_lstat (path, &st), ==, 0);
  mmap_producer_close (producer);
  g_assert_cmpint (g_lstat (path, &st), ==, -1);
  mmap_producer_unref (producer);
  g_free (path);
}

typedef struct
{
  GMutex lock;
  GCond cond;
  guint n_links;
  guint calls;
  MmapError reason;
  guint n_refused;
} Reports;

static void
links_changed (guint n_links, gpointer user_data)
{
  Reports *reports = user_data;

  g_mutex_lock (&reports->lock);
  reports->n_links = n_links;
  reports->calls++;
  g_cond_broadcast (&reports->cond);
  g_mutex_unlock (&reports->lock);
}

static void
refused (const GError * reason, gpointer user_data)
{
  Reports *reports = user_data;

  g_mutex_lock (&reports->lock);
  reports->reason = reason->code;
  reports->n_refused++;
  g_cond_broadcast (&reports->cond);
  g_mutex_unlock (&reports->lock);
}

static MmapProducer *
make_reporting_producer (Reports * reports)
{
  MmapProducerCallbacks callbacks = {.links = links_changed,.refused = refused
  };
  GError *error = NULL;
  MmapProducer *producer =
      mmap_producer_new (address, NULL, MMAP_TOKEN_DEFAULT_BYTES, &error);

  g_assert_no_error (error);
  memset (reports, 0, sizeof (*reports));
  g_mutex_init (&reports->lock);
  g_cond_init (&reports->cond);
  mmap_producer_set_callbacks (producer, &callbacks, reports);
  g_assert_true (mmap_producer_start (producer, NULL));
  mmap_producer_set_region (producer, mmap_producer_size_for (MIB), G_MAXUINT64,
      NULL, &error);
  g_assert_no_error (error);
  return producer;
}

static void
reports_clear (Reports * reports)
{
  g_mutex_clear (&reports->lock);
  g_cond_clear (&reports->cond);
}

#define N_KILLED 10

/* In a child: holds frames, says so, and waits for its end. */
static void G_GNUC_NORETURN
consume_until_killed (int out)
{
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  MmapItem item;
  guint i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  for (i = 0; i < N_KILLED; i++)
    next_item (consumer, &item, MMAP_NEXT_FRAME);
  if (write (out, "x", 1) != 1)
    _exit (1);
  for (;;)
    pause ();
}

static void
test_consumer_killed (void)
{
  MmapProducer *producer;
  Reports reports;
  int ends[2], status;
  char byte;
  guint i;
  /* First, as long as this process has one thread. */
  pid_t pid;

  g_assert_cmpint (pipe (ends), ==, 0);
  pid = fork ();
  if (pid == 0)
    consume_until_killed (ends[1]);
  close (ends[1]);
  producer = make_reporting_producer (&reports);
  wait_for_links (producer, 1);
  for (i = 0; i < 2 * N_KILLED; i++)
    publish_frame (producer, i, 4096);
  g_assert_cmpint (read (ends[0], &byte, 1), ==, 1);
  close (ends[0]);
  g_assert_cmpuint (mmap_producer_get_held (producer), ==, 2 * N_KILLED);

  kill (pid, SIGKILL);
  wait_for_links (producer, 0);
  g_assert_cmpuint (mmap_producer_get_held (producer), ==, 0);
  check_all_free (producer);
  g_mutex_lock (&reports.lock);
  while (reports.calls < 2)
    g_cond_wait (&reports.cond, &reports.lock);
  g_assert_cmpuint (reports.n_links, ==, 0);
  g_assert_cmpuint (reports.n_refused, ==, 0);
  g_mutex_unlock (&reports.lock);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSIGNALED (status));
  end_producer (producer);
  reports_clear (&reports);
}

#define N_READERS 32

static void
test_many (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  Reader readers[N_READERS];
  MmapProducerStats stats;
  guint i;

  for (i = 0; i < N_READERS; i++)
    reader_start (&readers[i], address, FALSE);
  wait_for_links (producer, N_READERS);
  for (i = 1; i <= 500; i++)
    publish_frame (producer, i, 16384);
  for (i = 0; i < N_READERS; i++)
    reader_wait (&readers[i], readers[i].frames == 500);
  wait_for_held (producer, 0);
  check_all_free (producer);
  mmap_producer_get_stats (producer, &stats);
  g_assert_cmpuint (stats.links, ==, N_READERS);
  for (i = 0; i < N_READERS; i++)
    reader_stop (&readers[i]);
  wait_for_links (producer, 0);
  end_producer (producer);
}

static void
test_limit (void)
{
  Reports reports;
  MmapProducer *producer = make_reporting_producer (&reports);
  GError *error = NULL;
  MmapConsumer *consumer;
  RawConsumer *raw = g_new0 (RawConsumer, MMAP_MAX_LINKS);
  MmapItem item;
  guint i;

  for (i = 0; i < MMAP_MAX_LINKS; i++)
    raw_bring_up (&raw[i], address);
  /* Each time: what the producer says isn't lost because it closes at once. */
  for (i = 0; i < 50; i++) {
    consumer = mmap_consumer_new (address, &error);
    g_assert_cmpint (mmap_consumer_next (consumer, &item, &error), ==,
        MMAP_NEXT_ERROR);
    check_error (&error, MMAP_ERROR_LIMIT, "64");
    mmap_consumer_free (consumer);
  }
  wait_for_failures (producer, MMAP_ERROR_LIMIT, 50);
  g_mutex_lock (&reports.lock);
  while (reports.n_refused < 50)
    g_cond_wait (&reports.cond, &reports.lock);
  g_assert_cmpint (reports.reason, ==, MMAP_ERROR_LIMIT);
  g_mutex_unlock (&reports.lock);

  /* Who goes makes room. */
  raw_clear (&raw[40]);
  wait_for_links (producer, MMAP_MAX_LINKS - 1);
  consumer = mmap_consumer_new (address, &error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  publish_frame (producer, 1, 64);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, 1);
  release_item (&item);
  mmap_consumer_free (consumer);
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    raw_clear (&raw[i]);
  wait_for_links (producer, 0);
  g_assert_cmpuint (mmap_producer_get_held (producer), ==, 0);
  end_producer (producer);
  g_free (raw);
  reports_clear (&reports);
}

/* Frames, events and regions in a hurry while consumers come and go. */
static void
test_come_and_go (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  GError *error = NULL;
  Reader readers[4];
  guint64 i;
  guint r;

  for (r = 0; r < G_N_ELEMENTS (readers); r++)
    reader_start (&readers[r], address, r % 2);
  for (i = 1; i <= 2000; i++) {
    publish_frame (producer, i, 1024);
    if (i % 10 == 0)
      push_event (producer, MMAP_EVENT_CAPS, "caps");
    if (i % 100 == 0) {
      mmap_producer_set_region (producer,
          mmap_producer_size_for (MIB + i * 64), G_MAXUINT64, NULL, &error);
      g_assert_no_error (error);
    }
    if (i % 50 == 0) {
      r = i / 50 % G_N_ELEMENTS (readers);
      reader_stop (&readers[r]);
      reader_start (&readers[r], address, r % 2);
    }
  }
  for (r = 0; r < G_N_ELEMENTS (readers); r++)
    reader_stop (&readers[r]);
  wait_for_links (producer, 0);
  g_assert_cmpuint (mmap_producer_get_held (producer), ==, 0);
  check_all_free (producer);
  end_producer (producer);
}

static void
test_block_outlives (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapBlock *block = mmap_producer_alloc (producer, 5000, 64, MMAP_ALLOC_POOL);

  g_assert_nonnull (block);
  g_assert_cmpuint (block->size, >=, 5000);
  end_producer (producer);
  memset (mmap_block_get_data (block), 7, block->size);
  mmap_block_unref (block);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  address = leak_check_path ("socket");
  leak_check_add_test ("/producer/new", test_new);
  leak_check_add_test ("/producer/consumer-killed", test_consumer_killed);
  leak_check_add_test ("/producer/frames", test_frames);
  leak_check_add_test ("/producer/nobody-there", test_nobody_there);
  leak_check_add_test ("/producer/announce", test_announce);
  leak_check_add_test ("/producer/announce-on-one-processor",
      test_announce_on_one_processor);
  leak_check_add_test ("/producer/yields-to-its-processor",
      test_yields_to_its_processor);
  leak_check_add_test ("/producer/wakes-all-at-once", test_wakes_all);
  leak_check_add_test ("/producer/order", test_order);
  leak_check_add_test ("/producer/late-joiner", test_late_joiner);
  leak_check_add_test ("/producer/release", test_release);
  leak_check_add_test ("/producer/full-ring", test_full_ring);
  leak_check_add_test ("/producer/waiters", test_waiters);
  leak_check_add_test ("/producer/full-held", test_full_held);
  leak_check_add_test ("/producer/full-region", test_full_region);
  leak_check_add_test ("/producer/spare-blocks", test_spare_blocks);
  leak_check_add_test ("/producer/metas", test_metas);
  leak_check_add_test ("/producer/metas-in-full-region",
      test_metas_in_full_region);
  leak_check_add_test ("/producer/leave-metas", test_leave_metas);
  leak_check_add_test ("/producer/set-region", test_set_region);
  leak_check_add_test ("/producer/set-region-often", test_set_region_often);
  leak_check_add_test ("/producer/set-region-fails", test_set_region_fails);
  leak_check_add_test ("/producer/file", test_file);
  leak_check_add_test ("/producer/many", test_many);
  leak_check_add_test ("/producer/limit", test_limit);
  leak_check_add_test ("/producer/come-and-go", test_come_and_go);
  leak_check_add_test ("/producer/block-outlives", test_block_outlives);
  result = g_test_run ();
  g_free (address);
  return result;
}
