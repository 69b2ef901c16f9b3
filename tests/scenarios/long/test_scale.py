# SPDX-License-Identifier: GPL-2.0-or-later
"""dm-remapd with 64 sets, of which one has a million remaps: its memory, and what it costs idle."""

import time
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.lib import Rig, drop_page_cache, wait_for
from tests.scenarios.made import with_many_remaps
from tests.scenarios.remapd import Daemon, running

SETS, COUNT = 64, 1_000_000
MAIN, SPARE = 2048, 2048    # sectors of each of the small sets
MEMORY_KIB = 32 << 10
IDLE_S = 180    # no watchdog is asked for: it would be more wake-ups
pytestmark = [pytest.mark.disks(main="4200M", spare="4200M", mains="64M", spares="64M"),
              pytest.mark.plain_only]


def slice_of(rig: Rig, disk: str, number: int, sectors: int) -> str:
    path = rig.server.disk(disk).kernel_path
    name = f"{disk}{number}"
    made = dm.create(name)
    dm.load(name, f"0 {sectors} linear {path} {number * sectors}")
    dm.resume(name)
    return made


def counted(daemon: Daemon) -> tuple[float, int]:
    """Seconds of CPU of the daemon and its children, and how often it slept."""
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = dict(line.split(":\t", 1) for line in
                  Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines())
    return sum(map(int, fields[11:15])) / 100, int(status["voluntary_ctxt_switches"])


def listen(daemon: Daemon, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        daemon.hear()
        time.sleep(1)


def memory_kib(daemon: Daemon) -> int:
    lines = Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def test_many_sets_and_many_remaps(rig: Rig, tmp_path: Path) -> None:
    with_many_remaps(rig, COUNT)
    rig.remove()
    drop_page_cache(str(rig.spare.kernel_path))
    begin = time.monotonic()
    rig.create()
    print(f"activation {time.monotonic() - begin:.2f} s")
    for number in range(1, SETS):
        main, part = (slice_of(rig, disk, number, sectors)
                      for disk, sectors in (("mains", MAIN), ("spares", SPARE)))
        rig.create(f"s{number}", rig.table(main, part, 0, SPARE, MAIN))
    assert rig.status()["used"] == COUNT + 1
    with running(tmp_path) as daemon:
        wait_for(lambda: len(daemon.find(DM_REMAP_EVENT="found")) == SETS, "all of them", 300)
        # hear: it waits when there are ten entries that nobody reads
        wait_for(lambda: daemon.hear() and len(list(tmp_path.glob("*.history"))) == SETS,
                 "their histories", 300)
        daemon.reload()
        listen(daemon, 30)
        seconds, sleeps = counted(daemon)
        listen(daemon, IDLE_S)
        more_seconds, more_sleeps = counted(daemon)
        print(f"{memory_kib(daemon)} KiB; in {IDLE_S} s {more_seconds - seconds:.2f} s of CPU, "
              f"{more_sleeps - sleeps} wake-ups, {len(daemon.entries)} entries")
        assert memory_kib(daemon) < MEMORY_KIB
        assert more_sleeps - sleeps <= IDLE_S / 60 + 2    # once a minute, and the end of a child
    for number in range(1, SETS):
        rig.remove(f"s{number}")
        dm.remove(f"mains{number}")
        dm.remove(f"spares{number}")
