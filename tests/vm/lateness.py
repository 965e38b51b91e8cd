#!/usr/bin/python3
# gst-mmap: how late frames arrive by this side's clock: lateness.py FILE, with channels video and audio, prints a line per frame of the video:
# lateness, clock-offset, clock-error, and by how much later than the audio of its instant it is rendered, in ns
#
# Copyright (C) 2026 the gst-mmap authors
# SPDX-License-Identifier: LGPL-2.1-or-later
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst

Gst.init(None)
pipeline = Gst.parse_launch("mmapsrc name=src channel=video ! appsink name=sink sync=false "
                            "mmapsrc name=audio-src channel=audio ! appsink name=audio-sink sync=false max-buffers=1 drop=true")
src, sink, audio_sink = (pipeline.get_by_name(name) for name in ("src", "sink", "audio-sink"))
for name in "src", "audio-src":
    pipeline.get_by_name(name).set_property("file", sys.argv[1])
pipeline.set_state(Gst.State.PLAYING)


def get_shift(sample):
    """None: it was made before this pipeline's clock started."""
    pts = sample.get_buffer().pts
    running_time = sample.get_segment().to_running_time(Gst.Format.TIME, pts)
    return None if running_time == Gst.CLOCK_TIME_NONE else running_time - pts


while (sample := sink.emit("pull-sample")) is not None:
    now = pipeline.get_clock().get_time() - pipeline.get_base_time()
    audio = audio_sink.get_property("last-sample")
    shift, audio_shift = get_shift(sample), audio and get_shift(audio)
    if shift is None or audio_shift is None:
        continue
    stats = src.get_property("stats")
    print(now - shift - sample.get_buffer().pts, stats.get_value("clock-offset"), stats.get_value("clock-error"),
          shift - audio_shift, flush=True)
message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
if message:
    sys.exit(message.parse_error().debug)
