/* gst-mmap: a process that dies at a place of its own program
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The functions below stand in front of those of the C library, for the whole process: the program exports them, and is
 * searched first. From the place where something happens on, a thread can make single steps (the processor traps after each
 * instruction): so it dies between any two of them. Without a debugger, which would be another process that lives.
 */
#include "fate.h"

#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define TRAP_FLAG 0x100         /* of the flags register */

static Fate fate;
static gint armed;              /* atomic; an atomic each, as any thread may be the one */
static guint64 passed;
static guint64 steps_left;      /* only of the thread that makes steps */

gboolean
fate_parse (const char *text, Fate * parsed)
{
  static const char *const kinds[] = { "none", "call", "frame", "time" };
  char kind[8];
  guint i;

  if (sscanf (text, "%7[a-z]:%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT ":%d",
          kind, &parsed->count, &parsed->steps, &parsed->signal) != 4)
    return FALSE;
  for (i = FATE_CALL; i < G_N_ELEMENTS (kinds); i++)
    if (g_str_equal (kind, kinds[i]))
      parsed->kind = i;
  return parsed->kind != FATE_NONE && parsed->count > 0;
}

static void
fulfil (void)
{
  kill (getpid (), fate.signal);
}

#ifdef __x86_64__
static void
on_trap (int number, siginfo_t * info, void *context)
{
  greg_t *flags = &((ucontext_t *) context)->uc_mcontext.gregs[REG_EFL];

  /* The first trap is ours, the others the processor's. */
  if (steps_left > 0) {
    steps_left--;
    *flags |= TRAP_FLAG;
    return;
  }
  *flags &= ~TRAP_FLAG;
  fulfil ();
}
#endif

static void
begin_to_step (void)
{
  g_atomic_int_set (&armed, FALSE);
  steps_left = fate.steps;
#ifdef __x86_64__
  if (fate.steps > 0) {
    raise (SIGTRAP);
    return;
  }
#endif
  fulfil ();
}

static void
pass (FateKind kind)
{
  if (g_atomic_int_get (&armed) && fate.kind == kind
      && __atomic_add_fetch (&passed, 1, __ATOMIC_RELAXED) == fate.count)
    begin_to_step ();
}

void
fate_frame (void)
{
  pass (FATE_FRAME);
}

void
fate_arm (const Fate * the_fate)
{
  struct sigevent event = { 0 };
  struct itimerspec when = { 0 };
  timer_t timer;

  fate = *the_fate;
#ifdef __x86_64__
  if (fate.steps > 0) {
    struct sigaction action = { 0 };

    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO;
    sigaction (SIGTRAP, &action, NULL);
  }
#endif
  g_atomic_int_set (&armed, fate.kind != FATE_NONE);
  if (fate.kind != FATE_TIME)
    return;
  /* The kernel sends it, whatever the process is at. */
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = fate.signal;
  when.it_value.tv_sec = fate.count / G_USEC_PER_SEC;
  when.it_value.tv_nsec = fate.count % G_USEC_PER_SEC * 1000;
  if (timer_create (CLOCK_MONOTONIC, &event, &timer) < 0
      || timer_settime (timer, 0, &when, NULL) < 0)
    g_error ("There is no timer");
}

/* --- in front of the C library --- */

#define INTERPOSE(type, name, parameters, arguments) \
  __attribute__ ((visibility ("default"))) type \
  name parameters \
  { \
    static void *found; \
    type (*next) parameters = __atomic_load_n (&found, __ATOMIC_RELAXED); \
    type result; \
    if (!next) { \
      next = dlsym (RTLD_NEXT, #name); \
      __atomic_store_n (&found, (void *) next, __ATOMIC_RELAXED); \
    } \
    pass (FATE_CALL); \
    result = next arguments; \
    pass (FATE_CALL); \
    return result; \
  }

/* *INDENT-OFF* */
INTERPOSE (ssize_t, sendmsg, (int fd, const struct msghdr * message, int flags), (fd, message, flags))
INTERPOSE (ssize_t, recvmsg, (int fd, struct msghdr * message, int flags), (fd, message, flags))
INTERPOSE (ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
INTERPOSE (ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
INTERPOSE (int, close, (int fd), (fd))
INTERPOSE (void *, mmap, (void *at, size_t size, int access, int flags, int fd, off_t offset),
    (at, size, access, flags, fd, offset))
INTERPOSE (int, munmap, (void *at, size_t size), (at, size))
INTERPOSE (int, madvise, (void *at, size_t size, int advice), (at, size, advice))
INTERPOSE (int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout))
INTERPOSE (int, ppoll, (struct pollfd * fds, nfds_t n, const struct timespec * timeout, const sigset_t * mask),
    (fds, n, timeout, mask))
INTERPOSE (int, epoll_create1, (int flags), (flags))
INTERPOSE (int, epoll_ctl, (int epfd, int op, int fd, struct epoll_event * event), (epfd, op, fd, event))
INTERPOSE (int, epoll_wait, (int epfd, struct epoll_event * events, int n, int timeout), (epfd, events, n, timeout))
INTERPOSE (int, eventfd, (unsigned int value, int flags), (value, flags))
INTERPOSE (int, memfd_create, (const char *name, unsigned int flags), (name, flags))
INTERPOSE (int, ftruncate, (int fd, off_t size), (fd, size))
INTERPOSE (int, fallocate, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size))
INTERPOSE (int, socket, (int domain, int type, int protocol), (domain, type, protocol))
INTERPOSE (int, bind, (int fd, __CONST_SOCKADDR_ARG address, socklen_t size), (fd, address, size))
INTERPOSE (int, listen, (int fd, int n), (fd, n))
INTERPOSE (int, connect, (int fd, __CONST_SOCKADDR_ARG address, socklen_t size), (fd, address, size))
INTERPOSE (int, accept, (int fd, __SOCKADDR_ARG address, socklen_t * size), (fd, address, size))
INTERPOSE (int, accept4, (int fd, __SOCKADDR_ARG address, socklen_t * size, int flags), (fd, address, size, flags))
INTERPOSE (int, flock, (int fd, int operation), (fd, operation))
INTERPOSE (int, fchmod, (int fd, mode_t mode), (fd, mode))
INTERPOSE (int, unlink, (const char *path), (path))
INTERPOSE (int, linkat, (int from_fd, const char *from, int to_fd, const char *to, int flags),
    (from_fd, from, to_fd, to, flags))
/* *INDENT-ON* */
