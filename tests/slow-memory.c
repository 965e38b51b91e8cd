/* gst-mmap: memory that comes when the test says so
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Set by the tests, asked by the threads of producers.
 */
#include "slow-memory.h"

#include "error.h"

#define SLOW_US 5000

gboolean __real_mmap_region_reserve_more (MmapRegion * region, guint64 bytes,
    GError ** error);
gboolean __wrap_mmap_region_reserve_more (MmapRegion * region, guint64 bytes,
    GError ** error);

static GMutex lock;
static GCond cond;
static MemoryMode memory_mode;
static guint n_pieces, n_waiting;

void
slow_memory_set (MemoryMode mode)
{
  g_mutex_lock (&lock);
  memory_mode = mode;
  g_cond_broadcast (&cond);
  g_mutex_unlock (&lock);
}

guint
slow_memory_get_pieces (void)
{
  guint n;

  g_mutex_lock (&lock);
  n = n_pieces;
  g_mutex_unlock (&lock);
  return n;
}

void
slow_memory_wait_for_piece (void)
{
  g_mutex_lock (&lock);
  while (n_waiting == 0)
    g_cond_wait (&cond, &lock);
  g_mutex_unlock (&lock);
}

gboolean
__wrap_mmap_region_reserve_more (MmapRegion * region, guint64 bytes,
    GError ** error)
{
  MemoryMode mode;

  g_mutex_lock (&lock);
  n_pieces++;
  n_waiting++;
  g_cond_broadcast (&cond);
  while (memory_mode == MEMORY_WAITS)
    g_cond_wait (&cond, &lock);
  n_waiting--;
  mode = memory_mode;
  if (mode == MEMORY_COMES_ONCE)
    memory_mode = MEMORY_WAITS;
  g_mutex_unlock (&lock);

  if (mode == MEMORY_IS_SLOW)
    g_usleep (SLOW_US);
  if (mode != MEMORY_FAILS)
    return __real_mmap_region_reserve_more (region, bytes, error);
  g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_NO_SPACE,
      "No memory comes any more");
  return FALSE;
}
