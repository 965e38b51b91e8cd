/* gst-mmap: what the consumers of a sink accept
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "gstmmapneeds.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * GstMmapWish:
 * @link_id: the link
 * @caps: what its consumer accepts
 * @answered: its link has answered an offer, so that it can be admitted or refused
 * @counts: it was looked at whether upstream can satisfy it, so that upstream is told of it
 * @needs: what it needs of the memory
 * @last_look: that has been so for long, but time may have passed while this process stood still
 * @unfit_since: monotonic time, microseconds, since which the stream's caps are not among them; 0: they are, or it is not known yet
 */
typedef struct
{
  guint32 link_id;
  GstCaps *caps;
  gboolean answered;
  gboolean counts;
  GstMmapNeeds needs;
  gboolean last_look;
  gint64 unfit_since;
} GstMmapWish;

/**
 * GstMmapWishes:
 *
 * One for each link, in the order of their arrival. Not thread-safe: the sink has a lock for it.
 */
typedef struct
{
  GArray *wishes;
} GstMmapWishes;

void gst_mmap_wishes_init (GstMmapWishes * self);
void gst_mmap_wishes_clear (GstMmapWishes * self);

/* @caps: (transfer full)
 * Returns: (transfer none): valid until the next change; undecided, unless it says the same as before */
GstMmapWish *gst_mmap_wishes_set (GstMmapWishes * self, guint32 link_id,
    GstCaps * caps);
void gst_mmap_wishes_remove (GstMmapWishes * self, guint32 link_id);

/* Returns: (transfer none) (nullable): valid until the next change */
GstMmapWish *gst_mmap_wishes_find (GstMmapWishes * self, guint32 link_id);

/* @link_id: one that is taken to count; 0: none
 * Returns: (transfer full): what all that count accept, what the oldest prefers first; ANY if there is none. May be EMPTY. */
GstCaps *gst_mmap_wishes_intersect (GstMmapWishes * self, guint32 link_id);

/* What meets the needs of all. */
void gst_mmap_wishes_sum_needs (GstMmapWishes * self, GstMmapNeeds * needs);

/* Returns: (transfer full): what upstream is asked for, of @filter (nullable: ANY): what all that count accept. Who would leave nothing
 *     of it is left out, the youngest first: a consumer that can't be satisfied must not stop upstream. */
GstCaps *gst_mmap_wishes_offer (GstMmapWishes * self, GstCaps * filter);

/* Returns: whether the stream's caps don't fit a consumer */
gboolean gst_mmap_wishes_has_unfit (GstMmapWishes * self);

G_END_DECLS
