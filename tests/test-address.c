/* gst-mmap: tests of addresses and listeners
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Cases that become another user need root, and are left out without.
 */
#include "address.h"
#include "error.h"
#include "leak-check.h"
#include "system-faults.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static char *path, *lock_path, *own_pid;
static gboolean racing, stopping;

static void
check_error (GError ** error, MmapError code, const char *reason)
{
  g_assert_error (*error, MMAP_ERROR, (gint) code);
  if (strstr ((*error)->message, reason) == NULL)
    g_error ("\"%s\" doesn't say \"%s\"", (*error)->message, reason);
  g_clear_error (error);
}

static MmapListener *
listen_at (const char *address)
{
  GError *error = NULL;
  MmapListener *listener = mmap_listener_new (address, &error);

  g_assert_no_error (error);
  return listener;
}

static void
refuse_listen (const char *address, MmapError code, const char *reason)
{
  GError *error = NULL;

  g_assert_null (mmap_listener_new (address, &error));
  check_error (&error, code, reason);
}

static void
refuse_connect (const char *address, MmapError code, const char *reason)
{
  GError *error = NULL;

  g_assert_null (mmap_address_connect (address, &error));
  check_error (&error, code, reason);
}

static void
check_connect (const char *address)
{
  GError *error = NULL;
  GSocket *socket = mmap_address_connect (address, &error);

  g_assert_no_error (error);
  g_assert_false (g_socket_get_blocking (socket));
  g_object_unref (socket);
}

static gboolean
is_listening (void)
{
  GSocket *socket = mmap_address_connect (path, NULL);
  gboolean listening = socket != NULL;

  g_clear_object (&socket);
  return listening;
}

/* Who has the path need not listen yet. */
static void
wait_until_listening (void)
{
  guint i;

  for (i = 0; i < 2000 && !is_listening (); i++)
    g_usleep (10 * 1000);
  check_connect (path);
}

static gboolean
is_zombie (pid_t pid)
{
  char *file = g_strdup_printf ("/proc/%d/stat", pid);
  char *text = NULL;
  gboolean zombie;

  zombie = g_file_get_contents (file, &text, NULL, NULL)
      && strstr (text, ") Z ") != NULL;
  g_free (text);
  g_free (file);
  return zombie;
}

static void
test_listen (void)
{
  MmapListener *listener;
  struct stat st;

  refuse_connect (path, MMAP_ERROR_NOT_FOUND, path);
  listener = listen_at (path);
  g_assert_cmpstr (listener->address, ==, path);
  g_assert_cmpint (g_lstat (path, &st), ==, 0);
  /* Whatever the umask. */
  g_assert_cmpuint (st.st_mode, ==, S_IFSOCK | 0600);
  check_connect (path);
  refuse_listen (path, MMAP_ERROR_IN_USE, path);
  refuse_listen (path, MMAP_ERROR_IN_USE, own_pid);
  check_connect (path);
  mmap_listener_free (listener);
  g_assert_cmpint (g_lstat (path, &st), ==, -1);
  g_assert_cmpint (g_lstat (lock_path, &st), ==, -1);
  refuse_connect (path, MMAP_ERROR_NOT_FOUND, path);
}

/* So many wait to be accepted that no more fit: it is a live one all the same. */
static void
test_busy (void)
{
  MmapListener *listener = listen_at (path);
  GPtrArray *sockets = g_ptr_array_new_with_free_func (g_object_unref);
  GError *error = NULL;
  GSocket *socket;
  struct stat st;

  while ((socket = mmap_address_connect (path, &error)))
    g_ptr_array_add (sockets, socket);
  g_assert_cmpuint (sockets->len, >=, 64);
  check_error (&error, MMAP_ERROR_NOT_FOUND, "");
  refuse_listen (path, MMAP_ERROR_IN_USE, "in use");
  g_assert_cmpint (g_lstat (path, &st), ==, 0);
  g_assert_cmpuint (st.st_ino, ==, listener->inode);
  g_ptr_array_unref (sockets);
  mmap_listener_free (listener);
}

static void
test_malformed (void)
{
  char *longest = g_strdup_printf ("@%0106d", 1);
  char *too_long = g_strdup_printf ("@%0107d", 1);
  char *long_path = g_strdup_printf ("/dev/shm/%099d", 1);

  refuse_listen ("", MMAP_ERROR_ADDRESS, "empty");
  refuse_listen ("@", MMAP_ERROR_ADDRESS, "empty");
  refuse_connect ("", MMAP_ERROR_ADDRESS, "empty");
  refuse_connect ("@", MMAP_ERROR_ADDRESS, "empty");
  refuse_listen (too_long, MMAP_ERROR_ADDRESS, "108 bytes");
  refuse_connect (long_path, MMAP_ERROR_ADDRESS, "107: choose");
  mmap_listener_free (listen_at (longest));
  refuse_listen ("/nonexistent/dir/x", MMAP_ERROR_NO_DIRECTORY,
      "/nonexistent/dir");
  refuse_connect ("/nonexistent/dir/x", MMAP_ERROR_NO_DIRECTORY,
      "/nonexistent/dir");
  g_free (longest);
  g_free (too_long);
  g_free (long_path);
}

/* Not a socket: it is left alone. */
static void
test_exists (void)
{
  GError *error = NULL;
  char *text;

  g_file_set_contents (path, "precious", -1, &error);
  g_assert_no_error (error);
  refuse_listen (path, MMAP_ERROR_EXISTS, path);
  refuse_connect (path, MMAP_ERROR_EXISTS, path);
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_cmpstr (text, ==, "precious");
  g_free (text);
  g_unlink (path);

  g_assert_cmpint (g_mkdir (path, 0700), ==, 0);
  refuse_listen (path, MMAP_ERROR_EXISTS, path);
  refuse_connect (path, MMAP_ERROR_EXISTS, path);
  g_rmdir (path);
  g_assert_cmpint (symlink ("/nonexistent", path), ==, 0);
  refuse_listen (path, MMAP_ERROR_EXISTS, path);
  g_unlink (path);
}

/* A socket of another program, on which it listens if @listens. */
static int
make_foreign (int type, gboolean listens)
{
  struct sockaddr_un un = { AF_UNIX, "" };
  int fd = socket (AF_UNIX, type | SOCK_CLOEXEC, 0);

  g_strlcpy (un.sun_path, path, sizeof (un.sun_path));
  g_assert_cmpint (bind (fd, (struct sockaddr *) &un, sizeof (un)), ==, 0);
  if (listens)
    g_assert_cmpint (listen (fd, 1), ==, 0);
  return fd;
}

/* A program of another kind listens there. */
static void
test_foreign (void)
{
  int fd = make_foreign (SOCK_STREAM, TRUE);
  struct stat st;

  refuse_listen (path, MMAP_ERROR_IN_USE, path);
  refuse_connect (path, MMAP_ERROR_FAILED, path);
  g_assert_cmpint (g_lstat (path, &st), ==, 0);
  close (fd);
  g_unlink (path);
}

static void
test_abstract (void)
{
  char *name = g_strdup_printf ("@gst-mmap-test-%d", (int) getpid ());
  MmapListener *listener;

  refuse_connect (name, MMAP_ERROR_NOT_FOUND, name);
  listener = listen_at (name);
  g_assert_false (g_file_test (name, G_FILE_TEST_EXISTS));
  check_connect (name);
  refuse_listen (name, MMAP_ERROR_IN_USE, name);
  refuse_listen (name, MMAP_ERROR_IN_USE, own_pid);
  mmap_listener_free (listener);
  refuse_connect (name, MMAP_ERROR_NOT_FOUND, name);
  mmap_listener_free (listen_at (name));
  g_free (name);
}

/* A socket file of a process that was killed. */
static void
make_stale (void)
{
  int status, ends[2];
  char byte;
  pid_t pid;

  g_assert_cmpint (pipe (ends), ==, 0);
  pid = fork ();
  if (pid == 0) {
    GError *error = NULL;

    if (!mmap_listener_new (path, &error) || write (ends[1], "x", 1) != 1)
      _exit (1);
    for (;;)
      pause ();
  }
  g_assert_cmpint (read (ends[0], &byte, 1), ==, 1);
  close (ends[0]);
  close (ends[1]);
  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
}

static void
test_stale (void)
{
  MmapListener *listener;

  make_stale ();
  refuse_connect (path, MMAP_ERROR_NOT_FOUND, path);
  listener = listen_at (path);
  check_connect (path);
  mmap_listener_free (listener);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

/* Somebody has put a socket of their own there: that isn't ours to remove. */
static void
test_replaced (void)
{
  MmapListener *first = listen_at (path), *second;
  int foreign;

  g_assert_cmpint (g_unlink (path), ==, 0);
  foreign = make_foreign (SOCK_SEQPACKET, TRUE);
  mmap_listener_free (first);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  g_assert_false (g_file_test (lock_path, G_FILE_TEST_EXISTS));
  check_connect (path);
  close (foreign);

  /* Nor is a lock. What is dead is replaced, whoever left it. */
  first = listen_at (path);
  g_assert_cmpint (g_unlink (path), ==, 0);
  g_assert_cmpint (g_unlink (lock_path), ==, 0);
  second = listen_at (path);
  mmap_listener_free (first);
  g_assert_true (g_file_test (lock_path, G_FILE_TEST_EXISTS));
  check_connect (path);
  mmap_listener_free (second);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  g_assert_false (g_file_test (lock_path, G_FILE_TEST_EXISTS));

  /* And if it is gone, that is fine; but the path is this process's as long as it lives. */
  first = listen_at (path);
  g_assert_cmpint (g_unlink (path), ==, 0);
  refuse_listen (path, MMAP_ERROR_IN_USE, own_pid);
  mmap_listener_free (first);
}

static void
test_record (void)
{
  char *name = g_strdup_printf ("@gst-mmap-test-%d\n\\\"\xff", (int) getpid ());
  const char *const addresses[] = { path, name };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (addresses); i++) {
    MmapListener *listener = listen_at (addresses[i]);
    MmapSocketRecord record;
    struct stat st;

    mmap_socket_lock_set_session (&listener->lock, G_MAXUINT64 - 5);
    g_assert_true (mmap_socket_record_read (listener->lock.fd, &record));
    g_assert_cmpuint (record.pid, ==, getpid ());
    g_assert_cmpuint (record.uid, ==, geteuid ());
    g_assert_cmpuint (record.session, ==, G_MAXUINT64 - 5);
    g_assert_cmpstr (record.address, ==, addresses[i]);
    mmap_socket_record_clear (&record);
    g_assert_cmpint (fcntl (listener->lock.fd, F_GETFD), ==, FD_CLOEXEC);
    if (i == 0) {
      g_assert_cmpint (g_lstat (lock_path, &st), ==, 0);
      /* The sticky bit is for those who clean up in /tmp. */
      g_assert_cmpuint (st.st_mode, ==, S_IFREG | S_ISVTX | 0600);
      g_assert_cmpuint (st.st_size, <=, MMAP_SOCKET_RECORD_MAX_BYTES);
    }
    mmap_listener_free (listener);
  }
  g_assert_false (g_file_test (lock_path, G_FILE_TEST_EXISTS));
  g_free (name);
}

/* Of the longest address, and of bytes that are written as four. */
static void
test_record_size (void)
{
  char *name = g_strnfill (107, '\xff');
  MmapSocketRecord record;
  MmapListener *listener;

  name[0] = '@';
  listener = listen_at (name);
  g_assert_true (mmap_socket_record_read (listener->lock.fd, &record));
  g_assert_cmpstr (record.address, ==, name);
  mmap_socket_record_clear (&record);
  mmap_listener_free (listener);
  g_free (name);
}

/* The lock is a file that isn't ours. */
static void
refuse_lock (MmapError code, const char *reason)
{
  refuse_listen (path, code, reason);
  refuse_listen (path, code, lock_path);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

static void
refuse_content (const char *text, gssize size)
{
  GError *error = NULL;
  char *after;
  gsize n;

  g_file_set_contents (lock_path, text, size, &error);
  g_assert_no_error (error);
  refuse_lock (MMAP_ERROR_EXISTS, "another program");
  g_file_get_contents (lock_path, &after, &n, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (after, n, text, size < 0 ? (gssize) strlen (text) : size);
  g_free (after);
}

static void
test_foreign_lock (void)
{
#define START "socket of gst-mmap\npid 1\nuid 2\n"
  char *large = g_strnfill (5000, 'x');
  char *other = leak_check_path ("other");
  MmapListener *listener;
  GError *error = NULL;

  refuse_content ("precious", -1);
  refuse_content ("\0", 1);
  refuse_content (large, -1);
  refuse_content (START, -1);
  refuse_content (START "session 3\naddress /x", -1);
  refuse_content (START "session 3\naddress /x\n\n", -1);
  refuse_content (START "session 3x\naddress /x\n", -1);
  refuse_content ("socket of gst-mmap\npid -1\nuid 2\nsession 3\naddress \n",
      -1);
  refuse_content
      ("socket of gst-mmap\npid 1\nuid 4294967296\nsession 3\naddress \n", -1);
  g_unlink (lock_path);

  g_assert_cmpint (g_mkdir (lock_path, 0700), ==, 0);
  refuse_lock (MMAP_ERROR_EXISTS, "no regular file");
  g_rmdir (lock_path);
  g_assert_cmpint (mkfifo (lock_path, 0600), ==, 0);
  refuse_lock (MMAP_ERROR_EXISTS, "no regular file");
  g_unlink (lock_path);
  g_assert_cmpint (symlink (other, lock_path), ==, 0);
  refuse_lock (MMAP_ERROR_EXISTS, "no regular file");
  g_assert_false (g_file_test (other, G_FILE_TEST_EXISTS));
  g_unlink (lock_path);

  /* Who links it to another file of ours doesn't make us write there. */
  g_file_set_contents (other, START "session 3\naddress /x\n", -1, &error);
  g_assert_no_error (error);
  g_assert_cmpint (link (other, lock_path), ==, 0);
  refuse_lock (MMAP_ERROR_EXISTS, "several names");
  g_unlink (other);
  /* Now it is like that of an owner which is dead. */
  listener = listen_at (path);
  refuse_listen (path, MMAP_ERROR_IN_USE, own_pid);
  mmap_listener_free (listener);
  g_assert_false (g_file_test (lock_path, G_FILE_TEST_EXISTS));
  /* So is that of one which was killed before it wrote anything. */
  g_file_set_contents (lock_path, "", 0, &error);
  g_assert_no_error (error);
  mmap_listener_free (listen_at (path));
  g_assert_false (g_file_test (lock_path, G_FILE_TEST_EXISTS));
  g_free (other);
  g_free (large);
}

/* Who looks at a lock has it for a moment. */
static void
test_looked_at (void)
{
  int start[2], fd;
  char byte;
  pid_t pid;

  make_stale ();
  g_assert_cmpint (pipe2 (start, O_CLOEXEC), ==, 0);
  pid = fork ();
  if (pid == 0) {
    fd = open (lock_path, O_RDONLY | O_CLOEXEC);
    if (flock (fd, LOCK_SH) < 0 || write (start[1], "x", 1) != 1)
      _exit (1);
    g_usleep (30 * 1000);
    _exit (0);
  }
  g_assert_cmpint (read (start[0], &byte, 1), ==, 1);
  mmap_listener_free (listen_at (path));
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  close (start[0]);
  close (start[1]);
}

/* A lock that somebody removed: who listens is alive all the same. */
static void
test_lock_removed (void)
{
  MmapListener *listener = listen_at (path);

  g_assert_cmpint (g_unlink (lock_path), ==, 0);
  refuse_listen (path, MMAP_ERROR_IN_USE, own_pid);
  check_connect (path);
  g_assert_false (g_file_test (lock_path, G_FILE_TEST_EXISTS));
  mmap_listener_free (listener);
}

static void
wait_for_stop (pid_t pid)
{
  int status;

  g_assert_cmpint (waitpid (pid, &status, WUNTRACED), ==, pid);
  g_assert_true (WIFSTOPPED (status));
}

/* A process that stops itself when it has a lock, or a socket on which it doesn't listen yet. */
static pid_t
start_stopped (gboolean has_socket)
{
  MmapSocketLock lock;
  pid_t pid = fork ();

  if (pid == 0) {
    stopping = TRUE;
    if (has_socket)
      mmap_listener_new (path, NULL);
    else if (mmap_socket_lock_take (&lock, path, NULL))
      raise (SIGSTOP);
    for (;;)
      pause ();
  }
  wait_for_stop (pid);
  g_assert_true (g_file_test (lock_path, G_FILE_TEST_EXISTS));
  g_assert_cmpint (g_file_test (path, G_FILE_TEST_EXISTS), ==, has_socket);
  return pid;
}

/* Who was stopped between any two steps is not dead; who was killed there has left nothing that is in the way. */
static void
test_stopped (void)
{
  struct stat before, after;
  char *pid_text;
  int i, status;
  pid_t pid;

  for (i = 0; i < 2; i++) {
    pid = start_stopped (i);
    pid_text = g_strdup_printf ("pid %d:", pid);
    g_assert_cmpint (g_lstat (i ? path : lock_path, &before), ==, 0);
    refuse_listen (path, MMAP_ERROR_IN_USE, pid_text);
    g_assert_cmpint (g_lstat (i ? path : lock_path, &after), ==, 0);
    g_assert_cmpuint (after.st_ino, ==, before.st_ino);
    if (i)
      refuse_connect (path, MMAP_ERROR_NOT_FOUND, path);
    kill (pid, SIGKILL);
    g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
    mmap_listener_free (listen_at (path));
    g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    g_assert_false (g_file_test (lock_path, G_FILE_TEST_EXISTS));
    g_free (pid_text);
  }

  /* It goes on where it was. */
  pid = start_stopped (TRUE);
  refuse_listen (path, MMAP_ERROR_IN_USE, "pid");
  kill (pid, SIGCONT);
  wait_until_listening ();
  kill (pid, SIGSTOP);
  wait_for_stop (pid);
  check_connect (path);
  refuse_listen (path, MMAP_ERROR_IN_USE, "pid");
  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  mmap_listener_free (listen_at (path));
}

/* A child that was forked has all that its parent had open: the path is in use until it, too, has ended. */
static void
test_forked (void)
{
  int ends[2], status;
  char *pid_text;
  pid_t pid, child;

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  pid = fork ();
  if (pid == 0) {
    if (!mmap_listener_new (path, NULL))
      _exit (1);
    child = fork ();
    if (child != 0 && write (ends[1], &child, sizeof child) != sizeof child)
      _exit (1);
    for (;;)
      pause ();
  }
  g_assert_cmpint (read (ends[0], &child, sizeof child), ==, sizeof child);
  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  pid_text = g_strdup_printf ("pid %d, which can't be seen", pid);
  refuse_listen (path, MMAP_ERROR_IN_USE, pid_text);
  kill (child, SIGKILL);
  /* It is init's to wait for. */
  while (kill (child, 0) == 0 && !is_zombie (child))
    g_usleep (1000);
  mmap_listener_free (listen_at (path));
  close (ends[0]);
  close (ends[1]);
  g_free (pid_text);
}

gboolean __real_g_socket_listen (GSocket * socket, GError ** error);
gboolean __wrap_g_socket_listen (GSocket * socket, GError ** error);

/* The linker puts this in the place of g_socket_listen(). In a race the others get time to find a socket that has its
 * name, and nobody who listens yet. */
gboolean
__wrap_g_socket_listen (GSocket * socket, GError ** error)
{
  if (racing)
    g_usleep (2000);
  if (stopping)
    raise (SIGSTOP);
  return __real_g_socket_listen (socket, error);
}

#define N_RACES 50
#define N_RACERS 4

/* Starts when @start is closed; exits with 1 if it got the address, 2 if it was refused as it should be. */
static pid_t
start_racer (int start, int done)
{
  GError *error = NULL;
  pid_t pid = fork ();
  char byte;

  if (pid != 0)
    return pid;
  racing = TRUE;
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (read (start, &byte, 1) < 0)
    _exit (3);
  if (mmap_listener_new (path, &error)) {
    /* Until all have tried. */
    if (read (done, &byte, 1) < 0)
      _exit (3);
    _exit (1);
  }
  _exit (g_error_matches (error, MMAP_ERROR, MMAP_ERROR_IN_USE) ? 2 : 4);
}

static void
race (void)
{
  int start[2], done[2], status, exits[5] = { 0, };
  guint i;

  make_stale ();
  g_assert_cmpint (pipe2 (start, O_CLOEXEC), ==, 0);
  g_assert_cmpint (pipe2 (done, O_CLOEXEC), ==, 0);
  for (i = 0; i < N_RACERS; i++)
    g_assert_cmpint (start_racer (start[0], done[0]), >, 0);
  g_assert_cmpint (write (start[1], "xxxx", N_RACERS), ==, N_RACERS);
  for (i = 0; i < N_RACERS; i++) {
    /* The last one to end is the winner, which waits for the others. */
    if (i == N_RACERS - 1) {
      wait_until_listening ();
      g_assert_cmpint (write (done[1], "xxxx", N_RACERS), ==, N_RACERS);
    }
    g_assert_cmpint (wait (&status), >, 0);
    g_assert_true (WIFEXITED (status));
    exits[WEXITSTATUS (status)]++;
  }
  g_assert_cmpint (exits[1], ==, 1);
  g_assert_cmpint (exits[2], ==, N_RACERS - 1);
  close (start[0]);
  close (start[1]);
  close (done[0]);
  close (done[1]);
}

static void
test_race (void)
{
  guint i;

  for (i = 0; i < N_RACES; i++)
    race ();
  g_unlink (path);
  g_unlink (lock_path);
}

/* Killed at whatever instant: nothing is in the next one's way. */
static void
test_killed (void)
{
  guint i;

  for (i = 0; i < 200; i++) {
    pid_t pid = fork ();

    while (pid == 0)
      mmap_listener_free (listen_at (path));
    g_usleep (1 + g_test_rand_int_range (0, 3000));
    kill (pid, SIGKILL);
    g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
    mmap_listener_free (listen_at (path));
    g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    g_assert_false (g_file_test (lock_path, G_FILE_TEST_EXISTS));
  }
}

/* Takes over from a dead owner whose record was longer, and is killed in the middle of it. */
static void
test_killed_at_each_call (void)
{
  static const int calls[] = { SYS_flock, SYS_fchmod, SYS_ftruncate,
    SYS_pwrite64, SYS_socket, SYS_bind, SYS_listen
  };
  g_autofree char *longer = g_strdup_printf ("socket of gst-mmap\n"
      "pid 4294967295\nuid 4294967295\nsession 0000000000000003\n"
      "address %s\n", path);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (calls); i++) {
    GError *error = NULL;
    int status;
    pid_t pid;

    g_file_set_contents (lock_path, longer, -1, &error);
    g_assert_no_error (error);
    pid = fork ();
    if (pid == 0) {
      die_at_system_call (calls[i]);
      listen_at (path);
      _exit (0);
    }
    g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
    g_assert_true (WIFSIGNALED (status));
    g_assert_cmpint (WTERMSIG (status), ==, SIGSYS);
    mmap_listener_free (listen_at (path));
    g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    g_assert_false (g_file_test (lock_path, G_FILE_TEST_EXISTS));
  }
}

typedef struct
{
  gint owners, clashes, made;
} Tally;

/* Takes the lock, leaves it stale or removes it, again and again. */
static void
come_and_go (Tally * tally, guint seed)
{
  GRand *rand = g_rand_new_with_seed (seed);
  guint i;

  for (i = 0; i < 1000; i++) {
    GError *error = NULL;
    MmapSocketLock lock;

    if (!mmap_socket_lock_take (&lock, path, &error)) {
      g_assert_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE);
      g_error_free (error);
      continue;
    }
    g_atomic_int_inc (&tally->made);
    if (g_atomic_int_add (&tally->owners, 1) > 0)
      g_atomic_int_inc (&tally->clashes);
    g_usleep (10);
    g_atomic_int_add (&tally->owners, -1);
    if (g_rand_boolean (rand))
      g_clear_pointer (&lock.path, g_free);
    mmap_socket_lock_drop (&lock);
  }
  g_rand_free (rand);
  _exit (0);
}

/* One removes the file while another has opened it, and a third makes a new one: there are never two that own the path. */
static void
test_come_and_go (void)
{
  Tally *tally = mmap (NULL, sizeof (*tally), PROT_READ | PROT_WRITE,
      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  guint i;

  for (i = 0; i < 3; i++) {
    guint seed = g_test_rand_int ();

    if (fork () == 0)
      come_and_go (tally, seed);
  }
  for (i = 0; i < 3; i++) {
    int status;

    wait (&status);
    g_assert_cmpint (status, ==, 0);
  }
  g_assert_cmpint (tally->made, >, 100);
  g_assert_cmpint (tally->clashes, ==, 0);
  munmap (tally, sizeof (*tally));
  g_unlink (lock_path);
}

static void
become_nobody (void)
{
  if (setgid (NOBODY) < 0 || setuid (NOBODY) < 0)
    g_error ("This process can't become another user");
}

static void
as_nobody (gconstpointer directory)
{
  char *inside = g_build_filename (directory, "socket", NULL);

  become_nobody ();
  refuse_connect (path, MMAP_ERROR_PERMISSION, "65534");
  refuse_listen (path, MMAP_ERROR_IN_USE, path);
  refuse_listen (inside, MMAP_ERROR_PERMISSION, "65534");
  refuse_connect (inside, MMAP_ERROR_PERMISSION, "65534");
  g_free (inside);
}

static void
test_permission (void)
{
  char *directory = leak_check_path ("directory");
  MmapListener *listener;

  if (geteuid () == 0) {
    listener = listen_at (path);
    g_assert_cmpint (g_mkdir (directory, 0700), ==, 0);
    run_in_child (as_nobody, directory);
    check_connect (path);
    g_rmdir (directory);
    mmap_listener_free (listener);

    /* Root may do anything, but doesn't replace what is another user's. */
    make_stale ();
    g_assert_cmpint (chown (lock_path, NOBODY, NOBODY), ==, 0);
    refuse_listen (path, MMAP_ERROR_EXISTS, "another user's");
    g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
    g_assert_cmpint (g_unlink (lock_path), ==, 0);
    g_assert_cmpint (g_unlink (path), ==, 0);
  }
  g_free (directory);
}

static void
check_default (gboolean create, MmapError code, const char *reason)
{
  GError *error = NULL;

  g_assert_null (mmap_address_get_default (create, &error));
  check_error (&error, code, reason);
}

static void
test_default_in_runtime_dir (void)
{
  char *runtime = leak_check_path ("runtime");
  char *directory = g_build_filename (runtime, "gst-mmap", NULL);
  char *expected = g_build_filename (directory, "default", NULL);
  GError *error = NULL;
  MmapListener *listener;
  char *address;
  struct stat st;

  g_setenv ("XDG_RUNTIME_DIR", runtime, TRUE);
  check_default (TRUE, MMAP_ERROR_NO_DIRECTORY, directory);
  g_assert_cmpint (g_mkdir (runtime, 0700), ==, 0);
  address = mmap_address_get_default (TRUE, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (address, ==, expected);
  g_assert_cmpint (g_lstat (directory, &st), ==, 0);
  g_assert_cmpuint (st.st_mode, ==, S_IFDIR | 0700);
  g_free (address);
  listener = listen_at (NULL);
  g_assert_cmpstr (listener->address, ==, expected);
  address = mmap_address_get_default (FALSE, &error);
  g_assert_cmpstr (address, ==, expected);
  check_connect (address);
  g_free (address);
  mmap_listener_free (listener);

  /* Open to others, a link, a file, another user's. */
  g_assert_cmpint (g_chmod (directory, 0750), ==, 0);
  check_default (TRUE, MMAP_ERROR_PERMISSION, "0700");
  check_default (FALSE, MMAP_ERROR_PERMISSION, "0700");
  refuse_listen (NULL, MMAP_ERROR_PERMISSION, directory);
  g_assert_cmpint (g_chmod (directory, 0700), ==, 0);
  if (geteuid () == 0) {
    g_assert_cmpint (chown (directory, NOBODY, NOBODY), ==, 0);
    check_default (TRUE, MMAP_ERROR_PERMISSION, "user 0");
    check_default (FALSE, MMAP_ERROR_PERMISSION, "user 0");
  }
  g_rmdir (directory);
  g_assert_cmpint (symlink ("/tmp", directory), ==, 0);
  check_default (TRUE, MMAP_ERROR_PERMISSION, directory);
  check_default (FALSE, MMAP_ERROR_PERMISSION, directory);
  g_unlink (directory);
  g_file_set_contents (directory, "", 0, &error);
  check_default (TRUE, MMAP_ERROR_PERMISSION, directory);
  g_unlink (directory);
  g_rmdir (runtime);
  g_unsetenv ("XDG_RUNTIME_DIR");
  g_free (expected);
  g_free (directory);
  g_free (runtime);
}

/* Of a user that nobody else is, so that nothing that lies in /tmp is touched. */
static void
as_unheard_of_user (gconstpointer data)
{
  guint uid = 1000000000 + getpid ();
  char *directory = g_strdup_printf ("/tmp/gst-mmap-%u", uid);
  char *expected = g_build_filename (directory, "default", NULL);
  GError *error = NULL;
  char *address;
  struct stat st;

  if (setgid (uid) < 0 || setuid (uid) < 0)
    g_error ("This process can't become another user");
  address = mmap_address_get_default (TRUE, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (address, ==, expected);
  g_assert_cmpint (g_lstat (directory, &st), ==, 0);
  g_assert_cmpuint (st.st_mode, ==, S_IFDIR | 0700);
  /* A relative path is none, as the specification says. */
  g_setenv ("XDG_RUNTIME_DIR", "run", TRUE);
  g_free (address);
  address = mmap_address_get_default (FALSE, &error);
  g_assert_cmpstr (address, ==, expected);
  g_assert_cmpint (g_rmdir (directory), ==, 0);
}

static void
test_default_in_tmp (void)
{
  g_unsetenv ("XDG_RUNTIME_DIR");
  if (geteuid () == 0)
    run_in_child (as_unheard_of_user, NULL);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  path = leak_check_path ("socket");
  lock_path = g_strconcat (path, ".lock", NULL);
  own_pid = g_strdup_printf ("pid %d:", (int) getpid ());
  leak_check_add_test ("/address/listen", test_listen);
  leak_check_add_test ("/address/busy", test_busy);
  leak_check_add_test ("/address/malformed", test_malformed);
  leak_check_add_test ("/address/exists", test_exists);
  leak_check_add_test ("/address/foreign", test_foreign);
  leak_check_add_test ("/address/abstract", test_abstract);
  leak_check_add_test ("/address/stale", test_stale);
  leak_check_add_test ("/address/replaced", test_replaced);
  leak_check_add_test ("/address/record", test_record);
  leak_check_add_test ("/address/record-size", test_record_size);
  leak_check_add_test ("/address/foreign-lock", test_foreign_lock);
  leak_check_add_test ("/address/looked-at", test_looked_at);
  leak_check_add_test ("/address/lock-removed", test_lock_removed);
  leak_check_add_test ("/address/stopped", test_stopped);
  leak_check_add_test ("/address/forked", test_forked);
  leak_check_add_test ("/address/race", test_race);
  leak_check_add_test ("/address/killed", test_killed);
  leak_check_add_test ("/address/killed-at-each-call",
      test_killed_at_each_call);
  leak_check_add_test ("/address/come-and-go", test_come_and_go);
  leak_check_add_test ("/address/permission", test_permission);
  leak_check_add_test ("/address/default-in-runtime-dir",
      test_default_in_runtime_dir);
  leak_check_add_test ("/address/default-in-tmp", test_default_in_tmp);
  result = g_test_run ();
  g_free (path);
  g_free (lock_path);
  g_free (own_pid);
  return result;
}
