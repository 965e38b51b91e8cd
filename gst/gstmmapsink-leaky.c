/* gst-mmap: mmapsink: slow consumers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which policy applies, and what the application hears of dropped frames. On the streaming thread, but for what is said otherwise.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsink-private.h"

#define GST_CAT_DEFAULT gst_mmap_sink_debug

/* With a policy that drops, time alone may change what is possible: the core gives up on a consumer after a while. Chosen, untuned. */
#define PATIENCE_US (10 * G_TIME_SPAN_MILLISECOND)

GType
gst_mmap_leaky_type_get_type (void)
{
  static const GEnumValue values[] = {
    {GST_MMAP_LEAKY_AUTO, "Downstream if the stream is live, else none",
        "auto"},
    {GST_MMAP_LEAKY_NONE, "All wait for a slow consumer", "none"},
    {GST_MMAP_LEAKY_UPSTREAM, "A slow consumer does not get new frames",
        "upstream"},
    {GST_MMAP_LEAKY_DOWNSTREAM,
          "A slow consumer loses the oldest frames that it has not read",
        "downstream"},
    {0, NULL, NULL}
  };
  static gsize type = 0;

  if (g_once_init_enter (&type)) {
    GType made = g_enum_register_static ("GstMmapLeakyType", values);

    g_once_init_leave (&type, made);
  }
  return type;
}

gboolean
gst_mmap_sink_is_fed_live (GstMmapSink * self)
{
  gboolean live = FALSE, upstream_live = FALSE;

  return gst_base_sink_query_latency (GST_BASE_SINK (self), &live,
      &upstream_live, NULL, NULL) && upstream_live;
}

void
gst_mmap_sink_forget_policy (GstMmapSink * self)
{
  g_atomic_int_set (&self->policy_known, FALSE);
}

void
gst_mmap_sink_apply_policy (GstMmapSink * self)
{
  MmapLeaky leaky = MMAP_LEAKY_NONE;
  GstMmapLeakyType type;

  if (g_atomic_int_get (&self->policy_known))
    return;
  g_atomic_int_set (&self->policy_known, TRUE);
  GST_OBJECT_LOCK (self);
  type = self->leaky_type;
  GST_OBJECT_UNLOCK (self);
  if (type == GST_MMAP_LEAKY_AUTO && gst_mmap_sink_is_fed_live (self))
    type = GST_MMAP_LEAKY_DOWNSTREAM;
  if (type == GST_MMAP_LEAKY_UPSTREAM)
    leaky = MMAP_LEAKY_UPSTREAM;
  else if (type == GST_MMAP_LEAKY_DOWNSTREAM)
    leaky = MMAP_LEAKY_DOWNSTREAM;
  GST_INFO_OBJECT (self, "slow consumers: %s", leaky == MMAP_LEAKY_NONE ?
      "all wait" : leaky == MMAP_LEAKY_UPSTREAM ? "drop the new" :
      "drop the oldest");
  mmap_producer_set_leaky (self->producer, leaky);
}

gint64
gst_mmap_sink_get_patience (GstMmapSink * self)
{
  return mmap_producer_is_leaky (self->producer) ? PATIENCE_US : -1;
}

/* Of one consumer, in all so far. */
static void
gst_mmap_sink_post_drops (GstMmapSink * self, GstBuffer * buffer,
    const MmapLinkStats * stats)
{
  GstSegment *segment = &GST_BASE_SINK (self)->segment;
  GstClockTime pts = GST_BUFFER_PTS (buffer);
  guint64 running_time = GST_CLOCK_TIME_NONE, stream_time = running_time;
  GstMessage *message;

  GST_DEBUG_OBJECT (self, "link %u, process %u: %" G_GUINT64_FORMAT
      " frames dropped", stats->link_id, stats->pid, stats->dropped);
  if (segment->format == GST_FORMAT_TIME) {
    running_time = gst_segment_to_running_time (segment, GST_FORMAT_TIME, pts);
    stream_time = gst_segment_to_stream_time (segment, GST_FORMAT_TIME, pts);
  }
  message = gst_message_new_qos (GST_OBJECT (self),
      mmap_producer_is_leaky (self->producer), running_time, stream_time, pts,
      GST_BUFFER_DURATION (buffer));
  gst_message_set_qos_stats (message, GST_FORMAT_BUFFERS, stats->frames,
      stats->dropped);
  gst_structure_set (gst_message_writable_structure (message),
      "link-id", G_TYPE_UINT, stats->link_id, "pid", G_TYPE_UINT, stats->pid,
      "uid", G_TYPE_UINT, stats->uid, NULL);
  gst_element_post_message (GST_ELEMENT (self), message);
}

void
gst_mmap_sink_report_drops (GstMmapSink * self, GstBuffer * buffer)
{
  MmapLinkStats stats;

  while (mmap_producer_take_drops (self->producer, &stats))
    gst_mmap_sink_post_drops (self, buffer, &stats);
}

void
gst_mmap_sink_describe_links (MmapProducer * producer, GValue * list)
{
  MmapLinkStats stats[MMAP_MAX_LINKS];
  guint n = mmap_producer_get_links (producer, stats), i;

  for (i = 0; i < n; i++) {
    GValue value = G_VALUE_INIT;

    g_value_init (&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed (&value, gst_structure_new ("consumer",
            "link-id", G_TYPE_UINT, stats[i].link_id,
            "pid", G_TYPE_UINT, stats[i].pid,
            "uid", G_TYPE_UINT, stats[i].uid,
            "frames", G_TYPE_UINT64, stats[i].frames,
            "dropped", G_TYPE_UINT64, stats[i].dropped,
            "held", G_TYPE_UINT, stats[i].held,
            "leaving", G_TYPE_BOOLEAN, stats[i].leaving, NULL));
    gst_value_array_append_and_take_value (list, &value);
  }
}
