"""What is measured: cells, and the sets of them that one run of the benchmark covers."""

import dataclasses
import itertools

PAGE_BYTES = 4096

# name: (format, width, height, bytes of a frame)
SIZES = {
    "480p": ("I420", 640, 480, 640 * 480 * 3 // 2),
    "1080p": ("I420", 1920, 1080, 1920 * 1080 * 3 // 2),
    "4k": ("NV12", 3840, 2160, 3840 * 2160 * 3 // 2),
    "4k-bgrx": ("BGRx", 3840, 2160, 3840 * 2160 * 4),
    "8k": ("NV12", 7680, 4320, 7680 * 4320 * 3 // 2),
}
RATES = {"full": 0, "60": 60, "1000": 1000}
# header: 32 bytes of each frame are written and read; all: every byte; heap: header, from memory that has to be copied
TOUCHES = ("header", "all", "heap")
POOLS = (16, 4)
CONSUMERS = (1, 2, 8, 32)


@dataclasses.dataclass(frozen=True)
class Cell:
    size: str = "1080p"
    rate: str = "full"
    touch: str = "header"
    pool: int = 16
    consumers: int = 1
    start: bool = False         # from the start of both processes to the first frame, and nothing else
    spin: bool = False          # with the elements' spin-time, and a source that waits awake

    @property
    def name(self):
        parts = [self.size, self.rate, self.touch]
        if self.start:
            parts = [self.size, "start"]
        if self.pool != 16:
            parts.append(f"pool{self.pool}")
        if self.consumers != 1:
            parts.append(f"{self.consumers}consumers")
        if self.spin:
            parts.append("spin")
        return "-".join(parts)

    @property
    def title(self):
        text = f"{self.size} {SIZES[self.size][0]}"
        if self.start:
            return f"{text}, start of both processes to the first frame"
        text += ", full speed" if self.rate == "full" else f", {self.rate} fps"
        text += {"header": ", header only", "all": ", every byte written and read", "heap": ", frames from the heap"}[
            self.touch]
        text += f", pool of {self.pool}"
        if self.consumers != 1:
            text += f", {self.consumers} consumers"
        return text + (", spin-time" if self.spin else "")

    @property
    def frame_bytes(self):
        return SIZES[self.size][3]

    @property
    def caps(self):
        form, width, height, _ = SIZES[self.size]
        return f"video/x-raw,format={form},width={width},height={height},framerate=60/1"

    @property
    def in_one_process(self):
        """Whether a queue can be measured: it doesn't copy, and has one reader."""
        return not self.start and self.consumers == 1 and self.touch != "heap" and not self.spin


# What each row of the table of aims needs, and no more.
QUICK = [
    Cell("1080p", "full"), Cell("1080p", "1000"), Cell("1080p", "60"),
    Cell("480p", "full"), Cell("8k", "full"),
    Cell("4k-bgrx", "full", "all"),
    Cell("1080p", "full", "heap"), Cell("4k", "full", "heap"), Cell("4k-bgrx", "full", "heap"),
    Cell("1080p", start=True),
    Cell("1080p", "1000", spin=True),
    Cell("1080p", "60", consumers=8),
]


def unique(cells):
    return list(dict.fromkeys(cells))


# Each size at full speed with each way to touch it, each rate, both pools, all numbers of consumers: but not every
# combination of them.
STANDARD = unique(
    QUICK
    + [Cell(size, "full", touch) for touch in TOUCHES for size in SIZES]
    + [Cell("4k-bgrx", "60", touch) for touch in TOUCHES] + [Cell("480p", "60"), Cell("480p", "1000")]
    + [Cell("1080p", rate, pool=4) for rate in RATES] + [Cell("4k-bgrx", "full", "all", pool=4)]
    + [Cell("1080p", "60", consumers=n) for n in CONSUMERS] + [Cell("1080p", "full", consumers=n) for n in (2, 8)])

EVERYTHING = unique(
    STANDARD
    + [Cell(size, rate, touch, pool, consumers)
       for size, rate, touch, pool, consumers in itertools.product(SIZES, RATES, TOUCHES, POOLS, CONSUMERS)]
    + [Cell(size, start=True) for size in SIZES])
