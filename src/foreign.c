/* gst-mmap: descriptors and connections of others, which may block whoever closes them
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The last to close a file waits for what its maker likes: the daemon of a FUSE file system, or the time that a TCP socket lingers. That is also who
 * closes a socket with a message that was not received and holds such a file, or receives it without room for descriptors. Any thread.
 *
 * Who blocks here does it in a thread of its own; there are few, and what is left over waits, open, until one is free.
 */
#include "foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Chosen: an application notices none of them. */
#define MAX_THREADS 8

/* Of one socket's messages that were not received; chosen: more than fit into what the kernel keeps for one. */
#define MAX_LEFT 4096

/* Linux 6.16, where the numbers of socket options are those of most machines. */
#if !defined (SO_PASSRIGHTS) && SO_PASSCRED == 16
#define SO_PASSRIGHTS 83
#endif

typedef struct
{
  GSocket *socket;              /* (nullable) */
  int fd;                       /* if there is no socket */
} Leftover;

static GMutex lock;
static GQueue leftovers = G_QUEUE_INIT;
static guint n_threads;

static gpointer
close_leftovers (gpointer data)
{
  Leftover *leftover;

  g_mutex_lock (&lock);
  while ((leftover = g_queue_pop_head (&leftovers))) {
    g_mutex_unlock (&lock);
    if (leftover->socket)
      g_socket_close (leftover->socket, NULL);
    else
      close (leftover->fd);
    g_clear_object (&leftover->socket);
    g_free (leftover);
    g_mutex_lock (&lock);
  }
  n_threads--;
  g_mutex_unlock (&lock);
  return NULL;
}

/* @socket: (transfer full) (nullable) */
static void
close_elsewhere (GSocket * socket, int fd)
{
  Leftover *leftover = g_new (Leftover, 1);
  GThread *thread;
  gboolean start;

  *leftover = (Leftover) {
  socket, fd};
  g_mutex_lock (&lock);
  g_queue_push_tail (&leftovers, leftover);
  start = n_threads < MAX_THREADS;
  if (start)
    n_threads++;
  g_mutex_unlock (&lock);
  if (!start)
    return;
  thread = g_thread_try_new ("mmap-close", close_leftovers, NULL, NULL);
  if (thread) {
    g_thread_unref (thread);
    return;
  }
  /* The next one closes it. */
  g_mutex_lock (&lock);
  n_threads--;
  g_mutex_unlock (&lock);
}

void
mmap_foreign_close (int fd)
{
  if (fd < 0)
    return;
  /* Only memory has seals, if none can be set: there is nobody to wait for. */
  if (fcntl (fd, F_GET_SEALS) >= 0)
    close (fd);
  else
    close_elsewhere (NULL, fd);
}

/* --- connections --- */

typedef enum
{
  NEXT_NOTHING,
  NEXT_PLAIN,
  NEXT_DESCRIPTORS
} Next;

/* Looks at what is to be received next, and leaves it there. If the socket asks for credentials, each message has them: so one of no bytes is told
 * from the end.
 * @n: (out): its bytes, up to @size */
static Next
peek (int fd, guint8 * data, gsize size, gssize * n)
{
  union
  {
    struct cmsghdr align;
    guint8 bytes[CMSG_SPACE (sizeof (struct ucred))];
  } control;
  struct iovec vector = { data, size };
  struct msghdr message = {
    .msg_iov = &vector,
    .msg_iovlen = 1,
    .msg_control = &control,
    .msg_controllen = sizeof control,
  };

  /* Who closes without having read everything resets the connection, which is told once, before what it sent. */
  do {
    *n = recvmsg (fd, &message, MSG_PEEK | MSG_DONTWAIT);
  } while (*n < 0 && (errno == EINTR || errno == ECONNRESET));
  if (*n < 0 || message.msg_controllen == 0)
    return NEXT_NOTHING;
  return message.msg_flags & MSG_CTRUNC ? NEXT_DESCRIPTORS : NEXT_PLAIN;
}

static void
ask_for_credentials (int fd)
{
  int yes = 1;

  setsockopt (fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
}

/* Receives what there still is. FALSE: at descriptors it stopped. */
static gboolean
drain (int fd)
{
  guint i;

  ask_for_credentials (fd);
  for (i = 0; i < MAX_LEFT; i++) {
    guint8 data[4096];
    gssize n;

    switch (peek (fd, data, sizeof data, &n)) {
      case NEXT_NOTHING:
        return TRUE;
      case NEXT_DESCRIPTORS:
        return FALSE;
      case NEXT_PLAIN:
        /* Of a stream no more than was looked at. */
        if (recv (fd, data, MAX (n, 1), MSG_DONTWAIT) < 0 && errno != EINTR)
          return FALSE;
        break;
    }
  }
  return FALSE;
}

void
mmap_foreign_close_socket (GSocket * socket)
{
  int fd;

  if (!socket || g_socket_is_closed (socket))
    return;
  fd = g_socket_get_fd (socket);
  shutdown (fd, SHUT_RDWR);
  if (drain (fd))
    g_socket_close (socket, NULL);
  else
    close_elsewhere (g_object_ref (socket), -1);
}

void
mmap_foreign_leave_socket (GSocket * socket)
{
  guint8 byte;
  gssize n;

  if (!socket || g_socket_is_closed (socket))
    return;
  ask_for_credentials (g_socket_get_fd (socket));
  /* What is there may be for others. */
  if (peek (g_socket_get_fd (socket), &byte, 1, &n) == NEXT_NOTHING)
    g_socket_close (socket, NULL);
  else
    close_elsewhere (g_object_ref (socket), -1);
}

void
mmap_foreign_close_socket_fd (int fd)
{
  shutdown (fd, SHUT_RDWR);
  if (drain (fd))
    close (fd);
  else
    close_elsewhere (NULL, fd);
}

void
mmap_foreign_close_listener (GSocket * listener)
{
  int fd;

  if (!listener || g_socket_is_closed (listener))
    return;
  /* Nobody comes any more, but who waits can still be accepted. */
  shutdown (g_socket_get_fd (listener), SHUT_RD);
  while ((fd = accept4 (g_socket_get_fd (listener), NULL, NULL,
              SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
    mmap_foreign_close_socket_fd (fd);
  /* Some may be left. */
  if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
    close_elsewhere (g_object_ref (listener), -1);
  else
    g_socket_close (listener, NULL);
}

gboolean
mmap_foreign_has_descriptors (int fd)
{
  struct msghdr message = { 0 };
  gssize n;

  do {
    n = recvmsg (fd, &message, MSG_PEEK | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  return n >= 0 && (message.msg_flags & MSG_CTRUNC);
}

void
mmap_foreign_refuse_descriptors (int fd)
{
#ifdef SO_PASSRIGHTS
  int no = 0;

  setsockopt (fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof no);
#endif
}
