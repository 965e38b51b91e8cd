/* gst-mmap list: show sockets and regions
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Prints what there is, live or dead, for people or for programs. It only looks. One thread.
 */
#include "find.h"

#include <json-glib/json-glib.h>
#include <stdio.h>

#define N_COLUMNS 10

static const char *const kind_names[] = {
  [TOOL_SOCKET] = "socket",
  [TOOL_FILE] = "file",
  [TOOL_AREA] = "area",
  [TOOL_MEMFD] = "memfd",
};

static const char *const state_names[] = {
  [TOOL_LIVE] = "live",
  [TOOL_DEAD] = "dead",
  [TOOL_OFFERED] = "offered",
  [TOOL_FOREIGN] = "foreign",
  [TOOL_UNKNOWN] = "unknown",
};

static void
set_text (JsonObject * object, const char *name, const char *text)
{
  g_autofree char *valid = text ? g_utf8_make_valid (text, -1) : NULL;

  if (valid)
    json_object_set_string_member (object, name, valid);
  else
    json_object_set_null_member (object, name);
}

/* JSON's numbers are signed here. */
static void
set_number (JsonObject * object, const char *name, gboolean known,
    guint64 value)
{
  if (known)
    json_object_set_int_member (object, name, MIN (value, G_MAXINT64));
  else
    json_object_set_null_member (object, name);
}

static char *
format_session (const ToolFound * found)
{
  if (found->session == 0)
    return NULL;
  return g_strdup_printf ("0x%016" G_GINT64_MODIFIER "x", found->session);
}

/* Those of an area's channels are in as many regions. */
static gboolean
counts_frames (const ToolFound * found)
{
  return (found->kind == TOOL_FILE || found->kind == TOOL_MEMFD)
      && found->size > 0;
}

static JsonObject *
found_to_json (const ToolFound * found)
{
  g_autofree char *session = format_session (found);
  gboolean region = found->kind != TOOL_SOCKET && found->size > 0;
  JsonObject *object = json_object_new ();

  set_text (object, "kind", kind_names[found->kind]);
  set_text (object, "state", state_names[found->state]);
  set_text (object, "path", found->path);
  set_number (object, "pid", found->pid != 0, found->pid);
  set_number (object, "uid", TRUE, found->uid);
  set_text (object, "command", found->command);
  set_text (object, "session", session);
  set_number (object, "size", region, found->size);
  set_number (object, "links", counts_frames (found), found->links);
  set_number (object, "frames", counts_frames (found), found->frames);
  set_text (object, "note", found->why);
  return object;
}

static void
print_json (const GPtrArray * all)
{
  JsonArray *array = json_array_new ();
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  char *text;
  guint i;

  for (i = 0; i < all->len; i++)
    json_array_add_object_element (array,
        found_to_json (g_ptr_array_index (all, i)));
  json_node_take_array (node, array);
  text = json_to_string (node, FALSE);
  puts (text);                  /* UTF-8 in any locale, unlike g_print() */
  g_free (text);
  json_node_unref (node);
}

static char *
format_number (gboolean known, guint64 value)
{
  return known ? g_strdup_printf ("%" G_GUINT64_FORMAT, value) : g_strdup ("-");
}

/* Whoever names a file or a process may have put in what a terminal obeys. */
static char *
format_text (const char *text)
{
  return text ? tool_escape (text) : g_strdup ("-");
}

static void
found_to_row (const ToolFound * found, char *row[N_COLUMNS])
{
  gboolean region = found->kind != TOOL_SOCKET && found->size > 0;
  g_autofree char *session = format_session (found);
  g_autofree char *path = format_text (found->path);
  g_autofree char *note = found->why ? tool_escape (found->why) : NULL;

  row[0] = g_strdup (kind_names[found->kind]);
  row[1] = g_strdup (state_names[found->state]);
  row[2] = format_number (found->pid != 0, found->pid);
  row[3] = format_number (TRUE, found->uid);
  row[4] = format_text (found->command);
  row[5] = format_text (session);
  row[6] = format_number (region, found->size);
  row[7] = format_number (counts_frames (found), found->links);
  row[8] = format_number (counts_frames (found), found->frames);
  row[9] = note ? g_strdup_printf ("%s (%s)", path, note)
      : g_steal_pointer (&path);
}

static void
print_table (const GPtrArray * all)
{
  static const char *const titles[N_COLUMNS] = {
    "KIND", "STATE", "PID", "UID", "COMMAND", "SESSION", "SIZE", "LINKS",
    "FRAMES", "PATH"
  };
  g_autofree char **cells = g_new0 (char *, (all->len + 1) * N_COLUMNS);
  glong widths[N_COLUMNS] = { 0, };
  guint i, n = (all->len + 1) * N_COLUMNS;

  for (i = 0; i < N_COLUMNS; i++)
    cells[i] = g_strdup (titles[i]);
  for (i = 0; i < all->len; i++)
    found_to_row (g_ptr_array_index (all, i), cells + (i + 1) * N_COLUMNS);
  for (i = 0; i < n; i++)
    widths[i % N_COLUMNS] = MAX (widths[i % N_COLUMNS],
        g_utf8_strlen (cells[i], -1));
  for (i = 0; i < n; i++) {
    if (i % N_COLUMNS == N_COLUMNS - 1)
      printf ("%s\n", cells[i]);
    else
      printf ("%s%*s", cells[i],
          (int) (widths[i % N_COLUMNS] - g_utf8_strlen (cells[i], -1) + 2), "");
    g_free (cells[i]);
  }
}

ToolStatus
tool_list (int argc, char **argv)
{
  gboolean json = FALSE;
  const GOptionEntry options[] = {
    {"json", 0, 0, G_OPTION_ARG_NONE, &json,
        "Print a JSON array of objects", NULL},
    {NULL}
  };
  g_auto (GStrv) paths = NULL;
  ToolFinder finder;
  gboolean all;

  if (!tool_parse_paths (argc, argv, options,
          "Shows sockets and regions, whose they are, and whether their owner "
          "lives. PATH is a\nsocket, a file or a directory; without one: the "
          "default directories of sockets,\n/dev/shm, and what the processes "
          "have open that you may look at.", &paths))
    return TOOL_USAGE;
  tool_finder_init (&finder);
  all = tool_find (&finder, paths);
  if (json)
    print_json (finder.found);
  else if (finder.found->len > 0)
    print_table (finder.found);
  else if (all)
    puts ("There is nothing.");
  tool_finder_clear (&finder);
  return all ? TOOL_ACCEPTED : TOOL_REFUSED;
}
