# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of an operation shows the outcome of each instance from the run's report, not from Ansible's recap."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from console.outcomes.words import word
from console.record.rows import Cursor, RunRows, to_json
from console.record.write.store import open_store
from tests.console.support.facts import rows
from tests.console.support.page import drawn, opened, words
from tests.console.support.recorded_runs import NOW, put_rollout, put_run, report
from tests.console.support.seeded import TENANT, ident, rollout_read, target
from tests.console.support.seeded_operations import (
    BAD,
    HOSTS,
    REASON,
    REPORT,
    STOPPED,
    UNDER_WAY,
    WHY,
    YESTERDAY,
    seed_operations,
)

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("operations")
    seed_operations(folder / "console.db", folder / "runs", time.time())
    return folder / "console.db"


def table_of_instances(app: AppTest) -> dict[str, str]:
    """The row of each host in the page's table of instances."""
    (text,) = [part for part in drawn(app) if part.startswith("outcome host")]
    lines = text.splitlines()[1:]
    return {host: line for host in HOSTS for line in lines if host in line}


def test_the_page_of_a_stopped_run_shows_the_numbers_of_its_report(
    record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ansible counts each host as ok, since a preparing task ran on all of them.
    recap = rows(record, "SELECT host, ok FROM run_hosts WHERE run_id = ?", STOPPED)
    assert {row["host"]: row["ok"] > 0 for row in recap} == dict.fromkeys(HOSTS, True)
    app = opened(monkeypatch, record, "operation", id=STOPPED)
    text = words(app)
    assert f"Stopped after batch 2 of 4: {WHY} 3 updated, 1 failed, 4 not touched." in text
    reported = {category: count for category, count in REPORT["counts"].items() if count}
    assert reported == {"updated": 3, "failed": 1, "not_touched": 4}
    (verdict,) = [part for part in drawn(app) if "Stopped after" in part]
    for category, count in reported.items():
        assert f"{count} {word(category)}" in verdict
    table = table_of_instances(app)
    assert list(table) == list(HOSTS)
    for category in reported:
        assert {host for host, line in table.items() if f" {word(category)} " in f" {line} "} == set(REPORT[category])
    for host in REPORT["not_touched"]:
        assert not {"ok", "updated", "✓"} & set(table[host].split()), table[host]
    # Each failure once, with the server's message; the gate that stopped the run, and the plan.
    assert text.count(f"✕ failed {REASON}") == 1
    assert f"--limit 'all:!{BAD}'" in text
    assert "✕ stop 1 instance failed" in text and "✓ pass 0 failed, at most 0 may fail" in text
    # What all gates found is shown once, above the rows.
    (gates,) = [part for part in drawn(app) if part.startswith("All gates: ")]
    assert gates.startswith("All gates: The maintenance window is open all day ")
    assert gates.count("maintenance window") == 1
    assert "8 instances in 4 batches, hash ab12cd34" in text and "52 s for 2 of 4 batches" in text


def test_a_category_of_the_bar_leads_to_its_instances(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(monkeypatch, record, "operation", id=STOPPED)
    (verdict,) = [part.value for part in app.get("html") if '<p class="fo-verdict' in part.value]
    for category, named in (("updated", "updated"), ("failed", "failed"), ("not_touched", "not touched")):
        assert f'href="./operation?id={STOPPED}&amp;operation_outcome={named.replace(" ", "+")}"' in verdict
        narrowed = opened(monkeypatch, record, "operation", id=STOPPED, operation_outcome=named)
        assert list(table_of_instances(narrowed)) == sorted(REPORT[category])
        assert f"{len(REPORT[category])} of 8 instances" in words(narrowed)


def test_lists_and_overview_have_the_same_numbers(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for page in ("overview", "operations"):
        text = words(opened(monkeypatch, record, page))
        assert f"rolling_redeploy to 2.5.0 ✕ stopped 3 updated, 1 failed, 4 not touched ops {WHY}" in text
        assert "rolling_redeploy to 2.5.0 ▶ running 2 updated, 2 running, 4 waiting ops batch 2 of 4" in text


def test_the_page_of_a_run_under_way_shows_its_progress(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(monkeypatch, record, "operation", id=UNDER_WAY)
    text = words(app)
    assert "Running, batch 2 of 4. 2 updated, 2 running, 4 waiting." in text
    assert " UTC to now, " in text
    # What all gates found is above the table, so there is no column for the rest.
    (gates,) = [part for part in drawn(app) if part.startswith("All gates: ")]
    assert "before batch time (UTC) verdict \n 1 " in gates
    text = words(opened(monkeypatch, record, "operation", id=YESTERDAY))
    assert "yesterday 10:02 to 10:05 UTC, 3 min 01 s" in text and "Plan and result" not in text
    text = words(opened(monkeypatch, record, "overview"))
    assert f"Running: {HOSTS[2]}, {HOSTS[3]}" in text
    assert "batch 2 of 4 · about " in text and "Last gate: pass at " in text


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({"operations_when": "yesterday 09:00 to 11:00"}, ["reboot"]),
        ({"operations_when": "yesterday 10:02 to 10:03", "operations_who": "jon"}, ["reboot"]),
        ({"operations_when": "yesterday 10:06 to 10:10"}, []),
        ({"operations_who": "jon"}, ["reboot"]),
        ({"operations_kind": "Rollouts by others"}, ["fleet rollout"]),
        ({"operations_mode": "Check mode"}, []),
        ({"operations_q": "reboot"}, ["reboot"]),
    ],
)
def test_the_filters_of_the_list_are_taken_from_the_address(
    query: dict[str, str], titles: list[str], record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = words(opened(monkeypatch, record, "operations", **query))
    if not titles:
        assert "No operations match these filters." in text
    for title in ("rolling_redeploy", "reboot", "fleet rollout"):
        assert (f" {title} " in text) == (title in titles)


def test_an_invalid_period_is_reported_and_hides_nothing(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(monkeypatch, record, "operations", operations_when="soon <b>")
    assert "'soon <b>' is not a time. Examples: yesterday," in words(app)
    assert "4 operations" in words(app)


def test_a_run_that_is_held_before_a_batch_has_the_same_batch_on_its_card_and_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now = tmp_path / "console.db", time.time()
    play = {"run_id": "held", "play": 1, "pattern": "fleetops_planned", "hosts": 1}
    own = {"action": "fleetops.agents.instance_runtime", "name": "Redeploy"}
    gate = {"action": "fleetops.agents.rollout_gate", "name": "Check"}
    found = RunRows(
        {"run_id": "held", "source": "callback", "status": "running", "playbook": "playbooks/rolling_redeploy.yml",
         "started_at": now - 60, "heartbeat_at": now, "check_mode": 0},
        plays=[{**play, "counter": 10 * n, "batch": n, "hosts_json": to_json([HOSTS[n]]), "started_at": now - 60 + n}
               for n in (1, 2)],
        tasks=[{"run_id": "held", "play_counter": counter, "counter": counter + 1, **task}
               for counter, task in ((10, own), (20, gate))],
        results=[{"run_id": "held", "counter": 12, "play_counter": 10, "task_counter": 11, "host": HOSTS[1],
                  "kind": "result", "status": "ok", "changed": 1, "result_json": '{"rollout_id":"x"}'}],
    )  # fmt: skip
    with open_store(path) as store:
        store.put_run(found, Cursor("spool", "held", last_ok_at=now), after=None)
    text = words(opened(monkeypatch, path, "overview"))
    assert [line.count("batch 1") for line in text.splitlines() if " rolling_redeploy " in line] == [1, 1]


def test_the_instances_of_a_check_run_are_not_shown_as_updated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, run_id = tmp_path / "console.db", ident(1, 0xD1)
    put_run(path, run_id, 900, hosts=HOSTS, check_mode=1, reported=report(updated=HOSTS[:6], current=HOSTS[6:]))
    app = opened(monkeypatch, path, "operation", id=run_id, operation_outcome="updated")
    table = table_of_instances(app)
    assert list(table) == list(HOSTS[:6])
    assert all(line.strip().startswith("✓ would be updated") for line in table.values())


def test_a_rollout_cancelled_at_an_unknown_time_is_not_shown_as_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, rollout_id, began = tmp_path / "console.db", ident(1, 0xA1), time.time() - 7200
    targets = [target(1, rollout_id, "cancelled", began, None, None)]
    with open_store(path) as store:
        store.put_tenant(TENANT, began)
        store.put_rollouts([rollout_read(rollout_id, targets, "cancelled", began, None)])
    for page in ("operation", "rollout"):
        text = words(opened(monkeypatch, path, page, id=rollout_id))
        assert " to an unknown time" in text and "to now" not in text, page
    assert "Took unknown" in text


def test_the_rollouts_that_a_run_only_followed_do_not_count_as_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, run_id, hosts = tmp_path / "console.db", ident(1, 0xD1), HOSTS[:2]
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
    own, others = (put_rollout(path, number, 800, "succeeded", first=number) for number in (1, 2))
    links = [("rollout", own, hosts[0], 3), ("rollout", others, hosts[1], 3), ("adopted", others, hosts[1], 3)]
    put_run(path, run_id, 900, hosts=hosts, reported=report(updated=hosts), links=links)
    text = words(opened(monkeypatch, path, "operation", id=run_id))
    assert "Rollouts 1 started by this run" in text and f"Followed {others[:8]}" in text
    text = words(opened(monkeypatch, path, "rollouts"))
    assert sorted(line.split()[-2:] for line in text.splitlines() if "✓ completed" in line) == [
        ["fleet", others[:8]], ["playbook", own[:8]]]  # fmt: skip


def test_the_overview_says_how_many_more_operations_are_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
    for number in range(30):
        put_rollout(path, number, 60, "in_progress", scope="instance", first=number)
    more = next(link for link in opened(monkeypatch, path, "overview").get("page_link") if "more" in link.proto.label)
    assert more.proto.label == "25 more running"
    assert "30 operations, newest first" in words(opened(monkeypatch, path, "operations", operations_status="running"))
