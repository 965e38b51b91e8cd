/* gst-mmap: the consumer: receives frames from a producer
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The handshake is consumer-handshake.c; here is what happens on a link that is up. Called by a source element from its
 * streaming thread; releases come from any thread that drops the last reference to a frame.
 */
#include "consumer-private.h"

#include "address.h"
#include "atomics.h"
#include "foreign.h"
#include "remote.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

MmapConsumer *
mmap_consumer_new (const char *address, GError ** error)
{
  MmapConsumer *consumer = g_new0 (MmapConsumer, 1);

  consumer->ref_count = 1;
  consumer->word = g_atomic_rc_box_new0 (guint32);
  g_mutex_init (&consumer->lock);
  g_mutex_init (&consumer->receive_lock);
  g_cond_init (&consumer->cond);
  consumer->calls = g_hash_table_new (NULL, NULL);
  consumer->allowed = mmap_users_new (NULL, NULL);
  mmap_spin_set_time (&consumer->spin, MMAP_SPIN_ADAPTIVE);
  consumer->reconnect_timeout = -1;
  consumer->poll_interval = MMAP_POLL_DEFAULT_NS;
  consumer->is_carried = address == MMAP_ADDRESS_NONE;
  consumer->address = g_strdup (address);
  consumer->cancel_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  consumer->service_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  consumer->alarm = mmap_alarm_new ();
  if (consumer->cancel_fd < 0 || consumer->service_fd < 0 || !consumer->alarm) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "The consumer has no descriptors left (ulimit -n): %s",
        g_strerror (errno));
    mmap_consumer_free (consumer);
    return NULL;
  }
  return consumer;
}

MmapConsumer *
mmap_consumer_new_in_area (const char *file, const char *channel,
    GError ** error)
{
  MmapConsumer *consumer;

  if (!mmap_channel_check_name (channel, error))
    return NULL;
  consumer = mmap_consumer_new (NULL, error);
  if (consumer) {
    consumer->area_file = g_strdup (file);
    consumer->channel = g_strdup (channel);
  }
  return consumer;
}

MmapConsumer *
mmap_consumer_new_remote (const char *address, const char *file,
    gboolean allow_remote, GError ** error)
{
  MmapConsumer *consumer;

  if (!mmap_remote_check (address, error))
    return NULL;
  consumer = mmap_consumer_new (address, error);
  if (consumer) {
    consumer->area_file = g_strdup (file);
    consumer->allow_remote = allow_remote;
  }
  return consumer;
}

MmapConsumer *
mmap_consumer_ref (MmapConsumer * consumer)
{
  g_atomic_int_inc (&consumer->ref_count);
  return consumer;
}

void
mmap_consumer_unref (MmapConsumer * consumer)
{
  if (!g_atomic_int_dec_and_test (&consumer->ref_count))
    return;
  if (consumer->cancel_fd >= 0)
    close (consumer->cancel_fd);
  if (consumer->service_fd >= 0)
    close (consumer->service_fd);
  g_clear_pointer (&consumer->alarm, mmap_alarm_unref);
  mmap_secret_unref (consumer->secret);
  g_hash_table_unref (consumer->calls);
  g_mutex_clear (&consumer->lock);
  g_mutex_clear (&consumer->receive_lock);
  g_cond_clear (&consumer->cond);
  mmap_users_free (consumer->allowed);
  g_atomic_rc_box_release (consumer->word);
  g_free (consumer->address);
  g_free (consumer->area_file);
  g_free (consumer->area_path);
  g_clear_pointer (&consumer->belled, mmap_area_unref);
  g_free (consumer->channel);
  g_free (consumer->media);
  g_free (consumer);
}

void
mmap_consumer_free (MmapConsumer * consumer)
{
  mmap_consumer_stop (consumer);
  mmap_consumer_disconnect (consumer);
  mmap_consumer_unref (consumer);
}

void
mmap_consumer_set_allowed (MmapConsumer * consumer, MmapUsers * users)
{
  MmapUsers *old;

  g_mutex_lock (&consumer->lock);
  old = consumer->allowed;
  consumer->allowed = users;
  g_mutex_unlock (&consumer->lock);
  mmap_users_free (old);
}

void
mmap_consumer_set_spin_time (MmapConsumer * consumer, gint64 time_ns)
{
  mmap_spin_set_time (&consumer->spin, time_ns);
}

void
mmap_consumer_set_cancelled (MmapConsumer * consumer, gboolean cancelled)
{
  guint64 value = 1;

  /* The descriptor stays readable as long as the consumer is cancelled. */
  if (cancelled)
    while (write (consumer->cancel_fd, &value, sizeof value) < 0
        && errno == EINTR);
  else
    while (read (consumer->cancel_fd, &value, sizeof value) < 0
        && errno == EINTR);
  g_atomic_int_set (&consumer->cancelled, cancelled);
  if (cancelled)
    mmap_futex_wake_own (consumer->word);
}

MmapConsumerLink *
mmap_consumer_link_ref (MmapConsumerLink * link)
{
  g_atomic_int_inc (&link->ref_count);
  return link;
}

/* What an application has handed over others may have, too. */
static void
close_socket (GSocket * socket, gboolean is_carried)
{
  if (is_carried)
    mmap_foreign_leave_socket (socket);
  else
    mmap_foreign_close_socket (socket);
}

void
mmap_consumer_link_unref (MmapConsumerLink * link)
{
  if (!g_atomic_int_dec_and_test (&link->ref_count))
    return;
  /* It was left: now the producer knows that nothing of it is read any more. */
  close_socket (link->socket, link->is_carried);
  g_clear_object (&link->socket);
  g_clear_pointer (&link->client, mmap_area_client_free);
  mmap_link_free (link->link);
  g_mutex_clear (&link->lock);
  g_free (link);
}

/* The lock is this process's own: the other side never waits for it. */
static void
link_release (MmapConsumerLink * link, guint64 id)
{
  if (id == 0)
    return;
  g_mutex_lock (&link->lock);
  if (!link->ended && mmap_ring_push (&link->link->releases, &id) ==
      MMAP_RING_OK)
    mmap_link_wake (link->link);
  g_mutex_unlock (&link->lock);
}

void
mmap_consumer_link_release (MmapConsumerLink * link, guint64 id, guint64 size)
{
  link_release (link, id);
  mmap_add_relaxed (&link->held, -1);
  mmap_add_relaxed (&link->held_bytes, -size);
}

void
mmap_item_clear (MmapItem * item)
{
  if (item->descriptor.kind != 0 && item->link)
    link_release (item->link, item->descriptor.id);
  g_clear_pointer (&item->region, mmap_region_unref);
  g_clear_pointer (&item->link, mmap_consumer_link_unref);
  item->data = NULL;
  item->metas = NULL;
}

/* If somebody still has something of @link, the producer is told, and leaves that alone until it is given back: so long the link keeps the
 * socket, and what carries its messages. FALSE: there is nothing to be kept, or nobody to be told. */
static gboolean
leave (MmapConsumer * consumer, MmapConsumerLink * link)
{
  if (consumer->state != CONSUMER_UP || g_atomic_int_get (&consumer->hung_up)
      || g_atomic_int_get (&link->ref_count) == 1
      || !mmap_message_send_leave (consumer->socket))
    return FALSE;
  link->socket = g_steal_pointer (&consumer->socket);
  link->client = g_steal_pointer (&consumer->client);
  return TRUE;
}

void
mmap_consumer_drop_link_locked (MmapConsumer * consumer)
{
  MmapConsumerLink *link;
  guint64 wakeups;

  g_mutex_lock (&consumer->lock);
  link = g_steal_pointer (&consumer->link);
  g_clear_pointer (&consumer->offer_file, g_free);
  g_clear_pointer (&consumer->offer_media, g_free);
  g_mutex_unlock (&consumer->lock);

  if (link) {
    g_mutex_lock (&link->lock);
    link->ended = !leave (consumer, link);
    wakeups = link->link->waker.wakeups;
    g_mutex_unlock (&link->lock);
    g_mutex_lock (&consumer->lock);
    consumer->stats.wakeups += wakeups;
    g_mutex_unlock (&consumer->lock);
    mmap_consumer_link_unref (link);
  }
  mmap_consumer_end_populator (consumer);
  g_clear_pointer (&consumer->region, mmap_region_unref);
  g_queue_clear_full (&consumer->next_regions,
      (GDestroyNotify) mmap_region_unref);
  close_socket (consumer->socket, consumer->is_carried);
  g_clear_object (&consumer->socket);
  mmap_consumer_leave_area (consumer);
}

/* After it was told that it has rung: the next link begins with one that has not. */
static void
renew_alarm_locked (MmapConsumer * consumer)
{
  MmapAlarm *fresh;

  /* It has none if it could not be made. */
  if (!consumer->alarm || !mmap_alarm_is_rung (consumer->alarm))
    return;
  fresh = mmap_alarm_new ();
  /* Without one, the old one says the same again. */
  if (!fresh)
    return;
  mmap_alarm_unref (consumer->alarm);
  consumer->alarm = fresh;
}

gboolean
mmap_consumer_check_memory (MmapConsumer * consumer, GError ** error)
{
  if (!mmap_alarm_is_rung (consumer->alarm))
    return TRUE;
  /* The path doesn't change between the regions of a link. */
  g_mutex_lock (&consumer->receive_lock);
  mmap_region_set_truncated_error (error,
      consumer->region ? consumer->region->path : NULL);
  g_mutex_unlock (&consumer->receive_lock);
  return FALSE;
}

void
mmap_consumer_disconnect (MmapConsumer * consumer)
{
  /* Nothing is received between this and the end: what comes then is not told. */
  g_mutex_lock (&consumer->receive_lock);
  mmap_consumer_close_peer (consumer, NULL);
  mmap_consumer_drop_link_locked (consumer);
  renew_alarm_locked (consumer);
  consumer->state = CONSUMER_SEARCHING;
  consumer->hung_up = FALSE;
  g_clear_error (&consumer->failure);
  consumer->sequence = 0;
  consumer->number = 0;
  g_mutex_unlock (&consumer->receive_lock);
}

static MmapNextResult
broken (GError ** error, const char *what)
{
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_RING,
      "The producer broke the protocol: %s", what);
  return MMAP_NEXT_ERROR;
}

static MmapRegion *
pop_next_region (MmapConsumer * consumer)
{
  MmapRegion *next;

  g_mutex_lock (&consumer->receive_lock);
  next = g_queue_pop_head (&consumer->next_regions);
  g_mutex_unlock (&consumer->receive_lock);
  return next;
}

/* How long an offer may take through an area, whose messages go another way than its frames; chosen, as a heartbeat's. */
#define OFFER_TIMEOUT_US G_USEC_PER_SEC
#define OFFER_INTERVAL_MS 10

/* The next region that was offered. NULL: there is none, or an error. */
static MmapRegion *
receive_next_region (MmapConsumer * consumer, GError ** error)
{
  gint64 end = g_get_monotonic_time () + OFFER_TIMEOUT_US;
  MmapRegion *next = NULL;

  for (;;) {
    struct pollfd fd = { g_socket_get_fd (consumer->socket), POLLIN, 0 };

    if (!mmap_consumer_receive (consumer, error))
      return NULL;
    next = pop_next_region (consumer);
    if (next || !consumer->client || g_atomic_int_get (&consumer->hung_up)
        || g_get_monotonic_time () >= end)
      break;
    poll (&fd, 1, OFFER_INTERVAL_MS);
  }
  if (!next)
    broken (error, "it named a region that it did not offer");
  return next;
}

/* Makes the region that @region_id names the current one: its offer is in the socket or was accepted before. */
static gboolean
switch_region (MmapConsumer * consumer, guint32 region_id, GError ** error)
{
  while (consumer->region->region_id != region_id) {
    MmapRegion *next = pop_next_region (consumer);

    if (!next)
      next = receive_next_region (consumer, error);
    if (!next)
      return FALSE;
    mmap_consumer_end_populator (consumer);
    mmap_region_unref (consumer->region);
    consumer->region = next;
  }
  return TRUE;
}

/* Whether somebody could wait for ever if the frame, handed out already, was kept: more is held than the producer can spare, or it
 * was the last that the region had room for, and nothing as large comes after it that could be given back instead. */
static gboolean
should_copy (MmapConsumer * consumer, const MmapDescriptor * frame)
{
  MmapConsumerLink *link = consumer->link;
  MmapDescriptor next;

  if (mmap_load_relaxed (&link->held_bytes) >
      mmap_load_relaxed (&link->max_held))
    return TRUE;
  return (frame->hints & MMAP_HINT_LAST_ROOM)
      && ((frame->hints & MMAP_HINT_SMALLER)
      || mmap_ring_peek (&link->link->frames, &next) != MMAP_RING_OK
      || next.size < frame->size || next.metas_size < frame->metas_size);
}

/* What is wrong with a block of the current region; %NULL if nothing is. */
static const char *
check_block (MmapConsumer * consumer, guint64 offset, guint64 size)
{
  if (size == 0)
    return NULL;
  if (!mmap_region_contains (consumer->region, offset, size))
    return "a block lies outside of its region";
  if (!mmap_region_may_read (consumer->region, offset + size))
    return "a block lies in memory that it has not reserved";
  return NULL;
}

/* Frames between the last one and frame @number: the count goes round without 0, which says nothing. */
static guint32
count_missed (MmapConsumer * consumer, guint32 number)
{
  guint32 missed = number - consumer->number - 1;

  if (number == 0)
    return 0;
  return number < consumer->number ? missed - 1 : missed;
}

/* Checks the descriptor, a private copy. */
static MmapNextResult
take_item (MmapConsumer * consumer, MmapItem * item, gboolean frame,
    GError ** error)
{
  MmapDescriptor *descriptor = &item->descriptor;
  const char *wrong;

  if (descriptor->sequence <= consumer->sequence)
    return broken (error, "a sequence number went back");
  if (frame != (descriptor->kind == 0))
    return broken (error, "a descriptor is in the wrong ring");
  if (!switch_region (consumer, descriptor->region_id, error))
    return MMAP_NEXT_ERROR;
  wrong = check_block (consumer, descriptor->offset, descriptor->size);
  if (!wrong)
    wrong = check_block (consumer, descriptor->metas_offset,
        descriptor->metas_size);
  if (wrong)
    return broken (error, wrong);
  if (descriptor->n_planes > G_N_ELEMENTS (descriptor->plane_offset))
    return broken (error, "a frame has more than four planes");

  if (frame)
    mmap_consumer_populate (consumer);
  consumer->sequence = descriptor->sequence;
  item->region = mmap_region_ref (consumer->region);
  item->link = mmap_consumer_link_ref (consumer->link);
  item->data = descriptor->size > 0 ?
      consumer->region->base + descriptor->offset : NULL;
  item->metas = descriptor->metas_size > 0 ?
      consumer->region->base + descriptor->metas_offset : NULL;
  if (frame) {
    mmap_add_relaxed (&consumer->link->held, 1);
    mmap_add_relaxed (&consumer->link->held_bytes, descriptor->size);
    mmap_add_relaxed (&consumer->stats.frames, 1);
    mmap_add_relaxed (&consumer->stats.bytes, descriptor->size);
    item->missed = count_missed (consumer, descriptor->number);
    consumer->number = descriptor->number;
    if (item->missed > 0)
      mmap_add_relaxed (&consumer->stats.missed, item->missed);
    item->should_copy = should_copy (consumer, descriptor);
    return MMAP_NEXT_FRAME;
  }
  mmap_add_relaxed (&consumer->stats.events, 1);
  return MMAP_NEXT_EVENT;
}

/* Whether the producer has ended the link. Asked when the event is next: frames before it may have been taken back since, and the end of the
 * stream would be told as if they had been all. */
static gboolean
is_over (const MmapConsumerLink * link)
{
  /* Acquire: after the tail of the frames was looked at. Pairs with the release in mmap_ring_take_back(). */
  mmap_fence_acquire ();
  return mmap_load_relaxed (&link->link->area->ended) != 0;
}

/* Takes the older of the first frame and the first event. FALSE if there is none. */
static gboolean
try_next (MmapConsumer * consumer, MmapItem * item, MmapNextResult * next,
    GError ** error)
{
  MmapRing *frames = &consumer->link->link->frames;
  MmapRing *events = &consumer->link->link->events;
  MmapDescriptor event;

  for (;;) {
    /* Frames first: once a frame is seen, so is every event before it. */
    MmapRingResult frame_there = mmap_ring_peek (frames, &item->descriptor);
    MmapRingResult event_there = mmap_ring_peek (events, &event);
    MmapRingResult popped;
    gboolean frame;

    /* Both may have come since the first look, the frame before the event. */
    if (frame_there == MMAP_RING_WAIT && event_there == MMAP_RING_OK)
      frame_there = mmap_ring_peek (frames, &item->descriptor);
    frame = frame_there == MMAP_RING_OK && (event_there != MMAP_RING_OK
        || item->descriptor.sequence < event.sequence);
    /* The event comes before that frame, which may lie where an older one was taken back: then others may come before the event. */
    if (frame_there == MMAP_RING_OK && !frame) {
      frame_there = mmap_ring_check (frames);
      if (frame_there == MMAP_RING_WAIT)
        continue;
    }
    if (frame_there == MMAP_RING_BROKEN || event_there == MMAP_RING_BROKEN)
      goto broken;
    if (frame_there == MMAP_RING_WAIT && event_there == MMAP_RING_WAIT)
      return FALSE;
    /* It stays there, so that nothing that comes after it is taken. */
    if (!frame && is_over (consumer->link))
      return FALSE;

    popped = mmap_ring_pop (frame ? frames : events);
    if (popped == MMAP_RING_BROKEN)
      goto broken;
    if (popped == MMAP_RING_WAIT)
      continue;                 /* the producer took the frame back, or everything: then it has ended the link */
    if (!frame)
      item->descriptor = event;
    *next = take_item (consumer, item, frame, error);
    return TRUE;
  }

broken:
  *next = broken (error, "impossible indices in a ring");
  return TRUE;
}

/* MmapSpinReady: something was published, or the caller shall return. */
static gboolean
has_news (gpointer data)
{
  MmapConsumer *consumer = data;
  MmapLink *link = consumer->link->link;

  return mmap_ring_has_new (&link->frames) || mmap_ring_has_new (&link->events)
      || g_atomic_int_get (&consumer->cancelled);
}

/* What wakes us is the producer's: it may be awake for ever. After so many sleeps in turn that were no use we sleep without it. Chosen: one who
 * wakes us for frames that it then drops, one by one, notices a little. */
#define MAX_VAIN_SLEEPS 16

/* Returns: whether there may be something in the socket */
static gboolean
sleep_or_nap (MmapConsumer * consumer)
{
  MmapLink *link = consumer->link->link;
  gboolean heard = consumer->vain < MAX_VAIN_SLEEPS;

  if (link->bell.word && heard && (consumer->client
          || g_atomic_int_get (&consumer->listens)))
    return mmap_consumer_wait_for_bell (consumer);
  if (link->doorbell && heard) {
    mmap_consumer_wait_for_ring (consumer);
    return TRUE;
  }
  return mmap_consumer_nap (consumer, g_socket_get_fd (consumer->socket));
}

/* Sleeps until there may be news. FALSE if the link has to end. */
static gboolean
link_sleep (MmapConsumer * consumer, MmapItem * item, gboolean * found,
    MmapNextResult * next, GError ** error)
{
  MmapSleeper *sleeper = &consumer->link->link->sleeper;
  gboolean look = FALSE;

  mmap_link_prepare_sleep (consumer->link->link);
  /* Once more, now that the producer knows: who publishes after this wakes us. */
  *found = try_next (consumer, item, next, error);
  if (!*found) {
    mmap_add_relaxed (&consumer->stats.waits, 1);
    look = sleep_or_nap (consumer);
  }
  mmap_sleeper_finish (sleeper);

  return !look || mmap_consumer_receive (consumer, error);
}

static MmapNextResult
link_next (MmapConsumer * consumer, MmapItem * item, GError ** error)
{
  gboolean hung_up, found;
  MmapNextResult next;

  for (;;) {
    if (g_atomic_int_get (&consumer->cancelled))
      return MMAP_NEXT_CANCELLED;
    if (!mmap_consumer_check_memory (consumer, error))
      return MMAP_NEXT_ERROR;
    if (consumer->client && mmap_consumer_awaits_clock (consumer))
      continue;
    /* Before the rings: what is not in them after this was not sent. */
    hung_up = g_atomic_int_get (&consumer->hung_up);
    found = try_next (consumer, item, &next, error);
    if (!found && hung_up)
      return MMAP_NEXT_DISCONNECTED;
    if (!found
        && mmap_spin (&consumer->spin, MMAP_SPIN_MAX_NS, has_news, consumer))
      continue;
    if (!found && !link_sleep (consumer, item, &found, &next, error))
      return MMAP_NEXT_ERROR;
    if (found) {
      consumer->vain = 0;
      consumer->nap_us = 0;
      item->clock_offset = consumer->client ?
          mmap_area_clock_use (mmap_area_client_get_clock (consumer->client)) :
          0;
      return next;
    }
  }
}

MmapNextResult
mmap_consumer_next (MmapConsumer * consumer, MmapItem * item, GError ** error)
{
  g_autoptr (GError) cause = NULL;
  MmapNextResult next;

  memset (item, 0, sizeof *item);
  if (consumer->state == CONSUMER_UP)
    next = link_next (consumer, item, &cause);
  else
    next = mmap_consumer_connect (consumer, &cause);

  if (next == MMAP_NEXT_ERROR || next == MMAP_NEXT_DISCONNECTED) {
    /* In an area the link's end may be seen before what it comes of. */
    if (consumer->state == CONSUMER_UP && mmap_alarm_is_rung (consumer->alarm)) {
      g_clear_error (&cause);
      mmap_consumer_check_memory (consumer, &cause);
      next = MMAP_NEXT_ERROR;
    }
    if (next == MMAP_NEXT_ERROR && consumer->socket)
      mmap_message_send_refusal (consumer->socket, cause);
    if (next == MMAP_NEXT_ERROR && consumer->state == CONSUMER_UP
        && mmap_consumer_may_mend (consumer, cause)) {
      next = MMAP_NEXT_DISCONNECTED;
      g_clear_error (&cause);
    }
    mmap_consumer_disconnect (consumer);
  }
  if (cause)
    g_propagate_error (error, g_steal_pointer (&cause));
  return next;
}

void
mmap_consumer_get_stats (MmapConsumer * consumer, MmapConsumerStats * stats)
{
  MmapConsumerStats *counts = &consumer->stats;

  /* Counters of another thread: each is read whole, the set is not of one instant. */
  g_mutex_lock (&consumer->lock);
  stats->frames = mmap_load_relaxed (&counts->frames);
  stats->bytes = mmap_load_relaxed (&counts->bytes);
  stats->events = mmap_load_relaxed (&counts->events);
  stats->missed = mmap_load_relaxed (&counts->missed);
  stats->links = mmap_load_relaxed (&counts->links);
  stats->waits = mmap_load_relaxed (&counts->waits);
  stats->wakeups = counts->wakeups;
  mmap_consumer_get_clock_locked (consumer, stats);
  stats->held = 0;
  if (consumer->link) {
    stats->held = mmap_load_relaxed (&consumer->link->held);
    g_mutex_lock (&consumer->link->lock);
    stats->wakeups += consumer->link->link->waker.wakeups;
    g_mutex_unlock (&consumer->link->lock);
  }
  g_mutex_unlock (&consumer->lock);
}

guint
mmap_consumer_get_token_bytes (MmapConsumer * consumer)
{
  guint bytes;

  g_mutex_lock (&consumer->lock);
  bytes = consumer->link ? consumer->offer_token_bytes : 0;
  g_mutex_unlock (&consumer->lock);
  return bytes;
}

gboolean
mmap_consumer_get_offer (MmapConsumer * consumer, char **file, guint64 * size,
    guint64 * session, char **media)
{
  gboolean offered;

  g_mutex_lock (&consumer->lock);
  offered = consumer->link != NULL;
  if (offered) {
    *file = g_strdup (consumer->offer_file);
    *size = consumer->offer_size;
    *session = consumer->session;
    *media = g_strdup (consumer->offer_media);
  }
  g_mutex_unlock (&consumer->lock);
  return offered;
}
