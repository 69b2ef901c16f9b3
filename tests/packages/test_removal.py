# SPDX-License-Identifier: GPL-2.0-or-later
"""O26: no package of dm-remap can be removed from under a file system that the machine needs to
boot, whatever lies between.

The packages' prerm itself runs, with a made sysfs and fstab where the machine's are, in a mount
namespace of its own, and with dmsetup and findmnt that tell what a test wants.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.kernels import PROJECT

DEBIAN = PROJECT / "packaging" / "debian"
# The page for Cockpit is nothing that a boot needs.
PACKAGES = [name for name in re.findall(r"^Package: (\S+)", (DEBIAN / "control").read_text(), re.M)
            if name != "dm-remap-cockpit"]
MOUNTED = ("mount --bind $0/sys /sys && mount --bind $0/fstab /etc/fstab && "
           "PATH=$0/bin:$PATH exec sh $1 $2")

if os.geteuid():
    pytest.skip("a mount namespace wants root: use sudo", allow_module_level=True)


class Host:
    """A made machine: block devices on top of each other, and what is mounted of them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "bin").mkdir()
        (place / "sys/dev/block").mkdir(parents=True)
        (place / "fstab").touch()
        self.mounted: dict[str, str] = {}
        self.remaps: list[str] = []
        self.fallbacks: list[str] = []

    def block(self, number: str, *below: str, name: str = "", partition_of: str = "") -> None:
        device = self.place / "sys/devices" / (partition_of.replace(":", "-") or "") \
            / number.replace(":", "-")
        (device / "slaves").mkdir(parents=True)
        (device / "dev").write_text(f"{number}\n")
        if partition_of:
            (device / "partition").write_text("1\n")
            (device / "slaves").rmdir()
        if name:
            (device / "dm").mkdir()
            (device / "dm/name").write_text(f"{name}\n")
        for other in below:
            (device / "slaves" / other.replace(":", "-")).symlink_to(
                (self.place / "sys/dev/block" / other).resolve())
        (self.place / "sys/dev/block" / number).symlink_to(device)

    def btrfs(self, uuid: str, *numbers: str) -> None:
        for number in numbers:
            device = self.place / "sys/fs/btrfs" / uuid / "devices" / number.replace(":", "-")
            device.mkdir(parents=True)
            (device / "dev").write_text(f"{number}\n")

    def _command(self, name: str, script: str) -> None:
        path = self.place / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def fstab(self, line: str) -> None:
        (self.place / "fstab").write_text(f"# a comment\n\n{line}\n")

    def prerm(self, verb: str = "remove", package: str = "dm-remap") \
            -> subprocess.CompletedProcess[str]:
        return self.run(DEBIAN / f"{package}.prerm", verb, DPKG_MAINTSCRIPT_PACKAGE=package)

    def run(self, script: Path, verb: str, **environment: str) -> subprocess.CompletedProcess[str]:
        ls = "".join(f"{name}\\t(254:9)\\n" for name in self.remaps) or "No devices found\\n"
        info = "".join(f"REMAP-0123 {name}\\n" for name in self.fallbacks)
        self._command("dmsetup", f"case $1 in ls) printf '{ls}';; *) printf '{info}';; esac")
        known = "".join(f"'SOURCE {place}') echo /dev/{device};;"
                        f"'UUID {place}') echo uuid-of-{device};;"
                        for place, device in self.mounted.items())
        self._command("findmnt", 'for last; do :; done; while [ "$1" != -o ]; do shift; done\n'
                                 f'case "$2 $last" in {known} *) exit 1;; esac')
        self._command("mountpoint", "echo ${2#/dev/}")
        for name in ("dkms", "systemctl"):      # not the machine's own
            self._command(name, f"echo {name} $1 >>{self.place}/calls")
        return subprocess.run(["unshare", "--mount", "sh", "-c", MOUNTED, str(self.place),
                               str(script), verb], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env={**os.environ, **environment})


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.block("8:0")
    host.block("8:16")
    host.block("254:0", "8:0", "8:16", name="data")
    host.remaps = ["data"]
    return host


def refused(host: Host, why: str = "on data: this machine would not boot") -> bool:
    result = host.prerm()
    if result.returncode:
        assert result.returncode == 1 and why in result.stderr
        return True
    assert not host.remaps or "these sets are active" in result.stderr, result
    return False


def test_root_on_the_set_itself(host: Host) -> None:
    host.mounted["/"] = "254:0"
    assert refused(host)
    assert host.prerm("upgrade").returncode == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_any_of_the_packages(host: Host, package: str) -> None:
    """Without the module or the hook the machine boots no better than without the command."""
    host.mounted["/"] = "254:0"
    result = host.prerm(package=package)
    assert result.returncode == 1 and result.stderr.startswith(f"{package}: "), result


NEEDED = "/srv is on data, and its line in /etc/fstab lacks \"nofail\""


def test_boot_waits_for_it(host: Host) -> None:
    host.mounted |= {"/": "8:0", "/srv": "254:0"}
    host.fstab("UUID=1234-5678 /srv ext4 defaults 0 2")
    assert refused(host, NEEDED)
    for line in ("UUID=1234-5678 /srv ext4 defaults,nofail 0 2", "/dev/sda /srv ext4 noauto 0 0",
                 "# UUID=1234-5678 /srv ext4 defaults 0 2", "/dev/sda /srv2 ext4 defaults",
                 "/dev/mapper/data none swap sw 0 0"):
        host.fstab(line)
        assert not refused(host), line


def test_a_place_with_a_blank(host: Host) -> None:
    host.mounted |= {"/": "8:0", "/a b": "254:0"}
    host.fstab("UUID=1234-5678 /a\\040b ext4 defaults 0 2")
    assert refused(host, NEEDED.replace("/srv", "/a b"))


def test_root_on_lvm_on_luks_on_md_on_a_partition_of_it(host: Host) -> None:
    host.block("254:1", "254:0", name="data1")    # as kpartx makes it
    host.block("9:0", "254:1")
    host.block("9:1", partition_of="9:0")
    host.block("254:2", "9:1", name="luks-root")
    host.block("254:3", "254:2", name="vg-root")
    host.mounted["/"] = "254:3"
    assert refused(host)


def test_root_on_btrfs_whose_second_disk_it_is(host: Host) -> None:
    host.block("8:32")
    host.mounted["/"] = "8:32"
    host.btrfs("uuid-of-8:32", "8:32", "254:0")
    assert refused(host)


def test_usr_on_it(host: Host) -> None:
    host.block("8:32")
    host.mounted |= {"/": "8:32", "/usr": "254:0"}
    assert refused(host)


def test_root_without_the_module(host: Host) -> None:
    """A set that runs as plain dm-linear (O9) is put together by the same package."""
    host.remaps, host.fallbacks = [], ["data"]
    host.mounted["/"] = "254:0"
    assert refused(host)


@pytest.mark.parametrize("name", ["data2", "dat", "d.ta"])
def test_root_elsewhere(host: Host, name: str) -> None:
    """Only a warning, also when names are alike."""
    host.block("8:32")
    host.block("8:33", partition_of="8:32")
    host.block("254:1", "8:33", name=name)
    host.mounted["/"] = "254:1"
    assert not refused(host)


def test_no_set_at_all(host: Host) -> None:
    host.remaps = []
    host.mounted["/"] = "8:0"
    result = host.prerm()
    assert (result.returncode, result.stderr) == (0, "")
