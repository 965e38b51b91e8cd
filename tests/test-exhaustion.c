/* gst-mmap: tests of a system that has nothing left
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Each call fails once, through a socket: see life.c; and what happens when what lacked comes back. With --verbose the
 * outcomes are told, one line for each call.
 */
#include "leak-check.h"
#include "life.h"
#include "peers.h"
#include "system-faults.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME 65536

typedef struct
{
  Call call;
  int errnum;
} Fault;

/* --- what comes back --- */

static void
check_returns (gconstpointer data)
{
  const Fault *fault = data;
  g_autoptr (GError) error = NULL;
  guint n_calls;

  error = life_live (LIFE_MEMFD, fault->call, 1, 5, fault->errnum, 0, &n_calls);
  g_assert_no_error (error);
  g_assert_cmpuint (n_calls, >, 5);
}

/* A producer that can't accept does so later. */
static void
test_accepts_later (void)
{
  static const Fault none_left = { CALL_ACCEPT, EMFILE };
  static const Fault no_memory = { CALL_ACCEPT, ENOMEM };

  run_in_child (check_returns, &none_left);
  run_in_child (check_returns, &no_memory);
}

static void
check_connects_later (gconstpointer data)
{
  const Fault *fault = data;
  MmapProducer *producer = make_producer (life_get_address (), 8 * FRAME);
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (life_get_address (), &error);
  MmapItem item;

  g_assert_no_error (error);
  call_faults_set (fault->call, 1, 5, fault->errnum);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_assert_cmpuint (call_faults_get_count (), >=, 5);
  call_faults_set (fault->call, 0, 0, 0);
  publish_frame (producer, 1, FRAME);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  release_item (&item);
  mmap_consumer_free (consumer);

  /* Not for ever. */
  consumer = mmap_consumer_new (life_get_address (), &error);
  mmap_consumer_set_reconnect_timeout (consumer, 300 * G_GINT64_CONSTANT
      (1000000));
  call_faults_set (fault->call, 1, G_MAXUINT, fault->errnum);
  g_assert_cmpint (mmap_consumer_next (consumer, &item, &error), ==,
      MMAP_NEXT_ERROR);
  call_faults_set (fault->call, 0, 0, 0);
  check_error (&error, MMAP_ERROR_NO_RESOURCES, "");
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* So does a consumer: its own lack, and the producer's, of which it is told. */
static void
test_connects_later (void)
{
  static const Fault no_socket = { CALL_SOCKET, EMFILE };
  static const Fault no_link = { CALL_MEMFD_CREATE, EMFILE };

  run_in_child (check_connects_later, &no_socket);
  run_in_child (check_connects_later, &no_link);
}

/* --- the limit of descriptors --- */

static int
lowest_free_fd (void)
{
  int fd = dup (2);

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  return fd;
}

static void
check_descriptors (gconstpointer data)
{
  guint extra = GPOINTER_TO_UINT (data);
  g_autoptr (GError) error = NULL;
  struct rlimit old, few;
  LeakCheck leaks;

  leak_check_begin (&leaks);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &old), ==, 0);
  few = old;
  few.rlim_cur = lowest_free_fd () + extra;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);
  error =
      life_live (LIFE_MEMFD, 0, 0, 0, 0, 50 * G_GINT64_CONSTANT (1000000),
      NULL);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &old), ==, 0);
  g_test_message ("%u descriptors: %s", extra,
      error ? error->message : "all frames arrive");
  leak_check_end (&leaks);
  if (extra >= 60)
    g_assert_no_error (error);
  g_clear_error (&error);
  error = life_live (LIFE_MEMFD, 0, 0, 0, 0, 0, NULL);
  g_assert_no_error (error);
}

/* Both sides have a limit together, so that each step meets it once, and a message whose descriptors find no room. */
static void
test_descriptors (void)
{
  guint i;

  for (i = 0; i < 28; i++)
    run_in_child (check_descriptors, GUINT_TO_POINTER (i));
  run_in_child (check_descriptors, GUINT_TO_POINTER (100));
}

static void
check_truncated_descriptors (gconstpointer data)
{
  int memory = memfd_create ("test", MFD_CLOEXEC);
  int ends[2], sent[2] = { memory, memory }, free_fd;
  g_autoptr (GSocket) from = NULL, to = NULL;
  struct rlimit limit;
  MmapMessage received;
  GError *error = NULL;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET, 0, ends), ==, 0);
  from = g_socket_new_from_fd (ends[0], NULL);
  to = g_socket_new_from_fd (ends[1], NULL);
  g_assert_true (mmap_message_send (from, MMAP_MESSAGE_OFFER, raw_body ("x",
              "y"), sent, 2, &error));
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  free_fd = lowest_free_fd ();
  limit.rlim_cur = free_fd + 1;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  g_assert_false (mmap_message_receive (to, TRUE, &received, &error));
  check_error (&error, MMAP_ERROR_NO_RESOURCES, "ulimit -n");
  /* The one that came is closed. */
  g_assert_cmpint (lowest_free_fd (), ==, free_fd);
}

static void
test_truncated_descriptors (void)
{
  run_in_child (check_truncated_descriptors, NULL);
}

/* --- the limit of memory --- */

static guint64
get_address_space (void)
{
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  return g_ascii_strtoull (text, NULL, 10) * sysconf (_SC_PAGESIZE);
}

#define MIB (G_GUINT64_CONSTANT (1) << 20)

static void
check_address_space (gconstpointer data)
{
  MmapProducer *producer = make_producer (life_get_address (), 0);
  MmapRegion *region;
  struct rlimit old, few;
  GError *error = NULL;

  region = mmap_region_new_file (life_get_path (), 256 * MIB, 1, 1, &error);
  g_assert_no_error (error);
  g_assert_cmpint (getrlimit (RLIMIT_AS, &old), ==, 0);
  few = old;
  few.rlim_cur = get_address_space () + 128 * MIB;
  g_assert_cmpint (setrlimit (RLIMIT_AS, &few), ==, 0);
  /* Whoever makes one, and whoever opens one. */
  g_assert_false (mmap_producer_set_region (producer, 256 * MIB, FRAME, NULL,
          &error));
  check_error (&error, MMAP_ERROR_NO_SPACE, "268435456 bytes");
  g_assert_null (mmap_region_open_path (life_get_path (), 0, &error));
  check_error (&error, MMAP_ERROR_NO_RESOURCES, "268435456 bytes");
  /* A smaller one is made all the same. */
  g_assert_true (mmap_producer_set_region (producer, MIB, FRAME, NULL, &error));
  g_assert_cmpint (setrlimit (RLIMIT_AS, &old), ==, 0);
  g_assert_true (mmap_producer_set_region (producer, 256 * MIB, FRAME, NULL,
          &error));
  mmap_region_unlink (region);
  mmap_region_unref (region);
  end_producer (producer);
}

static void
test_address_space (void)
{
  run_in_child (check_address_space, NULL);
}

/* --- threads --- */

/* A region whose memory nobody else can reserve: it is all there when it is made. */
static void
check_no_thread (gconstpointer data)
{
  MmapProducer *producer = make_producer (life_get_address (), 0);
  GError *error = NULL;
  guint64 serial;
  Reader reader;

  call_faults_set (CALL_PTHREAD_CREATE, 1, G_MAXUINT, EAGAIN);
  mmap_producer_set_region (producer, mmap_producer_size_for (64 * MIB), FRAME,
      NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (call_faults_get_count (), ==, 1);
  call_faults_set (CALL_PTHREAD_CREATE, 0, 0, 0);
  serial = mmap_producer_collect (producer);
  g_assert_false (mmap_producer_expects_room (producer, serial));
  reader_start (&reader, life_get_address (), FALSE);
  wait_for_links (producer, 1);
  publish_frame (producer, 1, 32 * MIB);
  reader_wait (&reader, reader.frames == 1);
  reader_stop (&reader);
  end_producer (producer);
}

static void
test_no_thread (void)
{
  run_in_child (check_no_thread, NULL);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  life_add_tests ("exhaustion", LIFE_MEMFD, LIFE_SECRET);
  leak_check_add_test ("/exhaustion/accepts-later", test_accepts_later);
  leak_check_add_test ("/exhaustion/connects-later", test_connects_later);
  leak_check_add_test ("/exhaustion/descriptors", test_descriptors);
  leak_check_add_test ("/exhaustion/truncated-descriptors",
      test_truncated_descriptors);
  leak_check_add_test ("/exhaustion/address-space", test_address_space);
  leak_check_add_test ("/exhaustion/no-thread", test_no_thread);
  result = g_test_run ();
  life_clear ();
  return result;
}
