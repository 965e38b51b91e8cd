/* gst-mmap: tests of a producer that drops frames for slow consumers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Slow consumers are read by hand, so that it is known what they have.
 */
#include "leak-check.h"
#include "peers.h"
#include "producer-private.h"

#include <gmodule.h>
#include <string.h>

#define FRAME_BYTES 65536
#define MIB (G_GUINT64_CONSTANT (1) << 20)

static char *address;
static gint64 skipped_us;       /* atomic: the clock is so much ahead */

gint64 __real_g_get_monotonic_time (void);
G_MODULE_EXPORT gint64 __wrap_g_get_monotonic_time (void);

gint64
__wrap_g_get_monotonic_time (void)
{
  return __real_g_get_monotonic_time ()
      + __atomic_load_n (&skipped_us, __ATOMIC_RELAXED);
}

static void
skip_time (gint64 us)
{
  __atomic_fetch_add (&skipped_us, us, __ATOMIC_RELAXED);
}

static MmapProducer *
make_leaky (MmapLeaky leaky, guint max_buffers, guint64 capacity)
{
  MmapProducer *producer = make_producer (address, capacity);

  mmap_producer_set_leaky (producer, leaky);
  mmap_producer_set_max_buffers (producer, max_buffers);
  return producer;
}

/* Publishes frames @from to @to - 1, none of which waits. */
static void
publish (MmapProducer * producer, guint64 from, guint64 to)
{
  guint64 i;

  for (i = from; i < to; i++)
    g_assert_cmpint (try_publish_frame (producer, i, FRAME_BYTES), ==,
        MMAP_PUBLISH_OK);
}

/* The next frame in its ring, not given back. FALSE: there is none. */
static gboolean
take (RawConsumer * raw, MmapDescriptor * frame)
{
  MmapRingResult result;

  do {
    if (mmap_ring_peek (&raw->link->frames, frame) != MMAP_RING_OK)
      return FALSE;
    result = mmap_ring_pop (&raw->link->frames);
    g_assert_cmpint (result, !=, MMAP_RING_BROKEN);
  } while (result == MMAP_RING_WAIT);
  return TRUE;
}

static void
give_back (RawConsumer * raw, const MmapDescriptor * frame)
{
  g_assert_cmpint (mmap_ring_push (&raw->link->releases, &frame->id), ==,
      MMAP_RING_OK);
}

/* What is in the ring: frames @from to @to - 1, whose numbers are one more. */
static void
expect (RawConsumer * raw, guint64 from, guint64 to, gboolean release)
{
  MmapDescriptor frame;
  guint64 i;

  for (i = from; i < to; i++) {
    g_assert_true (take (raw, &frame));
    g_assert_cmpuint (frame.pts, ==, i);
    g_assert_cmpuint (frame.number, ==, i + 1);
    if (release)
      give_back (raw, &frame);
  }
  g_assert_false (take (raw, &frame));
}

static void
expect_dropped (MmapProducer * producer, guint64 dropped)
{
  MmapLinkStats stats[MMAP_MAX_LINKS], told;
  MmapProducerStats counts;

  mmap_producer_get_stats (producer, &counts);
  g_assert_cmpuint (counts.dropped, ==, dropped);
  g_assert_cmpuint (mmap_producer_get_links (producer, stats), ==, 1);
  g_assert_cmpuint (stats[0].dropped, ==, dropped);
  g_assert_cmpuint (stats[0].pid, ==, getpid ());
  g_assert_cmpuint (producer->arena->region->header->links[0].dropped, ==,
      dropped);
  g_assert_true (mmap_producer_take_drops (producer, &told));
  g_assert_cmpuint (told.dropped, ==, dropped);
  g_assert_cmpuint (told.link_id, ==, stats[0].link_id);
  g_assert_false (mmap_producer_take_drops (producer, &told));
}

static void
end (MmapProducer * producer, RawConsumer * raw)
{
  MmapProducerStats counts;

  raw_clear (raw);
  wait_for_links (producer, 0);
  check_all_free (producer);
  mmap_producer_get_stats (producer, &counts);
  g_assert_cmpuint (counts.failures[MMAP_ERROR_RING], ==, 0);
  end_producer (producer);
}

static void
test_downstream (void)
{
  MmapProducer *producer = make_leaky (MMAP_LEAKY_DOWNSTREAM, 3, MIB);
  RawConsumer raw;

  raw_bring_up (&raw, address);
  publish (producer, 0, 3);
  g_assert_cmpuint (producer->stats.dropped, ==, 0);
  publish (producer, 3, 100);
  expect_dropped (producer, 97);
  expect (&raw, 97, 100, TRUE);
  publish (producer, 100, 102);
  expect (&raw, 100, 102, TRUE);
  end (producer, &raw);
}

static void
test_upstream (void)
{
  MmapProducer *producer = make_leaky (MMAP_LEAKY_UPSTREAM, 3, MIB);
  RawConsumer raw;

  raw_bring_up (&raw, address);
  publish (producer, 0, 100);
  expect_dropped (producer, 97);
  expect (&raw, 0, 3, TRUE);
  publish (producer, 100, 102);
  expect (&raw, 100, 102, TRUE);
  end (producer, &raw);
}

static void
test_none (void)
{
  MmapProducer *producer = make_leaky (MMAP_LEAKY_NONE, 3, MIB);
  RawConsumer raw;

  raw_bring_up (&raw, address);
  publish (producer, 0, 3);
  g_assert_cmpint (try_publish_frame (producer, 3, FRAME_BYTES), ==,
      MMAP_PUBLISH_FULL);
  expect (&raw, 0, 3, TRUE);
  publish (producer, 3, 6);
  g_assert_cmpuint (producer->stats.dropped, ==, 0);
  /* No limit any more. */
  mmap_producer_set_max_buffers (producer, 0);
  publish (producer, 6, 7);
  expect (&raw, 3, 7, TRUE);
  end (producer, &raw);
}

/* What a consumer has read is its own, and counts: it gets nothing more until it gives some back. */
static void
test_holds_its_limit (void)
{
  MmapLeaky leaky[] = { MMAP_LEAKY_UPSTREAM, MMAP_LEAKY_DOWNSTREAM };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (leaky); i++) {
    MmapProducer *producer = make_leaky (leaky[i], 2, MIB);
    MmapDescriptor first, second, frame;
    guint8 expected[64];
    RawConsumer raw;

    raw_bring_up (&raw, address);
    publish (producer, 0, 2);
    g_assert_true (take (&raw, &first));
    g_assert_cmpuint (first.hints, ==, 0);
    g_assert_true (take (&raw, &second));
    /* It should copy this one. */
    g_assert_cmpuint (second.hints, ==, MMAP_HINT_LAST_ROOM);
    publish (producer, 2, 50);
    g_assert_false (take (&raw, &frame));
    g_assert_true (mmap_ring_is_read (&producer->links[0]->link->frames));
    give_back (&raw, &second);
    publish (producer, 50, 51);
    g_assert_true (take (&raw, &frame));
    g_assert_cmpuint (frame.number, ==, 51);
    give_back (&raw, &frame);
    /* Untouched all the time. */
    fill_frame (expected, sizeof expected, 0);
    g_assert_cmpmem (raw.region->base + first.offset, sizeof expected,
        expected, sizeof expected);
    give_back (&raw, &first);
    expect_dropped (producer, 48);
    end (producer, &raw);
  }
}

/* The pool's way: what there is not room for twice makes room. */
static void
publish_one (MmapProducer * producer, guint64 n)
{
  MmapBlock *block;

  while (!(block = mmap_producer_alloc (producer, FRAME_BYTES, 1,
              MMAP_ALLOC_POOL)))
    g_assert_true (mmap_producer_reclaim (producer));
  mmap_block_unref (block);
  publish (producer, n, n + 1);
}

/* A consumer that reads gets everything, whatever another one doesn't. */
static void
test_others (void)
{
  MmapLeaky leaky[] = { MMAP_LEAKY_UPSTREAM, MMAP_LEAKY_DOWNSTREAM };
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (leaky); i++) {
    MmapProducer *producer = make_leaky (leaky[i], 0, 10 * FRAME_BYTES);
    MmapLinkStats stats[MMAP_MAX_LINKS];
    RawConsumer slow[3], fast;
    MmapDescriptor frame;
    guint64 n;

    for (j = 0; j < 3; j++)
      raw_bring_up (&slow[j], address);
    raw_bring_up (&fast, address);
    for (n = 0; n < 200; n++) {
      publish_one (producer, n);
      expect (&fast, n, n + 1, TRUE);
      /* Each keeps one at a time of its own. */
      if (n % 50 == 10) {
        g_assert_true (take (&slow[n / 50 % 3], &frame));
        if (n >= 150)
          give_back (&slow[0], &frame);
      }
    }
    g_assert_cmpuint (producer->stats.waits, ==, 0);
    g_assert_cmpuint (mmap_producer_get_links (producer, stats), ==, 4);
    for (j = 0; j < 3; j++) {
      g_assert_cmpuint (stats[j].dropped, >, 150);
      g_assert_cmpuint (stats[j].frames + stats[j].dropped, ==, 200);
    }
    g_assert_cmpuint (stats[3].dropped, ==, 0);
    for (j = 0; j < 3; j++)
      raw_clear (&slow[j]);
    end (producer, &fast);
  }
}

/* Who keeps its share, and gives one back only when another comes, gets one at a time, which it is to copy. */
static void
check_share (MmapLeaky leaky)
{
  MmapProducer *producer = make_leaky (leaky, 0, 10 * FRAME_BYTES);
  RawConsumer keeper, fast;
  MmapDescriptor frame;
  guint64 n, kept = 0, end_n;

  raw_bring_up (&keeper, address);
  raw_bring_up (&fast, address);
  for (n = 0; n < 100; n++) {
    publish_one (producer, n);
    expect (&fast, n, n + 1, TRUE);
    if (!take (&keeper, &frame))
      continue;
    if (frame.hints & MMAP_HINT_LAST_ROOM)
      break;
    kept++;
  }
  g_assert_cmpuint (n, <, 100);
  g_assert_cmpuint (kept, >=, 2);
  /* As long as it keeps that, too, there is no other. */
  for (end_n = ++n + 20; n < end_n; n++) {
    publish_one (producer, n);
    expect (&fast, n, n + 1, TRUE);
    g_assert_false (take (&keeper, &frame));
  }
  for (end_n = n + 20; n < end_n; n++) {
    give_back (&keeper, &frame);
    publish_one (producer, n);
    expect (&fast, n, n + 1, TRUE);
    g_assert_true (take (&keeper, &frame));
    g_assert_cmpuint (frame.pts, ==, n);
    g_assert_true (frame.hints & MMAP_HINT_LAST_ROOM);
  }
  raw_clear (&keeper);
  end (producer, &fast);
}

static void
test_share (void)
{
  check_share (MMAP_LEAKY_UPSTREAM);
  check_share (MMAP_LEAKY_DOWNSTREAM);
}

/* Consumers that keep all memory for themselves don't do so for ever. */
static void
test_exhausted (void)
{
  MmapProducer *producer = make_leaky (MMAP_LEAKY_DOWNSTREAM, 0,
      6 * FRAME_BYTES);
  RawConsumer raw[4];
  MmapDescriptor frame;
  MmapBlock *block;
  gboolean ended[4];
  guint64 dropped;
  guint n, i;

  for (i = 0; i < 4; i++)
    raw_bring_up (&raw[i], address);
  /* Each keeps other frames than the others. */
  for (n = 0; (block = mmap_producer_alloc (producer, FRAME_BYTES, 1,
              MMAP_ALLOC_COPY)); n++) {
    MmapDescriptor next = {.offset = block->offset,.size = FRAME_BYTES };

    g_assert_cmpint (mmap_producer_publish (producer, &next, block,
            (GDestroyNotify) mmap_block_unref, block), ==, MMAP_PUBLISH_OK);
    for (i = 0; i < 4; i++)
      if (take (&raw[i], &frame) && n % 4 != i)
        give_back (&raw[i], &frame);
    mmap_producer_collect (producer);
  }
  g_assert_cmpuint (n, >=, 6);
  g_assert_false (mmap_producer_reclaim (producer));
  g_assert_false (mmap_producer_reclaim (producer));
  dropped = producer->stats.dropped;
  mmap_producer_skip (producer);
  g_assert_cmpuint (producer->stats.dropped, ==, dropped + 4);
  /* Who doesn't look for so long has stood still itself. */
  skip_time (6 * G_TIME_SPAN_SECOND);
  g_assert_false (mmap_producer_reclaim (producer));
  g_assert_cmpuint (mmap_producer_get_n_links (producer), ==, 4);
  for (i = 0; i < 6; i++) {
    skip_time (G_TIME_SPAN_SECOND);
    g_assert_false (mmap_producer_reclaim (producer));
  }
  wait_for_failures (producer, MMAP_ERROR_LIMIT, 1);
  g_assert_cmpuint (mmap_producer_get_n_links (producer), ==, 3);
  /* It has been told, but still has what it holds: for a second. */
  skip_time (2 * G_TIME_SPAN_SECOND);
  g_assert_false (mmap_producer_reclaim (producer));
  wait_for_failures (producer, MMAP_ERROR_LIMIT, 1);
  publish (producer, 7, 8);
  g_mutex_lock (&producer->lock);
  for (i = 0; i < 4; i++)
    ended[i] = !producer->links[i];
  g_mutex_unlock (&producer->lock);
  for (i = 0; i < 4; i++) {
    if (ended[i])
      raw_expect_refusal (&raw[i], MMAP_ERROR_LIMIT, "gave none back");
    if (i < 3)
      raw_clear (&raw[i]);
  }
  end (producer, &raw[3]);
}

/* Moments without room, with room between them, are no shortage, however often they come. */
static void
test_room_meanwhile (void)
{
  MmapProducer *producer = make_leaky (MMAP_LEAKY_UPSTREAM, 0,
      6 * FRAME_BYTES);
  MmapBlock *blocks[16];
  MmapDescriptor frame;
  RawConsumer raw;
  guint n, i;

  raw_bring_up (&raw, address);
  publish (producer, 0, 2);
  g_assert_true (take (&raw, &frame));
  g_assert_true (take (&raw, &frame));
  for (i = 0; i < 8; i++) {
    for (n = 0; (blocks[n] = mmap_producer_alloc (producer, FRAME_BYTES, 1,
                MMAP_ALLOC_COPY)); n++)
      g_assert_cmpuint (n, <, G_N_ELEMENTS (blocks) - 1);
    g_assert_false (mmap_producer_reclaim (producer));
    skip_time (G_TIME_SPAN_SECOND);
    while (n > 0)
      mmap_block_unref (blocks[--n]);
  }
  g_assert_cmpuint (mmap_producer_get_n_links (producer), ==, 1);
  wait_for_failures (producer, MMAP_ERROR_LIMIT, 0);
  end (producer, &raw);
}

/* Events are not dropped; who doesn't read them has to go. Those that stand for a frame are. */
static void
test_events (void)
{
  MmapProducer *producer = make_leaky (MMAP_LEAKY_DOWNSTREAM, 0, MIB);
  MmapEvent event = { 300, 1, 0, NULL, "event", 5 };
  MmapEvent gap = { 301, 1, 0, NULL, "gap", 3,.droppable = TRUE };
  guint room = MMAP_EVENT_RING_SLOTS - FLUSH_SLOTS, i;
  RawConsumer raw, other;
  MmapDescriptor seen;

  raw_bring_up (&raw, address);
  for (i = 0; i < room - 1; i++)
    g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
        MMAP_PUBLISH_OK);
  raw_bring_up (&other, address);
  g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
      MMAP_PUBLISH_OK);
  for (i = 0; i < 10; i++)
    g_assert_cmpint (mmap_producer_push_event (producer, &gap), ==,
        MMAP_PUBLISH_OK);
  g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
      MMAP_PUBLISH_FULL);
  /* It reads one: no harm done. */
  g_assert_cmpint (mmap_ring_peek (&raw.link->events, &seen), ==, MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_pop (&raw.link->events), ==, MMAP_RING_OK);
  skip_time (G_TIME_SPAN_SECOND);
  g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
      MMAP_PUBLISH_OK);
  g_assert_cmpuint (mmap_producer_get_n_links (producer), ==, 2);
  g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
      MMAP_PUBLISH_FULL);
  skip_time (G_TIME_SPAN_SECOND);
  g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
      MMAP_PUBLISH_OK);
  raw_expect_refusal (&raw, MMAP_ERROR_LIMIT, "does not read its events");
  for (i = 0; i < 13; i++) {
    g_assert_cmpint (mmap_ring_peek (&other.link->events, &seen), ==,
        MMAP_RING_OK);
    g_assert_cmpuint (seen.kind, ==, i > 0 && i < 11 ? 301 : 300);
    g_assert_cmpint (mmap_ring_pop (&other.link->events), ==, MMAP_RING_OK);
  }
  g_assert_cmpint (mmap_ring_peek (&other.link->events, &seen), ==,
      MMAP_RING_WAIT);
  raw_clear (&raw);
  end (producer, &other);
}

static void
test_suspended (void)
{
  MmapProducer *producer = make_leaky (MMAP_LEAKY_NONE, 0, MIB);
  MmapDescriptor frame;
  RawConsumer raw;

  raw_bring_up (&raw, address);
  publish (producer, 0, 1);
  mmap_producer_suspend (producer, producer->links[0]->id);
  mmap_producer_suspend (producer, producer->links[0]->id);
  publish (producer, 1, 5);
  mmap_producer_admit (producer, producer->links[0]->id);
  publish (producer, 5, 6);
  g_assert_true (take (&raw, &frame));
  give_back (&raw, &frame);
  g_assert_true (take (&raw, &frame));
  g_assert_cmpuint (frame.pts, ==, 5);
  g_assert_cmpuint (frame.number, ==, 6);
  give_back (&raw, &frame);
  end (producer, &raw);
}

static void
test_hostile (void)
{
  MmapProducer *producer = make_leaky (MMAP_LEAKY_DOWNSTREAM, 2, MIB);
  RawConsumer raw;

  raw_bring_up (&raw, address);
  publish (producer, 0, 2);
  __atomic_store_n (&raw.link->area->frame_tail, 77, __ATOMIC_RELEASE);
  publish (producer, 2, 3);
  wait_for_failures (producer, MMAP_ERROR_RING, 1);
  raw_expect_refusal (&raw, MMAP_ERROR_RING, "impossible indices");
  raw_clear (&raw);
  wait_for_links (producer, 0);
  check_all_free (producer);
  end_producer (producer);
}

/* The count of frames goes round, without a number that says nothing. */
static void
test_number_wraps (void)
{
  MmapProducer *producer = make_leaky (MMAP_LEAKY_DOWNSTREAM, 0, MIB);
  MmapConsumer *consumer = mmap_consumer_new (address, NULL);
  MmapConsumerStats stats;
  MmapItem item;
  guint i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (producer, 1);
  producer->links[0]->number = G_MAXUINT32 - 2;
  for (i = 0; i < 5; i++) {
    publish (producer, i, i + 1);
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    if (i > 0)
      g_assert_cmpuint (item.missed, ==, 0);
    g_assert_cmpuint (item.descriptor.number, !=, 0);
    release_item (&item);
  }
  mmap_producer_skip (producer);
  mmap_producer_skip (producer);
  publish (producer, 5, 6);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  g_assert_cmpuint (item.missed, ==, 2);
  release_item (&item);
  mmap_consumer_get_stats (consumer, &stats);
  g_assert_cmpuint (stats.missed, >=, 2);
  mmap_consumer_free (consumer);
  wait_for_links (producer, 0);
  check_all_free (producer);
  end_producer (producer);
}

/* Both at once: each frame that is read is whole, and each that isn't is counted. */
static void
test_race (void)
{
  guint64 n = 20000;
  MmapProducer *producer = make_leaky (MMAP_LEAKY_DOWNSTREAM, 4, MIB);
  MmapConsumerStats stats;
  Reader reader;

  reader_start (&reader, address, FALSE);
  wait_for_links (producer, 1);
  publish (producer, 0, n);
  reader_wait (&reader, reader.last == n - 1);
  mmap_consumer_get_stats (reader.consumer, &stats);
  g_assert_cmpuint (stats.frames + stats.missed, ==, n);
  g_assert_cmpuint (producer->stats.dropped, ==, stats.missed);
  g_test_message ("%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " dropped",
      stats.missed, n);
  reader_stop (&reader);
  wait_for_links (producer, 0);
  check_all_free (producer);
  end_producer (producer);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  address = leak_check_path ("socket");
  leak_check_add_test ("/producer-leaky/downstream", test_downstream);
  leak_check_add_test ("/producer-leaky/upstream", test_upstream);
  leak_check_add_test ("/producer-leaky/none", test_none);
  leak_check_add_test ("/producer-leaky/holds-its-limit", test_holds_its_limit);
  leak_check_add_test ("/producer-leaky/others", test_others);
  leak_check_add_test ("/producer-leaky/share", test_share);
  leak_check_add_test ("/producer-leaky/exhausted", test_exhausted);
  leak_check_add_test ("/producer-leaky/room-meanwhile", test_room_meanwhile);
  leak_check_add_test ("/producer-leaky/events", test_events);
  leak_check_add_test ("/producer-leaky/suspended", test_suspended);
  leak_check_add_test ("/producer-leaky/hostile", test_hostile);
  leak_check_add_test ("/producer-leaky/number-wraps", test_number_wraps);
  leak_check_add_test ("/producer-leaky/race", test_race);
  result = g_test_run ();
  g_free (address);
  return result;
}
