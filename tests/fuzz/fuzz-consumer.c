/* gst-mmap: what the targets of the consumer share: a hostile producer
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz-consumer.h"

#include "address.h"
#include "consumer-private.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
fuzz_consumer_init (FuzzConsumer * self)
{
  memset (self, 0, sizeof *self);
  self->fd = -1;
  self->consumer = mmap_consumer_new (MMAP_ADDRESS_NONE, NULL);
  mmap_consumer_set_spin_time (self->consumer, 0);
  mmap_consumer_set_media (self->consumer, "video/x-raw");
  self->link = mmap_link_new (FUZZ_SESSION, 1, NULL);
  fuzz_assert (self->consumer && self->link);
}

void
fuzz_consumer_clear (FuzzConsumer * self)
{
  guint i;

  for (i = 0; i < FUZZ_MAX_HELD; i++)
    fuzz_consumer_release (self, i);
  if (self->fd >= 0)
    close (self->fd);
  mmap_consumer_free (self->consumer);
  g_clear_pointer (&self->region, mmap_region_unref);
  mmap_link_free (self->link);
}

GVariant *
fuzz_consumer_make_offer (FuzzConsumer * self)
{
  g_auto (MmapCapabilities) offer = { 0 };

  g_clear_pointer (&self->region, mmap_region_unref);
  self->region = mmap_region_new_memfd (FUZZ_REGION_BYTES, FUZZ_SESSION,
      ++self->region_id, NULL);
  mmap_capabilities_init (&offer);
  offer.token.n_bytes = 16;
  memset (offer.token.bytes, 0x77, 16);
  offer.session = FUZZ_SESSION;
  offer.region_id = self->region_id;
  offer.file = g_strdup ("memfd");
  offer.size = self->region->size;
  offer.token_index = self->region->size - 16;
  offer.max_held = 4096;
  mmap_token_write (&offer.token, self->region->base + offer.token_index);
  return g_variant_ref_sink (mmap_capabilities_to_variant (&offer));
}

guint
fuzz_consumer_get_fds (FuzzConsumer * self, gboolean first, int fds[2])
{
  fds[0] = self->region ? self->region->fd : -1;
  fds[1] = self->link->fd;
  return first ? 2 : 1;
}

int
fuzz_consumer_new_socket (FuzzConsumer * self)
{
  int fds[2];

  if (self->fd >= 0)
    close (self->fd);
  fuzz_assert (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
          fds) == 0);
  self->fd = fds[0];
  return fds[1];
}

void
fuzz_consumer_connect (FuzzConsumer * self)
{
  MmapConsumer *consumer = self->consumer;

  if (consumer->socket)
    return;
  consumer->socket = g_socket_new_from_fd (fuzz_consumer_new_socket (self),
      NULL);
  g_socket_set_blocking (consumer->socket, FALSE);
}

void
fuzz_consumer_read (FuzzConsumer * self, FuzzInput * input, guint n)
{
  MmapNextResult next = MMAP_NEXT_EVENT;
  MmapItem item;

  while (n-- > 0 && next != MMAP_NEXT_CANCELLED && next != MMAP_NEXT_ERROR) {
    next = fuzz_next (self->consumer, &item);
    if (next == MMAP_NEXT_FRAME && fuzz_one_in (input, 2)) {
      guint i = fuzz_below (input, FUZZ_MAX_HELD);

      fuzz_consumer_release (self, i);
      self->held[i] = item;
    } else if (next == MMAP_NEXT_FRAME || next == MMAP_NEXT_EVENT) {
      fuzz_release (&item);
    }
    if (next == MMAP_NEXT_CONNECTED)
      self->up = TRUE;
    else if (next == MMAP_NEXT_DISCONNECTED || next == MMAP_NEXT_ERROR)
      self->up = FALSE;
  }
  /* Frames stay readable, whatever came of the link. */
  for (n = 0; n < FUZZ_MAX_HELD; n++)
    if (self->held[n].link)
      fuzz_check_item (&self->held[n]);
}

void
fuzz_consumer_release (FuzzConsumer * self, guint i)
{
  if (self->held[i].link)
    fuzz_release (&self->held[i]);
  memset (&self->held[i], 0, sizeof self->held[i]);
}
