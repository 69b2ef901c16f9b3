# SPDX-License-Identifier: GPL-2.0-or-later
"""The sum at the end of `make check` must be true."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.harness import disks, runner
from tests.suites import ALONE, CHECK, SUITES, Suite


@pytest.fixture(autouse=True)
def own_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "OUTPUT", tmp_path / "output")


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "script"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *suites: Suite) -> tuple[int, str]:
    code = runner.run(list(suites))
    return code, capsys.readouterr().out.splitlines()[-1]


def tally(tmp_path: Path, text: str) -> Suite:
    return Suite(f"made up in {tmp_path.name}", script(tmp_path, text), "tally", (CHECK,))


def test_counts_are_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = tally(tmp_path, "echo '3 passed, 0 failed'")
    (tmp_path / "b").mkdir()
    other = tally(tmp_path / "b", "echo '4 passed, 0 failed, 1 skipped'")
    assert run(capsys, one, other) == (0, "7 passed, 0 failed, 1 skipped")


def test_a_failure_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = tally(tmp_path, "echo '3 passed, 2 failed'; exit 1")
    assert run(capsys, suite) == (1, "3 passed, 2 failed")


def test_bad_exit_code_after_good_counts(tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    suite = tally(tmp_path, "echo '3 passed, 0 failed'; exit 7")
    assert run(capsys, suite) == (1, "3 passed, 1 failed")


def test_nothing_counted_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, tally(tmp_path, "echo hello")) == (1, "0 passed, 1 failed")
    assert run(capsys) == (1, "0 passed, 0 failed")


def test_no_end_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = Suite("slow", script(tmp_path, "sleep 60"), "tally", (CHECK,), 1, 0.5)
    assert run(capsys, suite) == (1, "0 passed, 1 failed")


def test_glob_without_files_fails(capsys: pytest.CaptureFixture[str]) -> None:
    suite = Suite("gone", "tests/nowhere/test_*.py", "uml", (CHECK,))
    assert run(capsys, suite)[0] == 1


def test_failed_kernel_stops_what_needs_it(tmp_path: Path,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    kernel = Suite("kernel", script(tmp_path, "exit 1"), "make", (CHECK,), ALONE)
    scenarios = Suite("scenarios", "tests/scenarios/test_rig.py", "uml", (CHECK,))
    code, last = run(capsys, kernel, scenarios)
    assert (code, last) == (1, "0 passed, 2 failed")


def test_pytest_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_x.py").write_text("import pytest\ndef test_a(): pass\n"
                                        "def test_b(): assert 0\n"
                                        "@pytest.mark.skip(reason='so')\ndef test_c(): pass\n")
    suite = Suite("some", str(tmp_path), "pytest", (CHECK,))
    assert run(capsys, suite) == (1, "1 passed, 1 failed, 1 skipped")


def test_why_it_failed_is_near_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody may keep only the last lines: each failed test has one there."""
    (tmp_path / "test_x.py").write_text("def test_a():\n    assert 1 == 2\n"
                                        "def test_b():\n    raise ValueError('no')\n")
    suite = Suite("x", str(tmp_path / "test_x.py"), "pytest", (CHECK,))
    assert runner.run([suite, tally(tmp_path, "echo '3 passed, 0 failed'; exit 7")]) == 1
    lines = capsys.readouterr().out.splitlines()[-7:]
    assert lines[:4] == ["failed:", "    x: test_x::test_a: assert 1 == 2",
                         "    x: test_x::test_b: ValueError: no", f"    made up in {tmp_path.name}: exit code 7"], lines


def test_told_to_stop(tmp_path: Path) -> None:
    """It leaves nothing that still runs, starts nothing, and has failed."""
    first = script(tmp_path, f"sleep 1000 & echo $! >{tmp_path}/sleeper; wait")
    second = tmp_path / "second"
    text = (f"import sys; from pathlib import Path; from tests.harness import runner; "
            f"from tests.suites import Suite; runner.OUTPUT = Path('{tmp_path}/output'); "
            f"sys.exit(runner.run([Suite('one', '{first}', 'tally', (), 6), "
            f"Suite('two', 'touch {second}', 'tally', (), 6)]))")
    running = subprocess.Popen(["/usr/bin/python3", "-c", text], cwd=runner.PROJECT,
                               stdout=subprocess.PIPE, text=True)
    sleeper = tmp_path / "sleeper"
    while not sleeper.exists() or not sleeper.read_text():
        time.sleep(0.01)
    running.terminate()
    out, _ = running.communicate(timeout=300)
    assert running.returncode == 1 and out.splitlines()[-1] == "0 passed, 2 failed"
    assert not second.exists()
    words = Path("/proc", sleeper.read_text().strip(), "cmdline")
    assert not words.exists() or not words.read_bytes()    # at most a zombie


def test_a_suite_of_several_globs() -> None:
    suite = Suite("some", "tests/scenarios/test_[rf]*_table.py tests/scenarios/test_rig.py "
                          "tests/scenarios/test_flush.py tests/scenarios/test_no_such.py", "uml",
                  (CHECK,), disks="late")
    files = [job.files[0].name for job in runner.jobs_of([suite]) if job.files]
    assert files == ["test_[rf]*_table.py", "test_rig.py", "test_flush.py", "test_no_such.py"]


@pytest.mark.parametrize("suite", [s for s in SUITES if s.kind in runner.GUESTS],
                         ids=lambda suite: suite.name)
def test_suites_have_their_files(suite: Suite) -> None:
    """A file that was renamed must not drop out of the table in silence."""
    jobs = list(runner.jobs_of([suite]))
    assert jobs and suite.disks in disks.KINDS
    assert all(file.is_file() for job in jobs for file in job.files or [])


@pytest.mark.parametrize("run", ["check", "all"])
def test_without_root(run: str) -> None:
    """A sentence that says what to type, instead of a traceback after some minutes."""
    command = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    told = subprocess.run([*command, str(runner.PROJECT / "tests/run"), run], capture_output=True,
                          text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert told.returncode == 1 and told.stdout == ""
    typed = {"check": "sudo make check\n", "all": "sudo make check-all\n"}[run]
    assert "needs root" in told.stderr and typed in told.stderr
    assert "Traceback" not in told.stderr
