#!/usr/bin/python3
# gst-mmap: tests with real guests
#
# Copyright (C) 2026 the gst-mmap authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Run by tests/vm/run, which sets the environment. Limits are far from what anything takes: an emulated guest is slow.
import functools
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from guest import COMMAND_S, TIMES, Guest, GuestError, HostCommand, Kernel, files_of

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ["MMAP_BUILD_DIR"]
TOOL = os.path.join(BUILD, "src/gst-mmap")
ATOMICS = os.path.join(BUILD, "tests/vm/vm-atomics")
KERNEL = Kernel(os.environ["MMAP_VM_KERNEL"])
GST_ENV = {name: os.environ[name] for name in ("GST_PLUGIN_PATH", "GST_REGISTRY")}
GST_ENV["GST_REGISTRY_UPDATE"] = "no"
MIB = 1 << 20
# So soon frames flow again, seconds.
RECONNECT_S = 3 * TIMES
N_FRAMES = 100
LIVE = "is-live=true"
# Each frame differs from all others, for a quarter of an hour of a live source: longer than any of these tests takes.
FRAMES = "videotestsrc pattern=ball %s ! video/x-raw,format=I420,width=160,height=120,framerate=10/1"
N_DIFFERENT = 9000


@functools.cache
def frame_numbers():
    """Of each frame's checksum: which one it is."""
    text = subprocess.run(["gst-launch-1.0", "-q", *(FRAMES % f"num-buffers={N_DIFFERENT}").split(), "!", "checksumsink", "sync=false"],
                          stdout=subprocess.PIPE, check=True, text=True).stdout
    numbers = {line.split()[1]: i for i, line in enumerate(text.splitlines())}
    assert len(numbers) == N_DIFFERENT, len(numbers)
    return numbers


def receive(start, file, more=""):
    return start("gst-launch-1.0", "-q", *f"mmapsrc file={file} {more} ! checksumsink sync=false".split())


def send(start, file, more="", source=f"num-buffers={N_FRAMES}"):
    return start("gst-launch-1.0", "-q", *f"{FRAMES % source} ! mmapsink file={file} {more}".split())


def received(command):
    """Numbers of the frames that a receiver has printed; None for what nobody has sent. gst-launch-1.0 -m prints a message in pieces, and a frame
    may come in between."""
    return [frame_numbers().get(checksum)
            for checksum in re.findall(r"\d+:\d\d:\d\d\.\d{9} ([0-9a-f]{40})\n", "\n".join(command.lines()) + "\n")]


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="gst-mmap-vm-", dir="/tmp")
        self.shm_directory = tempfile.mkdtemp(prefix="gst-mmap-vm-", dir="/dev/shm")
        self.n = 0

    def tearDown(self):
        self.doCleanups()
        shutil.rmtree(self.shm_directory)
        if "MMAP_VM_KEEP" not in os.environ:
            shutil.rmtree(self.directory)

    def memory(self, size=64 * MIB):
        """A file for a guest's device."""
        self.n += 1
        path = os.path.join(self.shm_directory, f"vm{self.n}")
        with open(path, "wb") as f:
            f.truncate(size)
        return path

    def boot(self, shm=None, **options):
        self.n += 1
        guest = Guest(KERNEL, os.path.join(self.directory, f"guest{self.n}"), shm, env=GST_ENV, **options)
        self.addCleanup(guest.close)
        return guest

    def host(self, *argv):
        command = HostCommand(*argv)
        self.addCleanup(command.process.kill)
        return command

    def check_whole(self, *streams):
        """Each brings every frame."""
        for stream in streams:
            stream.start()
        for stream in streams:
            stream.check()

    def wait_more(self, receiver, n=10, limit_s=COMMAND_S):
        """Until it has got some more frames. Returns: seconds that the first one took"""
        begin, before = time.monotonic(), len(received(receiver))
        receiver.wait_for(lambda: len(received(receiver)) > before, limit_s, "frame")
        took = time.monotonic() - begin
        receiver.wait_for(lambda: len(received(receiver)) >= before + n, limit_s, f"{n} frames")
        return took

    def check_frames(self, receiver, since=0):
        """Each is one that was sent."""
        self.assertNotIn(None, received(receiver)[since:], receiver.text)

    def ok(self, command, limit_s=COMMAND_S):
        """Its output, when it has ended well."""
        rc = command.wait(limit_s)
        self.assertEqual(rc, 0, f"{command.argv}:\n{command.text}")
        return command.text


class Stream:
    """All frames from one side to another. A machine that stands still for longer than a heartbeat may is as good as dead to the other one,
    and they find each other again: what was sent meanwhile is lost, so that the stream is sent anew, up to twice."""

    def __init__(self, case, to, file_to, away, file_from, to_more="", away_more=""):
        self.case = case
        self.to, self.to_launch = to, f"mmapsrc file={file_to} {to_more} on-disconnect=wait"
        self.away, self.file_from, self.away_more = away, file_from, away_more + " wait-for-connection=true"

    def start(self):
        self.receiver = self.to("gst-launch-1.0", "-m", *f"{self.to_launch} ! checksumsink sync=false".split())
        self.sender = send(self.away, self.file_from, self.away_more)

    def check(self):
        for retries in (2, 1, 0):
            try:
                self.case.ok(self.sender)
                self.case.ok(self.receiver)
            except GuestError as error:
                raise GuestError(f"{error}\n--- the sender has printed:\n{self.sender.text[-3000:]}\n--- the receiver has printed:\n"
                                 f"{self.receiver.text[-3000:]}") from None
            if retries == 0 or "mmap-disconnected" not in self.receiver.text:
                break
            print("a machine stood still: again ... ", end="", flush=True)
            self.start()
        self.case.assertEqual(received(self.receiver), list(range(N_FRAMES)), self.receiver.text)


class Boot(Case):
    def test_device(self):
        """The device is found, can be mapped, and is the same memory as the host's file, atomics included."""
        memory = self.memory()
        guest = self.boot(memory)
        host = subprocess.Popen([ATOMICS, memory, "0", "1000000"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(host.kill)
        text = self.ok(guest.run(ATOMICS, "ivshmem", "1", "1000000"))
        self.assertIn(f"has {64 * MIB} bytes", text)
        self.assertRegex(text, r"/resource2(_wc)? has")
        out, _ = host.communicate(timeout=COMMAND_S)
        self.assertEqual(host.returncode, 0, out)
        self.assertIn("expected 2000000", out)

        # What the doctor says of it: not ours, then as new.
        result = guest.run(TOOL, "doctor", "ivshmem")
        self.assertEqual(result.wait(), 1, result.text)
        self.assertRegex(result.text, r"WRONG *content")
        with open(memory, "r+b") as f:
            f.write(bytes(65536))
        text = self.ok(guest.run(TOOL, "doctor", "ivshmem"))
        self.assertRegex(text, r"ok *ivshmem .*plain, 67108864 bytes")
        self.assertRegex(text, r"ok *content *zeros")
        if guest.accelerator == "tcg":
            self.assertRegex(text, r"note *cpus .*QEMU emulates them")

        # Another user has no right to it.
        nobody = guest.run("setpriv", "--reuid=65534", "--clear-groups", TOOL, "doctor", "ivshmem")
        self.assertEqual(nobody.wait(), 1, nobody.text)
        self.assertRegex(nobody.text, r"WRONG *ivshmem .*user 65534[^W]*udev rule")

    def test_one_emulated_cpu(self):
        """With which nothing is atomic."""
        guest = self.boot(smp="1", emulated=True)
        result = guest.run(TOOL, "doctor")
        self.assertEqual(result.wait(), 1, result.text)
        self.assertRegex(result.text, r"WRONG *cpus .*emulates one processor(.|\n)*-smp 2")


class Streams(Case):
    """Every frame arrives, in order, byte by byte."""

    def test_one_guest(self):
        memory = self.memory()
        guest = self.boot(memory)
        self.check_whole(Stream(self, self.host, memory, guest.run, "ivshmem"))
        self.check_whole(Stream(self, guest.run, "ivshmem", self.host, memory))
        # Both at once.
        self.check_whole(Stream(self, self.host, memory, guest.run, "ivshmem", "channel=up", "channel=up"),
                         Stream(self, guest.run, "ivshmem", self.host, memory, "channel=down", "channel=down"))
        # What they have left behind is theirs.
        text = self.ok(guest.run(TOOL, "doctor", "ivshmem"))
        self.assertNotIn("WRONG", text)

    def test_two_guests(self):
        memory = self.memory()
        first, second = self.boot(memory), self.boot(memory)
        self.check_whole(Stream(self, second.run, "ivshmem", first.run, "ivshmem"))


class Addresses(Case):
    """Each side names its own view of the memory, and they speak over a network."""

    def test_tcp(self):
        memory = self.memory()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        guest = self.boot(memory, net=True)
        self.check_whole(Stream(self, guest.run, "ivshmem", self.host, memory, f"address=tcp:10.0.2.2:{port} allow-remote=true",
                                f"address=tcp:127.0.0.1:{port}"))
        # Another memory than the producer's is noticed.
        other = self.memory()
        sender = send(self.host, other, f"address=tcp:127.0.0.1:{port}", LIVE)
        receiver = receive(guest.run, "ivshmem", f"address=tcp:10.0.2.2:{port} allow-remote=true reconnect-timeout=20000000000")
        self.assertNotEqual(receiver.wait(), 0, receiver.text)
        self.assertEqual(received(receiver), [], receiver.text)
        self.assertIsNone(sender.rc, sender.text)

    def test_wrong_guest(self):
        """Two guests speak with each other, and don't share a memory."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        memory, other = self.memory(), self.memory()
        first, second = self.boot(memory, net=port), self.boot(other, net=True)
        sender = send(first.run, "ivshmem", "address=tcp:0.0.0.0:5000 allow-remote=true", LIVE)
        # The host has the first one's memory.
        with open(memory, "rb", buffering=0) as f:
            while f.read(8) == bytes(8):
                self.assertIsNone(sender.rc, sender.text)
                time.sleep(0.1)
                f.seek(0)
        right = receive(self.host, memory, f"address=tcp:127.0.0.1:{port}")
        self.wait_more(right)
        # Its own is as new; then somebody uses it.
        for used in (False, True):
            if used:
                local = send(second.run, "ivshmem", "channel=own", LIVE)
                self.wait_more(receive(second.run, "ivshmem", "channel=own"))
            wrong = receive(second.run, "ivshmem", f"address=tcp:10.0.2.2:{port} allow-remote=true reconnect-timeout=20000000000")
            self.assertNotEqual(wrong.wait(), 0, wrong.text)
            self.assertIn("name the same file, or the device that shows it", wrong.text)
            self.assertEqual(received(wrong), [], wrong.text)
        # Nobody else is disturbed.
        self.wait_more(right)
        self.check_frames(right)
        self.assertIsNone(sender.rc, sender.text)
        self.assertIsNone(local.rc, local.text)

    def test_vsock(self):
        """Inside one guest: this host may have none."""
        guest = self.boot(modules=["vsock_loopback"])
        self.check_whole(Stream(self, guest.run, "/dev/shm/area", guest.run, "/dev/shm/area", "address=vsock:local:5000",
                                "address=vsock:any:5000"))


class Ends(Case):
    """What one side does when the other one ends, stops, or comes again."""

    def comes_back(self, what, harm, start_s=0):
        """harm() ends or stops a side, and lets it come again; it returns the receiver. Frames flow again within RECONNECT_S and start_s, what
        starting a process takes: in one attempt of three, as the machine may stand still itself. None: no limit. Returns: the receiver"""
        for _ in range(3):
            receiver = harm()
            took = self.wait_more(receiver)
            print(f"{what}: frames again after {took:.1f} s ... ", end="", flush=True)
            if start_s is None or took < start_s + RECONNECT_S:
                return receiver
        self.fail(f"{what}: expected frames again within {start_s:.1f} + {RECONNECT_S} s")

    def pause(self, guest):
        """For longer than anybody takes it to be alive."""
        guest.qmp("stop")
        time.sleep(2.5)
        guest.qmp("cont")

    def reset(self, guest):
        boots = guest.n_boots
        guest.qmp("system_reset")
        guest.wait_booted(boots + 1)

    def test_guest_produces(self):
        memory = self.memory()
        guest = self.boot(memory)
        receiver = receive(self.host, memory)
        sender = send(guest.run, "ivshmem", source=LIVE)
        start_s = self.wait_more(receiver)

        def harm(how):
            nonlocal sender
            how()
            if sender.rc is not None:
                sender = send(guest.run, "ivshmem", source=LIVE)
            return receiver

        def kill_receiver():
            receiver.kill()
            return receive(self.host, memory)

        self.comes_back("paused", lambda: harm(lambda: self.pause(guest)))
        self.comes_back("killed", lambda: harm(lambda: sender.kill()), start_s)
        receiver = self.comes_back("host killed", kill_receiver)
        self.assertIsNone(sender.rc, sender.text)
        self.comes_back("rebooted", lambda: harm(lambda: self.reset(guest)), None)
        self.check_frames(receiver)

        # The machine is gone: somebody who doesn't want to wait notices.
        impatient = receive(self.host, memory, "on-disconnect=eos")
        self.wait_more(impatient)
        guest.kill()
        self.ok(impatient)
        self.assertIsNone(receiver.rc, receiver.text)

    def test_host_produces(self):
        memory = self.memory()
        guest = self.boot(memory)
        receiver = receive(guest.run, "ivshmem")
        sender = send(self.host, memory, source=LIVE)
        start_s = self.wait_more(receiver)

        def harm(how):
            nonlocal receiver
            how()
            if receiver.rc is not None:
                receiver = receive(guest.run, "ivshmem")
            return receiver

        def kill_sender():
            nonlocal sender
            sender.kill()
            sender = send(self.host, memory, source=LIVE)
            return receiver

        self.comes_back("host killed", kill_sender)
        self.comes_back("paused", lambda: harm(lambda: self.pause(guest)))
        self.comes_back("killed", lambda: harm(lambda: receiver.kill()), start_s)
        self.comes_back("rebooted", lambda: harm(lambda: self.reset(guest)), None)
        self.check_frames(receiver)
        self.assertIsNone(sender.rc, sender.text)

    def test_garbage(self):
        """All of the BAR is overwritten while frames flow both ways: nobody crashes, and the streams come back."""
        memory = self.memory()
        guest = self.boot(memory)
        up = receive(self.host, memory, "channel=up"), send(guest.run, "ivshmem", "channel=up", LIVE)
        down = receive(guest.run, "ivshmem", "channel=down"), send(self.host, memory, "channel=down", LIVE)
        self.wait_more(up[0])
        self.wait_more(down[0])

        def overwrite():
            with open(memory, "r+b") as f:
                for _ in range(64):
                    f.write(os.urandom(MIB))
            return up[0]

        for _ in range(3):
            self.comes_back("garbage, up", overwrite)
            self.comes_back("down", lambda: down[0])
        # What was in the memory when it was overwritten has gone by now.
        time.sleep(2)
        for receiver, sender in (up, down):
            since = len(received(receiver))
            self.wait_more(receiver)
            self.check_frames(receiver, since)
            self.assertIsNone(receiver.rc, receiver.text)
            self.assertIsNone(sender.rc, sender.text)


class Saved(Case):
    """A guest is saved, with all that runs in it, and goes on later."""

    PLUGINS = [os.path.join(BUILD, "gst/libgstmmap.so"),
               *(f"/lib/x86_64-linux-gnu/gstreamer-1.0/libgst{name}.so" for name in ("coreelements", "debugutilsbad", "videotestsrc"))]

    def boot_alone(self, memory, options):
        return self.boot(memory, shm_options=options, files=files_of("/usr/bin/gst-launch-1.0", GST_ENV["GST_REGISTRY"], *self.PLUGINS))

    def receive_flags(self, start, file, more):
        """As receive(), and says of each buffer what it is marked with."""
        return start("gst-launch-1.0", "-v", *f"mmapsrc file={file} {more} ! identity silent=false ! checksumsink sync=false".split())

    def test_both_ways(self):
        memory = self.memory()
        state = os.path.join(self.directory, "state")
        guest = self.boot_alone(memory, ",master=on")
        up = self.receive_flags(self.host, memory, "channel=up"), send(guest.run, "ivshmem", "channel=up", LIVE)
        down = self.receive_flags(guest.run, "ivshmem", "channel=down"), send(self.host, memory, "channel=down", LIVE)
        # The memory is saved, too, and comes back over what the host has written since.
        for _ in range(2):
            for receiver, _ in (up, down):
                self.wait_more(receiver)
            marks = [receiver.text.count("discont") for receiver, _ in (up, down)]
            guest.save(state)
            time.sleep(3)
            guest.restore(state)
            for (receiver, sender), before in zip((up, down), marks):
                took = self.wait_more(receiver)
                print(f"frames again {took:.1f} s after it was restored ... ", end="", flush=True)
                self.assertGreater(receiver.text.count("discont"), before, receiver.text[-3000:])
                self.assertIsNone(receiver.rc, receiver.text)
                self.assertIsNone(sender.rc, sender.text)

    def test_refused(self):
        """By QEMU, unless the device is the memory's master."""
        guest = self.boot_alone(self.memory(), "")
        with self.assertRaisesRegex(GuestError, "Migration is disabled when using feature 'peer mode' in device 'ivshmem'"):
            guest.save(os.path.join(self.directory, "state"))


class Clocks(Case):
    """A guest's clock is another one, and stands still while the guest is paused."""

    SECOND = 10**9
    FRAME = SECOND // 20

    def median_lateness(self, watcher):
        """Of the next frames, each by what was known of the guest's clock then. Meanwhile sound and picture are together."""
        since = len(watcher.lines())
        watcher.wait_lines(since + 30)
        rows = [[int(word) for word in line.split()] for line in watcher.lines()[since:since + 30]]
        self.assertLess(min(error for _, _, error, _ in rows), self.SECOND)
        self.assertLess(sorted(abs(apart) for _, _, _, apart in rows)[15], self.FRAME)
        return sorted(lateness for lateness, _, _, _ in rows)[15], rows[-1][1]

    def test_pause(self):
        memory = self.memory()
        guest = self.boot(memory)
        sender = guest.run("gst-launch-1.0", "-q", *(
            "videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=20/1 ! mmapsink file=ivshmem channel=video size=4194304 "
            "audiotestsrc is-live=true samplesperbuffer=960 ! audio/x-raw,rate=48000,channels=1 ! "
            "mmapsink file=ivshmem channel=audio size=4194304").split())
        watcher = HostCommand("/usr/bin/python3", os.path.join(HERE, "lateness.py"), memory)
        self.addCleanup(watcher.kill)
        before, offset_before = self.median_lateness(watcher)
        self.assertLess(abs(before), 20 * self.SECOND)
        guest.qmp("stop")
        time.sleep(10)
        guest.qmp("cont")
        # The first ones were made before the pause.
        watcher.wait_lines(len(watcher.lines()) + 30)
        after, offset_after = self.median_lateness(watcher)
        self.assertLess(offset_after - offset_before, -9 * self.SECOND)
        self.assertLess(abs(after - before), 8 * self.SECOND)
        self.assertIsNone(sender.rc, sender.text)


class Doorbell(Case):
    """Both sides wake each other by interrupts."""

    FRAMES = 60
    PICTURES = f"videotestsrc num-buffers={FRAMES} pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=30/1"
    # As vfio-pci's documentation has it.
    BIND = ("d=$(grep -l 0x1110 /sys/bus/pci/devices/*/device) && d=${d%/device} && "
            "echo vfio-pci > $d/driver_override && echo ${d##*/} > /sys/bus/pci/drivers_probe && readlink $d/driver")

    def boot_with_doorbell(self, bell, vectors=4):
        return self.boot(machine=",kernel-irqchip=split", append="intel_iommu=on", modules=["vfio_iommu_type1", "vfio-pci"],
                         first=["-device", "intel-iommu,intremap=on", "-chardev", f"socket,id=bell,path={bell}",
                                "-device", f"ivshmem-doorbell,chardev=bell,vectors={vectors}"])

    def checksums(self, text):
        """Without their times."""
        return [line.split()[-1] for line in text.split("\n") if len(line.split()) == 2 and len(line.split()[-1]) == 40]

    def launch(self, run, pipeline):
        return run("gst-launch-1.0", "-q", *pipeline.split())

    def test_both_ways(self):
        bell = os.path.join(self.directory, "bell")
        server = HostCommand(TOOL, "ivshmem-server", "--size", "64M", "--vectors", "4", bell)
        self.addCleanup(server.kill)
        server.wait_lines(1)
        guest = self.boot_with_doorbell(bell)
        # Nobody has bound it: it is as one without doorbells.
        self.assertRegex(self.ok(guest.run(TOOL, "doctor", "ivshmem")), r"ok *ivshmem .*doorbell, 67108864 bytes")
        self.assertIn("vfio-pci", self.ok(guest.run("sh", "-c", self.BIND)))

        expected = self.checksums(self.ok(self.launch(HostCommand, self.PICTURES + " ! checksumsink hash=sha1 sync=false")))
        self.assertEqual(len(set(expected)), self.FRAMES)
        host_file = "file=ivshmem-doorbell:" + bell
        take = " is-live=false on-disconnect=eos ! checksumsink hash=sha1 sync=false"
        give = self.PICTURES + " ! mmapsink wait-for-connection=true sync=false size=8388608 "
        commands = [
            self.launch(HostCommand, f"mmapsrc channel=up {host_file}" + take),
            # One process of the guest can have the interrupts.
            self.launch(guest.run, "mmapsrc channel=down file=ivshmem" + take + " " + give + "channel=up file=ivshmem"),
            self.launch(HostCommand, give + f"channel=down {host_file}"),
        ]
        up, down = self.ok(commands[0]), self.ok(commands[1])
        self.assertEqual(self.checksums(up), expected)
        self.assertEqual(self.checksums(down), expected)


class Udmabuf(Case):
    """In a kernel that makes dma-bufs of memfds: Debian 12's own doesn't."""

    SOURCE = "videotestsrc num-buffers=60 pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=30/1"
    CHECK = " ! checksumsink hash=sha1 sync=false"

    def sums(self, text):
        return re.findall(r"\d+:\d\d:\d\d\.\d{9} ([0-9a-f]{40})\n", text)

    def launch(self, guest, flag, pipeline):
        return guest.run("gst-launch-1.0", flag, *pipeline.split())

    def through(self, guest, sink, then=""):
        """Returns: what a receiver of dma-bufs has printed"""
        receiver = self.launch(guest, "-v", "mmapsrc socket-path=/run/cam0 is-live=false io-mode=dmabuf" + then + self.CHECK)
        sender = self.launch(guest, "-q", f"{self.SOURCE} ! mmapsink socket-path=/run/cam0 wait-for-connection=true sync=false {sink}")
        text = self.ok(receiver)
        self.ok(sender)
        return text

    def test_frames(self):
        kernel = subprocess.run([os.path.join(HERE, "kernel"), "6.12"], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
        guest = Guest(Kernel(kernel), os.path.join(self.directory, "udmabuf"), env=GST_ENV)
        self.addCleanup(guest.close)
        expected = self.sums(self.ok(self.launch(guest, "-q", self.SOURCE + self.CHECK)))
        self.assertEqual(len(set(expected)), 60)

        # Each frame is read by way of its dma-buf.
        for then in ("", " ! video/x-raw(memory:DMABuf)"):
            text = self.through(guest, "allow-dmabuf=true", then)
            self.assertNotIn("WARNING", text)
            self.assertRegex(text, r"src: caps = video/x-raw\(memory:DMABuf\)")
            self.assertEqual(self.sums(text), expected, text)

        # The kernel takes no sealed memory.
        text = self.through(guest, "")
        self.assertRegex(text, r"WARNING(.|\n)*sealed against writing(.|\n)*reason: seals")
        self.assertNotIn("memory:DMABuf)", text)
        self.assertEqual(self.sums(text), expected, text)


if __name__ == "__main__":
    unittest.main()
