# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of a run: its grid agrees with the results, and it shows what else happened on the hosts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from console.collect.api.records import action_rows
from console.record.read import runs, same_time
from console.record.rows import Cursor, InstanceRows, RunRows
from console.record.write.store import open_store
from tests.console.support.facts import rows
from tests.console.support.page import opened, words
from tests.console.support.recorded_runs import put_run
from tests.console.support.seeded import FLEET, RUN, TENANT, fleet_rollout, host_name, ident, iso

pytestmark = pytest.mark.usefixtures("environment")

NOW = 1_795_560_000.0
HOSTS, BATCH, TASKS = 250, 25, 8


def status_of(host: int, task: int) -> str | None:
    """Host 7 fails at task 3 and leaves the run; task 5 is skipped except on host 9; task 2 changes."""
    if host == 7 and task >= 3:
        return "failed" if task == 3 else None
    return "skipped" if task == 5 and host != 9 else "ok"


@pytest.fixture(scope="module")
def rolling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 250 hosts in batches of 25; every second batch has an additional first task."""
    path = tmp_path_factory.mktemp("rolling") / "console.db"
    found = RunRows(
        {"run_id": "r", "source": "callback", "status": "failed", "playbook": "rolling.yml",
         "started_at": NOW - 900, "ended_at": NOW - 100}
    )  # fmt: skip
    counter = 0
    for batch in range(HOSTS // BATCH):
        counter += 1
        play = {"run_id": "r", "counter": counter, "play": 1, "batch": batch + 1, "name": "Roll", "hosts": BATCH}
        found.plays.append(play | {"started_at": NOW - 900 + batch * 80})
        own = [("Only every second batch", "p.yml:1")] if batch % 2 else []
        for task, (name, file) in enumerate(own + [(f"Task {n}", f"p.yml:{n + 2}") for n in range(TASKS)], -len(own)):
            counter += 1
            place = {"run_id": "r", "counter": counter, "play_counter": play["counter"], "name": name, "path": file}
            found.tasks.append(place | {"action": "debug", "role": None})
            task_counter = counter
            for host in range(batch * BATCH, (batch + 1) * BATCH):
                status = status_of(host, task)
                if status:
                    counter += 1
                    found.results.append(
                        {"run_id": "r", "counter": counter, "play_counter": play["counter"], "kind": "result",
                         "task_counter": task_counter, "host": host_name(host), "status": status,
                         "changed": int(task == 2), "duration_s": float(task + (host == 30)), "msg": "boom" * 3}
                    )  # fmt: skip
    with open_store(path) as store:
        store.put_rollouts([fleet_rollout(FLEET, 12, 2, NOW - 700)])
        store.put_run(found, Cursor("spool", "r", position=1), after=None)
        actions = [
            {"action_id": "a", "action": "reboot", "created_at": iso(NOW - 300), "status": "completed"},
            {"action_id": "b", "action": "late", "created_at": iso(NOW + 3000), "status": "failed"},
        ]
        rows_of_actions = InstanceRows(actions=action_rows(TENANT, ident(3, 0xB0), {"actions": actions}))
        store.put_instance(rows_of_actions, Cursor("actions", "x"))
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW))
    return path


def test_the_grid_agrees_with_the_results_of_all_batches(rolling: Path) -> None:
    tasks = runs.run_tasks(rolling, "r")
    assert tasks["task"].tolist() == ["Only every second batch", *(f"Task {n}" for n in range(TASKS))]
    assert tasks["changed"].tolist() == [0, 0, 0, HOSTS, 0, 0, 0, 0, 0]
    assert tasks["failed"].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert tasks["skipped"].tolist() == [0, 0, 0, 0, 0, 0, HOSTS - 2, 0, 0]
    assert (tasks["longest_s"][8], tasks["longest_host"][8]) == (8.0, host_name(30))
    seen = {}
    for page in (1, 2, 3):
        found, total = runs.run_grid(rolling, "r", page=page)
        assert total == HOSTS
        if page == 1:
            assert (found["host"][0], found["outcome"][0]) == (host_name(7), "failed")
        for row in found.to_dict("records"):
            seen[row["host"]] = list(row.values())[2:]
    assert len(seen) == HOSTS
    for host in range(HOSTS):
        cells = seen[host_name(host)]
        wanted = ["changed" if task == 2 and status_of(host, task) else status_of(host, task) for task in range(TASKS)]
        assert [cell if isinstance(cell, str) else None for cell in cells[1:]] == wanted
        assert (cells[0] == "ok") == bool(host // BATCH % 2)
    found, total = runs.run_grid(rolling, "r", search=host_name(9))
    assert (total, found["7 Task 5"].tolist()) == (1, ["ok"])
    assert runs.run_grid(rolling, "r", search="100%")[1] == 0
    # In the file, the columns have the names of the tasks with a number, since two tasks may have the same name.
    assert list(found.columns) == [
        "host",
        "outcome",
        *(f"{n} {name or 'no name'}" for n, name in enumerate(tasks["task"], 1)),
    ]


def test_a_run_whose_beginning_was_lost_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        known = {"run_id": "r", "source": "callback", "status": "lost", "playbook": "p.yml", "started_at": NOW}
        task = {"run_id": "r", "counter": 9, "play_counter": None, "name": "Later", "path": None, "action": "debug"}
        # The start of its task was lost.
        result = {"run_id": "r", "counter": 8, "play_counter": None, "task_counter": None, "host": "a",
                  "kind": "result", "status": "ok", "changed": 0, "duration_s": 1.0, "msg": "boom"}  # fmt: skip
        store.put_run(RunRows(known, tasks=[task | {"role": None}], results=[result]), Cursor("spool", "r"), after=None)
    for details, expected in (("Hosts by tasks", "1 host"), ("Tasks", "1 task"), ("Results", "1 result")):
        assert expected in words(opened(monkeypatch, path, "run", id="r", details=details))


def test_other_events_on_the_hosts_of_a_run_are_found(rolling: Path) -> None:
    found = same_time.beside_run(rolling, "r", NOW - 960, NOW + 200)
    assert found.others[["rollout_id", "hosts"]].to_numpy().tolist() == [[FLEET, 12]]
    assert found.actions[["host", "action"]].to_numpy().tolist() == [[host_name(3), "reboot"]]
    assert len(same_time.beside_run(rolling, "r", NOW - 99_000, NOW - 98_000).others) == 0


def test_the_page_shows_the_grid_and_the_events_of_that_time(
    rolling: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = words(opened(monkeypatch, rolling, "run", id="r", beside="true"))
    assert "250 hosts, problems first" in text and "± changed" in text and "reboot" in text
    for details, expected in (
        ("Tasks", "9 tasks, all batches combined"),
        ("Recap", "250 hosts"),
        ("Results", "failures first"),
    ):
        assert expected in words(opened(monkeypatch, rolling, "run", id="r", details=details))
    # A real run log: the run started its rollouts, so they are not other events. The audit is of its hosts.
    run = rows(small, "SELECT * FROM runs WHERE run_id = ?", RUN)[0]
    first, last = run["started_at"] - 60, run["ended_at"] + 300
    assert set(same_time.beside_run(small, RUN, first, last).others["rollout_id"]) <= {FLEET}
    found = same_time.beside_run(small, RUN, time.time() - 10 * 86400, time.time())
    wanted = rows(
        small,
        "SELECT count(*) AS n FROM audit_events e JOIN instances i USING (tenant, instance_id)"
        " WHERE i.hostname IN (SELECT host FROM run_hosts WHERE run_id = ?)",
        RUN,
    )[0]["n"]
    assert found.outcomes["events"].sum() == wanted > 0
    assert (found.events["outcome"] != "success").all() and len(found.events)


def test_the_number_of_hosts_of_a_lost_run_includes_those_without_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, first, *others = tmp_path / "console.db", *(host_name(number) for number in range(4))
    put_run(path, "lost", 900, hosts=[first, *others], status="lost", ended_at=None, flying=[first, *others],
            results=[{"host": first, "status": "ok"}])  # fmt: skip
    found, total = runs.runs(path)
    assert (total, found["hosts"].tolist(), runs.run_grid(path, "lost")[1], len(runs.recap(path, "lost"))) == (
        1, [4], 4, 4)  # fmt: skip
    assert "Hosts 4 Recap ok 1" in words(opened(monkeypatch, path, "run", id="lost"))


def test_the_numbers_of_a_run_with_rescued_failures_are_those_of_its_recap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, host = tmp_path / "console.db", host_name(1)
    results = [{"host": host, "status": status, "changed": changed} for status, changed in
               (("failed", 0), ("ok", 1), ("ok", 0))]  # fmt: skip
    put_run(
        path, "rescued", 900, hosts=[host], results=results, recap=[{"host": host, "ok": 2, "changed": 1, "rescued": 1}]
    )
    text = words(opened(monkeypatch, path, "run", id="rescued", results_status="failed"))
    assert "Hosts 1 Recap ok 2 Recap changed 1 Recap failed 0 " in text and "1 result, failures first" in text
