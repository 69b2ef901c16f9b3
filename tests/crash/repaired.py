# SPDX-License-Identifier: GPL-2.0-or-later
"""What activation repaired was durable before it served (C5).

Takes the states that the enumerator wrote, puts into them the metadata that the media
held after activate.py activated them and cut the power, and resolves them again without
either replica: the mapped device must still give the same.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.crash import enumerator
from tests.crash.geometry import REGION_START, Shape


def _patch(shape: Shape, image: Path, source: Path, disk: str) -> None:
    with open(image, "r+b") as target, open(source, "rb") as media:
        for name, sector, count in shape.written_by_activation:
            if name == disk:
                media.seek(sector * 512)
                target.seek(sector * 512)
                target.write(media.read(count * 512))


def _resolve(shape: Shape, state: Path, replica: int, scratch: Path) -> str | None:
    result = subprocess.run(
        [str(enumerator.RESOLVE), "--main", str(state / "main.img"),
         "--spare", str(state / "spare.img"), "--region", f"{REGION_START}:{shape.region_sectors}",
         "--lose-replica", str(replica), "--content", str(scratch / "content"),
         "--lost", str(scratch / "lost")], capture_output=True, text=True,
        stdin=subprocess.DEVNULL)
    if result.returncode:
        return result.stderr.strip()
    if (scratch / "lost").read_text() != (state / "lost").read_text():
        return "other sectors are lost"
    if (scratch / "content").read_bytes() != (state / "content.img").read_bytes():
        return "the content differs"
    return None


def check(shape: Shape, states: Path, results: Path) -> Iterator[str]:
    """Sentences on what is wrong; changes the images of the states."""
    with tempfile.TemporaryDirectory(prefix="dm-remap-crash-") as scratch:
        for state in sorted(states.iterdir()):
            if not (state / "outcome").read_text().startswith("rw"):
                continue
            if not (results / state.name).is_dir():
                yield f"state {state.name.replace('-', ':')}: was not activated"
                continue
            for disk in ("main", "spare"):
                _patch(shape, state / f"{disk}.img", results / state.name / f"{disk}.img", disk)
            for replica in (0, 1):
                if wrong := _resolve(shape, state, replica, Path(scratch)):
                    yield f"state {state.name.replace('-', ':')}: activated, and then without " \
                          f"replica {replica}: {wrong}"
