# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's failure must never look like success."""

from pathlib import Path

import pytest

from tests.harness import kernel_log, uml

NAME = "harness"


def run(place: Path, script: str, timeout_s: float = 120.0) -> uml.Outcome:
    # below the project, for /tmp is another one in the guest
    file = uml.PROJECT / "build" / f"guest-script-{place.name}.py"
    file.write_text(script)
    try:
        return uml.run(file, with_module=False, name=f"{NAME}-{place.name}", timeout_s=timeout_s)
    finally:
        file.unlink()


def test_success_and_output(tmp_path: Path) -> None:
    outcome = run(tmp_path, "import os; print('here is', os.uname().release)")
    assert outcome.failure is None
    assert outcome.output.startswith("here is ") and "dm-remap-uml" in outcome.output


def test_exit_code(tmp_path: Path) -> None:
    assert run(tmp_path, "raise SystemExit(3)").failure == "exit code 3"


def test_crash_of_the_script(tmp_path: Path) -> None:
    outcome = run(tmp_path, "import os; os.abort()")
    assert outcome.failure == "exit code -6"


def test_guest_that_never_ends(tmp_path: Path) -> None:
    outcome = run(tmp_path, "import time; time.sleep(3600)", timeout_s=10)
    assert outcome.failure is not None and "no end after 10 s" in outcome.failure


def test_guest_that_dies(tmp_path: Path) -> None:
    script = "import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)"
    outcome = run(tmp_path, script)
    assert outcome.failure is not None and "it died" in outcome.failure


def test_kernel_that_complains(tmp_path: Path) -> None:
    script = "open('/dev/kmsg', 'w').write('BUG: KASAN: made up by a test')"
    outcome = run(tmp_path, script)
    assert outcome.failure is not None and "made up by a test" in outcome.failure


@pytest.mark.parametrize("line", [
    "[    1.0] BUG: KASAN: slab-out-of-bounds in remap_map+0x1/0x2",
    "[    1.0] WARNING: possible circular locking dependency detected",
    "[    1.0] WARNING: CPU: 0 PID: 1 at drivers/md/dm.c:1 x+0x0/0x1",
    "[    1.0] UBSAN: shift-out-of-bounds in kmod/table.c:1:2",
    "[    1.0] INFO: task kworker/0:1:12 blocked for more than 60 seconds.",
    "[    1.0] BUG: sleeping function called from invalid context at mm/slab.h:1",
    "[    1.0] =============================\n[    1.0] WARNING: suspicious RCU usage",
])
def test_complaints_are_seen(line: str) -> None:
    assert kernel_log.complaints(f"[    0.9] all is well\n{line}\n[    1.1] and again")


def test_quiet_lines_are_not_complaints() -> None:
    assert kernel_log.complaints("[ 0.1] kasan: KernelAddressSanitizer initialized\n"
                                 "[ 0.2] Warning: unable to open an initial console.\n"
                                 "[ 0.3] EXT4-fs warning (device dm-0): mounting\n") == []
