/* gst-mmap: a consumer's side of signalling in an area
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "area-channel.h"
#include "area-clock.h"

#include <gio/gio.h>

G_BEGIN_DECLS

/**
 * MmapAreaClient:
 *
 * A link slot that this process has claimed, and the thread that carries its messages, and says that this process lives.
 */
typedef struct _MmapAreaClient MmapAreaClient;

/* Looks once for the channel @channel in the area that @path names, and claims one of its link slots.
 * @kept: (nullable) (transfer none): that area, if the caller has it open; from mmap_area_open_doorbell()
 * @again: a consumer that found all slots taken has said so, and tries once more
 * @trusted: whose files are believed in
 * @socket: (out) (transfer full): one end of a pair: speaks to the producer, as soon as that has served the slot
 * Returns: (transfer full): or %NULL with MMAP_ERROR_NOT_FOUND (nobody there yet: try again later), MMAP_ERROR_LIMIT (all link slots are
 *     taken), or an error of mmap_area_open_existing() */
MmapAreaClient *mmap_area_client_new (const char *path, MmapArea * kept,
    const char *channel, gboolean again, const MmapUsers * trusted,
    GSocket ** socket, GError ** error);

/* The same through a connection to the producer, which says where the link is.
 * @stream: (transfer full): of mmap_remote_connect(); closed on failure, too
 * Returns: (transfer full): or %NULL with MMAP_ERROR_CLOSED (the producer has hung up: there may be no area any more), or an error of
 *     mmap_area_open_existing() */
MmapAreaClient *mmap_area_client_new_remote (const char *path,
    MmapArea * kept, int stream, const MmapUsers * trusted, GSocket ** socket,
    GError ** error);

/* Of such a client: the producer has said where the link is.
 * @offset: bytes from the area's start, of a link that was opened there
 * @producer: what else it has said of itself */
void mmap_area_client_set_link (MmapAreaClient * client, guint64 offset,
    const MmapAreaPeer * producer);

/* Whether the producer of such a client has hung up, as of now: the socket may not say so yet. */
gboolean mmap_area_client_has_lost_stream (const MmapAreaClient * client);

/* Lets go of the slot, after what the socket had to say. Close the socket before. */
void mmap_area_client_free (MmapAreaClient * client);

/* Returns: (transfer none) */
MmapArea *mmap_area_client_get_area (MmapAreaClient * client);

/* As it says of itself; 0: of another machine */
guint32 mmap_area_client_get_producer_pid (MmapAreaClient * client);

/* Returns: (transfer none): of the producer; only what any thread may call */
MmapAreaClock *mmap_area_client_get_clock (MmapAreaClient * client);

/* What it says of itself: all zeros if it was found through a connection. */
const MmapAreaPeer *mmap_area_client_get_producer (const MmapAreaClient *
    client);

/* From now on @word is changed, and who waits for it is woken, with each message that has come, and at the end.
 * @word: of g_atomic_rc_box_new0(); the client takes a reference */
void mmap_area_client_set_word (MmapAreaClient * client, guint32 * word);

/* Where the link is, bytes from the area's start; 0: where the producer says. */
guint64 mmap_area_client_get_link_offset (MmapAreaClient * client);

G_END_DECLS
