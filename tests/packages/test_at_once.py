# SPDX-License-Identifier: GPL-2.0-or-later
"""Two builds in one tree wait for each other. The program that builds the packages is a script."""

import os
import subprocess
from pathlib import Path

from tests.harness.kernels import PROJECT

BUILD = """#!/bin/sh
set -e
sleep 1
test -e debian/control
touch ../dm-remap_1.deb
"""


def test_two_builds_at_once(tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", PROJECT, tmp_path / "tree"], check=True)
    build = tmp_path / "dpkg-buildpackage"
    build.write_text(BUILD)
    build.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    builds = [subprocess.Popen(["make", "-s", "-C", tmp_path / "tree", "debian-packages"], text=True,
                               env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
              for _ in range(2)]
    for running in builds:
        said, _ = running.communicate(timeout=300)
        assert running.returncode == 0 and said.endswith("dm-remap_1.deb\n"), said
