/* gst-mmap: a producer's side of signalling in an area
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "area-channel.h"

#include <gio/gio.h>

G_BEGIN_DECLS

/**
 * MmapAreaServer:
 *
 * A thread that keeps a channel alive, serves its link slots, and carries the messages of the links.
 */
typedef struct _MmapAreaServer MmapAreaServer;

/**
 * MmapAreaServerCallbacks:
 * @accept: a consumer has claimed slot @slot. @socket is one end of a pair; what it says of itself in @peer is only claimed, and %NULL if it
 *     came through a socket. The slot is
 *     used by nobody else until @socket is closed. FALSE with an error: it is not to be served
 * @end_idle: somebody comes through a socket, and there is hardly a slot. Ends the link of one that came so before and has said nothing.
 *     Returns its slot; -1: there is none. @later: (out): some will be soon
 * @broken: a link has ended, or will soon, because something in the area was overwritten, or its consumer broke a rule
 * @lost: the channel is another's now; called once
 *
 * Called from the server's thread.
 */
typedef struct
{
  gboolean (*accept) (guint slot, GSocket * socket,
      const MmapAreaPeer * peer, gpointer data, GError ** error);
  gint (*end_idle) (gboolean * later, gpointer data);
  void (*broken) (const GError * reason, gpointer data);
  void (*lost) (const GError * reason, gpointer data);
} MmapAreaServerCallbacks;

/* Starts to serve @channel.
 * @channel: (transfer none)
 * @listener: (transfer full): a listening socket of mmap_remote_listen(), through which consumers come, too; -1: none
 * Returns: (transfer full): or %NULL with MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
MmapAreaServer *mmap_area_server_new (MmapChannel * channel, int listener,
    const MmapAreaServerCallbacks * callbacks, gpointer data,
    GError ** error);

/* Consumers come through @listener, too, from the next heartbeat on. Any thread, of a server that has none.
 * @listener: (transfer full): as above */
void mmap_area_server_listen (MmapAreaServer * server, int listener);

/* Whoever has come through a socket to @slot is on this kernel, and rings when it asks for the time. Any thread, while that socket is open. */
void mmap_area_server_set_near (MmapAreaServer * server, guint slot);

/* Ends the thread, after what the links' sockets had to say, and the channel. Close the sockets before. */
void mmap_area_server_free (MmapAreaServer * server);

G_END_DECLS
