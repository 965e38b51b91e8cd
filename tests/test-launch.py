#!/usr/bin/python3
"""Whole processes: pipelines that share memory, each a gst-launch-1.0 as a user starts it.

meson runs each class as a test of its own. By hand, on a build in build/:

    /usr/bin/python3 tests/test-launch.py [-v] [CLASS[.test]]

GST_PLUGIN_PATH names another build's gst/. Every wait has an end, and reaching it is a failure: no test says how fast
something has to be. tests/run sets, for the builds with a sanitizer: MMAP_TEST_PRELOAD, the libraries that
gst-launch-1.0 loads first, and MMAP_TEST_TIMES, by how much everything is slower.
"""

import contextlib
import filecmp
import fcntl
import itertools
import os
import pathlib
import re
import resource
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parent.parent
TIMES = int(os.environ.get("MMAP_TEST_TIMES", "1"))
LIMIT_S = 20 * TIMES            # of one wait
POLL_S = 0.02
NOBODY = 65534
COMPLAINTS = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|-CRITICAL \*\*|-WARNING \*\*")


def environment():
    env = dict(os.environ)
    env.setdefault("GST_PLUGIN_PATH", str(TOP / "build" / "gst"))
    env.setdefault("GST_REGISTRY", str(TOP / "build" / "registry.bin"))
    env["LC_ALL"] = "C"
    env["GST_DEBUG_NO_COLOR"] = "1"
    env.pop("GST_DEBUG", None)
    env.pop("XDG_RUNTIME_DIR", None)
    if os.environ.get("MMAP_TEST_PRELOAD"):
        env["LD_PRELOAD"] = os.environ["MMAP_TEST_PRELOAD"]
    return env


class Launch:
    """One process. What it prints goes to a file, so that it never waits for us."""

    def __init__(self, test, name, command, env=None, uid=None):
        self.test = test
        self.name = name
        self.path = test.directory / f"{name}.log"
        self.command = [str(word) for word in command]
        with open(self.path, "wb") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=test.directory,
                env={**environment(), **(env or {})}, pass_fds=test.inherits, user=uid, group=uid, extra_groups=None if uid is None else [])

    def output(self):
        return self.path.read_text(errors="replace")

    def describe(self):
        lines = [line for line in self.output().splitlines() if not re.match(r"/GstPipeline.* = ", line)]
        return f"\n{self.name}: {shlex.join(self.command)}\n" + "\n".join(lines[-40:])

    def is_running(self):
        return self.process.poll() is None

    def finish(self, fails=False):
        """Waits for the end and checks how it ended: by itself, with or without success. Returns what was printed."""
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self.test.fail(f"not finished after {LIMIT_S} s:{self.test.describe()}")
        complaint = COMPLAINTS.search(self.output())
        if complaint:
            self.test.fail(f"{self.describe()}\n{self.output()[complaint.start():]}")
        if fails:
            self.test.assertGreater(self.process.returncode, 0, self.test.describe())
        else:
            self.test.assertEqual(self.process.returncode, 0, self.test.describe())
        return self.output()

    def interrupt(self):
        """As Ctrl-C does. Returns what was printed."""
        self.process.send_signal(signal.SIGINT)
        return self.finish()

    def kill(self):
        self.process.kill()
        self.process.wait()


class LaunchTest(unittest.TestCase):
    numbers = itertools.count(1)
    maxDiff = 2000
    # Descriptors that all processes get.
    inherits = ()

    def run(self, result=None):
        self.result = result
        return super().run(result)

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="gst-mmap-test-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.prefix = f"gst-mmap-test-{os.getpid()}-{next(self.numbers)}"
        self.socket = self.directory / "socket"
        self.processes = []

    def tearDown(self):
        left = [launch.name for launch in self.processes if launch.is_running()]
        for launch in self.processes:
            launch.kill()
        shm = list(pathlib.Path("/dev/shm").glob(self.prefix + "*"))
        for path in shm:
            path.unlink()
        sockets = [path for path in self.directory.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode) or path.suffix == ".lock"]
        # What is left behind is news only if all else went well.
        if not any(test is self for test, _ in self.result.failures + self.result.errors):
            self.assertEqual(left, [], "still running")
            self.assertEqual(sockets, [], "sockets left behind")
            self.assertEqual(shm, [], "memory left behind")

    def describe(self):
        return "".join(launch.describe() for launch in self.processes)

    def start(self, name, *command, **options):
        launch = Launch(self, f"{len(self.processes)}-{name}", command, **options)
        self.processes.append(launch)
        return launch

    def launch(self, name, pipeline, options=(), **rest):
        return self.start(name, "gst-launch-1.0", *options, *shlex.split(pipeline), **rest)

    def wait_for(self, what, condition, *alive):
        """Waits until condition () is true; fails if one of the processes in alive ends before that."""
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            for launch in alive:
                if not launch.is_running() and not condition():
                    self.fail(f"{launch.name} ended before: {what}{self.describe()}")
            if time.monotonic() > deadline:
                self.fail(f"after {LIMIT_S} s still not: {what}{self.describe()}")
            time.sleep(POLL_S)

    def wait_for_socket(self, producer, path=None):
        path = path or self.socket
        self.wait_for(f"{path} exists", path.is_socket, producer)

    def as_nobody(self):
        """Options of launch() for a process of another user, who must be able to read plugin and registry."""
        self.directory.chmod(0o755)
        ours = environment()
        plugins, registry = self.directory / "plugins", self.directory / "registry.bin"
        plugins.mkdir(mode=0o755)
        for plugin in pathlib.Path(ours["GST_PLUGIN_PATH"].split(":")[0]).glob("*.so"):
            shutil.copy(plugin, plugins)
        # The registry is there once a pipeline has run.
        self.launch("first", "fakesrc num-buffers=1 ! fakesink").finish()
        shutil.copyfile(ours["GST_REGISTRY"], registry)
        env = {"GST_PLUGIN_PATH": str(plugins), "GST_REGISTRY": str(registry), "HOME": "/nonexistent"}
        return {"env": env, "uid": NOBODY}

    def at(self, socket=None):
        return f"socket-path={socket or self.socket}"

    def live(self, name="producer", socket=None, extra="", **options):
        """A producer that goes on for ever."""
        return self.launch(
            name, f"videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=100/1 "
                  f"! mmapsink {self.at(socket)} {extra}", **options)

    def take(self, frames, name="consumer", socket=None, extra="", **options):
        """A consumer that goes after some frames."""
        return self.launch(name, f"mmapsrc {self.at(socket)} {extra} ! identity eos-after={frames} ! fakesink", **options)

    def transfer(self, source, sink_options=None, src_options=None, env=None, consumer_first=False, then="identity"):
        """Sends what the pipeline source makes through shared memory, and compares the bytes that arrive, after the
        element then, with those in one process."""
        expected, received = self.directory / "expected", self.directory / "received"
        self.launch("reference", f"{source} ! {then} ! filesink location={expected}").finish()
        self.assertGreater(expected.stat().st_size, 0)

        sink_options = self.at() if sink_options is None else sink_options
        src_options = self.at() if src_options is None else src_options
        pipelines = [("producer", f"{source} ! mmapsink {sink_options} sync=false"),
                     ("consumer", f"mmapsrc {src_options} ! {then} ! filesink location={received}")]
        if consumer_first:
            pipelines.reverse()
        pair = [self.launch(name, pipeline, env=env) for name, pipeline in pipelines]
        for launch in pair:
            self.assertIn("Got EOS", launch.finish())

        self.assert_same_bytes(expected, received)

    def assert_same_bytes(self, expected, received):
        """And removes them."""
        self.assertEqual(received.stat().st_size, expected.stat().st_size, self.describe())
        if not filecmp.cmp(expected, received, shallow=False):
            self.fail(f"byte {self.first_difference(expected, received)} differs{self.describe()}")
        expected.unlink()
        received.unlink()

    @staticmethod
    def first_difference(one, other):
        with open(one, "rb") as first, open(other, "rb") as second:
            for start in itertools.count(0, 1 << 16):
                for at, (a, b) in enumerate(zip(first.read(1 << 16), second.read(1 << 16))):
                    if a != b:
                        return start + at


def video(frames, caps, pattern="smpte"):
    return f"videotestsrc num-buffers={frames} pattern={pattern} horizontal-speed=1 ! video/x-raw,{caps}"


SMALL = video(20, "format=I420,width=320,height=240")
# a second of each
RECORDED_VIDEO = video(25, "format=I420,width=160,height=120,framerate=25/1")
RECORDED_AUDIO = "audiotestsrc num-buffers=50 samplesperbuffer=960 ! audio/x-raw,format=S16LE,rate=48000,channels=2"


class Life(LaunchTest):
    """Who starts, leaves and returns when."""

    def test_producer_first(self):
        producer = self.launch("producer", f"{SMALL} ! mmapsink {self.at()} sync=false")
        self.wait_for_socket(producer)
        consumer = self.launch("consumer", f"mmapsrc {self.at()} ! identity eos-after=100 ! fakesink")
        consumer.finish()
        producer.finish()

    def test_consumer_first(self):
        consumer = self.take(20)
        time.sleep(0.5)
        self.assertTrue(consumer.is_running(), self.describe())
        producer = self.launch("producer", f"{SMALL} ! mmapsink {self.at()} sync=false")
        consumer.finish()
        producer.finish()

    def test_all_frames_whoever_is_first(self):
        self.transfer(SMALL)
        self.transfer(SMALL, consumer_first=True)

    def test_default_socket(self):
        self.transfer(SMALL, "", "", env={"XDG_RUNTIME_DIR": str(self.directory)})
        self.assertEqual(stat.S_IMODE((self.directory / "gst-mmap").stat().st_mode), 0o700)

    def test_default_socket_without_runtime_directory(self):
        self.transfer(SMALL, "", "")
        self.assertFalse(pathlib.Path(f"/tmp/gst-mmap-{os.getuid()}/default").exists())

    def test_abstract_socket(self):
        self.transfer(SMALL, self.at("@" + self.prefix), self.at("@" + self.prefix))

    def test_file_region(self):
        path = pathlib.Path("/dev/shm") / self.prefix
        producer = self.live(extra=f"file={path} size=4000000")
        self.wait_for("the file exists", path.exists, producer)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.take(10).finish()
        producer.interrupt()
        self.assertFalse(path.exists())

    def test_file_region_bytes(self):
        self.transfer(SMALL, f"{self.at()} file=/dev/shm/{self.prefix} size=4000000")

    def test_consumer_returns(self):
        producer = self.live()
        self.take(10).finish()
        time.sleep(0.3)
        self.take(10).finish()
        producer.interrupt()

    def test_ten_consumers_in_turn(self):
        producer = self.live()
        for _ in range(10):
            self.take(5).finish()
        producer.interrupt()

    def test_three_consumers_at_once(self):
        producer = self.live()
        for consumer in [self.take(50) for _ in range(3)]:
            consumer.finish()
        producer.interrupt()

    def test_consumer_killed(self):
        producer = self.live()
        consumer = self.launch("consumer", f"mmapsrc {self.at()} ! fakesink silent=false", options=["-v"])
        self.wait_for("a frame arrived", lambda: "chain" in consumer.output(), consumer, producer)
        consumer.kill()
        self.take(50).finish()
        producer.interrupt()

    def test_producer_killed_and_replaced(self):
        producer = self.live()
        self.take(5).finish()
        producer.kill()
        self.assertTrue(self.socket.is_socket(), "nobody can have removed it")
        producer = self.live("successor")
        self.take(5).finish()
        producer.interrupt()

    def test_producer_killed_file_replaced(self):
        path = pathlib.Path("/dev/shm") / self.prefix
        producer = self.live(extra=f"file={path} size=4000000")
        self.take(5).finish()
        producer.kill()
        self.assertTrue(path.exists())
        producer = self.live("successor", extra=f"file={path} size=4000000")
        self.take(5).finish()
        producer.interrupt()

    def test_beside_udpsrc(self):
        # udpsrc (1.22) teaches GSocket a control message that takes descriptors for a time stamp.
        producer = self.live()
        consumer = self.launch(
            "consumer", f"udpsrc port=0 ! fakesink async=false mmapsrc {self.at()} ! fakesink silent=false async=false",
            options=["-v"])
        self.wait_for("a frame arrived", lambda: "fakesink1: last-message = chain" in consumer.output(),
                      consumer, producer)
        consumer.interrupt()
        producer.interrupt()

    def test_statistics(self):
        producer = self.launch("producer", f"{SMALL} ! mmapsink {self.at()} sync=false", options=["-v"])
        self.take(100).finish()
        statistics = re.findall(r"stats = (.*)", producer.finish())
        self.assertTrue(statistics, self.describe())
        self.assertRegex(statistics[-1], r"\bframes=\(\w+\)20\b")
        self.assertRegex(statistics[-1], r"\bcopied=\(\w+\)0\b")

    def test_time_stamps(self):
        producer = self.launch("producer", f"{video(20, 'format=GRAY8,width=64,height=64,framerate=25/1')} "
                                           f"! mmapsink {self.at()} sync=false")
        consumer = self.launch("consumer", f"mmapsrc {self.at()} ! checksumsink sync=false")
        lines = re.findall(r"^(\d+):(\d\d):(\d\d)\.(\d{9}) [0-9a-f]{40}$", consumer.finish(), re.M)
        producer.finish()
        stamps = [((int(h) * 60 + int(m)) * 60 + int(s)) * 10**9 + int(ns) for h, m, s, ns in lines]
        self.assertEqual([stamp - stamps[0] for stamp in stamps], [n * 40_000_000 for n in range(20)])


class Areas(LaunchTest):
    """A file and no socket: who finds whom in it."""

    SIZE = 8000000

    def setUp(self):
        super().setUp()
        self.file = pathlib.Path("/dev/shm") / self.prefix

    def at(self, channel=None):
        return f"file={self.file}" + (f" channel={channel}" if channel else "")

    def live(self, name="producer", socket=None, extra="", **options):
        return super().live(name, socket, f"size={self.SIZE} {extra}", **options)

    def watch(self, name="watcher", channel=None, extra=""):
        """A consumer that goes on for ever, and prints each frame."""
        return self.launch(name, f"mmapsrc {self.at(channel)} {extra} ! fakesink silent=false", options=["-v"])

    def wait_for_frames(self, watcher, producer, n=5):
        """More than there were."""
        before = watcher.output().count("chain")
        self.wait_for(f"{n} more frames arrived", lambda: watcher.output().count("chain") >= before + n, watcher, producer)

    def make(self, size=SIZE):
        """As a VM's memory: zeros."""
        with open(self.file, "wb") as file:
            file.truncate(size)

    def test_all_frames_whoever_is_first(self):
        self.transfer(SMALL)
        self.transfer(SMALL, consumer_first=True)
        self.assertFalse(self.file.exists())

    def test_file_that_was_there(self):
        for size in (4 << 20, 5000001, 1 << 20):
            self.make(size)
            self.transfer(SMALL)
            # The same again, in what the first has left.
            self.transfer(SMALL, consumer_first=True)
            self.assertEqual(self.file.stat().st_size, size)
        self.file.unlink()

    def test_inherited_memfd(self):
        """As QEMU can be given one, which has no other name."""
        memory = os.memfd_create("vm", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # Nobody who doesn't inherit it has this number.
        fd = fcntl.fcntl(memory, fcntl.F_DUPFD_CLOEXEC, 90)
        os.close(memory)
        self.addCleanup(os.close, fd)
        os.ftruncate(fd, 8 << 20)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.inherits = (fd,)
        self.file = f"/proc/self/fd/{fd}"
        self.transfer(SMALL)
        self.transfer(SMALL, consumer_first=True)
        # Who has not inherited it.
        self.inherits = ()
        self.assertRegex(self.launch("stranger", f"mmapsrc {self.at()} ! fakesink").finish(fails=True), "this process has to inherit it")

    def test_more_than_4_gib(self):
        self.make((5 << 30) + 4096)
        # So much of it belongs to somebody else that the rest begins beyond what 32 bits can say.
        filler = self.live(extra="size=4600000000 wait-for-connection=false", socket="filler", name="filler")
        self.take(5, socket="filler").finish()
        self.transfer(SMALL)
        filler.interrupt()
        self.file.unlink()

    def test_mode_and_removal(self):
        producer = self.live()
        self.wait_for("the file exists", self.file.exists, producer)
        # The sticky bit says that it was made by a producer.
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o1600)
        self.take(10).finish()
        producer.interrupt()
        self.assertFalse(self.file.exists())

    def test_several_channels_both_ways(self):
        self.make(16 << 20)
        producers = [self.live(f"producer-{n}", socket=f"stream-{n}", extra="size=2000000") for n in range(4)]
        consumers = [self.take(20, f"consumer-{n}-{i}", socket=f"stream-{n}") for n in range(4) for i in range(2)]
        for consumer in consumers:
            consumer.finish()
        for producer in producers:
            producer.interrupt()
        self.file.unlink()

    def test_consumers_in_turn(self):
        producer = self.live()
        for _ in range(20):
            self.take(2).finish()
        producer.interrupt()

    def test_producer_killed(self):
        producer = self.live()
        watcher = self.watch()
        for n in range(3):
            self.wait_for_frames(watcher, producer)
            producer.kill()
            producer = self.live(f"successor-{n}")
        self.wait_for_frames(watcher, producer)
        watcher.interrupt()
        producer.interrupt()

    def test_consumer_killed(self):
        producer = self.live(extra="leaky-type=none")
        for _ in range(3):
            watcher = self.watch()
            self.wait_for_frames(watcher, producer)
            watcher.kill()
        self.take(50).finish()
        producer.interrupt()

    def test_name_in_use(self):
        producer = self.live()
        watcher = self.watch()
        self.wait_for_frames(watcher, producer)
        text = self.live("rival").finish(fails=True)
        self.assertIn("reason: in-use", text)
        self.assertIn(f"pid {producer.process.pid}", text)
        self.wait_for_frames(watcher, producer)
        watcher.interrupt()
        producer.interrupt()

    def test_rivals_at_once(self):
        for _ in range(3):
            rivals = [self.live(f"rival-{n}") for n in range(3)]
            self.wait_for("one is left", lambda: sum(rival.is_running() for rival in rivals) == 1)
            winner = next(rival for rival in rivals if rival.is_running())
            self.take(5).finish()
            winner.interrupt()
            for rival in rivals:
                if rival is not winner:
                    self.assertIn("reason: in-use", rival.finish(fails=True))

    def test_paused_producer(self):
        producer = self.live()
        watcher = self.watch()
        self.wait_for_frames(watcher, producer)
        producer.process.send_signal(signal.SIGSTOP)
        self.wait_for("that was noticed", lambda: "mmap-disconnected" in watcher.output() or watcher.output().count("chain") and
                      self.is_quiet(watcher), watcher)
        producer.process.send_signal(signal.SIGCONT)
        self.wait_for_frames(watcher, producer)
        watcher.interrupt()
        producer.interrupt()

    def is_quiet(self, launch):
        before = len(launch.output())
        time.sleep(2)
        return len(launch.output()) == before

    def test_paused_consumer(self):
        producer = self.live(extra="leaky-type=none")
        watcher = self.watch()
        self.wait_for_frames(watcher, producer)
        watcher.process.send_signal(signal.SIGSTOP)
        # The others don't wait for it for long.
        self.take(50).finish()
        watcher.process.send_signal(signal.SIGCONT)
        self.wait_for_frames(watcher, producer)
        watcher.interrupt()
        producer.interrupt()

    def overwrite(self, data):
        """All of the file, with what data () makes of a number of bytes."""
        with open(self.file, "r+b") as file:
            for offset in range(0, self.file.stat().st_size, 1 << 16):
                file.write(data(min(1 << 16, self.file.stat().st_size - offset)))

    def test_overwritten(self):
        self.make(4 << 20)
        producer = self.live(extra="size=2000000")
        watcher = self.watch()
        for data in (os.urandom, bytes, lambda n: b"\377" * n, os.urandom):
            self.wait_for_frames(watcher, producer)
            self.overwrite(data)
        self.wait_for_frames(watcher, producer)
        self.take(10).finish()
        watcher.interrupt()
        producer.interrupt()
        self.file.unlink()

    def poke(self, offset, *words):
        """Writes 64-bit words."""
        with open(self.file, "r+b", buffering=0) as file:
            os.pwrite(file.fileno(), struct.pack(f"<{len(words)}Q", *words), offset)

    def peek(self, offset):
        with open(self.file, "rb", buffering=0) as file:
            return struct.unpack("<Q", os.pread(file.fileno(), 8, offset))[0]

    def find_slots(self):
        """Where the link slots of the first channel are."""
        first, n = self.peek(4096 + 16), self.peek(4096 + 24) >> 32
        self.slots = [first + i * 163840 for i in range(n)]

    def slot(self):
        """The one that is in use."""
        return next((at for at in self.slots if self.peek(at + 256) != 0), None)

    def test_each_word_overwritten(self):
        self.make(4 << 20)
        producer = self.live(extra="size=2000000")
        watcher = self.watch()
        self.wait_for_frames(watcher, producer)
        self.find_slots()
        entry, owners, link = 4096, 8192, 32768
        worst = (1 << 64) - 1
        # From the file's start: the header's, the channel's, the owners of all its slices.
        fixed = [0, 8, 16, 24, 32, entry, entry + 8, entry + 16, entry + 24, entry + 32, entry + 64, entry + 128,
                 *range(owners + 8, owners + 24, 8)]
        # From the slot's: claim, who it is, the mailbox's indices, served; of the link the header, heads and tails.
        of_slot = [0, 64, 72, 128, 192, 256, 264, 320, 16384,
                   *(link + at for at in (0, 16, 192, 200, 256, 320, 328, 384, 448, 512, 576, 8192 + 8, 8192 + 24, 8192 + 32))]
        for value in (worst, 0x0123456789abcdef):
            for at in fixed:
                with self.subTest(offset=at, value=value):
                    self.poke(at, value)
                    # Until it is seen.
                    time.sleep(0.12)
                    self.wait_for_frames(watcher, producer, 3)
            for at in of_slot:
                with self.subTest(slot_offset=at, value=value):
                    self.wait_for("there is a link", self.slot, producer, watcher)
                    self.poke(self.slot() + at, value)
                    self.wait_for_frames(watcher, producer, 3)
        self.take(10).finish()
        watcher.interrupt()
        producer.interrupt()
        self.file.unlink()

    def claim(self):
        """A slot, as a consumer does; returns where it is, and the number that it was claimed with."""
        number = int.from_bytes(os.urandom(8), "little") | 1
        self.wait_for("a slot is free", lambda: any(self.peek(at) == 0 and self.peek(at + 256) == 0 for at in self.slots))
        at = next(at for at in self.slots if self.peek(at) == 0 and self.peek(at + 256) == 0)
        self.poke(at, number)
        return at, number

    def test_hostile_consumers(self):
        self.make(4 << 20)
        producer = self.live(extra="size=2000000")
        watcher = self.watch()
        self.wait_for_frames(watcher, producer)
        self.find_slots()
        up = 32768 + 98304
        header = struct.pack("<IHHII", 0x316d6d67, 1, 1, 0, 0)
        for name, message, head in (
                ("another magic", b"x" * 16, 16),
                ("too long", struct.pack("<IHHII", 0x316d6d67, 1, 1, 1 << 20, 0), 16),
                ("as long as can be, and no more of it", struct.pack("<IHHII", 0x316d6d67, 1, 1, 65536, 0), 16),
                ("no body", header, 16),
                ("another version", struct.pack("<IHHII", 0x316d6d67, 2, 1, 0, 0), 16),
                ("a head beyond the ring", header, 32769),
                ("the largest head", header, (1 << 64) - 1)):
            with self.subTest(name):
                at, number = self.claim()
                self.poke(at + 64, number)
                self.wait_for("it is served", lambda: self.peek(at + 256) == number, producer)
                with open(self.file, "r+b", buffering=0) as file:
                    os.pwrite(file.fileno(), message, at + up)
                self.poke(at + 32768 + 512, head)
                self.wait_for("it has ended", lambda: self.peek(at + 256) == 0 and self.peek(at) == 0, producer)
                self.wait_for_frames(watcher, producer)
        # Those that claim and say nothing are gone after a second; until then nobody else is kept out.
        free = [at for at in self.slots if self.peek(at) == 0]
        for at in free:
            self.poke(at, 7)
        self.take(10).finish()
        self.wait_for_frames(watcher, producer)
        watcher.interrupt()
        producer.interrupt()
        self.file.unlink()

    def test_truncated(self):
        producer = self.live()
        watcher = self.watch()
        self.wait_for_frames(watcher, producer)
        os.truncate(self.file, 0)
        for launch in (producer, watcher):
            self.assertIn("reason: truncated", launch.finish(fails=True))

    def error(self, reason, *words, options=""):
        text = self.launch("refused", f"videotestsrc num-buffers=1 ! mmapsink {self.at()} {options}").finish(fails=True)
        for word in (f"reason: {reason}", *words):
            self.assertIn(word, text)

    def test_refused(self):
        self.error("too-small", "100000", options="size=100000")
        self.make(65536)
        self.error("too-small", "65536")
        self.file.write_bytes(b"x" * self.SIZE)
        self.error("not-a-region", "gst-mmap format")
        self.assertEqual(self.file.read_bytes(), b"x" * self.SIZE)
        self.make()
        self.file.chmod(0o606)
        self.error("unsafe-path", "o-w")
        self.file.chmod(0o600)
        self.error("setting", "channel", options=f"channel={'x' * 64}")
        self.error("setting", "channel=x", options=f"channel=x socket-path={self.socket}")
        os.chown(self.file, NOBODY, NOBODY)
        self.error("unsafe-path", str(NOBODY))
        self.file.unlink()
        os.symlink("/dev/shm/nothing", self.file)
        self.error("exists", "symbolic link")
        self.file.unlink()

    def test_other_size(self):
        # One side has a header that is right for another size: its view of a VM's memory is another.
        self.make(4 << 20)
        producer = self.live(extra="size=1000000")
        watcher = self.watch()
        self.wait_for_frames(watcher, producer)
        watcher.interrupt()
        producer.interrupt()
        os.truncate(self.file, 8 << 20)
        self.error("size", str(4 << 20), str(8 << 20))
        self.file.unlink()

    def test_access_token(self):
        token = {"env": {"GST_MMAP_ACCESS_TOKEN": "sixteen bytes of it"}}
        producer = self.live(**token)
        self.take(5, **token).finish()
        text = self.take(5, "stranger").finish(fails=True)
        self.assertIn("reason: access-token", text)
        producer.interrupt()


class Remotes(LaunchTest):
    """Consumers that come through TCP, and call the producer's memory by another name."""

    def setUp(self):
        super().setUp()
        self.file = pathlib.Path("/dev/shm") / self.prefix
        self.other_name = pathlib.Path("/dev/shm") / (self.prefix + "-seen-from-there")
        with open(self.file, "wb") as file:
            file.truncate(8 << 20)
        os.link(self.file, self.other_name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"tcp:127.0.0.1:{probe.getsockname()[1]}"

    def tearDown(self):
        self.file.unlink()
        self.other_name.unlink()
        super().tearDown()

    def at(self, socket=None):
        return f"file={self.file} address={self.address}"

    def from_there(self):
        return f"file={self.other_name} address={self.address}"

    def watch(self, name="watcher", extra=""):
        return self.launch(name, f"mmapsrc {self.from_there()} {extra} ! fakesink silent=false", options=["-v"])

    def wait_for_frames(self, watcher, producer, n=5):
        before = watcher.output().count("chain")
        self.wait_for(f"{n} more frames arrived", lambda: watcher.output().count("chain") >= before + n, watcher, producer)

    def connect(self):
        host, port = self.address.split(":")[1:]
        return socket.create_connection((host, int(port)), LIMIT_S)

    def test_all_frames_whoever_is_first(self):
        self.transfer(SMALL, src_options=self.from_there())
        self.transfer(SMALL, src_options=self.from_there(), consumer_first=True)

    def test_killed_and_started_again(self):
        watcher = self.watch()
        for _ in range(2):
            producer = self.live()
            self.wait_for_frames(watcher, producer)
            producer.kill()
        producer = self.live()
        self.wait_for_frames(watcher, producer)
        watcher.kill()
        # A link is free again each time, also for those that look into the file.
        for _ in range(3):
            killed = self.watch(name="killed")
            self.wait_for_frames(killed, producer)
            killed.kill()
        self.launch("in-file", f"mmapsrc file={self.other_name} ! identity eos-after=5 ! fakesink").finish()
        producer.interrupt()

    def test_network_is_lost(self):
        """As if a cable were pulled: nobody says that it has gone. Both sides notice, and find each other again."""
        there = self.start("there", "unshare", "--net", "sh", "-c", "echo up; exec sleep 1000")
        self.wait_for("it has a network of its own", lambda: "up" in there.output(), there)
        pid, here_if, there_if = there.process.pid, f"gm{os.getpid()}a", f"gm{os.getpid()}b"
        enter = ["nsenter", f"--target={pid}", "--net"]

        def ip(*args, enter=()):
            subprocess.run([*enter, "ip", *args], check=True)

        ip("link", "add", here_if, "type", "veth", "peer", "name", there_if, "netns", str(pid))
        port = self.address.split(":")[-1]
        ip("addr", "add", "198.18.0.1/30", "dev", here_if)
        ip("link", "set", here_if, "up")
        ip("addr", "add", "198.18.0.2/30", "dev", there_if, enter=enter)
        ip("link", "set", there_if, "up", enter=enter)

        self.address = f"tcp:198.18.0.1:{port} allow-remote=true"
        producer = self.live(options=["-v"])
        watcher = self.start("watcher", *enter, "gst-launch-1.0", "-v", "-m", "mmapsrc", *self.from_there().split(), "!", "fakesink", "silent=false")
        self.wait_for_frames(watcher, producer)
        ip("link", "set", there_if, "down", enter=enter)
        self.wait_for("the consumer gives its producer up", lambda: "mmap-disconnected" in watcher.output(), watcher, producer)
        ip("link", "set", there_if, "up", enter=enter)
        self.wait_for_frames(watcher, producer)
        self.wait_for("the producer gives the lost one up", lambda: self.consumers(producer)[-1] == 1, watcher, producer)
        self.assertGreaterEqual(len(self.consumers(producer)), 3)
        watcher.kill()
        producer.interrupt()
        there.kill()

    def consumers(self, producer):
        """How many there were, one after the other."""
        return [int(n) for n in re.findall(r"num-clients = (\d+)", producer.output())]

    def test_strangers(self):
        """Who sends garbage, or nothing, or half a message, is in nobody's way."""
        producer = self.live()
        watcher = self.watch()
        self.wait_for_frames(watcher, producer)
        with self.connect() as silent, self.connect() as half, self.connect() as garbage:
            half.sendall(b"mm")
            garbage.sendall(bytes(range(256)) * 300)
            garbage.settimeout(LIMIT_S)
            # It is hung up on.
            with contextlib.suppress(ConnectionError):
                while garbage.recv(1 << 16):
                    pass
            self.wait_for_frames(watcher, producer)
            self.watch(name="second").kill()
            del silent
        watcher.interrupt()
        producer.interrupt()

    def test_silent(self):
        """Nor are a thousand that say nothing, although there are no more than two links."""
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        producer = self.live()
        watcher = self.watch()
        self.wait_for_frames(watcher, producer)
        with contextlib.ExitStack() as silent:
            for _ in range(1000):
                silent.enter_context(self.connect())
            self.take(5).finish()
            self.wait_for_frames(watcher, producer)
        watcher.interrupt()
        producer.interrupt()

    def test_access_token(self):
        producer = self.live(extra="access-token=a-secret-of-both-sides")
        self.take(5, extra="access-token=a-secret-of-both-sides").finish()
        self.assertIn("reason: access-token", self.take(5, extra="access-token=another-that-is-no-secret").finish(fails=True))
        self.assertIn("reason: access-token", self.take(5).finish(fails=True))
        producer.interrupt()

    def test_other_memory(self):
        """The memory is not the producer's, whatever else it is."""
        producer = self.live()
        self.take(5).finish()
        zeros = self.directory / "zeros"
        zeros.write_bytes(bytes(8 << 20))
        other = self.launch("other", f"videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120 "
                                     f"! mmapsink file={self.directory}/area size=8000000")
        self.launch("look", f"mmapsrc file={self.directory}/area ! identity eos-after=5 ! fakesink").finish()
        for file in ("zeros", "area", "nothing"):
            wrong = self.launch("wrong", f"mmapsrc file={self.directory}/{file} address={self.address} ! fakesink").finish(fails=True)
            self.assertIn("name the same file, or the device that shows it", wrong)
        self.take(5).finish()
        other.interrupt()
        producer.interrupt()

    def test_settings(self):
        for element, says, reason in (
                (f"mmapsrc file={self.file} address=tcp:192.0.2.1:5000", "set allow-remote=true", "setting"),
                (f"mmapsrc file={self.file} address=tcp:127.0.0.1", "lacks a part", "address"),
                (f"mmapsrc file={self.file} address=tcp:127.0.0.1:99999", "has no port that could be", "address"),
                (f"mmapsrc file={self.file} address=tcp:::1:5000", "goes in brackets", "address"),
                (f"mmapsrc file={self.file} address=vsock:nobody:5000", "neither a number", "address"),
                (f"mmapsrc file={self.file} address=vsock:any:5000", "not connected to", "address"),
                (f"mmapsrc file={self.file} address=udp:127.0.0.1:5000", "of no known kind", "address"),
                (f"mmapsrc file={self.file} channel=x address={self.address}", "channel=x", "setting"),
                (f"mmapsrc address={self.address}", "needs a file", "setting")):
            output = self.launch("wrong", f"{element} ! fakesink").finish(fails=True)
            self.assertIn(says, output)
            self.assertIn(f"reason: {reason}", output)
        output = self.launch("wrong", f"videotestsrc ! mmapsink file={self.file} address=tcp:0.0.0.0:0").finish(fails=True)
        self.assertIn("reason: address", output)
        output = self.launch("wrong", f"videotestsrc ! mmapsink file={self.file} address=tcp:0.0.0.0:5000").finish(fails=True)
        self.assertIn("set allow-remote=true", output)
        producer = self.live()
        self.take(5).finish()
        output = self.launch("second", f"videotestsrc ! mmapsink file={self.directory}/second address={self.address}").finish(fails=True)
        self.assertIn("reason: in-use", output)
        producer.interrupt()
        output = self.launch("late", f"mmapsrc {self.from_there()} reconnect-timeout=1000000 ! fakesink").finish(fails=True)
        self.assertIn(f"No producer was at {self.address}", output)


class Disconnects(LaunchTest):
    """Processes, and whole containers, that end while others use what they share: see test-disconnect.c, too."""

    def container(self, name, pipeline, *options):
        """A process with namespaces of its own, all of which end with it."""
        return self.start(name, "unshare", *(options or ("--net", "--pid", "--fork", "--kill-child")),
                          "gst-launch-1.0", *shlex.split(pipeline))

    SOURCE = "videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=100/1"

    def watch(self, socket=None, extra=""):
        """A consumer that says what it sees."""
        return self.launch("consumer", f"mmapsrc {self.at(socket)} {extra} ! fakesink silent=false async=false",
                           options=["-v", "-m"])

    def remove_dead(self):
        """A producer that was killed can't have removed its socket."""
        for path in self.directory.glob(self.socket.name + "*"):
            path.unlink()

    def wait_frames(self, consumer, *alive):
        """More than there are."""
        before = consumer.output().count("chain")
        self.wait_for("more frames arrive", lambda: consumer.output().count("chain") > before + 5, consumer, *alive)

    def wait_said(self, launch, what, times=1):
        self.wait_for(f"{what}, {times} times", lambda: launch.output().count(what) >= times, launch)

    def test_producer_container(self):
        consumer = self.watch()
        for n in range(1, 3):
            producer = self.container("container", f"{self.SOURCE} ! mmapsink {self.at()}")
            self.wait_said(consumer, "mmap-connected", n)
            self.wait_frames(consumer, producer)
            producer.kill()
            self.wait_said(consumer, "mmap-disconnected", n)
        consumer.interrupt()
        self.remove_dead()

    def test_consumer_container(self):
        producer = self.live()
        consumer = self.watch()
        for _ in range(2):
            other = self.container("container", f"mmapsrc {self.at()} ! fakesink silent=false")
            self.wait_frames(consumer, other)
            other.kill()
        self.wait_frames(consumer, producer)
        self.assertEqual(consumer.output().count("mmap-connected"), 1, self.describe())
        consumer.interrupt()
        producer.interrupt()

    def test_abstract_socket_of_other_network(self):
        name = "@" + self.prefix
        producer = self.container("container", f"{self.SOURCE} ! mmapsink {self.at(name)}")
        consumer = self.launch("consumer", f"mmapsrc {self.at(name)} reconnect-timeout=200000000 ! fakesink")
        output = consumer.finish(fails=True)
        for words in name, "same network namespace", "within 0.", "reason: not-found":
            self.assertIn(words, output)
        self.assertTrue(producer.is_running(), self.describe())
        producer.kill()

    def test_mount_namespace(self):
        # Its directory is on a file system that nobody else has mounted: it goes with the container.
        place = self.directory / "inside"
        place.mkdir()
        pipeline = shlex.join(["gst-launch-1.0", *shlex.split(f"{self.SOURCE} ! mmapsink {self.at(place / 's')}")])
        producer = self.start("container", "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
                              f"mount -t tmpfs none {place} && exec {pipeline}")
        children = pathlib.Path(f"/proc/{producer.process.pid}/task/{producer.process.pid}/children")
        self.wait_for("it has a child", children.read_text, producer)
        socket = pathlib.Path(f"/proc/{children.read_text().strip()}/root{place}/s")
        self.wait_for_socket(producer, socket)
        consumer = self.watch(socket)
        self.wait_frames(consumer, producer)
        producer.kill()
        self.wait_said(consumer, "mmap-disconnected")
        time.sleep(0.5)
        self.assertTrue(consumer.is_running(), self.describe())
        self.assertFalse(socket.parent.exists())
        self.assertNotIn("ERROR", consumer.interrupt())

    def test_on_disconnect(self):
        for action, how in ("eos", "eos"), ("error", "error"), ("auto", "eos"):
            with self.subTest(action=action):
                producer = self.live()
                consumer = self.watch(extra=f"on-disconnect={action} is-live={str(action != 'auto').lower()}")
                self.wait_frames(consumer, producer)
                producer.kill()
                output = consumer.finish(fails=how == "error")
                # gst-launch-1.0 ends with the first error, and doesn't print what came before it.
                for words in (("action=(string)eos", "Got EOS") if how == "eos" else ("reason: closed",)):
                    self.assertIn(words, output)
                self.remove_dead()


class Errors(LaunchTest):
    """What goes wrong is said, at once and in words that help."""

    def error(self, sink_options, *words, source=SMALL, **options):
        output = self.launch("producer", f"{source} ! mmapsink {sink_options}", **options).finish(fails=True)
        self.assertIn("ERROR: ", output)
        for word in words:
            self.assertIn(str(word), output)
        return output

    def test_in_use(self):
        producer = self.live()
        self.wait_for_socket(producer)
        self.error(self.at(), "is in use", "reason: in-use", self.socket, f"pid {producer.process.pid}:")
        # the first one isn't disturbed
        self.take(5).finish()
        producer.interrupt()

    def test_file_in_use(self):
        path = pathlib.Path("/dev/shm") / self.prefix
        producer = self.live(extra=f"file={path} size=4000000")
        self.wait_for_socket(producer)
        self.error(f"{self.at(self.directory / 'other')} file={path} size=4000000", "reason: in-use", f"pid {producer.process.pid}", path)
        self.take(5).finish()
        producer.interrupt()

    def test_not_a_socket(self):
        self.socket.write_text("precious")
        self.error(self.at(), self.socket)
        self.assertEqual(self.socket.read_text(), "precious")

    def test_directory_missing(self):
        path = self.directory / "missing" / "socket"
        self.error(self.at(path), self.directory / "missing")

    def test_source_directory_missing(self):
        # A socket that isn't there may still come; a directory that isn't there is a mistake.
        path = self.directory / "missing" / "socket"
        output = self.launch("consumer", f"mmapsrc {self.at(path)} ! fakesink").finish(fails=True)
        self.assertIn(str(self.directory / "missing"), output)

    def test_no_permission(self):
        closed = self.directory / "closed"
        closed.mkdir(mode=0o555)
        if os.getuid() == 0:
            # Root may write anywhere.
            self.error(self.at(closed / "socket"), closed, "ermission", **self.as_nobody())
        else:
            self.error(self.at(closed / "socket"), closed, "ermission")

    def test_size_too_small(self):
        # Live: gst-launch-1.0 (1.22) never ends if an error comes before it has entered its main loop.
        live = video(5, "format=I420,width=640,height=480").replace("videotestsrc", "videotestsrc is-live=true")
        # One frame of I420 at 640x480 is 460800 bytes.
        self.error(f"{self.at()} size=100000", "460800 bytes", "size=100000 ", source=live)

    def test_truncated_file(self):
        # Nobody dies of it, though a mapping of what is gone can't be read or written.
        path = pathlib.Path("/dev/shm") / self.prefix
        producer = self.live(extra=f"file={path}")
        self.wait_for_socket(producer)
        reader = self.launch("reader", f"mmapsrc {self.at()} ! videoconvert ! video/x-raw,format=RGB ! fakesink", ["-v"])
        holder = self.launch("holder", f"mmapsrc {self.at()} ! fakesink", ["-v"])
        for consumer in reader, holder:
            self.wait_for("the link is up", lambda: "caps = video/x-raw" in consumer.output(), producer, consumer)
        os.truncate(path, 0)
        for launch in producer, reader, holder:
            output = launch.finish(fails=True)
            self.assertIn(f"{path} was truncated", output)
            self.assertIn("reason: truncated", output)

    def test_mistyped_property(self):
        output = self.launch("producer", f"{SMALL} ! mmapsink soket-path={self.socket}").finish(fails=True)
        self.assertIn('no property "soket-path"', output)
        output = self.launch("consumer", f"mmapsrc soket-path={self.socket} ! fakesink").finish(fails=True)
        self.assertIn('no property "soket-path"', output)


class Users(LaunchTest):
    """Processes of different users; run as root. An abstract socket keeps nobody out."""

    def setUp(self):
        super().setUp()
        self.socket = f"@{self.prefix}"

    def refuse(self, launch, *words):
        output = launch.finish(fails=True)
        for word in ("ERROR: ", "reason: user", f"user {NOBODY}", *words):
            self.assertIn(word, output)

    def test_consumer_refused(self):
        nobody = self.as_nobody()
        producer = self.live(options=["-v"])
        self.refuse(self.take(5, extra="allowed-uids=any", **nobody), "allowed-uids of mmapsink")
        # Who is allowed comes later, and isn't disturbed.
        self.take(5).finish()
        output = producer.interrupt()
        self.assertRegex(output, r"WARNING: .*\n(.*\n)*.*reason: user")

    def test_producer_not_trusted(self):
        producer = self.live(extra="allowed-uids=any", **self.as_nobody())
        self.refuse(self.take(5), "allowed-uids of mmapsrc", self.socket)
        self.take(5, extra="allowed-uids=nobody").finish()
        producer.interrupt()

    def test_both_ways(self):
        nobody = self.as_nobody()
        producer = self.live(extra="allowed-uids=daemon,nobody")
        self.take(5, extra="allowed-uids=0", **nobody).finish()
        # A list is the whole list.
        consumer = self.take(5)
        self.assertIn("reason: user", consumer.finish(fails=True))
        producer.interrupt()

    def test_mode_and_group(self):
        nobody = self.as_nobody()
        self.socket, path = self.directory / "socket", pathlib.Path("/dev/shm") / self.prefix
        producer = self.live(extra=f"mode=0660 group=nogroup allowed-uids=nobody file={path} size=4000000")
        self.take(5, extra="allowed-uids=root", **nobody).finish()
        for name, mode in (self.socket, 0o660), (path, 0o640):
            self.assertEqual((stat.S_IMODE(name.stat().st_mode), name.stat().st_gid), (mode, NOBODY))
        self.assertNotIn("WARNING", producer.interrupt())

    def test_mode_without_users(self):
        self.socket = self.directory / "socket"
        producer = self.live(extra="mode=0666")
        self.wait_for("a warning", lambda: "reason: setting" in producer.output(), producer)
        self.assertIn("allowed-uids lets only user 0 and root connect", producer.interrupt())

    def test_bad_modes(self):
        path = self.directory / "socket"
        for options, words in ((f"socket-path={path} mode=660", "mode=0660"), (f"socket-path={path} mode=0640", "set mode=0660"),
                               (f"socket-path={path} mode=0660 group=no-such-group", "'no-such-group'"),
                               (f"socket-path={path} group=nogroup", "set mode=0660"),
                               ("mode=0660", "without a socket-path"), (f"{self.at()} mode=0660", "abstract"),
                               ("signalling=application mode=0660", "without a file")):
            with self.subTest(options=options):
                output = self.launch("producer", f"{SMALL} ! mmapsink {options}").finish(fails=True)
                self.assertIn(words, output)
                self.assertIn("reason: setting", output)
        output = self.launch("producer", f"{SMALL} ! mmapsink mode=rw-rw----").finish(fails=True)
        self.assertIn('could not set property "mode"', output)

    def test_no_users(self):
        for element in "mmapsink", "mmapsrc":
            source, rest = (f"{SMALL} !", "") if element == "mmapsink" else ("", "! fakesink")
            for options, words in (("allowed-uids=root,no-such-user", ["'no-such-user'", "reason: setting"]),
                                   ("allowed-uids=root signalling=application", ["signalling=application", "reason: setting"])):
                with self.subTest(element=element, options=options):
                    output = self.launch(element, f"{source} {element} {options} {rest}").finish(fails=True)
                    for word in words:
                        self.assertIn(word, output)


class Formats(LaunchTest):
    """The bytes that arrive are those of a single process."""

    def test_raw_video(self):
        for video_format, size in itertools.product(("I420", "NV12", "P010_10LE", "YUY2", "RGBA", "BGRx", "GRAY8"),
                                                    ("320,height=240", "16,height=16")):
            with self.subTest(format=video_format, size=size):
                self.transfer(video(5, f"format={video_format},width={size}"))

    def test_raw_video_of_odd_size(self):
        # What lies between the end of a row and the next is nobody's: convert to a format whose rows have no such
        # bytes, and which loses nothing.
        for video_format, wide in (("I420", "AYUV64"), ("NV12", "AYUV64"), ("P010_10LE", "AYUV64"), ("YUY2", "AYUV64"),
                                   ("RGBA", "ARGB64"), ("BGRx", "ARGB64"), ("GRAY8", "AYUV64")):
            with self.subTest(format=video_format):
                self.transfer(video(5, f"format={video_format},width=333,height=77"),
                              then=f"videoconvert ! video/x-raw,format={wide}")

    def test_8k(self):
        self.transfer(video(3, "format=I420,width=7680,height=4320"))

    def test_many_frames(self):
        # more than any ring has slots
        self.transfer(video(1500, "format=GRAY8,width=64,height=48"))

    def test_audio(self):
        for audio_format in ("S16LE", "F32LE"):
            with self.subTest(format=audio_format):
                self.transfer(f"audiotestsrc num-buffers=50 ! audio/x-raw,format={audio_format},rate=48000,channels=2")

    def test_h264(self):
        self.transfer(f"{SMALL} ! x264enc threads=1 key-int-max=5 ! video/x-h264,stream-format=byte-stream")

    def test_vp8(self):
        self.transfer(f"{SMALL} ! vp8enc deadline=1 threads=1")

    def test_any_caps(self):
        self.transfer("fakesrc num-buffers=20 sizetype=fixed sizemax=1000 filltype=pattern ! application/x-my-own")


class Applications(LaunchTest):
    """Programs that know nothing of the elements, and the pipelines of those that do."""

    def reference(self, pipeline, name="expected"):
        """What the pipeline makes, all in one process."""
        path = self.directory / name
        self.launch("reference", f"{pipeline} ! filesink location={path}").finish()
        self.assertGreater(path.stat().st_size, 0)
        return path

    def play(self, source, uri=None, expected=SMALL):
        """gst-play-1.0 plays what the pipeline source publishes, and shows the pictures of the pipeline expected."""
        expected, shown = self.reference(expected), self.directory / "shown"
        producer = self.launch("producer", f"{source} ! mmapsink {self.at()}")
        player = self.start("player", "gst-play-1.0", "--no-interactive", f"--videosink=filesink location={shown}",
                            "--audiosink=fakesink", uri or f"mmap://{self.socket}")
        # It succeeds whatever happens.
        self.assertNotIn("ERROR", player.finish())
        producer.finish()
        self.assert_same_bytes(expected, shown)

    def test_gst_play(self):
        self.play(SMALL)

    def test_gst_play_with_properties(self):
        self.play(SMALL, f"mmap://{self.socket}?is-live=false&spin-time=0")

    def test_gst_play_file(self):
        # No caps at all: decodebin has to find out what it is.
        recording = self.reference(f"{SMALL} ! x264enc threads=1 key-int-max=5 ! matroskamux", "recording")
        source = f"filesrc location={recording}"
        self.play(source, expected=f"{source} ! matroskademux ! avdec_h264")

    def test_gst_play_bad_uri(self):
        for uri, words in ((f"mmap://camera{self.socket}", "this machine only"),
                           (f"mmap://{self.socket}?is-alive=false", "no property is-alive")):
            with self.subTest(uri=uri):
                player = self.start("player", "gst-play-1.0", "--no-interactive", uri)
                self.assertIn(words, player.finish())

    def test_playbin(self):
        producer = self.launch("producer", f"{SMALL} ! mmapsink {self.at()} sync=false")
        shown = self.directory / "shown"
        player = self.launch("player", f"playbin uri=mmap://{self.socket} video-sink='filesink location={shown}'")
        player.finish()
        producer.finish()
        self.assert_same_bytes(self.reference(SMALL), shown)

    def python(self, name, program, *arguments):
        """Debian's, for which its OpenCV is made. It leaks by itself."""
        env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        return self.start(name, "/usr/bin/python3", "-c", program, *arguments, env=env)

    def capture(self, source):
        """OpenCV takes every picture that is published."""
        program = """if True:
            import sys
            import cv2
            capture = cv2.VideoCapture(sys.argv[1], cv2.CAP_GSTREAMER)
            with open(sys.argv[2], "wb") as file:
                done, picture = capture.read()
                while done:
                    file.write(picture.tobytes())
                    done, picture = capture.read()
        """
        expected = self.reference(f"{SMALL} ! videoconvert ! video/x-raw,format=BGR")
        captured = self.directory / "captured"
        producer = self.launch("producer", f"{SMALL} ! mmapsink {self.at()}")
        self.python("opencv", program, source, captured).finish()
        producer.finish()
        self.assert_same_bytes(expected, captured)

    def test_opencv(self):
        for live in ("true", "false"):
            with self.subTest(is_live=live):
                self.capture(f"mmapsrc {self.at()} is-live={live} ! videoconvert ! video/x-raw,format=BGR ! appsink")

    def test_opencv_uri(self):
        self.capture(f"mmap://{self.socket}")

    def test_opencv_writes(self):
        program = """if True:
            import sys
            import cv2
            import numpy
            pictures = numpy.fromfile(sys.argv[2], numpy.uint8).reshape((-1, 240, 320, 3))
            writer = cv2.VideoWriter(sys.argv[1], cv2.CAP_GSTREAMER, 0, 30.0, (320, 240))
            for picture in pictures:
                writer.write(picture)
            writer.release()
        """
        expected = self.reference(f"{SMALL} ! videoconvert ! video/x-raw,format=BGR")
        received = self.directory / "received"
        writer = self.python("opencv", program, f"appsrc ! mmapsink {self.at()}", expected)
        self.launch("consumer", f"mmapsrc {self.at()} ! filesink location={received}").finish()
        writer.finish()
        self.assert_same_bytes(expected, received)

    def test_tee_and_queue(self):
        files = [self.directory / f"branch-{n}" for n in range(4)]
        branch = "t. ! queue ! filesink location={}".format
        producer = self.launch("producer", f"{SMALL} ! queue ! tee name=t {branch(files[0])} "
                                           f"t. ! queue ! mmapsink {self.at()} sync=false")
        self.launch("consumer", f"mmapsrc {self.at()} ! queue max-size-buffers=3 ! tee name=t "
                                f"{' '.join(branch(file) for file in files[1:])}").finish()
        producer.finish()
        for file in files:
            self.assert_same_bytes(self.reference(SMALL), file)

    def record(self, is_live):
        """One process publishes video and audio, another records both into one file."""
        def link(name):
            return self.at(self.directory / name)

        recording = self.directory / "recording"
        recorder = self.launch(
            "recorder", f"matroskamux name=mux ! filesink location={recording} "
                        f"mmapsrc {link('v')} is-live={is_live} ! queue ! x264enc tune=zerolatency ! mux. "
                        f"mmapsrc {link('a')} is-live={is_live} ! queue ! audioconvert ! mux.")
        if is_live == "true":
            # What happened before its clock started is not recorded.
            self.wait_for("the recorder has a clock", lambda: "New clock" in recorder.output(), recorder)
        producer = self.launch("producer", f"{RECORDED_VIDEO} ! mmapsink {link('v')} "
                                           f"{RECORDED_AUDIO} ! mmapsink {link('a')}")
        recorder.finish()
        producer.finish()
        return recording

    def time_stamps(self, recording, pad):
        """Of the buffers of one of its streams, in ns."""
        lines = self.launch("stamps", f"filesrc location={recording} ! matroskademux name=d d.{pad} ! "
                                      "checksumsink sync=false").finish()
        stamps = re.findall(r"^(\d+):(\d\d):(\d\d)\.(\d{9}) [0-9a-f]{40}$", lines, re.M)
        return [((int(h) * 60 + int(m)) * 60 + int(s)) * 10**9 + int(ns) for h, m, s, ns in stamps]

    def stall(self, stamps, duration):
        """By how much later than @duration buffers follow each other, in all; none comes earlier, but for rounding."""
        late = [later - earlier - duration for earlier, later in zip(stamps, stamps[1:])]
        self.assertGreaterEqual(min(late), -1_000_000)
        return sum(n for n in late if n > 1_000_000)

    def test_recording(self):
        sound = self.reference(RECORDED_AUDIO).read_bytes()
        for is_live in ("true", "false"):
            with self.subTest(is_live=is_live):
                recording = self.record(is_live)
                found = self.start("discoverer", "gst-discoverer-1.0", "-v", recording.as_uri()).finish()
                self.assertEqual(len(re.findall(r"video #\d", found)), 1, found)
                self.assertEqual(len(re.findall(r"audio #\d", found)), 1, found)

                video, audio = self.time_stamps(recording, "video_0"), self.time_stamps(recording, "audio_0")
                self.assertEqual((len(video), len(audio)), (25, 50))
                # Matroska's time stamps are whole milliseconds; both streams start together.
                self.assertAlmostEqual(video[0], audio[0], delta=10**9 // 25)
                stalls = [self.stall(video, 10**9 // 25), self.stall(audio, 10**9 // 50)]
                if is_live == "true":
                    # A producer that had to wait stands still as a whole: so do both of its streams in the recorder's time.
                    self.assertAlmostEqual(*stalls, delta=10**9 // 25)
                else:
                    self.assertRegex(found, r"Duration: 0:00:01\.000000000\n")
                    self.assertEqual(stalls, [0, 0])
                # A live recorder's clock started before the producer did.
                self.assertEqual(video[0] > 0, is_live == "true")
                recorded = self.reference(f"filesrc location={recording} ! matroskademux name=d d.audio_0", "recorded")
                self.assertEqual(recorded.read_bytes(), sound)


class Tokens(LaunchTest):
    """Both sides prove that they know the access token, and nobody sees it."""

    TOKEN, OTHER = "correct-horse-battery-staple", "wrong-horse-battery-staple"

    def token_file(self, name, token):
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(token + "\n")
        return f"access-token-file={path}"

    def launch(self, name, pipeline, options=("-v",), **rest):
        return super().launch(name, pipeline, options, **rest)

    def assert_unseen(self):
        for launch in self.processes:
            self.assertNotIn("horse", launch.output())

    def test_ways(self):
        told = {"file": (self.token_file("right", self.TOKEN), {}),
                "environment": ("", {"GST_MMAP_ACCESS_TOKEN": self.TOKEN}),
                "property": (f"access-token={self.TOKEN}", {})}
        for sink, src in (("file", "file"), ("environment", "file"), ("file", "property"), ("property", "environment")):
            with self.subTest(sink=sink, src=src):
                producer = self.live(extra=told[sink][0], env=told[sink][1])
                self.take(5, extra=told[src][0], env=told[src][1]).finish()
                producer.interrupt()
                self.assert_unseen()

    def test_differ(self):
        producer = self.live(extra=self.token_file("right", self.TOKEN))
        for told in self.token_file("wrong", self.OTHER), "":
            with self.subTest(told=told):
                output = self.take(5, extra=told).finish(fails=True)
                self.assertIn("reason: access-token", output)
                self.assertIn("give both sides the same access-token", output)
        self.take(5, extra=self.token_file("right", self.TOKEN)).finish()
        producer.interrupt()
        # It warns once: whoever connects can't fill its log.
        self.assertEqual(producer.output().count("reason: access-token"), 1)
        self.assert_unseen()

    def test_log(self):
        # All that the elements, and GStreamer, say; but for what is in the text of the pipeline.
        producer = self.live(extra=self.token_file("right", self.TOKEN), env={"GST_DEBUG": "*:LOG"})
        self.take(5, env={"GST_DEBUG": "*:LOG", "GST_MMAP_ACCESS_TOKEN": self.TOKEN}).finish()
        producer.interrupt()
        self.assertIn("mmapsink", producer.output())
        self.assert_unseen()


class Handshakes(LaunchTest):
    """An application carries the handshake: docs/examples."""

    PROGRAMS = {
        "c": [os.environ.get("MMAP_TEST_HANDSHAKE", TOP / "build" / "tests" / "handshake")],
        "python": ["/usr/bin/python3", TOP / "docs" / "examples" / "handshake.py"],
    }
    PAIRS = (("c", "python"), ("python", "c"), ("c", "c"))

    def example(self, language, role, pipeline, **options):
        # Python leaks by itself.
        env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"} if language == "python" else {}
        return self.start(f"{role}-{language}", *self.PROGRAMS[language], role, self.socket, pipeline, env=env, **options)

    def producer(self, language, options="", source=SMALL):
        producer = self.example(language, "producer",
                                f"{source} ! mmapsink name=mmap signalling=application sync=false {options}")
        self.wait_for_socket(producer)
        return producer

    def consumer(self, language, then="fakesink", options=""):
        return self.example(language, "consumer", f"mmapsrc name=mmap signalling=application {options} ! {then}")

    def carry(self, languages, options=""):
        expected, received = self.directory / "expected", self.directory / "received"
        self.launch("reference", f"{SMALL} ! filesink location={expected}").finish()
        producer = self.producer(languages[0], options)
        self.consumer(languages[1], f"filesink location={received}").finish()
        producer.finish()
        self.assert_same_bytes(expected, received)

    def test_memfd(self):
        for languages in self.PAIRS:
            with self.subTest(languages=languages):
                self.carry(languages)

    def test_file(self):
        for languages in self.PAIRS:
            with self.subTest(languages=languages):
                self.carry(languages, f"file=/dev/shm/{self.prefix} size=4000000")

    def test_refused_by_consumer(self):
        for language in self.PROGRAMS:
            with self.subTest(language=language):
                producer = self.producer("c")
                consumer = self.consumer(
                    language, options="accept-capabilities=\"application/x-mmap, token-bytes=[16,64]\"")
                self.assertRegex(consumer.finish(fails=True), r"token-bytes is 128, .* allows \[ 16, 64 \]")
                self.assertIn("closed the connection", producer.finish(fails=True))

    def test_refused_by_producer(self):
        for language in self.PROGRAMS:
            with self.subTest(language=language):
                producer = self.producer(
                    language, "accept-capabilities=\"application/x-mmap, media=(GstCaps)\\\"audio/x-raw\\\"\"")
                consumer = self.consumer("c", "video/x-raw,format=I420 ! fakesink")
                for launch in (producer, consumer):
                    self.assertRegex(launch.finish(fails=True), r"media is .*video/x-raw.* allows .*audio/x-raw")


if __name__ == "__main__":
    unittest.main(verbosity=2)
