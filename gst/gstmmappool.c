/* gst-mmap: the pool that mmapsink proposes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by upstream elements: acquire from their streaming thread, release from whichever thread drops a buffer last,
 * among them the sink's service thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmappool.h"

#include "gstmmapshells.h"

#include <gst/video/video.h>

GST_DEBUG_CATEGORY_STATIC (gst_mmap_pool_debug);
#define GST_CAT_DEFAULT gst_mmap_pool_debug

struct _GstMmapPool
{
  GstBufferPool parent;

  GstAllocator *allocator;
  MmapProducer *producer;       /* the allocator's */

  /* configuration */
  GstVideoInfo info;
  GstVideoAlignment align;
  gboolean need_alignment;
  gboolean add_video_meta;
  guint size;
  guint max_buffers;            /* 0: no limit; doesn't change while buffers are out */
  GstAllocationParams params;

  GstMmapShells shells;
  GMutex lock;
  GCond cond;                   /* fewer are out, or flushing */
  guint n_out;                  /* under the lock: buffers that upstream has, if there is a limit */
  guint n_waiters;              /* under the lock: on cond */
  gint active;                  /* atomic */
  gint flushing;                /* atomic */
};

/* Of a buffer that was published: it isn't among those that are out any more. */
static GQuark handed_over_quark;        /* set with the class */

#define gst_mmap_pool_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE (GstMmapPool, gst_mmap_pool, GST_TYPE_BUFFER_POOL,
    GST_DEBUG_CATEGORY_INIT (gst_mmap_pool_debug, "mmappool", 0,
        "pool of mmapsink"));

static const gchar **
gst_mmap_pool_get_options (GstBufferPool * pool)
{
  static const gchar *options[] = { GST_BUFFER_POOL_OPTION_VIDEO_META,
    GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT, NULL
  };

  return options;
}

static gboolean
gst_mmap_pool_set_config (GstBufferPool * pool, GstStructure * config)
{
  GstMmapPool *self = GST_MMAP_POOL (pool);
  GstAllocator *allocator = NULL;
  guint size, min, max;
  GstCaps *caps;

  if (!gst_buffer_pool_config_get_params (config, &caps, &size, &min, &max)
      || !caps || !gst_video_info_from_caps (&self->info, caps)
      || GST_VIDEO_INFO_FORMAT (&self->info) == GST_VIDEO_FORMAT_ENCODED) {
    GST_WARNING_OBJECT (pool, "not configured with raw video caps: %"
        GST_PTR_FORMAT, caps);
    return FALSE;
  }
  gst_buffer_pool_config_get_allocator (config, &allocator, &self->params);
  gst_mmap_shells_drop (&self->shells);

  self->add_video_meta = gst_buffer_pool_config_has_option (config,
      GST_BUFFER_POOL_OPTION_VIDEO_META);
  self->need_alignment = self->add_video_meta
      && gst_buffer_pool_config_has_option (config,
      GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
  gst_video_alignment_reset (&self->align);
  if (self->need_alignment) {
    gst_buffer_pool_config_get_video_alignment (config, &self->align);
    if (!gst_video_info_align (&self->info, &self->align)) {
      GST_WARNING_OBJECT (pool, "alignment is impossible");
      return FALSE;
    }
    gst_buffer_pool_config_set_video_alignment (config, &self->align);
  }
  self->size = MAX (size, GST_VIDEO_INFO_SIZE (&self->info));
  self->max_buffers = max;
  gst_buffer_pool_config_set_params (config, caps, self->size, min, max);
  return GST_BUFFER_POOL_CLASS (parent_class)->set_config (pool, config);
}

static GstBuffer *
gst_mmap_pool_new_buffer (GstMmapPool * self, GstMemory * memory)
{
  GstBuffer *buffer = gst_buffer_new ();

  gst_buffer_append_memory (buffer, memory);
  gst_mini_object_set_qdata (GST_MINI_OBJECT_CAST (buffer), handed_over_quark,
      g_new0 (gint, 1), g_free);
  if (self->add_video_meta) {
    GstVideoInfo *info = &self->info;
    GstVideoMeta *meta = gst_buffer_add_video_meta_full (buffer,
        GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_INFO_FORMAT (info),
        GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info),
        GST_VIDEO_INFO_N_PLANES (info), info->offset, info->stride);

    /* It checks the layout each time. */
    if (self->need_alignment)
      gst_video_meta_set_alignment (meta, self->align);
    GST_META_FLAG_SET (meta, GST_META_FLAG_POOLED);
  }
  GST_BUFFER_FLAG_UNSET (buffer, GST_BUFFER_FLAG_TAG_MEMORY);
  return buffer;
}

/* A buffer around @block, or with system memory. */
static GstBuffer *
gst_mmap_pool_wrap (GstMmapPool * self, MmapBlock * block)
{
  gsize total = self->size + self->params.prefix + self->params.padding;
  GstBuffer *buffer;
  GstMemory *memory;

  if (!block) {
    GST_DEBUG_OBJECT (self, "no block is bound to be free: system memory");
    return gst_mmap_pool_new_buffer (self, gst_allocator_alloc (NULL,
            self->size, &self->params));
  }
  buffer = gst_mmap_shells_take (&self->shells);
  if (buffer) {
    memory = gst_buffer_peek_memory (buffer, 0);
    gst_mmap_memory_fill_block (memory, block, total);
  } else {
    memory = gst_mmap_allocator_wrap_block (self->allocator, block, total);
    buffer = gst_mmap_pool_new_buffer (self, memory);
  }
  gst_memory_resize (memory, self->params.prefix, self->size);
  return buffer;
}

static gboolean
gst_mmap_pool_is_flushing (GstMmapPool * self)
{
  return g_atomic_int_get (&self->flushing)
      || !g_atomic_int_get (&self->active);
}

/* Counts one more buffer that is out; waits, or not, until there may be one. */
static GstFlowReturn
gst_mmap_pool_enter (GstMmapPool * self, gboolean wait)
{
  GstFlowReturn flow = GST_FLOW_OK;

  if (self->max_buffers == 0)
    return GST_FLOW_OK;
  g_mutex_lock (&self->lock);
  while (self->n_out >= self->max_buffers && wait
      && !gst_mmap_pool_is_flushing (self)) {
    self->n_waiters++;
    g_cond_wait (&self->cond, &self->lock);
    self->n_waiters--;
  }
  if (gst_mmap_pool_is_flushing (self))
    flow = GST_FLOW_FLUSHING;
  else if (self->n_out >= self->max_buffers)
    flow = GST_FLOW_EOS;
  else
    self->n_out++;
  g_mutex_unlock (&self->lock);
  return flow;
}

static void
gst_mmap_pool_leave (GstMmapPool * self)
{
  if (self->max_buffers == 0)
    return;
  g_mutex_lock (&self->lock);
  self->n_out--;
  /* A system call, even if nobody waits. */
  if (self->n_waiters > 0)
    g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);
}

/* Atomic: whether it is handed over. Two sinks may have it at once. Set from the start, as each change allocates. */
static gint *
get_mark (GstBuffer * buffer)
{
  return gst_mini_object_get_qdata (GST_MINI_OBJECT_CAST (buffer),
      handed_over_quark);
}

void
gst_mmap_pool_hand_over (GstBuffer * buffer)
{
  GstMmapPool *self;

  if (!buffer->pool || !GST_IS_MMAP_POOL (buffer->pool))
    return;
  self = GST_MMAP_POOL (buffer->pool);
  if (self->max_buffers > 0
      && g_atomic_int_compare_and_exchange (get_mark (buffer), FALSE, TRUE))
    gst_mmap_pool_leave (self);
}

static MmapBlock *
gst_mmap_pool_take_block (GstMmapPool * self)
{
  return gst_mmap_allocator_take_block (self->allocator,
      self->size + self->params.prefix + self->params.padding,
      self->params.align + 1, MMAP_ALLOC_POOL);
}

static GstFlowReturn
gst_mmap_pool_acquire (GstMmapPool * self, gboolean wait, GstBuffer ** buffer)
{
  gboolean in_vain = FALSE;
  MmapBlock *block;

  do {
    guint64 serial;

    if (gst_mmap_pool_is_flushing (self))
      return GST_FLOW_FLUSHING;
    block = gst_mmap_pool_take_block (self);
    if (block)
      break;
    serial = mmap_producer_collect (self->producer);
    block = gst_mmap_pool_take_block (self);
    if (block)
      break;
    /* For what others have. Memory that is still being reserved is ours, and to get it takes its time. */
    if (!wait && !mmap_producer_expects_room (self->producer, serial))
      return GST_FLOW_EOS;
    in_vain = !gst_mmap_allocator_wait (self->allocator, serial);
  } while (!in_vain);

  if (!block && gst_mmap_pool_is_flushing (self))
    return GST_FLOW_FLUSHING;
  *buffer = gst_mmap_pool_wrap (self, block);
  return GST_FLOW_OK;
}

static GstFlowReturn
gst_mmap_pool_acquire_buffer (GstBufferPool * pool, GstBuffer ** buffer,
    GstBufferPoolAcquireParams * params)
{
  GstMmapPool *self = GST_MMAP_POOL (pool);
  gboolean wait = !params
      || !(params->flags & GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT);
  GstFlowReturn flow = gst_mmap_pool_enter (self, wait);

  if (flow != GST_FLOW_OK)
    return flow;
  flow = gst_mmap_pool_acquire (self, wait, buffer);
  if (flow != GST_FLOW_OK)
    gst_mmap_pool_leave (self);
  return flow;
}

/* Its way back is in gst_mmap_shells_put(). */
static void
gst_mmap_pool_reset_buffer (GstBufferPool * pool, GstBuffer * buffer)
{
}

/* No block is kept: one that lies idle in one pool would be missing in another, or to copy into. */
static void
gst_mmap_pool_release_buffer (GstBufferPool * pool, GstBuffer * buffer)
{
  GstMmapPool *self = GST_MMAP_POOL (pool);
  gboolean out = FALSE;

  if (self->max_buffers > 0) {
    gint *mark = get_mark (buffer);

    out = !g_atomic_int_get (mark);
    g_atomic_int_set (mark, FALSE);
  }
  gst_mmap_shells_put (&self->shells, buffer);
  if (out)
    gst_mmap_pool_leave (self);
}

static gboolean
gst_mmap_pool_start (GstBufferPool * pool)
{
  GstMmapPool *self = GST_MMAP_POOL (pool);

  g_atomic_int_set (&self->active, TRUE);
  g_atomic_int_set (&self->flushing, FALSE);
  return TRUE;
}

static void
gst_mmap_pool_wake (GstMmapPool * self)
{
  g_mutex_lock (&self->lock);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

static gboolean
gst_mmap_pool_stop (GstBufferPool * pool)
{
  GstMmapPool *self = GST_MMAP_POOL (pool);

  g_atomic_int_set (&self->active, FALSE);
  gst_mmap_pool_wake (self);
  return GST_BUFFER_POOL_CLASS (parent_class)->stop (pool);
}

static void
gst_mmap_pool_set_flushing (GstMmapPool * self, gboolean flushing)
{
  g_atomic_int_set (&self->flushing, flushing);
  gst_mmap_pool_wake (self);
  mmap_producer_poke (self->producer);
}

static void
gst_mmap_pool_flush_start (GstBufferPool * pool)
{
  gst_mmap_pool_set_flushing (GST_MMAP_POOL (pool), TRUE);
}

static void
gst_mmap_pool_flush_stop (GstBufferPool * pool)
{
  gst_mmap_pool_set_flushing (GST_MMAP_POOL (pool), FALSE);
}

static void
gst_mmap_pool_finalize (GObject * object)
{
  GstMmapPool *self = GST_MMAP_POOL (object);

  gst_mmap_shells_clear (&self->shells);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  g_clear_object (&self->allocator);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_mmap_pool_class_init (GstMmapPoolClass * klass)
{
  GstBufferPoolClass *pool_class = GST_BUFFER_POOL_CLASS (klass);

  handed_over_quark = g_quark_from_static_string ("gst-mmap-handed-over");
  G_OBJECT_CLASS (klass)->finalize = gst_mmap_pool_finalize;
  pool_class->get_options = gst_mmap_pool_get_options;
  pool_class->set_config = gst_mmap_pool_set_config;
  pool_class->start = gst_mmap_pool_start;
  pool_class->stop = gst_mmap_pool_stop;
  pool_class->acquire_buffer = gst_mmap_pool_acquire_buffer;
  pool_class->reset_buffer = gst_mmap_pool_reset_buffer;
  pool_class->release_buffer = gst_mmap_pool_release_buffer;
  pool_class->flush_start = gst_mmap_pool_flush_start;
  pool_class->flush_stop = gst_mmap_pool_flush_stop;
}

static void
gst_mmap_pool_init (GstMmapPool * self)
{
  gst_mmap_shells_init (&self->shells);
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  gst_allocation_params_init (&self->params);
}

GstBufferPool *
gst_mmap_pool_new (GstAllocator * allocator)
{
  GstMmapPool *self = g_object_new (GST_TYPE_MMAP_POOL, NULL);

  gst_object_ref_sink (self);
  self->allocator = gst_object_ref (allocator);
  gst_mmap_shells_use (&self->shells, self->allocator);
  self->producer = gst_mmap_allocator_get_producer (allocator);
  return GST_BUFFER_POOL_CAST (self);
}
