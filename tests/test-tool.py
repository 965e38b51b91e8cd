#!/usr/bin/python3
# gst-mmap: tests of the command-line tool, and of its tokens against xpra's own functions
#
# Copyright (C) 2026 the gst-mmap authors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# test-tool.py PATH-OF-THE-TOOL [unittest's options]
import fcntl
import json
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

# Debian's xpra. That it is missing is a failure: without it nobody has shown that xpra accepts what we write.
from xpra.net.mmap_pipe import init_client_mmap, read_mmap_token, write_mmap_token

TOOL = None
FIELDS = {"file", "size", "token", "token_index", "token_bytes"}
HEADER_BYTES = 8192
SIZE = 1 << 20
LINK_BYTES = 131072


def run(*args, stdin=None, **options):
    return subprocess.run([TOOL, *args], input=stdin, capture_output=True, timeout=60,
                          stdin=None if stdin is not None else subprocess.DEVNULL,
                          **options)


class ToolCase(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="gst-mmap-test-", dir="/dev/shm")
        self.addCleanup(self.directory.cleanup)
        self.path = os.path.join(self.directory.name, "region")

    def accept(self, *args, **options):
        """The tool's standard output."""
        result = run(*args, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, b"")
        return result.stdout.decode()

    def refuse(self, reasons, *args, status=1, **options):
        """The tool exits with the status, says all of the reasons on stderr, and nothing on stdout."""
        result = run(*args, **options)
        message = result.stderr.decode()
        self.assertEqual(result.returncode, status, message)
        self.assertEqual(result.stdout, b"")
        for reason in [reasons] if isinstance(reasons, str) else reasons:
            self.assertIn(reason, message)
        return message

    def usage(self, reasons, *args, **options):
        message = self.refuse(reasons, *args, status=2, **options)
        self.assertIn("--help", message)

    def offer(self, *args):
        return json.loads(self.accept("offer", "--file", self.path, *(args or ("--size", str(SIZE)))))

    def answer(self, offer, *args):
        return json.loads(self.accept("answer", *args, json.dumps(offer)))

    def change(self, at, data):
        with open(self.path, "r+b") as f:
            f.seek(at)
            f.write(data)

    def content(self):
        with open(self.path, "rb") as f:
            return f.read()


class Offer(ToolCase):
    def test_fields(self):
        offer = self.offer("--size", "1M")
        self.assertEqual(set(offer), FIELDS)
        self.assertEqual(offer["file"], self.path)
        self.assertEqual(offer["size"], SIZE)
        self.assertEqual(offer["token_bytes"], 128)
        self.assertGreaterEqual(offer["token_index"], HEADER_BYTES)
        self.assertLessEqual(offer["token_index"], SIZE - 128)
        self.assertTrue(offer["token"].startswith("0x"))
        self.assertEqual(offer["token"], hex(int(offer["token"], 16)))
        stat = os.stat(self.path)
        self.assertEqual(stat.st_size, SIZE)
        self.assertEqual(stat.st_mode & 0o777, 0o600)
        content = self.content()
        self.assertEqual(int.from_bytes(content[offer["token_index"]:][:128], "little"), int(offer["token"], 16))
        # nothing else is written among the blocks
        rest = content[HEADER_BYTES:offer["token_index"]] + content[offer["token_index"] + 128:]
        self.assertEqual(rest.count(0), len(rest))

    def test_random(self):
        offers = [self.offer("--size", "1M") for _ in range(20)]
        self.assertEqual(len({o["token"] for o in offers}), 20)
        self.assertGreater(len({o["token_index"] for o in offers}), 15)

    def test_sizes(self):
        for text, size in (("65536", 65536), ("64K", 65536), ("64k", 65536), ("2M", 2 << 20), ("12289", 16384)):
            self.assertEqual(self.offer("--size", text)["size"], size)
            os.unlink(self.path)
        for text in ("", "0", "-1", "K", "64X", "64KB", "6 4", "1.5M", "0x1000", "99999999999999999999", "99999999999G"):
            self.usage("--size", "offer", "--file", self.path, "--size=" + text)
        self.refuse(["too-small", "100", "12288"], "offer", "--file", self.path, "--size", "100")
        self.refuse(["no-space", "too large"], "offer", "--file", self.path, "--size", "4096G")
        self.refuse(["no-space", "1099511627776"], "offer", "--file", self.path, "--size", "1024G")
        self.assertEqual(os.listdir(self.directory.name), [])

    def test_token_bytes(self):
        for n in (16, 17, 1024):
            self.assertEqual(self.offer("--size", "1M", "--token-bytes", str(n))["token_bytes"], n)
        for n in ("0", "15", "1025", "-1", "9223372036854775807"):
            self.refuse(["token-bytes", "token_bytes is " + n, "16 to 1024"],
                        "offer", "--file", self.path, "--token-bytes", n)
        for n in ("", "x", "16x"):
            self.usage("token-bytes", "offer", "--file", self.path, "--token-bytes=" + n)

    def test_smallest(self):
        # any index of the smallest region, and with the token as large as it may be
        for _ in range(20):
            offer = self.offer("--size", "12K", "--token-bytes", "1024")
            self.assertEqual(self.accept("verify", json.dumps(self.answer(offer))), "accepted\n")

    def test_again(self):
        first = self.offer("--size", "1M")
        self.assertNotEqual(self.offer("--size", "1M")["token"], first["token"])
        self.assertEqual(self.offer("--token-bytes", "16")["size"], SIZE)
        self.refuse(["size", str(2 << 20), str(SIZE), "remove it"], "offer", "--file", self.path, "--size", "2M")
        self.usage(["--size", "no region"], "offer", "--file", self.path + "2")

    def test_owner(self):
        self.offer()
        self.change(64, struct.pack("<I", 4242))
        with open(self.path, "rb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            self.refuse(["in-use", "4242", self.path], "offer", "--file", self.path)
        self.offer()
        header = self.content()[:128]
        self.assertEqual(struct.unpack_from("<I", header, 64)[0], 0)

    def test_not_ours(self):
        with open(self.path, "w") as f:
            f.write("Dear diary")
        for args in ((), ("--size", "1M")):
            self.refuse(["not-a-region", self.path], "offer", "--file", self.path, *args)
        self.assertEqual(self.content(), b"Dear diary")
        self.refuse(["file", "directory"], "offer", "--file", self.directory.name, "--size", "1M")
        link = os.path.join(self.directory.name, "link")
        os.symlink(self.path, link)
        self.refuse(["file", "symbolic link"], "offer", "--file", link, "--size", "1M")
        self.refuse(["no-directory", self.path + "/"], "offer", "--file", self.path + "/sub", "--size", "1M")
        self.refuse(["no-directory", "/no/such"], "offer", "--file", "/no/such/file", "--size", "1M")

    def test_usage(self):
        self.usage("--file", "offer", "--size", "1M")
        self.usage("--file", "offer", "--file", "", "--size", "1M")
        self.usage("x", "offer", "--file", self.path, "--size", "1M", "x")
        self.usage("--frob", "offer", "--frob")
        self.assertEqual(os.listdir(self.directory.name), [])

    def test_names(self):
        self.path = os.path.join(self.directory.name, 'ein "Bär": \\ und\tso')
        for locale in ("C", "C.UTF-8"):
            offer = json.loads(self.accept("offer", "--file", self.path, "--size", "1M",
                                           env=dict(os.environ, LC_ALL=locale)))
            self.assertEqual(offer["file"], self.path)
            self.answer(offer)
        # relative paths mean something to nobody else
        text = self.accept("offer", "--file", "rel", "--size", "1M", cwd=self.directory.name)
        self.assertEqual(json.loads(text)["file"], os.path.join(self.directory.name, "rel"))
        self.refuse("UTF-8", "offer", "--file", self.directory.name.encode() + b"/\xff", "--size", "1M")

    def test_output_lost(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([TOOL, "offer", "--file", self.path, "--size", "1M"], stdout=full,
                                    stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"output", result.stderr)


class Handshake(ToolCase):
    def test_all_the_way(self):
        for _ in range(10):
            offer = self.offer("--size", "16K", "--token-bytes", "1024")
            answer = self.answer(offer)
            self.assertEqual(set(answer), FIELDS)
            self.assertEqual({k: answer[k] for k in ("file", "size", "token_bytes")},
                             {k: offer[k] for k in ("file", "size", "token_bytes")})
            self.assertNotEqual(answer["token"], offer["token"])
            self.assertGreaterEqual(abs(answer["token_index"] - offer["token_index"]), 1024)
            self.assertGreaterEqual(answer["token_index"], HEADER_BYTES)
            self.assertEqual(self.accept("verify", json.dumps(answer)), "accepted\n")
            # the answer leaves the offer's token as it was
            self.assertEqual(self.accept("verify", json.dumps(offer)), "accepted\n")

    def test_pipes(self):
        offer = self.accept("offer", "--file", self.path, "--size", "1M")
        answer = self.accept("answer", stdin=offer.encode())
        self.assertEqual(self.accept("verify", "-", stdin=answer.encode()), "accepted\n")
        self.assertEqual(self.accept("verify", "--", answer), "accepted\n")

    def test_wrong_token(self):
        offer = self.offer()
        answer = self.answer(offer)
        for command, fields in (("answer", offer), ("verify", answer)):
            wrong = dict(fields, token=hex(int(fields["token"], 16) ^ 1))
            self.refuse(["refused (token)", "token is not", self.path], command, json.dumps(wrong))
            wrong = dict(fields, token_index=fields["token_index"] + 1 if fields["token_index"] < SIZE - 128
                         else fields["token_index"] - 1)
            self.refuse("refused (token)", command, json.dumps(wrong))
        # every single bit counts
        for bit in (0, 7, 500, 1023):
            at = answer["token_index"] + bit // 8
            byte = self.content()[at]
            self.change(at, bytes([byte ^ (1 << bit % 8)]))
            self.refuse("refused (token)", "verify", json.dumps(answer))
            self.change(at, bytes([byte]))
        self.accept("verify", json.dumps(answer))

    def test_refused_answer_writes_nothing(self):
        offer = self.offer()
        before = self.content()
        self.refuse("token", "answer", json.dumps(dict(offer, token="0x1")))
        self.assertEqual(self.content(), before)

    def test_answer_to_owner(self):
        offer = self.offer()
        self.change(64, struct.pack("<I", 4242))
        before = self.content()
        with open(self.path, "rb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            self.refuse(["in-use", "4242"], "answer", json.dumps(offer))
            self.accept("verify", json.dumps(offer))
        self.assertEqual(self.content(), before)

    def test_no_room_for_two(self):
        offer = self.offer("--size", "12K")
        # a region whose blocks hold one token
        size = 12288
        self.change(40, struct.pack("<Q", size - 128))
        token = random.getrandbits(1024)
        self.change(size - 128, token.to_bytes(128, "little"))
        self.refuse(["too-small", "room"], "answer",
                    json.dumps(dict(offer, token=hex(token), token_index=size - 128)))

    def test_answer_in_either_place(self):
        # One place before the offer's token, one behind: both are found.
        offer = self.offer("--size", "12K", "--token-bytes", "1024")
        token = self.content()[offer["token_index"]:][:1024]
        index = HEADER_BYTES + 1024
        self.change(index, token)
        self.change(40, struct.pack("<Q", HEADER_BYTES))
        seen = set()
        for _ in range(60):
            answer = self.answer(dict(offer, token_index=index))
            seen.add(answer["token_index"] < index)
            if answer["token_index"] < index:
                self.assertEqual(answer["token_index"], HEADER_BYTES)
            else:
                self.assertGreaterEqual(answer["token_index"], index + 1024)
            if len(seen) == 2:
                break
        # Before there is one place, behind there are 1025: it needn't come.
        self.assertIn(False, seen)
        self.change(12288 - 1024, token)
        answer = self.answer(dict(offer, token_index=12288 - 1024))
        self.assertLessEqual(answer["token_index"], 12288 - 2048)


class Fields(ToolCase):
    """Each field of an offer or answer, wrong in each way."""

    def setUp(self):
        super().setUp()
        self.fields = self.offer("--size", "1M")

    def both(self, reasons, fields, *args):
        text = fields if isinstance(fields, str) else json.dumps(fields)
        for command in ("answer", "verify"):
            self.refuse(reasons, command, *args, text)
            self.refuse(reasons, command, *args, stdin=text.encode())

    def test_missing(self):
        for name in sorted(FIELDS):
            fields = {k: v for k, v in self.fields.items() if k != name}
            self.both([name + " is missing", "refused (" + name.replace("_", "-") + ")"], fields)

    def test_types(self):
        for name in sorted(FIELDS):
            for value in (None, True, 1.5, [1], {"a": 1}, 5 if name in ("file", "token") else "5"):
                self.both([name + " is of type", "expected", "refused (" + name.replace("_", "-") + ")"],
                          dict(self.fields, **{name: value}))

    def test_file(self):
        self.both(["(file)", "file is empty"], dict(self.fields, file=""))
        self.both(["(file)", "No such file"], dict(self.fields, file=self.path + "x"))
        self.both(["(file)", "directory"], dict(self.fields, file=self.directory.name))
        self.both(["(file)", "/dev/null"], dict(self.fields, file="/dev/null"))
        self.both(["(file)", "/dev/null"], dict(self.fields, file="/dev/null"), "--raw")
        link = os.path.join(self.directory.name, "link")
        os.symlink(self.path, link)
        self.both(["(file)", "symbolic link"], dict(self.fields, file=link))
        self.both(["(file)"], dict(self.fields, file=link), "--raw")
        fifo = os.path.join(self.directory.name, "fifo")
        os.mkfifo(fifo)
        self.both(["(file)", "no regular file"], dict(self.fields, file=fifo))
        self.both(["(file)"], dict(self.fields, file=fifo), "--raw")

    def test_size(self):
        for value, reason in ((0, "expected 1 to"), (-1, "size is -1"), ((1 << 40) + 1, "1099511627776"),
                              (1 << 63, "size"), (SIZE + 4096, str(SIZE)), (SIZE - 4096, str(SIZE))):
            self.both(["(size)", reason], dict(self.fields, size=value, token_index=8192))
        self.both(["(size)", "only " + str(SIZE)], dict(self.fields, size=SIZE + 1), "--raw")

    def test_token(self):
        for token, reason in (("", "empty"), ("0x", "malformed"), ("12", "malformed"), ("0x1g", "malformed"),
                              ("0x" + "1" * 257, "257 digits"), ("-0x1", "malformed")):
            self.both(["(token)", reason], dict(self.fields, token=token))

    def test_token_bytes(self):
        for n in (0, -1, 15, 1025, 1 << 31, (1 << 32) + 128, 1 << 62):
            self.both(["(token-bytes)", "token_bytes is " + str(n), "16 to 1024"], dict(self.fields, token_bytes=n))

    def test_token_index(self):
        for n, reason in ((-1, "token_index is -1"), (SIZE - 127, str(SIZE)), (SIZE, str(SIZE)), (1 << 40, str(SIZE)),
                          ((1 << 40) + 1, "token_index"), ((1 << 63) - 1, "token_index"),
                          (0, "header"), (512, "header"), (8191, "header")):
            self.both(["(token-index)", reason], dict(self.fields, token_index=n))
        self.both(["(token-index)", "within size, 64"], dict(self.fields, size=64, token_index=0))
        for n in (0, 7):
            self.both(["(token-index)", "at least 8"], dict(self.fields, token_index=n), "--raw")

    def test_no_region(self):
        os.truncate(self.path, SIZE - 4096)
        self.both(["(size)", str(SIZE - 4096)], self.fields)
        os.truncate(self.path, 100)
        self.both(["(size)", "100"], self.fields)
        self.both(["(not-a-region)", "100"], dict(self.fields, size=100, token_bytes=16, token_index=0, token="0x1"))
        os.truncate(self.path, 0)
        os.truncate(self.path, SIZE)
        self.both(["(not-a-region)", "gst-mmap"], self.fields)

    def test_version(self):
        self.change(8, struct.pack("<I", 2))
        self.both(["(version)", "version 2", "version 1"], self.fields)
        self.change(8, struct.pack(">II", 1, 0x0a0b0c0d))
        self.both(["(version)", "byte order"], self.fields)

    def test_layout(self):
        self.change(40, struct.pack("<Q", SIZE))
        self.both(["(layout)", "blocks"], self.fields)

    def test_not_json(self):
        good = json.dumps(self.fields)
        for text in ("", " ", "{", good[:-1], good + "}", good + good, "[" + good + "]", "5", "null", '"x"',
                     "{'file': 1}", "var x = " + good, "nonsense", good + "x", "x" + good, good + ",", "/* */" + good, '{"file" "a"}',
                     "[" * 30000, '{"a":' * 5000,
                     good[:-1] + ', "x": ' + "[" * 1000 + "]" * 1000 + "}", good[:-1] + ', "x": ' + "[" * 30000,
                     good[:-1] + ', "size": 1048576}', " " * 40000 + good, good[:-1] + ', "x": "' + "y" * 40000 + '"}'):
            for command in ("answer", "verify"):
                self.refuse("(message)", command, stdin=text.encode())
        for text in ("0x100000", "01048576", "+1048576", "1048576.", ".5e1", "1e", "NaN", "Infinity", "True", "yes", "-"):
            for field in ('"size": %s' % text, '"later": [%s]' % text):
                self.refuse(["(message)", "word or number"], "verify", good[:-1] + ", " + field + "}")
        for text in ("\\u0000", "x\\u0000y", "\\\\\\u0000"):
            self.refuse(["(message)", "character 0"], "verify", good[:-1] + ', "later": "%s"}' % text)
        self.refuse(["(message)", "32768"], "answer", stdin=b"x" * 10000000)
        self.refuse(["(message)", "UTF-8"], "answer", stdin=good.encode() + b"\xff")
        self.refuse(["(message)", "UTF-8"], "answer", stdin=good.encode() + b"\0")
        self.refuse("(message)", "answer", "")

    def test_unknown_fields(self):
        self.accept("verify", json.dumps(dict(self.fields, later={"a": [1, {"size": 5}]})))
        self.accept("verify", json.dumps(dict(self.fields, later=[0, -0.5, 1e-300, 12E+2, True, False, None, "\\u0000", "0x1"])))

    def test_usage(self):
        for command in ("answer", "verify"):
            self.usage("too many", command, json.dumps(self.fields), "x")
            self.usage("--frob", command, "--frob")


class Xpra(ToolCase):
    """What we write, xpra's own code reads, and the other way round."""

    def area(self):
        with open(self.path, "r+b") as f:
            area = mmap.mmap(f.fileno(), 0)
        # xpra's functions leave ctypes objects behind that may hold the map for a while; it ends with the process
        return area

    def test_our_offer(self):
        for n in (16, 128, 1024):
            offer = self.offer("--size", "1M", "--token-bytes", str(n))
            token = read_mmap_token(self.area(), offer["token_index"], offer["token_bytes"])
            self.assertEqual(token, int(offer["token"], 16))

    def test_our_answer(self):
        answer = self.answer(self.offer())
        token = read_mmap_token(self.area(), answer["token_index"], answer["token_bytes"])
        self.assertEqual(token, int(answer["token"], 16))

    def test_xpra_token_in_our_region(self):
        self.offer()
        for n, token in ((128, random.getrandbits(1024)), (128, 1), (64, (1 << 512) - 1), (16, 0xabc)):
            index = random.randrange(HEADER_BYTES, SIZE - n)
            write_mmap_token(self.area(), token, index, n)
            fields = {"file": self.path, "size": SIZE, "token": "0x%x" % token, "token_index": index, "token_bytes": n}
            self.assertEqual(self.accept("verify", json.dumps(fields)), "accepted\n")
            self.assertEqual(self.accept("verify", json.dumps(self.answer(fields))), "accepted\n")

    def test_file_made_by_xpra(self):
        ok, _, area, size, temp, path = init_client_mmap(size=64 << 20, filename=self.path)
        self.assertTrue(ok)
        self.assertEqual(path, self.path)
        for index in (8, 512, size - 128):
            token = random.getrandbits(1024)
            write_mmap_token(area, token, index, 128)
            offer = {"file": path, "size": size, "token": "0x%x" % token, "token_index": index, "token_bytes": 128}
            control = bytes(area[:8])
            answer = self.answer(offer, "--raw")
            self.assertEqual(read_mmap_token(area, answer["token_index"], answer["token_bytes"]),
                             int(answer["token"], 16))
            self.assertGreaterEqual(abs(answer["token_index"] - index), 128)
            self.assertGreaterEqual(answer["token_index"], 8)
            self.assertEqual(bytes(area[:8]), control)
            self.assertEqual(self.accept("verify", "--raw", json.dumps(answer)), "accepted\n")
            self.refuse("(token)", "verify", "--raw", json.dumps(dict(offer, token="0x1")))
            # without --raw it is no region
            self.refuse("(not-a-region)", "verify", json.dumps(offer))
        self.assertEqual(os.stat(path).st_size, size)


class Inspect(ToolCase):
    def inspect(self, *args):
        return json.loads(self.accept("inspect", "--json", *(args or (self.path,))))

    def test_file(self):
        self.offer("--size", "1M")
        shown = self.inspect()
        self.assertEqual(shown["file"], self.path)
        self.assertEqual(shown["kind"], "file")
        self.assertEqual(shown["protocol"], 1)
        self.assertEqual(shown["size"], SIZE)
        self.assertEqual(shown["region_id"], 1)
        self.assertEqual(int(shown["session"], 16), struct.unpack_from("<Q", self.content(), 16)[0])
        self.assertNotEqual(int(shown["session"], 16), 0)
        self.assertEqual(shown["blocks_offset"], HEADER_BYTES)
        self.assertEqual(shown["producer_pid"], 0)
        self.assertEqual(shown["producer_uid"], os.getuid())
        self.assertIs(shown["owner_alive"], False)
        self.assertEqual(shown["links"], [])
        text = self.accept("inspect", self.path)
        for part in (self.path, "protocol 1", str(SIZE), shown["session"], "made by a tool", "dead", "links       none"):
            self.assertIn(part, text)

    def test_owner_and_links(self):
        self.offer()
        self.change(64, struct.pack("<II", 4242, 1000))
        self.change(128, struct.pack("<Q", 77))
        self.change(192, struct.pack("<QQQ", 11, 2 ** 64 - 1, 33))
        self.change(4096, struct.pack("<IIIIQQQ", 2, 5, 99, 1001, 44, 3, 6))
        self.change(4096 + 63 * 64, struct.pack("<II", 9, 6))
        with open(self.path, "rb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            shown = self.inspect()
            text = self.accept("inspect", self.path)
        self.assertIs(shown["owner_alive"], True)
        self.assertEqual((shown["producer_pid"], shown["producer_uid"], shown["heartbeat_ns"]), (4242, 1000, 77))
        self.assertEqual((shown["frames"], shown["bytes"], shown["events"]), (11, 2 ** 63 - 1, 33))
        self.assertEqual(shown["links"][0], {"link_id": 5, "state": "up", "pid": 99, "uid": 1001, "frames": 44,
                                             "held": 3, "wakeups": 6})
        self.assertEqual(shown["links"][1]["state"], "unknown (9)")
        self.assertEqual(len(shown["links"]), 2)
        for part in ("pid 4242, uid 1000; alive", "11 frames", "18446744073709551615 bytes", "33 events",
                     "link 5", "up, pid 99", "3 held", "6 wake-ups", "heartbeat   77"):
            self.assertIn(part, text)
        self.assertIs(self.inspect()["owner_alive"], False)

    def test_links_inside(self):
        self.offer("--size", "1M")
        self.change(40, struct.pack("<QQII", HEADER_BYTES + 2 * LINK_BYTES, HEADER_BYTES, LINK_BYTES, 2))
        shown = self.inspect()
        self.assertEqual((shown["links_offset"], shown["link_bytes"], shown["link_count"]),
                         (HEADER_BYTES, LINK_BYTES, 2))
        self.assertIn("2 links", self.accept("inspect", self.path))

    def test_memfd(self):
        self.offer("--size", "1M")
        fd = os.memfd_create("gst-mmap", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.addCleanup(os.close, fd)
        os.write(fd, self.content())
        fcntl.fcntl(fd, 1033, 0x1 | 0x2 | 0x4 | 0x8)  # F_ADD_SEALS: seal, shrink, grow, write
        path = "/proc/%d/fd/%d" % (os.getpid(), fd)
        shown = self.inspect(path)
        self.assertEqual(shown["kind"], "memfd")
        self.assertIs(shown["owner_alive"], None)
        self.assertIn("memfd", self.accept("inspect", path))
        self.assertIn("not to be seen", self.accept("inspect", path))

    def test_memfd_owner(self):
        self.offer("--size", "1M")
        self.change(64, struct.pack("<I", os.getpid()))
        fd = os.memfd_create("gst-mmap", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.addCleanup(os.close, fd)
        os.write(fd, self.content())
        fcntl.fcntl(fd, 1033, 0x2)
        self.assertIs(self.inspect("/proc/%d/fd/%d" % (os.getpid(), fd))["owner_alive"], True)

    def test_link_to_file(self):
        self.offer()
        link = os.path.join(self.directory.name, "link")
        os.symlink(self.path, link)
        self.assertEqual(self.inspect(link)["size"], SIZE)

    def test_refused(self):
        self.refuse(["(file)", "No such file"], "inspect", self.path)
        self.refuse(["(file)", "/dev/null"], "inspect", "/dev/null")
        self.refuse(["(file)"], "inspect", self.directory.name)
        os.mkfifo(self.path)
        self.refuse(["(file)"], "inspect", self.path)
        os.unlink(self.path)
        with open(self.path, "w") as f:
            f.write("Dear diary")
        self.refuse(["(not-a-region)", self.path], "inspect", self.path)
        os.unlink(self.path)
        self.offer()
        self.change(8, struct.pack("<I", 7))
        self.refuse(["(version)", "version 7", "version 1"], "inspect", self.path)
        self.change(8, struct.pack("<I", 1))
        os.truncate(self.path, SIZE - 4096)
        self.refuse(["(size)", str(SIZE)], "inspect", self.path)

    def test_usage(self):
        self.usage("FILE", "inspect")
        self.usage("too many", "inspect", self.path, "x")

    def test_control_characters(self):
        for command in ("inspect", "clean", "list"):
            message = self.refuse(["\\x1b[31m"], command, self.path + "\x1b[31m")
            self.assertNotIn("\x1b", message)

    def test_only_looks(self):
        self.offer()
        before = self.content()
        self.inspect()
        self.assertEqual(self.content(), before)


class Doctor(ToolCase):
    """On this machine, whatever it is, with something about it changed in a mount namespace."""

    def look(self, *args, before="true", status=None, env=None):
        """Each row's mark and text, the cure with it."""
        result = subprocess.run(["unshare", "--mount", "sh", "-ec", before + '; exec "$@"', "sh", TOOL, "doctor", *args],
                                capture_output=True, timeout=60, text=True, env=dict(os.environ, **(env or {})))
        self.assertEqual(result.stderr, "")
        rows, what = {}, None
        for line in result.stdout.splitlines():
            if line.startswith(" "):
                rows[what] = (rows[what][0], rows[what][1] + line)
                continue
            mark, what, text = line.split(None, 2)
            self.assertIn(mark, ("ok", "note", "WRONG"))
            rows[what] = (mark, text)
        wrong = any(mark == "WRONG" for mark, _ in rows.values())
        self.assertEqual(result.returncode, 1 if wrong else 0, result.stdout)
        if status is not None:
            self.assertEqual(result.returncode, status, result.stdout)
        return rows

    def check(self, row, mark, *words):
        self.assertEqual(row[0], mark, row)
        for word in words:
            self.assertIn(word, row[1])

    def device(self, bdf, vendor="0x1af4", device="0x1110", size=65536):
        """As in sysfs. Returns its directory."""
        path = os.path.join(self.directory.name, "devices", bdf)
        os.makedirs(path)
        for name, text in (("vendor", vendor), ("device", device), ("enable", "1")):
            with open(os.path.join(path, name), "w") as f:
                f.write(text + "\n")
        for name in ("resource2", "resource2_wc") if size else ():
            with open(os.path.join(path, name), "w") as f:
                f.truncate(size)
        return path

    def bind(self):
        return f"mount --bind {self.directory.name}/devices /sys/bus/pci/devices"

    def test_all(self):
        rows = self.look()
        self.assertEqual(set(rows), {"/dev/shm", "memfd", "kernel", "cpus", "clock", "socket", "vsock", "ivshmem"})
        self.check(rows["memfd"], "ok", "sealed")

    def test_shm(self):
        small = "mount -t tmpfs -o size=%s tmpfs /dev/shm"
        self.check(self.look(before=small % "512k", status=1)["/dev/shm"], "WRONG", "524288 bytes are free", "-> ", "remount,size=1G")
        self.check(self.look(before=small % "8M")["/dev/shm"], "note", "8 of 8 MiB", "--shm-size")
        self.check(self.look(before=small % "128M")["/dev/shm"], "ok", "128 of 128 MiB")
        self.check(self.look(before=small % "128M" + "; chmod 755 /dev/shm; set -- setpriv --reuid=65534 --clear-groups \"$@\"")
                   ["/dev/shm"], "WRONG", "user 65534 can make no files", "chmod 1777")

    def test_runtime_directory(self):
        where = self.directory.name
        self.check(self.look(env={"XDG_RUNTIME_DIR": where})["socket"], "ok", where + "/gst-mmap/default")
        self.check(self.look(env={"XDG_RUNTIME_DIR": where + "/none"}, status=1)["socket"], "WRONG", where + "/none", "No such file",
                   "-> unset")
        os.mkdir(where + "/gst-mmap")
        os.chmod(where + "/gst-mmap", 0o777)
        self.check(self.look(env={"XDG_RUNTIME_DIR": where}, status=1)["socket"], "WRONG", where + "/gst-mmap")
        self.check(self.look(before="unset XDG_RUNTIME_DIR")["socket"], "note", "not set", "/tmp/gst-mmap-", "-> export")

    def test_devices(self):
        self.device("0000:00:00.0", "0x8086", "0x29c0")
        self.check(self.look(before=self.bind())["ivshmem"], "note", "no device", "docs/vm.md")
        self.check(self.look("ivshmem", before=self.bind(), status=1)["file"], "WRONG", "-device ivshmem-plain", "<shmem")
        first = self.device("0000:00:05.0")
        rows = self.look("ivshmem", before=self.bind())
        self.check(rows["ivshmem"], "ok", "0000:00:05.0, plain, 65536 bytes, write-combining")
        self.check(rows["file"], "ok", "/sys/bus/pci/devices/0000:00:05.0/resource2", "65536 bytes")
        self.check(rows["content"], "ok", "zeros")
        self.device("0000:00:06.0")
        self.check(self.look("ivshmem", before=self.bind(), status=1)["file"], "WRONG", "pick one of ivshmem:0000:00:05.0")
        self.look("ivshmem:00:06.0", before=self.bind())
        self.check(self.look("ivshmem:0000:00:00.0", before=self.bind(), status=1)["file"], "WRONG", "8086:29c0")
        os.chmod(first + "/resource2", 0)
        nobody = "; set -- setpriv --reuid=65534 --clear-groups \"$@\""
        self.check(self.look(before="chmod 711 " + self.directory.name + "; " + self.bind() + nobody, status=1)["ivshmem"],
                   "WRONG", "user 65534", "udev rule", "docs/vm.md")

    def test_device_without_memory(self):
        self.device("0000:00:05.0", size=0)
        self.check(self.look(before=self.bind(), status=1)["ivshmem"], "WRONG", "0000:00:05.0 has no memory", "pci-hole64-size")

    def test_file(self):
        self.check(self.look(self.path)["file"], "note", self.path + " isn't there", "-> start")
        self.check(self.look(self.path + ".d/x", status=1)["file"], "WRONG", "no directory", "-> create it")
        with open(self.path, "w") as f:
            f.truncate(SIZE)
        rows = self.look(self.path)
        self.check(rows["file"], "ok", str(SIZE) + " bytes")
        self.check(rows["content"], "ok", "zeros")
        self.assertNotIn("size", rows)
        os.truncate(self.path, SIZE + 4096)
        self.check(self.look(self.path)["size"], "note", "no power of two", "truncate -s")
        os.truncate(self.path, 100)
        self.check(self.look(self.path, status=1)["file"], "WRONG", "100 bytes", "-> choose another file")
        os.unlink(self.path)
        self.offer()
        self.check(self.look(self.path)["content"], "note", "inspect")
        self.change(0, b"Dear\033[2Jdiary")
        self.check(self.look(self.path, status=1)["content"], "WRONG", "no area of gst-mmap", "gst-mmap format")
        os.chmod(self.path, 0o600)
        os.chmod(self.directory.name, 0o711)
        self.check(self.look(self.path, before='set -- setpriv --reuid=65534 --clear-groups "$@"', status=1)["file"],
                   "WRONG", "user 65534", "Permission denied", "-> chown")
        os.unlink(self.path)
        os.mkfifo(self.path)
        self.check(self.look(self.path, status=1)["file"], "WRONG", "no regular file")

    def test_area(self):
        """Bytes as docs/protocol.md has them: a channel of somebody who has died."""
        with open(self.path, "wb") as f:
            f.truncate(SIZE)
        os.chmod(self.path, 0o600)
        self.change(0, struct.pack("<8sIIQQII", b"mmaparea", 1, 0x0a0b0c0d, SIZE, 65536, 16, 16))
        self.check(self.look(self.path)["content"], "ok", "16 channels, 0 in use")
        self.change(4096, struct.pack("<QQ", 7, 8))
        self.change(4096 + 32, struct.pack("<I", 4242))
        self.change(4096 + 64, b"cam\033[2J")
        rows = self.look(self.path)
        self.check(rows["content"], "ok", "1 in use")
        self.check(rows["channel"], "note", "cam\\x1b[2J", "pid 4242", "no sign of life")
        living = subprocess.Popen([sys.executable, "-c", "import mmap, struct, sys, time\n"
                                   "with open(sys.argv[1], 'r+b') as f: area = mmap.mmap(f.fileno(), 0)\n"
                                   "for i in range(10**9): area[4224:4232] = struct.pack('<Q', i); time.sleep(0.05)", self.path])
        self.addCleanup(living.wait)
        self.addCleanup(living.kill)
        while self.content()[4224:4232] == bytes(8):
            pass
        self.check(self.look(self.path)["channel"], "ok", "pid 4242", "lives")
        self.change(16, struct.pack("<Q", SIZE * 2))
        self.check(self.look(self.path, status=1)["content"], "WRONG", str(SIZE * 2), str(SIZE))

    def test_only_looks(self):
        self.offer()
        before = self.content()
        self.look(self.path)
        self.assertEqual(self.content(), before)

    def test_usage(self):
        self.usage("too many", "doctor", self.path, "x")


class Help(ToolCase):
    def test_help(self):
        text = self.accept("--help")
        for command in ("offer", "answer", "verify", "inspect", "list", "clean", "doctor"):
            self.assertIn("\n  " + command, text)
            own = self.accept(command, "--help")
            self.assertIn("Usage:\n  gst-mmap " + command, own)
        self.assertEqual(self.accept("-h"), text)
        self.assertEqual(self.accept("help"), text)
        self.assertEqual(self.accept("help", "offer"), self.accept("offer", "--help"))
        self.usage("'nothing' is no command", "help", "nothing")
        for option in ("--file", "--size", "--token-bytes"):
            self.assertIn(option, self.accept("offer", "--help"))
        self.assertIn("--raw", self.accept("answer", "--help"))
        for command in ("inspect", "list"):
            self.assertIn("--json", self.accept(command, "--help"))
        self.assertIn("--dry-run", self.accept("clean", "--help"))

    def test_version(self):
        self.assertRegex(self.accept("--version"), r"^gst-mmap \d+\.\d+\.\d+, protocol 1\n$")

    def test_usage(self):
        self.usage("command")
        self.usage("frobnicate", "frobnicate")
        self.usage("--frob", "--frob")


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    signal.alarm(110)
    unittest.main()
