/* gst-mmap: what an element was told of its access token
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by both elements, when a property is set and when they start.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmaptoken.h"

#include "error.h"

#include <string.h>

void
gst_mmap_token_set (GstMmapToken * token, const char *text)
{
  g_clear_pointer (&token->secret, mmap_secret_unref);
  g_clear_error (&token->error);
  if (text)
    token->secret = mmap_secret_new (text, strlen (text), "access-token",
        &token->error);
}

void
gst_mmap_token_set_file (GstMmapToken * token, const char *path)
{
  g_free (token->file);
  token->file = g_strdup (path);
}

gboolean
gst_mmap_token_load (const GstMmapToken * token, gboolean carried,
    MmapSecret ** secret, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  *secret = NULL;
  if (carried) {
    if (token->secret || token->error || token->file)
      cause = g_error_new (MMAP_ERROR, MMAP_ERROR_SETTING,
          "access-token can't be had with signalling=application: who gets an "
          "offer is what the application decides");
  } else if (token->error) {
    cause = g_error_copy (token->error);
  } else if (token->secret) {
    *secret = mmap_secret_ref (token->secret);
  } else if (token->file) {
    *secret = mmap_secret_new_from_file (token->file, &cause);
  } else {
    *secret = mmap_secret_new_from_environment (&cause);
  }
  if (!cause)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

void
gst_mmap_token_clear (GstMmapToken * token)
{
  gst_mmap_token_set (token, NULL);
  gst_mmap_token_set_file (token, NULL);
}

GParamSpec *
gst_mmap_token_spec_new (GParamFlags flags)
{
  /* Nobody is told that it was set: who is told may ask for its value, and complain. */
  flags &= ~G_PARAM_READABLE;
  return g_param_spec_string ("access-token", "Access token",
      "Secret that both sides prove to know before anything is offered, 16 "
      "bytes or more (NULL = that in access-token-file, or else in the "
      "environment variable " MMAP_SECRET_VARIABLE ")", NULL,
      flags | G_PARAM_EXPLICIT_NOTIFY);
}

GParamSpec *
gst_mmap_token_file_spec_new (GParamFlags flags)
{
  return g_param_spec_string ("access-token-file", "Access token file",
      "Path of a file that holds the access token, and that nobody else may "
      "read (NULL = none)", NULL, flags);
}
