# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the event source still knows after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.eda.following import Rules, arguments, following, full_poll, until
from tests.simulator.running import running_simulator


def test_after_a_restart_a_deployment_still_explains_that_its_instance_is_unhealthy(tmp_path: Path) -> None:
    events = ["fleetops.rollout.finished", "fleetops.instance.unhealthy"]
    first, second = Rules(), Rules()

    async def run() -> None:
        async with following(args, first) as task:
            await full_poll(task, sim)
            assert sim.call("POST", f"/v1/instances/{sim.instance('agent-001')['id']}/runtime/redeploy")[0] == 200
            while not first.events:
                sim.advance(2)
                await full_poll(task, sim)
            sim.knobs(disease={"agent-001": "process"})
            await full_poll(task, sim)
        async with following(args, second) as task:
            await full_poll(task, sim)
            assert second.events == []
            sim.advance(70)
            await until(task, lambda: second.events)

    with running_simulator(instances=1, speed=1.0) as sim:
        args = arguments(sim, tmp_path / "mark", live=True, events=events)
        asyncio.run(run())
    assert first.types() == ["rollout.finished"]
    assert second.types() == ["instance.unhealthy"]
