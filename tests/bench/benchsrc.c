/* gst-mmap: the benchmark's source element
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Fills frames of whatever pool or allocator downstream proposes, at a steady rate or as fast as they are taken. The
 * virtual methods run on the streaming thread; bench_src_go() is called by main().
 */
#include "benchsrc.h"

#include "benchframe.h"

#include <errno.h>
#include <gst/video/video.h>
#include <string.h>
#include <time.h>

/* After the window: few frames, so that they cost nothing while results are collected. */
#define OVER_PERIOD_NS (5 * GST_MSECOND)
/* The window begins when each frame of the pool had a chance to be used this often, or later. */
#define WARM_UP_TURNS 2
/* And when this process has not become larger by so much for so long: memory that comes in the background takes a processor. But for no longer
 * than that. A virtual machine gets it from its host, which was seen to take 2.3 s for 850 MB. */
#define SETTLED_BYTES (G_GUINT64_CONSTANT (1) << 20)
#define SETTLE_NS (100 * GST_MSECOND)
#define SETTLE_LIMIT_NS (8 * GST_SECOND)

struct _BenchSrc
{
  GstPushSrc parent;

  BenchSrcConfig config;
  BenchDoneFunc begun;
  BenchDoneFunc done;
  gpointer user_data;
  gint go;                      /* atomic */

  /* streaming thread */
  BenchPhase phase;
  guint64 sequence;
  gint64 period_ns;
  gint64 due_ns;                /* 0: at once */
  gint64 begin_ns;              /* of the window, at the earliest; 0: not yet known */
  gint64 end_ns;                /* of the window */
  guint64 begin_sequence;       /* of the window, at the earliest */
  gint64 settled_ns;            /* at the latest */
  guint64 rss;                  /* when it was looked at last, bytes */
  guint64 frames;               /* of the window */
  guint64 sleeps;               /* of the window, to pace */
  guint64 late;                 /* of the window: frames that could not begin when they were due */
  Snapshot begin;
  Snapshot end;
};

static GstStaticPadTemplate src_template =
GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS ("video/x-raw"));

G_DEFINE_TYPE (BenchSrc, bench_src, GST_TYPE_PUSH_SRC);

static GstCaps *
bench_src_get_caps (GstBaseSrc * src, GstCaps * filter)
{
  GstCaps *caps = BENCH_SRC (src)->config.caps;

  /* gst_parse_launch() asks when it links, before they are set. */
  return caps ? gst_caps_ref (caps) :
      gst_pad_get_pad_template_caps (GST_BASE_SRC_PAD (src));
}

/* A pool of n_buffers: downstream's, or one over downstream's allocator, or one over the heap. */
static gboolean
bench_src_decide_allocation (GstBaseSrc * src, GstQuery * query)
{
  BenchSrc *self = BENCH_SRC (src);
  GstBufferPool *pool = NULL;
  GstAllocator *allocator = NULL;
  GstAllocationParams params;
  GstStructure *config;
  GstVideoInfo info;
  guint size = 0;

  gst_allocation_params_init (&params);
  if (!gst_video_info_from_caps (&info, self->config.caps))
    return FALSE;
  if (!self->config.heap) {
    if (gst_query_get_n_allocation_pools (query) > 0)
      gst_query_parse_nth_allocation_pool (query, 0, &pool, &size, NULL, NULL);
    if (gst_query_get_n_allocation_params (query) > 0)
      gst_query_parse_nth_allocation_param (query, 0, &allocator, &params);
  }
  if (!pool)
    pool = gst_video_buffer_pool_new ();
  size = MAX (size, GST_VIDEO_INFO_SIZE (&info));

  config = gst_buffer_pool_get_config (pool);
  /* All of them from the start: a pool that grew in the window would be measured for its page faults. */
  gst_buffer_pool_config_set_params (config, self->config.caps, size,
      self->config.n_buffers, self->config.n_buffers);
  gst_buffer_pool_config_set_allocator (config, allocator, &params);
  if (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL))
    gst_buffer_pool_config_add_option (config,
        GST_BUFFER_POOL_OPTION_VIDEO_META);
  gst_clear_object (&allocator);
  if (!gst_buffer_pool_set_config (pool, config)) {
    gst_object_unref (pool);
    return FALSE;
  }

  while (gst_query_get_n_allocation_pools (query) > 0)
    gst_query_remove_nth_allocation_pool (query, 0);
  gst_query_add_allocation_pool (query, pool, size, self->config.n_buffers,
      self->config.n_buffers);
  gst_object_unref (pool);
  return TRUE;
}

/* Waits until the frame is due: asleep, or looking at the clock all the time. One that is late is sent at once, and the rate goes on from there: no bursts. */
static void
bench_src_pace (BenchSrc * self)
{
  gint64 now = measure_now_ns ();

  if (self->due_ns > now) {
    struct timespec due = {
      self->due_ns / GST_SECOND, self->due_ns % GST_SECOND
    };

    if (self->config.spin)
      while (measure_now_ns () < self->due_ns);
    else
      while (clock_nanosleep (CLOCK_MONOTONIC, TIMER_ABSTIME, &due,
              NULL) == EINTR);
    self->sleeps++;
    now = self->due_ns;
  } else if (self->due_ns > 0) {
    self->late++;
  }
  self->due_ns = now + self->period_ns;
}

/* Whether the window has to wait for that. */
static gboolean
bench_src_grows (BenchSrc * self, gint64 now)
{
  guint64 before = self->rss;

  self->rss = measure_rss ();
  if (now >= self->settled_ns || self->rss <= before + SETTLED_BYTES)
    return FALSE;
  self->begin_ns = now + SETTLE_NS;
  return TRUE;
}

static void
bench_src_update_phase (BenchSrc * self)
{
  gint64 now;

  if (self->phase == BENCH_OVER || !g_atomic_int_get (&self->go))
    return;
  now = measure_now_ns ();
  if (self->begin_ns == 0) {
    self->begin_ns = now + self->config.warm_up_ns;
    self->begin_sequence =
        self->sequence + WARM_UP_TURNS * self->config.n_buffers;
    self->settled_ns = self->begin_ns + SETTLE_LIMIT_NS;
    self->rss = measure_rss ();
  }
  if (self->phase == BENCH_WARM_UP && now >= self->begin_ns
      && self->sequence >= self->begin_sequence
      && !bench_src_grows (self, now)) {
    self->begun (self->user_data);
    self->phase = BENCH_WINDOW;
    self->end_ns = now + self->config.window_ns;
    self->sleeps = self->late = 0;
    measure_snapshot (&self->begin);
  } else if (self->phase == BENCH_WINDOW && now >= self->end_ns) {
    self->phase = BENCH_OVER;
    measure_snapshot (&self->end);
    self->period_ns = OVER_PERIOD_NS;
    self->due_ns = now + OVER_PERIOD_NS;
    self->done (self->user_data);
  }
}

static GstFlowReturn
bench_src_fill (GstPushSrc * src, GstBuffer * buffer)
{
  BenchSrc *self = BENCH_SRC (src);
  BenchHeader header = { BENCH_MAGIC, ++self->sequence };
  GstMapInfo map;

  if (self->period_ns > 0)
    bench_src_pace (self);
  bench_src_update_phase (self);

  if (!gst_buffer_map (buffer, &map, GST_MAP_WRITE))
    return GST_FLOW_ERROR;
  if (self->config.touch_all)
    memset (map.data, self->sequence, map.size);
  header.phase = self->phase;
  header.sent_ns = measure_now_ns ();
  memcpy (map.data, &header, sizeof header);
  gst_buffer_unmap (buffer, &map);

  if (self->phase == BENCH_WINDOW)
    self->frames++;
  GST_BUFFER_PTS (buffer) = self->sequence * GST_MSECOND;
  return GST_FLOW_OK;
}

static gboolean
bench_src_is_seekable (GstBaseSrc * src)
{
  return FALSE;
}

static void
bench_src_finalize (GObject * object)
{
  gst_clear_caps (&BENCH_SRC (object)->config.caps);
  G_OBJECT_CLASS (bench_src_parent_class)->finalize (object);
}

static void
bench_src_class_init (BenchSrcClass * klass)
{
  GstBaseSrcClass *src_class = GST_BASE_SRC_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = bench_src_finalize;
  gst_element_class_add_static_pad_template (GST_ELEMENT_CLASS (klass),
      &src_template);
  gst_element_class_set_static_metadata (GST_ELEMENT_CLASS (klass),
      "Benchmark source", "Source", "Sends frames with a header",
      "the gst-mmap authors");
  src_class->get_caps = bench_src_get_caps;
  src_class->is_seekable = bench_src_is_seekable;
  src_class->decide_allocation = bench_src_decide_allocation;
  GST_PUSH_SRC_CLASS (klass)->fill = bench_src_fill;
}

static void
bench_src_init (BenchSrc * self)
{
  gst_base_src_set_format (GST_BASE_SRC (self), GST_FORMAT_TIME);
}

void
bench_src_configure (BenchSrc * self, const BenchSrcConfig * config,
    BenchDoneFunc begun, BenchDoneFunc done, gpointer user_data)
{
  self->config = *config;
  gst_caps_ref (self->config.caps);
  self->period_ns = config->fps > 0 ? GST_SECOND / config->fps : 0;
  self->begun = begun;
  self->done = done;
  self->user_data = user_data;
}

void
bench_src_go (BenchSrc * self)
{
  g_atomic_int_set (&self->go, TRUE);
}

void
bench_src_to_json (BenchSrc * self, GString * json)
{
  g_string_append_printf (json, "\"frames\": %" G_GUINT64_FORMAT
      ", \"sleeps\": %" G_GUINT64_FORMAT ", \"late\": %" G_GUINT64_FORMAT ", ",
      self->frames, self->sleeps, self->late);
  measure_span_to_json (&self->begin, &self->end, json);
}
