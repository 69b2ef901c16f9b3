# SPDX-License-Identifier: GPL-2.0-or-later
"""A tiny NBD client for the tests of remap-blockd: fixed newstyle, one request at a time
(or several: submit() and wait())."""

import os
import socket
import struct
from pathlib import Path

READ, WRITE, DISCONNECT, FLUSH, TRIM = range(5)
FUA = 1


class NbdError(OSError):
    pass


class NbdClient:
    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        assert self._receive(16) == b"NBDMAGICIHAVEOPT"
        assert struct.unpack(">H", self._receive(2))[0] & 1
        self.socket.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 7, 6)
                            + struct.pack(">IH", 0, 0))
        self.size_bytes = self.flags = 0
        while True:
            _, _, kind, length = struct.unpack(">QIII", self._receive(20))
            data = self._receive(length)
            if kind == 1:
                break
            assert kind == 3, f"refused: {kind:#x}"
            if struct.unpack(">H", data[:2])[0] == 0:
                self.size_bytes, self.flags = struct.unpack(">QH", data[2:])
        self._handle = 0
        self._reads: dict[int, int] = {}

    def _receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise EOFError("the server closed the connection")
            data += part
        return data

    def submit(self, command: int, sector: int = 0, count: int = 0, data: bytes = b"",
               flags: int = 0) -> int:
        self._handle += 1
        self._reads[self._handle] = count * 512 if command == READ else 0
        self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, flags, command, self._handle,
                                        sector * 512, count * 512) + data)
        return self._handle

    def wait(self) -> tuple[int, int, bytes]:
        """The next answer: (handle, errno, data)."""
        magic, error, handle = struct.unpack(">IIQ", self._receive(16))
        assert magic == 0x67446698
        return handle, error, self._receive(self._reads[handle]) if not error else b""

    def _run(self, *arguments: object, **more: object) -> bytes:
        handle = self.submit(*arguments, **more)  # type: ignore[arg-type]
        answered, error, data = self.wait()
        assert answered == handle
        if error:
            raise NbdError(error, os.strerror(error))
        return data

    def read(self, sector: int, count: int = 1) -> bytes:
        return self._run(READ, sector, count)

    def write(self, sector: int, data: bytes, fua: bool = False) -> None:
        self._run(WRITE, sector, len(data) // 512, data, FUA if fua else 0)

    def flush(self) -> None:
        self._run(FLUSH)

    def trim(self, sector: int, count: int) -> None:
        self._run(TRIM, sector, count)

    def close(self) -> None:
        self.socket.close()
