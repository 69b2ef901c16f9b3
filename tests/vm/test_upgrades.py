# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of the packages under sets that are in use: upgraded, purged, installed again (O25, O26).
"""

import subprocess
from pathlib import Path

import pytest

from tests.harness import qemu_snapshot
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine
from tests.vm import packages
from tests.vm.adopted import CHECK, DEVICE, adopt, is_whole, plug, status
from tests.vm.conftest import StartServer

MIB = 1 << 20
pytestmark = [pytest.mark.packages, pytest.mark.slow, pytest.mark.each_debian]
FILL = "head -c 20M /dev/urandom >/mnt/fill && b2sum /mnt/fill >>/mnt/data.b2 && sync"


def make_bad(server: BlockServer) -> None:
    """Wherever the file system puts what FILL writes, some of it is remapped."""
    for sector in range(20000, 120000, 1000):
        server.disk("main").bad(sector, 8, kind="write")


def repacked(package: Path, place: Path, version: str) -> Path:
    """The same package as one of VERSION."""
    tree, result = place / "tree", place / "new.deb"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text("".join(
        f"Version: {version}\n" if line.startswith("Version: ") else line
        for line in control.read_text().splitlines(keepends=True)))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, result], check=True,
                   stdout=subprocess.DEVNULL)
    return result


def test_upgraded_under_a_set_that_is_written_to(vm: Machine, serve: StartServer,
                                                 tmp_path: Path) -> None:
    """The daemon is another process afterwards and hears; no write fails meanwhile."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    adopt(vm, *plug(vm, server, "main", "spare"))
    is_whole(vm)
    vm.put(repacked(packages.built()["dm-remap"], tmp_path, "1:1.0"), "/run/new.deb")
    before = vm.text("systemctl show -P MainPID dm-remapd")
    writing = vm.start("while [ ! -e /run/stop ]; do dd if=/dev/urandom of=/mnt/more bs=64k "
                       "count=16 conv=fsync status=none || exit; done")
    vm.run("dpkg -i /run/new.deb", 300)
    vm.run("touch /run/stop")
    writing.wait(60).check()
    assert vm.text("dpkg-query -W -f '${Version} ${Status}' dm-remap") == "1:1.0 install ok installed"
    vm.run("systemctl -q is-active dm-remapd")
    assert vm.text("systemctl show -P MainPID dm-remapd") != before
    assert vm.text("findmnt -n -o SOURCE /mnt") == DEVICE
    make_bad(server)
    vm.run(FILL)
    assert packages.wait_for_entry(vm, DM_REMAP_EVENT="relocated")["DM_REMAP_NAME"] == "data"
    assert status(vm)["mode"] == "rw"
    is_whole(vm)
    assert vm.text("systemctl --failed --no-legend") == ""


UNGUARDED = ("mkfs.ext4 -q {0} && mount {0} /srv && cp /mnt/data /srv/file && umount /srv && "
             "dmremap create plain {0} {1} --no-guard --yes")


def test_purged_and_installed_again(vm: Machine, serve: StartServer) -> None:
    """Between the two the machine boots: what has a guard shows nothing, of what has none it was
    said; and nobody has written to either. Afterwards both sets are there."""
    server = serve(main=64 * MIB, spare=32 * MIB, bare=48 * MIB, other=32 * MIB)
    adopt(vm, *plug(vm, server, "main", "spare"))
    is_whole(vm)
    vm.run(UNGUARDED.format(*plug(vm, server, "bare", "other")))
    make_bad(server)
    vm.run(FILL)
    used = status(vm)["used_slots"]
    assert used > 1
    told = vm.run("dpkg --purge dm-remap dm-remap-dkms 2>&1", 300).out
    assert "warning: these sets are active" in told and "no longer hidden" in told
    assert "/var/lib/dm-remap is kept" in told
    vm.run(f"echo 3 >/proc/sys/vm/drop_caches; {CHECK}")
    vm.start("systemctl poweroff")
    vm.process.wait(120)

    def all_of_them(machine: Machine) -> None:
        for name in ("other", "spare", "bare", "main"):
            machine.plug(name, nbd=server.disk(name).socket_path)

    with qemu_snapshot.booted(vm.work / "root.qcow2", all_of_them) as second:
        second.run("systemctl is-system-running --wait", 240, check=False)
        assert second.run("mountpoint -q /mnt", check=False).code
        assert second.text("dmsetup ls") == "No devices found"
        packages.install(second)
        packages.wait(second, "dmremap list | grep -q 'data .*active'")
        is_whole(second)
        assert status(second)["used_slots"] == used
        packages.wait(second, "dmremap list | grep -q 'plain .*active'")
        second.run("mount /dev/mapper/plain /srv && cmp /srv/file /mnt/data && umount /srv")
        assert second.text("systemctl --failed --no-legend") == ""
        assert second.complaints() == []
