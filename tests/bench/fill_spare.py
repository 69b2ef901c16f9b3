#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the guest: gives a formatted spare region COUNT remaps, while it is not in use.

    fill_spare.py DEVICE START_SECTOR COUNT STRIDE

Slot 1 + k serves all of main chunk k * STRIDE. The table blocks are written whole, under
numbers above all that is there, to place A of both replicas (common/FORMAT.md).
"""

import array
import os
import struct
import sys
import zlib

BLOCK, ENTRIES = 4096, 252
REDIRECTED = 0xFF << 48                                        # with the chunk below it
ENTRY = struct.unpack("<Q", struct.pack("<IBBBB", 0, 1, 3, 0, 0))[0]    # used, manual
NUMBER = 1 << 20


def main() -> None:
    device, start, count, stride = sys.argv[1], *map(int, sys.argv[2:])
    fd = os.open(device, os.O_RDWR)
    first = os.pread(fd, BLOCK, start * 512)
    assert first[:8] == b"dmRemapS", "the spare is not formatted"
    replicas = struct.unpack_from("<2Q", first, 96)
    slots, table_blocks = struct.unpack_from("<2I", first, 120)
    assert count < slots, f"{slots} slots are too few"
    for index in range(1, table_blocks + 1):
        old = os.pread(fd, BLOCK, (start + index * 8) * 512)
        block = bytearray(old)
        struct.pack_into("<Q", block, 32, NUMBER + index)
        slot = (index - 1) * ENTRIES
        first, end = max(slot, 1), min(slot + ENTRIES, count + 1)
        if first < end:
            words = array.array("Q", [ENTRY]) * (2 * (end - first))
            low = (first - 1) * stride | REDIRECTED
            words[::2] = array.array("Q", range(low, low + (end - first) * stride, stride))
            at = 64 + 16 * (first - slot)
            block[at:at + 16 * (end - first)] = words.tobytes()
        struct.pack_into("<I", block, 8, zlib.crc32(block[12:]))
        for replica in replicas:
            os.pwrite(fd, block, (start + replica + index * 8) * 512)
    os.fsync(fd)
    os.close(fd)


main()
