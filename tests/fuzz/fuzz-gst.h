/* gst-mmap: what the targets of the elements share
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "fuzz.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/* Strings that mean something to GStreamer: caps, structures, their parts, names of types. */
extern const char *const fuzz_gst_strings[];

/* Returns: (transfer full): caps or a structure, as a string */
char *fuzz_gst_string (FuzzInput * input);

G_END_DECLS
