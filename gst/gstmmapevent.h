/* gst-mmap: events as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Writes what @event says, but type and sequence number, to @dict; docs/protocol.md lists the keys.
 * @shift: ns, added to running times
 * FALSE if it can't cross: another type than those, or nothing of it can be written */
gboolean gst_mmap_event_to_dict (GstEvent * event, GstClockTimeDiff shift,
    GVariantDict * dict);

/* Returns: (transfer full) (nullable): the event of type @type and sequence number @seqnum (0: a new one) that @dict, an a{sv} from another
 *     process, says; %NULL if it makes no sense */
GstEvent *gst_mmap_event_from_variant (guint32 type, guint32 seqnum,
    GstClockTimeDiff shift, GVariant * dict);

/* Returns: (transfer full) (nullable): a copy of the @size bytes at @data as a{sv}; %NULL if they are none in normal form */
GVariant *gst_mmap_dict_from_wire (gconstpointer data, gsize size);

G_END_DECLS
