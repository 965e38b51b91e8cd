/* gst-mmap: the memory that an ivshmem server hands out
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "mode.h"

G_BEGIN_DECLS

/* A page: less can't be mapped. */
#define MMAP_IVSHMEM_MIN_BYTES 4096

/**
 * MmapIvshmemMemory:
 * @fd: of a sealed memfd, or of a file; -1: none
 * @size: bytes: a power of two, as that of a PCI device's BAR is
 * @path: (nullable): of the file
 *
 * Of the caller's memory. A file that it has made is removed with it.
 */
typedef struct
{
  int fd;
  guint64 size;
  char *path;
  gboolean made;
} MmapIvshmemMemory;

/* FALSE with MMAP_ERROR_SIZE, which says what to take instead. */
gboolean mmap_ivshmem_check_size (guint64 size, GError ** error);

/* Reserves memory, zeroed, or takes that of a file as it is.
 * @path: (nullable): of a file, made if there is none; %NULL: a memfd, which nobody can make shorter
 * @size: bytes; 0: those of the file
 * @mode: of a file that is made
 * FALSE with MMAP_ERROR_SIZE, MMAP_ERROR_EXISTS (what lies there is no regular file, or another user's), MMAP_ERROR_UNSAFE_PATH,
 * MMAP_ERROR_NO_DIRECTORY, MMAP_ERROR_PERMISSION, MMAP_ERROR_NO_SPACE or MMAP_ERROR_FAILED: then @memory is clear. */
gboolean mmap_ivshmem_memory_init (MmapIvshmemMemory * memory,
    const char *path, guint64 size, const MmapMode * mode, GError ** error);

void mmap_ivshmem_memory_clear (MmapIvshmemMemory * memory);

G_END_DECLS
