# SPDX-License-Identifier: GPL-2.0-or-later
"""What `sudo make demo` and its like leave in a user's tree is the user's."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.kernels import PROJECT

USER = 65534

if os.geteuid():
    pytest.skip("only root can make files of another user", allow_module_level=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "packaging").mkdir()
    shutil.copy(PROJECT / "packaging/as-owner", tmp_path / "packaging")
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, USER, USER)
    return tmp_path


def owners(tree: Path) -> set[int]:
    return {path.lstat().st_uid for path in (tree, *tree.rglob("*"))}


@pytest.mark.parametrize("code", [0, 3])
def test_given_back(tree: Path, code: int) -> None:
    script = f"mkdir -p build/deb; touch build/deb/x; ln -s /etc/passwd build/link; exit {code}"
    result = subprocess.run(["packaging/as-owner", "sh", "-c", script], cwd=tree)
    assert result.returncode == code and (tree / "build/deb/x").exists()
    assert owners(tree) == {USER}
    assert os.stat("/etc/passwd").st_uid == 0


def test_a_tree_of_root_stays_so(tree: Path) -> None:
    os.chown(tree, 0, 0)
    subprocess.run(["packaging/as-owner", "touch", "x"], cwd=tree, check=True)
    assert (tree / "x").stat().st_uid == 0


@pytest.mark.parametrize("target", ["demo", "check", "check-quick", "check-all", "bench", "lint",
                                    "module", "userspace", "deb", "install", "rpm"])
def test_each_target_that_makes_files_does(target: str) -> None:
    shown = subprocess.run(["make", "-n", "-C", PROJECT, target, "DESTDIR=/nowhere"],
                           capture_output=True, text=True).stdout
    assert "packaging/as-owner " in shown
