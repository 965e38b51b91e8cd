/* gst-mmap doctor: is this machine set up as it should be?
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Looks at what elements need of the system, on a host and in a guest, and
 * names a cure for what isn't so. It changes nothing. One thread.
 */
#include "doctor.h"
#include "address.h"
#include "futex.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#if defined (__x86_64__) || defined (__i386__)
#include <cpuid.h>
#define CPUID_HYPERVISOR_BIT (1u << 31) /* of ECX of leaf 1 */
#define CPUID_HYPERVISOR_NAME 0x40000000
#endif

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define SHM "/dev/shm"
#define MIB (1 << 20)
/* A container's default. Ten frames of 1080p in I420 are 30 MiB. */
#define SHM_FEW_BYTES (G_GUINT64_CONSTANT (64) * MIB)

static void
say (const char *mark, const char *what, const char *format, va_list args)
G_GNUC_PRINTF (3, 0);

     static void
         say (const char *mark, const char *what, const char *format,
    va_list args)
{
  g_autofree char *text = g_strdup_vprintf (format, args);
  g_autofree char *safe = tool_escape (text);

  printf ("%-7s%-15s%s\n", mark, what, safe);
}

void
doctor_ok (Doctor * doctor, const char *what, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  say ("ok", what, format, args);
  va_end (args);
}

void
doctor_note (Doctor * doctor, const char *what, const char *cure,
    const char *format, ...)
{
  va_list args;

  va_start (args, format);
  say ("note", what, format, args);
  va_end (args);
  if (cure)
    printf ("%-22s-> %s\n", "", cure);
}

void
doctor_wrong (Doctor * doctor, const char *what, const char *cure,
    const char *format, ...)
{
  va_list args;

  va_start (args, format);
  say ("WRONG", what, format, args);
  va_end (args);
  if (cure)
    printf ("%-22s-> %s\n", "", cure);
  doctor->wrong = TRUE;
}

static void
look_at_shm (Doctor * doctor)
{
  struct statvfs fs;
  guint64 size, available;

  if (statvfs (SHM, &fs) < 0) {
    doctor_wrong (doctor, SHM, "mount -t tmpfs -o mode=1777 tmpfs " SHM,
        "can't be looked at: %s", g_strerror (errno));
    return;
  }
  size = (guint64) fs.f_blocks * fs.f_frsize;
  available = (guint64) fs.f_bavail * fs.f_frsize;
  if (access (SHM, W_OK | X_OK) < 0)
    doctor_wrong (doctor, SHM, "chmod 1777 " SHM,
        "user %u can make no files there: %s", geteuid (), g_strerror (errno));
  else if (available < MIB)
    doctor_wrong (doctor, SHM,
        "gst-mmap list shows what lies there, gst-mmap clean removes what is "
        "dead; mount -o remount,size=1G " SHM " makes it larger",
        "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " bytes are free",
        available, size);
  else if (available < SHM_FEW_BYTES)
    doctor_note (doctor, SHM,
        "mount -o remount,size=1G " SHM ", or for a container --shm-size=1g",
        "only %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " MiB are free: "
        "few frames of large video", available / MIB, size / MIB);
  else
    doctor_ok (doctor, SHM, "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
        " MiB are free", available / MIB, size / MIB);
}

/* A sealed memfd of a page, as a producer makes them. */
static void
look_at_memfd (Doctor * doctor)
{
  gsize page = sysconf (_SC_PAGESIZE);
  int fd = memfd_create ("gst-mmap-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  gboolean populates = FALSE;
  void *memory = MAP_FAILED;

  if (fd < 0 || ftruncate (fd, page) < 0
      || fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW
          | F_SEAL_FUTURE_WRITE) < 0) {
    doctor_wrong (doctor, "memfd", "Linux 5.1 or newer; in a container, "
        "a seccomp profile that allows memfd_create and fcntl",
        "memory can't be sealed: %s", g_strerror (errno));
  } else {
    memory = mmap (NULL, page, PROT_READ, MAP_SHARED, fd, 0);
    populates = memory != MAP_FAILED
        && madvise (memory, page, MADV_POPULATE_READ) == 0;
    doctor_ok (doctor, "memfd", "memory can be sealed against shrinking, "
        "growing and others' writes");
    if (!populates)
      doctor_note (doctor, "kernel", "Linux 5.14 or newer",
          "memory can't be populated in advance: the first frames of a region "
          "take page faults");
  }
  if (memory != MAP_FAILED)
    munmap (memory, page);
  if (fd >= 0)
    close (fd);
}

static void
look_at_kernel (Doctor * doctor)
{
  guint32 word = 0;

  if (mmap_futex_is_usable (&word))
    doctor_ok (doctor, "kernel", "it has what is used of Linux 5.16");
  else
    doctor_note (doctor, "kernel", "Linux 5.16 or newer; in a container, a "
        "seccomp profile that allows futex_waitv",
        "no futex_waitv: nobody is woken, who waits looks each millisecond");
}

/* First line of a small file; an empty text if it can't be read. */
static char *
read_line (const char *path)
{
  char *text = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return g_strdup ("");
  text[strcspn (text, "\n")] = '\0';
  return text;
}

/* Returns: (transfer full): what the hypervisor calls itself; empty if there is none, or nobody knows */
static char *
get_hypervisor (void)
{
#ifdef CPUID_HYPERVISOR_BIT
  guint32 words[4] = { 0, }, unused;

  if (__get_cpuid (1, &unused, &unused, &words[0], &unused)
      && (words[0] & CPUID_HYPERVISOR_BIT) != 0) {
    __cpuid (CPUID_HYPERVISOR_NAME, unused, words[0], words[1], words[2]);
    words[3] = 0;
    return g_strndup ((const char *) words, sizeof words);
  }
#endif
  return g_strdup ("");
}

static void
look_at_cpus (Doctor * doctor)
{
  /* Also those that could be plugged: QEMU prepares for them from the start. */
  g_autofree char *possible = read_line ("/sys/devices/system/cpu/possible");
  g_autofree char *hypervisor = get_hypervisor ();
  gboolean tcg = strcmp (hypervisor, "TCGTCGTCGTCG") == 0;

  if (tcg && strcmp (possible, "0") == 0)
    doctor_wrong (doctor, "cpus", "start QEMU with -smp 2 or -smp 1,maxcpus=2, "
        "and -accel tcg,thread=multi; or with -accel kvm",
        "QEMU emulates one processor without KVM: then what this guest does "
        "in one step isn't that for other processes, and links break");
  else if (tcg)
    doctor_note (doctor, "cpus", "-accel kvm, where the host can",
        "QEMU emulates them, %s: correct, but slow. It must not run with "
        "thread=single, which can't be seen from here", possible);
  else
    doctor_ok (doctor, "cpus", "%s%s%s", possible,
        hypervisor[0] ? ", in a guest of " : "", hypervisor);
}

static void
look_at_clock (Doctor * doctor)
{
  g_autofree char *source = read_line ("/sys/devices/system/clocksource/"
      "clocksource0/current_clocksource");

  /* A device each time, and a way out of the guest. */
  if (strcmp (source, "hpet") == 0 || strcmp (source, "acpi_pm") == 0
      || strcmp (source, "refined-jiffies") == 0
      || strcmp (source, "jiffies") == 0)
    doctor_note (doctor, "clock", "boot with clocksource=tsc tsc=reliable, if "
        "the processor's counter can be trusted; a KVM guest should have "
        "kvm-clock", "source %s: each look at it takes a microsecond or more",
        source);
  else
    doctor_ok (doctor, "clock", "source %s", source[0] ? source : "unknown");
}

static void
look_at_runtime_directory (Doctor * doctor)
{
  g_autofree char *address = NULL;
  g_autoptr (GError) error = NULL;
  const char *runtime = g_getenv ("XDG_RUNTIME_DIR");

  address = mmap_address_get_default (FALSE, &error);
  if (address && runtime && g_path_is_absolute (runtime)
      && access (runtime, W_OK | X_OK) < 0)
    doctor_wrong (doctor, "socket", "unset XDG_RUNTIME_DIR, or make that "
        "directory with mode 0700", "XDG_RUNTIME_DIR is %s: %s", runtime,
        g_strerror (errno));
  else if (!address)
    doctor_wrong (doctor, "socket", NULL, "%s", error->message);
  else if (!runtime)
    doctor_note (doctor, "socket", "export XDG_RUNTIME_DIR=/run/user/$(id -u); "
        "both sides need the same", "XDG_RUNTIME_DIR is not set: the default "
        "socket is %s", address);
  else
    doctor_ok (doctor, "socket", "the default is %s", address);
}

static void
look_at_vsock (Doctor * doctor)
{
  int fd = socket (AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int device = open ("/dev/vsock", O_RDONLY | O_CLOEXEC);
  guint cid = VMADDR_CID_ANY;

  if (device >= 0)
    ioctl (device, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid);
  if (fd < 0)
    doctor_note (doctor, "vsock", "modprobe vsock, in a guest "
        "vmw_vsock_virtio_transport; only address=vsock:... needs it",
        "this kernel has none: %s", g_strerror (errno));
  else if (cid != VMADDR_CID_ANY && cid > VMADDR_CID_HOST)
    doctor_ok (doctor, "vsock", "this is CID %u", cid);
  else if (access ("/dev/vhost-vsock", F_OK) == 0)
    doctor_ok (doctor, "vsock", "this is a host, CID %u, and guests can have "
        "vsock devices", VMADDR_CID_HOST);
  else
    doctor_note (doctor, "vsock", "on a host modprobe vhost_vsock; to a guest "
        "give -device vhost-vsock-pci,guest-cid=3; only address=vsock:... "
        "needs it", "there is no way to another machine");
  if (device >= 0)
    close (device);
  if (fd >= 0)
    close (fd);
}

ToolStatus
tool_doctor (int argc, char **argv)
{
  const GOptionEntry options[] = {
    {NULL}
  };
  g_autofree char *file = NULL;
  Doctor doctor = { 0, };

  if (!tool_parse (argc, argv, options, "[FILE]",
          "Looks at what the elements need of this machine, host or guest, "
          "and says what to do\nabout what isn't so. FILE is what the file "
          "property would be: a path, ivshmem or\nivshmem:0000:00:05.0. "
          "Changes nothing.", &file))
    return TOOL_USAGE;
  look_at_shm (&doctor);
  look_at_memfd (&doctor);
  look_at_kernel (&doctor);
  look_at_cpus (&doctor);
  look_at_clock (&doctor);
  look_at_runtime_directory (&doctor);
  look_at_vsock (&doctor);
  doctor_look_at_devices (&doctor);
  if (file)
    doctor_look_at_file (&doctor, file);
  return doctor.wrong ? TOOL_REFUSED : TOOL_ACCEPTED;
}
