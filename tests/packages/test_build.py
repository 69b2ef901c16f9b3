# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages are as Debian wants them, and the same bytes in each build of the same source."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.kernels import PROJECT
from tests.vm import packages


@pytest.fixture(scope="module")
def built() -> Path:
    """The directory with the packages that were built from this tree."""
    packages.built()
    return packages.PLACE


def tool(name: str) -> str:
    return shutil.which(name) or pytest.fail(f"{name} is missing: run `tests/setup check` as root")


LINTIAN = ("lintian", "--allow-root", "--pedantic", "--display-info")
# What only one release's lintian says. An override of a tag that the other one's does not know, or
# does not give, would be a complaint of its own.
ANSWERED = {
    # 12: the daemon speaks sd_notify and writes to the journal. Activation needs no daemon: udev's
    # rules do it where there is no systemd.
    "I: dm-remap: package-supports-alternative-init-but-no-init.d-script",
    # 13: the policy is that of the oldest release that the packages are for.
    "I: dm-remap source: out-of-date-standards-version",
}


def complaints(said: str) -> list[str]:
    """Lines of lintian's that nothing answers."""
    return [line for line in said.splitlines()
            if not line.startswith(("N:", *(f"{answered} " for answered in ANSWERED)))]


def test_lintian(built: Path) -> None:
    """Not even pedantic ones; what is overridden says why, in the overrides."""
    changes, = built.glob("*.changes")
    result = subprocess.run([tool(LINTIAN[0]), *LINTIAN[1:], str(changes)], capture_output=True,
                            text=True)
    assert complaints(result.stdout) == [] and result.returncode == 0, result.stderr


def test_hardening(built: Path) -> None:
    result = subprocess.run([tool("blhc"), "--all", built / "build.log"], capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stdout


def control(package: Path, field: str) -> str:
    return subprocess.run(["dpkg-deb", "-f", package, field], check=True, capture_output=True,
                          text=True).stdout.strip()


def test_headers_are_recommended(built: Path) -> None:
    package, = built.glob("dm-remap-dkms_*.deb")
    assert "linux-headers-amd64 |" in control(package, "Recommends")
    assert re.search(r"\bdkms\b", control(package, "Depends"))


def files_of(package: Path) -> list[str]:
    listed = subprocess.run(["dpkg-deb", "-c", package], check=True, capture_output=True,
                            text=True).stdout
    return [line.split()[5] for line in listed.splitlines() if not line.endswith("/")]


def test_each_installed_file_is_in_one_package(built: Path, tmp_path: Path) -> None:
    subprocess.run(["make", "-s", "-C", PROJECT, "install", f"DESTDIR={tmp_path}"], check=True)
    installed = {re.sub(r"^usr/lib/(systemd/system/)", r"lib/\1", str(path.relative_to(tmp_path)))
                 for path in tmp_path.rglob("*") if path.is_file()}
    packaged = [re.sub(r"^usr/lib/(systemd/system/)", r"lib/\1",
                       name.removeprefix("./").removesuffix(".gz"))
                for package in built.glob("*.deb") if "dbgsym" not in package.name
                for name in files_of(package)]
    assert sorted(name for name in packaged
                  if not re.search(r"/(changelog\.Debian|copyright|README\.Debian|lintian/.*)$",
                                   name)) == sorted(installed)


def test_licences() -> None:
    """Each licence that a file names has its text in the copyright file."""
    text = (PROJECT / "packaging/debian/copyright").read_text()
    for licence in ("GPL-2.0-or-later", "GPL-2.0-only", "GPL-2.0-only-syscall", "BSD-3-Clause"):
        assert re.search(rf"^License: {re.escape(licence)}\n .+", text, re.M), licence
    assert "THIS SOFTWARE IS PROVIDED" in text and "normal system calls" in text


def sums(place: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in [*place.glob("*.deb"), *place.glob("*.tar.xz"), *place.glob("*.dsc")]}


def test_reproducible(built: Path, tmp_path: Path) -> None:
    """From a tarball instead of a clone, in another place, by another hand, with files of
    another age."""
    source, = built.glob("*.orig.tar.xz")
    (tmp_path / "elsewhere").mkdir()
    subprocess.run(["tar", "-C", tmp_path / "elsewhere", "-xf", source], check=True)
    tree, = (tmp_path / "elsewhere").iterdir()
    for path in tree.rglob("*"):
        os.utime(path, (1e9, 1e9), follow_symlinks=False)
    subprocess.run(["sh", "-c", "umask 077; exec make -s -C $0 deb", tree], check=True,
                   stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                   env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8",
                        "TZ": "Pacific/Chatham", "DEB_BUILD_OPTIONS": "nocheck parallel=1"})
    assert sums(tree / "build/deb") == sums(built)
