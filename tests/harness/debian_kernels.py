# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernels other than this machine's, and their packages.

Owns the table of them. Packages come from RELEASE and its PARTS, of which backports has the
newest kernel. Callers: headers.py, toolchains.py, qemu_kernels.py.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.harness import apt

RELEASE = "trixie"
PARTS = ["security", "backports"]

# Each is the newest version of the package linux-headers-ARCHITECTURE that matches.
KERNELS = {"6.12": r"6\.12\.", "newest": r""}


class Unavailable(Exception):
    """The mirror does not have that kernel; the text says so."""


@dataclass(frozen=True)
class Kernel:
    """One kernel's packages: its release (7.3.4+deb13-amd64), their version and names."""

    release: str
    version: str
    headers: list[str]
    image: list[str]

    @property
    def words(self) -> list[str]:
        """All names and versions, for a key."""
        return [self.version, *self.headers, *self.image]


@cache
def debian(architecture: str = "amd64") -> apt.Release:
    try:
        return apt.Release(RELEASE, PARTS, architecture)
    except apt.AptError as error:
        raise Unavailable(f"no kernels of Debian {RELEASE} for {architecture}: {error}") from error


@cache
def offered(architecture: str = "amd64") -> dict[str, Kernel]:
    """Which of KERNELS the mirror has."""
    release = debian(architecture)
    meta = f"linux-headers-{architecture}"
    found: dict[str, Kernel] = {}
    versions = release.versions(meta)
    for kernel, pattern in KERNELS.items():
        version = next((v for v in versions if re.match(pattern, v)), None)
        if version is None:
            continue
        package, = (name for name in release.depends(meta, version)
                    if re.match(r"linux-headers-\d", name))
        name = package.removeprefix("linux-headers-")
        headers = [other for other in release.depends(package, version)
                   if re.match(r"linux-(headers-.*-common|kbuild-.*)$", other)]
        # newer kernels consist of several packages
        parts = [f"linux-{part}-{name}" for part in ("binary", "modules", "base")]
        image = [other for other in release.depends(f"linux-image-{name}", version)
                 if other in parts]
        found[kernel] = Kernel(name, version, [package, *headers],
                               [f"linux-image-{name}", *image])
    return found


def find(kernel: str, architecture: str = "amd64") -> Kernel:
    try:
        return offered(architecture)[kernel]
    except KeyError:
        trouble = debian(architecture).trouble
        raise Unavailable(f"this machine's mirror offers no Linux {kernel} for {architecture} in "
                          f"Debian {RELEASE} and its {' and '.join(PARTS)}"
                          + (f": {trouble}" if trouble else "")) from None
    except apt.AptError as error:
        raise Unavailable(f"no Linux {kernel}: {error}") from error


def unpack(packages: list[str], root: Path, architecture: str = "amd64") -> None:
    """Unpack PACKAGES below ROOT without running their scripts."""
    with tempfile.TemporaryDirectory(prefix="dm-remap-debs-") as place:
        for package in debian(architecture).download(Path(place), packages):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)
