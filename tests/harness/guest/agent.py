#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Agent inside the guest: runs commands and moves files for the host.

It talks over one virtio-serial port.  A request is a line of JSON followed by
"size" raw bytes; so is the answer ("out" + "err" bytes).  Requests run in
threads of their own, so answers may come in any order; the id tells which is
which.  The other end is tests/harness/agent.py; no other program may use the port.
"""

import json
import os
import signal
import subprocess
import threading
import time

PORT = "/dev/virtio-ports/dm-remap.agent"


class Port:
    """The byte stream; a host that is not connected looks like silence."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR)
        self.buffer = bytearray()
        self.lock = threading.Lock()

    def fill(self) -> None:
        data = os.read(self.fd, 1 << 16)
        if not data:
            time.sleep(0.05)
        self.buffer += data

    def line(self) -> bytes:
        while True:
            end = self.buffer.find(b"\n")
            if end >= 0:
                line = bytes(self.buffer[:end])
                del self.buffer[:end + 1]
                return line
            self.fill()

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self.fill()
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def answer(self, request_id: int, exit_code: int, out: bytes = b"", err: bytes = b"") -> None:
        head = {"id": request_id, "exit": exit_code, "out": len(out), "err": len(err)}
        data = json.dumps(head).encode() + b"\n" + out + err
        with self.lock:
            view = memoryview(data)
            while view:
                view = view[os.write(self.fd, view[:1 << 16]):]


running: dict[int, subprocess.Popen[bytes]] = {}


def run(request_id: int, script: bytes) -> tuple[int, bytes, bytes]:
    child = subprocess.Popen(["/bin/bash", "-c", script.decode()], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/root",
                             start_new_session=True)
    running[request_id] = child
    try:
        out, err = child.communicate()
    finally:
        del running[request_id]
    return child.returncode, out, err


def put(path: str, mode: int, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def get(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def serve(port: Port, request: dict, data: bytes) -> None:
    request_id, operation = request["id"], request["op"]
    try:
        if operation == "run":
            port.answer(request_id, *run(request_id, data))
            return
        if operation == "put":
            put(request["path"], request["mode"], data)
            port.answer(request_id, 0)
        elif operation == "get":
            port.answer(request_id, 0, get(request["path"]))
        elif operation == "time":
            time.clock_settime(time.CLOCK_REALTIME, request["seconds"])
            port.answer(request_id, 0)
        elif operation == "kill":
            child = running.get(request["target"])
            if child:
                os.killpg(child.pid, signal.SIGKILL)
            port.answer(request_id, 0)
        else:
            port.answer(request_id, 255, err=f"unknown operation {operation}".encode())
    except Exception as error:  # whatever it is, the host must hear of it
        port.answer(request_id, 255, err=f"agent: {error!r}".encode())


def main() -> None:
    port = Port(PORT)
    while True:
        line = port.line().strip()
        if not line:
            continue
        request = json.loads(line)
        data = port.exactly(request["size"])
        threading.Thread(target=serve, args=(port, request, data), daemon=True).start()


main()
