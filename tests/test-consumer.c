/* gst-mmap: tests of the consumer, with producers that follow the rules
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Those that break the rules are in test-consumer-hostile.c and -link.c.
 */
#include "consumer-private.h"
#include "leak-check.h"
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)

static char *address;

static MmapConsumer *
make_consumer (const char *where)
{
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (where, &error);

  g_assert_no_error (error);
  return consumer;
}

/* @consumer: (transfer full) */
static void
expect_error_of (MmapConsumer * consumer, MmapError code, const char *reason)
{
  GError *error = NULL;
  MmapItem item;

  g_assert_cmpint (mmap_consumer_next (consumer, &item, &error), ==,
      MMAP_NEXT_ERROR);
  check_error (&error, code, reason);
  mmap_consumer_free (consumer);
}

static void
expect_error (const char *where, MmapError code, const char *reason)
{
  expect_error_of (make_consumer (where), code, reason);
}

static void
test_errors (void)
{
  char *long_path = g_strnfill (200, 'x');
  char *file = leak_check_path ("file");
  GError *error = NULL;

  expect_error ("", MMAP_ERROR_ADDRESS, "empty");
  expect_error (long_path, MMAP_ERROR_ADDRESS, "200 bytes");
  expect_error ("/nonexistent/directory/socket", MMAP_ERROR_NO_DIRECTORY,
      "/nonexistent/directory");
  expect_error_of (mmap_consumer_new_in_area ("/nonexistent/directory/file",
          "default", NULL), MMAP_ERROR_NO_DIRECTORY, "/nonexistent/directory");
  g_file_set_contents (file, "text", -1, &error);
  g_assert_no_error (error);
  expect_error (file, MMAP_ERROR_EXISTS, "no socket");
  g_unlink (file);
  g_free (file);
  g_free (long_path);
}

static void
test_stats (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapConsumer *consumer = make_consumer (address);
  MmapConsumerStats stats;
  guint64 size, session, producers_session;
  char *file, *media;
  MmapItem items[3], item;
  guint i;

  g_assert_false (mmap_consumer_get_offer (consumer, &file, &size, &session,
          &media));
  mmap_consumer_set_media (consumer, "video/x-raw");
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_assert_true (mmap_producer_get_offer (producer, &file, &size,
          &producers_session, &media));
  g_free (file);
  g_free (media);
  g_assert_true (mmap_consumer_get_offer (consumer, &file, &size, &session,
          &media));
  g_assert_cmpstr (file, ==, "memfd");
  g_assert_cmpstr (media, ==, "video/x-test");
  g_assert_cmpuint (size, ==, mmap_producer_size_for (MIB));
  g_assert_cmpuint (session, ==, producers_session);
  g_free (file);
  g_free (media);

  push_event (producer, MMAP_EVENT_CAPS, "caps");
  next_item (consumer, &item, MMAP_NEXT_EVENT);
  mmap_item_clear (&item);
  for (i = 0; i < 3; i++) {
    publish_frame (producer, i, 4096);
    next_item (consumer, &items[i], MMAP_NEXT_FRAME);
  }
  mmap_consumer_get_stats (consumer, &stats);
  g_assert_cmpuint (stats.frames, ==, 3);
  g_assert_cmpuint (stats.bytes, ==, 3 * 4096);
  g_assert_cmpuint (stats.events, ==, 1);
  g_assert_cmpuint (stats.links, ==, 1);
  g_assert_cmpuint (stats.held, ==, 3);
  for (i = 0; i < 3; i++)
    release_item (&items[i]);
  mmap_consumer_get_stats (consumer, &stats);
  g_assert_cmpuint (stats.held, ==, 0);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* Who holds more than half of the region is told to copy. */
static void
test_should_copy (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapConsumer *consumer = make_consumer (address);
  guint64 size = mmap_producer_get_capacity (producer) / 8;
  MmapItem items[5], item;
  guint i;

  size -= size % 4096;
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  for (i = 0; i < 5; i++) {
    publish_frame (producer, i, size);
    next_item (consumer, &items[i], MMAP_NEXT_FRAME);
    g_assert_cmpint (items[i].should_copy, ==, i == 4);
  }
  release_item (&items[2]);
  for (i = 0; i < 5; i++)
    if (i != 2)
      release_item (&items[i]);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* Of small frames, as of a stream that is encoded, so many may be kept that a large one has room. */
static void
test_copies_small_frames (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapConsumer *consumer = make_consumer (address);
  guint64 capacity = mmap_producer_get_capacity (producer);
  guint64 large = capacity / 8 * 5, small = capacity / 64;
  MmapItem items[64], item;
  gboolean copies = FALSE;
  guint i, kept = 0;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  publish_frame (producer, 0, large);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  release_item (&item);
  while (!copies) {
    MmapItem pair[2];

    publish_frame (producer, 1, small);
    publish_frame (producer, 2, small);
    for (i = 0; i < 2; i++)
      next_item (consumer, &pair[i], MMAP_NEXT_FRAME);
    for (i = 0; i < 2; i++) {
      copies = copies || pair[i].should_copy;
      if (pair[i].should_copy)
        release_item (&pair[i]);
      else
        items[kept++] = pair[i];
    }
  }
  /* That there is a later one is no excuse. */
  publish_frame (producer, 1, small);
  publish_frame (producer, 2, small);
  for (i = 0; i < 2; i++)
    next_item (consumer, &items[kept + i], MMAP_NEXT_FRAME);
  for (i = 0; i < 2; i++) {
    g_assert_true (items[kept + i].should_copy);
    release_item (&items[kept + i]);
  }
  /* Less than half is held. */
  g_assert_cmpuint (kept, >, 16);
  g_assert_cmpuint (kept, <, 30);
  publish_frame (producer, 99, large);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  g_assert_true (item.should_copy);
  release_item (&item);
  while (kept > 0)
    release_item (&items[--kept]);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

typedef struct
{
  MmapConsumer *consumer;
  MmapNextResult next;
} Call;

static gpointer
call_next (gpointer data)
{
  Call *call = data;
  GError *error = NULL;
  MmapItem item;

  call->next = mmap_consumer_next (call->consumer, &item, &error);
  g_assert_no_error (error);
  return NULL;
}

/* From another thread, soon after next() was called: whether it sleeps already or not. Then it can go on. */
static void
check_cancel (MmapConsumer * consumer)
{
  Call call = { consumer, MMAP_NEXT_FRAME };
  MmapItem item;
  guint i;

  for (i = 0; i < 50; i++) {
    GThread *thread = g_thread_new ("next", call_next, &call);

    if (i % 2)
      g_usleep (i * 100);
    mmap_consumer_set_cancelled (consumer, TRUE);
    g_thread_join (thread);
    g_assert_cmpint (call.next, ==, MMAP_NEXT_CANCELLED);
    /* It stays so until it is allowed again. */
    next_item (consumer, &item, MMAP_NEXT_CANCELLED);
    mmap_consumer_set_cancelled (consumer, TRUE);
    next_item (consumer, &item, MMAP_NEXT_CANCELLED);
    mmap_consumer_set_cancelled (consumer, FALSE);
  }
}

static void
test_cancel (void)
{
  MmapConsumer *consumer = make_consumer (address);
  MmapProducer *producer;
  GError *error = NULL;
  MmapItem item;

  /* The search for a producer. */
  check_cancel (consumer);
  /* The wait for a region, in the handshake. */
  producer = make_producer (address, 0);
  check_cancel (consumer);
  /* The link's sleep. */
  mmap_producer_set_region (producer, mmap_producer_size_for (MIB), G_MAXUINT64,
      NULL, &error);
  g_assert_no_error (error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  check_cancel (consumer);
  publish_frame (producer, 1, 4096);
  mmap_consumer_set_cancelled (consumer, TRUE);
  next_item (consumer, &item, MMAP_NEXT_CANCELLED);
  mmap_consumer_set_cancelled (consumer, FALSE);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, 1);
  release_item (&item);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* A producer that listens and says nothing. */
static void
test_cancel_silence (void)
{
  GError *error = NULL;
  MmapListener *listener = mmap_listener_new (address, &error);
  MmapConsumer *consumer = make_consumer (address);

  g_assert_no_error (error);
  check_cancel (consumer);
  mmap_consumer_free (consumer);
  mmap_listener_free (listener);
}

static void
test_started_first (void)
{
  MmapProducer *producer;
  Reader readers[3];
  guint i;

  for (i = 0; i < G_N_ELEMENTS (readers); i++)
    reader_start (&readers[i], address, FALSE);
  producer = make_producer (address, MIB);
  wait_for_links (producer, G_N_ELEMENTS (readers));
  publish_frame (producer, 7, 4096);
  for (i = 0; i < G_N_ELEMENTS (readers); i++) {
    reader_wait (&readers[i], readers[i].last == 7);
    reader_stop (&readers[i]);
  }
  end_producer (producer);
}

static void
expect_to_give_up (MmapConsumer * consumer, MmapError code, const char *reason)
{
  GError *error = NULL;
  MmapItem item;

  g_assert_cmpint (mmap_consumer_next (consumer, &item, &error), ==,
      MMAP_NEXT_ERROR);
  check_error (&error, code, reason);
}

/* Nobody comes, or comes back. It looks once at least; who is there is found however short the time. */
static void
test_reconnect_timeout (void)
{
  MmapConsumer *consumer = make_consumer (address);
  gint64 began = g_get_monotonic_time ();
  MmapProducer *producer;
  MmapItem item;

  mmap_consumer_set_reconnect_timeout (consumer, 300 * G_TIME_SPAN_MILLISECOND
      * 1000);
  expect_to_give_up (consumer, MMAP_ERROR_NOT_FOUND, "No producer was at ");
  g_assert_cmpint (g_get_monotonic_time () - began, >=,
      300 * G_TIME_SPAN_MILLISECOND);

  mmap_consumer_set_reconnect_timeout (consumer, 0);
  expect_to_give_up (consumer, MMAP_ERROR_NOT_FOUND, "within 0.0 s");
  producer = make_producer (address, MIB);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  end_producer (producer);
  next_item (consumer, &item, MMAP_NEXT_DISCONNECTED);
  expect_to_give_up (consumer, MMAP_ERROR_NOT_FOUND, "No other producer");
  mmap_consumer_free (consumer);

  consumer = make_consumer (MMAP_ADDRESS_NONE);
  mmap_consumer_set_reconnect_timeout (consumer, 0);
  expect_to_give_up (consumer, MMAP_ERROR_NOT_FOUND, "No offer");
  mmap_consumer_free (consumer);
}

/* A pause is none of the time, and what was waited before it is. */
static void
test_reconnect_timeout_pause (void)
{
  MmapConsumer *consumer = make_consumer (address);
  gint64 time = 200 * G_TIME_SPAN_MILLISECOND, began, waited;
  Call call = { consumer, MMAP_NEXT_FRAME };
  GThread *thread;

  mmap_consumer_set_reconnect_timeout (consumer, 2 * time * 1000);
  thread = g_thread_new ("next", call_next, &call);
  g_usleep (time / 2);
  mmap_consumer_set_cancelled (consumer, TRUE);
  g_thread_join (thread);
  g_assert_cmpint (call.next, ==, MMAP_NEXT_CANCELLED);
  waited = consumer->waited_us;
  g_assert_cmpint (waited, >, 0);
  mmap_consumer_begin_wait (consumer);
  g_assert_cmpint (consumer->wait_began, <=, g_get_monotonic_time () - waited);
  g_usleep (3 * time);
  mmap_consumer_set_cancelled (consumer, FALSE);
  began = g_get_monotonic_time ();
  expect_to_give_up (consumer, MMAP_ERROR_NOT_FOUND, "No producer");
  g_assert_cmpint (g_get_monotonic_time () - began, >=, 2 * time - waited);
  mmap_consumer_free (consumer);
}

/* Somebody is there, who has no stream: not at once, but not for ever, either. That is said, and counted there. */
static void
test_reconnect_timeout_silence (void)
{
  MmapProducer *producer = make_producer (address, 0);
  MmapConsumer *consumer = make_consumer (address);
  gint64 began = g_get_monotonic_time ();

  mmap_consumer_set_reconnect_timeout (consumer, 0);
  expect_to_give_up (consumer, MMAP_ERROR_TIMEOUT, "handshake");
  g_assert_cmpint (g_get_monotonic_time () - began, >=, 5 * G_USEC_PER_SEC);
  wait_for_failures (producer, MMAP_ERROR_TIMEOUT, 1);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* A directory that has never been there is an error; one that has gone with its producer comes back with the next. */
static void
test_directory_goes (void)
{
  g_autofree char *directory = g_strdup_printf ("%s-directory", address);
  g_autofree char *inside = g_build_filename (directory, "socket", NULL);
  MmapConsumer *consumer = make_consumer (inside);
  MmapProducer *producer;
  guint round;
  MmapItem item;

  expect_to_give_up (consumer, MMAP_ERROR_NO_DIRECTORY, directory);
  for (round = 0; round < 2; round++) {
    g_assert_cmpint (g_mkdir (directory, 0700), ==, 0);
    producer = make_producer (inside, MIB);
    next_item (consumer, &item, MMAP_NEXT_CONNECTED);
    end_producer (producer);
    next_item (consumer, &item, MMAP_NEXT_DISCONNECTED);
    g_assert_cmpint (g_rmdir (directory), ==, 0);
    mmap_consumer_set_reconnect_timeout (consumer, 0);
    expect_to_give_up (consumer, MMAP_ERROR_NOT_FOUND, "No other producer");
    mmap_consumer_set_reconnect_timeout (consumer, -1);
  }
  mmap_consumer_free (consumer);
}

/* Who was stopped for longer than the producer waits for an answer is refused, and tries again. */
static void
test_too_slow (void)
{
  MmapConsumer *consumer = make_consumer (address);
  Call call = { consumer, MMAP_NEXT_FRAME };
  g_autoptr (GError) slow = g_error_new (MMAP_ERROR, MMAP_ERROR_TIMEOUT,
      "The consumer did not answer");
  RawProducer raw;
  GThread *thread;

  raw_producer_init (&raw, address);
  thread = g_thread_new ("next", call_next, &call);
  raw_producer_greet (&raw);
  mmap_message_send_refusal (raw.socket, slow);
  g_clear_object (&raw.socket);
  raw_producer_bring_up (&raw);
  g_thread_join (thread);
  g_assert_cmpint (call.next, ==, MMAP_NEXT_CONNECTED);
  raw_producer_clear (&raw);
  mmap_consumer_free (consumer);
}

/* Frames outlive the link, the consumer and the producer. */
static void
test_frames_outlive (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapConsumer *consumer = make_consumer (address);
  MmapItem items[3], item;
  guint i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  for (i = 0; i < 3; i++) {
    publish_frame (producer, i, 65536);
    next_item (consumer, &items[i], MMAP_NEXT_FRAME);
  }
  push_event (producer, MMAP_EVENT_CAPS, "caps");
  next_item (consumer, &item, MMAP_NEXT_EVENT);
  mmap_consumer_free (consumer);
  wait_for_links (producer, 0);
  g_assert_cmpuint (mmap_producer_get_held (producer), ==, 3);
  for (i = 0; i < 3; i++)
    check_frame (&items[i], i);
  g_assert_cmpmem (item.data, item.descriptor.size, "caps", 4);
  end_producer (producer);
  for (i = 0; i < 3; i++) {
    check_frame (&items[i], i);
    release_item (&items[i]);
  }
  mmap_item_clear (&item);
}

static void
test_producer_closes (void)
{
  MmapConsumer *consumer = make_consumer (address);
  MmapItem item, held;
  guint round, i;

  for (round = 0; round < 20; round++) {
    MmapProducer *producer = make_producer (address, MIB);

    next_item (consumer, &item, MMAP_NEXT_CONNECTED);
    for (i = 0; i < 20; i++)
      publish_frame (producer, i, 4096);
    push_event (producer, MMAP_EVENT_EOS, "");
    end_producer (producer);
    for (i = 0; i < 20; i++) {
      next_item (consumer, &item, MMAP_NEXT_FRAME);
      g_assert_cmpuint (item.descriptor.pts, ==, i);
      if (i == 5)
        held = item;
      else
        release_item (&item);
    }
    next_item (consumer, &item, MMAP_NEXT_EVENT);
    mmap_item_clear (&item);
    next_item (consumer, &item, MMAP_NEXT_DISCONNECTED);
    release_item (&held);
  }
  mmap_consumer_free (consumer);
}

MmapRingResult __real_mmap_ring_peek (MmapRing * ring, void *slot);
MmapRingResult __wrap_mmap_ring_peek (MmapRing * ring, void *slot);

static MmapProducer *goes;      /* when a consumer has found its last ring empty ... */
static MmapConsumer *hears;     /* ... this one, whose own thread hears of it before the consumer goes on */

/* The linker puts this in the place of mmap_ring_peek(). */
MmapRingResult
__wrap_mmap_ring_peek (MmapRing * ring, void *slot)
{
  MmapRingResult result = __real_mmap_ring_peek (ring, slot);
  MmapProducer *producer = goes;

  if (producer && ring->n_slots == MMAP_EVENT_RING_SLOTS
      && result == MMAP_RING_WAIT) {
    goes = NULL;
    publish_frame (producer, 1, 4096);
    push_event (producer, MMAP_EVENT_EOS, "");
    end_producer (producer);
    while (!g_atomic_int_get (&hears->hung_up))
      g_usleep (100);
  }
  return result;
}

/* What it sent last is not lost, though its end is heard of between two looks at the rings. */
static void
test_producer_closes_between_looks (void)
{
  static const MmapConsumerCallbacks callbacks = { NULL };
  MmapProducer *producer = make_producer (address, MIB);
  MmapConsumer *consumer = make_consumer (address);
  GError *error = NULL;
  MmapItem item;

  g_assert_true (mmap_consumer_start (consumer, &callbacks, NULL, &error));
  g_assert_no_error (error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  hears = consumer;
  goes = producer;
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, 1);
  release_item (&item);
  next_item (consumer, &item, MMAP_NEXT_EVENT);
  mmap_item_clear (&item);
  next_item (consumer, &item, MMAP_NEXT_DISCONNECTED);
  mmap_consumer_free (consumer);
}

/* It goes with a new region under way, and frames in it. */
static void
test_producer_closes_after_set_region (void)
{
  MmapConsumer *consumer = make_consumer (address);
  MmapProducer *producer = make_producer (address, MIB);
  GError *error = NULL;
  MmapItem item;
  guint i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  for (i = 0; i < 8; i++) {
    publish_frame (producer, i, 4096);
    mmap_producer_set_region (producer,
        mmap_producer_size_for (MIB + i * 4096), G_MAXUINT64, NULL, &error);
    g_assert_no_error (error);
  }
  publish_frame (producer, i, 4096);
  end_producer (producer);
  for (i = 0; i <= 8; i++) {
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    check_frame (&item, i);
    g_assert_cmpuint (item.region->region_id, ==, i + 1);
    release_item (&item);
  }
  next_item (consumer, &item, MMAP_NEXT_DISCONNECTED);
  mmap_consumer_free (consumer);
}

#define N_CRASH 100

/* In a child: publishes to the first who comes, says so, and waits for its end. */
static pid_t
start_producer (int *out)
{
  int ends[2];
  guint64 i;
  pid_t pid;

  g_assert_cmpint (pipe (ends), ==, 0);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0) {
    MmapProducer *producer = make_producer (address, MIB);

    push_event (producer, MMAP_EVENT_CAPS, "caps");
    wait_for_links (producer, 1);
    for (i = 0; i < N_CRASH; i++)
      publish_frame (producer, i, 4096);
    if (write (ends[1], "x", 1) != 1)
      _exit (1);
    for (;;)
      pause ();
  }
  close (ends[1]);
  *out = ends[0];
  return pid;
}

static void
kill_producer (pid_t pid, int out)
{
  int status;
  char byte;

  g_assert_cmpint (read (out, &byte, 1), ==, 1);
  close (out);
  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
}

/* All that was published arrives; then it finds the next, which replaces the socket that was left behind. */
static void
test_producer_killed (void)
{
  MmapConsumer *consumer = make_consumer (address);
  guint64 size, session, last_session = 0;
  char *file, *media, *lock;
  MmapItem held, item;
  int round, out;
  guint64 i;
  pid_t pid;

  for (round = 0; round < 5; round++) {
    pid = start_producer (&out);
    next_item (consumer, &item, MMAP_NEXT_CONNECTED);
    g_assert_true (mmap_consumer_get_offer (consumer, &file, &size, &session,
            &media));
    g_assert_cmpuint (session, !=, last_session);
    last_session = session;
    g_free (file);
    g_free (media);
    kill_producer (pid, out);

    next_item (consumer, &item, MMAP_NEXT_EVENT);
    g_assert_cmpmem (item.data, item.descriptor.size, "caps", 4);
    mmap_item_clear (&item);
    for (i = 0; i < N_CRASH; i++) {
      next_item (consumer, &item, MMAP_NEXT_FRAME);
      check_frame (&item, i);
      if (i == 0)
        held = item;
      else
        release_item (&item);
    }
    next_item (consumer, &item, MMAP_NEXT_DISCONNECTED);
    check_frame (&held, 0);
    release_item (&held);
    g_assert_false (mmap_consumer_get_offer (consumer, &file, &size, &session,
            &media));
  }
  mmap_consumer_free (consumer);
  g_unlink (address);
  lock = g_strconcat (address, MMAP_SOCKET_LOCK_SUFFIX, NULL);
  g_assert_cmpint (g_unlink (lock), ==, 0);
  g_free (lock);
}

/* Pages of the region that this process's mapping @base has. */
static guint
count_present (const guint8 * base, gsize size)
{
  int fd = open ("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  gsize page = sysconf (_SC_PAGESIZE), i;
  guint64 *entries = g_new0 (guint64, size / page);
  gssize bytes = size / page * sizeof (guint64);
  guint n = 0;

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (pread (fd, entries, bytes,
          (guintptr) base / page * sizeof (guint64)), ==, bytes);
  for (i = 0; i < size / page; i++)
    n += entries[i] >> 63;
  g_free (entries);
  close (fd);
  return n;
}

/* Frames flow until no page of the region of @item is missing. */
static void
wait_until_present (MmapProducer * producer, MmapConsumer * consumer,
    const MmapItem * item)
{
  gsize page = sysconf (_SC_PAGESIZE);

  while (count_present (item->region->base, item->region->size) <
      item->region->size / page) {
    MmapItem next;

    publish_frame (producer, 99, 4096);
    next_item (consumer, &next, MMAP_NEXT_FRAME);
    release_item (&next);
    g_usleep (1000);
  }
}

/* Soon after the first frame, no other costs a page fault, wherever it lies. */
static void
test_populates (void)
{
  MmapProducer *producer = make_producer (address, 32 * MIB);
  MmapConsumer *consumer = make_consumer (address);
  MmapItem item, held;
  guint i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  publish_frame (producer, 1, 4096);
  next_item (consumer, &held, MMAP_NEXT_FRAME);
  wait_until_present (producer, consumer, &held);

  /* The same for a new region; one that is left at once is no trouble. */
  for (i = 2; i < 12; i++) {
    GError *error = NULL;

    mmap_producer_set_region (producer,
        mmap_producer_size_for ((30 + i) * MIB), 4096, NULL, &error);
    g_assert_no_error (error);
    publish_frame (producer, i, 4096);
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    if (i < 11)
      release_item (&item);
  }
  wait_until_present (producer, consumer, &item);
  mmap_consumer_free (consumer);
  check_frame (&held, 1);
  check_frame (&item, 11);
  release_item (&held);
  release_item (&item);
  end_producer (producer);
}

/* The region is replaced when the first answer was right, and before ACCEPT. */
static gpointer
offer_twice (gpointer data)
{
  RawProducer *raw = data;
  GError *error = NULL;
  MmapMessage message;

  raw_producer_greet (raw);
  raw_producer_send_offer (raw, NULL);
  g_assert_true (raw_receive (raw->socket, &message));
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_ANSWER);
  mmap_message_clear (&message);

  mmap_region_unref (raw->region);
  raw->region = mmap_region_new_memfd (RAW_SIZE, RAW_SESSION, 2, &error);
  g_assert_no_error (error);
  mmap_token_write (&raw->offer.token,
      raw->region->base + raw->offer.token_index);
  raw->offer.region_id = 2;
  raw_producer_send_fds (raw, NULL, &raw->region->fd, 1);
  raw_producer_send (raw, MMAP_MESSAGE_ACCEPT);
  return NULL;
}

/* When ACCEPT comes, the producer has yet to compare the token of the second answer. */
static void
test_accept_before_answer (void)
{
  MmapConsumer *consumer = make_consumer (address);
  MmapCapabilities answer;
  GError *error = NULL;
  MmapMessage message;
  RawProducer raw;
  GThread *thread;
  MmapItem item;

  raw_producer_init (&raw, address);
  thread = g_thread_new ("producer", offer_twice, &raw);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_thread_join (thread);
  g_assert_true (raw_receive (raw.socket, &message));
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_ANSWER);
  mmap_capabilities_init_variant (&answer, message.body, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (answer.region_id, ==, 2);
  g_assert_true (mmap_token_check (&answer.token,
          (guint8 *) raw.link->area + answer.token_index));
  mmap_capabilities_clear (&answer);
  mmap_message_clear (&message);
  mmap_consumer_free (consumer);
  raw_producer_clear (&raw);
}

/* Both sides choose the same place if they are told none. */
static void
test_default_address (void)
{
  char *runtime = g_dir_make_tmp ("gst-mmap-test-XXXXXX", NULL);
  char *directory = g_build_filename (runtime, "gst-mmap", NULL);
  MmapConsumer *consumer = make_consumer (NULL);
  MmapProducer *producer;
  MmapItem item;

  g_setenv ("XDG_RUNTIME_DIR", runtime, TRUE);
  /* There is no directory yet: it waits. */
  check_cancel (consumer);
  producer = make_producer (NULL, MIB);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  end_producer (producer);
  next_item (consumer, &item, MMAP_NEXT_DISCONNECTED);
  mmap_consumer_free (consumer);

  /* Others could have made that. */
  g_assert_cmpint (g_chmod (directory, 0755), ==, 0);
  expect_error (NULL, MMAP_ERROR_PERMISSION, "0700");
  g_assert_cmpint (g_rmdir (directory), ==, 0);
  g_assert_cmpint (g_rmdir (runtime), ==, 0);
  g_unsetenv ("XDG_RUNTIME_DIR");
  g_free (directory);
  g_free (runtime);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  address = leak_check_path ("socket");
  /* First, as long as this process has one thread. */
  leak_check_add_test ("/consumer/producer-killed", test_producer_killed);
  leak_check_add_test ("/consumer/errors", test_errors);
  leak_check_add_test ("/consumer/stats", test_stats);
  leak_check_add_test ("/consumer/should-copy", test_should_copy);
  leak_check_add_test ("/consumer/copies-small-frames",
      test_copies_small_frames);
  leak_check_add_test ("/consumer/cancel", test_cancel);
  leak_check_add_test ("/consumer/cancel-silence", test_cancel_silence);
  leak_check_add_test ("/consumer/started-first", test_started_first);
  leak_check_add_test ("/consumer/reconnect-timeout", test_reconnect_timeout);
  leak_check_add_test ("/consumer/reconnect-timeout-pause",
      test_reconnect_timeout_pause);
  leak_check_add_test ("/consumer/reconnect-timeout-silence",
      test_reconnect_timeout_silence);
  leak_check_add_test ("/consumer/directory-goes", test_directory_goes);
  leak_check_add_test ("/consumer/too-slow", test_too_slow);
  leak_check_add_test ("/consumer/frames-outlive", test_frames_outlive);
  leak_check_add_test ("/consumer/producer-closes", test_producer_closes);
  leak_check_add_test ("/consumer/producer-closes-between-looks",
      test_producer_closes_between_looks);
  leak_check_add_test ("/consumer/producer-closes-after-set-region",
      test_producer_closes_after_set_region);
  leak_check_add_test ("/consumer/populates", test_populates);
  leak_check_add_test ("/consumer/default-address", test_default_address);
  leak_check_add_test ("/consumer/accept-before-answer",
      test_accept_before_answer);
  result = g_test_run ();
  g_free (address);
  return result;
}
