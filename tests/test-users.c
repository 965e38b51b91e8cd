/* gst-mmap: tests of who may be at the other end
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`, as root: the other side is a process that has become another user. It is forked first, when there are no threads
 * yet: who starts first doesn't matter to a consumer. An abstract socket keeps nobody out, so that it is the check that does.
 */
#include "leak-check.h"
#include "peers.h"
#include "system-faults.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define ALICE 1001
#define MIB (G_GUINT64_CONSTANT (1) << 20)

static char *address;

static MmapUsers *
users_of (const char *text)
{
  GError *error = NULL;
  MmapUsers *users = mmap_users_new (text, &error);

  g_assert_no_error (error);
  return users;
}

static gboolean
have (const char *text, guint32 uid)
{
  MmapUsers *users = users_of (text);
  gboolean is_in = mmap_users_have (users, uid);

  mmap_users_free (users);
  return is_in;
}

static void
test_parse (void)
{
  static const char *const wrong[] =
      { ",", "0,", ",0", "0,,1", "-1", "+1", "0x0", "1.0", "4294967295",
    "18446744073709551616", "no-such-user", "root,no-such-user", "any,root",
    "Any", "root nobody", " ", "0;1"
  };
  GError *error = NULL;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_assert_null (mmap_users_new (wrong[i], &error));
    check_error (&error, MMAP_ERROR_SETTING,
        "allowed-uids: there is no user '");
  }
  g_assert_null (mmap_users_new ("root, no-such-user", &error));
  check_error (&error, MMAP_ERROR_SETTING, "'no-such-user'");
  mmap_users_free (NULL);
}

static void
as_alice (gconstpointer data)
{
  if (setgid (ALICE) < 0 || setuid (ALICE) < 0)
    g_error ("This process can't become another user");
  g_assert_true (have (NULL, ALICE));
  g_assert_true (have (NULL, 0));
  g_assert_true (have ("", ALICE));
  g_assert_false (have (NULL, ALICE + 1));
  /* A list is the whole list. */
  g_assert_false (have ("1002", ALICE));
  g_assert_false (have ("1002", 0));
}

static void
test_have (void)
{
  run_in_child (as_alice, NULL);
  g_assert_true (have (NULL, geteuid ()));
  g_assert_false (have (NULL, ALICE));
  g_assert_true (have ("root", 0));
  g_assert_true (have ("0", 0));
  g_assert_true (have ("daemon, 1001 ,root", 0));
  g_assert_true (have ("daemon, 1001 ,root", 1));
  g_assert_true (have ("daemon, 1001 ,root", ALICE));
  g_assert_false (have ("daemon, 1001 ,root", 2));
  g_assert_true (have ("4294967294", 4294967294u));
  g_assert_true (have ("any", 0));
  g_assert_true (have ("any", ALICE));
  g_assert_true (have ("any", NOBODY));
  /* What the kernel says if it doesn't say who. */
  g_assert_false (have ("0", G_MAXUINT32));
  g_assert_true (have ("any", G_MAXUINT32));
}

/* As start_child(), in a user namespace of its own, in which root is root and nobody else is known. By clone(2): who has threads, as
 * ThreadSanitizer gives everybody one, may not unshare(2) that. */
static int
start_in_user_namespace (void (*function) (gconstpointer))
{
  pid_t pid = syscall (SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  int fd;

  g_assert_cmpint (pid, >=, 0);
  if (pid != 0)
    return pid;
  fd = open ("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
  g_assert_cmpint (write (fd, "0 0 1", 5), ==, 5);
  close (fd);
  function (NULL);
  _exit (0);
}

/* The number stands for everybody who isn't known, and for nobody in particular. */
static void
in_user_namespace (gconstpointer data)
{
  g_assert_true (mmap_users_is_unknown (NOBODY));
  g_assert_false (mmap_users_is_unknown (0));
  g_assert_false (have ("65534", NOBODY));
  g_assert_false (have ("nobody", NOBODY));
  g_assert_true (have ("any", NOBODY));
  g_assert_true (have (NULL, 0));
}

static void
test_namespace (void)
{
  g_assert_true (mmap_users_is_unknown (NOBODY) || have ("65534", NOBODY));
  end_child (start_in_user_namespace (in_user_namespace));
}

/* --- a consumer of another user --- */

static void
become (guint uid)
{
  if (setgid (uid) < 0 || setuid (uid) < 0)
    g_error ("This process can't become another user");
}

/* Until it has a frame, or an error. */
static MmapNextResult
consume (MmapConsumer * consumer, GError ** error)
{
  MmapNextResult next;
  MmapItem item;

  do {
    next = mmap_consumer_next (consumer, &item, error);
    if (next == MMAP_NEXT_FRAME) {
      check_frame (&item, 1);
      release_item (&item);
    }
    mmap_item_clear (&item);
  } while (next == MMAP_NEXT_CONNECTED || next == MMAP_NEXT_EVENT);
  return next;
}

static MmapConsumer *
new_consumer (const char *allowed)
{
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);

  g_assert_no_error (error);
  if (allowed)
    mmap_consumer_set_allowed (consumer, users_of (allowed));
  return consumer;
}

static void
is_refused (gconstpointer why)
{
  MmapConsumer *consumer = new_consumer ("any");
  GError *error = NULL;

  g_assert_cmpint (consume (consumer, &error), ==, MMAP_NEXT_ERROR);
  check_error (&error, MMAP_ERROR_USER, why);
  mmap_consumer_free (consumer);
}

static void
alice_is_refused (gconstpointer data)
{
  become (ALICE);
  is_refused ("user 1001");
}

static void
alice_gets_frame (gconstpointer data)
{
  MmapConsumer *consumer = new_consumer ("any");
  GError *error = NULL;

  become (ALICE);
  g_assert_cmpint (consume (consumer, &error), ==, MMAP_NEXT_FRAME);
  g_assert_no_error (error);
  mmap_consumer_free (consumer);
}

/* One that is allowed is there, too, and notices nothing. */
static void
test_consumer_refused (void)
{
  int alice = start_child (alice_is_refused, NULL);
  MmapProducer *producer = make_producer (address, MIB);
  MmapProducerStats stats;
  Reader reader;

  reader_start (&reader, address, FALSE);
  wait_for_failures (producer, MMAP_ERROR_USER, 1);
  end_child (alice);
  wait_for_links (producer, 1);
  publish_frame (producer, 1, 64);
  reader_wait (&reader, reader.frames == 1);
  mmap_producer_get_stats (producer, &stats);
  g_assert_cmpuint (stats.links, ==, 1);
  reader_stop (&reader);
  end_producer (producer);
}

/* Nothing but the refusal comes, whatever it says: no descriptor, and no word of where anything is. */
static void
alice_looks (gconstpointer data)
{
  RawConsumer raw;
  MmapMessage message;
  GError *error = NULL;

  become (ALICE);
  memset (&raw, 0, sizeof raw);
  while (!raw.socket)
    raw.socket = mmap_address_connect (address, NULL);
  g_assert_true (raw_receive (raw.socket, &message));
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_REFUSE);
  g_assert_cmpuint (message.n_fds, ==, 0);
  g_assert_cmpuint (g_variant_n_children (message.body), ==, 2);
  mmap_message_get_refusal (&message, &error);
  g_assert_null (strstr (error->message, "/"));
  check_error (&error, MMAP_ERROR_USER, "allowed-uids of mmapsink");
  mmap_message_clear (&message);
  g_assert_false (raw_receive (raw.socket, &message));
  raw_clear (&raw);
}

static void
test_consumer_told_nothing (void)
{
  int alice = start_child (alice_looks, NULL);
  MmapProducer *producer = make_producer (address, MIB);

  wait_for_failures (producer, MMAP_ERROR_USER, 1);
  end_child (alice);
  end_producer (producer);
}

/* For the next that connects; who is there stays. */
static void
test_allowed_changes (void)
{
  int alice = start_child (alice_gets_frame, NULL), refused;
  MmapProducer *producer;
  int ends[2];
  char byte;

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  /* Forked now, as later there are threads; it begins when it is told. */
  refused = fork ();
  if (refused == 0) {
    g_assert_cmpint (read (ends[0], &byte, 1), ==, 1);
    alice_is_refused (NULL);
    _exit (0);
  }
  producer = mmap_producer_new (address, NULL, MMAP_TOKEN_DEFAULT_BYTES, NULL);
  mmap_producer_set_allowed (producer, users_of ("1001"));
  g_assert_true (mmap_producer_start (producer, NULL));
  mmap_producer_set_region (producer, mmap_producer_size_for (MIB), G_MAXUINT64,
      NULL, NULL);
  wait_for_links (producer, 1);
  mmap_producer_set_allowed (producer, users_of (NULL));
  g_assert_cmpint (write (ends[1], "x", 1), ==, 1);
  wait_for_failures (producer, MMAP_ERROR_USER, 1);
  end_child (refused);
  publish_frame (producer, 1, 64);
  end_child (alice);
  end_producer (producer);
  close (ends[0]);
  close (ends[1]);
}

/* It is allowed by the number as which every unknown user appears. */
static void
produce_in_namespace (gconstpointer data)
{
  MmapProducer *producer;

  producer = mmap_producer_new (address, NULL, MMAP_TOKEN_DEFAULT_BYTES, NULL);
  mmap_producer_set_allowed (producer, users_of ("0,65534"));
  g_assert_true (mmap_producer_start (producer, NULL));
  wait_for_failures (producer, MMAP_ERROR_USER, 1);
  end_producer (producer);
}

static void
alice_is_unknown (gconstpointer data)
{
  become (ALICE);
  is_refused ("user namespace");
}

static void
test_consumer_unknown (void)
{
  int producer = start_in_user_namespace (produce_in_namespace);

  run_in_child (alice_is_unknown, NULL);
  end_child (producer);
}

/* The kernel has no process id for it here, but a user. */
static void
consume_elsewhere (gconstpointer data)
{
  g_assert_cmpint (unshare (CLONE_NEWPID), ==, 0);
  run_in_child (data ? alice_is_refused : alice_gets_frame, NULL);
}

static void
produce_elsewhere (gconstpointer data)
{
  int consumer = start_child (consume_elsewhere, data);
  MmapProducer *producer;

  producer = mmap_producer_new (address, NULL, MMAP_TOKEN_DEFAULT_BYTES, NULL);
  mmap_producer_set_allowed (producer, users_of (data ? "0" : "1001"));
  g_assert_true (mmap_producer_start (producer, NULL));
  mmap_producer_set_region (producer, mmap_producer_size_for (MIB), G_MAXUINT64,
      NULL, NULL);
  if (data) {
    wait_for_failures (producer, MMAP_ERROR_USER, 1);
  } else {
    wait_for_links (producer, 1);
    publish_frame (producer, 1, 64);
  }
  end_child (consumer);
  end_producer (producer);
}

static void
test_pid_namespace (void)
{
  produce_elsewhere (NULL);
  produce_elsewhere ("refused");
}

/* --- a producer of another user --- */

static void
alice_produces (gconstpointer data)
{
  MmapProducer *producer;

  become (ALICE);
  producer = make_producer (address, MIB);
  wait_for_links (producer, 1);
  publish_frame (producer, 1, 64);
  /* Until the consumer has gone. */
  wait_for_links (producer, 0);
  end_producer (producer);
}

static void
test_producer_trusted (void)
{
  int alice = start_child (alice_produces, NULL);
  MmapConsumer *consumer = new_consumer ("1001");
  GError *error = NULL;

  g_assert_cmpint (consume (consumer, &error), ==, MMAP_NEXT_FRAME);
  g_assert_no_error (error);
  mmap_consumer_free (consumer);
  end_child (alice);
}

/* It waits for what the consumer says, and hears that it has gone. */
static void
alice_listens (gconstpointer data)
{
  MmapListener *listener;
  GSocket *socket;
  MmapMessage message;

  become (ALICE);
  listener = mmap_listener_new (address, NULL);
  g_socket_condition_wait (listener->socket, G_IO_IN, NULL, NULL);
  socket = g_socket_accept (listener->socket, NULL, NULL);
  g_assert_false (raw_receive (socket, &message));
  g_object_unref (socket);
  mmap_listener_free (listener);
}

static void
test_producer_not_trusted (void)
{
  int alice = start_child (alice_listens, NULL);
  MmapConsumer *consumer = new_consumer (NULL);
  GError *error = NULL;

  g_assert_cmpint (consume (consumer, &error), ==, MMAP_NEXT_ERROR);
  g_assert_nonnull (strstr (error->message, address));
  g_assert_nonnull (strstr (error->message, "allowed-uids of mmapsrc"));
  check_error (&error, MMAP_ERROR_USER, "user 1001");
  mmap_consumer_free (consumer);
  end_child (alice);
}

/* Not even by the number as which all unknown users appear. */
static void
consume_in_namespace (gconstpointer data)
{
  MmapConsumer *consumer;
  GError *error = NULL;

  consumer = new_consumer ("0,65534");
  g_assert_cmpint (consume (consumer, &error), ==, MMAP_NEXT_ERROR);
  check_error (&error, MMAP_ERROR_USER, "user namespace");
  mmap_consumer_free (consumer);
}

static void
test_producer_unknown (void)
{
  int alice = start_child (alice_listens, NULL);

  end_child (start_in_user_namespace (consume_in_namespace));
  end_child (alice);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  address = g_strdup_printf ("@gst-mmap-test-users-%d", (int) getpid ());
  leak_check_add_test ("/users/parse", test_parse);
  leak_check_add_test ("/users/have", test_have);
  leak_check_add_test ("/users/namespace", test_namespace);
  leak_check_add_test ("/users/consumer-refused", test_consumer_refused);
  leak_check_add_test ("/users/consumer-told-nothing",
      test_consumer_told_nothing);
  leak_check_add_test ("/users/allowed-changes", test_allowed_changes);
  leak_check_add_test ("/users/consumer-unknown", test_consumer_unknown);
  leak_check_add_test ("/users/pid-namespace", test_pid_namespace);
  leak_check_add_test ("/users/producer-trusted", test_producer_trusted);
  leak_check_add_test ("/users/producer-not-trusted",
      test_producer_not_trusted);
  leak_check_add_test ("/users/producer-unknown", test_producer_unknown);
  result = g_test_run ();
  g_free (address);
  return result;
}
