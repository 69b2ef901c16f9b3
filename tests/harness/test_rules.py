# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be said of the module by reading it: every rule has a home and was broken once,
and memory is allocated where it may be."""

import re
from pathlib import Path

import pytest

from tests.mutants_list import MUTANTS

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = sorted(PROJECT.glob("kmod/**/*.c")) + [PROJECT / "common" / "remap_format.c"]
RULES = [f"{kind}{number}" for kind, last in (("P", 9), ("C", 16), ("D", 22), ("E", 9))
         for number in range(1, last + 1)]

ALLOCATION = re.compile(r"\b(k\w*alloc\w*|kv\w*alloc\w*|(?:__)?v[mz]alloc(?!_to_page)\w*|__?get_free_\w+|alloc_\w+"
                        r"|bioset_init|bio_alloc\w*|bio_kmalloc|mempool_\w+|genlmsg_new|nlmsg_new"
                        r"|kasprintf|kstrdup|kmemdup|kobject_create\w*|kmem_cache_\w+)\(")
FUNCTION = re.compile(r"^(?:[a-z_].*[ *])?(\w+)\([^;]*$")
# The constructor's; a bio from the set's own pool; and two that may fail without harm:
# an event, and the directory in sysfs.
MAY_ALLOCATE = {
    "allocate": {"kvcalloc", "kmalloc", "kcalloc", "alloc_ordered_workqueue", "alloc_workqueue"},
    "remap_meta_init": {"kzalloc", "kvcalloc", "vmalloc", "kmalloc"},
    "remap_engine_init": {"kzalloc", "kvcalloc", "bioset_init"}, "remap_life_init": {"kzalloc"},
    "remap_flow_init": {"kzalloc", "alloc_percpu", "alloc_workqueue"},
    "remap_scan_init": {"kzalloc", "kmalloc"},
    "allocate_manual": {"kzalloc", "vmalloc", "kcalloc", "kvcalloc"},
    "remap_ctr": {"kzalloc"}, "remap_table_init": {"kvcalloc"},
    "new_bitmap": {"kvmalloc", "__vmalloc"},
    "remap_sub_submit": {"bio_alloc_clone"}, "send_event": {"genlmsg_new"},
    "remap_sysfs_add": {"kzalloc"}}


def header(source: Path) -> str:
    return source.read_text().split("*/")[0]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_home(rule: str) -> None:
    """In the comment at the top of the files that keep it."""
    assert [source.name for source in SOURCES if re.search(rf"^ \*   {rule} ", header(source), re.M)]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_was_broken(rule: str) -> None:
    assert [name for name, mutant in MUTANTS.items() if rule in mutant.rule.split(", ")]


def test_memory() -> None:
    """P6, D13: nothing is allocated on the way of an I/O, nor between preresume and postsuspend."""
    found: dict[str, set[str]] = {}
    for source in SOURCES:
        function = ""
        for line in source.read_text().splitlines():
            if match := FUNCTION.match(line):
                function = match[1]
            if not line.startswith((" *", "/*")):
                for call in ALLOCATION.findall(line):
                    found.setdefault(function, set()).add(call)
    assert found == MAY_ALLOCATE


def test_features() -> None:
    """D15: a piece that is sent again has no crypto context and no integrity data any more."""
    text = (PROJECT / "kmod" / "target.c").read_text()
    assert re.findall(r"DM_TARGET_\w+", text) == ["DM_TARGET_NOWAIT"]


def test_decisions() -> None:
    """The table at the end of common/RULES.md: the functions are where it says."""
    rows = (PROJECT / "common" / "RULES.md").read_text().split("| question |")[1].splitlines()[2:]
    assert len(rows) > 5
    for row in rows:
        files, names = (re.findall(r"`(.+?)`", cell) for cell in row.split("|")[2:4])
        texts = [(PROJECT / file).read_text() for file in files]
        for name in names:
            assert any(re.search(rf"^\w.*\b{name}\b(\([^;]*$|\[\] = )", text, re.M)
                       for text in texts), row
