/* gst-mmap: fuzz target: a producer, and what consumers send it
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Up to four hostile consumers, through the socket and through an application's channel, beside an honest one.
 */
#include "fuzz-producer.h"

#include <sys/socket.h>

#define MAX_STEPS 60

void
fuzz_start (void)
{
}

static GVariant *
make_hello (void)
{
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "protocol",
      g_variant_new_uint32 (MMAP_PROTOCOL_VERSION));
  return g_variant_ref_sink (g_variant_builder_end (&body));
}

static GVariant *
edit (FuzzInput * input, GVariant * body)
{
  return fuzz_edit_dict (input, body, fuzz_message_keys, &fuzz_message_words);
}

static void
send_answer (FuzzInput * input, FuzzPeer * peer)
{
  GVariant *answer = fuzz_peer_make_answer (peer);

  if (answer)
    fuzz_send (input, peer->fd, MMAP_MESSAGE_ANSWER, edit (input, answer),
        NULL, 0);
}

/* The answer to an offer through another channel. */
static void
carry_answer (FuzzProducer * self, FuzzInput * input, FuzzPeer * peer)
{
  GVariant *answer = fuzz_peer_make_answer (peer);
  g_autoptr (GVariant) edited = NULL;
  g_autoptr (GError) error = NULL;
  gboolean accepted;

  edited = answer ? edit (input, answer) : fuzz_body (input);
  accepted = mmap_producer_accept_answer (self->producer, edited, &error);
  fuzz_assert (accepted == (error == NULL));
}

/* What consumers say once their link is up. */
static void
say_late (FuzzInput * input, FuzzPeer * peer)
{
  static const MmapMessageKind kinds[] = {
    MMAP_MESSAGE_WISHES, MMAP_MESSAGE_EVENT, MMAP_MESSAGE_QUERY,
    MMAP_MESSAGE_NEEDS
  };
  MmapMessageKind kind = kinds[fuzz_below (input, G_N_ELEMENTS (kinds))];

  fuzz_send (input, peer->fd, kind, fuzz_body (input), NULL, 0);
}

static void
step (FuzzProducer * self, FuzzInput * input, FuzzPeer * peer)
{
  guint choice = fuzz_below (input, 12);

  if (peer->fd < 0 && choice < 9)
    choice = choice % 2;
  switch (choice) {
    case 0:
    case 1:
      fuzz_peer_connect (self, peer, choice);
      break;
    case 2:
      fuzz_send (input, peer->fd, MMAP_MESSAGE_HELLO, edit (input,
              make_hello ()), NULL, 0);
      break;
    case 3:
      fuzz_peer_receive (peer);
      break;
    case 4:
      fuzz_peer_receive (peer);
      send_answer (input, peer);
      break;
    case 5:
      carry_answer (self, input, peer);
      break;
    case 6:
      fuzz_send (input, peer->fd, fuzz_below (input, 16), fuzz_body (input),
          NULL, 0);
      break;
    case 7:
      if (fuzz_one_in (input, 2))
        fuzz_peer_close (peer);
      else
        shutdown (peer->fd, SHUT_WR);
      break;
    case 10:
      if (peer->fd < 0)
        fuzz_peer_bring_up (self, peer);
      else
        say_late (input, peer);
      break;
    default:
      fuzz_producer_act (self, input);
      break;
  }
}

void
fuzz_run (FuzzInput * input)
{
  FuzzProducer self;
  guint i;

  fuzz_producer_init (&self);
  for (i = 0; i < MAX_STEPS && input->size > 0; i++) {
    step (&self, input, &self.peers[fuzz_below (input, FUZZ_MAX_PEERS)]);
    fuzz_producer_serve (&self);
  }
  fuzz_producer_clear (&self);
}
