# SPDX-License-Identifier: GPL-2.0-or-later
"""The comparison of other people's suites (tests/peers): what is the same, and what is not."""

import json
from pathlib import Path

import pytest

from tests.peers import blktests, lvm2, outcomes, stacks, xfstests
from tests.peers.outcomes import (DIED, FAILED, PASSED, SKIPPED, STARTED, TIMEOUT, Outcome, Record,
                                  compare, read_log)

GOOD = Outcome(PASSED, seconds=3)
BAD = Outcome(FAILED, "output mismatch")


def differs(linear: list[Outcome], remap: list[Outcome]) -> bool:
    found = compare({"t": linear}, {"t": remap})
    assert found.compared + found.skipped == ["t"]
    return "t" in found.different


@pytest.mark.parametrize("other", [BAD, Outcome(TIMEOUT), Outcome(DIED),
                                   Outcome(SKIPPED, "no disk")])
def test_another_outcome_is_a_difference(other: Outcome) -> None:
    assert differs([GOOD], [other])
    assert differs([other], [GOOD])


def test_what_fails_or_takes_long_on_both_is_the_same() -> None:
    assert not differs([GOOD], [Outcome(PASSED, seconds=70)])
    assert not differs([BAD], [Outcome(FAILED, "output mismatch elsewhere")])
    assert not differs([Outcome(TIMEOUT, "no end after 10 s")], [Outcome(TIMEOUT)])


def test_skipped_for_another_reason_is_a_difference() -> None:
    zoned, discard = Outcome(SKIPPED, "needs a zoned disk"), Outcome(SKIPPED, "needs a discard")
    assert not differs([zoned], [zoned])
    assert differs([zoned], [discard])


def test_what_both_skip_is_not_counted() -> None:
    skip = Outcome(SKIPPED, "no disk")
    found = compare({"a": [skip], "b": [GOOD], "c": [BAD], "d": [skip]},
                    {"a": [skip], "b": [GOOD], "c": [BAD], "d": [BAD]})
    assert (found.compared, found.skipped, found.passed) == (["b", "c", "d"], ["a"], 1)
    assert list(found.different) == ["d"]
    other = Outcome(SKIPPED, "no discard")    # which dm-remap should have
    assert list(compare({"a": [skip]}, {"a": [other]}).different) == ["a"]


def test_one_failure_in_many_runs_stays_a_difference() -> None:
    """A test that fails now and then on remap only is not excused by runs in which it passes."""
    assert differs([GOOD, GOOD], [GOOD, BAD])
    assert differs([GOOD, GOOD], [BAD, GOOD])
    assert not differs([GOOD, BAD], [BAD, GOOD])


def test_only_what_ran_on_both_is_compared() -> None:
    found = compare({"a": [GOOD], "b": [GOOD]}, {"b": [BAD], "c": [BAD]})
    assert found.compared == ["b"] and list(found.different) == ["b"]
    assert found.different["b"] == "passed on dm-linear, failed (output mismatch) on dm-remap"


def test_a_record_is_read_again_and_only_for_its_key(tmp_path: Path) -> None:
    Record("suite", "remap", "key", tmp_path).add([("a", GOOD), ("b", BAD)])
    Record("suite", "remap", "key", tmp_path).add([("b", GOOD)])
    assert Record("suite", "remap", "key", tmp_path).runs == {"a": [GOOD], "b": [BAD, GOOD]}
    assert Record("suite", "remap", "other", tmp_path).runs == {}
    assert Record("suite", "linear", "key", tmp_path).runs == {}


def log(*entries: tuple[str, str]) -> str:
    return "".join(json.dumps({"name": name, "state": state, "why": "", "seconds": 0.0}) + "\n"
                   for name, state in entries)


def test_the_test_with_which_the_guest_died_is_known() -> None:
    text = log(("a", STARTED), ("a", PASSED), ("b", STARTED), ("b", STARTED))
    assert [(name, found.state) for name, found in read_log(text)] == [("a", PASSED), ("b", DIED)]
    torn = log(("a", STARTED), ("a", PASSED)) + '{"name": "b", "sta'
    assert [name for name, _ in read_log(torn)] == ["a"]


CHECK = """FSTYP         -- ext4
MKFS_OPTIONS  -- /dev/mapper/scratch

generic/001        3s
generic/002 4s ...  5s
generic/003       [not run] no kernel support for atime
generic/004       - output mismatch (see /full/generic/004.out.bad)
    --- tests/generic/004.out
    +++ /full/generic/004.out.bad
    @@ -1,2 +1,3 @@
    ...
generic/005       [failed, exit status 1]- output mismatch (see /full/generic/005.out.bad)
generic/006       _check_dmesg: something found in dmesg (see /full/generic/006.dmesg)

generic/007        2s
"""
END = """Ran: generic/001 generic/002
Not run: generic/003
Failures: generic/004
Failed 3 of 7 tests
"""


def test_the_output_of_xfstests_is_understood() -> None:
    found = [(name, xfstests.judge(name, text)) for name, text in xfstests.split(CHECK + END)]
    assert [(name[-1], outcome.state) for name, outcome in found] == [
        ("1", PASSED), ("2", PASSED), ("3", SKIPPED), ("4", FAILED), ("5", FAILED), ("6", FAILED),
        ("7", PASSED)]
    assert found[1][1].seconds == 5
    assert found[2][1].why == "no kernel support for atime"
    assert found[3][1].why.startswith("- output mismatch")


def test_xfstests_that_are_not_finished_are_not_judged_early() -> None:
    assert [name for name, _ in xfstests.split(CHECK[:CHECK.index("generic/004") + 20])][-1] == \
        "generic/004"


def test_the_output_of_blktests_is_understood() -> None:
    line = "block/003 => dm-0 (run various discard sizes)"
    passed = f"{line}\n{line}  [passed]\n    runtime  ...  1s\n"
    assert blktests.judge("", 0, passed).state == PASSED
    assert blktests.judge("", 1, f"{line}  [failed]\n    --- tests/block/003.out\n").state == FAILED
    assert blktests.judge("", 0, f"{line}  [not run]\n    dm-0 is not zoned\n") == \
        Outcome(SKIPPED, "dm-0 is not zoned")
    assert blktests.judge("", 0, "").state == FAILED
    assert blktests.judge("", 1, f"{line}  [passed]\n").state == FAILED


def test_the_exit_codes_of_lvm2_are_understood() -> None:
    assert lvm2.judge("", 0, "## 12 s\n").state == PASSED
    assert lvm2.judge("", 200, "x\nTEST SKIPPED: no raid\n") == Outcome(SKIPPED, "no raid")
    assert lvm2.judge("", 1, "a\n## ERROR: pvs\nb\n## teardown...ok\n") == \
        Outcome(FAILED, "## ERROR: pvs")
    assert lvm2.judge("", 137, "").state == FAILED


def test_the_places_of_the_remaps_do_not_touch() -> None:
    sectors = (4 << 30) // 512
    found = stacks.places(sectors)
    assert found == stacks.places(sectors) and len(found) == stacks.REMAPS
    chunks = [first // 8 for first, _ in found]
    assert len(set(chunks)) == stacks.REMAPS
    assert all((first + count - 1) // 8 == first // 8 for first, count in found)
    assert sum(first < stacks.FRONT_SECTORS for first, _ in found) >= stacks.IN_FRONT
    assert max(first for first, _ in found) > sectors * 9 // 10


def test_no_outcome_is_not_the_same_as_a_good_one() -> None:
    assert compare({"t": [GOOD]}, {}).compared == []
    assert outcomes.compare({}, {}).different == {}
