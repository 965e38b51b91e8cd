#!/usr/bin/python3
"""What producers leave behind when they are killed: what 'gst-mmap list' says of it, what 'gst-mmap clean' removes, and
that the next producer takes its place.

    /usr/bin/python3 tests/test-leftovers.py TOOL [-v] [CLASS[.test]]

TOOL is the gst-mmap of a build; the environment is that of test-launch.py. Producers and consumers are real processes,
and they are killed. Without a path, the tool cleans the whole machine, where other tests run, too: that is done in
namespaces of its own.
"""

import fcntl
import importlib.util
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import unittest

spec = importlib.util.spec_from_file_location("launch", pathlib.Path(__file__).with_name("test-launch.py"))
launch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launch)

TOOL = None
NOBODY = 65534
REGION_MAGIC = b"gst-mmap"
RECORD = "socket of gst-mmap\npid {}\nuid {}\nsession {:016x}\naddress {}\n"
FIELDS = {"kind", "state", "path", "pid", "uid", "command", "session", "size", "links", "frames", "note"}


def limit_descriptors(number):
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))


def in_namespaces(*names):
    """Only root can make them, or one's own root."""
    return ["unshare", *([] if os.getuid() == 0 else ["--user", "--map-root-user"]), *names, "--pid", "--fork", "--kill-child",
            "--mount-proc"]


class LeftoverTest(launch.LaunchTest):
    def setUp(self):
        super().setUp()
        self.file = self.directory / "region"

    def tool(self, *args, status=0, **options):
        """Standard output of the tool."""
        result = subprocess.run([TOOL, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True,
                                timeout=launch.LIMIT_S, **options)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        self.complaint = result.stderr.decode()
        self.assertEqual(self.complaint == "", status == 0, self.complaint)
        return result.stdout.decode()

    def list(self, *args, **options):
        found = json.loads(self.tool("list", "--json", *args, **options))
        for item in found:
            self.assertEqual(set(item), FIELDS)
        return found

    def states(self, *args):
        """Of each path that is found, by its name."""
        return {pathlib.Path(item["path"]).name: item["state"] for item in self.list(*(args or (self.directory,)))}

    def clean(self, *args, **options):
        """What is done with each path, by its name, and why."""
        lines = self.tool("clean", *args, **options).splitlines()
        done = {}
        for line in lines:
            what, _, why = line.partition(": ")
            verb, _, path = what.rpartition(" ")
            done[pathlib.Path(path).name] = (verb, why)
        return done

    def verbs(self, *args, **options):
        return {name: verb for name, (verb, _) in self.clean(*(args or (self.directory,)), **options).items()}

    def left(self):
        return sorted(path.name for path in self.directory.iterdir() if path.suffix != ".log")

    def produce(self, name="producer", extra="", **options):
        producer = self.live(name, extra=extra, **options)
        self.wait_for_socket(producer, options.get("socket"))
        return producer

    def consume(self, frames=5):
        self.take(frames).finish()

    def kill_with_leftovers(self, extra=None):
        """Leaves a dead socket, its lock and a dead region of 4 MB."""
        producer = self.produce(extra=extra or f"file={self.file} size=4000000")
        self.consume()
        producer.kill()
        self.assertEqual(self.left(), ["region", "socket", "socket.lock"])
        return producer

    def offer(self, path=None):
        self.tool("offer", "--file", path or self.file, "--size", "64K")


class List(LeftoverTest):
    def test_life_of_a_producer(self):
        producer = self.produce(extra=f"file={self.file} size=4000000")
        consumer = self.launch("consumer", f"mmapsrc {self.at()} ! fakesink silent=false", options=["-v"])
        self.wait_for("a frame arrived", lambda: "chain" in consumer.output(), consumer, producer)
        sock, region = self.list(self.directory)
        self.assertEqual((sock["kind"], sock["state"], sock["path"]), ("socket", "live", str(self.socket)))
        self.assertEqual((region["kind"], region["state"], region["path"]), ("file", "live", str(self.file)))
        for item in (sock, region):
            self.assertEqual((item["pid"], item["uid"]), (producer.process.pid, os.getuid()))
            self.assertEqual(item["command"], "gst-launch-1.0")
            self.assertRegex(item["session"], r"^0x[0-9a-f]{16}$")
            self.assertIsNone(item["note"])
        self.assertEqual(sock["session"], region["session"])
        self.assertEqual((sock["size"], sock["links"], sock["frames"]), (None, None, None))
        self.assertEqual(region["size"], 4001792)
        self.assertEqual(region["links"], 1)
        self.assertGreater(region["frames"], 0)
        shown = json.loads(self.tool("inspect", "--json", self.file))
        self.assertEqual(shown["session"], region["session"])
        # a file is found by its name, too
        self.assertEqual([item["path"] for item in self.list(self.file, self.socket)], [sock["path"], region["path"]])
        self.assertEqual(self.list(str(self.socket) + ".lock")[0]["path"], sock["path"])

        consumer.interrupt()
        producer.process.send_signal(signal.SIGSTOP)
        self.wait_for("it is stopped", lambda: self.list(self.socket)[0]["note"] == "stopped")
        self.assertEqual(self.states(), {"socket": "live", "region": "live"})
        self.assertEqual(self.clean(self.directory)["region"],
                         ("left", f"live, pid {producer.process.pid} (gst-launch-1.0); stopped"))
        producer.process.send_signal(signal.SIGCONT)
        self.consume()

        producer.kill()
        for item in self.list(self.directory):
            self.assertEqual((item["state"], item["pid"], item["command"]), ("dead", producer.process.pid, None))
            self.assertEqual(item["session"], sock["session"])
        text = self.tool("list", self.directory).splitlines()
        self.assertRegex(text[0], r"^KIND +STATE +PID +UID +COMMAND +SESSION +SIZE +LINKS +FRAMES +PATH$")
        self.assertRegex(text[1], rf"^socket  dead +{producer.process.pid}  \d+ +- +{sock['session']}  - +- +- +{self.socket}$")
        self.assertRegex(text[2], rf"^file +dead +{producer.process.pid}  \d+ +- +{sock['session']}  4001792 .* {self.file}$")
        self.clean(self.directory)
        self.assertEqual(self.tool("list", self.directory), "There is nothing.\n")
        self.assertEqual(self.list(self.directory), [])

    def own(self, pid, **options):
        """What of a process is found anywhere."""
        return [item for item in self.list(**options) if item["pid"] == pid]

    def test_without_paths(self):
        """What has no path, and what lies where nobody thinks of it, is found by who has it open."""
        memfd = self.produce()
        name = "@" + self.prefix + "\x1b[31m"
        self.processes.append(abstract := launch.Launch(self, "abstract", [
            "gst-launch-1.0", "videotestsrc", "is-live=true", "!", "video/x-raw,width=16,height=16", "!", "mmapsink",
            f'socket-path="{name}"', f"file={self.file}", "size=1000000"]))
        self.consume()
        self.wait_for("the file is there", self.file.exists, abstract)

        sock, region = self.own(memfd.process.pid)
        self.assertEqual((sock["kind"], sock["state"], sock["path"]), ("socket", "live", str(self.socket)))
        self.assertEqual((region["kind"], region["state"]), ("memfd", "live"))
        self.assertEqual(region["command"], "gst-launch-1.0")
        self.assertEqual(region["session"], sock["session"])
        self.assertGreater(region["frames"], 0)
        self.assertEqual(json.loads(self.tool("inspect", "--json", region["path"]))["session"], region["session"])

        sock, region = self.own(abstract.process.pid)
        self.assertEqual((sock["kind"], sock["state"], sock["path"]), ("socket", "live", name))
        self.assertEqual((region["kind"], region["state"], region["path"]), ("file", "live", str(self.file)))
        self.assertEqual(region["session"], sock["session"])
        text = self.tool("list")
        self.assertIn("@" + self.prefix + r"\x1b[31m", text)
        self.assertNotIn("\x1b", text)
        for producer in (memfd, abstract):
            producer.interrupt()
            self.assertEqual(self.own(producer.process.pid), [])

    def test_producer_killed_memory_kept(self):
        producer = self.produce()
        consumer = self.launch("consumer", f"mmapsrc {self.at()} ! fakesink silent=false enable-last-sample=true", options=["-v"])
        self.wait_for("a frame arrived", lambda: "chain" in consumer.output(), consumer, producer)
        producer.kill()
        region, = [item for item in self.own(producer.process.pid) if item["kind"] == "memfd"]
        self.assertEqual(region["state"], "unknown")
        self.assertIn(f"pid {consumer.process.pid} has it open", region["note"])
        self.clean(self.directory)
        consumer.interrupt()
        self.assertEqual(self.own(producer.process.pid), [])

    def test_container(self):
        """From outside of its PID namespace, its owner has another pid than it says."""
        self.processes.append(launch.Launch(self, "container", [
            *in_namespaces(), "gst-launch-1.0", "videotestsrc", "is-live=true", "!",
            "video/x-raw,width=16,height=16", "!", "mmapsink", f"socket-path={self.socket}"]))
        self.wait_for_socket(self.processes[0])
        sock, = self.list(self.socket)
        self.assertEqual((sock["state"], sock["command"]), ("live", "gst-launch-1.0"))
        self.assertGreater(sock["pid"], 1)
        self.assertIn("pid 1\n", self.socket.with_suffix(".lock").read_text())
        self.consume()
        self.assertEqual([item["kind"] for item in self.own(sock["pid"])], ["socket", "memfd"])
        # From in there, nobody else is to be seen.
        result = subprocess.run([*in_namespaces(), TOOL, "list", "--json", self.socket], capture_output=True)
        inside, = json.loads(result.stdout)
        self.assertEqual((inside["state"], inside["pid"], inside["command"]), ("live", 1, None))
        self.assertIn("can't be seen", inside["note"])
        os.kill(sock["pid"], signal.SIGKILL)
        self.wait_for("it is dead", lambda: not self.processes[0].is_running() and self.states() == {"socket": "dead"})
        self.clean(self.directory)

    def test_foreign(self):
        """Nothing but what is ours is shown, unless it was named."""
        self.offer()
        header = self.file.read_bytes()
        made = {}

        def make(name, state, note):
            made[name] = (state, note)
            return self.directory / name

        make("text", "foreign", "no region").write_text("Dear diary")
        make("empty", "foreign", "no region").touch()
        make("other.lock", "foreign", "no region").write_text("4711\n")
        make("empty.lock", "foreign", "no region").touch()
        make("link", "foreign", "symbolic link").symlink_to(self.file)
        make("dangling", "foreign", "symbolic link").symlink_to("nowhere")
        os.mkfifo(make("fifo", "foreign", "no regular file"))
        os.mkfifo(make("fifo.lock", "foreign", "no regular file"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
            dead.bind(str(make("dead", "foreign", "no lock")))
        living = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(living.close)
        living.bind(str(make("living", "foreign", "no lock")))
        living.listen()
        # as Wayland has it
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(make("locked", "foreign", "no lock")))
        (self.directory / "locked.lock").touch()
        with open(make("huge", "foreign", "no region"), "wb") as f:
            f.truncate(1 << 42)
        before = {path: path.lstat() for path in self.directory.iterdir()}

        self.assertEqual(self.states(), {"region": "offered"})
        for name, (state, note) in made.items():
            with self.subTest(name=name):
                item, = self.list(self.directory / name)
                self.assertEqual(item["state"], state)
                self.assertIn(note, item["note"])
        self.assertEqual(set(self.verbs()), {"region"})
        for name in made:
            with self.subTest(name=name):
                self.assertEqual(self.verbs(self.directory / name), {name: "left"})
        for path, st in before.items():
            self.assertEqual((path.lstat().st_ino, path.lstat().st_mtime_ns), (st.st_ino, st.st_mtime_ns), path)
        self.assertEqual(self.file.read_bytes(), header)
        for name in ("dead", "locked", "living"):
            (self.directory / name).unlink()
        for path in self.directory.glob("*.lock"):
            path.unlink()

    def test_damaged(self):
        """Regions that nobody can use: they begin as one does, and nobody has them locked."""
        self.offer()
        good = self.file.read_bytes()
        damaged = {"cut": good[:20000], "short": REGION_MAGIC, "version": good[:8] + b"\7" + good[9:],
                   "garbage": REGION_MAGIC + os.urandom(20000), "all-ones": REGION_MAGIC + b"\xff" * 20472}
        for name, content in damaged.items():
            (self.directory / name).write_bytes(content)
        with open(self.directory / "huge", "wb") as f:
            f.write(good[:8192])
            f.truncate(1 << 42)
        for item in self.list(self.directory):
            if item["path"] != str(self.file):
                self.assertEqual(item["state"], "dead")
                self.assertTrue(item["note"])
        self.assertIn("version 7", self.tool("list", self.directory / "version"))
        # also then, a lock is a lock
        with open(self.directory / "garbage", "rb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            self.assertEqual(self.states(self.directory / "garbage"), {"garbage": "live"})
            self.assertEqual(self.verbs(), dict.fromkeys(["cut", "short", "version", "all-ones", "huge"], "removed")
                             | {"garbage": "left", "region": "left"})
        self.assertEqual(self.left(), ["garbage", "region"])

    def test_hostile_record(self):
        lock = self.directory / "x.lock"
        for content, shown in ((RECORD.format(2**32 - 1, 5, 2**64 - 1, "/y"), 2**32 - 1), (RECORD.format(0, 5, 0, ""), None),
                               (RECORD.format(1, 5, 7, r"\777\8\n\\"), 1)):
            with self.subTest(content=content):
                lock.write_text(content)
                item, = self.list(self.directory)
                self.assertEqual((item["kind"], item["state"], item["path"]), ("socket", "dead", str(self.directory / "x")))
                self.assertEqual((item["pid"], item["uid"]), (shown, os.getuid()))
        for content in (RECORD.format(2**32, 5, 7, ""), RECORD.format(-1, 5, 7, ""), RECORD.format(1, 5, 7, "") + "x",
                        RECORD.format(1, 5, 7, "")[:-1], RECORD.format(1, 5, 7, "") + "\n", RECORD.format(1, 5, 7, "z" * 1100),
                        "socket of gst-mmap\n", "\0" * 500, "x" * 100000):
            with self.subTest(content=content[:80]):
                lock.write_text(content)
                self.assertEqual(self.list(self.directory), [])
        lock.unlink()

    def test_missing(self):
        self.offer()
        for path, reason in ((self.directory / "nothing", "No such file"), (self.directory / "no" / "thing", "No such file"),
                             ("", "No such file"), (self.file / "below", "Not a directory"), ("x" * 300, "too long")):
            with self.subTest(path=path):
                self.assertEqual(self.states(self.file), {"region": "offered"})
                self.assertIn(str(self.file), self.tool("list", path, self.file, status=1))
                self.assertIn(reason, self.complaint)
        self.assertIn("--frob", (self.tool("list", "--frob", status=2), self.complaint)[1])
        self.assertEqual(self.states("--", self.file), {"region": "offered"})

    def test_many(self):
        """Not a descriptor each."""
        for n in range(300):
            (self.directory / f"{n}.lock").write_text(RECORD.format(1, 2, 3, "/x"))
        self.offer()
        self.assertEqual(len(self.list(self.directory, preexec_fn=lambda: limit_descriptors(20))), 301)
        self.assertEqual(len(self.clean(self.directory, preexec_fn=lambda: limit_descriptors(20))), 301)
        self.assertEqual(self.left(), ["region"])


class Clean(LeftoverTest):
    def publish(self, channel="one", extra=""):
        """In a file without a socket."""
        producer = self.launch(channel, f"videotestsrc is-live=true ! mmapsink file={self.file} channel={channel} "
                                        f"wait-for-connection=false {extra}")
        self.wait_for("its heartbeat goes on", lambda: self.file.exists() and any(
            f"channel {channel}: pid {producer.process.pid}, live" in (item["note"] or "") for item in self.list(self.file)), producer)
        return producer

    def test_area(self):
        producers = [self.publish("one"), self.publish("two")]
        item = self.list(self.file)[0]
        self.assertEqual((item["kind"], item["state"], item["size"], item["uid"]), ("area", "live", 256 << 20, os.getuid()))
        # There are two channels, each with a region of its own.
        self.assertEqual((item["links"], item["frames"]), (None, None))
        self.tool("inspect", self.file, status=1)
        self.assertIn(f"gst-mmap list {self.file}", self.complaint)
        self.assertEqual(self.verbs(self.file), {"region": "left"})
        producers[0].kill()
        item = self.list(self.file)[0]
        self.assertEqual(item["state"], "live")
        self.assertIn(f"channel one: pid {producers[0].process.pid}, dead", item["note"])
        self.assertEqual(self.verbs(self.file), {"region": "left"})
        producers[1].kill()
        self.assertEqual(self.states(self.file), {"region": "dead"})
        # What is left is taken over.
        self.publish("one").interrupt()
        self.assertEqual(self.left(), [])
        self.publish("two").kill()
        self.assertEqual(self.verbs(self.file), {"region": "removed"})
        self.assertEqual(self.left(), [])

    def test_area_that_was_there(self):
        with open(self.file, "wb") as file:
            file.truncate(2 << 20)
        self.publish("one", "size=1000000").kill()
        self.assertEqual(self.states(self.file), {"region": "foreign"})
        self.assertEqual(self.verbs(self.file), {"region": "left"})
        self.file.unlink()

    def test_format(self):
        self.file.write_bytes(b"something else" * (1 << 17))
        self.assertIn("gst-mmap format", self.launch(
            "refused", f"videotestsrc ! mmapsink file={self.file} size=1000000").finish(fails=True))
        self.assertEqual(self.tool("format", self.file), f"formatted {self.file}: {14 << 17} bytes\n")
        producer = self.publish("one", "size=1000000")
        self.tool("format", self.file, status=1)
        self.assertIn(f"used by pid {producer.process.pid}", self.complaint)
        # It is written back.
        self.tool("format", "--force", self.file)
        self.wait_for("the channel is there again", lambda: any(
            "channel one: " in (item["note"] or "") for item in self.list(self.file)), producer)
        producer.interrupt()
        for wrong in ((), (self.file, self.file)):
            self.tool("format", *wrong, status=2)
        self.file.write_bytes(b"short")
        for wrong in (self.file, self.directory, self.directory / "nothing"):
            self.tool("format", wrong, status=1)
        self.file.unlink()

    def test_dead(self):
        producer = self.kill_with_leftovers()
        for args in (("--dry-run", self.directory), (self.directory, "--dry-run")):
            self.assertEqual(self.clean(*args), dict.fromkeys(
                ["socket", "region"], ("would remove", f"its owner, pid {producer.process.pid}, is dead")))
        self.assertEqual(self.left(), ["region", "socket", "socket.lock"])
        self.assertEqual(self.verbs(self.socket), {"socket": "removed"})
        self.assertEqual(self.left(), ["region"])
        self.assertEqual(self.clean(self.directory),
                         {"region": ("removed", f"its owner, pid {producer.process.pid}, is dead")})
        self.assertEqual(self.left(), [])
        self.assertEqual(self.clean(self.directory), {})

    def test_live(self):
        producer = self.produce(extra=f"file={self.file} size=4000000")
        self.consume()
        for args in ((self.directory,), (self.socket, self.file), (str(self.socket) + ".lock", self.file)):
            self.assertEqual(self.clean(*args), dict.fromkeys(
                ["socket", "region"], ("left", f"live, pid {producer.process.pid} (gst-launch-1.0)")))
        self.consume()
        producer.interrupt()
        self.assertEqual(self.left(), [])

    def test_offered(self):
        """Nobody has to own it; so it is not removed by the way."""
        self.offer()
        self.assertEqual(self.verbs(), {"region": "left"})
        self.assertIn("name it", self.clean(self.directory)["region"][1])
        self.assertEqual(self.verbs("--dry-run", self.file), {"region": "would remove"})
        self.assertEqual(self.verbs(self.file), {"region": "removed"})
        self.assertEqual(self.left(), [])

    def test_parts(self):
        """Whatever is left of a socket, at whatever step its owner was killed."""
        lock = self.directory / "socket.lock"
        self.kill_with_leftovers()
        self.file.unlink()
        self.socket.unlink()
        self.assertIn("only its lock", self.clean(self.directory, "--dry-run")["socket"][1])
        self.assertEqual(self.verbs(self.socket), {"socket": "removed"})
        self.assertEqual(self.left(), [])
        # before it wrote its lock
        lock.touch()
        lock.chmod(0o1600)
        self.assertEqual(self.verbs(), {"socket": "removed"})
        self.assertEqual(self.left(), [])
        # somebody else's
        lock.touch()
        self.assertEqual(self.verbs(), {})
        lock.unlink()

    def test_socket_replaced(self):
        """A lock that is ours beside what is not."""
        self.kill_with_leftovers()
        self.file.unlink()
        self.socket.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.bind(str(self.socket))
            other.listen()
            self.assertEqual(self.clean(self.directory)["socket"],
                             ("left", "somebody listens there who doesn't have its lock"))
            with other.accept()[0] as probe:
                self.assertEqual(probe.recv(1), b"")
        self.socket.unlink()
        self.socket.write_text("precious")
        self.assertEqual(self.clean(self.directory), {"socket": ("left", "it is no socket any more")})
        self.assertEqual(self.socket.read_text(), "precious")
        (self.directory / "socket.lock").unlink()

    def test_links(self):
        self.kill_with_leftovers()
        other = self.directory / "other"
        other.mkdir()
        for name in ("socket", "region"):
            (other / name).symlink_to(self.directory / name)
        (other / "socket.lock").symlink_to(self.directory / "socket.lock")
        self.assertEqual(self.clean(other), {})
        self.assertEqual(self.clean(other / "region"), {"region": ("left", "a symbolic link, which is not followed")})
        self.assertEqual(self.verbs(other / "socket"), {"socket": "left"})
        link = self.directory / "link"
        link.symlink_to(self.directory)
        self.assertEqual(self.clean(link), {"link": ("left", "a symbolic link, which is not followed")})
        self.assertEqual(self.left(), ["link", "other", "region", "socket", "socket.lock"])
        shutil.rmtree(other)
        self.clean(self.directory)

    def test_other_users(self):
        if os.getuid() != 0:
            return  # who can't become another user
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        tool = pathlib.Path(TOOL)
        self.assertTrue(tool.stat().st_mode & 1)
        self.kill_with_leftovers()
        self.directory.chmod(0o1777)
        # what can't be opened can't be judged
        self.assertEqual(self.clean(self.directory, **as_nobody), {})
        self.assertEqual(self.clean(self.file, **as_nobody), {"region": ("left", "Permission denied")})
        self.assertEqual(self.clean(self.socket, **as_nobody), {"socket": ("left", "its lock can't be read")})
        # what can is another's to remove
        self.file.chmod(0o644)
        (self.directory / "socket.lock").chmod(0o644)
        self.assertEqual(self.verbs(self.directory, **as_nobody), {"socket": "left", "region": "left"})
        self.assertEqual(self.clean(self.file, status=1, **as_nobody), {})
        self.assertIn("can't be removed: Operation not permitted", self.complaint)
        self.assertEqual(self.left(), ["region", "socket", "socket.lock"])
        # of one's own there is only the right of the directory
        os.chown(self.file, NOBODY, NOBODY)
        self.directory.chmod(0o755)
        self.clean(self.directory, status=1, **as_nobody)
        self.assertIn("can't be removed: Permission denied", self.complaint)
        # Root may: but not a socket that belongs to another user than its lock does.
        self.assertEqual(self.verbs(self.file), {"region": "removed"})
        os.chown(self.socket, NOBODY, NOBODY)
        self.assertEqual(self.clean(self.directory), {"socket": ("left", "it and its lock belong to two users")})
        os.chown(str(self.socket) + ".lock", NOBODY, NOBODY)
        self.assertEqual(self.verbs(self.directory), {"socket": "removed"})

    def test_usage(self):
        for option in ("--frob", "--json"):
            self.tool("clean", option, self.directory, status=2)
            self.assertIn("--help", self.complaint)
        self.tool("clean", self.directory / "nothing", status=1)
        self.assertIn("No such file", self.complaint)

    def test_beside_a_start(self):
        """Never does it take away what a producer has just made, whoever is quicker."""
        for _ in range(8):
            self.kill_with_leftovers()
            cleaners = [self.start("clean", TOOL, "clean", self.directory, env={"LD_PRELOAD": ""}) for _ in range(3)]
            producer = self.live("successor", extra=f"file={self.file} size=4000000")
            cleaners += [self.start("clean", TOOL, "clean", self.directory, env={"LD_PRELOAD": ""}) for _ in range(3)]
            self.consume()
            for cleaner in cleaners:
                cleaner.finish()
            self.assertEqual(self.states(), {"socket": "live", "region": "live"})
            producer.interrupt()
            self.assertEqual(self.left(), [])


class Restart(LeftoverTest):
    """All is killed, all starts again, and in the end nothing is left."""

    def kill_all_and_restart(self, options, leftovers, env=None):
        for last in (False, False, True):
            producer = self.launch("producer", f"videotestsrc is-live=true ! video/x-raw,width=160,height=120 ! mmapsink {options}", env=env)
            at = " ".join(word for word in options.split() if word.startswith("socket-path"))
            consumer = self.launch("consumer", f"mmapsrc {at} ! fakesink silent=false", options=["-v"], env=env)
            self.wait_for("a frame arrived", lambda: "chain" in consumer.output(), consumer, producer)
            if last:
                consumer.interrupt()
                producer.interrupt()
            else:
                producer.kill()
                consumer.kill()
                self.assertEqual(self.left(), leftovers)

    def test_socket(self):
        self.kill_all_and_restart(self.at(), ["socket", "socket.lock"])
        self.assertEqual(self.left(), [])

    def test_file(self):
        self.kill_all_and_restart(f"{self.at()} file={self.file} size=4000000", ["region", "socket", "socket.lock"])
        self.assertEqual(self.left(), [])

    def test_abstract(self):
        self.kill_all_and_restart(f"socket-path=@{self.prefix} file={self.file} size=4000000", ["region"])
        self.assertEqual(self.left(), [])
        self.assertNotIn(self.prefix, pathlib.Path("/proc/net/unix").read_text())

    def test_default(self):
        self.kill_all_and_restart("", ["gst-mmap"], env={"XDG_RUNTIME_DIR": str(self.directory)})
        self.assertEqual(self.left(), ["gst-mmap"])
        self.assertEqual(list((self.directory / "gst-mmap").iterdir()), [])

    def test_cleaned(self):
        """Or somebody cleans up."""
        env = dict(os.environ, XDG_RUNTIME_DIR=str(self.directory))
        self.assertEqual(self.left(), [])
        for _ in range(2):
            producer = self.launch("producer", "videotestsrc is-live=true ! mmapsink", env={"XDG_RUNTIME_DIR": str(self.directory)})
            self.wait_for_socket(producer, self.directory / "gst-mmap" / "default")
            self.assertIn(str(self.directory / "gst-mmap" / "default"), self.tool("list", env=env))
            producer.kill()
            self.assertIn(f"removed {self.directory}/gst-mmap/default", self.tool("clean", self.directory / "gst-mmap"))
        self.assertEqual(list((self.directory / "gst-mmap").iterdir()), [])

    def test_everything(self):
        """Without a path all of the machine is cleaned; here, one in which there is nobody else."""
        script = f"""
            set -e
            mount -t tmpfs none /dev/shm
            cp "$0" /dev/shm/tool
            mkdir /dev/shm/plugins
            cp "$1"/*.so /dev/shm/plugins
            cp "$3" /dev/shm/registry
            # What a sanitizer needs may lie in /tmp.
            mkdir /dev/shm/top
            mount --bind "$4" /dev/shm/top
            mount -t tmpfs none /tmp
            mkdir -p "$4"
            mount --bind /dev/shm/top "$4"
            export GST_REGISTRY=/dev/shm/registry GST_PLUGIN_PATH=/dev/shm/plugins
            tool=/dev/shm/tool
            "$tool" list
            for n in 1 2; do
              unset XDG_RUNTIME_DIR
              mkdir -p -m 700 /tmp/gst-mmap-0
              env LD_PRELOAD="$2" gst-launch-1.0 -q videotestsrc is-live=true ! mmapsink socket-path=/tmp/gst-mmap-0/default file=/dev/shm/cam size=8000000 wait-for-connection=false & a=$!
              env LD_PRELOAD="$2" gst-launch-1.0 -q videotestsrc is-live=true ! mmapsink socket-path=@cam wait-for-connection=false & b=$!
              mkdir -p /tmp/run
              XDG_RUNTIME_DIR=/tmp/run env LD_PRELOAD="$2" gst-launch-1.0 -q videotestsrc is-live=true ! mmapsink wait-for-connection=false & c=$!
              export XDG_RUNTIME_DIR=/tmp/run
              for i in $(seq 400); do
                [ "$("$tool" list | grep -c ' live .*gst-launch')" = 6 ] && break
                sleep 0.05
              done
              "$tool" list
              "$tool" clean
              kill -9 $a $b $c
              wait $a $b $c || :
              [ $n = 1 ] || {{ "$tool" list; "$tool" clean; }}
            done
            "$tool" list
            find /tmp /dev/shm -xdev -newer /dev/shm/plugins ! -name 'registry*'
        """
        # The registry is there once a pipeline has run.
        self.launch("first", "fakesrc num-buffers=1 ! fakesink").finish()
        ours = launch.environment()
        output = self.start("machine", *in_namespaces("--mount"), "sh", "-c", script,
                            TOOL, ours["GST_PLUGIN_PATH"].split(":")[0], ours.get("LD_PRELOAD", ""), ours["GST_REGISTRY"],
                            str(launch.TOP),
                            env={"LD_PRELOAD": ""}).finish()
        nothing, first, second, dead, end = self.split(output)
        self.assertEqual(nothing, [])
        for live in (first, second):
            self.assertEqual(sorted(line.split()[0] for line in live if " live " in line), ["file"] + ["memfd"] * 2 + ["socket"] * 3)
            self.assertEqual(sorted(line.split()[1].rstrip(":") for line in live if line.startswith("left ")),
                             ["/dev/shm/cam", "/tmp/gst-mmap-0/default", "/tmp/run/gst-mmap/default"])
            self.assertEqual([line for line in live if line.startswith("removed")], [])
        self.assertEqual(sorted(line.split()[0] for line in dead if " dead " in line and not line.startswith("removed")), ["file", "socket", "socket"])
        self.assertEqual(sorted(line.split()[1].rstrip(":") for line in dead if line.startswith("removed ")),
                         ["/dev/shm/cam", "/tmp/gst-mmap-0/default", "/tmp/run/gst-mmap/default"])
        self.assertEqual([line for line in end if "default" in line or "cam" in line], [])

    @staticmethod
    def split(output):
        """The output of each 'list', and what follows it."""
        parts = []
        for line in output.splitlines():
            if line.startswith("KIND ") or line == "There is nothing.":
                parts.append([])
            elif parts:
                parts[-1].append(line)
        return parts

    def test_at_once(self):
        """Of several that start where a dead one was, one gets the path, and the others say who."""
        for extra in ("", f"file={self.file} size=4000000"):
            for _ in range(3):
                self.produce().kill()
                starters = [self.live(f"starter-{n}", extra=extra) for n in range(4)]
                self.wait_for("three have lost", lambda: sum(s.is_running() for s in starters) <= 1)
                winner, = [starter for starter in starters if starter.is_running()]
                for starter in starters:
                    if starter is not winner:
                        output = starter.finish(fails=True)
                        self.assertIn("reason: in-use", output)
                        self.assertIn(f"pid {winner.process.pid}:", output)
                self.consume()
                winner.interrupt()
                self.assertEqual(self.left(), [])

    def test_forked(self):
        """A child that an application has forked has all that the application had: it says so, until that has ended."""
        program = """if True:
            import os, sys, time
            import gi
            gi.require_version("Gst", "1.0")
            from gi.repository import Gst
            Gst.init(None)
            pipeline = Gst.parse_launch("videotestsrc is-live=true ! mmapsink wait-for-connection=false " + sys.argv[1])
            pipeline.set_state(Gst.State.PLAYING)
            pipeline.get_state(10 * Gst.SECOND)
            if len(sys.argv) > 2:
                os.posix_spawn("/bin/sleep", ["sleep", "1000"], os.environ)
                sleeper = 0
            else:
                sleeper = os.fork()
            if sleeper == 0 and len(sys.argv) == 2:
                time.sleep(1000)
            print("child", sleeper, flush=True)
            time.sleep(1000)
        """
        def application(*args):
            process = self.start("application", "/usr/bin/python3", "-c", program, *args,
                                 env={"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"})
            self.wait_for("it has a child", lambda: "child" in process.output(), process)
            return process

        at = f"{self.at()} file={self.file} size=4000000"
        parent = application(at)
        child = int(parent.output().split()[-1])
        self.addCleanup(self.kill_quietly, child)
        parent.kill()
        self.assertEqual(self.states(), {"socket": "live", "region": "live"})
        for item in self.list(self.directory):
            self.assertIn("a process that it forked lives on", item["note"])
        self.assertEqual(self.verbs(), {"socket": "left", "region": "left"})
        output = self.live("refused", extra="").finish(fails=True)
        self.assertIn(f"pid {parent.process.pid}, which can't be seen from here", output)
        self.kill_quietly(child)
        self.wait_for("it is dead", lambda: self.states() == {"socket": "dead", "region": "dead"})
        producer = self.produce(extra=f"file={self.file} size=4000000")
        self.consume()
        producer.interrupt()

        # One that executes another program has nothing.
        application(at, "spawn").kill()
        self.assertEqual(self.states(), {"socket": "dead", "region": "dead"})
        self.clean(self.directory)

    @staticmethod
    def kill_quietly(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
