# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Failures around the console: pages and commands show the stored data and say in one sentence what is wrong."""

from __future__ import annotations

import ctypes
import json
import os
import re
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st

from console.__main__ import main
from console.cli import lists, monitoring
from console.record import opening
from console.record.opening import DatabaseProblem
from console.record.write.store import open_store
from console.web.shared import viewer
from tests.console.support.every_page import declared_pages
from tests.console.support.facts import dump, rows
from tests.console.support.page import opened, synced, words
from tests.console.support.seeded import FLEET, RUN, RunLog, host_name, seed_small
from tests.console.support.seeded_instances import INSTANCE, seed_details
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.usefixtures("environment")

KEY = "canary-of-a-key-4f17"
IDS = {"operation": RUN, "rollout": FLEET, "run": RUN, "instance": INSTANCE}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeded")
    seed_small(folder / "console.db", folder / "runs", time.time())
    seed_details(folder / "console.db", time.time(), most=3)
    return folder / "console.db"


@pytest.fixture
def copy(seeded: Path, tmp_path: Path) -> Path:
    """A copy of the database for a test to damage; its write-ahead log is empty."""
    with closing(sqlite3.connect(seeded)) as source, closing(sqlite3.connect(tmp_path / "console.db")) as target:
        source.backup(target)
    return tmp_path / "console.db"


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still for pages and commands, so that their output is repeatable."""
    moment = time.time()
    clock = SimpleNamespace(time=lambda: moment)
    for module in (viewer, monitoring, lists):
        monkeypatch.setattr(module, "time", clock)


@contextmanager
def bound_by_modes() -> Iterator[None]:
    """Let root obey file modes like other users, in this thread and in threads that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    # _LINUX_CAPABILITY_VERSION_3 and this thread; effective, permitted and inheritable, twice 32 bits.
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    kept = sets[0]
    # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    sets[0] &= ~0b110
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = kept
        assert libc.capset(header, sets) == 0


@contextmanager
def read_only(database: Path, file: int, folder: int, *, pending: bool = False) -> Iterator[None]:
    """Give the database and its folder these modes, and let them apply. ``pending``: beside a write-ahead log."""
    beside = [database.with_name(database.name + end) for end in ("-wal", "-shm")]
    for left_over in beside:
        left_over.unlink(missing_ok=True)
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        if pending:
            # The newest data is only in the log.
            writer.execute("UPDATE runs SET user = user || '?'")
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            writer.execute("UPDATE runs SET user = rtrim(user, '?')")
            assert beside[0].stat().st_size
        for place, mode in ((database, file), *((log, 0o444) for log in beside if pending), (database.parent, folder)):
            place.chmod(mode)
        before = sorted(path.name for path in database.parent.iterdir())
        try:
            with bound_by_modes():
                for mode, write in ((file, database.open), (folder, (database.parent / "new").open)):
                    if not mode & 0o200:
                        with pytest.raises(PermissionError):
                            write("a")
                yield
            assert folder & 0o200 or sorted(path.name for path in database.parent.iterdir()) == before
        finally:
            database.parent.chmod(0o700)
            database.chmod(0o600)


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with running_simulator(instances=3, speed=0) as running:
        yield running


@contextmanager
def as_it_is(database: Path) -> Iterator[None]:
    yield


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program has an exclusive lock on the database, and there is no write-ahead log for readers."""
    with closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode=DELETE")
        holder.execute("BEGIN EXCLUSIVE")
        yield


def corrupt(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (database.stat().st_size - 4096))


def of_another_format(database: Path) -> None:
    database.write_bytes(b"this is not a SQLite database" * 500)


def of_another_program(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as conn:
        conn.execute("CREATE TABLE recipes (name TEXT)")


def newer(database: Path) -> None:
    with closing(sqlite3.connect(database)) as conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "SELECT migration_set, '9999_later', applied_at FROM _sqlite_migrations LIMIT 1"
        )
        conn.commit()


def unchanged(database: Path) -> None:
    """Leave the file as it is."""


@pytest.mark.parametrize(
    ("spoil", "held", "sentence"),
    [
        (Path.unlink, as_it_is, "or create this one with: python -m console sync"),
        (corrupt, as_it_is, "damaged"),
        (of_another_format, as_it_is, "not an SQLite database"),
        (of_another_program, as_it_is, "is the database of another program"),
        (newer, as_it_is, "written by a newer version of the console"),
        (unchanged, locked, "locked by another program"),
    ],
)
def test_each_page_says_what_is_wrong_with_the_database(
    spoil: Callable[[Path], None],
    held: Callable[[Path], AbstractContextManager[None]],
    sentence: str,
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each page would wait this long for the lock.
    monkeypatch.setattr(opening, "READ_TIMEOUT", 0.05)
    spoil(copy)
    with held(copy):
        for page in declared_pages():
            page_text = words(opened(monkeypatch, copy, page, **({"id": IDS[page]} if page in IDS else {})))
            (line,) = {text for text in page_text.splitlines() if sentence in text}
            assert str(copy) in line, f"{page}: {line}"
            assert "Traceback" not in page_text
    assert copy.exists() == (spoil is not Path.unlink)


@pytest.mark.parametrize("command", ["runs", "rollouts", "failures", "stuck", "check"])
def test_each_command_says_what_is_wrong_with_the_database(
    command: str, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(opening, "READ_TIMEOUT", 0.05)
    good = copy.read_bytes()
    for spoil, held in ((unchanged, locked), (newer, as_it_is), (corrupt, as_it_is)):
        copy.write_bytes(good)
        spoil(copy)
        with held(copy):
            code = main([command, "--db", str(copy)])
        output = capsys.readouterr()
        assert code == (2 if command == "check" else 3), output
        lines = [line for line in (output.err + output.out).splitlines() if str(copy) in line]
        assert len(lines) == 1, output
        assert "Traceback" not in output.err


READ_ONLY: list[dict[str, Any]] = [
    {"file": 0o444, "folder": 0o755},
    {"file": 0o644, "folder": 0o555},
    {"file": 0o444, "folder": 0o555},
    {"file": 0o444, "folder": 0o555, "pending": True},
]


@pytest.mark.usefixtures("noon")
def test_each_page_shows_all_data_of_a_read_only_database(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def each_page() -> Iterator[tuple[str, str]]:
        # Results are cached while the file does not change.
        st.cache_data.clear()
        for page in declared_pages():
            app = opened(monkeypatch, copy, page, **({"id": IDS[page]} if page in IDS else {}))
            # The size includes the write-ahead log.
            yield page, re.sub(r"^Database .*", "", words(app), flags=re.M)

    good = dict(each_page())
    for page, word in (("overview", "Needs attention"), ("run", "What failed"), ("instances", host_name(1))):
        assert word in good[page]
    assert "cannot be read" not in "".join(good.values())
    # The first two states are read in the same way; they are tested below with each command.
    for state in READ_ONLY[2:]:
        with read_only(copy, **state):
            for page, page_text in each_page():
                assert page_text == good[page], f"{page}, {state}"


@pytest.mark.usefixtures("noon")
def test_each_command_shows_all_data_of_a_read_only_database(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def each_command() -> dict[str, tuple[int, str, str]]:
        told = {}
        for command in ("check", "stuck", "failures", "rollouts", "runs"):
            code = main([command, "--db", str(copy)])
            told[command] = (code, *capsys.readouterr())
        return told

    good = each_command()
    assert [code for code, _told, _complaints in good.values()] == [1, 0, 0, 0, 0]
    assert all(told for _code, told, _complaints in good.values())
    for state in READ_ONLY:
        with read_only(copy, **state):
            assert each_command() == good, state


def test_files_in_an_inaccessible_folder_are_each_reported_in_one_sentence(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    inside, new = str(closed / "x.db"), str(tmp_path / "new.db")
    (closed / "x.db").write_bytes(copy.read_bytes())
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(copy))
    monkeypatch.setenv("FLEETOPS_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("FLEETOPS_API_KEY", KEY)
    monkeypatch.setattr(os, "execve", lambda *_given: None)
    closed.chmod(0)
    try:
        with bound_by_modes():
            for *arguments, code in (
                ["runs", "--db", inside, 3],
                ["serve", "--db", inside, "--port", "0", 3],
                ["check", "--db", inside, 2],
                ["backup", new, "--db", inside, 3],
                ["restore", inside, 3],
                ["restore", str(copy), "--db", inside, 3],
                ["sync", "--no-api", "--spool", str(closed / "runs"), 1],
            ):
                capsys.readouterr()
                assert main(list(map(str, arguments))) == code, arguments
                output = capsys.readouterr()
                (line,) = [one for one in (output.err + output.out).splitlines() if "Permission denied" in one]
                assert str(closed) in line
            monkeypatch.setenv("FLEETOPS_CA_PATH", inside)
            assert main(["sync"]) == 2
            assert f"FLEETOPS_CA_PATH is {inside}, which cannot be read: Permission denied" in capsys.readouterr().err
            for name in ("FLEETOPS_API_URL", "FLEETOPS_API_KEY", "FLEETOPS_CA_PATH"):
                monkeypatch.delenv(name)
            # The failure to read the run logs is remembered, and the page with the button opens.
            assert main(["check"]) == 1
            assert "sync-errors: Sources that the last sync could not read: 1" in capsys.readouterr().out
            monkeypatch.setenv("FLEETOPS_RUN_LOG_DIR", str(closed / "runs"))
            opened(monkeypatch, copy, "overview")
    finally:
        closed.chmod(0o700)


def test_one_unreadable_run_does_not_stop_the_others(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("0", "1", "2"):
        events = tmp_path / "artifacts" / name / "job_events"
        events.mkdir(parents=True)
        event = {"counter": 1, "event": "playbook_on_stats", "event_data": {"ok": {"a": 1}}}
        (events / f"1-{name}.json").write_text(json.dumps(event))
        (events.parent / "status").write_text("successful")
    # A pipe without a writer would block its reader forever. The other file is too long for the memory.
    pipe = tmp_path / "artifacts" / "0" / "status"
    pipe.unlink()
    os.mkfifo(pipe)
    os.mkfifo(events / "2-pipe.json")
    with (events / "3-long.json").open("wb") as long:
        long.truncate(10 << 30)
    # The same if a file is replaced by the pipe after a look at it.
    as_now, regular = Path.stat, events / "1-2.json"
    monkeypatch.setattr(
        Path, "stat", lambda p, **how: as_now(regular if stat.S_ISFIFO(os.lstat(p).st_mode) else p, **how)
    )
    unreadable = tmp_path / "artifacts" / "1"
    unreadable.chmod(0)
    try:
        with bound_by_modes():
            assert main(["sync", "runner", str(tmp_path), "--db", str(copy)]) == 1
    finally:
        unreadable.chmod(0o700)
    output = capsys.readouterr()
    assert "jobs read 1, events 1" in output.out
    assert f"The run {unreadable} cannot be read: Permission denied." in output.err
    assert f"The run {pipe.parent} cannot be read: it is a device, a pipe or a socket." in output.err
    assert (
        "2 event file(s) cannot be read" in output.err
        and "2-pipe.json is incomplete, too long or not JSON" in output.err
    )


def test_a_sync_into_a_read_only_database_says_so_and_the_page_still_shows(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_logs = tmp_path / "runs"
    run_logs.mkdir()
    monkeypatch.setenv("FLEETOPS_RUN_LOG_DIR", str(run_logs))
    for state in READ_ONLY:
        with read_only(copy, **state):
            app = synced(opened(monkeypatch, copy, "overview"))
        assert not app.exception
        text = words(app)
        assert "sync failed" in text and f"The database {copy} cannot be written" in text, state
        assert "Needs attention" in text and "rolling_redeploy ✕ stopped" in text


def test_a_running_writer_delays_no_page_and_the_next_writer_is_told(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(copy, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert "Targets 24" in words(opened(monkeypatch, copy, "rollout", id=FLEET))
        with pytest.raises(DatabaseProblem, match="has been locked by another program"):
            open_store(copy, busy_timeout=0.1)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"status": 503, "detail": "down for repairs"}, "down for repairs"),
        ({"latency_s": 1.0}, "no answer within the time limit"),
        ({"truncated_body": True}, "The rollouts were not read: GET "),
        ({"reset_before": True}, "The rollouts were not read: GET "),
        ({"html_body": True}, "The rollouts were not read: GET "),
    ],
)
def test_a_failing_api_loses_no_stored_data(
    fault: dict[str, Any], sentence: str, sim: Simulator, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**sim.environment(), "FLEETOPS_RETRIES": "0", "FLEETOPS_REQUEST_TIMEOUT": "0.3"}.items():
        monkeypatch.setenv(name, value)
    before = dump(copy)
    sim.fault(match="/v1/", **fault)
    try:
        app = synced(opened(monkeypatch, copy, "overview"))
    finally:
        sim.clear_faults()
    assert not app.exception
    text = words(app)
    assert sentence in text, text[:2000]
    assert any(badge in text for badge in ("partly synced", "sync failed")), text[:2000]
    assert "fleet rollout" in text and "reboot ✕ lost" in text
    assert "Traceback" not in text and sim.admin_key not in text
    after = dump(copy)
    assert {table: after[table] for table in ("rollouts", "rollout_targets", "runs")} == {
        table: before[table] for table in ("rollouts", "rollout_targets", "runs")
    }


def test_a_run_log_with_a_damaged_line_is_loaded_except_for_that_line(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_logs = tmp_path / "runs"
    run_logs.mkdir()
    log = RunLog("70000000-0000-4000-8000-000000000001", time.time() - 600, "playbooks/torn.yml")
    log.play("Torn", [host_name(n) for n in range(6)], 1)
    log.task("Redeploy", "fleetops.agents.instance_runtime")
    for number in range(6):
        log.result(host_name(number), changed=True)
    log.stats({host_name(number): {"ok": 1} for number in range(6)})
    log.write(run_logs)
    (run_log,) = run_logs.iterdir()
    lines = run_log.read_bytes().splitlines(keepends=True)
    # A lost disk block: half of a line, followed by the middle of another one.
    run_log.write_bytes(b"".join(lines[:5]) + lines[5][:60] + lines[6][90:] + b"".join(lines[7:]))
    code = main(["sync", "--no-api", "--quiet", "--db", str(copy), "--spool", str(run_logs)])
    output = capsys.readouterr()
    assert code == 0
    assert f"{run_log.name}: 1 unreadable line(s) skipped" in output.err
    assert "Traceback" not in output.err
    results = rows(copy, "SELECT count(*) AS n FROM host_results WHERE run_id = ?", log.run_id)
    assert results == [{"n": 4}]
    assert "2 events of this run could not be read" in words(opened(monkeypatch, copy, "run", id=log.run_id))


def test_the_key_appears_on_no_page_and_in_no_row(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_logs = tmp_path / "runs"
    run_logs.mkdir()
    log = RunLog("70000000-0000-4000-8000-000000000002", time.time() - 600, "playbooks/leaky.yml")
    log.play("Leaky", [host_name(1)], 1)
    log.task("Print what must not be printed", "ansible.builtin.debug")
    log.result(host_name(1), "failed", msg=f"header X-Api-Key: {KEY} was refused", failed=True)
    log.write(run_logs)
    with running_simulator(instances=3, speed=0) as running:
        # The answer of a proxy that echoes requests.
        running.fault(match="/v1/", status=401, detail=f"unknown key {KEY}")
        environment = {"FLEETOPS_API_URL": running.url, "FLEETOPS_API_KEY": KEY, "FLEETOPS_RETRIES": "0"}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert main(["sync", "--quiet", "--db", str(copy), "--spool", str(run_logs)]) == 1
        output = capsys.readouterr()
        assert KEY not in output.out + output.err + words(synced(opened(monkeypatch, copy, "overview")))
    assert KEY not in str(dump(copy, leave_out={}))
    assert KEY.encode() not in copy.read_bytes()
    for page in declared_pages():
        app = opened(
            monkeypatch,
            copy,
            page,
            **({"id": {**IDS, "operation": log.run_id, "run": log.run_id}[page]} if page in IDS else {}),
        )
        assert KEY not in words(app), page


@pytest.mark.parametrize("broken", ["{bad", "[" * 100_000, "null"])
def test_a_row_with_invalid_json_hides_no_other_row(
    broken: str, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(copy, isolation_level=None)) as conn:
        for table, column in (
            ("plays", "hosts_json"), ("ingest_cursors", "state_json"), ("instance_state", "components_json"),
            ("instance_state", "policy_json"), ("instance_versions", "versions_json"), ("runs", "stats_json"),
            ("run_evidence", "document_json"), ("host_results", "result_json"), ("policies", "raw_json"),
        ):  # fmt: skip
            conn.execute(f"UPDATE {table} SET {column} = ? WHERE {column} IS NOT NULL", (broken,))
    listed = len(rows(copy, "SELECT run_id FROM runs"))
    assert main(["runs", "--db", str(copy), "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == listed
    for command in (["operations"], ["fleet"], ["failures"], ["check"], ["sync", "--no-api", "--quiet"]):
        assert main([*command, "--db", str(copy)]) in (0, 1)
        assert "Traceback" not in capsys.readouterr().err
    for page, found in IDS.items():
        app = opened(monkeypatch, copy, page, id=found)
        assert not app.error, page
