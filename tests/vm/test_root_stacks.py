# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets below everything that a boot needs, with initramfs-tools: the root file system on LVM on
LUKS, as Debian's installer makes it, swap, and a LUKS volume of crypttab."""

import re
import time

import pytest

from tests.harness import blockd
from tests.harness.qemu import Machine
from tests.vm import minimal_guest, packages, root_set
from tests.vm.conftest import StartServer
from tests.vm.root_set import MIB, booted

pytestmark = [pytest.mark.packages, pytest.mark.slow, pytest.mark.each_debian]
MAIN_MIB, SPARE_MIB, SMALL_MIB = 1400, 32, 64
UUIDS = {name: f"0a1b2c3d-000{n}-4a6b-8c7d-9e0f1a2b3c4d"
         for n, name in enumerate(("root", "secret", "swap"))}
ROOT = "/dev/mapper/group-root"
# Sets by name, with the name of the device on top.
SETS = {"system": "opened", "secret-disk": "secret", "swap-disk": None}
CRYPTTAB = ("opened UUID={root} /etc/keys/key luks,initramfs\n"
            "secret UUID={secret} /etc/keys/key luks\n").format(**UUIDS)
FSTAB = ("/dev/mapper/secret /srv ext4 defaults 0 2\n"
         "UUID={swap} none swap sw 0 0\n").format(**UUIDS)
KEY = bytes(range(32))

FORMAT = f"""set -e
luks() {{
    cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --uuid $2 $1 /run/key
    cryptsetup open --key-file /run/key $1 $3
}}
luks $1 {UUIDS["root"]} opened
pvcreate -q /dev/mapper/opened
vgcreate -q group /dev/mapper/opened
lvcreate -q -y -Z n -W n -l 100%FREE -n root group
udevadm settle
dd if=$4 of={ROOT} bs=1M conv=sparse status=none
luks $2 {UUIDS["secret"]} secret
mkfs.ext4 -q /dev/mapper/secret
mkswap -q -U {UUIDS["swap"]} $3
sync
vgchange -q -an group
cryptsetup close opened
cryptsetup close secret
udevadm settle
"""
FILL = "head -c 8M /dev/urandom >{0}/fill && b2sum {0}/fill >{0}/fill.b2 && sync"
CHECK = "echo 3 >/proc/sys/vm/drop_caches; b2sum --quiet -c {0}/fill.b2"


def prepare(tree: minimal_guest.Tree) -> None:
    keys = tree.root / "etc/keys"
    keys.mkdir(mode=0o700)
    (keys / "key").write_bytes(KEY)
    (keys / "key").chmod(0o400)
    (tree.root / "etc/crypttab").write_text(CRYPTTAB)
    with open(tree.root / "etc/fstab", "a") as fstab:
        fstab.write(FSTAB)
    tree.apt_install("lvm2", "cryptsetup-initramfs", *root_set.unlocking())
    for name, line in (("cryptsetup-initramfs/conf-hook", "KEYFILE_PATTERN=/etc/keys/*"),
                       ("initramfs-tools/initramfs.conf", "UMASK=0077")):
        with open(tree.root / "etc" / name, "a") as settings:
            settings.write(f"{line}\n")


@pytest.fixture(scope="module")
def system(prepared: None, tmp_path_factory: pytest.TempPathFactory) -> root_set.System:
    return root_set.make_system(tmp_path_factory.mktemp("system"), MAIN_MIB - 40,
                                ["initramfs-tools"], ROOT, prepare)


@pytest.fixture
def server(vm: Machine, serve: StartServer, system: root_set.System) -> blockd.BlockServer:
    """The disks of three sets; what is on them was there before the sets."""
    mains = dict(zip(SETS, (MAIN_MIB, SMALL_MIB, SMALL_MIB)))
    server = serve(**{f"{role}-{name}": ((size if role == "main" else SPARE_MIB) * MIB, "vcache=on")
                      for name, size in mains.items() for role in ("main", "spare")})
    paths = {disk.name: vm.add_disk(disk.name, nbd=disk.socket_path) for disk in server.disks()}
    vm.put(KEY, "/run/key")
    vm.put(FORMAT.encode(), "/run/format")
    image = vm.add_disk("image", file=system.root)
    vm.run(f"sh /run/format {' '.join(paths[f'main-{name}'] for name in SETS)} {image}", 600)
    for name in SETS:
        vm.run(f"dmremap create {name} {paths[f'main-{name}']} {paths[f'spare-{name}']} --yes && "
               f"udevadm settle && dmremap deactivate {name}", 300)
    vm.kill()
    return server


def everything_is_there(vm: Machine) -> None:
    """Each on the mapped device of its set, and systemd has nothing to complain of."""
    state = vm.run("systemctl is-system-running --wait", 300, check=False).out.strip()
    assert state == "running", vm.text("systemctl --failed --no-legend; journalctl -b -p 4 -q")
    assert vm.text("findmnt -n -o SOURCE /") == ROOT
    assert vm.text("findmnt -n -o SOURCE /srv") == "/dev/mapper/secret"
    node = vm.text("readlink -f /dev/mapper/swap-disk")
    assert vm.text("swapon --show=NAME --noheadings") == node
    for name, above in SETS.items():
        if above:
            below = vm.text(f"ls /sys/block/$(basename $(readlink -f /dev/mapper/{above}))/slaves")
            assert f"/dev/{below}" == vm.text(f"readlink -f /dev/mapper/{name}")
    assert vm.complaints() == []


def make_bad(vm: Machine, server: blockd.BlockServer) -> None:
    """Free places of both file systems, wherever LVM and LUKS have put them on main."""
    def offset(table: str) -> int:
        found = re.search(r" \d+:\d+ (\d+)", vm.text(f"dmsetup table {table}"))
        assert found
        return int(found[1])

    for name, device, above in (("system", ROOT, [ROOT, "opened"]),
                                ("secret-disk", "/dev/mapper/secret", ["secret"])):
        start = sum(offset(table) for table in above)
        for sector in root_set.free_places(vm, device):
            server.disk(f"main-{name}").bad(start + sector, 8, kind="write")


def test_root_on_lvm_on_luks(server: blockd.BlockServer, system: root_set.System) -> None:
    """And what is written while sectors die is there after a power cut."""
    with booted(server, system, "initramfs-tools") as vm:
        everything_is_there(vm)
        make_bad(vm, server)
        for place, name in (("/root", "system"), ("/srv", "secret-disk")):
            vm.run(FILL.format(place), 300)
            line = vm.text(f"dmsetup status {name}")
            assert " rw " in line and "relocations=0 " not in line, line
        assert packages.wait_for_entry(vm, DM_REMAP_EVENT="relocated")
        # Even after a refusal dpkg's triggers make a new image, which takes minutes here.
        refused = vm.run("dpkg --no-triggers -r dm-remap-initramfs", check=False)
        assert refused.code and "the file system of / is on system" in refused.err, refused
        unbootable = vm.run("mkdir /run/image && version=0.0 DESTDIR=/run/image "
                            "/usr/share/initramfs-tools/hooks/dm-remap", check=False)
        assert unbootable.code and "/ is on a set, and there is no module" in unbootable.err
        vm.start("while :; do dd if=/dev/urandom of=/root/more bs=64k count=64 conv=fsync "
                 "status=none; done")
        time.sleep(5)
        server.powercut(seed=1)
        vm.kill()
    server.power_on()
    with booted(server, system, "initramfs-tools") as vm:
        everything_is_there(vm)
        for place in ("/root", "/srv"):
            vm.run(CHECK.format(place))
