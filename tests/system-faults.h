/* gst-mmap: a system that refuses, for tests
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Runs @function in a forked child and fails the test unless the child gets through it. What it does to itself (other
 * user, limits, system calls that fail, a mount) ends with it. */
void run_in_child (void (*function) (gconstpointer), gconstpointer data);

/* The same in two steps, for a child that the parent has something to do with. Fork before there are threads. Returns: its process id */
int start_child (void (*function) (gconstpointer), gconstpointer data);
void end_child (int pid);

/* From now on the system call @number fails with @errnum in this process if its argument number @argument (0 to 5) has
 * all bits of @mask; a mask of 0: always. For children only: there is no way back. */
void fail_system_call (int number, guint argument, guint32 mask, int errnum);

/* From now on the system call @number ends this process, as SIGKILL would, before anything of it is done. */
void die_at_system_call (int number);

/* In a mount namespace of its own, puts a tmpfs of @size bytes at @path. FALSE if this process may not. */
gboolean mount_small_tmpfs (const char *path, guint64 size);

G_END_DECLS
