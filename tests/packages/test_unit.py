# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit of the daemon: little is allowed to it, and what it needs is."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import exposure
from tests.harness.exposure import UNIT


def analyze(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*exposure.COMMAND.split(), "--offline=true", *options, UNIT],
                          capture_output=True, text=True)


def test_exposure() -> None:
    """3.0 of 10 at most, as systemd counts; the unit explains each exception."""
    result = analyze()
    assert "Overall exposure level" in result.stdout, result.stderr
    assert result.returncode == 0, result.stdout.splitlines()[-1]
    assert exposure.unexplained(analyze("--json=short").stdout, UNIT.read_text()) == []


def test_an_exception_that_is_not_explained_is_found() -> None:
    report = analyze("--json=short").stdout
    for word, name in (("CAP_SYSLOG", "CapabilityBoundingSet=~CAP_SYSLOG"),
                       ("PrivateUsers=", "PrivateUsers="), ("User=", "User=/DynamicUser=")):
        unit = re.sub(rf"(?<!\w){word}", "it", UNIT.read_text())
        assert exposure.unexplained(report, unit) == [name]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"),
                    reason="only root can give capabilities away")
def test_reads_the_kernel_log_with_what_it_is_allowed() -> None:
    """Kernels after 6.1 ask for CAP_SYSLOG where kernel.dmesg_restrict is set."""
    text = UNIT.read_text()
    assert re.search(r"^DeviceAllow=/dev/kmsg r$", text, re.M)
    if Path("/proc/sys/kernel/dmesg_restrict").read_text().strip() == "0":
        pytest.skip("this machine's kernel lets anybody read its log (kernel.dmesg_restrict=0)")
    found = re.search(r"^CapabilityBoundingSet=(.*)$", text, re.M)
    assert found
    allowed = ",".join(f"+{name.lower().removeprefix('cap_')}" for name in found[1].split())
    result = subprocess.run(["setpriv", f"--bounding-set=-all,{allowed}", "sh", "-c",
                             "exec </dev/kmsg"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_directories_are_roots() -> None:
    """systemd sets the modes at each start, whatever was there."""
    for unit in (UNIT, UNIT.with_name("dm-remap-scrub@.service")):
        text = unit.read_text()
        for kind in ("State", "Runtime"):
            if f"\n{kind}Directory=" in text:
                assert f"\n{kind}DirectoryMode=0700\n" in text, (unit, kind)
        assert "\nUMask=0077\n" in text
    assert "\nStateDirectory=dm-remap\n" in UNIT.read_text()
