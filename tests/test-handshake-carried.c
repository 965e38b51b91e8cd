/* gst-mmap: tests of the handshake through somebody else's channel
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. The test is the channel: it hands offers, descriptors and answers from one side to the other, and
 * does to them what channels and those behind them may do.
 */
#include "leak-check.h"
#include "peers.h"
#include "system-faults.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)

/* What travels to the consumer. */
typedef struct
{
  GVariant *caps;
  int fds[MMAP_MESSAGE_MAX_FDS];
  guint n_fds;
} Offer;

static void
make_offer (MmapProducer * producer, Offer * offer)
{
  GError *error = NULL;

  mmap_producer_create_offer (producer, &offer->caps, offer->fds,
      &offer->n_fds, &error);
  g_assert_no_error (error);
}

static void
drop_offer (Offer * offer)
{
  guint i;

  g_clear_pointer (&offer->caps, g_variant_unref);
  for (i = 0; i < offer->n_fds; i++)
    close (offer->fds[i]);
  offer->n_fds = 0;
}

/* Returns: (transfer full): the answer */
static GVariant *
take_offer (MmapConsumer * consumer, Offer * offer)
{
  GError *error = NULL;
  GVariant *answer = mmap_consumer_accept_offer (consumer, offer->caps,
      offer->fds, offer->n_fds, &error);

  g_assert_no_error (error);
  offer->n_fds = 0;
  drop_offer (offer);
  return answer;
}

static void
refuse_offer (MmapConsumer * consumer, Offer * offer, MmapError code,
    const char *reason)
{
  GError *error = NULL;

  g_assert_null (mmap_consumer_accept_offer (consumer, offer->caps, offer->fds,
          offer->n_fds, &error));
  check_error (&error, code, reason);
  offer->n_fds = 0;
  drop_offer (offer);
}

/* @answer: (transfer full) */
static void
take_answer (MmapProducer * producer, GVariant * answer)
{
  GError *error = NULL;

  mmap_producer_accept_answer (producer, answer, &error);
  g_assert_no_error (error);
  g_variant_unref (answer);
}

/* @answer: (transfer full) */
static void
refuse_answer (MmapProducer * producer, GVariant * answer, MmapError code,
    const char *reason)
{
  GError *error = NULL;

  g_assert_false (mmap_producer_accept_answer (producer, answer, &error));
  check_error (&error, code, reason);
  g_variant_unref (answer);
}

static void
carry (MmapProducer * producer, Reader * reader)
{
  Offer offer;

  make_offer (producer, &offer);
  take_answer (producer, take_offer (reader->consumer, &offer));
}

static void
publish_and_wait (MmapProducer * producer, Reader * reader, guint64 first,
    guint n)
{
  guint i;

  /* The hello comes by the socket: the link may not be up yet. */
  if (mmap_producer_get_n_links (producer) == 0)
    wait_for_links (producer, 1);
  for (i = 0; i < n; i++)
    publish_frame (producer, first + i, 1024);
  reader_wait (reader, reader->last == first + n - 1);
}

static void
set_region (MmapProducer * producer, guint64 capacity)
{
  GError *error = NULL;

  mmap_producer_set_region (producer, mmap_producer_size_for (capacity),
      G_MAXUINT64, "video/x-test", &error);
  g_assert_no_error (error);
}

static guint64
count_failures (MmapProducer * producer)
{
  MmapProducerStats stats;
  guint64 n = 0;
  guint i;

  mmap_producer_get_stats (producer, &stats);
  for (i = 0; i < MMAP_N_ERRORS; i++)
    n += stats.failures[i];
  return n;
}

static guint
count_entries (MmapRegion * region)
{
  MmapRegionHeader header;
  guint i, n = 0;

  g_assert_cmpint (pread (region->fd, &header, sizeof header, 0), ==,
      sizeof header);
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    n += header.links[i].state != 0;
  return n;
}

/* Waits until nobody is offered anything any more, either: that is not told, but written for tools. */
static void
wait_for_no_link (MmapProducer * producer)
{
  MmapRegion *region = mmap_producer_dup_region (producer);

  while (count_entries (region) > 0)
    g_usleep (1000);
  mmap_region_unref (region);
  check_all_free (producer);
}

/* Nothing is left of the one that failed, and the next offer works. */
static void
check_next_offer (MmapProducer * producer, Reader * reader)
{
  carry (producer, reader);
  wait_for_links (producer, 1);
  publish_and_wait (producer, reader, 1000, 10);
  wait_for_held (producer, 0);
  check_all_free (producer);
}

/* --- The right way --- */

static void
test_carried (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  guint32 link_id = 0;
  Reader reader;
  Offer offer;

  g_assert_null (mmap_producer_dup_address (producer));
  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  make_offer (producer, &offer);
  g_assert_cmpuint (offer.n_fds, ==, 3);
  g_assert_true (g_variant_lookup (offer.caps, "link-id", "u", &link_id));
  g_assert_cmpuint (link_id, ==, 1);
  take_answer (producer, take_offer (reader.consumer, &offer));
  wait_for_links (producer, 1);
  publish_and_wait (producer, &reader, 1, 500);
  /* A newer region comes through the socket. */
  set_region (producer, 2 * MIB);
  publish_and_wait (producer, &reader, 501, 10);
  g_assert_cmpuint (count_failures (producer), ==, 0);
  reader_stop (&reader);
  wait_for_links (producer, 0);
  end_producer (producer);
}

/* Nothing but the path says where the region is, if its descriptor is left out. */
static void
check_file (gboolean by_path)
{
  g_autofree char *path = leak_check_path ("file");
  GError *error = NULL;
  MmapProducer *producer = mmap_producer_new (MMAP_ADDRESS_NONE, path, 16,
      &error);
  Reader reader;
  Offer offer;

  g_assert_no_error (error);
  g_assert_true (mmap_producer_start (producer, NULL));
  set_region (producer, MIB);
  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  make_offer (producer, &offer);
  g_assert_cmpuint (offer.n_fds, ==, 3);
  if (by_path) {
    close (offer.fds[0]);
    memmove (offer.fds, offer.fds + 1, 2 * sizeof *offer.fds);
    offer.n_fds = 2;
  }
  take_answer (producer, take_offer (reader.consumer, &offer));
  publish_and_wait (producer, &reader, 1, 10);
  reader_stop (&reader);
  end_producer (producer);
}

static void
test_file (void)
{
  check_file (FALSE);
  check_file (TRUE);
}

/* Consumers that come by the socket, and others. */
static void
test_beside_socket (void)
{
  g_autofree char *address =
      g_strdup_printf ("@gst-mmap-test-%d-carried", (int) getpid ());
  MmapProducer *producer = make_producer (address, MIB);
  Reader one, other;

  reader_start (&one, address, FALSE);
  reader_start (&other, MMAP_ADDRESS_NONE, FALSE);
  carry (producer, &other);
  wait_for_links (producer, 2);
  publish_and_wait (producer, &one, 1, 100);
  reader_wait (&other, other.last == 100);
  reader_stop (&other);
  wait_for_links (producer, 1);
  publish_and_wait (producer, &one, 101, 100);
  reader_stop (&one);
  end_producer (producer);
}

/* --- A consumer made by hand --- */

/* Takes the offer's descriptors. */
static void
raw_open (RawConsumer * raw, Offer * offer)
{
  GError *error = NULL;

  memset (raw, 0, sizeof *raw);
  g_assert_cmpuint (offer->n_fds, ==, 3);
  mmap_capabilities_init_variant (&raw->offer, offer->caps, &error);
  g_assert_no_error (error);
  raw->region = mmap_region_open_fd (offer->fds[0], raw->offer.size, &error);
  g_assert_no_error (error);
  raw->link = mmap_link_open (offer->fds[1], raw->offer.session, &error);
  g_assert_no_error (error);
  raw->socket = g_socket_new_from_fd (offer->fds[2], &error);
  g_assert_no_error (error);
  g_socket_set_blocking (raw->socket, FALSE);
  offer->n_fds = 0;
}

static GVariant *
raw_answer (RawConsumer * raw, guint32 link_id, gboolean right)
{
  g_auto (MmapCapabilities) answer = { 0 };
  g_autoptr (GVariant) plain = NULL;
  GVariantDict dict;

  raw_make_answer (raw, &answer);
  if (!right)
    answer.token.bytes[0] ^= 1;
  plain = g_variant_ref_sink (mmap_capabilities_to_variant (&answer));
  g_variant_dict_init (&dict, plain);
  g_variant_dict_insert (&dict, "link-id", "u", link_id);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static void
raw_hello (RawConsumer * raw)
{
  GVariantBuilder body;
  GError *error = NULL;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "protocol",
      g_variant_new_uint32 (MMAP_PROTOCOL_VERSION));
  mmap_message_send (raw->socket, MMAP_MESSAGE_HELLO,
      g_variant_builder_end (&body), NULL, 0, &error);
  g_assert_no_error (error);
}

static void
expect_accept (RawConsumer * raw)
{
  MmapMessage message;

  g_assert_true (raw_receive (raw->socket, &message));
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_ACCEPT);
  mmap_message_clear (&message);
}

/* Whatever is in the socket now, after the service thread had a chance to act on what it got. */
static void
expect_nothing_yet (RawConsumer * raw)
{
  GError *error = NULL;
  MmapMessage message;

  g_usleep (20000);
  g_assert_false (mmap_message_receive (raw->socket, TRUE, &message, &error));
  check_error (&error, MMAP_ERROR_NOT_FOUND, "");
}

/* The hello and the answer take different ways. */
static void
test_orders (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  gboolean hello_first;

  for (hello_first = FALSE; hello_first <= TRUE; hello_first++) {
    RawConsumer raw;
    Offer offer;

    make_offer (producer, &offer);
    raw_open (&raw, &offer);
    if (hello_first)
      raw_hello (&raw);
    else
      take_answer (producer, raw_answer (&raw, 1 + hello_first, TRUE));
    expect_nothing_yet (&raw);
    g_assert_cmpuint (mmap_producer_get_n_links (producer), ==, 0);
    if (!hello_first)
      refuse_answer (producer, raw_answer (&raw, 1, TRUE),
          MMAP_ERROR_NOT_FOUND, "link-id 1");
    if (hello_first)
      take_answer (producer, raw_answer (&raw, 1 + hello_first, TRUE));
    else
      raw_hello (&raw);
    expect_accept (&raw);
    wait_for_links (producer, 1);
    raw_clear (&raw);
    drop_offer (&offer);
    wait_for_links (producer, 0);
  }
  end_producer (producer);
}

typedef void (*Misdeed) (RawConsumer * raw);

static void
say_hello_twice (RawConsumer * raw)
{
  raw_hello (raw);
  raw_hello (raw);
}

/* As if it had been offered through the socket. */
static void
answer_through_socket (RawConsumer * raw)
{
  MmapCapabilities answer;

  raw_make_answer (raw, &answer);
  raw_send_answer (raw, &answer);
}

static void
check_misdeed (Misdeed misdeed, const char *reason)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  RawConsumer raw;
  Reader reader;
  Offer offer;

  make_offer (producer, &offer);
  raw_open (&raw, &offer);
  misdeed (&raw);
  raw_expect_refusal (&raw, MMAP_ERROR_MESSAGE, reason);
  wait_for_failures (producer, MMAP_ERROR_MESSAGE, 1);
  refuse_answer (producer, raw_answer (&raw, 1, TRUE), MMAP_ERROR_NOT_FOUND,
      "link-id 1");
  raw_clear (&raw);
  drop_offer (&offer);
  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  check_next_offer (producer, &reader);
  reader_stop (&reader);
  end_producer (producer);
}

static void
test_misdeeds (void)
{
  check_misdeed (say_hello_twice, "out of turn");
  check_misdeed (answer_through_socket, "before it was offered");
}

/* --- Answers --- */

/* Whoever it came from: the one that was made the offer can still answer it. */
static void
test_wrong_token (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  RawConsumer raw;
  Offer offer;

  make_offer (producer, &offer);
  raw_open (&raw, &offer);
  raw_hello (&raw);
  refuse_answer (producer, raw_answer (&raw, 1, FALSE), MMAP_ERROR_TOKEN,
      "other memory");
  wait_for_failures (producer, MMAP_ERROR_TOKEN, 1);
  expect_nothing_yet (&raw);
  take_answer (producer, raw_answer (&raw, 1, TRUE));
  expect_accept (&raw);
  wait_for_links (producer, 1);
  raw_clear (&raw);
  drop_offer (&offer);
  wait_for_links (producer, 0);
  end_producer (producer);
}

/* @answer: (transfer full): with one value replaced */
static GVariant *
change (GVariant * answer, const char *key, GVariant * value)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, answer);
  g_variant_dict_remove (&dict, key);
  if (value)
    g_variant_dict_insert_value (&dict, key, value);
  g_variant_unref (answer);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static void
test_wrong_fields (void)
{
  static const struct
  {
    const char *key, *value;
    MmapError code;
    const char *reason;
  } bad[] = {
    {"session", "uint64 1", MMAP_ERROR_SESSION, "session"},
    {"region-id", "uint32 7", MMAP_ERROR_MESSAGE, "region 7"},
    {"protocol", "uint32 2", MMAP_ERROR_VERSION, "2"},
    {"token", "'42'", MMAP_ERROR_TOKEN, "malformed"},
    {"token", NULL, MMAP_ERROR_MESSAGE, "token"},
    {"token-bytes", "uint32 16", MMAP_ERROR_TOKEN, "digits"},
    {"token-index", "uint64 0", MMAP_ERROR_TOKEN_INDEX, "token_index"},
    {"token-index", "uint64 131072", MMAP_ERROR_TOKEN_INDEX, "token_index"},
    {"link-id", NULL, MMAP_ERROR_NOT_FOUND, "link-id 0"},
    {"link-id", "uint32 0", MMAP_ERROR_NOT_FOUND, "link-id 0"},
    {"link-id", "uint32 2", MMAP_ERROR_NOT_FOUND, "link-id 2"},
    {"link-id", "uint32 4294967295", MMAP_ERROR_NOT_FOUND, "4294967295"},
    {"link-id", "'1'", MMAP_ERROR_NOT_FOUND, "link-id 0"},
  };
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  RawConsumer raw;
  Offer offer;
  guint i;

  make_offer (producer, &offer);
  raw_open (&raw, &offer);
  raw_hello (&raw);
  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    GVariant *value = bad[i].value ? g_variant_new_parsed (bad[i].value) : NULL;

    refuse_answer (producer, change (raw_answer (&raw, 1, TRUE), bad[i].key,
            value), bad[i].code, bad[i].reason);
  }
  take_answer (producer, raw_answer (&raw, 1, TRUE));
  expect_accept (&raw);
  raw_clear (&raw);
  drop_offer (&offer);
  wait_for_links (producer, 0);
  end_producer (producer);
}

static void
test_answer_twice (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  GVariant *answer;
  Reader reader;
  Offer offer;

  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  make_offer (producer, &offer);
  answer = take_offer (reader.consumer, &offer);
  take_answer (producer, g_variant_ref (answer));
  refuse_answer (producer, g_variant_ref (answer), MMAP_ERROR_NOT_FOUND,
      "link-id 1");
  wait_for_links (producer, 1);
  refuse_answer (producer, answer, MMAP_ERROR_NOT_FOUND, "link-id 1");
  publish_and_wait (producer, &reader, 1, 10);
  reader_stop (&reader);
  end_producer (producer);
}

/* An answer under another's link-id does that link no harm. */
static void
test_answer_of_other (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  GVariant *answers[2];
  Reader readers[2];
  guint i;

  for (i = 0; i < 2; i++) {
    Offer offer;

    reader_start (&readers[i], MMAP_ADDRESS_NONE, FALSE);
    make_offer (producer, &offer);
    answers[i] = take_offer (readers[i].consumer, &offer);
  }
  refuse_answer (producer, change (g_variant_ref (answers[1]), "link-id",
          g_variant_new_uint32 (1)), MMAP_ERROR_TOKEN, "other memory");
  take_answer (producer, answers[1]);
  take_answer (producer, answers[0]);
  wait_for_links (producer, 2);
  for (i = 0; i < 10; i++)
    publish_frame (producer, i + 1, 1024);
  for (i = 0; i < 2; i++) {
    reader_wait (&readers[i], readers[i].last == 10);
    reader_stop (&readers[i]);
  }
  end_producer (producer);
}

/* The link of a consumer by the socket is none that an answer could name. */
static void
test_answer_to_socket_link (void)
{
  g_autofree char *address =
      g_strdup_printf ("@gst-mmap-test-%d-carried", (int) getpid ());
  MmapProducer *producer = make_producer (address, MIB);
  RawConsumer raw;

  raw_connect (&raw, address);
  raw_send_hello (&raw, MMAP_PROTOCOL_VERSION);
  raw_take_offer (&raw);
  refuse_answer (producer, raw_answer (&raw, 1, TRUE), MMAP_ERROR_NOT_FOUND,
      "link-id 1");
  raw_clear (&raw);
  end_producer (producer);
}

/* --- The region is replaced meanwhile --- */

/* @when: 0: before the consumer has the offer; 1: before the producer has the answer */
static void
check_replaced (guint when, guint times)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  GVariant *answer = NULL;
  Reader reader;
  Offer offer;
  guint i;

  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  make_offer (producer, &offer);
  if (when == 1)
    answer = take_offer (reader.consumer, &offer);
  for (i = 1; i <= times; i++)
    set_region (producer, (i + 1) * MIB);
  if (when == 0)
    answer = take_offer (reader.consumer, &offer);
  /* So long that it would have answered another offer. */
  g_usleep (20000);
  take_answer (producer, answer);
  wait_for_links (producer, 1);
  publish_and_wait (producer, &reader, 1, 50);
  g_assert_cmpuint (count_failures (producer), ==, 0);
  wait_for_held (producer, 0);
  check_all_free (producer);
  reader_stop (&reader);
  end_producer (producer);
}

static void
test_region_replaced (void)
{
  check_replaced (0, 1);
  check_replaced (1, 1);
  /* More often than a link may leave offers unanswered. */
  check_replaced (0, 20);
  check_replaced (1, 20);
}

/* --- No offer --- */

static void
refuse_to_offer (MmapProducer * producer, MmapError code, const char *reason)
{
  GVariant *caps = NULL;
  GError *error = NULL;
  guint n_fds = 77;
  int fds[4];

  g_assert_false (mmap_producer_create_offer (producer, &caps, fds, &n_fds,
          &error));
  check_error (&error, code, reason);
  g_assert_null (caps);
  g_assert_cmpuint (n_fds, ==, 0);
}

static void
test_no_region (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, 0);
  Reader reader;

  refuse_to_offer (producer, MMAP_ERROR_NOT_FOUND, "no region");
  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  set_region (producer, MIB);
  check_next_offer (producer, &reader);
  mmap_producer_close (producer);
  refuse_to_offer (producer, MMAP_ERROR_CLOSED, "closed");
  reader_stop (&reader);
  mmap_producer_unref (producer);
}

static void
test_limit (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, 16 * MIB);
  Offer offers[MMAP_MAX_LINKS];
  Reader reader;
  guint i;

  for (i = 0; i < MMAP_MAX_LINKS; i++)
    make_offer (producer, &offers[i]);
  refuse_to_offer (producer, MMAP_ERROR_LIMIT, "64");
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    drop_offer (&offers[i]);
  /* The service thread notices one by one. */
  wait_for_no_link (producer);
  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  check_next_offer (producer, &reader);
  g_assert_cmpuint (count_failures (producer), ==, 0);
  reader_stop (&reader);
  end_producer (producer);
}

/* Leaves room for @n descriptors more. Returns: the limit before */
static rlim_t
limit_descriptors (guint n)
{
  struct rlimit limit;
  int next = dup (0);
  rlim_t before;

  g_assert_cmpint (next, >=, 0);
  close (next);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  before = limit.rlim_cur;
  limit.rlim_cur = next + n;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  return before;
}

static void
restore_limit (rlim_t before)
{
  struct rlimit limit;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  limit.rlim_cur = before;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
}

/* Until only @n are open: what the producer closes later would be room for the next. */
static void
wait_for_descriptors (guint n)
{
  while (count_descriptors () != n)
    g_usleep (1000);
}

/* Each one that can't be had in turn: on both sides nothing is left, and nothing is closed twice. */
static void
test_lack_of_descriptors (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  guint n, failed = 0;

  for (n = 0; n < 12; n++) {
    Offer offer = { NULL };
    GError *error = NULL;
    gboolean created;
    guint open = count_descriptors ();
    rlim_t before;

    before = limit_descriptors (n);
    created = mmap_producer_create_offer (producer, &offer.caps, offer.fds,
        &offer.n_fds, &error);
    restore_limit (before);
    if (!created) {
      g_assert_true (error->domain == MMAP_ERROR);
      g_assert_cmpuint (offer.n_fds, ==, 0);
      g_assert_null (offer.caps);
      g_clear_error (&error);
      failed++;
    }
    drop_offer (&offer);
    wait_for_descriptors (open);
    check_all_free (producer);
  }
  g_assert_cmpuint (failed, >, 4);
  g_assert_cmpuint (failed, <, 12);
  end_producer (producer);
}

static void
test_lack_of_descriptors_for_consumer (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  GVariant *answer;
  Reader reader;
  Offer offer;
  rlim_t before;

  /* It needs none but those of the offer. */
  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  make_offer (producer, &offer);
  before = limit_descriptors (0);
  answer = take_offer (reader.consumer, &offer);
  restore_limit (before);
  take_answer (producer, answer);
  publish_and_wait (producer, &reader, 1, 10);
  reader_stop (&reader);
  end_producer (producer);
}

static void
without_socketpair (gconstpointer data)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);

  fail_system_call (SYS_socketpair, 0, 0, EMFILE);
  refuse_to_offer (producer, MMAP_ERROR_NO_RESOURCES, "socketpair");
  end_producer (producer);
}

static void
without_dup (gconstpointer data)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);

  fail_system_call (SYS_fcntl, 1, F_DUPFD_CLOEXEC, EMFILE);
  refuse_to_offer (producer, MMAP_ERROR_NO_RESOURCES, "copy a descriptor");
  end_producer (producer);
}

static void
without_memfd (gconstpointer data)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);

  fail_system_call (SYS_memfd_create, 0, 0, ENOMEM);
  refuse_to_offer (producer, MMAP_ERROR_NO_RESOURCES, "memfd_create");
  end_producer (producer);
}

static void
test_system_calls (void)
{
  run_in_child (without_socketpair, NULL);
  run_in_child (without_dup, NULL);
  run_in_child (without_memfd, NULL);
}

/* --- Descriptors that are not as they should be --- */

static int
make_pipe (void)
{
  int ends[2];

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  close (ends[0]);
  return ends[1];
}

static int
make_file (void)
{
  return open ("/dev/null", O_RDWR | O_CLOEXEC);
}

static int
make_stream_socket (void)
{
  return socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int
make_datagram_socket (void)
{
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends),
      ==, 0);
  close (ends[0]);
  return ends[1];
}

static int
make_inet_socket (void)
{
  return socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int
make_unconnected_socket (void)
{
  return socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static int
make_unsealed (void)
{
  int fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  g_assert_cmpint (ftruncate (fd, sizeof (MmapLinkArea)), ==, 0);
  return fd;
}

static int
make_nothing (void)
{
  return -1;
}

static const struct
{
  guint which;
  int (*make) (void);
  MmapError code;
  const char *reason;
} wrong_descriptors[] = {
  {0, make_pipe, MMAP_ERROR_FILE, "regular file"},
  {0, make_unsealed, MMAP_ERROR_SEALS, "shrunk"},
  {0, make_nothing, MMAP_ERROR_FILE, "descriptor"},
  {1, make_pipe, MMAP_ERROR_SEALS, "sealed"},
  {1, make_unsealed, MMAP_ERROR_SEALS, "sealed"},
  {1, make_nothing, MMAP_ERROR_MESSAGE, "memory"},
  {2, make_pipe, MMAP_ERROR_MESSAGE, "no Unix socket for packets"},
  {2, make_file, MMAP_ERROR_MESSAGE, "no Unix socket for packets"},
  {2, make_stream_socket, MMAP_ERROR_MESSAGE, "no Unix socket for packets"},
  {2, make_datagram_socket, MMAP_ERROR_MESSAGE, "no Unix socket for packets"},
  {2, make_inet_socket, MMAP_ERROR_MESSAGE, "no Unix socket for packets"},
  {2, make_unconnected_socket, MMAP_ERROR_CLOSED, "can't be reached"},
  {2, make_nothing, MMAP_ERROR_MESSAGE, "none"},
};

static void
test_wrong_descriptors (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  Reader reader;
  guint i;

  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  for (i = 0; i < G_N_ELEMENTS (wrong_descriptors); i++) {
    int *fd, right;
    Offer offer;

    make_offer (producer, &offer);
    fd = &offer.fds[wrong_descriptors[i].which];
    /* Without its socket the producer would take the offer back. */
    right = *fd;
    *fd = wrong_descriptors[i].make ();
    refuse_offer (reader.consumer, &offer, wrong_descriptors[i].code,
        wrong_descriptors[i].reason);
    close (right);
  }
  check_next_offer (producer, &reader);
  reader_stop (&reader);
  end_producer (producer);
}

/* The first @n, and others of them again behind. */
static void
check_number (MmapProducer * producer, MmapConsumer * consumer, guint n,
    MmapError code, const char *reason)
{
  int fds[20];
  GError *error = NULL;
  Offer offer;
  guint i;

  make_offer (producer, &offer);
  for (i = 0; i < n; i++)
    fds[i] = i < 3 ? offer.fds[i] : fcntl (offer.fds[i % 3], F_DUPFD_CLOEXEC,
        0);
  for (; i < 3; i++)
    close (offer.fds[i]);
  g_assert_null (mmap_consumer_accept_offer (consumer, offer.caps, fds, n,
          &error));
  check_error (&error, code, reason);
  offer.n_fds = 0;
  drop_offer (&offer);
}

static void
test_number_of_descriptors (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  const char *no_socket = "no Unix socket for packets";
  Reader reader;

  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  check_number (producer, reader.consumer, 0, MMAP_ERROR_MESSAGE, "none");
  check_number (producer, reader.consumer, 1, MMAP_ERROR_MESSAGE, no_socket);
  check_number (producer, reader.consumer, 2, MMAP_ERROR_MESSAGE, no_socket);
  check_number (producer, reader.consumer, 4, MMAP_ERROR_MESSAGE, "at most 3");
  check_number (producer, reader.consumer, 20, MMAP_ERROR_MESSAGE, "at most 3");
  check_next_offer (producer, &reader);
  reader_stop (&reader);
  end_producer (producer);
}

/* The producer has both ends, and may choose that a full socket blocks. */
static void
test_blocking_socket (void)
{
  GError *error = NULL;
  GVariantBuilder body;
  g_autoptr (GSocket) socket = NULL;
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
          ends), ==, 0);
  socket = g_socket_new_from_fd (ends[0], &error);
  g_assert_no_error (error);
  g_socket_set_blocking (socket, FALSE);
  while (send (ends[0], "x", 1, MSG_DONTWAIT) == 1);
  g_assert_cmpint (fcntl (ends[0], F_SETFL, 0), ==, 0);
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_assert_false (mmap_message_send (socket, MMAP_MESSAGE_HELLO,
          g_variant_builder_end (&body), NULL, 0, &error));
  check_error (&error, MMAP_ERROR_LIMIT, "does not read");
  close (ends[1]);
}

/* --- When --- */

static void
test_taken_twice (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  GVariant *answer;
  Reader reader;
  Offer offer;

  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  make_offer (producer, &offer);
  answer = take_offer (reader.consumer, &offer);
  make_offer (producer, &offer);
  refuse_offer (reader.consumer, &offer, MMAP_ERROR_IN_USE, "already");
  take_answer (producer, answer);
  wait_for_links (producer, 1);
  make_offer (producer, &offer);
  refuse_offer (reader.consumer, &offer, MMAP_ERROR_IN_USE, "already");
  publish_and_wait (producer, &reader, 1, 10);
  reader_stop (&reader);
  end_producer (producer);
}

static void
copy_offer (const Offer * offer, Offer * copy)
{
  guint i;

  copy->caps = g_variant_ref (offer->caps);
  copy->n_fds = offer->n_fds;
  for (i = 0; i < offer->n_fds; i++)
    copy->fds[i] = fcntl (offer->fds[i], F_DUPFD_CLOEXEC, 0);
}

static gpointer
do_nothing (gpointer data)
{
  return NULL;
}

/* It may have read why its link ended, and have stopped for that. */
static void
stop_in_any_case (Reader * reader)
{
  mmap_consumer_set_cancelled (reader->consumer, TRUE);
  g_thread_join (reader->thread);
  g_clear_error (&reader->error);
  reader->thread = g_thread_new ("nothing", do_nothing, NULL);
  reader_stop (reader);
}

/* Two that were handed the same offer, and both took it: neither keeps the link, and nobody else notices. */
static void
test_two_consumers (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  Reader good, one, other;
  GVariant *answer;
  Offer offer, copy;

  reader_start (&good, MMAP_ADDRESS_NONE, FALSE);
  reader_start (&one, MMAP_ADDRESS_NONE, FALSE);
  reader_start (&other, MMAP_ADDRESS_NONE, FALSE);
  carry (producer, &good);
  wait_for_links (producer, 1);
  make_offer (producer, &offer);
  copy_offer (&offer, &copy);
  answer = take_offer (one.consumer, &offer);
  g_variant_unref (take_offer (other.consumer, &copy));
  wait_for_failures (producer, MMAP_ERROR_MESSAGE, 1);
  refuse_answer (producer, answer, MMAP_ERROR_NOT_FOUND, "link-id 2");
  publish_and_wait (producer, &good, 1, 300);
  wait_for_held (producer, 0);
  check_all_free (producer);
  reader_stop (&good);
  stop_in_any_case (&one);
  stop_in_any_case (&other);
  end_producer (producer);
}

/* Once it is answered, the token is not there any more: another is refused, and the link is not disturbed. */
static void
test_second_consumer_late (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  Reader one, other;
  Offer offer, copy;

  reader_start (&one, MMAP_ADDRESS_NONE, FALSE);
  reader_start (&other, MMAP_ADDRESS_NONE, FALSE);
  make_offer (producer, &offer);
  copy_offer (&offer, &copy);
  take_answer (producer, take_offer (one.consumer, &offer));
  refuse_offer (other.consumer, &copy, MMAP_ERROR_TOKEN, "different memory");
  publish_and_wait (producer, &one, 1, 300);
  carry (producer, &other);
  wait_for_links (producer, 2);
  g_assert_cmpuint (count_failures (producer), ==, 0);
  reader_stop (&one);
  reader_stop (&other);
  end_producer (producer);
}

/* It looks for a socket. */
static void
test_not_carried (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  MmapConsumer *consumer = mmap_consumer_new ("@gst-mmap-test-none", NULL);
  Offer offer;

  make_offer (producer, &offer);
  refuse_offer (consumer, &offer, MMAP_ERROR_IN_USE, "socket");
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* Somebody who still has a reference comes too late. */
static void
test_stopped (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  MmapConsumer *consumer = mmap_consumer_new (MMAP_ADDRESS_NONE, NULL);
  Offer offer;

  mmap_consumer_ref (consumer);
  mmap_consumer_free (consumer);
  make_offer (producer, &offer);
  refuse_offer (consumer, &offer, MMAP_ERROR_CLOSED, "stopped");
  mmap_consumer_unref (consumer);
  end_producer (producer);
}

/* Nobody waits in next() yet, or ever. */
static void
test_stopped_after_offer (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  MmapConsumer *consumer = mmap_consumer_new (MMAP_ADDRESS_NONE, NULL);
  GVariant *answer;
  Offer offer;

  make_offer (producer, &offer);
  answer = take_offer (consumer, &offer);
  take_answer (producer, answer);
  wait_for_links (producer, 1);
  mmap_consumer_free (consumer);
  wait_for_links (producer, 0);
  g_assert_cmpuint (count_failures (producer), ==, 0);
  end_producer (producer);
}

/* Whoever was to answer has gone: that is no failure. */
static void
test_hang_up (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  GVariant *answer;
  Reader reader;
  Offer offer;

  make_offer (producer, &offer);
  drop_offer (&offer);
  wait_for_no_link (producer);
  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  make_offer (producer, &offer);
  answer = take_offer (reader.consumer, &offer);
  reader_stop (&reader);
  wait_for_no_link (producer);
  refuse_answer (producer, answer, MMAP_ERROR_NOT_FOUND, "link-id 2");
  g_assert_cmpuint (count_failures (producer), ==, 0);
  end_producer (producer);
}

/* Until the consumer knows that the last one has gone, it takes no other. */
static void
carry_when_free (MmapProducer * producer, Reader * reader)
{
  for (;;) {
    GError *error = NULL;
    GVariant *answer;
    Offer offer;

    make_offer (producer, &offer);
    answer = mmap_consumer_accept_offer (reader->consumer, offer.caps,
        offer.fds, offer.n_fds, &error);
    offer.n_fds = 0;
    drop_offer (&offer);
    if (answer) {
      take_answer (producer, answer);
      return;
    }
    check_error (&error, MMAP_ERROR_IN_USE, "already");
    g_usleep (1000);
  }
}

/* The producer goes before it had the answer. */
static void
test_producer_leaves_early (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  Reader reader;
  Offer offer;

  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  make_offer (producer, &offer);
  g_variant_unref (take_offer (reader.consumer, &offer));
  end_producer (producer);
  producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  carry_when_free (producer, &reader);
  publish_and_wait (producer, &reader, 1, 10);
  g_assert_cmpuint (reader.disconnected, ==, 0);
  reader_stop (&reader);
  end_producer (producer);
}

static void
test_reconnect (void)
{
  MmapProducer *producer;
  Reader reader;
  guint i;

  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  for (i = 1; i <= 10; i++) {
    producer = make_producer (MMAP_ADDRESS_NONE, MIB);
    carry_when_free (producer, &reader);
    wait_for_links (producer, 1);
    publish_and_wait (producer, &reader, i * 100, 10);
    g_assert_cmpuint (reader.connected, ==, i);
    end_producer (producer);
    /* Then nothing is in the way of the next. */
    if (i % 2)
      reader_wait (&reader, reader.disconnected == i);
  }
  reader_stop (&reader);
}

/* --- Time --- */

static gint soon;               /* atomic: what would be in tens of seconds is now */
void __real_g_source_set_ready_time (GSource * source, gint64 time);
/* Exported, as libraries call what is wrapped, too. */
__attribute__((visibility ("default")))
     void
     __wrap_g_source_set_ready_time (GSource * source, gint64 time);

     void
     __wrap_g_source_set_ready_time (GSource * source, gint64 time)
{
  if (g_atomic_int_get (&soon)
      && time > g_get_monotonic_time () + 10 * G_TIME_SPAN_SECOND)
    time = g_get_monotonic_time () + G_TIME_SPAN_SECOND / 5;
  __real_g_source_set_ready_time (source, time);
}

/* @hello, @answer: what was said of both */
static void
check_timeout (gboolean hello, gboolean answer)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  GVariant *late;
  RawConsumer raw;
  Offer offer;

  g_atomic_int_set (&soon, TRUE);
  make_offer (producer, &offer);
  g_atomic_int_set (&soon, FALSE);
  raw_open (&raw, &offer);
  late = raw_answer (&raw, 1, TRUE);
  if (hello)
    raw_hello (&raw);
  if (answer)
    take_answer (producer, g_variant_ref (late));
  raw_expect_refusal (&raw, MMAP_ERROR_TIMEOUT, "30000 ms");
  wait_for_failures (producer, MMAP_ERROR_TIMEOUT, 1);
  refuse_answer (producer, late, MMAP_ERROR_NOT_FOUND, "link-id 1");
  raw_clear (&raw);
  drop_offer (&offer);
  wait_for_no_link (producer);
  end_producer (producer);
}

static void
test_timeout (void)
{
  check_timeout (FALSE, FALSE);
  check_timeout (TRUE, FALSE);
  check_timeout (FALSE, TRUE);
}

/* What came up in time stays. */
static void
test_no_timeout (void)
{
  MmapProducer *producer = make_producer (MMAP_ADDRESS_NONE, MIB);
  Reader reader;

  reader_start (&reader, MMAP_ADDRESS_NONE, FALSE);
  g_atomic_int_set (&soon, TRUE);
  carry (producer, &reader);
  g_atomic_int_set (&soon, FALSE);
  wait_for_links (producer, 1);
  g_usleep (G_TIME_SPAN_SECOND / 2);
  publish_and_wait (producer, &reader, 1, 10);
  reader_stop (&reader);
  end_producer (producer);
}

static const struct
{
  const char *path;
  GTestFunc test;
} tests[] = {
  {"/handshake-carried/carried", test_carried},
  {"/handshake-carried/file", test_file},
  {"/handshake-carried/beside-socket", test_beside_socket},
  {"/handshake-carried/orders", test_orders},
  {"/handshake-carried/misdeeds", test_misdeeds},
  {"/handshake-carried/wrong-token", test_wrong_token},
  {"/handshake-carried/wrong-fields", test_wrong_fields},
  {"/handshake-carried/answer-twice", test_answer_twice},
  {"/handshake-carried/answer-of-other", test_answer_of_other},
  {"/handshake-carried/answer-to-socket-link", test_answer_to_socket_link},
  {"/handshake-carried/region-replaced", test_region_replaced},
  {"/handshake-carried/no-region", test_no_region},
  {"/handshake-carried/limit", test_limit},
  {"/handshake-carried/lack-of-descriptors", test_lack_of_descriptors},
  {"/handshake-carried/lack-of-descriptors-for-consumer",
      test_lack_of_descriptors_for_consumer},
  {"/handshake-carried/system-calls", test_system_calls},
  {"/handshake-carried/wrong-descriptors", test_wrong_descriptors},
  {"/handshake-carried/number-of-descriptors", test_number_of_descriptors},
  {"/handshake-carried/blocking-socket", test_blocking_socket},
  {"/handshake-carried/taken-twice", test_taken_twice},
  {"/handshake-carried/two-consumers", test_two_consumers},
  {"/handshake-carried/second-consumer-late", test_second_consumer_late},
  {"/handshake-carried/not-carried", test_not_carried},
  {"/handshake-carried/stopped", test_stopped},
  {"/handshake-carried/stopped-after-offer", test_stopped_after_offer},
  {"/handshake-carried/hang-up", test_hang_up},
  {"/handshake-carried/producer-leaves-early", test_producer_leaves_early},
  {"/handshake-carried/reconnect", test_reconnect},
  {"/handshake-carried/timeout", test_timeout},
  {"/handshake-carried/no-timeout", test_no_timeout},
};

int
main (int argc, char **argv)
{
  guint i;

  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (tests); i++)
    leak_check_add_test (tests[i].path, tests[i].test);
  return g_test_run ();
}
