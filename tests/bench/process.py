"""One measurement: the processes of one contestant in one cell, from their start to their end."""

import json
import os
import pathlib
import resource
import select
import subprocess
import tempfile
import time

# For anything but the window itself: the start of 32 processes, and touching 800 MB; chosen.
LIMIT_S = 30
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    pass


class Noise:
    """CPU time that others used, as a share of one core: all of the machine's, minus our own and our children's: of those that were waited
    for, and of the pids that are named."""

    def __init__(self, pids=()):
        self.pids = pids
        self.began = time.monotonic()
        self.own = self.own_seconds()
        self.all = self.all_seconds()

    @staticmethod
    def all_seconds():
        # user nice system idle iowait irq softirq steal: what another virtual machine took from us disturbs as well
        fields = [int(n) for n in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return (sum(fields) - fields[3] - fields[4]) / TICKS

    @staticmethod
    def seconds_of(pid):
        # What follows the name of the program, which is in parentheses: state, 10 others, user, system
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def own_seconds(self):
        return sum(usage.ru_utime + usage.ru_stime
                   for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))) \
            + sum(map(self.seconds_of, self.pids))

    def share(self):
        used = self.all_seconds() - self.all - (self.own_seconds() - self.own)
        return max(used, 0) / max(time.monotonic() - self.began, 0.01)


class Process:
    """One bench-pipe. Its lines come through a pipe; what it says besides goes to a file."""

    def __init__(self, command, env, log):
        self.log = log
        self.buffer = b""
        self.child = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def wait_line(self, word, deadline):
        """The rest of the next line, which begins with word."""
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.child.stdout], [], [], left)[0]:
                raise Failed(f"no '{word}' in time{self.complaint()}")
            data = os.read(self.child.stdout.fileno(), 1 << 16)
            if not data:
                raise Failed(f"ended before '{word}'{self.complaint()}")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        name, _, rest = line.decode().partition(" ")
        if name != word:
            raise Failed(f"said '{name}', not '{word}'")
        return rest

    def complaint(self):
        self.log.seek(0)
        text = self.log.read().decode(errors="replace").strip()
        return f": {text.splitlines()[-1]}" if text else ""

    def go(self):
        self.child.stdin.write(b"go\n")
        self.child.stdin.flush()

    def end(self):
        """Ends it, if need be by force: then that is True."""
        self.child.stdin.close()
        try:
            self.child.wait(5)
            forced = False
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            forced = True
        self.child.stdout.close()
        return forced


class Measurement:
    """Runs one contestant in one cell. The directory that holds its socket is removed afterwards."""

    def __init__(self, program, contestant, cell, warm_up_s, window_s, syscalls=False):
        self.program = program
        self.contestant = contestant
        self.cell = cell
        self.window_s = window_s
        self.options = [f"--caps={cell.caps}", f"--fps={0 if cell.rate == 'full' else cell.rate}",
                        f"--touch={'all' if cell.touch == 'all' else 'header'}",
                        f"--memory={'heap' if cell.touch == 'heap' else 'pool'}", f"--buffers={cell.pool}",
                        f"--warm-up={warm_up_s}", f"--window={window_s}"]
        if cell.spin:
            self.options.append("--spin")
        if syscalls:
            self.options.append("--syscalls")
        self.processes = []
        self.logs = []

    def spawn(self, role, description, *options):
        command = [str(self.program), f"--role={role}", *self.options, *options, description]
        self.logs.append(tempfile.TemporaryFile())
        self.processes.append(Process(command, self.contestant.env, self.logs[-1]))
        return self.processes[-1]

    def start(self, socket):
        """Returns: who sends, who receives."""
        if self.contestant.kind == "queue":
            both = self.spawn("both", self.contestant.producer(self.cell, socket))
            return both, [both]
        producer = self.spawn("producer", self.contestant.producer(self.cell, socket))
        options = [] if self.contestant.consumer_waits else [f"--wait-for={socket}"]
        return producer, [self.spawn("consumer", self.contestant.consumer(self.cell, socket), *options)
                          for _ in range(self.cell.consumers)]

    def measure(self, socket):
        began_ns = time.monotonic_ns()
        producer, consumers = self.start(socket)
        deadline = time.monotonic() + LIMIT_S
        first_ns = [int(consumer.wait_line("first", deadline)) for consumer in consumers]
        result = {"first_ms": (max(first_ns) - began_ns) / 1e6}
        if self.cell.start:
            return result
        producer.go()
        producer.wait_line("window", time.monotonic() + LIMIT_S)
        # What the start costs, and the end, as the kernel gives memory and takes it back, disturbs nobody.
        noise = Noise([process.child.pid for process in self.processes])
        deadline = time.monotonic() + LIMIT_S + self.window_s
        results = [json.loads(consumer.wait_line("result", deadline)) for consumer in consumers]
        result["consumers"] = results
        result["producer"] = results[0] if producer is consumers[0] else json.loads(
            producer.wait_line("result", deadline))
        result["others"] = noise.share()
        return result

    def run(self):
        """Returns: what was measured, and "others": the CPU time that others used meanwhile. Or raises Failed."""
        noise = Noise()
        with tempfile.TemporaryDirectory(prefix="gst-mmap-bench.") as directory:
            try:
                result = self.measure(pathlib.Path(directory) / "socket")
            finally:
                # Consumers first: a producer that is told to end while one still reads is no part of this.
                forced = [process.end() for process in reversed(self.processes)]
                for log in self.logs:
                    log.close()
        result["forced"] = sum(forced)
        # There was no window.
        result.setdefault("others", noise.share())
        return result
