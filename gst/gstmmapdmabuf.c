/* gst-mmap: frames as dma-buf memory
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A memory that downstream drops comes back here, so that there is one for each block: it keeps its descriptor, its mapping, and what an
 * element has noted about it, such as an image that a GPU has imported.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapdmabuf.h"

#include "dmabuf.h"

#include <gst/allocators/gstdmabuf.h>
#include <unistd.h>

/* Of blocks that nobody has; each takes a descriptor. Chosen: a region sized by its caps has room for 24 frames. */
#define MAX_IDLE 64

/* Shared by all memories. */
typedef struct
{
  gint ref_count;               /* atomic */
  GMutex lock;
  GHashTable *idle;             /* (element-type guint64 GstMemory): by the block's offset; NULL: closed */
} Blocks;

/* What a frame's memory holds, while somebody has it. */
typedef struct
{
  MmapConsumerLink *link;
  guint64 id;
  guint64 size;
} Content;

typedef struct
{
  Blocks *blocks;
  guint64 offset;
  Content content;
} Block;

struct _GstMmapDmabuf
{
  MmapRegion *region;
  int device;
  GstAllocator *allocator;
  Blocks *blocks;
};

static const GEnumValue io_mode_values[] = {
  {GST_MMAP_IO_MODE_AUTO, "As mmap", "auto"},
  {GST_MMAP_IO_MODE_MMAP, "Mapped memory", "mmap"},
  {GST_MMAP_IO_MODE_DMABUF, "dma-bufs, where the kernel makes them of the "
        "region and downstream takes them", "dmabuf"},
  {0, NULL, NULL}
};

GType
gst_mmap_io_mode_get_type (void)
{
  static gsize type = 0;

  if (g_once_init_enter (&type)) {
    GType made = g_enum_register_static ("GstMmapIoMode", io_mode_values);

    g_once_init_leave (&type, made);
  }
  return type;
}

static GQuark
block_quark (void)
{
  return g_quark_from_static_string ("gst-mmap-dmabuf-block");
}

static Block *
block_of (GstMiniObject * memory)
{
  return gst_mini_object_get_qdata (memory, block_quark ());
}

/* For good: it doesn't come back. */
static void
memory_free (gpointer memory)
{
  GST_MINI_OBJECT_CAST (memory)->dispose = NULL;
  gst_memory_unref (memory);
}

static void
blocks_unref (Blocks * blocks)
{
  if (!g_atomic_int_dec_and_test (&blocks->ref_count))
    return;
  g_mutex_clear (&blocks->lock);
  g_free (blocks);
}

static void
content_clear (Content * content)
{
  if (!content->link)
    return;
  mmap_consumer_link_release (content->link, content->id, content->size);
  mmap_consumer_link_unref (content->link);
  content->link = NULL;
}

static void
block_free (gpointer data)
{
  Block *block = data;

  content_clear (&block->content);
  blocks_unref (block->blocks);
  g_free (block);
}

/* FALSE: it stays. */
static gboolean
memory_dispose (GstMiniObject * memory)
{
  Block *block = block_of (memory);
  Blocks *blocks = block->blocks;
  Content content = block->content;
  gboolean keep;

  block->content.link = NULL;
  g_mutex_lock (&blocks->lock);
  keep = blocks->idle && g_hash_table_size (blocks->idle) < MAX_IDLE
      && !g_hash_table_contains (blocks->idle, &block->offset);
  if (keep)
    g_hash_table_insert (blocks->idle, &block->offset,
        gst_mini_object_ref (memory));
  g_mutex_unlock (&blocks->lock);
  /* The producer may send the block again at once: by now the memory is there to be taken. */
  content_clear (&content);
  return !keep;
}

GstMmapDmabuf *
gst_mmap_dmabuf_new (MmapRegion * region, GError ** error)
{
  int device = mmap_dmabuf_open (region, error);
  GstMmapDmabuf *self;

  if (device < 0)
    return NULL;
  self = g_new0 (GstMmapDmabuf, 1);
  self->region = mmap_region_ref (region);
  self->device = device;
  self->allocator = gst_dmabuf_allocator_new ();
  self->blocks = g_new0 (Blocks, 1);
  self->blocks->ref_count = 1;
  g_mutex_init (&self->blocks->lock);
  self->blocks->idle = g_hash_table_new_full (g_int64_hash, g_int64_equal,
      NULL, memory_free);
  return self;
}

void
gst_mmap_dmabuf_free (GstMmapDmabuf * self)
{
  GHashTable *idle;

  if (!self)
    return;
  g_mutex_lock (&self->blocks->lock);
  idle = g_steal_pointer (&self->blocks->idle);
  g_mutex_unlock (&self->blocks->lock);
  g_hash_table_unref (idle);
  blocks_unref (self->blocks);
  gst_object_unref (self->allocator);
  close (self->device);
  mmap_region_unref (self->region);
  g_free (self);
}

gboolean
gst_mmap_dmabuf_is_of (const GstMmapDmabuf * self, const MmapRegion * region)
{
  return self->region == region;
}

/* Returns: (transfer full) (nullable): what was made of the block before */
static GstMemory *
take_idle (GstMmapDmabuf * self, guint64 offset, guint64 size)
{
  Blocks *blocks = self->blocks;
  gpointer memory = NULL;

  g_mutex_lock (&blocks->lock);
  g_hash_table_steal_extended (blocks->idle, &offset, NULL, &memory);
  g_mutex_unlock (&blocks->lock);
  if (memory && GST_MEMORY_CAST (memory)->maxsize != size)
    memory_free (g_steal_pointer (&memory));
  return memory;
}

static GstMemory *
new_memory (GstMmapDmabuf * self, guint64 offset, guint64 size, GError ** error)
{
  int fd = mmap_dmabuf_new (self->device, self->region, offset, size, error);
  GstMemory *memory;
  Block *block;

  if (fd < 0)
    return NULL;
  /* Mapped once, if anybody does. */
  memory = gst_dmabuf_allocator_alloc_with_flags (self->allocator, fd, size,
      GST_FD_MEMORY_FLAG_KEEP_MAPPED);
  GST_MINI_OBJECT_FLAG_SET (memory, GST_MEMORY_FLAG_READONLY);
  block = g_new0 (Block, 1);
  block->blocks = self->blocks;
  g_atomic_int_inc (&self->blocks->ref_count);
  block->offset = offset;
  gst_mini_object_set_qdata (GST_MINI_OBJECT_CAST (memory), block_quark (),
      block, block_free);
  GST_MINI_OBJECT_CAST (memory)->dispose = memory_dispose;
  return memory;
}

GstMemory *
gst_mmap_dmabuf_wrap_item (GstMmapDmabuf * self, const MmapItem * item,
    GError ** error)
{
  const MmapDescriptor *frame = &item->descriptor;
  GstMemory *memory = take_idle (self, frame->offset, frame->size);
  Content *content;

  if (!memory)
    memory = new_memory (self, frame->offset, frame->size, error);
  if (!memory)
    return NULL;
  /* Somebody may have made it smaller. */
  memory->offset = 0;
  memory->size = frame->size;
  content = &block_of (GST_MINI_OBJECT_CAST (memory))->content;
  content->link = mmap_consumer_link_ref (item->link);
  content->id = frame->id;
  content->size = frame->size;
  return memory;
}

GstCaps *
gst_mmap_dmabuf_caps (GstCaps * caps)
{
  GstCaps *made = gst_caps_copy (caps);

  gst_caps_set_features_simple (made,
      gst_caps_features_new (GST_CAPS_FEATURE_MEMORY_DMABUF, NULL));
  return made;
}

GstCaps *
gst_mmap_dmabuf_widen_caps (GstCaps * caps)
{
  GstCaps *wide = gst_caps_copy (caps);
  guint i;

  if (gst_caps_is_any (caps))
    return wide;
  for (i = 0; i < gst_caps_get_size (caps); i++) {
    GstCapsFeatures *features = gst_caps_get_features (caps, i);

    if (!gst_caps_features_is_any (features)
        && gst_caps_features_contains (features, GST_CAPS_FEATURE_MEMORY_DMABUF)
        && gst_caps_features_get_size (features) == 1)
      wide = gst_caps_merge_structure (wide,
          gst_structure_copy (gst_caps_get_structure (caps, i)));
  }
  return wide;
}
