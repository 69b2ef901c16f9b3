# SPDX-License-Identifier: GPL-2.0-or-later
"""What the packages' scripts leave behind, and what they say about it (prerm: test_removal.py).

The scripts themselves run, in a mount namespace with directories made for a test.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.harness.kernels import PROJECT

DEBIAN = PROJECT / "packaging" / "debian"
STATE, RULES, MODULES = "/var/lib", "/etc/udev", "/lib/modules"

if os.geteuid():
    pytest.skip("a mount namespace wants root: use sudo", allow_module_level=True)


class Script:
    """A script of a package on a machine where three directories are as a test wants them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for directory in (STATE, RULES, MODULES):
            (place / directory[1:]).mkdir(parents=True)
        self.state = place / STATE[1:] / "dm-remap"

    def __call__(self, name: str, verb: str) -> str:
        mounts = "".join(f"mount --bind $0{directory} {directory} && "
                         for directory in (STATE, RULES, MODULES))
        result = subprocess.run(["unshare", "--mount", "sh", "-c", f"{mounts} exec sh $1 $2",
                                 self.place, DEBIAN / name, verb], capture_output=True, text=True,
                                stdin=subprocess.DEVNULL)
        assert result.returncode == 0 and result.stdout == "", result
        return result.stderr


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_purge_keeps_backups_and_says_so(script: Script) -> None:
    script.state.mkdir()
    (script.state / "0123.backup").touch()
    assert f"{STATE}/dm-remap is kept, it has backups" in script("dm-remap.postrm", "purge")
    assert (script.state / "0123.backup").exists()


def test_purge_leaves_nothing_else(script: Script) -> None:
    script.state.mkdir()
    (script.state / "state").touch()
    assert script("dm-remap.postrm", "remove") == "" and script.state.exists()
    assert script("dm-remap.postrm", "purge") == ""
    assert not script.state.exists()
    assert script("dm-remap.postrm", "purge") == ""


@pytest.mark.parametrize("verb", ["remove", "upgrade"])
def test_main_of_a_set_without_guard(script: Script, verb: str) -> None:
    rule = script.place / RULES[1:] / "rules.d/65-dm-remap-0123.rules"
    rule.parent.mkdir()
    rule.touch()
    told = script("dm-remap.postrm", verb)
    assert ("no longer hidden" in told) == (verb == "remove") and rule.exists()


def kernel(script: Script, release: str, module: str = "") -> None:
    place = script.place / MODULES[1:] / release
    (place / "kernel").mkdir(parents=True)
    (place / "modules.builtin").touch()
    if module:
        (place / "updates/dkms").mkdir(parents=True)
        (place / "updates/dkms" / module).touch()


def test_kernels_without_the_module_are_named(script: Script) -> None:
    """DKMS is silent about a kernel whose headers are missing, and exits with 0."""
    kernel(script, "6.1.0-1-amd64", "dm-remap.ko")
    kernel(script, "6.12.1-amd64", "dm-remap.ko.xz")
    assert script("dm-remap-dkms.postinst", "configure") == ""
    kernel(script, "6.13.1-amd64")
    told = script("dm-remap-dkms.postinst", "configure")
    assert told.count("no module for Linux") == 1
    assert "apt install linux-headers-6.13.1-amd64," in told
    assert script("dm-remap-dkms.postinst", "triggered") == ""


def test_headers_without_a_kernel_need_no_module(script: Script) -> None:
    (script.place / MODULES[1:] / "6.1.0-1-amd64").mkdir()
    (script.place / MODULES[1:] / "6.1.0-1-amd64/build").symlink_to("/usr/src")
    assert script("dm-remap-dkms.postinst", "configure") == ""
