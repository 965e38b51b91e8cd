/* gst-mmap: what the consumers of a sink accept
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapwishes.h"

static void
wish_clear (gpointer data)
{
  GstMmapWish *wish = data;

  gst_clear_caps (&wish->caps);
}

void
gst_mmap_wishes_init (GstMmapWishes * self)
{
  self->wishes = g_array_new (FALSE, TRUE, sizeof (GstMmapWish));
  g_array_set_clear_func (self->wishes, wish_clear);
}

void
gst_mmap_wishes_clear (GstMmapWishes * self)
{
  g_clear_pointer (&self->wishes, g_array_unref);
}

GstMmapWish *
gst_mmap_wishes_find (GstMmapWishes * self, guint32 link_id)
{
  guint i;

  for (i = 0; i < self->wishes->len; i++) {
    GstMmapWish *wish = &g_array_index (self->wishes, GstMmapWish, i);

    if (wish->link_id == link_id)
      return wish;
  }
  return NULL;
}

GstMmapWish *
gst_mmap_wishes_set (GstMmapWishes * self, guint32 link_id, GstCaps * caps)
{
  GstMmapWish *wish = gst_mmap_wishes_find (self, link_id);

  if (!wish) {
    guint i = self->wishes->len;

    g_array_set_size (self->wishes, i + 1);
    wish = &g_array_index (self->wishes, GstMmapWish, i);
    wish->link_id = link_id;
    gst_mmap_needs_init (&wish->needs);
  }
  /* Said again, with the answer: what was decided stays decided. */
  if (wish->caps && gst_caps_is_strictly_equal (wish->caps, caps)) {
    gst_caps_unref (caps);
    return wish;
  }
  gst_caps_take (&wish->caps, caps);
  wish->counts = FALSE;
  wish->unfit_since = 0;
  return wish;
}

void
gst_mmap_wishes_remove (GstMmapWishes * self, guint32 link_id)
{
  GstMmapWish *wish = gst_mmap_wishes_find (self, link_id);

  if (wish)
    g_array_remove_index (self->wishes,
        wish - (GstMmapWish *) self->wishes->data);
}

GstCaps *
gst_mmap_wishes_intersect (GstMmapWishes * self, guint32 link_id)
{
  GstCaps *all = gst_caps_new_any ();
  guint i;

  for (i = 0; i < self->wishes->len; i++) {
    const GstMmapWish *wish = &g_array_index (self->wishes, GstMmapWish, i);

    if (wish->counts || wish->link_id == link_id)
      gst_caps_take (&all, gst_caps_intersect_full (all, wish->caps,
              GST_CAPS_INTERSECT_FIRST));
  }
  return all;
}

void
gst_mmap_wishes_sum_needs (GstMmapWishes * self, GstMmapNeeds * needs)
{
  guint i;

  gst_mmap_needs_init (needs);
  needs->crop = self->wishes->len > 0;
  for (i = 0; i < self->wishes->len; i++) {
    const GstMmapWish *wish = &g_array_index (self->wishes, GstMmapWish, i);

    gst_mmap_needs_add (needs, &wish->needs);
    needs->crop = needs->crop && wish->needs.crop;
  }
}

GstCaps *
gst_mmap_wishes_offer (GstMmapWishes * self, GstCaps * filter)
{
  GstCaps *all = filter ? gst_caps_ref (filter) : gst_caps_new_any ();
  guint i;

  for (i = 0; i < self->wishes->len; i++) {
    const GstMmapWish *wish = &g_array_index (self->wishes, GstMmapWish, i);
    GstCaps *both;

    if (!wish->counts)
      continue;
    both = gst_caps_intersect_full (all, wish->caps, GST_CAPS_INTERSECT_FIRST);
    if (gst_caps_is_empty (both))
      gst_caps_unref (both);
    else
      gst_caps_take (&all, both);
  }
  return all;
}

gboolean
gst_mmap_wishes_has_unfit (GstMmapWishes * self)
{
  guint i;

  for (i = 0; i < self->wishes->len; i++)
    if (g_array_index (self->wishes, GstMmapWish, i).unfit_since != 0)
      return TRUE;
  return FALSE;
}
