/* gst-mmap inspect: show a region
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reads a region's header and prints it, for people or for programs. It only
 * looks: the region may be in use. One thread.
 */
#include "find.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum
{
  OWNER_DEAD,
  OWNER_ALIVE,
  OWNER_UNKNOWN
} Owner;

typedef struct
{
  const char *file;
  gboolean memfd;
  Owner owner;
  MmapRegionHeader header;
} Inspection;

/* The owner of a file has it locked. A memfd isn't locked; its owner's pid
 * means something only in the owner's PID namespace. */
static Owner
find_owner (int fd, const Inspection * inspection)
{
  guint32 pid = inspection->header.producer_pid;

  if (inspection->memfd) {
    if (pid > 0 && pid <= G_MAXINT && (kill (pid, 0) == 0 || errno == EPERM))
      return OWNER_ALIVE;
    return OWNER_UNKNOWN;
  }
  if (flock (fd, LOCK_SH | LOCK_NB) == 0)
    return OWNER_DEAD;
  return errno == EWOULDBLOCK ? OWNER_ALIVE : OWNER_UNKNOWN;
}

/* Links are followed: /proc/PID/fd/N is one. */
static gboolean
inspect (Inspection * inspection, GError ** error)
{
  gboolean ok, made;
  struct stat st;
  int fd, seals;

  /* First without opening: to open a device may have effects. */
  if (stat (inspection->file, &st) == 0 && !S_ISREG (st.st_mode)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "%s is no regular file, expected a region", inspection->file);
    return FALSE;
  }
  fd = open (inspection->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_FILE,
        "%s can't be opened by user %u: %s", inspection->file, geteuid (),
        g_strerror (errno));
    return FALSE;
  }
  ok = mmap_region_read_header (fd, &inspection->header, error);
  if (ok) {
    seals = fcntl (fd, F_GET_SEALS);
    inspection->memfd = seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
    inspection->owner = find_owner (fd, inspection);
  } else if (tool_is_area (fd, &made)) {
    g_clear_error (error);
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_A_REGION,
        "%s is an area, with a region for each of its channels: "
        "'gst-mmap list %s' shows these", inspection->file, inspection->file);
  } else {
    g_prefix_error (error, "%s: ", inspection->file);
  }
  close (fd);
  return ok;
}

static char *
state_name (guint32 state)
{
  static const char *const names[] = { "free", "handshake", "up",
    "leaving"
  };

  if (state < G_N_ELEMENTS (names))
    return g_strdup (names[state]);
  return g_strdup_printf ("unknown (%u)", state);
}

/* JSON's numbers are signed here. */
static void
set_number (JsonObject * object, const char *name, guint64 value)
{
  json_object_set_int_member (object, name, MIN (value, G_MAXINT64));
}

static JsonArray *
links_to_json (const MmapRegionHeader * header)
{
  JsonArray *array = json_array_new ();
  guint i;

  for (i = 0; i < MMAP_MAX_LINKS; i++) {
    const MmapLinkEntry *entry = &header->links[i];
    JsonObject *link;
    char *state;

    if (entry->state == 0)
      continue;
    link = json_object_new ();
    state = state_name (entry->state);
    set_number (link, "link_id", entry->link_id);
    json_object_set_string_member (link, "state", state);
    set_number (link, "pid", entry->pid);
    set_number (link, "uid", entry->uid);
    set_number (link, "frames", entry->frames);
    set_number (link, "held", entry->held);
    set_number (link, "wakeups", entry->wakeups);
    json_array_add_object_element (array, link);
    g_free (state);
  }
  return array;
}

static void
print_json (const Inspection * inspection)
{
  const MmapRegionHeader *header = &inspection->header;
  JsonObject *object = json_object_new ();
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);
  char *text =
      g_strdup_printf ("0x%016" G_GINT64_MODIFIER "x", header->session);
  char *display_name;

  display_name = g_filename_display_name (inspection->file);
  json_object_set_string_member (object, "file", display_name);
  g_free (display_name);
  json_object_set_string_member (object, "kind",
      inspection->memfd ? "memfd" : "file");
  set_number (object, "protocol", header->version);
  set_number (object, "size", header->size);
  json_object_set_string_member (object, "session", text);
  g_free (text);
  set_number (object, "region_id", header->region_id);
  set_number (object, "header_bytes", header->header_bytes);
  set_number (object, "blocks_offset", header->blocks_offset);
  set_number (object, "links_offset", header->links_offset);
  set_number (object, "link_bytes", header->link_bytes);
  set_number (object, "link_count", header->link_count);
  set_number (object, "producer_pid", header->producer_pid);
  set_number (object, "producer_uid", header->producer_uid);
  set_number (object, "started_us", header->started_us);
  if (inspection->owner == OWNER_UNKNOWN)
    json_object_set_null_member (object, "owner_alive");
  else
    json_object_set_boolean_member (object, "owner_alive",
        inspection->owner == OWNER_ALIVE);
  set_number (object, "heartbeat_ns", header->heartbeat_ns);
  set_number (object, "frames", header->frames);
  set_number (object, "bytes", header->bytes);
  set_number (object, "events", header->events);
  json_object_set_array_member (object, "links", links_to_json (header));
  json_node_take_object (node, object);
  text = json_to_string (node, FALSE);
  puts (text);                  /* UTF-8 in any locale, unlike g_print() */
  g_free (text);
  json_node_unref (node);
}

static void
print_links (const MmapRegionHeader * header)
{
  gboolean any = FALSE;
  guint i;

  for (i = 0; i < MMAP_MAX_LINKS; i++) {
    const MmapLinkEntry *entry = &header->links[i];
    char *state;

    if (entry->state == 0)
      continue;
    any = TRUE;
    state = state_name (entry->state);
    g_print ("link %u      %s, pid %u, uid %u, %" G_GUINT64_FORMAT " frames, %"
        G_GUINT64_FORMAT " held, %" G_GUINT64_FORMAT " wake-ups\n",
        entry->link_id, state, entry->pid, entry->uid, entry->frames,
        entry->held, entry->wakeups);
    g_free (state);
  }
  if (!any)
    g_print ("links       none\n");
}

static void
print_owner (const Inspection * inspection)
{
  static const char *const lives[] = {
    [OWNER_DEAD] = "dead: no process has the file locked",
    [OWNER_ALIVE] = "alive",
    [OWNER_UNKNOWN] = "not to be seen from here",
  };
  const MmapRegionHeader *header = &inspection->header;
  GDateTime *started = NULL;
  char *text = NULL;

  if (header->started_us / G_USEC_PER_SEC <= G_MAXINT32)
    started = g_date_time_new_from_unix_utc (header->started_us
        / G_USEC_PER_SEC);
  if (started != NULL)
    text = g_date_time_format (started, "%Y-%m-%d %H:%M:%S UTC");
  if (header->producer_pid == 0)
    g_print ("owner       made by a tool, uid %u; ", header->producer_uid);
  else
    g_print ("owner       pid %u, uid %u; ", header->producer_pid,
        header->producer_uid);
  g_print ("%s\nstarted     %s\n", lives[inspection->owner],
      text != NULL ? text : "at no known time");
  g_clear_pointer (&started, g_date_time_unref);
  g_free (text);
}

static void
print_text (const Inspection * inspection)
{
  const MmapRegionHeader *header = &inspection->header;

  g_print ("region      %s (%s), protocol %u\n", inspection->file,
      inspection->memfd ? "memfd" : "file", header->version);
  g_print ("session     0x%016" G_GINT64_MODIFIER "x, region %u\n",
      header->session, header->region_id);
  g_print ("size        %" G_GUINT64_FORMAT " bytes, blocks from %"
      G_GUINT64_FORMAT " on\n", header->size, header->blocks_offset);
  if (header->link_count > 0)
    g_print ("room        for %u links of %u bytes from %" G_GUINT64_FORMAT
        " on\n", header->link_count, header->link_bytes, header->links_offset);
  print_owner (inspection);
  if (header->heartbeat_ns != 0)
    g_print ("heartbeat   %" G_GUINT64_FORMAT " ns\n", header->heartbeat_ns);
  g_print ("published   %" G_GUINT64_FORMAT " frames, %" G_GUINT64_FORMAT
      " bytes, %" G_GUINT64_FORMAT " events\n", header->frames, header->bytes,
      header->events);
  print_links (header);
}

ToolStatus
tool_inspect (int argc, char **argv)
{
  gboolean json = FALSE;
  const GOptionEntry options[] = {
    {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Print one JSON object", NULL},
    {NULL}
  };
  Inspection inspection = { NULL, };
  ToolStatus status = TOOL_ACCEPTED;
  GError *error = NULL;
  char *file;

  if (!tool_parse (argc, argv, options, "FILE",
          "Shows a region: whether its owner lives, its session, links and "
          "counters. FILE may\nbe /proc/PID/fd/N of a process that has a memfd "
          "region open.", &file))
    return TOOL_USAGE;
  if (file == NULL)
    return tool_usage ("FILE is missing");
  inspection.file = file;
  if (!inspect (&inspection, &error))
    status = tool_refuse (error);
  else if (json)
    print_json (&inspection);
  else
    print_text (&inspection);
  g_free (file);
  return status;
}
