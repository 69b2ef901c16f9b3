# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures `rig` (see lib.py) and `rng`, and the rule that no test may make the kernel complain.

@pytest.mark.disks(main="64M", spare="8M:vcache=off,logical=4096", other="8M") sets the
disks (size and options of remap-blockd; the volatile cache is on unless said otherwise).
The kind of disks that the whole run is on (harness/disks.py) adds options to these.
@pytest.mark.serials(main="MAIN-0001") gives disks serial numbers; others have none.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import disks as kinds
from tests.harness import kernel_log
from tests.scenarios import accounting, lib, sampled
from tests.scenarios.hardware import forget_hardware, hardware

IN_GUEST = os.environ.get("DM_REMAP_GUEST") == "uml"
DISKS = {"main": "64M", "spare": "8M"}
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

if not IN_GUEST:    # on the host these tests would talk to the wrong kernel
    collect_ignore_glob = ["test_*.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="of the fixture rng; one that was printed")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "disks(NAME=SIZE[:OPTIONS]...): the rig's disks")
    config.addinivalue_line("markers", "serials(NAME=SERIAL...): serial numbers of those disks")
    config.addinivalue_line("markers", "not_on(KIND..., reason=...): kinds of disks (see "
                                       "harness/disks.py) on which it does not hold, and why")
    config.addinivalue_line("markers", "plain_only: too slow for the debugging kernel, and "
                                       "shorter tests walk the same code there")
    config.addinivalue_line("markers", "long: it takes half a minute, and waits for most of it; "
                                       "see sampled.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = os.environ.get(kinds.VARIABLE, kinds.PLAIN)
    elsewhere = []
    for item in items:
        for marker in item.iter_markers("not_on"):
            assert marker.kwargs["reason"] and set(marker.args) <= set(kinds.KINDS), item.name
            if here in marker.args and item not in elsewhere:
                elsewhere.append(item)
    not_now = [item for item in items if item.get_closest_marker("long") and not sampled.this_time()]
    if elsewhere or not_now:
        config.hook.pytest_deselected(items=[*elsewhere, *not_now])
        items[:] = [item for item in items if item not in [*elsewhere, *not_now]]


def _parse(name: str, text: str) -> tuple[int, str]:
    size, _, options = text.partition(":")
    number = int(size[:-1]) * UNITS[size[-1]] if size[-1] in UNITS else int(size)
    more = "" if "vcache=" in options else "vcache=on"
    more += "," + kinds.kind_of_guest().options(name)    # what the test says goes last
    return number, ",".join(word for word in f"{more},{options}".split(",") if word)


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[lib.Rig]:
    marker = request.node.get_closest_marker("disks")
    disks = DISKS | (marker.kwargs if marker else {})
    directory = Path(tempfile.mkdtemp(prefix="rig", dir="/tmp"))
    try:
        with lib.rig_of(directory, {name: _parse(name, text) for name, text in disks.items()}) as rig_:
            rig_.main.late_errors = kinds.kind_of_guest().late
            if serials := request.node.get_closest_marker("serials"):
                hardware(rig_, **serials.kwargs)
            yield rig_
            forget_hardware()
            accounting.check(rig_)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Other random numbers in each run; a test that fails shows the seed, for --seed."""
    seed = request.config.getoption("--seed")
    if seed is None:
        seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.fixture
def state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command keeps backups of sets: a place of this test's own, not made yet."""
    place = tmp_path / "state"
    monkeypatch.setenv("STATE_DIRECTORY", str(place))
    return place


@pytest.fixture(autouse=True)
def quiet_kernel() -> Iterator[None]:
    """Fails the test during which the kernel complained of a defect."""
    log = lib.KernelLog()
    yield
    found = kernel_log.complaints("\n".join(log.lines()))
    log.close()
    assert not found, f"the kernel complained: {found[:5]}"
