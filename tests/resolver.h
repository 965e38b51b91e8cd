/* gst-mmap: a name server that a test plays
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* From now on this process knows "here.test", which is 127.0.0.1, and that there is no "unknown.test". Others are looked up without end. */
void resolver_play (void);

/* How often one of those others was asked for. Any thread. */
guint resolver_get_n_asked (void);

G_END_DECLS
