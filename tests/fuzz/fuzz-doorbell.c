/* gst-mmap: fuzz target: a peer of an ivshmem server that is hostile
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The greeting, who comes and goes, with descriptors of any kind; rings at any address.
 */
#include "fuzz-world.h"

#include "doorbell.h"
#include "ivshmem-peer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_STEPS 100
#define MAX_FDS 6
/* More of them than this, of one kind, in one step. */
#define FLOOD 3000

typedef struct
{
  FuzzInput *input;
  int fd;                       /* the server's end; -1: it has hung up */
  int bell;                     /* an eventfd that it has kept */
} Server;

static int client_fd;

void
fuzz_start (void)
{
}

GSocket *__wrap_mmap_address_connect_stream (const char *address,
    GError ** error);

GSocket *
__wrap_mmap_address_connect_stream (const char *address, GError ** error)
{
  GSocket *socket = g_socket_new_from_fd (client_fd, NULL);

  g_socket_set_blocking (socket, FALSE);
  return socket;
}

/* --- the server --- */

static int
make_fd (Server * self)
{
  int fds[2];

  switch (fuzz_below (self->input, 8)) {
    case 0:
      fds[0] = memfd_create ("fuzz", MFD_CLOEXEC);
      fuzz_assert (ftruncate (fds[0], fuzz_byte (self->input) * 4096) == 0);
      return fds[0];
    case 1:
      return open ("/dev/null", O_RDWR | O_CLOEXEC);
    case 2:
      fuzz_assert (pipe2 (fds, O_CLOEXEC) == 0);
      close (fds[0]);
      return fds[1];
    case 3:
      return fcntl (self->bell, F_DUPFD_CLOEXEC, 0);
    case 4:
      /* Full, and one who writes would wait. */
      return eventfd (G_MAXUINT32, EFD_CLOEXEC | EFD_SEMAPHORE);
    default:
      return eventfd (fuzz_byte (self->input), EFD_CLOEXEC | EFD_NONBLOCK);
  }
}

static void
send_bytes (Server * self, const void *bytes, gsize n, const int *fds,
    guint n_fds)
{
  union
  {
    struct cmsghdr header;
    char bytes[CMSG_SPACE (MAX_FDS * sizeof (int))];
  } control = { 0 };
  struct iovec data = { (void *) bytes, n };
  struct msghdr message = {.msg_iov = &data,.msg_iovlen = 1 };

  if (n_fds > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE (n_fds * sizeof (int));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN (n_fds * sizeof (int));
    memcpy (CMSG_DATA (&control.header), fds, n_fds * sizeof (int));
  }
  if (self->fd >= 0)
    sendmsg (self->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
say (Server * self, gint64 number, int fd)
{
  number = GINT64_TO_LE (number);
  send_bytes (self, &number, sizeof number, &fd, fd >= 0 ? 1 : 0);
  if (fd >= 0)
    close (fd);
}

static void
say_anything (Server * self)
{
  guint8 bytes[24] = { 0 };
  int fds[MAX_FDS];
  guint n = fuzz_below (self->input, MAX_FDS + 1), i;
  guint64 number = fuzz_number (self->input);

  memcpy (bytes, &number, sizeof number);
  for (i = 0; i < n; i++)
    fds[i] = make_fd (self);
  send_bytes (self, bytes, 1 + fuzz_below (self->input, sizeof bytes), fds, n);
  while (n > 0)
    close (fds[--n]);
}

static void
other_step (Server * self)
{
  FuzzInput *input = self->input;
  guint n;

  switch (fuzz_below (input, 8)) {
    case 0:
    case 1:
      say (self, fuzz_below (input, 4), make_fd (self));
      break;
    case 2:
      say (self, fuzz_below (input, 4), -1);
      break;
    case 3:
      say (self, fuzz_number (input), fuzz_one_in (input, 2) ?
          make_fd (self) : -1);
      break;
    case 4:
      say_anything (self);
      break;
    case 5:
      if (fuzz_one_in (input, 64))
        for (n = 0; n < FLOOD; n++)
          say (self, fuzz_below (input, 4), fcntl (self->bell,
                  F_DUPFD_CLOEXEC, 0));
      break;
    case 6:
      if (fuzz_one_in (input, 8) && self->fd >= 0) {
        close (self->fd);
        self->fd = -1;
      }
      break;
    default:
      eventfd_write (self->bell, fuzz_byte (input));
      break;
  }
}

static void
other (gpointer data)
{
  Server *self = data;

  while (self->input->size > 0 && (fuzz_byte (self->input) & 7) == 7)
    other_step (self);
}

/* By the rules; each step but for some inputs. */
static void
greet (Server * self)
{
  int memory = memfd_create ("fuzz", MFD_CLOEXEC);
  guint8 wrong = fuzz_byte (self->input);

  fuzz_assert (ftruncate (memory, 1 << 20) == 0);
  if (wrong == 1)
    other_step (self);
  else
    say (self, MMAP_IVSHMEM_VERSION, -1);
  if (wrong == 2)
    other_step (self);
  else
    say (self, 1, -1);
  if (wrong == 3) {
    close (memory);
    other_step (self);
  } else {
    say (self, MMAP_IVSHMEM_MEMORY, memory);
  }
  if (wrong & 4)
    other_step (self);
  if (wrong != 8)
    say (self, 1, eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* --- this side --- */

static void
step (Server * self, MmapDoorbell * bell)
{
  guint32 address;

  switch (fuzz_below (self->input, 5)) {
    case 0:
      mmap_doorbell_take (bell);
      break;
    case 1:
      address = MMAP_DOORBELL_ADDRESS (fuzz_below (self->input, 4),
          fuzz_below (self->input, 40));
      mmap_doorbell_ring (bell, address);
      break;
    case 2:
      mmap_doorbell_ring (bell, fuzz_number (self->input));
      break;
    default:
      other_step (self);
      break;
  }
  mmap_doorbell_has_server (bell);
}

void
fuzz_run (FuzzInput * input)
{
  Server self = {.input = input };
  MmapDoorbell *bell;
  struct stat st;
  int fds[2], memory_fd;
  guint i;

  fuzz_assert (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  self.fd = fds[0];
  client_fd = fds[1];
  self.bell = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  greet (&self);
  fuzz_world_begin (other, &self);
  /* What a hostile server does is said. */
  fuzz_allow_complaints (TRUE);
  bell = mmap_doorbell_connect ("@fuzz", &memory_fd, NULL);
  fuzz_assert ((bell != NULL) == (memory_fd >= 0));
  if (bell) {
    fuzz_assert (fstat (memory_fd, &st) == 0 && S_ISREG (st.st_mode));
    close (memory_fd);
    for (i = 0; i < MAX_STEPS && input->size > 0; i++)
      step (&self, bell);
    mmap_doorbell_free (bell);
  }
  fuzz_allow_complaints (FALSE);
  fuzz_world_end ();
  if (self.fd >= 0)
    close (self.fd);
  close (self.bell);
}
