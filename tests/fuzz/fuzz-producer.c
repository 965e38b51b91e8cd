/* gst-mmap: what the targets of the producer share: a producer without a thread, an honest consumer, hostile ones
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz-producer.h"

#include "producer-private.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REGION_BYTES (128 * 1024)
#define MAX_FRAME_BYTES 8192

/* A consumer refuses to keep more than 16 regions that nothing is in; a sink's events are in each. */
#define MAX_UNUSED_REGIONS 8

/* --- the producer --- */

static void
on_accepts (guint32 link_id, const char *media, gboolean answered,
    gpointer user_data)
{
  FuzzProducer *self = user_data;

  fuzz_assert (!media || g_utf8_validate (media, -1, NULL));
  if (answered && link_id == self->honest_link)
    mmap_producer_admit (self->producer, link_id);
}

static void
on_message (guint32 link_id, MmapMessageKind kind, GVariant * body,
    gpointer user_data)
{
  fuzz_assert (g_variant_is_of_type (body, G_VARIANT_TYPE_VARDICT));
}

static void
on_refused (const GError * reason, gpointer user_data)
{
  fuzz_assert (reason->domain == MMAP_ERROR && reason->code < MMAP_N_ERRORS);
}

void
fuzz_producer_serve (FuzzProducer * self)
{
  guint i;

  for (i = 0; i < 64
      && g_main_context_iteration (self->producer->context, FALSE); i++);
}

static void
bring_up_honest (FuzzProducer * self)
{
  g_autoptr (GVariant) offer = NULL, answer = NULL;
  int fds[MMAP_MESSAGE_MAX_FDS];
  MmapItem item;
  guint n;

  fuzz_assert (mmap_producer_create_offer (self->producer, &offer, fds, &n,
          NULL));
  fuzz_assert (g_variant_lookup (offer, "link-id", "u", &self->honest_link));
  answer = mmap_consumer_accept_offer (self->honest, offer, fds, n, NULL);
  fuzz_assert (answer && mmap_producer_accept_answer (self->producer, answer,
          NULL));
  fuzz_producer_serve (self);
  fuzz_assert (fuzz_next (self->honest, &item) == MMAP_NEXT_CONNECTED);
}

void
fuzz_producer_init (FuzzProducer * self)
{
  const MmapProducerCallbacks callbacks = {
    .accepts = on_accepts,
    .message = on_message,
    .refused = on_refused,
  };
  guint i;

  memset (self, 0, sizeof *self);
  for (i = 0; i < FUZZ_MAX_PEERS; i++)
    self->peers[i].fd = -1;
  self->producer = mmap_producer_new (MMAP_ADDRESS_NONE, NULL, 16, NULL);
  self->honest = mmap_consumer_new (MMAP_ADDRESS_NONE, NULL);
  mmap_producer_set_callbacks (self->producer, &callbacks, self);
  mmap_producer_set_spin_time (self->producer, 0);
  mmap_consumer_set_spin_time (self->honest, 0);
  fuzz_assert (mmap_producer_set_region (self->producer, REGION_BYTES,
          G_MAXUINT64, "video/x-raw", NULL));
  bring_up_honest (self);
}

typedef struct
{
  FuzzProducer *self;
  MmapBlock *block;
} Frame;

static void
on_free (gpointer data)
{
  Frame *frame = data;

  frame->self->n_notified++;
  mmap_block_unref (frame->block);
  g_free (frame);
}

/* As a sink does: a leaky producer doesn't wait for room. */
static MmapBlock *
alloc_block (FuzzProducer * self, gsize size)
{
  MmapProducer *producer = self->producer;
  MmapBlock *block;

  mmap_producer_collect (producer);
  do
    block = mmap_producer_alloc (producer, size, 64, MMAP_ALLOC_COPY);
  while (!block && mmap_producer_is_leaky (producer)
      && mmap_producer_reclaim (producer));
  return block;
}

static void
publish (FuzzProducer * self, gsize size)
{
  MmapDescriptor frame = { 0, };
  MmapBlock *block = alloc_block (self, size);
  Frame *data;

  if (!block) {
    if (mmap_producer_is_leaky (self->producer)) {
      mmap_producer_skip (self->producer);
      self->published++;
    }
    return;
  }
  frame.offset = block->offset;
  frame.size = size;
  frame.pts = self->published + 1;
  memset (mmap_block_get_data (block), frame.pts, size);
  data = g_new (Frame, 1);
  *data = (Frame) {
  self, block};
  if (mmap_producer_publish (self->producer, &frame, block, on_free, data) ==
      MMAP_PUBLISH_OK) {
    self->published++;
    self->n_sent++;
    self->unused = 0;
  } else {
    mmap_block_unref (block);
    g_free (data);
  }
}

static void
push_event (FuzzProducer * self, FuzzInput * input)
{
  MmapEvent event = { 0, };
  gsize size;

  event.kind = 1 + fuzz_below (input, 4);
  event.order = fuzz_below (input, 80);
  event.data = fuzz_bytes (input, fuzz_below (input, 32), &size);
  event.size = size;
  if (mmap_producer_push_event (self->producer, &event) == MMAP_PUBLISH_OK)
    self->unused = 0;
}

/* As many as fill a ring. */
static void
push_many (FuzzProducer * self, FuzzInput * input)
{
  MmapEvent event = {.kind = 1 };
  guint n = fuzz_byte (input);
  gboolean frames = n & 1;

  for (; n > 0; n--) {
    if (frames)
      publish (self, 8);
    else
      mmap_producer_push_event (self->producer, &event);
    if (n % 16 == 0)
      fuzz_producer_read (self);
  }
}

static void
choose_policy (FuzzProducer * self, FuzzInput * input)
{
  MmapLeaky leaky = fuzz_below (input, 3);

  self->may_drop = self->may_drop || leaky != MMAP_LEAKY_NONE;
  mmap_producer_set_leaky (self->producer, leaky);
  mmap_producer_set_max_buffers (self->producer, fuzz_below (input, 8));
}

static void
replace_region (FuzzProducer * self, FuzzInput * input)
{
  if (self->unused >= MAX_UNUSED_REGIONS)
    return;
  self->unused++;
  mmap_producer_set_region (self->producer,
      REGION_BYTES << fuzz_below (input, 2), G_MAXUINT64, NULL, NULL);
  /* It answers: who leaves too many offers unanswered is ended. */
  fuzz_producer_read (self);
}

static GVariant *
empty_body (void)
{
  return g_variant_new_array (G_VARIANT_TYPE ("{sv}"), NULL, 0);
}

/* Never the honest one's, unless it comes back. */
static guint32
choose_link (FuzzProducer * self, FuzzInput * input)
{
  return self->honest_link + 1 + fuzz_below (input, 8);
}

static void
refuse (FuzzProducer * self, FuzzInput * input)
{
  g_autoptr (GError) error = g_error_new_literal (MMAP_ERROR,
      MMAP_ERROR_NOT_NEGOTIATED, "a test says so");
  guint32 link = choose_link (self, input);

  if (fuzz_one_in (input, 2))
    mmap_producer_refuse (self->producer, link, error);
  else
    mmap_producer_refuse_later (self->producer, link, error);
}

/* Whatever a link waits for, it has waited long enough. */
static void
let_time_pass (FuzzProducer * self)
{
  guint i;

  for (i = 0; i < MMAP_MAX_LINKS; i++)
    if (self->producer->links[i] && self->producer->links[i]->timeout)
      g_source_set_ready_time (self->producer->links[i]->timeout, 0);
}

/* Now and then more than a socket has room for. */
static void
send_messages (FuzzProducer * self, FuzzInput * input)
{
  guint32 link = choose_link (self, input);
  guint n = fuzz_one_in (input, 16) ? 400 : 1;

  while (n-- > 0)
    mmap_producer_send (self->producer, link, MMAP_MESSAGE_EVENT,
        empty_body ());
}

void
fuzz_producer_act (FuzzProducer * self, FuzzInput * input)
{
  MmapProducer *producer = self->producer;
  MmapCancel cancel = { FALSE };
  MmapProducerStats stats;
  MmapLinkStats drops;
  MmapQos qos;

  switch (fuzz_below (input, 16)) {
    default:
      publish (self, 8 + fuzz_number (input) % MAX_FRAME_BYTES);
      if (!fuzz_one_in (input, 4))
        fuzz_producer_read (self);
      break;
    case 1:
      push_event (self, input);
      break;
    case 2:
      replace_region (self, input);
      break;
    case 3:
      mmap_producer_admit (producer, choose_link (self, input));
      break;
    case 4:
      mmap_producer_suspend (producer, choose_link (self, input));
      break;
    case 5:
      refuse (self, input);
      break;
    case 6:
      send_messages (self, input);
      break;
    case 7:
      mmap_producer_push_flush (producer, fuzz_byte (input), empty_body ());
      fuzz_producer_read (self);
      break;
    case 8:
      if (mmap_producer_take_qos (producer, &qos))
        fuzz_assert (qos.proportion >= 0 && qos.proportion <= G_MAXDOUBLE);
      break;
    case 9:
      mmap_producer_wait (producer, &cancel, mmap_producer_collect (producer),
          0);
      break;
    case 10:
      mmap_producer_collect (producer);
      mmap_producer_has_unread (producer);
      mmap_producer_get_stats (producer, &stats);
      mmap_producer_take_drops (producer, &drops);
      break;
    case 11:
      mmap_producer_forget_event (producer, 1 + fuzz_below (input, 4));
      break;
    case 12:
      mmap_producer_announce (producer);
      break;
    case 13:
      choose_policy (self, input);
      break;
    case 14:
      push_many (self, input);
      break;
    case 15:
      let_time_pass (self);
      break;
  }
}

/* --- the honest consumer --- */

static void
check_frame (const MmapItem * item)
{
  guint64 i;

  for (i = 0; i < item->descriptor.size; i++)
    fuzz_assert (item->data[i] == (guint8) item->descriptor.pts);
}

/* Nobody writes into a frame that is held. */
static void
give_back (MmapItem * item)
{
  if (!item->link)
    return;
  check_frame (item);
  fuzz_release (item);
}

/* It keeps some frames for a while. */
static void
take_frame (FuzzProducer * self, const MmapItem * item)
{
  MmapItem *slot;

  fuzz_assert (item->missed == 0 || self->may_drop);
  self->read += item->missed + 1;
  slot = &self->held[self->read % G_N_ELEMENTS (self->held)];
  fuzz_assert (item->descriptor.pts == self->read);
  check_frame (item);
  give_back (slot);
  *slot = *item;
}

void
fuzz_producer_read (FuzzProducer * self)
{
  MmapNextResult next;
  MmapItem item;

  while ((next = fuzz_next (self->honest, &item)) != MMAP_NEXT_CANCELLED) {
    if (next != MMAP_NEXT_FRAME && next != MMAP_NEXT_EVENT)
      g_printerr ("the honest consumer's link has ended: %s\n",
          fuzz_get_error ());
    fuzz_assert (next == MMAP_NEXT_FRAME || next == MMAP_NEXT_EVENT);
    if (next == MMAP_NEXT_FRAME)
      take_frame (self, &item);
    else
      fuzz_release (&item);
  }
  fuzz_assert (self->read == self->published || (self->may_drop
          && self->read < self->published));
}

static void
check_all_free (FuzzProducer * self)
{
  guint64 capacity = mmap_producer_get_capacity (self->producer);
  MmapBlock *block;

  mmap_producer_collect (self->producer);
  fuzz_assert (mmap_producer_get_held (self->producer) == 0);
  fuzz_assert (self->n_notified == self->n_sent);
  block = mmap_producer_alloc (self->producer, capacity, 64, MMAP_ALLOC_COPY);
  fuzz_assert (block);
  mmap_block_unref (block);
}

void
fuzz_producer_clear (FuzzProducer * self)
{
  guint i;

  fuzz_producer_read (self);
  for (i = 0; i < FUZZ_MAX_PEERS; i++)
    fuzz_peer_close (&self->peers[i]);
  fuzz_producer_serve (self);
  fuzz_assert (mmap_producer_get_n_links (self->producer) == 1);
  for (i = 0; i < G_N_ELEMENTS (self->held); i++)
    give_back (&self->held[i]);
  check_all_free (self);
  mmap_producer_close (self->producer);
  mmap_consumer_free (self->honest);
  mmap_producer_unref (self->producer);
}

/* --- the hostile ones --- */

static void
connect_plain (FuzzProducer * self, FuzzPeer * peer)
{
  g_autoptr (GSocket) socket = NULL;
  int fds[2];

  fuzz_assert (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
          fds) == 0);
  socket = g_socket_new_from_fd (fds[0], NULL);
  g_mutex_lock (&self->producer->lock);
  fuzz_assert (mmap_producer_link_new_locked (self->producer, socket, (MmapPeer) {
          getpid (), 0}, NULL));
  mmap_producer_unlock (self->producer);
  peer->fd = fds[1];
}

static void
take_offer (FuzzPeer * peer, GVariant * body, int link_fd)
{
  mmap_capabilities_clear (&peer->offer);
  peer->has_offer = mmap_capabilities_init_variant (&peer->offer, body, NULL);
  fuzz_assert (peer->has_offer);
  if (!peer->link) {
    peer->link = mmap_link_open (link_fd, peer->offer.session, NULL);
    fuzz_assert (peer->link);
  }
}

static void
connect_carried (FuzzProducer * self, FuzzPeer * peer)
{
  g_autoptr (GVariant) offer = NULL;
  int fds[MMAP_MESSAGE_MAX_FDS];
  guint n;

  if (!mmap_producer_create_offer (self->producer, &offer, fds, &n, NULL))
    return;
  fuzz_assert (n == 3);
  close (fds[0]);
  g_variant_lookup (offer, "link-id", "u", &peer->link_id);
  peer->fd = fds[2];
  take_offer (peer, offer, fds[1]);
}

void
fuzz_peer_connect (FuzzProducer * self, FuzzPeer * peer, gboolean carried)
{
  fuzz_peer_close (peer);
  if (carried)
    connect_carried (self, peer);
  else
    connect_plain (self, peer);
}

static void
take_challenge (FuzzPeer * peer, GVariant * body)
{
  fuzz_assert (mmap_secret_lookup_bytes (body, "access-nonce",
          peer->exchange.producer_nonce, MMAP_SECRET_NONCE_BYTES, NULL));
  fuzz_assert (g_variant_lookup (body, "session", "t",
          &peer->exchange.session));
}

void
fuzz_peer_receive (FuzzPeer * peer)
{
  g_autoptr (GSocket) socket = NULL;
  gboolean more = TRUE;

  if (peer->fd < 0)
    return;
  socket = g_socket_new_from_fd (dup (peer->fd), NULL);
  while (more) {
    g_auto (MmapMessage) message = { 0 };

    more = mmap_message_receive (socket, TRUE, &message, NULL);
    if (more && message.kind == MMAP_MESSAGE_CHALLENGE)
      take_challenge (peer, message.body);
    if (more && message.kind == MMAP_MESSAGE_OFFER)
      take_offer (peer, message.body, peer->link ? -1 :
          mmap_message_take_fd (&message, 1));
  }
}

void
fuzz_peer_bring_up (FuzzProducer * self, FuzzPeer * peer)
{
  g_autoptr (GVariant) answer = NULL;
  FuzzInput plain = { NULL, 0, FALSE };
  GVariantDict hello;

  fuzz_peer_connect (self, peer, TRUE);
  answer = fuzz_peer_make_answer (peer);
  /* Too many, or no room for a token. */
  if (!answer)
    return;
  fuzz_assert (mmap_producer_accept_answer (self->producer, answer, NULL));
  g_variant_dict_init (&hello, NULL);
  g_variant_dict_insert (&hello, "protocol", "u", MMAP_PROTOCOL_VERSION);
  fuzz_send (&plain, peer->fd, MMAP_MESSAGE_HELLO,
      g_variant_ref_sink (g_variant_dict_end (&hello)), NULL, 0);
  fuzz_producer_serve (self);
  mmap_producer_admit (self->producer, peer->link_id);
}

GVariant *
fuzz_peer_make_answer (FuzzPeer * peer)
{
  g_auto (MmapCapabilities) answer = { 0 };
  g_autoptr (GVariant) plain = NULL;
  GVariantDict dict;

  if (!peer->has_offer || !peer->link)
    return NULL;
  mmap_capabilities_init (&answer);
  answer.token.n_bytes = peer->offer.token.n_bytes;
  memset (answer.token.bytes, 0x5a, answer.token.n_bytes);
  answer.session = peer->offer.session;
  answer.region_id = peer->offer.region_id;
  answer.token_index = offsetof (MmapLinkArea, token_area) + 17;
  mmap_token_write (&answer.token,
      (guint8 *) peer->link->area + answer.token_index);
  plain = g_variant_ref_sink (mmap_capabilities_to_variant (&answer));
  if (peer->link_id == 0)
    return g_steal_pointer (&plain);
  g_variant_dict_init (&dict, plain);
  g_variant_dict_insert (&dict, "link-id", "u", peer->link_id);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

void
fuzz_peer_close (FuzzPeer * peer)
{
  if (peer->fd >= 0)
    close (peer->fd);
  g_clear_pointer (&peer->link, mmap_link_free);
  mmap_capabilities_clear (&peer->offer);
  memset (peer, 0, sizeof *peer);
  peer->fd = -1;
}
