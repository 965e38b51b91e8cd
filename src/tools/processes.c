/* gst-mmap: what processes have open
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Finds in /proc who has which file locked, and the memory and sockets that have no path. What another user's processes have open is
 * for root to see. Called by 'list' and 'clean'. One thread.
 */
#include "find.h"
#include "socket-lock.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REGION_TARGET "/memfd:gst-mmap (deleted)"
#define RECORD_TARGET "/memfd:" MMAP_SOCKET_MEMFD_NAME " (deleted)"

/* A descriptor of another process */
typedef struct
{
  guint32 pid;
  char *path;                   /* /proc/PID/fd/N */
  char *target;                 /* what the kernel says that it is */
  struct stat st;
} Open;

GHashTable *
tool_locks_read (void)
{
  GHashTable *locks =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_auto (GStrv) lines = NULL;
  char *text = NULL;
  guint i;

  if (g_file_get_contents ("/proc/locks", &text, NULL, NULL))
    lines = g_strsplit (text, "\n", -1);
  for (i = 0; lines != NULL && lines[i] != NULL; i++) {
    guint device_major, device_minor;
    unsigned long long inode;
    int pid;

    /* 12: FLOCK  ADVISORY  WRITE 4242 00:1b:77 0 EOF */
    if (sscanf (lines[i], "%*d: FLOCK %*s WRITE %d %x:%x:%llu", &pid,
            &device_major, &device_minor, &inode) == 4 && pid > 0)
      g_hash_table_insert (locks, g_strdup_printf ("%x:%x:%llu", device_major,
              device_minor, inode), GUINT_TO_POINTER (pid));
  }
  g_free (text);
  return locks;
}

char *
tool_process_get_command (guint32 pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u/comm", pid);
  char *command = NULL;

  if (g_file_get_contents (path, &command, NULL, NULL))
    g_strchomp (command);
  return command;
}

gboolean
tool_process_is_stopped (guint32 pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u/stat", pid);
  g_autofree char *text = NULL;
  const char *state = NULL;

  /* After the name, which may have brackets in it: " T", or " t" if a debugger has stopped it. */
  if (g_file_get_contents (path, &text, NULL, NULL))
    state = strrchr (text, ')');
  return state && state[1] == ' ' && g_ascii_toupper (state[2]) == 'T';
}

/* Whether the process calls itself @pid, in the PID namespace that it is in. */
static gboolean
calls_itself (guint32 process, guint32 pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u/status", process);
  g_autofree char *text = NULL;
  const char *line, *last;
  g_autofree char *pids = NULL;

  if (pid == 0 || !g_file_get_contents (path, &text, NULL, NULL))
    return FALSE;
  line = strstr (text, "\nNSpid:");
  if (line == NULL)
    return process == pid;
  line += strlen ("\nNSpid:");
  pids = g_strchomp (g_strndup (line, strcspn (line, "\n")));
  last = strrchr (pids, '\t');
  return last != NULL && g_ascii_strtoull (last + 1, NULL, 10) == pid;
}

static void
open_free (gpointer data)
{
  Open *open_file = data;

  g_free (open_file->path);
  g_free (open_file->target);
  g_free (open_file);
}

/* What of a process may be a producer's. @all: also ordinary files */
static void
list_open (guint32 pid, gboolean all, GPtrArray * opens)
{
  g_autofree char *directory = g_strdup_printf ("/proc/%u/fd", pid);
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (directory, name, NULL);
    g_autofree char *target = g_file_read_link (path, NULL);
    Open *open_file;

    if (target == NULL || (strcmp (target, REGION_TARGET) != 0
            && strcmp (target, RECORD_TARGET) != 0
            && (target[0] != '/' || (!all && !g_str_has_suffix (target,
                        MMAP_SOCKET_LOCK_SUFFIX)))))
      continue;
    open_file = g_new0 (Open, 1);
    open_file->pid = pid;
    open_file->path = g_steal_pointer (&path);
    open_file->target = g_steal_pointer (&target);
    if (stat (open_file->path, &open_file->st) == 0
        && S_ISREG (open_file->st.st_mode))
      g_ptr_array_add (opens, open_file);
    else
      open_free (open_file);
  }
}

/* -1: it has been closed, or is something else now */
static int
open_again (const Open * open_file)
{
  struct stat st;
  int fd = open (open_file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

  if (fd >= 0 && (fstat (fd, &st) < 0 || st.st_ino != open_file->st.st_ino
          || st.st_dev != open_file->st.st_dev)) {
    close (fd);
    return -1;
  }
  return fd;
}

static void
set_process (ToolFound * found, const Open * open_file)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u", open_file->pid);
  struct stat st;

  found->pid = open_file->pid;
  found->uid = stat (path, &st) == 0 ? st.st_uid : open_file->st.st_uid;
  found->command = tool_process_get_command (found->pid);
  if (found->why == NULL && tool_process_is_stopped (found->pid))
    found->why = g_strdup ("stopped");
}

/* Its owner has it open, and so have consumers. */
static void
add_memfd (ToolFinder * finder, const Open * open_file, int fd, gboolean owner)
{
  ToolFound *found;
  guint32 pid;

  if (!tool_is_region (fd))
    return;
  found = tool_found_new (TOOL_MEMFD, TOOL_LIVE, open_file->path);
  pid = tool_found_read_region (found, fd);
  if (calls_itself (open_file->pid, pid)) {
    set_process (found, open_file);
  } else if (owner) {
    tool_found_free (found);
    return;
  } else {
    found->state = TOOL_UNKNOWN;
    found->pid = pid;
    found->uid = open_file->st.st_uid;
    if (found->why == NULL)
      found->why =
          g_strdup_printf ("pid %u has it open, its owner is not to be " "seen",
          open_file->pid);
  }
  tool_finder_add (finder, found, &open_file->st);
}

/* Its owner has it open, and so have processes that it forked. */
static void
add_abstract (ToolFinder * finder, const Open * open_file, int fd,
    gboolean owner)
{
  MmapSocketRecord record;
  gboolean is_owner;
  ToolFound *found;

  if (mmap_socket_record_read (fd, &record) && record.address
      && record.address[0] == '@') {
    is_owner = calls_itself (open_file->pid, record.pid);
    if (is_owner || !owner) {
      found = tool_found_new (TOOL_SOCKET, TOOL_LIVE, record.address);
      found->session = record.session;
      set_process (found, open_file);
      if (!is_owner)
        found->why = g_strdup_printf ("pid %u has ended, a process that it "
            "forked lives on", record.pid);
      tool_finder_add (finder, found, &open_file->st);
    }
  }
  mmap_socket_record_clear (&record);
}

static gboolean
names_it (const char *path, const Open * open_file)
{
  struct stat st;

  return lstat (path, &st) == 0 && st.st_ino == open_file->st.st_ino
      && st.st_dev == open_file->st.st_dev;
}

/* A file that was made without a name is known to the kernel as "DIRECTORY/#INODE (deleted)", also if it has got a name. */
static char *
find_name (const char *unnamed, const Open * open_file)
{
  g_autofree char *directory = g_path_get_dirname (unnamed);
  DIR *dir = opendir (directory);
  const struct dirent *entry;
  char *found = NULL;

  while (dir != NULL && found == NULL && (entry = readdir (dir)) != NULL) {
    g_autofree char *path = NULL;

    if (entry->d_ino != open_file->st.st_ino)
      continue;
    path = g_build_filename (directory, entry->d_name, NULL);
    if (names_it (path, open_file))
      found = g_steal_pointer (&path);
  }
  if (dir != NULL)
    closedir (dir);
  return found;
}

/* Where the file that a process has open lies, as seen from here. NULL: nowhere */
static char *
find_path (const Open * open_file)
{
  g_autofree char *inside =
      g_strdup_printf ("/proc/%u/root%s", open_file->pid, open_file->target);
  const char *const paths[] = { open_file->target, inside };
  gboolean unnamed = g_str_has_suffix (open_file->target, " (deleted)")
      && strstr (open_file->target, "/#") != NULL;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (paths); i++) {
    char *found = NULL;

    if (names_it (paths[i], open_file))
      found = g_strdup (paths[i]);
    else if (unnamed)
      found = find_name (paths[i], open_file);
    if (found != NULL)
      return found;
  }
  return NULL;
}

/* Of a producer: the locks of its sockets and the files of its regions. */
static void
add_files (ToolFinder * finder, guint32 pid)
{
  g_autoptr (GPtrArray) opens = g_ptr_array_new_with_free_func (open_free);
  guint i;

  list_open (pid, TRUE, opens);
  for (i = 0; i < opens->len; i++) {
    const Open *open_file = g_ptr_array_index (opens, i);
    g_autofree char *path = find_path (open_file);

    if (path)
      tool_finder_add_path (finder, AT_FDCWD, path, path, FALSE);
  }
}

/* Whether the process is a producer. */
static gboolean
add_open (ToolFinder * finder, const Open * open_file, gboolean owner)
{
  gboolean is_memfd = g_str_has_prefix (open_file->target, "/memfd:");
  gboolean is_record = strcmp (open_file->target, REGION_TARGET) != 0;
  MmapSocketRecord record = { 0, };
  gboolean is_producer = FALSE;
  int fd = open_again (open_file);

  if (fd < 0)
    return FALSE;
  if (is_record) {
    is_producer = mmap_socket_record_read (fd, &record) && record.address;
    mmap_socket_record_clear (&record);
  }
  if (is_memfd && !is_record)
    add_memfd (finder, open_file, fd, owner);
  else if (is_memfd)
    add_abstract (finder, open_file, fd, owner);
  close (fd);
  return is_producer;
}

void
tool_finder_add_processes (ToolFinder * finder)
{
  g_autoptr (GPtrArray) opens = g_ptr_array_new_with_free_func (open_free);
  g_autoptr (GDir) dir = g_dir_open ("/proc", 0, NULL);
  guint32 last_producer = 0;
  const char *name;
  guint64 pid;
  guint i;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    if (g_ascii_string_to_unsigned (name, 10, 1, G_MAXINT32, &pid, NULL))
      list_open (pid, FALSE, opens);
  }
  /* Owners first: what they have is not added again. */
  for (i = 0; i < opens->len; i++) {
    const Open *open_file = g_ptr_array_index (opens, i);

    if (add_open (finder, open_file, TRUE) && open_file->pid != last_producer) {
      last_producer = open_file->pid;
      add_files (finder, last_producer);
    }
  }
  for (i = 0; i < opens->len; i++)
    add_open (finder, g_ptr_array_index (opens, i), FALSE);
}
