#!/usr/bin/python3
# gst-mmap: a producer and a consumer whose CLOCK_MONOTONIC differ: in time namespaces, as in a guest and its host
#
# Copyright (C) 2026 the gst-mmap authors
# SPDX-License-Identifier: LGPL-2.1-or-later
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

# As test-elements.py: the plugin is loaded into this process.
if os.environ.get("MMAP_TEST_PRELOAD") and "LD_PRELOAD" not in os.environ:
    os.environ["LD_PRELOAD"] = os.environ["MMAP_TEST_PRELOAD"]
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    os.execv(sys.executable, [sys.executable, *sys.argv])

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst

SECOND = 10**9
WAIT = 60 * SECOND


class Clocks(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="gst-mmap-test-", dir="/dev/shm")
        self.addCleanup(self.directory.cleanup)
        self.file = os.path.join(self.directory.name, "cam0")

    def produce(self, offset_s, element="videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=50/1"):
        """A producer whose clock is ahead of ours."""
        producer = subprocess.Popen(
            ["unshare", "--time", "--monotonic", str(offset_s), "--fork", "--kill-child",
             "gst-launch-1.0", "-q", *element.split(), "!", "mmapsink", "file=" + self.file, "size=16777216"],
            stdin=subprocess.DEVNULL)

        def end():
            producer.send_signal(signal.SIGKILL)
            producer.wait()
        self.addCleanup(end)
        return producer

    def consume(self, buffers):
        """Lateness of each buffer, ns, and the statistics after it."""
        pipeline = Gst.parse_launch(f"mmapsrc name=src file={self.file} ! appsink name=sink sync=false")
        self.addCleanup(pipeline.set_state, Gst.State.NULL)
        pipeline.set_state(Gst.State.PLAYING)
        sink, src = pipeline.get_by_name("sink"), pipeline.get_by_name("src")
        for _ in range(buffers):
            sample = sink.emit("try-pull-sample", WAIT)
            self.assertIsNotNone(sample, "no frame")
            running_time = sample.get_segment().to_running_time(Gst.Format.TIME, sample.get_buffer().pts)
            now = pipeline.get_clock().get_time() - pipeline.get_base_time()
            stats = src.get_property("stats")
            yield now - running_time, stats.get_value("clock-offset"), stats.get_value("clock-error")

    def check(self, offset_s):
        self.produce(offset_s)
        for lateness, offset, error in self.consume(100):
            # The frame was made before now, however slow the machine is; and within this test.
            self.assertGreater(lateness, -SECOND // 10)
            self.assertLess(lateness, WAIT)
            self.assertLess(error, SECOND)
            self.assertLessEqual(abs(offset - offset_s * SECOND), error)

    def test_ahead(self):
        self.check(100000)

    def test_behind(self):
        self.check(-int(time.clock_gettime(time.CLOCK_MONOTONIC)) // 2)

    def test_same(self):
        self.check(0)

    def test_another_producer(self):
        """A guest that is started anew has another clock."""
        for offset_s in 5000, 70000:
            producer = self.produce(offset_s)
            if offset_s == 5000:
                frames = self.consume(400)
            for lateness, offset, error in frames:
                self.assertGreater(lateness, -SECOND // 10)
                self.assertLess(lateness, WAIT)
                if abs(offset - offset_s * SECOND) <= error:
                    break
            else:
                self.fail(f"the offset never became {offset_s} s")
            producer.send_signal(signal.SIGKILL)
            producer.wait()


if __name__ == "__main__":
    Gst.init(None)
    unittest.main()
