/* gst-mmap: carries messages between a socket of this process's own and a stream of bytes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by one thread per relay, which is never on the way of a frame. What comes from the stream is checked to be a message no longer than
 * one may be; the rest is checked by who receives it from the socket.
 */
#include "relay.h"

#include "error.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* At most so many messages each way before others have their turn; chosen, untuned. */
#define MAX_TURNS 64

/* A handshake waits for the next look a few times. Chosen: then it takes milliseconds; and a link that is up without messages costs no
 * processor that could be seen. */
#define MIN_INTERVAL_US 1000
#define MAX_INTERVAL_US 20000
/* A heartbeat's. */
#define HEARD_INTERVAL_US 100000
/* Of the time since the last message. */
#define INTERVAL_PART 8

GSocket *
mmap_relay_init (MmapRelay * relay, const MmapRelayWay * way, gpointer data,
    GError ** error)
{
  GSocket *socket;

  memset (relay, 0, sizeof *relay);
  relay->fd = -1;
  socket = mmap_message_new_pair (&relay->fd, error);
  if (!socket)
    return NULL;
  relay->way = way;
  relay->data = data;
  relay->out = g_malloc (MMAP_MESSAGE_MAX_BYTES);
  relay->in = g_malloc (MMAP_MESSAGE_MAX_BYTES);
  return socket;
}

void
mmap_relay_clear (MmapRelay * relay)
{
  if (relay->fd >= 0)
    close (relay->fd);
  relay->fd = -1;
  /* There may be tokens. */
  if (relay->out)
    explicit_bzero (relay->out, MMAP_MESSAGE_MAX_BYTES);
  if (relay->in)
    explicit_bzero (relay->in, MMAP_MESSAGE_MAX_BYTES);
  g_clear_pointer (&relay->out, g_free);
  g_clear_pointer (&relay->in, g_free);
}

/* It would block, or the system lacks memory: what there is to move stays for another time. */
static gboolean
is_for_later (int errnum)
{
  return errnum == EAGAIN || errnum == ENOBUFS || errnum == ENOMEM;
}

/* A packet of the socket, if there is room for it. Descriptors that came with it are dropped: they mean nothing on the other side. */
static gboolean
receive_packet (MmapRelay * relay)
{
  gssize n;

  if (relay->out_bytes > 0 || relay->local_ended)
    return FALSE;
  do {
    n = recv (relay->fd, relay->out, MMAP_MESSAGE_MAX_BYTES, MSG_DONTWAIT);
    /* Who closes without having read everything resets the connection; what it sent last comes after that. */
  } while (n < 0 && (errno == EINTR || errno == ECONNRESET));
  if (n < 0 && is_for_later (errno))
    return FALSE;
  if (n <= 0)
    relay->local_ended = TRUE;
  relay->out_bytes = MAX (n, 0);
  relay->out_done = 0;
  return n > 0;
}

static MmapRelayResult
run_out (MmapRelay * relay)
{
  MmapRelayResult result = MMAP_RELAY_IDLE;
  guint turns;
  gssize n;

  for (turns = 0; turns < MAX_TURNS; turns++) {
    receive_packet (relay);
    if (relay->out_bytes == 0)
      break;
    n = relay->way->push (relay->data, relay->out + relay->out_done,
        relay->out_bytes - relay->out_done);
    if (n < 0)
      return MMAP_RELAY_BROKEN;
    if (n == 0)
      break;
    result = MMAP_RELAY_MOVED;
    relay->out_done += n;
    if (relay->out_done == relay->out_bytes)
      relay->out_bytes = 0;
  }
  return result;
}

/* How long the message is that has begun to come; 0: it is none. */
static gsize
measure_in (const MmapRelay * relay)
{
  return relay->in_bytes < MMAP_MESSAGE_HEADER_BYTES ?
      MMAP_MESSAGE_HEADER_BYTES : mmap_message_measure (relay->in);
}

/* A whole message that is not sent yet stays where it is. */
static gboolean
send_packet (MmapRelay * relay)
{
  gssize n;

  do {
    n = send (relay->fd, relay->in, relay->in_bytes,
        MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && is_for_later (errno))
    return FALSE;
  relay->in_bytes = 0;
  return TRUE;
}

MmapRelayResult
mmap_relay_drain (MmapRelay * relay)
{
  MmapRelayResult result = MMAP_RELAY_IDLE;
  guint turns;

  for (turns = 0; turns < MAX_TURNS; turns++) {
    gsize whole = measure_in (relay);
    gssize n = 0;

    if (whole == 0)
      return MMAP_RELAY_BROKEN;
    if (relay->in_bytes < whole) {
      n = relay->way->pop (relay->data, relay->in + relay->in_bytes,
          whole - relay->in_bytes);
      if (n < 0)
        return MMAP_RELAY_BROKEN;
      if (n == 0)
        break;
      relay->in_bytes += n;
      result = MMAP_RELAY_MOVED;
      continue;
    }
    if (!send_packet (relay))
      break;
  }
  return result;
}

MmapRelayResult
mmap_relay_run (MmapRelay * relay)
{
  MmapRelayResult out = run_out (relay), in;

  if (out == MMAP_RELAY_BROKEN)
    return out;
  in = mmap_relay_drain (relay);
  return in == MMAP_RELAY_IDLE ? out : in;
}

void
mmap_relay_end_stream (MmapRelay * relay)
{
  if (!relay->said_end)
    shutdown (relay->fd, SHUT_WR);
  relay->said_end = TRUE;
}

void
mmap_relay_discard (MmapRelay * relay)
{
  do {
    relay->out_bytes = 0;
  } while (receive_packet (relay));
}

gboolean
mmap_relay_is_flushed (const MmapRelay * relay)
{
  return relay->local_ended && relay->out_bytes == 0;
}

/* A whole message, for which the socket has no room. */
static gboolean
has_message (const MmapRelay * relay)
{
  return relay->in_bytes >= MMAP_MESSAGE_HEADER_BYTES
      && relay->in_bytes == measure_in (relay);
}

short
mmap_relay_get_stream_events (const MmapRelay * relay)
{
  return (has_message (relay) ? 0 : POLLIN)
      | (relay->out_bytes > 0 ? POLLOUT : 0);
}

void
mmap_relay_get_pollfd (const MmapRelay * relay, struct pollfd *fd)
{
  gboolean waits = has_message (relay);

  fd->fd = relay->local_ended || relay->out_bytes > 0 ? -1 : relay->fd;
  fd->events = waits && !relay->said_end ? POLLIN | POLLOUT : POLLIN;
  fd->revents = 0;
}

gint64
mmap_relay_pace (MmapRelayPace * pace, gboolean moved, gboolean heard,
    gint64 now_us)
{
  if (moved || pace->moved_us == 0)
    pace->moved_us = now_us;
  return CLAMP ((now_us - pace->moved_us) / INTERVAL_PART, MIN_INTERVAL_US,
      heard ? HEARD_INTERVAL_US : MAX_INTERVAL_US);
}
