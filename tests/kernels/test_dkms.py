# SPDX-License-Identifier: GPL-2.0-or-later
"""dkms builds the module from dkms.conf, for the kernel it is told and no other.

Everything happens in a temporary tree; a mount namespace of its own keeps dkms's
signing key off the machine.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import kernels, qemu_image

IN_NAMESPACE = """mount --bind "$1" /var/lib/dkms && shift && exec "$@" """
CONFIGURATION = kernels.PROJECT / "dkms.conf"


def setting(name: str) -> str:
    line = next(line for line in CONFIGURATION.read_text().splitlines()
                if line.startswith(f"{name}="))
    return line.partition("=")[2].strip('"')


class Dkms:
    """dkms with source, build and key directories under PLACE."""

    def __init__(self, place: Path) -> None:
        self.tree = place / "tree"
        self.keys = place / "keys"
        self.version = setting("PACKAGE_VERSION")
        self.sources = place / "src" / f"dm-remap-{self.version}"
        for path in (self.tree, self.keys, self.sources):
            path.mkdir(parents=True)
        kernels.mirror_sources(self.sources)
        shutil.copy(CONFIGURATION, self.sources)

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", IN_NAMESPACE, "sh", self.keys, "dkms", *words,
             "--dkmstree", self.tree, "--sourcetree", self.sources.parent],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
            env={**os.environ, "LC_ALL": "C"})

    def build(self, headers: Path) -> subprocess.CompletedProcess[str]:
        return self("build", f"dm-remap/{self.version}", "-k", qemu_image.kernel_release(),
                    "--kernelsourcedir", str(headers))


@pytest.fixture
def dkms(tmp_path: Path) -> Dkms:
    if not shutil.which("dkms"):
        pytest.fail("dkms is missing: run `tests/setup check` as root")
    if os.geteuid():
        pytest.fail("dkms wants root: use sudo")
    dkms = Dkms(tmp_path)
    added = dkms("add", f"dm-remap/{dkms.version}")
    assert added.returncode == 0, added.stdout
    return dkms


def test_dkms_builds_for_the_kernel_it_is_told(dkms: Dkms, tmp_path: Path) -> None:
    release = qemu_image.kernel_release()
    # A name that only dkms knows: a build that looks for the headers itself goes elsewhere.
    headers = tmp_path / "headers"
    headers.symlink_to(f"/lib/modules/{release}/build")

    built = dkms.build(headers)

    place = dkms.tree / "dm-remap" / dkms.version / release / "x86_64"
    log = place / "log" / "make.log"
    assert built.returncode == 0, built.stdout + (log.read_text() if log.exists() else "")
    assert f"KDIR={headers}" in log.read_text() or f"-C {headers}" in log.read_text()
    module, = (place / "module").glob("dm-remap.ko*")
    shown = subprocess.run(["modinfo", module], check=True, capture_output=True, text=True).stdout
    facts = {line.split(":")[0]: line.partition(":")[2].split() for line in shown.splitlines()}
    assert facts["vermagic"][0] == release
    assert facts["version"] == [dkms.version], "dkms.conf and the module disagree"
    assert f"{release}, x86_64: built" in dkms("status").stdout


@pytest.mark.parametrize("release, wanted", [
    ("5.10.0-1-amd64", False), ("6.0.9-1-amd64", False), ("5.61.0", False),
    ("6.1.0-57-amd64", True), ("6.12.117+deb13-amd64", True), ("6.10-rc1", True),
    ("7.0.1-amd64", True), ("10.0-rc1", True)])
def test_kernels_that_are_too_old_are_left_out(release: str, wanted: bool) -> None:
    """6.1 is the oldest; an older one is no build that fails."""
    script = '[[ $1 =~ $2 ]]'     # as dkms does
    matched = subprocess.run(["bash", "-c", script, "bash", release,
                              setting("BUILD_EXCLUSIVE_KERNEL")]).returncode == 0
    assert matched == wanted
    oldest = [int(number) for number in setting("BUILD_EXCLUSIVE_KERNEL_MIN").split(".")]
    version = [int(number) for number in re.findall(r"\d+", release)[:2]]
    assert (version >= oldest) == wanted, "the minimum and the pattern disagree"


def test_dkms_says_that_a_kernel_is_too_old(dkms: Dkms) -> None:
    headers = f"/lib/modules/{qemu_image.kernel_release()}/build"
    refused = dkms("build", f"dm-remap/{dkms.version}", "-k", "5.10.0-1-amd64",
                   "--kernelsourcedir", headers)
    assert "BUILD_EXCLUSIVE" in refused.stdout, refused.stdout
    assert not list(dkms.tree.rglob("*.ko*"))


@pytest.mark.parametrize("lacking", ["CONFIG_BLK_DEV_DM", "CONFIG_64BIT"])
def test_dkms_leaves_other_kernels_alone(dkms: Dkms, tmp_path: Path, lacking: str) -> None:
    real = Path(f"/lib/modules/{qemu_image.kernel_release()}/build")
    headers = tmp_path / "headers"
    shutil.copytree(real / "include", headers / "include", symlinks=True)
    config = (real / ".config").read_text()
    assert f"\n{lacking}=" in config
    (headers / ".config").write_text("".join(
        line for line in config.splitlines(keepends=True) if not line.startswith(f"{lacking}=")))

    refused = dkms.build(headers)

    assert refused.returncode != 0
    assert "BUILD_EXCLUSIVE" in refused.stdout
    assert not list(dkms.tree.rglob("*.ko*"))
