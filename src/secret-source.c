/* gst-mmap: where an access token comes from
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reads it from a file or the environment, for the elements, when they start. What was read is wiped at once.
 */
#include "secret.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether nobody else can know, or choose, what the file holds. It is the file that was opened: what lies at the path may change. */
static gboolean
check_file (int fd, const char *path, GError ** error)
{
  struct stat status;

  if (fstat (fd, &status) < 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "Can't look at access-token-file %s: %s", path, g_strerror (errno));
    return FALSE;
  }
  if (!S_ISREG (status.st_mode)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "access-token-file %s is no regular file", path);
    return FALSE;
  }
  if (status.st_uid != geteuid () && status.st_uid != 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "access-token-file %s belongs to user %u, expected %u or root: who "
        "owns it knows the token", path, status.st_uid, geteuid ());
    return FALSE;
  }
  if (status.st_mode & (S_IRWXG | S_IRWXO)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "access-token-file %s has mode %04o, expected no rights for others: "
        "chmod 600 it, and make another token if they may have read it", path,
        status.st_mode & 07777);
    return FALSE;
  }
  return TRUE;
}

/* Returns: bytes read, @size if there may be more; -1: errno says why */
static gssize
read_all (int fd, guint8 * bytes, gsize size)
{
  gsize done = 0;

  while (done < size) {
    gssize n = read (fd, bytes + done, size - done);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    if (n == 0)
      break;
    done += n;
  }
  return done;
}

static MmapSecret *
read_token (int fd, const char *path, GError ** error)
{
  g_autofree char *name = g_strdup_printf ("access-token-file %s", path);
  /* A line feed, and one that is too many. */
  guint8 bytes[MMAP_SECRET_MAX_BYTES + 2];
  gssize n = read_all (fd, bytes, sizeof bytes);
  MmapSecret *secret = NULL;

  if (n < 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "Can't read %s: %s", name, g_strerror (errno));
  } else {
    if (n > 0 && bytes[n - 1] == '\n')
      n--;
    secret = mmap_secret_new (bytes, n, name, error);
  }
  sodium_memzero (bytes, sizeof bytes);
  return secret;
}

MmapSecret *
mmap_secret_new_from_file (const char *path, GError ** error)
{
  MmapSecret *secret = NULL;
  int fd;

  /* It may be a FIFO: then open() would wait. */
  fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "Can't open access-token-file %s: %s", path, g_strerror (errno));
    return NULL;
  }
  if (check_file (fd, path, error))
    secret = read_token (fd, path, error);
  close (fd);
  sodium_stackzero (MMAP_SECRET_STACK_BYTES);
  return secret;
}

MmapSecret *
mmap_secret_new_from_environment (GError ** error)
{
  const char *token = g_getenv (MMAP_SECRET_VARIABLE);

  /* One that is set, but empty, was meant to hold something. */
  return token ? mmap_secret_new (token, strlen (token),
      "The environment variable " MMAP_SECRET_VARIABLE, error) : NULL;
}
