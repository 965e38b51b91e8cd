/* gst-mmap: the elements' URIs
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* For G_IMPLEMENT_INTERFACE (GST_TYPE_URI_HANDLER, ...) in an element below GstBaseSrc or GstBaseSink with a string property
 * "socket-path".
 *
 * set_uri: "mmap:" and what socket-path is to be, percent-encoded: "mmap:///tmp/cam0", "mmap:@cam0" for an abstract socket,
 * "mmap:" or "mmap://" for the default one. After "?", other properties: "is-live=false&spin-time=0". All is checked before
 * anything is set. Properties that are not named stay as they are. Fails with GST_URI_ERROR_BAD_URI, or GST_URI_ERROR_BAD_STATE
 * once the element has started: a source in PAUSED, a sink in READY.
 *
 * get_uri: that of the socket, without properties; %NULL if socket-path is the empty string, which is no socket. */
void gst_mmap_uri_handler_init (GstURIHandlerInterface * iface);

G_END_DECLS
