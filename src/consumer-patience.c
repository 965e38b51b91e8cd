/* gst-mmap: the consumer: how long it waits for a producer
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from mmap_consumer_connect(). Time counts only while somebody is in mmap_consumer_next(): a pipeline that is paused doesn't wait.
 */
#include "consumer-private.h"

#include "address.h"
#include "atomics.h"

/* A producer that was found has this time to come up with an offer, whatever the timeout is: chosen, as long as it gives a consumer. */
#define OFFER_TIMEOUT_US (5 * G_USEC_PER_SEC)

/* Descriptors, threads or memory that lack may come back: so long and so often it is tried. Chosen: longer than a peak, and short enough for
 * whoever waits for an error. */
#define RESOURCES_TIMEOUT_US (5 * G_USEC_PER_SEC)
#define RESOURCES_INTERVAL_US 50000

void
mmap_consumer_set_reconnect_timeout (MmapConsumer * consumer, gint64 timeout_ns)
{
  mmap_store_relaxed (&consumer->reconnect_timeout, timeout_ns);
}

void
mmap_consumer_begin_wait (MmapConsumer * consumer)
{
  gint64 now = g_get_monotonic_time ();

  consumer->wait_began = now - consumer->waited_us;
  consumer->greeted = now;
}

void
mmap_consumer_pause_wait (MmapConsumer * consumer)
{
  consumer->waited_us = g_get_monotonic_time () - consumer->wait_began;
}

void
mmap_consumer_note_greeting (MmapConsumer * consumer)
{
  consumer->greeted = g_get_monotonic_time ();
}

gint64
mmap_consumer_get_wait_left (MmapConsumer * consumer)
{
  gint64 timeout = mmap_load_relaxed (&consumer->reconnect_timeout);
  gint64 now = g_get_monotonic_time (), left;

  if (timeout < 0)
    return G_MAXINT64;
  left = timeout / 1000 - (now - consumer->wait_began);
  if (consumer->state == CONSUMER_GREETED)
    left = MAX (left, OFFER_TIMEOUT_US - (now - consumer->greeted));
  return MAX (left, 0);
}

void
mmap_consumer_give_up (MmapConsumer * consumer, GError ** error)
{
  g_autofree char *address = NULL;
  gdouble waited = (gdouble) (g_get_monotonic_time () - consumer->wait_began)
      / G_USEC_PER_SEC;
  gboolean other = mmap_load_relaxed (&consumer->stats.links) > 0;

  if (consumer->is_carried)
    address = g_strdup ("the application's channel");
  else if (consumer->channel)
    address = g_strdup_printf ("channel %s of %s", consumer->channel,
        consumer->area_file);
  else
    address = consumer->address ? g_strdup (consumer->address) :
        mmap_address_get_default (FALSE, NULL);
  if (consumer->state == CONSUMER_GREETED)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TIMEOUT,
        "The producer at %s did not finish the handshake within %.1f s "
        "(reconnect-timeout): it has no stream yet, or stands still", address,
        waited);
  else if (consumer->is_carried)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND,
        "No %soffer was accepted within %.1f s (reconnect-timeout): give one to "
        "accept-offer earlier, or wait longer", other ? "other " : "", waited);
  else
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND,
        "No %sproducer was at %s within %.1f s (reconnect-timeout): start one "
        "there%s, or wait longer", other ? "other " : "",
        address ? address : "the default socket", waited,
        address && address[0] == '@' ? " in the same network namespace" : "");
}

gboolean
mmap_consumer_try_again (MmapConsumer * consumer, const GError * cause)
{
  gint64 now = g_get_monotonic_time ();
  /* Of a producer that names its memory otherwise, it may be the wrong memory; or that producer is just ending, or was waited for too long:
   * if so, it isn't so twice. */
  gboolean is_same = consumer->channel || consumer->lacking == 0
      || mmap_load_relaxed (&consumer->stats.links) > 0;

  /* An offer through the application's channel doesn't come twice. */
  if ((!g_error_matches (cause, MMAP_ERROR, MMAP_ERROR_NO_RESOURCES)
          && !(is_same && mmap_consumer_may_mend (consumer, cause)))
      || consumer->is_carried) {
    consumer->lacking = 0;
    return FALSE;
  }
  if (consumer->lacking == 0)
    consumer->lacking = now;
  if (consumer->socket)
    mmap_message_send_refusal (consumer->socket, cause);
  mmap_consumer_disconnect (consumer);
  if (now - consumer->lacking > RESOURCES_TIMEOUT_US
      || mmap_consumer_get_wait_left (consumer) == 0) {
    consumer->lacking = 0;
    return FALSE;
  }
  mmap_consumer_wait_for (consumer, -1, RESOURCES_INTERVAL_US);
  return TRUE;
}
