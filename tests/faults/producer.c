/* gst-mmap: the fault suite's producer: numbers frames, and counts what is not free in the end
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The probe runs on the streaming thread; the element sends one frame before the next one passes it.
 */
#include "peer.h"

#include "fate.h"
#include "payload.h"

#include "gstmmapsink-private.h"
#include "producer-private.h"

#include <string.h>

/* How often a held stream looks whether it goes on. */
#define HELD_US 500

static gint leaving;            /* atomic: the source shall stop */
static gchar **caps_list;
static GstElement *caps_filter;
static gboolean changed_caps;   /* streaming thread: the next frame has others */

static void
stamp (Peer * peer, GstBuffer * buffer, guint64 number)
{
  PayloadName name = { peer->number, number, gst_buffer_get_size (buffer) };
  GstMapInfo map;

  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_WRITE));
  payload_write (map.data, peer->seed, &name);
  gst_buffer_unmap (buffer, &map);
  GST_BUFFER_OFFSET (buffer) = number;
  if (peer->metas_period > 0 && number % peer->metas_period == 0)
    gst_buffer_add_reference_timestamp_meta (buffer, peer_get_metas_name (),
        number, GST_CLOCK_TIME_NONE);
}

/* Other caps from the next frame on, now and then. */
static void
change_caps (Peer * peer, guint64 number)
{
  guint64 random = payload_mix (payload_mix (peer->seed ^ peer->number)
      ^ number);
  g_autoptr (GstCaps) caps = NULL;

  changed_caps = FALSE;
  if (!caps_list || peer->caps_period == 0 || random % peer->caps_period != 0)
    return;
  caps = gst_caps_from_string (caps_list[(random >> 32)
          % g_strv_length (caps_list)]);
  g_object_set (caps_filter, "caps", caps, NULL);
  changed_caps = TRUE;
}

/* FALSE: the frame goes nowhere. */
static gboolean
wait_while_held (Peer * peer)
{
  Record *record = peer->record;

  while (record_get (&record->command) != RECORD_RUN) {
    if (g_atomic_int_get (&leaving))
      return FALSE;
    if (!changed_caps && record->state == RECORD_PLAYING)
      record_set (&record->state, RECORD_HELD);
    if (changed_caps)
      return TRUE;
    g_usleep (HELD_US);
  }
  record_set (&record->state, RECORD_PLAYING);
  return TRUE;
}

static GstPadProbeReturn
on_buffer (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  Peer *peer = data;
  Record *record = peer->record;
  GstBuffer *buffer = gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER
      (info));
  guint64 number = record->number + 1;

  GST_PAD_PROBE_INFO_DATA (info) = buffer;
  /* The one before has been sent, or the pad would not be here. */
  record_set (&record->published, record->number);
  fate_frame ();
  if (!wait_while_held (peer))
    return GST_PAD_PROBE_DROP;
  /* Not from another thread: GstBin may wait for this one then, with its own state locked. */
  if (g_atomic_int_get (&peer->ends)) {
    gst_pad_send_event (pad, gst_event_new_eos ());
    return GST_PAD_PROBE_DROP;
  }
  if (peer->pause_us > 0)
    g_usleep (payload_mix (number) % (2 * peer->pause_us));
  stamp (peer, buffer, number);
  change_caps (peer, number);
  record_set (&record->number, number);
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
on_event (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  Record *record = ((Peer *) data)->record;

  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_EOS)
    record_set (&record->published, record->number);
  return GST_PAD_PROBE_OK;
}

static void
on_links (GObject * sink, GParamSpec * pspec, gpointer data)
{
  guint n;

  g_object_get (sink, "num-clients", &n, NULL);
  record_set (&((Peer *) data)->record->links, n);
}

void
producer_init (Peer * peer)
{
  GstPad *pad = gst_element_get_static_pad (peer->link, "sink");

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_buffer, peer, NULL);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_event, peer,
      NULL);
  gst_object_unref (pad);
  g_signal_connect (peer->link, "notify::num-clients", G_CALLBACK (on_links),
      peer);
  if (!peer->caps)
    return;
  caps_list = g_strsplit (peer->caps, ";", -1);
  caps_filter = gst_bin_get_by_name (GST_BIN (peer->pipeline), "caps");
  g_assert_nonnull (caps_filter);
}

/* Elements before the one under test give back their memory. */
static void
stop_upstream (Peer * peer)
{
  GstIterator *elements = gst_bin_iterate_elements (GST_BIN (peer->pipeline));
  GValue item = G_VALUE_INIT;

  g_atomic_int_set (&leaving, TRUE);
  while (gst_iterator_next (elements, &item) == GST_ITERATOR_OK) {
    GstElement *element = g_value_get_object (&item);

    if (element != peer->link) {
      gst_element_set_locked_state (element, TRUE);
      gst_element_set_state (element, GST_STATE_NULL);
    }
    g_value_reset (&item);
  }
  g_value_unset (&item);
  gst_iterator_free (elements);
}

static guint
count_kept_blocks_locked (MmapProducer * producer)
{
  guint n = 0, i;

  for (i = 0; i < producer->kept->len; i++)
    if (((MmapKept *) g_ptr_array_index (producer->kept, i))->block)
      n++;
  return n;
}

static guint
count_free_publications_locked (MmapProducer * producer)
{
  guint32 next = producer->free_publications;
  guint n;

  for (n = 0; next != 0 && n <= producer->publications->len; n++)
    next = g_array_index (producer->publications, MmapPublication,
        next - 1).next;
  return n;
}

/* Nobody is there, and nothing is on its way: all is free. */
static void
audit (Peer * peer)
{
  MmapProducer *producer = GST_MMAP_SINK (peer->link)->producer;
  Record *record = peer->record;
  MmapArena *arena;
  guint i;

  stop_upstream (peer);
  mmap_producer_collect (producer);
  g_mutex_lock (&producer->lock);
  arena = producer->arena;
  if (arena)
    record->leaked_blocks = mmap_blocks_get_count (arena->frames)
        + mmap_blocks_get_count (arena->control) - arena->n_spares
        - count_kept_blocks_locked (producer);
  record->leaked_publications = producer->n_held
      + producer->publications->len - count_free_publications_locked (producer);
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    if (producer->links[i])
      record->leaked_links++;
  g_mutex_unlock (&producer->lock);
  record_set (&record->state, RECORD_AUDITED);
}

void
producer_look (Peer * peer)
{
  if (record_get (&peer->record->command) == RECORD_AUDIT
      && record_get (&peer->record->state) != RECORD_AUDITED)
    audit (peer);
}
