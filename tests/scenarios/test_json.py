# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON is an interface: what every verb prints with --json is what the schema says, and no more."""

import copy
import json
import re
import select
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.scenarios.lib import Device, Rig, pattern
from tests.scenarios.sets import (PROGRAM, USAGE, create, dmremap, ext4_on_main, output, paths,
                                  refused)

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "build" / "dmremap.schema.json").read_text())
# Of each verb: its arguments, and whether it takes --json.
VERBS = {name: (arguments, "VERB_JSON" in flags) for name, arguments, flags in re.findall(
    r'^VERB\("([a-z-]+)", [^,]+, "([^"]*)",.*?([A-Z_| 0]+)\)$',
    (ROOT / "daemon" / "dmremap" / "verb-list.h").read_text(), re.MULTILINE | re.DOTALL)}
# What is refused with --json: verbs that show nothing.
SILENT = {verb for verb, (_, takes_json) in VERBS.items() if not takes_json}
REPLIES = set(VERBS) - SILENT - set(SCHEMA["definitions"])
pytestmark = [pytest.mark.disks(main="4M", spare="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]


def strict(schema: Any) -> Any:
    """The same without room for members that the schema does not name."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items()}
    if "properties" in result and isinstance(result.get("type"), str):
        result.setdefault("additionalProperties", False)
    return result


def valid(text: str, kind: str) -> Any:
    told = json.loads(text)
    schema = strict(copy.deepcopy(SCHEMA["definitions"][kind]))
    jsonschema.validate(told, schema)
    jsonschema.validate(told, SCHEMA)
    return told


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert set(VERBS) == set(re.findall(r"^  ([a-z][a-z-]*) ", output("--help"), re.MULTILINE))
    assert len(SILENT) >= 10 and len(REPLIES) >= 12
    assert set(SCHEMA["definitions"]) - {"reply", "alert"} == set(VERBS) - SILENT - REPLIES


def test_every_verb(rig: Rig, tmp_path: Path) -> None:
    assert valid(output("list", "--json"), "list") == {"version": 1, "sets": [], "silent": []}
    assert valid(output("status", "--json"), "status") == {"version": 1, "devices": []}
    ext4_on_main(rig)
    create(rig)
    spare, = paths(rig, "spare")
    rig.main.bad(800, 2, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1, 2))
    rig.main.bad(2000, 3, kind="read")
    device.close()

    assert valid(output("remap", "data", "2000", "8", "--json"), "reply")["values"] == \
        {"lost_sectors": 3}
    simple = {verb for verb in REPLIES if VERBS[verb][0] == "NAME"} - {"clear"}    # it undoes
    for arguments in (("verify", "data", "5000"), ("verify", "data", "800"), ("verify", "data", "2000"),
                      *((verb, "data") for verb in sorted(simple) + ["thaw"])):
        told = valid(output(*arguments, "--json"), "reply")
        assert (told["name"], told["verb"]) == ("data", arguments[0])
    assert valid(output("verify", "data", "2000", "--json"), "reply")["lost"] is True
    assert valid(output("verify", "data", "5000", "--json"), "reply")["remapped"] is False

    remaps = {line["sector"]: line
              for line in valid(output("show", "data", "--json"), "show")["remaps"]}
    assert remaps[800]["redirected"] == [800, 801] and remaps[800]["cause"] == "write-error"
    assert remaps[2000]["lost"] == [2000, 2001, 2002] and remaps[800]["error"] == "I/O error"

    shown, = valid(output("status", "data", "--json"), "status")["devices"]
    assert shown["suspended"] is False and shown["probe"] is True and shown["replica_out"] is None
    assert shown["main"]["gone"] is False and shown["spare"]["path"] == spare
    assert (shown["health"], shown["lost_sectors"]) == ("degraded", 3)
    listed, = valid(output("list", "--json"), "list")["sets"]
    assert listed["guarded"] is True and listed["health"] == "degraded"
    assert shown["verdict"] == listed["verdict"] == "watch"

    assert valid(output("history", "data", "--json"), "history")["points"] == []
    output("health", "--record")
    told, = valid(output("health", "--json"), "health")["sets"]
    assert told["verdict"] == "watch" and told["forecast"]["full"] is None
    assert "lost-sectors" in {reason["code"] for reason in told["reasons"]}
    past = valid(output("history", "data", "--json"), "history")
    assert past["points"][0]["lost_sectors"] == 3 and past["since"] == told["since"]

    told = valid(output("top", "--count", "1", "--interval", "1", "--json"), "top")
    assert [entry["name"] for entry in told["sets"]] == ["data"]
    told = valid(output("map", "data", "--json"), "map")
    assert sum(cell["lost"] for cell in told["main"]) == 3 and told["uuid"] == listed["uuid"]
    told = valid(output("export", "data", "--json"), "export")
    assert told["ranges"] == [{"sector": 800, "nr_sectors": 2}, {"sector": 2000, "nr_sectors": 8}]
    assert told["disk"] is None and told["what"] == "bad" and told["sectors"] == 10

    hits = valid(output("files", "data", "800", "2000+3", "--json"), "files")["hits"]
    assert [hit["sector"] for hit in hits] == [800, 2000] and hits[0]["path"] is None
    assert valid(output("files", "data", "--json"), "files")["hits"] == hits[1:]

    assert valid(output("scrub", "status", "data", "--json"), "scrub")["state"] == "never"
    assert subprocess.run([str(PROGRAM), "scrub", "run", "data", "--quiet"]).returncode == 0
    told = valid(output("scrub", "status", "data", "--json"), "scrub")
    assert told["state"] == "finished" and told["set"]["unreadable"] == []

    entries = valid(output("dump", spare, "--json"), "dump")["entries"]
    assert {entry["sector"]: (entry["redirected"], entry["lost"]) for entry in entries} == \
        {line["sector"]: (line["redirected"], line["lost"]) for line in remaps.values()}
    assert valid(output("check", spare, "--json"), "check")["whole"] is True
    assert len(valid(output("check", spare, "--all", "--json"), "check")["copies"]) > 8

    (tmp_path / "list").write_text("2000 8\n2400 2\n")
    told = valid(output("import", "data", str(tmp_path / "list"), "--dry-run", "--json"), "import")
    assert told["slots_needed"] == 1 and told["lost_sectors"] is None and told["dry_run"] is True
    told = valid(output("import", "data", str(tmp_path / "list"), "--yes", "--json"), "import")
    assert told["ranges"] == [{"sector": 2000, "nr_sectors": 8}, {"sector": 2400, "nr_sectors": 2}]

    valid(output("unremap", "data", "2400", "8", "--json"), "reply")
    rig.main.clear()
    valid(output("clear", "data", "--json"), "reply")
    output("deactivate", "data")
    listed, = valid(output("list", "--json"), "list")["sets"]
    assert (listed["state"], listed["health"], listed["mode"]) == ("ready", None, None)
    output("activate", "data", "--fallback")
    shown, = valid(output("status", "--json"), "status")["devices"]
    assert shown["mode"] == "fallback" and shown["used_slots"] is None
    # what failed prints no result, and an empty one least of all
    for more in ((), ("--json",)):
        result = dmremap("show", "data", *more)
        assert result.returncode == 5 and result.stdout == "" and "fallback" in result.stderr


def test_damage_is_json_too(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    spare, = paths(rig, "spare")
    rig.media("spare").write(8, pattern(3, 8))
    result = dmremap("check", spare, "--json")
    assert result.returncode == 6 and valid(result.stdout, "check")["whole"] is False
    rig.media("spare").write(0, bytes(2 << 20))
    result = dmremap("check", spare, "--json")
    assert result.returncode == 3 and valid(result.stdout, "check")["whole"] is False


def test_events(rig: Rig) -> None:
    device = rig.create()
    rig.main.bad(0, 4000, kind="both")
    follower = subprocess.Popen([str(PROGRAM), "--json", "events", "r0", "--follow"],
                                stdout=subprocess.PIPE, text=True)
    try:
        assert follower.stdout
        seen: set[str] = set()
        sector = 0
        while not seen >= {"relocated", "read-error"}:
            while not select.select([follower.stdout], [], [], 0.2)[0]:    # not listening yet
                sector += 8
                device.pwrite(sector, pattern(1))
                with pytest.raises(OSError):
                    device.pread(sector + 4)
            seen.add(valid(follower.stdout.readline(), "events")["event"])
    finally:
        follower.kill()
        follower.wait()


def test_where_there_is_nothing_to_print_it_is_refused(rig: Rig) -> None:
    for verb in SILENT:
        usage = re.search(r"usage: dmremap \S+ (.*)", output("help", verb))
        assert usage
        words = re.sub(r"\[[^]]*\]", "", usage.group(1)).split() or \
            (["x"] if usage.group(1) else [])
        assert "does not print JSON" in refused(USAGE, "--json", verb, *words), verb
    rig.create()
    spare, = paths(rig, "spare")
    assert "does not print JSON" in refused(USAGE, "dump", spare, "--dm-table", "x", "--json")
    assert "does not print JSON" in refused(USAGE, "status", "--check", "--json")
    assert "does not print JSON" in refused(USAGE, "write-cache", "r0", "keep", "--json")
