/* gst-mmap: whether a path leads where its user means
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Whether nobody but root, this process's user and those whom a directory's group trusts decides where @path leads: each directory on the
 * way that others may write is sticky, and each symbolic link on the way is root's or the user's. The last component is not looked at:
 * whoever opens it doesn't follow links.
 * FALSE with MMAP_ERROR_UNSAFE_PATH. TRUE also if something on the way isn't there: whoever opens the path hears of that. */
gboolean mmap_path_check (const char *path, GError ** error);

G_END_DECLS
