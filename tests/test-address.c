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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static char *path;

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
  check_connect (path);
  mmap_listener_free (listener);
  g_assert_cmpint (g_lstat (path, &st), ==, -1);
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

/* A program of another kind listens there. */
static void
test_foreign (void)
{
  struct sockaddr_un un = { AF_UNIX, "" };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct stat st;

  g_strlcpy (un.sun_path, path, sizeof (un.sun_path));
  g_assert_cmpint (bind (fd, (struct sockaddr *) &un, sizeof (un)), ==, 0);
  g_assert_cmpint (listen (fd, 1), ==, 0);
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

  g_assert_cmpint (g_unlink (path), ==, 0);
  second = listen_at (path);
  mmap_listener_free (first);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  check_connect (path);
  mmap_listener_free (second);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));

  /* And if it is gone, that is fine. */
  first = listen_at (path);
  g_assert_cmpint (g_unlink (path), ==, 0);
  mmap_listener_free (first);
}

gboolean __real_g_socket_listen (GSocket * socket, GError ** error);
gboolean __wrap_g_socket_listen (GSocket * socket, GError ** error);

static gboolean racing;

/* The linker puts this in the place of g_socket_listen(). In a race the others get time to find a socket that has its
 * name, and nobody who listens yet. */
gboolean
__wrap_g_socket_listen (GSocket * socket, GError ** error)
{
  if (racing)
    g_usleep (2000);
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
      check_connect (path);
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
  leak_check_add_test ("/address/listen", test_listen);
  leak_check_add_test ("/address/busy", test_busy);
  leak_check_add_test ("/address/malformed", test_malformed);
  leak_check_add_test ("/address/exists", test_exists);
  leak_check_add_test ("/address/foreign", test_foreign);
  leak_check_add_test ("/address/abstract", test_abstract);
  leak_check_add_test ("/address/stale", test_stale);
  leak_check_add_test ("/address/replaced", test_replaced);
  leak_check_add_test ("/address/race", test_race);
  leak_check_add_test ("/address/permission", test_permission);
  leak_check_add_test ("/address/default-in-runtime-dir",
      test_default_in_runtime_dir);
  leak_check_add_test ("/address/default-in-tmp", test_default_in_tmp);
  result = g_test_run ();
  g_free (path);
  return result;
}
