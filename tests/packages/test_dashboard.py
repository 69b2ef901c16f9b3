# SPDX-License-Identifier: GPL-2.0-or-later
"""The Grafana dashboard: a real Prometheus answers each of its queries, with the right numbers.

The metrics are those of the code that writes them (metrics_sample.c); that real sets have them all:
scenarios/tools/test_prometheus.py.
"""

import json
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.harness.kernels import PROJECT

DASHBOARD = json.loads((PROJECT / "packaging" / "prometheus" / "dm-remap.dashboard.json").read_text())
SAMPLE = Path(__file__).with_name("metrics_sample.c")
BUILT = PROJECT / "build" / "metrics-sample"
VALUES = {"$instance": ".*", "$name": ".*", "$__rate_interval": "10s"}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def build() -> None:
    subprocess.run(["make", "-s", "-C", PROJECT / "daemon"], check=True)
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-o", BUILT, SAMPLE, f"-I{PROJECT}/daemon/lib",
                    f"-I{PROJECT}/common", PROJECT / "build" / "libdmremap.a", "-lsystemd", "-lz",
                    "-lm"], check=True)


class Metrics(BaseHTTPRequestHandler):
    """One step further at each scrape."""

    step = 0

    def do_GET(self) -> None:
        Metrics.step += 1
        text = subprocess.run([BUILT, str(Metrics.step)], capture_output=True, check=True).stdout
        text += b'node_textfile_mtime_seconds{file="/x/dm-remap.prom"} %d\n' % (time.time() - 42)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Prometheus:
    """A running one."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str, **parameters: Any) -> Any:
        query = urllib.parse.urlencode(parameters, doseq=True)
        try:
            with urllib.request.urlopen(f"{self.url}/{path}?{query}", timeout=30) as reply:
                told = json.load(reply)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        assert told["status"] == "success" and not told.get("warnings"), told
        return told["data"]

    def ask(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    build()
    directory = tmp_path_factory.mktemp("prometheus")
    server = HTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = directory / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
                      "scrape_configs:\n- job_name: node\n  static_configs:\n"
                      f"  - targets: ['127.0.0.1:{server.server_port}']\n")
    port = free_port()
    log = (directory / "log").open("w+")
    process = subprocess.Popen(
        ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
         f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=subprocess.STDOUT)
    running = Prometheus(port)
    try:
        end = time.monotonic() + 120
        while True:
            try:
                found = running.ask("count_over_time(dm_remap_sets[60s]) >= 6")
                if found:
                    break
            except (OSError, AssertionError):
                pass
            assert process.poll() is None and time.monotonic() < end, (directory / "log").read_text()
            time.sleep(0.5)
        yield running
    finally:
        process.terminate()
        process.wait()
        server.shutdown()
        log.close()


def filled_in(expression: str) -> str:
    for name, value in VALUES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def queries() -> list[tuple[str, str]]:
    return [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]


@pytest.mark.parametrize("title, expression", queries(), ids=lambda text: text[:30])
def test_every_query_has_an_answer(prometheus: Prometheus, title: str, expression: str) -> None:
    now = time.time()
    for found in (prometheus.ask(filled_in(expression)),
                  prometheus.get("query_range", query=filled_in(expression), start=now - 10,
                                 end=now, step=1)["result"]):
        assert found, (title, expression)
        for series in found:
            for _, value in series.get("values", [series.get("value")]):
                assert abs(float(value)) < float("inf"), (title, series)    # nor NaN


def values(prometheus: Prometheus, title: str, target: int = 0) -> dict[str, float]:
    panel, = [panel for panel in panels() if panel["title"] == title]
    return {series["metric"].get("name", "") + series["metric"].get("reason", ""):
            float(series["value"][1])
            for series in prometheus.ask(filled_in(panel["targets"][target]["expr"]))}


def test_the_numbers(prometheus: Prometheus) -> None:
    assert [values(prometheus, word)[""] for word in ("good", "watch", "failing", "failed")] == \
        [1, 0, 1, 0]
    assert values(prometheus, "Why") == {"sickspare-fills": 1, "sicklost-sectors": 1}
    assert values(prometheus, "Verdict") == {"well": 0, "sick": 2}
    used = values(prometheus, "Use of the spare")
    assert used["well"] == pytest.approx(2 / 96) and 0.55 < used["sick"] < 1.5
    assert [values(prometheus, "When the spare is full", n) for n in range(3)] == \
        [{"sick": 2e12}, {"sick": 1.9e12}, {"sick": 2.1e12}]
    reads, writes = values(prometheus, "Errors of main"), values(prometheus, "Errors of main", 1)
    # two queries are of two moments
    assert reads["well"] == 0 and reads["sick"] == pytest.approx(writes["sick"] * 7 / 3, rel=0.02)
    assert values(prometheus, "Scrub: done") == {"sick": 0.75}
    assert 40 < values(prometheus, "Age of the metrics")[""] < 1000
    missing = prometheus.ask(filled_in("1 - dm_remap_member_present"))
    assert {(m["metric"]["name"], m["metric"]["member"]) for m in missing
            if m["value"][1] == "1"} == {("sick", "spare")}


def test_the_variables(prometheus: Prometheus) -> None:
    """label_values(METRIC, LABEL), which Grafana asks by this way."""
    asked = {}
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] != "query":
            continue
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert match and variable["definition"] == variable["query"]["query"]
        asked[variable["name"]] = prometheus.get(f"label/{match[2]}/values",
                                                 **{"match[]": filled_in(match[1])})
    assert asked["name"] == ["sick", "well"] and len(asked["instance"]) == 1
    assert {f"${name}" for name in asked} < set(VALUES)


def test_it_is_whole() -> None:
    """Each panel has its place, a number of its own, and the data source that is chosen above."""
    assert DASHBOARD["uid"] == "dm-remap" and len(panels()) >= 12
    assert len({panel["id"] for panel in panels()}) == len(panels())
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"])
                 for y in range(place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["targets"] and panel["datasource"]["uid"] == "${datasource}"
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == list("ABC"[:len(letters)])
