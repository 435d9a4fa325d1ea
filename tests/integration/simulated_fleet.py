# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts and the maintenance window of the simulated fleet."""

from __future__ import annotations

from tests.simulator.running import Simulator


def names_to_ids(sim: Simulator) -> dict[str, str]:
    return {row["hostname"].partition(".")[0]: row["id"] for row in sim.state()["instances"]}


def hours(sim: Simulator, start: int, end: int, limit: int = 2) -> None:
    sim.knobs(
        policy={
            "max_parallel_rollouts": limit,
            "maintenance_window_start_hour_utc": start,
            "maintenance_window_end_hour_utc": end,
        }
    )


def hour_of(sim: Simulator) -> int:
    return int(sim.state()["now"] // 3600) % 24
