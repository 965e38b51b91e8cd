"""Plots as SVG, written by hand: no library is needed, and the files are small."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 80, 150, 46, 60
# Okabe and Ito's colours, which most eyes can tell apart; the dashes are for the others.
STYLES = {
    "queue": ("#000000", ""), "shm": ("#d55e00", "7 4"), "mmap": ("#0072b2", ""), "unixfd": ("#009e73", "2 3"),
    "pipewire": ("#cc79a7", "9 3 2 3"),
}
OTHER_STYLE = ("#e69f00", "4 2")
FONT = 'font-family="sans-serif"'


class Axis:
    """A scale from least to most, logarithmic or not, over pixels from `begin` to `end`."""

    def __init__(self, least, most, begin, end, log):
        self.log = log
        self.least, self.most = least, most
        self.begin, self.end = begin, end

    def place(self, value):
        value = min(max(value, self.least), self.most)
        if self.log:
            share = math.log(value / self.least) / math.log(self.most / self.least)
        else:
            share = (value - self.least) / (self.most - self.least)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        if not self.log:
            step = 10 ** math.floor(math.log10((self.most - self.least) / 2))
            step *= next(f for f in (0.2, 0.5, 1, 2, 5) if (self.most - self.least) / (step * f) <= 8)
            count = int((self.most - self.least) / step + 1e-9)
            return [self.least + i * step for i in range(count + 1)]
        decades = math.log10(self.most / self.least)
        digits = (1, 2, 5) if decades <= 3 else (1,)
        candidates = [d * 10.0 ** e for e in range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
                      for d in digits]
        return [t for t in candidates if self.least * 0.999 <= t <= self.most * 1.001]


def text_of(value):
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"


class Plot:
    def __init__(self, title, x_title, y_title, x, y, x_ticks=None):
        """x, y: (least, most, logarithmic); x_ticks: [(value, text)] instead of computed ones."""
        self.x = Axis(*x[:2], LEFT, WIDTH - RIGHT, x[2])
        self.y = Axis(*y[:2], HEIGHT - BOTTOM, TOP, y[2])
        self.lines = 0
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            self.text(LEFT, 24, title, size=16, anchor="start", weight="bold"),
            self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, x_title),
            f'<g transform="translate(20 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)">{self.text(0, 0, y_title)}</g>',
        ]
        for value, label in x_ticks or [(t, text_of(t)) for t in self.x.ticks()]:
            place = self.x.place(value)
            self.rule(place, TOP, place, HEIGHT - BOTTOM)
            self.parts.append(self.text(place, HEIGHT - BOTTOM + 18, label, size=12))
        for value in self.y.ticks():
            place = self.y.place(value)
            self.rule(LEFT, place, WIDTH - RIGHT, place)
            self.parts.append(self.text(LEFT - 8, place + 4, text_of(value), size=12, anchor="end"))
        self.parts.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#444444"/>')

    @staticmethod
    def text(x, y, text, size=13, anchor="middle", weight="normal", colour="#222222"):
        return (f'<text x="{x:.1f}" y="{y:.1f}" {FONT} font-size="{size}" font-weight="{weight}" '
                f'text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>')

    def rule(self, x1, y1, x2, y2):
        self.parts.append(f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#dddddd"/>')

    def line(self, name, points, label=None, dash=None, dots=True):
        if not points:
            return
        colour, own_dash = STYLES.get(name, OTHER_STYLE)
        dash = own_dash if dash is None else dash
        places = [(self.x.place(x), self.y.place(y)) for x, y in points]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        style = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
        self.parts.append(f'<path d="{path}" fill="none" stroke-linejoin="round" {style}/>')
        if dots:
            self.parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        y = TOP + 12 + 20 * self.lines
        x = WIDTH - RIGHT + 14
        self.parts.append(f'<path d="M{x} {y - 4}H{x + 28}" {style}/>')
        self.parts.append(self.text(x + 34, y, label or name, size=12, anchor="start"))
        self.lines += 1

    def to_svg(self):
        return "\n".join([*self.parts, "</svg>", ""])


def bounds(values):
    """Whole decades around them."""
    return 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values) * 1.0001))


def latency(summary):
    curves = {}
    for name in summary.names:
        buckets = summary.latencies(name)
        total, seen, points = sum(count for _, count in buckets), 0, []
        for ns, count in buckets:
            seen += count
            points.append((max(ns, 1) / 1e3, 100 * seen / total))
        # A curve needs no more points than the plot has pixels.
        curves[name] = points[::max(1, len(points) // 400)] + points[-1:]
    values = [x for points in curves.values() for x, _ in points]
    if not values:
        return None
    plot = Plot(f"Latency, {summary.title}", "age of a frame when it arrives, us", "frames that are not older, %",
                (*bounds(values), True), (0, 100, False))
    for name, points in curves.items():
        plot.line(name, points, dots=False)
    return plot.to_svg()


def over_size(summaries, sizes):
    lines = {}
    for s in summaries:
        cell = s.cell
        if (cell["start"] or cell["spin"] or cell["rate"] != "full" or cell["pool"] != 16 or cell["consumers"] != 1
                or cell["touch"] == "heap"):
            continue
        for name in s.names:
            lines.setdefault((name, cell["touch"]), []).append(
                (sizes[cell["size"]][3] / 1e6, s.figure(name, "fps").median))
    lines = {key: sorted(points) for key, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    plot = Plot("Frames per second over frame size, full speed", "bytes of a frame, MB", "frames per second",
                (min(xs) * 0.8, max(xs) * 1.2, True), (*bounds(ys), True))
    for (name, touch), points in sorted(lines.items(), key=lambda item: item[0][1] != "header"):
        plot.line(name, points, f"{name}, {touch}", dash="" if touch == "header" else "5 4")
    return plot.to_svg()


def over_consumers(summaries):
    lines = {}
    for s in summaries:
        cell = s.cell
        if (cell["start"] or cell["spin"] or cell["size"] != "1080p" or cell["rate"] != "60" or cell["pool"] != 16
                or cell["touch"] != "header"):
            continue
        for name in s.names:
            if name != "queue":
                lines.setdefault(name, []).append((cell["consumers"], s.figure(name, "cpu_producer_us").median))
    lines = {name: sorted(points) for name, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    counts = sorted({x for points in lines.values() for x, _ in points})
    most = max(y for points in lines.values() for _, y in points)
    plot = Plot("CPU of the producer over consumers, 1080p, 60 fps", "consumers", "CPU of the producer per frame, us",
                (counts[0] * 0.9, counts[-1] * 1.1, True), (0, most * 1.1, False),
                [(n, str(n)) for n in counts])
    for name, points in lines.items():
        plot.line(name, points)
    return plot.to_svg()


def all_plots(summaries, sizes):
    """File names and SVG of those for which there is enough."""
    by_name = {s.name: s for s in summaries}
    plots = {f"latency-{rate}fps.svg": latency(by_name[f"1080p-{rate}-header"])
             for rate in ("60", "1000") if f"1080p-{rate}-header" in by_name}
    plots["size.svg"] = over_size(summaries, sizes)
    plots["consumers.svg"] = over_consumers(summaries)
    return {name: svg for name, svg in plots.items() if svg}
