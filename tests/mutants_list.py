# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of the module, each with a smallest edit that breaks it. mutants.py reads it.

WHAT says what is broken. EDITS are (file, text that occurs once, what replaces it).
CATCHERS are FILE[::WORDS] in tests/scenarios (WORDS select tests, as pytest -k does),
"harness FILE::WORDS", "unit", "crash SHAPE SEED [DISKS CACHE]" or "soak SEED LIFE"; the
cheapest first.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    rule: str
    what: str
    edits: list[tuple[str, str, str]]
    catchers: list[str]


ACTIVATE = "kmod/life/activate.c"
ANCHOR = "kmod/meta/anchor.c"
ANCHOR_CHUNK = "kmod/meta/anchor_chunk.c"
AUTOSAVE = "kmod/life/autosave.c"
BLOCK = "kmod/meta/block.c"
COMMIT = "kmod/meta/commit.c"
COMMON = "common/remap_format.c"
CONFIRM = "kmod/engine/confirm.c"
CONSTRUCT = "kmod/construct.c"
COPIES = "kmod/meta/copies.c"
COPY = "kmod/engine/copy.c"
EVENTS = "kmod/base/events.c"
FLOW = "kmod/base/flow.c"
GATE = "kmod/base/gate.c"
FORMAT = "kmod/meta/format.c"
HANDOVER = "kmod/life/handover.c"
LOAD = "kmod/meta/load.c"
MANUAL = "kmod/engine/manual.c"
MESSAGE = "kmod/iface/message.c"
PASS = "kmod/engine/pass.c"
PIECES = "kmod/engine/pieces.c"
QUEUE = "kmod/base/queue.c"
REGISTRY = "kmod/life/registry.c"
RELOCATE = "kmod/engine/relocate.c"
REQUEST = "kmod/engine/request.c"
SCRUB = "kmod/meta/scrub.c"
SET_H = "kmod/base/set.h"
SOFT = "kmod/meta/soft.c"
SUPER = "kmod/meta/super.c"
TABLE = "kmod/map/table.c"
TABLE_H = "kmod/map/table.h"
TARGET = "kmod/target.c"
DATA_PATH = "kmod/data_path.c"
UNWRITABLE = "kmod/meta/unwritable.c"
WORKER = "kmod/engine/worker.c"
WRITE_CACHE = "kmod/life/write_cache.c"

MUTANTS = {
    # commits
    "ack-before-commit": Mutant(
        "P1, C1", "writes are acknowledged without their commit",
        [(COMMIT, "commit_table_block(set, block, change + i, nr_changes - i);", "0;")],
        ["test_relocation.py::test_order_of_one_relocation"]),
    "one-replica": Mutant(
        "C1", "one replica is enough",
        [(BLOCK, "for (replica = 0; !r && replica < REMAP_REPLICAS; replica++)",
          "for (replica = 0; !r && replica < 1; replica++)")],
        ["test_relocation.py::test_order_of_one_relocation"]),
    "publish-first": Mutant(
        "C1", "entries are published before both replicas are written",
        [(COMMIT, "\t\tr = frozen ? -EROFS : "
          "commit_table_block(set, block, change + i, nr_changes - i);",
          "\t\tfor (j = i; j < nr_changes; j++) {\n"
          "\t\t\tif (!change[j].handled && remap_table_block_of(change[j].slot) == block &&\n"
          "\t\t\t    REMAP_WORD_REDIRECTED(change[j].word)) {\n"
          "\t\t\t\tchange[j].result = REMAP_COMMITTED;\n"
          "\t\t\t\tsettle(set, &change[j]);\n\t\t\t}\n\t\t}\n"
          "\t\tr = commit_table_block(set, block, change + i, nr_changes - i);")],
        ["test_interleavings.py::test_lost_sector_being_written"]),
    "go-on-after-failure": Mutant(
        "C1", "replica 1 is written although replica 0 failed",
        [(BLOCK, "for (replica = 0; !r && replica < REMAP_REPLICAS; replica++)",
          "for (replica = 0; replica < REMAP_REPLICAS; replica++)"),
         (BLOCK, "\t\tr = remap_write_copy(set, copy, block);",
          "\t\tr = remap_write_copy(set, copy, block) ?: r;")],
        ["test_commit_failures.py::test_numbers_are_never_used_again",
         "test_commit_failures.py", "crash wide 5"]),
    "reuse-number": Mutant(
        "C2", "the number of a failed commit is used again",
        [(COMMIT, "\tr = remap_write_block(set, block);\n\tif (!r) {\n\t\tremap_clear",
          "\tr = remap_write_block(set, block);\n\tif (r)\n\t\tmeta->last_seq--;\n"
          "\tif (!r) {\n\t\tremap_clear")],
        ["test_commit_failures.py::test_numbers_are_never_used_again", "crash wide 5"]),
    "toggle-place": Mutant(
        "C3", "the place toggles at every attempt",
        [(BLOCK, "\t\t\tmeta->replica_errors[replica]++;",
          "\t\t\tmeta->replica_errors[replica]++;\n"
          "\t\t\tstate->good_place[0] = !state->good_place[0];\n"
          "\t\t\tstate->good_place[1] = !state->good_place[1];")],
        ["test_commit_failures.py::test_numbers_are_never_used_again", "crash wide 5"]),
    "forget-doubt": Mutant(
        "C4", "what a failed commit withdrew is forgotten",
        [(COMMIT, "r ? REMAP_IN_DOUBT : REMAP_COMMITTED;", "r ? REMAP_NOT_WRITTEN : REMAP_COMMITTED;"),
         (COMMIT, "\tif (set->meta->nr_in_doubt || set->meta->block[0].in_doubt)\n"
          "\t\tremap_resolve_doubt(set, first_error);\n", "")],
        ["test_commit_failures.py::test_acknowledged_data_stays_over_doubt", "crash wide 5"]),
    "serve-doubt": Mutant(
        "C4", "sectors in doubt are served by main",
        [(WORKER, "bool first = doubt & BIT(bit);", "bool first = false;")],
        ["test_commit_failures.py::test_commit_fails_for_good", "test_commit_failures.py"]),
    "doubt-excuses-all": Mutant(
        "C4", "in a block in doubt `restore` takes another system's commit for our own",
        [(SCRUB, "state->in_doubt || state->unwritable ? set->meta->last_seq : state->seq;",
          "state->in_doubt || state->unwritable ? U64_MAX : state->seq;")],
        ["test_commit_failures.py::test_somebody_else_wrote_the_metadata"]),
    "doubt-is-strange": Mutant(
        "C4", "`restore` takes a failed commit of our own for another system's",
        [(SCRUB, "state->in_doubt || state->unwritable ? set->meta->last_seq : state->seq;",
          "state->seq;")],
        ["test_commit_failures.py::test_failed_sync_can_be_restored", "test_frozen.py"]),
    "frozen-is-strange": Mutant(
        "C8", "`restore` takes what a dead place holds for another system's",
        [(SCRUB, "state->in_doubt || state->unwritable ? set->meta->last_seq : state->seq;",
          "state->in_doubt ? set->meta->last_seq : state->seq;")],
        ["test_frozen.py"]),
    "never-resolve": Mutant(
        "C4", "doubt is not resolved until the set is restarted",
        [(COMMIT, "\tif (!remap_may_write(set))\n\t\treturn;\n\t/* The media may",
          "\tif (!remap_may_write(set) || meta->nr_failures)\n\t\treturn;\n\t/* The media may")],
        ["test_commit_failures.py::test_commit_fails_for_a_while", "test_commit_failures.py"]),
    "commit-failure-acked": Mutant(
        "P8", "a write is acknowledged although its commit failed",
        [(COMMIT, "\t\t\tif (r)\n\t\t\t\tchange[j].status = BLK_STS_IOERR;\n", "")],
        ["test_commit_failures.py::test_commit_fails_for_good"]),
    "commit-failure-silent": Mutant(
        "P8", "a failed commit does not change the mode",
        [(COMMIT, "\t\tset_bit(REMAP_META_FAIL, &set->flags);\n", "\t\t;\n")],
        ["test_commit_failures.py::test_commit_fails_for_good"]),
    "serve-before-repair": Mutant(
        "C5", "served without the repair",
        [(LOAD, "\tr = repair_blocks(set);\n\tif (r) {", "\tr = 0;\n\tif (r) {")],
        ["test_metadata.py::test_reads_wait_for_the_repair"]),
    "repair-in-cache": Mutant(
        "C5", "the repair is not durable",
        [(LOAD, "remap_write_copy(set, c, block);",
          "remap_rw(set, set->spare, remap_copy_sector(set, c, block), meta->image,\n"
          "\t\t\t     REMAP_BLOCK_SECTORS, REQ_OP_WRITE);")],
        ["test_metadata_copies.py::test_any_one_copy_damaged", "test_metadata.py",
         "test_metadata_copies.py"]),
    "half-repaired-writable": Mutant(
        "C5, P4", "what cannot be repaired is served read-write",
        [(LOAD, "\t\tset_bit(REMAP_READ_ONLY, &set->flags);\n\t}\n"
          "\tif (!test", "\t}\n\tif (!test")],
        ["test_metadata.py::test_what_cannot_be_repaired"]),
    "believe-one-replica": Mutant(
        "P4, C5", "load looks at replica 0 alone",
        [(COPIES, "set->meta->read.unreadable[i] & BIT(c) ?",
          "set->meta->read.unreadable[i] & BIT(c) || c > 1 ?")],
        ["test_metadata_copies.py::test_a_whole_replica_lost"]),
    "ignore-checksum": Mutant(
        "P4", "checksums are not looked at",
        [(COMMON, "return REMAP_BAD_CRC;", "return REMAP_OK;")],
        ["unit"]),
    "take-either": Mutant(
        "C6", "of two contents of one number the first is taken",
        [(COMMON, "\t\t\tchoice->conflict = true;\n\t\t\tchoice->best = -1;\n"
          "\t\t\treturn -EUCLEAN;\n", "\t\t\tcontinue;\n")],
        ["test_metadata.py::test_equal_numbers", "unit"]),
    "leave-unreadable": Mutant(
        "C7, C2", "copies that could not be read are not written over",
        [(COMMON, "(verdict == REMAP_UNREADABLE || copies->choice.repair", "(copies->choice.repair")],
        ["unit", "test_hazards.py::test_unreadable_copy"]),
    "restore-one-place": Mutant(
        "C7", "restore rewrites one place of each replica",
        [(SCRUB, "\t\tfor (place = 0; place < REMAP_PLACES; place++) {\n\t\t\tr = remap_rewrite",
          "\t\tfor (place = 0; place < 1; place++) {\n\t\t\tr = remap_rewrite")],
        ["test_commit_failures.py::test_restore_rewrites_every_place"]),
    "restore-leaves-marks": Mutant(
        "C3", "a restore that fails leaves marks that a commit takes for the truth",
        [(SCRUB, "\t\tstate->rewrite = 0;\n", ""),
         (SCRUB, "\t\tmeta->block[block].rewrite = 0;\n", "\t\t;\n")],
        ["test_frozen.py::test_restore_spares_the_copies_that_are_good"]),
    "slots-of-doubt": Mutant(
        "C8", "blocks in doubt go on giving slots",
        [(COMMIT, "\t\tif (set->meta->block[remap_table_block_of(slot)].in_doubt ||\n"
          "\t\t    remap_is_unwritable(set, slot)) {", "\t\tif (remap_is_unwritable(set, slot)) {")],
        ["test_commit_failures.py::test_a_block_in_doubt_gives_no_slots",
         "test_commit_failures.py"]),
    "commit-without-data": Mutant(
        "C9", "an entry whose data write failed is committed",
        [(COMMIT, "change[i].handled = change[i].status || first_error;",
          "change[i].handled = first_error;"),
         (BLOCK, "if (!change[i].status && remap_table_block_of(change[i].slot) == block)",
          "if (remap_table_block_of(change[i].slot) == block)")],
        ["test_move.py::test_a_dead_spare_moves_nothing"]),
    "flush-before-data": Mutant(
        "C9, C10", "the flush goes out before the data",
        [(RELOCATE, "nr_all = write_slots(set, nr_changes);",
          "remap_flush_spare(set);\n\tnr_all = write_slots(set, nr_changes);"),
         (COMMIT, "remap_settle_super(set) ?: remap_flush_spare(set);",
          "remap_settle_super(set);"),
         (PIECES, "if (any && (member == REMAP_SPARE ? remap_flush_spare(set) :",
          "if (any && (member == REMAP_SPARE ? 0 :")],
        ["test_relocation.py::test_order_of_one_relocation"]),
    "no-flush": Mutant(
        "C10", "no flush before the commit",
        [(COMMIT, "remap_settle_super(set) ?: remap_flush_spare(set);",
          "remap_settle_super(set);"),
         (PIECES, "if (any && (member == REMAP_SPARE ? remap_flush_spare(set) :",
          "if (any && (member == REMAP_SPARE ? 0 :")],
        ["test_relocation.py::test_order_of_one_relocation"]),
    "flush-unchecked": Mutant(
        "C10", "the result of the commit's flush is not looked at",
        [(COMMIT, "remap_settle_super(set) ?: remap_flush_spare(set);",
          "remap_settle_super(set) ?: (remap_flush_spare(set), 0);")],
        ["test_flush.py::test_commit_after_a_failed_flush"]),
    "no-fua": Mutant(
        "C10", "table blocks without FUA",
        [(COPIES, "REQ_OP_WRITE | REQ_FUA", "REQ_OP_WRITE")],
        ["test_relocation.py::test_acknowledged_means_durable"]),
    "reuse-slot": Mutant(
        "C11", "a freed slot is used again at once",
        [(COMMIT, "if (table->prov[slot] >= meta->block[block].seq && "
          "remap_commit_block(set, block))", "if (0)")],
        ["test_unremap.py::test_freed_slot_waits", "crash tight 6"]),
    "reuse-undrained": Mutant(
        "C11", "a freed slot is used again while reads of it are on their way",
        [(COMMIT, "\t\t\tremap_drain(set, &drain);\n", "")],
        ["test_unremap.py::test_slot_in_use_by_a_read"]),
    "places-interleaved": Mutant(
        "C12", "places A and B of a block lie side by side",
        [(COMMON, "u64 blocks = (u64)place * geometry->place_blocks + block;",
          "u64 blocks = (u64)block * REMAP_PLACES + place;")],
        ["unit"]),
    "places-unaligned": Mutant(
        "C12", "places are not aligned",
        [(COMMON, "return (blocks + REMAP_PLACE_ALIGN_BLOCKS - 1) & "
          "~(REMAP_PLACE_ALIGN_BLOCKS - 1U);", "return blocks;")],
        ["unit"]),
    "same-generation": Mutant(
        "C13", "a moved entry keeps its generation",
        [(RELOCATE, "(REMAP_WORD_EPOCH(old) + 1) & 3, 0)", "REMAP_WORD_EPOCH(old), 0)")],
        ["test_hazards.py::test_cut_short_move", "test_move.py"]),
    "keep-predecessor": Mutant(
        "C13", "load keeps the older of two slots",
        [(LOAD, "\tif (order < 0)\n\t\tswap(older, newer);",
          "\tif (order > 0)\n\t\tswap(older, newer);")],
        ["test_metadata.py::test_two_slots_claim_one_chunk"]),
    "tie-accepted": Mutant(
        "C13", "load takes one of two slots with one generation",
        [(LOAD, "\tif (!order || chunk == set->meta->moved_chunk) {", "\tif (0) {")],
        ["test_metadata.py::test_two_slots_claim_one_chunk"]),
    "old-slot-first": Mutant(
        "C13", "the old slot's commit comes before the new one's",
        [(RELOCATE, "\tremap_commit(set, set->engine->change, nr_all);\n",
          "\tfor (i = nr_changes; i < nr_all; i++) {\n"
          "\t\tu32 slot = set->engine->change[i].slot;\n"
          "\t\tu64 word = set->table.word[slot];\n\n"
          "\t\tremap_table_set(&set->table, slot, 0);\n"
          "\t\tremap_commit_block(set, remap_table_block_of(slot));\n"
          "\t\tremap_table_set(&set->table, slot, word);\n\t}\n"
          "\tremap_commit(set, set->engine->change, nr_all);\n")],
        ["test_move.py::test_power_cut_during_a_move"]),
    "no-blank-check": Mutant(
        "C14, P7", "what is on the spare is not looked at",
        [(LOAD, "?: remap_check_blank(set);", ";")],
        ["test_format.py::test_one_byte_is_enough"]),
    "end-unchecked": Mutant(
        "C14", "the last MiB is not looked at",
        [(FORMAT, "\t       check_range(set, last, end, &half_formatted);",
          "\t       check_range(set, last, last, &half_formatted);")],
        ["test_format.py::test_one_byte_is_enough"]),
    "superblock-first": Mutant(
        "C14", "the superblock is written first",
        [(FORMAT, "\tr = write_initial_blocks(set);\n",
          "\tmeta->last_seq = REMAP_FIRST_SEQ;\n"
          "\tmeta->block[0] = (struct remap_block_state){ .good_place = { 1, 1 } };\n"
          "\tr = remap_super_commit(set) ?: write_initial_blocks(set);\n")],
        ["test_format.py::test_power_cut_while_formatting"]),
    "half-formatted-foreign": Mutant(
        "C14", "a half-formatted spare is taken for foreign",
        [(COMMON, "\t\treturn remap_block_check(data, block <= geometry->table_blocks ?",
          "\t\treturn false && remap_block_check(data, block <= geometry->table_blocks ?")],
        ["unit", "test_format.py::test_power_cut_while_formatting"]),
    "mark-first": Mutant(
        "C14, E5", "the mark is written before the superblock",
        [(FORMAT, "\tr = remap_super_commit(set);\n\tif (r) {\n\t\tremap_err",
          "\tr = remap_write_first_anchor(set);\n\tif (r) {\n\t\tremap_err")],
        ["test_format.py::test_the_superblock_says or test_power_cut_while_formatting"]),

    # data path
    "no-split": Mutant(
        "P3", "map ignores place.nr_sectors",
        [(DATA_PATH, "if (place.nr_sectors < bio_sectors(bio))", "if (0)")],
        ["test_data_path.py::test_every_small_read"]),
    "first-region-only": Mutant(
        "P3", "a bio is clean when the region of its first sector is",
        [(TABLE_H, "\treturn remap_is_in_region(sector, nr_sectors) &&\n\t       !test_bit(",
          "\treturn !test_bit(")],
        ["test_data_path.py::test_remaps_only_where"]),
    "chunk-as-a-whole": Mutant(
        "P3", "a bio in a chunk with a remap goes to its slot, whichever sectors are mapped",
        [(TABLE_H, "if (w & defer_flags || mask & (~REMAP_WORD_REDIRECTED(w) | REMAP_WORD_LOST(w)))",
          "if (w & defer_flags || mask & REMAP_WORD_LOST(w))")],
        ["test_data_path.py::test_every_small_read"]),
    "no-split-in-worker": Mutant(
        "P3", "the worker ignores place.nr_sectors",
        [(WORKER, "\tpiece->nr_sectors = place.nr_sectors;\n", "")],
        ["test_data_path.py::test_every_small_write or test_thousands", "test_data_path.py",
         "test_interleavings.py", "test_relocation.py"]),
    "whole-chunk": Mutant(
        "D1, P3", "the whole chunk is redirected",
        [(RELOCATE, "change->word |= (u64)mask << 40;", "change->word |= 0xffULL << 40;")],
        ["test_relocation.py::test_neighbours_stay_on_main"]),
    "copy-chunk": Mutant(
        "D1", "relocation copies the whole chunk from main",
        [(RELOCATE, "\tnr_all = write_slots(set, nr_changes);\n",
          "\tfor (i = 0; i < nr_changes; i++) {\n"
          "\t\tstruct remap_change *change = &set->engine->change[i];\n\n"
          "\t\tif (change->fresh &&\n"
          "\t\t    !remap_rw(set, set->main, (change->word & REMAP_WORD_CHUNK) * 8,\n"
          "\t\t\t      set->scratch.chunk, 8, REQ_OP_READ) &&\n"
          "\t\t    !remap_rw(set, set->spare, remap_slot_start(set, change->slot),\n"
          "\t\t\t      set->scratch.chunk, 8, REQ_OP_WRITE))\n"
          "\t\t\tchange->word |= 0xffULL << 40;\n\t}\n"
          "\tnr_all = write_slots(set, nr_changes);\n")],
        ["test_interleavings.py::test_neighbours_written_during"]),
    "torn-word": Mutant(
        "D2", "mask and lost bits change by two stores, and the writer sleeps in between",
        [(TABLE, "\tWRITE_ONCE(table->word[slot], word);\n}",
          "\tif (old & word & REMAP_WORD_LINKED &&\n"
          "\t    REMAP_WORD_LOST(old) != REMAP_WORD_LOST(word)) {\n"
          "\t\tWRITE_ONCE(table->word[slot], (word & ~(0xffULL << 48)) | (old & 0xffULL << 48));\n"
          "\t\tmsleep(50);\n\t}\n"
          "\tWRITE_ONCE(table->word[slot], word);\n}"),
         (TABLE, "#include <linux/bitmap.h>",
          "#include <linux/bitmap.h>\n#include <linux/delay.h>")],
        ["test_interleavings.py::test_sector_becomes_lost_at_once"]),
    "no-busy-mark": Mutant(
        "D3", "remap does not mark the chunk busy",
        [(MANUAL, "remap_table_insert(table, slot, word | REMAP_WORD_BUSY);",
          "remap_table_insert(table, slot, word);")],
        ["test_interleavings.py::test_writes_during_the_copy_arrive"]),
    "no-drain": Mutant(
        "D3", "remap does not drain",
        [(MANUAL, "\tr = remap_try_drain(set, &drain);",
          "\tr = remap_is_back(request) ? remap_try_drain(set, &drain) : 0;")],
        ["test_interleavings.py::test_remap_waits_for_a_write"]),
    "no-drain-back": Mutant(
        "D3", "unremap does not drain",
        [(MANUAL, "\tr = remap_try_drain(set, &drain);",
          "\tr = remap_is_back(request) ? 0 : remap_try_drain(set, &drain);")],
        ["test_unremap.py::test_unremap_waits_for_a_write"]),
    "worker-ignores-busy": Mutant(
        "D4, D20", "the worker handles a write to a chunk that is being copied",
        [(WORKER, "set->table.word[place.slot] & REMAP_WORD_BUSY)\n\t\treturn false;",
          "0)\n\t\treturn false;")],
        ["test_manual.py::test_slow_read_holds_up", "test_manual.py::test_failing_write_to_a_busy"]),
    "copy-through-suspend": Mutant(
        "D12", "a message goes on copying while a suspend waits",
        [(PASS, "\tif (test_bit(REMAP_SUSPENDING, &set->flags))\n\t\treturn -EBUSY;\n", "")],
        ["test_manual.py::test_suspend_during_a_batch"]),
    "copy-all-busy": Mutant(
        "E8", "slow commands do not end a batch",
        [(PASS, "return time_after(jiffies, remap_manual(set)->until) &&", "return 0 &&")],
        ["test_manual.py::test_slow_sectors"]),
    "cut-blocks-back": Mutant(
        "D21", "unremap writes a part of a physical block",
        [(MANUAL, "\trest = remap_whole_blocks(set, chunk, mask) & ~mask;", "\trest = 0;")],
        ["test_manual.py::test_512e_blocks_go_back"]),
    "rest-gets-lost": Mutant(
        "P2", "unremap makes lost what it cannot read of a physical block",
        [(MANUAL, "\tif (!r && request->rest)", "\tif (0)")],
        ["test_manual.py::test_512e_block_whose_rest"]),
    "believe-main": Mutant(
        "P2", "unremap does not compare what it reads back",
        [(COPY, "\t\tcompare_copy(copy, buffer_of(set, copy));\n", "")],
        ["test_manual.py::test_main_that_gives_back"]),
    "no-drain-move": Mutant(
        "D3", "moving an entry does not drain",
        [(RELOCATE, "\tremap_drain(set, &drain);\n", "")],
        ["test_move.py::test_move_waits_for_a_write"]),
    "ask-behind-the-disk": Mutant(
        "D20", "verify waits for the worker",
        [(MESSAGE, "\tslot = remap_table_peek(&set->table,",
          "\tmutex_lock(&set->lock);\n\tmutex_unlock(&set->lock);\n"
          "\tslot = remap_table_peek(&set->table,")],
        ["test_manual.py::test_slow_relocation"]),
    "count-until-end": Mutant(
        "D4", "a bio that waits for the worker stays counted",
        [(DATA_PATH, "\tif (counted(end)) {\n\t\t/* Not acknowledged",
          "\tif (counted(end) && r == DM_ENDIO_DONE) {\n\t\t/* Not acknowledged"),
         (QUEUE, "\tremap_mark_flags(bio, pb, REMAP_BIO_ENDED);",
          "\tif ((unsigned long)bio->bi_private & ~REMAP_END_BITS && pb->failed)\n"
          "\t\tremap_uncount((u64 __percpu *)((unsigned long)bio->bi_private & "
          "~REMAP_END_BITS));\n"
          "\tremap_mark_flags(bio, pb, REMAP_BIO_ENDED);")],
        ["test_interleavings.py::test_write_that_fails_while_remap_drains"]),
    "park-without-lookup": Mutant(
        "D4", "a write that waited for a busy chunk goes to main unseen",
        [(WORKER, "\tcase REMAP_PLACE_SPARE:\n\t\tpiece->class = REMAP_PIECE_SERVE;",
          "\tcase REMAP_PLACE_SPARE:\n\t\tif (write && !pb->failed) {\n"
          "\t\t\tpiece->class = REMAP_PIECE_SERVE;\n\t\t\tpiece->dev = set->main;\n"
          "\t\t\tpiece->dev_sector = piece->sector;\n\t\t\treturn true;\n\t\t}\n"
          "\t\tpiece->class = REMAP_PIECE_SERVE;")],
        ["test_interleavings.py::test_writes_during_the_copy_arrive"]),
    "no-second-lookup": Mutant(
        "D5", "a failed read is not looked up again",
        [(DATA_PATH, "\t\tif (!has_moved(set, pb)) {", "\t\thas_moved(set, pb);\n\t\tif (1) {")],
        ["test_interleavings.py::test_read_that_fails_after_its_sector_moved"]),
    "always-second-try": Mutant(
        "D5", "a failed read is sent again though nothing moved",
        [(DATA_PATH, "\t\tif (!has_moved(set, pb)) {", "\t\thas_moved(set, pb);\n\t\tif (0) {")],
        ["test_interleavings.py::test_read_that_fails_where_nothing_moved"]),
    "count-read-ahead": Mutant(
        "D5", "failed read-ahead counts as an error",
        [(DATA_PATH, " || bio->bi_opf & REQ_RAHEAD)", ")")],
        ["test_errors.py::test_read_ahead_counts_for_nothing"]),
    "forget-lost-early": Mutant(
        "D6", "the lost bit is cleared in RAM before the commit",
        [(RELOCATE, "\t\tchange->word &= ~((u64)mask << 48);\n",
          "\t\tchange->word &= ~((u64)mask << 48);\n\t\tif (!change->fresh)\n"
          "\t\t\tremap_table_set(&set->table, change->slot,\n"
          "\t\t\t\t\tset->table.word[change->slot] & ~((u64)mask << 48));\n")],
        ["test_interleavings.py::test_lost_sector_being_written"]),
    "lost-stays-on-media": Mutant(
        "D6", "a write to a lost sector is acknowledged with the lost bit still on the media",
        [(BLOCK, "\t\t\tencode_slot(change[i].word, change[i].prov,",
          "\t\t\tencode_slot(change[i].word |\n"
          "\t\t\t\t    (set->table.word[change[i].slot] & 0xffULL << 48),\n"
          "\t\t\t\t    change[i].prov,")],
        ["test_interleavings.py::test_lost_sector_is_an_error_until_written"]),
    "drop-lost": Mutant(
        "P2", "sectors that cannot be read are not marked lost",
        [(MANUAL, "(u64)copy->mask << 40 | (u64)copy->lost << 48;", "(u64)copy->mask << 40;")],
        ["test_relocation.py::test_rescue"]),
    "spare-unconfirmed": Mutant(
        "D7", "a slot is called bad at its first error",
        [(RELOCATE, "\tif (change->again) {", "\tif (1) {")],
        ["test_hazards.py::test_hiccup_of_the_spare"]),
    "spare-unprobed": Mutant(
        "D7, P5", "a dead spare's slots are called bad",
        [(RELOCATE, "if (nr_all > nr_changes && !remap_ping_spare(set)) {", "if (0) {"),
         (COMMIT, "remap_settle_super(set) ?: remap_flush_spare(set);",
          "remap_settle_super(set) ?: (remap_flush_spare(set), 0);"),
         (SOFT, "if (!remap_soft_save(set) || !remap_super_commit(set))\n", "if (1)\n")],
        ["test_errors.py::test_dead_spare", "test_move.py::test_a_dead_spare"]),
    "move-unconfirmed": Mutant(
        "D7", "an entry moves at the first error of its slot",
        [(RELOCATE, "\t\tagain |= set->engine->change[i].again;\n",
          "\t\tif (set->engine->change[i].again) {\n"
          "\t\t\tset->engine->change[i].status = BLK_STS_IOERR;\n"
          "\t\t\tagain |= try_again(set, &set->engine->change[i], &nr_all);\n\t\t}\n")],
        ["test_move.py::test_a_transient_error",
         "test_errors.py::test_passing_error_of_the_spare"]),
    "swallow-flush-error": Mutant(
        "D7", "an error of the spare's flush is not passed up",
        [(GATE, "\t\t\tint r = turn.r[member_of(bio)];\n",
          "\t\t\tint r = turn.r[member_of(bio)];\n\n"
          "\t\t\tif (member_of(bio) == REMAP_SPARE)\n\t\t\t\tr = turn.owed = 0;\n")],
        ["test_flush.py::test_flush_error_is_passed_up"]),
    "wait-with-nowait": Mutant(
        "D8", "a write that must not wait is parked",
        [(DATA_PATH, "\tif (bio->bi_opf & REQ_NOWAIT) {", "\tif (0) {")],
        ["test_interleavings.py::test_busy_chunk_does_not_wait"]),
    "again-is-error": Mutant(
        "D8", "BLK_STS_AGAIN from below counts as an error",
        [(DATA_PATH, "if (error == BLK_STS_AGAIN || ", "if (")],
        ["test_stacking.py::test_again_from_below"]),
    "elide-flush": Mutant(
        "D9", "the spare's flush is always left out",
        [(DATA_PATH, "if (!remap_is_unflushed(set, REMAP_SPARE) && likely(!READ_ONCE(gate->owed)))",
          "if (1)")],
        ["test_flush.py::test_fsync_covers_the_spare"]),
    "flush-covers-later": Mutant(
        "D9", "a flush covers what completed while it was under way",
        [(GATE, "remap_flush_covered(set, member, sum);",
          "remap_flush_covered(set, member, remap_cached_writes(set, member));")],
        ["test_flush.py::test_write_during_a_flush"]),
    "flush-covers-at-once": Mutant(
        "D9", "a flush covers when it is sent, not when it succeeded",
        [(GATE, "\tbio_list_add(flush ? &gate->flushes : &gate->writes, bio);\n",
          "\tif (flush)\n\t\tremap_flush_covered(gate->set, member_of(bio),\n"
          "\t\t\t\t    remap_cached_writes(gate->set, member_of(bio)));\n"
          "\tbio_list_add(flush ? &gate->flushes : &gate->writes, bio);\n"),
         (GATE, "void remap_gate_add(struct remap_gate *gate,",
          "static enum remap_member member_of(struct bio *bio);\n\n"
          "void remap_gate_add(struct remap_gate *gate,")],
        ["test_flush.py::test_second_fsync"]),
    "failed-flush-covers": Mutant(
        "D9", "a flush that failed covers",
        [(GATE, "\tif (!r) {\n\t\tremap_flush_covered(set, member, sum);\n",
          "\tremap_flush_covered(set, member, sum);\n\tif (!r) {\n"),
         (GATE, "\t\tif (turn->r[member] && has_flush)\n\t\t\towe(gate, REMAP_OWED_WRITE);\n", "")],
        ["test_flush.py::test_flush_error_is_passed_up or test_failed_flush"]),
    "count-at-submission": Mutant(
        "D9", "writes to the spare are counted when they are sent",
        [(DATA_PATH, "\t\tend |= REMAP_END_SPARE_WRITE;\n",
          "\t\tthis_cpu_inc(set->flow.percpu->spare_writes);\n")],
        ["test_flush.py::test_write_that_was_sent or test_write_during_a_flush"]),
    "owe-no-first-flush": Mutant(
        "D9", "an instance flushes nothing when it ends, and trusts that earlier ones did",
        [(HANDOVER, "\tthis_cpu_inc(set->flow.percpu->spare_writes);\n", ""),
         (HANDOVER, "\t\tremap_flush_spare(set);\n\tmutex", "\t\t;\n\tmutex"),
         (GATE, "\tthis_cpu_inc(flow->percpu->spare_writes);\n", ""),
         (GATE, "\tremap_flush_spare(set);\n\tif (remap_is", "\tif (remap_is")],
        ["test_hazards.py::test_flush_covers_what_an_earlier", "test_flush.py::change_of_owner"]),
    "force-without-word": Mutant(
        "C5", "a replica that cannot be repaired is left out without an administrator's word",
        [(LOAD, "if (!set->options.force_rw || test_bit", "if (test_bit")],
        ["test_force_rw.py::test_only_when_said"]),
    "both-out": Mutant(
        "C5", "force_rw goes on with no replica at all",
        [(LOAD, "copy < 0 ||\n\t    meta->out >= 0)", "copy < 0)")],
        ["test_force_rw.py::test_never_with_both"]),
    "out-counts-again": Mutant(
        "C7", "restore takes a replica back that it did not write",
        [(SCRUB, "\t\tr = mend(set, out >= 0, nr_repaired);\n",
          "\t\tr = out >= 0 ? 0 : mend(set, true, nr_repaired);\n")],
        ["test_force_rw.py::test_restore_takes"]),
    "flush-after-lost-cache": Mutant(
        "D10", "flushes succeed although a cache was lost",
        [(DATA_PATH, "\t\tif (unlikely(test_bit(REMAP_LOST_CACHE, &set->flags))) {",
          "\t\tif (0) {")],
        ["test_lost_cache.py::test_flushes_fail_until"]),
    "spare-reads-count-for-main": Mutant(
        "D10", "I/O on the spare counts as writes in main's cache",
        [(FLOW, "for (bucket = 0; bucket < REMAP_BUCKET_SLOT; bucket++)",
          "for (bucket = 0; bucket < REMAP_NR_BUCKETS; bucket++)")],
        ["test_lost_cache.py::test_what_is_on_the_spare"]),
    "main-flush-covers-nothing": Mutant(
        "D10", "flushes of main are not noted",
        [(GATE, "\t\tremap_flush_covered(set, member, sum);\n",
          "\t\tif (member == REMAP_SPARE)\n\t\t\tremap_flush_covered(set, member, sum);\n")],
        ["test_lost_cache.py::test_nothing_is_lost"]),
    "lost-cache-forgotten": Mutant(
        "D10", "a further table ends lost-cache",
        [(HANDOVER, "known->lost_cache = test_bit(REMAP_LOST_CACHE, &old->flags);", "")],
        ["test_lost_cache.py::test_over_when_all"]),
    "predecessor-forgotten": Mutant(
        "D10", "a spare older than what the replaced table acknowledged is taken",
        [(ACTIVATE, "\tload.committed = max(load.committed, known->committed);\n", "")],
        ["test_lost_cache.py::test_an_older_spare"]),
    "new-spare-believed": Mutant(
        "D22", "a spare that comes back as another device may be newer",
        [(HANDOVER, "\tknown->was_degraded |= was_replaced(&known->id[REMAP_SPARE], set, "
          "REMAP_SPARE);\n", "")],
        ["test_lost_cache.py::test_a_spare_that_another_system_wrote"]),
    "restore-goes-on": Mutant(
        "D22", "slots are read by a table that another system has replaced",
        [(SCRUB, "\tset_bit(REMAP_ALTERED, &set->flags);\n\tset_bit(REMAP_FAILED,",
          "\tset_bit(REMAP_FAILED,")],
        ["test_sleep_hook.py::test_the_set_was_changed"]),
    "freeze-forgotten": Mutant(
        "E7", "a new table ends a freeze that the superblock does not say",
        [(HANDOVER, "\t\tassign_bit(REMAP_FROZEN, &set->flags, known->frozen);\n", "")],
        ["test_commit_failures.py::test_what_no_superblock_says_outlives_a_resume"]),
    "freeze-told-once": Mutant(
        "E7, D18", "what the superblock could not be made to say is not tried again",
        [(AUTOSAVE, "\t\tif (!remap_has_doubt(set))\n\t\t\tremap_store_settings(set);\n", "")],
        ["test_commit_failures.py::test_a_storm_is_not_forgotten"]),
    "leave-unsaid": Mutant(
        "D18, E7", "nor when the set leaves in order",
        [(TARGET, "\tremap_record_ping(set);\n\tremap_store_settings(set);\n",
          "\tremap_record_ping(set);\n")],
        ["test_commit_failures.py::test_auto_ends_with_the_last_flush"]),
    "gate-of-then": Mutant(
        "D17", "an error is owed at the gate that the table before had",
        [(HANDOVER, "remap_gate(set, m)->owed |= known->owed[m];",
          "set->flow.gate[m].owed |= known->owed[m];")],
        ["test_gates.py::test_an_error_that_is_owed"]),
    "cache-is-empty": Mutant(
        "D17, D18", "main's cache is taken for empty when a load says auto or keep",
        [(WRITE_CACHE, "\tremap_gate(set, REMAP_MAIN)->backed |= "
          "remap_write_cache(set) != REMAP_WRITE_THROUGH;\n", "")],
        ["test_gates.py::test_auto_that_came"]),
    "media-go-back": Mutant(
        "D10", "resume accepts media behind what was acknowledged",
        [(LOAD, "if (test_bit(REMAP_LOADED, &set->flags) && !unwritable &&\n"
          "\t    copies->choice.seq < state->seq) {", "if (0) {"),
         (LOAD, "if (age.newest < load->committed) {", "if (0) {"),
         (ANCHOR, "if (age && remap_is_older(age, &found.mark)) {", "if (0) {")],
        ["test_commit_failures.py::test_media_that_went_back"]),
    "no-requeue": Mutant(
        "D11", "a suspend without flush gets errors instead of requeued bios",
        [(WORKER, "end_all(set, BLK_STS_DM_REQUEUE);", "end_all(set, BLK_STS_IOERR);")],
        ["test_interleavings.py::test_suspend_and_reload"]),
    "share-devices": Mutant(
        "D12", "two sets may own one spare",
        [(REGISTRY, "\treturn overlap(a_main, 0, a->ti->len, b_main, 0, b->ti->len) ||",
          "\treturn false && overlap(a_main, 0, a->ti->len, b_main, 0, b->ti->len) ||"),
         (REGISTRY, "\t       overlap(a_spare, a->spare_start, a->spare_sectors,\n",
          "\t       false && overlap(a_spare, a->spare_start, a->spare_sectors,\n")],
        ["test_hazards.py::test_one_owner_at_a_time"]),
    "discard-slots": Mutant(
        "D14", "a discard of redirected sectors goes to the spare",
        [(DATA_PATH, "if (bio_op(bio) == REQ_OP_DISCARD && place.kind != REMAP_PLACE_DEFER) {",
          "if (0) {")],
        ["test_discard.py::test_discard"]),
    "larger-spare-blocks": Mutant(
        "D14", "a spare with larger logical blocks is accepted",
        [(CONSTRUCT, "else if (bdev_logical_block_size(spare) > bdev_logical_block_size(main))",
          "else if (0)")],
        ["test_table_line.py::test_every_bad_line"]),
    "cut-physical-blocks": Mutant(
        "D16", "remap cuts physical blocks",
        [(COPY, "\treturn mask & remap_chunk_mask(set, chunk);", "\treturn mask;"),
         (COPY, "\t\tif (mask & unit_mask)\n\t\t\tmask |= unit_mask;", "\t\tif (0)\n"
          "\t\t\tmask |= unit_mask;")],
        ["test_hazards.py::test_physical_blocks"]),

    # relocation
    "no-confirm": Mutant(
        "E1", "failed writes are not tried again on main",
        [(CONFIRM, "\t\tremap_sub_submit(set, piece, set->main, piece->sector, add);\n", "")],
        ["test_errors.py::test_passing_error_maps_nothing"]),
    "confirm-in-cache": Mutant(
        "E2", "confirming writes without FUA",
        [(CONFIRM, "send_group(set, next, set->engine->nr_pieces, most, REQ_FUA);",
          "send_group(set, next, set->engine->nr_pieces, most, 0);")],
        ["test_errors.py::test_passing_error_maps_nothing"]),
    "confirm-one-by-one": Mutant(
        "E8", "what is written together is sent as many commands",
        [(CONFIRM, "send_group(set, next, end, most, 0);",
          "send_group(set, next, end, most, REQ_NOMERGE);")],
        ["test_real_disks.py::test_slow_and_one_at_a_time"]),
    "confirm-all-errors": Mutant(
        "E3", "every error is confirmable",
        [(EVENTS, "return status == BLK_STS_IOERR || status == BLK_STS_MEDIUM;",
          "return status != BLK_STS_OK;")],
        ["test_errors.py::test_unknown_error_is_passed_up"]),
    "no-deadline": Mutant(
        "E4", "there is no deadline",
        [(PIECES, "return time_after(jiffies,\n\t\t\t  remap_bio(piece->bio)->start + "
          "set->options.deadline_seconds * HZ);", "return false;")],
        ["test_errors.py::test_deadline"]),
    "deadline-maps": Mutant(
        "E4", "what was not confirmed in time is mapped",
        [(CONFIRM, "not confirmed before the deadline: not remapped\",\n"
          "\t\t\t\t       set->main->name, piece->sector);\n"
          "\t\tremap_give_up(set, piece, DM_REMAP_REASON_DEADLINE);",
          "not confirmed before the deadline: not remapped\",\n"
          "\t\t\t\t       set->main->name, piece->sector);\n"
          "\t\tpiece->class = REMAP_PIECE_RELOCATE;")],
        ["test_errors.py::test_deadline"]),
    "probe-in-cache": Mutant(
        "E5", "the probe is written without FUA",
        [(ANCHOR, "REQ_OP_WRITE | REQ_FUA) ||\n\t    remap_rw(set, set->main, sector, back",
          "REQ_OP_WRITE) ||\n\t    remap_rw(set, set->main, sector, back")],
        ["test_errors.py::test_probe_is_durable"]),
    "probe-not-read": Mutant(
        "E5", "the probe is not read back",
        [(ANCHOR, " ||\n\t    remap_rw(set, set->main, sector, back, REMAP_CHUNK_SECTORS, "
          "REQ_OP_READ) ||\n\t    memcmp(back, set->scratch.anchor, REMAP_CHUNK_BYTES))", ")")],
        ["test_errors.py::test_probe_that_does_not_stick"]),
    "probe-reads-only": Mutant(
        "E5, P5", "the probe is a read",
        [(ANCHOR, "\tif (remap_rw(set, set->main, sector, set->scratch.anchor, REMAP_CHUNK_SECTORS,\n"
          "\t\t     REQ_OP_WRITE | REQ_FUA) ||\n\t    remap_rw(set, set->main, sector, back, "
          "REMAP_CHUNK_SECTORS, REQ_OP_READ) ||\n"
          "\t    memcmp(back, set->scratch.anchor, REMAP_CHUNK_BYTES))",
          "\tif (remap_rw(set, set->main, sector, back, REMAP_CHUNK_SECTORS, REQ_OP_READ))")],
        ["test_errors.py::test_main_that_is_gone"]),
    "no-probe": Mutant(
        "P5, E6", "no probe before or after the confirmation",
        [(CONFIRM, "alive = one_disk && remap_ping_main(set);", "alive = true;")],
        ["test_errors.py::test_main_that_is_gone"]),
    "no-first-probe": Mutant(
        "E6", "no probe before the confirmation",
        [(CONFIRM, "\tprobe_main(set, REMAP_PIECE_CONFIRM);\n", "")],
        ["test_errors.py::test_main_that"]),
    "no-second-probe": Mutant(
        "E6", "no probe after the confirmation",
        [(CONFIRM, "\tprobe_main(set, REMAP_PIECE_BAD);\n", "")],
        ["test_errors.py::test_main_that_goes_after"]),
    "lose-by-hiccup": Mutant(
        "E6, P5", "remap gives up what failed to be read once",
        [(PASS, "\tr = go_through(set, &pass, true);\n\t/*", "\tr = 0;\n\t/*")],
        ["test_hazards.py::test_rescue_during_a_hiccup"]),
    "probe-elsewhere": Mutant(
        "E9", "a main of several disks is probed where the set's own probe chunk lies",
        [(CONFIRM, "alive = remap_ping_near(set, piece->sector);",
          "alive = remap_ping_main(set);")],
        ["test_several_disks.py::pulled"]),
    "probe-beside-writes": Mutant(
        "E9, D19", "main is not held while it is probed and confirmed",
        [(FLOW, "\tset_bit(REMAP_HELD, &set->flags);\n", "")],
        ["test_several_disks.py::neighbours"]),
    "late-is-lost": Mutant(
        "E8", "what was confirmed too late is not relocated",
        [(CONFIRM, "\t\telse if (test_bit(REMAP_FROZEN, &set->flags))",
          "\t\telse if (remap_is_late(set, piece))\n"
          "\t\t\tremap_give_up(set, piece, DM_REMAP_REASON_DEADLINE);\n"
          "\t\telse if (test_bit(REMAP_FROZEN, &set->flags))")],
        ["test_errors.py::test_one_command"]),
    "deadline-from-arrival": Mutant(
        "E4", "the time counts from the arrival of the write",
        [(QUEUE, "\tpb->error = error;\n\tpb->start = jiffies;\n", "\tpb->error = error;\n")],
        ["test_errors.py::test_one_command"]),
    "drain-everything": Mutant(
        "D20", "a drain waits for all writes to main",
        [(FLOW, "\tu64 region = chunk * REMAP_CHUNK_SECTORS >> REMAP_REGION_SHIFT;\n",
          "\tu64 region = chunk * REMAP_CHUNK_SECTORS >> REMAP_REGION_SHIFT;\n\n\tbitmap_fill(drain->bucket, REMAP_NR_BUCKETS);\n")],
        ["test_interleavings.py::test_a_drain_waits_for_its_own"]),
    "degraded-from-nothing": Mutant(
        "D22", "what is on a spare that others may have written is served",
        [(SET_H, "(BIT(REMAP_UNCOMPARED) | BIT(REMAP_ALTERED))", "(0UL)")],
        ["test_lifecycle.py::test_another_spare"]),
    "no-storm-limit": Mutant(
        "E7", "there is no storm limit",
        [(PIECES, "\tif (set->engine->tokens) {\n\t\tset->engine->tokens--;", "\tif (1) {\n\t\tset->engine->tokens--;")],
        ["test_errors.py::test_storm"]),
    "storm-limit-low": Mutant(
        "E7", "100 chunks are a storm",
        [(PIECES, "u64 burst = max(1024U, remap_geometry(set)->slots / 64);",
          "u64 burst = 100;")],
        ["test_errors.py::test_a_megabyte"]),
    "storm-thaws": Mutant(
        "E7", "a storm ends by itself",
        [(PIECES, "\tset_bit(REMAP_FROZEN, &set->flags);\n"
          "\tremap_store_settings(set);\n", "")],
        ["test_errors.py::test_storm"]),
    "hand-draws-tokens": Mutant(
        "E7", "remap by hand is refused while frozen",
        [(MANUAL, "\treturn fatal_signal_pending(current) ? -EINTR : 0;",
          "\treturn test_bit(REMAP_FROZEN, &set->flags) ? -EBUSY : 0;")],
        ["test_errors.py::test_storm"]),
    "back-in-cache": Mutant(
        "P2", "unremap: main's copy is not durable before the commit",
        [(COPY, "set->main, REQ_OP_WRITE | REQ_FUA, buffer,", "set->main, REQ_OP_WRITE, buffer,")],
        ["test_unremap.py::test_unremap_brings", "crash tight 6"]),

    # identity
    "any-main": Mutant(
        "P7", "a main without the set's mark is accepted",
        [(ANCHOR, "if (found.others && !(marked && found.proofs)) {", "if (0) {")],
        ["test_metadata.py::test_another_main_is_refused"]),
    "any-blank-spare": Mutant(
        "P2, P7", "a marked main gets a blank spare",
        [(FORMAT, "r = check_unmarked(set) ?: remap_find_anchor_chunk(", "r = remap_find_anchor_chunk(")],
        ["test_metadata.py::test_main_of_a_set"]),
    "any-age": Mutant(
        "O6", "an older spare is accepted",
        [(ANCHOR, "if (age && remap_is_older(age, &found.mark)) {", "if (0) {")],
        ["test_metadata.py::test_an_older_spare_is_refused"]),
    "mark-not-renewed": Mutant(
        "O6", "the mark is not renewed after the last commit",
        [(ANCHOR, "if (set->meta->committed > set->meta->anchor.marked)", "if (0)")],
        ["test_metadata.py::test_an_older_spare_is_refused_after_one"]),
    "mark-ahead": Mutant(
        "O6", "the mark has a number that is not complete",
        [(ANCHOR, ".seq = meta->committed,", ".seq = meta->last_seq + 1,")],
        ["test_relocation.py::test_no_acknowledgement_before", "crash wide 5"]),
    "unknown-features": Mutant(
        "P7", "unknown incompatible features are ignored",
        [(COMMON, "\t    (super->incompat & ~REMAP_KNOWN_INCOMPAT))", "\t    0)")],
        ["unit", "test_metadata.py::test_unknown_features"]),
    "older-place-instead": Mutant(
        "P7", "an older place without the unknown feature is taken",
        [(COMMON, "if (unknown_seq && (r || unknown_seq > copies->choice.seq))",
          "if (unknown_seq && r)")],
        ["unit", "test_hazards.py::test_unknown_newer"]),
    "clear-shows-signatures": Mutant(
        "O1", "clear gives back what hides main's signatures",
        [(REQUEST, "!= REMAP_CAUSE_GUARD;", "!= 0xff;")],
        ["test_messages.py::test_clear_leaves_what_hides_signatures"]),
    "cause-forgotten": Mutant(
        "provenance", "the cause that a message names is not recorded",
        [(MESSAGE, "*cause = REMAP_CAUSE_RESCUE;", "*cause = REMAP_CAUSE_MANUAL;")],
        ["test_messages.py::test_remap_records_who_asked"]),
    # what came later
    "serve-stale": Mutant(
        "C1, C5", "newest copies damaged on both replicas are taken for a crash",
        [(COMMON, "choice->newer_lost = newer_is_lost(copy, verdict, copy[choice->best]);",
          "choice->newer_lost = newer_is_lost(copy, verdict, copy[choice->best]) && 0;")],
        ["unit"]),
    "unreadable-is-old": Mutant(
        "C15", "a copy that cannot be read is taken for an older one",
        [(COMMON, "choice->newer_hidden = newer_is_hidden(copy, verdict, copy[choice->best]);",
          "choice->newer_hidden = newer_is_hidden(copy, verdict, copy[choice->best]) && 0;")],
        ["unit", "crash wide 5"]),
    "repair-what-may-be-newer": Mutant(
        "C5, C15", "what is possibly stale is served read-write, and the newer copies repaired",
        [(LOAD, "if (meta->nr_stale && !set->options.force_rw)", "if (0)")],
        ["test_stale.py::test_newest_copies_lost"]),
    "counters-hide-age": Mutant(
        "C15", "main's mark is compared with a number in which counters count",
        [(LOAD, "\tr = remap_check_anchor(set, &age);",
          "\tage.newest = meta->last_seq;\n\tr = remap_check_anchor(set, &age);")],
        ["test_stale.py::test_counters_do_not_count"]),
    "newest-block-alone": Mutant(
        "C15", "an older content of a block that is not the newest is not noticed",
        [(COMMON, "return age->digest != mark->digest;", "return false;")],
        ["unit", "test_stale.py::test_newest_copies_lost"]),
    "doubtful-digest": Mutant(
        "C15", "the mark has a digest although a block is in doubt",
        [(ANCHOR, "if (!remap_has_doubt(set)) {\n\t\tremap_age_of",
          "if (1) {\n\t\tremap_age_of")],
        ["test_stale.py::test_mark_while_a_block_is_in_doubt"]),
    "mark-before-superblock": Mutant(
        "C15", "the last commit of an orderly removal is not in the mark",
        [(TARGET, "\tremap_store_settings(set);\n\tremap_update_anchor(set);\n",
          "\tremap_store_settings(set);\n")],
        ["test_stale.py::test_mark_has_the_highest"]),
    "forget-loss": Mutant(
        "C15", "an accepted loss is not recorded",
        [(LOAD, "\tif (meta->nr_stale) {\n\t\tr = remap_super_commit(set);", "\tif (0) {\n"
          "\t\tr = remap_super_commit(set);")],
        ["test_stale.py::test_newest_copies_lost"]),
    "second-superblock": Mutant(
        "C16", "a superblock that another one leads to is not checked",
        [(SUPER, "\tif (!r && remap_super_same_layout(super, &first))\n"
          "\t\treturn check_super(set, super);",
          "\tif (!r)\n\t\treturn 0;")],
        ["test_forged.py::test_second_superblock"]),
    "any-number": Mutant(
        "C16", "a number may be anything",
        [(COMMON, "return le64_to_cpu(header->seq) > REMAP_MAX_SEQ ? REMAP_BAD_FIELD : REMAP_OK;",
          "return REMAP_OK;")],
        ["unit", "test_stale.py::test_numbers_that_cannot_be"]),
    "counters-decide": Mutant(
        "C16", "the number of counters decides how the set goes on counting",
        [(COMMON, "remap_block_seq(block) - newest > REMAP_SOFT_AHEAD)", "0)")],
        ["unit", "test_stale.py::test_numbers_that_cannot_be"]),
    "slots-that-are-not": Mutant(
        "C16", "a table block has slots that the set has not",
        [(BLOCK, "\tu32 nr = remap_table_entries(remap_geometry(set), block);",
          "\tu32 nr = REMAP_ENTRIES_PER_BLOCK;")],
        ["test_forged.py::test_formula_leaves"]),
    "refuse-after-repair": Mutant(
        "D12", "a set is refused after it was repaired",
        [(LOAD, "\tif (!r || formatted || !written)\n\t\treturn r;", "\tif (1)\n\t\treturn r;")],
        ["test_forged.py::test_unmarked"]),
    "one-place-back": Mutant(
        "C7", "a replica that was away gets one place rewritten by load",
        [(COMMON, "copies->choice.repair[c / REMAP_PLACES] ||\n",
          "(copies->choice.repair[c / REMAP_PLACES] &&\n\t\t     "
          "copies->choice.good_place[c / REMAP_PLACES] == c % REMAP_PLACES) ||\n")],
        ["unit", "test_metadata_copies.py::test_a_replica_that_was_away"]),
    "starve-doubt": Mutant(
        "C4, C8", "one block that cannot be written keeps the others in doubt",
        [(COMMIT, "meta->doubt_next = meta->doubt_next % nr + 1;", "meta->doubt_next = i + 1;"),
         (COMMIT, "#define DOUBT_FAILURES\t\t2", "#define DOUBT_FAILURES\t\t1")],
        ["test_commit_failures.py::test_a_bad_block_keeps"]),
    "believe-the-dead": Mutant(
        "C8", "load believes a copy that the superblock calls dead",
        [(COMMON, "\t\t\treturn (super->dead[i] - 1) % REMAP_COPIES;\n", "\t\t\tcontinue;\n")],
        ["unit", "test_frozen.py"]),
    "freeze-without-rewrite": Mutant(
        "C8, C4", "a failed commit that landed on the other replica outlives the freeze",
        [(UNWRITABLE, "\t\tr = remap_write_copy(set, target, block);\n", "\t\tr = 0;\n")],
        ["test_frozen.py"]),
    "move-twice": Mutant(
        "C13, C8", "a chunk that a frozen block still names moves again",
        [(RELOCATE, "remap_has_table_doubt(set) || remap_is_pinned(set, chunk_of(change))",
          "remap_has_table_doubt(set)")],
        ["test_frozen.py::test_a_slot_of_a_frozen"]),
    "keep-bad-probe": Mutant(
        "E5", "a bad probe chunk is kept for good",
        [(LOAD, "\tremap_mend_anchor(set);\n", "")],
        ["test_probe_chunk.py::test_another_one"]),
    "name-probe-first": Mutant(
        "E5, P2", "the mark goes over a chunk whose content was not copied",
        [(ANCHOR_CHUNK, "\tr = slot < 0 ? slot : remap_save_chunk(set, chunk, slot, REMAP_CAUSE_PROBE);\n",
          "\tr = slot < 0 ? slot : 0;\n")],
        ["test_probe_chunk.py::test_another_one"]),
    "journals-commit": Mutant(
        "D10", "writes with FUA succeed although a cache was lost",
        [(DATA_PATH, "\tif (unlikely(test_bit(REMAP_LOST_CACHE, &set->flags)) ||\n", "\tif (")],
        ["test_lost_cache.py::test_journals"]),
    "die-intestate": Mutant(
        "D10", "a table whose successor cannot be resumed leaves nothing to the next one",
        [(HANDOVER, "} else if (!heir && test_bit(REMAP_LOADED, &set->flags)) {",
          "} else if (false) {")],
        ["test_lost_cache.py::failed_forgets"]),
    "forget-in-between": Mutant(
        "D10", "a table in between forgets what main had not flushed",
        [(HANDOVER, "\tif (known->unflushed[REMAP_MAIN] && !lost[REMAP_MAIN])\n", "\tif (0)\n")],
        ["test_lost_cache.py::test_a_table_in_between"]),
    "ask-the-hung": Mutant(
        "D11", "a suspend without flush asks members for counters and flushes",
        [(TARGET, "\t\tset_bit(REMAP_NOFLUSH, &set->flags);\n", "\t\t;\n")],
        ["test_lost_cache.py::test_suspend_without_flush"]),
    "allocate-in-worker": Mutant(
        "P6", "the worker allocates memory for each piece",
        [(PIECES, "\tstruct bio *bio = bio_alloc_clone(dev->bdev, piece->bio, GFP_NOIO, &set->engine->clones);",
          "\tstruct bio *bio;\n\n\tkfree(kmalloc(64, GFP_NOIO));\n"
          "\tbio = bio_alloc_clone(dev->bdev, piece->bio, GFP_NOIO, &set->engine->clones);")],
        ["harness test_rules.py::test_memory"]),
    "allocate-in-preresume": Mutant(
        "D13", "memory is allocated when the set is loaded",
        [(ACTIVATE, "\tr = remap_load(set, &load);\n",
          "\tkfree(kmalloc(64, GFP_KERNEL));\n\tr = remap_load(set, &load);\n")],
        ["harness test_rules.py::test_memory"]),
    "ordered-events": Mutant(
        "P9", "what waits for a hung spare holds events up",
        [(CONSTRUCT, 'alloc_workqueue("dm-remap-soft", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);',
          'alloc_ordered_workqueue("dm-remap-soft", WQ_MEM_RECLAIM);')],
        ["test_netlink.py::test_a_spare_that_hangs_holds_no_event_up"]),
    "offer-crypto": Mutant(
        "D15", "inline encryption is passed through",
        [(TARGET, ".features = DM_TARGET_NOWAIT,",
          ".features = DM_TARGET_NOWAIT | DM_TARGET_PASSES_CRYPTO,")],
        ["harness test_rules.py::test_features"]),
    "leak-slot": Mutant(
        "C11", "a slot that was taken in vain is never given back",
        [(COMMIT, "\tif (!(old & REMAP_WORD_LINKED)) {\n\t\tremap_table_set(table, change->slot, 0);\n",
          "\tif (!(old & REMAP_WORD_LINKED)) {\n")],
        ["test_commit_failures.py::test_restore_does_not_end_a_flush"]),
    "lose-on-any-error": Mutant(
        "P2, E3", "a move calls sectors lost after an error that is not of the medium",
        [(RELOCATE, "\tif (remap_rw_chunk(set, set->spare, start, keep, unit, REQ_OP_READ, &failed))\n"
          "\t\treturn -ENODEV;",
          "\tremap_rw_chunk(set, set->spare, start, keep, unit, REQ_OP_READ, &failed);"),
         (RELOCATE, "\t\t       remap_rw_chunk(set, set->spare, start, failed, unit, REQ_OP_READ, &lost) ||\n",
          "\t\t       (remap_rw_chunk(set, set->spare, start, failed, unit, REQ_OP_READ, &lost), 0) ||\n")],
        ["test_move.py::test_an_error_that_is_not_of_the_medium"]),
    "forget-super": Mutant(
        "C4, E7", "a superblock whose commit failed is never written again",
        [(BLOCK, "return set->meta->block[0].in_doubt ? remap_super_commit(set) : 0;", "return 0;"),
         (COMMIT, "\tif (meta->block[0].in_doubt)\n\t\tnr_failed += !!remap_super_commit(set);\n", "")],
        ["test_commit_failures.py::test_a_freeze_that_failed"]),
    "bad-at-once": Mutant(
        "D7", "an old slot is bad after one failed write",
        [(RELOCATE, "\tif (change->again) {", "\tif (change->again || !change->fresh) {")],
        ["test_move.py::test_growth_over_a_transient_error"]),
    "half-thawed": Mutant(
        "C8", "a block is used again although the superblock still calls its place dead",
        [(UNWRITABLE, "\t\tremap_add_dead(meta->super.dead, block, dead);\n\t\treturn r;\n",
          "\t\tremap_add_dead(meta->super.dead, block, dead);\n"
          "\t\tstate->unwritable = false;\n\t\treturn r;\n")],
        ["test_frozen.py::test_a_thaw_that_fails"]),
    "read-only-forgets": Mutant(
        "D10", "a table that is read-only forgets what was committed before it",
        [(LOAD, "\tmeta->committed = max(meta->committed, load->committed);\n", "")],
        ["test_lost_cache.py::test_a_read_only_table"]),
    "share-uuid": Mutant(
        "D12", "two devices may have one set",
        [(REGISTRY, "other == set || !life->claimed ||", "1 ||")],
        ["test_hazards.py::test_one_set_has_one_owner"]),
    "mark-lags": Mutant(
        "O6, P9", "save does not renew the mark",
        [(MESSAGE, "\tremap_update_anchor(set);\n", "")],
        ["test_hazards.py::test_older_spare_is_refused_after"]),
    "no-deadline-for-slots": Mutant(
        "E4", "failing slots are tried without a deadline",
        [(RELOCATE, "\t\tif (remap_is_late(set, piece))\n", "\t\tif (0)\n")],
        ["test_hazards.py::test_slow_failing_slots"]),
    "limits-of-the-spare": Mutant(
        "O24", "soft limits are stacked from the spare",
        [(TARGET, "\t.io_hints = remap_io_hints,\n", "")],
        ["test_hazards.py::test_soft_limits"]),
    "freeze-until-restart": Mutant(
        "E7", "a restart ends a freeze",
        [(ACTIVATE, "\t\t\t   remap_super_flags(set) & REMAP_SUPER_FROZEN);", "\t\t\t   false);")],
        ["test_lost_cache.py::test_freeze"]),

    # what caches lose
    "told-to-us-only": Mutant(
        "D17", "an error that a flush of ours was told is not owed to a user",
        [(GATE, "\t\towe(gate, REMAP_OWED_FLUSH);\n\t\towe(gate, REMAP_OWED_WRITE);\n", "\t\t;\n")],
        ["test_real_disks.py::flush_of_ours", "crash wide 5 late keep"]),
    "anothers-flush-is-not-ours": Mutant(
        "D17", "the worker overlooks that another one's flush was told of a loss",
        [(GATE, "if (!r && gate->nr_failed != set->flow.own_failed[member])", "if (0)")],
        ["test_real_disks.py::worker_wrote or anothers_flush"]),
    "late-error-is-a-neighbours": Mutant(
        "D19", "a sector is confirmed in one go with what else is in the cache",
        [(FLOW, "\tset_bit(REMAP_HELD, &set->flags);\n", ""),
         (CONFIRM, "\t\tround->is_clean = !remap_gate_clean(set, REMAP_MAIN);\n",
          "\t\tround->is_clean = true;\n"),
         (CONFIRM, "\t\tsettle_main(set);\n\tprobe_main(set, REMAP_PIECE_CONFIRM);",
          "\t\t;\n\tprobe_main(set, REMAP_PIECE_CONFIRM);")],
        ["test_real_disks.py::not_a_neighbours", "crash wide 7 late keep",
         "crash wide 8 late keep"]),
    "gated-write-asks-its-own-flush": Mutant(
        "D17", "a write that waits for a flush overlooks that an earlier one failed",
        [(GATE, "if (!turn.r[member_of(bio)] && remap_bio(bio)->flush_sum == turn.nr_failed)",
          "if (!turn.r[member_of(bio)])")],
        ["test_real_disks.py::anothers_flush or behind_a_cache or at_a_fua",
         "crash wide 5 late through"]),
    "cached-is-written": Mutant(
        "D18", "writes to main stay in its cache",
        [(DATA_PATH, "if (bio->bi_opf & REQ_FUA || remap_write_cache(set) == REMAP_WRITE_THROUGH)",
          "if (bio->bi_opf & REQ_FUA)")],
        ["test_real_disks.py::behind_a_cache_is_relocated"]),
    "head-without-chunk": Mutant(
        "P3", "an entry is linked, and the head of its chain does not know it",
        [(TABLE, "| (u32)*head | REMAP_HEAD_CHUNK(chunk)", "| (u32)*head")],
        ["test_data_path.py"]),
    "head-of-the-last-chunk": Mutant(
        "P3", "the head of a chain knows only the entry that came last",
        [(TABLE, "| (u32)*head | REMAP_HEAD_CHUNK(chunk)", "| REMAP_HEAD_CHUNK(chunk)")],
        ["test_data_path.py"]),
    "head-forgets-the-rest": Mutant(
        "P3", "an entry that leaves its chain takes the others' marks in the head with it",
        [(TABLE, "(u64)next << 32 | (u32)*head : 0", "(u64)next << 32 : 0")],
        ["test_unremap.py"]),
}

UNTESTABLE = [
    ("D3, drain", "without `synchronize_rcu()` a bio that has looked up but is not counted yet "
     "is missed: User Mode Linux has one CPU and no preemption there, so the moment does not "
     "exist; tests/vm/test_races.py runs it on two CPUs, by chance"),
    ("C13, D3, the old slot of a move", "busy until a grace period after the fresh one was published: "
     "a write would have to stand between two entries of a chain meanwhile, see the one above"),
    ("D8, re-issues drop NOWAIT, POLLED and RAHEAD", "no lower device of the test bed refuses a "
     "bio for them"),
    ("D10, another medium in the same drive", "that a resume without a new table notices it: no "
     "disk of the test bed gets another number (diskseq) while it is open"),
    ("D11, destructor", "that it waits for what is in flight: every opener here waits for its "
     "own I/O before the device can be removed; tests/vm/test_races.py removes under load"),
    ("D13, P6", "allocations without `memalloc_noio` or pools fail only under memory pressure "
     "with swap on top; what is looked at is which functions allocate, and lockdep on the "
     "debugging kernel sees a part"),
    ("D15", "that PASSES_CRYPTO, PASSES_INTEGRITY and polling would do harm needs hardware that "
     "the test bed lacks; looked at is that they are not offered"),
]
