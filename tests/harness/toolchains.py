# SPDX-License-Identifier: GPL-2.0-or-later
"""Compilers for other kernels: a chroot for each, with the kernels' headers, in the cache.

Owns the table of toolchains. The newest kernel's build tools do not run on an older Debian,
so each chroot has the release that the kernels come from. Callers: headers.py, tests/kernels.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness import apt, cache, debian_kernels, kernels
from tests.harness.debian_kernels import Unavailable


@dataclass(frozen=True)
class Toolchain:
    """A compiler and the packages that it needs, for an ARCHITECTURE.

    LIBRARIES are packages of that architecture, which the project's programs need.
    """

    program: str
    packages: list[str]
    architecture: str = "amd64"
    libraries: tuple[str, ...] = ()


TOOLCHAINS = {
    "gcc": Toolchain("gcc-14", ["gcc-14"]),
    "arm64": Toolchain("aarch64-linux-gnu-gcc-14",
                       ["gcc-14", "gcc-14-aarch64-linux-gnu", "pkgconf"], "arm64",
                       ("libc6-dev", "libdevmapper-dev", "libudev-dev", "libsystemd-dev",
                        "libnl-3-dev", "libnl-genl-3-dev", "libblkid-dev", "libsmartcols-dev",
                        "zlib1g-dev")),
    "clang": Toolchain("clang-19", ["clang-19", "lld-19", "llvm-19"]),
}

IN_CHROOT = """set -e
mount -t proc proc "$1/proc"
mount --bind "$2" "$1/build"
root=$1
shift 2
exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"
"""


def _header_packages(toolchain: Toolchain) -> dict[str, list[str]]:
    """Packages by their architecture: the kernel's build tools have that of the chroot."""
    packages: dict[str, list[str]] = {"amd64": []}
    for kernel in debian_kernels.offered(toolchain.architecture).values():
        own, *common = kernel.headers
        packages.setdefault(toolchain.architecture, []).append(own)
        packages["amd64"] += common
    return packages


def _make_chroot(toolchain: Toolchain, scratch: Path) -> None:
    packages = _header_packages(toolchain)
    print(f"fetching {toolchain.program} and {', '.join(sum(packages.values(), []))} from Debian "
          f"{debian_kernels.RELEASE}: about two minutes, once", file=sys.stderr, flush=True)
    root = scratch / "root"
    sources = scratch / "sources.list"
    architectures = dict.fromkeys(["amd64", toolchain.architecture])
    sources.write_text("".join(debian_kernels.debian(name).sources[part]
                               for name in architectures for part in ("", "security")))
    unwanted = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    libraries = [f"{name}:{toolchain.architecture}" for name in toolchain.libraries]
    include = ",".join(["make", "perl", "pahole", "libelf1t64", *toolchain.packages, *libraries])
    making = ["mmdebstrap", "--variant=essential", "--mode=root", "--format=directory",
              f"--architectures={','.join(architectures)}", f"--include={include}",
              '--aptopt=Apt::Install-Recommends "false"',
              *(f"--aptopt={line}" for line in apt.acquire_options()),
              *unwanted, debian_kernels.RELEASE, str(root), str(sources)]
    result = subprocess.run(making, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        tail = "\n".join(result.stderr.splitlines()[-10:])
        raise kernels.BuildError(f"mmdebstrap cannot make a chroot of Debian "
                                 f"{debian_kernels.RELEASE}:\n{tail}")
    for architecture, names in packages.items():
        debian_kernels.unpack(names, root, architecture)
    (root / "build").mkdir()
    sources.unlink()


def chroot(name: str) -> Path:
    """The chroot of toolchain NAME with the headers of all kernels, made if need be."""
    toolchain = TOOLCHAINS[name]
    if os.geteuid():
        raise kernels.BuildError("a chroot with another kernel's compiler needs root: use sudo")
    if not shutil.which("mmdebstrap"):
        raise kernels.BuildError("mmdebstrap is missing: run `tests/setup check` as root")
    try:
        words = [word for kernel in debian_kernels.offered(toolchain.architecture).values()
                 for word in (kernel.version, *kernel.headers)]
        versions = [version for package in toolchain.packages
                    for version in debian_kernels.debian().versions(package)]
        key = cache.key_of(Path(__file__), *words, *versions)
        place = cache.entry(f"headers-{name}", key,
                            lambda scratch: _make_chroot(toolchain, scratch))
    except apt.AptError as error:
        raise Unavailable(f"no headers for {toolchain.program}: {error}") from error
    return place / "root"


def command(name: str, place: Path, *words: str) -> list[str]:
    """The command that runs WORDS in the chroot of toolchain NAME, where PLACE is /build."""
    # The mounts are in a namespace of their own and vanish with it.
    return ["unshare", "--mount", "sh", "-c", IN_CHROOT, "sh", str(chroot(name)), str(place),
            *words]
