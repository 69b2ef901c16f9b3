# SPDX-License-Identifier: GPL-2.0-or-later
"""The manuals name what the sources have: fields of the journal, keys of the configuration.

(Verbs and options of the command: scenarios/test_command.py.)
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
