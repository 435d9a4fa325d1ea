# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages Instances, Instance, and Policy and window, and their queries, with 0, 24 and 20,000 instances."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from console.collect.api.records import audit_row, policy_row
from console.record.read import durations, frames, instances
from console.record.read import policy as policy_queries
from console.record.rows import Cursor, RunRows
from console.record.write.store import open_store
from console.text import file_formats, times
from console.web.shared import paging
from tests.console.support.page import opened, words
from tests.console.support.seeded import RUN, TENANT, ident, iso, rollout_read, seed_small, target
from tests.console.support.seeded_instances import INSTANCE, NAME, policy, seed_details, seed_many

pytestmark = pytest.mark.usefixtures("environment")

NOW = float(int(time.time()))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("instances")
    seed_small(folder / "console.db", folder / "runs", NOW)
    seed_details(folder / "console.db", NOW)
    return folder / "console.db"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "console.db"
    seed_many(path, NOW)
    return path


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rollouts are stored, but no details of any instance."""
    folder = tmp_path_factory.mktemp("bare")
    seed_small(folder / "console.db", folder / "runs", NOW)
    return folder / "console.db"


def test_the_list_shows_24_instances_with_problems_first(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = words(opened(monkeypatch, small, "instances"))
    assert f"python -m console sync --db {small} --health --updates --memory" in text
    table = text[text.index("health host open problem") :].splitlines()[1:]
    sick = next(row for row in table if NAME in row)
    # Problems come first; data that is older than the newest deploy is marked.
    assert table[0] == sick and "degraded before the last deploy" in sick
    assert "2.4.0 → 2.5.0 runtime" in sick
    assert any("last rollout uncertain" in row for row in table)
    assert any("last rollout failed: health check did not pass within 120 s" in row for row in table)
    # The API returned no more for the instance with 200 rows.
    assert any(row.rstrip().endswith("200 or more b7c1f0a2") for row in table)


def test_the_page_of_an_instance_shows_its_details(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wanted in (INSTANCE, NAME):
        app = opened(monkeypatch, small, "instance", id=wanted)
        text = words(app)
        for word in ("database: unhealthy", "Available 2.5.0", "Updates waiting runtime", "Uptime 1 d 2 h"):
            assert word in text, f"{word!r} is missing:\n{text[:3000]}"
        for word in ("30 actions", "p95", "checks in this period", "that did not succeed", "Versions seen over time"):
            assert word in text, f"{word!r} is missing:\n{text[:3000]}"
        assert len(app.get("plotly_chart")) >= 1


def badges(app: AppTest) -> list[str]:
    """The words of the badges beside the page's title."""
    return re.findall(r"-badge\[(?::\S+: )?([^]]+)\]", " ".join(element.value for element in app.markdown))


def test_an_instance_whose_skills_have_updates_is_not_called_outdated(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert badges(opened(monkeypatch, small, "instance", id=INSTANCE)) == ["degraded", "outdated"]
    database = Path(shutil.copy(small, tmp_path))
    listed = [{"name": name, "outdated": name != "runtime"} for name in ("runtime", "skills/a", "skills/b", "tools/c")]
    with sqlite3.connect(database) as conn:
        conn.execute(
            "UPDATE instance_state SET runtime_available = runtime_current, outdated = 3, components_json = ?",
            (json.dumps(listed),),
        )
    app = opened(monkeypatch, database, "instance", id=INSTANCE)
    assert "Updates waiting 2 skills, 1 other" in words(app)
    assert badges(app) == ["degraded"]


def test_the_page_of_an_instance_without_details_names_the_options_of_sync(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = words(opened(monkeypatch, bare, "instance", id=ident(20, 0xB0)))
    for flag in ("--health", "--actions", "--updates"):
        assert f"python -m console sync --db {bare} {flag} --instance {ident(20, 0xB0)}" in text
    opened(monkeypatch, bare, "instances")
    text = words(opened(monkeypatch, bare, "instance", id="0000-unknown"))
    assert "has no instance 0000-unknown" in text


def test_the_policy_page_shows_the_policy_and_the_window(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(monkeypatch, small, "policy")
    text = words(app)
    for word in (
        "is open",
        "It closes in",
        "Parallel rollouts, maximum 2",
        "MCP server updates disabled",
        "max_parallel_",
    ):
        assert word in text, f"{word!r} is missing:\n{text[:3000]}"
    changed = next(frame.value for frame in app.dataframe if "before" in frame.value)
    assert changed[["key", "before", "after"]].to_numpy().tolist() == [["max_parallel_rollouts", "5", "2"]]


def test_20000_instances_are_paged_and_filtered_in_under_a_second(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = time.process_time()
    app = opened(monkeypatch, many, "instances")
    spent = time.process_time() - before
    assert not app.exception
    assert "20,000 instances" in words(app)
    assert rows_of_the_list(app) == frames.LIST_PAGE
    assert spent < 3, f"CPU seconds of the first draw: {spent}"
    app = opened(monkeypatch, many, "instances", instances_health="unhealthy", instances_sort="Host")
    assert "100 of 20,000 instances" in words(app)
    app = opened(monkeypatch, many, "instances", instances_page="200", instances_sort="Host")
    assert rows_of_the_list(app) == frames.LIST_PAGE
    opened(monkeypatch, many, "instance", id=ident(10, 0xB0))


def rows_of_the_list(app: AppTest) -> int:
    (table,) = [part.value for part in app.get("html") if "<table" in part.value]
    return table.count("<tr>") - 1


# Queries


def test_the_pages_list_every_instance_once_and_filters_agree_with_the_tally(small: Path) -> None:
    seen: list[str] = []
    for page in range(1, 9):
        part, total = instances.instance_page(small, instances.InstanceFilter(), page, size=20)
        seen += part["instance_id"].tolist()
    assert len(seen) == len(set(seen)) == total
    tally = instances.instance_tally(small)
    assert tally["total"] == total
    problems = instances.instance_page(small, instances.InstanceFilter(only="problem"), 1, 500)
    assert problems[1] and (problems[0]["problem"] != "").all()
    assert instances.instance_page(small, instances.InstanceFilter(only="outdated"))[1] == 4
    unread = instances.instance_page(small, instances.InstanceFilter(health=("not read",)))[1]
    assert unread == total - tally["health_read"]
    assert INSTANCE in instances.instance_page(small, instances.InstanceFilter(search=NAME))[0]["instance_id"].tolist()
    assert instances.instance_page(small, instances.InstanceFilter(search="%"))[1] == 0


def test_the_usual_duration_is_that_of_succeeded_deploys_only(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    took = [10.0, 20.0, 30.0, 40.0, 1000.0]
    reads = []
    for number, seconds in enumerate(took):
        status = "failed" if seconds == 1000 else "succeeded"
        created = NOW - 9000 + number * 1500
        rollout_id = ident(number, 0x1000)
        one = target(5, rollout_id, status, created, created, created + seconds)
        reads.append(rollout_read(rollout_id, [one], "completed", created, created + seconds, scope="instance"))
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_rollouts(reads)
    assert durations.usual_of_instance(path, TENANT, ident(5, 0xB0)) == {
        "n": 4,
        "p50": 20.0,
        "p95": 40.0,
        "fleet_p95": 40.0,
    }
    found, total = instances.instance_targets(path, TENANT, ident(5, 0xB0), NOW, size=2)
    assert (total, found["took_s"].tolist()) == (5, [1000.0, 40.0])


def rollout_at(number: int, at: float, scope: str = "fleet"):
    rollout_id = ident(number, 0x2000)
    one = target(number, rollout_id, "succeeded", at, at, at + 5)
    return rollout_read(rollout_id, [one], "completed", at, at + 5, scope=scope)


def test_each_rollout_is_judged_by_the_window_at_its_time_and_shows_the_override_reason(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    day = NOW // 86400 * 86400 - 5 * 86400
    night = {"maintenance_window_start_hour_utc": 22, "maintenance_window_end_hour_utc": 4}
    noon = {"maintenance_window_start_hour_utc": 11, "maintenance_window_end_hour_utc": 13}
    stats = {"fleetops_report": {"override_reason": "INC-4711 <b>urgent</b>"}}
    run = {"run_id": RUN, "source": "callback", "source_ref": "x", "status": "successful", "started_at": day + 86400,
           "playbook": "fleet_rollout.yml", "stats_json": json.dumps(stats, separators=(",", ":"))}  # fmt: skip
    link = {"run_id": RUN, "kind": "rollout", "ref": ident(3, 0x2000), "counter": None, "host": None}
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_policy(policy_row(TENANT, policy(NOW, **night), day))
        store.put_policy(policy_row(TENANT, policy(NOW, **noon), day + 2 * 86400))
        store.put_rollouts(
            [
                rollout_at(1, day - 3600 * 12),  # before any policy was seen, at noon
                rollout_at(2, day + 3600 * 23),  # at night: open
                rollout_at(3, day + 86400 + 3600 * 12),  # at noon, under the window at night
                rollout_at(4, day + 3 * 86400 + 3600 * 12),  # at noon, under the window at noon: open
                rollout_at(5, day + 3 * 86400 + 3600 * 23),  # at night, under the window at noon
                rollout_at(6, day + 3 * 86400 + 3600 * 23, scope="instance"),
            ]
        )
        store.put_run(RunRows(run=run, links=[link]), Cursor("spool", "x", position=1), after=None)
    found = policy_queries.outside_window(path, TENANT)
    assert found["rollout_id"].tolist() == [ident(n, 0x2000) for n in (5, 3, 1)]
    assert found["assumed"].tolist() == [False, False, True]
    assert found["hours"].tolist() == ["11:00 to 13:00 UTC", "22:00 to 04:00 UTC", "22:00 to 04:00 UTC"]
    assert found["reason"].tolist() == ["", "INC-4711 <b>urgent</b>", ""]
    assert policy_queries.override_runs(path)["run_id"].tolist() == [RUN]
    changed = policy_queries.policy_changes(path, TENANT)
    assert changed["key"].tolist() == ["maintenance_window_start_hour_utc", "maintenance_window_end_hour_utc"]
    [newest] = policy_queries.policies(path)
    closed = policy_queries.state_of(policy_queries.Window.of_policy(newest["raw"]), day + 4 * 86400)
    assert (closed.is_open, closed.opens_at, sum(closed.open_hours)) == (False, day + 4 * 86400 + 11 * 3600, 2)


def test_the_history_of_an_instance_is_complete_on_its_pages_and_in_the_file(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, shared = tmp_path / "console.db", {}
    shutil.copy(small, path)
    events = [
        {"id": f"late-{n}", "event_ts": iso(NOW - 3600 - n), "outcome": "error", "event_type": "call"}
        for n in range(250)
    ]
    with open_store(path) as store:
        read = Cursor("audit", f"{TENANT}|{INSTANCE}", last_ok_at=NOW)
        store.put_audit([audit_row(TENANT, INSTANCE, event) for event in events], None, read)
    monkeypatch.setattr(paging, "share", lambda name, total=0, fetch=None: shared.update({name: (total, fetch)}))
    app = opened(monkeypatch, path, "instance", id=INSTANCE)
    total, fetch = shared["instance-history"]
    file = fetch(path, file_formats.MAX_ROWS)
    assert total == len(file) > 250
    assert f"{total} entries from" in words(app)
    rows = []
    for page in range(1, total // frames.LIST_PAGE + 2):
        app = opened(monkeypatch, path, "instance", id=INSTANCE, **{"instance-history_page": str(page)})
        table = next(str(part.value) for part in app.get("html") if "What happened, newest first" in part.value)
        rows += re.findall(r"<tr><td[^>]*>([^<]*)</td>", table)
    assert rows == [times.moment(at) for at in file["at"]]


def test_more_than_100_rollouts_outside_the_window_are_all_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, day = tmp_path / "console.db", (NOW // 86400 - 9) * 86400
    night = {"maintenance_window_start_hour_utc": 22, "maintenance_window_end_hour_utc": 4}
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_policy(policy_row(TENANT, policy(NOW, **night), day))
        store.put_rollouts([rollout_at(n, day + 3600 * 12 + n) for n in range(130)])
        for n in range(130):
            stats = json.dumps({"fleetops_report": {"override_reason": "urgent"}}, separators=(",", ":"))
            run = {"run_id": f"run-{n}", "source": "callback", "source_ref": f"{n}", "status": "successful",
                   "started_at": day + n, "playbook": "fleet_rollout.yml", "stats_json": stats}  # fmt: skip
            store.put_run(RunRows(run=run), Cursor("spool", f"{n}", position=1), after=None)
    for page, rows in (("1", 100), ("2", 30)):
        query = {"outside-window_page": page, "override-runs_page": page}
        parts = [str(part.value) for part in opened(monkeypatch, path, "policy", **query).get("html")]
        for table in ("Rollouts started outside the maintenance window", "Playbook runs that overrode the window"):
            assert next(part for part in parts if table in part).count("<tr><td") == rows


def test_the_audit_of_an_instance_is_that_of_its_tenant(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "console.db"
    shutil.copy(small, path)
    before = words(opened(monkeypatch, path, "instance", id=INSTANCE))
    with open_store(path) as store:
        # The same API was read at another address before.
        former = "https://former.example"
        store.put_tenant(former, NOW - 9000)
        event = {"id": "1", "event_ts": iso(NOW - 9000), "outcome": "error"}
        read = Cursor("audit", f"{former}|{INSTANCE}", last_ok_at=NOW - 9000)
        store.put_audit([audit_row(former, INSTANCE, event)], None, read)
    after = words(opened(monkeypatch, path, "instance", id=INSTANCE))
    numbers = re.compile(r"Success [0-9,]+ Error [0-9,]+ Denied [0-9,]+")
    assert numbers.findall(after) == numbers.findall(before) != []
