# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which target a redeploy started, and whether one with an uncertain result was carried out."""

from __future__ import annotations

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules import answers
from ansible_collections.fleetops.agents.plugins.module_utils._rules.redeploy import reconcile, started_target

T0 = "2026-11-24T10:00:00+00:00"
T1 = "2026-11-24T10:01:00+00:00"
T2 = "2026-11-24T10:02:00+00:00"


def test_a_started_target_is_found_by_its_task_id_or_if_it_is_the_only_one() -> None:
    sent = answers.parse_time(T1)
    old = {"id": "old", "created_at": T0, "celery_task_id": "a"}
    mine = {"id": "mine", "created_at": T1, "celery_task_id": "b"}
    other = {"id": "other", "created_at": T2, "celery_task_id": "c"}
    assert started_target([other, mine, old], {"old"}, "b", sent) == (mine, "exact")
    assert started_target([mine, old], {"old"}, None, sent) == (mine, "weak")
    assert started_target([other, mine, old], {"old"}, None, sent) is None
    assert started_target([old], {"old"}, "b", sent) is None
    # reports/2026-11 B5, E6: an id wins over the time, and is recognised in any case.
    assert started_target([{**mine, "created_at": T0}, old], {"old"}, "B", sent) == (
        {**mine, "created_at": T0},
        "exact",
    )
    assert started_target([{**mine, "created_at": T0}, old], {"old"}, None, sent) is None
    assert started_target([{**mine, "rollout_scope": "Fleet"}, old], {"old"}, None, sent) is None
    assert started_target([{**mine, "instance_id": "i"}, old], {"old"}, None, sent, "other") is None


@pytest.mark.parametrize(
    ("booted", "version", "healthy", "verdict"),
    [(T1, "2", True, "succeeded"), (T0, "1", True, "not_applied"), (T0, "1", False, "still_unknown"),
     (T1, "1", True, "still_unknown"), (T0, "2", True, "still_unknown")],
)  # fmt: skip
def test_an_uncertain_target_is_decided_by_evidence(booted: str, version: str, healthy: bool, verdict: str) -> None:
    target = {"id": "1f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10", "status": "uncertain", "created_at": T0}
    target["started_at"] = "2026-11-24T10:00:30+00:00"
    uptime = answers.parse_time(T2) - answers.parse_time(booted)
    health = {"checked_at": T2, "uptime_seconds": uptime, "status": "healthy" if healthy else "degraded"}
    updates = {"versions_reported_at": T2, "runtime": {"current_version": version, "available_version": "2"}}
    assert reconcile(target, [target], updates, health)[0] == verdict
    later = {"id": "later", "created_at": T2}
    assert reconcile(target, [{**target, "id": target["id"].upper()}], updates, health)[0] == verdict
    assert reconcile(target, [target, later], updates, health)[0] == "superseded"
