/* gst-mmap: wake-ups under a model checker: none is lost
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * src/wakeup.c as it is, and of other files the functions with which the sides of a link ring each other; see model.hpp. System calls are these
 * here. What is published is one word, with no order of its own: those of the fences have to do. If one side sleeps for ever, relacy
 * finds a deadlock.
 */
#include "atomics.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- the kernel --- */

static struct Kernel
{
  rl::mutex lock;
  rl::condition_variable changed;
  int n_wakes;
} *kernel;

/* Of descriptors, which are of one process each, and not of this model. */
static int
model_no_fd (...)
{
  return -1;
}

#define eventfd model_no_fd
#define epoll_create1 model_no_fd
#define epoll_ctl model_no_fd
#define close model_no_fd
#define write model_no_fd

#include "wakeup.inc"

/* --- as much of a producer as mmap_producer_wake_locked() knows --- */

struct MmapDoorbell;

struct MmapFutex
{
  guint32 *word;
  guint32 seen;
};

struct MmapLink
{
  MmapWaker waker;
  MmapSleeper sleeper;
  /* Rung in the same place as the bell. */
  MmapDoorbell *doorbell = nullptr;
  guint32 peer_doorbell = 0;
  MmapFutex bell;
  guint32 *peer_bell;
  guint32 peer_bell_count;
};

static bool
mmap_doorbell_ring (MmapDoorbell * doorbell, guint32 address)
{
  return false;
}

/* The kernel looks at the word again when it has the lock of those who wait for it. */

#define FUTEX_WAKE 1

static void
model_futex_wake (guint32 * word, int operation)
{
  kernel->lock.lock ($);
  kernel->n_wakes++;
  kernel->changed.notify_all ($);
  kernel->lock.unlock ($);
}

static void
model_futex_wait (const MmapLink * const * links, unsigned n)
{
  bool same = true;
  int wakes;

  kernel->lock.lock ($);
  wakes = kernel->n_wakes;
  for (unsigned i = 0; i < n && same; i++)
    same = mmap_load_relaxed (links[i]->bell.word) == links[i]->bell.seen;
  while (same && kernel->n_wakes == wakes)
    kernel->changed.wait (kernel->lock, $);
  kernel->lock.unlock ($);
}

#define wake model_futex_wake

#include "bell.inc"

#undef wake

struct MmapProducerLink
{
  MmapLink *link;
};

struct MmapProducer
{
  MmapProducerLink *links[MODEL_MAX_THREADS];
  guint64 up;
  gint near;
  struct
  {
    guint64 wakeups;
  } stats;
};

#include "wake-all.inc"

/* --- scenarios --- */

struct Scene
{
  ModelWords words;
  Kernel system;

  Scene ()
  {
    kernel = &system;
    system.n_wakes = 0;
  }
};

static guint64
look (const guint64 * word)
{
  return mmap_load_relaxed (word);
}

/* A producer publishes for @N_CONSUMERS. With @ANNOUNCE it also wakes before. */
template < unsigned N_CONSUMERS, bool ANNOUNCE >
struct Publish : rl::test_suite < Publish < N_CONSUMERS, ANNOUNCE >,
    N_CONSUMERS + 1 >
{
  static const guint64 N = N_CONSUMERS == 1 ? 3 : 2;
  Scene scene;
  MmapProducer producer;
  MmapProducerLink links[N_CONSUMERS];
  MmapLink wakers[N_CONSUMERS];
  MmapLink sleepers[N_CONSUMERS];

  static guint64 *head (unsigned consumer)
  {
    return &model_cells[consumer * 3];
  }

  static guint32 *sleep_word (unsigned consumer)
  {
    return (guint32 *) & model_cells[consumer * 3 + 1];
  }

  static guint32 *bell_word (unsigned consumer)
  {
    return (guint32 *) & model_cells[consumer * 3 + 2];
  }

  void before ()
  {
    scene.words.init (N_CONSUMERS * 3);
    memset (&producer, 0, sizeof producer);
    memset (wakers, 0, sizeof wakers);
    memset (sleepers, 0, sizeof sleepers);
    for (unsigned i = 0; i < N_CONSUMERS; i++) {
      wakers[i].waker.word = sleep_word (i);
      links[i].link = &wakers[i];
      producer.links[i] = &links[i];
      producer.up |= 1 << i;
      sleepers[i].sleeper.word = sleep_word (i);
      wakers[i].peer_bell = sleepers[i].bell.word = bell_word (i);
    }
  }

  void publish ()
  {
    for (guint64 n = 1; n <= N; n++) {
      if (ANNOUNCE)
        mmap_producer_wake_locked (&producer, producer.up);
      for (unsigned i = 0; i < N_CONSUMERS; i++)
        mmap_store_relaxed (head (i), n);
      mmap_producer_wake_locked (&producer, producer.up);
    }
  }

  /* As link_sleep() and link_next() in src/consumer.c. */
  void consume (unsigned self)
  {
    MmapLink *link = &sleepers[self];
    guint64 seen = 0;

    while (seen < N) {
      guint64 now = look (head (self));

      if (now == seen) {
        mmap_link_prepare_sleep (link);
        now = look (head (self));
        if (now == seen)
          model_futex_wait (&link, 1);
        mmap_sleeper_finish (&link->sleeper);
      }
      seen = now;
    }
  }

  void thread (unsigned index)
  {
    if (index == 0)
      publish ();
    else
      consume (index - 1);
  }
};

/* Consumers give blocks back, and wake the producer, which waits for all of them. */
template < unsigned N_CONSUMERS >
struct Release : rl::test_suite < Release < N_CONSUMERS >, N_CONSUMERS + 1 >
{
  static const guint64 N = 2;
  Scene scene;
  MmapLink wakers[N_CONSUMERS];
  MmapLink sleepers[N_CONSUMERS];
  MmapLink *watched[N_CONSUMERS];

  static guint64 *head (unsigned consumer)
  {
    return &model_cells[consumer * 3];
  }

  void before ()
  {
    scene.words.init (N_CONSUMERS * 3);
    memset (wakers, 0, sizeof wakers);
    memset (sleepers, 0, sizeof sleepers);
    for (unsigned i = 0; i < N_CONSUMERS; i++) {
      wakers[i].waker.word = sleepers[i].sleeper.word =
          (guint32 *) & model_cells[i * 3 + 1];
      wakers[i].peer_bell = sleepers[i].bell.word =
          (guint32 *) & model_cells[i * 3 + 2];
      watched[i] = &sleepers[i];
    }
  }

  void release (unsigned self)
  {
    for (guint64 n = 1; n <= N; n++) {
      mmap_store_relaxed (head (self), n);
      mmap_link_wake (&wakers[self]);
    }
  }

  guint64 count ()
  {
    guint64 sum = 0;

    for (unsigned i = 0; i < N_CONSUMERS; i++)
      sum += look (head (i));
    return sum;
  }

  /* As watch_sleep_locked() in src/producer-wait.c. */
  void wait ()
  {
    guint64 seen = 0;

    while (seen < N * N_CONSUMERS) {
      guint64 now;

      for (unsigned i = 0; i < N_CONSUMERS; i++)
        mmap_link_prepare_sleep (&sleepers[i]);
      now = count ();
      if (now == seen)
        model_futex_wait (watched, N_CONSUMERS);
      for (unsigned i = 0; i < N_CONSUMERS; i++)
        mmap_sleeper_finish (&sleepers[i].sleeper);
      seen = now;
    }
  }

  void thread (unsigned index)
  {
    if (index == 0)
      wait ();
    else
      release (index - 1);
  }
};

typedef Publish < 1, false > PublishToOne;
typedef Publish < 2, false > PublishToTwo;
typedef Publish < 1, true > AnnounceToOne;
typedef Publish < 2, true > AnnounceToTwo;
typedef Release < 1 > ReleaseByOne;
typedef Release < 2 > ReleaseByTwo;

int
main (void)
{
  static const ModelScenario scenarios[] = {
    MODEL_SCENARIO (PublishToOne),
    MODEL_SCENARIO (PublishToTwo),
    MODEL_SCENARIO (AnnounceToOne),
    MODEL_SCENARIO (AnnounceToTwo),
    MODEL_SCENARIO (ReleaseByOne),
    MODEL_SCENARIO (ReleaseByTwo),
  };

  return model_main (scenarios, G_N_ELEMENTS (scenarios), 20000);
}
