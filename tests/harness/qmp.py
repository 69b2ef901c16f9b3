# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's monitor protocol, as far as the tests need it. Caller: qemu.py only."""

import json
import socket
import time
from pathlib import Path
from typing import Any


class QmpError(Exception):
    """QEMU refused a command; the text has the command and QEMU's own words."""


class Qmp:
    """One connection to one QEMU; not for use by two threads at once."""

    def __init__(self, path: Path, timeout_s: float = 60) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_s)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.buffer = b""
        self.events: list[dict[str, Any]] = []
        self._receive()                     # the greeting
        self.execute("qmp_capabilities")

    def close(self) -> None:
        self.socket.close()

    def _receive(self) -> dict[str, Any]:
        while b"\n" not in self.buffer:
            data = self.socket.recv(1 << 16)
            if not data:
                raise QmpError("QEMU closed its monitor: it has ended")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def execute(self, command: str, **arguments: Any) -> Any:
        """Run COMMAND; underscores in argument names become hyphens, but for QEMU's exceptions."""
        named = {key if key.endswith("_block_size") else key.replace("_", "-"): value
                 for key, value in arguments.items()}
        request: dict[str, Any] = {"execute": command}
        if named:
            request["arguments"] = named
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self._receive()
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise QmpError(f"{command} {named}: {message['error']['desc']}")
            else:
                return message["return"]

    def wait_event(self, name: str, timeout_s: float = 30, **data: Any) -> dict[str, Any]:
        """The first event NAME, past or coming, whose data contains DATA."""
        end = time.monotonic() + timeout_s
        while True:
            for event in self.events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    self.events.remove(event)
                    return event
            left_s = end - time.monotonic()
            if left_s <= 0:
                raise QmpError(f"no event {name} {data} within {timeout_s} s")
            before_s = self.socket.gettimeout()
            self.socket.settimeout(left_s)
            try:
                message = self._receive()
            except TimeoutError:
                continue
            finally:
                self.socket.settimeout(before_s)
            if "event" in message:
                self.events.append(message)
