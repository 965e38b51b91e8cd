/* gst-mmap: the consumer: what a producer offers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from the handshake, or with an offer that came through another channel. An offer is believed only after its region was mapped,
 * checked, and found to hold the offer's token.
 */
#include "consumer-private.h"

#include "atomics.h"
#include "capabilities.h"
#include "foreign.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A producer that offers so many regions without using one is refused; chosen: as many as it may leave unanswered. */
#define MAX_NEXT_REGIONS 16

/* Maps the region of an offer, and checks that it is the one that is meant. */
static MmapRegion *
open_region (MmapConsumer * consumer, const MmapCapabilities * offer,
    MmapMessage * message, guint first_fd, GError ** error)
{
  g_autoptr (MmapRegion) region = NULL;
  guint8 seen[MMAP_TOKEN_MAX_BYTES];
  gboolean right;

  if (consumer->client)
    region = mmap_region_open_window (mmap_area_client_get_area
        (consumer->client), offer->region_offset, offer->size, error);
  else if (strcmp (offer->file, "memfd") == 0)
    region = mmap_region_open_fd (mmap_message_take_fd (message, 0),
        offer->size, error);
  else if (first_fd > 0)
    region = mmap_region_open_file_fd (mmap_message_take_fd (message, 0),
        offer->file, offer->size, error);
  else
    region = mmap_region_open_path (offer->file, offer->size, error);
  if (!region)
    return NULL;
  mmap_region_set_alarm (region, consumer->alarm);
  if (!consumer->is_carried && !consumer->client
      && !mmap_region_check_owner (region, consumer->found.uid, error))
    return NULL;
  if (region->session != offer->session
      || region->region_id != offer->region_id) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SESSION,
        "The region at %s is another producer's, or an earlier one's",
        offer->file);
    return NULL;
  }
  if (!mmap_region_contains (region, offer->token_index, offer->token.n_bytes)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN_INDEX,
        "The offer's token_index %" G_GUINT64_FORMAT " with %u bytes is not "
        "among the blocks of its region, %" G_GUINT64_FORMAT " to %"
        G_GSIZE_FORMAT, offer->token_index, offer->token.n_bytes,
        region->blocks_offset, region->size);
    return NULL;
  }
  /* Whether that is reserved is not asked, as it would take time: of a hole, two pages at most are paid for. */
  memcpy (seen, region->base + offer->token_index, offer->token.n_bytes);
  right = mmap_token_check (&offer->token, seen);
  explicit_bzero (seen, sizeof seen);
  if (mmap_region_is_broken (region)) {
    mmap_region_set_truncated_error (error, region->path);
    return NULL;
  }
  if (!right) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN,
        "The offer's token is not what %s holds: the two sides see different "
        "memory", offer->file);
    return NULL;
  }
  return g_steal_pointer (&region);
}

/* Writes a token into the link, and what it is into the answer. */
static gboolean
make_answer (MmapConsumer * consumer, MmapConsumerLink * opened,
    const MmapCapabilities * offer, MmapCapabilities * answer, GError ** error)
{
  guint8 *area = (guint8 *) opened->link->area;
  guint n_bytes = offer->token.n_bytes;

  mmap_capabilities_init (answer);
  if (!mmap_token_init_random (&answer->token, n_bytes, error))
    return FALSE;
  answer->session = offer->session;
  answer->region_id = offer->region_id;
  answer->size = offer->size;
  answer->token_index = offsetof (MmapLinkArea, token_area)
      + mmap_random_below (MMAP_TOKEN_AREA_BYTES - n_bytes + 1);
  g_mutex_lock (&consumer->lock);
  answer->media = g_strdup (consumer->media);
  /* In those that follow, before the link is up, the producer may not look any more. */
  if (!opened->answered)
    consumer->told_serial = consumer->media_serial;
  g_mutex_unlock (&consumer->lock);
  opened->answered = TRUE;
  mmap_token_write (&answer->token, area + answer->token_index);
  return TRUE;
}

static gboolean
send_answer (MmapConsumer * consumer, const MmapCapabilities * offer,
    GError ** error)
{
  g_auto (MmapCapabilities) answer = { 0 };

  return make_answer (consumer, consumer->link, offer, &answer, error)
      && mmap_message_send (consumer->socket, MMAP_MESSAGE_ANSWER,
      mmap_capabilities_to_variant (&answer), NULL, 0, error);
}

/* It must be in the slot that was claimed: others are other consumers'. */
static MmapLink *
open_link_in_area (MmapConsumer * consumer, const MmapCapabilities * offer,
    GError ** error)
{
  guint64 offset = mmap_area_client_get_link_offset (consumer->client);
  MmapAreaPeer producer = {.boot_id = offer->boot_id };
  MmapLink *link;

  if (offset != 0)
    producer = *mmap_area_client_get_producer (consumer->client);
  if (offset == 0 || offer->link_offset == offset) {
    link = mmap_link_open_in_area (mmap_area_client_get_area
        (consumer->client), offer->link_offset, offer->session, &producer,
        error);
    if (link)
      mmap_area_client_set_link (consumer->client, offer->link_offset,
          &producer);
    return link;
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_LAYOUT,
      "The offer's link is at %" G_GUINT64_FORMAT ", expected %"
      G_GUINT64_FORMAT ", where a slot was claimed", offer->link_offset,
      offset);
  return NULL;
}

static gboolean
open_link (MmapConsumer * consumer, MmapMessage * message, guint first_fd,
    const MmapCapabilities * offer, GError ** error)
{
  MmapConsumerLink *opened;
  MmapLink *link;

  if (consumer->client)
    link = open_link_in_area (consumer, offer, error);
  else
    link = mmap_link_open (mmap_message_take_fd (message, first_fd),
        offer->session, error);
  if (!link)
    return FALSE;
  consumer->nap_us = 0;
  consumer->seen = mmap_load_acquire (consumer->word);
  opened = g_new0 (MmapConsumerLink, 1);
  opened->ref_count = 1;
  opened->is_carried = consumer->is_carried;
  g_mutex_init (&opened->lock);
  opened->link = link;
  g_mutex_lock (&consumer->lock);
  consumer->link = opened;
  g_mutex_unlock (&consumer->lock);
  return TRUE;
}

/* Takes an offer, but doesn't answer it. */
static gboolean
take_offer (MmapConsumer * consumer, MmapMessage * message,
    MmapCapabilities * offer, GError ** error)
{
  g_autoptr (MmapRegion) region = NULL;
  guint n_fds;

  if (!mmap_capabilities_init_variant (offer, message->body, error)
      || !mmap_consumer_may_be_offered (consumer, offer->session, error))
    return FALSE;
  if (!offer->file) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "The offer doesn't say where its region is");
    return FALSE;
  }
  if (consumer->callbacks.check && !consumer->callbacks.check (message->body,
          consumer->user_data, error))
    return FALSE;
  if (g_queue_get_length (&consumer->next_regions) >= MAX_NEXT_REGIONS) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
        "The producer offered more than %d regions without using them",
        MAX_NEXT_REGIONS);
    return FALSE;
  }
  if (consumer->link && offer->session != consumer->session) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SESSION,
        "A new region belongs to another session");
    return FALSE;
  }
  /* A file's descriptor comes along, too: by the time we look, another may lie at its path. */
  n_fds = message->n_fds > (consumer->link ? 0 : 1) ? 1 : 0;
  region = open_region (consumer, offer, message, n_fds, error);
  if (!region) {
    if (consumer->client && !consumer->channel)
      g_prefix_error (error, "%s is not the memory that the producer at %s "
          "uses: name the same file, or the device that shows it. ",
          consumer->area_path, consumer->address);
    return FALSE;
  }
  if (!consumer->link && !open_link (consumer, message, n_fds, offer, error))
    return FALSE;
  mmap_store_relaxed (&consumer->link->max_held, offer->max_held);
  g_mutex_lock (&consumer->lock);
  consumer->session = offer->session;
  g_free (consumer->offer_file);
  g_free (consumer->offer_media);
  consumer->offer_file = g_strdup (offer->file);
  consumer->offer_size = offer->size;
  consumer->offer_token_bytes = offer->token.n_bytes;
  consumer->offer_media = g_strdup (offer->media);
  g_mutex_unlock (&consumer->lock);

  /* On a link that is up the region is the other thread's. */
  if (consumer->state == CONSUMER_UP || consumer->region)
    g_queue_push_tail (&consumer->next_regions, mmap_region_ref (region));
  else
    consumer->region = mmap_region_ref (region);
  return TRUE;
}

gboolean
mmap_consumer_handle_offer (MmapConsumer * consumer, MmapMessage * message,
    GError ** error)
{
  g_auto (MmapCapabilities) offer = { 0 };

  /* The answer is last: if the producer has gone, what it sent before can still be read. */
  return take_offer (consumer, message, &offer, error)
      && send_answer (consumer, &offer, error);
}

/* --- offers through another channel --- */

static GVariant *
carried_answer_to_variant (const MmapCapabilities * answer, GVariant * offer)
{
  g_autoptr (GVariant) plain =
      g_variant_ref_sink (mmap_capabilities_to_variant (answer));
  GVariantDict dict;
  guint32 link_id = 0;

  g_variant_lookup (offer, "link-id", "u", &link_id);
  g_variant_dict_init (&dict, plain);
  g_variant_dict_insert (&dict, "link-id", "u", link_id);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* One with packets: in any other, messages would run together, or come from anybody. */
static gboolean
is_packet_socket (int fd)
{
  int domain = 0, type = 0;
  socklen_t size = sizeof domain;

  return getsockopt (fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0
      && domain == AF_UNIX
      && getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0
      && type == SOCK_SEQPACKET;
}

/* The last descriptor is the socket over which all goes on. */
static gboolean
take_socket (MmapConsumer * consumer, MmapMessage * message, GError ** error)
{
  g_autoptr (GError) cause = NULL;
  int fd = -1;

  if (message->n_fds > 0) {
    fd = mmap_message_take_fd (message, message->n_fds - 1);
    message->n_fds--;
  }
  if (fd >= 0 && is_packet_socket (fd))
    consumer->socket = g_socket_new_from_fd (fd, &cause);
  if (consumer->socket) {
    g_socket_set_blocking (consumer->socket, FALSE);
    return TRUE;
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The offer's descriptors are wrong: expected the region's if it is a memfd, "
      "the link's, and a socket (%s)",
      cause ? cause->message : fd >=
      0 ? "the last is no Unix socket for packets" : "there are none");
  mmap_foreign_close (fd);
  return FALSE;
}

static gboolean
send_carried_hello (MmapConsumer * consumer, GError ** error)
{
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "protocol",
      g_variant_new_uint32 (MMAP_PROTOCOL_VERSION));
  return mmap_message_send (consumer->socket, MMAP_MESSAGE_HELLO,
      g_variant_builder_end (&body), NULL, 0, error);
}

/* FALSE: now is no time for an offer. */
static gboolean
may_accept (MmapConsumer * consumer, guint n_fds, GError ** error)
{
  gboolean stopped;

  g_mutex_lock (&consumer->lock);
  stopped = consumer->stopped;
  g_mutex_unlock (&consumer->lock);
  if (stopped)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_CLOSED,
        "The consumer has been stopped");
  else if (!consumer->is_carried)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
        "The consumer looks for a producer at a socket");
  else if (consumer->socket)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
        "The consumer has taken an offer already, and its link has not ended");
  else if (n_fds > MMAP_MESSAGE_MAX_FDS)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "The offer has %u descriptors, expected at most %d", n_fds,
        MMAP_MESSAGE_MAX_FDS);
  else
    return TRUE;
  return FALSE;
}

GVariant *
mmap_consumer_accept_offer (MmapConsumer * consumer, GVariant * offer,
    const int *fds, guint n_fds, GError ** error)
{
  g_auto (MmapCapabilities) taken = { 0 }, made = { 0 };
  g_auto (MmapMessage) message = { MMAP_MESSAGE_OFFER, NULL };
  gboolean accepted = FALSE;
  GVariant *answer = NULL;
  guint i;

  message.body = g_variant_ref_sink (offer);
  for (i = 0; i < n_fds; i++) {
    if (i < MMAP_MESSAGE_MAX_FDS)
      message.fds[message.n_fds++] = fds[i];
    else
      mmap_foreign_close (fds[i]);
  }
  g_mutex_lock (&consumer->receive_lock);
  if (may_accept (consumer, n_fds, error)) {
    accepted = take_socket (consumer, &message, error)
        && take_offer (consumer, &message, &taken, error)
        && make_answer (consumer, consumer->link, &taken, &made, error)
        && send_carried_hello (consumer, error);
    if (accepted)
      answer = carried_answer_to_variant (&made, offer);
    else
      mmap_consumer_drop_link_locked (consumer);
  }
  g_mutex_unlock (&consumer->receive_lock);
  return answer;
}
