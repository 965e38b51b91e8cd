#!/usr/bin/python3
# gst-mmap: the udev rule of docs/vm.md, as udev itself reads and applies it, to devices that are made up
#
# Copyright (C) 2026 the gst-mmap authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# test-udev.py PATH-OF-vm.md [unittest's options]
#
# In a mount namespace of its own, where /sys has nothing but these devices, and udev no rules but this one. Needs root.
import grp
import os
import pathlib
import re
import shlex
import stat
import subprocess
import sys
import unittest

DOCUMENT = None
WAIT_S = 60
INSIDE = "MMAP_TEST_UDEV_INSIDE"
RULES = pathlib.Path("/etc/udev/rules.d/70-gst-mmap.rules")


def read_rule():
    """The block that begins with the file's path."""
    return re.search(rf"^```\n(# {RULES}\n.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE).group(1)


def setUpModule():
    # udev is told by their paths where rules and devices are: others are put there.
    for directory in "/sys", "/run", "/etc/udev", "/usr/lib/udev/rules.d":
        subprocess.run(["mount", "-t", "tmpfs", "none", directory], check=True)
    RULES.parent.mkdir()
    pathlib.Path("/sys/bus/pci").mkdir(parents=True)


def make_device(slot, device):
    path = pathlib.Path(f"/sys/devices/pci0000:00/{slot}")
    path.mkdir(parents=True)
    (path / "subsystem").symlink_to("../../../bus/pci")
    (path / "uevent").write_text(f"PCI_SLOT_NAME={slot}\n")
    (path / "vendor").write_text("0x1af4\n")
    (path / "device").write_text(f"{device}\n")
    (path / "enable").write_text("0\n")
    for name in "resource2", "resource2_wc":
        (path / name).touch(0o600)
    return path


def add(path):
    """What udev says when the kernel has added the device. It does all but to run programs."""
    # The variable lets it take what is not sysfs for that.
    done = subprocess.run(["udevadm", "--debug", "test", "--action=add", path], env={**os.environ, "SYSTEMD_DEVICE_VERIFY_SYSFS": "0"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=WAIT_S)
    assert done.returncode == 0 and f"Reading rules file: {RULES}" in done.stdout, done.stdout
    return done.stdout


def get_complaints(output):
    return [line for line in output.splitlines() if str(RULES) in line
        and not re.search(rf"Reading rules file|{RULES}:\d+ (ATTR|RUN) ", line)]


class Rule(unittest.TestCase):
    def test_applies(self):
        RULES.write_text(read_rule())
        path = make_device("0000:00:01.0", "0x1110")
        output = add(path)
        self.assertEqual(get_complaints(output), [], output)
        self.assertEqual((path / "enable").read_text().strip(), "1")
        commands = re.findall(r"^run: '(.*)'$", output, re.MULTILINE)
        self.assertEqual(len(commands), 1, output)
        subprocess.run(shlex.split(commands[0]), check=True, timeout=WAIT_S)
        for name in "resource2", "resource2_wc":
            status = (path / name).stat()
            self.assertEqual(stat.S_IMODE(status.st_mode), 0o660)
            self.assertEqual((status.st_uid, grp.getgrgid(status.st_gid).gr_name), (0, "video"))

    def test_leaves_others_alone(self):
        RULES.write_text(read_rule())
        path = make_device("0000:00:02.0", "0x1000")
        self.assertNotIn("run: ", add(path))
        self.assertEqual((path / "enable").read_text().strip(), "0")

    def test_mistakes_are_seen(self):
        """Of this test: what udev doesn't understand it says, and goes on."""
        path = make_device("0000:00:03.0", "0x1110")
        for right, wrong in ("SUBSYSTEM==", "SUBSYSTEN=="), ('ATTR{enable}="1"', 'ATTR{enable}="1'):
            self.assertIn(right, read_rule())
            RULES.write_text(read_rule().replace(right, wrong))
            self.assertNotEqual(get_complaints(add(path)), [])


if __name__ == "__main__":
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])
    DOCUMENT = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
