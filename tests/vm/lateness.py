#!/usr/bin/python3
# gst-mmap: how late frames arrive by this side's clock: lateness.py FILE prints a line per frame: lateness, clock-offset, clock-error, in ns
#
# Copyright (C) 2026 the gst-mmap authors
# SPDX-License-Identifier: LGPL-2.1-or-later
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst

Gst.init(None)
pipeline = Gst.parse_launch("mmapsrc name=src ! appsink name=sink sync=false")
src, sink = pipeline.get_by_name("src"), pipeline.get_by_name("sink")
src.set_property("file", sys.argv[1])
pipeline.set_state(Gst.State.PLAYING)
while (sample := sink.emit("pull-sample")) is not None:
    now = pipeline.get_clock().get_time() - pipeline.get_base_time()
    running_time = sample.get_segment().to_running_time(Gst.Format.TIME, sample.get_buffer().pts)
    stats = src.get_property("stats")
    print(now - running_time, stats.get_value("clock-offset"), stats.get_value("clock-error"), flush=True)
message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
if message:
    sys.exit(message.parse_error().debug)
