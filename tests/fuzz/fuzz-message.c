/* gst-mmap: fuzz target: one message, as it comes out of a socket
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Any bytes, with any descriptors.
 */
#include "fuzz-core.h"

#include "error.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
fuzz_start (void)
{
}

static void
check_refusal (const MmapMessage * message)
{
  g_autoptr (GError) error = NULL;
  const char *c;

  mmap_message_get_refusal (message, &error);
  fuzz_assert (error && error->domain == MMAP_ERROR
      && error->code < MMAP_N_ERRORS);
  /* It ends on somebody's terminal. */
  for (c = error->message; *c; c++)
    fuzz_assert (g_ascii_isprint (*c));
}

static void
receive (GSocket * socket)
{
  g_auto (MmapMessage) message = { 0 };
  g_autoptr (GError) error = NULL;
  guint i;

  if (!mmap_message_receive (socket, TRUE, &message, &error)) {
    fuzz_assert (error && error->domain == MMAP_ERROR);
    fuzz_assert (!message.body && message.n_fds == 0);
    return;
  }
  fuzz_assert (!error && message.kind >= MMAP_MESSAGE_HELLO);
  fuzz_assert (g_variant_is_normal_form (message.body));
  fuzz_assert (g_variant_is_of_type (message.body, G_VARIANT_TYPE_VARDICT));
  fuzz_assert (message.n_fds <= MMAP_MESSAGE_MAX_FDS);
  check_refusal (&message);
  for (i = 0; i < message.n_fds; i += 2) {
    int fd = mmap_message_take_fd (&message, i);

    fuzz_assert (fd >= 0 && mmap_message_take_fd (&message, i) == -1);
    close (fd);
  }
}

void
fuzz_run (FuzzInput * input)
{
  g_autoptr (GSocket) socket = NULL;
  int fds[2];

  fuzz_assert (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
          fds) == 0);
  socket = g_socket_new_from_fd (fds[0], NULL);
  g_socket_set_blocking (socket, FALSE);
  if (fuzz_one_in (input, 4))
    send (fds[1], input->data, input->size, MSG_DONTWAIT);
  else
    fuzz_send (input, fds[1], fuzz_below (input, 16), fuzz_body (input), fds,
        fuzz_below (input, 3));
  receive (socket);
  close (fds[1]);
  receive (socket);
}
