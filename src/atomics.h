/* gst-mmap: accessors of shared words
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The only place with memory orders: everything else goes through these names, so that a model checker can
 * put its own definitions in their place. docs/memory-order.md lists each use with its partner on the other side.
 */
#pragma once

#include <glib.h>

#define mmap_load_relaxed(word) __atomic_load_n ((word), __ATOMIC_RELAXED)
#define mmap_load_acquire(word) __atomic_load_n ((word), __ATOMIC_ACQUIRE)
#define mmap_store_relaxed(word, value) \
  __atomic_store_n ((word), (value), __ATOMIC_RELAXED)
#define mmap_store_release(word, value) \
  __atomic_store_n ((word), (value), __ATOMIC_RELEASE)
#define mmap_add_relaxed(word, value) \
  __atomic_fetch_add ((word), (value), __ATOMIC_RELAXED)
/* TRUE if *word was *expected and is value now; otherwise *expected becomes what the word holds. */
#define mmap_swap_release(word, expected, value) \
  __atomic_compare_exchange_n ((word), (expected), (value), FALSE, \
      __ATOMIC_RELEASE, __ATOMIC_RELAXED)
/* Orders a store before a later load of another word: a sleeper's and a waker's half of "no wake-up is lost". */
#if defined (__SANITIZE_THREAD__)
/* ThreadSanitizer doesn't model fences; an atomic exchange on a word of one's own is as strong on every machine. */
static inline void
mmap_fence_full (void)
{
  guint32 word = 0;

  __atomic_exchange_n (&word, 1, __ATOMIC_SEQ_CST);
  __sync_synchronize ();
}
#else
#define mmap_fence_full() __atomic_thread_fence (__ATOMIC_SEQ_CST)
#endif
/* Of words between two looks at a serial number, all of them atomics: a reader that sees one of a later writing sees its serial, too. */
#if defined (__SANITIZE_THREAD__)
#define mmap_fence_acquire() mmap_fence_full ()
#define mmap_fence_release() mmap_fence_full ()
#else
#define mmap_fence_acquire() __atomic_thread_fence (__ATOMIC_ACQUIRE)
#define mmap_fence_release() __atomic_thread_fence (__ATOMIC_RELEASE)
#endif

/* Copies what the other side may change at any time: what is looked at after this is the copy. */
#define mmap_copy_once(to, from, n_bytes) \
  G_STMT_START { \
    memcpy ((to), (from), (n_bytes)); \
    __asm__ volatile ("" : : : "memory"); \
  } G_STMT_END

/* Asks for a cache line of 64 bytes that is to be written, or read, soon: not when it is needed. The instruction does nothing where a processor
 * doesn't know it. */
#if defined (__x86_64__)
#define mmap_prefetch_for_write(word) \
  __asm__ ("prefetchw %0" : : "m" (*(const char *) (word)))
#else
#define mmap_prefetch_for_write(word) __builtin_prefetch ((word), 1)
#endif
#define mmap_prefetch(word) __builtin_prefetch (word)
