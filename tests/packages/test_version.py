# SPDX-License-Identifier: GPL-2.0-or-later
"""There is one version: what dkms, the module, the packages and the programs have is the same."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.kernels import PROJECT

FILES = ["dkms.conf", "kmod/base/set.h", "packaging/debian/changelog",
         "packaging/rpm/dm-remap.spec"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in [*FILES, "packaging/version"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    return tmp_path


def version(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tree / "packaging/version", *words], capture_output=True, text=True)


def test_all_files_have_it() -> None:
    result = version(PROJECT, "--check")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", FILES)
def test_one_that_has_another_is_named(tree: Path, name: str) -> None:
    one = version(tree).stdout.strip()
    text = (tree / name).read_text()
    assert one in text
    (tree / name).write_text(text.replace(one, "0.0.7", 1))
    result = version(tree, "--check")
    assert result.returncode == 1
    assert f"{name} has 0.0.7" in result.stderr or "dkms.conf has version 0.0.7" in result.stderr


def test_set_writes_all(tree: Path) -> None:
    assert version(tree, "--set", "3.14.15").returncode == 0
    assert version(tree, "--check", "3.14.15").returncode == 0
    assert version(tree).stdout == "3.14.15\n"
    changelog = (tree / "packaging/debian/changelog").read_text()
    assert changelog.startswith("dm-remap (3.14.15-1) unstable;")
    assert subprocess.run(["dpkg-parsechangelog", "-l", tree / "packaging/debian/changelog", "-S",
                           "Version"], capture_output=True, text=True).stdout == "3.14.15-1\n"
    assert abs(int(version(tree, "--epoch").stdout) - os.stat(tree / "dkms.conf").st_mtime) < 60
    assert version(tree, "--set", "3.14.15").returncode == 0
    assert (tree / "packaging/debian/changelog").read_text() == changelog
    assert version(tree, "--set", "3.x").returncode == 2
