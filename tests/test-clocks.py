#!/usr/bin/python3
# gst-mmap: a producer and a consumer whose CLOCK_MONOTONIC differ: in time namespaces, as in a guest and its host
#
# test-clocks.py SKEWED-CLOCK-LIBRARY [OPTION...]
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
MS = 10**6
WAIT = 60 * SECOND

LATENESS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vm/lateness.py")

# What runs in a mount namespace of its own, where the kernel has another name.
OTHER_KERNEL = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="gst-mmap-test-", dir="/dev/shm")
        self.addCleanup(self.directory.cleanup)
        self.file = os.path.join(self.directory.name, "cam0")

    def launch(self, offset_s, pipeline, unshare=(), env=None):
        """A process whose clock is ahead of ours."""
        producer = subprocess.Popen(
            ["unshare", "--time", "--monotonic", str(offset_s), "--fork", "--kill-child", *unshare,
             "gst-launch-1.0", "-q", *pipeline.split()], stdin=subprocess.DEVNULL, env=env)

        def end():
            producer.send_signal(signal.SIGKILL)
            producer.wait()
        self.addCleanup(end)
        return producer

    def play(self, pipeline, base_time=None):
        """In this process, with a file that has room for two streams."""
        with open(self.file, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.truncate(16 << 20)
        pipeline = Gst.parse_launch(pipeline)
        self.addCleanup(pipeline.set_state, Gst.State.NULL)
        if base_time is not None:
            pipeline.set_start_time(Gst.CLOCK_TIME_NONE)
            pipeline.set_base_time(base_time)
        pipeline.set_state(Gst.State.PLAYING)
        return pipeline


class Clocks(Case):
    def produce(self, offset_s):
        return self.launch(offset_s, "videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=50/1 ! "
                                     f"mmapsink file={self.file} size=16777216")

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


class Older(Case):
    def test_than_the_machine(self):
        """The producer's pipeline has run since before this side's machine was started: it was migrated here."""
        uptime = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        producer = self.play(f"videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=50/1 ! "
                             f"mmapsink file={self.file} channel=video size=4194304 "
                             f"audiotestsrc is-live=true ! mmapsink file={self.file} channel=audio size=4194304",
                             base_time=uptime // 2)
        consumer = subprocess.Popen(["unshare", "--time", "--monotonic", str(-uptime * 3 // 4 // SECOND), "--fork", "--kill-child",
                                     "/usr/bin/python3", LATENESS, self.file], stdout=subprocess.PIPE, text=True)
        self.addCleanup(consumer.stdout.close)
        self.addCleanup(consumer.wait)
        self.addCleanup(consumer.kill)
        for _ in range(50):
            lateness, offset, error, apart = (int(word) for word in consumer.stdout.readline().split())
            self.assertLess(abs(lateness), uptime // 8)
            self.assertLess(abs(apart), SECOND)
            self.assertAlmostEqual(offset, uptime * 3 // 4, delta=SECOND + error)
        producer.set_state(Gst.State.NULL)


class Drift(Case):
    """Video and audio of another machine, whose clock began elsewhere and is too fast."""

    AHEAD_S, PPM = 100000, 450
    FRAME = SECOND // 25

    def produce(self, live, seconds=3600):
        kernel = os.path.join(self.directory.name, "boot_id")
        with open(kernel, "w", encoding="utf-8") as file:
            file.write("01234567-89ab-cdef-0123-456789abcdef\n")
        preloaded = [os.environ[name] for name in ("LD_PRELOAD",) if os.environ.get(name)]
        env = dict(os.environ, LD_PRELOAD=":".join([*preloaded, SKEWED_CLOCK]), MMAP_TEST_SKEW=str(self.PPM))
        return self.launch(
            self.AHEAD_S,
            f"videotestsrc is-live={live} num-buffers={seconds * 25} ! video/x-raw,format=I420,width=64,height=48,framerate=25/1 ! "
            f"mmapsink file={self.file} channel=video size=4194304 "
            f"audiotestsrc is-live={live} num-buffers={seconds * 50} samplesperbuffer=960 ! "
            f"audio/x-raw,format=S16LE,rate=48000,channels=1 ! mmapsink file={self.file} channel=audio size=4194304",
            ["--mount", "sh", "-c", OTHER_KERNEL, kernel], env)

    def follow(self, provide_clock, seconds=12):
        """Of each frame: its time stamp, when it was taken here, and by how much later than in the producer's pipeline both streams are
        rendered, and may be by mistake."""
        pipeline = self.play(" ".join(f"mmapsrc name={channel} file={self.file} channel={channel} provide-clock={provide_clock} ! "
                                      f"appsink name={channel}-sink sync=false" for channel in ("video", "audio")))
        self.produce("true")
        first = pts = None
        while first is None or pts < first + seconds * SECOND:
            row, error = [], 0
            for channel, buffers in ("video", 1), ("audio", 2):
                for _ in range(buffers):
                    sample = pipeline.get_by_name(channel + "-sink").emit("try-pull-sample", WAIT)
                    self.assertIsNotNone(sample, "no frame")
                pts = sample.get_buffer().pts
                row.append(sample.get_segment().to_running_time(Gst.Format.TIME, pts) - pts)
                error = max(error, pipeline.get_by_name(channel).get_property("stats").get_value("clock-error"))
            first = pts if first is None else first
            yield pipeline, pts, time.monotonic_ns(), *row, error

    def test_together(self):
        rows = []
        for _, pts, now, video, audio, error in self.follow("false"):
            rows.append((pts, now, video, error))
            self.assertLess(abs(video - audio), self.FRAME)
        pts, now, shift, _ = (last - first for first, last in zip(rows[0], rows[-1]))
        # The producer's clock was ahead by so much more when the last frame came, which was after it was made, and before it was taken.
        least, most = (elapsed * self.PPM // 10**6 for elapsed in sorted((pts, now)))
        error = 2 * MS + rows[0][3] + rows[-1][3]
        self.assertGreater(least, 5 * MS)
        self.assertGreater(-shift, least - error)
        self.assertLess(-shift, most + error)

    def test_provided(self):
        """In a pipeline that has the producer's clock nothing drifts."""
        rows = []
        for pipeline, _, _, video, audio, _ in self.follow("true"):
            self.assertLess(abs(video - audio), self.FRAME)
            rows.append(video)
        clock = pipeline.get_clock()
        self.assertEqual(clock.__gtype__.name, "GstMmapClock")
        self.assertEqual(len(set(rows[len(rows) // 2:])), 1)
        _, _, numerator, denominator = clock.get_calibration()
        self.assertAlmostEqual(numerator / denominator, 1 + self.PPM / 10**6, delta=self.PPM / 10**6 / 2)

    def test_recording(self):
        """What was captured at one instant is at one instant of the recording."""
        recording = os.path.join(self.directory.name, "recording")
        recorder = self.play(f"matroskamux name=mux ! filesink location={recording} "
                             + " ".join(f"mmapsrc file={self.file} channel={channel} ! queue ! mux.{channel}_0"
                                        for channel in ("video", "audio")))
        # What happened before its clock started is not recorded.
        self.assertIsNotNone(recorder.get_bus().timed_pop_filtered(WAIT, Gst.MessageType.NEW_CLOCK))
        self.produce("false", 8)
        message = recorder.get_bus().timed_pop_filtered(WAIT, Gst.MessageType.EOS | Gst.MessageType.ERROR)
        self.assertIsNotNone(message, "the recording doesn't end")
        self.assertEqual(message.type, Gst.MessageType.EOS)
        recorder.set_state(Gst.State.NULL)
        video, audio = (self.time_stamps(recording, pad) for pad in ("video_0", "audio_0"))
        self.assertEqual((len(video), len(audio)), (200, 400))
        for frame, sound in zip(video, audio[::2]):
            self.assertLess(abs(frame - sound), self.FRAME)

    def time_stamps(self, recording, pad):
        reader = Gst.parse_launch(f"filesrc location={recording} ! matroskademux name=d d.{pad} ! appsink name=sink sync=false")
        self.addCleanup(reader.set_state, Gst.State.NULL)
        reader.set_state(Gst.State.PLAYING)
        sink, stamps = reader.get_by_name("sink"), []
        while (sample := sink.emit("try-pull-sample", WAIT)) is not None:
            stamps.append(sample.get_buffer().pts)
        return stamps


if __name__ == "__main__":
    SKEWED_CLOCK = sys.argv.pop(1)
    Gst.init(None)
    unittest.main()
