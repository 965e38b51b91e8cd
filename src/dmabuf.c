/* gst-mmap: blocks of a region as dma-bufs
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by a consumer's streaming thread, once per region and block.
 */
#include "dmabuf.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010      /* Linux 5.1 */
#endif

static gboolean
check_seals (const MmapRegion * region, GError ** error)
{
  int seals = fcntl (region->fd, F_GET_SEALS);

  if (region->path || seals < 0 || !(seals & F_SEAL_SHRINK)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "The frames lie in the file %s, and the kernel makes dma-bufs of "
        "memfds only: leave out file of mmapsink",
        region->path ? region->path : "of an area");
    return FALSE;
  }
  if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_SEALS,
        "The producer's memory is sealed against writing, and of that the "
        "kernel makes no dma-bufs: if it trusts all its consumers, set "
        "allow-dmabuf=true of mmapsink");
    return FALSE;
  }
  return TRUE;
}

static void
set_open_error (GError ** error)
{
  if (errno == EACCES || errno == EPERM)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_PERMISSION,
        "User %u may not open %s: join the group that may, kvm as a rule, or "
        "change that with a udev rule", (guint) geteuid (),
        MMAP_UDMABUF_DEVICE);
  else
    g_set_error (error, MMAP_ERROR,
        mmap_error_from_errno (errno) == MMAP_ERROR_NO_RESOURCES ?
        MMAP_ERROR_NO_RESOURCES : MMAP_ERROR_NOT_FOUND,
        "%s can't be opened: %s. Load the module udmabuf, or boot a kernel "
        "with CONFIG_UDMABUF", MMAP_UDMABUF_DEVICE, g_strerror (errno));
}

int
mmap_dmabuf_open (const MmapRegion * region, GError ** error)
{
  int device;

  if (!check_seals (region, error))
    return -1;
  device = open (MMAP_UDMABUF_DEVICE, O_RDWR | O_CLOEXEC);
  if (device < 0)
    set_open_error (error);
  return device;
}

int
mmap_dmabuf_new (int device, const MmapRegion * region, guint64 offset,
    guint64 size, GError ** error)
{
  guint64 page = sysconf (_SC_PAGESIZE);
  guint64 pages = size / page + (size % page > 0);
  struct udmabuf_create create = {.memfd = region->fd,
    .flags = UDMABUF_FLAGS_CLOEXEC,.offset = offset,.size = pages * page
  };
  int fd;

  if (size == 0 || size > region->size || offset % page > 0
      || !mmap_region_contains (region, offset, create.size)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LAYOUT,
        "A frame of %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
        " doesn't lie in pages of its own, expected ones of %"
        G_GUINT64_FORMAT " bytes within the region", size, offset, page);
    return -1;
  }
  fd = ioctl (device, UDMABUF_CREATE, &create);
  if (fd >= 0)
    return fd;
  if (errno == EINVAL)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "The kernel makes no dma-buf of a frame of %" G_GUINT64_FORMAT
        " bytes: size_limit_mb and list_limit of the module udmabuf say how "
        "large one may be", size);
  else
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "The kernel makes no dma-buf of a frame of %" G_GUINT64_FORMAT
        " bytes: %s", size, g_strerror (errno));
  return -1;
}
