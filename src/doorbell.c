/* gst-mmap: interrupts between the processes that share an ivshmem-doorbell device's memory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the bells of a host (doorbell-host.c) and of a guest (doorbell-vfio.c) have in common.
 */
#include "doorbell-private.h"

#include <errno.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

guint64
mmap_doorbell_read_eventfd (int fd)
{
  guint64 count = 0;
  struct iovec data = { &count, sizeof count };
  gssize n;

  do {
    n = preadv2 (fd, &data, 1, -1, RWF_NOWAIT);
  } while (n < 0 && errno == EINTR);
  return n == sizeof count ? count : 0;
}

void
mmap_doorbell_write_eventfd (int fd)
{
  struct pollfd room = {.fd = fd,.events = POLLOUT };
  guint64 one = 1;

  if (poll (&room, 1, 0) == 1 && (room.revents & POLLOUT))
    while (write (fd, &one, sizeof one) < 0 && errno == EINTR);
}

void
mmap_doorbell_free (MmapDoorbell * doorbell)
{
  if (doorbell)
    doorbell->klass->free (doorbell);
}

guint32
mmap_doorbell_get_address (const MmapDoorbell * doorbell)
{
  return doorbell->address;
}

int
mmap_doorbell_get_fd (const MmapDoorbell * doorbell)
{
  return doorbell->fd;
}

guint64
mmap_doorbell_take (MmapDoorbell * doorbell)
{
  return doorbell->klass->take (doorbell);
}

gboolean
mmap_doorbell_ring (MmapDoorbell * doorbell, guint32 address)
{
  return address != MMAP_DOORBELL_NONE
      && doorbell->klass->ring (doorbell, address);
}

gboolean
mmap_doorbell_has_server (MmapDoorbell * doorbell)
{
  return doorbell->klass->has_server (doorbell);
}

gboolean
mmap_doorbell_get_memory (MmapDoorbell * doorbell, int *fd, guint64 * offset,
    guint64 * size)
{
  return doorbell->klass->get_memory (doorbell, fd, offset, size);
}

MmapDoorbell *
mmap_doorbell_open_pci (const char *bdf, GError ** error)
{
  return mmap_doorbell_open_pci_below ("/sys/bus/pci/devices", "/dev/vfio",
      bdf, error);
}
