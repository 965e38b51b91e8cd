"""Who is measured: pairs of elements, and the descriptions of the pipelines that hold them."""

import dataclasses
import os
import pathlib
import subprocess

from cells import PAGE_BYTES

# What a region holds besides frames: its header and room for events. Less than one frame of 640x480, so that it
# doesn't make a pool larger.
REGION_EXTRA_BYTES = 320 * 1024
# As in pipelines that people write; without limits on bytes and time, which frames of 50 MB would reach.
QUEUE = "queue max-size-buffers=8 max-size-bytes=0 max-size-time=0"
# For the cell that shows it, ns: longer than a period of 1000 fps, so that nobody sleeps.
SPIN_TIME = 2_000_000


@dataclasses.dataclass
class Contestant:
    name: str
    env: dict
    kind: str                   # mmap, shm, unixfd, pipewire, queue
    can_spin: bool = False

    def takes(self, cell):
        if self.kind == "queue":
            return cell.in_one_process
        if cell.spin:
            return self.can_spin
        return True

    @property
    def consumer_waits(self):
        """Whether the consumer's element waits for a producer by itself."""
        return self.kind in ("mmap", "pipewire")

    def producer(self, cell, socket):
        if self.kind == "mmap":
            frame = -(-cell.frame_bytes // PAGE_BYTES) * PAGE_BYTES
            # One more than the pool has: that one is for frames that have to be copied.
            size = (cell.pool + 1) * frame + REGION_EXTRA_BYTES
            spin = f" spin-time={SPIN_TIME}" if cell.spin else ""
            return f"mmapsink socket-path={socket} size={size} sync=false{spin}"
        if self.kind == "shm":
            size = (cell.pool + 1) * (cell.frame_bytes + PAGE_BYTES)
            return f"shmsink socket-path={socket} shm-size={size} wait-for-connection=true sync=false"
        if self.kind == "unixfd":
            return f"unixfdsink socket-path={socket} sync=false"
        if self.kind == "pipewire":
            return f'pipewiresink mode=provide stream-properties="p,node.name={socket.name}" sync=false'
        return QUEUE

    def consumer(self, cell, socket):
        if self.kind == "mmap":
            return f"mmapsrc socket-path={socket}" + (f" spin-time={SPIN_TIME}" if cell.spin else "")
        if self.kind == "shm":
            return f"shmsrc socket-path={socket} ! {cell.caps}"
        if self.kind == "unixfd":
            return f"unixfdsrc socket-path={socket}"
        return f"pipewiresrc target-object={socket.name}"


def environment(plugins, registry):
    env = dict(os.environ)
    for name in ("GST_DEBUG", "GST_TRACERS", "LD_PRELOAD"):
        env.pop(name, None)
    env.update(GST_PLUGIN_PATH=str(plugins), GST_REGISTRY=str(registry), LC_ALL="C", GST_DEBUG_NO_COLOR="1")
    return env


def inspect(env, element):
    """What gst-inspect-1.0 says about an element; None if it isn't there."""
    done = subprocess.run(["gst-inspect-1.0", element], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True)
    return done.stdout if done.returncode == 0 else None


def make_mmap(name, plugins, registry):
    """mmapsink and mmapsrc of one build. None if they don't load."""
    env = environment(plugins, registry)
    text = inspect(env, "mmapsink")
    if text is None:
        return None
    # The registry is made: a run looks for nothing new.
    env["GST_REGISTRY_UPDATE"] = "no"
    return Contestant(name, env, "mmap", can_spin="spin-time " in text)


def find(plugins, work):
    """Contestants that are there, and why others aren't: a dictionary by name, of Contestant or text."""
    found = {}
    mmap = make_mmap("mmap", plugins, work / "registry.bin")
    env = mmap.env if mmap else environment(plugins, work / "registry.bin")
    found["queue"] = Contestant("queue", env, "queue")
    for name in ("shm", "unixfd", "pipewire"):
        there = inspect(env, f"{name}sink") and inspect(env, f"{name}src")
        found[name] = Contestant(name, env, name) if there else "not there: the installed GStreamer has no such elements"
    daemon = pathlib.Path(os.environ.get("XDG_RUNTIME_DIR", "/run")) / "pipewire-0"
    if isinstance(found["pipewire"], Contestant) and not daemon.exists():
        found["pipewire"] = "not there: no PipeWire daemon is running"
    found["mmap"] = mmap or "not there: the plugin doesn't load"
    return found
