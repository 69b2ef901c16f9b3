# SPDX-License-Identifier: GPL-2.0-or-later
"""The rpm packages: they build, rpmlint has nothing to say, their files and scriptlets are right.

No rpm distribution is here to install them on: into a directory, without dependencies.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.harness.kernels import PROJECT
from tests.packages.test_removal import Host, host  # noqa: F401

PLACE = PROJECT / "build" / "rpm"
NAMES = ["dm-remap", "dm-remap-cockpit", "dm-remap-dkms", "dm-remap-dracut"]
# The page for Cockpit is nothing that a boot needs.
NEEDED = [name for name in NAMES if name != "dm-remap-cockpit"]


@cache
def built() -> dict[str, Path]:
    for tool in ("rpmbuild", "rpmlint"):
        if not shutil.which(tool):
            pytest.fail(f"{tool} is missing: run `tests/setup check` as root")
    subprocess.run(["make", "-s", "-C", PROJECT, "rpm", "RPM_OPTIONS=--without check"], check=True,
                   stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return {query(path, "%{NAME}"): path for path in PLACE.glob("*.rpm")
            if not path.name.endswith(".src.rpm")}


def query(package: Path, what: str) -> str:
    return subprocess.run(["rpm", "-qp", "--qf", what, package], check=True, capture_output=True,
                          text=True).stdout


def test_packages() -> None:
    assert sorted(built()) == NAMES


def test_rpmlint() -> None:
    """What stays has its reason in packaging/rpm/rpmlint.toml."""
    here = PROJECT / "packaging/rpm"
    result = subprocess.run(["rpmlint", "-c", here / "rpmlint.toml", here / "dm-remap.spec",
                             *built().values(), *PLACE.glob("*.src.rpm")], capture_output=True,
                            text=True)
    said = re.findall(r"^\S+: [WE]: .*$", result.stdout, re.M)
    assert said == [] and re.search(r"\b0 errors, 0 warnings", result.stdout), result.stdout


def test_installed_into_a_root(tmp_path: Path) -> None:
    """All that `make install` installs, but for what Debian's initramfs and kernels call."""
    root, wanted = tmp_path / "root", tmp_path / "wanted"
    subprocess.run(["rpm", "--root", root, "-i", "--nodeps", "--noscripts", "--ignorearch",
                    *built().values()], check=True)
    subprocess.run(["make", "-s", "-C", PROJECT, "install", f"DESTDIR={wanted}"], check=True)

    def files(place: Path) -> set[str]:
        return {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()
                and not re.search(r"/\.build-id/|/initramfs-tools/|/etc/kernel/|/\.?rpm(db)?/",
                                      str(path))}

    assert files(root) == files(wanted)
    for path in files(root):
        ours, theirs = os.stat(root / path), os.stat(wanted / path)
        assert (ours.st_mode, ours.st_uid, ours.st_gid) == (theirs.st_mode, 0, 0), path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tag", ["POSTIN", "PREUN", "POSTUN"])
def test_scriptlets_are_shell(name: str, tag: str) -> None:
    text = query(built()[name], f"%{{{tag}}}")
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    assert "%{" not in text


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace wants root: use sudo")
@pytest.mark.parametrize("name", NEEDED)
def test_removal(host: Host, tmp_path: Path, name: str) -> None:    # noqa: F811
    """O26, as with the packages of Debian: not from under the root file system."""
    script = tmp_path / "preun"
    script.write_text(query(built()[name], "%{PREUN}"))
    host.mounted["/"] = "254:0"
    refused = host.run(script, "0")
    assert refused.returncode == 1 and refused.stderr.startswith(f"{name}: "), refused
    assert "this machine would not boot" in refused.stderr
    assert not (tmp_path / "calls").exists()
    assert host.run(script, "1").returncode == 0, "an upgrade"
    host.mounted["/"] = "8:0"
    assert host.run(script, "0").returncode == 0
    assert (tmp_path / "calls").exists() == (name == "dm-remap-dkms") \
        or name == "dm-remap" and Path("/run/systemd/system").is_dir()


def test_module_is_built_and_its_lack_is_told(tmp_path: Path) -> None:
    """DKMS of rpm distributions is not told by kernel packages what is missing."""
    script = query(built()["dm-remap-dkms"], "%{POSTIN}")
    dkms = tmp_path / "dkms"
    for code, told in ((0, ""), (1, "install kernel-devel-")):
        dkms.write_text(f"#!/bin/sh\necho $1 >>{tmp_path}/calls\nexit {code}\n")
        dkms.chmod(0o755)
        ran = subprocess.run(["sh", "-c", script, "sh", "1"], capture_output=True, text=True,
                             env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
        assert ran.returncode == 0 and told in ran.stderr
        assert bool(ran.stderr) == bool(told)
    assert (tmp_path / "calls").read_text().split()[:3] == ["add", "build", "install"]
