"""What the fault suite draws from its seed: pipelines, fates, faults. Each draw follows from the seed and from what it is for, so that
one that depends on the machine's speed doesn't change the others."""

import contextlib
import math
import os
import random
import shlex
import signal
import socket

WIDTHS = [(64, 16), (128, 64), (320, 240), (640, 480), (1280, 800)]
LARGEST = 60000                 # bytes of a frame without caps
# What the region holds besides frames: see src/producer-block.c.
OVERHEAD = 400000

# How often, in relation to each other.
FAULTS = {
    "kill consumer": 20, "stop consumer": 8, "stop and kill consumer": 4, "end consumer": 8, "crash consumer": 8,
    "restart consumer in its process": 20, "join": 24,
    "kill producer": 6, "stop producer": 6, "crash producer": 3, "end producer": 3, "end of stream": 3,
    "second producer": 2, "two at once for a dead one": 3, "kill all": 3,
    "lose consumer with its container": 10, "lose producer with its container": 8, "crowd of consumers": 1,
}


# After these there is another one.
DEADLY_FOR_PRODUCER = {"kill producer", "crash producer", "end producer", "end of stream", "two at once for a dead one", "kill all",
                       "lose producer with its container"}

# Where offers and answers go: a socket, the mailboxes of an area, or TCP, in front of one. How often, in relation to each other, of those that
# are asked for: see docs/testing.md.
SIGNALLING = {"socket": 70, "area": 18, "tcp": 12}
SIGNALLING = {kind: SIGNALLING[kind] for kind in os.environ.get("MMAP_FAULTS_SIGNALLING", "socket,area,tcp").split(",")}

# None that the system gives to who asks for any, or connects: producers come and go, and must find theirs free.
PORTS = range(10000, 30000)


def find_port():
    """A TCP port that nobody has."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def generator(*what):
    return random.Random("/".join(map(str, what)))


def logarithmic(random, low, high):
    """A number whose magnitude is drawn: small ones are as likely as large ones."""
    return int(math.exp(random.uniform(math.log(low), math.log(high + 1))))


def crash_signal(random):
    return random.choice([signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])


def draw_fate(random):
    """Where a process dies, or stops, all by itself: see fate.h."""
    kind = random.choice(["call", "call", "frame", "frame", "time"])
    end = random.choices([signal.SIGKILL, signal.SIGSTOP, crash_signal(random)], [70, 15, 15])[0]
    steps = 0 if kind == "time" or random.random() < 0.3 else logarithmic(random, 1, 30000)
    count = {"call": lambda: logarithmic(random, 1, 300), "frame": lambda: random.randint(1, 40),
             "time": lambda: logarithmic(random, 50, 200000)}[kind]()
    return f"{kind}:{count}:{steps}:{int(end)}"


class Plan:
    """How the producers of one generation are made: all on the same address."""

    def __init__(self, random, directory, shm, seed):
        self.seed = seed
        self.directory = directory
        self.signalling = random.choices(list(SIGNALLING), SIGNALLING.values())[0]
        # What was a dead producer's in an area is kept until its successor's successor takes it, and is used then: no two die before all
        # consumers have had a frame of the one in between, and have given back what they keep.
        self.in_area = self.signalling != "socket"
        self.keeps = not self.in_area or random.random() < 0.4
        self.abstract = f"{shm.name}-socket" if random.random() < 0.25 and not self.in_area else None
        address = f"@{self.abstract}" if self.abstract else str(directory / "socket")
        self.file = shm if random.random() < 0.4 or self.in_area else None
        # Of both sides.
        self.where = f"socket-path={address}" if not self.in_area else f"file={self.file}"
        if self.signalling == "tcp":
            self.where += f" address=tcp:127.0.0.1:{find_port()}"
        self.caps = None
        # Blocking, and where frames may be missing, if the consumer knows how many.
        self.leaky = random.choice(["none", "none", "upstream", "downstream"])
        self.metas_period = random.choice([0, 1, 3, 7])
        sink = [f"mmapsink name=link sync=false {self.where}"]
        if self.file and not self.in_area:
            sink.append(f"file={self.file}")
        sink.append(f"leaky-type={self.leaky}")
        if random.random() < 0.4:
            sink.append(f"max-buffers={random.choice([1, 2, 3, 8])}")
        largest = LARGEST
        # A small region, which doesn't grow. Consumers are told to copy what would take the room of the largest frame so far, so that one comes first:
        # for one larger than all before, a producer that blocks would wait for what they keep until there is another frame.
        small = random.random() < 0.4
        self.is_roomy = not small and not self.in_area
        if random.random() < 0.75:
            widths = random.sample(WIDTHS[:random.choice([2, 3, 3, 4, 5])], 2)
            if small or self.in_area:
                widths.sort(reverse=True)
            self.caps = [f"video/x-raw,format=GRAY8,width={w},height={h},framerate=1000/1" for w, h in widths]
            largest = max(w * h for w, h in widths)
            head = f"videotestsrc pattern=black ! capsfilter name=caps caps-change-mode=delayed caps=\"{self.caps[0]}\""
            if random.random() < 0.4:
                head += " ! identity drop-allocation=true"
        else:
            head = f"fakesrc format=time sizetype={'fixed' if small else 'random'} sizemin=40 sizemax={LARGEST} filltype=nothing"
        if small and not self.in_area:
            sink.append(f"size={random.randint(4, 12) * largest + OVERHEAD}")
        if random.random() < 0.3:
            sink.append("wait-for-connection=false")
        if random.random() < 0.3:
            sink.append(f"spin-time={random.choice([0, 100000])}")
        if random.random() < 0.3:
            sink.append(f"token-bytes={random.choice([16, 1024])}")
        if random.random() < 0.3:
            head += " ! queue max-size-buffers=3"
        self.pipeline = f"{head} ! {' '.join(sink)}"
        self.options = [f"--pause={random.choice([200, 500, 1000, 2000])}"]
        if self.caps:
            self.options += [f"--caps={';'.join(self.caps)}", f"--caps-period={random.choice([10, 50, 200])}"]

    def common(self, pipeline):
        return [f"--seed={self.seed}", f"--metas-period={self.metas_period}", f"--pipeline={pipeline}"]

    def producer(self, number):
        return [shlex.quote(option) for option in self.common(self.pipeline) + [f"--number={number}"] + self.options]

    def consumer(self, random):
        # Some end with their producer, and then must have had all that it sent.
        source = (f"mmapsrc name=link {self.where} is-live={random.choice(['true', 'false'])} "
                  f"on-disconnect={random.choices(['wait', 'eos'], [85, 15])[0]}")
        if random.random() < 0.3:
            source += f" spin-time={random.choice([0, 100000])}"
        options = []
        kind = random.choice(["fast", "slow", "holds", "holds", "queue"] if self.keeps else ["fast", "fast", "slow"])
        if kind == "slow":
            options.append(f"--pause={random.choice([1000, 3000])}")
        elif kind == "holds":
            options.append(f"--hold={random.randint(1, 12)}")
            # Where memory is short, what is kept of a link that was left isn't waited for without end.
            if self.is_roomy:
                options.append("--keeps")
        elif kind == "queue":
            source += f" ! queue max-size-buffers={random.randint(1, 20)}"
        pipeline = f"{source} ! fakesink name=out sync=false enable-last-sample=false"
        return [shlex.quote(option) for option in self.common(pipeline) + options]
