/* gst-mmap: tests of the search for an ivshmem device
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * In a directory that looks like sysfs. The real thing is for tests/vm. Run by `meson test`, as root: what another user may not do is
 * tried as that user.
 */
#include "error.h"
#include "ivshmem.h"
#include "leak-check.h"
#include "system-faults.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NOBODY 65534
#define BAR_BYTES 65536

/* The tree, as /sys/bus/pci/devices is one. */
static char *root;

static char *
in_device (const char *bdf, const char *name)
{
  return g_build_filename (root, bdf, name, NULL);
}

static void
put (const char *bdf, const char *name, const char *text)
{
  g_autofree char *path = in_device (bdf, name);
  GError *error = NULL;

  g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_NONE, 0644,
      &error);
  g_assert_no_error (error);
}

static void
put_bar (const char *bdf, const char *name, guint64 size)
{
  g_autofree char *path = in_device (bdf, name);

  put (bdf, name, "");
  g_assert_cmpint (truncate (path, size), ==, 0);
  g_assert_cmpint (g_chmod (path, 0600), ==, 0);
}

static void
add (const char *bdf, const char *vendor, const char *device)
{
  g_autofree char *directory = g_build_filename (root, bdf, NULL);

  g_assert_cmpint (g_mkdir (directory, 0755), ==, 0);
  put (bdf, "vendor", vendor);
  put (bdf, "device", device);
  put (bdf, "enable", "1\n");
}

static void
add_ivshmem (const char *bdf)
{
  add (bdf, "0x1af4\n", "0x1110\n");
  put_bar (bdf, "resource2", BAR_BYTES);
  put_bar (bdf, "resource2_wc", BAR_BYTES);
}

static void
begin (void)
{
  g_assert_cmpint (g_mkdir (root, 0755), ==, 0);
  /* Among others, as on any bus. */
  add ("0000:00:00.0", "0x8086\n", "0x29c0\n");
  add ("0000:00:03.0", "0x1af4\n", "0x1009\n");
}

static void
end (void)
{
  g_autofree char *command = g_strdup_printf ("rm -r '%s'", root);

  g_assert_cmpint (system (command), ==, 0);
}

int __real_clock_gettime (clockid_t id, struct timespec *now);
int __wrap_clock_gettime (clockid_t id, struct timespec *now);

/* How long the first file takes to be read, and the second; 0: as long as they do. Each is measured a few times, first with what is new to
 * the process. */
static gint64 reading_ns[2];
static guint n_looks;

int
__wrap_clock_gettime (clockid_t id, struct timespec *now)
{
  int result = __real_clock_gettime (id, now);
  guint pass = n_looks / 2 % 4;
  gint64 ns = reading_ns[n_looks / 8 % 2] + (pass == 2 ? 0 : 1000000);

  if (reading_ns[0] == 0)
    return result;
  now->tv_sec = 1;
  now->tv_nsec = n_looks++ % 2 ? ns : 0;
  return 0;
}

/* One of the two files: which of them reads faster here is chance. */
static void
check_found (const char *name, const char *bdf)
{
  g_autofree char *plain = in_device (bdf, "resource2");
  g_autofree char *combining = in_device (bdf, "resource2_wc");
  GError *error = NULL;
  g_autofree char *path = mmap_ivshmem_find_below (root, name, &error);

  g_assert_no_error (error);
  g_assert_true (g_str_equal (path, plain) || g_str_equal (path, combining));
}

static void
check_error (const char *name, MmapError code, ...)
{
  GError *error = NULL;
  const char *word;
  va_list words;

  g_assert_null (mmap_ivshmem_find_below (root, name, &error));
  g_assert_error (error, MMAP_ERROR, (gint) code);
  va_start (words, code);
  while ((word = va_arg (words, const char *)) != NULL)
      g_assert_nonnull (strstr (error->message, word));
  va_end (words);
  g_error_free (error);
}

static void
test_names (void)
{
  g_assert_true (mmap_ivshmem_is_name ("ivshmem"));
  g_assert_true (mmap_ivshmem_is_name ("ivshmem:"));
  g_assert_true (mmap_ivshmem_is_name ("ivshmem:0000:00:05.0"));
  g_assert_false (mmap_ivshmem_is_name ("./ivshmem"));
  g_assert_false (mmap_ivshmem_is_name ("ivshmem0"));
  g_assert_false (mmap_ivshmem_is_name ("ivshmem-doorbell:/run/bell"));
  g_assert_false (mmap_ivshmem_is_name ("/dev/shm/ivshmem:0000:00:05.0"));
  g_assert_false (mmap_ivshmem_is_name (""));
}

static void
test_only (void)
{
  begin ();
  add_ivshmem ("0000:00:05.0");
  check_found ("ivshmem", "0000:00:05.0");
  check_found ("ivshmem:0000:00:05.0", "0000:00:05.0");
  check_found ("ivshmem:00:05.0", "0000:00:05.0");
  end ();
}

static void
test_none (void)
{
  begin ();
  check_error ("ivshmem", MMAP_ERROR_FILE, "1af4:1110", "-device ivshmem-plain",
      "memory-backend-file", "<shmem", "On the host", NULL);
  end ();
  check_error ("ivshmem", MMAP_ERROR_FILE, "no PCI bus", "/sys", NULL);
}

static void
test_several (void)
{
  begin ();
  add_ivshmem ("0000:00:06.0");
  add_ivshmem ("0000:00:05.0");
  add_ivshmem ("10000:af:1f.7");
  check_error ("ivshmem", MMAP_ERROR_SETTING, "3 ivshmem devices",
      "ivshmem:0000:00:05.0 (65536 bytes), ivshmem:0000:00:06.0",
      "ivshmem:10000:af:1f.7", "pick one", NULL);
  check_found ("ivshmem:0000:00:06.0", "0000:00:06.0");
  check_found ("ivshmem:10000:AF:1F.7", "10000:af:1f.7");
  end ();
}

static void
test_malformed (void)
{
  static const char *const names[] = {
    "ivshmem:", "ivshmem:5", "ivshmem:0000:00:05", "ivshmem:0000:00:05.8",
    "ivshmem:0000:00:05.0/", "ivshmem:../0000:00:05.0", "ivshmem:00:25.0",
    "ivshmem: 0000:00:05.0", "ivshmem:0000:00:05.0\n", "ivshmem:000:00:05.0",
    "ivshmem:0000:00:05.0:0000:00:05.0", "ivshmem:00.05.0", "ivshmem::00:05.0",
    "ivshmem:/dev/shm/vm0", "ivshmem:0000:00:0g.0",
  };
  guint i;

  begin ();
  add_ivshmem ("0000:00:05.0");
  for (i = 0; i < G_N_ELEMENTS (names); i++)
    check_error (names[i], MMAP_ERROR_SETTING, "names no PCI device",
        "ivshmem:0000:00:05.0", NULL);
  end ();
}

static void
test_others (void)
{
  begin ();
  add_ivshmem ("0000:00:05.0");
  check_error ("ivshmem:0000:00:03.0", MMAP_ERROR_FILE, "1af4:1009",
      "1af4:1110", "doctor", NULL);
  check_error ("ivshmem:0000:00:07.0", MMAP_ERROR_FILE, "no PCI device",
      "doctor", NULL);
  end ();
}

static void
test_no_memory (void)
{
  g_autofree char *bar = NULL;

  begin ();
  add ("0000:00:05.0", "0x1af4\n", "0x1110\n");
  check_error ("ivshmem", MMAP_ERROR_FILE, "0000:00:05.0", "no memory", "BAR 2",
      NULL);
  put_bar ("0000:00:05.0", "resource2", 0);
  check_error ("ivshmem", MMAP_ERROR_FILE, "no memory", NULL);
  put_bar ("0000:00:05.0", "resource2", BAR_BYTES);
  bar = in_device ("0000:00:05.0", "resource2");
  g_assert_cmpint (g_remove (bar), ==, 0);
  g_assert_cmpint (symlink ("/dev/zero", bar), ==, 0);
  check_error ("ivshmem", MMAP_ERROR_FILE, "no memory", NULL);
  end ();
}

static void
check_chosen (gint64 plain_ns, gint64 combining_ns, const char *name)
{
  g_autofree char *expected = in_device ("0000:00:05.0", name);
  g_autofree char *path = NULL;
  GError *error = NULL;

  n_looks = 0;
  reading_ns[0] = plain_ns;
  reading_ns[1] = combining_ns;
  path = mmap_ivshmem_find_below (root, "ivshmem", &error);
  reading_ns[0] = 0;
  g_assert_no_error (error);
  g_assert_cmpstr (path, ==, expected);
  g_assert_cmpuint (n_looks, ==, 16);
}

static void
test_faster (void)
{
  begin ();
  add_ivshmem ("0000:00:05.0");
  check_chosen (1000, 1000, "resource2");
  check_chosen (500000, 1000, "resource2_wc");
  check_chosen (1000, 500000, "resource2");
  check_chosen (1000, 2000, "resource2");
  check_chosen (1000, 900, "resource2");
  check_chosen (1000, 500, "resource2_wc");
  end ();
}

static void
test_without_combining (void)
{
  g_autofree char *combining = NULL;

  begin ();
  add_ivshmem ("0000:00:05.0");
  combining = in_device ("0000:00:05.0", "resource2_wc");
  g_assert_cmpint (g_remove (combining), ==, 0);
  check_found ("ivshmem", "0000:00:05.0");
  end ();
}

static void
test_enables (void)
{
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;

  begin ();
  add_ivshmem ("0000:00:05.0");
  put ("0000:00:05.0", "enable", "0\n");
  check_found ("ivshmem", "0000:00:05.0");
  path = in_device ("0000:00:05.0", "enable");
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_true (g_str_has_prefix (text, "1"));
  end ();
}

static void
as_nobody (gconstpointer data)
{
  g_assert_cmpint (setgid (NOBODY), ==, 0);
  g_assert_cmpint (setuid (NOBODY), ==, 0);
  check_error ("ivshmem", MMAP_ERROR_PERMISSION, data, "user 65534", "root",
      "udev rule", "docs/vm.md", NULL);
}

static void
one_as_nobody (gconstpointer data)
{
  g_assert_cmpint (setgid (NOBODY), ==, 0);
  g_assert_cmpint (setuid (NOBODY), ==, 0);
  check_found ("ivshmem", "0000:00:05.0");
}

static void
test_permissions (void)
{
  g_autofree char *plain = NULL;

  begin ();
  add_ivshmem ("0000:00:05.0");
  run_in_child (as_nobody, "resource2");
  put ("0000:00:05.0", "enable", "0\n");
  run_in_child (as_nobody, "not enabled");
  /* What a udev rule does; one of the two files is enough. */
  put ("0000:00:05.0", "enable", "1\n");
  plain = in_device ("0000:00:05.0", "resource2");
  g_assert_cmpint (chown (plain, NOBODY, NOBODY), ==, 0);
  run_in_child (one_as_nobody, NULL);
  end ();
}

static void
with_driver (gconstpointer data)
{
  fail_system_call (__NR_write, 0, 0, EBUSY);
  check_error ("ivshmem", MMAP_ERROR_FILE, "vfio-pci has it", "unbind", NULL);
}

static void
locked_down (gconstpointer data)
{
  /* For reading and writing: what only reads goes on. */
  fail_system_call (__NR_openat, 2, O_RDWR, EPERM);
  check_error ("ivshmem", MMAP_ERROR_PERMISSION, "locked down", "Secure Boot",
      NULL);
}

static void
out_of_memory (gconstpointer data)
{
  fail_system_call (__NR_mmap, 3, MAP_SHARED, ENOMEM);
  check_error ("ivshmem", MMAP_ERROR_NO_RESOURCES, "resource2", NULL);
}

static void
test_refused (void)
{
  g_autofree char *driver = NULL;

  begin ();
  add_ivshmem ("0000:00:05.0");
  run_in_child (locked_down, NULL);
  run_in_child (out_of_memory, NULL);
  put ("0000:00:05.0", "enable", "0\n");
  driver = in_device ("0000:00:05.0", "driver");
  g_assert_cmpint (symlink ("../../../bus/pci/drivers/vfio-pci", driver), ==,
      0);
  run_in_child (with_driver, NULL);
  end ();
}

static void
test_list (void)
{
  const MmapIvshmemDevice *device;
  g_autoptr (GPtrArray) devices = NULL;
  g_autofree char *driver = NULL;

  begin ();
  add_ivshmem ("0000:00:06.0");
  add ("0000:00:05.0", "0x1af4\n", "0x1110\n");
  put_bar ("0000:00:06.0", "resource1", 4096);
  driver = in_device ("0000:00:06.0", "driver");
  g_assert_cmpint (symlink ("../drivers/uio", driver), ==, 0);
  devices = mmap_ivshmem_list (root, NULL);
  g_assert_cmpuint (devices->len, ==, 2);
  device = g_ptr_array_index (devices, 0);
  g_assert_cmpstr (device->bdf, ==, "0000:00:05.0");
  g_assert_cmpuint (device->size, ==, 0);
  g_assert_null (device->driver);
  g_assert_false (device->accessible);
  g_assert_false (device->doorbell);
  device = g_ptr_array_index (devices, 1);
  g_assert_cmpstr (device->bdf, ==, "0000:00:06.0");
  g_assert_cmpstr (device->driver, ==, "uio");
  g_assert_cmpuint (device->size, ==, BAR_BYTES);
  g_assert_true (device->enabled);
  g_assert_true (device->accessible);
  g_assert_true (device->doorbell);
  g_assert_true (device->write_combining);
  end ();
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  root = leak_check_path ("devices");
  leak_check_add_test ("/ivshmem/names", test_names);
  leak_check_add_test ("/ivshmem/only", test_only);
  leak_check_add_test ("/ivshmem/none", test_none);
  leak_check_add_test ("/ivshmem/several", test_several);
  leak_check_add_test ("/ivshmem/malformed", test_malformed);
  leak_check_add_test ("/ivshmem/others", test_others);
  leak_check_add_test ("/ivshmem/no-memory", test_no_memory);
  leak_check_add_test ("/ivshmem/faster", test_faster);
  leak_check_add_test ("/ivshmem/without-combining", test_without_combining);
  leak_check_add_test ("/ivshmem/enables", test_enables);
  leak_check_add_test ("/ivshmem/permissions", test_permissions);
  leak_check_add_test ("/ivshmem/refused", test_refused);
  leak_check_add_test ("/ivshmem/list", test_list);
  result = g_test_run ();
  g_free (root);
  return result;
}
