/* gst-mmap format: make memory ready to be used as an area
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Producers use no memory that isn't blank, or an area already. This makes it blank: what they need to see is in its first pages. One
 * thread.
 */
#include "tool.h"
#include "area-channel.h"
#include "atomics.h"
#include "error.h"

#include <stdio.h>
#include <string.h>

/* Longer than a heartbeat may fail to come. */
#define LOOK_US (MMAP_AREA_DEAD_US + 2 * MMAP_AREA_BEAT_US)

/* FALSE with an error: somebody lives there. */
static gboolean
check_unused (const MmapArea * area, GError ** error)
{
  MmapPulse pulses[MMAP_AREA_CHANNELS] = { 0 };
  gint64 until = g_get_monotonic_time () + LOOK_US, now;
  MmapChannelInfo info;
  guint i;

  do {
    now = g_get_monotonic_time ();
    for (i = 0; i < MMAP_AREA_CHANNELS; i++) {
      mmap_channel_read (area, i, &info);
      mmap_pulse_is_dead (&pulses[i], info.heartbeat, now);
      if (!pulses[i].beats)
        continue;
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
          "%s is used by pid %u: end that, or use --force, which ends all "
          "links there", area->path, info.peer.pid);
      return FALSE;
    }
    g_usleep (MMAP_AREA_BEAT_US);
  } while (now < until);
  return TRUE;
}

static void
make_blank (MmapArea * area)
{
  guint64 *words = (guint64 *) area->start;
  gsize i;

  for (i = 0; i < sizeof (MmapAreaStart) / sizeof *words; i++)
    mmap_store_relaxed (&words[i], 0);
}

ToolStatus
tool_format (int argc, char **argv)
{
  gboolean force = FALSE;
  const GOptionEntry options[] = {
    {"force", 0, 0, G_OPTION_ARG_NONE, &force,
        "Also if somebody uses it: all links there end", NULL},
    {NULL}
  };
  g_autoptr (MmapArea) area = NULL;
  g_autofree char *path = NULL;
  g_auto (GStrv) paths = NULL;
  MmapUsers *all = mmap_users_new ("any", NULL);
  GError *error = NULL;

  if (!tool_parse_paths (argc, argv, options,
          "Makes PATH, a file, or ivshmem, blank, for mmapsink to use. What is "
          "in it is lost.", &paths)) {
    mmap_users_free (all);
    return TOOL_USAGE;
  }
  if (!paths || !paths[0] || paths[1]) {
    mmap_users_free (all);
    return tool_usage ("expected one PATH");
  }
  path = mmap_area_resolve (paths[0], &error);
  if (path)
    area = mmap_area_open_unformatted (path, all, &error);
  mmap_users_free (all);
  if (!area || (!force && !check_unused (area, &error)))
    return tool_refuse (error);
  make_blank (area);
  printf ("formatted %s: %" G_GSIZE_FORMAT " bytes\n", paths[0], area->size);
  return TOOL_ACCEPTED;
}
