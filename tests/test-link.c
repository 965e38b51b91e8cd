/* gst-mmap: tests of the link's memory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`.
 */
#include "error.h"
#include "leak-check.h"
#include "link.h"
#include "system-faults.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SESSION G_GUINT64_CONSTANT (0x1122334455667788)

static MmapLink *
make_link (void)
{
  GError *error = NULL;
  MmapLink *link = mmap_link_new (SESSION, 7, &error);

  g_assert_no_error (error);
  return link;
}

static int
copy_fd (int fd)
{
  int copy = fcntl (fd, F_DUPFD_CLOEXEC, 0);

  g_assert_cmpint (copy, >=, 0);
  return copy;
}

static MmapLink *
open_link (const MmapLink * link, guint64 session, GError ** error)
{
  return mmap_link_open (copy_fd (link->fd), session, error);
}

static void
check_refused (MmapLink * link, GError ** error, MmapError code,
    const char *reason)
{
  g_assert_null (link);
  g_assert_error (*error, MMAP_ERROR, (gint) code);
  if (strstr ((*error)->message, reason) == NULL)
    g_error ("\"%s\" doesn't say \"%s\"", (*error)->message, reason);
  g_clear_error (error);
}

static void
test_both_sides (void)
{
  MmapLink *producer = make_link ();
  GError *error = NULL;
  MmapLink *consumer = open_link (producer, SESSION, &error);
  MmapDescriptor sent = {.sequence = 1,.size = 4711 }, got;
  guint64 id = 99, released;

  g_assert_no_error (error);
  g_assert_cmpmem (producer->area->magic, 8, MMAP_LINK_MAGIC, 8);
  g_assert_cmpuint (consumer->area->link_id, ==, 7);
  g_assert_cmpint (mmap_ring_push (&producer->frames, &sent), ==, MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_peek (&consumer->frames, &got), ==, MMAP_RING_OK);
  g_assert_cmpmem (&got, sizeof (got), &sent, sizeof (sent));
  g_assert_cmpint (mmap_ring_push (&producer->events, &sent), ==, MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_peek (&consumer->events, &got), ==, MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_push (&consumer->releases, &id), ==, MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_peek (&producer->releases, &released), ==,
      MMAP_RING_OK);
  g_assert_cmpuint (released, ==, 99);

  mmap_sleeper_prepare (&consumer->sleeper);
  g_assert_true (mmap_link_wake (producer));
  mmap_sleeper_prepare (&producer->sleeper);
  g_assert_true (mmap_link_wake (consumer));

  g_assert_cmpint (ftruncate (consumer->fd, 4096), ==, -1);
  g_assert_cmpint (ftruncate (consumer->fd, 1 << 20), ==, -1);
  mmap_link_free (producer);
  g_assert_cmpuint (consumer->area->link_id, ==, 7);
  mmap_link_free (consumer);
}

static void
test_session (void)
{
  MmapLink *link = make_link ();
  GError *error = NULL;

  check_refused (open_link (link, SESSION + 1, &error), &error,
      MMAP_ERROR_SESSION, "1122334455667789");
  mmap_link_free (link);
}

static void
test_header (void)
{
  MmapLink *link = make_link ();
  MmapLinkArea *area = link->area;
  GError *error = NULL;

  area->magic[3] ^= 1;
  check_refused (open_link (link, SESSION, &error), &error,
      MMAP_ERROR_NOT_A_REGION, MMAP_LINK_MAGIC);
  area->magic[3] ^= 1;
  area->version = 2;
  check_refused (open_link (link, SESSION, &error), &error,
      MMAP_ERROR_VERSION, "protocol 2");
  area->version = MMAP_PROTOCOL_VERSION;
  area->byte_order = GUINT32_SWAP_LE_BE (MMAP_BYTE_ORDER);
  check_refused (open_link (link, SESSION, &error), &error,
      MMAP_ERROR_VERSION, "0xd0c0b0a");
  area->byte_order = MMAP_BYTE_ORDER;
  area->link_bytes--;
  check_refused (open_link (link, SESSION, &error), &error,
      MMAP_ERROR_LAYOUT, "131071");
  area->link_bytes++;
  mmap_link_free (open_link (link, SESSION, &error));
  g_assert_no_error (error);
  mmap_link_free (link);
}

/* Opens @fd, which it takes, as a link's memory. */
static void
check_memory (int fd, MmapError code, const char *reason)
{
  GError *error = NULL;

  check_refused (mmap_link_open (fd, SESSION, &error), &error, code, reason);
}

static int
make_memfd (gsize size, int seals)
{
  int fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  g_assert_cmpint (ftruncate (fd, size), ==, 0);
  g_assert_cmpint (fcntl (fd, F_ADD_SEALS, seals), ==, 0);
  return fd;
}

static void
test_memory (void)
{
  gsize size = sizeof (MmapLinkArea);
  int ends[2];

  check_memory (make_memfd (size, 0), MMAP_ERROR_SEALS, "not sealed");
  check_memory (make_memfd (size, F_SEAL_GROW), MMAP_ERROR_SEALS, "sealed");
  check_memory (make_memfd (0, F_SEAL_SHRINK), MMAP_ERROR_SIZE, " 0 bytes");
  check_memory (make_memfd (size - 1, F_SEAL_SHRINK), MMAP_ERROR_SIZE,
      "131071");
  check_memory (make_memfd (size + 4096, F_SEAL_SHRINK), MMAP_ERROR_SIZE,
      "135168");
  check_memory (make_memfd (size, F_SEAL_SHRINK), MMAP_ERROR_NOT_A_REGION,
      "begin");
  /* One that can't be written any more. */
  check_memory (make_memfd (size, F_SEAL_SHRINK | F_SEAL_WRITE),
      MMAP_ERROR_FAILED, "mmap");
  check_memory (open ("/dev/zero", O_RDWR | O_CLOEXEC), MMAP_ERROR_SEALS,
      "sealed");
  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  check_memory (ends[0], MMAP_ERROR_SEALS, "sealed");
  close (ends[1]);
}

/* The descriptor was not sent. */
static void
test_missing (void)
{
  GError *error = NULL;

  check_refused (mmap_link_open (-1, SESSION, &error), &error,
      MMAP_ERROR_MESSAGE, "descriptor");
}

static void
no_room (gconstpointer data)
{
  GError *error = NULL;

  fail_system_call (SYS_fallocate, 0, 0, ENOSPC);
  check_refused (mmap_link_new (1, 1, &error), &error,
      MMAP_ERROR_NO_RESOURCES, g_strerror (ENOSPC));
}

/* At each descriptor that it needs, the limit is reached: those that it has are closed. */
static void
no_descriptors (gconstpointer data)
{
  struct rlimit limit, before;
  GError *error = NULL;
  MmapLink *link;
  int more, next;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  for (more = 0;; more++) {
    next = eventfd (0, EFD_CLOEXEC);
    close (next);
    limit = before;
    limit.rlim_cur = next + more;
    g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
    link = mmap_link_new (1, 1, &error);
    g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
    if (link)
      break;
    check_refused (link, &error, MMAP_ERROR_NO_RESOURCES, g_strerror (EMFILE));
    g_assert_cmpint (fcntl (next, F_GETFD), ==, -1);
  }
  g_assert_cmpint (more, ==, 1);
  mmap_link_free (link);
}

static void
test_no_resources (void)
{
  run_in_child (no_room, NULL);
  run_in_child (no_descriptors, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/link/both-sides", test_both_sides);
  leak_check_add_test ("/link/session", test_session);
  leak_check_add_test ("/link/header", test_header);
  leak_check_add_test ("/link/memory", test_memory);
  leak_check_add_test ("/link/missing", test_missing);
  leak_check_add_test ("/link/no-resources", test_no_resources);
  return g_test_run ();
}
