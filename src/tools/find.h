/* gst-mmap: sockets and regions that lie about
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "tool.h"

#include <sys/stat.h>

G_BEGIN_DECLS

typedef enum
{
  TOOL_SOCKET,
  TOOL_FILE,                    /* a region with a path */
  TOOL_AREA,                    /* a file that holds several channels */
  TOOL_MEMFD                    /* a region without */
} ToolKind;

typedef enum
{
  TOOL_LIVE,                    /* somebody has its lock */
  TOOL_DEAD,                    /* nobody has */
  TOOL_OFFERED,                 /* nobody has, as it should be: gst-mmap offer made it */
  TOOL_FOREIGN,                 /* not gst-mmap's */
  TOOL_UNKNOWN                  /* not to be seen from here */
} ToolState;

/**
 * ToolFound:
 * @path: of the socket or region; "@name"; of a memfd, one under /proc that it can be opened at
 * @named: it was asked for by this path
 * @why: (nullable): what is to be said about its state
 * @pid: of the owner, as seen from here; else as the owner says; 0: not known
 * @uid: of the owner
 * @command: (nullable): of the owner, if @pid was seen
 * @session: 0: not known
 * @links: that are up
 *
 * What follows @session is for regions.
 */
typedef struct
{
  ToolKind kind;
  ToolState state;
  gboolean named;
  char *path;
  char *why;
  guint32 pid;
  guint32 uid;
  char *command;
  guint64 session;
  guint64 size;
  guint64 frames;
  guint links;
} ToolFound;

/**
 * ToolFinder:
 * @found: (element-type ToolFound): sorted once tool_find() has returned
 *
 * Of the caller's memory, between tool_finder_init() and tool_finder_clear().
 */
typedef struct
{
  GPtrArray *found;
  GHashTable *seen;             /* "device:inode" of what was found already */
  GHashTable *locks;            /* "device:inode" -> pid: who has it locked, as far as it is seen from here */
} ToolFinder;

void tool_finder_init (ToolFinder * finder);
void tool_finder_clear (ToolFinder * finder);

/* Looks at each of @paths, a file, socket or directory; %NULL: at the default directories of sockets, /dev/shm and what processes have
 * open. Only reads, never waits, follows no links.
 * FALSE if one of @paths is not there or can't be read, which has been said on stderr. */
gboolean tool_find (ToolFinder * finder, char **paths);

/* Removes what is dead: its lock is taken first, and it is looked at once more.
 * Returns: what there is to be said; %NULL: it has been removed. @failed: it is dead and should have been */
char *tool_remove (const ToolFound * found, gboolean * failed);

/* --- what the parts of tool_find() share --- */

typedef enum
{
  TOOL_LOCK_FREE,
  TOOL_LOCK_HELD,
  TOOL_LOCK_UNKNOWN
} ToolLock;

/* Whether somebody has the file that @fd is open on locked. Has it for a moment itself. */
ToolLock tool_lock_look (int fd);

/* Opens a regular file for reading. @name: in the directory, or absolute. -1 with errno; ENXIO: no regular file, or a link */
int tool_open_regular (int directory, const char *name, struct stat *st);

/* Whether the file that @fd is open on begins as a region does. */
gboolean tool_is_region (int fd);

/* The same for an area: @made: (out): a producer made its file */
gboolean tool_is_area (int fd, gboolean * made);

/* Whether a producer has the area's file open, which all of them lock together. */
ToolLock tool_area_lock_look (int fd);

/* Fills in what is in the area that @fd is open on. Takes a moment, to see heartbeats. Returns: the pid of a live producer, as it says; 0 */
guint32 tool_found_read_area (ToolFound * found, int fd);

/* Adds @found (transfer full), unless it is there. @st: what it is known by */
void tool_finder_add (ToolFinder * finder, ToolFound * found,
    const struct stat *st);
ToolFound *tool_found_new (ToolKind kind, ToolState state, const char *path);
void tool_found_free (gpointer found);

/* Fills in the owner: who has the lock that @st is of, or @pid, as it says. */
void tool_finder_set_owner (ToolFinder * finder, ToolFound * found,
    const struct stat *st, guint32 pid);

/* Fills in what the region that @fd is open on says of itself. Returns: its owner's pid, as it says; 0: none */
guint32 tool_found_read_region (ToolFound * found, int fd);

/* Adds the socket @name of a directory if it, or its lock, is there. @path: of the directory and the name
 * FALSE with errno if neither is. */
gboolean tool_finder_add_socket (ToolFinder * finder, int directory,
    const char *name, const char *path, gboolean named);

/* Adds what lies at @name in the directory. FALSE with errno if nothing does. */
gboolean tool_finder_add_path (ToolFinder * finder, int directory,
    const char *name, const char *path, gboolean named);

/* Adds what processes have open: memfds, abstract sockets, and sockets and files of producers wherever they are. */
void tool_finder_add_processes (ToolFinder * finder);

/* Returns: (transfer full): a table for ToolFinder.locks */
GHashTable *tool_locks_read (void);

/* Returns: (transfer full) (nullable): the name of a process */
char *tool_process_get_command (guint32 pid);

/* Whether it was, by SIGSTOP or a debugger. */
gboolean tool_process_is_stopped (guint32 pid);

/* Returns: (transfer full): "device:inode" */
char *tool_file_get_key (const struct stat *st);

G_END_DECLS
