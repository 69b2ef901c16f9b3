# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages are as Debian wants them: lintian has neither errors nor warnings."""

import shutil
import subprocess

import pytest

from tests.vm import packages


def test_lintian() -> None:
    if not shutil.which("lintian"):
        pytest.fail("lintian is missing: run `tests/setup check` as root")
    changes, = packages.PLACE.glob("*.changes") if packages.built() else ()
    result = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", str(changes)],
                            capture_output=True, text=True)
    said = [line for line in result.stdout.splitlines() if not line.startswith(("N:", "I:"))]
    assert result.returncode == 0 and said == [], "\n".join(said) or result.stderr
