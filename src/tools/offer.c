/* gst-mmap offer: make a region file and offer it
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the owner of a region does first. One thread.
 */
#include "tool.h"
#include "error.h"

#include <sys/stat.h>
#include <unistd.h>

static MmapRegion *
make_region (const char *path, guint64 size, GError ** error)
{
  guint64 session;

  if (!mmap_random_id (&session, error))
    return NULL;
  return mmap_region_new_file (path, size, session, 1, error);
}

/* A region without an owner is taken as it is. */
static MmapRegion *
reuse_region (const char *path, guint64 size, GError ** error)
{
  MmapRegion *region = mmap_region_open_path_writable (path, 0, error);
  guint64 page = sysconf (_SC_PAGESIZE);

  if (region == NULL)
    return NULL;
  if (!mmap_region_lock (region, error)) {
    mmap_region_unref (region);
    return NULL;
  }
  if (size != 0 && (size > G_MAXUINT64 - page
          || (size + page - 1) / page * page != region->size)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
        "size is %" G_GUINT64_FORMAT ", but %s is a region of %"
        G_GSIZE_FORMAT " bytes: remove it, or offer it without --size", size,
        path, region->size);
    mmap_region_unref (region);
    return NULL;
  }
  return region;
}

static ToolStatus
offer (MmapRegion * region, const char *path, guint token_bytes)
{
  MmapCapabilities capabilities;
  ToolMemory memory;
  GError *error = NULL;
  ToolStatus status = TOOL_ACCEPTED;

  /* This process ends, and the region has no owner from then on. */
  region->header->producer_pid = 0;
  mmap_capabilities_init (&capabilities);
  capabilities.file = g_strdup (path);
  capabilities.size = region->size;
  tool_memory_init_region (&memory, region);
  if (tool_memory_write_token (&memory, token_bytes, NULL, &capabilities,
          &error)) {
    tool_json_print (&capabilities);
  } else {
    mmap_region_unlink (region);
    status = tool_refuse (error);
  }
  tool_memory_clear (&memory);
  mmap_capabilities_clear (&capabilities);
  return status;
}

static ToolStatus
run (const char *file, guint64 size, gint64 token_bytes)
{
  char *path = g_canonicalize_filename (file, NULL);
  MmapRegion *region;
  GError *error = NULL;
  ToolStatus status;
  struct stat st;

  if (lstat (path, &st) == 0) {
    region = reuse_region (path, size, &error);
  } else if (size == 0) {
    status = tool_usage ("--size is missing, and there is no region %s to "
        "offer as it is", path);
    g_free (path);
    return status;
  } else {
    region = make_region (path, size, &error);
  }
  if (region == NULL)
    status = tool_refuse (error);
  else
    status = offer (region, path, token_bytes);
  g_free (path);
  return status;
}

ToolStatus
tool_offer (int argc, char **argv)
{
  char *file = NULL;
  char *size_text = NULL;
  gint64 token_bytes = MMAP_TOKEN_DEFAULT_BYTES;
  const GOptionEntry options[] = {
    {"file", 0, 0, G_OPTION_ARG_FILENAME, &file,
        "Path of the region, such as /dev/shm/cam0", "FILE"},
    {"size", 0, 0, G_OPTION_ARG_STRING, &size_text,
        "Bytes of the region; K, M and G are powers of 1024. May be left "
          "out if FILE is a region", "N"},
    {"token-bytes", 0, 0, G_OPTION_ARG_INT64, &token_bytes,
        "Bytes of the token, 16 to 1024 (default 128)", "N"},
    {NULL}
  };
  guint64 size = 0;
  ToolStatus status;

  if (!tool_parse (argc, argv, options, NULL,
          "Makes a region, or takes one without a live owner, writes a random "
          "token into it\nand prints the offer as JSON.", NULL))
    status = TOOL_USAGE;
  else if (file == NULL || *file == '\0')
    status = tool_usage ("--file is missing");
  else if (size_text != NULL && !tool_parse_size (size_text, &size))
    status = tool_usage ("--size is '%s', expected a number above 0, or one "
        "with K, M or G", size_text);
  else if (!g_utf8_validate (file, -1, NULL))
    status = tool_refuse (g_error_new (MMAP_ERROR, MMAP_ERROR_FILE,
            "file is no UTF-8, which JSON can't say: choose another path"));
  else if (token_bytes < MMAP_TOKEN_MIN_BYTES
      || token_bytes > MMAP_TOKEN_MAX_BYTES)
    status = tool_refuse (g_error_new (MMAP_ERROR, MMAP_ERROR_TOKEN_BYTES,
            "token_bytes is %" G_GINT64_FORMAT ", expected %u to %u",
            token_bytes, MMAP_TOKEN_MIN_BYTES, MMAP_TOKEN_MAX_BYTES));
  else
    status = run (file, size, token_bytes);
  g_free (file);
  g_free (size_text);
  return status;
}
