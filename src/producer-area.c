/* gst-mmap: the producer: consumers in an area
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The callbacks come from the thread of the area's server; the rest is called by who makes, starts and closes the producer.
 */
#include "producer-private.h"

#include "atomics.h"
#include "remote.h"

#include <errno.h>
#include <unistd.h>

static gboolean
accept_link (guint slot, GSocket * socket, const MmapAreaPeer * peer,
    gpointer data, GError ** error)
{
  MmapProducer *producer = data;
  MmapPeer who = { peer ? peer->pid : 0, peer ? peer->uid : 0 };
  MmapProducerLink *link = NULL;
  MmapLinkSlot *shared;

  g_mutex_lock (&producer->lock);
  if (producer->closed)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_CLOSED,
        "The producer is closed");
  else
    link = mmap_producer_link_new_locked (producer, socket, who, error);
  if (link) {
    shared = mmap_channel_get_slot (producer->channel, slot);
    link->is_remote = peer == NULL;
    link->area_slot = slot;
    link->link = mmap_link_new_in_area (producer->area, &shared->link,
        producer->session, link->id, peer);
  }
  mmap_producer_unlock (producer);
  return link != NULL;
}

void
mmap_producer_link_meet_locked (MmapProducerLink * link,
    const MmapMessage * hello)
{
  MmapAreaPeer peer = { 0 };

  if (!g_variant_lookup (hello->body, "boot-id", "t", &peer.boot_id))
    return;
  mmap_link_meet (link->link, &peer);
  if (!link->link->bell.word)
    return;
  link->boot_id = peer.boot_id;
  mmap_area_server_set_near (link->producer->server, link->area_slot);
}

static gint
end_idle (gboolean * later, gpointer data)
{
  MmapProducer *producer = data;
  gint slot;

  g_mutex_lock (&producer->lock);
  slot = mmap_producer_end_idle_remote_locked (producer, later);
  mmap_producer_unlock (producer);
  return slot;
}

static void
link_broken (const GError * reason, gpointer data)
{
  MmapProducer *producer = data;

  g_mutex_lock (&producer->lock);
  producer->stats.failures[reason->code]++;
  mmap_producer_report_refusal_locked (producer, reason);
  mmap_producer_touch_locked (producer);
  mmap_producer_unlock (producer);
}

static void
channel_lost (const GError * reason, gpointer data)
{
  MmapProducer *producer = data;
  guint i;

  mmap_producer_fail (producer, reason);
  g_mutex_lock (&producer->lock);
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    if (producer->links[i])
      mmap_producer_link_end_locked (producer->links[i], reason);
  mmap_producer_unlock (producer);
}

gboolean
mmap_producer_open_area (MmapProducer * producer, const char *file,
    const char *channel, guint64 size, const MmapUsers * trusted,
    GError ** error)
{
  producer->file = mmap_area_resolve (file, error);
  if (!producer->file)
    return FALSE;
  producer->area = mmap_area_open (producer->file, size, &producer->mode,
      trusted, error);
  if (!producer->area)
    return FALSE;
  mmap_guard_set_alarm (producer->area->guard, producer->alarm);
  producer->channel = mmap_channel_claim (producer->area, channel,
      producer->session, error);
  return producer->channel != NULL;
}

/* --- listening where a name says: a name server may take its time, or never answer --- */

struct _MmapProducerLookup
{
  char *address;
  gboolean allow_remote;
  int cancel_fd;                /* eventfd */
  GThread *thread;
};

static gboolean
lookup_prepare (MmapProducer * producer, const char *address,
    gboolean allow_remote, GError ** error)
{
  int cancel_fd = mmap_wake_fd_new ();

  if (cancel_fd < 0) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "eventfd: %s", g_strerror (errno));
    return FALSE;
  }
  producer->lookup = g_new0 (MmapProducerLookup, 1);
  producer->lookup->address = g_strdup (address);
  producer->lookup->allow_remote = allow_remote;
  producer->lookup->cancel_fd = cancel_fd;
  return TRUE;
}

static gpointer
lookup_thread (gpointer data)
{
  MmapProducer *producer = data;
  MmapProducerLookup *lookup = producer->lookup;
  g_autoptr (GError) error = NULL;
  int fd = mmap_remote_listen (lookup->address, lookup->allow_remote,
      lookup->cancel_fd, &error);

  if (fd >= 0)
    mmap_area_server_listen (producer->server, fd);
  else if (!g_error_matches (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND))
    mmap_producer_fail (producer, error);
  return NULL;
}

static gboolean
lookup_start (MmapProducer * producer, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  producer->lookup->thread = g_thread_try_new ("mmap-lookup", lookup_thread,
      producer, &cause);
  if (producer->lookup->thread)
    return TRUE;
  g_set_error (error, MMAP_ERROR, mmap_error_from_glib (cause),
      "Can't start a thread to look up %s: %s", producer->lookup->address,
      cause->message);
  return FALSE;
}

static void
lookup_end (MmapProducerLookup * lookup)
{
  mmap_wake_fd_signal (lookup->cancel_fd);
  if (lookup->thread)
    g_thread_join (lookup->thread);
  close (lookup->cancel_fd);
  g_free (lookup->address);
  g_free (lookup);
}

gboolean
mmap_producer_start_area (MmapProducer * producer, GError ** error)
{
  static const MmapAreaServerCallbacks callbacks = {
    accept_link, end_idle, link_broken, channel_lost
  };

  /* Those who come at once wait until the server is known. */
  g_mutex_lock (&producer->lock);
  producer->server = mmap_area_server_new (producer->channel,
      producer->remote_fd, &callbacks, producer, error);
  g_mutex_unlock (&producer->lock);
  producer->remote_fd = -1;
  return producer->server && (!producer->lookup || lookup_start (producer,
          error));
}

gboolean
mmap_producer_listen_remote (MmapProducer * producer, const char *address,
    gboolean allow_remote, GError ** error)
{
  if (!mmap_remote_check (address, error))
    return FALSE;
  if (mmap_remote_has_name (address))
    return lookup_prepare (producer, address, allow_remote, error);
  producer->remote_fd = mmap_remote_listen (address, allow_remote, -1, error);
  return producer->remote_fd >= 0;
}

void
mmap_producer_close_area (MmapProducer * producer)
{
  g_clear_pointer (&producer->lookup, lookup_end);
  /* This ends the channel, too. */
  if (producer->server)
    mmap_area_server_free (producer->server);
  else if (producer->channel)
    mmap_channel_end (producer->channel);
  producer->server = NULL;
  if (producer->remote_fd >= 0)
    close (producer->remote_fd);
  producer->remote_fd = -1;
  if (producer->area)
    mmap_area_remove_if_unused (producer->area);
  g_clear_pointer (&producer->channel, mmap_channel_unref);
  g_clear_pointer (&producer->area, mmap_area_unref);
}

void
mmap_producer_set_shrinkable (MmapProducer * producer, gboolean shrinkable)
{
  producer->shrinkable = shrinkable;
}

void
mmap_producer_set_poll_interval (MmapProducer * producer, gint64 interval_ns)
{
  mmap_store_relaxed (&producer->poll_interval, interval_ns);
}

MmapRegion *
mmap_producer_new_region_in_area (MmapProducer * producer, guint64 size,
    guint64 at_once, guint32 id, GError ** error)
{
  /* All of the area can't be a region's. */
  gboolean shrinkable = producer->shrinkable || size >= producer->area->size;
  MmapWindow *window = mmap_window_claim (producer->channel, size,
      shrinkable ? MMAP_REGION_MIN_BYTES : size, error);

  return window ? mmap_region_begin_window (window, at_once,
      producer->session, id, error) : NULL;
}
