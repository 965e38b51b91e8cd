/* gst-mmap: tests of doorbells: processes that ring each other, hostile servers, devices that aren't ready
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "doorbell.h"

#include "address.h"
#include "bells.h"
#include "error.h"
#include "leak-check.h"
#include "peers.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 65536
#define WAIT_MS 60000

static MmapDoorbell *
join (const char *path, int *memory_fd)
{
  GError *error = NULL;
  MmapDoorbell *bell = mmap_doorbell_connect (path, memory_fd, &error);

  g_assert_no_error (error);
  return bell;
}

/* Until it is rung. */
static guint64
wait_for_ring (MmapDoorbell * bell)
{
  struct pollfd news = {.fd = mmap_doorbell_get_fd (bell),.events = POLLIN };
  guint64 rings;

  do {
    g_assert_cmpint (poll (&news, 1, WAIT_MS), ==, 1);
    rings = mmap_doorbell_take (bell);
  } while (rings == 0);
  return rings;
}

/* --- processes --- */

#define N_RINGS 10000

/* Rings as often as it is rung, in whatever order the two come to it. */
static void
ring_and_count (MmapDoorbell * bell, guint32 other)
{
  guint64 taken = 0;
  guint rung = 0;

  while (rung < N_RINGS || taken < N_RINGS) {
    /* One is kept until the server has told of the other. */
    if (rung < N_RINGS && (mmap_doorbell_ring (bell, other) || rung == 0))
      rung++;
    if (taken < N_RINGS)
      taken +=
          rung < N_RINGS ? mmap_doorbell_take (bell) : wait_for_ring (bell);
  }
  g_assert_cmpuint (taken, ==, N_RINGS);
}

/* The other process. */
static void
join_and_ring (const char *path)
{
  int memory_fd;
  MmapDoorbell *bell = join (path, &memory_fd);
  guint32 *words = mmap (NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
      memory_fd, 0);

  __atomic_store_n (&words[1], mmap_doorbell_get_address (bell),
      __ATOMIC_RELEASE);
  ring_and_count (bell, __atomic_load_n (&words[0], __ATOMIC_ACQUIRE));
  _exit (0);
}

static void
test_processes (void)
{
  BellServer server;
  MmapDoorbell *bell;
  guint32 *words;
  int memory_fd, status;
  pid_t child;

  bell_server_start (&server, SIZE, 2);
  bell = join (server.path, &memory_fd);
  words = mmap (NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
  g_assert_true (words != MAP_FAILED);
  words[0] = mmap_doorbell_get_address (bell);
  child = fork ();
  if (child == 0)
    join_and_ring (server.path);
  while (__atomic_load_n (&words[1], __ATOMIC_ACQUIRE) == 0)
    g_usleep (1000);
  ring_and_count (bell, words[1]);
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  /* Who has gone isn't rung any more. */
  while (mmap_doorbell_ring (bell, words[1]))
    mmap_doorbell_take (bell);
  g_assert_true (mmap_doorbell_has_server (bell));
  munmap (words, SIZE);
  close (memory_fd);
  mmap_doorbell_free (bell);
  bell_server_end (&server);
}

static void
test_many (void)
{
  BellServer server;
  MmapDoorbell *bells[20];
  guint i, j;

  bell_server_start (&server, SIZE, 3);
  for (i = 0; i < G_N_ELEMENTS (bells); i++) {
    bells[i] = join (server.path, NULL);
    g_assert_cmpuint (mmap_doorbell_get_address (bells[i]), ==, i + 1);
  }
  /* The first has heard of nobody yet, and rings all the same. */
  for (i = 0; i < G_N_ELEMENTS (bells); i++)
    for (j = 0; j < G_N_ELEMENTS (bells); j++)
      if (i != j) {
        mmap_doorbell_ring (bells[i], mmap_doorbell_get_address (bells[j]));
        /* The server may not have told of it yet. */
        while (mmap_doorbell_take (bells[j]) == 0)
          mmap_doorbell_take (bells[i]);
      }
  g_assert_false (mmap_doorbell_ring (bells[0], MMAP_DOORBELL_NONE));
  g_assert_false (mmap_doorbell_ring (bells[0], MMAP_DOORBELL_ADDRESS (77, 0)));
  g_assert_false (mmap_doorbell_ring (bells[0], MMAP_DOORBELL_ADDRESS (1, 9)));
  for (i = 0; i < G_N_ELEMENTS (bells); i++)
    mmap_doorbell_free (bells[i]);
  bell_server_end (&server);
}

static void
test_server_ends (void)
{
  MmapDoorbell *first, *second;
  BellServer server;

  bell_server_start (&server, SIZE, 1);
  first = join (server.path, NULL);
  second = join (server.path, NULL);
  bell_server_end (&server);
  mmap_doorbell_take (first);
  g_assert_false (mmap_doorbell_has_server (first));
  g_assert_cmpuint (mmap_doorbell_take (second), ==, 0);
  /* They know each other. */
  g_assert_true (mmap_doorbell_ring (first,
          mmap_doorbell_get_address (second)));
  g_assert_cmpuint (wait_for_ring (second), ==, 1);
  g_assert_true (mmap_doorbell_ring (second,
          mmap_doorbell_get_address (first)));
  g_assert_cmpuint (wait_for_ring (first), ==, 1);
  mmap_doorbell_free (first);
  mmap_doorbell_free (second);
}

/* --- a server that breaks the rules --- */

typedef enum
{
  NO_FD,
  MEMORY_FD,
  EVENT_FD,
  TWO_FDS,
} WithFd;

typedef struct
{
  gint64 number;
  WithFd with;
  guint bytes;                  /* 0: 8 */
} Line;

#define MAX_LINES 8

typedef struct
{
  const char *name;
  MmapError code;
  const char *reason;
  guint n;
  Line lines[MAX_LINES];
} Bad;

static const Bad bad_servers[] = {
  {"nothing", MMAP_ERROR_CLOSED, "hung up", 0},
  {"version", MMAP_ERROR_VERSION, "version 1", 1, {{1}}},
  {"version-fd", MMAP_ERROR_MESSAGE, "not due", 1, {{0, EVENT_FD}}},
  {"id", MMAP_ERROR_MESSAGE, "0 to 65535", 2, {{0}, {65536}}},
  {"id-negative", MMAP_ERROR_MESSAGE, "0 to 65535", 2, {{0}, {-1}}},
  {"id-fd", MMAP_ERROR_MESSAGE, "not due", 2, {{0}, {5, EVENT_FD}}},
  {"no-memory", MMAP_ERROR_MESSAGE, "was due", 3, {{0}, {5}, {-1}}},
  {"memory-event", MMAP_ERROR_MESSAGE, "that of the memory", 3,
      {{0}, {5}, {-1, EVENT_FD}}},
  {"memory-number", MMAP_ERROR_MESSAGE, "that of the memory", 3,
      {{0}, {5}, {7, MEMORY_FD}}},
  {"two-fds", MMAP_ERROR_MESSAGE, "2 descriptors", 3,
      {{0}, {5}, {-1, TWO_FDS}}},
  {"short", MMAP_ERROR_MESSAGE, "sent 5 bytes", 1, {{0, NO_FD, 5}}},
  {"no-vectors", MMAP_ERROR_CLOSED, "hung up", 3, {{0}, {5}, {-1, MEMORY_FD}}},
  {"peer-id", MMAP_ERROR_MESSAGE, "65536 with", 4,
      {{0}, {5}, {-1, MEMORY_FD}, {65536, EVENT_FD}}},
  {"peer-gone", MMAP_ERROR_MESSAGE, "was due", 4,
      {{0}, {5}, {-1, MEMORY_FD}, {6}}},
  {"peer-memory", MMAP_ERROR_MESSAGE, "else than an eventfd", 4,
      {{0}, {5}, {-1, MEMORY_FD}, {6, MEMORY_FD}}},
  {"own-memory", MMAP_ERROR_MESSAGE, "else than an eventfd", 4,
      {{0}, {5}, {-1, MEMORY_FD}, {5, MEMORY_FD}}},
};

typedef struct
{
  MmapListener *listener;
  GSocket *socket;
  int event_fd;
  int memory_fd;
} Fake;

static void
fake_say (Fake * fake, const Line * line)
{
  gint64 number = GINT64_TO_LE (line->number);
  struct iovec data = { &number, line->bytes ? line->bytes : 8 };
  struct msghdr message = {.msg_iov = &data,.msg_iovlen = 1 };
  union
  {
    char bytes[CMSG_SPACE (2 * sizeof (int))];
    struct cmsghdr header;
  } control = { 0 };
  int *fds = (int *) CMSG_DATA (&control.header);
  guint n = line->with == NO_FD ? 0 : line->with == TWO_FDS ? 2 : 1;

  if (n > 0) {
    fds[0] = line->with == EVENT_FD ? fake->event_fd : fake->memory_fd;
    fds[n - 1] = n == 2 ? fake->event_fd : fds[0];
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN (n * sizeof (int));
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE (n * sizeof (int));
  }
  g_assert_cmpint (sendmsg (g_socket_get_fd (fake->socket), &message, 0), >, 0);
}

static void
fake_tell_of (Fake * fake, guint32 id)
{
  const Line line = {.number = id,.with = EVENT_FD };

  fake_say (fake, &line);
}

static void
fake_init (Fake * fake, const char *path)
{
  static const MmapMode own = MMAP_MODE_OWN;
  GError *error = NULL;

  memset (fake, 0, sizeof *fake);
  fake->listener = mmap_listener_new_stream (path, &own, &error);
  g_assert_no_error (error);
  fake->event_fd = eventfd (0, EFD_CLOEXEC);
  fake->memory_fd = memfd_create ("test", MFD_CLOEXEC);
  g_assert_cmpint (ftruncate (fake->memory_fd, SIZE), ==, 0);
}

static void
fake_accept (Fake * fake)
{
  struct pollfd news = {.events = POLLIN };
  GError *error = NULL;

  news.fd = g_socket_get_fd (fake->listener->socket);
  g_assert_cmpint (poll (&news, 1, WAIT_MS), ==, 1);
  fake->socket = g_socket_accept (fake->listener->socket, NULL, &error);
  g_assert_no_error (error);
}

static void
fake_clear (Fake * fake)
{
  g_clear_object (&fake->socket);
  mmap_listener_free (fake->listener);
  close (fake->event_fd);
  close (fake->memory_fd);
}

static gpointer
try_to_join (gpointer path)
{
  GError *error = NULL;
  int memory_fd = 0;

  g_assert_null (mmap_doorbell_connect (path, &memory_fd, &error));
  g_assert_cmpint (memory_fd, ==, -1);
  return error;
}

static void
test_bad_servers (void)
{
  g_autofree char *path = leak_check_path ("bad");
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (bad_servers); i++) {
    const Bad *bad = &bad_servers[i];
    GThread *thread;
    GError *error;
    Fake fake;

    g_test_message ("%s", bad->name);
    fake_init (&fake, path);
    thread = g_thread_new ("client", try_to_join, path);
    fake_accept (&fake);
    for (j = 0; j < bad->n; j++)
      fake_say (&fake, &bad->lines[j]);
    g_clear_object (&fake.socket);
    error = g_thread_join (thread);
    check_error (&error, bad->code, bad->reason);
    fake_clear (&fake);
  }
}

static gpointer
join_in_thread (gpointer path)
{
  return join (path, NULL);
}

/* A bell of a fake server. Its own eventfd, and that of peer 6, is the fake's. */
static MmapDoorbell *
fake_join (Fake * fake, char *path)
{
  static const Line lines[] = { {0}, {5}, {-1, MEMORY_FD}, {6, EVENT_FD},
  {5, EVENT_FD}
  };
  GThread *thread;
  guint i;

  fake_init (fake, path);
  thread = g_thread_new ("client", join_in_thread, path);
  fake_accept (fake);
  for (i = 0; i < G_N_ELEMENTS (lines); i++)
    fake_say (fake, &lines[i]);
  return g_thread_join (thread);
}

static void
test_bad_notices (void)
{
  static const Line bad[] = { {-1}, {65536}, {5}, {9}, {1 << 20, EVENT_FD},
  {8, MEMORY_FD}, {8, TWO_FDS}, {8, EVENT_FD, 3}
  };
  g_autofree char *path = leak_check_path ("bad");
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    MmapDoorbell *bell;
    Fake fake;

    bell = fake_join (&fake, path);
    g_assert_cmpuint (mmap_doorbell_take (bell), ==, 0);
    g_assert_true (mmap_doorbell_has_server (bell));
    fake_say (&fake, &bad[i]);
    g_test_expect_message (NULL, G_LOG_LEVEL_WARNING, "*ivshmem server*");
    mmap_doorbell_take (bell);
    g_test_assert_expected_messages ();
    g_assert_false (mmap_doorbell_has_server (bell));
    /* Who is known can be rung. */
    g_assert_true (mmap_doorbell_ring (bell, MMAP_DOORBELL_ADDRESS (6, 0)));
    g_assert_cmpuint (mmap_doorbell_take (bell), ==, 1);
    mmap_doorbell_free (bell);
    fake_clear (&fake);
  }
}

/* More peers than anybody has, and more vectors. */
static void
test_flood (void)
{
  g_autofree char *path = leak_check_path ("flood");
  MmapDoorbell *bell;
  Fake fake;
  guint i;

  bell = fake_join (&fake, path);
  for (i = 0; i < 100; i++) {
    fake_tell_of (&fake, 7);
    mmap_doorbell_take (bell);
  }
  g_assert_true (mmap_doorbell_ring (bell, MMAP_DOORBELL_ADDRESS (7, 31)));
  g_assert_false (mmap_doorbell_ring (bell, MMAP_DOORBELL_ADDRESS (7, 32)));
  g_test_expect_message (NULL, G_LOG_LEVEL_WARNING, "*more than 1024 peers*");
  for (i = 8; mmap_doorbell_has_server (bell); i++) {
    fake_tell_of (&fake, i);
    mmap_doorbell_take (bell);
  }
  g_test_assert_expected_messages ();
  g_assert_cmpuint (i, ==, 6 + 1024 + 1);
  mmap_doorbell_free (bell);
  fake_clear (&fake);
}

/* Rung before the server tells of it. */
static void
test_early (void)
{
  g_autofree char *path = leak_check_path ("early");
  MmapDoorbell *bell;
  guint64 count;
  Fake fake;

  bell = fake_join (&fake, path);
  g_assert_false (mmap_doorbell_ring (bell, MMAP_DOORBELL_ADDRESS (9, 1)));
  g_assert_false (mmap_doorbell_ring (bell, MMAP_DOORBELL_ADDRESS (9, 1)));
  fake_tell_of (&fake, 9);
  mmap_doorbell_take (bell);
  g_assert_cmpint (eventfd_read (fake.event_fd, &count), ==, -1);
  fake_tell_of (&fake, 9);
  g_assert_cmpuint (mmap_doorbell_take (bell), ==, 1);
  mmap_doorbell_free (bell);
  fake_clear (&fake);
}

/* Each peer has the eventfds of all others, and may do to them what it likes. */
static void
test_blocking (void)
{
  g_autofree char *path = leak_check_path ("blocking");
  MmapDoorbell *bell;
  Fake fake;

  bell = fake_join (&fake, path);
  /* It came as one that blocks. */
  g_assert_cmpint (fcntl (fake.event_fd, F_GETFL) & O_NONBLOCK, !=, 0);
  g_assert_cmpint (fcntl (fake.event_fd, F_SETFL, 0), ==, 0);
  g_assert_cmpuint (mmap_doorbell_take (bell), ==, 0);
  g_assert_cmpint (eventfd_write (fake.event_fd, G_MAXUINT64 - 1), ==, 0);
  g_assert_true (mmap_doorbell_ring (bell, MMAP_DOORBELL_ADDRESS (6, 0)));
  g_assert_cmpuint (mmap_doorbell_take (bell), ==, G_MAXUINT64 - 1);
  mmap_doorbell_free (bell);
  fake_clear (&fake);
}

static void
test_no_server (void)
{
  g_autofree char *path = leak_check_path ("nobody");
  GError *error = NULL;

  g_assert_null (mmap_doorbell_connect (path, NULL, &error));
  check_error (&error, MMAP_ERROR_NOT_FOUND, "Nobody listens");
}

/* --- devices --- */

typedef struct
{
  char *root;
  char *devices;
  char *vfio;
  char *device;
} Bus;

static void
bus_init (Bus * bus)
{
  bus->root = leak_check_path ("bus");
  bus->devices = g_build_filename (bus->root, "devices", NULL);
  bus->vfio = g_build_filename (bus->root, "vfio", NULL);
  bus->device = g_build_filename (bus->devices, "0000:00:05.0", NULL);
  g_assert_cmpint (g_mkdir_with_parents (bus->device, 0755), ==, 0);
}

static void
bus_link (Bus * bus, const char *name, const char *target)
{
  g_autofree char *path = g_build_filename (bus->device, name, NULL);

  unlink (path);
  g_assert_cmpint (symlink (target, path), ==, 0);
}

static void
bus_expect (Bus * bus, const char *bdf, MmapError code, const char *reason)
{
  GError *error = NULL;

  g_assert_null (mmap_doorbell_open_pci_below (bus->devices, bus->vfio, bdf,
          &error));
  check_error (&error, code, reason);
}

static void
bus_clear (Bus * bus)
{
  const char *argv[] = { "rm", "-r", bus->root, NULL };

  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH,
          NULL, NULL, NULL, NULL, NULL, NULL));
  g_free (bus->root);
  g_free (bus->devices);
  g_free (bus->vfio);
  g_free (bus->device);
}

static void
test_devices (void)
{
  g_autofree char *container = NULL, *group = NULL;
  const char *bdf = "0000:00:05.0";
  Bus bus;

  bus_init (&bus);
  bus_expect (&bus, "0000:00:06.0", MMAP_ERROR_NOT_FOUND, "no PCI device");
  bus_expect (&bus, bdf, MMAP_ERROR_SETTING, "intel_iommu=on");
  bus_link (&bus, "iommu_group", "../../kernel/iommu_groups/7");
  bus_expect (&bus, bdf, MMAP_ERROR_SETTING, "no driver");
  bus_link (&bus, "driver", "../../drivers/uio_pci_generic");
  bus_expect (&bus, bdf, MMAP_ERROR_SETTING, "uio_pci_generic");
  bus_expect (&bus, bdf, MMAP_ERROR_SETTING,
      "echo 0000:00:05.0 > /sys/bus/pci/drivers_probe");
  bus_link (&bus, "driver", "../../drivers/vfio-pci");
  bus_expect (&bus, bdf, MMAP_ERROR_SETTING, "modprobe vfio-pci");
  /* Something else in the place of the kernel's files. */
  g_assert_cmpint (mkdir (bus.vfio, 0755), ==, 0);
  container = g_build_filename (bus.vfio, "vfio", NULL);
  group = g_build_filename (bus.vfio, "7", NULL);
  g_assert_true (g_file_set_contents (container, "", 0, NULL));
  bus_expect (&bus, bdf, MMAP_ERROR_SETTING, "/7");
  g_assert_true (g_file_set_contents (group, "", 0, NULL));
  bus_expect (&bus, bdf, MMAP_ERROR_FAILED, "say how its group is");
  bus_clear (&bus);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/doorbell/processes", test_processes);
  leak_check_add_test ("/doorbell/many", test_many);
  leak_check_add_test ("/doorbell/server-ends", test_server_ends);
  leak_check_add_test ("/doorbell/bad-servers", test_bad_servers);
  leak_check_add_test ("/doorbell/bad-notices", test_bad_notices);
  leak_check_add_test ("/doorbell/flood", test_flood);
  leak_check_add_test ("/doorbell/early", test_early);
  leak_check_add_test ("/doorbell/blocking", test_blocking);
  leak_check_add_test ("/doorbell/no-server", test_no_server);
  leak_check_add_test ("/doorbell/devices", test_devices);
  return g_test_run ();
}
