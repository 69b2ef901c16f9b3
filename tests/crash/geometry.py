# SPDX-License-Identifier: GPL-2.0-or-later
"""Sizes of the disks that the crash workload runs on; offsets of a region by FORMAT.md."""

from tests.crash.model import Layout

MAIN_SECTORS = 3072
SPARE_SECTORS = 4096 + 256
REGION_START = 128    # not at the start of the disk, and not all of it
REGION_SECTORS = 4096

_layout = Layout.of(REGION_SECTORS)
# the copies of the superblock and of the table blocks
METADATA = [_layout.block(replica, place, block) for replica in (0, 1) for place in (0, 1)
            for block in range(_layout.table_blocks + 1)]
SLOT_SECTORS = [_layout.slot(slot) for slot in range(1, 64)]
# disk, sector, count: all that activation may write
_replica = 2 * _layout.place_blocks * 8
METADATA_RANGES = [("spare", REGION_START, _replica),
                   ("spare", REGION_START + _layout.end_replica, _replica),
                   ("main", MAIN_SECTORS - 8, 8)]
