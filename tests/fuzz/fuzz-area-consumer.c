/* gst-mmap: fuzz target: a consumer in an area whose producer is hostile
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Looking for a channel and a slot, the mailbox, heartbeats, clocks; regions and links wherever an offer says they are.
 */
#include "fuzz-world.h"

#include "area-client.h"
#include "area-clock.h"
#include "link.h"
#include "message.h"
#include "region.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_STEPS 60
#define MAX_OTHERS_STEPS 4
#define SESSION 77
#define LINKS_OFFSET 65536
#define REGION_OFFSET (6 * 65536)

typedef struct
{
  FuzzInput *input;
  guint8 *base;
  gsize size;
  MmapAreaClient *client;
  GSocket *socket;
  guint64 ids[4];
} Consumer;

static MmapUsers *users;

void
fuzz_start (void)
{
  users = mmap_users_new (NULL, NULL);
}

/* --- the other side --- */

/* All as it should be. */
static void
write_channel (Consumer * self)
{
  MmapAreaStart *start = (MmapAreaStart *) self->base;
  MmapAreaEntry *entry = &start->channels[1];
  guint64 slice_bytes;
  guint slice_count;

  mmap_area_cut (self->size, &slice_bytes, &slice_count);
  memcpy (&start->header.magic, MMAP_AREA_MAGIC, 8);
  start->header.version = MMAP_PROTOCOL_VERSION;
  start->header.byte_order = MMAP_BYTE_ORDER;
  start->header.size = self->size;
  start->header.slice_bytes = slice_bytes;
  start->header.slice_count = slice_count;
  start->header.channel_count = MMAP_AREA_CHANNELS;
  entry->owner = self->ids[1];
  entry->session = SESSION;
  entry->links_offset = LINKS_OFFSET;
  entry->link_slot_bytes = sizeof (MmapLinkSlot);
  entry->link_count = 2;
  memcpy (entry->name, "default", 8);
}

static MmapLinkSlot *
get_slot (Consumer * self)
{
  return (MmapLinkSlot *) (self->base + LINKS_OFFSET)
      + fuzz_below (self->input, 2);
}

static void
say (Consumer * self, MmapMailbox * mailbox)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  guint i;

  fuzz_append_message (self->input, bytes);
  for (i = 0; i < bytes->len; i++)
    mailbox->down_bytes[(mailbox->down_head + i) % MMAP_MAILBOX_DOWN_BYTES] =
        bytes->data[i];
  mailbox->down_head += fuzz_one_in (self->input, 8) ?
      fuzz_byte (self->input) : bytes->len;
}

static void
serve (MmapLinkSlot * slot)
{
  slot->mailbox.down_head = slot->mailbox.down_tail = 0;
  memset (&slot->link, 0, offsetof (MmapLinkArea, frame_slots));
  slot->mailbox.served = slot->mailbox.claim;
}

static void
other_step (Consumer * self)
{
  FuzzInput *input = self->input;
  MmapAreaStart *start = (MmapAreaStart *) self->base;
  MmapLinkSlot *slot = get_slot (self);

  switch (fuzz_below (input, 10)) {
    case 0:
      fuzz_area_write_start (input, self->base, self->ids,
          G_N_ELEMENTS (self->ids));
      break;
    case 1:
      fuzz_area_write_slot (input, slot, self->ids, G_N_ELEMENTS (self->ids));
      break;
    case 2:
      serve (slot);
      break;
    case 3:
    case 4:
      say (self, &slot->mailbox);
      break;
    case 5:
      slot->link.upstream_tail = slot->link.upstream_head;
      break;
    case 6:
      slot->mailbox.clock_ns = fuzz_one_in (input, 2) ? fuzz_number (input) :
          (guint64) fuzz_world_now () * 1000;
      slot->mailbox.clock_answered = slot->mailbox.clock_asked;
      break;
    case 7:
      slot->mailbox.served = 0;
      slot->mailbox.claim = 0;
      break;
    case 8:
      write_channel (self);
      break;
    default:
      start->channels[1].heartbeat++;
      break;
  }
}

static void
other (gpointer data)
{
  Consumer *self = data;
  guint n = 0;

  while (self->input->size > 0 && n++ < MAX_OTHERS_STEPS
      && (fuzz_byte (self->input) & 7) == 7)
    other_step (self);
}

/* --- this side --- */

static guint64
choose_offset (Consumer * self)
{
  switch (fuzz_below (self->input, 4)) {
    case 0:
      return REGION_OFFSET;
    case 1:
      return LINKS_OFFSET + offsetof (MmapLinkSlot, link);
    case 2:
      return self->size + (gint8) fuzz_byte (self->input);
    default:
      return fuzz_number (self->input);
  }
}

static void
write_region (Consumer * self)
{
  MmapRegionHeader *header = (MmapRegionHeader *) (self->base + REGION_OFFSET);
  guint n = fuzz_below (self->input, 4);

  memset (header, 0, MMAP_CACHE_LINE_BYTES);
  memcpy (header->magic, MMAP_REGION_MAGIC, sizeof header->magic);
  header->version = MMAP_PROTOCOL_VERSION;
  header->byte_order = MMAP_BYTE_ORDER;
  header->size = 2 * 65536;
  header->header_bytes = header->blocks_offset = sizeof *header;
  header->session = SESSION;
  while (n-- > 0)
    ((guint64 *) header)[fuzz_below (self->input, 8)] =
        fuzz_number (self->input);
}

/* As an offer says where they are. */
static void
open_region (Consumer * self)
{
  guint64 size = fuzz_one_in (self->input, 4) ? fuzz_number (self->input) :
      2 * 65536;
  MmapArea *area = mmap_area_client_get_area (self->client);
  guint64 offset = choose_offset (self);
  MmapRegion *region;

  write_region (self);
  region = mmap_region_open_window (area, offset, size, NULL);
  if (!region)
    return;
  fuzz_assert (region->size == size && offset >= area->slice_bytes
      && offset <= area->size && size <= area->size - offset);
  fuzz_assert (region->blocks_offset < region->size);
  (void) *(volatile const guint8 *) (region->base + region->size - 1);
  mmap_region_unref (region);
}

static void
open_link (Consumer * self)
{
  MmapArea *area = mmap_area_client_get_area (self->client);
  guint64 offset = choose_offset (self);
  MmapLink *link;
  guint8 *at;

  /* What is there is in the file, which this side may map at another place. */
  if (offset <= self->size - 8 && fuzz_one_in (self->input, 2))
    mmap_link_free (mmap_link_new_in_area (area,
            (MmapLinkArea *) (area->base + LINKS_OFFSET
                + offsetof (MmapLinkSlot, link)), SESSION, 1,
            mmap_area_client_get_producer (self->client)));
  link = mmap_link_open_in_area (area, offset, SESSION,
      mmap_area_client_get_producer (self->client), NULL);
  if (!link)
    return;
  at = (guint8 *) link->area;
  fuzz_assert (at >= area->base + area->slice_bytes
      && at + sizeof *link->area <= area->base + area->size);
  mmap_area_client_set_link (self->client, offset,
      mmap_area_client_get_producer (self->client));
  mmap_link_free (link);
}

static void
look (Consumer * self)
{
  MmapAreaClock *clock = mmap_area_client_get_clock (self->client);
  guint64 error;
  gint64 offset;

  mmap_area_clock_get (clock, &offset, &error);
  mmap_area_clock_use (clock);
  mmap_area_client_get_producer_pid (self->client);
  fuzz_assert (mmap_area_client_get_link_offset (self->client) < self->size);
}

static void
step (Consumer * self)
{
  FuzzInput *input = self->input;
  g_auto (MmapMessage) message = { 0 };
  GVariantDict body;

  switch (fuzz_below (input, 9)) {
    case 0:
      g_variant_dict_init (&body, NULL);
      mmap_message_send (self->socket, MMAP_MESSAGE_HELLO,
          g_variant_dict_end (&body), NULL, 0, NULL);
      break;
    case 1:
      mmap_message_receive (self->socket, TRUE, &message, NULL);
      break;
    case 2:
      open_region (self);
      break;
    case 3:
      open_link (self);
      break;
    case 4:
      look (self);
      break;
    case 5:
      other_step (self);
      break;
    default:
      fuzz_world_run (fuzz_below (input, 8));
      break;
  }
}

void
fuzz_run (FuzzInput * input)
{
  Consumer self = {.input = input,.ids = {1, 2, 3, G_MAXUINT64} };
  g_autofree char *path = NULL;
  guint i, n;

  self.size = MMAP_AREA_MIN_BYTES + fuzz_below (input, 3) * 4096;
  path = fuzz_area_new_file (self.size, &self.base);
  write_channel (&self);
  n = fuzz_below (input, 8);
  fuzz_world_begin (other, &self);
  while (n-- > 0)
    other_step (&self);
  self.client = mmap_area_client_new (path, NULL, "default", FALSE,
      users, &self.socket, NULL);
  for (i = 0; self.client && i < MAX_STEPS && input->size > 0; i++)
    step (&self);
  g_clear_object (&self.socket);
  g_clear_pointer (&self.client, mmap_area_client_free);
  fuzz_world_end ();
  munmap (self.base, self.size);
  unlink (path);
}
