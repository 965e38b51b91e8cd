/* gst-mmap: the fault suite's consumer: checks each frame when it comes, and again when it is given back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the element pushes passes a probe; what reaches the sink "out" is kept for a while. Both on a streaming thread.
 */
#include "peer.h"

#include "fate.h"
#include "payload.h"

#include <gst/video/video.h>
#include <string.h>

/* On the first buffer after frames that were dropped for this consumer. */
#define MISSED_META "mmap-missed"

static GMutex lock;
static GPtrArray *kept;         /* (element-type GstBuffer), under the lock */
static GPtrArray *older;        /* the same, of the cycles before: given back only when nothing is to be kept */
static gboolean drops;          /* under the lock: keep nothing */
static gint starts;             /* atomic: the next frame is the first of a cycle */

static void
complain (Peer * peer, guint64 * count, const PayloadName * name,
    const char *format, ...)
G_GNUC_PRINTF (4, 5);

     static void
         complain (Peer * peer, guint64 * count, const PayloadName * name,
    const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  __atomic_fetch_add (count, 1, __ATOMIC_RELAXED);
  g_printerr ("frame %" G_GUINT64_FORMAT " of producer %" G_GUINT64_FORMAT
      ": %s\n", name->number, name->producer, what);
}

/* Whether the bytes are those of a frame; @name: (out): of which. */
static gboolean
check_bytes (Peer * peer, GstBuffer * buffer, PayloadName * name,
    const char *when)
{
  GstMapInfo map;
  gboolean right;
  gsize wrong;

  if (!gst_buffer_map (buffer, &map, GST_MAP_READ)) {
    memset (name, 0, sizeof *name);
    complain (peer, &peer->record->torn, name, "can't be mapped");
    return FALSE;
  }
  right = payload_check (map.data, map.size, peer->seed, name, &wrong);
  if (!right)
    complain (peer, &peer->record->torn, name,
        "%s, byte %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT " is wrong", when,
        wrong, map.size);
  gst_buffer_unmap (buffer, &map);
  return right;
}

/* What comes with the bytes is of the same frame. */
static void
check_rest (Peer * peer, GstPad * pad, GstBuffer * buffer,
    const PayloadName * name)
{
  guint64 *strange = &peer->record->strange;
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  GstReferenceTimestampMeta *meta =
      gst_buffer_get_reference_timestamp_meta (buffer, peer_get_metas_name ());
  gboolean has_meta = peer->metas_period > 0
      && name->number % peer->metas_period == 0;
  GstVideoInfo info;

  if (GST_BUFFER_OFFSET (buffer) != name->number)
    complain (peer, strange, name, "its offset is %" G_GUINT64_FORMAT,
        GST_BUFFER_OFFSET (buffer));
  if (caps && gst_video_info_from_caps (&info, caps)
      && GST_VIDEO_INFO_SIZE (&info) != name->bytes) {
    g_autofree char *text = gst_caps_to_string (caps);

    complain (peer, strange, name, "has %" G_GUINT64_FORMAT " bytes with %s",
        name->bytes, text);
  }
  if ((meta != NULL) != has_meta || (meta && meta->timestamp != name->number))
    complain (peer, strange, name, "its metadata is not its own");
}

static guint64
get_missed (GstBuffer * buffer)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, MISSED_META);
  guint64 missed = 0;

  if (meta)
    gst_structure_get_uint64 (gst_custom_meta_get_structure (meta), "frames",
        &missed);
  return missed;
}

/* Writes down that the frame came, and whether it is the one that is expected. */
static void
note (Peer * peer, const PayloadName * name, guint64 missed)
{
  Record *record = peer->record;
  RecordRun *run = &record->runs[MAX (record->n_runs, 1) - 1];

  if (g_atomic_int_compare_and_exchange (&starts, TRUE, FALSE)
      || record->n_runs == 0 || run->producer != name->producer
      || run->last + 1 + missed != name->number) {
    if (record->n_runs == RECORD_MAX_RUNS) {
      peer_fail (peer, "more than %u links", RECORD_MAX_RUNS);
      return;
    }
    run = &record->runs[record->n_runs];
    run->producer = name->producer;
    run->cycle = record->cycle;
    run->first = run->last = name->number;
    record_set (&record->n_runs, record->n_runs + 1);
  } else {
    run->missed += missed;
    record_set (&run->last, name->number);
  }
  record->frames++;
  record_set (&record->last_ns, g_get_monotonic_time () * 1000);
}

static GstPadProbeReturn
on_buffer (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  Peer *peer = data;
  PayloadName name;

  fate_frame ();
  if (check_bytes (peer, buffer, &name, "when it came")) {
    check_rest (peer, pad, buffer, &name);
    note (peer, &name, get_missed (buffer));
  }
  return GST_PAD_PROBE_OK;
}

/* @buffer: (transfer full) */
static void
give_back (Peer * peer, GstBuffer * buffer)
{
  PayloadName name;

  check_bytes (peer, buffer, &name, "when it was given back");
  gst_buffer_unref (buffer);
}

static void
on_handoff (GstElement * out, GstBuffer * buffer, GstPad * pad, gpointer data)
{
  Peer *peer = data;
  GstBuffer *old = NULL;

  if (peer->pause_us > 0)
    g_usleep (payload_mix (GST_BUFFER_OFFSET (buffer)) % (2 * peer->pause_us));
  gst_buffer_ref (buffer);
  g_mutex_lock (&lock);
  /* In another order than they came in. */
  if (drops || peer->hold == 0)
    old = buffer;
  else if (kept->len >= peer->hold)
    old = g_ptr_array_remove_index_fast (kept,
        payload_mix (GST_BUFFER_OFFSET (buffer)) % kept->len);
  if (old != buffer)
    g_ptr_array_add (kept, buffer);
  g_mutex_unlock (&lock);
  if (old)
    give_back (peer, old);
}

static void
drop_kept (Peer * peer)
{
  for (;;) {
    GstBuffer *buffer = NULL;

    g_mutex_lock (&lock);
    if (kept->len > 0)
      buffer = g_ptr_array_remove_index_fast (kept, kept->len - 1);
    else if (older->len > 0)
      buffer = g_ptr_array_remove_index_fast (older, older->len - 1);
    g_mutex_unlock (&lock);
    if (!buffer)
      return;
    give_back (peer, buffer);
  }
}

void
consumer_init (Peer * peer)
{
  GstPad *pad = gst_element_get_static_pad (peer->link, "src");
  GstElement *out = gst_bin_get_by_name (GST_BIN (peer->pipeline), "out");

  g_assert_nonnull (out);
  kept = g_ptr_array_new ();
  older = g_ptr_array_new ();
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_buffer, peer, NULL);
  gst_object_unref (pad);
  g_object_set (out, "signal-handoffs", TRUE, NULL);
  g_signal_connect (out, "handoff", G_CALLBACK (on_handoff), peer);
  gst_object_unref (out);
}

void
consumer_look (Peer * peer)
{
  guint64 command = record_get (&peer->record->command);

  g_mutex_lock (&lock);
  drops = command == RECORD_DROP;
  g_mutex_unlock (&lock);
  if (command == RECORD_DROP)
    drop_kept (peer);
  record_set (&peer->record->state,
      command == RECORD_DROP ? RECORD_DROPPED : RECORD_PLAYING);
}

void
consumer_end (Peer * peer)
{
  drop_kept (peer);
}

void
consumer_start_anew (Peer * peer)
{
  record_set (&peer->record->cycle, peer->record->cycle + 1);
  g_atomic_int_set (&starts, TRUE);
  if (!peer->keeps)
    return;
  g_mutex_lock (&lock);
  g_ptr_array_extend_and_steal (older, kept);
  kept = g_ptr_array_new ();
  g_mutex_unlock (&lock);
}
