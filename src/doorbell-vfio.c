/* gst-mmap: a doorbell in a guest: the ivshmem-doorbell device, through vfio-pci
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Made and freed by whoever shares the memory; rung by any thread. The kernel gives a device to one process only, and there once: all bells of
 * this process share it, each with a vector of its own. The kernel counts interrupts on eventfds, so no driver of ours is needed.
 */
#include "doorbell-private.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* BAR 0 (docs/specs/ivshmem-spec of QEMU). */
#define BAR_REGISTERS 0
#define BAR_MEMORY 2
#define REGISTER_POSITION 8
#define REGISTER_DOORBELL 12
#define REGISTER_BYTES 256

/* The set of those in use is one word. */
#define MAX_VECTORS 32

typedef struct
{
  int users;
  char *bdf;
  int container;
  int group;
  int fd;
  guint64 registers_offset;
  volatile guint32 *registers;  /* %NULL: by pwrite(2) */
  guint64 memory_offset;
  guint64 memory_size;
  guint n_vectors;
  int eventfds[MAX_VECTORS];
  guint32 used;                 /* a bit for each vector */
  guint32 id;
} Device;

typedef struct
{
  MmapDoorbell parent;
  Device *device;
  guint vector;
} Guest;

static GMutex devices_lock;
static GSList *devices;         /* Device: under the lock */

/* --- opening --- */

static void
set_open_error (GError ** error, const char *path, const char *bdf)
{
  int errnum = errno;

  if (errnum == EACCES || errnum == EPERM)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_PERMISSION,
        "User %u has no access to %s: run as root, or let a udev rule give "
        "it to a group (SUBSYSTEM==\"vfio\", GROUP=\"…\", MODE=\"0660\")",
        (guint) geteuid (), path);
  else if (errnum == EBUSY)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
        "%s is in use by another process (%s is busy): one process of a "
        "guest can have its interrupts", bdf, path);
  else if (errnum == ENOENT)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "There is no %s: load the driver (modprobe vfio-pci)", path);
  else
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errnum),
        "Can't open %s: %s", path, g_strerror (errnum));
}

/* Returns: the last part of what a link in the device's directory leads to; %NULL if there is no link */
static char *
read_link (const char *devices_path, const char *bdf, const char *name)
{
  g_autofree char *path = g_build_filename (devices_path, bdf, name, NULL);
  g_autofree char *target = g_file_read_link (path, NULL);

  return target ? g_path_get_basename (target) : NULL;
}

/* Returns: (transfer full): the IOMMU group; %NULL: the device isn't ready, which @error explains */
static char *
find_group (const char *devices_path, const char *bdf, GError ** error)
{
  g_autofree char *directory = g_build_filename (devices_path, bdf, NULL);
  g_autofree char *driver = read_link (devices_path, bdf, "driver");
  g_autofree char *group = read_link (devices_path, bdf, "iommu_group");
  g_autofree char *unbind = g_strdup_printf (" > %s/driver/unbind; ",
      directory);

  if (!g_file_test (directory, G_FILE_TEST_IS_DIR)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND,
        "There is no PCI device %s: lspci -D -d 1af4:1110 lists them", bdf);
    return NULL;
  }
  if (!group) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "%s has no IOMMU, which interrupts need: give the guest one (to QEMU "
        "with -M q35,kernel-irqchip=split -device intel-iommu,intremap=on) and "
        "boot it with intel_iommu=on", bdf);
    return NULL;
  }
  if (g_strcmp0 (driver, "vfio-pci") != 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "%s is bound to %s, but its interrupts come through vfio-pci: modprobe "
        "vfio-pci; echo vfio-pci > %s/driver_override; %s%s%secho %s > "
        "/sys/bus/pci/drivers_probe", bdf, driver ? driver : "no driver",
        directory, driver ? "echo " : "", driver ? bdf : "",
        driver ? unbind : "", bdf);
    return NULL;
  }
  return g_steal_pointer (&group);
}

static gboolean
fail (GError ** error, const char *bdf, const char *what)
{
  g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
      "%s: vfio-pci can't %s: %s", bdf, what, g_strerror (errno));
  return FALSE;
}

static gboolean
open_group (Device * device, const char *vfio, const char *group,
    GError ** error)
{
  struct vfio_group_status status = {.argsz = sizeof status };
  g_autofree char *container_path = g_build_filename (vfio, "vfio", NULL);
  g_autofree char *group_path = g_build_filename (vfio, group, NULL);

  device->container = open (container_path, O_RDWR | O_CLOEXEC);
  if (device->container < 0) {
    set_open_error (error, container_path, device->bdf);
    return FALSE;
  }
  device->group = open (group_path, O_RDWR | O_CLOEXEC);
  if (device->group < 0) {
    set_open_error (error, group_path, device->bdf);
    return FALSE;
  }
  if (ioctl (device->group, VFIO_GROUP_GET_STATUS, &status) < 0)
    return fail (error, device->bdf, "say how its group is");
  if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "%s shares IOMMU group %s with devices of other drivers: put it in a "
        "slot of its own", device->bdf, group);
    return FALSE;
  }
  if (ioctl (device->group, VFIO_GROUP_SET_CONTAINER, &device->container) < 0
      || ioctl (device->container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) < 0)
    return fail (error, device->bdf, "set up its IOMMU");
  device->fd = ioctl (device->group, VFIO_GROUP_GET_DEVICE_FD, device->bdf);
  return device->fd >= 0 || fail (error, device->bdf, "open it");
}

static gboolean
get_region (Device * device, guint index, struct vfio_region_info *info,
    GError ** error)
{
  *info = (struct vfio_region_info) {.argsz = sizeof *info,.index = index };
  if (ioctl (device->fd, VFIO_DEVICE_GET_REGION_INFO, info) == 0
      && info->size > 0)
    return TRUE;
  return fail (error, device->bdf, "show one of its BARs");
}

static gboolean
find_registers (Device * device, GError ** error)
{
  struct vfio_region_info info;
  void *map;

  if (!get_region (device, BAR_REGISTERS, &info, error))
    return FALSE;
  device->registers_offset = info.offset;
  if (info.flags & VFIO_REGION_INFO_FLAG_MMAP) {
    map = mmap (NULL, REGISTER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
        device->fd, info.offset);
    device->registers = map == MAP_FAILED ? NULL : map;
  }
  if (!get_region (device, BAR_MEMORY, &info, error))
    return FALSE;
  device->memory_offset = info.offset;
  device->memory_size = info.size;
  return TRUE;
}

/* Without it no interrupt ever comes: the device writes them to memory. */
static gboolean
allow_bus_master (Device * device, GError ** error)
{
  struct vfio_region_info info;
  guint16 command;

  if (!get_region (device, VFIO_PCI_CONFIG_REGION_INDEX, &info, error))
    return FALSE;
  if (pread (device->fd, &command, sizeof command,
          info.offset + PCI_COMMAND) == sizeof command) {
    command = GUINT16_TO_LE (GUINT16_FROM_LE (command) | PCI_COMMAND_MEMORY
        | PCI_COMMAND_MASTER);
    if (pwrite (device->fd, &command, sizeof command,
            info.offset + PCI_COMMAND) == sizeof command)
      return TRUE;
  }
  return fail (error, device->bdf, "set its command register");
}

static gboolean
set_interrupts (Device * device, GError ** error)
{
  struct vfio_irq_info info = {.argsz = sizeof info,
    .index = VFIO_PCI_MSIX_IRQ_INDEX
  };
  union
  {
    struct vfio_irq_set set;
    guint8 bytes[sizeof (struct vfio_irq_set) + sizeof device->eventfds];
  }
  irqs;
  guint n;

  if (ioctl (device->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
    return fail (error, device->bdf, "say how many interrupts it has");
  n = MIN (info.count, MAX_VECTORS);
  if (n == 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND,
        "%s has no interrupts: it is an ivshmem-plain device, or has no "
        "vectors; give the guest an ivshmem-doorbell", device->bdf);
    return FALSE;
  }
  for (; device->n_vectors < n; device->n_vectors++) {
    int fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
      return fail (error, device->bdf, "have an eventfd for an interrupt");
    device->eventfds[device->n_vectors] = fd;
  }
  memset (&irqs, 0, sizeof irqs);
  irqs.set.argsz = sizeof irqs.set + n * sizeof (int);
  irqs.set.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
  irqs.set.index = VFIO_PCI_MSIX_IRQ_INDEX;
  irqs.set.count = n;
  memcpy (irqs.set.data, device->eventfds, n * sizeof (int));
  return ioctl (device->fd, VFIO_DEVICE_SET_IRQS, &irqs) == 0
      || fail (error, device->bdf, "set its interrupts");
}

static gboolean
read_id (Device * device, GError ** error)
{
  guint32 id;

  if (device->registers)
    id = device->registers[REGISTER_POSITION / 4];
  else if (pread (device->fd, &id, sizeof id,
          device->registers_offset + REGISTER_POSITION) != sizeof id)
    return fail (error, device->bdf, "read its registers");
  device->id = GUINT32_FROM_LE (id);
  if (device->id <= G_MAXUINT16)
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND,
      "%s has the id %#x, expected 0 to 65535: is its ivshmem server there?",
      device->bdf, device->id);
  return FALSE;
}

static void
device_free (Device * device)
{
  if (device->registers)
    munmap ((void *) device->registers, REGISTER_BYTES);
  if (device->fd >= 0)
    close (device->fd);
  if (device->group >= 0)
    close (device->group);
  if (device->container >= 0)
    close (device->container);
  while (device->n_vectors > 0)
    close (device->eventfds[--device->n_vectors]);
  g_free (device->bdf);
  g_free (device);
}

static Device *
device_open (const char *devices_path, const char *vfio, const char *bdf,
    GError ** error)
{
  g_autofree char *group = find_group (devices_path, bdf, error);
  Device *device;

  if (!group)
    return NULL;
  device = g_new0 (Device, 1);
  device->bdf = g_strdup (bdf);
  device->container = device->group = device->fd = -1;
  if (open_group (device, vfio, group, error)
      && find_registers (device, error)
      && set_interrupts (device, error)
      && allow_bus_master (device, error)
      && read_id (device, error))
    return device;
  device_free (device);
  return NULL;
}

/* --- the bell --- */

static Device *
find_device_locked (const char *bdf)
{
  GSList *item;

  for (item = devices; item; item = item->next)
    if (strcmp (((Device *) item->data)->bdf, bdf) == 0)
      return item->data;
  return NULL;
}

static void
guest_free (MmapDoorbell * doorbell)
{
  Guest *guest = (Guest *) doorbell;
  Device *device = guest->device;

  g_mutex_lock (&devices_lock);
  device->used &= ~(1u << guest->vector);
  if (--device->users == 0) {
    devices = g_slist_remove (devices, device);
    device_free (device);
  }
  g_mutex_unlock (&devices_lock);
  g_free (guest);
}

static guint64
guest_take (MmapDoorbell * doorbell)
{
  return mmap_doorbell_read_eventfd (doorbell->fd);
}

static gboolean
guest_ring (MmapDoorbell * doorbell, guint32 address)
{
  Device *device = ((Guest *) doorbell)->device;
  guint32 value = GUINT32_TO_LE (MMAP_DOORBELL_ID (address) << 16
      | MMAP_DOORBELL_VECTOR (address));

  if (device->registers) {
    device->registers[REGISTER_DOORBELL / 4] = value;
    return TRUE;
  }
  return pwrite (device->fd, &value, sizeof value,
      device->registers_offset + REGISTER_DOORBELL) == sizeof value;
}

static gboolean
guest_has_server (MmapDoorbell * doorbell)
{
  return TRUE;
}

static gboolean
guest_get_memory (MmapDoorbell * doorbell, int *fd, guint64 * offset,
    guint64 * size)
{
  Device *device = ((Guest *) doorbell)->device;

  *fd = device->fd;
  *offset = device->memory_offset;
  *size = device->memory_size;
  return TRUE;
}

static const MmapDoorbellClass guest_class = {
  guest_free, guest_take, guest_ring, guest_has_server, guest_get_memory
};

static MmapDoorbell *
guest_new_locked (Device * device, GError ** error)
{
  Guest *guest;
  guint vector = 0;

  while (vector < device->n_vectors && (device->used & (1u << vector)))
    vector++;
  if (vector == device->n_vectors) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
        "All %u vectors of %s are taken by this process: give the device more "
        "(vectors=%u, also of the ivshmem server)", device->n_vectors,
        device->bdf, device->n_vectors + 1);
    return NULL;
  }
  guest = g_new0 (Guest, 1);
  guest->parent.klass = &guest_class;
  guest->parent.address = MMAP_DOORBELL_ADDRESS (device->id, vector);
  guest->parent.fd = device->eventfds[vector];
  guest->device = device;
  guest->vector = vector;
  device->used |= 1u << vector;
  device->users++;
  /* Of who had the vector before. */
  mmap_doorbell_read_eventfd (guest->parent.fd);
  return &guest->parent;
}

MmapDoorbell *
mmap_doorbell_open_pci_below (const char *devices_path, const char *vfio,
    const char *bdf, GError ** error)
{
  MmapDoorbell *doorbell = NULL;
  Device *device;

  g_mutex_lock (&devices_lock);
  device = find_device_locked (bdf);
  if (!device) {
    device = device_open (devices_path, vfio, bdf, error);
    if (device)
      devices = g_slist_prepend (devices, device);
  }
  if (device)
    doorbell = guest_new_locked (device, error);
  g_mutex_unlock (&devices_lock);
  return doorbell;
}
