/* gst-mmap: what the files of the area share
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "area.h"

G_BEGIN_DECLS

/* Maps @size bytes at @offset of @fd, which is no file that could be locked, reserved or removed.
 * @fd: (transfer full): closed on failure, too
 * @path: for messages
 * Returns: (transfer full): or %NULL with MMAP_ERROR_TOO_SMALL, MMAP_ERROR_SIZE, MMAP_ERROR_NO_RESOURCES, MMAP_ERROR_FILE or MMAP_ERROR_LIMIT */
MmapArea *mmap_area_map (int fd, const char *path, guint64 offset,
    guint64 size, GError ** error);

/* Returns: (transfer full) (nullable): see mmap_area_has_doorbell(); %NULL: @file names no such memory */
char *mmap_area_resolve_doorbell (const char *file);

G_END_DECLS
