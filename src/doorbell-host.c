/* gst-mmap: a doorbell on the host: a peer of an ivshmem server
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Made and freed by whoever shares the memory; rung by any thread. The server, and who else is a peer of it, may be hostile: each message
 * is checked, a descriptor that is due must be an eventfd, and none is read or written in a way that could wait.
 */
#include "doorbell-private.h"

#include "address.h"
#include "error.h"
#include "foreign.h"
#include "ivshmem-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* For a server that follows the rules: some messages per peer. Chosen, untuned. */
#define CONNECT_TIMEOUT_US (5 * G_USEC_PER_SEC)

/* The protocol's: the doorbell register has 16 bits for them. */
#define N_IDS 65536

/* Descriptors are what a server could use up. Chosen: four times what our own server has. More vectors than these are closed. */
#define MAX_PEERS 1024
#define MAX_VECTORS 32

/* So many messages are heard at once: a server that talks without end keeps nobody from its work. Chosen: as a socket holds. */
#define MAX_NOTICES 512

/* Rings for peers that the server hasn't told of yet, kept for when it does; chosen: as many as can be on their way. */
#define MAX_EARLY_RINGS 256

typedef struct
{
  guint n;
  int fds[MAX_VECTORS];
} Bells;

typedef struct
{
  MmapDoorbell parent;
  guint32 id;
  GMutex lock;
  /* under the lock */
  GSocket *socket;              /* %NULL: the server has ended */
  Bells own;
  GHashTable *peers;            /* id -> Bells */
  GArray *early;                /* guint32: addresses */
} Host;

/* --- messages --- */

typedef enum
{
  GOT_MESSAGE,
  GOT_NOTHING,                  /* not yet */
  GOT_END
} Got;

static void
close_fds (const int *fds, guint n)
{
  while (n > 0)
    close (fds[--n]);
}

/* Takes the descriptors out of a message. */
static guint
steal_fds (struct msghdr *message, int *fds, guint most)
{
  struct cmsghdr *header;
  guint n = 0, i;

  for (header = CMSG_FIRSTHDR (message); header;
      header = CMSG_NXTHDR (message, header)) {
    const int *there = (const int *) CMSG_DATA (header);

    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
      continue;
    for (i = 0; i < (header->cmsg_len - CMSG_LEN (0)) / sizeof (int); i++) {
      if (n < most)
        fds[n++] = there[i];
      else
        mmap_foreign_close (there[i]);
    }
  }
  return n;
}

/* One message. @fd: (out): -1: none. GOT_END with an error, or without one if the server has hung up. */
static Got
receive (GSocket * socket, gint64 * number, int *fd, GError ** error)
{
  union
  {
    /* What the kernel passes at once: descriptors without room would be closed by it here. */
    char bytes[CMSG_SPACE (253 * sizeof (int))];
    struct cmsghdr header;
  } control;
  struct iovec data = { number, sizeof *number };
  struct msghdr message = {.msg_iov = &data,.msg_iovlen = 1,
    .msg_control = control.bytes,.msg_controllen = sizeof control.bytes
  };
  int fds[4];
  guint n_fds, i;
  gssize n;

  *fd = -1;
  n = recvmsg (g_socket_get_fd (socket), &message,
      MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return GOT_NOTHING;
  if (n <= 0)
    return GOT_END;
  *number = GINT64_FROM_LE (*number);
  n_fds = steal_fds (&message, fds, G_N_ELEMENTS (fds));
  if (n == sizeof *number && n_fds <= 1 && !(message.msg_flags & MSG_CTRUNC)) {
    if (n_fds == 1)
      *fd = fds[0];
    return GOT_MESSAGE;
  }
  for (i = 0; i < n_fds; i++)
    mmap_foreign_close (fds[i]);
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The ivshmem server sent %" G_GSSIZE_FORMAT " bytes with %u "
      "descriptors%s, expected a number of 8 bytes with one at most", n, n_fds,
      message.msg_flags & MSG_CTRUNC ? ", of which some didn't arrive" : "");
  return GOT_END;
}

/* Whether it is one: to write to something else could wait for ever, or do anything. */
static gboolean
is_eventfd (int fd)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  g_autofree char *target = g_file_read_link (path, NULL);

  return g_strcmp0 (target, "anon_inode:[eventfd]") == 0;
}

/* --- peers --- */

static void
bells_free (Bells * bells)
{
  close_fds (bells->fds, bells->n);
  g_free (bells);
}

static void
watch_own (Host * host, int fd)
{
  struct epoll_event event = {.events = EPOLLIN };

  epoll_ctl (host->parent.fd, EPOLL_CTL_ADD, fd, &event);
}

/* Rings that came before the server told of the peer. */
static void
ring_early_locked (Host * host, guint32 id, guint vector, int fd)
{
  guint i;

  for (i = 0; i < host->early->len; i++)
    if (g_array_index (host->early, guint32, i)
        == MMAP_DOORBELL_ADDRESS (id, vector)) {
      mmap_doorbell_write_eventfd (fd);
      g_array_remove_index_fast (host->early, i);
      return;
    }
}

/* Takes @fd. */
static gboolean
add_bell_locked (Host * host, guint32 id, int fd, GError ** error)
{
  gboolean is_own = id == host->id;
  Bells *bells = is_own ? &host->own :
      g_hash_table_lookup (host->peers, GUINT_TO_POINTER (id));

  if (!is_eventfd (fd)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "The ivshmem server sent something else than an eventfd for peer %u",
        id);
    mmap_foreign_close (fd);
    return FALSE;
  }
  /* Looking for room before each ring is not enough: another who rings may take it. */
  fcntl (fd, F_SETFL, O_NONBLOCK);
  if (!bells && g_hash_table_size (host->peers) >= MAX_PEERS) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "The ivshmem server tells of more than %d peers", MAX_PEERS);
    close (fd);
    return FALSE;
  }
  if (!bells) {
    bells = g_new0 (Bells, 1);
    g_hash_table_insert (host->peers, GUINT_TO_POINTER (id), bells);
  }
  if (bells->n >= MAX_VECTORS) {
    close (fd);
    return TRUE;
  }
  bells->fds[bells->n++] = fd;
  if (is_own)
    watch_own (host, fd);
  else
    ring_early_locked (host, id, bells->n - 1, fd);
  return TRUE;
}

/* What follows the greeting. Takes @fd. */
static gboolean
handle_notice_locked (Host * host, gint64 number, int fd, GError ** error)
{
  if (number >= 0 && number < N_IDS && fd >= 0)
    return add_bell_locked (host, number, fd, error);
  if (number >= 0 && number < N_IDS && number != host->id
      && g_hash_table_remove (host->peers, GUINT_TO_POINTER ((guint) number)))
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The ivshmem server sent the number %" G_GINT64_FORMAT " %s a "
      "descriptor, expected the id of a peer", number,
      fd >= 0 ? "with" : "without");
  mmap_foreign_close (fd);
  return FALSE;
}

/* Until there is no more for now, or enough: the rest is heard next time. FALSE: the server has ended, for the reason in @error if it broke a
 * rule. */
static gboolean
hear_locked (Host * host, GError ** error)
{
  guint left = MAX_NOTICES;
  gint64 number;
  Got got;
  int fd;

  do {
    got = receive (host->socket, &number, &fd, error);
    if (got == GOT_MESSAGE && !handle_notice_locked (host, number, fd, error))
      got = GOT_END;
  } while (got == GOT_MESSAGE && --left > 0);
  return got != GOT_END;
}

static void
hear_of_peers_locked (Host * host)
{
  g_autoptr (GError) error = NULL;

  if (!host->socket || hear_locked (host, &error))
    return;
  /* Who is known can be rung as before. */
  if (error)
    g_warning ("%s: it is not listened to any more", error->message);
  mmap_foreign_close_socket (host->socket);
  g_clear_object (&host->socket);
}

/* --- the greeting --- */

static gboolean
is_in_time (gint64 until, GError ** error)
{
  if (g_get_monotonic_time () < until)
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_TIMEOUT,
      "The ivshmem server did not say who is there within %d s",
      (int) (CONNECT_TIMEOUT_US / G_USEC_PER_SEC));
  return FALSE;
}

/* The next message, with a descriptor if one is due, else without. */
static gboolean
expect (Host * host, gint64 until, gboolean with_fd, gint64 * number, int *fd,
    GError ** error)
{
  struct pollfd news = {.fd = g_socket_get_fd (host->socket),.events = POLLIN };
  Got got;

  while ((got = receive (host->socket, number, fd, error)) == GOT_NOTHING) {
    if (!is_in_time (until, error))
      return FALSE;
    poll (&news, 1, MAX (until - g_get_monotonic_time (), 0) / 1000 + 1);
  }
  if (got == GOT_END && !*error)
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_CLOSED,
        "The ivshmem server hung up: it may have too many peers, or not allow "
        "this user");
  if (got == GOT_END)
    return FALSE;
  if ((*fd >= 0) == with_fd)
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The ivshmem server sent the number %" G_GINT64_FORMAT " %s a "
      "descriptor, where one was %sdue", *number, with_fd ? "without" : "with",
      with_fd ? "" : "not ");
  mmap_foreign_close (*fd);
  return FALSE;
}

/* @memory_fd: (out): -1 on failure */
static gboolean
greet (Host * host, gint64 until, int *memory_fd, GError ** error)
{
  gint64 number;
  struct stat st;
  int fd;

  if (!expect (host, until, FALSE, &number, &fd, error))
    return FALSE;
  if (number != MMAP_IVSHMEM_VERSION) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_VERSION,
        "The ivshmem server speaks version %" G_GINT64_FORMAT " of its "
        "protocol, expected %d", number, MMAP_IVSHMEM_VERSION);
    return FALSE;
  }
  if (!expect (host, until, FALSE, &number, &fd, error))
    return FALSE;
  if (number < 0 || number >= N_IDS) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "The ivshmem server gave the id %" G_GINT64_FORMAT ", expected 0 to "
        "%d", number, N_IDS - 1);
    return FALSE;
  }
  host->id = number;
  host->parent.address = MMAP_DOORBELL_ADDRESS (host->id, 0);
  if (!expect (host, until, TRUE, &number, &fd, error))
    return FALSE;
  if (number == MMAP_IVSHMEM_MEMORY && fstat (fd, &st) == 0
      && S_ISREG (st.st_mode) && st.st_size > 0) {
    *memory_fd = fd;
    return TRUE;
  }
  mmap_foreign_close (fd);
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The ivshmem server sent the number %" G_GINT64_FORMAT " with a "
      "descriptor, expected %d with that of the memory", number,
      MMAP_IVSHMEM_MEMORY);
  return FALSE;
}

/* The other peers come before one's own bells. */
static gboolean
hear_first (Host * host, gint64 until, GError ** error)
{
  gint64 number;
  int fd;

  while (host->own.n == 0) {
    if (!is_in_time (until, error)
        || !expect (host, until, TRUE, &number, &fd, error)
        || !handle_notice_locked (host, number, fd, error))
      return FALSE;
  }
  return TRUE;
}

/* --- the bell --- */

static void
host_free (MmapDoorbell * doorbell)
{
  Host *host = (Host *) doorbell;

  mmap_foreign_close_socket (host->socket);
  g_clear_object (&host->socket);
  close_fds (host->own.fds, host->own.n);
  g_hash_table_unref (host->peers);
  g_array_unref (host->early);
  if (doorbell->fd >= 0)
    close (doorbell->fd);
  g_mutex_clear (&host->lock);
  g_free (host);
}

static guint64
host_take (MmapDoorbell * doorbell)
{
  Host *host = (Host *) doorbell;
  guint64 rings = 0;
  guint i;

  g_mutex_lock (&host->lock);
  hear_of_peers_locked (host);
  for (i = 0; i < host->own.n; i++)
    rings += mmap_doorbell_read_eventfd (host->own.fds[i]);
  g_mutex_unlock (&host->lock);
  return rings;
}

static void
remember_ring_locked (Host * host, guint32 address)
{
  guint i;

  for (i = 0; i < host->early->len; i++)
    if (g_array_index (host->early, guint32, i) == address)
      return;
  if (host->early->len >= MAX_EARLY_RINGS)
    g_array_remove_index (host->early, 0);
  g_array_append_val (host->early, address);
}

/* Returns: the descriptor, or -1 */
static int
find_bell_locked (Host * host, guint32 address)
{
  const Bells *bells = g_hash_table_lookup (host->peers,
      GUINT_TO_POINTER (MMAP_DOORBELL_ID (address)));
  guint vector = MMAP_DOORBELL_VECTOR (address);

  return bells && vector < bells->n ? bells->fds[vector] : -1;
}

static gboolean
host_ring (MmapDoorbell * doorbell, guint32 address)
{
  Host *host = (Host *) doorbell;
  int fd;

  g_mutex_lock (&host->lock);
  fd = find_bell_locked (host, address);
  if (fd < 0) {
    hear_of_peers_locked (host);
    fd = find_bell_locked (host, address);
  }
  if (fd >= 0)
    mmap_doorbell_write_eventfd (fd);
  else if (host->socket)
    remember_ring_locked (host, address);
  g_mutex_unlock (&host->lock);
  return fd >= 0;
}

static gboolean
host_has_server (MmapDoorbell * doorbell)
{
  Host *host = (Host *) doorbell;
  gboolean has;

  g_mutex_lock (&host->lock);
  has = host->socket != NULL;
  g_mutex_unlock (&host->lock);
  return has;
}

static gboolean
host_get_memory (MmapDoorbell * doorbell, int *fd, guint64 * offset,
    guint64 * size)
{
  return FALSE;
}

static const MmapDoorbellClass host_class = {
  host_free, host_take, host_ring, host_has_server, host_get_memory
};

/* Takes @socket. */
static Host *
host_new (GSocket * socket, GError ** error)
{
  struct epoll_event event = {.events = EPOLLIN };
  Host *host = g_new0 (Host, 1);

  host->parent.klass = &host_class;
  g_mutex_init (&host->lock);
  host->socket = socket;
  host->id = G_MAXUINT32;
  host->peers = g_hash_table_new_full (NULL, NULL, NULL,
      (GDestroyNotify) bells_free);
  host->early = g_array_new (FALSE, FALSE, sizeof (guint32));
  host->parent.fd = epoll_create1 (EPOLL_CLOEXEC);
  if (host->parent.fd >= 0 && epoll_ctl (host->parent.fd, EPOLL_CTL_ADD,
          g_socket_get_fd (socket), &event) == 0)
    return host;
  g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
      "Can't watch a socket: %s", g_strerror (errno));
  host_free (&host->parent);
  return NULL;
}

MmapDoorbell *
mmap_doorbell_connect (const char *socket_path, int *memory_fd, GError ** error)
{
  gint64 until = g_get_monotonic_time () + CONNECT_TIMEOUT_US;
  GSocket *socket = mmap_address_connect_stream (socket_path, error);
  GError *cause = NULL;
  int memory = -1;
  Host *host;

  if (memory_fd)
    *memory_fd = -1;
  if (!socket)
    return NULL;
  host = host_new (socket, error);
  if (!host)
    return NULL;
  if (greet (host, until, &memory, &cause)
      && hear_first (host, until, &cause)) {
    if (memory_fd)
      *memory_fd = memory;
    else
      close (memory);
    return &host->parent;
  }
  if (memory >= 0)
    close (memory);
  host_free (&host->parent);
  g_propagate_error (error, cause);
  return NULL;
}
