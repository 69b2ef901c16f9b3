# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong during a session of a soak, and what administrators do meanwhile.

Each action of the plan has a function of its name. Errors of the administrator's own requests are
no problem (a sector may stay lost, a spare be full); what the data say afterwards matters. Caller:
life.py.
"""

import contextlib
import heapq
import itertools

from tests.harness.blockd import Disk
from tests.scenarios import dm, remapd
from tests.scenarios.hardware import gone, hardware, udev_record
from tests.scenarios.lib import Rig, wait_for
from tests.scenarios.ondisk import Spare
from tests.scenarios.sets import dmremap
from tests.soak.model import Model
from tests.soak.plan import Action
from tests.soak.writer import Problem, Progress, Trouble, Writer

NAME = "data"


class Events:
    def __init__(self, hardware_: "Hardware", model: Model, trouble: Trouble, progress: Progress,
                 writers: list[Writer]) -> None:
        self.hardware, self.rig = hardware_, hardware_.rig
        self.model, self.trouble, self.progress = model, trouble, progress
        self.writers = writers
        self.history = writers[0].history
        self.done = 0

    def run(self, events: list[Action]) -> None:
        """Raises Problem. An action with a duration plans its end."""
        order = itertools.count()
        self._planned = [(event.at, next(order), event) for event in events]
        self._order = order
        heapq.heapify(self._planned)
        while self._planned:
            at, _, event = heapq.heappop(self._planned)
            self.progress.reach(at)
            self.hardware.daemon.hear()
            text = f"{event.what} {' '.join(map(str, event.arguments))}"
            sectors = event.sectors
            self.history.note(f"  {text}", sectors)
            getattr(self, f"_{event.what}")(at, *event.arguments)
            self.history.note(f"  {text}: done", sectors)
            self.done += 1

    def _later(self, at: int, what: str, *arguments: int | str) -> None:
        heapq.heappush(self._planned, (at, next(self._order), Action(what, arguments, at)))

    # disks

    def _bad(self, _: int, sector: int, count: int, kind: str, action: str, times: int) -> None:
        if action == "heal4k":
            sector, count = sector & ~7, (sector % 8 + count + 7) & ~7
        self.model.harm(sector, count, kind == "both")
        self.hardware.main.bad(sector, count, kind, action, times or None)
        self.model.harm(sector, count, kind == "both")    # what was written before it was so

    def _late(self, _: int, sector: int, count: int, times: int, then: int) -> None:
        self.model.harm(sector, count, bool(then))
        self.hardware.main.late(sector, count, "error" if then else None, times or None)
        self.model.harm(sector, count, bool(then))

    def _lose_cache(self, _: int, disk: str) -> None:
        self.trouble.flushes = True
        self.hardware.disk(disk).lose_flushes(1)

    def _bad_slot(self, _: int, slot: int, times: int) -> None:
        spare = self.hardware.region()
        if slot < spare.layout.slots:    # behind the last one is metadata
            self.rig.spare.bad(spare.slot_sector(slot), 8, "write", "error", times or None)

    def _bad_metadata(self, _: int, replica: int, block: int, action: str, times: int) -> None:
        """In both places of a replica, so that a commit fails."""
        self.trouble.metadata = True
        spare = self.hardware.region()
        for place in (0, 1):
            self.rig.spare.bad(spare.sector(replica, place, block) + 1, 1, "write", action, times)

    def _outage(self, at: int, disk: str, steps: int) -> None:
        self.trouble.begin()
        self.hardware.disk(disk).fail()
        self._later(at + steps, "back", disk)

    def _back(self, _: int, disk: str) -> None:
        self.hardware.disk(disk).back()
        self.trouble.end()

    def _return(self, _: int) -> None:
        """Main is unplugged, and comes back as another device, without what its cache had."""
        self.trouble.begin()
        with gone(self.rig, self.hardware.main.name):
            with contextlib.ExitStack() as stack:
                for writer in self.writers:    # what was on its way has ended
                    stack.enter_context(writer.busy)
                if self.hardware.cache != "through":
                    self.model.cache_is_lost()
            self.hardware.plug_main_in()
        self.trouble.end()

    # administrators

    def _message(self, _: int, text: str) -> None:
        with contextlib.suppress(OSError):
            self.rig.message(NAME, text)

    def _remap(self, at: int, sector: int, count: int) -> None:
        self.model.harm(sector, count)
        self._message(at, f"remap {sector} {count}")

    def _remap_list(self, at: int, *sectors: int) -> None:
        for sector in sectors:
            self.model.harm(sector, 1)
        self._message(at, "remap_list manual " + " ".join(map(str, sectors)))

    def _unremap(self, at: int, sector: int, count: int) -> None:
        self._message(at, f"unremap {sector} {count}")

    def _suspend(self, _: int, flush: int) -> None:
        with contextlib.suppress(OSError):
            self.rig.suspend(NAME, bool(flush))
            self.rig.resume(NAME)
        self._resumed()

    def _reload(self, _: int, flush: int) -> None:
        with contextlib.suppress(OSError):
            self.rig.reload(NAME, dm.table(NAME)[0], bool(flush))
        self._resumed()

    def _resumed(self) -> None:
        """A resume may be refused while a member is gone; the table from before goes on."""
        if dm.flags(NAME) & dm.SUSPEND:
            with contextlib.suppress(OSError):
                dm.clear(NAME)
            dm.resume(NAME)

    def _command(self, _: int, verb: str) -> None:
        more = ("0",) if verb == "verify" else ()
        names = () if verb == "list" else (NAME,)
        result = self.rig.background(dmremap, verb, *names, *more).result(120)
        if result.returncode < 0:
            raise Problem(f"dmremap {verb} ended by signal {-result.returncode}")

    def _kill_daemon(self, _: int) -> None:
        self.hardware.kill_daemon()

    def _reload_daemon(self, _: int) -> None:
        self.hardware.daemon.reload()


class Hardware:
    """The disks of a life, which of them is main, and the daemon."""

    def __init__(self, rig: Rig, cache: str) -> None:
        self.rig, self.cache = rig, cache
        self.main: Disk = rig.main
        self.other: Disk = rig.server.disk("other")
        hardware(rig, main="MAIN-0001", spare="SPARE-0002")
        self.daemon = self._start_daemon()

    def _start_daemon(self) -> remapd.Daemon:
        place = self.rig.server.directory / "daemon"
        place.mkdir(exist_ok=True)
        return remapd.Daemon(place, "[save]\ninterval = 2\n")

    def kill_daemon(self) -> None:
        self.daemon.stop(9)
        wait_for(lambda: not self.daemon.commands(), "the children to end", 120)
        self.daemon.close()
        self.daemon = self._start_daemon()

    def disk(self, name: str) -> Disk:
        return self.main if name == "main" else self.rig.spare

    def region(self) -> Spare:
        words = dm.table(NAME)[0].split()
        return Spare(self.rig.media("spare"), int(words[6]), int(words[5]))

    def plug_main_in(self) -> None:
        old, back = self.main, self.other
        image = old.media_path.read_bytes()
        udev_record(old.kernel_path).unlink()
        self.rig.media(back.name).write(0, image)
        hardware(self.rig, **{back.name: "MAIN-0001"})
        number = back.kernel_path.stat().st_rdev
        told = self.rig.background(dmremap, "activate", NAME).result(120)
        if f" {number >> 8}:{number & 255} " not in dm.table(NAME)[0]:
            raise Problem(f"main came back and was not taken: {told.stdout}{told.stderr}")
        if self.rig.status(NAME)["mode"] == "lost-cache":
            with contextlib.suppress(OSError):
                self.rig.message(NAME, "accept_loss")
        old.clear()
        self.rig.media(old.name).write(0, bytes(old.size_bytes))
        self.main, self.other = back, old
