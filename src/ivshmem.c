/* gst-mmap: shared memory of a virtual machine: the ivshmem PCI device, as its guest sees it
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Finds the device in sysfs and says which of its files to map. It needs no
 * driver. Called by whoever opens the memory, and by the tool; any thread.
 */
#include "ivshmem.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME "ivshmem"
#define PREFIX NAME ":"

/* What is read of each mapping, bytes. Uncached, 8 bytes take about half a microsecond: 2 ms a pass. */
#define PROBE_BYTES 32768
/* The best of some: the first one takes page faults. Untuned. */
#define PROBE_PASSES 4

/* Domains have 4 digits, those of some controllers' own buses 5 or more. */
#define BDF_PATTERN \
  "^([0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]\\z"

#define HOW_TO_ADD \
  "Give one to the guest: to QEMU with -object memory-backend-file,id=shm0," \
  "share=on,mem-path=/dev/shm/vm0,size=64M -device ivshmem-plain,memdev=shm0; " \
  "in libvirt's XML, among the devices, with <shmem name='vm0'><model " \
  "type='ivshmem-plain'/><size unit='M'>64</size></shmem>. On the host, name " \
  "the memory's file instead: /dev/shm/vm0"
#define HOW_TO_ALLOW \
  "run as root, or let a udev rule of the guest give it to a group, see " \
  "docs/vm.md"

static void
device_free (MmapIvshmemDevice * device)
{
  g_free (device->bdf);
  g_free (device->driver);
  g_free (device);
}

gboolean
mmap_ivshmem_is_name (const char *file)
{
  return strcmp (file, NAME) == 0 || g_str_has_prefix (file, PREFIX);
}

/* The number in a file of sysfs; -1 if there is no such file. */
static gint64
read_number (const char *directory, const char *name, guint base)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autofree char *text = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return -1;
  return g_ascii_strtoll (text, NULL, base);
}

static gboolean
is_ivshmem (const char *directory)
{
  return read_number (directory, "vendor", 16) == MMAP_IVSHMEM_VENDOR
      && read_number (directory, "device", 16) == MMAP_IVSHMEM_DEVICE;
}

/* Returns: the size of a file of the device, 0 if there is none. */
static guint64
get_size (const char *directory, const char *name)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  struct stat st;

  return stat (path, &st) == 0 && S_ISREG (st.st_mode) ? st.st_size : 0;
}

static char *
get_driver (const char *directory)
{
  g_autofree char *path = g_build_filename (directory, "driver", NULL);
  g_autofree char *target = g_file_read_link (path, NULL);

  return target ? g_path_get_basename (target) : NULL;
}

static MmapIvshmemDevice *
device_new (const char *directory, const char *bdf)
{
  MmapIvshmemDevice *device = g_new0 (MmapIvshmemDevice, 1);
  g_autofree char *bar = g_build_filename (directory, "resource2", NULL);

  device->bdf = g_strdup (bdf);
  device->driver = get_driver (directory);
  device->enabled = read_number (directory, "enable", 10) > 0;
  /* BAR 1 holds the table of interrupts. */
  device->doorbell = get_size (directory, "resource1") > 0;
  device->size = get_size (directory, "resource2");
  device->write_combining = get_size (directory, "resource2_wc") > 0;
  device->accessible = faccessat (AT_FDCWD, bar, R_OK | W_OK, AT_EACCESS) == 0;
  return device;
}

static gint
compare_devices (gconstpointer a, gconstpointer b)
{
  const MmapIvshmemDevice *left = *(MmapIvshmemDevice * const *) a;
  const MmapIvshmemDevice *right = *(MmapIvshmemDevice * const *) b;

  return strcmp (left->bdf, right->bdf);
}

GPtrArray *
mmap_ivshmem_list (const char *root, GError ** error)
{
  const char *top = root ? root : MMAP_IVSHMEM_DEVICES;
  g_autoptr (GError) why = NULL;
  g_autoptr (GDir) dir = g_dir_open (top, 0, &why);
  GPtrArray *devices;
  const char *name;

  if (!dir) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "There is no PCI bus to look for an ivshmem device on, or /sys is not "
        "mounted here: %s", why->message);
    return NULL;
  }
  devices = g_ptr_array_new_with_free_func ((GDestroyNotify) device_free);
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *directory = g_build_filename (top, name, NULL);

    if (is_ivshmem (directory))
      g_ptr_array_add (devices, device_new (directory, name));
  }
  g_ptr_array_sort (devices, compare_devices);
  return devices;
}

static char *
describe_all (const GPtrArray * devices)
{
  GString *text = g_string_new (NULL);
  guint i;

  for (i = 0; i < devices->len; i++) {
    const MmapIvshmemDevice *device = g_ptr_array_index (devices, i);

    g_string_append_printf (text, "%s" PREFIX "%s (%" G_GUINT64_FORMAT
        " bytes)", i > 0 ? ", " : "", device->bdf, device->size);
  }
  return g_string_free (text, FALSE);
}

static char *
find_only (const char *root, GError ** error)
{
  g_autoptr (GPtrArray) devices = mmap_ivshmem_list (root, error);
  g_autofree char *all = NULL;

  if (!devices)
    return NULL;
  if (devices->len == 1) {
    const MmapIvshmemDevice *device = g_ptr_array_index (devices, 0);

    return g_build_filename (root, device->bdf, NULL);
  }
  if (devices->len == 0) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "There is no ivshmem device (PCI 1af4:1110). " HOW_TO_ADD);
    return NULL;
  }
  all = describe_all (devices);
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
      "There are %u ivshmem devices: pick one of %s", devices->len, all);
  return NULL;
}

static char *
find_named (const char *root, const char *bdf, GError ** error)
{
  g_autoptr (GRegex) regex = g_regex_new (BDF_PATTERN, G_REGEX_CASELESS, 0,
      NULL);
  g_autofree char *lower = NULL;
  g_autofree char *full = NULL;
  g_autofree char *directory = NULL;

  if (!g_regex_match (regex, bdf, 0, NULL)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "'" PREFIX "%s' names no PCI device: expected domain, bus, device and "
        "function in hexadecimal, as lspci -D prints them: " PREFIX
        "0000:00:05.0", bdf);
    return NULL;
  }
  lower = g_ascii_strdown (bdf, -1);
  full = g_strconcat (strchr (bdf, ':') == strrchr (bdf, ':') ? "0000:" : "",
      lower, NULL);
  directory = g_build_filename (root, full, NULL);
  if (is_ivshmem (directory))
    return g_steal_pointer (&directory);
  if (g_file_test (directory, G_FILE_TEST_IS_DIR))
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "The PCI device %s is %04x:%04x, expected an ivshmem device, "
        "1af4:1110. gst-mmap doctor lists them", full,
        (guint) read_number (directory, "vendor", 16),
        (guint) read_number (directory, "device", 16));
  else
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "There is no PCI device %s. gst-mmap doctor lists the ivshmem devices "
        "there are", full);
  return NULL;
}

static void
set_enable_error (GError ** error, const char *directory, int errnum)
{
  g_autofree char *driver = get_driver (directory);
  g_autofree char *bdf = g_path_get_basename (directory);

  if (errnum == EACCES || errnum == EPERM)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_PERMISSION,
        "The ivshmem device %s is not enabled, and user %u may not do that: "
        HOW_TO_ALLOW, bdf, geteuid ());
  else if (errnum == EBUSY && driver)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "The ivshmem device %s is not enabled, and the driver %s has it: "
        "unbind it, as root: echo %s > %s/%s/driver/unbind", bdf, driver, bdf,
        MMAP_IVSHMEM_DEVICES, bdf);
  else
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errnum),
        "The ivshmem device %s can't be enabled: %s", bdf, g_strerror (errnum));
}

static gboolean
enable (const char *directory, GError ** error)
{
  g_autofree char *path = g_build_filename (directory, "enable", NULL);
  int fd, errnum = 0;

  if (read_number (directory, "enable", 10) > 0)
    return TRUE;
  fd = open (path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 || write (fd, "1", 1) != 1)
    errnum = errno;
  if (fd >= 0)
    close (fd);
  if (errnum == 0)
    return TRUE;
  set_enable_error (error, directory, errnum);
  return FALSE;
}

static void
set_open_error (GError ** error, const char *directory, int errnum)
{
  if (errnum == EACCES)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_PERMISSION,
        "%s/resource2 can't be opened by user %u: " HOW_TO_ALLOW, directory,
        geteuid ());
  else if (errnum == EPERM)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_PERMISSION,
        "%s/resource2 can't be opened: the kernel denies it to everybody, as "
        "it does when it is locked down (/sys/kernel/security/lockdown): boot "
        "the guest without Secure Boot", directory);
  else
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errnum),
        "%s/resource2 can't be opened: %s", directory, g_strerror (errnum));
}

static gint64
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

static void
read_once (const guint8 * memory, gsize size)
{
  gsize i;

  for (i = 0; i + sizeof (guint64) <= size; i += sizeof (guint64))
    (void) *(const volatile guint64 *) (memory + i);
}

/* Only one of the files is mapped at a time: the kernel gives a second mapping of the same memory the kind of the first.
 * Returns: nanoseconds that reading takes; G_MAXINT64, and an errno, if it can't be opened or mapped */
static gint64
measure (const char *directory, const char *name, int *errnum)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  gsize size = MIN (get_size (directory, name), PROBE_BYTES);
  gint64 begin, took, best = G_MAXINT64;
  int fd = open (path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  void *memory = MAP_FAILED;
  guint i;

  if (fd >= 0)
    memory = mmap (NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  *errnum = errno;
  if (fd >= 0)
    close (fd);
  if (memory == MAP_FAILED)
    return G_MAXINT64;
  *errnum = 0;
  for (i = 0; i < PROBE_PASSES; i++) {
    begin = now_ns ();
    read_once (memory, size);
    took = now_ns () - begin;
    best = MIN (best, took);
  }
  munmap (memory, size);
  return best;
}

/* Returns: the name of the file to map. */
static const char *
choose (const char *directory, GError ** error)
{
  int plain_errnum, combining_errnum = ENOENT;
  gint64 combining = G_MAXINT64;
  gint64 plain = measure (directory, "resource2", &plain_errnum);

  if (get_size (directory, "resource2_wc") > 0)
    combining = measure (directory, "resource2_wc", &combining_errnum);
  if (plain_errnum != 0 && combining_errnum != 0) {
    set_open_error (error, directory, plain_errnum);
    return NULL;
  }
  return combining < plain / 5 * 4 ? "resource2_wc" : "resource2";
}

char *
mmap_ivshmem_find_below (const char *root, const char *name, GError ** error)
{
  const char *top = root ? root : MMAP_IVSHMEM_DEVICES;
  g_autofree char *directory = NULL;
  const char *bar;

  directory = g_str_has_prefix (name, PREFIX) ?
      find_named (top, name + strlen (PREFIX), error) : find_only (top, error);
  if (!directory)
    return NULL;
  if (get_size (directory, "resource2") == 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "The ivshmem device %s has no memory (BAR 2): the host has given it "
        "none, or the guest's firmware found no room for its size in the "
        "address space", strrchr (directory, '/') + 1);
    return NULL;
  }
  if (!enable (directory, error))
    return NULL;
  bar = choose (directory, error);
  return bar ? g_build_filename (directory, bar, NULL) : NULL;
}

char *
mmap_ivshmem_find (const char *name, GError ** error)
{
  return mmap_ivshmem_find_below (NULL, name, error);
}
