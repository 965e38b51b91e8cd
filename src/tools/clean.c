/* gst-mmap clean: remove what dead owners have left
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Says of each socket and region whether it was removed, or why it was left. One thread.
 */
#include "find.h"

#include <stdio.h>
#include <unistd.h>

static char *
describe_dead (const ToolFound * found)
{
  g_autofree char *owner = found->pid == 0 ? g_strdup ("its owner is dead")
      : g_strdup_printf ("its owner, pid %u, is dead", found->pid);

  if (found->state == TOOL_OFFERED)
    return g_strdup (found->why);
  return g_strconcat (owner, found->why ? "; " : NULL, found->why, NULL);
}

static char *
describe_left (const ToolFound * found)
{
  g_autofree char *owner = NULL;

  if (found->state == TOOL_OFFERED)
    return g_strdup_printf ("%s; name it to have it removed", found->why);
  if (found->state != TOOL_LIVE)
    return g_strdup (found->why ? found->why : "nobody knows whose it is");
  owner = found->command ? g_strdup_printf ("live, pid %u (%s)", found->pid,
      found->command) : g_strdup_printf ("live, pid %u", found->pid);
  return g_strconcat (owner, found->why ? "; " : NULL, found->why, NULL);
}

static void
say (const char *what, const ToolFound * found, const char *why)
{
  g_autofree char *path = tool_escape (found->path);
  g_autofree char *text = tool_escape (why);

  printf ("%s %s: %s\n", what, path, text);
}

/* FALSE if it is dead and could not be removed. */
static gboolean
clean (const ToolFound * found, gboolean dry_run)
{
  g_autofree char *dead = NULL, *left = NULL, *path = NULL, *why = NULL;
  gboolean failed = FALSE;

  if (found->state != TOOL_DEAD
      && !(found->state == TOOL_OFFERED && found->named)) {
    left = describe_left (found);
    say ("left", found, left);
    return TRUE;
  }
  dead = describe_dead (found);
  if (!dry_run)
    left = tool_remove (found, &failed);
  /* Another user's is that user's to remove, unless it was asked for. */
  failed = failed && (found->named || found->uid == geteuid ());
  if (failed) {
    path = tool_escape (found->path);
    why = tool_escape (left);
    g_printerr ("%s: %s: %s\n", g_get_prgname (), path, why);
  } else if (left != NULL)
    say ("left", found, left);
  else
    say (dry_run ? "would remove" : "removed", found, dead);
  return !failed;
}

ToolStatus
tool_clean (int argc, char **argv)
{
  gboolean dry_run = FALSE, all;
  const GOptionEntry options[] = {
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &dry_run,
        "Say what would be removed, and remove nothing", NULL},
    {NULL}
  };
  g_auto (GStrv) paths = NULL;
  ToolFinder finder;
  guint i;

  if (!tool_parse_paths (argc, argv, options,
          "Removes sockets and region files whose owner is dead, and nothing "
          "else. PATH is a\nsocket, a file or a directory; without one: what "
          "'gst-mmap list' finds.", &paths))
    return TOOL_USAGE;
  tool_finder_init (&finder);
  all = tool_find (&finder, paths);
  for (i = 0; i < finder.found->len; i++) {
    const ToolFound *found = g_ptr_array_index (finder.found, i);

    if (found->kind != TOOL_MEMFD && found->path[0] != '@')
      all = clean (found, dry_run) && all;
  }
  tool_finder_clear (&finder);
  return all ? TOOL_ACCEPTED : TOOL_REFUSED;
}
