/* gst-mmap: the consumer: messages besides the frames
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The thread that calls next() may be held up downstream, while the producer says that it flushes, or somebody waits for the result
 * of a query. So another thread reads the socket, too, and calls back. It lives as long as the element runs, whatever becomes of
 * the link: the two never wait for each other's end.
 */
#include "consumer-private.h"

#include "atomics.h"
#include "capabilities.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* A producer that sends more than this before the callback has heard it is ended; chosen: far more than one sends in a second. */
#define MAX_INBOX 1024

/* A bit in the id of a call. */
#define CALL_IS_EVENT 1u

/* Longer media caps than fit into an answer are not sent: then the producer takes it that anything is accepted. */
#define MAX_MEDIA_BYTES (MMAP_CAPABILITIES_MAX_BYTES / 2)

static void
wake_service (MmapConsumer * consumer)
{
  guint64 one = 1;

  while (write (consumer->service_fd, &one, sizeof one) < 0 && errno == EINTR);
}

/* @events: what it is to be polled for
 * Returns: (transfer full) (nullable) */
static GSocket *
dup_peer (MmapConsumer * consumer, short *events)
{
  GSocket *peer;

  g_mutex_lock (&consumer->lock);
  peer = consumer->peer ? g_object_ref (consumer->peer) : NULL;
  *events = consumer->told_serial == consumer->media_serial ? POLLIN :
      POLLIN | POLLOUT;
  g_mutex_unlock (&consumer->lock);
  return peer;
}

static void
inbox_item_free (gpointer data)
{
  MmapInboxItem *item = data;

  g_clear_pointer (&item->body, g_variant_unref);
  g_free (item);
}

static void
inbox_add_locked (MmapConsumer * consumer, MmapMessageKind kind,
    GVariant * body)
{
  MmapInboxItem *item;

  /* Without a thread nobody would take them out again. */
  if (!consumer->thread)
    return;
  item = g_new (MmapInboxItem, 1);
  item->link = consumer->link_serial;
  item->kind = kind;
  item->body = body ? g_variant_ref (body) : NULL;
  g_queue_push_tail (&consumer->inbox, item);
}

static void
take_result_locked (MmapConsumer * consumer, GVariant * body)
{
  guint32 id = 0;

  g_variant_lookup (body, "id", "u", &id);
  /* Nobody waits for it any more: it came too late. */
  if (!g_hash_table_contains (consumer->calls, GUINT_TO_POINTER (id))
      || g_hash_table_lookup (consumer->calls, GUINT_TO_POINTER (id)))
    return;
  g_hash_table_insert (consumer->calls, GUINT_TO_POINTER (id),
      g_variant_ref (body));
  g_cond_broadcast (&consumer->cond);
}

static void
tell (MmapConsumer * consumer, const MmapInboxItem * item)
{
  const MmapConsumerCallbacks *callbacks = &consumer->callbacks;

  if (item->kind == MMAP_MESSAGE_RESULT) {
    g_mutex_lock (&consumer->lock);
    take_result_locked (consumer, item->body);
    g_mutex_unlock (&consumer->lock);
  } else if (item->body && callbacks->message)
    callbacks->message (item->link, item->body, consumer->user_data);
  else if (!item->body && callbacks->closed)
    callbacks->closed (item->link, consumer->user_data);
}

/* Calls back for all that has come. FALSE: it is time to end. */
static gboolean
serve (MmapConsumer * consumer)
{
  gboolean stopped, asked, more;
  MmapInboxItem *item;

  do {
    g_mutex_lock (&consumer->lock);
    stopped = consumer->stopped;
    asked = consumer->asked;
    consumer->asked = FALSE;
    item = g_queue_pop_head (&consumer->inbox);
    g_mutex_unlock (&consumer->lock);
    if (asked && !stopped && consumer->callbacks.asked)
      consumer->callbacks.asked (consumer->user_data);
    if (item && !stopped)
      tell (consumer, item);
    g_clear_pointer (&item, inbox_item_free);
    g_mutex_lock (&consumer->lock);
    more = consumer->asked || !g_queue_is_empty (&consumer->inbox);
    g_mutex_unlock (&consumer->lock);
  } while (more && !stopped);
  return !stopped;
}

/* With the lock: it never waits, and nobody may close the socket meanwhile, or send something newer first. */
static gboolean
send_locked (MmapConsumer * consumer, MmapMessageKind kind, GVariant * body)
{
  return consumer->peer
      && g_variant_get_size (body) <= MMAP_CAPABILITIES_MAX_BYTES
      && mmap_message_send (consumer->peer, kind, body, NULL, 0, NULL);
}

/* Nothing if the producer knows. If the socket is full, the own thread tries again. */
static void
send_wishes_locked (MmapConsumer * consumer)
{
  g_autoptr (GVariant) wishes = NULL;
  GVariantBuilder body;

  if (consumer->told_serial == consumer->media_serial)
    return;
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  if (consumer->media)
    g_variant_builder_add (&body, "{sv}", "media",
        g_variant_new_string (consumer->media));
  wishes = g_variant_ref_sink (g_variant_builder_end (&body));
  if (send_locked (consumer, MMAP_MESSAGE_WISHES, wishes))
    consumer->told_serial = consumer->media_serial;
  else if (consumer->peer)
    wake_service (consumer);
}

static gpointer
service_thread (gpointer data)
{
  MmapConsumer *consumer = data;

  while (serve (consumer)) {
    short events;
    g_autoptr (GSocket) peer = dup_peer (consumer, &events);
    struct pollfd fds[2] = {
      {consumer->service_fd, POLLIN, 0},
      {peer ? g_socket_get_fd (peer) : -1, events, 0},
    };
    guint64 value;

    poll (fds, G_N_ELEMENTS (fds), -1);
    if (fds[0].revents)
      while (read (consumer->service_fd, &value, sizeof value) < 0
          && errno == EINTR);
    if (fds[1].revents & POLLOUT) {
      g_mutex_lock (&consumer->lock);
      send_wishes_locked (consumer);
      g_mutex_unlock (&consumer->lock);
    }
    if (fds[1].revents & ~POLLOUT
        && !mmap_consumer_receive_for_peer (consumer, peer))
      mmap_consumer_close_peer (consumer, peer);
  }
  return NULL;
}

gboolean
mmap_consumer_start (MmapConsumer * consumer,
    const MmapConsumerCallbacks * callbacks, gpointer user_data,
    GError ** error)
{
  g_autoptr (GError) cause = NULL;

  consumer->callbacks = *callbacks;
  consumer->user_data = user_data;
  /* It begins with the lock: what it does, it does after its name is known. */
  g_mutex_lock (&consumer->lock);
  consumer->thread = g_thread_try_new ("mmap-consumer", service_thread,
      consumer, &cause);
  g_atomic_int_set (&consumer->listens, consumer->thread != NULL);
  g_mutex_unlock (&consumer->lock);
  if (cause)
    g_set_error (error, MMAP_ERROR, mmap_error_from_glib (cause),
        "Can't start a thread to listen to the producer: %s", cause->message);
  return !cause;
}

void
mmap_consumer_stop (MmapConsumer * consumer)
{
  GThread *thread;

  g_mutex_lock (&consumer->lock);
  consumer->stopped = TRUE;
  g_atomic_int_set (&consumer->listens, FALSE);
  thread = g_steal_pointer (&consumer->thread);
  g_cond_broadcast (&consumer->cond);
  g_mutex_unlock (&consumer->lock);
  if (thread) {
    wake_service (consumer);
    g_thread_join (thread);
  }
  g_queue_clear_full (&consumer->inbox, inbox_item_free);
}

void
mmap_consumer_open_peer (MmapConsumer * consumer)
{
  g_mutex_lock (&consumer->lock);
  g_set_object (&consumer->peer, consumer->socket);
  consumer->link_serial++;
  send_wishes_locked (consumer);
  g_mutex_unlock (&consumer->lock);
  wake_service (consumer);
}

void
mmap_consumer_close_peer (MmapConsumer * consumer, GSocket * peer)
{
  g_mutex_lock (&consumer->lock);
  if (consumer->peer && (!peer || peer == consumer->peer)) {
    g_clear_object (&consumer->peer);
    inbox_add_locked (consumer, 0, NULL);
    g_cond_broadcast (&consumer->cond);
  }
  g_mutex_unlock (&consumer->lock);
  wake_service (consumer);
}

static gboolean
is_result_of_event (GVariant * body)
{
  guint32 id = 0;

  return g_variant_lookup (body, "id", "u", &id) && (id & CALL_IS_EVENT);
}

gboolean
mmap_consumer_take_message (MmapConsumer * consumer,
    const MmapMessage * message, GError ** error)
{
  gboolean result = message->kind == MMAP_MESSAGE_RESULT;
  gboolean taken = TRUE;

  g_mutex_lock (&consumer->lock);
  /* That of an event comes after what it made the producer say. That of a query is for a thread which others may be waiting for. */
  if (result && !is_result_of_event (message->body))
    take_result_locked (consumer, message->body);
  else if (g_queue_get_length (&consumer->inbox) < MAX_INBOX)
    inbox_add_locked (consumer, message->kind, message->body);
  else
    taken = FALSE;
  g_mutex_unlock (&consumer->lock);
  if (taken)
    wake_service (consumer);
  else
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "The producer sent more than %d events that were not heard yet",
        MAX_INBOX);
  return taken;
}

gboolean
mmap_consumer_send (MmapConsumer * consumer, MmapMessageKind kind,
    GVariant * body)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (body);
  gboolean sent;

  g_mutex_lock (&consumer->lock);
  sent = send_locked (consumer, kind, owned);
  g_mutex_unlock (&consumer->lock);
  return sent;
}

/* Waits for the result of call @id on link @serial. */
static void
wait_for_result_locked (MmapConsumer * consumer, guint32 id, guint64 serial,
    gint64 deadline)
{
  while (!g_hash_table_lookup (consumer->calls, GUINT_TO_POINTER (id))
      && !consumer->stopped && consumer->peer
      && consumer->link_serial == serial
      && g_cond_wait_until (&consumer->cond, &consumer->lock, deadline));
}

GVariant *
mmap_consumer_call (MmapConsumer * consumer, MmapMessageKind kind,
    GVariantDict * body, gint64 timeout_us)
{
  gint64 deadline = g_get_monotonic_time () + timeout_us;
  GVariant *result;
  guint64 serial;
  gboolean sent;
  guint32 id;

  g_mutex_lock (&consumer->lock);
  serial = consumer->link_serial;
  id = consumer->last_call += CALL_IS_EVENT << 1;
  if (kind == MMAP_MESSAGE_EVENT)
    id |= CALL_IS_EVENT;
  g_hash_table_insert (consumer->calls, GUINT_TO_POINTER (id), NULL);
  g_mutex_unlock (&consumer->lock);

  g_variant_dict_insert (body, "id", "u", id);
  sent = mmap_consumer_send (consumer, kind, g_variant_dict_end (body));

  g_mutex_lock (&consumer->lock);
  if (sent && consumer->thread != g_thread_self ())
    wait_for_result_locked (consumer, id, serial, deadline);
  result = g_hash_table_lookup (consumer->calls, GUINT_TO_POINTER (id));
  g_hash_table_remove (consumer->calls, GUINT_TO_POINTER (id));
  g_mutex_unlock (&consumer->lock);
  return result;
}

guint64
mmap_consumer_get_link (MmapConsumer * consumer)
{
  guint64 link;

  g_mutex_lock (&consumer->lock);
  link = consumer->link_serial;
  g_mutex_unlock (&consumer->lock);
  return link;
}

void
mmap_consumer_set_media (MmapConsumer * consumer, const char *media)
{
  if (media && strlen (media) > MAX_MEDIA_BYTES)
    media = NULL;
  g_mutex_lock (&consumer->lock);
  if (g_strcmp0 (consumer->media, media) != 0) {
    g_free (consumer->media);
    consumer->media = g_strdup (media);
    consumer->media_serial++;
    send_wishes_locked (consumer);
  }
  g_mutex_unlock (&consumer->lock);
}

void
mmap_consumer_ask (MmapConsumer * consumer)
{
  g_mutex_lock (&consumer->lock);
  consumer->asked = TRUE;
  g_mutex_unlock (&consumer->lock);
  wake_service (consumer);
}

void
mmap_consumer_send_qos (MmapConsumer * consumer, const MmapQos * qos)
{
  MmapConsumerLink *link;

  g_mutex_lock (&consumer->lock);
  link = consumer->link ? mmap_consumer_link_ref (consumer->link) : NULL;
  g_mutex_unlock (&consumer->lock);
  if (!link)
    return;

  /* One writer at a time; the other side may look at any moment, and looks again later if the serial is odd or has changed. */
  g_mutex_lock (&link->lock);
  if (!link->ended) {
    MmapQos *shared = &link->link->area->qos;
    guint64 serial = link->qos_serial += 2;

    mmap_store_relaxed (&shared->serial, serial - 1);
    mmap_fence_release ();
    mmap_store_relaxed (&shared->type, qos->type);
    __atomic_store (&shared->proportion, (gdouble *) & qos->proportion,
        __ATOMIC_RELAXED);
    mmap_store_relaxed (&shared->diff, qos->diff);
    mmap_store_relaxed (&shared->timestamp, qos->timestamp);
    mmap_store_release (&shared->serial, serial);
  }
  g_mutex_unlock (&link->lock);
  mmap_consumer_link_unref (link);
}
