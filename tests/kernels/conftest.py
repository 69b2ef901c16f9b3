# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest for each kernel, and a record of each test."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import blockd, qemu_snapshot
from tests.harness.debian_kernels import Unavailable
from tests.harness.qemu import Machine, MachineError
from tests.kernels import guests, results

StartServer = blockd.StartServer
StartGuest = Callable[[Callable[[Machine], str]], tuple[Machine, str]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: for `make check-all` only")


@pytest.fixture(scope="session")
def guest_places(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], guests.Guest]:
    """A function that returns the guest of a kernel; the first test that needs it makes it."""
    blockd.build()
    made: dict[str, guests.Guest] = {}

    def get(kernel: str) -> guests.Guest:
        if kernel not in made:
            try:
                made[kernel] = guests.make(kernel, tmp_path_factory.mktemp(f"guest-{kernel}"))
            except Unavailable as reason:
                pytest.skip(str(reason))
            results.kernel(kernel, made[kernel].image.kernel_release)
        return made[kernel]

    return get


@pytest.fixture
def guest(kernel: str, guest_places: Callable[[str], guests.Guest]) -> guests.Guest:
    return guest_places(kernel)


@contextlib.contextmanager
def _healthy(guest: guests.Guest) -> Iterator[Machine]:
    with qemu_snapshot.restored(guest.place, guest.image) as machine:
        yield machine
        if machine.process.poll() is None:
            assert machine.complaints() == []


@pytest.fixture
def vm(guest: guests.Guest) -> Iterator[Machine]:
    """A freshly restored guest; at the end its kernel must not have reported a defect."""
    with _healthy(guest) as machine:
        yield machine


@pytest.fixture
def vm_of(guest: guests.Guest) -> Iterator[StartGuest]:
    """vm_of(plug): a guest and what PLUG returns, a disk. Once a guest hung when a virtio disk
    was plugged in, with no module and no set: it is restored again then, and the console shown."""
    with contextlib.ExitStack() as stack:
        def get(plug: Callable[[Machine], str]) -> tuple[Machine, str]:
            try:
                with contextlib.ExitStack() as attempt:
                    machine = attempt.enter_context(_healthy(guest))
                    disk = plug(machine)
                    stack.push(attempt.pop_all())
                    return machine, disk
            except MachineError as error:
                warnings.warn(f"a second guest, as the first one hung: {error}", stacklevel=1)
            machine = stack.enter_context(_healthy(guest))
            return machine, plug(machine)

        yield get


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[StartServer]:
    """serve(main=SIZE, spare=(SIZE, "vcache=on"), …) starts the test's block server."""
    with blockd.servers(tmp_path) as start:
        yield start


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Record the outcome of each test of a kernel."""
    outcome = yield
    report = outcome.get_result()    # type: ignore[attr-defined]
    kernel = getattr(item, "callspec", None) and item.callspec.params.get("kernel")
    if kernel and (report.when == "call" or report.outcome == "failed"):
        results.test(kernel, item.originalname, report.outcome, dict(item.user_properties))
