# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs hooks, on this machine: who may say what root runs, how long, with what; the examples.

When there is something to tell: unit/test_alert.c and scenarios/test_hooks.py.
"""

import http.server
import json
import os
import subprocess
import threading
import time
from pathlib import Path

import jsonschema
import pytest

from tests.harness.kernels import PROJECT

DAEMON = PROJECT / "build" / "dm-remapd"
EXAMPLES = PROJECT / "packaging" / "hooks"
SCHEMA = json.loads((PROJECT / "build" / "dmremap.schema.json").read_text())
ENVIRONMENT = {"PATH", "HOME", "LANG", "PWD", "SHLVL", "_"}    # the last three are the shell's
VARIABLES = {"DM_REMAP_ALERT": "news", "DM_REMAP_MESSAGE": "a message", "DM_REMAP_TEXT": "a\nb",
             "DM_REMAP_HOST": "host", "DM_REMAP_NAME": "data", "DM_REMAP_UUID": "1234",
             "DM_REMAP_VERDICT": "watch", "DM_REMAP_EVENTS": "gone=1", "DM_REMAP_JSON": '{"a": 1}'}

if os.geteuid():
    pytest.skip("hooks are root's: use sudo", allow_module_level=True)


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    subprocess.run(["make", "-s", "-C", PROJECT / "daemon"], check=True)


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    path = tmp_path / "hooks.d"
    path.mkdir(mode=0o755)
    return path


def put(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def run(hooks: Path, seconds: int = 10, **variables: str) -> tuple[int, list[str]]:
    result = subprocess.run([DAEMON, "--run-hooks", hooks, str(seconds),
                             *(f"{name}={value}" for name, value in variables.items())],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert result.stderr == "", result
    return result.returncode, result.stdout.splitlines()


def test_in_order_with_that_environment_and_no_other(hooks: Path, tmp_path: Path) -> None:
    for name in ("20-b", "10-a.sh"):
        put(hooks / name, f"echo {name} >>{tmp_path}/ran; env -0 >{tmp_path}/env; cat; "
                          f"[ $(ps -o sid= $$) -eq $$ ] && [ $PWD = / ]; ls /proc/self/fd | wc -l "
                          f">{tmp_path}/fds")
    os.environ["DM_REMAP_OTHER"] = "not this one"
    assert run(hooks, **VARIABLES) == (0, ["ok 10-a.sh", "ok 20-b"])
    assert (tmp_path / "ran").read_text() == "10-a.sh\n20-b\n"
    told = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().split("\0")[:-1])
    assert {name: told.pop(name) for name in VARIABLES} == VARIABLES
    assert set(told) <= ENVIRONMENT
    assert (tmp_path / "fds").read_text().strip() == "4"    # and that of ls itself
    # what is no variable of an alert is not handed on
    assert subprocess.run([DAEMON, "--run-hooks", hooks, "5", "LD_PRELOAD=x"]).returncode == 2


def test_one_that_cannot_be_watched_does_not_run(hooks: Path, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is left for its pidfd: what is reported as not run has ended."""
    (tmp_path / "no.c").write_text("#include <errno.h>\n"
                                   "long syscall(long nr, ...)\n"
                                   "{ errno = nr ? EMFILE : 0; return -1; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "no.so", tmp_path / "no.c"],
                   check=True)
    put(hooks / "a", f"echo $$ >{tmp_path}/pid; sleep 2; touch {tmp_path}/ran")
    monkeypatch.setenv("LD_PRELOAD", str(tmp_path / "no.so"))
    assert run(hooks) == (1, ["failed a: cannot run it: Too many open files"])
    monkeypatch.delenv("LD_PRELOAD")
    time.sleep(4)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_hook(hooks: Path) -> None:
    for name in ("a~", "b.dpkg-old", "c.rpmsave", ".d", "e f", "x" * 80):
        put(hooks / name, "exit 1")
    put(hooks / "README", "exit 1", 0o644)
    (hooks / "directory").mkdir()
    assert run(hooks) == (0, ["skipped README: it is not executable",
                              "skipped directory: it is no file"])
    assert run(hooks / "missing") == (0, [])


def test_only_root_says_what_root_runs(hooks: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    put(hooks / "group", f"touch {ran}", 0o775)
    put(hooks / "others", f"touch {ran}", 0o757)
    os.chown(put(hooks / "user", f"touch {ran}"), 65534, 0)
    place = tmp_path / "place"
    place.mkdir()
    put(place / "hook", f"touch {ran}")
    place.chmod(0o777)
    (hooks / "link").symlink_to(place / "hook")
    (hooks / "nothing").symlink_to(tmp_path / "none")
    code, lines = run(hooks)
    assert code == 1 and not ran.exists()
    assert lines == [f"refused group: others can write {hooks}/group: chmod go-w {hooks}/group",
                     f"refused link: others can write {place}: chmod go-w {place}",
                     "refused nothing: No such file or directory",
                     f"refused others: others can write {hooks}/others: chmod go-w {hooks}/others",
                     f"refused user: {hooks}/user is not root's: chown root {hooks}/user"]
    # a link to a place that is root's alone is as good as a copy, and so is a sticky directory
    place.chmod(0o1777)
    assert "ok link" in run(hooks)[1] and ran.exists()
    ran.unlink()
    hooks.chmod(0o770)
    assert run(hooks) == (1, [f"refused {hooks}: others can write {hooks}: chmod go-w {hooks}"])
    hooks.chmod(0o700)
    os.chown(tmp_path, 65534, 65534)
    try:
        assert "is not root's" in run(hooks)[1][0] and not ran.exists()
    finally:
        os.chown(tmp_path, 0, 0)


def test_only_root_says_which_program_of_root_runs(hooks: Path, tmp_path: Path) -> None:
    """A link is a word as well: the one in hooks.d, and one that it leads to."""
    ran, users = tmp_path / "ran", tmp_path / "users"
    program = put(tmp_path / "program", f"touch {ran}")
    users.mkdir()
    (users / "file").symlink_to(program)
    (users / "place").symlink_to(tmp_path)
    (users / "other").symlink_to(users / "file")
    (hooks / "a").symlink_to(program)
    os.chown(hooks / "a", 65534, 65534, follow_symlinks=False)
    (hooks / "b").symlink_to(users / "file")
    (hooks / "c").symlink_to(users / "place" / "program")
    (hooks / "d").symlink_to("../users/../users/./other")
    (hooks / "e").symlink_to("e")
    assert run(hooks) == (1, [f"refused a: {hooks}/a is not root's: chown -h root {hooks}/a",
                              "ok b", "ok c", "ok d",
                              "refused e: Too many levels of symbolic links"])
    (hooks / "a").unlink()
    (hooks / "e").unlink()
    ran.unlink()
    for name in ("file", "place"):
        os.chown(users / name, 65534, 65534, follow_symlinks=False)
    why = {name: f"{users}/{at} is not root's: chown -h root {users}/{at}"
           for name, at in (("b", "file"), ("c", "place"), ("d", "file"))}
    assert run(hooks) == (1, [f"refused {name}: {text}" for name, text in why.items()])
    os.chown(users, 65534, 65534)    # whose links anybody may replace
    for name in ("file", "place"):
        os.chown(users / name, 0, 0, follow_symlinks=False)
    assert run(hooks)[1][0] == f"refused b: {users} is not root's: chown root {users}"
    assert not ran.exists()


def test_where_others_can_put_a_hook_none_runs(hooks: Path, tmp_path: Path) -> None:
    """They cannot replace root's in a sticky directory, but put a second name of it there."""
    ran = tmp_path / "ran"
    put(hooks / "a", f"touch {ran}")
    hooks.chmod(0o1777)
    assert run(hooks) == (1, [f"refused {hooks}: others can write {hooks}: chmod go-w {hooks}"])
    assert not ran.exists()
    hooks.chmod(0o755)
    assert run(hooks) == (0, ["ok a"]) and ran.exists()


def has_ended(pid: int) -> bool:
    """Soon: it was killed. A zombie its new parent may not have noticed yet."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_one_that_hangs_is_killed_with_all_that_it_started(hooks: Path, tmp_path: Path) -> None:
    child = tmp_path / "child"
    put(hooks / "hangs", f"trap '' TERM; sleep 1000 & echo $! >{child}; echo waiting; "
                         "while :; do sleep 1000; done")
    put(hooks / "next", "exit 0")
    begin = time.monotonic()
    assert run(hooks, 1) == (1, ["late hangs: it did not end within 1 second and was killed: waiting ",
                                 "ok next"])
    assert 1 <= time.monotonic() - begin < 8
    assert has_ended(int(child.read_text()))
    # what it leaves in the background does not stay, nor is waited for
    put(hooks / "hangs", f"sleep 1000 & echo $! >{child}")
    begin = time.monotonic()
    assert run(hooks, 20) == (0, ["ok hangs", "ok next"])
    assert time.monotonic() - begin < 5 and has_ended(int(child.read_text()))


def test_failures(hooks: Path) -> None:
    put(hooks / "a", "printf 'no \\033[1mway\\n' >&2; exit 3")
    put(hooks / "b", "kill -SEGV $$")
    (hooks / "c").write_text("#!/nothing\n")
    (hooks / "c").chmod(0o755)
    put(hooks / "d", "head -c 3000000 /dev/zero | tr '\\0' x; exit 4")
    put(hooks / "e", "exec >&- 2>&-; sleep 0.5; exit 5")
    code, lines = run(hooks)
    assert code == 1
    assert lines[:3] == ["failed a: exit code 3: no  [1mway ", "failed b: signal 11 ended it",
                         "failed c: cannot run it: No such file or directory"]
    assert lines[3].startswith("failed d: exit code 4: xxx") and len(lines[3]) < 300
    assert lines[4] == "failed e: exit code 5"
    for number in range(40):
        put(hooks / f"many{number:02}", "exit 0")
    assert run(hooks)[1][-1] == "refused many27: there are more than 32 hooks"


def test_alert(hooks: Path, tmp_path: Path) -> None:
    def call() -> subprocess.CompletedProcess[str]:
        return subprocess.run([DAEMON, "--test-alert"], capture_output=True, text=True,
                              env={"CONFIGURATION_DIRECTORY": str(tmp_path)}, timeout=60)

    result = call()
    assert result.returncode == 1 and "only in the journal" in result.stderr
    put(hooks / "a", f"printf '%s' \"$DM_REMAP_JSON\" >{tmp_path}/json")
    result = call()
    assert (result.returncode, result.stdout, result.stderr) == (0, "ok a\n", "")
    told = json.loads((tmp_path / "json").read_text())
    assert told["alert"] == "test" and "nothing has happened" in told["message"]
    jsonschema.validate(told, {**SCHEMA["definitions"]["alert"], "additionalProperties": False,
                               "definitions": SCHEMA["definitions"]})
    put(hooks / "b", "exit 1")
    result = call()
    assert result.returncode == 1 and result.stdout == "ok a\nfailed b: exit code 1\n"
    assert result.stderr == "dm-remapd: not all hooks succeeded\n"


def example(name: str, fakes: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([EXAMPLES / name], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60,
                          env={**VARIABLES, **variables, "PATH": f"{fakes}:/usr/bin:/bin"})


def test_mail(tmp_path: Path) -> None:
    if not Path("/usr/lib/sendmail").exists():
        result = example("mail", tmp_path)
        assert result.returncode == 1 and "no sendmail" in result.stdout
    put(tmp_path / "sendmail", f"echo $* >{tmp_path}/call; cat >{tmp_path}/mail; exit $FAIL")
    assert example("mail", tmp_path, FAIL="7").returncode == 7
    assert example("mail", tmp_path, FAIL="0", DM_REMAP_ALERT="reminder").returncode == 0
    assert (tmp_path / "call").read_text() == "-t -oi -odi\n"
    head, body = (tmp_path / "mail").read_text().split("\n\n", 1)
    assert head.splitlines()[:2] == ["To: root", "Subject: [dm-remap host] a message"]
    assert body.startswith("a\nb\n") and "dmremap health data" in body and "repeated" in body
    assert example("mail", tmp_path, FAIL="0", DM_REMAP_NAME="").returncode == 0
    assert "dmremap health" not in (tmp_path / "mail").read_text()


def test_wall(tmp_path: Path) -> None:
    put(tmp_path / "wall", f"cat >>{tmp_path}/said")
    for kind in ("news", "reminder", "over"):
        assert example("wall", tmp_path, DM_REMAP_ALERT=kind).returncode == 0
    assert (tmp_path / "said").read_text() == "dm-remapd: a message\n" * 2


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted; anything but /ok is an error."""
    posted: list[tuple[str | None, bytes]] = []

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        self.posted.append((self.headers["Content-Type"], text))
        self.send_response(200 if self.path == "/ok" else 500)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_webhook(tmp_path: Path) -> None:
    assert "no URL is set" in example("webhook", tmp_path).stdout
    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def post(path: str) -> subprocess.CompletedProcess[str]:
            url = f"http://127.0.0.1:{server.server_port}/{path}"
            text = (EXAMPLES / "webhook").read_text().replace("\nURL=\n", f"\nURL='{url}'\n")
            (tmp_path / "webhook").write_text(text)
            return subprocess.run(["sh", tmp_path / "webhook"], capture_output=True, text=True,
                                  env={**VARIABLES, "PATH": os.environ["PATH"]}, timeout=60)
        result = post("ok")
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        assert Receiver.posted == [("application/json", b'{"a": 1}')]
        result = post("broken")
        assert result.returncode != 0 and "500" in result.stderr
        server.shutdown()


@pytest.mark.parametrize("name", ["mail", "wall"])
def test_whatever_a_variable_holds_is_text(name: str, tmp_path: Path) -> None:
    for program in ("sendmail", "wall"):
        put(tmp_path / program, f"cat >{tmp_path}/said")
    hostile = f"$(touch {tmp_path}/a) `touch {tmp_path}/b` %s; touch {tmp_path}/c"
    assert example(name, tmp_path, DM_REMAP_MESSAGE=hostile, DM_REMAP_TEXT=hostile,
                   DM_REMAP_NAME=hostile).returncode == 0
    assert hostile in (tmp_path / "said").read_text()
    assert not {"a", "b", "c"} & {path.name for path in tmp_path.iterdir()}
