# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loading run logs: of ended, running and killed ansible-playbook runs, and damaged ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.collect.run_logs import RunLogReport, sync_run_logs
from console.record.read.record_health import vitals
from console.record.read.runs import runs
from console.record.write.store import open_store
from tests.console.support.facts import dump, rows, wrong_types
from tests.console.support.run_log_lines import NAME, RUN, lines
from tests.integration.run_log_project import HOSTS, Slow, play, write_project

ROOT = Path(__file__).resolve().parents[3]


def load(database: Path, folder: Path, **more: Any) -> RunLogReport:
    with open_store(database) as store:
        return sync_run_logs(store, folder, now=time.time, **more)


@pytest.fixture
def run_logs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run log folder and the output of a run in batches of two that fails on agent-03 and agent-05."""
    project = write_project(tmp_path_factory.mktemp("project") / "p")
    folder = tmp_path_factory.mktemp("runs")
    return folder, play(project, folder).stdout


@pytest.mark.playbook
def test_an_ended_run_matches_the_recap_of_ansible(ended: tuple[Path, str], tmp_path: Path) -> None:
    folder, output = ended
    database = tmp_path / "console.db"
    report = load(database, folder)
    assert (report.runs, report.running, report.lost, report.problems, report.notes) == (1, 0, 0, [], [])
    (run,) = rows(database, "SELECT * FROM runs")
    (file,) = folder.iterdir()
    assert run["run_id"] in file.name
    assert (run["status"], run["playbook"], run["dropped_events"]) == ("failed", "site.yml", 0)
    assert run["events"] == run["last_counter"] == len(file.read_bytes().splitlines())
    assert run["started_at"] < run["ended_at"] <= time.time()
    recap = output.rpartition("PLAY RECAP")[2].splitlines()[1:]
    printed = {
        line.split(":")[0].strip(): dict(p.split("=") for p in line.split(":")[1].split())
        for line in recap
        if ":" in line
    }
    columns = ("ok", "changed", "unreachable", "failed", "skipped", "rescued", "ignored")
    found = rows(database, "SELECT * FROM run_hosts")
    assert {row["host"]: {c: str(row[c]) for c in columns} for row in found} == printed
    assert [run[c] for c in columns] == [sum(int(t[c]) for t in printed.values()) for c in columns]
    batches = rows(database, "SELECT play, batch, hosts_json FROM plays ORDER BY counter")
    assert [(b["play"], b["batch"], json.loads(b["hosts_json"])) for b in batches[:3]] == [
        (1, number + 1, sorted(HOSTS[number * 2 : number * 2 + 2])) for number in range(3)
    ]
    # Counting the results also gives the recap of Ansible, except that the items of a loop count once.
    counted = rows(
        database,
        "SELECT host, sum(status = 'failed') AS f, sum(status = 'unreachable') AS u FROM host_results"
        " WHERE kind = 'result' GROUP BY host",
    )
    assert {r["host"]: (str(r["f"]), str(r["u"])) for r in counted} == {
        h: (t["failed"], t["unreachable"]) for h, t in printed.items()
    }
    # Every result belongs to a batch that contains its host.
    stray = (
        "SELECT r.host FROM host_results r JOIN plays p ON p.run_id = r.run_id AND p.counter = r.play_counter"
        " WHERE p.hosts_json NOT LIKE '%' || r.host || '%'"
    )
    assert rows(database, stray) == []
    assert rows(database, "SELECT ref FROM run_links WHERE kind = 'rollout'") == [{"ref": "r-1"}]
    assert wrong_types(database) == []
    before = dump(database)
    assert load(database, folder).events == 0
    assert dump(database) == before


@pytest.mark.playbook
def test_a_running_run_is_loaded_so_far_and_a_killed_run_is_lost(tmp_path: Path) -> None:
    project, folder, database = write_project(tmp_path / "p"), tmp_path / "runs", tmp_path / "console.db"
    slow = Slow(project, folder)
    try:
        # The first events are written before a host starts its task.
        report = load(database, folder)
        assert (report.running, report.lost) == (1, 0)
        (run,) = rows(database, "SELECT status, ended_at, hosts, ok, heartbeat_at FROM runs")
        assert (run["status"], run["ended_at"], run["hosts"], run["ok"]) == ("running", None, len(HOSTS), len(HOSTS))
        assert {r["host"] for r in rows(database, "SELECT host FROM run_in_flight")} == set(HOSTS)
        assert {r["final"] for r in rows(database, "SELECT final FROM run_hosts")} == {0}
        before = dump(database)
        load(database, folder)
        assert dump(database) == before
        slow.controller.kill()
        slow.controller.wait()
        # Its workers are still running as orphans, but the run is lost.
        assert slow.living_workers()
        report = load(database, folder)
        assert (report.running, report.lost) == (0, 1)
        (run,) = rows(database, "SELECT status, ended_at FROM runs")
        assert (run["status"], run["ended_at"]) == ("lost", None)
        assert {r["host"] for r in rows(database, "SELECT host FROM run_in_flight")} == set(HOSTS)
    finally:
        slow.stop()


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "ab")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(run_logs: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock on the run log NAME until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run_logs / NAME)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_running_run_is_lost_while_its_log_is_missing(
    run_logs: Path, tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    database, aside = tmp_path / "console.db", tmp_path / NAME
    (run_logs / NAME).write_bytes(b"".join(lines()[:5]))
    assert load(database, run_logs).running == 1
    (tmp_path / "of another user").mkdir()
    assert load(database, tmp_path / "of another user").lost == 0
    (run_logs / NAME).rename(aside)
    report = load(database, run_logs)
    assert (report.running, report.lost, load(database, run_logs).lost) == (0, 1, 0)
    assert rows(database, "SELECT status, events FROM runs") == [{"status": "lost", "events": 5}]
    aside.rename(run_logs / NAME)
    assert load(database, run_logs).running == 1
    assert rows(database, "SELECT status, events FROM runs") == [{"status": "running", "events": 5}]


def test_a_run_without_an_end_is_running_if_its_log_is_locked_and_otherwise_lost(
    run_logs: Path, tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    database = tmp_path / "console.db"
    status = "SELECT status, started_at FROM runs"
    load(database, run_logs)  # the file exists but is empty
    assert rows(database, status) == [{"status": "running", "started_at": 1795514400.0}]
    whole = lines()
    with (run_logs / NAME).open("ab") as file:
        file.writelines(whole[:5])
        file.write(whole[5][:20])
        file.flush()
        load(database, run_logs)
        assert rows(database, "SELECT status, events, dropped_events FROM runs") == [
            {"status": "running", "events": 5, "dropped_events": 0}
        ]
        holder.communicate()
        load(database, run_logs)
        assert rows(database, status)[0]["status"] == "lost"
        file.write(whole[5][20:])
        file.writelines(whole[6:])
    load(database, run_logs)
    assert rows(database, "SELECT status, events, dropped_events FROM runs") == [
        {"status": "failed", "events": len(whole), "dropped_events": 0}
    ]
    assert rows(database, "SELECT * FROM run_in_flight") == []


def test_run_logs_without_news_cost_neither_reads_nor_writes_of_their_runs(run_logs: Path, tmp_path: Path) -> None:
    database, running = tmp_path / "console.db", NAME.replace("0001.jsonl", "0002.jsonl")
    (run_logs / NAME).write_bytes(b"".join(lines()))
    (run_logs / running).write_bytes(b"".join(lines(end=False)))
    (run_logs / running.replace("0002", "0003")).write_bytes(b"".join(lines()))
    load(database, run_logs)
    (run_logs / running.replace("0002", "0003")).unlink()
    statements: list[str] = []
    with open_store(database) as store:
        store.conn.set_trace_callback(statements.append)
        report = sync_run_logs(store, run_logs, now=time.time)
    assert (report.runs, report.lost) == (0, 1)
    # Of a cursor only the position, except that of the folder; of a run only the status.
    states = [sql for sql in statements if "SELECT * FROM ingest_cursors" in sql]
    assert [sql for sql in states if "scope = ''" not in sql] == []
    assert [sql for sql in statements if RUN[:-1] in sql] == []


def test_the_work_for_a_run_in_progress_grows_linearly_with_its_results(
    run_logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.collect.run_logs.BATCH", 20)
    work = []
    for tasks in (20, 40):
        (run_logs / NAME).write_bytes(b"".join(lines(tasks, end=False)))
        with open_store(tmp_path / f"{tasks}.db") as store:
            steps: list[int] = []
            store.conn.set_progress_handler(lambda steps=steps: steps.append(1), 100)
            sync_run_logs(store, run_logs, now=time.time)
            store.conn.set_progress_handler(None, 100)
        work.append(len(steps))
    assert work[1] < 2.3 * work[0], work
    counted = "SELECT sum(ok) AS ok, sum(changed) AS changed, sum(failed) AS failed, sum(final) AS final FROM run_hosts"
    assert rows(tmp_path / "40.db", counted) == [{"ok": 319, "changed": 319, "failed": 1, "final": 0}]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_run_log_read_in_any_parts_gives_the_same_rows(data: st.DataObject) -> None:
    text = b"".join(lines())
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "runs"
        folder.mkdir()
        for end in [*cuts, len(text)]:
            (folder / NAME).write_bytes(text[:end])
            load(Path(scratch) / "pieces.db", folder)
        load(Path(scratch) / "whole.db", folder)
        pieces, whole = dump(Path(scratch) / "pieces.db"), dump(Path(scratch) / "whole.db")
        assert pieces == whole
        assert len(whole["host_results"]) == 24


@pytest.mark.parametrize(
    "junk",
    [
        b"{not json}\n",
        b'{"counter": "x", "event": "runner_on_ok"}\n',
        b"\x00\x00\x00\n",
        b"[1]\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_an_unreadable_line_is_counted_and_the_rest_is_loaded(junk: bytes, run_logs: Path, tmp_path: Path) -> None:
    whole = lines()
    at = whole.index(next(line for line in whole if b"runner_on_ok" in line))
    (run_logs / NAME).write_bytes(b"".join([*whole[:at], junk, *whole[at + 1 :]]))
    other = NAME.replace("0001.jsonl", "0002.jsonl")
    (run_logs / other).write_bytes(b"".join(lines()))
    database = tmp_path / "console.db"
    report = load(database, run_logs)
    assert (report.problems, report.runs) == ([], 2)
    (note,) = report.notes
    assert note.startswith(
        f"{NAME}: 1 unreadable line(s) skipped. The line at byte {sum(map(len, whole[:at]))} is not an event"
    )
    counts = "SELECT status, events, dropped_events FROM runs WHERE run_id = ?"
    assert rows(database, counts, RUN) == [{"status": "failed", "events": len(whole) - 1, "dropped_events": 1}]
    assert rows(database, "SELECT count(*) AS n FROM host_results WHERE run_id = ?", RUN) == [{"n": 23}]
    before = dump(database)
    again = load(database, run_logs)
    assert again.notes == []
    assert dump(database) == before
    # No later sync reads the line again, so it must not count as an error forever.
    assert vitals(database, time.time()).errors == 0


@pytest.mark.parametrize("half", [rb"\ud83d", rb"\uD83D", b"\xed\xa0\xbd"])
def test_half_characters_are_replaced_and_dropped_events_are_counted(
    half: bytes, run_logs: Path, tmp_path: Path
) -> None:
    whole = lines()
    odd = json.loads(whole[-2])
    odd["dropped_events"] = 3
    odd["event_data"]["res"]["msg"] = "half HALF and NUL \x00"
    whole[-2] = json.dumps(odd).encode().replace(b"HALF", half) + b"\n"
    (run_logs / NAME).write_bytes(b"".join(whole))
    database = tmp_path / "console.db"
    assert load(database, run_logs).problems == []
    assert rows(database, "SELECT msg FROM host_results WHERE status = 'failed'") == [{"msg": "half ? and NUL \x00"}]
    assert rows(database, "SELECT dropped_events FROM runs") == [{"dropped_events": 3}]


def test_run_logs_are_removed_only_on_request_and_only_if_complete(run_logs: Path, tmp_path: Path) -> None:
    names = [NAME.replace("0001.jsonl", f"000{n}.jsonl") for n in range(1, 5)]
    whole = lines()
    for name, text in zip(
        names, [whole, [*whole[:-1]], [*whole, b'{"torn'], [whole[0], b"junk\n", *whole[2:]]], strict=True
    ):
        (run_logs / name).write_bytes(b"".join(text))
    database = tmp_path / "console.db"
    load(database, run_logs)
    assert sorted(p.name for p in run_logs.iterdir()) == names
    before = dump(database)
    report = load(database, run_logs, remove_loaded=True)
    assert report.removed == 1
    assert sorted(p.name for p in run_logs.iterdir()) == names[1:]
    assert dump(database) == before


def test_a_run_log_that_is_removed_while_the_folder_is_read_is_not_an_error(
    run_logs: Path, tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    database, later = tmp_path / "console.db", NAME.replace("2026", "2027")
    (run_logs / NAME).write_bytes(b"".join(lines(end=False)))
    load(database, run_logs)
    (run_logs / later).write_bytes(b"".join(lines()))

    def remove(*_progress: object) -> None:
        for file in run_logs.iterdir():
            file.unlink()

    # As another sync does, which has stored them.
    report = load(database, run_logs, progress=remove)
    assert (report.problems, report.lost, list(run_logs.iterdir())) == ([], 1, [])
    assert rows(database, "SELECT last_error FROM ingest_cursors WHERE scope = ''") == [{"last_error": None}]
    assert rows(database, "SELECT status FROM runs") == [{"status": "lost"}]


def test_other_files_and_missing_folders_are_reported(run_logs: Path, tmp_path: Path) -> None:
    (run_logs / "notes.jsonl").write_text("{}\n")
    (run_logs / "README").write_text("x")
    (run_logs / NAME.replace("0001.jsonl", "0009.jsonl")).mkdir()
    database = tmp_path / "console.db"
    report = load(database, run_logs)
    assert report.notes == ["Not named like a run log, and ignored: notes.jsonl."]
    assert (report.problems, rows(database, "SELECT * FROM runs")) == ([], [])
    for number in range(2000):
        (run_logs / f"app-{number:04}.jsonl").touch()
    (note,) = load(database, run_logs).notes
    assert note.endswith("app-0004.jsonl and 1,996 more.")
    absent = tmp_path / "absent"
    assert "does not exist; check FLEETOPS_RUN_LOG_DIR" in load(database, absent).problems[0]
    report = load(database, absent, folder_may_be_missing=True)
    assert (len(report.notes), report.problems) == (1, [])


LOAD = """
import sys
from console.__main__ import main
sys.exit(main(["sync", "--no-api", "--quiet", "--db", sys.argv[1], "--spool", sys.argv[2]]))
"""


def test_concurrent_syncs_of_run_logs_store_the_same_as_one(run_logs: Path, tmp_path: Path) -> None:
    (run_logs / NAME).write_bytes(b"".join(lines(tasks=60, hosts=60)))  # 14,000 events are three batches of the loader
    for number in range(2, 6):
        (run_logs / NAME.replace("0001.jsonl", f"000{number}.jsonl")).write_bytes(b"".join(lines(end=number % 2 == 0)))
    crowd, alone = tmp_path / "crowd.db", tmp_path / "alone.db"
    command = [sys.executable, "-c", LOAD, str(crowd), str(run_logs)]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _dummy in range(3)
    ]
    answers = [p.communicate() for p in processes]
    assert [(p.returncode, a[1]) for p, a in zip(processes, answers, strict=True)] == [(0, "")] * 3
    load(alone, run_logs)
    assert dump(crowd) == dump(alone)
    assert rows(crowd, "SELECT count(*) AS n FROM host_results WHERE run_id = ?", RUN) == [{"n": 7200}]


def test_a_run_log_that_was_replaced_by_a_shorter_one_is_read_again(run_logs: Path, tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    (run_logs / NAME).write_bytes(b"".join(lines(end=False)))
    load(database, run_logs)
    (run_logs / NAME).write_bytes(b"".join(lines()[:4]))
    load(database, run_logs)
    assert rows(database, "SELECT events, last_counter, status FROM runs") == [
        {"events": 4, "last_counter": 4, "status": "lost"}
    ]


def test_an_ended_run_stays_ended_if_its_log_is_truncated_or_copied(run_logs: Path, tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    (run_logs / NAME).write_bytes(b"".join(lines()))
    load(database, run_logs)
    stored = rows(database, "SELECT * FROM runs"), rows(database, "SELECT * FROM run_hosts ORDER BY host")
    for part in (lines()[:4], [], lines()[:9], lines()):
        (run_logs / NAME).write_bytes(b"".join(part))
        load(database, run_logs)
        found = rows(database, "SELECT * FROM runs"), rows(database, "SELECT * FROM run_hosts ORDER BY host")
        assert found == stored
    # Another copy of the first lines, with a later time in its name.
    (run_logs / NAME.replace("2026", "2027")).write_bytes(b"".join(lines()[:4]))
    load(database, run_logs)
    assert [row["status"] for row in rows(database, "SELECT status FROM runs")] == ["failed"]


@pytest.mark.parametrize("doubled", [lambda made: [b for one in made for b in (one, one)], lambda made: made * 2])
def test_duplicate_events_in_a_run_log_count_once(doubled: Any, run_logs: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.db", tmp_path / "twice.db"
    (run_logs / NAME).write_bytes(b"".join(lines()))
    load(once, run_logs)
    (run_logs / NAME).write_bytes(b"".join(doubled(lines())))
    load(twice, run_logs)
    # Only the position in the file differs.
    assert dump(twice, leave_out={"ingest_cursors": {"position", "last_ok_at"}}) == dump(
        once, leave_out={"ingest_cursors": {"position", "last_ok_at"}}
    )


def test_a_missing_event_that_comes_later_in_the_log_is_no_longer_missing(run_logs: Path, tmp_path: Path) -> None:
    database, whole = tmp_path / "console.db", lines()
    late, end = whole.pop(7), whole.pop()
    (run_logs / NAME).write_bytes(b"".join(whole))
    load(database, run_logs)
    assert rows(database, "SELECT dropped_events FROM runs") == [{"dropped_events": 1}]
    (run_logs / NAME).write_bytes(b"".join([*whole, late, end]))
    load(database, run_logs)
    assert rows(database, "SELECT events, dropped_events FROM runs") == [{"events": len(lines()), "dropped_events": 0}]


def test_the_report_of_a_run_is_stored_once_and_kept_when_later_events_are_read(run_logs: Path, tmp_path: Path) -> None:
    database, whole = tmp_path / "console.db", lines()
    late, end = whole.pop(7), json.loads(whole.pop())
    end["event_data"]["artifact_data"] = {"fleetops_report": {"reason": "x" * 9000}}
    (run_logs / NAME).write_bytes(b"".join([*whole, json.dumps(end).encode() + b"\n"]))
    load(database, run_logs)
    stored = rows(database, "SELECT stats_json FROM runs")
    assert "x" * 9000 in stored[0]["stats_json"]
    # The position of a log is read often, together with this state.
    assert rows(database, "SELECT max(length(state_json)) < 9000 AS short FROM ingest_cursors") == [{"short": 1}]
    with (run_logs / NAME).open("ab") as file:
        file.write(late)
    assert load(database, run_logs).events == 1
    assert rows(database, "SELECT stats_json FROM runs") == stored


def test_the_times_of_a_run_by_a_clock_that_was_ahead_are_shifted_once(run_logs: Path, tmp_path: Path) -> None:
    database, later = tmp_path / "console.db", NAME.replace("0001.jsonl", "0002.jsonl")
    (run_logs / NAME).write_bytes(b"".join(lines()))
    with open_store(tmp_path / "right.db") as store:
        sync_run_logs(store, run_logs, now=time.time)
    (right,) = rows(tmp_path / "right.db", "SELECT * FROM runs")
    # A week before the run.
    now = right["started_at"] - 7 * 86400.0
    with open_store(database) as store:
        report = sync_run_logs(store, run_logs, now=lambda: now)
        ahead = right["ended_at"] - now
        assert report.notes == [
            f"{NAME}: the clock of the computer that wrote it was 7 d 0 h ahead; the times of this run were"
            " corrected by this amount."
        ]
        (run,) = rows(database, "SELECT * FROM runs")
        for column in ("started_at", "ended_at", "heartbeat_at"):
            assert run[column] == pytest.approx(right[column] - ahead)
        for table, column in (("plays", "started_at"), ("tasks", "started_at"), ("host_results", "ended_at")):
            (found,) = rows(database, f"SELECT max({column}) AS at FROM {table}")
            assert found["at"] <= now
        kept = dump(database)
        assert sync_run_logs(store, run_logs, now=lambda: now + 3600.0).notes == []
        assert dump(database) == kept
        # A later run with a correct clock is listed first.
        made = json.dumps({"counter": 1, "event": "playbook_on_start", "event_data": {}, "uuid": "u",
                           "created": datetime.fromtimestamp(now + 5000.0, UTC).isoformat()})  # fmt: skip
        (run_logs / later).write_text(made + "\n")
        sync_run_logs(store, run_logs, now=lambda: now + 7200.0)
    assert runs(database)[0]["run_id"].tolist() == [RUN[:-1] + "2", RUN]


LOAD_AND_MEASURE = """
import json, resource, sys, time
from pathlib import Path
from console.record.write.store import open_store
from console.collect.run_logs import sync_run_logs

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

with open_store(sys.argv[1]) as store:
    before = peak()
    report = sync_run_logs(store, Path(sys.argv[2]), now=time.time)
    print(json.dumps({"grown_mib": peak() - before, "notes": report.notes, "problems": report.problems}))
"""


def measured(database: Path, folder: Path) -> dict[str, Any]:
    """Load the folder in another process. Returns the growth of its memory in MiB, its notes and its problems."""
    command = [sys.executable, "-c", LOAD_AND_MEASURE, str(database), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# reports/2026-11 F7
def test_a_line_that_is_too_long_is_skipped_and_memory_stays_bounded(run_logs: Path, tmp_path: Path) -> None:
    whole, database = lines(), tmp_path / "console.db"
    entry = b'"an entry of a long list of small values",1,null,{},'
    with (run_logs / NAME).open("wb") as file:
        file.writelines(whole[:6])
        at = file.tell()
        # A valid event of 64 MB.
        file.write(whole[6].removesuffix(b"}}\n") + b',"more":[')
        for _piece in range(64):
            file.write(entry * ((1 << 20) // len(entry)))
        file.write(b"0]}}\n")
        file.writelines(whole[7:])
        # Then a line of 40 MB without an end.
        for _piece in range(40):
            file.write(b"x" * (1 << 20))
    loaded = measured(database, run_logs)
    assert loaded["grown_mib"] < 200
    assert loaded["problems"] == []
    (note,) = loaded["notes"]
    assert note.startswith(f"{NAME}: 2 unreadable line(s) skipped. The line at byte ")
    assert note.endswith(" is longer than 8 MiB.")
    assert at < (run_logs / NAME).stat().st_size
    assert rows(database, "SELECT status, events, dropped_events FROM runs") == [
        {"status": "failed", "events": len(whole) - 1, "dropped_events": 1}
    ]
    # Later the long line ends, and another event follows.
    with (run_logs / NAME).open("ab") as file:
        file.write(b"xx\n" + whole[6])
    assert measured(database, run_logs)["notes"] == []
    assert rows(database, "SELECT events, dropped_events FROM runs") == [{"events": len(whole), "dropped_events": 0}]


def test_only_regular_files_of_the_same_user_are_loaded(
    run_logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [NAME.replace("0001.jsonl", f"000{n}.jsonl") for n in range(1, 5)]
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_bytes(b"".join(lines()))
    (run_logs / names[0]).symlink_to(elsewhere)
    os.mkfifo(run_logs / names[1])
    (run_logs / names[2]).symlink_to(tmp_path / "nowhere")
    run_logs.chmod(0o777)
    database = tmp_path / "console.db"
    report = load(database, run_logs)
    assert (report.runs, report.problems) == (0, [])
    assert report.notes == [
        f"The run log folder {run_logs} has mode 0777: other users can add and remove files there; run chmod 700"
        f" {run_logs} to prevent that.",
        f"Not loaded from {run_logs}: {names[0]} (a link), {names[1]} (not a regular file), {names[2]} (a link). Only"
        " regular files that belong to the user who runs the console are loaded.",
    ]
    run_logs.chmod(0o700)
    for name in names[:3]:
        (run_logs / name).unlink()
    (run_logs / names[3]).write_bytes(b"".join(lines()))
    owner = os.geteuid()
    # As if another user ran the console.
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert (
        load(database, run_logs)
        .notes[0]
        .startswith(f"Not loaded from {run_logs}: {names[3]} (belongs to user {owner})")
    )
    assert rows(database, "SELECT * FROM runs") == []
    monkeypatch.undo()
    assert load(database, run_logs).runs == 1
