# SPDX-License-Identifier: GPL-2.0-or-later
"""Scrub as a unit of systemd, over reboots and unplugged disks; file systems that UML has not."""

import json
from typing import Any

import pytest

from tests.harness import qemu_snapshot
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine
from tests.vm import packages
from tests.vm.adopted import DEVICE, NAME, plug
from tests.vm.conftest import StartServer

MIB = 1 << 20
pytestmark = pytest.mark.packages
UNIT = f"dm-remap-scrub@{NAME}"


def status(vm: Machine) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(vm.text(f"dmremap scrub status {NAME} --json"))
    return told


def make_files(vm: Machine) -> None:
    """Of 60 and 90 KiB, each sector of which says whose it is."""
    vm.run("mkdir -p /mnt/dir && for name in one dir/two; do "
           "for n in $(seq 0 179); do printf '%-511s\\n' \"of $name at $n;\"; done "
           ">/mnt/$name; done; sync")


def sectors(vm: Machine, name: str) -> dict[int, int]:
    """Where the sectors of a file lie on the set, by their content."""
    lines = vm.text(f"grep -abo 'of {name} at [0-9]*;' {DEVICE} || true").splitlines()
    return {int(line.split(":")[0]) // 512: int(line.split(" at ")[1].rstrip(";"))
            for line in lines}


@pytest.mark.slow
@pytest.mark.parametrize("make", ["mkfs.btrfs -q -f -m dup -d single", "mkfs.vfat -F 32 -s 1",
                                  "mkfs.btrfs -q -f --mixed"])
def test_file_systems(vm: Machine, serve: StartServer, make: str) -> None:
    server = serve(main=200 * MIB, spare=32 * MIB)
    packages.mask_daemon(vm)
    main, spare = plug(vm, server, "main", "spare")
    vm.run(f"dmremap create {NAME} {main} {spare} --yes && {make} {DEVICE} && mount {DEVICE} /mnt")
    make_files(vm)
    for name in ("one", "dir/two"):
        where = sectors(vm, name)
        assert len(where) >= 180
        for sector, number in list(where.items())[::37]:
            hits = json.loads(vm.text(f"dmremap files {NAME} {sector} --json"))["hits"]
            assert [hit["path"] for hit in hits] == [f"/mnt/{name}"], (sector, hits)
            assert hits[0]["offset"] // 512 + sector - hits[0]["sector"] in (number, number // 8 * 8)
    hits = json.loads(vm.text(f"dmremap files {NAME} 128 390000 --json"))["hits"]
    assert all(hit["path"] is None for hit in hits)
    if "btrfs" in make:
        assert (hits[0]["kind"], hits[0]["what"]) == ("metadata", "superblock")
    vm.run("umount /mnt")


def test_a_unit(vm: Machine, serve: StartServer) -> None:
    """start and stop go by systemd; one that was killed goes on when the daemon sees the set."""
    server = serve(main=200 * MIB, spare=32 * MIB)
    main, spare = plug(vm, server, "main", "spare")
    vm.put(b"[scrub]\nrate = 8M\n", "/etc/dm-remap/dm-remapd.conf")
    vm.run(f"dmremap create {NAME} {main} {spare} --yes && systemctl start dm-remapd")
    vm.run(f"systemd-analyze verify --man=no {UNIT}.service {UNIT}.timer")
    vm.run(f"dmremap scrub start {NAME}")
    packages.wait(vm, f"dmremap scrub status {NAME} | grep -q 'scrub running'")
    assert vm.text(f"systemctl is-active {UNIT}").strip() == "active"
    vm.run(f"dmremap scrub stop {NAME}")
    told = status(vm)
    assert told["state"] == "stopped" and told["permille"] < 1000
    assert vm.run(f"systemctl is-failed {UNIT}", check=False).out.strip() == "inactive"
    vm.run(f"dmremap scrub start {NAME}")
    packages.wait(vm, f"dmremap scrub status {NAME} | grep -q 'scrub running'")
    vm.run(f"systemctl kill -s KILL {UNIT}; printf '[scrub]\\nrate = no\\n' "
           ">/etc/dm-remap/dm-remapd.conf; systemctl restart dm-remapd")
    packages.wait(vm, f"dmremap scrub status {NAME} | grep -q 'scrub finished'")
    assert status(vm)["begun"] == told["begun"]
    assert "it came to its end: all could be read" in vm.text(f"journalctl -u {UNIT} -o cat")
    vm.run(f"systemctl enable --now {UNIT}.timer && systemctl is-active {UNIT}.timer")


def go_on(vm: Machine, least: int) -> dict[str, Any]:
    """Until it has read more than LEAST thousandths."""
    packages.wait(vm, f"[ $(dmremap scrub status {NAME} --json | grep -o '\"permille\": *[0-9]*' "
                      f"| grep -o '[0-9]*$') -gt {least} ]")
    return status(vm)


def rate(vm: Machine, text: str) -> None:
    vm.put(f"[scrub]\nrate = {text}\n".encode(), "/etc/dm-remap/dm-remapd.conf")


@pytest.mark.slow
def test_reboots_and_unplugged_disks(vm: Machine, serve: StartServer) -> None:
    """Each time it goes on by itself, reads nothing twice, and misses nothing in the end."""
    server: BlockServer = serve(main=200 * MIB, spare=32 * MIB)
    main, spare = plug(vm, server, "main", "spare")
    rate(vm, "4M")
    vm.run(f"dmremap create {NAME} {main} {spare} --yes && systemctl enable --now dm-remapd")
    planted = {8 * n for n in (5000, 20_000, 40_000)}
    for sector in planted:
        server.disk("main").bad(sector, 8, kind="read")
    vm.run(f"dmremap scrub start {NAME}")
    begun = go_on(vm, 50)

    # unplugged: it stops, with no sector to blame, and goes on when the disk is back
    vm.remove_disk("main")
    packages.wait(vm, f"! systemctl -q is-active {UNIT}")
    told = status(vm)
    assert told["state"] == "interrupted" and told["last"]["ended"] is None
    assert told["permille"] >= begun["permille"]
    unplugged = told["permille"]
    plug(vm, server, "main")
    packages.wait(vm, f"systemctl -q is-active {UNIT}")
    told = go_on(vm, unplugged + 30)
    assert told["begun"] == begun["begun"]

    # a reboot in the middle
    vm.run("sync")
    before = status(vm)
    vm.start("systemctl poweroff")
    vm.process.wait(180)

    def both(machine: Machine) -> None:
        for name in ("main", "spare"):
            machine.plug(name, nbd=server.disk(name).socket_path)

    with qemu_snapshot.booted(vm.work / "root.qcow2", both) as second:
        packages.wait(second, f"systemctl -q is-active {UNIT}")
        told = go_on(second, before["permille"])
        assert told["begun"] == begun["begun"]
        # and a power cut
        second.run("sync")
        kept = status(second)["permille"]
        second.kill()
        with qemu_snapshot.booted(vm.work / "root.qcow2", both) as third:
            packages.wait(third, f"systemctl -q is-active {UNIT}")
            assert go_on(third, kept // 2)["begun"] == begun["begun"]
            rate(third, "no")
            third.run(f"systemctl restart {UNIT}")
            packages.wait(third, f"dmremap scrub status {NAME} | grep -q 'scrub finished'")
            told = status(third)
            assert told["begun"] == begun["begun"]
            assert {span["sector"] + n for span in told["set"]["unreadable"]
                    for n in range(span["nr_sectors"])} == \
                {sector + n for sector in planted for n in range(8)}
            assert third.complaints() == []
