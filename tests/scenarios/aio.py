# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux native asynchronous I/O: many requests in flight from one thread.

    with Aio() as aio:
        for n in range(64):
            aio.pwrite(device.fd, 8 * n, pattern(n))
        results = aio.wait()     # bytes done or negative errno, in order of submission

x86-64 system calls through libc's syscall(). Callers: scenarios that need concurrency.
"""

import ctypes
import mmap
import os
import struct

from tests.scenarios.lib import SECTOR

IO_SETUP, IO_DESTROY, IO_GETEVENTS, IO_SUBMIT = 206, 207, 208, 209
PREAD, PWRITE = 0, 1
IOCB = struct.Struct("<QIiHhIQQqQII")    # struct iocb, 64 bytes
EVENT = struct.Struct("<QQqq")           # struct io_event
LIBC = ctypes.CDLL(None, use_errno=True)
assert IOCB.size == 64 and EVENT.size == 32


def _call(number: int, *arguments: object) -> int:
    result = int(LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


class Aio:
    def __init__(self, depth: int = 512) -> None:
        self._context = ctypes.c_ulong(0)
        self._depth = depth
        _call(IO_SETUP, ctypes.c_uint(depth), ctypes.byref(self._context))
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
        _call(IO_SUBMIT, self._context, ctypes.c_long(1), ctypes.byref(pointer))

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
            got = _call(IO_GETEVENTS, self._context, ctypes.c_long(1),
                        ctypes.c_long(total - done), events, None)
            for number, _, result, _ in EVENT.iter_unpack(events.raw[:got * EVENT.size]):
                results[number] = result
            done += got
        return results

    def __enter__(self) -> "Aio":
        return self

    def __exit__(self, *_: object) -> None:
        _call(IO_DESTROY, self._context)
        for buffer in self.buffers:
            buffer.close()
