# SPDX-License-Identifier: GPL-2.0-or-later
"""`dmremap create --write-cache` and `dmremap write-cache`: what becomes of writes behind main's
volatile cache (D18). What the kernel does is in test_real_disks.py; turning the disks' caches off
in tests/unit/test_write_cache.c: disks of User Mode Linux have none that can be.
"""

import json
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.lib import Rig
from tests.scenarios.ondisk import Spare
from tests.scenarios.sets import USAGE, create, ext4_on_main, output, paths, refused, settle

KEEP, AUTO = 0x20, 0x40
FLAGS = {"through": 0, "keep": KEEP, "auto": AUTO}
pytestmark = [pytest.mark.disks(main="4M:vcache=on", spare="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]


def recorded(rig: Rig) -> int:
    """The flags of the newest superblock that are about this."""
    settle(rig)
    spare = Spare.of(rig)
    blocks = [spare.read(r, p, 0) for r in range(2) for p in range(2)]
    newest = max((block for block in blocks if block.valid), key=lambda block: block.seq)
    return int.from_bytes(newest.data[52:56], "little") & (KEEP | AUTO)


@pytest.mark.parametrize("mode", [None, "through", "keep", "auto"])
def test_create_says_it(rig: Rig, mode: str | None) -> None:
    """The default is through; it lasts."""
    ext4_on_main(rig)
    told = create(rig, *(["--write-cache", mode] if mode else []))
    wanted = mode or "through"
    assert ("keeps its write cache" in told) == (wanted != "through")
    for _ in range(2):
        status, = json.loads(output("status", "data", "--json"))["devices"]
        assert status["write_cache"] == wanted == rig.status("data")["write_cache"]
        assert "write cache" in output("status", "data")
        output("deactivate", "data")
        assert recorded(rig) == FLAGS[wanted]
        output("activate", "data")


def test_it_is_changed_active_or_not(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig)
    for mode in ("keep", "auto", "through", "through", "keep"):
        assert output("write-cache", "data", mode) == ""
        assert rig.status("data")["write_cache"] == mode
    output("deactivate", "data")
    assert recorded(rig) == KEEP
    for mode in ("auto", "through", "through"):
        output("write-cache", "data", mode)
        assert recorded(rig) == FLAGS[mode]
    output("activate", "data")
    assert rig.status("data")["write_cache"] == "through"


def test_it_is_shown(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig, "--write-cache", "auto")
    main = paths(rig, "main")[0]
    told = json.loads(output("write-cache", "data", "--json"))
    disk, = told["disks"]
    assert (told["name"], told["write_cache"], disk["disk"]) == ("data", "auto", main)
    assert disk["cache"] == "write back" and disk["was"] is None
    assert output("write-cache", main, "--auto") == ""
    assert not Path("/run/dm-remap/write-cache").exists(), "nothing was turned off"


def test_what_is_refused(rig: Rig) -> None:
    ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    assert "use through, keep or auto" in refused(USAGE, "create", "data", main, spare, "--yes",
                                        "--write-cache", "back")
    assert dm.devices() == [] and not any(rig.media("spare").whole())
    create(rig)
    assert "use through, keep or auto" in refused(USAGE, "write-cache", "data", "back")
