/* gst-mmap: system calls that fail when the test says so
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The C library's functions that are intercepted, in our code and in all libraries. */
typedef enum
{
  CALL_ACCEPT,
  CALL_BIND,
  CALL_CONNECT,
  CALL_EPOLL_CREATE,
  CALL_EPOLL_CTL,
  CALL_EVENTFD,
  CALL_FALLOCATE,
  CALL_FCHMOD,
  CALL_FCNTL,
  CALL_FLOCK,
  CALL_FSTAT,
  CALL_FSTATAT,
  CALL_FSTATFS,
  CALL_FTRUNCATE,
  CALL_GETRANDOM,
  CALL_GETSOCKOPT,
  CALL_LINKAT,
  CALL_LISTEN,
  CALL_MADVISE,
  CALL_MEMFD_CREATE,
  CALL_MMAP,
  CALL_OPEN,
  CALL_OPENAT,
  CALL_POLL,
  CALL_PREAD,
  CALL_PTHREAD_CREATE,
  CALL_PWRITE,
  CALL_RECV,
  CALL_RECVMSG,
  CALL_SEND,
  CALL_SENDMSG,
  CALL_SOCKET,
  CALL_SOCKETPAIR,
  CALL_TRY_MALLOC,              /* GLib's: of what the other side sizes */
  CALL_SODIUM_MALLOC,
  N_CALLS
} Call;

const char *call_get_name (Call call);

/* From now on, the calls from the @first to the @last one of @call in this process, counted from 1, fail with @errnum. 0: none */
void call_faults_set (Call call, guint first, guint last, int errnum);

/* Returns: how many calls of the one that was set last there were since */
guint call_faults_get_count (void);

G_END_DECLS
