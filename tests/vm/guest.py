# gst-mmap: a real guest, for tests
#
# Copyright (C) 2026 the gst-mmap authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Boots a kernel under QEMU with the host's / below a RAM disk, so that what was just built runs in it, and runs commands there.
# Everything that waits has a limit: a hang is a failure.
import itertools
import json
import lzma
import os
import re
import signal
import socket
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TIMES = int(os.environ.get("MMAP_TEST_TIMES", "1"))
BOOT_S = 300 * TIMES
COMMAND_S = 180 * TIMES
MODULES = ["virtio_pci", "virtio_console", "overlay", "9pnet_virtio", "9p"]


class GuestError(Exception):
    pass


def cpio_entry(name, mode, data=b""):
    """An entry of an initial RAM disk ("newc")."""
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def read_module(path):
    with (lzma.open if path.endswith(".xz") else open)(path, "rb") as f:
        return f.read()


class Kernel:
    def __init__(self, directory):
        self.image = os.path.join(directory, "boot/vmlinux")
        (version,) = os.listdir(os.path.join(directory, "lib/modules"))
        self.modules = os.path.join(directory, "lib/modules", version)
        self.needs = {}
        with open(os.path.join(self.modules, "modules.dep")) as f:
            for line in f:
                path, needs = line.split(":")
                self.needs[self.name_of(path)] = (path, [self.name_of(n) for n in needs.split()])
        with open(os.path.join(self.modules, "modules.builtin")) as f:
            self.builtin = {self.name_of(line.strip()) for line in f}

    @staticmethod
    def name_of(path):
        return os.path.basename(path).split(".ko")[0].replace("-", "_")

    def order(self, wanted):
        """Paths of modules, each after those that it needs."""
        done = []

        def visit(name):
            name = name.replace("-", "_")
            if name in self.builtin:
                return
            path, needs = self.needs[name]
            for need in reversed(needs):
                visit(need)
            if path not in done:
                done.append(path)

        for name in wanted:
            visit(name)
        return done

    def initramfs(self, wanted, files):
        parts = [cpio_entry(d, 0o40755) for d in
                 ("bin", "proc", "sys", "dev", "modules", "root", "lower", "upper")]
        with open("/bin/busybox", "rb") as f:
            parts.append(cpio_entry("bin/busybox", 0o100755, f.read()))
        with open(os.path.join(HERE, "init"), "rb") as f:
            parts.append(cpio_entry("init", 0o100755, f.read()))
        names = []
        for path in self.order(wanted):
            names.append(self.name_of(path) + ".ko")
            parts.append(cpio_entry("modules/" + names[-1], 0o100644, read_module(os.path.join(self.modules, path))))
        parts.append(cpio_entry("modules/order", 0o100644, "\n".join(names).encode()))
        if files:
            parts.append(cpio_entry("files", 0o100644, "".join(path.lstrip("/") + "\n" for path in files).encode()))
        parts.append(cpio_entry("settings", 0o100644, f"AGENT={HERE}/agent.py\n".encode()))
        parts.append(cpio_entry("TRAILER!!!", 0))
        return b"".join(parts)


def files_of(*programs):
    """Paths of all that these programs and modules need, and the agent, to run without the host's /."""
    files = {"/etc/ld.so.cache", HERE + "/agent.py", "/bin/sh", *programs}
    python = "/usr/lib/python3.11"
    for directory, names in ((python, None), *((f"{python}/{name}", None) for name in ("collections", "encodings", "importlib", "json", "re")),
                             (python + "/lib-dynload", ("_json", "_posixsubprocess", "_struct", "select", "math", "fcntl"))):
        files.update(entry.path for entry in os.scandir(directory)
                     if entry.name.endswith((".py", ".so")) and (names is None or entry.name.split(".")[0] in names))
    binaries = [path for path in (*files, "/usr/bin/python3", "/bin/busybox") if path.endswith(".so") or "/bin/" in path]
    libraries = subprocess.run(["ldd", *binaries], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    files.update(re.findall(r"(/\S+) \(0x", libraries), binaries)
    return sorted(files)


def accelerators():
    """What may work here. A /dev/kvm whose module isn't one of these emulates what an ordinary kernel does, or worse."""
    if os.access("/dev/kvm", os.W_OK) and any(os.path.isdir("/sys/module/" + m) for m in ("kvm_intel", "kvm_amd")):
        return ["kvm", "tcg,thread=multi"]
    return ["tcg,thread=multi"]


class Command:
    """Something that runs in the guest. Its lines can be waited for."""

    def __init__(self, guest, argv):
        self.guest, self.argv = guest, argv
        self.text, self.rc = "", None
        self.news = threading.Condition()

    def add(self, message):
        with self.news:
            self.text += message.get("out", "")
            self.rc = message.get("rc", self.rc)
            self.news.notify_all()

    def wait_for(self, condition, limit_s, what):
        end = time.monotonic() + limit_s
        with self.news:
            while not condition():
                left = end - time.monotonic()
                if left <= 0 or (self.rc is not None and what != "end"):
                    raise GuestError(f"no {what} of {self.argv} within {limit_s} s, rc {self.rc}:\n{self.text[-3000:]}\n"
                                     + (self.guest.console_tail() if self.guest else ""))
                self.news.wait(min(left, 1))

    def lines(self):
        """Whole ones, so far."""
        with self.news:
            return self.text.split("\n")[:-1]

    def wait_lines(self, n, limit_s=COMMAND_S):
        self.wait_for(lambda: self.text.count("\n") >= n, limit_s, f"{n} lines")

    def wait(self, limit_s=COMMAND_S):
        self.wait_for(lambda: self.rc is not None, limit_s, "end")
        return self.rc

    def signal(self, number):
        self.guest.send({"kill": self.id, "signal": int(number)})

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()


class HostCommand(Command):
    """The same on this machine."""

    def __init__(self, *argv):
        super().__init__(None, argv)
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        with self.process.stdout as pipe:
            while data := os.read(pipe.fileno(), 65536):
                self.add({"out": data.decode(errors="replace")})
        self.add({"rc": self.process.wait()})

    def signal(self, number):
        self.process.send_signal(number)


class Guest:
    """Boots at once. @shm: path of the memory of its ivshmem device, which must be there; @emulated: never by KVM; @net: a network, or a port of the host's loopback that leads to its
    port 5000, too; @files: all that it has
    of the host's /, as what is mounted there can't be saved."""

    def __init__(self, kernel, directory, shm=None, smp="2", modules=(), devices=(), first=(), net=False, append="", env=None, machine="",
                 emulated=False, files=(), shm_options=""):
        self.directory, self.env = directory, env or {}
        os.makedirs(directory)
        self.commands, self.numbers = {}, itertools.count(1)
        self.process = self.agent = self.qmp_socket = self.qmp_file = None
        self.n_boots, self.booted, self.saved = 0, threading.Condition(), False
        wanted = MODULES + list(modules) + (["virtio_net"] if net else [])
        with open(self.at("initrd"), "wb") as f:
            f.write(kernel.initramfs(wanted, files))
        command = ["-smp", smp, "-m", "768M", "-nodefaults", "-no-user-config", "-display", "none",
                   "-serial", "file:" + self.at("console"), "-kernel", kernel.image, "-initrd", self.at("initrd"),
                   "-append", f"console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check {append}",
                   "-qmp", f"unix:{self.at('qmp')},server=on,wait=off",
                   # An IOMMU is to be there before what is behind it.
                   *first, "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
                   "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={self.at('agent')},server=on,wait=off",
                   "-device", "virtserialport,chardev=agent,name=agent"]
        if shm:
            size = os.stat(shm).st_size
            command += ["-object", f"memory-backend-file,id=shm0,share=on,mem-path={shm},size={size}",
                        "-device", "ivshmem-plain,memdev=shm0" + shm_options]
        if net:
            command += ["-netdev", "user,id=n0" + (f",hostfwd=tcp:127.0.0.1:{net}-:5000" if net is not True else ""), "-device", "virtio-net-pci,netdev=n0,romfile="]
        command += devices
        for accelerator in accelerators()[-1 if emulated else 0:]:
            self.start(["-M", "q35,hpet=off" + machine, "-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max", *command])
            try:
                self.wait_booted(1, 20 * TIMES if accelerator == "kvm" else BOOT_S)
                self.accelerator = accelerator.split(",")[0]
                return
            except GuestError:
                self.close()
                if accelerator != "kvm":
                    raise

    def at(self, name):
        return os.path.join(self.directory, name)

    def console_tail(self):
        text = ""
        for name in ("console", "qemu.log"):
            if os.path.exists(self.at(name)):
                with open(self.at(name), errors="replace") as f:
                    text += f"--- {name}:\n" + f.read()[-2000:]
        return text

    def connect(self, name):
        end = time.monotonic() + 20 * TIMES
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(self.at(name))
                return s
            except OSError:
                s.close()
                if self.process.poll() is not None or time.monotonic() > end:
                    raise GuestError("QEMU doesn't start\n" + self.console_tail()) from None
                time.sleep(0.05)

    def start(self, arguments, *more):
        self.arguments = arguments
        for name in ("qmp", "agent", "console"):
            if os.path.exists(self.at(name)):
                os.unlink(self.at(name))
        log = open(self.at("qemu.log"), "wb")
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", *arguments, *more],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.n_boots = 0
        self.agent = self.connect("agent")
        self.qmp_socket = self.connect("qmp")
        self.qmp_file = self.qmp_socket.makefile("rw")
        self.qmp_file.readline()
        self.qmp("qmp_capabilities")
        threading.Thread(target=self.listen, args=(self.agent,), daemon=True).start()

    def listen(self, agent):
        received = b""
        while True:
            try:
                data = agent.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            received += data
            *lines, received = received.split(b"\n")
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:      # a line that a reset cut short
                    message = {"ready": True} if line.endswith(b'{"ready": true}') else {}
                if "ready" in message:
                    self.end_commands()
                    with self.booted:
                        self.n_boots += 1
                        self.booted.notify_all()
                elif message.get("id") in self.commands:
                    self.commands[message["id"]].add(message)
        if not self.saved:
            self.end_commands()

    def end_commands(self):
        """Those of a guest that is no more."""
        for command in list(self.commands.values()):
            if command.rc is None:
                command.add({"rc": -9})

    def wait_booted(self, n, limit_s=BOOT_S):
        end = time.monotonic() + limit_s
        with self.booted:
            while self.n_boots < n:
                self.booted.wait(0.5)
                if self.process.poll() is not None or time.monotonic() > end:
                    raise GuestError(f"the guest isn't up after {limit_s} s\n" + self.console_tail())

    def qmp(self, command, **arguments):
        self.qmp_file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.qmp_file.flush()
        while True:
            answer = json.loads(self.qmp_file.readline())
            if "error" in answer:
                raise GuestError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def send(self, message):
        self.agent.sendall(json.dumps(message).encode() + b"\n")

    def run(self, *argv, env=None):
        command = Command(self, argv)
        command.id = next(self.numbers)
        self.commands[command.id] = command
        self.send({"run": command.id, "argv": list(argv), "env": dict(self.env, **(env or {}))})
        return command

    def kill(self):
        """As if the host had lost it."""
        self.process.kill()
        self.process.wait()

    def save(self, path):
        """Into a file; the machine is gone then. What runs in it goes on after restore()."""
        self.qmp("migrate", uri=f"exec:cat > {path}")
        self.wait_migrated()
        self.saved = True
        self.close()

    def restore(self, path):
        self.start(self.arguments, "-incoming", "defer")
        self.qmp("migrate-incoming", uri=f"exec:cat {path}")
        self.wait_migrated()
        self.saved = False

    def wait_migrated(self):
        end = time.monotonic() + BOOT_S
        while (status := self.qmp("query-migrate").get("status", "none")) != "completed":
            if status in ("failed", "cancelled") or self.process.poll() is not None or time.monotonic() > end:
                raise GuestError(f"migration: {status}\n" + self.console_tail())
            time.sleep(0.1)

    def close(self):
        if self.process:
            self.kill()
        for end in (self.agent, self.qmp_file, self.qmp_socket):
            if end:
                end.close()
