/* gst-mmap: tests of the consumer, with producers that write what they like into a link
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Each time next() has to return an error that says which rule was broken, and nothing else may happen.
 */
#include "hostile.h"
#include "leak-check.h"

#include <string.h>
#include <unistd.h>

static char *address;

static void
check_descriptor (void (*change) (MmapDescriptor * descriptor), gboolean event,
    const char *reason)
{
  MmapDescriptor descriptor;
  Hostile scene;

  hostile_begin (&scene, address);
  raw_producer_bring_up (&scene.raw);
  /* One that is right before. */
  descriptor = raw_producer_describe (&scene.raw);
  raw_producer_push (&scene.raw, &scene.raw.link->frames, &descriptor);
  descriptor = raw_producer_describe (&scene.raw);
  descriptor.kind = event ? MMAP_EVENT_CAPS : 0;
  change (&descriptor);
  raw_producer_push (&scene.raw, event ? &scene.raw.link->events :
      &scene.raw.link->frames, &descriptor);
  hostile_end (&scene, MMAP_ERROR_RING, reason);
  /* Unless the wrong one says that it is the older. */
  g_assert_cmpuint (scene.frames, <=, 1);
}

static void
offset_beyond (MmapDescriptor * descriptor)
{
  descriptor->offset = RAW_SIZE - 63;
}

static void
offset_at_end (MmapDescriptor * descriptor)
{
  descriptor->offset = RAW_SIZE;
  descriptor->size = 1;
}

static void
offset_overflows (MmapDescriptor * descriptor)
{
  descriptor->offset = G_MAXUINT64 - 32;
}

static void
offset_in_header (MmapDescriptor * descriptor)
{
  descriptor->offset = sizeof (MmapRegionHeader) - 1;
}

static void
size_overflows (MmapDescriptor * descriptor)
{
  descriptor->size = G_MAXUINT64 - descriptor->offset + 65;
}

static void
size_beyond (MmapDescriptor * descriptor)
{
  descriptor->size = RAW_SIZE - descriptor->offset + 1;
}

static void
metas_beyond (MmapDescriptor * descriptor)
{
  descriptor->metas_offset = RAW_SIZE - 63;
  descriptor->metas_size = 64;
}

static void
metas_overflow (MmapDescriptor * descriptor)
{
  descriptor->metas_offset = G_MAXUINT64 - 32;
  descriptor->metas_size = 64;
}

static void
metas_in_header (MmapDescriptor * descriptor)
{
  descriptor->metas_offset = sizeof (MmapRegionHeader) - 1;
  descriptor->metas_size = 1;
}

static void
metas_too_large (MmapDescriptor * descriptor)
{
  descriptor->metas_offset = descriptor->offset;
  descriptor->metas_size = G_MAXUINT32;
}

static void
other_ring (MmapDescriptor * descriptor)
{
  descriptor->kind = descriptor->kind ? 0 : MMAP_EVENT_EOS;
}

static void
sequence_back (MmapDescriptor * descriptor)
{
  descriptor->sequence = 1;
}

static void
sequence_zero (MmapDescriptor * descriptor)
{
  descriptor->sequence = 0;
}

static void
five_planes (MmapDescriptor * descriptor)
{
  descriptor->n_planes = 5;
}

static void
many_planes (MmapDescriptor * descriptor)
{
  descriptor->n_planes = G_MAXUINT32;
}

static void
other_region (MmapDescriptor * descriptor)
{
  descriptor->region_id = 2;
}

static void
region_zero (MmapDescriptor * descriptor)
{
  descriptor->region_id = 0;
}

static void
test_descriptors_in_rings (void)
{
  int event;

  for (event = 0; event < 2; event++) {
    check_descriptor (offset_beyond, event, "outside");
    check_descriptor (offset_at_end, event, "outside");
    check_descriptor (offset_overflows, event, "outside");
    check_descriptor (offset_in_header, event, "outside");
    check_descriptor (size_overflows, event, "outside");
    check_descriptor (size_beyond, event, "outside");
    check_descriptor (metas_beyond, event, "outside");
    check_descriptor (metas_overflow, event, "outside");
    check_descriptor (metas_in_header, event, "outside");
    check_descriptor (metas_too_large, event, "outside");
    check_descriptor (other_ring, event, "wrong ring");
    check_descriptor (sequence_back, event, "went back");
    check_descriptor (sequence_zero, event, "went back");
    check_descriptor (five_planes, event, "four planes");
    check_descriptor (many_planes, event, "four planes");
    check_descriptor (other_region, event, "did not offer");
    check_descriptor (region_zero, event, "did not offer");
  }
}

/* With a region of which only the first 16 KiB are reserved, and a token at @token_index. */
static void
begin_with_hole (Hostile * scene, guint64 token_index)
{
  MmapRegion *region;
  GError *error = NULL;

  hostile_begin (scene, address);
  region = mmap_region_begin_memfd (RAW_SIZE, 16384, RAW_SESSION, 1, TRUE,
      &error);
  g_assert_no_error (error);
  mmap_region_unref (scene->raw.region);
  scene->raw.region = region;
  scene->raw.offer.token_index = token_index;
}

/* To read a hole of the producer's memory would cost the consumer memory. */
static void
check_hole (gboolean event, gboolean metas)
{
  MmapDescriptor descriptor;
  Hostile scene;

  begin_with_hole (&scene, 16384 - 32);
  mmap_token_write (&scene.raw.offer.token,
      scene.raw.region->base + scene.raw.offer.token_index);
  raw_producer_bring_up (&scene.raw);
  descriptor = raw_producer_describe (&scene.raw);
  descriptor.kind = event ? MMAP_EVENT_CAPS : 0;
  if (metas) {
    descriptor.metas_offset = descriptor.offset;
    descriptor.metas_size = 16384 - descriptor.offset + 1;
  } else {
    descriptor.size = 16384 - descriptor.offset + 1;
  }
  raw_producer_push (&scene.raw, event ? &scene.raw.link->events :
      &scene.raw.link->frames, &descriptor);
  hostile_end (&scene, MMAP_ERROR_RING, "not reserved");
  g_assert_cmpuint (scene.frames, ==, 0);
}

static void
test_holes (void)
{
  Hostile scene;
  int event;

  begin_with_hole (&scene, 16384);
  raw_producer_greet (&scene.raw);
  raw_producer_send_offer (&scene.raw, NULL);
  hostile_end (&scene, MMAP_ERROR_TOKEN, "different memory");

  for (event = 0; event < 2; event++) {
    check_hole (event, FALSE);
    check_hole (event, TRUE);
  }
}

static void
check_index (gsize field, guint64 value)
{
  MmapDescriptor descriptor;
  guint64 *word;
  Hostile scene;

  hostile_begin (&scene, address);
  raw_producer_bring_up (&scene.raw);
  descriptor = raw_producer_describe (&scene.raw);
  raw_producer_push (&scene.raw, &scene.raw.link->frames, &descriptor);
  word = (guint64 *) ((guint8 *) scene.raw.link->area + field);
  __atomic_store_n (word, value, __ATOMIC_RELEASE);
  /* Awake or not. */
  scene.raw.link->waker.woken = 0;
  mmap_link_wake (scene.raw.link);
  hostile_end (&scene, MMAP_ERROR_RING, "impossible indices");
}

static void
test_indices (void)
{
  check_index (offsetof (MmapLinkArea, frame_head), 5000);
  check_index (offsetof (MmapLinkArea, frame_head), G_MAXUINT64);
  check_index (offsetof (MmapLinkArea, event_head), 5000);
  check_index (offsetof (MmapLinkArea, event_head), MMAP_EVENT_RING_SLOTS + 1);
  check_index (offsetof (MmapLinkArea, event_head), G_MAXUINT64);
}

/* The release ring is the consumer's to push: what the other side does to its tail is found out, and harms nobody. */
static void
test_release_tail (void)
{
  MmapDescriptor descriptor;
  Hostile scene;
  guint i;

  hostile_begin (&scene, address);
  raw_producer_bring_up (&scene.raw);
  __atomic_store_n (&scene.raw.link->area->release_tail, G_MAXUINT64 / 2,
      __ATOMIC_RELEASE);
  for (i = 0; i < 3000; i++) {
    descriptor = raw_producer_describe (&scene.raw);
    while (mmap_ring_has_room (&scene.raw.link->frames) != MMAP_RING_OK)
      g_thread_yield ();
    raw_producer_push (&scene.raw, &scene.raw.link->frames, &descriptor);
  }
  descriptor = raw_producer_describe (&scene.raw);
  descriptor.region_id = 9;
  while (mmap_ring_has_room (&scene.raw.link->frames) != MMAP_RING_OK)
    g_thread_yield ();
  raw_producer_push (&scene.raw, &scene.raw.link->frames, &descriptor);
  hostile_end (&scene, MMAP_ERROR_RING, "did not offer");
  g_assert_cmpuint (scene.frames, ==, 3000);
}

/* A new region of another session, and one that isn't what it says. */
static void
test_second_offer (void)
{
  Hostile scene;

  hostile_begin (&scene, address);
  raw_producer_bring_up (&scene.raw);
  scene.raw.offer.session++;
  raw_producer_send_offer (&scene.raw, NULL);
  hostile_end (&scene, MMAP_ERROR_SESSION, "another session");

  hostile_begin (&scene, address);
  raw_producer_bring_up (&scene.raw);
  scene.raw.offer.region_id++;
  raw_producer_send_offer (&scene.raw, NULL);
  hostile_end (&scene, MMAP_ERROR_SESSION, "earlier one");
}

/* --- Two things at once --- */

MmapRingResult __real_mmap_ring_peek (MmapRing * ring, void *slot);
MmapRingResult __wrap_mmap_ring_peek (MmapRing * ring, void *slot);

static RawProducer *between;    /* pushes between two looks of the consumer ... */
static guint32 between_slots;   /* ... after that at the ring with so many slots */

/* The linker puts this in the place of mmap_ring_peek(). */
MmapRingResult
__wrap_mmap_ring_peek (MmapRing * ring, void *slot)
{
  MmapRingResult result = __real_mmap_ring_peek (ring, slot);
  RawProducer *raw = between;

  if (raw && ring->n_slots == between_slots && result == MMAP_RING_WAIT) {
    MmapDescriptor frame = raw_producer_describe (raw);
    MmapDescriptor event = raw_producer_describe (raw);

    between = NULL;
    event.kind = MMAP_EVENT_EOS;
    raw_producer_push (raw, &raw->link->frames, &frame);
    raw_producer_push (raw, &raw->link->events, &event);
  }
  return result;
}

static gpointer
bring_up (gpointer raw)
{
  raw_producer_bring_up (raw);
  return NULL;
}

static void
check_between_two_looks (guint32 n_slots)
{
  GError *error = NULL;
  RawProducer raw;
  MmapConsumer *consumer;
  GThread *thread;
  MmapItem item;

  raw_producer_init (&raw, address);
  consumer = mmap_consumer_new (address, &error);
  g_assert_no_error (error);
  thread = g_thread_new ("producer", bring_up, &raw);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_thread_join (thread);
  between_slots = n_slots;
  between = &raw;
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  g_assert_null (between);
  g_assert_cmpuint (item.descriptor.sequence, ==, 1);
  release_item (&item);
  next_item (consumer, &item, MMAP_NEXT_EVENT);
  g_assert_cmpuint (item.descriptor.sequence, ==, 2);
  mmap_item_clear (&item);
  mmap_consumer_free (consumer);
  raw_producer_clear (&raw);
}

/* A frame and then an event come after the consumer looked at the frames, and before it looks at the events. */
static void
test_between_two_looks (void)
{
  check_between_two_looks (MMAP_FRAME_RING_SLOTS);
}

static gpointer
push_later (gpointer data)
{
  RawProducer *raw = data;
  MmapDescriptor descriptor = raw_producer_describe (raw);

  g_usleep (G_USEC_PER_SEC / 5);
  raw_producer_push (raw, &raw->link->frames, &descriptor);
  return NULL;
}

/* What should wake the consumer does so all the time: it looks each millisecond, and not as often as it can. */
static void
test_restless (void)
{
  static const MmapConsumerCallbacks callbacks = { NULL };
  MmapConsumerStats stats;
  GError *error = NULL;
  MmapConsumer *consumer;
  Restless restless;
  RawProducer raw;
  GThread *thread;
  MmapItem item;
  gint64 began;
  guint i;

  raw_producer_init (&raw, address);
  consumer = mmap_consumer_new (address, &error);
  g_assert_no_error (error);
  /* Otherwise nobody would tell it of messages, and it would not wait for a bell. */
  mmap_consumer_start (consumer, &callbacks, NULL, &error);
  g_assert_no_error (error);
  restless_start (&restless, raw.link->peer_bell);
  thread = g_thread_new ("producer", bring_up, &raw);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_thread_join (thread);
  for (i = 0; i < 2; i++) {
    guint64 waits;

    mmap_consumer_get_stats (consumer, &stats);
    waits = stats.waits;
    began = g_get_monotonic_time ();
    thread = g_thread_new ("producer", push_later, &raw);
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    mmap_consumer_get_stats (consumer, &stats);
    g_assert_cmpuint (stats.waits - waits, <=,
        100 + (g_get_monotonic_time () - began) / 1000);
    release_item (&item);
    g_thread_join (thread);
  }
  restless_stop (&restless);
  mmap_consumer_free (consumer);
  raw_producer_clear (&raw);
}

/* No hostile one: the frame that the consumer looks at is taken back, and a later one takes its slot, but an older one than the event is still
 * there. It is not the event's turn. */
static void
test_taken_back_before_event (void)
{
  MmapDescriptor descriptor;
  GError *error = NULL;
  RawProducer raw;
  MmapConsumer *consumer;
  GThread *thread;
  MmapItem item;
  guint64 i;

  raw_producer_init (&raw, address);
  consumer = mmap_consumer_new (address, &error);
  g_assert_no_error (error);
  thread = g_thread_new ("producer", bring_up, &raw);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_thread_join (thread);
  /* It has seen that there are three. */
  for (i = 1; i <= 3; i++) {
    descriptor = raw_producer_describe (&raw);
    raw_producer_push (&raw, &raw.link->frames, &descriptor);
  }
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  release_item (&item);
  for (; i <= MMAP_FRAME_RING_SLOTS + 1; i++) {
    descriptor = raw_producer_describe (&raw);
    raw_producer_push (&raw, &raw.link->frames, &descriptor);
  }
  descriptor = raw_producer_describe (&raw);
  descriptor.kind = MMAP_EVENT_EOS;
  raw_producer_push (&raw, &raw.link->events, &descriptor);
  g_assert_cmpint (mmap_ring_has_room (&raw.link->frames), ==, MMAP_RING_WAIT);
  __atomic_store_n (&raw.link->area->frame_tail, 2, __ATOMIC_RELEASE);
  descriptor = raw_producer_describe (&raw);
  raw_producer_push (&raw, &raw.link->frames, &descriptor);

  for (i = 3; i <= MMAP_FRAME_RING_SLOTS + 1; i++) {
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    g_assert_cmpuint (item.descriptor.sequence, ==, i);
    release_item (&item);
  }
  next_item (consumer, &item, MMAP_NEXT_EVENT);
  g_assert_cmpuint (item.descriptor.sequence, ==, i);
  mmap_item_clear (&item);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  g_assert_cmpuint (item.descriptor.sequence, ==, i + 1);
  release_item (&item);
  mmap_consumer_free (consumer);
  raw_producer_clear (&raw);
}

/* They come after it found both rings empty, and before it says that it sleeps: nobody wakes it. */
static void
test_before_sleep (void)
{
  check_between_two_looks (MMAP_EVENT_RING_SLOTS);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  address = leak_check_path ("socket");
  leak_check_add_test ("/consumer-hostile-link/descriptors-in-rings",
      test_descriptors_in_rings);
  leak_check_add_test ("/consumer-hostile-link/holes", test_holes);
  leak_check_add_test ("/consumer-hostile-link/indices", test_indices);
  leak_check_add_test ("/consumer-hostile-link/release-tail",
      test_release_tail);
  leak_check_add_test ("/consumer-hostile-link/second-offer",
      test_second_offer);
  leak_check_add_test ("/consumer-hostile-link/between-two-looks",
      test_between_two_looks);
  leak_check_add_test ("/consumer-hostile-link/before-sleep",
      test_before_sleep);
  leak_check_add_test ("/consumer-hostile-link/restless", test_restless);
  leak_check_add_test ("/consumer-hostile-link/taken-back-before-event",
      test_taken_back_before_event);
  result = g_test_run ();
  g_free (address);
  return result;
}
