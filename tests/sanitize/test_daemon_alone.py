# SPDX-License-Identifier: GPL-2.0-or-later
"""dm-remapd from its start to its end on a machine without the module."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.sanitize.tools import Tool

PATIENCE_S = 60


def test_started_reloaded_and_stopped(tool: Tool, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        environment = {**tool.environment, "NOTIFY_SOCKET": str(tmp_path / "notify"),
                       "STATE_DIRECTORY": str(tmp_path), "WATCHDOG_USEC": "2000000"}
        told: list[str] = []

        def wait_for(words: str) -> None:
            seen = len(told)
            end = time.monotonic() + PATIENCE_S
            while not any(line.startswith(words) for line in told[seen:]):
                assert time.monotonic() < end, (words, told)
                told.extend(manager.recv(1 << 16).decode().splitlines())

        daemon = subprocess.Popen(tool.command("dm-remapd"), env=environment,
                                  stdin=subprocess.DEVNULL)
        try:
            wait_for("READY=1")
            for _ in range(3):
                os.kill(daemon.pid, signal.SIGHUP)
                wait_for("RELOADING=1")
                wait_for("READY=1")
            wait_for("WATCHDOG=1")
            os.kill(daemon.pid, signal.SIGTERM)
            wait_for("STOPPING=1")
            assert daemon.wait(PATIENCE_S) == 0, tool.said()
        finally:
            daemon.kill()
            daemon.wait()
