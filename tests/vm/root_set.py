# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine whose root file system is on a set: a minimal system, moved onto one.

apt installs the packages in a chroot of the system, where initramfs-tools and dracut, which exclude
each other, make the images to boot from; its tree becomes the content of main, and the set is
created around it.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness import debian, minimal, qemu_image, qemu_snapshot
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine, work_dir
from tests.vm import minimal_guest

MIB = 1 << 20
UUID = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
NAME = "system"
PROGRAMS = ("initramfs-tools", "dracut")
BOOT_TIMEOUT_S = 600
UNNEEDED = ["usr/src/linux-*", "usr/lib/gcc", "usr/lib/modules/*/build",
            "usr/lib/modules/*/source", "usr/include", "debs"]


@dataclass(frozen=True)
class System:
    """A file system for main, and the images to boot from by the name of what made them.

    SOURCE is what fstab and the kernel's command line call the file system. UPGRADES are other
    kernels by their release, with what apt made for them once everything else was installed.
    """

    root: Path
    source: str
    initramfs: dict[str, Path]
    image: qemu_image.Image
    upgrades: dict[str, qemu_image.Image]


def _run(*command: str | Path) -> None:
    result = subprocess.run([*command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, f"{command[0]}:\n{result.stdout[-4000:]}"


def unlocking() -> list[str]:
    """The package that unlocks what crypttab lists; on Debian 12 it is part of systemd's."""
    return [] if qemu_image.distribution() == "bookworm" else ["systemd-cryptsetup"]


def _dracut_image(tree: minimal_guest.Tree, place: Path) -> Path:
    """In a copy: initramfs-tools and dracut exclude each other."""
    other = tree.copy(place / "dracut")
    other.apt_install("dm-remap-dracut")
    # No file system of this machine, on which the chroot lies, is to be looked for at boot.
    other.run("dracut --force --no-hostonly --no-early-microcode /boot/dracut.img "
              f"{tree.kernel_release}")
    image = Path(shutil.move(other.root / "boot/dracut.img", place / "dracut.img"))
    debian.remove(other.root)
    return image


def _upgrade(tree: minimal_guest.Tree, place: Path, release: str) -> qemu_image.Image:
    """Install a kernel: DKMS builds the module, and update-initramfs makes the image."""
    tree.apt_install(f"linux-image-{release}", f"linux-headers-{release}")
    kernel = place / release
    kernel.mkdir()
    shutil.copy(tree.root / f"boot/vmlinuz-{release}", kernel / "vmlinuz")
    shutil.copy(tree.root / f"boot/initrd.img-{release}", kernel / "initramfs")
    return qemu_image.Image(kernel, release)


def make_system(place: Path, size_mib: int, programs: Sequence[str] = PROGRAMS,
                source: str = f"UUID={UUID}",
                prepare: Callable[[minimal_guest.Tree], None] = lambda tree: None,
                upgrades: Sequence[str] = ()) -> System:
    """PREPARE adds what the system needs beside the packages, before the image is made."""
    tree = minimal_guest.unpack(place)
    release = tree.kernel_release
    tree.apt_install(f"linux-headers-{release}", "dm-remap", "dm-remap-dkms")
    (tree.root / "etc/fstab").write_text(f"{source} / ext4 rw 0 1\n")
    prepare(tree)
    made = {}
    if "dracut" in programs:
        made["dracut"] = _dracut_image(tree, place)
    tree.apt_install("dm-remap-initramfs")
    made["initramfs-tools"] = Path(shutil.copy(tree.root / f"boot/initrd.img-{release}",
                                               place / "initramfs-tools.img"))
    others = {name: _upgrade(tree, place, name) for name in upgrades}
    for pattern in UNNEEDED:
        for path in tree.root.glob(pattern):
            _run("rm", "-rf", "--one-file-system", path)
    _run("mke2fs", "-q", "-t", "ext4", "-U", UUID, "-d", tree.root, place / "system.img",
         f"{size_mib}M")
    debian.remove(tree.root)
    return System(place / "system.img", source, made, minimal.system().image(place), others)


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
def started(server: BlockServer, system: System, program: str, *disks: str, words: str = "",
            upgrade: str = "") -> Iterator[Machine]:
    """A machine that boots from the set; nothing waits for it yet.

    PROGRAM made its initramfs. It has DISKS, by default all of the server's, and the kernel
    UPGRADE, by default the first one.
    """
    image = system.upgrades[upgrade] if upgrade else system.image
    with work_dir() as work:
        _run("qemu-img", "create", "-q", "-f", "qcow2", work / "root.qcow2", "1M")
        command = qemu_snapshot.arguments(image, work / "root.qcow2", words)
        if not upgrade:
            command[command.index("-initrd") + 1] = str(system.initramfs[program])
        at = command.index("-append") + 1
        command[at] = command[at].replace("root=/dev/vda rw", f"root={system.source} rw")
        with Machine([*command, "-S"], work) as vm:
            for name in disks or [disk.name for disk in server.disks()]:
                vm.plug(name, nbd=server.disk(name).socket_path)
            vm.qmp.execute("cont")
            yield vm


@contextlib.contextmanager
def booted(server: BlockServer, system: System, program: str, words: str = "",
           upgrade: str = "") -> Iterator[Machine]:
    with started(server, system, program, words=words, upgrade=upgrade) as vm:
        vm.connect_agent(BOOT_TIMEOUT_S)
        yield vm


def free_places(vm: Machine, device: str) -> list[int]:
    """Sectors of a file system that no file has yet: one in each MiB."""
    ranges = vm.text(f"dumpe2fs {device} 2>/dev/null | sed -n 's/^  Free blocks: //p'")
    found: list[int] = []
    for part in ranges.replace("\n", ",").split(","):
        first, _, last = part.strip().partition("-")
        if first:
            found += range(int(first) * 8, int(last or first) * 8 + 1, 2048)
    return found
