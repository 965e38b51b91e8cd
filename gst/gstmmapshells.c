/* gst-mmap: buffers without content, to be used again
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by pools: taken on the thread that acquires, put by whoever drops a buffer last.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapshells.h"

#include "gstmmapallocator.h"

void
gst_mmap_shells_init (GstMmapShells * shells)
{
  g_mutex_init (&shells->lock);
  shells->allocator = NULL;
  shells->n_buffers = 0;
}

GstBuffer *
gst_mmap_shells_take (GstMmapShells * shells)
{
  GstBuffer *buffer = NULL;

  g_mutex_lock (&shells->lock);
  if (shells->n_buffers > 0)
    buffer = shells->buffers[--shells->n_buffers];
  g_mutex_unlock (&shells->lock);
  return buffer;
}

void
gst_mmap_shells_drop (GstMmapShells * shells)
{
  GstBuffer *buffer;

  while ((buffer = gst_mmap_shells_take (shells)))
    gst_buffer_unref (buffer);
}

void
gst_mmap_shells_use (GstMmapShells * shells, GstAllocator * allocator)
{
  g_mutex_lock (&shells->lock);
  shells->allocator = allocator;
  g_mutex_unlock (&shells->lock);
  gst_mmap_shells_drop (shells);
}

void
gst_mmap_shells_clear (GstMmapShells * shells)
{
  gst_mmap_shells_drop (shells);
  g_mutex_clear (&shells->lock);
}

static gboolean
is_intact (GstBuffer * buffer)
{
  GstMemory *memory;

  if (gst_buffer_n_memory (buffer) != 1
      || GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_TAG_MEMORY))
    return FALSE;
  memory = gst_buffer_peek_memory (buffer, 0);
  return !memory->parent && GST_IS_MMAP_ALLOCATOR (memory->allocator)
      && GST_MINI_OBJECT_REFCOUNT_VALUE (memory) == 1
      && gst_memory_is_writable (memory);
}

static gboolean
drop_unless_pooled (GstBuffer * buffer, GstMeta ** meta, gpointer data)
{
  if (!GST_META_FLAG_IS_SET (*meta, GST_META_FLAG_POOLED)) {
    GST_META_FLAG_UNSET (*meta, GST_META_FLAG_LOCKED);
    *meta = NULL;
  }
  return TRUE;
}

static void
reset (GstBuffer * buffer)
{
  GST_BUFFER_FLAGS (buffer) = 0;
  GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DTS (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_OFFSET (buffer) = GST_BUFFER_OFFSET_NONE;
  GST_BUFFER_OFFSET_END (buffer) = GST_BUFFER_OFFSET_NONE;
  gst_buffer_foreach_meta (buffer, drop_unless_pooled, NULL);
}

void
gst_mmap_shells_put (GstMmapShells * shells, GstBuffer * buffer)
{
  if (!is_intact (buffer)) {
    gst_buffer_unref (buffer);
    return;
  }
  reset (buffer);
  gst_mmap_memory_clear (gst_buffer_peek_memory (buffer, 0));

  g_mutex_lock (&shells->lock);
  if (gst_buffer_peek_memory (buffer, 0)->allocator == shells->allocator
      && shells->n_buffers < GST_MMAP_MAX_SHELLS) {
    shells->buffers[shells->n_buffers++] = buffer;
    buffer = NULL;
  }
  g_mutex_unlock (&shells->lock);
  gst_clear_buffer (&buffer);
}
