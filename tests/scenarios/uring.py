# SPDX-License-Identifier: GPL-2.0-or-later
"""io_uring as far as polled I/O needs it: one read, whose caller polls for its end."""

import ctypes
import mmap
import os
import struct

from tests.scenarios.lib import SECTOR
from tests.scenarios.syscall import syscall

SETUP, ENTER = 425, 426
IOPOLL, GETEVENTS, READ = 1, 1, 22
SQ_RING, CQ_RING, SQES = 0, 0x8000000, 0x10000000


def polled_read(fd: int, sector: int, count: int) -> bytes:
    """Sectors of a device opened for direct I/O; OSError with the error of the read."""
    parameters = ctypes.create_string_buffer(struct.pack("<5I", 0, 0, IOPOLL, 0, 0), 120)
    ring = syscall(SETUP, ctypes.c_uint(4), parameters)
    try:
        # head, tail, mask, entries; then flags, dropped, array and overflow, cqes
        sq = struct.unpack_from("<7I", parameters, 40)
        cq = struct.unpack_from("<6I", parameters, 80)
        with mmap.mmap(ring, 4096, offset=SQ_RING) as submissions, \
                mmap.mmap(ring, 4096, offset=CQ_RING) as completions, \
                mmap.mmap(ring, 4096, offset=SQES) as entries, \
                mmap.mmap(-1, count * SECTOR) as buffer:
            anchor = ctypes.c_char.from_buffer(buffer)
            entries[:64] = struct.pack("<BBHiQQIIQ24x", READ, 0, 0, fd, sector * SECTOR,
                                       ctypes.addressof(anchor), count * SECTOR, 0, 1)
            del anchor
            struct.pack_into("<I", submissions, sq[6], 0)
            struct.pack_into("<I", submissions, sq[1], 1)
            syscall(ENTER, ctypes.c_uint(ring), ctypes.c_uint(1), ctypes.c_uint(1),
                    ctypes.c_uint(GETEVENTS), None, ctypes.c_size_t(0))
            _, result = struct.unpack_from("<Qi", completions, cq[5])
            if result < 0:
                raise OSError(-result, os.strerror(-result))
            return buffer[:result]
    finally:
        os.close(ring)
