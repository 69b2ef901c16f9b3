# SPDX-License-Identifier: GPL-2.0-or-later
"""A minimal system in which apt installs the packages, in a chroot, and a machine that boots it.

Unlike the tests' guest it has nothing that the packages do not ask for.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness import debian, minimal, qemu_image, qemu_snapshot
from tests.harness.qemu import Machine
from tests.vm import packages

APT = "cd / && apt-get -q -y -o Dpkg::Use-Pty=0 install {}"


@dataclass(frozen=True)
class Tree:
    """A system that is being changed, as a directory; our packages are in /debs, not installed."""

    root: Path
    kernel_release: str

    def apt_install(self, *names: str, recommends: bool = False) -> str:
        """What apt says; ours are named as such, others by what apt calls them."""
        words = [f"./debs/{name}.deb" if (self.root / f"debs/{name}.deb").exists() else name
                 for name in names]
        option = "--install-recommends" if recommends else "--no-install-recommends"
        return debian.in_chroot(self.root, APT.format(" ".join([option, *words])))

    def run(self, script: str) -> str:
        return debian.in_chroot(self.root, script)

    def modules(self, release: str = "*") -> list[Path]:
        """dm-remap for that kernel, or any, where DKMS puts it."""
        return [*self.root.glob(f"usr/lib/modules/{release}/updates/dkms/dm-remap.ko*")]

    def copy(self, place: Path) -> "Tree":
        return Tree(debian.copy(self.root, place), self.kernel_release)


def other_kernels() -> list[str]:
    """Releases of the kernels that apt offers to this system beside its own, newest first."""
    offered = debian.release(qemu_image.distribution())
    return [name.removeprefix("linux-image-")
            for version in offered.versions("linux-image-amd64")[1:]
            for name in offered.depends("linux-image-amd64", version)
            if name.startswith("linux-image-")]


def unpack(place: Path) -> Tree:
    """The minimal system in PLACE/tree, with package lists that are up to date."""
    system = minimal.system()
    tree = Tree(debian.copy(system.tree, place / "tree"), system.kernel_release)
    (tree.root / "debs").mkdir()
    for name, package in packages.built().items():
        shutil.copy(package, tree.root / f"debs/{name}.deb")
    tree.run("apt-get -q update")
    return tree


def make_image(tree: Tree, place: Path) -> qemu_image.Image:
    """A disk with the system in PLACE, and what boots it; the tree is gone then."""
    debian.remove(tree.root / "debs")
    qemu_image.make_disk(tree.root, place / "root.img")
    return minimal.system().image(place)


def disk(image: qemu_image.Image, place: Path) -> Path:
    """A root disk for a machine, which boots from it as often as is wanted."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image.root, "-F", "raw",
                    place], check=True)
    return place


@contextlib.contextmanager
def booted(image: qemu_image.Image, root_disk: Path, plug: Callable[[Machine], None]) \
        -> Iterator[Machine]:
    """A machine that has booted without a complaint; it has none at the end either."""
    with qemu_snapshot.booted(root_disk, plug, image=image) as vm:
        state = vm.run("systemctl is-system-running --wait", 180, check=False).out.strip()
        assert state == "running", vm.text("systemctl --failed --no-legend")
        yield vm
        if vm.process.poll() is None:
            assert vm.complaints() == []
