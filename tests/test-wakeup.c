/* gst-mmap: tests of wake-ups
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. A wake-up that is lost makes a test hang.
 */
#include "leak-check.h"
#include "peers.h"
#include "producer-private.h"
#include "system-faults.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

#define N_ROUNDS 20000

#define N_FRAMES 200
#define FRAME_BYTES 16384

typedef struct
{
  MmapLink *producer;
  MmapLink *consumer;
} Sides;

static void
sides_init (Sides * sides)
{
  GError *error = NULL;

  sides->producer = mmap_link_new (1, 1, &error);
  g_assert_no_error (error);
  sides->consumer = mmap_link_open (fcntl (sides->producer->fd,
          F_DUPFD_CLOEXEC, 0), 1, &error);
  g_assert_no_error (error);
  g_assert_nonnull (sides->consumer->bell.word);
}

static void
sides_clear (Sides * sides)
{
  mmap_link_free (sides->producer);
  mmap_link_free (sides->consumer);
}

static void
test_once_per_sleep (void)
{
  MmapLink *producer, *consumer;
  Sides sides;
  guint i;

  sides_init (&sides);
  producer = sides.producer;
  consumer = sides.consumer;
  /* Who is awake isn't woken. */
  for (i = 0; i < 10; i++)
    g_assert_false (mmap_link_wake (producer));
  g_assert_cmpuint (producer->waker.wakeups, ==, 0);
  g_assert_cmpuint (producer->area->consumer_bell, ==, 0);

  for (i = 1; i <= 100; i++) {
    mmap_link_prepare_sleep (consumer);
    g_assert_cmpuint (producer->area->consumer_sleep % 2, ==, 1);
    g_assert_false (mmap_link_was_rung (consumer));
    g_assert_true (mmap_link_wake (producer));
    g_assert_false (mmap_link_wake (producer));
    g_assert_false (mmap_link_wake (producer));
    g_assert_cmpuint (producer->waker.wakeups, ==, i);
    g_assert_cmpuint (producer->area->consumer_bell, ==, i);
    g_assert_true (mmap_link_was_rung (consumer));
    mmap_sleeper_finish (&consumer->sleeper);
    g_assert_cmpuint (producer->area->consumer_sleep % 2, ==, 0);
    g_assert_false (mmap_link_wake (producer));
  }
  sides_clear (&sides);
}

#define LONG_US (60 * G_USEC_PER_SEC)

static gboolean
wait_for_bell (const MmapLink * link, gint64 timeout_us)
{
  guint32 word = 0;
  MmapFutex own = { &word, 0 };

  return mmap_futex_wait (&own, &link->bell, 1, timeout_us);
}

/* It did not sleep after all, and the wake-up came: the next sleep knows nothing of it. */
static void
test_late (void)
{
  MmapLink *consumer;
  Sides sides;

  sides_init (&sides);
  consumer = sides.consumer;
  mmap_link_prepare_sleep (consumer);
  g_assert_true (mmap_link_wake (sides.producer));
  g_assert_true (wait_for_bell (consumer, LONG_US));
  mmap_sleeper_finish (&consumer->sleeper);
  mmap_link_prepare_sleep (consumer);
  g_assert_false (wait_for_bell (consumer, 1));
  mmap_sleeper_finish (&consumer->sleeper);
  sides_clear (&sides);
}

/* Who isn't rung, though there was something, looks by itself from the second time on; a stopped process was rung. */
static void
test_not_rung (void)
{
  MmapLink *consumer;
  Sides sides;
  guint i;

  sides_init (&sides);
  consumer = sides.consumer;
  for (i = 0; i < 3; i++) {
    mmap_link_prepare_sleep (consumer);
    mmap_link_wake (sides.producer);
    mmap_link_note_sleep (consumer, TRUE);
    mmap_sleeper_finish (&consumer->sleeper);
  }
  g_assert_nonnull (consumer->bell.word);
  for (i = 0; i < 2; i++) {
    g_assert_nonnull (consumer->bell.word);
    mmap_link_prepare_sleep (consumer);
    mmap_link_note_sleep (consumer, TRUE);
    mmap_sleeper_finish (&consumer->sleeper);
  }
  g_assert_null (consumer->bell.word);
  mmap_link_prepare_sleep (consumer);
  g_assert_false (mmap_link_wake (sides.producer));
  sides_clear (&sides);
}

typedef struct
{
  guint64 *ball;                /* whose turn: even: the first's */
  guint64 mine;
  MmapLink *link;
  guint64 sleeps;
} Player;

static gpointer
play (gpointer data)
{
  Player *player = data;
  guint64 i;

  for (i = 0; i < N_ROUNDS; i++) {
    guint64 turn = 2 * i + player->mine;

    while (__atomic_load_n (player->ball, __ATOMIC_ACQUIRE) != turn) {
      mmap_link_prepare_sleep (player->link);
      if (__atomic_load_n (player->ball, __ATOMIC_ACQUIRE) != turn) {
        player->sleeps++;
        g_assert_true (wait_for_bell (player->link, LONG_US));
      }
      mmap_sleeper_finish (&player->link->sleeper);
    }
    __atomic_store_n (player->ball, turn + 1, __ATOMIC_RELEASE);
    mmap_link_wake (player->link);
  }
  return NULL;
}

static void
test_ping_pong (void)
{
  Player first = {.mine = 0 }, second = {.mine = 1 };
  guint64 ball = 0;
  GThread *thread;
  Sides sides;

  sides_init (&sides);
  first.link = sides.producer;
  second.link = sides.consumer;
  first.ball = second.ball = &ball;
  thread = g_thread_new ("second", play, &second);
  play (&first);
  g_thread_join (thread);
  g_assert_cmpuint (ball, ==, 2 * N_ROUNDS);
  /* A system call for those alone who said that they sleep. */
  g_assert_cmpuint (first.link->waker.wakeups, <=,
      second.link->sleeper.count / 2);
  g_assert_cmpuint (second.link->waker.wakeups, <=,
      first.link->sleeper.count / 2);
  g_test_message ("%" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT " sleeps, %"
      G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT " wake-ups", first.sleeps,
      second.sleeps, second.link->waker.wakeups, first.link->waker.wakeups);
  sides_clear (&sides);
}

/* Both sides look now and then, for frames and for room. */
static void
live_without_waitv (gconstpointer data)
{
  const char *address = data;
  MmapProducer *producer;
  Reader reader;
  guint i;

  fail_system_call (SYS_futex_waitv, 0, 0, ENOSYS);
  producer = make_producer (address, 4 * FRAME_BYTES);
  reader_start (&reader, address, FALSE);
  wait_for_links (producer, 1);
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    if (producer->links[i])
      g_assert_null (producer->links[i]->link->bell.word);
  for (i = 1; i <= N_FRAMES; i++)
    publish_frame (producer, i, FRAME_BYTES);
  reader_wait (&reader, reader.frames == N_FRAMES);
  reader_stop (&reader);
  end_producer (producer);
}

static void
test_old_kernel (void)
{
  g_autofree char *address = leak_check_path ("socket");

  run_in_child (live_without_waitv, address);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* First: a process asks its kernel once. */
  leak_check_add_test ("/wakeup/old-kernel", test_old_kernel);
  leak_check_add_test ("/wakeup/once-per-sleep", test_once_per_sleep);
  leak_check_add_test ("/wakeup/late", test_late);
  leak_check_add_test ("/wakeup/not-rung", test_not_rung);
  leak_check_add_test ("/wakeup/ping-pong", test_ping_pong);
  return g_test_run ();
}
