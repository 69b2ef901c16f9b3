# SPDX-License-Identifier: GPL-2.0-or-later
"""The image that a machine boots from has what puts a set together, whichever program makes it;
and none is made that would not boot.

initramfs-tools and dracut themselves run, on a machine whose /usr and /etc are an overlay with
`make install` and a kernel that has the module. What is in the image runs in a chroot of it.
"""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.harness import headers, qemu_image
from tests.harness.kernels import PROJECT

if os.geteuid():
    pytest.skip("a mount namespace wants root: use sudo", allow_module_level=True)

MAKE = {
    "initramfs-tools": "mkinitramfs -o $0/image $1 && "
                       "mkdir -p $0/tree && unmkinitramfs $0/image $0/tree",
    "dracut": "dracut --force --no-hostonly --no-early-microcode --modules 'bash dm-remap' "
              "$0/image $1 && mkdir -p $0/tree && "
              "(cd $0/tree && lsinitrd --unpack $0/image)",
}
NEEDS = {"initramfs-tools": "mkinitramfs", "dracut": "dracut"}
# A machine whose root file system is on a set: what the hooks ask tells so.
ON_SET = ("mkdir -p $0/sys/class/block/dm-0/dm $0/sys/dev/block/254:0/dm && "
          "echo REMAP-0123 >$0/sys/class/block/dm-0/dm/uuid && mount --bind $0/sys /sys && "
          "for tool in findmnt lsblk; do echo 'echo dm-0' >/usr/bin/$tool.new; "
          "chmod +x /usr/bin/$tool.new; sed -i '1i#!/bin/sh' /usr/bin/$tool.new; "
          "mv /usr/bin/$tool.new /usr/bin/$tool; done; ")


@cache
def built_module() -> Path:
    return headers.build("host").module


def on_machine(scratch: Path, script: str, module: bool = True) -> subprocess.CompletedProcess[str]:
    """SCRIPT, with $0 a directory that stays and $1 the kernel's release."""
    release = qemu_image.kernel_release()
    place = scratch / "overlays"
    place.mkdir()
    steps = [f"mount -t tmpfs none {place}"]
    for directory in ("/usr", "/etc"):
        steps += [f"mkdir -p {place}{directory}/upper {place}{directory}/work",
                  f"mount -t overlay -o lowerdir={directory},upperdir={place}{directory}/upper,"
                  f"workdir={place}{directory}/work none {directory}"]
    steps += [f"make -s -C {PROJECT} install >/dev/null",
              "sed -i s/^MODULES=.*/MODULES=list/ /etc/initramfs-tools/initramfs.conf",
              "touch /etc/udev/rules.d/65-dm-remap-0123.rules"]
    if module:
        steps += [f"install -D -t /usr/lib/modules/{release}/updates/dkms "
                  f"{built_module()}"]
    steps += ["mount -t tmpfs none /boot",
              f"cp /usr/lib/modules/{release}/build/.config /boot/config-{release}",
              f"touch /usr/lib/modules/{release}/modules.order "
              f"/usr/lib/modules/{release}/modules.builtin", f"depmod {release}", script]
    return subprocess.run(["unshare", "--mount", "sh", "-c", " && ".join(steps), scratch, release],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module", params=MAKE)
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of an image."""
    if not shutil.which(NEEDS[request.param]):
        pytest.fail(f"{request.param} is missing: run `tests/setup check` as root")
    place = tmp_path_factory.mktemp(request.param)
    made = on_machine(place, MAKE[request.param])
    assert made.returncode == 0, made.stdout
    assert " no module" not in made.stdout
    return place / "tree"


def test_the_programs_run(tree: Path) -> None:
    """With all of their libraries."""
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["chroot", tree, *command], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)

    assert run("/usr/sbin/dmremap", "--version").stdout.startswith("dmremap ")
    assert run("/usr/lib/udev/dm-remap-probe", "/etc/machine-id").stderr == ""
    assert run("/usr/lib/dm-remap/boot", "nonsense").returncode == 2


def test_the_rest_is_there(tree: Path) -> None:
    for name in ("etc/machine-id", "etc/dm-remap/initramfs.conf",
                 "usr/lib/udev/rules.d/66-dm-remap.rules"):
        assert (tree / name).read_bytes() == Path("/", name).read_bytes() \
            if name == "etc/machine-id" else (tree / name).stat().st_size, name
    assert [*tree.glob("usr/lib/modules/*/updates/dkms/dm-remap.ko*")]
    assert [*tree.rglob("65-dm-remap-0123.rules")], "mains without guard are not hidden"


def test_each_moment_has_its_script(tree: Path) -> None:
    """While the root device is not there, and before the shell."""
    hooks = [path for path in tree.rglob("*") if path.is_file()
             and ("local-block" in str(path) or "scripts/panic" in str(path)
                  or "lib/dracut/hooks/initqueue/settled" in str(path)
                  or "lib/dracut/hooks/emergency" in str(path))]
    text = "".join(path.read_text() for path in hooks)
    assert "/usr/lib/dm-remap/boot activate" in text and "/usr/lib/dm-remap/boot tell" in text
    if "lib/dracut/hooks" in str(hooks):    # its queue runs only if a module asks for it
        assert (tree / "lib/dracut/need-initqueue").exists()


@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.parametrize("program", ["mkinitramfs -o $0/image $1",
                                     "dracut --force --hostonly --no-early-microcode "
                                     "--modules 'bash dm-remap' $0/image $1"])
def test_no_image_without_the_module(tmp_path: Path, program: str, fallback: bool) -> None:
    """O26: the image of before is kept, loudly; unless sets may do without the module (O9)."""
    (tmp_path / "image").write_text("of before")
    setting = "echo FALLBACK=yes >>/etc/dm-remap/initramfs.conf; " if fallback else ""
    on_set = ON_SET if "mkinitramfs" in program else ""    # dracut is told to have the module
    made = on_machine(tmp_path, f"{on_set}{setting}exec {program}", module=False)
    kept = (tmp_path / "image").read_bytes() == b"of before"
    assert (made.returncode == 0, kept) == (fallback, not fallback), made.stdout
    assert ("there is no module dm-remap for Linux" in made.stdout) != fallback
    assert "image has no module" in made.stdout or not fallback


def test_an_image_of_another_machine_needs_no_module(tmp_path: Path) -> None:
    made = on_machine(tmp_path, "exec mkinitramfs -o $0/image $1", module=False)
    assert made.returncode == 0 and "image has no module dm-remap" in made.stdout, made.stdout
