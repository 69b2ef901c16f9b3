# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload on a real remap device whose disks go bad, logged for the enumerator.

Runs inside User Mode Linux (run.py starts it there). Several threads write stamped
sectors, so that relocations share commits, and mark each write and flush in the block
server's log; meanwhile sectors go bad, sectors are rescued and metadata writes fail.

    workload.py SHAPE SEED OPERATIONS [DISKS [CACHE]]

DISKS is their kind, see harness/disks.py: when its errors come late, disks lose what they
acknowledged and say so once, to a flush. CACHE is what becomes of writes to main: through,
keep or auto; or "bare": there is no set, the same is done to main itself, as a control.

Leaves the log in the results directory as `log`. Its exit code says whether what it read
itself was right.
"""

import os
import random
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.crash.geometry import (DEFAULT, MAIN_SECTORS, REGION_START, SHAPES, Shape,  # noqa: E402
                                  Variant)
from tests.crash.stamp import read as read_stamp, stamp  # noqa: E402
from tests.scenarios import lib, ondisk  # noqa: E402

THREADS = 4
USABLE = MAIN_SECTORS - 8    # no faults where the set's mark is


class Workload:
    def __init__(self, rig: lib.Rig, shape: Shape, seed: int, variant: Variant) -> None:
        self.rig = rig
        self.shape = shape
        self.variant = variant
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.next_write = 1
        self.next_flush = 1
        self.extents: dict[int, tuple[int, int]] = {}
        unmapped = [*range(512), *range(512 + shape.mapped_sectors, USABLE)]
        self.hot = [self.random.choice(unmapped) for _ in range(36)]
        self.hot += [self.random.randrange(512, 832) for _ in range(12)]    # mapped at the start
        self.unreadable: list[int] = []
        self.mappable: set[int] = set()    # chunks that are or were bad, or were asked for
        self.errors: list[str] = []
        self.counts = dict.fromkeys(["writes", "failed", "flushes", "told", "reads", "rescues", "unremaps"], 0)

    def mark(self, text: str) -> None:
        with self.lock:
            self.rig.server.mark(text)

    def start(self) -> None:
        if self.variant.kind.late:
            self.mark("told-once")
        if self.variant.bare:
            self.device = self.rig.create(table=f"0 {MAIN_SECTORS} linear "
                                                f"{self.rig.main.kernel_path} 0")
            self.mark("active")
            return
        self.device = self.rig.create(spare_start=REGION_START, spare_len=self.shape.region_sectors,
                                      more=self.variant.arguments)
        self.mark("active")
        # Entries beyond the first sector of a table block, so that it can be torn; and a
        # small spare is nearly full.
        self.remap((512, self.shape.mapped_sectors))

    def remap(self, *places: tuple[int, int]) -> None:
        for sector, count in places:
            self.mappable.update(range(sector // 8, (sector + count + 7) // 8))
        if len(places) == 1:
            self.rig.message("r0", "remap %d %d" % places[0])
        else:
            self.rig.message("r0", "remap_list manual " +
                             " ".join(f"{sector}:{count}" for sector, count in places))

    def bad(self, sector: int, count: int, *how: Any, **more: Any) -> None:
        """Sectors of main fail: from now on their chunks may be found on the spare."""
        self.mappable.update(range(sector // 8, (sector + count + 7) // 8))
        self.rig.main.bad(sector, count, *how, **more)

    # what users do

    def write(self, dice: random.Random) -> None:
        count = dice.choice([1, 1, 2, 3, 7, 8, 8, 16, 24, 64, 128])
        sector = self._where(dice, count)
        if self._write(sector, count, dice.random() < 0.35) or dice.random() < 0.3:
            return
        # The sectors turn out good after all, and the user tries again.
        with self.lock:
            self.rig.main.clear(sector, count)
        self._write(sector, count, fua=True)

    def _write(self, sector: int, count: int, fua: bool) -> bool:
        with self.lock:
            number = self.next_write
            self.next_write += 1
            self.extents[number] = sector, count
            self.rig.server.mark(f"issue {number} {sector} {count} {int(fua)}")
        self.counts["writes"] += 1
        return self._succeeds(f"ack {number}", "failed", self.device.pwrite, sector,
                              stamp(sector, count, number), fua)

    def flush(self) -> bool:
        with self.lock:
            number = self.next_flush
            self.next_flush += 1
            self.rig.server.mark(f"flush-issue {number}")
        self.counts["flushes"] += 1
        return self._succeeds(f"flush-ack {number}", "told", self.device.fsync)

    def _succeeds(self, mark: str, failures: str, call: Callable[..., None],
                  *arguments: Any) -> bool:
        """Make CALL; MARK its end with the errno, or 0, and count an error as one of FAILURES."""
        try:
            call(*arguments)
            result = 0
        except OSError as error:
            result = error.errno or 5
            self.counts[failures] += 1
        self.mark(f"{mark} {result}")
        return not result

    def read(self, dice: random.Random) -> None:
        """What is read is a version of that very sector, or an error (P2, P3)."""
        count = dice.choice([1, 8, 32])
        first = self._where(dice, count)
        self.counts["reads"] += 1
        try:
            data = self.device.pread(first, count)
        except OSError:
            return
        for i in range(count):
            found = read_stamp(data[i * 512:i * 512 + 512])
            if found is None or found[0] != first + i:
                self.errors.append(f"sector {first + i} reads as {found}")
                continue
            if found[1]:
                sector, length = self.extents.get(found[1], (0, 0))
                if not sector <= first + i < sector + length:
                    self.errors.append(f"sector {first + i} reads as write {found[1]}")

    def rescue(self, dice: random.Random) -> None:
        sector = self._where(dice, 8)
        if self.unreadable and dice.random() < 0.6:
            sector = dice.choice(self.unreadable) & ~7
        self.counts["rescues"] += 1
        places = [(sector, dice.choice([1, 4, 8]))]
        if dice.random() < 0.4:     # many chunks in one batch, side by side or apart
            places = [(sector, min(dice.choice([24, 64]), USABLE - sector))]
            if dice.random() < 0.5:
                places = [(self._where(dice, 3), dice.choice([1, 3]))
                          for _ in range(dice.choice([3, 10]))]
        try:
            self.remap(*places)
        except OSError:
            pass    # what matters is that nothing is wrong afterwards

    def unremap(self, dice: random.Random) -> None:
        """Main is replaced under the sectors, as it were: they are good again."""
        sector = dice.choice([self._where(dice, 512), dice.randrange(512, 832)]) & ~7
        count = dice.choice([1, 8, 64, 64, 400])
        with self.lock:
            self.rig.main.clear(sector, count)
        self.counts["unremaps"] += 1
        try:
            self.rig.message("r0", f"unremap {sector} {count}")
        except OSError:
            pass    # a lost sector stays, say

    def _where(self, dice: random.Random, count: int) -> int:
        if dice.random() < 0.7:
            near = dice.choice(self.hot) - dice.randrange(count)
            return min(max(0, near), USABLE - count)
        return dice.randrange(USABLE - count)

    # what disks do

    def fault(self, dice: random.Random) -> None:
        choice = dice.random()
        # with one table block in doubt there are no slots at all, so not too often
        commits_fail = 0.25 if self.shape.layout.table_blocks > 1 else 0.05
        with self.lock:
            if self.variant.kind.late and dice.random() < 0.6:
                self._late_fault(dice)
            elif choice < 0.82 - commits_fail or self.variant.bare:
                self._fault_on_main(dice)
            elif choice < 0.82:
                self._fault_on_metadata(dice)
            else:
                sector = REGION_START + dice.choice(self.shape.slots) + dice.randrange(8)
                self.rig.spare.bad(sector, 1, "write", "error", times=dice.choice([1, 5, None]))

    def _late_fault(self, dice: random.Random) -> None:
        """A sector, or a slot, loses what is in the cache; or the cache is lost whole."""
        choice = dice.random()
        times = dice.choice([None, None, 1, 2])
        if choice < 0.06:
            self.rig.main.lose_flushes(1)
        elif choice < 0.1 and not self.variant.bare:
            self.rig.spare.lose_flushes(1)
        elif choice < 0.8 or self.variant.bare:
            count = dice.choice([1, 1, 2, 5])
            sector = max(0, min(dice.choice(self.hot) + dice.randrange(-8, 8), USABLE - count))
            if unreadable := dice.random() < 0.5:
                self.rig.server.mark(f"late {sector} {count}")
            self.bad(sector, count, "write", "late", times, self._delay(dice),
                     then="error" if unreadable else None)
        else:
            sector = REGION_START + dice.choice(self.shape.slots) + dice.randrange(8)
            self.rig.spare.late(sector, times=times)

    def _delay(self, dice: random.Random) -> int | None:
        """Now and then a disk tries for a while."""
        return 20 if "serial" in self.variant.kind.main and dice.random() < 0.1 else None

    def _fault_on_main(self, dice: random.Random) -> None:
        count = dice.choice([1, 1, 2, 5])
        sector = min(dice.choice(self.hot) + dice.randrange(-8, 8), USABLE - count)
        sector = max(0, sector)
        kind = dice.choice(["write", "write", "both", "read"])
        if kind == "write":
            action = dice.choice(["error", "error", "landed", "torn", "badwrite-heal"])
            self.bad(sector, count, "write", action, times=dice.choice([None, None, 1, 3]),
                     delay_ms=self._delay(dice))
            return
        self.rig.server.mark(f"readbad {sector} {count}")
        self.unreadable.append(sector)
        self.bad(sector, count, kind, "error" if kind == "both" else "heal")

    def _fault_on_metadata(self, dice: random.Random) -> None:
        """Writes of a block fail in both places of a replica, with or without effect."""
        layout = self.shape.layout
        replica = dice.randrange(2)
        block = dice.choice([1, 1, 1, 1, layout.table_blocks, 0])
        action = dice.choice(["error", "partial", "partial", "landed"])
        times = dice.choice([1, 2, 2, 2, 4])
        for place in (0, 1):
            # the first sector carries the header, the next ones entries in use
            sector = REGION_START + layout.block(replica, place, block) + dice.randrange(1, 3)
            self.rig.spare.bad(sector, 1, "write", action, times=times)

    def thread(self, seed: int, operations: int) -> None:
        dice = random.Random(seed)
        for _ in range(operations):
            choice = dice.random()
            if choice < 0.68:
                self.write(dice)
            elif choice < 0.78:
                self.flush()
            elif choice < 0.84:
                self.read(dice)
            elif choice < 0.87:
                if not self.variant.bare:
                    self.rescue(dice)
            elif choice < 0.90:
                if not self.variant.bare:
                    self.unremap(dice)
            else:
                self.fault(dice)

    def run(self, operations: int) -> None:
        self.start()
        with ThreadPoolExecutor(THREADS) as pool:
            running = [pool.submit(self.thread, self.random.random(), operations // THREADS)
                       for _ in range(THREADS)]
            for thread in running:
                thread.result()
        while self.variant.kind.late and not self.flush() and self.counts["flushes"] < operations:
            pass    # the last one succeeds, so that what was never told is there
        if self.variant.bare:
            print(self.counts)
            self.rig.remove()
            return
        print(self.counts, self.rig.status())
        self.rig.remove()
        self.mark("# removed")
        self.check_remapped()

    def check_remapped(self) -> None:
        """No good sector was ever taken for a bad one (D19)."""
        spare = ondisk.Spare(self.rig.media("spare"), self.shape.region_sectors, REGION_START)
        probe = spare.probe_chunk()
        for entry in spare.entries():
            if entry.state == ondisk.USED and entry.chunk not in self.mappable | {probe}:
                self.errors.append(f"chunk {entry.chunk} is remapped, but was never bad: {entry}")


def main(shape: Shape, seed: int, operations: int, variant: Variant) -> int:
    directory = Path(tempfile.mkdtemp(prefix="crash", dir="/tmp"))
    (directory / "main.img").write_bytes(stamp(0, MAIN_SECTORS, 0))
    with lib.rig_of(directory, variant.disks(shape)) as rig:
        workload = Workload(rig, shape, seed, variant)
        workload.run(operations)
    shutil.copy(directory / "log", os.environ["DM_REMAP_RESULTS"])
    for error in workload.errors[:5]:
        print(f"seed {seed}: {error}")
    return 1 if workload.errors else 0


if __name__ == "__main__":
    sys.exit(main(SHAPES[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3]),
                  Variant(*sys.argv[4:]) if sys.argv[4:] else DEFAULT))
