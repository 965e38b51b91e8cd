/* gst-mmap: tests of regions in files
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Cases that need root say so, and are skipped without.
 */
#include "error.h"
#include "leak-check.h"
#include "region.h"
#include "system-faults.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 65536
#define NOBODY 65534

static MmapRegion *
make_file (const char *path, guint64 session)
{
  GError *error = NULL;
  MmapRegion *region = mmap_region_new_file (path, SIZE, session, 1, &error);

  g_assert_no_error (error);
  return region;
}

/* A region whose owner is gone. */
static void
make_stale (const char *path)
{
  mmap_region_unref (make_file (path, 1));
}

static void
check_error (GError ** error, MmapError code, const char *reason)
{
  g_assert_error (*error, MMAP_ERROR, (gint) code);
  if (strstr ((*error)->message, reason) == NULL)
    g_error ("\"%s\" doesn't say \"%s\"", (*error)->message, reason);
  g_clear_error (error);
}

static void
refuse_new (const char *path, MmapError code, const char *reason)
{
  GError *error = NULL;

  g_assert_null (mmap_region_new_file (path, SIZE, 2, 1, &error));
  check_error (&error, code, reason);
}

static void
refuse_open (const char *path, guint64 expected_size, MmapError code,
    const char *reason)
{
  GError *error = NULL;

  g_assert_null (mmap_region_open_path (path, expected_size, &error));
  check_error (&error, code, reason);
  g_assert_null (mmap_region_open_path_writable (path, expected_size, &error));
  check_error (&error, code, reason);
}

static gboolean
need_root (void)
{
  if (geteuid () == 0)
    return TRUE;
  g_test_skip ("needs root");
  return FALSE;
}

static void
test_file (void)
{
  char *path = leak_check_path ("file");
  MmapRegion *region, *opened;
  GError *error = NULL;
  struct stat st;

  region = make_file (path, 7);
  g_assert_cmpstr (region->path, ==, path);
  g_assert_true (region->writable);
  g_assert_cmpint (fcntl (region->fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpuint (st.st_mode, ==, S_IFREG | 0600);
  g_assert_cmpint (st.st_nlink, ==, 1);
  g_assert_cmpint (st.st_size, ==, SIZE);
  g_assert_cmpint (st.st_blocks * 512, >=, SIZE);

  opened = mmap_region_open_path (path, SIZE, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (opened->path, ==, path);
  g_assert_cmpuint (opened->session, ==, 7);
  g_assert_false (opened->writable);
  region->base[SIZE - 1] = 42;
  g_assert_cmpuint (opened->base[SIZE - 1], ==, 42);

  /* Only who made it removes it. */
  mmap_region_unlink (opened);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  mmap_region_unlink (region);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  mmap_region_unlink (region);
  g_assert_cmpuint (opened->base[SIZE - 1], ==, 42);
  mmap_region_unref (region);
  mmap_region_unref (opened);
  g_free (path);
}

static void
test_unlink_not_ours (void)
{
  char *path = leak_check_path ("replaced");
  MmapRegion *region = make_file (path, 1);

  g_unlink (path);
  g_assert_true (g_file_set_contents (path, "theirs", -1, NULL));
  mmap_region_unlink (region);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  mmap_region_unref (region);
  g_unlink (path);
  g_free (path);
}

/* The mode is 0600 whatever the umask, and the path may be relative. */
static void
test_umask_relative (void)
{
  static const mode_t masks[] = { 0, 0777 };
  char *path = leak_check_path ("umask");
  char *name = g_path_get_basename (path);
  char *cwd = g_get_current_dir ();
  mode_t before = umask (0);
  guint i;

  g_assert_cmpint (chdir ("/dev/shm"), ==, 0);
  for (i = 0; i < G_N_ELEMENTS (masks); i++) {
    MmapRegion *region;
    struct stat st;

    umask (masks[i]);
    region = make_file (name, 1);
    g_assert_cmpint (stat (path, &st), ==, 0);
    g_assert_cmpuint (st.st_mode, ==, S_IFREG | 0600);
    mmap_region_unlink (region);
    mmap_region_unref (region);
  }
  umask (before);
  g_assert_cmpint (chdir (cwd), ==, 0);
  g_free (path);
  g_free (name);
  g_free (cwd);
}

/* What an owner leaves behind is replaced; what was opened of it stays. */
static void
test_stale (void)
{
  char *path = leak_check_path ("stale");
  MmapRegion *old, *opened, *region;
  GError *error = NULL;

  old = make_file (path, 1);
  old->base[SIZE - 1] = 42;
  opened = mmap_region_open_path (path, 0, &error);
  g_assert_no_error (error);
  mmap_region_unref (old);
  region = make_file (path, 2);
  g_assert_cmpuint (region->base[SIZE - 1], ==, 0);
  g_assert_cmpuint (opened->base[SIZE - 1], ==, 42);
  mmap_region_unref (opened);
  opened = mmap_region_open_path (path, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (opened->session, ==, 2);
  mmap_region_unref (opened);
  mmap_region_unlink (region);
  mmap_region_unref (region);
  g_free (path);
}

static void
own_and_wait (const char *path, int ready)
{
  make_file (path, 1);
  g_assert_cmpint (write (ready, "r", 1), ==, 1);
  for (;;)
    pause ();
}

static void
test_in_use (void)
{
  char *path = leak_check_path ("in-use");
  char *pid_text;
  MmapRegion *region;
  GError *error = NULL;
  int ready[2];
  char byte;
  pid_t pid;

  g_assert_cmpint (pipe2 (ready, O_CLOEXEC), ==, 0);
  pid = fork ();
  if (pid == 0)
    own_and_wait (path, ready[1]);
  g_assert_cmpint (read (ready[0], &byte, 1), ==, 1);
  pid_text = g_strdup_printf ("pid %d", pid);
  refuse_new (path, MMAP_ERROR_IN_USE, pid_text);

  region = mmap_region_open_path_writable (path, SIZE, &error);
  g_assert_no_error (error);
  g_assert_false (mmap_region_lock (region, &error));
  check_error (&error, MMAP_ERROR_IN_USE, pid_text);

  /* However the owner ends, its lock ends with it. */
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  g_assert_true (mmap_region_lock (region, &error));
  refuse_new (path, MMAP_ERROR_IN_USE, path);
  mmap_region_unref (region);
  region = make_file (path, 2);
  mmap_region_unlink (region);
  mmap_region_unref (region);
  close (ready[0]);
  close (ready[1]);
  g_free (pid_text);
  g_free (path);
}

/* A file of this text is refused by both sides, and left as it was. */
static void
refuse_text (const char *path, const char *text, gsize size)
{
  char *after = NULL;
  gsize n = 0;

  g_assert_true (g_file_set_contents (path, text, size, NULL));
  refuse_new (path, MMAP_ERROR_EXISTS, "no region");
  refuse_open (path, 0, MMAP_ERROR_NOT_A_REGION, path);
  refuse_open (path, SIZE, MMAP_ERROR_SIZE, "65536");
  g_assert_true (g_file_get_contents (path, &after, &n, NULL));
  g_assert_cmpmem (after, n, text, size);
  g_free (after);
}

static void
test_not_a_region (void)
{
  char *path = leak_check_path ("text");
  char *large = g_strnfill (20000, 'x');
  int fd;

  refuse_text (path, "", 0);
  refuse_text (path, "gst-mma", 7);
  refuse_text (path, "Dear diary", 10);
  refuse_text (path, large, 20000);

  /* Locked by somebody, whatever it is */
  fd = open (path, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (flock (fd, LOCK_SH), ==, 0);
  refuse_new (path, MMAP_ERROR_IN_USE, path);
  close (fd);
  g_unlink (path);
  g_free (large);
  g_free (path);
}

static void
make_socket (const char *path)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof (address.sun_path));
  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof (address)),
      ==, 0);
  close (fd);
}

/* Nothing but a regular file is opened, followed, or replaced. */
static void
test_not_a_file (void)
{
  char *path = leak_check_path ("odd");
  char *target = leak_check_path ("target");
  struct stat st;

  make_stale (target);
  g_assert_cmpint (symlink (target, path), ==, 0);
  refuse_new (path, MMAP_ERROR_EXISTS, "symbolic link");
  refuse_open (path, 0, MMAP_ERROR_FILE, "symbolic link");
  g_unlink (target);
  refuse_new (path, MMAP_ERROR_EXISTS, "symbolic link");
  refuse_open (path, 0, MMAP_ERROR_FILE, "symbolic link");
  g_assert_false (g_file_test (target, G_FILE_TEST_EXISTS));
  g_unlink (path);

  g_assert_cmpint (mkdir (path, 0700), ==, 0);
  refuse_new (path, MMAP_ERROR_EXISTS, "directory");
  refuse_open (path, 0, MMAP_ERROR_FILE, "directory");
  g_rmdir (path);

  g_assert_cmpint (mkfifo (path, 0600), ==, 0);
  refuse_new (path, MMAP_ERROR_EXISTS, "no regular file");
  refuse_open (path, 0, MMAP_ERROR_FILE, "no regular file");
  g_unlink (path);

  make_socket (path);
  refuse_new (path, MMAP_ERROR_EXISTS, "no regular file");
  refuse_open (path, 0, MMAP_ERROR_FILE, "no regular file");
  g_assert_cmpint (lstat (path, &st), ==, 0);
  g_unlink (path);

  refuse_new ("/dev/null", MMAP_ERROR_EXISTS, "no regular file");
  refuse_open ("/dev/null", 0, MMAP_ERROR_FILE, "no regular file");
  refuse_new ("/dev/shm/", MMAP_ERROR_EXISTS, "directory");
  g_free (path);
  g_free (target);
}

/* What is no regular file may take the path after it was looked at: then it
 * is opened, but not followed, and nobody waits for it. */
static void
look_and_open (gconstpointer data)
{
  const char *const *paths = data;

  fail_system_call (SYS_newfstatat, 3, AT_SYMLINK_NOFOLLOW, EACCES);
  refuse_open (paths[0], 0, MMAP_ERROR_FILE, "symbolic links");
  refuse_open (paths[1], 0, MMAP_ERROR_FILE, "regular file");
}

static void
test_open_replaced (void)
{
  char *target = leak_check_path ("target");
  char *link = leak_check_path ("link");
  char *fifo = leak_check_path ("fifo");

  make_stale (target);
  g_assert_cmpint (symlink (target, link), ==, 0);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  run_in_child (look_and_open, (const char *const[]) { link, fifo });
  g_unlink (target);
  g_unlink (link);
  g_unlink (fifo);
  g_free (target);
  g_free (link);
  g_free (fifo);
}

static void
test_no_directory (void)
{
  char *path = leak_check_path ("no/such/file");
  char *file = leak_check_path ("file");
  char *below = g_strconcat (file, "/region", NULL);
  char *directory = g_path_get_dirname (path);
  char *name = g_strnfill (300, 'x');
  char *long_path = g_strconcat ("/dev/shm/", name, NULL);

  refuse_new (path, MMAP_ERROR_NO_DIRECTORY, directory);
  refuse_open (path, 0, MMAP_ERROR_FILE, path);
  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  refuse_new (below, MMAP_ERROR_NO_DIRECTORY, file);
  refuse_new ("", MMAP_ERROR_NO_DIRECTORY, "");
  refuse_open ("", 0, MMAP_ERROR_FILE, "");
  refuse_new (long_path, MMAP_ERROR_FAILED, "too long");
  g_unlink (file);
  g_free (path);
  g_free (file);
  g_free (below);
  g_free (directory);
  g_free (name);
  g_free (long_path);
}

static void
as_nobody (gconstpointer data)
{
  const char *const *paths = data;

  g_assert_cmpint (setgid (NOBODY), ==, 0);
  g_assert_cmpint (setuid (NOBODY), ==, 0);
  /* in a directory that is another's */
  refuse_new (paths[0], MMAP_ERROR_PERMISSION, "User 65534");
  /* a file that is another's, stale or not */
  refuse_new (paths[1], MMAP_ERROR_PERMISSION, "User 65534");
  refuse_open (paths[1], 0, MMAP_ERROR_FILE, "user 65534");
}

static void
test_permission (void)
{
  char *directory, *path, *theirs;

  if (!need_root ())
    return;
  directory = leak_check_path ("private");
  path = g_build_filename (directory, "region", NULL);
  theirs = leak_check_path ("theirs");
  g_assert_cmpint (mkdir (directory, 0755), ==, 0);
  make_stale (theirs);
  run_in_child (as_nobody, (const char *const[]) { path, theirs });

  /* Root may do anything, but doesn't replace what is another user's. */
  g_assert_cmpint (chown (theirs, NOBODY, NOBODY), ==, 0);
  refuse_new (theirs, MMAP_ERROR_EXISTS, "another user");
  g_assert_true (g_file_test (theirs, G_FILE_TEST_EXISTS));
  g_unlink (theirs);
  g_rmdir (directory);
  g_free (directory);
  g_free (path);
  g_free (theirs);
}

static guint
count_entries (const char *directory)
{
  GDir *dir = g_dir_open (directory, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  g_dir_close (dir);
  return n;
}

#define SMALL_FS (G_GUINT64_CONSTANT (1) << 20)

/* A file system that is full says so at the start, and what a region has is
 * not lost to what comes later. */
static void
fill_small_fs (gconstpointer data)
{
  char *path = g_build_filename (data, "region", NULL);
  char *other = g_build_filename (data, "other", NULL);
  GError *error = NULL;
  MmapRegion *region;
  int fd;

  if (!mount_small_tmpfs (data, SMALL_FS))
    g_error ("Can't mount a tmpfs, as root");
  g_assert_null (mmap_region_new_file (path, 2 * SMALL_FS, 1, 1, &error));
  g_assert_nonnull (strstr (error->message, "1048576"));
  check_error (&error, MMAP_ERROR_NO_SPACE, "2097152");
  g_assert_cmpuint (count_entries (data), ==, 0);

  region = mmap_region_new_file (path, SMALL_FS / 2, 1, 1, &error);
  g_assert_no_error (error);
  g_assert_null (mmap_region_new_file (other, SMALL_FS / 2 + 4096, 1, 1,
          &error));
  check_error (&error, MMAP_ERROR_NO_SPACE, "528384");
  g_assert_cmpuint (count_entries (data), ==, 1);

  fd = open (other, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  g_assert_cmpint (fallocate (fd, 0, 0, SMALL_FS / 2), ==, 0);
  g_assert_cmpint (fallocate (fd, 0, SMALL_FS / 2, 4096), ==, -1);
  close (fd);
  /* No SIGBUS */
  memset (region->base + 8192, 0xa5, region->size - 8192);
  mmap_region_unlink (region);
  mmap_region_unref (region);
  g_free (path);
  g_free (other);
}

/* The check in advance may be overtaken: then the file system's word counts,
 * and what was made until then is removed. */
static void
lose_race_for_space (gconstpointer data)
{
  char *path = g_build_filename (data, "region", NULL);

  if (!mount_small_tmpfs (data, SMALL_FS))
    g_error ("Can't mount a tmpfs, as root");
  fail_system_call (SYS_fallocate, 0, 0, ENOSPC);
  refuse_new (path, MMAP_ERROR_NO_SPACE, "65536");
  g_assert_cmpuint (count_entries (data), ==, 0);
  /* The same where the file has a name from the start. */
  fail_system_call (SYS_openat, 2, __O_TMPFILE, EOPNOTSUPP);
  refuse_new (path, MMAP_ERROR_NO_SPACE, "65536");
  g_assert_cmpuint (count_entries (data), ==, 0);
  g_free (path);
}

static void
limit_file_size (gconstpointer path)
{
  const struct rlimit limit = { SIZE - 4096, SIZE - 4096 };

  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  refuse_new (path, MMAP_ERROR_NO_SPACE, "ulimit");
}

static void
test_no_space (void)
{
  char *path = leak_check_path ("limit");
  char *directory;
  GError *error = NULL;

  run_in_child (limit_file_size, path);
  g_assert_null (mmap_region_new_file (path, 100, 1, 1, &error));
  check_error (&error, MMAP_ERROR_TOO_SMALL, "12288");
  g_assert_null (mmap_region_new_file (path, MMAP_REGION_MAX_BYTES, 1, 1,
          &error));
  check_error (&error, MMAP_ERROR_NO_SPACE, "1099511627776");
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  g_free (path);

  if (!need_root ())
    return;
  directory = g_dir_make_tmp ("gst-mmap-test-XXXXXX", NULL);
  run_in_child (fill_small_fs, directory);
  run_in_child (lose_race_for_space, directory);
  g_rmdir (directory);
  g_free (directory);
}

/* A file system that can't make files without a name */
static void
without_tmpfile (gconstpointer path)
{
  MmapRegion *region;
  struct stat st;

  fail_system_call (SYS_openat, 2, __O_TMPFILE, EOPNOTSUPP);
  umask (0777);
  region = make_file (path, 1);
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpuint (st.st_mode, ==, S_IFREG | 0600);
  refuse_new (path, MMAP_ERROR_IN_USE, path);
  mmap_region_unref (region);
  region = make_file (path, 2);
  mmap_region_unlink (region);
  mmap_region_unref (region);
  refuse_new ("/dev/shm/no/such/file", MMAP_ERROR_NO_DIRECTORY, "/no/such");

  /* Fails late: nothing is left. */
  fail_system_call (SYS_mmap, 3, MAP_SHARED, ENOMEM);
  refuse_new (path, MMAP_ERROR_NO_SPACE, "map");
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

/* Fails when the file gets its name: nothing is left. */
static void
without_link (gconstpointer path)
{
  fail_system_call (SYS_linkat, 0, 0, EPERM);
  refuse_new (path, MMAP_ERROR_PERMISSION, path);
}

static void
always_in_the_way (gconstpointer path)
{
  fail_system_call (SYS_linkat, 0, 0, EEXIST);
  refuse_new (path, MMAP_ERROR_IN_USE, "times");
}

static void
without_locks (gconstpointer path)
{
  fail_system_call (SYS_flock, 0, 0, ENOLCK);
  refuse_new (path, MMAP_ERROR_FAILED, "lock");
}

static void
without_inodes (gconstpointer path)
{
  fail_system_call (SYS_openat, 2, __O_TMPFILE, ENOSPC);
  refuse_new (path, MMAP_ERROR_NO_SPACE, "/dev/shm");
}

static void
test_system_refuses (void)
{
  char *path = leak_check_path ("refused");

  run_in_child (without_tmpfile, path);
  run_in_child (without_link, path);
  run_in_child (always_in_the_way, path);
  run_in_child (without_locks, path);
  run_in_child (without_inodes, path);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  g_free (path);
}

static void
test_open_truncated (void)
{
  char *path = leak_check_path ("cut");

  make_stale (path);
  g_assert_cmpint (truncate (path, SIZE - 4096), ==, 0);
  refuse_open (path, 0, MMAP_ERROR_SIZE, "61440");
  refuse_open (path, SIZE, MMAP_ERROR_SIZE, "61440");
  g_assert_cmpint (truncate (path, 64), ==, 0);
  refuse_open (path, 0, MMAP_ERROR_NOT_A_REGION, "64 bytes");
  g_unlink (path);
  g_free (path);
}

static void
test_open_writable (void)
{
  char *path = leak_check_path ("writable");
  MmapRegion *region, *writable;
  GError *error = NULL;

  region = make_file (path, 1);
  writable = mmap_region_open_path_writable (path, SIZE, &error);
  g_assert_no_error (error);
  g_assert_true (writable->writable);
  writable->base[9000] = 42;
  g_assert_cmpuint (region->base[9000], ==, 42);
  g_assert_false (mmap_region_lock (writable, &error));
  check_error (&error, MMAP_ERROR_IN_USE, path);
  mmap_region_unlink (writable);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  mmap_region_unlink (region);
  mmap_region_unref (region);
  mmap_region_unref (writable);
  g_free (path);
}

#define STARTERS 4
#define ROUNDS 100

typedef struct
{
  const char *path;
  int go, result, end;
  gboolean tmpfile;
} Start;

/* Waits for the start, tries once, tells how it went, holds on until the end.
 * With @tmpfile cleared, as on a file system without files without a name. */
static void
starter (const Start * start)
{
  MmapRegion *region;
  GError *error = NULL;
  struct pollfd go = { start->go, POLLIN, 0 };
  char byte;

  if (!start->tmpfile)
    fail_system_call (SYS_openat, 2, __O_TMPFILE, EOPNOTSUPP);
  g_assert_cmpint (write (start->result, "r", 1), ==, 1);
  /* All wake at once: nobody reads the byte. */
  g_assert_cmpint (poll (&go, 1, -1), ==, 1);
  region = mmap_region_new_file (start->path, SIZE, getpid (), 1, &error);
  byte = region ? 'o' : error->code == MMAP_ERROR_IN_USE ? 'u'
      : error->code == MMAP_ERROR_EXISTS ? 'x' : '?';
  g_assert_cmpint (write (start->result, &byte, 1), ==, 1);
  g_assert_cmpint (read (start->end, &byte, 1), ==, 0);
  g_clear_pointer (&region, mmap_region_unref);
  g_clear_error (&error);
  _exit (0);
}

static void
read_results (int fd, char *results)
{
  guint i;

  for (i = 0; i < STARTERS; i++)
    g_assert_cmpint (read (fd, &results[i], 1), ==, 1);
  results[STARTERS] = '\0';
}

/* Several processes start at once where a stale file lies. Returns: owners */
static guint
race (const char *path, gboolean tmpfile)
{
  int go[2], result[2], end[2];
  char results[STARTERS + 1];
  guint i, owners = 0;

  make_stale (path);
  g_assert_cmpint (pipe2 (go, O_CLOEXEC), ==, 0);
  g_assert_cmpint (pipe2 (result, O_CLOEXEC), ==, 0);
  g_assert_cmpint (pipe2 (end, O_CLOEXEC), ==, 0);
  for (i = 0; i < STARTERS; i++) {
    if (fork () == 0) {
      close (end[1]);
      starter (&(Start) {
          path, go[0], result[1], end[0], tmpfile}
      );
    }
  }
  read_results (result[0], results);
  g_assert_cmpstr (results, ==, "rrrr");
  g_assert_cmpint (write (go[1], "g", 1), ==, 1);
  read_results (result[0], results);
  for (i = 0; i < STARTERS; i++) {
    owners += results[i] == 'o';
    g_assert_nonnull (strchr ("ou", results[i]));
  }
  /* While they all live, the path is the owner's. */
  if (owners == 1)
    refuse_new (path, MMAP_ERROR_IN_USE, path);
  close (end[1]);
  for (i = 0; i < STARTERS; i++)
    wait (NULL);
  close (end[0]);
  close (go[0]);
  close (go[1]);
  close (result[0]);
  close (result[1]);
  g_unlink (path);
  return owners;
}

static void
test_race (void)
{
  char *path = leak_check_path ("race");
  guint i;

  for (i = 0; i < ROUNDS; i++) {
    g_assert_cmpuint (race (path, TRUE), ==, 1);
    g_assert_cmpuint (race (path, FALSE), ==, 1);
  }
  g_free (path);
}

/* Makes and removes the region until it is killed. */
static void
make_again_and_again (const char *path, gboolean tmpfile)
{
  if (!tmpfile)
    fail_system_call (SYS_openat, 2, __O_TMPFILE, EOPNOTSUPP);
  for (;;) {
    MmapRegion *region = make_file (path, 1);

    mmap_region_unlink (region);
    mmap_region_unref (region);
  }
}

/* At whatever instant: nothing is in the next one's way, and nothing else is left. */
static void
test_killed (void)
{
  char *path = leak_check_path ("killed");
  MmapRegion *region;
  guint i;

  for (i = 0; i < ROUNDS; i++) {
    pid_t pid = fork ();

    if (pid == 0)
      make_again_and_again (path, i % 2);
    g_usleep (1 + g_test_rand_int_range (0, 5000));
    kill (pid, SIGKILL);
    g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
    region = make_file (path, 2);
    mmap_region_unlink (region);
    mmap_region_unref (region);
  }
  g_free (path);
}

/* What one leaves that was killed where it had a name but was no region yet. */
static void
test_begun (void)
{
  char *path = leak_check_path ("begun");
  guint8 start[128] = MMAP_REGION_MAGIC;
  guint i;

  for (i = 0; i < 2; i++) {
    int fd = open (path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, S_ISVTX | 0600);
    MmapRegion *region;

    if (i)
      g_assert_cmpint (write (fd, start, sizeof start), ==, sizeof start);
    g_assert_cmpint (flock (fd, LOCK_EX), ==, 0);
    refuse_new (path, MMAP_ERROR_IN_USE, "not known");
    refuse_open (path, 0, MMAP_ERROR_NOT_A_REGION, path);
    close (fd);
    region = make_file (path, 1);
    mmap_region_unlink (region);
    mmap_region_unref (region);
  }
  g_free (path);
}

typedef struct
{
  gint owners, most, made;
} Tally;

/* Makes the region, leaves it stale or removes it, again and again. */
static void
come_and_go (const char *path, Tally * tally, guint seed)
{
  GRand *rand = g_rand_new_with_seed (seed);
  guint i;

  for (i = 0; i < 2000; i++) {
    GError *error = NULL;
    MmapRegion *region = mmap_region_new_file (path, SIZE, 1, 1, &error);

    if (region == NULL) {
      g_assert_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE);
      g_error_free (error);
      continue;
    }
    g_atomic_int_inc (&tally->made);
    if (g_atomic_int_add (&tally->owners, 1) > 0)
      g_atomic_int_inc (&tally->most);
    g_atomic_int_add (&tally->owners, -1);
    if (g_rand_boolean (rand))
      mmap_region_unlink (region);
    mmap_region_unref (region);
  }
  g_rand_free (rand);
  _exit (0);
}

/* A stale file is deleted by one while another makes a new one: there are
 * never two that own the path. */
static void
test_come_and_go (void)
{
  Tally *tally = mmap (NULL, sizeof (*tally), PROT_READ | PROT_WRITE,
      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char *path = leak_check_path ("come-and-go");
  guint i;

  for (i = 0; i < 3; i++) {
    guint seed = g_test_rand_int ();

    if (fork () == 0)
      come_and_go (path, tally, seed);
  }
  for (i = 0; i < 3; i++) {
    int status;

    wait (&status);
    g_assert_cmpint (status, ==, 0);
  }
  g_test_message ("made %d times", tally->made);
  g_assert_cmpint (tally->made, >, 100);
  g_assert_cmpint (tally->most, ==, 0);
  munmap (tally, sizeof (*tally));
  g_unlink (path);
  g_free (path);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/region-file/file", test_file);
  leak_check_add_test ("/region-file/unlink-not-ours", test_unlink_not_ours);
  leak_check_add_test ("/region-file/umask-relative", test_umask_relative);
  leak_check_add_test ("/region-file/stale", test_stale);
  leak_check_add_test ("/region-file/in-use", test_in_use);
  leak_check_add_test ("/region-file/not-a-region", test_not_a_region);
  leak_check_add_test ("/region-file/not-a-file", test_not_a_file);
  leak_check_add_test ("/region-file/open-replaced", test_open_replaced);
  leak_check_add_test ("/region-file/no-directory", test_no_directory);
  leak_check_add_test ("/region-file/permission", test_permission);
  leak_check_add_test ("/region-file/no-space", test_no_space);
  leak_check_add_test ("/region-file/system-refuses", test_system_refuses);
  leak_check_add_test ("/region-file/open-truncated", test_open_truncated);
  leak_check_add_test ("/region-file/open-writable", test_open_writable);
  leak_check_add_test ("/region-file/race", test_race);
  leak_check_add_test ("/region-file/killed", test_killed);
  leak_check_add_test ("/region-file/begun", test_begun);
  leak_check_add_test ("/region-file/come-and-go", test_come_and_go);
  return g_test_run ();
}
