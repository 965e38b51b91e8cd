/* gst-mmap: error domain of the core library
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The quark and the names of the error codes. Called by everybody, from any
 * thread.
 */
#include "error.h"

#include <errno.h>
#include <gio/gio.h>

static const char *const error_names[] = {
  [MMAP_ERROR_FAILED] = "failed",
  [MMAP_ERROR_NO_DIRECTORY] = "no-directory",
  [MMAP_ERROR_PERMISSION] = "permission",
  [MMAP_ERROR_IN_USE] = "in-use",
  [MMAP_ERROR_EXISTS] = "exists",
  [MMAP_ERROR_NO_SPACE] = "no-space",
  [MMAP_ERROR_TOO_SMALL] = "too-small",
  [MMAP_ERROR_ADDRESS] = "address",
  [MMAP_ERROR_NOT_FOUND] = "not-found",
  [MMAP_ERROR_CANCELLED] = "cancelled",
  [MMAP_ERROR_CLOSED] = "closed",
  [MMAP_ERROR_TIMEOUT] = "timeout",
  [MMAP_ERROR_FILE] = "file",
  [MMAP_ERROR_SIZE] = "size",
  [MMAP_ERROR_TOKEN] = "token",
  [MMAP_ERROR_TOKEN_INDEX] = "token-index",
  [MMAP_ERROR_TOKEN_BYTES] = "token-bytes",
  [MMAP_ERROR_NOT_A_REGION] = "not-a-region",
  [MMAP_ERROR_VERSION] = "version",
  [MMAP_ERROR_SESSION] = "session",
  [MMAP_ERROR_LAYOUT] = "layout",
  [MMAP_ERROR_SEALS] = "seals",
  [MMAP_ERROR_MESSAGE] = "message",
  [MMAP_ERROR_RING] = "ring",
  [MMAP_ERROR_LIMIT] = "limit",
  [MMAP_ERROR_NOT_NEGOTIATED] = "not-negotiated",
  [MMAP_ERROR_TRUNCATED] = "truncated",
  [MMAP_ERROR_NO_RESOURCES] = "no-resources",
  [MMAP_ERROR_USER] = "user",
  [MMAP_ERROR_SETTING] = "setting",
  [MMAP_ERROR_UNSAFE_PATH] = "unsafe-path",
  [MMAP_ERROR_ACCESS_TOKEN] = "access-token",
};

G_STATIC_ASSERT (G_N_ELEMENTS (error_names) == MMAP_N_ERRORS);

GQuark
mmap_error_quark (void)
{
  return g_quark_from_static_string ("mmap-error-quark");
}

const char *
mmap_error_get_name (MmapError code)
{
  if ((guint) code >= MMAP_N_ERRORS)
    return "unknown";
  return error_names[code];
}

MmapError
mmap_error_from_errno (int errnum)
{
  switch (errnum) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:               /* epoll_ctl(2) */
    case EAGAIN:               /* threads */
    case ETOOMANYREFS:         /* descriptors in messages that nobody has read */
      return MMAP_ERROR_NO_RESOURCES;
    default:
      return MMAP_ERROR_FAILED;
  }
}

MmapError
mmap_error_from_glib (const GError * error)
{
  /* GIO has no codes for these: their text is all that is left of them. */
  static const int without_code[] = { ENOMEM, ENOBUFS, ETOOMANYREFS };
  guint i;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE)
      || g_error_matches (error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN))
    return MMAP_ERROR_NO_RESOURCES;
  for (i = 0; i < G_N_ELEMENTS (without_code); i++)
    if (g_str_has_suffix (error->message, g_strerror (without_code[i])))
      return MMAP_ERROR_NO_RESOURCES;
  return MMAP_ERROR_FAILED;
}
