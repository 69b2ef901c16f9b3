# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job: a file system on a disk that goes bad under it loses nothing.

A real tree of files is copied in while sectors die, the power is cut, and on the
next boot, with the disk as bad as before, everything that was synced is there.
"""

from dataclasses import dataclass

import pytest

from tests.harness import qemu_module, qemu_snapshot
from tests.vm import remap
from tests.vm.conftest import StartServer
from tests.vm.dying_disk import DyingDisk

MIB = 1 << 20
MAIN_BYTES = 400 * MIB
SPARE_BYTES = 32 * MIB


@dataclass(frozen=True)
class FileSystem:
    name: str
    make: str
    check: str


# Blocks of 4 KiB: the kernel reads whole pages of a device, so a smaller block that was
# relocated would be read together with neighbours that are bad and were never written.
EXT4 = FileSystem(
    "ext4", "mkfs.ext4 -q -b 4096 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0",
    # Mounting has replayed the journal: nothing may be left to repair.
    "e2fsck -fn")
XFS = FileSystem("xfs", "mkfs.xfs -q -K", "xfs_repair -n")


@pytest.mark.parametrize("fs", [pytest.param(EXT4, id="ext4"),
                                pytest.param(XFS, id="xfs", marks=pytest.mark.slow)])
def test_files_survive_dying_sectors_and_a_power_cut(fs: FileSystem,
                                                     serve: StartServer) -> None:
    module = qemu_module.build()
    server = serve(main=(MAIN_BYTES, "vcache=on"), spare=(SPARE_BYTES, "vcache=on"))
    main = server.disk("main")

    with qemu_snapshot.restored() as vm:
        device = remap.plug_in(vm, module, server.disks())
        before = remap.status(vm)
        assert before.mode == "rw"
        dying = DyingDisk(main, seed=1)
        dying.kill_some(150, "both")        # bad from the start, for reads as well
        vm.run(f"{fs.make} {device} && mount {device} /mnt")
        with dying:
            vm.run(f"cp -a {remap.TREE} /mnt/tree && sync", 300)
        assert dying.bad_places > 200
        after = remap.status(vm)
        assert after.mode == "rw"
        assert after.used > before.used + 10
        assert main.stats()["errors"] > 10
        remap.verify_tree(vm, "/mnt/tree")
        assert remap.status(vm).values["lost_sectors"] == 0
        assert vm.complaints() == []
        # Not synced: may be lost, but must not take anything else with it.
        remap.cut_power_while_copying(vm, "/mnt/later", server, main, seed=1)
    server.power_on()

    with qemu_snapshot.restored() as vm:
        device = remap.plug_in(vm, module, server.disks())
        again = remap.status(vm)
        assert again.mode == "rw"
        assert again.used >= after.used
        vm.run(f"mount {device} /mnt")
        remap.verify_tree(vm, "/mnt/tree")
        vm.run("umount /mnt")
        vm.run(f"{fs.check} {device}")
        vm.run(f"dmsetup remove {remap.NAME} && rmmod dm_remap")
        assert vm.complaints() == []
