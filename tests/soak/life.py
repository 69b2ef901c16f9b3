# SPDX-License-Identifier: GPL-2.0-or-later
"""One life of a set, as the plan says: sessions, restarts, and at the end an account of each slot.

Runs inside User Mode Linux. After each restart, and at the end, every sector that a writer owns
must read as the model says. Caller: endure.py.
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

from tests.crash.stamp import stamp
from tests.scenarios import accounting, dm, lib
from tests.scenarios.hardware import forget_hardware
from tests.scenarios.sets import dmremap, output
from tests.soak import account, hung
from tests.soak.events import NAME, Events, Hardware
from tests.soak.history import History
from tests.soak.model import Model
from tests.soak.plan import (FRESH, LARGE, MAIN_SECTORS, SMALL, SPARES, SWAP, WRITERS, Life, Session,
                             units)
from tests.soak.writer import Problem, Progress, Trouble, Writer

LIMIT_S = 120.0    # without a step of a session: it hangs
SWAPPER = Path(__file__).with_name("swapper.py")


class NoSwap(Exception):
    """mkswap or swapon failed; the text is what it said."""


class Swap:
    """A swap area on the set, and a process whose memory goes there and comes back."""

    def __init__(self, seed: int, counts: dict[str, int]) -> None:
        self.counts = counts
        Path("/proc/sys/vm/swappiness").write_text("0")    # only what the swapper gives away
        path = dm.create("swap0")
        dm.load("swap0", f"0 {len(SWAP)} linear /dev/mapper/{NAME} {SWAP[0]}")
        dm.resume("swap0")
        self.path = path
        for command in ("mkswap", "swapon"):
            made = subprocess.run([command, path], capture_output=True, text=True)
            if made.returncode:
                dm.remove("swap0")
                raise NoSwap(f"{command}: {made.stderr.strip()}")
        self.swapper = subprocess.Popen([sys.executable, "-B", str(SWAPPER), "4", str(seed)],
                                        stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> None:
        assert self.swapper.stdout
        self.swapper.stdout.readline()    # it has begun, and listens to SIGTERM

    def __exit__(self, problem: object, *_: object) -> None:
        """Raises Problem when other memory came back."""
        self.swapper.terminate()
        told, _ = self.swapper.communicate(timeout=LIMIT_S)
        subprocess.run(["swapoff", self.path], check=True)
        dm.remove("swap0")
        if self.swapper.returncode and not problem:
            raise Problem(f"swap: {told.strip().splitlines()[-1:]}, {self.swapper.returncode}")
        self.counts["swapped"] += int(told.split()[-1] if told else 0)


class Running:
    """A life that is being lived."""

    def __init__(self, rig: lib.Rig, life: Life) -> None:
        self.rig, self.life = rig, life
        self.model = Model([*SMALL, *LARGE], life.late)
        self.hardware = Hardware(rig, life.cache)
        self.history = History()
        self.counts = dict.fromkeys(("steps", "events", "failed", "swapped", "relocations"), 0)

    @contextlib.contextmanager
    def explained(self, when: str) -> Iterator[None]:
        """What goes wrong is told with WHEN, the kernel's log, and the history of its sector."""
        try:
            yield
        except Exception as error:
            lines = [line for line in self.rig.log() if "remap" in line][-30:]
            sector = error.sector if isinstance(error, Problem) else None
            if sector is not None:
                server = self.rig.server
                lines += ["", self.history.of_chunk(sector // 8, server.log(),
                                                    [disk.name for disk in server.disks()])]
            raise Problem(f"{when}: {type(error).__name__}: {error}\n" + "\n".join(lines)) \
                from error

    def create(self) -> None:
        for area in (SMALL, LARGE):
            self.rig.media("main").write(area[0], stamp(area[0], len(area), 0))
        more = [] if self.life.guard else ["--no-guard"]
        output("create", NAME, str(self.rig.main.kernel_path), str(self.rig.spare.kernel_path),
               "--yes", "--write-cache", self.life.cache, *more)
        self._open()
        self.given = {entry.chunk for entry in self.hardware.region().entries() if entry.state}

    def _open(self) -> None:
        self.device = lib.Device(f"/dev/mapper/{NAME}", NAME)
        self.rig._open[NAME] = self.device    # closed by a power cut

    def writers(self, trouble: Trouble, progress: Progress) -> list[Writer]:
        return [Writer(self.device, self.model, trouble, progress, self.history)
                for _ in range(WRITERS + 1)]

    def _swap(self, stack: contextlib.ExitStack, session: Session) -> None:
        """A bad sector of the area is an error once the spare is full."""
        try:
            stack.enter_context(Swap(session.seed, self.counts))
        except NoSwap as error:
            if self.rig.status(NAME)["mode"] != "full":
                raise Problem(str(error)) from error

    def session(self, session: Session) -> None:
        trouble, progress = Trouble(self.life.late), Progress()
        writers = self.writers(trouble, progress)
        events = Events(self.hardware, self.model, trouble, progress, writers)
        with contextlib.ExitStack() as stack:
            if session.swaps:
                self._swap(stack, session)
            self._work(session, writers, events, progress)
        self.counts["steps"] += progress.steps
        self.counts["events"] += events.done
        self.counts["failed"] += sum(writer.failed for writer in writers)
        self.counts["relocations"] += self.rig.status(NAME)["relocations"]
        accounting.check(self.rig)

    def _work(self, session: Session, writers: list[Writer], events: Events,
              progress: Progress) -> None:
        runs = [self.rig.background(writer.run, actions)
                for writer, actions in zip(writers, session.writers, strict=True)]
        planned = self.rig.background(events.run, session.events)
        try:
            self._follow([*runs, planned], lambda: progress.steps + events.done)
        finally:
            progress.end()    # what stands at later steps, an end of an outage say, is done now
        self._follow([planned], lambda: events.done)

    @staticmethod
    def _follow(runs: list[Future[None]], done: Callable[[], int]) -> None:
        """To the end of the first of RUNS, the writers, as long as something is DONE."""
        left, before = set(runs), -1
        while left:
            ended, left = wait(left, LIMIT_S, FIRST_COMPLETED)
            for run in ended:
                run.result()
            if len(runs) > 1 and left == {runs[-1]}:
                return
            if not ended and done() == before:
                raise Problem(f"nothing is done any more, after {before} steps:\n{hung.stacks()}")
            before = done()

    def restart(self, session: Session) -> None:
        if session.ending == "account":
            return
        if session.ending == "deactivate":
            self.rig.close(NAME)
            self._dmremap("deactivate", NAME)
        else:
            self.rig.powercut(session.seed if session.ending == "half" else None)
            self.model.power_is_cut()
        # bad metadata that nobody writes over would be no disk that a user keeps
        self.rig.spare.clear()
        self._dmremap("activate", NAME)
        self._open()
        self.check(settle=session.ending != "deactivate")
        accounting.check(self.rig)
        self.rig.server.forget_log()
        self.history = History()

    def _dmremap(self, *arguments: str) -> None:
        told = self.rig.background(dmremap, *arguments).result(LIMIT_S)
        if told.returncode:
            raise Problem(f"dmremap {' '.join(arguments)}: exit code {told.returncode}: "
                          f"{told.stdout}{told.stderr}")

    def check(self, settle: bool = False) -> None:
        """All sectors that are owned."""
        reader = self.writers(Trouble(True), Progress())[0]
        unit = self.life.unit
        for writer in range(WRITERS + 1):
            for first in units(writer, unit):
                sectors = range(first, first + unit)
                numbers = reader.read(sectors)
                for sector, number in zip(sectors, numbers or [], strict=False):
                    if settle:
                        self.model.settle(sector, number)

    def end(self) -> None:
        """The disks are good again, the set is whole again, and every slot is accounted for."""
        for disk in self.rig.server.disks():
            disk.clear()
        account.recover(self.rig)
        writer = self.writers(Trouble(True), Progress())[0]
        self.model.harmed.clear()    # no write may fail any more
        # faults and requests near its end went beyond what is owned, and made sectors lost there
        self.device.pwrite(FRESH[0], bytes(256 * lib.SECTOR))
        for _ in range(2):    # one error may be owed, and says nothing of what was lost
            for area in (SMALL, LARGE):
                for first in range(area[0], area[-1], 256):
                    writer.write(range(first, first + 256))
            if writer.flush():
                break
        else:
            raise Problem("two flushes of good disks failed")
        if self.model.unreadable:
            left = sorted(self.model.unreadable)
            raise Problem(f"not readable after a write: {left[:8]}", left[0])
        self.check()
        account.check(self.rig, self.hardware, self.model, self.given)


def live(life: Life) -> dict[str, int]:
    """Raises Problem, or what else goes wrong; counts what was done."""
    directory = Path(tempfile.mkdtemp(prefix="soak", dir="/tmp"))
    size = MAIN_SECTORS * 512
    disks = {"main": (size, life.options("main")),
             "spare": (SPARES[life.spare] * 512, life.options("spare")),
             "other": (size, life.options("main"))}
    try:
        with lib.rig_of(directory, disks) as rig:
            running = Running(rig, life)
            try:
                running.create()
                for number, session in enumerate(life.sessions):
                    with running.explained(f"session {number}, ending in {session.ending}"):
                        running.session(session)
                        running.restart(session)
                with running.explained("end"):
                    running.end()
            finally:
                running.hardware.daemon.close()
                forget_hardware()
            return running.counts
    finally:
        shutil.rmtree(directory, ignore_errors=True)
