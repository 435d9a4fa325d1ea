# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands with closed output, databases with a mistyped name or open permissions, and runs in check mode."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import pwd
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from console.__main__ import main
from console.cli import serve
from console.record.rows import Cursor, RunRows
from console.record.schema.migrations import migrations
from console.record.write.store import open_store
from tests.console.support.served import CHECKOUT
from tests.simulator.running import running_simulator

READING = [
    ["fleet"],
    ["operations"],
    ["runs"],
    ["rollouts"],
    ["failures"],
    ["stuck"],
    ["check"],
    ["prune", "--dry-run"],
    ["serve", "--port", "0"],
]


def into_a_closed_pipe(*arguments: str, streams: tuple[str, ...] = ("stdout",), **environment: str) -> tuple[int, str]:
    """Exit code and standard error of a command of which these streams are pipes without a reader."""
    # Buffered, as by default in Python: the last lines are written at exit.
    left_out = ("FLEETOPS_", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "console", *arguments],
            cwd=CHECKOUT, env=kept | environment, text=True, timeout=120, check=False,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | dict.fromkeys(streams, write_end),
        )  # fmt: skip
    finally:
        os.close(write_end)
    return done.returncode, done.stderr or ""


# reports/2026-11 D16
@pytest.mark.parametrize("command", [*READING[:-1], ["--help"], ["sync", "--help"], ["migrate"], ["serve"]])
def test_a_command_whose_output_pipe_is_closed_ends_quietly(command: list[str], small: Path) -> None:
    database = [] if "--help" in command else ["--db", str(small)]
    assert into_a_closed_pipe(*command, *database) == (141, "")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("sync --no-api --spool {folder}", 0),
        ("sync --no-api --spool {folder}/none", 1),
        ("sync --follow --no-api --no-spools", 2),
        ("prune --dry-run", 0),
        ("nonsense", 2),
        ("runs --db {folder}/none.db", 3),
    ],
)
def test_a_command_whose_messages_nobody_reads_keeps_its_own_exit_code(
    small: Path, tmp_path: Path, command: str, code: int
) -> None:
    arguments = command.format(folder=tmp_path).split()
    found = into_a_closed_pipe(*arguments, streams=("stderr",), FLEETOPS_CONSOLE_DB=str(small))
    assert found == (code, "")


# reports/2026-11 D16
@pytest.mark.parametrize(
    ("command", "full", "code", "output"),
    [
        ("rollouts --format json --limit 200", ">/dev/full", 1, "No space left"),
        ("rollouts --limit 1", ">/dev/full", 1, "No space left"),
        ("check", ">/dev/full", 3, "No space left"),
        ("check --format json", ">/dev/full", 3, "No space left"),
        ("--help", ">/dev/full", 1, "No space left"),
        ("sync --help", ">/dev/full", 1, "No space left"),
        ("rollouts --limit 1", "2>/dev/full", 0, "rollout_id"),
        ("nonsense", "2>/dev/full", 2, ""),
        ("sync --no-api --spool {empty}", "2>/dev/full", 0, "runs with new events 0"),
        ("rollouts --limit 1", ">/dev/full 2>&1", 1, ""),
    ],
)
def test_an_output_that_cannot_be_written_is_reported_in_one_sentence(
    small: Path, tmp_path: Path, command: str, full: str, code: int, output: str
) -> None:
    for unbuffered in ("", "1"):
        line = f"PYTHONUNBUFFERED={unbuffered} {sys.executable} -m console {command.format(empty=tmp_path)} {full}"
        done = subprocess.run(
            ["sh", "-c", line], cwd=CHECKOUT, env={**os.environ, "FLEETOPS_CONSOLE_DB": str(small)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (done.returncode, output in done.stdout + done.stderr) == (code, True), done.stderr
        assert done.stderr.count("\n") <= 1, done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_with_closed_standard_streams_runs_as_with_dev_null(small: Path, closed: str) -> None:
    one = f"{sys.executable} -m console"
    listed, unknown = f"{one} rollouts --db {small} {closed}", f"{one} nonsense {closed}"
    for command, code in ((listed, 0), (unknown, 2)):
        done = subprocess.run(
            ["sh", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


@pytest.mark.parametrize("closed", ["", ">&-"])
@pytest.mark.parametrize("locale", ["LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0", "PYTHONIOENCODING=latin-1"])
def test_the_output_is_utf8_in_every_locale(locale: str, closed: str, small: Path, tmp_path: Path) -> None:
    database = tmp_path / "gr\u00fcn.db"
    shutil.copyfile(small, database)
    with sqlite3.connect(database) as conn:
        conn.execute("UPDATE runs SET playbook = 'gr\u00fcn-\U0001f680.yml'")
    for number, command in enumerate(["runs --format json", "runs --format csv", "runs", "metrics", "backup {}"]):
        line = f"{locale} {sys.executable} -m console {command.format(f'{database}-{number}')} --db {database} {closed}"
        done = subprocess.run(["sh", "-c", line], cwd=CHECKOUT, capture_output=True, timeout=120, check=False)
        assert (done.returncode, "gr\u00fcn" in done.stdout.decode()) == (0, not closed), done.stderr


# reports/2026-11 D16
def test_a_sync_stores_everything_even_if_its_progress_output_is_closed(tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with running_simulator(instances=4, speed=0) as sim:
        arguments = ("sync", "--no-spools", "--db", str(database))
        assert into_a_closed_pipe(*arguments, streams=("stdout", "stderr"), **sim.environment()) == (141, "")
    with sqlite3.connect(database) as conn:
        read = conn.execute("SELECT last_ok_at IS NOT NULL, last_error FROM ingest_cursors WHERE source = 'audit'")
        assert read.fetchall() == [(1, None)] * 4


# reports/2026-11 D16
def test_the_list_of_runs_shows_which_of_them_were_in_check_mode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "console.db"
    with open_store(database) as store:
        for number, flag in enumerate((1, 0, None)):
            run = {"run_id": f"r{number}", "source": "callback", "status": "successful", "started_at": 9.0 - number}
            store.put_run(RunRows({**run, "check_mode": flag}), Cursor("spool", f"r{number}", position=1), after=None)

    def listed(form: str) -> str:
        assert main(["runs", "--db", str(database), "--format", form]) == 0
        return capsys.readouterr().out

    assert [row["check_mode"] for row in json.loads(listed("json"))] == [True, False, None]
    assert [row["check_mode"] for row in csv.DictReader(io.StringIO(listed("csv")))] == ["yes", "no", ""]
    head, *lines = [re.split("  +", line) for line in listed("table").splitlines()]
    assert [line[head.index("check")] for line in lines] == ["yes", "no", "-"]


# reports/2026-11 D16
@pytest.mark.parametrize("command", [*READING, ["migrate"], ["prune", "--yes"], ["backup", "b.db"], ["retire", "x"]])
@pytest.mark.parametrize("named_by", ["option", "variable"])
@pytest.mark.usefixtures("environment")
def test_a_mistyped_database_is_named_and_not_created(
    command: list[str],
    named_by: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execve", lambda *_given: pytest.fail("the console was started"))
    typo = tmp_path / "my consle.db"
    if named_by == "variable":
        monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(typo))
    code = main([*command, *(["--db", str(typo)] if named_by == "option" else [])])
    output = "".join(capsys.readouterr())
    assert code == (2 if command == ["check"] else 3)
    assert f"There is no database at {typo}" in output
    assert output.rstrip().endswith(f"or create this one with: python -m console sync --db '{typo}'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("environment")
def test_each_suggested_command_names_the_database_that_was_used(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    older, empty = tmp_path / "an older.db", tmp_path / "an empty.db"
    with sqlite3.connect(older) as conn, sqlite3.connect(small) as source:
        source.backup(conn)
        conn.execute(f"DELETE FROM {migrations.migrations_table} WHERE name >= '0012'")
    empty.touch()
    open_store(tmp_path / "unread.db").close()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    default = tmp_path / ".local/state/fleetops/console.db"
    for named, command, suggested in (
        (older, "runs", f"migrate --db '{older}'"),
        (empty, "runs", f"sync --db '{empty}'"),
        (tmp_path / "unread.db", "fleet", f"sync --db {tmp_path}/unread.db --details"),
        (tmp_path / "none" / "a.db", "runs", None),
        # sync creates the folder of only the default path.
        (None, "runs", "sync"),
    ):
        assert main([command, *(["--db", str(named)] if named else [])]) in (0, 3)
        said = capsys.readouterr().err.strip()
        found = re.search(r"(?:with|run): python -m console (.*)$", said)
        assert (found and found[1]) == suggested, said
        assert str(named or default) in said or command == "fleet"


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


def done(*arguments: str) -> object:
    """The exit code, also for serve, which would not return."""
    try:
        return main(arguments)
    except SystemExit as left:
        return left.code


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


# reports/2026-11 F11
@pytest.mark.usefixtures("environment", "no_umask")
@pytest.mark.parametrize("command", [["migrate"], ["serve", "--port", "0"], ["sync", "--no-api", "--quiet"]])
def test_a_database_that_others_can_read_is_restricted_to_its_owner_with_a_message(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "execve", lambda *_given: sys.exit(0))
    (tmp_path / "runs").mkdir()
    folder = tmp_path / "record"
    folder.mkdir()
    database = folder / "console.db"
    open_store(database).close()
    with sqlite3.connect(database) as reader:
        reader.execute("SELECT count(*) FROM runs").fetchone()
        for file in folder.iterdir():
            file.chmod(0o644)
        assert len(modes(folder)) == 3
        assert done(*command, "--db", str(database)) == 0
        assert set(modes(folder).values()) == {0o600}
    errors = capsys.readouterr().err
    assert errors.startswith("console: note: every account on this machine could open the database")
    assert "console.db 0644" in errors and "its mode is now 0600" in errors
    # Reported only once, and permissions that the owner gave to a group stay.
    database.chmod(0o660)
    assert done(*command, "--db", str(database)) == 0
    assert ("every account" in capsys.readouterr().err, modes(folder)["console.db"]) == (False, 0o660)


# reports/2026-11 F11
@pytest.mark.usefixtures("environment", "no_umask")
def test_files_that_the_console_creates_are_accessible_to_the_owner_only_for_any_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLEETOPS_RUN_LOG_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a" / "b"))
    assert main(["sync", "--no-api", "--quiet"]) == 0
    for place in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "fleetops"):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    folder = tmp_path / "a" / "b" / "fleetops"
    with open_store(folder / "console.db") as store:
        store.put_cursor(Cursor("api", "https://x.example", last_ok_at=time.time()))
        assert main(["backup", str(folder / "copy.db")]) == 0
        assert len(modes(folder)) == 4
        assert set(modes(folder).values()) == {0o600}


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["operations", "--who", "\udcff"], 0, ""),
        (["operations", "--text", "\udcff\udcfe"], 0, ""),
        (["runs", "--limit", "9" * 20], 2, "must be a whole number from 1 to 999999999"),
        (["operations", "--days", "9" * 5000], 2, "must be a whole number from 1 to 999999999"),
        (["runs", "--db", "/"], 3, "/ is a folder, not a database;"),
        (["runs", "--db", "~nobody-of-this-name/x.db"], 2, "The home folder in ~nobody-of-this-name/x.db is not known"),
        (["backup", " "], 2, "The path of a file or folder is blank"),
        (["sync", "runner", ""], 2, "The path of a file or folder is blank"),
        # A variable of a script that is not set.
        (["prune", "--yes", "--db", ""], 2, "argument --db: must not be blank"),
        (["sync", "--no-api", "--spool="], 2, "argument --spool: must not be blank"),
        (["metrics", "--output", ""], 2, "argument --output: must not be blank"),
        (["check", "--prometheus", " "], 2, "argument --prometheus: must not be blank"),
        (["notify", "--rules", ""], 2, "argument --rules: must not be blank"),
        (["sync", "awx", "--project", ""], 2, "argument --project: must not be blank"),
        (["sync", "--follow", "--awx-label", ""], 2, "argument --awx-label: must not be blank"),
    ],
)
@pytest.mark.usefixtures("environment")
def test_invalid_arguments_are_each_reported_in_one_sentence(
    arguments: list[str],
    code: int,
    sentence: str,
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(small))
    assert done(*arguments) == code
    errors = capsys.readouterr().err
    assert sentence in errors and len(errors.splitlines()) <= 1


@pytest.mark.usefixtures("environment")
def test_a_link_that_leads_back_to_itself_is_reported_in_one_sentence(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    database = ["--db", str(small)]
    for arguments in (["restore", str(small), "--db", str(loop)], ["metrics", "--output", str(loop), *database]):
        assert done(*arguments) == 2
        errors = capsys.readouterr().err
        assert str(loop) in errors and len(errors.splitlines()) == 1


@pytest.mark.usefixtures("environment", "no_umask")
def test_a_pipe_or_a_device_is_not_accepted_as_a_database_and_is_left_unchanged(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    before = pipe.stat()
    for command in (
        ["runs"], ["sync", "--no-api"], ["migrate"], ["backup", str(tmp_path / "b.db")], ["restore", str(small)],
    ):  # fmt: skip
        assert done(*command, "--db", str(pipe)) == 3
        assert "is a device, a pipe or a socket, not a database" in capsys.readouterr().err
    assert (pipe.stat().st_mode, pipe.stat().st_ino) == (before.st_mode, before.st_ino)


@pytest.mark.usefixtures("environment")
def test_a_database_with_a_name_that_is_not_utf8_is_copied_and_restored(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9 #1?")
    folder.mkdir()
    copy, database = folder / os.fsdecode(b"b\xff.db"), folder / os.fsdecode(b"c\xff.db")
    assert main(["backup", str(copy), "--db", str(small)]) == 0
    assert main(["restore", str(copy), "--db", str(database)]) == 0
    assert main(["backup", str(folder / os.fsdecode(b"d\xff.db")), "--db", str(database)]) == 0
    assert sorted(file.name for file in folder.iterdir()) == [os.fsdecode(b"%c\xff.db" % c) for c in b"bcd"]


@pytest.mark.parametrize("file", ["__init__.py", "__main__.py"])
def test_an_older_python_can_parse_the_file_that_reports_it(file: str) -> None:
    tree = ast.parse((CHECKOUT / "console" / file).read_text(), feature_version=(3, 6))
    # Python 3.6, which is python3 on RHEL 8, has no annotations in this module.
    assert "__future__" not in [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]


@pytest.mark.parametrize(
    ("home", "account", "given"), [("/srv/home", True, "/srv/home"), (None, True, "/home/ops"), (None, False, "/")]
)
@pytest.mark.usefixtures("environment")
def test_the_server_always_has_a_home_but_reads_no_secrets_there_because_the_account_may_be_unable_to_enter_it(
    home: str | None, account: bool, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = {os.getuid(): pwd.struct_passwd(("ops", "x", 0, 0, "", "/home/ops", "/bin/sh"))} if account else {}
    monkeypatch.setattr(pwd, "getpwuid", accounts.__getitem__)
    served: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda _file, *given: sys.exit(served.append(given)))
    for name, value in (("HOME", home), ("FLEETOPS_RUN_LOG_DIR", str(tmp_path))):
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    open_store(tmp_path / "console.db").close()
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(tmp_path / "console.db"))
    assert done("serve", "--port", "0") is None
    [(command, environment)] = served
    assert environment["HOME"] == given
    # Without this option, Streamlit reads them in the home folder and in the working folder. The login replaces it.
    [files] = [part.partition("=")[2] for part in command if part.startswith("--secrets.files=")]
    assert files.startswith(str(CHECKOUT / "console")) and not Path(files).exists()
    # The commands on the pages need no --db for the default database.
    assert environment["FLEETOPS_CONSOLE_DB"] == str(tmp_path / "console.db")
    monkeypatch.delenv("FLEETOPS_CONSOLE_DB")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert done("serve", "--port", "0") is None
    assert "FLEETOPS_CONSOLE_DB" not in served[1][1]


@pytest.mark.parametrize(
    ("installed", "refused"), [(None, True), ("1.66.1", True), ("1.67.0", False), ("2.0.0rc1", False)]
)
@pytest.mark.usefixtures("environment")
def test_serve_refuses_a_package_that_is_missing_or_older_than_the_requirements(
    installed: str | None, refused: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(name: str) -> str:
        if name == "streamlit" and installed is None:
            raise PackageNotFoundError(name)
        return installed if name == "streamlit" and installed else "99"

    monkeypatch.setattr(os, "execve", lambda *_given: sys.exit("served"))
    monkeypatch.setattr(serve, "version", version)
    assert done("serve", "--port", "0") == (2 if refused else "served")
    printed = capsys.readouterr().err
    assert ("the Python package streamlit is missing or too old (" in printed) is refused
    assert ("(streamlit 1.67 or newer is required). Install" in printed) is (installed == "1.66.1")
