# SPDX-License-Identifier: GPL-2.0-or-later
"""Each parser of foreign bytes for a minute under libFuzzer, ASan and UBSan.

    FUZZ_S=3600 pytest tests/fuzz/parsers -k badlist       longer
    build/fuzz-parsers/fuzz-badlist FILE                   what was found, once again
"""

import os
import random
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests import report

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
BUILD = PROJECT / "build" / "fuzz-parsers"
SECONDS = int(os.environ.get("FUZZ_S", "60"))


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


# Of each target something that its parser takes; libFuzzer makes the rest of them.
SEEDS: dict[str, list[bytes]] = {
    "region": [b"\x00\x00\x04abcd\x00", b"\x00\x04\x08" + bytes(8) + b"\x02"],
    "member": [b"\x4c\x01\x02\x01\x00" + b"\x4e\x01\x04\x10\x00\x20\x00"],
    "backup": [b"\x05\x00\x04\x05\x00\x00\x00\x00", b"\x00\x04\x02\x01\x01\xf8"],
    "config": [b"[daemon]\nsave=60s\n\n[errors]\ncount = 10\nwindow=10min\nrescue=yes\n",
               b"\xef\xbb\xbf[spare]\nsteps=50,90\n# text\n[hooks]\ntimeout=5\n",
               (PROJECT / "packaging" / "dm-remapd.conf").read_bytes()],
    "badlist": [b"\x0010\n11\n", b"\x00# Mapfile.\n0x0 ? 1\n0x0 0x1000 +\n0x1000 0x200 -\n",
                b"\x03400 8\n500-600\n", b"\x04512 4096\n",
                b"\x00[1.0] blk_update_request: critical medium error, dev sdb, sector 400 op "
                b"0x0:(READ) flags 0x0 phys_seg 1\n",
                b"\x00nvme0n1: Read(0x2) @ LBA 22048, 8 blocks, Unrecovered Read Error (sct 0x2 )\n",
                b"\x00Num  Test_Description    Status                  Remaining  LifeTime(hours) "
                b" LBA_of_first_error\n# 1  Short offline       Completed: read failure       90%  "
                b"  1000         22048\n",
                b"\x00  40 51 08 50 c3 00 e0  Error: UNC 8 sectors at LBA = 0x0000c350 = 50000\n",
                b'\x00{"json_format_version": [1, 0], "ata_smart_self_test_log": {"extended": '
                b'{"table": [{"status": {"value": 121, "passed": false}, "lba": 22048}]}}}',
                b"\x00Bad-blocks on /dev/sdb:\n   400 for 8 sectors\n"],
    "status": [b"rw 3/120 lost_sectors=0 bad_slots=1 generation=17 probe=ok write_cache=through",
               b"8:16 8:32 128 4096 2 force_rw label=data", b"linear 8:16 2048",
               b"striped 2 128 8:0 0 8:16 0"],
    "event": [attribute(1, b"disk\0") + attribute(6, b"\x03\0\0\0"),
              attribute(7, b"rw\0") + attribute(6, b"\x01\0\0\0")],
    "smart": [b'{"device": {"name": "/dev/sda", "protocol": "ATA"}, "smart_status": {"passed": true},'
              b'"ata_smart_attributes": {"table": [{"id": 5, "raw": {"value": 8}}, '
              b'{"id": 197, "raw": {"value": 1}}]}}',
              b'{"nvme_smart_health_information_log": {"percentage_used": 3, "media_errors": 0, '
              b'"available_spare": 100, "critical_warning": 0}}',
              b'{"scsi_grown_defect_list": 4, "scsi_error_counter_log": {"read": '
              b'{"total_uncorrected_errors": 1}}}'],
    "state": [b"h1 1700000000 0 0 0 0 1 120 0 0 0 0 0 0 0 0 0 12345678\n", b"0-7 100 200-300",
              struct.pack("<18Q", *range(1700000000, 1700000018))],
}


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    subprocess.run(["make", "-s", "-j2", "-C", HERE], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("target", sorted(SEEDS))
def test_foreign_bytes(target: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[target]):
        (corpus / str(number)).write_bytes(seed)
    seed = random.randrange(1, 1 << 31)
    print(f"seed {seed}")
    ran = subprocess.run([BUILD / f"fuzz-{target}", f"-max_total_time={SECONDS}", f"-seed={seed}",
                          "-max_len=8192", "-timeout=60", "-print_final_stats=1",
                          f"-artifact_prefix={tmp_path}/", corpus],
                         capture_output=True, text=True, errors="replace", cwd=tmp_path)
    for found in [*tmp_path.glob("crash-*"), *tmp_path.glob("timeout-*"), *tmp_path.glob("oom-*"),
                  *tmp_path.glob("leak-*")]:
        shutil.copy(found, BUILD)
        print(f"kept: {BUILD / found.name}")
    assert not ran.returncode, ran.stderr[-6000:]
    executed = re.search(r"stat::number_of_executed_units: *(\d+)", ran.stderr)
    assert executed and int(executed[1]) > 1000, ran.stderr[-2000:]
    report.add("fuzz_executions", target, int(executed[1]))
