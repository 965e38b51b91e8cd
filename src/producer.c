/* gst-mmap: the producer: life, region, waiting
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by a sink element from its streaming thread, by upstream threads that allocate, by threads that free blocks, and by
 * the service thread.
 */
#include "producer-private.h"

#include "token.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Bytes set aside for tokens and events; chosen: a token of a KiB for each of 64 links, and caps of a few KiB each. */
#define CONTROL_BYTES (256 * 1024)
/* In a small region, at most this part of it. */
#define CONTROL_PART 8

/* Blocks of a page or more start at a page, so that they can be handed to devices; chosen, untuned. */
#define PAGE_ALIGNED_FROM_BYTES (16 * MMAP_PAGE_BYTES)

static MmapArena *
arena_new (MmapRegion * region)
{
  MmapArena *arena = g_new0 (MmapArena, 1);
  guint64 bytes = region->size - region->blocks_offset;
  guint64 control = MIN (CONTROL_BYTES, bytes / CONTROL_PART);

  control -= control % MMAP_PAGE_BYTES;
  if (control == 0)
    control = MMAP_BLOCK_ALIGN_BYTES * 8;
  arena->ref_count = 1;
  arena->region = region;
  arena->control_end = region->blocks_offset + control;
  /* Readers with wide loads go a few bytes past the end of a frame: not past the end of the mapping. */
  arena->capacity = bytes - control - MMAP_BLOCK_ALIGN_BYTES;
  arena->control = mmap_blocks_new (region->blocks_offset, control);
  arena->frames = mmap_blocks_new (arena->control_end, arena->capacity);
  return arena;
}

static void
arena_unref_locked (MmapArena * arena)
{
  if (--arena->ref_count > 0)
    return;
  mmap_blocks_free (arena->control);
  mmap_blocks_free (arena->frames);
  mmap_region_unref (arena->region);
  g_free (arena);
}

guint64
mmap_producer_size_for (guint64 bytes)
{
  guint64 size = sizeof (MmapRegionHeader) + CONTROL_BYTES + bytes
      + MMAP_BLOCK_ALIGN_BYTES;

  return (size + MMAP_PAGE_BYTES - 1) / MMAP_PAGE_BYTES * MMAP_PAGE_BYTES;
}

MmapProducer *
mmap_producer_new (const char *address, const char *file, guint token_bytes,
    GError ** error)
{
  MmapListener *listener;
  MmapProducer *producer;

  if (token_bytes < MMAP_TOKEN_MIN_BYTES || token_bytes > MMAP_TOKEN_MAX_BYTES) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN_BYTES,
        "A token has %d to %d bytes, not %u", MMAP_TOKEN_MIN_BYTES,
        MMAP_TOKEN_MAX_BYTES, token_bytes);
    return NULL;
  }
  listener = mmap_listener_new (address, error);
  if (!listener)
    return NULL;

  producer = g_new0 (MmapProducer, 1);
  producer->ref_count = 1;
  g_mutex_init (&producer->lock);
  g_cond_init (&producer->cond);
  producer->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  producer->listener = listener;
  /* Consumers may have another current directory. */
  producer->file = file ? g_canonicalize_filename (file, NULL) : NULL;
  producer->token_bytes = token_bytes;
  producer->session = 1 + mmap_random_below (G_MAXUINT64 - 1);
  producer->publications = g_array_new (FALSE, TRUE, sizeof (MmapPublication));
  producer->free_publications = g_array_new (FALSE, FALSE, sizeof (guint32));
  producer->notifications =
      g_array_new (FALSE, FALSE, sizeof (MmapNotification));
  g_queue_init (&producer->refusals);
  producer->context = g_main_context_new ();
  producer->loop = g_main_loop_new (producer->context, FALSE);
  if (producer->wake_fd < 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FAILED, "eventfd: %s",
        g_strerror (errno));
    mmap_producer_close (producer);
    mmap_producer_unref (producer);
    return NULL;
  }
  return producer;
}

void
mmap_producer_set_callbacks (MmapProducer * producer,
    MmapLinksFunc links_func, MmapRefusedFunc refused_func, gpointer user_data)
{
  producer->links_func = links_func;
  producer->refused_func = refused_func;
  producer->user_data = user_data;
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
mmap_producer_start (MmapProducer * producer)
{
  producer->accept_source =
      g_socket_create_source (producer->listener->socket, G_IO_IN, NULL);
  g_source_set_callback (producer->accept_source,
      G_SOURCE_FUNC (mmap_producer_accept), producer, NULL);
  g_source_attach (producer->accept_source, producer->context);
  producer->thread = g_thread_new ("mmap-service", service_thread, producer);
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
  guint i;

  if (producer->thread) {
    /* From inside, so that it is not missed by a thread that has not entered its loop yet. */
    g_main_context_invoke (producer->context, quit_loop, producer->loop);
    g_thread_join (producer->thread);
    producer->thread = NULL;
  }

  g_mutex_lock (&producer->lock);
  producer->closed = TRUE;
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    if (producer->links[i])
      mmap_producer_link_end_locked (producer->links[i], NULL);
  for (i = 0; i < N_EVENT_KINDS; i++) {
    g_clear_pointer (&producer->sticky[i].data, g_bytes_unref);
    g_clear_pointer (&producer->sticky[i].block, mmap_block_unref_locked);
    producer->sticky[i].set = FALSE;
  }
  if (producer->accept_source) {
    g_source_destroy (producer->accept_source);
    g_clear_pointer (&producer->accept_source, g_source_unref);
  }
  g_clear_pointer (&producer->listener, mmap_listener_free);
  if (producer->arena) {
    mmap_region_unlink (producer->arena->region);
    g_clear_pointer (&producer->arena, arena_unref_locked);
  }
  mmap_producer_touch_locked (producer);
  mmap_producer_unlock (producer);
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

  g_main_loop_unref (producer->loop);
  g_main_context_unref (producer->context);
  g_queue_clear_full (&producer->refusals, (GDestroyNotify) g_error_free);
  g_array_unref (producer->publications);
  g_array_unref (producer->free_publications);
  g_array_unref (producer->notifications);
  if (producer->wake_fd >= 0)
    close (producer->wake_fd);
  g_free (producer->file);
  g_free (producer->media);
  g_mutex_clear (&producer->lock);
  g_cond_clear (&producer->cond);
  g_free (producer);
}

void
mmap_producer_unlock (MmapProducer * producer)
{
  GArray *notifications = producer->notifications;

  while (notifications->len > 0) {
    MmapNotification notification = g_array_index (notifications,
        MmapNotification, notifications->len - 1);

    g_array_set_size (notifications, notifications->len - 1);
    g_mutex_unlock (&producer->lock);
    notification.notify (notification.data);
    g_mutex_lock (&producer->lock);
  }
  g_mutex_unlock (&producer->lock);
}

static MmapRegion *
producer_new_region (MmapProducer * producer, guint64 size, GError ** error)
{
  g_autoptr (MmapRegion) old = mmap_producer_dup_region (producer);
  guint32 id = ++producer->last_region_id;

  if (!producer->file)
    return mmap_region_new_memfd (size, producer->session, id, error);
  /* The new file takes the old one's place; who has the old one mapped keeps it. */
  if (old)
    mmap_region_unlink (old);
  return mmap_region_new_file (producer->file, size, producer->session, id,
      error);
}

gboolean
mmap_producer_set_region (MmapProducer * producer, guint64 size,
    const char *media, GError ** error)
{
  MmapRegion *region;
  MmapArena *old;
  guint i;

  if (producer->closed) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_CLOSED,
        "The producer is closed");
    return FALSE;
  }
  region = producer_new_region (producer, size, error);
  if (!region)
    return FALSE;
  mmap_region_populate (region);

  g_mutex_lock (&producer->lock);
  if (producer->closed) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_CLOSED,
        "The producer was closed");
    mmap_region_unlink (region);
    mmap_region_unref (region);
    mmap_producer_unlock (producer);
    return FALSE;
  }
  old = producer->arena;
  producer->arena = arena_new (region);
  if (!mmap_producer_move_sticky_locked (producer)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOO_SMALL,
        "A region of %" G_GUINT64_FORMAT " bytes has no room for caps and "
        "segment: make it larger", size);
    mmap_region_unlink (region);
    g_clear_pointer (&producer->arena, arena_unref_locked);
    producer->arena = old;
    mmap_producer_unlock (producer);
    return FALSE;
  }
  g_free (producer->media);
  producer->media = g_strdup (media);
  for (i = 0; i < MMAP_MAX_LINKS; i++) {
    MmapProducerLink *link = producer->links[i];

    if (link && link->state != LINK_GREETING) {
      mmap_producer_link_offer_locked (link);
      /* It may have been ended: then the slot is empty. */
      if (producer->links[i])
        mmap_producer_link_update_entry_locked (link);
    }
  }
  if (old)
    arena_unref_locked (old);
  mmap_producer_touch_locked (producer);
  mmap_producer_unlock (producer);
  return TRUE;
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

static MmapBlock *
block_new_locked (MmapProducer * producer, guint64 offset, guint64 size)
{
  MmapBlock *block = g_new (MmapBlock, 1);

  block->ref_count = 1;
  block->producer = mmap_producer_ref (producer);
  block->arena = producer->arena;
  block->arena->ref_count++;
  block->region = producer->arena->region;
  block->offset = offset;
  block->size = size;
  return block;
}

static gboolean
arena_alloc (MmapArena * arena, guint64 size, guint64 align, guint64 * offset)
{
  return (size >= PAGE_ALIGNED_FROM_BYTES && align < MMAP_PAGE_BYTES
      && mmap_blocks_alloc (arena->frames, size, MMAP_PAGE_BYTES, offset))
      || mmap_blocks_alloc (arena->frames, size, align, offset);
}

/* Free bytes may lie in pieces: whether there is room only an allocation tells. */
static gboolean
arena_has_room (MmapArena * arena, guint64 size, guint64 align)
{
  guint64 offset;

  if (!arena_alloc (arena, size, align, &offset))
    return FALSE;
  mmap_blocks_release (arena->frames, offset);
  return TRUE;
}

gboolean
mmap_producer_has_room_locked (MmapProducer * producer, guint64 size)
{
  return arena_has_room (producer->arena, size, MMAP_BLOCK_ALIGN_BYTES);
}

MmapBlock *
mmap_producer_alloc_locked (MmapProducer * producer, guint64 size,
    guint64 align, MmapAllocUse use)
{
  MmapArena *arena = producer->arena;
  guint64 offset;

  if (!arena || producer->closed)
    return NULL;
  if (use == MMAP_ALLOC_UPSTREAM
      && mmap_blocks_get_free_bytes (arena->frames) <
      size + arena->capacity / 4)
    return NULL;
  if (!arena_alloc (arena, size, align, &offset))
    return NULL;
  if (use != MMAP_ALLOC_COPY && !arena_has_room (arena, size, align)) {
    mmap_blocks_release (arena->frames, offset);
    return NULL;
  }
  return block_new_locked (producer, offset, size);
}

MmapBlock *
mmap_producer_alloc_control_locked (MmapProducer * producer, guint64 size)
{
  guint64 offset;

  if (!producer->arena)
    return NULL;
  if (mmap_blocks_alloc (producer->arena->control, size,
          MMAP_BLOCK_ALIGN_BYTES, &offset))
    return block_new_locked (producer, offset, size);
  return mmap_producer_alloc_locked (producer, size, MMAP_BLOCK_ALIGN_BYTES,
      MMAP_ALLOC_COPY);
}

MmapBlock *
mmap_producer_alloc (MmapProducer * producer, guint64 size, guint64 align,
    MmapAllocUse use)
{
  MmapBlock *block;

  g_mutex_lock (&producer->lock);
  block = mmap_producer_alloc_locked (producer, size, align, use);
  g_mutex_unlock (&producer->lock);
  return block;
}

MmapBlock *
mmap_block_ref (MmapBlock * block)
{
  g_atomic_int_inc (&block->ref_count);
  return block;
}

/* TRUE if it was the last reference: then the caller drops the producer's, without the lock. */
static gboolean
block_release_locked (MmapBlock * block)
{
  MmapArena *arena = block->arena;

  if (!g_atomic_int_dec_and_test (&block->ref_count))
    return FALSE;
  mmap_blocks_release (block->offset < arena->control_end ? arena->control :
      arena->frames, block->offset);
  arena_unref_locked (arena);
  mmap_producer_touch_locked (block->producer);
  return TRUE;
}

void
mmap_block_unref_locked (MmapBlock * block)
{
  MmapProducer *producer = block->producer;

  if (block_release_locked (block)) {
    g_free (block);
    /* Never the last one: the caller holds the lock of a living producer. */
    mmap_producer_unref (producer);
  }
}

void
mmap_block_unref (MmapBlock * block)
{
  MmapProducer *producer = block->producer;
  gboolean last;

  g_mutex_lock (&producer->lock);
  last = block_release_locked (block);
  g_mutex_unlock (&producer->lock);
  if (last) {
    g_free (block);
    mmap_producer_unref (producer);
  }
}

gboolean
mmap_producer_is_current (MmapProducer * producer, MmapBlock * block)
{
  gboolean current;

  g_mutex_lock (&producer->lock);
  current = block->producer == producer && block->arena == producer->arena;
  g_mutex_unlock (&producer->lock);
  return current;
}

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
  guint i, n = 1;

  producer->leader = g_thread_self ();
  fds[0] = (struct pollfd) { producer->wake_fd, POLLIN, 0 };
  for (i = 0; i < MMAP_MAX_LINKS; i++) {
    MmapProducerLink *link = producer->links[i];

    if (!link || link->state != LINK_UP)
      continue;
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
  guint i;

  g_mutex_lock (&producer->lock);
  for (i = 0; i < MMAP_MAX_LINKS; i++) {
    MmapProducerLink *link = producer->links[i];

    if (link && link->state == LINK_UP
        && !mmap_ring_is_read (&link->link->frames))
      unread = TRUE;
  }
  g_mutex_unlock (&producer->lock);
  return unread;
}

guint
mmap_producer_get_n_links (MmapProducer * producer)
{
  guint n;

  g_mutex_lock (&producer->lock);
  n = producer->n_up;
  g_mutex_unlock (&producer->lock);
  return n;
}

void
mmap_producer_get_stats (MmapProducer * producer, MmapProducerStats * stats)
{
  guint i;

  g_mutex_lock (&producer->lock);
  *stats = producer->stats;
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    if (producer->links[i] && producer->links[i]->state == LINK_UP)
      stats->wakeups += producer->links[i]->link->waker.wakeups;
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

static gboolean
report (gpointer data)
{
  MmapProducer *producer = data;
  GError *refusal;
  gboolean changed;
  guint n_up;

  g_mutex_lock (&producer->lock);
  producer->report_pending = FALSE;
  n_up = producer->n_up;
  changed = n_up != producer->reported_n_up;
  producer->reported_n_up = n_up;
  while ((refusal = g_queue_pop_head (&producer->refusals))) {
    g_mutex_unlock (&producer->lock);
    if (producer->refused_func)
      producer->refused_func (refusal, producer->user_data);
    g_error_free (refusal);
    g_mutex_lock (&producer->lock);
  }
  g_mutex_unlock (&producer->lock);
  if (changed && producer->links_func)
    producer->links_func (n_up, producer->user_data);
  return G_SOURCE_REMOVE;
}

void
mmap_producer_report_locked (MmapProducer * producer)
{
  GSource *source;

  if (producer->report_pending || producer->closed)
    return;
  producer->report_pending = TRUE;
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, report, producer, NULL);
  g_source_attach (source, producer->context);
  g_source_unref (source);
}
