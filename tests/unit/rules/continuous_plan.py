# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a continuous run, and the time that planning takes."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.admission import GO, Facts, admission_decision
from ansible_collections.fleetops.agents.plugins.module_utils._rules.batches import Member, Part, batch_sizes
from ansible_collections.fleetops.agents.plugins.module_utils._rules.pace import follow_each_other
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plan import Plan, make_plan
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import DAY, HOUR

NOON = 1_790_000_000 // DAY * DAY + 12 * HOUR
BATCHING = {"canary": 1, "batch_max": None, "growth": "fixed", "percent": 25, "pace": "continuous"}


def members(count: int) -> list[Member]:
    return [Member(f"agent-{n:05d}", f"id-{n:05d}", "1", "2", True, "outdated") for n in range(count)]


def plan_of(fleet: list[Member], known: dict[str, list[float]], **changed: Any) -> Plan:
    policy = {"max_parallel_rollouts": 4, **changed.pop("hours", {})}
    most = changed.pop("most", 4)
    sizes = batch_sizes(most, of=len(fleet), pace="continuous")
    given = {"policy": policy, "sizes": sizes, "batching": BATCHING, "known": known, "now": NOON, "extra": 10.0}
    return make_plan(fleet, **{**given, "parts": [Part("", fleet)], "most": most, **changed})


def seconds_for(count: int) -> float:
    """CPU seconds of all decisions of a run of ``count`` instances: the plan, and a verdict before each redeploy."""
    fleet = members(count)
    known = {member.instance_id: [10.0 + n % 21] for n, member in enumerate(fleet)}
    started = time.process_time()
    plan = plan_of(fleet, known, most=100)
    now, flights = NOON, 0
    policy = {"max_parallel_rollouts": 100}
    for start, _end in follow_each_other([plan.usual[member.name][1] for member in fleet], 100):
        now = NOON + start
        flights += admission_decision(Facts(policy=policy, now=now, in_flight=99, needs=30.0)).word == GO
    assert flights == count
    return time.process_time() - started
