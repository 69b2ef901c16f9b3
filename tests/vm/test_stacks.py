# SPDX-License-Identifier: GPL-2.0-or-later
"""remap in the middle of what people really build: RAID, LVM, LUKS, partitions, limits of
the queue, throttling and swap, on two CPUs, while the disk below dies. Every sector that
was acknowledged is compared (P1, P2, P3, P6; D4, D11, D12, D13)."""

import json
from pathlib import Path

import pytest

from tests.harness import qemu_module
from tests.harness.agent import Command
from tests.harness.blockd import BlockServer, Disk
from tests.harness.qemu import Machine, disk_path
from tests.vm import remap
from tests.vm.conftest import StartServer
from tests.vm.dying_disk import DyingDisk

MIB = 1 << 20
REGION_SECTORS = 8 * MIB // 512
JOBS = 2
ENOUGH = 60                     # operations of each job, at least
ROUNDS = 5                      # of each loop beside the jobs, at least


@pytest.fixture(autouse=True)
def tools(vm: Machine) -> None:
    vm.put(Path(__file__).with_name("guest_io.py"), "/run/guest_io.py", 0o755)
    vm.put(Path(__file__).with_name("guest_memory.py"), "/run/guest_memory.py", 0o755)
    vm.load_module(qemu_module.build())


def plug(vm: Machine, *disks: Disk) -> list[str]:
    return [vm.add_disk(disk.name, nbd=disk.socket_path) for disk in disks]


def create(vm: Machine, name: str, main: str, spare: str) -> str:
    vm.run(f"dmsetup create {name} --table '{remap.table(vm, main, spare)}' || "
           "{ dmesg | tail -20 >&2; exit 1; }; udevadm settle")
    return f"/dev/mapper/{name}"


def status(vm: Machine, name: str) -> dict[str, str]:
    words = vm.text(f"dmsetup status {name}").split()
    return {"mode": words[3], "used": words[4].split("/")[0],
            **dict(word.split("=", 1) for word in words[5:])}


def assert_busy_and_well(vm: Machine, name: str) -> None:
    """Sectors were remapped, none were lost, and nothing stopped."""
    found = status(vm, name)
    assert found["mode"] == "rw" and int(found["used"]) > 1, found
    assert found["lost_sectors"] == "0" and found["rejected"] == "0", found


class Load:
    """Checked I/O on DEVICE, a region and a CPU for each job."""

    def __init__(self, vm: Machine, device: str, prefix: str = "", jobs: int = JOBS) -> None:
        self.vm, self.device = vm, device
        vm.run("rm -f /run/stop")
        self.jobs: list[Command] = [
            vm.start(f"{prefix} exec taskset -c {i % 2} /run/guest_io.py run {device} "
                     f"{i * REGION_SECTORS} {REGION_SECTORS} {i + 1} /run/stop")
            for i in range(jobs)]

    def finish(self) -> None:
        """Stop; all was right, and is right again when nothing of it is in a cache."""
        self.vm.run("touch /run/stop")
        models = [job.wait(600).check().out for job in self.jobs]
        assert all(json.loads(model)["operations"] > ENOUGH for model in models)
        self.vm.run("sync; echo 3 >/proc/sys/vm/drop_caches")
        for i, model in enumerate(models):
            self.vm.put(model.encode(), f"/run/model{i}")
            self.vm.run(f"/run/guest_io.py check {self.device} {i * REGION_SECTORS} "
                        f"{REGION_SECTORS} {i + 1} /run/model{i}", 600)

    def for_a_while(self, seconds: int = 5) -> None:
        self.vm.run(f"sleep {seconds}")


def run_dying(vm: Machine, device: str, disks: list[Disk], seconds: int = 5,
              prefix: str = "") -> None:
    """I/O on DEVICE while sectors of DISKS die."""
    load = Load(vm, device, prefix)
    dying = [DyingDisk(disk, seed=5 + i, most=200) for i, disk in enumerate(disks)]
    for one in dying:
        one.__enter__()
    try:
        load.for_a_while(seconds)
    finally:
        for one in dying:
            one.__exit__()
    load.finish()


@pytest.mark.slow
def test_raid1_of_two_remaps(vm: Machine, serve: StartServer) -> None:
    """Both legs on dying disks: md never sees an error, and the legs agree in the end."""
    server = serve(main0=24 * MIB, spare0=16 * MIB, main1=24 * MIB, spare1=16 * MIB)
    paths = plug(vm, *server.disks())
    legs = [create(vm, f"leg{i}", *paths[2 * i:2 * i + 2]) for i in (0, 1)]
    vm.run(f"mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 "
           f"--bitmap=none {' '.join(legs)}")
    run_dying(vm, "/dev/md0", [server.disk("main0"), server.disk("main1")])
    assert vm.text("cat /sys/block/md0/md/degraded") == "0"
    for i in (0, 1):
        assert_busy_and_well(vm, f"leg{i}")
    vm.run("mdadm --stop /dev/md0")
    # The same data on either leg, where the jobs have written.
    offset = vm.text(f"mdadm --examine {legs[0]} | awk '/Data Offset/ {{print $4}}'")
    sums = [vm.text(f"dd if={leg} iflag=direct,skip_bytes bs=64k skip=$(({offset} * 512)) "
                    f"count={JOBS * REGION_SECTORS // 128} status=none | b2sum") for leg in legs]
    vm.run("dmsetup remove --retry leg0 && dmsetup remove --retry leg1")
    assert sums[0] == sums[1]


@pytest.mark.slow
def test_remap_on_raid1(vm: Machine, serve: StartServer) -> None:
    """What both legs refuse is remapped above them; what one refuses is md's own affair."""
    server = serve(one=24 * MIB, two=24 * MIB, spare=16 * MIB)
    one, two, spare = plug(vm, *server.disks())
    vm.run(f"mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 "
           f"--bitmap=none {one} {two}")
    device = create(vm, "r0", "/dev/md0", spare)
    offset = int(vm.text(f"mdadm --examine {one} | awk '/Data Offset/ {{print $4}}'"))
    load = Load(vm, device)
    for n in range(40):
        sector = offset + 97 * n
        server.disk("one").bad(sector, 2)
        if n % 2:
            server.disk("two").bad(sector, 2)
    load.for_a_while()
    load.finish()
    assert_busy_and_well(vm, "r0")
    vm.run("dmsetup remove --retry r0 && mdadm --stop /dev/md0")


def test_lvm_on_top(vm: Machine, serve: StartServer) -> None:
    """A logical volume on a remap device, found again after both were deactivated."""
    server = serve(main=32 * MIB, spare=16 * MIB)
    device = create(vm, "r0", *plug(vm, *server.disks()))
    # Without the guard in main's first chunk LVM would take the raw disk for a duplicate.
    vm.put(b'devices { global_filter = [ "a|/dev/mapper/r0|", "r|.*|" ] }\n',
           "/etc/lvm/lvmlocal.conf")
    vm.run(f"pvcreate -q {device} && vgcreate -q over {device} && "
           "lvcreate -q -y -W n -Z n -l 100%FREE -n data over")
    run_dying(vm, "/dev/over/data", [server.disk("main")])
    assert_busy_and_well(vm, "r0")
    vm.run("vgchange -q -an over && dmsetup remove --retry r0")
    create(vm, "r0", disk_path("main"), disk_path("spare"))
    vm.run("vgchange -q -ay over && udevadm settle")
    for i in range(JOBS):
        vm.run(f"/run/guest_io.py check /dev/over/data {i * REGION_SECTORS} {REGION_SECTORS} "
               f"{i + 1} /run/model{i}", 600)
    vm.run("vgchange -q -an over && dmsetup remove --retry r0")


@pytest.mark.slow
def test_lvm_below(vm: Machine, serve: StartServer) -> None:
    """Main and spare are volumes of one group, on one dying disk and one good one."""
    server = serve(main=40 * MIB, spare=24 * MIB)
    main, spare = plug(vm, *server.disks())
    vm.run(f"pvcreate -q {main} {spare} && vgcreate -q under {main} {spare} && "
           f"lvcreate -q -y -W n -Z n -L 32M -n main under {main} && "
           f"lvcreate -q -y -W n -Z n -L 16M -n spare under {spare}")
    device = create(vm, "r0", "/dev/under/main", "/dev/under/spare")
    run_dying(vm, device, [server.disk("main")])
    assert_busy_and_well(vm, "r0")
    vm.run("dmsetup remove --retry r0 && vgchange -q -an under")


@pytest.mark.slow
def test_luks_on_top(vm: Machine, serve: StartServer) -> None:
    """dm-crypt gets back what it wrote: no sector comes back as another's ciphertext."""
    server = serve(main=32 * MIB, spare=16 * MIB)
    device = create(vm, "r0", *plug(vm, *server.disks()))
    key = "echo -n secret |"
    vm.run(f"{key} cryptsetup luksFormat -q --type luks1 --iter-time 10 {device} - && "
           f"{key} cryptsetup open --type luks1 {device} secret -", 300)
    run_dying(vm, "/dev/mapper/secret", [server.disk("main")])
    assert_busy_and_well(vm, "r0")
    vm.run("cryptsetup close secret && dmsetup remove --retry r0")


@pytest.mark.slow
def test_partition_as_main(vm: Machine, serve: StartServer) -> None:
    """Sectors count from the start of the partition, and the rest of its disk is untouched."""
    server = serve(main=40 * MIB, spare=16 * MIB)
    main, spare = plug(vm, *server.disks())
    vm.run(f"dd if=/dev/urandom of={main} bs=1M count=40 oflag=direct status=none && "
           f"printf 'label: dos\\n start=8192, size=65536, type=83\\n' | sfdisk -q {main} && "
           "udevadm settle")
    outside = f"(dd if={main} iflag=direct bs=1M count=4 status=none; " \
              f"dd if={main} iflag=direct bs=1M skip=36 status=none) | b2sum"
    before = vm.text(outside)
    device = create(vm, "r0", f"{main}-part1", spare)
    load = Load(vm, device)
    for n in range(60):
        server.disk("main").bad(8192 + 211 * n, 1 + n % 9)
    load.for_a_while()
    load.finish()
    assert_busy_and_well(vm, "r0")
    assert vm.text(outside) == before
    vm.run("dmsetup remove --retry r0")


@pytest.mark.slow
def test_luks_below(vm: Machine, serve: StartServer) -> None:
    """Main is encrypted by a layer below, whose disk dies."""
    server = serve(main=48 * MIB, spare=16 * MIB)
    main, spare = plug(vm, *server.disks())
    key = "echo -n secret |"
    vm.run(f"{key} cryptsetup luksFormat -q --type luks1 --iter-time 10 {main} - && "
           f"{key} cryptsetup open --type luks1 {main} below -", 300)
    device = create(vm, "r0", "/dev/mapper/below", spare)
    run_dying(vm, device, [server.disk("main")])
    assert_busy_and_well(vm, "r0")
    vm.run("dmsetup remove --retry r0 && cryptsetup close below")


@pytest.mark.slow
def test_4k_native(vm: Machine, serve: StartServer) -> None:
    """A main device of 4 KiB sectors: whole chunks only, and the device says so."""
    server = serve(main=32 * MIB, spare=16 * MIB)
    disk, spare_disk = server.disks()
    main = vm.add_disk(disk.name, nbd=disk.socket_path, logical_block_size=4096,
                       physical_block_size=4096)
    device = create(vm, "r0", main, vm.add_disk(spare_disk.name, nbd=spare_disk.socket_path))
    assert vm.text(f"blockdev --getss {device}") == "4096"
    run_dying(vm, device, [server.disk("main")])
    assert_busy_and_well(vm, "r0")
    vm.run("dmsetup remove --retry r0")


def test_two_targets_in_one_device(vm: Machine, serve: StartServer) -> None:
    """Two sets behind each other: I/O across the seam, both dying, the whole reloaded."""
    server = serve(main0=16 * MIB, spare0=16 * MIB, main1=16 * MIB, spare1=16 * MIB)
    paths = plug(vm, *server.disks())
    seam = 6 * MIB // 512    # in the region of the first job
    spares = [remap.table(vm, *paths[2 * i:2 * i + 2]).split(" remap ")[1] for i in (0, 1)]
    lines = [f"0 {seam} remap {spares[0]}", f"{seam} {10 * MIB // 512} remap {spares[1]}"]
    table = "printf '%s\\n' " + " ".join(f"'{line}'" for line in lines)
    vm.run(f"{table} | dmsetup create r0 || {{ dmesg | tail -20 >&2; exit 1; }}; udevadm settle")
    device = "/dev/mapper/r0"
    load = Load(vm, device)
    with DyingDisk(server.disk("main0"), seed=5, most=200), \
            DyingDisk(server.disk("main1"), seed=6, most=200):
        for _ in range(3):
            load.for_a_while(2)
            vm.run(f"{table} | dmsetup reload r0 && dmsetup suspend --noflush r0 && "
                   "dmsetup resume r0")
    load.finish()
    found = vm.text("dmsetup status r0").splitlines()
    assert len(found) == 2 and all(line.split()[3] == "rw" for line in found), found
    assert all(" lost_sectors=0 " in line and " rejected=0 " in line for line in found), found
    vm.run("dmsetup remove --retry r0")


@pytest.mark.parametrize("kib", [4, 16])
@pytest.mark.slow
def test_lower_device_that_splits(vm: Machine, serve: StartServer, kib: int) -> None:
    """The clone comes back from below as a chain of pieces, with its iterator used up."""
    server = serve(main=32 * MIB, spare=16 * MIB)
    main, spare = plug(vm, *server.disks())
    device = create(vm, "r0", main, spare)
    for path in (main, spare):
        vm.run(f"echo {kib} >/sys/block/$(basename $(readlink -f {path}))/queue/max_sectors_kb")
    run_dying(vm, device, [server.disk("main")])
    assert_busy_and_well(vm, "r0")
    vm.run("dmsetup remove --retry r0")


@pytest.mark.slow
def test_throttled(vm: Machine, serve: StartServer) -> None:
    """blk-throttle holds bios back above and below: what it lets go later is still right."""
    server = serve(main=32 * MIB, spare=16 * MIB)
    main, spare = plug(vm, *server.disks())
    device = create(vm, "r0", main, spare)
    group = "/sys/fs/cgroup/slow"
    vm.run(f"echo '+io +memory' >/sys/fs/cgroup/cgroup.subtree_control; mkdir {group}; "
           f"for path in {main} {device}; do "
           f"echo \"$(lsblk -ndo MAJ:MIN $path) wbps=2097152 riops=200 wiops=100\" >{group}/io.max "
           "|| exit 1; done")
    number = vm.text(f"lsblk -ndo MAJ:MIN {device}")
    start = vm.text("cat /proc/uptime").split()[0]
    run_dying(vm, device, [server.disk("main")], 8, f"echo $$ >{group}/cgroup.procs;")
    seconds = float(vm.text("cat /proc/uptime").split()[0]) - float(start)
    line = next(line for line in vm.text(f"cat {group}/io.stat").splitlines()
                if line.startswith(f"{number} "))
    written = int(dict(word.split("=") for word in line.split()[1:])["wbytes"])
    assert MIB < written < 2 * MIB * (seconds + 2), line
    assert_busy_and_well(vm, "r0")
    vm.run("dmsetup remove --retry r0")


@pytest.mark.slow
def test_swap_under_memory_pressure(vm: Machine, serve: StartServer) -> None:
    """P6: pages that are swapped out to failing sectors come back as they were, though no
    memory is to be had but by writing through this very device."""
    server = serve(main=192 * MIB, spare=32 * MIB)
    device = create(vm, "r0", *plug(vm, *server.disks()))
    group = "/sys/fs/cgroup/small"
    vm.run(f"mkswap -q {device} && swapon {device} && "
           f"echo '+memory' >/sys/fs/cgroup/cgroup.subtree_control; mkdir {group} && "
           f"echo 48M >{group}/memory.max")
    jobs = [vm.start(f"echo $$ >{group}/cgroup.procs; exec taskset -c {cpu} "
                     f"/run/guest_memory.py 56 {cpu}") for cpu in (0, 1)]
    with DyingDisk(server.disk("main"), seed=9, most=400):
        results = [job.wait(600).check() for job in jobs]
    assert all("pages are right" in result.out for result in results)
    assert int(vm.text(f"awk '/pswpout/ {{print $2}}' /proc/vmstat")) > 20 * MIB // 4096
    assert_busy_and_well(vm, "r0")
    vm.run(f"swapoff {device} && dmsetup remove --retry r0", 600)


@pytest.mark.slow
def test_everything_at_once(vm: Machine, serve: StartServer) -> None:
    """Row 6: I/O on a dying disk with reload, both kinds of suspend, a flood of messages,
    status and attempts to remove, none of which waits for the others."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    device = create(vm, "r0", *plug(vm, *server.disks()))
    load = Load(vm, device, jobs=4)
    vm.run("until [ $(dmsetup info -c --noheadings -o open r0) = 4 ]; do sleep 0.1; done")
    line = vm.text("dmsetup table r0")
    loops = [vm.start(f"n=0; while [ ! -e /run/enough ]; do {script}; n=$((n + 1)); "
                      f"echo $n >/run/rounds{i}; done >/dev/null 2>&1")
             for i, script in enumerate((
        "dmsetup suspend r0; dmsetup resume r0; dmsetup suspend --noflush r0; dmsetup resume r0",
        f"dmsetup load r0 --table '{line}'; dmsetup resume r0",
        "dmsetup message r0 0 remap $((RANDOM * 2)) 20; dmsetup message r0 0 sync; "
        "dmsetup message r0 0 unremap $((RANDOM * 2)) 20; dmsetup message r0 0 save",
        "dmsetup status r0; dmsetup table r0; dmsetup message r0 0 metadata_status; "
        "cat /sys/block/dm-*/remap/*",
        "dmsetup remove r0"))]
    with DyingDisk(server.disk("main"), seed=4, most=300):
        load.for_a_while(12)
        # Slow machine or not: each of them comes round, again and again.
        vm.run(f"until [ $(cat /run/rounds? | sort -n | head -1) -ge {ROUNDS} ] && "
               f"[ $(ls /run/rounds? | wc -l) = {len(loops)} ]; do sleep 0.5; done", 300)
    vm.run("touch /run/enough")
    for loop in loops:
        loop.wait(300).check()
    vm.run("dmsetup resume r0")
    load.finish()
    found = status(vm, "r0")
    assert found["mode"] == "rw" and int(found["used"]) > 1 and found["lost_sectors"] == "0"
    vm.run("dmsetup remove --retry r0 && rmmod dm_remap")
