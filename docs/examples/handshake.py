#!/usr/bin/python3
# gst-mmap: example: an application carries the handshake over a connection of its own
#
# Copyright (C) 2026 the gst-mmap authors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An application carries the handshake over a connection of its own.

    handshake.py producer SOCKET PIPELINE     waits for one consumer at SOCKET
    handshake.py consumer SOCKET PIPELINE     connects to SOCKET

PIPELINE has a mmapsink or mmapsrc with name=mmap signalling=application. handshake.c does the same, says what travels on
the connection, and speaks with this program.
"""

import os
import sys

import gi
gi.require_version("Gst", "1.0")
from gi.repository import Gio, GLib, Gst  # noqa: E402

MAX_TEXT_BYTES = 65536


# --- the connection ---

def send_caps(connection, caps):
    text = caps.to_string().encode()
    connection.get_output_stream().write_all(len(text).to_bytes(4, "big") + text)


def receive_bytes(connection, size):
    """Exactly so many: what comes after them may be a descriptor."""
    data = b""
    while len(data) < size:
        part = connection.get_input_stream().read_bytes(size - len(data)).get_data()
        if not part:
            raise EOFError("The other side has closed the connection")
        data += part
    return data


def receive_caps(connection):
    length = int.from_bytes(receive_bytes(connection, 4), "big")
    caps = Gst.Caps.from_string(receive_bytes(connection, length).decode()) if length <= MAX_TEXT_BYTES else None
    if caps is None:
        raise ValueError("The other side sent something else than caps")
    return caps


def send_fds(connection, fds):
    """One by one. (Four in one message could be taken for a time stamp by GStreamer's udpsrc, if it is in this process, too.)"""
    connection.get_output_stream().write_all(bytes([len(fds)]))
    for fd in fds:
        connection.send_fd(fd)


def receive_fds(connection):
    return Gio.UnixFDList.new_from_array([connection.receive_fd() for _ in range(receive_bytes(connection, 1)[0])])


# --- the handshake ---

def warning(pipeline):
    """The elements say what is wrong with an offer or an answer in a warning."""
    message = pipeline.get_bus().pop_filtered(Gst.MessageType.WARNING)
    return message.parse_warning()[0] if message else RuntimeError("The handshake failed")


def offer(pipeline, sink, connection):
    """The signal gives the offer and its descriptors; both go to the consumer."""
    taken = Gio.UnixFDList()
    caps = sink.emit("create-offer", taken)
    if caps is None:
        raise warning(pipeline)
    fds = taken.steal_fds()
    try:
        send_caps(connection, caps)
        send_fds(connection, fds)
    finally:
        # Now: with our copy of the consumer's socket open, nobody would notice that the consumer has gone.
        for fd in fds:
            os.close(fd)
    if not sink.emit("accept-answer", receive_caps(connection)):
        raise warning(pipeline)


def answer(pipeline, src, connection):
    """The signal takes the offer and its descriptors, and gives the answer; it goes to the producer."""
    caps = src.emit("accept-offer", receive_caps(connection), receive_fds(connection))
    if caps is None:
        raise warning(pipeline)
    send_caps(connection, caps)


# --- the program ---

def run_producer(pipeline, sink, address):
    # Once the first frame is there, so is memory to be offered. (A live pipeline would wait for notify::capabilities.)
    pipeline.set_state(Gst.State.PAUSED)
    if pipeline.get_state(Gst.CLOCK_TIME_NONE)[0] == Gst.StateChangeReturn.FAILURE:
        return
    # Who has the offer can read the stream: nobody else may connect.
    os.umask(0o077)
    listener = Gio.SocketListener()
    listener.add_address(address, Gio.SocketType.STREAM, Gio.SocketProtocol.DEFAULT)
    try:
        connection, _ = listener.accept()
    finally:
        os.unlink(address.get_path())
    offer(pipeline, sink, connection)
    pipeline.set_state(Gst.State.PLAYING)


def run_consumer(pipeline, src, address):
    connection = Gio.SocketClient().connect(address)
    # It takes offers from now on.
    pipeline.set_state(Gst.State.PLAYING)
    answer(pipeline, src, connection)


def main():
    arguments = Gst.init(sys.argv)
    if len(arguments) != 4 or arguments[1] not in ("producer", "consumer"):
        sys.exit("usage: handshake.py producer|consumer SOCKET PIPELINE")
    role, path, description = arguments[1:]
    pipeline = Gst.parse_launch(description)
    try:
        run = run_producer if role == "producer" else run_consumer
        run(pipeline, pipeline.get_by_name("mmap"), Gio.UnixSocketAddress.new(path))
        end = Gst.MessageType.EOS | Gst.MessageType.ERROR
        message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, end)
        if message.type == Gst.MessageType.ERROR:
            raise message.parse_error()[0]
    except (GLib.Error, EOFError, ValueError, RuntimeError) as error:
        sys.exit(f"handshake.py: {getattr(error, 'message', error)}")
    finally:
        pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
