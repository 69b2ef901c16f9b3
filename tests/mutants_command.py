# SPDX-License-Identifier: GPL-2.0-or-later
"""More of mutants_list.py: guard and release by the command, import of lists."""

from tests.mutants_list import MANUAL, MESSAGE, Mutant

HIDE = "daemon/lib/ops/create-hide.c"
IMPORT = "daemon/dmremap/verb-import.c"
RELEASE = "daemon/lib/ops/release.c"
TRY = "daemon/lib/ops/release-try.c"
ROOM = "daemon/dmremap/room.c"

COMMAND = {
    # guard and release
    "hide-nothing": Mutant(
        "O1", "the magic of a signature stays on main",
        [(HIDE, "chunk[offset % REMAP_CHUNK_BYTES] = 0;", ";")],
        ["test_create.py::real_tools"]),
    "hide-in-cache": Mutant(
        "O1", "what hides main is not flushed",
        [(HIDE, " ||\n\t    memcmp(back, data, nr_bytes))", ")"),
         (HIDE, " < 0 || fsync(a->main_fd) < 0)", " < 0)")],
        ["test_create_crash.py::during_create", "test_create.py"]),
    "hide-unread": Mutant(
        "O1", "what hides main is not read back",
        [(HIDE, " ||\n\t    memcmp(back, data, nr_bytes))", ")")],
        ["test_guard.py::keeps_nothing_of"]),
    "release-uncompared": Mutant(
        "P10", "what release copied is not read back",
        [(RELEASE, "\tif (!r)\n\t\tr = for_each_used(a, false, compare_back, error);\n", "")],
        ["test_guard.py::release_onto"]),
    "release-in-cache": Mutant(
        "P10", "what release copied is not flushed before the flag, nor with what is tried after it",
        [(RELEASE, "\tif (!r)\n\t\tr = main_durable(a, error);\n"
          "\tif (!r)\n\t\tr = for_each_used(a, false, compare_back, error);\n",
          "\tif (!r)\n\t\tr = for_each_used(a, false, compare_back, error);\n"),
         (TRY, "\t\tr = main_durable(a, error);\n", "\t\tr = 0;\n")],
        ["test_create_crash.py::during_release"]),
    "release-without-flag": Mutant(
        "P10", "release writes back before the spare says so",
        [(RELEASE, "\tif (!r)\n\t\tr = write_flag(a, true, error);\n", "")],
        ["test_create_crash.py::during_release"]),
    "first-chunk-first": Mutant(
        "O1, P10", "release shows main before all of it is back",
        [(RELEASE, "\tint r = for_each_used(a, true, copy_hidden, error);\n",
          "\tint r = for_each_used(a, true, copy_chunk0, error) ?:\n"
          "\t\tfor_each_used(a, true, copy_hidden, error);\n")],
        ["test_create_crash.py::during_release"]),
    "spare-not-wiped": Mutant(
        "P10", "release leaves the set on the spare",
        [(RELEASE, "\t\tr = region_wipe(&a->region, error);\n", "\t\t;\n")],
        ["test_create.py::becomes_a_set"]),
    "rule-stays": Mutant(
        "O1", "release leaves the rule that hides main",
        [(RELEASE, "\tint r = mask_remove(a->region.super.uuid, error);\n", "\tint r = 0;\n")],
        ["test_create.py::without_guard", "test_hands_off.py::rule"]),
    "release-gives-up": Mutant(
        "P10", "a release that main refuses is not taken back",
        [(RELEASE, "\treturn r < 0 ? take_back(a, &raw, r, error) : end(a, error);",
          "\treturn r < 0 ? r : end(a, error);")],
        ["test_guard.py::is_undone"]),
    # import
    "import-uncounted": Mutant(
        "import", "a list that needs more slots than there are is begun",
        [(ROOM, "\tif (needed <= nr_free)\n", "\tif (1)\n")],
        ["test_import.py::counted_before"]),
    "import-counts-mapped": Mutant(
        "import", "chunks that are remapped already count as new ones",
        [(IMPORT, "if (c == last || bsearch(&c, a->mapped, a->nr_mapped, sizeof(c), by_number))",
          "if (c == last)")],
        ["test_import.py::counted_before"]),
    "import-as-manual": Mutant(
        "provenance", "an import is recorded as manual",
        [(IMPORT, '"remap_list import"', '"remap_list manual"')],
        ["test_create.py::import_of_lists", "test_import.py"]),
    "import-leaves-one": Mutant(
        "import", "the last place of a batch is left out",
        [(IMPORT, "\tfor (size_t i = first; i < first + nr; i++)\n\t\tlength",
          "\tfor (size_t i = first; i + 1 < first + nr; i++)\n\t\tlength")],
        ["test_create.py::import_of_lists", "test_import.py"]),
    "import-unread": Mutant(
        "import", "nothing is asked where the first places of a list can be read",
        [(IMPORT, "\tif (!nr || any_fails(a, 0, false) != 0)\n", "\tif (1)\n")],
        ["test_import.py", "test_create.py::import_of_lists"]),
    "import-ends-at-a-failure": Mutant(
        "import", "a batch that fails counts as done",
        [(IMPORT, "if (nr < 2 || remap_list(a, i, nr, error) < 0) {",
          "if (nr >= 2)\n\t\t\tremap_list(a, i, nr, error);\n\t\telse {")],
        ["test_import.py::where_it_stopped"]),
    "import-dry-run-asks": Mutant(
        "import", "a dry run remaps",
        [(IMPORT, "\tif (!r && !option_value(invocation, \"dry-run\"))\n\t\tr = carry_out",
          "\tif (!r)\n\t\tr = carry_out")],
        ["test_create.py::import_of_lists"]),
    "batch-takes-a-chunk-once": Mutant(
        "D3", "of a list, sectors of a chunk that is in the batch already are left out",
        [(MANUAL, "\tif (slot >= 0 && table->word[slot] & REMAP_WORD_BUSY)\n\t\treturn 1;\n"
          "\tif (slot >= 0 && table->word[slot] & REMAP_WORD_DOUBT) {",
          "\tif (slot >= 0 && table->word[slot] & REMAP_WORD_BUSY)\n\t\treturn 0;\n"
          "\tif (slot >= 0 && table->word[slot] & REMAP_WORD_DOUBT) {")],
        ["test_manual.py::any_order"]),
    "list-unchecked": Mutant(
        "P7", "a list is begun before all of it was looked at",
        [(MESSAGE, "\t    check_list(m, m->argc - 1, m->argv + 1, &total) ?:\n", "")],
        ["test_manual.py::lists_say"]),
    "batch-loses-nothing": Mutant(
        "P2", "what a batch cannot read is not lost",
        [(MANUAL, "(u64)copy->mask << 40 | (u64)copy->lost << 48;", "(u64)copy->mask << 40;")],
        ["test_manual.py::only_this_request", "test_manual.py"]),
    "batch-undrained": Mutant(
        "D3", "a batch does not wait for writes that were sent before",
        [(MANUAL, "\tr = remap_try_drain(set, &drain);\n", "\tr = 0;\n")],
        ["test_manual.py", "test_interleavings.py"]),
}
