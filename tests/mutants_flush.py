# SPDX-License-Identifier: GPL-2.0-or-later
"""More of mutants_list.py: flushes, FUA, errors that are owed, what a table leaves to the next."""

from tests.mutants_list import COMMIT, CONSTRUCT, DATA_PATH, GATE, HANDOVER, RELOCATE, Mutant

FLUSH = {
    # flush and FUA
    "fua-not-sent": Mutant(
        "D18", "writes behind a cache go out without FUA",
        [(DATA_PATH, "\t\tbio->bi_opf |= REQ_FUA;\n", "\t\t;\n")],
        ["test_real_disks.py::write_behind"]),
    "gated-not-flushed": Mutant(
        "D18", "a write that waits for a flush gets none",
        [(GATE, "if (!has_flush && !has_bio_of(&turn->writes, member))", "if (!has_flush)")],
        ["test_real_disks.py::write_behind"]),
    "flush-of-main-alone": Mutant(
        "D9", "a flush is of main alone",
        [(CONSTRUCT, "ti->num_flush_bios = REMAP_NR_MEMBERS;", "ti->num_flush_bios = 1;")],
        ["test_flush.py::test_fsync_covers_the_spare"]),
    "own-flush-once": Mutant(
        "C10", "a flush of ours that failed is not repeated",
        [(GATE, "\tif (r)\n\t\tWRITE_ONCE(set->flow.is_own_unflushed, true);\n", "")],
        ["test_flush.py::before_a_commit or after_a_failed", "test_real_disks.py",
         "test_gates.py"]),
    "settle-leaves-main": Mutant(
        "D10", "a table that is replaced in peace leaves main's cache full",
        [(GATE, "\tif (remap_is_unflushed(set, REMAP_MAIN))\n"
          "\t\tremap_gate_flush(set, REMAP_MAIN);\n", "")],
        ["test_lost_cache.py::replaced_in_peace"]),
    "write-through-counts-as-cached": Mutant(
        "D10", "a write that main made durable counts as one in its cache",
        [(DATA_PATH, " |\n\t\t\t\t\t  REMAP_BIO_NOT_CACHED);", ");")],
        ["test_lost_cache.py::written_through"]),
    "clean-after-one": Mutant(
        "D17", "one more flush after the one that failed is all that is tried",
        [(GATE, "\tfor (try = 0; r && try < tries; try++) {", "\tfor (try = 0; !try; try++) {")],
        ["test_owed.py::nobody_relies_on"]),
    "fua-to-a-slot-is-cached": Mutant(
        "D9, D10", "a write with FUA to a slot counts as one in the spare's cache",
        [(DATA_PATH, "\tif (op_is_write(bio_op(bio)) && !(bio->bi_opf & REQ_FUA))\n",
          "\tif (op_is_write(bio_op(bio)))\n")],
        ["test_owed.py::nothing_to_flush"]),
    "keep-is-through": Mutant(
        "D18", "`keep` writes through",
        [(DATA_PATH, "bio->bi_opf & REQ_FUA || remap_write_cache(set) == REMAP_WRITE_THROUGH)",
          "true)")],
        ["test_lost_cache.py::until_the_loss"]),
    "fua-stays-in-cache": Mutant(
        "D18", "a write with FUA of a user is left in main's cache by `keep`",
        [(DATA_PATH, "bio->bi_opf & REQ_FUA || remap_write_cache(set) == REMAP_WRITE_THROUGH)",
          "remap_write_cache(set) == REMAP_WRITE_THROUGH)"),
         (DATA_PATH, "\telse\n\t\tremap_mark_flags(bio, pb, REMAP_BIO_WRITTEN_BACK);\n",
          "\telse {\n\t\tremap_mark_flags(bio, pb, REMAP_BIO_WRITTEN_BACK);\n"
          "\t\tbio->bi_opf &= ~REQ_FUA;\n\t}\n")],
        ["test_flush.py::fua_reaches", "test_lost_cache.py::writes_with_fua",
         "test_real_disks.py"]),
    # errors that are owed
    "owed-swallowed": Mutant(
        "D17", "a flush does not tell the error that is owed",
        [(GATE, "r ? errno_to_blk_status(r) :\n"
          "\t\t\t\t      turn.owed ? BLK_STS_IOERR : BLK_STS_OK);",
          "r ? errno_to_blk_status(r) : BLK_STS_OK);")],
        ["test_real_disks.py::flush_of_ours"]),
    "owed-not-to-fua": Mutant(
        "D17", "a write with FUA does not tell the error that is owed",
        [(DATA_PATH, "\tif (unlikely(test_bit(REMAP_LOST_CACHE, &set->flags)) ||\n"
          "\t    unlikely(remap_take_owed(set, REMAP_OWED_WRITE)))\n",
          "\tif (unlikely(test_bit(REMAP_LOST_CACHE, &set->flags)))\n")],
        ["test_owed.py::journal"]),
    "owed-elided": Mutant(
        "D17, D9", "a flush that the spare does not need tells no error that is owed",
        [(DATA_PATH, "if (!remap_is_unflushed(set, REMAP_SPARE) && likely(!READ_ONCE(gate->owed)))",
          "if (!remap_is_unflushed(set, REMAP_SPARE))")],
        ["test_real_disks.py", "test_gates.py"]),
    "owed-for-ever": Mutant(
        "D17", "an error that is owed is told to every flush",
        [(GATE, "test_and_clear_bit(REMAP_OWED_FLUSH, &gate->owed);",
          "test_bit(REMAP_OWED_FLUSH, &gate->owed);")],
        ["test_gates.py::told_once", "test_real_disks.py"]),
    "owed-write-forgotten": Mutant(
        "D17", "an error that a flush of ours was told is owed to flushes alone",
        [(GATE, "\t\towe(gate, REMAP_OWED_FLUSH);\n\t\towe(gate, REMAP_OWED_WRITE);\n",
          "\t\towe(gate, REMAP_OWED_FLUSH);\n")],
        ["test_owed.py::journal"]),
    "owed-by-main-alone": Mutant(
        "D17", "a write with FUA gets the error that main owes, not the spare's",
        [(GATE, "\treturn test_and_clear_bit(owed, &set->flow.gate[REMAP_SPARE].owed) || told;",
          "\treturn told;")],
        ["test_owed.py::journal"]),
    "preflush-error-dropped": Mutant(
        "D17", "the write behind a preflush that failed does not fail",
        [(GATE, "\t\tif (turn->r[member] && has_flush)\n\t\t\towe(gate, REMAP_OWED_WRITE);\n", "")],
        ["test_owed.py::journal"]),
    "one-good-flush": Mutant(
        "D17", "one flush that succeeds settles what a write with FUA is owed",
        [(GATE, "++gate->nr_good >= 2", "++gate->nr_good >= 1")],
        ["test_owed.py::outlives_a_flush"]),
    "never-at-risk": Mutant(
        "D17", "what `keep` left in main's cache before is at no risk when it is written through",
        [(GATE, "\t       (remap_write_cache(set) != REMAP_WRITE_THROUGH ||\n"
          "\t\tset->flow.gate[REMAP_MAIN].backed);",
          "\t       remap_write_cache(set) != REMAP_WRITE_THROUGH;")],
        ["test_owed.py::kept_before", "test_gates.py"]),
    "flush-error-keeps-auto": Mutant(
        "D18", "an error of a flush does not end `auto`",
        [(GATE, "\tif (member == REMAP_MAIN)\n\t\tremap_error_seen(set);\n", "")],
        ["test_owed.py::ends_auto"]),
    "lost-cache-stays": Mutant(
        "D10", "lost-cache does not end when all have closed the device",
        [(HANDOVER, "\tif (test_bit(REMAP_LOST_CACHE, &set->flags))\n\t\tqueue_delayed_work",
          "\tif (0)\n"
          "\t\tqueue_delayed_work")],
        ["test_lost_cache.py::all_have_closed"]),
    "lost-cache-of-main-alone": Mutant(
        "D10", "a spare that comes back without its cache has lost nothing",
        [(HANDOVER, "\tif (!known->lost_cache && !lost[REMAP_MAIN] && !lost[REMAP_SPARE])",
          "\tif (!known->lost_cache && !lost[REMAP_MAIN])")],
        ["test_lost_cache.py::counts_for_the_spare"]),
    # from one table to the next
    "unflushed-untold": Mutant(
        "D10", "a table does not say what it left in the caches",
        [(HANDOVER, "known->unflushed[m] = remap_is_unflushed(old, m);",
          "known->unflushed[m] = false;")],
        ["test_lost_cache.py::until_the_loss"]),
    "owed-untold": Mutant(
        "D17", "an error that is owed ends with its table",
        [(HANDOVER, "\t\tremap_gate(set, m)->owed |= known->owed[m];\n", "")],
        ["test_gates.py::gates_change", "test_real_disks.py::flush_of_ours"]),
    "counters-anew": Mutant(
        "counters", "a reload counts anew from what was saved",
        [(HANDOVER, "\t\tset->counters = known->counters;\n", "")],
        ["test_lifecycle.py::reload_the_same_table"]),
    "threshold-anew": Mutant(
        "settings", "a reload forgets error_threshold",
        [(HANDOVER, "\t\tset->options.error_threshold = known->error_threshold;\n", "")],
        ["test_handover.py::outlives"]),
    "auto-remap-anew": Mutant(
        "settings", "a reload forgets that auto_remap is disabled",
        [(HANDOVER, "\t\t\tset_bit(REMAP_AUTO_OFF, &set->flags);\n", "\t\t\t;\n")],
        ["test_handover.py::disabled_stays_so"]),
    "strangers-counters": Mutant(
        "D10", "a table takes over from one of another set",
        [(HANDOVER, " || !test_bit(REMAP_LOADED, &old->flags) ||\n"
          "\t\t    !is_same_set(old, remap_uuid(set)))", " || !test_bit(REMAP_LOADED, &old->flags))")],
        ["test_handover.py::another_set"]),
    "tokens-anew": Mutant(
        "E7", "a reload ends the count of a storm",
        [(HANDOVER, "\t\tremap_set_tokens(set, known->tokens);\n", "")],
        ["test_handover.py::storm"]),
    "loss-for-new-users": Mutant(
        "D10", "flushes fail of those who open the device after the loss",
        [(HANDOVER, "\tif (!is_open(set))\n\t\treturn;\n\tset_bit(REMAP_LOST_CACHE",
          "\tset_bit(REMAP_LOST_CACHE")],
        ["test_lost_cache.py::had_it_open"]),
    "will-of-the-removed": Mutant(
        "D10", "a device that was removed leaves something to the next of its name",
        [(HANDOVER, "\tif (alone && !is_open(set)) {", "\tif (0) {"),
         (HANDOVER, "\treturn will->md == md && will->md_seq == dm_disk(md)->diskseq;",
          "\treturn md;")],
        ["test_handover.py::outlives", "test_lost_cache.py::was_removed"]),
    "identity-anew": Mutant(
        "D10", "a table does not note which devices its members are",
        [(HANDOVER, "\t\tset->life->id[m] = member_id(set, m);\n", "")],
        ["test_lost_cache.py::until_the_loss"]),
    "committed-untold": Mutant(
        "D10", "a table does not say up to which number it has committed",
        [(HANDOVER, "\tknown->committed = report.committed;\n", "\tknown->committed = 0;\n")],
        ["test_lost_cache.py::an_older_spare_does_not"]),
    # what a soak is for
    "stale-after-move": Mutant(
        "P2, C13", "an entry moves without the sectors that were not written",
        [(RELOCATE, "\tif (!change->fresh || old_slot < 0)\n", "\tif (1)\n")],
        ["test_move.py::moves_the_chunk"]),
    "slot-leaks": Mutant(
        "C11", "a slot that was freed is never given again",
        [(COMMIT, "\t\tif (!(table->word[slot] & REMAP_WORD_RETIRED) ||", "\t\tif (1 ||")],
        ["soak 13 0"]),
    "acknowledged-uncommitted": Mutant(
        "P1", "writes are acknowledged without their commit, as a soak sees it",
        [(COMMIT, "commit_table_block(set, block, change + i, nr_changes - i);", "0;")],
        ["soak 13 0"]),
}
