# SPDX-License-Identifier: GPL-2.0-or-later
"""dm-remap.ko for other Debian kernels than User Mode Linux's and the guest's.

Owns the list of those kernels, the directory (in the cache) with their headers and
the compiler that they want, and build/headers/<kernel>/. The newest kernel's own
build tools do not run on an older Debian, so all are built in a chroot of the
release that they come from; "host" is the kernel of the installed headers.
Callers: tests/kernels, run, developers.

    python3 -m tests.harness.headers host|6.12|newest      build it, print the path
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness import apt, cache, kernels, qemu_image

RELEASE = "trixie"
PARTS = ["security", "backports"]
COMPILER = "gcc-14"
PLACE = kernels.PROJECT / "build" / "headers"

# Which version of the package linux-headers-amd64 is meant: the newest one that matches.
FOREIGN = {"6.12": r"6\.12\.", "newest": r""}
KERNELS = ["host", *FOREIGN]

# Without a BTF of the kernel itself there is none to make for the module.
BUILD_OPTIONS = ["W=1", "KCFLAGS=-Werror", "CONFIG_DEBUG_INFO_BTF_MODULES="]

IN_CHROOT = """set -e
mount -t proc proc "$1/proc"
mount --bind "$2" "$1/build"
root=$1
shift 2
exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"
"""


class Unavailable(Exception):
    """The mirror does not have that kernel; the text says so."""


@dataclass(frozen=True)
class Built:
    """A finished module: for which kernel, and what the build said."""

    module: Path
    kernel_release: str
    output: str


@dataclass(frozen=True)
class _Headers:
    """One kernel's header packages: its release (7.3.4+deb13-amd64), their version and names."""

    kernel_release: str
    version: str
    packages: list[str]


def _offered(debian: apt.Release) -> dict[str, _Headers]:
    """Which of the FOREIGN kernels the mirror has."""
    found: dict[str, _Headers] = {}
    versions = debian.versions("linux-headers-amd64")
    for kernel, pattern in FOREIGN.items():
        version = next((v for v in versions if re.match(pattern, v)), None)
        if version is None:
            continue
        package, = (name for name in debian.depends("linux-headers-amd64", version)
                    if name.startswith("linux-headers-"))
        needed = [name for name in debian.depends(package, version)
                  if re.match(r"linux-(headers-.*-common|kbuild-.*)$", name)]
        found[kernel] = _Headers(package.removeprefix("linux-headers-"), version,
                                 [package, *needed])
    return found


def _make_chroot(debian: apt.Release, offered: dict[str, _Headers], scratch: Path) -> None:
    print(f"fetching a compiler and the headers of Linux "
          f"{' and '.join(headers.version for headers in offered.values())} from Debian "
          f"{RELEASE}: about two minutes, once", file=sys.stderr, flush=True)
    root = scratch / "root"
    sources = scratch / "sources.list"
    sources.write_text(debian.sources[""] + debian.sources["security"])
    unwanted = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    command = ["mmdebstrap", "--variant=essential", "--mode=root", "--format=directory",
               f"--include=make,perl,pahole,libelf1t64,{COMPILER}",
               '--aptopt=Apt::Install-Recommends "false"',
               *(f"--aptopt={line}" for line in apt.acquire_options()),
               *unwanted, RELEASE, str(root), str(sources)]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        tail = "\n".join(result.stderr.splitlines()[-10:])
        raise kernels.BuildError(f"mmdebstrap cannot make a chroot of Debian {RELEASE}:\n{tail}")
    for headers in offered.values():
        packages = scratch / headers.kernel_release
        packages.mkdir()
        for package in debian.download(packages, headers.packages):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)
        shutil.rmtree(packages)
    (root / "build").mkdir()
    sources.unlink()


def _chroot(kernel: str) -> tuple[Path, str]:
    """The chroot with the headers of a FOREIGN kernel, made if need be; the kernel's release."""
    if os.geteuid():
        raise kernels.BuildError("a chroot with another kernel's compiler needs root: use sudo")
    if not shutil.which("mmdebstrap"):
        raise kernels.BuildError("mmdebstrap is missing: run `tests/setup check` as root")
    try:
        debian = apt.Release(RELEASE, PARTS)
        offered = _offered(debian)
        if kernel not in offered:
            raise Unavailable(f"this machine's mirror offers no headers of Linux {kernel} in "
                              f"Debian {RELEASE} and its {' and '.join(PARTS)}"
                              + (f": {debian.trouble}" if debian.trouble else ""))
        names = [text for headers in offered.values()
                 for text in (headers.version, *headers.packages)]
        key = cache.key_of(Path(__file__), *names, *debian.versions(COMPILER))
        place = cache.entry("headers", key,
                            lambda scratch: _make_chroot(debian, offered, scratch))
    except apt.AptError as error:
        raise Unavailable(f"no headers of Linux {kernel}: {error}") from error
    return place / "root", offered[kernel].kernel_release


def build(kernel: str) -> Built:
    """dm-remap.ko for KERNEL, all of it built anew: a file that is up to date shows no warnings."""
    place = PLACE / kernel
    shutil.rmtree(place, ignore_errors=True)
    kernels.mirror_sources(place)
    jobs = f"-j{os.cpu_count() or 1}"
    if kernel == "host":
        release = qemu_image.kernel_release()
        command = ["make", "-C", str(place / "kmod"), f"KDIR=/lib/modules/{release}/build", jobs,
                   *BUILD_OPTIONS]
    else:
        root, release = _chroot(kernel)
        # The mounts are in a namespace of their own and vanish with it.
        command = ["unshare", "--mount", "sh", "-c", IN_CHROOT, "sh", str(root), str(place),
                   "make", "-C", "/build/kmod", f"KDIR=/usr/src/linux-headers-{release}", jobs,
                   *BUILD_OPTIONS]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            stdin=subprocess.DEVNULL)
    module = place / "kmod" / "dm-remap.ko"
    if result.returncode or not module.is_file():
        raise kernels.BuildError(f"dm-remap.ko does not build for Linux {release}:\n"
                                 f"{result.stdout}")
    return Built(module, release, result.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.harness.headers")
    parser.add_argument("kernel", choices=KERNELS)
    try:
        print(build(parser.parse_args().kernel).module)
    except (Unavailable, kernels.BuildError, qemu_image.ImageError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
