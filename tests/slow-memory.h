/* gst-mmap: memory that comes when the test says so
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "region.h"

G_BEGIN_DECLS

/* What becomes of the next pieces that mmap_region_reserve_more() is asked for; programs are linked with -Wl,--wrap. */
typedef enum
{
  MEMORY_COMES,
  MEMORY_WAITS,                 /* until this is changed */
  MEMORY_COMES_ONCE,            /* then it waits */
  MEMORY_IS_SLOW,               /* 5 ms for each piece */
  MEMORY_FAILS                  /* MMAP_ERROR_NO_SPACE */
} MemoryMode;

void slow_memory_set (MemoryMode mode);

/* Returns: pieces asked for since the program began */
guint slow_memory_get_pieces (void);

/* Waits until a piece waits. */
void slow_memory_wait_for_piece (void);

G_END_DECLS
