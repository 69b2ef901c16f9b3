# SPDX-License-Identifier: GPL-2.0-or-later
"""Members that vanish under an active set and return (row 21, O18, D10).

With the packages installed: udev puts them in again. What was flushed is there, whichever
member went and whatever its cache has lost; what was not flushed is never taken for it.
"""

from pathlib import Path

import pytest

from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine
from tests.vm import packages
from tests.vm.adopted import CHECK, DEVICE, LEAVE, adopt, is_whole, plug, status
from tests.vm.conftest import StartServer
from tests.vm.dying_disk import DyingDisk

MIB = 1 << 20
pytestmark = pytest.mark.packages
SIZES = {"main": 64 * MIB, "spare": 32 * MIB}
READABLE = f"dd if={DEVICE} of=/dev/null bs=4k count=1 skip={{}} iflag=direct status=none"


@pytest.fixture
def server(serve: StartServer) -> BlockServer:
    return serve(main=(SIZES["main"], "vcache=on"), spare=(SIZES["spare"], "vcache=on"))


Servers = dict[str, BlockServer]


@pytest.fixture
def servers(serve: StartServer) -> Servers:
    """Each member has a power supply of its own."""
    return {name: serve(**{name: (size, "vcache=on")}) for name, size in SIZES.items()}


def test_a_member_that_vanished_and_returned(vm: Machine, server: BlockServer) -> None:
    """O18, P5: errors while it is away, nothing remapped, whole again after it is back."""
    adopt(vm, *plug(vm, server, "main", "spare"))
    is_whole(vm)
    used = vm.text("dmsetup status data").split()[4]
    vm.remove_disk("main")
    assert vm.run(READABLE.format(4000), check=False).code
    told = packages.wait_for_entry(vm, DM_REMAP_EVENT="gone")
    assert (told["DM_REMAP_MEMBER"], told["PRIORITY"]) == ("main", "2")
    assert "GONE since" in vm.text("dmremap status data")
    checked = vm.run("dmremap status --check", check=False)
    assert checked.code == 2 and "its main device" in checked.out
    vm.run("dd if=/dev/zero of=/mnt/more bs=4k count=64 oflag=direct", check=False)
    assert vm.text("dmsetup status data").split()[4] == used
    vm.run("umount -l /mnt", check=False)
    plug(vm, server, "main")
    packages.wait(vm, READABLE.format(4000))
    vm.run("e2fsck -fp /dev/mapper/data; [ $? -le 1 ]")
    is_whole(vm)


# Writes, says so, and waits; then tells whether fsync succeeds: once before the flush may
# succeed, and again after it may.
WRITER = """
import os, time
fd = os.open("/dev/mapper/data", os.O_RDWR)
def told(name):
    while not os.path.exists(name):
        time.sleep(0.05)
os.pwrite(fd, b"durable!" * 512, 40 << 20)
os.fsync(fd)
direct = os.open("/dev/mapper/data", os.O_RDWR | os.O_DIRECT)
import mmap
page = mmap.mmap(-1, 4096)
page.write(b"in cache" * 512)
os.pwritev(direct, [page], 44 << 20)
open("/run/written", "w").close()
told("/run/returned")
try:
    os.fsync(fd)
    print("flushed")
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("member", ["main", "spare"])
def test_a_member_that_lost_its_cache(vm: Machine, server: BlockServer, member: str) -> None:
    """D10, O18: nothing wrong is read, nothing acknowledged is silently lost."""
    adopt(vm, *plug(vm, server, "main", "spare"))
    vm.run("umount /mnt 2>/dev/null; sync")
    if member == "main":    # by default nothing stays in its cache
        vm.run("dmremap write-cache data keep")
    if member == "spare":    # the next write to it stays in the spare's cache
        server.disk("main").bad((44 << 20) // 512, 8, kind="write")
        vm.run(f"dd if=/dev/zero of={DEVICE} bs=4k count=1 seek={(44 << 20) // 4096} "
               "oflag=direct conv=fsync status=none")
    vm.put(WRITER.encode(), "/run/writer.py")
    writer = vm.start("python3 /run/writer.py")
    packages.wait(vm, "test -e /run/written")
    unflushed = server.powercut()
    assert unflushed[member] > 0
    vm.remove_disk(member)
    server.power_on()
    plug(vm, server, member)
    packages.wait(vm, "dmsetup status data | grep -q lost-cache", "mode lost-cache")
    told = packages.wait_for_entry(vm, DM_REMAP_EVENT="lost-cache")
    assert told["DM_REMAP_NAME"] == "data" and told["PRIORITY"] <= "2"
    assert "returned" in vm.text("dmremap status data")
    vm.run("touch /run/returned")
    assert writer.wait(60).out.strip() == "Input/output error"
    packages.wait(vm, "dmsetup status data | grep -q ' rw '", "the end of lost-cache")
    read = vm.text("head -c $((40 * 1024 * 1024 + 8)) /dev/mapper/data | tail -c 8")
    assert read == "durable!"
    vm.run("mount /mnt")
    vm.run(CHECK)


def replug(vm: Machine, server: BlockServer, member: str) -> None:
    """It is back, the users of the set have gone, and the set is as good as before."""
    server.power_on()
    plug(vm, server, member)
    packages.wait(vm, f"dmsetup status data | grep -q ' rw ' && {READABLE.format(0)} && "
                      f"{READABLE.format(4000)}", "the set to work again")
    assert status(vm)["lost_sectors"] == 0


REGION = 8192    # sectors for each of two jobs; the first has what the guard hides


@pytest.mark.parametrize(("member", "cache"), [("main", "lost"), ("spare", "lost"),
                                               ("spare", "kept")])
@pytest.mark.slow
def test_pulled_while_blocks_are_written(vm: Machine, servers: Servers, member: str,
                                         cache: str) -> None:
    """Every sector holds what was last flushed, or something that was written to it since."""
    main, = plug(vm, servers["main"], "main")
    spare, = plug(vm, servers["spare"], "spare")
    vm.run(f"dmremap create data {main} {spare} --yes")
    vm.put(Path(__file__).with_name("guest_io.py"), "/run/guest_io.py", 0o755)
    jobs = [vm.start(f"taskset -c {i} /run/guest_io.py flushed {DEVICE} {i * REGION} {REGION} "
                     f"{i + 1} /run/never >/run/model{i}") for i in (0, 1)]
    packages.wait(vm, "[ -e /run/never.1 ] && [ -e /run/never.2 ]", "all to be flushed once")
    for sector in range(0, 2 * REGION, 400):
        servers["main"].disk("main").bad(sector, 8, "write")
    packages.wait(vm, "[ $(dmsetup status data | grep -o 'relocations=[0-9]*' | cut -d= -f2) "
                      "-ge 20 ]", "relocations")
    if cache == "lost":
        servers[member].powercut(seed=1)
    vm.remove_disk(member)
    for job in jobs:
        assert job.wait(120).code == 3, "the jobs must hear of it"
    replug(vm, servers[member], member)
    for again in (False, True):
        for i in (0, 1):
            vm.run(f"/run/guest_io.py check {DEVICE} {i * REGION} {REGION} {i + 1} /run/model{i}")
        if not again:
            vm.run("dmremap deactivate data && dmremap activate data")


# Files of 64 KiB, each named in the list only when it is on stable media.
FILES = """
n=0
while head -c 65536 /dev/urandom >/run/next && dd if=/run/next of=/mnt/f$n bs=64k conv=fsync \
        status=none && sync -f /mnt; do
    echo "$(b2sum </run/next | cut -d' ' -f1)  /mnt/f$n" >>/run/files
    n=$(( (n + 1) % 300 ))
    sed -i "\\|/mnt/f$n\\$|d" /run/files
done
"""


@pytest.mark.parametrize("member", ["main", "spare"])
@pytest.mark.slow
def test_pulled_under_a_file_system(vm: Machine, servers: Servers, member: str) -> None:
    """O18: a clean failure; whole again after it is plugged in and mounted again."""
    main, = plug(vm, servers["main"], "main")
    spare, = plug(vm, servers["spare"], "spare")
    adopt(vm, main, spare)
    is_whole(vm)
    DyingDisk(servers["main"].disk("main"), seed=8).kill_some(300, "write")
    writer = vm.start(FILES)
    packages.wait(vm, "[ $(wc -l </run/files) -ge 20 ]", "20 files")
    servers[member].powercut(seed=2)
    vm.remove_disk(member)
    writer.wait(120)
    vm.run("umount /mnt")
    replug(vm, servers[member], member)
    vm.run(f"e2fsck -fp {DEVICE}; [ $? -le 1 ]")
    is_whole(vm)
    files = int(vm.text("b2sum --quiet -c /run/files && wc -l </run/files"))
    assert files >= 20
    vm.run(f"{CHECK} && umount /mnt && e2fsck -fn {DEVICE} && mount /mnt")
    vm.run(LEAVE)
