/* gst-mmap: messages of the handshake over a Unix socket
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "capabilities.h"

#include <gio/gio.h>

G_BEGIN_DECLS

#define MMAP_MESSAGE_MAX_FDS 3

/* docs/protocol.md draws the handshake. */
typedef enum
{
  MMAP_MESSAGE_HELLO = 1,       /* consumer: protocol u */
  MMAP_MESSAGE_OFFER = 2,       /* producer: capabilities; descriptors */
  MMAP_MESSAGE_ANSWER = 3,      /* consumer: capabilities */
  MMAP_MESSAGE_ACCEPT = 4,      /* producer: the link is up */
  MMAP_MESSAGE_REFUSE = 5,      /* either: reason s, message s; then it closes */
  MMAP_MESSAGE_WISHES = 6,      /* consumer: what it accepts has changed: media s, and what else gst/ puts there */
  MMAP_MESSAGE_EVENT = 7,       /* either: an event that is not serialised with the frames, or goes upstream */
  MMAP_MESSAGE_QUERY = 8,       /* consumer: a query for the producer's pipeline */
  MMAP_MESSAGE_RESULT = 9,      /* producer: of an event or a query that asked for one */
  MMAP_MESSAGE_NEEDS = 10,      /* consumer: what it needs of the memory that frames lie in */
  MMAP_MESSAGE_CHALLENGE = 11,  /* producer: access-nonce ay, session t: the consumer is to prove that it knows the access token */
  MMAP_MESSAGE_PROOF = 12,      /* either: proof ay, pid u, pid-namespace t */
  MMAP_MESSAGE_LEAVE = 13,      /* consumer: it reads nothing more, gives back what it still holds, and then closes */
} MmapMessageKind;

/**
 * MmapMessage:
 * @kind: not checked beyond being a known one
 * @body: an a{sv} in normal form; owned
 * @fds: descriptors, owned until taken with mmap_message_take_fd()
 */
typedef struct
{
  MmapMessageKind kind;
  GVariant *body;
  int fds[MMAP_MESSAGE_MAX_FDS];
  guint n_fds;
} MmapMessage;

/* Two sockets that speak to each other, as a connection's two ends do.
 * @other_fd: (out) (transfer full): the other end, not to be inherited
 * Returns: (transfer full): this one, which doesn't block; or %NULL with MMAP_ERROR_NO_RESOURCES or MMAP_ERROR_FAILED */
GSocket *mmap_message_new_pair (int *other_fd, GError ** error);

/* Sends one packet without blocking.
 * @body: (transfer floating): an a{sv}
 * @fds: (transfer none): @n_fds descriptors to pass, at most MMAP_MESSAGE_MAX_FDS
 * FALSE with MMAP_ERROR_CLOSED if the other side has gone, MMAP_ERROR_LIMIT if it doesn't read. */
gboolean mmap_message_send (GSocket * socket, MmapMessageKind kind,
    GVariant * body, const int *fds, guint n_fds, GError ** error);

/* Sends a REFUSE that carries @reason, an error of MMAP_ERROR; failure to do so is of no interest. */
void mmap_message_send_refusal (GSocket * socket, const GError * reason);

/* Sends a LEAVE. There is always room for this one message, whatever the other side has not read yet. FALSE: the other side has gone. */
gboolean mmap_message_send_leave (GSocket * socket);

/* Receives one packet without blocking. @message is to be cleared if %TRUE is returned.
 * @fds: whether it may have descriptors; else one that has is refused, and stays where it is
 * FALSE with MMAP_ERROR_NOT_FOUND (nothing there yet), MMAP_ERROR_CLOSED or MMAP_ERROR_MESSAGE (too long, malformed,
 * unknown kind), MMAP_ERROR_VERSION. */
gboolean mmap_message_receive (GSocket * socket, gboolean fds,
    MmapMessage * message, GError ** error);

/* Returns: (transfer full): descriptor @i, or -1 if the message had fewer */
int mmap_message_take_fd (MmapMessage * message, guint i);

/* Turns a received REFUSE into the error that it carries. */
void mmap_message_get_refusal (const MmapMessage * message, GError ** error);

/* Where messages follow one another in a stream of bytes, each begins with its header, as a packet does. */
#define MMAP_MESSAGE_HEADER_BYTES 16
/* No message is longer, bytes. */
#define MMAP_MESSAGE_MAX_BYTES (MMAP_CAPABILITIES_MAX_BYTES + MMAP_MESSAGE_HEADER_BYTES)

/* @header: MMAP_MESSAGE_HEADER_BYTES bytes
 * Returns: bytes of the whole message; 0 if this is no header of a message, or one that is too long */
gsize mmap_message_measure (const guint8 * header);

void mmap_message_clear (MmapMessage * message);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (MmapMessage, mmap_message_clear)
G_END_DECLS
