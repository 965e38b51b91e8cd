#!/usr/bin/python3
# gst-mmap: tests of the ivshmem server: real processes, what each peer is told, and peers that break the rules
#
# Copyright (C) 2026 the gst-mmap authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# test-ivshmem-server.py PATH-OF-THE-TOOL [unittest's options]
import fcntl
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

TOOL = None
SIZE = 1 << 20
MEMORY = -1
F_GET_SEALS = 1034
# F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW
SEALS = 7
WAIT_S = 60


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Peer:
    """A client that keeps to the rules."""

    def __init__(self, path, greet=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Blocking: as many may be waiting already as the listener holds.
        self.socket.connect(path)
        self.socket.settimeout(WAIT_S)
        self.fds = []
        self.own = []
        self.peers = {}
        self.heard = set()
        if greet:
            self.greet()

    def take(self):
        """One message: its number, and its descriptor or None; None at the end."""
        data, fds, flags, _ = socket.recv_fds(self.socket, 8, 8)
        self.fds += fds
        if not data:
            return None
        assert len(data) == 8 and len(fds) < 2 and not flags & socket.MSG_CTRUNC, (data, fds, flags)
        return struct.unpack("<q", data)[0], fds[0] if fds else None

    def greet(self):
        assert self.take() == (0, None)
        self.id, fd = self.take()
        assert fd is None
        number, self.memory = self.take()
        assert number == MEMORY and self.memory is not None
        while not self.own:
            self.hear()

    def hear(self):
        """One notice."""
        number, fd = self.take()
        self.heard.add(number)
        if fd is None:
            del self.peers[number]
        elif number == self.id:
            self.own.append(fd)
        else:
            self.peers.setdefault(number, []).append(fd)
        return number

    def hear_until(self, condition):
        while not condition():
            self.hear()

    def ring(self, peer, vector=0):
        os.eventfd_write(self.peers[peer][vector], 1)

    def take_rings(self, vector=0):
        assert select.select([self.own[vector]], [], [], WAIT_S)[0], "nobody rang"
        return os.eventfd_read(self.own[vector])

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        self.socket.close()


class ServerCase(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="gst-mmap-test-", dir="/dev/shm")
        self.addCleanup(self.directory.cleanup)
        os.chmod(self.directory.name, 0o755)
        self.path = os.path.join(self.directory.name, "bell")
        self.file = os.path.join(self.directory.name, "vm0")
        self.server = None

    def start(self, *args, size=SIZE, wait=True):
        size = ["--size", str(size)] if size else []
        self.server = subprocess.Popen([TOOL, "ivshmem-server", *size, *args, self.path], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.end)
        if wait:
            self.assertIn(b"serving", self.server.stdout.readline())
            self.idle = descriptors(self.server.pid)
        return self.server

    def end(self):
        if self.server.poll() is None:
            self.server.kill()
        self.server.communicate()

    def stop(self, number=signal.SIGTERM):
        """Ends the server, which must leave nothing. Its messages."""
        self.server.send_signal(number)
        _, messages = self.server.communicate(timeout=WAIT_S)
        self.assertEqual(self.server.returncode, 0, messages)
        self.assertEqual([n for n in os.listdir(self.directory.name) if n != "vm0"], [])
        return messages.decode()

    def peer(self, **options):
        peer = Peer(self.path, **options)
        self.addCleanup(peer.close)
        return peer

    def wait_idle(self):
        """Until the server has no peers."""
        for _ in range(WAIT_S * 20):
            if descriptors(self.server.pid) == self.idle:
                return
            select.select([], [], [], 0.05)
        self.fail("the server has %d descriptors, at first %d" % (descriptors(self.server.pid), self.idle))

    def refuse(self, reason, *args, status=1, **options):
        server = self.start(*args, wait=False, **options)
        out, messages = server.communicate(timeout=WAIT_S)
        self.assertEqual(server.returncode, status, messages)
        self.assertEqual(out, b"")
        self.assertIn(reason, messages.decode())
        self.assertFalse(os.path.exists(self.path))


class Protocol(ServerCase):
    def test_two(self):
        self.start("--vectors", "3")
        first = self.peer()
        self.assertEqual(first.id, 0)
        second = self.peer()
        self.assertEqual(second.id, 1)
        # Who was there before comes before one's own vectors.
        self.assertEqual(list(second.peers), [0])
        for peer in first, second:
            peer.hear_until(lambda: len(peer.own) == 3 and sum(map(len, peer.peers.values())) == 3)
        for vector in range(3):
            first.ring(1, vector)
            first.ring(1, vector)
            self.assertEqual(second.take_rings(vector), 2)
            second.ring(0, vector)
            self.assertEqual(first.take_rings(vector), 1)
        self.assertEqual(os.fstat(first.memory).st_size, SIZE)
        with mmap.mmap(first.memory, SIZE) as a, mmap.mmap(second.memory, SIZE) as b:
            self.assertEqual(a[:].count(0), SIZE)
            a[SIZE - 5:] = b"hello"
            self.assertEqual(b[SIZE - 5:], b"hello")
        # A peer can't take the memory away from the others.
        self.assertEqual(fcntl.fcntl(first.memory, F_GET_SEALS), SEALS)
        with self.assertRaises(OSError):
            os.ftruncate(first.memory, 0)
        first.close()
        self.assertEqual(second.hear(), 0)
        self.assertEqual(second.peers, {})
        # Nobody is taken for one who was there before.
        self.assertEqual(self.peer().id, 2)
        second.close()

    def test_come_and_go(self):
        self.start()
        stays = self.peer()
        for number in range(1, 40):
            peer = self.peer()
            self.assertEqual(peer.id, number)
            peer.ring(0)
            peer.close()
        last = self.peer()
        # It need not hear of those who left before it looked.
        stays.hear_until(lambda: list(stays.peers) == [last.id])
        self.assertEqual(stays.take_rings(), 39)
        last.close()
        self.assertEqual(stays.hear(), last.id)
        stays.close()
        self.wait_idle()
        self.assertIn("peer 39 has gone", self.stop())

    def test_killed_peer(self):
        self.start()
        stays = self.peer()
        child = os.fork()
        if child == 0:
            Peer(self.path)
            signal.pause()
            os._exit(0)
        stays.hear_until(lambda: len(stays.peers.get(1, [])) == 2)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.assertEqual(stays.hear(), 1)

    def test_ends(self):
        for number in signal.SIGTERM, signal.SIGINT:
            self.start()
            peer = self.peer()
            self.stop(number)
            peer.hear_until(lambda: len(peer.own) == 2)
            self.assertIsNone(peer.take())

    def test_after_a_kill(self):
        self.start("--file", self.file)
        self.server.kill()
        self.server.communicate()
        self.assertTrue(os.path.exists(self.path))
        self.start("--file", self.file, size=None)
        self.assertEqual(self.peer().id, 0)
        # Found, not made.
        self.stop()
        self.assertTrue(os.path.exists(self.file))


class Hostile(ServerCase):
    def test_says_something(self):
        self.start()
        honest = self.peer()
        for text in b"x", struct.pack("<q", 0), os.urandom(100000):
            bad = self.peer()
            try:
                bad.socket.sendall(text)
                while bad.take():
                    pass
            except (ConnectionResetError, BrokenPipeError):
                pass
            honest.hear_until(lambda: bad.id in honest.peers)
            honest.hear_until(lambda: not honest.peers)
        honest.close()
        self.wait_idle()
        self.assertIn("it said something", self.stop())

    def test_passes_descriptors(self):
        self.start()
        bad = self.peer()
        try:
            socket.send_fds(bad.socket, [b"x"], [0] * 100)
        except PermissionError:
            # The kernel has kept them out.
            bad.socket.sendall(b"x")
        honest = self.peer()
        honest.hear_until(lambda: not honest.peers and len(honest.own) == 2)
        bad.close()
        honest.close()
        self.wait_idle()

    def test_never_reads(self):
        self.start("--vectors", "8")
        stalled = [self.peer(greet=False) for _ in range(20)]
        for _ in range(100):
            peer = self.peer()
            self.assertEqual(len(peer.peers), 20)
            peer.close()
        honest = self.peer()
        # When it reads again it hears of those who are there.
        stalled[0].greet()
        stalled[0].hear_until(lambda: sorted(stalled[0].peers) == list(range(1, 20)) + [120]
                              and len(stalled[0].peers[120]) == 8)
        # The list of what it has to hear doesn't grow without end.
        self.assertFalse(stalled[0].heard & set(range(30, 120)))
        honest.ring(0)
        self.assertEqual(stalled[0].take_rings(), 1)
        for peer in stalled:
            peer.close()
        honest.hear_until(lambda: not honest.peers)
        honest.close()
        self.wait_idle()

    def test_a_thousand(self):
        self.start("--vectors", "1")
        honest = self.peer()
        crowd = [self.peer(greet=False) for _ in range(1000)]
        served = 0
        for peer in crowd:
            try:
                served += peer.take() is not None
            except ConnectionResetError:
                pass
        self.assertEqual(served, 255)
        for peer in crowd:
            peer.close()
        honest.hear_until(lambda: honest.peers)
        honest.hear_until(lambda: not honest.peers)
        after = self.peer()
        after.ring(honest.id)
        self.assertEqual(honest.take_rings(), 1)
        after.close()
        honest.close()
        self.wait_idle()
        self.assertEqual(self.stop().count("refused"), 1)

    def test_few_descriptors(self):
        self.start("--vectors", "1", wait=False)
        self.assertIn(b"serving", self.server.stdout.readline())
        # The system has no more than these, whatever the server asked for.
        subprocess.run(["prlimit", "--nofile=20:20", "--pid", str(self.server.pid)], check=True)
        honest = self.peer()
        crowd = [self.peer(greet=False) for _ in range(20)]
        honest.hear_until(lambda: 1 in honest.peers)
        for peer in crowd:
            peer.close()
        honest.hear_until(lambda: not honest.peers)
        after = self.peer()
        after.ring(honest.id)
        self.assertEqual(honest.take_rings(), 1)

    def test_other_user(self):
        self.start("--mode", "0666")
        code = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
                "print(len(s.recv(8)))")
        command = ["setpriv", "--reuid", "4321", "--regid", "4321", "--clear-groups", sys.executable, "-c", code, self.path]
        self.assertEqual(subprocess.run(command, capture_output=True, timeout=WAIT_S).stdout, b"0\n")
        self.assertIn("user 4321", self.stop())
        self.start("--mode", "0666", "--allowed-uids", "4321")
        self.assertEqual(subprocess.run(command, capture_output=True, timeout=WAIT_S).stdout, b"8\n")
        # Nor by its path, with the default mode.
        self.stop()
        self.start("--allowed-uids", "4321")
        self.assertIn(b"PermissionError", subprocess.run(command, capture_output=True, timeout=WAIT_S).stderr)


class Settings(ServerCase):
    def test_size(self):
        self.refuse("power of two", size=3 << 20)
        self.refuse("such as 4194304", size=3 << 20)
        self.refuse("such as 4096", size=1)
        self.refuse("power of two", size=1 << 50)
        self.refuse("--size is missing", size=None, status=2)
        self.refuse("--size is 'x'", size="x", status=2)
        self.refuse("no-space", size=1 << 40)
        self.start(size="2M")
        self.assertEqual(os.fstat(self.peer().memory).st_size, 2 << 20)

    def test_vectors(self):
        for n in "0", "33", "-1":
            self.refuse("expected 1 to 32", "--vectors=" + n)
        self.refuse("--vectors", "--vectors", "x", status=2)
        self.start("--vectors", "32")
        peer = self.peer()
        peer.hear_until(lambda: len(peer.own) == 32)

    def test_mode(self):
        self.refuse("--mode is 'x'", "--mode", "x", status=2)
        self.refuse("mode=", "--mode", "0777")
        self.refuse("no user", "--allowed-uids", "nobody-of-that-name")
        self.refuse("is of no use", "--group", "4321")
        self.start("--mode", "0660", "--group", "4321", "--file", self.file)
        for path in self.path, self.file:
            stat = os.stat(path)
            self.assertEqual((stat.st_mode & 0o777, stat.st_gid), (0o660, 4321))

    def test_socket(self):
        with open(self.path, "w"):
            pass
        server = self.start(wait=False)
        self.assertIn(b"is no socket", server.communicate(timeout=WAIT_S)[1])
        os.unlink(self.path)
        self.start()
        first = self.server
        second = subprocess.run([TOOL, "ivshmem-server", "--size", "1M", self.path], capture_output=True, timeout=WAIT_S)
        self.assertEqual(second.returncode, 1)
        self.assertIn("pid %d" % first.pid, second.stderr.decode())

    def test_file(self):
        self.start("--file", self.file)
        stat = os.stat(self.file)
        self.assertEqual((stat.st_size, stat.st_blocks * 512, stat.st_mode & 0o777), (SIZE, SIZE, 0o600))
        with open(self.file, "r+b") as f:
            f.write(b"hello")
        with mmap.mmap(self.peer().memory, SIZE) as memory:
            self.assertEqual(memory[:5], b"hello")
        self.stop()
        self.assertFalse(os.path.exists(self.file))

    def test_file_there(self):
        with open(self.file, "wb") as f:
            f.truncate(1 << 21)
        self.refuse("has 2097152 bytes", "--file", self.file)
        self.start("--file", self.file, size=None)
        self.assertEqual(os.fstat(self.peer().memory).st_size, 1 << 21)
        self.stop()
        self.assertEqual(os.stat(self.file).st_size, 1 << 21)
        with open(self.file, "wb") as f:
            f.truncate(3 << 20)
        self.refuse("power of two", "--file", self.file, size=None)
        os.unlink(self.file)
        self.refuse("size is missing", "--file", self.file, size=None)
        self.refuse("no directory", "--file", self.file + "/x")
        os.symlink("/dev/null", self.file)
        self.refuse("symbolic link", "--file", self.file)
        os.unlink(self.file)
        os.mkfifo(self.file)
        self.refuse("no regular file", "--file", self.file)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    # For what is started from here on: a sanitizer's libraries, from tests/run.
    if os.environ.get("MMAP_TEST_PRELOAD"):
        os.environ["LD_PRELOAD"] = os.environ["MMAP_TEST_PRELOAD"]
    unittest.main()
