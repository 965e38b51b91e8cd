/* gst-mmap: carries messages between a socket of this process's own and a stream of bytes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "message.h"

#include <poll.h>

G_BEGIN_DECLS

/**
 * MmapRelayWay:
 *
 * The stream: what reads and writes it, without waiting. Each answers with how many bytes it moved, 0 if none can be moved now, or -1 if the
 * stream is broken.
 */
typedef struct
{
  gssize (*push) (gpointer data, const guint8 * bytes, gsize n);
  gssize (*pop) (gpointer data, guint8 * bytes, gsize n);
} MmapRelayWay;

/**
 * MmapRelay:
 *
 * The handshake, and what follows it, speaks through packets on a Unix socket. Where there is no such socket between the two sides, it gets
 * one end of a pair, and a relay has the other: it moves whole messages between that and a stream. Not thread-safe.
 */
typedef struct
{
  int fd;                       /* owned; -1 once it was closed */
  const MmapRelayWay *way;
  gpointer data;                /* for @way */
  guint8 *out;                  /* a packet from the socket, for the stream */
  gsize out_bytes;
  gsize out_done;
  guint8 *in;                   /* a message from the stream, for the socket */
  gsize in_bytes;
  gboolean local_ended;         /* whoever has the other end of the pair has closed it */
  gboolean said_end;            /* that side was told that the stream has ended */
} MmapRelay;

typedef enum
{
  MMAP_RELAY_IDLE,              /* there is nothing to be moved now */
  MMAP_RELAY_MOVED,
  MMAP_RELAY_BROKEN             /* the other side of the stream broke a rule */
} MmapRelayResult;

/* Makes a pair of sockets.
 * Returns: (transfer full): the end for the handshake; or %NULL with MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
GSocket *mmap_relay_init (MmapRelay * relay, const MmapRelayWay * way,
    gpointer data, GError ** error);

/* Closes the socket, wipes what was not moved. */
void mmap_relay_clear (MmapRelay * relay);

/* Moves what can be moved, without waiting. */
MmapRelayResult mmap_relay_run (MmapRelay * relay);

/* Only from the stream to the socket: nobody reads the other way any more. */
MmapRelayResult mmap_relay_drain (MmapRelay * relay);

/* The stream has ended: says so to whoever has the other end of the pair, after all that came before. */
void mmap_relay_end_stream (MmapRelay * relay);

/* Drops what the socket has for the stream: nobody reads that any more. Looks whether the socket is closed. */
void mmap_relay_discard (MmapRelay * relay);

/* Whether all that came from the socket before it was closed is in the stream. */
gboolean mmap_relay_is_flushed (const MmapRelay * relay);

/* What is to be polled for: a socket that is closed isn't, nor one that is full of what the stream has no room for. */
void mmap_relay_get_pollfd (const MmapRelay * relay, struct pollfd *fd);

/* The same of the stream, if that has a descriptor. Returns: POLLIN, POLLOUT, both or 0 */
short mmap_relay_get_stream_events (const MmapRelay * relay);

/* --- how often a stream that nobody announces is looked at --- */

/**
 * MmapRelayPace:
 *
 * Often while there are messages, seldom if there were none for a while. Zeros at first.
 */
typedef struct
{
  gint64 moved_us;
} MmapRelayPace;

/* @moved: whether there was anything
 * @heard: whether all who may have something say so: then it is looked for longer intervals
 * Returns: microseconds until the next look */
gint64 mmap_relay_pace (MmapRelayPace * pace, gboolean moved, gboolean heard,
    gint64 now_us);

G_END_DECLS
