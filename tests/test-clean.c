/* gst-mmap: tests of removing what dead owners have left, while others start and go
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. What the tool's 'clean' does at large is in test-leftovers.py; here somebody comes between two of its steps.
 */
#include "tools/find.h"
#include "address.h"
#include "error.h"
#include "leak-check.h"
#include "lock.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static char *file_path, *socket_path, *lock_path;

static MmapRegion *
make_region (void)
{
  GError *error = NULL;
  MmapRegion *region = mmap_region_new_file (file_path, 65536, 1, 1, &error);

  g_assert_no_error (error);
  return region;
}

static MmapListener *
make_listener (void)
{
  GError *error = NULL;
  MmapListener *listener = mmap_listener_new (socket_path, &error);

  g_assert_no_error (error);
  return listener;
}

/* As a process does that is killed. */
static void
abandon (MmapListener * listener)
{
  listener->inode = 0;
  g_clear_pointer (&listener->lock.path, g_free);
  mmap_listener_free (listener);
}

static gboolean
exists (const char *path)
{
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

/* Between the instant when something was found and that when it is removed. */
typedef void (*Step) (gpointer data);

static Step before_lock, after_lock;
static gpointer step_data;

MmapLockResult __real_mmap_lock_take (int fd, guint32 (*read_pid) (int fd),
    guint32 * pid);
MmapLockResult __wrap_mmap_lock_take (int fd, guint32 (*read_pid) (int fd),
    guint32 * pid);

/* The linker puts this in the place of mmap_lock_take(). */
MmapLockResult
__wrap_mmap_lock_take (int fd, guint32 (*read_pid) (int fd), guint32 * pid)
{
  Step before = before_lock, after = after_lock;
  MmapLockResult result;

  before_lock = after_lock = NULL;
  if (before)
    before (step_data);
  result = __real_mmap_lock_take (fd, read_pid, pid);
  if (after)
    after (step_data);
  return result;
}

/* Finds what is dead at @path, and removes it after @between. @reason: %NULL: it is removed */
static void
find_and_remove (char *path, Step between, gpointer data, const char *reason)
{
  char *paths[] = { path, NULL };
  ToolFinder finder;
  const ToolFound *found;
  gboolean failed = TRUE;
  char *why;

  tool_finder_init (&finder);
  g_assert_true (tool_find (&finder, paths));
  g_assert_cmpuint (finder.found->len, ==, 1);
  found = g_ptr_array_index (finder.found, 0);
  g_assert_cmpint (found->state, ==, TOOL_DEAD);
  if (between)
    between (data);
  step_data = data;
  why = tool_remove (found, &failed);
  g_assert_false (failed);
  g_assert_cmpstr (why, ==, reason);
  g_free (why);
  tool_finder_clear (&finder);
}

static void
start_region (gpointer data)
{
  *(MmapRegion **) data = make_region ();
}

static void
start_listener (gpointer data)
{
  *(MmapListener **) data = make_listener ();
}

static void
end_region (MmapRegion * region)
{
  g_assert_true (exists (file_path));
  mmap_region_unlink (region);
  mmap_region_unref (region);
  g_assert_false (exists (file_path));
}

static void
end_listener (MmapListener * listener)
{
  GError *error = NULL;
  GSocket *socket = mmap_address_connect (socket_path, &error);

  g_assert_no_error (error);
  g_object_unref (socket);
  g_assert_true (exists (lock_path));
  mmap_listener_free (listener);
  g_assert_false (exists (socket_path));
  g_assert_false (exists (lock_path));
}

static void
test_removed (void)
{
  mmap_region_unref (make_region ());
  find_and_remove (file_path, NULL, NULL, NULL);
  g_assert_false (exists (file_path));
  abandon (make_listener ());
  find_and_remove (socket_path, NULL, NULL, NULL);
  g_assert_false (exists (socket_path));
  g_assert_false (exists (lock_path));
}

/* A producer has started since it was found. */
static void
test_started_since (void)
{
  MmapListener *listener;
  MmapRegion *region;

  mmap_region_unref (make_region ());
  find_and_remove (file_path, start_region, &region, "it has a live owner now");
  end_region (region);
  abandon (make_listener ());
  find_and_remove (socket_path, start_listener, &listener,
      "it has a live owner now");
  end_listener (listener);
}

/* It starts when the file is open, but not locked yet. */
static void
test_starts_before_lock (void)
{
  MmapListener *listener;
  MmapRegion *region;

  mmap_region_unref (make_region ());
  before_lock = start_region;
  find_and_remove (file_path, NULL, &region, "another one has taken its place");
  end_region (region);
  abandon (make_listener ());
  before_lock = start_listener;
  find_and_remove (socket_path, NULL, &listener, "it has a live owner now");
  end_listener (listener);
}

static void
start_and_end (gpointer data)
{
  mmap_listener_free (make_listener ());
}

static void
start_end_start (gpointer data)
{
  start_and_end (data);
  start_listener (data);
}

/* It starts, ends and removes what it had; perhaps another one starts then. */
static void
test_comes_and_goes (void)
{
  MmapListener *listener;

  abandon (make_listener ());
  find_and_remove (socket_path, start_and_end, NULL, "it has gone");
  abandon (make_listener ());
  before_lock = start_and_end;
  find_and_remove (socket_path, NULL, NULL, "another one has taken its place");
  g_assert_false (exists (lock_path));
  abandon (make_listener ());
  before_lock = start_end_start;
  find_and_remove (socket_path, NULL, &listener,
      "another one has taken its place");
  end_listener (listener);
}

static void
refuse_start (gpointer data)
{
  GError *error = NULL;

  if (*(gboolean *) data)
    g_assert_null (mmap_listener_new (socket_path, &error));
  else
    g_assert_null (mmap_region_new_file (file_path, 65536, 1, 1, &error));
  g_assert_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE);
  g_error_free (error);
}

/* Who starts while it is being removed waits a moment for the lock; here for ever. */
static void
test_starts_under_lock (void)
{
  gboolean socket = FALSE;

  mmap_region_unref (make_region ());
  after_lock = refuse_start;
  find_and_remove (file_path, NULL, &socket, NULL);
  g_assert_false (exists (file_path));
  socket = TRUE;
  abandon (make_listener ());
  after_lock = refuse_start;
  find_and_remove (socket_path, NULL, &socket, NULL);
  g_assert_false (exists (socket_path));
  g_assert_false (exists (lock_path));
}

static void
write_diary (gpointer path)
{
  int fd = g_open (path, O_WRONLY | O_TRUNC | O_CLOEXEC, 0);

  g_assert_cmpint (write (fd, "Dear diary", 10), ==, 10);
  close (fd);
}

static void
replace_by_link (gpointer path)
{
  g_assert_cmpint (g_unlink (path), ==, 0);
  g_assert_cmpint (symlink ("/etc/passwd", path), ==, 0);
}

/* Another program has written to it, or put something else there. */
static void
test_something_else (void)
{
  mmap_region_unref (make_region ());
  find_and_remove (file_path, write_diary, file_path,
      "it is something else now");
  g_assert_true (exists (file_path));
  g_unlink (file_path);
  mmap_region_unref (make_region ());
  before_lock = replace_by_link;
  find_and_remove (file_path, NULL, file_path,
      "another one has taken its place");
  g_assert_true (g_file_test (file_path, G_FILE_TEST_IS_SYMLINK));
  g_unlink (file_path);
  abandon (make_listener ());
  find_and_remove (socket_path, write_diary, lock_path,
      "it is something else now");
  g_assert_true (exists (socket_path));
  g_unlink (socket_path);
  g_unlink (lock_path);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  file_path = leak_check_path ("region");
  socket_path = leak_check_path ("socket");
  lock_path = g_strconcat (socket_path, MMAP_SOCKET_LOCK_SUFFIX, NULL);
  leak_check_add_test ("/clean/removed", test_removed);
  leak_check_add_test ("/clean/started-since", test_started_since);
  leak_check_add_test ("/clean/starts-before-lock", test_starts_before_lock);
  leak_check_add_test ("/clean/comes-and-goes", test_comes_and_goes);
  leak_check_add_test ("/clean/starts-under-lock", test_starts_under_lock);
  leak_check_add_test ("/clean/something-else", test_something_else);
  result = g_test_run ();
  g_free (file_path);
  g_free (socket_path);
  g_free (lock_path);
  return result;
}
