/* gst-mmap: a gst-launch-1.0 that a test starts, stops and kills
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/**
 * Child:
 * @pid: of the process
 *
 * Called from the test's thread. A wait that takes too long fails the test.
 */
typedef struct
{
  pid_t pid;
  int input;                    /* write end of its stdin; -1: none */
  int log;                      /* read end of what it prints; -1: none */
  GString *text;                /* read so far */
} Child;

/* Once, before the first: children that crash leave no core behind. */
void child_init (void);

/* Starts a pipeline, with the elements of this build. */
Child *child_new (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* The same, which reads what the test writes, and whose mmapsink prints what it does. */
Child *child_new_with_input (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* Writes all of it. */
void child_write (Child * child, gconstpointer data, gsize size);

/* FALSE: for @timeout_us it read nothing. */
gboolean child_try_write (Child * child, gconstpointer data, gsize size,
    gint64 timeout_us);

/* Waits until it has printed @text. Of one with input. */
void child_wait_text (Child * child, const char *text);

/* Waits until somebody listens at @path. */
void child_wait_socket (Child * child, const char *path);

/* Waits until it has stopped; makes it go on. */
void child_stop (Child * child);
void child_continue (Child * child);

/* Sends @signal, stopped or not, and waits for the end; frees. */
void child_end (Child * child, int signal);

/* Waits until it has ended by itself, successfully; frees. */
void child_finish (Child * child);

G_END_DECLS
