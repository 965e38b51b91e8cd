/* gst-mmap: huge pages
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One huge page instead of 512 pages: fewer misses of the address translation for those who read whole frames, and 2 MiB that are
 * there, and mapped, in less time. Memory of tmpfs has them when the kernel is asked to collapse a piece of it (Linux 6.1), whatever
 * shmem_enabled says, unless it says `deny`. Where it can't, all is as it would be without. Called by those who make, map and reserve
 * regions, each from its one thread.
 */
#include "region-private.h"

#include "atomics.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25        /* Linux 6.1 */
#endif

/* Where the kernel has others (64 KiB pages have 512 MiB, 16 KiB pages 32 MiB) it says EINVAL. */
#define HUGE_BYTES (G_GUINT64_CONSTANT (2) << 20)

gpointer
mmap_region_map (int fd, guint64 offset, gsize size, gboolean writable)
{
  int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  guint8 *room = MAP_FAILED, *base, *end;
  gpointer mapped;

  if (size >= HUGE_BYTES && size <= G_MAXSIZE - HUGE_BYTES)
    room = mmap (NULL, size + HUGE_BYTES, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED)
    return mmap (NULL, size, protection, MAP_SHARED, fd, offset);
  /* As far from a multiple of huge pages as the offset is. */
  base = room + (offset - (guintptr) room) % HUGE_BYTES;
  end = room + size + HUGE_BYTES;
  mapped = mmap (base, size, protection, MAP_SHARED | MAP_FIXED, fd, offset);
  if (mapped == MAP_FAILED) {
    int saved = errno;

    munmap (room, end - room);
    errno = saved;
    return MAP_FAILED;
  }
  if (base > room)
    munmap (room, base - room);
  if (end > base + size)
    munmap (base + size, end - (base + size));
  return base;
}

/* The first multiple of huge pages, as an offset of the mapping, that is not below @offset. */
static guint64
round_up (const MmapRegion * region, guint64 offset)
{
  guint64 beyond = ((guintptr) region->base + offset) % HUGE_BYTES;

  return beyond == 0 ? offset : offset + HUGE_BYTES - beyond;
}

guint64
mmap_region_round_to_huge (const MmapRegion * region, guint64 end)
{
  guint64 rounded = round_up (region, end);

  /* What ends there may not have begun here: a small region lies anywhere. */
  if (region->no_huge || rounded < HUGE_BYTES || rounded > region->size)
    return end;
  return rounded;
}

void
mmap_region_make_huge (MmapRegion * region, guint64 start, guint64 end)
{
  guint64 page = sysconf (_SC_PAGESIZE);
  guint64 offset;

  start = round_up (region, start);
  /* The last is not whole. */
  if (end < start + HUGE_BYTES)
    return;
  end = round_up (region, end - HUGE_BYTES + 1);
  if (region->no_huge)
    return;
  /* Where nothing is there is nothing to collapse. */
  for (offset = start; offset < end; offset += HUGE_BYTES)
    if (mmap_region_reserve_piece (region->fd, region->area_offset + offset,
            page) != 0)
      return;
  if (madvise (region->base + start, end - start, MADV_COLLAPSE) == 0)
    mmap_store_relaxed (&region->huge_bytes,
        region->huge_bytes + (end - start));
  else if (errno != EAGAIN)
    /* The kernel can't, or there are none: to ask for each takes time. */
    region->no_huge = TRUE;
}
