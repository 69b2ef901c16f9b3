# SPDX-License-Identifier: GPL-2.0-or-later
"""`dmremap doctor` where the packages are installed: nothing is wrong, and then one thing after the
other is, with systemd, udev and DKMS themselves. (A kernel that is locked down: test_ways_out.py.)"""

import re

import pytest

from tests.harness.qemu import Machine

pytestmark = [pytest.mark.packages, pytest.mark.each_debian]
UNIT = "dm-remapd.service"


def found(vm: Machine) -> set[str]:
    """The codes; an exit code that fits them."""
    told = vm.run("dmremap doctor --json", check=False)
    codes = set(re.findall(r'"code": "([a-z-]+)"', told.out))
    problem = '"level": "problem"' in told.out
    assert (told.code, told.err) == (11 if problem else 10 if codes else 0, ""), told
    return codes


def test_doctor(vm: Machine) -> None:
    told = vm.run("dmremap doctor")
    assert told.out == "Nothing is wrong.\n", told
    told = vm.run("setpriv --reuid=65534 --regid=65534 --clear-groups dmremap doctor", check=False)
    assert told.code == 0 and "as far as it could be seen" in told.out, told

    vm.run(f"systemctl -q stop {UNIT}")
    assert found(vm) == {"daemon-off"}
    vm.run(f"systemctl -q disable {UNIT}")
    assert found(vm) == {"daemon-disabled"}
    vm.run(f"systemctl -q mask {UNIT}")
    assert found(vm) == {"daemon-masked"}
    vm.run(f"systemctl -q unmask {UNIT} && systemctl -q enable --now {UNIT}")
    vm.run("printf '[save]\\ninterval = soon\\n' >>/etc/dm-remap/dm-remapd.conf")
    assert found(vm) == {"daemon-settings"}
    assert re.search(r"dm-remapd.conf:\d+", vm.run("dmremap doctor", check=False).out)
    vm.run("sed -i '/soon/d' /etc/dm-remap/dm-remapd.conf")

    vm.run("chmod 644 /usr/lib/udev/dm-remap-probe")
    assert found(vm) == {"udev-program"}
    vm.run("chmod 755 /usr/lib/udev/dm-remap-probe && ln -s /dev/null "
           "/etc/udev/rules.d/66-dm-remap.rules")
    assert found(vm) == {"udev-masked"}
    vm.run("rm /etc/udev/rules.d/66-dm-remap.rules")
    assert found(vm) == set()

    # DKMS takes it out, and knows how to put it in again
    vm.run("modprobe -r dm-remap; dkms uninstall dm-remap/$(dmremap --version | cut -d' ' -f2) "
           "-k $(uname -r)")
    assert found(vm) <= {"module-not-installed", "headers-missing"} and found(vm)
    told = vm.run("dmremap doctor", check=False)
    typed = re.search(r"do: (dkms install .*)", told.out)
    if typed:
        vm.run(typed[1])
        assert found(vm) == set()
    else:
        assert "linux-headers-" in told.out
