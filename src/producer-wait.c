/* gst-mmap: the producer: waiting for consumers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Of all threads that wait, one leads: it polls what consumers wake, for all. The others follow, on a condition of this process. So
 * no thread of ours is on the way of a frame.
 */
#include "producer-private.h"

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

  producer->serial++;
  wake_followers_locked (producer);
  if (producer->leader && producer->leader != g_thread_self ())
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

/* Sleeps, for all waiters, until a consumer or mmap_producer_touch_locked() has news, or until @deadline. */
static void
producer_lead_locked (MmapProducer * producer, gint64 deadline)
{
  struct pollfd fds[1 + MMAP_MAX_LINKS];
  MmapProducerLink *links[1 + MMAP_MAX_LINKS];
  guint64 serial = producer->serial, value;
  guint64 rest = producer->up;
  MmapProducerLink *link;
  guint i, n = 1;

  producer->leader = g_thread_self ();
  fds[0] = (struct pollfd) { producer->wake_fd, POLLIN, 0 };
  while ((link = mmap_producer_next_up_locked (producer, &rest))) {
    mmap_sleeper_prepare (&link->link->sleeper);
    links[n] = mmap_producer_link_ref (link);
    fds[n] = (struct pollfd) { link->link->sleep_fd, POLLIN, 0 };
    n++;
  }

  /* Once more, now that consumers know: who releases after this wakes us. */
  mmap_producer_collect_locked (producer);
  if (producer->serial == serial) {
    producer->stats.waits++;
    g_mutex_unlock (&producer->lock);
    poll (fds, n, remaining_ms (deadline));
    g_mutex_lock (&producer->lock);
  }

  for (i = 1; i < n; i++) {
    mmap_sleeper_finish (&links[i]->link->sleeper, fds[i].revents & POLLIN);
    mmap_producer_link_unref (links[i]);
  }
  if (fds[0].revents & POLLIN)
    while (read (producer->wake_fd, &value, sizeof value) < 0
        && errno == EINTR);
  producer->leader = NULL;
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
      && !late) {
    if (producer->leader)
      follow_locked (producer, deadline);
    else
      producer_lead_locked (producer, deadline);
    late = deadline >= 0 && g_get_monotonic_time () >= deadline;
  }
  result = producer->closed ? MMAP_WAIT_CLOSED :
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
mmap_producer_poke (MmapProducer * producer)
{
  g_mutex_lock (&producer->lock);
  mmap_producer_touch_locked (producer);
  g_mutex_unlock (&producer->lock);
}
