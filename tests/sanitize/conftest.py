# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixture `tool`: AddressSanitizer or valgrind, which must have nothing to say at the end."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sanitize import tools


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "asan_only: not under valgrind, which is slow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if not (item.get_closest_marker("asan_only")
                                               and "valgrind" in item.name)]


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    if not shutil.which("valgrind"):
        pytest.fail("valgrind is missing: run `tests/setup check` as root")
    tools.build(tools.PROJECT / "build")
    tools.build(tools.ASAN_BUILD, "SANITIZE=address")


@pytest.fixture(params=["asan", "valgrind"])
def tool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tools.Tool]:
    tool_ = tools.Tool(request.param, tmp_path / "reports")
    yield tool_
    assert not tool_.said()
