#!/usr/bin/python3
"""docs/elements.md says of the elements what GStreamer says: properties, fields of stats, pads, signals.

By hand, on a build in build/: /usr/bin/python3 tests/test-elements.py [-v]
"""

import os
import pathlib
import re
import sys
import unittest

TOP = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = TOP / "docs" / "elements.md"

# A plugin with a sanitizer in it, see tests/run. Python itself leaks.
if os.environ.get("MMAP_TEST_PRELOAD") and "LD_PRELOAD" not in os.environ:
    os.environ["LD_PRELOAD"] = os.environ["MMAP_TEST_PRELOAD"]
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    os.execv(sys.executable, [sys.executable, *sys.argv])
os.environ.setdefault("GST_PLUGIN_PATH", str(TOP / "build" / "gst"))
os.environ.setdefault("GST_REGISTRY", str(TOP / "build" / "registry.bin"))

import gi  # noqa: E402
gi.require_version("Gst", "1.0")
from gi.repository import GObject, Gst  # noqa: E402

TYPES = {
    "gboolean": "boolean", "gint": "int", "guint": "uint", "gint64": "int64", "guint64": "uint64", "gdouble": "double",
    "gchararray": "string", "GstCaps": "caps", "GstStructure": "structure",
}
NUMBERS = ("int", "uint", "int64", "uint64", "double")
# As the table names a unit, and as a property's blurb does.
UNITS = {"bits": r"\bbits\b", "bytes": r"\b[Bb]ytes\b", "frames": r"\b[Ff]rames\b", "ns": r"\bin ns\b"}


def sections():
    """The text below each ## heading."""
    parts = re.split(r"^## (.*)\n", DOCUMENT.read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def table(section, first_header):
    """The rows of the table whose first column has that header, as lists of cells; [] if there is no such table."""
    found = re.search(rf"^\| {first_header} \|.*\n\|[-|]+\|\n((?:\|.*\n)*)", section, re.M)
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in found[1].splitlines()] if found else []


def code(text):
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def type_name(pspec):
    """As the tables have it."""
    for kind, name in (GObject.TYPE_ENUM, "enum"), (GObject.TYPE_FLAGS, "flags"):
        if pspec.value_type.is_a(kind):
            return name
    return TYPES[pspec.value_type.name]


def nicks(pspec):
    """The names of all flags that a property can have."""
    return [value.value_nicks[0] for _, value in sorted(type(pspec.default_value).__flags_values__.items())]


def every_flag(pspec):
    value = 0
    for flag in type(pspec.default_value).__flags_values__:
        value |= flag
    return value


class ElementTest:
    name = None

    def setUp(self):
        self.section = sections()[self.name]
        self.factory = Gst.ElementFactory.find(self.name)
        self.assertIsNotNone(self.factory, f"GStreamer doesn't find {self.name}")
        self.element = self.factory.create(None)
        self.properties = {p.name: p for p in self.element.list_properties() if p.owner_type == self.element.__gtype__}
        self.documented = {code(row[0])[0]: row[1] for row in table(self.section, "property")}

    def test_properties(self):
        self.assertEqual(sorted(self.properties), sorted(self.documented))

    def describe(self, pspec):
        """Type and default, as the table has them, but for a unit."""
        name = type_name(pspec)
        if not pspec.flags & GObject.ParamFlags.WRITABLE:
            return name, "read-only"
        if not pspec.flags & GObject.ParamFlags.READABLE:
            return name, "write-only"
        default = pspec.default_value
        self.assertEqual(self.element.get_property(pspec.name), default, f"of a new element: {pspec.name}")
        if name == "enum":
            return name, default.value_nick
        if name == "flags":
            return name, "all" if default == every_flag(pspec) else "+".join(default.value_nicks) or "none"
        return name, "none" if default is None else str(default).lower() if name == "boolean" else str(default)

    def test_types_and_defaults(self):
        for name, pspec in self.properties.items():
            # One that isn't documented fails above.
            if name not in self.documented:
                continue
            with self.subTest(property=name):
                words, _, default = self.documented[name].rpartition(", ")
                documented_type, _, unit = words.partition(" ")
                self.assertEqual((documented_type, default), self.describe(pspec))
                writable_number = documented_type in NUMBERS and default != "read-only"
                self.assertEqual(unit in UNITS, writable_number, "a number that can be set has a unit, others none")
                if writable_number:
                    self.assertRegex(pspec.blurb, UNITS[unit])
                    self.assertRegex(pspec.blurb, rf"(?<![-\w]){re.escape(default)}(?!\w)", "says what the default means")

    def test_flags(self):
        # The row names each of them.
        meanings = {code(row[0])[0]: code(row[2]) for row in table(self.section, "property")}
        for name, pspec in self.properties.items():
            if type_name(pspec) == "flags":
                self.assertEqual(nicks(pspec), meanings.get(name), name)

    def test_stats(self):
        stats = self.element.get_property("stats")
        fields = [stats.nth_field_name(n) for n in range(stats.n_fields())]
        rows = table(self.section, "field")
        documented = [name for row in rows for name in code(row[0])] if rows else \
            [name for row in table(self.section, "property") if code(row[0]) == ["stats"] for name in code(row[2])]
        self.assertEqual(sorted(fields), sorted(documented))

    def test_pads(self):
        pads = [[f"`{pad.name_template}`", pad.presence.value_nick, pad.static_caps.string.lower()]
                for pad in self.factory.get_static_pad_templates()]
        self.assertEqual(pads, table(self.section, "pad"))

    def test_signals(self):
        signals = list(GObject.signal_list_names(self.element.__gtype__))
        self.assertEqual(sorted(signals), sorted(code(row[0])[0] for row in table(self.section, "signal")))

    def test_uris(self):
        self.assertEqual(self.factory.get_uri_protocols(), ["mmap"])
        self.assertIn("`mmap:`", sections()["URIs"])

    def test_changeable(self):
        # What is read when the element starts can't be changed after that.
        for name, pspec in self.properties.items():
            if name in self.read_at_start:
                with self.subTest(property=name):
                    self.assertFalse(pspec.flags & GObject.ParamFlags(Gst.PARAM_MUTABLE_READY), "in READY it is too late")


class Sink(ElementTest, unittest.TestCase):
    name = "mmapsink"
    # GstBaseSink starts on the way to READY.
    read_at_start = ("socket-path", "file", "channel", "token-bytes", "mode", "group", "access-token", "access-token-file")


class Source(ElementTest, unittest.TestCase):
    name = "mmapsrc"
    # GstBaseSrc starts on the way to PAUSED.
    read_at_start = ()


if __name__ == "__main__":
    Gst.init(None)
    unittest.main(verbosity=2)
