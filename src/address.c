/* gst-mmap: where a producer can be reached: Unix sockets
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called when a producer starts and stops, and by a consumer each time it tries to connect.
 */
#include "address.h"

#include "error.h"
#include "foreign.h"
#include "lock.h"
#include "path.h"
#include "protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

const char mmap_address_none[] = "";

static gboolean
is_abstract (const char *address)
{
  return address[0] == '@';
}

static gboolean
check_private_directory (const char *path, GError ** error)
{
  struct stat st;

  if (lstat (path, &st) < 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NO_DIRECTORY,
        "The directory %s for the default socket can't be used: %s", path,
        g_strerror (errno));
    return FALSE;
  }
  if (!S_ISDIR (st.st_mode) || st.st_uid != geteuid () || (st.st_mode & 077)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_PERMISSION,
        "%s must be a directory of user %u with mode 0700, to hold the "
        "default socket: remove it, or choose a socket-path", path,
        (guint) geteuid ());
    return FALSE;
  }
  return TRUE;
}

char *
mmap_address_get_default (gboolean create, GError ** error)
{
  const char *runtime = g_getenv ("XDG_RUNTIME_DIR");
  g_autofree char *directory = NULL;

  if (runtime && g_path_is_absolute (runtime))
    directory = g_build_filename (runtime, "gst-mmap", NULL);
  else
    directory = g_strdup_printf ("/tmp/gst-mmap-%u", (guint) geteuid ());

  if (create && mkdir (directory, 0700) < 0 && errno != EEXIST) {
    g_set_error (error, MMAP_ERROR,
        errno == ENOENT ? MMAP_ERROR_NO_DIRECTORY : MMAP_ERROR_PERMISSION,
        "Can't make the directory %s for the default socket: %s: choose a "
        "socket-path", directory, g_strerror (errno));
    return NULL;
  }
  if ((create || g_file_test (directory, G_FILE_TEST_EXISTS))
      && !check_private_directory (directory, error))
    return NULL;
  return g_build_filename (directory, "default", NULL);
}

static GSocketAddress *
address_parse (const char *address, GError ** error)
{
  struct sockaddr_un un;

  if (address[0] == '\0' || (is_abstract (address) && address[1] == '\0')) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_ADDRESS,
        "The socket path is empty: give a path, or @name for an abstract "
        "socket");
    return NULL;
  }
  /* A path needs its terminator; an abstract name has the @ as its leading zero byte. */
  if (strlen (address) >= sizeof un.sun_path) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_ADDRESS,
        "The socket path %s has %" G_GSIZE_FORMAT " bytes, Unix sockets take "
        "at most %" G_GSIZE_FORMAT ": choose a shorter one", address,
        strlen (address), sizeof un.sun_path - 1);
    return NULL;
  }
  if (is_abstract (address))
    return g_unix_socket_address_new_with_type (address + 1, -1,
        G_UNIX_SOCKET_ADDRESS_ABSTRACT);
  return g_unix_socket_address_new (address);
}

static GSocket *
socket_new (GSocketType type, GError ** error)
{
  g_autoptr (GError) cause = NULL;
  GSocket *socket = g_socket_new (G_SOCKET_FAMILY_UNIX, type,
      G_SOCKET_PROTOCOL_DEFAULT, &cause);

  if (socket)
    g_socket_set_blocking (socket, FALSE);
  else
    g_set_error (error, MMAP_ERROR, mmap_error_from_glib (cause),
        "Can't make a socket: %s", cause->message);
  return socket;
}

/* Explains why @address can't be used, from the error of bind or connect. */
static void
set_path_error (GError ** error, const char *address, const char *verb,
    const GError * cause)
{
  g_autofree char *directory = g_path_get_dirname (address);

  if (!is_abstract (address) && !g_file_test (directory, G_FILE_TEST_IS_DIR)
      && g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NO_DIRECTORY,
        "Can't %s the socket %s: the directory %s does not exist: create it, "
        "or choose another socket-path", verb, address, directory);
  else if (g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_PERMISSION,
        "Can't %s the socket %s: user %u has no permission: check who owns it "
        "and %s, or choose another socket-path", verb, address,
        (guint) geteuid (), directory);
  else
    g_set_error (error, MMAP_ERROR, mmap_error_from_glib (cause),
        "Can't %s the socket %s: %s", verb, address, cause->message);
}

/* Whether what lies at a path may be connected to, if it is a socket. */
static gboolean
check_path (const char *path, GError ** error)
{
  struct stat st;

  if (is_abstract (path))
    return TRUE;
  if (!mmap_path_check (path, error))
    return FALSE;
  if (lstat (path, &st) < 0 || !S_ISLNK (st.st_mode))
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_EXISTS,
      "%s is a symbolic link, which is not followed: name the socket itself",
      path);
  return FALSE;
}

static GSocket *
connect_socket (const char *address, GSocketType type, GError ** error)
{
  g_autoptr (GSocketAddress) socket_address = address_parse (address, error);
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) cause = NULL;
  g_autofree char *directory = NULL;
  struct stat st;

  if (!socket_address || !check_path (address, error))
    return NULL;
  socket = socket_new (type, error);
  if (!socket)
    return NULL;
  if (g_socket_connect (socket, socket_address, NULL, &cause))
    return g_steal_pointer (&socket);

  if (g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED)
      && !is_abstract (address) && stat (address, &st) == 0
      && !S_ISSOCK (st.st_mode)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_EXISTS,
        "%s is no socket: choose another socket-path", address);
    return NULL;
  }
  directory = g_path_get_dirname (address);
  if (g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED)
      || g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)
      || g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_PENDING)
      || (g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)
          && g_file_test (directory, G_FILE_TEST_IS_DIR)))
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND,
        "Nobody listens at %s yet", address);
  else
    set_path_error (error, address, "connect to", cause);
  return NULL;
}

GSocket *
mmap_address_connect (const char *address, GError ** error)
{
  return connect_socket (address, G_SOCKET_TYPE_SEQPACKET, error);
}

GSocket *
mmap_address_connect_stream (const char *address, GError ** error)
{
  return connect_socket (address, G_SOCKET_TYPE_STREAM, error);
}

/* Whether somebody may listen at @address: who has so many waiting that no more fit, or listens for another type of socket, is alive, too.
 * @probe: of this process, not connected yet
 * @pid: (out): who, or 0 */
static gboolean
is_alive (const char *address, GSocket * probe, guint32 * pid)
{
  g_autoptr (GSocketAddress) socket_address = address_parse (address, NULL);
  g_autoptr (GError) cause = NULL;
  struct ucred owner;
  socklen_t size = sizeof owner;

  *pid = 0;
  if (!socket_address)
    return TRUE;
  if (!g_socket_connect (probe, socket_address, NULL, &cause))
    return !g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED)
        && !g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  if (getsockopt (g_socket_get_fd (probe), SOL_SOCKET, SO_PEERCRED, &owner,
          &size) == 0)
    *pid = owner.pid;
  mmap_foreign_close_socket (probe);
  return TRUE;
}

static void
set_in_use (GError ** error, const char *address, guint32 pid)
{
  g_autofree char *owner = mmap_lock_describe_owner (pid);

  g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
      "The %ssocket %s is in use by another process, %s: stop it, or choose "
      "another socket-path", is_abstract (address) ? "abstract " : "", address,
      owner);
}

/* Removes the socket file at @path if nobody listens on it. Whoever is about to has the lock, which the caller has. */
static gboolean
remove_stale (const char *path, GError ** error)
{
  g_autoptr (GSocket) probe = NULL;
  struct stat st;
  guint32 pid;

  if (lstat (path, &st) < 0)
    return TRUE;
  if (!S_ISSOCK (st.st_mode)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_EXISTS,
        "%s exists and is no socket: it was left alone; choose another "
        "socket-path, or remove it", path);
    return FALSE;
  }

  probe = socket_new (G_SOCKET_TYPE_SEQPACKET, error);
  if (!probe)
    return FALSE;
  /* Another program's, or one whose lock was removed. */
  if (is_alive (path, probe, &pid)) {
    set_in_use (error, path, pid);
    return FALSE;
  }
  if (st.st_uid != geteuid () || st.st_nlink != 1) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_EXISTS,
        "The socket %s was left behind by user %u%s: remove it, or choose "
        "another socket-path", path, (guint) st.st_uid,
        st.st_nlink == 1 ? "" : ", and has other names, too");
    return FALSE;
  }
  if (unlink (path) < 0 && errno != ENOENT) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_PERMISSION,
        "The socket %s was left behind by another process and can't be "
        "removed: %s", path, g_strerror (errno));
    return FALSE;
  }
  return TRUE;
}

static gboolean
listener_bind (MmapListener * listener, GSocketType type, GError ** error)
{
  const char *address = listener->address;
  g_autoptr (GSocketAddress) socket_address = address_parse (address, error);
  g_autoptr (GError) cause = NULL;

  if (!socket_address)
    return FALSE;
  listener->socket = socket_new (type, error);
  if (!listener->socket)
    return FALSE;
  /* bind(2) gives the socket file the mode of the socket, less the umask: nobody else can connect, not even for a moment. */
  if (fchmod (g_socket_get_fd (listener->socket), 0600) < 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FAILED,
        "Can't keep others from the socket %s: %s", address,
        g_strerror (errno));
    return FALSE;
  }

  if (!g_socket_bind (listener->socket, socket_address, FALSE, &cause)) {
    if (!g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE)) {
      set_path_error (error, address, "listen on", cause);
      return FALSE;
    }
    if (is_abstract (address)) {
      g_autoptr (GSocket) probe = socket_new (G_SOCKET_TYPE_SEQPACKET, error);
      guint32 pid;

      if (probe) {
        is_alive (address, probe, &pid);
        set_in_use (error, address, pid);
      }
      return FALSE;
    }
    g_clear_error (&cause);
    if (!remove_stale (address, error))
      return FALSE;
    if (!g_socket_bind (listener->socket, socket_address, FALSE, &cause)) {
      set_path_error (error, address, "listen on", cause);
      return FALSE;
    }
  }
  return TRUE;
}

/* Whether that is what bind(2) has made. */
static gboolean
is_own_socket (const struct stat *st)
{
  return S_ISSOCK (st->st_mode) && st->st_uid == geteuid ();
}

static gboolean
listener_open_to (MmapListener * listener, const MmapMode * mode,
    GError ** error)
{
  const char *path = listener->address;
  gboolean applied = FALSE;
  struct stat st;
  int fd;

  if (is_abstract (path))
    return TRUE;
  /* First: it goes again, whatever fails from here on. */
  if (lstat (path, &st) == 0 && is_own_socket (&st)) {
    listener->device = st.st_dev;
    listener->inode = st.st_ino;
  }
  fd = open (path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno != ENOENT) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "Can't listen on the socket %s: can't open it: %s", path,
        g_strerror (errno));
  } else if (fd < 0 || fstat (fd, &st) < 0 || !is_own_socket (&st)
      || st.st_dev != listener->device || st.st_ino != listener->inode) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_UNSAFE_PATH,
        "Somebody has put something else in the place of the socket %s: choose "
        "a directory that others can't write", path);
  } else {
    applied = mmap_mode_apply (mode, fd, MMAP_MODE_SOCKET, path, error);
  }
  if (fd >= 0)
    close (fd);
  return applied;
}

static gboolean
listener_listen (MmapListener * listener, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  /* As many as can be served: more at once try again. */
  g_socket_set_listen_backlog (listener->socket, MMAP_MAX_LINKS);
  mmap_foreign_refuse_descriptors (g_socket_get_fd (listener->socket));
  if (g_socket_listen (listener->socket, &cause))
    return TRUE;
  g_set_error (error, MMAP_ERROR, mmap_error_from_glib (cause),
      "Can't listen: %s", cause->message);
  return FALSE;
}

MmapListener *
mmap_listener_new (const char *address, GError ** error)
{
  static const MmapMode own = MMAP_MODE_OWN;

  return mmap_listener_new_shared (address, &own, error);
}

static MmapListener *
listener_new (const char *address, const MmapMode * mode, GSocketType type,
    GError ** error)
{
  g_autoptr (GSocketAddress) socket_address = NULL;
  MmapListener *listener;

  if (!mmap_mode_check_address (mode, address, error))
    return NULL;
  listener = g_new0 (MmapListener, 1);
  listener->lock.fd = -1;
  listener->address = address ? g_strdup (address) :
      mmap_address_get_default (TRUE, error);
  if (listener->address)
    socket_address = address_parse (listener->address, error);
  if (socket_address && (is_abstract (listener->address)
          || mmap_path_check (listener->address, error))
      && mmap_socket_lock_take (&listener->lock, listener->address, error)
      && listener_bind (listener, type, error)
      && listener_open_to (listener, mode, error)
      && listener_listen (listener, error))
    return listener;

  mmap_listener_free (listener);
  return NULL;
}

MmapListener *
mmap_listener_new_shared (const char *address, const MmapMode * mode,
    GError ** error)
{
  return listener_new (address, mode, G_SOCKET_TYPE_SEQPACKET, error);
}

MmapListener *
mmap_listener_new_stream (const char *address, const MmapMode * mode,
    GError ** error)
{
  return listener_new (address, mode, G_SOCKET_TYPE_STREAM, error);
}

void
mmap_listener_free (MmapListener * listener)
{
  struct stat st;

  if (listener->inode && lstat (listener->address, &st) == 0
      && st.st_dev == listener->device && st.st_ino == listener->inode)
    unlink (listener->address);
  mmap_socket_lock_drop (&listener->lock);
  mmap_foreign_close_listener (listener->socket);
  g_clear_object (&listener->socket);
  g_free (listener->address);
  g_free (listener);
}
