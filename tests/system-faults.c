/* gst-mmap: a system that refuses, for tests
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Makes failures that are hard to come by. Called by the test programs, in
 * children that they fork.
 */
#include "system-faults.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void
run_in_child (void (*function) (gconstpointer), gconstpointer data)
{
  end_child (start_child (function, data));
}

int
start_child (void (*function) (gconstpointer), gconstpointer data)
{
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0) {
    function (data);
    _exit (0);
  }
  return pid;
}

void
end_child (int pid)
{
  int status;

  while (waitpid (pid, &status, 0) < 0)
    g_assert_cmpint (errno, ==, EINTR);
  if (WIFSIGNALED (status))
    g_error ("The child was ended by signal %d", WTERMSIG (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

static void
answer_system_call (int number, guint argument, guint32 mask, guint32 answer)
{
  /* The argument's low word: machines of the tests are little-endian. */
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS,
        offsetof (struct seccomp_data, args) + 8 * argument),
    BPF_STMT (BPF_ALU | BPF_AND | BPF_K, mask),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, mask, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, answer),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { G_N_ELEMENTS (filter), filter };

  g_assert_cmpint (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
  g_assert_cmpint (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==,
      0);
}

void
fail_system_call (int number, guint argument, guint32 mask, int errnum)
{
  answer_system_call (number, argument, mask, SECCOMP_RET_ERRNO | errnum);
}

void
die_at_system_call (int number)
{
  answer_system_call (number, 0, 0, SECCOMP_RET_KILL_PROCESS);
}

gboolean
mount_small_tmpfs (const char *path, guint64 size)
{
  char *options;
  gboolean ok;

  if (unshare (CLONE_NEWNS) < 0
      || mount ("none", "/", "none", MS_REC | MS_PRIVATE, "") < 0)
    return FALSE;
  options = g_strdup_printf ("size=%" G_GUINT64_FORMAT, size);
  ok = mount ("none", path, "tmpfs", 0, options) == 0;
  g_free (options);
  return ok;
}
