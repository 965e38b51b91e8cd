/* gst-mmap doctor: what it looks at
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * Doctor:
 * @wrong: something that was looked at is of no use as it is
 *
 * What has been found so far.
 */
typedef struct
{
  gboolean wrong;
} Doctor;

/* Each prints a line: what was looked at, and what was found. */
void doctor_ok (Doctor * doctor, const char *what, const char *format,
    ...) G_GNUC_PRINTF (3, 4);

/* It isn't as it could be; not everybody needs it. @cure: what to do who does */
void doctor_note (Doctor * doctor, const char *what, const char *cure,
    const char *format, ...) G_GNUC_PRINTF (4, 5);

/* It can't work. @cure: (nullable): what to do, if the text doesn't say that */
void doctor_wrong (Doctor * doctor, const char *what, const char *cure,
    const char *format, ...) G_GNUC_PRINTF (4, 5);

/* The ivshmem devices of this machine, which is a guest if it has one. */
void doctor_look_at_devices (Doctor * doctor);

/* What a `file` property names. */
void doctor_look_at_file (Doctor * doctor, const char *file);

G_END_DECLS
