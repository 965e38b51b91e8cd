/* gst-mmap: where a producer can be reached from another machine: TCP, vsock
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Listening and connecting happen where elements start, or look for a producer; bytes are moved by the thread of a relay.
 */
#include "remote.h"

#include "error.h"
#include "protocol.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long a connection may take before it is tried again; chosen, untuned. */
#define CONNECT_MS 2000

/* A machine from which nothing comes for so long is asked, then a few times more, then given up: after 10 s. Chosen: longer than a guest is
 * likely to be paused for a snapshot. */
#define KEEPALIVE_IDLE_S 4
#define KEEPALIVE_INTERVAL_S 2
#define KEEPALIVE_COUNT 3

typedef struct
{
  union
  {
    struct sockaddr any;
    struct sockaddr_vm vm;
    struct sockaddr_storage storage;
  };
  socklen_t size;
} Target;

static gboolean
set_address_error (GError ** error, const char *address, const char *what)
{
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_ADDRESS,
      "The address \"%s\" %s: expected tcp:HOST:PORT or vsock:CID:PORT",
      address, what);
  return FALSE;
}

static gboolean
parse_number (const char *text, guint64 most, guint64 * number)
{
  return g_ascii_string_to_unsigned (text, 10, 0, most, number, NULL);
}

/* @host: (out) (transfer full): what is before the last colon
 * @port: (out): 0 is none */
static gboolean
split (const char *address, const char *rest, guint64 most, char **host,
    guint64 * port, GError ** error)
{
  const char *colon = strrchr (rest, ':');

  if (!colon || colon == rest)
    return set_address_error (error, address, "lacks a part");
  if (!parse_number (colon + 1, most, port) || *port == 0)
    return set_address_error (error, address, "has no port that could be");
  *host = g_strndup (rest, colon - rest);
  return TRUE;
}

static gboolean
parse_vsock (const char *address, gboolean listens, Target * target,
    GError ** error)
{
  g_autofree char *host = NULL;
  guint64 cid, port;

  if (!split (address, address + strlen ("vsock:"), G_MAXUINT32 - 1, &host,
          &port, error))
    return FALSE;
  if (strcmp (host, "any") == 0)
    cid = VMADDR_CID_ANY;
  else if (strcmp (host, "local") == 0)
    cid = VMADDR_CID_LOCAL;
  else if (strcmp (host, "host") == 0)
    cid = VMADDR_CID_HOST;
  else if (!parse_number (host, G_MAXUINT32 - 1, &cid))
    return set_address_error (error, address,
        "has a CID that is neither a number nor local, host or any");
  if (cid == VMADDR_CID_ANY && !listens)
    return set_address_error (error, address,
        "can be listened at, but not connected to");
  memset (target, 0, sizeof *target);
  target->vm.svm_family = AF_VSOCK;
  target->vm.svm_cid = cid;
  target->vm.svm_port = port;
  target->size = sizeof target->vm;
  return TRUE;
}

typedef struct
{
  GCancellable *cancellable;
  GList *found;
  GError *error;
  gboolean done;
} Lookup;

static void
lookup_done (GObject * resolver, GAsyncResult * result, gpointer data)
{
  Lookup *lookup = data;

  lookup->found = g_resolver_lookup_by_name_finish (G_RESOLVER (resolver),
      result, &lookup->error);
  lookup->done = TRUE;
}

static gboolean
lookup_cancel (gint fd, GIOCondition condition, gpointer data)
{
  Lookup *lookup = data;

  g_cancellable_cancel (lookup->cancellable);
  return G_SOURCE_REMOVE;
}

/* A name server that doesn't answer takes the system's resolver longer than anybody who stops wants to wait.
 * @cancel_fd: -1: none */
static void
lookup_run (Lookup * lookup, const char *host, int cancel_fd)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GResolver) resolver = g_resolver_get_default ();
  g_autoptr (GSource) cancel = NULL;

  lookup->cancellable = g_cancellable_new ();
  if (cancel_fd >= 0) {
    cancel = g_unix_fd_source_new (cancel_fd, G_IO_IN);
    g_source_set_callback (cancel, G_SOURCE_FUNC (lookup_cancel), lookup, NULL);
    g_source_attach (cancel, context);
  }
  g_main_context_push_thread_default (context);
  g_resolver_lookup_by_name_async (resolver, host, lookup->cancellable,
      lookup_done, lookup);
  while (!lookup->done)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  if (cancel)
    g_source_destroy (cancel);
  g_clear_object (&lookup->cancellable);
}

/* @host: without brackets
 * Returns: (transfer full) (nullable): one of its addresses */
static GInetAddress *
resolve (const char *address, const char *host, int cancel_fd, GError ** error)
{
  GInetAddress *inet = g_inet_address_new_from_string (host);
  Lookup lookup = { 0 };

  if (inet)
    return inet;
  lookup_run (&lookup, host, cancel_fd);
  if (lookup.found) {
    inet = g_object_ref (lookup.found->data);
    g_resolver_free_addresses (lookup.found);
    return inet;
  }
  g_set_error (error, MMAP_ERROR,
      g_error_matches (lookup.error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ?
      MMAP_ERROR_NOT_FOUND : MMAP_ERROR_ADDRESS,
      "The host of \"%s\" can't be found: %s", address, lookup.error->message);
  g_error_free (lookup.error);
  return NULL;
}

/* @host: (out) (transfer full): without brackets */
static gboolean
split_tcp (const char *address, char **host, guint64 * port, GError ** error)
{
  gsize length;

  if (!split (address, address + strlen ("tcp:"), G_MAXUINT16, host, port,
          error))
    return FALSE;
  length = strlen (*host);
  if ((*host)[0] == '[' && (*host)[length - 1] == ']') {
    (*host)[length - 1] = '\0';
    memmove (*host, *host + 1, length - 1);
  } else if (strchr (*host, ':')) {
    return set_address_error (error, address,
        "has more colons than it may: an IPv6 address goes in brackets");
  }
  return TRUE;
}

static gboolean
parse_tcp (const char *address, gboolean allow_remote, int cancel_fd,
    Target * target, GError ** error)
{
  g_autofree char *host = NULL;
  g_autoptr (GInetAddress) inet = NULL;
  g_autoptr (GSocketAddress) native = NULL;
  guint64 port;

  if (!split_tcp (address, &host, &port, error))
    return FALSE;
  inet = resolve (address, host, cancel_fd, error);
  if (!inet)
    return FALSE;
  if (!allow_remote && !g_inet_address_get_is_loopback (inet)) {
    g_autofree char *text = g_inet_address_to_string (inet);

    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "%s is not on this machine (%s): whoever can reach it could take part: "
        "set allow-remote=true if that is meant, best with an access-token",
        address, text);
    return FALSE;
  }
  native = g_inet_socket_address_new (inet, port);
  memset (target, 0, sizeof *target);
  target->size = g_socket_address_get_native_size (native);
  return g_socket_address_to_native (native, &target->storage,
      sizeof target->storage, NULL)
      || set_address_error (error, address, "can't be used");
}

static gboolean
parse (const char *address, gboolean allow_remote, gboolean listens,
    int cancel_fd, Target * target, GError ** error)
{
  if (g_str_has_prefix (address, "vsock:"))
    return parse_vsock (address, listens, target, error);
  if (g_str_has_prefix (address, "tcp:"))
    return parse_tcp (address, allow_remote, cancel_fd, target, error);
  return set_address_error (error, address, "is of no known kind");
}

gboolean
mmap_remote_check (const char *address, GError ** error)
{
  g_autofree char *host = NULL;
  guint64 port;
  Target target;

  if (g_str_has_prefix (address, "tcp:"))
    return split_tcp (address, &host, &port, error);
  return parse (address, FALSE, TRUE, -1, &target, error);
}

gboolean
mmap_remote_has_name (const char *address)
{
  g_autofree char *host = NULL;
  guint64 port;

  return g_str_has_prefix (address, "tcp:")
      && split_tcp (address, &host, &port, NULL)
      && !g_hostname_is_ip_address (host);
}

/* From errno. Returns: -1 */
static int
fail (int fd, const char *address, const char *verb, GError ** error)
{
  int errnum = errno;
  int code = mmap_error_from_errno (errnum);

  if (fd >= 0)
    close (fd);
  if (errnum == EADDRINUSE)
    code = MMAP_ERROR_IN_USE;
  else if (errnum == EACCES || errnum == EPERM)
    code = MMAP_ERROR_PERMISSION;
  g_set_error (error, MMAP_ERROR, code, "Can't %s %s: %s%s", verb, address,
      g_strerror (errnum), errnum == EAFNOSUPPORT || errnum == ENODEV ?
      ": this machine has no such sockets: for vsock, load the module "
      "vsock_loopback, or vhost_vsock on a host, or give the guest a "
      "vhost-vsock-pci device" : "");
  return -1;
}

int
mmap_remote_listen (const char *address, gboolean allow_remote, int cancel_fd,
    GError ** error)
{
  Target target;
  int fd, one = 1;

  if (!parse (address, allow_remote, TRUE, cancel_fd, &target, error))
    return -1;
  fd = socket (target.any.sa_family,
      SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return fail (fd, address, "listen at", error);
  /* Or nobody could listen here for a minute after a connection was closed. */
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind (fd, &target.any, target.size) < 0
      || listen (fd, MMAP_MAX_LINKS) < 0)
    return fail (fd, address, "listen at", error);
  return fd;
}

static void
set_tcp (int fd, int name, int value)
{
  setsockopt (fd, IPPROTO_TCP, name, &value, sizeof value);
}

/* Messages are small, and waited for; and there may be none for hours, so that it would go unnoticed that the other machine has lost its
 * power, or the network its cable. vsock needs neither: it knows when a guest ends. Returns: @fd */
static int
set_up_stream (int fd)
{
  int one = 1;

  setsockopt (fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  set_tcp (fd, TCP_NODELAY, 1);
  set_tcp (fd, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
  set_tcp (fd, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
  set_tcp (fd, TCP_KEEPCNT, KEEPALIVE_COUNT);
  /* What was sent is acknowledged, or the other machine is given up, too. */
  set_tcp (fd, TCP_USER_TIMEOUT,
      1000 * (KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S * KEEPALIVE_COUNT));
  return fd;
}

int
mmap_remote_accept (int listener, GError ** error)
{
  int fd;

  do {
    fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  } while (fd < 0 && errno == EINTR);
  if (fd >= 0)
    return set_up_stream (fd);
  g_set_error (error, MMAP_ERROR,
      errno == EAGAIN || errno == ECONNABORTED ? MMAP_ERROR_NOT_FOUND :
      mmap_error_from_errno (errno), "Can't accept a connection: %s",
      g_strerror (errno));
  return -1;
}

/* Whether nobody is there, or not yet: as good as a Unix socket that isn't there. */
static gboolean
is_absence (int errnum)
{
  return errnum == ECONNREFUSED || errnum == ECONNRESET || errnum == ETIMEDOUT
      || errnum == EHOSTUNREACH || errnum == ENETUNREACH || errnum == EHOSTDOWN;
}

/* Waits for a connection that is under way. FALSE with errno set. */
static gboolean
wait_connected (int fd, int cancel_fd)
{
  struct pollfd fds[2] = { {fd, POLLOUT, 0}, {cancel_fd, POLLIN, 0} };
  socklen_t size = sizeof errno;
  int n, result = 0;

  do {
    n = poll (fds, G_N_ELEMENTS (fds), CONNECT_MS);
  } while (n < 0 && errno == EINTR);
  if (n < 0)
    return FALSE;
  if (!fds[0].revents) {
    errno = ETIMEDOUT;
    return FALSE;
  }
  if (getsockopt (fd, SOL_SOCKET, SO_ERROR, &result, &size) < 0)
    return FALSE;
  errno = result;
  return result == 0;
}

int
mmap_remote_connect (const char *address, gboolean allow_remote,
    int cancel_fd, GError ** error)
{
  Target target;
  int fd;

  if (!parse (address, allow_remote, FALSE, cancel_fd, &target, error))
    return -1;
  fd = socket (target.any.sa_family,
      SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return fail (fd, address, "connect to", error);
  if (connect (fd, &target.any, target.size) == 0
      || (errno == EINPROGRESS && wait_connected (fd, cancel_fd)))
    return set_up_stream (fd);
  if (!is_absence (errno))
    return fail (fd, address, "connect to", error);
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND,
      "Nobody listens at %s yet: %s", address, g_strerror (errno));
  close (fd);
  return -1;
}

static gssize
moved (gssize n, gboolean * ended)
{
  if (n > 0)
    return n;
  /* A lack of memory may pass. */
  if (n == 0 || (errno != EAGAIN && errno != EINTR && errno != ENOBUFS
          && errno != ENOMEM))
    *ended = TRUE;
  return 0;
}

gssize
mmap_remote_push (int fd, const guint8 * bytes, gsize n, gboolean * ended)
{
  return moved (send (fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL), ended);
}

gssize
mmap_remote_pop (int fd, guint8 * bytes, gsize n, gboolean * ended)
{
  return moved (recv (fd, bytes, n, MSG_DONTWAIT), ended);
}
