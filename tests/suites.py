# SPDX-License-Identifier: GPL-2.0-or-later
"""The one table of what `make check` runs. To add a suite, add a line.

KIND says how a suite is counted:
    cmocka   COMMAND runs cmocka programs; their "[  PASSED  ] N test(s)" are added up
    pytest   COMMAND is a path, and options, for pytest on the host
    uml      COMMAND is one or more globs of files, each run in a guest of its own (plain
             kernel), on DISKS of that kind (see harness/disks.py)
    kasan    some files together on the KASAN + lockdep kernel, without tests marked plain_only
    kasan-rest   those
    tally    COMMAND's last line is "N passed, N failed[, N skipped]"
    make     COMMAND makes something the others need: counted only when it fails

IN names the runs a suite is part of: quick (a minute or two), check (before each
change), all. A suite uses so many SLOTS of the six that there are on two cores: most use one
core and 3 slots; a guest of the plain kernel, which mostly waits, 2; ALONE is all of them.
Of states that a scenario gives to the command by the hundred, one of ONE_OF is tried.
"""

from dataclasses import dataclass

PYTHON = "/usr/bin/python3"
QUICK, CHECK, ALL = "quick", "check", "all"
WAITS, BUSY, ALONE = 2, 3, 6
EVERY, NOT_QUICK, ONLY_ALL = (QUICK, CHECK, ALL), (CHECK, ALL), (ALL,)


@dataclass(frozen=True)
class Suite:
    name: str
    command: str
    kind: str
    runs: tuple[str, ...]
    slots: int = BUSY
    timeout_s: float = 900.0
    disks: str = "plain"
    one_of: int = 1


def _scenarios(names: str) -> str:
    return " ".join(f"tests/scenarios/test_{name}.py" for name in names.split())


# Scenarios about data and metadata, which must hold on every kind of disk; the first of them
# are quick and see most.
DATA = _scenarios("data_path errors flush frozen hazards interleavings lifecycle lost_cache "
                  "messages move relocation rig torture unremap")
MORE_DATA = _scenarios("commit_failures create_crash discard file_systems force_rw format "
                       "metadata metadata_copies neighbours probe_chunk replay rows stacking")
# Not lost_cache and neighbours: they say nothing about late errors.
LATE = _scenarios("data_path errors flush frozen hazards interleavings lifecycle messages move "
                  "relocation rig torture unremap commit_failures create_crash discard "
                  "file_systems force_rw format metadata metadata_copies probe_chunk rows stacking")

# What hostile or dying disks and races do to the kernel's memory.
MEMORY = _scenarios("data_path discard errors flush forged frozen gates hazards interleavings "
                    "lifecycle lost_cache manual messages metadata move netlink real_disks "
                    "relocation sysfs torture unremap")

# Systems of Debian 12 and 13 are changed by apt: slow.
CHROOTS = [f"tests/packages/test_{name}.py" for name in ("other_release", "kernel_upgrade")]


SUITES = [
    Suite("kernel for UML", f"{PYTHON} -m tests.harness.kernels uml", "make", EVERY, ALONE, 3600),
    Suite("userspace", "make -s -j2 -C daemon all in-process", "make", EVERY, ALONE),
    Suite("units", "make -s -C tests/unit check", "cmocka", EVERY),
    Suite("block server", "tests/blockserver", "pytest", EVERY),
    Suite("harness", "tests/harness", "pytest", EVERY),
    Suite("scenarios", "tests/scenarios/test_*.py", "uml", (QUICK, CHECK), WAITS, one_of=4),
    Suite("scenarios, each state", "tests/scenarios/test_*.py", "uml", ONLY_ALL, WAITS),
    Suite("scenarios, no FUA", DATA, "uml", (CHECK,), WAITS, disks="no-fua"),
    Suite("all data scenarios, no FUA", f"{DATA} {MORE_DATA}", "uml", ONLY_ALL, WAITS,
          disks="no-fua"),
    Suite("data scenarios, main without FUA", f"{DATA} {MORE_DATA}", "uml", ONLY_ALL,
          disks="main-no-fua"),
    Suite("data scenarios, spare without FUA", f"{DATA} {MORE_DATA}", "uml", ONLY_ALL,
          disks="spare-no-fua"),
    Suite("data scenarios, late errors", LATE, "uml", ONLY_ALL, disks="late"),
    Suite("crash states", "tests/crash -m 'not slow'", "pytest", NOT_QUICK),
    Suite("crash states, many activated", "tests/crash -m slow", "pytest", ONLY_ALL, BUSY, 3600),
    Suite("models", "tests/models", "pytest", ONLY_ALL, BUSY, 3600),
    Suite("metadata, mutated", "make -s -C tests/fuzz check CASES=5000", "tally", (CHECK,)),
    Suite("metadata, mutated at length", "make -s -C tests/fuzz check CASES=100000", "tally",
          ONLY_ALL),
    Suite("foreign bytes, libFuzzer", "tests/fuzz/parsers", "pytest", ONLY_ALL, BUSY, 3600),
    Suite("userspace, ASan and valgrind", "tests/sanitize", "pytest", NOT_QUICK),
    Suite("long scenarios", "tests/scenarios/long/test_*.py", "uml", ONLY_ALL),
    Suite("endurance, a minute", "tests/soak", "pytest", ONLY_ALL, BUSY, 1800),
    Suite("other people's tools", "tests/scenarios/tools/test_*.py", "uml", ONLY_ALL),
    Suite("packages", f"tests/packages --ignore={' --ignore='.join(CHROOTS)}", "pytest", NOT_QUICK),
    Suite("packages, in chroots", " ".join(CHROOTS), "pytest", ONLY_ALL, BUSY, 3600),
    Suite("other kernels, dkms", "tests/kernels -m 'not slow'", "pytest", NOT_QUICK, BUSY, 1800),
    Suite("lint", "tests/lint", "tally", NOT_QUICK),
    Suite("debugging kernel for UML", f"{PYTHON} -m tests.harness.kernels uml-kasan", "make",
          NOT_QUICK, ALONE, 3600),
    Suite("scenarios, KASAN", MEMORY, "kasan", (CHECK,)),
    Suite("all scenarios, KASAN", "tests/scenarios/test_*.py", "kasan", ONLY_ALL),
    Suite("failing allocations", "tests/scenarios/debugging/test_*.py", "kasan", NOT_QUICK),
    Suite("failing allocations, each", "tests/scenarios/debugging/test_*.py", "kasan-rest",
          ONLY_ALL, BUSY, 5400),
    Suite("long scenarios, KASAN", "tests/scenarios/test_*.py", "kasan-rest", ONLY_ALL),
    Suite("cost of an I/O", "tests/bench", "pytest", NOT_QUICK),
    Suite("live set, valgrind", "tests/scenarios/valgrind/test_*.py", "uml", ONLY_ALL),
    Suite("virtual machine", "tests/vm -m 'not slow'", "pytest", NOT_QUICK, ALONE, 4800),
    Suite("virtual machine, slow", "tests/vm -m slow", "pytest", ONLY_ALL, ALONE, 5400),
    Suite("virtual machine, other Debian", "tests/vm --debian other -m each_debian", "pytest",
          ONLY_ALL, ALONE, 5400),
    Suite("kernels, built and booted", "tests/kernels -m slow", "pytest", ONLY_ALL, ALONE, 7200),
]
