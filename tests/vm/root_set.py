# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine whose root file system is on a set: the guest's own system, moved onto one.

The packages are installed in a chroot of the guest's image, where initramfs-tools and dracut make
the images to boot from; the tree becomes the content of main, and the set is created around it.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness import qemu_dkms, qemu_image, qemu_snapshot
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine, work_dir
from tests.vm import packages

MIB = 1 << 20
UUID = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
NAME = "system"
BOOT_TIMEOUT_S = 600
# What the guest's image does not have; initramfs-tools and dracut itself exclude each other.
FROM_DEBIAN = ["initramfs-tools", "initramfs-tools-core", "linux-base", "klibc-utils", "libklibc",
               "cpio", "dracut-core", "kpartx"]
UNNEEDED = ["srv/tree", "usr/src/linux-*", "usr/lib/gcc", "usr/lib/modules/*/build",
            "usr/lib/modules/*/source", "usr/include", "debs"]
IN_CHROOT = """set -e
for name in proc dev sys; do mount --bind /$name "$1/$name"; done
exec chroot "$1" env DEBIAN_FRONTEND=noninteractive LC_ALL=C sh -ec '
dpkg -i debs/debian/*.deb
dpkg -i debs/dm-remap_*.deb debs/dm-remap-initramfs_*.deb
dpkg -i --force-depends debs/dm-remap-dracut_*.deb
mkinitramfs -o /boot/initramfs-tools.img "$0"
dracut --force --no-hostonly --no-early-microcode --add dm-remap /boot/dracut.img "$0"
' "$2"
"""


@dataclass(frozen=True)
class System:
    """A file system for main, and the images to boot from by the name of what made them."""

    root: Path
    initramfs: dict[str, Path]


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    result = subprocess.run([*command], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, f"{command[0]}:\n{result.stdout[-4000:]}"


def make_system(place: Path, size_mib: int) -> System:
    image = qemu_image.image()
    built = packages.built()
    tree = place / "tree"
    (tree / "debs/debian").mkdir(parents=True)
    _run("debugfs", "-R", f"rdump / {tree}", image.root)
    _run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *FROM_DEBIAN,
         cwd=tree / "debs/debian")
    for name, package in built.items():
        if "dbgsym" not in name:
            shutil.copy(package, tree / "debs")
    _run("tar", "-C", tree, "-xzf", qemu_dkms.installed(built["dm-remap-dkms"]))
    release = image.kernel_release
    shutil.copy(f"/lib/modules/{release}/build/.config", tree / f"boot/config-{release}")
    _run("unshare", "--mount", "sh", "-c", IN_CHROOT, "sh", tree, release)
    made = {}
    for name in ("initramfs-tools", "dracut"):
        made[name] = place / f"{name}.img"
        shutil.move(tree / f"boot/{name}.img", made[name])
    for pattern in UNNEEDED:
        for path in tree.glob(pattern):
            _run("rm", "-rf", "--one-file-system", path)
    (tree / "etc/fstab").write_text(f"UUID={UUID} / ext4 rw 0 1\n")
    _run("mke2fs", "-q", "-t", "ext4", "-U", UUID, "-d", tree, place / "root.img", f"{size_mib}M")
    _run("rm", "-rf", "--one-file-system", tree)
    return System(place / "root.img", made)


def make_set(vm: Machine, server: BlockServer, system: System) -> None:
    """Main gets the system, and becomes the main device of a set; the guest ends."""
    _run("dd", f"if={system.root}", f"of={server.disk('main').media_path}", "bs=1M",
         "conv=notrunc,sparse", "status=none")
    main, spare = (vm.add_disk(name, nbd=server.disk(name).socket_path)
                   for name in ("main", "spare"))
    vm.run(f"dmremap create {NAME} {main} {spare} --yes && dmremap deactivate {NAME} && "
           "udevadm settle")
    vm.kill()


@contextlib.contextmanager
def started(server: BlockServer, initramfs: Path, *disks: str, words: str = "") \
        -> Iterator[Machine]:
    """A machine that boots from the set; nothing waits for it yet."""
    image, _ = qemu_snapshot.snapshot()
    with work_dir() as work:
        _run("qemu-img", "create", "-q", "-f", "qcow2", "-b", image.root, "-F", "raw",
             work / "root.qcow2")
        command = qemu_snapshot.arguments(image, work / "root.qcow2", words)
        command[command.index("-initrd") + 1] = str(initramfs)
        at = command.index("-append") + 1
        command[at] = command[at].replace("root=/dev/vda rw", f"root=UUID={UUID} rw")
        with Machine([*command, "-S"], work) as vm:
            for name in disks or ("main", "spare"):
                vm.plug(name, nbd=server.disk(name).socket_path)
            vm.qmp.execute("cont")
            yield vm


@contextlib.contextmanager
def booted(server: BlockServer, initramfs: Path, words: str = "") -> Iterator[Machine]:
    with started(server, initramfs, words=words) as vm:
        vm.connect_agent(BOOT_TIMEOUT_S)
        yield vm
