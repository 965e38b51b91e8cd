/* gst-mmap: the producer: waiting for consumers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Of all threads that wait, one leads: it polls what consumers wake, for all. The others follow, on a condition of this process. So
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
  if (producer->asleep)
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

/* For poll(): rounded up; -1 for no deadline. */
static int
remaining_ms (gint64 deadline)
{
  gint64 left = deadline - g_get_monotonic_time ();

  if (deadline < 0)
    return -1;
  return left <= 0 ? 0 : MIN (G_MAXINT, (left + 999) / 1000);
}

/* What the leader watches: links that hold something. They are referenced: one may end meanwhile. */
typedef struct
{
  MmapProducer *producer;
  guint64 serial;
  MmapProducerLink *links[MMAP_MAX_LINKS];
  guint64 released[MMAP_MAX_LINKS];     /* heads of their release rings */
  guint n_links;
} Watch;

static void
watch_begin_locked (Watch * watch, MmapProducer * producer)
{
  guint64 rest = producer->up;
  MmapProducerLink *link;

  watch->producer = producer;
  watch->serial = producer->serial;
  watch->n_links = 0;
  while ((link = mmap_producer_next_up_locked (producer, &rest))) {
    /* Who holds nothing can't release anything, whatever its ring says. */
    if (link->held == 0)
      continue;
    watch->links[watch->n_links] = mmap_producer_link_ref (link);
    watch->released[watch->n_links++] = link->link->releases.seen;
  }
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

/* What wakes us is the consumer's: it may be awake for ever. One that has ended so many sleeps in turn without giving anything back isn't
 * listened to, but looked at each millisecond, until it does. Chosen: one who follows the rules gives back before it wakes us. */
#define MAX_VAIN_SLEEPS 16
#define VAIN_SLEEP_MS 1

/* Returns: how long the sleep may be, milliseconds; -1: for ever */
static int
watch_prepare (Watch * watch, struct pollfd *fds, int timeout_ms)
{
  guint i;

  fds[0] = (struct pollfd) { watch->producer->wake_fd, POLLIN, 0 };
  for (i = 0; i < watch->n_links; i++) {
    MmapLink *link = watch->links[i]->link;
    gboolean heard = watch->links[i]->vain < MAX_VAIN_SLEEPS;

    mmap_sleeper_prepare (&link->sleeper);
    fds[1 + i] = (struct pollfd) { heard ? link->sleep_fd : -1, POLLIN, 0 };
    if (!heard && timeout_ms != 0)
      timeout_ms = VAIN_SLEEP_MS;
  }
  return timeout_ms;
}

static void
watch_finish (Watch * watch, const struct pollfd *fds)
{
  guint i;

  for (i = 0; i < watch->n_links; i++) {
    MmapProducerLink *link = watch->links[i];
    gboolean signalled = fds[1 + i].revents & POLLIN;

    mmap_sleeper_finish (&link->link->sleeper, signalled);
    if (mmap_load_relaxed (link->link->releases.head) != watch->released[i])
      link->vain = 0;
    else if (signalled)
      link->vain++;
  }
}

static void
watch_sleep_locked (Watch * watch, gint64 deadline)
{
  MmapProducer *producer = watch->producer;
  struct pollfd fds[1 + MMAP_MAX_LINKS] = { 0 };
  guint64 value;
  int timeout_ms = watch_prepare (watch, fds, remaining_ms (deadline));

  /* Once more, now that consumers know: who releases after this wakes us. */
  mmap_producer_collect_locked (producer);
  if (producer->serial == watch->serial) {
    producer->stats.waits++;
    producer->asleep = TRUE;
    g_mutex_unlock (&producer->lock);
    poll (fds, 1 + watch->n_links, timeout_ms);
    g_mutex_lock (&producer->lock);
    producer->asleep = FALSE;
  }

  watch_finish (watch, fds);
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

MmapWaitResult
mmap_producer_wait (MmapProducer * producer, MmapCancel * cancel,
    guint64 serial, gint64 timeout_us)
{
  gint64 deadline = timeout_us < 0 ? -1 : g_get_monotonic_time () + timeout_us;
  gboolean late = FALSE;
  MmapWaitResult result;

  g_mutex_lock (&producer->lock);
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
