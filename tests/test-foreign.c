/* gst-mmap: tests of closing what others have made
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Who blocks, blocks for minutes.
 */
#include "address.h"
#include "foreign.h"
#include "leak-check.h"
#include "peers.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Far less than a lingering socket waits, far more than a loaded machine takes. */
#define SOON_US (30 * G_USEC_PER_SEC)

static void
send_fd (int to, int fd, const char *text)
{
  struct iovec vector = { (char *) text, strlen (text) };
  union
  {
    struct cmsghdr header;
    char bytes[CMSG_SPACE (sizeof (int))];
  } control = {.header = {.cmsg_level = SOL_SOCKET,.cmsg_type = SCM_RIGHTS,
      .cmsg_len = CMSG_LEN (sizeof (int))}
  };
  struct msghdr message = {.msg_iov = &vector,.msg_iovlen = 1,
    .msg_control = &control,.msg_controllen = sizeof control
  };

  memcpy (CMSG_DATA (&control.header), &fd, sizeof fd);
  g_assert_cmpint (sendmsg (to, &message, 0), ==, (gssize) strlen (text));
}

static void
wait_for_descriptors (guint n)
{
  gint64 end = g_get_monotonic_time () + SOON_US;

  while (count_descriptors () != n) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (1000);
  }
}

static void
test_descriptor (void)
{
  guint before = count_descriptors ();
  gint64 began = g_get_monotonic_time ();
  Lingering lingering[20];
  guint i;

  mmap_foreign_close (-1);
  mmap_foreign_close (memfd_create ("test", MFD_CLOEXEC));
  mmap_foreign_close (memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  wait_for_descriptors (before);
  /* More than there are threads. */
  for (i = 0; i < G_N_ELEMENTS (lingering); i++) {
    lingering_init (&lingering[i]);
    mmap_foreign_close (lingering[i].fd);
  }
  g_assert_cmpint (g_get_monotonic_time () - began, <, SOON_US);
  for (i = 0; i < G_N_ELEMENTS (lingering); i++)
    close (lingering[i].peer);
  wait_for_descriptors (before);
}

typedef enum
{
  SENDS_NOTHING,
  SENDS_TEXT,
  SENDS_DESCRIPTOR,
  SENDS_DESCRIPTOR_LAST,        /* behind messages without, of which some have no bytes */
} Sends;

/* Both ends of a socket, of which the other sends something that is not received. Returns: the end that stays */
static int
make_pair (int type, Sends sends, int fd, int *other)
{
  int ends[2];
  guint i;

  g_assert_cmpint (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, ends), ==, 0);
  for (i = 0; i < 50 && sends != SENDS_DESCRIPTOR && sends != SENDS_NOTHING;
      i++) {
    g_assert_cmpint (send (ends[1], "text", 4, 0), ==, 4);
    if (type == SOCK_SEQPACKET)
      g_assert_cmpint (send (ends[1], "", 0, 0), ==, 0);
  }
  if (sends >= SENDS_DESCRIPTOR)
    send_fd (ends[1], fd, "with");
  *other = ends[1];
  return ends[0];
}

/* The other side is told at once, whatever it has sent; all is closed in the end.
 * @gone: it has closed its end by then */
static void
check_socket (int type, Sends sends, void (*close_it) (GSocket *),
    gboolean gone)
{
  guint before = count_descriptors ();
  gint64 began = g_get_monotonic_time ();
  Lingering lingering;
  int end, other;
  char byte;

  lingering_init (&lingering);
  end = make_pair (type, sends, lingering.fd, &other);
  if (sends >= SENDS_DESCRIPTOR)
    close (lingering.fd);
  if (gone)
    close (other);
  if (close_it) {
    GSocket *socket = g_socket_new_from_fd (end, NULL);

    close_it (socket);
    close_it (NULL);
    g_object_unref (socket);
  } else {
    mmap_foreign_close_socket_fd (end);
  }
  /* It has to wait for who left it. */
  if (!gone && (close_it != mmap_foreign_leave_socket
          || sends < SENDS_DESCRIPTOR))
    g_assert_cmpint (recv (other, &byte, 1, 0), <=, 0);
  if (!gone)
    close (other);
  g_assert_cmpint (g_get_monotonic_time () - began, <, SOON_US);
  close (lingering.peer);
  if (sends < SENDS_DESCRIPTOR)
    close (lingering.fd);
  wait_for_descriptors (before);
}

static void
test_socket (void)
{
  Sends sends;
  guint i;

  for (sends = SENDS_NOTHING; sends <= SENDS_DESCRIPTOR_LAST; sends++)
    for (i = 0; i < 4; i++) {
      int type = i & 1 ? SOCK_SEQPACKET : SOCK_STREAM;

      check_socket (type, sends, NULL, (i & 2) != 0);
      check_socket (type, sends, mmap_foreign_close_socket, (i & 2) != 0);
      check_socket (type, sends, mmap_foreign_leave_socket, (i & 2) != 0);
    }
}

static void
test_has_descriptors (void)
{
  Sends sends;

  for (sends = SENDS_NOTHING; sends <= SENDS_DESCRIPTOR_LAST; sends++) {
    int end, other;
    guint i;

    end = make_pair (SOCK_SEQPACKET, sends, 2, &other);
    for (i = 0; i < 2; i++)
      g_assert_cmpint (mmap_foreign_has_descriptors (end), ==,
          sends == SENDS_DESCRIPTOR);
    close (end);
    g_assert_false (mmap_foreign_has_descriptors (other));
    close (other);
  }
}

/* Who waits to be accepted, and has sent something meanwhile. */
static void
test_listener (void)
{
  g_autofree char *path = leak_check_path ("socket");
  guint before = count_descriptors (), i;
  gint64 began = g_get_monotonic_time ();
  GError *error = NULL;
  MmapListener *listener = mmap_listener_new (path, &error);
  GSocket *sockets[10], *late;
  Lingering lingering;
  int yes = 1;

  g_assert_no_error (error);
  /* Where the kernel can keep descriptors out. */
  setsockopt (g_socket_get_fd (listener->socket), SOL_SOCKET, 83, &yes,
      sizeof yes);
  lingering_init (&lingering);
  for (i = 0; i < G_N_ELEMENTS (sockets); i++) {
    sockets[i] = mmap_address_connect (path, &error);
    g_assert_no_error (error);
    if (i % 2 == 0)
      send_fd (g_socket_get_fd (sockets[i]), lingering.fd, "first");
  }
  close (lingering.fd);
  mmap_listener_free (listener);
  g_assert_cmpint (g_get_monotonic_time () - began, <, SOON_US);
  late = mmap_address_connect (path, &error);
  g_assert_null (late);
  check_error (&error, MMAP_ERROR_NOT_FOUND, "");
  for (i = 0; i < G_N_ELEMENTS (sockets); i++)
    g_object_unref (sockets[i]);
  close (lingering.peer);
  wait_for_descriptors (before);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/foreign/descriptor", test_descriptor);
  leak_check_add_test ("/foreign/socket", test_socket);
  leak_check_add_test ("/foreign/has-descriptors", test_has_descriptors);
  leak_check_add_test ("/foreign/listener", test_listener);
  return g_test_run ();
}
