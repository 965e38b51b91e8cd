/* gst-mmap: accessors of shared words, for the model checker
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The names of src/atomics.h in terms of relacy: src/ring.c and src/wakeup.c are compiled with this file in its place, unchanged.
 * Each use with an order stronger than relaxed is a site, of which model.hpp takes the order away, one after the other.
 */
#pragma once

#include "model.hpp"

#define mmap_load_relaxed(word) model_load ((word), NULL, $)
#define mmap_load_acquire(word) \
  model_load ((word), MODEL_SITE ("acquire load"), $)
#define mmap_store_relaxed(word, value) \
  model_store ((word), (value), NULL, $)
#define mmap_store_release(word, value) \
  model_store ((word), (value), MODEL_SITE ("release store"), $)
#define mmap_swap_release(word, expected, value) \
  model_swap ((word), (expected), (value), MODEL_SITE ("release swap"), $)
#define mmap_fence_full() \
  model_fence (rl::mo_seq_cst, MODEL_SITE ("full fence"), $)
#define mmap_fence_acquire() \
  model_fence (rl::mo_acquire, MODEL_SITE ("acquire fence"), $)
#define mmap_fence_release() \
  model_fence (rl::mo_release, MODEL_SITE ("release fence"), $)
/* They change nothing but the time it takes. */
#define mmap_prefetch_for_write(word) ((void) (word))
#define mmap_prefetch(word) ((void) (word))
