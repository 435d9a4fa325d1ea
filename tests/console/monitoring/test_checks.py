# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stuck redeploys, grouping of failures, and what the command check reports to monitoring."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sqlite3
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import DAY, HOUR, Window
from console.__main__ import main
from console.collect.api.records import policy_row
from console.monitoring.backlog import Backlog, backlog
from console.monitoring.checks import FIGURES, Level, Limits, judge, worst
from console.record.read import attention
from console.record.read import stuck as stuck_queries
from console.record.read.failures_by_message import failures_by_message, hosts_with
from console.record.read.freshness import Follower
from console.record.read.record_health import Vitals, vitals
from console.record.read.stuck import StuckRules, opened_at
from console.record.rows import Cursor, RunRows
from console.record.write import clock
from console.record.write.maintenance import back_up
from console.record.write.store import open_store
from console.text.message_fingerprint import FP_VERSION, fingerprint
from tests.console.support.seeded import HOSTILE, REASON, TENANT, host_name, ident, rollout_read, seed_small, target

NOW = 1795514400.0  # 10:00 UTC


@pytest.mark.parametrize("seconds", [59.0, 61.0, 299.0, 301.0])
@pytest.mark.parametrize("tolerance", [60.0, 300.0])
def test_check_and_sync_agree_on_which_clock_was_ahead(
    tolerance: float, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.text.times.CLOCK_TOLERANCE", tolerance)
    path = tmp_path / "console.db"
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW + seconds))
        assert clock.ahead_of(store, NOW) == (seconds if seconds > tolerance else None)
    (found,) = (check for check in judge(vitals(path, NOW), Backlog(), NOW, {}) if check.name == "sync-age")
    assert ("clock was ahead" in found.sentence) is (seconds > tolerance)


def put(path: Path, *reads: object, policy: dict[str, object] | None = None, api_at: float = NOW) -> None:
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_cursor(Cursor("api", TENANT, last_ok_at=api_at))
        if policy is not None:
            store.put_policy(policy_row(TENANT, policy, api_at))
        store.put_rollouts(reads)  # type: ignore[arg-type]


def window(start: int, end: int, slots: int | None = 2) -> dict[str, object]:
    return {
        "maintenance_window_start_hour_utc": start,
        "maintenance_window_end_hour_utc": end,
        "max_parallel_rollouts": slots,
    }


def stuck(path: Path, now: float = NOW, rules: StuckRules | None = None) -> list[tuple[str, int, str]]:
    found = stuck_queries.stuck(path, now, rules)
    return [(r["rule"], r["targets"], r["host"]) for r in found.to_dict("records")]


def test_a_redeploy_in_progress_is_stuck_if_it_is_far_slower_than_usual_for_its_scope(tmp_path: Path) -> None:
    path, created = tmp_path / "console.db", NOW - 9000
    fast, slow = ident(1, 0xA1), ident(2, 0xA2)
    quick = [target(n, fast, "succeeded", created, created, created + 60) for n in range(20)]
    long = [target(n, slow, "succeeded", created, created, created + 900) for n in range(20)]
    three, four = ident(3, 0xA3), ident(4, 0xA4)
    put(
        path,
        rollout_read(fast, quick, "completed", created, created + 60, scope="instance"),
        rollout_read(slow, long, "completed", created, created + 900, scope="fleet"),
        rollout_read(
            three, [target(30, three, "in_progress", NOW - 1500, NOW - 1200, None)], "in_progress", NOW - 1500, None,
            scope="instance",
        ),
        rollout_read(
            four, [target(40, four, "in_progress", NOW - 1500, NOW - 1200, None)], "in_progress", NOW - 1500, None,
            scope="fleet",
        ),
    )  # fmt: skip
    # 20 minutes: more than the limit of 10 for single instances, less than three times the fleet's 15.
    assert stuck(path) == [("in progress", 1, host_name(30))]
    assert len(stuck(path, rules=StuckRules(slower=1))) == 2
    assert stuck(path, rules=StuckRules(at_least=1500)) == []
    # As of the newest read of the API, whatever the current time is.
    put(path, api_at=NOW - 700)
    assert stuck(path) == []


def test_a_redeploy_with_an_unknown_status_is_stuck_like_one_in_progress(tmp_path: Path) -> None:
    path, rollout_id = tmp_path / "console.db", ident(3, 0xA3)
    targets = [target(n, rollout_id, word, NOW - 1500, NOW - at, None) for n, (word, at) in
               enumerate((("verifying", 1200), ("verifying", 60), (None, 1200)))]  # fmt: skip
    put(path, rollout_read(rollout_id, targets, "in_progress", NOW - 1500, None))
    assert stuck(path) == [("in progress", 1, host_name(0)), ("in progress", 1, host_name(2))]


@pytest.mark.parametrize(
    ("policy", "active", "waited", "countdown", "expected"),
    [
        (window(0, 0), 0, 120, 0, True),
        (window(0, 0), 0, 30, 0, False),
        (window(0, 0), 0, 120, 100, False),
        (window(0, 0), 1, 120, 0, True),
        (window(0, 0), 2, 120, 0, False),
        (window(9, 17), 0, 7200, 0, True),
        (window(12, 17), 0, 7200, 0, False),
        (window(22, 5), 0, 7200, 0, False),
        # The window has just opened: nothing is late yet.
        (window(10, 17), 0, 7200, 0, False),
        # Without a valid limit nothing may be started, so nothing is late.
        (None, 0, 120, 0, False),
        (window(0, 0, None), 0, 120, 0, False),
        (window(0, 0, 0), 0, 120, 0, False),
    ],
)
def test_a_queued_redeploy_is_stuck_if_it_is_due_and_could_start(
    policy: dict[str, object] | None, active: int, waited: float, countdown: float, expected: bool, tmp_path: Path
) -> None:
    path, rollout, created = tmp_path / "console.db", ident(1, 0xA1), NOW - waited
    waiting = [
        target(n, rollout, "queued", created, None, None, scheduled_countdown_seconds=countdown) for n in range(5)
    ]
    busy = [target(9 + n, rollout, "in_progress", created, NOW - 5, None) for n in range(active)]
    put(path, rollout_read(rollout, waiting + busy, "in_progress", created, None), policy=policy)
    assert stuck(path) == ([("queued", 5, host_name(0))] if expected else [])
    titles = attention.attention(path, NOW)["title"].tolist()
    assert any("due but not started" in title for title in titles) == expected
    shut = policy is not None and not Window.of_policy(policy).is_open(NOW)
    assert any("waiting for the window" in title for title in titles) == shut
    put(path, rollout_read(rollout, waiting + busy, "paused", created, None), policy=policy)
    assert stuck(path) == []


@given(st.integers(0, 23), st.integers(0, 23), st.integers(0, 14 * 24 * 4))
def test_the_time_when_a_window_opened_is_found(start: int, end: int, quarter: int) -> None:
    at, hours = 1_000 * DAY + quarter * 900.0, Window(start, end)
    opened = opened_at(hours, at)
    assert (opened is None) == (not hours.is_open(at))
    if opened is not None and start != end:
        assert 0 <= at - opened < DAY
        assert hours.is_open(opened) and not hours.is_open(opened - HOUR / 2)


def test_uncertain_and_lost_redeploys_count_until_a_newer_one_succeeds(tmp_path: Path) -> None:
    path, one, created = tmp_path / "console.db", ident(1, 0xA1), NOW - 5000
    doubt = target(1, one, "uncertain", created, created, created + 60, error_message=f"worker\nlost {HOSTILE}")
    put(path, rollout_read(one, [doubt], "partial", created, created + 60))
    run = {"run_id": "r1", "source": "callback", "status": "lost", "playbook": "reboot.yml", "controller": "c1"}
    with open_store(path) as store:
        store.put_run(RunRows({**run, "started_at": NOW - 900}), Cursor("spool", "f", position=1), after=None)
    assert stuck(path) == [("lost", 0, "c1"), ("uncertain", 1, host_name(1))]
    assert stuck(path, NOW + 15 * DAY) == []
    assert (vitals(path, NOW).uncertain, vitals(path, NOW).lost) == (1, 1)
    # It has recovered: a later read shows the published version. The overview agrees.
    with sqlite3.connect(path) as conn:
        conn.execute(
            "INSERT INTO instance_state (tenant, instance_id, runtime_current, runtime_available)"
            " VALUES (?, ?, '2', '2')",
            (TENANT, ident(1, 0xB0)),
        )
        conn.execute(
            "INSERT INTO ingest_cursors (source, scope, last_ok_at) VALUES ('updates', ?, ?)",
            (f"{TENANT}|{ident(1, 0xB0)}", NOW - 50),
        )
    assert (stuck(path), vitals(path, NOW).uncertain) == ([("lost", 0, "c1")], 0)
    two = ident(2, 0xA2)
    good = target(1, two, "succeeded", NOW - 100, NOW - 90, NOW - 50)
    put(path, rollout_read(two, [good], "completed", NOW - 100, NOW - 50))
    newer = {**run, "run_id": "r2", "status": "successful", "started_at": NOW - 10, "check_mode": None}
    with open_store(path) as store:
        store.put_run(RunRows(newer), Cursor("spool", "g", position=1), after=None)
    assert stuck(path) == []


def test_failures_of_targets_and_playbooks_with_the_same_message_are_grouped(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    reads = []
    for number, at in enumerate((NOW - 40 * DAY, NOW - 500)):
        rollout = ident(number, 0xA1 + number)
        bad = [
            target(n, rollout, "failed", at, at, at + 60, error_message=REASON.replace("120", str(100 + n)))
            for n in range(3)
        ]
        other = target(7, rollout, "uncertain", at, at, at + 60, error_message="worker lost")
        reads.append(rollout_read(rollout, [*bad, other], "partial", at, at + 60))
    put(path, *reads)
    result = {
        "run_id": "r", "counter": 3, "host": "h", "kind": "result", "status": "failed", "ended_at": NOW - 100,
        "msg": REASON, "msg_fp": fingerprint(REASON, "h"), "fp_version": FP_VERSION,
    }  # fmt: skip
    run = {"run_id": "r", "source": "callback", "status": "failed", "started_at": NOW - 200}
    with open_store(path) as store:
        # The report of the run fails for the same instance again.
        twice = [{**result, "counter": 2, "ended_at": NOW - 110}, result]
        store.put_run(RunRows(run, results=twice), Cursor("spool", "f", position=1), after=None)
    first, second = failures_by_message(path).to_dict("records")
    assert (first["failures"], first["hosts"], first["targets"], first["results"]) == (7, 4, 6, 1)
    assert (first["first_at"], first["last_at"]) == (NOW - 40 * DAY + 60, NOW - 100)
    assert first["message"] == "health check did not pass within # s: /readyz answered #"
    assert (first["run_id"], first["rollout_id"]) == ("r", None)
    assert (second["failures"], second["hosts"], second["rollout_id"]) == (2, 1, ident(1, 0xA2))
    # A module of ours that waited for a target repeats its failure, and so does the report. Another module does not.
    with open_store(path) as store:
        tasks = [("fleetops.agents.instance_runtime", None), ("ansible.builtin.fail", "fleetops.agents.fleet_report"),
                 ("ansible.builtin.command", None)]  # fmt: skip
        own = RunRows(
            {**run, "run_id": "own"},
            tasks=[{"run_id": "own", "counter": n, "action": action, "role": role}
                   for n, (action, role) in enumerate(tasks)],
            results=[{**result, "run_id": "own", "counter": 10 + n, "task_counter": n, "host": host_name(7),
                      "msg": f"task {'abc'[n]}", "msg_fp": "abc"[n]} for n in range(3)],
            links=[{"run_id": "own", "kind": "rollout", "ref": ident(1, 0xA2), "counter": 10, "host": host_name(7)}],
        )  # fmt: skip
        store.put_run(own, Cursor("spool", "own", position=1), after=None)
    assert {"task a", "task b", "task c"} & {*failures_by_message(path)["message"]} == {"task c"}
    recent = failures_by_message(path, since=NOW - DAY)
    assert recent["failures"].tolist() == [4, 1, 1]
    assert len(failures_by_message(path, most=1)) == 1
    # The search finds a group if any of its failures matches.
    texts = {host_name(1): [4], "WITHIN 102 s": [4], "within # s": [4], host_name(7): [1], "%": []}
    for search, hosts in texts.items():
        assert failures_by_message(path, most=1, search=search)["hosts"].tolist() == hosts, search


def test_failures_are_counted_by_instance_and_not_by_host_name(tmp_path: Path) -> None:
    path, other = tmp_path / "console.db", "https://other.example"
    bad = [target(n, ident(1, 0xA1), "failed", NOW - 500, NOW - 500, NOW - 400, error_message=REASON) for n in (1, 2)]
    ours = rollout_read(ident(1, 0xA1), [*bad, {**bad[1], "target_id": "t"}], "failed", NOW - 500, NOW - 400)
    # Under the other tenant, and another one of this tenant that has the same host name.
    theirs = rollout_read(ident(2, 0xA2), [{**bad[0], "instance_id": ident(1, 0xC0)}], "failed", NOW - 500, NOW - 400)
    twin = {**bad[0], "target_id": "u", "instance_id": ident(9, 0xB0), "error_message": "no disk"}
    alone = rollout_read(ident(3, 0xA3), [twin], "failed", NOW - 500, NOW - 400)
    rows = [{**row, "tenant": other} for row in theirs.targets or ()]
    put(path, ours, replace(theirs, rollout={**theirs.rollout, "tenant": other}, targets=rows), alone)
    result = {"kind": "result", "status": "failed", "ended_at": NOW - 100, "msg": REASON, "fp_version": FP_VERSION,
              "msg_fp": fingerprint(REASON), "host": host_name(1)}  # fmt: skip
    with open_store(path) as store:
        store.put_tenant(other, NOW)
        # Runs of the first tenant, of the other one, and of the twin, whose name in the inventory is another.
        for n, (named, host) in enumerate(((1, 0xB0), (1, 0xC0), (9, 0xB0))):
            run = {"run_id": f"r{n}", "source": "callback", "status": "failed", "started_at": NOW - 200}
            name = host_name(1) if n < 2 else "twin"
            link = {"run_id": f"r{n}", "kind": "instance", "ref": ident(named, host), "counter": 1, "host": name}
            found = RunRows(run, results=[{**result, "run_id": f"r{n}", "counter": 1, "host": name}], links=[link])
            store.put_run(found, Cursor("spool", f"f{n}", position=1), after=None)
    first, second = failures_by_message(path).to_dict("records")
    assert (first["failures"], first["hosts"], second["failures"], second["hosts"]) == (7, 4, 1, 1)
    hosts = hosts_with(path, first["fingerprint"])
    assert hosts["total"].tolist() == [4] * 4 and hosts["failures"].sum() == 7
    assert {*zip(hosts["host"], hosts["instance_id"], strict=True)} == {
        (host_name(1), ident(1, 0xB0)), (host_name(1), ident(1, 0xC0)), ("twin", ident(9, 0xB0)),
        (host_name(2), ident(2, 0xB0)),
    }  # fmt: skip


# Judging figures

NOTHING = Backlog()
QUIET = Vitals(NOW, NOW, None, 0, 0, 0, 0, 0, NOW)


def levels(figures: Vitals, waiting: Backlog = NOTHING, limits: dict[str, Limits] | None = None) -> dict[str, Level]:
    checks = judge(figures, waiting, NOW, limits or {})
    assert [check.name for check in checks] == [figure.name for figure in FIGURES]
    return {check.name: check.level for check in checks if check.level}


def test_each_figure_is_judged_by_its_limits() -> None:
    assert levels(QUIET) == {}
    assert worst(judge(QUIET, Backlog(), NOW, {})) == Level.OK
    bad = Vitals(NOW - 2 * DAY, NOW - 4 * DAY, NOW - 13 * HOUR, 1, 10, 9, 0, 3, None)
    assert levels(bad, Backlog(unread=2 << 20, files=1)) == {
        "sync-age": Level.WARNING,
        "run-log-age": Level.CRITICAL,
        "open-age": Level.WARNING,
        "stuck": Level.WARNING,
        "uncertain": Level.CRITICAL,
        "failed": Level.WARNING,
        "sync-errors": Level.WARNING,
        "backlog": Level.WARNING,
        "backup-age": Level.WARNING,
    }
    off = {figure.name: Limits(None, None) for figure in FIGURES}
    assert levels(bad, Backlog(unread=2 << 20), off) == {}
    # An unused source is not an alarm, unless no source was ever used.
    assert levels(Vitals(None, NOW, None, 0, 0, 0, 0, 0, NOW), Backlog(problem="There is none.")) == {}
    assert levels(QUIET, Backlog(problem="No access.", is_unreadable=True)) == {"backlog": Level.WARNING}
    assert levels(Vitals(None, None, None, 0, 0, 0, 0, 0, NOW)) == {"sync-age": Level.CRITICAL}


@pytest.mark.parametrize(
    ("state", "since", "trouble", "level", "sentence"),
    [
        ("running", DAY, None, Level.OK, "A follower runs on node-1"),
        ("running", DAY, "The API", Level.OK, "A follower runs on node-1, which cannot read the API"),
        ("stopped", DAY, None, Level.OK, "The follower on node-1 was stopped"),
        ("died", 59, None, Level.OK, "Time since sync --follow died or hung: 59 s on node-1, process 77; start it again"
         " (warning from 60 s, critical from 60 min)"),
        ("died", 60, None, Level.WARNING, "Time since sync --follow died or hung: 60 s on node-1, process 77"),
        ("hangs", HOUR, None, Level.CRITICAL, "Time since sync --follow died or hung: 60 min on node-1, process 77"),
    ],
)  # fmt: skip
def test_a_follower_that_died_or_hangs_is_judged_by_the_time_since_then(
    state: str, since: float, trouble: str | None, level: Level, sentence: str
) -> None:
    figures = replace(QUIET, follower=Follower(state, "node-1", 77, NOW - since, trouble, None))
    (check,) = [check for check in judge(figures, NOTHING, NOW, {}) if check.name == "follower"]
    assert check.level == level and check.sentence.startswith(sentence)


def test_check_finds_a_follower_that_was_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "console.db"
    put(path)
    with open_store(path) as store:
        begun = time.time() - 7200
        store.put_beat({"host": "node-1", "pid": 77, "started_at": begun, "beat_at": begun, "due_at": begun + 100})
    assert main(["check", "--db", str(path), "--format", "json"]) == 2
    follower = {row["check"]: row for row in json.loads(capsys.readouterr().out)}["follower"]
    assert follower["level"] == "critical" and 7200 <= follower["value"] < 7500


@given(
    st.floats(0, 1e12),
    st.one_of(st.none(), st.floats(0, 1e12)),
    st.one_of(st.none(), st.floats(0, 1e12)),
    st.floats(0, 1e12),
)
def test_a_larger_value_is_never_a_better_level(
    value: float, warning: float | None, critical: float | None, more: float
) -> None:
    limits = Limits(warning, critical)
    assert limits.level(value) <= limits.level(value + more)


def test_the_backlog_is_what_no_sync_has_read_yet(tmp_path: Path) -> None:
    absent, unreadable = backlog(tmp_path / "absent", {}), backlog(Path(__file__), {})
    assert "no run log folder" in absent.problem and not absent.is_unreadable
    assert "cannot be read: Not a directory" in unreadable.problem and unreadable.is_unreadable
    assert backlog(tmp_path, {}) == Backlog()
    first, second, third = (f"20261124T10000{number}Z-r.jsonl" for number in range(3))
    for name, size in ((first, 100), (second, 50), (third, 30), ("notes.txt", 999), ("notes.jsonl", 999)):
        (tmp_path / name).write_bytes(b"x" * size)
    # A link is not loaded.
    (tmp_path / "20261124T100009Z-r.jsonl").symlink_to(tmp_path / "notes.txt")
    # The second one was replaced by a shorter file.
    found = backlog(tmp_path, {first: 100, second: 80})
    assert (found.unread, found.files, found.problem) == (80, 2, "")
    assert found.oldest_at is not None and found.oldest_at <= time.time()


def test_a_run_log_that_is_removed_meanwhile_does_not_hide_the_backlog(tmp_path: Path) -> None:
    class Removing(dict[str, int]):
        """As another sync does after the first file."""

        def get(self, *_given: object) -> int:
            for file in tmp_path.iterdir():
                file.unlink()
            return 0

    for number in range(3):
        (tmp_path / f"20261124T10000{number}Z-r.jsonl").write_bytes(b"x")
    found = backlog(tmp_path, Removing())
    assert (found.unread, found.files, found.problem) == (1, 1, "")


# The commands


@pytest.fixture
def seeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "console.db"
    seed_small(path, tmp_path / "runs", time.time())
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(path))
    monkeypatch.setenv("FLEETOPS_RUN_LOG_DIR", str(tmp_path / "runs"))
    return path


def test_check_prints_one_line_for_each_figure_and_returns_the_worst_level(
    seeded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(FIGURES)
    assert all(re.fullmatch(r"(OK      |WARNING |CRITICAL)  [a-z-]+: .+\.", line) for line in lines)
    assert [line.split()[0] for line in lines] == sorted(
        (line.split()[0] for line in lines), key=["CRITICAL", "WARNING", "OK"].index
    )
    assert "WARNING   backup-age: No backup was ever made." in lines
    back_up(seeded, seeded.with_name("copy.db"), time.time())
    quiet = ["--uncertain", "off", "--failed=5,9", "--lost", "off"]
    assert main(["check", *quiet]) == 0
    assert main(["check", *quiet, "--failed", "1,1"]) == 2
    capsys.readouterr()
    assert main(["check", *quiet, "--backup-age", "0s,1h", "--format", "json"]) == 1
    levels_by_check = {row["check"]: row["level"] for row in json.loads(capsys.readouterr().out)}
    assert [name for name, level in levels_by_check.items() if level != "ok"] == ["backup-age"]


def test_check_writes_a_textfile_completely_or_says_why_not(seeded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = seeded.with_name("fleetops.prom")
    file.write_text("old")
    assert main(["check", "--prometheus", str(file)]) == 1
    text = file.read_text()
    found = dict(re.findall(r"^([a-z_]+(?:\{[^}]*\})?) ([0-9.e+]+)$", text, re.MULTILINE))
    assert found['fleetops_console_check_level{check="backup-age"}'] == "1"
    assert float(found["fleetops_console_uncertain"]) == vitals(seeded, time.time()).uncertain == 1
    assert abs(float(found["fleetops_console_api_read_timestamp_seconds"]) - time.time()) < 120
    assert "last_backup" not in text
    assert all(re.fullmatch(r"# (HELP|TYPE) \S+ .+|\S+ [0-9.e+]+", line) for line in text.splitlines())
    assert text.endswith("\n")
    assert [p.name for p in seeded.parent.glob(".fleetops*")] == []
    capsys.readouterr()
    assert main(["check", "--prometheus", "/nowhere/x.prom"]) == 2
    assert capsys.readouterr().err.startswith("console: The textfile /nowhere/x.prom cannot be written")


def test_a_textfile_that_is_a_pipe_or_a_link_is_kept_as_such(seeded: Path, tmp_path: Path) -> None:
    pipe, link, real = tmp_path / "pipe", tmp_path / "link.prom", tmp_path / "real.prom"
    os.mkfifo(pipe)
    link.symlink_to(real)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert main(["metrics", "--db", str(seeded), "--output", str(pipe)]) == 0
        assert os.read(reading, 1 << 16).startswith(b"# HELP fleetops_")
    finally:
        os.close(reading)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert main(["metrics", "--db", str(seeded), "--output", str(link)]) == 0
    assert link.is_symlink() and real.read_text().startswith("# HELP fleetops_")


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("--sync-age=1h", "must be WARNING,CRITICAL"),
        ("--sync-age=2h,1h", "must not have a critical limit below the warning limit"),
        ("--sync-age=1,2", "must be a time such as"),
        ("--backlog=1h,2h", "must be a size such as"),
        ("--stuck=one,2", "must be a whole number"),
        ("--stuck=1,2,3", "must be WARNING,CRITICAL"),
        ("--grace=soon", "must be a time such as"),
    ],
)
def test_an_invalid_limit_is_reported_in_one_sentence(
    option: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left_with:
        main(["check", option])
    errors = capsys.readouterr().err
    assert (left_with.value.code, len(errors.splitlines())) == (2, 1)
    assert complaint in errors


def test_check_without_a_readable_database_is_critical(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "f.prom"
    for path in (tmp_path / "none.db", Path("/etc/passwd")):
        assert main(["check", "--db", str(path), "--prometheus", str(file)]) == 2
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith("CRITICAL  database: ")
        assert 'check="database"} 2' in file.read_text()
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("command", ["failures", "stuck"])
def test_stuck_and_failures_are_listed_for_people_and_programs(
    command: str, seeded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) > 1
    assert main([command, "--format", "csv", "--limit", "1"]) == 0
    output = capsys.readouterr()
    (row,) = csv.DictReader(io.StringIO(output.out))
    assert set(row) == set(listed[0])
    # Rows beyond the limit are reported separately from the data.
    assert re.fullmatch(r"console: note: 1 of (\d+|more than 1) shown; use --limit to show more\.\n", output.err)
    assert main([command]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(listed) + 1
    assert not [line for line in lines if "nan" in line.split()]
    assert main([command, "--db", str(seeded.with_name("none.db"))]) == 3


def test_a_message_cannot_become_a_spreadsheet_formula(seeded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollout = ident(5, 0xAF)
    bad = target(
        5,
        rollout,
        "failed",
        NOW,
        NOW,
        NOW + 1,
        error_message='=HYPERLINK("http://203.0.113.9")',
        instance_hostname="@h",
    )
    put(seeded, rollout_read(rollout, [bad], "failed", NOW, NOW + 1))
    assert main(["failures", "--format", "csv"]) == 0
    cells = [cell for row in csv.reader(io.StringIO(capsys.readouterr().out)) for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
