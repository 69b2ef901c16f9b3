# SPDX-License-Identifier: GPL-2.0-or-later
"""The root file system on a set: it boots, survives bad sectors and a power cut, and says clearly
what it lacks."""

import time
from pathlib import Path

import pytest

from tests.harness import blockd
from tests.harness.qemu import Machine
from tests.vm import minimal_guest, packages, root_set
from tests.vm.conftest import StartServer
from tests.vm.root_set import MIB, NAME, booted, started

pytestmark = [pytest.mark.packages, pytest.mark.slow, pytest.mark.each_debian]
MAIN_MIB, SPARE_MIB = 1400, 32
FILL = ("head -c 24M /dev/urandom >/root/fill && b2sum /root/fill >/root/fill.b2 && sync")
CHECK = "echo 3 >/proc/sys/vm/drop_caches; b2sum --quiet -c /root/fill.b2"


@pytest.fixture(scope="module")
def system(prepared: None, tmp_path_factory: pytest.TempPathFactory) -> root_set.System:
    return root_set.make_system(tmp_path_factory.mktemp("system"), MAIN_MIB - 8,
                                upgrades=minimal_guest.other_kernels()[:1])


@pytest.fixture
def server(vm: Machine, serve: StartServer, system: root_set.System) -> blockd.BlockServer:
    """The disks of a set with the system on it."""
    server = serve(main=(MAIN_MIB * MIB, "vcache=on"), spare=(SPARE_MIB * MIB, "vcache=on"))
    root_set.make_set(vm, server, system)
    return server


def is_on_the_set(vm: Machine) -> None:
    assert vm.text("findmnt -n -o SOURCE /") == f"/dev/mapper/{NAME}"
    assert vm.complaints() == []


def test_bad_sectors_and_a_power_cut(server: blockd.BlockServer, system: root_set.System) -> None:
    """And the daemon, its journal and its packages work from there."""
    with booted(server, system, "initramfs-tools") as vm:
        is_on_the_set(vm)
        for sector in root_set.free_places(vm, f"/dev/mapper/{NAME}"):
            server.disk("main").bad(sector, 8, kind="write")
        vm.run(FILL)
        (line,) = vm.text(f"dmsetup status {NAME}").splitlines()
        assert " rw " in line and "relocations=0 " not in line, line
        packages.wait_for_entry(vm, DM_REMAP_EVENT="relocated")
        # Even after a refusal dpkg's triggers make a new image, which takes minutes here.
        refused = vm.run("dpkg --no-triggers -r dm-remap-initramfs", check=False)
        assert refused.code and "would not boot without dm-remap-initramfs" in refused.err
        writing = vm.start("while :; do dd if=/dev/urandom of=/root/more bs=64k count=64 "
                           "conv=fsync status=none; done")
        time.sleep(5)
        assert not writing.done
        server.powercut(seed=1)
        vm.kill()
    server.power_on()
    with booted(server, system, "initramfs-tools") as vm:
        is_on_the_set(vm)
        vm.run(CHECK)


def test_another_kernel(server: blockd.BlockServer, system: root_set.System) -> None:
    """It came by apt. The sectors that were bad before are found where they are now."""
    if not system.upgrades:
        pytest.skip("this machine's mirror offers one kernel only")
    (release,) = system.upgrades
    with booted(server, system, "initramfs-tools") as vm:
        for sector in root_set.free_places(vm, f"/dev/mapper/{NAME}"):
            server.disk("main").bad(sector, 8, kind="write")
        vm.run(FILL)
        first = vm.text("uname -r")
        vm.start("systemctl poweroff")
        vm.process.wait(300)
    with booted(server, system, "initramfs-tools", upgrade=release) as vm:
        assert vm.text("uname -r") == release != first
        is_on_the_set(vm)
        assert "relocations=0 " not in vm.text(f"dmsetup status {NAME}")
        vm.run(CHECK)


def test_dracut(server: blockd.BlockServer, system: root_set.System) -> None:
    with booted(server, system, "dracut") as vm:
        is_on_the_set(vm)
        vm.run("test -e /usr/sbin/dmremap && dmremap list")


@pytest.mark.parametrize("program", root_set.PROGRAMS)
def test_without_the_module(server: blockd.BlockServer, system: root_set.System,
                            program: str) -> None:
    """O9: one word on the kernel's command line, and the system is there."""
    with booted(server, system, program,
                "module_blacklist=dm_remap dmremap.fallback") as vm:
        is_on_the_set(vm)
        assert "remap" not in vm.text(f"dmsetup table {NAME}").split()


@pytest.mark.parametrize("program", root_set.PROGRAMS)
def test_the_spare_is_missing(server: blockd.BlockServer, system: root_set.System,
                              program: str) -> None:
    """The shell comes with words that say which set lacks what, and what to type."""
    # The harness has panic=-1: a reboot instead of a shell.
    words = "panic= rd.shell rd.retry=20"
    with started(server, system, program, "main", words=words) as vm:
        end = time.monotonic() + root_set.BOOT_TIMEOUT_S
        text = ""
        while time.monotonic() < end and "to continue the boot" not in text:
            time.sleep(1)
            text = Path(vm.console).read_text(errors="replace")
        assert "dm-remap: sets whose disks are present:" in text, text[-3000:]
        assert NAME in text and "waiting" in text and "activate --fallback NAME" in text
