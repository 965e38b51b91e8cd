/* gst-mmap: which users may be at the other end
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A set is made by whoever sets the property, and asked by the producer's service thread for each consumer that connects, and by a consumer
 * for the producer that it has found.
 */
#include "users.h"

#include "error.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the kernel says of users who have no number here, where /proc doesn't say it: its default (DEFAULT_OVERFLOWUID). */
#define OVERFLOW_UID 65534

/* A namespace that knows all users maps so many: all but -1, which is none. */
#define ALL_UIDS 4294967295u

/* Of an entry in the user database; chosen: far more than any has. */
#define MAX_ENTRY_BYTES (1 << 20)

struct _MmapUsers
{
  gboolean any;
  gboolean own;                 /* the user of this process, and root */
  GArray *uids;                 /* guint32 */
};

void
mmap_users_free (MmapUsers * users)
{
  if (!users)
    return;
  g_array_unref (users->uids);
  g_free (users);
}

/* Returns: 0, or an errno; ENOENT: there is no such user */
static int
look_up (const char *name, guint32 * uid)
{
  struct passwd entry, *found = NULL;
  gsize size = 1024;
  int errnum;

  do {
    g_autofree char *buffer = g_malloc (size *= 2);

    errnum = getpwnam_r (name, &entry, buffer, size, &found);
  } while (errnum == EINTR || (errnum == ERANGE && size < MAX_ENTRY_BYTES));
  if (!found)
    return errnum ? errnum : ENOENT;
  *uid = entry.pw_uid;
  return 0;
}

static gboolean
add_user (MmapUsers * users, const char *name, GError ** error)
{
  guint64 number;
  guint32 uid;
  int errnum;

  if (g_ascii_string_to_unsigned (name, 10, 0, ALL_UIDS - 1, &number, NULL)) {
    uid = number;
  } else if ((errnum = look_up (name, &uid)) != 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "allowed-uids: there is no user '%s' (%s): give names or numbers of "
        "users, separated by commas, or any alone", name,
        errnum == ENOENT ? "unknown" : g_strerror (errnum));
    return FALSE;
  }
  g_array_append_val (users->uids, uid);
  return TRUE;
}

MmapUsers *
mmap_users_new (const char *text, GError ** error)
{
  MmapUsers *users = g_new0 (MmapUsers, 1);
  g_auto (GStrv) names = NULL;
  guint i;

  users->uids = g_array_new (FALSE, FALSE, sizeof (guint32));
  users->own = !text || text[0] == '\0';
  users->any = g_strcmp0 (text, "any") == 0;
  if (users->own || users->any)
    return users;

  names = g_strsplit (text, ",", -1);
  for (i = 0; names[i]; i++)
    if (!add_user (users, g_strstrip (names[i]), error)) {
      mmap_users_free (users);
      return NULL;
    }
  return users;
}

/* Whether each number stands for one user: in the first namespace, and in one that maps all. */
static gboolean
knows_all_users (void)
{
  g_autofree char *map = NULL;
  guint inside, outside, n;

  return g_file_get_contents ("/proc/self/uid_map", &map, NULL, NULL)
      && sscanf (map, "%u %u %u", &inside, &outside, &n) == 3
      && inside == 0 && n == ALL_UIDS;
}

gboolean
mmap_users_is_unknown (guint32 uid)
{
  g_autofree char *text = NULL;
  guint32 overflow = OVERFLOW_UID;

  if (g_file_get_contents ("/proc/sys/kernel/overflowuid", &text, NULL, NULL))
    overflow = g_ascii_strtoull (text, NULL, 10);
  return uid == G_MAXUINT32 || (uid == overflow && !knows_all_users ());
}

gboolean
mmap_users_have (const MmapUsers * users, guint32 uid)
{
  guint i;

  if (users->any)
    return TRUE;
  if (mmap_users_is_unknown (uid))
    return FALSE;
  if (users->own)
    return uid == geteuid () || uid == 0;
  for (i = 0; i < users->uids->len; i++)
    if (g_array_index (users->uids, guint32, i) == uid)
      return TRUE;
  return FALSE;
}

gboolean
mmap_peer_init (MmapPeer * peer, int socket_fd, GError ** error)
{
  struct ucred credentials;
  socklen_t size = sizeof credentials;

  /* Not GSocket's: to that, a process of another pid namespace, which has pid 0 here, has no user either. */
  if (getsockopt (socket_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0
      || size != sizeof credentials) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_USER,
        "The system doesn't say which user is at the other end: %s",
        g_strerror (errno));
    return FALSE;
  }
  peer->pid = credentials.pid;
  peer->uid = credentials.uid;
  return TRUE;
}
