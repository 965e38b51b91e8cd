/* gst-mmap: whether a path leads where its user means
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by the producer before it makes a socket or a file, by the consumer before it connects or opens; holds no state.
 *
 * Who looks first and opens then can be deceived only by somebody who can change the way in between. The check is that nobody else can:
 * then there is no race. Where a directory is somebody else's, that user may do anything in it, but can't lead us out of it by a link.
 */
#include "path.h"

#include "error.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As many as the kernel follows (path_resolution(7)). */
#define MAX_LINKS 40

/* A way on foot. */
typedef struct
{
  int dir;                      /* O_PATH: where we are */
  GString *where;               /* its path, for messages */
  char *rest;                   /* what is left, from there */
  guint n_links;
} Walk;

static gboolean
walk_enter (Walk * walk, const char *name)
{
  gboolean first = name[0] == '/';
  int next = openat (walk->dir, name,
      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

  if (next < 0)
    return FALSE;
  if (walk->dir >= 0)
    close (walk->dir);
  walk->dir = next;
  if (first)
    g_string_truncate (walk->where, 0);
  else if (walk->where->len > 0
      && walk->where->str[walk->where->len - 1] != '/')
    g_string_append_c (walk->where, '/');
  g_string_append (walk->where, name);
  return TRUE;
}

/* From where we are, or from the root. FALSE: that can't be entered. */
static gboolean
walk_go_to (Walk * walk, const char *path, const char *then)
{
  char *rest = then ? g_strconcat (path, "/", then, NULL) : g_strdup (path);

  g_free (walk->rest);
  walk->rest = rest;
  return path[0] != '/' || walk_enter (walk, "/");
}

/* Takes the next component off what is left. Returns: (transfer full) (nullable): %NULL if it is the last, or there is none */
static char *
walk_take_name (Walk * walk)
{
  const char *start = walk->rest + strspn (walk->rest, "/");
  const char *end = start + strcspn (start, "/");
  const char *after = end + strspn (end, "/");
  char *name, *rest;

  if (*after == '\0')
    return NULL;
  name = g_strndup (start, end - start);
  rest = g_strdup (after);
  g_free (walk->rest);
  walk->rest = rest;
  return name;
}

static gboolean
check_directory (const Walk * walk, const char *path, GError ** error)
{
  struct stat st;

  if (fstat (walk->dir, &st) < 0 || !(st.st_mode & S_IWOTH)
      || (st.st_mode & S_ISVTX))
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_UNSAFE_PATH,
      "%s is not safe: everybody may write the directory %s, and it isn't "
      "sticky, so that anybody could put something else there: run chmod +t on "
      "it, or choose another path", path, walk->where->str);
  return FALSE;
}

/* @more: (out): whether there is more to look at */
static gboolean
follow_link (Walk * walk, const char *name, const struct stat *st,
    const char *path, gboolean * more, GError ** error)
{
  char target[PATH_MAX];
  gssize n;

  *more = FALSE;
  if (st->st_uid != 0 && st->st_uid != geteuid ()) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_UNSAFE_PATH,
        "%s is not safe: %s in %s is a symbolic link of user %u, which is not "
        "followed: name where it should lead, or choose another path", path,
        name, walk->where->str, (guint) st->st_uid);
    return FALSE;
  }
  n = readlinkat (walk->dir, name, target, sizeof target - 1);
  if (n <= 0 || ++walk->n_links > MAX_LINKS)
    return TRUE;
  target[n] = '\0';
  *more = walk_go_to (walk, target, walk->rest);
  return TRUE;
}

/* One component. */
static gboolean
walk_step (Walk * walk, const char *path, gboolean * more, GError ** error)
{
  g_autofree char *name = NULL;
  struct stat st;

  *more = FALSE;
  if (!check_directory (walk, path, error))
    return FALSE;
  name = walk_take_name (walk);
  if (!name || fstatat (walk->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return TRUE;
  if (S_ISLNK (st.st_mode))
    return follow_link (walk, name, &st, path, more, error);
  *more = walk_enter (walk, name);
  return TRUE;
}

gboolean
mmap_path_check (const char *path, GError ** error)
{
  Walk walk = { AT_FDCWD, g_string_new (NULL), NULL, 0 };
  gboolean safe = TRUE, more;

  more = (path[0] == '/' || walk_enter (&walk, "."))
      && walk_go_to (&walk, path, NULL);
  while (safe && more)
    safe = walk_step (&walk, path, &more, error);
  if (walk.dir >= 0)
    close (walk.dir);
  g_string_free (walk.where, TRUE);
  g_free (walk.rest);
  return safe;
}
