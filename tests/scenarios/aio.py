# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux native asynchronous I/O: many requests in flight from one thread.

    with Aio() as aio:
        for n in range(64):
            aio.pwrite(device.fd, 8 * n, pattern(n))
        results = aio.wait()     # bytes done or negative errno, in order of submission

Callers: scenarios that need concurrency.
"""

import ctypes
import mmap
import struct

from tests.scenarios.lib import SECTOR
from tests.scenarios.syscall import syscall

IO_SETUP, IO_DESTROY, IO_GETEVENTS, IO_SUBMIT = 206, 207, 208, 209
PREAD, PWRITE = 0, 1
IOCB = struct.Struct("<QIiHhIQQqQII")    # struct iocb, 64 bytes
EVENT = struct.Struct("<QQqq")           # struct io_event
assert IOCB.size == 64 and EVENT.size == 32


class Aio:
    def __init__(self, depth: int = 512) -> None:
        self._context = ctypes.c_ulong(0)
        self._depth = depth
        syscall(IO_SETUP, ctypes.c_uint(depth), ctypes.byref(self._context))
        self.buffers: list[mmap.mmap] = []

    def _submit(self, operation: int, fd: int, sector: int, buffer: mmap.mmap,
                rw_flags: int) -> None:
        anchor = ctypes.c_char.from_buffer(buffer)
        number = len(self.buffers)
        control = ctypes.create_string_buffer(IOCB.pack(
            number, 0, rw_flags, operation, 0, fd, ctypes.addressof(anchor), len(buffer),
            sector * SECTOR, 0, 0, 0), IOCB.size)
        del anchor
        self.buffers.append(buffer)
        pointer = ctypes.c_void_p(ctypes.addressof(control))
        syscall(IO_SUBMIT, self._context, ctypes.c_long(1), ctypes.byref(pointer))

    def pwrite(self, fd: int, sector: int, data: bytes, rw_flags: int = 0) -> None:
        buffer = mmap.mmap(-1, len(data))
        buffer[:] = data
        self._submit(PWRITE, fd, sector, buffer, rw_flags)

    def pread(self, fd: int, sector: int, count: int = 1) -> None:
        """The data will be in self.buffers, at the request's number."""
        self._submit(PREAD, fd, sector, mmap.mmap(-1, count * SECTOR), 0)

    def wait(self) -> list[int]:
        """Results of all requests; waits for the last one."""
        total = len(self.buffers)
        events = ctypes.create_string_buffer(max(total, 1) * EVENT.size)
        results = [0] * total
        done = 0
        while done < total:
            got = syscall(IO_GETEVENTS, self._context, ctypes.c_long(1),
                          ctypes.c_long(total - done), events, None)
            for number, _, result, _ in EVENT.iter_unpack(events.raw[:got * EVENT.size]):
                results[number] = result
            done += got
        return results

    def __enter__(self) -> "Aio":
        return self

    def __exit__(self, *_: object) -> None:
        syscall(IO_DESTROY, self._context)
        for buffer in self.buffers:
            buffer.close()
