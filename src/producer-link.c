/* gst-mmap: the producer: handshake with its consumers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Runs on the service thread, but for offers of a new region, which come from whoever publishes.
 * Everything that a consumer sends is checked here; what is wrong ends its link and is counted.
 */
#include "producer-private.h"

#include "atomics.h"
#include "capabilities.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The token lies at a random index among this many bytes; chosen: a page. */
#define TOKEN_SPREAD_BYTES MMAP_PAGE_BYTES

/* What a consumer may hold before it copies, as a part of the region; chosen so that with three frames in a region one is held,
 * one is being written, and one is free. */
#define HELD_PART 2

/* Longer media caps are left out of offers, which have a limit. */
#define MAX_MEDIA_BYTES (MMAP_CAPABILITIES_MAX_BYTES / 2)

/* How long an answer may take through somebody else's channel; chosen, untuned. */
#define CARRIED_TIMEOUT_MS 30000

/* A consumer that leaves so many offers of a new region unanswered is ended; chosen, untuned. */
#define MAX_PENDING_OFFERS 16

MmapProducerLink *
mmap_producer_link_ref (MmapProducerLink * link)
{
  g_atomic_int_inc (&link->ref_count);
  return link;
}

void
mmap_producer_link_unref (MmapProducerLink * link)
{
  if (!g_atomic_int_dec_and_test (&link->ref_count))
    return;
  g_clear_pointer (&link->link, mmap_link_free);
  g_clear_object (&link->socket);
  g_free (link->media);
  g_clear_error (&link->refusal);
  g_free (link);
}

void
mmap_producer_link_update_entry_locked (MmapProducerLink * link)
{
  MmapArena *arena = link->producer->arena;
  MmapLinkEntry *entry;

  if (!arena)
    return;
  entry = &arena->region->header->links[link->slot];
  entry->link_id = link->id;
  entry->pid = link->pid;
  entry->uid = link->uid;
  entry->frames = link->frames;
  entry->held = link->held;
  entry->dropped = link->dropped;
  entry->wakeups = link->link ? link->link->waker.wakeups : 0;
  entry->state = link->state == LINK_ENDED ? MMAP_LINK_FREE :
      link->state == LINK_LEAVING ? MMAP_LINK_LEAVING :
      link->state == LINK_UP ? MMAP_LINK_UP : MMAP_LINK_HANDSHAKE;
}

static void
pending_offer_free_locked (MmapPendingOffer * offer)
{
  /* A consumer that is late still finds the token of a producer that closes, and then what was published. */
  if (!offer->block->producer->closed)
    explicit_bzero (offer->block->region->base + offer->token_index,
        offer->block->producer->token_bytes);
  mmap_block_unref_locked (offer->block);
  g_free (offer);
}

void
mmap_producer_link_forget_offers_locked (MmapProducerLink * link)
{
  g_queue_clear_full (&link->offers,
      (GDestroyNotify) pending_offer_free_locked);
}

/* Writes a token into the current region. NULL if it has no room now: then @error is set. */
static MmapPendingOffer *
link_write_token_locked (MmapProducerLink * link, MmapToken * token,
    GError ** error)
{
  MmapProducer *producer = link->producer;
  MmapRegion *region = producer->arena->region;
  guint64 size = producer->token_bytes + TOKEN_SPREAD_BYTES;
  MmapPendingOffer *offer;
  MmapBlock *block;

  if (!mmap_token_init_random (token, producer->token_bytes, error))
    return NULL;
  block = mmap_producer_alloc_control_locked (producer, size);
  if (!block) {
    size = producer->token_bytes;
    block = mmap_producer_alloc_control_locked (producer, size);
  }
  if (!block || g_queue_get_length (&link->offers) >= MAX_PENDING_OFFERS) {
    g_clear_pointer (&block, mmap_block_unref_locked);
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "The region has no room for another token: too many consumers or "
        "unanswered offers, or a region that is too small");
    return NULL;
  }

  offer = g_new (MmapPendingOffer, 1);
  offer->block = block;
  offer->region_id = region->region_id;
  offer->token_index =
      block->offset + mmap_random_below (size - producer->token_bytes + 1);
  mmap_token_write (token, region->base + offer->token_index);
  g_queue_push_tail (&link->offers, offer);
  return offer;
}

/* @share_fd: (out): of the region, for the caller to close; -1: none
 * @fds: (out): that one and others, which stay the link's */
static gboolean
link_make_offer_locked (MmapProducerLink * link, MmapCapabilities * offer,
    int *share_fd, int fds[MMAP_MESSAGE_MAX_FDS], guint * n_fds,
    GError ** error)
{
  MmapProducer *producer = link->producer;
  MmapRegion *region = producer->arena->region;
  MmapPendingOffer *pending;
  gboolean first = link->link == NULL;

  *n_fds = 0;
  *share_fd = -1;
  if (first) {
    link->link = mmap_link_new (producer->session, link->id, error);
    if (!link->link)
      return FALSE;
  }
  mmap_capabilities_init (offer);
  pending = link_write_token_locked (link, &offer->token, error);
  if (!pending)
    return FALSE;

  offer->session = producer->session;
  offer->region_id = region->region_id;
  offer->region_offset = region->area_offset;
  offer->file = g_strdup (producer->file ? producer->file : "memfd");
  offer->size = region->size;
  offer->token_index = pending->token_index;
  offer->max_held = producer->arena->capacity / HELD_PART;
  /* The caps event carries them in any case. */
  if (producer->media && strlen (producer->media) <= MAX_MEDIA_BYTES)
    offer->media = g_strdup (producer->media);
  link->offered_region_id = region->region_id;

  if (mmap_link_is_in_area (link->link)) {
    mmap_region_restore (region);
    offer->link_offset = (guint8 *) link->link->area - producer->area->base;
    offer->boot_id = link->boot_id;
    return TRUE;
  }
  *share_fd = mmap_region_dup_read_only (region);
  if (*share_fd >= 0 || !producer->file)
    fds[(*n_fds)++] = *share_fd >= 0 ? *share_fd : region->fd;
  if (first)
    fds[(*n_fds)++] = link->link->fd;
  return TRUE;
}

static gboolean
link_send_offer_locked (MmapProducerLink * link, GError ** error)
{
  g_auto (MmapCapabilities) offer = { 0 };
  int fds[MMAP_MESSAGE_MAX_FDS], share_fd;
  gboolean sent;
  guint n;

  sent = link_make_offer_locked (link, &offer, &share_fd, fds, &n, error)
      && mmap_message_send (link->socket, MMAP_MESSAGE_OFFER,
      mmap_capabilities_to_variant (&offer), fds, n, error);
  if (share_fd >= 0)
    close (share_fd);
  return sent;
}

void
mmap_producer_link_offer_locked (MmapProducerLink * link)
{
  g_autoptr (GError) error = NULL;

  if (link->state == LINK_LEAVING)
    return;
  /* Its first answer comes through another channel: that to this offer, through the socket, could overtake it. */
  if (link->carried && !link->verified)
    return;
  if (link->state == LINK_WAITING) {
    link->state = LINK_OFFERED;
    g_source_set_ready_time (link->timeout,
        g_get_monotonic_time () + HANDSHAKE_TIMEOUT_MS * 1000);
  }
  if (!link_send_offer_locked (link, &error))
    mmap_producer_link_end_locked (link, error);
}

static void
link_answered_locked (MmapProducerLink * link, const char *media)
{
  if (link->timeout) {
    g_source_destroy (link->timeout);
    g_clear_pointer (&link->timeout, g_source_unref);
  }
  mmap_producer_link_set_state_locked (link, LINK_ANSWERED, FALSE);
  if (link->producer->callbacks.accepts) {
    mmap_producer_report_media_locked (link, media);
    mmap_producer_touch_locked (link->producer);
  } else {
    mmap_producer_link_admit_locked (link);
  }
}

/* Of an offer through another channel the answer and the hello may come in any order. */
static void
link_settle_carried_locked (MmapProducerLink * link)
{
  if (link->verified && link->greeted && link->state == LINK_OFFERED)
    link_answered_locked (link, link->media);
}

static gboolean
link_handle_hello (MmapProducerLink * link, MmapMessage * message,
    GError ** error)
{
  guint32 protocol = 0;

  if (!g_variant_lookup (message->body, "protocol", "u", &protocol)
      || protocol != MMAP_PROTOCOL_VERSION) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_VERSION,
        "The consumer speaks protocol %u, the producer %u: update the older",
        protocol, MMAP_PROTOCOL_VERSION);
    return FALSE;
  }
  if (link->carried) {
    link->greeted = TRUE;
    link_settle_carried_locked (link);
    return TRUE;
  }
  if (mmap_producer_link_needs_proof (link, message))
    return mmap_producer_link_challenge_locked (link, message, error);
  link->state = LINK_WAITING;
  link->waiting_since = g_get_monotonic_time ();
  if (link->is_remote)
    mmap_producer_link_meet_locked (link, message);
  if (!mmap_producer_report_media_of_locked (link, message, error))
    return FALSE;
  /* Until there is a region, it has all the time it wants. */
  g_source_set_ready_time (link->timeout, -1);
  if (link->producer->arena)
    mmap_producer_link_offer_locked (link);
  return TRUE;
}

/* Compares the consumer's token with what it wrote into its link, and wipes it there: the consumer can't know when that may be done. */
static gboolean
link_check_answer (MmapProducerLink * link, const MmapCapabilities * answer,
    GError ** error)
{
  guint8 seen[MMAP_TOKEN_MAX_BYTES];
  guint64 start = offsetof (MmapLinkArea, token_area);
  gboolean right;

  /* A shorter one could be guessed. */
  if (answer->token.n_bytes != link->producer->token_bytes) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN_BYTES,
        "The answer's token_bytes is %u, that of the offer %u",
        answer->token.n_bytes, link->producer->token_bytes);
    return FALSE;
  }
  if (answer->token_index < start
      || answer->token_index - start >
      MMAP_TOKEN_AREA_BYTES - answer->token.n_bytes) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN_INDEX,
        "The answer's token_index %" G_GUINT64_FORMAT " with %u bytes is not "
        "in the link's token area, %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
        answer->token_index, answer->token.n_bytes, start,
        start + MMAP_TOKEN_AREA_BYTES);
    return FALSE;
  }
  memcpy (seen, (guint8 *) link->link->area + answer->token_index,
      answer->token.n_bytes);
  right = mmap_token_check (&answer->token, seen);
  explicit_bzero (seen, sizeof seen);
  /* It answers the newest offer: the consumer writes no other token now. */
  if (right)
    explicit_bzero ((guint8 *) link->link->area + answer->token_index,
        answer->token.n_bytes);
  else
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN,
        "The answer's token is not what the link's memory holds: the consumer "
        "has other memory mapped");
  return right;
}

static gboolean
link_check_capabilities_locked (MmapProducerLink * link, GVariant * answer,
    GError ** error)
{
  MmapProducer *producer = link->producer;

  return !producer->callbacks.check
      || producer->callbacks.check (answer, producer->user_data, error);
}

/* Checks an answer to the oldest offer that has none yet, which is then no offer any more, unless the token was wrong.
 * @newest: (out): it was the newest one, so that its token was compared */
static gboolean
link_take_answer_locked (MmapProducerLink * link, GVariant * body,
    MmapCapabilities * answer, gboolean * newest, GError ** error)
{
  MmapPendingOffer *offer;

  if (!mmap_capabilities_init_variant (answer, body, error))
    return FALSE;
  if (answer->session != link->producer->session) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SESSION,
        "The answer is for another session");
    return FALSE;
  }
  offer = g_queue_peek_head (&link->offers);
  if (!offer || answer->region_id != offer->region_id) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "The consumer answered an offer of region %u that it was not made",
        answer->region_id);
    return FALSE;
  }
  /* If a newer offer is under way, its answer's token may lie where this one's was. */
  *newest = answer->region_id == link->offered_region_id;
  if (*newest && !link_check_answer (link, answer, error))
    return FALSE;
  g_queue_pop_head (&link->offers);
  pending_offer_free_locked (offer);
  return !*newest || link_check_capabilities_locked (link, body, error);
}

static gboolean
link_handle_answer (MmapProducerLink * link, MmapMessage * message,
    GError ** error)
{
  g_auto (MmapCapabilities) answer = { 0 };
  gboolean newest;

  if (link->state < LINK_OFFERED || (link->carried
          && link->state == LINK_OFFERED && !link->verified)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "The consumer answered before it was offered anything");
    return FALSE;
  }
  if (!link_take_answer_locked (link, message->body, &answer, &newest, error))
    return FALSE;
  if (newest && link->state == LINK_OFFERED)
    link_answered_locked (link, answer.media);
  return TRUE;
}

static gboolean
link_handle_message (MmapProducerLink * link, MmapMessage * message,
    GError ** error)
{
  if (link->state == LINK_LEAVING)
    return mmap_producer_link_handle_leaving_locked (link, message, error);
  switch (message->kind) {
    case MMAP_MESSAGE_HELLO:
      if (link->state == LINK_GREETING || (link->carried
              && link->state == LINK_OFFERED && !link->greeted))
        return link_handle_hello (link, message, error);
      break;
    case MMAP_MESSAGE_PROOF:
      if (link->state == LINK_CHALLENGED)
        return mmap_producer_link_handle_proof_locked (link, message, error);
      break;
    case MMAP_MESSAGE_ANSWER:
      return link_handle_answer (link, message, error);
    case MMAP_MESSAGE_REFUSE:
      mmap_message_get_refusal (message, error);
      return FALSE;
    case MMAP_MESSAGE_LEAVE:
      if (link->state != LINK_UP)
        break;
      mmap_producer_link_leave_locked (link);
      return TRUE;
    default:
      break;
  }
  return mmap_producer_link_handle_late_locked (link, message, error);
}

static gboolean
link_readable (GSocket * socket, GIOCondition condition, gpointer data)
{
  MmapProducerLink *link = data;
  MmapProducer *producer = link->producer;
  g_autoptr (GError) error = NULL;
  g_auto (MmapMessage) message = { 0 };

  g_mutex_lock (&producer->lock);
  if (link->state == LINK_ENDED)
    goto out;
  if (mmap_message_receive (socket, FALSE, &message, &error)) {
    if (!link_handle_message (link, &message, &error))
      mmap_producer_link_end_locked (link, error);
  } else if (g_error_matches (error, MMAP_ERROR, MMAP_ERROR_CLOSED)) {
    mmap_producer_link_close_locked (link, NULL);
  } else if (!g_error_matches (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND)) {
    mmap_producer_link_end_locked (link, error);
  }

out:
  mmap_producer_unlock (producer);
  return G_SOURCE_CONTINUE;
}

/* Between the expiry of the timer and this, another thread may have made an offer, and so set it anew. And if this process stood still, the
 * consumer may have said long ago what is to be read next. */
static gboolean
link_is_late_locked (MmapProducerLink * link)
{
  gint64 due;

  if (g_socket_condition_check (link->socket, G_IO_IN))
    return FALSE;
  if (link->state != LINK_GREETING && link->state != LINK_CHALLENGED
      && link->state != LINK_OFFERED)
    return FALSE;
  due = g_source_get_ready_time (link->timeout);
  return due >= 0 && due <= g_get_monotonic_time ();
}

static gboolean
link_timed_out (gpointer data)
{
  MmapProducerLink *link = data;
  MmapProducer *producer = link->producer;

  g_mutex_lock (&producer->lock);
  if (link_is_late_locked (link)) {
    g_autoptr (GError) error = g_error_new (MMAP_ERROR, MMAP_ERROR_TIMEOUT,
        "The consumer did not answer within %d ms",
        link->carried ? CARRIED_TIMEOUT_MS : HANDSHAKE_TIMEOUT_MS);

    mmap_producer_link_end_locked (link, error);
  }
  mmap_producer_unlock (producer);
  return G_SOURCE_CONTINUE;
}

static void
link_attach (GSource * source, GSourceFunc callback, MmapProducerLink * link)
{
  /* A reference, because another thread may end the link while the callback waits for the lock. */
  g_source_set_callback (source, callback, mmap_producer_link_ref (link),
      (GDestroyNotify) mmap_producer_link_unref);
  g_source_attach (source, link->producer->context);
}

void
mmap_producer_link_set_timeout_locked (MmapProducerLink * link,
    guint interval_ms, GSourceFunc callback)
{
  link->timeout = g_timeout_source_new (interval_ms);
  link_attach (link->timeout, callback, link);
}

MmapProducerLink *
mmap_producer_link_new_locked (MmapProducer * producer, GSocket * socket,
    MmapPeer peer, GError ** error)
{
  MmapProducerLink *link;
  guint slot;

  for (slot = 0; slot < MMAP_MAX_LINKS; slot++)
    if (!producer->links[slot])
      break;
  if (slot == MMAP_MAX_LINKS) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "The producer serves %d consumers already: its limit", MMAP_MAX_LINKS);
    return NULL;
  }
  link = g_new0 (MmapProducerLink, 1);
  g_socket_set_blocking (socket, FALSE);
  link->ref_count = 1;
  link->producer = producer;
  link->slot = slot;
  link->id = ++producer->last_link_id;
  link->socket = g_object_ref (socket);
  link->pid = peer.pid;
  link->uid = peer.uid;
  producer->links[slot] = link;
  link->source = g_socket_create_source (socket, G_IO_IN, NULL);
  link_attach (link->source, G_SOURCE_FUNC (link_readable), link);
  mmap_producer_link_set_timeout_locked (link, HANDSHAKE_TIMEOUT_MS,
      link_timed_out);
  mmap_producer_link_update_entry_locked (link);
  return link;
}

/* --- offers through another channel --- */

/* Copies of @n descriptors, for the application. */
static gboolean
dup_fds (int *fds, guint n, GError ** error)
{
  guint i;

  for (i = 0; i < n; i++) {
    int fd = fcntl (fds[i], F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
      g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
          "Can't copy a descriptor: %s", g_strerror (errno));
      while (i > 0)
        close (fds[--i]);
      return FALSE;
    }
    fds[i] = fd;
  }
  return TRUE;
}

static GVariant *
carried_offer_to_variant (MmapProducerLink * link,
    const MmapCapabilities * offer)
{
  g_autoptr (GVariant) plain =
      g_variant_ref_sink (mmap_capabilities_to_variant (offer));
  GVariantDict dict;

  g_variant_dict_init (&dict, plain);
  g_variant_dict_insert (&dict, "link-id", "u", link->id);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* @fds: without the consumer's socket */
static gboolean
create_offer_locked (MmapProducer * producer, GSocket * socket,
    GVariant ** variant, int *fds, guint * n_fds, GError ** error)
{
  static const MmapPeer nobody = { 0, 0 };
  g_auto (MmapCapabilities) offer = { 0 };
  MmapProducerLink *link;
  int share_fd = -1;
  gboolean made;

  if (!producer->arena) {
    g_set_error_literal (error, MMAP_ERROR,
        producer->closed ? MMAP_ERROR_CLOSED : MMAP_ERROR_NOT_FOUND,
        producer->closed ? "The producer is closed" :
        "There is no region to be offered yet: wait for the stream's caps");
    return FALSE;
  }
  link = mmap_producer_link_new_locked (producer, socket, nobody, error);
  if (!link)
    return FALSE;
  link->carried = TRUE;
  link->state = LINK_OFFERED;
  mmap_producer_link_update_entry_locked (link);
  g_source_set_ready_time (link->timeout,
      g_get_monotonic_time () + CARRIED_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND);
  made = link_make_offer_locked (link, &offer, &share_fd, fds, n_fds, error)
      && dup_fds (fds, *n_fds, error);
  if (share_fd >= 0)
    close (share_fd);
  if (!made) {
    mmap_producer_link_end_locked (link, NULL);
    return FALSE;
  }
  *variant = carried_offer_to_variant (link, &offer);
  return TRUE;
}

gboolean
mmap_producer_create_offer (MmapProducer * producer, GVariant ** offer,
    int fds[MMAP_MESSAGE_MAX_FDS], guint * n_fds, GError ** error)
{
  g_autoptr (GSocket) socket = NULL;
  gboolean created;
  int consumer_fd;

  *n_fds = 0;
  socket = mmap_message_new_pair (&consumer_fd, error);
  if (!socket)
    return FALSE;
  g_mutex_lock (&producer->lock);
  created = create_offer_locked (producer, socket, offer, fds, n_fds, error);
  mmap_producer_unlock (producer);
  if (created) {
    fds[(*n_fds)++] = consumer_fd;
  } else {
    /* What it got as far as to name is closed, or the link's. */
    *n_fds = 0;
    close (consumer_fd);
  }
  return created;
}

/* The caller hears of it: it is not reported as well. */
static void
refuse_carried_locked (MmapProducerLink * link, const GError * reason)
{
  link->producer->stats.failures[reason->code]++;
  mmap_producer_touch_locked (link->producer);
  /* Without the right token it may be anybody's: who was made the offer still has the time to answer it. */
  if (!g_queue_is_empty (&link->offers))
    return;
  mmap_message_send_refusal (link->socket, reason);
  mmap_producer_link_end_locked (link, NULL);
}

/* @error: not %NULL */
static gboolean
accept_answer_locked (MmapProducer * producer, GVariant * variant,
    GError ** error)
{
  g_auto (MmapCapabilities) answer = { 0 };
  MmapProducerLink *link = NULL;
  guint32 link_id = 0;
  gboolean newest;

  g_variant_lookup (variant, "link-id", "u", &link_id);
  if (link_id != 0)
    link = mmap_producer_find_link_locked (producer, link_id);
  if (!link || !link->carried || link->state != LINK_OFFERED || link->verified) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND,
        "The answer's link-id %u is none that was offered and is not answered "
        "yet", link_id);
    return FALSE;
  }
  if (!link_take_answer_locked (link, variant, &answer, &newest, error)) {
    refuse_carried_locked (link, *error);
    return FALSE;
  }
  link->media = g_strdup (answer.media);
  link->verified = TRUE;
  /* If the region was replaced meanwhile, the socket carries the newer offer and its answer. */
  if (link->offered_region_id != producer->arena->region->region_id)
    mmap_producer_link_offer_locked (link);
  else
    link_settle_carried_locked (link);
  return TRUE;
}

gboolean
mmap_producer_accept_answer (MmapProducer * producer, GVariant * answer,
    GError ** error)
{
  g_autoptr (GError) cause = NULL;
  gboolean accepted;

  g_mutex_lock (&producer->lock);
  accepted = accept_answer_locked (producer, answer, &cause);
  mmap_producer_unlock (producer);
  if (cause)
    g_propagate_error (error, g_steal_pointer (&cause));
  return accepted;
}
