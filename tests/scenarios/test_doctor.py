# SPDX-License-Identifier: GPL-2.0-or-later
"""`dmremap doctor` on a running kernel: all is well, or one thing is not. What else it finds:
tests/unit/test_doctor.c."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.scenarios.lib import Rig
from tests.scenarios.remapd import running
from tests.scenarios.sets import NOT_FOUND, PROGRAM, create, ext4_on_main, output, paths, refused

PROJECT = PROGRAM.parents[1]
MODULE = Path(os.environ["DM_REMAP_RESULTS"]) / "dm-remap.ko"
KERNEL = os.uname().release
TREE = Path("/lib/modules") / KERNEL
INSTALLED = TREE / "updates/dkms/dm-remap.ko"
RULES = Path("/run/udev/rules.d/66-dm-remap.rules")
UDEV = Path("/run/udev/control")
SCHEMA = json.loads((PROJECT / "build" / "dmremap.schema.json").read_text())
WELL, NOTICE, PROBLEM = 0, 10, 11
pytestmark = [pytest.mark.disks(main="4M", spare="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]


def run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result


def call(*arguments: str, wrap: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """With udev's socket there for the moment: no udev answers in this guest."""
    UDEV.touch()
    try:
        return subprocess.run([*wrap, str(PROGRAM), "doctor", *arguments], text=True,
                              capture_output=True, stdin=subprocess.DEVNULL)
    finally:
        UDEV.unlink()


def findings(code: int, wrap: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    result = call("--json", wrap=wrap)
    assert (result.returncode, result.stderr) == (code, ""), result
    told = json.loads(result.stdout)
    jsonschema.validate(told, SCHEMA["definitions"]["doctor"])
    assert told["kernel"] == KERNEL
    return {finding["code"]: finding for finding in told["findings"]}


@pytest.fixture(autouse=True)
def installed(rig: Rig, tmp_path: Path) -> Iterator[None]:
    """The module where DKMS puts it, rules, and the daemon."""
    run("mount", "-t", "tmpfs", "none", "/lib/modules")
    INSTALLED.parent.mkdir(parents=True)
    INSTALLED.write_bytes(MODULE.read_bytes())
    for name in ("modules.builtin", "modules.order"):
        (TREE / name).touch()
    run("depmod", KERNEL)
    RULES.parent.mkdir(parents=True, exist_ok=True)
    rules = (PROJECT / "systemd" / RULES.name).read_text()
    probe = f"{PROGRAM.parent}/dm-remap-probe"
    RULES.write_text(rules.replace('"dm-remap-probe ', f'"{probe} ')
                     .replace("/usr/lib/udev/dm-remap-probe", probe)
                     .replace("/usr/sbin/dmremap", str(PROGRAM)))
    with running(tmp_path):
        yield
    RULES.unlink()
    run("umount", "/lib/modules")
    if not Path("/sys/module/dm_remap").exists():
        run("insmod", str(MODULE))


def test_all_is_well(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig)
    told = call()
    assert (told.returncode, told.stdout) == (WELL, "Nothing is wrong.\n"), told
    assert call("--quiet").stdout == "" and findings(WELL) == {}


def test_without_root() -> None:
    """What can be seen is; what cannot be is named."""
    wrap = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    told = call(wrap=wrap)
    assert told.returncode == WELL and told.stderr == "", told
    assert told.stdout.startswith("Nothing is wrong, as far as it could be seen.\nnot seen sets")
    RULES.rename(RULES.with_suffix(".away"))
    assert set(findings(PROBLEM, wrap)) == {"udev-rules"}
    RULES.with_suffix(".away").rename(RULES)


def test_another_version_is_loaded(rig: Rig, tmp_path: Path) -> None:
    """As an upgrade of the packages leaves it until the next boot."""
    (tmp_path / "version").write_text("0.9.0\n")
    run("mount", "--bind", str(tmp_path / "version"), "/sys/module/dm_remap/version")
    try:
        found = findings(NOTICE)
        assert set(found) == {"module-version"}
        assert found["module-version"]["advice"].startswith("modprobe -r dm-remap")
        ext4_on_main(rig)
        create(rig)
        assert findings(NOTICE)["module-version"]["advice"].startswith("reboot")
    finally:
        run("umount", "/sys/module/dm_remap/version")


def test_no_family() -> None:
    """It is in the first network namespace only, as in a container."""
    assert set(findings(NOTICE, ("unshare", "--net"))) == {"netlink"}


def test_the_module_is_loaded_to_see_whether_it_can_be(rig: Rig) -> None:
    run("rmmod", "dm_remap")
    assert findings(WELL) == {} and Path("/sys/module/dm_remap").exists()
    run("rmmod", "dm_remap")
    INSTALLED.write_bytes(MODULE.read_bytes()[:5000])
    found = findings(PROBLEM)
    assert set(found) == {"module-fails"} and "Exec format error" in found["module-fails"]["text"]
    assert not Path("/sys/module/dm_remap").exists()


@pytest.mark.disks(main="4M", spare="2M", other="4M", back="2M")
@pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", other="MAIN-0003", back="SPARE-0004")
def test_the_module_is_missing(rig: Rig) -> None:
    """The commands that need it name the doctor, and the doctor says what to type."""
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    INSTALLED.unlink()
    assert set(findings(NOTICE)) == {"sources-missing"}    # it is loaded yet
    run("rmmod", "dm_remap")
    for command in (("activate", "data"), ("create", "more", *paths(rig, "other", "back"), "--yes"),
                    ("events", "--follow")):
        assert "dmremap doctor" in refused(NOT_FOUND, *command), command
    assert "dmremap doctor" in output("list")
    told = call()
    assert told.returncode == PROBLEM, told
    assert "module dm-remap: its sources are not installed" in told.stdout
    assert f"do: apt install dm-remap-dkms linux-headers-{KERNEL}\n" in told.stdout


def call_without_udev() -> set[str]:
    """Then all disks are asked for members."""
    told = json.loads(subprocess.run([str(PROGRAM), "doctor", "--json"], text=True,
                                     capture_output=True, stdin=subprocess.DEVNULL).stdout)
    for finding in told["findings"]:
        if finding["code"] == "set-inactive":
            assert finding["object"] == "set data" and "spare device is missing" in finding["text"]
    return {finding["code"] for finding in told["findings"]}


def test_a_set_that_is_not_active(rig: Rig) -> None:
    """With its reason; one that was deactivated by hand is as it should be."""
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    assert call_without_udev() == {"udev-off"}
    rig.media("spare").write(0, bytes(2 << 20))
    assert call_without_udev() == {"udev-off", "set-inactive"}
