# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that run other kernels, with the module and the programs installed.

Owns the list of kernels that are booted, and build/arm64, where the programs are built
for that architecture. Callers: the tests in this directory.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.harness import headers, kernels, qemu_image, qemu_kernels, qemu_snapshot, toolchains
from tests.harness.qemu import Machine
from tests.vm import packages

# Names as in headers.MODULES; "host" is the kernel of the installed headers.
KERNELS = ["host", "6.12", "newest", "6.12-arm64"]

MODULE = "/root/dm-remap.ko"
ARM64 = kernels.BUILD / "arm64"
SOURCES = ["common", "daemon", "kmod", "packaging", "systemd", "README.md", "dkms.conf"]
BUILD_ARM64 = (
    "PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig",
    "make", "-s", "-j2", "-C", "/build/daemon", "CC=aarch64-linux-gnu-gcc-14",
    "AR=aarch64-linux-gnu-ar")
START = ("systemctl daemon-reload && udevadm control --reload && "
         "systemctl -q enable --now dm-remapd")
# depmod would read all modules, which takes minutes in an emulated guest.
LOAD = f"install dm-remap modprobe dm-mod && insmod {MODULE}\n"


@dataclass(frozen=True)
class Guest:
    """A guest that runs the kernel of IMAGE; its snapshot is in PLACE."""

    kernel: str
    image: qemu_image.Image
    place: Path


def image_of(kernel: str) -> qemu_image.Image:
    if kernel == "host":
        return qemu_image.image()
    name, toolchain = headers.MODULES[kernel]
    return qemu_kernels.image(name, toolchains.TOOLCHAINS[toolchain].architecture)


@cache
def module(kernel: str) -> headers.Built:
    return headers.build(kernel)


def _run(*command: str | Path, **more: Any) -> None:
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            stdin=subprocess.DEVNULL, **more)
    if result.returncode:
        raise kernels.BuildError(f"{command[0]} failed:\n{result.stdout[-4000:]}")


@cache
def installed_for_arm64() -> Path:
    """An archive of the files that `make install` installs, built for arm64."""
    shutil.rmtree(ARM64, ignore_errors=True)
    ARM64.mkdir(parents=True)
    tree, root = ARM64 / "tree", ARM64 / "root"
    tree.mkdir()
    for name in SOURCES:
        source = kernels.PROJECT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, symlinks=True)
        else:
            shutil.copy(source, tree / name)
    _run(*toolchains.command("arm64", tree, *BUILD_ARM64))
    _run(tree / "packaging/installer", "install",
         env={**os.environ, "DESTDIR": str(root), "PREFIX": "/usr"})
    _run("tar", "-C", root, "-czf", ARM64 / "installed.tar.gz", "usr/sbin", "usr/lib", "etc")
    return ARM64 / "installed.tar.gz"


def _install(vm: Machine, built: headers.Built, architecture: str) -> None:
    """Install the module, so that modprobe finds it, and the package; start dm-remapd."""
    vm.put(built.module, MODULE)
    vm.put(LOAD.encode(), "/etc/modprobe.d/dm-remap.conf")
    if architecture == "amd64":
        vm.put(packages.built()["dm-remap"], "/run/dm-remap.deb")
        vm.run("dpkg -i /run/dm-remap.deb && rm /run/dm-remap.deb", 300)
    else:
        vm.put(installed_for_arm64(), "/run/installed.tar.gz")
        vm.run("tar -C / --keep-directory-symlink -xzf /run/installed.tar.gz && "
               f"rm /run/installed.tar.gz && {START}", 300)
    vm.run("systemctl -q is-active dm-remapd")


def make(kernel: str, place: Path) -> Guest:
    """Make a guest of KERNEL in PLACE. What the cache lacks is made first, in minutes."""
    image = image_of(kernel)
    built = module(kernel)
    assert image.kernel_release == built.kernel_release
    qemu_snapshot.prepared(place, lambda vm: _install(vm, built, image.architecture),
                           image)
    return Guest(kernel, image, place)
