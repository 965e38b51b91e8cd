#!/usr/bin/python3
# gst-mmap: what runs commands in the guest
#
# Copyright (C) 2026 the gst-mmap authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# agent.py PORT: reads JSON objects, a line each, and runs what they say; tests/vm/guest.py is at the other end.
# {"run": ID, "argv": [...], "env": {...}}, {"kill": ID, "signal": N}
# It answers {"ready": true}, and of each command {"id": ID, "out": TEXT} as it comes and {"id": ID, "rc": N} at the end.
import json
import os
import selectors
import subprocess
import sys
import time

port = os.open(sys.argv[1], os.O_RDWR)
selector = selectors.DefaultSelector()
children = {}                   # by id
received = b""


def say(message):
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(port, data):]


def obey(message):
    if "run" in message:
        child = subprocess.Popen(message["argv"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 env=dict(os.environ, **message.get("env", {})), start_new_session=True)
        children[message["run"]] = child
        selector.register(child.stdout, selectors.EVENT_READ, message["run"])
    elif message["kill"] in children:
        children[message["kill"]].send_signal(message["signal"])


say({"ready": True})
selector.register(port, selectors.EVENT_READ, None)
while True:
    for key, _ in selector.select():
        data = os.read(key.fd, 65536)
        if key.data is None:
            if not data:        # the host's end isn't connected
                time.sleep(0.05)
            received += data
            *lines, received = received.split(b"\n")
            for line in lines:
                obey(json.loads(line))
        elif data:
            say({"id": key.data, "out": data.decode(errors="replace")})
        else:
            selector.unregister(key.fileobj)
            say({"id": key.data, "rc": children.pop(key.data).wait()})
