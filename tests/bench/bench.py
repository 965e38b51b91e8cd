#!/usr/bin/python3
"""The benchmark: mmapsink and mmapsrc beside GStreamer's queue in one process, and beside its other ways to cross one.

    tests/bench/bench.py --quick            under 3 minutes: what each row of the table of aims needs
    tests/bench/bench.py                    the rest as well
    tests/bench/bench.py --full             every combination
    tests/bench/bench.py --quick --against HEAD~3

Builds what is missing. docs/performance.md says what is measured, and how.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import cells  # noqa: E402
import contestants as who  # noqa: E402
import plots  # noqa: E402
import report  # noqa: E402
from aims import Aims  # noqa: E402
from rounds import CellRun, run_all, say  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
DOC = TOP / "docs" / "performance.md"
DOC_PLOTS = TOP / "docs" / "performance"
BEGIN, END = "<!-- bench.py --docs writes from here -->", "<!-- to here -->"
PROGRAMS = ("tests/bench/bench-pipe", "tests/bench/bench-floor")


class Settings:
    def __init__(self, options, build):
        self.pipe, self.floor = (build / program for program in PROGRAMS)
        self.quick = options.quick
        self.rounds = options.rounds or (3 if self.quick else 5)
        # Quick: short enough for all cells; otherwise page faults are counted "after the first second".
        self.warm_up_s = 0.3 if self.quick else 1.0
        self.window_s = options.window or (0.5 if self.quick else 1.5)
        # 60 fps: enough frames for a median, and for a 99th percentile of all rounds together.
        self.slow_window_s = 1.5 if self.quick else 3.0
        # How long to wait for others to rest, after a round that they disturbed.
        self.calm_s = 1 if self.quick and not options.minutes else 20
        self.deadline = time.monotonic() + 60 * (options.minutes or (2.7 if self.quick else 24 * 60))

    def counts_syscalls(self, cell):
        return not self.quick or cell == cells.Cell()

    def to_json(self):
        return {"rounds": self.rounds, "warm_up_s": self.warm_up_s, "window_s": self.window_s,
                "slow_window_s": self.slow_window_s}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few cells, short, 3 rounds")
    parser.add_argument("--full", action="store_true", help="every combination: many hours")
    parser.add_argument("--cells", metavar="REGEX", help="only cells whose name matches; with --list: see which")
    parser.add_argument("--list", action="store_true", help="print the names of the cells, and end")
    parser.add_argument("--contestants", metavar="NAMES", help="of queue,shm,unixfd,pipewire,mmap; with commas")
    parser.add_argument("--rounds", type=int, metavar="N", help="clean rounds wanted (default 5; quick 3)")
    parser.add_argument("--window", type=float, metavar="SECONDS", help="of one measurement (default 1.5; quick 0.5)")
    parser.add_argument("--minutes", type=float, metavar="N", help="begin no round after this (default: quick 2.7)")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="for bench.json and plots (default BUILD/bench)")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build", metavar="DIR", help="default: build")
    parser.add_argument("--against", metavar="REV", help="build this revision too, and measure it as mmap@REV")
    parser.add_argument("--from", dest="source", type=pathlib.Path, metavar="JSON", help="measure nothing: report this")
    parser.add_argument("--docs", action="store_true", help="write tables and plots into docs/performance.md")
    return parser.parse_args()


def chosen_cells(options):
    chosen = cells.QUICK if options.quick else cells.EVERYTHING if options.full else cells.STANDARD
    return [c for c in chosen if not options.cells or re.search(options.cells, c.name)]


def run_quietly(command, **arguments):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **arguments)
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        sys.exit(f"bench: failed: {shlex.join(map(str, command))}")
    return done.stdout


def build_at(source, build, targets, *options):
    if not (build / "build.ninja").exists():
        say(f"configuring {build}")
        run_quietly(["meson", "setup", *options, build, source])
    run_quietly(["ninja", "-C", build, *targets])


@contextlib.contextmanager
def revision(name, work):
    """The directory of the plugin, built from a revision of this repository."""
    tree, build = work / "tree", work / "build"
    say(f"building {name}")
    run_quietly(["git", "-C", TOP, "worktree", "add", "--detach", tree, name])
    try:
        build_at(tree, build, ["gst/libgstmmap.so"], "-Dtests=false")
        yield build / "gst"
    finally:
        run_quietly(["git", "-C", TOP, "worktree", "remove", "--force", tree])


def output_of(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=TOP)
    return done.stdout.strip()


def describe_machine():
    match = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    version = re.search(r"GStreamer (\S+)", output_of("gst-inspect-1.0", "--version"))
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no", "--", "src", "gst")
    return {
        "cpu": match.group(1) if match else "unknown", "cores": len(os.sched_getaffinity(0)),
        "kernel": os.uname().release, "gstreamer": version.group(1) if version else "unknown",
        "revision": output_of("git", "rev-parse", "--short", "HEAD") + (" with changes" if changed else ""),
        "date": time.strftime("%Y-%m-%d"),
    }


def choose_contestants(options, build, work, stack):
    """Returns: those that are there, and why others aren't."""
    found = who.find(build / "gst", work)
    if options.contestants:
        wanted = options.contestants.split(",")
        for name in set(wanted) - set(found):
            sys.exit(f"bench: '{name}' is none of: {', '.join(found)}")
        found = {name: found[name] for name in found if name in wanted}
    missing = {name: c for name, c in found.items() if isinstance(c, str)}
    there = [c for c in found.values() if not isinstance(c, str)]
    if options.against:
        plugins = stack.enter_context(revision(options.against, work))
        other = who.make_mmap(f"mmap@{options.against}", plugins, work / "registry-against.bin")
        if not other:
            sys.exit(f"bench: the plugin of {options.against} doesn't load")
        there.append(other)
    for name, why in missing.items():
        say(f"{name}: {why}")
    return there, missing


def measure(options):
    build = options.build.resolve()
    build_at(TOP, build, ["gst/libgstmmap.so", *PROGRAMS])
    with contextlib.ExitStack() as stack:
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gst-mmap-bench.")))
        contestants, missing = choose_contestants(options, build, work, stack)
        settings = Settings(options, build)
        data = {"machine": describe_machine(), "missing": missing, "settings": settings.to_json(), "cells": [],
                "command": shlex.join(["tests/bench/bench.py", *sys.argv[1:]]),
                "contestants": [c.name for c in contestants]}
        runs = [CellRun(cell, contestants, settings) for cell in chosen_cells(options)]
        runs = [run for run in runs if run.contestants]
        try:
            run_all(runs, settings)
        except KeyboardInterrupt:
            say("interrupted: what was measured so far follows")
        data["cells"] = [run.to_json() for run in runs]
        return data


def make_report(data):
    """Returns: lines of the summary, and lines of every cell."""
    summaries = report.summarise(data)
    head = report.machine_lines(data)
    for name in [n for n in data["contestants"] if n.startswith("mmap")]:
        head += [f"What {name} is to reach:", "", *report.aims_lines(Aims(summaries, name))]
    if any(s.few for s in summaries):
        head += ["`~`: fewer clean rounds than wanted; `!`: none, so the figure is worth little.", ""]
    head += report.floor_lines(summaries)
    return head, [line for s in summaries for line in report.cell_lines(s)], plots.all_plots(summaries, cells.SIZES)


def write_docs(lines, drawings):
    text = DOC.read_text()
    if BEGIN not in text or END not in text:
        sys.exit(f"bench: {DOC} has no lines '{BEGIN}' and '{END}'")
    DOC_PLOTS.mkdir(exist_ok=True)
    for name, svg in drawings.items():
        (DOC_PLOTS / name).write_text(svg)
        lines = lines + [f"![{name.removesuffix('.svg')}](performance/{name})", ""]
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    DOC.write_text(before + "\n".join([BEGIN, "", *lines]) + END + after)


def main():
    options = parse_options()
    if options.list:
        print("\n".join(c.name for c in chosen_cells(options)))
        return
    if options.source:
        data = json.loads(options.source.read_text())
    else:
        data = measure(options)
    head, rows, drawings = make_report(data)
    print("\n".join([*rows, *head]))

    out = options.out or (options.build / "bench")
    if not options.source:
        out.mkdir(parents=True, exist_ok=True)
        (out / "bench.json").write_text(json.dumps(data))
    if not options.source or options.out:
        out.mkdir(parents=True, exist_ok=True)
        for name, svg in drawings.items():
            (out / name).write_text(svg)
        say(f"{out} has bench.json, and plots")
    if options.docs:
        write_docs([*head, *rows], drawings)


if __name__ == "__main__":
    main()
