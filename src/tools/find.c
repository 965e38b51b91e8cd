/* gst-mmap: sockets and regions that lie about
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Looks at paths and directories, and says whose what lies there is. Called by 'list' and 'clean'. One thread.
 *
 * Whoever owns what is looked at may be hostile: nothing but a regular file is opened, no link is followed, nothing is waited for, and
 * of a file only its first bytes are read. A file takes part if it begins as a region or as the lock of a socket does.
 */
#include "find.h"
#include "error.h"
#include "socket-lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <unistd.h>

char *
tool_file_get_key (const struct stat *st)
{
  return g_strdup_printf ("%x:%x:%" G_GUINT64_FORMAT, major (st->st_dev),
      minor (st->st_dev), (guint64) st->st_ino);
}

ToolFound *
tool_found_new (ToolKind kind, ToolState state, const char *path)
{
  ToolFound *found = g_new0 (ToolFound, 1);

  found->kind = kind;
  found->state = state;
  found->path = g_strdup (path);
  return found;
}

void
tool_found_free (gpointer data)
{
  ToolFound *found = data;

  g_free (found->path);
  g_free (found->why);
  g_free (found->command);
  g_free (found);
}

void
tool_finder_init (ToolFinder * finder)
{
  finder->found = g_ptr_array_new_with_free_func (tool_found_free);
  finder->seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  finder->locks = tool_locks_read ();
}

void
tool_finder_clear (ToolFinder * finder)
{
  g_ptr_array_unref (finder->found);
  g_hash_table_unref (finder->seen);
  g_hash_table_unref (finder->locks);
}

void
tool_finder_add (ToolFinder * finder, ToolFound * found, const struct stat *st)
{
  if (g_hash_table_add (finder->seen, tool_file_get_key (st)))
    g_ptr_array_add (finder->found, found);
  else
    tool_found_free (found);
}

void
tool_finder_set_owner (ToolFinder * finder, ToolFound * found,
    const struct stat *st, guint32 pid)
{
  g_autofree char *key = tool_file_get_key (st);
  guint32 seen = 0;

  if (found->state == TOOL_LIVE)
    seen = GPOINTER_TO_UINT (g_hash_table_lookup (finder->locks, key));
  found->uid = st->st_uid;
  found->pid = seen != 0 ? seen : pid;
  if (seen != 0)
    found->command = tool_process_get_command (seen);
  if (found->why == NULL && seen != 0 && tool_process_is_stopped (seen))
    found->why = g_strdup ("stopped");
  if (found->why == NULL && seen == 0 && found->state == TOOL_LIVE)
    found->why = g_strdup ("its owner can't be seen from here, the pid is what "
        "it says itself");
  if (found->why == NULL && seen != 0 && found->command == NULL)
    found->why = g_strdup_printf ("pid %u has ended, a process that it forked "
        "lives on", seen);
}

ToolLock
tool_lock_look (int fd)
{
  if (flock (fd, LOCK_SH | LOCK_NB) == 0) {
    flock (fd, LOCK_UN);
    return TOOL_LOCK_FREE;
  }
  return errno == EWOULDBLOCK ? TOOL_LOCK_HELD : TOOL_LOCK_UNKNOWN;
}

int
tool_open_regular (int directory, const char *name, struct stat *st)
{
  int fd;

  /* First without opening: to open a device may have effects. */
  if (fstatat (directory, name, st, AT_SYMLINK_NOFOLLOW) < 0)
    return -1;
  if (!S_ISREG (st->st_mode)) {
    errno = ENXIO;
    return -1;
  }
  /* Should something else have taken its place, this doesn't wait. */
  fd = openat (directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
      | O_NOCTTY);
  if (fd >= 0 && (fstat (fd, st) < 0 || !S_ISREG (st->st_mode))) {
    close (fd);
    errno = ENXIO;
    return -1;
  }
  return fd;
}

gboolean
tool_is_region (int fd)
{
  guint8 magic[sizeof (MMAP_REGION_MAGIC) - 1];

  return pread (fd, magic, sizeof (magic), 0) == sizeof (magic)
      && memcmp (magic, MMAP_REGION_MAGIC, sizeof (magic)) == 0;
}

guint32
tool_found_read_region (ToolFound * found, int fd)
{
  GError *error = NULL;
  MmapRegionHeader header;
  guint i;

  if (!mmap_region_read_header (fd, &header, &error)) {
    found->why = g_strdup (error->message);
    g_error_free (error);
    return 0;
  }
  found->session = header.session;
  found->size = header.size;
  found->frames = header.frames;
  for (i = 0; i < MMAP_MAX_LINKS; i++)
    found->links += header.links[i].state == 2;
  if (header.producer_pid == 0 && found->state == TOOL_DEAD) {
    found->state = TOOL_OFFERED;
    found->why = g_strdup ("made by gst-mmap offer: nobody has to own it");
  }
  return header.producer_pid;
}

static ToolFound *
finder_add_other (ToolFinder * finder, ToolKind kind, ToolState state,
    const char *path, const char *why, const struct stat *st)
{
  ToolFound *found = tool_found_new (kind, state, path);

  found->named = TRUE;
  found->uid = st->st_uid;
  found->why = g_strdup (why);
  tool_finder_add (finder, found, st);
  return found;
}

static const ToolState lock_states[] = {
  [TOOL_LOCK_FREE] = TOOL_DEAD,
  [TOOL_LOCK_HELD] = TOOL_LIVE,
  [TOOL_LOCK_UNKNOWN] = TOOL_UNKNOWN,
};

static void
finder_add_locked_socket (ToolFinder * finder, const char *path,
    gboolean exists, int fd, const struct stat *lock,
    const MmapSocketRecord * record)
{
  ToolFound *found = tool_found_new (TOOL_SOCKET,
      lock_states[tool_lock_look (fd)], path);

  found->session = record->session;
  tool_finder_set_owner (finder, found, lock, record->pid);
  if (!exists && found->state == TOOL_DEAD)
    found->why = g_strdup ("only its lock is left");
  tool_finder_add (finder, found, lock);
}

/* @socket: %NULL: there is none */
static void
finder_add_unlocked_socket (ToolFinder * finder, const char *path, int errnum,
    const struct stat *socket)
{
  if (errnum == EACCES)
    finder_add_other (finder, TOOL_SOCKET, TOOL_UNKNOWN, path,
        "its lock can't be read", socket);
  else
    finder_add_other (finder, TOOL_SOCKET, TOOL_FOREIGN, path,
        "there is no lock of gst-mmap beside it", socket);
}

gboolean
tool_finder_add_socket (ToolFinder * finder, int directory, const char *name,
    const char *path, gboolean named)
{
  g_autofree char *lock_name =
      g_strconcat (name, MMAP_SOCKET_LOCK_SUFFIX, NULL);
  MmapSocketRecord record = { 0, };
  struct stat socket, lock;
  gboolean exists, ours = FALSE;
  int fd, errnum;

  exists = fstatat (directory, name, &socket, AT_SYMLINK_NOFOLLOW) == 0;
  fd = tool_open_regular (directory, lock_name, &lock);
  errnum = errno;
  /* One that is empty is of a producer that was killed as it started, and has no socket; other programs have empty locks, too. */
  if (fd >= 0 && mmap_socket_record_read (fd, &record))
    ours = record.address || (!exists && (lock.st_mode & S_ISVTX));
  if (ours)
    finder_add_locked_socket (finder, path, exists, fd, &lock, &record);
  else if (exists && named)
    finder_add_unlocked_socket (finder, path, fd < 0 ? errnum : 0, &socket);
  mmap_socket_record_clear (&record);
  if (fd >= 0)
    close (fd);
  errno = ENOENT;
  return ours || exists;
}

static gboolean
is_lock (int fd, const char *name, const struct stat *st)
{
  gboolean has_suffix = g_str_has_suffix (name, MMAP_SOCKET_LOCK_SUFFIX)
      && strlen (name) > strlen (MMAP_SOCKET_LOCK_SUFFIX);
  MmapSocketRecord record;
  gboolean ours;

  if (fd < 0 || !has_suffix)
    return FALSE;
  ours = mmap_socket_record_read (fd, &record)
      && (record.address || (st->st_mode & S_ISVTX));
  mmap_socket_record_clear (&record);
  return ours;
}

/* @fd: -1: it can't be opened, for the reason in errno */
static void
finder_add_file (ToolFinder * finder, int fd, const char *path,
    const struct stat *st, gboolean named)
{
  ToolFound *found;
  gboolean made;
  guint32 pid;

  if (fd < 0) {
    if (named)
      finder_add_other (finder, TOOL_FILE, TOOL_UNKNOWN, path,
          g_strerror (errno), st);
    return;
  }
  if (tool_is_area (fd, &made)) {
    found = tool_found_new (TOOL_AREA, lock_states[tool_area_lock_look (fd)],
        path);
    found->named = named;
    pid = tool_found_read_area (found, fd);
    tool_finder_set_owner (finder, found, st, pid);
    tool_finder_add (finder, found, st);
    return;
  }
  if (!tool_is_region (fd)) {
    if (named)
      finder_add_other (finder, TOOL_FILE, TOOL_FOREIGN, path, "no region", st);
    return;
  }
  found = tool_found_new (TOOL_FILE, lock_states[tool_lock_look (fd)], path);
  found->named = named;
  pid = tool_found_read_region (found, fd);
  tool_finder_set_owner (finder, found, st, pid);
  tool_finder_add (finder, found, st);
}

gboolean
tool_finder_add_path (ToolFinder * finder, int directory, const char *name,
    const char *path, gboolean named)
{
  gsize suffix = strlen (MMAP_SOCKET_LOCK_SUFFIX);
  struct stat st;
  int fd;

  if (fstatat (directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT && named
        && tool_finder_add_socket (finder, directory, name, path, named);
  if (S_ISSOCK (st.st_mode))
    return tool_finder_add_socket (finder, directory, name, path, named);
  if (!S_ISREG (st.st_mode)) {
    if (named)
      finder_add_other (finder, TOOL_FILE, TOOL_FOREIGN, path,
          S_ISLNK (st.st_mode) ? "a symbolic link, which is not followed"
          : "no regular file", &st);
    return TRUE;
  }
  fd = tool_open_regular (directory, name, &st);
  if (is_lock (fd, name, &st)) {
    g_autofree char *socket_name = g_strndup (name, strlen (name) - suffix);
    g_autofree char *socket_path = g_strndup (path, strlen (path) - suffix);

    tool_finder_add_socket (finder, directory, socket_name, socket_path, FALSE);
  } else {
    finder_add_file (finder, fd, path, &st, named);
  }
  if (fd >= 0)
    close (fd);
  return TRUE;
}

/* All that lies in the directory @fd, which is closed. FALSE with errno */
static gboolean
finder_add_directory (ToolFinder * finder, int fd, const char *path)
{
  DIR *dir = fdopendir (fd);
  const struct dirent *entry;

  if (dir == NULL) {
    close (fd);
    return FALSE;
  }
  while ((entry = readdir (dir)) != NULL) {
    g_autofree char *inside = g_build_filename (path, entry->d_name, NULL);

    tool_finder_add_path (finder, fd, entry->d_name, inside, FALSE);
  }
  closedir (dir);
  return TRUE;
}

static int
open_directory (const char *path)
{
  return open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* FALSE with errno */
static gboolean
finder_add_named (ToolFinder * finder, const char *path)
{
  g_autofree char *directory = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  struct stat st;
  gboolean ok;
  int fd, errnum;

  if (path[0] == '\0') {
    errno = ENOENT;
    return FALSE;
  }
  if (lstat (path, &st) == 0 && S_ISDIR (st.st_mode)) {
    fd = open_directory (path);
    return fd >= 0 && finder_add_directory (finder, fd, path);
  }
  fd = open (directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return FALSE;
  ok = tool_finder_add_path (finder, fd, name, path, TRUE);
  errnum = errno;
  close (fd);
  errno = errnum;
  return ok;
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  const ToolFound *one = *(ToolFound * const *) a;
  const ToolFound *other = *(ToolFound * const *) b;

  if (one->kind != other->kind)
    return one->kind < other->kind ? -1 : 1;
  return strcmp (one->path, other->path);
}

static void
finder_add_default (ToolFinder * finder)
{
  const char *runtime = g_getenv ("XDG_RUNTIME_DIR");
  char *paths[3] = { NULL, };
  guint i, n = 0;

  if (runtime && g_path_is_absolute (runtime))
    paths[n++] = g_build_filename (runtime, "gst-mmap", NULL);
  paths[n++] = g_strdup_printf ("/tmp/gst-mmap-%u", (guint) geteuid ());
  paths[n++] = g_strdup ("/dev/shm");
  for (i = 0; i < n; i++) {
    int fd = open_directory (paths[i]);

    if (fd >= 0)
      finder_add_directory (finder, fd, paths[i]);
    g_free (paths[i]);
  }
  tool_finder_add_processes (finder);
}

gboolean
tool_find (ToolFinder * finder, char **paths)
{
  gboolean all = TRUE;

  if (paths == NULL)
    finder_add_default (finder);
  for (; paths != NULL && *paths != NULL; paths++) {
    g_autofree char *path = NULL;

    if (finder_add_named (finder, *paths))
      continue;
    all = FALSE;
    path = tool_escape (*paths);
    g_printerr ("%s: %s: %s\n", g_get_prgname (), path, g_strerror (errno));
  }
  g_ptr_array_sort (finder->found, compare);
  return all;
}
