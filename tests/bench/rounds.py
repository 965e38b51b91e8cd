"""Rounds: every contestant of a cell in turn, again and again, until enough rounds were clean."""

import json
import subprocess
import sys
import time

from process import Failed, Measurement, Noise

# CPU time of others, as a share of one core, from which on a measurement is dirty. /proc/stat counts in ticks, so that a
# quiet machine shows up to 0.04 here: measured.
DIRTY_SHARE = 0.08
# Where both sides never sleep: for how much of the window each may have waited for a processor that somebody else had. Of a hundred
# frames one may be late; so half a frame's time for either side.
SPIN_DIRTY_SHARE = 0.005
# After a dirty one: until others are quiet, or this long.
CALM_PROBE_S = 0.25
# Rounds that may be thrown away for each that is wanted.
THROWN_AWAY_PER_ROUND = 3
# A contestant that fails this often in a cell is left out of it.
MAX_FAILURES = 2


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def wait_for_calm(limit_s):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        noise = Noise()
        time.sleep(CALM_PROBE_S)
        if noise.share() <= DIRTY_SHARE:
            return


def waited_share(result):
    """Of the two threads that hand over the frames, the longer wait for a processor, as a share of the window."""
    spans = [result["producer"]["sent"]] + [consumer["received"] for consumer in result["consumers"]]
    return max(span["ready_ns"] / span["wall_ns"] for span in spans)


class CellRun:
    """All rounds of one cell. `rounds` has every one, also those thrown away: a dictionary each, with "dirty",
    "complete", "floor", and the result of each contestant by name."""

    def __init__(self, cell, contestants, settings):
        self.cell = cell
        self.contestants = [c for c in contestants if c.takes(cell)]
        self.settings = settings
        self.rounds = []
        self.syscalls = {}
        self.failures = {}
        self.errors = {}

    @property
    def n_clean(self):
        return sum(not r["dirty"] for r in self.rounds)

    def measure(self, contestant, syscalls=False):
        settings = self.settings
        window_s = settings.window_s
        if self.cell.rate == "60":
            window_s = max(window_s, settings.slow_window_s)
        return Measurement(settings.pipe, contestant, self.cell, settings.warm_up_s, window_s, syscalls).run()

    def failed(self, contestant, error):
        """Notes it. Leaves the contestant out if it fails again."""
        name = contestant.name
        self.failures[name] = self.failures.get(name, 0) + 1
        self.errors[name] = str(error)
        say(f"{self.cell.name}: {name} failed: {error}")
        if self.failures[name] >= MAX_FAILURES:
            self.contestants.remove(contestant)

    def run_floor(self):
        noise = Noise()
        done = subprocess.run([str(self.settings.floor)], stdout=subprocess.PIPE, check=True)
        return dict(json.loads(done.stdout), others=noise.share())

    def is_dirty(self, result):
        return result["others"] > DIRTY_SHARE or self.cell.spin and waited_share(result) > SPIN_DIRTY_SHARE

    def run_round(self):
        """One round. A dirty measurement ends it, as its ratios would be worth nothing; but one round is made to its end
        all the same, so that there is something to show where others never rest."""
        entry = {"dirty": False, "complete": False, "results": {}, "floor": self.run_floor()}
        to_the_end = not any(r["complete"] for r in self.rounds)
        # Another one first in each round, so that nobody always follows the same one.
        turn = len(self.rounds) % len(self.contestants)
        self.rounds.append(entry)
        for contestant in self.contestants[turn:] + self.contestants[:turn]:
            try:
                result = self.measure(contestant)
            except Failed as error:
                self.failed(contestant, error)
                entry["dirty"] = True
                return
            entry["results"][contestant.name] = result
            if self.is_dirty(result):
                entry["dirty"] = True
                if not to_the_end:
                    return
        entry["complete"] = True

    def count_syscalls(self):
        """A run of its own for each: counting them costs time."""
        for contestant in list(self.contestants):
            for _ in range(self.settings.rounds):
                try:
                    result = self.measure(contestant, syscalls=True)
                except Failed as error:
                    self.failed(contestant, error)
                    break
                self.syscalls[contestant.name] = result
                if not self.is_dirty(result):
                    break

    @property
    def wants_more(self):
        wanted = self.settings.rounds
        return bool(self.contestants) and self.n_clean < wanted and len(self.rounds) < wanted * (1 + THROWN_AWAY_PER_ROUND)

    def to_json(self):
        return {"cell": vars(self.cell), "name": self.cell.name, "title": self.cell.title, "rounds": self.rounds,
                "syscalls": self.syscalls, "errors": self.errors}


def run_all(runs, settings):
    """Round by round, each over all cells: what changes in the machine meanwhile doesn't hit a single cell. The first is
    made whatever the time is."""
    for run in runs:
        if not run.cell.start and settings.counts_syscalls(run.cell):
            run.count_syscalls()
    number = 0
    while any(run.wants_more for run in runs):
        number += 1
        for run in runs:
            if number > 1 and time.monotonic() > settings.deadline:
                say("the time is over")
                return
            if run.wants_more:
                run.run_round()
                if run.rounds[-1]["dirty"]:
                    wait_for_calm(settings.calm_s)
        clean = sum(min(run.n_clean, settings.rounds) for run in runs)
        say(f"pass {number}: {clean} of {settings.rounds * len(runs)} clean rounds are there")
