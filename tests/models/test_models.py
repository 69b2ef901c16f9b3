# SPDX-License-Identifier: GPL-2.0-or-later
"""The protocol, as Spin sees it: as it is built no assertion fails in any state, and without any
one of its rules one does. `pytest tests/models`; which bounds a model has, its head says."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import report

HERE = Path(__file__).resolve().parent
LIMIT_S = 1800


@dataclass(frozen=True)
class Whole:
    """A search over all states, with these faults."""
    model: str
    defines: str = ""


@dataclass(frozen=True)
class Without:
    """What fails when a rule is broken: a word of the assertion."""
    model: str
    rule: str
    defines: str
    fails: str


WHOLE = [
    Whole("block", "COMMITS=3 FAULTS=2"), Whole("block", "COMMITS=3 FAULTS=2 LEAVES=3"),
    Whole("block", "COMMITS=3 FAULTS=2 ROTS=1"), Whole("block", "COMMITS=3 FAULTS=2 LEAVES=3 FORCE"),
    Whole("block", "COMMITS=3 FAULTS=2 TWIN"), Whole("block", "COMMITS=3 FAULTS=2 STRAY"),
    Whole("slots", "STEPS=7"), Whole("slots", "STEPS=6 CRASHES=2"),
    Whole("dead"), Whole("dead", "COMMITS=4 FAULTS=3 CRASHES=3"), Whole("flush"),
]
WITHOUT = [
    Without("block", "C1", "ACK_ONE COMMITS=3 FAULTS=2", "acked"),
    Without("block", "C1", "PUBLISH_FIRST COMMITS=3", "seen"),
    Without("block", "C1", "AT_ONCE COMMITS=3", "stale"),
    Without("block", "C2", "REUSE_NUMBER COMMITS=3 FAULTS=2", "ok"),
    Without("block", "C2", "NO_JUMP COMMITS=3 FAULTS=2 LEAVES=3 FORCE", "acked"),
    Without("block", "C3", "TOGGLE COMMITS=3 FAULTS=2", "acked"),
    Without("block", "C4", "NO_DOUBT COMMITS=3", "gone"),
    Without("block", "C5", "LAZY_REPAIR COMMITS=3 LEAVES=3", "seen"),
    Without("block", "C5", "SERVE_UNREPAIRED COMMITS=3 FAULTS=2 LEAVES=3", "seen"),
    Without("block", "C5", "NO_THIRD_RECORD COMMITS=3 FAULTS=2 LEAVES=3 FORCE", "seen"),
    Without("block", "C6", "TAKE_EITHER TWIN COMMITS=3", "acked"),
    Without("block", "C7", "ONE_PLACE COMMITS=3 FAULTS=2 LEAVES=3 FORCE", "prior"),
    Without("block", "C12", "NEIGHBOURS COMMITS=3 FAULTS=2", "acked"),
    Without("block", "C15", "NO_MARK COMMITS=3 FAULTS=2 LEAVES=3 FORCE", "seen"),
    Without("block", "C15", "NO_DIGEST COMMITS=3 FAULTS=2 LEAVES=3 FORCE", "seen"),
    Without("block", "C15", "UNREADABLE_IS_OLD COMMITS=3 FAULTS=2 ROTS=2", "acked"),
    Without("block", "C16", "NO_PLACE_CHECK STRAY COMMITS=3", "acked"),
    Without("slots", "C9", "FLUSH_FIRST", "reader|acked"),
    Without("slots", "C10", "NO_FLUSH", "reader|acked"),
    Without("slots", "C10", "UNCHECKED", "reader|acked"),
    Without("slots", "C11", "REUSE_AT_ONCE", "before"),
    Without("slots", "C11", "REUSE_UNDRAINED", "reader"),
    Without("slots", "C13", "OLD_FIRST", "acked"),
    Without("slots", "C13", "SAME_EPOCH", "^0$"),
    Without("slots", "C13", "MOVE_AGAIN STEPS=7", "^0$"),
    Without("dead", "C4", "SUPER_IN_DOUBT", "acked"),
    Without("dead", "C8", "KEEP_TRYING", "^0$"),
    Without("dead", "C8", "KEEP_ENTRIES", "acked"),
    Without("dead", "C8", "BELIEVE_DEAD", "acked"),
    Without("flush", "D9", "COVER_LATE", "durable"),
    Without("flush", "D9", "COUNT_EARLY", "durable"),
    Without("flush", "D9", "FAILED_COVERS", "durable"),
    Without("flush", "D17", "OWE_NOTHING", "told"),
    Without("flush", "D17", "OWE_LATE", "told"),
    Without("flush", "D17", "FORGET_OWED", "told"),
]


@dataclass(frozen=True)
class Found:
    states: int
    assertion: str    # that failed; empty: none


def search(model: str, defines: str, place: Path) -> Found:
    source = HERE / f"{model}.pml"
    subprocess.run(["spin", *(f"-D{define}" for define in defines.split()), "-a", source],
                   cwd=place, check=True, capture_output=True, timeout=LIMIT_S)
    subprocess.run(["gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=2000", "-o", "search",
                    "pan.c"], cwd=place, check=True, timeout=LIMIT_S)
    text = subprocess.run(["./search", "-E", "-m200000"], cwd=place, check=True, text=True,
                          capture_output=True, timeout=LIMIT_S).stdout
    assert "max search depth too small" not in text
    states = re.search(r"(\d+) states, stored", text)
    failed = re.search(r"assertion violated (.*) \(at depth", text)
    # Neither the depth nor the memory has cut it short.
    assert states and (failed or "errors: 0" in text and "not completed" not in text), text
    return Found(int(states[1]), failed[1] if failed else "")


@pytest.mark.parametrize("whole", WHOLE, ids=lambda whole: f"{whole.model} {whole.defines}")
def test_as_built(whole: Whole, tmp_path: Path) -> None:
    found = search(whole.model, whole.defines, tmp_path)
    assert not found.assertion and found.states > 10000
    report.add("model_states", f"{whole.model} {whole.defines}".strip(), found.states)


@pytest.mark.parametrize("without", WITHOUT, ids=lambda without: f"{without.rule} {without.defines}")
def test_without_a_rule(without: Without, tmp_path: Path) -> None:
    assert re.search(without.fails, search(without.model, without.defines, tmp_path).assertion)


def test_every_rule_is_here() -> None:
    """C1 to C13, and those about errors that a disk reports once."""
    assert {f"C{number}" for number in range(1, 14)} | {"D9", "D17"} <= {w.rule for w in WITHOUT}
    for without in WITHOUT:
        text = (HERE / f"{without.model}.pml").read_text()
        name = without.defines.split()[0]
        assert re.search(rf"#ifn?def {name}\b.*{without.rule}\b", text), without
