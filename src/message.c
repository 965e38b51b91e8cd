/* gst-mmap: messages over a Unix socket
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by the producer's service thread (and its streaming thread, when it offers a new region), and by the consumer's
 * streaming thread.
 */
#include "message.h"

#include "capabilities.h"
#include "error.h"
#include "foreign.h"
#include "protocol.h"

#include <errno.h>
#include <gio/gunixfdmessage.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The most that the kernel passes in one message (SCM_MAX_FD): none is lost, those that are too many are closed. */
#define MAX_RECEIVED_FDS 253

/* Of a refusal's text, which ends on somebody's terminal; chosen: room for caps. */
#define MAX_REASON_BYTES 4000

#define MESSAGE_MAGIC 0x316d6d67u       /* "gmm1" */

typedef struct
{
  guint32 magic;                /*  0 */
  guint16 version;              /*  4 MMAP_PROTOCOL_VERSION */
  guint16 kind;                 /*  6 MmapMessageKind */
  guint32 size;                 /*  8 bytes of the body that follows */
  guint32 reserved;             /* 12 */
} MessageHeader;

G_STATIC_ASSERT (sizeof (MessageHeader) == MMAP_MESSAGE_HEADER_BYTES);

GSocket *
mmap_message_new_pair (int *other_fd, GError ** error)
{
  g_autoptr (GError) cause = NULL;
  GSocket *socket;
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
    g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
        "socketpair: %s", g_strerror (errno));
    return NULL;
  }
  socket = g_socket_new_from_fd (fds[0], &cause);
  if (!socket) {
    g_set_error_literal (error, MMAP_ERROR, mmap_error_from_glib (cause),
        cause->message);
    close (fds[0]);
    close (fds[1]);
    return NULL;
  }
  g_socket_set_blocking (socket, FALSE);
  *other_fd = fds[1];
  return socket;
}

gboolean
mmap_message_send (GSocket * socket, MmapMessageKind kind, GVariant * body,
    const int *fds, guint n_fds, GError ** error)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (body);
  g_autoptr (GVariant) normal = g_variant_get_normal_form (owned);
  g_autoptr (GSocketControlMessage) control = NULL;
  g_autoptr (GError) cause = NULL;
  MessageHeader header = { MESSAGE_MAGIC, MMAP_PROTOCOL_VERSION, kind,
    g_variant_get_size (normal), 0
  };
  GOutputVector vectors[2] = {
    {&header, sizeof header},
    {g_variant_get_data (normal), header.size},
  };

  if (n_fds > 0) {
    g_autoptr (GUnixFDList) list = g_unix_fd_list_new ();
    guint i;

    for (i = 0; i < n_fds; i++)
      if (g_unix_fd_list_append (list, fds[i], &cause) < 0) {
        g_set_error (error, MMAP_ERROR, mmap_error_from_glib (cause),
            "Can't pass a descriptor: %s", cause->message);
        return FALSE;
      }
    control = g_unix_fd_message_new_with_fd_list (list);
  }

  /* Whether the socket itself would block may be the other side's choice: of a pair it made both ends. */
  if (g_socket_send_message (socket, NULL, vectors, 2, &control,
          control ? 1 : 0, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, &cause) < 0) {
    if (g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
          "The other side does not read its messages: %s", cause->message);
    else if (mmap_error_from_glib (cause) == MMAP_ERROR_NO_RESOURCES)
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_NO_RESOURCES,
          "A message can't be sent: %s", cause->message);
    else
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_CLOSED,
          "The other side can't be reached: %s", cause->message);
    return FALSE;
  }
  return TRUE;
}

void
mmap_message_send_refusal (GSocket * socket, const GError * reason)
{
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "reason",
      g_variant_new_string (mmap_error_get_name (reason->code)));
  g_variant_builder_add (&body, "{sv}", "message",
      g_variant_new_string (reason->message));
  mmap_message_send (socket, MMAP_MESSAGE_REFUSE,
      g_variant_builder_end (&body), NULL, 0, NULL);
}

static gboolean
send_leave (GSocket * socket, GError ** error)
{
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  return mmap_message_send (socket, MMAP_MESSAGE_LEAVE,
      g_variant_builder_end (&body), NULL, 0, error);
}

gboolean
mmap_message_send_leave (GSocket * socket)
{
  g_autoptr (GError) error = NULL;
  int bytes = G_MAXINT;         /* the kernel makes it what is allowed, which is twice what there was */

  if (send_leave (socket, &error))
    return TRUE;
  if (!g_error_matches (error, MMAP_ERROR, MMAP_ERROR_LIMIT))
    return FALSE;
  setsockopt (g_socket_get_fd (socket), SOL_SOCKET, SO_SNDBUF, &bytes,
      sizeof bytes);
  return send_leave (socket, NULL);
}

static void
message_collect_fds (MmapMessage * message, struct msghdr *packet)
{
  struct cmsghdr *control;

  for (control = CMSG_FIRSTHDR (packet); control;
      control = CMSG_NXTHDR (packet, control)) {
    gsize i, n;

    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
      continue;
    n = (control->cmsg_len - CMSG_LEN (0)) / sizeof (int);
    for (i = 0; i < n; i++) {
      int fd;

      memcpy (&fd, CMSG_DATA (control) + i * sizeof fd, sizeof fd);
      if (message->n_fds < MMAP_MESSAGE_MAX_FDS)
        message->fds[message->n_fds++] = fd;
      else
        mmap_foreign_close (fd);
    }
  }
}

/* Of a body: its size is the other side's. */
typedef struct
{
  guint64 size;                 /* what follows is aligned for GVariant */
  guint8 data[];
} Copy;

static void
wipe_and_free (gpointer data)
{
  Copy *copy = data;

  explicit_bzero (copy->data, copy->size);
  g_free (copy);
}

static void
set_no_memory (GError ** error)
{
  g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_NO_RESOURCES,
      "There is no memory for a message");
}

/* One recvmsg(2). Not GSocket's: that asks every class of control messages in the process to make sense of the descriptors, and
 * the first that answers gets them; udpsrc's (GStreamer 1.22) takes any that are as long as a time stamp. */
static gssize
message_read_once (GSocket * socket, guint8 * data, gsize size,
    MmapMessage * message, int *flags)
{
  union
  {
    struct cmsghdr align;
    guint8 bytes[CMSG_SPACE (MAX_RECEIVED_FDS * sizeof (int))];
  } control;
  struct iovec vector = { data, size };
  struct msghdr packet = {
    .msg_iov = &vector,
    .msg_iovlen = 1,
    .msg_control = &control,
    .msg_controllen = sizeof control,
  };
  gssize n;

  do {
    n = recvmsg (g_socket_get_fd (socket), &packet,
        MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n >= 0) {
    *flags = packet.msg_flags;
    message_collect_fds (message, &packet);
  }
  return n;
}

/* Returns the bytes received, 0 at the end, -1 with an error. */
static gssize
message_read (GSocket * socket, guint8 * data, gsize size,
    MmapMessage * message, int *flags, GError ** error)
{
  gssize n = message_read_once (socket, data, size, message, flags);

  /* Who closes without having read everything resets the connection. That is told once, and before what it sent last:
   * a refusal. */
  if (n < 0 && errno == ECONNRESET)
    n = message_read_once (socket, data, size, message, flags);
  if (n < 0)
    g_set_error_literal (error, MMAP_ERROR,
        errno == EAGAIN ? MMAP_ERROR_NOT_FOUND :
        mmap_error_from_errno (errno) == MMAP_ERROR_NO_RESOURCES ?
        MMAP_ERROR_NO_RESOURCES : MMAP_ERROR_CLOSED, g_strerror (errno));
  return n;
}

static gboolean
message_parse (MmapMessage * message, const guint8 * data, gsize size,
    GError ** error)
{
  g_autoptr (GVariant) body = NULL;
  g_autoptr (GBytes) bytes = NULL;
  MessageHeader header;
  Copy *copy;

  if (size < sizeof header)
    goto malformed;
  memcpy (&header, data, sizeof header);
  if (header.magic != MESSAGE_MAGIC || header.size != size - sizeof header)
    goto malformed;
  if (header.version != MMAP_PROTOCOL_VERSION) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_VERSION,
        "The other side speaks protocol %u, this side %u: update the older",
        header.version, MMAP_PROTOCOL_VERSION);
    return FALSE;
  }
  if (header.kind < MMAP_MESSAGE_HELLO || header.kind > MMAP_MESSAGE_LEAVE)
    goto malformed;

  /* A copy, so that it is aligned; wiped with the body, since it may hold a token. */
  copy = g_try_malloc (sizeof (Copy) + header.size);
  if (!copy) {
    set_no_memory (error);
    return FALSE;
  }
  copy->size = header.size;
  memcpy (copy->data, data + sizeof header, header.size);
  bytes = g_bytes_new_with_free_func (copy->data, header.size,
      wipe_and_free, copy);
  body = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_VARDICT,
          bytes, FALSE));
  if (!g_variant_is_normal_form (body))
    goto malformed;
  message->kind = header.kind;
  message->body = g_steal_pointer (&body);
  return TRUE;

malformed:
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The other side sent %" G_GSIZE_FORMAT " bytes that are no message of "
      "gst-mmap: is another program listening there?", size);
  return FALSE;
}

gboolean
mmap_message_receive (GSocket * socket, gboolean fds, MmapMessage * message,
    GError ** error)
{
  gsize size = MMAP_CAPABILITIES_MAX_BYTES + sizeof (MessageHeader);
  g_autofree guint8 *data = g_try_malloc (size);
  int flags = 0;
  gssize n;

  memset (message, 0, sizeof *message);
  if (!data) {
    set_no_memory (error);
    return FALSE;
  }
  /* To receive them is to close them, which may block. */
  if (!fds && mmap_foreign_has_descriptors (g_socket_get_fd (socket))) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "The other side sent descriptors, expected none");
    return FALSE;
  }
  n = message_read (socket, data, size, message, &flags, error);
  if (n == 0)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_CLOSED,
        "The other side has closed the connection");
  if (n <= 0)
    goto failed;
  if (flags & MSG_TRUNC) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
        "The other side sent a message of more than %" G_GSIZE_FORMAT
        " bytes", size);
    goto failed;
  }
  if (flags & MSG_CTRUNC) {
    g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_NO_RESOURCES,
        "The other side sent more descriptors than this process may open: "
        "close some, or raise its limit (ulimit -n)");
    goto failed;
  }
  if (!message_parse (message, data, n, error))
    goto failed;
  explicit_bzero (data, n);
  return TRUE;

failed:
  if (n > 0)
    explicit_bzero (data, n);
  mmap_message_clear (message);
  return FALSE;
}

gsize
mmap_message_measure (const guint8 * bytes)
{
  MessageHeader header;

  memcpy (&header, bytes, sizeof header);
  if (header.magic != MESSAGE_MAGIC
      || header.size > MMAP_CAPABILITIES_MAX_BYTES)
    return 0;
  return sizeof header + header.size;
}

int
mmap_message_take_fd (MmapMessage * message, guint i)
{
  int fd = -1;

  if (i < message->n_fds) {
    fd = message->fds[i];
    message->fds[i] = -1;
  }
  return fd;
}

void
mmap_message_get_refusal (const MmapMessage * message, GError ** error)
{
  const char *reason = NULL, *text = NULL;
  g_autofree char *printable = NULL;
  MmapError code;
  char *c;

  g_variant_lookup (message->body, "reason", "&s", &reason);
  g_variant_lookup (message->body, "message", "&s", &text);
  for (code = 0; code < MMAP_N_ERRORS; code++)
    if (g_strcmp0 (reason, mmap_error_get_name (code)) == 0)
      break;
  if (code == MMAP_N_ERRORS)
    code = MMAP_ERROR_FAILED;
  printable = g_strndup (text ? text : "no reason given", MAX_REASON_BYTES);
  for (c = printable; *c; c++)
    if (!g_ascii_isprint (*c))
      *c = '?';
  g_set_error (error, MMAP_ERROR, code, "The other side refused: %s",
      printable);
}

void
mmap_message_clear (MmapMessage * message)
{
  guint i;

  for (i = 0; i < message->n_fds; i++)
    mmap_foreign_close (message->fds[i]);
  g_clear_pointer (&message->body, g_variant_unref);
  message->n_fds = 0;
}
