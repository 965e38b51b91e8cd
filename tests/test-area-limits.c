/* gst-mmap: tests of areas whose link slots are all taken
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "area-channel.h"
#include "areas.h"
#include "leak-check.h"
#include "peers.h"

#define SIZE (4 << 20)

static const MmapConsumerCallbacks callbacks;

static guint64
count_limit (MmapProducer * producer)
{
  MmapProducerStats stats;

  mmap_producer_get_stats (producer, &stats);
  return stats.failures[MMAP_ERROR_LIMIT];
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

/* Who comes when others have all links is refused, and the producer counts it. */
static void
test_taken (void)
{
  g_autofree char *file = leak_check_path ("taken");
  MmapProducer *producer = make_area_producer (file, SIZE, NULL, 65536);
  MmapConsumer *consumers[MMAP_MAX_LINKS], *late;
  MmapUsers *users = mmap_users_new (NULL, NULL);
  GError *error = NULL;
  MmapArea *area = mmap_area_open_existing (file, users, &error);
  MmapAreaEntry *entry;
  guint i, n;
  MmapItem item;

  g_assert_no_error (error);
  entry = &area->start->channels[0];
  n = entry->link_count;
  for (i = 0; i < n; i++)
    consumers[i] = connect_consumer (file);
  g_assert_cmpuint (count_limit (producer), ==, 0);
  late = mmap_consumer_new_in_area (file, "default", &error);
  g_assert_true (mmap_consumer_start (late, &callbacks, NULL, &error));
  g_assert_cmpint (mmap_consumer_next (late, &item, &error), ==,
      MMAP_NEXT_ERROR);
  check_error (&error, MMAP_ERROR_LIMIT, "links of channel default");
  mmap_consumer_free (late);
  /* However often it has tried. */
  while (count_limit (producer) == 0)
    g_usleep (1000);
  g_usleep (G_USEC_PER_SEC / 4);
  g_assert_cmpuint (count_limit (producer), ==, 1);

  /* Whatever somebody writes there, it is no more than some at a time. */
  __atomic_store_n (&entry->refused, 0x80000000u, __ATOMIC_RELAXED);
  while (count_limit (producer) < 10)
    g_usleep (1000);
  g_usleep (G_USEC_PER_SEC / 4);
  g_assert_cmpuint (count_limit (producer), <, 100);
  for (i = 0; i < n; i++)
    mmap_consumer_free (consumers[i]);
  mmap_area_unref (area);
  mmap_users_free (users);
  mmap_producer_close (producer);
  mmap_producer_unref (producer);
}

/* On one kernel the clock is seldom asked for, once it is known. */
static void
test_clock (void)
{
  g_autofree char *file = leak_check_path ("clock");
  MmapProducer *producer = make_area_producer (file, SIZE, NULL, 65536);
  MmapConsumer *consumer = connect_consumer (file);
  MmapUsers *users = mmap_users_new (NULL, NULL);
  GError *error = NULL;
  MmapArea *area = mmap_area_open_existing (file, users, &error);
  MmapChannelInfo info;
  MmapMailbox *mailbox;
  guint64 asked = 0, changes = 0, i;

  g_assert_no_error (error);
  mmap_channel_read (area, 0, &info);
  mailbox = &mmap_channel_info_get_slot (area, &info, 0)->mailbox;
  /* The first rounds, and then two seconds: elsewhere there are four more. */
  for (i = 0; i < 70; i++) {
    guint64 now = __atomic_load_n (&mailbox->clock_asked, __ATOMIC_RELAXED);
    MmapItem item;

    publish_frame (producer, i + 1, 4096);
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    release_item (&item);
    changes += i >= 26 && now != asked;
    asked = now;
    g_usleep (50000);
  }
  g_assert_cmpuint (changes, <, 3);
  g_assert_cmpuint (asked, !=, 0);
  mmap_consumer_free (consumer);
  mmap_area_unref (area);
  mmap_users_free (users);
  mmap_producer_close (producer);
  mmap_producer_unref (producer);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/area-limits/taken", test_taken);
  leak_check_add_test ("/area-limits/clock", test_clock);
  return g_test_run ();
}
