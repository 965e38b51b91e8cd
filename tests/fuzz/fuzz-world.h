/* gst-mmap: what the targets of areas and doorbells share: threads and time that go on when they are told to
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Programs with this are linked with what meson.build has wrapped for them. Nothing waits: where the code under test would, its time goes on, and
 * the other side does something.
 */
#pragma once

#include "fuzz.h"

G_BEGIN_DECLS

/* What the other side does at some instant. */
typedef void (*FuzzOther) (gpointer data);

/* @other: called where the code under test sleeps, looks at the clock, or draws a number */
void fuzz_world_begin (FuzzOther other, gpointer data);
void fuzz_world_end (void);

/* Of its clocks, microseconds. */
gint64 fuzz_world_now (void);
void fuzz_world_pass (gint64 us);

/* Lets the one thread that there may be run until it has slept @turns times, or has ended. It is joined as others are. */
void fuzz_world_run (guint turns);

/* A directory of this process's own, in memory. */
const char *fuzz_world_get_directory (void);

/* Appends a message, mostly with a header as it should be. */
void fuzz_append_message (FuzzInput * input, GByteArray * bytes);

/* --- an area, as the other side sees it --- */

/* Returns: (transfer full): the path of a file of @size bytes; @base: (out): all of it, to be unmapped */
char *fuzz_area_new_file (gsize size, guint8 ** base);

/* Writes a number into a word of the first pages: one that means something, or any.
 * @ids: numbers of owners */
void fuzz_area_write_start (FuzzInput * input, guint8 * base,
    const guint64 * ids, guint n_ids);

/* The same of a link slot. */
void fuzz_area_write_slot (FuzzInput * input, gpointer slot,
    const guint64 * ids, guint n_ids);

G_END_DECLS
