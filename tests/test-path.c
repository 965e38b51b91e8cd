/* gst-mmap: tests of where paths lead
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`, as root: what other users have put in the way is chowned to them.
 */
#include "leak-check.h"
#include "path.h"
#include "peers.h"
#include "system-faults.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MALLORY 1003
#define MIB (G_GUINT64_CONSTANT (1) << 20)

/* A directory, and what lies in it. */
static char *top;

static char *
in_top (const char *name)
{
  return g_build_filename (top, name, NULL);
}

static void
make_directory (const char *name, guint mode, guint uid)
{
  g_autofree char *path = in_top (name);

  g_assert_cmpint (g_mkdir (path, 0700), ==, 0);
  g_assert_cmpint (g_chmod (path, mode), ==, 0);
  g_assert_cmpint (chown (path, uid, uid), ==, 0);
}

static void
make_link (const char *name, const char *target, guint uid)
{
  g_autofree char *path = in_top (name);

  g_assert_cmpint (symlink (target, path), ==, 0);
  g_assert_cmpint (lchown (path, uid, uid), ==, 0);
}

static void
begin (guint mode)
{
  g_assert_cmpint (g_mkdir (top, 0700), ==, 0);
  g_assert_cmpint (g_chmod (top, mode), ==, 0);
}

static void
end (void)
{
  g_autofree char *command = g_strdup_printf ("rm -r '%s'", top);

  g_assert_cmpint (system (command), ==, 0);
}

static void
check_safe (const char *name)
{
  g_autofree char *path = in_top (name);
  GError *error = NULL;

  g_assert_true (mmap_path_check (path, &error));
  g_assert_no_error (error);
}

/* Nobody goes there: neither side, for a socket or a file. */
static void
check_unsafe (const char *name, const char *reason)
{
  g_autofree char *path = in_top (name);
  GError *error = NULL;

  g_assert_false (mmap_path_check (path, &error));
  g_assert_nonnull (strstr (error->message, path));
  check_error (&error, MMAP_ERROR_UNSAFE_PATH, reason);
  g_assert_null (mmap_listener_new (path, &error));
  check_error (&error, MMAP_ERROR_UNSAFE_PATH, reason);
  g_assert_null (mmap_address_connect (path, &error));
  check_error (&error, MMAP_ERROR_UNSAFE_PATH, reason);
  g_assert_null (mmap_region_new_file (path, MIB, 1, 1, &error));
  check_error (&error, MMAP_ERROR_UNSAFE_PATH, reason);
  g_assert_null (mmap_region_open_path (path, 0, &error));
  check_error (&error, MMAP_ERROR_UNSAFE_PATH, reason);
}

static void
test_directories (void)
{
  begin (0755);
  make_directory ("own", 0700, 0);
  make_directory ("sticky", 01777, 0);
  make_directory ("group", 0775, 0);
  make_directory ("mallory", 0755, MALLORY);
  make_directory ("open", 0777, 0);
  make_directory ("open/inside", 0700, 0);
  make_directory ("writers", 0722, 0);
  check_safe ("x");
  check_safe ("own/x");
  check_safe ("own//x//");
  check_safe ("own/../own/./x");
  check_safe ("sticky/x");
  check_safe ("group/x");
  /* What happens in there is that user's business, and all of it. */
  check_safe ("mallory/x");
  check_safe ("own");
  check_safe ("open");
  check_safe ("missing/x");
  check_safe ("missing/../open/x");
  check_unsafe ("open/x", "chmod +t");
  check_unsafe ("open/inside/x", "chmod +t");
  check_unsafe ("open/missing/x", "chmod +t");
  check_unsafe ("writers/x", "sticky");
  check_unsafe ("own/../open/x", "sticky");
  end ();
}

static void
test_links (void)
{
  begin (01777);
  make_directory ("own", 0700, 0);
  make_directory ("open", 0777, 0);
  make_directory ("mallory", 0755, MALLORY);
  make_link ("ours", "own", 0);
  make_link ("theirs", "own", MALLORY);
  make_link ("mallory/theirs", "../own", MALLORY);
  make_link ("mallory/root", "/", MALLORY);
  make_link ("twice", "ours", 0);
  make_link ("hidden", "theirs", 0);
  make_link ("to-open", "open", 0);
  make_link ("absolute", "/dev/shm", 0);
  make_link ("loop", "loop", 0);
  make_link ("own/last", "../theirs", 0);
  check_safe ("ours/x");
  check_safe ("twice/x");
  check_safe ("absolute/x");
  check_safe ("ours/../own/x");
  /* Whoever opens this fails. */
  check_safe ("loop/x");
  check_unsafe ("theirs/x", "user 1003");
  check_unsafe ("theirs/../own/x", "user 1003");
  check_unsafe ("mallory/theirs/x", "user 1003");
  check_unsafe ("mallory/root/dev/shm/x", "symbolic link");
  check_unsafe ("hidden/x", "user 1003");
  check_unsafe ("own/last/x", "user 1003");
  check_unsafe ("to-open/x", "chmod +t");
  end ();
}

/* As the last component no link is followed, whosever it is. */
static void
test_last_link (void)
{
  g_autofree char *socket = NULL, *link = NULL, *file = NULL, *file_link = NULL;
  GError *error = NULL;
  MmapListener *listener;
  MmapRegion *region;

  begin (0755);
  socket = in_top ("socket");
  link = in_top ("link");
  file = in_top ("file");
  file_link = in_top ("file-link");
  listener = mmap_listener_new (socket, &error);
  g_assert_no_error (error);
  region = mmap_region_new_file (file, MIB, 1, 1, &error);
  g_assert_no_error (error);
  make_link ("link", "socket", 0);
  make_link ("file-link", "file", 0);
  g_assert_null (mmap_address_connect (link, &error));
  check_error (&error, MMAP_ERROR_EXISTS, "name the socket itself");
  g_assert_null (mmap_listener_new (link, &error));
  check_error (&error, MMAP_ERROR_EXISTS, link);
  g_assert_null (mmap_region_open_path (file_link, 0, &error));
  check_error (&error, MMAP_ERROR_FILE, "symbolic link");
  g_assert_null (mmap_region_new_file (file_link, MIB, 1, 1, &error));
  check_error (&error, MMAP_ERROR_EXISTS, "symbolic link");
  mmap_listener_free (listener);
  mmap_region_unlink (region);
  mmap_region_unref (region);
  end ();
}

/* From the directory where a process is, which nobody can put something else in the place of. */
static void
relative (gconstpointer data)
{
  GError *error = NULL;

  g_assert_cmpint (g_chdir (top), ==, 0);
  g_assert_true (mmap_path_check ("x", &error));
  g_assert_true (mmap_path_check ("./x", &error));
  g_assert_true (mmap_path_check ("own/x", &error));
  g_assert_true (mmap_path_check ("", &error));
  g_assert_false (mmap_path_check ("open/x", &error));
  check_error (&error, MMAP_ERROR_UNSAFE_PATH, "open");
  g_assert_cmpint (g_chdir ("open"), ==, 0);
  g_assert_false (mmap_path_check ("x", &error));
  check_error (&error, MMAP_ERROR_UNSAFE_PATH, "directory .");
  g_assert_true (mmap_path_check ("/", &error));
}

static void
test_relative (void)
{
  begin (0755);
  make_directory ("own", 0700, 0);
  make_directory ("open", 0777, 0);
  run_in_child (relative, NULL);
  end ();
}

/* --- what lies there already --- */

/* A socket and a region whose owner is dead, as whoever runs this left them. */
static void
leave_behind (gconstpointer uid)
{
  g_autofree char *socket = in_top ("socket"), *file = in_top ("file");

  if (uid && (setgid (MALLORY) < 0 || setuid (MALLORY) < 0))
    g_error ("This process can't become another user");
  g_assert_nonnull (mmap_listener_new (socket, NULL));
  g_assert_nonnull (mmap_region_new_file (file, MIB, 1, 1, NULL));
}

static void
check_left_alone (const char *name, const char *reason)
{
  g_autofree char *path = in_top (name);
  GError *error = NULL;

  if (strcmp (name, "file") == 0)
    g_assert_null (mmap_region_new_file (path, MIB, 1, 1, &error));
  else
    g_assert_null (mmap_listener_new (path, &error));
  check_error (&error, MMAP_ERROR_EXISTS, reason);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
}

/* Even root leaves those of others alone. */
static void
test_others_leftovers (void)
{
  g_autofree char *lock = NULL;

  begin (01777);
  run_in_child (leave_behind, "mallory");
  check_left_alone ("file", "another user's");
  /* Whose lock has been removed, too. */
  lock = in_top ("socket.lock");
  g_unlink (lock);
  check_left_alone ("socket", "user 1003");
  end ();
}

static void
test_two_names (void)
{
  g_autofree char *socket = NULL, *file = NULL, *socket_2 = NULL, *file_2 =
      NULL;

  begin (0755);
  run_in_child (leave_behind, NULL);
  socket = in_top ("socket");
  file = in_top ("file");
  socket_2 = in_top ("socket-2");
  file_2 = in_top ("file-2");
  g_assert_cmpint (link (socket, socket_2), ==, 0);
  g_assert_cmpint (link (file, file_2), ==, 0);
  check_left_alone ("socket", "other names");
  check_left_alone ("file", "other names");
  /* With one they are replaced. */
  g_unlink (socket_2);
  g_unlink (file_2);
  run_in_child (leave_behind, NULL);
  end ();
}

/* --- a region in a file that a producer offers --- */

static void
offer_file (guint uid, guint mode, const char *other_name, const char *reason)
{
  g_autofree char *socket = in_top ("socket"), *file = in_top ("file");
  GError *error = NULL;
  MmapProducer *producer =
      mmap_producer_new (socket, file, MMAP_TOKEN_DEFAULT_BYTES, &error);
  MmapConsumer *consumer = mmap_consumer_new (socket, &error);
  MmapItem item;

  g_assert_true (mmap_producer_start (producer, NULL));
  mmap_producer_set_region (producer, mmap_producer_size_for (MIB), G_MAXUINT64,
      NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (chown (file, uid, uid), ==, 0);
  g_assert_cmpint (g_chmod (file, mode), ==, 0);
  if (other_name)
    g_assert_cmpint (link (file, other_name), ==, 0);
  if (reason) {
    g_assert_cmpint (mmap_consumer_next (consumer, &item, &error), ==,
        MMAP_NEXT_ERROR);
    check_error (&error, MMAP_ERROR_UNSAFE_PATH, reason);
    wait_for_failures (producer, MMAP_ERROR_UNSAFE_PATH, 1);
  } else {
    next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  }
  mmap_consumer_free (consumer);
  end_producer (producer);
}

static void
test_offered_file (void)
{
  g_autofree char *other_name = NULL;

  begin (0755);
  other_name = in_top ("other");
  offer_file (0, 0600, NULL, NULL);
  offer_file (0, 0644, NULL, NULL);
  offer_file (MALLORY, 0600, NULL, "belongs to user 1003");
  offer_file (0, 0620, NULL, "chmod go-w");
  offer_file (0, 0602, NULL, "0602");
  offer_file (0, 0600, other_name, "2 names");
  end ();
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  top = leak_check_path ("top");
  leak_check_add_test ("/path/directories", test_directories);
  leak_check_add_test ("/path/links", test_links);
  leak_check_add_test ("/path/last-link", test_last_link);
  leak_check_add_test ("/path/relative", test_relative);
  leak_check_add_test ("/path/others-leftovers", test_others_leftovers);
  leak_check_add_test ("/path/two-names", test_two_names);
  leak_check_add_test ("/path/offered-file", test_offered_file);
  result = g_test_run ();
  g_free (top);
  return result;
}
