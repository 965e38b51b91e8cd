/* gst-mmap: tests of links through TCP whose sides may be on one kernel: then they wait for words, and wake each other
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "areas.h"
#include "futex.h"
#include "leak-check.h"
#include "peers.h"
#include "producer-private.h"
#include "relay.h"

#define SIZE (16 << 20)
#define FRAME 4096
#define N_FRAMES 20

/* What the two sides say and do. */
static enum
{
  TRUTHFUL,
  ELSEWHERE,                    /* the consumer says that it is on another kernel */
  MUTE_CONSUMER,                /* it says nothing, as older ones do */
  MUTE_PRODUCER,                /* that doesn't answer to it */
  SILENT                        /* they say that they are on one kernel, and don't wake each other */
} manner;

/* How often the threads that carry messages have looked. */
static gint n_looks;

void __real_mmap_area_peer_init_self (MmapAreaPeer * peer);
void __wrap_mmap_area_peer_init_self (MmapAreaPeer * peer);
void __real_mmap_link_meet (MmapLink * link, const MmapAreaPeer * peer);
void __wrap_mmap_link_meet (MmapLink * link, const MmapAreaPeer * peer);
void __real_mmap_futex_wake (guint32 * word, guint32 * count);
void __wrap_mmap_futex_wake (guint32 * word, guint32 * count);
gint64 __real_mmap_relay_pace (MmapRelayPace * pace, gboolean moved,
    gboolean heard, gint64 now_us);
gint64 __wrap_mmap_relay_pace (MmapRelayPace * pace, gboolean moved,
    gboolean heard, gint64 now_us);

static gint
get_manner (void)
{
  return g_atomic_int_get ((gint *) & manner);
}

void
__wrap_mmap_area_peer_init_self (MmapAreaPeer * peer)
{
  __real_mmap_area_peer_init_self (peer);
  if (get_manner () == ELSEWHERE)
    peer->boot_id ^= 1;
  else if (get_manner () == MUTE_CONSUMER)
    peer->boot_id = 0;
}

void
__wrap_mmap_link_meet (MmapLink * link, const MmapAreaPeer * peer)
{
  if (get_manner () != MUTE_PRODUCER)
    __real_mmap_link_meet (link, peer);
}

void
__wrap_mmap_futex_wake (guint32 * word, guint32 * count)
{
  if (get_manner () != SILENT)
    __real_mmap_futex_wake (word, count);
}

gint64
__wrap_mmap_relay_pace (MmapRelayPace * pace, gboolean moved, gboolean heard,
    gint64 now_us)
{
  g_atomic_int_inc (&n_looks);
  return __real_mmap_relay_pace (pace, moved, heard, now_us);
}

typedef struct
{
  char *file;
  char *address;
  MmapProducer *producer;
  MmapConsumer *consumer;
  GThread *thread;
  MmapNextResult end;
  guint64 frames;               /* atomic */
} Pair;

static gpointer
take_frames (gpointer data)
{
  Pair *pair = data;
  MmapItem item;
  guint64 n;

  next_item (pair->consumer, &item, MMAP_NEXT_CONNECTED);
  for (n = 1; n <= N_FRAMES; n++) {
    next_item (pair->consumer, &item, MMAP_NEXT_FRAME);
    check_frame (&item, n);
    /* Late: the producer has no other block. */
    g_usleep (2000);
    release_item (&item);
    __atomic_store_n (&pair->frames, n, __ATOMIC_RELEASE);
  }
  next_item (pair->consumer, &item, pair->end);
  return NULL;
}

static void
pair_start (Pair * pair, MmapNextResult end)
{
  GError *error = NULL;

  pair->file = leak_check_path ("area");
  pair->address = g_strdup_printf ("tcp:127.0.0.1:%u", find_tcp_port ());
  pair->end = end;
  pair->frames = 0;
  pair->producer = make_area_producer (pair->file, SIZE, pair->address,
      4 * FRAME);
  pair->consumer = mmap_consumer_new_remote (pair->address, pair->file, FALSE,
      &error);
  g_assert_no_error (error);
  pair->thread = g_thread_new ("consumer", take_frames, pair);
  wait_for_links (pair->producer, 1);
}

/* Each other one when the consumer sleeps, or is about to. */
static void
pair_run (Pair * pair)
{
  guint64 n;

  for (n = 1; n <= N_FRAMES; n++) {
    while (n % 2 && __atomic_load_n (&pair->frames, __ATOMIC_ACQUIRE) < n - 1)
      g_usleep (1000);
    g_usleep (n % 2 ? 5000 : 0);
    publish_frame (pair->producer, n, FRAME);
  }
  while (__atomic_load_n (&pair->frames, __ATOMIC_ACQUIRE) < N_FRAMES)
    g_usleep (1000);
  check_all_free (pair->producer);
}

static void
pair_end (Pair * pair)
{
  if (pair->end == MMAP_NEXT_CANCELLED)
    mmap_consumer_set_cancelled (pair->consumer, TRUE);
  else
    mmap_producer_close (pair->producer);
  g_thread_join (pair->thread);
  mmap_consumer_free (pair->consumer);
  end_producer (pair->producer);
  g_free (pair->file);
  g_free (pair->address);
}

static guint64
get_waits (const Pair * pair)
{
  MmapConsumerStats stats;

  mmap_consumer_get_stats (pair->consumer, &stats);
  return stats.waits;
}

/* Processors have the same numbers on one kernel alone. */
static void
check_cpu (const Pair * pair, gboolean is_said)
{
  MmapProducer *producer = pair->producer;
  guint64 rest;
  MmapLink *link;

  g_mutex_lock (&producer->lock);
  rest = producer->up;
  link = mmap_producer_next_up_locked (producer, &rest)->link;
  g_assert_cmpint (link->waker.cpu != NULL, ==, is_said);
  g_assert_cmpint (link->area->consumer_cpu != 0, ==, is_said);
  g_mutex_unlock (&producer->lock);
}

/* Idle, nobody looks but with each heartbeat; and still hears at once of the end. */
static void
test_one_kernel (void)
{
  MmapProducerStats produced;
  gint64 began_us;
  gdouble seconds;
  guint64 waits;
  gint looks;
  Pair pair;

  pair_start (&pair, MMAP_NEXT_DISCONNECTED);
  pair_run (&pair);
  mmap_producer_get_stats (pair.producer, &produced);
  g_assert_cmpuint (produced.wakeups, >=, N_FRAMES / 4);
  check_cpu (&pair, TRUE);
  /* The handshake is long ago. */
  g_usleep (3 * G_USEC_PER_SEC / 2);
  began_us = g_get_monotonic_time ();
  looks = g_atomic_int_get (&n_looks);
  waits = get_waits (&pair);
  g_usleep (G_USEC_PER_SEC);
  looks = g_atomic_int_get (&n_looks) - looks;
  waits = get_waits (&pair) - waits;
  seconds = (g_get_monotonic_time () - began_us) / (gdouble) G_USEC_PER_SEC;
  /* Two threads, ten times a second, and a little for the clock. The producer's alone would look 50 times. */
  g_assert_cmpfloat (looks, <, 40 * seconds);
  g_assert_cmpfloat (waits, <, 10 * seconds);
  pair_end (&pair);
}

/* It arrives, and is looked for from then on. */
static void
run_polled (gint how, gint later)
{
  guint64 waits;
  Pair pair;

  g_atomic_int_set ((gint *) & manner, how);
  pair_start (&pair, MMAP_NEXT_CANCELLED);
  g_atomic_int_set ((gint *) & manner, later);
  pair_run (&pair);
  if (how == ELSEWHERE)
    check_cpu (&pair, FALSE);
  waits = get_waits (&pair);
  while (get_waits (&pair) - waits < 1000)
    g_usleep (1000);
  g_atomic_int_set ((gint *) & manner, TRUTHFUL);
  pair_end (&pair);
}

static void
test_other_kernel (void)
{
  run_polled (ELSEWHERE, TRUTHFUL);
}

static void
test_mute_consumer (void)
{
  run_polled (MUTE_CONSUMER, TRUTHFUL);
}

static void
test_mute_producer (void)
{
  run_polled (MUTE_PRODUCER, TRUTHFUL);
}

/* Whoever says so, and never wakes anybody, costs a few sleeps of a second. */
static void
test_silent (void)
{
  run_polled (TRUTHFUL, SILENT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/remote-bell/one-kernel", test_one_kernel);
  leak_check_add_test ("/remote-bell/other-kernel", test_other_kernel);
  leak_check_add_test ("/remote-bell/mute-consumer", test_mute_consumer);
  leak_check_add_test ("/remote-bell/mute-producer", test_mute_producer);
  leak_check_add_test ("/remote-bell/silent", test_silent);
  return g_test_run ();
}
