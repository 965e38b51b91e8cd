/* gst-mmap: areas, and producers in them, for tests
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "areas.h"

#include "leak-check.h"

static const MmapMode own = MMAP_MODE_OWN;

MmapArea *
open_area (const char *name, guint64 size)
{
  g_autofree char *path = leak_check_path (name);
  MmapUsers *users = mmap_users_new (NULL, NULL);
  GError *error = NULL;
  MmapArea *area = mmap_area_open (path, size, &own, users, &error);

  g_assert_no_error (error);
  mmap_users_free (users);
  return area;
}

void
close_area (MmapArea * area)
{
  mmap_area_remove_if_unused (area);
  mmap_area_unref (area);
}

MmapProducer *
make_area_producer (const char *file, guint64 size, const char *address,
    guint64 capacity)
{
  MmapUsers *users = mmap_users_new (NULL, NULL);
  GError *error = NULL;
  MmapProducer *producer = mmap_producer_new_in_area (file, "default", size,
      &own, users, MMAP_TOKEN_DEFAULT_BYTES, &error);

  g_assert_no_error (error);
  mmap_users_free (users);
  if (address)
    mmap_producer_listen_remote (producer, address, FALSE, &error);
  g_assert_no_error (error);
  g_assert_true (mmap_producer_start (producer, &error));
  if (capacity > 0)
    mmap_producer_set_region (producer, mmap_producer_size_for (capacity),
        G_MAXUINT64, "video/x-test", &error);
  g_assert_no_error (error);
  return producer;
}
