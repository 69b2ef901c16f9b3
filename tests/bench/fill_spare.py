#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the guest: gives a formatted spare region COUNT remaps, while it is not in use.

    fill_spare.py DEVICE START_SECTOR COUNT STRIDE [FIRST_SLOT FIRST_CHUNK]

Slot FIRST_SLOT + k (or 1 + k) serves all of main chunk FIRST_CHUNK + k * STRIDE; what other
slots serve stays. The table blocks are written whole, under numbers above all that is there, to
place A of both replicas (common/FORMAT.md).
"""

import array
import os
import struct
import sys
import zlib

BLOCK, ENTRIES = 4096, 252
REDIRECTED = 0xFF << 48                                        # with the chunk below it
ENTRY = struct.unpack("<Q", struct.pack("<IBBBB", 0, 1, 3, 0, 0))[0]    # used, manual
ABOVE = 1 << 20     # sequence numbers, for what is not looked at


def newest(fd: int, places: list[int]) -> bytearray:
    """The copy of a table block that counts, of those at these sectors."""
    copies = [os.pread(fd, BLOCK, sector * 512) for sector in places]
    return bytearray(max(copies, key=lambda copy: (
        copy[:8] == b"dmRemapT" and struct.unpack_from("<I", copy, 8)[0] == zlib.crc32(copy[12:]),
        struct.unpack_from("<Q", copy, 32))))


def main() -> None:
    device, start, count, stride = sys.argv[1], *map(int, sys.argv[2:5])
    first_slot, first_chunk = map(int, sys.argv[5:7] or (1, 0))
    fd = os.open(device, os.O_RDWR)
    first = os.pread(fd, BLOCK, start * 512)
    assert first[:8] == b"dmRemapS", "the spare is not formatted"
    replicas = struct.unpack_from("<2Q", first, 96)
    slots, table_blocks, _, place_blocks = struct.unpack_from("<4I", first, 120)
    assert first_slot + count <= slots, f"{slots} slots are too few"
    blocks = [newest(fd, [start + replica + (place * place_blocks + index) * 8
                          for replica in replicas for place in (0, 1)])
              for index in range(1, table_blocks + 1)]
    above = ABOVE + max(struct.unpack_from("<Q", block, 32)[0] for block in [first, *blocks])
    for index, block in enumerate(blocks, 1):
        struct.pack_into("<Q", block, 32, above + index)
        slot = (index - 1) * ENTRIES
        begin, end = max(slot, first_slot), min(slot + ENTRIES, first_slot + count)
        if begin < end:
            words = array.array("Q", [ENTRY]) * (2 * (end - begin))
            low = (first_chunk + (begin - first_slot) * stride) | REDIRECTED
            words[::2] = array.array("Q", range(low, low + (end - begin) * stride, stride))
            at = 64 + 16 * (begin - slot)
            block[at:at + 16 * (end - begin)] = words.tobytes()
        struct.pack_into("<I", block, 8, zlib.crc32(block[12:]))
        for replica in replicas:
            os.pwrite(fd, block, (start + replica + index * 8) * 512)
    os.fsync(fd)
    os.close(fd)


main()
