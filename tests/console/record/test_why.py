# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Explaining a rollout: failures by message, time by phase, drift, and what else happened at the same time."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from markupsafe import escape

from console.collect.api.records import action_rows, audit_row
from console.collect.run_logs import sync_run_logs
from console.figures.phases import phase_bars
from console.record.read import durations, rollouts, same_time
from console.record.read.operation import Failure, operation
from console.record.rows import Cursor, InstanceRows
from console.record.write.store import open_store
from tests.console.support.page import opened, words
from tests.console.support.seeded import (
    BIG,
    FLEET,
    HOSTILE,
    OPEN,
    RUN,
    TENANT,
    RunLog,
    host_name,
    ident,
    iso,
    rollout_read,
    target,
)

pytestmark = pytest.mark.usefixtures("environment")

NOW = float(int(time.time()))
OLD, NEW, LATER = ident(1, 0x0A01), ident(2, 0x0A02), ident(3, 0x0A03)


def failed(number: int, rollout: str, created: float, message: str | None, status: str = "failed", **more: object):
    return target(
        number, rollout, status, created, created + 5, created + 25 + number, error_message=message, **more
    )  # fmt: skip


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rollouts on the same hosts. The second repeats a failure of the first and has new ones."""
    path = tmp_path_factory.mktemp("why") / "console.db"
    first, then, last = NOW - 9000, NOW - 6000, NOW - 3000
    old = [failed(0, OLD, first, "port 8080 of agent-00000.fsn1.fleet.example is taken (pid 17)")]
    old += [target(n, OLD, "succeeded", first, first + 5, first + 15 + n, bundle_hash="aaa") for n in range(1, 5)]
    new = [
        failed(1, NEW, then, "port 9090 of agent-00001.nbg1.fleet.example is taken (pid 4)"),
        failed(2, NEW, then, "port 8080 of agent-00002.hel1.fleet.example is taken (pid 99)"),
        failed(3, NEW, then, "disk full", "uncertain", scheduled_countdown_seconds=2),
        failed(4, NEW, then, None),
        target(0, NEW, "succeeded", then, then + 5, then + 65, bundle_hash="bbb", scheduled_countdown_seconds=60),
        target(5, NEW, "succeeded", then, then + 5, then + 15, bundle_hash="aaa"),
        target(6, NEW, "succeeded", then, then + 5, then + 15, bundle_hash="bbb"),
        target(7, NEW, "succeeded", then, None, None, started_at="soon", bundle_hash=None),
    ]
    later = [failed(3, LATER, last, "disk full", "uncertain")]
    log = RunLog(RUN, then - 30)
    log.play("Manual check", [host_name(1), host_name(2)], 1)
    log.task("Check", "ansible.builtin.command")
    log.result(host_name(1), "ok", 60.0)
    log.result(host_name(2), "ok", 60.0)
    log.stats({host_name(1): {"ok": 1}, host_name(2): {"ok": 1}})
    run_logs = path.parent / "runs"
    run_logs.mkdir()
    log.write(run_logs)
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_rollouts([rollout_read(OLD, old, "partial", first, first + 100)])
        store.put_rollouts([rollout_read(NEW, new, "partial", then, then + 100)])
        store.put_rollouts([rollout_read(LATER, later, "partial", last, last + 100)])
        events = [
            audit_row(TENANT, ident(1, 0xB0), {"id": str(n), "event_ts": iso(at), "outcome": outcome})
            for n, (at, outcome) in enumerate([(then + 1, "denied"), (then + 2, "success"), (then - 4000, "error")])
        ]
        store.put_audit(events, None, Cursor("audit", f"{TENANT}|{ident(1, 0xB0)}", last_ok_at=NOW))
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW))
        action = {
            "id": "a1",
            "action": "power-cycle",
            "status": "completed",
            "created_at": iso(then + 3),
            "message": HOSTILE,
        }
        rows = InstanceRows(actions=action_rows(TENANT, ident(2, 0xB0), {"actions": [action]}))
        store.put_instance(rows, Cursor("actions", f"{TENANT}|{ident(2, 0xB0)}", last_ok_at=NOW))
        sync_run_logs(store, run_logs, now=lambda: NOW)
    return path


def failures_of(database: Path, rollout: str) -> dict[tuple[str, str], Failure]:
    found = operation(database, rollout, NOW)
    assert found is not None
    return {(failure.status, failure.pattern): failure for failure in found.failures}


def test_failures_that_differ_in_host_and_numbers_are_grouped_and_compared_with_others(database: Path) -> None:
    found = failures_of(database, NEW)
    assert set(found) == {("failed", "port # of <host> is taken (pid #)"), ("uncertain", "disk full"), ("failed", "")}
    port = found["failed", "port # of <host> is taken (pid #)"]
    assert (port.hosts, port.before, port.is_new) == ((host_name(1), host_name(2)), 1, False)
    assert (port.first_at, port.last_at) == (NOW - 6000 + 26, NOW - 6000 + 27)
    assert port.first_seen == port.last_before == NOW - 9000
    disk = found["uncertain", "disk full"]
    assert (disk.is_new, disk.later, disk.last_before) == (True, 1, None)
    # A failure without a message is never new.
    assert not found["failed", ""].is_new
    assert [failure.is_new for failure in failures_of(database, LATER).values()] == [False]


def test_the_time_of_targets_is_split_into_countdown_queue_and_run(database: Path) -> None:
    spent = durations.time_spent(database, TENANT, NEW, NOW).set_index("phase")
    # Seven targets waited for 5 s each. A countdown that was longer than the wait counts only up to the wait.
    assert spent["targets"].tolist() == [7, 7, 7]
    assert spent["total_s"]["countdown"] == 2 + 5
    assert spent["total_s"]["queue"] == 7 * 5 - 7
    assert spent["total_s"]["run"] == 21 + 22 + 23 + 24 + 60 + 10 + 10
    assert spent["share"].sum() == pytest.approx(1)
    assert (spent["longest_s"]["run"], spent["longest_host"]["run"]) == (60, host_name(0))


def test_the_slowest_targets_have_the_usual_duration_of_their_instance(database: Path) -> None:
    slowest = durations.slowest_targets(database, TENANT, NEW, NOW, most=3)
    assert slowest["host"].tolist() == [host_name(0), host_name(4), host_name(3)]
    assert slowest["usual_s"].tolist()[1:] == [14, 13]
    # Its only earlier target failed, so there is no usual duration.
    assert slowest["usual_s"].isna()[0]
    by_queue = durations.slowest_targets(database, TENANT, NEW, NOW, by="Queue")
    assert host_name(0) not in by_queue["host"].tolist()


def test_the_time_of_an_open_target_counts_up_to_now(database: Path, small: Path) -> None:
    # The small record is newer than NOW.
    now = time.time()
    early = durations.time_spent(small, TENANT, OPEN, now).set_index("phase")["total_s"]
    late = durations.time_spent(small, TENANT, OPEN, now + 10).set_index("phase")["total_s"]
    open_now, _dummy = rollouts.target_page(small, TENANT, OPEN, rollouts.TargetFilter(("in_progress", "queued")), now)
    words_of = open_now["status"].tolist()
    assert late["run"] - early["run"] == pytest.approx(10 * words_of.count("in_progress"))
    assert late["queue"] - early["queue"] == pytest.approx(10 * words_of.count("queued"))


def test_the_bundles_of_the_succeeded_targets_are_counted(database: Path) -> None:
    assert rollouts.bundles(database, TENANT, NEW)[["bundle", "targets"]].to_numpy().tolist() == [
        ["bbb", 2],
        ["aaa", 1],
    ]
    assert len(rollouts.bundles(database, TENANT, OLD)) == 1
    assert not len(rollouts.bundles(database, TENANT, LATER))


def test_the_previous_rollout_has_the_same_scope(database: Path, small: Path) -> None:
    assert rollouts.previous_rollout(database, TENANT, NEW) == OLD
    assert rollouts.previous_rollout(database, TENANT, OLD) is None
    # For rollouts of one instance only those of the same instance count; here each is the first.
    alone, _dummy = rollouts.rollouts(small, scope="instance")
    assert {rollouts.previous_rollout(small, TENANT, i) for i in alone["rollout_id"]} == {None}


def test_the_previous_rollout_of_an_instance_is_of_the_same_instance(tmp_path: Path) -> None:
    ids = [ident(n, 0x0D01 + n) for n in range(4)]
    with open_store(tmp_path / "console.db") as store:
        store.put_tenant(TENANT, NOW)
        for order, (rollout, number) in enumerate(zip(ids, (1, 2, 1, 2), strict=True)):
            created = NOW - 9000 + order * 100
            one = target(number, rollout, "succeeded", created, created + 1, created + 2)
            store.put_rollouts([rollout_read(rollout, [one], "completed", created, created + 2, scope="instance")])
    found = [rollouts.previous_rollout(tmp_path / "console.db", TENANT, rollout) for rollout in ids]
    assert found == [None, None, ids[0], ids[1]]


def test_runs_audit_events_and_actions_of_the_same_time_are_those_of_its_hosts(database: Path) -> None:
    first, last = NOW - 6060, NOW - 5600
    found = same_time.beside_rollout(database, TENANT, NEW, first, last)
    assert found.others[["run_id", "hosts"]].to_numpy().tolist() == [[RUN, 2]]
    assert dict(zip(found.outcomes["outcome"], found.outcomes["events"], strict=True)) == {"denied": 1, "success": 1}
    assert found.events[["host", "outcome"]].to_numpy().tolist() == [[host_name(1), "denied"]]
    assert found.actions[["host", "action", "message"]].to_numpy().tolist() == [[host_name(2), "power-cycle", HOSTILE]]
    elsewhere = same_time.beside_rollout(database, TENANT, LATER, first, last)
    assert not len(elsewhere.others) and not len(elsewhere.outcomes)
    afterwards = same_time.beside_rollout(database, TENANT, NEW, NOW - 3000, NOW)
    assert not len(afterwards.others) and not len(afterwards.actions)


def test_the_rollout_page_shows_new_failures_and_different_bundles(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = words(opened(monkeypatch, database, "rollout", id=NEW))
    for phrase in ("3 kinds of failure, 1 new in this rollout", "disk full", "in 1 earlier operation",
                   "again in 1 later operation", "2 different bundles", "no message"):  # fmt: skip
        assert phrase in shown, f"{phrase!r} is not on the page:\n{shown[:3000]}"
    assert "different bundles" not in words(opened(monkeypatch, database, "rollout", id=OLD))
    shown = words(opened(monkeypatch, database, "rollout", id=NEW, why="Where time went"))
    assert "usually takes" in shown and "queue" in shown
    shown = words(opened(monkeypatch, database, "rollout", id=NEW, why="What else happened"))
    assert "ran on 2 of its hosts" in shown and "1 denied" in shown and "power-cycle" in shown


@pytest.mark.parametrize("why", ["Failures", "Where time went", "What else happened"])
def test_each_part_of_the_page_works_with_24_and_with_20000_targets(
    why: str, small: Path, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    for path, rollout in ((small, FLEET), (small, OPEN), (big, BIG)):
        assert "Why" in words(opened(monkeypatch, path, "rollout", id=rollout, why=why))


def test_hostile_messages_are_shown_as_text(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(monkeypatch, small, "rollout", id=FLEET)
    assert str(escape(HOSTILE)) in "".join(part.value for part in app.get("html"))
    for element in [*app.markdown, *app.caption, *app.warning]:
        assert "<img" not in element.value and "](http" not in element.value


def test_the_bars_of_phases_escape_names_and_add_up_to_the_whole_time(database: Path) -> None:
    slowest = durations.slowest_targets(database, TENANT, NEW, NOW, by="Whole").assign(host=HOSTILE)
    figure = phase_bars(slowest, "dark")
    assert figure.to_json().count("<img") == 0
    ends = sum(np.asarray(trace.x) for trace in figure.data[:3])
    assert ends.tolist() == slowest["whole_s"].tolist()
    hours = phase_bars(slowest.assign(run_s=7200.0 * 2))
    assert hours.layout.xaxis.ticksuffix == " h" and max(hours.data[2].x) == 4
    # The phase by which the bars are ordered comes first in each bar.
    sorted_by = phase_bars(slowest.assign(usual_s=7.0), first="run")
    assert [trace.name for trace in sorted_by.data] == ["run", "countdown", "queue", "usual run"]
    assert set(sorted_by.data[3].x) == {7.0}
