/* gst-mmap: fuzz target: URIs of the elements
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One that is accepted names the socket that get_uri() gives back.
 */
#include "fuzz-gst.h"

#include "gstmmapsink.h"
#include "gstmmapsrc.h"

static const char *const words[] = {
  "mmap:", "//", "/tmp/cam0", "@cam0", "?", "&", "=", "%", "%2F", "%00", "%ff",
  "#", ":", "@", "host", "socket-path", "is-live", "spin-time", "true", "0",
  "-1", "adaptive", "size", "token-bytes", "file", "name", "parent", "stats",
  "signalling", "application", "accept-capabilities", "ANY", "max-bytes", "1",
  "99999999999999999999", "sync", "blocksize", "[", "]", "\"", " ", "+",
  "MMAP:",
  NULL
};

static void
check_uri (GstURIHandler * handler)
{
  g_autofree char *uri = gst_uri_handler_get_uri (handler);
  g_autofree char *before = NULL, *after = NULL;

  g_object_get (handler, "socket-path", &before, NULL);
  if (!uri)
    return;
  fuzz_assert (gst_uri_handler_set_uri (handler, uri, NULL));
  g_object_get (handler, "socket-path", &after, NULL);
  fuzz_assert (g_strcmp0 (before, after) == 0);
}

void
fuzz_run (FuzzInput * input)
{
  GType type = fuzz_one_in (input, 2) ? gst_mmap_src_get_type () :
      gst_mmap_sink_get_type ();
  GstElement *element = gst_object_ref_sink (g_object_new (type, NULL));
  g_autofree char *rest = fuzz_string (input, words);
  g_autofree char *uri = fuzz_one_in (input, 8) ? g_strdup (rest) :
      g_strconcat ("mmap:", rest, NULL);
  g_autoptr (GError) error = NULL;
  gboolean good = FALSE;

  /* GStreamer itself refuses what has no protocol, as a bug of its caller. */
  if (gst_uri_is_valid (uri)) {
    good = gst_uri_handler_set_uri (GST_URI_HANDLER (element), uri, &error);
    fuzz_assert (good == (error == NULL));
  }
  if (good)
    check_uri (GST_URI_HANDLER (element));
  gst_object_unref (element);
}
