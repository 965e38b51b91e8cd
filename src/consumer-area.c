/* gst-mmap: the consumer: a producer in an area
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by the thread that calls mmap_consumer_next().
 */
#include "consumer-private.h"

#include "atomics.h"
#include "remote.h"

#include <poll.h>
#include <unistd.h>

void
mmap_consumer_set_poll_interval (MmapConsumer * consumer, gint64 interval_ns)
{
  mmap_store_relaxed (&consumer->poll_interval, interval_ns);
}

/* Once, too, as long as there is the server: all its peers hear of each that joins. */
static gboolean
join_server (MmapConsumer * consumer, GError ** error)
{
  if (consumer->belled
      && !mmap_doorbell_has_server (consumer->belled->doorbell))
    g_clear_pointer (&consumer->belled, mmap_area_unref);
  if (!consumer->belled && mmap_area_has_doorbell (consumer->area_path))
    consumer->belled = mmap_area_open_doorbell (consumer->area_path, error);
  else if (consumer->belled)
    /* Nobody else listens to the server now. */
    mmap_doorbell_take (consumer->belled->doorbell);
  return consumer->belled || !mmap_area_has_doorbell (consumer->area_path);
}

/* The producer is there, and has formatted its area: to wait for ours is in vain. Unless it has just ended. */
static void
explain_absence (const MmapConsumer * consumer, GError ** error)
{
  if (g_error_matches (*error, MMAP_ERROR, MMAP_ERROR_CLOSED)) {
    (*error)->code = MMAP_ERROR_NOT_FOUND;
    return;
  }
  if (!g_error_matches (*error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND))
    return;
  (*error)->code = MMAP_ERROR_FILE;
  g_prefix_error (error,
      "A producer is at %s, but file %s is not what it uses: "
      "name the same file, or the device that shows it. ", consumer->address,
      consumer->area_path);
}

GSocket *
mmap_consumer_search_area (MmapConsumer * consumer, GError ** error)
{
  GSocket *socket = NULL;
  MmapAreaClient *client;
  int stream = -1;

  /* Once: to find a device takes time. */
  if (!consumer->area_path)
    consumer->area_path = mmap_area_resolve (consumer->area_file, error);
  if (!consumer->area_path)
    return NULL;
  if (!consumer->channel) {
    stream = mmap_remote_connect (consumer->address, consumer->allow_remote,
        consumer->cancel_fd, error);
    if (stream < 0)
      return NULL;
  }
  if (!join_server (consumer, error)) {
    if (stream >= 0)
      close (stream);
    return NULL;
  }
  g_mutex_lock (&consumer->lock);
  if (consumer->channel)
    client = mmap_area_client_new (consumer->area_path, consumer->belled,
        consumer->channel, consumer->lacking != 0, consumer->allowed, &socket,
        error);
  else
    client = mmap_area_client_new_remote (consumer->area_path,
        consumer->belled, stream, consumer->allowed, &socket, error);
  g_mutex_unlock (&consumer->lock);
  if (!client) {
    if (!consumer->channel)
      explain_absence (consumer, error);
    return NULL;
  }
  mmap_guard_set_alarm (mmap_area_client_get_area (client)->guard,
      consumer->alarm);
  g_mutex_lock (&consumer->lock);
  consumer->client = client;
  g_mutex_unlock (&consumer->lock);
  mmap_area_client_set_word (client, consumer->word);
  consumer->clock_by = 0;
  consumer->found.pid = mmap_area_client_get_producer_pid (client);
  return socket;
}

void
mmap_consumer_add_kernel (const MmapConsumer * consumer,
    GVariantBuilder * hello)
{
  MmapAreaPeer self;

  /* In a slot of its own it has said so already. */
  if (!consumer->client || consumer->channel)
    return;
  mmap_area_peer_init_self (&self);
  if (self.boot_id != 0)
    g_variant_builder_add (hello, "{sv}", "boot-id",
        g_variant_new_uint64 (self.boot_id));
}

void
mmap_consumer_leave_area (MmapConsumer * consumer)
{
  MmapAreaClient *client;

  g_mutex_lock (&consumer->lock);
  client = g_steal_pointer (&consumer->client);
  g_mutex_unlock (&consumer->lock);
  if (client)
    mmap_area_client_free (client);
}

gboolean
mmap_consumer_may_mend (const MmapConsumer * consumer, const GError * error)
{
  if (!consumer->area_file || error->domain != MMAP_ERROR)
    return FALSE;
  switch (error->code) {
    case MMAP_ERROR_SIZE:
    case MMAP_ERROR_TOKEN:
    case MMAP_ERROR_TOKEN_INDEX:
    case MMAP_ERROR_TOKEN_BYTES:
    case MMAP_ERROR_NOT_A_REGION:
    case MMAP_ERROR_VERSION:
    case MMAP_ERROR_SESSION:
    case MMAP_ERROR_LAYOUT:
    case MMAP_ERROR_MESSAGE:
    case MMAP_ERROR_RING:
    case MMAP_ERROR_LIMIT:
    case MMAP_ERROR_IN_USE:
      return TRUE;
    case MMAP_ERROR_FILE:
      /* What connects as its producer ends may hear of that later than of the file. */
      return consumer->channel == NULL;
    default:
      return FALSE;
  }
}

gboolean
mmap_consumer_nap (MmapConsumer * consumer, int fd)
{
  struct timespec timeout = { 0, 0 };
  struct pollfd fds[2] = { {consumer->cancel_fd, POLLIN, 0}, {fd, POLLIN, 0} };

  consumer->nap_us = mmap_poll_get_nap (consumer->nap_us,
      mmap_load_relaxed (&consumer->poll_interval));
  timeout.tv_sec = consumer->nap_us / G_USEC_PER_SEC;
  timeout.tv_nsec = consumer->nap_us % G_USEC_PER_SEC * 1000;
  return ppoll (fds, G_N_ELEMENTS (fds), &timeout, NULL) > 0
      && fds[1].revents != 0;
}

/* A ring may be lost in a guest's device that is just being set up. */
#define RING_WAIT_MS 100

/* A sleep that lasted so long was of some use: who ends all of them, and has nothing, costs no processor that could be seen. */
#define USEFUL_SLEEP_US 10000

static void
note_sleep (MmapConsumer * consumer, gint64 began_us, gboolean rung)
{
  if (g_get_monotonic_time () - began_us >= USEFUL_SLEEP_US)
    consumer->vain = 0;
  else if (rung)
    consumer->vain++;
}

void
mmap_consumer_wait_for_ring (MmapConsumer * consumer)
{
  gint64 began_us = g_get_monotonic_time ();
  MmapDoorbell *doorbell = consumer->link->link->doorbell;
  struct pollfd fds[4] = {
    {consumer->cancel_fd, POLLIN, 0},
    {g_socket_get_fd (consumer->socket), POLLIN, 0},
    {mmap_alarm_get_fd (consumer->alarm), POLLIN, 0},
    {mmap_doorbell_get_fd (doorbell), POLLIN, 0},
  };

  poll (fds, G_N_ELEMENTS (fds), RING_WAIT_MS);
  note_sleep (consumer, began_us,
      fds[3].revents != 0 && mmap_doorbell_take (doorbell) > 0);
}

gboolean
mmap_consumer_wait_for_bell (MmapConsumer * consumer)
{
  MmapLink *link = consumer->link->link;
  MmapFutex own = { consumer->word, consumer->seen };
  gint64 began_us = g_get_monotonic_time ();
  gboolean woken = mmap_futex_wait (&own, &link->bell, 1, MMAP_BELL_WAIT_US);
  gboolean rung = mmap_link_was_rung (link);

  if (!woken || rung)
    mmap_link_note_sleep (link, !woken && (mmap_ring_has_new (&link->frames)
            || mmap_ring_has_new (&link->events)));
  note_sleep (consumer, began_us, rung);
  /* Before what it announces is looked at. */
  consumer->seen = mmap_load_acquire (consumer->word);
  /* Once a second in any case. */
  return !woken || consumer->seen != own.seen;
}

/* --- the producer's clock --- */

/* A producer answers within 20 ms, unless it stands still. */
#define CLOCK_WAIT_US (G_USEC_PER_SEC / 2)
#define CLOCK_LOOK_US 1000

gboolean
mmap_consumer_awaits_clock (MmapConsumer * consumer)
{
  gint64 now_us;

  if (mmap_area_clock_is_known (mmap_area_client_get_clock (consumer->client)))
    return FALSE;
  now_us = g_get_monotonic_time ();
  if (consumer->clock_by == 0)
    consumer->clock_by = now_us + CLOCK_WAIT_US;
  if (now_us >= consumer->clock_by)
    return FALSE;
  mmap_consumer_wait_for (consumer, -1, CLOCK_LOOK_US);
  return TRUE;
}

gboolean
mmap_consumer_read_clock (MmapConsumer * consumer, MmapClockReading * reading)
{
  return consumer->client
      && mmap_area_clock_read (mmap_area_client_get_clock (consumer->client),
      reading);
}

void
mmap_consumer_get_clock_locked (MmapConsumer * consumer,
    MmapConsumerStats * stats)
{
  stats->clock_offset = 0;
  stats->clock_error = 0;
  if (consumer->client)
    mmap_area_clock_get (mmap_area_client_get_clock (consumer->client),
        &stats->clock_offset, &stats->clock_error);
}
