/* gst-mmap: areas: files that hold several channels
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Says what is in one, from the first bytes of its file, which are read and not mapped: others may cut it short. Called by 'list' and
 * 'clean'. One thread.
 */
#include "find.h"
#include "area-channel.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Two looks at heartbeats are so far apart; chosen: several beats. */
#define LOOK_US (4 * MMAP_AREA_BEAT_US)

static gboolean
read_start (int fd, MmapAreaStart * start)
{
  return pread (fd, start, sizeof *start, 0) == sizeof *start
      && memcmp (&start->header.magic, MMAP_AREA_MAGIC,
      sizeof start->header.magic) == 0;
}

static gboolean
is_made (int fd, const MmapAreaStart * start)
{
  struct stat st;

  return fstat (fd, &st) == 0 && mmap_area_is_made (&st, start->header.flags);
}

gboolean
tool_is_area (int fd, gboolean * made)
{
  g_autofree MmapAreaStart *start = g_new (MmapAreaStart, 1);
  gboolean area = read_start (fd, start);

  *made = area && is_made (fd, start);
  return area;
}

ToolLock
tool_area_lock_look (int fd)
{
  if (flock (fd, LOCK_EX | LOCK_NB) == 0) {
    flock (fd, LOCK_UN);
    return TOOL_LOCK_FREE;
  }
  return errno == EWOULDBLOCK ? TOOL_LOCK_HELD : TOOL_LOCK_UNKNOWN;
}

/* @beats: whether its heartbeat has changed */
static char *
describe_channel (const MmapAreaEntry * entry, gboolean beats)
{
  const MmapAreaPeer peer = { entry->pid, entry->uid, entry->boot_id,
    entry->pid_namespace, entry->doorbell
  };
  char name[MMAP_AREA_NAME_BYTES];
  g_autofree char *valid = NULL;

  memcpy (name, entry->name, sizeof name);
  name[sizeof name - 1] = '\0';
  valid = g_utf8_make_valid (name, -1);
  return g_strdup_printf ("channel %s: pid %u%s, %s", valid, entry->pid,
      mmap_area_peer_is_near (&peer) ? "" : " of another machine",
      beats ? "live" : mmap_area_peer_is_gone (&peer) ? "dead" :
      "dead, or it stands still");
}

guint32
tool_found_read_area (ToolFound * found, int fd)
{
  g_autofree MmapAreaStart *first = g_new0 (MmapAreaStart, 1);
  g_autofree MmapAreaStart *then = g_new0 (MmapAreaStart, 1);
  GString *channels = g_string_new (NULL);
  guint32 pid = 0;
  guint i;

  if (read_start (fd, first)) {
    g_usleep (LOOK_US);
    read_start (fd, then);
  }
  found->size = first->header.size;
  for (i = 0; i < MMAP_AREA_CHANNELS; i++) {
    const MmapAreaEntry *entry = &then->channels[i];
    gboolean beats = entry->heartbeat != first->channels[i].heartbeat;
    g_autofree char *text = NULL;

    if (entry->owner == 0 || entry->session == 0)
      continue;
    text = describe_channel (entry, beats);
    g_string_append_printf (channels, "%s%s", channels->len > 0 ? "; " : "",
        text);
    if (beats) {
      found->state = TOOL_LIVE;
      if (pid == 0)
        pid = entry->pid;
    }
  }
  if (channels->len == 0)
    g_string_append (channels, "no channels");
  /* A VM's memory is nobody's leftover. */
  if (found->state == TOOL_DEAD && !is_made (fd, first)) {
    found->state = TOOL_FOREIGN;
    g_string_append (channels, "; the file was there before gst-mmap used it");
  }
  found->why = g_string_free (channels, FALSE);
  return pid;
}
