/* gst-mmap: who lives at the other side of an area
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Heartbeats say it everywhere. On one kernel it is known sooner that a process has ended. Called by relays; holds no state.
 */
#include "area.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* From one look to the next; chosen: more is no heartbeat that goes on. */
#define MAX_BEATS 64

/* The first 8 bytes; 0: unknown. */
static guint64
read_boot_id (void)
{
  char text[40] = "", digits[17];
  guint i, n = 0;
  int fd = open ("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

  if (fd < 0)
    return 0;
  if (read (fd, text, sizeof text - 1) < 36)
    text[0] = '\0';
  close (fd);
  for (i = 0; text[i] && n < 16; i++)
    if (g_ascii_isxdigit (text[i]))
      digits[n++] = text[i];
  digits[n] = '\0';
  return n == 16 ? GUINT64_TO_BE (g_ascii_strtoull (digits, NULL, 16)) : 0;
}

void
mmap_area_peer_init_self (MmapAreaPeer * peer)
{
  struct stat st;

  peer->pid = getpid ();
  peer->uid = geteuid ();
  peer->boot_id = read_boot_id ();
  peer->pid_namespace = stat ("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
  peer->doorbell = 0;
}

gboolean
mmap_area_peer_is_near (const MmapAreaPeer * peer)
{
  return peer->boot_id != 0 && peer->boot_id == read_boot_id ();
}

gboolean
mmap_area_peer_is_gone (const MmapAreaPeer * peer)
{
  struct stat st;

  return peer->pid > 0 && peer->pid <= G_MAXINT
      && kill (peer->pid, 0) < 0 && errno == ESRCH
      && mmap_area_peer_is_near (peer)
      && stat ("/proc/self/ns/pid", &st) == 0
      && peer->pid_namespace == st.st_ino;
}

gboolean
mmap_pulse_is_dead (MmapPulse * pulse, guint64 value, gint64 now_us)
{
  gboolean anew = pulse->changed_us == 0
      || now_us - pulse->looked_us > MMAP_AREA_STILL_US;

  if (anew || value != pulse->value) {
    if (anew)
      pulse->beats = 0;
    else if (value - pulse->value <= MAX_BEATS)
      pulse->beats++;
    pulse->value = value;
    pulse->changed_us = now_us;
  }
  pulse->looked_us = now_us;
  return now_us - pulse->changed_us > MMAP_AREA_DEAD_US;
}
