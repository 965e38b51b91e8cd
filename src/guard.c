/* gst-mmap: mapped files that others may cut short
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Guards come and go with the regions of files, from any thread. What a thread does when it has touched memory that is gone runs in a
 * signal handler, in the middle of anything: it takes no lock, allocates nothing, and makes system calls only.
 *
 * Pixels are read and written by elements that know nothing of files, so nothing but a signal handler can be there in time. To copy each
 * frame with pread(2) would give up what this is for; a lease (fcntl(2)) isn't to be had on a file that is open for writing, and
 * inotify(7) tells afterwards.
 */
#include "guard.h"

#include "atomics.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

struct _MmapAlarm
{
  gint ref_count;               /* atomic */
  gint rung;                    /* atomic */
  int fd;                       /* eventfd */
};

/* The handler believes what it finds between two equal, even serials. An entry that it needs doesn't change: who touches the memory keeps
 * the guard. */
struct _MmapGuard
{
  guint serial;                 /* atomic: odd while the next three are being changed */
  guintptr start;               /* atomic: 0: the entry is free */
  guintptr end;                 /* atomic */
  gboolean writable;            /* atomic */
  gint broken;                  /* atomic */
  MmapAlarm *alarm;             /* atomic; owned */
};

static GMutex lock;             /* who adds and removes */
static MmapGuard guards[MMAP_MAX_GUARDS];
static gboolean installed;
/* These don't change once the handler is installed. */
static struct sigaction previous;
static guintptr page_size;

/* --- the alarm --- */

MmapAlarm *
mmap_alarm_new (void)
{
  MmapAlarm *alarm;
  int fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

  if (fd < 0)
    return NULL;
  alarm = g_new0 (MmapAlarm, 1);
  alarm->ref_count = 1;
  alarm->fd = fd;
  return alarm;
}

MmapAlarm *
mmap_alarm_ref (MmapAlarm * alarm)
{
  g_atomic_int_inc (&alarm->ref_count);
  return alarm;
}

void
mmap_alarm_unref (MmapAlarm * alarm)
{
  if (!g_atomic_int_dec_and_test (&alarm->ref_count))
    return;
  close (alarm->fd);
  g_free (alarm);
}

gboolean
mmap_alarm_is_rung (const MmapAlarm * alarm)
{
  return mmap_load_acquire (&alarm->rung);
}

int
mmap_alarm_get_fd (const MmapAlarm * alarm)
{
  return alarm->fd;
}

/* In the handler. */
static void
alarm_ring (MmapAlarm * alarm)
{
  guint64 one = 1;

  mmap_store_release (&alarm->rung, TRUE);
  while (write (alarm->fd, &one, sizeof one) < 0 && errno == EINTR);
}

/* --- in the handler --- */

static MmapGuard *
guard_find (guintptr address, guintptr * end, gboolean * writable)
{
  guint i;

  for (i = 0; i < MMAP_MAX_GUARDS; i++) {
    MmapGuard *guard = &guards[i];
    guint serial = mmap_load_acquire (&guard->serial);
    guintptr start = mmap_load_relaxed (&guard->start);

    *end = mmap_load_relaxed (&guard->end);
    *writable = mmap_load_relaxed (&guard->writable);
    mmap_fence_acquire ();
    if (serial % 2 == 0 && mmap_load_relaxed (&guard->serial) == serial
        && start != 0 && address >= start && address < *end)
      return guard;
  }
  return NULL;
}

static void
guard_break (MmapGuard * guard)
{
  MmapAlarm *alarm;

  mmap_store_relaxed (&guard->broken, TRUE);
  /* Pairs with that in mmap_guard_set_alarm(): one of the two sees the other. */
  mmap_fence_full ();
  alarm = mmap_load_acquire (&guard->alarm);
  if (alarm)
    alarm_ring (alarm);
}

/* Puts zeros where @address is, if that is guarded: then what touched it may go on. */
static gboolean
repair (guintptr address)
{
  guintptr page = address & ~(page_size - 1), end;
  gboolean writable;
  MmapGuard *guard = guard_find (address, &end, &writable);

  if (!guard)
    return FALSE;
  /* First: nobody sees zeros and no alarm. */
  guard_break (guard);
  /* All the rest: who truncates takes the end, and one mapping is less than many. */
  return mmap ((gpointer) page, end - page,
      writable ? PROT_READ | PROT_WRITE : PROT_READ,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0)
      != MAP_FAILED;
}

/* What would have happened without us. */
static void
pass_on (int number, siginfo_t * info, gpointer context)
{
  struct sigaction standard = {.sa_handler = SIG_DFL };
  gboolean sent = info->si_code <= 0;   /* by kill(2) and the like: nothing was touched */

  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction (number, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler (number);
  } else if (!sent || previous.sa_handler == SIG_DFL) {
    /* What touched it does so once more when this returns, and ends the process there, where a debugger looks for it. */
    sigaction (SIGBUS, &standard, NULL);
    if (sent)
      raise (SIGBUS);
  }
}

static void
on_bus_error (int number, siginfo_t * info, gpointer context)
{
  int saved = errno;

  if (info->si_code != BUS_ADRERR || !repair ((guintptr) info->si_addr))
    pass_on (number, info, context);
  errno = saved;
}

/* --- everywhere else --- */

static gboolean
install_locked (void)
{
  struct sigaction action = {.sa_sigaction = on_bus_error };

  if (installed)
    return TRUE;
  page_size = sysconf (_SC_PAGESIZE);
  if (sigaction (SIGBUS, NULL, &previous) < 0)
    return FALSE;
  /* A handler that was there before finds what it asked for. */
  action.sa_mask = previous.sa_mask;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK
      | (previous.sa_flags & (SA_NODEFER | SA_RESTART));
  installed = sigaction (SIGBUS, &action, NULL) == 0;
  return installed;
}

static void
guard_set_locked (MmapGuard * guard, guintptr start, guintptr end,
    gboolean writable)
{
  guint serial = guard->serial;

  mmap_store_relaxed (&guard->serial, serial + 1);
  mmap_fence_release ();
  mmap_store_relaxed (&guard->start, start);
  mmap_store_relaxed (&guard->end, end);
  mmap_store_relaxed (&guard->writable, writable);
  mmap_store_release (&guard->serial, serial + 2);
}

MmapGuard *
mmap_guard_new (gpointer base, gsize size, gboolean writable)
{
  MmapGuard *guard = NULL;
  guint i;

  g_mutex_lock (&lock);
  if (install_locked ())
    for (i = 0; i < MMAP_MAX_GUARDS && !guard; i++)
      if (guards[i].start == 0)
        guard = &guards[i];
  if (guard) {
    mmap_store_relaxed (&guard->broken, FALSE);
    guard_set_locked (guard, (guintptr) base, (guintptr) base + size, writable);
  }
  g_mutex_unlock (&lock);
  return guard;
}

void
mmap_guard_free (MmapGuard * guard)
{
  if (!guard)
    return;
  g_mutex_lock (&lock);
  guard_set_locked (guard, 0, 0, FALSE);
  g_clear_pointer (&guard->alarm, mmap_alarm_unref);
  g_mutex_unlock (&lock);
}

gboolean
mmap_guard_is_broken (const MmapGuard * guard)
{
  return guard && mmap_load_relaxed (&guard->broken);
}

void
mmap_guard_set_alarm (MmapGuard * guard, MmapAlarm * alarm)
{
  mmap_store_release (&guard->alarm, mmap_alarm_ref (alarm));
  /* Pairs with that in guard_break(). */
  mmap_fence_full ();
  if (mmap_guard_is_broken (guard))
    alarm_ring (alarm);
}
