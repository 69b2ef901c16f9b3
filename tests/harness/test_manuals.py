# SPDX-License-Identifier: GPL-2.0-or-later
"""The manuals name what the sources have: fields of the journal, keys of the configuration.

(Verbs and options of the command: scenarios/test_command.py.)

And that adding one thing touches few files: tests/README.md.
"""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MANUALS = PROJECT / "packaging" / "man"
DAEMON = PROJECT / "daemon" / "dm-remapd"


def test_fields_of_the_journal() -> None:
    written = set(re.findall(r"(DM_REMAP_[A-Z_]+)=", (DAEMON / "journal.c").read_text()))
    manual = (MANUALS / "dm-remapd.8").read_text()
    documented = set(re.findall(r"DM_REMAP_[A-Z_]+", manual))
    assert len(written) > 20 and documented == written


def test_keys_of_the_configuration() -> None:
    keys = set(re.findall(r'^\t\{ "(\w+)", "(\w+)", ', (DAEMON / "config.c").read_text(), re.MULTILINE))
    items = re.findall(r"^\.It Li \[(\w+)\] (.*)$", (MANUALS / "dm-remapd.conf.5").read_text(),
                       re.MULTILINE)
    assert len(keys) > 5
    assert {(group, key) for group, names in items for key in names.split(" , ")} == keys


COUNTERS = dict(re.findall(r"^COUNTER\((\w+), (\w+), ", (PROJECT / "common" / "dm_remap_counters.h")
                           .read_text(), re.MULTILINE))
KINDS = dict(re.findall(r'KIND\((\w+), "([a-z-]+)"', (PROJECT / "daemon" / "lib" / "system" /
                                                      "event-kinds.c").read_text()))


def test_counters() -> None:
    """Each key of status is in the target's manual."""
    text = (PROJECT / "kmod" / "dm-remap.rst").read_text()
    table = text.split("\nStatus\n")[1].split("\nMessages\n")[0]
    assert len(COUNTERS) >= 10
    for name in COUNTERS.values():
        assert re.search(rf"\b{name}\b", table), name


def test_kinds_of_event() -> None:
    """Each has a text, a place in dmremap(8), and no other has."""
    header = (PROJECT / "common" / "dm_remap.h").read_text()
    numbers = set(re.findall(r"^\tDM_REMAP_EVENT_(\w+),$", header, re.MULTILINE))
    assert numbers - {"UNSPEC", "SPARE_LOW"} == set(KINDS) and len(KINDS) >= 16
    manual = (MANUALS / "dmremap.8").read_text()
    items = manual.split("The kinds of event:")[1].split(".El")[0]
    documented = {name for line in re.findall(r"^\.It Cm (.*)$", items, re.MULTILINE)
                  for name in line.split(" , ")}
    assert documented == set(KINDS.values())


def files_with(word: str) -> set[str]:
    """Sources, specifications and manuals that name WORD; tests are on top of these."""
    return {str(path.relative_to(PROJECT)) for place in ("common", "kmod", "daemon", "packaging", "systemd")
            for path in (PROJECT / place).rglob("*")
            if path.is_file() and path.suffix in (".c", ".h", ".in", ".awk", ".md", ".rst", ".5", ".7", ".8",
                                                  ".catalog", ".conf", ".mk", "")
            and re.search(rf"\b{word}\b", path.read_text())}


def test_a_counter_is_a_row_what_counts_it_and_the_manual() -> None:
    """Of one that the daemon does not reason about; two places count it."""
    named = files_with("(?:REMAP_)?LOST_READS") | files_with("lost_reads")
    assert named == {"common/dm_remap_counters.h", "kmod/data_path.c", "kmod/dm-remap.rst",
                     "kmod/engine/worker.c"}


def test_a_kind_of_event_is_a_number_a_sender_a_text_and_two_manuals() -> None:
    """The catalog has the message id of the row."""
    rows = (PROJECT / "daemon" / "lib" / "system" / "event-kinds.c").read_text()
    number = re.search(r'KIND\(REPAIRED, "repaired", \w+, "(\w+)"', rows)
    assert number
    assert files_with("DM_REMAP_EVENT_REPAIRED") | files_with("KIND\\(REPAIRED") | \
        files_with(number[1]) <= {"common/dm_remap.h", "kmod/target.c", "kmod/iface/netlink.c",
                                  "daemon/lib/system/event-kinds.c", "systemd/dm-remap.catalog"}
