/* gst-mmap: the producer: waiting for consumers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Of all threads that wait, one leads: it waits for what consumers ring, for all. The others follow, on a condition of this process. So
 * no thread of ours is on the way of a frame.
 */
#include "producer-private.h"

#include "atomics.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* g_cond_broadcast() is a system call even if nobody waits. */
static void
wake_followers_locked (MmapProducer * producer)
{
  if (producer->n_followers > 0)
    g_cond_broadcast (&producer->cond);
}

void
mmap_producer_touch_locked (MmapProducer * producer)
{
  guint64 one = 1;

  mmap_store_relaxed (&producer->serial, producer->serial + 1);
  wake_followers_locked (producer);
  if (!producer->asleep)
    return;
  if (producer->by_words)
    mmap_futex_wake_own (&producer->word);
  else
    while (write (producer->wake_fd, &one, sizeof one) < 0 && errno == EINTR);
}

guint64
mmap_producer_collect (MmapProducer * producer)
{
  guint64 serial;

  g_mutex_lock (&producer->lock);
  mmap_producer_collect_locked (producer);
  /* Before the notifications: what they give back makes the caller try again. */
  serial = producer->serial;
  mmap_producer_unlock (producer);
  return serial;
}

/* -1: there is no deadline. */
static gint64
remaining_us (gint64 deadline)
{
  return deadline < 0 ? -1 : MAX (deadline - g_get_monotonic_time (), 0);
}

/* What the leader watches: links that hold something. They are referenced: one may end meanwhile. */
typedef struct
{
  MmapProducer *producer;
  guint64 serial;
  MmapProducerLink *links[MMAP_MAX_LINKS];
  guint64 released[MMAP_MAX_LINKS];     /* heads of their release rings */
  guint n_links;
  gboolean by_words;            /* some wake us by words, none by a doorbell */
} Watch;

/* What wakes us is the consumer's: it may be awake for ever. One that has ended so many sleeps in turn without giving anything back isn't
 * listened to, but looked at each millisecond, until it does. Chosen: one who follows the rules gives back before it wakes us. */
#define MAX_VAIN_SLEEPS 16

static gboolean
hears_bell (const MmapProducerLink * link)
{
  return link->link->bell.word && link->vain < MAX_VAIN_SLEEPS;
}

/* What rings is nobody's in particular. */
static gboolean
hears_doorbell (const MmapProducer * producer)
{
  return producer->area && producer->area->doorbell
      && producer->doorbell_vain < MAX_VAIN_SLEEPS;
}

static void
watch_begin_locked (Watch * watch, MmapProducer * producer)
{
  guint64 rest = mmap_producer_get_holders_locked (producer);
  gboolean belled = FALSE;
  MmapProducerLink *link;

  watch->producer = producer;
  watch->serial = producer->serial;
  watch->n_links = 0;
  watch->by_words = FALSE;
  while ((link = mmap_producer_next_holder_locked (producer, &rest))) {
    /* Who holds nothing can't release anything, whatever its ring says. */
    if (link->held == 0)
      continue;
    watch->by_words = watch->by_words || hears_bell (link);
    belled = belled || link->link->doorbell;
    watch->links[watch->n_links] = mmap_producer_link_ref (link);
    watch->released[watch->n_links++] = link->link->releases.seen;
  }
  watch->by_words = watch->by_words && !belled;
}

static void
watch_end (Watch * watch)
{
  guint i;

  for (i = 0; i < watch->n_links; i++)
    mmap_producer_link_unref (watch->links[i]);
}

/* MmapSpinReady: a consumer has released something, or mmap_producer_touch_locked() has news. Without the lock. */
static gboolean
watch_has_news (gpointer data)
{
  Watch *watch = data;
  guint i;

  for (i = 0; i < watch->n_links; i++) {
    MmapRing *releases = &watch->links[i]->link->releases;

    if (mmap_load_relaxed (releases->head) != watch->released[i])
      return TRUE;
  }
  return mmap_load_relaxed (&watch->producer->serial) != watch->serial;
}

static gboolean
watch_spin_locked (Watch * watch, gint64 deadline)
{
  MmapProducer *producer = watch->producer;
  gint64 most_ns = MMAP_SPIN_MAX_NS;
  gboolean news;

  if (watch->n_links == 0)
    return FALSE;
  if (deadline >= 0)
    most_ns = MIN (most_ns, (deadline - g_get_monotonic_time ()) * 1000);
  g_mutex_unlock (&producer->lock);
  news = mmap_spin (&producer->spin, most_ns, watch_has_news, watch);
  g_mutex_lock (&producer->lock);
  return news;
}

/* A ring may be lost in a guest's device that is just being set up. */
#define RING_WAIT_US 100000

/* What is polled for, of this process's own: news from other threads, and the doorbell. */
#define N_FDS 2

static gint64
shorten (gint64 timeout_us, gint64 limit_us)
{
  return timeout_us < 0 ? limit_us : MIN (timeout_us, limit_us);
}

/* Returns: how long the sleep may be, microseconds; -1: for ever */
static gint64
watch_prepare (Watch * watch, struct pollfd fds[N_FDS], gint64 timeout_us)
{
  MmapProducer *producer = watch->producer;
  gboolean polled = FALSE, belled = hears_doorbell (producer);
  guint i;

  fds[0] = (struct pollfd) { producer->wake_fd, POLLIN, 0 };
  fds[1] = (struct pollfd) { -1, POLLIN, 0 };
  for (i = 0; i < watch->n_links; i++) {
    MmapLink *link = watch->links[i]->link;

    mmap_link_prepare_sleep (link);
    if (watch->by_words && hears_bell (watch->links[i]))
      timeout_us = shorten (timeout_us, MMAP_BELL_WAIT_US);
    else if (!(link->doorbell && belled))
      polled = TRUE;
  }
  if (belled) {
    fds[1].fd = mmap_doorbell_get_fd (producer->area->doorbell);
    timeout_us = shorten (timeout_us, RING_WAIT_US);
  }
  if (!polled)
    return timeout_us;
  producer->nap_us = mmap_poll_get_nap (producer->nap_us,
      mmap_load_relaxed (&producer->poll_interval));
  return shorten (timeout_us, producer->nap_us);
}

/* @late: nothing has ended a sleep that was long enough for a bell */
static void
watch_finish (Watch * watch, const struct pollfd fds[N_FDS], gboolean late)
{
  guint i;

  if (fds[1].revents != 0
      && mmap_doorbell_take (watch->producer->area->doorbell) > 0)
    watch->producer->doorbell_vain++;
  for (i = 0; i < watch->n_links; i++) {
    MmapProducerLink *link = watch->links[i];
    gboolean rung = mmap_link_was_rung (link->link);
    gboolean released =
        mmap_load_relaxed (link->link->releases.head) != watch->released[i];

    mmap_sleeper_finish (&link->link->sleeper);
    if (watch->by_words && hears_bell (link) && (late || rung))
      mmap_link_note_sleep (link->link, released && late);
    if (released) {
      link->vain = 0;
      watch->producer->nap_us = 0;
      watch->producer->doorbell_vain = 0;
    } else if (rung && link->vain < MAX_VAIN_SLEEPS) {
      link->vain++;
    }
  }
}

/* FALSE: all of the time has passed. Without the lock. */
static gboolean
watch_wait (Watch * watch, struct pollfd fds[N_FDS], guint32 seen,
    gint64 timeout_us)
{
  struct timespec timeout = { timeout_us / G_USEC_PER_SEC,
    timeout_us % G_USEC_PER_SEC * 1000
  };
  MmapFutex own = { &watch->producer->word, seen }, bells[MMAP_MAX_LINKS];
  guint i, n = 0;

  if (!watch->by_words)
    return ppoll (fds, N_FDS, timeout_us < 0 ? NULL : &timeout, NULL) != 0;
  for (i = 0; i < watch->n_links; i++)
    if (hears_bell (watch->links[i]))
      bells[n++] = watch->links[i]->link->bell;
  return mmap_futex_wait (&own, bells, n, timeout_us);
}

static void
watch_sleep_locked (Watch * watch, gint64 deadline)
{
  MmapProducer *producer = watch->producer;
  struct pollfd fds[N_FDS] = { 0 };
  guint64 value;
  gint64 timeout_us = watch_prepare (watch, fds, remaining_us (deadline));
  guint32 seen = mmap_load_relaxed (&producer->word);
  gboolean late = FALSE;

  /* Once more, now that consumers know: who releases after this wakes us. */
  mmap_producer_collect_locked (producer);
  if (producer->serial == watch->serial) {
    producer->stats.waits++;
    producer->asleep = TRUE;
    producer->by_words = watch->by_words;
    g_mutex_unlock (&producer->lock);
    late = !watch_wait (watch, fds, seen, timeout_us)
        && timeout_us >= MMAP_BELL_WAIT_US;
    g_mutex_lock (&producer->lock);
    producer->asleep = FALSE;
  }

  watch_finish (watch, fds, late);
  if (fds[0].revents & POLLIN)
    while (read (producer->wake_fd, &value, sizeof value) < 0
        && errno == EINTR);
}

/* Waits, for all waiters, until a consumer or mmap_producer_touch_locked() has news, or until @deadline. */
static void
producer_lead_locked (MmapProducer * producer, gint64 deadline)
{
  Watch watch;

  producer->led = TRUE;
  watch_begin_locked (&watch, producer);
  if (!watch_spin_locked (&watch, deadline)
      && producer->serial == watch.serial)
    watch_sleep_locked (&watch, deadline);
  watch_end (&watch);
  producer->led = FALSE;
  mmap_producer_collect_locked (producer);
  /* Somebody else may have to lead now. */
  wake_followers_locked (producer);
}

/* Sleeps while another waiter leads. */
static void
follow_locked (MmapProducer * producer, gint64 deadline)
{
  producer->n_followers++;
  if (deadline < 0)
    g_cond_wait (&producer->cond, &producer->lock);
  else
    g_cond_wait_until (&producer->cond, &producer->lock, deadline);
  producer->n_followers--;
}

/* How often a block is asked for again that a link which is leaving may hold: that link may have to be ended, which only time tells. */
#define LEAVING_INTERVAL_US G_USEC_PER_SEC

static gint64
get_deadline_locked (MmapProducer * producer, gint64 timeout_us)
{
  if (producer->leaving && producer->short_since != 0
      && (timeout_us < 0 || timeout_us > LEAVING_INTERVAL_US))
    timeout_us = LEAVING_INTERVAL_US;
  return timeout_us < 0 ? -1 : g_get_monotonic_time () + timeout_us;
}

MmapWaitResult
mmap_producer_wait (MmapProducer * producer, MmapCancel * cancel,
    guint64 serial, gint64 timeout_us)
{
  gboolean late = FALSE;
  MmapWaitResult result;
  gint64 deadline;

  g_mutex_lock (&producer->lock);
  deadline = get_deadline_locked (producer, timeout_us);
  while (producer->serial == serial && !cancel->cancelled && !producer->closed
      && !producer->failed && !late) {
    if (producer->led)
      follow_locked (producer, deadline);
    else
      producer_lead_locked (producer, deadline);
    late = deadline >= 0 && g_get_monotonic_time () >= deadline;
  }
  result = producer->closed ? MMAP_WAIT_CLOSED :
      producer->failed ? MMAP_WAIT_FAILED :
      cancel->cancelled ? MMAP_WAIT_CANCELLED :
      producer->serial == serial ? MMAP_WAIT_TIMEOUT : MMAP_WAIT_OK;
  mmap_producer_unlock (producer);
  return result;
}

void
mmap_producer_set_cancelled (MmapProducer * producer, MmapCancel * cancel,
    gboolean cancelled)
{
  g_mutex_lock (&producer->lock);
  cancel->cancelled = cancelled;
  mmap_producer_touch_locked (producer);
  g_mutex_unlock (&producer->lock);
}

void
mmap_producer_set_spin_time (MmapProducer * producer, gint64 time_ns)
{
  mmap_spin_set_time (&producer->spin, time_ns);
}

void
mmap_producer_poke (MmapProducer * producer)
{
  g_mutex_lock (&producer->lock);
  mmap_producer_touch_locked (producer);
  g_mutex_unlock (&producer->lock);
}
