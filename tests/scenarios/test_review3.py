# SPDX-License-Identifier: GPL-2.0-or-later
import time
import pytest
from tests.scenarios.lib import SECTOR, Device, Rig, pattern, wait_for
from tests.scenarios.region import Region, mapped_sectors, slot_of, is_mapped
from tests.scenarios.test_real_disks import told, set_of, A, B, OLD, NO_FUA


@pytest.mark.disks(spare="8M:fua=off")
@pytest.mark.parametrize("repair", [False, True])
def test_q_loads_own_flush(rig: Rig, repair: bool) -> None:
    r0 = rig.create()
    rig.main.bad(400)
    r0.pwrite(400, OLD); r0.fsync()
    region = Region(rig)
    spare = region.slot(slot_of(rig, 400))
    rig.message("r0", "sync"); rig.message("r0", "save")
    r0.fsync()
    rig.spare.late(spare, times=1)
    r0.pwrite(400, B)
    if repair:
        for place in (0, 1):
            rig.media("spare").write(region.block(1, place, 2), bytes(4096))
    rig.reload(flush=False)
    st = rig.status()
    out = told(r0.fsync, r0.fsync)
    kept = r0.pread(400) == B
    print("REPAIR", repair, "repaired", st["repaired"], "flush_errors", st["flush_errors"], out, "KEPT", kept)
    assert out[0] or kept
