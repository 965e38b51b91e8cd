/* gst-mmap: the file in which tokens lie
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Checks and writes tokens in a region, or in a bare file as xpra makes it.
 * Called by the tool's commands. One thread.
 */
#include "tool.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* xpra keeps two 32-bit words, the start and end of its data, in front. */
#define RAW_CONTROL_BYTES 8

static gboolean
open_raw (ToolMemory * memory, const MmapCapabilities * capabilities,
    gboolean writable, GError ** error)
{
  struct stat st;
  int fd = open (capabilities->file, (writable ? O_RDWR : O_RDONLY)
      | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

  if (fd < 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "file %s can't be opened by user %u: %s", capabilities->file,
        geteuid (), g_strerror (errno));
    return FALSE;
  }
  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "file %s is no regular file", capabilities->file);
    close (fd);
    return FALSE;
  }
  if (capabilities->size > (guint64) st.st_size) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
        "size is %" G_GUINT64_FORMAT ", but %s has only %" G_GUINT64_FORMAT
        " bytes", capabilities->size, capabilities->file, (guint64) st.st_size);
    close (fd);
    return FALSE;
  }
  memory->region = NULL;
  memory->fd = fd;
  memory->size = capabilities->size;
  memory->start = RAW_CONTROL_BYTES;
  return TRUE;
}

void
tool_memory_init_region (ToolMemory * memory, MmapRegion * region)
{
  memory->region = region;
  memory->fd = region->fd;
  memory->size = region->size;
  memory->start = region->blocks_offset;
}

gboolean
tool_memory_open (ToolMemory * memory, const MmapCapabilities * capabilities,
    gboolean raw, gboolean writable, GError ** error)
{
  MmapRegion *region;

  if (raw)
    return open_raw (memory, capabilities, writable, error);
  if (writable)
    region = mmap_region_open_path_writable (capabilities->file,
        capabilities->size, error);
  else
    region = mmap_region_open_path (capabilities->file, capabilities->size,
        error);
  if (region == NULL)
    return FALSE;
  if (writable && !mmap_region_lock (region, error)) {
    mmap_region_unref (region);
    return FALSE;
  }
  tool_memory_init_region (memory, region);
  return TRUE;
}

void
tool_memory_clear (ToolMemory * memory)
{
  if (memory->region != NULL)
    mmap_region_unref (memory->region);
  else
    close (memory->fd);
  memset (memory, 0, sizeof (*memory));
}

gboolean
tool_memory_check_token (const ToolMemory * memory,
    const MmapCapabilities * capabilities, GError ** error)
{
  const MmapToken *token = &capabilities->token;
  guint8 bytes[MMAP_TOKEN_MAX_BYTES];
  gboolean ok;
  gssize n;

  /* That it ends within the size was checked when it was read. */
  if (capabilities->token_index < memory->start) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN_INDEX,
        "token_index is %" G_GUINT64_FORMAT ", expected at least %"
        G_GUINT64_FORMAT ": what lies before is the header",
        capabilities->token_index, memory->start);
    return FALSE;
  }
  do {
    n = pread (memory->fd, bytes, token->n_bytes, capabilities->token_index);
  } while (n < 0 && errno == EINTR);
  if (n != (gssize) token->n_bytes) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "file %s can't be read: %s", capabilities->file,
        n < 0 ? g_strerror (errno) : "it was cut short");
    return FALSE;
  }
  ok = mmap_token_check (token, bytes);
  if (!ok)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN,
        "token is not what %s holds at token_index %" G_GUINT64_FORMAT
        ": the two sides don't see the same memory, or it was overwritten",
        capabilities->file, capabilities->token_index);
  explicit_bzero (bytes, sizeof (bytes));
  return ok;
}

/* Any index at which @n_bytes bytes fit, each as likely as the others.
 * G_MAXUINT64 if there is none. */
static guint64
draw_index (const ToolMemory * memory, guint n_bytes,
    const MmapCapabilities * avoid)
{
  guint64 before = 0, behind = 0, from, number;

  /* The bytes up to the token to avoid, and those from its end on. */
  from = avoid ? avoid->token_index + avoid->token.n_bytes : memory->start;
  if (avoid && avoid->token_index >= memory->start + n_bytes)
    before = avoid->token_index - memory->start - n_bytes + 1;
  if (memory->size >= from + n_bytes)
    behind = memory->size - from - n_bytes + 1;
  if (before + behind == 0)
    return G_MAXUINT64;
  number = mmap_random_below (before + behind);
  return number < before ? memory->start + number : from + number - before;
}

gboolean
tool_memory_write_token (const ToolMemory * memory, guint n_bytes,
    const MmapCapabilities * avoid, MmapCapabilities * capabilities,
    GError ** error)
{
  gssize n;

  if (!mmap_token_init_random (&capabilities->token, n_bytes, error))
    return FALSE;
  capabilities->token_index = draw_index (memory, n_bytes, avoid);
  if (capabilities->token_index == G_MAXUINT64) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOO_SMALL,
        "%s has no room for another %u bytes of token", capabilities->file,
        n_bytes);
    return FALSE;
  }
  do {
    n = pwrite (memory->fd, capabilities->token.bytes, n_bytes,
        capabilities->token_index);
  } while (n < 0 && errno == EINTR);
  if (n != (gssize) n_bytes) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "file %s can't be written: %s", capabilities->file,
        n < 0 ? g_strerror (errno) : "it is full");
    return FALSE;
  }
  return TRUE;
}
