/* gst-mmap: tests of links that end while the consumer still holds something
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. The region has room for a few frames only, so that each block is used again soon.
 */
#include "areas.h"
#include "consumer-private.h"
#include "leak-check.h"
#include "peers.h"
#include "producer-private.h"

#include <gmodule.h>
#include <string.h>

#define FRAME_BYTES 65536
#define ROOM 8                  /* frames */
#define MIB (G_GUINT64_CONSTANT (1) << 20)

static char *address, *file;
static gboolean in_area;        /* without a socket */
static gint64 skipped_us;       /* atomic: the clock is so much ahead */

gint64 __real_g_get_monotonic_time (void);
G_MODULE_EXPORT gint64 __wrap_g_get_monotonic_time (void);

gint64
__wrap_g_get_monotonic_time (void)
{
  return __real_g_get_monotonic_time ()
      + __atomic_load_n (&skipped_us, __ATOMIC_RELAXED);
}

MmapRingResult __real_mmap_ring_take_back (MmapRing * ring, guint64 * index);
MmapRingResult __wrap_mmap_ring_take_back (MmapRing * ring, guint64 * index);

/* Looks when all frames have been taken back, and no event. */
static MmapConsumer *looker;
static GError *looker_error;

/* The linker puts this in the place of mmap_ring_take_back(). */
MmapRingResult
__wrap_mmap_ring_take_back (MmapRing * ring, guint64 * index)
{
  MmapRingResult result = __real_mmap_ring_take_back (ring, index);
  MmapConsumer *consumer = looker;
  MmapItem item;

  if (consumer && ring->n_slots == MMAP_FRAME_RING_SLOTS
      && result == MMAP_RING_WAIT) {
    looker = NULL;
    g_assert_cmpint (mmap_consumer_next (consumer, &item, &looker_error), ==,
        MMAP_NEXT_ERROR);
  }
  return result;
}

static MmapProducer *
make (void)
{
  return in_area ? make_area_producer (file, 64 * MIB, NULL,
      ROOM * FRAME_BYTES) : make_producer (address, ROOM * FRAME_BYTES);
}

static MmapConsumer *
connect_to (MmapProducer * producer)
{
  guint before = mmap_producer_get_n_links (producer);
  GError *error = NULL;
  MmapConsumer *consumer = in_area ?
      mmap_consumer_new_in_area (file, "default", &error) :
      mmap_consumer_new (address, &error);
  MmapItem item;

  g_assert_no_error (error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (producer, before + 1);
  return consumer;
}

static void
take (MmapProducer * producer, MmapConsumer * consumer, guint64 number,
    MmapItem * item)
{
  publish_frame (producer, number, FRAME_BYTES);
  next_item (consumer, item, MMAP_NEXT_FRAME);
  check_frame (item, number);
}

/* All blocks that are free are written to, several times. */
static void
go_on (MmapProducer * producer)
{
  guint i;

  for (i = 0; i < 4 * ROOM; i++)
    publish_frame (producer, 1000 + i, FRAME_BYTES);
}

/* Entries of the region's table in @state. */
static guint
count_entries (MmapProducer * producer, MmapLinkState state)
{
  guint n = 0, i;

  g_mutex_lock (&producer->lock);
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    n += producer->arena->region->header->links[i].state == state;
  g_mutex_unlock (&producer->lock);
  return n;
}

/* Waits until no link is there, not even one that is leaving. */
static void
wait_until_gone (MmapProducer * producer)
{
  MmapLinkStats stats[MMAP_MAX_LINKS];
  MmapCancel cancel = { FALSE };

  for (;;) {
    guint64 serial = mmap_producer_collect (producer);

    if (mmap_producer_get_links (producer, stats) == 0)
      break;
    g_assert_cmpint (mmap_producer_wait (producer, &cancel, serial, -1), ==,
        MMAP_WAIT_OK);
  }
}

static void
end (MmapProducer * producer)
{
  wait_until_gone (producer);
  g_assert_cmpuint (mmap_producer_get_held (producer), ==, 0);
  check_all_free (producer);
  end_producer (producer);
}

/* What it keeps stays right, and the producer knows as much. */
static void
test_keeps (void)
{
  MmapProducer *producer = make ();
  MmapConsumer *consumer = connect_to (producer);
  MmapLinkStats stats[MMAP_MAX_LINKS];
  MmapItem items[3], late;
  guint i;

  push_event (producer, MMAP_EVENT_CAPS, "caps");
  next_item (consumer, &late, MMAP_NEXT_EVENT);
  for (i = 0; i < 3; i++)
    take (producer, consumer, i, &items[i]);
  release_item (&items[1]);
  mmap_consumer_free (consumer);
  wait_for_links (producer, 0);
  g_assert_cmpuint (mmap_producer_get_links (producer, stats), ==, 1);
  g_assert_true (stats[0].leaving);
  g_assert_cmpuint (stats[0].held, ==, 2);
  g_assert_cmpuint (stats[0].frames, ==, 3);
  g_assert_cmpuint (count_entries (producer, MMAP_LINK_LEAVING), ==, 1);
  push_event (producer, MMAP_EVENT_CAPS, "other");
  go_on (producer);
  check_frame (&items[0], 0);
  check_frame (&items[2], 2);
  g_assert_cmpmem (late.data, late.descriptor.size, "caps", 4);
  release_item (&items[2]);
  wait_for_held (producer, 1);
  g_assert_cmpuint (count_entries (producer, MMAP_LINK_LEAVING), ==, 1);
  go_on (producer);
  check_frame (&items[0], 0);
  mmap_item_clear (&late);
  release_item (&items[0]);
  wait_until_gone (producer);
  g_assert_cmpuint (count_entries (producer, MMAP_LINK_FREE), ==,
      MMAP_MAX_LINKS);
  end (producer);
}

/* What it has not read is free at once. */
static void
test_unread (void)
{
  MmapProducer *producer = make ();
  MmapConsumer *consumer = connect_to (producer);
  MmapItem item;
  guint i;

  take (producer, consumer, 0, &item);
  for (i = 1; i < 4; i++) {
    publish_frame (producer, i, FRAME_BYTES);
    push_event (producer, MMAP_EVENT_CAPS, "caps");
  }
  mmap_consumer_free (consumer);
  wait_for_links (producer, 0);
  g_mutex_lock (&producer->lock);
  g_assert_nonnull (producer->links[0]);
  g_assert_cmpuint (producer->links[0]->held, ==, 1);
  g_assert_cmpuint (producer->links[0]->frames, ==, 1);
  g_mutex_unlock (&producer->lock);
  go_on (producer);
  check_frame (&item, 0);
  release_item (&item);
  end (producer);
}

/* There is a new link for who comes again, also with a new region; what is held of the old one is not disturbed. */
static void
test_comes_again (void)
{
  MmapProducer *producer = make ();
  MmapConsumer *consumer = connect_to (producer);
  MmapItem old, item;
  GError *error = NULL;

  take (producer, consumer, 0, &old);
  mmap_consumer_disconnect (consumer);
  wait_for_links (producer, 0);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (producer, 1);
  take (producer, consumer, 1, &item);
  release_item (&item);
  mmap_producer_set_region (producer,
      mmap_producer_size_for (2 * ROOM * FRAME_BYTES), G_MAXUINT64, NULL,
      &error);
  g_assert_no_error (error);
  g_assert_cmpuint (count_entries (producer, MMAP_LINK_LEAVING), ==, 1);
  take (producer, consumer, 2, &item);
  check_frame (&old, 0);
  mmap_consumer_free (consumer);
  wait_for_links (producer, 0);
  go_on (producer);
  check_frame (&item, 2);
  check_frame (&old, 0);
  release_item (&item);
  release_item (&old);
  end (producer);
}

/* The producer ends the link: the consumer gets nothing of what was to be read, the reason, and keeps what it has. */
static void
test_refused (void)
{
  MmapProducer *producer = make ();
  MmapConsumer *consumer = connect_to (producer);
  g_autoptr (GError) reason = g_error_new (MMAP_ERROR,
      MMAP_ERROR_NOT_NEGOTIATED, "why");
  GError *error = NULL;
  MmapItem held, item;
  guint i;

  take (producer, consumer, 0, &held);
  for (i = 1; i < 4; i++)
    publish_frame (producer, i, FRAME_BYTES);
  push_event (producer, MMAP_EVENT_CAPS, "caps");
  mmap_producer_refuse (producer, held.link->link->area->link_id, reason);
  g_assert_cmpuint (mmap_producer_get_n_links (producer), ==, 0);
  g_assert_cmpuint (mmap_producer_get_held (producer), ==, 1);
  go_on (producer);
  /* It has not noticed yet. */
  check_frame (&held, 0);
  g_assert_cmpint (mmap_consumer_next (consumer, &item, &error), ==,
      MMAP_NEXT_ERROR);
  check_error (&error, MMAP_ERROR_NOT_NEGOTIATED, "why");
  mmap_consumer_free (consumer);
  go_on (producer);
  check_frame (&held, 0);
  release_item (&held);
  end (producer);
}

/* The last frames are taken back: the end of the stream that comes after them is none. */
static void
test_no_end (void)
{
  MmapProducer *producer = make ();
  MmapConsumer *consumer = connect_to (producer);
  g_autoptr (GError) reason = g_error_new (MMAP_ERROR, MMAP_ERROR_LIMIT, "why");
  MmapItem item;
  guint32 link_id;
  guint i;

  take (producer, consumer, 0, &item);
  g_assert_cmpuint (item.link->link->area->ended, ==, 0);
  link_id = item.link->link->area->link_id;
  release_item (&item);
  for (i = 1; i < 3; i++)
    publish_frame (producer, i, FRAME_BYTES);
  push_event (producer, MMAP_EVENT_EOS, "");
  looker = consumer;
  mmap_producer_refuse (producer, link_id, reason);
  g_assert_null (looker);
  check_error (&looker_error, MMAP_ERROR_LIMIT, "why");
  mmap_consumer_free (consumer);
  end (producer);
}

/* One that was refused and just goes holds nothing. */
static void
test_refused_goes (void)
{
  MmapProducer *producer = make ();
  g_autoptr (GError) reason = g_error_new (MMAP_ERROR,
      MMAP_ERROR_NOT_NEGOTIATED, "why");
  MmapDescriptor frame;
  RawConsumer raw;

  raw_bring_up (&raw, address);
  publish_frame (producer, 0, FRAME_BYTES);
  g_assert_cmpint (mmap_ring_peek (&raw.link->frames, &frame), ==,
      MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_pop (&raw.link->frames), ==, MMAP_RING_OK);
  mmap_producer_refuse (producer, raw.link->area->link_id, reason);
  /* What it said before it knew. */
  raw_send_message (raw.socket, MMAP_MESSAGE_WISHES, NULL);
  raw_send_message (raw.socket, MMAP_MESSAGE_QUERY, NULL);
  raw_expect_refusal (&raw, MMAP_ERROR_NOT_NEGOTIATED, "why");
  raw_clear (&raw);
  wait_for_failures (producer, MMAP_ERROR_NOT_NEGOTIATED, 1);
  wait_for_failures (producer, MMAP_ERROR_MESSAGE, 0);
  end (producer);
}

static gboolean
has_room (MmapProducer * producer)
{
  MmapBlock *block = mmap_producer_alloc (producer, FRAME_BYTES, 64,
      MMAP_ALLOC_COPY);

  if (!block)
    return FALSE;
  mmap_block_unref (block);
  return TRUE;
}

/* All memory is held by those who have left: one of them is not waited for any longer, whatever the policy for who is there. */
static void
test_shortage (gconstpointer data)
{
  MmapLeaky leaky = GPOINTER_TO_INT (data);
  MmapProducer *producer = make ();
  MmapItem items[4 * ROOM];
  MmapCancel cancel = { FALSE };
  MmapProducerStats stats;
  MmapWaitResult result;
  MmapBlock *block;
  guint n = 0, n_waits = 0, n_links, i;

  mmap_producer_set_leaky (producer, leaky);
  for (n_links = 0; has_room (producer); n_links++) {
    MmapConsumer *consumer = connect_to (producer);

    for (i = 0; i < 2 && has_room (producer); i++, n++)
      take (producer, consumer, n, &items[n]);
    mmap_consumer_free (consumer);
    wait_for_links (producer, 0);
  }
  for (;;) {
    guint64 serial = mmap_producer_collect (producer);

    block = mmap_producer_alloc (producer, FRAME_BYTES, 64, MMAP_ALLOC_COPY);
    if (block || (leaky != MMAP_LEAKY_NONE && mmap_producer_reclaim (producer)))
      break;
    /* Who waits for ever looks again all the same: time alone may help. */
    result = mmap_producer_wait (producer, &cancel, serial,
        leaky == MMAP_LEAKY_NONE && n_waits == 0 ? -1 : 1000);
    if (n_waits == 0)
      g_assert_cmpint (result, ==, MMAP_WAIT_TIMEOUT);
    g_assert_cmpuint (++n_waits, <, 10);
    __atomic_fetch_add (&skipped_us, G_USEC_PER_SEC, __ATOMIC_RELAXED);
  }
  g_assert_cmpuint (n_waits, >=, 4);
  g_clear_pointer (&block, mmap_block_unref);
  mmap_producer_get_stats (producer, &stats);
  g_assert_cmpuint (stats.failures[MMAP_ERROR_LIMIT], ==, 1);
  g_assert_cmpuint (count_entries (producer, MMAP_LINK_LEAVING), ==,
      n_links - 1);
  for (i = 0; i < n; i++)
    release_item (&items[i]);
  end (producer);
}

/* Those who have left, and hold something, have their places. */
static void
test_limit (void)
{
  MmapProducer *producer = make ();
  RawConsumer raw[MMAP_MAX_LINKS], late;
  MmapDescriptor frame;
  guint i;

  for (i = 0; i < MMAP_MAX_LINKS; i++)
    raw_bring_up (&raw[i], address);
  publish_frame (producer, 0, FRAME_BYTES);
  for (i = 0; i < MMAP_MAX_LINKS; i++) {
    g_assert_cmpint (mmap_ring_peek (&raw[i].link->frames, &frame), ==,
        MMAP_RING_OK);
    g_assert_cmpint (mmap_ring_pop (&raw[i].link->frames), ==, MMAP_RING_OK);
    raw_send_message (raw[i].socket, MMAP_MESSAGE_LEAVE, NULL);
  }
  wait_for_links (producer, 0);
  raw_connect (&late, address);
  raw_expect_refusal (&late, MMAP_ERROR_LIMIT, "consumers already");
  raw_clear (&late);
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    raw_clear (&raw[i]);
  end (producer);
}

static void
give_back (RawConsumer * raw, guint64 id)
{
  g_assert_cmpint (mmap_ring_push (&raw->link->releases, &id), ==,
      MMAP_RING_OK);
}

/* Takes one frame of two, and leaves. */
static guint64
leave_raw (MmapProducer * producer, RawConsumer * raw)
{
  MmapDescriptor frame;

  raw_bring_up (raw, address);
  publish_frame (producer, 0, FRAME_BYTES);
  publish_frame (producer, 1, FRAME_BYTES);
  g_assert_cmpint (mmap_ring_peek (&raw->link->frames, &frame), ==,
      MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_pop (&raw->link->frames), ==, MMAP_RING_OK);
  raw_send_message (raw->socket, MMAP_MESSAGE_LEAVE, NULL);
  wait_for_links (producer, 0);
  g_assert_cmpuint (mmap_producer_get_held (producer), ==, 1);
  return frame.id;
}

static void
test_hostile (void)
{
  MmapProducer *producer = make ();
  MmapMessage message;
  MmapDescriptor frame;
  RawConsumer raw;
  guint64 id;

  /* Before there is anything to be left. */
  raw_connect (&raw, address);
  raw_send_hello (&raw, MMAP_PROTOCOL_VERSION);
  raw_take_offer (&raw);
  raw_send_message (raw.socket, MMAP_MESSAGE_LEAVE, NULL);
  raw_expect_refusal (&raw, MMAP_ERROR_MESSAGE, "out of turn");
  raw_clear (&raw);
  /* Twice. */
  leave_raw (producer, &raw);
  raw_send_message (raw.socket, MMAP_MESSAGE_LEAVE, NULL);
  raw_expect_refusal (&raw, MMAP_ERROR_MESSAGE, "after it had left");
  raw_clear (&raw);
  wait_until_gone (producer);
  /* What was taken back. */
  id = leave_raw (producer, &raw);
  give_back (&raw, id + 1);
  mmap_producer_collect (producer);
  raw_expect_refusal (&raw, MMAP_ERROR_RING, "did not hold");
  raw_clear (&raw);
  /* Nothing is left: the socket is of no use. */
  id = leave_raw (producer, &raw);
  give_back (&raw, id);
  mmap_producer_collect (producer);
  g_assert_false (raw_receive (raw.socket, &message));
  raw_clear (&raw);
  /* Impossible tails. */
  raw_bring_up (&raw, address);
  publish_frame (producer, 0, FRAME_BYTES);
  g_assert_cmpint (mmap_ring_peek (&raw.link->frames, &frame), ==,
      MMAP_RING_OK);
  __atomic_store_n (&raw.link->area->event_tail, 77, __ATOMIC_RELEASE);
  raw_send_message (raw.socket, MMAP_MESSAGE_LEAVE, NULL);
  raw_expect_refusal (&raw, MMAP_ERROR_RING, "impossible indices");
  raw_clear (&raw);
  wait_for_failures (producer, MMAP_ERROR_MESSAGE, 2);
  wait_for_failures (producer, MMAP_ERROR_RING, 2);
  end (producer);
}

/* It hangs up without having given back what it kept: as if it had been killed. */
static void
test_killed (void)
{
  MmapProducer *producer = make ();
  RawConsumer raw;

  leave_raw (producer, &raw);
  raw_clear (&raw);
  wait_for_held (producer, 0);
  end (producer);
}

/* The producer ends first. */
static void
test_producer_closes (void)
{
  MmapProducer *producer = make ();
  MmapConsumer *consumer = connect_to (producer);
  MmapItem item;

  take (producer, consumer, 0, &item);
  mmap_consumer_free (consumer);
  wait_for_links (producer, 0);
  end_producer (producer);
  check_frame (&item, 0);
  release_item (&item);
}

static gpointer
bring_up (gpointer raw)
{
  raw_producer_bring_up (raw);
  return NULL;
}

/* A producer that reads nothing, or too slowly, hears it all the same. */
static void
test_full_socket (void)
{
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  MmapDescriptor descriptor;
  MmapMessage message;
  RawProducer raw;
  MmapItem item;
  gboolean left = FALSE;
  GThread *thread;

  g_assert_no_error (error);
  raw_producer_init (&raw, address);
  thread = g_thread_new ("producer", bring_up, &raw);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_thread_join (thread);
  descriptor = raw_producer_describe (&raw);
  raw_producer_push (&raw, &raw.link->frames, &descriptor);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  while (mmap_consumer_send (consumer, MMAP_MESSAGE_EVENT,
          raw_body ("padding", "of some length")));
  mmap_consumer_disconnect (consumer);
  while (!left) {
    g_assert_true (raw_receive (raw.socket, &message));
    left = message.kind == MMAP_MESSAGE_LEAVE;
    mmap_message_clear (&message);
  }
  release_item (&item);
  g_assert_false (raw_receive (raw.socket, &message));
  raw_producer_clear (&raw);
  mmap_consumer_free (consumer);
}

static gpointer
give_all_back (gpointer data)
{
  GArray *items = data;
  guint i;

  for (i = 0; i < items->len; i++) {
    MmapItem *item = &g_array_index (items, MmapItem, i);

    check_frame (item, item->descriptor.pts);
    release_item (item);
  }
  return NULL;
}

/* Frames are given back while the consumer leaves and the producer goes on. */
static void
test_race (void)
{
  MmapProducer *producer = make ();
  guint round, i;

  for (round = 0; round < 100; round++) {
    MmapConsumer *consumer = connect_to (producer);
    GArray *items = g_array_new (FALSE, FALSE, sizeof (MmapItem));
    GThread *thread;

    g_array_set_size (items, 3);
    for (i = 0; i < 3; i++)
      take (producer, consumer, i, &g_array_index (items, MmapItem, i));
    thread = g_thread_new ("release", give_all_back, items);
    mmap_consumer_free (consumer);
    for (i = 0; i < ROOM; i++)
      publish_frame (producer, 1000 + i, FRAME_BYTES);
    g_thread_join (thread);
    g_array_unref (items);
    wait_until_gone (producer);
  }
  end (producer);
}

static void
test_in_area (void)
{
  in_area = TRUE;
  test_keeps ();
  test_unread ();
  test_comes_again ();
  test_refused ();
  test_producer_closes ();
  in_area = FALSE;
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  address = leak_check_path ("socket");
  file = leak_check_path ("area");
  leak_check_add_test ("/producer-leave/keeps", test_keeps);
  leak_check_add_test ("/producer-leave/unread", test_unread);
  leak_check_add_test ("/producer-leave/comes-again", test_comes_again);
  leak_check_add_test ("/producer-leave/refused", test_refused);
  leak_check_add_test ("/producer-leave/no-end", test_no_end);
  leak_check_add_test ("/producer-leave/refused-goes", test_refused_goes);
  g_test_add_data_func ("/producer-leave/shortage/none",
      GINT_TO_POINTER (MMAP_LEAKY_NONE), test_shortage);
  g_test_add_data_func ("/producer-leave/shortage/downstream",
      GINT_TO_POINTER (MMAP_LEAKY_DOWNSTREAM), test_shortage);
  leak_check_add_test ("/producer-leave/limit", test_limit);
  leak_check_add_test ("/producer-leave/hostile", test_hostile);
  leak_check_add_test ("/producer-leave/killed", test_killed);
  leak_check_add_test ("/producer-leave/producer-closes", test_producer_closes);
  leak_check_add_test ("/producer-leave/full-socket", test_full_socket);
  leak_check_add_test ("/producer-leave/race", test_race);
  leak_check_add_test ("/producer-leave/in-area", test_in_area);
  result = g_test_run ();
  g_free (file);
  g_free (address);
  return result;
}
