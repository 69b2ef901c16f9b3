# SPDX-License-Identifier: GPL-2.0-or-later
"""I/O on two CPUs against everything that an administrator may do meanwhile."""

import time

import pytest

from tests.harness import qemu_module
from tests.harness.agent import Command
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine, disk_path
from tests.vm import remap
from tests.vm.conftest import StartServer
from tests.vm.dying_disk import DyingDisk

MIB = 1 << 20
ROUNDS = 3                          # of an administrator's commands, while the I/O runs


@pytest.fixture
def server(serve: StartServer) -> BlockServer:
    return serve(main=64 * MIB, spare=32 * MIB)


@pytest.fixture
def device(vm: Machine, server: BlockServer) -> str:
    return remap.plug_in(vm, qemu_module.build(), server.disks())


def assert_well(vm: Machine, jobs: list[Command], used: int) -> None:
    """The I/O found all as it should be, more than USED slots are, and nothing was lost."""
    assert sum(model.operations for model in remap.finish_io(vm, jobs)) > 100
    after = remap.status(vm)
    assert after.mode == "rw" and after.used > used and after.values["lost_sectors"] == 0


def test_suspend_resume_and_reload_while_sectors_die(vm: Machine, server: BlockServer,
                                                     device: str) -> None:
    """v3-interface row 6: reload under load, once a use after free."""
    jobs = remap.start_io(vm, device)
    name = remap.NAME
    with DyingDisk(server.disk("main"), seed=2, most=300):
        vm.run(
            f"set -e; for round in $(seq {ROUNDS}); do "
            f"dmsetup suspend {name}; dmsetup resume {name}; "
            f"dmsetup table {name} | dmsetup load {name}; dmsetup resume {name}; "
            f"dmsetup suspend --noflush {name}; dmsetup resume {name}; "
            f"dmsetup status {name} >/dev/null; done", 600)
    assert_well(vm, jobs, used=10)


def test_messages_under_load(vm: Machine, server: BlockServer, device: str) -> None:
    """v3-interface row 6: a message that met I/O once locked the machine up."""
    jobs = remap.start_io(vm, device)
    name = remap.NAME
    vm.run(
        f"set -e; for round in $(seq {ROUNDS}); do "
        f"dmsetup message {name} 0 remap $((RANDOM * 3)) 20 >/dev/null; "
        f"dmsetup message {name} 0 verify $((RANDOM * 3)) >/dev/null; "
        f"dmsetup message {name} 0 sync >/dev/null; dmsetup message {name} 0 save >/dev/null; "
        f"dmsetup message {name} 0 metadata_status >/dev/null; done", 600)
    assert_well(vm, jobs, used=1)


def test_removal_under_load(vm: Machine, server: BlockServer, device: str) -> None:
    jobs = remap.start_io(vm, device)
    with DyingDisk(server.disk("main"), seed=3, most=300):
        vm.run(f"until [ $(dmsetup info -c --noheadings -o open {remap.NAME}) -ge {len(jobs)} ]; "
               "do sleep 0.1; done", 120)
        time.sleep(5)
        assert "busy" in vm.run(f"dmsetup remove {remap.NAME}", check=False).err
        main, spare = (disk_path(disk.name) for disk in server.disks())
        line = remap.table(vm, main, spare)
        # --force puts an error table under the open device: all I/O ends, then it goes.
        vm.run(f"dmsetup remove --force {remap.NAME}", check=False)
        results = [job.wait() for job in jobs]
    assert [result.code for result in results] == [3, 3, 3, 3], results
    vm.run(f"dmsetup remove --retry {remap.NAME} || ! dmsetup info {remap.NAME}")
    vm.run("rmmod dm_remap")
    # What was acknowledged is there when the set is activated again.
    vm.run("insmod /run/dm-remap.ko")
    vm.run(f"dmsetup create {remap.NAME} --table '{line}'")
    for index, result in enumerate(results):
        vm.put(result.out.encode(), f"/run/model{index}")
        vm.run(f"/run/guest_io.py check {device} {remap.region(index)} {index + 1} "
               f"/run/model{index}")
