# SPDX-License-Identifier: GPL-2.0-or-later
"""The other one of Debian 12 and 13: its tools build the packages and find no fault with them, and
what this machine builds installs there.

In a chroot of that release, which tests/setup has filled.
"""

import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import apt, deb_chroot, debian
from tests.packages import test_build
from tests.vm import packages

if not debian.is_root():
    pytest.skip("a chroot wants root: use sudo", allow_module_level=True)

# What apt would do is shown, and not done.
DRY = """echo 'APT::Get::Simulate "true";' >/etc/apt/apt.conf.d/99dry && /setup check"""


@functools.cache
def name() -> str:
    try:
        debian.release(debian.other())
    except apt.AptError as error:
        pytest.skip(f"no Debian {debian.other()}: {error}")
    return debian.other()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A copy of the chroot."""
    root = debian.copy(deb_chroot.chroot(name()), tmp_path / "root")
    yield root
    debian.remove(root)


@pytest.fixture(scope="module")
def built() -> Path:
    """Where the packages are that were built there, with the unit tests."""
    return deb_chroot.built(name(), "")


def test_lintian(built: Path, root: Path) -> None:
    """Not even pedantic ones; what is overridden says why, in the overrides."""
    shutil.copytree(built, root / "packages")
    said = debian.in_chroot(root, " ".join(["cd /packages &&", *test_build.LINTIAN, "*.changes"]))
    assert test_build.complaints(said) == []


def test_units_are_enabled(built: Path) -> None:
    """debhelper of each release finds the unit where it was installed."""
    package, = built.glob("dm-remap_*.deb")
    listed = subprocess.run(["dpkg-deb", "-c", package], check=True, capture_output=True,
                            text=True).stdout
    assert listed.count("/systemd/system/dm-remapd.service") == 1
    scripts = subprocess.run(["dpkg-deb", "-I", package, "postinst"], check=True,
                             capture_output=True, text=True).stdout
    assert "deb-systemd-helper enable 'dm-remapd.service'" in scripts.replace("--quiet ", "")


def test_what_setup_would_install_is_offered(root: Path) -> None:
    said = debian.chroot(root, DRY).stdout
    assert "installing:" in said and "apt said it was done, but these are still missing" in said
    assert "apt could not install" not in said and "apt-get update failed" not in said


def test_the_packages_of_this_machine_install(root: Path) -> None:
    """One release's packages are good for the other."""
    shutil.copy(packages.built_here()["dm-remap"], root / "dm-remap.deb")
    debian.in_chroot(root, "cd / && apt-get -q -y update && apt-get -q -y install "
                           "--no-install-recommends ./dm-remap.deb")
    assert debian.in_chroot(root, "dmremap --version").startswith("dmremap ")
    assert debian.in_chroot(root, "dm-remapd --version").startswith("dm-remapd ")
