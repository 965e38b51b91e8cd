/* gst-mmap: tests of the producer's serialised events
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Consumers are read by hand, so that it is known what lies in their rings.
 */
#include "leak-check.h"
#include "peers.h"
#include "producer-private.h"

#include <string.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)

/* What a link that reads none takes; the other slots are for flushes. */
#define N_EVENTS (MMAP_EVENT_RING_SLOTS - FLUSH_SLOTS)

static char *address;

/* Each event says what it is: its payload is its name for the test. */
static MmapPublishResult
push (MmapProducer * producer, guint32 kind, guint32 order, const char *name,
    const char *payload)
{
  MmapEvent event = { kind, 7, order, name, payload, strlen (payload) };

  return mmap_producer_push_event (producer, &event);
}

static void
push_ok (MmapProducer * producer, guint32 kind, guint32 order, const char *name,
    const char *payload)
{
  g_assert_cmpint (push (producer, kind, order, name, payload), ==,
      MMAP_PUBLISH_OK);
}

/* The next event in the ring, which is given back. FALSE if there is none: also if the link was ended. */
static gboolean
take (RawConsumer * raw, MmapDescriptor * event)
{
  if (mmap_ring_peek (&raw->link->events, event) != MMAP_RING_OK)
    return FALSE;
  if (mmap_ring_pop (&raw->link->events) != MMAP_RING_OK)
    return FALSE;
  if (event->id != 0)
    g_assert_cmpint (mmap_ring_push (&raw->link->releases, &event->id), ==,
        MMAP_RING_OK);
  return TRUE;
}

/* The payloads of all that is in the ring are @expected, separated by spaces. */
static void
expect (RawConsumer * raw, const char *expected)
{
  g_autoptr (GString) seen = g_string_new (NULL);
  MmapDescriptor event;

  while (take (raw, &event)) {
    if (seen->len > 0)
      g_string_append_c (seen, ' ');
    if (event.kind == MMAP_EVENT_FLUSH)
      g_string_append_printf (seen, "flush-%u", (guint) event.frame_offset);
    else if (event.size == 0)
      g_string_append_printf (seen, "kind-%u", event.kind);
    else
      g_string_append_len (seen,
          (const char *) raw->region->base + event.offset, event.size);
  }
  g_assert_cmpstr (seen->str, ==, expected);
}

/* What a consumer that comes now is given. */
static void
expect_late (MmapProducer * producer, const char *expected)
{
  guint n_links = mmap_producer_get_n_links (producer);
  RawConsumer late;

  raw_bring_up (&late, address);
  expect (&late, expected);
  raw_clear (&late);
  wait_for_links (producer, n_links);
}

static void
test_order (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  RawConsumer early;

  raw_bring_up (&early, address);
  push_ok (producer, 300, 30, NULL, "third");
  push_ok (producer, 100, 10, NULL, "first");
  push_ok (producer, 400, 0, NULL, "once");
  push_ok (producer, 200, 20, "a", "second-a");
  push_ok (producer, 200, 20, "b", "second-b");
  push_ok (producer, 101, 10, NULL, "first-too");
  push_ok (producer, 102, 10, NULL, "");
  /* Those that are there get them as they come. */
  expect (&early, "third first once second-a second-b first-too kind-102");
  expect_late (producer, "first first-too kind-102 second-a second-b third");

  /* In the place of the earlier one, also if that had no payload, or this has none. */
  push_ok (producer, 100, 10, NULL, "first-again");
  push_ok (producer, 200, 20, "a", "");
  push_ok (producer, 102, 10, NULL, "filled");
  push_ok (producer, 200, 20, NULL, "second");
  expect (&early, "first-again kind-200 filled second");
  expect_late (producer,
      "first-again first-too filled kind-200 second-b second third");
  raw_clear (&early);
  wait_for_links (producer, 0);
  check_all_free (producer);
  end_producer (producer);
}

/* A descriptor says all of it. */
static void
test_descriptor (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapEvent event = { MMAP_EVENT_EOS, 0xfffffffe, 1, NULL, NULL, 0, 0, 0 };
  MmapDescriptor seen;
  RawConsumer raw;

  g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
      MMAP_PUBLISH_OK);
  event = (MmapEvent) {
  333, 5, 2, "name", "payload", 7, 1234, 5678};
  g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
      MMAP_PUBLISH_OK);
  raw_bring_up (&raw, address);
  g_assert_true (take (&raw, &seen));
  g_assert_cmpuint (seen.kind, ==, MMAP_EVENT_EOS);
  g_assert_cmpuint (seen.sequence, ==, 1);
  g_assert_cmpuint (seen.flags, ==, 0xfffffffe);
  g_assert_cmpuint (seen.id, ==, 0);
  g_assert_cmpuint (seen.size, ==, 0);
  g_assert_cmpuint (seen.anchor, ==, MMAP_TIME_NONE);
  g_assert_true (take (&raw, &seen));
  g_assert_cmpuint (seen.kind, ==, 333);
  g_assert_cmpuint (seen.sequence, ==, 2);
  g_assert_cmpuint (seen.flags, ==, 5);
  g_assert_cmpuint (seen.id, !=, 0);
  g_assert_cmpuint (seen.region_id, ==, 1);
  g_assert_cmpmem (raw.region->base + seen.offset, seen.size, "payload", 7);
  g_assert_cmpuint (seen.anchor, ==, 1234);
  g_assert_cmpuint (seen.latency, ==, 5678);
  g_assert_cmpuint (seen.pts, ==, MMAP_TIME_NONE);
  g_assert_false (take (&raw, &seen));
  raw_clear (&raw);
  wait_for_links (producer, 0);
  end_producer (producer);
}

static void
test_limits (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  guint64 capacity = mmap_producer_get_capacity (producer);
  g_autofree char *long_one = g_malloc (capacity + 1);
  MmapEvent event = { 300, 1, 1, NULL, long_one, capacity + 1 };
  g_autoptr (GString) all = g_string_new (NULL);
  guint i;

  memset (long_one, 'x', capacity + 1);
  g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
      MMAP_PUBLISH_TOO_LARGE);
  event.order = 0;
  g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
      MMAP_PUBLISH_TOO_LARGE);
  expect_late (producer, "");

  for (i = 0; i < MAX_KEPT_EVENTS; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);

    push_ok (producer, 300, 1, name, name);
    g_string_append_printf (all, "%s%s", i > 0 ? " " : "", name);
  }
  g_assert_cmpint (push (producer, 300, 1, "more", "more"), ==,
      MMAP_PUBLISH_TOO_LARGE);
  g_assert_cmpint (push (producer, 301, 1, "n0", "more"), ==,
      MMAP_PUBLISH_TOO_LARGE);
  /* What replaces one, or isn't kept, needs no place. */
  push_ok (producer, 300, 1, "n0", "n0");
  push_ok (producer, 301, 0, "n0", "more");
  expect_late (producer, all->str);
  mmap_producer_forget_event (producer, 300);
  push_ok (producer, 301, 1, "n0", "more");
  expect_late (producer, "more");
  check_all_free (producer);
  end_producer (producer);
}

static void
test_before_region (void)
{
  MmapProducer *producer = make_producer (address, 0);
  g_autofree char *payload = g_strnfill (MIB / 2, 'x');
  GError *error = NULL;

  push_ok (producer, 300, 2, NULL, payload);
  push_ok (producer, 200, 1, NULL, "first");
  /* To nobody. */
  push_ok (producer, 201, 0, NULL, "once");
  g_assert_false (mmap_producer_set_region (producer,
          mmap_producer_size_for (4096), G_MAXUINT64, NULL, &error));
  check_error (&error, MMAP_ERROR_TOO_SMALL, "no room for caps");
  g_assert_cmpuint (mmap_producer_get_capacity (producer), ==, 0);
  mmap_producer_set_region (producer, mmap_producer_size_for (MIB),
      G_MAXUINT64, NULL, &error);
  g_assert_no_error (error);
  push_ok (producer, 300, 2, NULL, "second");
  expect_late (producer, "first second");
  end_producer (producer);
}

/* A new region takes the kept events over, and a link that is up is not given them again. */
static void
test_new_region (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  g_autofree char *payload = g_strnfill (MIB / 2, 'x');
  MmapCapabilities answer;
  GError *error = NULL;
  MmapDescriptor event;
  RawConsumer raw;

  push_ok (producer, 300, 1, NULL, "one");
  push_ok (producer, 300, 1, "big", payload);
  push_ok (producer, 301, 2, NULL, "");
  raw_bring_up (&raw, address);
  g_assert_true (take (&raw, &event));
  g_assert_cmpuint (event.region_id, ==, 1);

  g_assert_false (mmap_producer_set_region (producer,
          mmap_producer_size_for (MIB / 4), G_MAXUINT64, NULL, &error));
  check_error (&error, MMAP_ERROR_TOO_SMALL, "");
  mmap_producer_set_region (producer, mmap_producer_size_for (2 * MIB),
      G_MAXUINT64, NULL, &error);
  g_assert_no_error (error);
  raw_take_offer (&raw);
  raw_make_answer (&raw, &answer);
  raw_send_answer (&raw, &answer);
  mmap_capabilities_clear (&answer);

  /* Two that were there before, in the old region. */
  g_assert_true (take (&raw, &event));
  g_assert_cmpuint (event.region_id, ==, 1);
  g_assert_true (take (&raw, &event));
  g_assert_false (take (&raw, &event));
  push_ok (producer, 302, 0, NULL, "new");
  g_assert_true (take (&raw, &event));
  g_assert_cmpuint (event.region_id, ==, raw.offer.region_id);
  raw_clear (&raw);
  wait_for_links (producer, 0);

  mmap_producer_forget_event (producer, 301);
  push_ok (producer, 300, 1, "big", "small");
  expect_late (producer, "one small");
  check_all_free (producer);
  end_producer (producer);
}

static void
test_forget (void)
{
  MmapProducer *producer = make_producer (address, MIB);

  mmap_producer_forget_event (producer, 300);
  push_ok (producer, 300, 1, NULL, "a");
  push_ok (producer, 300, 1, "b", "b");
  push_ok (producer, 301, 2, NULL, "c");
  push_ok (producer, 300, 3, NULL, "d");
  mmap_producer_forget_event (producer, 302);
  expect_late (producer, "a b c d");
  mmap_producer_forget_event (producer, 300);
  expect_late (producer, "c");
  mmap_producer_forget_event (producer, 301);
  expect_late (producer, "");
  check_all_free (producer);
  end_producer (producer);
}

/* Events are never dropped: as long as somebody has no room, nobody gets the next. */
static void
test_full_ring (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapDescriptor event;
  RawConsumer one, two;
  MmapProducerStats stats;
  guint i;

  raw_bring_up (&one, address);
  raw_bring_up (&two, address);
  for (i = 0; i < N_EVENTS; i++)
    push_ok (producer, 300, 0, NULL, "x");
  for (i = 0; i < N_EVENTS; i++)
    g_assert_true (take (&two, &event));
  g_assert_cmpint (push (producer, 300, 1, NULL, "y"), ==, MMAP_PUBLISH_FULL);
  expect (&two, "");
  /* Frames go on. */
  publish_frame (producer, 1, 64);
  g_assert_true (take (&one, &event));
  push_ok (producer, 300, 1, NULL, "y");
  expect (&two, "y");
  mmap_producer_get_stats (producer, &stats);
  g_assert_cmpuint (stats.events, ==, N_EVENTS + 1);
  raw_clear (&one);
  raw_clear (&two);
  wait_for_links (producer, 0);
  end_producer (producer);
}

/* It has not read what it got before it was suspended, and there is no room for the kept ones. */
static void
test_admit_full_ring (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  RawConsumer raw;
  guint32 id;
  guint i;

  raw_bring_up (&raw, address);
  id = raw.link->area->link_id;
  for (i = 0; i < N_EVENTS; i++)
    push_ok (producer, 300, 1, NULL, "x");
  for (i = 0; i < FLUSH_SLOTS; i++)
    mmap_producer_push_flush (producer, i, raw_body ("flush", "1"));
  mmap_producer_suspend (producer, id);
  /* Nobody waits for it meanwhile. */
  push_ok (producer, 300, 1, NULL, "y");
  mmap_producer_admit (producer, id);
  raw_expect_refusal (&raw, MMAP_ERROR_LIMIT, "does not read its events");
  wait_for_failures (producer, MMAP_ERROR_LIMIT, 1);
  g_assert_cmpuint (mmap_producer_get_n_links (producer), ==, 0);
  g_assert_cmpuint (mmap_producer_get_n_waiting (producer), ==, 0);
  expect_late (producer, "y");
  raw_clear (&raw);
  check_all_free (producer);
  end_producer (producer);
}

/* Fails the test unless the next message is that of flush @number. */
static void
expect_flush_message (RawConsumer * raw, const char *number)
{
  MmapMessage message;
  const char *said;

  g_assert_true (raw_receive (raw->socket, &message));
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_EVENT);
  g_assert_true (g_variant_lookup (message.body, "flush", "&s", &said));
  g_assert_cmpstr (said, ==, number);
  mmap_message_clear (&message);
}

static void
test_flush (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  RawConsumer up, suspended, full;
  guint i;

  /* To nobody. */
  mmap_producer_push_flush (producer, 1, raw_body ("flush", "1"));
  raw_bring_up (&up, address);
  raw_bring_up (&suspended, address);
  raw_bring_up (&full, address);
  mmap_producer_suspend (producer, suspended.link->area->link_id);
  push_ok (producer, 300, 0, NULL, "before");
  mmap_producer_push_flush (producer, 2, raw_body ("flush", "2"));
  push_ok (producer, 300, 0, NULL, "after");
  expect_flush_message (&up, "2");
  expect_flush_message (&suspended, "2");
  expect_flush_message (&full, "2");
  expect (&up, "before flush-2 after");
  expect (&suspended, "flush-2");

  /* Three are in its ring. It gets neither the mark nor the message, but the reason. */
  for (i = 3; i < N_EVENTS; i++)
    push_ok (producer, 300, 0, NULL, "x");
  /* There is room for some more flushes. */
  for (i = 0; i < FLUSH_SLOTS; i++) {
    mmap_producer_push_flush (producer, 2, raw_body ("flush", "2"));
    expect_flush_message (&up, "2");
    expect_flush_message (&suspended, "2");
    expect_flush_message (&full, "2");
    expect (&suspended, "flush-2");
  }
  mmap_producer_push_flush (producer, 3, raw_body ("flush", "3"));
  wait_for_failures (producer, MMAP_ERROR_LIMIT, 1);
  raw_expect_refusal (&full, MMAP_ERROR_LIMIT, "does not read its events");
  g_assert_cmpuint (full.link->area->event_head, ==, MMAP_EVENT_RING_SLOTS);
  expect_flush_message (&up, "3");
  expect_flush_message (&suspended, "3");
  expect (&suspended, "flush-3");
  /* A mark is nothing that later ones need. */
  expect_late (producer, "");
  raw_clear (&up);
  raw_clear (&suspended);
  raw_clear (&full);
  wait_for_links (producer, 0);
  check_all_free (producer);
  end_producer (producer);
}

/* A link that does not read its messages is ended; the mark that it has is of no use to it. */
static void
test_flush_full_socket (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  RawConsumer good, bad;
  MmapProducerStats stats;
  guint64 number = 0;

  raw_bring_up (&good, address);
  raw_bring_up (&bad, address);
  do {
    g_autofree char *name = g_strdup_printf ("%u", (guint)++ number);
    g_autofree char *mark = g_strdup_printf ("flush-%s", name);
    MmapDescriptor event;

    mmap_producer_push_flush (producer, number, raw_body ("flush", name));
    expect (&good, mark);
    expect_flush_message (&good, name);
    /* Only its socket fills up. */
    take (&bad, &event);
    mmap_producer_get_stats (producer, &stats);
  } while (stats.failures[MMAP_ERROR_LIMIT] == 0);
  g_assert_cmpuint (mmap_producer_get_n_links (producer), ==, 1);
  push_ok (producer, 300, 0, NULL, "after");
  expect (&good, "after");
  raw_clear (&good);
  raw_clear (&bad);
  wait_for_links (producer, 0);
  end_producer (producer);
}

/* Between the same two frames on every link, whoever else comes and goes. */
static void
test_order_with_frames (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapConsumer *consumer;
  GError *error = NULL;
  MmapItem item;
  guint i;

  consumer = mmap_consumer_new (address, &error);
  g_assert_no_error (error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  for (i = 1; i <= 40; i++) {
    publish_frame (producer, i, 64);
    push_ok (producer, MMAP_EVENT_GST + i, i % 3 == 0, NULL, "event");
    if (i % 10 == 0)
      mmap_producer_push_flush (producer, i, raw_body (NULL, NULL));
  }
  for (i = 1; i <= 40; i++) {
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    check_frame (&item, i);
    release_item (&item);
    next_item (consumer, &item, MMAP_NEXT_EVENT);
    g_assert_cmpuint (item.descriptor.kind, ==, MMAP_EVENT_GST + i);
    g_assert_cmpmem (item.data, item.descriptor.size, "event", 5);
    mmap_item_clear (&item);
    if (i % 10 == 0) {
      next_item (consumer, &item, MMAP_NEXT_EVENT);
      g_assert_cmpuint (item.descriptor.kind, ==, MMAP_EVENT_FLUSH);
      g_assert_cmpuint (item.descriptor.frame_offset, ==, i);
      mmap_item_clear (&item);
    }
  }
  mmap_consumer_free (consumer);
  wait_for_links (producer, 0);
  check_all_free (producer);
  end_producer (producer);
}

static void
test_closed (void)
{
  MmapProducer *producer = make_producer (address, MIB);

  push_ok (producer, 300, 1, NULL, "kept");
  mmap_producer_close (producer);
  g_assert_cmpint (push (producer, 300, 1, NULL, "kept"), ==,
      MMAP_PUBLISH_FULL);
  mmap_producer_forget_event (producer, 300);
  mmap_producer_push_flush (producer, 1, raw_body (NULL, NULL));
  mmap_producer_unref (producer);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  address = leak_check_path ("socket");
  leak_check_add_test ("/producer-event/order", test_order);
  leak_check_add_test ("/producer-event/descriptor", test_descriptor);
  leak_check_add_test ("/producer-event/limits", test_limits);
  leak_check_add_test ("/producer-event/before-region", test_before_region);
  leak_check_add_test ("/producer-event/new-region", test_new_region);
  leak_check_add_test ("/producer-event/forget", test_forget);
  leak_check_add_test ("/producer-event/full-ring", test_full_ring);
  leak_check_add_test ("/producer-event/admit-full-ring", test_admit_full_ring);
  leak_check_add_test ("/producer-event/flush", test_flush);
  leak_check_add_test ("/producer-event/flush-full-socket",
      test_flush_full_socket);
  leak_check_add_test ("/producer-event/order-with-frames",
      test_order_with_frames);
  leak_check_add_test ("/producer-event/closed", test_closed);
  result = g_test_run ();
  g_free (address);
  return result;
}
