/* gst-mmap: fuzz target: a producer's channel in an area that others write meanwhile
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Formatting, claiming, windows, heartbeats, link slots and their mailboxes. The other side writes at any instant, by the rules and against.
 */
#include "fuzz-world.h"

#include "area-channel.h"
#include "area-server.h"
#include "error.h"
#include "link.h"
#include "message.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_STEPS 60
/* Between two of ours. */
#define MAX_OTHERS_STEPS 4
#define MAX_WINDOWS 4
#define SESSION 77

typedef struct
{
  FuzzInput *input;
  guint8 *base;                 /* as the other side maps it */
  MmapChannel *channel;
  MmapAreaServer *server;
  GSocket *sockets[MMAP_MAX_LINKS];
  MmapLink *links[MMAP_MAX_LINKS];
  MmapWindow *windows[MAX_WINDOWS];
  MmapLinkSlot *slot;           /* which the other side is at */
  guint64 ids[4];
  guint64 heard;
} Producer;

static MmapUsers *users;

void
fuzz_start (void)
{
  users = mmap_users_new (NULL, NULL);
}

/* --- the other side --- */

static void
claim_slot (Producer * self)
{
  MmapMailbox *mailbox = &self->slot->mailbox;
  guint64 id = self->ids[fuzz_below (self->input, G_N_ELEMENTS (self->ids))];

  if (fuzz_one_in (self->input, 4))
    mailbox->pid = getpid ();
  mailbox->claim = mailbox->consumer = id;
  self->heard = 0;
}

static void
say (Producer * self)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  MmapLinkArea *link = &self->slot->link;
  guint i;

  fuzz_append_message (self->input, bytes);
  for (i = 0; i < bytes->len; i++)
    link->upstream_bytes[(link->upstream_head + i)
        % MMAP_UPSTREAM_RING_BYTES] = bytes->data[i];
  link->upstream_head += fuzz_one_in (self->input, 8) ?
      fuzz_byte (self->input) : bytes->len;
}

static void
write_pages (Producer * self)
{
  guint page = fuzz_below (self->input, 8);

  memset (self->base + page * MMAP_PAGE_BYTES, fuzz_byte (self->input),
      MMAP_PAGE_BYTES);
}

static void
other_step (Producer * self)
{
  FuzzInput *input = self->input;
  guint choice = fuzz_below (input, 10);

  if (!self->slot && choice > 1)
    choice = 0;
  switch (choice) {
    case 0:
      fuzz_area_write_start (input, self->base, self->ids,
          G_N_ELEMENTS (self->ids));
      break;
    case 1:
      if (fuzz_one_in (input, 8))
        write_pages (self);
      break;
    case 2:
      fuzz_area_write_slot (input, self->slot, self->ids,
          G_N_ELEMENTS (self->ids));
      break;
    case 3:
      claim_slot (self);
      break;
    case 4:
    case 5:
      say (self);
      break;
    case 6:
      self->slot->mailbox.down_tail = self->slot->mailbox.down_head;
      break;
    case 7:
      self->slot->mailbox.left = self->slot->mailbox.claim;
      break;
    case 8:
      self->slot->mailbox.clock_asked++;
      break;
    default:
      self->slot->mailbox.heartbeat++;
      break;
  }
}

/* As often as the input says; mostly not. */
static void
other (gpointer data)
{
  Producer *self = data;
  guint n = 0;

  while (self->input->size > 0 && n++ < MAX_OTHERS_STEPS
      && (fuzz_byte (self->input) & 7) == 7)
    other_step (self);
}

/* --- this side --- */

static void
drop_link (Producer * self, guint i)
{
  if (self->sockets[i])
    g_socket_close (self->sockets[i], NULL);
  g_clear_object (&self->sockets[i]);
  g_clear_pointer (&self->links[i], mmap_link_free);
}

static gboolean
accept_link (guint slot, GSocket * socket, const MmapAreaPeer * peer,
    gpointer data, GError ** error)
{
  Producer *self = data;

  /* The slot is nobody else's until the socket was closed. */
  fuzz_assert (slot < mmap_channel_get_link_count (self->channel));
  fuzz_assert (!self->sockets[slot] && peer);
  if (fuzz_one_in (self->input, 8)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT, "not now");
    return FALSE;
  }
  self->sockets[slot] = g_object_ref (socket);
  self->links[slot] = mmap_link_new_in_area (mmap_channel_get_area
      (self->channel), &mmap_channel_get_slot (self->channel, slot)->link,
      SESSION, slot, peer);
  return TRUE;
}

static void
link_broken (const GError * reason, gpointer data)
{
  fuzz_assert (reason && reason->domain == MMAP_ERROR);
}

/* Nobody comes through a socket here. */
static gint
end_idle (gboolean * later, gpointer data)
{
  *later = FALSE;
  return -1;
}

static const MmapAreaServerCallbacks callbacks = {
  accept_link, end_idle, link_broken, link_broken
};

/* No two have a slice in common, nor one with the link slots, whatever the words say. */
static void
check_windows (Producer * self)
{
  const MmapArea *area = mmap_channel_get_area (self->channel);
  guint used[MMAP_AREA_MAX_SLICES] = { 1 }, i, s;
  guint64 links = (guint8 *) mmap_channel_get_slot (self->channel, 0)
      - area->base;
  guint64 bytes = mmap_channel_get_link_count (self->channel)
      * sizeof (MmapLinkSlot);

  for (s = links / area->slice_bytes;
      s <= (links + bytes - 1) / area->slice_bytes; s++)
    fuzz_assert (used[s]++ == 0);
  for (i = 0; i < MAX_WINDOWS; i++) {
    const MmapWindow *window = self->windows[i];

    if (!window)
      continue;
    fuzz_assert (window->n > 0 && window->first + window->n
        <= area->slice_count);
    fuzz_assert (window->offset == window->first * area->slice_bytes
        && window->size == window->n * area->slice_bytes
        && window->offset + window->size <= area->size);
    for (s = 0; s < window->n; s++)
      fuzz_assert (used[window->first + s]++ == 0);
  }
}

static void
change_window (Producer * self)
{
  guint i = fuzz_below (self->input, MAX_WINDOWS);
  guint64 bytes = fuzz_one_in (self->input, 4) ? fuzz_number (self->input) :
      1 + fuzz_below (self->input, 8) * 65536;

  if (self->windows[i]) {
    mmap_window_free (g_steal_pointer (&self->windows[i]));
    return;
  }
  self->windows[i] = mmap_window_claim (self->channel, bytes,
      fuzz_one_in (self->input, 2) ? 1 : bytes, NULL);
  check_windows (self);
}

static void
send_something (Producer * self, guint i)
{
  GVariantDict body;

  g_variant_dict_init (&body, NULL);
  g_variant_dict_insert_value (&body, "fill",
      g_variant_new_take_string (g_strnfill (fuzz_byte (self->input) * 60,
              'x')));
  mmap_message_send (self->sockets[i], MMAP_MESSAGE_EVENT,
      g_variant_dict_end (&body), NULL, 0, NULL);
}

static void
step (Producer * self)
{
  FuzzInput *input = self->input;
  guint i = fuzz_below (input, 2);
  g_auto (MmapMessage) message = { 0 };

  self->slot = mmap_channel_get_slot (self->channel, fuzz_below (input, 2));
  switch (fuzz_below (input, 8)) {
    case 0:
      change_window (self);
      break;
    case 1:
      if (self->sockets[i])
        send_something (self, i);
      break;
    case 2:
      if (self->sockets[i])
        mmap_message_receive (self->sockets[i], TRUE, &message, NULL);
      break;
    case 3:
      drop_link (self, i);
      break;
    case 4:
      other_step (self);
      break;
    default:
      fuzz_world_run (fuzz_below (input, 8));
      break;
  }
}

static void
serve (Producer * self)
{
  guint i;

  self->server = mmap_area_server_new (self->channel, -1, &callbacks, self,
      NULL);
  fuzz_assert (self->server);
  for (i = 0; i < MAX_STEPS && self->input->size > 0; i++)
    step (self);
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    drop_link (self, i);
  mmap_area_server_free (self->server);
  for (i = 0; i < MAX_WINDOWS; i++)
    if (self->windows[i])
      mmap_window_free (self->windows[i]);
  mmap_channel_unref (self->channel);
}

void
fuzz_run (FuzzInput * input)
{
  Producer self = {.input = input,.ids = {1, 2, 3, G_MAXUINT64} };
  gsize size = MMAP_AREA_MIN_BYTES + fuzz_below (input, 3) * 4096;
  g_autofree char *path = fuzz_area_new_file (size, &self.base);
  MmapMode mode = { 0 };
  MmapArea *area;
  guint n = fuzz_below (input, 8);

  fuzz_world_begin (other, &self);
  while (n-- > 0)
    fuzz_area_write_start (input, self.base, self.ids, G_N_ELEMENTS (self.ids));
  area = mmap_area_open (path, 0, &mode, users, NULL);
  if (area)
    self.channel = mmap_channel_claim (area, "default", SESSION, NULL);
  if (self.channel) {
    self.ids[3] = mmap_channel_get_id (self.channel);
    serve (&self);
  }
  if (area)
    mmap_area_remove_if_unused (area);
  g_clear_pointer (&area, mmap_area_unref);
  fuzz_world_end ();
  munmap (self.base, size);
  unlink (path);
}
