/* gst-mmap: error domain of the core library
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define MMAP_ERROR (mmap_error_quark ())
GQuark mmap_error_quark (void);

/**
 * MmapError:
 *
 * What went wrong. The codes from @MMAP_ERROR_FILE to @MMAP_ERROR_MESSAGE name the field of the capabilities
 * that was refused; handshake failures are counted by these codes.
 */
typedef enum
{
  MMAP_ERROR_FAILED,            /* a system call failed in a way nobody can act on */
  MMAP_ERROR_NO_DIRECTORY,      /* the directory of a path does not exist */
  MMAP_ERROR_PERMISSION,        /* the system denies access to a path */
  MMAP_ERROR_IN_USE,            /* a live process owns the path */
  MMAP_ERROR_EXISTS,            /* something that is not ours lies at the path */
  MMAP_ERROR_NO_SPACE,          /* the memory can't be reserved */
  MMAP_ERROR_TOO_SMALL,         /* the region can't hold what is asked for */
  MMAP_ERROR_ADDRESS,           /* the address is malformed */
  MMAP_ERROR_NOT_FOUND,         /* nobody is there */
  MMAP_ERROR_CANCELLED,         /* the caller was told to stop waiting */
  MMAP_ERROR_CLOSED,            /* the other side has gone */
  MMAP_ERROR_TIMEOUT,           /* the other side did not answer */
  MMAP_ERROR_FILE,              /* field `file`: missing, can't be opened, or no regular file */
  MMAP_ERROR_SIZE,              /* field `size`: not the size of the file */
  MMAP_ERROR_TOKEN,             /* field `token`: not what the memory holds */
  MMAP_ERROR_TOKEN_INDEX,       /* field `token_index`: outside of the memory */
  MMAP_ERROR_TOKEN_BYTES,       /* field `token_bytes`: out of range */
  MMAP_ERROR_NOT_A_REGION,      /* the memory doesn't start with a region's magic */
  MMAP_ERROR_VERSION,           /* another protocol version, or another byte order */
  MMAP_ERROR_SESSION,           /* the region belongs to another session */
  MMAP_ERROR_LAYOUT,            /* offsets and sizes in a header contradict each other */
  MMAP_ERROR_SEALS,             /* a descriptor whose memory the other side could still shrink */
  MMAP_ERROR_MESSAGE,           /* a message that can't be parsed, or that comes out of turn */
  MMAP_ERROR_RING,              /* ring indices or ids that can't be right */
  MMAP_ERROR_LIMIT,             /* too many links, or a consumer that does not read */
  MMAP_ERROR_NOT_NEGOTIATED,    /* the consumer accepts other media caps than the producer can have */
  MMAP_ERROR_TRUNCATED,         /* somebody has truncated the region's file while it was in use */
  MMAP_ERROR_USER,              /* the other side is run by a user who isn't allowed */
  MMAP_ERROR_SETTING,           /* a setting that makes no sense, or none with the others */
  MMAP_ERROR_UNSAFE_PATH,       /* users who aren't trusted could put something else at the path */
  MMAP_ERROR_NO_RESOURCES,      /* this process, or the system, has no descriptors, threads or memory left: later there may be some */
  MMAP_ERROR_ACCESS_TOKEN,      /* the other side has not proved that it knows the access token */
  MMAP_N_ERRORS
} MmapError;

/**
 * mmap_error_get_name:
 * @code: a #MmapError
 *
 * Returns: (transfer none): the name that stands in statistics and messages, such as "token-index"
 */
const char *mmap_error_get_name (MmapError code);

/**
 * mmap_error_from_errno:
 * @errnum: what a system call that needs nothing but resources failed with
 *
 * Returns: MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED
 */
MmapError mmap_error_from_errno (int errnum);

/* The same for what GLib made of it. */
MmapError mmap_error_from_glib (const GError * error);

G_END_DECLS
