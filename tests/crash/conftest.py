# SPDX-License-Identifier: GPL-2.0-or-later
import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: for `make check-all` only")
