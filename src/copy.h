/* gst-mmap: copying a frame into the region
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A large frame that is copied for another process need not pass through this processor's caches: then stores don't
 * read first what they overwrite, and what is in the caches stays there. Not for memory that this process has just
 * allocated and soon reads itself: there memcpy() was faster.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Copies of so many bytes or more go past the caches: the least that was never slower than memcpy() with the reader
 * counted in, see copy.c. */
#define MMAP_COPY_STREAM_BYTES (6 * 1024 * 1024)

/* Copies @size bytes, as memcpy() does, to memory that another process reads. What is published after it with a release
 * store is visible before that store is. Neither pointer need be aligned. Any thread. */
void mmap_copy (void *to, const void *from, gsize size);

/* The same past the caches, whatever the size; where there is no way to do so, it is memcpy(). */
void mmap_copy_stream (void *to, const void *from, gsize size);

G_END_DECLS
