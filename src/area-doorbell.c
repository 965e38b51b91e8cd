/* gst-mmap: memory with doorbells
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * On the host "ivshmem-doorbell:SOCKET" names an ivshmem server. In a guest "ivshmem" and "ivshmem:BDF" name a device, which has doorbells
 * if it is bound to vfio-pci. Called by whoever opens an area.
 */
#include "area-private.h"

#include "error.h"
#include "ivshmem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SERVER_PREFIX "ivshmem-doorbell:"
/* Not for users. */
#define DEVICE_PREFIX "ivshmem-vfio:"

/* @name: "ivshmem" or "ivshmem:BDF", where the domain may be left out */
static gboolean
means (const char *name, const char *bdf)
{
  const char *wanted = strchr (name, ':');

  return !wanted || strcmp (wanted + 1, bdf) == 0
      || (g_str_has_prefix (bdf, "0000:")
      && strcmp (wanted + 1, bdf + strlen ("0000:")) == 0);
}

/* The device, if there is one only, and its interrupts can be had. */
static char *
find_device (const char *name)
{
  g_autoptr (GPtrArray) devices = mmap_ivshmem_list (NULL, NULL);
  const MmapIvshmemDevice *found = NULL;
  guint i;

  for (i = 0; devices && i < devices->len; i++) {
    const MmapIvshmemDevice *device = g_ptr_array_index (devices, i);

    if (!means (name, device->bdf))
      continue;
    if (found)
      return NULL;
    found = device;
  }
  return found && found->doorbell && g_strcmp0 (found->driver, "vfio-pci") == 0
      ? g_strconcat (DEVICE_PREFIX, found->bdf, NULL) : NULL;
}

char *
mmap_area_resolve_doorbell (const char *file)
{
  g_autofree char *socket = NULL;

  if (mmap_ivshmem_is_name (file))
    return find_device (file);
  if (!g_str_has_prefix (file, SERVER_PREFIX))
    return NULL;
  file += strlen (SERVER_PREFIX);
  /* An abstract one has no directory. */
  socket = file[0] == '@' ? g_strdup (file) :
      g_canonicalize_filename (file, NULL);
  return g_strconcat (SERVER_PREFIX, socket, NULL);
}

gboolean
mmap_area_has_doorbell (const char *path)
{
  return g_str_has_prefix (path, SERVER_PREFIX)
      || g_str_has_prefix (path, DEVICE_PREFIX);
}

static MmapArea *
map_device (MmapDoorbell * doorbell, const char *path, GError ** error)
{
  guint64 offset, size;
  int fd;

  mmap_doorbell_get_memory (doorbell, &fd, &offset, &size);
  fd = fcntl (fd, F_DUPFD_CLOEXEC, 0);
  if (fd >= 0)
    return mmap_area_map (fd, path, offset, size, error);
  g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno), "%s: %s",
      path, g_strerror (errno));
  return NULL;
}

/* @fd: (transfer full) */
static MmapArea *
map_server (int fd, const char *path, GError ** error)
{
  struct stat st;

  if (fstat (fd, &st) == 0)
    return mmap_area_map (fd, path, 0, st.st_size, error);
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE, "%s: %s", path,
      g_strerror (errno));
  close (fd);
  return NULL;
}

MmapArea *
mmap_area_open_doorbell (const char *path, GError ** error)
{
  MmapDoorbell *doorbell;
  MmapArea *area;
  int fd;

  if (g_str_has_prefix (path, SERVER_PREFIX)) {
    doorbell = mmap_doorbell_connect (path + strlen (SERVER_PREFIX), &fd,
        error);
    area = doorbell ? map_server (fd, path, error) : NULL;
  } else {
    doorbell = mmap_doorbell_open_pci (path + strlen (DEVICE_PREFIX), error);
    area = doorbell ? map_device (doorbell, path, error) : NULL;
  }
  if (area)
    area->doorbell = doorbell;
  else
    mmap_doorbell_free (doorbell);
  return area;
}

guint32
mmap_area_get_doorbell_address (const MmapArea * area)
{
  return area->doorbell ? mmap_doorbell_get_address (area->doorbell) :
      MMAP_DOORBELL_NONE;
}
