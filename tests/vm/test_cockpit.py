# SPDX-License-Identifier: GPL-2.0-or-later
"""The page for Cockpit: in Chromium, from the cockpit-ws of a guest in which apt installed it.

build/cockpit has what it looked like. What the page calls and reads: tests/packages/test_cockpit.py.
"""

import json
import shlex
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness import blockd, debian
from tests.harness.kernels import PROJECT
from tests.harness.qemu import Machine
from tests.vm import browser, minimal_guest, packages
from tests.vm.adopted import plug, unplug
from tests.vm.browser import Browser

MIB = 1 << 20
PICTURES = PROJECT / "build" / "cockpit"
PASSWORD = "of-a-guest"
FRAME = "iframe[name='cockpit1:localhost/dm-remap']"
WRITE = "dd if=/dev/zero of=/dev/mapper/data bs=4k count=1 seek={} oflag=direct status=none"
HOSTILE = "<img src=x onerror=top.hit=1>"
pytestmark = [pytest.mark.each_debian, pytest.mark.slow]

# The guest is reached by name over a network of its own, without TLS, which emulation makes slow.
SET_UP = f"""
printf '[WebService]\\nAllowUnencrypted = true\\n' >/etc/cockpit/cockpit.conf
: >/etc/cockpit/disallowed-users
useradd -m -s /bin/bash reader
printf 'root:{PASSWORD}\\nreader:{PASSWORD}\\n' | chpasswd
systemctl enable cockpit.socket
rm -f /etc/systemd/system/systemd-logind.service
"""
NETWORK = """
modprobe virtio_net && udevadm settle
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0
"""


@dataclass
class Guest:
    """A machine with Cockpit, its disks and where the page is."""

    vm: Machine
    server: blockd.BlockServer
    url: str

    def json(self, command: str) -> Any:
        return json.loads(self.vm.run(f"dmremap {command} --json", check=False).out)

    def verdict(self) -> str:
        found, = (one for one in self.json("health")["sets"] if one["name"] == "data")
        return str(found["verdict"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    blockd.build()
    place = tmp_path_factory.mktemp("cockpit")
    tree = minimal_guest.unpack(place)
    tree.apt_install(f"linux-headers-{tree.kernel_release}", "dm-remap", "dm-remap-dkms")
    tree.apt_install("dm-remap-cockpit", "cockpit-ws", "cockpit-system", "iproute2")
    tree.run(SET_UP)
    image = minimal_guest.make_image(tree, place)
    port = free_port()

    def network(vm: Machine) -> None:
        vm.qmp.execute("netdev_add", type="user", id="net", restrict=True,
                       hostfwd=[{"str": f"tcp:127.0.0.1:{port}-:9090"}])
        vm.qmp.execute("device_add", driver="virtio-net-pci", netdev="net", romfile="")

    server = blockd.BlockServer(place / "disks", {name: 64 * MIB for name in (
        "main", "spare", "main2", "spare2")}, log=False)
    try:
        with minimal_guest.booted(image, minimal_guest.disk(image, place / "root.qcow2"),
                                  network) as vm:
            vm.run(NETWORK)
            main, spare, *_ = plug(vm, server, "main", "spare", "main2", "spare2")
            vm.run("mkdir -p /etc/dm-remap; printf '[scrub]\\nrate = 1M\\n' "
                   ">>/etc/dm-remap/dm-remapd.conf; systemctl reload dm-remapd")
            vm.run(f"dmremap create data {main} {spare} --yes")
            yield Guest(vm, server, f"http://127.0.0.1:{port}")
    finally:
        server.close()
        debian.remove(place / "root.img")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Browser]]:
    if not browser.is_installed():
        pytest.fail("chromium is missing: run `tests/setup all` as root")
    with browser.driver(tmp_path_factory.mktemp("browser")) as function:
        yield function


def log_in(page: Browser, guest: Guest, user: str) -> None:
    page.open(f"{guest.url}/dm-remap")
    page.wait(lambda: page.text("#login-button"), "the login")
    page.type("#login-user-input", user)
    page.type("#login-password-input", PASSWORD)
    page.click("#login-button")
    page.wait(lambda: page.find(FRAME), "the page in Cockpit's frame", 300)
    page.frame(FRAME)
    page.wait(lambda: page.text("#sets table"), "the table of sets")


@pytest.fixture(scope="module")
def root(guest: Guest, start: Callable[[], Browser]) -> Browser:
    page = start()
    log_in(page, guest, "root")
    return page


@pytest.fixture(autouse=True)
def quiet(root: Browser) -> Iterator[None]:
    """No violation of the policy on content, no error of a script."""
    yield
    assert [line for line in root.log() if "/dm-remap/" in line] == []


def picture(page: Browser, name: str, height: int = 1900) -> None:
    page.size(1280, height)
    page.script("scrollTo(0, 0)")
    page.screenshot(PICTURES / f"{name}.png")
    page.size(1280, 1000)


def row(page: Browser) -> str:
    return page.text("#sets tbody tr")


def drawn(page: Browser, mark: str) -> int:
    return int(page.script(f"return document.querySelectorAll('#map svg.map .{mark}').length"))


def test_a_set_is_shown(guest: Guest, root: Browser) -> None:
    root.wait_text("#details-title", "data")
    shown, = guest.json("list")["sets"]
    for word in ("data", guest.verdict(), "active, rw", "64 MiB", shown["main"], shown["spare"]):
        assert word in row(root), (word, row(root))
    root.wait(lambda: drawn(root, "own"), "the map with the chunk that dm-remap moved for itself")
    assert drawn(root, "worst") == 0
    root.wait_text("#scrub", "never scrubbed")
    root.wait_text("#verdict", guest.json("health")["sets"][0]["forecast"]["text"])
    root.wait(lambda: root.text("#history"), "the history")
    assert root.script("return document.querySelector('#notice').hidden")


def test_an_event_is_shown_when_it_occurs(guest: Guest, root: Browser) -> None:
    """And all else follows: nothing is loaded again."""
    root.script("window.stayed = true")
    before = drawn(root, "used")
    guest.server.disk("main").bad(48000, 64, kind="write")
    for seek in range(6000, 6008):
        guest.vm.run(WRITE.format(seek))
    entry = packages.wait_for_entry(guest.vm, DM_REMAP_EVENT="relocated")
    root.wait_text("#events", entry["MESSAGE"])
    root.wait(lambda: drawn(root, "used") > before, "the remapped sectors in the map")
    used = guest.json("status data")["devices"][0]["used_slots"]
    root.wait_text("#sets tbody tr", f"{used} of")
    verdict = guest.verdict()
    assert verdict != "good"
    root.wait(lambda: verdict in row(root), verdict)
    reason = guest.json("health data")["sets"][0]["reasons"][0]
    root.wait_text("#verdict", reason["text"])
    assert reason["advice"] in root.text("#verdict")
    assert root.script("return window.stayed")


def test_scrub(guest: Guest, root: Browser) -> None:
    guest.server.disk("main").bad(1600, 8, kind="read")
    assert not root.is_enabled("#scrub-stop")
    root.click("#scrub-start")
    root.wait_text("#scrub-state", "running")
    assert guest.json("scrub status data")["state"] == "running"
    root.wait(lambda: float(root.script("return document.querySelector('#scrub progress').value"))
              > 20, "progress")
    root.wait_text("#scrub-progress", "left")
    assert not root.is_enabled("#scrub-start")
    picture(root, "scrub")
    root.click("#scrub-stop")
    root.wait_text("#scrub-state", "stopped")
    told = guest.json("scrub status data")
    assert told["state"] == "stopped" and 20 < told["permille"] < 1000
    guest.vm.run("sed -i 's/^rate = 1M$/rate = no/' /etc/dm-remap/dm-remapd.conf")
    root.wait(lambda: root.is_enabled("#scrub-start"), "Start")
    root.click("#scrub-start")
    root.wait_text("#scrub-state", "came to its end", 300)
    assert guest.json("scrub status data")["begun"] == told["begun"]
    assert guest.json("scrub status data")["last"]["unreadable"] == 8
    root.wait_text("#scrub", "8 unreadable sectors")
    root.wait_text("#events", "scrub: it came to its end: 8 sectors cannot be read")
    root.wait(lambda: drawn(root, "scrubbed") and drawn(root, "suspicious") + drawn(root, "worst"),
              "what was scrubbed in the map")
    picture(root, "root")


def state(guest: Guest) -> list[str]:
    return [one["name"] for one in guest.json("list")["sets"]]


def test_the_plan_comes_before_the_set(guest: Guest, root: Browser) -> None:
    disk = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{}2".format
    guest.vm.run(f"mkfs.ext4 -q {disk('main')}")
    root.type("#create [name=name]", "two")
    root.type("#create [name=main]", disk("main"))
    root.type("#create [name=spare]", disk("spare"))
    root.click("#create-plan")
    root.wait_text("#plan-text", "holds ext4")
    told = guest.vm.text(f"dmremap create two {disk('main')} {disk('spare')} --dry-run")
    assert root.text("#plan-text").split() == told.split()
    assert state(guest) == ["data"]
    picture(root, "plan", 2600)

    # of other words it is none
    root.type("#create [name=name]", "other")
    assert not root.script("return document.querySelector('#plan').checkVisibility()")
    root.type("#create [name=name]", "two")
    root.click("#create-plan")
    root.wait_text("#plan-text", "holds ext4")

    # nor what it said before
    guest.vm.run(f"wipefs -qa {disk('main')} && mkfs.ext4 -q {disk('spare')}")
    root.click("#create-confirm")
    root.wait_text("#create-result", "has changed since the plan was shown")
    root.wait_text("#plan-text", "THIS CONTENT WILL BE LOST")
    root.click("#create-confirm")
    root.wait_text("#create-result", "use --wipe-spare")
    assert state(guest) == ["data"]
    root.click("#create [name=wipe]")
    root.click("#create-plan")
    root.wait_text("#plan-text", "THIS CONTENT WILL BE LOST")
    root.click("#create-confirm")
    root.wait_text("#create-result", "The set was made")
    assert sorted(state(guest)) == ["data", "two"]
    root.wait(lambda: "two" in root.text("#sets"), "the new set in the table")

    # with the keyboard alone
    root.script("document.querySelector('#set-1').focus()")
    before = root.text("#details-title")
    root.press("\ue007")
    root.wait(lambda: root.text("#details-title") != before, "the other set")
    assert root.script("return document.activeElement.id") == "set-1"
    root.wait_text("#map", "Main: 0 sectors remapped")


def test_foreign_text_is_text(guest: Guest, root: Browser) -> None:
    vm = guest.vm
    vm.run("dmremap deactivate two && dmremap release two --yes")
    main, spare = (vm.text(f"readlink -f /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{name}2")
                   for name in ("main", "spare"))
    vm.run(f"dd if=/dev/zero of={spare} bs=1M status=none; "
           f"echo \"0 $(blockdev --getsz {main}) remap {main} {spare} 0 $(blockdev --getsz {spare})\" "
           f"| dmsetup create --manglename auto {shlex.quote(HOSTILE)}")
    vm.run(f"logger -t dmremap -p user.err {shlex.quote(HOSTILE)}; "
           "setpriv --reuid=reader --clear-groups logger -t dmremap 'not of root'")
    root.wait_text("#events", HOSTILE)
    assert "not of root" not in root.text("#events")
    root.click("#refresh")
    root.wait_text("#sets", "<img")
    name, = (one["name"] for one in guest.json("status")["devices"] if "img" in one["name"])
    index = root.script("return [...document.querySelectorAll('#sets button')]"
                        ".findIndex(button => button.textContent.includes('<img'))")
    root.click(f"#set-{index}")
    root.wait_text("#details-title", name)
    # nothing of the other set under its name
    assert "1600" not in root.script("return document.querySelector('#map').innerHTML")
    assert "unreadable" not in root.text("#scrub")
    root.wait_text("#map", "Main: 0 sectors remapped")
    root.wait_text("#scrub", "never scrubbed")
    root.wait_text("#verdict", "nothing to report")
    assert root.script("return document.querySelectorAll('img').length") == 0
    assert not root.script("return top.hit")
    picture(root, "foreign")


def test_without_privileges(guest: Guest, start: Callable[[], Browser]) -> None:
    page = start()
    log_in(page, guest, "reader")
    page.wait_text("#notice", "no administrative access")
    used = guest.json("status data")["devices"][0]["used_slots"]
    for word in ("data", "active, rw", "64 MiB", f"{used} of", "not known", HOSTILE):
        assert word in page.text("#sets"), word
    controls = page.script("return [...document.querySelectorAll('.changes')]"
                           ".map(control => [control.disabled, control.title])")
    assert len(controls) >= 8
    assert all(control == [True, "needs administrative access"] for control in controls)
    assert not page.script("return document.querySelector('#details').checkVisibility()")
    page.click("#refresh")
    page.wait_text("#sets", f"{used} of")
    assert page.script("return document.querySelector('#error').hidden")
    picture(page, "reader", 1000)
    page.script("localStorage.setItem('shell:style', 'dark'); "
                "dispatchEvent(new CustomEvent('cockpit-style', {detail: {style: 'dark'}}))")
    colour = page.script("return getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(21, 21, 21)"
    picture(page, "dark", 1000)
    assert [line for line in page.log() if "/dm-remap/" in line] == []


def test_without_an_active_set(guest: Guest, root: Browser) -> None:
    """Nor the module, at last."""
    vm = guest.vm
    vm.run(f"dmsetup remove {shlex.quote(HOSTILE)}; dmremap deactivate data && udevadm settle")
    inactive, = (one for one in guest.json("list")["sets"] if one["name"] == "data")
    root.click("#refresh")
    root.wait_text("#sets", inactive["state"])
    for word in (inactive["reason"] or "data", inactive["main"], inactive["spare"], "not known"):
        assert word in root.text("#sets"), word
    assert root.script("return document.querySelectorAll('#sets button').length") == 0
    assert not root.script("return document.querySelector('#details').checkVisibility()")
    unplug(vm, "main", "spare", "main2", "spare2")
    vm.run("modprobe -r dm-remap")
    root.click("#refresh")
    root.wait_text("#sets", "No set is attached")
    assert root.script("return document.querySelector('#error').hidden"), root.text("#error")
