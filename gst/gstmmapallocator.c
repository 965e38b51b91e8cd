/* gst-mmap: memory of a region as GstMemory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Used by the sink's pool and by upstream elements that copy its memory; by the source for each frame. Any thread.
 *
 * One allocator belongs to one region, so that mapping is a constant: no mmap, no page fault, no lock per frame.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapallocator.h"

#include "copy.h"
#include "gstmmapblockallocator.h"

/* How long to wait for a consumer, before looking at what it does; chosen: a frame at 50 Hz. */
#define STARVED_AFTER_US 20000

struct _GstMmapAllocator
{
  GstFdAllocator parent;

  MmapRegion *region;
  MmapProducer *producer;
  MmapCancel cancel;            /* never set: waits end by a poke */
  gint flushing;                /* atomic */
  gint paused;                  /* atomic */
  gint starved;                 /* atomic: waiting was in vain last time */
  gint waited;                  /* atomic: see gst_mmap_allocator_take_waited() */
};

G_DEFINE_TYPE (GstMmapAllocator, gst_mmap_allocator, GST_TYPE_FD_ALLOCATOR);

/* What memory holds: a block of the producer, or a frame that the consumer gives back; or nothing, between two of them. */
typedef struct
{
  MmapBlock *block;
  MmapConsumerLink *link;
  guint64 id;
  guint64 size;
} Content;

static GQuark content_quark;    /* set with the class */

static void
content_clear (Content * content)
{
  g_clear_pointer (&content->block, mmap_block_unref);
  if (content->link)
    mmap_consumer_link_release (content->link, content->id, content->size);
  g_clear_pointer (&content->link, mmap_consumer_link_unref);
}

static void
content_free (gpointer data)
{
  content_clear (data);
  g_free (data);
}

static Content *
content_of (GstMemory * memory)
{
  return gst_mini_object_get_qdata (GST_MINI_OBJECT_CAST (memory),
      content_quark);
}

static gpointer
gst_mmap_allocator_map (GstMemory * memory, gsize maxsize, GstMapFlags flags)
{
  MmapRegion *region = GST_MMAP_ALLOCATOR (memory->allocator)->region;

  /* Where the file begins: memory->offset is that in the file, of which the region may be a window. */
  return (gpointer) ((guintptr) region->base - region->area_offset);
}

static void
gst_mmap_allocator_unmap (GstMemory * memory)
{
}

static GstMemory *
gst_mmap_allocator_new_memory (GstAllocator * allocator)
{
  MmapRegion *region = GST_MMAP_ALLOCATOR (allocator)->region;
  GstMemory *memory = gst_fd_allocator_alloc (allocator, region->fd,
      region->area_offset + region->size, GST_FD_MEMORY_FLAG_DONT_CLOSE);

  gst_mini_object_set_qdata (GST_MINI_OBJECT_CAST (memory), content_quark,
      g_new0 (Content, 1), content_free);
  return memory;
}

void
gst_mmap_memory_fill_block (GstMemory * memory, MmapBlock * block, gsize size)
{
  content_of (memory)->block = block;
  /* Ends with the block: nobody can grow into the next one. */
  memory->offset = block->region->area_offset + block->offset;
  memory->maxsize = memory->offset + block->size;
  memory->size = size;
}

void
gst_mmap_memory_fill_item (GstMemory * memory, const MmapItem * item)
{
  const MmapDescriptor *descriptor = &item->descriptor;
  Content *content = content_of (memory);

  content->link = mmap_consumer_link_ref (item->link);
  content->id = descriptor->id;
  content->size = descriptor->size;
  memory->offset = item->region->area_offset + descriptor->offset;
  memory->maxsize = memory->offset + descriptor->size;
  memory->size = descriptor->size;
}

void
gst_mmap_memory_clear (GstMemory * memory)
{
  content_clear (content_of (memory));
}

GstMemory *
gst_mmap_allocator_wrap_block (GstAllocator * allocator, MmapBlock * block,
    gsize size)
{
  GstMemory *memory = gst_mmap_allocator_new_memory (allocator);

  gst_mmap_memory_fill_block (memory, block, size);
  return memory;
}

GstMemory *
gst_mmap_allocator_wrap_item (GstAllocator * allocator, const MmapItem * item)
{
  GstMemory *memory = gst_mmap_allocator_new_memory (allocator);

  gst_mmap_memory_fill_item (memory, item);
  GST_MINI_OBJECT_FLAG_SET (memory, GST_MEMORY_FLAG_READONLY);
  return memory;
}

MmapBlock *
gst_mmap_memory_get_block (GstMemory * memory)
{
  Content *content;

  if (memory->parent)
    memory = memory->parent;
  if (!memory->allocator)
    return NULL;
  /* First what a pool's frames have: another type than the one asked for takes long to tell. */
  if (!GST_IS_MMAP_ALLOCATOR (memory->allocator))
    return GST_IS_MMAP_BLOCK_ALLOCATOR (memory->allocator) ?
        gst_mmap_block_memory_get_block (memory) : NULL;
  content = content_of (memory);
  return content ? content->block : NULL;
}

MmapBlock *
gst_mmap_memory_get_position (GstMemory * memory, guint64 * offset)
{
  MmapBlock *block = gst_mmap_memory_get_block (memory);

  if (!block)
    return NULL;
  if (GST_IS_MMAP_ALLOCATOR (memory->allocator))
    *offset = memory->offset - block->region->area_offset;
  else
    *offset = memory->offset + block->offset;
  return *offset >= block->offset
      && *offset + memory->size <= block->offset + block->size ? block : NULL;
}

MmapRegion *
gst_mmap_allocator_get_region (GstAllocator * allocator)
{
  return GST_MMAP_ALLOCATOR (allocator)->region;
}

MmapProducer *
gst_mmap_allocator_get_producer (GstAllocator * allocator)
{
  return GST_MMAP_ALLOCATOR (allocator)->producer;
}

void
gst_mmap_allocator_set_flushing (GstAllocator * allocator, gboolean flushing)
{
  GstMmapAllocator *self = GST_MMAP_ALLOCATOR (allocator);

  g_atomic_int_set (&self->flushing, flushing);
  mmap_producer_poke (self->producer);
}

void
gst_mmap_allocator_set_paused (GstAllocator * allocator, gboolean paused)
{
  GstMmapAllocator *self = GST_MMAP_ALLOCATOR (allocator);

  g_atomic_int_set (&self->paused, paused);
  mmap_producer_poke (self->producer);
}

MmapBlock *
gst_mmap_allocator_take_block (GstAllocator * allocator, gsize size,
    gsize align, MmapAllocUse use)
{
  GstMmapAllocator *self = GST_MMAP_ALLOCATOR (allocator);
  MmapBlock *block = mmap_producer_alloc (self->producer, size, align, use);

  /* The sink has a larger region by now, and this allocator is about to be replaced. */
  if (block && block->region != self->region)
    g_clear_pointer (&block, mmap_block_unref);
  if (block)
    g_atomic_int_set (&self->starved, FALSE);
  return block;
}

/* Whether a consumer may give a block back. */
static gboolean
gst_mmap_allocator_can_expect (GstMmapAllocator * self, gboolean unread)
{
  /* A consumer that has read all its frames may keep them for as long as it likes: it gets a moment, once. */
  return !g_atomic_int_get (&self->paused) && (unread
      || (!g_atomic_int_get (&self->starved)
          && mmap_producer_get_held (self->producer) > 0));
}

gboolean
gst_mmap_allocator_wait (GstAllocator * allocator, guint64 serial)
{
  GstMmapAllocator *self = GST_MMAP_ALLOCATOR (allocator);
  gboolean leaky = mmap_producer_is_leaky (self->producer);
  gboolean unread = !leaky && mmap_producer_has_unread (self->producer);
  gboolean sure = mmap_producer_expects_room (self->producer, serial);

  if (g_atomic_int_get (&self->flushing))
    return FALSE;
  if (leaky && mmap_producer_reclaim (self->producer))
    return TRUE;
  /* A leaky producer doesn't wait for consumers. */
  if (!sure && (leaky || !gst_mmap_allocator_can_expect (self, unread)))
    return FALSE;
  if (!sure)
    g_atomic_int_set (&self->waited, TRUE);
  /* Even if there are unread frames, it may read them and keep them, which wakes nobody: look again. */
  switch (mmap_producer_wait (self->producer, &self->cancel, serial,
          STARVED_AFTER_US)) {
    case MMAP_WAIT_OK:
      break;
    case MMAP_WAIT_TIMEOUT:
      if (unread || sure)
        break;
      g_atomic_int_set (&self->starved, TRUE);
      return FALSE;
    default:
      return FALSE;
  }
  return !g_atomic_int_get (&self->flushing);
}

gboolean
gst_mmap_allocator_take_waited (GstAllocator * allocator)
{
  gint *waited = &GST_MMAP_ALLOCATOR (allocator)->waited;

  return g_atomic_int_get (waited) && g_atomic_int_exchange (waited, FALSE);
}

MmapBlock *
gst_mmap_allocator_wait_block (GstAllocator * allocator, gsize size,
    gsize align, MmapAllocUse use)
{
  GstMmapAllocator *self = GST_MMAP_ALLOCATOR (allocator);
  MmapBlock *block;
  guint64 serial;

  do {
    block = gst_mmap_allocator_take_block (allocator, size, align, use);
    if (block)
      break;
    serial = mmap_producer_collect (self->producer);
    block = gst_mmap_allocator_take_block (allocator, size, align, use);
  } while (!block && gst_mmap_allocator_wait (allocator, serial));
  return block;
}

/* Somebody upstream copies a frame, because it goes on working on its own: the copy lies in the region, too. */
static GstMemory *
gst_mmap_allocator_copy (GstMemory * memory, gssize offset, gssize size)
{
  GstMmapAllocator *self = GST_MMAP_ALLOCATOR (memory->allocator);
  GstAllocationParams params;
  GstMemory *copy = NULL;
  MmapBlock *block = NULL;
  GstMapInfo from, to;

  if (size == -1)
    size = memory->size > (gsize) offset ? memory->size - offset : 0;
  if (!gst_memory_map (memory, &from, GST_MAP_READ))
    return NULL;
  if (self->producer)
    block = gst_mmap_allocator_wait_block (memory->allocator, size, 1,
        MMAP_ALLOC_UPSTREAM);
  gst_allocation_params_init (&params);
  copy = block ? gst_mmap_allocator_wrap_block (memory->allocator, block,
      size) : gst_allocator_alloc (NULL, size, &params);
  if (gst_memory_map (copy, &to, GST_MAP_WRITE)) {
    if (block)
      mmap_copy (to.data, from.data + offset, size);
    else
      memcpy (to.data, from.data + offset, size);
    gst_memory_unmap (copy, &to);
  } else {
    g_clear_pointer (&copy, gst_memory_unref);
  }
  gst_memory_unmap (memory, &from);
  return copy;
}

static void
gst_mmap_allocator_finalize (GObject * object)
{
  GstMmapAllocator *self = GST_MMAP_ALLOCATOR (object);

  g_clear_pointer (&self->region, mmap_region_unref);
  g_clear_pointer (&self->producer, mmap_producer_unref);
  G_OBJECT_CLASS (gst_mmap_allocator_parent_class)->finalize (object);
}

static void
gst_mmap_allocator_class_init (GstMmapAllocatorClass * klass)
{
  content_quark = g_quark_from_static_string ("gst-mmap-content");
  G_OBJECT_CLASS (klass)->finalize = gst_mmap_allocator_finalize;
}

static void
gst_mmap_allocator_init (GstMmapAllocator * self)
{
  GstAllocator *allocator = GST_ALLOCATOR_CAST (self);

  allocator->mem_type = "mmap";
  allocator->mem_map = gst_mmap_allocator_map;
  allocator->mem_unmap = gst_mmap_allocator_unmap;
  allocator->mem_copy = gst_mmap_allocator_copy;
}

GstAllocator *
gst_mmap_allocator_new (MmapRegion * region, MmapProducer * producer)
{
  GstMmapAllocator *self = g_object_new (GST_TYPE_MMAP_ALLOCATOR, NULL);

  gst_object_ref_sink (self);
  self->region = mmap_region_ref (region);
  if (producer)
    self->producer = mmap_producer_ref (producer);
  return GST_ALLOCATOR_CAST (self);
}
