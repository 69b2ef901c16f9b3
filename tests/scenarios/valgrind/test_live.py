# SPDX-License-Identifier: GPL-2.0-or-later
"""The command and the daemon under valgrind, on a set that runs and whose main is dying.

AddressSanitizer wants more addresses than a process has in User Mode Linux; what it looks at
are images, and the daemon alone (tests/sanitize).
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.sanitize.tools import Tool
from tests.scenarios.lib import Rig, pattern

PATIENCE_S = 300
JOURNAL = Path("/run/systemd/journal/socket")
pytestmark = pytest.mark.disks(main="1M", spare="640K")


def receiver(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(str(path))
    made.settimeout(1)
    return made


def wait_for(source: socket.socket, words: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if words in source.recv(1 << 16).decode():
                return
        except TimeoutError:
            pass
    raise AssertionError(f"no {words}")


def wait_for_end(daemon: subprocess.Popen[bytes], journal: socket.socket) -> int | None:
    """Its exit code. It waits for the journal, whose queue is short: it must be read."""
    end = time.monotonic() + PATIENCE_S
    while daemon.poll() is None and time.monotonic() < end:
        try:
            print(journal.recv(1 << 16))
        except TimeoutError:
            pass
    return daemon.returncode


def test_everything_of_one_set(rig: Rig, tmp_path: Path) -> None:
    tool = Tool("valgrind", tmp_path / "reports")
    main, spare = str(rig.main.kernel_path), str(rig.spare.kernel_path)
    journal, manager = receiver(JOURNAL), receiver(tmp_path / "notify")
    daemon = subprocess.Popen(
        tool.command("dm-remapd"), stdin=subprocess.DEVNULL,
        env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"),
             "STATE_DIRECTORY": str(tmp_path)})
    try:
        wait_for(manager, "READY=1")
        made = tool.run("dmremap", "create", "data", main, spare, "--yes")
        assert made.returncode == 0, made.stderr
        wait_for(journal, "DM_REMAP_EVENT=loaded")
        rig.main.bad(800, 100, kind="write")
        rig.main.bad(1200, kind="read")
        with open("/dev/mapper/data", "r+b", buffering=0) as device:
            device.seek(797 * 512)
            device.write(pattern(1, 64))
            os.fsync(device.fileno())
        wait_for(journal, "DM_REMAP_EVENT=relocated")
        for arguments in (["status"], ["list", "--json"], ["show", "data", "--json"],
                          ["remap", "data", "1196", "10"], ["unremap", "data", "1196", "1"],
                          ["verify", "data", "800"], ["metadata-status", "data"]):
            result = tool.run("dmremap", *arguments)
            assert result.returncode == 0, (arguments, result)
        os.kill(daemon.pid, signal.SIGHUP)
        wait_for(manager, "RELOADING=1")
        os.kill(daemon.pid, signal.SIGTERM)
        wait_for(manager, "STOPPING=1")
        assert wait_for_end(daemon, journal) == 0
        rig.main.clear()
        for arguments in (["deactivate", "data"], ["activate", "data"],
                          ["remap", "data", "0", "200"], ["clear", "data"],
                          ["backup", "data", str(tmp_path / "backup")], ["dump", spare],
                          ["check", spare], ["deactivate", "data"], ["write-cache", "data"],
                          ["adopt-host", "data", "--name", "other"],
                          ["release", "other", "--yes", "--give-up", "1200"]):
            result = tool.run("dmremap", *arguments)
            assert result.returncode == 0, (arguments, result)
    finally:
        daemon.kill()
        daemon.wait()
        journal.close()
        manager.close()
    assert not tool.said()
