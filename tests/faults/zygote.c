/* gst-mmap: the process from which those of the fault suite fork
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Has loaded all that its children need, so that they start in a millisecond. faults.py writes lines to its standard input:
 *
 *   spawn OPTION...     forks a process: see peer.c. Prints "pid N"
 *   contain OPTION...   the same in PID, mount and network namespaces of its own, as in a container: it has an init process
 *   kill N SIGNAL       to a child
 *   lose N              kills the init process of its namespace, which takes it along
 *
 * It prints "stop N" and "continue N" when one was stopped or goes on, and "exit N STATUS", as of waitpid(2), when one has ended. When its
 * input ends, all of them do.
 */
#include "peer.h"

#include "gstmmapsink.h"
#include "gstmmapsrc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static sigset_t child_signal;
static int signal_fd;
static int own_pids;            /* the namespace */
static GHashTable *children;    /* pid -> Child: all there were; their numbers stay theirs until they are waited for */

typedef struct
{
  pid_t pid;
  int init;                     /* of its namespace's init process, which may be gone: a pidfd; -1: it has no namespace */
  gboolean has_ended;           /* and that was said, though it was not waited for */
} Child;

/* Sees its own processes, as in a container: LeakSanitizer looks for its threads by the numbers that they have here. */
static void
leave_namespaces (void)
{
  if (unshare (CLONE_NEWNS | CLONE_NEWNET) < 0
      || mount ("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
      || mount ("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
          NULL) < 0)
    g_error ("unshare: %s", g_strerror (errno));
}

static int
run_child (pid_t parent, const char *options)
{
  g_autofree char *line = g_strconcat ("faults-peer ", options, NULL);
  g_auto (GStrv) argv = NULL;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  /* 0: in a namespace that doesn't have it. */
  if (getppid () != parent && getppid () != 0)
    return 2;
  close (signal_fd);
  dup2 (STDERR_FILENO, STDOUT_FILENO);
  sigprocmask (SIG_UNBLOCK, &child_signal, NULL);
  if (!g_shell_parse_argv (line, NULL, &argv, NULL))
    return 2;
  return peer_run (&argv);
}

static void
child_free (gpointer data)
{
  Child *child = data;

  if (child->init >= 0)
    close (child->init);
  g_free (child);
}

/* @init: a pidfd; taken; -1: none */
static void
spawn (const char *options, int init)
{
  Child *child = g_new0 (Child, 1);
  pid_t parent = getpid ();
  pid_t pid = fork ();

  if (pid == 0) {
    g_free (child);
    /* It has none, and not the descriptors of others. */
    g_hash_table_remove_all (children);
    if (init >= 0) {
      close (init);
      leave_namespaces ();
    }
    exit (run_child (parent, options));
  }
  if (pid < 0)
    g_error ("fork: %s", g_strerror (errno));
  child->pid = pid;
  child->init = init;
  g_hash_table_insert (children, GINT_TO_POINTER (pid), child);
  printf ("pid %d\n", (int) pid);
}

/* The first child in a new namespace is its init process. Returns: a pidfd */
static int
spawn_init (void)
{
  pid_t pid = fork ();
  int fd;

  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
      pause ();
  }
  /* Nobody but this process waits for it: its number is its own still. */
  fd = pid < 0 ? -1 : pidfd_open (pid, 0);
  if (fd < 0)
    g_error ("fork, pidfd_open: %s", g_strerror (errno));
  return fd;
}

static void
contain (const char *options)
{
  if (unshare (CLONE_NEWPID) < 0)
    g_error ("unshare: %s: only root can run this", g_strerror (errno));
  spawn (options, spawn_init ());
  if (setns (own_pids, CLONE_NEWPID) < 0)
    g_error ("setns: %s", g_strerror (errno));
}

static void
lose (int pid)
{
  Child *child = g_hash_table_lookup (children, GINT_TO_POINTER (pid));

  if (child && child->init >= 0)
    pidfd_send_signal (child->init, SIGKILL, NULL, 0);
}

static void
handle_line (char *line)
{
  int pid, number;

  g_strchomp (line);
  if (g_str_has_prefix (line, "spawn "))
    spawn (line + strlen ("spawn "), -1);
  else if (g_str_has_prefix (line, "contain "))
    contain (line + strlen ("contain "));
  else if (sscanf (line, "lose %d", &pid) == 1)
    lose (pid);
  else if (sscanf (line, "kill %d %d", &pid, &number) != 2)
    g_error ("what is \"%s\"?", line);
  else if (g_hash_table_contains (children, GINT_TO_POINTER (pid)))
    kill (pid, number);
}

/* As waitpid(2) has it. */
static int
get_status (const siginfo_t * info)
{
  return info->si_code == CLD_EXITED ? info->si_status << 8 :
      info->si_status | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

/* Says what has become of a child. */
static void
look_at (Child * child)
{
  siginfo_t info = { 0 };

  if (child->has_ended)
    return;
  if (waitid (P_PID, child->pid, &info, WSTOPPED | WCONTINUED | WNOHANG) == 0
      && info.si_pid != 0)
    printf ("%s %d\n", info.si_code == CLD_CONTINUED ? "continue" : "stop",
        (int) child->pid);
  info.si_pid = 0;
  if (waitid (P_PID, child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0
      || info.si_pid == 0)
    return;
  child->has_ended = TRUE;
  lose (child->pid);
  printf ("exit %d %d\n", (int) child->pid, get_status (&info));
}

/* Nobody is waited for before the end: while the kernel takes a process away, which may take it a minute on a busy machine if others look at
 * /proc just then, this one would hear nothing. */
static void
look_at_all (void)
{
  struct signalfd_siginfo info;
  GHashTableIter iter;
  gpointer child;

  if (read (signal_fd, &info, sizeof info) < 0)
    return;
  g_hash_table_iter_init (&iter, children);
  while (g_hash_table_iter_next (&iter, NULL, &child))
    look_at (child);
}

/* Everything that is loaded or registered once. No thread may be left: fork() would not take it along. */
static void
warm_up (void)
{
  static const char *const names[] = { "videotestsrc", "fakesrc", "fakesink",
    "capsfilter", "identity", "queue", "mmapsink", "mmapsrc"
  };
  guint i;

  g_assert_true (GST_ELEMENT_REGISTER (mmapsink, NULL));
  g_assert_true (GST_ELEMENT_REGISTER (mmapsrc, NULL));
  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    GstElement *element = gst_element_factory_make (names[i], NULL);

    if (!element)
      g_error ("There is no element %s", names[i]);
    gst_object_unref (element);
  }
}

static guint
count_threads (void)
{
  g_autoptr (GDir) tasks = g_dir_open ("/proc/self/task", 0, NULL);
  guint n = 0;

  while (tasks && g_dir_read_name (tasks))
    n++;
  return n;
}

int
main (int argc, char **argv)
{
  struct rlimit no_core = { 0, 0 };
  struct pollfd fds[2] = { {STDIN_FILENO, POLLIN, 0} };
  g_autofree char *line = NULL;
  size_t size = 0;

  /* A line at a time, so that poll() knows of what was not read. */
  setvbuf (stdin, NULL, _IONBF, 0);
  setvbuf (stdout, NULL, _IOLBF, 0);
  setrlimit (RLIMIT_CORE, &no_core);
  gst_init (&argc, &argv);
  warm_up ();
  if (count_threads () != 1)
    g_error ("There are threads, which fork() doesn't take along");

  children = g_hash_table_new_full (NULL, NULL, NULL, child_free);
  own_pids = open ("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  sigemptyset (&child_signal);
  sigaddset (&child_signal, SIGCHLD);
  sigprocmask (SIG_BLOCK, &child_signal, NULL);
  signal_fd = signalfd (-1, &child_signal, SFD_CLOEXEC | SFD_NONBLOCK);
  fds[1] = (struct pollfd) { signal_fd, POLLIN, 0 };
  for (;;) {
    if (poll (fds, G_N_ELEMENTS (fds), -1) < 0 && errno != EINTR)
      g_error ("poll: %s", g_strerror (errno));
    if (fds[1].revents)
      look_at_all ();
    if (!fds[0].revents)
      continue;
    if (getline (&line, &size, stdin) < 0)
      break;
    handle_line (line);
  }
  while (waitpid (-1, NULL, WNOHANG) > 0);
  /* Those that are left die with this process. */
  _exit (0);
}
