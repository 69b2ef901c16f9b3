# SPDX-License-Identifier: GPL-2.0-or-later
"""The sets and the disks that the crash workload runs on; offsets of a region by FORMAT.md."""

from dataclasses import dataclass

from tests.crash.model import Layout
from tests.harness.disks import KINDS, PLAIN, Kind

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


@dataclass(frozen=True)
class Variant:
    """What the shapes are on: DISKS of a kind (harness/disks.py), and what becomes of writes to
    main's CACHE: through (the default), keep, auto; bare: there is no set, only main."""

    disks_name: str = PLAIN
    cache: str = "through"

    @property
    def kind(self) -> Kind:
        return KINDS[self.disks_name]

    @property
    def bare(self) -> bool:
        return self.cache == "bare"

    @property
    def arguments(self) -> str:
        """Of the table line."""
        return "" if self.cache == "through" else f"2 write_cache {self.cache}"

    def disks(self, shape: Shape) -> dict[str, int | tuple[int, str]]:
        sectors = {"main": MAIN_SECTORS, "spare": shape.spare_sectors}
        return {name: (number * 512, f"vcache=on,{self.kind.options(name)}".rstrip(","))
                for name, number in sectors.items()}


DEFAULT = Variant()
CACHES = ["through", "keep", "auto", "bare"]
