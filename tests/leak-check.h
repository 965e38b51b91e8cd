/* gst-mmap: nothing may be left behind by a test
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * LeakCheck:
 *
 * What a process has open: descriptors, threads, and its files in /dev/shm. Of the caller's memory; between
 * leak_check_begin() and leak_check_end() it owns its tables.
 */
typedef struct
{
  GHashTable *descriptors;
  GHashTable *threads;
  GHashTable *files;
} LeakCheck;

/* Records what is there now. */
void leak_check_begin (LeakCheck * check);

/* Ends the test program, naming what is there that wasn't at leak_check_begin(). What others are about to close, such
 * as a thread that is ending, has LEAK_CHECK_WAIT_US to go. Threads that GLib keeps for ever are not counted. */
void leak_check_end (LeakCheck * check);

/* As g_test_add_func(), with a leak check around @function. */
void leak_check_add_test (const char *test_path, GTestFunc function);

/* Times as long as usual that everything may take: MMAP_TEST_TIMES, or 1. */
guint leak_check_get_times (void);

#define LEAK_CHECK_WAIT_US (10 * G_USEC_PER_SEC * leak_check_get_times ())

/* Returns: (transfer full): a path in /dev/shm that only this process, and those that it forks later, use: other tests run
 * at the same time. leak_check_end() looks at these, and at regions made by this process whatever their name. */
char *leak_check_path (const char *name);

G_END_DECLS
