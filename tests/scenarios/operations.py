# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of each operation: by the error that a lower device returns, the device that
returns it, and what happens to the target meanwhile. The one table of it.

cells() has every combination, each with what must come of it or with the reason why it
cannot be reached. test_operations.py does all that can; kmod/dm-remap.rst shows it as
rst() renders it, and tests/harness/test_operations_table.py holds the two together.

    python3 -m tests.scenarios.operations          what belongs into kmod/dm-remap.rst
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass

OPERATIONS = ["read", "read-ahead", "write", "FUA write", "flush", "discard", "write zeroes",
              "secure erase", "NOWAIT read", "NOWAIT write", "polled read"]
PLACES = ["nowhere", "main", "spare", "metadata"]
STATES = ["running", "suspending", "reloading", "removing", "frozen", "full"]

# Which errors a cell stands for. All of them are tried.
ERRORS = {
    "none": [0],
    "medium": [errno.EIO, errno.ENODATA],                  # BLK_STS_IOERR, BLK_STS_MEDIUM
    "other": [errno.EOPNOTSUPP, errno.ENOSPC, errno.ETIMEDOUT, errno.ENOLINK, errno.EREMOTEIO,
              errno.EILSEQ],    # NOTSUPP, NOSPC, TIMEOUT, TRANSPORT, TARGET, PROTECTION
    "again": [errno.EAGAIN],
}
READS = {"read", "read-ahead", "NOWAIT read", "polled read"}
WRITES = {"write", "FUA write", "NOWAIT write", "write zeroes"}
IN_MOTION = {"suspending", "reloading", "removing"}

# Outcomes
DONE = "done"                # and the data are right
MAPPED = "mapped"            # done: the sectors are on the spare from now on
MOVED = "moved"              # done: the chunk is in another slot from now on
PASSED = "passed up"         # the error as it is; nothing is mapped or moved
FAILED = "fails"             # with EIO; nothing is mapped or moved
REFUSED = "refused"          # EOPNOTSUPP, and nothing is done

TELLS = {
    DONE: "done, and the data are correct",
    MAPPED: "done: the sectors are on the spare from then on",
    MOVED: "done: the chunk is in another slot from then on",
    PASSED: "the user gets the error as it is; nothing is mapped",
    FAILED: "the user gets an I/O error; nothing is mapped",
    REFUSED: "not offered: operation not supported",
}


@dataclass(frozen=True)
class Cell:
    """OUTCOME, or WHY_NOT: why there is no such thing."""

    operation: str
    place: str
    error: str
    state: str
    outcome: str = ""
    why_not: str = ""

    @property
    def name(self) -> str:
        return f"{self.operation}, {self.error} on {self.place}, {self.state}".replace(" ", "_")


def _why_not(operation: str, place: str, error: str, state: str) -> str:
    """Why a combination cannot be reached, or nothing."""
    if operation == "secure erase" and (place != "nowhere" or state != "running"):
        return "not offered; refused before it reaches the target"
    if operation == "polled read" and place != "nowhere":
        return "ends like a read; only the way of waiting differs"
    if place == "metadata" and operation not in WRITES:
        return "writes no metadata"
    if operation == "discard" and place == "spare":
        return "ends in the target; nothing is sent to the spare"
    if error == "again" and not operation.startswith("NOWAIT"):
        return "only NOWAIT I/O gets this error"
    if error == "again" and place == "metadata":
        return "writes of metadata may wait"
    if place == "metadata" and state in ("frozen", "full"):
        return "nothing new is mapped, so nothing is committed"
    if operation in ("polled read", "write zeroes") and state in IN_MOTION:
        return "ends like a read or write; tested while the table stays"
    return ""


def _outcome(operation: str, place: str, error: str, state: str) -> str:
    if operation == "secure erase":
        return REFUSED
    if place == "nowhere":
        return DONE
    if error in ("other", "again") and place != "metadata":
        return PASSED
    if operation not in WRITES:
        return PASSED
    # What the worker still has when the table goes away comes to an end with it.
    if place == "metadata" or state == "removing":
        return FAILED
    if place == "main":
        return PASSED if state in ("frozen", "full") else MAPPED
    return FAILED if state == "full" else MOVED


def cells() -> Iterator[Cell]:
    for operation in OPERATIONS:
        for place in PLACES:
            for error in ERRORS:
                if (place == "nowhere") != (error == "none"):
                    continue
                for state in STATES:
                    why_not = _why_not(operation, place, error, state)
                    yield Cell(operation, place, error, state,
                               "" if why_not else _outcome(operation, place, error, state),
                               why_not)


def reachable() -> list[Cell]:
    return [cell for cell in cells() if cell.outcome]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    rule = " ".join("=" * width for width in widths)

    def line(row: list[str]) -> str:
        return " ".join(text.ljust(width)
                        for text, width in zip(row, widths, strict=True)).rstrip()

    return [rule, line(head), rule, *map(line, rows), rule]


def rst() -> str:
    """The table as the manual shows it: operations that fare alike share a row."""
    fates: dict[tuple[str, ...], list[str]] = {}
    every = list(cells())
    columns = [(place, error) for place in PLACES for error in ERRORS
               if (place == "nowhere") == (error == "none")]
    for operation in OPERATIONS:
        fate = tuple(cell.outcome for cell in every if cell.operation == operation)
        fates.setdefault(fate, []).append(operation)
    width = max(map(len, TELLS))
    lines = [*_table(["outcome".ljust(width), ""], [[name, tells] for name, tells
                                                    in TELLS.items()])]
    for operations in fates.values():
        mine = [cell for cell in every if cell.operation == operations[0]]
        rows = []
        for place, error in columns:
            found = [c for c in mine if (c.place, c.error) == (place, error)]
            if not any(cell.outcome for cell in found):
                continue
            rows.append([f"{error}, {place}" if error != "none" else "none",
                         *(cell.outcome or "--" for cell in found)])
        lines += ["", ", ".join(operations) + ":", ""]
        lines += _table(["error, on", *STATES], rows)
    reasons = dict.fromkeys((cell.why_not, cell.operation) for cell in every if cell.why_not)
    lines += ["", "Where there is ``--`` or no line:", ""]
    grouped: dict[str, list[str]] = {}
    for reason, operation in reasons:
        grouped.setdefault(reason, []).append(operation)
    for reason, operations in grouped.items():
        who = "all" if len(operations) > 6 else ", ".join(operations)
        lines.append(f"- {who}: {reason}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(rst(), end="")
