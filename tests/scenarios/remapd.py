# SPDX-License-Identifier: GPL-2.0-or-later
"""A running dm-remapd with a journal and a service manager made by the test.

It is the program that `make userspace` has built. The journal's native protocol: a
datagram of lines FIELD=value (none of ours has a newline in it). Callers: the scenarios
about the daemon.
"""

import os
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.scenarios.lib import wait_for

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "dm-remapd"
COMMAND = PROGRAM.with_name("dmremap")
JOURNAL = Path("/run/systemd/journal/socket")
# It beats a little more often than that, if that is wanted: who starts it must hear() then, for
# it waits when there are ten messages that nobody reads.
WATCHDOG_S = 2

SO_TIMESTAMP = 29    # when it was sent, not when the test looks

Entry = dict[str, str]


class Daemon:
    """A running dm-remapd: what it writes to the journal and tells its service manager."""

    def __init__(self, directory: Path, config: str = "", wrap: tuple[str, ...] = (),
                 beats: bool = False) -> None:
        JOURNAL.parent.mkdir(parents=True, exist_ok=True)
        JOURNAL.unlink(missing_ok=True)
        self._journal = self._socket(JOURNAL)
        self._manager = self._socket(directory / "notify")
        self.config = directory / "dm-remapd.conf"
        self.config.write_text(config)
        self.entries: list[Entry] = []
        self.told: list[str] = []
        self.beats: list[float] = []    # when its loop told that it goes round, in seconds
        (directory / "run").mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [*wrap, str(PROGRAM)], stdin=subprocess.DEVNULL,
            env={"NOTIFY_SOCKET": str(directory / "notify"), "PATH": os.environ["PATH"],
                 "STATE_DIRECTORY": str(directory), "DM_DISABLE_UDEV": "1",
                 "CONFIGURATION_DIRECTORY": str(directory),
                 "RUNTIME_DIRECTORY": str(directory / "run"),
                 **({"WATCHDOG_USEC": str(WATCHDOG_S * 1000000)} if beats else {})})
        wait_for(lambda: "READY=1" in self.hear().told, "READY=1", 60)

    @staticmethod
    def _socket(path: Path) -> socket.socket:
        path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(path))
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
        return made

    def hear(self) -> "Daemon":
        # What was written before it told its manager is there when that is.
        try:
            while True:
                text, control, _, _ = self._manager.recvmsg(1 << 16, 64)
                lines = text.decode().splitlines()
                if "WATCHDOG=1" in lines:
                    seconds, microseconds = struct.unpack("qq", control[0][2])
                    self.beats.append(seconds + microseconds / 1e6)
                self.told += lines
        except BlockingIOError:
            pass
        try:
            while True:
                entry = self._journal.recv(1 << 16).decode()
                self.entries.append(dict(line.split("=", 1) for line in entry.splitlines()))
        except BlockingIOError:
            pass
        return self

    def find(self, **fields: str) -> list[Entry]:
        return [entry for entry in self.hear().entries if fields.items() <= entry.items()]

    def wait_for(self, **fields: str) -> Entry:
        return wait_for(lambda: self.find(**fields), f"an entry with {fields}", 60)[0]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def reload(self) -> None:
        """SIGHUP, and wait until it was dealt with: also a look at everything."""
        before = self.hear().told.count("READY=1")
        self.send(signal.SIGHUP)
        wait_for(lambda: self.hear().told.count("READY=1") > before, "the reload", 60)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.send(number)
        code = self.process.wait(60)
        self.hear()
        return code

    def polls(self) -> int:
        """How many polls it has told its manager of."""
        return sum(line.startswith("STATUS=") for line in self.hear().told)

    @staticmethod
    def commands() -> int:
        """How many processes of dmremap there are: its children, and they outlive it."""
        def runs(process: Path) -> bool:
            try:
                return (process / "exe").readlink() == COMMAND
            except OSError:
                return False

        return sum(map(runs, Path("/proc").glob("[0-9]*")))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._journal.close()
        self._manager.close()


@contextmanager
def running(directory: Path, config: str = "", wrap: tuple[str, ...] = (),
            beats: bool = False) -> Iterator[Daemon]:
    daemon = Daemon(directory, config, wrap, beats)
    try:
        yield daemon
    finally:
        daemon.close()
