# SPDX-License-Identifier: GPL-2.0-or-later
"""`make release` makes a tarball of a tree that can be released, and of no other."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.kernels import PROJECT

GIT = ["git", "-c", "user.name=tests", "-c", "user.email=tests@example.org"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A clone of what this tree has, with nothing of its history."""
    made = subprocess.run([PROJECT / "packaging/tarball", tmp_path], check=True,
                          capture_output=True, text=True).stdout.strip()
    subprocess.run(["tar", "-C", tmp_path, "-xf", made], check=True)
    tree, = (path for path in tmp_path.iterdir() if path.is_dir())
    subprocess.run([*GIT, "init", "-q"], cwd=tree, check=True)
    commit(tree)
    return tree


def commit(tree: Path) -> None:
    subprocess.run([*GIT, "add", "-A"], cwd=tree, check=True)
    subprocess.run([*GIT, "commit", "-qm", "all"], cwd=tree, check=True)


def release(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-s", "release"], cwd=tree, capture_output=True, text=True)


def test_tarball_and_what_to_type(tree: Path) -> None:
    made = release(tree)
    assert made.returncode == 0, made.stderr
    assert re.search(r"git tag -s v[\d.]+ ", made.stdout)
    place = tree / "build/release"
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=place, check=True)
    again = subprocess.run([PROJECT / "packaging/tarball", tree.parent], check=True,
                           capture_output=True, text=True).stdout.strip()
    tarball, = place.glob("*.tar.xz")
    assert tarball.read_bytes() == Path(again).read_bytes()


def edit(name: str, pattern: str, text: str) -> Callable[[Path], None]:
    def change(tree: Path) -> None:
        path = tree / name
        changed = re.sub(pattern, text, path.read_text(), count=1, flags=re.M)
        assert changed != path.read_text()
        path.write_text(changed)
        commit(tree)
    return change


@pytest.mark.parametrize("change, told", [
    (lambda tree: (tree / "new").touch(), "the tree is not clean"),
    (lambda tree: subprocess.run([*GIT, "tag", "v" + subprocess.run(
        ["packaging/version"], cwd=tree, capture_output=True, text=True).stdout.strip()],
        cwd=tree, check=True), "already exists"),
    (edit("kmod/base/set.h", r"(DM_REMAP_VERSION) .*", r'\1 "0.0.7"'), "set.h has 0.0.7"),
    (edit("packaging/debian/changelog", r"^  \* .*", "  * "), "changelog says nothing"),
    (edit("packaging/rpm/dm-remap.spec", r"(%changelog\n.*\n)- .*", r"\1- "), "spec says nothing"),
    (edit("README.md", r"\(dm-remap [\d.]+,", "(dm-remap 0.0.7,"), "figures in README.md"),
], ids=["not clean", "tagged", "version", "changelog", "spec", "figures"])
def test_not_this_tree(tree: Path, change: Callable[[Path], object], told: str) -> None:
    change(tree)
    made = release(tree)
    assert made.returncode and told in made.stderr, made
    assert not [*tree.glob("build/release/*.xz")]
