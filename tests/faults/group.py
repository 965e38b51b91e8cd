"""One producer's address, the processes that come and go there, and what is done to them."""

import collections
import os
import signal
import threading
import time
import traceback

import plan
import process
from plan import generator
from process import Process, Zygote

MOST_CONSUMERS = 6
AREA_CROWD = 12                         # an area of 256 MiB has 16 link slots, some of them those of the dead
POLL_S = 0.001
STILL_NS = 100_000_000                  # chosen: three threads of an interpreter look a hundred times as often
CHECKPOINT_EACH, AUDIT_EACH = 8, 40     # faults; chosen: each producer sees some dozens of consumers die
MOST_VIOLATIONS = 20
LINK, AREA_LINK = "fd /memfd:gst-mmap-link (deleted)", "thread mmap-area"
# What comes and goes while nothing happens.
PASSING = ("thread mmap-reserve", "thread mmap-populate", "thread pool-")


class Hang(Exception):
    """What should have happened has not."""


class Group(threading.Thread):
    def __init__(self, suite, index):
        super().__init__(name=f"group {index}")
        self.suite = suite
        self.index = index
        self.seed = suite.seed
        self.directory = suite.directory / str(index)
        self.sockets = self.directory / "sockets"
        self.sockets.mkdir(parents=True)
        self.shm = suite.shm / f"{suite.prefix}-{index}"
        self.counts = collections.Counter()
        self.faults = collections.Counter()
        self.violations = []
        self.recoveries = []            # (seconds, after what)
        self.endings = []               # (seconds, of whom)
        self.history = collections.deque(maxlen=40)
        self.serial = 0
        self.most_consumers = 0
        self.n_drawn = 0
        self.alive = {}                 # pid -> Process
        self.gone = []                  # Processes of this generation that have ended
        self.since = 0                  # ns: nothing was done to anybody since
        self.still = 0                  # ns since then in which the machine stood still
        self.wake_up = []               # (ns, Process): when the stopped go on
        self.what = "nothing"
        self.generation = 0
        self.producer_died = False      # since all had recovered

    # --- what there is ---

    def producers(self):
        return [p for p in self.alive.values() if p.role == "producer"]

    def consumers(self):
        return [p for p in self.alive.values() if p.role == "consumer"]

    def log(self, text):
        self.history.append(f"{time.monotonic():.4f} {text}")

    def violate(self, kind, text):
        self.counts[kind] += 1
        self.violations.append(f"{kind}: {text}\n  generation {self.generation}: {self.plan.pipeline}")
        # What followed was seen by others, too.
        if len(self.violations) == 1:
            self.violations[0] += "\n  " + "\n  ".join(self.history)

    # --- processes come and go ---

    def spawn(self, role, fated):
        self.serial += 1
        random = generator(self.seed, self.index, "process", self.serial)
        if role == "producer":
            options = self.plan.producer(self.serial)
        else:
            options = self.plan.consumer(random)
        fate = plan.draw_fate(random) if random.random() < fated and not (self.plan.in_area and role == "producer") else None
        # An abstract socket is one of its network namespace, and so is an address of TCP. In an area it takes a second to see that one has died.
        contained = random.random() < {"socket": 0 if self.plan.abstract else 0.35, "area": 0.1, "tcp": 0}[self.plan.signalling]
        new = Process(self.zygote, self.serial, role, self.directory, options, fate, contained)
        self.alive[new.pid] = new
        self.touch(f"{new.name} starts as {new.pid}{' in a container' * contained}{', fate ' + fate if fate else ''}: "
                   f"{' '.join(options)[-150:]}")
        return new

    def touch(self, text):
        self.log(text)
        self.begin_time()

    def begin_time(self):
        self.since = time.monotonic_ns()
        self.still = 0

    def reap(self):
        self.zygote.read()
        while self.zygote.exits:
            pid, status = self.zygote.exits.popitem()
            ended = self.alive.pop(pid)
            wrong = ended.finish(status)
            self.gone.append(ended)
            self.touch(f"{ended.name} has ended, status {status}")
            if ended.end_ns and not os.WIFSIGNALED(status):
                self.endings.append(((time.monotonic_ns() - ended.end_ns) / 1e9, ended.name))
            if os.WIFSIGNALED(status) and ended.fate:
                self.faults[f"died at a {ended.fate.split(':')[0]}"] += 1
                self.what = f"{ended.name}, fate {ended.fate}"
            if wrong:
                self.violate("ends", wrong)

    def serve(self):
        """Lets those go on that were stopped, or have stopped themselves."""
        now = time.monotonic_ns()
        for member in self.alive.values():
            # The signal that makes it go on may still be on its way.
            if member.stops_itself and not member.stopped and now > member.goes_on_ns + 50_000_000 \
                    and member.is_stopped():
                member.stopped = True
                self.faults["stopped at a " + member.fate.split(":")[0]] += 1
                self.log(f"{member.name} has stopped itself")
                random = generator(self.seed, self.index, "stop", member.serial)
                self.wake_up.append((now + random.randrange(100_000_000), member))
        for when, member in list(self.wake_up):
            if now >= when:
                self.wake_up.remove((when, member))
                member.stopped = False
                member.goes_on_ns = now
                if member.status is None:
                    member.send(signal.SIGCONT)
                    self.touch(f"{member.name} goes on")

    def wait(self, what, condition, restores=False):
        """Until condition () is true. restores: starts what is lacking meanwhile."""
        looked = time.monotonic_ns()
        while True:
            # As the whole machine may, when it is a guest: that is no time for the others.
            now = time.monotonic_ns()
            self.still += now - looked if now - looked > STILL_NS else 0
            looked = now
            self.reap()
            self.serve()
            if restores:
                self.restore()
            if condition():
                return
            # One that fails at once is replaced at once.
            if len(self.violations) >= MOST_VIOLATIONS:
                raise Hang(f"{MOST_VIOLATIONS} times something was wrong, and it is still not so: {what}")
            # Since it looked: what has stood still after that is not counted yet.
            if looked - self.since - self.still > self.suite.limit_s * 1e9:
                raise Hang(f"{self.suite.limit_s} s after the last event still not: {what}")
            time.sleep(POLL_S)

    def restore(self):
        if not self.producers():
            self.spawn("producer", 0.25)
        if not self.consumers():
            self.spawn("consumer", 0)

    def is_well(self, consumer):
        """It has had a frame of the producer that there is, since the last event, and not from before it was started anew."""
        producer, = self.producers()
        record, run = consumer.record, consumer.record.last_run
        return record.last_ns > self.since and run and run.producer == producer.serial and run.cycle == consumer.cycle

    def recover(self):
        """Each consumer that lives gets frames again. The time is that of the last of them."""
        self.wait("every consumer has had a frame since", lambda: not self.wake_up and len(self.producers()) == 1
                  and not self.producers()[0].may_end and not any(m.is_lost for m in self.alive.values())
                  and all(map(self.is_well, self.consumers())), restores=True)
        self.most_consumers = max(self.most_consumers, len(self.consumers()))
        last = max(c.record.last_ns for c in self.consumers())
        self.recoveries.append((max(0, last - self.since - self.still) / 1e9, self.what))
        if not self.plan.keeps:
            self.producer_died = False

    # --- faults ---

    def inject(self):
        random = generator(self.seed, self.index, "fault", self.n_drawn)
        self.n_drawn += 1
        kind = random.choices(list(plan.FAULTS), plan.FAULTS.values())[0]
        time.sleep(random.choice([0, plan.logarithmic(random, 10, 20000) / 1e6]))
        self.reap()
        self.restore()
        # None that is the target of something already.
        consumers = [c for c in self.consumers() if not c.stopped and not c.may_end]
        producers = [p for p in self.producers() if not p.stopped and not p.may_end]
        if kind == "join" and len(self.consumers()) >= MOST_CONSUMERS:
            kind = "kill consumer"
        # See plan.py.
        if self.plan.in_area and kind in plan.DEADLY_FOR_PRODUCER:
            kind = "kill consumer" if self.producer_died else kind
            self.producer_died = True
        candidates = consumers if "consumer" in kind else producers
        if "container" in kind:
            candidates = [c for c in candidates if c.contained]
        victim = random.choice(candidates) if candidates else None
        joins = kind in ("join", "crowd of consumers")
        if victim is None and not joins:
            return
        self.what = kind if joins else f"{kind} ({victim.name})"
        self.log(f"fault {self.n_drawn}: {self.what}")
        self.faults[kind] += 1
        action = getattr(self, "do_" + kind.split()[0])
        action(random, kind, victim)
        self.begin_time()

    def do_kill(self, random, kind, victim):
        for member in list(self.alive.values()) if kind == "kill all" else [victim]:
            member.kill()

    def do_crash(self, random, kind, victim):
        victim.kill(plan.crash_signal(random))

    def do_stop(self, random, kind, victim):
        victim.send(signal.SIGSTOP)
        victim.stopped = True
        if kind == "stop and kill consumer":
            time.sleep(random.random() * 0.05)
            victim.kill()
            return
        self.wake_up.append((time.monotonic_ns() + plan.logarithmic(random, 100_000, 300_000_000), victim))

    def do_end(self, random, kind, victim):
        victim.end(signal.SIGUSR2 if kind == "end of stream" else signal.SIGTERM)

    def do_restart(self, random, kind, victim):
        # One at a time: two signals may be handled as one.
        if victim.cycle > victim.record.cycle:
            return
        if victim.record.state == process.STARTING:
            victim.expected.add(int(signal.SIGUSR1))
        victim.cycle += 1
        victim.send(signal.SIGUSR1)

    def do_join(self, random, kind, victim):
        self.spawn("consumer", 0.5)

    def do_lose(self, random, kind, victim):
        victim.lose()

    def do_crowd(self, random, kind, victim):
        crowd = min(self.suite.crowd, AREA_CROWD) if self.plan.in_area else self.suite.crowd
        for _ in range(len(self.consumers()), crowd):
            self.spawn("consumer", 0.2)

    def do_second(self, random, kind, victim):
        """The one that is there stays, if nothing happens to it meanwhile."""
        for member in [victim, self.spawn("producer", 0)]:
            member.may_fail = True

    def do_two(self, random, kind, victim):
        victim.kill()
        for _ in range(2):
            self.spawn("producer", 0).may_fail = True

    # --- checks while all is at rest ---

    def hold(self):
        """Makes the producer send nothing more, and checks that every consumer has the last frame. Returns: the producer, or None if
        it has died meanwhile."""
        producer, = self.producers()
        self.touch(f"{producer.name} shall hold")
        producer.record.order(process.HOLD)
        # One without a consumer may wait for it before it holds, and for one that comes now there is no frame.
        self.wait("the producer holds", lambda: producer.status is not None
                  or producer.record.state == process.HELD or not self.consumers())
        if producer.status is not None or producer.record.state != process.HELD:
            return None
        last = producer.record.published
        self.log(f"the last frame was {last}")

        def has_all(consumer):
            run = consumer.record.last_run
            return run and run.producer == producer.serial and (run.last >= last or self.plan.leaky != "none")
        self.wait("every consumer has the last frame", lambda: producer.status is not None
                  or all(has_all(c) for c in self.consumers()) and not self.wake_up)
        if producer.status is not None:
            return None
        self.wait("the producer knows how many there are", lambda: producer.status is not None
                  or producer.record.links == len(self.consumers()) and not self.wake_up)
        return producer if producer.status is None else None

    def checkpoint(self):
        producer = self.hold()
        if not producer:
            return None
        for consumer in self.consumers():
            consumer.record.order(process.DROP)
        self.wait("consumers have dropped what they kept",
                  lambda: all(c.record.state == process.DROPPED for c in self.consumers()) and not self.wake_up)
        self.producer_died = False
        for consumer in self.consumers():
            self.compare(consumer)
        return producer

    def proceed(self):
        for member in self.alive.values():
            member.record.order(process.RUN)
        self.touch("all go on")
        self.recover()

    def compare(self, member, kinds=None):
        """Has it more open than it had before? A consumer: while it has a link. Returns: what it has; None: somebody has died meanwhile."""
        def lasting(member):
            kinds = {kind: n for kind, n in member.list_kinds().items() if not kind.startswith(PASSING)}
            # Who has made an area has it open as a file without a name.
            for kind in ("fd", "mapping") if self.plan.in_area else []:
                n = kinds.pop(f"{kind} /dev/shm/ (deleted)", 0)
                if n:
                    kinds[f"{kind} {self.plan.file}"] = n + kinds.get(f"{kind} {self.plan.file}", 0)
            # A consumer may have been offered the region that comes next.
            for name in ("/memfd:gst-mmap (deleted)", "/dev/shm/ (deleted)", str(self.plan.file)):
                for kind in (f"fd {name}", f"mapping {name}"):
                    if member.role == "consumer" and kinds.get(kind) in (1, 2):
                        del kinds[kind]
            return kinds
        deadline = time.monotonic() + self.suite.limit_s
        producers = self.producers()
        before, known = member.kinds, kinds or member.kinds
        while True:
            try:
                now = lasting(member)
            except (FileNotFoundError, ProcessLookupError):
                return None
            # Its consumers close what they had of a dead one before anybody is told of its death.
            if not producers or any(other.has_died() for other in [member, *producers]):
                member.kinds = before
                return None
            # A thread that has just begun has the name of the one that made it: the least counts.
            if member.role == "producer" or LINK in now or AREA_LINK in now:
                known = known or now
                member.kinds = {kind: min(n, known.get(kind, 0)) for kind, n in now.items()}
                if member.kinds == now:
                    return now
            if time.monotonic() > deadline:
                break
            self.reap()
            self.serve()
            time.sleep(POLL_S)
        known = known or {}
        more = {kind: f"{n}, not {known.get(kind, 0)}" for kind, n in now.items() if n > known.get(kind, 0)}
        self.violate("leaks", f"{member.name} has {more}")
        return None

    def leave(self):
        """All consumers go, each in its way. Returns: the producer, which holds and has nobody any more; None if it has died."""
        producer = self.checkpoint()
        if not producer:
            return None
        random = generator(self.seed, self.index, "leave", self.n_drawn)
        for consumer in self.consumers():
            random.choice([consumer.kill, consumer.end])()
        self.touch("all consumers leave")
        self.wait("all consumers have left", lambda: not self.consumers())
        self.wait("the producer knows that", lambda: producer.status is not None or producer.record.links == 0)
        return producer if producer.status is None else None

    def begin_generation(self):
        """A producer, a consumer, no faults: what it has open then is what it may have open ever."""
        self.generation += 1
        random = generator(self.seed, self.index, "generation", self.generation)
        self.plan = plan.Plan(random, self.sockets, self.shm, self.seed)
        self.counts[self.plan.signalling] += 1
        self.log(f"generation {self.generation}: {self.plan.pipeline}")
        self.touch("a new generation")
        self.what = "start"
        producer = self.spawn("producer", 0)
        self.spawn("consumer", 0)
        self.recover()
        self.leave()
        self.kinds = self.compare(producer)
        self.proceed()

    def end_generation(self):
        """Audit: nothing is held, nothing is left. FALSE: the producer has died on the way there."""
        producer = self.leave()
        if not producer:
            return False
        self.compare(producer, self.kinds)
        self.touch(f"{producer.name} is audited")
        producer.record.order(process.AUDIT)
        self.wait("the producer is audited",
                  lambda: producer.status is not None or producer.record.state == process.AUDITED)
        if producer.status is not None:
            return False
        for what in ("blocks", "publications", "links"):
            n = getattr(producer.record, f"leaked_{what}")
            if n:
                self.violate("blocks", f"{producer.name} has {n} {what} that nobody holds")
        self.counts["audits"] += 1
        producer.end()
        self.touch(f"{producer.name} ends")
        self.wait("the producer has ended", lambda: producer.status is not None)
        self.check_files()
        for member in self.gone:
            self.judge(member)
        self.gone.clear()
        return True

    def check_files(self):
        left = [str(path) for path in self.sockets.iterdir()] + [str(self.shm)] * self.shm.exists()
        left += [str(path) for path in self.directory.iterdir() if path != self.sockets]
        with open("/proc/net/unix") as table:
            left += [line for line in table if str(self.sockets) in line or f"@{self.shm.name}-" in line]
        if left:
            self.violate("files", ", ".join(left))

    # --- what a process has seen, when all of its generation have ended ---

    def judge_bytes(self, member):
        record = member.record
        if record.torn:
            self.violate("torn", f"{member.describe_end()}: {record.torn}: {member.last_errors}")
        if record.strange:
            self.violate("strange", f"{member.describe_end()}: {record.strange}: {member.last_errors}")

    def judge(self, member):
        record = member.record
        if member.role == "producer":
            self.counts["sent"] += record.published
            return
        self.counts["received"] += record.frames
        self.judge_bytes(member)
        producers = {p.serial: p for p in self.gone if p.role == "producer"}
        runs = record.runs
        for run, later in zip(runs, runs[1:] + [None]):
            self.judge_run(member, producers[run.producer], run, later)

    def judge_run(self, member, producer, run, later):
        """Numbers of a link follow each other; who has survived its producer has had all that it sent."""
        record = member.record
        sent, began = producer.record.published, producer.record.number
        who = f"{member.describe_end()}: {run}, then {later}, of {producer.describe_end()}, which sent {sent}"
        if later and (later.producer, later.cycle) == (run.producer, run.cycle):
            # Whose heartbeat has failed to come for a second, because the machine stood still, is dead in an area, and comes again.
            if self.plan.in_area:
                self.counts["anew"] += 1
                return
            self.violate("lost", f"two links of one: {who}")
        elif later and later.producer < run.producer:
            self.violate("lost", f"an older producer after a newer one: {who}")
        if run.last > began:
            self.violate("lost", f"a frame that was not sent, the last was {began}: {who}")
        if self.plan.leaky != "none":
            # What was dropped after the last frame nobody has told it.
            self.counts["missed"] += run.missed
            return
        if run.missed:
            self.violate("lost", f"nothing may be dropped: {who}")
        # Not of its own accord: started anew, it may have come to the end of another stream before any frame.
        survived = later.cycle == run.cycle if later else record.end_of_stream and record.cycle == run.cycle
        if survived and run.last < sent:
            self.violate("lost", f"the last ones: {who}")

    # --- the thread ---

    def play(self):
        self.begin_generation()
        since_checkpoint = since_audit = 0
        while self.suite.wants(self) and len(self.violations) < MOST_VIOLATIONS:
            random = generator(self.seed, self.index, "burst", self.n_drawn)
            burst = random.choice([1, 1, 1, 2, 3, 5])
            for _ in range(burst):
                self.inject()
            self.recover()
            since_checkpoint += burst
            since_audit += burst
            if since_audit >= AUDIT_EACH:
                if self.end_generation():
                    since_audit = 0
                    self.begin_generation()
                else:
                    self.proceed()
            elif since_checkpoint >= CHECKPOINT_EACH:
                since_checkpoint = 0
                self.checkpoint()
                self.proceed()
        while not self.end_generation():
            self.proceed()

    def run(self):
        self.zygote = Zygote(self.suite.program, self.suite.environment)
        try:
            self.play()
        except Hang as hang:
            self.violate("hangs", f"{hang}\n" + self.describe())
            for member in [*self.gone, *self.alive.values()]:
                member.last_errors = member.last_errors or member.errors()
                self.judge_bytes(member)
        except Exception:
            self.violate("suite", traceback.format_exc())
        finally:
            self.zygote.close()

    def describe(self):
        lines = []
        for member in self.alive.values():
            words = {name: getattr(member.record, name) for name in process.WORDS if getattr(member.record, name)}
            lines.append(f"  {member.name} ({member.pid}): {words} {member.record.last_run}"
                         f"\n    {member.describe_threads()} {member.errors()[-500:]}")
        return "\n".join(lines)
