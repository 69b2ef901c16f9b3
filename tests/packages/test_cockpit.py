# SPDX-License-Identifier: GPL-2.0-or-later
"""The page for Cockpit, read as text: what it calls and reads is there, and nothing is markup that
came from a disk. In a browser: tests/vm/test_cockpit.py."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.kernels import PROJECT

PAGE = PROJECT / "packaging" / "cockpit"
SCRIPTS = {path.name: path.read_text() for path in sorted(PAGE.glob("*.js"))}
HTML = (PAGE / "index.html").read_text()
MANIFEST = json.loads((PAGE / "manifest.json").read_text())
SCHEMA = PROJECT / "build" / "dmremap.schema.json"
DMREMAP = PROJECT / "build" / "dmremap"
# ask("list", "--json"), order("create", "--yes", ...words)
CALL = re.compile(r"\b(?:ask|order|run)\(((?:\"[a-z-]+\", )*\"[a-z-]+\")")
# Which variable of a file has which part of what is printed.
READS = {
    "page.js": {"health": ["health"], "scrub": ["scrub"], "set": ["list", "sets"]},
    "sets.js": {"set": ["list", "sets"], "judged": ["health", "sets"],
                "reason": ["health", "sets", "reasons"]},
    "map.js": {"map": ["map"]},
    "history.js": {"history": ["history"], "point": ["history", "points"],
                   "now": ["history", "points"]},
    "scrub.js": {"scrub": ["scrub"], "last": ["scrub", "last"],
                 "span": ["scrub", "set", "unreadable"]},
}
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|"
                    r"createContextualFragment|\beval\b|\bFunction\(|javascript:|"
                    r"[\"'](?:on[a-z]+|style)[\"']\s*[,:]|\bon(?:click|error|load|change)\b")


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    subprocess.run(["make", "-s", "-C", PROJECT / "daemon"], check=True)


def test_manifest() -> None:
    """The version of Cockpit that Debian 12 has, as the packages say, too."""
    needed = MANIFEST["requires"]["cockpit"]
    control = (PROJECT / "packaging/debian/control").read_text()
    spec = (PROJECT / "packaging/rpm/dm-remap.spec").read_text()
    assert needed == "287" and f"cockpit-bridge (>= {needed})" in control
    assert f"cockpit-bridge >= {needed}" in spec
    assert all((PAGE / f"{name}.html").exists() for name in MANIFEST["tools"])
    policy = dict(rule.strip().split(" ", 1)
                  for rule in MANIFEST["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"


def test_the_policy_allows_all_of_it() -> None:
    """Scripts and styles are files of their own; nothing makes markup of a text."""
    assert re.findall(r"<style|\son\w+=|\sstyle=|javascript:", HTML) == []
    assert all("src=" in tag and not text.strip()
               for tag, text in re.findall(r"(<script[^>]*>)(.*?)</script>", HTML, re.S))
    for name in re.findall(r"(?:src|href)=\"([^\"]+)\"", HTML):
        assert name == "../base1/cockpit.js" or (PAGE / name).exists(), name
    for name, text in SCRIPTS.items():
        assert MARKUP.findall(text) == [], name
    for text in ("node.innerHTML = a", "a.insertAdjacentHTML(b)", "a.onclick = b", "{ 'onload': b }",
                 "element.setAttribute(\"style\", a)", "eval(a)"):
        assert MARKUP.search(text), text


def test_what_is_imported_exists() -> None:
    for name, text in SCRIPTS.items():
        for names, source in re.findall(r"import \{ ([^}]+) \} from \"\./([\w.]+)\"", text):
            for word in names.split(", "):
                assert re.search(rf"^export (?:async )?(?:function|const) {word}\b", SCRIPTS[source],
                                 re.M), (name, word)
                assert len(re.findall(rf"\b{word}\b", text)) > 1, f"{name} does not use {word}"


def test_each_element_that_is_looked_up_exists() -> None:
    there = set(re.findall(r"\bid=\"([\w-]+)\"", HTML))
    for name, text in SCRIPTS.items():
        for word in re.findall(r"by_id\(\"([\w-]+)\"\)", text):
            assert word in there, (name, word)
    fields = set(re.findall(r"\bname=\"(\w+)\"", HTML))
    taken = re.search(r"const \{ ([\w, ]+) \} = form\.elements", SCRIPTS["create.js"])
    assert taken and set(taken[1].split(", ")) <= fields


def test_each_control_has_a_name() -> None:
    for field in re.findall(r"<input[^>]*>", HTML):
        assert re.search(rf"<label[^>]*>[^<]*{re.escape(field)}", HTML), field
    for section in re.findall(r"<section ([^>]*)>", HTML):
        title = re.fullmatch(r"aria-labelledby=\"([\w-]+)\"", section)
        assert title and f'id="{title[1]}"' in HTML


def calls() -> Iterator[tuple[str, list[str]]]:
    for name, text in SCRIPTS.items():
        for match in CALL.finditer(text):
            yield name, json.loads(f"[{match[1]}]")


def help_of(verb: str) -> str:
    return subprocess.run([DMREMAP, "help", verb], capture_output=True, text=True).stdout


def complaints(words: list[str]) -> list[str]:
    verb = words[0]
    told = help_of(verb)
    if not told:
        return [f"no verb {verb}"]
    known = {"--", "--json", "--yes", "--quiet", *re.findall(r"^  (--[\w-]+)", told, re.M)}
    return [f"{verb}: {word}" for word in words[1:]
            if (word not in known if word.startswith("--") else
                not re.search(rf"usage: .*\b{word}\b", told))]


def test_calls() -> None:
    """Verbs and options that the command has; an argument cannot be taken for an option."""
    found = list(calls())
    assert {words[0] for _, words in found} >= {"list", "health", "map", "history", "scrub", "create"}
    for name, words in found:
        assert complaints(words) == [], name
    assert complaints(["maps"]) and complaints(["map", "--jason"]) and complaints(["scrub", "begin"])
    for name, text in SCRIPTS.items():
        for call in re.findall(r"\b(?:ask|order)\(([^)]*)\)", text):
            values = re.sub(r"\"[^\"]*\"", "", call.split("\"--\"")[0])
            assert "\"--\"" in call or not re.search(r"\bname\b|\bselected\b", values), (name, call)


def test_only_after_the_plan() -> None:
    """One place makes a set, and the plan is asked for before it."""
    made = [(name, words) for name, words in calls() if words[0] == "create"]
    assert sorted(words[1] for _, words in made) == ["--dry-run", "--yes"]
    assert {name for name, _ in made} == {"create.js"}


def part_of(schema: dict[str, Any], path: list[str]) -> dict[str, Any]:
    for name in path:
        schema = schema["properties"][name]
        schema = schema.get("items", schema)
    return schema


def unknown(text: str, variable: str, schema: dict[str, Any]) -> tuple[list[str], int]:
    """Keys of a variable that its part of the schema lacks, and how many were looked at."""
    wrong, found = [], re.findall(rf"(?<![\w./]){variable}((?:\.[a-z_]+)+)", text)
    for chain in found:
        part = schema
        for key in chain[1:].split("."):
            if part.get("type") == "array" or "properties" not in part:
                break
            if key not in part["properties"]:
                wrong.append(f"{variable}{chain}")
                break
            part = part["properties"][key]
    return wrong, len(found)


@pytest.mark.parametrize("name", READS)
def test_keys(name: str) -> None:
    definitions = json.loads(SCHEMA.read_text())["definitions"]
    for variable, (verb, *path) in READS[name].items():
        schema = part_of(definitions[verb], path)
        wrong, looked_at = unknown(SCRIPTS[name], variable, schema)
        assert wrong == [] and looked_at, (name, variable)
        assert unknown(f"{variable}.verdicts", variable, schema)[0]


def test_keys_that_are_named_by_words() -> None:
    definitions = json.loads(SCHEMA.read_text())["definitions"]
    cells = {**part_of(definitions["map"], ["main"])["properties"],
             **part_of(definitions["map"], ["spare"])["properties"]}
    used = set(re.findall(r"\bcell\.(\w+)", SCRIPTS["map.js"])) | \
        set(re.findall(r"sum_of\(map\.\w+, \"(\w+)\"\)", SCRIPTS["map.js"]))
    assert len(used) >= 10 and used <= set(cells)
    growth = part_of(definitions["history"], ["growth", "day"])["properties"]
    listed = re.search(r"GROWTH = (\[.*?\]);", SCRIPTS["history.js"], re.S)
    assert listed and {key for key, _ in json.loads(listed[1])} <= set(growth)
    states = re.search(r"WORDS = \{(.*?)\};", SCRIPTS["scrub.js"], re.S)
    assert states and re.findall(r"^    (\w+):", states[1], re.M) == \
        definitions["scrub"]["properties"]["state"]["enum"]


def test_what_everyone_may_see_is_there() -> None:
    files = re.search(r"KERNEL_FILES = (\[.*?\]);", SCRIPTS["dmremap.js"])
    described = (PROJECT / "kmod/sysfs-block-dm-remap").read_text()
    assert files and all(f"dm-<num>/remap/{name}\n" in described for name in json.loads(files[1]))
