# SPDX-License-Identifier: GPL-2.0-or-later
"""The results of the tests in this directory, by kernel.

Owns build/kernels.json: {kernel: {"release", "compiler", "tests": {name: outcome}, facts}}.
A run adds to the results of the same release of a kernel, and drops those of another release.
Callers: conftest.py, table.py.
"""

import json
from typing import Any

from tests.harness import headers, kernels

PATH = kernels.BUILD / "kernels.json"


def read() -> dict[str, dict[str, Any]]:
    if not PATH.is_file():
        return {}
    rows: dict[str, dict[str, Any]] = json.loads(PATH.read_text())
    return rows


def _write(rows: dict[str, dict[str, Any]]) -> None:
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(json.dumps(rows, indent=2) + "\n")


def kernel(name: str, release: str) -> None:
    """Begin the row of kernel NAME, which is RELEASE in this run."""
    rows = read()
    if rows.get(name, {}).get("release") != release:
        rows[name] = {"release": release, "compiler": headers.compiler(name), "tests": {}}
        _write(rows)


def test(name: str, test_name: str, outcome: str, facts: dict[str, Any]) -> None:
    """Record the outcome of a test of kernel NAME, and the FACTS that it found."""
    rows = read()
    row = rows.get(name)
    if row is None:
        return                  # the mirror does not have this kernel
    row["tests"][test_name] = outcome
    row.update(facts)
    _write(rows)
