/* gst-mmap: interrupts between the processes that share an ivshmem-doorbell device's memory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* An address is the id that the server gave, and the vector, plus 1: 0 is nobody's. Anything else may be somebody's. */
#define MMAP_DOORBELL_NONE 0u
#define MMAP_DOORBELL_ADDRESS(id, vector) ((((guint32) (vector) << 16) | (guint32) (id)) + 1)
#define MMAP_DOORBELL_ID(address) (((address) - 1) & 0xffffu)
#define MMAP_DOORBELL_VECTOR(address) (((address) - 1) >> 16)

/**
 * MmapDoorbell:
 *
 * One bell of this process: others ring it, and it rings those of others. Any thread may ring; one at a time may take.
 */
typedef struct _MmapDoorbell MmapDoorbell;

/* On the host: joins the ivshmem server at @socket_path. All that the server says is checked.
 * @memory_fd: (out) (nullable) (transfer full): the memory that it serves, a regular file. -1 on failure
 * Returns: (transfer full): or %NULL with an error of mmap_address_connect(), MMAP_ERROR_TIMEOUT (the server did not say all of
 * it within 5 s), MMAP_ERROR_CLOSED, MMAP_ERROR_VERSION, MMAP_ERROR_MESSAGE (it broke the protocol's rules) or MMAP_ERROR_NO_RESOURCES */
MmapDoorbell *mmap_doorbell_connect (const char *socket_path,
    int *memory_fd, GError ** error);

/* In a guest: takes one vector of the device @bdf, such as "0000:00:05.0", which must be bound to vfio-pci, behind an IOMMU. Several bells of
 * one process share the device; no other process can have it meanwhile.
 * Returns: (transfer full): or %NULL with MMAP_ERROR_NOT_FOUND (no such device, or no interrupts), MMAP_ERROR_SETTING (not bound to
 * vfio-pci, or no IOMMU: says what to do), MMAP_ERROR_PERMISSION, MMAP_ERROR_IN_USE (another process has it, or all of its vectors are taken),
 * MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
MmapDoorbell *mmap_doorbell_open_pci (const char *bdf, GError ** error);

/* The same below other directories than /sys/bus/pci/devices and /dev/vfio. */
MmapDoorbell *mmap_doorbell_open_pci_below (const char *devices,
    const char *vfio, const char *bdf, GError ** error);

/* @doorbell: (nullable) */
void mmap_doorbell_free (MmapDoorbell * doorbell);

/* What others ring. */
guint32 mmap_doorbell_get_address (const MmapDoorbell * doorbell);

/* Returns: a descriptor that is readable while mmap_doorbell_take() has something to do; the doorbell's */
int mmap_doorbell_get_fd (const MmapDoorbell * doorbell);

/* Hears of peers that have come and gone, and takes the rings.
 * Returns: how often it was rung since the last time */
guint64 mmap_doorbell_take (MmapDoorbell * doorbell);

/* Rings the bell at @address, which is another side's word. One of whom the server hasn't told yet is rung as soon as it does, in
 * mmap_doorbell_take(). Never waits.
 * FALSE if nobody is known there (a guest doesn't know, and always says TRUE). */
gboolean mmap_doorbell_ring (MmapDoorbell * doorbell, guint32 address);

/* FALSE once the server has ended, or broke a rule: nobody new can be rung. Always TRUE in a guest. */
gboolean mmap_doorbell_has_server (MmapDoorbell * doorbell);

/* The memory of a guest's device, to be mapped from its own descriptor, as the kernel lets nobody else do it while vfio-pci has it. FALSE on the
 * host, where mmap_doorbell_connect() hands it out.
 * @fd: (out) (transfer none) */
gboolean mmap_doorbell_get_memory (MmapDoorbell * doorbell, int *fd,
    guint64 * offset, guint64 * size);

G_END_DECLS
