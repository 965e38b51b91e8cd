/* gst-mmap: the benchmark's sink element
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Takes frames as they come, and notes how old each is. The virtual methods run on the streaming thread; main() asks for
 * the results when they are not written any more.
 */
#include "benchsink.h"

#include "benchframe.h"

#include <gst/video/video.h>
#include <string.h>

struct _BenchSink
{
  GstBaseSink parent;

  gboolean touch_all;
  BenchDoneFunc first;
  BenchDoneFunc done;
  gpointer user_data;

  BenchPhase phase;
  gint64 first_ns;
  guint64 sequence;
  guint64 frames;               /* of the window, as the following */
  guint64 gaps;                 /* frames that are missing */
  guint64 strange;              /* frames that are not of benchsrc, or are older than the one before */
  guint64 sum;                  /* of the bytes read, so that they are read */
  Histogram latency;
  Snapshot begin;
  Snapshot end;
};

static GstStaticPadTemplate sink_template =
GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS_ANY);

G_DEFINE_TYPE (BenchSink, bench_sink, GST_TYPE_BASE_SINK);

/* Four sums, so that the additions don't wait for each other. */
static guint64
sum_bytes (const guint8 * data, gsize size)
{
  guint64 sums[4] = { 0 }, words[4];
  gsize i;

  for (i = 0; i + sizeof words <= size; i += sizeof words) {
    memcpy (words, data + i, sizeof words);
    sums[0] += words[0];
    sums[1] += words[1];
    sums[2] += words[2];
    sums[3] += words[3];
  }
  for (; i < size; i++)
    sums[0] += data[i];
  return sums[0] + sums[1] + sums[2] + sums[3];
}

static void
bench_sink_take (BenchSink * self, const BenchHeader * header, gint64 now)
{
  BenchPhase phase = header->phase;

  if (self->first_ns == 0) {
    self->first_ns = now;
    self->first (self->user_data);
  }
  if (self->phase == BENCH_WARM_UP && phase == BENCH_WINDOW)
    measure_snapshot (&self->begin);
  if (self->phase == BENCH_WINDOW && phase == BENCH_OVER) {
    measure_snapshot (&self->end);
    self->phase = phase;
    self->done (self->user_data);
  }
  if (phase == BENCH_WINDOW) {
    self->frames++;
    if (self->phase == BENCH_WINDOW && header->sequence > self->sequence)
      self->gaps += header->sequence - self->sequence - 1;
    if (header->sequence <= self->sequence)
      self->strange++;
    histogram_add (&self->latency, now - header->sent_ns);
  }
  self->phase = phase;
  self->sequence = header->sequence;
}

static GstFlowReturn
bench_sink_render (GstBaseSink * sink, GstBuffer * buffer)
{
  BenchSink *self = BENCH_SINK (sink);
  gint64 now = measure_now_ns ();
  BenchHeader header;
  GstMapInfo map;

  if (!gst_buffer_map (buffer, &map, GST_MAP_READ))
    return GST_FLOW_ERROR;
  memset (&header, 0, sizeof header);
  memcpy (&header, map.data, MIN (map.size, sizeof header));
  if (header.magic == BENCH_MAGIC)
    bench_sink_take (self, &header, now);
  else
    self->strange++;
  if (self->touch_all)
    self->sum += sum_bytes (map.data, map.size);
  gst_buffer_unmap (buffer, &map);
  return GST_FLOW_OK;
}

static gboolean
bench_sink_propose_allocation (GstBaseSink * sink, GstQuery * query)
{
  gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
  return TRUE;
}

static void
bench_sink_class_init (BenchSinkClass * klass)
{
  GstBaseSinkClass *sink_class = GST_BASE_SINK_CLASS (klass);

  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass),
      &sink_template);
  gst_element_class_set_static_metadata (GST_ELEMENT_CLASS (klass),
      "Benchmark sink", "Sink", "Notes how old frames are",
      "the gst-mmap authors");
  sink_class->render = bench_sink_render;
  sink_class->propose_allocation = bench_sink_propose_allocation;
}

static void
bench_sink_init (BenchSink * self)
{
  GstBaseSink *sink = GST_BASE_SINK (self);

  gst_base_sink_set_sync (sink, FALSE);
  gst_base_sink_set_async_enabled (sink, FALSE);
  gst_base_sink_set_last_sample_enabled (sink, FALSE);
}

void
bench_sink_configure (BenchSink * self, gboolean touch_all,
    BenchDoneFunc first, BenchDoneFunc done, gpointer user_data)
{
  self->touch_all = touch_all;
  self->first = first;
  self->done = done;
  self->user_data = user_data;
}

gint64
bench_sink_get_first_ns (BenchSink * self)
{
  return self->first_ns;
}

void
bench_sink_to_json (BenchSink * self, GString * json)
{
  g_string_append_printf (json, "\"frames\": %" G_GUINT64_FORMAT
      ", \"gaps\": %" G_GUINT64_FORMAT ", \"strange\": %" G_GUINT64_FORMAT
      ", \"first_ns\": %" G_GINT64_FORMAT ", \"sum\": %" G_GUINT64_FORMAT ", ",
      self->frames, self->gaps, self->strange, self->first_ns, self->sum);
  measure_span_to_json (&self->begin, &self->end, json);
  g_string_append (json, ", \"latency\": ");
  histogram_to_json (&self->latency, json);
}
