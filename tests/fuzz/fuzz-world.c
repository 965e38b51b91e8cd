/* gst-mmap: what the targets of areas and doorbells share: threads and time that go on when they are told to
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A thread is a function that is called again from its beginning each time, and left where it sleeps: those of relays keep all that matters
 * in their objects.
 */
#include "fuzz-world.h"

#include "area-protocol.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define MESSAGE_MAGIC 0x316d6d67u

/* Who sleeps more often than that while it is waited for does so for ever. */
#define MAX_SLEEPS 100000


/* One of a clock's looks costs so much. */
#define LOOK_NS 2000

static struct
{
  FuzzOther other;
  gpointer data;
  gboolean busy;                /* the other side is at it */
  gint64 now_ns;
  guint sleeps;
  GThreadFunc function;         /* of the thread; NULL: there is none */
  gpointer argument;
  gboolean ended;
  gboolean leaving;             /* it is left where it sleeps next but @turns */
  guint turns;
  guint random;
  jmp_buf back;
} world;

void
fuzz_world_begin (FuzzOther other, gpointer data)
{
  memset (&world, 0, sizeof world);
  world.other = other;
  world.data = data;
  /* A machine that has been up for a while. */
  world.now_ns = G_GINT64_CONSTANT (1000000000000);
}

void
fuzz_world_end (void)
{
  fuzz_assert (!world.function);
  world.other = NULL;
}

gint64
fuzz_world_now (void)
{
  return world.now_ns / 1000;
}

void
fuzz_world_pass (gint64 us)
{
  world.now_ns += us * 1000;
}

static void
let_other (void)
{
  if (!world.other || world.busy)
    return;
  world.busy = TRUE;
  world.other (world.data);
  world.busy = FALSE;
}

static void
sleep_for (gint64 us)
{
  fuzz_assert (world.sleeps++ < MAX_SLEEPS);
  fuzz_world_pass (CLAMP (us, 1, G_USEC_PER_SEC));
  let_other ();
  if (world.leaving && world.turns-- == 0)
    longjmp (world.back, 1);
}

/* --- the thread --- */

void
fuzz_world_run (guint turns)
{
  if (!world.function || world.ended)
    return;
  world.leaving = TRUE;
  world.turns = turns;
  if (setjmp (world.back) == 0) {
    world.function (world.argument);
    world.ended = TRUE;
  }
  world.leaving = FALSE;
}

GThread *__real_g_thread_try_new (const gchar * name,
    GThreadFunc function, gpointer data, GError ** error);
G_MODULE_EXPORT GThread *__wrap_g_thread_try_new (const gchar * name,
    GThreadFunc function, gpointer data, GError ** error);
G_MODULE_EXPORT gpointer __wrap_g_thread_join (GThread * thread);

GThread *
__wrap_g_thread_try_new (const gchar * name, GThreadFunc function,
    gpointer data, GError ** error)
{
  if (strcmp (name, "mmap-close") == 0)
    return __real_g_thread_try_new (name, function, data, error);
  /* What waits for words of the other side is done without. */
  if (strcmp (name, "mmap-area") != 0) {
    g_set_error (error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "no thread here");
    return NULL;
  }
  fuzz_assert (!world.function);
  world.function = function;
  world.argument = data;
  world.ended = FALSE;
  return (GThread *) & world;
}

gpointer
__wrap_g_thread_join (GThread * thread)
{
  fuzz_assert (thread == (GThread *) & world && world.function);
  world.sleeps = 0;
  if (!world.ended)
    world.function (world.argument);
  world.function = NULL;
  return NULL;
}

/* --- what would wait, clocks, chance --- */

int __real_ppoll (struct pollfd *fds, nfds_t n, const struct timespec *timeout,
    const sigset_t * mask);
int __wrap_ppoll (struct pollfd *fds, nfds_t n, const struct timespec *timeout,
    const sigset_t * mask);
int __real_poll (struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll (struct pollfd *fds, nfds_t n, int timeout_ms);
int __real_epoll_wait (int fd, struct epoll_event *events, int n, int timeout);
int __wrap_epoll_wait (int fd, struct epoll_event *events, int n, int timeout);
G_MODULE_EXPORT void __wrap_g_usleep (gulong us);
G_MODULE_EXPORT gint64 __wrap_g_get_monotonic_time (void);
gint64 __wrap_mmap_clock_now (void);
guint64 __wrap_mmap_random_below (guint64 limit);

int
__wrap_ppoll (struct pollfd *fds, nfds_t n, const struct timespec *timeout,
    const sigset_t * mask)
{
  int ready = __real_poll (fds, n, 0);

  sleep_for (ready > 0 ? 1 : timeout->tv_sec * G_USEC_PER_SEC
      + timeout->tv_nsec / 1000);
  return ready;
}

int
__wrap_poll (struct pollfd *fds, nfds_t n, int timeout_ms)
{
  int ready = __real_poll (fds, n, 0);

  /* Who only looks whether there is room does not sleep. */
  if (timeout_ms != 0)
    sleep_for (ready > 0 ? 1 : timeout_ms * 1000);
  return ready;
}

int
__wrap_epoll_wait (int fd, struct epoll_event *events, int n, int timeout_ms)
{
  sleep_for (1);
  return __real_epoll_wait (fd, events, n, 0);
}

void
__wrap_g_usleep (gulong us)
{
  sleep_for (us);
}

gint64
__wrap_g_get_monotonic_time (void)
{
  let_other ();
  world.now_ns += LOOK_NS;
  return world.now_ns / 1000;
}

gint64
__wrap_mmap_clock_now (void)
{
  let_other ();
  world.now_ns += LOOK_NS * 10;
  return world.now_ns;
}

/* The same for the same input. */
guint64
__wrap_mmap_random_below (guint64 limit)
{
  let_other ();
  return g_str_hash (&"abcdefghijklmnopqrst"[world.random++ % 20]) % limit;
}

/* --- files --- */

static char *directory;

static void
remove_directory (void)
{
  rmdir (directory);
}

const char *
fuzz_world_get_directory (void)
{
  if (directory)
    return directory;
  directory = g_strdup ("/dev/shm/gst-mmap-fuzz-XXXXXX");
  fuzz_assert (g_mkdtemp (directory));
  atexit (remove_directory);
  return directory;
}

char *
fuzz_area_new_file (gsize size, guint8 ** base)
{
  char *path = g_build_filename (fuzz_world_get_directory (), "area", NULL);
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  fuzz_assert (fd >= 0 && ftruncate (fd, size) == 0);
  *base = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  fuzz_assert (*base != MAP_FAILED);
  close (fd);
  return path;
}

/* --- what the other side says --- */

void
fuzz_append_message (FuzzInput * input, GByteArray * bytes)
{
  guint32 header[4] = { MESSAGE_MAGIC, MMAP_PROTOCOL_VERSION, 0, 0 };
  guint8 choice = fuzz_byte (input);
  guint at = bytes->len;

  header[1] |= (guint32) (choice & 15) << 16;
  header[2] = choice >= 240 ? fuzz_number (input) : fuzz_byte (input) * 8;
  g_byte_array_append (bytes, (const guint8 *) header, sizeof header);
  if (choice >= 224)
    bytes->data[at + fuzz_below (input, sizeof header)] = fuzz_byte (input);
  /* Of a length that can't be, no more than that. */
  if (header[2] <= MMAP_MESSAGE_MAX_BYTES && !fuzz_one_in (input, 8)) {
    g_byte_array_set_size (bytes, at + sizeof header + header[2]);
    memset (bytes->data + at + sizeof header, choice, header[2]);
  }
}

static void
write_word (FuzzInput * input, guint8 * at, const guint64 * ids, guint n_ids)
{
  guint64 *word = (guint64 *) at, value = __atomic_load_n (word,
      __ATOMIC_RELAXED);

  switch (fuzz_below (input, 4)) {
    case 0:
      value += (gint8) fuzz_byte (input);
      break;
    case 1:
      value = ids[fuzz_below (input, n_ids)];
      break;
    case 2:
      value = 0;
      break;
    default:
      value = fuzz_number (input);
      break;
  }
  __atomic_store_n (word, value, __ATOMIC_RELAXED);
}

void
fuzz_area_write_start (FuzzInput * input, guint8 * base, const guint64 * ids,
    guint n_ids)
{
  static const gsize entry[] = {
    offsetof (MmapAreaEntry, owner), offsetof (MmapAreaEntry, session),
    offsetof (MmapAreaEntry, links_offset),
    offsetof (MmapAreaEntry, link_slot_bytes), offsetof (MmapAreaEntry, pid),
    offsetof (MmapAreaEntry, boot_id), offsetof (MmapAreaEntry, pid_namespace),
    offsetof (MmapAreaEntry, name), offsetof (MmapAreaEntry, name[7]),
    offsetof (MmapAreaEntry, heartbeat), offsetof (MmapAreaEntry, doorbell)
  };
  gsize offset;

  switch (fuzz_below (input, 8)) {
    case 0:
      offset = fuzz_below (input, 8) * 8;
      break;
    case 1:
    case 2:
    case 3:
      offset = offsetof (MmapAreaStart, channels)
          + fuzz_below (input, MMAP_AREA_CHANNELS) * sizeof (MmapAreaEntry)
          + entry[fuzz_below (input, G_N_ELEMENTS (entry))];
      break;
    case 4:
    case 5:
    case 6:
      offset = offsetof (MmapAreaStart, owners) + fuzz_below (input, 24) * 8;
      break;
    default:
      offset = fuzz_number (input) % (sizeof (MmapAreaStart) / 8) * 8;
      break;
  }
  write_word (input, base + offset, ids, n_ids);
}

void
fuzz_area_write_slot (FuzzInput * input, gpointer slot, const guint64 * ids,
    guint n_ids)
{
  static const gsize words[] = {
    offsetof (MmapMailbox, claim), offsetof (MmapMailbox, consumer),
    offsetof (MmapMailbox, left), offsetof (MmapMailbox, pid),
    offsetof (MmapMailbox, heartbeat), offsetof (MmapMailbox, down_tail),
    offsetof (MmapMailbox, served), offsetof (MmapMailbox, freed),
    offsetof (MmapMailbox, down_head), offsetof (MmapMailbox, clock_asked),
    offsetof (MmapMailbox, clock_answered), offsetof (MmapMailbox, clock_ns),
    offsetof (MmapMailbox, consumer_bell),
    offsetof (MmapMailbox, producer_bell) & ~7,
    offsetof (MmapMailbox, down_bytes),
    offsetof (MmapLinkSlot, link.upstream_head),
    offsetof (MmapLinkSlot, link.upstream_tail),
    offsetof (MmapLinkSlot, link.upstream_bytes)
  };
  guint choice = fuzz_below (input, G_N_ELEMENTS (words) + 1);
  gsize offset = choice < G_N_ELEMENTS (words) ? words[choice] :
      fuzz_number (input) % (sizeof (MmapLinkSlot) / 8) * 8;

  write_word (input, (guint8 *) slot + offset, ids, n_ids);
}
