/* gst-mmap: the shared memory that holds frames
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "area-channel.h"
#include "guard.h"
#include "protocol.h"

G_BEGIN_DECLS

/* Smallest region, bytes: the header and a page of blocks. */
#define MMAP_REGION_MIN_BYTES (sizeof (MmapRegionHeader) + MMAP_PAGE_BYTES)

/**
 * MmapRegion:
 * @ref_count: atomic
 * @fd: the memory's descriptor, owned; -1 never
 * @is_foreign: somebody else has opened that, see foreign.h
 * @size: bytes mapped, a multiple of the page size
 * @blocks_offset: start of the blocks, bytes
 * @session: the session in the header
 * @region_id: the id in the header
 * @writable: %TRUE on the owner's side
 * @base: the mapping; the opener's is read-only
 * @header: (type MmapRegionHeader): the same address. An opener reads each word of it once and checks it.
 * @path: (nullable): of a file region; %NULL for a memfd
 * @area_offset: where it begins in the file that @fd is open on: 0, but for a window of an area
 * @window: (nullable): the owner's, of an area; freed with the region
 * @guard: (nullable): of a file region, which others may truncate; %NULL for a memfd, which is sealed
 * @no_huge: huge pages can't be had, or there are none left
 * @huge_bytes: (atomic): of the region that the owner made huge pages of
 * @reserved: bytes from the start whose memory is there: on the owner's side, what it has reserved so far; on the
 *     opener's, what it has seen to be reserved
 *
 * A mapping of a region, with what was checked about it. Its fields don't change after it was made, so any
 * thread may read them; but @reserved, @no_huge and @huge_bytes do: they belong to the one thread that reserves, or that looks.
 */
typedef struct
{
  gint ref_count;
  int fd;
  gboolean is_foreign;
  gsize size;
  guint64 blocks_offset;
  guint64 session;
  guint32 region_id;
  gboolean writable;
  guint8 *base;
  MmapRegionHeader *header;
  char *path;
  MmapGuard *guard;
  gboolean no_huge;
  guint64 huge_bytes;
  guint64 reserved;
  guint64 area_offset;
  MmapWindow *window;
  guint64 path_device;          /* identity of the file that was made at path, to remove only that */
  guint64 path_inode;
} MmapRegion;

/* Makes a memfd region of @size bytes (rounded up to pages), reserves and populates all its memory, maps it for writing, writes its
 * header and seals it against shrinking, growing and new writable mappings.
 * Returns: (transfer full): a region, or %NULL with MMAP_ERROR_TOO_SMALL (less than MMAP_REGION_MIN_BYTES),
 * MMAP_ERROR_NO_SPACE (names the size) or MMAP_ERROR_FAILED. */
MmapRegion *mmap_region_new_memfd (guint64 size, guint64 session,
    guint32 region_id, GError ** error);

/* Makes a file region at @path with mode 0600, reserves its memory, maps it for writing and writes its header. The file
 * stays locked (flock) while this process lives. A region file at @path that no live process has locked is replaced;
 * links are not followed.
 * Returns: (transfer full): a region, or %NULL with MMAP_ERROR_NO_DIRECTORY, MMAP_ERROR_PERMISSION, MMAP_ERROR_IN_USE
 * (locked by a live process), MMAP_ERROR_EXISTS (something that is no region, no file, another user's, or has several names),
 * MMAP_ERROR_UNSAFE_PATH (see mmap_path_check()), MMAP_ERROR_NO_SPACE (names
 * the size wanted and the size there is), MMAP_ERROR_TOO_SMALL or MMAP_ERROR_FAILED. */
MmapRegion *mmap_region_new_file (const char *path, guint64 size,
    guint64 session, guint32 region_id, GError ** error);

/* As mmap_region_new_memfd() and mmap_region_new_file(), but only the first @at_once bytes are reserved (rounded up to pages, the header
 * and a page at least; or to a huge page, where that can be had): the rest is for mmap_region_reserve_more(). MMAP_ERROR_NO_SPACE is for the
 * whole as far as it can be known. @seal_writes: FALSE leaves out the seal against new writable mappings. */
MmapRegion *mmap_region_begin_memfd (guint64 size, guint64 at_once,
    guint64 session, guint32 region_id, gboolean seal_writes,
    GError ** error);
MmapRegion *mmap_region_begin_file (const char *path, guint64 size,
    guint64 at_once, guint64 session, guint32 region_id, GError ** error);

/* The same in a window of an area, whose size it has.
 * @window: (transfer full): freed on failure, too */
MmapRegion *mmap_region_begin_window (MmapWindow * window, guint64 at_once,
    guint64 session, guint32 region_id, GError ** error);

/* Writes the header anew if it isn't what it was: others can overwrite an area. */
void mmap_region_restore (MmapRegion * region);

/* Maps, read-only, the region that another process offers in an area: @size bytes at @offset.
 * Returns: (transfer full): or %NULL with MMAP_ERROR_SIZE (that is no window of @area), or an error of mmap_region_open_fd() */
MmapRegion *mmap_region_open_window (MmapArea * area, guint64 offset,
    guint64 size, GError ** error);

/* Reserves the next @bytes, rounded up to pages, or to a whole huge page where those can be had, or what is left. Beyond region->reserved
 * nobody may write: where memory is short, that ends in SIGBUS. FALSE with MMAP_ERROR_NO_SPACE or MMAP_ERROR_FAILED: region->reserved is as it was. */
gboolean mmap_region_reserve_more (MmapRegion * region, guint64 bytes,
    GError ** error);

/* Maps, read-only, the region that another process offers.
 * @fd: (transfer full): its descriptor: a memfd (of tmpfs) must be sealed against shrinking. Closed on failure, too.
 * @expected_size: what the offer says, or 0 for "as it is"
 * Returns: (transfer full): a region, or %NULL with the field that was wrong: MMAP_ERROR_FILE (no regular file),
 * MMAP_ERROR_SEALS, MMAP_ERROR_SIZE (the file is not @expected_size bytes, or its header says otherwise),
 * MMAP_ERROR_NOT_A_REGION, MMAP_ERROR_VERSION, MMAP_ERROR_LAYOUT. */
MmapRegion *mmap_region_open_fd (int fd, guint64 expected_size,
    GError ** error);

/* As mmap_region_open_fd(), for the descriptor of a file, which needs no seals. @path: for region->path */
MmapRegion *mmap_region_open_file_fd (int fd, const char *path,
    guint64 expected_size, GError ** error);

/* Whether nobody but @uid, root and this process's user may change a region of a file, and it has no other name. A memfd needs no such check.
 * FALSE with MMAP_ERROR_UNSAFE_PATH or MMAP_ERROR_FILE. */
gboolean mmap_region_check_owner (const MmapRegion * region, guint32 uid,
    GError ** error);

/* A descriptor of the region to send to a consumer: read-only, and not the one that holds the lock of a file.
 * Returns: (transfer full): or -1 if the system can't make one */
int mmap_region_dup_read_only (const MmapRegion * region);

/* As mmap_region_open_fd(), by path: O_CLOEXEC, O_NOFOLLOW, a regular file. MMAP_ERROR_FILE if it can't be opened, MMAP_ERROR_UNSAFE_PATH: see
 * mmap_path_check(). */
MmapRegion *mmap_region_open_path (const char *path, guint64 expected_size,
    GError ** error);

/* As mmap_region_open_path(), but mapped for writing: for tools that write a token into a region that they don't own. The
 * producer's words in the header stay the producer's. mmap_region_unlink() doesn't remove the file. */
MmapRegion *mmap_region_open_path_writable (const char *path,
    guint64 expected_size, GError ** error);

/* Reads the whole header of the region that @fd is open on, without mapping it, and checks it as mmap_region_open_fd()
 * does, seals apart: for tools that only look. @fd stays the caller's. FALSE with MMAP_ERROR_FILE, MMAP_ERROR_SIZE,
 * MMAP_ERROR_NOT_A_REGION, MMAP_ERROR_VERSION or MMAP_ERROR_LAYOUT. */
gboolean mmap_region_read_header (int fd, MmapRegionHeader * header,
    GError ** error);

/* Locks the file of a region, as mmap_region_new_file() does, until the last reference is dropped. FALSE with
 * MMAP_ERROR_IN_USE, which names the process id of the owner, or MMAP_ERROR_FAILED. */
gboolean mmap_region_lock (MmapRegion * region, GError ** error);

MmapRegion *mmap_region_ref (MmapRegion * region);

/* Rings @alarm if somebody truncates the region's file while it is in use: whoever reads or writes what is gone finds zeros there. */
void mmap_region_set_alarm (MmapRegion * region, MmapAlarm * alarm);

/* Whether that has happened, and somebody has noticed. */
gboolean mmap_region_is_broken (const MmapRegion * region);

/* Sets MMAP_ERROR_TRUNCATED. @path: (nullable): of the file */
void mmap_region_set_truncated_error (GError ** error, const char *path);

/* Drops a reference; the last one unmaps and closes. Does not remove a file. */
void mmap_region_unref (MmapRegion * region);

/* Removes the file at the region's path if it is still the one that was made; nothing for a memfd or an opened region. */
void mmap_region_unlink (MmapRegion * region);

/* If region->reserved is not enough, looks how far the other side has reserved a region that was opened, and updates it.
 * Returns: whether the first @end bytes may be read: for a memfd, they have no hole. What lies in one would be paid for by whoever reads
 *     it; of a file, which its owner can truncate anyway, all may be read. */
gboolean mmap_region_may_read (MmapRegion * region, guint64 end);

/* Makes the @size bytes at @offset, in pages, present in this process's mapping, so that no frame in them costs a page fault. */
void mmap_region_populate (MmapRegion * region, guint64 offset, guint64 size);

/* TRUE if the @size bytes at @offset lie among the blocks of the region. Can't overflow. */
static inline gboolean
mmap_region_contains (const MmapRegion * region, guint64 offset, guint64 size)
{
  return offset >= region->blocks_offset && offset <= region->size
      && size <= region->size - offset;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MmapRegion, mmap_region_unref)
G_END_DECLS
