/* gst-mmap: areas, and producers in them, for tests
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "area.h"
#include "producer.h"

G_BEGIN_DECLS

/* The area in the file of leak_check_path (@name), which is made with @size bytes, and stays as long as this is open. Fails the test if there is
 * an error. Returns: (transfer full) */
MmapArea *open_area (const char *name, guint64 size);

/* Removes the file, too, if nobody else has it open. */
void close_area (MmapArea * area);

/* A started producer of channel "default", with a region that holds @capacity bytes of frames; 0: without a region.
 * @file: a path, or what else mmap_producer_new_in_area() takes
 * @size: bytes of a new file; 0: as large as it is
 * @address: (nullable): where it listens, too
 * Returns: (transfer full): for end_producer() */
MmapProducer *make_area_producer (const char *file, guint64 size,
    const char *address, guint64 capacity);

G_END_DECLS
