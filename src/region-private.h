/* gst-mmap: what the files of the region share
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "region.h"

G_BEGIN_DECLS

/* Makes @fd, an empty file, one of @size bytes of which the first @at_once are there, so that no write to a mapping of them ends in
 * SIGBUS. @at_once: in pages; set to @size where the file system can't do the rest later
 * @name: of the memory, for messages
 * FALSE with MMAP_ERROR_NO_SPACE, which names the size wanted and the size there is, or MMAP_ERROR_FAILED. */
gboolean mmap_region_reserve (int fd, guint64 size, guint64 * at_once,
    const char *name, GError ** error);

/* Guards the mapping of a file, before it is touched. FALSE with MMAP_ERROR_LIMIT. */
gboolean mmap_region_guard (MmapRegion * region, GError ** error);

/* Returns: (transfer none): for messages */
const char *mmap_region_get_name (const MmapRegion * region);

/* Sets errors for what open(2) and its kin answer about @path: MMAP_ERROR_NO_DIRECTORY, MMAP_ERROR_PERMISSION,
 * MMAP_ERROR_NO_SPACE, MMAP_ERROR_EXISTS or MMAP_ERROR_FAILED. */
void mmap_region_set_path_error (GError ** error, int errnum,
    const char *path);

G_END_DECLS
