# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The event source with servers that give short pages, list the oldest row first, or have times that are none."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.eda.following import Rules, following, until
from tests.second_api.api import KEY, SecondApi, second_api


def arguments(api: SecondApi, watermark: Path, **more: Any) -> dict[str, Any]:
    quick = {"interval": 0.1, "instance_interval": 0.01, "max_rate": 5000}
    return {"api_url": api.url, "api_key": KEY, "watermark": str(watermark), **quick, **more}


# reports/2026-11 A2, D4
@pytest.mark.parametrize(
    "quirk", [{"page_cap": {"list_audit_events": 4}}, {"oldest_first": {"list_audit_events", "list_fleet_rollouts"}}]
)
def test_new_audit_events_are_told_once_each(quirk: dict[str, Any], tmp_path: Path) -> None:
    with second_api(instances=1, **quirk) as api:
        api.add_events("agent-001", 120)

        async def go() -> list[str]:
            rules = Rules()
            async with following(arguments(api, tmp_path / "mark", events=["fleetops.audit.event"]), rules) as task:
                await until(task, lambda: len(api.called("list_fleet_rollouts")) >= 6)
                assert rules.events == [], "what was before is not told"
                api.add_events("agent-001", 9, outcome="error")
                await until(task, lambda: len(rules.events) >= 9)
                seen = len(api.called("list_audit_events"))
                await until(task, lambda: len(api.called("list_audit_events")) > seen + 40)
            return [event["audit"]["id"] for event in rules.events]

        told = asyncio.run(go())
        assert sorted(told) == sorted(event["id"] for event in api.instances[0].events[-9:])


@pytest.mark.parametrize("quirk", [{"page_cap": {"list_fleet_rollouts": 2}}, {"oldest_first": {"list_fleet_rollouts"}}])
def test_a_new_rollout_is_told(quirk: dict[str, Any], tmp_path: Path) -> None:
    with second_api(instances=2, **quirk) as api:
        for n in range(120):
            api.add_rollout(api.instances[:1], "instance", ended=True, at=time.time() - 3000 + n)

        async def go() -> set[str]:
            rules = Rules()
            async with following(arguments(api, tmp_path / "mark"), rules) as task:
                await until(task, lambda: len(api.called("list_fleet_rollouts")) >= 6)
                rollouts = [api.add_rollout(api.instances, "fleet")["id"] for _dummy in range(3)]
                await until(
                    task, lambda: {e["rollout"]["id"] for e in rules.events if e.get("rollout")} >= set(rollouts)
                )
            return {event["rollout"]["id"] for event in rules.events if event.get("rollout")} - set(rollouts)

        assert asyncio.run(go()) == set()
