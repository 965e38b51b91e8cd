/* gst-mmap: fuzz target: an ivshmem server, and its peers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * They come, read or don't, say things, hang up, by halves, too. Who follows the rules is told of who is there.
 */
#include "fuzz-world.h"

#include "ivshmem-server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_STEPS 80
#define MAX_PEERS 12
/* After the last step: for what is on its way. */
#define MAX_ROUNDS 4000

typedef struct
{
  FuzzInput *input;
  struct sockaddr_un address;
  socklen_t address_size;
  int peers[MAX_PEERS];         /* -1: none */
  guint steps;
  guint rounds;
  int stop_fd;
} Peers;

static MmapUsers *users;

void
fuzz_start (void)
{
  users = mmap_users_new (NULL, NULL);
}

static void
come (Peers * self, guint i)
{
  int type = fuzz_one_in (self->input, 16) ? SOCK_SEQPACKET : SOCK_STREAM;

  self->peers[i] = socket (AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connect (self->peers[i], (struct sockaddr *) &self->address,
          self->address_size) < 0) {
    close (self->peers[i]);
    self->peers[i] = -1;
  }
}

static void
go (Peers * self, guint i)
{
  close (self->peers[i]);
  self->peers[i] = -1;
}

/* One message; its descriptors are rung. */
static void
hear (Peers * self, guint i)
{
  union
  {
    struct cmsghdr header;
    char bytes[CMSG_SPACE (4 * sizeof (int))];
  } control;
  gint64 number = -2;
  struct iovec data = { &number, sizeof number };
  struct msghdr message = {.msg_iov = &data,.msg_iovlen = 1,
    .msg_control = control.bytes,.msg_controllen = sizeof control.bytes
  };
  gssize n = recvmsg (self->peers[i], &message, MSG_DONTWAIT
      | MSG_CMSG_CLOEXEC);
  struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR (&message) : NULL;
  int fd;

  if (n <= 0)
    return;
  fuzz_assert (n == sizeof number && !(message.msg_flags & MSG_CTRUNC));
  fuzz_assert (number >= -1 && number < 65536);
  if (!header)
    return;
  fuzz_assert (header->cmsg_len == CMSG_LEN (sizeof (int)));
  memcpy (&fd, CMSG_DATA (header), sizeof fd);
  if (number >= 0)
    eventfd_write (fd, 1);
  close (fd);
}

static void
say (Peers * self, guint i)
{
  guint8 bytes[32] = { 0 };

  send (self->peers[i], bytes, 1 + fuzz_below (self->input, sizeof bytes),
      MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
step (Peers * self)
{
  guint i = fuzz_below (self->input, MAX_PEERS), n;

  if (self->peers[i] < 0) {
    come (self, i);
    return;
  }
  switch (fuzz_below (self->input, 8)) {
    case 0:
      say (self, i);
      break;
    case 1:
      shutdown (self->peers[i], fuzz_below (self->input, 3));
      break;
    case 2:
    case 3:
      go (self, i);
      break;
    default:
      for (n = fuzz_byte (self->input); n > 0; n--)
        hear (self, i);
      break;
  }
}

/* Where the server waits. */
static void
other (gpointer data)
{
  Peers *self = data;

  fuzz_assert (self->rounds++ < MAX_ROUNDS);
  if (self->steps++ < MAX_STEPS && self->input->size > 0)
    step (self);
  else
    eventfd_write (self->stop_fd, 1);
}

static void
serve (Peers * self)
{
  g_autofree char *path = g_strdup_printf ("%s/server",
      fuzz_world_get_directory ());
  MmapIvshmemSettings settings = {.socket_path = path,.users = users,
    .size = MMAP_IVSHMEM_MIN_BYTES,
    .n_vectors = 1 + fuzz_below (self->input, 4)
  };
  g_autoptr (GError) error = NULL;
  MmapIvshmemServer *server = mmap_ivshmem_server_new (&settings, &error);

  fuzz_assert (server);
  self->address.sun_family = AF_UNIX;
  g_strlcpy (self->address.sun_path, path, sizeof self->address.sun_path);
  self->address_size = sizeof self->address;
  fuzz_world_begin (other, self);
  fuzz_assert (mmap_ivshmem_server_run (server, self->stop_fd, NULL));
  fuzz_world_end ();
  mmap_ivshmem_server_free (server);
}

void
fuzz_run (FuzzInput * input)
{
  Peers self = {.input = input };
  guint i;

  for (i = 0; i < MAX_PEERS; i++)
    self.peers[i] = -1;
  self.stop_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  serve (&self);
  for (i = 0; i < MAX_PEERS; i++)
    if (self.peers[i] >= 0)
      close (self.peers[i]);
  close (self.stop_fd);
}
