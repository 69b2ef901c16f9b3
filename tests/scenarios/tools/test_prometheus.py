# SPDX-License-Identifier: GPL-2.0-or-later
"""Prometheus' own tool takes the metrics and the alerting rules; dm-remap.rules.test.yml says what
each rule does. The dashboard's queries are run in packages/test_dashboard.py.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.kernels import PROJECT
from tests.scenarios.lib import Device, Rig, pattern
from tests.scenarios.sets import create, ext4_on_main, output

RULES = PROJECT / "packaging" / "prometheus" / "dm-remap.rules.yml"
DASHBOARD = RULES.with_name("dm-remap.dashboard.json")
CASES = Path(__file__).with_name("dm-remap.rules.test.yml")
# Of the node exporter, and not ours.
OTHERS = {"node_textfile_mtime_seconds"}
pytestmark = [pytest.mark.disks(main="4M", spare="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002")]


def promtool(*arguments: str, text: str = "") -> str:
    result = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True)
    assert result.returncode == 0, result
    return result.stdout + result.stderr


def test_the_metrics(rig: Rig) -> None:
    """Of no set, of one that is well, of one that is not, and of one without the module."""
    assert promtool("check", "metrics", text=output("metrics")) == ""
    ext4_on_main(rig)
    create(rig)
    assert promtool("check", "metrics", text=output("metrics")) == ""
    rig.main.bad(800, 2, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1, 2))
    device.close()
    rig.main.bad(2000, 3, kind="read")
    output("remap", "data", "2000", "8")
    text = output("metrics")
    assert promtool("check", "metrics", text=text) == ""
    # a rule or a panel about a metric that is not there would never say anything
    rules = re.findall(r"^ +(?:expr: |  )(.*)$", RULES.read_text(), re.MULTILINE)
    panels = [target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"]
              for target in panel["targets"]]
    for expressions, least in ((rules, 8), (panels, 16)):
        named = {name for expression in expressions
                 for name in re.findall(r"\b(?:dm_remap|node)_\w+", expression)}
        assert len(named) >= least
        assert named - OTHERS <= set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    output("deactivate", "data")
    output("activate", "data", "--fallback")
    assert promtool("check", "metrics", text=output("metrics")) == ""


def test_the_rules(tmp_path: Path) -> None:
    alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
    assert f"{len(alerts)} rules found" in promtool("check", "rules", str(RULES))
    # each one fires in a test
    assert alerts == set(re.findall(r"alertname: (\w+)\n +exp_alerts:", CASES.read_text()))
    for file in (RULES, CASES):
        shutil.copy(file, tmp_path)
    promtool("test", "rules", str(tmp_path / CASES.name))
