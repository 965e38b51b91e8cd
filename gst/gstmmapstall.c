/* gst-mmap: how long the sinks of a pipeline have stood still
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The pipeline itself keeps it, as data of the object.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapstall.h"

struct _GstMmapStall
{
  gint ref_count;               /* under the lock: the pipeline's own, and one per element */
  GstClockTime total;           /* atomic; written under the lock */
};

static GMutex lock;

static void
stall_unref (gpointer data)
{
  GstMmapStall *self = data;
  gboolean last;

  g_mutex_lock (&lock);
  last = --self->ref_count == 0;
  if (self->ref_count == 1)
    __atomic_store_n (&self->total, 0, __ATOMIC_RELAXED);
  g_mutex_unlock (&lock);
  if (last)
    g_free (self);
}

GstMmapStall *
gst_mmap_stall_join (GstElement * element)
{
  GQuark quark = g_quark_from_static_string ("gst-mmap-stall");
  GObject *top = g_object_ref (G_OBJECT (element));
  GstObject *parent;
  GstMmapStall *self;

  while ((parent = gst_object_get_parent (GST_OBJECT (top)))) {
    g_object_unref (top);
    top = G_OBJECT (parent);
  }
  g_mutex_lock (&lock);
  self = g_object_get_qdata (top, quark);
  if (!self) {
    self = g_new0 (GstMmapStall, 1);
    self->ref_count = 1;
    g_object_set_qdata_full (top, quark, self, stall_unref);
  }
  self->ref_count++;
  g_mutex_unlock (&lock);
  g_object_unref (top);
  return self;
}

void
gst_mmap_stall_leave (GstMmapStall * self)
{
  stall_unref (self);
}

GstClockTime
gst_mmap_stall_get (GstMmapStall * self)
{
  return __atomic_load_n (&self->total, __ATOMIC_RELAXED);
}

void
gst_mmap_stall_add (GstMmapStall * self, GstClockTime known, GstClockTime late)
{
  g_mutex_lock (&lock);
  if (self->total == known)
    __atomic_store_n (&self->total, known + late, __ATOMIC_RELAXED);
  g_mutex_unlock (&lock);
}

void
gst_mmap_stall_reset (GstMmapStall * self)
{
  g_mutex_lock (&lock);
  __atomic_store_n (&self->total, 0, __ATOMIC_RELAXED);
  g_mutex_unlock (&lock);
}
