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

    def __call__(self, name: str, verb: str, **programs: str) -> str:
        """PROGRAMS: scripts in the place of the machine's own."""
        mounts = "".join(f"mount --bind $0{directory} {directory} && "
                         for directory in (STATE, RULES, MODULES))
        for program, text in programs.items():
            path = self.place / "bin" / program.replace("_", "-")
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        result = subprocess.run(["unshare", "--mount", "sh", "-c",
                                 f"{mounts} PATH=$0/bin:$PATH exec sh $1 $2",
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
    assert f"{STATE}/dm-remap is kept, because it has backups" in script("dm-remap.postrm", "purge")
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
    assert "6.13.1-amd64: its headers are missing. apt install linux-headers-6.13.1-amd64 " in told
    (script.place / MODULES[1:] / "6.13.1-amd64/build").mkdir()
    (script.place / MODULES[1:] / "6.13.1-amd64/build/Makefile").touch()
    told = script("dm-remap-dkms.postinst", "configure")
    assert "its headers are there: dkms status" in told and "apt install" not in told
    assert script("dm-remap-dkms.postinst", "triggered") == ""


def test_headers_without_a_kernel_need_no_module(script: Script) -> None:
    (script.place / MODULES[1:] / "6.1.0-1-amd64").mkdir()
    (script.place / MODULES[1:] / "6.1.0-1-amd64/build").symlink_to("/usr/src")
    assert script("dm-remap-dkms.postinst", "configure") == ""


@pytest.mark.parametrize("status, told", [
    ("exit 1", True),
    ("echo deinstall ok config-files", True),
    # it tells by itself, with what is missing
    ("echo install ok unpacked", False),
    ("echo install ok installed", False),
])
def test_the_package_of_the_module_is_named(script: Script, status: str, told: bool) -> None:
    fakes = {"dpkg_query": status, "uname": "echo 6.13.1-amd64", "journalctl": "exit 0"}
    kernel(script, "6.13.1-amd64")
    said = script("dm-remap.postinst", "configure", **fakes)
    assert ("apt install dm-remap-dkms linux-headers-6.13.1-amd64 " in said) == told
    assert bool(said) == told
    assert script("dm-remap.postinst", "triggered", **fakes) == ""
    (script.place / MODULES[1:] / "6.13.1-amd64/kernel/dm-remap.ko.xz").touch()
    assert script("dm-remap.postinst", "configure", **fakes) == ""


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_the_boot_prints_is_what_the_command_said(tmp_path: Path, shell: str) -> None:
    """What a disk calls itself may have a backslash: echo of dash makes an escape character of
    it."""
    said = r"dmremap: remap-01234567: its main device is missing: serial:A\033[2J\0101\c"
    command = tmp_path / "dmremap"
    command.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\n")
    command.chmod(0o755)
    script = (PROJECT / "packaging/boot/boot").read_text()
    script = script.replace("/usr/sbin/dmremap", str(command))
    script = script.replace("/run/dm-remap-boot", str(tmp_path / "told"))
    for wanted in (said + "\n", ""):    # once
        result = subprocess.run([shell, "-c", script, "boot", "activate"], capture_output=True,
                                text=True, stdin=subprocess.DEVNULL)
        assert (result.returncode, result.stderr) == (0, wanted), result
