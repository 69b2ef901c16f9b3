# SPDX-License-Identifier: GPL-2.0-or-later
"""`make install` puts all of it where PREFIX says, and `make uninstall` takes all of it away."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.kernels import PROJECT

CONFIG = "etc/dm-remap/dm-remapd.conf"
# What each system has already; nothing of it may go.
SYSTEM = ("etc", "usr/sbin", "usr/src", "usr/lib", "usr/share/man", "usr/local/sbin",
          "usr/local/lib", "usr/local/share/man", "opt")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for directory in SYSTEM:
        (tmp_path / directory).mkdir(parents=True)
    return tmp_path


def make(target: str, root: Path, prefix: str) -> str:
    return subprocess.run(["make", "-s", "-C", PROJECT, target, f"DESTDIR={root}",
                           f"PREFIX={prefix}"], check=True, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL).stderr


def content(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local", "/opt/dm-remap"])
def test_nothing_is_left(root: Path, prefix: str) -> None:
    before = content(root)
    make("install", root, prefix)
    assert {f"{prefix[1:]}/sbin/dmremap", CONFIG} <= content(root)
    make("uninstall", root, prefix)
    assert content(root) == before


def test_twice(root: Path) -> None:
    make("install", root, "/usr")
    once = content(root)
    make("install", root, "/usr")
    assert content(root) == once


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local", "/opt/dm-remap"])
def test_each_place_that_is_named_exists(root: Path, prefix: str) -> None:
    """Where udev and systemd look, and with programs that are there."""
    make("install", root, prefix)
    lib = root / ("usr/local/lib" if prefix == "/usr/local" else "usr/lib")
    unit = (lib / "systemd/system/dm-remapd.service").read_text()
    rules = (lib / "udev/rules.d/66-dm-remap.rules").read_text()
    named = re.findall(r"^ExecStart=(\S+)", unit, re.M) + \
        re.findall(r"[\" ](/\S*/dmremap) (?:activate|write-cache) ", rules)
    assert len(named) == 7
    for program in named:
        assert os.access(root / program[1:], os.X_OK), program
    prober, = set(re.findall(r'IMPORT\{program\}="(\S+)', rules))
    assert os.access(root / "usr/lib/udev" / prober if prober[0] != "/" else root / prober[1:],
                     os.X_OK)
    assert (root / "usr/lib/systemd/system-sleep/dm-remap").exists()


def test_settings_of_the_administrator_are_kept(root: Path) -> None:
    make("install", root, "/usr")
    (root / CONFIG).write_text("[save]\ninterval = 5\n")
    assert "is kept" in make("install", root, "/usr")
    assert "is kept" in make("uninstall", root, "/usr")
    assert (root / CONFIG).read_text() == "[save]\ninterval = 5\n"





needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace wants root: use sudo")


def on_the_machine(verb: str, place: Path, **fakes: str) -> subprocess.CompletedProcess[str]:
    """Without DESTDIR, in a mount namespace whose /usr and /etc take writes and forget them.

    FAKES are scripts in the place of programs.
    """
    (place / "bin").mkdir()
    for name in ("dmsetup", "dkms", "systemctl"):
        (place / "bin" / name).write_text(f"#!/bin/sh\n{fakes.get(name, 'exit 1')}\n")
        (place / "bin" / name).chmod(0o755)
    scratch = place / "scratch"
    scratch.mkdir()
    script = [f"mount -t tmpfs none {scratch}"]
    for directory in ("/usr", "/etc"):
        above = f"{scratch}{directory}"
        script += [f"mkdir -p {above}/upper {above}/work",
                   f"mount -t overlay -o lowerdir={directory},upperdir={above}/upper,"
                   f"workdir={above}/work none {directory}"]
    script.append(f"PATH={place}/bin:$PATH exec make -s -C {PROJECT} {verb}")
    return subprocess.run(["unshare", "--mount", "sh", "-c", " && ".join(script)],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)


@needs_root
def test_tells_what_to_type_next(tmp_path: Path) -> None:
    told = on_the_machine("install", tmp_path)
    version = subprocess.run([PROJECT / "packaging/version"], check=True, capture_output=True,
                             text=True).stdout.strip()
    assert told.returncode == 0, told.stderr
    for typed in (f"dkms install dm-remap/{version} ", "systemctl enable --now dm-remapd\n",
                  "dmremap doctor ", "dmremap create ", "make uninstall"):
        assert typed in told.stdout


@needs_root
@pytest.mark.parametrize("fake, told", [
    ({"dmsetup": "echo 'data (254:0)'"}, "Sets are active"),
    # active without the module
    ({"dmsetup": '[ "$1" = info ] && echo REMAP-1234'}, "Sets are active"),
    ({"dkms": "echo dm-remap/1.0.0, 6.1.0, x86_64: installed"}, "dkms remove dm-remap/"),
    ({"systemctl": "exit 0"}, "systemctl disable --now dm-remapd"),
    ({"dmsetup": "echo No devices found"}, ""),
])
def test_not_while_it_is_used(tmp_path: Path, fake: dict[str, str], told: str) -> None:
    """What is left would need the programs to be ended."""
    result = on_the_machine("uninstall", tmp_path, **fake)
    assert bool(result.returncode) == bool(told) and told in result.stderr, result


def test_others_can_read_and_not_write(root: Path) -> None:
    """Whatever the umask of whoever installs it: what root reads and runs is root's alone to change."""
    before = content(root)
    for mask in (0o000, 0o077):
        subprocess.run(["sh", "-c", f"umask {mask:03o} && make -s -C {PROJECT} install "
                        f"DESTDIR={root} PREFIX=/usr"], check=True, capture_output=True)
        made = [root / name for name in content(root) - before]
        assert root / CONFIG in made and len(made) > 20
        for path in made:
            status = path.lstat()
            assert status.st_uid == os.geteuid(), path
            if not path.is_symlink():
                assert status.st_mode & 0o022 == 0, path
                assert status.st_mode & 0o044 == 0o044, path
        make("uninstall", root, "/usr")
        assert content(root) == before
