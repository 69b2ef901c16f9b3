# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of mutants fits the sources: an edit whose text is gone breaks nothing, so it
would prove nothing. (Running them is tests/mutants.py.)"""

from pathlib import Path

import pytest

from tests.mutants import MUTANTS

PROJECT = Path(__file__).resolve().parents[2]
TABLE = (PROJECT / "tests" / "MUTANTS.md").read_text()


@pytest.mark.parametrize("name", MUTANTS)
def test_edits_apply(name: str) -> None:
    texts: dict[str, str] = {}
    for file, old, new in MUTANTS[name].edits:
        text = texts.setdefault(file, (PROJECT / file).read_text())
        assert text.count(old) == 1, f"{file}: {old!r} occurs {text.count(old)} times"
        texts[file] = text.replace(old, new)


def test_outcomes_are_of_mutants() -> None:
    """Each row of MUTANTS.md is of a mutant in the list; one that was not run has none."""
    rows = {line.split("(`")[1].split("`)")[0] for line in TABLE.splitlines() if "(`" in line}
    assert rows and rows <= set(MUTANTS)
