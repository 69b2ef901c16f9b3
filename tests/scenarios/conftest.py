# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixture `rig` (see lib.py), and the rule that no test may make the kernel complain.

@pytest.mark.disks(main="64M", spare="8M:vcache=off,logical=4096", other="8M") sets the
disks (size and options of remap-blockd; the volatile cache is on unless said otherwise).
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import kernel_log
from tests.scenarios import accounting, lib

IN_GUEST = os.environ.get("DM_REMAP_GUEST") == "uml"
DISKS = {"main": "64M", "spare": "8M"}
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

if not IN_GUEST:    # on the host these tests would talk to the wrong kernel
    collect_ignore_glob = ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "disks(NAME=SIZE[:OPTIONS]...): the rig's disks")
    config.addinivalue_line("markers", "plain_only: too slow for the debugging kernel, and "
                                       "shorter tests walk the same code there")


def _parse(text: str) -> tuple[int, str]:
    size, _, options = text.partition(":")
    number = int(size[:-1]) * UNITS[size[-1]] if size[-1] in UNITS else int(size)
    return number, options if "vcache=" in options else f"vcache=on,{options}".rstrip(",")


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[lib.Rig]:
    marker = request.node.get_closest_marker("disks")
    disks = DISKS | (marker.kwargs if marker else {})
    directory = Path(tempfile.mkdtemp(prefix="rig", dir="/tmp"))
    try:
        with lib.rig_of(directory, {name: _parse(text) for name, text in disks.items()}) as rig_:
            yield rig_
            accounting.check(rig_)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(autouse=True)
def quiet_kernel() -> Iterator[None]:
    """Fails the test during which the kernel complained of a defect."""
    log = lib.KernelLog()
    yield
    found = kernel_log.complaints("\n".join(log.lines()))
    log.close()
    assert not found, f"the kernel complained: {found[:5]}"
