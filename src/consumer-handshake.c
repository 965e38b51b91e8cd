/* gst-mmap: the consumer: handshake
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from mmap_consumer_next(). An offer is believed only after its region was mapped, checked, and found to hold the
 * offer's token.
 */
#include "consumer-private.h"

#include "address.h"
#include "atomics.h"
#include "capabilities.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* How long to wait between two looks for a producer that isn't there yet: a part of the time since the first, so that two processes
 * that start together find each other at once; chosen, untuned. */
#define SEARCH_INTERVAL_MIN_US 100
#define SEARCH_INTERVAL_MAX_US 20000
#define SEARCH_INTERVAL_PART 8

/* A socket belongs to its user alone until it gets its mode and group: who may not connect looks again so long; chosen, untuned. */
#define DENIED_US 200000

/* A producer that offers so many regions without using one is refused; chosen: as many as it may leave unanswered. */
#define MAX_NEXT_REGIONS 16

/* How often it is looked, while a producer that was found is waited for, whether that has taken too long: how long that is may be changed
 * meanwhile. Chosen, untuned. */
#define PATIENCE_INTERVAL_US (G_USEC_PER_SEC / 2)

gboolean
mmap_consumer_wait_for (MmapConsumer * consumer, int fd, gint64 timeout_us)
{
  struct timespec timeout = { timeout_us / G_USEC_PER_SEC,
    timeout_us % G_USEC_PER_SEC * 1000
  };
  struct pollfd fds[2] = {
    {consumer->cancel_fd, POLLIN, 0},
    {fd, POLLIN, 0},
  };

  ppoll (fds, G_N_ELEMENTS (fds), &timeout, NULL);
  return !g_atomic_int_get (&consumer->cancelled);
}

/* Between two looks. */
static void
wait_to_search (MmapConsumer * consumer)
{
  gint64 searched = g_get_monotonic_time () - consumer->wait_began;
  gint64 interval = CLAMP (searched / SEARCH_INTERVAL_PART,
      SEARCH_INTERVAL_MIN_US, SEARCH_INTERVAL_MAX_US);

  mmap_consumer_wait_for (consumer, -1, MIN (interval,
          mmap_consumer_get_wait_left (consumer)));
}

gboolean
mmap_consumer_say_hello (MmapConsumer * consumer, GSocket * socket,
    GError ** error)
{
  g_auto (GVariantBuilder) body =
      G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);

  g_variant_builder_add (&body, "{sv}", "protocol",
      g_variant_new_uint32 (MMAP_PROTOCOL_VERSION));
  if (mmap_consumer_has_to_prove (consumer)) {
    if (!mmap_consumer_add_nonce (consumer, &body, error))
      return FALSE;
  } else {
    g_mutex_lock (&consumer->lock);
    if (consumer->media)
      g_variant_builder_add (&body, "{sv}", "media",
          g_variant_new_string (consumer->media));
    g_mutex_unlock (&consumer->lock);
    mmap_consumer_add_kernel (consumer, &body);
  }
  return mmap_message_send (socket, MMAP_MESSAGE_HELLO,
      g_variant_builder_end (&body), NULL, 0, error);
}

/* Whether mmap_consumer_accept_offer() was called. */
static gboolean
search_carried (MmapConsumer * consumer)
{
  g_mutex_lock (&consumer->receive_lock);
  if (consumer->socket)
    consumer->state = CONSUMER_GREETED;
  g_mutex_unlock (&consumer->receive_lock);
  return consumer->state == CONSUMER_GREETED;
}

/* The default directory is made by the producer. Another one may have been mistyped; not if there was a producer in it. */
static gboolean
is_nobody_there (MmapConsumer * consumer, const GError * error)
{
  return g_error_matches (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND)
      || (g_error_matches (error, MMAP_ERROR, MMAP_ERROR_NO_DIRECTORY)
      && (!consumer->address || mmap_load_relaxed (&consumer->stats.links)));
}

/* Whether a producer may just be about to let us in. */
static gboolean
is_denied_yet (MmapConsumer * consumer, const GError * error)
{
  gint64 now = g_get_monotonic_time ();

  if (!g_error_matches (error, MMAP_ERROR, MMAP_ERROR_PERMISSION)) {
    consumer->denied_us = 0;
    return FALSE;
  }
  if (consumer->denied_us == 0)
    consumer->denied_us = now;
  return now < consumer->denied_us + DENIED_US;
}

/* Before anything that the producer says is believed, or it is told anything. */
static gboolean
check_user (MmapConsumer * consumer, GSocket * socket, const char *address,
    GError ** error)
{
  gboolean allowed;
  MmapPeer peer;

  if (!mmap_peer_init (&consumer->found, g_socket_get_fd (socket), error))
    return FALSE;
  peer = consumer->found;
  g_mutex_lock (&consumer->lock);
  allowed = mmap_users_have (consumer->allowed, peer.uid);
  g_mutex_unlock (&consumer->lock);
  if (allowed)
    return TRUE;
  if (mmap_users_is_unknown (peer.uid))
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_USER,
        "The producer at %s is run by a user that the consumer's user "
        "namespace doesn't know (it reads as %u): only allowed-uids=any of "
        "mmapsrc trusts it", address, peer.uid);
  else
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_USER,
        "The producer at %s is run by user %u, whom the consumer doesn't "
        "trust: if it should, name that user in allowed-uids of mmapsrc",
        address, peer.uid);
  return FALSE;
}

/* @found: (transfer full) (nullable): of a producer
 * @failure: (transfer full): why there is none
 * FALSE without an error: nobody there yet. */
static gboolean
greet (MmapConsumer * consumer, GSocket * found, GError * failure,
    GError ** error)
{
  g_autoptr (GSocket) socket = found;
  g_autoptr (GError) cause = failure;

  consumer->proof = CONSUMER_PROOF_NONE;
  /* A producer that has refused already doesn't hear it: what it said is still to be read. */
  if (socket && (mmap_consumer_say_hello (consumer, socket, &cause)
          || g_error_matches (cause, MMAP_ERROR, MMAP_ERROR_CLOSED))) {
    g_mutex_lock (&consumer->receive_lock);
    consumer->denied_us = 0;
    consumer->socket = g_steal_pointer (&socket);
    consumer->state = CONSUMER_GREETED;
    g_mutex_unlock (&consumer->receive_lock);
    return TRUE;
  }
  g_clear_object (&socket);
  mmap_consumer_leave_area (consumer);
  if (!is_denied_yet (consumer, cause) && !is_nobody_there (consumer, cause))
    g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

/* One look for a producer. FALSE without an error: nobody there yet. */
static gboolean
search (MmapConsumer * consumer, GError ** error)
{
  g_autoptr (GError) cause = NULL;
  g_autoptr (GSocket) socket = NULL;
  g_autofree char *address = NULL;

  if (consumer->is_carried)
    return search_carried (consumer);
  if (consumer->area_file) {
    socket = mmap_consumer_search_area (consumer, &cause);
    return greet (consumer, g_steal_pointer (&socket),
        g_steal_pointer (&cause), error);
  }
  address = consumer->address ? g_strdup (consumer->address) :
      mmap_address_get_default (FALSE, error);
  if (!address)
    return FALSE;
  socket = mmap_address_connect (address, &cause);
  if (socket && !check_user (consumer, socket, address, error))
    return FALSE;
  return greet (consumer, g_steal_pointer (&socket), g_steal_pointer (&cause),
      error);
}

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
make_answer (MmapConsumer * consumer, MmapLink * link,
    const MmapCapabilities * offer, MmapCapabilities * answer, GError ** error)
{
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
  if (link->peer_fd >= 0)
    consumer->told_serial = consumer->media_serial;
  g_mutex_unlock (&consumer->lock);
  mmap_token_write (&answer->token,
      (guint8 *) link->area + answer->token_index);
  return TRUE;
}

static gboolean
send_answer (MmapConsumer * consumer, MmapLink * link,
    const MmapCapabilities * offer, GError ** error)
{
  g_auto (MmapCapabilities) answer = { 0 };

  if (!make_answer (consumer, link, offer, &answer, error))
    return FALSE;
  /* The first answer also carries what wakes the producer. */
  if (!mmap_message_send (consumer->socket, MMAP_MESSAGE_ANSWER,
          mmap_capabilities_to_variant (&answer), &link->peer_fd,
          link->peer_fd >= 0 ? 1 : 0, error))
    return FALSE;
  mmap_link_close_peer_fd (link);
  return TRUE;
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
        mmap_message_take_fd (message, first_fd + 1), offer->session, error);
  if (!link)
    return FALSE;
  if (mmap_link_is_polled (link)) {
    consumer->nap_us = 0;
    consumer->seen = mmap_load_acquire (consumer->word);
  } else if (!mmap_sleeper_add_fd (&link->sleeper, consumer->cancel_fd,
          SLEEP_CANCEL)
      || !mmap_sleeper_add_fd (&link->sleeper,
          g_socket_get_fd (consumer->socket), SLEEP_SOCKET)
      || !mmap_sleeper_add_fd (&link->sleeper,
          mmap_alarm_get_fd (consumer->alarm), SLEEP_ALARM)) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "epoll_ctl: %s", g_strerror (errno));
    mmap_link_free (link);
    return FALSE;
  }
  opened = g_new0 (MmapConsumerLink, 1);
  opened->ref_count = 1;
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
  n_fds = message->n_fds > (consumer->link ? 0 : 2) ? 1 : 0;
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

static gboolean
handle_offer (MmapConsumer * consumer, MmapMessage * message, GError ** error)
{
  g_auto (MmapCapabilities) offer = { 0 };

  /* The answer is last: if the producer has gone, what it sent before can still be read. */
  return take_offer (consumer, message, &offer, error)
      && send_answer (consumer, consumer->link->link, &offer, error);
}

static gboolean
handle_message (MmapConsumer * consumer, MmapMessage * message, GError ** error)
{
  switch (message->kind) {
    case MMAP_MESSAGE_OFFER:
      return handle_offer (consumer, message, error);
    case MMAP_MESSAGE_ACCEPT:
      if (consumer->state == CONSUMER_GREETED && consumer->region) {
        consumer->state = CONSUMER_UP;
        mmap_consumer_open_peer (consumer);
        mmap_add_relaxed (&consumer->stats.links, 1);
        return TRUE;
      }
      break;
    case MMAP_MESSAGE_REFUSE:
      mmap_message_get_refusal (message, error);
      return FALSE;
    case MMAP_MESSAGE_CHALLENGE:
    case MMAP_MESSAGE_PROOF:
      return mmap_consumer_handle_proof (consumer, message, error);
    case MMAP_MESSAGE_EVENT:
    case MMAP_MESSAGE_RESULT:
      if (consumer->state == CONSUMER_UP)
        return mmap_consumer_take_message (consumer, message, error);
      break;
    default:
      break;
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The producer sent a message of kind %d out of turn", message->kind);
  return FALSE;
}

/* An offer that was taken back can't be right any more: its token is wiped, its file another one's. What the producer has said since, or that
 * it has gone, is the error then. */
static void
look_behind_locked (MmapConsumer * consumer, GError ** error)
{
  g_auto (MmapMessage) message = { 0 };
  g_autoptr (GError) newer = NULL;

  if (consumer->state != CONSUMER_GREETED || consumer->is_carried)
    return;
  if (mmap_message_receive (consumer->socket, &message, &newer)
      && message.kind == MMAP_MESSAGE_REFUSE)
    mmap_message_get_refusal (&message, &newer);
  /* What comes through a stream may not be here yet. */
  if (consumer->client && mmap_area_client_has_lost_stream (consumer->client)
      && (!newer || g_error_matches (newer, MMAP_ERROR, MMAP_ERROR_NOT_FOUND))) {
    g_clear_error (&newer);
    g_set_error (&newer, MMAP_ERROR, MMAP_ERROR_CLOSED,
        "The producer has hung up");
  }
  if (!newer || g_error_matches (newer, MMAP_ERROR, MMAP_ERROR_NOT_FOUND))
    return;
  g_clear_error (error);
  g_propagate_error (error, g_steal_pointer (&newer));
}

static gboolean
receive_locked (MmapConsumer * consumer, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  if (consumer->failure) {
    g_propagate_error (error, g_steal_pointer (&consumer->failure));
    return FALSE;
  }
  for (;;) {
    g_auto (MmapMessage) message = { 0 };

    if (!mmap_message_receive (consumer->socket, &message, &cause))
      break;
    if (!handle_message (consumer, &message, &cause)) {
      if (message.kind == MMAP_MESSAGE_OFFER)
        look_behind_locked (consumer, &cause);
      break;
    }
  }

  if (g_error_matches (cause, MMAP_ERROR, MMAP_ERROR_NOT_FOUND))
    return TRUE;
  if (g_error_matches (cause, MMAP_ERROR, MMAP_ERROR_CLOSED)) {
    g_atomic_int_set (&consumer->hung_up, TRUE);
    return TRUE;
  }
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

gboolean
mmap_consumer_receive (MmapConsumer * consumer, GError ** error)
{
  gboolean received;

  g_mutex_lock (&consumer->receive_lock);
  received = receive_locked (consumer, error);
  g_mutex_unlock (&consumer->receive_lock);
  return received;
}

gboolean
mmap_consumer_receive_for_peer (MmapConsumer * consumer, GSocket * peer)
{
  g_autoptr (GError) error = NULL;
  gboolean open = FALSE;

  g_mutex_lock (&consumer->receive_lock);
  if (consumer->socket == peer && !consumer->failure) {
    if (!receive_locked (consumer, &error)) {
      consumer->failure = g_steal_pointer (&error);
      /* The thread that calls next() sleeps on the socket: now it is readable for good, and next() looks. */
      g_socket_shutdown (peer, TRUE, FALSE, NULL);
      mmap_futex_wake_own (consumer->word);
    } else {
      open = !g_atomic_int_get (&consumer->hung_up);
    }
  }
  g_mutex_unlock (&consumer->receive_lock);
  return open;
}

/* While a producer is looked for: FALSE without an error: it is not to be waited for any longer. */
static gboolean
try_search (MmapConsumer * consumer, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  if (search (consumer, &cause)) {
    mmap_consumer_note_greeting (consumer);
    return TRUE;
  }
  if (cause) {
    g_propagate_error (error, g_steal_pointer (&cause));
    return FALSE;
  }
  /* What lacked was of one that isn't there any more. */
  consumer->lacking = 0;
  if (mmap_consumer_get_wait_left (consumer) == 0)
    return FALSE;
  wait_to_search (consumer);
  return TRUE;
}

/* The producer's end of the handshake. As try_search(). */
static gboolean
try_greet (MmapConsumer * consumer, GError ** error)
{
  g_autoptr (GError) cause = NULL;
  gint64 left = mmap_consumer_get_wait_left (consumer);

  if (!mmap_consumer_wait_for (consumer, g_socket_get_fd (consumer->socket),
          MIN (left, PATIENCE_INTERVAL_US)))
    return TRUE;
  if (!mmap_consumer_receive (consumer, &cause)) {
    /* This process was stopped for longer than a producer waits for an answer: it may ask again. */
    if (consumer->is_carried
        || !g_error_matches (cause, MMAP_ERROR, MMAP_ERROR_TIMEOUT)) {
      g_propagate_error (error, g_steal_pointer (&cause));
      return FALSE;
    }
    consumer->hung_up = TRUE;
  }
  /* A link that is up has frames to hand out, even if the producer has gone meanwhile. */
  if (consumer->state == CONSUMER_UP)
    return TRUE;
  left = mmap_consumer_get_wait_left (consumer);
  if (!consumer->hung_up)
    return left > 0;
  /* It went before the link was up: as if it had not been there. */
  mmap_consumer_disconnect (consumer);
  left = mmap_consumer_get_wait_left (consumer);
  mmap_consumer_wait_for (consumer, -1, MIN (left, SEARCH_INTERVAL_MAX_US));
  return left > 0;
}

MmapNextResult
mmap_consumer_connect (MmapConsumer * consumer, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  mmap_consumer_begin_wait (consumer);
  while (!g_atomic_int_get (&consumer->cancelled)) {
    gboolean more;

    /* Somebody may still have frames of an earlier link. */
    if (!mmap_consumer_check_memory (consumer, &cause))
      more = FALSE;
    else
      more = consumer->state == CONSUMER_SEARCHING ?
          try_search (consumer, &cause) : try_greet (consumer, &cause);

    if (cause && mmap_consumer_try_again (consumer, cause)) {
      g_clear_error (&cause);
      continue;
    }
    if (!more && !cause)
      mmap_consumer_give_up (consumer, &cause);
    if (consumer->state == CONSUMER_UP)
      consumer->lacking = 0;
    if (!more || consumer->state == CONSUMER_UP)
      consumer->waited_us = 0;
    if (!more) {
      g_propagate_error (error, g_steal_pointer (&cause));
      return MMAP_NEXT_ERROR;
    }
    if (consumer->state == CONSUMER_UP)
      return MMAP_NEXT_CONNECTED;
  }
  mmap_consumer_pause_wait (consumer);
  return MMAP_NEXT_CANCELLED;
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
      "the link's, one for wake-ups, and a socket (%s)",
      cause ? cause->message : fd >=
      0 ? "the last is no Unix socket for packets" : "there are none");
  if (fd >= 0)
    close (fd);
  return FALSE;
}

static gboolean
send_carried_hello (MmapConsumer * consumer, GError ** error)
{
  MmapLink *link = consumer->link->link;
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "protocol",
      g_variant_new_uint32 (MMAP_PROTOCOL_VERSION));
  if (!mmap_message_send (consumer->socket, MMAP_MESSAGE_HELLO,
          g_variant_builder_end (&body), &link->peer_fd, 1, error))
    return FALSE;
  mmap_link_close_peer_fd (link);
  return TRUE;
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
      close (fds[i]);
  }
  g_mutex_lock (&consumer->receive_lock);
  if (may_accept (consumer, n_fds, error)) {
    accepted = take_socket (consumer, &message, error)
        && take_offer (consumer, &message, &taken, error)
        && make_answer (consumer, consumer->link->link, &taken, &made, error)
        && send_carried_hello (consumer, error);
    if (accepted)
      answer = carried_answer_to_variant (&made, offer);
    else
      mmap_consumer_drop_link_locked (consumer);
  }
  g_mutex_unlock (&consumer->receive_lock);
  return answer;
}
