/* gst-mmap answer: check an offer's token, and write one in answer
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the opener of a region does. One thread.
 */
#include "tool.h"

static gboolean
answer (const MmapCapabilities * offer, gboolean raw, GError ** error)
{
  MmapCapabilities capabilities;
  ToolMemory memory;
  gboolean ok;

  if (!tool_memory_open (&memory, offer, raw, TRUE, error))
    return FALSE;
  mmap_capabilities_init (&capabilities);
  capabilities.file = g_strdup (offer->file);
  capabilities.size = offer->size;
  ok = tool_memory_check_token (&memory, offer, error)
      && tool_memory_write_token (&memory, offer->token.n_bytes, offer,
      &capabilities, error);
  if (ok)
    tool_json_print (&capabilities);
  mmap_capabilities_clear (&capabilities);
  tool_memory_clear (&memory);
  return ok;
}

ToolStatus
tool_answer (int argc, char **argv)
{
  gboolean raw = FALSE;
  const GOptionEntry options[] = {
    {"raw", 0, 0, G_OPTION_ARG_NONE, &raw,
        "The file is bare, without a region's header, as xpra makes it", NULL},
    {NULL}
  };
  MmapCapabilities offer;
  GError *error = NULL;
  char *argument;

  if (!tool_parse (argc, argv, options, "[OFFER]",
          "Checks that an offer's token lies in its file, writes another one "
          "elsewhere in it\nand prints the answer as JSON. OFFER is the JSON "
          "that 'gst-mmap offer' prints;\nwithout it, or as -, it is read "
          "from standard input.", &argument))
    return TOOL_USAGE;
  if (tool_json_read (&offer, argument, &error)) {
    answer (&offer, raw, &error);
    mmap_capabilities_clear (&offer);
  }
  g_free (argument);
  return error == NULL ? TOOL_ACCEPTED : tool_refuse (error);
}
