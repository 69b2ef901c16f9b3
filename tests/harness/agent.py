# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's end of the agent in the guest: commands with exit codes, files.

Owns the connection to the virtio-serial port that tests/harness/guest/agent.py
serves. Several commands may run at once. Caller: qemu.py only.
"""

import itertools
import json
import os
import socket
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def slowness() -> float:
    """How many times longer things take here than on a machine that has nothing else to do."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class AgentError(Exception):
    """The guest did not answer, or not in time."""


class CommandFailed(Exception):
    """A command in the guest ended with an exit code that is not 0."""


@dataclass(frozen=True)
class Result:
    """What a command in the guest came to."""

    script: str
    code: int
    out: str
    err: str

    def check(self) -> "Result":
        if self.code:
            raise CommandFailed(f"exit code {self.code} from guest command: {self.script}\n"
                                f"{self.out}{self.err}".rstrip())
        return self


class Agent:
    """A connection; requests may be sent from any thread."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.ids = itertools.count(1)
        self.send_lock = threading.Lock()
        self.waiting: dict[int, Future[tuple[int, bytes, bytes]]] = {}
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.socket.sendall(b"\n")          # ends whatever half line the port may hold

    def close(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass                            # QEMU is gone already
        self.reader.join()
        self.socket.close()

    def _read(self) -> None:
        with self.socket.makefile("rb") as stream:
            try:
                while line := stream.readline():
                    head = json.loads(line)
                    out, err = stream.read(head["out"]), stream.read(head["err"])
                    future = self.waiting.pop(head["id"], None)
                    if future and len(err) == head["err"]:
                        future.set_result((head["exit"], out, err))
            except (OSError, ValueError) as error:
                self._fail_all(f"connection to the guest's agent broke: {error}")
                return
        self._fail_all("the virtual machine has ended")

    def _fail_all(self, why: str) -> None:
        for request_id in list(self.waiting):
            future = self.waiting.pop(request_id, None)
            if future:
                future.set_exception(AgentError(why))

    def send(self, operation: str, data: bytes = b"", **fields: Any) -> "Request":
        request_id = next(self.ids)
        head = {"id": request_id, "op": operation, "size": len(data), **fields}
        future: Future[tuple[int, bytes, bytes]] = Future()
        self.waiting[request_id] = future
        try:
            with self.send_lock:
                self.socket.sendall(json.dumps(head).encode() + b"\n" + data)
        except OSError as error:
            self.waiting.pop(request_id, None)
            raise AgentError(f"cannot reach the guest's agent: {error}") from error
        return Request(self, request_id, future)

    def set_time(self, timeout_s: float) -> None:
        """Give the guest the host's time; returns when the guest has answered."""
        self.send("time", seconds=time.time()).wait(timeout_s)


class Request:
    """A request on its way."""

    def __init__(self, agent: Agent, request_id: int,
                 future: "Future[tuple[int, bytes, bytes]]") -> None:
        self.agent, self.id, self.future = agent, request_id, future

    @property
    def done(self) -> bool:
        return self.future.done()

    def wait(self, timeout_s: float) -> tuple[int, bytes, bytes]:
        """Exit code, output and errors; TIMEOUT_S are seconds of an idle machine."""
        try:
            return self.future.result(timeout_s * slowness())
        except FutureTimeout as error:
            raise AgentError(f"no answer from the guest within {timeout_s:.0f} s") from error

    def kill(self) -> None:
        """End the command in the guest (its whole process group)."""
        self.agent.send("kill", target=self.id)


class Command:
    """A shell script that runs in the guest."""

    def __init__(self, agent: Agent, script: str) -> None:
        self.script = script
        self.request = agent.send("run", script.encode())

    @property
    def done(self) -> bool:
        return self.request.done

    def kill(self) -> None:
        self.request.kill()

    def wait(self, timeout_s: float = 120) -> Result:
        """Wait for it; a command that takes longer is killed and an error."""
        try:
            code, out, err = self.request.wait(timeout_s)
        except AgentError as error:
            if not self.request.done:
                self.kill()
            raise AgentError(f"{error}; command: {self.script}") from error
        return Result(self.script, code, out.decode(errors="replace"),
                      err.decode(errors="replace"))
