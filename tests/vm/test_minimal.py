# SPDX-License-Identifier: GPL-2.0-or-later
"""A minimal Debian 12 or 13, and nothing but the packages: the README's story, from installed files.

apt installs them in a chroot of the system, before the headers of its kernel, and DKMS builds there.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import qemu_image
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine
from tests.vm import minimal_guest, packages
from tests.vm.adopted import (BY_UUID, LEAVE, adopt, assert_hidden, is_whole, plug, status, unplug)
from tests.vm.conftest import StartServer
from tests.vm.dying_disk import DyingDisk

MIB = 1 << 20
pytestmark = [pytest.mark.each_debian, pytest.mark.slow]
# What is there anyway, and does not change.
FILES = "/usr/lib/systemd /usr/lib/udev"
SAME = ("echo 3 >/proc/sys/vm/drop_caches; "
        f"for tree in {FILES}; do diff -r --no-dereference $tree {{}}/${{{{tree##*/}}}} || exit; done")


@dataclass(frozen=True)
class Installed:
    """What apt said before the headers were there and with them, and what is there now."""

    image: qemu_image.Image
    before: str
    modules_before: list[Path]
    afterwards: str
    modules: list[str]
    new_packages: set[str]


def names(tree: minimal_guest.Tree) -> set[str]:
    return set(tree.run("dpkg-query -W -f '${Package}\\n'").split())


@pytest.fixture(scope="module")
def installed(prepared: None, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    place = tmp_path_factory.mktemp("minimal")
    tree = minimal_guest.unpack(place)
    there = names(tree)
    before = tree.apt_install("dm-remap", "dm-remap-dkms")
    modules_before, new = tree.modules(), names(tree) - there
    afterwards = tree.apt_install(f"linux-headers-{tree.kernel_release}")
    modules = [path.parts[-4] for path in tree.modules()]
    return Installed(minimal_guest.make_image(tree, place), before, modules_before, afterwards,
                     modules, new)


def test_before_and_after_the_headers(installed: Installed) -> None:
    """Without them it is said what to type, and typing that has the module built."""
    release = installed.image.kernel_release
    assert f"no module for Linux {release}" in installed.before
    assert f"apt install linux-headers-{release}" in installed.before
    assert installed.modules_before == []
    assert installed.modules == [release], installed.afterwards
    assert not {"lvm2", "mdadm", "udisks2", "dracut"} & installed.new_packages


def test_the_story(installed: Installed, serve: StartServer, tmp_path: Path) -> None:
    """Adopt, die, journal, unplug, plug, power cut, boot, fstab."""
    server = serve(main=(96 * MIB, "vcache=on"), spare=(32 * MIB, "vcache=on"))
    root_disk = minimal_guest.disk(installed.image, tmp_path / "root.qcow2")
    with minimal_guest.booted(installed.image, root_disk, lambda _: None) as vm:
        vm.run("systemctl -q is-enabled dm-remapd && systemctl -q is-active dm-remapd")
        adopt(vm, *plug(vm, server, "main", "spare"))
        is_whole(vm)
        sectors_die(vm, server)
        plugged_in_again(vm, server)
        used = status(vm)["used_slots"]
        vm.run("sync")
        vm.start("while :; do dd if=/dev/urandom of=/mnt/more bs=64k count=64 status=none; done")
        server.powercut(seed=1)
        vm.kill()
    server.power_on()

    def both(machine: Machine) -> None:
        for name in ("spare", "main"):
            machine.plug(name, nbd=server.disk(name).socket_path)

    with minimal_guest.booted(installed.image, root_disk, both) as vm:
        packages.wait(vm, "mountpoint -q /mnt")
        is_whole(vm)
        vm.run(SAME.format("/mnt"))
        after = status(vm)
        assert after["mode"] == "rw" and after["used_slots"] >= used
        assert packages.journal(vm, DM_REMAP_NAME="data")
        # it runs commands outside of its sandbox, by systemd
        assert not [entry for entry in packages.journal(vm) if " bus " in entry["MESSAGE"]]


def sectors_die(vm: Machine, server: BlockServer) -> None:
    """Files are copied meanwhile, and all of it is told."""
    dying = DyingDisk(server.disk("main"), seed=1, most=600)
    dying.kill_some(200, "write")
    with dying:
        vm.run(f"cp -a {FILES} /mnt/ && sync", 300)
    state = status(vm)
    assert state["mode"] == "rw" and state["relocations"] > 10 and state["lost_sectors"] == 0
    vm.run(SAME.format("/mnt"))
    told = packages.wait_for_entry(vm, DM_REMAP_EVENT="relocated")
    assert told["DM_REMAP_NAME"] == "data" and told["DM_REMAP_CAUSE"] == "write-error"


def plugged_in_again(vm: Machine, server: BlockServer) -> None:
    """By udev alone."""
    packages.mask_daemon(vm)
    vm.run(LEAVE)
    unplug(vm, "main", "spare")
    raw, = plug(vm, server, "main")
    packages.wait(vm, "dmremap list | grep -q waiting")
    assert_hidden(vm, raw, "main")
    assert vm.run(f"test -e {BY_UUID}", check=False).code
    plug(vm, server, "spare")
    is_whole(vm)
    vm.run("systemctl -q unmask dm-remapd && systemctl -q enable --now dm-remapd")
