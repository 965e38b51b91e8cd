"""What the benchmark must show: each row of the table of aims, with what was measured."""

import dataclasses
from typing import Optional

# Less than one in so many frames counts as none.
NONE = 0.01


@dataclasses.dataclass
class Aim:
    what: str
    wanted: str
    measured: str
    shm: str
    met: Optional[bool]         # None: not measured, or only in dirty rounds


class Aims:
    def __init__(self, summaries, name="mmap"):
        self.cells = {s.name: s for s in summaries}
        self.name = name
        self.rows = []
        self.collect()

    def cell(self, name):
        return self.cells.get(name)

    def add(self, what, wanted, cells, measure, is_met, form):
        """measure (contestant): a number or None."""
        values = {}
        for name in (self.name, "shm"):
            values[name] = measure(name) if all(self.cell(c) for c in cells) else None
        value = values[self.name]
        mark = max((self.cell(c).mark for c in cells if self.cell(c)), key=" ~!".find, default="")
        self.rows.append(Aim(what, wanted, "not measured" if value is None else form(value) + mark,
                             "" if values["shm"] is None else form(values["shm"]),
                             None if value is None or mark == "!" else bool(is_met(value))))

    def ratio_row(self, what, cell, field, wanted, is_met):
        self.add(what, wanted, [cell], lambda name: self.cell(cell).ratio(name, "queue", field).median, is_met,
                 lambda v: f"{v:.2f}")

    def difference_row(self, what, cell, wanted, most):
        self.add(what, wanted, [cell], lambda name: self.cell(cell).difference(name, "queue", "p50_us").median,
                 lambda v: v <= most, lambda v: f"{v:+.1f} us")

    def heap_row(self, cell, least):
        def measure(name):
            peers = [self.cell(cell).ratio(name, peer, "fps").median
                     for peer in ("shm", "unixfd", "pipewire") if peer in self.cell(cell).names and peer != name]
            return min(peers) if peers else None
        self.add(f"fps from heap memory / best peer, {cell.removesuffix('-full-heap')}", f"{least} at least", [cell],
                 measure, lambda v: v >= least, lambda v: f"{v:.2f}")

    def size_row(self):
        def measure(name):
            small, large = (self.cell(c).figure(name, "fps").median for c in ("480p-full-header", "8k-full-header"))
            return large / small if small and large else None
        self.add("fps 8K / fps 480p, header", "0.95 at least", ["480p-full-header", "8k-full-header"], measure,
                 lambda v: v >= 0.95, lambda v: f"{v:.2f}")

    def spin_row(self):
        cell = "1080p-1000-header-spin"

        def measure(name):
            spin = self.cell(cell)
            p50, p99 = spin.percentile(name, 50), spin.percentile(name, 99)
            return None if p99 is None else (p50, p99, spin.figure(name, "cpu_us").median)
        self.add("p50/p99 with `spin-time`, 1000 fps", "under 3 us / 20 us", [cell], measure,
                 lambda v: v[0] < 3 and v[1] < 20, lambda v: f"{v[0]:.1f} / {v[1]:.1f} us, CPU {v[2]:.0f} us per frame")

    def consumers_row(self):
        many = [n for n in (32, 8, 2) if self.cell(f"1080p-60-header-{n}consumers")]
        n = many[0] if many else 8
        cells = ["1080p-60-header", f"1080p-60-header-{n}consumers"]

        def measure(name):
            one, all_of_them = (self.cell(c).figure(name, "cpu_producer_us").median for c in cells)
            return (all_of_them - one) / (n - 1) if one and all_of_them else None
        self.add(f"CPU of the producer per frame and further consumer, {n} of them, 60 fps", "under 1 us", cells, measure,
                 lambda v: v < 1, lambda v: f"{v:.2f} us")

    def collect(self):
        full, quick, slow = "1080p-full-header", "1080p-1000-header", "1080p-60-header"
        self.ratio_row("fps at full speed / queue, 1080p, header", full, "fps", "1.0 at least; aim at 2", lambda v: v >= 1)
        self.difference_row("p50 latency minus queue's, 1000 fps", quick, "0", 0)
        self.difference_row("p50 latency minus queue's, 60 fps", slow, "+5 us at most", 5)
        self.ratio_row("CPU of both sides / queue, 60 fps", slow, "cpu_us", "1.1 at most", lambda v: v <= 1.1)
        self.ratio_row("fps with every pixel written and read / queue, 4K BGRx", "4k-bgrx-full-all", "fps",
                       "1.0 at least", lambda v: v >= 1)
        for size, least in (("480p", 1), ("1080p", 1), ("4k", 1.3), ("4k-bgrx", 1.3), ("8k", 1)):
            if self.cell(f"{size}-full-heap"):
                self.heap_row(f"{size}-full-heap", least)
        self.size_row()
        self.add("system calls per frame, full speed", "0", [full], lambda name: self.cell(full).syscalls(name),
                 lambda v: v < NONE, lambda v: f"{v:.3f}")
        # Slow rates, too: there a ring's first lap takes many seconds.
        rates = [full, quick, slow]
        self.add("page faults per frame after the warm-up, most of any rate", "0", rates,
                 lambda name: max((self.cell(c).figure(name, "faults").median or 0) for c in rates),
                 lambda v: v < NONE, lambda v: f"{v:.3f}")
        self.add("first frame after both are started / shm's", "less than 1", ["1080p-start"],
                 lambda name: self.cell("1080p-start").ratio(name, "shm", "first_ms").median, lambda v: v < 1,
                 lambda v: f"{v:.2f}")
        self.spin_row()
        self.consumers_row()
