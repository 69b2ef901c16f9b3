# SPDX-License-Identifier: GPL-2.0-or-later
"""The sets that the crash workload runs on; offsets of a region by FORMAT.md."""

from dataclasses import dataclass

from tests.crash.model import Layout

MAIN_SECTORS = 3072
REGION_START = 128    # not at the start of the disk, and not all of it


@dataclass(frozen=True)
class Shape:
    """A spare with a region of so many sectors, and what is mapped before anything goes bad."""

    region_sectors: int
    mapped_sectors: int = 320

    @property
    def layout(self) -> Layout:
        return Layout.of(self.region_sectors)

    @property
    def spare_sectors(self) -> int:
        return REGION_START + self.region_sectors + 128

    @property
    def slots(self) -> list[int]:
        """Region sectors of the slots that are in use at the start, or soon."""
        first = max(1, self.mapped_sectors // 8 - 24)
        return [self.layout.slot(slot) for slot in range(first, min(first + 63, self.layout.slots))]

    @property
    def written_by_activation(self) -> list[tuple[str, int, int]]:
        """Disk, sector, count."""
        replica = 2 * self.layout.place_blocks * 8
        return [("spare", REGION_START, replica),
                ("spare", REGION_START + self.layout.end_replica, replica),
                ("main", MAIN_SECTORS - 8, 8)]


SHAPES = {
    "wide": Shape(4096),     # 448 slots in two table blocks
    "tight": Shape(896),     # 48 slots: gets full, and slots are used again
    "across": Shape(4096, 8 * 248),    # the first block gets full, relocations go on in the second
}
