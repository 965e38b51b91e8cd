"""The tables, as text for a terminal and as Markdown for docs/performance.md: the same lines."""

from summary import CellSummary


def number(value):
    """Three digits, and k and M for large ones."""
    if value is None:
        return "-"
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            value /= 1e6 if unit == "M" else 1e3
            return f"{value:.3g}{unit}" if abs(value) < 100 else f"{value:.0f}{unit}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if value == 0:
        return "0"
    return f"{value:.3f}" if abs(value) < 0.1 else f"{value:.3g}"


def ranged(figure):
    if not figure:
        return "-"
    if len(figure.values) == 1:
        return number(figure.median)
    return f"{number(figure.median)} ({number(figure.low)}..{number(figure.high)})"


def pair(left, right):
    return f"{number(left.median)} + {number(right.median)}" if left and right else "-"


COLUMNS = ["", "fps", "/queue", "/shm", "p50 us", "-queue", "p99", "p99.9", "CPU us", "producer + consumer", "/queue",
           "syscalls", "switches", "faults", "RSS MB", "shared MB", "gaps"]


def flow_row(summary, name):
    figure = lambda field: summary.figure(name, field)
    ratio = lambda other, field: number(summary.ratio(name, other, field).median) if name != other else "1"
    difference = summary.difference(name, "queue", "p50_us").median
    if name == "queue":
        rss = number(figure("rss_producer_mb").median)
    else:
        rss = pair(figure("rss_producer_mb"), figure("rss_consumer_mb"))
    return [name, ranged(figure("fps")), ratio("queue", "fps"), ratio("shm", "fps"), ranged(figure("p50_us")),
            "-" if difference is None or name == "queue" else f"{difference:+.1f}",
            number(summary.percentile(name, 99)), number(summary.percentile(name, 99.9)), ranged(figure("cpu_us")),
            pair(figure("cpu_producer_us"), figure("cpu_consumer_us")), ratio("queue", "cpu_us"),
            number(summary.syscalls(name)), number(figure("switches").median), number(figure("faults").median), rss,
            number(figure("shared_mb").median), number(sum(figure("gaps").values))]


def table(rows):
    """Aligned, and Markdown: the first column to the left, all others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    line = lambda row: "| " + " | ".join(
        cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))) + " |"
    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return [line(rows[0]), rule, *map(line, rows[1:])]


def cell_lines(summary):
    lines = [f"**{summary.title}** ({summary.n_clean} clean of {summary.n_rounds} rounds)", ""]
    if summary.few:
        lines[0] += " - TOO FEW CLEAN ROUNDS" + ("" if summary.n_clean else ": these are of dirty ones")
    if not summary.names:
        return [lines[0], "", "nothing was measured", ""]
    if summary.cell["start"]:
        rows = [["", "first frame ms", "/shm"]]
        for name in summary.names:
            rows.append([name, ranged(summary.figure(name, "first_ms")),
                         number(summary.ratio(name, "shm", "first_ms").median)])
    else:
        rows = [COLUMNS] + [flow_row(summary, name) for name in summary.names]
    lines += table(rows)
    lines += [f"{name} failed: {error}" for name, error in summary.errors.items()]
    return lines + [""]


def aims_lines(aims):
    met = {True: "yes", False: "NO", None: "?"}
    rows = [["", "wanted", "measured", "met", "shm"]]
    rows += [[aim.what, aim.wanted, aim.measured, met[aim.met], aim.shm] for aim in aims.rows]
    return table(rows) + [""]


def floor_lines(summaries):
    floors = [floor for s in summaries for floor in s.floors]
    if not floors:
        return []
    names = {"futex_round_trip_us": "futex round trip, two processes, us",
             "memcpy_3mb_gb_per_s": "memcpy into shared memory, frames of 3 MB, GB/s",
             "memcpy_32mb_gb_per_s": "memcpy into shared memory, frames of 33 MB, GB/s"}
    rows = [["floor of the machine", "median", "least", "most"]]
    for field, title in names.items():
        values = sorted(f[field] for f in floors)
        rows.append([title, *(number(v) for v in (values[len(values) // 2], values[0], values[-1]))])
    return table(rows) + [""]


def machine_lines(data):
    machine = data["machine"]
    lines = [f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, GStreamer {machine['gstreamer']}; "
             f"gst-mmap {machine['revision']}, {machine['date']}.", f"Command: `{data['command']}`", ""]
    for name, why in data["missing"].items():
        lines.append(f"{name}: {why}.")
    return lines + [""] if data["missing"] else lines


def summarise(data):
    return [CellSummary(raw, data["settings"]["rounds"], data["contestants"]) for raw in data["cells"]]
