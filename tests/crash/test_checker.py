# SPDX-License-Identifier: GPL-2.0-or-later
"""The checker of the order of commits (scenarios/ondisk.py) on logs made here, of a disk
without FUA."""

import struct

import pytest

from tests.crash.geometry import REGION_START, SHAPES
from tests.harness.blockd import FAILED, LANDED, Record
from tests.scenarios.ondisk import BLOCK, SECTOR, TABLE, Block, Spare, check_records

SPARE = Spare(None, SHAPES["wide"].region_sectors, REGION_START)
FLUSH = Record("flush", 0, 1, 0, 0, 0, b"")


def write(seq: int, replica: int, number: int = 1, place: int = 0, flags: int = 0) -> Record:
    """Of the table block NUMBER."""
    header = TABLE + bytes(4) + struct.pack("<I", number) + bytes(16)
    block = Block(header.ljust(BLOCK, b"\0")).with_seq(seq)
    return Record("write", flags, 1, SPARE.sector(replica, place, number), BLOCK // SECTOR, 0,
                  block.data)


def lost(first: int, count: int) -> Record:
    return Record("lost", 0, 1, first, count, 0, b"")


def commits(*records: Record) -> int:
    return check_records(records, SPARE, alone=False, fua=False)


def test_a_commit() -> None:
    assert commits(write(300, 0), FLUSH, write(300, 1), FLUSH) == 1


def test_a_failed_write_that_landed_has_no_flush_of_its_own() -> None:
    assert commits(write(300, 0, flags=LANDED), write(301, 0, flags=FAILED),
                   write(302, 0), FLUSH, write(302, 1), FLUSH) == 1


def test_a_number_below_one_that_was_used() -> None:
    with pytest.raises(AssertionError, match="C2"):
        commits(write(301, 0, flags=FAILED), write(300, 0), FLUSH)


def test_replica_1_before_replica_0_is_flushed() -> None:
    with pytest.raises(AssertionError, match="C1"):
        commits(write(300, 1), FLUSH)


@pytest.mark.parametrize("first, count", [(0, 8), (0, 1), (7, 1), (3, 100)])
def test_what_the_cache_lost_is_not_committed(first: int, count: int) -> None:
    """Also when only a part of the copy is lost."""
    copy = write(300, 1)
    assert commits(write(300, 0), FLUSH, copy, lost(copy.sector + first, count), FLUSH) == 0
