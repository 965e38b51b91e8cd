/* gst-mmap: tests of wake-ups
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. A wake-up that is lost makes a test hang.
 */
#include "leak-check.h"
#include "link.h"

#include <poll.h>
#include <unistd.h>

#define N_ROUNDS 20000

static MmapLink *
make_link (void)
{
  GError *error = NULL;
  int wake_fd = mmap_wake_fd_new ();
  MmapLink *link = mmap_link_new (1, 1, wake_fd, &error);

  g_assert_no_error (error);
  /* The link closes it, as a consumer's does. */
  link->wake_fd = wake_fd;
  return link;
}

/* The consumer's view of the same memory. */
static void
make_consumers_side (const MmapLink * link, MmapSleeper * sleeper)
{
  *sleeper = (MmapSleeper) {
  .word = &link->area->consumer_sleep,.fd = link->peer_fd};
}

static gboolean
is_signalled (const MmapSleeper * sleeper)
{
  struct pollfd fd = { sleeper->fd, POLLIN, 0 };

  return poll (&fd, 1, 0) == 1;
}

static void
test_once_per_sleep (void)
{
  MmapLink *link = make_link ();
  MmapSleeper sleeper;
  guint i;

  make_consumers_side (link, &sleeper);
  /* Who is awake isn't woken. */
  for (i = 0; i < 10; i++)
    g_assert_false (mmap_waker_wake (&link->waker, link->wake_fd));
  g_assert_cmpuint (link->waker.wakeups, ==, 0);
  g_assert_false (is_signalled (&sleeper));

  for (i = 1; i <= 100; i++) {
    mmap_sleeper_prepare (&sleeper);
    g_assert_cmpuint (link->area->consumer_sleep % 2, ==, 1);
    g_assert_true (mmap_waker_wake (&link->waker, link->wake_fd));
    g_assert_false (mmap_waker_wake (&link->waker, link->wake_fd));
    g_assert_false (mmap_waker_wake (&link->waker, link->wake_fd));
    g_assert_cmpuint (link->waker.wakeups, ==, i);
    g_assert_true (is_signalled (&sleeper));
    mmap_sleeper_finish (&sleeper, TRUE);
    g_assert_cmpuint (link->area->consumer_sleep % 2, ==, 0);
    g_assert_false (is_signalled (&sleeper));
    g_assert_false (mmap_waker_wake (&link->waker, link->wake_fd));
  }
  mmap_link_free (link);
}

/* It did not sleep after all, and the wake-up came: the next sleep ends early, and that is all. */
static void
test_late (void)
{
  MmapLink *link = make_link ();
  MmapSleeper sleeper;

  make_consumers_side (link, &sleeper);
  mmap_sleeper_prepare (&sleeper);
  g_assert_true (mmap_waker_wake (&link->waker, link->wake_fd));
  mmap_sleeper_finish (&sleeper, FALSE);
  mmap_sleeper_prepare (&sleeper);
  g_assert_true (is_signalled (&sleeper));
  mmap_sleeper_finish (&sleeper, TRUE);
  g_assert_false (is_signalled (&sleeper));
  /* Nothing to reset: that doesn't wait. */
  mmap_sleeper_prepare (&sleeper);
  mmap_sleeper_finish (&sleeper, TRUE);
  mmap_link_free (link);
}

typedef struct
{
  guint64 *ball;                /* whose turn: even: the first's */
  guint64 mine;
  MmapSleeper sleeper;
  MmapWaker waker;
  int wake_fd;
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
      struct pollfd fd = { player->sleeper.fd, POLLIN, 0 };

      mmap_sleeper_prepare (&player->sleeper);
      if (__atomic_load_n (player->ball, __ATOMIC_ACQUIRE) != turn) {
        player->sleeps++;
        poll (&fd, 1, -1);
      }
      mmap_sleeper_finish (&player->sleeper, fd.revents & POLLIN);
    }
    __atomic_store_n (player->ball, turn + 1, __ATOMIC_RELEASE);
    mmap_waker_wake (&player->waker, player->wake_fd);
  }
  return NULL;
}

static void
test_ping_pong (void)
{
  MmapLink *link = make_link ();
  guint64 ball = 0;
  Player first = {.ball = &ball,.mine = 0,.waker = link->waker,
    .wake_fd = link->wake_fd
  };
  Player second = {.ball = &ball,.mine = 1,
    .waker = {.word = &link->area->producer_sleep},
    .wake_fd = mmap_wake_fd_new ()
  };
  GThread *thread;

  g_assert_true (mmap_link_take_sleep_fd (link,
          mmap_wake_fd_watch (second.wake_fd), NULL));
  first.sleeper = link->sleeper;

  make_consumers_side (link, &second.sleeper);
  thread = g_thread_new ("second", play, &second);
  play (&first);
  g_thread_join (thread);
  close (second.wake_fd);
  g_assert_cmpuint (ball, ==, 2 * N_ROUNDS);
  /* A system call for those alone who said that they sleep. */
  g_assert_cmpuint (first.waker.wakeups, <=, second.sleeper.count / 2);
  g_assert_cmpuint (second.waker.wakeups, <=, first.sleeper.count / 2);
  g_test_message ("%" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT " sleeps, %"
      G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT " wake-ups", first.sleeps,
      second.sleeps, second.waker.wakeups, first.waker.wakeups);
  mmap_link_free (link);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/wakeup/once-per-sleep", test_once_per_sleep);
  leak_check_add_test ("/wakeup/late", test_late);
  leak_check_add_test ("/wakeup/ping-pong", test_ping_pong);
  return g_test_run ();
}
