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

/* The same for @bytes at @offset of a file that has its size. Where the file system can't, nothing is done. */
gboolean mmap_region_reserve_part (int fd, guint64 offset, guint64 bytes,
    const char *name, GError ** error);

/* What fallocate(2) says, or 0, of @bytes at @offset of a file. */
int mmap_region_reserve_piece (int fd, guint64 offset, guint64 bytes);

/* Whether this process may make a file of @size bytes: one that tries to make a larger one is ended by the kernel (SIGXFSZ).
 * @name: of the memory, for messages
 * FALSE with MMAP_ERROR_NO_SPACE, which names both sizes. */
gboolean mmap_region_check_limit (guint64 size, const char *name,
    GError ** error);

/* Maps @size bytes at @offset of a file, shared, in such a place that each whole huge page of the file can be one of the mapping.
 * Returns: or MAP_FAILED, with errno */
gpointer mmap_region_map (int fd, guint64 offset, gsize size,
    gboolean writable);

/* Returns: where the huge page ends that begins before @end and is not whole, or @end if there is none, or they can't be had. */
guint64 mmap_region_round_to_huge (const MmapRegion * region, guint64 end);

/* Makes huge pages of those that lie wholly between @start and @end, if they can be had; what was there before is in them. The rest is
 * left as it was, or partly reserved. The owner's. */
void mmap_region_make_huge (MmapRegion * region, guint64 start, guint64 end);

/* Guards the mapping of a file, before it is touched. FALSE with MMAP_ERROR_LIMIT. */
gboolean mmap_region_guard (MmapRegion * region, GError ** error);

/* Maps @size bytes at @offset of an area; blocks_offset, session and region_id are still to be set, and @window. Or %NULL with an error. */
MmapRegion *mmap_region_map_window (MmapArea * area, guint64 offset,
    guint64 size, gboolean writable, GError ** error);

/* Returns: (transfer none): for messages */
const char *mmap_region_get_name (const MmapRegion * region);

/* Sets errors for what open(2) and its kin answer about @path: MMAP_ERROR_NO_DIRECTORY, MMAP_ERROR_PERMISSION,
 * MMAP_ERROR_NO_SPACE, MMAP_ERROR_EXISTS or MMAP_ERROR_FAILED. */
void mmap_region_set_path_error (GError ** error, int errnum,
    const char *path);

G_END_DECLS
