/* gst-mmap: wake-ups under a model checker: none is lost
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * src/wakeup.c as it is, and of other files the functions with which a producer wakes all its consumers, and those for words instead of descriptors; see model.hpp. System calls are
 * these here. What is published is one word, with no order of its own: those of the fences have to do. If one side sleeps for ever, relacy
 * finds a deadlock.
 */
#include "atomics.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- the kernel: an eventfd, which nobody reads, and epoll descriptors that watch it, edge-triggered --- */

#define MAX_FDS 4

static struct Kernel
{
  rl::mutex lock;
  rl::condition_variable changed;
  int n_fds;
  int watches[MAX_FDS];         /* of an epoll descriptor: which eventfd; -1: it is one */
  bool ready[MAX_FDS];
  int n_wakes;

  int add (int watched)
  {
    watches[n_fds] = watched;
    ready[n_fds] = false;
    return n_fds++;
  }
} *kernel;

static int
model_eventfd (unsigned value, int flags)
{
  return kernel->add (-1);
}

static int
model_epoll_create1 (int flags)
{
  return kernel->add (-1);
}

static int
model_epoll_ctl (int fd, int operation, int watched, epoll_event * event)
{
  kernel->watches[fd] = watched;
  return 0;
}

static int
model_close (int fd)
{
  return 0;
}

static gssize
model_write (int fd, const void *data, gsize size)
{
  kernel->lock.lock ($);
  for (int i = 0; i < kernel->n_fds; i++)
    if (kernel->watches[i] == fd)
      kernel->ready[i] = true;
  kernel->changed.notify_all ($);
  kernel->lock.unlock ($);
  return size;
}

/* Takes the edge. */
static int
model_epoll_wait (int fd, epoll_event * events, int max, int timeout)
{
  int n;

  kernel->lock.lock ($);
  while (!kernel->ready[fd] && timeout != 0)
    kernel->changed.wait (kernel->lock, $);
  n = kernel->ready[fd];
  kernel->ready[fd] = false;
  kernel->lock.unlock ($);
  events->data.u32 = 0;
  return n;
}

/* Takes nothing. */
static int
model_poll (pollfd * fds, unsigned n, int timeout)
{
  int found = 0;

  kernel->lock.lock ($);
  for (;;) {
    for (unsigned i = 0; i < n; i++) {
      fds[i].revents = kernel->ready[fds[i].fd] ? POLLIN : 0;
      found += kernel->ready[fds[i].fd];
    }
    if (found > 0)
      break;
    kernel->changed.wait (kernel->lock, $);
  }
  kernel->lock.unlock ($);
  return found;
}

#define eventfd model_eventfd
#define epoll_create1 model_epoll_create1
#define epoll_ctl model_epoll_ctl
#define epoll_wait model_epoll_wait
#define close model_close
#define write model_write

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

static bool
mmap_link_is_polled (const MmapLink * link)
{
  return link->peer_bell != nullptr;
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
model_futex_wait (const MmapFutex * bell)
{
  int wakes;

  kernel->lock.lock ($);
  wakes = kernel->n_wakes;
  if (mmap_load_relaxed (bell->word) == bell->seen)
    while (kernel->n_wakes == wakes)
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
  int consumers_fd;
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
    system.n_fds = 0;
    system.n_wakes = 0;
  }
};

static guint64
look (const guint64 * word)
{
  return mmap_load_relaxed (word);
}

/* A producer publishes for @N_CONSUMERS, which share its eventfd. With @ANNOUNCE it also wakes before. With @BELLS they wait for words. */
template < unsigned N_CONSUMERS, bool ANNOUNCE, bool BELLS >
struct Publish : rl::test_suite < Publish < N_CONSUMERS, ANNOUNCE, BELLS >,
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
    producer.consumers_fd = mmap_wake_fd_new ();
    for (unsigned i = 0; i < N_CONSUMERS; i++) {
      wakers[i].waker.word = sleep_word (i);
      links[i].link = &wakers[i];
      producer.links[i] = &links[i];
      producer.up |= 1 << i;
      sleepers[i].sleeper.word = sleep_word (i);
      sleepers[i].sleeper.fd = mmap_wake_fd_watch (producer.consumers_fd);
      if (BELLS)
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
        if (now == seen && BELLS)
          model_futex_wait (&link->bell);
        else if (now == seen)
          mmap_sleeper_sleep (&link->sleeper);
        mmap_sleeper_finish (&link->sleeper, FALSE);
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
  MmapWaker wakers[N_CONSUMERS];
  MmapSleeper sleepers[N_CONSUMERS];
  int wake_fds[N_CONSUMERS];

  static guint64 *head (unsigned consumer)
  {
    return &model_cells[consumer * 2];
  }

  void before ()
  {
    scene.words.init (N_CONSUMERS * 2);
    memset (wakers, 0, sizeof wakers);
    memset (sleepers, 0, sizeof sleepers);
    for (unsigned i = 0; i < N_CONSUMERS; i++) {
      guint32 *word = (guint32 *) & model_cells[i * 2 + 1];

      wakers[i].word = word;
      wake_fds[i] = mmap_wake_fd_new ();
      sleepers[i].word = word;
      sleepers[i].fd = mmap_wake_fd_watch (wake_fds[i]);
    }
  }

  void release (unsigned self)
  {
    for (guint64 n = 1; n <= N; n++) {
      mmap_store_relaxed (head (self), n);
      mmap_waker_wake (&wakers[self], wake_fds[self]);
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
      pollfd fds[N_CONSUMERS];
      guint64 now;

      for (unsigned i = 0; i < N_CONSUMERS; i++) {
        mmap_sleeper_prepare (&sleepers[i]);
        fds[i].fd = sleepers[i].fd;
        fds[i].revents = 0;
      }
      now = count ();
      if (now == seen)
        model_poll (fds, N_CONSUMERS, -1);
      for (unsigned i = 0; i < N_CONSUMERS; i++)
        mmap_sleeper_finish (&sleepers[i], fds[i].revents & POLLIN);
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

typedef Publish < 1, false, false > PublishToOne;
typedef Publish < 2, false, false > PublishToTwo;
typedef Publish < 1, true, false > AnnounceToOne;
typedef Publish < 2, true, false > AnnounceToTwo;
typedef Publish < 1, false, true > RingOne;
typedef Publish < 2, false, true > RingTwo;
typedef Publish < 1, true, true > AnnounceByBell;
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
    MODEL_SCENARIO (RingOne),
    MODEL_SCENARIO (RingTwo),
    MODEL_SCENARIO (AnnounceByBell),
    MODEL_SCENARIO (ReleaseByOne),
    MODEL_SCENARIO (ReleaseByTwo),
  };

  return model_main (scenarios, G_N_ELEMENTS (scenarios), 20000);
}
