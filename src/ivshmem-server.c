/* gst-mmap: a server for QEMU's ivshmem-doorbell devices, and for processes that speak their protocol
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by the tool, on one thread; see ivshmem-peer.c for what a peer is told.
 *
 * Peers never say anything: who does, or hangs up, is gone. One that doesn't read is waited for by nobody: what it has to be told stays in
 * a list, which is bounded, as who has come and gone meanwhile isn't mentioned. So a QEMU that was stopped goes on where it was.
 */
#include "ivshmem-peer.h"
#include "ivshmem-server.h"

#include "address.h"
#include "error.h"
#include "foreign.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of the process: standard streams, memory, socket, lock, epoll, stop, and what GLib and the C library open for a moment. */
#define OTHER_DESCRIPTORS 32

/* How long to wait when the system has no descriptor left, or too many are under way; chosen, untuned. */
#define AGAIN_MS 100

/* The protocol's: the doorbell register has 16 bits for them. */
#define N_IDS 65536

struct _MmapIvshmemServer
{
  MmapListener *listener;
  MmapIvshmemMemory memory;
  MmapUsers *own_users;
  const MmapUsers *users;
  guint n_vectors;
  guint max_peers;
  int epoll_fd;
  GPtrArray *peers;             /* MmapIvshmemPeer, in the order in which they came */
  guint32 next_id;
  gboolean again;               /* something is to be tried again soon */
  gboolean refused;             /* somebody was, and it was said: once until the next comes */
  void (*report) (const char *line, gpointer data);
  gpointer report_data;
};

static void
report (MmapIvshmemServer * server, const char *format, ...)
G_GNUC_PRINTF (2, 3);

     static void report (MmapIvshmemServer * server, const char *format, ...)
{
  g_autofree char *line = NULL;
  va_list args;

  if (!server->report)
    return;
  va_start (args, format);
  line = g_strdup_vprintf (format, args);
  va_end (args);
  server->report (line, server->report_data);
}

static gboolean
watch (MmapIvshmemServer * server, int operation, int fd, guint32 events,
    gpointer what)
{
  struct epoll_event event = {.events = events,.data = {.ptr = what} };

  return epoll_ctl (server->epoll_fd, operation, fd, &event) == 0;
}

/* As many peers as there can be descriptors for. */
static guint
find_max_peers (guint n_vectors)
{
  struct rlimit limit;
  guint64 peers = MMAP_IVSHMEM_MAX_PEERS;

  if (getrlimit (RLIMIT_NOFILE, &limit) < 0)
    return peers;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit (RLIMIT_NOFILE, &limit) < 0)
      getrlimit (RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur > OTHER_DESCRIPTORS)
    peers = MIN (peers, (limit.rlim_cur - OTHER_DESCRIPTORS) / (1 + n_vectors));
  return MAX (peers, 1);
}

MmapIvshmemServer *
mmap_ivshmem_server_new (const MmapIvshmemSettings * settings, GError ** error)
{
  MmapIvshmemServer *server;

  if (settings->n_vectors < 1 || settings->n_vectors > MMAP_IVSHMEM_MAX_VECTORS) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "vectors is %u, expected 1 to %d", settings->n_vectors,
        MMAP_IVSHMEM_MAX_VECTORS);
    return NULL;
  }
  server = g_new0 (MmapIvshmemServer, 1);
  server->memory.fd = -1;
  server->n_vectors = settings->n_vectors;
  server->max_peers = find_max_peers (settings->n_vectors);
  server->report = settings->report;
  server->report_data = settings->report_data;
  server->peers = g_ptr_array_new ();
  if (!settings->users)
    server->own_users = mmap_users_new (NULL, NULL);
  server->users = settings->users ? settings->users : server->own_users;
  server->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (server->epoll_fd < 0)
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "Can't make an epoll descriptor: %s", g_strerror (errno));
  /* The memory first: who connects gets it at once. */
  else if (mmap_ivshmem_memory_init (&server->memory, settings->file,
          settings->size, &settings->mode, error)
      && (server->listener = mmap_listener_new_stream (settings->socket_path,
              &settings->mode, error)))
    return server;
  mmap_ivshmem_server_free (server);
  return NULL;
}

guint64
mmap_ivshmem_server_get_size (const MmapIvshmemServer * server)
{
  return server->memory.size;
}

/* --- peers --- */

static void
drop_peer (MmapIvshmemServer * server, MmapIvshmemPeer * peer, const char *why)
{
  guint i;

  report (server, "peer %u %s", peer->id, why);
  g_ptr_array_remove (server->peers, peer);
  for (i = 0; i < server->peers->len; i++)
    mmap_ivshmem_peer_tell_gone (g_ptr_array_index (server->peers, i), peer);
  mmap_ivshmem_peer_free (peer);
}

/* Says what there is to say to everybody. */
static void
flush_peers (MmapIvshmemServer * server)
{
  gboolean dropped;
  guint i;

  do {
    dropped = FALSE;
    for (i = 0; i < server->peers->len && !dropped; i++) {
      MmapIvshmemPeer *peer = g_ptr_array_index (server->peers, i);

      switch (mmap_ivshmem_peer_flush (peer)) {
        case MMAP_IVSHMEM_FLUSHED:
          if (peer->watched_for_room
              && watch (server, EPOLL_CTL_MOD, peer->fd, EPOLLIN, peer))
            peer->watched_for_room = FALSE;
          break;
        case MMAP_IVSHMEM_FULL:
          if (!peer->watched_for_room && watch (server, EPOLL_CTL_MOD,
                  peer->fd, EPOLLIN | EPOLLOUT, peer))
            peer->watched_for_room = TRUE;
          break;
        case MMAP_IVSHMEM_AGAIN:
          server->again = TRUE;
          break;
        case MMAP_IVSHMEM_GONE:
          /* Who is told of that comes once more. */
          drop_peer (server, peer, "has gone");
          dropped = TRUE;
          break;
      }
    }
  } while (dropped);
}

static void
handle_peer (MmapIvshmemServer * server, MmapIvshmemPeer * peer, guint events)
{
  char byte;
  gssize n;

  if (!(events & ~(guint) EPOLLOUT))
    return;
  /* What it says is not received: there may be descriptors. */
  n = recv (peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0)
    drop_peer (server, peer, "was hung up on: it said something, which no "
        "peer of an ivshmem server does");
  else if (n == 0 || (errno != EAGAIN && errno != EINTR))
    drop_peer (server, peer, "has gone");
}

/* --- who connects --- */

static gboolean
is_own (guint32 uid)
{
  return uid == geteuid () || uid == 0;
}

static guint
count_peers (MmapIvshmemServer * server, guint32 uid)
{
  guint i, n = 0;

  for (i = 0; i < server->peers->len; i++)
    if (((MmapIvshmemPeer *) g_ptr_array_index (server->peers, i))->uid == uid)
      n++;
  return n;
}

static gboolean
check_peer (MmapIvshmemServer * server, const MmapPeer * peer, GError ** error)
{
  guint limit = MAX (server->max_peers / 2, 1);

  if (!mmap_users_have (server->users, peer->uid))
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_USER,
        "It is run by user %u, whom --allowed-uids doesn't name", peer->uid);
  else if (server->peers->len >= server->max_peers)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "There are %u peers already: the limit", server->peers->len);
  else if (!is_own (peer->uid) && count_peers (server, peer->uid) >= limit)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "There are %u peers of user %u already: the limit for a user who is "
        "neither the server's own nor root", limit, peer->uid);
  else
    return TRUE;
  return FALSE;
}

/* The next that nobody has: one that was in use is long in coming again, so that nobody is taken for another. */
static guint32
take_id (MmapIvshmemServer * server)
{
  guint32 id;
  guint i;

  do {
    id = server->next_id;
    server->next_id = (id + 1) % N_IDS;
    for (i = 0; i < server->peers->len; i++)
      if (((MmapIvshmemPeer *) g_ptr_array_index (server->peers, i))->id == id)
        break;
  } while (i < server->peers->len);
  return id;
}

/* Takes @fd on success. */
static gboolean
add_peer (MmapIvshmemServer * server, int fd, GError ** error)
{
  MmapIvshmemPeer *peer;
  MmapPeer who;
  guint i;

  if (!mmap_peer_init (&who, fd, error) || !check_peer (server, &who, error))
    return FALSE;
  peer = mmap_ivshmem_peer_new (fd, server->n_vectors, error);
  if (!peer)
    return FALSE;
  if (!watch (server, EPOLL_CTL_ADD, fd, EPOLLIN, peer)) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "Can't watch its socket: %s", g_strerror (errno));
    peer->fd = -1;
    mmap_ivshmem_peer_free (peer);
    return FALSE;
  }
  peer->id = take_id (server);
  peer->uid = who.uid;
  mmap_ivshmem_peer_greet (peer, server->memory.fd);
  for (i = 0; i < server->peers->len; i++) {
    MmapIvshmemPeer *other = g_ptr_array_index (server->peers, i);

    mmap_ivshmem_peer_tell_of (other, peer);
    mmap_ivshmem_peer_tell_of (peer, other);
  }
  /* Last: it knows by these that it has heard of all others. */
  mmap_ivshmem_peer_tell_of (peer, peer);
  g_ptr_array_add (server->peers, peer);
  server->refused = FALSE;
  report (server, "peer %u has come: pid %u, user %u", peer->id, who.pid,
      who.uid);
  return TRUE;
}

static void
accept_peer (MmapIvshmemServer * server)
{
  int fd = accept4 (g_socket_get_fd (server->listener->socket), NULL, NULL,
      SOCK_CLOEXEC | SOCK_NONBLOCK);
  g_autoptr (GError) error = NULL;

  if (fd < 0) {
    /* The listener stays readable: don't spin until there are descriptors, or memory, again. */
    if (mmap_error_from_errno (errno) == MMAP_ERROR_NO_RESOURCES
        && errno != EAGAIN && watch (server, EPOLL_CTL_MOD,
            g_socket_get_fd (server->listener->socket), 0, server->listener))
      server->again = TRUE;
    return;
  }
  if (add_peer (server, fd, &error))
    return;
  mmap_foreign_close_socket_fd (fd);
  if (!server->refused)
    report (server, "somebody was refused: %s", error->message);
  server->refused = TRUE;
}

/* --- the loop --- */

/* FALSE: it is time to stop. */
static gboolean
handle_events (MmapIvshmemServer * server, struct epoll_event *events, int n)
{
  int i;

  for (i = 0; i < n; i++) {
    gpointer what = events[i].data.ptr;

    if (what == server)
      return FALSE;
    if (what == server->listener)
      accept_peer (server);
    else if (g_ptr_array_find (server->peers, what, NULL))
      handle_peer (server, what, events[i].events);
  }
  return TRUE;
}

gboolean
mmap_ivshmem_server_run (MmapIvshmemServer * server, int stop_fd,
    GError ** error)
{
  int listener = g_socket_get_fd (server->listener->socket);
  struct epoll_event events[16];
  int n;

  if (!watch (server, EPOLL_CTL_ADD, stop_fd, EPOLLIN, server)
      || !watch (server, EPOLL_CTL_ADD, listener, EPOLLIN, server->listener)) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "Can't watch descriptors: %s", g_strerror (errno));
    return FALSE;
  }
  do {
    n = epoll_wait (server->epoll_fd, events, G_N_ELEMENTS (events),
        server->again ? AGAIN_MS : -1);
    if (n < 0 && errno != EINTR) {
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_FAILED, "Can't wait: %s",
          g_strerror (errno));
      return FALSE;
    }
    if (n == 0) {
      server->again = FALSE;
      watch (server, EPOLL_CTL_MOD, listener, EPOLLIN, server->listener);
    }
    if (n > 0 && !handle_events (server, events, n))
      return TRUE;
    flush_peers (server);
  } while (TRUE);
}

void
mmap_ivshmem_server_free (MmapIvshmemServer * server)
{
  if (!server)
    return;
  g_ptr_array_set_free_func (server->peers,
      (GDestroyNotify) mmap_ivshmem_peer_free);
  g_ptr_array_unref (server->peers);
  g_clear_pointer (&server->listener, mmap_listener_free);
  mmap_ivshmem_memory_clear (&server->memory);
  if (server->epoll_fd >= 0)
    close (server->epoll_fd);
  mmap_users_free (server->own_users);
  g_free (server);
}
