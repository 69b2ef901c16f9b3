# SPDX-License-Identifier: GPL-2.0-or-later
import time
import pytest
from tests.scenarios import dm
from tests.scenarios.lib import SECTOR, Device, Rig, pattern, wait_for
from tests.scenarios.region import Region, mapped_sectors, slot_of, is_mapped
from tests.scenarios.test_real_disks import told, set_of, A, B, OLD, NO_FUA


def test_a_failed_mode_is_dropped_by_degraded_resume(rig: Rig) -> None:
    r0 = rig.create()
    old = rig.media("spare").whole()
    rig.main.bad(100)
    r0.pwrite(100, pattern(1)); r0.fsync()
    rig.message("r0", "remap 800 8")
    rig.spare.fail(); rig.suspend(); rig.resume()
    rig.media("spare").write(0, old)
    rig.spare.back()
    wait_for(lambda: rig.status()["mode"] == "fail", "fail")
    assert told(lambda: r0.pwrite(400, pattern(2))) == [True]
    rig.spare.fail()
    rig.suspend(); rig.resume()
    print("MODE", rig.status()["mode"])
    outcome = told(lambda: r0.pwrite(400, pattern(2)))
    print("WRITE FAILED", outcome)
    rig.close(); rig.spare.back(); rig.remove()
    assert outcome == [True]


def test_b_degraded_twice_then_false_altered(rig: Rig) -> None:
    r0 = rig.create()
    rig.main.bad(100)
    r0.pwrite(96, pattern(1, 8)); r0.fsync()
    rig.spare.fail()
    rig.suspend(); rig.resume()
    rig.suspend(); rig.resume()
    rig.spare.back()
    wait_for(lambda: rig.status()["mode"] == "rw", "rw")
    rig.main.bad(800)
    r0.pwrite(800, pattern(4)); r0.fsync()
    rig.suspend(); rig.resume()
    mode = rig.status()["mode"]
    print("MODE", mode, rig.log()[-3:])
    assert mode == "rw"


@pytest.mark.disks(main="32M:fua=off", spare="8M", other="32M:fua=off")
@pytest.mark.parametrize("mode", ["keep", "auto"])
def test_c_scan_on_several_disks(rig: Rig, mode: str) -> None:
    other = rig.server.disk("other").kernel_path
    lin = rig.create("lin", f"0 65536 linear {rig.main.kernel_path} 0\n65536 65536 linear {other} 0")
    r0 = rig.create(table=f"0 131072 remap {lin.path} {rig.spare.kernel_path} 0 16384 2 write_cache {mode}")
    for s in range(0, 8192, 256):
        r0.pwrite(s, pattern(s, 256))
    r0.fsync()
    used = rig.status()["used"]
    r0.pwrite(40, A)    # something is in the cache
    rig.main.fail()     # a cable comes out
    told(r0.fsync)
    time.sleep(4)
    rig.main.back()
    time.sleep(1)
    st = rig.status()
    print("USED", used, st["used"], "LOST", st["lost_sectors"])
    bad = [s for s in range(48, 2048, 8) if told(lambda: r0.pread(s))[0]]
    print("UNREADABLE, though durable on a good disk:", len(bad))
    assert st["used"] == used and not bad


def test_c1_control_one_disk(rig: Rig) -> None:
    r0 = rig.create(more="2 write_cache keep")
    for s in range(0, 8192, 256):
        r0.pwrite(s, pattern(s, 256))
    r0.fsync()
    used = rig.status()["used"]
    r0.pwrite(40, A)
    rig.main.fail()
    told(r0.fsync)
    time.sleep(2)
    rig.main.back()
    time.sleep(1)
    assert rig.status()["used"] == used


@pytest.mark.disks(main="64M:fua=off")
def test_d_two_gates_one_disk_through(rig: Rig) -> None:
    disk = rig.main.kernel_path
    low = rig.create("low", f"0 65536 linear {disk} 0")
    high = rig.create("high", f"0 16384 linear {disk} 98304")
    r0 = rig.create(table=f"0 65536 remap {low.path} {high.path} 0 16384")
    r0.pwrite(800, OLD); r0.fsync()
    rig.main.late(800, times=1)
    rig.main.hold("flush")
    save = rig.background(rig.message, "r0", "save")
    wait_for(lambda: rig.main.held() == 1, "the flush of ours")
    n = rig.main.stats()["writes"]
    w = rig.background(r0.pwrite, 800, A)
    wait_for(lambda: rig.main.stats()["writes"] > n, "landed")
    time.sleep(0.2)
    rig.main.release()
    print("SAVE", told(lambda: save.result(timeout=20)), "WRITE", told(lambda: w.result(timeout=20)))
    outcome = told(r0.fsync, r0.fsync)
    kept = r0.pread(800) == A
    print("through", "FSYNC", outcome, "KEPT", kept)
    assert outcome[0] or kept, "lost, and nobody was told"


@pytest.mark.disks(main="64M:fua=off")
@pytest.mark.parametrize("mode", ["through", "keep"])
def test_e_slot_write_on_one_disk_in_hold(rig: Rig, mode: str) -> None:
    disk = rig.main.kernel_path
    r0 = rig.create(table=f"0 65536 remap {disk} {disk} 98304 16384 2 write_cache {mode}")
    rig.main.bad(400)
    r0.pwrite(400, OLD); r0.fsync()
    where = rig.message("r0", "verify 400")
    sector = int(where.split("spare_sector=")[1].split()[0])
    rig.main.late(sector, times=1)
    rig.main.hold("write", sector, 1)
    w = rig.background(r0.pwrite, 400, B)       # to the slot, on its way
    wait_for(lambda: rig.main.held() == 1, "slot write")
    rig.main.bad(1200, times=1, delay_ms=600)                 # a passing error of a good sector
    p = rig.background(r0.pwrite, 1200, A)
    time.sleep(0.2)
    time.sleep(1.0)    # it is confirmed when the write to the slot is out of the way
    rig.main.release()
    print("P", told(lambda: p.result(timeout=30)), "W", told(lambda: w.result(timeout=30)))
    out = told(r0.fsync, r0.fsync)
    kept = r0.pread(400) == B
    print("FSYNC", out, "KEPT", kept, "MAPPED 1200", is_mapped(rig, 1200))
    assert (out[0] or kept) and not is_mapped(rig, 1200)


@pytest.mark.disks(main="32M:vcache=off", spare="8M", other="32M:vcache=off")
def test_c2_remap_on_several_disks(rig: Rig) -> None:
    other = rig.server.disk("other").kernel_path
    lin = rig.create("lin", f"0 65536 linear {rig.main.kernel_path} 0\n65536 65536 linear {other} 0")
    r0 = rig.create(table=f"0 131072 remap {lin.path} {rig.spare.kernel_path} 0 16384")
    r0.pwrite(40, pattern(1, 8)); r0.fsync()
    rig.main.fail()     # a cable comes out
    print("REMAP", told(lambda: rig.message("r0", "remap 40 8")))
    rig.main.back()
    st = rig.status()
    print("USED", st["used"], "LOST", st["lost_sectors"], "READ", told(lambda: r0.pread(40)))
    assert st["lost_sectors"] == 0


@pytest.mark.disks(main="64M:fua=off,serial=on")
def test_g_innocent_writes_die_of_the_deadline(rig: Rig) -> None:
    """One late sector during write-back of 24 MiB, 15 ms a flush; scale: deadline 6 instead of 60."""
    r0 = rig.create(more="2 deadline 6")
    rig.main.delay("flush", 15)
    rig.main.late(20480, times=1)
    n = 24
    fs = [rig.background(r0.pwrite, 2048 * i, pattern(i, 2048)) for i in range(n)]
    began = time.monotonic()
    failed = [i for i, f in enumerate(fs) if told(lambda: f.result(timeout=200))[0]]
    took = time.monotonic() - began
    print("FAILED", failed, f"{took:.1f} s", {k: v for k, v in rig.status().items() if k in ("used", "rejected", "write_errors")})
    assert not failed


SLOW_MS = 300
@pytest.mark.disks(main="64M:serial=on")
def test_h_verify_waits(rig: Rig) -> None:
    device = set_of(rig, "through")
    rig.main.bad(800, 4 * 8, delay_ms=SLOW_MS)
    writing = rig.background(device.pwrite, 800, pattern(7, 4 * 8))
    time.sleep(SLOW_MS * 1.5 / 1000)
    began = time.monotonic()
    rig.message("r0", "verify 100")
    took = time.monotonic() - began
    print(f"VERIFY {took:.2f} s")
    writing.result(timeout=60)
    assert took < SLOW_MS / 1000
