/* gst-mmap: tests of the handshake's messages
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`.
 */
#include "capabilities.h"
#include "error.h"
#include "leak-check.h"
#include "message.h"
#include "protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x316d6d67u

typedef struct
{
  GSocket *here;
  GSocket *there;
} Pair;

static GSocket *
take_socket (int fd)
{
  GError *error = NULL;
  GSocket *socket = g_socket_new_from_fd (fd, &error);

  g_assert_no_error (error);
  g_socket_set_blocking (socket, FALSE);
  return socket;
}

static void
pair_init (Pair * pair)
{
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds),
      ==, 0);
  pair->here = take_socket (fds[0]);
  pair->there = take_socket (fds[1]);
}

static void
pair_clear (Pair * pair)
{
  g_clear_object (&pair->here);
  g_clear_object (&pair->there);
}

static GVariant *
make_body (gsize size)
{
  g_autofree char *text = g_strnfill (size, 'x');
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "text", g_variant_new_string (text));
  g_variant_builder_add (&body, "{sv}", "number",
      g_variant_new_uint64 (G_MAXUINT64));
  return g_variant_builder_end (&body);
}

static void
send_message (Pair * pair, GVariant * body, const int *fds, guint n_fds)
{
  GError *error = NULL;

  mmap_message_send (pair->here, MMAP_MESSAGE_OFFER, body, fds, n_fds, &error);
  g_assert_no_error (error);
}

static void
receive (Pair * pair, MmapMessage * message)
{
  GError *error = NULL;

  mmap_message_receive (pair->there, TRUE, message, &error);
  g_assert_no_error (error);
}

static void
refuse (Pair * pair, MmapError code, const char *reason)
{
  GError *error = NULL;
  MmapMessage message;

  g_assert_false (mmap_message_receive (pair->there, TRUE, &message, &error));
  g_assert_error (error, MMAP_ERROR, (gint) code);
  if (strstr (error->message, reason) == NULL)
    g_error ("\"%s\" doesn't say \"%s\"", error->message, reason);
  g_error_free (error);
  /* Cleared already: once more does no harm. */
  mmap_message_clear (&message);
}

static void
test_round_trip (void)
{
  MmapMessage message;
  struct stat sent, got;
  guint64 number;
  int fds[2], fd;
  Pair pair;

  pair_init (&pair);
  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  send_message (&pair, make_body (1000), fds, 2);
  receive (&pair, &message);
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_OFFER);
  g_assert_cmpuint (message.n_fds, ==, 2);
  g_assert_true (g_variant_lookup (message.body, "number", "t", &number));
  g_assert_cmpuint (number, ==, G_MAXUINT64);

  fd = mmap_message_take_fd (&message, 1);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  g_assert_cmpint (fstat (fd, &got), ==, 0);
  g_assert_cmpint (fstat (fds[1], &sent), ==, 0);
  g_assert_cmpuint (got.st_ino, ==, sent.st_ino);
  g_assert_cmpint (mmap_message_take_fd (&message, 1), ==, -1);
  g_assert_cmpint (mmap_message_take_fd (&message, 2), ==, -1);
  g_assert_cmpint (mmap_message_take_fd (&message, G_MAXUINT), ==, -1);
  /* The other one is closed by this. */
  mmap_message_clear (&message);
  close (fd);
  close (fds[0]);
  close (fds[1]);
  pair_clear (&pair);
}

/* As long as a message may be, and a byte more. */
static void
test_longest (void)
{
  gsize overhead;
  MmapMessage message;
  GVariant *body;
  Pair pair;

  pair_init (&pair);
  body = g_variant_ref_sink (make_body (60000));
  overhead = g_variant_get_size (body) - 60000;
  g_variant_unref (body);
  send_message (&pair, make_body (MMAP_CAPABILITIES_MAX_BYTES - overhead), NULL,
      0);
  receive (&pair, &message);
  g_assert_cmpuint (g_variant_get_size (message.body), >,
      MMAP_CAPABILITIES_MAX_BYTES - 8);
  mmap_message_clear (&message);
  send_message (&pair, make_body (MMAP_CAPABILITIES_MAX_BYTES - overhead + 8),
      NULL, 0);
  refuse (&pair, MMAP_ERROR_MESSAGE, "more than");
  /* What comes after it can be read all the same. */
  send_message (&pair, make_body (1), NULL, 0);
  receive (&pair, &message);
  mmap_message_clear (&message);
  pair_clear (&pair);
}

static void
test_nothing_there (void)
{
  Pair pair;

  pair_init (&pair);
  refuse (&pair, MMAP_ERROR_NOT_FOUND, "");
  g_clear_object (&pair.here);
  refuse (&pair, MMAP_ERROR_CLOSED, "closed");
  refuse (&pair, MMAP_ERROR_CLOSED, "closed");
  pair_clear (&pair);
}

/* The other side closes with a message of ours unread: what it said before arrives. */
static void
test_closed_with_unread (void)
{
  GError *error = NULL;
  MmapMessage message;
  Pair pair;

  pair_init (&pair);
  mmap_message_send (pair.there, MMAP_MESSAGE_HELLO, make_body (1), NULL, 0,
      &error);
  g_assert_no_error (error);
  send_message (&pair, make_body (1), NULL, 0);
  send_message (&pair, make_body (2), NULL, 0);
  g_clear_object (&pair.here);
  receive (&pair, &message);
  mmap_message_clear (&message);
  receive (&pair, &message);
  mmap_message_clear (&message);
  refuse (&pair, MMAP_ERROR_CLOSED, "closed");
  pair_clear (&pair);
}

static void
test_send_to_nobody (void)
{
  const int no_fd = G_MAXINT;
  GError *error = NULL;
  Pair pair;

  pair_init (&pair);
  g_clear_object (&pair.there);
  /* No signal, either. */
  g_assert_false (mmap_message_send (pair.here, MMAP_MESSAGE_ACCEPT,
          make_body (1), NULL, 0, &error));
  g_assert_error (error, MMAP_ERROR, MMAP_ERROR_CLOSED);
  g_clear_error (&error);
  pair_clear (&pair);

  /* Somebody who doesn't read isn't waited for. */
  pair_init (&pair);
  while (mmap_message_send (pair.here, MMAP_MESSAGE_ACCEPT, make_body (1000),
          NULL, 0, &error));
  g_assert_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT);
  g_clear_error (&error);
  g_assert_false (mmap_message_send (pair.here, MMAP_MESSAGE_ACCEPT,
          make_body (1), &no_fd, 1, &error));
  g_assert_error (error, MMAP_ERROR, MMAP_ERROR_FAILED);
  g_clear_error (&error);
  pair_clear (&pair);
}

typedef struct
{
  guint32 magic;
  guint16 version;
  guint16 kind;
  guint32 size;
  guint32 reserved;
  guint8 body[48];
} Packet;

/* Sends the first @size bytes of @packet, with a descriptor, which must not be left behind. */
static void
check_packet (const Packet * packet, gsize size, MmapError code,
    const char *reason)
{
  union
  {
    struct cmsghdr header;
    guint8 bytes[CMSG_SPACE (sizeof (int))];
  } control = { 0, };
  struct iovec vector = { (void *) packet, size };
  struct msghdr message = {.msg_iov = &vector,.msg_iovlen = 1,
    .msg_control = &control,.msg_controllen = sizeof (control)
  };
  int fd = STDERR_FILENO;
  Pair pair;

  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN (sizeof (int));
  memcpy (CMSG_DATA (&control.header), &fd, sizeof (fd));
  pair_init (&pair);
  g_assert_cmpint (sendmsg (g_socket_get_fd (pair.here), &message, 0), ==,
      size);
  refuse (&pair, code, reason);
  pair_clear (&pair);
}

static void
test_malformed (void)
{
  static const guint16 kinds[] = { 0, 14, 15, 1000, G_MAXUINT16 };
  Packet right = { MAGIC, MMAP_PROTOCOL_VERSION, MMAP_MESSAGE_HELLO, 0, 0 };
  MmapMessage message;
  Packet packet;
  Pair pair;
  guint i;

  /* An empty list is in order. */
  pair_init (&pair);
  g_assert_cmpint (send (g_socket_get_fd (pair.here), &right, 16, 0), ==, 16);
  receive (&pair, &message);
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_HELLO);
  mmap_message_clear (&message);
  pair_clear (&pair);

  for (i = 1; i < 16; i++)
    check_packet (&right, i, MMAP_ERROR_MESSAGE, "no message");
  packet = right;
  packet.magic++;
  check_packet (&packet, 16, MMAP_ERROR_MESSAGE, "16 bytes");
  packet = right;
  packet.size = 1;
  check_packet (&packet, 16, MMAP_ERROR_MESSAGE, "no message");
  packet.size = G_MAXUINT32;
  check_packet (&packet, 16, MMAP_ERROR_MESSAGE, "no message");
  packet.size = 0;
  check_packet (&packet, 17, MMAP_ERROR_MESSAGE, "no message");
  for (i = 0; i < G_N_ELEMENTS (kinds); i++) {
    packet = right;
    packet.kind = kinds[i];
    check_packet (&packet, 16, MMAP_ERROR_MESSAGE, "no message");
  }
  packet = right;
  packet.version = 2;
  check_packet (&packet, 16, MMAP_ERROR_VERSION, "protocol 2");
  packet.version = 0;
  check_packet (&packet, 16, MMAP_ERROR_VERSION, "protocol 0");

  packet = right;
  packet.size = sizeof (packet.body);
  for (i = 1; i < 256; i++) {
    memset (packet.body, i, sizeof (packet.body));
    check_packet (&packet, sizeof (packet), MMAP_ERROR_MESSAGE, "no message");
  }
}

/* What is changed in a right message is found out, or is another right message; never anything else. */
static void
test_mutated (void)
{
  GRand *random = g_rand_new_with_seed (11);
  guint8 data[4096], copy[4096];
  MmapMessage message;
  GError *error = NULL;
  Pair pair;
  guint i, round;
  gssize size;

  pair_init (&pair);
  send_message (&pair, make_body (20), NULL, 0);
  size = recv (g_socket_get_fd (pair.there), data, sizeof (data), 0);
  g_assert_cmpint (size, >, 16);
  for (round = 0; round < 20000; round++) {
    memcpy (copy, data, size);
    for (i = 0; i <= round % 3; i++)
      copy[g_rand_int_range (random, 0, size)] = g_rand_int (random);
    g_assert_cmpint (send (g_socket_get_fd (pair.here), copy, size, 0), ==,
        size);
    if (mmap_message_receive (pair.there, TRUE, &message, &error)) {
      g_assert_true (g_variant_is_normal_form (message.body));
      mmap_message_clear (&message);
    } else {
      g_assert_true (error->domain == MMAP_ERROR);
      g_clear_error (&error);
    }
  }
  g_rand_free (random);
  pair_clear (&pair);
}

/* More descriptors than a message has, and more than fit at all: none is left behind. */
static void
test_too_many_descriptors (void)
{
  static const guint numbers[] = { 4, 16, 253 };
  MmapMessage message;
  Pair pair;
  int fds[253];
  guint i;

  for (i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = STDERR_FILENO;
  pair_init (&pair);
  for (i = 0; i < G_N_ELEMENTS (numbers); i++) {
    send_message (&pair, make_body (1), fds, numbers[i]);
    receive (&pair, &message);
    g_assert_cmpuint (message.n_fds, ==, MMAP_MESSAGE_MAX_FDS);
    mmap_message_clear (&message);
  }
  /* In one that is refused, too. */
  send_message (&pair, make_body (MMAP_CAPABILITIES_MAX_BYTES), fds, 253);
  refuse (&pair, MMAP_ERROR_MESSAGE, "more than");
  /* Never received: the socket's end is theirs, too. */
  send_message (&pair, make_body (1), fds, 100);
  pair_clear (&pair);
}

static void
check_refusal (MmapError code)
{
  GError *reason = g_error_new (MMAP_ERROR, code, "because of %d", code);
  g_autofree char *text = g_strdup_printf ("because of %d", code);
  GError *error = NULL;
  MmapMessage message;
  Pair pair;

  pair_init (&pair);
  mmap_message_send_refusal (pair.here, reason);
  receive (&pair, &message);
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_REFUSE);
  mmap_message_get_refusal (&message, &error);
  g_assert_error (error, MMAP_ERROR, (gint) code);
  g_assert_nonnull (strstr (error->message, text));
  g_error_free (error);
  mmap_message_clear (&message);
  g_error_free (reason);
  pair_clear (&pair);
}

static void
test_refusal (void)
{
  GVariantBuilder body;
  GError *error = NULL;
  MmapMessage message;
  MmapError code;
  Pair pair;

  for (code = 0; code < MMAP_N_ERRORS; code++)
    check_refusal (code);

  pair_init (&pair);
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "reason",
      g_variant_new_string ("unheard of"));
  g_variant_builder_add (&body, "{sv}", "message", g_variant_new_uint32 (3));
  send_message (&pair, g_variant_builder_end (&body), NULL, 0);
  receive (&pair, &message);
  mmap_message_get_refusal (&message, &error);
  g_assert_error (error, MMAP_ERROR, MMAP_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "no reason given"));
  g_error_free (error);
  mmap_message_clear (&message);
  pair_clear (&pair);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/message/round-trip", test_round_trip);
  leak_check_add_test ("/message/longest", test_longest);
  leak_check_add_test ("/message/nothing-there", test_nothing_there);
  leak_check_add_test ("/message/closed-with-unread", test_closed_with_unread);
  leak_check_add_test ("/message/send-to-nobody", test_send_to_nobody);
  leak_check_add_test ("/message/malformed", test_malformed);
  leak_check_add_test ("/message/mutated", test_mutated);
  leak_check_add_test ("/message/too-many-descriptors",
      test_too_many_descriptors);
  leak_check_add_test ("/message/refusal", test_refusal);
  return g_test_run ();
}
