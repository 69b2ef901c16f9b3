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
    _, manual = manual_of_the_daemon()
    documented = set(re.findall(r"DM_REMAP_[A-Z_]+", manual))
    assert len(written) > 20 and documented == written


def manual_of_the_daemon() -> tuple[str, str]:
    """The section about hooks, and the rest."""
    before, hooks, after = re.split(r"^\.Sh HOOKS\n|^(?=\.Sh SIGNALS\n)", (MANUALS / "dm-remapd.8").read_text(),
                                    flags=re.MULTILINE)
    return hooks, before + after


def test_variables_of_hooks() -> None:
    source = (DAEMON / "alert-text.c").read_text()
    made = {name for names in re.findall(r'add(?:_number)?\(variables, "([A-Z]+)"|PREFIX "([A-Z]+)=', source)
            for name in names if name}
    documented = set(re.findall(r"DM_REMAP_([A-Z]+)", manual_of_the_daemon()[0]))
    assert len(made) >= 10 and documented == made


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


def test_the_storm_limit() -> None:
    """As the kernel has it, wherever it is told."""
    burst, share = re.findall(r"burst = max\((\d+)U, remap_geometry\(set\)->slots / (\d+)\)",
                              (PROJECT / "kmod" / "engine" / "pieces.c").read_text())[0]
    told = [text for page in MANUALS.glob("*.[578]")
            if "chunks, or 1/" in (text := " ".join(page.read_text().split()))]
    assert len(told) == 2
    assert all(f"{burst} chunks, or 1/{share} of the slots" in text for text in told)


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


def test_findings_of_the_doctor() -> None:
    """Each code is in dmremap(8), and no other is."""
    header = (PROJECT / "daemon" / "dmremap" / "doctor.h").read_text()
    codes = set(re.findall(r'^\tCODE\(\w+, "([a-z-]+)"\)', header, re.MULTILINE))
    manual = (MANUALS / "dmremap.8").read_text()
    items = manual.split("each finding has a\n")[1].split(".El")[0]
    documented = {name for line in re.findall(r"^\.It Li (.*)$", items, re.MULTILINE)
                  for name in line.split(" , ")}
    assert len(codes) > 25 and documented == codes


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
