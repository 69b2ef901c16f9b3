# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may read and change what: each row of the table in dm-remap(7) has a test."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SCENARIO = "scenarios/test_who_may.py"
TESTS = {
    "/dev/mapper/NAME and the members": [(SCENARIO, "test_devices"),
                                         (SCENARIO, "test_commands_to_the_disk_below")],
    "dmremap , dmsetup": [(SCENARIO, "test_the_command"), (SCENARIO, "test_messages_and_tables")],
    "/sys/block/dm-*/remap , /sys/module/dm_remap/parameters": [(SCENARIO, "test_sysfs")],
    "Netlink family dm_remap": [(SCENARIO, "test_netlink")],
    "dm-remapd 8": [(SCENARIO, "test_the_daemon_has_no_socket_to_write_to"),
                    (SCENARIO, "test_an_event_that_another_user_makes_up")],
    "/var/lib/dm-remap , /run/dm-remapd": [(SCENARIO, "test_state_and_locks"),
                                           ("packages/test_unit.py", "test_directories_are_roots")],
    "/run/dm-remap": [(SCENARIO, "test_state_and_locks"),
                      (SCENARIO, "test_locks_where_others_can_look")],
    "/etc/dm-remap , /etc/dm-remap/hooks.d": [
        ("packages/test_install.py", "test_others_can_read_and_not_write"),
        ("packages/test_hooks.py", "test_only_root_says_what_root_runs"),
        ("packages/test_hooks.py", "test_only_root_says_which_program_of_root_runs"),
        ("packages/test_hooks.py", "test_where_others_can_put_a_hook_none_runs")],
    "/etc/udev/rules.d/65-dm-remap-*.rules": [(SCENARIO, "test_rule_that_hides_main")],
    "Files of metrics --write , [metrics] file , map --svg": [
        (SCENARIO, "test_files_that_are_named"),
        (SCENARIO, "test_tricks_in_a_directory_of_another_user")],
    "Files of backup , [backup] copies": [
        (SCENARIO, "test_files_that_are_named"),
        (SCENARIO, "test_tricks_in_a_directory_of_another_user")],
}


def rows() -> list[str]:
    """The objects, as the manual has them, without its macros."""
    manual = (PROJECT / "packaging" / "man" / "dm-remap.7").read_text()
    section = manual.split(".Sh WHO MAY DO WHAT\n")[1].split("\n.El\n")[0]
    return [" ".join(re.sub(r"\b(?:Pa|No|Nm|Li|Xr|Cm)\b", "", line).split())
            for line in re.findall(r"^\.It (.*)$", section, re.MULTILINE)]


def test_each_row_has_a_test() -> None:
    assert rows() == list(TESTS)


@pytest.mark.parametrize("file, name", sorted({test for tests in TESTS.values() for test in tests}))
def test_it_is_there(file: str, name: str) -> None:
    assert f"\ndef {name}(" in (PROJECT / "tests" / file).read_text()
