# SPDX-License-Identifier: GPL-2.0-or-later
"""Client of remap-blockd, the block server whose disks fail on command.

Starts the program, speaks its control protocol and reads its log; the protocol is
described in tests/blockserver/README.md. Used on the host (disks on unix sockets)
and inside User Mode Linux (disks as /dev/nbdN).
"""

import os
import re
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness import cache

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = PROJECT / "build" / "blockserver" / "remap-blockd"

LOG_HEADER = struct.Struct("<IHHIIQQ")
LOG_MAGIC = 0x4C424D52
KINDS = {1: "write", 2: "flush", 3: "mark", 4: "trim", 5: "powercut", 6: "lost"}
FUA, FAILED, LANDED = 1, 2, 4


class BlockServerError(Exception):
    """The server refused a command or did not start; the text is its reason."""


def build() -> Path:
    """Build the program if its sources are newer, and return its path."""
    with cache.locked(PROJECT / "build" / ".blockserver.lock"):
        result = subprocess.run(["make", "-s", "-C", str(PROJECT / "tests" / "blockserver"),
                                 f"OUT={PROGRAM.parent}"],
                                capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        raise BlockServerError(f"remap-blockd does not build:\n{result.stdout}{result.stderr}")
    return PROGRAM


@dataclass(frozen=True)
class Record:
    """One entry of the log."""

    kind: str
    flags: int
    disk: int
    sector: int
    sectors: int
    ns: int
    data: bytes

    @property
    def done(self) -> bool:
        return not self.flags & FAILED


def read_log(path: Path) -> Iterator[Record]:
    with open(path, "rb") as log:
        while header := log.read(LOG_HEADER.size):
            magic, kind, flags, disk, length, sector, ns = LOG_HEADER.unpack(header)
            if magic != LOG_MAGIC:
                raise BlockServerError(f"{path}: no record at {log.tell() - LOG_HEADER.size}")
            size = {"write": length * 512, "mark": length}.get(KINDS[kind], 0)
            data = log.read(size)
            log.read(-size % 8)
            sectors = 0 if KINDS[kind] == "mark" else length
            yield Record(KINDS[kind], flags, disk, sector, sectors, ns, data)


class Disk:
    """One disk of a server."""

    def __init__(self, server: "BlockServer", name: str, index: int, size_bytes: int,
                 options: str = "") -> None:
        self.server = server
        self.name = name
        self.index = index
        self.size_bytes = size_bytes
        # of one option that is there twice, the last one counts
        self.fua = (re.findall(r"\bfua=(\w+)", options) or ["on"])[-1] == "on"
        self.media_path = server.directory / f"{name}.img"
        self.socket_path = server.directory / f"{name}.sock"
        self.kernel_path = Path(f"/dev/nbd{index}")
        self.late_errors = False    # where writes are to fail, they fail late

    def bad(self, first: int, count: int = 1, kind: str = "write", action: str = "error",
            times: int | None = None, delay_ms: int | None = None,
            then: str | None = None) -> None:
        if self.late_errors and action == "error" and kind != "read":
            if kind == "both":
                self.bad(first, count, "read", "unread", times, delay_ms)
            self.late(first, count, "error" if kind == "both" else None, times, delay_ms)
            return
        extra = [f"times={times}"] if times is not None else []
        extra += [f"delay_ms={delay_ms}"] if delay_ms is not None else []
        extra += [f"then={then}"] if then is not None else []
        self.server.command("fault", self.name, "add", first, count, kind, action, *extra)

    def late(self, first: int, count: int = 1, then: str | None = None,
             times: int | None = None, delay_ms: int | None = None) -> None:
        """Writes succeed into the volatile cache; the flush that is to bring them to the
        media fails and they are gone. THEN "error": what is there cannot be read after it."""
        self.bad(first, count, "write", "late", times, delay_ms, then)

    def heal4k(self, first: int, count: int = 1) -> None:
        """Physical blocks that cannot be read, and are healed by a write of all of each."""
        self.bad(first, count, "both", "heal4k")

    def clear(self, first: int | None = None, count: int = 1) -> None:
        where = [] if first is None else [first, count]
        self.server.command("fault", self.name, "clear", *where)

    def fail(self) -> None:
        self.server.command("device", self.name, "fail")

    def read_only(self) -> None:
        self.server.command("device", self.name, "ro")

    def back(self) -> None:
        self.server.command("device", self.name, "return")

    def delay(self, kind: str, ms: int) -> None:
        self.server.command("delay", self.name, kind, ms)

    def fail_flushes(self, count: int) -> None:
        self.server.command("flusherror", self.name, count)

    def lose_flushes(self, count: int) -> None:
        """The next flushes fail, and what is in the cache then is gone."""
        self.server.command("flushloss", self.name, count)

    def hold(self, kind: str, first: int | None = None, count: int = 1) -> None:
        """Park requests of KIND that touch the range (a flush has none)."""
        where = [] if first is None else [first, count]
        self.server.command("hold", self.name, kind, *where)

    def held(self) -> int:
        return int(self.server.command("held", self.name))

    def release(self) -> None:
        self.server.command("release", self.name)

    def destage(self) -> None:
        self.server.command("destage", self.name)

    def stats(self) -> dict[str, int]:
        pairs = (word.split("=") for word in self.server.command("stats", self.name).split())
        return {name: int(value) for name, value in pairs}


class BlockServer:
    """A running server. DISKS: name -> size in bytes, or (size, options)."""

    def __init__(self, directory: Path, disks: dict[str, int | tuple[int, str]],
                 kernel: bool = False, log: bool = True) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log_path = self.directory / "log" if log else None
        self._disks: dict[str, Disk] = {}
        arguments = [str(PROGRAM), "--dir", str(self.directory),
                     "--kernel" if kernel else "--unix"]
        arguments += ["--log", str(self.log_path)] if log else []
        for index, (name, size) in enumerate(disks.items()):
            size_bytes, options = size if isinstance(size, tuple) else (size, "")
            arguments += ["--disk", f"{name}:{size_bytes}" + (f":{options}" if options else "")]
            self._disks[name] = Disk(self, name, index, size_bytes, options)
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise BlockServerError(f"remap-blockd did not start (exit {self.process.wait()})")
        self._turn = threading.Lock()
        self._control = socket.socket(socket.AF_UNIX)
        self._control.connect(str(self.directory / "ctl"))
        self._answers = self._control.makefile("r")

    def disk(self, name: str) -> Disk:
        return self._disks[name]

    def disks(self) -> list[Disk]:
        return list(self._disks.values())

    def command(self, *words: object) -> str:
        """Send one command; the answer without its "ok". Any thread may."""
        line = " ".join(str(word) for word in words)
        with self._turn:
            self._control.sendall(line.encode() + b"\n")
            answer = self._answers.readline().rstrip("\n")
        if answer != "ok" and not answer.startswith("ok "):
            raise BlockServerError(f"{line}: {answer.removeprefix('err ') or 'no answer'}")
        return answer[3:]

    def mark(self, text: str) -> None:
        self.command("mark", text)

    def powercut(self, seed: int | None = None, least: int = 0) -> dict[str, int]:
        """Lose the volatile caches; every disk fails until power_on().

        The answer is how many unflushed sectors each disk had. When none had at least
        LEAST, there was no power cut.
        """
        answer = self.command("powercut", "drop" if seed is None else f"seed={seed}",
                              f"least={least}")
        return {name: int(count) for name, count in
                (word.rsplit("=", 1) for word in answer.split())}

    def power_on(self) -> None:
        for disk in self.disks():
            disk.back()

    def log(self) -> list[Record]:
        if self.log_path is None:
            raise BlockServerError("this server was started without a log")
        return list(read_log(self.log_path))

    def forget_log(self) -> None:
        """For tests that go on for long: it holds all that was written, in memory in a guest."""
        if self.log_path is not None:
            os.truncate(self.log_path, 0)

    def close(self) -> None:
        """End the server; harmless when it is gone already."""
        if self.process.poll() is None:
            self.command("quit")
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.kill(self.process.pid, 9)
            self.process.wait()
        self._answers.close()
        self._control.close()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def __enter__(self) -> "BlockServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


StartServer = Callable[..., BlockServer]


@contextmanager
def servers(directory: Path) -> Iterator[StartServer]:
    """A function that starts servers, without a log, in DIRECTORY; at the end they end."""
    started: list[BlockServer] = []

    def start(**disks: int | tuple[int, str]) -> BlockServer:
        started.append(BlockServer(directory / f"disks{len(started)}", disks, log=False))
        return started[-1]

    try:
        yield start
    finally:
        for server in started:
            server.close()
