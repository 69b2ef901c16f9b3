#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the guest: fills memory, more than it may have, and looks whether it stays.

    guest_memory.py MIB SEED

Three times every page is read and must hold its own number, the seed and the round; then
it gets the next round's.
"""

import mmap
import struct
import sys

PAGE = 4096
ROUNDS = 3


def main() -> None:
    pages, seed = int(sys.argv[1]) * (1 << 20) // PAGE, int(sys.argv[2])
    memory = mmap.mmap(-1, pages * PAGE)
    for current in range(ROUNDS):
        for page in range(pages):
            memory[page * PAGE:(page + 1) * PAGE] = \
                struct.pack("<QQ", page, seed << 8 | current) * (PAGE // 16)
        for page in range(pages):
            if memory[page * PAGE:(page + 1) * PAGE] != \
                    struct.pack("<QQ", page, seed << 8 | current) * (PAGE // 16):
                sys.exit(f"page {page} is wrong in round {current}")
    print(f"{ROUNDS * pages} pages are right")


main()
