/* gst-mmap: a file or BAR that several channels share
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "area-protocol.h"
#include "doorbell.h"
#include "guard.h"
#include "mode.h"
#include "users.h"

#include <sys/stat.h>

G_BEGIN_DECLS

/* Bytes of a new file whose size nobody has said: memory is taken only for what is used of it. Chosen: 8 to 24 frames of UHD. */
#define MMAP_AREA_DEFAULT_BYTES (G_GUINT64_CONSTANT (256) << 20)

/**
 * MmapArea:
 * @fd: owned
 * @size: bytes mapped
 * @base: the mapping, writable
 * @start: (type MmapAreaStart): the same address. Others may change it at any instant: each word is read once and checked.
 * @slice_bytes, @slice_count: as they follow from @size
 * @is_file: an ordinary file: can be locked, reserved, truncated; a BAR can't
 * @path: as it was opened
 * @map_offset: where the area begins in what @fd is open on
 * @doorbell: (nullable): by which others wake this process, and it them
 *
 * A mapping of a whole area. Its fields don't change. Reference-counted; any thread.
 */
typedef struct
{
  gint ref_count;
  int fd;
  gsize size;
  guint8 *base;
  MmapAreaStart *start;
  guint64 slice_bytes;
  guint slice_count;
  guint32 flags;
  gboolean is_file;
  guint64 device;
  guint64 inode;
  char *path;
  guint64 map_offset;
  MmapDoorbell *doorbell;
  MmapGuard *guard;
} MmapArea;

/* Opens the area that @path names, for a producer; makes a file if there is none; formats memory of zeros. A file stays locked (flock,
 * shared) until the last reference is dropped.
 * @size: of a new file, bytes; 0: MMAP_AREA_DEFAULT_BYTES. A file that a producer made with another size, and nobody uses, is made anew.
 * @mode: of a new file; who may write it takes part
 * @trusted: whose files are believed in
 * Returns: (transfer full): or %NULL with MMAP_ERROR_TOO_SMALL, MMAP_ERROR_SIZE, MMAP_ERROR_NOT_A_REGION (neither zeros nor an area),
 * MMAP_ERROR_VERSION, MMAP_ERROR_LAYOUT, MMAP_ERROR_NO_DIRECTORY, MMAP_ERROR_PERMISSION, MMAP_ERROR_FILE, MMAP_ERROR_UNSAFE_PATH,
 * MMAP_ERROR_NO_SPACE, MMAP_ERROR_LIMIT or MMAP_ERROR_FAILED */
MmapArea *mmap_area_open (const char *path, guint64 size,
    const MmapMode * mode, const MmapUsers * trusted, GError ** error);

/* The same for a consumer or a tool, which makes and formats nothing, and locks nothing: or %NULL with MMAP_ERROR_NOT_FOUND, too: there is
 * no file, or nobody has formatted it yet. */
MmapArea *mmap_area_open_existing (const char *path,
    const MmapUsers * trusted, GError ** error);

/* The same for a tool, whatever is in it. */
MmapArea *mmap_area_open_unformatted (const char *path,
    const MmapUsers * trusted, GError ** error);

/* What @file names: a device (see mmap_ivshmem_find()), an ivshmem server, or a path.
 * Returns: (transfer full): an absolute path, or a name that mmap_area_has_doorbell(); or %NULL with an error of mmap_ivshmem_find() */
char *mmap_area_resolve (const char *file, GError ** error);

/* Whether @path, from mmap_area_resolve(), stands for memory with doorbells: that of an ivshmem server, or of a device that vfio-pci has. */
gboolean mmap_area_has_doorbell (const char *path);

/* Joins that memory, without a look at what it says: see mmap_area_check(). To be kept: others hear of each that joins and leaves.
 * Returns: (transfer full): or %NULL with an error of mmap_doorbell_connect(), mmap_doorbell_open_pci() or mmap_area_open() */
MmapArea *mmap_area_open_doorbell (const char *path, GError ** error);

/* What others ring to wake this process; MMAP_DOORBELL_NONE: nothing. */
guint32 mmap_area_get_doorbell_address (const MmapArea * area);

MmapArea *mmap_area_ref (MmapArea * area);
void mmap_area_unref (MmapArea * area);

/* Whether the first page says what it has to. FALSE with an error of mmap_area_open(), or MMAP_ERROR_NOT_FOUND if it is not written yet. */
gboolean mmap_area_check (const MmapArea * area, GError ** error);

/* Writes the header where it is not as it has to be: somebody has overwritten it. Returns: whether that was so */
gboolean mmap_area_restore (MmapArea * area);

/* Sees to it that there is memory for @bytes at @offset. FALSE with MMAP_ERROR_NO_SPACE, MMAP_ERROR_TRUNCATED or MMAP_ERROR_FAILED. */
gboolean mmap_area_reserve (MmapArea * area, guint64 offset, guint64 bytes,
    GError ** error);

/* Whether a producer made the file, so that one may remove it. What is in the memory of a VM is the guest's word: a file that was made also has
 * the sticky bit, which means nothing else, and which nobody can set by writing in it.
 * @flags: of its header */
gboolean mmap_area_is_made (const struct stat *st, guint32 flags);

/* Removes the file, if a producer made it, its name still leads to it, and no other producer has it open. Nothing else to be done with @area
 * after this. */
void mmap_area_remove_if_unused (MmapArea * area);

/* As protocol.h says: how an area of @size bytes is cut. */
void mmap_area_cut (guint64 size, guint64 * slice_bytes, guint * slice_count);

/* --- who lives --- */

/**
 * MmapAreaPeer:
 *
 * What one side says of itself in an area.
 */
typedef struct
{
  guint32 pid;
  guint32 uid;
  guint64 boot_id;
  guint64 pid_namespace;
  guint32 doorbell;
} MmapAreaPeer;

/* This process, as it is now. */
void mmap_area_peer_init_self (MmapAreaPeer * peer);

/* Whether this process would see that of @peer, and doesn't: it has ended. */
gboolean mmap_area_peer_is_gone (const MmapAreaPeer * peer);

/* Whether both are on one kernel. */
gboolean mmap_area_peer_is_near (const MmapAreaPeer * peer);

/**
 * MmapPulse:
 *
 * What one side has seen of another's heartbeat, by its own clock. Zeros at first.
 */
typedef struct
{
  guint64 value;
  gint64 changed_us;            /* 0: never looked */
  gint64 looked_us;
  guint beats;                  /* how often it went on while it was looked at */
} MmapPulse;

/* Whether somebody lives who beats: once may be chance, where somebody overwrites the area. */
static inline gboolean
mmap_pulse_is_alive (const MmapPulse * pulse)
{
  return pulse->beats >= 2;
}

/* @value: the heartbeat, as read now. If this side has stood still itself, it begins to wait anew.
 * Returns: whether it has not changed for MMAP_AREA_DEAD_US */
gboolean mmap_pulse_is_dead (MmapPulse * pulse, guint64 value, gint64 now_us);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MmapArea, mmap_area_unref)
G_END_DECLS
