/* gst-mmap verify: check an answer's token
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the owner of a region does last. One thread.
 */
#include "tool.h"

static gboolean
verify (const MmapCapabilities * answer, gboolean raw, GError ** error)
{
  ToolMemory memory;
  gboolean ok;

  if (!tool_memory_open (&memory, answer, raw, FALSE, error))
    return FALSE;
  ok = tool_memory_check_token (&memory, answer, error);
  if (ok)
    g_print ("accepted\n");
  tool_memory_clear (&memory);
  return ok;
}

ToolStatus
tool_verify (int argc, char **argv)
{
  gboolean raw = FALSE;
  const GOptionEntry options[] = {
    {"raw", 0, 0, G_OPTION_ARG_NONE, &raw,
        "The file is bare, without a region's header, as xpra makes it", NULL},
    {NULL}
  };
  MmapCapabilities answer;
  GError *error = NULL;
  char *argument;

  if (!tool_parse (argc, argv, options, "[ANSWER]",
          "Checks that an answer's token lies in its file, and prints "
          "'accepted'. ANSWER is the\nJSON that 'gst-mmap answer' prints; "
          "without it, or as -, it is read from standard\ninput.", &argument))
    return TOOL_USAGE;
  if (tool_json_read (&answer, argument, &error)) {
    verify (&answer, raw, &error);
    mmap_capabilities_clear (&answer);
  }
  g_free (argument);
  return error == NULL ? TOOL_ACCEPTED : tool_refuse (error);
}
