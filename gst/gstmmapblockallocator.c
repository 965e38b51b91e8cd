/* gst-mmap: blocks of a region for whoever allocates
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by upstream elements, from any thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapblockallocator.h"

#include <string.h>

struct _GstMmapBlockAllocator
{
  GstAllocator parent;

  GstAllocator *blocks;
};

typedef struct
{
  GstMemory memory;

  MmapBlock *block;             /* NULL if it shares its parent's */
} BlockMemory;

G_DEFINE_TYPE (GstMmapBlockAllocator, gst_mmap_block_allocator,
    GST_TYPE_ALLOCATOR);

MmapBlock *
gst_mmap_block_memory_get_block (GstMemory * memory)
{
  return ((BlockMemory *) memory)->block;
}

static gpointer
gst_mmap_block_allocator_map (GstMemory * memory, gsize maxsize,
    GstMapFlags flags)
{
  GstMemory *root = memory->parent ? memory->parent : memory;

  return mmap_block_get_data (gst_mmap_block_memory_get_block (root));
}

static void
gst_mmap_block_allocator_unmap (GstMemory * memory)
{
}

static GstMemory *
gst_mmap_block_allocator_share (GstMemory * memory, gssize offset, gssize size)
{
  GstMemory *root = memory->parent ? memory->parent : memory;
  BlockMemory *share = g_new0 (BlockMemory, 1);

  if (size == -1)
    size = memory->size - offset;
  gst_memory_init (&share->memory, GST_MINI_OBJECT_FLAGS (root)
      | GST_MINI_OBJECT_FLAG_LOCK_READONLY, memory->allocator, root,
      memory->maxsize, memory->align, memory->offset + offset, size);
  return &share->memory;
}

static GstMemory *
gst_mmap_block_allocator_alloc (GstAllocator * allocator, gsize size,
    GstAllocationParams * params)
{
  GstMmapBlockAllocator *self = GST_MMAP_BLOCK_ALLOCATOR (allocator);
  gsize total = size + params->prefix + params->padding;
  MmapBlock *block = NULL;
  BlockMemory *memory;

  if (total >= size)
    block = gst_mmap_allocator_wait_block (self->blocks, total,
        params->align + 1, MMAP_ALLOC_UPSTREAM);
  /* The sink copies. */
  if (!block)
    return gst_allocator_alloc (NULL, size, params);

  memory = g_new0 (BlockMemory, 1);
  gst_memory_init (&memory->memory, params->flags, allocator, NULL, total,
      params->align, params->prefix, size);
  memory->block = block;
  if (params->prefix && (params->flags & GST_MEMORY_FLAG_ZERO_PREFIXED))
    memset (mmap_block_get_data (block), 0, params->prefix);
  if (params->padding && (params->flags & GST_MEMORY_FLAG_ZERO_PADDED))
    memset (mmap_block_get_data (block) + params->prefix + size, 0,
        params->padding);
  return &memory->memory;
}

static void
gst_mmap_block_allocator_free (GstAllocator * allocator, GstMemory * memory)
{
  BlockMemory *self = (BlockMemory *) memory;

  g_clear_pointer (&self->block, mmap_block_unref);
  g_free (self);
}

static void
gst_mmap_block_allocator_finalize (GObject * object)
{
  gst_clear_object (&GST_MMAP_BLOCK_ALLOCATOR (object)->blocks);
  G_OBJECT_CLASS (gst_mmap_block_allocator_parent_class)->finalize (object);
}

static void
gst_mmap_block_allocator_class_init (GstMmapBlockAllocatorClass * klass)
{
  G_OBJECT_CLASS (klass)->finalize = gst_mmap_block_allocator_finalize;
  GST_ALLOCATOR_CLASS (klass)->alloc = gst_mmap_block_allocator_alloc;
  GST_ALLOCATOR_CLASS (klass)->free = gst_mmap_block_allocator_free;
}

static void
gst_mmap_block_allocator_init (GstMmapBlockAllocator * self)
{
  GstAllocator *allocator = GST_ALLOCATOR_CAST (self);

  allocator->mem_type = "mmap-block";
  allocator->mem_map = gst_mmap_block_allocator_map;
  allocator->mem_unmap = gst_mmap_block_allocator_unmap;
  allocator->mem_share = gst_mmap_block_allocator_share;
}

GstAllocator *
gst_mmap_block_allocator_new (GstAllocator * blocks)
{
  GstMmapBlockAllocator *self =
      g_object_new (GST_TYPE_MMAP_BLOCK_ALLOCATOR, NULL);

  gst_object_ref_sink (self);
  self->blocks = gst_object_ref (blocks);
  return GST_ALLOCATOR_CAST (self);
}
