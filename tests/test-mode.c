/* gst-mmap: tests of the mode and the group of a producer's socket and file
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`, as root. Other users are processes that are forked before there are threads.
 */
#include "leak-check.h"
#include "peers.h"
#include "system-faults.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALICE 1001
#define CREW 1002
#define MIB (G_GUINT64_CONSTANT (1) << 20)

static char *path, *file;

/* --- what is set --- */

static void
test_settings (void)
{
  static const struct
  {
    guint mode;
    const char *group;
    const char *reason;
  } wrong[] = {
    {0, NULL, "in octal 0,"},
    {660, NULL, "mode=660, in octal 01224"},
    {600, NULL, "01130"},
    {0700, NULL, "0700"},
    {0661, NULL, "0661"},
    {0400, NULL, "0400"},
    {0200, NULL, "0200"},
    {060, NULL, "begin with 0"},
    {01600, NULL, "01600"},
    {04660, NULL, "04660"},
    {G_MAXUINT, NULL, "4294967295"},
    {0660, "no-such-group", "'no-such-group'"},
    {0660, "4294967295", "'4294967295'"},
    {0660, "-1", "'-1'"},
    {0660, "daemon,nogroup", "'daemon,nogroup'"},
    {0600, "daemon", "set mode=0660"},
    {0606, "0", "set mode=0666"},
  };
  MmapMode shared;
  GError *error = NULL;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_assert_false (mmap_mode_init (&shared, wrong[i].mode, wrong[i].group,
            &error));
    check_error (&error, MMAP_ERROR_SETTING, wrong[i].reason);
  }
  g_assert_true (mmap_mode_init (&shared, 0600, NULL, &error));
  g_assert_false (mmap_mode_is_shared (&shared));
  g_assert_true (mmap_mode_init (&shared, 0666, "", &error));
  g_assert_true (mmap_mode_is_shared (&shared));
  g_assert_cmpint (shared.gid, ==, -1);
  g_assert_true (mmap_mode_init (&shared, 0620, "daemon", &error));
  g_assert_cmpint (shared.gid, ==, 1);
  g_assert_true (mmap_mode_init (&shared, 0640, "4294967294", &error));
  g_assert_cmpint (shared.gid, ==, 4294967294);
}

static MmapProducer *
try_produce (const char *address, const char *region, guint mode,
    GError ** error)
{
  MmapMode shared = { mode, -1 };

  return mmap_producer_new_shared (address, region, &shared,
      MMAP_TOKEN_DEFAULT_BYTES, error);
}

static void
refuse (const char *address, const char *region, guint mode, const char *reason)
{
  GError *error = NULL;

  g_assert_null (try_produce (address, region, mode, &error));
  check_error (&error, MMAP_ERROR_SETTING, reason);
}

/* A file without a socket. */
static void
refuse_area (guint bits, const char *reason)
{
  MmapUsers *users = mmap_users_new (NULL, NULL);
  GError *error = NULL;
  MmapMode mode;

  g_assert_true (mmap_mode_init (&mode, bits, NULL, NULL));
  g_assert_null (mmap_producer_new_in_area (file, "default", 0, &mode, users,
          MMAP_TOKEN_DEFAULT_BYTES, &error));
  check_error (&error, MMAP_ERROR_SETTING, reason);
  g_assert_false (g_file_test (file, G_FILE_TEST_EXISTS));
  mmap_users_free (users);
}

static void
accept (const char *address, const char *region, guint mode)
{
  GError *error = NULL;
  MmapProducer *producer = try_produce (address, region, mode, &error);

  g_assert_no_error (error);
  end_producer (producer);
}

static void
test_addresses (void)
{
  refuse (NULL, NULL, 0660, "without a socket-path");
  refuse (NULL, file, 0660, "without a socket-path");
  refuse ("@gst-mmap-test-mode", file, 0660, "@gst-mmap-test-mode");
  refuse (MMAP_ADDRESS_NONE, NULL, 0660, "without a file");
  refuse (path, NULL, 0640, "set mode=0660");
  refuse (path, file, 0644, "set mode=0666");
  refuse (path, file, 0624, "set mode=0626");
  refuse_area (0640, "set mode=0660");
  refuse_area (0664, "set mode=0666");
  accept (MMAP_ADDRESS_NONE, NULL, 0600);
  accept (MMAP_ADDRESS_NONE, file, 0644);
  accept ("@gst-mmap-test-mode", NULL, 0600);
  accept (path, NULL, 0622);
}

/* --- what comes of it --- */

static void
assert_is (const char *name, guint mode, guint gid)
{
  struct stat st;

  g_assert_cmpint (g_lstat (name, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 07777, ==, mode);
  g_assert_cmpint (st.st_gid, ==, gid);
}

static MmapProducer *
share (guint mode, const char *group, guint64 bytes)
{
  GError *error = NULL;
  MmapMode shared;
  MmapProducer *producer;

  g_assert_true (mmap_mode_init (&shared, mode, group, &error));
  producer =
      mmap_producer_new_shared (path, file, &shared, MMAP_TOKEN_DEFAULT_BYTES,
      &error);
  g_assert_no_error (error);
  mmap_producer_set_allowed (producer, mmap_users_new ("any", NULL));
  g_assert_true (mmap_producer_start (producer, NULL));
  mmap_producer_set_region (producer, mmap_producer_size_for (bytes),
      G_MAXUINT64, NULL, &error);
  g_assert_no_error (error);
  return producer;
}

static void
test_umask (void)
{
  static const guint masks[] = { 0, 022, 027, 077, 0177, 0777 };
  mode_t umask_before = umask (0);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (masks); i++) {
    MmapProducer *producer;

    umask (masks[i]);
    producer = share (0600, NULL, MIB);
    assert_is (path, 0600, 0);
    assert_is (file, 0600, 0);
    end_producer (producer);

    producer = share (0660, "1002", MIB);
    assert_is (path, 0660, CREW);
    assert_is (file, 0640, CREW);
    /* The next one, too. */
    mmap_producer_set_region (producer, mmap_producer_size_for (2 * MIB),
        G_MAXUINT64, NULL, NULL);
    assert_is (file, 0640, CREW);
    end_producer (producer);

    producer = share (0622, NULL, MIB);
    assert_is (path, 0622, 0);
    assert_is (file, 0600, 0);
    end_producer (producer);
  }
  umask (umask_before);
}

static guint n_looks;
static gboolean looking, sockets_refuse;

/* Nobody else may do anything yet. */
static void
look (void)
{
  const char *const names[] = { path, file };
  struct stat st;
  guint i;

  if (!looking)
    return;
  for (i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_lstat (names[i], &st) == 0 && st.st_gid != CREW) {
      g_assert_cmpint (st.st_mode & 077, ==, 0);
      n_looks++;
    }
}

/* The linker puts these in the places of those that change a file that was just made. */
int __real_fchmod (int fd, mode_t mode);
int __wrap_fchmod (int fd, mode_t mode);
int __real_chmod (const char *name, mode_t mode);
int __wrap_chmod (const char *name, mode_t mode);
int __real_fchownat (int fd, const char *name, uid_t uid, gid_t gid, int flags);
int __wrap_fchownat (int fd, const char *name, uid_t uid, gid_t gid, int flags);

int
__wrap_fchmod (int fd, mode_t mode)
{
  struct stat st;

  look ();
  if (sockets_refuse && fstat (fd, &st) == 0 && S_ISSOCK (st.st_mode)) {
    errno = EINVAL;
    return -1;
  }
  return __real_fchmod (fd, mode);
}

int
__wrap_chmod (const char *name, mode_t mode)
{
  look ();
  return __real_chmod (name, mode);
}

int
__wrap_fchownat (int fd, const char *name, uid_t uid, gid_t gid, int flags)
{
  int result;

  look ();
  result = __real_fchownat (fd, name, uid, gid, flags);
  if (looking) {
    struct stat st;

    /* Of the group already, but it may do nothing. */
    g_assert_cmpint (fstat (fd, &st), ==, 0);
    g_assert_cmpint (st.st_mode & 077, ==, 0);
  }
  return result;
}

static void
test_instants (void)
{
  mode_t umask_before = umask (0);

  n_looks = 0;
  looking = TRUE;
  end_producer (share (0660, "1002", MIB));
  looking = FALSE;
  umask (umask_before);
  g_assert_cmpuint (n_looks, >=, 2);
}

/* --- who gets in --- */

static void
become (guint uid, guint group)
{
  gid_t groups[] = { group };

  if (setgroups (1, groups) < 0 || setgid (uid) < 0 || setuid (uid) < 0)
    g_error ("This process can't become another user");
}

static MmapNextResult
consume (GError ** error)
{
  MmapConsumer *consumer = mmap_consumer_new (path, NULL);
  MmapNextResult next;
  MmapItem item;

  mmap_consumer_set_allowed (consumer, mmap_users_new ("any", NULL));
  do {
    next = mmap_consumer_next (consumer, &item, error);
    if (next == MMAP_NEXT_FRAME) {
      check_frame (&item, 1);
      release_item (&item);
    }
    mmap_item_clear (&item);
  } while (next == MMAP_NEXT_CONNECTED || next == MMAP_NEXT_EVENT);
  mmap_consumer_free (consumer);
  return next;
}

static void
member (gconstpointer data)
{
  GError *error = NULL;

  become (ALICE, CREW);
  g_assert_cmpint (consume (&error), ==, MMAP_NEXT_FRAME);
  g_assert_no_error (error);
}

static void
stranger (gconstpointer data)
{
  GError *error = NULL;

  become (ALICE, ALICE);
  g_assert_cmpint (consume (&error), ==, MMAP_NEXT_ERROR);
  check_error (&error, MMAP_ERROR_PERMISSION, path);
}

/* A member of the group gets frames out of the file, which it may not open for writing; nobody else connects. */
static void
test_group (void)
{
  int alice = start_child (member, NULL), mallory =
      start_child (stranger, NULL);
  MmapProducer *producer = share (0660, "1002", MIB);

  wait_for_links (producer, 1);
  publish_frame (producer, 1, 64);
  end_child (alice);
  end_child (mallory);
  end_producer (producer);
}

static void
test_others (void)
{
  int alice = start_child (member, NULL);
  MmapProducer *producer = share (0666, NULL, MIB);

  wait_for_links (producer, 1);
  publish_frame (producer, 1, 64);
  end_child (alice);
  end_producer (producer);
}

static void
as_alice (gconstpointer data)
{
  MmapMode shared = { 0660, 0 };
  GError *error = NULL;
  MmapProducer *producer;

  become (ALICE, CREW);
  /* Not a member of root's. */
  g_assert_null (mmap_producer_new_shared (path, NULL, &shared,
          MMAP_TOKEN_DEFAULT_BYTES, &error));
  check_error (&error, MMAP_ERROR_PERMISSION, "can't be given to group 0");
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  producer =
      mmap_producer_new_shared (MMAP_ADDRESS_NONE, file, &shared,
      MMAP_TOKEN_DEFAULT_BYTES, &error);
  g_assert_false (mmap_producer_set_region (producer, MIB, G_MAXUINT64, NULL,
          &error));
  check_error (&error, MMAP_ERROR_PERMISSION, file);
  g_assert_false (g_file_test (file, G_FILE_TEST_EXISTS));
  end_producer (producer);
  /* A member of this one. */
  producer = share (0660, "1002", MIB);
  assert_is (path, 0660, CREW);
  assert_is (file, 0640, CREW);
  end_producer (producer);
}

static void
test_not_permitted (void)
{
  run_in_child (as_alice, NULL);
}

/* The system can't keep others from a socket before it has a name: then there is none. */
static void
test_system_refuses (void)
{
  GError *error = NULL;

  sockets_refuse = TRUE;
  g_assert_null (mmap_listener_new (path, &error));
  sockets_refuse = FALSE;
  check_error (&error, MMAP_ERROR_FAILED, path);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  path = leak_check_path ("socket");
  file = leak_check_path ("file");
  leak_check_add_test ("/mode/settings", test_settings);
  leak_check_add_test ("/mode/addresses", test_addresses);
  leak_check_add_test ("/mode/umask", test_umask);
  leak_check_add_test ("/mode/instants", test_instants);
  leak_check_add_test ("/mode/group", test_group);
  leak_check_add_test ("/mode/others", test_others);
  leak_check_add_test ("/mode/not-permitted", test_not_permitted);
  leak_check_add_test ("/mode/system-refuses", test_system_refuses);
  result = g_test_run ();
  g_free (path);
  g_free (file);
  return result;
}
