# SPDX-License-Identifier: GPL-2.0-or-later
"""Stamped sectors, the same as stamp.h: which sector and which write they are of."""

import struct
import zlib

MAGIC = 0x706D617453706D52
WORDS = struct.Struct("<QQQ")


def stamp(sector: int, count: int, write: int) -> bytes:
    """The content of COUNT sectors from SECTOR, written by write number WRITE."""
    parts = []
    for number in range(sector, sector + count):
        words = WORDS.pack(MAGIC, number, write)
        parts.append((words + struct.pack("<Q", zlib.crc32(words))) * 16)
    return b"".join(parts)


def read(data: bytes) -> tuple[int, int] | None:
    """Sector and number of the write of one sector's content; None: no whole stamp."""
    magic, sector, write = WORDS.unpack_from(data)
    if data != stamp(sector, 1, write):
        return None
    return sector, write
