#!/usr/bin/python3
"""Kills, stops, crashes, ends and joins of real processes, drawn from a seed, while they share numbered frames.

    faults.py PROGRAM [--seed N] [--faults N | --seconds N | --soak] [--groups N]

PROGRAM is faults-peer. meson runs it, for some hundred faults; with -Dsoak=true also for MMAP_FAULTS_HOURS, with another seed each time.
It prints its seed, and a table in the end: see docs/testing.md. MMAP_FAULTS_SEED is a seed, too; MMAP_TEST_TIMES and MMAP_TEST_PRELOAD
are as in test-launch.py.
"""

import argparse
import collections
import os
import pathlib
import shutil
import sys
import tempfile
import time

from group import Group

DEFAULT_SEED = 20260803
TIMES = int(os.environ.get("MMAP_TEST_TIMES", "1"))
# Nothing takes so long, whatever else the machine does: who gets there has hung.
LIMIT_S = 60 * TIMES


class Suite:
    def __init__(self, options):
        self.program = options.program
        self.seed = options.seed
        self.n_faults = max(options.groups, options.faults // TIMES) // options.groups
        self.until = time.monotonic() + options.seconds if options.seconds else None
        self.limit_s = LIMIT_S
        # Consumers that are there at once, now and then.
        self.crowd = max(8, 32 // TIMES)
        # In memory: who writes into a record must never wait for a disk.
        self.shm = pathlib.Path("/dev/shm")
        self.prefix = f"gst-mmap-faults-{os.getpid()}"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.prefix}-", dir=self.shm))
        self.environment = dict(os.environ, GST_DEBUG_NO_COLOR="1", LC_ALL="C")
        self.environment.pop("GST_DEBUG", None)
        # Those that crash are meant to.
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS"):
            self.environment[name] = os.environ.get(name, "") + ":handle_segv=0:handle_abort=0:handle_sigbus=0"
        if os.environ.get("MMAP_TEST_PRELOAD"):
            self.environment["LD_PRELOAD"] = os.environ["MMAP_TEST_PRELOAD"]
        self.groups = [Group(self, index) for index in range(options.groups)]

    def wants(self, group):
        """More faults?"""
        if self.until:
            return time.monotonic() < self.until
        return group.n_drawn < self.n_faults

    def run(self):
        for group in self.groups:
            group.start()
        for group in self.groups:
            group.join()
        shutil.rmtree(self.directory, ignore_errors=True)
        for path in self.shm.glob(self.prefix + "*"):
            path.unlink()

    def report(self, seconds):
        counts, faults = collections.Counter(), collections.Counter()
        for group in self.groups:
            counts += group.counts
            faults += group.faults
        recoveries = sorted(r for group in self.groups for r in group.recoveries)
        longest = recoveries[-1] if recoveries else (0, "nothing")
        middle = recoveries[len(recoveries) // 2][0] if recoveries else 0
        rows = [("faults injected", sum(faults.values())),
                *[(f"  {kind}", n) for kind, n in faults.most_common()],
                ("addresses", ", ".join(f"{counts[kind]} {kind}" for kind in ("socket", "area", "tcp"))),
                ("processes started", sum(group.serial for group in self.groups)),
                ("most consumers of a producer at once", max(group.most_consumers for group in self.groups)),
                ("frames sent", counts["sent"]),
                ("frames received", counts["received"]),
                ("dropped for slow consumers, which know it", counts["missed"]),
                ("lost beyond policy", counts["lost"]),
                ("links in an area that stood still, and began anew", counts["anew"]),
                ("torn", counts["torn"]),
                ("with another frame's caps, offset or metadata", counts["strange"]),
                ("blocks, ids, links leaked", f"{counts['blocks']} in {counts['audits']} audits"),
                ("descriptors, mappings, threads leaked", counts["leaks"]),
                ("files, sockets leaked", counts["files"]),
                ("processes that ended otherwise than they were made to", counts["ends"]),
                ("hung", counts["hangs"]),
                ("longest recovery", f"{longest[0]:.3f} s, after: {longest[1]}"),
                ("median recovery", f"{middle:.3f} s"),
                ("longest orderly end", "{:.3f} s, of {}".format(*max(
                    (e for group in self.groups for e in group.endings), default=(0, "nobody")))),
                ("took", f"{seconds:.0f} s")]
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            print(f"{name:{width}}  {value}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=os.environ.get("MMAP_FAULTS_SEED"))
    parser.add_argument("--faults", type=int, default=600)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--groups", type=int, default=3)
    options = parser.parse_args()
    if options.soak:
        options.seconds = 3600 * float(os.environ.get("MMAP_FAULTS_HOURS", "8"))
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "little") if options.soak else DEFAULT_SEED
    suite = Suite(options)
    print(f"faults: seed {suite.seed}", flush=True)
    start = time.monotonic()
    suite.run()
    suite.report(time.monotonic() - start)
    violations = [(group, text) for group in suite.groups for text in group.violations]
    for group, text in violations:
        print(f"\n{group.name}, seed {suite.seed}: {text}")
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
