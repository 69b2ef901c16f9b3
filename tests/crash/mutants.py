# SPDX-License-Identifier: GPL-2.0-or-later
"""Breaks one rule of the module at a time, and tells which test notices.

    python3 -m tests.crash.mutants [NAME...]

For each rule it edits a copy of the last commit, builds the module there and runs the crash
enumerator and then the scenarios named for it, until one fails. A mutant that nobody
notices, and an edit whose text is not in the sources any more, make it fail. Takes about
half a minute a mutant, so `make check` does not run it; whoever changes commit.c, load.c,
format.c, relocate.c or rescue.c should.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CRASH = [["-m", "tests.crash.run", "--shape", shape, "--seed", seed, "--operations", operations,
          "--states", states, "--activate", "24"] for shape, seed, operations, states in
         [("wide", "5", "800", "12000"), ("tight", "6", "1600", "100000"),
          ("wide", "7", "1600", "50000")]]


@dataclass(frozen=True)
class Mutant:
    """EDITS: file, text that occurs once, what replaces it."""

    rule: str
    edits: list[tuple[str, str, str]]
    scenarios: list[str] = field(default_factory=list)


MUTANTS = {
    "ack-before-commit": Mutant("P1, C1: acknowledge before the commit", [(
        "kmod/commit.c", "r = commit_table_block(set, block, change + i, nr_changes - i);",
        "r = 0;")]),
    "no-flush": Mutant("C10: no flush before the commit", [(
        "kmod/commit.c", "first_error = remap_flush_spare(set);", "first_error = 0;")]),
    "one-replica": Mutant("C1: one replica is enough", [(
        "kmod/commit.c", "for (replica = 0; replica < REMAP_REPLICAS; replica++) {\n"
        "\t\tsector_t sector",
        "for (replica = 0; replica < 1; replica++) {\n\t\tsector_t sector")]),
    "reuse-number": Mutant("C2: a failed commit's number is used again", [(
        "kmod/commit.c", "\tr = remap_write_block(set, block);\n\tif (!r) {\n\t\tclear_doubt",
        "\tr = remap_write_block(set, block);\n\tif (r)\n\t\tmeta->generation--;\n"
        "\tif (!r) {\n\t\tclear_doubt")]),
    "toggle-place": Mutant("C3: the place toggles at every attempt", [(
        "kmod/commit.c", "\t\t\tmeta->replica_errors[replica]++;",
        "\t\t\tmeta->replica_errors[replica]++;\n"
        "\t\t\tstate->good_place[0] = !state->good_place[0];\n"
        "\t\t\tstate->good_place[1] = !state->good_place[1];")]),
    "forget-doubt": Mutant("C4: what a failed commit withdrew is forgotten", [(
        "kmod/commit.c", "change[j].result = r ? REMAP_IN_DOUBT : REMAP_COMMITTED;",
        "change[j].result = r ? REMAP_NOT_WRITTEN : REMAP_COMMITTED;"), (
        "kmod/commit.c", "\tif (set->meta.nr_in_doubt)\n\t\tremap_resolve_doubt(set, true);\n",
        "")]),
    "no-fua": Mutant("C10: table blocks without FUA", [(
        "kmod/commit.c", "REQ_OP_WRITE | REQ_FUA", "REQ_OP_WRITE")]),
    "serve-before-repair": Mutant("C5: served before the repair", [(
        "kmod/load.c", "if (!state->repair[replica])", "if (1)")]),
    "repair-in-cache": Mutant("C5: the repair is not durable", [(
        "kmod/load.c", "REQ_OP_WRITE | REQ_FUA", "REQ_OP_WRITE")]),
    "reuse-slot": Mutant("C11: a freed slot is used again at once", [(
        "kmod/commit.c",
        "if (table->prov[slot] >= meta->block[block].seq && remap_commit_block(set, block))",
        "if (0)")]),
    "mark-first": Mutant("C14: the mark before the superblock", [(
        "kmod/format.c", "\tr = remap_super_commit(set);\n\tif (r) {\n\t\tremap_err",
        "\tr = remap_write_mark(set);\n\tif (r) {\n\t\tremap_err")]),
    "mark-ahead": Mutant("O6: the mark has a number that is not complete", [(
        "kmod/format.c", "remap_probe_encode(set->probe_buffer, set->meta.super.uuid, "
        "set->meta.committed,",
        "remap_probe_encode(set->probe_buffer, set->meta.super.uuid, set->meta.generation + 1,")]),
    "whole-chunk": Mutant("D1: the whole chunk is redirected", [(
        "kmod/relocate.c", "change->word |= (u64)mask << 40;",
        "change->word |= 0xffULL << 40;")]),
    "drop-lost": Mutant("P2: lost sectors are forgotten", [(
        "kmod/rescue.c", "(u64)mask << 40 | (u64)lost << 48;", "(u64)mask << 40;")]),
    "elide-flush": Mutant("D9: the spare's flush is always left out", [(
        "kmod/target.c", "if ((u64)atomic64_read(&set->flushed) >= pb->flush_sum)",
        "if (1)")]),
    "back-in-cache": Mutant("unremap: main's copy is not durable before the commit", [(
        "kmod/rescue.c",
        "remap_rw_chunk(set, set->main, start, mask, unit, REQ_OP_WRITE | REQ_FUA, &failed);",
        "remap_rw_chunk(set, set->main, start, mask, unit, REQ_OP_WRITE, &failed);")]),
    "no-drain": Mutant("D3: rescue does not drain", [(
        "kmod/rescue.c", "\tremap_drain(set);\n\n\tr = copy_in(",
        "\n\tr = copy_in(")], ["tests/scenarios/test_interleavings.py"]),
    "confirm-in-cache": Mutant("E2: confirming writes without FUA", [(
        "kmod/relocate.c",
        "remap_sub_submit(set, piece, set->main, piece->sector, REQ_FUA);",
        "remap_sub_submit(set, piece, set->main, piece->sector, 0);")],
        ["tests/scenarios/test_relocation.py"]),
    "no-probe": Mutant("P5, E6: no probe around the confirmation", [(
        "kmod/relocate.c", "\tif (remap_main_alive(set))\n\t\treturn true;",
        "\tif (1)\n\t\treturn true;")], ["tests/scenarios/test_relocation.py"]),
}


class StaleMutant(Exception):
    """A text to be replaced is not there exactly once, or the result does not build."""


def apply(mutant: Mutant, tree: Path) -> None:
    for name, old, new in mutant.edits:
        source = (tree / name).read_text()
        if source.count(old) != 1:
            raise StaleMutant(f"{name}: '{old.strip()}' occurs {source.count(old)} times")
        (tree / name).write_text(source.replace(old, new))


def mirror(tree: Path) -> None:
    """The last commit's sources; what was built there stays."""
    for part in ("kmod", "common", "tests"):
        shutil.rmtree(tree / part, ignore_errors=True)
    archive = subprocess.run(["git", "-C", str(PROJECT), "archive", "HEAD"],
                             capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)


def python(tree: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/usr/bin/python3", "-B", *command], cwd=tree, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL)


def hunt(mutant: Mutant, tree: Path) -> str | None:
    """The test that notices and what it says; None: nobody does."""
    built = python(tree, ["-m", "tests.harness.kernels", "uml", "--module"])
    if built.returncode:
        raise StaleMutant(f"it does not build:\n{built.stderr}")
    scenarios = [["-m", "tests.harness.uml", scenario] for scenario in mutant.scenarios]
    for command in scenarios + CRASH:
        result = python(tree, command)
        if result.returncode:
            told = [line for line in result.stdout.splitlines() + result.stderr.splitlines()
                    if line.startswith(("state ", "FAILED", "E   "))]
            return f"{' '.join(command[1:])}: {told[0] if told else result.stderr[-500:]}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.crash.mutants")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(MUTANTS)}")
    names = parser.parse_args().names or list(MUTANTS)
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="dm-remap-mutants-") as scratch:
        for name in names:
            tree = Path(scratch)
            mirror(tree)
            try:
                apply(MUTANTS[name], tree)
                found = hunt(MUTANTS[name], tree)
            except StaleMutant as error:
                found = None
                print(error)
            survivors += found is None
            print(f"{name} ({MUTANTS[name].rule}): {found or 'NOT NOTICED'}", flush=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
