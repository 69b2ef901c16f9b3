# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of mutants fits the sources: an edit whose text is gone breaks nothing, so it
would prove nothing. (Running them is tests/mutants.py.)"""

from pathlib import Path

import pytest

from tests.mutants import MUTANTS, NOT_RUN, NOTHING, count, recorded

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", MUTANTS)
def test_edits_apply(name: str) -> None:
    texts: dict[str, str] = {}
    for file, old, new in MUTANTS[name].edits:
        text = texts.setdefault(file, (PROJECT / file).read_text())
        assert text.count(old) == 1, f"{file}: {old!r} occurs {text.count(old)} times"
        texts[file] = text.replace(old, new)


def test_each_was_run_and_noticed() -> None:
    """MUTANTS.md has a row for each mutant in the list, and for no other. README.md has the sum."""
    assert set(recorded()) == set(MUTANTS)
    assert [name for name, by in recorded().items() if by in (NOT_RUN, NOTHING)] == []
    told = "(`python3 -m tests.mutants`) | {}, {} |".format(*count())
    assert told in (PROJECT / "README.md").read_text()
