# SPDX-License-Identifier: GPL-2.0-or-later
"""dm-remapd against the real module, with a journal and a service manager made by the test.

It is the program that `make userspace` has built. The journal's native protocol: a
datagram of lines FIELD=value (none of ours has a newline in it).
"""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scenarios.lib import Rig, pattern, wait_for
from tests.scenarios.ondisk import Spare

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "dm-remapd"
JOURNAL = Path("/run/systemd/journal/socket")
pytestmark = pytest.mark.disks(main="1M", spare="640K")

Entry = dict[str, str]


class Daemon:
    """A running dm-remapd: what it writes to the journal and tells its service manager."""

    def __init__(self, directory: Path) -> None:
        JOURNAL.parent.mkdir(parents=True, exist_ok=True)
        JOURNAL.unlink(missing_ok=True)
        self._journal = self._socket(JOURNAL)
        self._manager = self._socket(directory / "notify")
        self.entries: list[Entry] = []
        self.told: list[str] = []
        self.process = subprocess.Popen(
            [str(PROGRAM)], stdin=subprocess.DEVNULL,
            env={"NOTIFY_SOCKET": str(directory / "notify"), "PATH": os.environ["PATH"],
                 "STATE_DIRECTORY": str(directory), "DM_DISABLE_UDEV": "1"})
        wait_for(lambda: "READY=1" in self.hear().told, "READY=1", 20)

    @staticmethod
    def _socket(path: Path) -> socket.socket:
        path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(path))
        made.setblocking(False)
        return made

    def hear(self) -> "Daemon":
        try:
            while True:
                text = self._journal.recv(1 << 16).decode()
                self.entries.append(dict(line.split("=", 1) for line in text.splitlines()))
        except BlockingIOError:
            pass
        try:
            while True:
                self.told += self._manager.recv(1 << 16).decode().splitlines()
        except BlockingIOError:
            pass
        return self

    def find(self, **fields: str) -> list[Entry]:
        return [entry for entry in self.hear().entries if fields.items() <= entry.items()]

    def wait_for(self, **fields: str) -> Entry:
        return wait_for(lambda: self.find(**fields), f"an entry with {fields}", 20)[0]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.hear()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._journal.close()
        self._manager.close()


@contextmanager
def running(directory: Path) -> Iterator[Daemon]:
    daemon = Daemon(directory)
    try:
        yield daemon
    finally:
        daemon.close()


def test_a_remap_is_told(rig: Rig, tmp_path: Path) -> None:
    """Rows 26 to 28: name, sector and cause are fields of the entry."""
    with running(tmp_path) as daemon:
        device = rig.create("data")
        daemon.wait_for(DM_REMAP_EVENT="loaded", DM_REMAP_NAME="data")
        rig.main.bad(800, kind="write")
        device.pwrite(800, pattern(1))
        entry = daemon.wait_for(DM_REMAP_EVENT="relocated")
        assert entry["DM_REMAP_NAME"] == "data" and entry["DM_REMAP_SECTOR"] == "800"
        assert entry["DM_REMAP_NR_SECTORS"] == "1" and entry["DM_REMAP_CAUSE"] == "write-error"
        assert entry["DM_REMAP_ERROR"] == "I/O error" and entry["DM_REMAP_MEMBER"] == "main"
        assert entry["PRIORITY"] == "4" and len(entry["MESSAGE_ID"]) == 32
        assert entry["MESSAGE"].startswith("data: relocated sector 800 to slot ")
        slot = {e.chunk: e.slot for e in Spare.of(rig).entries() if e.state}[100]
        assert entry["DM_REMAP_SLOT"] == str(slot)
        rig.remove("data")
        daemon.wait_for(DM_REMAP_EVENT="unloaded", DM_REMAP_NAME="data")


def test_it_saves_and_leaves_devices_running(rig: Rig, tmp_path: Path) -> None:
    device = rig.create()
    with running(tmp_path) as daemon:
        rig.main.bad(40, kind="read")
        with pytest.raises(OSError):
            device.pread(40)
        daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_SECTOR="40")
        before = rig.status()["saves_ok"]
        assert daemon.stop() == 0
        assert "STOPPING=1" in daemon.told
        assert rig.status()["saves_ok"] == before + 1
    rig.main.bad(80, kind="write")
    device.pwrite(80, pattern(2))
    assert device.pread(80) == pattern(2) and rig.status()["mode"] == "rw"


def test_steps_are_told_once_also_over_a_restart(rig: Rig, tmp_path: Path) -> None:
    device = rig.create()
    uuid = Spare.of(rig).newest(0).uuid
    assert uuid
    rig.main.bad(0, 1000, kind="write")
    with running(tmp_path) as daemon:
        for chunk in range(50):
            device.pwrite(8 * chunk, pattern(chunk))
        told = daemon.wait_for(DM_REMAP_PERCENT="50")
        assert "dmremap status r0" in told["MESSAGE"] and told["PRIORITY"] == "4"
        # more relocations at once than are told one by one
        assert 1 <= len(daemon.find(DM_REMAP_EVENT="relocated")) <= 40
        daemon.stop(signal.SIGKILL)
    with running(tmp_path) as daemon:
        # made with plain dmsetup, the device has no DM_UUID: told again, but no more
        for chunk in range(50, 75):
            device.pwrite(8 * chunk, pattern(chunk))
        daemon.wait_for(DM_REMAP_PERCENT="75")
    assert device.pread(8 * 74) == pattern(74)


def test_a_storm_is_told_in_one_line(rig: Rig, tmp_path: Path) -> None:
    device = rig.create()
    with running(tmp_path) as daemon:
        rig.main.bad(0, 400, kind="read")
        for sector in range(100, 200):
            with pytest.raises(OSError):
                device.pread(sector)
        entry = daemon.wait_for(DM_REMAP_EVENT="read-error", DM_REMAP_COUNT="80")
        assert "sectors 120 to 199" in entry["MESSAGE"]
        assert len(daemon.find(DM_REMAP_EVENT="read-error")) == 21
        health = daemon.wait_for(DM_REMAP_HEALTH="failing")
        assert health["DM_REMAP_NAME"] == "r0" and health["PRIORITY"] == "2"


def test_killed_and_started_again(rig: Rig, tmp_path: Path) -> None:
    device = rig.create()
    rig.main.bad(0, 2000, kind="write")
    with running(tmp_path) as daemon:
        device.pwrite(0, pattern(0))
        daemon.wait_for(DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="0")
        daemon.stop(signal.SIGKILL)
    device.pwrite(8, pattern(1))
    rig.message("r0", "freeze")
    with running(tmp_path) as daemon:
        # what happened meanwhile is seen in the state, not as events
        assert daemon.wait_for(DM_REMAP_HEALTH="degraded")["DM_REMAP_MODE"] == "frozen"
        rig.message("r0", "thaw")
        daemon.wait_for(DM_REMAP_EVENT="mode", DM_REMAP_OLD_MODE="frozen")
        daemon.wait_for(DM_REMAP_HEALTH="good")
        device.pwrite(16, pattern(2))
        daemon.wait_for(DM_REMAP_EVENT="relocated", DM_REMAP_SECTOR="16")
    assert device.pread(8) == pattern(1) and device.pread(16) == pattern(2)


def test_arguments_are_refused(rig: Rig) -> None:
    result = subprocess.run([str(PROGRAM), "--now"], capture_output=True, text=True)
    assert result.returncode == 2 and "usage" in result.stderr
