# SPDX-License-Identifier: GPL-2.0-or-later
"""Breaks one rule of the module at a time, and tells which test notices.

    python3 -m tests.mutants [--jobs N] [--write] [NAME...]
    python3 -m tests.mutants --count

For each entry of mutants_list.py, mutants_flush.py and mutants_command.py it edits a copy of
the last commit, builds what was edited and runs the tests named there, in that order, until
one fails. Before that the same tests must pass on the copy as it is. A mutant that no test
notices, and an edit whose text is not in the sources any more, make it fail; --write brings
the rows of those that ran in tests/MUTANTS.md up to date. An hour or more for all, so `make
check` does not run it; after a change of kmod/ or common/ it is run for the rules concerned.
--count runs none: it prints how many there are and how many a test has noticed, by
tests/MUTANTS.md, and puts both into build/report.json.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests import report
from tests.mutants_command import COMMAND
from tests.mutants_flush import FLUSH
from tests.mutants_list import MUTANTS as FIRST
from tests.mutants_list import UNTESTABLE, Mutant

PROJECT = Path(__file__).resolve().parents[1]
SOURCES = ("kmod", "common", "daemon")
CRASH = ["--operations", "1600", "--states", "50000", "--activate", "24"]
GUEST_S = "300"    # a rule whose breaking makes I/O wait for ever is noticed by this
TABLE = PROJECT / "tests" / "MUTANTS.md"
NOT_RUN, NOTHING = "not run", "**nothing**"
MUTANTS = FIRST | FLUSH | COMMAND


class StaleMutant(Exception):
    """A text to be replaced is not there exactly once, or the result does not build."""


def apply(mutant: Mutant, tree: Path) -> None:
    for name, old, new in mutant.edits:
        source = (tree / name).read_text()
        if source.count(old) != 1:
            raise StaleMutant(f"{name}: '{old.strip()}' occurs {source.count(old)} times")
        (tree / name).write_text(source.replace(old, new))


def last_commit(tree: Path) -> Path:
    archive = subprocess.run(["git", "-C", str(PROJECT), "archive", "HEAD"],
                             capture_output=True, check=True)
    tree.mkdir()
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)
    return tree


def restore(tree: Path, base: Path) -> None:
    """The sources of BASE; what was built in TREE stays, and is older than what changes here."""
    for file in (file for part in SOURCES for file in (base / part).rglob("*")):
        place = tree / file.relative_to(base)
        if file.is_file() and place.read_bytes() != file.read_bytes():
            shutil.copyfile(file, place)


def command_of(catcher: str) -> list[str]:
    """FILE[::WORDS] of tests/scenarios, "harness FILE::WORDS", "unit",
    "crash SHAPE SEED [DISKS CACHE]" or "soak SEED LIFE"."""
    if catcher == "unit":
        return ["make", "-s", "-C", "tests/unit", "check"]
    python = ["/usr/bin/python3", "-B", "-m"]
    if catcher.startswith("crash "):
        _, shape, seed, *on = catcher.split()
        more = ["--disks", on[0], "--cache", on[1]] if on else []
        return [*python, "tests.crash.run", "--shape", shape, "--seed", seed, *CRASH, *more]
    if catcher.startswith("soak "):
        _, seed, life = catcher.split()
        return [*python, "tests.soak.run", "--seed", seed, "--life", life, "--sessions", "2"]
    file, _, words = catcher.removeprefix("harness ").partition("::")
    if catcher.startswith("harness "):
        return [*python, "pytest", "-q", f"tests/harness/{file}", "-k", words]
    select = ["-k", words] if words else []
    return [*python, "tests.harness.uml", "--timeout", GUEST_S, f"tests/scenarios/{file}", "-x",
            *select]


def what_failed(output: str) -> str:
    """The names of the tests, or the sentence, that an output tells of."""
    named = re.findall(r"^_{3,} (test_\w+(?:\[.*\])?) _{3,}$", output, re.M)
    named += [name for name in re.findall(r"^\[  FAILED  \] (\w+)$", output, re.M)]
    if named:
        return ", ".join(f"`{name}`" for name in dict.fromkeys(named))
    for start in ("state ", "FAILED: "):
        if found := [line for line in output.splitlines() if line.startswith(start)]:
            return found[0].removeprefix("FAILED: ").split("; results are in")[0][:160]
    return output.strip().splitlines()[-1][:160] if output.strip() else "it said nothing"


def hunt(catchers: list[str], tree: Path) -> str | None:
    """What notices; None: nothing does."""
    for catcher in catchers:
        result = subprocess.run(command_of(catcher), cwd=tree, text=True, capture_output=True,
                                stdin=subprocess.DEVNULL, errors="replace")
        if result.returncode:
            said = (result.stdout + result.stderr).replace("\r", "")
            if "does not build for" in said or re.search(r"^\S+\.[ch]:\d+:\d+: error: ", said, re.M):
                raise StaleMutant(said[-3000:])
            if re.search(r"\b\d+ deselected in ", said) and not re.search(r"\b\d+ (failed|error)", said):
                raise StaleMutant(f"{catcher}: there is no such test")
            where = catcher.partition("::")[0].removesuffix(".py")
            return f"{where}: {what_failed(said)}"
    return None


def build_command(tree: Path) -> None:
    result = subprocess.run(["make", "-s", "-j2", "-C", "daemon", "all", "in-process"], cwd=tree,
                            text=True, capture_output=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        raise StaleMutant(result.stdout + result.stderr)


def is_of_command(mutant: Mutant) -> bool:
    """Whether its tests need the command: others' pass without."""
    return any(file.startswith("daemon/") for file, _, _ in mutant.edits) or \
        any(catcher.startswith("soak ") for catcher in mutant.catchers)


def unbroken(names: list[str]) -> list[str]:
    """The catchers of NAMES, one for each file."""
    words: dict[str, set[str]] = {}
    for name in names:
        for catcher in MUTANTS[name].catchers:
            file, _, expression = catcher.partition("::")
            words.setdefault(file, set()).add(expression)
    return [f"{file}::{' or '.join(sorted(some))}" if all(some) else file
            for file, some in words.items()]


def recorded() -> dict[str, str]:
    """What noticed each, by the table."""
    return dict(re.findall(r"\(`([\w-]+)`\) \| (.*) \|$", TABLE.read_text(), re.M))


def count() -> tuple[int, int]:
    """How many mutants there are, and how many a test has noticed."""
    by = recorded()
    caught = sum(by.get(name, NOT_RUN) not in (NOT_RUN, NOTHING) for name in MUTANTS)
    report.add("seeded_bugs", "mutants", len(MUTANTS))
    report.add("seeded_bugs_caught", "mutants", caught)
    return len(MUTANTS), caught


def write_table(found: dict[str, str | None]) -> None:
    rows = recorded() | {name: by or NOTHING for name, by in found.items()}
    lines = ["<!-- SPDX-License-Identifier: GPL-2.0-or-later -->", "# Rules, each broken once",
             "", "Made by `python3 -m tests.mutants --write`: one edit of the module, of common/ or",
             "of the command each, see mutants_list.py, mutants_flush.py and mutants_command.py;",
             "and the test that noticed: the first that failed, there may be more.", "",
             "| rule | what was broken | noticed by |", "|---|---|---|"]
    lines += [f"| {mutant.rule} | {mutant.what} (`{name}`) | {rows.get(name, NOT_RUN)} |"
              for name, mutant in MUTANTS.items()]
    lines += ["", "## What this test bed cannot notice", "", "| rule | why |", "|---|---|"]
    lines += [f"| {rule} | {why} |" for rule, why in UNTESTABLE]
    TABLE.write_text("\n".join(lines) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.mutants")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="into tests/MUTANTS.md")
    parser.add_argument("--count", action="store_true", help="run none")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(MUTANTS)}")
    options = parser.parse_args()
    if options.count:
        print("{} seeded bugs, {} noticed".format(*count()))
        return 0
    names = options.names or list(MUTANTS)
    if unknown := set(names) - set(MUTANTS):
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}")

    with tempfile.TemporaryDirectory(prefix="dm-remap-mutants-") as scratch:
        base = last_commit(Path(scratch, "base"))
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.jobs):
            trees.put(shutil.copytree(base, Path(scratch, str(number))))

        def one(mutant: Mutant, command: bool) -> str | None:
            tree = trees.get()
            try:
                restore(tree, base)
                apply(mutant, tree)
                if command:
                    build_command(tree)
                return hunt(mutant.catchers, tree)
            finally:
                trees.put(tree)

        def named(name: str) -> str | None:
            try:
                found = one(MUTANTS[name], is_of_command(MUTANTS[name]))
                print(f"{name}: {found or 'NOT NOTICED'}", flush=True)
            except StaleMutant as error:
                found = None
                print(f"{name}: STALE: {error}", flush=True)
            return found

        with ThreadPoolExecutor(options.jobs) as pool:
            command = any(is_of_command(MUTANTS[name]) for name in names)
            whole = list(pool.map(lambda catcher: one(Mutant("", "", [], [catcher]), command),
                                  unbroken(names)))
            if any(whole):
                print("without any edit:", *filter(None, whole), sep="\n")
                return 1
            found = dict(zip(names, pool.map(named, names)))
    if options.write:
        write_table(found)
        count()
    return 0 if all(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
