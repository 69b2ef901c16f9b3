# SPDX-License-Identifier: GPL-2.0-or-later
"""What happened to one chunk: what writers did, and what the disks were asked, in order of time.

For a failure that names a sector. The block server's log tells what reached a disk, wherever it was:
stamped content tells which sector it is of. Callers: writer.py and events.py note, life.py shows.
"""

import itertools
import time
from collections.abc import Iterator

from tests.crash import stamp
from tests.harness import blockd

SECTOR = 512
LAST = 150    # lines that are shown


class History:
    """Of a session."""

    def __init__(self) -> None:
        self._notes: list[tuple[int, range | None, str]] = []

    def note(self, text: str, sectors: range | None = None) -> None:
        """TEXT, of all sectors if it has none."""
        self._notes.append((time.monotonic_ns(), sectors, text))

    def of_chunk(self, chunk: int, log: list[blockd.Record], disks: list[str]) -> str:
        lines = [(ns, text) for ns, sectors, text in self._notes
                 if sectors is None or sectors[0] // 8 <= chunk <= sectors[-1] // 8]
        lines += _of_disks(chunk, log, disks)
        return "\n".join(_shortened(sorted(lines))[-LAST:])


def _shortened(lines: list[tuple[int, str]]) -> list[str]:
    """Of lines in a row that say the same, the first and their number."""
    shown = []
    for text, group in itertools.groupby(lines, lambda line: line[1]):
        first, *more = group
        shown.append(f"{first[0] / 1e9:.6f} {text}" + f" ({1 + len(more)} times)" * bool(more))
    return shown


def _of_disks(chunk: int, log: list[blockd.Record], disks: list[str]) -> \
        Iterator[tuple[int, str]]:
    for record in log:
        flags = " ".join(name for bit, name in ((blockd.FUA, "FUA"), (blockd.FAILED, "failed"),
                                                (blockd.LANDED, "landed")) if record.flags & bit)
        name = disks[record.disk] if record.disk < len(disks) else "all"
        place = f"{record.sector}+{record.sectors}"
        if record.kind == "write":
            contents = [stamp.read(record.data[at:at + SECTOR])
                        for at in range(0, len(record.data), SECTOR)]
            here = sorted({f"{found[0]}={found[1]}" for found in contents
                           if found and found[0] // 8 == chunk})
            if here:
                yield record.ns, f"    {name}: write {place} {flags}: {' '.join(here)}"
        elif record.kind in ("flush", "powercut"):
            yield record.ns, f"    {name}: {record.kind} {flags}"
        elif record.kind != "mark" and \
                record.sector // 8 <= chunk <= (record.sector + record.sectors) // 8:
            yield record.ns, f"    {name}: {record.kind} {place} {flags}"
