# SPDX-License-Identifier: GPL-2.0-or-later
"""What every test on the virtual machine needs: a guest, a block server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import blockd, qemu_snapshot
from tests.harness.qemu import Machine

StartServer = Callable[..., blockd.BlockServer]


@pytest.fixture(scope="session", autouse=True)
def prepared() -> None:
    """Make what is made once before the first test, so that no test is timed with it."""
    blockd.build()
    qemu_snapshot.snapshot()


@pytest.fixture
def vm() -> Iterator[Machine]:
    """A freshly restored guest; its kernel must have nothing to complain about at the end."""
    with qemu_snapshot.restored() as machine:
        yield machine
        if machine.process.poll() is None:
            assert machine.complaints() == []


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[StartServer]:
    """serve(main=SIZE, spare=(SIZE, "vcache=on"), …) starts the test's block server."""
    servers: list[blockd.BlockServer] = []

    def start(**disks: int | tuple[int, str]) -> blockd.BlockServer:
        servers.append(blockd.BlockServer(tmp_path / f"disks{len(servers)}", disks, log=False))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
