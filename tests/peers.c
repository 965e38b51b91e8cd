/* gst-mmap: the other side of a link, played by a test
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Producers and consumers that follow the protocol, and such that are made by hand to break it. Called by the test
 * programs, from any of their threads.
 */
#include "peers.h"

#include "blocks.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

void
check_error (GError ** error, MmapError code, const char *reason)
{
  g_assert_error (*error, MMAP_ERROR, (gint) code);
  if (strstr ((*error)->message, reason) == NULL)
    g_error ("\"%s\" doesn't say \"%s\"", (*error)->message, reason);
  g_clear_error (error);
}

guint16
find_tcp_port (void)
{
  struct sockaddr_in in = {.sin_family = AF_INET };
  socklen_t size = sizeof in;
  int fd = socket (AF_INET, SOCK_STREAM, 0);

  in.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &in, size), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *) &in, &size), ==, 0);
  close (fd);
  return ntohs (in.sin_port);
}

guint
count_descriptors (void)
{
  GDir *dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  g_dir_close (dir);
  return n;
}

void
lingering_init (Lingering * lingering)
{
  struct sockaddr_in in = {.sin_family = AF_INET };
  struct linger linger = { 1, 300 };
  socklen_t size = sizeof in;
  int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char bytes[4096] = { 0 };

  in.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_cmpint (bind (listener, (struct sockaddr *) &in, size), ==, 0);
  g_assert_cmpint (listen (listener, 1), ==, 0);
  g_assert_cmpint (getsockname (listener, (struct sockaddr *) &in, &size), ==,
      0);
  lingering->fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (connect (lingering->fd, (struct sockaddr *) &in, size), ==,
      0);
  lingering->peer = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
  g_assert_cmpint (lingering->peer, >=, 0);
  close (listener);
  while (send (lingering->fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0);
  g_assert_cmpint (setsockopt (lingering->fd, SOL_SOCKET, SO_LINGER, &linger,
          sizeof linger), ==, 0);
}

static gpointer
ring_on (gpointer data)
{
  Restless *restless = data;
  guint32 count = 0;

  while (!g_atomic_int_get (&restless->stop)) {
    mmap_futex_wake (restless->bell, &count);
    sched_yield ();
  }
  return NULL;
}

void
restless_start (Restless * restless, guint32 * bell)
{
  restless->bell = bell;
  restless->stop = FALSE;
  restless->thread = g_thread_new ("restless", ring_on, restless);
}

void
restless_stop (Restless * restless)
{
  g_atomic_int_set (&restless->stop, TRUE);
  g_thread_join (restless->thread);
}

MmapProducer *
make_producer (const char *address, guint64 capacity)
{
  GError *error = NULL;
  MmapProducer *producer =
      mmap_producer_new (address, NULL, MMAP_TOKEN_DEFAULT_BYTES, &error);

  g_assert_no_error (error);
  g_assert_true (mmap_producer_start (producer, NULL));
  if (capacity > 0) {
    mmap_producer_set_region (producer, mmap_producer_size_for (capacity),
        G_MAXUINT64, "video/x-test", &error);
    g_assert_no_error (error);
  }
  return producer;
}

void
end_producer (MmapProducer * producer)
{
  mmap_producer_close (producer);
  mmap_producer_unref (producer);
}

static guint64
frame_word (guint64 number, gsize i)
{
  return number * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15) + i;
}

void
fill_frame (guint8 * data, gsize size, guint64 number)
{
  guint64 *words = (guint64 *) data;
  gsize i;

  for (i = 0; i < size / sizeof (guint64); i++)
    words[i] = frame_word (number, i);
}

void
check_frame (const MmapItem * item, guint64 number)
{
  const guint64 *words = (const guint64 *) item->data;
  gsize i;

  g_assert_cmpuint (item->descriptor.pts, ==, number);
  for (i = 0; i < item->descriptor.size / sizeof (guint64); i++)
    if (words[i] != frame_word (number, i))
      g_error ("Word %" G_GSIZE_FORMAT " of frame %" G_GUINT64_FORMAT
          " is wrong", i, number);
}

MmapPublishResult
try_publish_frame (MmapProducer * producer, guint64 number, gsize size)
{
  MmapDescriptor frame = { 0, };
  MmapBlock *block = NULL;
  MmapCancel cancel = { FALSE };
  MmapPublishResult result;

  for (;;) {
    guint64 serial = mmap_producer_collect (producer);

    if (size > 0)
      block = mmap_producer_alloc (producer, size, 64, MMAP_ALLOC_COPY);
    if (size == 0 || block)
      break;
    g_assert_cmpint (mmap_producer_wait (producer, &cancel, serial, -1), ==,
        MMAP_WAIT_OK);
  }
  if (block) {
    fill_frame (mmap_block_get_data (block), size, number);
    frame.offset = block->offset;
  }
  frame.size = size;
  frame.pts = number;
  frame.dts = frame.duration = frame.anchor = MMAP_TIME_NONE;
  result = mmap_producer_publish (producer, &frame, block,
      block ? (GDestroyNotify) mmap_block_unref : NULL, block);
  if (result == MMAP_PUBLISH_FULL && block)
    mmap_block_unref (block);
  return result;
}

void
publish_frame (MmapProducer * producer, guint64 number, gsize size)
{
  MmapCancel cancel = { FALSE };

  for (;;) {
    guint64 serial = mmap_producer_collect (producer);

    if (try_publish_frame (producer, number, size) == MMAP_PUBLISH_OK)
      break;
    g_assert_cmpint (mmap_producer_wait (producer, &cancel, serial, -1), ==,
        MMAP_WAIT_OK);
  }
}

void
push_event (MmapProducer * producer, MmapEventKind kind, const char *payload)
{
  MmapCancel cancel = { FALSE };
  MmapEvent event = { kind, 0, kind, NULL, payload, strlen (payload) };

  for (;;) {
    guint64 serial = mmap_producer_collect (producer);

    if (mmap_producer_push_event (producer, &event) == MMAP_PUBLISH_OK)
      break;
    g_assert_cmpint (mmap_producer_wait (producer, &cancel, serial, -1), ==,
        MMAP_WAIT_OK);
  }
}

void
wait_for_links (MmapProducer * producer, guint n_links)
{
  MmapCancel cancel = { FALSE };

  for (;;) {
    guint64 serial = mmap_producer_collect (producer);

    if (mmap_producer_get_n_links (producer) == n_links)
      break;
    g_assert_cmpint (mmap_producer_wait (producer, &cancel, serial, -1), ==,
        MMAP_WAIT_OK);
  }
}

void
wait_for_held (MmapProducer * producer, guint n_held)
{
  MmapCancel cancel = { FALSE };

  for (;;) {
    guint64 serial = mmap_producer_collect (producer);

    if (mmap_producer_get_held (producer) == n_held)
      break;
    g_assert_cmpint (mmap_producer_wait (producer, &cancel, serial, -1), ==,
        MMAP_WAIT_OK);
  }
}

void
wait_for_failures (MmapProducer * producer, MmapError code, guint64 n)
{
  MmapCancel cancel = { FALSE };
  MmapProducerStats stats;
  MmapWaitResult result;

  for (;;) {
    guint64 serial = mmap_producer_collect (producer);

    mmap_producer_get_stats (producer, &stats);
    g_assert_cmpuint (stats.failures[code], <=, n);
    if (stats.failures[code] == n)
      break;
    result = mmap_producer_wait (producer, &cancel, serial, -1);
    /* One whose memory has gone waits no more, and its thread still ends the links. */
    if (result == MMAP_WAIT_FAILED)
      g_usleep (1000);
    else
      g_assert_cmpint (result, ==, MMAP_WAIT_OK);
  }
}

void
check_all_free (MmapProducer * producer)
{
  guint64 capacity = mmap_producer_get_capacity (producer);
  MmapCancel cancel = { FALSE };
  MmapBlock *block;

  g_assert_cmpuint (capacity, >, 0);
  for (;;) {
    guint64 serial = mmap_producer_collect (producer);

    block = mmap_producer_alloc (producer, capacity, 64, MMAP_ALLOC_COPY);
    if (block)
      break;
    g_assert_cmpint (mmap_producer_wait (producer, &cancel, serial, -1), ==,
        MMAP_WAIT_OK);
  }
  mmap_block_unref (block);
}

/* Called with the lock held. FALSE at the end. */
static gboolean
reader_take (Reader * reader, MmapNextResult next, MmapItem * item)
{
  switch (next) {
    case MMAP_NEXT_FRAME:
      check_frame (item, item->descriptor.pts);
      reader->frames++;
      reader->last = item->descriptor.pts;
      if (reader->hold)
        g_array_append_val (reader->held, *item);
      else
        release_item (item);
      return TRUE;
    case MMAP_NEXT_EVENT:
      reader->events++;
      mmap_item_clear (item);
      return TRUE;
    case MMAP_NEXT_CONNECTED:
      reader->connected++;
      return TRUE;
    case MMAP_NEXT_DISCONNECTED:
      reader->disconnected++;
      return TRUE;
    default:
      return FALSE;
  }
}

static gpointer
reader_thread (gpointer data)
{
  Reader *reader = data;
  gboolean more = TRUE;

  while (more) {
    GError *error = NULL;
    MmapItem item;
    MmapNextResult next = mmap_consumer_next (reader->consumer, &item, &error);

    g_mutex_lock (&reader->lock);
    more = reader_take (reader, next, &item);
    if (error)
      reader->error = error;
    g_cond_broadcast (&reader->cond);
    g_mutex_unlock (&reader->lock);
  }
  return NULL;
}

void
reader_start (Reader * reader, const char *address, gboolean hold)
{
  GError *error = NULL;

  memset (reader, 0, sizeof (*reader));
  g_mutex_init (&reader->lock);
  g_cond_init (&reader->cond);
  reader->hold = hold;
  reader->held = g_array_new (FALSE, FALSE, sizeof (MmapItem));
  reader->consumer = mmap_consumer_new (address, &error);
  g_assert_no_error (error);
  reader->thread = g_thread_new ("reader", reader_thread, reader);
}

void
reader_stop (Reader * reader)
{
  guint i;

  mmap_consumer_set_cancelled (reader->consumer, TRUE);
  g_thread_join (reader->thread);
  g_assert_no_error (reader->error);
  for (i = 0; i < reader->held->len; i++)
    release_item (&g_array_index (reader->held, MmapItem, i));
  g_array_unref (reader->held);
  mmap_consumer_free (reader->consumer);
  g_mutex_clear (&reader->lock);
  g_cond_clear (&reader->cond);
}

void
next_item (MmapConsumer * consumer, MmapItem * item, MmapNextResult expected)
{
  GError *error = NULL;
  MmapNextResult next = mmap_consumer_next (consumer, item, &error);

  g_assert_no_error (error);
  g_assert_cmpint (next, ==, expected);
}

void
release_item (MmapItem * item)
{
  mmap_consumer_link_release (item->link, item->descriptor.id,
      item->descriptor.size);
  mmap_item_clear (item);
}

gboolean
raw_receive (GSocket * socket, MmapMessage * message)
{
  GError *error = NULL;

  while (!mmap_message_receive (socket, TRUE, message, &error)) {
    if (!g_error_matches (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND)) {
      g_assert_error (error, MMAP_ERROR, MMAP_ERROR_CLOSED);
      g_error_free (error);
      return FALSE;
    }
    g_clear_error (&error);
    g_socket_condition_wait (socket, G_IO_IN, NULL, &error);
    g_assert_no_error (error);
  }
  return TRUE;
}

GVariant *
raw_body (const char *key, const char *value)
{
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  if (value)
    g_variant_builder_add (&body, "{sv}", key, g_variant_new_string (value));
  return g_variant_builder_end (&body);
}

void
raw_send_message (GSocket * socket, MmapMessageKind kind, GVariant * body)
{
  GError *error = NULL;

  mmap_message_send (socket, kind, body ? body : raw_body (NULL, NULL), NULL, 0,
      &error);
  g_assert_no_error (error);
}

void
raw_send_bytes (GSocket * socket, gconstpointer data, gsize size)
{
  GError *error = NULL;

  g_assert_cmpint (g_socket_send (socket, data, size, NULL, &error), ==, size);
  g_assert_no_error (error);
}

#define CONNECT_LIMIT_US (10 * G_USEC_PER_SEC)

void
raw_connect (RawConsumer * raw, const char *address)
{
  gint64 deadline = g_get_monotonic_time () + CONNECT_LIMIT_US;
  GError *error = NULL;

  memset (raw, 0, sizeof (*raw));
  /* The queue of those who connect may be full. */
  while (!(raw->socket = mmap_address_connect (address, &error))
      && g_error_matches (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND)
      && g_get_monotonic_time () < deadline) {
    g_clear_error (&error);
    g_usleep (1000);
  }
  g_assert_no_error (error);
}

void
raw_send_hello (RawConsumer * raw, guint32 protocol)
{
  GVariantBuilder body;
  GError *error = NULL;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "protocol",
      g_variant_new_uint32 (protocol));
  mmap_message_send (raw->socket, MMAP_MESSAGE_HELLO,
      g_variant_builder_end (&body), NULL, 0, &error);
  g_assert_no_error (error);
}

void
raw_take_offer (RawConsumer * raw)
{
  MmapMessage message;
  GError *error = NULL;

  g_assert_true (raw_receive (raw->socket, &message));
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_OFFER);
  mmap_capabilities_clear (&raw->offer);
  mmap_capabilities_init_variant (&raw->offer, message.body, &error);
  g_assert_no_error (error);
  g_clear_pointer (&raw->region, mmap_region_unref);
  raw->region = mmap_region_open_fd (mmap_message_take_fd (&message, 0),
      raw->offer.size, &error);
  g_assert_no_error (error);
  if (!raw->link) {
    raw->link = mmap_link_open (mmap_message_take_fd (&message, 1),
        raw->offer.session, &error);
    g_assert_no_error (error);
  }
  g_assert_true (mmap_token_check (&raw->offer.token,
          raw->region->base + raw->offer.token_index));
  mmap_message_clear (&message);
}

void
raw_make_answer (RawConsumer * raw, MmapCapabilities * answer)
{
  GError *error = NULL;

  mmap_capabilities_init (answer);
  mmap_token_init_random (&answer->token, raw->offer.token.n_bytes, &error);
  g_assert_no_error (error);
  answer->session = raw->offer.session;
  answer->region_id = raw->offer.region_id;
  answer->size = raw->offer.size;
  answer->token_index = offsetof (MmapLinkArea, token_area) + 17;
  mmap_token_write (&answer->token,
      (guint8 *) raw->link->area + answer->token_index);
}

void
raw_send_answer (RawConsumer * raw, const MmapCapabilities * answer)
{
  GError *error = NULL;

  mmap_message_send (raw->socket, MMAP_MESSAGE_ANSWER,
      mmap_capabilities_to_variant (answer), NULL, 0, &error);
  g_assert_no_error (error);
}

void
raw_bring_up (RawConsumer * raw, const char *address)
{
  MmapCapabilities answer;
  MmapMessage message;

  raw_connect (raw, address);
  raw_send_hello (raw, MMAP_PROTOCOL_VERSION);
  raw_take_offer (raw);
  raw_make_answer (raw, &answer);
  raw_send_answer (raw, &answer);
  mmap_capabilities_clear (&answer);
  g_assert_true (raw_receive (raw->socket, &message));
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_ACCEPT);
  mmap_message_clear (&message);
}

void
raw_expect_refusal (RawConsumer * raw, MmapError code, const char *reason)
{
  GError *error = NULL;
  MmapMessage message;

  for (;;) {
    g_assert_true (raw_receive (raw->socket, &message));
    if (message.kind == MMAP_MESSAGE_REFUSE)
      break;
    mmap_message_clear (&message);
  }
  mmap_message_get_refusal (&message, &error);
  check_error (&error, code, reason);
  mmap_message_clear (&message);
  /* Then it closes: at once, or, if anything is held, when this side does. */
  g_socket_shutdown (raw->socket, FALSE, TRUE, NULL);
  g_assert_false (raw_receive (raw->socket, &message));
}

void
raw_clear (RawConsumer * raw)
{
  g_clear_object (&raw->socket);
  mmap_capabilities_clear (&raw->offer);
  g_clear_pointer (&raw->region, mmap_region_unref);
  g_clear_pointer (&raw->link, mmap_link_free);
}

void
raw_producer_init (RawProducer * raw, const char *address)
{
  GError *error = NULL;

  memset (raw, 0, sizeof (*raw));
  raw->listener = mmap_listener_new (address, &error);
  g_assert_no_error (error);
  raw->region = mmap_region_new_memfd (RAW_SIZE, RAW_SESSION, 1, &error);
  g_assert_no_error (error);
  raw->link = mmap_link_new (RAW_SESSION, 1, &error);
  g_assert_no_error (error);
  mmap_capabilities_init (&raw->offer);
  mmap_token_init_random (&raw->offer.token, 32, &error);
  g_assert_no_error (error);
  raw->offer.session = RAW_SESSION;
  raw->offer.region_id = 1;
  raw->offer.file = g_strdup ("memfd");
  raw->offer.size = RAW_SIZE;
  raw->offer.token_index = RAW_SIZE - 100;
  raw->offer.max_held = RAW_SIZE;
  mmap_token_write (&raw->offer.token,
      raw->region->base + raw->offer.token_index);
}

void
raw_producer_greet (RawProducer * raw)
{
  GError *error = NULL;
  MmapMessage message;

  g_clear_object (&raw->socket);
  g_socket_condition_wait (raw->listener->socket, G_IO_IN, NULL, &error);
  g_assert_no_error (error);
  raw->socket = g_socket_accept (raw->listener->socket, NULL, &error);
  g_assert_no_error (error);
  g_socket_set_blocking (raw->socket, FALSE);
  g_assert_true (raw_receive (raw->socket, &message));
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_HELLO);
  mmap_message_clear (&message);
}

void
raw_producer_send_fds (RawProducer * raw, GVariant * body, const int *fds,
    guint n_fds)
{
  GError *error = NULL;

  mmap_message_send (raw->socket, MMAP_MESSAGE_OFFER,
      body ? body : mmap_capabilities_to_variant (&raw->offer), fds, n_fds,
      &error);
  g_assert_no_error (error);
}

void
raw_producer_send_offer (RawProducer * raw, GVariant * body)
{
  int fds[2] = { raw->region->fd, raw->link->fd };

  raw_producer_send_fds (raw, body, fds, G_N_ELEMENTS (fds));
}

void
raw_producer_send (RawProducer * raw, MmapMessageKind kind)
{
  raw_send_message (raw->socket, kind, NULL);
}

void
raw_producer_bring_up (RawProducer * raw)
{
  MmapMessage message;

  raw_producer_greet (raw);
  raw_producer_send_offer (raw, NULL);
  g_assert_true (raw_receive (raw->socket, &message));
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_ANSWER);
  mmap_message_clear (&message);
  raw_producer_send (raw, MMAP_MESSAGE_ACCEPT);
}

MmapDescriptor
raw_producer_describe (RawProducer * raw)
{
  MmapDescriptor descriptor = { 0, };

  descriptor.sequence = ++raw->sequence;
  descriptor.id = raw->sequence;
  descriptor.region_id = 1;
  descriptor.offset = raw->region->blocks_offset;
  descriptor.size = 64;
  return descriptor;
}

void
raw_producer_push (RawProducer * raw, MmapRing * ring,
    const MmapDescriptor * descriptor)
{
  g_assert_cmpint (mmap_ring_push (ring, descriptor), ==, MMAP_RING_OK);
  mmap_link_wake (raw->link);
}

void
raw_producer_clear (RawProducer * raw)
{
  g_clear_object (&raw->socket);
  g_clear_pointer (&raw->listener, mmap_listener_free);
  g_clear_pointer (&raw->region, mmap_region_unref);
  g_clear_pointer (&raw->link, mmap_link_free);
  mmap_capabilities_clear (&raw->offer);
}
