# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulator with a manual clock for each module. Before each test it is idle, outdated and without faults."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.simulator.running import Simulator, running_simulator

RELEASES = count(1)
POLICY = {
    "maintenance_window_start_hour_utc": 0,
    "maintenance_window_end_hour_utc": 0,
    "max_parallel_rollouts": 2,
    "runtime_default": "notify",
    "skills_default": "notify",
    "mcp_servers_default": "notify",
}
# Noon is not close to the edges of the maintenance windows in the tests.
NOON = "2026-11-24T12:00:00+00:00"


@pytest.fixture(scope="module")
def standing() -> Iterator[Simulator]:
    with running_simulator(instances=8, speed=0, arguments=("--start", NOON)) as sim:
        sim.defaults = sim.control("GET", "knobs")["knobs"]  # type: ignore[attr-defined]
        yield sim


@pytest.fixture
def sim(standing: Simulator) -> Simulator:
    """The simulator at noon of a new day: default knobs, no target in progress, a newer bundle published."""
    standing.clear_faults()
    standing.knobs(**standing.defaults)  # type: ignore[attr-defined]
    standing.knobs(policy=POLICY, key_expiry=dict.fromkeys(standing.keys), disease={"*": "none"})
    now = standing.advance(86400)
    standing.advance((43200 - now) % 86400)
    assert standing.in_flight()["now"] == 0
    standing.knobs(publish=f"2027.1.{next(RELEASES)}")
    standing.clear_journal()
    return standing
