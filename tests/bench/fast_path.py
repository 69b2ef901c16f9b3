# SPDX-License-Identifier: GPL-2.0-or-later
"""What an I/O costs in guest instructions, beside dm-linear: the rows of build/bench.json.

Owns which rows there are, and how they are brought down to plain disks. System call and loop
(loop.c) are part of all figures.

remap needs disks that keep what is written to them, and a null_blk that does costs more. So
everything is measured on such disks, and what it needs beyond dm-linear there is added to what
dm-linear needs on a plain disk. That this is right is checked with null_blk by itself:
dm-linear must cost as much more than it on either. A flush needs a disk with a cache, and a
discard one that keeps something; those figures are of these disks.

The key of remap's hash is random, and one key in many makes long chains. So a set with many remaps
is activated several times, and a figure is the median.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from tests.bench.guest import BenchError
from tests.bench.stacks import CHUNK, MOST_IN_TABLE, PLACES, Stacks, offsets
from tests.harness.qemu import Machine

REPEATS, ROUNDS = 2, 2          # loops of a process each, and rounds of each loop
ACTIVATIONS = 3                 # of a set with so many remaps that the key matters
CELL_TIMEOUT_S = 1200
SPREAD, AGREE = 0.002, 0.005    # of the repeats of a figure, of two ways to it

COUNTS = (0, 1, 1000, 100_000, 1_000_000)
QUICK_COUNTS = (0, 1_000_000)
TABLE_COUNTS = (1, 1000, 100_000, MOST_IN_TABLE)
BASES = ("null_blk", "dm-linear", "floor")
KINDS = ("clean", "miss", "hit")
DISCARDS = (CHUNK, 1 << 20)
CACHED_PLACES = 100             # on the disk with a cache: the first chunks


@dataclass(frozen=True)
class Cell:
    """What is measured."""

    stack: str
    op: str
    size: int
    pattern: str
    remaps: int = 0
    kind: str = "clean"


@dataclass
class Row:
    """Instructions per I/O; SPREAD is how far the repeats lie apart, as a part of it."""

    stack: str
    op: str
    size: int
    pattern: str
    remaps: int
    kind: str
    insn_per_io: float
    ratio_to_linear: float
    spread: float


class FastPath:
    """A guest with all stacks, and the figures so far: of each cell, repeats by activation."""

    def __init__(self, vm: Machine, quick: bool, say: Callable[[str], None]) -> None:
        self.vm, self.quick, self.say = vm, quick, say
        self.stacks = Stacks(vm)
        self.figures: dict[Cell, list[list[float]]] = {}
        self.where: list[int] = []
        self.sizes = [CHUNK] if quick else list(PLACES)
        self.patterns = ["random"] if quick else ["random", "sequential"]

    def _measure(self, cell: Cell) -> None:
        where = offsets(cell.remaps, cell.kind, cell.size, cell.pattern == "sequential")
        if cell.stack.endswith(", cached"):
            where = [n * CHUNK for n in range(CACHED_PLACES)]
        if not where:
            return
        self._put(where)
        out = self.vm.text(f"for i in {' '.join(map(str, range(REPEATS)))}; do "
                           f"/run/loop {self.stacks.paths[cell.stack]} {cell.op} {cell.size} "
                           f"{ROUNDS} </run/offsets || exit; done", CELL_TIMEOUT_S)
        self.figures.setdefault(cell, []).append([float(loop) for loop in out.split()])

    def _put(self, where: list[int]) -> None:
        if where != self.where:
            self.vm.put("\n".join(map(str, where)).encode(), "/run/offsets")
            self.where = where

    def _accesses(self, small: bool) -> Iterator[tuple[int, str]]:
        for size in self.sizes:
            for pattern in self.patterns:
                if size <= CHUNK or not small:
                    yield size, pattern

    def _measure_stack(self, stack: str, remaps: int, kinds: tuple[str, ...],
                       small: bool = False) -> None:
        """All reads and writes, or the small ones."""
        for size, pattern in self._accesses(small):
            for kind in kinds:
                for op in ("write", "read"):        # what is read has been written before
                    self._measure(Cell(stack, op, size, pattern, remaps, kind))

    def _measure_bases(self) -> None:
        for base in BASES:
            self._measure_stack(base, 0, ("clean",))
            if base != "floor":
                self._measure_stack(f"{base}, plain", 0, ("clean",))
            if not self.quick:
                self._measure(Cell(f"{base}, cached", "flush", CHUNK, "random"))
                for size in DISCARDS:
                    self._measure(Cell(base, "discard", size, "random"))

    def _measure_flushes(self) -> None:
        """Of a set: nothing on the spare to flush, then something after each write."""
        self._measure(Cell("remap, cached", "flush", CHUNK, "random"))
        self.vm.run(f"dmsetup message remap-cached 0 remap 0 {CACHED_PLACES * CHUNK // 512}")
        self._measure(Cell("remap, cached", "flush", CHUNK, "random", CACHED_PLACES, "hit"))

    def measure_all(self) -> None:
        """All rows, from no remaps to many: the table on the spare only grows."""
        self.say("null_blk, dm-linear and the empty target")
        self._measure_bases()
        for remaps in QUICK_COUNTS if self.quick else COUNTS:
            self.say(f"remap, {remaps} remaps")
            if remaps:
                self.stacks.fill(remaps)
            for activation in range(ACTIVATIONS if remaps >= 1000 else 1):
                self.stacks.activate(remaps)
                # The key is a matter of a few instructions.
                self._measure_stack("remap", remaps, KINDS if remaps else ("clean",),
                                    activation > 0)
                if not self.quick and not activation:
                    for kind in KINDS if remaps else ("clean",):
                        for size in DISCARDS:
                            self._measure(Cell("remap", "discard", size, "random", remaps, kind))
                self.stacks.deactivate()
        if not self.quick:
            self._measure_flushes()
            for remaps in TABLE_COUNTS:
                self.say(f"a dm-linear table for {remaps} remaps")
                self.stacks.create_table(remaps)
                self._measure_stack("dm-linear table", remaps, KINDS)
                self.stacks.remove_table()

    def _figure(self, cell: Cell, stack: str = "", plain: bool = False) -> float:
        """Of the cell, or of another stack without remaps where the cell is measured."""
        if stack:
            tail = ", cached" if cell.stack.endswith(", cached") else ", plain" if plain else ""
            cell = Cell(stack + tail, cell.op, cell.size, cell.pattern)
        activations = self.figures[cell]
        return median(min(repeats) for repeats in activations)

    def _check_null_blk(self, cell: Cell, cost: float) -> None:
        other = self._figure(cell, "null_blk", plain=True)
        if abs(cost - other) > AGREE * self._figure(cell, "dm-linear", plain=True):
            raise BenchError(f"null_blk, {cell.op} of {cell.size}: {other:.0f} instructions on a "
                             f"plain disk, {cost:.0f} by way of one that keeps its data")

    def rows(self) -> list[Row]:
        """The figures, brought down to plain disks where there are such."""
        rows = []
        for cell, activations in self.figures.items():
            if cell.stack.endswith(", plain"):
                continue
            is_plain = cell.op in ("read", "write")
            linear = self._figure(cell, "dm-linear", plain=is_plain)
            cost = linear + self._figure(cell) - self._figure(cell, "dm-linear")
            if is_plain and cell.stack == "null_blk":
                self._check_null_blk(cell, cost)
            spread = max((max(found) - min(found)) / min(found) for found in activations)
            rows.append(Row(cell.stack.removesuffix(", cached"), cell.op, cell.size, cell.pattern,
                            cell.remaps, cell.kind, round(cost, 1), round(cost / linear, 4),
                            round(spread, 5)))
        return rows
