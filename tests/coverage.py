# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines of kmod run in the scenarios (gcov), on the debugging kernel: `make coverage`.

    python3 -m tests.coverage [SCENARIO...]    files; without any, all of the suites on KASAN

Owns build/coverage.txt, the lines that do not, and the key kmod_line_coverage of
build/report.json, which is in hundredths of a percent. Lines of common/ that the kernel has count
as well. Fails if a line of kmod is not in coverage_list.py, which says why.
"""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests import report
from tests.coverage_list import NEVER_RUN
from tests.harness import children, kernels, runner, uml
from tests.suites import ALL, SUITES

KIND = "kasan"
PLACE = kernels.BUILD / f"{runner.GUESTS[KIND][0]}-gcov" / "kmod"
LIST = kernels.BUILD / "coverage.txt"
Lines = dict[str, dict[int, int]]    # file: line: how often it ran


def _groups() -> list[list[Path]]:
    jobs = runner.jobs_of([suite for suite in SUITES if suite.kind == KIND and ALL in suite.runs])
    return [job.files for job in jobs if job.files]


def _run(files: list[Path]) -> tuple[Path, bool]:
    """Where the counts are, and whether all tests passed."""
    kernel, which, _ = runner.GUESTS[KIND]
    outcome = uml.run(files, ["-m", which], kernel, name=f"gcov-{files[0].stem}",
                      timeout_s=2 * uml.TIMEOUT_S[kernel] + 240 * len(files), counted=True)
    print(f"{'FAILED' if outcome.failure else 'ok':7}{', '.join(file.stem for file in files)}",
          flush=True)
    if outcome.failure:
        print(outcome.failure, flush=True)
    return outcome.results / "gcda", not outcome.failure


def _add(counts: Path, lines: Lines) -> None:
    for data in counts.rglob("*.gcda"):
        notes = PLACE / data.relative_to(counts).with_suffix(".gcno")
        copy = data.with_suffix(".gcno")
        copy.write_bytes(notes.read_bytes())
        told = subprocess.run(["gcov", "--json-format", "--stdout", str(data)], check=True,
                              capture_output=True, cwd=data.parent).stdout
        for file in json.loads(told)["files"]:
            name = file["file"].rpartition("-gcov/")[2]
            if not name.startswith(("kmod/", "common/")):
                continue    # of the kernel's own headers
            known = lines.setdefault(name, {})
            for line in file["lines"]:
                number = line["line_number"]
                known[number] = known.get(number, 0) + line["count"]


def _unexplained(lines: Lines) -> list[str]:
    """First lines of runs of lines that did not run, and of which nothing is known."""
    found = []
    for name, counts in sorted(lines.items()):
        if not name.startswith("kmod/"):
            continue
        text = (kernels.PROJECT / name).read_text().splitlines()
        ran = True
        for number, count in sorted(counts.items()):
            line, before = text[number - 1].strip(), text[number - 2].strip()
            if ran and not count and not {line, f"{before} {line}"} & NEVER_RUN.get(name, {}).keys():
                found.append(f"{name}:{number}: {text[number - 1].strip()}")
            ran = bool(count)
    return found


def _show(lines: Lines) -> float:
    all_lines = sum(len(counts) for counts in lines.values())
    missed = {name: sorted(number for number, count in counts.items() if not count)
              for name, counts in lines.items()}
    nr_missed = sum(map(len, missed.values()))
    with open(LIST, "w", encoding="utf-8") as file:
        for name, numbers in sorted(missed.items()):
            source = kernels.PROJECT / name
            text = source.read_text().splitlines() if source.is_file() else []
            for number in numbers:
                file.write(f"{name}:{number}: {text[number - 1] if text else ''}\n")
    return 100 * (1 - nr_missed / all_lines)


def main(names: list[str]) -> int:
    groups = [[Path(name)] for name in names] or _groups()
    kernels.build_module(runner.GUESTS[KIND][0], counted=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: children.end_all())    # all groups fail then
    with ThreadPoolExecutor(max_workers=2) as pool:
        runs = list(pool.map(_run, groups))
    lines: Lines = {}
    for place, _ in runs:
        _add(place, lines)
    percent = _show(lines)
    print(f"{percent:.2f} % of the lines of kmod; those that never ran are in {LIST}")
    if not all(passed for _, passed in runs):
        return 1    # nor is it a figure: a test that failed may not have run to its end
    if names:
        return 0
    report.add("kmod_line_coverage", "scenarios", round(100 * percent))
    unexplained = _unexplained(lines)
    for line in unexplained:
        print(f"not in tests/coverage_list.py: {line}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
