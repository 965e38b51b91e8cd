/* gst-mmap: the producer: how links end
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called from the service thread, and from whoever publishes. A consumer whose socket hangs up has gone, and holds nothing. One that lives may
 * still be reading what it has taken, whoever ends the link: that stays as it is until it is given back. Such a link is leaving: it
 * gets nothing more, and nobody counts on it. What it holds counts as what a consumer holds that is there: see
 * mmap_producer_note_shortage_locked().
 */
#include "producer-private.h"

#include "atomics.h"
#include "foreign.h"

/* Callers hear of it, the consumer is told. To leave is no cause, though it may be noticed first by who sends something. */
static void
link_blame_locked (MmapProducerLink * link, const GError * reason)
{
  if (!reason || g_error_matches (reason, MMAP_ERROR, MMAP_ERROR_CLOSED))
    return;
  link->producer->stats.failures[reason->code]++;
  mmap_producer_report_refusal_locked (link->producer, reason);
  mmap_message_send_refusal (link->socket, reason);
}

/* It is no consumer any more. */
static void
link_retire_locked (MmapProducerLink * link)
{
  MmapProducer *producer = link->producer;

  mmap_producer_report_left_locked (link);
  mmap_store_relaxed (&producer->dropping,
      producer->dropping & ~link_bit (link));
  mmap_producer_link_forget_offers_locked (link);
  if (link->timeout) {
    g_source_destroy (link->timeout);
    g_clear_pointer (&link->timeout, g_source_unref);
  }
}

/* Of a link that is retired. */
static void
link_finish_locked (MmapProducerLink * link)
{
  MmapProducer *producer = link->producer;

  mmap_producer_link_set_state_locked (link, LINK_ENDED, FALSE);
  mmap_producer_drop_held_locked (link);
  mmap_producer_link_update_entry_locked (link);
  producer->links[link->slot] = NULL;
  g_source_destroy (link->source);
  g_clear_pointer (&link->source, g_source_unref);
  mmap_foreign_close_socket (link->socket);
  mmap_producer_touch_locked (producer);
  mmap_producer_report_locked (producer);
  mmap_producer_link_unref (link);
}

void
mmap_producer_link_close_locked (MmapProducerLink * link, const GError * reason)
{
  if (link->state == LINK_ENDED)
    return;
  link_blame_locked (link, reason);
  if (link->state != LINK_LEAVING)
    link_retire_locked (link);
  link_finish_locked (link);
}

/* What was published in @ring and not taken out of it is free. FALSE: its indices can't be. @n: (out): how much it was */
static gboolean
link_take_back_unread_locked (MmapProducerLink * link, MmapRing * ring,
    const guint64 * ids, guint * n)
{
  MmapRingResult result;
  guint64 index;

  for (*n = 0; (result = mmap_ring_take_back (ring, &index)) == MMAP_RING_OK;
      (*n)++)
    mmap_producer_link_drop_locked (link, ids[index % ring->n_slots]);
  return result != MMAP_RING_BROKEN;
}

static void
link_let_go_locked (MmapProducerLink * link)
{
  guint n_frames, n_events;

  link_retire_locked (link);
  mmap_producer_link_set_state_locked (link, LINK_LEAVING, FALSE);
  /* Who sees that a frame was taken back sees this. Pairs with the fence in is_over(). */
  mmap_store_relaxed (&link->link->area->ended, 1);
  if (!link_take_back_unread_locked (link, &link->link->frames,
          link->frame_ids, &n_frames)
      || !link_take_back_unread_locked (link, &link->link->events,
          link->event_ids, &n_events)) {
    mmap_producer_link_end_broken_locked (link, "impossible indices in a ring");
    return;
  }
  link->frames -= n_frames;
  mmap_producer_touch_locked (link->producer);
  mmap_producer_report_locked (link->producer);
  mmap_producer_link_settle_locked (link);
}

void
mmap_producer_link_end_locked (MmapProducerLink * link, const GError * reason)
{
  if (link->state != LINK_UP) {
    mmap_producer_link_close_locked (link, reason);
    return;
  }
  link_blame_locked (link, reason);
  link_let_go_locked (link);
}

void
mmap_producer_link_leave_locked (MmapProducerLink * link)
{
  link->left = TRUE;
  link_let_go_locked (link);
}

gboolean
mmap_producer_link_handle_leaving_locked (MmapProducerLink * link,
    const MmapMessage * message, GError ** error)
{
  if (link->left) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "The consumer sent a message of kind %d after it had left",
        message->kind);
    return FALSE;
  }
  /* Before that it may not have read yet that its link was ended. */
  link->left = message->kind == MMAP_MESSAGE_LEAVE;
  return TRUE;
}

void
mmap_producer_link_settle_locked (MmapProducerLink * link)
{
  if (link->held == 0)
    link_finish_locked (link);
  else
    mmap_producer_link_update_entry_locked (link);
}
