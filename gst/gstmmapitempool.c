/* gst-mmap: the pool of the buffers that mmapsrc hands out
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Not for allocation: it is a pool so that buffers come back here when downstream drops them. Acquired and filled on the streaming thread,
 * released by any.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapitempool.h"

#include "gstmmapallocator.h"
#include "gstmmapshells.h"

struct _GstMmapItemPool
{
  GstBufferPool parent;

  GstMmapShells shells;
  /* streaming thread */
  GstAllocator *allocator;      /* of the last frame's region */
};

G_DEFINE_TYPE (GstMmapItemPool, gst_mmap_item_pool, GST_TYPE_BUFFER_POOL);

static GstFlowReturn
gst_mmap_item_pool_acquire_buffer (GstBufferPool * pool, GstBuffer ** buffer,
    GstBufferPoolAcquireParams * params)
{
  GstMmapItemPool *self = GST_MMAP_ITEM_POOL (pool);

  *buffer = gst_mmap_shells_take (&self->shells);
  if (!*buffer)
    *buffer = gst_buffer_new ();
  return GST_FLOW_OK;
}

static void
gst_mmap_item_pool_use_region (GstMmapItemPool * self, MmapRegion * region)
{
  if (self->allocator
      && gst_mmap_allocator_get_region (self->allocator) == region)
    return;
  gst_clear_object (&self->allocator);
  self->allocator = gst_mmap_allocator_new (region, NULL);
  gst_mmap_shells_use (&self->shells, self->allocator);
}

void
gst_mmap_item_pool_forget_region (GstBufferPool * pool)
{
  GstMmapItemPool *self = GST_MMAP_ITEM_POOL (pool);

  gst_mmap_shells_use (&self->shells, NULL);
  gst_clear_object (&self->allocator);
}

void
gst_mmap_item_pool_fill (GstBufferPool * pool, GstBuffer * buffer,
    const MmapItem * item)
{
  GstMmapItemPool *self = GST_MMAP_ITEM_POOL (pool);
  GstMemory *memory = NULL;

  gst_mmap_item_pool_use_region (self, item->region);
  if (gst_buffer_n_memory (buffer) > 0)
    memory = gst_buffer_peek_memory (buffer, 0);
  if (memory && memory->allocator == self->allocator) {
    gst_mmap_memory_fill_item (memory, item);
    return;
  }
  gst_buffer_remove_all_memory (buffer);
  gst_buffer_append_memory (buffer,
      gst_mmap_allocator_wrap_item (self->allocator, item));
  GST_BUFFER_FLAG_UNSET (buffer, GST_BUFFER_FLAG_TAG_MEMORY);
}

/* Its way back is in gst_mmap_shells_put(). */
static void
gst_mmap_item_pool_reset_buffer (GstBufferPool * pool, GstBuffer * buffer)
{
}

static void
gst_mmap_item_pool_release_buffer (GstBufferPool * pool, GstBuffer * buffer)
{
  gst_mmap_shells_put (&GST_MMAP_ITEM_POOL (pool)->shells, buffer);
}

/* Nothing is allocated before there is a frame. */
static gboolean
gst_mmap_item_pool_start (GstBufferPool * pool)
{
  return TRUE;
}

static void
gst_mmap_item_pool_finalize (GObject * object)
{
  GstMmapItemPool *self = GST_MMAP_ITEM_POOL (object);

  gst_mmap_shells_clear (&self->shells);
  gst_clear_object (&self->allocator);
  G_OBJECT_CLASS (gst_mmap_item_pool_parent_class)->finalize (object);
}

static void
gst_mmap_item_pool_class_init (GstMmapItemPoolClass * klass)
{
  GstBufferPoolClass *pool_class = GST_BUFFER_POOL_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = gst_mmap_item_pool_finalize;
  pool_class->start = gst_mmap_item_pool_start;
  pool_class->acquire_buffer = gst_mmap_item_pool_acquire_buffer;
  pool_class->reset_buffer = gst_mmap_item_pool_reset_buffer;
  pool_class->release_buffer = gst_mmap_item_pool_release_buffer;
}

static void
gst_mmap_item_pool_init (GstMmapItemPool * self)
{
  gst_mmap_shells_init (&self->shells);
}

GstBufferPool *
gst_mmap_item_pool_new (void)
{
  GstBufferPool *pool = g_object_new (GST_TYPE_MMAP_ITEM_POOL, NULL);
  GstStructure *config = gst_buffer_pool_get_config (pool);

  gst_object_ref_sink (pool);
  gst_buffer_pool_config_set_params (config, NULL, 0, 0, 0);
  gst_buffer_pool_set_config (pool, config);
  gst_buffer_pool_set_active (pool, TRUE);
  return pool;
}
