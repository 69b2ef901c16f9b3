# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests that the source package brings along for Debian's autopkgtest (debian/tests)."""

import re

import pytest

from tests.harness.kernels import PROJECT
from tests.harness.qemu import Machine

TESTS = PROJECT / "packaging" / "debian" / "tests"
NAMES = re.findall(r"^Tests: (\S+)$", (TESTS / "control").read_text(), re.M)
pytestmark = [pytest.mark.packages, pytest.mark.slow]


@pytest.mark.parametrize("name", NAMES)
def test_autopkgtest(vm: Machine, name: str) -> None:
    vm.put((TESTS / name).read_bytes(), f"/run/{name}")
    vm.run(f"sh /run/{name}", 900)
