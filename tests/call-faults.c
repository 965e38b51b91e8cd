/* gst-mmap: system calls that fail when the test says so
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A program that has this file has functions of the C library's names, which it and all libraries that it uses call instead. Linked into the
 * program itself, not into a library.
 */
#include "call-faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>

static const char *const names[] = {
  "accept", "bind", "connect", "epoll_create1", "epoll_ctl", "eventfd",
  "fallocate", "fchmod", "fcntl", "flock", "fstat", "fstatat", "fstatfs",
  "ftruncate", "getrandom", "getsockopt", "linkat", "listen", "madvise",
  "memfd_create", "mmap", "open", "openat", "poll", "pread", "pthread_create",
  "pwrite", "recv", "recvmsg", "send", "sendmsg", "socket", "socketpair",
  "g_try_malloc", "sodium_malloc"
};

G_STATIC_ASSERT (G_N_ELEMENTS (names) == N_CALLS);

static gint armed = -1;         /* atomic: Call */
static guint first_call, last_call;
static int fault;
static gint n_calls;            /* atomic */

const char *
call_get_name (Call call)
{
  return names[call];
}

void
call_faults_set (Call call, guint first, guint last, int errnum)
{
  g_atomic_int_set (&armed, -1);
  first_call = first;
  last_call = last;
  fault = errnum;
  g_atomic_int_set (&n_calls, 0);
  g_atomic_int_set (&armed, call);
}

guint
call_faults_get_count (void)
{
  return g_atomic_int_get (&n_calls);
}

/* ThreadSanitizer's own start comes through here, before it can look at anything. */
#define UNWATCHED __attribute__((no_sanitize ("thread")))

/* Whether this call of @call fails: then errno is set. */
UNWATCHED static gboolean
fails (Call call)
{
  guint number;

  if (g_atomic_int_get (&armed) != (gint) call)
    return FALSE;
  number = g_atomic_int_add (&n_calls, 1) + 1;
  if (number < first_call || number > last_call)
    return FALSE;
  errno = fault;
  return TRUE;
}

/* A function @symbol with the arguments (@formal), passed on as (@actual). */
#define INTERCEPT(id, symbol, call, type, failure, formal, actual) \
  __attribute__((visibility ("default"))) UNWATCHED \
  type fault_##id formal __asm__ (symbol); \
  type fault_##id formal \
  { \
    static type (*real) formal; \
    if (!real) \
      real = (type (*) formal) dlsym (RTLD_NEXT, symbol); \
    return fails (call) ? failure : real actual; \
  }

/* *INDENT-OFF* */
INTERCEPT (accept, "accept", CALL_ACCEPT, int, -1,
    (int fd, struct sockaddr * address, socklen_t * size), (fd, address, size))
INTERCEPT (accept4, "accept4", CALL_ACCEPT, int, -1,
    (int fd, struct sockaddr * address, socklen_t * size, int flags), (fd, address, size, flags))
INTERCEPT (bind, "bind", CALL_BIND, int, -1,
    (int fd, const struct sockaddr * address, socklen_t size), (fd, address, size))
INTERCEPT (connect, "connect", CALL_CONNECT, int, -1,
    (int fd, const struct sockaddr * address, socklen_t size), (fd, address, size))
INTERCEPT (epoll_create1, "epoll_create1", CALL_EPOLL_CREATE, int, -1, (int flags), (flags))
INTERCEPT (epoll_ctl, "epoll_ctl", CALL_EPOLL_CTL, int, -1,
    (int epoll, int operation, int fd, struct epoll_event * event), (epoll, operation, fd, event))
INTERCEPT (eventfd, "eventfd", CALL_EVENTFD, int, -1, (unsigned int count, int flags), (count, flags))
INTERCEPT (fallocate, "fallocate", CALL_FALLOCATE, int, -1,
    (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size))
INTERCEPT (fallocate64, "fallocate64", CALL_FALLOCATE, int, -1,
    (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size))
INTERCEPT (fchmod, "fchmod", CALL_FCHMOD, int, -1, (int fd, mode_t mode), (fd, mode))
INTERCEPT (flock, "flock", CALL_FLOCK, int, -1, (int fd, int operation), (fd, operation))
INTERCEPT (fstat, "fstat", CALL_FSTAT, int, -1, (int fd, gpointer st), (fd, st))
INTERCEPT (fstat64, "fstat64", CALL_FSTAT, int, -1, (int fd, gpointer st), (fd, st))
INTERCEPT (fstatat, "fstatat", CALL_FSTATAT, int, -1,
    (int directory, const char * path, gpointer st, int flags), (directory, path, st, flags))
INTERCEPT (fstatat64, "fstatat64", CALL_FSTATAT, int, -1,
    (int directory, const char * path, gpointer st, int flags), (directory, path, st, flags))
INTERCEPT (fstatfs, "fstatfs", CALL_FSTATFS, int, -1, (int fd, gpointer fs), (fd, fs))
INTERCEPT (fstatfs64, "fstatfs64", CALL_FSTATFS, int, -1, (int fd, gpointer fs), (fd, fs))
INTERCEPT (ftruncate, "ftruncate", CALL_FTRUNCATE, int, -1, (int fd, off_t size), (fd, size))
INTERCEPT (ftruncate64, "ftruncate64", CALL_FTRUNCATE, int, -1, (int fd, off_t size), (fd, size))
INTERCEPT (getrandom, "getrandom", CALL_GETRANDOM, ssize_t, -1,
    (gpointer bytes, size_t size, unsigned int flags), (bytes, size, flags))
INTERCEPT (getsockopt, "getsockopt", CALL_GETSOCKOPT, int, -1,
    (int fd, int level, int name, gpointer value, socklen_t * size), (fd, level, name, value, size))
INTERCEPT (linkat, "linkat", CALL_LINKAT, int, -1,
    (int from_fd, const char * from, int to_fd, const char * to, int flags), (from_fd, from, to_fd, to, flags))
INTERCEPT (listen, "listen", CALL_LISTEN, int, -1, (int fd, int backlog), (fd, backlog))
INTERCEPT (madvise, "madvise", CALL_MADVISE, int, -1, (gpointer base, size_t size, int advice), (base, size, advice))
INTERCEPT (memfd_create, "memfd_create", CALL_MEMFD_CREATE, int, -1,
    (const char * name, unsigned int flags), (name, flags))
INTERCEPT (mmap, "mmap", CALL_MMAP, gpointer, (gpointer) -1,
    (gpointer base, size_t size, int protection, int flags, int fd, off_t offset),
    (base, size, protection, flags, fd, offset))
INTERCEPT (mmap64, "mmap64", CALL_MMAP, gpointer, (gpointer) -1,
    (gpointer base, size_t size, int protection, int flags, int fd, off_t offset),
    (base, size, protection, flags, fd, offset))
INTERCEPT (poll, "poll", CALL_POLL, int, -1,
    (struct pollfd * fds, nfds_t n_fds, int timeout), (fds, n_fds, timeout))
INTERCEPT (ppoll, "ppoll", CALL_POLL, int, -1,
    (struct pollfd * fds, nfds_t n_fds, const struct timespec * timeout, const sigset_t * mask),
    (fds, n_fds, timeout, mask))
INTERCEPT (pread, "pread", CALL_PREAD, ssize_t, -1,
    (int fd, gpointer bytes, size_t size, off_t offset), (fd, bytes, size, offset))
INTERCEPT (pread64, "pread64", CALL_PREAD, ssize_t, -1,
    (int fd, gpointer bytes, size_t size, off_t offset), (fd, bytes, size, offset))
INTERCEPT (pthread_create, "pthread_create", CALL_PTHREAD_CREATE, int, fault,
    (pthread_t * thread, const pthread_attr_t * attributes, gpointer (*function) (gpointer), gpointer data),
    (thread, attributes, function, data))
INTERCEPT (pwrite, "pwrite", CALL_PWRITE, ssize_t, -1,
    (int fd, gconstpointer bytes, size_t size, off_t offset), (fd, bytes, size, offset))
INTERCEPT (pwrite64, "pwrite64", CALL_PWRITE, ssize_t, -1,
    (int fd, gconstpointer bytes, size_t size, off_t offset), (fd, bytes, size, offset))
INTERCEPT (recv, "recv", CALL_RECV, ssize_t, -1,
    (int fd, gpointer bytes, size_t size, int flags), (fd, bytes, size, flags))
INTERCEPT (recvmsg, "recvmsg", CALL_RECVMSG, ssize_t, -1,
    (int fd, struct msghdr * message, int flags), (fd, message, flags))
INTERCEPT (send, "send", CALL_SEND, ssize_t, -1,
    (int fd, gconstpointer bytes, size_t size, int flags), (fd, bytes, size, flags))
INTERCEPT (sendmsg, "sendmsg", CALL_SENDMSG, ssize_t, -1,
    (int fd, const struct msghdr * message, int flags), (fd, message, flags))
INTERCEPT (socket, "socket", CALL_SOCKET, int, -1, (int domain, int type, int protocol), (domain, type, protocol))
INTERCEPT (socketpair, "socketpair", CALL_SOCKETPAIR, int, -1,
    (int domain, int type, int protocol, int * fds), (domain, type, protocol, fds))

INTERCEPT (sodium_malloc, "sodium_malloc", CALL_SODIUM_MALLOC, gpointer, NULL, (size_t size), (size))
INTERCEPT (g_try_malloc, "g_try_malloc", CALL_TRY_MALLOC, gpointer, NULL, (gsize size), (size))

/* With an argument that may be there or not. */
#define INTERCEPT_VARIADIC(id, symbol, call, formal, last, type, actual) \
  __attribute__((visibility ("default"))) UNWATCHED \
  int fault_##id formal __asm__ (symbol); \
  int fault_##id formal \
  { \
    static int (*real) formal; \
    va_list arguments; \
    type value; \
    va_start (arguments, last); \
    value = va_arg (arguments, type); \
    va_end (arguments); \
    if (!real) \
      real = (int (*) formal) dlsym (RTLD_NEXT, symbol); \
    return fails (call) ? -1 : real actual; \
  }

INTERCEPT_VARIADIC (fcntl, "fcntl", CALL_FCNTL, (int fd, int command, ...), command, long, (fd, command, value))
INTERCEPT_VARIADIC (fcntl64, "fcntl64", CALL_FCNTL, (int fd, int command, ...), command, long, (fd, command, value))
INTERCEPT_VARIADIC (open, "open", CALL_OPEN, (const char * path, int flags, ...), flags, int, (path, flags, value))
INTERCEPT_VARIADIC (open64, "open64", CALL_OPEN, (const char * path, int flags, ...), flags, int, (path, flags, value))
INTERCEPT_VARIADIC (openat, "openat", CALL_OPENAT, (int directory, const char * path, int flags, ...), flags, int,
    (directory, path, flags, value))
INTERCEPT_VARIADIC (openat64, "openat64", CALL_OPENAT, (int directory, const char * path, int flags, ...), flags, int,
    (directory, path, flags, value))
/* *INDENT-ON* */
