# SPDX-License-Identifier: GPL-2.0-or-later
"""The loop of dm-remapd goes round while all that it looks after hangs: its heartbeat, measured."""

import os
import time
from pathlib import Path

import pytest

from tests.scenarios.lib import Rig, wait_for
from tests.scenarios.remapd import WATCHDOG_S, running

pytestmark = [pytest.mark.disks(main="1M", spare="640K:vcache=off"), pytest.mark.plain_only]
HANGS_S = 20
# A loop that waits for any of them misses the beats of HANGS_S; one that does not, misses none
# but for what the machine's other work takes.
LONGEST_S = HANGS_S / 2


def hanging(path: Path, calls: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {path.name} >>{calls}\ntrap '' TERM\nsleep 1000\n")
    path.chmod(0o755)


def test_the_loop_waits_for_none_of_them(rig: Rig, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk, smartctl and a hook that hang, all at once, and a report of each is not late."""
    calls = tmp_path / "calls"
    hanging(tmp_path / "bin" / "smartctl", calls)
    hanging(tmp_path / "hooks.d" / "hook", calls)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    device = rig.create()
    rig.main.bad(40, 100, kind="read")
    settings = "[watch]\npatience = 3\n[hooks]\ninterval = 10\ntimeout = 1000\n"
    with running(tmp_path, settings, beats=True) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="found")
        rig.spare.hold("write", 0, rig.spare.size_bytes // 512)
        with pytest.raises(OSError):
            device.pread(40)
        daemon.wait_for(DM_REMAP_EVENT="late", DM_REMAP_VERB="save")
        wait_for(lambda: set(calls.read_text().split()) == {"smartctl", "hook"}, "both", 60)
        begin = time.time()
        while time.time() < begin + HANGS_S:
            time.sleep(1)
            daemon.hear()
        daemon.reload()
        beats = [begin, *(beat for beat in daemon.hear().beats if beat > begin), time.time()]
        longest = max(after - before for before, after in zip(beats, beats[1:]))
        print(f"{len(beats) - 2} beats, the longest pause {longest:.2f} s")
        assert longest < LONGEST_S and len(beats) - 2 >= HANGS_S / WATCHDOG_S / 2, beats
        # they hang still
        assert rig.spare.held() and set(calls.read_text().split()) == {"smartctl", "hook"}
        rig.spare.release()
        daemon.wait_for(DM_REMAP_EVENT="came-back")
        assert daemon.stop() == 0
