/* gst-mmap: fuzz target: a consumer, and what a producer sends it
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The handshake through the socket, and through an application's channel; then offers of other regions, events, refusals.
 */
#include "fuzz-consumer.h"

#include <sys/socket.h>
#include <unistd.h>

#define MAX_STEPS 40

void
fuzz_start (void)
{
}

/* What the offer is of is not as it should be. */
static void
spoil (FuzzConsumer * self, FuzzInput * input)
{
  guint64 *link = (guint64 *) self->link->area;
  guint64 *header = (guint64 *) self->region->base;
  guint word;

  switch (fuzz_below (input, 16)) {
    case 13:
      word = fuzz_below (input, 8);
      link[word] = fuzz_number (input);
      break;
    case 14:
      word = fuzz_below (input, 16);
      header[word] = fuzz_number (input);
      break;
    case 15:
      /* The token is at the end. */
      self->region->base[self->region->size - 1 - fuzz_below (input, 16)]++;
      break;
    default:
      break;
  }
}

static GVariant *
make_offer (FuzzConsumer * self, FuzzInput * input)
{
  GVariant *offer = fuzz_consumer_make_offer (self);

  spoil (self, input);
  return fuzz_edit_dict (input, offer, fuzz_message_keys, &fuzz_message_words);
}

static void
send_offer (FuzzConsumer * self, FuzzInput * input)
{
  gboolean first = !self->up;
  int fds[2];
  guint n;
  GVariant *offer = make_offer (self, input);

  if (fuzz_one_in (input, 8))
    first = !first;
  n = fuzz_consumer_get_fds (self, first, fds);
  fuzz_send (input, self->fd, MMAP_MESSAGE_OFFER, offer, fds, n);
}

/* Offer and descriptors come from somebody else. */
static void
carry_offer (FuzzConsumer * self, FuzzInput * input)
{
  g_autoptr (GVariant) offer = make_offer (self, input);
  g_autoptr (GVariant) answer = NULL;
  g_autoptr (GError) error = NULL;
  int fds[3], made[FUZZ_MAX_FDS];
  guint n = fuzz_consumer_get_fds (self, TRUE, fds);

  fds[n] = fuzz_consumer_new_socket (self);
  n = fuzz_choose_fds (input, fds, n + 1, made);
  close (fds[2]);
  answer = mmap_consumer_accept_offer (self->consumer, offer, made, n, &error);
  fuzz_assert ((answer == NULL) == (error != NULL));
}

static void
step (FuzzConsumer * self, FuzzInput * input)
{
  guint choice = fuzz_below (input, 8);

  if (self->fd < 0 && choice < 5)
    choice = 5 + choice % 2;
  switch (choice) {
    case 0:
    case 1:
      send_offer (self, input);
      break;
    case 2:
      fuzz_send (input, self->fd, MMAP_MESSAGE_ACCEPT, fuzz_body (input), NULL,
          0);
      break;
    case 3:
      fuzz_send (input, self->fd, fuzz_below (input, 16), fuzz_body (input),
          NULL, 0);
      break;
    case 4:
      shutdown (self->fd, SHUT_WR);
      break;
    case 5:
      fuzz_consumer_connect (self);
      break;
    case 6:
      carry_offer (self, input);
      break;
    default:
      break;
  }
  /* Several messages may be there at once. */
  if (!fuzz_one_in (input, 4))
    fuzz_consumer_read (self, input, 4);
}

void
fuzz_run (FuzzInput * input)
{
  FuzzConsumer self;
  guint i;

  fuzz_consumer_init (&self);
  for (i = 0; i < MAX_STEPS && input->size > 0; i++)
    step (&self, input);
  fuzz_consumer_read (&self, input, 8);
  fuzz_consumer_clear (&self);
}
