"""Processes of the fault suite: the zygote that they fork from, and what each leaves behind in its record."""

import collections
import contextlib
import mmap
import os
import re
import select
import signal
import subprocess
import time

# Of record.h: commands, states, words.
RUN, HOLD, DROP, AUDIT = range(4)
STARTING, PLAYING, HELD, DROPPED, AUDITED, ENDED, FAILED = range(7)
WORDS = ("command state number published frames last_ns torn strange links cycle end_of_stream leaked_blocks "
         "leaked_publications leaked_links n_runs").split()
RUNS_AT, RUN_WORDS, MAX_RUNS = 32, 8, 1024
RECORD_BYTES = 8 * (RUNS_AT + RUN_WORDS * MAX_RUNS)

COMPLAINTS = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|-CRITICAL \*\*|-WARNING \*\*"
                        r"|Assertion|ERROR:\.\./")
# Why a producer ends the link of one that does nothing for five seconds.
TOO_SLOW = re.compile(r"does not read its|gave none back")

# ThreadSanitizer has no state for a thread that is just beginning or ending: a handler that runs there, as ours of SIGBUS may, dies of that.
DIES_OF = {signal.SIGBUS: {int(signal.SIGSEGV)}} if "libtsan" in os.environ.get("MMAP_TEST_PRELOAD", "") else {}

Run = collections.namedtuple("Run", "producer cycle first last missed")


class Record:
    """The words that a process and the controller share. Closed: their last values."""

    def __init__(self, path):
        self.path = path
        with open(path, "w+b") as file:
            file.truncate(RECORD_BYTES)
            self.memory = mmap.mmap(file.fileno(), RECORD_BYTES)
        # Words as the machine reads them: whole.
        self.words = memoryview(self.memory).cast("Q")

    def __getattr__(self, name):
        if name not in WORDS:
            raise AttributeError(name)
        return self.words[WORDS.index(name)]

    def order(self, command):
        self.words[0] = command

    @property
    def runs(self):
        ends = range(RUNS_AT, RUNS_AT + RUN_WORDS * self.n_runs, RUN_WORDS)
        return [Run(*self.words[at:at + 5]) for at in ends]

    @property
    def last_run(self):
        n = self.n_runs
        return Run(*self.words[RUNS_AT + RUN_WORDS * (n - 1):][:5]) if n else None

    def close(self):
        """Keeps a copy, and drops the file."""
        words = self.words[:RUNS_AT + RUN_WORDS * self.n_runs].tolist()
        self.words.release()
        self.memory.close()
        self.words = words
        os.unlink(self.path)


class Zygote:
    """Forks processes on demand, and signals them."""

    def __init__(self, program, environment):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.buffer = b""
        self.exits = {}
        self.stopped = set()            # pids
        self.spawned = collections.deque()

    def write(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def read(self, timeout=0):
        """Takes what the zygote says within the timeout, seconds."""
        if select.select([self.process.stdout], [], [], timeout)[0]:
            data = self.process.stdout.read()
            if data == b"":
                raise RuntimeError("the zygote has ended")
            self.buffer += data or b""
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            word, *numbers = line.split()
            pid = int(numbers[0])
            if word == b"pid":
                self.spawned.append(pid)
            elif word == b"stop":
                self.stopped.add(pid)
            elif word == b"continue":
                self.stopped.discard(pid)
            else:
                self.stopped.discard(pid)
                self.exits[pid] = int(numbers[1])

    def spawn(self, options, contained):
        self.write(("contain " if contained else "spawn ") + " ".join(options))
        while not self.spawned:
            self.read(10)
        return self.spawned.popleft()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def list_sockets(pid):
    """Inodes of the sockets for packets in a process's network namespace: GStreamer has pairs of its own, for streams, which come as they
    are needed."""
    with open(f"/proc/{pid}/net/unix") as table:
        rows = [line.split() for line in table]
    return {f"socket:[{row[6]}]" for row in rows if row[4] == "0005"}


def without_numbers(target):
    """Of pipes, and files that were made without a name."""
    return re.sub(r":\[\d+\]$|#\d+", "", target)


class Process:
    """A producer or a consumer. fate: None, or the text that it was given. contained: in namespaces of its own."""

    def __init__(self, zygote, serial, role, directory, options, fate, contained):
        self.zygote = zygote
        self.serial = serial
        self.role = role
        self.fate = fate
        self.contained = contained
        self.is_lost = False            # its container was: it must end
        self.name = f"{role} {serial}"
        self.record = Record(directory / f"{serial}.record")
        self.errors_path = directory / f"{serial}.errors"
        self.expected = set()           # signals that it may die of
        self.may_end = False            # in order, with status 0
        self.may_fail = False           # in order, with status 1: somebody else has its address
        self.stopped = False
        self.goes_on_ns = 0             # when it was told to
        self.stops_itself = bool(fate) and fate.endswith(f":{int(signal.SIGSTOP)}")
        self.status = None
        self.cycle = 0                  # times that it was told to start anew
        self.end_ns = None              # when it was told to
        self.last_errors = None
        self.kinds = None               # of descriptors, at the first checkpoint
        if fate:
            self.expect(int(fate.split(":")[3]))
            self.expected.add(int(signal.SIGTRAP))
            options = options + [f"--fate={fate}"]
        # Who executes its last instructions one by one may get nothing else done for seconds.
        self.crawls = bool(fate) and fate.split(":")[2] != "0"
        self.options = options
        self.pid = zygote.spawn([f"--role={role}", f"--record={self.record.path}", f"--errors={self.errors_path}",
                                 *options], contained)
        # Nobody looks at /proc until all is over: a process whose entries there are in use takes the kernel long to remove.
        try:
            self.pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self.pidfd = None           # it was fast

    def send(self, number):
        self.zygote.write(f"kill {self.pid} {int(number)}")

    def expect(self, number):
        self.expected |= {int(number)} | DIES_OF.get(number, set())

    def kill(self, number=signal.SIGKILL):
        self.expect(number)
        self.send(number)

    def lose(self):
        """Its container ends: the first process of its namespaces is killed."""
        self.is_lost = True
        self.expected.add(int(signal.SIGKILL))
        self.zygote.write(f"lose {self.pid}")

    def end(self, number=signal.SIGTERM):
        """In order. One that has not set up its handler yet dies of it, and so would one that is told twice."""
        if self.may_end:
            return
        self.may_end = True
        self.end_ns = time.monotonic_ns()
        if self.record.state == STARTING:
            self.expected.add(int(number))
        self.send(number)

    def is_stopped(self):
        return self.pid in self.zygote.stopped

    def has_died(self):
        """Also if nobody has been told yet."""
        return self.pidfd is None or bool(select.select([self.pidfd], [], [], 0)[0])

    def describe_end(self):
        return (f"{self.name} (status {self.status}, {'told to end, ' if self.may_end else ''}started anew {self.cycle} times, "
                f"{' '.join(self.options)})")

    def describe_threads(self):
        """What each does: its state, and where in the kernel it waits."""
        text = ""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in os.listdir(f"/proc/{self.pid}/task") if self.status is None else []:
                words = []
                for name in ("comm", "stat", "wchan"):
                    with open(f"/proc/{self.pid}/task/{task}/{name}") as file:
                        words.append(file.read().strip())
                text += f" {words[0]}:{words[1].rpartition(')')[2][1]}:{words[2]}"
        return text

    def errors(self):
        return self.errors_path.read_text(errors="replace") if self.errors_path.exists() else ""

    def finish(self, status):
        """It has been waited for. Returns: what is wrong with how it ended, or None."""
        self.status = status
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None
        errors = self.last_errors = self.errors()
        ended_state = self.record.state
        self.record.close()
        self.errors_path.unlink(missing_ok=True)
        complaint = COMPLAINTS.search(errors)
        if complaint:
            return f"{self.name} complained: {errors[complaint.start():][:4000]}"
        if os.WIFSIGNALED(status):
            if os.WTERMSIG(status) not in self.expected:
                return f"{self.name} died of signal {os.WTERMSIG(status)}: {errors[-2000:]}"
            return None
        code = os.WEXITSTATUS(status)
        if code == 1 and self.may_fail and re.search(r"reason: in-use", errors):
            return None
        if code == 1 and self.crawls and TOO_SLOW.search(errors):
            return None
        if code != 0 or ended_state != ENDED:
            return f"{self.name} ended with status {code}: {errors[-2000:]}"
        if not (self.may_end or self.record.end_of_stream):
            return f"{self.name} ended by itself: {errors[-2000:]}"
        return None

    def list_kinds(self):
        """What it has open and mapped, and its threads: a Counter of kinds."""
        kinds = collections.Counter()
        directory = f"/proc/{self.pid}/fd"
        own = str(self.record.path.parent)
        sockets = list_sockets(self.pid)
        for fd in os.listdir(directory):
            try:
                target = os.readlink(f"{directory}/{fd}")
            except FileNotFoundError:
                continue
            if not target.startswith(own) and (not target.startswith("socket:") or target in sockets):
                kinds["fd " + without_numbers(target)] += 1
        with open(f"/proc/{self.pid}/maps") as maps:
            for line in maps:
                path = line.split(maxsplit=5)[5:]
                if path and not path[0].startswith(own) and ("memfd:" in path[0] or "/dev/shm/" in path[0]):
                    kinds["mapping " + without_numbers(path[0].strip())] += 1
        for task in os.listdir(f"/proc/{self.pid}/task"):
            try:
                with open(f"/proc/{self.pid}/task/{task}/comm") as comm:
                    kinds["thread " + comm.read().strip()] += 1
            except (FileNotFoundError, ProcessLookupError):
                continue
        return kinds
