"""From rounds to figures: medians and ranges of the clean rounds, and ratios of contestants within a round.

All of it is computed from the JSON alone, so that a report can be made again from a file.
"""

import statistics

# Percentiles need this many samples, or they would be single frames.
SAMPLES_FOR = {50: 1, 99: 200, 99.9: 2000}


class Figure:
    """Median, least and most of the values of several rounds. None of them: there is no figure."""

    def __init__(self, values):
        self.values = sorted(values)
        self.median = statistics.median(self.values) if self.values else None

    def __bool__(self):
        return bool(self.values)

    @property
    def low(self):
        return self.values[0]

    @property
    def high(self):
        return self.values[-1]


def merge(histograms):
    """One list of [ns, count], in order."""
    counts = {}
    for histogram in histograms:
        for ns, count in histogram["buckets"]:
            counts[ns] = counts.get(ns, 0) + count
    return sorted(counts.items())


def percentile_us(buckets, percent):
    total = sum(count for _, count in buckets)
    if total < SAMPLES_FOR[percent]:
        return None
    seen = 0
    for ns, count in buckets:
        seen += count
        if seen >= total * percent / 100:
            return ns / 1e3
    return None


class Result:
    """One contestant in one round."""

    def __init__(self, raw, is_queue):
        self.raw = raw
        self.is_queue = is_queue
        self.first_ms = raw["first_ms"]
        if "consumers" not in raw:
            return
        self.sent = raw["producer"]["sent"]
        self.received = [consumer["received"] for consumer in raw["consumers"]]
        self.frames = statistics.mean(r["frames"] for r in self.received)

    @property
    def fps(self):
        return statistics.mean(r["frames"] / r["wall_ns"] * 1e9 for r in self.received)

    @property
    def p50_us(self):
        return percentile_us(merge(r["latency"] for r in self.received), 50)

    # In a single process both sides are one, and can't be told apart.
    @property
    def cpu_producer_us(self):
        return None if self.is_queue else self.sent["cpu_ns"] / self.sent["frames"] / 1e3

    @property
    def cpu_consumer_us(self):
        """Of one consumer, on average."""
        if self.is_queue:
            return None
        return statistics.mean(r["cpu_ns"] / r["frames"] for r in self.received) / 1e3

    @property
    def cpu_us(self):
        """Of all processes together."""
        return self.per_frame("cpu_ns") / 1e3

    def per_frame(self, *fields):
        spans = self.received if self.is_queue else [self.sent, *self.received]
        return sum(span[field] / span["frames"] for span in spans for field in fields)

    @property
    def switches(self):
        return self.per_frame("switches_voluntary", "switches_involuntary")

    @property
    def faults(self):
        return self.per_frame("faults")

    @property
    def syscalls(self):
        """Without those with which the source paces itself. None: not counted."""
        if "syscalls" not in self.sent or any("syscalls" not in r for r in self.received):
            return None
        return self.per_frame("syscalls") - self.sent["sleeps"] / self.sent["frames"]

    @property
    def gaps(self):
        return sum(r["gaps"] + r["strange"] for r in self.received)

    @property
    def rss_producer_mb(self):
        return self.raw["producer"]["memory"]["rss"] / 1e6

    @property
    def rss_consumer_mb(self):
        return None if self.is_queue else statistics.mean(c["memory"]["rss"] for c in self.raw["consumers"]) / 1e6

    @property
    def shared_mb(self):
        """Shared memory, each page counted once: the sum of everybody's share of it."""
        memories = [consumer["memory"] for consumer in self.raw["consumers"]]
        if not self.is_queue:
            memories.append(self.raw["producer"]["memory"])
        return sum(memory["pss_shmem"] for memory in memories) / 1e6


class CellSummary:
    def __init__(self, raw, wanted_rounds, contestants):
        self.raw = raw
        self.name = raw["name"]
        self.title = raw["title"]
        self.cell = raw["cell"]
        self.errors = raw["errors"]
        clean = [r for r in raw["rounds"] if not r["dirty"]]
        self.n_clean = len(clean)
        self.n_rounds = len(raw["rounds"])
        self.few = self.n_clean < wanted_rounds
        # None was clean: those that came to their end are better than nothing, and marked.
        self.rounds = [{name: Result(result, name == "queue") for name, result in r["results"].items()}
                       for r in clean or [r for r in raw["rounds"] if r["complete"]]]
        self.floors = [r["floor"] for r in clean]
        # In their usual order: each round begins with another.
        there = {name for r in self.rounds for name in r}
        self.names = [name for name in contestants if name in there]

    @property
    def mark(self):
        """What stands behind a figure of this cell that is not as good as it should be."""
        return "" if not self.few else "~" if self.n_clean else "!"

    def figure(self, name, field):
        values = [getattr(r[name], field) for r in self.rounds if name in r]
        return Figure([v for v in values if v is not None])

    def compare(self, name, other, field, how):
        """how(value of name, value of other), round by round."""
        pairs = [(getattr(r[name], field), getattr(r[other], field))
                 for r in self.rounds if name in r and other in r]
        return Figure([how(a, b) for a, b in pairs if a is not None and b is not None])

    def ratio(self, name, other, field):
        return self.compare(name, other, field, lambda a, b: a / b)

    def difference(self, name, other, field):
        return self.compare(name, other, field, lambda a, b: a - b)

    def latencies(self, name):
        """Of all rounds together: rare ones need many frames."""
        return merge(received["latency"] for r in self.rounds if name in r for received in r[name].received)

    def percentile(self, name, percent):
        return percentile_us(self.latencies(name), percent)

    def syscalls(self, name):
        raw = self.raw["syscalls"].get(name)
        return Result(raw, name == "queue").syscalls if raw else None
