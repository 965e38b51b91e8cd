/* gst-mmap: the producer: life, region, statistics
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by a sink element from its streaming thread, by upstream threads that allocate, by threads that free blocks, and by
 * the service thread.
 */
#include "producer-private.h"

#include "atomics.h"
#include "token.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* GLib ends the process if it finds no descriptor for a context. */
static gboolean
context_can_be_made (void)
{
  int first = mmap_wake_fd_new (), second = mmap_wake_fd_new ();
  int errnum = errno;

  if (first >= 0)
    close (first);
  if (second >= 0)
    close (second);
  errno = errnum;
  return first >= 0 && second >= 0;
}

/* FALSE with errno. */
static gboolean
open_descriptors (MmapProducer * producer)
{
  producer->wake_fd = mmap_wake_fd_new ();
  if (producer->wake_fd < 0)
    return FALSE;
  producer->alarm = mmap_alarm_new ();
  if (!producer->alarm || !context_can_be_made ())
    return FALSE;
  producer->context = g_main_context_new ();
  producer->loop = g_main_loop_new (producer->context, FALSE);
  return TRUE;
}

MmapProducer *
mmap_producer_new (const char *address, const char *file, guint token_bytes,
    GError ** error)
{
  static const MmapMode own = MMAP_MODE_OWN;

  return mmap_producer_new_shared (address, file, &own, token_bytes, error);
}

static gboolean
check_token_bytes (guint token_bytes, GError ** error)
{
  if (token_bytes < MMAP_TOKEN_MIN_BYTES || token_bytes > MMAP_TOKEN_MAX_BYTES) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN_BYTES,
        "A token has %d to %d bytes, not %u", MMAP_TOKEN_MIN_BYTES,
        MMAP_TOKEN_MAX_BYTES, token_bytes);
    return FALSE;
  }
  return TRUE;
}

/* With nothing that others see. @listener: (transfer full) (nullable) */
static MmapProducer *
producer_new (MmapListener * listener, const MmapMode * mode,
    guint token_bytes, GError ** error)
{
  MmapProducer *producer = g_new0 (MmapProducer, 1);

  producer->ref_count = 1;
  g_mutex_init (&producer->lock);
  mmap_spin_set_time (&producer->spin, MMAP_SPIN_ADAPTIVE);
  g_cond_init (&producer->cond);
  producer->wake_fd = producer->remote_fd = -1;
  producer->poll_interval = MMAP_POLL_DEFAULT_NS;
  producer->listener = listener;
  producer->mode = *mode;
  producer->allowed = mmap_users_new (NULL, NULL);
  producer->token_bytes = token_bytes;
  producer->publications = g_array_new (FALSE, TRUE, sizeof (MmapPublication));
  producer->kept = g_ptr_array_new ();
  g_queue_init (&producer->reports);
  if (!mmap_random_id (&producer->session, error))
    goto failed;
  if (listener)
    mmap_socket_lock_set_session (&listener->lock, producer->session);
  if (!open_descriptors (producer)) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "The producer has no descriptors left (ulimit -n): %s",
        g_strerror (errno));
    goto failed;
  }
  return producer;

failed:
  mmap_producer_close (producer);
  mmap_producer_unref (producer);
  return NULL;
}

MmapProducer *
mmap_producer_new_shared (const char *address, const char *file,
    const MmapMode * mode, guint token_bytes, GError ** error)
{
  MmapListener *listener = NULL;
  gboolean listens = address != MMAP_ADDRESS_NONE;
  MmapProducer *producer;

  if (!check_token_bytes (token_bytes, error))
    return NULL;
  if (!listens && !file && mmap_mode_is_shared (mode)) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "mode and group are of no use without a socket and without a file: "
        "leave them out");
    return NULL;
  }
  if (listens)
    listener = mmap_listener_new_shared (address, mode, error);
  if (listens && !listener)
    return NULL;

  producer = producer_new (listener, mode, token_bytes, error);
  /* Consumers may have another current directory. */
  if (producer && file)
    producer->file = g_canonicalize_filename (file, NULL);
  return producer;
}

MmapProducer *
mmap_producer_new_in_area (const char *file, const char *channel,
    guint64 size, const MmapMode * mode, const MmapUsers * trusted,
    guint token_bytes, GError ** error)
{
  MmapProducer *producer;

  if (!check_token_bytes (token_bytes, error)
      || !mmap_mode_check_area (mode, error))
    return NULL;
  producer = producer_new (NULL, mode, token_bytes, error);
  if (!producer || mmap_producer_open_area (producer, file, channel, size,
          trusted, error))
    return producer;
  mmap_producer_close (producer);
  mmap_producer_unref (producer);
  return NULL;
}

gboolean
mmap_producer_set_allow_dmabuf (MmapProducer * producer, gboolean allow,
    GError ** error)
{
  if (allow && producer->file) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "allow-dmabuf=true can't be had with file=%s: the kernel makes dma-bufs "
        "of memfds only", producer->file);
    return FALSE;
  }
  producer->allow_dmabuf = allow;
  return TRUE;
}

void
mmap_producer_set_callbacks (MmapProducer * producer,
    const MmapProducerCallbacks * callbacks, gpointer user_data)
{
  producer->callbacks = *callbacks;
  producer->user_data = user_data;
}

void
mmap_producer_set_allowed (MmapProducer * producer, MmapUsers * users)
{
  MmapUsers *old;

  g_mutex_lock (&producer->lock);
  old = producer->allowed;
  producer->allowed = users;
  g_mutex_unlock (&producer->lock);
  mmap_users_free (old);
}

static gpointer
service_thread (gpointer data)
{
  MmapProducer *producer = data;

  g_main_context_push_thread_default (producer->context);
  g_main_loop_run (producer->loop);
  g_main_context_pop_thread_default (producer->context);
  return NULL;
}

void
mmap_producer_fail (MmapProducer * producer, const GError * reason)
{
  gboolean first;

  g_mutex_lock (&producer->lock);
  first = !producer->failing;
  producer->failing = TRUE;
  g_mutex_unlock (&producer->lock);
  if (!first)
    return;
  /* First: who waits ends, and should find it reported. */
  if (producer->callbacks.failed)
    producer->callbacks.failed (reason, producer->user_data);
  g_mutex_lock (&producer->lock);
  mmap_store_relaxed (&producer->failed, TRUE);
  mmap_producer_touch_locked (producer);
  mmap_producer_unlock (producer);
}

/* What consumers have not read yet may have gone, too. */
static gboolean
memory_has_gone (int fd, GIOCondition condition, gpointer data)
{
  MmapProducer *producer = data;
  g_autoptr (GError) error = NULL;
  guint i;

  mmap_region_set_truncated_error (&error, producer->file);
  mmap_producer_fail (producer, error);
  g_mutex_lock (&producer->lock);
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    if (producer->links[i])
      mmap_producer_link_end_locked (producer->links[i], error);
  mmap_producer_unlock (producer);
  return G_SOURCE_REMOVE;
}

gboolean
mmap_producer_start (MmapProducer * producer, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  if (producer->listener) {
    producer->accept_source =
        g_socket_create_source (producer->listener->socket, G_IO_IN, NULL);
    g_source_set_callback (producer->accept_source,
        G_SOURCE_FUNC (mmap_producer_accept), producer, NULL);
    g_source_attach (producer->accept_source, producer->context);
  }
  producer->alarm_source =
      g_unix_fd_source_new (mmap_alarm_get_fd (producer->alarm), G_IO_IN);
  g_source_set_callback (producer->alarm_source,
      G_SOURCE_FUNC (memory_has_gone), producer, NULL);
  g_source_attach (producer->alarm_source, producer->context);
  producer->thread = g_thread_try_new ("mmap-service", service_thread, producer,
      &cause);
  if (!producer->thread) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_glib (cause),
        "Can't start a thread to serve consumers: %s", cause->message);
    return FALSE;
  }
  return !producer->channel || mmap_producer_start_area (producer, error);
}

void
mmap_producer_call_later (MmapProducer * producer, guint delay_ms,
    GSourceFunc function, gpointer data)
{
  GSource *source = g_timeout_source_new (delay_ms);

  g_source_set_callback (source, function, data, NULL);
  g_source_attach (source, producer->context);
  g_source_unref (source);
}

static void
end_source (GSource ** source)
{
  if (*source)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static gboolean
quit_loop (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

void
mmap_producer_close (MmapProducer * producer)
{
  MmapReserver *reserver;
  guint i;

  if (producer->thread) {
    /* From inside, so that it is not missed by a thread that has not entered its loop yet. */
    g_main_context_invoke (producer->context, quit_loop, producer->loop);
    g_thread_join (producer->thread);
    producer->thread = NULL;
  }

  g_mutex_lock (&producer->lock);
  producer->closed = TRUE;
  reserver = g_steal_pointer (&producer->reserver);
  if (producer->channel)
    mmap_producer_collect_locked (producer);
  for (i = 0; i < MMAP_MAX_LINKS; i++) {
    /* What a consumer has not read yet, or has not given back, stays in the area; a socket's memory is there as long as anybody has it. */
    if (producer->channel && producer->links[i] && producer->links[i]->held > 0)
      mmap_channel_bequeath (producer->channel);
    if (producer->links[i])
      mmap_producer_link_close_locked (producer->links[i], NULL);
  }
  mmap_producer_forget_events_locked (producer);
  end_source (&producer->accept_source);
  end_source (&producer->alarm_source);
  g_clear_pointer (&producer->listener, mmap_listener_free);
  if (producer->arena) {
    mmap_region_unlink (producer->arena->region);
    g_clear_pointer (&producer->arena, mmap_arena_unref_locked);
  }
  mmap_producer_touch_locked (producer);
  mmap_producer_unlock (producer);
  mmap_producer_end_reserver (producer, reserver);
  mmap_producer_close_area (producer);
}

MmapProducer *
mmap_producer_ref (MmapProducer * producer)
{
  g_atomic_int_inc (&producer->ref_count);
  return producer;
}

void
mmap_producer_unref (MmapProducer * producer)
{
  if (!g_atomic_int_dec_and_test (&producer->ref_count))
    return;

  g_clear_pointer (&producer->loop, g_main_loop_unref);
  g_clear_pointer (&producer->context, g_main_context_unref);
  mmap_producer_clear_reports (producer);
  g_ptr_array_unref (producer->kept);
  g_array_unref (producer->publications);
  g_clear_pointer (&producer->alarm, mmap_alarm_unref);
  if (producer->wake_fd >= 0)
    close (producer->wake_fd);
  mmap_users_free (producer->allowed);
  mmap_secret_unref (producer->secret);
  g_free (producer->file);
  g_free (producer->media);
  g_mutex_clear (&producer->lock);
  g_cond_clear (&producer->cond);
  g_free (producer);
}

/* Of the kept events, which are placed before the region is offered. */
static guint64
producer_get_kept_bytes (MmapProducer * producer)
{
  guint64 bytes = 0;
  guint i;

  g_mutex_lock (&producer->lock);
  for (i = 0; i < producer->kept->len; i++) {
    const MmapKept *event = g_ptr_array_index (producer->kept, i);

    bytes += g_bytes_get_size (event->data);
  }
  g_mutex_unlock (&producer->lock);
  return bytes;
}

static MmapRegion *
producer_new_file (MmapProducer * producer, guint64 size, guint64 at_once,
    guint32 id, GError ** error)
{
  MmapRegion *region = mmap_region_begin_file (producer->file, size, at_once,
      producer->session, id, error);

  if (!region || !mmap_mode_is_shared (&producer->mode)
      || mmap_mode_apply (&producer->mode, region->fd, MMAP_MODE_REGION,
          producer->file, error))
    return region;
  mmap_region_unlink (region);
  mmap_region_unref (region);
  return NULL;
}

static MmapRegion *
producer_new_region (MmapProducer * producer, guint64 size, gboolean whole,
    GError ** error)
{
  g_autoptr (MmapRegion) old = mmap_producer_dup_region (producer);
  guint64 at_once = whole ? size :
      mmap_producer_size_for (producer_get_kept_bytes (producer));
  guint32 id = ++producer->last_region_id;

  if (producer->channel)
    return mmap_producer_new_region_in_area (producer, size, at_once, id,
        error);
  if (!producer->file)
    return mmap_region_begin_memfd (size, at_once, producer->session, id,
        !producer->allow_dmabuf, error);
  /* The new file takes the old one's place; who has the old one mapped keeps it. */
  if (old)
    mmap_region_unlink (old);
  return producer_new_file (producer, size, at_once, id, error);
}

static void
producer_offer_region_locked (MmapProducer * producer)
{
  guint i;

  for (i = 0; i < MMAP_MAX_LINKS; i++) {
    MmapProducerLink *link = producer->links[i];

    /* Not to those that have not said hello, or not proved what they have to. */
    if (link && link->state >= LINK_WAITING) {
      mmap_producer_link_offer_locked (link);
      /* It may have been ended: then the slot is empty. */
      if (producer->links[i])
        mmap_producer_link_update_entry_locked (link);
    }
  }
}

/* Makes @region (transfer full) the current one. FALSE: nothing has changed. */
static gboolean
producer_take_region_locked (MmapProducer * producer, MmapRegion * region,
    const char *media, GError ** error)
{
  guint64 size = region->size;
  MmapArena *old = producer->arena;

  if (producer->closed) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_CLOSED,
        "The producer was closed");
    mmap_region_unlink (region);
    mmap_region_unref (region);
    return FALSE;
  }
  producer->arena = mmap_arena_new (region, producer->allow_dmabuf);
  if (!mmap_producer_move_kept_locked (producer)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOO_SMALL,
        "A region of %" G_GUINT64_FORMAT " bytes has no room for caps and "
        "other events: make it larger", size);
    mmap_region_unlink (region);
    g_clear_pointer (&producer->arena, mmap_arena_unref_locked);
    producer->arena = old;
    return FALSE;
  }
  g_free (producer->media);
  producer->media = g_strdup (media);
  producer_offer_region_locked (producer);
  if (old)
    mmap_arena_unref_locked (old);
  mmap_producer_touch_locked (producer);
  return TRUE;
}

gboolean
mmap_producer_set_region (MmapProducer * producer, guint64 size,
    guint64 first, const char *media, GError ** error)
{
  MmapReserver *reserver = NULL;
  gboolean taken = FALSE, without_thread = FALSE;
  MmapRegion *region;

  if (producer->closed) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_CLOSED,
        "The producer is closed");
    return FALSE;
  }
  /* Nobody needs the rest of the old one any more. */
  mmap_producer_stop_reserver (producer);
  region = producer_new_region (producer, size, first >= size, error);
  if (region)
    mmap_region_set_alarm (region, producer->alarm);

  g_mutex_lock (&producer->lock);
  if (region)
    taken = producer_take_region_locked (producer, region, media, error);
  /* Of the new one; of the old one, if nothing has changed. */
  if (!producer->closed)
    reserver = mmap_producer_start_reserver_locked (producer, first,
        &without_thread);
  mmap_producer_unlock (producer);
  mmap_producer_end_reserver (producer, reserver);
  if (without_thread)
    mmap_producer_reserve_all (producer);
  return taken;
}

guint64
mmap_producer_get_capacity (MmapProducer * producer)
{
  guint64 capacity;

  g_mutex_lock (&producer->lock);
  capacity = producer->arena ? producer->arena->capacity : 0;
  g_mutex_unlock (&producer->lock);
  return capacity;
}

gboolean
mmap_producer_is_cramped (MmapProducer * producer, guint64 size)
{
  gboolean cramped;

  g_mutex_lock (&producer->lock);
  cramped = producer->arena && size > producer->arena->largest_frame;
  if (cramped) {
    mmap_producer_collect_locked (producer);
    cramped = !mmap_producer_has_room_locked (producer, size);
  }
  mmap_producer_unlock (producer);
  return cramped;
}

MmapRegion *
mmap_producer_dup_region (MmapProducer * producer)
{
  MmapRegion *region = NULL;

  g_mutex_lock (&producer->lock);
  if (producer->arena)
    region = mmap_region_ref (producer->arena->region);
  g_mutex_unlock (&producer->lock);
  return region;
}

char *
mmap_producer_dup_address (MmapProducer * producer)
{
  char *address = NULL;

  g_mutex_lock (&producer->lock);
  if (producer->listener)
    address = g_strdup (producer->listener->address);
  g_mutex_unlock (&producer->lock);
  return address;
}

guint
mmap_producer_get_held (MmapProducer * producer)
{
  guint held;

  g_mutex_lock (&producer->lock);
  held = producer->n_held;
  g_mutex_unlock (&producer->lock);
  return held;
}

gboolean
mmap_producer_has_unread (MmapProducer * producer)
{
  gboolean unread = FALSE;
  MmapProducerLink *link;
  guint64 rest;

  g_mutex_lock (&producer->lock);
  rest = producer->up;
  while ((link = mmap_producer_next_up_locked (producer, &rest)))
    if (!mmap_ring_is_read (&link->link->frames))
      unread = TRUE;
  g_mutex_unlock (&producer->lock);
  return unread;
}

guint
mmap_producer_get_n_links (MmapProducer * producer)
{
  return __builtin_popcountll (mmap_load_relaxed (&producer->up));
}

guint
mmap_producer_get_n_ready (MmapProducer * producer)
{
  return __builtin_popcountll (mmap_load_relaxed (&producer->ready));
}

guint
mmap_producer_get_n_waiting (MmapProducer * producer)
{
  return __builtin_popcountll (mmap_load_relaxed (&producer->waiting));
}

void
mmap_producer_get_stats (MmapProducer * producer, MmapProducerStats * stats)
{
  g_mutex_lock (&producer->lock);
  *stats = producer->stats;
  if (producer->arena)
    stats->huge_bytes =
        mmap_load_relaxed (&producer->arena->region->huge_bytes);
  g_mutex_unlock (&producer->lock);
}

gboolean
mmap_producer_get_offer (MmapProducer * producer, char **file, guint64 * size,
    guint64 * session, char **media)
{
  gboolean offered;

  g_mutex_lock (&producer->lock);
  offered = producer->arena != NULL;
  if (offered) {
    *file = g_strdup (producer->file ? producer->file : "memfd");
    *size = producer->arena->region->size;
    *session = producer->session;
    *media = g_strdup (producer->media);
  }
  g_mutex_unlock (&producer->lock);
  return offered;
}
