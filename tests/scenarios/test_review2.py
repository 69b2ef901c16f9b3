# SPDX-License-Identifier: GPL-2.0-or-later
import time
from pathlib import Path
import pytest
from tests.scenarios import dm
from tests.scenarios.lib import SECTOR, Device, Rig, pattern, wait_for
from tests.scenarios.region import Region, mapped_sectors, slot_of, is_mapped
from tests.scenarios.test_real_disks import told, set_of, A, B, OLD, NO_FUA


@pytest.mark.disks(main="32M", spare="8M", other="32M")
def test_c3_remap_on_several_disks(rig: Rig) -> None:
    other = rig.server.disk("other").kernel_path
    for d in (rig.main, rig.server.disk("other")):
        Path(f"/sys/block/{d.kernel_path.name}/queue/write_cache").write_text("write through")
    lin = rig.create("lin", f"0 65536 linear {rig.main.kernel_path} 0\n65536 65536 linear {other} 0")
    r0 = rig.create(table=f"0 131072 remap {lin.path} {rig.spare.kernel_path} 0 16384")
    r0.pwrite(40, pattern(1, 8)); r0.fsync()
    rig.main.fail()     # a cable comes out
    print("REMAP", told(lambda: rig.message("r0", "remap 40 8")))
    rig.main.back()
    st = rig.status()
    print("USED", st["used"], "LOST", st["lost_sectors"], "READ", told(lambda: r0.pread(40)))
    assert st["lost_sectors"] == 0


@pytest.mark.parametrize("lv", [False, True])
def test_m_a_megabyte_of_bad_sectors(rig: Rig, lv: bool) -> None:
    if lv:
        lin = rig.create("lin", f"0 131072 linear {rig.main.kernel_path} 0")
        r0 = rig.create(table=f"0 131072 remap {lin.path} {rig.spare.kernel_path} 0 16384")
    else:
        r0 = rig.create()
    rig.main.bad(2048, 2048, kind="both")
    out = told(lambda: r0.pwrite(3072, pattern(1, 8)), lambda: r0.pwrite(2048, pattern(2, 2048)))
    print("LV", lv, out, rig.status()["used"])
    assert out == [False, False]


@pytest.mark.disks(main="64M:serial=on")
def test_n_time_of_near_probes(rig: Rig) -> None:
    lin = rig.create("lin", f"0 131072 linear {rig.main.kernel_path} 0")
    r0 = rig.create(table=f"0 131072 remap {lin.path} {rig.spare.kernel_path} 0 16384 2 deadline 1")
    rig.main.bad(2048, 1024, kind="both", delay_ms=500)
    w = rig.background(r0.pwrite, 2560, pattern(1, 8))
    time.sleep(0.7)
    began = time.monotonic()
    r0.pwrite(20000, A)
    print(f"ANOTHER WRITE {time.monotonic() - began:.1f}")
    took = time.monotonic() - began
    told(lambda: w.result(timeout=100))
    print(f"ALL {time.monotonic() - began + .7:.1f}")
    assert took < 3


@pytest.mark.disks(main="64M:fua=off")
def test_o_told_twice(rig: Rig) -> None:
    r0 = set_of(rig, "keep")
    rig.main.late(800, times=1)
    r0.pwrite(800, A)
    first = told(r0.fsync)
    time.sleep(1)
    again = told(lambda: r0.pwrite(800, A), r0.fsync, r0.fsync, lambda: r0.pwrite(2400, B, fua=True))
    print("TOLD", first, again)
    assert first == [True] and again == [False] * 4


@pytest.mark.disks(main="64M:fua=off")
def test_p_bad_write_dies_of_anothers_late_error(rig: Rig) -> None:
    r0 = set_of(rig, "keep")
    rig.main.bad(400)
    rig.main.late(800, times=1)
    r0.pwrite(800, A)
    out = told(lambda: r0.pwrite(400, B))
    print("WRITE TO THE BAD SECTOR", out, rig.status())
    assert out == [False]


@pytest.mark.disks(spare="8M:fua=off")
def test_l_innocent_commit(rig: Rig) -> None:
    r0 = rig.create()
    region = Region(rig)
    r0.pwrite(1200, OLD)
    rig.main.bad(1200, kind="read")
    rig.message("r0", "remap 1200 1")
    rig.main.clear()
    s = slot_of(rig, 1200)
    rig.spare.late(region.slot(s) + 0)
    rig.main.bad(2400)
    rig.spare.hold("write", region.slot(s + 1), 8)
    resc = rig.background(rig.message, "r0", "remap 4000 1")
    wait_for(lambda: rig.spare.held() == 1, "held")
    w1 = rig.background(r0.pwrite, 1200, A)      # lost sector, its slot fails late
    w2 = rig.background(r0.pwrite, 2400, B)      # innocent relocation
    time.sleep(0.3)
    rig.spare.release()
    resc.result(timeout=20)
    print("W1", told(lambda: w1.result(timeout=20)), "W2", told(lambda: w2.result(timeout=20)), rig.status(), rig.log()[-8:])
    st = rig.status()
    assert st["commit_failures"] == 0 and st["rejected"] == 0


@pytest.mark.disks(main="64M:fua=off")
@pytest.mark.parametrize("wait", [0.2, 0.4, 0.6, 0.8])
def test_f_held_race(rig: Rig, wait: float) -> None:
    r0 = set_of(rig, "keep")
    rig.main.late(4242, times=1)
    rig.main.bad(1200, times=1)
    rig.main.delay("write", 300)
    w = rig.background(r0.pwrite, 4242, A)   # injected: 1 s between the look at the flags and the count
    time.sleep(wait)
    p = rig.background(r0.pwrite, 1200, B)
    print("P", told(lambda: p.result(timeout=30)), "W", told(lambda: w.result(timeout=30)))
    out = told(r0.fsync, r0.fsync)
    kept = r0.pread(4242) == A
    print("FSYNC", out, "KEPT", kept, "MAPPED 1200", is_mapped(rig, 1200))
    assert (out[0] or kept) and not is_mapped(rig, 1200)
