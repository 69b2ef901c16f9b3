# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache of slow things: kernels, root images, snapshots.

Owns $XDG_CACHE_HOME/dm-remap (or ~/.cache/dm-remap). An entry is a directory
NAME-KEY, KEY being a hash of everything that went into it, so a changed input
makes a new entry and an old one is never wrong, only unused. Entries are built
under tmp/ and renamed into place: what is there is complete.

Callers: kernels.py, the virtual machine's image builder, lint.

    python3 -m tests.harness.cache            list the entries
    python3 -m tests.harness.cache prune      remove those not used for 30 days
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

UNUSED_DAYS = 30


def cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    root = Path(base) / "dm-remap"
    root.mkdir(parents=True, exist_ok=True)
    return root


def key_of(*inputs: str | bytes | Path) -> str:
    """Hash of the inputs; of a Path, the file's content counts and not its name."""
    whole = hashlib.sha256()
    for item in inputs:
        if isinstance(item, Path):
            item = item.read_bytes()
        elif isinstance(item, str):
            item = item.encode()
        whole.update(len(item).to_bytes(8, "little"))
        whole.update(item)
    return whole.hexdigest()[:16]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time in here; PATH is a file for nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def entry(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """The directory of entry NAME-KEY; BUILD fills a new one when it is not there.

    Two processes that want the same entry build it once: the second one waits.
    """
    root = cache_root()
    place = root / f"{name}-{key}"
    with locked(root / "locks" / f"{name}-{key}"):
        if not place.is_dir():
            (root / "tmp").mkdir(exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=root / "tmp"))
            try:
                build(scratch)
                scratch.chmod(0o755)
                scratch.rename(place)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    os.utime(place)
    return place


def _entries() -> list[Path]:
    own = ("tmp", "locks")
    return sorted(p for p in cache_root().iterdir() if p.is_dir() and p.name not in own)


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["prune"]):
        print("usage: python3 -m tests.harness.cache [prune]", file=sys.stderr)
        return 2
    for place in _entries():
        idle_days = (time.time() - place.stat().st_mtime) / 86400
        if arguments and idle_days > UNUSED_DAYS:
            shutil.rmtree(place)
            print(f"removed {place}")
        else:
            print(f"{place}  last used {idle_days:.1f} days ago")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
