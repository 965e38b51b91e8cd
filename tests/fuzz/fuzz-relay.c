/* gst-mmap: fuzz target: messages through a mailbox, or a stream socket, and who is at its other end
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Both sides' relays over one link slot, or over the two ends of a stream, while somebody writes into what lies between. Until somebody does,
 * what arrives is what was sent.
 */
#include "fuzz-world.h"

#include "mailbox.h"
#include "relay.h"
#include "remote.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_STEPS 200

typedef struct
{
  MmapRelay relay;
  GSocket *socket;
  MmapByteRing push;
  MmapByteRing pop;
  int stream;                   /* -1: through the rings */
  gboolean ended;
  GByteArray *sent;             /* not seen by the other side yet */
  gboolean broken;
} Side;

typedef struct
{
  FuzzInput *input;
  MmapLinkSlot *slot;
  Side sides[2];
  gboolean disturbed;
} Relays;

void
fuzz_start (void)
{
}

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
  side->stream = stream;
  side->sent = g_byte_array_new ();
  side->socket = mmap_relay_init (&side->relay, &way, side, NULL);
  fuzz_assert (side->socket);
}

static void
side_clear (Side * side)
{
  g_clear_object (&side->socket);
  mmap_relay_clear (&side->relay);
  if (side->stream >= 0)
    close (side->stream);
  g_byte_array_unref (side->sent);
}

static void
send_message (Relays * self, Side * side)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  if (!side->socket)
    return;
  fuzz_append_message (self->input, bytes);
  if (send (g_socket_get_fd (side->socket), bytes->data, bytes->len,
          MSG_DONTWAIT | MSG_NOSIGNAL) != (gssize) bytes->len)
    return;
  g_byte_array_append (side->sent, bytes->data, bytes->len);
  /* Our own side sends messages, and nothing else. */
  if (mmap_message_measure (bytes->data) != bytes->len)
    self->disturbed = TRUE;
}

/* Whole messages, of lengths that may be. */
static void
receive_message (Relays * self, Side * side, GByteArray * sent)
{
  guint8 bytes[MMAP_MESSAGE_MAX_BYTES];
  gssize n;

  if (!side->socket)
    return;
  n = recv (g_socket_get_fd (side->socket), bytes, sizeof bytes,
      MSG_DONTWAIT | MSG_TRUNC);
  if (n <= 0)
    return;
  fuzz_assert (n <= (gssize) sizeof bytes
      && (gssize) mmap_message_measure (bytes) == n);
  if (self->disturbed)
    return;
  fuzz_assert (n <= (gssize) sent->len && memcmp (bytes, sent->data, n) == 0);
  g_byte_array_remove_range (sent, 0, n);
}

static void
run (Relays * self, Side * side)
{
  struct pollfd fd;

  /* Who breaks a rule is not listened to any more. */
  if (!side->broken)
    side->broken = mmap_relay_run (&side->relay) == MMAP_RELAY_BROKEN;
  fuzz_assert (!side->broken || self->disturbed);
  if (side->broken || side->ended)
    mmap_relay_end_stream (&side->relay);
  mmap_relay_get_pollfd (&side->relay, &fd);
  mmap_relay_get_stream_events (&side->relay);
}

static void
write_stream (Relays * self, int fd)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  fuzz_append_message (self->input, bytes);
  send (fd, bytes->data, bytes->len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
disturb (Relays * self, Side * side)
{
  static const guint64 ids[] = { 1 };

  self->disturbed = TRUE;
  if (side->stream < 0)
    fuzz_area_write_slot (self->input, self->slot, ids, 1);
  else if (fuzz_one_in (self->input, 4))
    shutdown (side->stream, fuzz_below (self->input, 3));
  else
    write_stream (self, side->stream);
}

static void
step (Relays * self)
{
  guint which = fuzz_below (self->input, 2);
  Side *side = &self->sides[which], *other = &self->sides[1 - which];

  switch (fuzz_below (self->input, 12)) {
    case 0:
    case 1:
    case 2:
      send_message (self, side);
      break;
    case 3:
    case 4:
      receive_message (self, side, other->sent);
      break;
    case 5:
      disturb (self, side);
      break;
    case 6:
      if (fuzz_one_in (self->input, 4))
        g_clear_object (&side->socket);
      break;
    case 7:
      if (fuzz_one_in (self->input, 4)) {
        self->disturbed = TRUE;
        mmap_relay_discard (&side->relay);
      } else if (!side->broken) {
        side->broken = mmap_relay_drain (&side->relay) == MMAP_RELAY_BROKEN;
      }
      break;
    default:
      run (self, side);
      break;
  }
}

void
fuzz_run (FuzzInput * input)
{
  Relays self = {.input = input };
  int streams[2] = { -1, -1 };
  guint i;

  self.slot = g_new0 (MmapLinkSlot, 1);
  if (fuzz_one_in (input, 2))
    fuzz_assert (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
            streams) == 0);
  for (i = 0; i < 2; i++)
    side_init (&self.sides[i], streams[i]);
  mmap_mailbox_init_down (self.slot, &self.sides[0].push);
  mmap_mailbox_init_up (self.slot, &self.sides[0].pop);
  mmap_mailbox_init_up (self.slot, &self.sides[1].push);
  mmap_mailbox_init_down (self.slot, &self.sides[1].pop);
  for (i = 0; i < MAX_STEPS && input->size > 0; i++)
    step (&self);
  for (i = 0; i < 2; i++)
    side_clear (&self.sides[i]);
  g_free (self.slot);
}
