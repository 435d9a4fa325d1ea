# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance: what pruning deletes and keeps, backups, and databases of other versions."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from console.__main__ import main
from console.collect.api.records import audit_row
from console.collect.progress import silent
from console.record import opening
from console.record.opening import DatabaseProblem
from console.record.read import audit as audit_queries
from console.record.read import record_health, rollouts
from console.record.retention import DAY, NEWEST_AUDIT, Retention, removals
from console.record.rows import Cursor, RunRows
from console.record.schema.migrations import known_names, migrations
from console.record.write import maintenance
from console.record.write.maintenance import back_up, open_maintenance
from console.record.write.store import open_store
from tests.console.support.facts import dump, rows
from tests.console.support.seeded import FLEET, RUN, TENANT, fleet_rollout, ident, iso, seed_small

NOW = 1795514400.0
CHECKOUT = Path(__file__).resolve().parents[3]
NEVER = Retention(None, None, None, None, None, None)


def put_run(path: Path, run_id: str, status: str, age_days: float, results: int, **more: object) -> None:
    at = NOW - age_days * DAY
    run = {"run_id": run_id, "source": "callback", "status": status, "started_at": at - 60, "ended_at": at, **more}
    found = [
        {"run_id": run_id, "counter": n, "host": f"h{n % 3}", "kind": "result", "status": "ok", "ended_at": at}
        for n in range(1, results + 1)
    ]
    with open_store(path) as store:
        store.put_run(RunRows(run, results=found), Cursor("spool", run_id, position=1), after=None)


def put_events(path: Path, instance: str, ages_days: list[float], prefix: str = "e") -> int:
    events = [
        {"id": f"{prefix}{n}", "event_ts": iso(NOW - age * DAY), "source": "mcp", "outcome": "success"}
        for n, age in enumerate(ages_days)
    ]
    with open_store(path) as store:
        return store.put_audit([audit_row(TENANT, instance, e) for e in events], None, Cursor("audit", instance))


def prune(path: Path, retention: Retention, now: float = NOW) -> dict[str, int]:
    """Prune, and check that the dry run predicted the numbers."""
    predicted = record_health.prunable(path, retention, now).set_index("what")["rows"].to_dict()
    with open_maintenance(path) as opened:
        gone = opened.prune(removals(retention, now), now, silent, list(predicted.values()))
    assert gone == predicted
    return gone


def left(path: Path) -> dict[str, int]:
    found = rows(path, "SELECT run_id, count(*) AS n FROM host_results GROUP BY run_id")
    return {row["run_id"]: row["n"] for row in found}


def daily(path: Path) -> int:
    return rows(path, "SELECT coalesce(sum(n), 0) AS n FROM audit_daily")[0]["n"]


def test_results_are_pruned_by_the_end_of_their_run_and_the_run_itself_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "SLICE", 7)
    path = tmp_path / "console.db"
    put_run(path, "fresh", "successful", 89, 20)
    put_run(path, "old", "successful", 91, 20)
    put_run(path, "failed", "failed", 91, 20)
    put_run(path, "lost", "lost", 364, 5)
    put_run(path, "ancient", "failed", 366, 20)
    put_run(path, "running", "running", 400, 5)
    before = dump(path)
    assert prune(path, Retention()) == {
        "results of runs that went well": 20,
        "results of other ended runs": 20,
        "raw audit events": 0,
        "totals of the audit": 0,
        "health checks": 0,
        "actions": 0,
        "versions": 0,
    }
    assert left(path) == {"fresh": 20, "failed": 20, "lost": 5, "running": 5}
    after = dump(path)
    changed = {table for table in before if before[table] != after[table]}
    assert changed - {"sqlite_stat1", "sqlite_stat4"} == {"host_results", "upkeep"}
    # A second pruning finds nothing, writes nothing and adds no entry.
    assert sum(prune(path, Retention(), NOW + 1).values()) == 0
    assert dump(path) == after
    kept = record_health.last_maintenance(path)
    assert (kept.prune_at, kept.prune["results of other ended runs"]) == (NOW, 20)


@pytest.mark.parametrize(("server_at", "read_at"), [(None, NOW), (NOW, NOW), (NOW, NOW + 400 * DAY)])
def test_with_a_clock_that_is_ahead_pruning_uses_the_time_of_the_last_read_of_the_api(
    server_at: float | None, read_at: float, tmp_path: Path
) -> None:
    path = tmp_path / "console.db"
    put_run(path, "fresh", "successful", 89, 20)
    put_run(path, "old", "successful", 91, 20)
    put_events(path, ident(1, 0xB0), [n * 0.25 for n in range(200)])
    with open_store(path) as store:
        # In the last case the sync already ran with the wrong clock, but it has the time of the server.
        store.put_cursor(Cursor("api", TENANT, last_ts=server_at, last_ok_at=read_at))
    before = record_health.prunable(path, Retention(), NOW)
    assert before["rows"][0] == 20 and before["rows"][2] > 0
    ahead = record_health.prunable(path, Retention(), NOW + 400 * DAY)
    assert ahead.to_dict() == before.to_dict()
    prune(path, Retention(), NOW + 400 * DAY)
    assert left(path) == {"fresh": 20}


def test_a_retired_tenant_does_not_delay_the_pruning(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    put_run(path, "old", "successful", 91, 20)
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW - 50 * DAY)
        store.put_cursor(Cursor("api", TENANT, last_ts=NOW - 50 * DAY, last_ok_at=NOW - 50 * DAY))
    assert prune(path, Retention())["results of runs that went well"] == 0
    with open_maintenance(path) as opened:
        assert opened.retire(TENANT, NOW - DAY)
    assert prune(path, Retention())["results of runs that went well"] == 20


def test_a_pruned_day_keeps_its_counts_and_a_later_sync_does_not_restore_its_events(tmp_path: Path) -> None:
    path, instance = tmp_path / "console.db", ident(1, 0xB0)
    ages = [1 + n * 0.01 for n in range(NEWEST_AUDIT)] + [40 + n * 0.1 for n in range(300)]
    assert put_events(path, instance, ages) == len(ages)
    assert daily(path) == len(ages)
    assert prune(path, Retention())["raw audit events"] == 300
    assert (daily(path), rows(path, "SELECT count(*) AS n FROM audit_events")[0]["n"]) == (len(ages), NEWEST_AUDIT)
    # The API still sends the pruned events, and also a late event of a pruned day and a new event.
    assert put_events(path, instance, ages) == 0
    assert put_events(path, instance, [40.05, 0.5], prefix="late") == 1
    assert daily(path) == len(ages) + 1
    assert audit_queries.audit_coverage(path)[0]["ours"].tolist() == [len(ages) + 1]


def test_pruning_returns_the_space_of_the_deleted_rows_to_the_file_system(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    put_run(path, "fresh", "successful", 1, 20)
    with open_maintenance(path):
        pass
    small = path.stat().st_size
    put_run(path, "old", "successful", 91, 20_000)
    assert (large := path.stat().st_size) > small + 1_000_000
    assert prune(path, Retention())["results of runs that went well"] == 20_000
    assert rows(path, "PRAGMA freelist_count") == [{"freelist_count": 0}]
    assert path.stat().st_size < small + (large - small) / 10


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0, 80, allow_nan=False), min_size=1, max_size=160),
    st.integers(1, 60),
    st.integers(0, 40),
)
def test_pruning_audits_never_changes_the_daily_counts(ages: list[float], days: int, later: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, instance = Path(folder) / "console.db", ident(1, 0xB0)
        put_events(path, instance, ages)
        counted = dump(path)["audit_daily"]
        prune(path, Retention(audit=days), NOW + later * DAY)
        put_events(path, instance, ages)
        assert dump(path)["audit_daily"] == counted
        stamps = [row["event_ts"] for row in rows(path, "SELECT event_ts FROM audit_events")]
        assert len(stamps) >= min(len(ages), NEWEST_AUDIT)
        # No event is deleted too early.
        young = [age for age in ages if age + later < days]
        assert len(stamps) >= len(young)


def test_an_interrupted_pruning_is_completed_by_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "SLICE", 50)
    path, instance = tmp_path / "console.db", ident(1, 0xB0)
    ages = [1 + n * 0.01 for n in range(NEWEST_AUDIT)] + [40 + n * 0.1 for n in range(300)]
    put_events(path, instance, ages)

    def stop(done: int, total: int | None, what: str) -> None:
        assert (total, what) == (300, "raw audit events"), what
        if done >= 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_maintenance(path) as opened:
        opened.prune(removals(Retention(), NOW), NOW, stop, [0, 0, 300, 0, 0, 0, 0, 0])
    # The deleted events do not return, although the pruning has not finished.
    assert put_events(path, instance, ages) == 0
    assert daily(path) == len(ages)
    assert prune(path, Retention())["raw audit events"] == 200


def test_the_newest_health_check_of_an_instance_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        store.put_rollouts([fleet_rollout(FLEET, 2, 2, NOW - 500)])
    with sqlite3.connect(path) as conn:
        conn.executemany(
            "INSERT INTO health_checks (tenant, instance_id, checked_at, status) VALUES (?, ?, ?, 'healthy')",
            [(TENANT, ident(0, 0xB0), NOW - age * DAY) for age in (5, 29, 40, 50)]
            + [(TENANT, ident(1, 0xB0), NOW - age * DAY) for age in (60, 70)],
        )
    assert prune(path, Retention())["health checks"] == 3
    assert rows(path, "SELECT count(*) AS n FROM health_checks") == [{"n": 3}]


def test_old_actions_and_versions_are_pruned_but_the_newest_of_each_instance_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        store.put_rollouts([fleet_rollout(FLEET, 2, 2, NOW - 500)])
    with sqlite3.connect(path) as conn:
        # 130 actions of the first instance, the newest 370 days old; two of the second, one of them without a time.
        conn.executemany(
            "INSERT INTO instance_actions (tenant, instance_id, action_id, status, created_at)"
            " VALUES (?, ?, ?, 'completed', ?)",
            [(TENANT, ident(0, 0xB0), f"a{n}", NOW - (370 + n) * DAY) for n in range(130)]
            + [(TENANT, ident(1, 0xB0), "b", NOW - 900 * DAY), (TENANT, ident(1, 0xB0), "c", None)],
        )
        for table, columns in (
            ("instance_versions", "versions_json"),
            ("audit_summaries", "total, success, error, denied"),
        ):
            marks = ", ".join("?" * (columns.count(",") + 1))
            conn.executemany(
                f"INSERT INTO {table} (tenant, instance_id, taken_at, {columns}) VALUES (?, ?, ?, {marks})",
                [(TENANT, ident(n, 0xB0), NOW - age * DAY, *[1] * (columns.count(",") + 1))
                 for n, ages in enumerate(((1, 29, 400, 500), (700, 800))) for age in ages],
            )  # fmt: skip
    gone = prune(path, Retention())
    assert (gone["actions"], gone["versions"], gone["totals of the audit"]) == (30, 3, 3)
    left_over = rows(path, "SELECT instance_id, count(*) AS n, min(created_at) AS at FROM instance_actions GROUP BY 1")
    assert sorted((row["n"], row["at"]) for row in left_over) == [(2, NOW - 900 * DAY), (100, NOW - 469 * DAY)]
    assert rows(path, "SELECT max(taken_at) AS at FROM instance_versions WHERE instance_id = ?", ident(1, 0xB0)) == [
        {"at": NOW - 700 * DAY}
    ]


def test_a_retention_of_never_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    put_run(path, "ancient", "successful", 4000, 5)
    assert prune(path, NEVER) == {}
    assert left(path) == {"ancient": 5}


# The command


def test_prune_requires_yes_or_a_dry_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "console.db"
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(path))
    assert main(["prune", "--yes"]) == 3
    assert "There is no database" in capsys.readouterr().err
    assert not path.exists()
    put_run(path, "old", "successful", 0, 20, ended_at=time.time() - 91 * DAY)
    before = path.read_bytes()
    for arguments, complaint in (
        ([], "one of the arguments --dry-run --yes is required"),
        (["--yes", "--dry-run"], "not allowed with"),
        (["--yes", "--audit", "0"], "must be 'never' or a whole number of days"),
        (["--yes", "--results", "soon"], "must be 'never' or a whole number of days"),
    ):
        with pytest.raises(SystemExit) as left_with:
            main(["prune", *arguments])
        assert left_with.value.code == 2
        assert complaint in capsys.readouterr().err
    assert main(["prune", "--dry-run", "--format", "json"]) == 0
    printed = capsys.readouterr()
    assert [row["rows"] for row in json.loads(printed.out)] == [20, *[0] * 6]
    assert "20 rows would be deleted; nothing was deleted" in printed.err
    assert path.read_bytes() == before
    assert main(["prune", "--yes", "--results", "never"]) == 0
    assert left(path) == {"old": 20}
    assert main(["prune", "--yes", "--quiet"]) == 0
    assert left(path) == {}
    assert capsys.readouterr().err == ""


def test_a_backup_is_a_complete_private_file_and_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, copy = tmp_path / "console.db", tmp_path / "copy.db"
    seed_small(path, tmp_path / "runs", NOW)
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(path))
    # Another process is writing.
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE rollouts SET status = 'half way'")
    with monkeypatch.context() as patch:
        patch.setattr(opening, "BUSY_TIMEOUT", 0.2)
        patch.setattr(opening.open_to_write, "__defaults__", (0.2,))
        note = back_up(path, copy, NOW)
    assert "locked by another program" in note
    writer.execute("ROLLBACK")
    writer.close()
    assert [row for row in dump(copy)["rollouts"] if "half way" in row] == []
    copy.unlink()
    assert main(["backup", str(copy)]) == 0
    assert str(copy) in capsys.readouterr().out
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.glob("copy*")) == ["copy.db"]
    original = {table: found for table, found in dump(path, leave_out={}).items() if table != "upkeep"}
    assert {t: f for t, f in dump(copy, leave_out={}).items() if t != "upkeep"} == original
    kept = record_health.last_maintenance(path)
    assert (kept.backup["file"], kept.backup["bytes"]) == (str(copy), copy.stat().st_size)
    assert kept.backup_at is not None and abs(kept.backup_at - time.time()) < 60
    # An existing backup is not overwritten, and it can be read like the original.
    before = copy.read_bytes()
    assert main(["backup", str(copy)]) == 3
    assert "is not overwritten" in capsys.readouterr().err
    assert copy.read_bytes() == before
    assert rollouts.rollouts(copy)[1] == rollouts.rollouts(path)[1]


def test_a_failed_backup_leaves_no_file(tmp_path: Path) -> None:
    path, copy = tmp_path / "console.db", tmp_path / "copy.db"
    with pytest.raises(DatabaseProblem, match="There is no database"):
        back_up(path, copy, NOW)
    with sqlite3.connect(tmp_path / "songs.db") as conn:
        conn.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(DatabaseProblem, match="not the console's database"):
        back_up(tmp_path / "songs.db", copy, NOW)
    seed_small(path, tmp_path / "runs", NOW)
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + os.urandom(len(whole) - 8192))
    with pytest.raises(DatabaseProblem, match=r"could not be copied|did not pass its check"):
        back_up(path, copy, NOW)
    with pytest.raises(DatabaseProblem, match="cannot be created"):
        back_up(path, tmp_path / "absent" / "copy.db", NOW)
    assert not copy.exists()


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_a_backup_cannot_have_a_name_of_the_files_of_sqlite_which_would_delete_it(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    seed_small(path, tmp_path / "runs", NOW)
    link = tmp_path / "link.db"
    link.symlink_to(path)
    before = dump(path)
    with pytest.raises(DatabaseProblem, match="a name that SQLite uses for its own files"):
        back_up(link, tmp_path / f"console.db{suffix}", NOW)
    assert dump(path) == before


# Other versions, and places that cannot be written


def test_an_older_database_can_be_backed_up_but_must_be_migrated_to_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, copy = tmp_path / "old.db", tmp_path / "copy.db"
    old = Database(path)
    migrations.apply(old, stop_before=known_names()[-1])
    old.conn.execute("INSERT INTO runs (run_id, source, status) VALUES ('r', 'callback', 'successful')")
    old.conn.execute(f"PRAGMA user_version={len(known_names()) - 1}")
    old.conn.commit()
    old.close()
    assert main(["runs", "--db", str(path)]) == 3
    assert "python -m console migrate" in capsys.readouterr().err
    assert main(["backup", "--db", str(path), str(copy)]) == 0
    assert "from an older or newer console" in capsys.readouterr().err
    for file in (path, copy):
        assert rows(file, "PRAGMA user_version") == [{"user_version": len(known_names()) - 1}]
    assert main(["migrate", "--db", str(path)]) == 0
    assert main(["runs", "--db", str(path), "--format", "json"]) == 0
    assert '"run_id": "r"' in capsys.readouterr().out
    with sqlite3.connect(path) as conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " SELECT migration_set, '9999_later', applied_at FROM _sqlite_migrations LIMIT 1"
        )
    for command in (["runs"], ["failures"], ["stuck"], ["prune", "--dry-run"]):
        assert main([*command, "--db", str(path)]) == 3
        assert "was written by a newer version of the console" in capsys.readouterr().err
    assert main(["check", "--db", str(path)]) == 2
    assert capsys.readouterr().out.startswith("CRITICAL  database: ")


AS_ANOTHER_ACCOUNT = """
import contextlib, io, os, sys
import pandas, plotly, requests, streamlit
from console.__main__ import main
copy, other, *commands = sys.argv[1:]
os.execve = lambda *_: sys.exit(print("served"))
# Run first with another database to import everything, because the other account may not read the checkout.
for command in commands:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main([*command.split(), "--db", other])
if os.geteuid() == 0:  # root can write everywhere
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
for command in commands:
    print(command, main([*command.split(), "--db", copy]))
"""


def test_a_copy_can_be_reviewed_in_a_read_only_folder_without_an_api() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seed_small(folder / "console.db", folder / "runs", NOW)
        shelf = folder / "shelf"
        shelf.mkdir()
        back_up(folder / "console.db", shelf / "copy.db", NOW)
        (shelf / "copy.db").chmod(0o444)
        shelf.chmod(0o555)
        folder.chmod(0o755)
        before = (shelf / "copy.db").read_bytes()
        commands = ["runs", "failures", "stuck", "prune --dry-run", "prune --yes", "serve --port 0"]
        done = subprocess.run(
            [sys.executable, "-c", AS_ANOTHER_ACCOUNT, str(shelf / "copy.db"), str(folder / "console.db"), *commands],
            cwd=CHECKOUT,
            env={k: v for k, v in os.environ.items() if not k.startswith("FLEETOPS_")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert sorted(p.name for p in shelf.iterdir()) == ["copy.db"]
        assert (shelf / "copy.db").read_bytes() == before
        shelf.chmod(0o755)
        shutil.rmtree(shelf)
    printed = done.stdout.splitlines()
    codes = {
        line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in printed if line.rpartition(" ")[0] in commands
    }
    assert {c: codes[c] for c in commands[:5]} == dict.fromkeys(commands[:4], "0") | {"prune --yes": "3"}, done.stderr
    assert "cannot be written" in done.stderr
    assert "served" in printed, done.stderr
    assert any(RUN in line for line in printed)
    assert "Traceback" not in done.stderr
