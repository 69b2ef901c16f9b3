#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the guest: prints a dm-linear table that does what a number of remaps do.

    linear_table.py COUNT STRIDE_SECTORS SECTORS MAIN SPARE SPARE_SECTOR

Of every STRIDE_SECTORS the first chunk is on SPARE.
"""

import sys

CHUNK_SECTORS = 8


def main() -> None:
    count, stride, sectors, spare_sector = (int(sys.argv[n]) for n in (1, 2, 3, 6))
    main_disk, spare = sys.argv[4:6]
    for number in range(count):
        start = number * stride
        rest = start + CHUNK_SECTORS
        end = start + stride if number + 1 < count else sectors
        print(f"{start} {CHUNK_SECTORS} linear {spare} {spare_sector + number * CHUNK_SECTORS}\n"
              f"{rest} {end - rest} linear {main_disk} {rest}")


main()
