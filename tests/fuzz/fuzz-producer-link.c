/* gst-mmap: fuzz target: a producer, and what a consumer writes into the memory of its link
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Links that are up: indices, releases, QoS, sleep words, between frames and events; beside an honest consumer.
 */
#include "fuzz-producer.h"

#define MAX_STEPS 120

void
fuzz_start (void)
{
}

/* By the rules: without what they lead to, there is nothing to break. */
static void
read_one (FuzzPeer * peer, gboolean frame)
{
  MmapRing *ring = frame ? &peer->link->frames : &peer->link->events;
  MmapDescriptor descriptor;

  if (mmap_ring_peek (ring, &descriptor) == MMAP_RING_OK
      && mmap_ring_pop (ring) == MMAP_RING_OK)
    peer->id = descriptor.id;
}

static void
step (FuzzProducer * self, FuzzInput * input, FuzzPeer * peer)
{
  guint choice = fuzz_below (input, 9);

  if (!peer->link && choice != 8)
    choice = 0;
  switch (choice) {
    case 0:
      fuzz_peer_bring_up (self, peer);
      break;
    case 1:
      read_one (peer, TRUE);
      break;
    case 2:
      read_one (peer, FALSE);
      break;
    case 3:
      mmap_ring_push (&peer->link->releases, &peer->id);
      break;
    case 4:
      fuzz_write_word (input, peer->link->area, peer->id);
      break;
    case 5:
      mmap_link_wake (peer->link);
      break;
    case 6:
      if (fuzz_one_in (input, 4))
        fuzz_peer_close (peer);
      else
        fuzz_peer_receive (peer);
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
    step (&self, input, &self.peers[fuzz_below (input, 2)]);
    fuzz_producer_serve (&self);
  }
  fuzz_producer_clear (&self);
}
