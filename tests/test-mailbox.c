/* gst-mmap: tests of mailboxes and relays: messages as a stream of bytes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "error.h"
#include "leak-check.h"
#include "mailbox.h"
#include "relay.h"
#include "remote.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_MAGIC 0x316d6d67u

/* --- byte rings --- */

typedef struct
{
  MmapLinkSlot *slot;
  MmapByteRing push;
  MmapByteRing pop;
} Ring;

static void
ring_init (Ring * ring)
{
  ring->slot = g_new0 (MmapLinkSlot, 1);
  mmap_mailbox_init_down (ring->slot, &ring->push);
  mmap_mailbox_init_down (ring->slot, &ring->pop);
}

/* As it would be after some exabytes. */
static void
ring_set_index (Ring * ring, guint64 index)
{
  ring->push.own = ring->pop.own = index;
  *ring->push.head = *ring->push.tail = index;
}

static void
check_bytes (Ring * ring, gsize n, guint8 first)
{
  g_autofree guint8 *out = g_malloc (n), *in = g_malloc0 (n + 1);
  gsize i;

  for (i = 0; i < n; i++)
    out[i] = first + i * 7;
  g_assert_cmpint (mmap_byte_ring_push (&ring->push, out, n), ==, n);
  g_assert_cmpint (mmap_byte_ring_pop (&ring->pop, in, n + 1), ==, n);
  g_assert_cmpmem (in, n, out, n);
}

static void
test_wraps (void)
{
  static const guint64 starts[] = { 0, MMAP_MAILBOX_DOWN_BYTES - 1,
    G_MAXUINT32 - 1, G_MAXUINT64 - 100, G_MAXUINT64 - MMAP_MAILBOX_DOWN_BYTES
  };
  Ring ring;
  guint i, n;

  ring_init (&ring);
  for (i = 0; i < G_N_ELEMENTS (starts); i++) {
    ring_set_index (&ring, starts[i]);
    for (n = 1; n < 200; n++)
      check_bytes (&ring, n * 13 % MMAP_MAILBOX_DOWN_BYTES + 1, n);
    check_bytes (&ring, MMAP_MAILBOX_DOWN_BYTES, 5);
  }
  g_free (ring.slot);
}

static void
test_full (void)
{
  guint8 bytes[MMAP_MAILBOX_DOWN_BYTES + 1] = { 1 };
  Ring ring;

  ring_init (&ring);
  g_assert_cmpint (mmap_byte_ring_pop (&ring.pop, bytes, 10), ==, 0);
  g_assert_cmpint (mmap_byte_ring_push (&ring.push, bytes, sizeof bytes), ==,
      MMAP_MAILBOX_DOWN_BYTES);
  g_assert_cmpint (mmap_byte_ring_push (&ring.push, bytes, 1), ==, 0);
  g_assert_cmpint (mmap_byte_ring_pop (&ring.pop, bytes, 3), ==, 3);
  g_assert_cmpint (mmap_byte_ring_push (&ring.push, bytes, 10), ==, 3);
  g_free (ring.slot);
}

/* Of the other side's index; one's own is never read back. */
static void
test_jumps (void)
{
  guint64 wrong[] = { MMAP_MAILBOX_DOWN_BYTES + 1, G_MAXINT64, G_MAXUINT64 };
  guint8 bytes[64] = { 0 };
  Ring ring;
  guint i;

  ring_init (&ring);
  ring_set_index (&ring, 1000);
  for (i = 0; i < G_N_ELEMENTS (wrong); i++) {
    *ring.pop.head = 1000 + wrong[i];
    g_assert_cmpint (mmap_byte_ring_pop (&ring.pop, bytes, 64), ==, -1);
    *ring.push.tail = 1000 - wrong[i];
    g_assert_cmpint (mmap_byte_ring_push (&ring.push, bytes, 64), ==, -1);
  }
  ring_set_index (&ring, 1000);
  *ring.push.head = 77;
  g_assert_cmpint (mmap_byte_ring_push (&ring.push, bytes, 64), ==, 64);
  g_assert_cmpuint (*ring.push.head, ==, 1064);
  *ring.pop.tail = 77;
  g_assert_cmpint (mmap_byte_ring_pop (&ring.pop, bytes, 64), ==, 64);
  g_assert_cmpuint (*ring.pop.tail, ==, 1064);
  g_free (ring.slot);
}

#define STREAM_BYTES (4 << 20)

static gpointer
push_stream (gpointer data)
{
  MmapByteRing *ring = data;
  guint8 bytes[5000];
  gsize done = 0, i;

  while (done < STREAM_BYTES) {
    gsize n = MIN (1 + done % sizeof bytes, STREAM_BYTES - done);
    gssize moved;

    for (i = 0; i < n; i++)
      bytes[i] = (done + i) * 31 >> 3;
    moved = mmap_byte_ring_push (ring, bytes, n);
    g_assert_cmpint (moved, >=, 0);
    done += moved;
    if (moved == 0)
      g_thread_yield ();
  }
  return NULL;
}

/* Two threads, which ThreadSanitizer looks at. */
static void
test_stream (void)
{
  guint8 bytes[7000];
  GThread *thread;
  gsize done = 0;
  gssize n, i;
  Ring ring;

  ring_init (&ring);
  thread = g_thread_new ("push", push_stream, &ring.push);
  while (done < STREAM_BYTES) {
    n = mmap_byte_ring_pop (&ring.pop, bytes, 1 + done % sizeof bytes);
    g_assert_cmpint (n, >=, 0);
    for (i = 0; i < n; i++)
      if (bytes[i] != (guint8) ((done + i) * 31 >> 3))
        g_error ("byte %" G_GSIZE_FORMAT " is wrong", done + i);
    done += n;
    if (n == 0)
      g_thread_yield ();
  }
  g_thread_join (thread);
  g_free (ring.slot);
}

/* --- relays --- */

/* One side of a mailbox, or of a stream socket. */
typedef struct
{
  MmapRelay relay;
  GSocket *socket;
  MmapByteRing push;
  MmapByteRing pop;
  int stream;
  gboolean ended;
} Side;

static gssize
side_push (gpointer data, const guint8 * bytes, gsize n)
{
  Side *side = data;

  return side->stream < 0 ? mmap_byte_ring_push (&side->push, bytes, n) :
      mmap_remote_push (side->stream, bytes, n, &side->ended);
}

static gssize
side_pop (gpointer data, guint8 * bytes, gsize n)
{
  Side *side = data;

  return side->stream < 0 ? mmap_byte_ring_pop (&side->pop, bytes, n) :
      mmap_remote_pop (side->stream, bytes, n, &side->ended);
}

static const MmapRelayWay way = { side_push, side_pop };

static void
side_init (Side * side, int stream)
{
  GError *error = NULL;

  memset (side, 0, sizeof *side);
  side->stream = stream;
  side->socket = mmap_relay_init (&side->relay, &way, side, &error);
  g_assert_no_error (error);
}

static void
side_clear (Side * side)
{
  g_clear_object (&side->socket);
  mmap_relay_clear (&side->relay);
  if (side->stream >= 0)
    close (side->stream);
}

typedef struct
{
  MmapLinkSlot *slot;
  Side producer;
  Side consumer;
} Pair;

static void
pair_init (Pair * pair, gboolean streams)
{
  int fds[2] = { -1, -1 };

  if (streams)
    g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
        ==, 0);
  pair->slot = g_new0 (MmapLinkSlot, 1);
  side_init (&pair->producer, fds[0]);
  side_init (&pair->consumer, fds[1]);
  mmap_mailbox_init_down (pair->slot, &pair->producer.push);
  mmap_mailbox_init_up (pair->slot, &pair->producer.pop);
  mmap_mailbox_init_up (pair->slot, &pair->consumer.push);
  mmap_mailbox_init_down (pair->slot, &pair->consumer.pop);
}

static void
pair_clear (Pair * pair)
{
  side_clear (&pair->producer);
  side_clear (&pair->consumer);
  g_free (pair->slot);
}

static void
send_event (Side * side, guint bytes)
{
  GError *error = NULL;
  GVariantDict body;

  g_variant_dict_init (&body, NULL);
  g_variant_dict_insert_value (&body, "fill",
      g_variant_new_take_string (g_strnfill (bytes, 'x')));
  mmap_message_send (side->socket, MMAP_MESSAGE_EVENT,
      g_variant_dict_end (&body), NULL, 0, &error);
  g_assert_no_error (error);
}

static void
check_event (Side * side, guint bytes)
{
  g_auto (MmapMessage) message = { 0 };
  GError *error = NULL;
  const char *fill;

  g_assert_true (mmap_message_receive (side->socket, TRUE, &message, &error));
  g_assert_no_error (error);
  g_assert_true (g_variant_lookup (message.body, "fill", "&s", &fill));
  g_assert_cmpuint (strlen (fill), ==, bytes);
}

static void
check_nothing (Side * side, MmapError code)
{
  g_auto (MmapMessage) message = { 0 };
  GError *error = NULL;

  g_assert_false (mmap_message_receive (side->socket, TRUE, &message, &error));
  g_assert_error (error, MMAP_ERROR, (gint) code);
  g_error_free (error);
}

static void
run (Pair * pair)
{
  guint i;

  for (i = 0; i < 20; i++) {
    g_assert_cmpint (mmap_relay_run (&pair->producer.relay), !=,
        MMAP_RELAY_BROKEN);
    g_assert_cmpint (mmap_relay_run (&pair->consumer.relay), !=,
        MMAP_RELAY_BROKEN);
  }
}

/* Larger than a ring, too. */
static void
check_relayed (gboolean streams)
{
  static const guint sizes[] = { 0, 1, 100, 8000, 16368, 33000, 65000 };
  Pair pair;
  guint i;

  pair_init (&pair, streams);
  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    send_event (&pair.producer, sizes[i]);
    send_event (&pair.consumer, sizes[i] / 2);
    run (&pair);
    check_event (&pair.consumer, sizes[i]);
    check_event (&pair.producer, sizes[i] / 2);
  }
  for (i = 0; i < 50; i++)
    send_event (&pair.producer, i);
  run (&pair);
  for (i = 0; i < 50; i++)
    check_event (&pair.consumer, i);
  check_nothing (&pair.consumer, MMAP_ERROR_NOT_FOUND);
  pair_clear (&pair);
}

static void
test_relayed (void)
{
  check_relayed (FALSE);
  check_relayed (TRUE);
}

/* What was said last arrives, although who said it has gone. */
static void
test_drained (void)
{
  Pair pair;
  guint i;

  pair_init (&pair, FALSE);
  for (i = 0; i < 10; i++)
    send_event (&pair.producer, 100 + i);
  g_clear_object (&pair.producer.socket);
  g_assert_false (mmap_relay_is_flushed (&pair.producer.relay));
  run (&pair);
  g_assert_true (mmap_relay_is_flushed (&pair.producer.relay));
  mmap_relay_drain (&pair.consumer.relay);
  mmap_relay_end_stream (&pair.consumer.relay);
  for (i = 0; i < 10; i++)
    check_event (&pair.consumer, 100 + i);
  check_nothing (&pair.consumer, MMAP_ERROR_CLOSED);
  pair_clear (&pair);
}

/* Nobody receives: what the sockets have no room for waits, and nothing is lost, or in another order. */
static void
test_waits (void)
{
  Pair pair;
  guint sent = 0, i;

  pair_init (&pair, FALSE);
  for (; sent < 2000; sent++) {
    g_auto (GVariantDict) body;

    g_variant_dict_init (&body, NULL);
    g_variant_dict_insert_value (&body, "fill",
        g_variant_new_take_string (g_strnfill (sent, 'x')));
    if (!mmap_message_send (pair.producer.socket, MMAP_MESSAGE_EVENT,
            g_variant_dict_end (&body), NULL, 0, NULL))
      break;
    run (&pair);
  }
  g_assert_cmpuint (sent, >, 20);
  g_assert_cmpuint (sent, <, 2000);
  for (i = 0; i < sent; i++) {
    check_event (&pair.consumer, i);
    run (&pair);
  }
  check_nothing (&pair.consumer, MMAP_ERROR_NOT_FOUND);
  pair_clear (&pair);
}

/* What is no header, or one of a message that is too long, ends it before anything of that is handed on. */
static void
check_broken (const guint32 header[4])
{
  Pair pair;

  pair_init (&pair, FALSE);
  send_event (&pair.producer, 5);
  run (&pair);
  g_assert_cmpint (mmap_byte_ring_push (&pair.producer.push,
          (const guint8 *) header, 16), ==, 16);
  g_assert_cmpint (mmap_relay_run (&pair.consumer.relay), ==,
      MMAP_RELAY_BROKEN);
  check_event (&pair.consumer, 5);
  check_nothing (&pair.consumer, MMAP_ERROR_NOT_FOUND);
  pair_clear (&pair);
}

static void
test_broken (void)
{
  guint32 good = MMAP_PROTOCOL_VERSION | MMAP_MESSAGE_EVENT << 16;
  guint32 no_magic[4] = { MESSAGE_MAGIC + 1, good, 8, 0 };
  guint32 too_long[4] = { MESSAGE_MAGIC, good,
    MMAP_MESSAGE_MAX_BYTES - MMAP_MESSAGE_HEADER_BYTES + 1, 0
  };
  guint32 far_too_long[4] = { MESSAGE_MAGIC, good, G_MAXUINT32, 0 };

  check_broken (no_magic);
  check_broken (too_long);
  check_broken (far_too_long);
}

/* A peer that says a byte at a time, or stops in the middle, keeps nobody. */
static void
test_byte_by_byte (void)
{
  guint8 bytes[40] = { 0 };
  guint32 header[4] = { MESSAGE_MAGIC, MMAP_PROTOCOL_VERSION
        | MMAP_MESSAGE_EVENT << 16, 24, 0
  };
  Pair pair;
  guint i;

  memcpy (bytes, header, sizeof header);
  pair_init (&pair, TRUE);
  for (i = 0; i < sizeof bytes; i++) {
    check_nothing (&pair.consumer, MMAP_ERROR_NOT_FOUND);
    g_assert_cmpint (send (pair.producer.stream, bytes + i, 1, 0), ==, 1);
    g_assert_cmpint (mmap_relay_run (&pair.consumer.relay), ==,
        MMAP_RELAY_MOVED);
    g_assert_cmpint (mmap_relay_run (&pair.consumer.relay), ==,
        MMAP_RELAY_IDLE);
  }
  /* Whole, but its body is nothing. */
  check_nothing (&pair.consumer, MMAP_ERROR_MESSAGE);
  g_assert_cmpint (send (pair.producer.stream, bytes, 39, 0), ==, 39);
  mmap_relay_run (&pair.consumer.relay);
  shutdown (pair.producer.stream, SHUT_WR);
  mmap_relay_run (&pair.consumer.relay);
  g_assert_true (pair.consumer.ended);
  mmap_relay_end_stream (&pair.consumer.relay);
  check_nothing (&pair.consumer, MMAP_ERROR_CLOSED);
  pair_clear (&pair);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/mailbox/wraps", test_wraps);
  leak_check_add_test ("/mailbox/full", test_full);
  leak_check_add_test ("/mailbox/jumps", test_jumps);
  leak_check_add_test ("/mailbox/stream", test_stream);
  leak_check_add_test ("/mailbox/relayed", test_relayed);
  leak_check_add_test ("/mailbox/drained", test_drained);
  leak_check_add_test ("/mailbox/waits", test_waits);
  leak_check_add_test ("/mailbox/broken", test_broken);
  leak_check_add_test ("/mailbox/byte-by-byte", test_byte_by_byte);
  return g_test_run ();
}
