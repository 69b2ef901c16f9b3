# SPDX-License-Identifier: GPL-2.0-or-later
"""Another kernel comes by apt, in a chroot of a minimal system: DKMS builds the module for it, and
the image it boots from has it; or it does not build, and that is said at once (O26, O9).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import debian, qemu_image
from tests.vm import minimal_guest

if not debian.is_root():
    pytest.skip("a chroot wants root: use sudo", allow_module_level=True)


@pytest.fixture(scope="module", params=debian.NAMES.values())
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) \
        -> Iterator[minimal_guest.Tree]:
    """Of each release, with all packages, as one that boots from a set has them.

    With openssl, of which DKMS makes its key.
    """
    qemu_image.use(request.param)
    tree = minimal_guest.unpack(tmp_path_factory.mktemp("upgraded"))
    tree.apt_install("openssl", f"linux-headers-{tree.kernel_release}", "dm-remap",
                     "dm-remap-dkms", "dm-remap-initramfs")
    yield tree
    debian.remove(tree.root)


@pytest.fixture
def tree(machine: minimal_guest.Tree, tmp_path: Path) -> Iterator[minimal_guest.Tree]:
    copy = machine.copy(tmp_path / "tree")
    yield copy
    debian.remove(copy.root)


@pytest.fixture
def another(machine: minimal_guest.Tree) -> str:
    """The release of a kernel that apt offers beside the newest one."""
    found = minimal_guest.other_kernels()
    if not found:
        pytest.skip("this machine's mirror offers one kernel only")
    return found[0]


def in_initramfs(tree: minimal_guest.Tree, release: str) -> set[str]:
    """Which of the files that matter the image of a kernel has."""
    listed = tree.run(f"lsinitramfs /boot/initrd.img-{release}").split()
    return {path.rsplit("/", 1)[-1].removesuffix(".xz") for path in listed} & \
        {"dm-remap.ko", "dmremap", "66-dm-remap.rules"}


def test_builds_for_a_new_kernel(tree: minimal_guest.Tree, another: str) -> None:
    """Whichever of image and headers apt configures first; and it is signed with DKMS's key."""
    tree.apt_install(f"linux-image-{another}", f"linux-headers-{another}")
    assert (tree.root / "var/lib/dkms/mok.pub").stat().st_size
    for release in (tree.kernel_release, another):
        module, = tree.modules(release)
        signer = tree.run(f"modinfo -F signer /{module.relative_to(tree.root)}")
        assert signer == "DKMS module signing key\n", release
        assert in_initramfs(tree, release) == {"dm-remap.ko", "dmremap", "66-dm-remap.rules"}


def test_headers_come_later(tree: minimal_guest.Tree, another: str) -> None:
    """The image is made without the module, and that is said; with the headers it gets it."""
    said = tree.apt_install(f"linux-image-{another}")
    assert f"the image has no module dm-remap for Linux {another}" in said
    assert not tree.modules(another)
    tree.apt_install(f"linux-headers-{another}")
    assert tree.modules(another)
    assert "dm-remap.ko" in in_initramfs(tree, another)


def test_does_not_build_for_a_new_kernel(tree: minimal_guest.Tree, another: str) -> None:
    """apt ends with an error that names it. The kernel of before boots as it did; the new one has
    no image, or one with what activates sets without the module."""
    source, = tree.root.glob("usr/src/dm-remap-*/kmod/target.c")
    source.write_text(source.read_text() + "#error not for this kernel\n")
    result = debian.chroot(tree.root, minimal_guest.APT.format(
        f"--no-install-recommends linux-image-{another} linux-headers-{another}"))
    assert result.returncode and "dm-remap" in result.stdout
    assert not (tree.root / f"boot/initrd.img-{another}").exists() or \
        f"the image has no module dm-remap for Linux {another}" in result.stdout
    assert not tree.modules(another)
    assert in_initramfs(tree, tree.kernel_release) == {"dm-remap.ko", "dmremap",
                                                       "66-dm-remap.rules"}
    # once it builds, apt goes on from there
    source.write_text(source.read_text().replace("#error not for this kernel\n", ""))
    tree.run("dpkg --configure -a")
    assert tree.modules(another) and "dm-remap.ko" in in_initramfs(tree, another)
