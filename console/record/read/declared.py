# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Update policies of individual instances, and how the fleet differs from its declared state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from sqlite3 import Connection
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.policy import overrides
from console.record.connection import first_row
from console.record.read.frames import query
from console.text.json_values import mapping, parsed

STAT = "fleetops_fleet_state_report"


@lru_cache(maxsize=4096)
def override_words(policy_json: str | None) -> str | None:
    """The modes that an instance's own policy (E25) sets, such as 'runtime auto, skills disabled'; '' if it inherits
    all of them, None if its policy was not read."""
    policy = parsed(policy_json)
    if not policy:
        return None
    return ", ".join(f"{component} {mode}" for component, mode in overrides(policy).items() if mode is not None)


@dataclass(frozen=True)
class Comparison:
    """The newest report of the role fleet_state.

    run_id: its run. at: when the run ended (epoch seconds). check_mode: whether the run only compared and set nothing.
    instances: host name -> component -> 'wanted' and 'is'. tenant: key of the tenant's policy -> 'wanted' and 'is'.
    report: as the module fleet_state_info returns it. cut: whether some of its lists were too long for the run log.
    """

    run_id: str
    at: float | None
    check_mode: bool
    instances: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    tenant: dict[str, dict[str, Any]] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    cut: bool = False

    def of(self, host: str) -> str:
        """How an instance differs: 'skills is auto, should be inherit'; '' if it does not or was not compared."""
        return ", ".join(
            f"{component} is {pair.get('is')}, should be {pair.get('wanted')}"
            for component, pair in self.instances.get(host, {}).items()
        )

    def wanted(self, host: str, instance_id: str) -> str:
        """The declared modes from which an instance differs, such as 'skills inherit'; '' if there are none. An
        inventory may use the ids of instances as host names."""
        differs = self.instances.get(host) or self.instances.get(instance_id) or {}
        return ", ".join(f"{name} {pair.get('wanted')}" for name, pair in differs.items())


@query
def comparison(conn: Connection) -> Comparison | None:
    """The newest comparison of the fleet with its declared state that a run without --limit reported; None if there is
    none. A run that was refused does not report one."""
    row = first_row(
        conn,
        "SELECT run_id, coalesce(ended_at, heartbeat_at, started_at) AS at, check_mode, stats_json FROM runs"
        " WHERE stats_json LIKE :named AND json_valid(stats_json) AND coalesce(limit_pattern, '') = ''"
        " AND json_type(stats_json, :report) = 'object' AND json_extract(stats_json, :report) <> '{}'"
        " ORDER BY started_at DESC LIMIT 1",
        {"named": f'%"{STAT}"%', "report": f"$.{STAT}.report"},
    )
    stats = parsed(row["stats_json"] if row else None)
    report = dict(mapping(mapping(stats.get(STAT)).get("report")))
    if row is None or not report:
        return None
    return Comparison(
        row["run_id"],
        row["at"],
        bool(row["check_mode"]),
        {host: _pairs(found) for host, found in mapping(report.get("instances")).items()},
        _pairs(report.get("tenant")),
        report,
        stats.get("truncated") is True,
    )


def _pairs(value: Any) -> dict[str, dict[str, Any]]:
    return {name: dict(pair) for name, pair in mapping(value).items() if isinstance(pair, Mapping)}
