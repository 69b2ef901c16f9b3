# SPDX-License-Identifier: GPL-2.0-or-later
"""What else looks at disks: udisks2 and LVM with its devices file (O14, O15, O17)."""

import pytest

from tests.harness.qemu import Machine
from tests.vm import packages
from tests.vm.adopted import DEVICE, LEAVE, adopt, is_whole, plug, the_set, unplug
from tests.vm.conftest import StartServer

MIB = 1 << 20
pytestmark = pytest.mark.packages


def udisks(vm: Machine, device: str, name: str) -> str:
    """A property of a block device, as udisks2 shows it to desktops."""
    node = vm.text(f"basename $(readlink -f {device})")
    return vm.text("busctl get-property org.freedesktop.UDisks2 "
                   f"/org/freedesktop/UDisks2/block_devices/{node.replace('-', '_2d')} "
                   f"org.freedesktop.UDisks2.Block {name}").split(" ", 1)[1]


def test_udisks_shows_the_set_and_no_member(vm: Machine, serve: StartServer) -> None:
    """A desktop offers what it is not told to ignore, and mounts it by a click."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    packages.mask_daemon(vm)
    main, spare = plug(vm, server, "main", "spare")
    vm.run("systemctl start udisks2")
    assert udisks(vm, main, "HintIgnore") == "false"
    adopt(vm, main, spare)
    is_whole(vm)

    def shown() -> None:
        for member in (main, spare):
            assert udisks(vm, member, "HintIgnore") == "true"
            assert udisks(vm, member, "IdUsage") == '"raid"'
            mount = vm.run(f"udisksctl mount -b {member} --no-user-interaction", check=False)
            assert mount.code and "is not a mountable filesystem" in mount.err
        assert udisks(vm, DEVICE, "HintIgnore") == "false"
        assert udisks(vm, DEVICE, "IdType") == '"ext4"'

    shown()
    vm.run(LEAVE)
    unplug(vm, "main", "spare")
    plug(vm, server, "spare", "main")
    is_whole(vm)
    shown()


@pytest.mark.slow
def test_lvm_with_a_devices_file(vm: Machine, serve: StartServer) -> None:
    """A disk with a volume is adopted, unplugged and plugged in: the volume comes by itself, and
    LVM looks at the mapped device alone."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    packages.mask_daemon(vm)
    main, spare = plug(vm, server, "main", "spare")
    vm.put(b"devices { use_devicesfile = 1 }\n", "/etc/lvm/lvmlocal.conf")
    vm.run(f"pvcreate -q {main} && vgcreate -q vg {main} && lvcreate -q -y -L 40M -n files vg && "
           "mkfs.ext4 -q /dev/vg/files && mount /dev/vg/files /mnt && "
           "head -c 8M /dev/urandom >/mnt/data && b2sum /mnt/data >/run/data.b2 && umount /mnt && "
           "vgchange -q -an vg && udevadm settle")
    assert "/dev/sd" in vm.text("lvm lvmdevices")
    vm.run(f"dmremap create data {main} {spare} --yes")
    listed = vm.text("lvm lvmdevices")
    assert DEVICE in listed and "/dev/sd" not in listed

    same = "mount /dev/vg/files /mnt && b2sum --quiet -c /run/data.b2 && umount /mnt"
    vm.run(f"vgchange -q -ay vg; udevadm settle; {same}")
    vm.run("vgchange -q -an vg && dmremap deactivate data && udevadm settle")
    unplug(vm, "main", "spare")
    main, _ = plug(vm, server, "main", "spare")
    packages.wait(vm, "test -e /dev/vg/files", "the volume to come by itself")
    assert vm.text("pvs --noheadings -o pv_name") == DEVICE
    vm.run(same)
    vm.run("vgchange -q -an vg && dmremap deactivate data && udevadm settle && dmremap list")
    assert the_set(vm)["state"] == "ready"
    vm.run("dmremap activate data && udevadm settle")
    packages.wait(vm, "test -e /dev/vg/files", "the volume to come by itself")
    vm.run(same)

    # released: the same way back
    vm.run("umount /mnt 2>/dev/null; vgchange -q -an vg && dmremap release data --yes && "
           "udevadm settle")
    listed = vm.text("lvm lvmdevices")
    assert DEVICE not in listed and vm.text(f"readlink -f {main}") in listed
    packages.wait(vm, "vgchange -q -ay vg && test -e /dev/vg/files", "the volume on the plain disk")
    vm.run(same)
