/* gst-mmap: tests of the threads that carry messages through an area: with nothing more to do they sleep, whatever is left to be read
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "area-channel.h"
#include "areas.h"
#include "leak-check.h"
#include "peers.h"
#include "relay.h"

#define SIZE (16 << 20)
#define FRAME 4096

/* Two threads look ten times a second each, and more often for a moment. One that doesn't sleep looks thousands of times. */
#define MAX_LOOKS_PER_SECOND 500

static const MmapConsumerCallbacks callbacks;

static gint n_looks;
static MmapConsumer *speaker;   /* atomic; set: says something when its relay has just heard that the link has ended */

gint64 __real_mmap_relay_pace (MmapRelayPace * pace, gboolean moved,
    gboolean heard, gint64 now_us);
gint64 __wrap_mmap_relay_pace (MmapRelayPace * pace, gboolean moved,
    gboolean heard, gint64 now_us);
MmapRelayResult __real_mmap_relay_drain (MmapRelay * relay);
MmapRelayResult __wrap_mmap_relay_drain (MmapRelay * relay);

gint64
__wrap_mmap_relay_pace (MmapRelayPace * pace, gboolean moved, gboolean heard,
    gint64 now_us)
{
  g_atomic_int_inc (&n_looks);
  return __real_mmap_relay_pace (pace, moved, heard, now_us);
}

MmapRelayResult
__wrap_mmap_relay_drain (MmapRelay * relay)
{
  MmapConsumer *consumer = g_atomic_pointer_get (&speaker);

  if (consumer) {
    g_assert_true (mmap_consumer_send (consumer, MMAP_MESSAGE_EVENT,
            g_variant_new ("a{sv}", NULL)));
    g_atomic_pointer_set (&speaker, NULL);
  }
  return __real_mmap_relay_drain (relay);
}

static void
check_quiet (void)
{
  gint64 began_us = g_get_monotonic_time ();
  gint looks = g_atomic_int_get (&n_looks);

  g_usleep (G_USEC_PER_SEC / 2);
  looks = g_atomic_int_get (&n_looks) - looks;
  g_assert_cmpfloat (looks, <, MAX_LOOKS_PER_SECOND
      * (gdouble) (g_get_monotonic_time () - began_us) / G_USEC_PER_SEC);
}

static MmapConsumer *
connect_consumer (const char *file)
{
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new_in_area (file, "default", &error);
  MmapItem item;

  g_assert_no_error (error);
  g_assert_true (mmap_consumer_start (consumer, &callbacks, NULL, &error));
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  return consumer;
}

/* A producer that has lost its place waits until it is stopped. What its links were told last stays where it is, and so does who comes. */
static void
test_lost (void)
{
  g_autofree char *file = leak_check_path ("lost");
  g_autofree char *address =
      g_strdup_printf ("tcp:127.0.0.1:%u", find_tcp_port ());
  MmapArea *area = open_area ("lost", SIZE);
  MmapAreaEntry *entry = &area->start->channels[0];
  MmapProducer *producer = make_area_producer (file, SIZE, address, 4 * FRAME);
  MmapConsumer *consumer = connect_consumer (file), *late;
  MmapProducerStats stats;
  GError *error = NULL;

  __atomic_store_n (&entry->owner, 17, __ATOMIC_RELEASE);
  do {
    __atomic_add_fetch (&entry->heartbeat, 1, __ATOMIC_RELAXED);
    g_usleep (MMAP_AREA_BEAT_US / 2);
    mmap_producer_get_stats (producer, &stats);
  } while (stats.failures[MMAP_ERROR_IN_USE] == 0);
  late = mmap_consumer_new_remote (address, file, FALSE, &error);
  g_assert_no_error (error);
  mmap_consumer_set_reconnect_timeout (late, 50 * 1000 * 1000);
  g_assert_true (mmap_consumer_start (late, &callbacks, NULL, &error));
  check_quiet ();
  mmap_consumer_free (late);
  mmap_consumer_free (consumer);
  __atomic_store_n (&entry->owner, 0, __ATOMIC_RELEASE);
  end_producer (producer);
  close_area (area);
}

/* Whose link has just ended may be busy with something else, and has said something that nobody reads any more. */
static void
test_ended (void)
{
  g_autofree char *file = leak_check_path ("ended");
  MmapArea *area = open_area ("ended", SIZE);
  MmapProducer *producer = make_area_producer (file, SIZE, NULL, 4 * FRAME);
  MmapConsumer *consumer = connect_consumer (file);

  g_atomic_pointer_set (&speaker, consumer);
  /* The producer takes it back with each heartbeat. */
  while (g_atomic_pointer_get (&speaker)) {
    __atomic_store_n (&area->start->channels[0].owner, 0, __ATOMIC_RELEASE);
    g_usleep (1000);
  }
  check_quiet ();
  mmap_consumer_free (consumer);
  end_producer (producer);
  close_area (area);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/area-quiet/lost", test_lost);
  leak_check_add_test ("/area-quiet/ended", test_ended);
  return g_test_run ();
}
