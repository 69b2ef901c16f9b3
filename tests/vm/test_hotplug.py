# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets that put themselves together: hotplug, boot, return of a member (row 21, O13-O18).

With the packages installed, as a user has them.
"""

import pytest

from tests.harness import qemu_snapshot
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine
from tests.vm import packages
from tests.vm.conftest import StartServer

MIB = 1 << 20
DATA = "head -c 8M /dev/urandom >/mnt/data && b2sum /mnt/data >/mnt/data.b2 && sync"
CHECK = "cd /mnt && b2sum --quiet -c data.b2; code=$?; cd /; exit $code"
UUID = "4d3b3f0c-9d5e-4f6e-9a55-0d6a8a1f2b01"
BY_UUID = f"/dev/disk/by-uuid/{UUID}"


@pytest.fixture
def server(serve: StartServer) -> BlockServer:
    return serve(main=(64 * MIB, "vcache=on"), spare=(32 * MIB, "vcache=on"))


def plug(vm: Machine, server: BlockServer, *names: str) -> list[str]:
    return [vm.add_disk(name, nbd=server.disk(name).socket_path) for name in names]


def adopted(vm: Machine, server: BlockServer) -> None:
    """A disk with a file system and files becomes a set, named in fstab by UUID."""
    main, spare = plug(vm, server, "main", "spare")
    vm.run(f"mkfs.ext4 -q -U {UUID} {main} && mount {main} /mnt && {DATA} && umount /mnt")
    vm.run(f"echo UUID={UUID} /mnt ext4 nofail,x-systemd.device-timeout=60 0 2 >>/etc/fstab; "
           "systemctl daemon-reload")
    vm.run(f"dmremap create data {main} {spare} --yes")


def is_whole(vm: Machine) -> None:
    """The content is there, through the mapped device and nothing else."""
    packages.wait(vm, f"[ \"$(readlink -f {BY_UUID})\" = \"$(readlink -f /dev/mapper/data)\" ]")
    vm.run("mountpoint -q /mnt || mount /mnt")
    assert vm.text("findmnt -n -o SOURCE /mnt") == "/dev/mapper/data"
    vm.run(CHECK)


@pytest.mark.parametrize("order", [("spare", "main"), ("main", "spare")])
def test_plugged_in_either_order(vm: Machine, server: BlockServer, order: tuple[str, str]) -> None:
    """O13, O14: active when both are there, the daemon masked; the raw disk is nobody's."""
    packages.install(vm, daemon=False)
    vm.run("systemctl mask dm-remapd")
    adopted(vm, server)
    is_whole(vm)
    vm.run("umount /mnt && dmremap deactivate data")
    for name in ("main", "spare"):
        vm.remove_disk(name)
    first, second = order
    raw, = plug(vm, server, first)
    words = "spare" if first == "main" else "main"
    packages.wait(vm, f"journalctl -q -t dmremap | grep -q 'its {words} device is not there'")
    assert [s["state"] for s in packages.sets(vm)] == ["waiting"]
    known = vm.text(f"udevadm info -q property {raw}")
    for line in ("ID_FS_TYPE=dm_remap_member", "UDISKS_IGNORE=1", "SYSTEMD_READY=0",
                 f"DM_REMAP_ROLE={first}"):
        assert line in known.splitlines(), known
    assert not vm.run(f"test -e {BY_UUID}", check=False).code == 0
    plug(vm, server, second)
    is_whole(vm)


def test_both_at_boot(vm: Machine, server: BlockServer) -> None:
    """O13: mounted from fstab by UUID at boot, and never from the raw disk."""
    packages.install(vm)
    adopted(vm, server)
    vm.run("cp /mnt/data.b2 /root 2>/dev/null; umount /mnt 2>/dev/null; sync")
    vm.start("systemctl poweroff")
    vm.process.wait(120)

    def both(machine: Machine) -> None:
        for name in ("spare", "main"):    # other letters than before
            machine.plug(name, nbd=server.disk(name).socket_path)

    with qemu_snapshot.booted(vm.work / "root.qcow2", both) as second:
        packages.wait(second, "mountpoint -q /mnt")
        is_whole(second)
        packages.wait(second, "systemctl -q is-active dm-remapd")
        assert second.text("dmremap list --json | grep -c active") == "1"
        assert second.text("systemctl --failed --no-legend") == ""
        assert second.complaints() == []


def test_a_member_that_vanished_and_returned(vm: Machine, server: BlockServer) -> None:
    """O18, P5: errors while it is away, nothing remapped, whole again after it is back."""
    packages.install(vm)
    adopted(vm, server)
    is_whole(vm)
    used = vm.text("dmsetup status data").split()[4]
    vm.remove_disk("main")
    assert vm.run("dd if=/dev/mapper/data of=/dev/null bs=4k count=1 skip=4000 iflag=direct",
                  check=False).code != 0
    vm.run("dd if=/dev/zero of=/mnt/more bs=4k count=64 oflag=direct", check=False)
    assert vm.text("dmsetup status data").split()[4] == used
    vm.run("umount -l /mnt", check=False)
    plug(vm, server, "main")
    packages.wait(vm, "dmremap list | grep -q 'data .*active' && "
                      "dd if=/dev/mapper/data of=/dev/null bs=4k count=1 skip=4000 "
                      "iflag=direct status=none")
    vm.run("e2fsck -fp /dev/mapper/data; [ $? -le 1 ]")
    is_whole(vm)


def test_a_set_that_waits_is_told_once(vm: Machine, server: BlockServer) -> None:
    """The daemon says what is missing, and what to do."""
    packages.install(vm)
    adopted(vm, server)
    vm.run("umount /mnt 2>/dev/null; dmremap deactivate data")
    for name in ("main", "spare"):
        vm.remove_disk(name)
    plug(vm, server, "main")
    told = packages.wait_for_entry(vm, DM_REMAP_EVENT="waiting")
    assert "spare" in told["MESSAGE"] and "release --without-spare" in told["MESSAGE"]
    vm.run("systemctl kill -s HUP dm-remapd; sleep 3")
    assert len(packages.journal(vm, DM_REMAP_EVENT="waiting")) == 1


def test_tools_do_not_overwrite_a_member(vm: Machine, server: BlockServer) -> None:
    """O1: mkfs and partitioning tools see that the disk is in use, or ask."""
    packages.install(vm, daemon=False)
    adopted(vm, server)
    vm.run("umount /mnt 2>/dev/null; dmremap deactivate data; udevadm settle")
    disks = {name: f"/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{name}" for name in ("main", "spare")}
    for path in disks.values():
        before = vm.text(f"head -c 1M {path} | b2sum")
        for tool in (f"mkfs.xfs {path}", f"mount {path} /srv", f"swapon {path}",
                     f"fsck -n -t ext4 {path}"):
            assert vm.run(f"{tool} </dev/null", check=False).code != 0, tool
        assert vm.text(f"head -c 1M {path} | b2sum") == before
    vm.run("dmremap activate data")
    is_whole(vm)
    for path in disks.values():    # active: nobody gets it at all
        assert vm.run(f"mkfs.ext4 -q -F {path} </dev/null", check=False).code != 0
    vm.run(CHECK)

# Writes, says so, and waits; then tells whether fsync succeeds: once before the flush may
# succeed, and again after it may.
WRITER = """
import os, time
fd = os.open("/dev/mapper/data", os.O_RDWR)
def told(name):
    while not os.path.exists(name):
        time.sleep(0.05)
os.pwrite(fd, b"durable!" * 512, 40 << 20)
os.fsync(fd)
direct = os.open("/dev/mapper/data", os.O_RDWR | os.O_DIRECT)
import mmap
page = mmap.mmap(-1, 4096)
page.write(b"in cache" * 512)
os.pwritev(direct, [page], 44 << 20)
open("/run/written", "w").close()
told("/run/returned")
try:
    os.fsync(fd)
    print("flushed")
except OSError as error:
    print(error.strerror)
"""


def test_a_member_that_lost_its_cache(vm: Machine, server: BlockServer) -> None:
    """D10, O18: nothing wrong is read, nothing acknowledged is silently lost."""
    packages.install(vm)
    adopted(vm, server)
    vm.run("umount /mnt 2>/dev/null; sync")
    vm.put(WRITER.encode(), "/run/writer.py")
    writer = vm.start("python3 /run/writer.py")
    packages.wait(vm, "test -e /run/written")
    unflushed = server.powercut()
    assert unflushed["main"] > 0
    vm.remove_disk("main")
    server.power_on()
    plug(vm, server, "main")
    packages.wait(vm, "dmsetup status data | grep -q lost-cache", "mode lost-cache")
    told = packages.wait_for_entry(vm, DM_REMAP_EVENT="lost-cache")
    assert told["DM_REMAP_NAME"] == "data" and told["PRIORITY"] <= "2"
    assert "came back" in vm.text("dmremap status data")
    vm.run("touch /run/returned")
    assert writer.wait(60).out.strip() == "Input/output error"
    packages.wait(vm, "dmsetup status data | grep -q ' rw '", "the end of lost-cache")
    read = vm.text("head -c $((40 * 1024 * 1024 + 8)) /dev/mapper/data | tail -c 8")
    assert read == "durable!"
    vm.run("mount /mnt")
    vm.run(CHECK)


def test_an_array_as_the_spare(vm: Machine, serve: StartServer) -> None:
    """O2, O14: a redundant spare. udev hears of an array by a "change", after its rules."""
    server = serve(main=64 * MIB, left=32 * MIB, right=32 * MIB)
    packages.install(vm, daemon=False)
    main, left, right = plug(vm, server, "main", "left", "right")
    vm.run(f"mkfs.ext4 -q -U {UUID} {main} && mount {main} /mnt && {DATA} && umount /mnt")
    vm.run(f"mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 "
           f"--metadata=1.2 --bitmap=none {left} {right}")
    vm.run(f"dmremap create data {main} /dev/md0 --yes && dmremap deactivate data && "
           "udevadm settle && mdadm --stop /dev/md0")
    assert [s["state"] for s in packages.sets(vm)] == ["waiting"]
    vm.run(f"mdadm --assemble /dev/md0 {left} {right}")
    is_whole(vm)
    known = vm.text("udevadm info -q property /dev/md0").splitlines()
    for line in ("ID_FS_TYPE=dm_remap_member", "UDISKS_IGNORE=1", "SYSTEMD_READY=0"):
        assert line in known, known
    vm.run("umount /mnt && dmremap deactivate data && mdadm --stop /dev/md0")
