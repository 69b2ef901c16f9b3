# SPDX-License-Identifier: GPL-2.0-or-later
"""dm-remap.ko for other Debian kernels than User Mode Linux's and the guest's.

Owns the table of such modules and build/headers/<name>/, where each is built, in the
chroot of its toolchain. "host" is the kernel of the installed headers.
Callers: tests/kernels, tests/packages, developers.

    python3 -m tests.harness.headers host|6.12|newest|…      build it, print the path
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness import cache, clang_config, debian_kernels, kernels, qemu_image, toolchains
from tests.harness.debian_kernels import Unavailable
from tests.harness.toolchains import TOOLCHAINS

PLACE = kernels.PROJECT / "build" / "headers"

# Modules by name: of which kernel, and what builds them.
MODULES = {f"{kernel}{suffix}": (kernel, toolchain)
           for toolchain, suffix in (("gcc", ""), ("arm64", "-arm64"), ("clang", "-clang"))
           for kernel in debian_kernels.KERNELS}
# Those that the usual compiler builds, and those that need another one.
KERNELS = ["host", *debian_kernels.KERNELS]
OTHERS = [name for name in MODULES if name not in KERNELS]

# Without a BTF of the kernel itself there is none to make for the module.
BUILD_OPTIONS = ["W=1", "KCFLAGS=-Werror", "CONFIG_DEBUG_INFO_BTF_MODULES="]
OPTIONS: dict[str, list[str]] = {
    "gcc": [], "arm64": ["ARCH=arm64"],
    "clang": ["LLVM=-19", "CC=clang-19", "KCFLAGS=-Werror -Wno-unknown-warning-option"],
}


@dataclass(frozen=True)
class Built:
    """A finished module: for which kernel, and what the build said."""

    module: Path
    kernel_release: str
    output: str


def compiler(name: str) -> str:
    """The compiler of module NAME."""
    if name != "host":
        return TOOLCHAINS[MODULES[name][1]].program
    makefile = Path(f"/lib/modules/{qemu_image.kernel_release()}/build/.kernelvariables")
    found = re.search(r"gcc-\d+", makefile.read_text()) if makefile.is_file() else None
    return found.group() if found else "gcc"


def build(name: str) -> Built:
    """dm-remap.ko of NAME, all of it built anew: a file that is up to date shows no warnings."""
    with cache.locked(kernels.BUILD / f".headers-{name}.lock"):
        return _build(name)


def _build(name: str) -> Built:
    place = PLACE / name
    shutil.rmtree(place, ignore_errors=True)
    kernels.mirror_sources(place)
    jobs = f"-j{os.cpu_count() or 1}"
    if name == "host":
        release = qemu_image.kernel_release()
        command = ["make", "-C", str(place / "kmod"), f"KDIR=/lib/modules/{release}/build", jobs,
                   *BUILD_OPTIONS]
    else:
        kernel, toolchain = MODULES[name]
        release = debian_kernels.find(kernel, TOOLCHAINS[toolchain].architecture).release
        headers = f"/usr/src/linux-headers-{release}"
        if toolchain == "clang":
            original, headers = toolchains.chroot(toolchain) / headers[1:], "/build/headers"
            clang_config.copy(original, place / "headers", headers)
        command = toolchains.command(toolchain, place, "make", "-C", "/build/kmod",
                                     f"KDIR={headers}", jobs, *BUILD_OPTIONS,
                                     *OPTIONS[toolchain])
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            stdin=subprocess.DEVNULL)
    module = place / "kmod" / "dm-remap.ko"
    if result.returncode or not module.is_file():
        raise kernels.BuildError(f"dm-remap.ko does not build for Linux {release}:\n"
                                 f"{result.stdout}")
    return Built(module, release, result.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.harness.headers")
    parser.add_argument("module", choices=[*KERNELS, *OTHERS])
    try:
        print(build(parser.parse_args().module).module)
    except (Unavailable, kernels.BuildError, qemu_image.ImageError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
