# SPDX-License-Identifier: GPL-2.0-or-later
"""Who writes and reads during a session of a soak, and judges what comes back.

Each writer owns sectors, does its list of the plan in order, and tells the model. Trouble counts
what excuses errors: a member that does not answer excuses all, a fault those of its chunks. Caller:
life.py.
"""

import threading

from tests.crash import stamp
from tests.scenarios.lib import SECTOR, Device
from tests.soak.history import History
from tests.soak.model import Model
from tests.soak.plan import Action


class Problem(Exception):
    """What must not be; the text says what. SECTOR: whose content it is about, if it is one's."""

    def __init__(self, text: str, sector: int | None = None) -> None:
        super().__init__(text)
        self.sector = sector


class Trouble:
    """What goes wrong in a session. FLUSHES: one may fail, now or later. METADATA: a
    commit may fail, what it leaves in doubt is not served, and a set that cannot be repaired is
    read-only."""

    def __init__(self, flushes: bool) -> None:
        self.flushes = flushes
        self.metadata = False
        self._outages = 0
        self._changes = 0

    def begin(self) -> None:
        self._changes += 1
        self._outages += 1
        self.flushes = self.metadata = True

    def end(self) -> None:
        self._outages -= 1
        self._changes += 1

    def now(self) -> tuple[int, int]:
        return self._outages, self._changes

    def since(self, then: tuple[int, int]) -> bool:
        """Whether a member was gone at any moment since THEN."""
        return bool(then[0]) or self.now() != then


class Progress:
    """Steps that all writers have done, for what stands at a step."""

    def __init__(self) -> None:
        self.steps = 0
        self._ended = False
        self._changed = threading.Condition()

    def step(self) -> None:
        with self._changed:
            self.steps += 1
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def reach(self, step: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self.steps >= step)


class Writer:
    def __init__(self, device: Device, model: Model, trouble: Trouble, progress: Progress,
                 history: History) -> None:
        self.device, self.model, self.trouble, self.progress = device, model, trouble, progress
        self.history = history
        self.busy = threading.Lock()    # held during an operation
        self.failed = 0

    def run(self, actions: list[Action]) -> None:
        """Raises Problem."""
        for action in actions:
            with self.busy:
                if action.what == "read":
                    self.read(range(action.arguments[0], sum(action.arguments)))
                elif action.what == "flush":
                    self.flush()
                else:
                    self.write(range(action.arguments[0], sum(action.arguments)),
                               action.what == "fua")
            self.progress.step()

    def write(self, sectors: range, fua: bool = False) -> None:
        then = self.trouble.now()
        flush = self.model.flush_begins() if fua else None
        number = self.model.begin(sectors)
        what = f"write {number}{' with FUA' * fua} to {sectors}"
        self.history.note(what, sectors)
        try:
            self.device.pwrite(sectors[0], stamp.stamp(sectors[0], len(sectors), number), fua)
        except OSError as error:
            self.failed += 1
            self.history.note(f"{what} failed", sectors)
            if flush:    # the disk may have told it of others' writes
                self.model.flush_failed(flush)
            excused = self.trouble.since(then) or self.trouble.metadata or \
                flush and self.trouble.flushes
            if not excused and self.model.must_be_writable(sectors):
                raise Problem(f"{what} failed, and nothing excuses it: {error}",
                              sectors[0]) from None
            return
        self.history.note(f"{what} is acknowledged", sectors)
        self.model.written(number, flush)

    def flush(self) -> bool:
        then = self.trouble.now()
        flush = self.model.flush_begins()
        self.history.note(f"flush of what is before {flush.last}")
        try:
            self.device.fsync()
        except OSError as error:
            self.failed += 1
            self.history.note(f"flush of what is before {flush.last} failed")
            self.model.flush_failed(flush)
            if not self.trouble.flushes and not self.trouble.since(then):
                raise Problem(f"a flush failed: {error}") from None
            return False
        self.history.note(f"flush of what is before {flush.last} succeeded")
        self.model.flushed(flush)
        return True

    def read(self, sectors: range) -> list[int] | None:
        """The numbers that were read; None: an error that may be."""
        then = self.trouble.now()
        try:
            data = self.device.pread(sectors[0], len(sectors))
        except OSError as error:
            if self.trouble.since(then) or not self.model.must_be_readable(sectors) or \
                    (self.trouble.metadata and not self.model.must_be_writable(sectors)):
                return None
            raise Problem(f"reading {sectors} failed: {error}", sectors[0]) from None
        self.history.note(f"read {sectors}", sectors)
        numbers = []
        for i, sector in enumerate(sectors):
            found = stamp.read(data[i * SECTOR:(i + 1) * SECTOR])
            if found is None or found[0] != sector:
                raise Problem(f"sector {sector} reads as {found}: no content of it", sector)
            if why := self.model.problem(sector, found[1]):
                raise Problem(why, sector)
            numbers.append(found[1])
        return numbers
