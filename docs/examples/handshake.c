/* gst-mmap: example: an application carries the handshake over a connection of its own
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *   handshake producer SOCKET PIPELINE     waits for one consumer at SOCKET
 *   handshake consumer SOCKET PIPELINE     connects to SOCKET
 *
 * PIPELINE has a mmapsink or mmapsrc with name=mmap signalling=application. All that is known of them is GStreamer's: signals and
 * caps. handshake.py does the same, and speaks with this program.
 *
 * On the connection a text is its length, 4 bytes, big end first, then itself. The producer sends its offer as such a text, then a
 * byte that says how many descriptors follow, then these; the consumer sends its answer.
 */
#include <gio/gunixconnection.h>
#include <gio/gunixfdlist.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <gst/gst.h>
#include <sys/stat.h>

#define MAX_TEXT_BYTES 65536

/* --- the connection --- */

static gboolean
send_caps (GSocketConnection * connection, GstCaps * caps, GError ** error)
{
  GOutputStream *out = g_io_stream_get_output_stream (G_IO_STREAM (connection));
  g_autofree gchar *text = gst_caps_to_string (caps);
  guint32 length = GUINT32_TO_BE (strlen (text));

  return g_output_stream_write_all (out, &length, sizeof length, NULL, NULL,
      error)
      && g_output_stream_write_all (out, text, strlen (text), NULL, NULL,
      error);
}

/* Exactly @size bytes: what comes after them may be a descriptor. */
static gboolean
receive_bytes (GSocketConnection * connection, gpointer data, gsize size,
    GError ** error)
{
  GInputStream *in = g_io_stream_get_input_stream (G_IO_STREAM (connection));
  gsize done;

  if (!g_input_stream_read_all (in, data, size, &done, NULL, error))
    return FALSE;
  if (done < size)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
        "The other side has closed the connection");
  return done == size;
}

static GstCaps *
receive_caps (GSocketConnection * connection, GError ** error)
{
  g_autofree gchar *text = NULL;
  GstCaps *caps = NULL;
  guint32 length;

  if (!receive_bytes (connection, &length, sizeof length, error))
    return NULL;
  length = GUINT32_FROM_BE (length);
  if (length <= MAX_TEXT_BYTES) {
    text = g_malloc0 (length + 1);
    if (!receive_bytes (connection, text, length, error))
      return NULL;
    caps = gst_caps_from_string (text);
  }
  if (!caps)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
        "The other side sent something else than caps");
  return caps;
}

/* One by one. (Four in one message could be taken for a time stamp by GStreamer's udpsrc, if it is in this process, too.) */
static gboolean
send_fds (GSocketConnection * connection, GUnixFDList * list, GError ** error)
{
  GOutputStream *out = g_io_stream_get_output_stream (G_IO_STREAM (connection));
  const gint *fds;
  guint8 count;
  gint n, i;

  fds = g_unix_fd_list_peek_fds (list, &n);
  count = n;
  if (!g_output_stream_write_all (out, &count, 1, NULL, NULL, error))
    return FALSE;
  for (i = 0; i < n; i++)
    if (!g_unix_connection_send_fd (G_UNIX_CONNECTION (connection), fds[i],
            NULL, error))
      return FALSE;
  return TRUE;
}

static GUnixFDList *
receive_fds (GSocketConnection * connection, GError ** error)
{
  g_autoptr (GUnixFDList) list = g_unix_fd_list_new ();
  guint8 count;

  if (!receive_bytes (connection, &count, 1, error))
    return NULL;
  while (count-- > 0) {
    gint fd = g_unix_connection_receive_fd (G_UNIX_CONNECTION (connection),
        NULL, error);
    gboolean added = fd >= 0 && g_unix_fd_list_append (list, fd, error) >= 0;

    /* The list has a copy. */
    if (fd >= 0)
      g_close (fd, NULL);
    if (!added)
      return NULL;
  }
  return g_steal_pointer (&list);
}

/* --- the handshake --- */

/* The elements say what is wrong with an offer or an answer in a warning. */
static gboolean
fail_with_warning (GstElement * pipeline, GError ** error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message =
      gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);

  if (message)
    gst_message_parse_warning (message, error, NULL);
  else
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED,
        "The handshake failed");
  return FALSE;
}

/* The signal gives the offer and its descriptors; both go to the consumer. */
static gboolean
offer (GstElement * pipeline, GstElement * sink, GSocketConnection * connection,
    GError ** error)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GstCaps) offer = NULL, answer = NULL;
  gboolean sent, right = FALSE;

  g_signal_emit_by_name (sink, "create-offer", fds, &offer);
  if (!offer)
    return fail_with_warning (pipeline, error);
  sent = send_caps (connection, offer, error)
      && send_fds (connection, fds, error);
  /* Now: with our copy of the consumer's socket open, nobody would notice that the consumer has gone. */
  g_clear_object (&fds);
  if (!sent)
    return FALSE;

  answer = receive_caps (connection, error);
  if (!answer)
    return FALSE;
  g_signal_emit_by_name (sink, "accept-answer", answer, &right);
  return right || fail_with_warning (pipeline, error);
}

/* The signal takes the offer and its descriptors, and gives the answer; it goes to the producer. */
static gboolean
answer (GstElement * pipeline, GstElement * src, GSocketConnection * connection,
    GError ** error)
{
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GstCaps) offer = NULL, answer = NULL;

  offer = receive_caps (connection, error);
  if (!offer)
    return FALSE;
  fds = receive_fds (connection, error);
  if (!fds)
    return FALSE;
  g_signal_emit_by_name (src, "accept-offer", offer, fds, &answer);
  if (!answer)
    return fail_with_warning (pipeline, error);
  return send_caps (connection, answer, error);
}

/* --- the program --- */

static GSocketConnection *
wait_for_consumer (const char *path, GError ** error)
{
  g_autoptr (GSocketListener) listener = g_socket_listener_new ();
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  GSocketConnection *connection = NULL;

  /* Who has the offer can read the stream: nobody else may connect. */
  umask (0077);
  if (g_socket_listener_add_address (listener, address, G_SOCKET_TYPE_STREAM,
          G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL, error)) {
    connection = g_socket_listener_accept (listener, NULL, NULL, error);
    g_unlink (path);
  }
  return connection;
}

static GSocketConnection *
connect_to_producer (const char *path, GError ** error)
{
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);

  return g_socket_client_connect (client, G_SOCKET_CONNECTABLE (address), NULL,
      error);
}

static gboolean
run_producer (GstElement * pipeline, GstElement * sink, const char *path,
    GError ** error)
{
  g_autoptr (GSocketConnection) connection = NULL;

  /* Once the first frame is there, so is memory to be offered. (A live pipeline would wait for notify::capabilities.) */
  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  if (gst_element_get_state (pipeline, NULL, NULL, GST_CLOCK_TIME_NONE) ==
      GST_STATE_CHANGE_FAILURE)
    return fail_with_warning (pipeline, error);
  connection = wait_for_consumer (path, error);
  if (!connection || !offer (pipeline, sink, connection, error))
    return FALSE;
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  return TRUE;
}

static gboolean
run_consumer (GstElement * pipeline, GstElement * src, const char *path,
    GError ** error)
{
  g_autoptr (GSocketConnection) connection = connect_to_producer (path, error);

  if (!connection)
    return FALSE;
  /* It takes offers from now on. */
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  return answer (pipeline, src, connection, error);
}

/* FALSE: an error came first. */
static gboolean
wait_for_end (GstElement * pipeline, GError ** error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (bus,
      GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS)
    return TRUE;
  gst_message_parse_error (message, error, NULL);
  return FALSE;
}

static gboolean
run (const char *role, const char *path, const char *description,
    GError ** error)
{
  g_autoptr (GstElement) pipeline = gst_parse_launch (description, error);
  g_autoptr (GstElement) element = NULL;
  gboolean done;

  if (!pipeline || *error)
    return FALSE;
  element = gst_bin_get_by_name (GST_BIN (pipeline), "mmap");
  if (!element) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
        "The pipeline has no element with name=mmap");
    return FALSE;
  }
  done = (g_str_equal (role, "producer") ? run_producer : run_consumer)
      (pipeline, element, path, error) && wait_for_end (pipeline, error);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  return done;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  gst_init (&argc, &argv);
  if (argc != 4 || (!g_str_equal (argv[1], "producer")
          && !g_str_equal (argv[1], "consumer"))) {
    g_printerr ("usage: handshake producer|consumer SOCKET PIPELINE\n");
    return 2;
  }
  if (run (argv[1], argv[2], argv[3], &error))
    return 0;
  g_printerr ("handshake: %s\n", error->message);
  return 1;
}
