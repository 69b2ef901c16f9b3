# SPDX-License-Identifier: GPL-2.0-or-later
"""What every test on the virtual machine needs: a guest, a block server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import blockd, debian, qemu_image, qemu_snapshot
from tests.harness.qemu import Machine
from tests.vm import packages

StartServer = blockd.StartServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--debian", choices=[*debian.NAMES, "other"],
                     help="guests of this release; \"other\" is the one this machine does not run")


def pytest_configure(config: pytest.Config) -> None:
    if wanted := config.getoption("debian"):
        qemu_image.use(debian.other() if wanted == "other" else debian.NAMES[wanted])
    config.addinivalue_line("markers", "packages: the guest has the packages installed")
    config.addinivalue_line("markers", "each_debian: for Debian 12 and 13 alike")
    config.addinivalue_line("markers", "slow: for `make check-all` only")


@pytest.fixture(scope="session", autouse=True)
def prepared() -> None:
    """Make what is made once before the first test, so that no test is timed with it."""
    blockd.build()
    qemu_snapshot.snapshot()


@pytest.fixture(scope="session")
def with_packages(prepared: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of the guest in which the packages were installed, and the daemon enabled."""
    return qemu_snapshot.prepared(tmp_path_factory.mktemp("with-packages"), packages.install)


@pytest.fixture
def vm(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A freshly restored guest; its kernel must have nothing to complain about at the end.

    Tests marked "packages" find the packages installed, as a user has them.
    """
    place = request.getfixturevalue("with_packages") \
        if request.node.get_closest_marker("packages") else None
    with qemu_snapshot.restored(place) as machine:
        yield machine
        if machine.process.poll() is None:
            assert machine.complaints() == []


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[StartServer]:
    """serve(main=SIZE, spare=(SIZE, "vcache=on"), …) starts the test's block server."""
    with blockd.servers(tmp_path) as start:
        yield start
