/* gst-mmap: who may reach the socket and the file of a producer
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called when a producer starts, and by whoever makes a file region: the user alone has both until they are given to others here.
 */
#include "mode.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of an entry in the group database, which names all members; chosen: far more than any has. */
#define MAX_ENTRY_BYTES (1 << 24)

/* All but -1, which is none. */
#define MAX_GID 4294967294u

/* Returns: 0, or an errno; ENOENT: there is no such group */
static int
look_up (const char *name, gint64 * gid)
{
  struct group entry, *found = NULL;
  gsize size = 1024;
  int errnum;

  do {
    g_autofree char *buffer = g_malloc (size *= 2);

    errnum = getgrnam_r (name, &entry, buffer, size, &found);
  } while (errnum == EINTR || (errnum == ERANGE && size < MAX_ENTRY_BYTES));
  if (!found)
    return errnum ? errnum : ENOENT;
  *gid = entry.gr_gid;
  return 0;
}

static gboolean
parse_group (MmapMode * mode, const char *group, GError ** error)
{
  guint64 number;
  int errnum;

  mode->gid = -1;
  if (!group || group[0] == '\0')
    return TRUE;
  if (g_ascii_string_to_unsigned (group, 10, 0, MAX_GID, &number, NULL)) {
    mode->gid = number;
  } else if ((errnum = look_up (group, &mode->gid)) != 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "group: there is no group '%s' (%s): give the name or the number of "
        "one", group, errnum == ENOENT ? "unknown" : g_strerror (errnum));
    return FALSE;
  }
  if (mode->bits & 0060)
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
      "group=%s is of no use with mode=%#o, which gives a group no rights: set "
      "mode=%#o, too", group, mode->bits, mode->bits | 0060);
  return FALSE;
}

gboolean
mmap_mode_init (MmapMode * mode, guint bits, const char *group, GError ** error)
{
  /* The likeliest mistake is a number without its leading zero, which is decimal then. */
  if ((bits & ~0666u) != 0 || (bits & 0600) != 0600) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "mode=%u, in octal %#o, is no mode for a socket: expected 0600 to "
        "0666 with reading and writing for the owner; octal numbers begin with "
        "0, as in mode=0660", bits, bits);
    return FALSE;
  }
  mode->bits = bits;
  return parse_group (mode, group, error);
}

/* @who: all of whom have to read and write */
static gboolean
check_readers_write (const MmapMode * mode, const char *who, GError ** error)
{
  guint readers = (mode->bits & 0044) >> 2, writers = (mode->bits & 0022) >> 1;

  if (!(readers & ~writers))
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
      "mode=%#o lets others read, but who %s must be able to write, too: set "
      "mode=%#o", mode->bits, who, mode->bits | readers << 1);
  return FALSE;
}

gboolean
mmap_mode_check_area (const MmapMode * mode, GError ** error)
{
  return check_readers_write (mode, "meets its producer in a file", error);
}

gboolean
mmap_mode_check_address (const MmapMode * mode, const char *address,
    GError ** error)
{
  if (!mmap_mode_is_shared (mode))
    return TRUE;
  if (!address)
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "mode and group are of no use without a socket-path: the default "
        "socket lies in a directory that nobody else may enter");
  else if (address[0] == '@')
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "The abstract socket %s has no mode and no group: leave out mode and "
        "group, as allowed-uids says who may connect, or choose a path",
        address);
  else
    return check_readers_write (mode, "connects to a socket", error);
  return FALSE;
}

static gboolean
set_group (gint64 gid, int fd, const char *path, GError ** error)
{
  if (gid < 0 || fchownat (fd, "", -1, gid, AT_EMPTY_PATH) == 0)
    return TRUE;
  g_set_error (error, MMAP_ERROR,
      errno == EPERM ? MMAP_ERROR_PERMISSION : MMAP_ERROR_FAILED,
      "%s can't be given to group %" G_GINT64_FORMAT ": %s: user %u must be "
      "root, or a member of that group", path, gid, g_strerror (errno),
      (guint) geteuid ());
  return FALSE;
}

gboolean
mmap_mode_apply (const MmapMode * mode, int fd, guint mask,
    const char *path, GError ** error)
{
  guint bits = mode->bits & mask;
  struct stat st;
  char self[64];

  if (!set_group (mode->gid, fd, path, error))
    return FALSE;
  if (fstat (fd, &st) == 0 && (st.st_mode & 07777) == bits)
    return TRUE;
  /* fchmod(2) doesn't take a descriptor of O_PATH. */
  g_snprintf (self, sizeof self, "/proc/self/fd/%d", fd);
  if (fchmod (fd, bits) == 0 || (errno == EBADF && chmod (self, bits) == 0))
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_FAILED,
      "The mode of %s can't be set to %#o: %s", path, bits, g_strerror (errno));
  return FALSE;
}
