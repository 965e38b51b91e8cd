/* gst-mmap: nothing may be left behind by a test
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Lists what the process has open, before and after each case. Called by the
 * test programs, from their main thread.
 */
#include "leak-check.h"
#include "protocol.h"
#include "socket-lock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Number of the process that loaded the test: its children share its paths. */
static int test_pid;

char *
leak_check_path (const char *name)
{
  if (test_pid == 0)
    test_pid = getpid ();
  return g_strdup_printf ("/dev/shm/gst-mmap-test-%d-%s", test_pid, name);
}

static GHashTable *
list_descriptors (void)
{
  GHashTable *table =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GDir *dir = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *name;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL) {
    char *path = g_build_filename ("/proc/self/fd", name, NULL);
    char target[256];
    gssize n = readlink (path, target, sizeof (target) - 1);

    g_free (path);
    /* The directory that is being read is itself open. */
    if (n < 0)
      continue;
    target[n] = '\0';
    if (g_str_has_prefix (target, "/proc/") && g_str_has_suffix (target, "/fd"))
      continue;
    g_hash_table_add (table, g_strdup_printf ("descriptor %s: %s", name,
            target));
  }
  g_dir_close (dir);
  return table;
}

/* GLib starts these once and never ends them. */
static gboolean
is_glib_thread (const char *name)
{
  return g_str_equal (name, "gmain") || g_str_equal (name, "gdbus")
      || g_str_equal (name, "pool-spawner");
}

static GHashTable *
list_threads (void)
{
  GHashTable *table =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GDir *dir = g_dir_open ("/proc/self/task", 0, NULL);
  const char *tid;

  g_assert_nonnull (dir);
  while ((tid = g_dir_read_name (dir)) != NULL) {
    char *path = g_build_filename ("/proc/self/task", tid, "comm", NULL);
    char *name = NULL;

    /* It may have ended since it was listed. */
    if (g_file_get_contents (path, &name, NULL, NULL)) {
      g_strchomp (name);
      if (!is_glib_thread (name))
        g_hash_table_add (table, g_strdup_printf ("thread %s: %s", tid, name));
    }
    g_free (name);
    g_free (path);
  }
  g_dir_close (dir);
  return table;
}

static gboolean
is_own_region (const char *path, gboolean has_prefix)
{
  MmapRegionHeader header;
  gboolean own;
  int fd;

  if (has_prefix)
    return TRUE;
  fd = open (path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    return FALSE;
  own = pread (fd, &header, sizeof (header), 0) == sizeof (header)
      && memcmp (header.magic, MMAP_REGION_MAGIC, sizeof (header.magic)) == 0
      && header.producer_pid == (guint32) getpid ();
  close (fd);
  return own;
}

/* Adds what @directory has of this process's; names that tests choose begin with @prefix. */
static void
list_directory (GHashTable * table, const char *directory, const char *prefix,
    gboolean (*is_own) (const char *path, gboolean has_prefix))
{
  GDir *dir = g_dir_open (directory, 0, NULL);
  const char *name;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL) {
    char *path = g_build_filename (directory, name, NULL);

    if (is_own (path, g_str_has_prefix (name, prefix)))
      g_hash_table_add (table, g_strdup_printf ("file %s", path));
    g_free (path);
  }
  g_dir_close (dir);
}

/* A killed child leaves its socket and the lock of that; this process must leave neither. */
static gboolean
is_own_socket (const char *path, gboolean has_prefix)
{
  g_autofree char *lock = g_strconcat (path, MMAP_SOCKET_LOCK_SUFFIX, NULL);
  MmapSocketRecord record = { 0 };
  gboolean own = FALSE;
  struct stat st;
  int fd;

  if (!has_prefix || lstat (path, &st) < 0)
    return FALSE;
  if (S_ISSOCK (st.st_mode))
    return access (lock, F_OK) < 0;
  if (!S_ISREG (st.st_mode)
      || !g_str_has_suffix (path, MMAP_SOCKET_LOCK_SUFFIX))
    return FALSE;
  fd = open (path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0 && mmap_socket_record_read (fd, &record))
    own = record.pid == (guint32) getpid ();
  mmap_socket_record_clear (&record);
  if (fd >= 0)
    close (fd);
  return own;
}

static GHashTable *
list_files (void)
{
  GHashTable *table =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  char *path = leak_check_path ("");
  char *prefix = g_path_get_basename (path);

  list_directory (table, "/dev/shm", prefix, is_own_region);
  list_directory (table, g_get_tmp_dir (), prefix, is_own_socket);
  g_free (prefix);
  g_free (path);
  return table;
}

#ifdef __SANITIZE_THREAD__
static gpointer
do_nothing (gpointer data)
{
  return NULL;
}
#endif

guint
leak_check_get_times (void)
{
  const char *times = g_getenv ("MMAP_TEST_TIMES");

  return times ? MAX (1, atoi (times)) : 1;
}

void
leak_check_begin (LeakCheck * check)
{
  /* GLib makes it once, when a thread first needs it, and keeps it. */
  g_main_context_default ();
#ifdef __SANITIZE_THREAD__
  /* With a program's first thread, ThreadSanitizer starts one of its own. */
  g_thread_join (g_thread_new ("first", do_nothing, NULL));
#endif
  check->descriptors = list_descriptors ();
  check->threads = list_threads ();
  check->files = list_files ();
}

static void
append_new (GString * leaks, GHashTable * before, GHashTable * after)
{
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, after);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    if (!g_hash_table_contains (before, key))
      g_string_append_printf (leaks, "\n  %s", (char *) key);
  }
  g_hash_table_unref (after);
}

void
leak_check_end (LeakCheck * check)
{
  gint64 give_up = g_get_monotonic_time () + LEAK_CHECK_WAIT_US;
  GString *leaks = g_string_new (NULL);

  for (;;) {
    g_string_truncate (leaks, 0);
    append_new (leaks, check->descriptors, list_descriptors ());
    append_new (leaks, check->threads, list_threads ());
    append_new (leaks, check->files, list_files ());
    if (leaks->len == 0 || g_get_monotonic_time () > give_up)
      break;
    g_usleep (10 * 1000);
  }
  if (leaks->len > 0)
    g_error ("The test left behind:%s", leaks->str);
  g_string_free (leaks, TRUE);
  g_clear_pointer (&check->descriptors, g_hash_table_unref);
  g_clear_pointer (&check->threads, g_hash_table_unref);
  g_clear_pointer (&check->files, g_hash_table_unref);
}

static void
run_checked (gconstpointer function)
{
  LeakCheck check;

  leak_check_begin (&check);
  ((GTestFunc) function) ();
  leak_check_end (&check);
}

void
leak_check_add_test (const char *test_path, GTestFunc function)
{
  g_test_add_data_func (test_path, function, run_checked);
}
