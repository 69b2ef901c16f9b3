# SPDX-License-Identifier: GPL-2.0-or-later
"""udev's rules by `udevadm test`: what is known of a device, and what would be run for it.

It runs the rules of this machine and ours with the real prober, and tells what it would
start. Nothing is started, so there is no udev daemon needed.
"""

import contextlib
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import locks
from tests.scenarios.lib import Rig, drop_page_cache
from tests.scenarios.sets import PROGRAM, create, dmremap, ext4_on_main, output, paths, settle

RULES = Path(__file__).resolve().parents[2] / "systemd" / "66-dm-remap.rules"
PLACE = Path("/run/udev/rules.d")
NOTE = Path("/run/dm-remap/waiting")
pytestmark = [pytest.mark.disks(main="4M", spare="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]


@pytest.fixture(autouse=True)
def rules(rig: Rig) -> Iterator[None]:
    """Ours with the prober that was built, and one that says what only hardware has."""
    PLACE.mkdir(parents=True, exist_ok=True)
    text = RULES.read_text()
    assert text.count('IMPORT{program}="dm-remap-probe ') == 2
    ours = PLACE / RULES.name
    ours.write_text(text.replace('"dm-remap-probe ', f'"{PROGRAM.parent}/dm-remap-probe '))
    yield
    ours.unlink()


@contextlib.contextmanager
def told(rule: str) -> Iterator[None]:
    """A rule before ours, for what a rule of another package would have said."""
    file = PLACE / "62-test.rules"
    file.write_text(rule + "\n")
    yield
    file.unlink()


class Seen:
    """What the rules make of a device."""

    def __init__(self, path: str, action: str = "add") -> None:
        result = subprocess.run(["udevadm", "test", f"--action={action}",
                                 f"/sys/class/block/{Path(path).name}"], text=True,
                                capture_output=True, stdin=subprocess.DEVNULL)
        lines = (result.stdout + result.stderr).splitlines()
        self.properties = dict(line.strip().split("=", 1) for line in result.stdout.splitlines()
                               if re.match(r"(  )?[A-Z_]+=", line))
        # newer ones tell it only while they read the rules
        for pattern in (r"run: '(.*dmremap.*)'$", r".*:\d+ RUN '(.*dmremap.*)'$"):
            self.run = [match[1] for line in lines if (match := re.match(pattern, line))]
            if self.run:
                break
        self.probed = any("dm-remap-probe" in line and "Starting" in line for line in lines)
        self.text = "\n".join(lines)
        assert result.returncode == 0, self.text
        if "Running in test mode, skipping execution of" in self.text:
            pytest.skip("this udev tests rules without running the prober: see tests/vm")


def activation(path: str) -> str:
    return f"/usr/sbin/dmremap activate --auto {path}"


def test_members_are_named_and_activated(rig: Rig) -> None:
    """O14: both roles, when they come and not when they change."""
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    settle(rig)
    for name in ("main", "spare"):
        path, = paths(rig, name)
        seen = Seen(path)
        known = seen.properties
        assert (known.get("DM_REMAP_ROLE"), known.get("ID_FS_TYPE"), known.get("UDISKS_IGNORE"),
                known.get("SYSTEMD_READY")) == (name, "dm_remap_member", "1", "0"), seen.text
        assert known["ID_FS_USAGE"] == "raid"
        assert len(seen.run) == 1 and seen.run[0].endswith(activation(path)), seen.text


SYSTEMD = Path("/run/systemd/system")
NETLINK_KOBJECT_UEVENT = 15


def test_a_disk_that_another_process_waits_for_comes_again(rig: Rig) -> None:
    """The prober does not wait with it, and what the disk is would never be known."""
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    settle(rig)
    main, = paths(rig, "main")
    number = Path(main).stat().st_rdev
    again = ["/usr/lib/udev/dm-remap-probe", "--again", main]
    SYSTEMD.mkdir(parents=True)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_KOBJECT_UEVENT) as kernel:
        kernel.bind((0, 1))
        kernel.setblocking(False)
        with locks.asking(main):
            seen = Seen(main)
            assert "DM_REMAP_ROLE" not in seen.properties, seen.text
            command, = [line for line in seen.run if " ".join(again) in line]
            assert f"--unit=dm-remap-again-{number >> 8}:{number & 255} " in command
            waits = subprocess.Popen([str(PROGRAM.parent / "dm-remap-probe"), *again[1:]])
            with pytest.raises(subprocess.TimeoutExpired):
                waits.wait(2)
            with pytest.raises(BlockingIOError):
                kernel.recv(1 << 16)
        assert waits.wait(20) == 0
        said = kernel.recv(1 << 16).decode().split("\0")
        assert {"ACTION=add", f"DEVNAME={Path(main).name}"} <= set(said), said
    seen = Seen(main)
    assert seen.properties["DM_REMAP_ROLE"] == "main" and len(seen.run) == 1, seen.text
    SYSTEMD.rmdir()


def test_no_process_for_other_peoples_disks(rig: Rig) -> None:
    """O14: neither the prober nor the command."""
    main, spare = paths(rig, "main", "spare")
    assert "dmremap" not in Seen(main).text    # blank
    ext4_on_main(rig)
    for action in ("add", "change"):
        seen = Seen(main, action)
        assert seen.run == [] and not seen.probed, seen.text
    subprocess.run(["sfdisk", "-q", "--label", "gpt", spare], input="size=1M\n", text=True,
                   check=True, capture_output=True)
    seen = Seen(spare)
    assert seen.properties["ID_PART_TABLE_TYPE"] == "gpt"
    assert seen.run == [] and not seen.probed, seen.text


def test_a_protective_table_of_somebody_else(rig: Rig) -> None:
    """A disk that was partitioned with GPT and then half wiped."""
    main, = paths(rig, "main")
    with told('KERNEL=="nbd*", ENV{ID_PART_TABLE_TYPE}="PMBR"'):
        seen = Seen(main)
    assert seen.run == [] and "SYSTEMD_READY" not in seen.properties, seen.text


def test_a_path_of_multipath_is_left_alone(rig: Rig) -> None:
    """O12: the device above it is the member."""
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    settle(rig)
    main, = paths(rig, "main")
    for rule in ('KERNEL=="nbd*", ENV{DM_MULTIPATH_DEVICE_PATH}="1"',
                 'KERNEL=="nbd*", ENV{DM_UDEV_DISABLE_OTHER_RULES_FLAG}="1"'):
        with told(rule):
            seen = Seen(main)
        assert seen.run == [] and "DM_REMAP_ROLE" not in seen.properties, seen.text


def test_a_set_that_waits_for_a_main_without_guard(rig: Rig) -> None:
    """Then every device that comes is looked at, and not before or after."""
    ext4_on_main(rig)
    create(rig, "--no-guard")
    output("deactivate", "data")
    settle(rig)
    main, spare = paths(rig, "main", "spare")
    assert Seen(main).run == []
    rig.main.fail()
    drop_page_cache(main)
    dmremap("activate", "--auto", spare)
    assert NOTE.exists()
    rig.main.back()
    drop_page_cache(main)
    seen = Seen(main)
    assert len(seen.run) == 1 and seen.run[0].endswith(activation(main)), seen.text
    assert "SYSTEMD_READY" not in seen.properties
    # nbd devices, md arrays and mapped devices are made by a "change"
    assert len(Seen(main, "change").run) == 1
    output("activate", "--auto")
    output("activate", "--auto")
    assert Seen(main).run == []


def test_main_without_guard_is_masked(rig: Rig) -> None:
    """O5: its links by UUID and label are the mapped device's alone, until it is released."""
    ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    hidden = {"ID_FS_TYPE": "dm_remap_member", "UDISKS_IGNORE": "1", "SYSTEMD_READY": "0"}
    disk = (f'KERNEL=="{Path(main).name}", ENV{{ID_BUS}}="ata", ENV{{ID_SERIAL}}="Testdisk_1",'
            ' ENV{ID_MODEL}="Testdisk", SYMLINK+="disk/by-id/ata-Testdisk_1 backup/usb-disk",'
            ' ENV{ID_SERIAL_SHORT}="%s"')
    subprocess.run(["mount", "-t", "tmpfs", "none", "/etc/udev/rules.d"], check=True)
    try:
        with told(disk % "MAIN-0001"):
            before = Seen(main)
            uuid = before.properties["ID_FS_UUID"]
            assert f"by-uuid/{uuid}" in before.properties["DEVLINKS"], before.text
            create(rig, "--no-guard")
            rule, = Path("/etc/udev/rules.d").iterdir()
            assert rule.name < RULES.name and "MAIN" in rule.read_text()
            seen = Seen(main)
            assert {k: seen.properties.get(k) for k in hidden} == hidden, seen.text
            others = {link for link in before.properties["DEVLINKS"].split()
                      if not re.search("/by-(uuid|label)/", link)}
            assert {"/dev/backup/usb-disk", "/dev/disk/by-id/ata-Testdisk_1"} < others
            assert set(seen.properties["DEVLINKS"].split()) == others, seen.text
            assert "Invalid operator" not in seen.text
        with told(disk % "MAIN-0002"):    # another disk of that model
            seen = Seen(main)
            assert seen.properties["ID_FS_TYPE"] == "ext4" and "UDISKS_IGNORE" not in \
                seen.properties, seen.text
        output("release", "data", "--yes")
        assert not list(Path("/etc/udev/rules.d").iterdir())
        with told(disk % "MAIN-0001"):
            links = [seen.properties["DEVLINKS"].split() for seen in (Seen(main), before)]
            assert sorted(links[0]) == sorted(links[1])
    finally:
        subprocess.run(["umount", "/etc/udev/rules.d"], check=True)


def test_after_the_rules_that_look_and_before_those_that_take() -> None:
    """The number says when: 63-md-raid-arrays looks at arrays, 69-lvm takes."""
    assert "63-md-raid-arrays.rules" < RULES.name < "69-lvm.rules"
    assert "60-persistent-storage-dm.rules" < RULES.name < "80-udisks2.rules"


def test_a_main_with_a_sector_that_blkid_cannot_read(rig: Rig) -> None:
    """blkid says nothing of it at all, and the prober is asked all the same."""
    ext4_on_main(rig)
    main = paths(rig, "main")[0]
    rig.main.bad(2049, 1, kind="read")
    rig.main.bad(130, 1, kind="read")
    drop_page_cache(main)
    create(rig, "--accept-unreadable")
    output("deactivate", "data")
    settle(rig)
    seen = Seen(main)
    assert seen.properties.get("DM_REMAP_ROLE") == "main", seen.text
    assert seen.run and activation(main) in seen.run[0]


def test_a_disk_whose_write_cache_was_turned_off(rig: Rig) -> None:
    """A power cycle turns it on again, and the kernel says "change"."""
    main, other = paths(rig, "main", "spare")
    number = Path(main).stat().st_rdev
    note = Path(f"/run/dm-remap/write-cache/{number >> 8}:{number & 255}")
    note.parent.mkdir(parents=True)
    note.write_text("")
    wanted = f"/usr/sbin/dmremap write-cache --auto {main}"
    assert any(wanted in line for line in Seen(main, "change").run)
    assert not any("write-cache" in line for line in Seen(main, "add").run)
    assert not any("write-cache" in line for line in Seen(other, "change").run)
    note.unlink()
    note.parent.rmdir()
