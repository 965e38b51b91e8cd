/* gst-mmap: the plugin
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsink.h"
#include "gstmmapsrc.h"

static gboolean
plugin_init (GstPlugin * plugin)
{
  return GST_ELEMENT_REGISTER (mmapsink, plugin)
      && GST_ELEMENT_REGISTER (mmapsrc, plugin);
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, mmap,
    "Hands media frames to other processes in shared memory, without copies",
    plugin_init, VERSION, "LGPL", PACKAGE, "Unknown package origin")
