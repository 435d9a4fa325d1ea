# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When changes are frozen, according to the recorded plans: on the page Policy and on the overview."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.collect.api.records import policy_row
from console.record.read.policy import frozen
from console.record.rows import Cursor, RunRows
from console.record.write.store import Store, open_store
from tests.console.support.page import opened, words
from tests.console.support.seeded import HOSTILE, TENANT, host_name, ident, iso, rollout_read, seed_small, target
from tests.console.support.seeded_instances import policy

pytestmark = pytest.mark.usefixtures("environment")

NOW = float(int(time.time()))
DAY = 86400.0


def freeze(begin: float, end: float, reason: str = "") -> dict[str, Any]:
    """A freeze as in a plan; times in days from now."""
    return {"from": iso(NOW + begin * DAY), "to": iso(NOW + end * DAY), "reason": reason}


def plan(store: Store, number: int, days_ago: float, playbook: str, **document: Any) -> None:
    at = NOW - days_ago * DAY
    run_id = ident(number, 0xF2)
    run = {"run_id": run_id, "source": "callback", "source_ref": f"plan-{number}", "status": "successful",
           "started_at": at - 3, "ended_at": at + 60, "playbook": f"playbooks/{playbook}.yml"}  # fmt: skip
    row = {"run_id": run_id, "counter": 5, "kind": "plan", "at": at, "batch": None, "verdict": None,
           "document_json": json.dumps(document)}  # fmt: skip
    cursor = Cursor("spool", f"plan-{number}", position=1)
    store.put_run(RunRows(run=run, evidence=[row]), cursor, after=None)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("freezes")
    path = folder / "console.db"
    seed_small(path, folder / "runs", NOW)
    with open_store(path) as store:
        store.put_policy(policy_row(TENANT, policy(NOW), NOW))
        plan(store, 1, 40, "restart", freezes=[freeze(-1, 60, "of a plan that is too old")])
        plan(store, 2, 9, "rolling_redeploy", freezes=[freeze(-9, 20, "taken back since")])
        quarter = freeze(3, 5, HOSTILE)
        broken = [{"from": "soon", "to": "later"}, "x", {"from": iso(NOW + DAY)}, freeze(4, 3, "ends before it begins")]
        plan(store, 3, 2, "rolling_redeploy", freezes=[freeze(-3, -2, "over"), quarter, *broken])
        plan(store, 4, 1, "reboot", freezes=[freeze(-0.5, 0.25, "release"), quarter])
        # A plan from before freezes existed, and one with unreadable freezes.
        plan(store, 5, 0.5, "rolling_redeploy", window={"open": False, "problem": "The freezes cannot be read."})
    return path


def test_the_newest_plan_of_each_playbook_is_used(planned: Path) -> None:
    found = frozen(planned, NOW)
    assert [(one.reason, one.name) for one in found.times] == [("release", "reboot"), (HOSTILE, "reboot")]
    assert found.plans == 2
    now, following = found.at(NOW), found.next_after(NOW)
    assert now is not None and (now.reason, now.end) == ("release", NOW + 0.25 * DAY)
    assert following is not None and following.start == NOW + 3 * DAY
    assert found.at(NOW + 6 * DAY) is None and found.next_after(NOW + 6 * DAY) is None


def test_with_several_tenants_a_plan_applies_to_the_tenant_of_its_instances(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    other = "https://ops.other.example"
    seed_small(path, tmp_path / "runs", NOW)
    with open_store(path) as store:
        store.put_tenant(other, NOW)
        there = target(30, ident(1, 0x99), "succeeded", NOW - 90, NOW - 80, NOW - 50)
        read = rollout_read(ident(1, 0x99), [there], "completed", NOW - 90, NOW - 50)
        store.put_rollouts([replace(read, rollout={**read.rollout, "tenant": other},
                                    targets=[{**row, "tenant": other} for row in read.targets])])  # fmt: skip
        plan(store, 1, 3, "rolling_redeploy", freezes=[freeze(0, 1, "here")], batches=[{"instances": [host_name(1)]}])
        plan(store, 2, 2, "rolling_redeploy", freezes=[freeze(0, 2, "there")], left_alone=[host_name(30)])
        plan(store, 3, 1, "rolling_redeploy", freezes=[freeze(0, 3, "nowhere")], batches=[{"instances": ["x"]}])
    reasons = [[one.reason for one in frozen(path, NOW, tenant).times] for tenant in (TENANT, other, "")]
    assert reasons == [["here"], ["there"], ["nowhere"]]


def test_the_policy_page_and_the_overview_say_when_changes_are_frozen(
    planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(monkeypatch, planned, "policy")
    text = words(app)
    for word in ("release reboot", f"{HOSTILE} reboot", "according to the newest plan of each playbook"):
        assert word in text, f"{word!r} is missing:\n{text[:3000]}"
    assert "taken back" not in text and "over" not in [line.strip() for line in text.splitlines()]
    (figure,) = app.get("plotly_chart")
    assert "frozen" in figure.proto.spec and "<img" not in figure.proto.spec.encode().decode("unicode_escape")
    assert "frozen until" in words(opened(monkeypatch, planned, "overview"))


def test_without_a_plan_the_page_says_where_freezes_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_small(tmp_path / "console.db", tmp_path / "runs", NOW)
    with open_store(tmp_path / "console.db") as store:
        store.put_policy(policy_row(TENANT, policy(NOW), NOW))
    text = words(opened(monkeypatch, tmp_path / "console.db", "policy"))
    assert "Freezes are set for a run in the variable fleetops_freezes" in text
    with open_store(tmp_path / "console.db") as store:
        plan(store, 1, 1, "rolling_redeploy", freezes=[])
    text = words(opened(monkeypatch, tmp_path / "console.db", "policy"))
    assert "The newest plan of each playbook contains no freezes." in text
    assert "frozen" not in words(opened(monkeypatch, tmp_path / "console.db", "overview"))
