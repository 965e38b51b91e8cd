/* gst-mmap doctor: the memory that a file property names
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Looks at ivshmem devices and at files, and at how their memory begins. It
 * only reads, but a device that isn't enabled is. One thread.
 */
#include "area-channel.h"
#include "doctor.h"
#include "ivshmem.h"
#include "path.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void
doctor_look_at_devices (Doctor * doctor)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) devices = mmap_ivshmem_list (NULL, &error);
  guint i;

  if (!devices || devices->len == 0) {
    doctor_note (doctor, "ivshmem", "in a guest that should have one: "
        "docs/vm.md says what to give to QEMU or libvirt", "no device");
    return;
  }
  for (i = 0; i < devices->len; i++) {
    const MmapIvshmemDevice *device = g_ptr_array_index (devices, i);

    if (device->size == 0)
      doctor_wrong (doctor, "ivshmem", "less memory, or on the host "
          "-global q35-pcihost.pci-hole64-size=64G",
          "%s has no memory (BAR 2): the firmware found no room for it",
          device->bdf);
    else if (!device->accessible)
      doctor_wrong (doctor, "ivshmem", "run as root, or let a udev rule give "
          "it to a group, see docs/vm.md", "%s, %" G_GUINT64_FORMAT
          " bytes, can't be opened by user %u", device->bdf, device->size,
          geteuid ());
    else
      doctor_ok (doctor, "ivshmem", "%s, %s, %" G_GUINT64_FORMAT " bytes%s%s%s",
          device->bdf, device->doorbell ? "doorbell" : "plain", device->size,
          device->write_combining ? ", write-combining" : "",
          device->driver ? ", driver " : "",
          device->driver ? device->driver : "");
  }
}

static void
say_channel (Doctor * doctor, const MmapChannelInfo * info, gboolean beats)
{
  if (!beats) {
    doctor_note (doctor, "channel", "nothing, if nobody needs it: the next "
        "producer has its place", "%s: its producer, pid %u, has shown no sign "
        "of life for a second: dead, stopped, or in a guest that is paused",
        info->name, info->peer.pid);
    return;
  }
  doctor_ok (doctor, "channel", "%s: its producer, pid %u%s, lives",
      info->name, info->peer.pid,
      mmap_area_peer_is_near (&info->peer) ? "" : " of another machine");
}

/* Each producer adds to its heartbeat as long as it lives: this takes up to a second. */
static void
look_at_channels (Doctor * doctor, const MmapArea * area)
{
  MmapChannelInfo first[MMAP_AREA_CHANNELS], now;
  gboolean beats[MMAP_AREA_CHANNELS] = { FALSE, };
  guint i, waited_us, n_silent = 0, n = 0;

  for (i = 0; i < MMAP_AREA_CHANNELS; i++) {
    mmap_channel_read (area, i, &first[i]);
    if (first[i].owner != 0)
      n_silent++;
  }
  n = n_silent;
  for (waited_us = 0; n_silent > 0 && waited_us < MMAP_AREA_DEAD_US;
      waited_us += MMAP_AREA_BEAT_US) {
    g_usleep (MMAP_AREA_BEAT_US);
    for (i = 0; i < MMAP_AREA_CHANNELS; i++) {
      mmap_channel_read (area, i, &now);
      if (first[i].owner != 0 && !beats[i]
          && now.heartbeat != first[i].heartbeat) {
        beats[i] = TRUE;
        n_silent--;
      }
    }
  }
  doctor_ok (doctor, "content", "an area of %u channels, %u in use",
      MMAP_AREA_CHANNELS, n);
  for (i = 0; i < MMAP_AREA_CHANNELS; i++)
    if (first[i].owner != 0)
      say_channel (doctor, &first[i], beats[i]);
}

static gboolean
starts_with_zeros (int fd, guint64 size)
{
  static const guint8 zeros[MMAP_PAGE_BYTES];
  void *base = mmap (NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  gboolean result;

  if (base == MAP_FAILED)
    return FALSE;
  result = memcmp (base, zeros, sizeof zeros) == 0;
  munmap (base, size);
  return result;
}

static void
look_at_content (Doctor * doctor, const char *path, int fd, guint64 size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (MmapArea) area = NULL;
  MmapRegionHeader header;
  MmapUsers *users;

  if (starts_with_zeros (fd, size)) {
    doctor_ok (doctor, "content", "zeros: nobody has used it yet");
    return;
  }
  if (mmap_region_read_header (fd, &header, NULL)) {
    doctor_note (doctor, "content", "gst-mmap inspect shows it",
        "a region of a producer with socket-path");
    return;
  }
  users = mmap_users_new (NULL, NULL);
  area = mmap_area_open_existing (path, users, &error);
  mmap_users_free (users);
  if (area)
    look_at_channels (doctor, area);
  else
    doctor_wrong (doctor, "content", NULL, "%s", error->message);
}

static void
look_at_opened (Doctor * doctor, const char *path, int fd)
{
  struct stat st;

  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode)) {
    doctor_wrong (doctor, "file", NULL, "%s is no regular file", path);
    return;
  }
  if (st.st_size < MMAP_PAGE_BYTES) {
    doctor_wrong (doctor, "file", st.st_size == 0 ?
        "a producer makes it larger, or QEMU, or truncate -s 64M" :
        "choose another file: this one is something else's",
        "%s has %" G_GUINT64_FORMAT " bytes", path, (guint64) st.st_size);
    return;
  }
  doctor_ok (doctor, "file", "%s, %" G_GUINT64_FORMAT " bytes, user %u, mode "
      "%04o", path, (guint64) st.st_size, (guint) st.st_uid,
      (guint) st.st_mode & 07777);
  if (st.st_size & (st.st_size - 1))
    doctor_note (doctor, "size", "truncate -s 64M before QEMU starts, if it is "
        "to be a guest's", "no power of two: as the memory of an ivshmem "
        "device QEMU refuses it");
  look_at_content (doctor, path, fd, st.st_size);
}

static gboolean
has_directory (const char *path)
{
  g_autofree char *directory = g_path_get_dirname (path);

  return g_file_test (directory, G_FILE_TEST_IS_DIR);
}

void
doctor_look_at_file (Doctor * doctor, const char *file)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;
  int fd;

  if (mmap_ivshmem_is_name (file))
    path = mmap_ivshmem_find (file, &error);
  else if (mmap_path_check (file, &error))
    path = g_strdup (file);
  if (!path) {
    doctor_wrong (doctor, "file", NULL, "%s", error->message);
    return;
  }
  fd = open (path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd >= 0)
    look_at_opened (doctor, path, fd);
  else if (errno == ENOENT && !has_directory (path))
    doctor_wrong (doctor, "file", "create it, or choose another file",
        "there is no directory for %s", path);
  else if (errno == ENOENT)
    doctor_note (doctor, "file", "start the producer, or QEMU",
        "%s isn't there: mmapsink makes it, mmapsrc waits for it", path);
  else
    doctor_wrong (doctor, "file", errno == EACCES ?
        "chown or chgrp it on the host, or run as its owner" : NULL,
        "%s can't be opened for reading and writing by user %u: %s", path,
        geteuid (), g_strerror (errno));
  if (fd >= 0)
    close (fd);
}
