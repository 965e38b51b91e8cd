/* gst-mmap: shared memory of a virtual machine: the ivshmem PCI device, as its guest sees it
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* QEMU's ids (docs/specs/ivshmem-spec.txt). BAR 2 is the memory that is shared. */
#define MMAP_IVSHMEM_VENDOR 0x1af4
#define MMAP_IVSHMEM_DEVICE 0x1110

/* Where Linux shows PCI devices, a directory each. */
#define MMAP_IVSHMEM_DEVICES "/sys/bus/pci/devices"

/**
 * MmapIvshmemDevice:
 * @bdf: domain, bus, device and function, as in "0000:00:05.0"
 * @driver: (nullable): the kernel's driver that has it; usually none
 * @enabled: it answers reads
 * @doorbell: it has interrupts: an ivshmem-doorbell
 * @size: bytes of BAR 2; 0 if it has none
 * @write_combining: there is a resource2_wc
 * @accessible: this process may open BAR 2 for reading and writing
 *
 * What can be seen of a device without touching its memory.
 */
typedef struct
{
  char *bdf;
  char *driver;
  gboolean enabled;
  gboolean doorbell;
  guint64 size;
  gboolean write_combining;
  gboolean accessible;
} MmapIvshmemDevice;

/* Whether @file names a device and no path: "ivshmem", or what begins with "ivshmem:". A file of such a name is named with a
 * directory, "./ivshmem". */
gboolean mmap_ivshmem_is_name (const char *file);

/* Returns: (transfer full) (element-type MmapIvshmemDevice): all devices below @root, sorted; %NULL with MMAP_ERROR_FILE if @root
 * can't be read: there is no PCI bus, or no /sys. @root: (nullable): instead of MMAP_IVSHMEM_DEVICES */
GPtrArray *mmap_ivshmem_list (const char *root, GError ** error);

/* Finds the BAR that @name means, and enables its device if it isn't.
 *
 * The BAR comes as two files. resource2 is mapped uncached and resource2_wc write-combining, if host and hypervisor honour what the guest
 * says; most don't, and both are ordinary memory. So both are read for a moment, and resource2_wc is taken if it reads faster by a quarter; if
 * it makes no difference, resource2, which keeps the order of stores, as the rings need it. Nothing is written: somebody may use the memory.
 *
 * @name: "ivshmem" for the only device, "ivshmem:0000:00:05.0" or "ivshmem:00:05.0" for one of several
 * @root: (nullable): instead of MMAP_IVSHMEM_DEVICES
 * Returns: (transfer full): the path of a file to be mapped, as large as the BAR; or %NULL with MMAP_ERROR_SETTING (@name is malformed, or
 * doesn't say which of several), MMAP_ERROR_FILE (there is none, it is another device, it has no memory), MMAP_ERROR_PERMISSION,
 * MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
char *mmap_ivshmem_find_below (const char *root, const char *name,
    GError ** error);

/* The same in the system's own devices. */
char *mmap_ivshmem_find (const char *name, GError ** error);

G_END_DECLS
