# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways to the data when something is gone for good: the spare, the module, the packages
(P10, O2, O9, O26, O27)."""

import lzma
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness import qemu_snapshot
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine
from tests.vm import packages
from tests.vm.adopted import (BY_UUID, CHECK, DEVICE, LEAVE, adopt, is_whole, plug, status,
                              unplug)
from tests.vm.conftest import StartServer

MIB = 1 << 20
pytestmark = [pytest.mark.packages, pytest.mark.each_debian]
FILL = "head -c 28M /dev/urandom >/mnt/fill && b2sum /mnt/fill >>/mnt/data.b2 && sync"


def make_bad(server: BlockServer) -> None:
    """Wherever the file system puts what FILL writes, some of it is remapped."""
    for sector in range(20000, 120000, 1000):
        server.disk("main").bad(sector, 8, kind="write")


def test_the_spare_is_dead(vm: Machine, serve: StartServer) -> None:
    """O2: what the journal says is typed, and main alone is a plain disk with its files."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    adopt(vm, *plug(vm, server, "main", "spare"))
    is_whole(vm)
    vm.run("echo later >/mnt/later; sync")
    vm.run(LEAVE)
    unplug(vm, "main", "spare")
    main, = plug(vm, server, "main")
    told = packages.wait_for_entry(vm, DM_REMAP_EVENT="waiting")["MESSAGE"]
    typed = re.search(r"dmremap release --without-spare \S+", told)
    assert typed, told
    said = vm.run(f"{typed[0]} --yes").check()
    assert "lost" in said.out + said.err
    packages.wait(vm, f"[ \"$(readlink -f {BY_UUID})\" = \"$(readlink -f {main})\" ]")
    vm.run(f"e2fsck -fp {main}; [ $? -le 1 ] && mount /mnt")
    assert vm.text("findmnt -n -o SOURCE /mnt") == vm.text(f"readlink -f {main}")
    vm.run(f"{CHECK} && grep -q later /mnt/later")
    assert packages.sets(vm) == []


DKMS_KEY = "/var/lib/dkms/mok.pub"


def sign(vm: Machine, place: Path) -> None:
    """As DKMS signs a module where openssl is installed: with a key of this machine's own."""
    subprocess.run(["openssl", "req", "-new", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj",
                    "/CN=DKMS module signing key/", "-outform", "DER", "-keyout", place / "key",
                    "-out", place / "pub"], check=True, capture_output=True)
    vm.put(place / "pub", DKMS_KEY)
    vm.put(place / "key", "/run/mok.key")
    module = vm.text("modinfo -n dm-remap")
    is_packed = module.endswith(".xz")
    content = vm.get(module)
    vm.put(lzma.decompress(content) if is_packed else content, "/run/signed")
    vm.run("$(echo /usr/lib/linux-kbuild-*/scripts/sign-file) sha256 /run/mok.key "
           f"{DKMS_KEY} /run/signed && rm /run/mok.key")
    content = vm.get("/run/signed")
    vm.put(lzma.compress(content, check=lzma.CHECK_CRC32) if is_packed else content, module)
    assert vm.text("modinfo -F signer dm-remap") == "DKMS module signing key"


def diagnosed(vm: Machine, why: str) -> str:
    """What doctor says of a module that is refused for that reason."""
    found = vm.run("dmremap doctor", check=False)
    assert found.code == 11, found
    assert re.search(rf"the kernel accepts only signed modules \(lockdown\).* {why}", found.out)
    assert f"mokutil --import {DKMS_KEY}" in found.out and "activate --fallback" in found.out
    assert "set data: ready" in found.out
    return found.out


@pytest.mark.slow
def test_the_module_is_refused(vm: Machine, serve: StartServer, tmp_path: Path) -> None:
    """O27, O9: a kernel that is locked down accepts no module without signature, and none that is
    signed with a key that is not enrolled. It is said why, and the data is there without the
    module, remapped sectors included."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    adopt(vm, *plug(vm, server, "main", "spare"))
    is_whole(vm)
    make_bad(server)
    vm.run(FILL)
    assert status(vm)["relocations"] > 0
    vm.start("systemctl poweroff")
    vm.process.wait(120)

    def both(machine: Machine) -> None:
        for name in ("main", "spare"):
            machine.plug(name, nbd=server.disk(name).socket_path)

    with qemu_snapshot.booted(vm.work / "root.qcow2", both, "lockdown=integrity") as second:
        packages.wait(second, "systemctl -q is-active dm-remapd && dmremap list | grep -q ready")
        assert second.run("modprobe dm-remap", check=False).code
        refused = second.run("dmremap activate data", check=False)
        assert refused.code == 3 and "lockdown" in refused.err and "--fallback" in refused.err
        told = packages.wait_for_entry(second, DM_REMAP_EVENT="not-activated")["MESSAGE"]
        assert "lockdown" in told
        if not second.text("modinfo -F sig_id dm-remap"):
            found = diagnosed(second, r"\S+/updates/dkms/dm-remap.ko\S* has no signature")
            assert "apt install openssl mokutil" in found
            sign(second, tmp_path)
        diagnosed(second, rf"does not know the key that DKMS signs with \({DKMS_KEY}\)")
        assert second.run("modprobe dm-remap", check=False).code
        assert second.run(f"test -e {BY_UUID} || mountpoint -q /mnt", check=False).code
        second.run("dmremap activate data --fallback")
        is_whole(second)
        assert "remap" not in second.text("dmsetup table data")
        assert second.complaints() == []


# A root file system on the set, as far as anybody can see from within: everything else is
# the guest's own.
ON_ROOT = """
for place in usr etc var run dev proc sys tmp; do
    mkdir -p /mnt/$place && mount --rbind /$place /mnt/$place || exit 1
done
for link in bin sbin lib lib64; do ln -sfn usr/$link /mnt/$link; done
mkdir -p /mnt/old && cd /mnt && pivot_root . old && exec chroot . sh -c "$1"
"""


@pytest.mark.slow
def test_packages_are_removed(vm: Machine, serve: StartServer) -> None:
    """O26: refused when the root file system is on a set; else it is told, and the set runs on."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    adopt(vm, *plug(vm, server, "main", "spare"))
    is_whole(vm)
    vm.put(ON_ROOT.encode(), "/run/on-root")
    refused = vm.run("unshare --mount --propagation private sh /run/on-root "
                     "'findmnt -n -o SOURCE /; dpkg -r dm-remap'", check=False)
    assert refused.code and refused.out.startswith(DEVICE), refused
    assert "would not boot without dm-remap" in refused.err + refused.out
    vm.run("systemctl -q is-active dm-remapd && dpkg -s dm-remap | grep -q '^Status: .*installed'")

    removed = vm.run("dpkg -r dm-remap dm-remap-dkms 2>&1")
    assert "warning: these sets are active" in removed.out and " data" in removed.out
    vm.run("test ! -e /usr/sbin/dmremap && test ! -e /usr/lib/systemd/system/dm-remapd.service")
    assert vm.run("systemctl -q is-active dm-remapd", check=False).code, "the daemon still runs"
    assert vm.text("find /usr/lib/modules -name 'dm-remap*'") == ""
    make_bad(server)
    vm.run(f"{FILL} && echo 3 >/proc/sys/vm/drop_caches && {CHECK}")
    line = vm.text("dmsetup status data")
    assert " rw " in line and "relocations=0 " not in line, line
