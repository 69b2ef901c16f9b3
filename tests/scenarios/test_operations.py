# SPDX-License-Identifier: GPL-2.0-or-later
"""Every cell of the table of operations (operations.py) that can be reached: the error that
the user gets, where the data are afterwards, and that no neighbour has changed
(P2, P3, P5, P8; D5, D7, D8, D11, D14, E3)."""

import errno
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.scenarios import dm, operations
from tests.scenarios.injected import CHUNK, REPLICAS, Injected, a_set, perform
from tests.scenarios.lib import SECTOR, pattern, wait_for
from tests.scenarios.operations import (DONE, FAILED, IN_MOTION, MAPPED, MOVED, PASSED, READS,
                                        REFUSED, WRITES, Cell)

pytestmark = pytest.mark.plain_only
FIRST, APART = 1024, 64         # sectors that operations are done on, one place for each error
NEW = 7


@pytest.fixture(scope="module")
def injected() -> Iterator[Injected]:
    disks = Injected()    # its module is dm-inject.ko
    yield disks
    disks.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


class Attempt:
    """One cell with one of its errors."""

    def __init__(self, disks: Injected, cell: Cell, error: int, number: int) -> None:
        self.disks, self.cell, self.error = disks, cell, error
        self.sector = FIRST + APART * number
        self.data = bytes(CHUNK * SECTOR) if cell.operation == "write zeroes" \
            else pattern(NEW + number, CHUNK)
        self.old = disks.content[self.sector * SECTOR:(self.sector + CHUNK) * SECTOR]
        self.slot = disks.slot_of(self.sector)
        self.used = disks.status()["used"]
        self.errors_before = self.read_errors()
        self.result: int | None = None
        self.got = b""

    @property
    def meets_a_disk(self) -> bool:
        return self.cell.operation != "secure erase" and \
            not (self.cell.operation == "discard" and self.slot is not None)

    def read_errors(self) -> tuple[str, str]:
        status = self.disks.status()
        return status["read_errors"], status["spare_read_errors"]

    def arm(self) -> None:
        """Lay the errors out; in motion, the bio waits in front of the first of them."""
        hold = self.cell.state in IN_MOTION
        kind = "write" if self.cell.operation in WRITES else \
            "read" if self.cell.operation in READS else self.cell.operation
        main, spare = self.disks.main, self.disks.spare
        if not self.meets_a_disk:
            return
        if self.slot is not None:
            if kind == "flush":
                self.disks.device.pwrite(self.sector, self.old)    # or none would be owed
            spare.on(kind, self.disks.slot_sector(self.slot), CHUNK, self.error, hold)
            return
        main.on(kind, self.sector, CHUNK, errno.EIO if self.cell.place == "metadata"
                else self.error, hold)
        if self.cell.place == "metadata":
            for first, count in REPLICAS:
                spare.on("write", first, count, self.error)

    def hits(self) -> int:
        return sum(lower.stats()[0] for lower in (self.disks.main, self.disks.spare))

    def waits(self) -> bool:
        return any(lower.stats()[1] for lower in (self.disks.main, self.disks.spare))

    def do(self) -> None:
        try:
            self.got = perform(self.disks, self.cell.operation, self.sector, self.data)
            self.result = 0
        except OSError as error:
            self.result = error.errno

    def is_suspending(self) -> bool:
        try:
            self.disks.message("unremap 3900")
        except OSError as error:
            return error.errno == errno.EBUSY
        return False

    def do_in_motion(self, pool: ThreadPoolExecutor) -> None:
        """The bio comes back from below when the suspend has begun."""
        doing = pool.submit(self.do)
        wait_for(self.waits, "the bio")
        flush = self.cell.state == "suspending"
        if self.cell.state == "reloading":
            dm.load("r0", self.disks.table())
        elif self.cell.state == "removing":
            dm.load("r0", f"0 {len(self.disks.content) // SECTOR} error")
        suspending: Future[None] = pool.submit(dm.suspend, "r0", flush, False)
        wait_for(self.is_suspending, "the suspend")
        self.disks.main.release()
        self.disks.spare.release()
        suspending.result(timeout=30)
        dm.resume("r0")
        doing.result(timeout=30)

    def expected_error(self) -> int:
        if self.cell.outcome == REFUSED:
            return errno.EOPNOTSUPP
        if self.cell.outcome == FAILED:
            # The error target that took the place of ours does not know NOWAIT.
            gone = self.cell.state == "removing" and self.cell.operation == "NOWAIT write"
            return errno.EOPNOTSUPP if gone else errno.EIO
        if self.cell.outcome != PASSED or self.cell.operation == "read-ahead":
            return 0
        # A flush or a discard that the device does not know has nothing to do.
        if self.error == errno.EOPNOTSUPP and self.cell.operation in ("flush", "discard"):
            return 0
        return self.error

    def check(self) -> None:
        """The outcome; then the same from the media, after an activation."""
        cell, disks = self.cell, self.disks
        assert self.result == self.expected_error(), f"{cell}: {self.result}"
        if cell.outcome == DONE and cell.operation in READS - {"read-ahead"}:
            assert self.got == self.old
        if cell.operation == "read-ahead" and cell.state != "removing":
            assert self.read_errors() == self.errors_before, "read-ahead counts for nothing"
        if cell.state != "removing":
            self.check_content()
        for lower in (disks.main, disks.spare):
            lower.clear()
        disks.deactivate()
        disks.activate()
        self.check_content()

    def check_content(self) -> None:
        cell, disks = self.cell, self.disks
        if cell.outcome == FAILED and cell.place == "metadata" and disks.status()["mode"] != "rw":
            return    # in doubt, and its reads fail
        slot, used = disks.slot_of(self.sector), int(disks.status()["used"])
        assert used == int(self.used) + (cell.outcome == MAPPED)
        if cell.outcome == MAPPED:
            assert self.slot is None and slot is not None
        elif cell.outcome == MOVED:
            assert slot is not None and slot != self.slot
        else:
            assert slot == self.slot
        try:
            now = disks.device.pread(self.sector, CHUNK)
        except OSError:
            assert cell.operation in READS and cell.outcome == PASSED    # it still fails
            return
        if cell.operation in WRITES and cell.outcome in (DONE, MAPPED, MOVED):
            assert now == self.data
        elif cell.operation in WRITES:
            for i in range(0, len(now), SECTOR):
                assert now[i:i + SECTOR] in (self.old[i:i + SECTOR], self.data[i:i + SECTOR])
        elif cell.operation == "discard" and not self.result and \
                self.error != errno.EOPNOTSUPP and self.slot is None:
            assert now == bytes(len(now))
        else:
            assert now == self.old
        for start in (self.sector - CHUNK, self.sector + CHUNK):
            assert disks.device.pread(start, CHUNK) == \
                disks.content[start * SECTOR:(start + CHUNK) * SECTOR], "a neighbour"


@pytest.mark.parametrize("cell", operations.reachable(), ids=lambda cell: cell.name)
def test_cell(injected: Injected, pool: ThreadPoolExecutor, cell: Cell) -> None:
    """The outcome is the one in the table."""
    errors = operations.ERRORS[cell.error]
    if cell.place == "nowhere":
        errors = [0, 0]    # on sectors of main, and on others that are remapped
    with a_set(injected) as disks:
        for number in range(len(errors)):
            if cell.place == "spare" or (cell.place == "nowhere" and number):
                disks.message(f"remap {FIRST + APART * number} 8")
        if cell.state == "full":
            disks.fill()
        if cell.state == "frozen":
            disks.message("freeze")
        for number, error in enumerate(errors):
            attempt = Attempt(disks, cell, error, number)
            attempt.arm()
            before = attempt.hits()
            if cell.state in IN_MOTION and attempt.meets_a_disk:
                attempt.do_in_motion(pool)
            else:
                attempt.do()
            assert attempt.hits() > before or not attempt.meets_a_disk, "nothing was met"
            attempt.check()
            if cell.state == "frozen":
                disks.message("freeze")
