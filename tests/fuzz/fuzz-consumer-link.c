/* gst-mmap: fuzz target: a consumer, and what a producer writes into the memory of its link
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A link that is up: descriptors, indices, payloads, other regions.
 */
#include "fuzz-consumer.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_STEPS 120

void
fuzz_start (void)
{
}

static void
bring_up (FuzzConsumer * self)
{
  g_autoptr (GVariant) offer = fuzz_consumer_make_offer (self);
  g_autoptr (GVariant) answer = NULL;
  FuzzInput plain = { NULL, 0, FALSE };
  int fds[3], made[FUZZ_MAX_FDS];
  MmapItem item;
  guint n = fuzz_consumer_get_fds (self, TRUE, fds);

  fds[n] = fuzz_consumer_new_socket (self);
  n = fuzz_choose_fds (&plain, fds, n + 1, made);
  close (fds[2]);
  answer = mmap_consumer_accept_offer (self->consumer, offer, made, n, NULL);
  fuzz_assert (answer);
  fuzz_send (&plain, self->fd, MMAP_MESSAGE_ACCEPT, fuzz_body (&plain), NULL,
      0);
  fuzz_assert (fuzz_next (self->consumer, &item) == MMAP_NEXT_CONNECTED);
  self->up = TRUE;
}

static void
make_descriptor (FuzzConsumer * self, FuzzInput * input, gboolean frame,
    MmapDescriptor * descriptor)
{
  guint n = fuzz_below (input, 6);

  memset (descriptor, 0, sizeof *descriptor);
  descriptor->sequence = ++self->sequence;
  descriptor->id = self->sequence;
  descriptor->kind = frame ? 0 : 1 + fuzz_below (input, 4);
  descriptor->region_id = self->region_id;
  descriptor->offset = self->region->blocks_offset;
  descriptor->size = 8 * fuzz_byte (input);
  while (n-- > 0) {
    switch (fuzz_below (input, 12)) {
      case 0:
        descriptor->offset = fuzz_number (input);
        break;
      case 1:
        descriptor->size = fuzz_number (input);
        break;
      case 2:
        descriptor->metas_offset = fuzz_number (input);
        break;
      case 3:
        descriptor->metas_size = fuzz_number (input);
        break;
      case 4:
        descriptor->sequence = fuzz_number (input);
        break;
      case 5:
        descriptor->kind = fuzz_number (input);
        break;
      case 6:
        descriptor->region_id = fuzz_number (input);
        break;
      case 7:
        descriptor->n_planes = fuzz_number (input);
        break;
      case 8:
        descriptor->hints = fuzz_byte (input);
        break;
      case 9:
        descriptor->offset = self->region->size - descriptor->size
            + (gint8) fuzz_byte (input);
        break;
      default:
        ((guint64 *) descriptor)[fuzz_below (input, 32)] = fuzz_number (input);
        break;
    }
  }
}

static void
push (FuzzConsumer * self, FuzzInput * input, gboolean frame)
{
  MmapRing *ring = frame ? &self->link->frames : &self->link->events;
  MmapDescriptor descriptor;

  make_descriptor (self, input, frame, &descriptor);
  /* Through this side's own view: what the other writes does not stop it. */
  ring->seen = ring->own;
  mmap_ring_push (ring, &descriptor);
}

static void
write_payload (FuzzConsumer * self, FuzzInput * input)
{
  guint64 room = self->region->size - self->region->blocks_offset;
  guint64 offset = fuzz_number (input) % room;
  gsize n;
  const guint8 *bytes = fuzz_bytes (input, MIN (fuzz_byte (input),
          room - offset), &n);

  memcpy (self->region->base + self->region->blocks_offset + offset, bytes, n);
}

/* As a producer takes back the oldest frame. */
static void
take_back (FuzzConsumer * self)
{
  __atomic_fetch_add (&self->link->area->frame_tail, 1, __ATOMIC_ACQ_REL);
}

static void
offer_region (FuzzConsumer * self, FuzzInput * input)
{
  GVariant *offer = fuzz_consumer_make_offer (self);
  int fds[2];
  guint n = fuzz_consumer_get_fds (self, FALSE, fds);

  fuzz_send (input, self->fd, MMAP_MESSAGE_OFFER, fuzz_edit_dict (input, offer,
          fuzz_message_keys, &fuzz_message_words), fds, n);
}

static void
look_around (FuzzConsumer * self, FuzzInput * input)
{
  g_autofree char *file = NULL, *media = NULL;
  MmapQos qos = { 0, };
  MmapConsumerStats stats;
  guint64 size, session;

  mmap_consumer_get_stats (self->consumer, &stats);
  mmap_consumer_get_offer (self->consumer, &file, &size, &session, &media);
  qos.diff = fuzz_number (input);
  mmap_consumer_send_qos (self->consumer, &qos);
}

static void
step (FuzzConsumer * self, FuzzInput * input)
{
  switch (fuzz_below (input, 11)) {
    case 0:
    case 1:
      push (self, input, TRUE);
      break;
    case 2:
      push (self, input, FALSE);
      break;
    case 3:
      fuzz_write_word (input, self->link->area, self->sequence);
      break;
    case 4:
      write_payload (self, input);
      break;
    case 5:
      take_back (self);
      break;
    case 6:
      offer_region (self, input);
      break;
    case 7:
      fuzz_consumer_release (self, fuzz_below (input, FUZZ_MAX_HELD));
      break;
    case 8:
      look_around (self, input);
      break;
    case 9:
      if (fuzz_one_in (input, 4))
        shutdown (self->fd, SHUT_WR);
      else
        fuzz_send (input, self->fd, fuzz_below (input, 16), fuzz_body (input),
            NULL, 0);
      break;
    default:
      fuzz_consumer_read (self, input, 1 + fuzz_below (input, 8));
      break;
  }
}

void
fuzz_run (FuzzInput * input)
{
  FuzzConsumer self;
  guint i;

  fuzz_consumer_init (&self);
  bring_up (&self);
  for (i = 0; i < MAX_STEPS && input->size > 0 && self.up; i++)
    step (&self, input);
  fuzz_consumer_read (&self, input, 8);
  fuzz_consumer_clear (&self);
}
