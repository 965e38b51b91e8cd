/* gst-mmap: tables of contents as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A part of events. Any thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmaptoc.h"

#include "gstmmaptext.h"

static GVariant *
toc_entry_to_variant (GstTocEntry * entry)
{
  GstTagList *tags = gst_toc_entry_get_tags (entry);
  g_autofree char *string = tags ? gst_tag_list_to_string (tags) : NULL;
  gint64 start = -1, stop = -1;
  GVariantBuilder below;
  GList *l;

  gst_toc_entry_get_start_stop_times (entry, &start, &stop);
  g_variant_builder_init (&below, G_VARIANT_TYPE ("av"));
  for (l = gst_toc_entry_get_sub_entries (entry); l; l = l->next)
    g_variant_builder_add (&below, "v", toc_entry_to_variant (l->data));
  return g_variant_new ("(sixxsav)", gst_toc_entry_get_uid (entry),
      gst_toc_entry_get_entry_type (entry), start, stop,
      string ? string : "", &below);
}

GVariant *
gst_mmap_toc_to_variant (GstToc * toc)
{
  GstTagList *tags = gst_toc_get_tags (toc);
  g_autofree char *string = tags ? gst_tag_list_to_string (tags) : NULL;
  GVariantBuilder entries;
  GList *l;

  g_variant_builder_init (&entries, G_VARIANT_TYPE ("av"));
  for (l = gst_toc_get_entries (toc); l; l = l->next)
    g_variant_builder_add (&entries, "v", toc_entry_to_variant (l->data));
  return g_variant_new ("(usav)", gst_toc_get_scope (toc),
      string ? string : "", &entries);
}

/* GVariant's own limit on nesting ends the recursion. NULL if it makes no sense. */
static GstTocEntry *
toc_entry_from_variant (GVariant * value)
{
  g_autoptr (GVariant) below = NULL;
  const char *uid, *tags;
  GstTocEntry *entry;
  GstTagList *list;
  gint64 start, stop;
  gint32 type;
  gsize i;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("(sixxsav)")))
    return NULL;
  g_variant_get (value, "(&sixx&s@av)", &uid, &type, &start, &stop, &tags,
      &below);
  if (type < GST_TOC_ENTRY_TYPE_ANGLE || type > GST_TOC_ENTRY_TYPE_CHAPTER
      || type == GST_TOC_ENTRY_TYPE_INVALID)
    return NULL;
  entry = gst_toc_entry_new (type, uid);
  gst_toc_entry_set_start_stop_times (entry, start, stop);
  list = gst_mmap_tags_from_string (tags);
  if (list)
    gst_toc_entry_set_tags (entry, list);
  for (i = 0; i < g_variant_n_children (below); i++) {
    g_autoptr (GVariant) boxed = g_variant_get_child_value (below, i);
    g_autoptr (GVariant) child = g_variant_get_variant (boxed);
    GstTocEntry *sub = toc_entry_from_variant (child);

    if (!sub) {
      gst_toc_entry_unref (entry);
      return NULL;
    }
    gst_toc_entry_append_sub_entry (entry, sub);
  }
  return entry;
}

/* All entries of a level are either alternatives or a sequence: else GStreamer takes it for a bug of its caller. */
static gboolean
toc_append (GstToc * toc, GstTocEntry * entry)
{
  GList *first = gst_toc_get_entries (toc);

  if (!entry)
    return FALSE;
  if (first && gst_toc_entry_is_alternative (first->data) !=
      gst_toc_entry_is_alternative (entry)) {
    gst_toc_entry_unref (entry);
    return FALSE;
  }
  gst_toc_append_entry (toc, entry);
  return TRUE;
}

GstToc *
gst_mmap_toc_from_variant (GVariant * value)
{
  g_autoptr (GVariant) entries = NULL;
  const char *tags;
  guint32 scope;
  GstTagList *list;
  GstToc *toc;
  gsize i;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("(usav)")))
    return NULL;
  g_variant_get (value, "(u&s@av)", &scope, &tags, &entries);
  if (scope != GST_TOC_SCOPE_GLOBAL && scope != GST_TOC_SCOPE_CURRENT)
    return NULL;
  toc = gst_toc_new (scope);
  list = gst_mmap_tags_from_string (tags);
  if (list)
    gst_toc_set_tags (toc, list);
  for (i = 0; i < g_variant_n_children (entries); i++) {
    g_autoptr (GVariant) boxed = g_variant_get_child_value (entries, i);
    g_autoptr (GVariant) child = g_variant_get_variant (boxed);

    if (!toc_append (toc, toc_entry_from_variant (child))) {
      gst_toc_unref (toc);
      return NULL;
    }
  }
  return toc;
}
