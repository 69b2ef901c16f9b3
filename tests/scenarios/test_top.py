# SPDX-License-Identifier: GPL-2.0-or-later
"""top: what sets do now, by device-mapper's own statistics, of which nothing stays.

The screen itself: unit/test_top.c.
"""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scenarios.lib import Device, Rig, pattern, wait_for
from tests.scenarios.sets import (NOT_FOUND, PROGRAM, USAGE, create, output, refused)

pytestmark = [pytest.mark.disks(main="4M", spare="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]


def regions(rig: Rig, name: str = "data") -> int:
    told = rig.dmsetup("message", name, "0", "@stats_list")
    assert told.returncode == 0, told
    return len(told.stdout.splitlines())


def test_what_happens_in_a_while(rig: Rig) -> None:
    create(rig)
    device = Device("/dev/mapper/data", "data")
    with subprocess.Popen([PROGRAM, "top", "--json", "--interval", "1"], stdout=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout
        json.loads(process.stdout.readline())
        rig.main.bad(800, kind="write")
        device.pwrite(800, pattern(1))
        for sector in range(1600, 1700):
            device.pread(sector)
        total = {"reads": 0, "writes": 0, "read_sectors": 0, "write_sectors": 0, "errors": 0}
        latencies = 0
        for _ in range(3):
            told = json.loads(process.stdout.readline())
            shown, = told["sets"]
            assert 900 <= told["milliseconds"] < 20000 and shown["name"] == "data"
            for name in total:
                total[name] += shown[name]
            latencies += sum(entry["count"] for entry in shown["latency"])
        assert total == {"reads": 100, "writes": 1, "read_sectors": 100, "write_sectors": 1,
                         "errors": 1}
        assert latencies == 101 and shown["verdict"] == "watch"
        assert [entry["below_ns"] for entry in shown["latency"]][-1] is None
        assert regions(rig) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert regions(rig) == 0
    device.close()


def test_sets_come_and_go(rig: Rig) -> None:
    create(rig)
    with subprocess.Popen([PROGRAM, "top", "--interval", "1", "--json"], stdout=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout
        assert len(json.loads(process.stdout.readline())["sets"]) == 1
        output("deactivate", "data")    # it holds no device open
        wait_for(lambda: json.loads(process.stdout.readline())["sets"] == [], "it to go", 30)
        output("activate", "data")
        wait_for(lambda: json.loads(process.stdout.readline())["sets"], "it to come back", 30)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_events_of_one_set(rig: Rig) -> None:
    """Whose name device-mapper encodes."""
    device = rig.create("my\\x20disk")
    with subprocess.Popen([PROGRAM, "top", "my disk", "--interval", "1", "--count", "4"],
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and "1 active set" in process.stdout.readline()
        rig.main.bad(800, kind="write")
        device.pwrite(800, pattern(1))
        assert "relocated sector 800" in process.stdout.read()


def test_lines_and_mistakes(rig: Rig) -> None:
    create(rig)
    text = output("top", "data", "--count", "1", "--interval", "1")
    assert text.startswith("dm-remap: 1 active set, in the last 1.") and "how long I/O took" in text
    assert text.splitlines()[2].split()[:3] == ["data", "good", "rw"]
    assert regions(rig) == 0
    for arguments in (("--interval", "0"), ("--interval", "4000"), ("--count", "x")):
        assert "is not a number" in refused(USAGE, "top", *arguments)
    refused(NOT_FOUND, "top", "other")


@contextmanager
def at_a_terminal(lines: int, columns: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen([PROGRAM, "top", "--interval", "1"], stdin=theirs, stdout=theirs)
    try:
        yield process, ours
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def read_until(terminal: int, word: str) -> str:
    text = ""
    deadline = time.monotonic() + 60
    while word not in text:
        assert time.monotonic() < deadline, text
        text += os.read(terminal, 65536).decode()
    return text


def test_a_terminal(rig: Rig, tmp_path: Path) -> None:
    create(rig)
    device = Device("/dev/mapper/data", "data")
    with at_a_terminal(20, 80) as (process, terminal):
        text = read_until(terminal, ">data")
        assert text.startswith("\033[?1049h") and "q: quit" in text
        rig.main.bad(800, kind="write")
        device.pwrite(800, pattern(1))
        text = read_until(terminal, "relocated sector 800")
        assert max(len(line.split("\033[K")[0]) for line in text.split("\033[H")[-1].split("\r\n")) <= 81
        os.write(terminal, b"\033[B\033[Ajk")
        os.write(terminal, b"q")
        assert "\033[?1049l" in read_until(terminal, "\033[?1049l")
        assert process.wait(30) == 0
    # one that was killed leaves its statistics, until the next one looks
    with at_a_terminal(20, 80) as (process, terminal):
        read_until(terminal, ">data")
        os.write(terminal, b"q")
        process.wait(30)
    stale = subprocess.Popen([PROGRAM, "top", "--json", "--interval", "1"], stdout=subprocess.PIPE)
    assert stale.stdout
    stale.stdout.readline()
    stale.kill()
    stale.wait()
    stale.stdout.close()
    assert regions(rig) == 1
    output("top", "--count", "1", "--interval", "1")
    assert regions(rig) == 0
    device.close()
