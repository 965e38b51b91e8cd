/* gst-mmap: the consumer: maps a region's pages in time
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A region that was just opened costs a page fault for every few pages that are read first. A thread makes all of them present, and
 * ends. Not before all memory is reserved: what is not would be paid for by the consumer. And not with the first frame, which is in a
 * hurry. Called from mmap_consumer_next().
 */
#include "consumer-private.h"

/* To look takes the lock that the producer holds while it reserves. Chosen: soon, but not while the two start. */
#define LOOK_INTERVAL_US 50000

/* At once: so the thread ends soon when it is told to, and others who need the lock of the memory map don't wait for long. Chosen:
 * less than a millisecond. */
#define PIECE_BYTES (G_GUINT64_CONSTANT (1) << 20)

struct _MmapPopulator
{
  MmapRegion *region;
  GThread *thread;              /* NULL: the system had none; page faults do it */
  gint stop;                    /* atomic */
};

static gpointer
populator_run (gpointer data)
{
  MmapPopulator *populator = data;
  MmapRegion *region = populator->region;
  guint64 offset;

  for (offset = 0;
      offset < region->size && !g_atomic_int_get (&populator->stop);
      offset += PIECE_BYTES)
    mmap_region_populate (region, offset, MIN (PIECE_BYTES,
            region->size - offset));
  return NULL;
}

void
mmap_consumer_populate (MmapConsumer * consumer)
{
  MmapRegion *region = consumer->region;
  MmapPopulator *populator;
  gint64 now, last = consumer->looked_us;

  if (consumer->populator)
    return;
  now = g_get_monotonic_time ();
  if (last != 0 && now - last < LOOK_INTERVAL_US)
    return;
  consumer->looked_us = now;
  if (last == 0 || !mmap_region_may_read (region, region->size)
      || region->reserved < region->size)
    return;
  populator = g_new0 (MmapPopulator, 1);
  populator->region = mmap_region_ref (region);
  populator->thread = g_thread_try_new ("mmap-populate", populator_run,
      populator, NULL);
  consumer->populator = populator;
}

void
mmap_consumer_end_populator (MmapConsumer * consumer)
{
  MmapPopulator *populator = g_steal_pointer (&consumer->populator);

  consumer->looked_us = 0;
  if (!populator)
    return;
  g_atomic_int_set (&populator->stop, TRUE);
  if (populator->thread)
    g_thread_join (populator->thread);
  mmap_region_unref (populator->region);
  g_free (populator);
}
