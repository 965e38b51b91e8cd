/* gst-mmap: one peer of an ivshmem server
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by the server, on its thread. A message is a number of 8 bytes, little-endian, with at most one descriptor.
 */
#include "ivshmem-peer.h"

#include "error.h"
#include "foreign.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of a socket to a peer: the system makes it what its smallest is, some messages. The descriptors in messages that nobody reads count for
 * the whole user, and a peer that doesn't read must not use them up. */
#define SEND_BUFFER_BYTES 1

/* @fd: -1: none; not owned: who is spoken of lives as long as this */
typedef struct
{
  gint64 number;
  int fd;
  const MmapIvshmemPeer *about;
} Notice;

static void
add_notice (MmapIvshmemPeer * peer, gint64 number, int fd,
    const MmapIvshmemPeer * about)
{
  Notice *notice = g_new (Notice, 1);

  *notice = (Notice) {
  .number = number,.fd = fd,.about = about};
  g_queue_push_tail (&peer->notices, notice);
}

MmapIvshmemPeer *
mmap_ivshmem_peer_new (int fd, guint n_vectors, GError ** error)
{
  MmapIvshmemPeer *peer = g_new0 (MmapIvshmemPeer, 1);
  int bytes = SEND_BUFFER_BYTES;

  peer->fd = -1;
  peer->eventfds = g_new (int, n_vectors);
  g_queue_init (&peer->notices);
  for (; peer->n_vectors < n_vectors; peer->n_vectors++) {
    int made = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (made < 0) {
      g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
          "Can't make an eventfd: %s", g_strerror (errno));
      mmap_ivshmem_peer_free (peer);
      return NULL;
    }
    peer->eventfds[peer->n_vectors] = made;
  }
  setsockopt (fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  peer->fd = fd;
  return peer;
}

void
mmap_ivshmem_peer_free (MmapIvshmemPeer * peer)
{
  guint i;

  g_queue_clear_full (&peer->notices, g_free);
  for (i = 0; i < peer->n_vectors; i++)
    close (peer->eventfds[i]);
  if (peer->fd >= 0)
    mmap_foreign_close_socket_fd (peer->fd);
  g_free (peer->eventfds);
  g_free (peer);
}

void
mmap_ivshmem_peer_greet (MmapIvshmemPeer * peer, int memory_fd)
{
  add_notice (peer, MMAP_IVSHMEM_VERSION, -1, NULL);
  add_notice (peer, peer->id, -1, NULL);
  add_notice (peer, MMAP_IVSHMEM_MEMORY, memory_fd, NULL);
}

void
mmap_ivshmem_peer_tell_of (MmapIvshmemPeer * peer,
    const MmapIvshmemPeer * other)
{
  guint i;

  for (i = 0; i < other->n_vectors; i++)
    add_notice (peer, other->id, other->eventfds[i], other);
}

void
mmap_ivshmem_peer_tell_gone (MmapIvshmemPeer * peer,
    const MmapIvshmemPeer * other)
{
  GList *item, *next;
  guint n = 0;

  for (item = peer->notices.head; item; item = next) {
    Notice *notice = item->data;

    next = item->next;
    if (notice->about != other)
      continue;
    g_free (notice);
    g_queue_delete_link (&peer->notices, item);
    n++;
  }
  if (n < other->n_vectors)
    add_notice (peer, other->id, -1, NULL);
}

/* Returns: 0 or an errno */
static int
send_notice (int socket_fd, const Notice * notice)
{
  gint64 number = GINT64_TO_LE (notice->number);
  struct iovec data = { &number, sizeof number };
  struct msghdr message = {.msg_iov = &data,.msg_iovlen = 1 };
  union
  {
    char bytes[CMSG_SPACE (sizeof (int))];
    struct cmsghdr header;
  } control = { 0 };
  gssize n;

  if (notice->fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN (sizeof (int));
    memcpy (CMSG_DATA (&control.header), &notice->fd, sizeof (int));
  }
  do {
    n = sendmsg (socket_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  /* So few bytes go at once or not at all. */
  return n == sizeof number ? 0 : n < 0 ? errno : EPIPE;
}

MmapIvshmemFlush
mmap_ivshmem_peer_flush (MmapIvshmemPeer * peer)
{
  Notice *notice;
  int result;

  while ((notice = g_queue_peek_head (&peer->notices))) {
    result = send_notice (peer->fd, notice);
    if (result == EAGAIN)
      return MMAP_IVSHMEM_FULL;
    if (result != 0)
      return mmap_error_from_errno (result) == MMAP_ERROR_NO_RESOURCES ?
          MMAP_IVSHMEM_AGAIN : MMAP_IVSHMEM_GONE;
    g_free (g_queue_pop_head (&peer->notices));
  }
  return MMAP_IVSHMEM_FLUSHED;
}
