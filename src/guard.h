/* gst-mmap: mapped files that others may cut short
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MmapAlarm:
 *
 * Rings once, for good, when memory that is guarded with it has gone. Reference-counted; any thread.
 */
typedef struct _MmapAlarm MmapAlarm;

/* Returns: (transfer full): or %NULL with errno set: no descriptor is left */
MmapAlarm *mmap_alarm_new (void);
MmapAlarm *mmap_alarm_ref (MmapAlarm * alarm);
void mmap_alarm_unref (MmapAlarm * alarm);

/* One load. */
gboolean mmap_alarm_is_rung (const MmapAlarm * alarm);

/* Returns: a descriptor, the alarm's, that is readable once it has rung; nobody reads it */
int mmap_alarm_get_fd (const MmapAlarm * alarm);

/**
 * MmapGuard:
 *
 * Sees to it that a mapping of a file outlives the file: whoever touches a page that isn't there any more, because somebody has truncated
 * the file, finds zeros there instead of the end of the process (SIGBUS), and the mapping is called broken from then on.
 */
typedef struct _MmapGuard MmapGuard;

/* Guards @size bytes (whole pages) at @base, before they are touched. The first guard of a process installs its handler of SIGBUS,
 * which stays; it calls the one that was there before for everything else.
 * @writable: how it is mapped
 * Returns: (transfer full): or %NULL if MMAP_MAX_GUARDS mappings are guarded already, or SIGBUS can't be handled */
MmapGuard *mmap_guard_new (gpointer base, gsize size, gboolean writable);

/* @guard: (nullable): when nobody touches the memory any more, before it is unmapped */
void mmap_guard_free (MmapGuard * guard);

/* @guard: (nullable): never broken */
gboolean mmap_guard_is_broken (const MmapGuard * guard);

/* Rings @alarm when, or if already, the memory is broken. Once for a guard; it keeps a reference. */
void mmap_guard_set_alarm (MmapGuard * guard, MmapAlarm * alarm);

/* Chosen: each mmapsrc and mmapsink with a file has one or two. */
#define MMAP_MAX_GUARDS 1024

G_END_DECLS
