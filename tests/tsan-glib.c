/* gst-mmap: tells ThreadSanitizer what GLib's and GStreamer's locks order
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Those libraries are not instrumented, and their mutexes are futexes, so ThreadSanitizer sees two of our threads
 * touch the same memory and nothing between them. This library is loaded before them (tests/run does it): its
 * functions take the place of theirs, call them, and say "what was before the unlock is visible after the lock". The
 * same for the references of objects, and for what is handed to a main loop. Called from any thread.
 */
#include <dlfcn.h>
#include <glib-object.h>
#include <gst/gst.h>

void __tsan_acquire (void *address);
void __tsan_release (void *address);

/* The function that ours hides. Looked up once; every thread that looks finds the same. */
#define NEXT(name) ({ \
  static __typeof__ (&name) next; \
  __typeof__ (&name) found = __atomic_load_n (&next, __ATOMIC_RELAXED); \
  if (!found) { \
    found = (__typeof__ (&name)) dlsym (RTLD_NEXT, #name); \
    __atomic_store_n (&next, found, __ATOMIC_RELAXED); \
  } \
  found; })

#define LOCK(name, Type) \
void \
name (Type * lock) \
{ \
  NEXT (name) (lock); \
  __tsan_acquire (lock); \
}

#define TRYLOCK(name, Type) \
gboolean \
name (Type * lock) \
{ \
  gboolean locked = NEXT (name) (lock); \
  if (locked) \
    __tsan_acquire (lock); \
  return locked; \
}

/* Also for whatever else publishes what was done before to whoever acquires the same address. */
#define UNLOCK(name, Type) \
void \
name (Type * lock) \
{ \
  __tsan_release (lock); \
  NEXT (name) (lock); \
}

/* The last reference's owner sees what all others did before they dropped theirs. */
#define UNREF(name, Type) \
void \
name (Type * object) \
{ \
  __tsan_release (object); \
  __tsan_acquire (object); \
  NEXT (name) (object); \
}

/* *INDENT-OFF* */
LOCK (g_mutex_lock, GMutex)
TRYLOCK (g_mutex_trylock, GMutex)
UNLOCK (g_mutex_unlock, GMutex)
LOCK (g_rec_mutex_lock, GRecMutex)
TRYLOCK (g_rec_mutex_trylock, GRecMutex)
UNLOCK (g_rec_mutex_unlock, GRecMutex)
LOCK (g_rw_lock_writer_lock, GRWLock)
UNLOCK (g_rw_lock_writer_unlock, GRWLock)
LOCK (g_rw_lock_reader_lock, GRWLock)
UNLOCK (g_rw_lock_reader_unlock, GRWLock)
UNREF (g_object_unref, void)
UNREF (gst_object_unref, void)
UNREF (gst_mini_object_unref, GstMiniObject)
UNREF (g_bytes_unref, GBytes)
UNREF (g_variant_unref, GVariant)
UNREF (g_source_unref, GSource)
/* *INDENT-ON* */

void
g_cond_wait (GCond * cond, GMutex * mutex)
{
  __tsan_release (mutex);
  NEXT (g_cond_wait) (cond, mutex);
  __tsan_acquire (mutex);
}

gboolean
g_cond_wait_until (GCond * cond, GMutex * mutex, gint64 end_time)
{
  gboolean signalled;

  __tsan_release (mutex);
  signalled = NEXT (g_cond_wait_until) (cond, mutex, end_time);
  __tsan_acquire (mutex);
  return signalled;
}

guint
g_source_attach (GSource * source, GMainContext * context)
{
  __tsan_release (context ? context : g_main_context_default ());
  return NEXT (g_source_attach) (source, context);
}

/* What a pool of threads works with: @data is handed over, and who frees the pool sees what was done. Never freed. */
typedef struct
{
  GFunc func;
  gpointer user_data;
} Work;

static void
work (gpointer data, gpointer user_data)
{
  Work *self = user_data;

  __tsan_acquire (data);
  self->func (data, self->user_data);
  __tsan_release (self);
}

GThreadPool *
g_thread_pool_new (GFunc func, gpointer user_data, gint max_threads,
    gboolean exclusive, GError ** error)
{
  Work *self = g_new (Work, 1);

  self->func = func;
  self->user_data = user_data;
  return NEXT (g_thread_pool_new) (work, self, max_threads, exclusive, error);
}

gboolean
g_thread_pool_push (GThreadPool * pool, gpointer data, GError ** error)
{
  __tsan_release (data);
  return NEXT (g_thread_pool_push) (pool, data, error);
}

void
g_thread_pool_free (GThreadPool * pool, gboolean immediate, gboolean wait)
{
  Work *self = pool->user_data;
  gboolean ours = pool->func == work;

  NEXT (g_thread_pool_free) (pool, immediate, wait);
  if (ours)
    __tsan_acquire (self);
}
